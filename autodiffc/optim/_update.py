"""The optimizers' calls into the core: one for all parameters of a group.

An array of handles is made once and used for every step; it keeps its tensors alive. The core reads each
parameter's gradient itself and leaves out those that have none. While a step is being captured a call also
says where its numbers come from, so that a replay reads them anew.
"""
from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .. import _capture
from .. import _ops as ops
from .._core import check, fail, wrap
from .._native import ffi, lib
from ..tensor import Tensor

NULL = ffi.NULL


class Handles:
    """A C array of tensor handles."""

    __slots__ = ("array", "tensors")

    def __init__(self, tensors: Sequence[Tensor]) -> None:
        self.tensors = list(tensors)
        self.array = ffi.new("ad_handle[]", [t._h for t in self.tensors])


def zeros_like(param: Tensor) -> Tensor:
    """A tensor of zeros that lies in memory as ``param`` does.

    It is made beside the recorded operations: state that starts at zero in a captured step does not start again
    at each replay.
    """
    tensor = ops.empty_like(param.detach())
    size = lib.ad_storage_nbytes(tensor._h)
    memory = ffi.cast("char *", lib.ad_storage_data(tensor._h))
    np.frombuffer(ffi.buffer(memory, size), np.uint8)[:] = 0
    return tensor


def scalar(value: float, dtype: Any) -> Tensor:
    """A 0-d tensor, made beside the recorded operations as :func:`zeros_like` is."""
    return wrap(lib.ad_scalar_f(value, dtype.code))


def zero_grad(n: int, params: Handles, set_to_none: bool) -> None:
    """Forget the gradients, or set them to zeros."""
    check(lib.ad_zero_grads(params.array, n, set_to_none))


def sgd(optimizer: Any, index: int, group: dict, n: int, params: Handles, buffers: Handles | None) -> None:
    """One step of SGD on group ``index``; ``buffers`` are the momentum buffers, None without momentum."""
    if _capture.recording is not None:
        group = _slotted(group, optimizer, index, _sgd_numbers)
    if lib.ad_sgd(n, params.array, NULL if buffers is None else buffers.array, group["lr"], group["momentum"],
                  group["dampening"], group["weight_decay"], group["nesterov"], group["maximize"]) < 0:
        fail()
    if _capture.recording is not None:
        group["note"]()


def adam(optimizer: Any, index: int, group: dict, n: int, params: Handles, exp_avgs: Handles, exp_avg_sqs: Handles,
         max_exp_avg_sqs: Handles | None, steps: Handles) -> None:
    """One step of Adam on group ``index``; counts ``steps`` up for the parameters that it moves."""
    if _capture.recording is not None:
        group = _slotted(group, optimizer, index, _adam_numbers)
    beta1, beta2 = group["betas"]
    if lib.ad_adam(n, params.array, exp_avgs.array, exp_avg_sqs.array,
                   NULL if max_exp_avg_sqs is None else max_exp_avg_sqs.array, steps.array, group["lr"], beta1,
                   beta2, group["eps"], group["weight_decay"], group["amsgrad"],
                   group["decoupled_weight_decay"], group["maximize"]) < 0:
        fail()
    if _capture.recording is not None:
        group["note"]()


# ---- captured steps

def _number(value: Any) -> float:
    """An option as a float. A tensor is read as memory: a captured step refuses item(), and this is read anew."""
    return float(value.detach().numpy().reshape(())) if isinstance(value, Tensor) else float(value)


def _numbers(*values: Any) -> list[float]:
    return [x if type(x) is float else _number(x) for x in values]


def _sgd_numbers(group: dict) -> list[float]:
    """The numbers of :func:`sgd` in the order in which the core has them."""
    return _numbers(group["lr"], group["momentum"], group["dampening"], group["weight_decay"])


def _adam_numbers(group: dict) -> list[float]:
    """The numbers of :func:`adam` in the order in which the core has them."""
    return _numbers(group["lr"], *group["betas"], group["eps"], group["weight_decay"])


def _slotted(group: dict, optimizer: Any, index: int, numbers: Callable[[dict], list[float]]) -> dict:
    """The group's options as plain numbers, with ``note()``, to be called after the call that is recorded.

    It says that a replay reads the numbers from the optimizer's group at that time.
    """
    before = lib.ad_capture_position()

    def note() -> None:
        recording = _capture.here()
        if recording is not None and lib.ad_capture_position() != before:
            recording.note_slot(lambda: numbers(optimizer.param_groups[index]))
    plain = {name: _number(value) if isinstance(value, Tensor) else value for name, value in group.items()
             if name != "params"}
    if "betas" in plain:
        plain["betas"] = tuple(_number(beta) for beta in plain["betas"])
    return {**plain, "note": note}


def guard(still: Callable[[], bool]) -> None:
    """A step that is being captured is to be recorded again once ``still()`` is false."""
    recording = _capture.here()
    if recording is not None:
        recording.guards.append(still)
