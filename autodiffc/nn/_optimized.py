"""What torch.compile returns for a module."""

from . import _hooks
from .modules.module import Module

_any_global_hook = _hooks.any_global


class OptimizedModule(Module):
    """Calls a module through compile(). Its state has the module's names after "_orig_mod.", as in PyTorch; other
    attributes are the module's."""

    def __init__(self, mod, fullgraph=False, recompile_limit=None):
        super().__init__()
        self._orig_mod = mod
        self.training = mod.training
        self.__dict__["_options"] = (fullgraph, recompile_limit)

    def __call__(self, *args, **kwargs):
        names = self.__dict__
        if "_step" in names and not names["_hooked"] and not _any_global_hook:
            for again in names["_step"].again:
                done = again(*args, **kwargs)
                if done is not NotImplemented:
                    return done
        return super().__call__(*args, **kwargs)

    def forward(self, *args, **kwargs):
        step = self.__dict__.get("_step")
        if step is None:
            from .._capture.step import CompiledStep

            fullgraph, limit = self.__dict__["_options"]
            step = self.__dict__["_step"] = CompiledStep(self._modules["_orig_mod"], not fullgraph, limit)
        return step(*args, **kwargs)

    def explain(self, *args, **kwargs):
        """As the explain() of a compiled function. RuntimeError before the first call."""
        if "_step" not in self.__dict__:
            raise RuntimeError("explain(): the module has not been called yet")
        return self.__dict__["_step"].explain(*args, **kwargs)

    def __getstate__(self):
        return {k: v for k, v in super().__getstate__().items() if k != "_step"}

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
