"""SparseTensor: indices and values in coordinates."""

import math

from .. import _dtype
from .._core import SparseOperand, TensorBase
from .._dtype import Size
from .._ops import _call, creation, distinct, from_data, reduce
from .._ops import sparse as methods
from ..tensor import Tensor


class SparseTensor(Tensor):
    """A tensor of given sizes, zero except at `indices` (sparse_dim, nnz), where `values` (nnz, *dense) stand.

    Indices may repeat until coalesce(); then values add up. It has no memory of its own in the core: what is not
    defined here raises NotImplementedError.
    """

    __slots__ = ()
    _dense = False

    def __new__(cls, *args, **kwargs):
        """TypeError: sparse tensors are made by sparse_coo_tensor() and to_sparse()."""
        raise TypeError("SparseTensor() makes no tensor; call sparse_coo_tensor() or to_sparse()")

    @property
    def _h(self):
        raise SparseOperand("this operation is not supported for sparse tensors; convert with to_dense(), or work on "
                            "values()")

    # ---- description ----

    shape = property(lambda self: self._size)
    dtype = property(lambda self: self._held.dtype)
    ndim = property(lambda self: len(self._size))
    layout = property(lambda self: _dtype.sparse_coo)
    is_sparse = property(lambda self: True)
    is_leaf = property(lambda self: self._held.is_leaf)
    grad_fn = property(lambda self: self._held.grad_fn)
    nbytes = property(lambda self: self._held.nbytes + self._at.nbytes)
    real = property(lambda self: self)
    data = property(lambda self: self.detach())

    def size(self, dim=None):
        """The sizes, or the size of one dimension."""
        return self._size if dim is None else self._size[dim]

    def dim(self):
        """The number of dimensions."""
        return len(self._size)

    ndimension = dim

    def numel(self):
        """The number of elements, zeros included."""
        return math.prod(self._size)

    nelement = numel

    def sparse_dim(self):
        """The number of dimensions that indices name."""
        return self._at.shape[0]

    def dense_dim(self):
        """The number of dimensions that each value has."""
        return len(self._size) - self._at.shape[0]

    def _nnz(self):
        return self._at.shape[1]

    def is_coalesced(self):
        """Whether indices are known to be in rising order, each once."""
        return self._sorted

    def is_floating_point(self):
        return self._held.dtype.is_floating_point

    def is_contiguous(self, memory_format=None):
        return False

    def __len__(self):
        return self._size[0]

    def __repr__(self, *, tensor_contents=None):
        grad = ", requires_grad=True" if self.requires_grad else ""
        kind = "" if self.dtype in (_dtype.float32, _dtype.int64, _dtype.bool_) else f", dtype={self.dtype}"
        return (f"tensor(indices={_indented(self._at, 15)},\n       values={_indented(self._held.detach(), 14)},\n"
                f"       size={tuple(self._size)}, nnz={self._nnz()}{kind}, layout=torch.sparse_coo{grad})")

    def __format__(self, spec):
        return repr(self)

    # ---- indices and values ----

    def indices(self):
        """The indices (sparse_dim, nnz). RuntimeError before coalesce()."""
        self._need_coalesced("indices")
        return self._at

    def values(self):
        """The values (nnz, *dense). RuntimeError before coalesce()."""
        self._need_coalesced("values")
        return self._held

    def _need_coalesced(self, name):
        if not self._sorted:
            raise RuntimeError(f"Cannot get {name} on an uncoalesced tensor, please call .coalesce() first")

    def _indices(self):
        return self._at

    def _values(self):
        return self._held

    def _flat(self):
        """The position of each value among the sparse dimensions, in row-major order."""
        flat = creation.zeros(self._nnz(), dtype=_dtype.int64)
        for d, n in enumerate(self._size[: self.sparse_dim()]):
            flat = flat * n + self._at[d]
        return flat

    def coalesce(self):
        """The same with indices in rising order, each once: values of equal indices added up."""
        if self._sorted:
            return self
        flat, slot = distinct.unique(self._flat(), return_inverse=True)
        rows = []
        for n in reversed(self._size[: self.sparse_dim()]):
            rows.append(flat % n)
            flat = flat // n
        at = self._at.new_empty((len(rows), slot.shape[0] and rows[0].shape[0]))
        for d, row in enumerate(reversed(rows)):
            at[d] = row
        sums = self._held.new_zeros((at.shape[1], *self._held.shape[1:])).index_add(0, slot, self._held)
        return make(at, sums, self._size, True)

    def to_dense(self, dtype=None, *, masked_grad=None):
        """The dense tensor."""
        kept = self.sparse_dim()
        values = self._held if dtype is None else self._held.to(dtype)
        flat = values.new_zeros((math.prod(self._size[:kept]), *self._size[kept:]))
        return flat.index_add(0, self._flat(), values).reshape(self._size)

    def to_sparse(self, *args, **kwargs):
        """This tensor."""
        return self

    to_sparse_coo = to_sparse

    def _like(self, values, coalesced=None):
        return make(self._at, values, self._size, self._sorted if coalesced is None else coalesced)

    # ---- autograd: that of the values ----

    @property
    def requires_grad(self):
        return self._held.requires_grad

    @requires_grad.setter
    def requires_grad(self, on):
        self._held.requires_grad = on

    def requires_grad_(self, requires_grad=True):
        """Sets requires_grad; returns self."""
        self._held.requires_grad_(requires_grad)
        return self

    @property
    def grad(self):
        grad = self._held.grad
        return None if grad is None else self._like(grad)

    @grad.setter
    def grad(self, value):
        if value is not None:
            raise NotImplementedError("the gradient of a sparse tensor can only be set to None")
        self._held.grad = None

    def detach(self):
        """The same values without their history."""
        return self._like(self._held.detach())

    def clone(self, *, memory_format=None):
        """A copy."""
        return make(self._at.clone(), self._held.clone(), self._size, self._sorted)

    def to(self, *args, **kwargs):
        """The same with values of another dtype; the device is the CPU."""
        values = self._held.to(*args, **kwargs)
        return self if values is self._held else self._like(values)

    def type(self, dtype=None, non_blocking=False):
        """The dtype's old name, or the same with values of another dtype."""
        if dtype is None:
            return "torch.sparse." + self._held.type().rpartition(".")[2]
        return self._like(self._held.type(dtype))

    def cpu(self, memory_format=None):
        return self

    def float(self, memory_format=None):
        return self.to(_dtype.float32)

    def double(self, memory_format=None):
        return self.to(_dtype.float64)

    def half(self, memory_format=None):
        return self.to(_dtype.float16)

    def long(self, memory_format=None):
        return self.to(_dtype.int64)

    def int(self, memory_format=None):
        return self.to(_dtype.int32)

    def bool(self, memory_format=None):
        return self.to(_dtype.bool_)

    # ---- operations ----

    def t(self):
        """The transpose of a matrix."""
        return self.transpose(0, 1)

    T = mT = property(lambda self: self.t())

    def transpose(self, dim0, dim1):
        """With two of the sparse dimensions exchanged."""
        a, b = (d % self.ndim if -self.ndim <= d < self.ndim else -1 for d in (dim0, dim1))
        kept = self.sparse_dim()
        if not (0 <= a < kept and 0 <= b < kept):
            raise RuntimeError(f"transpose(): dimensions {dim0} and {dim1} are not two of the {kept} sparse ones")
        order = list(range(kept))
        order[a], order[b] = b, a
        sizes = [self._size[d] for d in order] + list(self._size[kept:])
        return make(self._at[order], self._held, Size(sizes), self._sorted and a == b)

    def mm(self, mat2):
        """The product with a dense matrix."""
        return methods.product("mm", self, mat2)

    def matmul(self, other):
        """The product with a dense matrix or vector."""
        return methods.product("matmul", self, other)

    spmm = smm = mm
    mv = __matmul__ = matmul

    def __rmatmul__(self, other):
        return methods.product("matmul", other, self)

    def sum(self, dim=None, keepdim=False, *, dtype=None):
        """The sum of all elements, or over dim: sparse while a sparse dimension is left, else dense."""
        values = self._held if dtype is None else self._held.to(dtype)
        if dim is None:
            return reduce.sum(values)
        if keepdim:
            raise NotImplementedError("sum(): keepdim=True is not supported for sparse tensors; sum to_dense()")
        dims = {d % self.ndim for d in (dim if isinstance(dim, (tuple, list)) else (dim,))}
        kept = self.sparse_dim()
        dense = [d - kept + 1 for d in dims if d >= kept]
        values = reduce.sum(values, dense) if dense else values
        sizes = [n for d, n in enumerate(self._size) if d not in dims]
        left = [d for d in range(kept) if d not in dims]
        if not left:
            return reduce.sum(values, 0)
        if len(left) == kept:
            return make(self._at, values, Size(sizes), self._sorted)
        return make(self._at[left], values, Size(sizes), False).coalesce()

    def _normalised(self, dim, dtype, log):
        """softmax over the values of each line along a sparse dimension, or its logarithm."""
        x = self.coalesce()
        d, kept = dim % x.ndim, x.sparse_dim()
        values = x._held if dtype is None else x._held.to(dtype)
        if d >= kept:
            f = reduce.log_softmax if log else reduce.softmax
            return x._like(f(values, d - kept + 1), True)
        line = creation.zeros(x._nnz(), dtype=_dtype.int64)
        for k, n in enumerate(x._size[:kept]):
            if k != d:
                line = line * n + x._at[k]
        lines = math.prod(n for k, n in enumerate(x._size[:kept]) if k != d)
        at = line.reshape(-1, *[1] * (values.ndim - 1)).expand(values.shape)
        room = values.detach().new_full((lines, *values.shape[1:]), -math.inf)
        top = room.scatter_reduce(0, at, values.detach(), "amax", include_self=False)
        values = values - top.gather(0, at)
        total = values.new_zeros(room.shape).index_add(0, line, values.exp()).gather(0, at)
        return x._like(values - total.log() if log else values.exp() / total, True)

    def _scaled(self, name, other, by):
        if isinstance(other, SparseTensor) or (isinstance(other, TensorBase) and other.ndim):
            raise NotImplementedError(f"{name}(): of a sparse tensor only with a number; use to_dense()")
        return self._like(by(self._held, other))

    def mul(self, other):
        """Times a number."""
        return self._scaled("mul", other, lambda v, s: v * s)

    def div(self, other, *, rounding_mode=None):
        """Divided by a number."""
        return self._scaled("div", other, lambda v, s: v.div(s, rounding_mode=rounding_mode))

    __mul__ = __rmul__ = multiply = mul
    __truediv__ = divide = true_divide = div

    def __neg__(self):
        return self._like(-self._held)

    neg = __neg__

    def add(self, other, *, alpha=1):
        """The sum with a sparse tensor, which is sparse, or a dense one of the same sizes, which is dense."""
        if not isinstance(other, TensorBase):
            raise NotImplementedError("add(): a sparse tensor and a number; use to_dense()")
        if not isinstance(other, SparseTensor):
            return self.to_dense() + (other if alpha == 1 else other * alpha)
        if self._size != other._size or self.sparse_dim() != other.sparse_dim():
            raise RuntimeError(f"add: expected 'self' and 'other' to have same size, but self has size "
                               f"{list(self._size)} while other has size {list(other._size)}")
        values = other._held if alpha == 1 else other._held * alpha
        from .._ops.shape import cat

        return make(cat([self._at, other._at], 1), cat([self._held, values]), self._size, False).coalesce()

    __add__ = __radd__ = add

    def sub(self, other, *, alpha=1):
        """add() of -alpha other."""
        return self.add(other, alpha=-alpha)

    __sub__ = subtract = sub

    def __rsub__(self, other):
        return (-self).add(other)

    def __eq__(self, other):
        raise SparseOperand("== is not supported for sparse tensors; compare to_dense()")

    __hash__ = object.__hash__

    def abs(self):
        """The absolute values."""
        return self.coalesce()._like(self.coalesce()._held.abs(), True)

    def pow(self, exponent):
        """Each element to a positive power."""
        if not isinstance(exponent, (int, float)) or exponent <= 0:
            raise NotImplementedError("pow(): of a sparse tensor only to a positive number; use to_dense()")
        return self.coalesce()._like(self.coalesce()._held ** exponent, True)

    __pow__, __abs__ = pow, abs

    def sqrt(self):
        """The square roots."""
        return self.coalesce()._like(self.coalesce()._held.sqrt(), True)

    def __getitem__(self, index):
        return self._row(index) if isinstance(index, int) else super().__getitem__(index)

    def select(self, dim, index):
        """Element `index` of a sparse dimension; a dense tensor once no sparse dimension is left."""
        if dim % self.ndim:
            raise NotImplementedError("select(): of a sparse tensor only along dimension 0; use to_dense()")
        return self._row(index)

    def _row(self, index):
        n = self._size[0]
        if not -n <= index < n:
            raise IndexError(f"select(): index {index} out of range for tensor of size {list(self._size)} at dimension "
                             "0")
        x = self.coalesce()
        here = x._at[0] == index % n
        if x.sparse_dim() == 1:
            return reduce.sum(x._held[here], 0)
        return make(x._at[1:][:, here], x._held[here], Size(x._size[1:]), True)

    def index_select(self, dim, index):
        """Elements of dimension `dim`, in the index's order."""
        return self.to_dense().index_select(dim, index).to_sparse(self.sparse_dim())

    def backward(self, gradient=None, retain_graph=None, create_graph=False, inputs=None):
        """NotImplementedError: gradients start from dense tensors."""
        raise SparseOperand("backward() of a sparse tensor; reduce it to a dense one first")

    # ---- copies and pickles ----

    def __copy__(self):
        return self._like(self._held)

    def __deepcopy__(self, memo):
        from copy import deepcopy

        if id(self) not in memo:
            memo[id(self)] = make(deepcopy(self._at, memo), deepcopy(self._held, memo), self._size, self._sorted)
        return memo[id(self)]

    def __reduce_ex__(self, protocol):
        return (make, (self._at, self._held, self._size, self._sorted))


def _indented(t, width):
    return repr(t).replace("\n", "\n" + " " * width)


def make(indices, values, size, coalesced):
    """A SparseTensor of parts that fit."""
    t = TensorBase.__new__(SparseTensor)
    t._at, t._held, t._size, t._sorted = indices, values, Size(size), coalesced
    return t


methods.SparseTensor = SparseTensor


def sparse_coo_tensor(indices, values=None, size=None, *, dtype=None, device=None, pin_memory=False,
                      requires_grad=False, check_invariants=None, is_coalesced=None):
    """A sparse tensor of indices (sparse_dim, nnz) and values (nnz, *dense); without a size, the smallest that holds
    them. sparse_coo_tensor(size) is all zeros. RuntimeError for parts that do not fit, and for indices out of range."""
    _dtype.check_device(device)
    if values is None:
        size = Size(_call.sizes((indices,)) if size is None else size)
        empty = creation.empty((len(size), 0), dtype=_dtype.int64)
        return make(empty, creation.zeros(0, dtype=dtype), size, True).requires_grad_(requires_grad)
    at = indices if isinstance(indices, TensorBase) else from_data.tensor(indices)
    if not isinstance(values, TensorBase):
        values = from_data.tensor(values, dtype=dtype)
    elif dtype is not None:
        values = values.to(dtype)
    if requires_grad:
        values = values.detach().requires_grad_()
    if at.dtype.is_floating_point or at.dtype is _dtype.bool_:
        if at.numel():
            raise RuntimeError(f"indices must be an int64 tensor, got {at.dtype}")
    at = at.detach().to(_dtype.int64)
    if at.ndim != 2:
        raise RuntimeError(f"indices must be sparse_dim x nnz, but got size {list(at.shape)}")
    if not values.ndim and at.shape[1] == 1:
        values = values.reshape(1)
    if not values.ndim or values.shape[0] != at.shape[1]:
        raise RuntimeError(f"indices and values must have same nnz, but got nnz from indices: {at.shape[1]}, nnz from "
                           f"values: {values.shape[0] if values.ndim else 0}")
    kept = at.shape[0]
    some = at.shape[1] > 0 and kept > 0
    if some and at.min().item() < 0:
        raise RuntimeError(f"found negative index {at.min().item()} for dim {int(at.min(1)[0].argmin())}")
    needed = [n + 1 for n in at.max(1)[0].tolist()] if some else [0] * kept
    if size is None:
        size = [*needed, *values.shape[1:]]
    size = Size(_call.sizes((size,)))
    if len(size) != kept + values.ndim - 1:
        raise RuntimeError(f"number of dimensions must be sparse_dim ({kept}) + dense_dim ({values.ndim - 1}), but got "
                           f"{len(size)}")
    if tuple(size[kept:]) != tuple(values.shape[1:]):
        raise RuntimeError(f"values has incorrect size, expected {[at.shape[1], *size[kept:]]}, got "
                           f"{list(values.shape)}")
    for d, n in enumerate(needed):
        if n > size[d]:
            raise RuntimeError(f"size is inconsistent with indices: for dim {d}, size is {size[d]} but found index "
                               f"{n - 1}")
    return make(at, values, size, bool(is_coalesced))
