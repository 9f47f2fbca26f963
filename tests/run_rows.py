"""Saves the results of every row: `python -m tests.run_rows out.npz`, for other instruction sets."""

import sys

import numpy as np

import autodiffc
from autodiffc._native import ffi, lib

from .case import Case, dtype_name, outputs, tensor, to_numpy
from .op_cases import CASES

LARGE = 60_000  # elements of the largest input: several chunks of the pool


def large_inputs(case: Case):
    """The row's inputs with every size above 1 scaled by one factor, so that equal sizes stay equal: doubled until the
    largest input or result has LARGE elements, or until the row's other arguments do not fit any more."""
    if case.bench:
        return [i.resized(s) for i, s in zip(case.inputs, case.bench)]
    dtype, specs = case.float_dtype("float32"), case.inputs
    if not any(n > 1 for i in specs for n in i.sizes):
        return specs
    while True:
        more = [i.resized([2 * n if n > 1 else n for n in i.sizes]) for i in specs]
        try:
            with autodiffc.no_grad():
                ys = outputs(case.fn(autodiffc, *case.tensors(autodiffc, case.make(dtype, inputs=more), dtype)))
        except (RuntimeError, IndexError, ValueError, TypeError):
            return specs
        specs = more
        sizes = [int(np.prod(i.sizes)) for i in more] + [int(np.prod(y.shape)) for y in ys if hasattr(y, "shape")]
        if max(sizes) >= LARGE:
            return specs


def run_row(case: Case, specs=None) -> dict[str, np.ndarray]:
    """The results and gradients of a row in float32 (or its first dtype), by name; of other inputs where given."""
    T, dtype = autodiffc, case.float_dtype("float32")
    ts = case.tensors(T, case.make(dtype, inputs=specs or case.inputs), dtype)
    wrt = [i for i, s in enumerate(case.inputs) if s.differentiable(dtype)] if case.grad else []
    for i in wrt:
        ts[i].requires_grad_()
    ys = outputs(case.fn(T, *ts))
    found = {f"{case.id}:{k}": to_numpy(y) for k, y in enumerate(ys)}
    ys = [y for y in ys if hasattr(y, "requires_grad") and y.requires_grad]
    if ys:
        rng = np.random.default_rng(3)
        vs = [tensor(T, rng.uniform(-1, 1, tuple(y.shape)).astype(dtype_name(y)), dtype_name(y)) for y in ys]
        for i, g in zip(wrt, T.autograd.grad(ys, [ts[i] for i in wrt], vs, allow_unused=True)):
            if g is not None:
                found[f"{case.id}:grad{i}"] = to_numpy(g)
    return found


def main(path: str) -> None:
    found = {}
    for case in CASES:
        found.update(run_row(case))
    np.savez(path, isa=ffi.string(lib.ad_isa()).decode(), **{k.replace("/", "|"): v for k, v in found.items()})


if __name__ == "__main__":
    main(sys.argv[1])
