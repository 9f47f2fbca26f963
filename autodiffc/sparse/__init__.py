"""Sparse matrices in coordinates, as graph networks use them: torch.sparse's names for what is built in.

A sparse tensor keeps a (sparse_dim, nnz) tensor of indices and a tensor of values. Products with dense matrices, sums,
scaling, transposes and conversions work and are differentiable in the values and in the dense operand; every other
operation raises NotImplementedError and advises to_dense().
"""

from .. import _dtype
from .._core import TensorBase
from .._ops import _call
from .._ops import sparse as _methods
from ._coo import SparseTensor, sparse_coo_tensor
from ._layouts import spdiags

__all__ = ["FloatTensor", "DoubleTensor", "HalfTensor", "BFloat16Tensor", "ByteTensor", "CharTensor", "ShortTensor",
           "IntTensor", "LongTensor", "addmm", "log_softmax", "mm", "softmax", "spdiags", "sum"]


def _sparse(name, t, argument="input"):
    if not isinstance(t, TensorBase):
        raise _call.not_a_tensor(name, t, argument)
    if not isinstance(t, SparseTensor):
        raise RuntimeError(f"{name}(): expected '{argument}' to be sparse, but it is dense")
    return t


def mm(mat1, mat2, reduce=None):
    """The product of a sparse matrix (n, m) and a dense one (m, p), dense; of two sparse ones NotImplementedError."""
    if reduce is not None:
        raise NotImplementedError("sparse.mm: reduce is not supported; the product adds up")
    if not isinstance(mat1, SparseTensor) and not isinstance(mat2, SparseTensor):
        from .._ops.linalg import mm

        return mm(mat1, mat2)
    return _methods.product("mm", mat1, mat2)


def addmm(mat, mat1, mat2, *, beta=1.0, alpha=1.0):
    """beta mat + alpha mat1 mat2, for a sparse mat1."""
    return mat * beta + mm(mat1, mat2) * alpha


def sum(input, dim=None, dtype=None):
    """The sum of all elements, a dense tensor; or over dim, sparse while a sparse dimension is left."""
    return _sparse("sparse.sum", input).sum(dim, dtype=dtype)


def softmax(input, dim, *, dtype=None):
    """softmax() along dim of the elements that are there; the others count as -inf and stay away."""
    return _sparse("sparse.softmax", input)._normalised(dim, dtype, False)


def log_softmax(input, dim, *, dtype=None):
    """log_softmax() along dim of the elements that are there."""
    return _sparse("sparse.log_softmax", input)._normalised(dim, dtype, True)


class _Typed(type):
    """torch.sparse.FloatTensor and its kin: callable, and isinstance() asks for layout and dtype."""

    def __call__(cls, *args, device=None):
        if not args:
            return sparse_coo_tensor((0,), dtype=cls.dtype, device=device)
        if isinstance(args[0], (int, _dtype.Size)):
            return sparse_coo_tensor(args if isinstance(args[0], int) else args[0], dtype=cls.dtype, device=device)
        indices, values, *size = args
        if values.dtype is not cls.dtype:
            raise TypeError(f"expected {cls.dtype} values, got {values.dtype}")
        return sparse_coo_tensor(indices, values, *size, device=device)

    def __instancecheck__(cls, obj):
        return isinstance(obj, SparseTensor) and obj.dtype is cls.dtype


def _typed(name, dtype):
    return _Typed(name + "Tensor", (), {"dtype": dtype, "__module__": "torch.sparse"})


FloatTensor, DoubleTensor = _typed("Float", _dtype.float32), _typed("Double", _dtype.float64)
HalfTensor, BFloat16Tensor = _typed("Half", _dtype.float16), _typed("BFloat16", _dtype.bfloat16)
ByteTensor, CharTensor = _typed("Byte", _dtype.uint8), _typed("Char", _dtype.int8)
ShortTensor, IntTensor, LongTensor = (_typed(n, d) for n, d in (
    ("Short", _dtype.int16), ("Int", _dtype.int32), ("Long", _dtype.int64)))


def __getattr__(name):
    if name.startswith("__"):  # the import system asks for some of every module
        raise AttributeError(name)
    from .._hook import missing

    raise missing.attribute(__name__, name)
