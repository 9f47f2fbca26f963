"""SparseAdam."""
from __future__ import annotations

from typing import Any

from ..tensor import Tensor
from .adam import check_adam
from .optimizer import Optimizer, check_option


class SparseAdam(Optimizer):
    """Adam for sparse gradients, which this library does not make: :meth:`step` refuses dense ones, as PyTorch's does.

    ValueError for an option out of range.
    """

    def __init__(self, params: Any, lr: Any = 1e-3, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8,
                 maximize: bool = False) -> None:
        if isinstance(lr, Tensor) and lr.numel() != 1:
            raise ValueError("Tensor lr must be 1-element")
        check_option(0.0 < lr, f"Invalid learning rate: {lr}")
        check_option(0.0 < eps, f"Invalid epsilon value: {eps}")
        check_adam(lr, betas, eps, 0.0)
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "maximize": maximize})

    def _update_group(self, index: int, group: dict, plan: Any) -> None:
        if any(p.grad is not None for p in plan.params):
            raise RuntimeError("SparseAdam does not support dense gradients, please consider Adam instead")
