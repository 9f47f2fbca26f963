"""Adamax."""
from __future__ import annotations

from typing import Any

from ..tensor import Tensor
from . import _update
from .adam import AdamFamily, check_adam
from .optimizer import check_lr, check_modes


class Adamax(AdamFamily):
    """Adam with the largest gradient in the place of the mean square (Kingma and Ba).

    ``u = max(beta2 u, abs(g) + eps)``; ``p -= lr / (1 - beta1**step) m / u``. ``weight_decay p`` is added to the
    gradient, whose sign ``maximize`` changes. ``foreach`` and ``capturable`` are accepted and make no difference;
    ``differentiable=True`` is a NotImplementedError.

    State: ``step`` (0-d float32), ``exp_avg``, ``exp_inf``. ValueError for an option out of range.
    """

    _op = _update.OP["adamax_step"]
    _old_options = {"foreach": None, "maximize": False, "differentiable": False, "capturable": False}

    def __init__(self, params: Any, lr: Any = 2e-3, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8,
                 weight_decay: float = 0, foreach: bool | None = None, *, maximize: bool = False,
                 differentiable: bool = False, capturable: bool = False) -> None:
        check_lr(lr, None)
        check_adam(lr, betas, eps, weight_decay)
        check_modes("Adamax", differentiable, foreach, None)
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay,
                                  "foreach": foreach, "maximize": maximize, "differentiable": differentiable,
                                  "capturable": capturable})

    def _names(self, group: dict) -> tuple[str, ...]:
        return ("exp_avg", "exp_inf", "step")

    def _flags(self, group: dict) -> int:
        return _update.MAXIMIZE if group["maximize"] else 0

    def _new_state(self, group: dict, param: Tensor) -> dict:
        return {"step": _update.scalar(0.0), "exp_avg": _update.zeros_like(param),
                "exp_inf": _update.zeros_like(param)}
