"""The loops behind elementwise operations: every way that operands can lie in memory gives the same values."""

import numpy as np
import pytest

import autodiffc as T

SHAPES = [
    ((70, 96), (96,)),
    ((70, 96), (70, 1)),
    ((70, 96), ()),
    ((3, 5, 64), (3, 1, 64)),
    ((3, 5, 64), (5, 1)),
    ((40, 700), (40, 1)),
    ((2, 1300), (1300,)),
    ((6, 7), (7,)),
    ((1, 1), (4, 40)),
    ((0, 40), (40,)),
    ((600, 40), (1, 40)),
]


def array(rng, shape, dtype):
    return np.asarray(rng.uniform(1, 9, shape)).astype(dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "int64", "int32", "uint8", "bool"])
@pytest.mark.parametrize("shapes", SHAPES, ids=str)
def test_broadcast(shapes, dtype):
    rng = np.random.default_rng(3)
    a, b = (array(rng, s, dtype) for s in shapes)
    x, y = T.from_numpy(a), T.from_numpy(b)
    np.testing.assert_array_equal((x + y).numpy(), a + b)
    np.testing.assert_array_equal((y + x).numpy(), b + a)
    np.testing.assert_array_equal((x < y).numpy(), a < b)
    mask = rng.integers(0, 2, shapes[0]).astype(bool)
    np.testing.assert_array_equal(T.where(T.from_numpy(mask), x, y).numpy(), np.where(mask, a, b))
    np.testing.assert_array_equal(T.where(y > 4, x, y).numpy(), np.where(b > 4, a, b))


@pytest.mark.parametrize("shapes", SHAPES, ids=str)
def test_mixed_dtypes_and_layouts(shapes):
    rng = np.random.default_rng(4)
    a, b = array(rng, shapes[0], "float32"), array(rng, shapes[1], "int16")
    wide = np.zeros((*a.shape[:-1], a.shape[-1] * 2), "float32")
    wide[..., ::2] = a
    for x in (T.from_numpy(a), T.from_numpy(wide[..., ::2]), T.from_numpy(np.asfortranarray(a))):
        np.testing.assert_array_equal((x * T.from_numpy(b)).numpy(), a * b)
        np.testing.assert_array_equal((x * 3).numpy(), a * np.float32(3))
        np.testing.assert_array_equal((x.double() + x).numpy(), a.astype("float64") + a)


def test_in_place_into_every_layout():
    a = np.arange(2 * 3 * 40, dtype="float32").reshape(2, 3, 40)
    for make in (lambda: a.copy(), lambda: np.asfortranarray(a), lambda: np.repeat(a, 2, -1)[..., ::2]):
        x = T.from_numpy(make())
        x.add_(T.from_numpy(np.arange(40, dtype="float32"))).mul_(2)
        np.testing.assert_array_equal(x.numpy(), (a + np.arange(40, dtype="float32")) * 2)


def test_threads_do_not_change_bits():
    rng = np.random.default_rng(5)
    a, b = array(rng, (300, 400), "float32"), array(rng, (300, 1), "float32")
    before, results = T.get_num_threads() if hasattr(T, "get_num_threads") else None, []
    for n in (1, 2, 3):
        if before:
            T.set_num_threads(n)
        results.append(((T.from_numpy(a) / T.from_numpy(b)).tanh() ** 1.7).numpy().tobytes())
    if before:
        T.set_num_threads(before)
    assert len(set(results)) == 1


@pytest.mark.parametrize("name", ["sin_", "mul_", "pow_", "silu", "leaky_relu", "div_", "atan2_"])
def test_in_place_keeps_what_the_gradient_reads(name):
    """The gradient of an in-place operation is that of the operation: the overwritten values are kept."""
    from autodiffc._ops import activation

    value = np.linspace(0.5, 2.5, 6)
    grads = []
    for inplace in (False, True):
        x = T.from_numpy(value.copy()).requires_grad_()
        w = T.from_numpy(value[::-1].copy()).requires_grad_()
        z = x * 1
        if name in ("silu", "leaky_relu"):
            y = getattr(activation, name)(z, inplace=inplace)
        elif name == "sin_":
            y = z.sin_() if inplace else z.sin()
        else:
            y = getattr(z, name if inplace else name[:-1])(w)
        assert (y is z) == inplace
        y.sum().backward()
        grads.append([None if t.grad is None else t.grad.numpy() for t in (x, w)])
    for a, b in zip(*grads):
        np.testing.assert_array_equal(a, b)


def test_hash_is_by_identity():
    x = T.ones(2)
    assert hash(x) != hash(T.ones(2)) and len({x: 1, T.ones(2): 2}) == 2


def test_integers_divided_by_zero():
    x = T.tensor([1, 2])
    for f in (
        lambda: x // 0,
        lambda: x % 0,
        lambda: T.fmod(x, 0),
        lambda: T.div(x, 0, rounding_mode="trunc"),
        lambda: x.clone().floor_divide_(T.tensor([1, 0])),
    ):
        with pytest.raises(RuntimeError, match="ZeroDivisionError"):
            f()
    assert (x / 0).tolist() == [float("inf")] * 2


def test_numbers_on_either_side():
    x = T.tensor([2.0, 3.0])
    assert (np.float64(2) * x).dtype is T.float32 and (x + np.int64(1)).tolist() == [3.0, 4.0]
    assert (np.ones(2) + x).tolist() == [3.0, 4.0] and (x - np.ones(2)).dtype is T.float64
    with pytest.raises(TypeError):
        x + "a"
    with pytest.raises(TypeError):
        x * None
    with pytest.raises(TypeError):
        T.add(x, "a")
    with pytest.raises(OverflowError):
        x + 2**70


@pytest.mark.parametrize("name", ["exp", "expm1", "exp2", "tanh", "log1p", "log2", "log10"])
@pytest.mark.parametrize("dtype", [np.int64, np.uint8, bool])
def test_integers_give_the_nearest_single(name, dtype):
    """Integers are computed in double and rounded once, however they lie, also when captured."""
    x = np.arange(-40, 88).reshape(8, 16).astype(dtype)
    with np.errstate(all="ignore"):
        expected = getattr(np, name)(x.astype(np.float32).astype(np.float64)).astype(np.float32)
    f = getattr(T, name)
    t = T.from_numpy(x)
    for got in (f(t), f(t.t()).t(), f(t[:, ::2])):
        assert got.dtype is T.float32
    np.testing.assert_array_equal(f(t).numpy(), expected)
    np.testing.assert_array_equal(f(t.t()).t().numpy(), expected)
    np.testing.assert_array_equal(f(t[0, 0].expand(3)).numpy(), expected[0, :1].repeat(3))
    step = T.compile(lambda v: f(v) * 2)
    for _ in range(3):
        np.testing.assert_array_equal(step(t).numpy(), expected * 2)


def test_sigmoid_of_integers():
    x = np.arange(-40, 41)
    e = np.exp(-x.astype(np.float64)).astype(np.float32)
    np.testing.assert_array_equal(T.from_numpy(x).sigmoid().numpy(), np.float32(1) / (np.float32(1) + e))


def _rounded(x, dtype):
    """float32 as bits of half precision: NumPy's for float16, the upper half of the word, rounded, for bfloat16."""
    if dtype == "float16":
        with np.errstate(over="ignore"):
            return x.astype(np.float16).view(np.uint16)
    bits = x.view(np.uint32).astype(np.uint64)
    return ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype(np.uint16)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_every_number_of_half_precision(dtype):
    kind, bits = getattr(T, dtype), np.arange(65536, dtype=np.uint16)
    words = np.random.default_rng(0).integers(0, 2**32, 50001, dtype=np.uint32)
    near = (bits.astype(np.uint32) << 16)[:, None] + np.arange(0x7FFE, 0x8003, dtype=np.uint32)  # ties of bfloat16
    ties = np.ldexp(np.float32(1), -25) * np.arange(-5000, 5000, dtype=np.float32)  # of float16's smallest
    wide = bits.astype(np.uint32) << 16 if dtype == "bfloat16" else bits.view(np.float16).astype("f").view(np.uint32)
    half = T.from_numpy(bits.view(np.int16).copy()).view(kind)
    number = ~np.isnan(wide.view("f"))
    for strided in (False, True):
        part = slice(1, None, 3) if strided else slice(None)
        got = half[part].float().numpy().view(np.uint32)
        np.testing.assert_array_equal(got[number[part]], wide[part][number[part]])
        assert np.isnan(got.view("f"))[~number[part]].all()
    ends = np.float32([65519, 65520, -65520])
    x = np.concatenate([words.view("f"), near.ravel().view("f"), ties, wide.view("f"), ends])
    x = x[~np.isnan(x)]
    for part in (slice(None), slice(1, None, 3)):
        got = T.from_numpy(x)[part].to(kind).view(T.int16).numpy().view(np.uint16)
        np.testing.assert_array_equal(got, _rounded(x[part].copy(), dtype))
    assert T.tensor([np.nan, -np.nan] * 20).to(kind).isnan().all()


@pytest.mark.parametrize("shape", [(17, 40), (250, 400), (300, 9), (4200, 24), (3, 300, 50)], ids=str)
def test_transposed_operand(shape):
    """In blocks: of one line a band, of several, of a last band that is lower, and of batches."""
    rng = np.random.default_rng(5)
    a, b = rng.normal(size=shape).astype("float32"), rng.normal(size=(*shape[:-2], *shape[:-3:-1])).astype("float32")
    for kind in ("float32", "float64"):
        x, y = T.from_numpy(a.astype(kind)), T.from_numpy(b.astype(kind))
        np.testing.assert_array_equal((x + y.mT).numpy(), a.astype(kind) + b.astype(kind).swapaxes(-1, -2))


@pytest.mark.parametrize("n", [1, 7, 33, 100003])
def test_floats_to_one_another_and_to_integers(n):
    rng = np.random.default_rng(6)
    a = rng.normal(0, 100, n)
    a[:1] = 1e300
    f = a.astype("float64")
    with np.errstate(over="ignore"):
        single = f.astype("float32")
    np.testing.assert_array_equal(T.from_numpy(f).float().numpy(), single)
    np.testing.assert_array_equal(T.from_numpy(single).double().numpy(), single.astype("float64"))
    np.testing.assert_array_equal(T.from_numpy(f[::-1][::2].copy()[1:]).float().numpy(), single[::-1][::2][1:])
    low = np.iinfo(np.int64).min
    for kind in ("float32", "float64"):
        odd = np.array([np.nan, np.inf, -np.inf, 1e19, -1e19, 2.0**63, -(2.0**63), 2.5, -2.5, 0.0], kind)
        want = [low, low, low, low, low, low, low, 2, -2, 0]
        assert T.from_numpy(odd).long().tolist() == want
        many = np.tile(odd, n // 10 + 1)
        np.testing.assert_array_equal(T.from_numpy(many).long().numpy(), np.tile(want, n // 10 + 1))
