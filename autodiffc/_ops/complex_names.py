"""The names of complex numbers, for real tensors: there are no complex ones."""

import math

from .._core import TensorBase
from ._call import not_a_tensor
from .compare import isnan, lt, where
from .math import sign
from .reduce import _finish


def _real(name, input):
    if not isinstance(input, TensorBase):
        raise not_a_tensor(name, input)
    return input


def real(input):
    """input, which is real."""
    return _real("real", input)


def imag(input):
    """RuntimeError: real tensors have no imaginary part."""
    _real("imag", input)
    raise RuntimeError("imag is not implemented for tensors with non-complex dtypes.")


def conj(input):
    """input, which is real."""
    return _real("conj", input)


def conj_physical(input, *, out=None):
    """input, which is real."""
    return _finish(_real("conj_physical", input), out)


def conj_physical_(self):
    """self, which is real."""
    return _real("conj_physical_", self)


def resolve_conj(input):
    """input: no tensor is a conjugate view."""
    return _real("resolve_conj", input)


def resolve_neg(input):
    """input: no tensor is a negative view."""
    return _real("resolve_neg", input)


def is_neg(input) -> bool:
    """False: no tensor is a negative view."""
    _real("is_neg", input)
    return False


def angle(input, *, out=None):
    """pi where input is negative, NaN where it is NaN, else 0; floating point. The gradient is 0."""
    x = _real("angle", input)
    if not x.dtype.is_floating_point:
        return _finish(where(lt(x, 0), math.pi, 0.0), out)
    still = x.detach()
    plain = lt(still, 0).to(x.dtype) * math.pi
    return _finish(where(isnan(still), still, plain) + sign(x) * 0, out)


def view_as_real(input):
    """RuntimeError: there are no complex tensors."""
    _real("view_as_real", input)
    raise RuntimeError("view_as_real is only supported for complex tensors")
