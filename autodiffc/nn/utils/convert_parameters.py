"""Parameters as one vector and back."""
from __future__ import annotations

from collections.abc import Iterable

from .._base import Tensor, ops


def parameters_to_vector(parameters: Iterable[Tensor]) -> Tensor:
    """Every parameter's elements in one vector; gradients go through."""
    return ops.cat([param.reshape(-1) for param in parameters])


def vector_to_parameters(vec: Tensor, parameters: Iterable[Tensor]) -> None:
    """Give the parameters the elements of a vector, as views of it. TypeError if it is no tensor."""
    if not isinstance(vec, Tensor):
        raise TypeError(f"expected torch.Tensor, but got: {type(vec)}")
    start = 0
    for param in parameters:
        n = param.numel()
        param.data = vec[start:start + n].reshape(tuple(param.shape)).detach()
        start += n
