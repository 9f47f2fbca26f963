"""Small calls of a captured program side by side: what gains by it, and the bits of eager whatever the order."""

import copy

import numpy as np
import pytest

import autodiffc as ad
from autodiffc import nn, optim
from autodiffc._native import ffi, lib
from autodiffc.nn import functional as F


def data(*sizes, seed=0):
    return ad.from_numpy(np.random.default_rng(seed).standard_normal(sizes).astype(np.float32))


def labels(n, *sizes, seed=0):
    return ad.from_numpy(np.random.default_rng(seed).integers(0, n, sizes))


def groups(step):
    room, found = ffi.new("int64_t[60]"), 0
    for programs in step.programs.values():
        for p in programs:
            found += lib.ad_program_groups(p.handle, room, 10)
    return found


def net(last, inside=()):
    return nn.Sequential(nn.Linear(4, 64), nn.Tanh(), *inside, nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, last))


def same(a, b):
    return a.numpy().tobytes() == b.numpy().tobytes()


@pytest.fixture(params=[1, 2, 3, 4])
def threads(request):
    before = ad.get_num_threads()
    ad.set_num_threads(request.param)
    yield request.param
    ad.set_num_threads(before)


def actor_critic(actor, critic):
    parameters = [*actor.parameters(), *critic.parameters()]
    opt = optim.Adam(parameters, 1e-2)

    def step(x, action, advantage, value):
        chosen = F.log_softmax(actor(x), 1).gather(1, action.view(-1, 1)).squeeze(1)
        loss = -(chosen * advantage).mean() + 0.5 * ((critic(x).view(-1) - value) ** 2).mean()
        opt.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 0.5)
        opt.step()
        return loss

    return step


def batch(k):
    return data(128, 4, seed=k), labels(2, 128, seed=k), data(128, seed=k + 1), data(128, seed=k + 2)


@pytest.mark.parametrize("inside", [(), (nn.Dropout(0.3),), (nn.LayerNorm(64),)], ids=["plain", "dropout", "norm"])
def test_two_nets_have_the_bits_of_eager(threads, inside):
    ad.manual_seed(0)
    nets = net(2, inside), net(1, copy.deepcopy(inside))
    twins = copy.deepcopy(nets)
    eager, step = actor_critic(*twins), ad.compile(actor_critic(*nets), fullgraph=True)
    for k in range(80):
        ad.manual_seed(k)
        want, drawn = eager(*batch(k)), ad.rand(2)
        ad.manual_seed(k)
        assert same(step(*batch(k)).detach(), want.detach()) and same(ad.rand(2), drawn), k
    for a, b in zip([p for m in nets for p in m.parameters()], [p for m in twins for p in m.parameters()]):
        assert same(a.detach(), b.detach())
    assert groups(step) == 1
    assert "side by side: calls" in str(step.explain(*batch(0)))


def test_a_module_alone(threads):
    class Towers(nn.Module):
        def __init__(self):
            super().__init__()
            self.towers = nn.ModuleList(net(3) for _ in range(4))

        def forward(self, x):
            return sum(tower(x) for tower in self.towers)

    model = Towers()
    compiled = ad.compile(model)
    for k in range(10):
        x, grads = data(128, 4, seed=k), []
        for f in (model, compiled):
            model.zero_grad()
            y = f(x)
            y.square().sum().backward()
            grads.append([y.detach(), *[p.grad.clone() for p in model.parameters()]])
        assert all(same(a, b) for a, b in zip(*grads))
    assert groups(compiled._step) == 2


def test_what_shares_memory_keeps_its_order(threads):
    table, count = data(128, 64), ad.zeros(3)

    def step(x):
        a = ad.tanh(x + table)
        table.add_(0.5)
        b = ad.tanh(x * table)
        table[:64].mul_(-1)
        c = ad.tanh(x - table)
        count.add_(1)
        noise = ad.randn(128, 64)
        d, e = ad.tanh(noise + x), ad.tanh(ad.randn(128, 64) * x)
        return a * b, c * d, e.sum(), count.clone()

    compiled, start = ad.compile(step, fullgraph=True), table.clone()
    runs = []
    for f in (step, compiled):
        table.copy_(start)
        count.zero_()
        ad.manual_seed(0)
        runs.append([f(data(128, 64, seed=k)) for k in range(70)])
    for want, got in zip(*runs):
        assert all(same(a, b) for a, b in zip(want, got))
    assert groups(compiled) == 1


def test_a_value_that_is_refused(threads):
    ad.manual_seed(0)
    nets = net(2), net(1)
    step = ad.compile(actor_critic(*nets), fullgraph=True)
    x, action, advantage, value = batch(0)
    for _ in range(3):
        step(x, action, advantage, value)
    before = [p.detach().clone() for m in nets for p in m.parameters()]
    with pytest.raises(RuntimeError, match="index 2 is out of bounds"):
        step(x, action + 1, advantage, value)
    assert all(same(a, p.detach()) for a, p in zip(before, [p for m in nets for p in m.parameters()]))
    assert step(x, action, advantage, value).isfinite() and groups(step) == 1


def test_chains_and_small_steps_stay_in_order():
    def chain(x):
        for _ in range(10):
            x = ad.tanh(x.view(128, 64)).sum(0, keepdim=True) + x
        return x

    chained, small = ad.compile(chain), ad.compile(lambda x: (x.sin().sum(), x.cos().sum()))
    for _ in range(2):
        chained(data(128, 64))
        small(data(8, 8))
    assert groups(chained) == groups(small) == 0


def random_step(seed):
    """A function of two tensors that computes with some of its results and with a state, in places too."""
    choose = np.random.default_rng(seed)
    plan = [(choose.integers(9), *choose.random(3)) for _ in range(choose.integers(12, 40))]
    weight, state = data(64, 64, seed=seed) * 0.1, data(128, 64, seed=seed + 1)
    rows = labels(64, 128, 64, seed=seed)
    calls = [lambda p, q: ad.tanh(p), lambda p, q: p * q * 0.7, lambda p, q: p + 0.5 * q,
             lambda p, q: F.linear(p, weight), lambda p, q: p - p.sum(0, keepdim=True) * 0.01,
             lambda p, q: ad.cat([p[:64], q[64:]]), lambda p, q: p + 0.1 * ad.randn(128, 64),
             lambda p, q: p.gather(1, rows)]

    def step(x, y):
        values = [x, y, state]
        for kind, a, b, c in plan:
            p, q = (values[int(k * len(values))] for k in (a, b))
            if kind == 8:
                (state if c < 0.3 else p)[: int(c * 128)].mul_(0.9).add_(q[: int(c * 128)], alpha=0.1)
            else:
                values.append(calls[kind](p, q))
        return [v.clone() for v in values[-4:]] + [state.clone()]

    return step


def test_random_programs(threads):
    found = 0
    for seed in range(10 * threads, 10 * threads + 10):
        runs = []
        for captured in (False, True):
            step = random_step(seed)
            step = ad.compile(step, fullgraph=True) if captured else step
            outs = []
            for k in range(8):
                ad.manual_seed(k)
                outs += step(data(128, 64, seed=k), data(128, 64, seed=k + 50))
            runs.append(outs)
        assert all(same(a, b) for a, b in zip(*runs)), seed
        found += groups(step)
    assert found
