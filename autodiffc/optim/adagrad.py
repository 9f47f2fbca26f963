"""Adagrad."""
from __future__ import annotations

from typing import Any

from ..autograd.grad_mode import no_grad
from ..tensor import Tensor
from . import _sparse, _update
from .optimizer import Optimizer, check_lr, check_modes, check_option


class Adagrad(Optimizer):
    """``p -= lr' g / (sqrt(s) + eps)`` with ``s`` the sum of all ``g**2`` (Duchi, Hazan and Singer).

    ``lr' = lr / (1 + (step - 1) lr_decay)``; ``s`` starts at ``initial_accumulator_value``; ``weight_decay p`` is
    added to the gradient, whose sign ``maximize`` changes. ``foreach`` and ``fused`` are accepted and make no
    difference; ``differentiable=True`` is a NotImplementedError.

    State, from the start: ``step`` (0-d float32), ``sum``. ValueError for a negative option.
    """

    _op = _update.OP["adagrad_step"]
    _scalars = 1
    _counts = ("step",)
    _old_options = {"foreach": None, "maximize": False, "differentiable": False, "fused": None}

    def __init__(self, params: Any, lr: Any = 1e-2, lr_decay: float = 0, weight_decay: float = 0,
                 initial_accumulator_value: float = 0, eps: float = 1e-10, foreach: bool | None = None, *,
                 maximize: bool = False, differentiable: bool = False, fused: bool | None = None) -> None:
        check_lr(lr, None)
        check_option(0.0 <= lr_decay, f"Invalid lr_decay value: {lr_decay}")
        check_option(0.0 <= weight_decay, f"Invalid weight_decay value: {weight_decay}")
        check_option(0.0 <= initial_accumulator_value,
                     f"Invalid initial_accumulator_value value: {initial_accumulator_value}")
        check_option(0.0 <= eps, f"Invalid epsilon value: {eps}")
        check_modes("Adagrad", differentiable, foreach, fused)
        super().__init__(params, {"lr": lr, "lr_decay": lr_decay, "eps": eps, "weight_decay": weight_decay,
                                  "initial_accumulator_value": initial_accumulator_value, "foreach": foreach,
                                  "maximize": maximize, "differentiable": differentiable, "fused": fused})
        for group in self.param_groups:
            for param in group["params"]:
                self.state[param] = self._new_state(group, param)

    def share_memory(self) -> None:
        """Move the state into shared memory: the processes of this library share what they inherit already."""
        for group in self.param_groups:
            for param in group["params"]:
                self.state[param]["sum"].share_memory_()

    def _names(self, group: dict) -> tuple[str, ...]:
        return ("sum", "step")

    def _numbers(self, group: dict) -> list:
        return [group["lr"], group["lr_decay"], group["weight_decay"], group["eps"]]

    def _sparse_step(self, group: dict, param: Tensor) -> None:
        if group["weight_decay"]:
            raise RuntimeError("weight_decay option is not compatible with sparse gradients")
        state = self.state[param]
        with no_grad():
            state["step"] += 1
            at, g = _sparse.rows(param)
            if group["maximize"]:
                g = -g
            lr = _update.number(group["lr"]) / (1 + (state["step"].item() - 1) * group["lr_decay"])
            state["sum"].index_add_(0, at, g * g)
            param.index_add_(0, at, g / (state["sum"][at].sqrt() + group["eps"]), alpha=-lr)

    def _new_state(self, group: dict, param: Tensor) -> dict:
        return {"step": _update.scalar(0.0),
                "sum": _update.full_like(param, group["initial_accumulator_value"])}
