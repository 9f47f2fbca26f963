"""Rows of indexing, gather and scatter, masks, embedding and padding."""

import numpy as np

from autodiffc._ops import index as ops
from tests.case import Case, In


def functional(T):
    """torch.nn.functional, or the functions here that stand behind autodiffc's."""
    return ops if T.__name__ == "autodiffc" else T.nn.functional


def idx(*sizes, below, low=0):
    return In(*sizes, dtype="i64", low=low, high=below)


def get(T, x, *place):
    return T.Tensor.__getitem__(x, place if len(place) > 1 else place[0])  # x[place] of a str would be Python's


def written(x, place, value, accumulate=False):
    y = x.copy()
    if accumulate:
        np.add.at(y, place, value)
    else:
        y[place] = value
    return y


def stepwise(T, x, place, value):
    y = x.clone()
    y[place] = value
    return y


def grid(index, dim):
    """For NumPy: the coordinates that gather and scatter use."""
    place = list(np.indices(index.shape))
    place[dim] = index
    return tuple(place)


def scattered(x, dim, index, src, how, include_self=True):
    y, place = x.copy(), grid(index, dim)
    part = src[tuple(slice(0, n) for n in index.shape)]
    if how == "mean":
        count = np.zeros(x.shape)
        np.add.at(count, place, 1)
        total = x * include_self * 1.0 if include_self else np.where(count > 0, 0, x)
        total = np.array(total)
        np.add.at(total, place, part)
        return total / np.maximum(count + include_self, 1)
    if not include_self:
        y[place] = {"sum": 0, "prod": 1, "amax": -np.inf, "amin": np.inf}[how]
    ufunc = {"sum": np.add, "prod": np.multiply, "amax": np.maximum, "amin": np.minimum}[how]
    ufunc.at(y, place, part)
    return y


def zeros_but(mask, x):
    y = np.zeros_like(x)
    y[mask] = x[mask]
    return y


X = In(4, 5)
GETITEM = [
    ("int", (1,)),
    ("ints", (1, -2)),
    ("slice", (slice(1, 4, 2),)),
    ("basic", (slice(None), None, slice(0, 5, 3))),
    ("ellipsis", (..., -1)),
]
CASES = [
    *[
        Case(f"Tensor.__getitem__/{name}", lambda T, x, e=e: get(T, x, *e), lambda x, e=e: x[e], [X], dtypes="fhib")
        for name, e in GETITEM
    ],
    Case(
        "Tensor.__getitem__/tensor",
        lambda T, x, i: get(T, x, i.long()),
        lambda x, i: x[i],
        [X, idx(2, 3, below=4, low=-4)],
        dtypes="fhib",
        bench=((1000, 128), (700,)),
        raises=(
            (lambda T: T.zeros(3)[3], IndexError),
            (lambda T: T.zeros(3)[0, 0], IndexError),
            (lambda T: T.zeros(())[0], IndexError),
            (lambda T: T.zeros(3)[::-1], ValueError),
            (lambda T: T.zeros(3)[T.tensor([3])], IndexError),
            (lambda T: T.zeros(3)[T.tensor([0.0])], IndexError),
            (lambda T: T.zeros(3)[T.ones(2) > 0], IndexError),
            (lambda T: T.zeros(3, 3)[T.tensor([0, 1]), T.tensor([0, 1, 2])], IndexError),
            (lambda T: T.zeros(3)["a"], TypeError),
            (lambda T: T.zeros(3)[1.0], IndexError),
        ),
    ),
    Case(
        "Tensor.__getitem__/tensors",
        lambda T, x, i, j: get(T, x, i.long(), slice(None), j.long()),
        lambda x, i, j: x[i, :, j],
        [In(3, 2, 4), idx(3, 1, below=3), idx(2, below=4)],
    ),
    Case(
        "Tensor.__getitem__/adjacent",
        lambda T, x, i, j: get(T, x, slice(None), i.long(), j.long()),
        lambda x, i, j: x[:, i, j],
        [In(2, 3, 4), idx(3, 1, below=3), idx(2, below=4)],
    ),
    Case(
        "Tensor.__getitem__/mask",
        lambda T, x, m: get(T, x, m.bool()),
        lambda x, m: x[m],
        [X, In(4, 5, dtype="bool")],
        dtypes="fhib",
        capture=False,
    ),
    Case(
        "Tensor.__getitem__/rows",
        lambda T, x, m: get(T, x, m.bool()),
        lambda x, m: x[m],
        [X, In(4, dtype="bool")],
        capture=False,
    ),
    Case(
        "Tensor.__setitem__/slice",
        lambda T, x, v: stepwise(T, x, (slice(None), slice(1, 5, 2)), v),
        lambda x, v: written(x, (slice(None), slice(1, 5, 2)), v),
        [X, In(4, 2)],
        dtypes="fhi",
        raises=(
            (lambda T: T.zeros(3).__setitem__(slice(0, 2), T.ones(3)), RuntimeError),
            (lambda T: T.zeros(3).__setitem__(T.tensor([5]), 1.0), IndexError),
            (lambda T: T.zeros(3).__setitem__(0, "a"), TypeError),
            (lambda T: T.zeros(3).__setitem__(T.tensor([0]), T.ones(1, dtype=T.int64)), RuntimeError),
        ),
    ),
    Case(
        "Tensor.__setitem__/int",
        lambda T, x, v: stepwise(T, x, 2, v),
        lambda x, v: written(x, 2, v),
        [X, In(5)],
        dtypes="fhi",
    ),
    Case(
        "Tensor.__setitem__/number",
        lambda T, x, m: stepwise(T, x, m.bool(), 3),
        lambda x, m: written(x, m, 3),
        [X, In(4, 5, dtype="bool")],
        dtypes="fhi",
    ),
    Case(
        "Tensor.__setitem__/tensor",
        lambda T, x, v: stepwise(T, x, (slice(None), T.tensor([3, 0, 1])), v),
        lambda x, v: written(x, (slice(None), np.array([3, 0, 1])), v),
        [X, In(4, 3)],
        dtypes="fhi",
    ),
    Case(
        "index_put",
        lambda T, x, v: x.index_put((T.tensor([3, 0]), T.tensor([[1], [2]])), v),
        lambda x, v: written(x, (np.array([3, 0]), np.array([[1], [2]])), v),
        [X, In(2, 1)],
        dtypes="fhi",
    ),
    Case(
        "index_put/accumulate",
        lambda T, x, i, v: x.index_put((i,), v, accumulate=True),
        lambda x, i, v: written(x, i, v, True),
        [X, idx(6, below=4), In(6, 5)],
        dtypes="fi",
    ),
    Case(
        "index_select",
        lambda T, x, i: T.index_select(x, 1, i),
        lambda x, i: np.take(x, i, 1),
        [X, idx(7, below=5)],
        dtypes="fhib",
        raises=(
            (lambda T: T.index_select(T.zeros(3), 0, T.tensor([3])), IndexError),
            (lambda T: T.index_select(T.zeros(3), 0, T.tensor([-1])), IndexError),
            (lambda T: T.index_select(T.zeros(3), 0, T.tensor([[0]])), IndexError),
            (lambda T: T.index_select(T.zeros(3), 1, T.tensor([0])), IndexError),
        ),
    ),
    Case(
        "index_add",
        lambda T, x, i, s: T.index_add(x, 1, i, s, alpha=2),
        lambda x, i, s: written(x, (slice(None), i), 2 * s, True),
        [X, idx(7, below=5), In(4, 7)],
        dtypes="fi",
        raises=((lambda T: T.index_add(T.zeros(3, 2), 0, T.tensor([3]), T.ones(1, 2)), RuntimeError),),
    ),
    Case(
        "index_copy",
        lambda T, x, s: T.index_copy(x, 1, T.tensor([4, 0]), s),
        lambda x, s: written(x, (slice(None), np.array([4, 0])), s),
        [X, In(4, 2)],
        dtypes="fhi",
        raises=((lambda T: T.index_copy(T.zeros(3), 0, T.tensor([3]), T.ones(1)), IndexError),),
    ),
    Case(
        "index_fill",
        lambda T, x, v: T.index_fill(x, 1, T.tensor([4, 0, 4]), v.sum()),
        lambda x, v: written(x, (slice(None), np.array([4, 0, 4])), v.sum()),
        [X, In(1)],
        raises=((lambda T: T.index_fill(T.zeros(3), 0, T.tensor([3]), 1.0), IndexError),),
    ),
    Case(
        "take",
        lambda T, x, i: T.take(x, i),
        lambda x, i: np.take(x, i),
        [X, idx(2, 3, below=20, low=-20)],
        dtypes="fhib",
        raises=((lambda T: T.take(T.zeros(3), T.tensor([3])), IndexError),),
    ),
    Case(
        "put",
        lambda T, x, i, s: T.Tensor.put(x, i, s, True) if hasattr(T.Tensor, "put") else T.put(x, i, s, True),
        lambda x, i, s: written(x.reshape(-1), i.reshape(-1), s.reshape(-1), True).reshape(x.shape),
        [X, idx(2, 3, below=20, low=-20), In(6)],
        dtypes="fi",
    ),
    Case(
        "gather",
        lambda T, x, i: T.gather(x, 1, i),
        lambda x, i: x[grid(i, 1)],
        [X, idx(3, 7, below=5)],
        dtypes="fhib",
        raises=(
            (lambda T: T.gather(T.zeros(3), 0, T.tensor([3])), RuntimeError),
            (lambda T: T.gather(T.zeros(3, 2), 0, T.tensor([0])), RuntimeError),
            (lambda T: T.gather(T.zeros(3, 2), 0, T.zeros(1, 3, dtype=T.int64)), RuntimeError),
            (lambda T: T.gather(T.zeros(3), 1, T.tensor([0])), IndexError),
        ),
    ),
    Case("gather/first", lambda T, x, i: T.gather(x, 0, i), lambda x, i: x[grid(i, 0)], [X, idx(6, 5, below=4)]),
    Case(
        "take_along_dim",
        lambda T, x, i: T.take_along_dim(x, i, 1),
        lambda x, i: np.take_along_axis(x, i, 1),
        [X, idx(1, 3, below=5, low=-5)],
        dtypes="fi",
    ),
    Case(
        "scatter",
        lambda T, x, s: T.scatter(x, 1, T.tensor([[0, 4], [1, 3]]), s),
        lambda x, s: written(x, grid(np.array([[0, 4], [1, 3]]), 1), s),
        [X, In(2, 2)],
        dtypes="fhi",
        raises=(
            (lambda T: T.scatter(T.zeros(3), 0, T.tensor([3]), 1.0), RuntimeError),
            (lambda T: T.scatter(T.zeros(3), 0, T.tensor([0]), T.ones(1, dtype=T.int64)), RuntimeError),
            (lambda T: T.scatter(T.zeros(3), 0, T.tensor([0, 1]), T.ones(1)), RuntimeError),
        ),
    ),
    Case(
        "scatter/value",
        lambda T, x, i: T.scatter(x, 0, i, 2),
        lambda x, i: written(x, grid(i, 0), 2),
        [X, idx(2, 5, below=4)],
        dtypes="fhi",
    ),
    Case(
        "scatter_add",
        lambda T, x, i, s: T.scatter_add(x, 1, i, s),
        lambda x, i, s: scattered(x, 1, i, s, "sum"),
        [X, idx(3, 7, below=5), In(3, 7)],
        dtypes="fi",
    ),
    *[
        Case(
            f"scatter_reduce/{how}{'' if own else '-others'}",
            lambda T, x, i, s, how=how, own=own: T.scatter_reduce(x, 0, i, s, how, include_self=own),
            lambda x, i, s, how=how, own=own: scattered(x, 0, i, s, how, own),
            [In(4, 5, distinct=True), idx(6, 5, below=4), In(6, 5, distinct=True)],
        )
        for how in ("sum", "prod", "mean", "amax", "amin")
        for own in (True, False)
    ],
    Case(
        "masked_fill",
        lambda T, x, m, v: T.masked_fill(x, m, v.sum()),
        lambda x, m, v: np.where(m, v.sum(), x),
        [X, In(5, dtype="bool"), In(1)],
        dtypes="fh",
        raises=(
            (lambda T: T.masked_fill(T.zeros(3), T.zeros(3), 1.0), RuntimeError),
            (lambda T: T.masked_fill(T.zeros(3), T.zeros(3) > 0, T.ones(1)), RuntimeError),
            (lambda T: T.masked_fill(T.zeros(3), T.zeros(2) > 0, 1.0), RuntimeError),
        ),
    ),
    Case(
        "masked_fill/number",
        lambda T, x, m: x.masked_fill(m, 3),
        lambda x, m: np.where(m, 3, x),
        [X, In(4, 5, dtype="bool")],
        dtypes="fhi",
    ),
    Case(
        "masked_select",
        lambda T, x, m: T.masked_select(x, m),
        lambda x, m: x[np.broadcast_to(m, x.shape)],
        [X, In(5, dtype="bool")],
        dtypes="fhib",
        capture=False,
    ),
    Case(
        "masked_scatter",
        lambda T, x, m, s: x.masked_scatter(m, s),
        lambda x, m, s: written(x, m, s.reshape(-1)[: m.sum()]),
        [X, In(4, 5, dtype="bool"), In(5, 4)],
        dtypes="fhi",
        raises=((lambda T: T.zeros(3).masked_scatter(T.ones(3) > 0, T.ones(2)), RuntimeError),),
    ),
    Case(
        "nonzero",
        lambda T, x: T.nonzero(x),
        lambda x: np.argwhere(x),
        [In(3, 4, low=-1, high=2)],
        dtypes="ib",
        grad=False,
        capture=False,
    ),
    Case(
        "argwhere",
        lambda T, x: T.argwhere(x),
        lambda x: np.argwhere(x),
        [In(2, 3, 4, dtype="bool")],
        dtypes="b",
        grad=False,
        capture=False,
    ),
    Case(
        "select_scatter",
        lambda T, x, s: T.select_scatter(x, s, 1, -2),
        lambda x, s: written(x, (slice(None), -2), s),
        [X, In(4)],
        dtypes="fhi",
        raises=(
            (lambda T: T.select_scatter(T.zeros(3), T.ones(2), 0, 0), RuntimeError),
            (lambda T: T.select_scatter(T.zeros(3), T.ones(()), 0, 3), IndexError),
        ),
    ),
    Case(
        "slice_scatter",
        lambda T, x, s: T.slice_scatter(x, s, 1, 1, None, 2),
        lambda x, s: written(x, (slice(None), slice(1, None, 2)), s),
        [X, In(4, 2)],
        dtypes="fhi",
    ),
    Case(
        "diagonal_scatter",
        lambda T, x, s: T.diagonal_scatter(x, s, 1),
        lambda x, s: written(x, (np.arange(4), np.arange(1, 5)), s),
        [X, In(4)],
        dtypes="fhi",
    ),
    Case(
        "embedding",
        lambda T, w, i: T.embedding(w, i),
        lambda w, i: w[i],
        [In(6, 3), idx(2, 5, below=6)],
        dtypes="fh",
        raises=(
            (lambda T: T.embedding(T.zeros(3, 2), T.tensor([3])), IndexError),
            (lambda T: T.embedding(T.zeros(3, 2), T.tensor([-1])), IndexError),
            (lambda T: T.embedding(T.zeros(3, 2), T.tensor([0.0])), RuntimeError),
        ),
        bench=((1000, 128), (35, 20)),
    ),
    Case(
        "nn.functional.one_hot",
        lambda T, x: functional(T).one_hot(x, 5),
        lambda x: np.eye(5, dtype=np.int64)[x],
        [idx(2, 3, below=5)],
        dtypes="i",
        grad=False,
        raises=(
            (lambda T: functional(T).one_hot(T.tensor([3]), 3), RuntimeError),
            (lambda T: functional(T).one_hot(T.tensor([-1])), RuntimeError),
        ),
    ),
    Case(
        "nn.functional.pad/constant",
        lambda T, x: functional(T).pad(x, (1, 2, -1, 3), value=2),
        lambda x: np.pad(x[:, 1:], ((0, 0), (0, 3), (1, 2)), constant_values=2),
        [In(2, 3, 4)],
        dtypes="fhi",
        raises=(
            (lambda T: functional(T).pad(T.zeros(3), (1,)), RuntimeError),
            (lambda T: functional(T).pad(T.zeros(3), (1, 1, 1, 1)), RuntimeError),
            (lambda T: functional(T).pad(T.zeros(1, 3), (3, 0), "reflect"), RuntimeError),
            (lambda T: functional(T).pad(T.zeros(1, 3), (4, 0), "circular"), RuntimeError),
            (lambda T: functional(T).pad(T.zeros(1, 3), (1, 0), "mirror"), NotImplementedError),
        ),
    ),
    *[
        Case(
            f"nn.functional.pad/{mode}",
            lambda T, x, mode=mode: functional(T).pad(x, (2, 1, 0, 2), mode),
            lambda x, how=how: np.pad(x, ((0, 0), (0, 2), (2, 1)), mode=how),
            [In(2, 3, 4)],
            dtypes="fh",
        )
        for mode, how in (("reflect", "reflect"), ("replicate", "edge"), ("circular", "wrap"))
    ],
]
