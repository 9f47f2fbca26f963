"""Layers, losses and containers, with PyTorch's names."""
from typing import Any

from . import functional, init, modules, utils  # noqa: F401
from .modules import *  # noqa: F403
from .parameter import Buffer, Parameter, UninitializedBuffer, UninitializedParameter  # noqa: F401


def factory_kwargs(kwargs: dict[str, Any] | None) -> dict[str, Any]:
    """Those of ``kwargs`` that creation functions take, with those that stand under ``factory_kwargs`` in it.

    TypeError for other names, and for one that is given both ways.
    """
    if kwargs is None:
        return {}
    simple = {"device", "dtype", "memory_format"}
    unexpected = kwargs.keys() - simple - {"factory_kwargs"}
    if unexpected:
        raise TypeError(f"unexpected kwargs {unexpected}")
    result = dict(kwargs.get("factory_kwargs", {}))
    for key in simple:
        if key in kwargs:
            if key in result:
                raise TypeError(f"{key} specified twice, in **kwargs and in factory_kwargs")
            result[key] = kwargs[key]
    return result


_LAZY = {"attention": None, "parallel": None, "DataParallel": "parallel"}


def __getattr__(name):
    """Submodules, and names of some, that are imported when first named."""
    if name in _LAZY:
        import importlib

        module = importlib.import_module("." + (_LAZY[name] or name), __name__)
        return getattr(module, name) if _LAZY[name] else module
    if name.startswith("__"):  # the import system asks for some of every module
        raise AttributeError(name)
    from .._hook import missing

    raise missing.attribute(__name__, name)
