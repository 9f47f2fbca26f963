"""The dictionaries of a module's parameters, buffers and submodules.

``module._parameters`` is where a parameter lives; that is PyTorch's protocol, and code outside the library
writes to it. Looking a name up there through ``Module.__getattr__`` costs some 400 ns in CPython 3.11, about
as much as an operation of the core. So the dictionary is a ``Registry``, which repeats each entry in the
owner's ``__dict__``, where an ordinary attribute load finds it in 10 ns. Whatever is done to the registry is
done to the repetition; an entry that a class attribute or an ordinary attribute hides is not repeated, so
that a name means what it would mean without.
"""
from __future__ import annotations

import weakref
from collections import OrderedDict
from typing import Any

_missing = object()

changes = [0]
"""How often any module's mode, hooks, parameters, buffers or submodules changed: captured steps look at it."""


class Registry(dict):
    """A dict that repeats its entries in the ``__dict__`` of the module that owns it."""

    __slots__ = ("_owner", "__weakref__")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._owner = None

    def attach(self, owner: Any) -> None:
        self._owner = weakref.ref(owner)
        for name, value in self.items():
            self._repeat(owner, name, value, _missing)

    def detach(self) -> None:
        """Take the repeated entries out of the owner and forget it."""
        for name in self:
            self._drop(name)
        self._owner = None

    def owner(self) -> Any:
        return None if self._owner is None else self._owner()

    @staticmethod
    def _repeat(owner: Any, name: Any, value: Any, old: Any) -> None:
        namespace = owner.__dict__
        if name in namespace and namespace[name] is not old:
            return
        if type(name) is str and name.isidentifier() and not hasattr(type(owner), name):
            namespace[name] = value

    def _drop(self, name: Any) -> None:
        owner = self.owner()
        if owner is not None and owner.__dict__.get(name, _missing) is self.get(name):
            owner.__dict__.pop(name, None)

    def __setitem__(self, name: Any, value: Any) -> None:
        old = self.get(name, _missing)
        changes[0] += 1
        super().__setitem__(name, value)
        owner = self.owner()
        if owner is not None:
            self._repeat(owner, name, value, old)

    def __delitem__(self, name: Any) -> None:
        changes[0] += 1
        if name in self:
            self._drop(name)
        super().__delitem__(name)

    def pop(self, name: Any, *default: Any) -> Any:
        changes[0] += 1
        if name in self:
            self._drop(name)
        return super().pop(name, *default)

    def popitem(self) -> tuple:
        if not self:
            raise KeyError("popitem(): dictionary is empty")
        name = next(reversed(self))
        return name, self.pop(name)

    def clear(self) -> None:
        changes[0] += 1
        for name in self:
            self._drop(name)
        super().clear()

    def setdefault(self, name: Any, default: Any = None) -> Any:
        if name not in self:
            self[name] = default
        return self[name]

    def update(self, *args: Any, **kwargs: Any) -> None:
        for name, value in dict(*args, **kwargs).items():
            self[name] = value

    def __ior__(self, other: Any) -> Registry:
        self.update(other)
        return self

    def __reduce_ex__(self, protocol: Any) -> tuple:
        return dict, (), None, None, iter(self.items())


class HookDict(OrderedDict):
    """The hooks of one kind: notes every change, and tells the module that there may be hooks to run."""

    def __init__(self, owner: Any = None, hooks: Any = ()) -> None:
        super().__init__()
        self._owner = None if owner is None else weakref.ref(owner)
        for key, hook in dict(hooks).items():
            self[key] = hook

    def has_owner(self) -> bool:
        return self._owner is not None and self._owner() is not None

    def _changed(self) -> None:
        changes[0] += 1
        owner = None if self._owner is None else self._owner()
        if owner is not None:
            owner.__dict__["_hooked"] = True

    def __setitem__(self, key: Any, hook: Any) -> None:
        super().__setitem__(key, hook)
        self._changed()

    def __delitem__(self, key: Any) -> None:
        super().__delitem__(key)
        self._changed()

    def pop(self, key: Any, *default: Any) -> Any:
        self._changed()
        return super().pop(key, *default)

    def popitem(self, last: bool = True) -> tuple:
        self._changed()
        return super().popitem(last)

    def clear(self) -> None:
        self._changed()
        super().clear()

    def move_to_end(self, key: Any, last: bool = True) -> None:
        self._changed()
        super().move_to_end(key, last)

    def __reduce_ex__(self, protocol: Any) -> tuple:
        return OrderedDict, (), None, None, iter(self.items())
