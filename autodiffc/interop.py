"""NumPy arrays in and out, without copies."""

import numpy as np

from . import _core
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
