"""Elementwise arithmetic: sums, products, quotients, powers, bounds.

Operands broadcast and promote as in PyTorch: tensors with dimensions decide the dtype over 0-d tensors, those over
numbers, unless the lower category is of a higher kind (bool < integer < float). `out` receives the result when given.
RuntimeError when sizes do not broadcast, TypeError for an operand that is neither a tensor nor a number.
"""

from .. import _dtype
from ._call import OP, TensorBase, binary, inplace, not_a_tensor, number, op_name, tensors_only, ternary

_ADD, _SUB, _MUL, _DIV = OP["add"], OP["sub"], OP["mul"], OP["div"]
_add_, _sub_, _div_ = inplace(_ADD), inplace(_SUB), inplace(_DIV)
_floor_, _trunc_ = inplace(OP["floor_divide"]), inplace(OP["trunc_divide"])


def add(input, other, *, alpha=1, out=None):
    """input + alpha * other. RuntimeError for a float alpha with integers."""
    if _is_one(alpha):
        return binary(_ADD, input, other, out)
    return ternary(OP["add_scaled"], input, other, number(alpha, "add", "alpha", 3), out)


def sub(input, other, *, alpha=1, out=None):
    """input - alpha * other. RuntimeError for bool tensors, and for a float alpha with integers."""
    if _is_one(alpha):
        return binary(_SUB, input, other, out)
    return ternary(OP["sub_scaled"], input, other, number(alpha, "sub", "alpha", 3), out)


def _is_one(alpha):
    return type(alpha) is int and alpha == 1


def add_(self, other, *, alpha=1):
    """add(), in place."""
    if _is_one(alpha):
        return _add_(self, other)
    return ternary(OP["add_scaled"], self, other, number(alpha, "add_", "alpha", 3), None, 1)


def sub_(self, other, *, alpha=1):
    """sub(), in place."""
    if _is_one(alpha):
        return _sub_(self, other)
    return ternary(OP["sub_scaled"], self, other, number(alpha, "sub_", "alpha", 3), None, 1)


def rsub(input, other, *, alpha=1):
    """other - alpha * input."""
    if not isinstance(input, TensorBase):
        raise not_a_tensor("rsub", input)
    return sub(other, input, alpha=alpha)


def mul(input, other, *, out=None):
    """input * other."""
    return binary(_MUL, input, other, out)


mul_ = inplace(_MUL)


def div(input, other, *, rounding_mode=None, out=None):
    """input / other. rounding_mode: None for true division, which gives floats; "floor" or "trunc" keep integers.

    Rounded quotients have a gradient of 0. RuntimeError for an integer divided by an integer 0 when rounded.
    """
    if rounding_mode is None:
        return binary(_DIV, input, other, out)
    return binary(_rounded(rounding_mode), input, other, out)


def _rounded(mode):
    if mode == "floor":
        return OP["floor_divide"]
    if mode == "trunc":
        return OP["trunc_divide"]
    raise RuntimeError(f"div expected rounding_mode to be one of None, 'trunc', or 'floor' but found '{mode}'")


def div_(self, other, *, rounding_mode=None):
    """div(), in place."""
    if rounding_mode is None:
        return _div_(self, other)
    return _floor_(self, other) if _rounded(rounding_mode) == OP["floor_divide"] else _trunc_(self, other)


def true_divide(input, other, *, out=None):
    """input / other, always a float."""
    return binary(_DIV, input, other, out)


def floor_divide(input, other, *, out=None):
    """The floor of input / other, as Python's //. RuntimeError for an integer divided by 0."""
    return binary(OP["floor_divide"], input, other, out)


def remainder(input, other, *, out=None):
    """input - other * floor(input / other), as Python's %: the sign of other."""
    return binary(OP["remainder"], input, other, out)


def fmod(input, other, *, out=None):
    """input - other * trunc(input / other), as C's fmod: the sign of input."""
    if not isinstance(input, TensorBase):
        raise not_a_tensor("fmod", input)
    return binary(OP["fmod"], input, other, out)


def pow(input, exponent, *, out=None):
    """input to the power exponent. Exponents 0.5, 1, 2, 3 and their inverses are as exact as the closed form.

    RuntimeError for integers to a negative number; a tensor of negative exponents gives 0 where |input| > 1.
    """
    return binary(OP["pow"], input, exponent, out)


def float_power(input, exponent, *, out=None):
    """input to the power exponent, computed in float64."""
    if not isinstance(input, TensorBase) and not isinstance(exponent, TensorBase):
        raise not_a_tensor("float_power", input)
    return binary(OP["pow"], _double(input), _double(exponent), out)


def float_power_(self, exponent):
    """float_power(), in place; RuntimeError unless this is a float64 tensor."""
    if self.dtype is not _dtype.float64:
        raise RuntimeError("the base given to float_power_ has dtype "
                           f"{self.dtype.name} but the operation's result requires dtype Double")
    return _pow_(self, _double(exponent))


_pow_ = inplace(OP["pow"])


def _double(x):
    return x.to(_dtype.float64) if isinstance(x, TensorBase) else float(number(x, "float_power"))


def hypot(input, other, *, out=None):
    """sqrt(input^2 + other^2) without overflow on the way."""
    return tensors_only(OP["hypot"], input, other, out)


def atan2(input, other, *, out=None):
    """The angle of the point (other, input), in (-pi, pi]."""
    return tensors_only(OP["atan2"], input, other, out)


def copysign(input, other, *, out=None):
    """The magnitude of input with the sign of other; integers give floats."""
    if not isinstance(input, TensorBase):
        raise not_a_tensor("copysign", input)
    return binary(OP["copysign"], input, other, out)


def nextafter(input, other, *, out=None):
    """The next representable number from input towards other."""
    bits = _mantissa(input, other)
    if bits:
        return ternary(OP["nextafter_half"], input, other, bits, out)
    return tensors_only(OP["nextafter"], input, other, out)


def nextafter_(self, other):
    """nextafter(), in place."""
    bits = _mantissa(self, other)
    return ternary(OP["nextafter_half"], self, other, bits, None, 1) if bits else _nextafter_(self, other)


def _mantissa(a, b):
    """The bits of the mantissa when a and b meet in float16 or bfloat16, else 0."""
    if isinstance(a, TensorBase) and isinstance(b, TensorBase):
        kinds = {t.dtype for t in (a, b) if t.dtype.is_floating_point}
        if kinds == {_dtype.float16}:
            return 10.0
        if kinds == {_dtype.bfloat16}:
            return 7.0
        if not kinds <= {_dtype.float16, _dtype.bfloat16} and a.ndim != b.ndim and 0 in (a.ndim, b.ndim):
            wide = b if a.ndim == 0 else a  # the tensor with dimensions decides
            return {_dtype.float16: 10.0, _dtype.bfloat16: 7.0}.get(wide.dtype, 0)
    return 0


def ldexp(input, other, *, out=None):
    """input * 2 ** other."""
    if not isinstance(input, TensorBase):
        raise not_a_tensor("ldexp", input)
    if not isinstance(other, TensorBase):
        raise not_a_tensor("ldexp", other, "other", 2)
    return binary(_MUL, input, _power_of_two(input, other), out)


def _power_of_two(input, other):
    if isinstance(other, TensorBase) and input.dtype.is_floating_point and not other.dtype.is_floating_point:
        other = other.to(input.dtype)
    return binary(OP["pow"], 2.0, other)


def ldexp_(self, other):
    """ldexp(), in place."""
    return mul_(self, _power_of_two(self, other))


def logaddexp(input, other, *, out=None):
    """log(exp(input) + exp(other)) without overflow on the way."""
    return tensors_only(OP["logaddexp"], input, other, out)


def logaddexp2(input, other, *, out=None):
    """log2(2 ** input + 2 ** other) without overflow on the way."""
    return tensors_only(OP["logaddexp2"], input, other, out)


def xlogy(input, other, *, out=None):
    """input * log(other), 0 where input is 0 (unless other is NaN)."""
    return binary(OP["xlogy"], input, other, out)


def xlog1py(input, other, *, out=None):
    """input * log1p(other), 0 where input is 0 (unless other is NaN)."""
    return binary(OP["xlog1py"], input, other, out)


def zeta(input, other, *, out=None):
    """The Hurwitz zeta function of order input at other; differentiable in other."""
    return binary(OP["zeta"], input, other, out)


def gcd(input, other, *, out=None):
    """The greatest common divisor of integers, not negative."""
    return tensors_only(OP["gcd"], input, other, out)


def lcm(input, other, *, out=None):
    """The least common multiple of integers, not negative."""
    return tensors_only(OP["lcm"], input, other, out)


def heaviside(input, values, *, out=None):
    """0, values or 1 where input is negative, 0 or positive. RuntimeError when the dtypes differ."""
    return tensors_only(OP["heaviside"], input, values, out)


def addcmul(input, tensor1, tensor2, *, value=1, out=None):
    """input + value * tensor1 * tensor2. RuntimeError for bool."""
    return _addc(OP["addcmul"], input, tensor1, tensor2, value, out, 0)


def addcmul_(self, tensor1, tensor2, *, value=1):
    """addcmul(), in place."""
    return _addc(OP["addcmul"], self, tensor1, tensor2, value, None, 1)


def addcdiv(input, tensor1, tensor2, *, value=1, out=None):
    """input + value * tensor1 / tensor2. RuntimeError for integers, which add() and div() take."""
    return _addc(OP["addcdiv"], input, tensor1, tensor2, value, out, 0)


def addcdiv_(self, tensor1, tensor2, *, value=1):
    """addcdiv(), in place."""
    return _addc(OP["addcdiv"], self, tensor1, tensor2, value, None, 1)


def _addc(op, input, tensor1, tensor2, value, out, inplace):
    for position, t in enumerate((input, tensor1, tensor2)):
        if not isinstance(t, TensorBase):
            raise not_a_tensor(op, t, "input" if not position else f"tensor{position}", position + 1)
    value = number(value, op_name(op), "value", 4)
    if op == OP["addcdiv"] and not (tensor1.dtype.is_floating_point or tensor2.dtype.is_floating_point):
        raise RuntimeError("Integer division with addcdiv is no longer supported; use true division, floor_divide or "
                           f"div(rounding_mode=...) before adding: got {tensor1.dtype} and {tensor2.dtype}")
    if value != 1 and input.dtype is not _dtype.bool_:
        if isinstance(value, float) and not tensor1.dtype.is_floating_point:
            value = int(value)
        if tensor1.dtype is _dtype.bool_:
            tensor1 = tensor1.to(input.dtype)
        tensor1 = binary(_MUL, tensor1, value)
    return ternary(op, input, tensor1, tensor2, out, inplace)


def lerp(input, end, weight, *, out=None):
    """input + weight * (end - input), weight a number or a tensor.

    RuntimeError unless the tensors are floating and of one dtype.
    """
    if not isinstance(input, TensorBase):
        raise not_a_tensor("lerp", input)
    if not isinstance(end, TensorBase):
        raise not_a_tensor("lerp", end, "end", 2)
    return ternary(OP["lerp"], input, end, weight, out)


def lerp_(self, end, weight):
    """lerp(), in place."""
    if not isinstance(end, TensorBase):
        raise not_a_tensor("lerp_", end, "end", 1)
    return ternary(OP["lerp"], self, end, weight, None, 1)


# ---- minimum, maximum, bounds ----


def maximum(input, other, *, out=None):
    """The larger of each pair, NaN if either is. Ties share the gradient equally."""
    return tensors_only(OP["maximum"], input, other, out)


def minimum(input, other, *, out=None):
    """The smaller of each pair, NaN if either is. Ties share the gradient equally."""
    return tensors_only(OP["minimum"], input, other, out)


def fmax(input, other, *, out=None):
    """The larger of each pair; a number rather than NaN."""
    return tensors_only(OP["fmax"], input, other, out)


def fmin(input, other, *, out=None):
    """The smaller of each pair; a number rather than NaN."""
    return tensors_only(OP["fmin"], input, other, out)


def clamp(input, min=None, max=None, *, out=None):
    """input within [min, max], numbers or tensors; max where min > max. The gradient is 1 on the bounds.

    RuntimeError when neither bound is given, and for bool.
    """
    return _clamp(input, min, max, out, 0)


def clamp_(self, min=None, max=None):
    """clamp(), in place."""
    return _clamp(self, min, max, None, 1)


def _clamp(input, min, max, out, in_place):
    if not isinstance(input, TensorBase):
        raise not_a_tensor("clamp", input)
    if min is not None and max is not None:
        if isinstance(min, TensorBase) != isinstance(max, TensorBase):
            raise TypeError("clamp() received an invalid combination of arguments: min and max must be both tensors "
                            f"or both numbers, not {type(min).__name__} and {type(max).__name__}")
        return ternary(OP["clamp"], input, min, max, out, in_place)
    if min is None and max is None:
        raise RuntimeError("torch.clamp: At least one of 'min' or 'max' must not be None")
    op, bound = (OP["clamp_min"], min) if max is None else (OP["clamp_max"], max)
    if in_place:
        return inplace_bound[op](input, bound)
    return binary(op, input, bound, out)


inplace_bound = {OP["clamp_min"]: inplace(OP["clamp_min"]), OP["clamp_max"]: inplace(OP["clamp_max"])}


def clamp_min(input, min, *, out=None):
    """input, at least min."""
    return _clamp(input, min, None, out, 0)


def clamp_max(input, max, *, out=None):
    """input, at most max."""
    return _clamp(input, None, max, out, 0)


# ---- other names, and in place ----

divide, multiply, subtract, clip, clip_, arctan2 = div, mul, sub, clamp, clamp_, atan2
divide_, multiply_, subtract_ = div_, mul_, sub_
true_divide_, floor_divide_ = _div_, _floor_
remainder_, fmod_, pow_ = inplace(OP["remainder"]), inplace(OP["fmod"]), _pow_
hypot_, copysign_, _nextafter_ = inplace(OP["hypot"]), inplace(OP["copysign"]), inplace(OP["nextafter"])
atan2_ = arctan2_ = inplace(OP["atan2"])
xlogy_, gcd_, lcm_, heaviside_ = inplace(OP["xlogy"]), inplace(OP["gcd"]), inplace(OP["lcm"]), inplace(OP["heaviside"])
clamp_min_, clamp_max_ = inplace_bound[OP["clamp_min"]], inplace_bound[OP["clamp_max"]]
