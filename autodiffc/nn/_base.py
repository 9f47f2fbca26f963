"""What the modules need of the core, named in one place."""
from __future__ import annotations

from typing import Any

from .. import _ops as ops
from .._core import fail
from .._native import lib
from ..autograd import enable_grad, is_grad_enabled, no_grad
from ..tensor import Tensor

__all__ = ["Tensor", "enable_grad", "is_grad_enabled", "no_grad", "ops", "shape_text",
           "subclass_of", "typename"]

_new = object.__new__


def subclass_of(cls: type, data: Tensor, requires_grad: bool) -> Tensor:
    """A leaf of type ``cls`` that shares ``data``'s storage and has no history."""
    if not isinstance(data, Tensor):
        raise AttributeError(  # PyTorch's class
            f"{cls.__name__} needs a Tensor of data, not {type(data).__name__}")
    handle = lib.ad_detach(data._h, 1)
    if not handle:
        fail()
    tensor = _new(cls)
    tensor._h = handle
    if requires_grad:
        tensor.requires_grad = True
    return tensor


def typename(obj: Any) -> str:
    """The type's name as error messages print it: ``torch.FloatTensor``, ``int``,
    ``collections.OrderedDict``.
    """
    if isinstance(obj, Tensor):
        return obj.type()
    cls = type(obj)
    module = cls.__module__
    return cls.__qualname__ if module in ("builtins", "__builtin__", "") else f"{module}.{cls.__qualname__}"


def shape_text(tensor: Tensor) -> str:
    """A tensor's shape as PyTorch prints it, whatever our own Size class prints."""
    return f"torch.Size({list(tensor.shape)})"
