"""Lion."""
from __future__ import annotations

from typing import Any

from ..tensor import Tensor
from . import _update
from .optimizer import Optimizer, check_lr, check_modes, check_option


class Lion(Optimizer):
    """Steps of one size along the sign of a mean of the gradient (Chen et al., 2023). PyTorch has no such class.

    ``u = sign(beta1 m + (1 - beta1) g)``, ``m = beta2 m + (1 - beta2) g``,
    ``p = (1 - lr weight_decay) p - lr u``. ``maximize`` changes the gradient's sign. ``foreach``, ``capturable`` and
    ``fused`` are accepted and make no difference; ``differentiable=True`` is a NotImplementedError.

    State: ``exp_avg``. ValueError for an option out of range.
    """

    _op = _update.OP["lion_step"]

    def __init__(self, params: Any, lr: Any = 1e-4, betas: tuple[float, float] = (0.9, 0.99),
                 weight_decay: float = 0, *, foreach: bool | None = None, maximize: bool = False,
                 capturable: bool = False, differentiable: bool = False, fused: bool | None = None) -> None:
        check_lr(lr, foreach, capturable)
        for i in range(2):
            check_option(0.0 <= betas[i] < 1.0, f"Invalid beta parameter at index {i}: {betas[i]}")
        check_option(0.0 <= weight_decay, f"Invalid weight_decay value: {weight_decay}")
        check_modes("Lion", differentiable, foreach, fused)
        super().__init__(params, {"lr": lr, "betas": betas, "weight_decay": weight_decay, "foreach": foreach,
                                  "maximize": maximize, "capturable": capturable,
                                  "differentiable": differentiable, "fused": fused})

    def _names(self, group: dict) -> tuple[str, ...]:
        return ("exp_avg",)

    def _numbers(self, group: dict) -> list:
        beta1, beta2 = group["betas"]
        return [group["lr"], beta1, beta2, group["weight_decay"]]

    def _new_state(self, group: dict, param: Tensor) -> dict:
        return {"exp_avg": _update.zeros_like(param)}
