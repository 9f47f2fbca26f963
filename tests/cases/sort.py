"""Rows of sorting, selection and search."""

import numpy as np

from tests.case import Case, In

D = [In(3, 7, 4, distinct=True)]


def _median(a):
    return np.sort(a, axis=1)[:, (a.shape[1] - 1) // 2]


CASES = [
    Case(
        "sort",
        lambda T, a: T.sort(a, 1),
        lambda a: (np.sort(a, axis=1), np.argsort(a, axis=1, kind="stable")),
        D,
        dtypes="fi",
    ),
    Case(
        "sort/stable",
        lambda T, a: T.sort(a, 0, stable=True),
        lambda a: (np.sort(a, axis=0), np.argsort(a, axis=0, kind="stable")),
        [In(40, 3, low=0, high=4)],
        dtypes="i",
        grad=False,
    ),
    Case(
        "sort/descending",
        lambda T, a: T.sort(a, -1, True)[0],
        lambda a: -np.sort(-a, axis=-1),
        [In(3, 50, distinct=True)],
    ),
    Case("sort/long", lambda T, a: T.sort(a)[0], np.sort, [In(5000, distinct=True)], dtypes="fi", grad=False),
    Case("argsort", lambda T, a: T.argsort(a, 1), lambda a: np.argsort(a, axis=1), D, dtypes="fi", grad=False),
    Case("msort", lambda T, a: T.msort(a), lambda a: np.sort(a, axis=0), D, dtypes="fi"),
    Case(
        "topk",
        lambda T, a: T.topk(a, 3, 1),
        lambda a: (-np.sort(-a, axis=1)[:, :3], np.argsort(-a, axis=1)[:, :3]),
        D,
        raises=((lambda T: T.topk(T.ones(2, 3), 9, 1), RuntimeError),),
    ),
    Case(
        "topk/smallest",
        lambda T, a: T.topk(a, 3, 1, largest=False)[0],
        lambda a: np.sort(a, axis=1)[:, :3],
        D,
        dtypes="fi",
    ),
    Case(
        "kthvalue",
        lambda T, a: T.kthvalue(a, 2, 1)[0],
        lambda a: np.sort(a, axis=1)[:, 1],
        D,
        dtypes="fi",
        raises=((lambda T: T.kthvalue(T.ones(2, 3), 0, 1), RuntimeError),),
    ),
    Case("median", lambda T, a: T.median(a, 1)[0], _median, D, dtypes="fi"),
    Case("median/all", lambda T, a: T.median(a), lambda a: np.sort(a, axis=None)[(a.size - 1) // 2], D, dtypes="fi"),
    Case("nanmedian", lambda T, a: T.nanmedian(a, 1)[0], _median, D, dtypes="f"),
    Case("mode", lambda T, a: T.mode(a, 1)[0], lambda a: np.sort(a, axis=1)[:, 0], D, dtypes="fi"),
    Case(
        "searchsorted",
        lambda T, a, b: T.searchsorted(T.sort(a)[0], b),
        lambda a, b: np.searchsorted(np.sort(a), b),
        [In(9, distinct=True), In(4, 5)],
        dtypes="fi",
        grad=False,
    ),
    Case(
        "searchsorted/right",
        lambda T, a, b: T.searchsorted(T.sort(a)[0], b, right=True),
        lambda a, b: np.searchsorted(np.sort(a), b, "right"),
        [In(9, low=0, high=5), In(4, 5)],
        dtypes="i",
        grad=False,
    ),
    Case(
        "bucketize",
        lambda T, a, b: T.bucketize(b, T.sort(a)[0]),
        lambda a, b: np.searchsorted(np.sort(a), b),
        [In(9, distinct=True), In(4, 5)],
        dtypes="fi",
        grad=False,
    ),
    Case(
        "unique",
        lambda T, a: T.unique(a, return_inverse=True, return_counts=True),
        lambda a: np.unique(a, return_inverse=True, return_counts=True),
        [In(30, low=0, high=7)],
        dtypes="ib",
        grad=False,
        capture=False,
    ),
    Case(
        "unique/dim",
        lambda T, a: T.unique(a, dim=0),
        lambda a: np.unique(a, axis=0),
        [In(30, 2, low=0, high=3)],
        dtypes="i",
        grad=False,
        capture=False,
    ),
    Case(
        "unique_consecutive",
        lambda T, a: T.unique_consecutive(a),
        lambda a: a[np.concatenate([[True], a[1:] != a[:-1]])],
        [In(30, low=0, high=3)],
        dtypes="ib",
        grad=False,
        capture=False,
    ),
    Case(
        "bincount",
        lambda T, a: T.bincount(a, minlength=9),
        lambda a: np.bincount(a, minlength=9),
        [In(30, low=0, high=7)],
        dtypes="i",
        grad=False,
        capture=False,
        raises=((lambda T: T.bincount(T.tensor([-1])), RuntimeError),),
    ),
    Case(
        "histc",
        lambda T, a: T.histc(a, 5, -2, 2),
        lambda a: np.histogram(a, 5, (-2, 2))[0].astype(a.dtype),
        [In(40)],
        grad=False,
        capture=False,
    ),
    Case(
        "histogram",
        lambda T, a: T.histogram(a, 5, range=(-2.0, 2.0)),
        lambda a: np.histogram(a, 5, (-2, 2)),
        [In(40)],
        grad=False,
        capture=False,
    ),
    Case(
        "quantile",
        lambda T, a: T.quantile(a, 0.3, 1),
        lambda a: np.quantile(a, 0.3, axis=1),
        [In(3, 9, distinct=True)],
        tol=1e-5,
        capture=False,
        raises=((lambda T: T.quantile(T.ones(3), 1.5), RuntimeError),),
    ),
    Case(
        "nanquantile",
        lambda T, a: T.nanquantile(a, 0.6, 0, interpolation="lower"),
        lambda a: np.quantile(a, 0.6, axis=0, method="lower"),
        [In(7, 2, distinct=True)],
        capture=False,
    ),
]
