"""Tensors in and out: NumPy arrays, DLPack, other dtypes, without copies where there can be none."""

import ctypes

import numpy as np

from . import _capture, _core, _dtype
from ._core import OP, TensorBase, fail, wrap
from ._dtype import DTYPES, FROM_NUMPY
from ._native import ffi, lib

# ---- NumPy ----


def from_numpy(array):
    """A Tensor of the array's memory, kept alive with it; a read-only array gives a tensor that refuses writes.

    TypeError for dtypes that tensors lack, ValueError for negative strides, strides that are not whole elements, and
    another byte order.
    """
    if not isinstance(array, np.ndarray):
        raise TypeError(f"expected np.ndarray (got {type(array).__name__})")
    _capture.refuse("using a NumPy array (pass it as a tensor among the arguments)")
    return adopt(array)


def adopt(array):
    """from_numpy for arrays that the library has made itself, also in a step that is being captured."""
    d = FROM_NUMPY.get(array.dtype)
    if d is None:
        from ._ops.from_data import array_dtype

        if array_dtype(array):
            raise ValueError(
                "given numpy array has byte order different from the native byte order. Conversion between "
                "byte orders is currently not supported."
            )
    size, strides = d.itemsize, array.strides
    if any(s % size for s in strides) or not array.flags.aligned:
        raise ValueError(
            "given numpy array strides not a multiple of the element byte size. Copy the numpy array first."
        )
    key = _core.hold(array)
    h = lib.ad_from_memory(
        d.code,
        array.__array_interface__["data"][0],
        array.shape,
        [s // size for s in strides],
        array.ndim,
        key,
        not array.flags.writeable,
    )
    if not h:
        _core.drop(key)
    return wrap(h)


def operand(array, t):
    """An array that stands beside a tensor in arithmetic, as a tensor: the result has the dtype that NumPy's own
    arithmetic gives."""
    d = DTYPES[lib.ad_dtype_of(t._h)].numpy
    return from_numpy(array if d is None else array.astype(np.result_type(array.dtype, d), copy=False))


def to_numpy(t, force=False):
    """A NumPy array of the tensor's memory; it keeps the tensor's storage alive."""
    if _capture.recording is not None and not lib.ad_capture_constant(t._h):
        _capture.refuse("reading a tensor's values (numpy(), tolist(), print)")
    if lib.ad_check_values(t._h):
        fail()
    if lib.ad_requires_grad(t._h):
        if not force:
            raise RuntimeError("Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy() instead.")
        t = t.detach()
    d = DTYPES[lib.ad_dtype_of(t._h)]
    if d.numpy is None:
        raise TypeError("Got unsupported ScalarType BFloat16: NumPy has no such type; convert with .float() first")
    h, n = t._h, lib.ad_ndim(t._h)
    owner = lib.ad_detach(h, 1)
    if not owner:
        fail()
    return np.asarray(_Memory(wrap(owner), ffi.unpack(lib.ad_sizes(h), n), ffi.unpack(lib.ad_strides(h), n), d))


class _Memory:
    """What NumPy reads an array's memory from; the array holds on to it, and it to the tensor."""

    def __init__(self, tensor, sizes, strides, d):
        self.tensor = tensor
        address = lib.ad_data_ptr(tensor._h) or 64  # of an empty tensor: NumPy 1 takes 0 for no array at all
        self.__array_interface__ = {
            "version": 3,
            "typestr": d.numpy.str,
            "shape": tuple(sizes),
            "strides": tuple(s * d.itemsize for s in strides),
            "data": (address, bool(lib.ad_storage_readonly(tensor._h))),
        }


# ---- storages ----


def on_storage(storage, d, offset, sizes, strides, cls=None):
    """A leaf tensor on a storage."""
    if len(sizes) != len(strides):
        raise RuntimeError(f"mismatch in length of strides {list(strides)} and sizes {list(sizes)}")
    h = lib.ad_on_storage(storage._h, d.code, offset, sizes, strides, len(sizes))
    if not h:
        fail()
    t = object.__new__(cls or _core.Tensor)
    t._h = h
    return t


def share(t, cls):
    """Another leaf tensor of the same memory, which requires grad if t does."""
    h, n = t._h, lib.ad_ndim(t._h)
    r = on_storage(t, t.dtype, lib.ad_offset(h), ffi.unpack(lib.ad_sizes(h), n), ffi.unpack(lib.ad_strides(h), n), cls)
    return r.requires_grad_() if lib.ad_requires_grad(h) else r


def reinterpret(raw, d, count):
    """A 1-d tensor of another dtype on the memory of one."""
    return on_storage(raw, d, 0, (count,), (1,))


# ---- DLPack ----


def to_capsule(t, max_version=None, dl_device=None, copy=None):
    """What Tensor.__dlpack__ returns. BufferError for tensors that require grad and for other devices."""
    if lib.ad_requires_grad(t._h):
        raise BufferError("Can't export tensors that require gradient, use tensor.detach()")
    if dl_device is not None and tuple(dl_device) != (1, 0):
        raise BufferError(f"cannot export to device {tuple(dl_device)}: tensors live on the CPU, (1, 0)")
    versioned = max_version is not None and max_version[0] >= 1
    if not versioned and lib.ad_storage_readonly(t._h) and not copy:
        raise BufferError("cannot export read-only memory to a reader of DLPack before version 1")
    if copy:
        t = t.clone()
    managed = lib.ad_dlpack_export(t._h, versioned, bool(copy))
    if not managed:
        fail()
    address = lib.dlpack_capsule(managed, versioned)
    if not address:
        lib.ad_dlpack_release(managed, versioned)
        raise MemoryError("cannot make a DLPack capsule")
    capsule = ctypes.cast(address, ctypes.py_object).value
    ctypes.pythonapi.Py_DecRef(ctypes.py_object(capsule))  # the reference that dlpack_capsule made
    return capsule


class _Managed:
    """A struct received through DLPack; its maker is told when the last tensor on it has gone."""

    __slots__ = ("managed", "versioned")

    def __init__(self, managed, versioned):
        self.managed, self.versioned = managed, versioned

    def __del__(self, _release=lib.ad_dlpack_release):
        _release(self.managed, self.versioned)


def from_dlpack(ext_tensor, *, device=None, copy=None):
    """A Tensor of the memory of any object with __dlpack__, or of a DLPack capsule."""
    if device is not None:
        _dtype.check_device(device)
    capsule = ext_tensor
    if hasattr(ext_tensor, "__dlpack__"):
        kind = ext_tensor.__dlpack_device__()
        if int(kind[0]) not in (1, 3):
            raise RuntimeError(f"from_dlpack: the memory is on device {tuple(map(int, kind))}, not on the CPU")
        try:
            capsule = ext_tensor.__dlpack__(max_version=(1, 0), **({} if copy is None else {"copy": copy}))
        except TypeError:  # a maker from before version 1
            if copy is not None:
                raise
            capsule = ext_tensor.__dlpack__()
    if type(capsule).__name__ != "PyCapsule":
        raise TypeError(f"from_dlpack(): expected an object with __dlpack__ or a capsule, not {type(capsule).__name__}")
    versioned = ffi.new("int *")
    managed = lib.dlpack_open(id(capsule), versioned)
    if not managed:
        raise RuntimeError(
            "from_dlpack received an invalid capsule. Note that DLTensor capsules can be consumed only once, "
            "so you might have already constructed a tensor from it once."
        )
    key = _core.hold(_Managed(managed, versioned[0]))
    h = lib.ad_dlpack_import(managed, versioned[0], key)
    if not h:
        _core.drop(key)
    return wrap(h)


def to_dlpack(tensor):
    """A DLPack capsule of a tensor's memory, to be opened once."""
    if not isinstance(tensor, TensorBase):
        raise TypeError(f"to_dlpack(): argument 'tensor' (position 1) must be Tensor, not {type(tensor).__name__}")
    return to_capsule(tensor)


# ---- conversions: methods of Tensor ----

_TO = OP["to"]


def _cast(t, d, memory_format=None):
    h = t._h
    if lib.ad_dtype_of(h) == d.code and memory_format in (None, _dtype.preserve_format):
        return t
    h = lib.ad_op1i(_TO, h, d.code, 0, 0)
    if not h:
        fail()
    r = wrap(h)
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
    for k, flag in enumerate(rest):  # non_blocking, for which there is nothing to do, and copy
        if k > 1 or not isinstance(flag, bool):
            raise TypeError("to() received an invalid combination of arguments")
        copy = flag if k == 1 else copy
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
        from ._complex import of_real

        return of_real(_cast(self, dtype.to_real(), memory_format))
    r = _cast(self, dtype, memory_format)
    return r.clone() if copy and r is self else r


_NO_CUDA = "Cannot initialize CUDA without ATen_cuda library: autodiffc computes on the CPU"


def type_(self, dtype=None, non_blocking=False, **kwargs):
    """The name of this tensor's type, or the tensor in another dtype (a dtype or such a name)."""
    if dtype is None:
        return f"torch.{_CLASSES[self.dtype.code]}Tensor"
    if isinstance(dtype, str):
        for code, name in enumerate(_CLASSES):
            if dtype == f"torch.{name}Tensor":
                return _cast(self, DTYPES[code])
        if dtype.startswith("torch.cuda."):
            raise RuntimeError(_NO_CUDA)
        raise ValueError(f"invalid type: {dtype!r}")
    if getattr(dtype, "__module__", "") == "torch.cuda":
        raise RuntimeError(_NO_CUDA)
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


def tensor(data, dtype=None):
    from ._ops.from_data import tensor

    return tensor(data, dtype=dtype)
