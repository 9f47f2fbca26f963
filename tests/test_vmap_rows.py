"""Every row under vmap: what it gives for a batch is what it gives for each sample, with gradients of each sample,
gradients through the batch, and tangents."""

import numpy as np
import pytest

import autodiffc as T
from autodiffc.func import grad, jvp, vmap

from .case import is_float, outputs, to_numpy
from .op_cases import CASES

SAMPLES = 3


def draws(case):
    """Whether a row draws random numbers: what it gives differs between two calls."""
    dtype = case.float_dtype()
    arrays = case.make(dtype)
    before = T.manual_seed(987654321).get_state()
    case.fn(T, *case.tensors(T, arrays, dtype))
    return not T.get_rng_state().equal(before)


ROWS = [c for c in CASES if not draws(c)]


def samples(case):
    """(dtype, the inputs of some samples); the first input is the same in all of them when `shared`."""
    dtype = case.float_dtype()
    return dtype, [case.tensors(T, case.make(dtype, seed=k), dtype) for k in range(SAMPLES)]


def tensors(result):
    return tuple(t for t in outputs(result) if isinstance(t, T.Tensor))


def compare(got, expected, tol=1e-10):
    assert len(got) == len(expected)
    for a, b in zip(got, expected):
        a, b = to_numpy(a), to_numpy(b)
        assert a.shape == b.shape and a.dtype == b.dtype
        np.testing.assert_allclose(a.astype(np.float64), b.astype(np.float64), rtol=tol, atol=tol)


def columns(rows):
    return [T.stack(list(c)) for c in zip(*rows)]


@pytest.mark.parametrize("case", [pytest.param(c, id=c.id) for c in ROWS])
def test_each_sample(case):
    dtype, inputs = samples(case)
    if not inputs[0]:
        return

    def f(*xs):
        return tensors(case.fn(T, *xs))

    expected = [f(*xs) for xs in inputs]
    if not expected[0] or any(t.shape != e.shape for row in expected for t, e in zip(row, expected[0])):
        return  # what its values decide the size of is no batch
    batch = columns(inputs)
    compare(vmap(f)(*batch), columns(expected), case.tolerance(dtype)[0] or 1e-10)
    last = [x.movedim(0, -1).contiguous() for x in batch]
    compare(vmap(f, in_dims=-1)(*last), columns(expected), case.tolerance(dtype)[0] or 1e-10)
    if len(batch) > 1:  # some operands are shared
        dims = (None, *[0] * (len(batch) - 1))
        shared = [f(inputs[0][0], *xs[1:]) for xs in inputs]
        if all(t.shape == e.shape for row in shared for t, e in zip(row, shared[0])):
            compare(vmap(f, in_dims=dims)(inputs[0][0], *batch[1:]), columns(shared), 1e-6)


@pytest.mark.parametrize("case", [pytest.param(c, id=c.id) for c in ROWS if c.grad])
def test_gradients(case):
    _, inputs = samples(case)
    wrt = tuple(k for k, (i, x) in enumerate(zip(case.inputs, inputs[0])) if i.differentiable(str(x.dtype)[6:]))
    assert wrt and all(is_float(str(inputs[0][k].dtype)) for k in wrt)

    def f(*xs):
        ys = [y for y in tensors(case.fn(T, *xs)) if y.is_floating_point()]
        return sum((y * T.arange(1.0, y.numel() + 1, dtype=y.dtype).reshape(y.shape).cos()).sum() for y in ys)

    g = grad(f, argnums=wrt)
    expected = [g(*xs) for xs in inputs]
    batch = columns(inputs)
    compare(vmap(g)(*batch), columns(expected), 1e-8)
    # through the batch, with the first of them shared by all samples
    total = [sum(e[0] for e in [g(inputs[0][0], *xs[1:]) for xs in inputs])] if wrt[0] == 0 else None
    if total and len(inputs[0]) > 1:
        dims = (None, *[0] * (len(batch) - 1))
        got = grad(lambda x: vmap(f, in_dims=dims)(x, *batch[1:]).sum())(inputs[0][0])
        compare([got], total, 1e-8)

    def along(*xs):
        moving = [xs[k] for k in wrt]

        def part(*ms):
            full = list(xs)
            for k, m in zip(wrt, ms):
                full[k] = m
            return f(*full)

        return jvp(part, tuple(moving), tuple(m * 0 + 1 for m in moving))[1]

    compare([vmap(along)(*batch)], [T.stack([along(*xs) for xs in inputs])], 1e-7)
