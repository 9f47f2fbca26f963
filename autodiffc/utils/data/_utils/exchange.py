"""Batches from worker processes to the main one: tensors through shared memory, the rest beside them.

Each worker has as many slots as batches may wait for it. A slot is a file in memory (or in the temporary folder) that
the worker fills and the main process reads; it keeps its pages from batch to batch, and has no name as soon as both
have opened it, so that nothing is left behind.
"""

import errno
import io
import mmap
import os
import pickle
import tempfile
import threading

import numpy as np

from .... import _core
from ...._core import TensorBase
from ...._dtype import DTYPES
from ....interop import on_storage
from ....storage import UntypedStorage

_ALIGN = 64
_here = threading.local()


def folder():
    return "/dev/shm" if os.path.isdir("/dev/shm") and os.access("/dev/shm", os.W_OK) else tempfile.gettempdir()


class Slot:
    """The worker's side: memory that grows when a batch needs more."""

    def __init__(self, prefix):
        self.prefix, self.memory, self.count, self.name = prefix, None, 0, None

    def room(self, n):
        """Memory of at least n bytes; the name of a new file when there is one."""
        if self.memory is not None and len(self.memory) >= n:
            return None
        self.count += 1
        name = f"{self.prefix}-{self.count}"
        size = -(-max(n + n // 8, 1 << 16) // mmap.PAGESIZE) * mmap.PAGESIZE
        try:
            self.memory = _mapped(name, size)
        except OSError as e:
            other = os.path.join(tempfile.gettempdir(), os.path.basename(name))
            if e.errno != errno.ENOSPC or other == name:
                raise
            name, self.memory = other, _mapped(other, size)  # containers often have little shared memory
        return name


def _mapped(name, size):
    """The memory of a new file."""
    fd = os.open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(fd, 0, size)  # an error here, and not a signal when the memory is used
        else:
            os.ftruncate(fd, size)
        return mmap.mmap(fd, size)
    except BaseException:
        os.unlink(name)
        raise
    finally:
        os.close(fd)


class _Packer(pickle.Pickler):
    """Puts what is large aside."""

    def __init__(self, file):
        super().__init__(file, 5)
        self.parts, self.at = [], 0

    def aside(self, array):
        at = self.at
        self.parts.append((at, array))
        self.at = -(-(at + array.nbytes) // _ALIGN) * _ALIGN
        return at

    def reducer_override(self, obj):
        if isinstance(obj, TensorBase):
            if type(obj) is not _core.Tensor or obj.requires_grad or obj.__dict__:
                return NotImplemented
            if obj.untyped_storage().nbytes() > obj.nbytes:  # a part of something larger
                obj = obj.clone() if obj.is_contiguous() else obj.contiguous()
            array = obj.untyped_storage().array()
            return _tensor_from, (self.aside(array), array.nbytes, obj.dtype.code, obj.storage_offset(),
                                  tuple(obj.shape), obj.stride())  # fmt: skip
        if isinstance(obj, UntypedStorage):
            array = obj.array()
            return _storage_from, (self.aside(array), array.nbytes)
        if type(obj) is np.ndarray and obj.nbytes > 4096 and not obj.dtype.hasobject and obj.flags.c_contiguous:
            return _array_from, (self.aside(obj), obj.nbytes, obj.dtype, obj.shape)
        return NotImplemented


def pack(obj, slot):
    """Writes obj into a slot; returns what unpack() needs, a few bytes: (name of a new file or None, begin, end)."""
    file = io.BytesIO()
    packer = _Packer(file)
    packer.dump(obj)
    begin = packer.at
    size = begin + file.tell()
    name = slot.room(size)
    memory = slot.memory
    whole = np.frombuffer(memory, np.uint8)
    for at, array in packer.parts:
        if array.nbytes:
            whole[at : at + array.nbytes] = array.reshape(-1).view(np.uint8)
    memory[begin:size] = file.getbuffer()
    return name, begin, size


class Reader:
    """The main process's side of a slot."""

    def __init__(self):
        self.memory = None

    def unpack(self, message):
        """The object, in memory of its own: the slot may be filled again."""
        name, begin, end = message
        if name is not None:
            with open(name, "r+b") as file:
                self.memory = mmap.mmap(file.fileno(), 0)
            os.unlink(name)
        _here.memory = self.memory
        try:
            return pickle.loads(memoryview(self.memory)[begin:end])
        finally:
            _here.memory = None


def _bytes_at(at, n):
    return np.frombuffer(_here.memory, np.uint8, n, at)


def _storage_from(at, n):
    s = UntypedStorage(n)
    if n:
        s.array()[:] = _bytes_at(at, n)
    return s


def _tensor_from(at, n, code, offset, sizes, strides):
    return on_storage(_storage_from(at, n), DTYPES[code], offset, sizes, strides)


def _array_from(at, n, dtype, shape):
    return _bytes_at(at, n).copy().view(dtype).reshape(shape)


