"""utils.checkpoint: the same gradients with less kept."""

import pytest

import autodiffc as ad
from autodiffc import nn
from autodiffc.utils.checkpoint import (
    CheckpointError,
    checkpoint,
    checkpoint_sequential,
    set_checkpoint_early_stop,
)

pytestmark = pytest.mark.filterwarnings("ignore")


def net():
    ad.manual_seed(1)
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Dropout(0.3), nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 2))


def grads(m, run):
    ad.manual_seed(2)
    x = ad.randn(5, 4).requires_grad_()
    y = run(m, x)
    y.pow(2).sum().backward()
    return [y.tolist(), x.grad.tolist(), *[p.grad.tolist() for p in m.parameters()], ad.rand(2).tolist()]


@pytest.mark.parametrize("reentrant", [True, False])
def test_gradients_and_random_numbers_are_those_without(reentrant):
    expected = grads(net(), lambda m, x: m(x))
    options = {"use_reentrant": reentrant}
    assert grads(net(), lambda m, x: checkpoint(m, x, **options)) == expected
    assert grads(net(), lambda m, x: checkpoint_sequential(m, 3, x, **options)) == expected
    assert grads(net(), lambda m, x: checkpoint_sequential(list(m), 2, x, **options)) == expected
    inner = lambda m, x: checkpoint(lambda x: checkpoint(m[3:], m[:3](x), **options), x, **options)  # noqa: E731
    assert grads(net(), inner) == expected
    if not reentrant:
        with set_checkpoint_early_stop(False):
            assert grads(net(), inner) == expected


@pytest.mark.parametrize("reentrant", [True, False])
def test_autocast_is_as_it_was(reentrant):
    seen = []

    def f(x):
        seen.append(ad.is_autocast_enabled("cpu"))
        return x @ x

    x = ad.ones(4, 4, requires_grad=True)
    with ad.autocast("cpu", dtype=ad.bfloat16):
        y = checkpoint(f, x, use_reentrant=reentrant)
    assert y.dtype is ad.bfloat16
    y.sum().backward()
    assert seen == [True, True] and x.grad.tolist() == [[8.0] * 4] * 4


def test_what_is_kept(stats):
    x = ad.randn(64, 64).requires_grad_()

    def deep(x):
        for _ in range(20):
            x = x.sin()
        return x

    kept = {}
    for name, run in (
        ("plain", deep),
        ("reentrant", lambda x: checkpoint(deep, x, use_reentrant=True)),
        ("not", lambda x: checkpoint(deep, x, use_reentrant=False)),
    ):
        before = stats()
        y = run(x)
        kept[name] = stats()["storages"] - before["storages"]
        y.sum().backward()
        x.grad = None
        del y
        assert stats()["storages"] == before["storages"] and stats()["nodes"] == before["nodes"]
    assert kept["plain"] >= 20 and kept["reentrant"] <= 2 and kept["not"] <= 2


def test_more_than_tensors():
    def f(x, scale, *, shift, names):
        return {"y": (x * scale).exp() + shift, "names": names}

    x = ad.ones(3, requires_grad=True)
    shift = ad.ones(3, requires_grad=True)
    r = checkpoint(f, x, 2.0, shift=shift, names=["a"], use_reentrant=False)
    (r["y"] * r["y"]).sum().backward()
    e = ad.tensor(2.0).exp()
    assert x.grad.allclose(4 * (e + 1) * e) and shift.grad.allclose(2 * (e + 1)) and r["names"] == ["a"]

    def g(x, k):
        return x * 2, k

    y, k = checkpoint(g, x, 3, use_reentrant=True)
    assert k == 3
    x.grad = None
    y.sum().backward()
    assert x.grad.tolist() == [2, 2, 2]
    p = ad.ones(2, requires_grad=True)
    checkpoint(lambda t: t * p, ad.ones(2), use_reentrant=False).sum().backward()
    assert p.grad.tolist() == [1, 1]
    with ad.no_grad():
        assert not checkpoint(lambda t: t * p, x[:2], use_reentrant=False).requires_grad


def test_autograd_grad_and_second_gradients():
    x = ad.ones(3, requires_grad=True)
    y = checkpoint(lambda x: (x * 2).sin(), x, use_reentrant=False)
    (g,) = ad.autograd.grad(y.sum(), x, create_graph=True)
    (gg,) = ad.autograd.grad(g.sum(), x)
    assert g.allclose(2 * ad.tensor(2.0).cos()) and gg.allclose(-4 * ad.tensor(2.0).sin())
    y = checkpoint(lambda x: (x * 2).sin(), x, use_reentrant=False)
    y.sum().backward(retain_graph=True)
    y.sum().backward()
    assert x.grad.allclose(4 * ad.tensor(2.0).cos())
    with pytest.raises(RuntimeError, match="second time"):
        y.sum().backward()
    y = checkpoint(lambda x: x.sin(), x, use_reentrant=True)
    with pytest.raises(RuntimeError, match="incompatible with .grad"):
        ad.autograd.grad(y.sum(), x)
    y = checkpoint(lambda x: x.sin(), x, use_reentrant=True)
    with pytest.raises(RuntimeError, match="incompatible with .grad"):
        y.sum().backward(inputs=[x])


def test_functions_that_do_something_else_the_second_time():
    def changing(first, later):
        calls = []

        def f(x):
            calls.append(x)
            return first(x) if len(calls) == 1 else later(x)

        return f

    x = ad.ones(3, requires_grad=True)
    y = checkpoint(changing(lambda x: x.sin().exp(), lambda x: x * 2), x, use_reentrant=False)
    with pytest.raises(CheckpointError, match="different number of tensors"):
        y.sum().backward()
    other = changing(lambda x: (x * 2).sin(), lambda x: (ad.cat([x, x]) * 2).sin())
    y = checkpoint(other, x, use_reentrant=False)
    with pytest.raises(CheckpointError, match="different metadata"):
        y.sum().backward()
    y = checkpoint(changing(lambda x: x.sin(), lambda x: 1 / 0), x, use_reentrant=False)
    with pytest.raises(ZeroDivisionError):
        y.sum().backward()


def test_arguments():
    x = ad.ones(3, requires_grad=True)
    for call in (
        lambda: checkpoint(ad.sin, x, use_reentrant=True, foo=1),
        lambda: checkpoint(ad.sin, x, use_reentrant=True, debug=True),
        lambda: checkpoint(ad.sin, x, use_reentrant=False, determinism_check="foo"),
        lambda: checkpoint_sequential([ad.sin], 1, x, foo=1),
    ):
        with pytest.raises(ValueError):
            call()
    with pytest.warns(UserWarning, match="use_reentrant"):
        checkpoint(ad.sin, x)
    with pytest.warns(UserWarning, match="None of the inputs"):
        checkpoint(ad.sin, ad.ones(3), use_reentrant=True)
