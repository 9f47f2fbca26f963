"""RAdam."""
from __future__ import annotations

from typing import Any

from . import _update
from .adam import AdamFamily, check_adam
from .optimizer import check_lr, check_modes


class RAdam(AdamFamily):
    """Adam whose adaptive rate is rectified while few gradients were seen, and off at first (Liu et al.).

    ``weight_decay`` adds to the gradient, or with ``decoupled_weight_decay`` shrinks the parameter. ``maximize``
    changes the gradient's sign. ``foreach`` and ``capturable`` are accepted and make no difference;
    ``differentiable=True`` is a NotImplementedError.

    State: ``step`` (0-d float32), ``exp_avg``, ``exp_avg_sq``. ValueError for an option out of range.
    """

    _op = _update.OP["radam_step"]
    _old_options = {"foreach": None, "maximize": False, "differentiable": False, "decoupled_weight_decay": False,
                    "capturable": False}

    def __init__(self, params: Any, lr: Any = 1e-3, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8,
                 weight_decay: float = 0, decoupled_weight_decay: bool = False, *, foreach: bool | None = None,
                 maximize: bool = False, capturable: bool = False, differentiable: bool = False) -> None:
        check_lr(lr, None)
        check_adam(lr, betas, eps, weight_decay)
        check_modes("RAdam", differentiable, foreach, None)
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay,
                                  "maximize": maximize, "foreach": foreach, "capturable": capturable,
                                  "decoupled_weight_decay": decoupled_weight_decay,
                                  "differentiable": differentiable})
