"""Calls rows of the operation table with attributes that mean nothing, in a process of its own.

    python -m tests.row_attributes SEED [--calls N] [--log FILE] [NAME ...]

What the package's functions hand to the rows is checked by them or made by them; the rows themselves must refuse the
rest: any exception is fine, a crash is not. The log holds the call that did it.
"""

import argparse
import faulthandler
import os
import random
import re
import resource

import numpy as np

import autodiffc as T
from autodiffc._core import OP
from autodiffc._ops import _call

INTS = [-(1 << 63), -(1 << 31), -65, -3, -2, -1, 0, 0, 0, 1, 1, 1, 2, 2, 3, 4, 5, 7, 9, 10, 63, 64, 100, 1 << 31,
        (1 << 63) - 1]
FLOATS = [float("nan"), float("inf"), float("-inf"), -1.0, -0.0, 0.0, 0.5, 1.0, 2.0, 1e300]
FINE = (TypeError, ValueError, RuntimeError, IndexError, NotImplementedError, MemoryError, OverflowError,
        AttributeError, ZeroDivisionError)
DTYPES = ["float32", "float32", "float32", "int64", "int64", "float64", "bool", "uint8", "int32"]


def tensor(rng, dtype=None):
    shape = [rng.choice([0, 1, 2, 3, 3, 5]) for _ in range(rng.choice([0, 1, 1, 2, 2, 2, 3, 3, 4, 5]))]
    values = np.asarray(np.random.default_rng(rng.randrange(1 << 30)).integers(-2, 4, shape))
    t = T.tensor(values.astype(dtype or rng.choice(DTYPES)))
    if t.ndim > 1 and rng.random() < 0.1:
        t = t.t() if t.ndim == 2 else t.transpose(0, 1)
    if t.dtype.is_floating_point and rng.random() < 0.2:
        t.requires_grad_()
    return t


def operands(rng, n):
    """n tensors: now of any sizes, now of one size and dtype, so that calls get beyond what compares them."""
    if rng.random() < 0.5:
        first = tensor(rng)
        own = [first] + [first.detach().clone() if rng.random() < 0.7 else tensor(rng) for _ in range(n - 1)]
    else:
        own = [tensor(rng) for _ in range(n)]
    return [None if rng.random() < 0.05 else t for t in own[:n]]


def number_of_tensors(op):
    """How many tensors the row takes; None: any number."""
    for n in range(9):
        try:
            _call.apply_form(op, [T.ones(1)] * n)
        except TypeError as e:
            if found := re.search(r"takes (\d+) tensors", str(e)):
                return int(found[1])
        except FINE:
            pass
    return None


def attributes(rng):
    wild = rng.choice([0.05, 0.3, 1.0])

    def integer():
        return rng.choice(INTS) if rng.random() < wild else rng.choice([0, 0, 1, 1, 2, -1])

    ints = [integer() for _ in range(rng.randrange(9))]
    floats = [rng.choice(FLOATS) for _ in range(rng.randrange(7))]
    dims = [integer() for _ in range(rng.choice([0, 0, 1, 2, 3, 4, 6, 9, 20, 70]))]
    return ints, floats, dims


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("seed", type=int)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--calls", type=int, default=20)
    parser.add_argument("--log")
    args = parser.parse_args()
    faulthandler.enable()
    if "libasan" not in os.environ.get("LD_PRELOAD", ""):  # which has a limit of its own: tests/sanitize.sh
        resource.setrlimit(resource.RLIMIT_AS, (3 << 30, 3 << 30))
    log = open(args.log, "w") if args.log else None
    calls = 0

    def note(*what):
        if log:
            log.seek(0)
            log.truncate()
            print(*what, file=log, flush=True)

    for name in args.names or sorted(OP):
        rng = random.Random(f"{args.seed} {name}")
        note(name, "without attributes")
        count = number_of_tensors(OP[name])
        for _ in range(args.calls):
            own = operands(rng, rng.randrange(5) if count is None else count)
            given = attributes(rng)
            note(name, [None if t is None else (str(t.dtype), list(t.shape), t.requires_grad) for t in own], given)
            for form in (_call.apply_form, lambda op, ts, *given: _call.in_place(op, ts[0], ts[1:], *given)):
                try:
                    y = form(OP[name], own, *given)
                    if isinstance(y, T.Tensor) and y.requires_grad:
                        y.sum().backward()
                except FINE:
                    pass
                calls += 1
    print(f"done {calls} calls")


if __name__ == "__main__":
    main()
