"""func.vmap: over loops written out, nested, with gradients, and what it refuses."""

import pytest

import autodiffc as ad
from autodiffc import nn
from autodiffc.func import functional_call, grad, hessian, jacfwd, jacrev, jvp, stack_module_state, vjp, vmap

A = ad.arange(12.0).reshape(4, 3) / 7
B = ad.arange(12.0).reshape(4, 3).cos()
W = ad.arange(6.0).reshape(3, 2).sin()

FUNCTIONS = [
    lambda x: x.sin() * 2 + 1,
    lambda x: x.sum(),
    lambda x: x.mean(-1, keepdim=True),
    lambda x: x @ W,
    lambda x: nn.functional.linear(x, W.t(), ad.ones(2)),
    lambda x: x[1:],
    lambda x: x[ad.tensor([2, 0])],
    lambda x: x.softmax(0).max(0).values,
    lambda x: ad.outer(x, x).trace(),
    lambda x: ad.where(x > 0.5, x, -x),
    lambda x: x.reshape(3, 1).expand(3, 2).contiguous(),
    lambda x: ad.cat([x, x * 2]).norm(),
    lambda x: x.clone().mul_(2).cumsum(0),
]


@pytest.mark.parametrize("f", FUNCTIONS)
def test_each_sample_by_itself(f):
    expected = ad.stack([f(x) for x in A])
    assert vmap(f)(A).equal(expected) and vmap(f, in_dims=1)(A.t()).equal(expected)
    assert vmap(f, in_dims=-1, out_dims=-1, chunk_size=2)(A.t()).equal(expected.movedim(0, -1))
    x = A.clone().requires_grad_()
    y = vmap(f)(x)
    y.sum().backward()
    z = A.clone().requires_grad_()
    sum(f(row).sum() for row in z.unbind()).backward()
    assert x.grad.allclose(z.grad)


def test_arguments_and_results_in_structures():
    def f(x, d, k):
        return {"a": x + d["b"][0], "c": (d["b"][1] * k,)}

    r = vmap(f, in_dims=(0, {"b": (1, None)}, None), out_dims={"a": 0, "c": (1,)})(A, {"b": (B.t(), W)}, 3.0)
    assert r["a"].equal(A + B) and r["c"][0].shape == (3, 4, 2) and r["c"][0][:, 2].equal(W * 3)
    r = vmap(lambda x, y: (x, y), out_dims=(0, 1))(A, B)
    assert r[1].equal(B.t())
    assert vmap(lambda x, s=1: x * s)(A, s=2).equal(A * 2)
    assert vmap(lambda x: ad.ones(2), out_dims=None)(A).equal(ad.ones(2))
    assert vmap(lambda x: x.sum())(ad.ones(0, 3)).shape == (0,)
    assert ad.vmap(ad.dot)(A, B).allclose((A * B).sum(1))
    assert vmap(vmap(ad.dot, in_dims=(None, 0)), in_dims=(0, None))(A, B).allclose(A @ B.t())


def test_with_other_transforms():
    f = lambda x: (x.sin() * x).sum()  # noqa: E731
    rows = [x.clone().requires_grad_() for x in A]
    for x in rows:
        f(x).backward()
    assert vmap(grad(f))(A).allclose(ad.stack([x.grad for x in rows]))
    assert grad(lambda a: vmap(f)(a).sum())(A).allclose(ad.stack([x.grad for x in rows]))
    for transform in (jacrev, jacfwd, hessian):
        g = f if transform is hessian else (lambda x: x.exp().cumsum(0))
        assert vmap(transform(g))(A).allclose(ad.stack([transform(g)(x) for x in A]))
    assert jacrev(vmap(f))(A).allclose(ad.stack([ad.stack([x.grad if i == k else ad.zeros(3) for i in range(4)]) for k, x in enumerate(rows)]))  # noqa: E501
    _, tangents = jvp(vmap(ad.sin), (A,), (B,))
    assert tangents.allclose(A.cos() * B)
    _, back = vjp(vmap(ad.sin), A)
    assert back(B)[0].allclose(A.cos() * B)
    assert vmap(lambda x, v: jvp(ad.sin, (x,), (v,))[1])(A, B).allclose(A.cos() * B)


def test_gradients_of_each_sample_and_ensembles():
    model = nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 1))
    params = {k: v.detach() for k, v in model.named_parameters()}

    def loss(params, x, y):
        return (functional_call(model, params, (x.unsqueeze(0),)) - y).pow(2).sum()

    y = ad.arange(4.0)
    per_sample = vmap(grad(loss), in_dims=(None, 0, 0))(params, A, y)
    (model(A) - y.unsqueeze(1)).pow(2).sum().backward()
    for name, p in model.named_parameters():
        assert per_sample[name].shape == (4, *p.shape) and per_sample[name].sum(0).allclose(p.grad, atol=1e-5)
    models = [nn.Linear(3, 2) for _ in range(3)]
    stacked, buffers = stack_module_state(models)

    def call(p, b, x):
        return functional_call(models[0], (p, b), (x,))

    assert vmap(call, in_dims=(0, 0, None))(stacked, buffers, A).allclose(ad.stack([m(A) for m in models]))


def test_random_numbers():
    with pytest.raises(RuntimeError, match="randomness error mode"):
        vmap(lambda x: x + ad.rand(3))(A)
    same = vmap(lambda x: x * 0 + ad.rand(3), randomness="same")(A)
    assert same[0].equal(same[3])
    different = vmap(lambda x: x * 0 + ad.rand(3), randomness="different")(A)
    assert not different[0].equal(different[3])
    with pytest.raises(RuntimeError, match="randomness"):
        vmap(ad.sin, randomness="other")


@pytest.mark.parametrize(
    "call",
    [
        lambda: vmap(lambda x: 3.0)(A),
        lambda: vmap(lambda x: (x, 3))(A),
        lambda: vmap(lambda x, y: x)(A, ad.ones(5)),
        lambda: vmap(ad.sin, in_dims=2)(A),
        lambda: vmap(ad.sin, in_dims=(0, 0))(A),
        lambda: vmap(ad.sin, in_dims=None)(A),
        lambda: vmap(ad.sin, in_dims=[0])(A),
        lambda: vmap(ad.sin, in_dims=(None,))(A),
        lambda: vmap(lambda x, y: x)(A, 2.0),
        lambda: vmap(ad.sin)(),
        lambda: vmap(ad.sin, out_dims=None)(A),
        lambda: vmap(ad.sin, out_dims=(0, 1))(A),
        lambda: vmap(ad.sin, chunk_size=0)(A),
    ],
)
def test_refusals(call):
    with pytest.raises(ValueError, match="vmap"):
        call()


def test_dimensions_out_of_range():
    with pytest.raises(IndexError):
        vmap(ad.sin, out_dims=3)(A)


# ---- whole batches ----


def test_one_call_for_all_samples():
    calls = []

    def f(x):
        calls.append(tuple(x.shape))
        y = x.clone()
        y[0] = y.sum()
        y[1:].mul_(2)
        return y, ad.zeros(2)

    y, z = vmap(f)(A)
    assert calls == [(3,)] and z.shape == (4, 2)
    expected = A.clone() * 2
    expected[:, 0] = A.sum(1)
    assert y.equal(expected)
    with pytest.raises(RuntimeError, match="clone"):
        z += 1  # one for all samples


def test_values_are_read_sample_by_sample():
    assert vmap(lambda x: x if x.sum() > 1 else -x)(A).equal(ad.stack([x if x.sum() > 1 else -x for x in A]))
    assert vmap(lambda x: ad.tensor(x.tolist()) * 2)(A).equal(A * 2)
    assert vmap(lambda x: x[x > 0.2][:1])(A[1:]).equal(ad.stack([x[x > 0.2][:1] for x in A[1:]]))
    total = ad.zeros(3)

    def add(x):
        total.add_(x)
        return x

    vmap(add)(A)
    assert total.allclose(A.sum(0))
    kept = []
    vmap(lambda x: kept.append(x) or x)(A)
    with pytest.raises(RuntimeError, match="vmap"):
        kept[0].tolist()
    assert ad.func.vmap(vmap(lambda x: x * x.item()))(A).equal(A * A)


def test_indices_out_of_range_of_any_sample():
    index = ad.tensor([0, 2, 7, 1])
    for f in (
        lambda x, i: x[i],
        lambda x, i: x.index_select(0, i),
        lambda x, i: x.gather(0, i.unsqueeze(0)),
        lambda x, i: nn.functional.embedding(i, W),
        lambda x, i: nn.functional.cross_entropy(x, i),
    ):
        with pytest.raises((IndexError, RuntimeError), match="out of (range|bounds)"):
            vmap(f)(A, index)


def test_gradients_inside_and_through():
    weight = W.t().clone().requires_grad_()

    def inner(w, x, y):
        return (w @ x - y).pow(2).sum()

    def adapted(w, x, y):
        return inner(w - 0.1 * grad(inner)(w, x, y), x, y)

    y = ad.ones(4, 2)
    vmap(lambda x, y: adapted(weight, x, y))(A, y).sum().backward()
    by_loop = sum(adapted(weight, a, b) for a, b in zip(A, y))
    assert weight.grad.allclose(ad.autograd.grad(by_loop, weight)[0], atol=1e-5)
    assert grad(lambda w: vmap(adapted, in_dims=(None, 0, 0))(w, A, y).sum())(weight).allclose(weight.grad, atol=1e-5)
    with pytest.raises(RuntimeError, match="func.grad"):
        vmap(lambda x: inner(weight, x, 1.0).backward() or x)(A)

    def written(x):
        z = x.sin()
        z[0] = z[1] * 3
        z[1:] += 1
        return (z * z).sum()

    assert vmap(grad(written))(A).allclose(ad.stack([grad(written)(x) for x in A]))
    z = A.clone().requires_grad_()
    vmap(lambda x: x * 2)(z).mul_(3).sum().backward()
    assert z.grad.equal(ad.full((4, 3), 6.0))


def test_jacobians_of_structures_and_in_parts():
    def f(p):
        return {"y": (p["a"].exp() * p["b"].sum(), p["b"] * 2)}

    p = {"a": A[0], "b": B}
    for transform in (jacrev, jacfwd):
        j = transform(f)(p)
        assert j["y"][0]["b"].shape == (3, 4, 3) and j["y"][1]["a"].equal(ad.zeros(4, 3, 3))
        assert j["y"][0]["a"].allclose((A[0].exp() * B.sum()).diag())
    assert jacrev(f, chunk_size=5)(p)["y"][1]["b"].equal(2 * ad.eye(12).view(4, 3, 4, 3))
    value, aux = jacfwd(lambda x: (x.sin(), x + 1), has_aux=True)(A[0])
    assert value.allclose(A[0].cos().diag()) and aux.equal(A[0] + 1)
    assert jacrev(lambda x: x * 0)(ad.zeros(0)).shape == (0, 0)


def test_captured_step():
    each = vmap(grad(lambda w, x: (x @ w).exp().cumsum(0).sum()), in_dims=(None, 0))
    step = ad.compile(lambda x: each(W, x) * 2)
    assert all(step(x).allclose(each(W, x) * 2) for x in (A, B, A + 1))


def test_random_numbers_are_drawn_for_the_batch():
    ad.manual_seed(1)
    r = vmap(lambda x: x * 0 + ad.randn(20), randomness="different")(ad.ones(4, 1))
    ad.manual_seed(1)
    assert r.equal(ad.randn(4, 20))
    ad.manual_seed(1)
    d = vmap(lambda x: nn.functional.dropout(x, 0.5), randomness="different")(A + 1)
    ad.manual_seed(1)
    assert d.equal(nn.functional.dropout(A + 1, 0.5))


def test_gradients_of_what_all_samples_share_are_summed_where_they_leave():
    """A node made under vmap whose result does not differ between samples, and whose rule reads values."""
    m = ad.eye(3) * 2 + 0.1

    def f(m):
        return vmap(lambda x: (ad.linalg.cholesky(m) * x).sum())(A).sum()

    by_loop = grad(lambda m: sum((ad.linalg.cholesky(m) * x).sum() for x in A))(m)
    assert grad(f)(m).allclose(by_loop, atol=1e-5)
    assert vmap(grad(f))(ad.stack([m, m]))[1].allclose(by_loop, atol=1e-5)
