"""Checkpoint files from before PyTorch 1.6: a pickle, then the storages one after the other."""

import io
import pickle
import struct
import sys

import numpy as np

from . import _dtype, storage
from ._archive import damaged
from ._pickle_names import trusted_unpickler
from ._weights_only_unpickler import Machine

MAGIC = 0x1950A86A20F9469CFC6C
PROTOCOL = 1001


def storage_class(d):
    """FloatStorage for float32, and so on."""
    return getattr(storage, storage.CLASSES[d.code])


def save(obj, file, pickle_module, protocol):
    """Writes obj in this format, which PyTorch reads too."""
    from .serialization import Kept

    kept = Kept()
    kept.old = True
    about = {"protocol_version": PROTOCOL, "little_endian": sys.byteorder == "little",
             "type_sizes": {"short": 2, "int": 4, "long": 4}}  # fmt: skip
    for head in (MAGIC, PROTOCOL, about):
        pickle.dump(head, file, protocol)
    kept.pickler(pickle_module, file, protocol).dump(obj)
    pickle.dump(list(kept.storages), file, protocol)
    for key, s in kept.storages.items():
        file.write(struct.pack("<q", s.nbytes() // kept.dtype_of(key).itemsize))
        file.write(s.array().data)


def load(data, restore, pickle_module, weights_only, safe, arguments):
    """(the object of a file in this format, which lies in a memoryview, where it ends)."""
    from .serialization import weights

    if len(data) == 0:
        raise EOFError("Ran out of input: the file is empty")
    if data[257:262] == b"ustar":
        raise RuntimeError("the file is in PyTorch's tar format from before version 0.2: load it and save it again "
                           "with a PyTorch that reads it")  # fmt: skip
    storages = _Storages(data, restore)
    if weights_only:
        machine = Machine(data, storages.find, safe=safe, encoding=arguments.get("encoding", "utf-8"))
        result = _pickles(lambda: weights(machine))
        end = machine.at
    else:
        file = io.BytesIO(data)
        result = _pickles(lambda: trusted_unpickler(pickle_module, file, storages.find, arguments).load())
        end = file.tell()
    result, about, keys = result
    swapped = isinstance(about, dict) and about.get("little_endian", True) is not (sys.byteorder == "little")
    return result, storages.fill(keys, end, swapped)


def _pickles(read):
    """The object, what the file says about itself, and the names of its storages."""
    if read() != MAGIC:
        raise pickle.UnpicklingError("the file is no checkpoint: it starts with neither a zip archive nor PyTorch's "
                                     "magic number")  # fmt: skip
    version = read()
    if version != PROTOCOL:
        raise RuntimeError(f"Invalid protocol version: {version!r:.40}")
    about = read()
    result = read()
    return result, about, read()


class _Storages:
    """The storages of a file: named in its pickle, filled from what follows."""

    def __init__(self, data, restore):
        self.data, self.restore = data, restore
        self.room, self.known = len(data), {}

    def find(self, key):
        if not isinstance(key, tuple) or len(key) not in (3, 4, 5, 6) or key[0] not in ("storage", "module"):
            raise pickle.UnpicklingError("a reference to something else than a storage")
        if key[0] == "module":
            return key[1]  # a class, with its source when it was saved
        if len(key) == 6 and key[5] is not None:
            raise NotImplementedError("storages that are parts of other storages, from before PyTorch 0.4")
        _, cls, name, location, n = _reference(key[:5])
        d = _dtype.uint8 if cls is storage.UntypedStorage else cls.dtype
        if name not in self.known:
            self.room -= n * d.itemsize
            if self.room < 0:
                raise damaged(f"storage {name!r} of {n} elements of {d} is larger than the file")
            self.known[name] = self.restore(storage.UntypedStorage(n * d.itemsize), location), d
        found, own = self.known[name]
        if own is not d:
            raise pickle.UnpicklingError(f"storage {name!r:.40} has two types")
        return storage.TypedStorage(found, d)

    def fill(self, keys, at, swapped):
        """Reads the bytes of the named storages; returns where they end."""
        if not isinstance(keys, list) or sorted(map(str, keys)) != sorted(self.known):
            raise damaged("its list of storages is not that of its tensors")
        for key in keys:
            found, d = self.known[key]
            if at + 8 > len(self.data):
                raise EOFError(f"the file is cut off before storage {key!r}")
            (n,) = struct.unpack_from("<q", self.data, at)
            at += 8
            if n * d.itemsize != found.nbytes():
                raise damaged(f"storage {key!r} has {n} elements of {d}, but {found.nbytes()} bytes are due")
            if at + found.nbytes() > len(self.data):
                raise EOFError(f"the file is cut off in storage {key!r}")
            if n:
                array = np.frombuffer(self.data[at : at + found.nbytes()], np.uint8)
                found.array()[:] = array.view(f"u{d.itemsize}").byteswap().view(np.uint8) if swapped else array
            at += found.nbytes()
        return at


def _reference(key):
    from .serialization import _reference

    return _reference(key)
