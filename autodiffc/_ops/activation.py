"""Activation functions, the names of torch.nn.functional.

Floating tensors keep their dtype; integers raise NotImplementedError except where said. `inplace` writes the input,
whose values the gradient rules keep a copy of where they need them.
"""

from .. import _dtype
from ._call import OP, TensorBase, binary, inplace_unary, not_a_tensor, number, ternary, unary
from ._call import inplace as _inplace

_RELU = OP["relu"]


def relu(input, inplace=False):
    """max(input, 0); NaN stays NaN. Integers too; RuntimeError for bool."""
    return relu_(input) if inplace else unary(_RELU, input)


def relu6(input, inplace=False):
    """input within [0, 6]. Integers too."""
    return _relu6_(input) if inplace else unary(OP["relu6"], input)


def leaky_relu(input, negative_slope=0.01, inplace=False):
    """input where positive, else negative_slope * input."""
    s = _number(negative_slope, "leaky_relu", "negative_slope")
    return _leaky_relu_(input, s) if inplace else _with(OP["leaky_relu"], input, s)


def elu(input, alpha=1.0, inplace=False):
    """input where positive, else alpha * (exp(input) - 1)."""
    s = _number(alpha, "elu", "alpha")
    return _elu_(input, s) if inplace else _with(OP["elu"], input, s)


def selu(input, inplace=False):
    """1.0507 * elu(input, 1.6733): keeps a normalised input normalised."""
    return selu_(input) if inplace else unary(OP["selu"], input)


def celu(input, alpha=1.0, inplace=False):
    """input where positive, else alpha * (exp(input / alpha) - 1). RuntimeError for alpha 0."""
    s = _number(alpha, "celu", "alpha")
    if s == 0:
        raise RuntimeError("ZeroDivisionError: alpha cannot be 0 for CELU")
    return _celu_(input, s) if inplace else _with(OP["celu"], input, s)


def gelu(input, *, approximate="none"):
    """input times the normal distribution's area below it; approximate="tanh" for the form of GPT-2.

    Of infinity it is infinity in every dtype; PyTorch 2.13 gives NaN in float32.
    """
    if approximate == "none":
        return unary(OP["gelu"], input)
    if approximate == "tanh":
        return unary(OP["gelu_tanh"], input)
    raise RuntimeError("approximate argument must be either none or tanh.")


def silu(input, inplace=False):
    """input * sigmoid(input), also called swish."""
    return _silu_(input) if inplace else unary(OP["silu"], input)


def mish(input, inplace=False):
    """input * tanh(softplus(input))."""
    return _mish_(input) if inplace else unary(OP["mish"], input)


def softplus(input, beta=1, threshold=20):
    """log(1 + exp(beta * input)) / beta; input itself where beta * input > threshold."""
    return _with3(OP["softplus"], input, _number(beta, "softplus", "beta"), _number(threshold, "softplus", "threshold"))


def softsign(input):
    """input / (1 + |input|)."""
    return unary(OP["softsign"], input)


def softshrink(input, lambd=0.5):
    """input nearer to 0 by lambd, 0 within. RuntimeError for a negative lambd."""
    s = _number(lambd, "softshrink", "lambd")
    if not s >= 0:
        raise RuntimeError(f"lambda must be greater or equal to 0, but found to be {lambd}.")
    return _with(OP["softshrink"], input, s)


def hardshrink(input, lambd=0.5):
    """0 where |input| <= lambd, else input."""
    return _with(OP["hardshrink"], input, _number(lambd, "hardshrink", "lambd"))


def tanhshrink(input):
    """input - tanh(input)."""
    return unary(OP["tanhshrink"], input)


def hardtanh(input, min_val=-1.0, max_val=1.0, inplace=False):
    """input within [min_val, max_val]. Integers too. ValueError when min_val exceeds max_val."""
    lo, hi = _number(min_val, "hardtanh", "min_val"), _number(max_val, "hardtanh", "max_val")
    if lo > hi:
        raise ValueError("min_val cannot be greater than max_val")
    if isinstance(input, TensorBase) and lo < 0 and not input.dtype.is_signed and not input.dtype.is_floating_point:
        raise RuntimeError("cannot do hardtanh on an unsigned type with negative limits")
    return _with3(OP["hardtanh"], input, lo, hi, inplace)


def hardsigmoid(input, inplace=False):
    """input / 6 + 1/2 within [0, 1]."""
    return _hardsigmoid_(input) if inplace else unary(OP["hardsigmoid"], input)


def hardswish(input, inplace=False):
    """input * hardsigmoid(input)."""
    return _hardswish_(input) if inplace else unary(OP["hardswish"], input)


def logsigmoid(input):
    """log(sigmoid(input)), precise for large negative input."""
    return unary(OP["log_sigmoid"], input)


def threshold(input, threshold, value, inplace=False):
    """value where input <= threshold, else input. Integers too."""
    return _with3(OP["threshold"], input, _number(threshold, "threshold", "threshold"),
                  _number(value, "threshold", "value"), inplace)


def prelu(input, weight):
    """input where positive, else weight * input; weight has one element, or one for each channel (dimension 1).

    RuntimeError when the number of weights fits neither, or the dtypes differ.
    """
    if not isinstance(input, TensorBase):
        raise not_a_tensor("prelu", input)
    if not isinstance(weight, TensorBase):
        raise not_a_tensor("prelu", weight, "weight", 2)
    if input.dtype is not weight.dtype:
        raise RuntimeError(f"prelu: Type promoting not supported. Got {input.dtype} and {weight.dtype}")
    if weight.ndim > 1:
        raise RuntimeError(f"prelu: Expected `weight` to be a scalar or 1D tensor, but got: ndim = {weight.ndim}")
    if weight.numel() != 1:
        if input.ndim == 0:
            raise RuntimeError("Not allow zero-dim input tensor.")
        channels = input.shape[1] if input.ndim > 1 else 1
        if weight.numel() != channels:
            raise RuntimeError("Mismatch of parameter numbers and input channel size. Found parameter numbers = "
                               f"{weight.numel()} and channel size = {channels}.")
        weight = weight.reshape((-1,) + (1,) * (input.ndim - 2))
    elif weight.ndim and input.ndim == 0:
        weight = weight.reshape(())
    return binary(OP["leaky_relu"], input, weight)


def rrelu(input, lower=1.0 / 8, upper=1.0 / 3, training=False, inplace=False):
    """leaky_relu with the middle of [lower, upper] as slope; in training each slope is drawn from that range."""
    lo, hi = _number(lower, "rrelu", "lower"), _number(upper, "rrelu", "upper")
    if lo > hi:
        raise RuntimeError(f"Lower bound should be less than or equal to the upper bound: {lower}, {upper}")
    if not training:
        return leaky_relu(input, (lo + hi) / 2, inplace)
    if not isinstance(input, TensorBase):
        raise not_a_tensor("rrelu", input)
    fixed = input.detach()
    negative = fixed <= 0
    draws = fixed.new_empty(int(negative.sum()), dtype=_dtype.float64).uniform_(lo, hi)  # for these alone, as PyTorch
    slope = fixed.clone()
    slope[negative] = draws.to(fixed.dtype)
    return _leaky_relu_(input, slope) if inplace else binary(OP["leaky_relu"], input, slope)


def glu(input, dim=-1):
    """The first half of dimension dim times the sigmoid of the second. RuntimeError unless its size is even."""
    if not isinstance(input, TensorBase):
        raise not_a_tensor("glu", input)
    if input.ndim == 0:
        raise RuntimeError("glu does not support 0-dimensional tensors")
    n = input.size(dim)
    if n % 2:
        raise RuntimeError(f"Halving dimension must be even, but dimension {dim} is size {n}")
    return input.narrow(dim, 0, n // 2) * input.narrow(dim, n // 2, n // 2).sigmoid()


def _number(s, name, argument):
    return number(s, name, argument)


def _with(op, input, s):
    if not isinstance(input, TensorBase):
        raise not_a_tensor(op, input)
    return binary(op, input, s)


def _with3(op, input, s, r, in_place=False):
    if not isinstance(input, TensorBase):
        raise not_a_tensor(op, input)
    return ternary(op, input, s, r, None, 1 if in_place else 0)


# ---- in place ----

relu_, _relu6_ = inplace_unary(_RELU), inplace_unary(OP["relu6"])
selu_, _silu_, _mish_ = inplace_unary(OP["selu"]), inplace_unary(OP["silu"]), inplace_unary(OP["mish"])
_hardsigmoid_, _hardswish_ = inplace_unary(OP["hardsigmoid"]), inplace_unary(OP["hardswish"])
_leaky_relu_, _elu_, _celu_ = _inplace(OP["leaky_relu"]), _inplace(OP["elu"]), _inplace(OP["celu"])


def leaky_relu_(input, negative_slope=0.01):
    """leaky_relu(), in place."""
    return leaky_relu(input, negative_slope, True)


def elu_(input, alpha=1.0):
    """elu(), in place."""
    return elu(input, alpha, True)


def celu_(input, alpha=1.0):
    """celu(), in place."""
    return celu(input, alpha, True)


def hardtanh_(input, min_val=-1.0, max_val=1.0):
    """hardtanh(), in place."""
    return hardtanh(input, min_val, max_val, True)


def threshold_(input, threshold_, value):
    """threshold(), in place."""
    return threshold(input, threshold_, value, True)


def rrelu_(input, lower=1.0 / 8, upper=1.0 / 3, training=False):
    """rrelu(), in place."""
    return rrelu(input, lower, upper, training, True)
