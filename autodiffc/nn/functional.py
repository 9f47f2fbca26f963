"""Layers and losses as functions, with PyTorch's names and signatures.

What the core computes in one operation is only named here; what is made of several operations is composed
here. Shapes: ``N`` is a batch, ``C`` a class or channel dimension, ``*`` any further dimensions. Unless a
function says otherwise inputs are floating point, the result has the input's dtype, a shape that does not fit
is a RuntimeError and a value that is out of range a ValueError.
"""
from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np

from .._dtype import contiguous_format
from .._ops.activation import (  # noqa: F401
    celu,
    celu_,
    elu,
    elu_,
    gelu,
    glu,
    hardshrink,
    hardsigmoid,
    hardswish,
    hardtanh,
    hardtanh_,
    leaky_relu,
    leaky_relu_,
    logsigmoid,
    mish,
    prelu,
    relu,
    relu6,
    relu_,
    rrelu,
    rrelu_,
    selu,
    selu_,
    silu,
    softplus,
    softshrink,
    softsign,
    tanhshrink,
    threshold,
    threshold_,
)
from .._ops.attention import scaled_dot_product_attention  # noqa: F401
from .._ops.bags import embedding_bag  # noqa: F401
from .._ops.conv import (  # noqa: F401
    conv1d,
    conv2d,
    conv3d,
    conv_tbc,
    conv_transpose1d,
    conv_transpose2d,
    conv_transpose3d,
)
from .._ops.distance import cosine_similarity, pairwise_distance, pdist  # noqa: F401
from .._ops.math import sigmoid, tanh  # noqa: F401
from .._ops.pooling import (  # noqa: F401
    adaptive_avg_pool1d,
    adaptive_avg_pool2d,
    adaptive_avg_pool3d,
    adaptive_max_pool1d,
    adaptive_max_pool1d_with_indices,
    adaptive_max_pool2d,
    adaptive_max_pool2d_with_indices,
    adaptive_max_pool3d,
    adaptive_max_pool3d_with_indices,
    avg_pool1d,
    avg_pool2d,
    avg_pool3d,
    fractional_max_pool2d,
    fractional_max_pool2d_with_indices,
    fractional_max_pool3d,
    fractional_max_pool3d_with_indices,
    local_response_norm,
    lp_pool1d,
    lp_pool2d,
    lp_pool3d,
    max_pool1d,
    max_pool1d_with_indices,
    max_pool2d,
    max_pool2d_with_indices,
    max_pool3d,
    max_pool3d_with_indices,
    max_unpool1d,
    max_unpool2d,
    max_unpool3d,
)
from .._ops.resample import (  # noqa: F401
    affine_grid,
    channel_shuffle,
    grid_sample,
    interpolate,
    pixel_shuffle,
    pixel_unshuffle,
    upsample,
    upsample_bilinear,
    upsample_nearest,
)
from ._attention_functional import _canonical_mask, _none_or_dtype, multi_head_attention_forward  # noqa: F401
from ._base import Tensor, no_grad, ops
from ._loss_functional import (  # noqa: F401
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    cosine_embedding_loss,
    cross_entropy,
    ctc_loss,
    gaussian_nll_loss,
    hinge_embedding_loss,
    huber_loss,
    kl_div,
    l1_loss,
    linear_cross_entropy,
    margin_ranking_loss,
    mse_loss,
    multi_margin_loss,
    multilabel_margin_loss,
    multilabel_soft_margin_loss,
    nll_loss,
    poisson_nll_loss,
    smooth_l1_loss,
    soft_margin_loss,
    triplet_margin_loss,
    triplet_margin_with_distance_loss,
)
from ._norm_functional import (  # noqa: F401
    _verify_batch_size,
    _verify_spatial_size,
    batch_norm,
    group_norm,
    instance_norm,
    layer_norm,
    normalize,
    rms_norm,
)

# ---- dense layers

def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """``input weight^T + bias``: ``(*, in)``, ``(out, in)``, ``(out)`` to ``(*, out)``."""
    return ops.linear(input, weight, bias)


def one_hot(tensor: Tensor, num_classes: int = -1) -> Tensor:
    """1 at each index and 0 elsewhere: int64 ``(*)`` to int64 ``(*, num_classes)``.

    -1 classes are as many as the largest index needs.
    """
    return ops.one_hot(tensor, num_classes)


def bilinear(input1: Tensor, input2: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """``y[..., o] = sum_ij input1[..., i] weight[o, i, j] input2[..., j] + bias[o]``.

    Shapes: ``(*, in1)``, ``(*, in2)``, ``(out, in1, in2)``, ``(out)`` to ``(*, out)``.
    """
    for dim in range(min(input1.dim(), input2.dim()) - 1):
        if input1.shape[dim] != input2.shape[dim]:
            raise RuntimeError(f"bilinear(): input batch dimensions do not match at dim {dim}: "
                               f"got {input1.shape[dim]} and {input2.shape[dim]}")
    if input1.dim() != input2.dim():
        raise RuntimeError(f"bilinear(): input dimensions do not match: got {input1.dim()} and "
                           f"{input2.dim()}")
    out, in1, in2 = weight.shape
    for i, (tensor, size) in enumerate(((input1, in1), (input2, in2)), 1):
        if tensor.shape[-1] != size:
            raise RuntimeError(f"bilinear(): input{i} size does not match weight size: "
                               f"got {tensor.shape[-1]} but expected {size}")
    if bias is not None and bias.shape[0] != out:
        raise RuntimeError(f"bilinear(): bias size does not match weight size: got {bias.shape[0]} but "
                           f"expected {out}")
    batch = tuple(input1.shape[:-1])
    left = input1.reshape(-1, in1) @ weight.permute(1, 0, 2).reshape(in1, out * in2)
    result = (left.reshape(-1, out, in2) * input2.reshape(-1, 1, in2)).sum(-1, dtype=left.dtype).reshape(*batch, out)
    return result if bias is None else result + bias


def embedding(input: Tensor, weight: Tensor, padding_idx: int | None = None, max_norm: float | None = None,
              norm_type: float = 2.0, scale_grad_by_freq: bool = False, sparse: bool = False) -> Tensor:
    """Rows of ``weight`` by index.

    Shapes: ``(*)`` of integers and ``(num, dim)`` to ``(*, dim)``. ``padding_idx`` takes no gradient;
    ``max_norm`` first rescales, in place, the rows that are looked up and longer; ``scale_grad_by_freq``
    divides a row's gradient by the number of times that it is looked up. With ``sparse`` backward() leaves a
    sparse gradient with a weight that is a leaf (autograd.grad gives a dense one); SGD, Adagrad and SparseAdam take
    it. IndexError if an index is out of range.
    """
    if not isinstance(weight, Tensor):
        raise TypeError(f"embedding(): argument 'weight' (position 1) must be Tensor, not {type(weight).__name__}")
    if weight.dim() != 2:
        raise RuntimeError(f"'weight' must be 2-D, got a tensor of size {list(weight.shape)}")
    num = weight.shape[0]
    if padding_idx is None:
        padding_idx = -1
    else:
        if not -num <= padding_idx < num:
            raise AssertionError("Padding_idx must be within num_embeddings")
        padding_idx %= num
    if max_norm is not None:
        _renorm_rows(weight, input, max_norm, norm_type)
    return ops.embedding(weight, input, padding_idx, scale_grad_by_freq, sparse)


def _renorm_rows(weight: Tensor, indices: Tensor, max_norm: float, norm_type: float) -> None:
    """Scale the rows of ``weight`` named by ``indices`` down to at most ``max_norm``, in place."""
    with no_grad():
        rows = ops.tensor(np.unique(indices.detach().numpy()))
        if rows.numel() == 0:
            return
        picked = weight.detach()[rows]
        norms = picked.norm(norm_type, 1, True)
        scale = ops.where(norms > max_norm, max_norm / (norms + 1e-7), ops.ones_like(norms))
        weight.detach()[rows] = picked * scale


# ---- dropout

def _check_probability(p: float) -> None:
    if p < 0.0 or p > 1.0:
        raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")


def dropout(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """In training, zero each element with probability ``p`` and scale the others by ``1 / (1 - p)``."""
    _check_probability(p)
    return ops.dropout_(input, p, training) if inplace else ops.dropout(input, p, training)


def _masked(input: Tensor, p: float, training: bool, inplace: bool, shape: tuple, alpha: bool) -> Tensor:
    """Dropout with one random number for each element of ``shape``, which broadcasts to the input's."""
    if not training or p == 0.0 or input.numel() == 0:
        return input
    mask = ops.empty(shape, dtype=input.dtype)
    if not alpha:
        if p == 1.0:
            result = input * ops.zeros_like(mask)
        else:
            result = input * mask.bernoulli_(1 - p).div_(1 - p)
    elif p == 1.0:
        result = input * 0.0
    else:       # keep mean and variance of what SELU gives, whose lower bound is -1.7580993408473766
        bound = 1.7580993408473766
        scale = 1.0 / math.sqrt((bound * bound * p + 1) * (1 - p))
        mask.bernoulli_(1 - p)
        shift = (mask - 1).mul_(bound * scale).add_(bound * scale * p)
        result = input * mask.mul_(scale) + shift
    return input.copy_(result) if inplace else result


def alpha_dropout(input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False) -> Tensor:
    """Dropout for SELU networks: what is dropped becomes SELU's lower bound, and mean and variance are kept.
    """
    _check_probability(p)
    return _masked(input, p, training, inplace, tuple(input.shape), True)


def _feature_shape(input: Tensor, p: float) -> tuple:
    if p == 1.0:        # nothing is kept, whatever the dimensions
        return ()
    if input.dim() < 2:
        raise RuntimeError("Feature dropout requires at least 2 dimensions in the input")
    return (*input.shape[:2], *(1,) * (input.dim() - 2))


def feature_alpha_dropout(input: Tensor, p: float = 0.5, training: bool = False,
                          inplace: bool = False) -> Tensor:
    """Alpha dropout of whole channels: input ``(N, C, *)``."""
    _check_probability(p)
    if not training or p == 0.0:
        return input
    return _masked(input, p, training, inplace, _feature_shape(input, p), True)


def _channel_dropout(input: Tensor, p: float, training: bool, inplace: bool, batched: bool) -> Tensor:
    _check_probability(p)
    if not batched:
        result = _channel_dropout(input.unsqueeze(0), p, training, inplace, True)
        return input if inplace else result.squeeze(0)
    if not training or p == 0.0:
        return input
    return _masked(input, p, training, inplace, _feature_shape(input, p), False)


def dropout1d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Dropout of whole channels: input ``(N, C, L)`` or ``(C, L)``."""
    if input.dim() not in (2, 3):
        raise RuntimeError(f"dropout1d: Expected 2D or 3D input, but received a {input.dim()}D input.")
    return _channel_dropout(input, p, training, inplace, input.dim() == 3)


def dropout2d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Dropout of whole channels: input ``(N, C, H, W)``.

    Three dimensions are read as ``(N, C, L)``, as PyTorch still does.
    """
    if input.dim() not in (3, 4):
        warnings.warn(f"dropout2d: Received a {input.dim()}-D input to dropout2d, which is deprecated; "
                      "it takes 3-D or 4-D inputs.", stacklevel=2)
    elif input.dim() == 3:
        warnings.warn("dropout2d: Received a 3D input to dropout2d and assuming that channel-wise 1D dropout "
                      "behavior is desired - input is interpreted as shape (N, C, L).", stacklevel=2)
    return _channel_dropout(input, p, training, inplace, True)


def dropout3d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Dropout of whole channels: input ``(N, C, D, H, W)`` or ``(C, D, H, W)``."""
    if input.dim() not in (4, 5):
        warnings.warn(f"dropout3d: Received a {input.dim()}-D input to dropout3d, which is deprecated; "
                      "it takes 4-D or 5-D inputs.", stacklevel=2)
    return _channel_dropout(input, p, training, inplace, input.dim() == 5)


# ---- softmax

def _get_softmax_dim(name: str, ndim: int, stacklevel: int) -> int:
    warnings.warn(f"Implicit dimension choice for {name} has been deprecated. Change the call to include "
                  "dim=X as an "
                  "argument.", stacklevel=stacklevel)
    return 0 if ndim in (0, 1, 3) else 1


def softmax(input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> Tensor:
    """``exp(x) / sum(exp(x))`` along ``dim``; ``dtype`` converts the input first."""
    if dim is None:
        dim = _get_softmax_dim("softmax", input.dim(), _stacklevel)
    return ops.softmax(input, dim) if dtype is None else ops.softmax(input, dim, dtype=dtype)


def softmin(input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> Tensor:
    """:func:`softmax` of ``-x``."""
    if dim is None:
        dim = _get_softmax_dim("softmin", input.dim(), _stacklevel)
    return softmax(-input, dim, dtype=dtype)


def log_softmax(input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> Tensor:
    """The logarithm of :func:`softmax`, computed without cancellation."""
    if dim is None:
        dim = _get_softmax_dim("log_softmax", input.dim(), _stacklevel)
    return ops.log_softmax(input, dim) if dtype is None else ops.log_softmax(input, dim, dtype=dtype)


def gumbel_softmax(logits: Tensor, tau: float = 1, hard: bool = False, eps: float = 1e-10,
                   dim: int = -1) -> Tensor:
    """A sample of the Gumbel-softmax distribution along ``dim``.

    With ``hard`` the result is one-hot and its gradient that of the soft sample.
    """
    if eps != 1e-10:
        warnings.warn("`eps` parameter is deprecated and has no effect.", stacklevel=2)
    gumbels = -ops.empty_like(logits, memory_format=contiguous_format).exponential_().log()
    soft = softmax((logits + gumbels) / tau, dim)
    if not hard:
        return soft
    index = soft.detach().argmax(dim, keepdim=True)
    one = ops.zeros_like(logits.detach(), memory_format=contiguous_format).scatter_(dim, index, 1.0)
    return one - soft.detach() + soft


# ---- padding, norms

def unfold(input: Tensor, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1) -> Tensor:
    """The patches that a sliding kernel sees, as columns: ``(N, C, H, W)`` to ``(N, C kh kw, blocks)``."""
    return ops.im2col(input, kernel_size, dilation, padding, stride)


def fold(input: Tensor, output_size: Any, kernel_size: Any, dilation: Any = 1, padding: Any = 0,
         stride: Any = 1) -> Tensor:
    """Patches added up into images: ``(N, C kh kw, blocks)`` to ``(N, C, *output_size)``."""
    return ops.col2im(input, output_size, kernel_size, dilation, padding, stride)


def pad(input: Tensor, pad: Any, mode: str = "constant", value: float | None = None) -> Tensor:
    """Pad the last dimensions; ``pad`` is ``(left, right, top, bottom, ...)`` from the last dimension on."""
    return ops.pad(input, pad, mode, value)



def __getattr__(name):
    if name.startswith("__"):  # the import system asks for some of every module
        raise AttributeError(name)
    from .._hook import missing

    raise missing.attribute(__name__, name)
