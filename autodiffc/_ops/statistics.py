"""Covariances, numerical gradients, membership, histograms of many dimensions."""

import math
import warnings

from .._core import OP, TensorBase
from .._dtype import DTYPES, bool_, float32, int64
from .._native import lib
from . import _call, arithmetic, compare, creation, distinct, linalg, reduce, shape
from . import sort as order
from ._call import binary, not_a_tensor, number, unary


def _cast(t, dtype):
    return t if t.dtype is dtype else _call.ints(OP["to"], t, dtype.code)


# ---- covariance ----


def _weights(name, t, observations, integral):
    if not isinstance(t, TensorBase):
        raise not_a_tensor("cov", t, name, 3)
    if t.ndim > 1:
        raise RuntimeError(f"cov(): expected {name} to have one or fewer dimensions but got {name} with {t.ndim} "
                           "dimensions")
    if integral and (t.dtype.is_floating_point or t.dtype is bool_):
        raise RuntimeError(f"cov(): expected {name} to have integral dtype but got {name} with {t.dtype} dtype")
    if not integral and not t.dtype.is_floating_point:
        raise RuntimeError(f"cov(): expected {name} to have floating point dtype but got {name} with {t.dtype} dtype")
    if t.numel() != observations:
        raise RuntimeError(f"cov(): expected {name} to have the same numel as there are observations in the input but "
                           f"got {t.numel()} != {observations}")
    if observations and reduce.amin(t).item() < 0:
        raise RuntimeError(f"cov(): {name} cannot be negative")
    return t


def cov(input, *, correction=1, fweights=None, aweights=None):
    """The covariance matrix of variables (rows of input (V, N), or input (N) as one) over N observations (columns):
    (V, V), or () of one variable.

    The sum is divided by N - correction. fweights (N), integers, say how often each observation counts; aweights (N),
    floats, how much. RuntimeError for more dimensions, bool, and weights that do not fit or are negative.
    """
    if not isinstance(input, TensorBase):
        raise not_a_tensor("cov", input)
    if input.ndim > 2:
        raise RuntimeError("cov(): expected input to have two or fewer dimensions but got an input with "
                           f"{input.ndim} dimensions")
    if input.dtype is bool_:
        raise RuntimeError("cov(): bool dtype is not supported for input")
    x = input if input.ndim == 2 else shape.reshape(input, (1, -1))
    n = x.shape[1]
    w = None
    if fweights is not None:
        w = _weights("fweights", fweights, n, True)
    if aweights is not None:
        aweights = _weights("aweights", aweights, n, False)
        w = aweights if w is None else arithmetic.mul(w, aweights)
    if not x.dtype.is_floating_point:
        x = _cast(x, DTYPES[lib.ad_default_dtype()])
    if w is None:
        norm = n - correction
        centred = arithmetic.sub(x, reduce.mean(x, 1, True)) if n else x
        weighted = centred
    else:
        w = shape.reshape(w, (-1,))
        total = reduce.sum(w)
        if n and total.item() == 0:
            raise RuntimeError("cov(): weights sum to zero, can't be normalized")
        norm = total - correction
        if aweights is not None and correction:
            norm = total - correction * reduce.sum(arithmetic.mul(w, aweights)) / total
        centred = arithmetic.sub(x, arithmetic.div(reduce.sum(arithmetic.mul(x, w), 1, True), total))
        weighted = arithmetic.mul(centred, w)
    if norm <= 0:
        warnings.warn("cov(): degrees of freedom is <= 0. Correction should be strictly less than the number of "
                      "observations.", stacklevel=2)
        norm = 0
    if weighted.dtype is not centred.dtype:
        centred = _cast(centred, weighted.dtype)
    return shape.squeeze(arithmetic.div(linalg.mm(centred, shape.t(weighted)), norm))


def corrcoef(input):
    """The correlation matrix of variables, rows of input (V, N) or input (N) as one; within [-1, 1]."""
    if not isinstance(input, TensorBase):
        raise not_a_tensor("corrcoef", input)
    if input.ndim > 2:
        raise RuntimeError("corrcoef(): expected input to have two or fewer dimensions but got an input with "
                           f"{input.ndim} dimensions")
    c = cov(input)
    if not c.ndim:
        return arithmetic.div(c, c)
    deviation = unary(OP["sqrt"], shape.diagonal(c))
    c = arithmetic.div(c, shape.unsqueeze(deviation, 1))
    return arithmetic.clamp(arithmetic.div(c, shape.unsqueeze(deviation, 0)), -1, 1)


# ---- numerical gradient ----


def gradient(input, *, spacing=None, dim=None, edge_order=1):
    """The gradient of values on a grid along each dim, by second-order differences: a list of tensors like input.

    spacing: the distance between neighbours, one for each dim, or a tensor of coordinates for each; at the edges
    differences are of order edge_order, 1 or 2.
    """
    if not isinstance(input, TensorBase):
        raise not_a_tensor("gradient", input)
    dims = list(range(input.ndim)) if dim is None else [dim] if not isinstance(dim, (tuple, list)) else list(dim)
    dims = [shape.wrapped_dim(_call.integer(d), input.ndim) for d in dims]
    if len(set(dims)) < len(dims):
        raise RuntimeError("torch.gradient expected each dim to be unique")
    if isinstance(spacing, (tuple, list)):
        spacing = list(spacing)
        if len(spacing) != len(dims):
            raise RuntimeError("torch.gradient expected spacing to be unspecified, a scalar, or a list of length "
                               f"equal to the number of dimensions ({len(dims)}), but got a list of length "
                               f"{len(spacing)}")
    else:
        spacing = [1 if spacing is None else spacing] * len(dims)
    if edge_order not in (1, 2):
        raise RuntimeError("torch.gradient only supports edge_order=1 and edge_order=2.")
    if input.dtype is bool_ or input.dtype.code == 1:
        raise RuntimeError(f"torch.gradient does not support {input.dtype} input")
    for d in dims:
        if input.shape[d] < edge_order + 1:
            raise RuntimeError("torch.gradient expected each dimension size to be at least edge_order+1")
    x = input if input.dtype.is_floating_point else _cast(input, DTYPES[lib.ad_default_dtype()])
    return tuple(_gradient(x, d, h, edge_order) for d, h in zip(dims, spacing))


def _gradient(x, d, h, edge_order):
    n = x.shape[d]

    def part(start, stop):
        return shape.slice_(x, d, start, stop)

    if isinstance(h, TensorBase):
        if h.ndim != 1 or h.shape[0] != n:
            raise RuntimeError("torch.gradient expected each spacing tensor to have as many elements as its dimension, "
                               f"{n}, but got size {list(h.shape)}")
        steps = shape.reshape(reduce.diff(_cast(h, x.dtype)), [-1 if k == d else 1 for k in range(x.ndim)])
        first = [shape.slice_(steps, d, k, k + 1) for k in (0, 1) if k < n - 1]
        last = [shape.slice_(steps, d, n - 2 - k, n - 1 - k) for k in (0, 1) if k < n - 1]
        left, right = shape.slice_(steps, d, 0, n - 2), shape.slice_(steps, d, 1, n - 1)
        middle = (part(0, n - 2) * (-right / (left * (left + right)))
                  + part(1, n - 1) * ((right - left) / (left * right))
                  + part(2, n) * (left / (right * (left + right))))
    else:
        h = number(h, "gradient", "spacing", 2)
        first = last = (h, h)
        middle = (part(2, n) - part(0, n - 2)) / (2 * h)
    if edge_order == 1:
        start = (part(1, 2) - part(0, 1)) / first[0]
        end = (part(n - 1, n) - part(n - 2, n - 1)) / last[0]
    else:
        start = _edge(part(0, 1), part(1, 2), part(2, 3), *first)
        end = -_edge(part(n - 1, n), part(n - 2, n - 1), part(n - 3, n - 2), *last)
    return shape.cat([start, middle, end], d)


def _edge(f0, f1, f2, a, b):
    """The derivative at the first of three points that lie a and b apart, exact for parabolas."""
    return f0 * (-(2 * a + b) / (a * (a + b))) + f1 * ((a + b) / (a * b)) + f2 * (-a / (b * (a + b)))


# ---- membership ----


def isin(elements, test_elements, *, assume_unique=False, invert=False):
    """Whether each of elements is among test_elements (with invert, is not): bool of elements' sizes. One of the two
    may be a number. NaN equals nothing."""
    if not isinstance(elements, TensorBase):
        if not isinstance(test_elements, TensorBase):
            raise not_a_tensor("isin", elements, "elements")
        elements = creation.scalar_tensor(number(elements, "isin"), dtype=test_elements.dtype)
    if not isinstance(test_elements, TensorBase):
        found = binary(OP["eq"], elements, number(test_elements, "isin", "test_elements", 2))
    elif not test_elements.numel():
        found = creation.zeros(elements.shape, dtype=bool_)
    else:
        x, among = elements.detach(), shape.reshape(test_elements.detach(), (-1,))
        if x.dtype is not among.dtype:
            common = DTYPES[creation.promote_codes(x.dtype.code, among.dtype.code)]
            x, among = _cast(x, common), _cast(among, common)
        if x.dtype is bool_:
            x, among = _cast(x, int64), _cast(among, int64)
        among = order.sort(among)[0]
        at = arithmetic.clamp(order.searchsorted(among, x), 0, among.shape[0] - 1)
        found = binary(OP["eq"], distinct._along("pick", among, shape.reshape(at, (-1,)), 0), shape.reshape(x, (-1,)))
        found = shape.reshape(found, elements.shape)
    return compare.logical_not(found) if invert else found


# ---- rows scaled to a norm ----


def renorm(input, p, dim, maxnorm, *, out=None):
    """input with each slice of dim whose p-norm is above maxnorm scaled down to it. At least two dimensions."""
    if not isinstance(input, TensorBase):
        raise not_a_tensor("renorm", input)
    if not number(p, "renorm", "p") > 0:
        raise RuntimeError("renorm: non-positive-norm not supported")
    if input.ndim < 2:
        raise RuntimeError(f"renorm: input needs at least 2 dimensions, got {input.ndim} dimensions")
    if not number(maxnorm, "renorm", "maxnorm", 4) >= 0:
        raise RuntimeError(f"renorm: expected maxnorm to be >= 0 but got {maxnorm}")
    d = shape.wrapped_dim(_call.integer(dim), input.ndim)
    half = input.dtype.is_floating_point and input.dtype.itemsize < 4
    others = [k for k in range(input.ndim) if k != d]
    norms = reduce.vector_norm(input, p, others, True, dtype=float32 if half else None)
    above = binary(OP["gt"], norms, maxnorm)
    kept = _call.apply(OP["where"], (above, norms, creation.full_like(norms, maxnorm, requires_grad=False)))
    factor = arithmetic.div(maxnorm, arithmetic.add(kept, 1e-7))
    factor = _call.apply(OP["where"], (above, factor, creation.ones_like(norms, requires_grad=False)))
    return reduce._finish(arithmetic.mul(input, _cast(factor, input.dtype)), out)


def renorm_(self, p, dim, maxnorm):
    """renorm() in place."""
    if not isinstance(self, TensorBase):
        raise not_a_tensor("renorm_", self)
    return self.copy_(renorm(shape.clone(self), p, dim, maxnorm))


# ---- histograms of many dimensions ----


def histogramdd(input, bins, *, range=None, weight=None, density=False, out=None):
    """(hist, bin_edges): how many rows of input (*, D) lie in each cell of a grid, or the sum of their weights (*).

    bins: the number of equal parts of each dimension, or one for all; or a tensor of edges for each. range: the lowest
    and highest edge of each dimension, one after the other; by default those of the values. density divides by the
    total and by the volume of the cell.
    """
    if not isinstance(input, TensorBase):
        raise not_a_tensor("histogramdd", input)
    if not input.dtype.is_floating_point:
        raise NotImplementedError(f'"histogramdd_cpu" not implemented for \'{reduce._class_name(input)}\'')
    if input.ndim < 2:
        raise RuntimeError("torch.histogramdd: input tensor should have at least 2 dimensions")
    n = input.shape[-1]
    x = shape.reshape(input.detach(), (-1, n))
    bins = [bins] * n if not isinstance(bins, (tuple, list)) else list(bins)
    if len(bins) != n:
        raise RuntimeError(f"torch.histogramdd: expected {n} sequences of bin edges for a {n}-dimensional histogram "
                           f"but got {len(bins)}")
    if range is not None and len(range) != 2 * n:
        raise RuntimeError(f"torch.histogramdd: for a {n}-dimensional histogram range should have {2 * n} elements, "
                           f"but got {len(range)}")
    if weight is not None:
        if weight.shape != input.shape[:-1]:
            raise RuntimeError("torch.histogramdd: if weight tensor is provided it should have the same shape as the "
                               "input tensor excluding its innermost dimension")
        weight = shape.reshape(weight.detach(), (-1,))
    edges, sizes, cell, inside = [], [], None, None
    for k, part in enumerate(bins):
        column = shape.select(x, 1, k)
        if isinstance(part, TensorBase):
            edge, size = shape.clone(part), part.numel() - 1
            slot = binary(OP["sub"], order.searchsorted(edge, column, right=True), 1)
            last = binary(OP["eq"], column, shape.select(edge, 0, -1))
            slot = binary(OP["sub"], slot, _cast(last, int64))
        else:
            distinct._check_bins("histogramdd", input, part)
            low, high = (0, 0) if range is None else range[2 * k : 2 * k + 2]
            low, high = distinct._bounds("histogramdd", column, low, high, 0.5)
            edge, size = creation.linspace(low, high, part + 1, dtype=input.dtype), part
            slot = distinct._uniform_slots(column, part, low, high)
        within = compare.logical_and(binary(OP["ge"], slot, 0), binary(OP["lt"], slot, size))
        inside = within if inside is None else compare.logical_and(inside, within)
        cell = slot if cell is None else arithmetic.add(arithmetic.mul(cell, size), slot)
        edges.append(edge)
        sizes.append(size)
    cell = _call.apply(OP["where"], (inside, cell, creation.full_like(cell, -1)))
    hist = shape.reshape(distinct._tally(x, cell, math.prod(sizes), weight), sizes)
    if density:
        hist = arithmetic.div(hist, reduce.sum(hist))
        for k, edge in enumerate(edges):
            hist = arithmetic.div(hist, shape.reshape(reduce.diff(edge), [-1 if d == k else 1 for d in _dims(n)]))
    if out is not None:
        (hist,) = _call.to_outs("histogramdd", (hist,), out[:1])
    return hist, edges


_dims = range  # histogramdd() has an argument of that name
