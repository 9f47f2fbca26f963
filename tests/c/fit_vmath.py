"""Fits the polynomials of csrc/kernels/vmath_*.h: minimax by Remez exchange, in 40 digits.

Run it with mpmath installed, `python tests/c/fit_vmath.py [name ...]`; it prints the coefficients, lowest
power first, and the error of the fit in bits, relative to the function that the polynomial is part of.
"""

import struct
import sys

from mpmath import mp, mpf

mp.dps = 40


def remez(f, weight, lo, hi, degree):
    """Polynomial p minimizing max |weight(x) * (f(x) - p(x))| over [lo, hi], and that maximum."""
    n = degree + 2
    lo, hi = mpf(lo), mpf(hi)
    grid = [(lo + hi) / 2 - (hi - lo) / 2 * mp.cos(mp.pi * k / 600) for k in range(601)]
    fx = [f(x) for x in grid]
    wx = [weight(x) for x in grid]
    index = [round(k * 600 / (n - 1)) for k in range(n)]
    for _ in range(30):
        a, b = mp.matrix(n, n), mp.matrix(n, 1)
        for i, k in enumerate(index):
            for j in range(n - 1):
                a[i, j] = wx[k] * grid[k] ** j
            a[i, n - 1] = (-1) ** i
            b[i] = wx[k] * fx[k]
        c = mp.lu_solve(a, b)
        err = [w * (y - mp.polyval(list(c)[-2::-1], x)) for x, y, w in zip(grid, fx, wx, strict=True)]
        # One extremum in each stretch of constant sign, then the n best neighbours.
        peaks = []
        for k, e in enumerate(err):
            if peaks and (e > 0) == (err[peaks[-1]] > 0):
                if abs(e) > abs(err[peaks[-1]]):
                    peaks[-1] = k
            else:
                peaks.append(k)
        while len(peaks) > n:
            peaks.pop(0 if abs(err[peaks[0]]) < abs(err[peaks[-1]]) else -1)
        if len(peaks) < n or peaks == index:
            break
        index = peaks
    return list(c)[:-1], max(abs(e) for e in err)


def f32(x):
    return struct.unpack("f", struct.pack("f", float(x)))[0]


def log1p_tail(x):  # (log1p(x) - x + x^2/2) / x^3
    if abs(x) < mpf("1e-4"):
        return sum((-1) ** k * x**k / mpf(k + 3) for k in range(12))
    return (mp.log1p(x) - x + x * x / 2) / x**3


def atanh_tail(z):  # (atanh(s) - s) / s^3 * 2 at z = s^2
    return sum(2 * z**k / mpf(2 * k + 3) for k in range(40))


def atanh_tail5(z):  # (atanh(s) - s - s^3/3) / s^5 * 2 at z = s^2
    return sum(2 * z**k / mpf(2 * k + 5) for k in range(40))


def exp_tail(x):  # (exp(x) - 1 - x) / x^2
    return sum(x**k / mp.factorial(k + 2) for k in range(40))


def exp2_tail(x):  # (2^x - 1 - x ln 2) / x^2
    u = mp.ln(2)
    return u * u * exp_tail(x * u)


def sin_tail(z):  # (sin(s) - s) / s^3 at z = s^2
    return sum((-1) ** (k + 1) * z**k / mp.factorial(2 * k + 3) for k in range(30))


def cos_tail(z):  # (cos(s) - 1 + s^2/2) / s^4 at z = s^2
    return sum((-1) ** k * z**k / mp.factorial(2 * k + 4) for k in range(30))


def erf_tail(z):  # erf(s) / s - 1 at z = s^2
    c = 2 / mp.sqrt(mp.pi)
    return c * sum((-1) ** k * z**k / (mp.factorial(k) * (2 * k + 1)) for k in range(80)) - 1


def erfcx_scaled(t):  # erfc(x) exp(x^2) (1 + 2x) at t = (x - 4) / (x + 4)
    x = 4 * (1 + t) / (1 - t)
    return mp.erfc(x) * mp.exp(x * x) * (1 + 2 * x)


def log_erfc(x):
    return -mp.log(mp.erfc(x))


def normal_tail(t):  # Phi(-a) exp(a^2 / 2) (a + 3) at t = (a - 3) / (a + 3)
    a = 3 * (1 + t) / (1 - t)
    return mp.erfc(a / mp.sqrt(2)) / 2 * mp.exp(a * a / 2) * (a + 3)


def log2_tail(f):  # log2(1 + f) / f
    if abs(f) < mpf("1e-4"):
        return sum((-1) ** k * f**k / mpf(k + 1) for k in range(12)) / mp.ln(2)
    return mp.log1p(f) / f / mp.ln(2)


def exp2_whole(x):
    return mpf(2) ** x


def nearest_kappa(tries=20000):
    """kappa, a float below 0.02, for which all 2^(-j / 16) / (1 + kappa) are as near to floats as can be found."""
    best = (1, 0)
    for i in range(-tries, tries):
        kappa = f32(0.02 * i / tries)
        error = 0.0
        for j in range(16):
            t = 2.0 ** (-j / 16) / (1 + kappa)
            error = max(error, abs(f32(t) / t - 1))
            if error > best[0]:
                break
        else:
            best = (error, kappa)
    return best[1]


def sigmoid_tables(kappa=0.0184969212859869):
    """SIGMOID_Q and SIGMOID_T. nearest_kappa(6000000) finds this kappa or one as good."""
    far = mp.ln(2) / 32 * mpf("1.0002")
    c, err = remez(lambda r: (1 + mpf(kappa)) * -exp_tail1(-r), abs, -far, far, 2)
    print(f"sigmoid: 2^{float(mp.log(err, 2)):.1f}")
    print("   ", ", ".join(f"{f32(x):.9g}" for x in [kappa, *c]))
    t = [struct.pack(">f", 2.0 ** (40 - j / 16) / (1 + kappa)).hex() for j in range(16)]
    print("   ", ", ".join(f"0x{x}" for x in t))


def exp_tail1(x):  # (exp(x) - 1) / x
    return 1 + x * exp_tail(x)


def gelu_tables(degree=8):
    """GELU_BASE and GELU_NEAR: x erfc(x / sqrt(2)) / 2 in sixteen pieces of width 3 / 8."""

    def tail(a):
        return mp.erfc(a / mp.sqrt(2)) / 2

    def whole(a):
        return a * tail(a)

    width, bases, rows = mpf(3) / 8, [], []
    for j in range(16):
        low, high = width * (j - mpf("0.5")) - mpf(2) ** -20, width * (j + mpf("0.5")) + mpf(2) ** -20
        if j == 0:
            base, c = mpf(0), remez(tail, lambda t: 1 / tail(t), 0, width / 2, degree - 1)[0]
        else:  # the one of 400 floats below `at` whose value is nearest to a float
            at = width * j if j == 1 else width * j + width / 4 if j == 2 else high
            step = mpf(2) ** (mp.floor(mp.log(at, 2)) - 23)
            near = (mpf(f32(at - k * step)) for k in range(400))
            base = min(near, key=lambda b: abs(f32(whole(b)) / whole(b) - 1))
            c = remez(
                lambda t, base=base: (whole(base + t) - whole(base)) / t,
                lambda t, base=base: t / whole(base + t),
                low - base,
                high - base,
                degree - 1,
            )[0]
        bases.append(base)
        rows.append([whole(base), *c])
    print("gelu in pieces")
    for line in [bases, *zip(*rows, strict=True)]:
        print("   ", "{" + ", ".join(f"{f32(x):.9g}" for x in line) + "},")


HALF_LN2 = mpf("0.3467")
THIRD = mpf(1) / 3
QUARTER_PI = mp.pi / 4 * mpf("1.0001")

FITS = {
    # name: (function, weight, from, to, degree for float32, degree for float64)
    "exp": (exp_tail, lambda x: x * x / mp.exp(x), -HALF_LN2, HALF_LN2, 4, 10),
    "expm1": (exp_tail, lambda x: x * x / mp.exp(x), mpf("-0.2915"), mpf("0.4025"), 5, 10),
    "exp2": (exp2_tail, lambda x: x * x / mpf(2) ** x, -0.5001, 0.5001, 4, 10),
    "log": (log1p_tail, lambda x: x * x, -THIRD, THIRD, 8, None),
    "log_atanh": (atanh_tail, lambda z: z / 2, mpf("1e-12"), mpf("0.0295"), None, 6),
    "log_atanh5": (atanh_tail5, lambda z: z * z / 2, mpf("1e-12"), mpf("0.0295"), None, 6),
    "sin": (sin_tail, lambda z: z, 0, QUARTER_PI**2, 3, 5),
    "cos": (cos_tail, lambda z: z * z, 0, QUARTER_PI**2, 2, 5),
    "erf": (erf_tail, lambda z: 1 / (1 + erf_tail(z)), 0, 1, 6, 11),
    "erfcx": (erfcx_scaled, lambda t: 1 / erfcx_scaled(t), mpf(-3.5) / 4.5, mpf(24) / 32, None, 22),
    "normal_tail": (normal_tail, lambda t: 1 / normal_tail(t), -1, mpf(12) / 18, 10, None),
    "log1p": (log1p_tail, lambda x: x * x, mpf("-0.25"), mpf("0.5"), 8, None),
    "log1p_atanh": (atanh_tail, lambda z: z / 2, mpf("1e-12"), mpf("0.0401"), None, 7),
    "pow_log2": (log2_tail, lambda f: 1 / log2_tail(f), mpf("-0.2929"), mpf("0.4143"), None, 12),
    "pow_exp2": (exp2_whole, lambda x: 1 / exp2_whole(x), -0.5001, 0.5001, None, 6),
    "log_erfc": (log_erfc, lambda x: mp.erfc(x) / mp.erf(x), mpf("0.92"), mpf("3.95"), 7, None),
}

if __name__ == "__main__":
    for name, (f, w, lo, hi, *degrees) in FITS.items():
        if sys.argv[1:] and name not in sys.argv[1:]:
            continue
        for degree, kind in zip(degrees, ("float32", "float64"), strict=True):
            if degree is None:
                continue
            c, err = remez(f, w, lo, hi, degree)
            print(f"{name} {kind} degree {degree}: 2^{float(mp.log(err, 2)):.1f}")
            for x in c:
                print("   ", f"{f32(x):.9g}," if kind == "float32" else f"{float(x)!r},")
    for name, tables in (("sigmoid_tables", sigmoid_tables), ("gelu_tables", gelu_tables)):
        if not sys.argv[1:] or name in sys.argv[1:]:
            tables()
