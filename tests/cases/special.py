"""Rows of special functions: incomplete gamma functions, Bessel and Airy functions, polynomials."""

import math

import numpy as np
from numpy.polynomial import chebyshev, hermite, hermite_e, laguerre, legendre

from tests.case import Case, In

S = "special."
DEGREE = In(4, 1, dtype="i64", low=0, high=9, requires_grad=False)


def _integral(f, upper, n=20000):
    """The trapezoidal rule over t from 0 to upper, for a smooth f(x, t); even derivatives vanish at both ends."""
    t = np.linspace(0, upper, n + 1)

    def ref(x):
        values = f(x[..., None], t)
        return (values.sum(-1) - 0.5 * (values[..., 0] + values[..., -1])) * (upper / n)

    return ref


def _j(order):
    return _integral(lambda x, t: np.cos(order * t - x * np.sin(t)) / np.pi, np.pi, 400)


def _i(order):
    return _integral(lambda x, t: np.exp(x * np.cos(t)) * np.cos(order * t) / np.pi, np.pi, 400)


def _k(order, scaled=False):
    return _integral(lambda x, t: np.exp(-x * (np.cosh(t) - scaled)) * np.cosh(order * t), 12)


def _y(order):
    """By the logarithm, J and a power series (Abramowitz and Stegun, 9.1.11)."""

    def ref(x):
        gamma, z = 0.57721566490153286061, -0.25 * x * x
        log = 2 / np.pi * np.log(x / 2) * _j(order)(x)
        s, t, h = 0, np.ones_like(x) if order == 0 else x / 2, 0.0
        for k in range(60):
            psi = 2 * (h - gamma) + (1 / (k + 1) if order else 0)
            s = s + psi * t
            h += 1 / (k + 1)
            t = t * z / ((k + 1) * (k + 1 + order))
        return log - s / np.pi - (2 / (np.pi * x) if order else 0)

    return ref


def _airy(x):
    f, g, a, b = np.ones_like(x), x.copy(), np.ones_like(x), x.copy()
    for k in range(1, 60):
        a = a * x**3 / ((3 * k - 1) * 3 * k)
        b = b * x**3 / (3 * k * (3 * k + 1))
        f, g = f + a, g + b
    return 0.3550280538878172 * f - 0.2588194037928068 * g


def _series(value):
    """value(x, coefficients) of the basis polynomial of each degree."""

    def ref(x, n):
        x, n = np.broadcast_arrays(x, n)
        return np.reshape([value(a, [0] * int(d) + [1]) for a, d in zip(x.ravel(), n.ravel())], x.shape)

    return ref


def _second(x, c):
    """U of degree n at cos(t) is sin((n + 1) t) / sin(t), by the recurrence; the third and fourth kinds follow."""
    u = [1.0, 2 * x]
    for _ in range(len(c)):
        u.append(2 * x * u[-1] - u[-2])
    return u[len(c) - 1]


def _third(x, c):
    return _second(x, c) - (_second(x, c[1:]) if len(c) > 1 else 0)


def _fourth(x, c):
    return _second(x, c) + (_second(x, c[1:]) if len(c) > 1 else 0)


def _shifted(value):
    return lambda x, c: value(2 * x - 1, c)


def _gamma_part(upper):
    """By the integral, with t = x u^4 to tame the singularity at 0."""

    def ref(a, x):
        u = np.linspace(0, 1, 40001)
        t = x[..., None] * u**4
        with np.errstate(all="ignore"):
            values = np.exp(-t) * 4 * x[..., None] ** a[..., None] * u ** (4 * a[..., None] - 1)
        area = (values.sum(-1) - 0.5 * (values[..., 0] + values[..., -1])) / 40000
        gamma = np.array([math.gamma(v) for v in a.ravel()]).reshape(a.shape)
        return 1 - area / gamma if upper else area / gamma

    return ref


def _one(name, ref, lo, hi, tol=1e-5):
    return Case(
        S + name,
        lambda T, x: getattr(T.special, name)(x),
        ref,
        [In(3, 4, lo=lo, hi=hi)],
        grad=False,
        tol={"float32": tol, "float64": 1e-7},
        raises=((lambda T: getattr(T.special, name)("x"), TypeError),),
    )


def _two(name, value):
    return Case(
        S + name,
        lambda T, x, n: getattr(T.special, name)(x, n),
        _series(value),
        [In(3, lo=-1.5, hi=1.5), DEGREE],
        grad=False,
        tol={"float32": 2e-3, "float64": 1e-9},
        raises=((lambda T: getattr(T.special, name)("x", 1), TypeError),),
    )


A, X = In(3, 4, lo=0.5, hi=4, requires_grad=False), In(3, 4, lo=0.2, hi=6)
CASES = [
    Case(
        "igamma",
        lambda T, a, x: T.igamma(a, x),
        _gamma_part(False),
        [A, X],
        method="igamma",
        inplace="igamma_",
        tol={"float32": 1e-5, "float64": 1e-6},
        gradgrad=True,
    ),
    Case(
        "igammac",
        lambda T, a, x: T.igammac(a, x),
        _gamma_part(True),
        [A, X],
        method="igammac",
        inplace="igammac_",
        tol={"float32": 1e-5, "float64": 1e-6},
    ),
    _one("airy_ai", _airy, -4, 3),
    _one("bessel_j0", _j(0), -8, 8),
    _one("bessel_j1", _j(1), -8, 8),
    _one("bessel_y0", _y(0), 0.2, 6),
    _one("bessel_y1", _y(1), 0.2, 6),
    _one("modified_bessel_i0", _i(0), -3, 3),
    _one("modified_bessel_i1", _i(1), -3, 3),
    _one("modified_bessel_k0", _k(0), 0.2, 4),
    _one("modified_bessel_k1", _k(1), 0.2, 4),
    _one("scaled_modified_bessel_k0", _k(0, 1), 0.2, 4),
    _one("scaled_modified_bessel_k1", _k(1, 1), 0.2, 4),
    _one("spherical_bessel_j0", lambda x: np.sinc(x / np.pi), -8, 8),
    _two("chebyshev_polynomial_t", chebyshev.chebval),
    _two("chebyshev_polynomial_u", _second),
    _two("chebyshev_polynomial_v", _third),
    _two("chebyshev_polynomial_w", _fourth),
    _two("shifted_chebyshev_polynomial_t", _shifted(chebyshev.chebval)),
    _two("shifted_chebyshev_polynomial_u", _shifted(_second)),
    _two("shifted_chebyshev_polynomial_v", _shifted(_third)),
    _two("shifted_chebyshev_polynomial_w", _shifted(_fourth)),
    _two("hermite_polynomial_h", hermite.hermval),
    _two("hermite_polynomial_he", hermite_e.hermeval),
    _two("laguerre_polynomial_l", laguerre.lagval),
    _two("legendre_polynomial_p", legendre.legval),
]
