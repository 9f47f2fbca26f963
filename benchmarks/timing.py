"""Timing that a noisy machine cannot fool: the contestants take turns, round after round, and each gives
its median."""

import statistics
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


def side_by_side(contestants, rounds=9, seconds=0.02):
    """Median microseconds a call of each: {name: fn} gives {name: microseconds}. The rounds interleave."""
    for fn in contestants.values():
        fn()
        fn()
    samples = {name: [] for name in contestants}
    for _ in range(rounds):
        for name, fn in contestants.items():
            samples[name].append(per_call(fn, seconds))
    return {name: statistics.median(s) for name, s in samples.items()}
