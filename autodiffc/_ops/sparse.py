"""The names of sparse tensors on dense ones, and the products of the two. The class is autodiffc.sparse's."""

from .._core import OP, SparseOperand, TensorBase
from . import _call
from ._call import not_a_tensor

SparseTensor = None
"""The class, once autodiffc.sparse is imported; before that there is none of it."""


def _coo():
    from .. import sparse

    return sparse


def product(name, a, b):
    """The product of a sparse matrix and a dense one, in either order; a vector counts as a column."""
    for k, t in enumerate((a, b), 1):
        if not isinstance(t, TensorBase):
            raise not_a_tensor(name, t, "input" if k == 1 else "mat2", k)
    if not isinstance(a, SparseTensor):
        if b.ndim != 2 or a.ndim != 2:
            raise SparseOperand(f"{name}(): a dense operand of {a.ndim} dimensions times a sparse one of {b.ndim}; use "
                                "to_dense()")
        return product(name, b.t(), a.t()).t()
    if isinstance(b, SparseTensor):
        raise SparseOperand(f"{name}(): the product of two sparse tensors; convert one with to_dense()")
    if a.ndim != 2 or a.sparse_dim() != 2 or b.ndim not in (1, 2) or (name == "mm" and b.ndim != 2):
        raise SparseOperand(f"{name}(): of a sparse tensor with {a.sparse_dim()} sparse and {a.dense_dim()} dense "
                            f"dimensions and a dense one with {b.ndim}; only matrices have a product here")
    if b.shape[0] != a.shape[1]:
        raise RuntimeError(f"{name}(): sizes do not fit: sparse {list(a.shape)} and dense {list(b.shape)}")
    dense = b if b.ndim == 2 else b.unsqueeze(1)
    result = _call.apply(OP["spmm"], (a._values(), a._indices(), dense), (a.shape[0], 0))
    return result if b.ndim == 2 else result.squeeze(1)


def spmm(input, mat2):
    """The product of a sparse matrix (n, m) and a dense one (m, p): (n, p). Differentiable in both."""
    return _coo().mm(input, mat2)


dsmm = spmm


def hspmm(mat1, mat2):
    """spmm() as a sparse tensor."""
    return to_sparse(spmm(mat1, mat2), 1)


def smm(input, mat):
    """spmm() as a sparse tensor."""
    return to_sparse(spmm(input, mat))


def to_sparse(self, sparse_dim=None, *, layout=None, blocksize=None, dense_dim=None):
    """The sparse tensor of self's elements (or slices, with fewer sparse_dim) that are not all zero."""
    from .. import _dtype
    from .reduce import any as any_

    if isinstance(sparse_dim, _dtype.layout):
        sparse_dim, layout = None, sparse_dim
    if layout not in (None, _dtype.sparse_coo) or blocksize is not None or dense_dim is not None:
        raise NotImplementedError(f"to_sparse(): only layout torch.sparse_coo is supported, not {layout}")
    kept = self.ndim if sparse_dim is None else _call.integer(sparse_dim)
    if not 0 <= kept <= self.ndim:
        raise IndexError(f"to_sparse(): sparse_dim must lie within [0, {self.ndim}], got {kept}")
    there = self.detach() != 0
    if kept < self.ndim:
        there = any_(there.reshape(*self.shape[:kept], -1), -1)
    at = there.nonzero().t().contiguous()
    return _coo()._coo.make(at, self[tuple(at)] if kept else self.unsqueeze(0), self.shape, True)


def to_sparse_coo(self):
    """to_sparse()."""
    return to_sparse(self)


def sparse_mask(self, mask):
    """The elements of self at the indices of a sparse tensor of the same sizes."""
    sparse = _coo()._sparse("sparse_mask", mask, "mask")
    if sparse.shape != self.shape:
        raise RuntimeError(f"sparse_mask(): operands have incompatible sizes; self has size {list(self.shape)} but "
                           f"mask has size {list(sparse.shape)}")
    return sparse._like(self[tuple(sparse._indices())])


def to_dense(self, dtype=None, *, masked_grad=None):
    """self, which is dense."""
    return self if dtype is None else self.to(dtype)


def _sparse_only(name):
    def method(self):
        raise RuntimeError(f"{name} expected sparse coordinate tensor layout but got Strided")

    method.__name__ = method.__qualname__ = name
    method.__doc__ = "RuntimeError: this tensor is dense."
    return method


coalesce, indices, values, is_coalesced = map(_sparse_only, ("coalesce", "indices", "values", "is_coalesced"))
_indices, _values, _nnz = map(_sparse_only, ("_indices", "_values", "_nnz"))


def sparse_dim(self):
    """0: no dimension of a dense tensor is sparse."""
    return 0


def dense_dim(self):
    """The number of dimensions."""
    return self.ndim
