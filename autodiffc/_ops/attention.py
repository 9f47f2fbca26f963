"""Scaled dot product attention."""

import math

from .. import _dtype
from .._core import OP, TensorBase, wrap
from .._native import lib
from . import creation, linalg, random, rearrange, shape
from ._call import not_a_tensor, number
from .compare import logical_not
from .index import masked_fill
from .reduce import amax, softmax

_ATTENTION = OP["attention"]
_WIDTH = 256  # features of a head that the core's blocks have room for
_HALF = (_dtype.float16, _dtype.bfloat16)


def _check(query, key, value, attn_mask, dropout_p, is_causal, enable_gqa):
    names = ("query", "key", "value")
    for k, t in enumerate((query, key, value)):
        if not isinstance(t, TensorBase):
            raise not_a_tensor("scaled_dot_product_attention", t, names[k], k + 1)
    if not query.dtype is key.dtype is value.dtype:
        raise RuntimeError("Expected query, key, and value to have the same dtype, but got query.dtype: "
                           f"{query.dtype} key.dtype: {key.dtype} and value.dtype: {value.dtype} instead.")
    if min(query.ndim, key.ndim, value.ndim) < 2:
        raise RuntimeError("Expected query, key, and value to all be  at least 2 dimensional, but got query.dim: "
                           f"{query.ndim} key.dim: {key.ndim} and value.dim: {value.ndim} instead.")
    if attn_mask is not None:
        if not isinstance(attn_mask, TensorBase):
            raise not_a_tensor("scaled_dot_product_attention", attn_mask, "attn_mask", 4)
        if attn_mask.dtype is not _dtype.bool_ and attn_mask.dtype is not query.dtype:
            raise RuntimeError("Expected attn_mask dtype to be bool or float or to match query dtype, but got "
                               f"attn_mask.dtype: {attn_mask.dtype} and  query.dtype: {query.dtype} instead.")
        # PyTorch refuses the two together where it has no kernel for the sizes
        if is_causal and (query.ndim != 4 or query.shape[-1] != value.shape[-1] or dropout_p > 0):
            raise RuntimeError("_scaled_dot_product_attention: Explicit attn_mask should not be set when "
                               "is_causal=True")
    if not query.dtype.is_floating_point:
        raise RuntimeError(f"scaled_dot_product_attention: expected scalar type Float but found {query.dtype}")
    if dropout_p > 1:
        raise RuntimeError(f"dropout probability has to be between 0 and 1, but got {dropout_p}")
    if enable_gqa:
        if min(query.ndim, key.ndim, value.ndim) < 3:
            raise RuntimeError("scaled_dot_product_attention: enable_gqa asks for at least 3 dimensions")
        heads = query.shape[-3]
        if not key.shape[-3] or not value.shape[-3] or heads % key.shape[-3] or heads % value.shape[-3]:
            raise RuntimeError("Number of heads in key and value must divide the number of heads in query, but got "
                               f"{key.shape[-3]}, {value.shape[-3]} and {heads}")


def _written_out(query, key, value, attn_mask, dropout_p, is_causal, scale):
    """Attention as its formula has it, with all scores in memory at once."""
    scores = linalg.matmul(query * scale, key.transpose(-2, -1))
    if is_causal:
        late = rearrange.triu(creation.ones(scores.shape[-2], scores.shape[-1], dtype=_dtype.bool_), 1)
        scores = masked_fill(scores, late, -math.inf)
    dead = None
    if attn_mask is not None:
        is_bool = attn_mask.dtype is _dtype.bool_
        scores = masked_fill(scores, logical_not(attn_mask), -math.inf) if is_bool else scores + attn_mask
        if scores.shape[-1]:  # a query that sees no key gets zeros
            dead = amax(scores, -1, keepdim=True) == -math.inf
            scores = masked_fill(scores, dead, 0.0)
    weights = softmax(scores, -1)
    if dead is not None:
        weights = masked_fill(weights, dead, 0.0)
    if dropout_p > 0:
        weights = random.dropout(weights, dropout_p, True)
    return linalg.matmul(weights, value)


def scaled_dot_product_attention(query, key, value, attn_mask=None, dropout_p=0.0, is_causal=False, scale=None,
                                 enable_gqa=False):
    """softmax(query key^T scale + attn_mask) value.

    query: (*, L, E), key: (*, S, E), value: (*, S, D), with leading dimensions that broadcast; with enable_gqa
    query may have a multiple of the heads (dimension -3) of key and value. attn_mask: broadcasts to (*, L, S), bool
    (True takes part) or of query's dtype (added); with is_causal query i sees the keys up to i. scale:
    1 / sqrt(E) when None. dropout_p: of the weights, in training or not. A query that sees no key gets zeros.
    Returns (*, L, D). Floating point; RuntimeError for sizes or dtypes that do not fit. Memory grows with L, not
    with L S, but for the mask of dropout, a byte for each weight.
    """
    if type(dropout_p) is not float:
        dropout_p = number(dropout_p, "scaled_dot_product_attention", "dropout_p", 5)
    return sdpa(query, key, value, attn_mask, dropout_p, is_causal, scale, enable_gqa)


def sdpa(query, key, value, attn_mask, dropout_p, is_causal, scale=None, enable_gqa=False, rows_first=False):
    """scaled_dot_product_attention(); with rows_first the result lies in memory with L outside of all else."""
    if attn_mask is None and scale is None and dropout_p == 0.0 and not enable_gqa:  # the core takes the usual case
        try:
            handles = (query._h, key._h, value._h, 0, 0)
            h = lib.ad_opn(_ATTENTION, handles, 5, (bool(is_causal), rows_first), 2, (), 0, (), 0)
        except AttributeError:
            h = 0
        if h:
            return wrap(h)
    _check(query, key, value, attn_mask, dropout_p, is_causal, enable_gqa)
    width = query.shape[-1]
    if scale is None:
        scale = 1 / math.sqrt(width) if width else 0.0
    scale = float(number(scale, "scaled_dot_product_attention", "scale", 7))
    if query.dtype in _HALF:
        mask = attn_mask if attn_mask is None or attn_mask.dtype is _dtype.bool_ else attn_mask.float()
        return sdpa(query.float(), key.float(), value.float(), mask, dropout_p, is_causal, scale, enable_gqa,
                         rows_first).to(query.dtype)
    shared = enable_gqa and not query.shape[-3] == key.shape[-3] == value.shape[-3]
    if shared and (key.shape[-3] != value.shape[-3] or max(width, value.shape[-1]) > _WIDTH):
        key, value = (t.repeat_interleave(query.shape[-3] // t.shape[-3], -3) for t in (key, value))
        shared = False
    if max(width, value.shape[-1]) > _WIDTH:
        return _written_out(query, key, value, attn_mask, dropout_p, is_causal, scale)
    lead = query.shape[:-2]
    if not shared and not lead == key.shape[:-2] == value.shape[:-2]:
        lead = shape.broadcast_shapes(lead, key.shape[:-2], value.shape[:-2])
        query, key, value = (t.expand(*lead, *t.shape[-2:]) for t in (query, key, value))
    if attn_mask is not None:
        attn_mask = attn_mask.expand(*lead, query.shape[-2], key.shape[-2])
    keep = None
    if dropout_p > 0:  # the numbers that dropout() draws for all weights
        keep = creation.zeros(*lead, query.shape[-2], key.shape[-2], dtype=_dtype.bool_)
        if dropout_p < 1:
            keep.bernoulli_(1 - dropout_p)
    handles = (query._h, key._h, value._h, *(0 if t is None else t._h for t in (attn_mask, keep)))
    return wrap(lib.ad_opn(_ATTENTION, handles, 5, (bool(is_causal), rows_first, 1, shared), 4, (scale, dropout_p), 2,
                           (), 0))
