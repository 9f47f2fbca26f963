"""Gradients of embedding(sparse=True) as sparse tensors: the core keeps them with the leaf as rows (csrc/rows.c)."""

from .._core import fail, wrap
from .._native import lib
from .._ops.shape import cat
from ._coo import make


def of(leaf):
    """The gradient, (rows, width) with one sparse dimension, not coalesced. What is in parts is joined first."""
    h = leaf._h
    n = lib.ad_rows_count(h)
    index, values = ([wrap(lib.ad_rows_part(h, k, which)) for k in range(n)] for which in (0, 1))
    if n > 1:
        index, values = [cat(index)], [cat(values)]
        if lib.ad_rows_set(h, index[0]._h, values[0]._h):
            fail()
    return make(index[0].unsqueeze(0), values[0], leaf.shape, False)


def give(leaf, grad):
    """Makes a sparse tensor the gradient: RuntimeError unless it has the leaf's size and dtype, and one sparse
    dimension."""
    if grad.shape != leaf.shape or grad.dtype is not leaf.dtype or grad.sparse_dim() != 1 or leaf.ndim != 2:
        raise RuntimeError(f"a sparse gradient of size {list(grad.shape)}, {grad.dtype} and {grad.sparse_dim()} sparse "
                           f"dimensions cannot be that of a tensor of size {list(leaf.shape)} and {leaf.dtype}")
    leaf.grad = None
    index, values = grad._indices()[0].contiguous(), grad._values().detach()
    if lib.ad_rows_set(leaf._h, index._h, values._h):
        fail()
