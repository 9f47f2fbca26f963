"""Muon."""
from __future__ import annotations

from functools import partial
from typing import Any

from .. import _ops as ops
from .._core import OP, wrap
from .._dtype import bfloat16, float32
from .._native import ffi, lib
from ..autograd import no_grad
from ..tensor import Tensor
from . import _update
from .optimizer import Optimizer, Plan, check_option

_PRODUCT_SUM = OP["product_sum"]
_MOMENTUM = _update.OP["muon_momentum_step"]


_TOGETHER = 1 << 22
"""Elements of the matrices of one shape that are made orthogonal together."""


def orthogonalized(update: Tensor, coefficients: tuple[float, float, float], steps: int, eps: float) -> Tensor:
    """The nearest semi-orthogonal matrices, roughly, by ``steps`` of a quintic Newton-Schulz iteration in bfloat16.

    ``update``: ``(*, rows, columns)``. Returns as many of bfloat16. ValueError for other than three coefficients,
    and for 100 steps or more.
    """
    if steps >= 100:
        raise ValueError("Number of steps must be less than 100 for computational efficiency")
    if len(coefficients) != 3:
        raise ValueError("Coefficients must be a tuple of exactly 3 values")
    a, b, c = coefficients
    x = update.to(bfloat16)
    tall = x.size(-2) > x.size(-1)
    if tall:
        x = x.transpose(-2, -1)
    wide = x.to(float32)
    norm = wide.norm(dim=(-2, -1), keepdim=True).to(bfloat16).to(float32)
    x = (wide / norm.clamp(min=eps)).to(bfloat16)
    for _ in range(steps):  # a x + (b g + c g g) x of g = x x^T
        gram = x @ x.transpose(-2, -1)
        x = _sum(a, x, 1.0, _sum(b, gram, c, gram, gram), x)
    return x.transpose(-2, -1) if tall else x


def _sum(beta: float, x: Tensor, alpha: float, left: Tensor, right: Tensor) -> Tensor:
    """beta x + alpha (left @ right) of bfloat16, summed in float32 and rounded once."""
    operands = [x._h, left._h, right._h]
    return wrap(lib.ad_opn(_PRODUCT_SUM, operands, 3, ffi.NULL, 0, [beta, alpha], 2, ffi.NULL, 0))


class Muon(Optimizer):
    """Momentum made orthogonal, for matrices in the middle of a network (Jordan et al.).

    ``b = momentum b + (1 - momentum) g``; the update is ``b``, or with ``nesterov`` a mean of it and ``g``, made
    orthogonal (``ns_steps`` iterations with ``ns_coefficients``, from a norm of at least ``eps``);
    ``p = (1 - lr weight_decay) p - lr' update``. ``lr'`` is ``lr sqrt(max(1, rows / columns))`` (``adjust_lr_fn`` None
    or ``"original"``) or ``0.2 lr sqrt(max(rows, columns))`` (``"match_rms_adamw"``).

    State: ``momentum_buffer``. ValueError for a parameter that is no matrix and for an option out of range.
    """

    _op = _update.OP["muon_step"]

    def __init__(self, params: Any, lr: Any = 1e-3, weight_decay: float = 0.1, momentum: float = 0.95,
                 nesterov: bool = True, ns_coefficients: tuple[float, float, float] = (3.4445, -4.775, 2.0315),
                 eps: float = 1e-7, ns_steps: int = 5, adjust_lr_fn: str | None = None) -> None:
        if isinstance(lr, Tensor) and lr.numel() != 1:
            raise ValueError("Tensor lr must be 1-element")
        check_option(0.0 <= lr, f"Learning rate should be >= 0 but is: {lr}")
        check_option(0.0 <= momentum, f"momentum should be >= 0 but is: {momentum}")
        check_option(0.0 <= weight_decay, f"weight decay should be >= 0 but is: {weight_decay}")
        check_option(adjust_lr_fn in (None, "original", "match_rms_adamw"),
                     f"Adjust learning rate function {adjust_lr_fn} is not supported")
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay, "momentum": momentum, "nesterov": nesterov,
                                  "ns_coefficients": ns_coefficients, "eps": eps, "ns_steps": ns_steps,
                                  "adjust_lr_fn": adjust_lr_fn})
        for group in self.param_groups:
            for p in group["params"]:
                check_option(p.ndim == 2, "Muon only supports 2D parameters whereas we found a parameter with size: "
                                          f"{p.size()}")

    def _names(self, group: dict) -> tuple[str, ...]:
        return ("momentum_buffer",)

    def _flags(self, group: dict) -> int:
        return _update.NESTEROV if group["nesterov"] else 0

    def _numbers(self, group: dict) -> list:
        return [group["lr"], group["weight_decay"], 1.0 if group["adjust_lr_fn"] == "match_rms_adamw" else 0.0]

    @staticmethod
    def _constants(group: dict) -> list:
        return [(name, value) for name, value in group.items()
                if name not in ("params", "lr", "weight_decay", "momentum")]

    def _momentum(self, index: int) -> list:
        return [self.param_groups[index]["momentum"]]

    def _new_state(self, group: dict, param: Tensor) -> dict:
        return {"momentum_buffer": _update.zeros_like(param)}

    def _update_group(self, index: int, group: dict, plan: Plan) -> None:
        params = [p for p in plan.params if p.grad is not None and self.state.get(p)]
        if not params:
            return
        alike: dict[tuple, list[Tensor]] = {}
        for p in params:
            alike.setdefault((*p.shape, p.dtype), []).append(p)
        for same in alike.values():
            most = max(1, _TOGETHER // max(1, same[0].numel()))
            for k in range(0, len(same), most):
                self._update_alike(index, group, same[k:k + most])

    def _update_alike(self, index: int, group: dict, params: list[Tensor]) -> None:
        """One step of parameters of one size."""
        with no_grad():
            buffers = [self.state[p]["momentum_buffer"] for p in params]
            updates = ops.empty(len(params), *params[0].shape, dtype=params[0].dtype)
            _update.step(_MOMENTUM, len(params), _update.Arrays(params, buffers, list(updates)), 0, self._flags(group),
                         partial(self._momentum, index))
            updates = orthogonalized(updates, group["ns_coefficients"], group["ns_steps"], group["eps"])
            _update.step(self._op, len(params), _update.Arrays(params, list(updates.to(params[0].dtype))), 0, 0,
                         partial(self._numbers_of, index))
