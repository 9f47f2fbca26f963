"""Losses, with the signatures of torch.nn.functional.

reduction is "none", "mean" or "sum"; the older size_average and reduce, when given, decide instead. A loss of
tensors that have one size and dtype is one call into the core; other sizes are broadcast first.
"""

import warnings

from .. import _dtype
from .._core import OP, TensorBase, fail, wrap
from .._native import lib
from . import _call, from_data, reduce, shape
from ._call import binary, not_a_tensor, unary

_op2x, _op3x = lib.ad_op2x, lib.ad_op3x
_CE, _NLL, _PAIR = OP["cross_entropy"], OP["nll"], OP["pair_loss"]
_MSE, _L1, _SMOOTH, _HUBER, _BCE, _BCE_LOGITS, _KL, _KL_LOG = range(8)  # the rows of csrc/kernels/loss.def
_CODES = {"none": 0, "mean": 1, "sum": 2}


def reduction_code(reduction, size_average=None, reduce=None):
    """0 for "none", 1 for "mean", 2 for "sum"; ValueError for another. size_average and reduce win when given."""
    if size_average is not None or reduce is not None:
        size_average = True if size_average is None else size_average
        reduce = True if reduce is None else reduce
        name = "mean" if size_average and reduce else "sum" if reduce else "none"
        warnings.warn(f"size_average and reduce args will be deprecated, please use reduction='{name}' instead.",
                      stacklevel=3)
        return _CODES[name]
    try:
        return _CODES[reduction]
    except (KeyError, TypeError):
        raise ValueError(f"{reduction} is not a valid value for reduction") from None


def _reduced(t, code):
    return t if not code else reduce.mean(t) if code == 1 else reduce.sum(t)


def _check(name, input, target, weight=None):
    if not isinstance(input, TensorBase):
        raise not_a_tensor(name, input)
    if not isinstance(target, TensorBase):
        raise not_a_tensor(name, target, "target", 2)
    if weight is not None and not isinstance(weight, TensorBase):
        raise not_a_tensor(name, weight, "weight", 3)


def _pair(name, kind, input, target, code, param=0.0):
    try:
        h = _op2x(_PAIR, input._h, target._h, kind, code, 0, param)
    except AttributeError:
        _check(name, input, target)
        raise
    if not h:
        dtype = _common(input, target)
        same = list(input.shape) == list(target.shape)
        if same and input.dtype is target.dtype:
            fail()
        if not same:
            warnings.warn(
                f"Using a target size ({target.shape}) that is different to the input size ({input.shape}). This will "
                "likely lead to incorrect results due to broadcasting. Please ensure they have the same size.",
                stacklevel=3,
            )
            input, target = shape.broadcast_tensors(input, target)
        return _pair(name, kind, _cast(input, dtype), _cast(target, dtype), code, param)
    return wrap(h)


def _common(a, b):
    """The dtype that a + b has."""
    if a.dtype is b.dtype:
        return a.dtype
    a, b = (shape.slice_(shape.reshape(t, (-1,)), 0, 0, 0) if t.ndim else t for t in (a, b))
    return binary(OP["add"], a, b).dtype


def _cast(t, dtype):
    return t if t.dtype is dtype else _call.ints(OP["to"], t, dtype.code)


def _weighted(name, kind, input, target, weight, code, param=0.0):
    if weight.shape != input.shape:
        raise ValueError("Weights and input must have the same size.")
    loss = binary(OP["mul"], _pair(name, kind, input, target, 0, param), weight)
    if code != 1 or kind == _HUBER:
        return _reduced(loss, code)
    return binary(OP["div"], reduce.sum(loss), reduce.sum(weight))


def mse_loss(input, target, size_average=None, reduce=None, reduction="mean", weight=None):
    """The squared difference. With weight, a weighted sum; its mean divides by the sum of the weights."""
    code = 1 if reduction == "mean" and size_average is None and reduce is None else reduction_code(
        reduction, size_average, reduce)
    if weight is not None:
        return _weighted("mse_loss", _MSE, input, target, weight, code)
    return _pair("mse_loss", _MSE, input, target, code)


def l1_loss(input, target, size_average=None, reduce=None, reduction="mean", weight=None):
    """The absolute difference. With weight, a weighted sum; its mean divides by the sum of the weights."""
    code = reduction_code(reduction, size_average, reduce)
    if weight is not None:
        return _weighted("l1_loss", _L1, input, target, weight, code)
    return _pair("l1_loss", _L1, input, target, code)


def smooth_l1_loss(input, target, size_average=None, reduce=None, reduction="mean", beta=1.0):
    """0.5 d^2 / beta where |d| < beta, else |d| - beta / 2, for the difference d. RuntimeError for a negative beta."""
    if beta < 0:
        raise RuntimeError("smooth_l1_loss does not support negative values for beta.")
    return _pair("smooth_l1_loss", _SMOOTH, input, target, reduction_code(reduction, size_average, reduce), beta)


def huber_loss(input, target, reduction="mean", delta=1.0, weight=None):
    """0.5 d^2 where |d| <= delta, else delta (|d| - delta / 2), for the difference d. RuntimeError unless delta > 0.

    weight multiplies each term; the mean still divides by their number.
    """
    if not delta > 0:
        raise RuntimeError("huber_loss does not support non-positive values for delta.")
    code = reduction_code(reduction)
    if weight is not None:
        return _weighted("huber_loss", _HUBER, input, target, weight, code, delta)
    return _pair("huber_loss", _HUBER, input, target, code, delta)


def binary_cross_entropy(input, target, weight=None, size_average=None, reduce=None, reduction="mean"):
    """-(target log input + (1 - target) log(1 - input)), logarithms no less than -100. ValueError when sizes differ,
    RuntimeError when an input is outside 0 to 1."""
    _check("binary_cross_entropy", input, target)
    code = reduction_code(reduction, size_average, reduce)
    if input.shape != target.shape:
        raise ValueError(f"Using a target size ({target.shape}) that is different to the input size ({input.shape}) is "
                         "deprecated. Please ensure they have the same size.")
    if input.dtype is not target.dtype:
        raise RuntimeError(f"Found dtype {target.dtype} but expected {input.dtype}")
    if weight is None:
        return _pair("binary_cross_entropy", _BCE, input, target, code)
    return _reduced(binary(OP["mul"], _pair("binary_cross_entropy", _BCE, input, target, 0), weight), code)


def binary_cross_entropy_with_logits(input, target, weight=None, size_average=None, reduce=None, reduction="mean",
                                     pos_weight=None):
    """binary_cross_entropy() of sigmoid(input), without overflow; pos_weight multiplies the term of target.
    ValueError when sizes differ."""
    _check("binary_cross_entropy_with_logits", input, target)
    code = reduction_code(reduction, size_average, reduce)
    if input.shape != target.shape:
        raise ValueError(f"Target size ({target.shape}) must be the same as input size ({input.shape})")
    if pos_weight is None:
        if weight is None:
            return _pair("binary_cross_entropy_with_logits", _BCE_LOGITS, input, target, code)
        loss = _pair("binary_cross_entropy_with_logits", _BCE_LOGITS, input, target, 0)
    else:
        scale = (pos_weight - 1) * target + 1
        loss = (1 - target) * input - scale * unary(OP["log_sigmoid"], input)
    if weight is not None:
        loss = binary(OP["mul"], loss, weight)
    return _reduced(loss, code)


def kl_div(input, target, size_average=None, reduce=None, reduction="mean", log_target=False):
    """target (log target - input), for log-probabilities input and probabilities target (or, with log_target, their
    logarithms). "batchmean" divides the sum by the first size."""
    _check("kl_div", input, target)
    kind = _KL_LOG if log_target else _KL
    if size_average is None and reduce is None and reduction == "batchmean":
        loss = _kl(kind, input, target, 2)
        return binary(OP["div"], loss, input.shape[0]) if input.ndim else loss
    if reduction == "mean":
        warnings.warn(
            "reduction: 'mean' divides the total loss by both the batch size and the support size.'batchmean' divides "
            "only by the batch size, and aligns with the KL math definition.'mean' will be changed to behave the same "
            "as 'batchmean' in the next major release.",
            stacklevel=2,
        )
    return _kl(kind, input, target, reduction_code(reduction, size_average, reduce))


def _kl(kind, input, target, code):
    if input.shape != target.shape:
        input, target = shape.broadcast_tensors(input, target)
    return _pair("kl_div", kind, input, target, code)


# ---- classes ----


def nll_loss(input, target, weight=None, size_average=None, ignore_index=-100, reduce=None, reduction="mean"):
    """-weight[target] input[target], for log-probabilities of classes along dimension 1 (any number of dimensions
    after it); the mean divides by the sum of the weights. ignore_index counts for nothing. IndexError for a target
    that is no class."""
    _check("nll_loss", input, target, weight)
    code = reduction_code(reduction, size_average, reduce)
    h = _op3x(_NLL, input._h, target._h, weight._h if weight is not None else 0, ignore_index, code, 0.0)
    return wrap(h)


def cross_entropy(input, target, weight=None, size_average=None, ignore_index=-100, reduce=None, reduction="mean",
                  label_smoothing=0.0):
    """nll_loss(log_softmax(input, 1), target) for class indices; for a target of input's size, probabilities of
    classes. label_smoothing spreads that part of the target over all classes."""
    code = 1 if reduction == "mean" and size_average is None and reduce is None else reduction_code(
        reduction, size_average, reduce)
    try:
        h, g, w = input._h, target._h, weight._h if weight is not None else 0
    except AttributeError:
        _check("cross_entropy", input, target, weight)
        raise
    n = lib.ad_ndim(h)
    if lib.ad_ndim(g) == n and n and input.shape == target.shape:
        return _soft_cross_entropy(input, target, weight, code, label_smoothing)
    h = _op3x(_CE, h, g, w, ignore_index, code, label_smoothing)
    return wrap(h)


def ctc_loss(log_probs, targets, input_lengths, target_lengths, blank=0, reduction="mean", zero_infinity=False):
    """Connectionist temporal classification: -log of the probability of targets over all ways to stretch them to the
    length of log_probs, with blanks between.

    log_probs (T, N, C) or (T, C), log-probabilities of float32 or float64; targets (N, S), or 1-d and one after the
    other; lengths: tensors or tuples of N integers. The mean first divides each loss by the length of its target.
    zero_infinity: losses of targets that do not fit count as 0. The gradient takes log_probs for normalised.
    RuntimeError for sizes, lengths or classes that do not fit.
    """
    _check("ctc_loss", log_probs, targets)
    code = reduction_code(reduction)
    given, lengths = {"input_lengths": input_lengths, "target_lengths": target_lengths}, []
    for k, (name, t) in enumerate(given.items(), 3):
        if not isinstance(t, TensorBase):
            if not isinstance(t, (tuple, list)):
                raise not_a_tensor("ctc_loss", t, name, k)
            t = from_data.tensor([_call.integer(n) for n in t], dtype=_dtype.int64)
        lengths.append(t)
    _call.integer(blank)
    loss = _call.apply(OP["ctc"], (log_probs, targets, *lengths), (blank, bool(zero_infinity)))
    if code != 1:
        return _reduced(loss, code)
    sizes = lengths[1] if loss.ndim else shape.reshape(lengths[1], ())
    return reduce.mean(binary(OP["div"], loss, binary(OP["clamp_min"], _cast(sizes, loss.dtype), 1)))


def _soft_cross_entropy(input, target, weight, code, smoothing):
    if not target.dtype.is_floating_point:
        raise RuntimeError("Expected floating point type for target with class probabilities, got "
                           f"{reduce._class_name(target)}")
    if not 0 <= smoothing <= 1:
        raise RuntimeError(f"label_smoothing must be between 0.0 and 1.0. Got: {smoothing}")
    dim = 1 if input.ndim > 1 else 0
    classes = input.shape[dim]
    if weight is not None:
        if weight.ndim != 1 or weight.shape[0] != classes:
            raise RuntimeError(f"cross_entropy: weight tensor should be defined either for all {classes} classes or no "
                               f"classes but got weight tensor of shape: {tuple(weight.shape)}")
        weight = shape.reshape(weight, [-1 if d == dim else 1 for d in range(input.ndim)])
    if smoothing:
        target = target * (1 - smoothing) + smoothing / classes
    loss = binary(OP["mul"], reduce.log_softmax(input, dim), target)
    if weight is not None:
        loss = binary(OP["mul"], loss, weight)
    if not code:
        return unary(OP["neg"], reduce.sum(loss, dim))
    total = unary(OP["neg"], reduce.sum(loss))
    if code == 2:
        return total
    samples = input.numel() // classes if classes else 0
    return binary(OP["div"], total, float(samples))
