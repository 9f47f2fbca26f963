"""Adafactor."""
from __future__ import annotations

from typing import Any

from ..tensor import Tensor
from . import _update
from .optimizer import Optimizer, Plan, check_option


class Adafactor(Optimizer):
    """``p -= a u`` with ``u = g / sqrt(v)`` scaled down to a root mean square of at most ``d`` (Shazeer and Stern).

    The running mean square ``v`` of a matrix is the product of the means of its rows and of its columns, with factor
    ``1 - step**beta2_decay``; ``a = max(eps[1], rms(p)) min(lr, 1 / sqrt(step))``; ``eps[0]`` (None: the dtype's
    resolution) bounds ``sqrt(v)``; the parameter shrinks by ``lr weight_decay``. ``maximize`` changes the gradient's
    sign. ``foreach`` is accepted and makes no difference.

    State: ``step`` (0-d float32), ``row_var`` and ``col_var``, or ``variance`` with fewer than two dimensions.
    ValueError for an option out of range.
    """

    _op = _update.OP["adafactor_step"]
    _scalars = 1
    _counts = ("step",)
    _old_options = {"foreach": None}

    def __init__(self, params: Any, lr: Any = 1e-2, beta2_decay: float = -0.8,
                 eps: tuple[float | None, float] = (None, 1e-3), d: float = 1.0, weight_decay: float = 0.0, *,
                 foreach: bool | None = None, maximize: bool = False) -> None:
        if isinstance(lr, Tensor) and lr.numel() != 1:
            raise ValueError("Tensor lr must be 1-element")
        check_option(0.0 <= lr, f"Learning rate should be >= 0 but is: {lr}")
        check_option(0.0 >= beta2_decay, f"beta2_decay should be <= 0 but is: {beta2_decay}")
        check_option(eps[0] is None or 0.0 <= eps[0], f"epsilon1 should be >= 0 but is: {eps[0]}")
        check_option(0.0 <= eps[1], f"epsilon2 should be >= 0 but is: {eps[1]}")
        check_option(1.0 <= d, f"Clipping threshold d should be >= 1 but is: {d}")
        check_option(0.0 <= weight_decay, f"weight_decay should be >= 0 but is: {weight_decay}")
        super().__init__(params, {"lr": lr, "beta2_decay": beta2_decay, "eps": eps, "d": d,
                                  "weight_decay": weight_decay, "foreach": foreach, "maximize": maximize})

    def _names(self, group: dict) -> tuple[str, ...]:
        return ("row_var", "col_var", "step")

    def _numbers(self, group: dict) -> list:
        eps1, eps2 = group["eps"]
        return [group["lr"], group["beta2_decay"], -1.0 if eps1 is None else eps1, eps2, group["d"],
                group["weight_decay"]]

    def _new_state(self, group: dict, param: Tensor) -> dict:
        state = {"step": _update.scalar(0.0)}
        if param.dim() < 2:
            state["variance"] = _update.zeros_like(param)
            return state
        return {**state, "row_var": _update.zeros_like(param[..., :1]),
                "col_var": _update.zeros_like(param[..., :1, :])}

    def _plan_state(self, group: dict, plan: Plan) -> None:
        state = self.state
        ready = [p for p in plan.params if state.get(p)]
        plan.waiting = [p for p in plan.params if not state.get(p)]
        plan.n = len(ready)
        rows, cols = ([state[p]["variance" if p.dim() < 2 else name] for p in ready] for name in plan.key[:2])
        plan.arrays = _update.Arrays(ready, rows, cols, [state[p]["step"] for p in ready])
