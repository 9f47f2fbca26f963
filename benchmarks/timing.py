"""Timing that a noisy machine cannot fool: the contestants take turns, round after round, and each gives
its median."""

import time


def per_call(fn, seconds):
    """Microseconds a call of fn, averaged over about `seconds`."""
    start = time.perf_counter()
    fn()
    one = max(time.perf_counter() - start, 2e-7)
    n = max(1, int(seconds / one))
    start = time.perf_counter()
    for _ in range(n):
        fn()
    return (time.perf_counter() - start) / n * 1e6


def best_call(fn, seconds=0.03, times=3):
    """Microseconds a call, the best of a few times, after one call that warms up."""
    fn()
    return min(per_call(fn, seconds) for _ in range(times))


def show(case, unit, value, flops=0, moved=0, dtype="float32"):
    """Prints a case as a section's process does.

    flops and moved are the least that the algorithm needs: floating-point operations in products of `dtype`, and bytes
    to and from memory. The roofline share is computed from them; without them the case has none."""
    print(case, unit, value, int(flops), int(moved), dtype, sep="\t", flush=True)
