"""Rows of names beside others: in-place activations, pooling with indices, dropout of channels, casts."""

import numpy as np

from tests.case import Case, In

from .random import _case as seeded

F = "nn.functional."
A, IMAGE = In(3, 4), In(2, 3, 8, 8, distinct=True)


def _f(T):
    return T.nn.functional


def _case(name, fn, ref, *inputs, **kw):
    return Case(name, fn, ref, list(inputs), **kw)


def _own(name, ref, *args, prefix=F):
    """An in-place activation, on a copy of the input."""

    def fn(T, a):
        place = _f(T) if prefix else T
        return getattr(place, name)(a.clone(), *args)

    return _case(prefix + name, fn, ref, A, tol=1e-5)


def _exp_below(scale, alpha):
    return lambda a: scale * np.where(a > 0, a, alpha * (np.exp(np.minimum(a, 0)) - 1))


SELU = _exp_below(1.0507009873554805, 1.6732632423543772)
ACTIVATIONS = [
    _own("celu_", _exp_below(1, 1)),
    _own("celu_", _exp_below(1, 1), prefix=""),
    _own("elu_", _exp_below(1, 1)),
    _own("selu_", SELU),
    _own("selu_", SELU, prefix=""),
    _own("hardtanh_", lambda a: np.clip(a, -1, 1)),
    _own("leaky_relu_", lambda a: np.where(a > 0, a, 0.01 * a)),
    _own("threshold_", lambda a: np.where(a > 0.5, a, 3), 0.5, 3),
    _own("threshold_", lambda a: np.where(a > 0.5, a, 3), 0.5, 3, prefix=""),
    seeded("rrelu_", lambda T, a: T.rrelu_(a.clone(), 0.1, 0.4, True), A),
    seeded(F + "rrelu_", lambda T, a: _f(T).rrelu_(a.clone(), 0.1, 0.4, True), A),
]


def _soft(a):
    e = np.exp(a - a.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


ROWS = In(5, dtype="i64", low=0, high=4, requires_grad=False)
FUNCTIONS = [
    _case(F + "softmax", lambda T, a: _f(T).softmax(a, 1), _soft, A, tol=1e-5),
    _case(F + "log_softmax", lambda T, a: _f(T).log_softmax(a, 1), lambda a: np.log(_soft(a)), A, tol=1e-5),
    _case(
        F + "linear",
        lambda T, x, w, b: _f(T).linear(x, w, b),
        lambda x, w, b: x @ w.T + b,
        A,
        In(2, 4),
        In(2),
        tol=1e-5,
        raises=((lambda T: _f(T).linear(T.ones(2, 3), T.ones(2, 2)), RuntimeError),),
    ),
    _case(
        F + "embedding",
        lambda T, i, w: _f(T).embedding(i, w),
        lambda i, w: w[i],
        ROWS,
        In(4, 3),
        raises=((lambda T: _f(T).embedding(T.tensor([4]), T.ones(4, 3)), IndexError),),
    ),
    _case(
        "Tensor.logdet",
        lambda T, a: (a @ a.t() + T.eye(3, dtype=a.dtype)).logdet(),
        lambda a: np.linalg.slogdet(a @ a.T + np.eye(3))[1],
        A,
        tol=1e-4,
        capture=False,
    ),
    _case(
        "Tensor.triangular_solve",
        lambda T, b, a: b.triangular_solve(a + 4 * T.eye(3, dtype=a.dtype))[0],
        lambda b, a: np.linalg.solve(np.triu(a + 4 * np.eye(3)), b),
        In(3, 2),
        In(3, 3),
        tol=1e-4,
        capture=False,
    ),
    _case(
        "norm_except_dim",
        lambda T, a: T.norm_except_dim(a, 2, 1),
        lambda a: np.sqrt((a * a).sum(0, keepdims=True)),
        A,
        tol=1e-5,
    ),
]


def _indexed(name, *args):
    """Of a pooling function that also says where: its values. They are those of its plain form."""
    size = int(name[-len("1d_with_indices")]) + 1
    x = In(*IMAGE.sizes[:2], *[8] * (size - 1), distinct=True)
    return _case(F + name, lambda T, a: getattr(_f(T), name)(a, *args)[0], None, x, gradgrad=False)


POOLING = [
    *[_indexed(f"adaptive_max_pool{d}d_with_indices", 3) for d in (1, 2, 3)],
    *[_indexed(f"max_pool{d}d_with_indices", 2) for d in (1, 2, 3)],
    _case(
        "adaptive_max_pool1d",
        lambda T, a: T.adaptive_max_pool1d(a, 4)[0],
        lambda a: a.reshape(2, 3, 4, 2).max(-1),
        In(2, 3, 8, distinct=True),
    ),
    _case(
        "max_pool1d_with_indices",
        lambda T, a: T.max_pool1d_with_indices(a, 2)[0],
        lambda a: a.reshape(2, 3, 4, 2).max(-1),
        In(2, 3, 8, distinct=True),
    ),
    _case(
        F + "lp_pool1d",
        lambda T, a: _f(T).lp_pool1d(a, 2.0, 2),
        lambda a: np.sqrt((a.reshape(2, 3, 4, 2) ** 2).sum(-1)),
        In(2, 3, 8, lo=0.2),
        tol=1e-5,
    ),
    _case(F + "lp_pool3d", lambda T, a: _f(T).lp_pool3d(a, 2.0, 2), None, In(1, 2, 4, 4, 4, lo=0.2), tol=1e-5),
    _case(F + "max_unpool1d", lambda T, a: _f(T).max_unpool1d(a, T.tensor([[[1, 2, 7]]]), 3), None, In(1, 1, 3)),
    _case(
        F + "max_unpool3d",
        lambda T, a: _f(T).max_unpool3d(a, T.tensor([5]).reshape(1, 1, 1, 1, 1), 2),
        None,
        In(1, 1, 1, 1, 1),
    ),
    _case(F + "upsample", lambda T, a: _f(T).upsample(a, scale_factor=2), lambda a: a.repeat(2, 2).repeat(2, 3), IMAGE),
    _case(
        F + "upsample_nearest",
        lambda T, a: _f(T).upsample_nearest(a, scale_factor=2),
        lambda a: a.repeat(2, 2).repeat(2, 3),
        IMAGE,
    ),
    _case(
        F + "upsample_bilinear", lambda T, a: _f(T).upsample_bilinear(a, scale_factor=2), None, In(1, 2, 3, 3), tol=1e-5
    ),
]

POOLING += [
    _case(name, lambda T, a, g, name=name: getattr(T, name)(a, g, 0, 0, False), None, In(1, 2, *[4] * d),
          In(1, *[3] * d, d, lo=-0.9, hi=0.9), tol=1e-4, gradgrad=False)
    for name, d in (("grid_sampler", 2), ("grid_sampler_2d", 2), ("grid_sampler_3d", 3))
]  # fmt: skip
SAMPLES = {2: In(2, 3, 2, lo=0, hi=1, requires_grad=False), 3: In(2, 3, 3, lo=0, hi=1, requires_grad=False)}
POOLING += [
    _case(F + name, lambda T, a, u, name=name: getattr(_f(T), name)(a, 2, 3, _random_samples=u)[0], None,
          In(2, 3, *[7] * d, distinct=True), SAMPLES[d], gradgrad=False)
    for d in (2, 3) for name in (f"fractional_max_pool{d}d_with_indices", f"fractional_max_pool{d}d")
]  # fmt: skip

DROPOUT = [
    seeded(
        F + "dropout",
        lambda T, x: _f(T).dropout(x, 0.4),
        In(6, 7),
        grad=True,
        raises=((lambda T: _f(T).dropout(T.ones(2), 1.5), ValueError),),
    ),
    seeded(F + "dropout1d", lambda T, x: _f(T).dropout1d(x, 0.4), In(2, 5, 3), grad=True),
    seeded(F + "dropout2d", lambda T, x: _f(T).dropout2d(x, 0.4), In(2, 5, 3, 2), grad=True),
    seeded(F + "dropout3d", lambda T, x: _f(T).dropout3d(x, 0.4), In(2, 5, 3, 2, 2), grad=True),
    seeded(F + "alpha_dropout", lambda T, x: _f(T).alpha_dropout(x, 0.4, True), In(6, 7), grad=True),
    seeded(F + "feature_alpha_dropout", lambda T, x: _f(T).feature_alpha_dropout(x, 0.4, True), In(2, 5, 3), grad=True),
    seeded("dropout_", lambda T, x: T.dropout_(x.clone(), 0.4, True), In(6, 7)),
    seeded("alpha_dropout_", lambda T, x: T.alpha_dropout_(x.clone(), 0.4, True), In(6, 7)),
    seeded("feature_dropout_", lambda T, x: T.feature_dropout_(x.clone(), 0.4, True), In(2, 5, 3)),
    seeded("feature_alpha_dropout_", lambda T, x: T.feature_alpha_dropout_(x.clone(), 0.4, True), In(2, 5, 3)),
    seeded("native_dropout", lambda T, x: T.native_dropout(x, 0.4, True)[0], In(6, 7), grad=True),
    seeded(F + "gumbel_softmax", lambda T, x: _f(T).gumbel_softmax(x, 0.7), In(4, 5), grad=True, tol=1e-5),
]


def _cast(name, to):
    """To another dtype and back."""
    return _case(
        f"Tensor.{name}",
        lambda T, a: getattr(a, name)().to(a.dtype),
        lambda a: a.astype(to).astype(a.dtype),
        In(3, 4, low=0, high=9),
        dtypes="i",
        grad=False,
    )


CASTS = [
    _cast("short", "int16"),
    _cast("int", "int32"),
    _cast("long", "int64"),
    _cast("half", "float16"),
    _cast("float", "float32"),
    _cast("double", "float64"),
    _cast("byte", "uint8"),
    _cast("char", "int8"),
    _cast("bool", "bool"),
]
CASES = ACTIVATIONS + FUNCTIONS + POOLING + DROPOUT + CASTS
