"""Sorting and what is made of it: one function each, with PyTorch's signature."""

from .. import return_types
from .._core import OP, TensorBase, fail, wrap
from .._dtype import DTYPES
from .._native import lib
from . import _call, shape
from ._call import not_a_tensor, to_out
from .reduce import _finish, pair

_SORT, _TOPK, _KTH, _MEDIAN, _MODE = OP["sort"], OP["topk"], OP["kthvalue"], OP["median_dim"], OP["mode"]
_BOOL, _INT64 = DTYPES[0], DTYPES[5]


def sort(input, dim=-1, descending=False, stable=False, *, out=None, axis=None):
    """(values, indices) along dim in rising order; NaN comes last (first when descending). Equal elements keep their
    order when stable, else they come in the order that PyTorch leaves them in."""
    if axis is not None:
        dim = axis
    return pair(return_types.sort, _SORT, input, dim, bool(descending), bool(stable), out)


def argsort(input, dim=-1, descending=False, stable=False, *, axis=None):
    """The indices of sort()."""
    if axis is not None:
        dim = axis
    return sort(input, dim, descending, stable)[1]


def msort(input, *, out=None):
    """The values of sort() along the first dimension."""
    return _finish(sort(input, 0)[0], out)


def topk(input, k, dim=-1, largest=True, sorted=True, *, out=None, axis=None):
    """(values, indices) of the k largest (or smallest) along dim, in order unless sorted is False. RuntimeError when k
    is out of range."""
    if axis is not None:
        dim = axis
    return pair(return_types.topk, _TOPK, input, dim, bool(largest) + 2 * (not sorted), k, out)


def kthvalue(input, k, dim=-1, keepdim=False, *, out=None, axis=None, keepdims=None):
    """(values, indices) of the k-th smallest along dim, counted from 1."""
    if axis is not None:
        dim = axis
    if keepdims is not None:
        keepdim = keepdims
    return pair(return_types.kthvalue, _KTH, input, dim, keepdim, k, out)


def mode(input, dim=-1, keepdim=False, *, out=None, axis=None, keepdims=None):
    """(values, indices) of the most frequent element along dim, of equally frequent ones the smallest."""
    if axis is not None:
        dim = axis
    if keepdims is not None:
        keepdim = keepdims
    return pair(return_types.mode, _MODE, input, dim, keepdim, 0, out)


def _median(kind, input, dim, keepdim, ignore_nan, out):
    if not isinstance(input, TensorBase):
        raise not_a_tensor(kind.__name__, input)
    if dim is not None:
        return pair(kind, _MEDIAN, input, dim, keepdim, ignore_nan, out)
    flat = shape.reshape(input, (-1,))
    if not lib.ad_numel(flat._h):
        if not input.dtype.is_floating_point:
            return _finish(_call.apply(OP["full"], (), (lib.ad_dtype_of(input._h), -(1 << 63)), (0.0,), ()), out)
        return _finish(flat.sum() * float("nan"), out)
    return _finish(pair(kind, _MEDIAN, flat, 0, False, ignore_nan)[0], out)


def median(input, dim=None, keepdim=False, *, out=None, axis=None, keepdims=None):
    """The lower median of all elements, or (values, indices) along dim; NaN if any element is."""
    if axis is not None:
        dim = axis
    if keepdims is not None:
        keepdim = keepdims
    return _median(return_types.median, input, dim, keepdim, 0, out)


def nanmedian(input, dim=None, keepdim=False, *, out=None, axis=None, keepdims=None):
    """median() of the elements that are not NaN."""
    if axis is not None:
        dim = axis
    if keepdims is not None:
        keepdim = keepdims
    return _median(return_types.nanmedian, input, dim, keepdim, 1, out)


# ---- search ----


def searchsorted(sorted_sequence, input, *, out_int32=False, right=False, side=None, sorter=None, out=None):
    """Where each value of input would be inserted in the sorted last dimension of sorted_sequence: before equal
    elements, or after them when right. RuntimeError when dtypes or leading sizes differ."""
    if not isinstance(sorted_sequence, TensorBase):
        raise not_a_tensor("searchsorted", sorted_sequence, "sorted_sequence")
    if side is not None:
        if side not in ("left", "right"):
            raise RuntimeError(f"torch.searchsorted(): side can only be 'left' or 'right' but got {side}")
        if right and side == "left":
            raise RuntimeError("torch.searchsorted(): side and right can't be set to opposites, got side of left while "
                               "right was True")
        right = side == "right"
    if not isinstance(input, TensorBase):
        input = _number_like(sorted_sequence, input)
    if sorter is not None and not isinstance(sorter, TensorBase):
        raise not_a_tensor("searchsorted", sorter, "sorter", 3)
    h = lib.ad_opn(OP["searchsorted"], (sorted_sequence._h, input._h, sorter._h if sorter is not None else 0), 3,
                   (right, out_int32), 2, (), 0, (), 0)
    if not h:
        fail()
    return wrap(h) if out is None else to_out(h, out)


def _number_like(model, value):
    if not isinstance(value, (int, float)) and not hasattr(value, "__float__"):
        raise not_a_tensor("searchsorted", value, "input", 2)
    value = value if isinstance(value, (int, float)) else value.item() if hasattr(value, "item") else float(value)
    code = lib.ad_dtype_of(model._h)
    if isinstance(value, float) and not model.dtype.is_floating_point:
        code = lib.ad_default_dtype()
    return wrap(lib.ad_scalar_f(value, code) if isinstance(value, float) else lib.ad_scalar_i(int(value), code))


def bucketize(input, boundaries, *, out_int32=False, right=False, out=None):
    """searchsorted() with the arguments exchanged; boundaries must be one-dimensional."""
    if not isinstance(boundaries, TensorBase):
        raise not_a_tensor("bucketize", boundaries, "boundaries", 2)
    if boundaries.ndim != 1:
        raise RuntimeError(f"bucketize(): boundaries tensor must be 1 dimension, but got dim({boundaries.ndim})")
    return searchsorted(boundaries, input, out_int32=out_int32, right=right, out=out)
