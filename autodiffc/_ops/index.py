"""Indexing: x[...] for reading and writing, gather and scatter, masks, embedding, padding."""

import operator
import warnings

import numpy as np

from .._native import ffi
from ._call import OP, TensorBase, apply, fail, in_place, lib, not_a_tensor, to_out, wrap

_MAX = (1 << 63) - 1
_MIN = -(1 << 63)
_INT, _SLICE, _NONE, _ELLIPSIS, _TENSOR, _BOOL = range(6)
_WHOLE = (_SLICE, 0, _MAX, 1)
_ONE_TENSOR = ffi.new("int64_t[]", [_TENSOR])
_UINT8 = 1
_getitem, _getitem_int, _setitem = lib.ad_getitem, lib.ad_getitem_int, lib.ad_setitem


# ---- index expressions ----


def _bound(v, default):
    if v is None:
        return default
    try:
        v = operator.index(v)
    except TypeError:
        raise TypeError("slice indices must be integers or None or have an __index__ method") from None
    return _MAX if v > _MAX else _MIN if v < _MIN else v


def _put_slice(s, codes):
    start, stop, step = s.start, s.stop, s.step
    if start is None and stop is None and step is None:
        codes += _WHOLE
        return
    if step is None:
        step = 1
    elif (step := _bound(step, 1)) == 0:
        raise ValueError("slice step cannot be zero")
    codes += (
        _SLICE,
        start if type(start) is int and _MIN <= start <= _MAX else _bound(start, 0),
        stop if type(stop) is int and _MIN <= stop <= _MAX else _bound(stop, _MAX),
        step,
    )


def _integer(i):
    i = operator.index(i)
    if not _MIN <= i <= _MAX:
        raise ValueError("Overflow when unpacking long long")
    return i


def _array_tensor(a):
    """An index tensor from an array: a mask from bools and uint8, int64 from all other numbers."""
    from ..interop import adopt

    if a.dtype == np.uint8:
        _warn_uint8()
    elif a.dtype != bool:
        if a.dtype.kind not in "iuf":
            raise TypeError(f"new(): invalid data type '{a.dtype.type.__name__}'")
        a = a.astype(np.int64)
    return adopt(np.array(a, order="C"))


def _sequence_tensor(seq):
    """An index tensor from a list, tuple or range, which may hold 0-d tensors."""

    def plain(s):
        out = []
        for v in s:
            if isinstance(v, (list, tuple, range)):
                v = plain(v)
            elif isinstance(v, (str, bytes)):
                raise TypeError(f"new(): invalid data type '{type(v).__name__}'")
            elif isinstance(v, TensorBase):
                v = v.numpy(force=True)
            elif not isinstance(v, (bool, int, float, np.generic, np.ndarray)):
                try:
                    v = operator.index(v)
                except TypeError:
                    raise RuntimeError(f"Could not infer dtype of {type(v).__name__}") from None
            out.append(v)
        return out

    try:
        a = np.array(plain(seq))
    except ValueError as e:
        raise TypeError(f"a list that indexes a tensor must be rectangular: {e}") from None
    return _array_tensor(a.astype(np.int64) if not a.size else a)


def _is_tuple_like(seq):
    """Whether a list is meant as the tuple of its elements, as old NumPy had it."""
    if len(seq) >= 32:
        return False
    nested = (slice, list, tuple, range, np.ndarray, TensorBase)
    return any(v is None or v is Ellipsis or isinstance(v, nested) for v in seq)


def _encode(items):
    """The codes of an index expression (csrc/ops/indexing.c), and its tensors."""
    codes, tensors = [], []
    for item in items:
        kind = type(item)
        if kind is int:
            if not _MIN <= item <= _MAX:
                raise ValueError("Overflow when unpacking long long")
            codes += (_INT, item)
        elif kind is slice:
            _put_slice(item, codes)
        elif item is None:
            codes.append(_NONE)
        elif item is Ellipsis:
            codes.append(_ELLIPSIS)
        elif isinstance(item, TensorBase):
            if lib.ad_dtype_of(item._h) == _UINT8:
                _warn_uint8()
            codes.append(_TENSOR)
            tensors.append(item)
        elif kind is bool:
            codes += (_BOOL, item)
        elif isinstance(item, np.ndarray):
            codes.append(_TENSOR)
            tensors.append(_array_tensor(item))
        elif isinstance(item, (list, tuple, range)):
            codes.append(_TENSOR)
            tensors.append(_sequence_tensor(item))
        elif isinstance(item, (str, bytes)):
            raise TypeError(f"new(): invalid data type '{kind.__name__}'")
        elif hasattr(item, "__index__") and not isinstance(item, np.bool_):
            codes += (_INT, _integer(item))
        else:
            raise IndexError(
                "only integers, slices (`:`), ellipsis (`...`), None and long or byte Variables are valid indices "
                f"(got {kind.__name__})"
            )
    return codes, tensors


def _items(index):
    """The elements of what stands between the brackets."""
    if type(index) is tuple:
        return index
    if isinstance(index, list) and _is_tuple_like(index):
        warnings.warn(
            "Using a non-tuple sequence for multidimensional indexing is deprecated; use x[tuple(seq)] instead of "
            "x[seq].",
            UserWarning,
            stacklevel=3,
        )
        return tuple(index)
    if isinstance(index, tuple):
        return tuple(index)
    return (index,)


def _warn_uint8():
    warnings.warn(
        "indexing with dtype torch.uint8 is now deprecated, please use a dtype torch.bool instead.",
        UserWarning,
        stacklevel=4,
    )


def getitem(self, index):
    """self[index], for index expressions that the binding does not read itself: sequences, arrays, what has __index__.

    Integers, slices, None and ... give a view; index tensors and masks a copy.

    IndexError for an index out of range, too many indices, or a mask of other sizes; ValueError for a step that
    is not positive.
    """
    kind = type(index)
    if kind is int:
        try:
            h = _getitem_int(self._h, index)
        except OverflowError:
            raise ValueError("Overflow when unpacking long long") from None
    elif kind is slice and index.step is None and type(index.stop) is int and type(index.start or 0) is int:
        codes = (_SLICE, index.start or 0, index.stop, 1)
        try:
            h = _getitem(self._h, codes, 4, ())
        except OverflowError:
            codes, _ = _encode((index,))
            h = _getitem(self._h, codes, 4, ())
    elif isinstance(index, TensorBase):
        if lib.ad_dtype_of(index._h) == _UINT8:
            _warn_uint8()
        h = _getitem(self._h, _ONE_TENSOR, 1, (index._h,))
    else:
        codes, tensors = _encode(index if kind is tuple else _items(index))
        h = _getitem(self._h, codes, len(codes), [t._h for t in tensors] if tensors else ())
    return wrap(h)


def setitem(self, index, value):
    """self[index] = value, in place. value: a Tensor that broadcasts to the sizes of self[index], or a number.

    Under index tensors a Tensor must have self's dtype unless it is 0-d. RuntimeError for sizes that do not
    broadcast; the errors of self[index].
    """
    codes, tensors = _encode(index if type(index) is tuple else _items(index))
    handles = [t._h for t in tensors] if tensors else ()
    if isinstance(value, TensorBase):
        status = _setitem(self._h, codes, len(codes), handles, value._h, 0, 0.0, 0)
    else:
        if isinstance(value, np.generic):
            value = value.item()
        if isinstance(value, float):
            status = _setitem(self._h, codes, len(codes), handles, 0, 0, value, 0)
        elif isinstance(value, int):
            if not _MIN <= value <= _MAX:
                raise ValueError("Overflow when unpacking long long")
            status = _setitem(self._h, codes, len(codes), handles, 0, 1, 0.0, value)
        elif isinstance(value, complex):
            raise RuntimeError("value cannot be converted to type float without overflow")
        else:
            raise TypeError(f"can't assign a {type(value).__name__} to a torch.Tensor of {self.dtype}")
    if status < 0:
        fail()


def _checked(i):
    if not _MIN <= i <= _MAX:
        raise RuntimeError(f"value cannot be converted to type int64_t without overflow: {i}")
    return i


# ---- calls ----


def _tensors(name, *pairs):
    for position, (argument, t) in enumerate(pairs, 1):
        if not isinstance(t, TensorBase):
            raise not_a_tensor(name, t, argument, position)


def _dim(name, dim):
    try:
        return operator.index(dim)
    except TypeError:
        raise TypeError(f"{name}(): argument 'dim' must be int, not {type(dim).__name__}") from None


def _number(like, value, name):
    """A 0-d Tensor of like's dtype from a number; a Tensor as it is."""
    if isinstance(value, TensorBase):
        return value
    if isinstance(value, np.generic):
        value = value.item()
    code = lib.ad_dtype_of(like._h)
    if isinstance(value, float):
        return wrap(lib.ad_number_as(code, 0, value, 0))
    if isinstance(value, int):
        return wrap(lib.ad_number_as(code, 1, 0.0, _checked(value)))
    raise TypeError(f"{name}(): argument 'value' must be Tensor or a number, not {type(value).__name__}")


def _result(t, out, *inputs):
    """The result itself, or out holding it; out must not overlap the inputs that PyTorch reads while writing."""
    if out is None:
        return t
    if not isinstance(out, TensorBase):
        raise TypeError(f"argument 'out' must be Tensor, not {type(out).__name__}")
    if inputs:
        if out.dtype is not t.dtype:
            raise RuntimeError(f"Expected out tensor to have dtype {t.dtype}, but got {out.dtype} instead")
        if lib.ad_check_out(out._h, [i._h for i in inputs], len(inputs)) < 0:
            fail()
    h = t._h
    lib.ad_retain(h)
    return to_out(h, out)


# ---- one index along one dimension ----


def index_select(input, dim, index, *, out=None):
    """The slices of input at the indices of one dimension.

    index: a vector (or 0-d) of int64 or int32. Returns a Tensor of input's sizes with index.numel() at dim.
    IndexError for an index out of range; negative ones are.
    """
    _tensors("index_select", ("input", input), ("dim", input), ("index", index))
    return _result(apply(OP["index_select"], (input, index), (_dim("index_select", dim),)), out, input, index)


def _index_add(input, dim, index, source, alpha, name, write):
    _tensors(name, ("input", input), ("dim", input), ("index", index), ("source", source))
    if alpha != 1:
        factor = _number(source, alpha if source.dtype.is_floating_point else int(alpha), name)
        source = (source * factor).to(source.dtype)
    ints = (_dim(name, dim),)
    if write:
        return in_place(OP["index_add"], input, (index, source), ints)
    return apply(OP["index_add"], (input, index, source), ints)


def index_add(input, dim, index, source, *, alpha=1, out=None):
    """input plus alpha * source, slice k of source going to slice index[k] of dim. Repeated indices add up, in
    order. RuntimeError when sizes or dtypes differ or an index is out of range."""
    return _result(_index_add(input, dim, index, source, alpha, "index_add", False), out)


def index_add_(self, dim, index, source, *, alpha=1):
    """index_add(), in place."""
    return _index_add(self, dim, index, source, alpha, "index_add_", True)


def index_copy(input, dim, index, source, *, out=None):
    """input with slice index[k] of dim replaced by slice k of source. IndexError for an index out of range."""
    _tensors("index_copy", ("input", input), ("dim", input), ("index", index), ("source", source))
    return _result(apply(OP["index_copy"], (input, index, source), (_dim("index_copy", dim),)), out)


def index_copy_(self, dim, index, source):
    """index_copy(), in place."""
    _tensors("index_copy_", ("self", self), ("dim", self), ("index", index), ("source", source))
    return in_place(OP["index_copy"], self, (index, source), (_dim("index_copy_", dim),))


def index_fill(input, dim, index, value):
    """input with the slices at the indices of dim filled with one value, a number or a 0-d Tensor."""
    _tensors("index_fill", ("input", input), ("dim", input), ("index", index))
    return apply(OP["index_fill"], (input, index, _number(input, value, "index_fill")), (_dim("index_fill", dim),))


def index_fill_(self, dim, index, value):
    """index_fill(), in place."""
    _tensors("index_fill_", ("self", self), ("dim", self), ("index", index))
    return in_place(OP["index_fill"], self, (index, _number(self, value, "index_fill_")), (_dim("index_fill_", dim),))


def index_reduce(input, dim, index, source, reduce, *, include_self=True, out=None):
    """input with slice k of source reduced into slice index[k] of dim; reduce: prod, mean, amax or amin.

    include_self=False leaves input's own values out where something is reduced.
    """
    return _result(_index_reduce(input, dim, index, source, reduce, include_self, "index_reduce", False), out)


def index_reduce_(self, dim, index, source, reduce, *, include_self=True):
    """index_reduce(), in place."""
    return _index_reduce(self, dim, index, source, reduce, include_self, "index_reduce_", True)


def _index_reduce(input, dim, index, source, reduce, include_self, name, write):
    _tensors(name, ("input", input), ("dim", input), ("index", index), ("source", source))
    if reduce not in ("prod", "mean", "amax", "amin"):
        raise RuntimeError(f"{name}(): Expected reduce to be one of prod, mean, amax or amin but got {reduce}.")
    dim, n = _dim(name, dim), source.ndim
    if index.ndim > 1:
        raise RuntimeError(f"{name}(): Index is supposed to be a vector, but got dim: {index.ndim}")
    if source.dtype is not input.dtype:
        raise RuntimeError(f"{name}(): self and source must have the same scalar type")
    shape = source.shape
    if n and not -n <= dim < n:
        raise IndexError(f"Dimension out of range (expected to be in range of [{-n}, {n - 1}], but got {dim})")
    if index.shape.numel() != (shape[dim] if n else 1):
        raise RuntimeError(f"{name}(): Number of indices ({index.shape.numel()}) should be equal to source.size(dim)")
    own = list(input.shape)
    if len(own) != n or any(a != b for d, (a, b) in enumerate(zip(own, shape)) if d != dim % n):
        raise RuntimeError(
            f"{name}(): source tensor shape must match self tensor shape, excluding the specified dimension: got "
            f"{tuple(own)} and {tuple(shape)}"
        )
    wide = index.reshape([-1 if d == dim % n else 1 for d in range(n)]).expand(shape) if n else index.reshape(())
    return _scatter(input, dim, wide, source, _REDUCE[reduce], not include_self, False, write)


# ---- any positions ----


def index_put(input, indices, values, accumulate=False):
    """input with values at indices, a tuple of index tensors or masks: what x[indices] = values makes of a copy.

    accumulate adds instead, repeated positions too, in order.
    """
    return _index_put("index_put", input, indices, values, accumulate, False)


def index_put_(self, indices, values, accumulate=False):
    """index_put(), in place."""
    _index_put("index_put_", self, indices, values, accumulate, True)
    return self


def _index_put(name, input, indices, values, accumulate, write):
    _tensors(name, ("input", input), ("indices", input), ("values", values))
    if not isinstance(indices, (tuple, list)):
        raise TypeError(
            f"{name}(): argument 'indices' (position 2) must be tuple of Tensors, not {type(indices).__name__}")
    codes = []
    for k, t in enumerate(indices):
        if not isinstance(t, TensorBase):
            raise TypeError(f"expected Tensor as element {k} in argument 0, but got {type(t).__name__}")
        codes.append(_TENSOR)
    handles = [t._h for t in indices]
    if not handles:
        raise RuntimeError(f"{name}(): expected at least one index tensor")
    return wrap(lib.ad_index_put(input._h, handles, codes, len(codes), values._h, bool(accumulate), write))


def take(input, index, *, out=None):
    """The elements of input at flat indices: a Tensor of index's sizes. Negative ones count from the end;
    IndexError when one is out of range."""
    _tensors("take", ("input", input), ("index", index))
    return _result(apply(OP["take"], (input, index)), out, input, index)


def put(input, index, source, accumulate=False):
    """input with source's elements at flat indices, added when accumulate."""
    _tensors("put", ("input", input), ("index", index), ("source", source))
    return apply(OP["put_flat"], (input, index, source), (bool(accumulate),))


def put_(self, index, source, accumulate=False):
    """put(), in place."""
    _tensors("put_", ("self", self), ("index", index), ("source", source))
    return in_place(OP["put_flat"], self, (index, source), (bool(accumulate),))


# ---- gather and scatter ----


def gather(input, dim, index, *, sparse_grad=False, out=None):
    """out[i][j][k] = input[i][index[i][j][k]][k] for dim 1, and so on: one index for each element along dim.

    index: int64 or int32, of input's number of dimensions, no larger than input but along dim. Returns a Tensor
    of index's sizes. RuntimeError for an index out of range. Gradients are dense, sparse_grad or not.
    """
    _tensors("gather", ("input", input), ("dim", input), ("index", index))
    return _result(apply(OP["gather"], (input, index), (_dim("gather", dim),)), out, input, index)


def take_along_dim(input, indices, dim=None, *, out=None):
    """gather() with the other dimensions broadcast; without dim, from the flat input by the flat indices.
    Negative indices count from the end."""
    _tensors("take_along_dim", ("input", input), ("indices", indices))
    if dim is None:
        return _result(take_along_dim(input.reshape(-1), indices.reshape(-1), 0), out)
    return _result(wrap(lib.ad_take_along_dim(input._h, indices._h, _dim("take_along_dim", dim))), out)


_ASSIGN, _ADD, _MUL, _MEAN, _MAXIMUM, _MINIMUM = range(6)
_REDUCE = {"sum": _ADD, "prod": _MUL, "mean": _MEAN, "amax": _MAXIMUM, "amin": _MINIMUM}
_LEGACY = {"add": _ADD, "multiply": _MUL}


def _scatter(input, dim, index, src, kind, exclude, one, write):
    op = OP["scatter_reduce" if kind in (_MUL, _MAXIMUM, _MINIMUM) else "scatter"]
    ints = (dim, kind, exclude, one)
    return in_place(op, input, (index, src), ints) if write else apply(op, (input, index, src), ints)


def _scatter_any(name, input, dim, index, src, value, reduce, write):
    _tensors(name, ("input", input), ("dim", input), ("index", index))
    if src is None:
        src = value
    if src is None:
        raise TypeError(f"{name}() missing 1 required positional arguments: 'src'")
    kind = _ASSIGN
    if reduce is not None:
        if reduce not in _LEGACY:
            raise RuntimeError("reduce argument must be either add or multiply.")
        kind = _LEGACY[reduce]
    one = not isinstance(src, TensorBase)
    return _scatter(input, _dim(name, dim), index, _number(input, src, name), kind, False, one, write)


def scatter(input, dim, index, src=None, *, value=None, reduce=None, out=None):
    """input with src, a Tensor or one number, written at the indices along dim: the reverse of gather().

    index: no larger than input but along dim, and no larger than src. Where indices repeat the last one stays.
    reduce: "add" or "multiply" instead of writing. RuntimeError for an index out of range or sizes that do not
    fit, before anything is written.
    """
    return _result(_scatter_any("scatter", input, dim, index, src, value, reduce, False), out)


def scatter_(self, dim, index, src=None, *, value=None, reduce=None):
    """scatter(), in place."""
    return _scatter_any("scatter_", self, dim, index, src, value, reduce, True)


def scatter_add(input, dim, index, src, *, out=None):
    """input plus src at the indices along dim; repeated ones add up, in order."""
    _tensors("scatter_add", ("input", input), ("dim", input), ("index", index), ("src", src))
    return _result(_scatter(input, _dim("scatter_add", dim), index, src, _ADD, False, False, False), out)


def scatter_add_(self, dim, index, src):
    """scatter_add(), in place."""
    _tensors("scatter_add_", ("self", self), ("dim", self), ("index", index), ("src", src))
    return _scatter(self, _dim("scatter_add_", dim), index, src, _ADD, False, False, True)


def _scatter_reduce(name, input, dim, index, src, reduce, include_self, write):
    _tensors(name, ("input", input), ("dim", input), ("index", index), ("src", src))
    if reduce not in _REDUCE:
        raise RuntimeError(f"reduce argument must be either sum, prod, mean, amax or amin, got {reduce}")
    return _scatter(input, _dim(name, dim), index, src, _REDUCE[reduce], not include_self, False, write)


def scatter_reduce(input, dim, index, src, reduce, *, include_self=True, out=None):
    """input with src reduced into it at the indices along dim; reduce: sum, prod, mean, amax or amin.

    include_self=False leaves input's own values out where something is reduced. The gradient of amax and amin is
    shared evenly among ties.
    """
    return _result(_scatter_reduce("scatter_reduce", input, dim, index, src, reduce, include_self, False), out)


def scatter_reduce_(self, dim, index, src, reduce, *, include_self=True):
    """scatter_reduce(), in place."""
    return _scatter_reduce("scatter_reduce_", self, dim, index, src, reduce, include_self, True)


# ---- masks ----


def masked_fill(input, mask, value):
    """input with one value, a number or 0-d Tensor, where the bool mask is set; mask and input broadcast."""
    _tensors("masked_fill", ("input", input), ("mask", mask))
    return apply(OP["masked_fill"], (input, mask, _number(input, value, "masked_fill")))


def masked_fill_(self, mask, value):
    """masked_fill(), in place: mask broadcasts to self."""
    _tensors("masked_fill_", ("self", self), ("mask", mask))
    return in_place(OP["masked_fill"], self, (mask, _number(self, value, "masked_fill_")))


def masked_select(input, mask, *, out=None):
    """The elements where the bool mask is set, in order: a 1-d Tensor. Its size depends on the data, so that it
    cannot be captured."""
    _tensors("masked_select", ("input", input), ("mask", mask))
    return _result(apply(OP["masked_select"], (input, mask)), out, input, mask)


def masked_scatter(input, mask, source):
    """input with source's elements, in order, where the bool mask is set. RuntimeError when there are too few."""
    _tensors("masked_scatter", ("input", input), ("mask", mask), ("source", source))
    return apply(OP["masked_scatter"], (input, mask, source))


def masked_scatter_(self, mask, source):
    """masked_scatter(), in place: mask broadcasts to self."""
    _tensors("masked_scatter_", ("self", self), ("mask", mask), ("source", source))
    return in_place(OP["masked_scatter"], self, (mask, source))


def nonzero(input, *, out=None, as_tuple=False):
    """The indices of what is not zero: int64 (n, ndim), or with as_tuple one 1-d Tensor for each dimension. The
    size depends on the data, so that it cannot be captured."""
    _tensors("nonzero", ("input", input))
    if as_tuple:
        return tuple((input.reshape(1) if input.ndim == 0 else input).nonzero().unbind(1))
    return _result(apply(OP["nonzero"], (input,)), out)


def argwhere(input):
    """nonzero(input) as one int64 Tensor (n, ndim)."""
    _tensors("argwhere", ("input", input))
    return apply(OP["nonzero"], (input,))


# ---- writing through a view, of a copy ----


def select_scatter(input, src, dim, index):
    """input with src at one index of dim. RuntimeError when src has not the slice's sizes."""
    _tensors("select_scatter", ("input", input), ("src", src))
    ints = (_dim("select_scatter", dim), operator.index(index), 0, 0, 0, 0, 0, OP["select"])
    return apply(OP["view_scatter"], (input, src), ints)


def slice_scatter(input, src, dim=0, start=None, end=None, step=1):
    """input with src in start:end:step of dim."""
    _tensors("slice_scatter", ("input", input), ("src", src))
    ints = (_dim("slice_scatter", dim), _bound(start, 0), _bound(end, _MAX), operator.index(step), 0, 0, 0, OP["slice"])
    return apply(OP["view_scatter"], (input, src), ints)


def diagonal_scatter(input, src, offset=0, dim1=0, dim2=1):
    """input with src on a diagonal of two dimensions."""
    _tensors("diagonal_scatter", ("input", input), ("src", src))
    dims = _dim("diagonal_scatter", dim1), _dim("diagonal_scatter", dim2)
    ints = (operator.index(offset), *dims, 0, 0, 0, 0, OP["diagonal"])
    return apply(OP["view_scatter"], (input, src), ints)


# ---- of neural networks ----


def embedding(weight, indices, padding_idx=-1, scale_grad_by_freq=False, sparse=False):
    """Rows of weight (num, dim) by index: indices (*) of int64 or int32 to (*, dim).

    The row padding_idx takes no gradient; scale_grad_by_freq divides a row's gradient by the number of its
    indices. With sparse, backward() leaves a sparse gradient with a weight that is a leaf. IndexError for an index out
    of range.
    """
    _tensors("embedding", ("weight", weight), ("indices", indices))
    return apply(OP["embedding"], (weight, indices), (padding_idx, bool(scale_grad_by_freq), 0, bool(sparse)))


def embedding_renorm_(weight, indices, max_norm, norm_type=2.0):
    """Scales, in place, the rows of weight that indices name and whose norm is above max_norm down to it."""
    _tensors("embedding_renorm_", ("weight", weight), ("indices", indices))
    return in_place(OP["embedding_renorm"], weight, (indices,), (), (float(max_norm), float(norm_type)))


def nonzero_static(input, *, size, fill_value=-1):
    """The first `size` rows of nonzero(), and rows of fill_value where there are fewer: (size, dimensions)."""
    _tensors("nonzero_static", ("input", input))
    if size < 0:
        raise RuntimeError(f"nonzero_static: 'size' must be an non-negative integer, got {size}")
    found = nonzero(input)[:size]
    from . import creation

    rows = creation.full((size, input.ndim), fill_value, dtype=found.dtype)
    rows[: found.shape[0]] = found
    return rows


def one_hot(tensor, num_classes=-1):
    """1 at each index and 0 elsewhere: int64 (*) to int64 (*, num_classes). -1 classes are as many as the largest
    index needs, which cannot be captured. RuntimeError for a class out of range."""
    _tensors("one_hot", ("tensor", tensor))
    return apply(OP["one_hot"], (tensor,), (operator.index(num_classes),))


_EDGE_MODES = {"reflect": 0, "replicate": 1, "circular": 2}


def pad(input, pad, mode="constant", value=None):
    """input with the last dimensions padded: pad is (before, after) of the last one, then of the one before it.

    mode "constant" pads any dimensions with value (default 0); "reflect", "replicate" and "circular" the last
    one, two or three dimensions of a tensor with one or two more. Negative amounts cut. RuntimeError for
    amounts that do not fit, NotImplementedError for a mode or number of dimensions that is unknown.
    """
    _tensors("pad", ("input", input))
    amounts = []
    for k, p in enumerate(pad, 1):
        try:
            amounts.append(operator.index(p))
        except TypeError:
            raise TypeError(f"pad(): argument 'pad' failed to unpack the object at pos {k} with error \"type must be "
                            f"tuple of ints,but got {type(p).__name__}\"") from None
    if mode == "constant":
        number = 0 if value is None else value
        if isinstance(number, TensorBase):
            number = number.item()
        return apply(OP["pad"], (input,), (0, int(number) if abs(number) < 1 << 63 else 0), (float(number),), amounts)
    if mode not in _EDGE_MODES:
        raise NotImplementedError(f"Unrecognised padding mode {mode}")
    if value is not None and value != 0:
        raise RuntimeError(f'Padding mode "{mode}" doesn\'t take in value argument')
    return apply(OP["pad_edge"], (input,), (_EDGE_MODES[mode],), (), amounts)


def constant_pad_nd(input, pad, value=0):
    """pad() with a constant."""
    return _pad(input, pad, "constant", value)


_pad = pad
