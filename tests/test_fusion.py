"""Captured programs: fused chains, folded activations, dead calls and buffers give the same bits as eager."""

import numpy as np
import pytest

import autodiffc as ad


def tensor(*sizes, seed=0, dtype=np.float32):
    return ad.from_numpy(np.random.default_rng(seed).standard_normal(sizes).astype(dtype))


CHAINS = {
    "row and column operands": lambda x, r, c, s: ((x * r + c) * 2.0 - x).relu(),
    "results read twice": lambda x, r, c, s: (lambda a: (a * a + a).exp() * a)(x * 0.5),
    "0-d operand": lambda x, r, c, s: (x - s) * (x + s),
    "expanded operand": lambda x, r, c, s: x * s.expand(7, 33) + r.expand(7, 33),
    "transposed operand is left out": lambda x, r, c, s: (x.t().contiguous().t() * 2 + x) * 3,
    "predicate and select": lambda x, r, c, s: ad.where(x > 0, x * 2, x - 1) * c,
    "one element": lambda x, r, c, s: (x[:1, :1] * 2 + s) * 3,
    "many results alive": lambda x, r, c, s: _many(x),
}


def _many(x):
    parts = [x * float(k) for k in range(12)]
    total = parts[0]
    for p in parts[1:]:
        total = total * 0.5 + p
    return total


@pytest.mark.parametrize("name", CHAINS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_chain_has_the_bits_of_eager(name, dtype):
    x, r, c = tensor(7, 33, dtype=dtype), tensor(33, seed=1, dtype=dtype), tensor(7, 1, seed=2, dtype=dtype)
    s = tensor(seed=3, dtype=dtype)
    step = ad.compile(lambda x, r, c, s: CHAINS[name](x, r, c, s))
    for seed in range(3):
        x = tensor(7, 33, seed=seed, dtype=dtype)
        want, got = CHAINS[name](x, r, c, s), step(x, r, c, s)
        assert want.numpy().tobytes() == got.numpy().tobytes()
    assert len(step.stats()) == 1


def test_chain_is_one_call():
    step = ad.compile(lambda x: ((x * 2 + 1) * x - 3).exp())
    x = tensor(1000)
    step(x)
    assert step.stats()[0]["live"] == 1 and step.stats()[0]["fused"] == 1


def test_in_place_inside_a_chain():
    def f(x):
        y = x * 2
        y += x
        y *= y
        return y + 1

    step = ad.compile(f)
    for seed in range(3):
        x = tensor(5, 70, seed=seed)
        assert f(x).numpy().tobytes() == step(x).numpy().tobytes()


def test_in_place_on_state_is_replayed():
    state = tensor(4, 4)
    other = tensor(4, 4).clone()

    def f(s, x):
        s += x * 2
        s *= 0.5

    step = ad.compile(lambda x: f(state, x))
    for seed in range(4):
        x = tensor(4, 4, seed=seed)
        before = state._version
        step(x)
        f(other, x)
        assert state._version > before
        assert state.numpy().tobytes() == other.numpy().tobytes()


def test_overlapping_reads_are_not_fused_wrongly():
    def f(x):
        y = x + 0
        y[1:] += 1  # written through a view
        return (y * 2).sum() + (y[:-1] * y[1:]).sum()

    step = ad.compile(f)
    for seed in range(3):
        x = tensor(600, seed=seed)
        assert f(x).item() == step(x).item()


def test_dead_calls_are_dropped():
    def f(x):
        (x * 3).exp()  # nobody reads it
        return x + 1

    step = ad.compile(f)
    step(tensor(8))
    assert step.stats()[0]["calls"] == 3 and step.stats()[0]["live"] == 1


def test_values_share_buffers():
    def f(x):
        for _ in range(10):
            x = (x @ x) * 0.1
        return x

    step = ad.compile(f)
    x = tensor(16, 16)
    assert f(x).numpy().tobytes() == step(x).numpy().tobytes()
    s = step.stats()[0]
    assert s["arena_bytes"] <= s["unplanned_bytes"] / 4


def test_results_are_not_overwritten_by_the_next_call():
    step = ad.compile(lambda x: x * 2 + 1)
    first = step(tensor(6, seed=0))
    kept = first.numpy().copy()
    step(tensor(6, seed=1))
    np.testing.assert_array_equal(first.numpy(), kept)


def check_program(f, live, *sizes, dtype=np.float32):
    step = ad.compile(f)
    for seed in range(3):
        x = tensor(*sizes, seed=seed, dtype=dtype)
        want, got = f(x), step(x)
        want, got = (r if isinstance(r, tuple) else (r,) for r in (want, got))
        assert [t.numpy().tobytes() for t in want] == [t.numpy().tobytes() for t in got]
    assert len(step.stats()) == 1 and step.stats()[0]["live"] == live, step.explain()


def test_calls_on_numbers_alone_are_made_once():
    check_program(lambda x: x @ (ad.arange(9.0) * 2 + 1).reshape(3, 3).tril(), 1, 3, 3)
    check_program(lambda x: (x @ ad.eye(3), ad.eye(3) + 0), 2, 3, 3)  # one is returned: new memory at each call

    def written(x):
        counts = ad.zeros(3)
        counts[0] += 2
        return x @ counts

    check_program(written, 4, 3, 3)


def test_calls_that_repeat_others_are_shared():
    check_program(lambda x: (x @ x).sum(0) + (x @ x).sum(1), 4, 5, 5)
    check_program(lambda x: x.softmax(0) @ x.softmax(0) + x.softmax(1), 4, 5, 5)

    def written_between(x):
        y = x * 1
        a = y.cumsum(0)
        y += 1
        return a @ y.cumsum(0)

    check_program(written_between, 5, 5, 5)

    def one_is_written(x):
        a, b = x.cumsum(0), x.cumsum(0)
        a += 1
        return a @ b

    check_program(one_is_written, 4, 5, 5)
    check_program(lambda x: (x.cumsum(0), x.cumsum(0)), 2, 5, 5)  # both are the caller's


def test_random_calls_are_never_shared():
    step = ad.compile(lambda: ad.rand(4) - ad.rand(4))
    ad.manual_seed(0)
    want = [(ad.rand(4) - ad.rand(4)).tolist() for _ in range(3)]
    ad.manual_seed(0)
    assert [step().tolist() for _ in range(3)] == want and any(want[0])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_many_constants_in_a_chain(dtype):
    def f(x):
        for k in range(40):
            x = x * (1.0 + 0.01 * k) + 0.1 * k
        return x

    step = ad.compile(f)
    for n in (7, 512, 1000, 70000):
        x = tensor(n, dtype=dtype)
        for _ in range(2):
            assert f(x).numpy().tobytes() == step(x).numpy().tobytes()


def test_elementwise_calls_write_over_operands_that_die():
    def f(x):
        y = x @ x
        a = (y.relu() * 2).cumsum(0)
        return (a.exp() + 1).cumsum(0) * a.sigmoid().cumsum(1) + y.tanh().cumsum(0)

    step = ad.compile(f)
    for seed in range(3):
        x = tensor(40, 40, seed=seed) / 100
        assert f(x).numpy().tobytes() == step(x).numpy().tobytes()

    step = ad.compile(lambda x: ((((x @ x).relu() @ x).sin() @ x).cos() @ x).tanh().cumsum(0))
    x = tensor(64, 64)
    step(x)
    assert step.stats()[0]["arena_bytes"] == 2 * 64 * 64 * 4


REDUCED = {
    "mean of squares": lambda x, y: ((x - y) ** 2).mean(),
    "value read again": lambda x, y: (lambda d: (d * d).sum() + d.cumsum(0)[0])(x - y),
    "rows": lambda x, y: (x * 2 + y).exp().sum(-1),
    "mean of rows, kept": lambda x, y: x - (x * y).mean(-1, keepdim=True),
    "sum of a stored value": lambda x, y: (lambda e: e / e.sum(-1, keepdim=True))((x - y).exp()),
    "columns are left alone": lambda x, y: (x * y).sum(0),
    "one operand": lambda x, y: x.sin().sum(),
    "several": lambda x, y: (x * y).sum() + (x + y).abs().mean(),
    "read after in place": lambda x, y: (x * 2).mul_(y).add_(1).sum(),
}


@pytest.mark.parametrize("sizes", [(4, 300), (3, 1024), (700, 257), (5, 3000), (2, 70000)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", REDUCED)
def test_sums_end_chains_with_the_bits_of_eager(name, dtype, sizes):
    step = ad.compile(REDUCED[name])
    for seed in range(2):
        x, y = tensor(*sizes, seed=seed, dtype=dtype), tensor(*sizes, seed=seed + 9, dtype=dtype)
        want, got = REDUCED[name](x, y), step(x, y)
        assert want.numpy().tobytes() == got.numpy().tobytes()


def test_a_chain_with_its_sum_is_one_call():
    check_program(lambda x: ((x * 2 + 1) * x).sum(), 1, 40, 300)
    check_program(lambda x: ((x * 2 + 1) * x).mean(1), 1, 40, 300)
    check_program(lambda x: (x * 2).sum(1), 2, 40, 100)  # rows too short
