"""Averaged stochastic gradient descent."""
from __future__ import annotations

from typing import Any

from ..tensor import Tensor
from . import _update
from .optimizer import Optimizer, check_lr, check_modes, check_option


class ASGD(Optimizer):
    """``p = (1 - lambd eta) p - eta g``, and the mean of ``p`` from step ``t0`` on (Polyak and Juditsky).

    ``eta = lr / (1 + lambd lr step)**alpha``. ``weight_decay p`` is added to the gradient, whose sign ``maximize``
    changes. ``foreach`` and ``capturable`` are accepted and make no difference; ``differentiable=True`` is a
    NotImplementedError.

    State: ``step``, ``eta``, ``mu`` (0-d float32), and the mean, ``ax``. ValueError for a negative rate or decay.
    """

    _op = _update.OP["asgd_step"]
    _scalars = 3
    _counts = ("step", "eta", "mu")
    _old_options = {"foreach": None, "maximize": False, "differentiable": False, "capturable": False}

    def __init__(self, params: Any, lr: Any = 1e-2, lambd: float = 1e-4, alpha: float = 0.75, t0: float = 1e6,
                 weight_decay: float = 0, foreach: bool | None = None, maximize: bool = False,
                 differentiable: bool = False, capturable: bool = False) -> None:
        check_lr(lr, None)
        check_option(0.0 <= weight_decay, f"Invalid weight_decay value: {weight_decay}")
        check_modes("ASGD", differentiable, foreach, None)
        super().__init__(params, {"lr": lr, "lambd": lambd, "alpha": alpha, "t0": t0, "weight_decay": weight_decay,
                                  "foreach": foreach, "maximize": maximize, "differentiable": differentiable,
                                  "capturable": capturable})

    def _names(self, group: dict) -> tuple[str, ...]:
        return ("ax", "step", "eta", "mu")

    def _numbers(self, group: dict) -> list:
        return [group["lr"], group["lambd"], group["alpha"], group["t0"], group["weight_decay"]]

    def _new_state(self, group: dict, param: Tensor) -> dict:
        return {"step": _update.scalar(0.0), "eta": _update.scalar(_update.number(group["lr"])),
                "mu": _update.scalar(1.0), "ax": _update.zeros_like(param)}
