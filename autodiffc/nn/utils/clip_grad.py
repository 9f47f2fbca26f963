"""Limiting gradients between backward and the optimizer's step."""
from __future__ import annotations

import math
import warnings
from collections.abc import Iterable
from typing import Any

from ..._core import check, wrap
from ..._native import lib
from .._base import Tensor, no_grad, ops


def _tensors(value: Any, what: str) -> list[Tensor]:
    if isinstance(value, Tensor):
        return [value]
    if not isinstance(value, (list, tuple)):
        value = list(value)
        if not value:
            warnings.warn(f"`{what}` is an empty generator, no gradient clipping will occur.", stacklevel=3)
    value = list(value)
    for tensor in value:
        if not isinstance(tensor, Tensor):
            raise TypeError(f"expected Tensors in `{what}`, got {type(tensor).__name__}")
    return value


def _total(tensors: list[Tensor], norm_type: float) -> Tensor:
    if norm_type in (1.0, 2.0, math.inf):       # one call
        return wrap(lib.ad_total_norm([tensor._h for tensor in tensors], len(tensors), norm_type))
    return ops.stack([tensor.detach().norm(norm_type) for tensor in tensors]).norm(norm_type)


def get_total_norm(tensors: Iterable[Tensor] | Tensor, norm_type: float = 2.0,
                   error_if_nonfinite: bool = False, foreach: bool | None = None) -> Tensor:
    """The norm of all tensors' elements as one vector, 0-d.

    RuntimeError when it is infinite or NaN and ``error_if_nonfinite``. ``foreach`` is accepted and makes no
    difference.
    """
    with no_grad():
        tensors = _tensors(tensors, "tensors")
        norm_type = float(norm_type)
        if not tensors:
            return ops.tensor(0.0)
        total = _total(tensors, norm_type)
        if error_if_nonfinite and not bool(total.isfinite()):
            raise RuntimeError(f"The total norm of order {norm_type} for gradients from `parameters` is "
                               "non-finite, so "
                               "it cannot be clipped. To disable this error and scale the gradients by the "
                               "non-finite "
                               "norm anyway, set `error_if_nonfinite=False`")
        return total


def clip_grads_with_norm_(parameters: Iterable[Tensor] | Tensor, max_norm: float, total_norm: Tensor,
                          foreach: bool | None = None) -> None:
    """Scale the gradients by ``max_norm / (total_norm + 1e-6)`` where that is below 1, in place."""
    grads = [p.grad for p in _tensors(parameters, "parameters") if p.grad is not None]
    if grads:
        check(lib.ad_scale_to_norm([grad._h for grad in grads], len(grads), total_norm._h, float(max_norm)))


def clip_grad_norm_(parameters: Iterable[Tensor] | Tensor, max_norm: float, norm_type: float = 2.0,
                    error_if_nonfinite: bool = False, foreach: bool | None = None) -> Tensor:
    """Scale all gradients by one factor, in place, so that their norm as one vector is at most ``max_norm``.

    Returns the norm before, 0-d. Parameters without a gradient are left out.
    """
    params = _tensors(parameters, "parameters")
    total = get_total_norm([p.grad for p in params if p.grad is not None], norm_type, error_if_nonfinite)
    clip_grads_with_norm_(params, max_norm, total)
    return total


def clip_grad_norm(parameters: Iterable[Tensor] | Tensor, max_norm: float, norm_type: float = 2.0,
                   error_if_nonfinite: bool = False, foreach: bool | None = None) -> Tensor:
    """The old name of :func:`clip_grad_norm_`."""
    warnings.warn("`torch.nn.utils.clip_grad_norm` is now deprecated in favor of "
                  "`torch.nn.utils.clip_grad_norm_`.",
                  FutureWarning, stacklevel=2)
    return clip_grad_norm_(parameters, max_norm, norm_type, error_if_nonfinite)


def clip_grad_value_(parameters: Iterable[Tensor] | Tensor, clip_value: float,
                     foreach: bool | None = None) -> None:
    """Limit every element of the gradients to ``[-clip_value, clip_value]``, in place."""
    grads = [p.grad for p in _tensors(parameters, "parameters") if p.grad is not None]
    if grads:
        check(lib.ad_clip_values([grad._h for grad in grads], len(grads), float(clip_value)))
