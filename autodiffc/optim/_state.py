"""An optimizer's state: a defaultdict that counts its changes.

``optimizer.state[param]["exp_avg"]`` is a dictionary that users read and write. The optimizer keeps C arrays
of what is in it, and compares one number at each step to know whether they are still right.
"""
from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any


def _counted(name: str) -> Callable:
    method = getattr(dict, name)

    def wrapper(self: Any, *args: Any, **kwargs: Any) -> Any:
        self._version[0] += 1
        return method(self, *args, **kwargs)
    wrapper.__name__ = name
    wrapper.__doc__ = method.__doc__
    return wrapper


_changes = ("__setitem__", "__delitem__", "__ior__", "clear", "pop", "popitem", "setdefault", "update")


class ParamState(dict):
    """The state of one parameter."""

    __slots__ = ("_version",)

    def __init__(self, version: list[int], *args: Any) -> None:
        super().__init__(*args)
        self._version = version

    def __reduce_ex__(self, protocol: Any) -> tuple:
        return dict, (), None, None, iter(self.items())


for _name in _changes:
    setattr(ParamState, _name, _counted(_name))


class State(defaultdict):
    """The state of every parameter. What is stored becomes a :class:`ParamState` if it is a dict."""

    def __init__(self, *args: Any) -> None:
        super().__init__(dict)
        self._version = [0]
        for key, value in dict(*args).items():
            self[key] = value

    def __missing__(self, key: Any) -> ParamState:
        self[key] = {}
        return self[key]

    def __setitem__(self, key: Any, value: Any) -> None:
        known = isinstance(value, ParamState) and value._version is self._version
        if isinstance(value, dict) and not known:
            value = ParamState(self._version, value)
        self._version[0] += 1
        super().__setitem__(key, value)

    def update(self, *args: Any, **kwargs: Any) -> None:
        for key, value in dict(*args, **kwargs).items():
            self[key] = value

    def setdefault(self, key: Any, default: Any = None) -> Any:
        if key not in self:
            self[key] = default
        return self[key]

    def __ior__(self, other: Any) -> State:
        self.update(other)
        return self

    def __reduce_ex__(self, protocol: Any) -> tuple:
        return State, (), None, None, iter(self.items())


for _name in ("__delitem__", "clear", "pop", "popitem"):
    setattr(State, _name, _counted(_name))
