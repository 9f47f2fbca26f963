"""Nothing leaks: training steps, graphs that are dropped, cyclic or interrupted half-way, failed allocations."""

import gc

import numpy as np
import pytest

import autodiffc as T

from . import child


def leaf(*sizes, seed=0):
    values = np.random.default_rng(seed).standard_normal(sizes).astype(np.float32)
    return T.from_numpy(values).clone().requires_grad_()


def step(weights, x):
    hidden = (x @ weights[0] + weights[1]).relu()
    loss = ((hidden @ weights[2] + weights[3]) * 0.1).sum()
    loss.backward()
    with T.no_grad():
        for w in weights:
            w += w.grad * -1e-3
            w.grad = None
    return loss


def test_training_is_flat(stats):
    weights = [leaf(4, 8), leaf(8, seed=1), leaf(8, 2, seed=2), leaf(2, seed=3)]
    x = leaf(5, 4, seed=4).detach()
    for _ in range(10):
        step(weights, x)
    gc.collect()
    before = stats()
    for _ in range(10_000):
        step(weights, x)
    assert stats() == before


def test_captured_training_is_flat(stats):
    weights = [leaf(4, 8), leaf(8, seed=1), leaf(8, 2, seed=2), leaf(2, seed=3)]
    x = leaf(5, 4, seed=4).detach()
    captured = T.compile(lambda x: step(weights, x))
    for _ in range(10):
        captured(x)
    gc.collect()
    before = stats()
    for _ in range(10_000):
        captured(x)
    assert stats() == before


def test_compiled_programs_are_released(stats):
    gc.collect()
    before = stats()
    for _ in range(5):
        weights = [leaf(4, 8), leaf(8, seed=1), leaf(8, 2, seed=2), leaf(2, seed=3)]
        x = leaf(5, 4, seed=4).detach()
        captured = T.compile(lambda x, weights=weights: step(weights, x))
        for _ in range(3):
            captured(x)
        del captured, weights, x
    gc.collect()
    assert stats() == before


def test_dropped_graphs(stats):
    w, x = leaf(4, 4), leaf(4, 4, seed=1).detach()
    gc.collect()
    before = stats()
    for _ in range(100):
        y = x
        for _ in range(20):
            y = (y @ w).relu() * 0.5
        z = y.transpose(0, 1).unsqueeze(0).sum() + y.sum()
    del y, z
    assert stats() == before


def test_views_written_in_place(stats):
    w = leaf(4, 4)
    gc.collect()
    before = stats()
    for _ in range(100):
        y = w * 1.0
        row = y.select(0, 1)
        row += 1.0
        part = y.narrow(1, 0, 2)
        part += row.narrow(0, 0, 2)
        y.sum().backward()
        w.grad = None
    del y, row, part
    assert stats() == before


def test_double_backward(stats):
    w = leaf(4, 4)
    gc.collect()
    before = stats()
    for _ in range(100):
        loss = (w @ w).exp().sum()
        (g,) = T.autograd.grad(loss, w, create_graph=True)
        (g * g).sum().backward()
        w.grad = None
    del loss, g
    assert stats() == before


def test_cycles_are_collected(stats):
    gc.collect()
    before = stats()
    for _ in range(10):
        w = leaf(3)
        y = w * 2.0
        y.me = y  # through the tensor's own attributes
        w.child = y
        y.sum().backward()
        y.parent = [w, {"again": y}]
    del w, y
    gc.collect()
    assert stats() == before


def test_backward_with_create_graph_is_collected_when_grad_is_dropped(stats):
    gc.collect()
    before = stats()
    w = leaf(3)
    (w * w).sum().backward(create_graph=True)
    w.grad = None
    del w
    gc.collect()
    assert stats() == before


@pytest.mark.parametrize("how", ["backward", "grad", "dropped"])
def test_long_chain(how, stats):
    """100,000 nodes: walked and released by loops, with no recursion to overflow the stack."""
    w = leaf(2)
    gc.collect()
    before = stats()
    y = w
    for _ in range(100_000):
        y = y + 1.0
    if how == "backward":
        y.sum().backward()
        np.testing.assert_array_equal(w.grad.numpy(), [1, 1])
        w.grad = None
    elif how == "grad":
        (g,) = T.autograd.grad(y.sum(), w)
        np.testing.assert_array_equal(g.numpy(), [1, 1])
        del g
    del y
    assert stats() == before


def test_long_chain_of_views(stats):
    w = leaf(2, 3)
    gc.collect()
    before = stats()
    y = w * 1.0
    for _ in range(20_000):
        y = y.transpose(0, 1)
    y.sum().backward()
    w.grad = None
    del y
    assert stats() == before


def test_long_chain_of_second_gradients(stats):
    w = leaf(2)
    gc.collect()
    before = stats()
    y = w
    for _ in range(10_000):
        y = y * 1.0001
    (g,) = T.autograd.grad((y * y).sum(), w, create_graph=True)
    g.sum().backward()
    w.grad = None
    del y, g
    assert stats() == before


def test_hook_that_raises_half_way(stats):
    w = leaf(3)
    gc.collect()
    before = stats()

    def bad(g):
        raise KeyError("half-way")

    for _ in range(50):
        y = (w * 2.0).relu()
        y.register_hook(bad)
        z = (y.exp() * y).sum()
        with pytest.raises(KeyError, match="half-way"):
            z.backward()
        assert w.grad is None
    del y, z
    gc.collect()
    assert stats() == before


def test_hook_that_closes_over_its_tensor(stats):
    gc.collect()
    before = stats()
    for _ in range(20):
        w = leaf(3)
        y = w * 2.0
        handle = y.register_hook(lambda g, y=y: g + y.detach())
        y.sum().backward()
        handle.remove()
        w.register_hook(lambda g: None)
    del w, y, handle
    gc.collect()
    assert stats() == before


def test_hooks_in_circles_are_collected(stats):
    """A hook that refers to its own tensor, never removed: the circle goes through the core."""
    gc.collect()
    before = stats()
    for _ in range(10):
        w = leaf(3)
        w.register_hook(lambda g, w=w: g * w.detach())
        w.register_post_accumulate_grad_hook(lambda p, w=w: None)
        y = w * 2.0
        y.register_hook(lambda g, y=y: g + y.detach())
        y.sum().backward()
        assert w.grad is not None
    gc.collect()  # these are still in use: their hooks must survive
    w.grad = None
    seen = []
    w.register_hook(seen.append)
    (w * 2.0).sum().backward()
    assert len(seen) == 1 and float(seen[0][0]) == float((w.detach() * 2.0)[0])
    seen.clear()
    del w, y
    gc.collect()
    gc.collect()
    assert stats() == before


def test_hooks_of_tensors_that_only_the_graph_holds():
    w = leaf(3)
    y = w * 2.0
    seen = []
    y.register_hook(lambda g, y=y: seen.append(y.detach()))
    loss = y.sum()
    del y
    gc.collect()
    loss.backward()
    assert len(seen) == 1


def test_hooks_alive_at_exit_are_quiet():
    done = child.run(
        "-c",
        "import autodiffc as T\nw = T.ones(3).requires_grad_()\n"
        "w.register_hook(lambda g, w=w: None)\ny = w * 2.0\ny.register_hook(lambda g, y=y: None)",
    )
    assert done.returncode == 0 and not done.stderr, done.stderr


def test_function_context_is_released(stats):
    class Twice(T.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            ctx.own = x.detach()
            return x * 2.0

        @staticmethod
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            return g * 2.0 + x * 0.0

    w = leaf(3)
    gc.collect()
    before = stats()
    for _ in range(50):
        y = Twice.apply(w)
        y.sum().backward()
        w.grad = None
        Twice.apply(w)  # dropped without a backward
    del y
    gc.collect()
    assert stats() == before


def test_function_that_raises_half_way(stats):
    class Bad(T.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * 2.0

        @staticmethod
        def backward(ctx, g):
            raise ValueError("in backward")

    w = leaf(3)
    gc.collect()
    before = stats()
    for _ in range(20):
        y = Bad.apply(w * 1.0).exp().sum()
        with pytest.raises(ValueError, match="in backward"):
            y.backward()
    del y
    gc.collect()
    assert stats() == before


# ---- allocations that fail ----


@pytest.mark.parametrize("sizes", [(1 << 50,), (1 << 25, 1 << 25), (1 << 47,)])
def test_allocation_larger_than_memory(sizes, stats):
    before = stats()
    with pytest.raises(MemoryError):
        T.zeros(*sizes, dtype=T.uint8)
    assert stats() == before


@pytest.mark.parametrize("sizes", [(1 << 62, 4), (1 << 40, 1 << 40), (1 << 62,)])
def test_sizes_that_overflow(sizes, stats):
    before = stats()
    with pytest.raises(RuntimeError):
        T.empty(*sizes)
    assert stats() == before


LIMITED = """
import gc, resource
import numpy as np
import autodiffc as T
from autodiffc._native import ffi, lib

def stats():
    out = ffi.new("int64_t[8]")
    lib.ad_memory_stats(out)
    return [out[0], out[5], out[6], out[7]]

lib.ad_set_num_threads(1)
w = T.ones(1 << 16).requires_grad_()
((w * 2.0).exp() * w).sum().backward()
w.grad = None
x = T.ones(1 << 20)
gc.collect()
before = stats()
size = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (size + (64 << 20), size + (64 << 20)))
refused = 0
for n in range(400):  # tensors of 4 MB until nothing is left, somewhere in forward or in backward
    kept = []
    try:
        y = w
        for _ in range(n % 20):
            y = (y + 1.0).exp()
        for _ in range(100):
            kept.append(x + 1.0)
            if len(kept) == n % 17:
                y.sum().backward()
        x.reshape(1 << 10, 1 << 10) @ x.reshape(1 << 10, 1 << 10)
    except MemoryError:
        refused += 1
    except RuntimeError as e:
        assert "second time" in str(e), e
    w.grad = None
    y = None
    kept.clear()
assert refused > 300, refused
assert x.sum().item() == 1 << 20
assert stats() == before, (stats(), before)
"""


def test_address_space_limit():
    """Allocations that the system refuses, at many places: MemoryError each time, and nothing is lost."""
    done = child.run("-c", LIMITED)
    assert done.returncode == 0, done.stderr[-3000:]
