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


# ---- without data until the sizes are known

_usable = frozenset("""data dtype device layout is_cuda is_cpu is_mps requires_grad requires_grad_ grad grad_fn is_leaf
    is_sparse is_quantized cls_to_become materialize share_memory_ shape to cpu cuda float double half bfloat16 type
    detach is_floating_point is_complex retains_grad untyped_storage element_size persistent""".split())


class UninitializedTensorMixin:
    """Refuses what needs sizes until ``materialize`` gives them."""

    cls_to_become: type

    def __getattribute__(self, name: str) -> Any:
        if name[:1] != "_" and name not in _usable and hasattr(Tensor, name):
            raise ValueError(f"Attempted to use an uninitialized parameter in {name}. This error happens when you "
                             "use a `LazyModule`, or a `torch.nn.parameter.UninitializedParameter`, before its sizes "
                             "are known: call `forward` with a dummy batch first.")
        return super().__getattribute__(name)

    @property
    def shape(self) -> Any:
        raise RuntimeError("Can't access the shape of an uninitialized parameter or buffer. This error usually "
                           "happens in `load_state_dict` when trying to load an uninitialized parameter into an "
                           "initialized one. Call `forward` to initialize the parameters before accessing their "
                           "attributes.")

    def materialize(self, shape: Any, device: Any = None, dtype: Any = None) -> None:
        """Become an ordinary parameter or buffer of these sizes, with values that are not set."""
        self.data = ops.empty(shape, device=device, dtype=self.dtype if dtype is None else dtype)
        self.__class__ = self.cls_to_become

    def share_memory_(self) -> Any:
        raise RuntimeError("Can't share memory on an uninitialized parameter or buffer. Call `forward` to "
                           "initialize the parameters before calling `module.share_memory()`.")

    def __repr__(self, **kwargs: Any) -> str:
        return f"<{type(self).__name__}>"

    def __reduce_ex__(self, protocol: Any) -> tuple:
        return type(self), (self.requires_grad, None, self.dtype)


class UninitializedParameter(UninitializedTensorMixin, Parameter):
    """A parameter whose sizes are not known yet; ``materialize(shape)`` makes it a :class:`Parameter`."""

    cls_to_become = Parameter

    def __new__(cls, requires_grad: bool = True, device: Any = None, dtype: Any = None) -> UninitializedParameter:
        return subclass_of(cls, ops.empty(0, device=device, dtype=dtype), requires_grad)

    def __init__(self, requires_grad: bool = True, device: Any = None, dtype: Any = None) -> None:
        pass

    def __deepcopy__(self, memo: dict) -> UninitializedParameter:
        if id(self) not in memo:
            memo[id(self)] = type(self)(self.requires_grad, None, self.dtype)
        return memo[id(self)]


class UninitializedBuffer(UninitializedTensorMixin, Tensor):
    """A buffer whose sizes are not known yet; ``materialize(shape)`` makes it a Tensor."""

    cls_to_become = Tensor

    def __new__(cls, requires_grad: bool = False, device: Any = None, dtype: Any = None,
                persistent: bool = True) -> UninitializedBuffer:
        result = subclass_of(cls, ops.empty(0, device=device, dtype=dtype), requires_grad)
        result.persistent = persistent
        return result

    def __init__(self, requires_grad: bool = False, device: Any = None, dtype: Any = None,
                 persistent: bool = True) -> None:
        pass

    def __deepcopy__(self, memo: dict) -> UninitializedBuffer:
        if id(self) not in memo:
            memo[id(self)] = type(self)(self.requires_grad, None, self.dtype, self.persistent)
        return memo[id(self)]


def is_lazy(param: Any) -> bool:
    """Whether ``param`` is a parameter or buffer that is still without data."""
    return isinstance(param, UninitializedTensorMixin)
