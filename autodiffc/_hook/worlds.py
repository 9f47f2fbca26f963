"""The two meanings of `torch` in one process, and the import functions that tell them apart.

sys.modules holds one set of modules named torch and torch.*. As a rule it is this library's. An importer out of scope
is served with them put aside and with the real PyTorch's, where it has been imported before, put in their place; then
they change back. So a third party's PyTorch neither replaces the script's modules nor is made of them.

Every import statement calls builtins.__import__, and importlib.import_module calls importlib._bootstrap._gcd_import:
both are replaced by a switch in C that passes on whatever does not concern torch and leaves no frame in tracebacks.
PyTorch's own C code imports too, and reads sys.modules afterwards: see leave().
"""

import builtins
import contextlib
import ctypes
import importlib._bootstrap
import importlib.util
import sys
import threading

from .. import _core
from .._native import lib
from . import children, missing
from .scope import importer

PACKAGE = __package__.partition(".")[0]


def _is_torch(name):
    return name == "torch" or name.startswith("torch.")


def ours(module):
    """Whether a module is this library's (under whichever name)."""
    return getattr(module, "__name__", "").partition(".")[0] == PACKAGE


def switch(usual, special, leave):
    """A built-in function that calls `special` for imports of torch, and `leave` after those that C code makes, and
    `usual` for all others."""
    address = lib.import_switch(id(usual), id(special), id(leave))
    if not address:
        raise MemoryError("cannot make an import function")
    made = ctypes.cast(address, ctypes.py_object).value
    ctypes.pythonapi.Py_DecRef(ctypes.py_object(made))  # the reference that import_switch made
    return made


class _Loader:
    """Gives an existing module under another name, and leaves its own spec in place."""

    def __init__(self, module):
        self.module, self.spec = module, module.__spec__

    def create_module(self, spec):
        return self.module

    def exec_module(self, module):
        module.__spec__ = self.spec


class TorchFinder:
    """Finds torch and torch.* among the modules of this package, for importers in scope."""

    def __init__(self, worlds):
        self.worlds = worlds

    def find_spec(self, name, path=None, target=None):
        if not _is_torch(name):
            return children.find_spec(name, path)
        if not self.worlds.is_ours() or not self.worlds.scope.takes(importer()):
            return None
        return spec_of(name)


def spec_of(name):
    """The spec of our module for torch or torch.*; ModuleNotFoundError, which names what there is, for others."""
    try:
        module = importlib.import_module(PACKAGE + name[len("torch"):])
    except ModuleNotFoundError as e:
        if not (e.name or "").startswith(PACKAGE):
            raise
        raise ModuleNotFoundError(missing.module(name), name=name) from None
    return importlib.util.spec_from_loader(name, _Loader(module), is_package=hasattr(module, "__path__"))


class Worlds:
    """Which modules are torch at the moment, and for whom."""

    def __init__(self, scope):
        self.scope = scope
        self.finder = TorchFinder(self)
        self.lock = threading.RLock()
        self.depth = 0  # how deep inside imports of the other world
        self.put_aside = {}  # its modules while they are not in sys.modules
        self.undo = []

    def is_ours(self):
        return not self.depth

    @contextlib.contextmanager
    def turned(self, outside):
        """sys.modules with PyTorch's own modules (outside) or with this library's."""
        if not outside and not self.depth:
            yield
            return
        with self.lock:
            if bool(self.depth) == outside:  # deeper inside the same import
                yield
                return
            was, self.depth = self.depth, int(outside)
            self._exchange()
            try:
                yield
            finally:
                self.depth = was
                self._exchange()

    def _exchange(self):
        now = {n: sys.modules[n] for n in list(sys.modules) if _is_torch(n)}
        for n in now:
            del sys.modules[n]
        sys.modules.update(self.put_aside)
        self.put_aside = now

    # ---- the import functions ----

    def _turn_for(self, frame):
        """A context manager for an import of torch by a frame."""
        if self.scope.takes(frame):
            return self.turned(False)
        if "modules" in frame.f_code.co_names and "torch" in sys.modules:
            # `if "torch" in sys.modules: import torch`: it asks whether the program uses torch, and it does
            return contextlib.nullcontext()
        return self.turned(True)

    def _special(self, usual):
        def special(name, *args, **kwargs):
            with self._turn_for(importer()):
                found = usual(name, *args, **kwargs)
                if len(args) > 2 and args[2] and ours(found):
                    missing.check_from(found, args[2])
                return found

        return special

    def leave(self, name):
        """C code of the other world has imported a module and reads it from sys.modules next: puts it there, and
        returns what takes it away, to be called as soon as Python runs again. None when there is nothing to do."""
        there, wanted = sys.modules.get(name), self.put_aside.get(name)
        if self.depth or wanted is None or wanted is there or self.scope.takes(importer()):
            return None
        sys.modules[name] = wanted

        def undo():
            if sys.modules.get(name) is wanted:
                if there is None:
                    del sys.modules[name]
                else:
                    sys.modules[name] = there

        return undo

    def install(self):
        for module, name in ((builtins, "__import__"), (importlib._bootstrap, "_gcd_import")):
            usual = getattr(module, name)
            self._replace(module, name, switch(usual, self._special(usual), self.leave))
        self._replace(importlib.util, "find_spec", self._find_spec(importlib.util.find_spec))
        sys.meta_path.insert(0, self.finder)
        _core.Tensor.__module__ = "torch"  # some look for PyTorch's name in str(type(x))
        children.watch()

    def _find_spec(self, usual):
        def find_spec(name, package=None):
            """The spec of a module, as importlib.util.find_spec; of torch, as the caller sees it."""
            if not _is_torch(name):
                return usual(name, package)
            with self.turned(not self.scope.takes(importer())):
                return usual(name, package)

        return find_spec

    def _replace(self, module, name, function):
        self.undo.append((module, name, getattr(module, name), function))
        setattr(module, name, function)

    def uninstall(self):
        for module, name, before, function in self.undo:
            if getattr(module, name) is function:  # else somebody has replaced it since, and calls it
                setattr(module, name, before)
        self.undo = []
        sys.meta_path[:] = [f for f in sys.meta_path if f is not self.finder]
        children.unwatch()
        _core.Tensor.__module__ = PACKAGE + ".tensor"
        for name in [n for n in sys.modules if _is_torch(n)]:
            del sys.modules[name]
        sys.modules.update(self.put_aside)
        self.put_aside = {}
