"""Parts of PyTorch that this library has not: they can be imported, and say so when they are used.

A script may import torch.distributed.fsdp at its top and use it under an option only. So the names that PyTorch has in
such a module are classes here that can be named, subclassed and asked for in isinstance(), and raise
NotImplementedError when they are called.
"""

import importlib.machinery
import sys
import types

from . import _core

ANY = "*"
"""For `extra`: every name, of a module whose names are not listed."""


class Absent(type):
    """The class of names that are not supported."""

    def __call__(cls, *args, **kwargs):
        from ._hook import missing

        path = next(getattr(c, "path", None) for c in cls.__mro__ if "path" in vars(c))
        hint = missing.instead(path)
        raise NotImplementedError(
            f"{path} is not supported by autodiffc{_core.location()}{'; ' + hint if hint else ''}")

    def __instancecheck__(cls, obj):
        return False

    def __getattr__(cls, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return absent(f"{cls.path}.{name}")


def absent(path):
    """A name that says that it is not supported when it is called."""
    return Absent(path.rpartition(".")[2], (), {"path": path, "__module__": path.rpartition(".")[0],
                                                "__doc__": "Not supported."})


def module(name, names=(), extra=()):
    """Fills a module, and those below it, with the names that PyTorch has there. name: of this package."""
    sys.modules[name].__getattr__ = _getattr(name, extra)
    submodules(name, names, extra)


def submodules(name, names, extra=()):
    """Makes the modules below one that are not supported; parents come before their children."""
    for path in (f"{name}.{s}" for s in names):
        made = sys.modules[path] = types.ModuleType(path, "Not supported.")
        made.__path__ = []
        made.__spec__ = importlib.machinery.ModuleSpec(path, None, is_package=True)
        made.__getattr__ = _getattr(path, extra)
        parent, _, last = path.rpartition(".")
        setattr(sys.modules[parent], last, made)


def _getattr(path, extra):
    def __getattr__(name):
        from ._hook import missing

        torch_path = missing.path_of(path)
        known = missing.torch_names().get(torch_path, extra)
        if not name.startswith("__") and (name in known or name in extra or known == ANY):
            made = absent(f"{torch_path}.{name}")
            setattr(sys.modules[path], name, made)
            return made
        raise missing.attribute(path, name)

    return __getattr__
