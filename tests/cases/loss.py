"""Rows of losses."""

import numpy as np

from tests.case import Case, In


def _lsm(a):
    m = a - a.max(axis=1, keepdims=True)
    return m - np.log(np.exp(m).sum(axis=1, keepdims=True))


def _ce(a, t, w=None, ignore=-100, smooth=0.0):
    lp = np.moveaxis(_lsm(a), 1, -1)
    c = lp.shape[-1]
    w = np.ones(c) if w is None else w
    hit = t != ignore
    k = np.where(hit, t, 0)
    loss = -(1 - smooth) * w[k] * np.take_along_axis(lp, k[..., None], -1)[..., 0] - smooth / c * (lp * w).sum(-1)
    return (loss * hit).sum() / (w[k] * hit).sum()


def _nll(a, t):
    return -np.take_along_axis(a, t[:, None], 1)[:, 0]


def _smooth(a, b, beta=1.0):
    d = np.abs(a - b)
    return np.where(d < beta, 0.5 * d * d / beta, d - beta / 2)


P = [In(4, 5), In(4, 5)]
Q = [In(4, 5, lo=0.05, hi=0.95), In(4, 5, lo=0.05, hi=0.95)]
CLASSES = In(6, dtype="i64", low=0, high=5, requires_grad=False)
F = "nn.functional."


def _F(T):
    return T.nn.functional


def _f(name, **kw):
    return lambda T, *args: getattr(_F(T), name)(*args, **kw)


CASES = [
    Case(
        F + "cross_entropy",
        _f("cross_entropy"),
        _ce,
        [In(6, 5), CLASSES],
        tol=1e-5,
        raises=(
            (lambda T: _F(T).cross_entropy(T.ones(2, 3), T.tensor([1, 3])), IndexError),
            (lambda T: _F(T).cross_entropy(T.ones(2, 3), T.tensor([1, 2, 0])), ValueError),
            (lambda T: _F(T).cross_entropy(T.ones(2, 3), T.tensor([1, 2]), reduction="x"), ValueError),
        ),
        bench=((128, 1000), (128,)),
    ),
    Case(
        F + "linear_cross_entropy",
        lambda T, x, w, b, t: _F(T).linear_cross_entropy(x, w, t, linear_bias=b),
        lambda x, w, b, t: _ce(x @ w.T + b, t),
        [In(6, 3), In(5, 3), In(5), CLASSES],
        tol=1e-5,
        raises=(
            (
                lambda T: _F(T).linear_cross_entropy(T.ones(2, 3), T.ones(4, 3), T.ones(2, 4), ignore_index=1),
                RuntimeError,
            ),
            (lambda T: _F(T).linear_cross_entropy(T.ones(3), T.ones(4, 2, 3), T.tensor([0, 1])), RuntimeError),
        ),
    ),
    Case(
        F + "cross_entropy/ignore",
        _f("cross_entropy", ignore_index=2),
        lambda a, t: _ce(a, t, ignore=2),
        [In(6, 5), CLASSES],
        tol=1e-5,
    ),
    Case(
        F + "cross_entropy/smoothing",
        _f("cross_entropy", label_smoothing=0.2),
        lambda a, t: _ce(a, t, smooth=0.2),
        [In(6, 5), CLASSES],
        tol=1e-5,
    ),
    Case(
        F + "cross_entropy/weight",
        lambda T, a, t, w: _F(T).cross_entropy(a, t, w),
        _ce,
        [In(6, 5), CLASSES, In(5, lo=0.5, hi=2, requires_grad=False)],
        tol=1e-5,
    ),
    Case(
        F + "cross_entropy/spatial",
        _f("cross_entropy"),
        _ce,
        [In(2, 5, 3, 4), In(2, 3, 4, dtype="i64", low=0, high=5, requires_grad=False)],
        tol=1e-5,
    ),
    Case(
        F + "cross_entropy/probabilities",
        _f("cross_entropy"),
        lambda a, p: -(_lsm(a) * p).sum() / a.shape[0],
        [In(6, 5), In(6, 5, lo=0, hi=1)],
        tol=1e-5,
    ),
    Case(
        F + "nll_loss",
        _f("nll_loss", reduction="none"),
        _nll,
        [In(6, 5), CLASSES],
        raises=((lambda T: _F(T).nll_loss(T.ones(2, 3), T.tensor([1, -1])), IndexError),),
    ),
    Case(F + "nll_loss/mean", _f("nll_loss"), lambda a, t: _nll(a, t).mean(), [In(6, 5), CLASSES]),
    Case(F + "mse_loss", _f("mse_loss"), lambda a, b: ((a - b) ** 2).mean(), P),
    Case(F + "mse_loss/none", _f("mse_loss", reduction="none"), lambda a, b: (a - b) ** 2, P),
    Case(F + "l1_loss", _f("l1_loss"), lambda a, b: np.abs(a - b).mean(), P),
    Case(
        F + "smooth_l1_loss",
        _f("smooth_l1_loss", beta=0.5),
        lambda a, b: _smooth(a, b, 0.5).mean(),
        P,
        raises=((lambda T: _F(T).smooth_l1_loss(T.ones(2), T.ones(2), beta=-1.0), RuntimeError),),
    ),
    Case(
        F + "huber_loss", _f("huber_loss", delta=0.5, reduction="sum"), lambda a, b: 0.5 * _smooth(a, b, 0.5).sum(), P
    ),
    Case(
        F + "binary_cross_entropy",
        _f("binary_cross_entropy"),
        lambda a, b: -(b * np.log(a) + (1 - b) * np.log(1 - a)).mean(),
        Q,
        tol=1e-5,
        raises=(
            (lambda T: _F(T).binary_cross_entropy(T.ones(2) * 3, T.ones(2)), RuntimeError),
            (lambda T: _F(T).binary_cross_entropy(T.ones(2), T.ones(3)), ValueError),
        ),
    ),
    Case(
        F + "binary_cross_entropy_with_logits",
        _f("binary_cross_entropy_with_logits"),
        lambda a, b: (np.logaddexp(0, a) - a * b).mean(),
        [In(4, 5), In(4, 5, lo=0, hi=1)],
        tol=1e-5,
    ),
    Case(
        F + "kl_div",
        _f("kl_div", reduction="batchmean"),
        lambda a, b: (b * (np.log(b) - a)).sum() / a.shape[0],
        [In(4, 5), In(4, 5, lo=0.05, hi=0.95)],
        tol=1e-5,
    ),
    Case(
        F + "kl_div/log_target",
        _f("kl_div", reduction="sum", log_target=True),
        lambda a, b: (np.exp(b) * (b - a)).sum(),
        P,
        tol=1e-5,
    ),
]
