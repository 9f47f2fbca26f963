"""torch.fft's names for real tensors: frequencies and shifts. Transforms have complex results, which are not
supported."""

from ._ops import _call, creation
from ._ops.rearrange import roll
from ._ops.reduce import _finish

__all__ = ["fftfreq", "rfftfreq", "fftshift", "ifftshift"]


def fftfreq(n, d=1.0, *, out=None, dtype=None, layout=None, device=None, requires_grad=False):
    """The frequencies of a transform of n samples d apart: 0, 1, ..., -2, -1, each divided by n d."""
    whole = creation.arange(n, dtype=dtype or creation.get_default(), layout=layout, device=device)
    whole[(n + 1) // 2 :] -= n
    return _finished(whole * (1.0 / (n * d)), out, requires_grad)


def rfftfreq(n, d=1.0, *, out=None, dtype=None, layout=None, device=None, requires_grad=False):
    """The frequencies of a transform of n real samples d apart: 0, 1, ..., n // 2, each divided by n d."""
    whole = creation.arange(n // 2 + 1, dtype=dtype or creation.get_default(), layout=layout, device=device)
    return _finished(whole * (1.0 / (n * d)), out, requires_grad)


def _finished(t, out, requires_grad):
    if out is not None:
        return _finish(t, out)
    return t.requires_grad_() if requires_grad else t


def _shifted(input, dim, back):
    dims = list(range(input.ndim)) if dim is None else [dim] if not isinstance(dim, (tuple, list)) else list(dim)
    dims = [_call.integer(d) for d in dims]
    halves = [(input.shape[d] + 1) // 2 if back else input.shape[d] // 2 for d in dims]
    return roll(input, halves, dims) if dims else input


def fftshift(input, dim=None):
    """With the zero frequency in the middle of each dim."""
    return _shifted(input, dim, False)


def ifftshift(input, dim=None):
    """What fftshift() undoes."""
    return _shifted(input, dim, True)


def __getattr__(name):
    from ._hook import missing

    raise missing.attribute(__name__, name)
