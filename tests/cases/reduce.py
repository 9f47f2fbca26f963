"""Rows of reductions, scans and softmax."""

import numpy as np

from tests.case import Case, In


def _axes(ref, **kw):
    return lambda a: ref(a, **kw)


def _norm(p, axis=None):
    def ref(a):
        m = np.abs(a)
        if p == np.inf:
            return m.max(axis=axis)
        if p == -np.inf:
            return m.min(axis=axis)
        if p == 0:
            return (m != 0).sum(axis=axis).astype(a.dtype)
        return (m**p).sum(axis=axis) ** (1 / p)

    return ref


def _lse(a, axis, keepdims=False):
    m = a.max(axis=axis, keepdims=True)
    r = np.log(np.exp(a - m).sum(axis=axis, keepdims=True)) + m
    return r if keepdims else np.squeeze(r, axis)


def _softmax(a, axis=-1):
    e = np.exp(a - a.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


X = [In(3, 4, 5)]
D = [In(3, 4, 5, distinct=True)]
CASES = [
    Case(
        "sum",
        lambda T, a: T.sum(a),
        np.sum,
        X,
        dtypes="fib",
        method="sum",
        raises=(
            (lambda T: T.sum(T.ones(2, 3), 3), IndexError),
            (lambda T: T.sum(T.ones(2, 3), (0, 0)), RuntimeError),
            (lambda T: T.sum("a"), TypeError),
        ),
        bench=((1024, 1024),),
    ),
    Case("sum/dim", lambda T, a: T.sum(a, 1), _axes(np.sum, axis=1), X, dtypes="fib"),
    Case("sum/first", lambda T, a: T.sum(a, 0, keepdim=True), _axes(np.sum, axis=0, keepdims=True), X, dtypes="fib"),
    Case("sum/dims", lambda T, a: T.sum(a, (0, -1)), _axes(np.sum, axis=(0, 2)), X, dtypes="fib"),
    Case("sum/long", lambda T, a: T.sum(a, 0), _axes(np.sum, axis=0), [In(3000, 3)], grad=False),
    Case("nansum", lambda T, a: T.nansum(a, 1), _axes(np.nansum, axis=1), X, dtypes="fi", method=None),
    Case(
        "mean",
        lambda T, a: T.mean(a),
        np.mean,
        X,
        method="mean",
        raises=((lambda T: T.mean(T.ones(2, dtype=T.int64)), RuntimeError),),
    ),
    Case("mean/dim", lambda T, a: T.mean(a, (1, 2), keepdim=True), _axes(np.mean, axis=(1, 2), keepdims=True), X),
    Case("nanmean", lambda T, a: T.nanmean(a, 1), _axes(np.nanmean, axis=1), X),
    Case("prod", lambda T, a: T.prod(a), np.prod, [In(2, 5)], dtypes="fi", method="prod", tol=1e-4),
    Case(
        "prod/dim",
        lambda T, a: T.prod(a, 1),
        _axes(np.prod, axis=1),
        X,
        dtypes="fi",
        tol=1e-4,
        raises=((lambda T: T.prod(T.ones(2, 3), (0, 1)), TypeError),),
    ),
    Case("prod/zeros", lambda T, a: T.prod(a * (a > 0), 1), lambda a: np.prod(a * (a > 0), axis=1), X, tol=1e-4),
    Case("var", lambda T, a: T.var(a), _axes(np.var, ddof=1), X, method="var", tol=1e-5),
    Case("var/dim", lambda T, a: T.var(a, 1, correction=0), _axes(np.var, axis=1), X, tol=1e-5),
    Case("std", lambda T, a: T.std(a, (0, 2)), _axes(np.std, axis=(0, 2), ddof=1), X, method=None, tol=1e-5),
    Case("var_mean", lambda T, a: T.var_mean(a, 1), lambda a: (a.var(axis=1, ddof=1), a.mean(axis=1)), X, tol=1e-5),
    Case("std_mean", lambda T, a: T.std_mean(a, 1), lambda a: (a.std(axis=1, ddof=1), a.mean(axis=1)), X, tol=1e-5),
    Case(
        "amax",
        lambda T, a: T.amax(a, 1),
        _axes(np.max, axis=1),
        D,
        dtypes="fi",
        raises=(
            (lambda T: T.amax(T.zeros(0)), RuntimeError),
            (lambda T: T.amax(T.zeros(0, 2), 0), IndexError),
        ),
    ),
    Case("amin", lambda T, a: T.amin(a, (0, 2), True), _axes(np.min, axis=(0, 2), keepdims=True), D, dtypes="fi"),
    Case("aminmax", lambda T, a: T.aminmax(a, dim=1), lambda a: (a.min(axis=1), a.max(axis=1)), D, dtypes="fi"),
    Case(
        "max",
        lambda T, a: T.max(a),
        np.max,
        D,
        dtypes="fi",
        method="max",
        raises=(
            (lambda T: T.max(T.zeros(0)), RuntimeError),
            (lambda T: T.max(T.zeros(0, 2), 0), IndexError),
        ),
    ),
    Case("max/dim", lambda T, a: T.max(a, 1), lambda a: (a.max(axis=1), a.argmax(axis=1)), D, dtypes="fi"),
    Case("max/other", lambda T, a, b: T.max(a, b), np.maximum, [In(3, 4, distinct=True), In(4)], dtypes="fi"),
    Case("min", lambda T, a: T.min(a), np.min, D, dtypes="fi", method="min"),
    Case(
        "min/dim",
        lambda T, a: T.min(a, 0, True),
        lambda a: (a.min(axis=0, keepdims=True), a.argmin(axis=0, keepdims=True)),
        D,
        dtypes="fi",
    ),
    Case("argmax", lambda T, a: T.argmax(a), np.argmax, D, dtypes="fi", grad=False, method="argmax"),
    Case("argmax/dim", lambda T, a: T.argmax(a, 1), _axes(np.argmax, axis=1), D, dtypes="fi", grad=False),
    Case(
        "argmin",
        lambda T, a: T.argmin(a, 0, keepdim=True),
        _axes(np.argmin, axis=0, keepdims=True),
        D,
        dtypes="fi",
        grad=False,
    ),
    Case("logsumexp", lambda T, a: T.logsumexp(a, 1), lambda a: _lse(a, 1), X, tol=1e-5),
    Case("logsumexp/dims", lambda T, a: T.logsumexp(a, (0, 2), True), lambda a: _lse(a, (0, 2), True), X, tol=1e-5),
    Case("any", lambda T, a: T.any(a > 1, 1), lambda a: np.any(a > 1, axis=1), X, dtypes="fi", grad=False),
    Case("all", lambda T, a: T.all(a < 5, 1), lambda a: np.all(a < 5, axis=1), X, dtypes="fi", grad=False),
    Case(
        "count_nonzero",
        lambda T, a: T.count_nonzero(a, 1),
        _axes(np.count_nonzero, axis=1),
        X,
        dtypes="fib",
        grad=False,
    ),
    Case("norm", lambda T, a: T.norm(a), _norm(2), X, method="norm"),
    Case("norm/1", lambda T, a: T.norm(a, 1, 1), _norm(1, 1), X),
    Case("norm/inf", lambda T, a: T.norm(a, float("inf"), 1), _norm(np.inf, 1), D),
    Case("norm/-inf", lambda T, a: T.norm(a, -float("inf"), 1), _norm(-np.inf, 1), D),
    Case("norm/3", lambda T, a: T.norm(a, 3, (0, 2)), _norm(3, (0, 2)), X, tol=1e-4),
    Case("norm/1.5", lambda T, a: T.norm(a, 1.5, 0), _norm(1.5, 0), X, tol=1e-4),
    Case("dist", lambda T, a, b: T.dist(a, b, 2), lambda a, b: np.sqrt(((a - b) ** 2).sum()), [In(3, 4), In(4)]),
    Case("cumsum", lambda T, a: T.cumsum(a, 1), _axes(np.cumsum, axis=1), X, dtypes="fib", tol=1e-5),
    Case("cumprod", lambda T, a: T.cumprod(a, 1), _axes(np.cumprod, axis=1), X, dtypes="fi", tol=1e-4),
    Case(
        "cumprod/zeros", lambda T, a: T.cumprod(a * (a > 0), 2), lambda a: np.cumprod(a * (a > 0), axis=2), X, tol=1e-4
    ),
    Case("logcumsumexp", lambda T, a: T.logcumsumexp(a, 1), _axes(np.logaddexp.accumulate, axis=1), X, tol=1e-5),
    Case("cummax", lambda T, a: T.cummax(a, 1)[0], _axes(np.maximum.accumulate, axis=1), D, dtypes="fi"),
    Case("cummin", lambda T, a: T.cummin(a, 0)[0], _axes(np.minimum.accumulate, axis=0), D, dtypes="fi"),
    Case("diff", lambda T, a: T.diff(a, 2, 1), _axes(np.diff, n=2, axis=1), X, dtypes="fi"),
    Case(
        "trapezoid", lambda T, a: T.trapezoid(a, dx=0.5, dim=1), lambda a: ((a[:, 1:] + a[:, :-1]) / 4).sum(axis=1), X
    ),
    Case(
        "cumulative_trapezoid",
        lambda T, a: T.cumulative_trapezoid(a, dim=1),
        lambda a: ((a[:, 1:] + a[:, :-1]) / 2).cumsum(axis=1),
        X,
        tol=1e-5,
    ),
    Case(
        "softmax",
        lambda T, a: T.softmax(a, -1),
        _softmax,
        X,
        method=None,
        tol=1e-5,
        raises=((lambda T: T.softmax(T.ones(2, 3), 3), IndexError),),
        bench=((1024, 1024),),
    ),
    Case("softmax/first", lambda T, a: T.softmax(a, 0), lambda a: _softmax(a, 0), X, tol=1e-5),
    Case("log_softmax", lambda T, a: T.log_softmax(a, -1), lambda a: np.log(_softmax(a)), X, tol=1e-5),
    Case("log_softmax/middle", lambda T, a: T.log_softmax(a, 1), lambda a: np.log(_softmax(a, 1)), X, tol=1e-5),
]
