"""What is made of decompositions: determinants, ranks and pseudoinverses, norms, functions of matrices."""

import math

import numpy as np

from .. import _capture, interop, return_types
from .._core import TensorBase
from .._ops import _call
from .._ops.creation import eye
from .._ops.linalg import _to
from .._ops.reduce import vector_norm
from ..autograd import no_grad
from ._common import (
    LinAlgError,
    _computed,
    _flip,
    _lapack_eigh,
    _lapack_svd,
    _matrices,
    _numpy,
    _same_dtype,
)
from ._decompose import eigvalsh, svd, svdvals
from ._solve import inv, solve

# ---- determinants ----


def _cofactors(A, d):
    """The gradient of the determinant: d * inv(A).T, by singular values where A has no inverse."""
    try:
        return d.unsqueeze(-1).unsqueeze(-1) * _flip(inv(A))
    except LinAlgError:
        u, s, vh = svd(A, full_matrices=False)
        n = s.shape[-1]
        ones = eye(n, dtype=s.dtype)
        others = (s.unsqueeze(-2) * (1 - ones) + ones).prod(-1)  # the product of all the other ones
        sign = (det(u) * det(vh)).unsqueeze(-1).unsqueeze(-1)
        return sign * ((u * others.unsqueeze(-2)) @ vh)


def det(A, *, out=None):
    """The determinants of square matrices."""
    _matrices("linalg.det", A, True)

    def rule(g, x, y):
        return [g[0].unsqueeze(-1).unsqueeze(-1) * _cofactors(x[0], y[0])]

    def tangent(t, x, y):
        return [(_cofactors(x[0], y[0]) * t[0]).sum((-2, -1))]

    (y,) = _computed("linalg.det", [A], lambda a: (np.asarray(np.linalg.det(a), a.dtype),), rule, tangent)
    return _to(y, out)


def slogdet(A, *, out=None):
    """(sign, logabsdet) of square matrices; a singular one has sign 0 and logabsdet -inf."""
    _matrices("linalg.slogdet", A, True)

    def compute(a):
        sign, log = np.linalg.slogdet(a)
        return np.asarray(sign, a.dtype), np.asarray(log, a.dtype)

    def rule(g, x, y):
        return [None if g[1] is None else g[1].unsqueeze(-1).unsqueeze(-1) * _flip(inv(x[0]))]

    def tangent(t, x, y):
        return [y[0] * 0, (inv(x[0]) @ t[0]).diagonal(0, -2, -1).sum(-1)]

    sign, log = _computed("linalg.slogdet", [A], compute, rule, tangent)
    return return_types.linalg_slogdet((sign, log))


def logdet(input):
    """The logarithm of the determinant: NaN for a negative one, -inf for zero."""
    sign, log = slogdet(input)
    from .._ops.compare import where

    return where(sign < 0, math.nan, log)


# ---- by singular values ----


def _tolerance(name, A, s, atol, rtol):
    """The bound below which a singular value counts as zero, an array over the batch."""
    eps = np.finfo(A.dtype.numpy).eps * max(A.shape[-2:])
    atol = 0.0 if atol is None else np.asarray(_numpy(atol) if isinstance(atol, TensorBase) else atol, np.float64)
    if rtol is None:
        rtol = np.where(np.asarray(atol) > 0, 0.0, eps)
    else:
        rtol = np.asarray(_numpy(rtol) if isinstance(rtol, TensorBase) else rtol, np.float64)
    top = s.max(-1) if s.shape[-1] else np.zeros(s.shape[:-1])
    return np.maximum(atol, rtol * top)


def _absolute_values(A, hermitian):
    if hermitian:
        return abs(_numpy(eigvalsh(A.detach())))
    return _numpy(svdvals(A.detach()))


def matrix_rank(A, tol=None, hermitian=False, *, atol=None, rtol=None, out=None):
    """How many singular values exceed max(atol, rtol * the largest). rtol: max(m, n) * eps unless atol is given."""
    _matrices("linalg.matrix_rank", A, hermitian)
    if tol is not None:
        atol, rtol = tol, 0.0
    s = _absolute_values(A, hermitian)
    bound = np.asarray(_tolerance("linalg.matrix_rank", A, s, atol, rtol))
    return _to(interop.from_numpy(np.asarray((s > bound[..., None]).sum(-1), np.int64)), out)


def pinv(A, rcond=None, hermitian=False, *, atol=None, rtol=None, out=None):
    """The pseudoinverse: singular values of at most max(atol, rtol * the largest) count as zero."""
    _matrices("linalg.pinv", A, hermitian)
    if rtol is None:
        rtol = rcond

    def compute(a):
        m, n = a.shape[-2:]
        if not a.size:
            return (np.zeros((*a.shape[:-2], n, m), a.dtype),)
        if hermitian:
            s, u = _lapack_eigh(a)
            vh = np.swapaxes(u, -1, -2)
        else:
            u, s, vh = _lapack_svd(a, full_matrices=False)
        keep = abs(s) > np.asarray(_tolerance("linalg.pinv", A, abs(s), atol, rtol))[..., None]
        t = np.where(keep, 1 / np.where(keep, s, 1), 0).astype(a.dtype)
        return (np.matmul(np.swapaxes(vh, -1, -2) * t[..., None, :], np.swapaxes(u, -1, -2)),)

    def rule(g, x, y):
        a, p, d = x[0], y[0], g[0]
        pt = _flip(p)
        # the row and column spaces turn with A; of A, hermitian reads one triangle, which makes these transposes matter
        spaces = p @ (pt @ (d - d @ _flip(a @ p))) + (d - _flip(p @ a) @ d) @ pt @ p
        return [_flip(spaces) - pt @ d @ pt]

    return _to(_computed("linalg.pinv", [A], compute, rule)[0], out)


def lstsq(A, B, rcond=None, *, driver=None):
    """(solution, residuals, rank, singular_values) of the least squares problem min ||A X - B||.

    B: matrices, or vectors when its size is A's without the last dimension. driver: "gelsy" (default), "gels",
    "gelsd" or "gelss", which decide only what is returned beside the solution.
    """
    _matrices("torch.linalg.lstsq", A)
    if not isinstance(B, TensorBase):
        raise _call.not_a_tensor("linalg.lstsq", B, "B", 2)
    _same_dtype("torch.linalg.lstsq", A, B)
    if driver not in (None, "gels", "gelsy", "gelsd", "gelss"):
        raise RuntimeError("torch.linalg.lstsq: parameter `driver` should be one of (gels, gelsy, gelsd, gelss)")
    m, n = A.shape[-2:]
    vector = A.ndim - 1 == B.ndim and B.shape == A.shape[:-1]
    if not vector and (B.ndim < 2 or B.shape[-2] != m):
        raise RuntimeError(
            f"torch.linalg.lstsq: input.size(-2) should match other.size(-2), got {list(A.shape)} and {list(B.shape)}"
        )
    b = B.unsqueeze(-1) if vector else B
    driver = driver or "gelsy"
    x = pinv(A, rtol=rcond) @ b
    from .._ops.creation import empty

    none = empty(0, dtype=A.dtype)
    with no_grad():
        s = svdvals(A)
        ranks = matrix_rank(A, rtol=rcond)
    residuals = x.sum() * 0 + none  # empty, of this graph
    if m > n and driver != "gelsy" and bool((ranks == n).all()):
        r = A @ x - b
        residuals = (r * r).sum(-2)
    x = x.squeeze(-1) if vector else x
    rank = ranks if driver != "gels" else empty(0, dtype=ranks.dtype)
    return return_types.linalg_lstsq((x, residuals, rank, s if driver in ("gelsd", "gelss") else none))


# ---- norms ----


def _is_dims(dim, n):
    return isinstance(dim, (tuple, list)) and len(dim) == n


def matrix_norm(A, ord="fro", dim=(-2, -1), keepdim=False, *, dtype=None, out=None):
    """The norm of matrices over two dimensions. ord: "fro", "nuc", inf, -inf, 1, -1, 2, -2."""
    if not isinstance(A, TensorBase):
        raise _call.not_a_tensor("linalg.matrix_norm", A, "A")
    if A.ndim < 2:
        raise RuntimeError("linalg.matrix_norm: The input tensor A must have at least 2 dimensions.")
    if not A.dtype.is_floating_point:
        raise RuntimeError(f"linalg.matrix_norm: Expected a floating point or complex tensor as input. Got {A.dtype}")
    if not _is_dims(dim, 2):
        raise RuntimeError(f"linalg.matrix_norm: dim must be a 2-tuple. Got {dim}")
    first, second = (_dimension(d, A.ndim) for d in dim)
    if first == second:
        raise RuntimeError(f"linalg.matrix_norm: dims must be different. Got ({dim[0]}, {dim[1]})")
    if isinstance(ord, str):
        if ord not in ("fro", "nuc"):
            raise RuntimeError(f"linalg.matrix_norm: Order {ord} not supported.")
    elif abs(ord) not in (1, 2, math.inf):
        raise RuntimeError(f"linalg.matrix_norm: Order {ord} not supported.")
    if dtype is not None:
        A = A.to(dtype)
    if ord == "fro":
        y = vector_norm(A, 2, [first, second], keepdim)
    elif ord == "nuc" or abs(ord) == 2:
        s = svdvals(A.permute([d for d in range(A.ndim) if d not in (first, second)] + [first, second]))
        y = s.sum(-1) if ord == "nuc" else s.amax(-1) if ord > 0 else s.amin(-1)
        if keepdim:
            for d in sorted((first, second)):
                y = y.unsqueeze(d)
    else:
        along, over = (first, second) if abs(ord) == 1 else (second, first)
        y = A.abs().sum(along, keepdim=True)
        y = y.amax(over, keepdim=True) if ord > 0 else y.amin(over, keepdim=True)
        if not keepdim:
            for d in sorted((first, second), reverse=True):
                y = y.squeeze(d)
    return _to(y, out)


def _dimension(d, ndim):
    d = d.__index__()
    if not -ndim <= d < ndim:
        raise IndexError(f"Dimension out of range (expected to be in range of [{-ndim}, {ndim - 1}], but got {d})")
    return d % ndim


def norm(A, ord=None, dim=None, keepdim=False, *, out=None, dtype=None):
    """A vector's norm over one dimension (all, when neither ord nor dim is given), a matrix's over two."""
    if not isinstance(A, TensorBase):
        raise _call.not_a_tensor("linalg.norm", A, "A")
    if isinstance(dim, int):
        dim = (dim,)
    if dim is not None and len(dim) not in (1, 2):
        raise RuntimeError(f"linalg.norm: If dim is specified, it must be of length 1 or 2. Got {list(dim)}")
    if ord is None:
        return vector_norm(A, 2, dim, keepdim, dtype=dtype, out=out)
    if dim is None:
        if A.ndim not in (1, 2):
            raise RuntimeError(
                f"linalg.norm: If dim is not specified but ord is, the input must be 1D or 2D. Got {A.ndim}D."
            )
        dim = (0, 1) if A.ndim == 2 else (0,)
    if len(dim) == 2:
        return matrix_norm(A, ord, dim, keepdim, dtype=dtype, out=out)
    if isinstance(ord, str):
        raise RuntimeError(f"linalg.norm: Order {ord} is not supported for vectors")
    return vector_norm(A, ord, dim, keepdim, dtype=dtype, out=out)


def cond(A, p=None, *, out=None):
    """The condition number: norm(A) * norm(inv(A)), by singular values for p of None, 2 and -2."""
    _matrices("linalg.cond", A, p not in (None, 2, -2))
    if p is None or (not isinstance(p, str) and abs(p) == 2):
        s = svdvals(A)
        if not s.shape[-1]:
            return _to(s.sum(-1), out)
        y = (
            s.narrow(-1, s.shape[-1] - 1, 1) / s.narrow(-1, 0, 1)
            if p == -2
            else (s.narrow(-1, 0, 1) / s.narrow(-1, s.shape[-1] - 1, 1))
        )
        return _to(y.squeeze(-1), out)
    size = matrix_norm(A, p)
    try:
        return _to(size * matrix_norm(inv(A), p), out)
    except LinAlgError:
        return _to(size * math.inf, out)


def vecdot(x, y, *, dim=-1, out=None):
    """The sums of products over dim."""
    return _to((x * y).sum(dim), out)


def vander(x, N=None):
    """The powers of each element: x**0 to x**(N - 1), N the size of x's last dimension by default."""
    from .._ops.shape import cat

    if not x.ndim:
        x = x.unsqueeze(0)

    n = x.shape[-1] if N is None else N
    if n <= 1:
        raise RuntimeError(
            f"N must be greater than 1, but got {n}"
            if N is not None
            else f"linalg.vander: expected more than one element, got size {list(x.shape)}"
        )
    column = x.unsqueeze(-1)
    one = column * 0 + 1
    return cat([one, column.expand(*x.shape, n - 1).cumprod(-1)], -1)


# ---- functions of matrices ----


_PADE = (
    64764752532480000.0,
    32382376266240000.0,
    7771770303897600.0,
    1187353796428800.0,
    129060195264000.0,
    10559470521600.0,
    670442572800.0,
    33522128640.0,
    1323241920.0,
    40840800.0,
    960960.0,
    16380.0,
    182.0,
    1.0,
)
_PADE_RADIUS = 5.371920351148152


def matrix_exp(A):
    """The exponential of square matrices, by scaling, a rational approximation of degree 13, and squaring."""
    _matrices("linalg.matrix_exp", A, True)
    _capture.refuse("linalg.matrix_exp, which reads a norm,")
    if not A.numel():
        return A.clone()
    if A.dtype.itemsize < 8:  # the squarings lose digits that float32 cannot spare
        return matrix_exp(A.double()).to(A.dtype)
    largest = float(_numpy(matrix_norm(A.detach(), 1)).max())
    halvings = math.ceil(math.log2(largest / _PADE_RADIUS)) if _PADE_RADIUS < largest < math.inf else 0
    if halvings:
        A = A * 0.5**halvings
    one = eye(A.shape[-1], dtype=A.dtype)
    b = _PADE
    a2 = A @ A
    a4 = a2 @ a2
    a6 = a4 @ a2
    u = A @ (a6 @ (b[13] * a6 + b[11] * a4 + b[9] * a2) + b[7] * a6 + b[5] * a4 + b[3] * a2 + b[1] * one)
    v = a6 @ (b[12] * a6 + b[10] * a4 + b[8] * a2) + b[6] * a6 + b[4] * a4 + b[2] * a2 + b[0] * one
    x = solve(v - u, v + u)
    for _ in range(halvings):
        x = x @ x
    return x
