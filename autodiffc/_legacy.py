"""Tensor(...), FloatTensor(...) and their kin: PyTorch's constructors from before tensor()."""

import numpy as np

from . import _core, _dtype
from ._core import TensorBase, fail
from ._dtype import DTYPES
from ._native import lib
from ._ops import _call, creation, from_data


def legacy_new(cls, d, args, device=None):
    """A new tensor of class cls and dtype d from a constructor's arguments."""
    if device is not None:
        _dtype.check_device(device)
    first = args[0] if args else ()
    if not args or isinstance(first, (int, np.integer)):
        size = creation.check_sizes(args, cls.__name__)
        h = lib.ad_empty(d.code, size if args else (0,), len(size) or 1)
    elif isinstance(first, _dtype.Size):
        h = lib.ad_empty(d.code, first, len(first))
    elif isinstance(first, TensorBase):
        if first.dtype is not d:
            raise TypeError(f"expected {d} (got {first.dtype})")
        h = lib.ad_op1(_core.OP["alias"], first._h)
    else:
        if isinstance(first, (float, complex)):
            raise TypeError(f"new(): data must be a sequence (got {type(first).__name__})")
        made = from_data.tensor(first, dtype=d)
        lib.ad_retain(made._h)
        h = made._h
    if not h:
        fail()
    t = object.__new__(cls)
    t._h = h
    return t


def new(self, *args, device=None):
    """A tensor of this one's dtype: new(sizes...), new(sequence or array), new(tensor). Prefer new_tensor() and
    new_empty()."""
    return legacy_new(_core.Tensor, self.dtype, args, device)


def resize(self, *sizes):
    """The elements in another size, as reshape(); RuntimeError when their number differs. Prefer reshape()."""
    import warnings

    warnings.warn("non-inplace resize is deprecated", stacklevel=2)
    size = _call.sizes(sizes)
    n = 1
    for s in size:
        n *= s
    if n != self.numel():
        shape = "x".join(map(str, self.shape))
        raise RuntimeError(
            f"requested resize to {'x'.join(map(str, size))} ({n} elements in total), but the given tensor has a size "
            f"of {shape} ({self.numel()} elements). autograd's resize can only change the shape of a given tensor, "
            "while preserving the number of elements. ")
    return self.contiguous().view(size)


def resize_as(self, tensor):
    """resize() to the size of another tensor."""
    return resize(self, *tensor.shape)


class _TypedTensor(type):
    """The classes FloatTensor and so on: callable, and isinstance() asks for the dtype."""

    def __call__(cls, *args, device=None):
        return legacy_new(_core.Tensor, cls.dtype, args, device)

    def __instancecheck__(cls, obj):
        return isinstance(obj, TensorBase) and obj.dtype is cls.dtype


def _typed(name):
    return _TypedTensor(name + "Tensor", (), {"dtype": DTYPES[_NAMES.index(name)], "__module__": "torch"})


_NAMES = ["Bool", "Byte", "Char", "Short", "Int", "Long", "Half", "BFloat16", "Float", "Double"]
BoolTensor, ByteTensor, CharTensor, ShortTensor = map(_typed, _NAMES[:4])
IntTensor, LongTensor, HalfTensor, BFloat16Tensor = map(_typed, _NAMES[4:8])
FloatTensor, DoubleTensor = map(_typed, _NAMES[8:])
