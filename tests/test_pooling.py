"""Pooling layers, and what the rows of tests/cases/pooling.py leave out."""

import numpy as np
import pytest

import autodiffc as ad
from autodiffc import nn
from autodiffc.nn import functional as F


def test_modules_say_what_they_are():
    assert repr(nn.MaxPool2d((2, 3), 2, 1)) == (
        "MaxPool2d(kernel_size=(2, 3), stride=2, padding=1, dilation=1, ceil_mode=False)"
    )
    assert repr(nn.AvgPool1d(2)) == "AvgPool1d(kernel_size=(2,), stride=(2,), padding=(0,))"
    assert repr(nn.AvgPool2d(3, 2, 1)) == "AvgPool2d(kernel_size=3, stride=2, padding=1)"
    assert repr(nn.AdaptiveAvgPool2d((None, 3))) == "AdaptiveAvgPool2d(output_size=(None, 3))"
    assert nn.MaxPool1d(3).stride == 3
    assert not list(nn.AdaptiveMaxPool3d(2).parameters())


@pytest.mark.parametrize("n", [1, 2, 3])
def test_modules_are_the_functions(n):
    x = ad.randn(2, 3, *[7] * n)
    for name, function in (("MaxPool", "max_pool"), ("AvgPool", "avg_pool")):
        got = getattr(nn, f"{name}{n}d")(3, 2, 1, ceil_mode=True)(x)
        assert ad.equal(got, getattr(F, f"{function}{n}d")(x, 3, 2, 1, ceil_mode=True))
    for name, function in (("AdaptiveMaxPool", "adaptive_max_pool"), ("AdaptiveAvgPool", "adaptive_avg_pool")):
        assert ad.equal(getattr(nn, f"{name}{n}d")(3)(x), getattr(F, f"{function}{n}d")(x, 3))


def test_nan_is_largest_and_the_first_of_equal_values_is_chosen():
    nan, inf = float("nan"), float("inf")
    x = ad.tensor([[[nan, 3.0, nan, 1.0, -inf, -inf, 2.0, 2.0]]])
    y, where = F.max_pool1d(x, 2, return_indices=True)
    assert np.array_equal(y.numpy(), [[[nan, nan, -inf, 2.0]]], equal_nan=True)
    assert where.tolist() == [[[0, 2, 4, 6]]]
    assert F.max_pool1d(x, 4, return_indices=True)[1].tolist() == [[[2, 6]]]


def test_equal_values_share_no_gradient():
    x = ad.zeros(1, 1, 4, 4, requires_grad=True)
    F.max_pool2d(x, 2).sum().backward()
    assert x.grad.tolist() == [[[[1.0, 0, 1, 0], [0] * 4, [1, 0, 1, 0], [0] * 4]]]


def test_the_gradient_knows_its_input_as_pytorch_s_does():
    """Its derivative by the input is zero, but it is there: a gradient penalty can be built on it."""
    x = ad.randn(1, 2, 4, 4, requires_grad=True)
    for f in (lambda t: F.max_pool2d(t, 2), lambda t: F.avg_pool2d(t, 2), lambda t: F.pad(t, (1, 1, 1, 1), "reflect")):
        (g,) = ad.autograd.grad(f(x * 1).sum(), x, create_graph=True)
        (again,) = ad.autograd.grad(g.sum(), x)
        assert not again.any()


def test_rows_longer_than_a_tile():
    rng = np.random.default_rng(0)
    a = rng.standard_normal((2, 5000)).astype(np.float32)
    x = ad.tensor(a, requires_grad=True)
    y = F.avg_pool1d(x, 3000, 1000)
    want = np.stack([a[:, s : s + 3000].mean(1) for s in (0, 1000, 2000)], 1)
    np.testing.assert_allclose(y.detach().numpy(), want, atol=1e-6)
    y.sum().backward()
    counts = np.array([sum(s <= i < s + 3000 for s in (0, 1000, 2000)) for i in range(5000)]) / 3000
    np.testing.assert_allclose(x.grad.numpy(), np.broadcast_to(counts, (2, 5000)), rtol=1e-5)
    got = F.max_pool1d(x, 3, 1, 1).detach().numpy()
    padded = np.pad(a, ((0, 0), (1, 1)), constant_values=-np.inf)
    assert np.array_equal(got, np.maximum(np.maximum(padded[:, :-2], padded[:, 1:-1]), padded[:, 2:]))


def test_odd_rows_of_two_by_two_have_no_gradient():
    x = ad.randn(3, 5, 7, requires_grad=True)
    F.max_pool2d(x, 2).sum().backward()
    assert x.grad.sum() == 3 * 2 * 3
    assert not x.grad[:, 4].any() and not x.grad[:, :, 6].any()


def test_modules_of_rarer_kinds():
    x = ad.randn(2, 4, 6, 6)
    y, where = nn.MaxPool2d(2, return_indices=True)(x)
    assert ad.equal(nn.MaxUnpool2d(2)(y, where), F.max_unpool2d(y, where, 2))
    assert repr(nn.MaxUnpool2d(2)) == "MaxUnpool2d(kernel_size=(2, 2), stride=(2, 2), padding=(0, 0))"
    assert ad.equal(nn.LPPool2d(2, 2)(x), F.lp_pool2d(x, 2, 2))
    assert repr(nn.LPPool1d(2, 3)) == "LPPool1d(norm_type=2, kernel_size=3, stride=None, ceil_mode=False)"
    u = ad.rand(2, 4, 2)
    assert nn.FractionalMaxPool2d(2, output_ratio=0.5, _random_samples=u)(x).shape == (2, 4, 3, 3)
    with pytest.raises(ValueError, match="only one"):
        nn.FractionalMaxPool2d(2, output_size=2, output_ratio=0.5)
    assert ad.equal(nn.LocalResponseNorm(2)(x), F.local_response_norm(x, 2))
    assert repr(nn.LocalResponseNorm(2)) == "LocalResponseNorm(2, alpha=0.0001, beta=0.75, k=1.0)"


def test_cross_map_normalization_sums_as_pytorch_does():
    x = ad.arange(1.0, 6.0).reshape(1, 5, 1, 1)
    sums = ad.tensor([1 + 4, 1 + 4 + 9, 1 + 4 + 9 + 16, 1 + 9 + 16 + 25, 1 + 16 + 25]).reshape(1, 5, 1, 1)
    assert ad.allclose(nn.CrossMapLRN2d(3, 3.0, 1.0, 0.0)(x), x / sums)


def test_regions_are_drawn_from_the_generator():
    x = ad.randn(2, 3, 9, 9)
    ad.manual_seed(1)
    a = F.fractional_max_pool2d(x, 2, 4)
    ad.manual_seed(1)
    assert ad.equal(a, F.fractional_max_pool2d(x, 2, 4, _random_samples=ad.rand(2, 3, 2)))


def test_integers():
    x = ad.arange(16).reshape(1, 4, 4)
    assert F.max_pool2d(x, 2).tolist() == [[[5, 7], [13, 15]]]
    assert F.avg_pool2d(-x, 2).tolist() == [[[-2, -4], [-10, -12]]]
    low = ad.full((1, 2, 2), -(2**63), dtype=ad.int64)
    assert F.avg_pool2d(low, 1, divisor_override=-1).tolist() == low.tolist()


def test_a_replay_gives_the_same_bits():
    model = nn.Sequential(nn.MaxPool2d(2), nn.AvgPool2d(3, 1, 1), nn.AdaptiveAvgPool2d(2))
    x = ad.randn(2, 3, 12, 12, requires_grad=True)

    def step():
        x.grad = None
        loss = (model(x) ** 2).sum()
        loss.backward()
        return loss

    want = step().clone()
    grad = x.grad.clone()
    fast = ad.compile(step)
    for _ in range(3):
        assert ad.equal(fast(), want) and ad.equal(x.grad, grad)
