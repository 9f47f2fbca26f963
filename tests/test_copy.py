"""Copies between geometries: every order of dimensions, steps, stretched and reversed ones, of each element size."""

import itertools

import numpy as np
import pytest

import autodiffc as T

DTYPES = ["uint8", "int16", "float32", "float64"]


def values(sizes, dtype):
    return np.random.default_rng(0).integers(0, 200, sizes).astype(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("sizes", [(3, 5, 7), (2, 70, 40), (33, 2, 65), (4, 1, 31), (40, 50, 60)])
def test_orders(sizes, dtype):
    a = values(sizes, dtype)
    x = T.from_numpy(a)
    for order in itertools.permutations(range(3)):
        np.testing.assert_array_equal(x.permute(order).contiguous().numpy(), np.transpose(a, order))
        y = T.empty(*sizes, dtype=x.dtype).permute(order)  # a destination in another order
        y.copy_(x.permute(order))
        np.testing.assert_array_equal(y.contiguous().numpy(), np.transpose(a, order))


@pytest.mark.parametrize("dtype", DTYPES)
def test_steps(dtype):
    a = values((130, 170), dtype)
    x = T.from_numpy(a)
    np.testing.assert_array_equal(x[::3, 1::2].contiguous().numpy(), a[::3, 1::2])
    np.testing.assert_array_equal(x.t()[5:, ::7].contiguous().numpy(), a.T[5:, ::7])
    y, b = T.zeros(130, 340, dtype=x.dtype), np.zeros((130, 340), dtype)
    y[:, ::2], b[:, ::2] = x, a
    y[:, 1::2], b[:, 1::2] = x[0], a[0]  # stretched
    np.testing.assert_array_equal(y.numpy(), b)
    y[3:5, 2:100] = x[7, 0]
    b[3:5, 2:100] = a[7, 0]
    np.testing.assert_array_equal(y.numpy(), b)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", [1, 2, 3, 64, 777])
def test_reversed(n, dtype):
    a = values((90, n), dtype)
    x = T.from_numpy(a)
    for dims in ([0], [1], [0, 1]):
        np.testing.assert_array_equal(x.flip(dims).numpy(), np.flip(a, dims))
        np.testing.assert_array_equal(x.t().flip(dims).numpy(), np.flip(a.T, dims))
    np.testing.assert_array_equal(x.roll(5, 1).numpy(), np.roll(a, 5, 1))
    np.testing.assert_array_equal(T.cat([x, x.flip(0)], 1).numpy(), np.concatenate([a, a[::-1]], 1))
    np.testing.assert_array_equal(T.stack([x, x.flip(0)], 2).numpy(), np.stack([a, a[::-1]], 2))


@pytest.mark.parametrize("dtype", DTYPES)
def test_stretched(dtype):
    a = values((60, 50), dtype)
    x = T.from_numpy(a)
    np.testing.assert_array_equal(x.repeat(2, 3).numpy(), np.tile(a, (2, 3)))
    np.testing.assert_array_equal(x.repeat_interleave(3, 1).numpy(), np.repeat(a, 3, 1))
    stretched = x[:, :, None].expand(60, 50, 20)
    np.testing.assert_array_equal(stretched.contiguous().numpy(), np.repeat(a[:, :, None], 20, 2))
    np.testing.assert_array_equal(x[:, None].expand(60, 20, 50).contiguous().numpy(), np.repeat(a[:, None], 20, 1))
    one = T.tensor([7], dtype=x.dtype).expand(300, 200)
    np.testing.assert_array_equal(one.contiguous().numpy(), np.full((300, 200), 7))


def test_threads():
    a = values((300, 20, 41), "float32")
    x = T.from_numpy(a)
    kept = T.get_num_threads()
    try:
        for n in (1, 2, 3, 8):
            T.set_num_threads(n)
            for order in itertools.permutations(range(3)):
                np.testing.assert_array_equal(x.permute(order).contiguous().numpy(), np.transpose(a, order))
    finally:
        T.set_num_threads(kept)
