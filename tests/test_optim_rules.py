"""Every optimizer against its published rule in NumPy: options, dtypes, layouts in memory, captured steps."""

import copy

import numpy as np
import pytest

import autodiffc as ad
from autodiffc import nn, optim
from autodiffc.optim import _muon

RNG = np.random.default_rng(0)
START = [RNG.standard_normal((4, 6)), RNG.standard_normal(9000), RNG.standard_normal(())]
GRADS = [[RNG.standard_normal(a.shape) for a in START] for _ in range(7)]


def clean(g, p, o):
    return (-g if o.get("maximize") else g) + o.get("weight_decay", 0) * p


def adagrad(p, g, s, t, o):
    g = clean(g, p, o)
    s["sum"] = s.get("sum", o.get("initial_accumulator_value", 0)) + g * g
    return p - 0.01 / (1 + (t - 1) * o.get("lr_decay", 0)) * g / (np.sqrt(s["sum"]) + 1e-10)


def adadelta(p, g, s, t, o):
    g, rho, eps = clean(g, p, o), o.get("rho", 0.9), 1e-6
    s["v"] = rho * s.get("v", 0) + (1 - rho) * g * g
    d = np.sqrt(s.get("a", 0) + eps) / np.sqrt(s["v"] + eps) * g
    s["a"] = rho * s.get("a", 0) + (1 - rho) * d * d
    return p - d


def adamax(p, g, s, t, o):
    g, (b1, b2) = clean(g, p, o), o.get("betas", (0.9, 0.999))
    s["m"] = b1 * s.get("m", 0) + (1 - b1) * g
    s["u"] = np.maximum(b2 * s.get("u", 0), abs(g) + 1e-8)
    return p - 0.002 / (1 - b1**t) * s["m"] / s["u"]


def decayed(p, g, o, lr):
    """Gradient and parameter after weight decay of either kind."""
    if not o.get("decoupled_weight_decay"):
        return p, clean(g, p, o)
    return p * (1 - lr * o.get("weight_decay", 0)), -g if o.get("maximize") else g


def nadam(p, g, s, t, o):
    lr, b1, b2 = 0.002, 0.9, 0.999
    p, g = decayed(p, g, o, lr)
    mu, after = (b1 * (1 - 0.5 * 0.96 ** (k * o.get("momentum_decay", 4e-3))) for k in (t, t + 1))
    s["product"] = s.get("product", 1) * mu
    s["m"] = b1 * s.get("m", 0) + (1 - b1) * g
    s["v"] = b2 * s.get("v", 0) + (1 - b2) * g * g
    mean = after * s["m"] / (1 - s["product"] * after) + (1 - mu) * g / (1 - s["product"])
    return p - lr * mean / (np.sqrt(s["v"] / (1 - b2**t)) + 1e-8)


def radam(p, g, s, t, o):
    lr, b1, b2 = 0.001, 0.9, o.get("betas", (0.9, 0.999))[1]
    p, g = decayed(p, g, o, lr)
    s["m"] = b1 * s.get("m", 0) + (1 - b1) * g
    s["v"] = b2 * s.get("v", 0) + (1 - b2) * g * g
    m, most = s["m"] / (1 - b1**t), 2 / (1 - b2) - 1
    rho = most - 2 * t * b2**t / (1 - b2**t)
    if rho <= 5:
        return p - lr * m
    r = np.sqrt((rho - 4) * (rho - 2) * most / ((most - 4) * (most - 2) * rho))
    return p - lr * m * r * np.sqrt(1 - b2**t) / (np.sqrt(s["v"]) + 1e-8)


def rmsprop(p, g, s, t, o):
    g, alpha, mu = clean(g, p, o), o.get("alpha", 0.99), o.get("momentum", 0)
    s["v"] = alpha * s.get("v", 0) + (1 - alpha) * g * g
    s["g"] = alpha * s.get("g", 0) + (1 - alpha) * g
    step = g / (np.sqrt(s["v"] - (s["g"] ** 2 if o.get("centered") else 0)) + 1e-8)
    s["b"] = mu * s.get("b", 0) + step
    return p - 0.01 * (s["b"] if mu else step)


def rprop(p, g, s, t, o):
    g, (down, up) = clean(g, p, o), o.get("etas", (0.5, 1.2))
    sign = np.sign(g * s.get("g", 0))
    factor = np.where(sign > 0, up, np.where(sign < 0, down, 1))
    s["size"] = np.clip(s.get("size", 0.01) * factor, *o.get("step_sizes", (1e-6, 50)))
    s["g"] = np.where(sign < 0, 0, g)
    return p - np.sign(s["g"]) * s["size"]


def asgd(p, g, s, t, o):
    g, lr, lambd = clean(g, p, o), 0.01, o.get("lambd", 1e-4)
    eta, mu = s.get("eta", lr), s.get("mu", 1)
    p = p * (1 - lambd * eta) - eta * g
    s["ax"] = s.get("ax", 0) + mu * (p - s.get("ax", 0))
    s["eta"], s["mu"] = lr / (1 + lambd * lr * t) ** 0.75, 1 / max(1, t - o.get("t0", 1e6))
    return p


def adafactor(p, g, s, t, o):
    g, (eps1, eps2), d = -g if o.get("maximize") else g, o["eps"], o.get("d", 1)

    def rms(x):
        return np.sqrt(np.mean(x * x))
    w, a = t**-0.8, max(eps2, rms(p)) * min(0.01, t**-0.5)
    p = p * (1 - 0.01 * o.get("weight_decay", 0))
    if p.ndim < 2:
        s["v"] = s.get("v", 0) + w * (g * g - s.get("v", 0))
        v = s["v"]
    else:
        s["r"] = s.get("r", 0) + w * ((g * g).mean(-1, keepdims=True) - s.get("r", 0))
        s["c"] = s.get("c", 0) + w * ((g * g).mean(-2, keepdims=True) - s.get("c", 0))
        v = s["r"] * s["c"] / np.maximum(s["r"].mean(-2, keepdims=True), eps1)
    u = g / np.sqrt(np.maximum(v, eps1 * eps1))
    return p - a / max(1, rms(u) / d) * u


def lion(p, g, s, t, o):
    g, (b1, b2) = -g if o.get("maximize") else g, o.get("betas", (0.9, 0.99))
    m, lr = s.get("m", 0), 0.01
    s["m"] = b2 * m + (1 - b2) * g
    return p * (1 - lr * o.get("weight_decay", 0)) - lr * np.sign(b1 * m + (1 - b1) * g)


# fmt: off
CASES = [
    ("Adagrad", adagrad, {}), ("Adagrad", adagrad, {"lr_decay": 0.1, "weight_decay": 0.2, "maximize": True}),
    ("Adagrad", adagrad, {"initial_accumulator_value": 0.5}),
    ("Adadelta", adadelta, {}), ("Adadelta", adadelta, {"rho": 0.4, "weight_decay": 0.1, "maximize": True}),
    ("Adamax", adamax, {}), ("Adamax", adamax, {"betas": (0.4, 0.9), "weight_decay": 0.1, "maximize": True}),
    ("NAdam", nadam, {}), ("NAdam", nadam, {"weight_decay": 0.1, "momentum_decay": 0.1}),
    ("NAdam", nadam, {"weight_decay": 0.1, "decoupled_weight_decay": True, "maximize": True}),
    ("RAdam", radam, {}), ("RAdam", radam, {"betas": (0.9, 0.7), "weight_decay": 0.1}),
    ("RAdam", radam, {"weight_decay": 0.1, "decoupled_weight_decay": True, "maximize": True}),
    ("RMSprop", rmsprop, {}), ("RMSprop", rmsprop, {"alpha": 0.3, "weight_decay": 0.1, "maximize": True}),
    ("RMSprop", rmsprop, {"momentum": 0.9}), ("RMSprop", rmsprop, {"momentum": 0.5, "centered": True}),
    ("Rprop", rprop, {}), ("Rprop", rprop, {"etas": (0.2, 2.0), "step_sizes": (0.005, 0.02), "maximize": True}),
    ("ASGD", asgd, {}), ("ASGD", asgd, {"t0": 2, "lambd": 0.1, "weight_decay": 0.1, "maximize": True}),
    ("Adafactor", adafactor, {"eps": (1e-7, 1e-3)}),
    ("Lion", lion, {"lr": 0.01}), ("Lion", lion, {"lr": 0.01, "betas": (0.4, 0.8), "weight_decay": 0.1,
                                                  "maximize": True}),
    ("Adafactor", adafactor, {"eps": (0.3, 0.5), "d": 2.0, "weight_decay": 0.5, "maximize": True}),
]
# fmt: on
TOLERANCE = {"float32": 2e-5, "float64": 1e-10, "bfloat16": 0.1}


def made(array, dtype, layout):
    t = ad.from_numpy(np.array(array)).to(getattr(ad, dtype))
    if layout == "transposed" and t.ndim == 2:
        return t.t().contiguous().t()
    return t


@pytest.fixture(autouse=True, scope="module")
def wide_scalars():
    """The product of momenta and the like in float64, as the formulas have them."""
    before = ad.get_default_dtype()
    ad.set_default_dtype(ad.float64)
    yield
    ad.set_default_dtype(before)


@pytest.mark.parametrize("layout", ["contiguous", "transposed"])
@pytest.mark.parametrize("dtype", list(TOLERANCE))
@pytest.mark.parametrize("name,rule,options", CASES)
def test_rule(name, rule, options, dtype, layout):
    params = [nn.Parameter(made(a, dtype, layout)) for a in START]
    optimizer = getattr(optim, name)(params, **options)
    want, state, count = [p.detach().double().numpy() for p in params], [{} for _ in params], [0] * len(params)
    for step, grads in enumerate(GRADS[: 2 if dtype == "bfloat16" else None]):
        for k, (p, g) in enumerate(zip(params, grads)):
            if (k, step) == (2, 0):
                continue  # its first gradient comes later
            p.grad = made(g, dtype, "contiguous")
            count[k] += 1
            want[k] = rule(want[k], p.grad.double().numpy(), state[k], count[k], options)
        optimizer.step()
    for p, w in zip(params, want):
        np.testing.assert_allclose(p.detach().double().numpy(), w, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype])
    if name != "Lion":  # which does not count
        assert [int(optimizer.state[p]["step"]) for p in params] == count


ALL = [(name, {k: v for k, v in options.items() if k != "eps"}) for name, _, options in CASES] + [
    ("SGD", {"momentum": 0.9, "nesterov": True}), ("Adam", {"amsgrad": True}), ("AdamW", {})]


@pytest.mark.parametrize("name,options", ALL)
def test_captured(name, options):
    """A recorded step replays to the same bits, with a learning rate that changes."""
    results = []
    for compiled in (False, True):
        p, q = nn.Parameter(ad.from_numpy(START[0].copy())), nn.Parameter(ad.ones(3))
        optimizer = getattr(optim, name)([p, q], **options)
        schedule = optim.lr_scheduler.ExponentialLR(optimizer, 0.9)

        def step(x, p=p, q=q, optimizer=optimizer):
            optimizer.zero_grad()
            ((p * x).sum() + (q**2).sum()).backward()
            optimizer.step()
        run = ad.compile(step) if compiled else step
        for grads in GRADS:
            run(ad.from_numpy(grads[0].copy()))
            schedule.step()
        results.append([p.detach().numpy(), q.detach().numpy(), *(s.numpy() for s in optimizer.state[p].values())])
    for a, b in zip(*results):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("name,options", ALL)
def test_state_dict_round_trip(name, options):
    def run(optimizer, p, grads):
        for g in grads:
            p.grad = ad.from_numpy(g[0].copy())
            optimizer.step()
    p = nn.Parameter(ad.from_numpy(START[0].copy()))
    optimizer = getattr(optim, name)([p], **options)
    run(optimizer, p, GRADS[:3])
    q = nn.Parameter(p.detach().clone())
    again = getattr(optim, name)([q])
    again.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    run(optimizer, p, GRADS[3:])
    run(again, q, GRADS[3:])
    np.testing.assert_array_equal(p.detach().numpy(), q.detach().numpy())


@pytest.mark.parametrize("name,options", [
    ("Adagrad", {"lr_decay": -1}), ("Adagrad", {"initial_accumulator_value": -1}), ("Adadelta", {"rho": 1.5}),
    ("Adamax", {"betas": (1.0, 0.9)}), ("NAdam", {"momentum_decay": -1}), ("RAdam", {"eps": -1}),
    ("RMSprop", {"alpha": -1}), ("RMSprop", {"momentum": -1}), ("Rprop", {"etas": (1.5, 1.2)}), ("ASGD", {"lr": -1}),
    ("Lion", {"betas": (0.9, 1.0)}),
    ("Adafactor", {"d": 0.5}), ("Adafactor", {"beta2_decay": 0.5}), ("LBFGS", {"lr": -1}), ("Muon", {"momentum": -1}),
    ("Muon", {"adjust_lr_fn": "none"}), ("SparseAdam", {"lr": 0}), ("SparseAdam", {"eps": 0})])
def test_bad_options(name, options):
    with pytest.raises(ValueError):
        getattr(optim, name)([nn.Parameter(ad.ones(2, 2))], **options)


@pytest.mark.parametrize("name", ["Adagrad", "Adadelta", "Adamax", "NAdam", "RAdam", "RMSprop", "Rprop", "ASGD"])
def test_differentiable_is_refused(name):
    with pytest.raises(NotImplementedError, match="differentiable"):
        getattr(optim, name)([nn.Parameter(ad.ones(2, 2))], differentiable=True)


def test_sparse_adam_refuses_dense_gradients():
    p = nn.Parameter(ad.ones(2))
    optimizer = optim.SparseAdam([p])
    optimizer.step()
    p.grad = ad.ones(2)
    with pytest.raises(RuntimeError, match="dense gradients"):
        optimizer.step()


def test_muon_takes_matrices_and_makes_them_orthogonal():
    with pytest.raises(ValueError, match="2D"):
        optim.Muon([nn.Parameter(ad.ones(2))])
    p = nn.Parameter(ad.zeros(6, 4))
    optimizer = optim.Muon([p], lr=1.0, weight_decay=0, momentum=0)
    p.grad = ad.from_numpy(RNG.standard_normal((6, 4)))
    optimizer.step()
    u, s, v = np.linalg.svd(p.grad.numpy(), full_matrices=False)
    scale = np.sqrt(6 / 4)
    moved = np.linalg.svd(p.detach().numpy())[1]
    assert (0.6 * scale < moved).all() and (moved < 1.3 * scale).all()
    assert np.trace(-p.detach().numpy().T @ (u @ v)) > 0.7 * scale * 4


@pytest.mark.parametrize("dtype", [ad.bfloat16, ad.float16], ids=str)
@pytest.mark.parametrize("sizes", [(5, 7, 9), (130, 70, 200), (1, 300, 40)])
def test_sums_with_products_are_rounded_once(sizes, dtype):
    m, k, n = sizes
    x, a = (ad.from_numpy(RNG.standard_normal((2, *s))).to(dtype) for s in ((m, n), (m, k)))
    b = ad.from_numpy(RNG.standard_normal((2, n, k))).to(dtype).transpose(1, 2)
    got = _muon._sum(-1.75, x, 0.625, a, b)
    want = (-1.75 * x.double() + 0.625 * (a.double() @ b.double())).to(dtype)
    assert got.dtype is dtype and got.shape == want.shape
    assert (got == want).double().mean().item() > 0.99  # others are half-way cases
    assert ad.allclose(got.double(), want.double(), rtol=2**-7 if dtype is ad.bfloat16 else 2**-10, atol=1e-2)
    again = ad.compile(lambda: _muon._sum(-1.75, x, 0.625, a, b))
    assert ad.equal(again(), got) and ad.equal(again(), got)


def test_sums_with_products_refuse_what_does_not_fit():
    x = ad.ones(3, 3, dtype=ad.bfloat16)
    with pytest.raises(RuntimeError, match="product_sum: the product is"):
        _muon._sum(1.0, x[:2], 1.0, x, x)
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        _muon._sum(1.0, x, 1.0, x, x[:2])
    with pytest.raises(RuntimeError, match="same dtype"):
        _muon._sum(1.0, x.float(), 1.0, x, x)
    with pytest.raises(NotImplementedError, match="product_sum"):
        _muon._sum(1.0, x.float(), 1.0, x.float(), x.float())


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("options", [{}, {"history_size": 2, "lr": 0.5}, {"line_search_fn": "strong_wolfe"}])
def test_lbfgs_finds_the_minimum(options, dtype):
    dtype = getattr(ad, dtype)
    p, q = nn.Parameter(ad.full((3, 4), 2.0, dtype=dtype)), nn.Parameter(ad.zeros(5, dtype=dtype))
    target = ad.arange(5, dtype=dtype)
    optimizer = optim.LBFGS([p, q], **options)
    calls = []

    def closure():
        optimizer.zero_grad()
        loss = (p**4).sum() * 0.1 + ((q - target) ** 2).sum() + (p.sum() - q.sum()) ** 2 * 0.01
        loss.backward()
        calls.append(loss.item())
        return loss
    for _ in range(5):
        first = optimizer.step(closure)
    assert first.item() < 0.01 * calls[0]
    assert optimizer.state[p]["func_evals"] == len(calls)
    gradient = ad.cat([p.grad.reshape(-1), q.grad])
    assert gradient.abs().max() < 2e-2
    state = optimizer.state_dict()["state"][0]
    assert set(state) == {"func_evals", "n_iter", "al", "d", "t", "old_dirs", "old_stps", "ro", "H_diag",
                          "prev_flat_grad", "prev_loss"}
    again = optim.LBFGS([p, q], **options)
    again.load_state_dict(optimizer.state_dict())
    again.step(closure)


def test_lbfgs_direction_is_the_two_loop_recursion():
    n, k = 20000, 3
    g, y, s = RNG.standard_normal(n), RNG.standard_normal((k, n)), RNG.standard_normal((k, n))
    ro, q, factors = 1 / np.arange(n, n + k), -g, np.zeros(k)
    for i in reversed(range(k)):
        factors[i] = s[i] @ q * ro[i]
        q = q - factors[i] * y[i]
    q = 0.3 * q
    for i in range(k):
        q = q + s[i] * (factors[i] - y[i] @ q * ro[i])
    from autodiffc import _ops as ops
    tensors = [[ad.from_numpy(v) for v in part] for part in (y, s, ro.reshape(k, 1))]
    got, al = ops.lbfgs_direction(ad.from_numpy(g), 0.3, *tensors)
    np.testing.assert_allclose(got.numpy(), q, rtol=1e-9)
    np.testing.assert_allclose(al.numpy(), factors, rtol=1e-9)
    with pytest.raises(RuntimeError, match="size"):
        ops.lbfgs_direction(ad.from_numpy(g), 0.3, [ad.ones(3, dtype=ad.float64)], tensors[1][:1], tensors[2][:1])
    with pytest.raises(RuntimeError, match="one length"):
        ops.lbfgs_direction(ad.from_numpy(g), 0.3, tensors[0], tensors[1], tensors[2][:2])


def test_lbfgs_takes_one_group():
    with pytest.raises(ValueError, match="parameter groups"):
        optim.LBFGS([{"params": [nn.Parameter(ad.ones(2))]}, {"params": [nn.Parameter(ad.ones(2))]}])


@pytest.mark.parametrize("name", ["Adam", "RMSprop", "Adafactor", "LBFGS", "Muon"])
def test_the_number_of_threads_makes_no_difference(name):
    results, before = [], ad.get_num_threads()
    for threads in (1, 2, 3):
        ad.set_num_threads(threads)
        p = nn.Parameter(ad.from_numpy(np.random.default_rng(1).standard_normal((300, 170)).astype("f")))
        optimizer = getattr(optim, name)([p], lr=0.1)

        def closure(p=p, optimizer=optimizer):
            optimizer.zero_grad()
            loss = (p**4).sum()
            loss.backward()
            return loss
        for _ in range(3):
            optimizer.step(closure)
        results.append(p.detach().numpy())
    ad.set_num_threads(before)
    for other in results[1:]:
        np.testing.assert_array_equal(results[0], other)
