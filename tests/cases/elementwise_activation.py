"""Rows of activation functions."""

import math

import numpy as np

from tests.case import Case, In

X = In(4, 6, lo=-5, hi=5)
F = "nn.functional."


def activation(name, ref, *args, named={}, method=None, inplace=None, **kwargs):  # noqa: B006
    given = [*args, *named.values()]
    variant = "/" + ",".join(map(str, given)) if given else ""
    more = {"dtypes": "fh", "elementwise": True, "bench": (1000, 1000), **kwargs}
    case = Case(
        F + name + variant,
        lambda T, a: getattr(T.nn.functional, name)(a, *args, **named),
        ref,
        [X],
        raises=((lambda T: getattr(T.nn.functional, name)("a"), TypeError),),
        method=method,
        inplace=inplace,
        **more,
    )
    return case


def written(name, ref, *args):
    """The form that writes its input: the test is of values and gradients, with a clone to write to."""
    return Case(
        F + name + "/inplace", lambda T, a: getattr(T.nn.functional, name)(a * 1, *args, inplace=True), ref, [X]
    )


def erf(x):
    return np.vectorize(math.erf, otypes=[float])(x)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def softplus(x):
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


def elu(x, alpha=1.0):
    return np.where(x <= 0, alpha * np.expm1(np.minimum(x, 0)), x)


def selu(x):
    return 1.0507009873554805 * elu(x, 1.6732632423543772)


def leaky(x, slope=0.01):
    return np.where(x > 0, x, slope * x)


def celu(x, alpha):
    return np.where(x <= 0, alpha * np.expm1(np.minimum(x, 0) / alpha), x)


def gelu_tanh(x):
    return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def hardsigmoid(x):
    return np.clip(x + 3, 0, 6) / 6


def softshrink(x, s=0.5):
    return np.where(x > s, x - s, np.where(x < -s, x + s, np.where(np.isnan(x), x, 0)))


CASES = [
    activation("relu", lambda x: np.maximum(x, 0), dtypes="fhi"),
    activation("relu6", lambda x: np.clip(x, 0, 6), dtypes="fhi"),
    activation("leaky_relu", leaky),
    activation("leaky_relu", lambda x: leaky(x, 0.3), 0.3),
    activation("leaky_relu", lambda x: leaky(x, -0.3), -0.3),
    activation("elu", elu),
    activation("elu", lambda x: elu(x, 2.0), 2.0),
    activation("selu", selu),
    activation("celu", lambda x: celu(x, 1.5), 1.5),
    activation("gelu", lambda x: 0.5 * x * (1 + erf(x / math.sqrt(2))), tol=1e-5),
    activation("gelu", gelu_tanh, named={"approximate": "tanh"}, tol=1e-5),
    activation("silu", lambda x: x * sigmoid(x)),
    activation("mish", lambda x: x * np.tanh(softplus(x)), tol=1e-5),
    activation("softplus", softplus, nonfinite=False),
    activation("softplus", lambda x: np.where(2 * x > 3, x, softplus(2 * x) / 2), 2, 3, nonfinite=False),
    activation("softsign", lambda x: x / (1 + np.abs(x))),
    activation("softshrink", softshrink),
    activation("hardshrink", lambda x: np.where(np.abs(x) <= 0.5, 0, x)),
    activation("tanhshrink", lambda x: x - np.tanh(x), tol={"float32": 1e-5, "float16": 2e-2, "bfloat16": 5e-2}),
    activation("hardtanh", lambda x: np.clip(x, -1, 1)),
    activation("hardtanh", lambda x: np.clip(x, -2, 3), -2, 3),
    activation("hardsigmoid", hardsigmoid),
    activation("hardswish", lambda x: x * hardsigmoid(x)),
    activation("logsigmoid", lambda x: -softplus(-x), nonfinite=False),
    activation("threshold", lambda x: np.where(x <= 0.3, 20, x), 0.3, 20.0),
    activation("rrelu", lambda x: leaky(x, (1 / 8 + 1 / 3) / 2)),
    activation("tanh", np.tanh),
    activation("sigmoid", sigmoid),
    written("relu", lambda x: np.maximum(x, 0)),
    written("relu6", lambda x: np.clip(x, 0, 6)),
    written("leaky_relu", leaky),
    written("elu", elu),
    written("selu", selu),
    written("celu", lambda x: celu(x, 1.0)),
    written("silu", lambda x: x * sigmoid(x)),
    written("mish", lambda x: x * np.tanh(softplus(x))),
    written("hardtanh", lambda x: np.clip(x, -1, 1)),
    written("hardsigmoid", hardsigmoid),
    written("hardswish", lambda x: x * hardsigmoid(x)),
    written("threshold", lambda x: np.where(x <= 0.3, 20, x), 0.3, 20.0),
    Case(
        F + "prelu",
        lambda T, a, w: T.nn.functional.prelu(a, w),
        lambda a, w: leaky(a, w.reshape(-1, 1)),
        [In(2, 3, 5, lo=-5, hi=5), In(3)],
        raises=(
            (lambda T: T.nn.functional.prelu(T.ones(2, 3), T.ones(2)), RuntimeError),
            (lambda T: T.nn.functional.prelu(T.ones(2, 3), T.ones(3).double()), RuntimeError),
        ),
    ),
    Case(F + "prelu/one weight", lambda T, a, w: T.nn.functional.prelu(a, w), leaky, [X, In(1)]),
    Case(
        F + "glu",
        lambda T, a: T.nn.functional.glu(a, 1),
        lambda a: a[:, :3] * sigmoid(a[:, 3:]),
        [X],
        raises=((lambda T: T.nn.functional.glu(T.ones(3)), RuntimeError),),
    ),
    Case(
        "relu",
        lambda T, a: T.relu(a),
        lambda a: np.maximum(a, 0),
        [X],
        dtypes="fhi",
        method="relu",
        inplace="relu_",
        elementwise=True,
        raises=((lambda T: T.relu(T.ones(2) > 0), RuntimeError),),
    ),
]
REFUSED = (
    (lambda T: T.nn.functional.gelu(T.ones(2), approximate="sigmoid"), RuntimeError),
    (lambda T: T.nn.functional.celu(T.ones(2), 0), RuntimeError),
    (lambda T: T.nn.functional.hardtanh(T.ones(2), 1, -1), ValueError),
    (lambda T: T.nn.functional.softshrink(T.ones(2), -1), RuntimeError),
    (lambda T: T.nn.functional.silu(T.ones(2).long()), RuntimeError),
    (lambda T: T.nn.functional.leaky_relu(T.ones(2), "a"), TypeError),
)
CASES[0].raises += REFUSED
