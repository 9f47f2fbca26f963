"""The optimizers' calls into the core: one for all parameters of a group.

An array of handles is made once and used for every step; it keeps its tensors alive. The core reads each
parameter's gradient itself and leaves out those that have none.
"""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .._core import check
from .._native import ffi, lib
from ..tensor import Tensor


class Handles:
    """A C array of tensor handles."""

    __slots__ = ("array", "tensors")

    def __init__(self, tensors: Sequence[Tensor]) -> None:
        self.tensors = list(tensors)
        self.array = ffi.new("ad_handle[]", [t._h for t in self.tensors])


def zero_grad(n: int, params: Handles, set_to_none: bool) -> None:
    """Forget the gradients, or set them to zeros."""
    lib.ad_zero_grads(params.array, n, set_to_none)


def sgd(n: int, params: Handles, buffers: Handles | None, lr: Any, momentum: Any, dampening: Any,
        weight_decay: Any, nesterov: bool, maximize: bool) -> None:
    """One step of SGD; ``buffers`` are the momentum buffers, None without momentum."""
    check(lib.ad_sgd(n, params.array, ffi.NULL if buffers is None else buffers.array, lr, momentum, dampening,
                     weight_decay, nesterov, maximize))


def adam(n: int, params: Handles, exp_avgs: Handles, exp_avg_sqs: Handles, max_exp_avg_sqs: Handles | None,
         steps: Handles, lr: Any, beta1: Any, beta2: Any, eps: Any, weight_decay: Any, amsgrad: bool,
         decoupled: bool, maximize: bool) -> None:
    """One step of Adam (AdamW when ``decoupled``); counts ``steps`` up for the parameters that it moves."""
    check(lib.ad_adam(n, params.array, exp_avgs.array, exp_avg_sqs.array,
                      ffi.NULL if max_exp_avg_sqs is None else max_exp_avg_sqs.array, steps.array, lr, beta1,
                      beta2, eps, weight_decay, amsgrad, decoupled, maximize))
