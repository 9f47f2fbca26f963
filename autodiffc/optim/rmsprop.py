"""RMSprop."""
from __future__ import annotations

from typing import Any

from ..tensor import Tensor
from . import _update
from .optimizer import Optimizer, check_lr, check_modes, check_option


class RMSprop(Optimizer):
    """``p -= lr g / (sqrt(s) + eps)`` with ``s`` a running mean of ``g**2`` with factor ``alpha`` (Hinton).

    ``centered`` subtracts the square of the mean gradient from ``s`` (Graves); with ``momentum`` the quotient is
    summed up with that factor first. ``weight_decay p`` is added to the gradient, whose sign ``maximize`` changes.
    ``foreach`` and ``capturable`` are accepted and make no difference; ``differentiable=True`` is a
    NotImplementedError.

    State: ``step`` (0-d float32), ``square_avg``, with momentum ``momentum_buffer``, with ``centered`` ``grad_avg``.
    ValueError for a negative option.
    """

    _op = _update.OP["rmsprop_step"]
    _scalars = 1
    _counts = ("step",)
    _old_options = {"momentum": 0, "centered": False, "foreach": None, "maximize": False, "differentiable": False,
                    "capturable": False}

    def __init__(self, params: Any, lr: Any = 1e-2, alpha: float = 0.99, eps: float = 1e-8, weight_decay: float = 0,
                 momentum: float = 0, centered: bool = False, capturable: bool = False,
                 foreach: bool | None = None, maximize: bool = False, differentiable: bool = False) -> None:
        check_lr(lr, None)
        check_option(0.0 <= eps, f"Invalid epsilon value: {eps}")
        check_option(0.0 <= momentum, f"Invalid momentum value: {momentum}")
        check_option(0.0 <= weight_decay, f"Invalid weight_decay value: {weight_decay}")
        check_option(0.0 <= alpha, f"Invalid alpha value: {alpha}")
        check_modes("RMSprop", differentiable, foreach, None)
        super().__init__(params, {"lr": lr, "momentum": momentum, "alpha": alpha, "eps": eps, "centered": centered,
                                  "weight_decay": weight_decay, "capturable": capturable, "foreach": foreach,
                                  "maximize": maximize, "differentiable": differentiable})

    def _names(self, group: dict) -> tuple[str, ...]:
        return ("square_avg", *(("momentum_buffer",) if group["momentum"] > 0 else ()),
                *(("grad_avg",) if group["centered"] else ()), "step")

    def _flags(self, group: dict) -> int:
        return ((_update.MAXIMIZE if group["maximize"] else 0) | (_update.MOMENTUM if group["momentum"] > 0 else 0)
                | (_update.CENTERED if group["centered"] else 0))

    def _numbers(self, group: dict) -> list:
        return [group["lr"], group["alpha"], group["eps"], group["weight_decay"], group["momentum"]]

    def _new_state(self, group: dict, param: Tensor) -> dict:
        names = [name for name in self._names(group) if name != "step"]
        return {"step": _update.scalar(0.0), **{name: _update.zeros_like(param) for name in names}}
