"""Resilient backpropagation."""
from __future__ import annotations

from typing import Any

from ..tensor import Tensor
from . import _update
from .optimizer import Optimizer, check_lr, check_modes, check_option


class Rprop(Optimizer):
    """Steps of a size of their own for each element, against the sign of the gradient (Riedmiller and Braun).

    A size starts at ``lr``, is multiplied by ``etas[1]`` while the sign stays and by ``etas[0]`` when it changes (the
    element then rests), and is kept within ``step_sizes``. ``maximize`` changes the gradient's sign. ``foreach`` and
    ``capturable`` are accepted and make no difference; ``differentiable=True`` is a NotImplementedError.

    State: ``step`` (0-d float32), ``prev``, ``step_size``. ValueError for an option out of range.
    """

    _op = _update.OP["rprop_step"]
    _scalars = 1
    _counts = ("step",)
    _old_options = {"foreach": None, "maximize": False, "differentiable": False, "capturable": False}

    def __init__(self, params: Any, lr: Any = 1e-2, etas: tuple[float, float] = (0.5, 1.2),
                 step_sizes: tuple[float, float] = (1e-6, 50), *, capturable: bool = False,
                 foreach: bool | None = None, maximize: bool = False, differentiable: bool = False) -> None:
        check_lr(lr, None)
        check_option(0.0 < etas[0] < 1.0 < etas[1], f"Invalid eta values: {etas[0]}, {etas[1]}")
        check_modes("Rprop", differentiable, foreach, None)
        super().__init__(params, {"lr": lr, "etas": etas, "step_sizes": step_sizes, "foreach": foreach,
                                  "maximize": maximize, "differentiable": differentiable,
                                  "capturable": capturable})

    def _names(self, group: dict) -> tuple[str, ...]:
        return ("prev", "step_size", "step")

    def _numbers(self, group: dict) -> list:
        return [*group["etas"], *group["step_sizes"]]

    def _new_state(self, group: dict, param: Tensor) -> dict:
        return {"step": _update.scalar(0.0), "prev": _update.zeros_like(param),
                "step_size": _update.full_like(param, _update.number(group["lr"]))}
