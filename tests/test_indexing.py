"""x[...] for reading and writing against NumPy over random expressions; gradients; what is refused."""


import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import autodiffc as T
from autodiffc._ops import index as ops

FULL = slice(None)


# ---- random expressions ----


@st.composite
def shapes(draw, most=4):
    return tuple(draw(st.lists(st.integers(0, 4), max_size=most)))


def slices(size):
    bound = st.one_of(st.none(), st.integers(-size - 2, size + 2))
    return st.builds(slice, bound, bound, st.one_of(st.none(), st.integers(1, 3)))


@st.composite
def expressions(draw, advanced=True):
    """(shape, index): an index expression that fits the shape, with NumPy arrays where tensors go."""
    shape = draw(shapes())
    n = len(shape)
    places = tuple(draw(st.lists(st.integers(0, 3), max_size=2))) if advanced else ()
    items, d, dots = [], 0, False
    rng = np.random.default_rng(draw(st.integers(0, 1 << 30)))
    while d < n and draw(st.integers(0, 5)):
        kinds = ["slice", "int", "none"] + ["dots"] * (not dots) + ["array", "mask"] * advanced
        kind = draw(st.sampled_from(kinds))
        size = shape[d]
        if kind == "none":
            items.append(None)
            if sum(i is None for i in items) > 3:
                break
        elif kind == "dots":
            # what is left after it indexes from the end
            skip = draw(st.integers(0, n - d))
            items.append(...)
            dots = True
            d += skip
            rest = n - d
            for k in range(rest):
                items.append(draw(slices(shape[d + k])))
            d = n
        elif kind == "slice" or not size:
            items.append(draw(slices(size)))
            d += 1
        elif kind == "int":
            items.append(draw(st.integers(-size, size - 1)))
            d += 1
        elif kind == "array":
            sizes = tuple(1 if draw(st.booleans()) else s for s in places)
            items.append(rng.integers(-size, size, sizes))
            d += 1
        else:
            covers = draw(st.integers(1, min(2, n - d)))
            if any(isinstance(i, np.ndarray) for i in items):
                covers = 1  # its count must broadcast with the other arrays: one True at most
                mask = np.zeros(size, bool)
                mask[draw(st.integers(0, size - 1))] = True
            else:
                mask = rng.integers(0, 2, shape[d : d + covers]).astype(bool)
                if draw(st.booleans()):
                    places = (1,)
            items.append(mask)
            d += covers
            if not places:
                places = (1,)
            if mask.sum() != 1:
                places = (1,) * len(places)
    return shape, tuple(items)


def numpy_parts(x, index):
    """PyTorch's order: integers, slices and None first, as a view; then the arrays, over whole dimensions."""
    basic, arrays = [], []
    for i in index:
        if isinstance(i, np.ndarray) and i.ndim == 0 and i.dtype != bool:
            i = int(i)
        if isinstance(i, np.ndarray):
            covers = i.ndim if i.dtype == bool else 1
            basic += [FULL] * covers
            arrays.append(i)
        else:
            basic.append(i)
            arrays.append(i)
    view = x[tuple(basic) if ... in basic else (*basic, ...)]  # an array, never a number
    place, d = [], 0
    for i in arrays:
        if isinstance(i, np.ndarray):
            place.append(i)
            d += i.ndim if i.dtype == bool else 1
        elif isinstance(i, int):
            continue
        elif i is Ellipsis:
            place.append(...)
        else:
            place.append(FULL)
            d += 1
    return view, tuple(place)


def tensors(index):
    return tuple(T.from_numpy(i.copy()) if isinstance(i, np.ndarray) else i for i in index)


def fits(index):
    """Whether NumPy accepts the arrays together."""
    try:
        np.broadcast(
            *[a for i in index if isinstance(i, np.ndarray) for a in (i.nonzero() if i.dtype == bool else [i])]
        )
    except ValueError:
        return False
    return True


@settings(max_examples=300, deadline=None)
@given(expressions(), st.booleans())
def test_read(case, transposed):
    shape, index = case
    x = np.arange(np.prod(shape, dtype=int), dtype=np.float32).reshape(shape)
    if transposed:
        x = np.ascontiguousarray(x.T).T
    t = T.from_numpy(x.copy(order="K"))
    if not fits(index):
        with pytest.raises(IndexError):
            t[tensors(index)]
        return
    view, place = numpy_parts(x, index)
    np.testing.assert_array_equal(t[tensors(index)].numpy(), np.asarray(view[place]))


@settings(max_examples=300, deadline=None)
@given(expressions(), st.sampled_from(["number", "whole", "last", "scalar"]))
def test_write(case, kind):
    shape, index = case
    x = np.arange(np.prod(shape, dtype=int), dtype=np.float64).reshape(shape)
    if not fits(index):
        return
    t = T.from_numpy(x.copy())
    view, place = numpy_parts(x, index)
    target = np.shape(view[place])
    if kind == "number":
        value = given_value = 7
    else:
        sizes = target if kind == "whole" else target[-1:] if kind == "last" else ()
        value = np.arange(-1.0, -1 - np.prod(sizes, dtype=int), -1).reshape(sizes)
        given_value = T.from_numpy(value.copy())
    t[tensors(index)] = given_value
    view[place] = value  # a view of x: NumPy writes through it
    np.testing.assert_array_equal(t.numpy(), x)


@settings(max_examples=100, deadline=None)
@given(expressions())
def test_gradient_of_reading_is_what_writing_adds(case):
    shape, index = case
    if not fits(index):
        return
    x = np.zeros(shape)
    t = T.from_numpy(x.copy()).requires_grad_()
    y = t[tensors(index)]
    w = np.arange(1.0, 1 + np.prod(y.shape, dtype=int)).reshape(tuple(y.shape))
    (g,) = T.autograd.grad(y, t, T.from_numpy(w.copy()))
    view, place = numpy_parts(x, index)
    np.add.at(view, place, w)
    np.testing.assert_array_equal(g.numpy(), x)


@settings(max_examples=60, deadline=None)
@given(expressions(), st.booleans())
def test_gradient_of_writing(case, through_copy):
    """Positions that are not repeated: the gradient of x is zero there, the value's is what was there."""
    shape, index = case
    if not fits(index):
        return
    place_of = np.arange(np.prod(shape, dtype=int)).reshape(shape)
    view, place = numpy_parts(place_of, index)
    hit = np.asarray(view[place])
    if len(np.unique(hit)) != hit.size:
        return
    x = T.from_numpy(np.zeros(shape)).requires_grad_()
    v = T.from_numpy(np.zeros(hit.shape)).requires_grad_()
    y = x.clone()
    y[tensors(index)] = v * 2 if through_copy else v
    w = np.random.default_rng(1).standard_normal(shape)
    gx, gv = T.autograd.grad(y, (x, v), T.from_numpy(w.copy()), allow_unused=True)
    expected = w.copy()
    expected.reshape(-1)[hit.reshape(-1)] = 0
    np.testing.assert_array_equal(np.zeros(shape) if gx is None else gx.numpy(), expected)
    got = np.zeros(hit.shape) if gv is None else gv.numpy()
    np.testing.assert_array_equal(got, w.reshape(-1)[hit] * (2 if through_copy else 1))


# ---- views ----


def test_basic_indexing_is_one_view():
    x = T.zeros(3, 4, 5).requires_grad_()
    y = x[1:, None, ..., 2]
    assert y.grad_fn.name() == "IndexViewBackward0"
    assert y.grad_fn.next_functions[0][0].name().endswith("AccumulateGrad")
    base = T.zeros(3, 4)
    base[1][2] = 5
    base[:, 1:][0, 0] = 7
    base[...] += 1
    assert base.tolist() == [[1, 8, 1, 1], [1, 1, 6, 1], [1, 1, 1, 1]]


def test_write_through_a_view_has_history():
    x = T.ones(3, 3, dtype=T.float64, requires_grad=True)
    y = x * 2
    y[0] = y[1] * 3
    y[:, 2] = 0
    y.sum().backward()
    assert x.grad.tolist() == [[0, 0, 0], [8, 8, 0], [2, 2, 0]]


def test_leaf_is_not_written():
    x = T.ones(3, requires_grad=True)
    with pytest.raises(RuntimeError, match="leaf"):
        x[0] = 1
    with pytest.raises(RuntimeError, match="leaf"):
        x[T.tensor([0])] = 1
    with T.no_grad():
        x[0] = 5
    assert x.tolist() == [5, 1, 1]


def test_index_changed_before_backward_is_an_error():
    x = T.ones(3, requires_grad=True)
    i = T.tensor([0, 1])
    y = x[i]
    i += 1
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


# ---- kinds of index ----


def test_numbers_and_sequences():
    x = T.arange(24).reshape(2, 3, 4)
    a = np.arange(24).reshape(2, 3, 4)
    for i in ([0, 1], range(2), np.array([1, 0]), np.array([[0, 1]], np.int16), [T.tensor(1), 0][1:], [[1]]):
        got = x[(i,)]
        np.testing.assert_array_equal(got.numpy(), a[np.asarray(list(i), np.int64)])
    assert x[np.int64(1), T.tensor(2)].tolist() == [20, 21, 22, 23]
    assert x[T.tensor(1), T.tensor(2, dtype=T.int32), 3].item() == 23
    assert x[[True, False]].shape == (1, 3, 4)
    assert x[[]].shape == (0, 3, 4)
    assert x[True].shape == (1, 2, 3, 4)
    assert x[False].shape == (0, 2, 3, 4)
    assert x[None, True].shape == (1, 1, 2, 3, 4)
    assert x[T.tensor(True)].shape == (1, 2, 3, 4)
    assert x[T.tensor([0, 1], dtype=T.int32)].shape == (2, 3, 4)
    assert x[..., 0, ...].shape == (2, 3)
    assert x[:, :, 1 << 70 :].shape == (2, 3, 0)
    assert x[()].shape == (2, 3, 4)
    with pytest.warns(UserWarning, match="uint8"):
        assert x[T.tensor([0, 1], dtype=T.uint8)].shape == (1, 3, 4)
    with pytest.warns(UserWarning, match="non-tuple"):
        assert x[[slice(0, 1), 1]].shape == (1, 4)


def test_scalar_views_of_int_tensors():
    x = T.arange(3)
    x[T.tensor(1)] = 9  # a 0-d tensor is an integer
    x[0] = 2.7
    assert x.tolist() == [2, 9, 2]
    b = T.zeros(2, dtype=T.bool)
    b[0] = 5
    assert b.tolist() == [True, False]
    u = T.zeros(2, dtype=T.uint8)
    with pytest.raises(RuntimeError, match="overflow"):
        u[0] = 300


def test_setitem_shares_memory_with_the_value():
    x = T.arange(4)
    x[T.tensor([3, 2, 1, 0])] = x
    assert x.tolist() == [3, 2, 1, 0]


@pytest.mark.parametrize(
    "index, error, match",
    [
        (5, IndexError, "index 5 is out of bounds for dimension 0 with size 2"),
        ((0, -4), IndexError, "index -4 is out of bounds for dimension 1 with size 3"),
        ((0, 0, 0, 0), IndexError, "too many indices for tensor of dimension 3"),
        (slice(None, None, -1), ValueError, "step must be greater than zero"),
        (slice(None, None, 0), ValueError, "slice step cannot be zero"),
        (slice(0, 1.5), TypeError, "slice indices must be integers"),
        (1.5, IndexError, "only integers, slices"),
        ({}, IndexError, "only integers, slices"),
        ("a", TypeError, "invalid data type 'str'"),
        (np.array([2]), IndexError, "index 2 is out of bounds for dimension 0 with size 2"),
        ((FULL, np.array([[True, False]])), IndexError, r"The shape of the mask \[1, 2\] at index 0 does not match"),
        (
            (np.array([0, 1]), np.array([0, 1, 2])),
            IndexError,
            r"could not be broadcast together with shapes \[2\], \[3\]",
        ),
        (np.ones((2, 3, 4, 1), bool), IndexError, "too many indices"),
        (1 << 70, ValueError, "Overflow"),
        ((1 << 70,), ValueError, "Overflow"),
        ((None,) * 70, RuntimeError, "too many dimensions"),
        ((FULL, None) * 200, IndexError, "too many indices"),
    ],
)
def test_refused(index, error, match):
    x = T.zeros(2, 3, 4)
    place = tensors(index) if isinstance(index, tuple) else index
    with pytest.raises(error, match=match):
        x[place]
    with pytest.raises(error, match=match):
        x[place] = 1.0
    assert x.sum().item() == 0


def test_never_half_written():
    """An index out of range, or sizes that do not fit, are found before anything is written."""
    bad, i = T.tensor([0, 1, 9]), T.tensor([0, 1])
    for write in (
        lambda x: x.__setitem__(bad, 1.0),
        lambda x: x.index_put_((bad,), T.ones(3)),
        lambda x: x.index_add_(0, bad, T.ones(3)),
        lambda x: x.index_copy_(0, bad, T.ones(3)),
        lambda x: x.index_fill_(0, bad, 1.0),
        lambda x: x.scatter_(0, bad, 1.0),
        lambda x: x.scatter_add_(0, bad, T.ones(3)),
        lambda x: x.scatter_reduce_(0, bad, T.ones(3), "amax"),
        lambda x: x.put_(bad, T.ones(3)),
        lambda x: x.masked_scatter_(T.ones(4) > 0, T.ones(3)),
        lambda x: x.__setitem__(i, T.ones(3)),
        lambda x: x.scatter_(0, i, T.ones(1)),
    ):
        x = T.zeros(4)
        with pytest.raises((IndexError, RuntimeError)):
            write(x)
        assert x.tolist() == [0, 0, 0, 0] and x._version == 0


def test_out_does_not_overlap():
    x, i = T.arange(4.0), T.tensor([0, 1, 2, 3])
    for call in (
        lambda: T.gather(x, 0, i, out=x),
        lambda: T.take(x, i, out=x),
        lambda: T.index_select(x, 0, i, out=x),
        lambda: T.masked_select(x, x >= 0, out=x),
        lambda: T.gather(x, 0, i, out=T.zeros(1).expand(4)),
        lambda: T.gather(x, 0, i, out=T.zeros(4, dtype=T.float64)),
    ):
        with pytest.raises(RuntimeError):
            call()
    out = T.empty(0)
    assert T.gather(x, 0, i.flip(0), out=out) is out and out.tolist() == [3, 2, 1, 0]


# ---- larger, and in parallel ----


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "int64", "int32", "int8", "bool"])
def test_large(dtype):
    rng = np.random.default_rng(3)
    a = (rng.standard_normal((300, 700)) * 3).astype(dtype)
    i, j = rng.integers(-300, 300, 5000), rng.integers(0, 700, 5000)
    x, ti, tj = T.from_numpy(a.copy()), T.from_numpy(i), T.from_numpy(j)
    np.testing.assert_array_equal(x[ti].numpy(), a[i])
    np.testing.assert_array_equal(x[:, tj].numpy(), a[:, j])
    np.testing.assert_array_equal(x[ti, tj].numpy(), a[i, j])
    np.testing.assert_array_equal(x.t()[tj].numpy(), a.T[j])
    np.testing.assert_array_equal(T.gather(x, 1, tj.reshape(1, -1).expand(300, -1)).numpy(), a[:, j])
    m = rng.random((300, 700)) < 0.3
    tm = T.from_numpy(m)
    np.testing.assert_array_equal(x[tm].numpy(), a[m])
    np.testing.assert_array_equal(tm.nonzero().numpy(), np.argwhere(m))
    np.testing.assert_array_equal(x.t()[tm.t()].numpy(), a.T[m.T])
    y, b = x.clone(), a.copy()
    y[tm] = 1
    b[m] = 1
    np.testing.assert_array_equal(y.numpy(), b)
    y.t().masked_fill_(~tm.t(), 0)
    b[~m] = 0
    np.testing.assert_array_equal(y.numpy(), b)


def test_accumulation_is_in_order_for_any_number_of_threads():
    rng = np.random.default_rng(4)
    w, i = rng.standard_normal((50, 384)).astype(np.float32), rng.integers(0, 50, 3000)
    g = rng.standard_normal((3000, 384)).astype(np.float32)
    expected = np.zeros_like(w)
    for k, row in zip(i, g):
        expected[k] += row
    before = T.get_num_threads() if hasattr(T, "get_num_threads") else None
    try:
        for n in (1, 2, 5):
            if before is not None:
                T.set_num_threads(n)
            for call in (
                lambda x, t: x[t],
                lambda x, t: T.embedding(x, t),
                lambda x, t: T.index_select(x, 0, t),
                lambda x, t: T.gather(x, 0, t.reshape(-1, 1).expand(-1, 384)),
            ):
                x = T.from_numpy(w.copy()).requires_grad_()
                call(x, T.from_numpy(i)).backward(T.from_numpy(g))
                assert x.grad.numpy().tobytes() == expected.tobytes()
    finally:
        if before is not None:
            T.set_num_threads(before)


# ---- what rows of tests/cases cannot say ----


def numeric(f, *arrays, step=1e-6):
    """Gradients of a function of arrays by central differences."""
    out = []
    for a in arrays:
        g = np.zeros_like(a)
        for k in np.ndindex(a.shape):
            old = a[k]
            a[k] = old + step
            up = f(*arrays)
            a[k] = old - step
            g[k] = (up - f(*arrays)) / (2 * step)
            a[k] = old
        out.append(g)
    return out


@pytest.mark.parametrize("own", [True, False])
@pytest.mark.parametrize("how", ["sum", "prod", "mean", "amax", "amin"])
def test_scatter_reduce_gradient_with_larger_src(how, own):
    rng = np.random.default_rng(2)
    x, s = rng.permutation(12).reshape(3, 4) + 0.5, rng.permutation(30).reshape(5, 6) / 3
    i = rng.integers(0, 3, (4, 3))
    w = rng.standard_normal((3, 4))

    def run(x, s):
        return T.scatter_reduce(x, 0, T.from_numpy(i), s, how, include_self=own)

    tx, ts = T.from_numpy(x.copy()).requires_grad_(), T.from_numpy(s.copy()).requires_grad_()
    got = T.autograd.grad(run(tx, ts), (tx, ts), T.from_numpy(w))
    want = numeric(lambda x, s: (run(T.from_numpy(x), T.from_numpy(s)).numpy() * w).sum(), x, s)
    for a, b in zip(got, want):
        np.testing.assert_allclose(a.numpy(), b, rtol=1e-6, atol=1e-6)


def test_product_with_zeros():
    x = T.tensor([2.0, 0.0, 3.0], dtype=T.float64, requires_grad=True)
    s = T.tensor([0.0, 4.0, 5.0, 0.0, 0.0], dtype=T.float64, requires_grad=True)
    y = T.scatter_reduce(x, 0, T.tensor([0, 0, 1, 2, 2]), s, "prod")
    gx, gs = T.autograd.grad(y.sum(), (x, s), create_graph=True)
    assert gx.tolist() == [0, 5, 0] and gs.tolist() == [8, 0, 0, 0, 0]
    (again,) = T.autograd.grad(gx.sum(), s, retain_graph=True)
    assert again.tolist() == [4, 0, 1, 0, 0]
    with pytest.raises(RuntimeError, match="Double backward"):
        T.autograd.grad(gs.sum(), s)


def test_embedding_options():
    w = T.from_numpy(np.arange(12.0).reshape(4, 3)).requires_grad_()
    i = T.tensor([[1, 1, 0], [3, 1, 3]])
    g = T.ones(2, 3, 3, dtype=T.float64)
    (d,) = T.autograd.grad(T.embedding(w, i, padding_idx=3), w, g)
    assert d[:, 0].tolist() == [1, 3, 0, 0]
    (d,) = T.autograd.grad(T.embedding(w, i, -1, True), w, g)
    assert d[:, 0].tolist() == [1, 1, 0, 1]
    g.requires_grad_()
    (d,) = T.autograd.grad(T.embedding(w, i, 3, True), w, g, create_graph=True)
    (dd,) = T.autograd.grad(d.sum(), g)
    np.testing.assert_allclose(dd[..., 0].numpy(), [[1 / 3, 1 / 3, 1], [0, 1 / 3, 0]])
    with T.no_grad():
        T.embedding_renorm_(w, i, 2.0)
    norms = np.linalg.norm(w.detach().numpy(), axis=1)
    np.testing.assert_allclose(norms, [2, 2, np.linalg.norm([6, 7, 8]), 2], rtol=1e-6)


def test_nonzero_as_tuple():
    x = T.tensor([[0, 1], [2, 0]])
    rows, columns = x.nonzero(as_tuple=True)
    assert (rows.tolist(), columns.tolist()) == ([0, 1], [1, 0]) and rows.is_contiguous()
    assert x[rows, columns].tolist() == [1, 2]
    assert T.tensor(3).nonzero().shape == (1, 0)
    assert [t.tolist() for t in T.tensor(3).nonzero(as_tuple=True)] == [[0]]


def test_one_hot_counts_classes():
    assert ops.one_hot(T.tensor([2, 0])).tolist() == [[0, 0, 1], [1, 0, 0]]
    with pytest.raises(RuntimeError, match="empty"):
        ops.one_hot(T.zeros(0, dtype=T.int64))


@pytest.mark.parametrize("pads", [(-1, 1), (1, -1), (3, -2), (-1, 4), (2, 2), (0, 5)])
def test_circular_padding_that_cuts(pads):
    x = np.arange(5.0)
    before, after = pads
    kept = x[max(0, -before) : 5 - max(0, -after)]
    expected = np.pad(kept, (max(0, before), max(0, after)), mode="wrap")
    assert ops.pad(T.from_numpy(x[None]), pads, "circular")[0].tolist() == expected.tolist()


def test_padding_gradients():
    rng = np.random.default_rng(5)
    for mode, pads in (("reflect", (2, -1, 1, 2)), ("replicate", (4, 1, -1, 5)), ("circular", (3, 2, -1, 2))):
        x = rng.standard_normal((2, 3, 4))
        t = T.from_numpy(x.copy()).requires_grad_()
        y = ops.pad(t, pads, mode)
        w = rng.standard_normal(tuple(y.shape))
        (g,) = T.autograd.grad(y, t, T.from_numpy(w))
        (want,) = numeric(lambda x, p=pads, m=mode, w=w: (ops.pad(T.from_numpy(x), p, m).numpy() * w).sum(), x)
        np.testing.assert_allclose(g.numpy(), want, atol=1e-8)


# ---- captured steps ----


def test_captured_indices_out_of_range_are_refused():
    x, i = T.zeros(4), T.tensor([0, 1])

    @T.compile
    def step(i):
        return x[i], T.embedding(x.reshape(4, 1), i), T.scatter(x, 0, i, 1.0), T.index_select(x, 0, i), T.take(x, i)

    step(i)
    for values in ([5, -9], [1 << 60, -(1 << 60)]):
        with pytest.raises(IndexError, match="out of bounds"):
            step(T.tensor(values))


def test_masked_write_is_captured():
    x = T.zeros(4)

    @T.compile
    def step(v):
        y = v * 1
        y[v > 1] = 0
        return y

    assert step(T.arange(4.0)).tolist() == [0, 1, 0, 0]
    assert step(T.tensor([3.0, 1, 0, 5])).tolist() == [0, 1, 0, 0]

    @T.compile(fullgraph=True)
    def refused(v):
        return v[v > 1]

    with pytest.raises(T.CaptureError):
        refused(x)


# ---- long index tensors, whose range is told while they are read; and indices of whole rows ----


@pytest.mark.parametrize("bad", [100, -1, 1 << 40, -(1 << 62)])
def test_a_long_index_out_of_range_is_refused(bad):
    x, index = T.randn(100, 300, requires_grad=True), T.zeros(100, 300, dtype=T.int64)
    index[57, 123] = bad
    flat = index.clone()
    flat[57, 123] = bad if abs(bad) > 100 else -30001 if bad < 0 else 30000
    for call in (lambda: T.gather(x, 0, index), lambda: T.scatter(x, 0, index, x), lambda: T.take(x, flat),
                 lambda: T.scatter_add(x, 0, index, x), lambda: x.detach().clone().scatter_(0, index, 1.0)):
        with pytest.raises((RuntimeError, IndexError), match="out of (bounds|range)"):
            call()
    with pytest.raises(RuntimeError, match="out of bounds for dimension 1 with size 0"):
        T.gather(T.zeros(100, 0), 1, T.zeros(100, 300, dtype=T.int64))
    index[57, 123] = 3
    target = x.detach().clone()
    target.scatter_(0, index, 5.0)
    assert T.gather(x, 0, index).shape == (100, 300) and (target[0] == 5).sum() == 300


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("slots", [7, 900])
def test_rows_by_an_expanded_index(threads, slots):
    """A vector of indices that is expanded moves whole rows: what index_add, index_select and NumPy do."""
    rng, before = np.random.default_rng(0), T.get_num_threads()
    at = rng.integers(0, slots, 3000)
    src = rng.integers(-9, 9, (3000, 24)).astype(np.float32)
    base = rng.integers(-9, 9, (slots, 24)).astype(np.float32)
    sums = base.copy()
    np.add.at(sums, at, src)
    last = base.copy()
    last[at] = src
    i = T.tensor(at)[:, None].expand(3000, 24)
    T.set_num_threads(threads)
    try:
        x, s = T.tensor(base), T.tensor(src)
        assert np.array_equal(x.scatter_add(0, i, s), sums)
        assert np.array_equal(x.index_add(0, T.tensor(at), s), sums)
        assert np.array_equal(x.index_put((T.tensor(at),), s, accumulate=True), sums)
        assert np.array_equal(x.t().scatter_add(1, i.t(), s.t()), sums.T)
        assert np.array_equal(x.scatter(0, i, s), last)
        assert np.array_equal(x.gather(0, i), base[at])
        counts = np.bincount(at, minlength=slots)[:, None]
        assert np.allclose(x.scatter_reduce(0, i, s, "mean"), sums / (1 + counts))
        only = x.scatter_reduce(0, i, s, "mean", include_self=False)
        assert np.allclose(only, np.where(counts, (sums - base) / np.maximum(counts, 1), base), atol=1e-6)
        leaf = x.clone().requires_grad_()
        (leaf.gather(0, i) * s).sum().backward()
        assert np.array_equal(leaf.grad, sums - base)
    finally:
        T.set_num_threads(before)


@pytest.mark.parametrize("rows, width, padding, scaled", [(3000, 40, 7, False), (900, 72, None, True)])
def test_gradients_of_embeddings_by_rows(rows, width, padding, scaled):
    rng, before = np.random.default_rng(0), T.get_num_threads()
    i = rng.integers(0, rows, 5000)
    g = rng.integers(-3, 4, (5000, width)).astype(np.float32)
    want = np.zeros((rows, width), np.float32)
    np.add.at(want, i, g)
    if scaled:
        want /= np.maximum(np.bincount(i, minlength=rows), 1)[:, None].astype(np.float32)
    if padding is not None:
        want[padding] = 0
    try:
        for threads in (1, 3):
            T.set_num_threads(threads)
            w = T.zeros(rows, width, requires_grad=True)
            y = T.nn.functional.embedding(T.tensor(i), w, padding_idx=padding, scale_grad_by_freq=scaled)
            y.backward(T.tensor(g))
            assert np.allclose(w.grad, want, rtol=1e-6)
    finally:
        T.set_num_threads(before)
