"""What torch.compile returns for a module."""

from .modules.module import Module


class OptimizedModule(Module):
    """Calls a module as it is. Its state has the module's names after "_orig_mod.", as in PyTorch; other attributes
    are the module's."""

    def __init__(self, mod):
        super().__init__()
        self._orig_mod = mod
        self.training = mod.training

    def forward(self, *args, **kwargs):
        return self._orig_mod(*args, **kwargs)

    def __getattr__(self, name):
        if name == "_orig_mod":
            return self._modules["_orig_mod"]
        return getattr(self._modules["_orig_mod"], name)

    def __len__(self):
        return len(self._modules["_orig_mod"])

    def __setattr__(self, name, value):
        if "_orig_mod" in self.__dict__.get("_modules", ()) and name not in ("training", "_orig_mod"):
            setattr(self._modules["_orig_mod"], name, value)
        else:
            super().__setattr__(name, value)
