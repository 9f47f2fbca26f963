"""torch.fft's names. What is real works; transforms have complex results, which are not supported."""

from ._ops import _call, creation
from ._ops.rearrange import roll

__all__ = ["fft", "ifft", "fft2", "ifft2", "fftn", "ifftn", "rfft", "irfft", "rfft2", "irfft2", "rfftn", "irfftn",
           "hfft", "ihfft", "hfft2", "ihfft2", "hfftn", "ihfftn", "fftfreq", "rfftfreq", "fftshift", "ifftshift"]


def _refused(name):
    def function(*args, **kwargs):
        raise NotImplementedError(f"fft.{name}: complex tensors are not supported; numpy.fft.{_NUMPY.get(name, name)} "
                                  "transforms x.detach().numpy(), without a gradient")

    function.__name__ = function.__qualname__ = name
    function.__doc__ = "NotImplementedError: its operands or results are complex."
    return function


_NUMPY = {"hfft2": "fft2", "ihfft2": "ifft2", "hfftn": "fftn", "ihfftn": "ifftn"}
fft, ifft, fft2, ifft2, fftn, ifftn = map(_refused, ("fft", "ifft", "fft2", "ifft2", "fftn", "ifftn"))
rfft, irfft, rfft2, irfft2, rfftn, irfftn = map(_refused, ("rfft", "irfft", "rfft2", "irfft2", "rfftn", "irfftn"))
hfft, ihfft, hfft2, ihfft2, hfftn, ihfftn = map(_refused, ("hfft", "ihfft", "hfft2", "ihfft2", "hfftn", "ihfftn"))


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
        from ._ops.reduce import _finish

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
