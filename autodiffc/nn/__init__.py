"""Layers, losses and containers, with PyTorch's names."""
from . import functional, init, modules, utils  # noqa: F401
from .modules import *  # noqa: F403
from .parameter import Buffer, Parameter, UninitializedBuffer, UninitializedParameter  # noqa: F401

_LAZY = {"attention": None, "parallel": None, "DataParallel": "parallel"}


def __getattr__(name):
    """Submodules, and names of some, that are imported when first named."""
    if name in _LAZY:
        import importlib

        module = importlib.import_module("." + (_LAZY[name] or name), __name__)
        return getattr(module, name) if _LAZY[name] else module
    from .._hook import missing

    raise missing.attribute(__name__, name)
