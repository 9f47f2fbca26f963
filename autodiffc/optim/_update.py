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
from .._core import OP, check, fail, wrap
from .._dtype import float32, float64, get_default_dtype
from .._native import ffi, lib
from ..tensor import Tensor

MAXIMIZE, MOMENTUM, CENTERED, AMSGRAD, NESTEROV, DECOUPLED = 1, 2, 4, 8, 16, 32
"""The flags of a step: kernels/table.h has the same."""


class Handles:
    """A C array of tensor handles."""

    __slots__ = ("array", "tensors")

    def __init__(self, tensors: Sequence[Tensor]) -> None:
        self.tensors = list(tensors)
        self.array = ffi.new("ad_handle[]", [t._h for t in self.tensors])


class Arrays:
    """Several arrays of handles: the parameters, then each tensor of their state."""

    __slots__ = ("arrays", "pointers")

    def __init__(self, *lists: Sequence[Tensor]) -> None:
        self.arrays = [Handles(tensors) for tensors in lists]
        self.pointers = ffi.new("ad_handle *[]", [handles.array for handles in self.arrays])


def _memory(tensor: Tensor) -> np.ndarray:
    """The bytes of a tensor that owns its storage, while the tensor lives."""
    size = lib.ad_storage_nbytes(tensor._h)
    return np.frombuffer(ffi.buffer(ffi.cast("char *", lib.ad_storage_data(tensor._h)), size), np.uint8)


def zeros_like(param: Tensor) -> Tensor:
    """A tensor of zeros that lies in memory as ``param`` does.

    It is made beside the recorded operations: state that starts at zero in a captured step does not start again
    at each replay.
    """
    tensor = ops.empty_like(param.detach())
    _memory(tensor)[:] = 0
    return tensor


def full_like(param: Tensor, value: float) -> Tensor:
    """As :func:`zeros_like`, filled with ``value``."""
    tensor, one = ops.empty_like(param.detach()), scalar(value, param.dtype)
    if tensor.numel():
        size = param.element_size()
        _memory(tensor).reshape(-1, size)[:] = _memory(one)[:size]
    return tensor


def scalar(value: float, dtype: Any = None) -> Tensor:
    """A 0-d tensor, of float32 unless float64 is the default, made beside the recorded operations."""
    dtype = dtype or (float64 if get_default_dtype() is float64 else float32)
    return wrap(lib.ad_scalar_f(value, dtype.code))


def zero_grad(n: int, params: Handles, set_to_none: bool) -> None:
    """Forget the gradients, or set them to zeros."""
    check(lib.ad_zero_grads(params.array, n, set_to_none))


def step(op: int, n: int, arrays: Arrays, scalars: int, flags: int, numbers: Callable[[], list],
         later: Callable[[], list] | None = None) -> bool:
    """One step of n parameters by the rule of row ``op``; whether some have sparse gradients, which it left alone.

    ``arrays`` are the parameters and their state, ``scalars`` of them one number each; ``numbers()`` the rule's
    options now, ``later()`` those of a replay when they are others.
    """
    if _capture.recording is not None:
        _recorded_step(op, n, arrays, scalars, flags, numbers, later or numbers)
        return False
    return step_again(op, n, arrays, scalars, flags, numbers())


def values_of(numbers: Sequence[float]) -> Any:
    """The numbers as the core takes them, for :func:`step_again`."""
    return ffi.new("double[]", numbers)


def step_again(op: int, n: int, arrays: Arrays, scalars: int, flags: int, values: Any) -> bool:
    """:func:`step` with numbers that are at hand, while nothing records."""
    done = lib.ad_optim_step(op, n, arrays.pointers, len(arrays.arrays), scalars, flags, values, len(values))
    if done < 0:
        fail()
    return done > 0


# ---- captured steps

def number(value: Any) -> float:
    """An option as a float. A tensor is read as memory: a captured step refuses item(), and this is read anew."""
    return lib.ad_item_f(value._h) if isinstance(value, Tensor) else float(value)


def _recorded_step(op: int, n: int, arrays: Arrays, scalars: int, flags: int, numbers: Callable[[], list],
                   later: Callable[[], list]) -> None:
    """:func:`step` while some thread records: a replay asks for the numbers again."""
    def plain(values: list) -> list[float]:
        return [x if type(x) is float else number(x) for x in values]
    before, values = lib.ad_capture_position(), plain(numbers())
    if lib.ad_optim_step(op, n, arrays.pointers, len(arrays.arrays), scalars, flags, values, len(values)) < 0:
        fail()
    recording = _capture.here()
    if recording is not None and lib.ad_capture_position() != before:
        last: list = [None, None]   # what later() gave, and its numbers

        def now() -> list[float]:
            values = later()
            if values is not last[0]:
                last[:] = values, plain(values)
            return last[1]
        recording.note_slot(now)


def guard(still: Callable[[], bool]) -> None:
    """A step that is being captured is to be recorded again once ``still()`` is false."""
    recording = _capture.here()
    if recording is not None:
        recording.guards.append(still)


__all__ = ["AMSGRAD", "CENTERED", "DECOUPLED", "MAXIMIZE", "MOMENTUM", "NESTEROV", "OP", "Arrays", "Handles",
           "full_like", "guard", "number", "scalar", "step", "step_again", "values_of", "zero_grad", "zeros_like"]
