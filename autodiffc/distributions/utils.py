"""What the distributions share."""
from __future__ import annotations

import functools
from collections.abc import Callable
from numbers import Number
from typing import Any

from .. import _ops as T
from .._dtype import get_default_dtype
from .._dtype_info import finfo
from ..autograd import enable_grad
from ..tensor import Tensor

__all__ = ["broadcast_all", "clamp_probs", "lazy_property", "logits_to_probs", "probs_to_logits", "tril_matrix_to_vec",
           "vec_to_tril_matrix"]

euler_constant = 0.57721566490153286060


def broadcast_all(*values: Any) -> tuple[Tensor, ...]:
    """Numbers and tensors as tensors of one shape; numbers take the dtype of the first tensor, else the default one.

    ValueError for anything else.
    """
    first = None
    for value in values:
        if isinstance(value, Tensor):
            first = first if first is not None else value
        elif not isinstance(value, Number):
            raise ValueError("Input arguments must all be instances of Number, torch.Tensor or objects implementing "
                             "__torch_function__.")
    dtype = get_default_dtype() if first is None else first.dtype
    tensors = [v if isinstance(v, Tensor) else T.tensor(v, dtype=dtype) for v in values]
    shape = tensors[0].shape
    for t in tensors:
        if t.shape != shape:
            return tuple(T.broadcast_tensors(*tensors))
    return tuple(tensors)


def _standard_normal(shape: Any, dtype: Any, device: Any = None) -> Tensor:
    return T.randn(tuple(shape), dtype=dtype)


def _sum_rightmost(value: Any, dim: int) -> Any:
    """The sum over the last ``dim`` dimensions."""
    if dim == 0:
        return value
    return value.reshape((*value.shape[: value.dim() - dim], -1)).sum(-1)


def logits_to_probs(logits: Tensor, is_binary: bool = False) -> Tensor:
    """Probabilities from log-odds, or, along the last dimension, from logarithms up to a constant."""
    return T.sigmoid(logits) if is_binary else T.softmax(logits, -1)


def clamp_probs(probs: Tensor) -> Tensor:
    """Probabilities kept away from 0 and 1 by the resolution of their dtype."""
    eps = finfo(probs.dtype).eps
    return probs.clamp(min=eps, max=1 - eps)


def probs_to_logits(probs: Tensor, is_binary: bool = False) -> Tensor:
    """The logarithms of probabilities, or their log-odds; 0 and 1 are moved inwards first."""
    probs = clamp_probs(probs)
    return T.log(probs) - T.log1p(-probs) if is_binary else T.log(probs)


class lazy_property:
    """A method whose value is computed at the first reading and kept in the object."""

    def __init__(self, wrapped: Callable) -> None:
        self.wrapped = wrapped
        functools.update_wrapper(self, wrapped)

    def __get__(self, instance: Any, obj_type: Any = None) -> Any:
        if instance is None:
            return _lazy_property_and_property(self.wrapped)
        with enable_grad():
            value = self.wrapped(instance)
        setattr(instance, self.wrapped.__name__, value)
        return value


class _lazy_property_and_property(lazy_property, property):
    """What a class shows of a lazy property: a property, for documentation."""

    def __init__(self, wrapped: Callable) -> None:
        property.__init__(self, wrapped)


def tril_matrix_to_vec(mat: Tensor, diag: int = 0) -> Tensor:
    """The lower triangle up to diagonal ``diag`` of matrices, row by row, as vectors. ValueError for a bad ``diag``."""
    n = mat.shape[-1]
    if diag < -n or diag >= n:
        raise ValueError(f"diag ({diag}) provided is outside [{-n}, {n - 1}].")
    rows, cols = T.tril_indices(n, n, diag)
    return mat[..., rows, cols]


def vec_to_tril_matrix(vec: Tensor, diag: int = 0) -> Tensor:
    """The matrices of which :func:`tril_matrix_to_vec` gives these vectors. ValueError for a length that fits none."""
    count = vec.shape[-1]
    n = (-(1 + 2 * diag) + ((1 + 2 * diag) ** 2 + 8 * count + 4 * abs(diag) * (diag + 1)) ** 0.5) / 2
    if n != round(n):
        raise ValueError(f"The size of last dimension is {count} which cannot be expressed as the lower triangular "
                         "part of a square D x D matrix.")
    n = round(n)
    rows, cols = T.tril_indices(n, n, diag)
    mat = T.zeros((*vec.shape[:-1], n, n), dtype=vec.dtype)
    mat[..., rows, cols] = vec
    return mat
