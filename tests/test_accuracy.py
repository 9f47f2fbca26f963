"""The mathematical functions against tables: those that NumPy carries among its tests, and values of 40 digits.

tests/c/test_vmath.c samples every instruction set against long double; docs/accuracy.md has what was found."""

import os
import pathlib

import numpy as np
import pytest

import autodiffc as T

TABLES = pathlib.Path(np.__file__).parent / "_core" / "tests" / "data"
NAMES = {f"arc{n}": f"a{n}" for n in ("cos", "cosh", "sin", "sinh", "tan", "tanh")}
ISAS = os.environ.get("AUTODIFFC_ISA", "as detected")


def ordered(bits):
    """Integers that count the numbers behind the bit patterns in order."""
    signed = bits.view(np.int32 if bits.dtype == np.uint32 else np.int64).astype(np.int64)
    least = -(2**31) if bits.dtype == np.uint32 else -(2**63)
    return np.where(signed < 0, np.int64(least) - signed, signed)


def read(table):
    """{dtype: (inputs, outputs)} as bit patterns."""
    rows = {"np.float32": [], "np.float64": []}
    for line in table.read_text().splitlines():
        dtype, *cells = line.split(",")
        if dtype in rows:
            rows[dtype].append([int(c, 16) for c in cells[:2]])
    return {d: np.array(r, np.uint32 if d == "np.float32" else np.uint64).T for d, r in rows.items() if r}


@pytest.mark.parametrize("name", sorted(p.stem.rpartition("-")[2] for p in TABLES.glob("umath-validation-set-*.csv")))
def test_numpy_tables(name):
    """Exactly rounded results: within 1 of the nearest number, tanh within 2."""
    f = getattr(T, NAMES.get(name, name), None)
    if f is None:  # cbrt
        assert name == "cbrt"
        return
    for dtype, (x, y) in read(TABLES / f"umath-validation-set-{name}.csv").items():
        kind = np.float32 if dtype == "np.float32" else np.float64
        got = f(T.from_numpy(x.view(kind).copy())).numpy()
        want = y.view(kind)
        apart = np.abs(ordered(got.view(x.dtype)) - ordered(y))
        apart[np.isnan(got) & np.isnan(want)] = 0
        worst = int(np.argmax(apart))
        assert apart[worst] <= (2 if name in ("tanh", "sinh", "arcsinh", "arccosh", "arctanh") else 1), (
            f"{name}({x.view(kind)[worst]!r}) = {got[worst]!r}, not {want[worst]!r}, under the instruction set {ISAS}"
        )


def test_against_mpmath():
    """Both tails, and around zero. Runs where mpmath is installed (it comes with the extra `dev`)."""
    mp = pytest.importorskip("mpmath").mp
    F = T.nn.functional
    half = mp.mpf(1) / 2
    functions = {
        "sigmoid": (T.sigmoid, lambda x: 1 / (1 + mp.exp(-x)), 1),
        "silu": (F.silu, lambda x: x / (1 + mp.exp(-x)), 1),
        "softplus": (F.softplus, lambda x: mp.log1p(mp.exp(x)), 1),
        "log_sigmoid": (F.logsigmoid, lambda x: -mp.log1p(mp.exp(-x)), 1),
        "erf": (T.erf, mp.erf, 2),
        "gelu": (F.gelu, lambda x: x * mp.erfc(-x * mp.sqrt(half)) / 2, 2.2),
    }
    rng = np.random.default_rng(0)
    with mp.workdps(40):
        for name, (f, exact, bound) in functions.items():
            for dtype, low in ((np.float32, -14.0), (np.float64, -37.0)):
                x = np.concatenate([rng.uniform(low, 6, 200), rng.normal(0, 1, 200), rng.normal(0, 1e-4, 50)]).astype(
                    dtype
                )
                if name == "softplus":
                    x = x[x < 20]  # beyond, PyTorch gives the argument
                got = f(T.from_numpy(x)).numpy()
                for a, r in zip(x, got, strict=True):
                    want = exact(mp.mpf(float(a)))
                    ulp = mp.mpf(float(np.spacing(np.abs(dtype(float(want))))))
                    assert abs(mp.mpf(float(r)) - want) <= bound * ulp, (name, dtype.__name__, a, r, want)


def test_special_values():
    inf, nan = float("inf"), float("nan")
    F = T.nn.functional
    for dtype in (T.float32, T.float64):
        x = T.tensor([inf, -inf, nan, 0.0, -0.0, 1000.0, -1000.0], dtype=dtype)
        expected = {
            T.sigmoid: [1, 0, nan, 0.5, 0.5, 1, 0],
            F.silu: [inf, nan, nan, 0.0, -0.0, 1000, -0.0],
            F.gelu: [inf, nan, nan, 0.0, -0.0, 1000, -0.0],
            F.softplus: [inf, 0, nan, np.log(2), np.log(2), 1000, 0],
            F.logsigmoid: [0, -inf, nan, -np.log(2), -np.log(2), 0, -1000],
            T.log1p: [inf, nan, nan, 0.0, -0.0, np.log1p(1000), nan],
            T.tanh: [1, -1, nan, 0.0, -0.0, 1, -1],
            T.erf: [1, -1, nan, 0.0, -0.0, 1, -1],
            T.expm1: [inf, -1, nan, 0.0, -0.0, inf, -1],
        }
        for f, want in expected.items():
            got = f(x).numpy()
            np.testing.assert_allclose(got, np.array(want, got.dtype), rtol=3e-7, err_msg=f.__name__)
            assert (np.signbit(got) == np.signbit(want))[3:5].all() or not got[3] == 0, f.__name__
