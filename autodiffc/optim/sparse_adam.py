"""SparseAdam."""
from __future__ import annotations

from typing import Any

from ..autograd.grad_mode import no_grad
from ..tensor import Tensor
from . import _sparse, _update
from .adam import check_adam
from .optimizer import Optimizer, check_option


class SparseAdam(Optimizer):
    """Adam for sparse gradients: moments and parameters move where the gradient has rows, and nowhere else.

    RuntimeError for dense gradients. State: ``step`` (an int), ``exp_avg``, ``exp_avg_sq``. ValueError for an option
    out of range.
    """

    def __init__(self, params: Any, lr: Any = 1e-3, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8,
                 maximize: bool = False) -> None:
        if isinstance(lr, Tensor) and lr.numel() != 1:
            raise ValueError("Tensor lr must be 1-element")
        check_option(0.0 < lr, f"Invalid learning rate: {lr}")
        check_option(0.0 < eps, f"Invalid epsilon value: {eps}")
        check_adam(lr, betas, eps, 0.0)
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "maximize": maximize})

    def _update_group(self, index: int, group: dict, plan: Any) -> None:
        given = [p for p in plan.params if p.grad is not None]
        if any(not p.grad.is_sparse for p in given):
            raise RuntimeError("SparseAdam does not support dense gradients, please consider Adam instead")
        with no_grad():
            for param in given:
                self._sparse_step(group, param)

    def _init_state(self, group: dict, plan: Any) -> bool:
        return False    # the first step makes it

    def _sparse_step(self, group: dict, param: Tensor) -> None:
        state = self.state[param]
        if not state:
            state.update(step=0, exp_avg=_update.zeros_like(param), exp_avg_sq=_update.zeros_like(param))
        state["step"] += 1
        at, g = _sparse.rows(param)
        if not g.numel():
            return
        if group["maximize"]:
            g = -g
        beta1, beta2 = group["betas"]
        mean, square = state["exp_avg"], state["exp_avg_sq"]
        moved = (g - mean[at]) * (1 - beta1)
        spread = (g * g - square[at]) * (1 - beta2)
        numer, denom = moved + mean[at], (spread + square[at]).sqrt() + group["eps"]
        mean.index_add_(0, at, moved)
        square.index_add_(0, at, spread)
        correct1, correct2 = 1 - beta1 ** state["step"], 1 - beta2 ** state["step"]
        rate = _update.number(group["lr"]) * correct2 ** 0.5 / correct1
        param.index_add_(0, at, numer / denom, alpha=-rate)
