"""Rows of matrix products and linear algebra."""

import numpy as np

from tests.case import Case, In

FHI = "fhi"
SQUARE = dict(lo=-1, hi=1)


def _case(name, fn, ref, *inputs, **kw):
    return Case(name, fn, ref, list(inputs), **kw)


def _np_addr(c, a, b):
    return c + np.outer(a, b)


def _well(T, a):
    """A matrix far from singular, made of any."""
    return a + 4 * T.eye(a.shape[-1], dtype=a.dtype)


def _np_well(a):
    return a + 4 * np.eye(a.shape[-1])


def _spd(T, a):
    """A positive-definite matrix, made of any."""
    return a @ a.transpose(-2, -1) + 2 * T.eye(a.shape[-1], dtype=a.dtype)


def _np_spd(a):
    return a @ np.swapaxes(a, -2, -1) + 2 * np.eye(a.shape[-1])


def _expm(a):
    x, term = np.zeros_like(a), np.eye(a.shape[-1])
    for k in range(1, 60):
        x = x + term
        term = term @ a / k
    return x


PRODUCTS = [
    _case("matmul", lambda T, a, b: T.matmul(a, b), np.matmul, In(3, 4), In(4, 5), dtypes=FHI, method="matmul",
          tol=1e-4,
          raises=((lambda T: T.matmul(T.ones(2, 3), T.ones(2, 3)), RuntimeError),
                  (lambda T: T.matmul(T.tensor(1.0), T.ones(2)), RuntimeError),
                  (lambda T: T.matmul(T.ones(2, 2), T.ones(2, 2, dtype=T.float64)), RuntimeError),
                  (lambda T: T.matmul(T.ones(2, 2, dtype=T.bool), T.ones(2, 2, dtype=T.bool)), RuntimeError),
                  (lambda T: T.matmul(T.ones(2, 2), "x"), TypeError)), bench=((256, 256), (256, 256))),
    _case("matmul/batched", lambda T, a, b: a @ b, np.matmul, In(2, 1, 3, 4), In(3, 4, 2), dtypes=FHI, tol=1e-4),
    _case("matmul/vectors", lambda T, a, b: a @ b, np.matmul, In(5), In(5), dtypes=FHI, tol=1e-4),
    _case("matmul/matrix_vector", lambda T, a, b: a @ b, np.matmul, In(2, 3, 5), In(5), dtypes=FHI, tol=1e-4),
    _case("matmul/vector_matrix", lambda T, a, b: a @ b, np.matmul, In(3), In(2, 3, 4), dtypes=FHI, tol=1e-4),
    _case("matmul/nothing", lambda T, a, b: a @ b, np.matmul, In(3, 0), In(0, 4), dtypes=FHI, grad=False),
    _case("mm", lambda T, a, b: T.mm(a, b), np.matmul, In(3, 4), In(4, 2), dtypes=FHI, method="mm", tol=1e-4,
          raises=((lambda T: T.mm(T.ones(2), T.ones(2, 2)), RuntimeError),
                  (lambda T: T.mm(T.ones(2, 3), T.ones(2, 3)), RuntimeError))),
    _case("bmm", lambda T, a, b: T.bmm(a, b), np.matmul, In(2, 3, 4), In(2, 4, 2), dtypes=FHI, method="bmm", tol=1e-4,
          raises=((lambda T: T.bmm(T.ones(2, 2, 3), T.ones(3, 3, 2)), RuntimeError),
                  (lambda T: T.bmm(T.ones(2, 2), T.ones(2, 2)), RuntimeError))),
    _case("mv", lambda T, a, b: T.mv(a, b), np.matmul, In(3, 4), In(4), dtypes=FHI, method="mv", tol=1e-4,
          raises=((lambda T: T.mv(T.ones(2), T.ones(2)), RuntimeError),)),
    _case("dot", lambda T, a, b: T.dot(a, b), np.dot, In(6), In(6), dtypes=FHI, method="dot", tol=1e-4,
          raises=((lambda T: T.dot(T.ones(2), T.ones(3)), RuntimeError),
                  (lambda T: T.dot(T.ones(2, 2), T.ones(2)), RuntimeError))),
    _case("vdot", lambda T, a, b: T.vdot(a, b), np.dot, In(6), In(6), dtypes=FHI, method="vdot", tol=1e-4),
    _case("inner", lambda T, a, b: T.inner(a, b), np.inner, In(2, 3), In(4, 3), dtypes=FHI, method="inner", tol=1e-4,
          raises=((lambda T: T.inner(T.ones(2), T.ones(3)), RuntimeError),)),
    _case("outer", lambda T, a, b: T.outer(a, b), np.outer, In(3), In(4), dtypes=FHI, method="outer",
          raises=((lambda T: T.outer(T.ones(2, 2), T.ones(2)), RuntimeError),)),
    _case("addmm", lambda T, c, a, b: T.addmm(c, a, b, beta=2, alpha=3), lambda c, a, b: 2 * c + 3 * (a @ b), In(3, 2),
          In(3, 4), In(4, 2), dtypes="fi", method="addmm", inplace="addmm_", tol=1e-4,
          raises=((lambda T: T.addmm(T.ones(5, 5), T.ones(2, 2), T.ones(2, 2)), RuntimeError),)),
    _case("addmm/row", lambda T, c, a, b: T.addmm(c, a, b), lambda c, a, b: c + a @ b, In(2), In(3, 4), In(4, 2),
          tol=1e-4),
    _case("addmv", lambda T, c, a, b: T.addmv(c, a, b, beta=2, alpha=3), lambda c, a, b: 2 * c + 3 * (a @ b), In(3),
          In(3, 4),
          In(4), dtypes="fi", method="addmv", inplace="addmv_", tol=1e-4),
    _case("addr", lambda T, c, a, b: T.addr(c, a, b), _np_addr, In(3, 4), In(3), In(4), dtypes="fi", method="addr",
          inplace="addr_"),
    _case("baddbmm", lambda T, c, a, b: T.baddbmm(c, a, b, beta=2, alpha=3), lambda c, a, b: 2 * c + 3 * (a @ b),
          In(2, 3, 2),
          In(2, 3, 4), In(2, 4, 2), dtypes="fi", method="baddbmm", inplace="baddbmm_", tol=1e-4),
    _case("addbmm", lambda T, c, a, b: T.addbmm(c, a, b, beta=2, alpha=3), lambda c, a, b: 2 * c + 3 * (a @ b).sum(0),
          In(3, 2), In(2, 3, 4), In(2, 4, 2), dtypes="fi", method="addbmm", inplace="addbmm_", tol=1e-4),
    _case("chain_matmul", lambda T, a, b, c: T.chain_matmul(a, b, c), lambda a, b, c: a @ b @ c, In(2, 5), In(5, 3),
          In(3, 4),
          tol=1e-4),
    _case("linalg.multi_dot", lambda T, a, b, c, d: T.linalg.multi_dot([a, b, c, d]), lambda a, b, c,
          d: a @ b @ c @ d, In(5),
          In(5, 3), In(3, 6), In(6, 2), tol=1e-4, raises=((lambda T: T.linalg.multi_dot([T.ones(2)]), RuntimeError),)),
    _case("tensordot", lambda T, a, b: T.tensordot(a, b, ([1, 2], [2, 0])), lambda a, b: np.tensordot(a, b, ([1, 2],
          [2, 0])),
          In(2, 3, 4), In(4, 5, 3), dtypes="fi", tol=1e-4,
          raises=((lambda T: T.tensordot(T.ones(2, 3), T.ones(2, 3), 1), RuntimeError),)),
    _case("kron", lambda T, a, b: T.kron(a, b), np.kron, In(2, 3), In(3, 2), dtypes=FHI, method="kron"),
    _case("cross", lambda T, a, b: T.cross(a, b, 1), lambda a, b: np.cross(a, b, axis=1), In(2, 3, 2), In(2, 3, 2),
          dtypes="fi", tol=1e-5),
    _case("linalg.cross", lambda T, a, b: T.linalg.cross(a, b), np.cross, In(4, 3), In(4, 3), dtypes="fi", tol=1e-5,
          raises=((lambda T: T.linalg.cross(T.ones(2, 4), T.ones(2, 4)), RuntimeError),)),
    _case("trace", lambda T, a: T.trace(a), np.trace, In(3, 4), dtypes="fi", method="trace",
          raises=((lambda T: T.trace(T.ones(3)), RuntimeError),)),
    _case("matrix_power", lambda T, a: T.matrix_power(a, 3), lambda a: a @ a @ a, In(3, 3), method=None, tol=1e-3,
          raises=((lambda T: T.matrix_power(T.ones(2, 3), 2), RuntimeError),)),
]


def _einsum(equation, *inputs, **kw):
    return _case(f"einsum/{equation}", lambda T, *ts: T.einsum(equation, *ts), lambda *xs: np.einsum(equation, *xs),
    *inputs,
                 tol=1e-4, **kw)


EINSUM = [
    _einsum("ij,jk->ik", In(2, 3), In(3, 4), dtypes="fi",
            raises=((lambda T: T.einsum("ij,jk", T.ones(2, 3)), RuntimeError),
                    (lambda T: T.einsum("ij->ik", T.ones(2, 3)), RuntimeError),
                    (lambda T: T.einsum("ijk", T.ones(2, 3)), RuntimeError),
                    (lambda T: T.einsum("ij,jk", T.ones(2, 3), T.ones(2, 3)), RuntimeError),
                    (lambda T: T.einsum("i1", T.ones(2, 3)), RuntimeError),
                    (lambda T: T.einsum(T.ones(2)), ValueError))),
    _einsum("ij", In(2, 3)),
    _einsum("ba", In(2, 3)),
    _einsum("ij->", In(2, 3)),
    _einsum("ii->i", In(3, 3)),
    _einsum("ii", In(3, 3)),
    _einsum("i,j", In(3), In(4)),
    _einsum("bij,bjk->bik", In(2, 3, 4), In(2, 4, 2)),
    _einsum("...ij,...jk->...ik", In(2, 1, 3, 4), In(5, 4, 2)),
    _einsum("bhqd,bhkd->bhqk", In(2, 3, 4, 5), In(2, 3, 2, 5)),
    _einsum("ij,jk,kl->il", In(2, 3), In(3, 4), In(4, 2)),
    _einsum("ijk,ilm,njm,nlk,abc->", In(2, 3, 2), In(2, 2, 3), In(2, 3, 3), In(2, 2, 2), In(2, 1, 2)),
    _einsum("a...,a...->...", In(3, 2, 2), In(3, 2, 2)),
    _einsum("ab,c,b->ca", In(2, 3), In(4), In(3)),
]


def _np(name):
    def call(*a, **k):
        return getattr(np.linalg, name)(*a, **k)

    return call


FACTOR = [
    _case("linalg.inv", lambda T, a: T.linalg.inv(_well(T, a)), lambda a: np.linalg.inv(_np_well(a)), In(2, 3, 3),
          tol=1e-4,
          raises=((lambda T: T.linalg.inv(T.ones(2, 3)), RuntimeError), (lambda T: T.linalg.inv(T.zeros(2, 2)),
          RuntimeError),
                  (lambda T: T.linalg.inv(T.ones(2, 2, dtype=T.int64)), RuntimeError),
                  (lambda T: T.linalg.inv("x"), TypeError)), capture=False),
    _case("inverse", lambda T, a: T.inverse(_well(T, a)), lambda a: np.linalg.inv(_np_well(a)), In(3, 3), tol=1e-4,
          capture=False),
    _case("linalg.det", lambda T, a: T.linalg.det(a), _np("det"), In(2, 3, 3), tol=1e-4, capture=False),
    _case("linalg.slogdet", lambda T, a: T.linalg.slogdet(_well(T, a))[1], lambda a: np.linalg.slogdet(_np_well(a))[1],
          In(2, 3, 3), tol=1e-4, capture=False),
    _case("logdet", lambda T, a: T.logdet(_spd(T, a)), lambda a: np.linalg.slogdet(_np_spd(a))[1], In(3, 3), tol=1e-4,
          capture=False),
    _case("linalg.solve", lambda T, a, b: T.linalg.solve(_well(T, a), b), lambda a, b: np.linalg.solve(_np_well(a), b),
          In(2, 3, 3), In(2, 3, 2), tol=1e-4, capture=False,
          raises=((lambda T: T.linalg.solve(T.eye(3), T.ones(2)), RuntimeError),)),
    _case("linalg.solve/vector", lambda T, a, b: T.linalg.solve(_well(T, a), b), lambda a,
          b: np.linalg.solve(_np_well(a), b),
          In(3, 3), In(3), tol=1e-4, capture=False),
    _case("linalg.solve/right", lambda T, a, b: T.linalg.solve(_well(T, a), b, left=False),
          lambda a, b: b @ np.linalg.inv(_np_well(a)), In(3, 3), In(2, 3), tol=1e-4, capture=False),
    _case("linalg.solve_triangular", lambda T, a, b: T.linalg.solve_triangular(_well(T, a), b, upper=True),
          lambda a, b: np.linalg.solve(np.triu(_np_well(a)), b), In(3, 3), In(3, 2), tol=1e-4, capture=False),
    _case("linalg.solve_triangular/unit", lambda T, a, b: T.linalg.solve_triangular(a, b, upper=False,
          unitriangular=True),
          lambda a, b: np.linalg.solve(np.tril(a, -1) + np.eye(3), b), In(3, 3), In(3, 2), tol=1e-4, capture=False),
    _case("linalg.cholesky", lambda T, a: T.linalg.cholesky(_spd(T, a)), lambda a: np.linalg.cholesky(_np_spd(a)),
          In(2, 3, 3),
          tol=1e-4, capture=False, raises=((lambda T: T.linalg.cholesky(-T.eye(2)), RuntimeError),)),
    _case("cholesky_solve", lambda T, b, a: T.cholesky_solve(b, T.linalg.cholesky(_spd(T, a))),
          lambda b, a: np.linalg.solve(_np_spd(a), b), In(3, 2), In(3, 3), tol=1e-4, capture=False),
    _case("cholesky_inverse", lambda T, a: T.cholesky_inverse(T.linalg.cholesky(_spd(T, a))),
          lambda a: np.linalg.inv(_np_spd(a)), In(3, 3), tol=1e-4, capture=False),
    _case("linalg.qr", lambda T, a: tuple(T.linalg.qr(a)), lambda a: tuple(np.linalg.qr(a)), In(4, 3), tol=1e-4,
          capture=False, raises=((lambda T: T.linalg.qr(T.ones(2, 2), "x"), RuntimeError),)),
    _case("linalg.qr/wide", lambda T, a: tuple(T.linalg.qr(a)), lambda a: tuple(np.linalg.qr(a)), In(2, 4), tol=1e-4,
          capture=False),
    _case("linalg.svd", lambda T, a: _rebuilt(T.linalg.svd(a, full_matrices=False)), lambda a: a, In(4, 3), tol=1e-4,
          capture=False),
    _case("linalg.svdvals", lambda T, a: T.linalg.svdvals(a), lambda a: np.linalg.svd(a, compute_uv=False), In(2, 4, 3),
          tol=1e-4, capture=False),
    _case("linalg.eigh", lambda T, a: _exponential(T.linalg.eigh(a + a.transpose(-2, -1))),
          lambda a: _expm(a + np.swapaxes(a, -2, -1)), In(3, 3, **SQUARE), tol=1e-3, capture=False),
    _case("linalg.eigvalsh", lambda T, a: T.linalg.eigvalsh(a + a.transpose(-2, -1)),
          lambda a: np.linalg.eigvalsh(a + np.swapaxes(a, -2, -1)), In(2, 3, 3), tol=1e-4, capture=False),
    _case("linalg.lu", lambda T, a: T.linalg.lu(_well(T, a))[1] + T.linalg.lu(_well(T, a))[2], None, In(3, 3), tol=1e-4,
          capture=False),
    _case("linalg.pinv", lambda T, a: T.linalg.pinv(a), _np("pinv"), In(4, 3), tol=1e-3, capture=False),
    _case("linalg.pinv/wide", lambda T, a: T.linalg.pinv(a), _np("pinv"), In(2, 4), tol=1e-3, capture=False),
    _case("linalg.lstsq", lambda T, a, b: T.linalg.lstsq(a, b)[0], lambda a, b: np.linalg.lstsq(a, b, rcond=None)[0],
          In(5, 3), In(5, 2), tol=1e-3, capture=False),
    _case("linalg.matrix_rank", lambda T, a: T.linalg.matrix_rank(a), np.linalg.matrix_rank, In(2, 4, 3), grad=False,
          capture=False),
    _case("linalg.matrix_exp", lambda T, a: T.linalg.matrix_exp(a), _expm, In(3, 3), tol=1e-3, capture=False),
    _case("linalg.matrix_norm", lambda T, a: T.linalg.matrix_norm(a), lambda a: np.linalg.norm(a, axis=(-2, -1)),
          In(2, 3, 4),
          tol=1e-5),
    _case("linalg.matrix_norm/nuc", lambda T, a: T.linalg.matrix_norm(a, "nuc"), lambda a: np.linalg.norm(a, "nuc",
          (-2, -1)),
          In(2, 3, 4), tol=1e-4, capture=False),
    _case("linalg.matrix_norm/inf", lambda T, a: T.linalg.matrix_norm(a, float("inf")),
          lambda a: np.linalg.norm(a, np.inf, (-2, -1)), In(2, 3, 4, distinct=True), tol=1e-5),
    _case("linalg.norm/2", lambda T, a: T.linalg.norm(a, 2), lambda a: np.linalg.norm(a, 2), In(3, 4), tol=1e-4,
          capture=False),
    _case("linalg.cond", lambda T, a: T.linalg.cond(a), np.linalg.cond, In(3, 3), tol=1e-2, capture=False),
    _case("linalg.vecdot", lambda T, a, b: T.linalg.vecdot(a, b), lambda a, b: (a * b).sum(-1), In(3, 4), In(3, 4),
          tol=1e-5),
    _case("linalg.vander", lambda T, a: T.linalg.vander(a, N=4), lambda a: np.vander(a, 4, True), In(5), tol=1e-4),
    _case("linalg.tensorinv", lambda T, a: T.linalg.tensorinv(_well(T, a).reshape(2, 3, 6)).reshape(6, 6),
          lambda a: np.linalg.inv(_np_well(a)).reshape(6, 2, 3).reshape(6, 6), In(6, 6), tol=1e-3, capture=False),
]


def _rebuilt(f):
    return f[0] @ (f[1].unsqueeze(-1) * f[2])


def _exponential(f):
    return (f[1] * f[0].exp().unsqueeze(-2)) @ f[1].transpose(-2, -1)


CASES = PRODUCTS + EINSUM + FACTOR
