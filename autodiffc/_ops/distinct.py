"""Distinct elements, counts and quantiles: one function each, with PyTorch's signature."""

import math

from .. import return_types
from .._core import OP, TensorBase, fail, wrap
from .._dtype import DTYPES
from .._native import lib
from . import _call, creation, index, reduce, shape
from . import sort as order
from ._call import binary, not_a_tensor, unary

_BOOL, _INT64, _FLOAT32, _FLOAT64 = DTYPES[0], DTYPES[5], DTYPES[8], DTYPES[9]


def _runs(t):
    """Where runs of equal rows start, and the run of each row."""
    h = lib.ad_op1i(OP["runs"], t._h, 0, 0, 0)
    if not h:
        fail()
    return wrap(h), wrap(lib.ad_take_result(1))


def _along(op, x, index, dim, n=0):
    """Reads x at index along dim (pick), or adds x into zeros of size n there (put)."""
    return wrap(lib.ad_op2x(OP[op], x._h, index._h, dim, n, 0, 0.0))


def _rows(t, index):
    """The rows of t that index names."""
    k = lib.ad_numel(index._h)
    wide = shape.reshape(index, [k] + [1] * (t.ndim - 1))
    return _along("pick", t, _call.listed(OP["expand"], wide, [k, *t.shape[1:]]), 0)


def _results(values, inverse, counts, return_inverse, return_counts):
    if not (return_inverse or return_counts):
        return values
    return (values, *([inverse] if return_inverse else []), *([counts] if return_counts else []))


def _grouped(rows, by, return_inverse, return_counts, inverse_shape):
    """The first row of each run; `by` is where each row came from when they have been sorted."""
    starts, run = _runs(rows)
    n = rows.shape[0]
    values, inverse, counts = _rows(rows, starts), None, None
    if return_inverse:
        inverse = shape.reshape(run if by is None else _along("put", run, by, 0, n), inverse_shape)
    if return_counts:
        ends = shape.cat([shape.slice_(starts, 0, 1, starts.shape[0]), _full(n, (min(n, 1),))])
        counts = binary(OP["sub"], ends, starts)
    return values, inverse, counts


def _full(value, sizes):
    return _call.apply(OP["full"], (), (_INT64.code, value), (0.0,), sizes)


def _sorted_rows(rows):
    """Rows in lexicographic order, and where each came from: stable sorts from the last column to the first."""
    n = rows.shape[0]
    flat = shape.reshape(rows, (n, -1))
    by = creation.arange(n)
    for k in range(flat.shape[1] - 1, -1, -1):
        column = shape.select(flat, 1, k)
        by = _along("pick", by, order.argsort(_along("pick", column, by, 0), 0, stable=True), 0)
    return _rows(rows, by), by


def _unique_integers(x, return_inverse, return_counts):
    """unique() of integers from a range not much longer than their number, by counting; None for others."""
    n = x.numel()
    if x.dtype.is_floating_point or x.dtype is _BOOL or n < 64:
        return None
    low, high = reduce.amin(x).item(), reduce.amax(x).item()
    if high - low > 2 * n:
        return None
    place = binary(OP["sub"], _call.ints(OP["to"], shape.reshape(x, (-1,)), _INT64.code), low)
    counts = _counted(place, high - low + 1)
    found = shape.reshape(index.nonzero(counts), (-1,))
    values = _call.ints(OP["to"], binary(OP["add"], found, low), x.dtype.code)
    inverse = None
    if return_inverse:
        rank = binary(OP["sub"], reduce.cumsum(binary(OP["gt"], counts, 0), 0), 1)
        inverse = shape.reshape(_along("pick", rank, place, 0), x.shape)
    return values, inverse, _along("pick", counts, found, 0) if return_counts else None


def unique(input, sorted=True, return_inverse=False, return_counts=False, dim=None):
    """The distinct elements in rising order (or distinct slices of dim); with return_inverse also where each element
    of input is among them, with return_counts how often each occurs. Not differentiable."""
    if not isinstance(input, TensorBase):
        raise not_a_tensor("unique", input)
    x = input.detach()
    if dim is None:
        found = _unique_integers(x, return_inverse, return_counts)
        if found is None:
            values, by = order.sort(shape.reshape(x, (-1,)), 0, stable=True)
            found = _grouped(values, by, return_inverse, return_counts, x.shape)
    else:
        x = shape.movedim(x, dim, 0)
        if not x.numel() and 0 in x.shape[1:] and x.shape[0]:
            raise RuntimeError("There are 0 sized dimensions, and they aren't selected, so unique cannot be applied")
        values, by = _sorted_rows(x) if x.numel() else (x, None)
        values, inverse, counts = _grouped(shape.contiguous(values), by, return_inverse, return_counts, (x.shape[0],))
        found = shape.movedim(values, 0, dim), inverse, counts
    return _results(*found, return_inverse, return_counts)


def unique_consecutive(input, return_inverse=False, return_counts=False, dim=None):
    """The elements (or slices of dim) with repeats that follow each other left out; inverse and counts as unique()."""
    if not isinstance(input, TensorBase):
        raise not_a_tensor("unique_consecutive", input)
    x = input.detach()
    if dim is None and not (return_inverse or return_counts) and x.numel() > 1:
        flat = shape.reshape(x, (-1,))
        rest = shape.narrow(flat, 0, 1, x.numel() - 1)
        starts = binary(OP["ne"], rest, shape.narrow(flat, 0, 0, x.numel() - 1))
        found = shape.cat([shape.narrow(flat, 0, 0, 1), index.masked_select(rest, starts)]), None, None
    elif dim is None:
        found = _grouped(shape.reshape(x, (-1,)), None, return_inverse, return_counts, x.shape)
    else:
        x = shape.contiguous(shape.movedim(x, dim, 0))
        values, inverse, counts = _grouped(x, None, return_inverse, return_counts, (x.shape[0],))
        found = shape.movedim(values, 0, dim), inverse, counts
    return _results(*found, return_inverse, return_counts)


def _counted(x, bins, low=0.0, high=0.0):
    """How many elements are in each bin: integers by value, floats by equal parts of low to high."""
    return _call.apply(OP["histogram"], (x,), (bins,), (low, high))


def bincount(input, weights=None, minlength=0):
    """How often each integer 0, 1, 2, ... occurs, or the sum of its weights. RuntimeError for negative integers."""
    if not isinstance(input, TensorBase):
        raise not_a_tensor("bincount", input)
    if input.dtype.is_floating_point:
        raise NotImplementedError(f'"bincount_cpu" not implemented for \'{reduce._class_name(input)}\'')
    if minlength < 0:
        raise RuntimeError("minlength should be >= 0")
    x = input if input.dtype is _INT64 else _call.ints(OP["to"], input, _INT64.code)
    if input.ndim != 1 or (lib.ad_numel(x._h) and reduce.amin(x).item() < 0):
        raise RuntimeError("bincount only supports 1-d non-negative integral inputs.")
    if weights is not None and weights.shape != input.shape:
        raise RuntimeError("weights should be 1-d and have the same length as input")
    n = max(minlength, reduce.amax(x).item() + 1 if lib.ad_numel(x._h) else 0)
    if weights is None:
        return _counted(x, n)
    if weights.dtype is not _FLOAT32:
        weights = _call.ints(OP["to"], weights, _FLOAT64.code)
    return _along("put", weights.detach(), x, 0, n)


def _bounds(name, x, low, high, margin):
    low, high = float(low), float(high)
    if low == high and x.numel():
        low, high = float(reduce.amin(x).item()), float(reduce.amax(x).item())
    if not (math.isfinite(low) and math.isfinite(high)):
        raise RuntimeError(f"torch.{name}: range of [{low:g}, {high:g}] is not finite")
    if low == high:
        low, high = low - margin, high + margin
    if low > high:
        raise RuntimeError(f"torch.{name}: max must be larger than min")
    return low, high


def _check_bins(name, input, bins):
    if not isinstance(input, TensorBase):
        raise not_a_tensor(name, input)
    if not input.dtype.is_floating_point:
        raise NotImplementedError(f'"histogram_cpu" not implemented for \'{reduce._class_name(input)}\'')
    if not isinstance(bins, TensorBase) and bins <= 0:
        raise RuntimeError(f"torch.{name}(): bins must be > 0, but got {bins} for dimension 0")


def _tally(x, slot, bins, weight=None):
    """Adds 1 (or weight) at each slot from 0 to bins - 1; other slots count for nothing."""
    inside = binary(OP["logical_and"], binary(OP["ge"], slot, 0), binary(OP["lt"], slot, bins))
    slot = _call.apply(OP["where"], (inside, slot, binary(OP["mul"], slot, 0)))
    one = _call.ints(OP["to"], inside, lib.ad_dtype_of(x._h))
    return _along("put", one if weight is None else binary(OP["mul"], one, weight), slot, 0, bins)


def _uniform_slots(x, bins, low, high):
    slot = unary(OP["floor"], binary(OP["mul"], binary(OP["div"], binary(OP["sub"], x, low), high - low), bins))
    slot = binary(OP["sub"], slot, _call.ints(OP["to"], binary(OP["eq"], x, high), _INT64.code))
    slot = binary(OP["replace_nan"], slot, -1)
    return _call.ints(OP["to"], slot, _INT64.code)


def histc(input, bins=100, min=0, max=0, *, out=None):
    """How many elements lie in each of `bins` equal parts of min to max (of the elements' own range when both are
    equal); the last part has its upper edge."""
    _check_bins("histc", input, bins)
    x = shape.reshape(input.detach(), (-1,))
    low, high = _bounds("histc", x, min, max, 1)
    return reduce._finish(_counted(x, bins, low, high), out)


def histogram(input, bins, *, range=None, weight=None, density=False, out=None):
    """(hist, bin_edges): counts (or sums of weight) between edges; bins is their number over range, or the edges.
    density divides by the total and by the widths."""
    _check_bins("histogram", input, bins)
    x = shape.reshape(input.detach(), (-1,))
    if weight is not None:
        if weight.shape != input.shape:
            raise RuntimeError("torch.histogram(): if weight tensor is provided it should have the same shape as input")
        weight = shape.reshape(weight.detach(), (-1,))
    if isinstance(bins, TensorBase):
        if bins.dtype is not input.dtype:
            raise RuntimeError("torch.histogram(): bins tensor should have the same dtype as input")
        edges, n = shape.clone(bins), bins.numel() - 1
        slot = binary(OP["sub"], order.searchsorted(edges, x, right=True), 1)
        last = binary(OP["eq"], x, shape.select(edges, 0, -1))
        slot = binary(OP["sub"], slot, _call.ints(OP["to"], last, _INT64.code))
    else:
        low, high = _bounds("histogram", x, *(range or (0, 0)), 0.5)
        edges, n = creation.linspace(low, high, bins + 1, dtype=input.dtype), bins
        slot = _uniform_slots(x, bins, low, high)
    hist = _tally(x, slot, n, weight)
    if density:
        hist = hist / (hist.sum() * reduce.diff(edges))
    if out is not None:
        hist, edges = _call.to_outs("histogram", (hist, edges), out)
    return return_types.histogram((hist, edges))


# ---- quantiles ----


def _quantile(name, input, q, dim, keepdim, interpolation, ignore_nan, out):
    if not isinstance(input, TensorBase):
        raise not_a_tensor(name, input)
    if not input.dtype.is_floating_point or input.dtype.itemsize < 4:
        raise RuntimeError(f"{name}() input tensor must be either float or double dtype")
    if not input.numel():
        raise RuntimeError(f"{name}() input tensor must be non-empty")
    if interpolation not in ("linear", "lower", "higher", "midpoint", "nearest"):
        raise RuntimeError(f"{name}() interpolation must be one of linear, lower, higher, midpoint or nearest, but got "
                           f"{interpolation}")
    many = False
    if isinstance(q, TensorBase):
        if q.ndim > 1:
            raise RuntimeError(f"{name}() q must be a scalar or 1D tensor")
        if q.dtype is not input.dtype:
            raise RuntimeError(f"{name}() q tensor must be same dtype as the input tensor")
        many = q.ndim == 1
        if q.numel() and not bool(binary(OP["logical_and"], binary(OP["ge"], q, 0), binary(OP["le"], q, 1)).all()):
            raise RuntimeError(f"{name}() q values must be in the range [0, 1]")
    else:
        if not 0 <= q <= 1:
            raise RuntimeError(f"{name}() q must be in the range [0, 1] but got {q}")
        q = creation.scalar_tensor(q, dtype=input.dtype)
    q = shape.reshape(q.detach(), (-1,))
    x, kept = (shape.reshape(input, (-1,)), [1] * input.ndim) if dim is None else (input, list(input.shape))
    d = 0 if dim is None else shape.wrapped_dim(dim, input.ndim)
    x = shape.reshape(x, (1,)) if not x.ndim else shape.movedim(x, d, -1)
    if dim is not None and kept:
        kept[d] = 1
    n, lead = x.shape[-1], list(x.shape[:-1])
    x = order.sort(x, -1)[0]
    bad = binary(OP["ne"], x, x).detach()
    if ignore_nan:
        top = binary(OP["sub"], reduce.sum(unary(OP["logical_not"], bad), -1, True), 1)
        rank = binary(OP["mul"], q, binary(OP["clamp_min"], top, 0))
    else:
        rank = _call.listed(OP["expand"], binary(OP["mul"], q, n - 1), [*lead, q.shape[0]])
        some = reduce.any(bad, -1, True)
        rank = _call.apply(OP["where"], (some, creation.full_like(rank, n - 1), rank))
    rank = _call.ints(OP["to"], rank, lib.ad_dtype_of(input._h))
    low, high = unary(OP["floor"], rank), unary(OP["ceil"], rank)
    if interpolation == "nearest":
        low = unary(OP["round"], rank)
    elif interpolation == "higher":
        low = high
    value = _along("pick", x, _call.ints(OP["to"], low, _INT64.code), -1)
    if interpolation in ("linear", "midpoint"):
        share = binary(OP["sub"], rank, low) if interpolation == "linear" else creation.full_like(rank, 0.5)
        upper = _along("pick", x, _call.ints(OP["to"], high, _INT64.code), -1)
        value = _call.apply(OP["lerp"], (value, upper, share))
    value = shape.movedim(value, -1, 0)
    if not many:
        value = shape.select(value, 0, 0)
    if keepdim:
        value = shape.reshape(value, [*([q.shape[0]] if many else []), *kept])
    return reduce._finish(value, out)


def quantile(input, q, dim=None, keepdim=False, *, interpolation="linear", out=None, axis=None, keepdims=None):
    """The q-th quantiles of all elements, or along dim; q is a number or a 1-D tensor, whose dimension comes first.
    NaN if any element is."""
    if axis is not None:
        dim = axis
    if keepdims is not None:
        keepdim = keepdims
    return _quantile("quantile", input, q, dim, keepdim, interpolation, False, out)


def nanquantile(input, q, dim=None, keepdim=False, *, interpolation="linear", out=None, axis=None, keepdims=None):
    """quantile() of the elements that are not NaN."""
    if axis is not None:
        dim = axis
    if keepdims is not None:
        keepdim = keepdims
    return _quantile("nanquantile", input, q, dim, keepdim, interpolation, True, out)
