"""Optimizers against their formulas in NumPy."""

import copy
import pickle

import numpy as np
import pytest

import autodiffc as ad
from autodiffc import nn, optim

RNG = np.random.default_rng(0)
START = [RNG.standard_normal((3, 4)), RNG.standard_normal(5), RNG.standard_normal(())]


def gradients(values, step):
    """Those of a fixed function; the last parameter has none at first."""
    grads = [2 * values[0], 3 * values[1] ** 2, np.cos(values[2])]
    return grads if step >= 2 else [*grads[:2], None]


class NumpySGD:
    def __init__(self, lr, momentum=0, dampening=0, weight_decay=0, nesterov=False, maximize=False):
        self.__dict__.update(locals())
        self.buffers = {}

    def update(self, k, p, g, step):
        g = (-g if self.maximize else g) + self.weight_decay * p
        if self.momentum:
            first = k not in self.buffers
            self.buffers[k] = g if first else self.momentum * self.buffers[k] + (1 - self.dampening) * g
            g = g + self.momentum * self.buffers[k] if self.nesterov else self.buffers[k]
        return p - self.lr * g


class NumpyAdam:
    def __init__(
        self, lr, betas=(0.9, 0.999), eps=1e-8, weight_decay=0, amsgrad=False, maximize=False, decoupled=False
    ):
        self.__dict__.update(locals())
        self.state = {}

    def update(self, k, p, g, step):
        g = -g if self.maximize else g
        t, m, v, largest = self.state.get(k, (0, 0, 0, 0))
        if self.decoupled:
            p = p * (1 - self.lr * self.weight_decay)
        else:
            g = g + self.weight_decay * p
        (b1, b2), t = self.betas, t + 1
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g * g
        largest = np.maximum(largest, v)
        self.state[k] = t, m, v, largest
        root = np.sqrt((largest if self.amsgrad else v) / (1 - b2**t))
        return p - self.lr * m / (1 - b1**t) / (root + self.eps)


CASES = [
    (optim.SGD, NumpySGD, {"lr": 0.1}),
    (optim.SGD, NumpySGD, {"lr": 0.1, "weight_decay": 0.2, "maximize": True}),
    (optim.SGD, NumpySGD, {"lr": 0.1, "momentum": 0.9}),
    (optim.SGD, NumpySGD, {"lr": 0.1, "momentum": 0.9, "dampening": 0.3, "weight_decay": 0.1}),
    (optim.SGD, NumpySGD, {"lr": 0.1, "momentum": 0.9, "nesterov": True, "maximize": True}),
    (optim.Adam, NumpyAdam, {"lr": 0.1}),
    (
        optim.Adam,
        NumpyAdam,
        {"lr": 0.1, "betas": (0.5, 0.6), "eps": 1e-2, "weight_decay": 0.3, "maximize": True},
    ),
    (optim.Adam, NumpyAdam, {"lr": 0.1, "amsgrad": True}),
    (optim.AdamW, NumpyAdam, {"lr": 0.1, "weight_decay": 0.3}),
    (optim.AdamW, NumpyAdam, {"lr": 0.1, "weight_decay": 0.3, "amsgrad": True, "maximize": True}),
]


def set_grads(params, step):
    grads = gradients([p.detach().numpy() for p in params], step)
    for p, g in zip(params, grads):
        p.grad = None if g is None else ad.from_numpy(np.array(g, dtype=p.detach().numpy().dtype))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("ours,theirs,options", CASES)
def test_formula(ours, theirs, options, dtype):
    params = [nn.Parameter(ad.from_numpy(np.array(a, dtype=dtype))) for a in START]
    optimizer = ours(params, **options)
    reference = theirs(**options, **({"decoupled": True} if ours is optim.AdamW else {}))
    values = [np.array(a) for a in START]
    for step in range(6):
        set_grads(params, step)
        optimizer.step()
        grads = gradients(values, step)
        values = [
            v if g is None else reference.update(k, v, g, step) for k, (v, g) in enumerate(zip(values, grads))
        ]
    for p, v in zip(params, values):
        np.testing.assert_allclose(
            p.detach().numpy(), v, rtol=2e-5 if dtype is np.float32 else 1e-12, atol=1e-6
        )


def test_state_dict_layout():
    p, q = nn.Parameter(ad.ones(2)), nn.Parameter(ad.ones(3))
    optimizer = optim.AdamW([{"params": [p], "lr": 0.5}, {"params": [q]}], amsgrad=True)
    p.grad = ad.ones(2)
    optimizer.step()
    state = optimizer.state_dict()
    assert list(state["state"]) == [0]
    assert list(state["state"][0]) == ["step", "exp_avg", "exp_avg_sq", "max_exp_avg_sq"]
    assert state["state"][0]["step"].dtype is ad.float32 and state["state"][0]["step"].item() == 1
    assert list(state["param_groups"][0]) == [
        "lr",
        "betas",
        "eps",
        "weight_decay",
        "amsgrad",
        "maximize",
        "foreach",
        "capturable",
        "differentiable",
        "fused",
        "decoupled_weight_decay",
        "params",
    ]
    assert [g["params"] for g in state["param_groups"]] == [[0], [1]]
    sgd = optim.SGD([p], lr=0.1)
    sgd.step()
    assert sgd.state_dict()["state"] == {}
    sgd.param_groups[0]["momentum"] = 0.9
    sgd.step()
    assert list(sgd.state_dict()["state"][0]) == ["momentum_buffer"]


@pytest.mark.parametrize("ours,theirs,options", CASES)
def test_resume_gives_the_same(ours, theirs, options):
    def steps(params, optimizer, first, last):
        for step in range(first, last):
            set_grads(params, step)
            optimizer.step()

    params = [nn.Parameter(ad.from_numpy(np.array(a))) for a in START]
    optimizer = ours(params, **options)
    steps(params, optimizer, 0, 4)
    copies = [nn.Parameter(p.detach().clone()) for p in params]
    again = ours(copies, lr=123.0)
    again.load_state_dict(pickle.loads(pickle.dumps(optimizer.state_dict())))
    deep_params, deep = copy.deepcopy((params, optimizer))
    for p, o in ((params, optimizer), (copies, again), (deep_params, deep)):
        steps(p, o, 4, 7)
    for a, b, c in zip(params, copies, deep_params):
        assert (a.detach().numpy() == b.detach().numpy()).all() and (
            a.detach().numpy() == c.detach().numpy()
        ).all()


def test_changes_of_state_and_groups_take_effect():
    p, q = nn.Parameter(ad.zeros(1)), nn.Parameter(ad.zeros(1))
    optimizer = optim.SGD([p], lr=1.0, momentum=0.5)
    p.grad, q.grad = ad.ones(1), ad.ones(1)
    optimizer.step()
    optimizer.state[p]["momentum_buffer"] = ad.ones(1) * 10  # replaced
    optimizer.step()
    assert p.item() == -7
    optimizer.state[p]["momentum_buffer"].zero_()  # changed in place
    optimizer.step()
    assert p.item() == -8
    optimizer.add_param_group({"params": [q], "lr": 2.0})  # a group more
    optimizer.param_groups[0]["lr"] = 0.0
    optimizer.step()
    assert (p.item(), q.item()) == (-8, -2)
    optimizer.state.clear()  # all forgotten
    optimizer.step()
    assert q.item() == -4
    optimizer.param_groups[1]["params"][0] = p  # another parameter
    optimizer.step()
    assert q.item() == -4 and p.item() == -11.5
    optimizer.state = {}
    optimizer.step()
    assert p.item() == -14.5


def test_zero_grad():
    model = nn.Linear(2, 3)
    optimizer = optim.Adam(model.parameters())
    model.weight.grad = ad.ones(3, 2)
    optimizer.zero_grad(set_to_none=False)
    assert model.weight.grad.tolist() == [[0, 0]] * 3 and model.bias.grad is None
    optimizer.zero_grad()
    assert model.weight.grad is None


def test_closure_and_hooks():
    p = nn.Parameter(ad.ones(1))
    optimizer = optim.SGD([p], lr=0.5)
    log = []

    def closure():
        optimizer.zero_grad()
        loss = (p * 3).sum()
        loss.backward()
        return loss

    with ad.no_grad():
        assert optimizer.step(closure).item() == 3 and p.item() == -0.5
    optimizer.register_step_pre_hook(lambda o, a, k: log.append("pre"))
    handle = optimizer.register_step_post_hook(lambda o, a, k: log.append("post"))
    optimizer.step()
    handle.remove()
    optimizer.step()
    assert log == ["pre", "post", "pre"]
    globally = optim.optimizer.register_optimizer_step_post_hook(lambda o, a, k: log.append("global"))
    optimizer.step()
    globally.remove()
    optimizer.step()
    assert log[3:] == ["pre", "global", "pre"]


def test_own_optimizer():
    class Signs(optim.Optimizer):
        def __init__(self, params, lr):
            super().__init__(params, {"lr": lr})

        @ad.no_grad()
        def step(self, closure=None):
            for group in self.param_groups:
                for p in group["params"]:
                    self.state[p]["n"] = self.state[p].get("n", 0) + 1
                    p.sub_(group["lr"] * p.grad.sign())

    p = nn.Parameter(ad.ones(2))
    optimizer = Signs([p], 0.25)
    p.grad = ad.tensor([3.0, -3.0])
    optimizer.step()
    assert p.tolist() == [0.75, 1.25] and optimizer.state_dict()["state"] == {0: {"n": 1}}
    optimizer.zero_grad()
    assert p.grad is None


P = [1.0, 2.0]


@pytest.mark.parametrize(
    "call,error",
    [
        (lambda p: optim.SGD([]), ValueError),
        (lambda p: optim.SGD(p), TypeError),
        (lambda p: optim.SGD([3]), TypeError),
        (lambda p: optim.SGD([p], lr=-1), ValueError),
        (lambda p: optim.SGD([p], momentum=-1), ValueError),
        (lambda p: optim.SGD([p], nesterov=True), ValueError),
        (lambda p: optim.SGD([p * 2]), ValueError),
        (lambda p: optim.SGD([{"params": [p]}, {"params": [p]}]), ValueError),
        (lambda p: optim.SGD([{"params": {p}}]), TypeError),
        (lambda p: optim.Adam([p], eps=-1), ValueError),
        (lambda p: optim.Adam([p], betas=(1.0, 0.9)), ValueError),
        (lambda p: optim.Adam([p], weight_decay=-1), ValueError),
        (lambda p: optim.Adam([p], differentiable=True), NotImplementedError),
        (lambda p: optim.SGD([p], differentiable=True), NotImplementedError),
        (lambda p: optim.SGD([p], fused=True, foreach=True), RuntimeError),
        (lambda p: optim.Adam([p], lr=ad.tensor([0.1, 0.2])), ValueError),
        (lambda p: optim.Adam([p]).load_state_dict({"state": {}, "param_groups": []}), ValueError),
        (
            lambda p: optim.Adam([p]).load_state_dict({"state": {}, "param_groups": [{"params": [0, 1]}]}),
            ValueError,
        ),
        (lambda p: optim.Adam([p]).add_param_group([p]), TypeError),
    ],
)
def test_refused(call, error):
    with pytest.raises(error):
        call(nn.Parameter(ad.tensor(P)))


def test_clipping():
    a, b, c = (nn.Parameter(ad.ones(2)) for _ in range(3))
    a.grad, b.grad = ad.tensor([3.0, 0.0]), ad.tensor([0.0, 4.0])
    assert nn.utils.clip_grad_norm_([a, b, c], 1.0).item() == pytest.approx(5.0)
    np.testing.assert_allclose(a.grad.numpy(), [0.6, 0], rtol=1e-5)
    assert nn.utils.clip_grad_norm_([a, b, c], 100.0, float("inf")).item() == pytest.approx(0.8, rel=1e-5)
    np.testing.assert_allclose(b.grad.numpy(), [0, 0.8], rtol=1e-5)
    nn.utils.clip_grad_value_([a, b, c], 0.7)
    np.testing.assert_allclose(b.grad.numpy(), [0, 0.7], rtol=1e-6)
    a.grad = ad.tensor([float("nan"), 1.0])
    with pytest.raises(RuntimeError, match="non-finite"):
        nn.utils.clip_grad_norm_([a], 1.0, error_if_nonfinite=True)
    assert a.grad.tolist()[1] == 1.0
    v = nn.utils.parameters_to_vector([a, b])
    nn.utils.vector_to_parameters(v.detach() * 3, [a, b])
    assert a.tolist() == [3, 3]


@pytest.mark.parametrize("ours,theirs,options", CASES)
def test_captured_step_follows_options_and_state(ours, theirs, options):
    """A replay takes the options of the moment; new state or another flag records the step again."""

    def run(captured):
        p, calls = nn.Parameter(ad.from_numpy(np.array(START[0], np.float32))), []
        optimizer = ours([p], **options)

        def step():
            calls.append(1)
            optimizer.zero_grad()
            (p * p).sum().backward()
            optimizer.step()

        take = ad.compile(step) if captured else step
        for n in range(9):
            optimizer.param_groups[0]["lr"] = 0.1 / (1 + n)
            take()
            if n == 2:
                optimizer.param_groups[0]["weight_decay"] = 0.5
            if n == 4:
                saved = optimizer.state_dict()
                saved["state"] = {k: {n: t.clone() for n, t in v.items()} for k, v in saved["state"].items()}
                optimizer.load_state_dict(saved)
            if n == 6:
                optimizer.param_groups[0]["maximize"] = not optimizer.param_groups[0]["maximize"]
        return p.detach().numpy().copy(), len(calls)

    (eager, _), (replayed, calls) = run(False), run(True)
    assert (eager == replayed).all() and calls <= 3


def test_an_optimizer_written_elsewhere():
    """The names that such code imports beside Optimizer."""
    from autodiffc.optim.optimizer import Optimizer, ParamsT, _get_value, _use_grad_for_differentiable, required

    class Lion(Optimizer):
        def __init__(self, params: ParamsT, lr=required):
            super().__init__(params, {"lr": lr, "differentiable": False})

        @_use_grad_for_differentiable
        def step(self, closure=None):
            assert not ad.is_grad_enabled()
            for group in self.param_groups:
                for p in group["params"]:
                    state = self.state[p]
                    if not state:
                        state["exp_avg"] = ad.zeros_like(p)
                    p.add_(state["exp_avg"].mul_(0.9).add_(p.grad, alpha=0.1).sign(), alpha=-_get_value(group["lr"]))

    p = nn.Parameter(ad.ones(2))
    with pytest.raises(ValueError, match="required"):
        Lion([p])
    optimizer = Lion([p], lr=0.5)
    scheduler = optim.lr_scheduler.StepLR(optimizer, 1)
    p.grad = ad.ones(2)
    optimizer.step()
    scheduler.step()
    assert p.tolist() == [0.5, 0.5] and optimizer.param_groups[0]["lr"] == 0.05
    with ad.no_grad():
        p.add_(p.detach(), alpha=ad.tensor(0.5))  # a number as a tensor, as such code passes it
    assert p.tolist() == [0.75, 0.75]
