"""The losses of :mod:`autodiffc.nn.functional`.

Every loss takes ``reduction``: ``"none"`` gives an element for each of the input's (or each sample's),
``"mean"`` and ``"sum"`` a 0-d tensor. ``size_average`` and ``reduce`` are the older spelling of the same.
"""
from __future__ import annotations

import math
import warnings
from collections.abc import Callable

from .._dtype import int64
from .._ops.loss import (  # noqa: F401
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    cross_entropy,
    ctc_loss,
    huber_loss,
    kl_div,
    l1_loss,
    mse_loss,
    nll_loss,
    smooth_l1_loss,
)
from ._base import Tensor, no_grad, ops
from ._base import shape_text as _shape


def _legacy(size_average: bool | None, reduce: bool | None, reduction: str) -> str:
    """The reduction that the two old arguments ask for, if either is given."""
    if size_average is None and reduce is None:
        return reduction
    if reduce is False:
        result = "none"
    else:
        result = "sum" if size_average is False else "mean"
    warnings.warn(f"size_average and reduce args will be deprecated, please use reduction='{result}' "
                  "instead.",
                  stacklevel=3)
    return result


def _check(reduction: str, message: str = "{} is not a valid value for reduction") -> None:
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(message.format(reduction))


def _reduced(loss: Tensor, reduction: str) -> Tensor:
    _check(reduction)
    return loss if reduction == "none" else loss.mean() if reduction == "mean" else loss.sum()


# ---- classification

def soft_margin_loss(input: Tensor, target: Tensor, size_average: bool | None = None,
                     reduce: bool | None = None, reduction: str = "mean") -> Tensor:
    """``log(1 + exp(-t x))`` with targets 1 and -1."""
    reduction = _legacy(size_average, reduce, reduction)
    return _reduced(ops.log1p(ops.exp(-target * input)), reduction)


def multilabel_soft_margin_loss(input: Tensor, target: Tensor, weight: Tensor | None = None,
                                size_average: bool | None = None, reduce: bool | None = None,
                                reduction: str = "mean") -> Tensor:
    """Binary cross-entropy of logits ``(*, C)`` with 0/1 targets, averaged over the classes."""
    reduction = _legacy(size_average, reduce, reduction)
    loss = -(target * ops.logsigmoid(input) + (1 - target) * ops.logsigmoid(-input))
    if weight is not None:
        loss = loss * weight
    return _reduced(loss.sum(-1) / input.shape[-1], reduction)


def multi_margin_loss(input: Tensor, target: Tensor, p: int = 1, margin: float = 1.0,
                      weight: Tensor | None = None, size_average: bool | None = None,
                      reduce: bool | None = None, reduction: str = "mean") -> Tensor:
    """``sum_i max(0, margin - x[t] + x[i])**p / C`` over ``i != t``: input ``(N, C)`` or ``(C)``, target
    ``(N)`` or ``()``.

    ``p`` is 1 or 2; ``weight`` a factor for each class.
    """
    reduction = _legacy(size_average, reduce, reduction)
    _check(reduction)
    if p not in (1, 2):
        raise ValueError("only p == 1 and p == 2 supported")
    if weight is not None and weight.dim() != 1:
        raise ValueError("weight must be one-dimensional")
    if input.dim() > 2 or target.dim() > 1 or (input.dim() == 2 and target.dim() != 1):
        raise RuntimeError(f"inconsistent target size, expected {list(input.shape[:-1])} but got "
                           f"{_shape(target)}")
    rows = input if input.dim() == 2 else input.reshape(1, -1)
    labels = target.reshape(-1)
    if labels.shape[0] != rows.shape[0]:
        raise RuntimeError(f"inconsistent target size, expected {rows.shape[0]} but got {_shape(target)}")
    n_classes = rows.shape[1]
    if bool(((labels < 0) | (labels >= n_classes)).any()):
        raise RuntimeError("target out of range")
    at_target = rows.gather(1, labels.unsqueeze(1))
    loss = ops.relu(margin - at_target + rows)
    if p == 2:
        loss = loss * loss
    if weight is not None:
        loss = loss * weight[labels].unsqueeze(1)
    loss = loss * (1 - ops.one_hot(labels, n_classes).to(loss.dtype))
    loss = loss.sum(1) / n_classes
    return _reduced(loss if target.dim() else loss.squeeze(0), reduction)


def multilabel_margin_loss(input: Tensor, target: Tensor, size_average: bool | None = None,
                           reduce: bool | None = None, reduction: str = "mean") -> Tensor:
    """``sum_jk max(0, 1 - x[t_j] + x[k]) / C`` over the targets ``j`` and the classes ``k`` that are none.

    Input ``(N, C)`` or ``(C)``; target of the same shape: class indices up to the first -1.
    """
    reduction = _legacy(size_average, reduce, reduction)
    _check(reduction)
    single = input.dim() < 2 and target.dim() < 2 and input.numel() == target.numel()
    if not single and (input.shape != target.shape or input.dim() != 2):
        raise RuntimeError(f"inconsistent target size: {list(target.shape)} for input of size: "
                           f"{list(input.shape)}")
    rows, labels = (input, target) if input.dim() == 2 else (input.reshape(1, -1), target.reshape(1, -1))
    n_classes = rows.shape[1]
    if bool(((labels < -1) | (labels >= n_classes)).any()):
        raise RuntimeError("argument #3 target out of range")
    with no_grad():
        valid = (labels >= 0).to(int64).cumprod(1)
        index = labels * valid
        is_target = ops.zeros_like(index).scatter_add_(1, index, valid).clamp(max=1)
    at_target = rows.gather(1, index)
    loss = ops.relu(1 - at_target.unsqueeze(2) + rows.unsqueeze(1))
    counts = (valid.unsqueeze(2) * (1 - is_target).unsqueeze(1)).to(loss.dtype)
    loss = (loss * counts).sum((1, 2)) / n_classes
    return _reduced(loss if input.dim() == 2 else loss.squeeze(0), reduction)


# ---- regression

def poisson_nll_loss(input: Tensor, target: Tensor, log_input: bool = True, full: bool = False,
                     size_average: bool | None = None, eps: float = 1e-8, reduce: bool | None = None,
                     reduction: str = "mean") -> Tensor:
    """``exp(x) - t x``, or ``x - t log(x + eps)`` without ``log_input``; ``full`` adds Stirling's term for
    ``t > 1``.
    """
    reduction = _legacy(size_average, reduce, reduction)
    _check(reduction)
    loss = ops.exp(input) - target * input if log_input else input - target * ops.log(input + eps)
    if full:
        stirling = target * ops.log(target) - target + 0.5 * ops.log(2 * math.pi * target)
        loss = loss + stirling.masked_fill(target <= 1, 0)
    return _reduced(loss, reduction)


def gaussian_nll_loss(input: Tensor, target: Tensor, var: Tensor | float, full: bool = False,
                      eps: float = 1e-6, reduction: str = "mean") -> Tensor:
    """``(log v + (x - t)**2 / v) / 2`` with ``v = max(var, eps)``; ``full`` adds ``log(2 pi) / 2``.

    ``var`` has the input's shape, or 1 in one dimension, or lacks the last one, or is a number. The bound ``eps``
    has no effect on the gradient. ValueError for negative entries.
    """
    if not isinstance(var, Tensor):
        if var < 0:
            raise ValueError("var has negative entry/entries")
        var = ops.full_like(input.detach(), var)
    elif bool((var.detach() < 0).any()):
        raise ValueError("var has negative entry/entries")
    if var.shape != input.shape:
        if input.shape[:-1] == var.shape:
            var = var.unsqueeze(-1)
        elif var.dim() != input.dim() or [n for n, m in zip(var.shape, input.shape) if n != m] != [1]:
            raise ValueError("var is of incorrect size")
    _check(reduction, "{} is not valid")
    with no_grad():
        excess = var.detach().clamp(min=eps) - var.detach()
    var = var + excess
    loss = 0.5 * (ops.log(var) + (input - target) ** 2 / var)
    if full:
        loss = loss + 0.5 * math.log(2 * math.pi)
    return _reduced(loss, reduction)


# ---- embeddings

def hinge_embedding_loss(input: Tensor, target: Tensor, margin: float = 1.0, size_average: bool | None = None,
                         reduce: bool | None = None, reduction: str = "mean") -> Tensor:
    """``x`` where the target is 1, ``max(0, margin - x)`` where it is -1."""
    reduction = _legacy(size_average, reduce, reduction)
    zero = ops.zeros_like(input.detach())
    loss = ops.where(target != 1, ops.relu(margin - input), zero) + ops.where(target != -1, input, zero)
    return _reduced(loss, reduction)


def margin_ranking_loss(input1: Tensor, input2: Tensor, target: Tensor, margin: float = 0,
                        size_average: bool | None = None, reduce: bool | None = None,
                        reduction: str = "mean") -> Tensor:
    """``max(0, -t (x1 - x2) + margin)`` with targets 1 (the first ranks higher) and -1."""
    reduction = _legacy(size_average, reduce, reduction)
    if not input1.dim() == input2.dim() == target.dim():
        raise RuntimeError("margin_ranking_loss : All input tensors should have same dimension but got "
                           "sizes: "
                           f"input1: {_shape(input1)}, input2: {_shape(input2)}, target: {_shape(target)} ")
    return _reduced((-target * (input1 - input2) + margin).clamp_min(0), reduction)


def cosine_embedding_loss(input1: Tensor, input2: Tensor, target: Tensor, margin: float = 0,
                          size_average: bool | None = None, reduce: bool | None = None,
                          reduction: str = "mean") -> Tensor:
    """``1 - cos(x1, x2)`` where the target is 1, ``max(0, cos(x1, x2) - margin)`` where it is -1.

    Inputs ``(N, D)`` with target ``(N)``, or ``(D)`` with a 0-d target.
    """
    reduction = _legacy(size_average, reduce, reduction)
    if target.dim() > 1:
        raise RuntimeError("0D or 1D target tensor expected, multi-target not supported")
    if not target.dim() + 1 == input1.dim() == input2.dim():
        raise RuntimeError(f"{target.dim()}D target tensor expects {target.dim() + 1}D input tensors, but "
                           "found inputs "
                           f"with sizes {list(input1.shape)} and {list(input2.shape)}.")
    dim, tiny = target.dim(), 1e-12
    square1, square2 = (input1 * input1).sum(dim) + tiny, (input2 * input2).sum(dim) + tiny
    cosine = (input1 * input2).sum(dim) / ops.sqrt(square1 * square2)
    zero = ops.zeros_like(cosine.detach())
    apart = (cosine - margin).clamp_min(0)
    loss = ops.where(target == 1, 1 - cosine, zero) + ops.where(target == -1, apart, zero)
    return _reduced(loss, reduction)


def _pairwise(p: float, eps: float) -> Callable[[Tensor, Tensor], Tensor]:
    return lambda x, y: (x - y + eps).norm(p, -1)


def _triplet(anchor: Tensor, positive: Tensor, negative: Tensor, distance: Callable, margin: float,
             swap: bool, reduction: str) -> Tensor:
    if not anchor.dim() == positive.dim() == negative.dim():
        raise RuntimeError("The anchor, positive, and negative tensors are expected to have the same number "
                           "of "
                           f"dimensions, but got: anchor {anchor.dim()}D, positive {positive.dim()}D, "
                           f"and negative {negative.dim()}D inputs")
    near, far = distance(anchor, positive), distance(anchor, negative)
    if swap:
        far = ops.minimum(far, distance(positive, negative))
    return _reduced((margin + near - far).clamp_min(0), reduction)


def triplet_margin_loss(anchor: Tensor, positive: Tensor, negative: Tensor, margin: float = 1.0, p: float = 2,
                        eps: float = 1e-6, swap: bool = False, size_average: bool | None = None,
                        reduce: bool | None = None, reduction: str = "mean") -> Tensor:
    """``max(0, d(anchor, positive) - d(anchor, negative) + margin)`` with the ``p``-norm of the difference as
    ``d``.

    ``swap`` takes ``d(positive, negative)`` where it is the smaller. Inputs ``(N, D)`` or ``(D)``.
    """
    reduction = _legacy(size_average, reduce, reduction)
    if margin <= 0:
        raise ValueError(f"margin must be greater than 0, got {margin}")
    return _triplet(anchor, positive, negative, _pairwise(p, eps), margin, swap, reduction)


def triplet_margin_with_distance_loss(anchor: Tensor, positive: Tensor, negative: Tensor, *,
                                      distance_function: Callable[[Tensor, Tensor], Tensor] | None = None,
                                      margin: float = 1.0, swap: bool = False,
                                      reduction: str = "mean") -> Tensor:
    """:func:`triplet_margin_loss` with a distance of the caller's."""
    if margin <= 0:
        raise ValueError(f"margin must be greater than 0, got {margin}")
    distance = distance_function or _pairwise(2.0, 1e-6)
    return _triplet(anchor, positive, negative, distance, margin, swap, reduction)


def linear_cross_entropy(input: Tensor, linear_weight: Tensor, target: Tensor, *, linear_bias: Tensor | None = None,
                         weight: Tensor | None = None, reduction: str = "mean", ignore_index: int | None = None,
                         label_smoothing: float = 0.0, options: object = None) -> Tensor:
    """The cross-entropy of ``input linear_weight^T + linear_bias``.

    Shapes: input ``(N, in)`` or ``(in)``, weight ``(C, *, in)``, bias ``(C, *)``; target ``(N, *)`` of class indices
    or ``(N, C, *)`` of probabilities. ``options`` is about memory and changes no value.
    """
    if ignore_index is not None and target.is_floating_point():
        raise RuntimeError("linear_cross_entropy: ignore_index cannot be specified when target contains probabilities")
    classes = linear_weight.shape[:-1]
    logits = ops.linear(input, linear_weight.reshape(-1, linear_weight.shape[-1]),
                        None if linear_bias is None else linear_bias.reshape(-1))
    if len(classes) > 1:
        if input.dim() != 2:
            raise RuntimeError("linear_cross_entropy: a weight of several output dimensions needs a batch of inputs "
                               f"(N, in_features), got {list(input.shape)}")
        logits = logits.reshape(input.shape[0], *classes)
    return cross_entropy(logits, target, weight=weight, reduction=reduction,
                         ignore_index=-100 if ignore_index is None else ignore_index, label_smoothing=label_smoothing)
