"""Rows of covariances, numerical gradients, membership, histograms, windows, names of complex numbers."""

import numpy as np

from tests.case import Case, In


def _case(name, fn, ref, *inputs, **kw):
    return Case(name, fn, ref, list(inputs), **kw)


def _isin(a, b):
    return np.isin(a, b)


def _frexp(T, x):
    m, e = T.frexp(x)
    return m, e.long()


def _plain(f, n):
    def ref(a):
        return f(n)

    return ref


A, WHOLE = In(3, 4), In(3, 4, dtype="i64", low=0, high=5, requires_grad=False)
SINGLE = (lambda T: T.cov("x"), TypeError)


def _window(name, ref, **kw):
    return _case(
        name,
        lambda T, a: getattr(T, name)(7, periodic=False, dtype=a.dtype),
        lambda a: ref(7),
        In(1),
        grad=False,
        tol={"float32": 1e-6},
        raises=(
            (lambda T: getattr(T, name)(-1), RuntimeError),
            (lambda T: getattr(T, name)(3, dtype=T.int64), RuntimeError),
        ),
        **kw,
    )


def _periodic(name, ref):
    return _case(
        f"{name}/periodic",
        lambda T, a: getattr(T, name)(6, dtype=a.dtype),
        lambda a: ref(7)[:6],
        In(1),
        grad=False,
        tol={"float32": 1e-6},
    )


def _gradients(T, a):
    return tuple(T.gradient(a, spacing=0.5))


def _uneven(T, a):
    return T.gradient(a, spacing=[T.tensor([0.0, 1, 3, 4, 7], dtype=a.dtype)], dim=1)[0]


CASES = [
    _case(
        "cov",
        lambda T, a: T.cov(a),
        np.cov,
        A,
        tol=1e-5,
        method="cov",
        raises=(
            (lambda T: T.cov(T.ones(2, 2, 2)), RuntimeError),
            (lambda T: T.cov(T.ones(2, dtype=T.bool)), RuntimeError),
            (lambda T: T.cov(T.ones(2), fweights=T.tensor([1, -1])), RuntimeError),
            SINGLE,
        ),
    ),
    _case(
        "cov/weights",
        lambda T, a, f, w: T.cov(a, correction=0, fweights=f, aweights=w),
        lambda a, f, w: np.cov(a, ddof=0, fweights=f, aweights=w),
        A,
        In(4, dtype="i64", low=1, high=5, requires_grad=False),
        In(4, lo=0.5, hi=2),
        tol=1e-5,
        capture=False,
    ),
    _case(
        "corrcoef",
        lambda T, a: T.corrcoef(a),
        np.corrcoef,
        A,
        tol=1e-5,
        method="corrcoef",
        raises=((lambda T: T.corrcoef(T.ones(2, 2, 2)), RuntimeError),),
    ),
    _case(
        "gradient",
        _gradients,
        lambda a: tuple(np.gradient(a, 0.5)),
        In(3, 5),
        tol=1e-5,
        raises=(
            (lambda T: T.gradient(T.ones(1)), RuntimeError),
            (lambda T: T.gradient(T.ones(4), edge_order=3), RuntimeError),
            (lambda T: T.gradient(T.ones(4), spacing=[1, 2]), RuntimeError),
        ),
    ),
    _case("gradient/uneven", _uneven, lambda a: np.gradient(a, [0.0, 1, 3, 4, 7], axis=1), In(3, 5), tol=1e-5),
    _case(
        "gradient/edges",
        lambda T, a: T.gradient(a, dim=1, edge_order=2)[0],
        lambda a: np.gradient(a, axis=1, edge_order=2),
        In(3, 5),
        tol=1e-5,
    ),
    _case(
        "isin",
        lambda T, a, b: T.isin(a, b),
        _isin,
        WHOLE,
        In(3, dtype="i64", low=0, high=5),
        grad=False,
        raises=((lambda T: T.isin(1, 2), TypeError),),
    ),
    _case(
        "isin/invert",
        lambda T, a, b: T.isin(a, b, invert=True),
        lambda a, b: ~np.isin(a, b),
        WHOLE,
        In(3, dtype="i64", low=0, high=5),
        grad=False,
    ),
    _case(
        "histogramdd",
        lambda T, a: T.histogramdd(a, [3, 2], range=[-2.0, 2, -2, 2])[0],
        lambda a: np.histogramdd(a, (3, 2), ((-2, 2), (-2, 2)))[0],
        In(20, 2),
        grad=False,
        capture=False,
        raises=(
            (lambda T: T.histogramdd(T.ones(3), [2]), RuntimeError),
            (lambda T: T.histogramdd(T.ones(3, 2), [2]), RuntimeError),
            (lambda T: T.histogramdd(T.ones(3, 2), 0), RuntimeError),
        ),
    ),
    _case(
        "frexp",
        _frexp,
        lambda x: tuple(np.frexp(x)),
        A,
        dtypes="fh",
        raises=((lambda T: T.frexp(T.ones(2, dtype=T.int64)), RuntimeError), (lambda T: T.frexp("x"), TypeError)),
    ),
    _case(
        "nonzero_static",
        lambda T, a: T.nonzero_static(a, size=9, fill_value=-7),
        lambda a: np.concatenate([np.argwhere(a), np.full((9, 2), -7)])[:9],
        WHOLE,
        grad=False,
        capture=False,
        method="nonzero_static",
        raises=((lambda T: T.nonzero_static(T.ones(2), size=-1), RuntimeError),),
    ),
    _case(
        "Tensor.sum_to_size",
        lambda T, a: a.sum_to_size(3, 1),
        lambda a: a.sum((0, 2), keepdims=True)[0],
        In(2, 3, 4),
        tol=1e-5,
        raises=((lambda T: T.ones(2, 3).sum_to_size(2), RuntimeError),),
    ),
    _case(
        "Tensor.fill_diagonal_",
        lambda T, a: a.clone().fill_diagonal_(2.5),
        lambda a: np.where(np.eye(3, 4), 2.5, a),
        A,
        raises=(
            (lambda T: T.ones(2).fill_diagonal_(1), RuntimeError),
            (lambda T: T.ones(2, 3, 2).fill_diagonal_(1), RuntimeError),
        ),
    ),
    _case(
        "Tensor.fill_diagonal_/wrap",
        lambda T, a: a.clone().fill_diagonal_(2.5, wrap=True),
        lambda a: np.where((np.arange(24) % 4 == 0).reshape(8, 3), 2.5, a),
        In(8, 3),
    ),
    _case("real", lambda T, a: T.real(a), lambda a: a, A, dtypes="fhi"),
    _case("conj", lambda T, a: T.conj(a), lambda a: a, A, dtypes="fhi", method="conj"),
    _case("conj_physical", lambda T, a: T.conj_physical(a), lambda a: a, A, dtypes="fhi", method="conj_physical"),
    _case("Tensor.conj_physical_", lambda T, a: a.clone().conj_physical_(), lambda a: a, A, dtypes="fhi"),
    _case("resolve_conj", lambda T, a: T.resolve_conj(a), lambda a: a, A, dtypes="fhi", method="resolve_conj"),
    _case("resolve_neg", lambda T, a: T.resolve_neg(a), lambda a: a, A, dtypes="fhi", method="resolve_neg"),
    _case(
        "angle",
        lambda T, a: T.angle(a),
        np.angle,
        A,
        dtypes="fi",
        method="angle",
        gradgrad=False,
        raises=((lambda T: T.angle("x"), TypeError),),
    ),
    _window("hann_window", np.hanning),
    _window("hamming_window", np.hamming),
    _window("blackman_window", np.blackman),
    _window("bartlett_window", np.bartlett),
    _window("kaiser_window", lambda n: np.kaiser(n, 12)),
    _periodic("hann_window", np.hanning),
    _periodic("kaiser_window", lambda n: np.kaiser(n, 12)),
    _case(
        "fft.fftfreq",
        lambda T, a: T.fft.fftfreq(5, 0.5, dtype=a.dtype),
        _plain(lambda n: np.fft.fftfreq(n, 0.5), 5),
        In(1),
        grad=False,
        tol=1e-6,
    ),
    _case(
        "fft.rfftfreq",
        lambda T, a: T.fft.rfftfreq(6, 0.5, dtype=a.dtype),
        _plain(lambda n: np.fft.rfftfreq(n, 0.5), 6),
        In(1),
        grad=False,
        tol=1e-6,
    ),
    _case("fft.fftshift", lambda T, a: T.fft.fftshift(a), np.fft.fftshift, In(3, 4), dtypes="fi"),
    _case("fft.ifftshift", lambda T, a: T.fft.ifftshift(a, 0), lambda a: np.fft.ifftshift(a, 0), In(3, 4), dtypes="fi"),
]
