"""Linear algebra beyond products. The decompositions are LAPACK's, by way of NumPy, in float32 and float64; each
has a gradient rule here, made of operations that have gradients themselves.

Inputs are matrices or batches of them. RuntimeError for integer inputs and for sizes that do not fit;
LinAlgError, a RuntimeError, for a matrix that has no such decomposition. A decomposition cannot be part of a
captured step.
"""

import math

import numpy as np

from . import _capture, interop, return_types
from ._core import OP, TensorBase
from ._ops import _call
from ._ops.creation import eye
from ._ops.linalg import _to, matmul, matrix_power, multi_dot
from ._ops.linalg import linalg_cross as cross
from ._ops.reduce import vector_norm
from .autograd import enable_grad, grad, is_grad_enabled, no_grad
from .autograd.function import Function


class LinAlgError(RuntimeError):
    """A matrix that is singular, not positive-definite, or whose decomposition did not converge."""


# ---- arguments ----


def _matrices(name, a, square=False, argument="A"):
    """Checks a batch of matrices of a floating dtype."""
    if not isinstance(a, TensorBase):
        raise _call.not_a_tensor(name, a, argument)
    if a.ndim < 2:
        raise RuntimeError(f"{name}: The input tensor {argument} must have at least 2 dimensions.")
    if not a.dtype.is_floating_point:
        raise RuntimeError(f"{name}: Expected a floating point or complex tensor as input. Got {a.dtype}")
    if a.dtype.itemsize < 4:
        raise RuntimeError(f"{name}: Low precision dtypes not supported. Got {a.dtype}")
    if square and a.shape[-1] != a.shape[-2]:
        raise RuntimeError(f"{name}: {argument} must be batches of square matrices, but they are {a.shape[-2]} by "
                           f"{a.shape[-1]} matrices")
    return a


def _same_dtype(name, a, b):
    if a.dtype is not b.dtype:
        raise RuntimeError(f"{name}: Expected A and B to have the same dtype, but found A of type {a.dtype} and B of "
                           f"type {b.dtype} instead")


def _batch(name, a, b):
    """Both with the batch dimensions of the two, broadcast."""
    from ._ops.shape import broadcast_shapes

    if a.shape[:-2] == b.shape[:-2]:
        return a, b
    try:
        shape = broadcast_shapes(a.shape[:-2], b.shape[:-2])
    except RuntimeError as e:
        raise RuntimeError(f"{name}: the batch dimensions of sizes {list(a.shape)} and {list(b.shape)} do not "
                           f"broadcast: {e}") from None
    return a.expand(*shape, *a.shape[-2:]), b.expand(*shape, *b.shape[-2:])


def _flip(x):
    return x.transpose(-2, -1)


def _tril(x, k=0):
    return _call.ints(OP["tril"], x, k)


def _triu(x, k=0):
    return _call.ints(OP["triu"], x, k)


def _diagonal_matrix(d):
    return d.unsqueeze(-1) * eye(d.shape[-1], dtype=d.dtype)


def _sum(terms):
    total = None
    for t in terms:
        if t is not None:
            total = t if total is None else total + t
    return total


# ---- operations that NumPy computes ----


def _numpy(t):
    return interop.to_numpy(t, True)


class _Computed(Function):
    """An operation that NumPy computes, with its rules; see _computed()."""

    @staticmethod
    def forward(ctx, compute, rule, tangent, *inputs):
        outs = tuple(interop.from_numpy(np.asarray(a, order="C")) for a in compute(*[_numpy(t) for t in inputs]))
        ctx.rule, ctx.tangent, ctx.split = rule, tangent, len(inputs)
        ctx.set_materialize_grads(False)
        ctx.mark_non_differentiable(*[t for t in outs if not t.dtype.is_floating_point])
        ctx.save_for_backward(*inputs, *outs)
        ctx.save_for_forward(*inputs, *outs)
        return outs

    @staticmethod
    def backward(ctx, *grads):
        saved = ctx.saved_tensors
        return (None, None, None, *ctx.rule(grads, saved[: ctx.split], saved[ctx.split :]))

    @staticmethod
    def jvp(ctx, *tangents):
        x, y = ctx.saved_tensors[: ctx.split], ctx.saved_tensors[ctx.split :]
        if ctx.tangent is None:
            return _transposed(ctx.rule, tangents[3:], x, y)
        given = [v * 0 if t is None else t for t, v in zip(tangents[3:], x)]
        return tuple(ctx.tangent(given, x, y))


def _transposed(rule, tangents, x, y):
    """The tangents of the outputs, from the gradient rule: it is linear in the gradients, and the transpose of what
    it does to them is what the operation does to tangents."""
    with enable_grad():
        u = [v.detach() * 0 if v.dtype.is_floating_point else None for v in y]
        probes = [v.requires_grad_() for v in u if v is not None]
        total = _sum([(g * t).sum() for g, t in zip(rule(u, x, y), tangents) if g is not None and t is not None])
    got = iter(grad(total, probes, create_graph=is_grad_enabled(), allow_unused=True))
    out = []
    for v in y:
        t = next(got) if v.dtype.is_floating_point else None
        out.append(v * 0 if t is None and v.dtype.is_floating_point else t)
    return tuple(out)


_functions = {}
"""The subclass of _Computed for each name, so that graphs and messages show it."""


def _computed(name, inputs, compute, rule, tangent=None):
    """The tensors of compute(arrays of the inputs), with a gradient rule.

    rule(gradients, inputs, outputs) gives a gradient (or None) for each input; tangent(tangents, inputs, outputs) a
    tangent for each output.
    """
    _capture.refuse(name)
    kind = _functions.get(name)
    if kind is None:
        title = "".join(w.capitalize() for w in name.replace(".", "_").split("_"))
        kind = _functions[name] = type(title, (_Computed,), {})
    try:
        return kind.apply(compute, rule, tangent, *inputs)
    except np.linalg.LinAlgError as e:
        raise LinAlgError(f"{name}: {e}") from None


# ---- solving ----


def inv(A, *, out=None):
    """The inverses of square matrices. LinAlgError for a singular one."""
    _matrices("linalg.inv", A, True)

    def compute(a):
        try:
            return (np.linalg.inv(a),)
        except np.linalg.LinAlgError:
            raise np.linalg.LinAlgError("The inversion could not be completed because the input matrix is "
                                        "singular.") from None

    (y,) = _computed(
        "linalg.inv", [A], compute,
        lambda g, x, y: [-(_flip(y[0]) @ g[0] @ _flip(y[0]))],
        lambda t, x, y: [-(y[0] @ t[0] @ y[0])])
    return _to(y, out)


def inv_ex(A, *, check_errors=False, out=None):
    """(inverse, info): info is 0, or positive for a singular matrix, whose inverse is then not valid."""
    return return_types.linalg_inv_ex(_extended(inv, A, check_errors))


def _extended(fn, A, check_errors):
    from ._ops.creation import full, zeros

    batch = A.shape[:-2] if isinstance(A, TensorBase) else ()
    try:
        return fn(A), zeros(*batch, dtype=_int32()) if batch else zeros((), dtype=_int32())
    except LinAlgError:
        if check_errors:
            raise
        return full(A.shape, math.nan, dtype=A.dtype), full(batch, 1, dtype=_int32())


def _int32():
    from ._dtype import int32

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

    return _computed("linalg.solve", [A, B], compute, rule,
                     lambda t, x, y: [_solved(x[0], t[1] - t[0] @ y[0])])[0]


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
        raise RuntimeError("linalg.solve: Vector broadcasting of the left hand side is not supported for left=False. "
                           "In this case linalg.solve is equivalent to B / A.squeeze(-1)")
    b = B.unsqueeze(-1) if vector else B
    if (b.shape[-2] if left else b.shape[-1]) != A.shape[-1]:
        raise RuntimeError(f"linalg.solve: Incompatible shapes of A and B for the equation "
                           f"{'AX = B' if left else 'XA = B'} "
                           f"({A.shape[-2]}x{A.shape[-1]} and {b.shape[-2]}x{b.shape[-1]})")
    a, b = _batch("linalg.solve", A, b)
    x = _solved(a, b) if left else _flip(_solved(_flip(a), _flip(b)))
    return _to(x.squeeze(-1) if vector else x, out)


def solve_ex(A, B, *, left=True, check_errors=False, out=None):
    """(X, info): info is 0, or positive for a singular A, whose X is then not valid."""
    from ._ops.creation import full, zeros

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
    def rule(g, x, y):
        gb = _triangular(_flip(x[0]), g[0], not upper, unit)
        ga = None
        if x[0].requires_grad:
            ga = -(gb @ _flip(y[0]))
            ga = _triu(ga, int(unit)) if upper else _tril(ga, -int(unit))
        return [ga, gb]

    def tangent(t, x, y):
        part = _triu(t[0], int(unit)) if upper else _tril(t[0], -int(unit))
        return [_triangular(x[0], t[1] - part @ y[0], upper, unit)]

    def compute(a, b):
        return (_substitute(a, b, upper, unit),)

    return _computed("linalg.solve_triangular", [A, B], compute, rule, tangent)[0]


def solve_triangular(A, B, *, upper, left=True, unitriangular=False, out=None):
    """X of A X = B (X A = B when not left) for triangular A; the other triangle is not read."""
    _matrices("linalg.solve_triangular", A, True)
    _matrices("linalg.solve_triangular", B, argument="B")
    _same_dtype("linalg.solve_triangular", A, B)
    if (B.shape[-2] if left else B.shape[-1]) != A.shape[-1]:
        raise RuntimeError("linalg.solve_triangular: Incompatible shapes of A and B for the equation "
                           f"{'AX = B' if left else 'XA = B'} ({A.shape[-2]}x{A.shape[-1]} and "
                           f"{B.shape[-2]}x{B.shape[-1]})")
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
        raise RuntimeError("Expected self to satisfy the requirement prod(self.shape[other.ndim:]) == "
                           f"prod(self.shape[:other.ndim]), but got {n} != {math.prod(A.shape[: B.ndim])}")
    return _to(solve(A.reshape(n, n), B.reshape(n)).reshape(size), out)


def tensorinv(A, ind=2, *, out=None):
    """The inverse of A seen as a linear map from its dimensions after `ind` to those before."""
    if ind <= 0:
        raise RuntimeError("Expected a strictly positive integer for 'ind'")
    m, n = math.prod(A.shape[:ind]), math.prod(A.shape[ind:])
    if m != n:
        raise RuntimeError("Expected self to satisfy the requirement prod(self.shape[ind:]) == "
                           f"prod(self.shape[:ind]), but got {n} != {m}")
    return _to(inv(A.reshape(m, n)).reshape(A.shape[ind:] + A.shape[:ind]), out)


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
    from ._ops.compare import where

    return where(sign < 0, math.nan, log)


# ---- decompositions ----


def cholesky(A, *, upper=False, out=None):
    """L, lower triangular, of A = L L^T (or upper triangular U of A = U^T U). LinAlgError unless positive-definite."""
    _matrices("linalg.cholesky", A, True)
    return _to(_flip(_cholesky(_flip(A))) if upper else _cholesky(A), out)


def _cholesky(A):
    def compute(a):
        try:
            return (np.linalg.cholesky(a),)
        except np.linalg.LinAlgError:
            raise np.linalg.LinAlgError("The factorization could not be completed because the input is not "
                                        "positive-definite.") from None

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
        raise RuntimeError(f"Incompatible matrix sizes for cholesky_solve: each A matrix is {L.shape[-1]} by "
                           f"{L.shape[-1]} but each b matrix is {B.shape[-2]} by {B.shape[-1]}")
    lower, b = _batch("cholesky_solve", _flip(L) if upper else L, B)
    return _to(_triangular(_flip(lower), _triangular(lower, b, False, False), True, False), out)


def cholesky_inverse(L, upper=False, *, out=None):
    """The inverse of the matrix whose Cholesky factor is L."""
    _matrices("cholesky_inverse", L, True, "L")
    return cholesky_solve(eye(L.shape[-1], dtype=L.dtype).expand(L.shape), L, upper, out=out)


def qr(A, mode="reduced", *, out=None):
    """(Q, R) of A = Q R. mode: "reduced", "complete" (Q square) or "r" (no Q: an empty tensor)."""
    _matrices("linalg.qr", A)
    if mode not in ("reduced", "complete", "r"):
        raise RuntimeError(f"qr received unrecognized mode '{mode}' but expected one of 'reduced' (default), 'r', or "
                           "'complete'")
    m, n = A.shape[-2:]

    def compute(a):
        if mode == "r":
            return np.zeros(0, a.dtype), np.linalg.qr(a, "r")
        return np.linalg.qr(a, mode)

    def rule(g, x, y):
        if mode == "r":
            raise RuntimeError("The derivative of linalg.qr depends on Q, which is not computed when mode='r'. Please "
                               "use linalg.qr(A, mode='reduced') if you are going to require gradients.")
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
        from ._ops.shape import cat

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

    return return_types.linalg_eigh(_computed("linalg.eigh", [A], lambda a: np.linalg.eigh(a, UPLO.upper()), rule))


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

    return _to(_computed("linalg.eigvalsh", [A], lambda a: (np.linalg.eigvalsh(a, UPLO.upper()),), rule)[0], out)


def eig(A, *, out=None):
    """Not provided, as eigenvalues are complex in general: NotImplementedError. eigh() has those of symmetric
    matrices."""
    raise NotImplementedError("linalg.eig: complex tensors are not supported; use linalg.eigh for symmetric matrices, "
                              "or numpy.linalg.eig on A.numpy()")


def eigvals(A, *, out=None):
    """Not provided, as eigenvalues are complex in general: NotImplementedError."""
    raise NotImplementedError("linalg.eigvals: complex tensors are not supported; use linalg.eigvalsh for symmetric "
                              "matrices, or numpy.linalg.eigvals on A.numpy()")


def _svd_arrays(a, full):
    if 0 in a.shape[-2:]:
        m, n = a.shape[-2:]
        batch = a.shape[:-2]
        u, vh = (m, n) if full else (0, 0)
        return (np.broadcast_to(np.eye(m, u, dtype=a.dtype), (*batch, m, u)), np.zeros((*batch, 0), a.dtype),
                np.broadcast_to(np.eye(vh, n, dtype=a.dtype), (*batch, vh, n)))
    return np.linalg.svd(a, full_matrices=full)


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
        return (np.linalg.svd(a, compute_uv=False),)

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
    from ._ops.shape import cat

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
    from ._ops.creation import empty

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
        raise RuntimeError("torch.linalg.householder_product: input.shape[-2] must be greater than or equal to "
                           f"input.shape[-1], got {list(input.shape)}")
    k = tau.shape[-1]
    if k > n or tau.shape[:-1] != input.shape[:-2] or tau.dtype is not input.dtype:
        raise RuntimeError("torch.linalg.householder_product: input and tau must have the same dtype and batch, and "
                           f"tau at most {n} elements, got {list(input.shape)} and {list(tau.shape)}")
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
            s, u = np.linalg.eigh(a)
            vh = np.swapaxes(u, -1, -2)
        else:
            u, s, vh = np.linalg.svd(a, full_matrices=False)
        keep = abs(s) > np.asarray(_tolerance("linalg.pinv", A, abs(s), atol, rtol))[..., None]
        t = np.where(keep, 1 / np.where(keep, s, 1), 0).astype(a.dtype)
        return (np.matmul(np.swapaxes(vh, -1, -2) * t[..., None, :], np.swapaxes(u, -1, -2)),)

    def rule(g, x, y):
        a, p, d = x[0], y[0], g[0]
        pt = _flip(p)
        spaces = p @ (pt @ (d - d @ a @ p)) + (d - p @ a @ d) @ pt @ p  # the row and column spaces turn with A
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
        raise RuntimeError(f"torch.linalg.lstsq: input.size(-2) should match other.size(-2), got {list(A.shape)} and "
                           f"{list(B.shape)}")
    b = B.unsqueeze(-1) if vector else B
    driver = driver or "gelsy"
    x = pinv(A, rtol=rcond) @ b
    from ._ops.creation import empty

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
            raise RuntimeError("linalg.norm: If dim is not specified but ord is, the input must be 1D or 2D. Got "
                               f"{A.ndim}D.")
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
        y = s.narrow(-1, s.shape[-1] - 1, 1) / s.narrow(-1, 0, 1) if p == -2 else (
            s.narrow(-1, 0, 1) / s.narrow(-1, s.shape[-1] - 1, 1))
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
    from ._ops.shape import cat

    if not x.ndim:
        x = x.unsqueeze(0)

    n = x.shape[-1] if N is None else N
    if n <= 1:
        raise RuntimeError(f"N must be greater than 1, but got {n}" if N is not None else
                           f"linalg.vander: expected more than one element, got size {list(x.shape)}")
    column = x.unsqueeze(-1)
    one = column * 0 + 1
    return cat([one, column.expand(*x.shape, n - 1).cumprod(-1)], -1)


# ---- functions of matrices ----

_PADE = (64764752532480000.0, 32382376266240000.0, 7771770303897600.0, 1187353796428800.0, 129060195264000.0,
         10559470521600.0, 670442572800.0, 33522128640.0, 1323241920.0, 40840800.0, 960960.0, 16380.0, 182.0, 1.0)
_PADE_RADIUS = 5.371920351148152


def matrix_exp(A):
    """The exponential of square matrices, by scaling, a rational approximation of degree 13, and squaring."""
    _matrices("linalg.matrix_exp", A, True)
    _capture.refuse("linalg.matrix_exp")
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


__all__ = [
    "LinAlgError", "cholesky", "cholesky_ex", "cond", "cross", "det", "diagonal", "eig", "eigh", "eigvals",
    "eigvalsh", "householder_product", "inv", "inv_ex", "lstsq", "lu", "lu_factor", "lu_factor_ex", "lu_solve",
    "matmul", "matrix_exp", "matrix_norm", "matrix_power", "matrix_rank", "multi_dot", "norm", "pinv", "qr",
    "slogdet", "solve", "solve_ex", "solve_triangular", "svd", "svdvals", "tensorinv", "tensorsolve", "vander",
    "vecdot", "vector_norm",
]
