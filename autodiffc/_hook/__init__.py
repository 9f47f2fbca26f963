"""`import torch` resolved to this library: install() and uninstall().

torch.nn.functional is autodiffc.nn.functional itself, under both names in sys.modules: one class, one state. Who gets
it is a matter of scope (scope.py): the program's own files do; third-party packages that probe for torch get what they
would get without this library, the real PyTorch where it is installed. Two sets of modules of one name can only take
turns in sys.modules; see worlds.py.
"""

import sys

from .scope import Scope
from .worlds import Worlds, ours

_active = None
"""The Worlds of the install() in force."""


def install(everywhere=False, script=None):
    """Makes `import torch` give this library, until uninstall().

    Only the program's own files get it: those under the directory of the script, the working directory, PYTHONPATH
    entries and what the program adds to sys.path itself, and some packages that are known to work; other packages see
    what they would without it, unless `everywhere`. RuntimeError when PyTorch is imported already.
    """
    global _active
    loaded = sys.modules.get("torch")
    if loaded is not None and not ours(loaded):
        raise RuntimeError("PyTorch itself is imported already: call autodiffc.install() before the first import torch")
    scope = Scope.of_process(everywhere, script)
    if _active is not None:
        _active.scope = scope
        return
    _active = Worlds(scope)
    _active.install()


def uninstall():
    """Undoes install(): later imports of torch find what is installed under that name."""
    global _active
    if _active is not None:
        _active.uninstall()
        _active = None


def load_ipython_extension(ipython):
    """%load_ext autodiffc."""
    install()


def unload_ipython_extension(ipython):
    """%unload_ext autodiffc."""
    uninstall()


def scope_in_force():
    """(everywhere, script) of the install() in force, or None."""
    return (_active.scope.everywhere, _active.scope.script) if _active is not None else None


__all__ = ["install", "load_ipython_extension", "uninstall", "unload_ipython_extension"]
