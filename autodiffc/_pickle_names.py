"""Pickles that speak of torch: what is ours is written under PyTorch's names, and those are read as ours."""

import importlib
import pickle
import struct
import sys
from collections import OrderedDict
from types import FunctionType

from . import _dtype, _utils
from ._pickle_tables import CLASSES_OF_OLD, MODULES
from .storage import TypedStorage, UntypedStorage, _StorageClass
from .tensor import Tensor

_OURS = __package__


class Pickler(pickle._Pickler):
    """A pickler whose output names PyTorch's modules. It is the standard library's in Python, which can be told to."""

    dispatch = pickle._Pickler.dispatch.copy()

    def __init__(self, file, protocol, persistent_id):
        super().__init__(file, protocol)
        self._reference = persistent_id
        self._named = {}  # how a dtype's tensors refer to what all of them name

    def save_global(self, obj, name=None):
        module = getattr(obj, "__module__", None)
        if not isinstance(module, str) or module.partition(".")[0] not in (_OURS, "torch"):
            return super().save_global(obj, name)
        self._write_name(obj, *public(obj, module, name or obj.__qualname__))

    def _write_name(self, obj, module, name):
        if self.proto >= 4:
            self.save(module)
            self.save(name)
            self.write(pickle.STACK_GLOBAL)
        else:
            self.write(pickle.GLOBAL + module.encode() + b"\n" + name.encode() + b"\n")
        self.memoize(obj)

    dispatch[FunctionType] = save_global

    def save_dtype(self, obj):
        self._write_name(obj, "torch", obj.name)

    dispatch[_dtype.dtype] = save_dtype

    def save_layout(self, obj):
        self._write_name(obj, "torch", obj.name)

    dispatch[_dtype.layout] = dispatch[_dtype.memory_format] = save_layout

    def save_storage_class(self, obj):
        self._write_name(obj, "torch", obj.__name__)

    dispatch[_StorageClass] = save_storage_class

    def save_storage(self, obj):
        self.save(self._reference(obj), save_persistent_id=False)
        self.write(pickle.BINPERSID)

    dispatch[TypedStorage] = dispatch[UntypedStorage] = save_storage

    def save_tensor(self, t):
        """A Tensor as save_reduce() would write it, without a call for each part: files have thousands."""
        if t.__dict__ or self.proto < 2:
            return self.save_reduce(*_utils.reduce_tensor(t), obj=t)
        code, offset, sizes, strides, requires_grad = t._geometry()
        d = _dtype.DTYPES[code]
        tag, kind, key, place, n, *rest = self._reference(TypedStorage(t.untyped_storage(), d))
        name = _TEXT.pack(88, len(key)) + key.encode()
        numbers = b"".join((_integer(n), b"N" * len(rest), b"tQ", _integer(offset), _integers(sizes),
                            _integers(strides), b"\x88" if requires_grad else b"\x89"))  # fmt: skip
        named = self._named.get(kind)
        if named is None:
            named = self._named[kind] = []
            for obj, then in ((_utils._rebuild_tensor_v2, b"(("), (tag, b""), (kind, name), (place, numbers),
                              (OrderedDict, b")RtR")):  # fmt: skip
                self.save(obj)
                self.write(then)
                named.append(self.get(self.memo[id(obj)][0]))
        else:
            function, tag, kind, place, ordered = named
            self.write(b"".join((function, b"((", tag, kind, name, place, numbers, ordered, b")RtR")))
        self.memoize(t)

    dispatch[Tensor] = save_tensor

    def save_reduce(self, func, args, state=None, listitems=None, dictitems=None, state_setter=None, *, obj=None):
        if func is dict and args == () and state is None and listitems is None and dictitems is not None:
            # a dict of ours that keeps account of itself: what others read is a plain one
            self.write(pickle.EMPTY_DICT if self.bin else pickle.MARK + pickle.DICT)
            self.memoize(obj)
            self._batch_setitems(*((dictitems, obj) if sys.version_info >= (3, 14) else (dictitems,)))
            return
        super().save_reduce(func, args, state, listitems, dictitems, state_setter, obj=obj)


_TEXT = struct.Struct("<BI")


def _integer(n):
    """The opcode of an integer that is not negative."""
    if n < 256:
        return bytes((75, n))
    if n < 1 << 31:
        return b"J" + n.to_bytes(4, "little")
    return b"\x8a\x08" + n.to_bytes(8, "little")


def _integers(sizes):
    """The opcodes of a tuple of them."""
    many = len(sizes) > 3
    return (b"(" if many else b"") + b"".join(map(_integer, sizes)) + (b"t" if many else _TUPLES[len(sizes)])


_TUPLES = (b")", b"\x85", b"\x86", b"\x87")


def public(obj, module, name):
    """The place of an object of ours where PyTorch has it: private modules' functions under their public names."""
    rest = module[len(_OURS) :] if module.startswith(_OURS) else module[len("torch") :]
    if rest.startswith("._"):
        for home in (".nn.functional", "", ".linalg", ".special"):
            found = sys.modules.get(_OURS + home)
            if getattr(found, name, None) is obj:
                return "torch" + home, name
    return "torch" + rest, name


def find_class(module, name):
    """What a pickle's module and name stand for. torch.* is autodiffc.*; AttributeError, naming the PyTorch path, for
    what that lacks."""
    if module.partition(".")[0] != "torch":
        return None
    if module in ("torch", "torch.storage") and name in CLASSES_OF_OLD:
        return CLASSES_OF_OLD[name]()
    ours = MODULES.get(module, module)
    ours = _OURS + ours[len("torch") :]
    try:
        found = importlib.import_module(ours)
        for part in name.split("."):
            found = getattr(found, part)
        return found
    except (ModuleNotFoundError, AttributeError) as e:
        if isinstance(e, ModuleNotFoundError) and not (e.name or "").startswith(_OURS):
            raise
        raise AttributeError(f"the pickle needs {module}.{name}, which autodiffc has not (it would be {ours}.{name})") \
            from None


def trusted_unpickler(pickle_module, file, persistent_load, arguments):
    """An unpickler of pickle_module that runs what the file says, with torch's names read as ours."""
    base = (pickle_module or pickle).Unpickler
    load_reference = persistent_load

    class Trusted(base):
        def find_class(self, module, name):
            found = find_class(module, name)
            return super().find_class(module, name) if found is None else found

        def persistent_load(self, key):
            return load_reference(key)

    return Trusted(file, **{"encoding": "utf-8", **arguments})
