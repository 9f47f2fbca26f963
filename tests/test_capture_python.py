"""compile(): what a step reads from Python is guarded, what it changes there ends the recording."""

import random
import sys
import time
import types
import warnings
from collections import namedtuple
from dataclasses import dataclass

import numpy as np
import pytest

import autodiffc as ad
from autodiffc import nn, optim

FACTOR = 2.0
SETTINGS = {"beta": 0.5, "names": ["a", "b"]}
UNRELATED = 0


def data(*sizes, seed=0):
    return ad.from_numpy(np.random.default_rng(seed).standard_normal(sizes).astype(np.float32))


class Config:
    beta = 1.0

    def __init__(self):
        self.alpha, self.inner = 0.5, types.SimpleNamespace(gamma=2.0)


def recordings(step):
    return len(step.stats())


def same(a, b):
    return a.numpy().tobytes() == b.numpy().tobytes()


# ---- values that change between calls ----


def test_a_global_that_changes(monkeypatch):
    def f(x):
        return x * FACTOR

    step, x = ad.compile(f), data(3)
    for value, count in ((2.0, 1), (3.0, 2), (2.0, 2), (2, 3)):
        monkeypatch.setitem(globals(), "FACTOR", value)
        for _ in range(2):
            assert same(step(x), f(x))
        assert recordings(step) == count


def test_a_global_of_the_name_of_an_attribute_is_not_read(monkeypatch):
    step, x = ad.compile(lambda x: x.UNRELATED + x.sum()), data(3)
    for k in range(20):
        x.UNRELATED = 1.0
        monkeypatch.setitem(globals(), "UNRELATED", k)
        step(x)
    assert recordings(step) == 1


def test_a_variable_of_an_enclosing_function_that_changes():
    beta = 0.5

    def inner(x):
        return x * beta

    step, x = ad.compile(lambda x: inner(x) + 1), data(3)
    for beta in (0.5, 0.25, 0.5):  # noqa: B007  inner() reads it
        assert same(step(x), inner(x) + 1)
    assert recordings(step) == 2


def test_a_tensor_that_is_exchanged():
    w = data(3)
    step, x = ad.compile(lambda x: x * w), data(3)
    for seed in range(3):
        w = data(3, seed=seed)
        assert same(step(x), x * w)


def test_attributes_that_change():
    config = Config()

    class Trainer:
        def __init__(self):
            self.config, self.scale = config, 3.0

        def step(self, x):
            c = self.config
            return x * self.scale * c.alpha * c.inner.gamma * c.beta

    t, x = Trainer(), data(3)
    step = ad.compile(t.step)

    def check(count):
        for _ in range(2):
            assert same(step(x), t.step(x))
        assert recordings(step) == count

    check(1)
    t.scale = 4.0
    check(2)
    config.alpha = 0.75
    check(3)
    config.inner.gamma = 1.5
    check(4)
    config.beta = 8.0  # hides the class's
    check(5)
    t.config = Config()
    check(6)


def test_attributes_of_the_class_that_change(monkeypatch):
    config = Config()
    step, x = ad.compile(lambda x: x * config.beta), data(3)
    step(x)
    monkeypatch.setattr(Config, "beta", 5.0)
    assert same(step(x), x * 5.0)


def test_contents_of_containers_that_change():
    betas, layers, x = [1.0, 2.0], {"scale": 3.0, "inner": [4.0]}, data(3)

    def f(x):
        for b in betas:
            x = x * b
        return x * layers["scale"] + layers["inner"][0]

    step = ad.compile(f)
    changes = (lambda: None, lambda: betas.append(5.0), lambda: betas.__setitem__(0, 7.0),
               lambda: layers.update(scale=1.0), lambda: layers["inner"].append(3), lambda: layers["inner"].pop(0))
    for change in changes:
        change()
        for _ in range(2):
            assert same(step(x), f(x))
    assert recordings(step) == len(changes)


def test_numbers_of_modules_that_change():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear, self.drop, self.scale = nn.Linear(3, 3), nn.Dropout(0.5), 1.0

        def forward(self, x):
            return self.drop(self.linear(x)) * self.scale

    net, x = Net(), data(4, 3)

    def f(x):
        with ad.no_grad():
            return net(x)

    step = ad.compile(f)

    def check(count):
        for _ in range(2):
            ad.manual_seed(1)
            want = f(x)
            ad.manual_seed(1)
            assert same(step(x), want)
        assert recordings(step) == count

    check(1)
    net.scale = 2.0
    check(2)
    net.drop.p = 0.1
    check(3)
    net.scale = 1.0
    net.drop.p = 0.5
    check(3)


def test_modes_that_change():
    step, x = ad.compile(lambda x: x @ x + ad.ones(3)), data(3, 3)
    plain = step(x)
    with ad.autocast("cpu", dtype=ad.bfloat16):
        assert step(x).dtype is (x @ x + ad.ones(3)).dtype
        step(x)
    assert same(step(x), plain)
    with ad.inference_mode():
        step(x)
    assert recordings(step) == 3


def test_a_function_that_is_exchanged():
    act = ad.relu
    step, x = ad.compile(lambda x: act(x)), data(3)
    for act in (ad.relu, ad.tanh, lambda x: x + 1):
        assert same(step(x), act(x))


def test_numbers_that_always_change_end_the_recording():
    beta = 0.0

    def f(x):
        return x * beta

    step, x = ad.compile(f), data(3)
    with pytest.warns(UserWarning, match=r"recorded 8 times.*beta .*test_capture_python\.py, line \d+\) has changed"):
        for k in range(30):
            beta = float(k)
            assert same(step(x), f(x))
    assert recordings(step) == 8
    beta = 3.0
    assert same(step(x), x * 3)


def test_arguments_that_always_change_end_the_recording():
    step, x = ad.compile(lambda x, k: x * k, recompile_limit=3), data(3)
    with pytest.warns(UserWarning, match="3 different values"):
        for k in range(6):
            assert same(step(x, k), x * k)
    assert recordings(step) == 3


def test_sizes_that_always_change_end_the_recording():
    step = ad.compile(lambda x: x * 2, recompile_limit=2)
    with pytest.warns(UserWarning, match="8 different sizes"):
        for n in range(1, 12):
            assert same(step(data(n)), data(n) * 2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert same(step(data(3)), data(3) * 2) and same(step(data(20)), data(20) * 2)
    assert recordings(step) == 8


# ---- what a step changes ----


class Counter:
    def __init__(self):
        self.n, self.seen, self.h, self.last = 0, [], data(3), None

    def count(self, x):
        self.n += 1
        return x * self.n

    def append(self, x):
        self.seen.append(x * 2)
        return x

    def state(self, x):
        self.h = (self.h + x).detach()
        return self.h * 1


CHANGES = ("count", "append", "state")


@pytest.mark.parametrize("name", CHANGES)
def test_a_step_that_changes_what_it_reads_runs_as_it_is(name):
    eager, compiled = Counter(), Counter()
    step = ad.compile(getattr(compiled, name))
    with pytest.warns(UserWarning, match=r"the step changes self\.\w+.* \(.*test_capture_python\.py, line \d+\)"):
        for k in range(4):
            assert same(getattr(eager, name)(data(3, seed=k)), step(data(3, seed=k)))
    assert (eager.n, len(eager.seen)) == (compiled.n, len(compiled.seen)) and same(eager.h, compiled.h)


@pytest.mark.parametrize("name", CHANGES)
def test_it_is_refused_in_a_full_graph(name):
    step = ad.compile(getattr(Counter(), name), fullgraph=True)
    with pytest.raises(ad.CaptureError, match="the step changes self"):
        for _ in range(2):
            step(data(3))


def test_what_is_made_at_the_first_call_may_change_once():
    cache = {}

    def f(x):
        if "w" not in cache:
            cache["w"] = ad.ones(3) * 2
        return x * cache["w"]

    step = ad.compile(f, fullgraph=True)
    for seed in range(4):
        assert same(step(data(3, seed=seed)), data(3, seed=seed) * 2)
    assert recordings(step) == 1


def generator():
    while True:
        yield 2.0


MADE = generator()
STEPS = iter(range(1000))

IMPURE = {
    "print": lambda x: print("x") or x,
    "random": lambda x: x * random.random(),
    "randint": lambda x: x * random.randint(1, 3),
    "numpy": lambda x: x * float(np.random.rand()),
    "clock": lambda x: x * (time.time() > 0),
    "counter": lambda x: x * (time.perf_counter() > 0),
    "file": lambda x: sys.stderr.write("") or x,
    "generator": lambda x: x * next(MADE),
    "iterator": lambda x: x * next(STEPS),
    "item": lambda x: x * x.sum().item(),
}


@pytest.mark.parametrize("name", IMPURE)
def test_what_a_replay_would_not_do_runs_as_it_is_with_the_line(name, capsys):
    step, x = ad.compile(IMPURE[name]), data(3)
    with pytest.warns(UserWarning, match=r"runs as it is, .*\(.*test_capture_python\.py, line \d+\)") as caught:
        for _ in range(3):
            step(x)
    assert len([w for w in caught if "torch.compile" in str(w.message)]) == 1 and recordings(step) == 0
    if name == "print":
        assert capsys.readouterr().out == "x\n" * 3
    with pytest.raises(ad.CaptureError):
        ad.compile(IMPURE[name], fullgraph=True)(x)


class Odd:
    scale = 2.0

    @property
    def __class__(self):
        raise KeyError("odd")


def test_objects_that_cannot_be_looked_at():
    odd = Odd()
    step, x = ad.compile(lambda x: x * odd.scale), data(3)
    with pytest.warns(UserWarning, match=r"what it reads cannot be told \(KeyError: 'odd'\) \(.*line"):
        for _ in range(3):
            assert same(step(x), x * 2.0)


def test_recording_leaves_the_profile_function():
    seen = []

    def mine(frame, event, arg):
        seen.append(event)

    sys.setprofile(mine)
    try:
        ad.compile(lambda x: x + 1)(data(3))
        assert sys.getprofile() is mine
    finally:
        sys.setprofile(None)


def test_functions_made_by_the_step():
    def f(x):
        k = 2.0

        def inner(y):
            return y * k

        k = 3.0
        return inner(x) + sum(v * k for v in (1.0, 2.0))

    step = ad.compile(f)
    for seed in range(3):
        assert same(step(data(3, seed=seed)), f(data(3, seed=seed)))
    assert recordings(step) == 1


# ---- arguments and results ----

Pair = namedtuple("Pair", "a b")


@dataclass
class Batch:
    x: object
    scale: float = 2.0


def test_named_tuples_and_dataclasses():
    def f(p, b):
        return Pair(p.a + p.b, [b.x * b.scale]), Batch(p.a, 7.0)

    step = ad.compile(f)
    for k in range(4):
        p, b = Pair(data(3, seed=k), data(3, seed=k + 9)), Batch(data(3, seed=k + 20))
        (got, batch), (want, _) = step(p, b), f(p, b)
        assert type(got) is Pair and same(got.a, want.a) and same(got.b[0], want.b[0])
        assert type(batch) is Batch and batch.x is p.a and batch.scale == 7.0
    assert recordings(step) == 1
    assert same(step(p, Batch(b.x, 3.0))[0].b[0], b.x * 3.0) and recordings(step) == 2


def test_numbers_of_numpy():
    step, x = ad.compile(lambda x, k: x * float(k)), data(3)
    for _ in range(3):
        step(x, np.float32(2.0))
    assert recordings(step) == 1


# ---- schedulers inside the step ----


@pytest.mark.parametrize("make", [
    lambda o: optim.lr_scheduler.StepLR(o, 3, gamma=0.5),
    lambda o: optim.lr_scheduler.OneCycleLR(o, 0.5, total_steps=40),
    lambda o: optim.lr_scheduler.CosineAnnealingWarmRestarts(o, 5),
    lambda o: optim.lr_scheduler.LambdaLR(o, lambda k: 1 / (1 + k)),
    lambda o: optim.lr_scheduler.SequentialLR(o, [optim.lr_scheduler.LinearLR(o, 0.1, total_iters=3),
                                                  optim.lr_scheduler.ExponentialLR(o, 0.9)], [3]),
])
def test_a_scheduler_in_the_step(make):
    def build():
        w = nn.Parameter(data(4))
        o = optim.SGD([w], lr=0.1, momentum=0.9)
        s = make(o)

        def step(x):
            o.zero_grad()
            ((w * x) ** 2).sum().backward()
            o.step()
            s.step()

        return w, o, s, step

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # SequentialLR's own
        (a, oa, sa, eager), (b, ob, sb, step) = build(), build()
        step = ad.compile(step, fullgraph=True)
        for k in range(20):
            eager(data(4, seed=k))
            step(data(4, seed=k))
            assert same(a.detach(), b.detach()) and oa.param_groups[0]["lr"] == ob.param_groups[0]["lr"]
    assert recordings(step) <= 2 and sa.get_last_lr() == sb.get_last_lr()


def test_a_rate_that_is_read_in_the_step():
    w = nn.Parameter(data(4))
    o = optim.SGD([w], lr=0.1)
    s = optim.lr_scheduler.ExponentialLR(o, 0.5)

    def step(x):
        (w * x).sum().backward()
        o.step()
        return s.get_last_lr()[0]

    step = ad.compile(step)
    with pytest.warns(UserWarning, match="get_last_lr"):
        assert step(data(4)) == 0.1
    s.step()
    assert step(data(4)) == 0.05
