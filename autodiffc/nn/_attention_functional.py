"""Multi-head attention as a function.

Vaswani et al., "Attention Is All You Need", 2017. Shapes: ``L`` queries, ``S`` keys, ``N`` the batch, ``E`` features,
``H`` heads of ``E / H`` features.
"""
from __future__ import annotations

import math
import warnings
from typing import Any

from .. import _dtype
from ._base import Tensor, ops, shape_text

_NO_MASK = ("Need attn_mask if specifying the is_causal hint. You may use the Transformer module method "
            "`generate_square_subsequent_mask` to create this mask.")


def _canonical_mask(mask: Tensor | None, mask_name: str, other_type: Any, other_name: str, target_type: Any,
                    check_other: bool = True) -> Tensor | None:
    """A mask that is added: -inf where a bool mask is True, a floating one as it is."""
    if mask is None:
        return None
    if mask.dtype is not _dtype.bool_ and not mask.dtype.is_floating_point:
        raise AssertionError(f"only bool and floating types of {mask_name} are supported")
    if check_other and other_type is not None and mask.dtype is not other_type:
        warnings.warn(f"Support for mismatched {mask_name} and {other_name} is deprecated. Use same type for both "
                      "instead.", stacklevel=3)
    if mask.dtype is not _dtype.bool_:
        return mask
    return ops.zeros(mask.shape, dtype=target_type).masked_fill_(mask, -math.inf)


def _none_or_dtype(input: Tensor | None) -> Any:
    if input is None or isinstance(input, Tensor):
        return None if input is None else input.dtype
    raise RuntimeError("input to _none_or_dtype() must be None or torch.Tensor")


def _check(query: Tensor, key: Tensor, value: Tensor, key_padding_mask: Tensor | None,
           attn_mask: Tensor | None) -> bool:
    """Whether the query is a batch; AssertionError when the others do not go with it."""
    if query.dim() not in (2, 3):
        raise AssertionError("query should be unbatched 2D or batched 3D tensor but received "
                             f"{query.dim()}-D query tensor")
    batched = query.dim() == 3
    kind = "batched (3-D)" if batched else "unbatched (2-D)"
    if key.dim() != query.dim() or value.dim() != query.dim():
        raise AssertionError(f"For {kind} `query`, expected `key` and `value` to be {query.dim()}-D but found "
                             f"{key.dim()}-D and {value.dim()}-D tensors respectively")
    if key_padding_mask is not None and key_padding_mask.dim() != query.dim() - 1:
        raise AssertionError(f"For {kind} `query`, expected `key_padding_mask` to be `None` or {query.dim() - 1}-D "
                             f"but found {key_padding_mask.dim()}-D tensor instead")
    if attn_mask is not None and attn_mask.dim() not in (2, 3):
        raise AssertionError(f"For {kind} `query`, expected `attn_mask` to be `None`, 2-D or 3-D but found "
                             f"{attn_mask.dim()}-D tensor instead")
    return batched


def _heads(x: Tensor, heads: int, batch_first: bool) -> Tensor:
    """``(N, H, positions, E / H)`` of ``(N, positions, E)`` or ``(positions, N, E)``, where it lies."""
    x = x.unflatten(-1, (heads, x.shape[-1] // heads))
    return x.transpose(1, 2) if batch_first else x.permute(1, 2, 0, 3)


def _project(query: Tensor, key: Tensor, value: Tensor, weight: Any, bias: Tensor | None, separate: bool) -> tuple:
    width = query.shape[-1]
    if not separate and query is key and key is value:
        return ops.linear(query, weight, bias).split(weight.shape[0] // 3, -1)
    biases = bias.split(bias.shape[0] // 3) if bias is not None else (None, None, None)
    if not separate and key is value:
        rest = bias[width:] if bias is not None else None
        kv = ops.linear(key, weight[width:], rest)
        return ops.linear(query, weight[:width], biases[0]), *kv.split(width, -1)
    weights = weight if separate else weight.split(width)
    return tuple(ops.linear(x, w, b) for x, w, b in zip((query, key, value), weights, biases))


def _added_mask(attn_mask: Tensor | None, key_padding_mask: Tensor | None, batch: int, heads: int) -> Tensor | None:
    """The sum of both, to broadcast to ``(N, H, L, S)``."""
    if attn_mask is not None:
        attn_mask = attn_mask.view(batch, heads, *attn_mask.shape[1:]) if attn_mask.dim() == 3 else attn_mask
    if key_padding_mask is None:
        return attn_mask
    key_padding_mask = key_padding_mask[:, None, None]
    return key_padding_mask if attn_mask is None else attn_mask + key_padding_mask


def attend(query: Tensor, key: Tensor, value: Tensor, embed_dim: int, heads: int, weight: Any, bias: Tensor | None,
           bias_k: Tensor | None, bias_v: Tensor | None, add_zero_attn: bool, dropout_p: float,
           out_weight: Tensor, out_bias: Tensor | None, key_padding_mask: Tensor | None, need_weights: bool,
           attn_mask: Tensor | None, separate: bool, static_k: Tensor | None, static_v: Tensor | None,
           average: bool, is_causal: bool, batch_first: bool) -> tuple[Tensor, Tensor | None]:
    """:func:`multi_head_attention_forward` for either order of batch and positions; ``dropout_p`` is 0 out of training,
    and ``weight`` is one, or three when ``separate``.
    """
    batched = _check(query, key, value, key_padding_mask, attn_mask)
    at_batch, at_row = (0, 1) if batch_first else (1, 0)
    if not batched:
        same = query is key, key is value
        query = query.unsqueeze(at_batch)
        key = query if same[0] else key.unsqueeze(at_batch)
        value = key if same[1] else value.unsqueeze(at_batch)
        if key_padding_mask is not None:
            key_padding_mask = key_padding_mask.unsqueeze(0)
    batch, length = query.shape[at_batch], query.shape[at_row]
    source = key.shape[at_row]
    key_padding_mask = _canonical_mask(key_padding_mask, "key_padding_mask", _none_or_dtype(attn_mask), "attn_mask",
                                       query.dtype)
    if is_causal and attn_mask is None:
        raise RuntimeError(_NO_MASK)
    attn_mask = _canonical_mask(attn_mask, "attn_mask", None, "", query.dtype, False)
    causal = is_causal and key_padding_mask is None and not need_weights
    if query.shape[-1] != embed_dim:
        raise AssertionError(f"was expecting embedding dimension of {embed_dim}, but got {query.shape[-1]}")
    if embed_dim % heads:
        raise AssertionError(f"embed_dim {embed_dim} not divisible by num_heads {heads}")
    if key.shape[:2] != value.shape[:2] or (not separate and key.shape != value.shape):
        raise AssertionError(f"key shape {shape_text(key)} does not match value shape {shape_text(value)}")
    if separate and any(w is None for w in weight):
        raise AssertionError("use_separate_proj_weight is True but one of q_proj_weight, k_proj_weight and "
                             "v_proj_weight is None")
    if not separate and weight is None:
        raise AssertionError("use_separate_proj_weight is False but in_proj_weight is None")
    if attn_mask is not None:
        want = (length, source) if attn_mask.dim() == 2 else (batch * heads, length, source)
        if tuple(attn_mask.shape) != want:
            raise RuntimeError(f"The shape of the {attn_mask.dim()}D attn_mask is {shape_text(attn_mask)}, but should "
                               f"be {want}.")
    q, k, v = _project(query, key, value, weight, bias, separate)
    extra = 0
    if bias_k is not None and bias_v is not None:
        if static_k is not None or static_v is not None:
            raise AssertionError("bias cannot be added to static key or value")
        size = (batch, 1, embed_dim) if batch_first else (1, batch, embed_dim)
        k, v = ops.cat([k, bias_k.expand(size)], at_row), ops.cat([v, bias_v.expand(size)], at_row)
        extra += 1
    elif bias_k is not None or bias_v is not None:
        raise AssertionError("bias_k and bias_v go together")
    q, k, v = (_heads(t, heads, batch_first) for t in (q, k, v))
    size = (batch * heads, -1, embed_dim // heads)
    k, v = (_static(name, given, size).view(batch, heads, -1, embed_dim // heads) if given is not None else t
            for name, given, t in (("static_k", static_k, k), ("static_v", static_v, v)))
    if add_zero_attn:
        zeros = ops.zeros((batch, heads, 1, embed_dim // heads), dtype=k.dtype)
        k, v = ops.cat([k, zeros], 2), ops.cat([v, zeros], 2)
        extra += 1
    if extra:
        attn_mask = ops.pad(attn_mask, (0, extra)) if attn_mask is not None else None
        key_padding_mask = ops.pad(key_padding_mask, (0, extra)) if key_padding_mask is not None else None
        causal = False
    if key_padding_mask is not None and tuple(key_padding_mask.shape) != (batch, k.shape[2]):
        found, expected = tuple(key_padding_mask.shape), (batch, k.shape[2])
        axis = 0 if found[0] != batch else 1
        raise AssertionError(f"Expected key_padded_mask.shape[{axis}] to be {expected[axis]}, but got {found[axis]}")
    weights = None
    mask = None if causal else _added_mask(attn_mask, key_padding_mask, batch, heads)
    if need_weights:
        scores = ops.matmul(q * math.sqrt(1.0 / q.shape[-1]), k.transpose(-2, -1))
        weights = ops.softmax(scores if mask is None else scores + mask, -1)
        if dropout_p > 0.0:
            weights = ops.dropout(weights, dropout_p, True)
        out = ops.matmul(weights, v)
        weights = weights.mean(1) if average else weights
    else:
        out = ops.sdpa(q, k, v, mask, dropout_p, causal, rows_first=True)
    # in memory the positions come before the batch, as PyTorch has them: a dropout that follows draws in that order
    out = ops.linear(out.permute(2, 0, 1, 3).flatten(2), out_weight, out_bias)
    if batch_first:
        out = out.transpose(0, 1)
    if batched:
        return out, weights
    return out.squeeze(at_batch), weights.squeeze(0) if weights is not None else None


def _static(name: str, given: Tensor, size: tuple) -> Tensor:
    if given.size(0) != size[0]:
        raise AssertionError(f"expecting {name}.size(0) of {size[0]}, but got {given.size(0)}")
    if given.size(2) != size[2]:
        raise AssertionError(f"expecting {name}.size(2) of {size[2]}, but got {given.size(2)}")
    return given


def multi_head_attention_forward(
        query: Tensor, key: Tensor, value: Tensor, embed_dim_to_check: int, num_heads: int,
        in_proj_weight: Tensor | None, in_proj_bias: Tensor | None, bias_k: Tensor | None, bias_v: Tensor | None,
        add_zero_attn: bool, dropout_p: float, out_proj_weight: Tensor, out_proj_bias: Tensor | None,
        training: bool = True, key_padding_mask: Tensor | None = None, need_weights: bool = True,
        attn_mask: Tensor | None = None, use_separate_proj_weight: bool = False,
        q_proj_weight: Tensor | None = None, k_proj_weight: Tensor | None = None,
        v_proj_weight: Tensor | None = None, static_k: Tensor | None = None, static_v: Tensor | None = None,
        average_attn_weights: bool = True, is_causal: bool = False) -> tuple[Tensor, Tensor | None]:
    """Attention by several heads between projections: ``query`` ``(L, N, E)``, ``key`` and ``value`` ``(S, N, *)``, all
    possibly without ``N``.

    ``attn_mask`` is ``(L, S)`` or ``(N H, L, S)``, ``key_padding_mask`` ``(N, S)``: bool, True is left out, or added
    to the scores. ``is_causal`` says that ``attn_mask``, which it needs, is the causal one. Returns ``(L, N, E)``
    and, with ``need_weights``, the weights ``(N, L, S)``, averaged over the heads, or ``(N, H, L, S)``.
    AssertionError and RuntimeError for what does not fit.
    """
    separate = use_separate_proj_weight
    weight = (q_proj_weight, k_proj_weight, v_proj_weight) if separate else in_proj_weight
    return attend(query, key, value, embed_dim_to_check, num_heads, weight, in_proj_bias, bias_k, bias_v, add_zero_attn,
                  dropout_p if training else 0.0, out_proj_weight, out_proj_bias, key_padding_mask, need_weights,
                  attn_mask, separate, static_k, static_v, average_attn_weights, is_causal, False)
