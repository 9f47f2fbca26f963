"""Running one function on both libraries and comparing what it gives."""

import warnings

import numpy as np
import pytest

import autodiffc

torch = pytest.importorskip("torch")

RNG = np.random.default_rng(0)
X = RNG.standard_normal((4, 6)).astype(np.float32)
Y = RNG.standard_normal((4, 6)).astype(np.float32)
EDGES = np.array(
    [-7.0, -3.0, -1.0, -0.5, -0.0, 0.0, 0.25, 0.5, 1.0, 3.0, 6.0, 30.0, np.inf, -np.inf, np.nan],
    dtype=np.float32,
)


def tensor(T, array, grad=False):
    t = T.from_numpy(np.array(array))
    return t.requires_grad_() if grad else t


def plain(value):
    """A result as NumPy arrays, numbers and strings, so that two libraries' can be compared."""
    if hasattr(value, "detach"):
        return np.array(value.detach().numpy())
    if isinstance(value, dict):
        return {str(key): plain(member) for key, member in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(member) for member in value]
    return value


def outcome(case, T):
    """What a case gives, or the class of what it raises."""
    T.manual_seed(7)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return plain(case(T))
        except Exception as error:
            return type(error)


def same(ours, theirs, tolerance=1e-5):
    if isinstance(theirs, np.ndarray):
        assert isinstance(ours, np.ndarray) and ours.dtype == theirs.dtype and ours.shape == theirs.shape
        np.testing.assert_allclose(ours, theirs, rtol=tolerance, atol=tolerance)
    elif isinstance(theirs, dict):
        assert isinstance(ours, dict) and list(ours) == list(theirs)
        for key in theirs:
            same(ours[key], theirs[key], tolerance)
    elif isinstance(theirs, list):
        assert isinstance(ours, list) and len(ours) == len(theirs)
        for a, b in zip(ours, theirs):
            same(a, b, tolerance)
    elif isinstance(theirs, float):
        assert ours == pytest.approx(theirs, rel=1e-12, abs=1e-15, nan_ok=True)
    else:
        assert ours == theirs


def check(case, tolerance=1e-5):
    same(outcome(case, autodiffc), outcome(case, torch), tolerance)


def value_and_grads(T, function, *arrays):
    """The result and the gradients of its weighted sum with respect to each array."""
    inputs = [tensor(T, a, np.issubdtype(np.asarray(a).dtype, np.floating)) for a in arrays]
    result = function(*inputs)
    weights = np.linspace(0.5, 1.5, int(np.prod(result.shape)) or 1, dtype=np.float32)
    (result * tensor(T, weights.reshape(tuple(result.shape)))).sum().backward()
    return [result, *[t.grad for t in inputs if t.requires_grad and t.grad is not None]]
