"""Decompositions: Cholesky, QR, LU, eigenvalues of symmetric matrices, singular values."""

import numpy as np

from .. import interop, return_types
from .._core import TensorBase
from .._ops.creation import eye
from .._ops.linalg import _to
from ._common import (
    LinAlgError,
    _batch,
    _computed,
    _diagonal_matrix,
    _flip,
    _lapack_eigh,
    _lapack_svd,
    _matrices,
    _numpy,
    _sum,
    _tril,
    _triu,
)
from ._solve import _extended, _substitute, _triangular, solve_triangular


def cholesky(A, *, upper=False, out=None):
    """L, lower triangular, of A = L L^T (or upper triangular U of A = U^T U). LinAlgError unless positive-definite."""
    _matrices("linalg.cholesky", A, True)
    return _to(_flip(_cholesky(_flip(A))) if upper else _cholesky(A), out)


def _cholesky(A):
    def compute(a):
        try:
            return (np.linalg.cholesky(a),)
        except np.linalg.LinAlgError:
            raise np.linalg.LinAlgError(
                "The factorization could not be completed because the input is not positive-definite."
            ) from None

    def half(m):
        return (_tril(m) + _tril(m, -1)) * 0.5

    def rule(g, x, y):
        lower, p = y[0], half(_flip(y[0]) @ g[0])
        s = _triangular(_flip(lower), p, True, False)  # L^-T P L^-1
        s = _flip(_triangular(_flip(lower), _flip(s), True, False))
        return [(s + _flip(s)) * 0.5]

    def tangent(t, x, y):
        m = _triangular(y[0], t[0], False, False)
        m = _flip(_triangular(y[0], _flip(m), False, False))
        return [y[0] @ half(m)]

    return _computed("linalg.cholesky", [A], compute, rule, tangent)[0]


def cholesky_ex(A, *, upper=False, check_errors=False, out=None):
    """(L, info): info is 0, or positive for a matrix that is not positive-definite, whose L is then not valid."""
    return return_types.linalg_cholesky_ex(_extended(lambda a: cholesky(a, upper=upper), A, check_errors))


def cholesky_solve(B, L, upper=False, *, out=None):
    """X of A X = B, given A's Cholesky factor L."""
    _matrices("cholesky_solve", B, argument="B")
    _matrices("cholesky_solve", L, True, "L")
    if B.shape[-2] != L.shape[-1]:
        raise RuntimeError(
            f"Incompatible matrix sizes for cholesky_solve: each A matrix is {L.shape[-1]} by "
            f"{L.shape[-1]} but each b matrix is {B.shape[-2]} by {B.shape[-1]}"
        )
    factor, b = _batch("cholesky_solve", L, B)

    def compute(b, a):
        low = np.swapaxes(a, -1, -2) if upper else a
        return (_substitute(np.swapaxes(low, -1, -2), _substitute(low, b, False, False), True, False),)

    def rule(g, x, y):
        gb = cholesky_solve(g[0], x[1], upper)
        turned = gb @ _flip(y[0])
        turned = turned + _flip(turned)
        return [gb, -(x[1] @ turned if upper else turned @ x[1])]  # of both triangles, as PyTorch's

    return _to(_computed("cholesky_solve", [b, factor], compute, rule)[0], out)


def cholesky_inverse(L, upper=False, *, out=None):
    """The inverse of the matrix whose Cholesky factor is L."""
    _matrices("cholesky_inverse", L, True, "L")
    return cholesky_solve(eye(L.shape[-1], dtype=L.dtype).expand(L.shape), L, upper, out=out)


def qr(A, mode="reduced", *, out=None):
    """(Q, R) of A = Q R. mode: "reduced", "complete" (Q square) or "r" (no Q: an empty tensor)."""
    _matrices("linalg.qr", A)
    if mode not in ("reduced", "complete", "r"):
        raise RuntimeError(
            f"qr received unrecognized mode '{mode}' but expected one of 'reduced' (default), 'r', or 'complete'"
        )
    m, n = A.shape[-2:]

    def compute(a):
        if mode == "r":
            return np.zeros(0, a.dtype), np.linalg.qr(a, "r")
        return np.linalg.qr(a, mode)

    def rule(g, x, y):
        if mode == "r":
            raise RuntimeError(
                "The derivative of linalg.qr depends on Q, which is not computed when mode='r'. Please "
                "use linalg.qr(A, mode='reduced') if you are going to require gradients."
            )
        if mode == "complete" and m > n:
            raise RuntimeError("The QR decomposition is not differentiable when mode='complete' and nrows > ncols.")
        (q, r), (gq, gr) = y, g
        if m >= n:
            return [_qr_gradient(q, r, gq, gr)]
        first, rest = r.narrow(-1, 0, m), x[0].narrow(-1, m, n - m)
        g_first = None if gr is None else gr.narrow(-1, 0, m)
        g_rest = None if gr is None else gr.narrow(-1, m, n - m)
        if g_rest is not None:  # R's last columns are Q^T times A's
            gq = _sum([gq, rest @ _flip(g_rest)])
        from .._ops.shape import cat

        left = _qr_gradient(q, first, gq, g_first)
        return [cat([left, (q @ g_rest) if g_rest is not None else rest * 0], -1)]

    return return_types.linalg_qr(_computed("linalg.qr", [A], compute, rule))


def _qr_gradient(q, r, gq, gr):
    m = _sum([None if gr is None else r @ _flip(gr), None if gq is None else -(_flip(gq) @ q)])
    m = _tril(m) + _flip(_tril(m, -1))
    rhs = _sum([gq, q @ m])  # times R^-T from the right
    return _flip(_triangular(r, _flip(rhs), True, False))


def eigh(A, UPLO="L", *, out=None):
    """(eigenvalues, ascending; eigenvectors) of symmetric matrices, of which one triangle is read. The gradient of
    the vectors is infinite where eigenvalues repeat."""
    _matrices("linalg.eigh", A, True)
    _triangle(UPLO)

    def rule(g, x, y):
        (values, v), (gl, gv) = y, g
        inside = None if gl is None else _diagonal_matrix(gl)
        if gv is not None:
            ones = eye(values.shape[-1], dtype=values.dtype)
            gaps = values.unsqueeze(-2) - values.unsqueeze(-1) + ones
            turned = _flip(v) @ gv / gaps * (1 - ones)
            inside = _sum([inside, (turned + _flip(turned)) * 0.5])
        return [v @ inside @ _flip(v)]

    return return_types.linalg_eigh(_computed("linalg.eigh", [A], lambda a: _lapack_eigh(a, UPLO.upper()), rule))


def _triangle(uplo):
    if not isinstance(uplo, str) or uplo.upper() not in ("L", "U"):
        raise RuntimeError(f"Expected UPLO argument to be 'L' or 'U', but got {uplo}")


def eigvalsh(A, UPLO="L", *, out=None):
    """The eigenvalues, ascending, of symmetric matrices."""
    _matrices("linalg.eigvalsh", A, True)
    _triangle(UPLO)

    def rule(g, x, y):
        v = eigh(x[0], UPLO)[1]
        return [(v * g[0].unsqueeze(-2)) @ _flip(v)]

    return _to(_computed("linalg.eigvalsh", [A], lambda a: (_lapack_eigh(a, UPLO.upper())[0],), rule)[0], out)


def eig(A, *, out=None):
    """Not provided, as eigenvalues are complex in general: NotImplementedError. eigh() has those of symmetric
    matrices."""
    raise NotImplementedError(
        "linalg.eig: complex tensors are not supported; use linalg.eigh for symmetric matrices, "
        "or numpy.linalg.eig on A.numpy()"
    )


def eigvals(A, *, out=None):
    """Not provided, as eigenvalues are complex in general: NotImplementedError."""
    raise NotImplementedError(
        "linalg.eigvals: complex tensors are not supported; use linalg.eigvalsh for symmetric "
        "matrices, or numpy.linalg.eigvals on A.numpy()"
    )


def _svd_arrays(a, full):
    if 0 in a.shape[-2:]:
        m, n = a.shape[-2:]
        batch = a.shape[:-2]
        u, vh = (m, n) if full else (0, 0)
        return (
            np.broadcast_to(np.eye(m, u, dtype=a.dtype), (*batch, m, u)),
            np.zeros((*batch, 0), a.dtype),
            np.broadcast_to(np.eye(vh, n, dtype=a.dtype), (*batch, vh, n)),
        )
    return _lapack_svd(a, full_matrices=full)


def svd(A, full_matrices=True, *, driver=None, out=None):
    """(U, S, Vh) of A = U diag(S) Vh, S falling. The gradient of U and Vh is infinite where singular values repeat."""
    _matrices("linalg.svd", A)
    k = min(A.shape[-2:])

    def rule(g, x, y):
        u, s, vh = y
        gu, gs, gvh = g
        if full_matrices:
            u, vh = u.narrow(-1, 0, k), vh.narrow(-2, 0, k)
            gu, gvh = None if gu is None else gu.narrow(-1, 0, k), None if gvh is None else gvh.narrow(-2, 0, k)
        return [_svd_gradient(u, s, vh, gu, gs, gvh)]

    return return_types.linalg_svd(_computed("linalg.svd", [A], lambda a: _svd_arrays(a, full_matrices), rule))


def _svd_gradient(u, s, vh, gu, gs, gvh):
    m, n, k = u.shape[-2], vh.shape[-1], s.shape[-1]
    ones = eye(k, dtype=s.dtype)
    square = s * s
    gaps = square.unsqueeze(-2) - square.unsqueeze(-1) + ones
    row, column = s.unsqueeze(-2), s.unsqueeze(-1)
    inside = [None if gs is None else _diagonal_matrix(gs)]
    rest = []
    if gu is not None:
        x = _flip(u) @ gu
        inside.append((x - _flip(x)) / gaps * row)
        if m > k:
            rest.append((gu - u @ x) / row @ vh)
    if gvh is not None:
        x = vh @ _flip(gvh)
        inside.append(column * ((x - _flip(x)) / gaps))
        if n > k:
            rest.append(u @ ((gvh - _flip(x) @ vh) / column))
    inside = _sum(inside)
    return _sum([None if inside is None else u @ inside @ vh, *rest])


def svdvals(A, *, driver=None, out=None):
    """The singular values of matrices, falling."""
    _matrices("linalg.svdvals", A)

    def rule(g, x, y):
        u, _, vh = svd(x[0], full_matrices=False)
        return [(u * g[0].unsqueeze(-2)) @ vh]

    def compute(a):
        if 0 in a.shape[-2:]:
            return (np.zeros((*a.shape[:-2], 0), a.dtype),)
        return (_lapack_svd(a, compute_uv=False),)

    return _to(_computed("linalg.svdvals", [A], compute, rule)[0], out)


def lu_factor(A, *, pivot=True, out=None):
    """(LU, pivots): both factors in one matrix, and the rows (from 1) that were exchanged."""
    _matrices("linalg.lu_factor", A)
    m, n = A.shape[-2:]
    k = min(m, n)

    def compute(a):
        lu, order = np.array(a, copy=True), np.zeros((*a.shape[:-2], k), np.int32)
        for i in np.ndindex(a.shape[:-2]):
            _eliminate(lu[i], order[i], pivot)
        return lu, order

    def rule(g, x, y):
        return [_permutation(y[1], m, A.dtype) @ _lu_gradient(y[0], g[0])]

    return return_types.linalg_lu_factor(_computed("linalg.lu_factor", [A], compute, rule))


def _lu_gradient(lu, g):
    """The gradient of P^T A, of size [m, n], by its square part and the rows or columns that are left over."""
    from .._ops.shape import cat

    m, n = lu.shape[-2:]
    k = min(m, n)
    top, g_top = lu.narrow(-2, 0, k).narrow(-1, 0, k), g.narrow(-2, 0, k).narrow(-1, 0, k)
    lower, upper = _tril(top, -1) + eye(k, dtype=lu.dtype), _triu(top)
    below, right = _flip(lower) @ _tril(g_top, -1), _triu(g_top) @ _flip(upper)
    if m > n:
        rest, g_rest = lu.narrow(-2, k, m - k), g.narrow(-2, k, m - k)
        right = right - _flip(rest) @ g_rest
    if m < n:
        rest, g_rest = lu.narrow(-1, k, n - k), g.narrow(-1, k, n - k)
        below = below - g_rest @ _flip(rest)
    s = _triangular(_flip(lower), _tril(below, -1) + _triu(right), True, True)  # L^-T (...) U^-T
    s = _flip(_triangular(upper, _flip(s), True, False))
    if m > n:
        return cat([s, _flip(_triangular(upper, _flip(g_rest), True, False))], -2)
    if m < n:
        return cat([s, _triangular(_flip(lower), g_rest, True, True)], -1)
    return s


def _eliminate(a, order, pivot):
    m, n = a.shape
    for j in range(min(m, n)):
        p = j + int(np.argmax(np.abs(a[j:, j]))) if pivot else j
        order[j] = p + 1
        if p != j:
            a[[j, p]] = a[[p, j]]
        if a[j, j] != 0:
            a[j + 1 :, j] /= a[j, j]
            a[j + 1 :, j + 1 :] -= np.outer(a[j + 1 :, j], a[j, j + 1 :])


def _permutation(pivots, m, dtype):
    """P of A = P L U."""
    if not isinstance(pivots, TensorBase):
        raise TypeError(f"linalg.lu_unpack(): argument 'LU_pivots' must be Tensor, not {type(pivots).__name__}")
    if pivots.dtype.is_floating_point or pivots.numel() and (pivots.min() < 1 or pivots.max() > m):
        raise RuntimeError(f"torch.lu_unpack: LU_pivots must be integers within [1, {m}]")
    p = _numpy(pivots)
    out = np.zeros((*p.shape[:-1], m, m), dtype.numpy)
    for i in np.ndindex(p.shape[:-1]):
        rows = np.arange(m)
        for j, r in enumerate(p[i]):
            rows[[j, r - 1]] = rows[[r - 1, j]]
        out[i][rows, np.arange(m)] = 1
    return interop.from_numpy(out)


def lu_factor_ex(A, *, pivot=True, check_errors=False, out=None):
    """(LU, pivots, info): info is 0, or the first zero pivot's number."""
    lu, pivots = lu_factor(A, pivot=pivot)
    d = _numpy(lu.diagonal(0, -2, -1))
    info = np.where((d == 0).any(-1), (d == 0).argmax(-1) + 1, 0) if d.shape[-1] else np.zeros(d.shape[:-1])
    if check_errors and info.any():
        raise LinAlgError("linalg.lu_factor_ex: U is singular")
    return return_types.linalg_lu_factor_ex((lu, pivots, interop.from_numpy(np.asarray(info, np.int32))))


def lu(A, *, pivot=True, out=None):
    """(P, L, U) of A = P L U."""
    factors, pivots = lu_factor(A, pivot=pivot)
    return return_types.linalg_lu(lu_unpack(factors, pivots))


def lu_unpack(LU_data, LU_pivots, unpack_data=True, unpack_pivots=True, *, out=None):
    """(P, L, U) of what lu_factor() gave."""
    from .._ops.creation import empty

    m, n = LU_data.shape[-2:]
    k = min(m, n)
    none = empty(0, dtype=LU_data.dtype)
    p = _permutation(LU_pivots, m, LU_data.dtype) if unpack_pivots else none
    if not unpack_data:
        return return_types.lu_unpack((p, none, none))
    lower = _tril(LU_data.narrow(-1, 0, k), -1) + eye(m, k, dtype=LU_data.dtype)
    return return_types.lu_unpack((p, lower, _triu(LU_data.narrow(-2, 0, k))))


def lu_solve(LU, pivots, B, *, left=True, adjoint=False, out=None):
    """X of A X = B (X A = B when not left, A^T with adjoint), given what lu_factor() made of A."""
    _matrices("linalg.lu_solve", LU, True, "LU")
    p, lower, upper = lu_unpack(LU, pivots)
    if not left:
        return _to(_flip(lu_solve(LU, pivots, _flip(B), adjoint=not adjoint)), out)
    if adjoint:
        x = solve_triangular(_flip(upper), B, upper=False)
        return _to(p @ solve_triangular(_flip(lower), x, upper=True, unitriangular=True), out)
    x = solve_triangular(lower, _flip(p) @ B, upper=False, unitriangular=True)
    return _to(solve_triangular(upper, x, upper=True), out)


def householder_product(input, tau, *, out=None):
    """The first columns of the product of reflections I - tau_k v_k v_k^T, whose vectors are input's columns below
    a 1 on the diagonal."""
    _matrices("linalg.householder_product", input, argument="input")
    m, n = input.shape[-2:]
    if m < n:
        raise RuntimeError(
            "torch.linalg.householder_product: input.shape[-2] must be greater than or equal to "
            f"input.shape[-1], got {list(input.shape)}"
        )
    k = tau.shape[-1]
    if k > n or tau.shape[:-1] != input.shape[:-2] or tau.dtype is not input.dtype:
        raise RuntimeError(
            "torch.linalg.householder_product: input and tau must have the same dtype and batch, and "
            f"tau at most {n} elements, got {list(input.shape)} and {list(tau.shape)}"
        )
    vectors = _tril(input, -1) + eye(m, n, dtype=input.dtype)
    q = eye(m, n, dtype=input.dtype)
    for i in reversed(range(k)):
        v = vectors.narrow(-1, i, 1)
        q = q - (tau.narrow(-1, i, 1).unsqueeze(-1) * v) @ (_flip(v) @ q)
    q = q.expand(input.shape) if k else q + input * 0
    return _to(q, out)


orgqr = householder_product


def diagonal(A, *, offset=0, dim1=-2, dim2=-1):
    """The diagonals of matrices: Tensor.diagonal() over the last two dimensions."""
    return A.diagonal(offset, dim1, dim2)
