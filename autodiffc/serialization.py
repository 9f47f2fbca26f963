"""save() and load(): PyTorch's checkpoint files, written and read."""

import io
import os
import pickle
import sys
import threading
import warnings
import zlib
from contextlib import contextmanager
from enum import Enum

import numpy as np

from . import _archive, _dtype, _legacy_files, _weights_only_unpickler, interop
from ._native import lib
from ._pickle_names import Pickler, trusted_unpickler
from .storage import TypedStorage, UntypedStorage, storage_of

DEFAULT_PROTOCOL = 2


class LoadEndianness(Enum):
    """The byte order of files that do not name theirs."""

    NATIVE, LITTLE, BIG = 1, 2, 3


class SourceChangeWarning(Warning):
    """The source of a pickled module has changed. Never raised: sources are not stored."""


# ---- what may be loaded with weights_only ----

_safe = []


def add_safe_globals(safe_globals):
    """Lets load() make objects of these classes, and call these functions, with weights_only=True.

    Each is a class or function, or a pair of one and the name under which files have it.
    """
    for obj in safe_globals:
        if obj not in _safe:
            _safe.append(obj)


def get_safe_globals():
    """What add_safe_globals() was given so far."""
    return list(_safe)


def clear_safe_globals():
    """Takes back all that add_safe_globals() was given."""
    _safe.clear()


class safe_globals:
    """With these classes and functions allowed: `with safe_globals([Net]): load(...)`."""

    def __init__(self, safe_globals):
        self.safe_globals = list(safe_globals)

    def __enter__(self):
        self.before = list(_safe)
        add_safe_globals(self.safe_globals)

    def __exit__(self, *exc):
        _safe[:] = self.before


def get_unsafe_globals_in_checkpoint(f):
    """The names in a file that load() with weights_only=True refuses, as they stand: `module.name`."""
    with _opened(f) as data:
        if not _is_zip(data):
            raise ValueError("Expected input to be a checkpoint returned by torch.save but got a file that is no zip")
        archive = _archive.Reader(data)
        return _weights_only_unpickler.unsafe_globals(archive.read("data.pkl"), _safe)


# ---- options ----

_options = {"crc32": True, "endianness": None, "mmap": 2}


def set_crc32_options(compute_crc32):
    """Whether save() writes checksums, by which load() knows damaged files. Default: True."""
    _options["crc32"] = bool(compute_crc32)


def get_crc32_options():
    return _options["crc32"]


def set_default_load_endianness(endianness):
    """The byte order of files that do not name theirs; None: this machine's."""
    if endianness is not None and not isinstance(endianness, LoadEndianness):
        raise TypeError("Invalid argument type in function set_default_load_endianness")
    _options["endianness"] = endianness


def get_default_load_endianness():
    return _options["endianness"]


def get_default_mmap_options():
    return _options["mmap"]


class set_default_mmap_options:
    """Sets the flags of mapped files: mmap.MAP_PRIVATE alone, since writes to tensors never go to the file."""

    def __init__(self, flags):
        if flags != 2:
            raise NotImplementedError("set_default_mmap_options: load(mmap=True) maps files with MAP_PRIVATE only")

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        return


# ---- save ----


def save(obj, f, pickle_module=pickle, pickle_protocol=DEFAULT_PROTOCOL, _use_new_zipfile_serialization=True,
         _disable_byteorder_record=False):  # fmt: skip
    """Writes obj to f, a path or a file-like object with write(), in PyTorch's file format.

    Tensors that share memory share it in the file too, and whole storages are written. A path is written beside and
    renamed when it is whole: whoever stops the process before leaves the old file. `pickle_module` may be another one
    with a Pickler class. RuntimeError for a folder that does not exist, AttributeError for what is no file.
    """
    _check_protocol(pickle_protocol)
    if isinstance(f, (str, os.PathLike)):
        path = os.fspath(f)
        name = os.path.splitext(os.path.basename(path if isinstance(path, str) else os.fsdecode(path)))[0]
        with _replacing(path) as file:
            _save(obj, file, name or "archive", pickle_module, pickle_protocol, _use_new_zipfile_serialization,
                  not _disable_byteorder_record)  # fmt: skip
        return
    if not callable(getattr(f, "write", None)):
        raise AttributeError("expected 'f' to be string, path, or a file-like object with a 'write' attribute")
    _save(obj, f, "archive", pickle_module, pickle_protocol, _use_new_zipfile_serialization,
          not _disable_byteorder_record)  # fmt: skip


def _check_protocol(n):
    if not isinstance(n, int) or not 0 <= n <= pickle.HIGHEST_PROTOCOL:
        raise ValueError(f"pickle protocol must be <= {pickle.HIGHEST_PROTOCOL}, not {n!r}")


@contextmanager
def _replacing(path):
    """A file to write, which takes the place of `path` when it is whole."""
    path = os.path.realpath(path)
    folder = os.path.dirname(path)
    if not os.path.isdir(folder):
        raise RuntimeError(f"Parent directory {os.fsdecode(folder)} does not exist.")
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        mode = None
    if mode is not None and (mode & 0o170000 != 0o100000 or not os.access(folder, os.W_OK)):
        with open(path, "wb") as file:  # a device or pipe; or a folder in which there can be no second file
            yield file
        return
    beside = f"{os.fsdecode(path)}.{os.getpid()}.{threading.get_ident()}.part"
    try:
        with open(beside, "wb") as file:
            yield file
        if mode is not None:
            os.chmod(beside, mode & 0o7777)
        os.replace(beside, path)
    except BaseException:
        if os.path.exists(beside):
            os.unlink(beside)
        raise


def _save(obj, file, name, pickle_module, protocol, zipped, byteorder):
    if not zipped:
        return _legacy_files.save(obj, file, pickle_module, protocol)
    kept = Kept()
    pickled = io.BytesIO()
    kept.pickler(pickle_module, pickled, protocol).dump(obj)
    archive = _archive.Writer(file, name, _options["crc32"])
    archive.add("data.pkl", pickled.getbuffer())
    archive.add(".format_version", b"1")
    archive.add(".storage_alignment", str(_archive.ALIGNMENT).encode())
    if byteorder:
        archive.add("byteorder", sys.byteorder.encode())
    for key, storage in kept.storages.items():
        archive.add(f"data/{key}", storage.array().data)
    archive.add("version", b"3\n")
    archive.add(".data/serialization_id", f"{archive.seal:020d}{zlib.crc32(pickled.getbuffer()):020d}".encode())
    archive.close()


class Kept:
    """The storages that a pickle refers to, by the names that it has for them.

    `old`: the references have six parts, as in files from before PyTorch 1.6.
    """

    def __init__(self):
        self.storages, self.names, self.dtypes = {}, {}, {}
        self.old = False

    def reference(self, storage):
        """What stands in the pickle for a storage."""
        if isinstance(storage, TypedStorage):
            d, untyped = storage.dtype, storage.untyped()
            kind, n = _legacy_files.storage_class(d), storage.size()
        else:
            d, untyped, kind, n = _dtype.uint8, storage, UntypedStorage, storage.nbytes()
        pointer = lib.ad_storage_ptr(untyped._h)
        if self.dtypes.setdefault(pointer, d) is not d:
            raise RuntimeError("Cannot save multiple tensors or storages that view the same data as different types")
        key = self.names.setdefault(pointer, str(len(self.names)))
        self.storages[key] = untyped
        return ("storage", kind, key, "cpu", n, None) if self.old else ("storage", kind, key, "cpu", n)

    def dtype_of(self, key):
        return self.dtypes[lib.ad_storage_ptr(self.storages[key]._h)]

    def persistent_id(self, obj):
        return self.reference(obj) if isinstance(obj, (TypedStorage, UntypedStorage)) else None

    def pickler(self, module, file, protocol):
        """A pickler that puts references in the place of storages."""
        if module is pickle or module is None:
            return Pickler(file, protocol, self.persistent_id)
        base = module.Pickler

        class Other(base):
            def persistent_id(_, obj):
                return self.persistent_id(obj)

        return Other(file, protocol)


# ---- load ----


def load(f, map_location=None, pickle_module=None, *, weights_only=None, mmap=None, **pickle_load_args):
    """The object that save() (PyTorch's or this one) wrote to f, a path or a file-like object.

    weights_only (default True) admits tensors, numbers, text and containers, and what add_safe_globals() was given;
    False runs what the file says, and is for files from sources that you trust. map_location must lead to the CPU.
    With mmap, memory is read from the file when it is used. RuntimeError, EOFError or pickle.UnpicklingError for a
    damaged file; UnpicklingError for names that weights_only refuses.
    """
    if weights_only is None:
        weights_only = pickle_module is None
    if weights_only and pickle_module is not None:
        raise RuntimeError("Can not safely load weights when explicit pickle_module is specified")
    if mmap and not isinstance(f, (str, os.PathLike)):
        raise ValueError("f must be a file path in order to use the mmap argument")
    restore = _restorer(map_location)
    with _opened(f, mmap) as data:
        if not _is_zip(data):
            if mmap:
                raise RuntimeError("mmap can only be used with files saved with "
                                   "`torch.save(_use_new_zipfile_serialization=True)`")  # fmt: skip
            data = memoryview(data[:])
            result, end = _legacy_files.load(data, restore, pickle_module, weights_only, _safe, pickle_load_args)
            if callable(getattr(f, "seek", None)):  # there may be another one behind it
                f.seek(end - len(data), os.SEEK_CUR)
            return result
        archive = _archive.Reader(data)
        if archive.has("constants.pkl"):
            raise RuntimeError("the file is a TorchScript archive: autodiffc cannot run those. Save the state_dict() "
                               "of the module with PyTorch, and load that")  # fmt: skip
        return _load(archive, restore, pickle_module, weights_only, mmap, pickle_load_args)


@contextmanager
def _opened(f, mmap=False):
    """The bytes of a file: mapped, or read from where a file-like object stands."""
    if isinstance(f, (str, os.PathLike)):
        with open(f, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            if mmap and size:
                import mmap as mapping

                yield memoryview(mapping.mmap(file.fileno(), 0, access=mapping.ACCESS_COPY))
                return  # it is unmapped when the last tensor on it has gone
            whole = not os.path.isfile(f)  # a pipe, say
            yield memoryview(file.read()) if whole else _archive.FileBytes(file, size)
        return
    if not callable(getattr(f, "read", None)):
        raise AttributeError(
            f"'{type(f).__name__}' object has no attribute 'read'. You can only torch.load from a path or from a "
            "file-like object."
        )
    data = f.read()
    if not isinstance(data, (bytes, bytearray, memoryview)):
        raise TypeError(f"load(): expected a file opened in binary mode, but its read() gave {type(data).__name__}")
    yield memoryview(data)


def _is_zip(data):
    return data[:4] == b"PK\3\4"


def _load(archive, restore, pickle_module, weights_only, mmap, pickle_load_args):
    swapped = _swapped(archive)
    known = {}

    def persistent_load(key):
        kind, cls, name, location, n = _reference(key)
        if name not in known:
            known[name] = restore(storage(name), location)
        untyped = known[name]
        d = cls.dtype if cls is not UntypedStorage else _dtype.uint8
        if n * d.itemsize > untyped.nbytes():
            raise _archive.damaged(f"storage {name!r} of {n} elements of {d} has {untyped.nbytes()} bytes")
        if swapped and d.itemsize > 1 and name not in turned:
            turned.add(name)
            array = untyped.array()[: n * d.itemsize]
            array[:] = array.view(f"u{d.itemsize}").byteswap().view(np.uint8)
        return TypedStorage(untyped, d)

    turned = set()

    def storage(name):
        begin, size = archive.span("data/" + name)
        if mmap and size and begin % 16 == 0:
            return mapped_storage(archive.data[begin : begin + size])
        s = UntypedStorage(size)
        if size:
            archive.read_into("data/" + name, memoryview(s.array()))
        return s

    data = archive.read("data.pkl")
    if weights_only:
        return weights(_weights_only_unpickler.Machine(data, persistent_load, safe=_safe,
                                                       encoding=pickle_load_args.get("encoding", "utf-8")))  # fmt: skip
    return trusted_unpickler(pickle_module, io.BytesIO(data), persistent_load, pickle_load_args).load()


def _swapped(archive):
    """Whether the storages have the other byte order."""
    if archive.has("byteorder"):
        order = bytes(archive.read("byteorder"))
        if order not in (b"little", b"big"):
            raise _archive.damaged(f"it names no byte order, but {order[:20]!r}")
        return order != sys.byteorder.encode()
    wanted = _options["endianness"]
    if wanted in (None, LoadEndianness.NATIVE):
        return False
    return (wanted is LoadEndianness.LITTLE) != (sys.byteorder == "little")


def _reference(key):
    """The parts of a reference to a storage, checked."""
    if not isinstance(key, tuple) or len(key) != 5 or key[0] != "storage":
        raise pickle.UnpicklingError("a reference to something else than a storage")
    _, cls, name, location, n = key
    if cls is not UntypedStorage and not isinstance(getattr(cls, "dtype", None), _dtype.dtype):
        raise pickle.UnpicklingError(f"a storage of unknown type {cls!r}"[:80])
    if not isinstance(name, str) or not isinstance(location, str) or type(n) is not int or n < 0:
        raise pickle.UnpicklingError("a reference to a storage whose name, place or size is of the wrong kind")
    return key


def weights(machine):
    """What a weights_only machine reads, with advice for what it refuses."""
    try:
        return machine.load()
    except _weights_only_unpickler.Refused as e:
        raise pickle.UnpicklingError(
            "Weights only load failed. The file holds more than tensors, numbers, text and containers. If you trust "
            "its source, either call load() with weights_only=False, which runs what the file says, or allow what it "
            f"needs by name.\n\tWeightsUnpickler error: {e}"
        ) from None


def mapped_storage(data):
    """A storage that is these bytes."""
    return storage_of(interop.adopt(np.frombuffer(data, np.uint8)))


# ---- where storages go ----


def _restorer(map_location):
    """The function (storage, location) -> storage of a map_location."""
    if map_location is None:
        return default_restore_location
    if isinstance(map_location, dict):
        return lambda storage, location: default_restore_location(storage, map_location.get(location, location))
    if isinstance(map_location, (str, bytes, _dtype.device)):
        place = map_location.decode() if isinstance(map_location, bytes) else str(map_location)
        return lambda storage, location: default_restore_location(storage, place)
    if not callable(map_location):
        raise TypeError("map_location must be a function, device, text, dict or None, not "
                        f"{type(map_location).__name__}")

    def restore(storage, location):
        result = map_location(storage, location)
        if result is None:
            return default_restore_location(storage, location)
        result = result.untyped() if isinstance(result, TypedStorage) else result
        if not isinstance(result, UntypedStorage):
            raise TypeError(f"map_location returned a {type(result).__name__} instead of a storage or None")
        return result

    return restore


_packages = []


def register_package(priority, tagger, deserializer):
    """Adds deserializer(storage, location), which is asked for places that are not the CPU, by rising priority."""
    _packages.append((priority, tagger, deserializer))
    _packages.sort(key=lambda p: p[0])


def default_restore_location(storage, location):
    """The storage, when `location` is the CPU. RuntimeError for the places that are not there."""
    if location == "cpu" or location.startswith("cpu:"):
        return storage
    for _, _, deserializer in _packages:
        result = deserializer(storage, location)
        if result is not None:
            return result
    kind = location.partition(":")[0]
    if kind == "cuda":
        raise RuntimeError(
            "Attempting to deserialize object on a CUDA device but torch.cuda.is_available() is False. If you are "
            "running on a CPU-only machine, please use torch.load with map_location=torch.device('cpu') to map your "
            "storages to the CPU."
        )
    raise RuntimeError(f"don't know how to restore data location of {UntypedStorage.__module__}.UntypedStorage "
                       f"(tagged with {location[:80]}); map_location='cpu' loads it to the CPU")  # fmt: skip


def location_tag(storage):
    """Where a storage lies, as files name it: "cpu"."""
    return "cpu"


def check_module_version_greater_or_equal(module, req_version_tuple, error_if_malformed=True):
    """Whether module.__version__ is at least a tuple such as (0, 3, 1)."""
    try:
        found = tuple(int(n) for n in module.__version__.split(".")[: len(req_version_tuple)])
    except ValueError as e:
        text = f"'{module.__name__}' module version string is malformed '{module.__version__}'"
        if error_if_malformed:
            raise RuntimeError(text) from e
        warnings.warn(text, stacklevel=2)
        return True
    return found >= tuple(req_version_tuple)


__all__ = ["LoadEndianness", "SourceChangeWarning", "add_safe_globals", "check_module_version_greater_or_equal",
           "clear_safe_globals", "default_restore_location", "get_crc32_options", "get_default_load_endianness",
           "get_default_mmap_options", "get_safe_globals", "get_unsafe_globals_in_checkpoint", "load", "location_tag",
           "register_package", "safe_globals", "save", "set_crc32_options", "set_default_load_endianness",
           "set_default_mmap_options"]  # fmt: skip
