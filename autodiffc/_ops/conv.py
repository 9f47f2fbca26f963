"""Convolutions and patches."""

from ._call import OP, TensorBase, apply, ints_each, listed, not_a_tensor

_CONV, _CONV_TRANSPOSE = OP["conv"], OP["conv_transpose"]
_PADDED, _SAME = 0, 1
_NAMES = ("input", "weight", "bias")


def _wrong_argument(name, groups, tensors):
    """The TypeError for the first of input, weight and bias that is no tensor, or for groups."""
    for k, t in enumerate(tensors):
        if not isinstance(t, TensorBase) and not (k == 2 and t is None):
            return not_a_tensor(name, t, _NAMES[k], k + 1)
    return TypeError(f"{name}(): argument 'groups' must be int, not {type(groups).__name__}")


def _each(name, argument, value, rank):
    return ints_each(name, argument, value, rank, None,
                     f"expected {argument} to be a single integer value or a list of {rank} values to match the "
                     f"convolution dimensions, but got {argument}=[{{0}}]")


def _conv(name, rank, input, weight, bias, stride, padding, dilation, groups):
    how = _PADDED
    if isinstance(padding, str):
        if padding not in ("same", "valid"):
            raise RuntimeError(f"Invalid padding string: '{padding}'")
        how = _SAME if padding == "same" else _PADDED
        padding = 0
    dims = [*_each(name, "stride", stride, rank), *_each(name, "padding", padding, rank),
            *_each(name, "dilation", dilation, rank)]
    try:
        return apply(_CONV, (input, weight, bias), (groups, rank, how), (), dims)
    except TypeError:
        raise _wrong_argument(name, groups, (input, weight, bias)) from None


def conv1d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    """The cross-correlation of input, (N, C, L) or (C, L), with weight, (out, C / groups, k): (N, out, L').

    stride, padding, dilation: an integer or a tuple of one; padding also "valid" (none) or "same" (as long as the
    input; for stride 1). L' = (L + 2 padding - dilation (k - 1) - 1) / stride + 1, rounded down. bias: (out).
    All of one dtype, which the result has; float16 and bfloat16 are computed in float32. RuntimeError for sizes or
    numbers that do not fit.
    """
    return _conv("conv1d", 1, input, weight, bias, stride, padding, dilation, groups)


def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    """As conv1d, for input (N, C, H, W) or (C, H, W) and weight (out, C / groups, kh, kw)."""
    return _conv("conv2d", 2, input, weight, bias, stride, padding, dilation, groups)


def conv3d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    """As conv1d, for input (N, C, D, H, W) or (C, D, H, W) and weight (out, C / groups, kd, kh, kw)."""
    return _conv("conv3d", 3, input, weight, bias, stride, padding, dilation, groups)


def _conv_transpose(name, rank, input, weight, bias, stride, padding, output_padding, groups, dilation):
    dims = [*_each(name, "stride", stride, rank), *_each(name, "padding", padding, rank),
            *_each(name, "dilation", dilation, rank), *_each(name, "output_padding", output_padding, rank)]
    try:
        return apply(_CONV_TRANSPOSE, (input, weight, bias), (groups, rank, _PADDED), (), dims)
    except TypeError:
        raise _wrong_argument(name, groups, (input, weight, bias)) from None


def conv_transpose1d(input, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1):
    """The gradient of conv1d with respect to its input, as a layer: input (N, C, L) or (C, L), weight
    (C, out / groups, k), result (N, out, L').

    L' = (L - 1) stride - 2 padding + dilation (k - 1) + output_padding + 1, where output_padding is smaller than
    stride or dilation: it says which of the lengths that conv1d would shorten to L is meant. dtypes and errors as
    for conv1d.
    """
    return _conv_transpose("conv_transpose1d", 1, input, weight, bias, stride, padding, output_padding, groups,
                           dilation)


def conv_transpose2d(input, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1):
    """As conv_transpose1d, for input (N, C, H, W) or (C, H, W) and weight (C, out / groups, kh, kw)."""
    return _conv_transpose("conv_transpose2d", 2, input, weight, bias, stride, padding, output_padding, groups,
                           dilation)


def conv_transpose3d(input, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1):
    """As conv_transpose1d, for input (N, C, D, H, W) or (C, D, H, W) and weight (C, out / groups, kd, kh, kw)."""
    return _conv_transpose("conv_transpose3d", 3, input, weight, bias, stride, padding, output_padding, groups,
                           dilation)


def convolution(input, weight, bias, stride, padding, dilation, transposed, output_padding, groups):
    """conv1d to conv3d or, `transposed`, conv_transpose1d to conv_transpose3d, by the weight's dimensions."""
    if not isinstance(weight, TensorBase):
        raise not_a_tensor("convolution", weight, "weight", 2)
    rank = weight.dim() - 2
    if not 1 <= rank <= 3:
        raise RuntimeError(f"convolution(): the weight must have 3 to 5 dimensions, but it has {weight.dim()}")
    if transposed:
        return _conv_transpose("convolution", rank, input, weight, bias, stride, padding, output_padding, groups,
                               dilation)
    return _conv("convolution", rank, input, weight, bias, stride, padding, dilation, groups)


def conv_tbc(input, weight, bias, pad=0):
    """conv1d along the first dimension: input (L, N, C), weight (k, C, out), bias (out), result (L', N, out)."""
    _need("conv_tbc", input, weight, bias)
    if input.dim() != 3:
        raise RuntimeError("Input must have 3 dims: time, batch, in_channel")
    if weight.dim() != 3:
        raise RuntimeError("Weight tensor must have 3 dims: kernel_width, in_channels, out_channels.")
    if bias.dim() != 1:
        raise RuntimeError("Bias must be 1-D")
    return _conv("conv_tbc", 1, input.permute(1, 2, 0), weight.permute(2, 1, 0), bias, 1, pad, 1, 1).permute(2, 0, 1)


def _need(name, *tensors):
    for t in tensors:
        if not isinstance(t, TensorBase):
            raise _wrong_argument(name, 1, tensors)


def _two(name, value):
    """(height, width) of an argument of unfold or fold."""
    if type(value) is int:
        return value, value
    values = _each(name, name, value, 2 if not isinstance(value, (tuple, list)) else len(value))
    if len(values) == 1:
        values = values * 2 if name != "output_size" else values
    if len(values) != 2:
        raise RuntimeError(f"It is expected {name} equals to 2, but got size {len(values)}")
    return values


def im2col(input, kernel_size, dilation=1, padding=0, stride=1):
    """The patches that a sliding kernel sees: (N, C, H, W) or (C, H, W) to (N, C kh kw, blocks).

    A column is one position of the kernel. Any dtype. RuntimeError for sizes that do not fit.
    """
    dims = [*_two("kernel_size", kernel_size), *_two("dilation", dilation), *_two("padding", padding),
            *_two("stride", stride)]
    return listed(OP["im2col"], input, dims)


def col2im(input, output_size, kernel_size, dilation=1, padding=0, stride=1):
    """Patches added up into images: (N, C kh kw, blocks) or (C kh kw, blocks) to (N, C, height, width).

    The adjoint of im2col. Any dtype. RuntimeError for sizes that do not fit.
    """
    dims = [*_two("kernel_size", kernel_size), *_two("dilation", dilation), *_two("padding", padding),
            *_two("stride", stride), *_two("output_size", output_size)]
    return listed(OP["col2im"], input, dims)
