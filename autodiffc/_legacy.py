"""Tensor(...), FloatTensor(...) and their kin: PyTorch's constructors from before tensor()."""

import numpy as np

from . import _core, _dtype
from ._core import TensorBase, fail
from ._dtype import DTYPES
from ._native import lib
from ._ops import creation, from_data


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
        made = from_data.tensor(first, dtype=d)
        lib.ad_retain(made._h)
        h = made._h
    if not h:
        fail()
    t = object.__new__(cls)
    t._h = h
    return t


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
