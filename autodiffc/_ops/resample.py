"""Resampling of grids: interpolate and its relatives, grid_sample, pixel and channel shuffle."""

import math
import warnings

from ._call import OP, TensorBase, apply, integer, not_a_tensor

_MODES = ("nearest", "linear", "bilinear", "bicubic", "trilinear", "lanczos", "area", "nearest-exact")
_WANTS = {"linear": 3, "bilinear": 4, "trilinear": 5, "bicubic": 4, "lanczos": 4}
_CODES = {"nearest": 0, "nearest-exact": 1, "linear": 2, "bilinear": 2, "trilinear": 2, "bicubic": 3}
_SMOOTH = {"bilinear": 4, "bicubic": 5, "lanczos": 6}


def _each(value, n, what, shape):
    """n values of one or of a sequence of n; ValueError for another number of them."""
    if not isinstance(value, (tuple, list)):
        return [value] * n
    if len(value) != n:
        raise ValueError(
            f"Input and {what} must have the same number of spatial dimensions, but got input with spatial dimensions "
            f"of {list(shape)} and {what} of shape {tuple(value)}. Please provide input tensor in (N, C, d1, d2, "
            "...,dK) format and one value for each of d1 to dK."
        )
    return list(value)


def interpolate(input, size=None, scale_factor=None, mode="nearest", align_corners=None, recompute_scale_factor=None,
                antialias=False):
    """input ``(N, C, *)`` resampled to ``size``, or by ``scale_factor``, along its last one, two or three dimensions.

    mode: "nearest" (as OpenCV and older PyTorch place it), "nearest-exact", "linear" (3-D input), "bilinear",
    "bicubic" (4-D), "trilinear" (5-D), "area" (adaptive average pooling) and "lanczos" (4-D, antialiased only).
    With ``align_corners`` the centres of the corner elements coincide, otherwise their outer edges. ``antialias``
    widens the filter of bilinear and bicubic where the result is smaller. ``recompute_scale_factor`` takes the scale
    from the sizes instead of ``scale_factor``. Floats and uint8. (Antialiased to a width of 1, PyTorch 2.13 repeats
    the first row; this does not.) ValueError for arguments that exclude each other,
    NotImplementedError for a mode that does not fit the input, RuntimeError for sizes below 1.
    """
    if not isinstance(input, TensorBase):
        raise not_a_tensor("interpolate", input)
    n, shape = input.dim() - 2, input.shape[2:]
    if mode in ("nearest", "area", "nearest-exact"):
        if align_corners is not None:
            raise ValueError("align_corners option can only be set with the interpolating modes: linear | bilinear | "
                             "bicubic | trilinear")
    elif align_corners is None:
        align_corners = False
    if size is not None and scale_factor is not None:
        raise ValueError("only one of size or scale_factor should be defined")
    if size is None and scale_factor is None:
        raise ValueError("either size or scale_factor should be defined")
    if antialias and (mode not in _SMOOTH or n != 2):
        raise ValueError("Anti-alias option is restricted to bilinear, bicubic, and lanczos modes and requires a 4-D "
                         "tensor as input")
    if mode == "lanczos" and not antialias:
        raise ValueError("Lanczos mode requires antialias=True")
    if mode not in _MODES or not 1 <= n <= 3:
        raise NotImplementedError("Input Error: Only 3D, 4D and 5D input Tensors supported "
                                  f"(got {n + 2}D) for the modes: {' | '.join(_MODES)} (got {mode})")
    if _WANTS.get(mode, n + 2) != n + 2:
        raise NotImplementedError(f"Got {n + 2}D input, but {mode} mode needs {_WANTS[mode]}D input")
    factors = [0.0] * n
    if size is not None:
        if recompute_scale_factor:
            raise ValueError("recompute_scale_factor is not meaningful with an explicit size.")
        sizes = _each(size, n, "output size", shape)
        for k in sizes:
            if not hasattr(k, "__index__"):
                raise TypeError(f"interpolate(): argument 'size' must be an int or a tuple of ints, but found "
                                f"{type(k).__name__}")
    else:
        factors = [float(f) for f in _each(scale_factor, n, "scale_factor", shape)]
        sizes = [math.floor(s * f) for s, f in zip(shape, factors)]
        if recompute_scale_factor or mode == "area":
            factors = [0.0] * n
    if mode == "area":
        from . import pooling

        return getattr(pooling, f"adaptive_avg_pool{n}d")(input, tuple(sizes))
    code = _SMOOTH[mode] if antialias else _CODES[mode]
    return apply(OP["interpolate"], (input,), (n, code, bool(align_corners)), factors, sizes)


def upsample(input, size=None, scale_factor=None, mode="nearest", align_corners=None):
    """:func:`interpolate`; deprecated."""
    warnings.warn("`nn.functional.upsample` is deprecated. Use `nn.functional.interpolate` instead.", stacklevel=2)
    return interpolate(input, size, scale_factor, mode, align_corners)


def upsample_nearest(input, size=None, scale_factor=None):
    """:func:`interpolate` with mode "nearest"; deprecated."""
    warnings.warn("`nn.functional.upsample_nearest` is deprecated. Use `nn.functional.interpolate` instead.",
                  stacklevel=2)
    return interpolate(input, size, scale_factor, mode="nearest")


def upsample_bilinear(input, size=None, scale_factor=None):
    """:func:`interpolate` with mode "bilinear" and aligned corners; deprecated."""
    warnings.warn("`nn.functional.upsample_bilinear` is deprecated. Use `nn.functional.interpolate` instead.",
                  stacklevel=2)
    return interpolate(input, size, scale_factor, mode="bilinear", align_corners=True)


def pixel_shuffle(input, upscale_factor):
    """``(*, C r^2, H, W)`` to ``(*, C, H r, W r)``, r the factor; RuntimeError when C is not a multiple of r^2."""
    if not isinstance(input, TensorBase):
        raise not_a_tensor("pixel_shuffle", input)
    r = integer(upscale_factor)
    if input.dim() < 3:
        raise RuntimeError("pixel_shuffle expects input to have at least 3 dimensions, but got input with "
                           f"{input.dim()} dimension(s)")
    if r <= 0:
        raise RuntimeError(f"pixel_shuffle expects a positive upscale_factor, but got {r}")
    *lead, c, h, w = input.shape
    if c % (r * r):
        raise RuntimeError("pixel_shuffle expects its input's 'channel' dimension to be divisible by the square of "
                           f"upscale_factor, but input.size(-3)={c} is not divisible by {r * r}")
    n = len(lead)
    split = input.reshape(*lead, c // (r * r), r, r, h, w)
    order = (*range(n), n, n + 3, n + 1, n + 4, n + 2)
    return split.permute(order).reshape(*lead, c // (r * r), h * r, w * r)


def pixel_unshuffle(input, downscale_factor):
    """The inverse of :func:`pixel_shuffle`: ``(*, C, H r, W r)`` to ``(*, C r^2, H, W)``."""
    if not isinstance(input, TensorBase):
        raise not_a_tensor("pixel_unshuffle", input)
    r = integer(downscale_factor)
    if input.dim() < 3:
        raise RuntimeError("pixel_unshuffle expects input to have at least 3 dimensions, but got input with "
                           f"{input.dim()} dimension(s)")
    if r <= 0:
        raise RuntimeError(f"pixel_unshuffle expects a positive downscale_factor, but got {r}")
    *lead, c, h, w = input.shape
    for what, at, size in (("height", -2, h), ("width", -1, w)):
        if size % r:
            raise RuntimeError(f"pixel_unshuffle expects {what} to be divisible by downscale_factor, but "
                               f"input.size({at})={size} is not divisible by {r}")
    n = len(lead)
    split = input.reshape(*lead, c, h // r, r, w // r, r)
    order = (*range(n), n, n + 2, n + 4, n + 1, n + 3)
    return split.permute(order).reshape(*lead, c * r * r, h // r, w // r)


def channel_shuffle(input, groups):
    """``(N, C, *)`` with the channels of ``groups`` groups dealt out in turn; RuntimeError when they do not fit."""
    if not isinstance(input, TensorBase):
        raise not_a_tensor("channel_shuffle", input)
    g = integer(groups)
    if input.dim() < 3:
        raise RuntimeError(f"channel_shuffle expects input with > 2 dims, but got input with sizes {list(input.shape)}")
    if g <= 0:
        raise RuntimeError(f"Number of groups to divide channels in must be positive. Value of groups:{g}")
    n, c, *rest = input.shape
    if c % g:
        raise RuntimeError(f"Number of channels must be divisible by groups. Got {c} channels and {g} groups.")
    return input.reshape(n, g, c // g, *rest).transpose(1, 2).reshape(n, c, *rest)


_SAMPLING = {"bilinear": 0, "nearest": 1, "bicubic": 2}
_PADDING = {"zeros": 0, "border": 1, "reflection": 2}


def grid_sample(input, grid, mode="bilinear", padding_mode="zeros", align_corners=None):
    """input read at the places that a grid gives: ``(N, C, H, W)`` and ``(N, H', W', 2)`` to ``(N, C, H', W')``.

    The grid holds (x, y) in [-1, 1], from edge to edge of the input or, with ``align_corners``, between the centres of
    its corner elements. 5-D input: ``(N, C, D, H, W)``, ``(N, D', H', W', 3)`` with (x, y, z); "bilinear" is then
    trilinear, and "bicubic" is not there. What lies outside is 0, the nearest element at the border, or the
    reflection at it. Floats. ValueError for an unknown mode, RuntimeError for sizes that do not fit. It can be
    differentiated twice.
    """
    if mode not in _SAMPLING:
        raise ValueError("nn.functional.grid_sample(): expected mode to be 'bilinear', 'nearest' or 'bicubic', but "
                         f"got: '{mode}'")
    if padding_mode not in _PADDING:
        raise ValueError("nn.functional.grid_sample(): expected padding_mode to be 'zeros', 'border', or 'reflection', "
                         f"but got: '{padding_mode}'")
    for k, (argument, t) in enumerate((("input", input), ("grid", grid)), 1):
        if not isinstance(t, TensorBase):
            raise not_a_tensor("grid_sample", t, argument, k)
    if align_corners is None:
        warnings.warn("Default grid_sample and affine_grid behavior has changed to align_corners=False since 1.3.0. "
                      "Please specify align_corners=True if the old behavior is desired. See the documentation of "
                      "grid_sample for details.", stacklevel=2)
    return apply(OP["grid_sample"], (input, grid, None), (_SAMPLING[mode], _PADDING[padding_mode], bool(align_corners)))


def grid_sampler(input, grid, interpolation_mode, padding_mode, align_corners):
    """:func:`grid_sample` with modes by number: bilinear, nearest, bicubic; zeros, border, reflection."""
    for argument, value in (("interpolation_mode", interpolation_mode), ("padding_mode", padding_mode)):
        if value not in (0, 1, 2):
            raise ValueError(f"grid_sampler(): {argument} must be 0, 1 or 2, got {value}")
    modes, paddings = list(_SAMPLING), list(_PADDING)
    return grid_sample(input, grid, modes[interpolation_mode], paddings[padding_mode], bool(align_corners))


grid_sampler_2d = grid_sampler_3d = grid_sampler


def _line(n, align_corners, dtype):
    """n coordinates from -1 to 1: of the centres, or of the edges, of the first and the last."""
    from .creation import linspace, zeros

    if n <= 1:
        return zeros(n, dtype=dtype)
    line = linspace(-1, 1, n, dtype=dtype)
    return line if align_corners else line * (n - 1) / n


def affine_grid(theta, size, align_corners=None):
    """The grid of an affine map for :func:`grid_sample`: theta ``(N, 2, 3)`` and size ``(N, C, H, W)`` to
    ``(N, H, W, 2)``, or ``(N, 3, 4)`` and ``(N, C, D, H, W)`` to ``(N, D, H, W, 3)``.

    ValueError for a theta that does not fit, NotImplementedError for other numbers of dimensions.
    """
    from .creation import ones
    from .shape import broadcast_tensors, stack

    if not isinstance(theta, TensorBase):
        raise not_a_tensor("affine_grid", theta, "theta")
    if not theta.dtype.is_floating_point:
        raise ValueError(f"Expected theta to have floating point type, but got {theta.dtype}")
    if align_corners is None:
        warnings.warn("Default grid_sample and affine_grid behavior has changed to align_corners=False since 1.3.0. "
                      "Please specify align_corners=True if the old behavior is desired. See the documentation of "
                      "grid_sample for details.", stacklevel=2)
    size = tuple(integer(k) for k in size)
    n = len(size) - 2
    if n not in (2, 3):
        raise NotImplementedError("affine_grid only supports 4D and 5D sizes, for 2D and 3D affine transforms, "
                                  f"respectively. Got size {size}.")
    if theta.dim() != 3 or theta.shape[-2] != n or theta.shape[-1] != n + 1:
        raise ValueError(f"Expected a batch of {n}D affine matrices of shape Nx{n}x{n + 1} for size {size}. Got "
                         f"{theta.shape}.")
    if min(size) <= 0:
        raise ValueError(f"Expected non-zero, positive output size. Got {size}")
    if theta.shape[0] != size[0]:
        raise RuntimeError(f"affine_grid: expected theta for a batch of {size[0]}, got {theta.shape[0]}")
    sizes = size[2:]
    lines = [_line(k, align_corners, theta.dtype).reshape([-1 if e == d else 1 for e in range(n)])
             for d, k in enumerate(sizes)]
    base = stack(broadcast_tensors(*reversed(lines), ones([1] * n, dtype=theta.dtype)), -1)
    return base.reshape(1, -1, n + 1).matmul(theta.transpose(1, 2)).reshape(size[0], *sizes, n)
