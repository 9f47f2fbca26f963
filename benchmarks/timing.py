"""Timing that a noisy machine cannot fool: the contestants take turns, round after round, and each gives
its median."""

import os
import sys
import time

QUICK = bool(os.environ.get("BENCHMARKS_QUICK"))
"""Whether `--quick` was asked for: a section may leave out cases and shorten its bursts."""

_TURNS = bool(os.environ.get("BENCHMARKS_TURNS"))


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
    """Microseconds a call, the best of a few times, after one call that warms up. Calls that take longer than the
    seconds are timed one by one, and those that take very long once."""
    start = time.perf_counter()
    fn()
    first = time.perf_counter() - start
    if first < seconds:
        return min(per_call(fn, seconds) for _ in range(times))
    best = float("inf")
    for _ in range(times if first < 0.2 else 1):
        start = time.perf_counter()
        fn()
        best = min(best, time.perf_counter() - start)
    return best * 1e6


def show(case, unit, value, flops=0, moved=0, dtype="float32"):
    """Prints a case as a section's process does.

    flops and moved are the least that the algorithm needs: floating-point operations in products of `dtype`, and bytes
    to and from memory. The roofline share is computed from them; without them the case has none."""
    print(case, unit, value, int(flops), int(moved), dtype, sep="\t", flush=True)
    _wait()


def skip():
    """Lets the other libraries have their turn at a case that this one has not."""
    if _TURNS:
        print(flush=True)
        _wait()


def _wait():
    """Until the other libraries have done this case too. Nobody is left to wait for when the input ends."""
    if _TURNS:
        sys.stdin.readline()
