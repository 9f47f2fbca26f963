"""Stochastic gradient descent."""
from __future__ import annotations

from functools import partial
from typing import Any

from ..autograd.grad_mode import no_grad
from ..tensor import Tensor
from . import _sparse, _update
from .optimizer import Optimizer, Plan, check_lr, check_modes


class SGD(Optimizer):
    """``p -= lr g``, with ``g`` the gradient plus ``weight_decay p``.

    With ``momentum`` ``g`` is replaced by ``b = momentum b + (1 - dampening) g``, where ``b`` starts as the
    first ``g``; with ``nesterov`` by ``g + momentum b``. ``maximize`` changes the gradient's sign.
    ``foreach`` and ``fused`` are accepted and make no difference; ``differentiable=True`` is a
    NotImplementedError.

    State: ``momentum_buffer``, once there is momentum. ValueError for a negative option, or ``nesterov``
    without momentum or with dampening.
    """

    _op = _update.OP["sgd_step"]
    _old_options = {"nesterov": False, "maximize": False, "foreach": None, "differentiable": False, "fused": False}

    def __init__(self, params: Any, lr: Any = 1e-3, momentum: float = 0, dampening: float = 0,
                 weight_decay: Any = 0, nesterov: bool = False, *, maximize: bool = False,
                 foreach: bool | None = None, differentiable: bool = False,
                 fused: bool | None = None) -> None:
        check_lr(lr, None)
        if momentum < 0.0:
            raise ValueError(f"Invalid momentum value: {momentum}")
        if weight_decay < 0.0:
            raise ValueError(f"Invalid weight_decay value: {weight_decay}")
        if nesterov and (momentum <= 0 or dampening != 0):
            raise ValueError("Nesterov momentum requires a momentum and zero dampening")
        check_modes("SGD", differentiable, foreach, fused)
        super().__init__(params, {"lr": lr, "momentum": momentum, "dampening": dampening,
                                  "weight_decay": weight_decay, "nesterov": nesterov, "maximize": maximize,
                                  "foreach": foreach, "differentiable": differentiable, "fused": fused})

    def _names(self, group: dict) -> tuple[str, ...]:
        return ("momentum_buffer",) if group["momentum"] else ()

    def _flags(self, group: dict) -> int:
        return ((_update.MAXIMIZE if group["maximize"] else 0) | (_update.MOMENTUM if group["momentum"] else 0)
                | (_update.NESTEROV if group["nesterov"] else 0))

    def _numbers(self, group: dict) -> list:
        return [group["lr"], group["momentum"], group["dampening"], group["weight_decay"]]

    def _undampened(self, index: int) -> list:
        group = self.param_groups[index]
        return [group["lr"], group["momentum"], 0.0, group["weight_decay"]]

    def _plan_state(self, group: dict, plan: Plan) -> None:
        if not plan.key:
            plan.n, plan.arrays, plan.waiting = len(plan.params), _update.Arrays(plan.params), []
            return
        buffers = {p: self.state[p].get("momentum_buffer") if p in self.state else None for p in plan.params}
        ready = [p for p in plan.params if buffers[p] is not None and not buffers[p].is_sparse]
        plan.waiting = [p for p in plan.params if buffers[p] is None or buffers[p].is_sparse]
        plan.n = len(ready)
        plan.arrays = _update.Arrays(ready, [buffers[p] for p in ready])

    def _init_state(self, group: dict, plan: Plan) -> bool:
        return False    # the first step makes it

    def _update_group(self, index: int, group: dict, plan: Plan) -> None:
        super()._update_group(index, group, plan)
        if plan.waiting:
            self._first_steps(index, group, plan)

    def _sparse_step(self, group: dict, param: Tensor) -> None:
        if group["weight_decay"]:
            raise RuntimeError("add(sparse, dense) is not supported. Use add(dense, sparse) instead.")
        grad = -param.grad if group["maximize"] else param.grad
        if group["momentum"]:
            last = self.state[param].get("momentum_buffer") if param in self.state else None
            buffer = grad.clone() if last is None else last * group["momentum"] + grad * (1 - group["dampening"])
            self.state[param]["momentum_buffer"] = buffer
            grad = grad + buffer * group["momentum"] if group["nesterov"] else buffer
        with no_grad():
            param.index_add_(0, grad._indices()[0], grad._values(), alpha=-_update.number(group["lr"]))

    def _first_steps(self, index: int, group: dict, plan: Plan) -> None:
        """Parameters with their first gradient: a buffer of zeros that this step, undampened, sets to it."""
        params = [p for p in plan.waiting if p.grad is not None]
        for p in _sparse.pending(params):
            self._sparse_step(group, p)
        params = [p for p in params if not p.grad.is_sparse]
        if any(p in self.state and "momentum_buffer" in self.state[p] for p in params):
            raise RuntimeError("add(sparse, dense) is not supported. Use add(dense, sparse) instead.")
        if params:
            buffers = [_update.zeros_like(p) for p in params]
            _update.step(self._op, len(params), _update.Arrays(params, buffers), 0, self._flags(group),
                         partial(self._undampened, index), partial(self._numbers_of, index))
            for param, buffer in zip(params, buffers):
                self.state[param]["momentum_buffer"] = buffer
