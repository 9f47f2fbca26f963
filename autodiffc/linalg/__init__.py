"""Linear algebra beyond products. The decompositions are LAPACK's, by way of NumPy, in float32 and float64; each
has a gradient rule here, made of operations that have gradients themselves.

Inputs are matrices or batches of them. RuntimeError for integer inputs and for sizes that do not fit;
LinAlgError, a RuntimeError, for a matrix that has no such decomposition. A decomposition cannot be part of a
captured step.
"""

# ruff: noqa: F401

from .._ops.linalg import linalg_cross as cross
from .._ops.linalg import matmul, matrix_power, multi_dot
from .._ops.reduce import vector_norm
from ._common import LinAlgError
from ._decompose import (
    cholesky,
    cholesky_ex,
    cholesky_inverse,
    cholesky_solve,
    diagonal,
    eig,
    eigh,
    eigvals,
    eigvalsh,
    householder_product,
    lu,
    lu_factor,
    lu_factor_ex,
    lu_solve,
    lu_unpack,
    orgqr,
    qr,
    svd,
    svdvals,
)
from ._derived import (
    cond,
    det,
    logdet,
    lstsq,
    matrix_exp,
    matrix_norm,
    matrix_rank,
    norm,
    pinv,
    slogdet,
    vander,
    vecdot,
)
from ._packed import geqrf, ldl_factor, ldl_factor_ex, ldl_solve, ormqr
from ._solve import inv, inv_ex, solve, solve_ex, solve_triangular, tensorinv, tensorsolve, triangular_solve

__all__ = [
    "LinAlgError",
    "cholesky",
    "cholesky_ex",
    "cond",
    "cross",
    "det",
    "diagonal",
    "eig",
    "eigh",
    "eigvals",
    "eigvalsh",
    "householder_product",
    "inv",
    "inv_ex",
    "ldl_factor",
    "ldl_factor_ex",
    "ldl_solve",
    "lstsq",
    "lu",
    "lu_factor",
    "lu_factor_ex",
    "lu_solve",
    "matmul",
    "matrix_exp",
    "matrix_norm",
    "matrix_power",
    "matrix_rank",
    "multi_dot",
    "norm",
    "pinv",
    "qr",
    "slogdet",
    "solve",
    "solve_ex",
    "solve_triangular",
    "svd",
    "svdvals",
    "tensorinv",
    "tensorsolve",
    "vander",
    "vecdot",
    "vector_norm",
]


def __getattr__(name):
    if name.startswith("__"):  # the import system asks for some of every module
        raise AttributeError(name)
    from .._hook import missing

    raise missing.attribute(__name__, name)
