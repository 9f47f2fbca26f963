"""Matrix products over dtypes, layouts in memory and sizes that rows of operations do not have."""

import itertools

import numpy as np
import pytest

import autodiffc as torch

DTYPES = ["float32", "float64", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8"]
TOLERANCE = {"float32": 1e-5, "float64": 1e-13, "float16": 2e-2, "bfloat16": 2e-1}


def make(rng, sizes, dtype, layout):
    """A tensor of small values in the given layout, and its values."""
    if "float" in dtype:
        a = torch.from_numpy(rng.standard_normal(sizes)).to(getattr(torch, dtype))
    else:
        a = torch.from_numpy(rng.integers(0, 5, sizes)).to(getattr(torch, dtype))
    if layout == "transposed":
        a = a.transpose(-2, -1).contiguous().transpose(-2, -1)
    elif layout == "gaps":
        wide = torch.zeros(*[2 * n for n in sizes], dtype=a.dtype)
        spaced = wide[tuple(slice(None, None, 2) for _ in sizes)]
        spaced.copy_(a)
        a = spaced
    elif layout == "expanded":
        a = a[..., :1, :].expand(sizes) if sizes[-2] else a
    elif layout == "columns":
        a = a[..., :1].expand(sizes) if sizes[-1] else a
    return a, a.to(torch.float64).numpy().copy()


def check(y, want, dtype):
    assert y.dtype is getattr(torch, dtype) and tuple(y.shape) == want.shape
    if dtype in TOLERANCE:
        np.testing.assert_allclose(y.to(torch.float64).numpy(), want, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype])
    else:
        np.testing.assert_array_equal(y.numpy(), want.astype(np.int64).astype(dtype))


LAYOUTS = ["contiguous", "transposed", "gaps", "expanded", "columns"]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("la, lb", list(itertools.product(LAYOUTS, LAYOUTS)))
def test_layouts(dtype, la, lb):
    rng = np.random.default_rng(0)
    for sizes_a, sizes_b in [((3, 5), (5, 4)), ((1, 5), (5, 1)), ((33, 40), (40, 17)), ((2, 3, 7), (2, 7, 3)),
                             ((2, 1, 3, 4), (5, 4, 2)), ((4, 0), (0, 3)), ((0, 4), (4, 3)), ((0, 3, 4), (0, 4, 2)),
                             ((3, 0, 2), (1, 2, 4))]:  # fmt: skip
        a, x = make(rng, sizes_a, dtype, la)
        b, y = make(rng, sizes_b, dtype, lb)
        check(torch.matmul(a, b), x @ y, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_linear(dtype, layout):
    rng = np.random.default_rng(1)
    cases = [((5,), 3), ((4, 5), 3), ((2, 3, 5), 1), ((2, 3, 4, 40), 33), ((3, 0), 2), ((0, 4), 2), ((2, 0, 4), 3)]
    for sizes, out in cases:
        w, v = make(rng, (out, sizes[-1]), dtype, layout)
        a, x = make(rng, sizes, dtype, layout if len(sizes) > 1 else "contiguous")
        want = x @ v.T
        check(torch.nn.functional.linear(a, w), want, dtype)
        for n in {out, 1}:
            bias, b = make(rng, (n, 2), dtype, "contiguous")
            check(torch.nn.functional.linear(a, w, bias[:, 0]), want + b[:, 0], dtype)
        row, b = make(rng, (1, 1), dtype, "contiguous")
        check(torch.nn.functional.linear(a, w, row[0].expand(out)), want + b[0], dtype)


@pytest.mark.parametrize("ndim", [6, 20, 64])
def test_many_batch_dimensions(ndim):
    """More than a product's driver takes at once, in an order that does not merge."""
    rng = np.random.default_rng(2)
    lead = [1] * (ndim - 2)
    for k in range(0, min(ndim - 2, 12), 2):
        lead[k] = 2
    core = [n for n in lead if n > 1]
    x, y = rng.standard_normal((*core, 2, 3)), rng.standard_normal((*core, 3, 2))
    a = torch.from_numpy(x).permute(*reversed(range(len(core))), -2, -1).contiguous()
    a = a.permute(*reversed(range(len(core))), -2, -1).reshape(*lead, 2, 3)
    got = torch.matmul(a, torch.from_numpy(y).reshape(*lead, 3, 2))
    assert got.ndim == ndim
    np.testing.assert_allclose(got.numpy().reshape(x.shape[:-1] + (2,)), x @ y, rtol=1e-12)


def test_overflow_wraps_as_integers_do():
    a = torch.full((2, 2), 100, dtype=torch.int8)
    assert (a @ a).tolist() == [[32, 32], [32, 32]]  # 20000 mod 256


@pytest.mark.parametrize("call", [
    lambda b: torch.mm(b, b), lambda b: b @ b, lambda b: torch.bmm(b[None], b[None]),
    lambda b: torch.nn.functional.linear(b, b),
])  # fmt: skip
def test_bool_is_refused(call):
    with pytest.raises((RuntimeError, NotImplementedError)):
        call(torch.ones(2, 2, dtype=torch.bool))


def test_out():
    a = torch.ones(2, 3)
    out = torch.zeros(0)
    assert torch.mm(a, a.t(), out=out) is out and out.tolist() == [[3, 3], [3, 3]]
    with pytest.raises(RuntimeError, match="cast"):
        torch.mm(a, a.t(), out=torch.zeros(2, 2, dtype=torch.int64))


def test_nan_and_infinity_pass_through():
    a = torch.tensor([[float("nan"), 0.0], [1.0, float("inf")]])
    y = (a @ torch.eye(2)).numpy()
    assert np.isnan(y[0]).all() and np.isnan(y[1, 0]) and np.isinf(y[1, 1])


def test_beta_of_zero_ignores_the_input():
    c = torch.full((2, 2), float("nan"))
    assert torch.addmm(c, torch.ones(2, 1), torch.ones(1, 2), beta=0).tolist() == [[1, 1], [1, 1]]


def test_decompositions_are_refused_in_a_captured_step():
    with torch.no_grad(), pytest.raises(RuntimeError, match="linalg.inv"):
        torch.compile(lambda x: torch.linalg.inv(x), fullgraph=True)(torch.eye(2))


def test_decompositions_check_versions():
    a = (torch.eye(3, dtype=torch.float64) * 2).requires_grad_()
    y = torch.linalg.inv(a)
    y.detach().mul_(2)
    with pytest.raises(RuntimeError, match="inplace"):
        y.sum().backward()
