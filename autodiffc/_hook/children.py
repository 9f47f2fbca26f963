"""Child processes of multiprocessing that start anew (spawn, forkserver) get the hook before they import the script.

What the parent sends first is a dictionary that the child unpickles; one entry more, whose unpickling installs the
hook, is all it takes. multiprocessing is imported by few scripts, so the change waits for its import.
"""

import importlib.machinery
import os
import sys

_MODULE = "multiprocessing.spawn"
_HOME = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


class _Installed:
    """Unpickles to an installed hook."""

    def __init__(self, everywhere, script):
        self.everywhere, self.script = everywhere, script

    def __reduce__(self):
        # Of built-in names alone: the child's sys.path is not yet the parent's.
        return exec, (
            f"import sys; sys.path.append({_HOME!r})\nimport autodiffc\nsys.path.remove({_HOME!r})\n"
            f"autodiffc.install({self.everywhere!r}, {self.script!r})",
        )


class _Loader(importlib.machinery.SourceFileLoader):
    def exec_module(self, module):
        super().exec_module(module)
        _extend(module)


def _extend(module):
    usual = module.get_preparation_data

    def get_preparation_data(name):
        """What a child needs before it can run: the usual, and the hook."""
        from . import scope_in_force

        data = usual(name)
        scope = scope_in_force()
        if scope is not None:
            data["autodiffc"] = _Installed(*scope)
        return data

    get_preparation_data.usual = usual
    module.get_preparation_data = get_preparation_data


def find_spec(name, path):
    """The spec of multiprocessing.spawn with the change made, None for any other module."""
    if name != _MODULE:
        return None
    spec = importlib.machinery.PathFinder.find_spec(name, path)
    if spec is not None and type(spec.loader) is importlib.machinery.SourceFileLoader:
        spec.loader = _Loader(spec.loader.name, spec.loader.path)
    return spec


def watch():
    """Makes the change where the module is imported already; find_spec() serves later imports."""
    module = sys.modules.get(_MODULE)
    if module is not None and not hasattr(module.get_preparation_data, "usual"):
        _extend(module)


def unwatch():
    module = sys.modules.get(_MODULE)
    if module is not None:
        module.get_preparation_data = getattr(module.get_preparation_data, "usual", module.get_preparation_data)
