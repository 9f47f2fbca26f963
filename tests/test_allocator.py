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
from autodiffc import nn
F = nn.functional

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

def supervised(model, optimizer, x, y):
    def step():
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x).flatten(0, -2), y)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        return loss
    return step

def layers():
    model = nn.Sequential(nn.Linear(256, 700), nn.ReLU(), nn.Linear(700, 300), nn.GELU(), nn.Linear(300, 10))
    return supervised(model, T.optim.Adam(model.parameters()), T.randn(300, 256), T.randint(0, 10, (300,)))

def convolutions():
    model = nn.Sequential(nn.Conv2d(3, 24, 3), nn.BatchNorm2d(24), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
                          nn.Linear(24 * 15 * 15, 10))
    optimizer = T.optim.SGD(model.parameters(), 0.01, momentum=0.9)
    return supervised(model, optimizer, T.randn(16, 3, 32, 32), T.randint(0, 10, (16,)))

class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.table, self.rnn, self.head = nn.Embedding(50, 64), nn.LSTM(64, 64), nn.Linear(64, 50)
    def forward(self, x):
        return self.head(self.rnn(self.table(x))[0])

def recurrent():
    model = Recurrent()
    return supervised(model, T.optim.AdamW(model.parameters()), T.randint(0, 50, (30, 16)), T.randint(0, 50, (480,)))

def attention():
    layer = nn.TransformerEncoderLayer(64, 4, 256, batch_first=True)
    model = nn.Sequential(nn.Embedding(50, 64), layer, nn.Linear(64, 50))
    return supervised(model, T.optim.RMSprop(model.parameters()), T.randint(0, 50, (16, 40)), T.randint(0, 50, (640,)))

T.set_num_threads(2)
for build in (layers, convolutions, recurrent, attention):
    for captured in (False, True):
        T.manual_seed(0)
        step = T.compile(build(), fullgraph=True) if captured else build()
        for _ in range(3):  # the optimizer's state, made at the end of the first, lies beside the second's values
            step()
        asked, before = T.memory_stats()["system_allocations"], faults()
        for _ in range(10):
            step()
        asked, before = T.memory_stats()["system_allocations"] - asked, faults() - before
        assert asked == 0 and before < 50, (build.__name__, captured, asked, before)
"""


def test_steps_ask_the_system_for_nothing():
    """Neither the allocator nor, by the count of pages that are touched for the first time, anything below it."""
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
