"""Every row in PyTorch and here, with the same inputs: values, dtypes, gradients, error classes."""

import numpy as np
import pytest
import torch

import autodiffc

from ..case import DTYPES, As, as_dtype, dtype_name, is_float, outputs, resolve, tensor, to_numpy
from ..op_cases import CASES
from ..test_ops import _nonfinite, rows, rows_and_dtypes

ALL = [d for names in DTYPES.values() for d in names]
BOTH = [c for c in CASES if resolve(torch, c.base) is not None]


# Where PyTorch is not followed, by test and row.
DIFFERS = {
    ("other dtypes", "matmul/nothing"): "PyTorch multiplies bool matrices only when they are empty",
    ("other dtypes", "linalg.matrix_exp"): "PyTorch refuses half precision as well, but for some sizes",
    ("other dtypes", "Tensor.matrix_exp"): "PyTorch refuses half precision as well, but for some sizes",
    ("gradient", "nn.functional.hardsigmoid"): "PyTorch's 1/6 is rounded to float32",
    ("gradient", "nn.functional.hardsigmoid/inplace"): "PyTorch's 1/6 is rounded to float32",
    ("nonfinite", "nn.functional.hardsigmoid"): "PyTorch's 1/6 is rounded to float32",
    **{("value", f"special.{n}"): "PyTorch's is only right to 4e-7" for n in ("airy_ai", "bessel_j0", "bessel_y1")},
    ("gradient", "as_strided_scatter"): "PyTorch gives the whole the gradient of the part, and 0 elsewhere",
    ("value", "Tensor.polygamma"): "PyTorch's zeta function is only right to 4e-10",
    ("value", "Tensor.polygamma_"): "PyTorch's zeta function is only right to 4e-10",
    ("value", "_standard_gamma_grad"): "PyTorch's is an approximation, right to 5e-4",
    ("value", "_dirichlet_grad"): "PyTorch's is an approximation, right to 5e-4",
    ("nonfinite", "nn.functional.softsign"): "PyTorch's slope at infinity is NaN; it is 0",
}


def follows(test, cases):
    return rows(c for c in cases if (test, c.id) not in DIFFERS)


def attempt(f):
    """What f() returns, or the exception it raises."""
    try:
        return f()
    except Exception as e:  # whatever class: it is compared
        return e


def assert_same(case, mine, theirs, dtype):
    mine, theirs = outputs(mine), outputs(theirs)
    assert len(mine) == len(theirs)
    for k, (a, b) in enumerate(zip(mine, theirs)):
        rtol, atol = case.tolerance(dtype if is_float(dtype) else dtype_name(b))
        assert dtype_name(a) == dtype_name(b), f"output {k}: {dtype_name(a)}, PyTorch gives {dtype_name(b)}"
        a, b = to_numpy(a), to_numpy(b)
        assert a.shape == b.shape
        np.testing.assert_allclose(a, b, rtol=rtol, atol=atol, err_msg=f"output {k}")


def both(case, arrays, dtype):
    return [attempt(lambda T=T: case.fn(T, *case.tensors(T, arrays, dtype))) for T in (autodiffc, torch)]


@pytest.mark.parametrize("case, dtype", rows_and_dtypes([c for c in CASES if ("value", c.id) not in DIFFERS]))
def test_value(case, dtype):
    mine, theirs = both(case, case.make(dtype), dtype)
    if isinstance(theirs, Exception):  # PyTorch has no kernel of this dtype: more is allowed
        return
    if isinstance(mine, Exception):
        raise mine
    assert_same(case, mine, theirs, dtype)


@pytest.mark.parametrize("case", follows("other dtypes", (c for c in CASES if c.inputs)))
def test_other_dtypes(case):
    """In the dtypes that the row does not list: what PyTorch computes, and its error class where it raises."""
    for dtype in ALL:
        if dtype in case.dtype_names() or all(i.dtype for i in case.inputs):
            continue
        mine, theirs = both(case, case.make(dtype), dtype)
        if isinstance(theirs, Exception):
            if isinstance(mine, Exception):
                assert isinstance(mine, known_as(theirs)), f"{dtype}: {mine!r}, PyTorch raises {theirs!r}"
        elif isinstance(mine, Exception):
            raise AssertionError(f"{dtype} is refused, PyTorch computes it") from mine
        else:
            assert [dtype_name(t) for t in outputs(mine)] == [dtype_name(t) for t in outputs(theirs)], dtype


def known_as(error):
    """NotImplementedError is a RuntimeError, and PyTorch raises either where a kernel is missing."""
    return RuntimeError if isinstance(error, RuntimeError) else type(error)


def gradients(case, T, arrays, dtype):
    ts = case.tensors(T, arrays, dtype)
    wrt = [t.requires_grad_() for t, i in zip(ts, case.inputs) if i.differentiable(dtype)]
    ys = [y for y in outputs(case.fn(T, *ts)) if hasattr(y, "requires_grad") and y.requires_grad]
    rng = np.random.default_rng(3)
    vs = [tensor(T, as_dtype(rng.uniform(-1, 1, tuple(y.shape)), dtype_name(y)), dtype_name(y)) for y in ys]
    gs = T.autograd.grad(ys, wrt, vs, allow_unused=True)
    return [None if g is None else to_numpy(g) for g in gs]


@pytest.mark.parametrize("case", follows("gradient", (c for c in BOTH if c.grad)))
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_gradient(case, dtype):
    arrays = case.make(dtype)
    rtol, atol = case.tolerance(dtype)
    theirs = attempt(lambda: gradients(case, torch, arrays, dtype))
    if isinstance(theirs, RuntimeError):  # PyTorch has none, or fails over its own (vander)
        return
    for a, b in zip(gradients(case, autodiffc, arrays, dtype), theirs, strict=True):
        assert (a is None) == (b is None)
        if a is not None:
            np.testing.assert_allclose(a, b, rtol=10 * rtol, atol=10 * atol)


@pytest.mark.parametrize(
    "case", follows("nonfinite", (c for c in BOTH if c.elementwise and c.nonfinite and "f" in c.dtypes))
)
def test_nonfinite(case):
    """Values and gradients at NaN, infinities, signed zeros and kinks."""
    arrays = _nonfinite(case, "float64")
    mine, theirs = both(case, arrays, "float64")
    assert_same(case, mine, theirs, "float64")
    if case.grad:
        for k, (a, b) in enumerate(zip(*(gradients(case, T, arrays, "float64") for T in (autodiffc, torch)))):
            assert (a is None) == (b is None)
            if a is not None:
                np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-10, err_msg=f"gradient of input {k}")


@pytest.mark.parametrize("case, k", [pytest.param(c, k, id=f"{c.id}-{k}") for c in CASES for k in range(len(c.raises))])
def test_refusal(case, k):
    fn, error = case.raises[k]
    theirs = attempt(lambda: fn(torch))
    # Functions that PyTorch writes in Python trip over a wrong type wherever they use it first.
    allowed = (error, AttributeError) if error is TypeError else error
    assert isinstance(theirs, allowed), f"PyTorch: {theirs!r}"


@pytest.mark.parametrize("case", rows(c for c in CASES if c.inplace))
def test_inplace(case):
    """The in-place form in every dtype: the same values or the same refusal."""
    for dtype in ALL:
        arrays = case.make(dtype)
        results = []
        for T in (autodiffc, torch):
            ts = case.tensors(T, arrays, dtype)
            results.append(attempt(lambda T=T, ts=ts: case.fn(As(T, case.base, case.inplace), *ts)))
        mine, theirs = results
        if isinstance(theirs, Exception):
            if isinstance(mine, Exception):
                assert isinstance(mine, known_as(theirs)), f"{dtype}: {mine!r}, PyTorch raises {theirs!r}"
        elif isinstance(mine, Exception):
            raise AssertionError(f"{dtype} is refused, PyTorch computes it") from mine
        else:
            assert_same(case, mine, theirs, dtype)


def test_rows_name_what_pytorch_has():
    """A row whose name PyTorch does not know is one of the library's own."""
    own = sorted({c.base for c in CASES} - {c.base for c in BOTH})
    assert own == sorted(OWN), own


OWN: set[str] = set()
"""Public operations that PyTorch does not have."""
