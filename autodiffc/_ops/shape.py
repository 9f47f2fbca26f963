"""Views, and operations that only move elements: one function each, with PyTorch's signature."""

from .. import _dtype
from .._core import OP, TensorBase, joined, wrap, wrap_results
from .._dtype import Size
from .._native import ffi, lib
from . import _call
from ._call import ints, listed, not_a_tensor

_VIEW, _TRANSPOSE, _PERMUTE, _EXPAND = OP["view"], OP["transpose"], OP["permute"], OP["expand"]
_SQUEEZE, _UNSQUEEZE, _SELECT, _SLICE = OP["squeeze"], OP["unsqueeze"], OP["select"], OP["slice"]
_DIAGONAL, _UNFOLD, _SPLIT, _AS_STRIDED = OP["diagonal"], OP["unfold"], OP["split"], OP["as_strided"]
_CAT, _STACK = OP["cat"], OP["stack"]
_LONG = 1 << 63


def shape_of(t, name="size", argument="other"):
    """The sizes of t; TypeError for what is no Tensor."""
    try:
        h = t._h
    except AttributeError:
        raise not_a_tensor(name, t, argument) from None
    return ffi.unpack(lib.ad_sizes(h), lib.ad_ndim(h))


def ndim_of(t, name):
    """The number of dimensions of t; TypeError for what is no Tensor."""
    try:
        return lib.ad_ndim(t._h)
    except AttributeError:
        raise not_a_tensor(name, t) from None


def wrapped_dim(dim, ndim):
    """A dimension counted from the front; IndexError when it is out of range."""
    n = ndim or 1
    if type(dim) is not int:
        dim = _call.integer(dim)
    if not -n <= dim < n:
        raise IndexError(f"Dimension out of range (expected to be in range of [{-n}, {n - 1}], but got {dim})")
    return dim % n


def wrapped_dim_of_scalar(dim):
    raise IndexError(f"Dimension specified as {dim} but tensor has no dimensions")


# ---- the same elements in other sizes ----


def view(self, *shape, size=None, dtype=None):
    """The same memory in other sizes (one may be -1), or read as another dtype. RuntimeError when it would need a
    copy."""
    if dtype is not None or (len(shape) == 1 and isinstance(shape[0], _dtype.dtype)):
        return ints(_VIEW_DTYPE, self, (dtype or shape[0]).code)
    return listed(_VIEW, self, _call.sizes((size,) if size is not None else shape))


_VIEW_DTYPE = OP["view_dtype"]


def view_as(self, other):
    """view(other.size())."""
    return listed(_VIEW, self, shape_of(other, "view_as"))


def reshape(input, *shape_args, shape=None):
    """input in other sizes (one may be -1): a view where the strides allow one, else a copy."""
    if not isinstance(input, TensorBase):
        raise not_a_tensor("reshape", input)
    size = _call.sizes(shape_args if shape is None else (shape,))
    return wrap(lib.ad_reshape(input._h, size, len(size)))


def reshape_as(self, other):
    """reshape(other.size())."""
    return reshape(self, shape_of(other, "reshape_as"))


def flatten(input, start_dim=0, end_dim=-1):
    """The dimensions from start_dim to end_dim joined into one."""
    if not isinstance(input, TensorBase):
        raise not_a_tensor("flatten", input)
    size = shape_of(input)
    start, end = wrapped_dim(start_dim, len(size)), wrapped_dim(end_dim, len(size))
    if start > end:
        raise RuntimeError("flatten() has invalid args: start_dim cannot come after end_dim")
    if not size:
        return reshape(input, (1,))
    if start == end:
        return input
    n = 1
    for s in size[start : end + 1]:
        n *= s
    return reshape(input, [*size[:start], n, *size[end + 1 :]])


def unflatten(input, dim, sizes):
    """Dimension dim split into the given sizes, one of which may be -1."""
    size = shape_of(input, "unflatten", "input")
    dim = wrapped_dim(dim, len(size))
    sizes = list(_call.sizes((sizes,)))
    if not sizes:
        raise RuntimeError("unflatten: sizes must be non-empty")
    known, hole = 1, sizes.count(-1)
    for s in sizes:
        known *= s if s != -1 else 1
    if hole > 1:
        raise RuntimeError("only one dimension can be inferred")
    have = size[dim] if size else 1
    if (hole == 0 and known != have) or (hole and (known <= 0 or have % known)):
        raise RuntimeError(
            f"unflatten: Provided sizes {sizes} don't multiply up to the size of dim {dim} ({have}) in the input tensor"
        )
    if hole:
        sizes[sizes.index(-1)] = have // known
    return listed(_VIEW, input, [*size[:dim], *sizes, *size[dim + 1 :]])


def ravel(input):
    """reshape(-1)."""
    return reshape(contiguous(input), (-1,))


def contiguous(self, memory_format=_dtype.contiguous_format):
    """self when it lies in memory in its own order, else a copy that does."""
    if not isinstance(self, TensorBase):
        raise not_a_tensor("contiguous", self)
    h = self._h
    if memory_format is _dtype.contiguous_format:
        return self if lib.ad_is_contiguous(h) else _call.unary(_CONTIGUOUS, self)
    return clone(self, memory_format=memory_format) if not is_contiguous(self, memory_format) else self


def is_contiguous(self, memory_format=_dtype.contiguous_format) -> bool:
    """Whether the elements lie in memory in the order of the dimensions (or of the memory format)."""
    if memory_format is _dtype.contiguous_format:
        return bool(lib.ad_is_contiguous(self._h))
    if memory_format is _dtype.preserve_format:
        raise RuntimeError("preserve memory format is unsupported by the contiguous operator")
    ndim = 4 if memory_format is _dtype.channels_last else 5
    size = shape_of(self)
    if len(size) != ndim:
        return False
    step, strides = 1, ffi.unpack(lib.ad_strides(self._h), ndim)
    for d in (1, *range(ndim - 1, 1, -1), 0):
        if size[d] != 1 and strides[d] != step:
            return False
        step *= size[d]
    return True


_CONTIGUOUS, _CLONE = OP["contiguous"], OP["clone"]


def clone(input, *, memory_format=_dtype.preserve_format):
    """A copy; gradients flow through it."""
    if memory_format in (_dtype.channels_last, _dtype.channels_last_3d):
        order = (0, *range(2, 4 if memory_format is _dtype.channels_last else 5), 1)
        size = shape_of(input)
        if len(size) != len(order):
            raise RuntimeError(f"required rank {len(order)} tensor to use {memory_format.name} format")
        back = sorted(range(len(order)), key=order.__getitem__)
        return permute(clone(permute(input, order), memory_format=_dtype.contiguous_format), back)
    return ints(_CLONE, input, memory_format is _dtype.contiguous_format)


def detach(input):
    """The same memory outside the graph."""
    if not isinstance(input, TensorBase):
        raise not_a_tensor("detach", input)
    return wrap(lib.ad_detach(input._h, 1))


# ---- permutations ----


def permute(input, *dims_args, dims=None):
    """The dimensions in another order."""
    return listed(_PERMUTE, input, _call.sizes(dims_args if dims is None else (dims,)))


def transpose(input, dim0, dim1):
    """Two dimensions exchanged."""
    return ints(_TRANSPOSE, input, dim0, dim1)


def swapaxes(input, axis0, axis1):
    """transpose()."""
    return ints(_TRANSPOSE, input, axis0, axis1)


def swapdims(input, dim0, dim1):
    """transpose()."""
    return ints(_TRANSPOSE, input, dim0, dim1)


def t(input):
    """The transpose of a matrix; tensors of fewer dimensions as they are. RuntimeError for more."""
    if not isinstance(input, TensorBase):
        raise not_a_tensor("t", input)
    n = lib.ad_ndim(input._h)
    if n > 2:
        raise RuntimeError(f"t() expects a tensor with <= 2 dimensions, but self is {n}D")
    return ints(_TRANSPOSE, input, 0, n - 1 if n else 0)


def adjoint(input):
    """The last two dimensions exchanged."""
    if ndim_of(input, "adjoint") < 2:
        raise RuntimeError(
            "tensor.adjoint() is only supported on matrices or batches of matrices. Got "
            f"{lib.ad_ndim(input._h)}-D tensor."
        )
    return ints(_TRANSPOSE, input, -2, -1)


def T(self):
    """The dimensions in reverse order."""
    n = lib.ad_ndim(self._h)
    return listed(_PERMUTE, self, [*range(n - 1, -1, -1)]) if n != 2 else ints(_TRANSPOSE, self, 0, 1)


def mT(self):
    """The last two dimensions exchanged."""
    if lib.ad_ndim(self._h) < 2:
        raise RuntimeError(
            f"tensor.mT is only supported on matrices or batches of matrices. Got {lib.ad_ndim(self._h)}-D tensor."
        )
    return ints(_TRANSPOSE, self, -2, -1)


def H(self):
    """The transpose of a matrix (of a 0-d tensor: itself)."""
    if lib.ad_ndim(self._h) not in (0, 2):
        raise RuntimeError(
            f"tensor.H is only supported on matrices (2-D tensors). Got {lib.ad_ndim(self._h)}-D tensor."
        )
    return ints(_TRANSPOSE, self, 0, -1)


def mH(self):
    """mT."""
    return mT(self)


def movedim(input, source, destination):
    """Dimensions moved to new places; the others keep their order."""
    if not isinstance(input, TensorBase):
        raise not_a_tensor("movedim", input)
    n = lib.ad_ndim(input._h)
    if hasattr(source, "__index__") != hasattr(destination, "__index__"):
        raise TypeError(f"movedim(): source and destination must both be integers, or both tuples, not {source} and "
                        f"{destination}")
    source = (source,) if hasattr(source, "__index__") else tuple(source)
    destination = (destination,) if hasattr(destination, "__index__") else tuple(destination)
    if len(source) != len(destination):
        raise RuntimeError(
            "movedim: Invalid source or destination dims: source "
            f"({list(source)} dims) should contain the same number of dims as destination ({list(destination)} dims)"
        )
    source, destination = [wrapped_dim(d, n) for d in source], [wrapped_dim(d, n) for d in destination]
    if len(set(source)) != len(source):
        raise RuntimeError(f"movedim: repeated dim in `source` ({source})")
    if len(set(destination)) != len(destination):
        raise RuntimeError(f"movedim: repeated dim in `destination` ({destination})")
    order, rest = [None] * n, iter([d for d in range(n) if d not in source])
    for s, d in zip(source, destination):
        if n:
            order[d] = s
    return listed(_PERMUTE, input, [next(rest) if d is None else d for d in order])


def moveaxis(input, source, destination):
    """movedim()."""
    return movedim(input, source, destination)


# ---- broadcasting ----


def expand(self, *sizes, size=None, implicit=False):
    """A view in which dimensions of size 1 are repeated to the given sizes; -1 keeps one."""
    return listed(_EXPAND, self, _call.sizes(sizes if size is None else (size,)))


def expand_as(self, other):
    """expand(other.size())."""
    return listed(_EXPAND, self, shape_of(other, "expand_as"))


def broadcast_to(input, size):
    """expand(size)."""
    return listed(_EXPAND, input, _call.sizes((size,)))


def broadcast_shapes(*shapes):
    """The common shape of several, as torch.Size. RuntimeError when they do not broadcast."""
    out = []
    for shape in shapes:
        shape = (shape,) if hasattr(shape, "__index__") else tuple(shape)
        out = [1] * (len(shape) - len(out)) + out
        for k in range(1, len(shape) + 1):
            if shape[-k] < 0:
                raise RuntimeError(f"Trying to create tensor with negative dimension ({shape[-k]}): ({shape[-k]})")
            if out[-k] == 1:
                out[-k] = shape[-k]
            elif shape[-k] not in (1, out[-k]):
                given = ", ".join(str([s] if hasattr(s, "__index__") else list(s)) for s in shapes)
                raise RuntimeError(f"Shape mismatch: objects cannot be broadcast to a single shape: {given}")
    return Size(out)


def broadcast_tensors(*tensors):
    """The tensors, each expanded to their common shape."""
    if len(tensors) == 1 and isinstance(tensors[0], (list, tuple)):
        tensors = tuple(tensors[0])
    shape = list(broadcast_shapes(*[shape_of(t, "broadcast_tensors", "tensors") for t in tensors]))
    return tuple(listed(_EXPAND, t, shape) for t in tensors)


# ---- dimensions of size 1 ----


def squeeze(input, dim=None, *, axis=None):
    """Without the dimensions of size 1: all of them, one, or several."""
    if axis is not None:
        dim = axis
    if dim is None:
        return listed(_SQUEEZE, input, (), 1)
    return listed(_SQUEEZE, input, (dim,) if hasattr(dim, "__index__") else _distinct(dim, input))


def _distinct(dims, t):
    n = ndim_of(t, "squeeze")
    found = [wrapped_dim(d, n) for d in dims]
    for k, d in enumerate(found):
        if d in found[:k]:
            raise RuntimeError(f"dim {d} appears multiple times in the list of dims")
    return found


def unsqueeze(input, dim=None, *, axis=None):
    """With a dimension of size 1 put in at dim."""
    if dim is None:
        dim = _call.named_dim("unsqueeze", axis)
    return ints(_UNSQUEEZE, input, dim)


def _at_least(n, tensors, widen):
    if len(tensors) == 1 and isinstance(tensors[0], (list, tuple)):
        tensors = tuple(tensors[0])
    done = tuple(t if ndim_of(t, f"atleast_{n}d") >= n else widen(t) for t in tensors)
    return done[0] if len(done) == 1 else done


def atleast_1d(*tensors):
    """Each tensor with at least one dimension."""
    return _at_least(1, tensors, lambda t: reshape(t, (1,)))


def atleast_2d(*tensors):
    """Each tensor with at least two dimensions, new ones in front."""
    return _at_least(2, tensors, lambda t: reshape(t, (1, 1)) if not lib.ad_ndim(t._h) else unsqueeze(t, 0))


def atleast_3d(*tensors):
    """Each tensor with at least three dimensions: a vector becomes 1 x n x 1, a matrix n x m x 1."""

    def widen(t):
        n = lib.ad_ndim(t._h)
        return reshape(t, (1, 1, 1)) if n == 0 else unsqueeze(unsqueeze(t, 0), -1) if n == 1 else unsqueeze(t, -1)

    return _at_least(3, tensors, widen)


# ---- parts ----


def select(input, dim, index):
    """The slice at one index of a dimension."""
    return ints(_SELECT, input, dim, index)


def narrow(input, dim, start, length):
    """length elements of a dimension from start on."""
    if not isinstance(input, TensorBase):
        raise not_a_tensor("narrow", input)
    n = lib.ad_ndim(input._h)
    if not n:
        raise RuntimeError("narrow() cannot be applied to a 0-dim tensor.")
    if isinstance(start, TensorBase):
        if lib.ad_ndim(start._h) or start.dtype.is_floating_point or start.dtype is _dtype.bool_:
            raise RuntimeError("start must be an 0-dim integral Tensor.")
        start = start.item()
    size = shape_of(input)[wrapped_dim(dim, n)]
    if length < 0:
        raise RuntimeError("narrow(): length must be non-negative.")
    if not -size <= start <= size:
        raise IndexError(f"start out of range (expected to be in range of [{-size}, {size}], but got {start})")
    if start < 0:
        start += size
    if start > size - length:
        raise RuntimeError(f"start ({start}) + length ({length}) exceeds dimension size ({size}).")
    return ints(_SLICE, input, dim, start, start + length)


def narrow_copy(input, dim, start, length):
    """clone(narrow(...))."""
    return clone(narrow(input, dim, start, length))


def slice_(input, dim, start, end, step=1):
    """start:end:step of one dimension, as indexing with a slice gives it."""
    if not isinstance(input, TensorBase):
        raise not_a_tensor("slice", input)
    h = lib.ad_opn(_SLICE, (input._h,), 1, (dim, start, end, step), 4, (), 0, (), 0)
    return wrap(h)


def unbind(input, dim=0, *, axis=None):
    """All slices of a dimension, as a tuple."""
    if axis is not None:
        dim = axis
    if not isinstance(input, TensorBase):
        raise not_a_tensor("unbind", input)
    if not lib.ad_ndim(input._h):
        raise IndexError("Dimension specified as 0 but tensor has no dimensions")
    return wrap_results(lib.ad_op1l(_SPLIT, input._h, (), 0, dim, 1))


def split_with_sizes(input, split_sizes, dim=0):
    """Parts of the given sizes along a dimension; they must sum to its size."""
    if not isinstance(input, TensorBase):
        raise not_a_tensor("split_with_sizes", input)
    split_sizes = _call.sizes((split_sizes,))
    return wrap_results(lib.ad_op1l(_SPLIT, input._h, split_sizes, len(split_sizes), dim, 0))


def split(tensor, split_size_or_sections, dim=0):
    """Parts of one size (the last may be smaller), or of the given sizes, along a dimension."""
    if not isinstance(tensor, TensorBase):
        raise not_a_tensor("split", tensor, "tensor")
    if not hasattr(split_size_or_sections, "__index__"):
        return split_with_sizes(tensor, split_size_or_sections, dim)
    step, n = int(split_size_or_sections), lib.ad_ndim(tensor._h)
    if not n:
        raise RuntimeError("split expects at least a 1-dimensional tensor")
    size = shape_of(tensor)[wrapped_dim(dim, n)]
    if step < 0:
        raise RuntimeError(f"split expects split_size be non-negative, but got split_size={step}")
    if step == 0 and size:
        raise RuntimeError(f"split_size can only be 0 if dimension size is 0, but got dimension size of {size}")
    sizes = [step] * (size // step) + [size % step] * (size % step > 0) if step else []
    return split_with_sizes(tensor, sizes or [size], dim)


def chunk(input, chunks, dim=0, *, axis=None):
    """At most `chunks` parts of one size (the last may be smaller) along a dimension."""
    if axis is not None:
        dim = axis
    if not isinstance(input, TensorBase):
        raise not_a_tensor("chunk", input)
    n = lib.ad_ndim(input._h)
    if not n:
        raise RuntimeError("chunk expects at least a 1-dimensional tensor")
    if chunks <= 0:
        raise RuntimeError(f"chunk expects `chunks` to be greater than 0, got: {chunks}")
    size = shape_of(input)[wrapped_dim(dim, n)]
    step = (size + chunks - 1) // chunks
    if step == 0:
        return split_with_sizes(input, [0] * chunks, dim)
    return split(input, step, dim)


def tensor_split(input, indices_or_sections, dim=0, *, axis=None):
    """A dimension cut into n parts whose sizes differ by at most one, or cut at the given indices."""
    if axis is not None:
        dim = axis
    if not isinstance(input, TensorBase):
        raise not_a_tensor("tensor_split", input)
    n = lib.ad_ndim(input._h)
    if not n:
        raise RuntimeError("tensor_split expected at least a 1-dimensional tensor, but got a tensor with 0 dims")
    dim = wrapped_dim(dim, n)
    size = shape_of(input)[dim]
    cuts = indices_or_sections
    if isinstance(cuts, TensorBase):
        if cuts.dtype is not _dtype.int64:
            raise RuntimeError(
                f"tensor_split expected tensor_indices_or_sections to have dtype of long, but got {cuts.dtype}"
            )
        if lib.ad_ndim(cuts._h) > 1:
            raise RuntimeError(
                "tensor_split expected tensor_indices_or_sections to be a zero-dimensional or "
                f"one-dimensional tensor, but got a tensor with {lib.ad_ndim(cuts._h)} dims"
            )
        cuts = cuts.tolist()
    if hasattr(cuts, "__index__"):
        cuts = int(cuts)
        if cuts <= 0:
            raise RuntimeError(f"number of sections must be larger than 0, got {cuts}")
        if cuts >= 1 << 31:
            raise RuntimeError(f"number of sections is too large: {cuts}")
        small, extra = divmod(size, cuts)
        return split_with_sizes(input, [small + (k < extra) for k in range(cuts)], dim)
    edges = [0, *_call.sizes((cuts,)), size]
    return tuple(
        slice_(input, dim, a, b) if k + 2 < len(edges) else slice_(input, dim, a, _LONG - 1)
        for k, (a, b) in enumerate(zip(edges, edges[1:]))
    )


def _dsplit(name, input, indices_or_sections, dim, least):
    n = ndim_of(input, name)
    if n < least:
        raise RuntimeError(
            f"torch.{name} requires a tensor with at least {least} dimension{'s' * (least > 1)}, but got a "
            f"tensor with {n} dimensions!"
        )
    if hasattr(indices_or_sections, "__index__") and not isinstance(indices_or_sections, TensorBase):
        size = shape_of(input)[dim]
        if indices_or_sections <= 0 or size % indices_or_sections:
            raise RuntimeError(
                f"torch.{name} attempted to split along dimension {dim}, but the size of the dimension {size} "
                f"is not divisible by the split_size {indices_or_sections}!"
            )
    return tensor_split(input, indices_or_sections, dim)


def hsplit(input, indices_or_sections):
    """tensor_split() along dimension 1 (0 for vectors), in equal parts."""
    return _dsplit("hsplit", input, indices_or_sections, 0 if ndim_of(input, "hsplit") == 1 else 1, 1)


def vsplit(input, indices_or_sections):
    """tensor_split() along dimension 0, in equal parts."""
    return _dsplit("vsplit", input, indices_or_sections, 0, 2)


def dsplit(input, indices_or_sections):
    """tensor_split() along dimension 2, in equal parts."""
    return _dsplit("dsplit", input, indices_or_sections, 2, 3)


def unfold(self, dimension, size, step):
    """Windows of `size` elements of a dimension, `step` apart, in a new last dimension."""
    return ints(_UNFOLD, self, dimension, size, step)


def diagonal(input, offset=0, dim1=0, dim2=1):
    """A view of a diagonal of two dimensions, in a new last dimension."""
    return ints(_DIAGONAL, input, offset, dim1, dim2)


def as_strided(input, size, stride, storage_offset=None):
    """A view of the storage with any sizes, strides and offset. RuntimeError beyond the storage."""
    return wrap(_as_strided(_AS_STRIDED, (input,), size, stride, storage_offset))


def _as_strided(op, tensors, size, stride, storage_offset):
    input = tensors[0]
    if not isinstance(input, TensorBase):
        raise not_a_tensor("as_strided", input)
    size, stride = list(size), list(stride)
    if len(size) != len(stride):
        raise RuntimeError(f"mismatch in length of strides and shape: {len(stride)} and {len(size)}")
    if not isinstance(tensors[-1], TensorBase):
        raise not_a_tensor("as_strided_scatter", tensors[-1], "src", 2)
    h, n = input._h, lib.ad_ndim(input._h)
    own = lib.ad_offset(h)
    dims = [*size, *stride, *shape_of(input), *ffi.unpack(lib.ad_strides(h), n)]
    offset = own if storage_offset is None else storage_offset
    return lib.ad_opn(op, [t._h for t in tensors], len(tensors), (len(size), offset, n, own), 4, (), 0, dims, len(dims))


def as_strided_scatter(input, src, size, stride, storage_offset=None):
    """A copy of input with src written where as_strided(size, stride, storage_offset) would show."""
    return wrap(_as_strided(OP["as_strided_scatter"], (input, src), size, stride, storage_offset))


# ---- joining ----


def _tensor_list(name, tensors, argument="tensors"):
    if not isinstance(tensors, (list, tuple)):
        raise TypeError(
            f"{name}(): argument '{argument}' (position 1) must be tuple of Tensors, not {type(tensors).__name__}"
        )
    for k, t in enumerate(tensors):
        if not isinstance(t, TensorBase):
            raise TypeError(f"expected Tensor as element {k} in argument 0, but got {type(t).__name__}")
    return tensors


def joined_form(op, tensors, dim):
    """What joined(op, tensors, dim), the core's cat and stack, does with many tensors and with what is no list of
    them."""
    tensors = _tensor_list("cat" if op == _CAT else "stack", tensors)
    dim = _call.integer(dim)
    handles = [t._h for t in tensors]
    return wrap(lib.ad_opn(op, handles, len(handles), (dim,), 1, (), 0, (), 0))


def cat(tensors, dim=0, *, out=None, axis=None):
    """The tensors one after the other along a dimension; their other sizes must agree."""
    y = joined(_CAT, tensors, dim if axis is None else axis)
    if out is None:
        return y
    if not isinstance(out, TensorBase):
        raise TypeError(f"cat(): argument 'out' must be Tensor, not {type(out).__name__}")
    if any(lib.ad_overlaps(t._h, out._h) for t in tensors):
        raise RuntimeError(
            "unsupported operation: the input tensors cannot refer to any of the output memory locations. "
            "Found overlap in an input tensor"
        )
    return _call.copied(y, out)


def concat(tensors, dim=0, *, out=None, axis=None):
    """cat()."""
    if axis is not None:
        dim = axis
    return cat(tensors, dim, out=out)


def concatenate(tensors, axis=0, out=None, *, dim=None):
    """cat()."""
    return cat(tensors, axis if dim is None else dim, out=out)


def stack(tensors, dim=0, *, out=None, axis=None):
    """The tensors, of one size, side by side in a new dimension."""
    y = joined(_STACK, tensors, dim if axis is None else axis)
    return y if out is None else _call.copied(y, out)


def hstack(tensors, *, out=None):
    """cat() along dimension 1 (0 for vectors)."""
    tensors = [atleast_1d(t) for t in _tensor_list("hstack", tensors)]
    return cat(tensors, 0 if tensors and lib.ad_ndim(tensors[0]._h) == 1 else 1, out=out)


def vstack(tensors, *, out=None):
    """cat() of matrices along dimension 0; vectors become rows."""
    return cat([atleast_2d(t) for t in _tensor_list("vstack", tensors)], 0, out=out)


def row_stack(tensors, *, out=None):
    """vstack()."""
    return vstack(tensors, out=out)


def dstack(tensors, *, out=None):
    """cat() along dimension 2 of tensors of at least three dimensions."""
    return cat([atleast_3d(t) for t in _tensor_list("dstack", tensors)], 2, out=out)


def column_stack(tensors, *, out=None):
    """hstack() that makes vectors into columns."""
    columns = [t if lib.ad_ndim(t._h) > 1 else reshape(t, (-1, 1)) for t in _tensor_list("column_stack", tensors)]
    return hstack(columns, out=out)
