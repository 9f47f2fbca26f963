"""Comparison, logic and bits; where().

Comparisons and logical operations give bool tensors of the broadcast size; bitwise ones keep integers and bool, and
raise NotImplementedError (a RuntimeError) for floats.
"""

from .._native import lib
from ._call import (
    OP,
    TensorBase,
    binary,
    inplace,
    inplace_unary,
    not_a_tensor,
    number,
    number_tensor,
    tensors_only,
    ternary,
    unary,
)


def _compare(op, input, other, out):
    if not isinstance(input, TensorBase):
        raise not_a_tensor(op, input)
    return binary(op, input, other, out)


def eq(input, other, *, out=None):
    """input == other of each element."""
    return _compare(OP["eq"], input, other, out)


def ne(input, other, *, out=None):
    """input != other of each element."""
    return _compare(OP["ne"], input, other, out)


def lt(input, other, *, out=None):
    """input < other of each element."""
    return _compare(OP["lt"], input, other, out)


def le(input, other, *, out=None):
    """input <= other of each element."""
    return _compare(OP["le"], input, other, out)


def gt(input, other, *, out=None):
    """input > other of each element."""
    return _compare(OP["gt"], input, other, out)


def ge(input, other, *, out=None):
    """input >= other of each element."""
    return _compare(OP["ge"], input, other, out)


def isnan(input):
    """Which elements are NaN."""
    return unary(OP["isnan"], input)


def isinf(input):
    """Which elements are infinite."""
    return unary(OP["isinf"], input)


def isfinite(input):
    """Which elements are neither infinite nor NaN."""
    return unary(OP["isfinite"], input)


def isposinf(input, *, out=None):
    """Which elements are inf."""
    return unary(OP["isposinf"], input, out)


def isneginf(input, *, out=None):
    """Which elements are -inf."""
    return unary(OP["isneginf"], input, out)


def isreal(input):
    """True for each element: tensors here are real."""
    return unary(OP["isnan"], input).fill_(True)


def signbit(input, *, out=None):
    """Which elements have their sign bit set, -0.0 included."""
    return unary(OP["signbit"], input, out)


def logical_not(input, *, out=None):
    """Which elements are 0."""
    return unary(OP["logical_not"], input, out)


def logical_and(input, other, *, out=None):
    """Where both are not 0."""
    return tensors_only(OP["logical_and"], input, other, out)


def logical_or(input, other, *, out=None):
    """Where one is not 0."""
    return tensors_only(OP["logical_or"], input, other, out)


def logical_xor(input, other, *, out=None):
    """Where just one is not 0."""
    return tensors_only(OP["logical_xor"], input, other, out)


def _not_of(input):
    """The operation that flips input's elements: a bool has one bit."""
    if not isinstance(input, TensorBase):
        raise not_a_tensor("bitwise_not", input)
    return OP["logical_not"] if lib.ad_dtype_of(input._h) == 0 else OP["bitwise_not"]


def bitwise_not(input, *, out=None):
    """Every bit flipped; logical_not for bool."""
    return unary(_not_of(input), input, out)


def bitwise_not_(self):
    """bitwise_not(), in place."""
    return _logical_not_(self) if _not_of(self) == OP["logical_not"] else _bitwise_not_(self)


def invert(self):
    """~self. TypeError for floats."""
    if lib.ad_dtype_of(self._h) > 5:
        raise TypeError("~ (operator.invert) is only implemented on integer and Boolean-type tensors")
    return unary(_not_of(self), self)


def bitwise_and(input, other, *, out=None):
    """input & other."""
    return binary(OP["bitwise_and"], input, other, out)


def bitwise_or(input, other, *, out=None):
    """input | other."""
    return binary(OP["bitwise_or"], input, other, out)


def bitwise_xor(input, other, *, out=None):
    """input ^ other."""
    return binary(OP["bitwise_xor"], input, other, out)


def bitwise_left_shift(input, other, *, out=None):
    """input << other; 0 when other is negative or exceeds the width."""
    return binary(OP["bitwise_left_shift"], input, other, out)


def bitwise_right_shift(input, other, *, out=None):
    """input >> other, keeping the sign."""
    return binary(OP["bitwise_right_shift"], input, other, out)


def isclose(input, other, rtol=1e-05, atol=1e-08, equal_nan=False):
    """Where |input - other| <= atol + rtol * |other|, or both are equal; equal_nan: or both NaN.

    RuntimeError when the dtypes differ or a tolerance is negative.
    """
    if not isinstance(input, TensorBase):
        raise not_a_tensor("isclose", input)
    if not isinstance(other, TensorBase):
        raise not_a_tensor("isclose", other, "other", 2)
    if input.dtype is not other.dtype:
        raise RuntimeError(f"isclose: the operands' dtypes differ: {input.dtype} and {other.dtype}")
    if rtol < 0 or atol < 0:
        raise RuntimeError(f"isclose: rtol and atol must not be negative, got {rtol} and {atol}")
    close = eq(input, other)
    if rtol == 0 and atol == 0:
        return close if not equal_nan else close.logical_or_(logical_and(isnan(input), isnan(other)))
    input, other = input.detach(), other.detach()
    if equal_nan and input.dtype.is_floating_point:
        close.logical_or_(logical_and(isnan(input), isnan(other)))
    distance = (input - other if lib.ad_dtype_of(input._h) else logical_xor(input, other).long()).abs()
    within = logical_and(isfinite(distance), le(distance, other.mul(float(rtol)).abs_().add_(atol)))
    return close.logical_or_(within)


def allclose(input, other, rtol=1e-05, atol=1e-08, equal_nan=False):
    """Whether isclose() holds for every element; a Python bool."""
    return bool(_count(logical_not(isclose(input, other, rtol, atol, equal_nan))) == 0)


def equal(input, other):
    """Whether both have the same size and the same elements; a Python bool."""
    if not isinstance(input, TensorBase):
        raise not_a_tensor("equal", input)
    if not isinstance(other, TensorBase):
        raise not_a_tensor("equal", other, "other", 2)
    if input.shape != other.shape:
        return False
    return bool(_count(ne(input, other)) == 0)


def _count(mask):
    return mask.sum().item()


def where(condition, input=None, other=None, *, out=None):
    """input where condition holds, else other: tensors that broadcast, or numbers. The dtypes promote.

    where(condition) alone gives the indices of what holds, as nonzero(as_tuple=True). RuntimeError unless the
    condition is a bool (or uint8) tensor.
    """
    if not isinstance(condition, TensorBase):
        raise not_a_tensor("where", condition, "condition", 1)
    if input is None and other is None:
        return condition.nonzero(as_tuple=True)
    if lib.ad_dtype_of(condition._h) == 1:
        condition = ne(condition, 0)
    a = input if isinstance(input, TensorBase) else number_tensor(number(input, "where", "input", 2))
    b = other if isinstance(other, TensorBase) else number_tensor(number(other, "where", "other", 3))
    return ternary(OP["where"], condition, a, b, out)


def method_where(self, condition, other):
    """where(condition, self, other)."""
    return where(condition, self, other)


# ---- other names, and in place ----

not_equal, less, less_equal, greater, greater_equal = ne, lt, le, gt, ge
eq_, ne_, lt_, le_, gt_, ge_ = (inplace(OP[name]) for name in ("eq", "ne", "lt", "le", "gt", "ge"))
not_equal_, less_, less_equal_, greater_, greater_equal_ = ne_, lt_, le_, gt_, ge_
logical_and_, logical_or_ = inplace(OP["logical_and"]), inplace(OP["logical_or"])
logical_xor_ = inplace(OP["logical_xor"])
logical_not_ = _logical_not_ = inplace_unary(OP["logical_not"])
_bitwise_not_ = inplace_unary(OP["bitwise_not"])
bitwise_and_, bitwise_or_ = inplace(OP["bitwise_and"]), inplace(OP["bitwise_or"])
bitwise_xor_ = inplace(OP["bitwise_xor"])
bitwise_left_shift_, bitwise_right_shift_ = inplace(OP["bitwise_left_shift"]), inplace(OP["bitwise_right_shift"])
