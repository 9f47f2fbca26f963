"""The normalizations of :mod:`autodiffc.nn.functional`."""
from __future__ import annotations

from collections.abc import Sequence

from .._ops.normalization import layer_norm as _layer_norm
from .._ops.normalization import normalize, rms_norm  # noqa: F401
from ._base import Tensor, ops


def layer_norm(input: Tensor, normalized_shape: Sequence[int], weight: Tensor | None = None,
               bias: Tensor | None = None, eps: float = 1e-5) -> Tensor:
    """``(x - mean) / sqrt(var + eps) * weight + bias`` over the last dimensions, of sizes ``normalized_shape``.
    """
    return _layer_norm(input, normalized_shape, weight, bias, eps)


def _verify_batch_size(size: Sequence[int]) -> None:
    """Refuse a batch of which each channel has one value: its variance is 0."""
    values = size[0]
    for n in size[2:]:
        values *= n
    if values == 1:
        raise ValueError(f"Expected more than 1 value per channel when training, got input size {size}")


def batch_norm(input: Tensor, running_mean: Tensor | None, running_var: Tensor | None,
               weight: Tensor | None = None, bias: Tensor | None = None, training: bool = False,
               momentum: float = 0.1, eps: float = 1e-5) -> Tensor:
    """``(x - mean) / sqrt(var + eps) * weight + bias`` for each channel of ``(N, C, *)``.

    In ``training`` mean and variance are the batch's, and the running ones, where given, move towards them by
    ``momentum`` in place; otherwise they are the running ones. ValueError in training for one value a channel.
    """
    if training and isinstance(input, Tensor):
        _verify_batch_size(input.size())
    return ops.batch_norm(input, weight, bias, running_mean, running_var, training, momentum, eps)


def _verify_spatial_size(size: Sequence[int]) -> None:
    """Refuse one element a channel: its variance is 0."""
    values = 1
    for n in size[2:]:
        values *= n
    if values == 1:
        raise ValueError(f"Expected more than 1 spatial element when training, got input size {size}")


def instance_norm(input: Tensor, running_mean: Tensor | None = None, running_var: Tensor | None = None,
                  weight: Tensor | None = None, bias: Tensor | None = None, use_input_stats: bool = True,
                  momentum: float = 0.1, eps: float = 1e-5) -> Tensor:
    """As :func:`batch_norm`, of every sample of ``(N, C, *)`` by itself.

    ValueError when one element a channel is given and ``use_input_stats``.
    """
    if use_input_stats:
        _verify_spatial_size(input.size())
    return ops.instance_norm(input, weight, bias, running_mean, running_var, use_input_stats, momentum, eps)


def group_norm(input: Tensor, num_groups: int, weight: Tensor | None = None, bias: Tensor | None = None,
               eps: float = 1e-5) -> Tensor:
    """``(x - mean) / sqrt(var + eps) * weight + bias`` of ``(N, C, *)``, statistics of each group of channels.

    RuntimeError unless ``num_groups`` divides ``C``; ValueError for one value a group.
    """
    if input.dim() < 2:
        raise RuntimeError(f"Expected at least 2 dimensions for input tensor but received {input.dim()}")
    size = input.size()
    _verify_batch_size([size[0] * size[1] // num_groups, num_groups, *size[2:]])
    return ops.group_norm(input, num_groups, weight, bias, eps)
