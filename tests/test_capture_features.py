"""compile() of what scripts do beside plain layers: each step gives in six calls what eager execution gives, recorded
or not, and is recorded where that is said."""

import copy
import warnings

import numpy as np
import pytest

import autodiffc as ad
from autodiffc import nn, optim
from autodiffc.nn import functional as F
from autodiffc.utils.checkpoint import checkpoint


def data(*sizes, seed=0):
    return ad.from_numpy(np.random.default_rng(seed).standard_normal(sizes).astype(np.float32))


def values(x):
    if isinstance(x, ad.Tensor):
        return [x.detach().numpy().tobytes()]
    return [b for v in (x.values() if isinstance(x, dict) else x) for b in values(v)]


def net():
    return nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 2))


def trained(model, optimizer, extra=lambda: ()):
    def step(x):
        optimizer.zero_grad()
        loss = model(x).square().sum()
        loss.backward()
        optimizer.step()
        return loss, [p.detach() * 1 for p in model.parameters()], *extra()

    return step


class Square(ad.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(ctx, g):
        return 2 * ctx.saved_tensors[0] * g


class Running(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("n", ad.zeros(()))
        self.register_buffer("mean", ad.zeros(4))

    def forward(self, x):
        self.n += 1
        self.mean.mul_(0.9).add_(x.mean(0), alpha=0.1)
        return x - self.mean, self.n * 1


def transforms():
    w = data(4, 3)

    def step(x):
        def loss(w, r):
            return ((r @ w) ** 2).sum()

        return (ad.func.grad(loss)(w, x), ad.vmap(lambda r: (r @ w).tanh())(x),
                ad.vmap(ad.func.grad(loss), (None, 0))(w, x), ad.func.jacrev(lambda y: (y**2).sum(0))(x),
                ad.func.jvp(lambda y: (y.sin() * y).sum(0), (x,), (x * 2,)),
                ad.func.hessian(lambda y: (y**3).sum())(x[0]))

    return step


def functional_call():
    m = net()
    return lambda x: ad.func.functional_call(m, {k: v * 2 for k, v in m.named_parameters()}, (x,)).detach()


def _recomputed(m, o, reentrant):
    def step(x):
        o.zero_grad()
        loss = checkpoint(m, (x * 1).requires_grad_(), use_reentrant=reentrant).sum()
        loss.backward()
        o.step()
        return loss, [p.detach() * 1 for p in m.parameters()]

    return step


def own_function():
    w = data(4).requires_grad_()

    def step(x):
        w.grad = None
        loss = Square.apply(x * w).sum()
        loss.backward()
        return loss, w.grad * 1

    return step


def parametrized():
    m = nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(4, 3)), nn.utils.weight_norm(nn.Linear(3, 3)),
                      nn.utils.parametrizations.spectral_norm(nn.Linear(3, 3)))
    return trained(m, optim.SGD(m.parameters(), 0.1))


def averaged():
    m = net()
    mean = optim.swa_utils.AveragedModel(m, multi_avg_fn=optim.swa_utils.get_ema_multi_avg_fn(0.9))
    step = trained(m, optim.SGD(m.parameters(), 0.1))

    def both(x):
        result = step(x)
        mean.update_parameters(m)
        return result, [p.detach() * 1 for p in mean.parameters()], mean.n_averaged * 1

    return both


def views():
    state = data(5, 4)

    def step(x):
        v = state[1:3]
        v.mul_(0.5)
        state.t()[0].add_(x.sum())
        v[:, 1] = x[0, 0]
        y = x.clone()
        y[y > 0] = 0
        y[0] = 1
        y[:, 1:].relu_()
        y.t_()
        return state * 1, v * 1, y * 1

    return step


def by_hand():
    """Gradient descent as it was written before optimizers were: .data on the left."""
    w, b, c = (data(4, seed=k).requires_grad_() for k in range(3))

    def step(x):
        loss = ((x * w).tanh() * b * c).sum()
        loss.backward()
        w.data -= 0.1 * w.grad
        b.data = b.data - 0.1 * b.grad
        with ad.no_grad():
            c.sub_(0.1 * c.grad)
        for p in (w, b, c):
            p.grad.data.zero_()
        return loss, w.detach() * 1, b.detach() * 1, c.detach() * 1

    return step


def vectors():
    m = net()

    def step(x):
        v = nn.utils.parameters_to_vector(m.parameters())
        nn.utils.vector_to_parameters((v * 0.9).detach(), m.parameters())
        return m(x).detach()

    return step


def random():
    g = ad.Generator()
    g.manual_seed(3)

    def step(x):
        d = ad.distributions.Normal(x, 1.0)
        a = d.sample()
        return (a, d.log_prob(a), ad.distributions.Categorical(logits=x).sample(), ad.multinomial(x.softmax(1), 2),
                ad.distributions.Beta(x.exp(), x.exp()).rsample(), x[ad.randperm(5)], F.gumbel_softmax(x, hard=True),
                x + ad.randn(x.shape, generator=g))

    return step


def hooks():
    m, w = net(), data(4).requires_grad_()
    m[0].register_forward_hook(lambda module, args, y: y * 2)
    w.register_hook(lambda g: g * 3)

    def step(x):
        w.grad = None
        y = m(x * w)
        y.retain_grad()
        (y**2).sum().backward()
        return y.grad * 1, w.grad * 1

    return step


def running():
    m = Running()
    return lambda x: m(x)


def inner_loop():
    m = net()

    def step(x):
        grads = ad.autograd.grad(m(x).sum(), list(m.parameters()), create_graph=True)
        a, b, c, d = (p - 0.1 * g for p, g in zip(m.parameters(), grads))
        loss = F.linear(F.linear(x, a, b).tanh(), c, d).square().sum()
        m.zero_grad()
        loss.backward()
        return loss, [p.grad * 1 for p in m.parameters()]

    return step


def low_precision():
    m = net()

    def step(x):
        with ad.autocast("cpu", dtype=ad.bfloat16):
            return m(x).float().detach()

    return step


def written_out():
    out, kept = ad.empty(5, 4), ad.zeros(4)

    def step(x):
        ad.mul(x, 2, out=out)
        kept.copy_(kept * 0.5 + x.sum(0))
        total = ad.ones(4)
        for row in x:
            total += row
        return out * 1, kept * 1, total, x + x.new_tensor([1.0, 2.0, 3.0, 4.0]) + ad.as_tensor(3)

    return step


RECORDED = [transforms, functional_call, own_function, parametrized, averaged, views, by_hand, vectors, random, hooks,
            running, inner_loop, low_precision, written_out]


def run(make, compiled, after=lambda k: None):
    ad.manual_seed(0)
    made = make()
    step, after = made if isinstance(made, tuple) else (made, after)
    called = ad.compile(step) if compiled else step
    results = []
    for k in range(6):
        ad.manual_seed(k)
        results.append(values(called(data(5, 4, seed=k))))
        with ad.no_grad():
            after(k)
    return results, called


def same_as_eager(make):
    want, _ = run(make, False)
    got, called = run(make, True)
    assert want == got
    return called


@pytest.mark.parametrize("make", RECORDED, ids=lambda f: f.__name__)
def test_is_recorded(make):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", category=FutureWarning)  # the old weight_norm
        assert 1 <= len(same_as_eager(make).stats()) <= 2


@pytest.mark.parametrize("reentrant", [False, True])
def test_checkpoint(reentrant):
    def make():
        m = nn.Sequential(net(), nn.Dropout(0.5))
        return _recomputed(m, optim.SGD(m.parameters(), 0.1), reentrant)

    assert len(same_as_eager(make).stats()) == 1


def rates():
    m = net()
    o = optim.AdamW(m.parameters(), lr=0.1)

    def after(k):
        for g in o.param_groups:
            g["lr"] *= 0.7
            g["betas"] = (g["betas"][0] * 0.99, 0.9)
            g["weight_decay"] += 0.01

    return trained(m, o), after


def rate_in_a_tensor():
    m, lr = net(), ad.tensor(0.1)
    return trained(m, optim.Adam(m.parameters(), lr=lr)), lambda k: lr.mul_(0.5)


def another_group():
    m, scale = net(), nn.Parameter(data(2))
    o = optim.SGD(m.parameters(), 0.1)

    def step(x):
        o.zero_grad()
        loss = (m(x) * scale).square().sum()
        loss.backward()
        o.step()
        return loss, [p.detach() * 1 for p in (*m.parameters(), scale)]

    return step, lambda k: o.add_param_group({"params": [scale], "lr": 0.01}) if k == 2 else None


def loaded():
    m = net()
    o = optim.Adam(m.parameters(), 0.1)
    start, kept = copy.deepcopy(m.state_dict()), []

    def after(k):
        if k == 1:
            kept.append(copy.deepcopy(o.state_dict()))
        if k == 3:
            m.load_state_dict(start)
            o.load_state_dict(kept[0])

    return trained(m, o), after


@pytest.mark.parametrize("make", [rates, rate_in_a_tensor, another_group, loaded], ids=lambda f: f.__name__)
def test_changes_between_calls(make):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        same_as_eager(make)


def constant():
    c = ad.tensor(3.0)
    return (lambda x: x * c.item()), lambda k: c.add_(1)


NOT_RECORDED = {
    "a value that changes": constant,
    "a comparison": lambda: lambda x: x * 2 if x.sum() > 0 else x * 3,
    "allclose": lambda: lambda x: x * 1 if ad.allclose(x, x * 2) else x + 1,
    "equal": lambda: lambda x: x * 1 if ad.equal(x, x * 2) else x + 1,
    "contains": lambda: lambda x: x * 1 if 5.0 in x else x + 1,
    "a formatted value": lambda: lambda x: x * len(f"{x.sum():.3f}"),
    "unique": lambda: lambda x: (x > 0).long().unique(),
    "numpy": lambda: lambda x: ad.from_numpy(x.numpy() * 2),
    "a list": lambda: lambda x: ad.tensor(x.tolist()) * 2,
    "fft": lambda: lambda x: ad.view_as_real(ad.fft.fft(x)),
    "inverse": lambda: lambda x: ad.linalg.inv(x.t() @ x + ad.eye(4)),
}


@pytest.mark.parametrize("name", NOT_RECORDED)
def test_is_not_recorded(name):
    with pytest.warns(UserWarning, match=r"runs as it is, .*\(.*test_capture_features\.py, line \d+\)"):
        assert same_as_eager(NOT_RECORDED[name]).stats() == []


def pointed():
    """In eager execution w is y's memory from its .data = on, and what was written to the one is in the other."""
    w, v = ad.zeros(5, 4), ad.ones(5, 4)

    def step(x):
        y = w * 0.5 + x
        w.data = y
        y += 1
        z = w * 2
        w.data = z
        v.data = v.data * 0.9 + w
        return w * 1, v * 1, z - y

    def after(k):
        w.add_(k)
        if k == 3:
            v.data = data(5, 4, seed=9)

    return step, after


def test_tensors_that_the_step_points_at_other_memory():
    assert 1 <= len(same_as_eager(pointed).stats()) <= 3
    w = ad.zeros(3)
    step = ad.compile(lambda x: setattr(w, "data", x))
    with pytest.warns(UserWarning, match="pointing a tensor at other memory"):
        for k in range(3):
            step(data(3, seed=k))
            assert ad.equal(w, data(3, seed=k))


def adversaries(first):
    """A discriminator whose gradients are dropped after the generator's turn, in either order."""
    g, d = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 2)), nn.Sequential(nn.Linear(2, 8), nn.Linear(8, 1))
    og, od = optim.Adam(g.parameters(), 1e-2), optim.Adam(d.parameters(), 1e-2)

    def step(z, real):
        fake = g(z)

        def of_g():
            og.zero_grad()
            loss = F.softplus(-d(fake)).mean()
            loss.backward()
            og.step()
            return loss

        def of_d():
            od.zero_grad()
            loss = F.softplus(-d(real)).mean() + F.softplus(d(fake.detach())).mean()
            loss.backward()
            od.step()
            return loss

        return of_g() + of_d() if first == "generator" else of_d() + of_g()

    return d, step


@pytest.mark.parametrize("first", ["generator", "discriminator"])
def test_gradients_that_are_added_to_and_dropped(first):
    runs = []
    for captured in (False, True):
        ad.manual_seed(0)
        d, step = adversaries(first)
        step = ad.compile(step, fullgraph=True) if captured else step
        losses = []
        for k in range(30):
            n = 5 if k % 4 == 3 else 6
            losses.append(step(data(n, 3, seed=k), data(n, 2, seed=k + 100)).item())
        runs.append((losses, [p.grad for p in d.parameters()]))
    assert runs[0][0] == runs[1][0]
    for a, b in zip(runs[0][1], runs[1][1]):
        assert a.numpy().tobytes() == b.numpy().tobytes()
    assert len(step.stats()) <= 8


def test_gradients_of_the_step_before_that_are_read():
    def train(captured):
        ad.manual_seed(0)
        model = nn.Linear(4, 2)
        opt = optim.SGD(model.parameters(), 0.1)

        def step(x):
            before = ad.zeros(()) if model.weight.grad is None else model.weight.grad.norm() + model.bias.grad.sum()
            opt.zero_grad()
            loss = model(x).square().mean()
            loss.backward()
            opt.step()
            return loss, before

        step = ad.compile(step, fullgraph=True) if captured else step
        return [[t.item() for t in step(data(5, 4, seed=k))] for k in range(12)], step

    (want, _), (got, step) = train(False), train(True)
    assert want == got and len(step.stats()) == 2
