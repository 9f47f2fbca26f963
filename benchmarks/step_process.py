"""Times one training step in a process of its own: python -m benchmarks.step_process BACKEND NAME THREADS.

Prints the microseconds of the first call (which records or compiles) and the median of later ones. BACKEND is
autodiffc, captured, torch, torch.compile or jax.

Two libraries in one process wait for each other's threads, and neither's figure means anything then."""

import importlib
import statistics
import sys
import time

from . import steps
from .timing import per_call


def main(backend, name, threads):
    if backend == "jax":
        from . import steps_jax

        step = steps_jax.STEPS[name]()
    else:
        library = importlib.import_module("torch" if backend.startswith("torch") else "autodiffc")
        library.set_num_threads(threads)
        step = steps.build(library, name)
        step = library.compile(step) if backend in ("captured", "torch.compile") else step
    start = time.perf_counter()
    step()
    first = (time.perf_counter() - start) * 1e6
    step()
    print(first, statistics.median(per_call(step, 0.1) for _ in range(7)))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
