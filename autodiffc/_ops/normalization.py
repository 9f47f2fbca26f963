"""Normalizations, with the signatures of torch.nn.functional and torch.

Shapes: N is a batch, C channels, * any further dimensions. float32 and float64 are computed in their own precision,
float16 and bfloat16 in float32; statistics are joined in float64. RuntimeError when a parameter has another size or
dtype than its input wants, NotImplementedError for an input that is not floating point.
"""

import math

from .. import _core
from .._core import OP, TensorBase, fail
from .._dtype_info import finfo
from .._native import lib
from ._call import apply, integer, not_a_tensor, number, to_out

_LAYER, _GROUP = OP["layer_norm"], OP["group_norm"]
_new = object.__new__


def _shape(normalized_shape, name):
    if not isinstance(normalized_shape, (tuple, list)):
        raise TypeError(f"{name}(): argument 'normalized_shape' (position 2) must be tuple of ints, not "
                        f"{type(normalized_shape).__name__}")
    return [n if type(n) is int else integer(n) for n in normalized_shape]


def _check(name, input, **parameters):
    """A TypeError for what is no tensor."""
    if not isinstance(input, TensorBase):
        raise not_a_tensor(name, input)
    for key, t in parameters.items():
        if t is not None and not isinstance(t, TensorBase):
            raise TypeError(f"{name}(): argument '{key}' must be Tensor, not {type(t).__name__}")


def layer_norm(input, normalized_shape, weight=None, bias=None, eps=1e-5, cudnn_enable=True):
    """(x - mean) / sqrt(var + eps) * weight + bias over the last dimensions, whose sizes are normalized_shape.

    weight and bias have that shape. Ba, Kiros and Hinton, 2016.
    """
    _check("layer_norm", input, weight=weight, bias=bias)
    shape = _shape(normalized_shape, "layer_norm")
    return apply(_LAYER, (input, weight, bias), (0,), (float(number(eps, "layer_norm", "eps")),), shape)


def rms_norm(input, normalized_shape, weight=None, eps=None):
    """x / sqrt(mean(x^2) + eps) * weight over the last dimensions; eps is by default the dtype's spacing at 1.

    Zhang and Sennrich, 2019.
    """
    _check("rms_norm", input, weight=weight)
    shape = _shape(normalized_shape, "rms_norm")
    if eps is None:
        eps = finfo(input.dtype).eps if input.dtype.is_floating_point else 0.0
    return apply(_LAYER, (input, weight, None), (1,), (float(number(eps, "rms_norm", "eps")),), shape)


def group_norm(input, num_groups, weight=None, bias=None, eps=1e-5, cudnn_enabled=True):
    """(x - mean) / sqrt(var + eps) * weight + bias, the statistics of each of num_groups groups of channels.

    Shapes: (N, C, *), (C), (C) to (N, C, *). Wu and He, 2018.
    """
    _check("group_norm", input, weight=weight, bias=bias)
    groups = integer(num_groups)
    if groups <= 0:
        raise RuntimeError(f"Expected num groups to be greater than 0, got {groups}")
    return apply(_GROUP, (input, weight, bias), (groups,), (float(number(eps, "group_norm", "eps")),))


def _running(name, input, weight, bias, mean, var, count, instance, training, momentum, eps):
    try:
        h = lib.ad_running_norm(input._h, weight._h if weight is not None else 0, bias._h if bias is not None else 0,
                                mean._h if mean is not None else 0, var._h if var is not None else 0,
                                count._h if count is not None else 0, instance, training, momentum, eps)
    except (AttributeError, TypeError):
        _check(name, input, weight=weight, bias=bias, running_mean=mean, running_var=var)
        for key, value, position in (("momentum", momentum, 7), ("eps", eps, 8)):
            if not hasattr(value, "__float__"):
                raise TypeError(f"{name}(): argument '{key}' (position {position}) must be float, not "
                                f"{type(value).__name__}") from None
        raise
    if not h:
        fail()
    t = _new(_core.Tensor)
    t._h = h
    return t


def batch_norm(input, weight, bias, running_mean, running_var, training, momentum, eps, cudnn_enabled=True):
    """(x - mean) / sqrt(var + eps) * weight + bias for each channel.

    Shapes: (N, C, *), parameters and statistics (C). In training the statistics are the batch's, and the running
    ones move towards them by momentum; otherwise they are the running ones. Ioffe and Szegedy, 2015.
    """
    return _running("batch_norm", input, weight, bias, running_mean, running_var, None, 0, bool(training), momentum,
                    eps)


def batch_norm_counted(input, weight, bias, running_mean, running_var, count, momentum, eps):
    """batch_norm() in training that counts the batches in `count`; with momentum None it keeps their plain average."""
    return _running("batch_norm", input, weight, bias, running_mean, running_var, count, 0, 1,
                    math.nan if momentum is None else momentum, eps)


def instance_norm(input, weight, bias, running_mean, running_var, use_input_stats, momentum, eps, cudnn_enabled=True):
    """batch_norm() of every sample by itself: (N, C, *), whose statistics run over * alone."""
    if not isinstance(input, TensorBase):
        raise not_a_tensor("instance_norm", input)
    if not use_input_stats:
        if running_mean is None or running_var is None:
            raise RuntimeError("Expected running_mean and running_var to be defined when use_input_stats is false")
        return _running("instance_norm", input, weight, bias, running_mean, running_var, None, 0, 0, momentum, eps)
    return _running("instance_norm", input, weight, bias, running_mean, running_var, None, 1, 1, momentum, eps)


# ---- with their statistics ----


def native_layer_norm(input, normalized_shape, weight, bias, eps):
    """layer_norm(), and the mean and 1 / sqrt(var + eps) of each row, without gradients."""
    y = layer_norm(input, normalized_shape, weight, bias, eps)
    dims = tuple(range(-len(normalized_shape), 0))
    return (y, *_statistics(input.detach(), dims, eps, True))


def native_batch_norm(input, weight, bias, running_mean, running_var, training, momentum, eps):
    """batch_norm(), and in training the mean and 1 / sqrt(var + eps) of each channel, without gradients."""
    y = batch_norm(input, weight, bias, running_mean, running_var, training, momentum, eps)
    if not training:
        return y, y.new_empty((0,)), y.new_empty((0,))
    return (y, *_statistics(input.detach(), (0, *range(2, input.ndim)), eps, False))


def native_group_norm(input, weight, bias, N, C, HxW, group, eps):
    """group_norm() of (N, C, *), and the mean and 1 / sqrt(var + eps) of each group, (N, group)."""
    y = group_norm(input, group, weight, bias, eps)
    return (y, *_statistics(input.reshape(N, group, C // group * HxW), (2,), eps, False))


def _statistics(x, dims, eps, keepdim):
    dtype = x.dtype
    if x.dtype.itemsize < 4:
        x = x.float()
    mean = x.mean(dims, keepdim=keepdim)
    rstd = (x.var(dims, correction=0, keepdim=keepdim) + eps).rsqrt()
    return mean.to(dtype), rstd.to(dtype)


def normalize(input, p=2.0, dim=1, eps=1e-12, out=None):
    """x / max(norm_p(x), eps) along dim."""
    if not isinstance(input, TensorBase):
        raise not_a_tensor("normalize", input)
    length = input.norm(p, dim, keepdim=True).clamp_min(eps)
    result = input / length
    if out is None:
        return result
    h, result._h = result._h, 0
    return to_out(h, out)


# ---- of weights ----


def norm_except_dim(v, pow=2, dim=0):
    """The norm over all dimensions but dim, which keep size 1; dim -1: of all elements, 0-d."""
    if dim == -1:
        return v.norm(pow)
    if not -v.ndim <= dim < v.ndim:
        raise IndexError(f"Dimension out of range (expected to be in range of [{-v.ndim}, {v.ndim - 1}], but got "
                         f"{dim})")
    rest = tuple(d for d in range(v.ndim) if d != dim % v.ndim)
    return v.norm(pow, rest, keepdim=True) if rest else v.abs()


def _weight_norm(v, g, dim=0):
    """v with g for its norm over all dimensions but dim."""
    return v * (g / norm_except_dim(v, 2, dim))


__all__ = ["_weight_norm", "batch_norm", "batch_norm_counted", "group_norm", "instance_norm", "layer_norm",
           "native_batch_norm", "native_group_norm", "native_layer_norm", "norm_except_dim", "normalize", "rms_norm"]
