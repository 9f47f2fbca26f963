"""Ways to call an operation of the core; the functions of this package are written with these."""

import numpy as np

from .._core import OP, TensorBase, apply, binary, fail, ints, listed, unary, wrap
from .._native import ffi, lib
from ..interop import operand

_op1, _op2, _op3 = lib.ad_op1, lib.ad_op2, lib.ad_op3
_op1i, _op1l = lib.ad_op1i, lib.ad_op1l
_op2f, _op2i, _op2b = lib.ad_op2f, lib.ad_op2i, lib.ad_op2b


def unary_form(op, a, out=None):
    """What unary() does when there is an `out`, or `a` is no Tensor."""
    try:
        h = _op1(op, a._h)
    except AttributeError:
        raise not_a_tensor(op, a) from None
    return wrap(h) if out is None else to_out(h, out)


def binary_form(op, a, b, out=None):
    """What binary() does when there is an `out`, or one of the operands is a Python or NumPy number."""
    if isinstance(b, TensorBase):
        h = _op2(op, a._h, b._h) if isinstance(a, TensorBase) else with_number(op, b, a, 1)
    elif isinstance(a, TensorBase):
        h = with_number(op, a, b, 0)
    else:
        raise TypeError(f"{op_name(op)}(): argument 'input' (position 1) must be Tensor, not {type(a).__name__}")
    return wrap(h) if out is None else to_out(h, out)


def with_number(op, a, s, reversed):
    """The handle of op(a, s), or of op(s, a) when reversed, for a number s."""
    kind = type(s)
    if kind is float:
        return _op2f(op, a._h, s, reversed)
    if kind is int:
        return _op2i(op, a._h, checked_int(s), reversed)
    if kind is bool:
        return _op2b(op, a._h, s, reversed)
    return with_number(op, a, number(s, op), reversed)


def checked_int(s):
    """An int that int64 holds; up to 2^64 it wraps, as PyTorch's uint64 numbers do. OverflowError beyond."""
    if -(1 << 63) <= s < 1 << 63:
        return s
    if 0 < s < 1 << 64:
        return s - (1 << 64)
    raise OverflowError("int too big to convert")


def number(s, op, argument="other", position=2):
    """A Python number from a NumPy scalar, a 0-d tensor outside any graph, or an object with __index__ or __float__;
    TypeError otherwise."""
    kind = type(s)
    if kind is float or kind is int or kind is bool:
        return s
    if isinstance(s, TensorBase) and s.ndim == 0 and not s.requires_grad:
        return s.item()
    item = getattr(s, "item", None)
    if item is not None and getattr(s, "ndim", None) == 0 and not isinstance(s, TensorBase):
        s = item()
        if isinstance(s, (float, int)):
            return s
    elif isinstance(s, (float, int)):
        return float(s) if isinstance(s, float) else int(s)
    elif hasattr(s, "__index__") and not isinstance(s, TensorBase):
        return s.__index__()
    elif hasattr(s, "__float__") and not hasattr(s, "__len__"):
        return float(s)
    name = op if isinstance(op, str) else op_name(op)
    raise TypeError(f"{name}(): argument '{argument}' (position {position}) must be Tensor or a number, not "
                    f"{type(s).__name__}")


_KIND = {float: 0, int: 1, bool: 2}
_EXACT = 1 << 53


def number_tensor(s):
    """A 0-d Tensor that promotes like the number s."""
    kind = _KIND[type(s)]
    return wrap(lib.ad_number(kind, s if kind == 0 else 0.0, 0 if kind == 0 else checked_int(s)))


def ternary(op, a, b, c, out=None, inplace=0):
    """op(a, b, c) where b and c may be numbers, and a too when another one is a tensor; in place, a is written."""
    tb, tc = isinstance(b, TensorBase), isinstance(c, TensorBase)
    if not isinstance(a, TensorBase):
        if not (tb or tc) or inplace:
            raise not_a_tensor(op, a)
        a = number_tensor(number(a, op, "input", 1))
    b = b if tb else number(b, op)
    c = c if tc else number(c, op, "other", 3)
    if not tb and (tc or not -_EXACT <= b <= _EXACT):
        b, tb = number_tensor(b), True
    if not tc and not -_EXACT <= c <= _EXACT:
        c, tc = number_tensor(c), True
    if tb and tc:
        h = (lib.ad_op3_ if inplace else lib.ad_op3)(op, a._h, b._h, c._h)
    elif tb:
        h = lib.ad_op3n(op, a._h, b._h, c, _KIND[type(c)], inplace)
    else:
        h = lib.ad_op3nn(op, a._h, b, _KIND[type(b)], c, _KIND[type(c)], inplace)
    if not h:
        fail()
    if inplace:
        lib.ad_release(h)
        return a
    if out is not None:
        return to_out(h, out)
    return wrap(h)


def tensors_only(op, a, b, out=None):
    """op(a, b) where PyTorch takes no numbers."""
    if not isinstance(a, TensorBase):
        raise not_a_tensor(op, a)
    if not isinstance(b, TensorBase):
        raise not_a_tensor(op, b, "other", 2)
    return binary(op, a, b, out)


def operate(op, self, other, reversed):
    """self OP other, or other OP self when reversed, for what the core's own operators leave over: NotImplemented
    for what is neither a tensor nor a number."""
    if isinstance(other, np.ndarray) and other.ndim:
        other = operand(other, self)
        return binary(op, other, self) if reversed else binary(op, self, other)
    try:
        other = number(other, op)
    except TypeError:
        return NotImplemented
    return wrap(with_number(op, self, other, reversed))


def inplace(op):
    """The in-place method of a binary operation."""

    def method(self, other):
        if isinstance(other, TensorBase):
            try:
                h = lib.ad_op2_(op, self._h, other._h)
            except AttributeError:
                raise not_a_tensor(op, self) from None
        else:
            if isinstance(other, np.ndarray) and other.ndim:
                return method(self, operand(other, self))
            if not isinstance(self, TensorBase):
                raise not_a_tensor(op, self)
            s = number(other, op)
            kind = type(s)
            if kind is float:
                h = lib.ad_op2f_(op, self._h, s)
            else:
                h = lib.ad_op2b_(op, self._h, s) if kind is bool else lib.ad_op2i_(op, self._h, checked_int(s))
        if not h:
            fail()
        lib.ad_release(h)
        return self

    return method


def inplace_operator(op):
    """The method of an augmented assignment: NotImplemented for what is neither a tensor nor a number."""
    write = inplace(op)

    def method(self, other):
        if not isinstance(other, (TensorBase, float, int, np.ndarray)):
            try:
                other = number(other, op)
            except TypeError:
                return NotImplemented
        return write(self, other)

    return method


def inplace_unary(op):
    """The in-place method of a unary operation."""

    def method(self):
        try:
            h = lib.ad_op1_(op, self._h)
        except AttributeError:
            raise not_a_tensor(op, self) from None
        if not h:
            fail()
        lib.ad_release(h)
        return self

    return method


def apply_form(op, tensors, ints=(), floats=(), dims=()):
    """What apply() does with many tensors, and with attributes that are no plain numbers."""
    try:
        handles = [t._h if t is not None else 0 for t in tensors]
    except AttributeError:
        raise _first_wrong(op, tensors) from None
    return wrap(lib.ad_opn(op, handles, len(handles), ints, len(ints), floats, len(floats), dims, len(dims)))


def _first_wrong(op, tensors):
    """The TypeError for the first of the operands that is no tensor."""
    for k, t in enumerate(tensors):
        if t is not None and not isinstance(t, TensorBase):
            return not_a_tensor(op, t, "input" if k == 0 else "other", k + 1)
    return AttributeError("a tensor without memory: its class's __new__ made none")


def not_a_tensor(op, a, argument="input", position=1):
    """The TypeError for what stands where a tensor is due."""
    name = op if isinstance(op, str) else op_name(op)
    return TypeError(f"{name}(): argument '{argument}' (position {position}) must be Tensor, not {type(a).__name__}")


def ints_form(op, a, i0=0, i1=0, i2=0):
    """What ints() does with attributes that are no plain integers."""
    if not isinstance(a, TensorBase):
        raise not_a_tensor(op, a)
    h = _op1i(op, a._h, i0, i1, i2)
    return wrap(h)


def listed_form(op, a, dims, i0=0, i1=0):
    """What listed() does with a long list, and with attributes that are no plain integers."""
    if not isinstance(a, TensorBase):
        raise not_a_tensor(op, a)
    h = _op1l(op, a._h, dims, len(dims), i0, i1)
    return wrap(h)


def in_place(op, a, tensors=(), ints=(), floats=(), dims=()):
    """Any operation written into `a`, which is returned."""
    try:
        handles = [a._h, *[t._h for t in tensors]]
    except AttributeError:
        raise _first_wrong(op, [a, *tensors]) from None
    h = lib.ad_opn_(op, handles, len(handles), ints, len(ints), floats, len(floats), dims, len(dims))
    if not h:
        fail()
    lib.ad_release(h)
    return a


def named_dim(name, axis):
    """The dimension that was given under NumPy's name for it, which PyTorch takes too; TypeError when none was."""
    if axis is None:
        raise TypeError(f'{name}() missing 1 required positional arguments: "dim"')
    return axis


def sizes(args):
    """The sizes in *args: several integers, or one tuple, list or Size of them. TypeError for anything else."""
    if len(args) == 1 and not hasattr(args[0], "__index__"):
        args = args[0]
    elif len(args) == 1 and isinstance(args[0], TensorBase) and args[0].ndim:
        args = None
    if not isinstance(args, (tuple, list)):
        raise TypeError(f"sizes or dimensions must be integers or a tuple of them, not {type(args).__name__}")
    for n in args:
        if type(n) is not int:
            return [integer(m) for m in args]
    return args


def integer(n):
    """A Python int of an integer of any kind; TypeError for anything else."""
    if not hasattr(n, "__index__") or (isinstance(n, TensorBase) and (n.numel() != 1 or n.dtype.is_floating_point)):
        raise TypeError(f"sizes and dimensions must be integers, not {type(n).__name__}")
    return n.__index__()


def ints_each(name, argument, value, n, position, wrong_number):
    """n ints of an integer, or of a tuple or list of one or n. TypeError for other kinds; RuntimeError for another
    number of them, with a text in which {0} stands for what was given."""
    if type(value) is int:
        return (value,) * n
    where = f"{name}(): argument '{argument}'" + ("" if position is None else f" (position {position})")
    if not isinstance(value, (tuple, list)):
        if not hasattr(value, "__index__") or isinstance(value, bool):
            raise TypeError(f"{where} must be tuple of ints, not {type(value).__name__}")
        return (value.__index__(),) * n
    for k, x in enumerate(value):
        if type(x) is not int and not hasattr(x, "__index__"):
            raise TypeError(f"{where} must be tuple of ints, but found element of type {type(x).__name__} at pos "
                            f"{k + 1}")
    values = tuple(x.__index__() for x in value)
    if len(values) == n:
        return values
    if len(values) == 1:
        return values * n
    raise RuntimeError(wrong_number.format(", ".join(map(str, values))))


def to_out(h, out):
    """Copies a result into `out`, which takes its size, and drops the result; raises the core's error when there is
    none."""
    if not h:
        fail()
    try:
        r = lib.ad_copy_out(h, out._h)
    except AttributeError:
        raise TypeError(f"argument 'out' must be Tensor, not {type(out).__name__}") from None
    finally:
        lib.ad_release(h)
    if not r:
        fail()
    lib.ad_release(r)
    return out


def copied(y, out):
    """`out`, which takes the size and values of y."""
    lib.ad_retain(y._h)
    return to_out(y._h, out)


def to_outs(name, results, outs):
    """Copies several results into the tensors given as out=: into all of them or, after an error, into none."""
    if not isinstance(outs, (tuple, list)) or len(outs) != len(results):
        found = type(outs).__name__
        raise TypeError(f"{name}(): argument 'out' must be a tuple of {len(results)} Tensors, not {found}")
    for out in outs:
        if not isinstance(out, TensorBase):
            raise TypeError(f"{name}(): argument 'out' must be a tuple of Tensors, but one is {type(out).__name__}")
    for r, out in zip(results, outs):
        if lib.ad_fits_out(r._h, out._h) < 0:
            fail()
    for r, out in zip(results, outs):
        h = lib.ad_copy_out(r._h, out._h)
        if not h:
            fail()
        lib.ad_release(h)
    return tuple(outs)


def op_name(op):
    return ffi.string(lib.ad_op_name(op)).decode()


__all__ = ["OP", "TensorBase", "apply", "binary", "fail", "in_place", "inplace", "inplace_operator", "inplace_unary",
           "ints", "ints_each", "lib", "listed", "named_dim", "not_a_tensor", "number", "number_tensor", "op_name",
           "operate", "sizes", "tensors_only", "ternary", "to_out", "to_outs", "unary", "wrap"]
