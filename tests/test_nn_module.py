"""Module, its containers and layers: rules, walks, state, hooks, and layers against NumPy."""

import copy
import gc
import pickle
import weakref
from collections import OrderedDict

import numpy as np
import pytest

import autodiffc as ad
from autodiffc import nn

F = nn.functional


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(2, 3)
        self.b = nn.Sequential(nn.ReLU(), nn.Linear(3, 3, bias=False))
        self.again = self.a
        self.scale = nn.Parameter(ad.ones(1))
        self.register_buffer("mean", ad.zeros(3))
        self.register_buffer("scratch", ad.zeros(3), persistent=False)
        self.register_parameter("nothing", None)

    def forward(self, x, offset=0):
        return self.b(self.a(x)) * self.scale + offset


# ---- attributes


def test_registration_is_by_type():
    m = Net()
    assert list(m._parameters) == ["scale", "nothing"] and list(m._modules) == ["a", "b", "again"]
    assert list(m._buffers) == ["mean", "scratch"] and m.nothing is None
    m.scale = None
    assert m.scale is None and "scale" not in m.state_dict()
    m.mean = ad.ones(3)
    assert m._buffers["mean"].tolist() == [1, 1, 1]
    m.plain = nn.Buffer(ad.ones(1), persistent=False)
    assert "plain" in m._buffers and "plain" not in m.state_dict()
    m.mean = nn.Parameter(ad.ones(3))
    assert "mean" in m._parameters and "mean" not in m._buffers
    del m.mean, m.a
    assert not hasattr(m, "mean") and "a" not in m._modules


def test_dictionaries_are_the_truth():
    """What is written to _parameters, _buffers and _modules is what attributes give."""
    m = Net()
    w = nn.Parameter(ad.zeros(1))
    m._parameters["scale"] = w
    assert m.scale is w
    del m._parameters["scale"]
    assert not hasattr(m, "scale")
    m.scale = ad.ones(1)  # an ordinary attribute now, as weight_norm and its like do
    assert "scale" not in m._parameters and m.scale.tolist() == [1]
    relu = m._modules.pop("b")
    assert not hasattr(m, "b")
    m._modules.update({"b": relu})
    assert m.b is relu
    m._modules = {"only": relu}
    assert m.only is relu and not hasattr(m, "a") and list(m._modules) == ["only"]
    m._buffers.clear()
    assert not hasattr(m, "mean")
    m.__dict__["only"] = 3  # hides, as any attribute does
    assert m.only == 3 and m._modules["only"] is relu


def test_class_attributes_and_properties_win():
    class Odd(nn.Module):
        hidden = 5

        def __init__(self):
            super().__init__()
            self._modules["hidden"] = nn.ReLU()

        @property
        def weight(self):
            return "property"

    assert Odd().hidden == 5 and Odd().weight == "property"


def test_module_dies_with_its_last_reference():
    gc.collect()
    gc.disable()
    try:
        m = Net()
        m(ad.ones(1, 2))
        dead = weakref.ref(m)
        del m
        assert dead() is None
    finally:
        gc.enable()


def attempts():
    m = nn.Linear(2, 3)
    m.sub = nn.ReLU()
    m.register_buffer("buf", ad.ones(1))
    return m


@pytest.mark.parametrize(
    "call,error",
    [
        (lambda m: setattr(m, "weight", ad.ones(3)), TypeError),
        (lambda m: setattr(m, "weight", nn.ReLU()), TypeError),
        (lambda m: setattr(m, "sub", 3), TypeError),
        (lambda m: setattr(m, "buf", 3), TypeError),
        (lambda m: m.register_parameter("x", ad.ones(1)), TypeError),
        (lambda m: m.register_parameter("x", m.weight * 2), TypeError),
        (lambda m: m.register_parameter("a.b", None), KeyError),
        (lambda m: m.register_parameter("", None), KeyError),
        (lambda m: m.register_parameter(3, None), TypeError),
        (lambda m: m.register_parameter("forward", None), KeyError),
        (lambda m: m.register_buffer("weight", None), KeyError),
        (lambda m: m.add_module("x", 3), TypeError),
        (lambda m: m.nothing, AttributeError),
        (lambda m: delattr(m, "nothing"), AttributeError),
        (lambda m: m.get_submodule("weight"), AttributeError),
        (lambda m: m.get_parameter("buf"), AttributeError),
        (lambda m: m.get_buffer("weight"), AttributeError),
        (lambda m: m.train(1), ValueError),
        (lambda m: m.to(ad.int64), TypeError),
        (lambda m: m.to("cuda"), AssertionError),
        (lambda m: m.load_state_dict([1]), TypeError),
        (lambda m: nn.Module(3), TypeError),
        (lambda m: nn.Module(x=3), TypeError),
        (lambda m: nn.Module()(3), NotImplementedError),
        (lambda m: nn.ModuleList([nn.ReLU()])(3), NotImplementedError),
        (lambda m: nn.Parameter(ad.ones(2, dtype=ad.int64)), RuntimeError),
    ],
)
def test_refused(call, error):
    with pytest.raises(error):
        call(attempts())


def test_before_init():
    for value in (nn.Parameter(ad.ones(1)), nn.ReLU(), nn.Buffer(ad.ones(1))):

        class Early(nn.Module):
            def __init__(self, value=value):
                self.x = value

        with pytest.raises(AttributeError, match="before Module.__init__"):
            Early()


def test_paths():
    m = Net()
    assert m.get_submodule("") is m and m.get_submodule("b.1") is m.b[1]
    assert m.get_parameter("b.1.weight") is m.b[1].weight and m.get_buffer("mean") is m.mean
    m.set_submodule("b.0", nn.Tanh())
    assert isinstance(m.b[0], nn.Tanh)


def test_walks():
    m = Net()
    names = ["scale", "a.weight", "a.bias", "b.1.weight"]
    assert [n for n, _ in m.named_parameters()] == names
    assert [n for n, _ in m.named_parameters(prefix="x", recurse=False)] == ["x.scale"]
    twice = [n for n, _ in m.named_parameters(remove_duplicate=False)]
    assert twice == names + ["again.weight", "again.bias"]
    assert [n for n, _ in m.named_modules()] == ["", "a", "b", "b.0", "b.1"]
    assert [n for n, _ in m.named_children()] == ["a", "b"]
    assert [n for n, _ in m.named_buffers()] == ["mean", "scratch"]
    seen = []
    assert m.apply(lambda x: seen.append(type(x).__name__)) is m
    assert seen == ["Linear", "ReLU", "Linear", "Sequential", "Net"]
    assert "scale" in dir(m) and "0" not in dir(m.b)


def test_modes_and_gradients():
    m = Net()
    assert m.eval() is m and not m.b[0].training and m.train().b[0].training
    m(ad.ones(1, 2)).sum().backward()
    m.zero_grad(set_to_none=False)
    assert m.scale.grad.tolist() == [0]
    m.zero_grad()
    assert all(p.grad is None for p in m.parameters())
    m.requires_grad_(False)
    assert not any(p.requires_grad for p in m.parameters())


def test_conversion_keeps_identity():
    m = Net()
    w = m.a.weight
    assert m.double() is m and m.a.weight is w and w.dtype is ad.float64 and m.mean.dtype is ad.float64
    m(ad.ones(1, 2, dtype=ad.float64)).sum().backward()
    m.to(dtype=ad.float32)
    assert w.dtype is ad.float32 and w.grad.dtype is ad.float32 and m.to("cpu") is m and m.cpu() is m
    m.to(ad.ones(1, dtype=ad.float64))
    assert w.dtype is ad.float64


# ---- state


def test_state_dict_round_trip():
    m, other = Net(), Net()
    state = m.state_dict()
    assert list(state) == [
        "scale",
        "mean",
        "a.weight",
        "a.bias",
        "b.1.weight",
        "again.weight",
        "again.bias",
    ]
    assert not state["a.weight"].requires_grad
    assert m.state_dict(keep_vars=True)["a.weight"] is m.a.weight
    assert repr(other.load_state_dict(state)) == "<All keys matched successfully>"
    x = ad.randn(4, 2)
    assert (m(x).detach().numpy() == other(x).detach().numpy()).all()
    assert list(m.a.state_dict(prefix="p.")) == ["p.weight", "p.bias"]


def test_state_dict_errors_say_what_is_wrong():
    m = Net()
    state = m.state_dict()
    del state["a.bias"]
    state["more"] = ad.ones(1)
    state["mean"] = ad.ones(4)
    with pytest.raises(RuntimeError) as error:
        m.load_state_dict(state)
    assert str(error.value) == (
        'Error(s) in loading state_dict for Net:\n\tMissing key(s) in state_dict: "a.bias". \n\t'
        'Unexpected key(s) in state_dict: "more". \n\tsize mismatch for mean: copying a param with shape '
        "torch.Size([4]) from checkpoint, the shape in current model is torch.Size([3])."
    )
    state["mean"] = ad.ones(3)
    keys = m.load_state_dict(state, strict=False)
    assert (
        keys.missing_keys == ["a.bias"] and keys.unexpected_keys == ["more"] and m.mean.tolist() == [1, 1, 1]
    )


def test_load_assign_takes_the_tensors():
    m = nn.Linear(2, 2)
    state = {"weight": ad.ones(2, 2, dtype=ad.float64), "bias": ad.zeros(2)}
    m.load_state_dict(state, assign=True)
    assert m.weight.dtype is ad.float64 and isinstance(m.weight, nn.Parameter) and m.weight.requires_grad
    state["weight"].fill_(5)
    assert m.weight.tolist() == [[5, 5], [5, 5]]


def test_copies_and_pickles():
    m = Net()
    x = ad.randn(3, 2)
    for other in (copy.deepcopy(m), pickle.loads(pickle.dumps(m))):
        assert other.a is other.again and other.a.weight is not m.a.weight
        assert (m(x).detach().numpy() == other(x).detach().numpy()).all()
        other._parameters["scale"] = None
        assert other.scale is None and m.scale is not None
    shallow = copy.copy(m)
    assert shallow.a is m.a
    shallow.a = nn.ReLU()
    assert m.a is shallow.a  # the dictionaries are shared, as they are in PyTorch
    assert copy.deepcopy(m.scale).grad is None and isinstance(copy.deepcopy(m.scale), nn.Parameter)


def test_extra_state_and_hooks():
    class Extra(nn.Module):
        def get_extra_state(self):
            return {"n": 3}

        def set_extra_state(self, state):
            self.got = state

    m, log = Extra(), []
    m.register_state_dict_pre_hook(lambda *a: log.append("pre"))
    m.register_state_dict_post_hook(lambda mod, state, prefix, meta: state.update(more=1))
    m.register_load_state_dict_pre_hook(lambda mod, state, *a: state.pop("more"))
    m.register_load_state_dict_post_hook(lambda mod, keys: log.append(keys.missing_keys))
    state = m.state_dict()
    assert state == {"_extra_state": {"n": 3}, "more": 1}
    m.load_state_dict(state)
    assert m.got == {"n": 3} and log == ["pre", []]


# ---- hooks


def test_forward_hooks_run_in_order_and_replace():
    m, log = nn.Identity(), []
    m.register_forward_pre_hook(lambda mod, args: (args[0] + 1,))
    m.register_forward_pre_hook(lambda mod, args: (args[0] * 10,), prepend=True)
    handle = m.register_forward_hook(lambda mod, args, out: out + 5)
    m.register_forward_hook(lambda mod, args, kwargs, out: log.append(out), with_kwargs=True)
    assert m(2) == 26 and log == [26]
    handle.remove()
    handle.remove()
    assert m(2) == 21
    m._forward_pre_hooks.clear()
    m._forward_hooks.clear()
    assert m(2) == 2


def test_hooks_with_kwargs_and_errors():
    m, log = Net(), []
    m.register_forward_pre_hook(lambda mod, args, kwargs: (args, {"offset": 100}), with_kwargs=True)
    m.register_forward_hook(lambda mod, args, out: log.append("always"), always_call=True)
    assert (m(ad.zeros(1, 2), offset=3).detach().numpy() > 50).all() and log == ["always"]
    with pytest.raises(TypeError):
        m(1, 2, 3)
    assert log == ["always"] * 2
    m.register_forward_pre_hook(lambda mod, args, kwargs: 3, with_kwargs=True)
    with pytest.raises(RuntimeError, match="new_args"):
        m(ad.zeros(1, 2))


def test_global_hooks():
    log = []
    with nn.modules.module.register_module_forward_pre_hook(lambda mod, args: log.append(type(mod).__name__)):
        nn.Sequential(nn.ReLU())(ad.ones(1))
    nn.ReLU()(ad.ones(1))
    assert log == ["Sequential", "ReLU"]
    seen = []
    hook = nn.modules.module.register_module_parameter_registration_hook(lambda m, name, p: seen.append(name))
    nn.Linear(1, 1)
    hook.remove()
    nn.Linear(1, 1)
    assert seen == ["weight", "bias"]


def test_backward_hooks():
    m, log = nn.Linear(2, 1, bias=False), []
    m.weight.detach().fill_(3)
    m.register_full_backward_pre_hook(lambda mod, grads: (grads[0] * 2,))
    m.register_full_backward_hook(
        lambda mod, inputs, outputs: log.append((inputs[0].tolist(), outputs[0].tolist()))
    )
    m.register_full_backward_hook(lambda mod, inputs, outputs: (inputs[0] * 10,))
    x = ad.ones(1, 2, requires_grad=True)
    m(x).sum().backward()
    assert log == [([[6, 6]], [[2]])] and x.grad.tolist() == [[60, 60]] and m.weight.grad.tolist() == [[2, 2]]


# ---- containers


def test_sequential():
    s = nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 1))
    assert len(s) == 3 and isinstance(s[-1], nn.Linear) and len(s[:2]) == 2 and s[:2][0] is s[0]
    assert len(s * 2) == 6 and len(s + nn.Sequential(nn.ReLU())) == 4
    s.insert(1, nn.Tanh()).append(nn.ELU()).extend([nn.GELU()])
    assert [type(m).__name__ for m in s] == ["Linear", "Tanh", "ReLU", "Linear", "ELU", "GELU"]
    del s[0], s[-1]
    assert list(s._modules) == ["0", "1", "2", "3"] and isinstance(s.pop(0), nn.Tanh)
    named = nn.Sequential(OrderedDict(first=nn.ReLU(), second=nn.Tanh()))
    assert named.first is named[0] and repr(named) == "Sequential(\n  (first): ReLU()\n  (second): Tanh()\n)"
    for call, error in [
        (lambda: s[9], IndexError),
        (lambda: s + 3, ValueError),
        (lambda: s * 0, ValueError),
        (lambda: s * 1.5, TypeError),
        (lambda: s.insert(99, nn.ReLU()), IndexError),
        (lambda: nn.Sequential(3), TypeError),
    ]:
        with pytest.raises(error):
            call()


def test_lists_and_dicts():
    modules = nn.ModuleList([nn.ReLU()]) + [nn.ReLU(), nn.Tanh()]
    modules.insert(-1, nn.ELU())
    assert [type(m).__name__ for m in modules] == ["ReLU", "ReLU", "ELU", "Tanh"]
    assert repr(modules[:3]) == "ModuleList(\n  (0-1): 2 x ReLU()\n  (2): ELU(alpha=1.0)\n)"
    d = nn.ModuleDict({"a": nn.ReLU()})
    d.update([("b", nn.Tanh())])
    assert list(d) == ["a", "b"] and "a" in d and isinstance(d.pop("a"), nn.ReLU) and len(d) == 1
    p = nn.ParameterList([ad.ones(2), 3])
    p.append(nn.Parameter(ad.zeros(1)))
    assert [type(v).__name__ for v in p] == ["Parameter", "int", "Parameter"] and list(p.state_dict()) == [
        "0",
        "2",
    ]
    q = nn.ParameterDict({"x": ad.ones(2), "n": 3})
    q["y"] = ad.zeros(1)
    assert sorted(q.keys()) == ["n", "x", "y"] and q.pop("n") == 3 and list(q.state_dict()) == ["x", "y"]
    assert list((q | nn.ParameterDict({"z": ad.ones(1)})).keys()) == ["x", "y", "z"]


# ---- layers


def test_linear_and_bilinear():
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((5, 3)).astype(np.float32), rng.standard_normal((5, 2)).astype(np.float32)
    m, b = nn.Linear(3, 4), nn.Bilinear(3, 2, 4)
    out = m(ad.from_numpy(x)).detach().numpy()
    np.testing.assert_allclose(out, x @ m.weight.detach().numpy().T + m.bias.detach().numpy(), rtol=1e-5)
    out = b(ad.from_numpy(x), ad.from_numpy(y)).detach().numpy()
    expected = np.einsum("ni,oij,nj->no", x, b.weight.detach().numpy(), y) + b.bias.detach().numpy()
    np.testing.assert_allclose(out, expected, rtol=1e-4, atol=1e-5)
    with pytest.raises(ValueError):
        nn.Bilinear(0, 1, 1)


def test_embedding():
    m = nn.Embedding(5, 3, padding_idx=-1, max_norm=1.0)
    assert m.padding_idx == 4 and m.weight.detach().numpy()[4].tolist() == [0, 0, 0]
    out = m(ad.tensor([[0, 4, 0]]))
    assert (np.linalg.norm(out.detach().numpy(), axis=-1) <= 1.0001).all()
    out.sum().backward()
    assert m.weight.grad.tolist() == [[2, 2, 2]] + [[0, 0, 0]] * 4
    fixed = nn.Embedding.from_pretrained(ad.ones(2, 3))
    assert not fixed.weight.requires_grad and fixed(ad.tensor(1)).tolist() == [1, 1, 1]
    for call in (lambda: nn.Embedding(3, 2, padding_idx=3), lambda: nn.Embedding.from_pretrained(ad.ones(2))):
        with pytest.raises(AssertionError):
            call()


def test_dropout_modes():
    ad.manual_seed(0)
    x = ad.ones(1000)
    m = nn.Dropout(0.25)
    values = {round(v, 4) for v in m(x).tolist()}
    assert values == {0.0, round(1 / 0.75, 4)} and m.eval()(x).tolist() == x.tolist()
    channels = nn.Dropout2d(0.5)(ad.ones(8, 4, 3, 3)).numpy()
    assert all(c.min() == c.max() for sample in channels for c in sample)
    a = nn.AlphaDropout(0.3)(ad.randn(100_000)).numpy()
    assert abs(a.mean()) < 0.02 and abs(a.std() - 1) < 0.02
    with pytest.raises(ValueError):
        nn.Dropout(1.5)


def test_flatten():
    assert tuple(nn.Flatten()(ad.ones(2, 3, 4)).shape) == (2, 12)
    assert tuple(nn.Unflatten(1, (3, -1))(ad.ones(2, 12)).shape) == (2, 3, 4)


def test_losses_follow_their_formulas():
    rng = np.random.default_rng(1)
    x, t = rng.standard_normal((4, 3)), rng.standard_normal((4, 3))
    ax, at = ad.from_numpy(x), ad.from_numpy(t)
    labels = np.array([0, 2, 1, 1])
    log_p = x - np.log(np.exp(x).sum(1, keepdims=True))
    sign = np.sign(t)
    cases = [
        (nn.MSELoss()(ax, at), ((x - t) ** 2).mean()),
        (nn.L1Loss(reduction="sum")(ax, at), abs(x - t).sum()),
        (nn.CrossEntropyLoss()(ax, ad.from_numpy(labels)), -log_p[range(4), labels].mean()),
        (nn.PoissonNLLLoss()(ax, at), (np.exp(x) - t * x).mean()),
        (
            nn.GaussianNLLLoss()(ax, at, ad.from_numpy(t * t)),
            (np.log(t * t) + (x - t) ** 2 / (t * t)).mean() / 2,
        ),
        (
            nn.HingeEmbeddingLoss()(ax, ad.from_numpy(sign)),
            np.where(sign > 0, x, np.maximum(0, 1 - x)).mean(),
        ),
        (nn.MarginRankingLoss(0.5)(ax, at, ad.from_numpy(sign)), np.maximum(0, -sign * (x - t) + 0.5).mean()),
        (nn.SoftMarginLoss()(ax, ad.from_numpy(sign)), np.log1p(np.exp(-sign * x)).mean()),
        (
            nn.MultiMarginLoss()(ax, ad.from_numpy(labels)),
            ((np.maximum(0, 1 - x[range(4), labels][:, None] + x).sum(1) - 1) / 3).mean(),
        ),
        (
            nn.TripletMarginLoss(2.0)(ax, at, -ax),
            np.maximum(
                0, 2 + np.linalg.norm(x - t + 1e-6, axis=1) - np.linalg.norm(2 * x + 1e-6, axis=1)
            ).mean(),
        ),
    ]
    for ours, expected in cases:
        assert float(ours) == pytest.approx(expected, rel=1e-6)
    with pytest.raises(ValueError, match="reduction"):
        F.soft_margin_loss(ax, at, reduction="x")


def test_activations_follow_their_formulas():
    x = np.linspace(-4, 4, 41)
    sigmoid = 1 / (1 + np.exp(-x))
    cases = {
        nn.ReLU(): np.maximum(x, 0),
        nn.ReLU6(): np.clip(x, 0, 6),
        nn.Sigmoid(): sigmoid,
        nn.SiLU(): x * sigmoid,
        nn.ELU(0.5): np.where(x > 0, x, 0.5 * np.expm1(x)),
        nn.CELU(2.0): np.maximum(x, 0) + np.minimum(0, 2 * np.expm1(x / 2)),
        nn.LeakyReLU(0.2): np.where(x > 0, x, 0.2 * x),
        nn.Softplus(): np.log1p(np.exp(x)),
        nn.Mish(): x * np.tanh(np.log1p(np.exp(x))),
        nn.Hardtanh(-2, 1): np.clip(x, -2, 1),
        nn.Hardsigmoid(): np.clip(x + 3, 0, 6) / 6,
        nn.Hardswish(): x * np.clip(x + 3, 0, 6) / 6,
        nn.LogSigmoid(): np.log(sigmoid),
        nn.Softsign(): x / (1 + abs(x)),
        nn.Tanhshrink(): x - np.tanh(x),
        nn.Softshrink(1.0): np.sign(x) * np.maximum(abs(x) - 1, 0),
        nn.Hardshrink(1.0): np.where(abs(x) > 1, x, 0),
        nn.Threshold(1.0, 9.0): np.where(x > 1, x, 9),
        nn.Softmax(0): np.exp(x) / np.exp(x).sum(),
        nn.LogSoftmax(0): x - np.log(np.exp(x).sum()),
        nn.RReLU().eval(): np.where(x > 0, x, x * (1 / 8 + 1 / 3) / 2),
        nn.PReLU(dtype=ad.float64): np.where(x > 0, x, 0.25 * x),
    }
    for module, expected in cases.items():
        out = module(ad.from_numpy(x.copy())).detach().numpy()
        np.testing.assert_allclose(out, expected, rtol=1e-9, atol=1e-12, err_msg=repr(module))


def test_repr():
    assert repr(nn.Sequential(nn.Linear(2, 3), nn.Sequential(nn.ReLU()))) == (
        "Sequential(\n  (0): Linear(in_features=2, out_features=3, bias=True)\n  (1): Sequential(\n    (0): ReLU()\n"
        "  )\n)"
    )
    assert repr(nn.Embedding(2, 3, padding_idx=0)) == "Embedding(2, 3, padding_idx=0)"
    assert repr(nn.Parameter(ad.ones(2))) == "Parameter containing:\ntensor([1., 1.], requires_grad=True)"


def test_data_parallel():
    layer = ad.nn.Linear(2, 3)
    wrapped = ad.nn.DataParallel(layer, device_ids=[0])
    assert list(wrapped.state_dict()) == ["module.weight", "module.bias"] and wrapped.device_ids == []
    assert ad.equal(wrapped(ad.ones(1, 2)), layer(ad.ones(1, 2)))
    with pytest.raises(ValueError, match="process group"):
        ad.nn.parallel.DistributedDataParallel(layer)


def test_factory_kwargs():
    assert ad.nn.factory_kwargs({"dtype": ad.float64}) == {"dtype": ad.float64}
    assert ad.nn.factory_kwargs({"factory_kwargs": {"device": "cpu"}}) == {"device": "cpu"}
    for wrong in ({"size": 3}, {"dtype": ad.float64, "factory_kwargs": {"dtype": ad.float32}}):
        with pytest.raises(TypeError):
            ad.nn.factory_kwargs(wrong)


def test_hooks_put_in_by_hand():
    layer = ad.nn.Identity()
    layer._forward_hooks[7] = lambda m, args, y: y + 1
    assert layer(ad.zeros(1)).item() == 1
    layer._forward_hooks = type(layer._forward_hooks)()
    assert layer(ad.zeros(1)).item() == 0


def test_linear_cross_entropy():
    loss = ad.nn.LinearCrossEntropyLoss(4, 3, bias=True, options=ad.nn.LinearCrossEntropyOptions())
    assert list(loss.state_dict()) == ["linear.weight", "linear.bias"]
    x, target = ad.randn(5, 4), ad.tensor([0, 1, 2, 1, 0])
    assert ad.equal(loss(x, target), ad.nn.functional.cross_entropy(loss.linear(x), target))
    several = ad.nn.LinearCrossEntropyLoss(4, 3, out_features=(2,), reduction="none")
    assert several(x, ad.zeros(5, 2, dtype=ad.int64)).shape == (5, 2)
