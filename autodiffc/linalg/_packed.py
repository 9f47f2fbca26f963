"""Decompositions in LAPACK's packed form: QR by reflections, LDL^T by Bunch and Kaufman's pivots."""

import math

import numpy as np

from .. import return_types
from .._core import TensorBase
from .._ops import _call
from ._common import LinAlgError, _batch, _computed, _flip, _matrices, _same_dtype
from ._decompose import _to, householder_product


def _refuse(name):
    def rule(g, x, y):
        raise NotImplementedError(f"the derivative of {name} is not implemented")

    return rule


# ---- QR ----


def geqrf(input, *, out=None):
    """(a, tau): R in the upper triangle of a, and below it the vectors of reflections I - tau_k v_k v_k^T whose
    product is Q. No derivative; linalg.qr() has one."""
    _matrices("geqrf", input, argument="input")

    def compute(a):
        packed, tau = np.linalg.qr(a, "raw")
        return packed.swapaxes(-1, -2), tau

    a, tau = _computed("geqrf", [input], compute, _refuse("geqrf"))
    if out is not None:
        a, tau = _call.to_outs("geqrf", (a, tau), out)
    return return_types.geqrf((a, tau))


def ormqr(input, tau, other, left=True, transpose=False, *, out=None):
    """Q other, or other Q with left=False, for the square Q of the reflections that geqrf() gives; transpose: Q^T."""
    from .._ops.shape import cat

    _matrices("ormqr", input, argument="input")
    _matrices("ormqr", other, argument="other")
    _same_dtype("ormqr", input, other)
    m, k = other.shape[-2 if left else -1], tau.shape[-1] if tau.ndim else 0
    if tau.ndim != input.ndim - 1 or tau.shape[:-1] != input.shape[:-2] or tau.dtype is not input.dtype:
        raise RuntimeError("ormqr: tau must have the dtype and batch of input and one dimension less, got "
                           f"{list(input.shape)} and {list(tau.shape)}")
    if input.shape[-2] != m or k > input.shape[-1] or k > m or other.shape[:-2] != input.shape[:-2]:
        raise RuntimeError(f"ormqr: input of size {list(input.shape)}, tau of size {list(tau.shape)} and other of size "
                           f"{list(other.shape)} do not fit")
    vectors = input.narrow(-1, 0, k)
    if k < m:
        vectors = cat([vectors, vectors.new_zeros((*input.shape[:-1], m - k))], -1)
    q = householder_product(vectors, tau)
    q = _flip(q) if transpose else q
    return _to(q @ other if left else other @ q, out)


# ---- LDL^T ----

_ALPHA = (1 + math.sqrt(17)) / 8


def _factor(a):
    """LDL^T of the lower triangle of one matrix, in place: pivots as LAPACK numbers them, and info."""
    n, k, info = a.shape[0], 0, 0
    pivots = np.zeros(n, np.int32)
    s = np.tril(a) + np.tril(a, -1).T
    low = np.zeros_like(s)
    while k < n:
        step, p, size = 1, k, abs(s[k, k])
        below = np.abs(s[k + 1 :, k])
        largest = below.max() if below.size else 0
        if max(size, largest) == 0 or size != size:
            info = info or k + 1
        elif size < _ALPHA * largest:
            r = k + 1 + int(below.argmax())
            row = np.abs(s[r, k:])
            row[r - k] = 0
            if size < _ALPHA * largest * (largest / row.max()):
                p = r
                step = 1 if abs(s[r, r]) >= _ALPHA * row.max() else 2
        last = k + step - 1
        if p != last:
            s[[last, p]] = s[[p, last]]
            s[:, [last, p]] = s[:, [p, last]]
        pivots[k : k + step] = p + 1 if step == 1 else -(p + 1)
        rest = slice(k + step, n)
        d = s[k : k + step, k : k + step].copy()
        low[k : k + step, k : k + step] = np.tril(d)
        if step == 2 or s[k, k] != 0:
            column = s[rest, k : k + step].copy()
            factors = column / d if step == 1 else column @ np.linalg.inv(d)
            s[rest, rest] -= factors @ column.T
            low[rest, k : k + step] = factors
        k += step
    a[:] = low
    return pivots, info


def ldl_factor_ex(A, *, hermitian=False, check_errors=False, out=None):
    """(LD, pivots, info) of symmetric matrices (their lower triangles): L below the blocks of D, pivots as LAPACK's
    sytrf numbers them; info is 0, or the first zero pivot's number. No derivative."""
    _matrices("linalg.ldl_factor_ex", A, square=True)

    def compute(a):
        a = np.array(a, copy=True)
        pivots, info = np.zeros(a.shape[:-1], np.int32), np.zeros(a.shape[:-2], np.int32)
        for i in np.ndindex(a.shape[:-2]):
            pivots[i], info[i] = _factor(a[i])
        return a, pivots, info

    ld, pivots, info = _computed("linalg.ldl_factor_ex", [A], compute, _refuse("linalg.ldl_factor_ex"))
    if check_errors and bool((info != 0).any()):
        raise LinAlgError("linalg.ldl_factor_ex: D has a zero on its diagonal")
    if out is not None:
        ld, pivots, info = _call.to_outs("linalg.ldl_factor_ex", (ld, pivots, info), out)
    return return_types.linalg_ldl_factor_ex((ld, pivots, info))


def ldl_factor(A, *, hermitian=False, out=None):
    """(LD, pivots): ldl_factor_ex() without its info. LinAlgError for a zero pivot."""
    ld, pivots, _ = ldl_factor_ex(A, hermitian=hermitian, check_errors=True)
    if out is not None:
        ld, pivots = _call.to_outs("linalg.ldl_factor", (ld, pivots), out)
    return return_types.linalg_ldl_factor((ld, pivots))


def _solve(ld, pivots, b):
    n, k = ld.shape[0], 0
    while k < n:
        step = 1 if pivots[k] > 0 else 2
        p, last = abs(int(pivots[k])) - 1, k + step - 1
        b[[last, p]] = b[[p, last]]
        b[k + step :] -= ld[k + step :, k : k + step] @ b[k : k + step]
        d = ld[k : k + step, k : k + step]
        b[k : k + step] = b[k] / d[0, 0] if step == 1 else np.linalg.solve(np.tril(d) + np.tril(d, -1).T, b[k : k + 2])
        k += step
    while k > 0:
        step = 1 if pivots[k - 1] > 0 else 2
        k -= step
        p, last = abs(int(pivots[k])) - 1, k + step - 1
        b[k : k + step] -= ld[k + step :, k : k + step].T @ b[k + step :]
        b[[last, p]] = b[[p, last]]


def ldl_solve(LD, pivots, B, *, hermitian=False, out=None):
    """The solution X of A X = B, for (LD, pivots) of A by ldl_factor(). Differentiable in B."""
    _matrices("linalg.ldl_solve", LD, square=True, argument="LD")
    _matrices("linalg.ldl_solve", B, argument="B")
    _same_dtype("linalg.ldl_solve", LD, B)
    n = LD.shape[-1]
    if not isinstance(pivots, TensorBase):
        raise _call.not_a_tensor("linalg.ldl_solve", pivots, "pivots", 2)
    if pivots.dtype.is_floating_point or pivots.shape != LD.shape[:-1]:
        raise RuntimeError("linalg.ldl_solve: pivots must be integers of size "
                           f"{list(LD.shape[:-1])}, got {pivots.dtype} of size {list(pivots.shape)}")
    if B.shape[-2] != n:
        raise RuntimeError(f"linalg.ldl_solve: LD of size {list(LD.shape)} and B of size {list(B.shape)} do not fit")
    if n and pivots.numel() and bool(((pivots.abs() < 1) | (pivots.abs() > n)).any()):
        raise RuntimeError(f"linalg.ldl_solve: pivots must lie within [-{n}, {n}] and not be 0")
    a, b = _batch("linalg.ldl_solve", LD, B)
    order = pivots.expand(a.shape[:-1])

    def compute(ld, p, right):
        x = np.array(right, copy=True)
        for i in np.ndindex(x.shape[:-2]):
            _solve(ld[i], p[i], x[i])
        return (x,)

    def rule(g, x, y):
        return [None, None, ldl_solve(x[0], x[1], g[0])]

    return _to(_computed("linalg.ldl_solve", [a.detach(), order, b], compute, rule)[0], out)
