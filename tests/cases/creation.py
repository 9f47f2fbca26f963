"""Rows of creation: the inputs give no more than a size or a dtype."""

import numpy as np

from tests.case import Case, In


def _case(name, fn, ref, *inputs, **kw):
    """A row whose refusals take the module and tensors of the row's sizes."""
    kw.setdefault("dtypes", "fhib")
    kw["raises"] = tuple((_given(bad, inputs), error) for bad, error in kw.pop("raises", ()))
    return Case(name, fn, ref, list(inputs), grad=False, **kw)


def _given(bad, inputs):
    return lambda T: bad(T, *[T.ones(i.sizes) for i in inputs])


A = In(2, 3)
CASES = [
    _case(
        "zeros_like",
        lambda T, a: T.zeros_like(a),
        np.zeros_like,
        A,
        raises=((lambda T, a: T.zeros_like("a"), TypeError),),
    ),
    _case("ones_like", lambda T, a: T.ones_like(a), np.ones_like, A),
    _case("full_like", lambda T, a: T.full_like(a, 1), lambda a: np.full_like(a, 1), A),
    _case(
        "zeros",
        lambda T, a: T.zeros(2, 3, dtype=a.dtype),
        np.zeros_like,
        A,
        raises=(
            (lambda T, a: T.zeros(-1), RuntimeError),
            (lambda T, a: T.zeros(2.0), TypeError),
            (lambda T, a: T.zeros(2**62, 2**62), RuntimeError),
            (lambda T, a: T.zeros(2, dtype="float32"), TypeError),
            (lambda T, a: T.zeros(2, device="cuda"), AssertionError),
        ),
    ),
    _case("ones", lambda T, a: T.ones((2, 3), dtype=a.dtype), np.ones_like, A),
    _case(
        "full",
        lambda T, a: T.full((2, 3), 1, dtype=a.dtype),
        np.ones_like,
        A,
        raises=((lambda T, a: T.full((2,), "a"), TypeError), (lambda T, a: T.full(2, 1), TypeError)),
    ),
    _case("Tensor.new_zeros", lambda T, a: a.new_zeros(2, 3), np.zeros_like, A),
    _case("Tensor.new_ones", lambda T, a: a.new_ones((2, 3)), np.ones_like, A),
    _case("Tensor.new_full", lambda T, a: a.new_full((2, 3), 1), np.ones_like, A),
    _case(
        "eye",
        lambda T, a: T.eye(2, 3, dtype=a.dtype),
        lambda a: np.eye(2, 3, dtype=a.dtype),
        A,
        raises=((lambda T, a: T.eye(-1), RuntimeError),),
    ),
    _case(
        "arange",
        lambda T, a: T.arange(1, 12, 3, dtype=a.dtype),
        lambda a: np.arange(1, 12, 3, dtype=a.dtype),
        A,
        dtypes="fhi",
        raises=(
            (lambda T, a: T.arange(0, 5, 0), RuntimeError),
            (lambda T, a: T.arange(0, 5, -1), RuntimeError),
            (lambda T, a: T.arange(0, float("inf")), RuntimeError),
            (lambda T, a: T.arange("a"), TypeError),
        ),
    ),
    _case(
        "linspace",
        lambda T, a: T.linspace(-1, 2, 7, dtype=a.dtype),
        lambda a: np.linspace(-1, 2, 7),
        A,
        dtypes="f",
        raises=((lambda T, a: T.linspace(0, 1, -1), RuntimeError), (lambda T, a: T.linspace(0, 1, 2.5), TypeError)),
    ),
    _case("logspace", lambda T, a: T.logspace(-1, 2, 4, dtype=a.dtype), lambda a: np.logspace(-1, 2, 4), A, dtypes="f"),
    _case(
        "tril_indices",
        lambda T: T.tril_indices(3, 4, 1),
        lambda: np.stack(np.tril_indices(3, 1, 4)),
        dtypes="i",
        capture=False,
    ),
    _case(
        "triu_indices",
        lambda T: T.triu_indices(3, 4, 1),
        lambda: np.stack(np.triu_indices(3, 1, 4)),
        dtypes="i",
        capture=False,
    ),
]
