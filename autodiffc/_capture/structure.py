"""Arguments and results as a flat list of tensors and what they stand in."""

import copy
import dataclasses
import functools
import gc
import types
from collections import OrderedDict, UserDict, defaultdict

from .._core import TensorBase

_PLAIN = frozenset({int, float, bool, str, bytes, complex, type(None)})
_DICTS = (dict, OrderedDict, defaultdict, UserDict)
_EMPTY = types.CellType()


@functools.cache
def _fields(kind):
    """The names of a dataclass's fields, () of another class."""
    return tuple(f.name for f in dataclasses.fields(kind)) if dataclasses.is_dataclass(kind) else ()


def flatten(x, tensors):
    """The structure of x, which freeze() makes a key of, with its Tensors moved into the list `tensors`."""
    if isinstance(x, TensorBase):
        tensors.append(x)
        return TensorBase
    kind = type(x)
    if kind in _PLAIN:
        return (kind, x)
    if isinstance(x, (tuple, list)):
        return (kind, *[flatten(v, tensors) for v in x])
    if isinstance(x, _DICTS):
        return (kind, *[(k, flatten(v, tensors)) for k, v in x.items()])
    names = _fields(kind)
    if names:
        return (kind, *[(n, flatten(getattr(x, n, None), tensors)) for n in names])
    if getattr(kind, "_opened", False):
        return (kind, *[(n, flatten(v, tensors)) for n, v in vars(x).items()])
    if kind.__module__ == "numpy" and hasattr(x, "item") and not hasattr(x, "__len__"):
        return (kind, x.item())  # a number of NumPy's
    return Held(x)


def is_atom(x):
    """Whether x is told by its value or identity alone: nothing in it can change or be a Tensor."""
    return type(x) in _PLAIN or type(flatten(x, [])) is Held


class Held:
    """An object that is told by identity; kept, so that its id is not reused."""

    __slots__ = ("object",)

    def __init__(self, x):
        self.object = x

    def __eq__(self, other):
        return type(other) is Held and other.object is self.object

    def __hash__(self):
        return id(self.object)


def fill(x, tensors):
    """x with its Tensors taken from the iterator `tensors`."""
    if isinstance(x, TensorBase):
        return next(tensors)
    kind = type(x)
    if kind in _PLAIN:
        return x
    if isinstance(x, (tuple, list)):
        values = [fill(v, tensors) for v in x]
        if kind is tuple or kind is list:
            return kind(values)
        if hasattr(kind, "_make"):
            return kind._make(values)
        made = copy.copy(x) if isinstance(x, list) else None
        if made is None:  # another subclass of tuple
            return tuple.__new__(kind, values)
        made[:] = values
        return made
    if isinstance(x, _DICTS):
        if kind is dict:
            return {k: fill(v, tensors) for k, v in x.items()}
        made = copy.copy(x)
        for k, v in x.items():
            made[k] = fill(v, tensors)
        return made
    names = _fields(kind)
    if names:
        made = copy.copy(x)
        for n in names:
            if hasattr(x, n):
                object.__setattr__(made, n, fill(getattr(x, n), tensors))
        return made
    if getattr(kind, "_opened", False):
        made = copy.copy(x)
        for n, v in vars(x).items():
            made.__dict__[n] = fill(v, tensors)
        return made
    return x


_CLOSED = (type, types.ModuleType, types.BuiltinFunctionType, types.CodeType, types.FrameType)


def hidden(structure, is_one):
    """The first object in a flattened structure that holds a Tensor for which is_one(), or None: what would not be
    found when the structure is filled. Looks at most at 1000 objects that such an object refers to."""
    if type(structure) is tuple:
        return next((found for s in structure if (found := hidden(s, is_one)) is not None), None)
    if type(structure) is not Held:
        return None
    seen, todo = set(), [structure.object]
    while todo and len(seen) < 1000:
        x = todo.pop()
        if id(x) in seen or type(x) in _PLAIN or isinstance(x, _CLOSED):
            continue
        seen.add(id(x))
        if isinstance(x, TensorBase):
            if is_one(x):
                return structure.object
        elif isinstance(x, types.FunctionType):
            todo.extend(c.cell_contents for c in x.__closure__ or () if c != _EMPTY)
        else:
            todo.extend(gc.get_referents(x))
    return None


class Place(TensorBase):
    """Stands for a tensor in a result's template."""

    __slots__ = ()

    def __init__(self):
        self._h = 0

    def __del__(self):
        return


def template(x, n):
    """x with nothing where its n Tensors stand."""
    return fill(x, iter([PLACE] * n))


PLACE = Place()
