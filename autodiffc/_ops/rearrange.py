"""Operations that repeat, mirror, rotate, cut triangles or diagonals, and write into parts of a copy."""

import itertools

import numpy as np

from .. import _dtype
from .._core import OP, TensorBase
from .._native import lib
from . import _call, creation, from_data
from . import shape as views
from ._call import ints, listed, not_a_tensor
from .shape import shape_of, wrapped_dim

_FLIP, _ROLL, _TRIL, _TRIU = OP["flip"], OP["roll"], OP["tril"], OP["triu"]
_DIAGONAL, _UNVIEW, _EXPAND = OP["diagonal"], OP["unview"], OP["expand"]


# ---- mirrored, rotated ----


def flip(input, *dims_args, dims=None):
    """The elements in reverse order along the given dimensions."""
    return listed(_FLIP, input, _call.sizes(dims_args if dims is None else (dims,)))


def fliplr(input):
    """flip() of dimension 1."""
    if isinstance(input, TensorBase) and lib.ad_ndim(input._h) < 2:
        raise RuntimeError("Input must be >= 2-d.")
    return listed(_FLIP, input, (1,))


def flipud(input):
    """flip() of dimension 0."""
    if isinstance(input, TensorBase) and lib.ad_ndim(input._h) < 1:
        raise RuntimeError("Input must be >= 1-d.")
    return listed(_FLIP, input, (0,))


def roll(input, shifts, dims=()):
    """The elements shifted along dimensions, those beyond the end at the start; without dims, as one long row."""
    if not isinstance(input, TensorBase):
        raise not_a_tensor("roll", input)
    shifts = [shifts] if hasattr(shifts, "__index__") else list(shifts)
    dims = [dims] if hasattr(dims, "__index__") else list(dims)
    if not shifts:
        raise RuntimeError("`shifts` required")
    if not dims and len(shifts) == 1:
        return views.reshape(
            listed(_ROLL, views.reshape(input, (-1,)) if input.numel() else input.flatten(), [*shifts, 0]),
            shape_of(input),
        )
    if not lib.ad_ndim(input._h):
        raise IndexError(f"Dimension specified as {dims[0] if dims else 0} but tensor has no dimensions")
    if len(shifts) != len(dims):
        raise RuntimeError(f"shifts and dimensions must align. shifts: {len(shifts)}, dims:{len(dims)}")
    return listed(_ROLL, input, [*shifts, *dims])


def rot90(input, k=1, dims=(0, 1)):
    """Rotated by k quarter turns in the plane of two dimensions, from the first towards the second."""
    if not isinstance(input, TensorBase):
        raise not_a_tensor("rot90", input)
    dims, n = list(_call.sizes((dims,))), lib.ad_ndim(input._h)
    if len(dims) != 2:
        raise RuntimeError(f"expected total rotation dims == 2, but got dims = {len(dims)}")
    if n < 2:
        raise RuntimeError(f"expected total dims >= 2, but got total dims = {n}")
    a, b = wrapped_dim(dims[0], n), wrapped_dim(dims[1], n)
    if a == b:
        raise RuntimeError(f"expected rotation dims to be different, but got dim0 = {dims[0]} and dim1 = {dims[1]}")
    k = _call.integer(k) % 4
    if k == 1:
        return views.transpose(flip(input, (b,)), a, b)
    if k == 2:
        return flip(input, (a, b))
    if k == 3:
        return flip(views.transpose(input, a, b), (b,))
    return views.clone(input, memory_format=_dtype.contiguous_format)


# ---- repeated ----


def repeat(self, *sizes, repeats=None):
    """A copy tiled the given number of times along each dimension, new dimensions in front."""
    counts = list(_call.sizes(sizes) if repeats is None else repeats)
    size = shape_of(self)
    if len(counts) < len(size):
        raise RuntimeError("Number of dimensions of repeat dims can not be smaller than number of dimensions of tensor")
    for c in counts:
        if c < 0:
            raise RuntimeError(f"Trying to create tensor with negative dimension {c}: {counts}")
    size = [1] * (len(counts) - len(size)) + size
    apart, wide, joined = [], [], []
    for c, s in zip(counts, size):
        if c != 1 and s != 1:
            apart += [1, s]
            wide += [c, s]
        else:
            apart.append(s)
            wide.append(c if s == 1 else s)
        joined.append(c * s)
    y = views.clone(listed(_EXPAND, views.reshape(self, apart), wide), memory_format=_dtype.contiguous_format)
    return views.reshape(y, joined)


def tile(input, *dims_args, dims=None):
    """repeat() that keeps the leading dimensions for which no count is given."""
    if not isinstance(input, TensorBase):
        raise not_a_tensor("tile", input)
    counts = list(_call.sizes(dims_args) if dims is None else dims)
    return repeat(input, [1] * (lib.ad_ndim(input._h) - len(counts)) + counts)


def repeat_interleave(input, repeats=None, dim=None, *, output_size=None, axis=None):
    """Each element (along dim, or of the flattened tensor) repeated: so many times all, or each its own times.

    With one argument, a tensor of counts: the index k as often as the k-th count says.
    """
    if axis is not None:
        dim = axis
    if repeats is None:
        return _interleaved_index(input, None, output_size)
    if not isinstance(input, TensorBase):
        raise not_a_tensor("repeat_interleave", input)
    if dim is None:
        input, dim = views.flatten(input), 0
    size = shape_of(input)
    dim = wrapped_dim(dim, len(size))
    have = size[dim] if size else 1
    if isinstance(repeats, TensorBase) and (lib.ad_numel(repeats._h) != 1 or lib.ad_ndim(repeats._h) > 1):
        if lib.ad_ndim(repeats._h) > 1:
            raise RuntimeError("repeats must be 0-dim or 1-dim tensor")
        if lib.ad_numel(repeats._h) != have:
            raise RuntimeError(
                f"repeats must have the same size as input along dim, but got repeats.size(0) = "
                f"{lib.ad_numel(repeats._h)} and input.size({dim}) = {have}"
            )
        return input.index_select(dim, _interleaved_index(repeats, have, output_size))
    if isinstance(repeats, TensorBase):
        if repeats.dtype not in (_dtype.int32, _dtype.int64):
            raise RuntimeError("repeats has to be Long or Int tensor")
        repeats = repeats.item()
    if repeats < 0:
        raise RuntimeError("Repeats must be non-negative")
    if output_size is not None and output_size != have * repeats:
        raise RuntimeError(f"repeat_interleave: Invalid output_size, expected {have * repeats} but got {output_size}")
    if not size:
        input, size = views.reshape(input, (1,)), [1]
    wide = listed(_EXPAND, views.unsqueeze(input, dim + 1), [*size[: dim + 1], repeats, *size[dim + 1 :]])
    wide = views.clone(wide, memory_format=_dtype.contiguous_format)
    return views.reshape(wide, [*size[:dim], have * repeats, *size[dim + 1 :]])


def _interleaved_index(repeats, have, output_size):
    if not isinstance(repeats, TensorBase):
        raise not_a_tensor("repeat_interleave", repeats, "repeats")
    if lib.ad_ndim(repeats._h) != 1:
        raise RuntimeError("repeat_interleave only accept 1D vector as repeat")
    if repeats.dtype not in (_dtype.int32, _dtype.int64):
        raise RuntimeError("repeats has to be Long or Int tensor")
    counts = repeats.tolist()
    if any(c < 0 for c in counts):
        raise RuntimeError("repeats can not be negative")
    if output_size is not None and output_size != sum(counts):
        raise RuntimeError(f"repeat_interleave: Invalid output_size, expected {sum(counts)} but got {output_size}")
    found = list(itertools.chain.from_iterable(itertools.repeat(k, c) for k, c in enumerate(counts)))
    return from_data.tensor(found, dtype=_dtype.int64 if have is not None else repeats.dtype)


# ---- triangles and diagonals ----


def tril(input, diagonal=0, *, out=None):
    """The lower triangle of each matrix, zeros above the diagonal."""
    y = ints(_TRIL, input, diagonal)
    return y if out is None else _into(y, out)


def triu(input, diagonal=0, *, out=None):
    """The upper triangle of each matrix, zeros below the diagonal."""
    y = ints(_TRIU, input, diagonal)
    return y if out is None else _into(y, out)


def _into(y, out):
    lib.ad_retain(y._h)
    return _call.to_out(y._h, out)


def tril_(self, diagonal=0):
    """tril() in place."""
    return _call.in_place(_TRIL, self, ints=(diagonal,))


def triu_(self, diagonal=0):
    """triu() in place."""
    return _call.in_place(_TRIU, self, ints=(diagonal,))


def diag_embed(input, offset=0, dim1=-2, dim2=-1):
    """The last dimension laid out as a diagonal of two new ones, zeros elsewhere."""
    if not isinstance(input, TensorBase):
        raise not_a_tensor("diag_embed", input)
    size = shape_of(input)
    if not size:
        raise IndexError("Dimension out of range (expected to be in range of [-1, 0], but got -1)")
    a, b = wrapped_dim(dim1, len(size) + 1), wrapped_dim(dim2, len(size) + 1)
    if a == b:
        raise RuntimeError(f"diagonal dimensions cannot be identical {dim1}, {dim2}")
    n = size[-1] + abs(_call.integer(offset))
    rest = iter(size[:-1])
    out = [n if d in (a, b) else next(rest) for d in range(len(size) + 1)]
    return _call.apply(_UNVIEW, (input,), (offset, a, b, 0, 0, 0, len(out), _DIAGONAL), (), out)


def diag(input, diagonal=0, *, out=None):
    """A vector as the diagonal of a matrix, or the diagonal of a matrix as a vector (a copy)."""
    if not isinstance(input, TensorBase):
        raise not_a_tensor("diag", input)
    n = lib.ad_ndim(input._h)
    if n not in (1, 2):
        raise RuntimeError(f"diag(): Supports 1D or 2D tensors. Got {n}D")
    y = diag_embed(input, diagonal) if n == 1 else views.clone(views.diagonal(input, diagonal))
    return y if out is None else _into(y, out)


def diagflat(input, offset=0):
    """The elements, flattened, as the diagonal of a matrix."""
    return diag_embed(views.reshape(views.contiguous(input), (-1,)), offset)


def block_diag(*tensors):
    """The matrices along the diagonal of one, zeros elsewhere; vectors are rows."""
    if len(tensors) == 1 and isinstance(tensors[0], (list, tuple)):
        tensors = tuple(tensors[0])
    if not tensors:
        return creation.empty((1, 0))
    blocks, rows = [], []
    for k, t in enumerate(tensors):
        if not isinstance(t, TensorBase):
            raise TypeError(
                f"block_diag(): argument 'tensors' must be tuple of Tensors, but found element of type "
                f"{type(t).__name__} at pos {k}"
            )
        if lib.ad_ndim(t._h) > 2:
            raise RuntimeError(
                f"torch.block_diag: Input tensors must have 2 or fewer dimensions. Input {k} has "
                f"{lib.ad_ndim(t._h)} dimensions"
            )
        blocks.append(views.atleast_2d(t))
    code = None
    for t in blocks:
        code = t.dtype.code if code is None else creation.promote_codes(code, t.dtype.code)
    d, at, total = _dtype.DTYPES[code], 0, sum(shape_of(t)[1] for t in blocks)
    for t in blocks:
        r, c = shape_of(t)
        rows.append(views.cat([creation.zeros(r, at, dtype=d), t, creation.zeros(r, total - at - c, dtype=d)], 1))
        at += c
    return views.cat(rows, 0)


# ---- combinations ----


def meshgrid(*tensors, indexing=None):
    """For vectors (or numbers) x, y, ...: tensors of size len(x), len(y), ... in which each runs along its own
    dimension. indexing="xy" exchanges the first two dimensions."""
    if len(tensors) == 1 and isinstance(tensors[0], (list, tuple)):
        tensors = tuple(tensors[0])
    if not tensors:
        raise TypeError("meshgrid(): expected at least one tensor")
    if indexing not in (None, "ij", "xy"):
        raise RuntimeError(f'torch.meshgrid: indexing must be one of "xy" or "ij", but received: {indexing}')
    for t in tensors:
        if not isinstance(t, TensorBase):
            raise not_a_tensor("meshgrid", t, "tensors")
        if lib.ad_ndim(t._h) > 1:
            raise RuntimeError(
                f"torch.meshgrid: Expected 0D or 1D tensor in the tensor list but got: {tuple(shape_of(t))}"
            )
        if t.dtype is not tensors[0].dtype:
            raise RuntimeError("torch.meshgrid expects all tensors to have the same dtype")
    swap = indexing == "xy" and len(tensors) >= 2
    if swap:
        tensors = (tensors[1], tensors[0], *tensors[2:])
    size, n = [t.numel() for t in tensors], len(tensors)
    grids = [
        listed(_EXPAND, views.reshape(t, [1] * k + [-1] + [1] * (n - k - 1)), size)
        if t.numel()
        else listed(_EXPAND, views.reshape(t, [1] * k + [0] + [1] * (n - k - 1)), size)
        for k, t in enumerate(tensors)
    ]
    if swap:
        grids[0], grids[1] = grids[1], grids[0]
    return tuple(grids)


def cartesian_prod(*tensors):
    """All ways to take one element of each vector, a row each."""
    if len(tensors) == 1 and isinstance(tensors[0], (list, tuple)):
        tensors = tuple(tensors[0])
    if not tensors:
        raise TypeError("cartesian_prod(): expected at least one tensor")
    for t in tensors:
        if not isinstance(t, TensorBase):
            raise not_a_tensor("cartesian_prod", t, "tensors")
        if lib.ad_ndim(t._h) != 1:
            raise RuntimeError(f"Expect a 1D vector, but got shape {shape_of(t)}")
    if len(tensors) == 1:
        return tensors[0]
    return views.stack([views.flatten(g) for g in meshgrid(*tensors, indexing="ij")], 1)


def combinations(input, r=2, with_replacement=False):
    """All ways to take r elements of a vector in its order, a row each."""
    if not isinstance(input, TensorBase):
        raise not_a_tensor("combinations", input)
    if lib.ad_ndim(input._h) != 1:
        raise RuntimeError(f"Expect a 1D vector, but got shape {shape_of(input)}")
    if r < 0:
        raise RuntimeError(f"Expect a non-negative number, but got {r}")
    if r == 0:
        return creation.empty(0, dtype=input.dtype)
    n = input.numel()
    if r == 2:
        index = np.stack(np.triu_indices(n, 0 if with_replacement else 1), 1).ravel()
    else:
        make = itertools.combinations_with_replacement if with_replacement else itertools.combinations
        index = np.fromiter(itertools.chain.from_iterable(make(range(n), r)), np.int64)
    index = from_data.tensor(index)
    return views.reshape(input.index_select(0, index), (index.numel() // r, r))


def vander(x, N=None, increasing=False):
    """The powers 0 to N - 1 (default: as many as elements) of each element of a vector, in columns."""
    if not isinstance(x, TensorBase):
        raise not_a_tensor("vander", x, "x")
    if lib.ad_ndim(x._h) != 1:
        raise RuntimeError("x must be a one-dimensional tensor.")
    N = x.numel() if N is None else N
    if N < 0:
        raise RuntimeError("N must be non-negative.")
    if not x.dtype.is_floating_point:
        x = x.long()
    if not N:
        return creation.empty(x.numel(), 0, dtype=x.dtype)
    columns = [creation.ones_like(x)]
    while len(columns) < N:
        columns.append(columns[-1] * x)
    return views.stack(columns if increasing else columns[::-1], 1)


# ---- copies of views ----


def _copied(view):
    def copy(input, *args, **kwargs):
        y = view(input, *args, **kwargs)
        copies = [views.clone(t) for t in ((y,) if isinstance(y, TensorBase) else y)]
        return copies[0] if isinstance(y, TensorBase) else tuple(copies)

    copy.__name__ = copy.__qualname__ = view.__name__ + "_copy"
    copy.__doc__ = f"A copy of what {view.__name__}() shows."
    return copy


view_copy, permute_copy, transpose_copy, t_copy = map(_copied, (views.view, views.permute, views.transpose, views.t))
squeeze_copy, unsqueeze_copy, expand_copy = map(_copied, (views.squeeze, views.unsqueeze, views.expand))
select_copy, slice_copy, unfold_copy = map(_copied, (views.select, views.slice_, views.unfold))
diagonal_copy, as_strided_copy, detach_copy = map(_copied, (views.diagonal, views.as_strided, views.detach))
split_copy, split_with_sizes_copy, unbind_copy = map(_copied, (views.split, views.split_with_sizes, views.unbind))


def alias_copy(input):
    """clone()."""
    return views.clone(input)


def unsafe_chunk(input, chunks, dim=0):
    """chunk()."""
    return views.chunk(input, chunks, dim)


def unsafe_split(tensor, split_size, dim=0):
    """split()."""
    return views.split(tensor, split_size, dim)


def unsafe_split_with_sizes(input, split_sizes, dim=0):
    """split_with_sizes()."""
    return views.split_with_sizes(input, split_sizes, dim)


# ---- the storage itself ----


def resize_(self, *sizes, memory_format=None):
    """The same storage (made larger where needed) in other sizes, contiguous. RuntimeError for tensors that require
    grad."""
    if lib.ad_requires_grad(self._h):
        raise RuntimeError("cannot resize variables that require grad")
    size = creation.check_sizes(sizes, "resize_")
    if lib.ad_resize(self._h, size, len(size)) < 0:
        _call.fail()
    return self


def resize_as_(self, the_template, memory_format=None):
    """resize_() to another tensor's sizes."""
    return resize_(self, shape_of(the_template))


def set_(self, source=None, storage_offset=0, size=None, stride=None):
    """This tensor becomes another handle to source's memory: a tensor, or a storage with offset, sizes and strides."""
    if source is None:
        source = creation.empty(0, dtype=self.dtype)
    if not isinstance(source, TensorBase):
        flat = source.as_tensor(self.dtype)
        size = (flat.numel(),) if size is None else size
        source = flat
    elif source.dtype is not self.dtype:
        raise RuntimeError(f"Could not set tensor of type {source.dtype} to a tensor of type {self.dtype}")
    if size is None:
        if lib.ad_set_data(self._h, source._h) < 0:
            _call.fail()
        return self
    size = _call.sizes((size,))
    stride = creation.contiguous_strides(size) if stride is None else _call.sizes((stride,))
    if len(stride) != len(size):
        raise RuntimeError(f"set_(): size {list(size)} and stride {list(stride)} have different lengths")
    if lib.ad_set_strided(self._h, source._h, storage_offset, size, stride, len(size)) < 0:
        _call.fail()
    return self


def unravel_index(indices, shape):
    """The coordinates, a tensor for each dimension, of flat indices into a tensor of the given shape."""
    if not isinstance(indices, TensorBase):
        raise not_a_tensor("unravel_index", indices, "indices")
    if indices.dtype.is_floating_point or indices.dtype is _dtype.bool_:
        raise ValueError(f"expected 'indices' to be integer dtype, but got {indices.dtype}")
    shape = (shape,) if hasattr(shape, "__index__") else tuple(shape)
    if any(not hasattr(s, "__index__") or s < 0 for s in shape):
        raise ValueError(f"'shape' cannot have negative or non-integer values, but got {shape}")
    found, rest = [], indices.long()
    for s in reversed(shape):
        found.append(rest % s)
        rest = rest // s
    return tuple(reversed(found))
