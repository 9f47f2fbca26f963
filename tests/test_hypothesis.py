"""Random shapes, strides and chains of views against NumPy."""

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

import autodiffc as T

from .case import like

settings.register_profile("autodiffc", max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
settings.load_profile("autodiffc")

DTYPES = [np.float32, np.float64, np.int64, np.int32, np.uint8]
sizes = st.lists(st.integers(0, 5), max_size=4)


@st.composite
def layouts(draw, shape, dtype):
    """An array of the shape over part of a larger one: permuted, stepped, shifted, or with repeated dimensions."""
    n = len(shape)
    order = draw(st.permutations(range(n)))
    steps = [draw(st.integers(1, 3)) for _ in range(n)]
    starts = [draw(st.integers(0, 2)) for _ in range(n)]
    repeat = [draw(st.integers(0, 5)) == 0 for _ in range(n)]
    rooms = [1 if r else s + k * f for s, k, f, r in zip(starts, shape, steps, repeat)]
    seed = draw(st.integers(0, 1000))
    root = np.random.default_rng(seed).integers(-4 if dtype != np.uint8 else 0, 5, [rooms[d] for d in order])
    root = root.astype(dtype)
    a = root.transpose(np.argsort(order)) if n else root
    cut = [slice(None) if r else slice(s, s + k * f, f) for s, k, f, r in zip(starts, shape, steps, repeat)]
    a = a[(*cut, ...)]
    if any(r and k != 1 for r, k in zip(repeat, shape)):
        a = np.broadcast_to(a, shape)
    assert a.shape == tuple(shape)
    return a


def array(draw, dtypes=DTYPES, shape=sizes):
    return draw(layouts(draw(shape), draw(st.sampled_from(dtypes))))


def tensor(a):
    return T.from_numpy(like(a))


def numpy(t):
    return np.array(t.detach().numpy())


@st.composite
def broadcastable(draw):
    """Two arrays of sizes that broadcast, and now and then do not."""
    full = draw(st.lists(st.integers(0, 5), max_size=4))
    shapes = []
    for _ in range(2):
        shape = [1 if draw(st.integers(0, 3)) == 0 else k for k in full]
        shape = shape[draw(st.integers(0, len(shape))) :]
        if shape and draw(st.integers(0, 9)) == 0:
            shape[draw(st.integers(0, len(shape) - 1))] += 1
        shapes.append(shape)
    dtype = draw(st.sampled_from(DTYPES))
    return [draw(layouts(s, dtype)) for s in shapes]


@given(broadcastable(), st.sampled_from(["+", "-", "*"]))
def test_binary(pair, sign):
    a, b = pair
    apply = {"+": lambda x, y: x + y, "-": lambda x, y: x - y, "*": lambda x, y: x * y}[sign]
    try:
        expected = apply(a, b)
    except ValueError:
        with pytest.raises(RuntimeError):
            apply(tensor(a), tensor(b))
        return
    result = numpy(apply(tensor(a), tensor(b)))
    assert result.dtype == expected.dtype and result.shape == expected.shape
    np.testing.assert_array_equal(result, expected)


@given(broadcastable())
def test_binary_gradient_has_the_sizes_of_the_operands(pair):
    a, b = (x.astype(np.float64) for x in pair)
    try:
        expected = np.broadcast_shapes(a.shape, b.shape)
    except ValueError:
        return
    x, y = tensor(a).requires_grad_(), tensor(b).requires_grad_()
    (x * y).sum().backward()
    ones = np.ones(expected)
    for leaf, own, other in [(x, a, b), (y, b, a)]:
        g = ones * other
        g = g.sum(tuple(range(g.ndim - own.ndim)))
        g = g.sum(tuple(d for d in range(own.ndim) if own.shape[d] == 1 and g.shape[d] != 1), keepdims=True)
        np.testing.assert_allclose(numpy(leaf.grad), g, atol=1e-12)


@given(st.data())
def test_write_in_place(data):
    """a += b through views: only the written elements change."""
    shape = data.draw(st.lists(st.integers(0, 5), max_size=4))
    a = data.draw(layouts(shape, np.float64))
    assume(all(s != 0 or k <= 1 for s, k in zip(a.strides, a.shape)))
    b = data.draw(layouts(data.draw(st.sampled_from([shape, shape[1:], []])), np.float64))
    t, expected = tensor(a), like(a)
    t += tensor(b)
    expected[...] += b
    np.testing.assert_array_equal(numpy(t), expected)


REDUCTIONS = {
    "sum": (lambda t, d, k: t.sum(d, k), np.sum),
    "mean": (lambda t, d, k: t.mean(d, k), np.mean),
    "amax": (lambda t, d, k: t.amax(d, k), np.max),
    "amin": (lambda t, d, k: t.amin(d, k), np.min),
    "any": (lambda t, d, k: t.any(d, k), np.any),
    "all": (lambda t, d, k: t.all(d, k), np.all),
}


@given(st.data(), st.sampled_from(sorted(REDUCTIONS)))
def test_reduction(data, name):
    a = array(data.draw, [np.float64], st.lists(st.integers(0, 5), min_size=1, max_size=4))
    dims = data.draw(st.sets(st.integers(0, a.ndim - 1), min_size=1))
    signed = tuple(d - a.ndim if data.draw(st.booleans()) else d for d in dims)
    keep = data.draw(st.booleans())
    f, ref = REDUCTIONS[name]
    empty = not all(a.shape[d] for d in dims)
    if empty and name in ("amax", "amin"):
        with pytest.raises((IndexError, RuntimeError)):
            f(tensor(a), signed, keep)
        return
    with np.errstate(all="ignore"):
        import warnings

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            expected = np.asarray(ref(a, axis=tuple(dims), keepdims=keep))
    result = numpy(f(tensor(a), signed, keep))
    assert result.shape == expected.shape
    np.testing.assert_allclose(result, expected, atol=1e-12)


@given(st.data())
def test_sum_over_a_long_dimension(data):
    shape = data.draw(st.permutations([data.draw(st.integers(500, 5000)), data.draw(st.integers(1, 4)), 2]))
    a = data.draw(layouts(shape, np.float32))
    d = data.draw(st.integers(-3, 2))
    np.testing.assert_array_equal(numpy(tensor(a).sum(d)), a.sum(d))  # small whole numbers: exact


# ---- chains of views ----


def _slice(draw, a, t):
    d = draw(st.integers(0, a.ndim - 1))
    start, stop, step = draw(st.integers(-7, 7)), draw(st.integers(-7, 7)), draw(st.integers(1, 3))
    index = (slice(None),) * d + (slice(start, stop, step),)
    return a[index], t[index]


def _select(draw, a, t):
    d = draw(st.integers(0, a.ndim - 1))
    assume(a.shape[d])
    i = draw(st.integers(-a.shape[d], a.shape[d] - 1))
    return a[(slice(None),) * d + (i,)], t.select(d, i)


def _permute(draw, a, t):
    order = draw(st.permutations(range(a.ndim)))
    return a.transpose(order), t.permute(*order)


def _transpose(draw, a, t):
    d, e = draw(st.integers(-a.ndim, a.ndim - 1)), draw(st.integers(-a.ndim, a.ndim - 1))
    return a.swapaxes(d, e), t.transpose(d, e)


def _unsqueeze(draw, a, t):
    d = draw(st.integers(-a.ndim - 1, a.ndim))
    return np.expand_dims(a, d), t.unsqueeze(d)


def _squeeze(draw, a, t):
    return np.squeeze(a), t.squeeze()


def _reshape(draw, a, t):
    left, shape = a.size, []
    for _ in range(draw(st.integers(0, 3))):
        k = draw(st.sampled_from([k for k in range(1, 13) if left % k == 0] if left else [0, 1, 2, 3]))
        shape.append(k)
        left //= max(k, 1)
    shape.append(left)
    if a.size and draw(st.booleans()):
        shape[draw(st.integers(0, len(shape) - 1))] = -1
    return a.reshape(shape), t.reshape(shape)


def _expand(draw, a, t):
    shape = [draw(st.integers(1, 3)) if k == 1 else k for k in a.shape]
    return np.broadcast_to(a, shape), t.expand(*shape)


def _flip(draw, a, t):
    d = draw(st.integers(0, a.ndim - 1))
    return np.flip(a, d), t.flip(d)


def _diagonal(draw, a, t):
    assume(a.ndim >= 2)
    k = draw(st.integers(-1, 1))
    assume(a.shape[0] + min(k, 0) >= 0 and a.shape[1] - max(k, 0) >= 0)
    return np.diagonal(a, k, 0, 1), t.diagonal(k, 0, 1)


STEPS = [_slice, _select, _permute, _transpose, _unsqueeze, _squeeze, _reshape, _expand, _flip, _diagonal]


@settings(max_examples=400)
@given(st.data())
def test_chain_of_views(data):
    """Values through up to six views, the gradient back through them, and a write through what still is a view."""
    a = array(data.draw, [np.float64], st.lists(st.integers(0, 5), min_size=1, max_size=4))
    leaf = tensor(a).requires_grad_()
    where = np.arange(a.size).reshape(a.shape)  # follows each element
    places, t = where, leaf
    names = []
    for _ in range(data.draw(st.integers(1, 6))):
        step = data.draw(st.sampled_from(STEPS if places.ndim else [_unsqueeze, _reshape]))
        if places.size > 4000:
            break
        names.append(step.__name__)
        places, t = step(data.draw, places, t)
        assert tuple(t.shape) == places.shape, names
    expected = np.ascontiguousarray(a).reshape(-1)[places]
    np.testing.assert_array_equal(numpy(t), expected, err_msg=str(names))
    weights = np.random.default_rng(1).uniform(-1, 1, places.shape)
    (t * tensor(np.asarray(weights))).sum().backward()
    g = np.zeros(a.size)
    np.add.at(g, places.reshape(-1), weights.reshape(-1))
    np.testing.assert_allclose(numpy(leaf.grad), g.reshape(a.shape), atol=1e-12, err_msg=str(names))
    np.testing.assert_array_equal(numpy(t.contiguous()), expected)
    np.testing.assert_array_equal(numpy(t.clone()), expected)
    np.testing.assert_array_equal(numpy(t.sum()), expected.sum())


@given(st.data())
def test_product(data):
    """matmul of every combination of dimensions and layouts."""
    m, k, n = (data.draw(st.integers(0, 6)) for _ in range(3))
    batch = data.draw(st.lists(st.integers(0, 3), max_size=2))
    shapes = []
    for tail in ([m, k], [k, n]):
        own = [1 if data.draw(st.integers(0, 2)) == 0 else b for b in batch]
        shapes.append(own[data.draw(st.integers(0, len(own))) :] + tail)
    if data.draw(st.integers(0, 4)) == 0:
        shapes[0] = [k]
    if data.draw(st.integers(0, 4)) == 0:
        shapes[1] = [k]
    a, b = (data.draw(layouts(s, np.float64)) for s in shapes)
    result, expected = numpy(tensor(a) @ tensor(b)), np.asarray(a @ b)
    assert result.shape == expected.shape
    np.testing.assert_array_equal(result, expected)  # small whole numbers: exact


@given(st.data())
def test_cat(data):
    shape = data.draw(st.lists(st.integers(0, 4), min_size=1, max_size=3))
    d = data.draw(st.integers(0, len(shape) - 1))
    parts = []
    for _ in range(data.draw(st.integers(1, 4))):
        own = list(shape)
        own[d] = data.draw(st.integers(0, 4))
        parts.append(data.draw(layouts(own, np.float64)))
    result = numpy(T.cat([tensor(p) for p in parts], d - len(shape) if data.draw(st.booleans()) else d))
    np.testing.assert_array_equal(result, np.concatenate(parts, d))


@given(st.data(), st.sampled_from([np.float32, np.float64, np.float16, np.int64, np.int32, np.uint8, np.bool_]))
def test_conversion(data, to):
    a = array(data.draw)
    result = numpy(tensor(a).to(getattr(T, np.dtype(to).name)))
    assert result.dtype == to
    with np.errstate(all="ignore"):
        expected = a.astype(np.int64).astype(to) if to is np.uint8 else a.astype(to)
    np.testing.assert_array_equal(result, expected)
