"""Adadelta."""
from __future__ import annotations

from typing import Any

from ..tensor import Tensor
from . import _update
from .optimizer import Optimizer, check_lr, check_modes, check_option


class Adadelta(Optimizer):
    """``p -= lr d`` with ``d = sqrt(a + eps) / sqrt(s + eps) g`` (Zeiler).

    ``s`` and ``a`` are running means of ``g**2`` and ``d**2`` with factor ``rho``; ``weight_decay p`` is added to the
    gradient, whose sign ``maximize`` changes. ``foreach`` and ``capturable`` are accepted and make no difference;
    ``differentiable=True`` is a NotImplementedError.

    State: ``step`` (0-d float32), ``square_avg``, ``acc_delta``. ValueError for an option out of range.
    """

    _op = _update.OP["adadelta_step"]
    _scalars = 1
    _counts = ("step",)
    _old_options = {"foreach": None, "maximize": False, "differentiable": False, "capturable": False}

    def __init__(self, params: Any, lr: Any = 1.0, rho: float = 0.9, eps: float = 1e-6, weight_decay: float = 0,
                 foreach: bool | None = None, *, capturable: bool = False, maximize: bool = False,
                 differentiable: bool = False) -> None:
        check_lr(lr, None)
        check_option(0.0 <= rho <= 1.0, f"Invalid rho value: {rho}")
        check_option(0.0 <= eps, f"Invalid epsilon value: {eps}")
        check_option(0.0 <= weight_decay, f"Invalid weight_decay value: {weight_decay}")
        check_modes("Adadelta", differentiable, foreach, None)
        super().__init__(params, {"lr": lr, "rho": rho, "eps": eps, "weight_decay": weight_decay,
                                  "maximize": maximize, "capturable": capturable, "foreach": foreach,
                                  "differentiable": differentiable})

    def _names(self, group: dict) -> tuple[str, ...]:
        return ("square_avg", "acc_delta", "step")

    def _numbers(self, group: dict) -> list:
        return [group["lr"], group["rho"], group["eps"], group["weight_decay"]]

    def _new_state(self, group: dict, param: Tensor) -> dict:
        return {"step": _update.scalar(0.0), "square_avg": _update.zeros_like(param),
                "acc_delta": _update.zeros_like(param)}
