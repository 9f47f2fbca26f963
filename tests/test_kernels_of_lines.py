"""Sorting, scans, searches, extremes, histograms and distances on lengths around the borders of their kernels."""

import warnings

import numpy as np
import pytest

import autodiffc as T
import autodiffc.nn.functional as F

LENGTHS = [1, 2, 15, 16, 17, 63, 64, 65, 127, 128, 129, 300, 1023, 1024, 5000]


def drawn(sizes, dtype, seed=0):
    rng = np.random.default_rng(seed)
    if dtype.startswith("int"):
        return rng.integers(-50, 50, sizes).astype(dtype)
    return rng.standard_normal(sizes).astype(dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "int32"])
@pytest.mark.parametrize("n", LENGTHS)
def test_sort(n, dtype):
    a = drawn((3, n), dtype)
    for flip in (False, True):
        values, at = T.sort(T.from_numpy(a), 1, descending=flip, stable=True)
        order = np.argsort(-a if flip else a, 1, kind="stable")
        np.testing.assert_array_equal(at.numpy(), order)
        np.testing.assert_array_equal(values.numpy(), np.take_along_axis(a, order, 1))


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "int32"])
@pytest.mark.parametrize("sizes", [(5, 1), (1, 70), (40, 3), (33, 64), (65, 65), (200, 300)])
def test_scans(sizes, dtype):
    a = drawn(sizes, dtype)
    x = T.from_numpy(a)
    wide = a.astype("float64") if a.dtype.kind == "f" else a.astype("int64")
    for dim in (0, 1):
        tolerance = 1e-5 if dtype == "float32" else 1e-12
        np.testing.assert_allclose(x.cumsum(dim).numpy(), np.cumsum(wide, dim), rtol=tolerance, atol=tolerance)
        np.testing.assert_allclose(x.cumprod(dim).numpy(), np.cumprod(wide, dim), rtol=tolerance, atol=tolerance)
        for ours, theirs in ((T.cummax, np.maximum), (T.cummin, np.minimum)):
            values, at = ours(x, dim)
            np.testing.assert_array_equal(values.numpy(), theirs.accumulate(a, dim))
            np.testing.assert_array_equal(np.take_along_axis(a, at.numpy(), dim), values.numpy())


def test_running_extremes_name_the_latest_and_keep_nan():
    x = T.tensor([-np.inf, -np.inf, 1.0, 1.0, np.nan, 2.0, np.nan])
    values, at = x.cummax(0)
    assert at.tolist() == [0, 1, 2, 3, 4, 4, 6]
    np.testing.assert_array_equal(values.numpy(), [-np.inf, -np.inf, 1, 1, np.nan, np.nan, np.nan])
    assert T.tensor([3, 3, 1, 2, 1]).cummin(0)[1].tolist() == [0, 1, 2, 2, 4]


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "int16"])
@pytest.mark.parametrize("cols", [2, 15, 16, 17, 64, 65, 200, 700])
def test_extremes_of_columns(cols, dtype):
    a = drawn((90, cols), dtype)
    if a.dtype.kind == "f":
        a[40, ::5] = a[60, ::5] = np.nan
        a = np.where(np.isnan(a), a, np.round(a * 4)).astype(dtype)  # equal ones: the first counts
    x = T.from_numpy(a)
    for name in ("max", "min"):
        at = getattr(np, "arg" + name)(a, 0)
        np.testing.assert_array_equal(getattr(T, "arg" + name)(x, 0).numpy(), at)
        values, index = getattr(T, name)(x, 0)
        np.testing.assert_array_equal(index.numpy(), at)
        np.testing.assert_array_equal(values.numpy(), a[at, np.arange(cols)])


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "int32"])
@pytest.mark.parametrize("n", [0, 1, 2, 3, 7, 100])
def test_searchsorted(n, dtype):
    edges, a = np.sort(drawn((n,), dtype)), drawn((500,), dtype, 1)
    for side in ("left", "right"):
        at = T.searchsorted(T.from_numpy(edges), T.from_numpy(a), side=side)
        np.testing.assert_array_equal(at.numpy(), np.searchsorted(edges, a, side))
    rows = np.stack([edges, edges + 1]).astype(dtype)
    values = np.stack([a, a[::-1]])
    want = np.stack([np.searchsorted(r, v) for r, v in zip(rows, values)])
    np.testing.assert_array_equal(T.searchsorted(T.from_numpy(rows), T.from_numpy(values)).numpy(), want)


def test_searchsorted_puts_nan_last():
    edges = T.tensor([0.0, 1.0, 2.0])
    assert T.searchsorted(edges, T.tensor([np.nan, np.inf, -np.inf, 1.0])).tolist() == [3, 3, 0, 1]


@pytest.mark.parametrize("n", [0, 1, 1000, 300_000])
def test_counts(n):
    whole = np.random.default_rng(0).integers(0, 77, n)
    np.testing.assert_array_equal(T.bincount(T.from_numpy(whole), minlength=80).numpy(), np.bincount(whole, None, 80))
    if not n:
        return
    a = np.random.default_rng(1).uniform(-1, 3, n)
    a[0] = 2.0  # the upper edge
    for dtype in (T.float32, T.float64):
        x = T.from_numpy(a).to(dtype)
        counts = T.histc(x, 16, 0.0, 2.0)
        assert counts.dtype == dtype
        np.testing.assert_array_equal(counts.numpy(), np.histogram(x.numpy(), 16, (0.0, 2.0))[0])
    x[:1] = np.nan
    assert T.histc(x, 16, 0.0, 2.0).sum().item() == np.histogram(a[1:], 16, (0.0, 2.0))[0].sum()


@pytest.mark.parametrize("dtype", ["int64", "int32", "int8"])
@pytest.mark.parametrize("n", [3, 64, 3000])
@pytest.mark.parametrize("spread", [1, 100_000])
def test_unique(n, spread, dtype):
    a = (drawn((n,), "int64") * (spread if dtype != "int8" else 1)).astype(dtype)
    got = T.unique(T.from_numpy(a.reshape(-1, 1)), return_inverse=True, return_counts=True)
    values, inverse, counts = np.unique(a, return_inverse=True, return_counts=True)
    assert got[0].dtype == T.from_numpy(a).dtype
    np.testing.assert_array_equal(got[0].numpy(), values)
    np.testing.assert_array_equal(got[1].numpy(), inverse.reshape(-1, 1))
    np.testing.assert_array_equal(got[2].numpy(), counts)


@pytest.mark.parametrize("p", [1.0, 2.0])
@pytest.mark.parametrize("sizes", [(1, 1, 1, 3), (2, 6, 9, 5), (3, 7, 33, 20), (1, 9, 300, 4), (1, 20, 70, 50)])
def test_cdist(sizes, p):
    batch, rows, others, width = sizes
    a, b = drawn((batch, rows, width), "float64"), drawn((batch, others, width), "float64", 1)
    b[:, 0] = a[:, 0]  # at a distance of 0 the gradient is 0
    d = a[:, :, None] - b[:, None]
    want = np.sum(np.abs(d) ** p, -1) ** (1 / p)
    g = drawn(want.shape, "float64", 2)
    with np.errstate(invalid="ignore", divide="ignore"):
        slope = np.where(want[..., None] > 0, np.sign(d) if p == 1 else d / want[..., None], 0) * g[..., None]
    for dtype, rtol in (("float64", 1e-12), ("float32", 2e-4)):
        x, y = (T.from_numpy(t.astype(dtype)).requires_grad_() for t in (a, b))
        out = T.cdist(x, y, p)
        np.testing.assert_allclose(out.detach().numpy(), want, rtol=rtol, atol=rtol)
        gx, gy = T.autograd.grad(out, (x, y), T.from_numpy(g.astype(dtype)))
        np.testing.assert_allclose(gx.numpy(), slope.sum(2), rtol=rtol, atol=30 * rtol)
        np.testing.assert_allclose(gy.numpy(), -slope.sum(1), rtol=rtol, atol=30 * rtol)


@pytest.mark.parametrize(
    "sizes", [(1, 3), (5, 7), (9, 130), (3, 600), (4, 512), (2, 5, 9), (3, 20, 300), (2, 3, 17, 40)]
)
def test_softmax_and_cross_entropy(sizes):
    a = drawn(sizes, "float64") * 3
    if sizes[0] > 2:
        a[2] = a[2] * 100 + 1000
    x = T.from_numpy(a).requires_grad_()
    e = np.exp(a - a.max(1, keepdims=True))
    p = e / e.sum(1, keepdims=True)
    np.testing.assert_allclose(F.softmax(x, 1).detach().numpy(), p, rtol=1e-12, atol=1e-300)
    logp = a - a.max(1, keepdims=True) - np.log(e.sum(1, keepdims=True))
    np.testing.assert_allclose(F.log_softmax(x, 1).detach().numpy(), logp, rtol=1e-12, atol=1e-12)
    rng = np.random.default_rng(3)
    target = rng.integers(0, sizes[1], (sizes[0], *sizes[2:]))
    if target.size > 1:
        target.flat[1] = -100
    w = rng.uniform(0.5, 2, sizes[1])
    one = (np.arange(sizes[1]).reshape(-1, *[1] * (len(sizes) - 2)) == target[:, None]).astype("float64")
    shaped = w.reshape(-1, *[1] * (len(sizes) - 2))
    for smooth in (0.0, 0.3):
        q = ((1 - smooth) * one + smooth / sizes[1]) * shaped * (target[:, None] >= 0)
        total = (one * shaped).sum()
        loss = F.cross_entropy(x, T.from_numpy(target), T.from_numpy(w), label_smoothing=smooth)
        np.testing.assert_allclose(loss.item(), -(q * logp).sum() / total, rtol=1e-11)
        (g,) = T.autograd.grad(loss, x)
        np.testing.assert_allclose(g.numpy(), (p * q.sum(1, keepdims=True) - q) / total, rtol=1e-9, atol=1e-13)
        half = T.from_numpy(a).to(T.float32)
        np.testing.assert_allclose(F.cross_entropy(half, T.from_numpy(target), T.from_numpy(w).to(T.float32),
                                                   label_smoothing=smooth).item(), loss.item(), rtol=1e-4)
    each = F.cross_entropy(x, T.from_numpy(target), reduction="none").detach().numpy()
    np.testing.assert_allclose(each, -(one * logp).sum(1), rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("n", [64, 65, 129, 1000])
@pytest.mark.parametrize("k", [1, 2, 7, 8])
@pytest.mark.parametrize("kind", ["plain", "equal ones", "NaN", "infinite", "rising", "falling"])
def test_topk(n, k, kind):
    a = drawn((6, n), "float32")
    if kind == "equal ones":
        a = np.round(a * 4)
    elif kind == "NaN":
        a[:, :: n // 3] = np.nan
    elif kind == "infinite":
        a[:, 3] = np.inf
        a[:, 5:40] = -np.inf
    elif kind in ("rising", "falling"):
        a = np.sort(a, 1)[:, :: 1 if kind == "rising" else -1].copy()
    for largest in (True, False):
        values, at = T.topk(T.from_numpy(a), k, 1, largest=largest)
        order = np.sort(a, 1)  # NaN last: the greatest
        np.testing.assert_array_equal(values.numpy(), order[:, ::-1][:, :k] if largest else order[:, :k])
        np.testing.assert_array_equal(np.take_along_axis(a, at.numpy(), 1), values.numpy())
        assert all(len(set(row)) == k for row in at.tolist())


@pytest.mark.parametrize("cols", [1, 3, 8, 9, 64, 65, 130])
@pytest.mark.parametrize("n", [1, 2, 17, 70])
def test_triangular_systems(n, cols):
    a, b = drawn((2, n, n), "float64") / n + 2 * np.eye(n), drawn((2, n, cols), "float64", 1)
    for upper in (False, True):
        for unit in (False, True):
            part = np.triu(a) if upper else np.tril(a)
            if unit:
                part[:, np.arange(n), np.arange(n)] = 1
            x = T.linalg.solve_triangular(T.from_numpy(a), T.from_numpy(b), upper=upper, unitriangular=unit)
            np.testing.assert_allclose(x.numpy(), np.linalg.solve(part, b), rtol=1e-9, atol=1e-9)
    assert T.linalg.solve_triangular(T.zeros(1, 1), T.ones(1, 2), upper=True).tolist() == [[np.inf, np.inf]]


def test_sum_of_a_hundred_million():
    """Blocks are joined in double precision: what float32 alone would lose after 2^24 is there."""
    x = T.full((100_000_000,), 0.1)
    want = 100_000_000 * float(np.float32(0.1))
    assert abs(x.sum().item() - want) <= 1e-6 * want
    assert abs(x.mean().item() - float(np.float32(0.1))) <= 1e-6 * 0.1
    assert abs(x.view(10_000, 10_000).sum(0).sum().item() - want) <= 1e-6 * want


@pytest.mark.parametrize("shape", [(37, 2048), (3, 1024), (70, 1000), (200, 1024), (33, 6, 28, 28), (0, 1024)], ids=str)
@pytest.mark.parametrize("name", ["sum", "mean", "amax", "var", "argmax", "norm"])
def test_down_columns(name, shape):
    """Rows that are whole pages apart, few and many, and columns of several dimensions, in either order of memory."""
    if not shape[0] and name in ("amax", "argmax"):
        return
    rng = np.random.default_rng(8)
    a = rng.normal(size=shape).astype("float32").round(2)
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wide = a.astype("float64")
        numpy_name = {"norm": lambda x: np.sqrt((x * x).sum(0)), "var": lambda x: x.var(0, ddof=1)}
        want = numpy_name[name](wide) if name in numpy_name else getattr(np, name)(wide, axis=0)
    for memory in (a, np.asfortranarray(a)):
        got = getattr(T, name)(T.from_numpy(memory), dim=0).numpy()
        np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-4)
