"""NAdam."""
from __future__ import annotations

from typing import Any

from ..tensor import Tensor
from . import _update
from .adam import AdamFamily, check_adam
from .optimizer import check_lr, check_modes, check_option


class NAdam(AdamFamily):
    """Adam with Nesterov momentum (Dozat).

    The momentum of a step is ``beta1 (1 - 0.96**(step momentum_decay) / 2)``; a step goes along the gradient and along
    its mean as the next step will have it. ``weight_decay`` adds to the gradient, or with ``decoupled_weight_decay``
    shrinks the parameter. ``maximize`` changes the gradient's sign. ``foreach`` and ``capturable`` are accepted and
    make no difference; ``differentiable=True`` is a NotImplementedError.

    State: ``step`` and ``mu_product`` (0-d float32), ``exp_avg``, ``exp_avg_sq``. ValueError for an option out of
    range.
    """

    _op = _update.OP["nadam_step"]
    _scalars = 2
    _counts = ("step", "mu_product")
    _old_options = {"maximize": False, "foreach": None, "capturable": False, "differentiable": False,
                    "decoupled_weight_decay": False}

    def __init__(self, params: Any, lr: Any = 2e-3, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8,
                 weight_decay: float = 0, momentum_decay: float = 4e-3, decoupled_weight_decay: bool = False, *,
                 foreach: bool | None = None, maximize: bool = False, capturable: bool = False,
                 differentiable: bool = False) -> None:
        check_lr(lr, None)
        check_adam(lr, betas, eps, weight_decay)
        check_option(0.0 <= momentum_decay, f"Invalid momentum_decay value: {momentum_decay}")
        check_modes("NAdam", differentiable, foreach, None)
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay,
                                  "momentum_decay": momentum_decay,
                                  "decoupled_weight_decay": decoupled_weight_decay, "maximize": maximize,
                                  "foreach": foreach, "capturable": capturable, "differentiable": differentiable})

    def _names(self, group: dict) -> tuple[str, ...]:
        return ("exp_avg", "exp_avg_sq", "step", "mu_product")

    def _numbers(self, group: dict) -> list:
        return [*super()._numbers(group), group["momentum_decay"]]

    def _new_state(self, group: dict, param: Tensor) -> dict:
        return {"step": _update.scalar(0.0), "mu_product": _update.scalar(1.0),
                "exp_avg": _update.zeros_like(param), "exp_avg_sq": _update.zeros_like(param)}
