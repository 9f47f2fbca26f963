"""Memory is asked of the system once: later steps live on what earlier ones gave back."""

import gc
import os

import numpy as np
import pytest

import autodiffc as T

from . import child

STEPS = """
import resource
import autodiffc as T
from benchmarks import steps

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

T.set_num_threads(2)
for name in steps.STEPS:
    for captured in (False, True):
        step = steps.build(T, name)
        step = T.compile(step, fullgraph=True) if captured else step
        for _ in range(3):  # the optimizer's state, made at the end of the first, lies beside the second's values
            step()
        asked, before = T.memory_stats()["system_allocations"], faults()
        for _ in range(5):
            step()
        asked, before = T.memory_stats()["system_allocations"] - asked, faults() - before
        assert asked == 0 and before < 50, (name, captured, asked, before)
"""


def test_steps_ask_the_system_for_nothing():
    """Neither the allocator nor, by the count of pages that are touched for the first time, anything below it: of the
    steps that are benchmarked."""
    done = child.run("-c", STEPS)
    assert done.returncode == 0, done.stderr[-3000:]


def test_large_blocks_are_joined_again():
    """What one large tensor leaves serves several smaller ones, and the other way around."""
    T.empty_cache()
    gc.collect()
    whole = T.ones(12 << 20, dtype=T.uint8)
    before = T.memory_stats()
    del whole
    for n in (1, 2, 3, 4, 6):
        parts = [T.full(((12 << 20) // n - 8192,), k, dtype=T.uint8) for k in range(n)]
        assert all(bool((p == k).all()) for k, p in enumerate(parts))
        del parts
    after = T.memory_stats()
    kept = [s["bytes_in_use"] + s["bytes_cached"] for s in (before, after)]
    assert kept[1] - kept[0] < 13 << 20, kept  # the masks of the comparisons; not 12 MB for each n


def test_blocks_do_not_meet():
    """Tensors of many sizes that come and go in any order keep what was written to them."""
    rng = np.random.default_rng(0)
    held = {}
    for k in range(2000):
        if held and (len(held) > 20 or rng.random() < 0.45):
            key = list(held)[rng.integers(len(held))]
            assert bool((held.pop(key) == key).all())
        else:
            n = int(np.exp(rng.uniform(np.log(10), np.log(3 << 20))))
            held[k] = T.full((n,), k, dtype=T.int16)
        if k % 500 == 0:
            T.empty_cache()
    for key, t in held.items():
        assert bool((t == key).all())


needs_proc = pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="reads Linux's /proc")

RESIDENT = """
import autodiffc as T

def resident(field="VmRSS"):
    with open("/proc/self/status") as f:
        return next(int(line.split()[1]) for line in f if line.startswith(field)) / 1024
"""


@needs_proc
def test_empty_cache_gives_memory_back():
    """Also what is free between blocks that are in use."""
    code = RESIDENT + (
        "first = resident()\n"
        "held = [T.ones(2 << 20) for _ in range(12)]\n"
        "full = resident()\n"
        "del held[::2]\n"
        "T.empty_cache()\n"
        "half = resident()\n"
        "assert all(bool((t == 1).all()) for t in held)\n"
        "held.clear()\n"
        "T.empty_cache()\n"
        "last = resident()\n"
        "assert full - first > 90 and half - first < 70 and last - first < 20, (first, full, half, last)\n"
    )
    done = child.run("-c", code)
    assert done.returncode == 0, done.stderr[-3000:]


@needs_proc
@pytest.mark.parametrize("earlier", [0, 2])
def test_recording_keeps_no_values(earlier):
    """While a step is recorded its values live as long as they do in eager execution, the first or a later one."""
    code = RESIDENT + (
        f"for k in range({earlier}):\n"
        "    T.compile(lambda x: x + 1)(T.ones(2))\n"
        "x = T.ones(2 << 20)\n"
        "def step():\n"
        "    y = x\n"
        "    for k in range(20):\n"
        "        y = (y * 1.5).flip(0)\n"
        "    return y.sum()\n"
        "expected = float(step())\n"
        "before = resident()\n"
        "step = T.compile(step, fullgraph=True)\n"
        "assert [float(step()) for _ in range(3)] == [expected] * 3\n"
        "grown = resident('VmHWM') - before\n"
        "assert grown < 60, grown  # 40 values of 8 MB\n"
    )
    done = child.run("-c", code)
    assert done.returncode == 0, done.stderr[-3000:]
