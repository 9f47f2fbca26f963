"""Bags of rows of a matrix."""

import warnings

from .._core import OP, TensorBase
from .._dtype import int64
from . import _call
from ._call import not_a_tensor
from .index import embedding_renorm_

_MODES = {"sum": 0, "mean": 1, "max": 2}


def embedding_bag(input, weight, offsets=None, max_norm=None, norm_type=2, scale_grad_by_freq=False, mode="mean",
                  sparse=False, per_sample_weights=None, include_last_offset=False, padding_idx=None):
    """The sum, mean or maximum of the rows of weight (num, dim) in each bag of indices: (bags, dim).

    input (bags, size) of int64 or int32, or (n) with offsets (bags), where each bag begins; with include_last_offset
    the last offset is the end. An empty bag gives zeros. per_sample_weights, of input's size, are factors in a sum.
    max_norm first rescales, in place, the rows that are looked up and longer; scale_grad_by_freq divides a row's
    gradient by the number of its indices; padding_idx counts for nothing. With sparse (not for max), backward() leaves
    a sparse gradient with a weight that is a leaf. ValueError for sizes that do not fit, RuntimeError for an index out
    of range.
    """
    for k, (name, t) in enumerate((("input", input), ("weight", weight)), 1):
        if not isinstance(t, TensorBase):
            raise not_a_tensor("embedding_bag", t, name, k)
    if input.dtype.is_floating_point and weight.dtype is int64:
        warnings.warn("Argument order of nn.functional.embedding_bag was changed. Usage `embedding_bag(weight, input, "
                      "...)` is deprecated, and should now be `embedding_bag(input, weight, ...)`.", stacklevel=2)
        input, weight = weight, input
    if mode not in _MODES:
        raise ValueError("mode has to be one of sum, mean or max")
    if mode == "max" and scale_grad_by_freq:
        raise ValueError("max mode does not support scaling the gradient by the frequency")
    if mode == "max" and sparse:
        raise ValueError("max mode does not support sparse weights")
    if include_last_offset and not isinstance(offsets, TensorBase):
        raise ValueError("embedding_bag: include_last_offset needs offsets")
    padding = -1
    if padding_idx is not None:
        rows, padding = weight.shape[0], _call.integer(padding_idx)
        if not -rows <= padding < rows:
            raise RuntimeError(f"padding_idx must be within num_embeddings: {padding_idx} of {rows}")
        padding %= rows
    if max_norm is not None:
        embedding_renorm_(weight.detach(), input, max_norm, norm_type)
    return _call.apply(OP["embedding_bag"], (weight, input, offsets, per_sample_weights),
                       (_MODES[mode], padding, 0, bool(include_last_offset), bool(scale_grad_by_freq), 0,
                        bool(sparse)))
