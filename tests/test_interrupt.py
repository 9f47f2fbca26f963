"""Ctrl-C inside a long call raises KeyboardInterrupt soon, and the process goes on."""

import signal
import sys
import time

import pytest

from . import child

SETUP = """
import signal, sys, time
import numpy as np
import autodiffc as T
from autodiffc._native import lib
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job inherits that it is ignored

def ready():
    print("ready", flush=True)

def check():  # everything still works, and nothing of the interrupted call is left behind
    w = T.ones(100_000, dtype=T.float64).requires_grad_()
    (w * 3.0).sum().backward()
    assert (w.grad.numpy() == 3).all()
    assert T.is_grad_enabled()
    print("alive", flush=True)
"""

LONG_BACKWARD = """
w = T.ones(40_000).requires_grad_()
y = w
for _ in range(2000):
    y = y * 1.0001
loss = y.sum()
ready()
try:
    while True:
        loss.backward(retain_graph=True)
except KeyboardInterrupt:
    check()
"""

LONG_PRODUCT = """
lib.ad_set_num_threads(THREADS)
a = T.ones(14_000, 14_000)
ready()
try:
    while True:
        a @ a
except KeyboardInterrupt:
    check()
"""

LONG_ELEMENTWISE = """
lib.ad_set_num_threads(THREADS)
a = T.ones(1, 1).expand(1 << 17, 1 << 16)
ready()
try:
    a.sum()
    print("finished early")
except KeyboardInterrupt:
    check()
"""

IN_PLACE = """
a = T.zeros(10_000_000)
lib.ad_set_num_threads(1)
ready()
try:
    while True:
        a += 1.0
except KeyboardInterrupt:
    assert len(np.unique(a.numpy())) == 1, "a half-written tensor"
    check()
"""

OWN_HANDLER = """
import signal
class Stop(Exception):
    pass
def handler(number, frame):
    raise Stop("mine")
signal.signal(signal.SIGINT, handler)
w = T.ones(40_000).requires_grad_()
y = w
for _ in range(3000):
    y = y * 1.0001
loss = y.sum()
ready()
try:
    while True:
        loss.backward(retain_graph=True)
except Stop as e:
    assert str(e) == "mine"
    check()
"""

QUIET_HANDLER = """
import signal
seen = []
signal.signal(signal.SIGINT, lambda number, frame: seen.append(number))
a = T.ones(1000, 1000)
ready()
end = time.monotonic() + 3
while not seen and time.monotonic() < end:
    b = a @ a
assert seen and (b.numpy() == 1000).all()
check()
"""

PROGRAMS = {
    "backward of many nodes": LONG_BACKWARD,
    "product, one thread": LONG_PRODUCT.replace("THREADS", "1"),
    "product, two threads": LONG_PRODUCT.replace("THREADS", "2"),
    "sum, one thread": LONG_ELEMENTWISE.replace("THREADS", "1"),
    "sum, two threads": LONG_ELEMENTWISE.replace("THREADS", "2"),
    "in place": IN_PLACE,
    "a handler that raises": OWN_HANDLER,
    "a handler that does not raise": QUIET_HANDLER,
}


@pytest.mark.skipif(sys.platform == "win32", reason="SIGINT is sent to a whole console there")
@pytest.mark.parametrize("program", PROGRAMS)
def test_interrupt(program):
    process = child.start("-c", SETUP + PROGRAMS[program])
    try:
        assert process.stdout.readline() == "ready\n", process.stderr.read()
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        sent = time.monotonic()
        answer = process.stdout.readline()
        took = time.monotonic() - sent
        assert answer == "alive\n", answer + process.communicate(timeout=20)[1]
        assert took < 2.5, f"answered after {took:.1f} s"
        assert process.wait(20) == 0, process.stderr.read()
    finally:
        process.kill()
        process.communicate()
