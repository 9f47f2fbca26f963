"""What the machine can do at best: the peak rate of multiply-adds and the bandwidths of memory and caches.

    python -m benchmarks.roofline LIBRARY THREADS

prints what one library reaches, in a process of its own. The peak is the rate of a product of which nothing leaves
the first-level cache: of operands that are one row, read again and again (strides of 0), where a library multiplies
them where they lie; of products of a few hundred rows, where it copies them first. The bandwidths are those of a copy
and of an addition that move 400 MB (memory) and 0.4 MB (the second-level caches), from and to memory that is there
already, each byte read or written counted once. The best of all libraries and ways is the roof.
"""

import importlib
import subprocess
import sys

from .timing import QUICK, best_call

TIMES = 2 if QUICK else 5

SIZES = {"memory": 33_000_000, "cache": 33_000}  # elements of a vector: three of them are 400 MB and 0.4 MB of float32
CACHED = 1e6  # bytes; what moves fewer is held against the caches' rate


def rates(library, threads):
    """Yields (what, value): GFLOP/s of each dtype, GB/s of memory and of caches."""
    import numpy as np

    torch = None if library == "numpy" else importlib.import_module(library)
    if torch:
        torch.set_num_threads(threads)
    for dtype in ("float32", "float64", "bfloat16"):
        if torch is None and dtype == "bfloat16":
            continue
        best = 0.0
        for m, k, n in ((36, 4096, 512), (256, 256, 256), (384, 384, 384), (512, 512, 512)):
            if torch:
                a, b = torch.ones(1, 1).to(getattr(torch, dtype)), torch.ones(1, n).to(getattr(torch, dtype))
                a, b = (a.expand(m, k), b.expand(k, n)) if k > m else (a.repeat(m, k), b.repeat(k, 1))
            else:
                a, b = np.ones((m, k), dtype), np.ones((k, n), dtype)
            best = max(best, 2e-3 * m * n * k / best_call(lambda a=a, b=b: a @ b, 0.02, TIMES))
        yield dtype, best
    for what, n in SIZES.items():
        if torch:
            x, y, z = torch.ones(n), torch.ones(n), torch.ones(n)
            copy, add = (lambda x=x, z=z: z.copy_(x)), (lambda x=x, y=y, z=z: torch.add(x, y, out=z))
        else:
            x, y, z = (np.ones(n, "float32") for _ in range(3))
            copy, add = (lambda x=x, z=z: np.copyto(z, x)), (lambda x=x, y=y, z=z: np.add(x, y, out=z))
        yield what, max(2 * 4e-3 * n / best_call(copy, 0.1, TIMES), 3 * 4e-3 * n / best_call(add, 0.1, TIMES))


def measure(libraries, threads, environment):
    """{threads: {what: (rate, library)}} of one thread and of `threads`, each library in a process of its own."""
    roofs = {}
    for n in dict.fromkeys((1, threads)):
        roofs[n] = {}
        for library in libraries:
            command = [sys.executable, "-m", "benchmarks.roofline", library, str(n)]
            done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment(n))
            for line in done.stdout.splitlines():
                what, rate = line.split("\t")
                roofs[n][what] = max(roofs[n].get(what, (0.0, "")), (float(rate), library))
    return roofs


def share(roof, microseconds, flops, moved, dtype):
    """The time that the roof allows over the time taken, or None where a case does not say what it needs.

    Above 1 where the data stays in the caches, which are faster than memory."""
    if not flops and not moved:
        return None
    bandwidth = roof["cache" if moved < CACHED else "memory"][0]
    least = max(flops / roof[dtype][0] if flops else 0.0, moved / bandwidth) * 1e-3
    return least / microseconds


if __name__ == "__main__":
    for name, value in rates(sys.argv[1], int(sys.argv[2])):
        print(name, value, sep="\t", flush=True)
