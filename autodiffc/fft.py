"""Discrete Fourier transforms: NumPy computes them, and their gradients are transforms too.

fft, ifft and their kin take real or complex tensors and return complex ones; n or s cuts or pads with zeros; norm is
"backward" (the default: the inverse divides by n), "ortho" (both by its root) or "forward" (the other way round).
float32 and float64. A transform cannot be part of a captured step.
"""

import numpy as np

from . import _capture, interop
from ._complex import ComplexTensor, complex_of, make
from ._core import TensorBase
from ._ops import _call, creation, shape
from ._ops.rearrange import roll
from ._ops.reduce import _finish
from .autograd.function import Function

__all__ = ["fft", "ifft", "fft2", "ifft2", "fftn", "ifftn", "rfft", "irfft", "rfft2", "irfft2", "rfftn", "irfftn",
           "hfft", "ihfft", "hfft2", "ihfft2", "hfftn", "ihfftn", "fftfreq", "rfftfreq", "fftshift", "ifftshift"]


class _Transform(Function):
    """The transform of a tensor of pairs over dims, forwards or backwards, times a factor. Its adjoint is the one the
    other way round."""

    @staticmethod
    def forward(ctx, pair, dims, back, factor):
        ctx.dims, ctx.back, ctx.factor = dims, back, factor
        a = np.ascontiguousarray(interop.to_numpy(pair, True))
        whole = a.view(np.result_type(a.dtype, np.complex64))[..., 0]  # the same memory, read as pairs
        whole = (np.fft.ifftn if back else np.fft.fftn)(whole, axes=dims, norm="forward" if back else "backward")
        out = np.ascontiguousarray(whole).view(whole.real.dtype).reshape(a.shape)
        if factor != 1:
            out *= factor
        return interop.from_numpy(out.astype(a.dtype, copy=False))

    @staticmethod
    def backward(ctx, g):
        return _Transform.apply(g, ctx.dims, not ctx.back, ctx.factor), None, None, None

    @staticmethod
    def jvp(ctx, tangent, *rest):
        return _Transform.apply(tangent, ctx.dims, ctx.back, ctx.factor)


def _given(name, t):
    if not isinstance(t, TensorBase):
        raise _call.not_a_tensor(name, t)
    if isinstance(t, ComplexTensor):
        if t._pair.dtype.itemsize < 4:
            raise RuntimeError(f"{name}: unsupported dtype {t.dtype}")
        return t
    if not t.dtype.is_floating_point:
        t = t.to(creation.get_default())
    if t.dtype.itemsize < 4:
        raise RuntimeError(f"{name}: unsupported scalar type {t.dtype}")
    return complex_of(t, creation.zeros_like(t, requires_grad=False))


def _dims(name, t, dim, sizes):
    """The dims, and the size that each of them shall have."""
    if dim is None:
        dim = range(t.ndim) if sizes is None else range(t.ndim - len(sizes), t.ndim)
    dims = [_call.integer(d) for d in (dim if isinstance(dim, (tuple, list, range)) else (dim,))]
    for d in dims:
        if not -t.ndim <= d < t.ndim:
            raise IndexError(f"{name}: Dimension out of range (expected to be in range of [{-t.ndim}, {t.ndim - 1}], "
                             f"but got {d})")
    dims = [d % t.ndim for d in dims]
    if len(set(dims)) < len(dims):
        raise RuntimeError(f"{name}: FFT dims must be unique")
    if sizes is None:
        return dims, [t.shape[d] for d in dims]
    sizes = [_call.integer(n) for n in (sizes if isinstance(sizes, (tuple, list)) else (sizes,))]
    if len(sizes) != len(dims):
        raise RuntimeError(f"{name}: When given, dim and shape arguments must have the same length")
    return dims, [t.shape[d] if n == -1 else n for n, d in zip(sizes, dims)]


def _fit(pair, d, n):
    """Dimension d cut or padded with zeros to n."""
    have = pair.shape[d]
    if n <= have:
        return pair if n == have else pair.narrow(d, 0, n)
    rest = list(pair.shape)
    rest[d] = n - have
    return shape.cat([pair, pair.new_zeros(rest)], d)


def _transform(name, t, sizes, dim, norm, back):
    _capture.refuse(f"{name}, which NumPy computes,")
    t = _given(name, t)
    dims, sizes = _dims(name, t, dim, sizes)
    pair = t._pair
    total = 1
    for d, n in zip(dims, sizes):
        if n < 1:
            raise RuntimeError(f"{name}: Invalid number of data points ({n}) specified")
        pair = _fit(pair, d, n)
        total *= n
    if norm not in (None, "backward", "ortho", "forward"):
        raise RuntimeError(f'{name}: Invalid normalization mode: "{norm}"')
    scaled = total if (norm == "forward") != back and norm != "ortho" else 1
    factor = total**-0.5 if norm == "ortho" else 1 / scaled
    return make(_Transform.apply(pair, tuple(dims), back, factor)) if dims else make(pair)


def fft(input, n=None, dim=-1, norm=None, *, out=None):
    """The transform along dim."""
    return _into(_transform("fft", input, n, dim, norm, False), out)


def ifft(input, n=None, dim=-1, norm=None, *, out=None):
    """The inverse transform along dim."""
    return _into(_transform("ifft", input, n, dim, norm, True), out)


def fft2(input, s=None, dim=(-2, -1), norm=None, *, out=None):
    """The transform over two dimensions."""
    return _into(_transform("fft2", input, s, dim, norm, False), out)


def ifft2(input, s=None, dim=(-2, -1), norm=None, *, out=None):
    """The inverse transform over two dimensions."""
    return _into(_transform("ifft2", input, s, dim, norm, True), out)


def fftn(input, s=None, dim=None, norm=None, *, out=None):
    """The transform over dim, all dimensions by default."""
    return _into(_transform("fftn", input, s, dim, norm, False), out)


def ifftn(input, s=None, dim=None, norm=None, *, out=None):
    """The inverse transform over dim, all dimensions by default."""
    return _into(_transform("ifftn", input, s, dim, norm, True), out)


def _half(name, input, sizes, dim, norm):
    if isinstance(input, ComplexTensor):
        raise RuntimeError(f"{name} expects a real input tensor, but got {input.dtype}")
    whole = _transform(name, input, sizes, dim, norm, False)
    last = _dims(name, whole, dim, None)[0][-1] if dim is not None or sizes is None else whole.ndim - 1
    return whole.narrow(last, 0, whole.shape[last] // 2 + 1)


def rfft(input, n=None, dim=-1, norm=None, *, out=None):
    """The first half of the transform of a real tensor: n // 2 + 1 numbers along dim."""
    return _into(_half("rfft", input, n, dim, norm), out)


def rfft2(input, s=None, dim=(-2, -1), norm=None, *, out=None):
    """rfft() along the last of two dimensions, fft() along the other."""
    return _into(_half("rfft2", input, s, dim, norm), out)


def rfftn(input, s=None, dim=None, norm=None, *, out=None):
    """rfft() along the last of dim, fft() along the others."""
    return _into(_half("rfftn", input, s, dim, norm), out)


def _whole(name, input, sizes, dim, norm):
    """The real tensor of which input is the first half of the transform."""
    t = _given(name, input)
    dims, sizes = _dims(name, t, dim, sizes) if sizes is not None else (_dims(name, t, dim, None)[0], None)
    last = dims[-1]
    n = 2 * (t.shape[last] - 1) if sizes is None or sizes[-1] == -1 else sizes[-1]
    if n < 1:
        raise RuntimeError(f"{name}: Invalid number of data points ({n}) specified")
    if len(dims) > 1:
        t = _transform(name, t, None if sizes is None else sizes[:-1], dims[:-1], norm, True)
    pair = _fit(t._pair, last, n // 2 + 1)
    rest = pair.narrow(last, 1, (n + 1) // 2 - 1).flip(last) * pair.new_tensor([1.0, -1.0])
    return _transform(name, make(shape.cat([pair, rest], last)), None, last, norm, True).real


def irfft(input, n=None, dim=-1, norm=None, *, out=None):
    """The real tensor, of n elements along dim (an even number by default), that rfft() makes input of."""
    return _into(_whole("irfft", input, n, dim, norm), out)


def irfft2(input, s=None, dim=(-2, -1), norm=None, *, out=None):
    """What rfft2() makes input of."""
    return _into(_whole("irfft2", input, s, dim, norm), out)


def irfftn(input, s=None, dim=None, norm=None, *, out=None):
    """What rfftn() makes input of."""
    return _into(_whole("irfftn", input, s, dim, norm), out)


_OTHER = {None: "forward", "backward": "forward", "forward": "backward", "ortho": "ortho"}


def hfft(input, n=None, dim=-1, norm=None, *, out=None):
    """The real transform of a Hermitian signal, of which input is the first half."""
    return _into(_whole("hfft", _given("hfft", input).conj(), n, dim, _OTHER.get(norm, norm)), out)


def ihfft(input, n=None, dim=-1, norm=None, *, out=None):
    """What hfft() undoes: the first half of the inverse transform of a real tensor."""
    return _into(_half("ihfft", input, n, dim, _OTHER.get(norm, norm)).conj(), out)


def hfftn(input, s=None, dim=None, norm=None, *, out=None):
    """hfft() along the last of dim, fft() along the others."""
    return _into(_whole("hfftn", _given("hfftn", input).conj(), s, dim, _OTHER.get(norm, norm)), out)


def hfft2(input, s=None, dim=(-2, -1), norm=None, *, out=None):
    """hfft() along the last of two dimensions, fft() along the other."""
    return hfftn(input, s, dim, norm, out=out)


def ihfftn(input, s=None, dim=None, norm=None, *, out=None):
    """What hfftn() undoes."""
    return _into(_half("ihfftn", input, s, dim, _OTHER.get(norm, norm)).conj(), out)


def ihfft2(input, s=None, dim=(-2, -1), norm=None, *, out=None):
    """What hfft2() undoes."""
    return ihfftn(input, s, dim, norm, out=out)


def _into(t, out):
    if out is None:
        return t
    if isinstance(t, ComplexTensor) != isinstance(out, ComplexTensor):
        raise TypeError("fft: argument 'out' must be a tensor of the result's dtype")
    if not isinstance(t, ComplexTensor):
        return _finish(t, out)
    out._pair.copy_(t._pair)
    return out


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
    if name.startswith("__"):  # the import system asks for some of every module
        raise AttributeError(name)
    from ._hook import missing

    raise missing.attribute(__name__, name)
