"""compile() of modules and of functions whose results are differentiated outside: both passes are replayed."""

import copy
import gc
import pickle
import threading
import warnings

import numpy as np
import pytest

import autodiffc as ad
from autodiffc import nn, optim
from autodiffc.nn import functional as F


def data(*sizes, seed=0):
    return ad.from_numpy(np.random.default_rng(seed).standard_normal(sizes).astype(np.float32))


def labels(n, *sizes, seed=0):
    return ad.from_numpy(np.random.default_rng(seed + 500).integers(0, n, sizes))


def same(a, b):
    return a.numpy().tobytes() == b.numpy().tobytes()


def programs(model):
    return len((model._step if isinstance(model, nn.Module) else model).stats())


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.table, self.norm = nn.Embedding(9, 8), nn.LayerNorm(8)
        self.qkv, self.out = nn.Linear(8, 24), nn.Linear(8, 9)

    def forward(self, x):
        x = self.table(x)
        q, k, v = self.qkv(self.norm(x)).chunk(3, -1)
        return self.out(x + F.scaled_dot_product_attention(q, k, v, is_causal=True, dropout_p=0.2)).flatten(0, 1)


MODELS = {
    "mlp": (lambda: nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Dropout(0.3), nn.Linear(16, 3)),
            lambda k: (data(8, 6, seed=k), labels(3, 8, seed=k))),
    "cnn": (lambda: nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.GELU(), nn.MaxPool2d(2), nn.Flatten(),
                                  nn.Linear(36, 3)),
            lambda k: (data(4, 1, 8, 8, seed=k), labels(3, 4, seed=k))),
    "attention": (Attention, lambda k: (labels(9, 2, 5, seed=k), labels(9, 10, seed=k + 1))),
}
OPTIMIZERS = {"sgd": lambda p: optim.SGD(p, 0.1, momentum=0.9), "adam": lambda p: optim.Adam(p, 0.01)}


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("name", MODELS)
def test_training_has_the_bits_of_eager(name, optimizer):
    make, batch = MODELS[name]
    runs = []
    for compiled in (False, True):
        ad.manual_seed(0)
        model = make()
        called = ad.compile(model, fullgraph=True) if compiled else model
        opt = OPTIMIZERS[optimizer](called.parameters())
        losses = []
        for k in range(30):
            ad.manual_seed(k)
            x, y = batch(k)
            opt.zero_grad()
            loss = F.cross_entropy(called(x), y)
            loss.backward()
            nn.utils.clip_grad_norm_(called.parameters(), 1.0)
            opt.step()
            losses.append(loss.item())
        runs.append((losses, model, called))
    (want, a, _), (got, b, called) = runs
    assert want == got
    for (key, x), (_, y) in zip(a.state_dict().items(), b.state_dict().items()):
        assert same(x, y), key
    assert programs(called) == 1


def test_names_attributes_and_modes():
    layer = nn.Sequential(nn.Linear(3, 2), nn.Dropout(0.5))
    model = ad.compile(layer)
    assert isinstance(model, nn.Module) and list(model.state_dict()) == ["_orig_mod.0.weight", "_orig_mod.0.bias"]
    x = data(4, 3)
    trained = model(x)
    model.eval()
    assert not layer.training and same(model(x).detach(), layer(x).detach())
    assert same(model(x).detach(), layer(x).detach()) and not same(trained.detach(), model(x).detach())
    model.note = 1
    assert layer.note == 1 and model._orig_mod is layer and len(list(model.parameters())) == 2
    with ad.no_grad():
        y = model(x)
        assert same(y, model(x)) and not y.requires_grad
    twin = copy.deepcopy(model)
    assert same(twin(x).detach(), model(x).detach()) and twin._orig_mod is not layer
    assert same(pickle.loads(pickle.dumps(model))(x).detach(), model(x).detach())


def test_compile_in_place():
    layer, plain = nn.Linear(3, 2), nn.Linear(3, 2)
    plain.load_state_dict(layer.state_dict())
    seen = []
    layer.compile(fullgraph=True)
    layer.register_forward_hook(lambda m, args, y: seen.append(1))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for seed in range(4):
            x = data(4, 3, seed=seed)
            assert same(layer(x).detach(), plain(x).detach())
    layer = nn.Linear(3, 2)
    layer.compile()
    for _ in range(3):
        layer.zero_grad()
        layer(x).sum().backward()
    assert len(layer._compiled_call_impl.stats()) == 1 and list(layer.state_dict()) == ["weight", "bias"]
    assert same(layer.bias.grad, ad.full((2,), 4.0))
    assert same(copy.deepcopy(layer)(x).detach(), layer(x).detach())


def test_gradients_of_arguments():
    def f(x, w, flag=True):
        return (x * w).tanh() if flag else x + w

    step = ad.compile(f)
    for k in range(4):
        for flag in (True, False):
            leaves = [[data(5, seed=k).requires_grad_(), data(5, seed=k + 10).requires_grad_()] for _ in range(2)]
            for (x, w), g in zip(leaves, (f, step)):
                (g(x * 2, w, flag) ** 2).sum().backward()
            for a, b in zip(*leaves):
                assert same(a.grad, b.grad)
    x = data(5)
    for _ in range(2):
        step(x, w).sum().backward()  # only one of them wants a gradient now
    assert x.grad is None and programs(step) == 3


def test_several_calls_before_their_backward_passes():
    w = data(5).requires_grad_()
    v = w.detach().clone().requires_grad_()
    step = ad.compile(lambda x: (x * w).exp())
    for k in range(6):
        xs = [data(5, seed=k + j) for j in range(3)]
        sum((step(x) * (j + 1)).sum() for j, x in enumerate(xs)).backward()
        sum(((x * v).exp() * (j + 1)).sum() for j, x in enumerate(xs)).backward()
        assert same(w.grad, v.grad)
    assert programs(step) == 3


def test_more_calls_than_programs():
    w = data(5).requires_grad_()
    step = ad.compile(lambda x: (x * w).exp(), recompile_limit=2)
    kept = [step(data(5, seed=k)) for k in range(6)]
    sum(y.sum() for y in kept).backward()
    want = sum((data(5, seed=k).numpy() * np.exp(data(5, seed=k).numpy() * w.detach().numpy())) for k in range(6))
    np.testing.assert_allclose(w.grad.numpy(), want, rtol=1e-5)


def test_a_backward_pass_twice():
    w = data(5).requires_grad_()
    step, x = ad.compile(lambda x: (x * w).exp()), data(5)
    grads = []
    for _ in range(4):
        w.grad = None
        y = step(x).sum()
        y.backward(retain_graph=True)
        once = w.grad.clone()
        y.backward()
        assert same(w.grad, once * 2)
        grads.append(once)
        with pytest.raises(RuntimeError, match="second time"):
            y.backward()
        y = None
    assert all(same(g, grads[0]) for g in grads)


def test_results_without_a_backward_pass():
    w = data(5).requires_grad_()
    step = ad.compile(lambda x: (x * w).exp())
    for k in range(5):
        assert same(step(data(5, seed=k)).detach(), (data(5, seed=k) * w).exp().detach())
    step(data(5)).sum().backward()
    assert same(w.grad, data(5) * (data(5) * w.detach()).exp()) and programs(step) <= 2


def test_results_that_the_loss_does_not_use():
    a, b = data(5).requires_grad_(), data(5, seed=1).requires_grad_()
    step = ad.compile(lambda x: {"one": x * a, "two": [x * b, x + 1], "n": 3})
    for k in range(4):
        a.grad = b.grad = None
        r = step(data(5, seed=k))
        assert r["n"] == 3 and not r["two"][1].requires_grad and same(r["two"][1], data(5, seed=k) + 1)
        r["one"].sum().backward()
        assert same(a.grad, data(5, seed=k)) and (b.grad is None or not b.grad.any())


def test_what_backward_reads_may_not_be_written():
    w = data(5).requires_grad_()
    step, x = ad.compile(lambda x: x * w), data(5)
    for k in range(4):
        x = data(5, seed=k)
        y = step(x).sum()
        if k == 3:
            x.add_(1)
            with pytest.raises(RuntimeError, match="modified by an inplace operation"):
                y.backward()
        else:
            y.backward()
    step = ad.compile(lambda x: x * w * w)
    for _ in range(3):
        y = step(x).sum()
        y.backward(retain_graph=True)
    with ad.no_grad():
        w.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.backward()


def test_results_may_be_written_and_kept():
    w = data(5).requires_grad_()
    step = ad.compile(lambda x: (x * w).exp())
    kept = []
    for k in range(5):
        w.grad = None
        y = step(data(5, seed=k))
        kept.append((y.detach(), y.detach().clone()))
        y.sum().backward()
        assert same(w.grad, data(5, seed=k) * (data(5, seed=k) * w.detach()).exp())
        w.grad.mul_(3)
    assert all(same(a, b) for a, b in kept)


def test_gradients_of_gradients_run_as_they_are():
    net = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 1))
    twin = copy.deepcopy(net)
    model = ad.compile(net)

    def penalty(f, x):
        x = (x * 1).requires_grad_()
        g = ad.autograd.grad(f(x).sum(), x, create_graph=True)[0]
        (g**2).sum().backward()
        return x.grad

    with pytest.warns(UserWarning, match="gradients of gradients"):
        for k in range(3):
            assert same(penalty(model, data(4, 3, seed=k)), penalty(twin, data(4, 3, seed=k)))
    for a, b in zip(net.parameters(), twin.parameters()):
        if a.grad is not None:
            assert same(a.grad, b.grad)

    later = ad.compile(copy.deepcopy(net))
    x = data(4, 3).requires_grad_()
    for _ in range(2):
        later(x).sum().backward()
    with pytest.raises(RuntimeError, match="gradients of gradients"):
        ad.autograd.grad(later(x).sum(), x, create_graph=True)


def test_hooks_of_parameters_run_once():
    layer = nn.Linear(3, 2)
    seen = []
    layer.weight.register_hook(lambda g: seen.append(1) or g * 2)
    model = ad.compile(layer)
    for k in range(4):
        layer.zero_grad()
        model(data(4, 3, seed=k)).sum().backward()
        assert len(seen) == k + 1
        assert same(layer.weight.grad, (data(4, 3, seed=k).sum(0).expand(2, 3) * 2).contiguous())


def test_frozen_parameters_and_changed_ones():
    net = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
    twin = copy.deepcopy(net)
    model, x = ad.compile(net), data(5, 3)

    def check():
        for m in (net, twin):
            m.zero_grad()
        for _ in range(2):
            model(x).square().sum().backward()
            twin(x).square().sum().backward()
        for a, b in zip(net.parameters(), twin.parameters()):
            assert (a.grad is None) == (b.grad is None) and (a.grad is None or same(a.grad, b.grad))

    check()
    for m in (net, twin):
        m[0].weight.requires_grad_(False)
    check()
    for m in (net, twin):
        m[0].weight.requires_grad_(True)
        m[2] = nn.Linear(4, 2)
        m.load_state_dict(net.state_dict())
    check()


def test_inside_a_captured_step_and_around_one():
    model = ad.compile(nn.Linear(3, 1))
    optimizer = optim.SGD(model.parameters(), 0.1)

    @ad.compile(fullgraph=True)
    def step(x):
        optimizer.zero_grad()
        loss = model(x).square().mean()
        loss.backward()
        optimizer.step()
        return loss

    losses = [step(data(8, 3)).item() for _ in range(5)]
    assert losses == sorted(losses, reverse=True)
    y = model(data(8, 3)).sum()
    y.backward()
    y = model(data(8, 3)).sum()
    with pytest.raises(ad.CaptureError, match="the backward pass of a compiled function"):
        ad.compile(lambda: y.backward(), fullgraph=True)()


def test_random_numbers_and_running_statistics():
    def run(compiled):
        ad.manual_seed(0)
        net = nn.Sequential(nn.Linear(3, 8), nn.BatchNorm1d(8), nn.Dropout(0.5))
        model = ad.compile(net) if compiled else net
        ad.manual_seed(1)
        out = []
        for k in range(6):
            y = model(data(4, 3, seed=k))
            y.sum().backward()
            out.append(y.detach().clone())
        net.eval()
        return [*out, model(data(4, 3)).detach(), net[1].running_var, net[0].weight.grad, ad.rand(2)]

    for a, b in zip(run(False), run(True)):
        assert same(a, b)


def test_what_cannot_be_recorded_runs_as_it_is():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear, self.calls = nn.Linear(3, 2), 0

        def forward(self, x):
            self.calls += 1
            y = self.linear(x)
            return y * 2 if y.sum() > 0 else y

    net = Net()
    model = ad.compile(net)
    with pytest.warns(UserWarning, match=r"Net runs as it is, .*\(.*test_capture_module\.py, line \d+\)"):
        for k in range(4):
            x = data(4, 3, seed=k).requires_grad_()
            model(x).sum().backward()
            y = x.detach().requires_grad_()
            net(y).sum().backward()
            assert same(x.grad, y.grad)
    assert net.calls == 8


def test_memory_is_flat_and_released():
    def go():
        model = ad.compile(nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 2)))
        x = data(16, 8)
        for k in range(300):
            model.zero_grad()
            model(x).square().sum().backward()
            if k == 5:
                gc.collect()
                before = ad.memory_stats()["bytes_in_use"]
        assert ad.memory_stats()["bytes_in_use"] <= before

    go()
    gc.collect()
    start = ad.memory_stats()["bytes_in_use"]
    go()
    gc.collect()
    assert ad.memory_stats()["bytes_in_use"] <= start


def test_autocast_and_double():
    net = nn.Linear(4, 4)
    model, x = ad.compile(net), data(3, 4)
    for _ in range(3):
        with ad.autocast("cpu", dtype=ad.bfloat16):
            y, z = model(x), net(x)
        assert y.dtype is ad.bfloat16 and ad.equal(y, z)
        net.zero_grad()
        y.float().sum().backward()
        g = net.weight.grad.clone()
        net.zero_grad()
        z.float().sum().backward()
        assert same(g, net.weight.grad)


def test_arguments_that_are_no_tensors():
    w = data(5).requires_grad_()
    big = 10**6
    step = ad.compile(lambda x, n, kind, scales: (x * w * n).exp() if kind == "exp" else x * w * scales[0])
    scales = [2.0]
    for n, kind in [(1, "exp"), (1, "exp"), (big, "mul"), (big, "mul"), (1, "exp"), (2, "exp"), (2, "exp")]:
        for scale in (2.0, 3.0, 3.0):
            scales[0] = scale
            x, y = data(5), step(data(5), n, kind, scales)
            assert same(y.detach(), ((x * w * n).exp() if kind == "exp" else x * w * scale).detach())
            y.sum().backward()
    held = ad.compile(lambda x, net: net(x))
    nets = [nn.Linear(5, 2), nn.Linear(5, 2)]
    for net in (nets[0], nets[0], nets[1], nets[1], nets[0]):
        assert same(held(data(3, 5), net).detach(), net(data(3, 5)).detach())
    assert programs(held) == 2


def test_calls_of_several_kinds_in_turn():
    net = nn.Sequential(nn.Linear(3, 8), nn.Dropout(0.5), nn.Linear(8, 2))
    twin = copy.deepcopy(net)
    model = ad.compile(net, fullgraph=True)
    for k in range(12):
        grads = []
        for f, m in ((model, net), (twin, twin)):
            ad.manual_seed(k)
            m.zero_grad()
            m.train(k % 4 != 3)
            outs = [f(data(n, 3, seed=k)) for n in (4, 5, 4, 6, 7, 5)]
            with ad.no_grad():
                outs.append(f(data(4, 3, seed=k)))
            sum(y.square().sum() for y in outs[:6]).backward()
            grads.append([*[y.detach() for y in outs], *[p.grad.clone() for p in m.parameters()]])
        assert all(same(a, b) for a, b in zip(*grads))
    before = programs(model)
    net[0].weight.data = net[0].weight.data.clone()  # no program fits any more
    twin.load_state_dict(net.state_dict())
    net.eval(), twin.eval()
    assert same(model(data(4, 3)).detach(), twin(data(4, 3)).detach()) and programs(model) <= before


def test_arguments_by_name():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(5, 2)

        def forward(self, x, shift=None, *, scale=1.0, **more):
            y = self.linear(x) * scale
            return (y if shift is None else y + shift) + sum(more.values())

    net = Net()
    model, x, s = ad.compile(net, recompile_limit=20), data(3, 5), data(2)
    calls = [lambda f: f(x), lambda f: f(x, s), lambda f: f(x, shift=s), lambda f: f(shift=s, x=x),
             lambda f: f(x=x, shift=s), lambda f: f(x, scale=2.0), lambda f: f(x, scale=3.0, a=s, b=s + 1),
             lambda f: f(x, scale=3.0, b=s, a=s + 1)]
    for call in calls * 2:
        for _ in range(3):
            assert same(call(model).detach(), call(net).detach())
            call(model).sum().backward()
    with pytest.raises(TypeError):
        model(x, y=s, x=x)


def test_results_in_structures():
    w = data(5).requires_grad_()
    step = ad.compile(lambda x, y: {"sum": x * w, "as it came": y, "n": 3, "more": (x + 1, None)})
    for k in range(4):
        x, y = data(5, seed=k), data(2, seed=k)
        r = step(x, y)
        assert r["as it came"] is y and r["n"] == 3 and r["more"][1] is None
        assert same(r["sum"].detach(), (x * w).detach()) and same(r["more"][0], x + 1)
    nothing = ad.compile(lambda x: None)
    assert [nothing(x) for _ in range(3)] == [None] * 3


def test_threads_that_call_one_compiled_module():
    net = nn.Sequential(nn.Linear(256, 512), nn.ReLU(), nn.Linear(512, 64))
    model, errors = ad.compile(net), []
    inputs = [data(256, 256, seed=k) for k in range(4)]
    with ad.no_grad():
        model(inputs[0])
        want = [net(x) for x in inputs]

    def work(k):
        try:
            with ad.no_grad():
                for _ in range(20):
                    assert same(model(inputs[k]), want[k])
        except BaseException as e:
            errors.append(e)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not errors and programs(model) == 1


def test_an_error_before_a_replay_leaves_the_program_usable():
    w = data(5).requires_grad_()
    opt = optim.SGD([w], 0.1)

    @ad.compile(fullgraph=True)
    def step(x):
        opt.zero_grad()
        (x * w).sum().backward()
        opt.step()

    for lr in (0.1, 0.1, "much", 0.2):
        opt.param_groups[0]["lr"] = lr
        before = w.detach().clone()
        if lr == "much":
            with pytest.raises(TypeError):
                step(data(5))
            assert same(w.detach(), before)
        else:
            step(data(5))
            np.testing.assert_allclose(w.detach().numpy(), (before - lr * data(5)).numpy(), rtol=1e-6)


def test_the_node_outlives_the_compiled_function():
    w = data(5).requires_grad_()
    step = ad.compile(lambda x: (x * w).exp())
    for _ in range(2):
        step(data(5)).sum().backward()
    y = step(data(5))
    assert y.grad_fn.name() == "CompiledFunctionBackward" and y.grad_fn.next_functions[0][0].variable is w
    del step
    gc.collect()
    w.grad = None
    y.sum().backward()
    assert same(w.grad, data(5) * (data(5) * w.detach()).exp())


def test_hooks_on_the_compiled_module_run():
    layer, seen = nn.Linear(3, 2), []
    model, x = ad.compile(layer), data(4, 3)
    for _ in range(3):
        model(x)
    handle = model.register_forward_hook(lambda m, args, y: seen.append(type(m).__name__))
    model(x)
    model(x)
    handle.remove()
    model(x)
    assert seen == ["OptimizedModule"] * 2
    every = nn.modules.module.register_module_forward_hook(lambda m, args, y: seen.append("every"))
    try:
        model(x)
    finally:
        every.remove()
    count = len(seen)
    model(x)
    assert count > 2 and len(seen) == count


def test_backward_under_vmap():
    w = data(5).requires_grad_()
    step = ad.compile(lambda x: (x * w).exp())
    for _ in range(2):
        step(data(5)).sum().backward()
    y = step(data(5))
    rows = ad.eye(5)
    want = ad.diag(data(5) * (data(5) * w.detach()).exp())
    got = ad.vmap(lambda g: ad.autograd.grad(y, w, g, retain_graph=True)[0])(rows)
    np.testing.assert_allclose(got.numpy(), want.numpy(), rtol=1e-6)


def test_distributions_are_results():
    net = nn.Linear(3, 4)

    def policy(x):
        mean, scale = net(x).chunk(2, 1)
        return ad.distributions.Independent(ad.distributions.Normal(mean, F.softplus(scale)), 1)

    step, kept = ad.compile(policy, fullgraph=True), []
    for k in range(4):
        x, grads = data(5, 3, seed=k), []
        for f in (policy, step):
            net.zero_grad()
            p = f(x)
            ad.manual_seed(k)
            action = p.sample()
            (p.log_prob(action).sum() + p.entropy().sum()).backward()
            grads.append([action, net.weight.grad.clone(), p.mean.detach().clone()])
        assert all(same(a, b) for a, b in zip(*grads))
        kept.append((p, grads[0][2]))
    assert programs(step) == 1 and all(same(p.mean.detach(), mean) for p, mean in kept)


class Result:
    def __init__(self, inner):
        self.inner = inner


@pytest.mark.parametrize("wrap", [Result, lambda t: iter([t]), lambda t: lambda: t, lambda t: Result({"deep": [t]})],
                         ids=["object", "iterator", "function", "deeper"])
@pytest.mark.parametrize("grad", [False, True])
def test_objects_that_hide_results(wrap, grad):
    w = data(5).requires_grad_(grad)
    step, kept = ad.compile(lambda x: (wrap(x * w), x + 1)), []
    with pytest.warns(UserWarning, match="its result holds tensors in an object of class") as caught:
        kept = [step(data(5, seed=k))[0] for k in range(4)]
    assert caught[0].filename == __file__

    def inside(x):
        x = x() if callable(x) else next(x) if hasattr(x, "__next__") else x.inner
        return x["deep"][0] if isinstance(x, dict) else x

    for k, r in enumerate(kept):
        assert same(inside(r).detach(), (data(5, seed=k) * w).detach())
    state = Result(data(3))
    plain = ad.compile(lambda x: (x + state.inner[0], state), fullgraph=True)
    assert all(plain(data(2))[1] is state for _ in range(3)) and programs(plain) == 1
