"""L-BFGS."""
from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from .. import _ops as ops
from .._core import wrap
from .._dtype import float32, float64
from .._native import lib
from ..autograd import enable_grad, no_grad
from ..tensor import Tensor
from ._line_search import strong_wolfe
from .optimizer import Optimizer, check_option


def _largest(x: Tensor) -> float:
    """The largest magnitude, in one pass over memory."""
    return float(wrap(lib.ad_total_norm([x._h], 1, math.inf)))


class LBFGS(Optimizer):
    """L-BFGS (Nocedal), for all parameters as one vector, in one group.

    :meth:`step` takes a closure that computes the loss and its gradients; it is called several times. At most
    ``max_iter`` iterations and ``max_eval`` (None: 1.25 times as many) calls a step, of which each goes ``lr`` along
    the direction that the last ``history_size`` changes of the gradient suggest, or as far as a line search says
    (``line_search_fn="strong_wolfe"``; ``lr`` is then where it begins). It ends early when no gradient is above
    ``tolerance_grad``, or parameters or loss change by less than ``tolerance_change``.

    State, with the first parameter: counts, the last gradient, direction and loss, and the history. ValueError for
    several groups.
    """

    def __init__(self, params: Any, lr: Any = 1, max_iter: int = 20, max_eval: int | None = None,
                 tolerance_grad: float = 1e-7, tolerance_change: float = 1e-9, history_size: int = 100,
                 line_search_fn: str | None = None) -> None:
        if isinstance(lr, Tensor) and lr.numel() != 1:
            raise ValueError("Tensor lr must be 1-element")
        check_option(0.0 <= lr, f"Invalid learning rate: {lr}")
        super().__init__(params, {"lr": lr, "max_iter": max_iter,
                                  "max_eval": max_iter * 5 // 4 if max_eval is None else max_eval,
                                  "tolerance_grad": tolerance_grad, "tolerance_change": tolerance_change,
                                  "history_size": history_size, "line_search_fn": line_search_fn})
        if len(self.param_groups) != 1:
            raise ValueError("LBFGS doesn't support per-parameter options (parameter groups)")
        self._params = self.param_groups[0]["params"]

    def __setstate__(self, state: dict) -> None:
        super().__setstate__(state)
        self._params = self.param_groups[0]["params"]

    def _gather_flat_grad(self) -> Tensor:
        """All gradients as one vector; zeros where there is none."""
        return ops.cat([(ops.zeros_like(p) if p.grad is None else p.grad).reshape(-1) for p in self._params])

    def _add_grad(self, step_size: Any, direction: Tensor) -> None:
        """Move the parameters by ``step_size`` along a direction."""
        at = 0
        for p in self._params:
            n = p.numel()
            p.add_(direction[at : at + n].view_as(p), alpha=step_size)
            at += n

    def _loss_and_gradient(self, closure: Callable, x: list[Tensor], t: float, direction: Tensor) -> tuple:
        """Loss and flat gradient at x + t d; the parameters are put back to x."""
        self._add_grad(t, direction)
        loss = float(closure())
        gradient = self._gather_flat_grad()
        for p, value in zip(self._params, x):
            p.copy_(value)
        return loss, gradient

    def step(self, closure: Callable) -> Any:
        """Up to ``max_iter`` iterations; returns the loss at the start."""
        with no_grad():
            return self._iterate(enable_grad()(closure))

    def _iterate(self, closure: Callable) -> Any:
        group, state = self.param_groups[0], self.state[self._params[0]]
        tolerance_change, history = group["tolerance_change"], group["history_size"]
        lr = float(group["lr"])
        state.setdefault("func_evals", 0)
        state.setdefault("n_iter", 0)
        first_loss = closure()
        loss = float(first_loss)
        evaluations = 1
        state["func_evals"] += 1
        gradient = self._gather_flat_grad()
        if _largest(gradient) <= group["tolerance_grad"]:
            return first_loss
        d, t = state.get("d"), state.get("t")
        dirs, steps, ro = state.get("old_dirs"), state.get("old_stps"), state.get("ro")
        diagonal, last_gradient, last_loss = state.get("H_diag"), state.get("prev_flat_grad"), state.get("prev_loss")
        n = 0
        while n < group["max_iter"]:
            n += 1
            state["n_iter"] += 1
            if state["n_iter"] == 1:
                d, dirs, steps, ro, diagonal = gradient.neg(), [], [], [], 1
            else:
                y, s = gradient.sub(last_gradient), d.mul(t)
                ys = y.dot(s)
                if ys > 1e-10:
                    if len(dirs) == history:
                        del dirs[0], steps[0], ro[0]
                    dirs.append(y)
                    steps.append(s)
                    ro.append(1.0 / ys)
                    diagonal = ys / y.dot(y)
                d = self._direction(gradient, dirs, steps, ro, diagonal, state, history)
            last_gradient, last_loss = gradient, loss    # which is a copy: nothing writes to it
            t = min(1.0, 1.0 / gradient.abs().sum()) * lr if state["n_iter"] == 1 else lr
            slope = gradient.dot(d)
            if slope > -tolerance_change:
                break
            calls = 0
            if group["line_search_fn"] is not None:
                if group["line_search_fn"] != "strong_wolfe":
                    raise RuntimeError("only 'strong_wolfe' is supported")
                x = [p.clone() for p in self._params]
                loss, gradient, t, calls = strong_wolfe(
                    lambda at, d=d, x=x: self._loss_and_gradient(closure, x, at, d), t, d, loss, gradient, slope)
                self._add_grad(t, d)
                small = _largest(gradient) <= group["tolerance_grad"]
            else:
                self._add_grad(t, d)
                small = False
                if n != group["max_iter"]:
                    with enable_grad():
                        loss = float(closure())
                    gradient = self._gather_flat_grad()
                    small = _largest(gradient) <= group["tolerance_grad"]
                    calls = 1
            evaluations += calls
            state["func_evals"] += calls
            if n == group["max_iter"] or evaluations >= group["max_eval"] or small:
                break
            if _largest(d) * abs(float(t)) <= tolerance_change or abs(loss - last_loss) < tolerance_change:
                break
        state.update(d=d, t=t, old_dirs=dirs, old_stps=steps, ro=ro, H_diag=diagonal, prev_flat_grad=last_gradient,
                     prev_loss=last_loss)
        return first_loss

    @staticmethod
    def _direction(gradient: Tensor, dirs: list, steps: list, ro: list, diagonal: Any, state: dict,
                   history: int) -> Tensor:
        """Minus the approximate inverse Hessian times the gradient, by the two-loop recursion, in one call."""
        if not dirs:
            return gradient.neg().mul(diagonal)
        dtype = gradient.dtype
        wide = dtype if dtype in (float32, float64) else float32
        d, factors = ops.lbfgs_direction(gradient.to(wide), diagonal, *([x.to(wide) for x in part]
                                                                        for part in (dirs, steps, ro)))
        d, factors = d.to(dtype), factors.to(dtype)
        state.setdefault("al", [None] * history)
        state["al"][: len(dirs)] = factors.unbind()
        return d
