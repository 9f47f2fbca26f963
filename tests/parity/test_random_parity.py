"""Random numbers beside PyTorch's: the same seed, many sizes, dtypes and layouts, and the state afterwards."""
# ruff: noqa: B023

import numpy as np
import pytest
import torch

import autodiffc as ad

FLOATS = ["float32", "float64", "float16", "bfloat16"]
INTS = ["int64", "int32", "int16", "int8", "uint8"]
SIZES = [0, 1, 5, 15, 16, 17, 31, 64, 100, 1000, 3001]


def numbers(t):
    return np.asarray(t.detach().to(torch.float64 if isinstance(t, torch.Tensor) else ad.float64))


def assert_same(fn, seed=0, exact=True):  # calls fn at once, so that lambdas may name loop variables
    torch.manual_seed(seed)
    ad.manual_seed(seed)
    a, b = fn(torch), fn(ad)
    assert str(a.dtype) == str(b.dtype) and tuple(a.shape) == tuple(b.shape)
    if exact:
        np.testing.assert_array_equal(numbers(b), numbers(a))
    else:
        np.testing.assert_allclose(numbers(b), numbers(a), rtol=1e-6)
    np.testing.assert_array_equal(np.asarray(ad.get_rng_state()), torch.get_rng_state().numpy())


FILLS = {
    "uniform_": (-0.5, 1.5), "normal_": (0.5, 2.0), "exponential_": (1.5,), "cauchy_": (0.5, 2.0),
    "log_normal_": (0.5, 0.25), "geometric_": (0.25,), "bernoulli_": (0.3,), "random_": (),
}  # fmt: skip


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("name", FILLS)
@pytest.mark.parametrize("seed", [0, 1, 2**40 + 7, -3])
def test_fills(name, dtype, seed):
    for n in SIZES:
        assert_same(lambda T: getattr(T.empty(n, dtype=getattr(T, dtype)), name)(*FILLS[name]), seed)


@pytest.mark.parametrize("dtype", [*INTS, "bool"])
def test_integer_fills(dtype):
    for n in SIZES:
        assert_same(lambda T: T.empty(n, dtype=getattr(T, dtype)).random_(), n)
        assert_same(lambda T: T.empty(n, dtype=getattr(T, dtype)).bernoulli_(0.3), n)
        if dtype != "bool":
            assert_same(lambda T: T.randint(3, 90, (n,), dtype=getattr(T, dtype)), n)
            assert_same(lambda T: T.empty(n, dtype=getattr(T, dtype)).random_(5, None), n)


@pytest.mark.parametrize("n", [0, 1, 2, 10, 127, 1000, 20000])
def test_randperm(n):
    for seed in range(4):
        assert_same(lambda T: T.randperm(n), seed)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("replacement", [False, True])
def test_multinomial(dtype, replacement):
    weights = np.random.default_rng(0).uniform(0.1, 1, (5, 40))
    for seed in range(4):
        for count in (1, 2, 7):
            def draw(T):
                return T.multinomial(T.from_numpy(weights.copy()).to(getattr(T, dtype)), count, replacement)

            assert_same(draw, seed)


LAYOUTS = [
    lambda t: t, lambda t: t.t(), lambda t: t[:, ::2], lambda t: t[::2].t(),
    lambda t: t.reshape(4, 5, 3, 2).permute(2, 0, 3, 1),
    lambda t: t.reshape(4, 5, 3, 2)[:, 1:4].transpose(1, 2),
]  # fmt: skip


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", FLOATS)
def test_layouts(layout, dtype):
    def filled(name, *args):
        return lambda T: getattr(layout(T.zeros(10, 12, dtype=getattr(T, dtype))), name)(*args)

    def dropped(T):
        return T.nn.functional.dropout(layout(T.ones(10, 12, dtype=getattr(T, dtype))), 0.4)

    for fn in (filled("normal_"), filled("uniform_"), filled("bernoulli_", 0.4), filled("random_", 50), dropped):
        assert_same(fn, 3)
    assert_same(lambda T: T.rand_like(layout(T.zeros(10, 12, dtype=getattr(T, dtype)))), 3)
    assert_same(lambda T: T.randn_like(layout(T.zeros(10, 12, dtype=getattr(T, dtype)))), 3)


DROPOUTS = ["dropout", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout", "feature_alpha_dropout"]


@pytest.mark.parametrize("name", DROPOUTS)
@pytest.mark.parametrize("inplace", [False, True])
def test_dropouts(name, inplace):
    size = {"dropout1d": (3, 4, 5), "dropout2d": (3, 4, 5, 2), "dropout3d": (3, 4, 2, 2, 2)}.get(name, (6, 7, 3))
    x = np.random.default_rng(0).standard_normal(size).astype(np.float32)
    for seed in range(3):
        def drop(T):
            return getattr(T.nn.functional, name)(T.from_numpy(x.copy()), 0.4, True, inplace)

        assert_same(drop, seed, exact=False)


def test_normal_of_tensors():
    mean, std = np.linspace(-1, 1, 60).reshape(3, 20), np.linspace(0.5, 2, 20)
    for dtype in FLOATS:
        def make(T, a):
            return T.from_numpy(a.copy()).to(getattr(T, dtype))

        assert_same(lambda T: T.normal(make(T, mean), make(T, std)), 1)
        assert_same(lambda T: T.normal(make(T, mean), 2.0), 1)
        assert_same(lambda T: T.normal(0.5, make(T, std)), 1)
        assert_same(lambda T: T.normal(0.5, 2.0, (3, 20), dtype=getattr(T, dtype)), 1)


def test_states_are_exchanged():
    torch.manual_seed(5)
    torch.randn(3)
    torch.rand(700)
    ad.set_rng_state(ad.from_numpy(torch.get_rng_state().numpy().copy()))
    assert ad.randn(5).tolist() == torch.randn(5).tolist()
    g, h = torch.Generator(), ad.Generator()
    ad.rand(3, generator=h.manual_seed(2**63))
    g.set_state(torch.from_numpy(np.array(h.get_state().numpy())))
    assert g.initial_seed() == h.initial_seed() == 2**63
    assert torch.rand(9, generator=g).tolist() == ad.rand(9, generator=h).tolist()
