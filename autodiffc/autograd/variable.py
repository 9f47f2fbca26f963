"""The old name of Tensor."""

from .. import _core


class _VariableMeta(type):
    def __instancecheck__(cls, other):
        return isinstance(other, _core.TensorBase)


class Variable(metaclass=_VariableMeta):
    """Variable(data, requires_grad=False): a Tensor of the same memory. Tensors are its instances."""

    def __new__(cls, data=None, requires_grad=False, volatile=None):
        if not isinstance(data, _core.TensorBase):
            raise TypeError(f"Variable data has to be a tensor, but got {type(data).__name__}")
        return data.detach().requires_grad_(requires_grad)
