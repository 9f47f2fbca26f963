"""In-place writes and views: random programs against a reference that has neither, and the rules by themselves."""

import numpy as np
import pytest

import autodiffc as T

from . import inplace_programs as P

FORBIDDEN = (
    "leaf Variable",
    "is a view and",
    "view was created",
    "single memory location",
    "not compatible with input",
)


def grads(T, y, xs):
    if y is None or not y.requires_grad:
        return [np.zeros(tuple(x.shape)) for x in xs]
    got = T.autograd.grad(y, xs, allow_unused=True)
    return [np.asarray(g.tolist()) if g is not None else np.zeros(tuple(x.shape)) for g, x in zip(got, xs)]


@pytest.mark.parametrize("block", range(20))
def test_programs_against_reference(block):
    compared = 0
    for seed in range(40 * block, 40 * block + 40):
        leaves, code = P.program(seed)
        values = P.leaf_values(leaves, seed)
        variables, xs, errors = P.run(T, leaves, code, values)
        assert all(any(f in e for f in FORBIDDEN) for _, e in errors), (seed, errors)
        expected, ys = P.reference(T, leaves, code, values, {k for k, _ in errors})
        read = [v.read(T) if v is not None else None for v in expected]
        for k, (a, b) in enumerate(zip(variables, read)):
            assert (a is None) == (b is None), (seed, k)
            if a is not None:
                np.testing.assert_allclose(a.tolist(), b.tolist(), rtol=1e-12, err_msg=f"seed {seed}, variable {k}")
        try:
            got = grads(T, P.total(T, variables, seed), xs)
        except RuntimeError as e:  # what was saved has been overwritten: refusing is right
            assert "modified by an inplace operation" in str(e) or any(f in str(e) for f in FORBIDDEN), (seed, e)
            continue
        compared += 1
        for a, b in zip(got, grads(T, P.total(T, read, seed), ys)):
            np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12, err_msg=f"seed {seed}")
    assert compared > 10


def test_the_result_of_a_division_may_be_written():
    """Its gradient reads the operands alone, as PyTorch's does."""
    for view in (False, True):
        a, b = T.full((2, 2), 3.0, requires_grad=True), T.full((2, 2), 2.0, requires_grad=True)
        y = a / b
        (y.view(-1) if view else y).mul_(2)
        y.sum().backward()
        assert (a.grad == 1).all() and (b.grad == -1.5).all()
