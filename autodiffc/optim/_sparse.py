"""Steps for sparse gradients, which embedding(sparse=True) gives: the rows that it names are moved, the others not."""
from __future__ import annotations

from typing import Any

from ..tensor import Tensor


def pending(params: Any) -> list[Tensor]:
    """The parameters that have a sparse gradient."""
    return [p for p in params if p.grad is not None and p.grad.is_sparse]


def rows(param: Tensor) -> tuple[Tensor, Tensor]:
    """(index, gradient) of the rows, each once, in rising order."""
    grad = param.grad.coalesce()
    return grad.indices()[0], grad.values()


__all__ = ["pending", "rows"]
