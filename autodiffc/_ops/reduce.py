"""Reductions and scans: one function each, with PyTorch's signature.

dim may be None (all dimensions), an int, or a tuple; keepdim leaves reduced dimensions in place with size 1. A
dimension that does not exist raises IndexError.
"""

from .. import return_types
from .._core import OP, TensorBase, fail, wrap, wrap_results
from .._dtype import DTYPES
from .._dtype import dtype as _dtype_class
from .._native import lib
from . import _call, shape
from ._call import binary, not_a_tensor, to_out, to_outs, unary

_op1l, _op1i = lib.ad_op1l, lib.ad_op1i
_SUM, _MEAN, _PROD, _NANSUM = OP["sum"], OP["mean"], OP["prod"], OP["nansum"]
_AMAX, _AMIN, _ANY, _ALL, _COUNT = OP["amax"], OP["amin"], OP["any"], OP["all"], OP["count_nonzero"]
_LOGSUMEXP, _NORM, _VAR, _STD = OP["logsumexp"], OP["norm"], OP["var"], OP["std"]
_MAX_DIM, _MIN_DIM, _ARGMAX, _ARGMIN = OP["max_dim"], OP["min_dim"], OP["argmax"], OP["argmin"]
_EQ = OP["eq"]


def dims_of(dim):
    """The list of dimensions that `dim` names: () for all."""
    if dim is None:
        return ()
    return dim if isinstance(dim, (tuple, list)) else (dim,)


def reduce(op, input, dim, keepdim, dtype=None, out=None):
    """One reduction: the common part of the functions below."""
    if not isinstance(input, TensorBase):
        raise not_a_tensor(op, input)
    if dim is None:
        h = _op1i(op, input._h, keepdim, -1 if dtype is None else dtype.code, 0)
    else:
        dims = dim if isinstance(dim, (tuple, list)) else (dim,)
        h = _op1l(op, input._h, dims, len(dims), keepdim, -1 if dtype is None else dtype.code)
    return wrap(h) if out is None else to_out(h, out)


def _axis(dim, axis):
    return dim if axis is None else axis


def sum(input, dim=None, keepdim=False, *, dtype=None, out=None, axis=None, keepdims=None):
    """The sum of all elements, or over dim. Integers and bools sum to int64 unless dtype is given."""
    if keepdims is not None:
        keepdim = keepdims
    return reduce(_SUM, input, dim if axis is None else axis, keepdim, dtype, out)


def nansum(input, dim=None, keepdim=False, *, dtype=None, out=None, axis=None, keepdims=None):
    """The sum with NaN taken as 0."""
    if axis is not None:
        dim = axis
    if keepdims is not None:
        keepdim = keepdims
    return reduce(_NANSUM, input, dim, keepdim, dtype, out)


def mean(input, dim=None, keepdim=False, *, dtype=None, out=None, axis=None, keepdims=None):
    """The mean of all elements, or over dim; NaN of no elements. RuntimeError for integers without dtype."""
    if keepdims is not None:
        keepdim = keepdims
    return reduce(_MEAN, input, dim if axis is None else axis, keepdim, dtype, out)


def nanmean(input, dim=None, keepdim=False, *, dtype=None, out=None, axis=None, keepdims=None):
    """The mean of the elements that are not NaN."""
    if axis is not None:
        dim = axis
    if keepdims is not None:
        keepdim = keepdims
    if not isinstance(input, TensorBase):
        raise not_a_tensor("nanmean", input)
    if not input.dtype.is_floating_point:
        raise RuntimeError("nanmean(): expected input to have floating point or complex dtype but got "
                           f"{_class_name(input)}")
    count = reduce(_SUM, binary(_EQ, input, input), dim, keepdim)
    return _finish(binary(OP["div"], reduce(_NANSUM, input, dim, keepdim, dtype), count), out)


_CLASSES = ("Bool", "Byte", "Char", "Short", "Int", "Long", "Half", "BFloat16", "Float", "Double")


def _class_name(t):
    return _CLASSES[lib.ad_dtype_of(t._h)]


def _finish(t, out):
    """t, or `out` with its values."""
    if out is None:
        return t
    lib.ad_retain(t._h)
    return to_out(t._h, out)


def prod(input, dim=None, keepdim=False, *, dtype=None, out=None, axis=None, keepdims=None):
    """The product of all elements, or over one dim. Integers and bools give int64 unless dtype is given. The
    gradient is right with zeros among the elements."""
    if axis is not None:
        dim = axis
    if keepdims is not None:
        keepdim = keepdims
    if isinstance(dim, (tuple, list)):
        raise TypeError(f"prod(): argument 'dim' must be int, not {type(dim).__name__}")
    if dtype is not None and isinstance(input, TensorBase) and dtype is not input.dtype and dtype.is_floating_point:
        input = _call.ints(OP["to"], input, dtype.code)
    return reduce(_PROD, input, dim, keepdim, dtype, out)


def _correction(unbiased, correction):
    if unbiased is not None:
        return float(unbiased)
    return 1.0 if correction is None else float(correction)


def _spread(op, input, dim, unbiased, correction, keepdim, out):
    if not isinstance(input, TensorBase):
        raise not_a_tensor(op, input)
    if isinstance(dim, bool):
        dim, unbiased = None, dim
    dims = dims_of(dim)
    h = lib.ad_opn(op, (input._h,), 1, (keepdim, -1), 2, (_correction(unbiased, correction),), 1, dims, len(dims))
    if not h:
        fail()
    return wrap(h) if out is None else to_out(h, out)


def var(input, dim=None, unbiased=None, keepdim=False, *, correction=None, out=None, axis=None, keepdims=None):
    """The variance: squared distance from the mean, summed and divided by the count less `correction` (1 unless
    unbiased=False). RuntimeError for integers."""
    if keepdims is not None:
        keepdim = keepdims
    return _spread(_VAR, input, _axis(dim, axis), unbiased, correction, keepdim, out)


def std(input, dim=None, unbiased=None, keepdim=False, *, correction=None, out=None, axis=None, keepdims=None):
    """The standard deviation: the root of var(). Its gradient where it is 0 is taken as 0."""
    if keepdims is not None:
        keepdim = keepdims
    return _spread(_STD, input, _axis(dim, axis), unbiased, correction, keepdim, out)


def var_mean(input, dim=None, unbiased=None, keepdim=False, *, correction=None, axis=None, keepdims=None):
    """(var, mean)."""
    if axis is not None:
        dim = axis
    if keepdims is not None:
        keepdim = keepdims
    if isinstance(dim, bool):
        dim, unbiased = None, dim
    return _spread(_VAR, input, dim, unbiased, correction, keepdim, None), reduce(_MEAN, input, dim, keepdim)


def std_mean(input, dim=None, unbiased=None, keepdim=False, *, correction=None, axis=None, keepdims=None):
    """(std, mean)."""
    if axis is not None:
        dim = axis
    if keepdims is not None:
        keepdim = keepdims
    if isinstance(dim, bool):
        dim, unbiased = None, dim
    return _spread(_STD, input, dim, unbiased, correction, keepdim, None), reduce(_MEAN, input, dim, keepdim)


def amax(input, dim=(), keepdim=False, *, out=None, axis=None, keepdims=None):
    """The largest element; NaN if any is. Equal ones share the gradient evenly."""
    if axis is not None:
        dim = axis
    if keepdims is not None:
        keepdim = keepdims
    return reduce(_AMAX, input, dim, keepdim, None, out)


def amin(input, dim=(), keepdim=False, *, out=None, axis=None, keepdims=None):
    """The smallest element; NaN if any is. Equal ones share the gradient evenly."""
    if axis is not None:
        dim = axis
    if keepdims is not None:
        keepdim = keepdims
    return reduce(_AMIN, input, dim, keepdim, None, out)


def aminmax(input, *, dim=None, keepdim=False, out=None):
    """(min, max), named."""
    low, high = reduce(_AMIN, input, dim, keepdim), reduce(_AMAX, input, dim, keepdim)
    if out is not None:
        for t in out if isinstance(out, (tuple, list)) else ():
            if isinstance(t, TensorBase) and t.dtype is not input.dtype:
                raise RuntimeError(f"Expected out tensor to have dtype {input.dtype}, but got {t.dtype} instead")
        low, high = to_outs("aminmax", (low, high), out)
    return return_types.aminmax((low, high))


def pair(kind, op, input, i0, i1=0, i2=0, out=None):
    """An operation with values and indices, as the named tuple `kind`."""
    if not isinstance(input, TensorBase):
        raise not_a_tensor(kind.__name__, input)
    h = _op1i(op, input._h, i0, i1, i2)
    if not h:
        fail()
    values, indices = wrap(h), wrap(lib.ad_take_result(1))
    if out is not None:
        if isinstance(out, (tuple, list)) and out and isinstance(out[0], TensorBase) \
                and lib.ad_storage_ptr(out[0]._h) == lib.ad_storage_ptr(input._h):
            raise RuntimeError(f"unsupported operation: {kind.__name__}() cannot write its result over its input")
        values, indices = to_outs(kind.__name__, (values, indices), out)
    return kind((values, indices))


def _extreme(name, full, op, elementwise, input, dim, keepdim, other, out):
    if not isinstance(input, TensorBase):
        raise not_a_tensor(name, input)
    if other is None and isinstance(dim, TensorBase):
        other, dim = dim, None
    if other is not None:
        return binary(OP[elementwise], input, other, out)
    if dim is None:
        t = reduce(full, input, None, False)
        return _finish(t, out)
    return pair(getattr(return_types, name), op, input, dim, keepdim, 0, out)


def max(input, dim=None, keepdim=False, *, other=None, out=None, axis=None, keepdims=None):
    """max(input): the largest element, whose gradient equal ones share. max(input, dim): (values, indices) of the
    first largest along dim, which takes the gradient. max(input, other): maximum()."""
    if axis is not None:
        dim = axis
    if keepdims is not None:
        keepdim = keepdims
    return _extreme("max", _AMAX, _MAX_DIM, "maximum", input, dim, keepdim, other, out)


def min(input, dim=None, keepdim=False, *, other=None, out=None, axis=None, keepdims=None):
    """As max(), for the smallest."""
    if axis is not None:
        dim = axis
    if keepdims is not None:
        keepdim = keepdims
    return _extreme("min", _AMIN, _MIN_DIM, "minimum", input, dim, keepdim, other, out)


def _arg(op, input, dim, keepdim, out):
    if not isinstance(input, TensorBase):
        raise not_a_tensor(op, input)
    if dim is None:
        input = input.contiguous()
    h = _op1i(op, input._h, 0 if dim is None else dim, keepdim, dim is not None)
    if not h:
        fail()
    return wrap(h) if out is None else to_out(h, out)


def argmax(input, dim=None, keepdim=False, *, out=None, axis=None, keepdims=None):
    """The position of the first largest element: along dim, or in flat order. NaN counts as largest."""
    if axis is not None:
        dim = axis
    if keepdims is not None:
        keepdim = keepdims
    return _arg(_ARGMAX, input, dim, keepdim, out)


def argmin(input, dim=None, keepdim=False, *, out=None, axis=None, keepdims=None):
    """The position of the first smallest element: along dim, or in flat order. NaN counts as smallest."""
    if axis is not None:
        dim = axis
    if keepdims is not None:
        keepdim = keepdims
    return _arg(_ARGMIN, input, dim, keepdim, out)


def logsumexp(input, dim=None, keepdim=False, *, out=None, axis=None, keepdims=None):
    """The logarithm of the sum of exponentials over dim, without overflow."""
    if dim is None:
        dim = _call.named_dim("logsumexp", axis)
    if keepdims is not None:
        keepdim = keepdims
    return reduce(_LOGSUMEXP, input, dim, keepdim, None, out)


def any(input, dim=None, keepdim=False, *, out=None, axis=None, keepdims=None):
    """Whether any element is not zero, as bool (uint8 stays uint8)."""
    if axis is not None:
        dim = axis
    if keepdims is not None:
        keepdim = keepdims
    return reduce(_ANY, input, dim, keepdim, None, out)


def all(input, dim=None, keepdim=False, *, out=None, axis=None, keepdims=None):
    """Whether no element is zero, as bool (uint8 stays uint8)."""
    if axis is not None:
        dim = axis
    if keepdims is not None:
        keepdim = keepdims
    return reduce(_ALL, input, dim, keepdim, None, out)


def count_nonzero(input, dim=None, *, axis=None):
    """How many elements are not zero, as int64."""
    if axis is not None:
        dim = axis
    return reduce(_COUNT, input, dim, False)


def vector_norm(x, ord=2, dim=None, keepdim=False, *, dtype=None, out=None):
    """(sum |x|^ord)^(1/ord) over dim; ord inf and -inf are the largest and smallest |x|, 0 counts nonzeros. The
    gradient at zero is taken as zero."""
    if not isinstance(x, TensorBase):
        raise not_a_tensor("linalg_vector_norm", x)
    dims = dims_of(dim)
    code = -1 if dtype is None else dtype.code
    h = lib.ad_opn(_NORM, (x._h,), 1, (keepdim, code), 2, (float(ord),), 1, dims, len(dims))
    if not h:
        fail()
    return wrap(h) if out is None else to_out(h, out)


def norm(input, p="fro", dim=None, keepdim=False, out=None, dtype=None):
    """The vector norm of order p over dim ("fro" and None: the 2-norm; "nuc": the sum of singular values)."""
    if p == "nuc":
        from ..linalg import matrix_norm

        return _finish(matrix_norm(input, "nuc", (-2, -1) if dim is None else dim, keepdim, dtype=dtype), out)
    if isinstance(p, str) and p != "fro":
        raise RuntimeError(f"norm(): only 'fro' and 'nuc' are known as strings, not {p!r}")
    return vector_norm(input, 2 if p is None or p == "fro" else p, dim, keepdim, dtype=dtype, out=out)


def dist(input, other, p=2):
    """The p-norm of input - other, broadcast."""
    return vector_norm(binary(OP["sub"], input, other), p)


# ---- scans ----


def _scan(op, input, dim, dtype, out):
    if not isinstance(input, TensorBase):
        raise not_a_tensor(op, input)
    h = _op1i(op, input._h, dim, -1 if dtype is None else dtype.code, 0)
    if not h:
        fail()
    return wrap(h) if out is None else to_out(h, out)


def cumsum(input, dim=None, *, dtype=None, out=None, axis=None):
    """Sums along dim up to and with each element. Integers give int64 unless dtype is given."""
    if dim is None:
        dim = _call.named_dim("cumsum", axis)
    return _scan(OP["cumsum"], input, dim, dtype, out)


def cumprod(input, dim=None, *, dtype=None, out=None, axis=None):
    """Products along dim up to and with each element; the gradient is right with zeros."""
    if dim is None:
        dim = _call.named_dim("cumprod", axis)
    return _scan(OP["cumprod"], input, dim, dtype, out)


def logcumsumexp(input, dim=None, *, out=None, axis=None):
    """The logarithm of the cumulative sum of exponentials along dim."""
    if dim is None:
        dim = _call.named_dim("logcumsumexp", axis)
    return _scan(OP["logcumsumexp"], input, dim, None, out)


def cummax(input, dim=None, *, out=None, axis=None):
    """(values, indices) of the largest so far along dim; of equal ones the latest."""
    if dim is None:
        dim = _call.named_dim("cummax", axis)
    return pair(return_types.cummax, OP["cummax"], input, dim, out=out)


def cummin(input, dim=None, *, out=None, axis=None):
    """(values, indices) of the smallest so far along dim; of equal ones the latest."""
    if dim is None:
        dim = _call.named_dim("cummin", axis)
    return pair(return_types.cummin, OP["cummin"], input, dim, out=out)


def _scan_(op, self, dim, dtype):
    if dtype is not None and dtype is not self.dtype:
        raise RuntimeError(f"Bad in-place call: input tensor dtype {self.dtype} and output tensor dtype {dtype} should "
                           "match")
    return _call.in_place(op, self, (), (dim, lib.ad_dtype_of(self._h), 0))


def cumsum_(self, dim, *, dtype=None):
    """cumsum() in place."""
    return _scan_(OP["cumsum"], self, dim, dtype)


def cumprod_(self, dim, *, dtype=None):
    """cumprod() in place."""
    return _scan_(OP["cumprod"], self, dim, dtype)


def diff(input, n=1, dim=-1, prepend=None, append=None, *, out=None, axis=None):
    """Differences of neighbours along dim, taken n times. RuntimeError for a negative n or a 0-d input."""
    if axis is not None:
        dim = axis
    if not isinstance(input, TensorBase):
        raise not_a_tensor("diff", input)
    if not lib.ad_ndim(input._h):
        raise RuntimeError("diff expects input to be at least one-dimensional")
    if n < 0:
        raise RuntimeError(f"order must be non-negative but got {n}")
    if n == 0:
        return _finish(shape.clone(input), out)
    parts = [t for t in (prepend, input, append) if t is not None]
    if len(parts) > 1:
        for t in (prepend, append):
            if t is not None and t.ndim != input.ndim:
                raise RuntimeError("diff expects prepend or append to be the same dimension as input")
        input = shape.cat(parts, dim)
    d = shape.wrapped_dim(dim, lib.ad_ndim(input._h))
    ahead = OP["logical_xor"] if input.dtype is DTYPES[0] else OP["sub"]
    n = n if n < input.shape[d] else input.shape[d]
    for _ in range(n):
        size = input.shape[d]
        input = binary(ahead, shape.slice_(input, d, 1, size), shape.slice_(input, d, 0, size - 1 if size else 0))
    return _finish(input if n else shape.clone(input), out)


def trapezoid(y, x=None, *, dx=None, dim=-1):
    """The integral along dim by the trapezoidal rule, with points x or a spacing dx (1)."""
    if not isinstance(y, TensorBase):
        raise not_a_tensor("trapezoid", y, "y")
    a, b = _steps("trapezoid", y, x, dx, dim)
    if not isinstance(b, TensorBase):
        return a.sum(dim) * (b / 2.0)
    return (a * b).sum(dim) / 2.0


def cumulative_trapezoid(y, x=None, *, dx=None, dim=-1):
    """The running integral along dim by the trapezoidal rule."""
    if not isinstance(y, TensorBase):
        raise not_a_tensor("cumulative_trapezoid", y, "y")
    a, b = _steps("cumulative_trapezoid", y, x, dx, dim)
    return cumsum(a * b, dim) / 2.0


def _steps(name, y, x, dx, dim):
    d = shape.wrapped_dim(dim, y.ndim)
    n = y.shape[d] if y.ndim else 0
    if n == 0:
        return shape.slice_(y, d, 0, 0), 1.0
    sums = shape.slice_(y, d, 1, n) + shape.slice_(y, d, 0, n - 1)
    if x is None:
        return sums, 1.0 if dx is None else dx
    if dx is not None:
        raise RuntimeError(f"{name}: either x or dx may be given, not both")
    if not isinstance(x, TensorBase):
        raise not_a_tensor(name, x, "x", 2)
    if x.ndim == 1 and y.ndim > 1 or x.ndim < y.ndim and x.ndim == 1:
        if x.shape[0] != n:
            raise RuntimeError("There must be one `x` value for each sample point")
        x = shape.reshape(x, [n if k == d else 1 for k in range(y.ndim)])
    k = d - y.ndim
    if -k > x.ndim:
        raise IndexError(f"Dimension out of range: {name} along dimension {dim} of x of size {tuple(x.shape)}")
    m = x.shape[k]
    return sums, shape.slice_(x, k, 1, m) - shape.slice_(x, k, 0, m - 1)


trapz = trapezoid


# ---- softmax ----


def _soft(op, input, dim, dtype, out=None):
    if not isinstance(input, TensorBase):
        raise not_a_tensor(op, input)
    if dtype is None:
        code = -1
    elif isinstance(dtype, _dtype_class):
        code = dtype.code
    else:
        raise TypeError(f"dtype must be a torch.dtype, not {type(dtype).__name__}")
    h = _op1i(op, input._h, dim, code, 0)
    return wrap(h) if out is None else to_out(h, out)


_SOFTMAX, _LOG_SOFTMAX = OP["softmax"], OP["log_softmax"]


def softmax(input, dim=None, dtype=None, *, out=None, axis=None):
    """exp(input) along dim, divided by its sum; computed in dtype when given."""
    if dim is None:
        dim = _call.named_dim("softmax", axis)
    return _soft(_SOFTMAX, input, dim, dtype, out)


def log_softmax(input, dim=None, dtype=None, *, out=None, axis=None):
    """The logarithm of softmax(), computed without overflow."""
    if dim is None:
        dim = _call.named_dim("log_softmax", axis)
    return _soft(_LOG_SOFTMAX, input, dim, dtype, out)


def softmin(input, dim, dtype=None):
    """softmax(-input)."""
    return _soft(_SOFTMAX, unary(OP["neg"], input), dim, dtype)


def implicit_dim(name, dim, ndim):
    """The dimension of F.softmax and its kin when none is given: deprecated, as in PyTorch."""
    if dim is not None:
        return dim
    import warnings

    warnings.warn(f"Implicit dimension choice for {name} has been deprecated. Change the call to include dim=X as an "
                  "argument.", stacklevel=3)
    return 0 if ndim in (0, 1, 3) else 1


def f_softmax(input, dim=None, _stacklevel=3, dtype=None):
    """nn.functional.softmax: softmax() along dim, computed in dtype when given."""
    return _soft(_SOFTMAX, input, dim if dim is not None else implicit_dim("softmax", dim, input.ndim), dtype)


def f_log_softmax(input, dim=None, _stacklevel=3, dtype=None):
    """nn.functional.log_softmax: log_softmax() along dim, computed in dtype when given."""
    return _soft(_LOG_SOFTMAX, input, dim if dim is not None else implicit_dim("log_softmax", dim, input.ndim), dtype)


def f_softmin(input, dim=None, _stacklevel=3, dtype=None):
    """nn.functional.softmin: softmax(-input) along dim."""
    return softmin(input, implicit_dim("softmin", dim, input.ndim), dtype)


def sum_to_size(self, *size):
    """The sum over what broadcasting to self's sizes would repeat, so that the result has the sizes."""
    size = list(_call.sizes(size))
    lead = self.ndim - len(size)
    if lead < 0 or [n for n, m in zip(size, self.shape[lead:]) if n != m and n != 1]:
        raise RuntimeError(f"size {{{size}}} is not expandable to size {{{list(self.shape)}}}.")
    if not size:
        return sum(self)
    dims = [d for d in range(self.ndim) if d < lead or (size[d - lead] == 1 and self.shape[d] != 1)]
    return shape.view(sum(self, dims, True), size) if dims else self


def frexp(input, *, out=None):
    """(mantissa, exponent): input = mantissa 2^exponent with 1/2 <= |mantissa| < 1; the exponents are int32."""
    results = wrap_results(lib.ad_op1i(OP["frexp"], _checked("frexp", input)._h, 0, 0, 0))
    return return_types.frexp(results if out is None else to_outs("frexp", results, out))


def _checked(name, input):
    if not isinstance(input, TensorBase):
        raise not_a_tensor(name, input)
    return input
