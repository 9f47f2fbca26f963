"""Measures how exact the mathematical functions are, and writes docs/accuracy.md.

    python tests/c/accuracy.py [--samples 2000000] [--sweep 16] [--write docs/accuracy.md]

For each instruction set that the processor offers: the largest error of the vector functions over samples of the whole
range (tests/c/test_vmath.c, against long double); by how much the library's results under two instruction sets differ;
and, against SciPy where it is installed, the largest error over every 16th of all float32 numbers.
"""

import argparse
import os
import pathlib
import re
import subprocess
import sys
import tempfile

import numpy as np

HERE = pathlib.Path(__file__).resolve().parent
FUNCTIONS = "exp log log1p expm1 tanh sigmoid erf gelu silu softplus sin cos pow".split()
SETS = {"SSE2": "sse2", "AVX2": "avx2", "AVX512": "avx512"}

CHILD = """
import sys
import numpy as np
import autodiffc as T
F = T.nn.functional
for dtype in ("float32", "float64"):
    x, y = (T.from_numpy(np.load(f"{sys.argv[1]}/{dtype}-{k}.npy")) for k in "xy")
    for name in sys.argv[3:]:
        f = getattr(T, name, None) or getattr(F, name)
        np.save(f"{sys.argv[1]}/{dtype}-{name}-{sys.argv[2]}.npy", (f(x.abs(), y) if name == "pow" else f(x)).numpy())
"""


def ordered(a):
    """Integers that count the numbers of a's dtype in order."""
    i = a.view(np.int32 if a.dtype == np.float32 else np.int64).astype(np.int64)
    return np.where(i < 0, np.int64(-(2**31) if a.dtype == np.float32 else -(2**63)) - i, i)


def distance(a, b):
    """How many numbers apart, at most; NaN is as NaN."""
    apart = np.abs(ordered(a) - ordered(b))
    return int(np.where(np.isnan(a) & np.isnan(b), 0, apart).max())


def errors(samples):
    """{(function, dtype, set): largest error in units in the last place}"""
    found = {}
    with tempfile.TemporaryDirectory() as out:
        for name, short in SETS.items():
            program = f"{out}/{short}"
            flags = "-std=gnu11 -O2 -ffp-contract=off -fno-math-errno -fno-trapping-math".split()
            command = [*os.environ.get("CC", "cc").split(), *flags, f"-I{HERE}/../../csrc", f"-DAD_ISA_{name}"]
            subprocess.run([*command, f"{HERE}/test_vmath.c", "-o", program, "-lm"], check=True)
            for function in FUNCTIONS:
                text = subprocess.run([program, str(samples), function], stdout=subprocess.PIPE, text=True).stdout
                for dtype, error in re.findall(r"(f32|f64) +([0-9.]+) ulp", text):
                    found[function, "float32" if dtype == "f32" else "float64", short] = float(error)
    return found


def agreement(samples):
    """{(function, dtype): the largest distance between the results of two instruction sets}"""
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as out:
        for dtype, bits in (("float32", np.uint32), ("float64", np.uint64)):
            every = rng.integers(0, np.iinfo(bits).max, samples // 2, dtype=bits).view(dtype)
            near = rng.normal(0, 5, samples - samples // 2).astype(dtype)
            np.save(f"{out}/{dtype}-x.npy", np.concatenate([every, near]))
            np.save(f"{out}/{dtype}-y.npy", rng.normal(0, 5, samples).astype(dtype))
        for short in SETS.values():
            subprocess.run(
                [sys.executable, "-c", CHILD, out, short, *FUNCTIONS],
                env={**os.environ, "AUTODIFFC_ISA": short},
                check=True,
            )
        found = {}
        for dtype in ("float32", "float64"):
            for name in FUNCTIONS:
                results = [np.load(f"{out}/{dtype}-{name}-{short}.npy") for short in SETS.values()]
                found[name, dtype] = max(distance(a, b) for k, a in enumerate(results) for b in results[:k])
    return found


def sweep(step):
    """{function: the largest error over every step-th float32}"""
    from scipy import special

    import autodiffc as T

    exact = dict(exp=np.exp, log=np.log, log1p=np.log1p, expm1=np.expm1, tanh=np.tanh, sigmoid=special.expit)
    exact |= dict(erf=special.erf, gelu=lambda x: x * special.ndtr(x), silu=lambda x: x * special.expit(x))
    exact |= dict(softplus=lambda x: np.logaddexp(0, x), sin=np.sin, cos=np.cos)
    worst = dict.fromkeys(exact, 0.0)
    for start in range(0, 2**32, 2**24 * step):
        x = (start + step * np.arange(2**24, dtype=np.uint64)).astype(np.uint32).view(np.float32)
        x = x[np.isfinite(x)]
        if not len(x):
            continue
        t = T.from_numpy(x)
        for name, f in exact.items():
            got = (getattr(T, name, None) or getattr(T.nn.functional, name))(t).numpy()
            with np.errstate(all="ignore"):
                want = f(x.astype(np.float64))
                low = np.maximum(np.frexp(want)[1] - 1, -126)
                error = np.abs(got - want) / np.ldexp(1.0, low - 23)
            worst[name] = max(worst[name], float(np.nanmax(np.where(np.isfinite(got), error, 0))))
    return worst


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--samples", type=int, default=2_000_000)
    parser.add_argument("--sweep", type=int, default=0, help="every so manieth float32 against SciPy")
    parser.add_argument("--write", type=pathlib.Path)
    args = parser.parse_args()
    found, apart = errors(args.samples), agreement(args.samples)
    swept = sweep(args.sweep) if args.sweep else {}
    command = f"python tests/c/accuracy.py --samples {args.samples}" + (f" --sweep {args.sweep}" if swept else "")
    lines = [
        "# How exact the mathematical functions are",
        "",
        f"Made by `{command} --write docs/accuracy.md`.",
        "",
        f"The largest error seen over {args.samples:,} arguments, in units in the last place (an exactly rounded",
        "result is within 0.5). Half of the arguments are random bit patterns, so that every exponent and the",
        "subnormal numbers come up; half lie where the function is not trivial. Then by how many numbers the results",
        "of two instruction sets differ at most. The tests enforce 1 for all but `tanh`, `erf`, `gelu` and `pow`,",
        "which have 2, and a tenth more for `expm1` and `gelu` under SSE2, which has no fused multiply-add;",
        "tests/c/test_vmath.c has the bounds. NaN, infinities and signed zeros come out as PyTorch has them.",
        "",
        "| function | dtype | "
        + " | ".join(SETS.values())
        + " | sets differ by |"
        + (f" every {args.sweep}th float32 |" if swept else ""),
        "|---|---|" + "---|" * (len(SETS) + 1 + bool(swept)),
    ]
    for name in FUNCTIONS:
        for dtype in ("float32", "float64"):
            cells = [f"{found[name, dtype, s]:.2f}" if (name, dtype, s) in found else "" for s in SETS.values()]
            cells.append(str(apart[name, dtype]))
            if swept:
                cells.append(f"{swept[name]:.2f}" if dtype == "float32" and name in swept else "")
            lines.append(f"| {name} | {dtype} | " + " | ".join(cells) + " |")
    text = "\n".join(lines) + "\n"
    print(text)
    if args.write:
        args.write.write_text(text)


if __name__ == "__main__":
    main()
