"""Matrix products over dtypes, layouts in memory and sizes that rows of operations do not have."""

import itertools
import platform

import numpy as np
import pytest

import autodiffc as torch

from . import child

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


BFLOAT16 = """
import numpy as np, sys, autodiffc as torch
out = {}
for m, k, n in [(1, 1, 1), (5, 3, 7), (13, 64, 33), (70, 515, 40), (200, 1100, 300), (3, 2, 500)]:
    rng = np.random.default_rng(m)
    a, b = (torch.from_numpy(rng.standard_normal(s)).to(torch.bfloat16) for s in ((m, k), (k, n)))
    bias = torch.from_numpy(rng.standard_normal(n)).to(torch.bfloat16)
    out[f"{m} {k} {n}"] = (a @ b).double().numpy()
    out[f"{m} {k} {n} linear"] = torch.nn.functional.linear(a, b.t().contiguous(), bias).double().numpy()
    out[f"{m} {k} {n} want"] = a.double().numpy() @ b.double().numpy()
    out[f"{m} {k} {n} bias"] = bias.double().numpy()
np.savez(sys.argv[1], **out)
"""


def test_bfloat16_is_rounded_once_with_and_without_the_instruction(tmp_path):
    """Sums in float32, one rounding of at most 2^-8 at the end, whatever computes them."""
    for isa in ("", "sse2"):
        path = tmp_path / f"{isa}.npz"
        done = child.run("-c", BFLOAT16, str(path), **({"AUTODIFFC_ISA": isa} if isa in instruction_sets() else {}))
        assert done.returncode == 0, done.stderr
        found = np.load(path)
        for key in [k for k in found.files if k.endswith("want")]:
            name, terms = key.removesuffix(" want"), int(key.split()[1])
            want, slack = found[key], 2e-7 * terms**0.5 * 4
            np.testing.assert_allclose(found[name], want, rtol=2**-8, atol=slack)
            np.testing.assert_allclose(found[name + " linear"], want + found[name + " bias"], rtol=2**-8, atol=slack)


def instruction_sets():
    return ["sse2"] if platform.machine() in ("x86_64", "AMD64") else []


def test_bfloat16_keeps_infinities_nans_and_signs():
    values = [[float("inf"), 1.0, 0.0], [float("nan"), 1.0, 0.0], [-0.0, -0.0, -0.0], [3e38, 3e38, 0.0]]
    a = torch.tensor(values, dtype=torch.bfloat16)
    y = (a @ torch.ones(3, 2, dtype=torch.bfloat16)).float().numpy()
    assert np.isposinf(y[0]).all() and np.isnan(y[1]).all() and (y[2] == 0).all() and np.isposinf(y[3]).all()


@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16"])
@pytest.mark.parametrize("m, k, n", [(64, 2100, 70), (20, 7000, 33), (130, 300, 150)])
def test_bits_are_those_of_any_number_of_threads_and_of_a_batch(dtype, m, k, n):
    """Long sums of few rows and columns are shared out by terms."""
    rng = np.random.default_rng(3)
    a = torch.from_numpy(rng.standard_normal((9, m, k))).to(getattr(torch, dtype))
    b = torch.from_numpy(rng.standard_normal((k, n))).to(getattr(torch, dtype))
    torch.set_num_threads(1)
    want = a[4] @ b
    for threads in (2, 3):
        torch.set_num_threads(threads)
        assert torch.equal(a[4] @ b, want)
        assert torch.equal(torch.bmm(a, b.expand(9, k, n))[4], want)
        assert torch.equal(a[4] @ b.t().contiguous().t(), want)


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


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "int32", "int64"])
def test_overflow_wraps_as_integers_do(dtype):
    info = np.iinfo(dtype)
    a = np.random.default_rng(4).integers(info.min, info.max, (40, 300), dtype, endpoint=True)
    b = np.random.default_rng(5).integers(info.min, info.max, (300, 50), dtype, endpoint=True)
    np.testing.assert_array_equal((torch.from_numpy(a) @ torch.from_numpy(b)).numpy(), a @ b)


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
