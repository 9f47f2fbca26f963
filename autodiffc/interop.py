"""NumPy arrays in and out, without copies."""

import numpy as np

from . import _core, _dtype
from ._core import OP, TensorBase
from ._dtype import DTYPES, FROM_NUMPY
from ._native import ffi, lib


def from_numpy(array):
    """A Tensor of the array's memory, kept alive with it. TypeError for dtypes that tensors lack, ValueError for
    negative strides or strides that are not whole elements."""
    if not isinstance(array, np.ndarray):
        raise TypeError(f"expected np.ndarray (got {type(array).__name__})")
    d = FROM_NUMPY.get(array.dtype)
    if d is None:
        raise TypeError(
            f"can't convert np.ndarray of type {array.dtype}. The only supported types are: float64, float32, float16, "
            "int64, int32, int16, int8, uint8, and bool."
        )
    size = d.itemsize
    if any(s % size for s in array.strides):
        raise ValueError("given numpy array strides not a multiple of the element byte size. Copy the numpy array first.")
    key = _core.hold(array)
    h = lib.ad_from_memory(d.code, array.__array_interface__["data"][0], array.shape, [s // size for s in array.strides],
                           array.ndim, key, not array.flags.writeable)
    if not h:
        _core.drop(key)
    return _core.wrap(h)


def to_numpy(t, force=False):
    """A NumPy array of the tensor's memory; it keeps the tensor's storage alive."""
    if lib.ad_requires_grad(t._h):
        if not force:
            raise RuntimeError("Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy() instead.")
        t = t.detach()
    d = DTYPES[lib.ad_dtype_of(t._h)]
    if d.numpy is None:
        raise TypeError(f"Got unsupported ScalarType {d.name}: NumPy has no such type; convert with .float() first")
    h, n = t._h, lib.ad_ndim(t._h)
    owner = lib.ad_detach(h, 1)
    if not owner:
        _core.fail()
    return np.asarray(_Memory(_core.wrap(owner), ffi.unpack(lib.ad_sizes(h), n), ffi.unpack(lib.ad_strides(h), n), d))


class _Memory:
    """What NumPy reads an array's memory from; the array holds on to it, and it to the tensor."""

    def __init__(self, tensor, sizes, strides, d):
        self.tensor = tensor
        self.__array_interface__ = {
            "version": 3,
            "typestr": d.numpy.str,
            "shape": tuple(sizes),
            "strides": tuple(s * d.itemsize for s in strides),
            "data": (lib.ad_data_ptr(tensor._h), bool(lib.ad_storage_readonly(tensor._h))),
        }


# ---- conversions: methods of Tensor ----

_TO = OP["to"]


def _cast(t, d, memory_format=None):
    h = t._h
    if lib.ad_dtype_of(h) == d.code and memory_format in (None, _dtype.preserve_format):
        return t
    h = lib.ad_op1i(_TO, h, d.code, 0, 0)
    if not h:
        _core.fail()
    r = _core.wrap(h)
    return r if memory_format in (None, _dtype.preserve_format) else r.contiguous(memory_format=memory_format)


def to(self, *args, dtype=None, device=None, non_blocking=False, copy=False, memory_format=None, other=None):
    """This tensor in another dtype (or like `other`): itself when it is so already, unless copy.

    to(dtype), to(device, dtype), to(other), each with non_blocking and copy after them.
    """
    rest = list(args)
    if rest:
        first = rest.pop(0)
        if isinstance(first, _dtype.dtype) or first in (float, int, bool):
            dtype = first
        elif isinstance(first, TensorBase):
            other = first
        elif isinstance(first, (str, int, _dtype.device)) or first is None:
            device = first
            if rest and (rest[0] is None or not isinstance(rest[0], bool)):
                dtype = rest.pop(0)
        else:
            raise TypeError(f"to() received an invalid combination of arguments - got ({type(first).__name__})")
    if rest:
        non_blocking = rest.pop(0)
    if rest:
        copy = rest.pop(0)
    if device is not None:
        _dtype.check_device(device)
    if other is not None:
        dtype = other.dtype
    if dtype is None:
        dtype = self.dtype
    elif not isinstance(dtype, _dtype.dtype):
        from ._ops.creation import as_dtype

        dtype = as_dtype(dtype, "to")
    if dtype.is_complex:
        raise NotImplementedError(f"to(): complex tensors ({dtype}) are not supported")
    r = _cast(self, dtype, memory_format)
    return r.clone() if copy and r is self else r


def type_(self, dtype=None, non_blocking=False, **kwargs):
    """The name of this tensor's type, or the tensor in another dtype (a dtype or such a name)."""
    if dtype is None:
        return f"torch.{_CLASSES[self.dtype.code]}Tensor"
    if isinstance(dtype, str):
        for code, name in enumerate(_CLASSES):
            if dtype == f"torch.{name}Tensor":
                return _cast(self, DTYPES[code])
        raise ValueError(f"invalid type: {dtype!r}")
    return to(self, getattr(dtype, "dtype", dtype))


_CLASSES = ["Bool", "Byte", "Char", "Short", "Int", "Long", "Half", "BFloat16", "Float", "Double"]


def type_as(self, other):
    """This tensor in other's dtype."""
    return _cast(self, other.dtype)


def cpu(self, memory_format=None):
    """This tensor: it is there already."""
    return self if memory_format is None else _cast(self, self.dtype, memory_format)


def cuda(self, device=None, non_blocking=False, memory_format=None):
    """AssertionError, as from a PyTorch without CUDA."""
    raise AssertionError("Torch not compiled with CUDA enabled")


def float_(self, memory_format=None):
    """This tensor in float32."""
    return _cast(self, _dtype.float32, memory_format)


def double(self, memory_format=None):
    """This tensor in float64."""
    return _cast(self, _dtype.float64, memory_format)


def half(self, memory_format=None):
    """This tensor in float16."""
    return _cast(self, _dtype.float16, memory_format)


def bfloat16(self, memory_format=None):
    """This tensor in bfloat16."""
    return _cast(self, _dtype.bfloat16, memory_format)


def long(self, memory_format=None):
    """This tensor in int64."""
    return _cast(self, _dtype.int64, memory_format)


def int_(self, memory_format=None):
    """This tensor in int32."""
    return _cast(self, _dtype.int32, memory_format)


def short(self, memory_format=None):
    """This tensor in int16."""
    return _cast(self, _dtype.int16, memory_format)


def char(self, memory_format=None):
    """This tensor in int8."""
    return _cast(self, _dtype.int8, memory_format)


def byte(self, memory_format=None):
    """This tensor in uint8."""
    return _cast(self, _dtype.uint8, memory_format)


def bool_(self, memory_format=None):
    """This tensor in bool: whether each element is nonzero."""
    return _cast(self, _dtype.bool_, memory_format)
