"""Pooling over windows of the last one, two or three dimensions."""

from .._core import wrap_results
from ._call import OP, TensorBase, apply, integer, ints_each, lib, not_a_tensor, number

_WORDS = {1: "one int", 2: "two ints", 3: "three ints"}


def _amounts(name, argument, value, n, position=2):
    return ints_each(name, argument, value, n, position,
                     f"{name}: {argument} must either be a single int, or a tuple of {_WORDS[n]}, but got ({{0}})")


def _windows(name, n, input, kernel_size, stride, padding, dilation):
    """kernel, stride, padding and dilation of each dimension, one after the other."""
    if not isinstance(input, TensorBase):
        raise not_a_tensor(name, input)
    kernel = _amounts(name, "kernel_size", kernel_size, n)
    if stride is None or (isinstance(stride, (tuple, list)) and not stride):
        stride = kernel
    else:
        stride = _amounts(name, "stride", stride, n, 3)
    return (*kernel, *stride, *_amounts(name, "padding", padding, n, 4), *_amounts(name, "dilation", dilation, n, 5))


def _two(op, input, ints, dims):
    """Both results of an operation of one tensor."""
    h = lib.ad_opn(OP[op], [input._h], 1, ints, len(ints), (), 0, dims, len(dims))
    return wrap_results(h)


def _max_pool(n, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices):
    name = f"max_pool{n}d"
    windows = _windows(name, n, input, kernel_size, stride, padding, dilation)
    if return_indices:
        return _two("max_pool_where", input, (n, bool(ceil_mode)), windows)
    return apply(OP["max_pool"], (input,), (n, bool(ceil_mode)), (), windows)


def max_pool1d(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False):
    """The largest element of each window: ``(N, C, L)`` or ``(C, L)`` to ``(N, C, L')`` or ``(C, L')``.

    A window begins every ``stride`` (default ``kernel_size``) places and takes ``kernel_size`` elements,
    ``dilation`` apart; ``padding`` places of -inf stand at both ends. ``L'`` is
    ``(L + 2 padding - dilation (kernel_size - 1) - 1) / stride + 1``, rounded down or, with ``ceil_mode``, up.
    NaN counts as largest. With ``return_indices`` also the int64 position of each element in its line.
    RuntimeError for sizes that do not fit.
    """
    return _max_pool(1, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def max_pool2d(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False):
    """:func:`max_pool1d` over two dimensions: ``(N, C, H, W)`` or ``(C, H, W)``; positions are ``row W + column``."""
    return _max_pool(2, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def max_pool3d(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False):
    """:func:`max_pool1d` over three dimensions: ``(N, C, D, H, W)`` or ``(C, D, H, W)``."""
    return _max_pool(3, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def _avg_pool(n, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override=None):
    name = f"avg_pool{n}d"
    windows = _windows(name, n, input, kernel_size, stride, padding, 1)
    divisor = 0
    if divisor_override is not None:
        divisor = integer(divisor_override)
        if not divisor:
            raise RuntimeError("divisor must be not zero")
    return apply(OP["avg_pool"], (input,), (n, bool(ceil_mode), 0, bool(count_include_pad), divisor), (), windows)


def avg_pool1d(input, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True):
    """The mean of each window: ``(N, C, L)`` or ``(C, L)``; windows as in :func:`max_pool1d`, padded with 0.

    Without ``count_include_pad`` the padding is not counted. Floats and int64.
    """
    return _avg_pool(1, input, kernel_size, stride, padding, ceil_mode, count_include_pad)


def avg_pool2d(input, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True,
               divisor_override=None):
    """:func:`avg_pool1d` over two dimensions; ``divisor_override`` is divided by instead of the count."""
    return _avg_pool(2, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)


def avg_pool3d(input, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True,
               divisor_override=None):
    """:func:`avg_pool2d` over three dimensions."""
    return _avg_pool(3, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)


def _adaptive(op, name, n, input, output_size):
    if not isinstance(input, TensorBase):
        raise not_a_tensor(name, input)
    if type(output_size) is int and output_size >= 0:
        sizes = (output_size,) * n
    else:
        if type(output_size) is int:
            output_size = (output_size,) * n
        if not isinstance(output_size, (tuple, list)):
            raise TypeError(f"{name}(): argument 'output_size' (position 2) must be tuple of ints, not "
                            f"{type(output_size).__name__}")
        if len(output_size) != n:
            raise RuntimeError(f"{name}: output_size must have {_WORDS[n]}, but got {len(output_size)}")
        free = [k is None for k in output_size]
        sizes = _amounts(name, "output_size", [0 if k is None else k for k in output_size], n)
        if any(free) and n == 1:
            raise TypeError(f"{name}(): argument 'output_size' (position 2) must be tuple of ints, but found element "
                            "of type NoneType at pos 0")
        if any(k < 0 for k in sizes):
            raise RuntimeError(f"{name}: elements of output_size must be greater than or equal to 0 but received "
                               f"{tuple(output_size)}")
        sizes = [-1 if f else k for f, k in zip(free, sizes)]
    if op == "adaptive_max_pool":
        return _two(op, input, (n, 0, 1), sizes)
    return apply(OP[op], (input,), (n, 0, 1), (), sizes)


def adaptive_avg_pool1d(input, output_size):
    """The means of ``output_size`` windows that cover the last dimension: ``(N, C, L)`` or ``(C, L)``.

    Window i is ``[floor(i L / output_size), ceil((i + 1) L / output_size))``. Floats.
    """
    return _adaptive("adaptive_avg_pool", "adaptive_avg_pool1d", 1, input, output_size)


def adaptive_avg_pool2d(input, output_size):
    """:func:`adaptive_avg_pool1d` over two dimensions; ``output_size`` is an int or two, None for the input's size."""
    return _adaptive("adaptive_avg_pool", "adaptive_avg_pool2d", 2, input, output_size)


def adaptive_avg_pool3d(input, output_size):
    """:func:`adaptive_avg_pool2d` over three dimensions."""
    return _adaptive("adaptive_avg_pool", "adaptive_avg_pool3d", 3, input, output_size)


def adaptive_max_pool1d(input, output_size, return_indices=False):
    """The largest elements of the windows of :func:`adaptive_avg_pool1d`, with ``return_indices`` their positions."""
    r = _adaptive("adaptive_max_pool", "adaptive_max_pool1d", 1, input, output_size)
    return r if return_indices else r[0]


def adaptive_max_pool2d(input, output_size, return_indices=False):
    """:func:`adaptive_max_pool1d` over two dimensions."""
    r = _adaptive("adaptive_max_pool", "adaptive_max_pool2d", 2, input, output_size)
    return r if return_indices else r[0]


def adaptive_max_pool3d(input, output_size, return_indices=False):
    """:func:`adaptive_max_pool1d` over three dimensions."""
    r = _adaptive("adaptive_max_pool", "adaptive_max_pool3d", 3, input, output_size)
    return r if return_indices else r[0]


def max_pool1d_with_indices(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False,
                            return_indices=True):
    """:func:`max_pool1d` and the positions."""
    return _max_pool(1, input, kernel_size, stride, padding, dilation, ceil_mode, True)


def max_pool2d_with_indices(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False,
                            return_indices=True):
    """:func:`max_pool2d` and the positions."""
    return _max_pool(2, input, kernel_size, stride, padding, dilation, ceil_mode, True)


def max_pool3d_with_indices(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False,
                            return_indices=True):
    """:func:`max_pool3d` and the positions."""
    return _max_pool(3, input, kernel_size, stride, padding, dilation, ceil_mode, True)


def adaptive_max_pool1d_with_indices(input, output_size, return_indices=True):
    """:func:`adaptive_max_pool1d` and the positions."""
    return _adaptive("adaptive_max_pool", "adaptive_max_pool1d", 1, input, output_size)


def adaptive_max_pool2d_with_indices(input, output_size, return_indices=True):
    """:func:`adaptive_max_pool2d` and the positions."""
    return _adaptive("adaptive_max_pool", "adaptive_max_pool2d", 2, input, output_size)


def adaptive_max_pool3d_with_indices(input, output_size, return_indices=True):
    """:func:`adaptive_max_pool3d` and the positions."""
    return _adaptive("adaptive_max_pool", "adaptive_max_pool3d", 3, input, output_size)


# ---- back from max pooling


def _unpool(n, input, indices, kernel_size, stride, padding, output_size):
    name = f"max_unpool{n}d"
    for k, (argument, t) in enumerate((("input", input), ("indices", indices)), 1):
        if not isinstance(t, TensorBase):
            raise not_a_tensor(name, t, argument, k)
    kernel = _amounts(name, "kernel_size", kernel_size, n, 3)
    stride = kernel if stride is None else _amounts(name, "stride", stride, n, 4)
    padding = _amounts(name, "padding", padding, n, 5)
    sizes = input.shape[-n:]
    default = [(s - 1) * t + k - 2 * p for s, k, t, p in zip(sizes, kernel, stride, padding)]
    if output_size is None:
        result = default
    else:
        if len(output_size) == n + 2:
            output_size = output_size[2:]
        if len(output_size) != n:
            raise ValueError(f"output_size should be a sequence containing {n} or {n + 2} elements, but it has a "
                             f"length of '{len(output_size)}'")
        for d, (size, usual, step) in enumerate(zip(output_size, default, stride)):
            if not usual - step < size < usual + step:
                raise ValueError(f'invalid output_size "{tuple(output_size)}" (dim {d} must be between '
                                 f"{usual - step} and {usual + step})")
        result = [integer(size) for size in output_size]
    return apply(OP["max_unpool"], (input, indices), (n,), (), result)


def max_unpool1d(input, indices, kernel_size, stride=None, padding=0, output_size=None):
    """The inverse of :func:`max_pool1d` as far as there is one: each element at its position, 0 elsewhere.

    ``indices`` are the int64 positions that max_pool1d returned. ``output_size`` chooses among the sizes that give the
    input's; by default ``(L - 1) stride + kernel_size - 2 padding``. ValueError for one that does not fit,
    RuntimeError for positions outside.
    """
    return _unpool(1, input, indices, kernel_size, stride, padding, output_size)


def max_unpool2d(input, indices, kernel_size, stride=None, padding=0, output_size=None):
    """:func:`max_unpool1d` over two dimensions."""
    return _unpool(2, input, indices, kernel_size, stride, padding, output_size)


def max_unpool3d(input, indices, kernel_size, stride=None, padding=0, output_size=None):
    """:func:`max_unpool1d` over three dimensions."""
    return _unpool(3, input, indices, kernel_size, stride, padding, output_size)


# ---- regions of random sizes


def _fractional(n, input, kernel_size, output_size, output_ratio, samples):
    name = f"fractional_max_pool{n}d"
    if not isinstance(input, TensorBase):
        raise not_a_tensor(name, input)
    if output_size is None and output_ratio is None:
        raise ValueError(f"{name} requires specifying either an output_size or an output_ratio")
    kernel = _amounts(name, "kernel_size", kernel_size, n)
    if input.dim() not in (n + 1, n + 2):
        raise RuntimeError(f"{name}(): Expected {n + 1}D or {n + 2}D tensor, but got: {list(input.shape)}")
    if output_size is None:
        ratios = output_ratio if isinstance(output_ratio, (tuple, list)) else (output_ratio,) * n
        if len(ratios) != n:
            raise ValueError(f"{name}: output_ratio must have {_WORDS[n]}, got {len(ratios)}")
        output_size = [int(s * r) for s, r in zip(input.shape[-n:], ratios)]
    output = _amounts(name, "output_size", output_size, n, 3)
    if samples is None:
        from .random import rand

        batch = input.shape[0] if input.dim() == n + 2 else 1
        samples = rand(batch, input.shape[-n - 1], n, dtype=input.dtype)
    elif not isinstance(samples, TensorBase):
        raise not_a_tensor(name, samples, "_random_samples", 6)
    dims = (*kernel, *output)
    return wrap_results(lib.ad_opn(OP["fractional_max_pool"], [input._h, samples._h], 2, (n,), 1, (), 0, dims, 2 * n))


def fractional_max_pool2d_with_indices(input, kernel_size, output_size=None, output_ratio=None, return_indices=False,
                                       _random_samples=None):
    """:func:`fractional_max_pool2d` and the positions."""
    return _fractional(2, input, kernel_size, output_size, output_ratio, _random_samples)


def fractional_max_pool3d_with_indices(input, kernel_size, output_size=None, output_ratio=None, return_indices=False,
                                       _random_samples=None):
    """:func:`fractional_max_pool3d` and the positions."""
    return _fractional(3, input, kernel_size, output_size, output_ratio, _random_samples)


def fractional_max_pool2d(input, kernel_size, output_size=None, output_ratio=None, return_indices=False,
                          _random_samples=None):
    """The largest elements of regions whose places are drawn: ``(N, C, H, W)`` or ``(C, H, W)`` (Graham, 2014).

    ``output_size``, or ``output_ratio`` times the input's, regions of ``kernel_size``; the steps between them are drawn
    anew in each call, by ``_random_samples (N, C, 2)`` in [0, 1) when given. RuntimeError where the regions do not fit.
    """
    r = _fractional(2, input, kernel_size, output_size, output_ratio, _random_samples)
    return r if return_indices else r[0]


def fractional_max_pool3d(input, kernel_size, output_size=None, output_ratio=None, return_indices=False,
                          _random_samples=None):
    """:func:`fractional_max_pool2d` over three dimensions."""
    r = _fractional(3, input, kernel_size, output_size, output_ratio, _random_samples)
    return r if return_indices else r[0]


# ---- made of average pooling


def _lp_pool(n, input, norm_type, kernel_size, stride, ceil_mode):
    name = f"lp_pool{n}d"
    if not isinstance(input, TensorBase):
        raise not_a_tensor(name, input)
    if input.dim() not in (n + 1, n + 2):
        raise RuntimeError(f"{name}: Expected {n + 1}D or {n + 2}D input, but got {list(input.shape)}")
    p = number(norm_type, name, "norm_type", 2)
    kernel = _amounts(name, "kernel_size", kernel_size, n)
    count = 1
    for k in kernel:
        count *= k
    mean = _avg_pool(n, input.pow(p), kernel, stride, 0, ceil_mode, True)
    return (mean.sign() * mean.abs().relu()).mul(count).pow(1.0 / p)


def lp_pool1d(input, norm_type, kernel_size, stride=None, ceil_mode=False):
    """``(sum x^p)^(1/p)`` over each window, p = ``norm_type``: ``(N, C, L)`` or ``(C, L)``."""
    return _lp_pool(1, input, norm_type, kernel_size, stride, ceil_mode)


def lp_pool2d(input, norm_type, kernel_size, stride=None, ceil_mode=False):
    """:func:`lp_pool1d` over two dimensions."""
    return _lp_pool(2, input, norm_type, kernel_size, stride, ceil_mode)


def lp_pool3d(input, norm_type, kernel_size, stride=None, ceil_mode=False):
    """:func:`lp_pool1d` over three dimensions."""
    return _lp_pool(3, input, norm_type, kernel_size, stride, ceil_mode)


def local_response_norm(input, size, alpha=1e-4, beta=0.75, k=1.0):
    """``x / (k + alpha mean x^2)^beta``, the mean over ``size`` neighbouring channels of ``(N, C, *)``.

    Channels beyond the first and last count as 0. ValueError below three dimensions.
    """
    if not isinstance(input, TensorBase):
        raise not_a_tensor("local_response_norm", input)
    if input.dim() < 3:
        raise ValueError(f"Expected 3D or higher dimensionality input (got {input.dim()} dimensions)")
    if not input.numel():
        return input
    from .index import pad

    n, c = input.shape[:2]
    square = pad((input * input).reshape(n, 1, c, -1), (0, 0, size // 2, (size - 1) // 2))
    mean = avg_pool2d(square, (size, 1), 1).reshape(input.shape)
    return input / (mean * alpha + k).pow(beta)
