"""The positions of equal elements against PyTorch, over random vectors of few values."""

import numpy as np
import pytest
import torch

import autodiffc

LENGTHS = (1, 2, 3, 16, 17, 33, 64, 129, 500, 3000)


@pytest.mark.parametrize("dtype", ["int64", "uint8", "float32", "float64"])
def test_positions(dtype):
    r = np.random.default_rng(3)
    for n in LENGTHS:
        x = r.integers(0, int(r.choice([2, 5, 100])), (3, n)).astype(dtype)
        if n > 100 and dtype == "float32":
            nans = x.copy()
            nans[:, r.integers(0, n, n // 10)] = np.nan
        else:
            nans = x
        k = int(r.integers(1, n + 1))
        few = min(k, 3)
        for T in (torch, autodiffc):
            t, u = T.from_numpy(x.copy()), T.from_numpy(nans.copy())
            got = [u.sort()[1], u.sort(-1, True)[1], u.argsort(), u.t().argsort(0), t.topk(k)[1], u.topk(few)[1],
                   u.topk(k, largest=False)[1], t.topk(k, sorted=False)[1], u.kthvalue(k)[1], t.mode()[1],
                   u.median(-1)[1], u.nanmedian(-1)[1]]  # fmt: skip
            got = [g.numpy() for g in got]
            if T is torch:
                want = got
        for name, (a, b) in enumerate(zip(want, got)):
            assert np.array_equal(a, b), (n, k, name)
