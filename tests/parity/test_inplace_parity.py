"""Random programs of views and in-place writes give what PyTorch gives: values, errors, gradients, versions."""

import numpy as np
import pytest

import autodiffc
from tests import inplace_programs as P

torch = pytest.importorskip("torch")


def outcome(T, seed):
    leaves, code = P.program(seed)
    variables, xs, errors = P.run(T, leaves, code, P.leaf_values(leaves, seed))
    values = [v.tolist() if v is not None else None for v in variables]
    facts = [facts_of(v) if v is not None else None for v in variables]
    try:
        y = P.total(T, variables, seed)
        got = T.autograd.grad(y, xs, allow_unused=True) if y is not None and y.requires_grad else [None] * len(xs)
        grads = [np.asarray(g.tolist()) if g is not None else np.zeros(tuple(x.shape)) for g, x in zip(got, xs)]
    except RuntimeError as e:
        grads = str(e)
    return errors, values, facts, grads


def facts_of(v):
    """What is known of a variable; None where PyTorch refuses to say."""
    try:
        return v.requires_grad, v.is_leaf, v._version, v._is_view()
    except RuntimeError:
        return None


@pytest.mark.parity
@pytest.mark.parametrize("block", range(20))
def test_programs_as_torch_runs_them(block):
    for seed in range(50 * block, 50 * block + 50):
        ours, theirs = outcome(autodiffc, seed), outcome(torch, seed)
        report = compare(ours, theirs)
        assert report is None, f"seed {seed}: {report}\n{P.program(seed)}"


def compare(ours, theirs):
    mine = {k for k, _ in ours[0]}
    if any(k not in mine and "its base or another view of its base" in e for k, e in theirs[0]):
        return None  # one of several views, after a write under no_grad: PyTorch refuses what has a right answer
    if [k for k, _ in ours[0]] != [k for k, _ in theirs[0]]:
        return f"refused {ours[0]} and {theirs[0]}"
    for k, (a, b) in enumerate(zip(ours[1], theirs[1])):
        if a is not None and not np.allclose(a, b, rtol=1e-12):
            return f"variable {k} is {a} and {b}"
    for k, (a, b) in enumerate(zip(ours[2], theirs[2])):
        if b is not None and a != b:
            return f"variable {k} (requires_grad, is_leaf, _version, _is_view()) is {a} and {b}"
    if isinstance(ours[3], str) or isinstance(theirs[3], str):
        if isinstance(ours[3], str):  # PyTorch runs more nodes: those that only pass zeros on
            return None if isinstance(theirs[3], str) else f"gradients {ours[3]} and {theirs[3]}"
        return None
    for a, b in zip(ours[3], theirs[3]):
        if not np.allclose(a, b, rtol=1e-9, atol=1e-12):
            return f"gradients {a} and {b}"
    return None
