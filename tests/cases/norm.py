"""Rows of normalizations."""

import numpy as np

from tests.case import Case, In


def _affine(y, w, b, shape):
    if w is not None:
        y = y * w.reshape(shape)
    return y if b is None else y + b.reshape(shape)


def _over(x, dims, eps):
    return (x - x.mean(dims, keepdims=True)) / np.sqrt(x.var(dims, keepdims=True) + eps)


def _layer(x, w=None, b=None, n=1, eps=1e-5):
    return _affine(_over(x, tuple(range(-n, 0)), eps), w, b, x.shape[-n:])


def _rms(x, w=None, eps=1e-5):
    return _affine(x / np.sqrt((x * x).mean(-1, keepdims=True) + eps), w, None, (-1,))


def _group(x, w=None, b=None, groups=2, eps=1e-5):
    y = _over(x.reshape(x.shape[0], groups, -1), (2,), eps).reshape(x.shape)
    return _affine(y, w, b, (-1,) + (1,) * (x.ndim - 2))


def _batch(x, w=None, b=None, eps=1e-5):
    return _affine(_over(x, (0, *range(2, x.ndim)), eps), w, b, (-1,) + (1,) * (x.ndim - 2))


def _fixed(x, w, b, m, v):
    shape = (-1,) + (1,) * (x.ndim - 2)
    return _affine((x - m.reshape(shape)) / np.sqrt(v.reshape(shape) + 1e-5), w, b, shape)


def _instance(x, w=None, b=None, eps=1e-5):
    return _affine(_over(x, tuple(range(2, x.ndim)), eps), w, b, (-1,) + (1,) * (x.ndim - 2))


def _normalize(x, p=2.0, dim=1):
    return x / np.maximum((np.abs(x) ** p).sum(dim, keepdims=True) ** (1 / p), 1e-12)


def W(n):
    return In(n, lo=0.5, hi=1.5)


def _F(T):
    return T.nn.functional


F = "nn.functional."
K = {"dtypes": "fh", "tol": {"float32": 2e-5, "float16": 2e-2, "bfloat16": 6e-2}}
_batch_norm = lambda T, x, w, b: _F(T).batch_norm(x, None, None, w, b, True)  # noqa: E731

CASES = [
    Case(
        F + "layer_norm",
        lambda T, x, w, b: _F(T).layer_norm(x, x.shape[-1:], w, b),
        _layer,
        [In(3, 4, 7), W(7), In(7)],
        **K,
        raises=(
            (lambda T: _F(T).layer_norm(T.ones(2, 3), [4]), RuntimeError),
            (lambda T: _F(T).layer_norm(T.ones(2, 3), []), RuntimeError),
            (lambda T: _F(T).layer_norm(T.ones(2, 3), 3), TypeError),
            (lambda T: _F(T).layer_norm(T.ones(2, 3), (3,), T.ones(2)), RuntimeError),
            (lambda T: _F(T).layer_norm(T.ones(2, 3), (3,), T.ones(3).double()), RuntimeError),
            (lambda T: _F(T).layer_norm(T.ones(2, 3).long(), (3,)), NotImplementedError),
            (lambda T: _F(T).layer_norm("a", (3,)), TypeError),
        ),
        bench=((768, 4, 1000), (1000,), (1000,)),
    ),
    Case(
        F + "layer_norm/plain", lambda T, x: _F(T).layer_norm(x, (4, 7)), lambda x: _layer(x, n=2), [In(3, 4, 7)], **K
    ),
    Case(F + "layer_norm/weight", lambda T, x, w: _F(T).layer_norm(x, (33,), w), _layer, [In(9, 33), W(33)], **K),
    Case(
        F + "layer_norm/bias",
        lambda T, x, b: _F(T).layer_norm(x, (3,), None, b, 1e-2),
        lambda x, b: _layer(x, None, b, eps=1e-2),
        [In(5, 3), In(3)],
        **K,
    ),
    Case(
        F + "rms_norm",
        lambda T, x, w: _F(T).rms_norm(x, (7,), w, 1e-5),
        _rms,
        [In(5, 7), W(7)],
        **K,
        raises=(
            (lambda T: _F(T).rms_norm(T.ones(2, 3), [4]), RuntimeError),
            (lambda T: _F(T).rms_norm(T.ones(2, 3).long(), [3]), NotImplementedError),
            (lambda T: _F(T).rms_norm(T.ones(2, 3).bool(), [3], T.ones(3).bool()), NotImplementedError),
        ),
    ),
    Case(F + "rms_norm/plain", lambda T, x: _F(T).rms_norm(x, (20,), eps=1e-5), _rms, [In(5, 20)], **K),
    Case(
        F + "group_norm",
        lambda T, x, w, b: _F(T).group_norm(x, 2, w, b),
        _group,
        [In(3, 4, 5, 3), W(4), In(4)],
        **K,
        raises=(
            (lambda T: _F(T).group_norm(T.ones(2, 3), 2), RuntimeError),
            (lambda T: _F(T).group_norm(T.ones(3), 1), RuntimeError),
            (lambda T: _F(T).group_norm(T.ones(2, 4, 3), 2, T.ones(3)), RuntimeError),
            (lambda T: _F(T).group_norm(T.ones(1, 2), 2), ValueError),
        ),
    ),
    Case(
        F + "group_norm/matrix", lambda T, x, w, b: _F(T).group_norm(x, 2, w, b), _group, [In(3, 8), W(8), In(8)], **K
    ),
    Case(
        F + "group_norm/plain",
        lambda T, x: _F(T).group_norm(x, 3, eps=1e-3),
        lambda x: _group(x, groups=3, eps=1e-3),
        [In(2, 6, 4)],
        **K,
    ),
    Case(
        F + "batch_norm",
        _batch_norm,
        _batch,
        [In(3, 4, 5, 2), W(4), In(4)],
        **K,
        raises=(
            (lambda T: _F(T).batch_norm(T.ones(1, 3), None, None, training=True), ValueError),
            (lambda T: _F(T).batch_norm(T.ones(2, 3), None, None), RuntimeError),
            (lambda T: _F(T).batch_norm(T.ones(2, 3), T.ones(2), T.ones(2)), RuntimeError),
            (lambda T: _F(T).batch_norm(T.ones(2, 3), T.ones(3), T.ones(3), T.ones(2)), RuntimeError),
            (lambda T: _F(T).batch_norm(T.ones(2, 3), T.ones(3).double(), T.ones(3).double()), RuntimeError),
            (lambda T: _F(T).batch_norm(T.ones(2, 3).long(), T.ones(3), T.ones(3)), NotImplementedError),
            (lambda T: _F(T).batch_norm("a", None, None), TypeError),
            (lambda T: _F(T).batch_norm(T.ones(2, 3), None, None, training=True, momentum=None), TypeError),
        ),
        bench=((32, 64, 28, 28), (64,), (64,)),
    ),
    Case(F + "batch_norm/matrix", _batch_norm, _batch, [In(9, 5), W(5), In(5)], **K),
    Case(F + "batch_norm/plain", lambda T, x: _batch_norm(T, x, None, None), _batch, [In(4, 3, 6)], **K),
    Case(
        F + "batch_norm/eval",
        lambda T, x, w, b, m, v: _F(T).batch_norm(x, m, v, w, b),
        _fixed,
        [In(3, 4, 5), W(4), In(4), In(4, requires_grad=False), In(4, lo=0.5, hi=2, requires_grad=False)],
        **K,
    ),
    Case(
        F + "instance_norm",
        lambda T, x, w, b: _F(T).instance_norm(x, None, None, w, b),
        _instance,
        [In(3, 4, 5, 2), W(4), In(4)],
        **K,
        raises=(
            (lambda T: _F(T).instance_norm(T.ones(2, 3, 1)), ValueError),
            (lambda T: _F(T).instance_norm(T.ones(2, 3, 2), use_input_stats=False), RuntimeError),
        ),
    ),
    Case(
        "native_layer_norm",
        lambda T, x, w, b: T.native_layer_norm(x, (7,), w, b, 1e-5)[0],
        _layer,
        [In(3, 7), W(7), In(7)],
    ),
    Case(
        "native_batch_norm",
        lambda T, x, w, b: T.native_batch_norm(x, w, b, None, None, True, 0.1, 1e-5)[0],
        _batch,
        [In(3, 4, 5), W(4), In(4)],
        tol=1e-5,
    ),
    Case(
        "native_group_norm",
        lambda T, x, w, b: T.native_group_norm(x, w, b, 3, 4, 5, 2, 1e-5)[0],
        _group,
        [In(3, 4, 5), W(4), In(4)],
        tol=1e-5,
    ),
    Case(F + "normalize/axis0", lambda T, x: _F(T).normalize(x, dim=0), lambda x: _normalize(x, dim=0), [In(4, 5)]),
    Case(
        F + "normalize/p3",
        lambda T, x: _F(T).normalize(x, 3.0),
        lambda x: _normalize(abs(x), 3.0) * np.sign(x),
        [In(4, 5)],
    ),
]
