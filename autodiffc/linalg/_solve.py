"""Solving systems of equations; inverses."""

import math

import numpy as np

from .. import return_types
from .._core import OP, TensorBase
from .._ops import _call
from .._ops.linalg import _to
from ._common import (
    LinAlgError,
    _batch,
    _computed,
    _flip,
    _matrices,
    _same_dtype,
)


def inv(A, *, out=None):
    """The inverses of square matrices. LinAlgError for a singular one."""
    _matrices("linalg.inv", A, True)

    def compute(a):
        try:
            return (np.linalg.inv(a),)
        except np.linalg.LinAlgError:
            raise np.linalg.LinAlgError(
                "The inversion could not be completed because the input matrix is singular."
            ) from None

    (y,) = _computed(
        "linalg.inv",
        [A],
        compute,
        lambda g, x, y: [-(_flip(y[0]) @ g[0] @ _flip(y[0]))],
        lambda t, x, y: [-(y[0] @ t[0] @ y[0])],
    )
    return _to(y, out)


def inv_ex(A, *, check_errors=False, out=None):
    """(inverse, info): info is 0, or positive for a singular matrix, whose inverse is then not valid."""
    return return_types.linalg_inv_ex(_extended(inv, A, check_errors))


def _extended(fn, A, check_errors):
    from .._ops.creation import full, zeros

    batch = A.shape[:-2] if isinstance(A, TensorBase) else ()
    try:
        return fn(A), zeros(*batch, dtype=_int32()) if batch else zeros((), dtype=_int32())
    except LinAlgError:
        if check_errors:
            raise
        return full(A.shape, math.nan, dtype=A.dtype), full(batch, 1, dtype=_int32())


def _int32():
    from .._dtype import int32

    return int32


def _solved(A, B):
    """X of A X = B for matrices of one batch."""

    def compute(a, b):
        try:
            return (np.linalg.solve(a, b),)
        except np.linalg.LinAlgError:
            raise np.linalg.LinAlgError("The solver failed because the input matrix is singular.") from None

    def rule(g, x, y):
        gb = _solved(_flip(x[0]), g[0])
        return [-(gb @ _flip(y[0])) if x[0].requires_grad else None, gb]

    return _computed("linalg.solve", [A, B], compute, rule, lambda t, x, y: [_solved(x[0], t[1] - t[0] @ y[0])])[0]


def solve(A, B, *, left=True, out=None):
    """X of A X = B (X A = B when not left). B: matrices, or vectors when its size is A's without the last dimension.

    LinAlgError for a singular A.
    """
    _matrices("linalg.solve", A, True)
    if not isinstance(B, TensorBase):
        raise _call.not_a_tensor("linalg.solve", B, "B", 2)
    _same_dtype("linalg.solve", A, B)
    vector = B.ndim == 1 or (A.ndim - 1 == B.ndim and B.shape == A.shape[:-1])
    if vector and not left:
        raise RuntimeError(
            "linalg.solve: Vector broadcasting of the left hand side is not supported for left=False. "
            "In this case linalg.solve is equivalent to B / A.squeeze(-1)"
        )
    b = B.unsqueeze(-1) if vector else B
    if (b.shape[-2] if left else b.shape[-1]) != A.shape[-1]:
        raise RuntimeError(
            f"linalg.solve: Incompatible shapes of A and B for the equation "
            f"{'AX = B' if left else 'XA = B'} "
            f"({A.shape[-2]}x{A.shape[-1]} and {b.shape[-2]}x{b.shape[-1]})"
        )
    a, b = _batch("linalg.solve", A, b)
    x = _solved(a, b) if left else _flip(_solved(_flip(a), _flip(b)))
    return _to(x.squeeze(-1) if vector else x, out)


def solve_ex(A, B, *, left=True, check_errors=False, out=None):
    """(X, info): info is 0, or positive for a singular A, whose X is then not valid."""
    from .._ops.creation import full, zeros

    batch = A.shape[:-2] if isinstance(A, TensorBase) else ()
    try:
        return return_types.linalg_solve_ex((solve(A, B, left=left), zeros(batch, dtype=_int32())))
    except LinAlgError:
        if check_errors:
            raise
        return return_types.linalg_solve_ex((full(B.shape, math.nan, dtype=B.dtype), full(batch, 1, dtype=_int32())))


def _substitute(a, b, upper, unit):
    """The substitution of a triangular solve; zeros on the diagonal give infinities, as in LAPACK."""
    x = np.array(b, copy=True)
    n = a.shape[-1]
    with np.errstate(all="ignore"):
        for i in range(n - 1, -1, -1) if upper else range(n):
            done = slice(i + 1, n) if upper else slice(0, i)
            row = x[..., i : i + 1, :] - np.matmul(a[..., i : i + 1, done], x[..., done, :])
            x[..., i : i + 1, :] = row if unit else row / a[..., i : i + 1, i : i + 1]
    return x


def _triangular(A, B, upper, unit):
    return _call.apply(OP["triangular"], (A, B), (bool(upper), bool(unit)))


def solve_triangular(A, B, *, upper, left=True, unitriangular=False, out=None):
    """X of A X = B (X A = B when not left) for triangular A; the other triangle is not read."""
    _matrices("linalg.solve_triangular", A, True)
    _matrices("linalg.solve_triangular", B, argument="B")
    _same_dtype("linalg.solve_triangular", A, B)
    if (B.shape[-2] if left else B.shape[-1]) != A.shape[-1]:
        raise RuntimeError(
            "linalg.solve_triangular: Incompatible shapes of A and B for the equation "
            f"{'AX = B' if left else 'XA = B'} ({A.shape[-2]}x{A.shape[-1]} and "
            f"{B.shape[-2]}x{B.shape[-1]})"
        )
    a, b = _batch("linalg.solve_triangular", A, B)
    if left:
        return _to(_triangular(a, b, upper, unitriangular), out)
    return _to(_flip(_triangular(_flip(a), _flip(b), not upper, unitriangular)), out)


def triangular_solve(b, A, upper=True, transpose=False, unitriangular=False, *, out=None):
    """(X of A X = b for triangular A, A): linalg.solve_triangular under its older name."""
    a = _flip(A) if transpose else A
    x = solve_triangular(a, b, upper=upper != transpose, unitriangular=unitriangular)
    return return_types.triangular_solve((x, A.clone()))


def tensorsolve(A, B, dims=None, *, out=None):
    """X with tensordot(A, X, X.ndim) == B."""
    if dims is not None:
        dims = [d % A.ndim for d in dims]
        A = A.permute([d for d in range(A.ndim) if d not in dims] + dims)
    size = A.shape[B.ndim :]
    n = math.prod(size)
    if n != math.prod(A.shape[: B.ndim]) or math.prod(A.shape[: B.ndim]) != B.numel():
        raise RuntimeError(
            "Expected self to satisfy the requirement prod(self.shape[other.ndim:]) == "
            f"prod(self.shape[:other.ndim]), but got {n} != {math.prod(A.shape[: B.ndim])}"
        )
    return _to(solve(A.reshape(n, n), B.reshape(n)).reshape(size), out)


def tensorinv(A, ind=2, *, out=None):
    """The inverse of A seen as a linear map from its dimensions after `ind` to those before."""
    if ind <= 0:
        raise RuntimeError("Expected a strictly positive integer for 'ind'")
    m, n = math.prod(A.shape[:ind]), math.prod(A.shape[ind:])
    if m != n:
        raise RuntimeError(
            "Expected self to satisfy the requirement prod(self.shape[ind:]) == "
            f"prod(self.shape[:ind]), but got {n} != {m}"
        )
    return _to(inv(A.reshape(m, n)).reshape(A.shape[ind:] + A.shape[:ind]), out)
