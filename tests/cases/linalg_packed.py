"""Rows of decompositions in packed form, of the functions with infos, and of the older names."""

import numpy as np

from tests.case import In

from .linalg import _case as case
from .linalg import _expm, _np_spd, _np_well, _spd, _well

SQUARE, RIGHT = In(3, 3), In(3, 2)


def _case(name, fn, ref, *inputs, **kw):
    kw.setdefault("tol", 1e-4)
    return case(name, fn, ref, *inputs, capture=False, **kw)


def _sym(a):
    return a + np.swapaxes(a, -2, -1)


def _symmetric(a):
    return a + a.transpose(-2, -1)


def _packed(T, a):
    a, tau = T.geqrf(a)
    return T.triu(a)[:3], (1 + T.tril(a, -1).pow(2).sum(-2)) * tau  # 2 for each reflection: signs cancel


def _numpy_packed(a):
    return np.linalg.qr(a, "r"), np.where(np.arange(3) < 3, 2.0, 0)


def _ldl(T, a):
    a = _symmetric(a)
    ld, pivots = T.linalg.ldl_factor(a)[:2]
    return T.linalg.ldl_solve(ld, pivots, T.eye(a.shape[-1], dtype=a.dtype))


def _lu(T, a):
    lu, pivots = T.linalg.lu_factor(_well(T, a))[:2]
    p, low, up = T.lu_unpack(lu, pivots)
    return p @ low @ up


def _lu_ex(T, a):
    lu, pivots, info = T.linalg.lu_factor_ex(_well(T, a))
    return lu.tril(-1) + lu.triu(), info.long()


CASES = [
    _case(
        "geqrf",
        _packed,
        _numpy_packed,
        In(4, 3),
        grad=False,
        method="geqrf",
        raises=((lambda T: T.geqrf(T.ones(2)), RuntimeError),),
    ),
    _case(
        "ormqr",
        lambda T, a, c: T.ormqr(*T.geqrf(a), c),
        lambda a, c: np.linalg.qr(a, "complete")[0] @ c,
        In(4, 3),
        In(4, 2),
        grad=False,
        method="ormqr",
    ),
    _case(
        "ormqr/transposed",
        lambda T, a, c: T.ormqr(*T.geqrf(a), c, left=False, transpose=True),
        lambda a, c: c @ np.linalg.qr(a, "complete")[0].T,
        In(4, 3),
        In(2, 4),
        grad=False,
    ),
    _case(
        "linalg.householder_product",
        lambda T, a, t: T.linalg.householder_product(a, t),
        None,
        In(4, 3),
        In(3),
        raises=((lambda T: T.linalg.householder_product(T.ones(2, 3), T.ones(2)), RuntimeError),),
    ),
    _case(
        "linalg.ldl_factor",
        _ldl,
        lambda a: np.linalg.inv(_sym(a)),
        In(2, 4, 4),
        grad=False,
        tol=1e-2,
        raises=((lambda T: T.linalg.ldl_factor(T.ones(2, 3)), RuntimeError),),
    ),
    _case("linalg.ldl_factor_ex", lambda T, a: T.linalg.ldl_factor_ex(_spd(T, a))[0].tril(), None, SQUARE, grad=False),
    _case(
        "linalg.ldl_solve",
        lambda T, b: T.linalg.ldl_solve(2 * T.eye(3, dtype=b.dtype), T.tensor([1, 2, 3]).int(), b),
        lambda b: b / 2,
        RIGHT,
    ),
    _case(
        "linalg.lu_factor",
        _lu,
        _np_well,
        In(2, 3, 3),
        raises=((lambda T: T.linalg.lu_factor(T.ones(2)), RuntimeError),),
    ),
    _case("linalg.lu_factor_ex", _lu_ex, None, SQUARE),
    _case(
        "linalg.lu_solve",
        lambda T, a, b: T.linalg.lu_solve(*T.linalg.lu_factor(_well(T, a)), b),
        lambda a, b: np.linalg.solve(_np_well(a), b),
        SQUARE,
        RIGHT,
    ),
    _case("lu_unpack", lambda T, a: T.lu_unpack(*T.linalg.lu_factor(_well(T, a)))[2], None, SQUARE),
    _case(
        "lu_solve",
        lambda T, b, a: b.lu_solve(*T.linalg.lu_factor(_well(T, a))),
        lambda b, a: np.linalg.solve(_np_well(a), b),
        RIGHT,
        SQUARE,
    ),
    _case(
        "linalg.cholesky_ex",
        lambda T, a: T.linalg.cholesky_ex(_spd(T, a))[0],
        lambda a: np.linalg.cholesky(_np_spd(a)),
        SQUARE,
    ),
    _case("linalg.inv_ex", lambda T, a: T.linalg.inv_ex(_well(T, a))[0], lambda a: np.linalg.inv(_np_well(a)), SQUARE),
    _case(
        "linalg.solve_ex",
        lambda T, a, b: T.linalg.solve_ex(_well(T, a), b)[0],
        lambda a, b: np.linalg.solve(_np_well(a), b),
        SQUARE,
        RIGHT,
    ),
    _case("linalg.diagonal", lambda T, a: T.linalg.diagonal(a), lambda a: a.diagonal(0, -2, -1), In(2, 3, 3)),
    _case(
        "linalg.tensorsolve",
        lambda T, a, b: T.linalg.tensorsolve(_well(T, a).reshape(2, 3, 6), b),
        lambda a, b: np.linalg.solve(_np_well(a), b.ravel()),
        In(6, 6),
        In(2, 3),
    ),
    _case(
        "linalg.vector_norm", lambda T, a: T.linalg.vector_norm(a, 3, 1), lambda a: np.linalg.norm(a, 3, 1), In(3, 4)
    ),
    _case(
        "triangular_solve",
        lambda T, b, a: T.triangular_solve(b, _well(T, a))[0],
        lambda b, a: np.linalg.solve(np.triu(_np_well(a)), b),
        RIGHT,
        SQUARE,
    ),
    _case("det", lambda T, a: T.det(a), np.linalg.det, SQUARE, method="det"),
    _case("slogdet", lambda T, a: T.slogdet(_well(T, a))[1], lambda a: np.linalg.slogdet(_np_well(a))[1], SQUARE),
    _case("pinverse", lambda T, a: T.pinverse(a), np.linalg.pinv, In(4, 3), method="pinverse", tol=1e-3),
    _case("cholesky", lambda T, a: T.cholesky(_spd(T, a)), lambda a: np.linalg.cholesky(_np_spd(a)), SQUARE),
    _case("qr", lambda T, a: T.qr(a)[0] @ T.qr(a)[1], lambda a: a, In(4, 3)),
    _case(
        "svd",
        lambda T, a: T.svd(a)[0] @ (T.svd(a)[1].unsqueeze(-1) * T.svd(a)[2].transpose(-2, -1)),
        lambda a: a,
        In(4, 3),
    ),
    _case("Tensor.matrix_exp", lambda T, a: a.matrix_exp(), _expm, In(3, 3, lo=-1, hi=1), tol=1e-3),
    _case("Tensor.lu", lambda T, a: _well(T, a).lu()[0], None, SQUARE),
    _case("Tensor.orgqr", lambda T, a, t: a.orgqr(t), None, In(4, 3), In(3)),
    _case(
        "Tensor.cholesky_solve",
        lambda T, b, a: b.cholesky_solve(T.linalg.cholesky(_spd(T, a))),
        lambda b, a: np.linalg.solve(_np_spd(a), b),
        RIGHT,
        SQUARE,
    ),
    _case(
        "Tensor.cholesky_inverse",
        lambda T, a: T.linalg.cholesky(_spd(T, a)).cholesky_inverse(),
        lambda a: np.linalg.inv(_np_spd(a)),
        SQUARE,
    ),
]
