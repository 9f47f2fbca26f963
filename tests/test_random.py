"""Random numbers: PyTorch's, from the values that tests/data/make_random_reference.py wrote; states; errors."""

import copy
import json
import pathlib
import pickle
import threading

import numpy as np
import pytest

import autodiffc as torch

REFERENCE = json.loads((pathlib.Path(__file__).parent / "data" / "random_reference.json").read_text())


class _Functional:
    """What the reference's calls name F, without nn."""

    @staticmethod
    def dropout(x, p):
        return torch.dropout(x, p, True)

    @staticmethod
    def dropout2d(x, p):
        return torch.feature_dropout(x, p, True)


def _core_only(call):
    """Calls of layers and their initialisation are tested with nn."""
    calls = call if isinstance(call, list) else [call]
    return not any(w in c for c in calls for w in ("nn.", "gumbel", "rrelu"))


CORE = [c for c in REFERENCE["cases"] if _core_only(c["call"])]


def floats(t):
    return t.to(torch.float64).flatten().numpy() if t.dtype.is_floating_point else t.flatten().to(torch.int64).numpy()


@pytest.mark.parametrize("case", CORE, ids=[f"{c['call']}-{c['seed']}" for c in CORE])
def test_values_are_pytorchs(case):
    torch.manual_seed(case["seed"])
    calls = case["call"] if isinstance(case["call"], list) else [case["call"]]
    for call in calls:
        t = eval(call, {"torch": torch, "F": _Functional})
    assert str(t.dtype) == "torch." + case["dtype"]
    got = floats(t)
    assert got.size == case.get("size", got.size)
    if "size" in case:
        got = np.concatenate([got[:8], got[-8:]])
    want = np.array([float(v) if isinstance(v, str) else v for v in case["values"]])
    if t.dtype is torch.float32:
        want = want.astype(np.float32)
    loose = {torch.float64: 1e-15, torch.float32: 2e-7, torch.bfloat16: 8e-3, torch.float16: 1e-3}.get(t.dtype, 0)
    np.testing.assert_allclose(got, want, rtol=loose, atol=loose)


@pytest.mark.parametrize("entry", REFERENCE["states_after_randn_1"], ids=lambda e: str(e["seed"]))
def test_states_are_pytorchs(entry):
    torch.manual_seed(entry["seed"])
    assert torch.initial_seed() == entry["initial_seed"]
    torch.randn(1)
    state = torch.get_rng_state().numpy()
    assert state[:40].tolist() == entry["state_head"]
    assert state[5016:].tolist() == entry["state_tail"]
    assert torch.empty(4, dtype=torch.int32).random_().tolist() == entry["next_random_"]


def test_generator_of_its_own_leaves_the_default_alone():
    torch.manual_seed(1)
    want = torch.rand(5).tolist()
    torch.manual_seed(1)
    g = torch.Generator()
    assert g.initial_seed() == 67280421310721 and g.device == torch.device("cpu")
    own = torch.rand(3, generator=g.manual_seed(9)).tolist()
    assert torch.rand(5).tolist() == want
    torch.manual_seed(9)
    assert torch.rand(3).tolist() == own


def test_state_round_trips():
    g = torch.Generator().manual_seed(5)
    torch.randn(3, generator=g)  # a stored second normal
    state = g.get_state()
    want = torch.randn(3, generator=g).tolist()
    assert torch.randn(3, generator=torch.Generator().set_state(state)).tolist() == want
    g.set_state(state)
    for other in (pickle.loads(pickle.dumps(g)), copy.deepcopy(g), g.clone_state()):
        assert other.initial_seed() == 5
        assert torch.randn(3, generator=other).tolist() == want


def test_fork_rng_puts_the_state_back():
    torch.manual_seed(3)
    with torch.random.fork_rng():
        inside = torch.rand(2).tolist()
    assert torch.rand(2).tolist() == inside
    with torch.random.fork_rng(enabled=False):
        inside = torch.rand(2).tolist()
    assert torch.rand(2).tolist() != inside


def test_seed_is_random_and_returned():
    a, b = torch.seed(), torch.seed()
    assert a != b and torch.initial_seed() == b
    g = torch.Generator()
    assert g.seed() == g.initial_seed()


@pytest.mark.parametrize("value", [-1, -(2**63), 2**64 - 1, 3.7])
def test_seeds(value):
    g = torch.manual_seed(value)
    assert g is torch.default_generator and g.initial_seed() == int(value) % 2**64


@pytest.mark.parametrize(
    "call, error, text",
    [
        (lambda: torch.manual_seed(2**64), ValueError, "Overflow"),
        (lambda: torch.Generator().manual_seed(-(2**63) - 1), ValueError, "Overflow"),
        (lambda: torch.Generator().manual_seed(1.5), RuntimeError, "expected a long"),
        (lambda: torch.set_rng_state(torch.zeros(5056)), TypeError, "ByteTensor"),
        (lambda: torch.set_rng_state(3), TypeError, "ByteTensor"),
        (lambda: torch.set_rng_state(torch.zeros(50, dtype=torch.uint8)), RuntimeError, "size 5056"),
        (lambda: torch.set_rng_state(torch.zeros(5056, dtype=torch.uint8)), RuntimeError, "Invalid mt19937"),
        (lambda: torch.set_rng_state(torch.zeros(2 * 5056, dtype=torch.uint8)[::2]), RuntimeError, "contiguous"),
        (lambda: torch.rand(2, generator=3), TypeError, "generator"),
        (lambda: torch.rand(), TypeError, "size"),
        (lambda: torch.rand(2.5), TypeError, "size"),
        (lambda: torch.rand(2, -1), RuntimeError, "negative"),
        (lambda: torch.rand(2**40, 2**40), RuntimeError, "overflow"),
        (lambda: torch.rand(2, dtype=torch.int64), NotImplementedError, "Long"),
        (lambda: torch.randn(2, dtype=torch.bool), NotImplementedError, "Bool"),
        (lambda: torch.zeros(3).uniform_(2, 1), RuntimeError, "from=2 > to=1"),
        (lambda: torch.zeros(3).uniform_(0, 1e40), RuntimeError, "out of bounds"),
        (lambda: torch.zeros(3).uniform_(float("nan"), 1), RuntimeError, "out of bounds"),
        (lambda: torch.zeros(3).uniform_(-3e38, 3e38), RuntimeError, "exceed"),
        (lambda: torch.zeros(3).uniform_("a"), TypeError, "number"),
        (lambda: torch.zeros(3).normal_(0, -1), RuntimeError, "std >= 0"),
        (lambda: torch.zeros(3).normal_(0, float("nan")), RuntimeError, "std >= 0"),
        (lambda: torch.zeros(4).expand(3, 4).normal_(), RuntimeError, "single memory location"),
        (lambda: torch.zeros(3).exponential_(0), RuntimeError, "lambda > 0"),
        (lambda: torch.zeros(3, dtype=torch.int64).exponential_(), RuntimeError, "floating"),
        (lambda: torch.zeros(3).geometric_(1), RuntimeError, r"\(0, 1\)"),
        (lambda: torch.zeros(3, dtype=torch.bool).geometric_(0.5), NotImplementedError, "Bool"),
        (lambda: torch.zeros(3).cauchy_(0, 0), RuntimeError, "sigma > 0"),
        (lambda: torch.zeros(3).log_normal_(0, 0), RuntimeError, "std > 0"),
        (lambda: torch.zeros(3).bernoulli_(1.5), RuntimeError, "p=1.5"),
        (lambda: torch.zeros(3).bernoulli_(torch.ones(3) * 2), RuntimeError, "p_in"),
        (lambda: torch.zeros(3).bernoulli_(torch.ones(5)), RuntimeError, "expanded size"),
        (lambda: torch.zeros(3).bernoulli_(torch.ones(3, dtype=torch.int64)), NotImplementedError, "Long"),
        (lambda: torch.bernoulli(torch.full((3,), float("nan"))), RuntimeError, "p_in"),
        (lambda: torch.zeros(3).random_(5, 5), RuntimeError, "less than"),
        (lambda: torch.zeros(3).random_(2.5), TypeError, "int"),
        (lambda: torch.zeros(3, dtype=torch.uint8).random_(0, 300), RuntimeError, "out of bounds"),
        (lambda: torch.zeros(3, dtype=torch.uint8).random_(-1, 3), RuntimeError, "out of bounds"),
        (lambda: torch.randint(5), TypeError, "size"),
        (lambda: torch.randint(0, 5, 2), TypeError, "size"),
        (lambda: torch.randint(0, 5.5, (2,)), TypeError, "int"),
        (lambda: torch.randint(0, 2**63, (2,)), ValueError, "Overflow"),
        (lambda: torch.randint(0, 5, (2,), requires_grad=True), RuntimeError, "floating"),
        (lambda: torch.randperm(-1), RuntimeError, "negative"),
        (lambda: torch.randperm(300, dtype=torch.uint8), RuntimeError, "bounds"),
        (lambda: torch.randperm(5, dtype=torch.bool), NotImplementedError, "Bool"),
        (lambda: torch.randperm(2050, dtype=torch.float16), RuntimeError, "2049"),
        (lambda: torch.multinomial(torch.ones(4), 5), RuntimeError, "without replacement"),
        (lambda: torch.multinomial(torch.ones(4), 0), RuntimeError, "n_sample <= 0"),
        (lambda: torch.multinomial(torch.ones(4, dtype=torch.int64), 1), RuntimeError, "floating"),
        (lambda: torch.multinomial(torch.tensor(1.0), 1), RuntimeError, "1 or 2 dim"),
        (lambda: torch.multinomial(torch.tensor([-1.0, 2.0]), 1), RuntimeError, "inf"),
        (lambda: torch.multinomial(torch.tensor([0.0, float("nan")]), 1), RuntimeError, "nan"),
        (lambda: torch.multinomial(torch.zeros(2, 3), 1), RuntimeError, "sum of probabilities"),
        (lambda: torch.multinomial(torch.ones(4), 2, out=torch.zeros(2)), RuntimeError, "Long"),
        (lambda: torch.normal(0.0, 1.0), TypeError, "size"),
        (lambda: torch.normal(torch.zeros(3), torch.ones(2)), RuntimeError, "match"),
        (lambda: torch.normal(torch.zeros(3), -torch.ones(3)), RuntimeError, "std >= 0"),
        (lambda: torch.normal(torch.zeros(3, dtype=torch.int64), 1.0), NotImplementedError, "Long"),
        (lambda: torch.poisson(-torch.ones(3)), RuntimeError, "non-negative"),
        (lambda: torch.dropout(torch.ones(3), 1.5, True), RuntimeError, "between 0 and 1"),
        (lambda: torch.dropout(torch.ones(3, dtype=torch.int64), 0.5, True), RuntimeError, "Long"),
        (lambda: torch.dropout(3, 0.5, True), TypeError, "Tensor"),
        (lambda: torch.feature_dropout(torch.ones(3), 0.5, True), RuntimeError, "2 dimensions"),
    ],
)
def test_errors(call, error, text):
    with pytest.raises(error, match=text):
        call()


def test_a_refused_call_draws_nothing():
    torch.manual_seed(0)
    before = torch.get_rng_state().tolist()
    for call in (lambda: torch.rand(2, dtype=torch.int64), lambda: torch.multinomial(torch.zeros(3), 1),
                 lambda: torch.zeros(3).bernoulli_(torch.ones(3) * 2)):
        with pytest.raises((RuntimeError, NotImplementedError)):
            call()
    torch.dropout(torch.ones(9), 0.0, True)
    torch.dropout(torch.ones(9), 1.0, True)
    torch.dropout(torch.ones(9), 0.5, False)
    torch.rand(0), torch.randn(3, 0), torch.randperm(0)
    assert torch.get_rng_state().tolist() == before


def test_out():
    torch.manual_seed(4)
    want = torch.rand(5).tolist()
    torch.manual_seed(4)
    out = torch.zeros(0)
    assert torch.rand(5, out=out) is out and out.tolist() == want
    out = torch.zeros(0, dtype=torch.int64)
    assert torch.bernoulli(torch.ones(4), out=out).tolist() == [1, 1, 1, 1] and out.dtype is torch.int64
    with pytest.raises(RuntimeError, match="dtype"):
        torch.rand(2, out=torch.zeros(2), dtype=torch.float64)


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "bfloat16"])
@pytest.mark.parametrize("inplace", [False, True])
def test_dropout_gradient_is_the_mask(dtype, inplace):
    dtype = getattr(torch, dtype)
    torch.manual_seed(2)
    x = torch.randn(6, 50, dtype=dtype, requires_grad=True)
    h = x * 1
    y = torch.dropout_(h, 0.4, True) if inplace else torch.dropout(h, 0.4, True)
    assert not inplace or y is h
    y.backward(torch.ones_like(y))
    kept = (y.detach() != 0).to(torch.float64).numpy()
    scale = torch.tensor(1 / 0.6, dtype=torch.float32).to(dtype).to(torch.float64).item()
    assert 0.4 < kept.mean() < 0.8
    np.testing.assert_allclose(x.grad.to(torch.float64).numpy(), kept * scale, rtol=1e-6)


def test_dropout_second_gradient_and_layout():
    torch.manual_seed(2)
    x = torch.randn(7, 5, dtype=torch.float64).t().requires_grad_()
    y = torch.dropout(x, 0.3, True)
    assert y.stride() == (1, 5)
    mask = (y.detach() != 0).numpy() / 0.7
    (g,) = torch.autograd.grad((y * y).sum(), x, create_graph=True)
    (gg,) = torch.autograd.grad(g.sum(), x)
    np.testing.assert_allclose(gg.numpy(), 2 * mask**2, rtol=1e-12)


def test_dropout_of_everything_gives_zeros_and_a_zero_gradient():
    x = torch.ones(4, requires_grad=True)
    torch.dropout(x, 1.0, True).sum().backward()
    assert x.grad.tolist() == [0, 0, 0, 0]


def test_random_fill_cuts_the_history():
    x = torch.ones(3, requires_grad=True)
    h = x * 2
    h.normal_()
    h.sum().backward()
    assert x.grad.tolist() == [0, 0, 0]
    with pytest.raises(RuntimeError, match="leaf"):
        x.normal_()


def test_bernoulli_of_a_parameter_has_a_zero_gradient():
    p = torch.full((3,), 0.5, requires_grad=True)
    torch.bernoulli(p).sum().backward()
    assert p.grad.tolist() == [0, 0, 0]


def test_two_threads_share_a_generator():
    """Every draw is whole: the numbers are those of one thread, in some order of the calls."""
    torch.manual_seed(8)
    want = sorted(tuple(torch.rand(64).tolist()) for _ in range(40))
    torch.manual_seed(8)
    got = []

    def draw():
        for _ in range(20):
            got.append(tuple(torch.rand(64).tolist()))

    threads = [threading.Thread(target=draw) for _ in range(2)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert sorted(got) == want


def test_captured_step_continues_the_stream():
    g = torch.Generator().manual_seed(11)

    def step(x):
        return x + torch.rand(3) + torch.dropout(torch.ones(3), 0.5, True) + torch.randn(3, generator=g)

    x = torch.zeros(3)
    torch.manual_seed(7)
    with torch.no_grad():
        want = [step(x).tolist() for _ in range(4)]
        torch.manual_seed(7)
        g.manual_seed(11)
        compiled = torch.compile(step)
        assert [compiled(x).tolist() for _ in range(4)] == want


def test_captured_step_keeps_its_generator():
    def make():
        g = torch.Generator().manual_seed(1)
        return torch.compile(lambda x: x + torch.rand(3, generator=g))

    with torch.no_grad():
        step = make()
        a = [step(torch.zeros(3)).tolist() for _ in range(3)]
        step = make()
        assert [step(torch.zeros(3)).tolist() for _ in range(3)] == a


def test_seeding_inside_a_captured_step_is_refused():
    def step(x):
        torch.manual_seed(1)
        return x + torch.rand(3)

    with torch.no_grad(), pytest.raises(RuntimeError, match="seeding a generator"):
        torch.compile(step, fullgraph=True)(torch.zeros(3))
