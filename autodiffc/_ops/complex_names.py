"""Functions of real and complex tensors that take complex numbers apart. The class is autodiffc._complex's."""

import math

from .._core import TensorBase
from ._call import not_a_tensor
from .compare import isnan, lt, where
from .math import sign
from .reduce import _finish

ComplexTensor = ()
"""The class, once autodiffc._complex is imported; before that there is none of it."""


def _tensor(name, input):
    if not isinstance(input, TensorBase):
        raise not_a_tensor(name, input)
    return input


def real(input):
    """The real part; a real tensor itself."""
    return input.real if isinstance(input, ComplexTensor) else _tensor("real", input)


def imag(input):
    """The imaginary part. RuntimeError for a real tensor."""
    if isinstance(_tensor("imag", input), ComplexTensor):
        return input.imag
    raise RuntimeError("imag is not implemented for tensors with non-complex dtypes.")


def conj(input):
    """The conjugate; a real tensor itself."""
    return input.conj() if isinstance(input, ComplexTensor) else _tensor("conj", input)


def conj_physical(input, *, out=None):
    """The conjugate; a real tensor itself."""
    return _finish(conj(input), out)


def conj_physical_(self):
    """A real tensor itself."""
    return _tensor("conj_physical_", self)


def resolve_conj(input):
    """input: no tensor is a conjugate view."""
    return _tensor("resolve_conj", input)


def resolve_neg(input):
    """input: no tensor is a negative view."""
    return _tensor("resolve_neg", input)


def is_neg(input) -> bool:
    """False: no tensor is a negative view."""
    _tensor("is_neg", input)
    return False


def angle(input, *, out=None):
    """The angle of complex numbers. Of real ones pi where they are negative, NaN where NaN, else 0, with gradient 0."""
    x = _tensor("angle", input)
    if isinstance(x, ComplexTensor):
        return _finish(x.angle(), out)
    if not x.dtype.is_floating_point:
        return _finish(where(lt(x, 0), math.pi, 0.0), out)
    still = x.detach()
    plain = lt(still, 0).to(x.dtype) * math.pi
    return _finish(where(isnan(still), still, plain) + sign(x) * 0, out)


def view_as_real(input):
    """The real tensor (*, 2) of the parts of a complex one, whose memory it shares. RuntimeError for a real tensor."""
    if isinstance(_tensor("view_as_real", input), ComplexTensor):
        return input._pair
    raise RuntimeError("view_as_real is only supported for complex tensors")


def view_as_complex(input):
    """The complex tensor of a real one (*, 2), whose memory it shares. RuntimeError for another last size or dtype."""
    from .. import _complex

    return _complex.view_as_complex(input)


def polar(abs, angle, *, out=None):
    """The complex tensor of modulus abs and an angle in radians, which broadcast. RuntimeError unless of one floating
    dtype."""
    from .. import _complex

    return _copied("polar", _complex.polar(abs, angle), out)


def complex(real, imag, *, out=None):
    """The complex tensor of two real ones, which broadcast. RuntimeError unless of one floating dtype."""
    from .. import _complex

    return _copied("complex", _complex.complex_of(real, imag), out)


def _copied(name, t, out):
    if out is None:
        return t
    if not isinstance(out, ComplexTensor):
        raise TypeError(f"{name}(): argument 'out' must be a complex Tensor, not {type(out).__name__}")
    out._pair.copy_(t._pair)
    return out


def _as(name):
    def method(self, memory_format=None):
        from .._dtype import ABSENT

        return self.to(ABSENT[name])

    method.__name__ = method.__qualname__ = {"complex64": "cfloat", "complex128": "cdouble", "complex32": "chalf"}[name]
    method.__doc__ = f"The complex tensor of this real one, in {name}."
    return method


cfloat, cdouble, chalf = _as("complex64"), _as("complex128"), _as("complex32")


def stft(input, n_fft, hop_length=None, win_length=None, window=None, center=True, pad_mode="reflect", normalized=False,
         onesided=None, return_complex=None, align_to_window=None):
    """The transforms of the frames of a signal: torch.stft()."""
    from .. import _spectra

    return _spectra.stft(input, n_fft, hop_length, win_length, window, center, pad_mode, normalized, onesided,
                         return_complex, align_to_window)


def istft(input, n_fft, hop_length=None, win_length=None, window=None, center=True, normalized=False, onesided=None,
          length=None, return_complex=False):
    """The signal of transforms of its frames: torch.istft()."""
    from .. import _spectra

    return _spectra.istft(input, n_fft, hop_length, win_length, window, center, normalized, onesided, length,
                          return_complex)
