"""A line search for the strong Wolfe conditions (Nocedal and Wright, "Numerical Optimization", algorithms 3.5, 3.6)."""
from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from ..tensor import Tensor


def cubic_minimum(x1: Any, f1: Any, g1: Any, x2: Any, f2: Any, g2: Any, bounds: tuple | None = None) -> Any:
    """Where the cubic with these values and slopes at two points is least, within bounds or between the points."""
    low, high = bounds if bounds is not None else (x1, x2) if x1 <= x2 else (x2, x1)
    d1 = g1 + g2 - 3 * (f1 - f2) / (x1 - x2)
    square = d1**2 - g1 * g2
    if not square >= 0:
        return (low + high) / 2.0
    d2 = square.sqrt() if isinstance(square, Tensor) else math.sqrt(square)
    if x1 <= x2:
        at = x2 - (x2 - x1) * ((g2 + d2 - d1) / (g2 - g1 + 2 * d2))
    else:
        at = x1 - (x1 - x2) * ((g1 + d2 - d1) / (g1 - g2 + 2 * d2))
    return min(max(at, low), high)


def strong_wolfe(at: Callable, t: Any, d: Tensor, f: Any, g: Tensor, slope: Tensor, c1: float = 1e-4, c2: float = 0.9,
                 tolerance_change: float = 1e-9, max_calls: int = 25) -> tuple:
    """(loss, gradient, t, calls) at a t where the loss has fallen enough and its slope has become flat enough.

    ``at(t)`` gives loss and gradient at t along d; f, g, slope are those at 0.
    """
    length = d.abs().max()
    g = g.clone()
    f_new, g_new = at(t)
    calls = 1
    slope_new = g_new.dot(d)
    before = (0, f, g, slope)
    bracket = None
    for count in range(max_calls):
        now = (t, f_new, g_new.clone(), slope_new)
        risen = f_new > f + c1 * t * slope or (count > 1 and f_new >= before[1])
        if not risen and abs(slope_new) <= -c2 * slope:
            return f_new, g_new, t, calls
        if risen or slope_new >= 0:
            bracket = [before, now]
            break
        bounds = (t + 0.01 * (t - before[0]), t * 10)
        next_t = cubic_minimum(before[0], before[1], before[3], t, f_new, slope_new, bounds)
        before, t = now, next_t
        f_new, g_new = at(t)
        calls += 1
        slope_new = g_new.dot(d)
    if bracket is None:     # the calls are used up
        count = max_calls
        bracket = [(0, f, g, None), (t, f_new, g_new, None)]
    return _zoom(at, bracket, d, length, f, slope, count, calls, c1, c2, tolerance_change, max_calls)


def _zoom(at: Callable, bracket: list, d: Tensor, length: Tensor, f: Any, slope: Tensor, count: int, calls: int,
          c1: float, c2: float, tolerance_change: float, max_calls: int) -> tuple:
    """The search within a bracket whose ends are (t, loss, gradient, slope)."""
    stalled = done = False
    low, high = (0, 1) if bracket[0][1] <= bracket[-1][1] else (1, 0)
    while not done and count < max_calls:
        (t0, f0, _, s0), (t1, f1, _, s1) = bracket
        if abs(t1 - t0) * length < tolerance_change:
            break
        t = cubic_minimum(t0, f0, s0, t1, f1, s1)
        lowest, highest = min(t0, t1), max(t0, t1)
        margin = 0.1 * (highest - lowest)
        if min(highest - t, t - lowest) < margin:   # too near an end: a step inwards, unless it was the first time
            if stalled or t >= highest or t <= lowest:
                t = highest - margin if abs(t - highest) < abs(t - lowest) else lowest + margin
                stalled = False
            else:
                stalled = True
        else:
            stalled = False
        f_new, g_new = at(t)
        calls += 1
        slope_new = g_new.dot(d)
        count += 1
        now = (t, f_new, g_new.clone(), slope_new)
        if f_new > f + c1 * t * slope or f_new >= bracket[low][1]:
            bracket[high] = now
            low, high = (0, 1) if bracket[0][1] <= bracket[1][1] else (1, 0)
        else:
            if abs(slope_new) <= -c2 * slope:
                done = True
            elif slope_new * (bracket[high][0] - bracket[low][0]) >= 0:
                bracket[high] = bracket[low]
            bracket[low] = now
    t, f_new, g_new, _ = bracket[low]
    return f_new, g_new, t, calls
