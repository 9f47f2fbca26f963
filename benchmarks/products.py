"""Matrix products of one library in a process of its own, in every transposition, square, tall, skinny, batched.

    python -m benchmarks.products torch 2

The library `autodiffc-float32` is ours computing the bfloat16 cases in float32, as a peer of itself.
"""

import importlib
import sys

import numpy as np

from .timing import QUICK, best_call, show, skip

LIBRARIES = ("autodiffc", "torch", "numpy", "autodiffc-float32")
TURNS = True
LONG = 1 << 31
"""Multiply-adds of products of which a few take seconds: --quick takes them in one transposition."""
SQUARE = (16, 32, 48, 64, 96, 128, 200, 256, 384, 512, 768, 1024, 1537, 2048, 4096)
# rows, terms of each sum, columns: the layers of the steps, forward and backward, and awkward ones
SHAPES = (
    (128, 784, 512), (128, 512, 784), (784, 128, 512), (64, 9216, 128), (768, 128, 384), (768, 512, 128),
    (128, 768, 512), (700, 128, 1000), (1, 512, 512), (100000, 100, 1), (20, 128, 512), (4096, 64, 64),
    (64, 4096, 64), (2000, 3, 2000),
)  # fmt: skip
# batch, rows, terms, columns, the second operand transposed
BATCHED = {
    "64 of 64x64x64": ((64,), 64, 64, 64, False),
    "attention 12x4x64x32, q @ k^T": ((12, 4), 64, 32, 64, True),
    "attention 12x4x64x32, p @ v": ((12, 4), 64, 64, 32, False),
    "attention 2x8x1024x64, q @ k^T": ((2, 8), 1024, 64, 1024, True),
    "attention 2x8x1024x64, p @ v": ((2, 8), 1024, 1024, 64, False),
}


def cases():
    """(case, dtype, batch, m, k, n, transposition)"""
    for dtype in ("float32", "float64"):
        for m, k, n in [(s, s, s) for s in SQUARE] + list(SHAPES):
            for way in ("nn", "nt", "tn"):
                yield f"{dtype} {m}x{k}x{n} {way}", dtype, (), m, k, n, way
    for s in (1024, 2048, 4096):
        for way in ("nn", "nt", "tn"):
            yield f"bfloat16 {s}x{s}x{s} {way}", "bfloat16", (), s, s, s, way
    for name, (batch, m, k, n, transposed) in BATCHED.items():
        yield f"float32 {name}", "float32", batch, m, k, n, "nt" if transposed else "nn"


def operand(torch, seed, dtype, batch, rows, cols, transposed):
    sizes = (*batch, cols, rows) if transposed else (*batch, rows, cols)
    values = np.random.default_rng(seed).standard_normal(sizes, "float64" if dtype == "float64" else "float32")
    if torch is None:
        return values.swapaxes(-1, -2) if transposed else values
    x = torch.from_numpy(values)
    x = x if dtype in ("float32", "float64") else x.to(getattr(torch, dtype))
    return x.transpose(-1, -2) if transposed else x


def main():
    library, threads = sys.argv[1], int(sys.argv[2])
    only = sys.argv[3] if len(sys.argv) > 3 else ""  # cases whose names hold this
    own = library.endswith("-float32")
    torch = None if library == "numpy" else importlib.import_module(library.removesuffix("-float32"))
    if torch:
        torch.set_num_threads(threads)
    for case, dtype, batch, m, k, n, way in cases():
        if (only and only not in case) or (QUICK and m * k * n > LONG and way != "nn"):
            continue
        if (torch is None and dtype == "bfloat16") or (own and dtype != "bfloat16"):
            skip()
            continue
        dtype = "float32" if own else dtype
        a = operand(torch, 0, dtype, batch, m, k, way[0] == "t")
        b = operand(torch, 1, dtype, batch, k, n, way[1] == "t")
        count, size = int(np.prod(batch)), {"float64": 8, "float32": 4, "bfloat16": 2}[dtype]
        us = best_call(lambda a=a, b=b: a @ b, 0.008 if QUICK else 0.015)
        show(case, "us", us, 2 * count * m * k * n, count * size * (m * k + k * n + m * n), dtype)


if __name__ == "__main__":
    main()
