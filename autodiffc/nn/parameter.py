"""Tensors that a module owns."""
from __future__ import annotations

from typing import Any

from ._base import Tensor, ops, subclass_of


def _rebuild(cls: type, data: Tensor, requires_grad: bool, state: dict) -> Tensor:
    tensor = subclass_of(cls, data, requires_grad)
    for name, value in state.items():
        setattr(tensor, name, value)
    return tensor


def _state(tensor: Tensor) -> dict:
    """The attributes that the user put on the tensor."""
    return dict(getattr(tensor, "__dict__", None) or {})


class Parameter(Tensor):
    """A tensor that a :class:`Module` lists among its ``parameters()`` once it is assigned to an attribute.

    Args:
        data: tensor whose storage the parameter shares; its history is left behind. Default: empty.
        requires_grad: as for any leaf. Only floating point data may require gradients (RuntimeError).

    An operation on a parameter gives an ordinary ``Tensor``.
    """

    def __new__(cls, data: Tensor | None = None, requires_grad: bool = True) -> Parameter:
        if data is None:
            data = ops.empty(0)
        return subclass_of(cls, data, requires_grad)

    def __init__(self, data: Tensor | None = None, requires_grad: bool = True) -> None:
        pass

    def __repr__(self, **kwargs: Any) -> str:
        return "Parameter containing:\n" + super().__repr__(**kwargs)

    def __deepcopy__(self, memo: dict) -> Parameter:
        if id(self) in memo:
            return memo[id(self)]
        result = subclass_of(type(self), self.detach().clone(), self.requires_grad)
        memo[id(self)] = result
        return result

    def __reduce_ex__(self, protocol: Any) -> tuple:
        if type(self) is Parameter:
            from .._utils import reduce_parameter

            return reduce_parameter(self)
        return _rebuild, (type(self), self.detach(), self.requires_grad, _state(self))


class Buffer(Tensor):
    """A tensor that a :class:`Module` lists among its ``buffers()`` once it is assigned to an attribute.

    Args:
        data: tensor whose storage the buffer shares; its history is left behind. Default: empty.
        persistent: whether the buffer goes into ``state_dict()``.
    """

    persistent: bool

    def __new__(cls, data: Tensor | None = None, *, persistent: bool = True) -> Buffer:
        if data is None:
            data = ops.empty(0)
        result = subclass_of(cls, data, data.requires_grad)
        result.persistent = persistent
        return result

    def __init__(self, data: Tensor | None = None, *, persistent: bool = True) -> None:
        pass

    def __deepcopy__(self, memo: dict) -> Buffer:
        if id(self) in memo:
            return memo[id(self)]
        result = subclass_of(type(self), self.detach().clone(), self.requires_grad)
        result.persistent = self.persistent
        memo[id(self)] = result
        return result

    def __reduce_ex__(self, protocol: Any) -> tuple:
        return _rebuild, (type(self), self.detach(), self.requires_grad, _state(self))


def is_lazy(param: Any) -> bool:
    """Whether ``param`` is still without data. No parameter is, until lazy modules arrive."""
    return False
