"""Rows of elementwise arithmetic, comparison, logic and bits."""

import numpy as np

from tests.case import Case, In

A, B = In(3, 4), In(3, 4)
APART = In(3, 4, distinct=True), In(3, 4, lo=-1.93, hi=2.09, distinct=True)
POSITIVE = In(3, 4, lo=0.3, hi=3)
NOT_ZERO = In(3, 4, lo=0.5, hi=3, low=1, high=6)


def unlike(name):
    """Calls of a binary operation that are refused."""
    return (
        (lambda T: getattr(T, name)(T.ones(2), T.ones(3)), RuntimeError),
        (lambda T: getattr(T, name)(T.ones(2), "a"), TypeError),
    )


def binary(name, ref, inputs=(A, B), dtypes="fhi", **more):
    more = {"method": name, "inplace": name + "_", "broadcast": True, "elementwise": True, **more}
    return Case(
        name, lambda T, a, b: getattr(T, name)(a, b), ref, list(inputs), dtypes=dtypes, raises=unlike(name), **more
    )


def predicate(name, ref, dtypes="fhib", **more):
    return binary(name, ref, dtypes=dtypes, grad=False, **more)


def power(a, b):
    """NumPy's, with the square root for exponents of a half, as PyTorch takes it: NaN at -inf."""
    return np.where(b == 0.5, np.sqrt(a), np.where(b == -0.5, 1 / np.sqrt(a), np.power(a, b)))


def clamp(a, lo, hi):
    return np.minimum(np.maximum(a, lo), hi)


def fold(f, a, b):
    return np.where(np.isnan(a), b, np.where(np.isnan(b), a, f(a, b)))


CASES = [
    binary("add", np.add, dtypes="fhib", bench=(1000, 1000)),
    binary("sub", np.subtract, bench=(1000, 1000)),
    binary("mul", np.multiply, dtypes="fhib", bench=(1000, 1000)),
    binary("div", np.divide, (A, NOT_ZERO), "fh", bench=(1000, 1000)),
    Case(
        "add/alpha",
        lambda T, a, b: T.add(a, b, alpha=3),
        lambda a, b: a + 3 * b,
        [A, B],
        dtypes="fhi",
        broadcast=True,
        elementwise=True,
        method="add",
        inplace="add_",
        raises=(
            (lambda T: T.add(T.ones(2).long(), 1, alpha=1.5), RuntimeError),
            (lambda T: T.add(T.ones(2), 1, alpha="a"), TypeError),
        ),
    ),
    Case(
        "sub/alpha",
        lambda T, a, b: T.sub(a, b, alpha=2),
        lambda a, b: a - 2 * b,
        [A, B],
        dtypes="fhi",
        broadcast=True,
        elementwise=True,
        method="sub",
        inplace="sub_",
        raises=((lambda T: T.sub(T.ones(2) > 0, T.ones(2) > 0), RuntimeError),),
    ),
    Case(
        "rsub", lambda T, a, b: T.rsub(a, b), lambda a, b: b - a, [A, B], dtypes="fhi", broadcast=True, elementwise=True
    ),
    Case(
        "div/floor",
        lambda T, a, b: T.div(a, b, rounding_mode="floor"),
        np.floor_divide,
        [A, NOT_ZERO],
        dtypes="fi",
        method="div",
        inplace="div_",
        grad=False,
        broadcast=True,
        raises=(
            (lambda T: T.div(T.ones(2).long(), 0, rounding_mode="floor"), RuntimeError),
            (lambda T: T.div(T.ones(2), 2, rounding_mode="up"), RuntimeError),
        ),
    ),
    Case(
        "div/trunc",
        lambda T, a, b: T.div(a, b, rounding_mode="trunc"),
        lambda a, b: np.trunc(a / b),
        [A, NOT_ZERO],
        method="div",
        inplace="div_",
        grad=False,
        broadcast=True,
    ),
    binary("floor_divide", np.floor_divide, (A, NOT_ZERO), "fi", grad=False, nonfinite=False),
    binary("remainder", np.remainder, (A, NOT_ZERO), "fi", nonfinite=False),
    binary("fmod", np.fmod, (A, NOT_ZERO), "fi"),
    binary("pow", power, (POSITIVE, B), "f", tol=2e-5, nonfinite=False),
    *[
        Case(
            f"pow/{e}",
            lambda T, a, e=e: T.pow(a, e),
            lambda a, e=e: np.power(a, e),
            [POSITIVE],
            dtypes="f",
            method="pow",
            inplace="pow_",
            elementwise=True,
            nonfinite=e != 0.5,
        )
        for e in (2, 3, 0.5, -1, -2, 1, 0, 1.7)
    ],
    Case(
        "pow/integers",
        lambda T, a: T.pow(a, 3),
        lambda a: a**3,
        [A],
        dtypes="i",
        grad=False,
        method="pow",
        inplace="pow_",
        raises=((lambda T: T.ones(2).long() ** -1, RuntimeError),),
    ),
    Case("pow/of a number", lambda T, a: T.pow(2.5, a), lambda a: 2.5**a, [A], dtypes="f", elementwise=True),
    Case(
        "float_power",
        lambda T, a: T.float_power(a, 2.5),
        lambda a: a**2.5,
        [In(3, 4, lo=0.5, hi=2, dtype="f64")],
        method="float_power",
    ),
    binary("true_divide", np.divide, (A, NOT_ZERO), "f"),
    binary("hypot", np.hypot, (A, B), "f", tol=1e-5),
    binary("atan2", np.arctan2, (A, B), "f"),
    binary("copysign", np.copysign, (A, B), "f"),
    Case(
        "nextafter",
        lambda T, a, b: T.nextafter(a, b),
        None,
        [A, B],
        grad=False,
        method="nextafter",
        inplace="nextafter_",
    ),
    binary("ldexp", lambda a, b: a * 2.0**b, (A, B), "f"),
    binary("logaddexp", np.logaddexp, (A, B), "f", inplace=None),
    binary("logaddexp2", np.logaddexp2, (A, B), "f", inplace=None),
    binary("xlogy", lambda a, b: np.where((a == 0) & ~np.isnan(b), 0, a * np.log(b)), (A, POSITIVE), "f"),
    binary("gcd", np.gcd, dtypes="i", grad=False),
    binary("lcm", np.lcm, (In(3, 4, low=0, high=9), In(3, 4, low=0, high=9)), dtypes="i", grad=False),
    Case(
        "heaviside",
        lambda T, a, b: T.heaviside(a, b),
        lambda a, b: np.where(np.isnan(a), 0, np.heaviside(a, b)),
        [A, B],
        dtypes="fi",
        grad=False,
        method="heaviside",
        inplace="heaviside_",
        broadcast=True,
        elementwise=True,
        raises=((lambda T: T.heaviside(T.ones(2), T.ones(2).long()), RuntimeError),),
    ),
    Case(
        "addcmul",
        lambda T, a, b, c: T.addcmul(a, b, c),
        lambda a, b, c: a + b * c,
        [A, B, In(3, 4)],
        dtypes="fi",
        method="addcmul",
        inplace="addcmul_",
        broadcast=True,
        elementwise=True,
    ),
    Case(
        "addcmul/value",
        lambda T, a, b, c: T.addcmul(a, b, c, value=2),
        lambda a, b, c: a + 2 * b * c,
        [A, B, In(3, 4)],
        dtypes="fi",
        method="addcmul",
        inplace="addcmul_",
    ),
    Case(
        "addcdiv",
        lambda T, a, b, c: T.addcdiv(a, b, c, value=0.5),
        lambda a, b, c: a + 0.5 * b / c,
        [A, B, NOT_ZERO],
        method="addcdiv",
        inplace="addcdiv_",
        broadcast=True,
        elementwise=True,
        raises=((lambda T: T.addcdiv(*[T.ones(2).long()] * 3), RuntimeError),),
    ),
    Case(
        "lerp",
        lambda T, a, b, c: T.lerp(a, b, c),
        lambda a, b, c: a + c * (b - a),
        [A, B, In(3, 4, lo=0, hi=1)],
        method="lerp",
        inplace="lerp_",
        broadcast=True,
        elementwise=True,
        nonfinite=False,
        raises=((lambda T: T.lerp(T.ones(2), T.ones(2).double(), 0.5), RuntimeError),),
    ),
    Case(
        "lerp/number",
        lambda T, a, b: T.lerp(a, b, 0.7),
        lambda a, b: a + 0.7 * (b - a),
        [A, B],
        method="lerp",
        inplace="lerp_",
        tol=1e-6,
    ),
    binary("maximum", np.maximum, APART, "fhib", inplace=None),
    binary("minimum", np.minimum, APART, "fhib", inplace=None),
    binary(
        "fmax",
        lambda a, b: fold(np.maximum, a, b) if a.dtype.kind == "f" else np.maximum(a, b),
        dtypes="fi",
        inplace=None,
    ),
    binary(
        "fmin",
        lambda a, b: fold(np.minimum, a, b) if a.dtype.kind == "f" else np.minimum(a, b),
        dtypes="fi",
        inplace=None,
    ),
    Case(
        "clamp",
        lambda T, a: T.clamp(a, -1.0, 1.0),
        lambda a: clamp(a, -1.0, 1.0),
        [In(3, 4)],
        dtypes="fh",
        method="clamp",
        inplace="clamp_",
        elementwise=True,
        bench=(1000, 1000),
        raises=(
            (lambda T: T.clamp(T.ones(2)), RuntimeError),
            (lambda T: T.clamp(T.ones(2), "a"), TypeError),
            (lambda T: T.clamp(T.ones(2), T.ones(2), 3), TypeError),
        ),
    ),
    Case(
        "clamp/integers",
        lambda T, a: T.clamp(a, 1, 3),
        lambda a: clamp(a, 1, 3),
        [A],
        dtypes="i",
        grad=False,
        method="clamp",
        inplace="clamp_",
        elementwise=True,
    ),
    Case(
        "clamp/tensors",
        lambda T, a, b, c: T.clamp(a, b, c),
        clamp,
        [A, In(3, 4, lo=-1, hi=-0.2), In(3, 4, lo=0.2, hi=1)],
        method="clamp",
        inplace="clamp_",
        broadcast=True,
        elementwise=True,
    ),
    Case(
        "clamp/min",
        lambda T, a: T.clamp(a, min=0.3),
        lambda a: np.maximum(a, 0.3),
        [In(3, 4)],
        method="clamp",
        inplace="clamp_",
        elementwise=True,
    ),
    Case(
        "clip",
        lambda T, a: T.clip(a, max=0.3),
        lambda a: np.minimum(a, 0.3),
        [In(3, 4)],
        method="clip",
        inplace="clip_",
        elementwise=True,
    ),
    binary("clamp_min", np.maximum, APART, "fi"),
    binary("clamp_max", np.minimum, APART, "fi"),
    predicate("eq", np.equal),
    predicate("ne", np.not_equal),
    predicate("lt", np.less),
    predicate("le", np.less_equal),
    predicate("gt", np.greater),
    predicate("ge", np.greater_equal),
    predicate("logical_and", np.logical_and),
    predicate("logical_or", np.logical_or),
    predicate("logical_xor", np.logical_xor),
    predicate("bitwise_and", np.bitwise_and, "ib"),
    predicate("bitwise_or", np.bitwise_or, "ib"),
    predicate("bitwise_xor", np.bitwise_xor, "ib"),
    Case(
        "bitwise_left_shift",
        lambda T, a, b: T.bitwise_left_shift(a, b),
        np.left_shift,
        [In(3, 4, low=0, high=9), In(3, 4, low=0, high=4)],
        dtypes="i",
        grad=False,
        method="bitwise_left_shift",
        inplace="bitwise_left_shift_",
        broadcast=True,
        raises=((lambda T: T.ones(2) << 1, RuntimeError),),
    ),
    Case(
        "bitwise_right_shift",
        lambda T, a, b: T.bitwise_right_shift(a, b),
        np.right_shift,
        [In(3, 4), In(3, 4, low=0, high=4)],
        dtypes="i",
        grad=False,
        method="bitwise_right_shift",
        inplace="bitwise_right_shift_",
        broadcast=True,
    ),
    Case(
        "where",
        lambda T, m, a, b: T.where(m, a, b),
        np.where,
        [In(3, 4, dtype="bool"), A, B],
        dtypes="fhib",
        broadcast=True,
        elementwise=True,
        bench=(1000, 1000),
        raises=((lambda T: T.where(T.ones(2), T.ones(2), T.ones(2)), RuntimeError),),
    ),
    Case(
        "where/numbers",
        lambda T, m: T.where(m, 1.5, -2),
        lambda m: np.where(m, 1.5, -2.0),
        [In(3, 4, dtype="bool")],
        dtypes="f",
        grad=False,
    ),
    Case(
        "isclose",
        lambda T, a, b: T.isclose(a, b, rtol=0.3),
        lambda a, b: np.isclose(a, b, rtol=0.3),
        [A, B],
        dtypes="f",
        grad=False,
        method="isclose",
        broadcast=True,
        elementwise=True,
        raises=(
            (lambda T: T.isclose(T.ones(2), T.ones(2).double()), RuntimeError),
            (lambda T: T.isclose(T.ones(2), T.ones(2), rtol=-1), RuntimeError),
        ),
    ),
    Case(
        "allclose",
        lambda T, a, b: T.allclose(a, b, rtol=9.0),
        lambda a, b: np.allclose(a, b, rtol=9.0),
        [A, B],
        dtypes="f",
        grad=False,
        method="allclose",
        capture=False,
    ),
    Case(
        "equal",
        lambda T, a, b: T.equal(a, b),
        np.array_equal,
        [A, B],
        dtypes="fib",
        grad=False,
        method="equal",
        capture=False,
    ),
]
