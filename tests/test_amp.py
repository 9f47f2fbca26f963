"""autocast keeps the casts of parameters until the outermost block ends."""

import gc

import pytest

import autodiffc as T
from autodiffc import nn
from autodiffc._native import ffi, lib


def casts(f):
    """How many conversions f makes."""
    with T.profiler.profile() as p:
        f()
    return sum(e.count for e in p.events() if e.key == "aten::to")


def test_a_parameter_is_cast_once():
    layer = nn.Linear(4, 4)
    x = T.ones(2, 4, dtype=T.bfloat16)

    def loop():
        y = x
        for _ in range(5):
            y = layer(y)
        return y

    with T.autocast("cpu", dtype=T.bfloat16):
        assert casts(loop) == 2 and casts(loop) == 0
        with T.autocast("cpu", enabled=False):
            assert T.is_autocast_cache_enabled()
        assert casts(loop) == 0
        with T.no_grad():
            layer.weight.mul_(2)  # written since
        assert casts(loop) == 1
        T.clear_autocast_cache()
        assert casts(loop) == 2
        with T.no_grad():
            assert casts(loop) == 10
        with T.autocast("cpu", dtype=T.bfloat16, cache_enabled=False):
            assert not T.is_autocast_cache_enabled() and casts(loop) == 10
    with T.autocast("cpu", dtype=T.bfloat16):
        assert casts(loop) == 2


def test_gradients_add_up_before_they_are_cast_back():
    w = T.full((4, 4), 0.7, requires_grad=True)
    x = T.arange(16.0).reshape(4, 4)
    with T.autocast("cpu", dtype=T.bfloat16):
        (x @ w + (x * 3) @ w + (x * 0.01) @ w).sum().backward()
    low = w.detach().bfloat16().requires_grad_()
    parts = [(x * k).bfloat16() for k in (1, 3, 0.01)]
    sum(p @ low for p in parts).sum().backward()
    assert w.grad.equal(low.grad.float())


def test_nothing_is_left_behind():
    def tensors():
        gc.collect()
        out = ffi.new("int64_t[8]")
        lib.ad_memory_stats(out)
        return [out[0], out[5], out[6], out[7]]

    layer = nn.Linear(3, 3)

    def block():
        with T.autocast("cpu", dtype=T.bfloat16):
            layer(T.ones(1, 3)).sum().backward()
        layer.zero_grad()

    block()
    before = tensors()
    for _ in range(20):
        block()
    assert tensors() == before
    with pytest.raises(ZeroDivisionError), T.autocast("cpu", dtype=T.bfloat16):
        layer(T.ones(1, 3))
        raise ZeroDivisionError
    assert tensors() == before
