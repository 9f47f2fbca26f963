"""The memory behind tensors, as PyTorch's storage classes show it."""

import copy
import pickle
import weakref

import numpy as np

from . import _dtype
from ._core import fail
from ._native import ffi, lib


class UntypedStorage:
    """The bytes that a tensor and its views share. It keeps them alive."""

    __slots__ = ("_h", "__weakref__")

    device = _dtype.CPU
    is_cuda = False

    def __init__(self, size=0):
        self._h = lib.ad_empty(_dtype.uint8.code, [size], 1) or fail()

    def __del__(self, _release=lib.ad_release):
        try:
            _release(self._h)
        except AttributeError:  # __init__ raised before there was a handle
            return

    def data_ptr(self) -> int:
        return lib.ad_storage_data(self._h)

    def nbytes(self) -> int:
        return lib.ad_storage_nbytes(self._h)

    size = __len__ = nbytes

    def element_size(self) -> int:
        return 1

    def is_shared(self):
        return False

    def is_pinned(self, device=None):
        return False

    def array(self):
        """The bytes as a NumPy array of the same memory."""
        n = self.nbytes()
        a = np.frombuffer(ffi.buffer(ffi.cast("char *", self.data_ptr()), n), np.uint8) if n else np.empty(0, np.uint8)
        return _Owned.of(a, self) if n else a

    def as_tensor(self, d):
        """A 1-d tensor of all the whole elements of a dtype."""
        from .interop import on_storage

        n = self.nbytes() // d.itemsize
        return on_storage(self, d, 0, (n,), (1,))

    def typed(self, d):
        return TypedStorage(self, d)

    def untyped(self):
        return self

    def tolist(self):
        return self.array().tolist()

    def __getitem__(self, i):
        """A byte, or the storage of a range of them, in the same memory."""
        if not isinstance(i, slice):
            return self.array()[i].item()
        if i.step not in (None, 1):
            raise RuntimeError(f"Trying to slice with a step of {i.step}, but only a step of 1 is supported")
        from .interop import adopt

        return storage_of(adopt(self.array()[i]))

    @classmethod
    def from_file(cls, filename, shared=False, nbytes=0):
        """The bytes of a file: of one that is read or, if shared, also written (it grows to nbytes then)."""
        import mmap
        import os

        from .interop import adopt

        with open(filename, "r+b" if shared else "rb") as f:
            size = os.fstat(f.fileno()).st_size
            if size < nbytes:
                if not shared:
                    raise RuntimeError(f"unable to map {nbytes} bytes of file {filename}, which has {size}")
                f.truncate(nbytes)
            n = nbytes or size
            memory = mmap.mmap(f.fileno(), n, access=mmap.ACCESS_WRITE if shared else mmap.ACCESS_COPY) if n else b""
        return storage_of(adopt(np.frombuffer(memory, np.uint8, n)))

    def __setitem__(self, i, value):
        self.array()[i] = value

    def __iter__(self):
        return iter(self.tolist())

    def cpu(self):
        return self

    def clone(self):
        s = UntypedStorage(self.nbytes())
        if self.nbytes():
            s.array()[:] = self.array()
        return s

    def fill_(self, value):
        if self.nbytes():
            self.array()[:] = value
        return self

    def copy_(self, source, non_blocking=None):
        self.array()[:] = source.array()
        return self

    def __copy__(self):
        return self.clone()

    def __deepcopy__(self, memo):
        return memo.setdefault(id(self), self.clone())

    def __reduce_ex__(self, protocol):
        a = self.array()
        return (_storage_from, (pickle.PickleBuffer(a) if protocol >= 5 else a.tobytes(),))

    def __eq__(self, other):
        if not isinstance(other, UntypedStorage):
            return NotImplemented
        return lib.ad_storage_ptr(self._h) == lib.ad_storage_ptr(other._h)

    def __hash__(self):
        return hash(lib.ad_storage_ptr(self._h))

    def __repr__(self):
        return f"UntypedStorage of {self.nbytes()} bytes"


class _Owned(np.ndarray):
    """An array that keeps the storage behind it alive."""

    @classmethod
    def of(cls, a, owner):
        v = a.view(cls)
        v.owner = owner
        return v

    def __array_finalize__(self, other):
        self.owner = getattr(other, "owner", None)


class TypedStorage:
    """A storage seen as elements of one dtype."""

    is_cuda = False

    __slots__ = ("_untyped_storage", "dtype")

    device = _dtype.CPU

    def __init__(self, storage, dtype):
        self._untyped_storage, self.dtype = storage, dtype

    def untyped(self):
        return self._untyped_storage

    def data_ptr(self) -> int:
        return self._untyped_storage.data_ptr()

    def nbytes(self) -> int:
        return self._untyped_storage.nbytes()

    def size(self) -> int:
        return self.nbytes() // self.dtype.itemsize

    __len__ = size

    def element_size(self) -> int:
        return self.dtype.itemsize

    def tolist(self):
        return self._untyped_storage.as_tensor(self.dtype).tolist()

    def __getitem__(self, i):
        return self.tolist()[i]

    def __iter__(self):
        return iter(self.tolist())

    def __eq__(self, other):
        return isinstance(other, TypedStorage) and self.dtype is other.dtype and self.untyped() == other.untyped()

    __hash__ = None

    def cpu(self):
        return self

    def clone(self):
        return TypedStorage(self._untyped_storage.clone(), self.dtype)

    def __copy__(self):
        return self.clone()

    def __deepcopy__(self, memo):
        return TypedStorage(copy.deepcopy(self._untyped_storage, memo), self.dtype)

    def __reduce_ex__(self, protocol):
        return (TypedStorage, (self._untyped_storage, self.dtype))

    def __repr__(self):
        return f"TypedStorage of {self.size()} elements of {self.dtype}"


class _StorageClass(type):
    """The classes FloatStorage and so on: callable, and isinstance() asks for the dtype."""

    def __call__(cls, size=0):
        """A storage of `size` elements, or of a sequence of numbers."""
        if hasattr(size, "__index__"):
            return TypedStorage(UntypedStorage(size * cls.dtype.itemsize), cls.dtype)
        from ._ops.from_data import tensor

        return storage_of(tensor(list(size), dtype=cls.dtype)).typed(cls.dtype)

    def __instancecheck__(cls, obj):
        return isinstance(obj, TypedStorage) and obj.dtype is cls.dtype


def _storage_class(name, d):
    return _StorageClass(name, (), {"dtype": d, "__module__": __package__})


CLASSES = ("BoolStorage", "ByteStorage", "CharStorage", "ShortStorage", "IntStorage", "LongStorage", "HalfStorage",
           "BFloat16Storage", "FloatStorage", "DoubleStorage")  # fmt: skip
BoolStorage, ByteStorage, CharStorage, ShortStorage, IntStorage, LongStorage, HalfStorage, BFloat16Storage, \
    FloatStorage, DoubleStorage = map(_storage_class, CLASSES, _dtype.DTYPES)  # fmt: skip
"""PyTorch's classes of storages, by which its files name the dtype of one."""


_known = weakref.WeakValueDictionary()
"""The storage objects in use, by the core's pointer: two tensors of one memory give the same object, so that a pickle
or a deepcopy holds the memory once."""


def storage_of(t):
    key = lib.ad_storage_ptr(t._h)
    s = _known.get(key)
    if s is None:
        s = object.__new__(UntypedStorage)
        s._h = lib.ad_detach(t._h, 1) or fail()
        _known[key] = s
    return s


def _storage_from(data):
    s = UntypedStorage(len(data))
    if len(data):
        s.array()[:] = np.frombuffer(data, np.uint8)
    return s
