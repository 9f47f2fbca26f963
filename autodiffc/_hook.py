"""`import torch` resolved to this library: a meta-path finder that hands out the library's own modules.

torch.nn.functional is autodiffc.nn.functional itself, under both names in sys.modules: one class, one state.
"""

import importlib
import importlib.abc
import importlib.util
import sys

_OURS = __package__


class _Loader(importlib.abc.Loader):
    """Gives an existing module under another name, and leaves its own spec in place."""

    def __init__(self, module):
        self.module, self.spec = module, module.__spec__

    def create_module(self, spec):
        return self.module

    def exec_module(self, module):
        module.__spec__ = self.spec


class TorchFinder(importlib.abc.MetaPathFinder):
    """Finds torch and torch.* among the modules of this package."""

    def find_spec(self, name, path=None, target=None):
        if name != "torch" and not name.startswith("torch."):
            return None
        ours = _OURS + name[len("torch") :]
        try:
            module = importlib.import_module(ours)
        except ModuleNotFoundError as e:
            if e.name != ours:
                raise
            raise ModuleNotFoundError(f"autodiffc has no module for {name} (it would be {ours})", name=name) from None
        return importlib.util.spec_from_loader(name, _Loader(module), is_package=hasattr(module, "__path__"))


def install():
    """Makes `import torch` give this library, until uninstall(). RuntimeError when PyTorch is imported already."""
    loaded = sys.modules.get("torch")
    if loaded is not None and loaded is not sys.modules[_OURS]:
        raise RuntimeError("PyTorch itself is imported already: call autodiffc.install() before the first import torch")
    if not any(isinstance(f, TorchFinder) for f in sys.meta_path):
        sys.meta_path.insert(0, TorchFinder())


def uninstall():
    """Undoes install(): later imports of torch find what is installed under that name."""
    sys.meta_path[:] = [f for f in sys.meta_path if not isinstance(f, TorchFinder)]
    for name in [n for n in sys.modules if n == "torch" or n.startswith("torch.")]:
        if getattr(sys.modules[name], "__name__", "").split(".")[0] == _OURS:
            del sys.modules[name]
