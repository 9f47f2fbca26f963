"""Memory that several processes see: an open file without a name, mapped."""

import mmap
import os
import tempfile
import weakref

import numpy as np

from .. import _core, interop
from .._native import lib

_blocks = weakref.WeakValueDictionary()
"""The blocks in use, by the core's pointer to the storage on them."""


class Block(np.ndarray):
    """The bytes of a shared file, which it keeps open."""

    fd = None

    @classmethod
    def on(cls, fd, nbytes):
        """A block on an open file, which it takes."""
        try:
            memory = mmap.mmap(fd, max(nbytes, 1))
        except BaseException:
            os.close(fd)
            raise
        block = np.frombuffer(memory, np.uint8, nbytes).view(cls)
        block.fd = fd
        weakref.finalize(block, os.close, fd)
        return block

    @classmethod
    def new(cls, nbytes):
        if hasattr(os, "memfd_create"):
            fd = os.memfd_create("autodiffc", getattr(os, "MFD_CLOEXEC", 0))
        else:
            fd, name = tempfile.mkstemp(prefix="autodiffc-")
            os.unlink(name)
        try:
            os.ftruncate(fd, max(nbytes, 1))
        except OSError:
            os.close(fd)
            raise
        return cls.on(fd, nbytes)


def tensor_on(block, dtype, offset, sizes, strides):
    """A tensor of a block's memory."""
    raw = interop.adopt(block)
    _blocks[lib.ad_storage_ptr(raw._h)] = block
    return interop.on_storage(raw, dtype, offset, sizes, strides)


def block_of(t):
    """The block that a tensor's storage lies on, or None."""
    return _blocks.get(lib.ad_storage_ptr(t._h))


def shared_copy(t):
    """A tensor of the same sizes, strides and values in shared memory."""
    source = t.detach()
    n = source.untyped_storage().nbytes()
    block = Block.new(n)
    if n:
        block[:] = source.untyped_storage().array()
    return tensor_on(block, source.dtype, source.storage_offset(), tuple(source.shape), tuple(source.stride()))


def move(t):
    """Moves a tensor to shared memory; other views of what it lay on stay where they are."""
    if block_of(t) is None:
        copy = shared_copy(t)
        if lib.ad_set_data(t._h, copy._h) < 0:
            _core.fail()
    return t
