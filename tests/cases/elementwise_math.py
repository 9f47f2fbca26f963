"""Rows of elementwise functions of one tensor."""

import math

import numpy as np

from tests.case import Case, In

ANY = In(3, 4)
POSITIVE = In(3, 4, lo=0.2, hi=3, low=1, high=6)
INSIDE = In(3, 4, lo=-0.9, hi=0.9, low=0, high=1)
ABOVE_ONE = In(3, 4, lo=1.1, hi=4, low=2, high=6)


def each(f):
    """f of a Python number, for arrays; what math refuses is NaN or infinite as in C."""

    def one(x):
        try:
            return f(x)
        except ValueError:
            return math.nan
        except OverflowError:
            return math.inf

    return np.vectorize(one, otypes=[float])


def wide(ref):
    """ref on floats where it would be given bool, which NumPy would compute in float16."""
    return ref and (lambda a: ref(a.astype(float) if a.dtype == bool else a))


def unary(name, ref, spec=ANY, dtypes="fhib", aliases=(), **more):
    if name not in ("sign", "sgn", "logical_not", "bitwise_not"):
        ref = wide(ref)
    more = {"method": name, "inplace": name + "_", "elementwise": True, **more}
    yield Case(
        name,
        lambda T, a: getattr(T, name)(a),
        ref,
        [spec],
        dtypes=dtypes,
        raises=((lambda T: getattr(T, name)("a"), TypeError), (lambda T: getattr(T, name)(3.0), TypeError)),
        **more,
    )
    for alias in aliases:
        yield Case(
            alias,
            lambda T, a, alias=alias: getattr(T, alias)(a),
            ref,
            [spec],
            **{**more, "method": None, "inplace": None},
        )


def special(name, ref, spec=ANY, dtypes="f", **more):
    return Case(
        f"special.{name}",
        lambda T, a: getattr(T.special, name)(a),
        ref,
        [spec],
        dtypes=dtypes,
        elementwise=True,
        **more,
    )


def flag(name, ref):
    return Case(
        name, lambda T, a: getattr(T, name)(a), ref, [ANY], dtypes="fhib", grad=False, elementwise=True, method=name
    )


def sign(x):
    return np.where(np.isnan(x), 0, np.sign(x)) if x.dtype.kind == "f" else np.sign(x * 1)


CASES = [
    *unary("exp", np.exp, bench=(1000, 1000)),
    *unary("exp2", np.exp2),
    *unary("expm1", np.expm1),
    *unary("log", np.log, POSITIVE, bench=(1000, 1000)),
    *unary("log2", np.log2, POSITIVE),
    *unary("log10", np.log10, POSITIVE),
    *unary("log1p", np.log1p, POSITIVE),
    *unary("sqrt", np.sqrt, POSITIVE),
    *unary("rsqrt", lambda x: 1 / np.sqrt(x), POSITIVE),
    *unary("sin", np.sin, bench=(1000, 1000)),
    *unary("cos", np.cos),
    *unary("tan", np.tan, INSIDE),
    *unary("asin", np.arcsin, INSIDE, aliases=("arcsin",)),
    *unary("acos", np.arccos, INSIDE, aliases=("arccos",)),
    *unary("atan", np.arctan, aliases=("arctan",)),
    *unary("sinh", np.sinh, tol=3e-5),
    *unary("cosh", np.cosh, tol=3e-5),
    *unary("tanh", np.tanh, bench=(1000, 1000)),
    *unary("asinh", np.arcsinh, aliases=("arcsinh",)),
    *unary("acosh", np.arccosh, ABOVE_ONE, dtypes="fhi", aliases=("arccosh",)),
    *unary("atanh", np.arctanh, INSIDE, aliases=("arctanh",)),
    *unary("sigmoid", lambda x: 1 / (1 + np.exp(-x)), bench=(1000, 1000)),
    *unary("erf", each(math.erf)),
    *unary("erfc", each(math.erfc)),
    *unary("erfinv", None, INSIDE),
    *unary("lgamma", each(math.lgamma), POSITIVE, dtypes="fhi", nonfinite=False),
    *unary("digamma", None, POSITIVE, tol={"float64": 1e-8}, nonfinite=False),
    *unary("sinc", np.sinc, tol=1e-5, nonfinite=False),
    *unary("i0", np.i0, nonfinite=False),
    *unary("deg2rad", np.deg2rad),
    *unary("rad2deg", np.rad2deg),
    *unary("reciprocal", lambda x: 1 / x, POSITIVE),
    *unary("square", np.square, dtypes="fhi"),
    *unary("abs", np.abs, dtypes="fhi", aliases=("absolute",)),
    *unary("neg", np.negative, dtypes="fhi", aliases=("negative",)),
    *unary("sign", sign, dtypes="fhib", grad=False),
    *unary("sgn", sign, dtypes="fhib", grad=False),
    *unary("floor", np.floor, dtypes="fhi", grad=False),
    *unary("ceil", np.ceil, dtypes="fhi", grad=False),
    *unary("trunc", np.trunc, dtypes="fhi", grad=False, aliases=("fix",)),
    *unary("round", np.round, dtypes="fhi", grad=False),
    *unary("frac", lambda x: x - np.trunc(x), dtypes="fh"),
    *unary("positive", lambda x: x, dtypes="fhi", inplace=None),
    Case(
        "round/decimals",
        lambda T, a: T.round(a, decimals=2),
        lambda a: np.round(a, 2),
        [ANY],
        grad=False,
        method="round",
        inplace="round_",
        raises=((lambda T: T.round(T.ones(2).long(), decimals=1), RuntimeError),),
    ),
    Case(
        "logit",
        lambda T, a: T.logit(a),
        lambda a: np.log(a / (1 - a)),
        [In(3, 4, lo=0.05, hi=0.95)],
        method="logit",
        inplace="logit_",
        elementwise=True,
        nonfinite=False,
        tol=1e-5,
    ),
    Case(
        "logit/eps",
        lambda T, a: T.logit(a, 0.2),
        lambda a: np.log(np.clip(a, 0.2, 0.8) / (1 - np.clip(a, 0.2, 0.8))),
        [In(3, 4, lo=0.05, hi=0.95)],
        method="logit",
        inplace="logit_",
        tol=1e-5,
    ),
    Case(
        "polygamma",
        lambda T, a: T.polygamma(2, a),
        None,
        [POSITIVE],
        elementwise=True,
        nonfinite=False,
        raises=((lambda T: T.polygamma(-1, T.ones(2)), RuntimeError),),
    ),
    Case(
        "mvlgamma",
        lambda T, a: T.mvlgamma(a, 2),
        lambda a: each(math.lgamma)(a) + each(math.lgamma)(a - 0.5) + 0.5 * math.log(math.pi),
        [In(3, 4, lo=1, hi=4)],
        method="mvlgamma",
        tol=1e-5,
    ),
    Case(
        "nan_to_num",
        lambda T, a: T.nan_to_num(a, 1.0, 2.0, -3.0),
        lambda a: np.nan_to_num(a, nan=1.0, posinf=2.0, neginf=-3.0),
        [ANY],
        dtypes="fh",
        method="nan_to_num",
        inplace="nan_to_num_",
        elementwise=True,
    ),
    Case(
        "nan_to_num/integers",
        lambda T, a: T.nan_to_num(a),
        lambda a: a,
        [ANY],
        dtypes="ib",
        grad=False,
        method="nan_to_num",
    ),
    flag("isnan", np.isnan),
    flag("isinf", np.isinf),
    flag("isfinite", np.isfinite),
    flag("isposinf", lambda x: np.isposinf(x * 1.0)),
    flag("isneginf", lambda x: np.isneginf(x * 1.0)),
    flag("isreal", lambda x: np.ones(x.shape, bool)),
    flag("signbit", lambda x: np.signbit(x * 1.0)),
    *unary("logical_not", np.logical_not, grad=False),
    *unary("bitwise_not", np.invert, dtypes="ib", grad=False),
    special("expit", lambda x: 1 / (1 + np.exp(-x))),
    special("entr", lambda x: np.where(x == 0, 0, np.where(x < 0, -np.inf, -x * np.log(x))), POSITIVE),
    special("ndtr", lambda x: 0.5 * each(math.erfc)(-x / math.sqrt(2))),
    special("log_ndtr", None),
    special("ndtri", None, In(3, 4, lo=0.02, hi=0.98)),
    special("erfcx", None),
    special("i0e", lambda x: np.i0(x) * np.exp(-np.abs(x)), nonfinite=False),
    special("i1", None, nonfinite=False),
    special("i1e", None, nonfinite=False),
    special("psi", None, POSITIVE, tol={"float64": 1e-8}, nonfinite=False),
    special("gammaln", each(math.lgamma), POSITIVE, nonfinite=False),
    Case(
        "special.xlog1py",
        lambda T, a, b: T.special.xlog1py(a, b),
        lambda a, b: a * np.log1p(b),
        [ANY, POSITIVE],
        broadcast=True,
        elementwise=True,
        nonfinite=False,
    ),
    Case(
        "special.zeta",
        lambda T, a, b: T.special.zeta(a, b),
        None,
        [In(3, 4, lo=1.5, hi=4, requires_grad=False), POSITIVE],
    ),
]
