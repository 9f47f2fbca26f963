"""Rows of views, joining, and operations that move elements about."""

import numpy as np

from tests.case import Case, In

ALL = "fhib"


def _case(name, fn, ref, *inputs, **kw):
    """A row whose refusals take the module and tensors of the row's sizes."""
    kw.setdefault("dtypes", ALL)
    kw["raises"] = tuple((_given(bad, inputs), error) for bad, error in kw.pop("raises", ()))
    return Case(name, fn, ref, list(inputs), **kw)


def _given(bad, inputs):
    return lambda T: bad(T, *[T.ones(i.sizes) for i in inputs])


def _unfold(a, dim, size, step):
    return np.lib.stride_tricks.sliding_window_view(a, size, dim)[(slice(None),) * dim + (slice(None, None, step),)]


def _block_diag(a, b):
    out = np.zeros((a.shape[0] + b.shape[0], a.shape[1] + b.shape[1]), a.dtype)
    out[: a.shape[0], : a.shape[1]] = a
    out[a.shape[0] :, a.shape[1] :] = b
    return out


def _diag_embed(a, offset):
    out = np.zeros((*a.shape[:-1], a.shape[-1] + abs(offset), a.shape[-1] + abs(offset)), a.dtype)
    i = np.arange(a.shape[-1])
    out[..., i + max(-offset, 0), i + max(offset, 0)] = a
    return out


def _put(a, b, where):
    out = a.copy()
    out[where] = b
    return out


def _put_diagonal(a, b):
    out = a.copy()
    i = np.arange(len(b))
    out[i, i] = b
    return out


M, X = In(3, 4), In(2, 3, 4)
CASES = [
    # the same elements in other sizes
    _case(
        "reshape",
        lambda T, a: T.reshape(a, (4, -1)),
        lambda a: a.reshape(4, 3),
        M,
        raises=(
            (lambda T, a: T.reshape(a, (5, -1)), RuntimeError),
            (lambda T, a: T.reshape(a, (-1, -1)), RuntimeError),
            (lambda T, a: T.reshape("a", (1,)), TypeError),
        ),
    ),
    _case("reshape/of a transpose", lambda T, a: a.t().reshape(12), lambda a: a.T.reshape(12), M),
    _case(
        "Tensor.view",
        lambda T, a: a.contiguous().view(2, 6),
        lambda a: a.reshape(2, 6),
        M,
        raises=((lambda T, a: a.t().view(12), RuntimeError), (lambda T, a: a.view(7), RuntimeError)),
    ),
    _case(
        "Tensor.view_as",
        lambda T, a, b: a.contiguous().view_as(b),
        lambda a, b: a.reshape(b.shape),
        M,
        In(2, 6, requires_grad=False),
    ),
    _case(
        "flatten",
        lambda T, a: T.flatten(a, 1),
        lambda a: a.reshape(2, 12),
        X,
        method="flatten",
        raises=((lambda T, a: T.flatten(a, 2, 1), RuntimeError), (lambda T, a: T.flatten(a, 3), IndexError)),
    ),
    _case(
        "unflatten",
        lambda T, a: T.unflatten(a, 1, (2, -1)),
        lambda a: a.reshape(3, 2, 2),
        M,
        raises=((lambda T, a: T.unflatten(a, 1, (3, -1)), RuntimeError),),
    ),
    _case("ravel", lambda T, a: T.ravel(a), lambda a: a.ravel(), M, method="ravel"),
    _case("squeeze", lambda T, a: T.squeeze(a), lambda a: a.reshape(3), In(1, 3, 1), method="squeeze"),
    _case(
        "squeeze/several",
        lambda T, a: T.squeeze(a, (0, 1)),
        lambda a: a.reshape(3, 1),
        In(1, 3, 1),
        raises=((lambda T, a: T.squeeze(a, 3), IndexError), (lambda T, a: T.squeeze(a, (0, 0)), RuntimeError)),
    ),
    _case(
        "unsqueeze",
        lambda T, a: T.unsqueeze(a, -2),
        lambda a: a[:, None],
        M,
        raises=((lambda T, a: T.unsqueeze(a, 4), IndexError),),
    ),
    _case("atleast_1d", lambda T, a: T.atleast_1d(a), np.atleast_1d, In(), dtypes="fib"),
    _case("atleast_2d", lambda T, a: T.atleast_2d(a), np.atleast_2d, In(3)),
    _case("atleast_3d", lambda T, a: T.atleast_3d(a), np.atleast_3d, In(3)),
    # permutations
    _case(
        "permute",
        lambda T, a: T.permute(a, (2, 0, -2)),
        lambda a: a.transpose(2, 0, 1),
        X,
        raises=((lambda T, a: T.permute(a, (0, 0, 1)), RuntimeError), (lambda T, a: T.permute(a, (0,)), RuntimeError)),
    ),
    _case(
        "transpose",
        lambda T, a: T.transpose(a, 0, -1),
        lambda a: a.swapaxes(0, -1),
        X,
        raises=((lambda T, a: T.transpose(a, 0, 3), IndexError),),
    ),
    _case("swapaxes", lambda T, a: T.swapaxes(a, 0, 1), lambda a: a.swapaxes(0, 1), X),
    _case("swapdims", lambda T, a: T.swapdims(a, 0, 1), lambda a: a.swapaxes(0, 1), X),
    _case(
        "t",
        lambda T, a: T.t(a),
        lambda a: a.T,
        M,
        method="t",
        raises=((lambda T, a: T.t(a.view(1, 3, 4)), RuntimeError),),
    ),
    _case("adjoint", lambda T, a: T.adjoint(a), lambda a: a.swapaxes(-1, -2), X, method="adjoint"),
    _case(
        "movedim",
        lambda T, a: T.movedim(a, (0, 1), (-1, 0)),
        lambda a: np.moveaxis(a, (0, 1), (-1, 0)),
        X,
        raises=(
            (lambda T, a: T.movedim(a, (0, 0), (1, 2)), RuntimeError),
            (lambda T, a: T.movedim(a, 0, (1, 2)), TypeError),
            (lambda T, a: T.movedim(a, (0,), (1, 2)), RuntimeError),
        ),
    ),
    _case("moveaxis", lambda T, a: T.moveaxis(a, 0, 2), lambda a: np.moveaxis(a, 0, 2), X),
    # broadcasting
    _case(
        "Tensor.expand",
        lambda T, a: a.expand(2, -1, 4),
        lambda a: np.broadcast_to(a, (2, 3, 4)),
        In(3, 1),
        raises=((lambda T, a: a.expand(2, 2, 4), RuntimeError), (lambda T, a: a.expand(3), RuntimeError)),
    ),
    _case(
        "Tensor.expand_as",
        lambda T, a, b: a.expand_as(b),
        lambda a, b: np.broadcast_to(a, b.shape),
        In(3, 1),
        In(2, 3, 4, requires_grad=False),
    ),
    _case("broadcast_to", lambda T, a: T.broadcast_to(a, (2, 3, 4)), lambda a: np.broadcast_to(a, (2, 3, 4)), In(1, 4)),
    _case(
        "broadcast_tensors",
        lambda T, a, b: T.broadcast_tensors(a, b),
        lambda a, b: tuple(np.broadcast_arrays(a, b)),
        In(3, 1),
        In(4),
        raises=((lambda T, a, b: T.broadcast_tensors(a, a.new_zeros(2, 1)), RuntimeError),),
    ),
    # parts
    _case(
        "select",
        lambda T, a: T.select(a, 1, -1),
        lambda a: a[:, -1],
        M,
        raises=((lambda T, a: T.select(a, 1, 4), IndexError), (lambda T, a: T.select(a, 2, 0), IndexError)),
    ),
    _case(
        "narrow",
        lambda T, a: T.narrow(a, 1, 1, 2),
        lambda a: a[:, 1:3],
        M,
        raises=((lambda T, a: T.narrow(a, 1, 3, 2), RuntimeError), (lambda T, a: T.narrow(a, 1, 5, 0), IndexError)),
    ),
    _case("narrow_copy", lambda T, a: T.narrow_copy(a, 0, -2, 1), lambda a: a[1:2], M),
    _case("unbind", lambda T, a: T.unbind(a, 1), lambda a: tuple(a[:, k] for k in range(4)), M),
    _case(
        "split",
        lambda T, a: T.split(a, 3, 1),
        lambda a: (a[:, :3], a[:, 3:]),
        M,
        raises=((lambda T, a: T.split(a, 0), RuntimeError), (lambda T, a: T.split(a, -1), RuntimeError)),
    ),
    _case(
        "split/sizes",
        lambda T, a: T.split(a, [1, 3], 1),
        lambda a: (a[:, :1], a[:, 1:]),
        M,
        raises=(
            (lambda T, a: T.split(a, [1, 1], 1), RuntimeError),
            (lambda T, a: T.split(a, [-1, 5], 1), RuntimeError),
        ),
    ),
    _case(
        "split_with_sizes",
        lambda T, a: T.split_with_sizes(a, [3, 0, 1], 1),
        lambda a: (a[:, :3], a[:, 3:3], a[:, 3:]),
        M,
    ),
    _case(
        "chunk",
        lambda T, a: T.chunk(a, 3, 1),
        lambda a: (a[:, :2], a[:, 2:]),
        M,
        raises=((lambda T, a: T.chunk(a, 0), RuntimeError),),
    ),
    _case(
        "tensor_split",
        lambda T, a: T.tensor_split(a, 3, 1),
        lambda a: tuple(np.array_split(a, 3, 1)),
        M,
        raises=((lambda T, a: T.tensor_split(a, 0), RuntimeError),),
    ),
    _case("tensor_split/at", lambda T, a: T.tensor_split(a, (1, 3), 1), lambda a: (a[:, :1], a[:, 1:3], a[:, 3:]), M),
    _case(
        "hsplit",
        lambda T, a: T.hsplit(a, 2),
        lambda a: (a[:, :2], a[:, 2:]),
        M,
        raises=((lambda T, a: T.hsplit(a, 3), RuntimeError),),
    ),
    _case("vsplit", lambda T, a: T.vsplit(a, 3), lambda a: (a[:1], a[1:2], a[2:]), M),
    _case("dsplit", lambda T, a: T.dsplit(a, 2), lambda a: (a[:, :, :2], a[:, :, 2:]), X),
    _case(
        "Tensor.unfold",
        lambda T, a: a.unfold(1, 3, 1),
        lambda a: _unfold(a, 1, 3, 1),
        M,
        raises=((lambda T, a: a.unfold(1, 5, 1), RuntimeError), (lambda T, a: a.unfold(1, 2, 0), RuntimeError)),
    ),
    _case("Tensor.unfold/step", lambda T, a: a.unfold(0, 2, 2), lambda a: _unfold(a, 0, 2, 2), In(6, 2)),
    _case(
        "diagonal",
        lambda T, a: T.diagonal(a, 1, 1, 2),
        lambda a: np.diagonal(a, 1, 1, 2),
        X,
        raises=((lambda T, a: T.diagonal(a, 0, 1, 1), RuntimeError), (lambda T, a: T.diagonal(a, 0, 0, 3), IndexError)),
    ),
    _case(
        "as_strided",
        lambda T, a: T.as_strided(a.contiguous(), (3, 2), (2, 1), 1),
        lambda a: np.lib.stride_tricks.as_strided(
            np.ascontiguousarray(a).ravel()[1:], (3, 2), (2 * a.itemsize, a.itemsize)
        ).copy(),
        M,
        raises=(
            (lambda T, a: T.as_strided(a, (99,), (1,)), RuntimeError),
            (lambda T, a: T.as_strided(a, (2,), (-1,)), RuntimeError),
        ),
    ),
    _case(
        "as_strided/overlapping",
        lambda T, a: T.as_strided(a.contiguous(), (3, 3), (1, 1)),
        lambda a: np.lib.stride_tricks.as_strided(np.ascontiguousarray(a), (3, 3), (a.itemsize, a.itemsize)).copy(),
        M,
    ),
    # joining
    _case(
        "cat",
        lambda T, a, b: T.cat([a, b], 1),
        lambda a, b: np.concatenate([a, b], 1),
        M,
        In(3, 2),
        raises=(
            (lambda T, a, b: T.cat([a, b], 0), RuntimeError),
            (lambda T, a, b: T.cat([]), (RuntimeError, ValueError)),
            (lambda T, a, b: T.cat(a), TypeError),
            (lambda T, a, b: T.cat([a, 1]), TypeError),
        ),
    ),
    _case("concat", lambda T, a, b: T.concat([a, b]), lambda a, b: np.concatenate([a, b]), M, In(1, 4)),
    _case("concatenate", lambda T, a, b: T.concatenate([a, b]), lambda a, b: np.concatenate([a, b]), M, In(1, 4)),
    _case(
        "stack",
        lambda T, a, b: T.stack([a, b], -1),
        lambda a, b: np.stack([a, b], -1),
        M,
        M,
        raises=((lambda T, a, b: T.stack([a, b[0]]), RuntimeError), (lambda T, a, b: T.stack([]), RuntimeError)),
    ),
    _case("hstack", lambda T, a, b: T.hstack([a, b]), lambda a, b: np.hstack([a, b]), In(3), In(2)),
    _case("vstack", lambda T, a, b: T.vstack([a, b]), lambda a, b: np.vstack([a, b]), In(3), In(2, 3)),
    _case("row_stack", lambda T, a, b: T.row_stack([a, b]), lambda a, b: np.vstack([a, b]), In(3), In(2, 3)),
    _case("dstack", lambda T, a, b: T.dstack([a, b]), lambda a, b: np.dstack([a, b]), In(2, 3), In(2, 3)),
    _case(
        "column_stack", lambda T, a, b: T.column_stack([a, b]), lambda a, b: np.column_stack([a, b]), In(3), In(3, 2)
    ),
    _case("block_diag", lambda T, a, b: T.block_diag(a, b), _block_diag, In(2, 3), In(1, 2)),
    # repeated
    _case(
        "Tensor.repeat",
        lambda T, a: a.repeat(2, 1, 3),
        lambda a: np.tile(a, (2, 1, 3)),
        M,
        raises=((lambda T, a: a.repeat(2), RuntimeError), (lambda T, a: a.repeat(2, -1), RuntimeError)),
    ),
    _case("tile", lambda T, a: T.tile(a, (2,)), lambda a: np.tile(a, (2,)), M),
    _case(
        "repeat_interleave",
        lambda T, a: T.repeat_interleave(a, 2, 0),
        lambda a: np.repeat(a, 2, 0),
        M,
        raises=((lambda T, a: T.repeat_interleave(a, -1), RuntimeError),),
    ),
    # moved
    _case(
        "flip",
        lambda T, a: T.flip(a, (0, -1)),
        lambda a: np.flip(a, (0, -1)),
        X,
        raises=((lambda T, a: T.flip(a, (0, 0)), RuntimeError), (lambda T, a: T.flip(a, (3,)), IndexError)),
    ),
    _case("fliplr", lambda T, a: T.fliplr(a), np.fliplr, M, method="fliplr"),
    _case("flipud", lambda T, a: T.flipud(a), np.flipud, M, method="flipud"),
    _case(
        "roll",
        lambda T, a: T.roll(a, (1, -2), (0, 2)),
        lambda a: np.roll(a, (1, -2), (0, 2)),
        X,
        raises=((lambda T, a: T.roll(a, (1, 2), (0,)), RuntimeError),),
    ),
    _case("roll/flat", lambda T, a: T.roll(a, 5), lambda a: np.roll(a, 5), M),
    _case(
        "rot90",
        lambda T, a: T.rot90(a, 1, (0, 1)),
        lambda a: np.rot90(a, 1),
        M,
        raises=((lambda T, a: T.rot90(a, 1, (0, 0)), RuntimeError),),
    ),
    _case("rot90/back", lambda T, a: T.rot90(a, -1, (0, 1)), lambda a: np.rot90(a, -1), M),
    _case(
        "tril",
        lambda T, a: T.tril(a, 1),
        lambda a: np.tril(a, 1),
        X,
        inplace="tril_",
        raises=((lambda T, a: T.tril(a[0, 0]), RuntimeError),),
    ),
    _case("triu", lambda T, a: T.triu(a, -1), lambda a: np.triu(a, -1), X, inplace="triu_"),
    _case(
        "diag",
        lambda T, a: T.diag(a, 1),
        lambda a: np.diag(a, 1),
        M,
        raises=((lambda T, a: T.diag(a.view(1, 3, 4)), RuntimeError),),
    ),
    _case("diag/of a vector", lambda T, a: T.diag(a, -1), lambda a: np.diag(a, -1), In(3)),
    _case("diagflat", lambda T, a: T.diagflat(a, 1), lambda a: np.diagflat(a, 1), In(2, 2)),
    _case(
        "diag_embed",
        lambda T, a: T.diag_embed(a, -1),
        lambda a: _diag_embed(a, -1),
        M,
        raises=((lambda T, a: T.diag_embed(a, 0, 1, 1), RuntimeError),),
    ),
    _case(
        "select_scatter",
        lambda T, a, b: T.select_scatter(a, b, 0, 1),
        lambda a, b: _put(a, b, 1),
        M,
        In(4),
        raises=((lambda T, a, b: T.select_scatter(a, a, 0, 1), RuntimeError),),
    ),
    _case(
        "slice_scatter",
        lambda T, a, b: T.slice_scatter(a, b, 1, 1, None, 2),
        lambda a, b: _put(a, b, (slice(None), slice(1, None, 2))),
        M,
        In(3, 2),
    ),
    _case("diagonal_scatter", lambda T, a, b: T.diagonal_scatter(a, b), _put_diagonal, M, In(3)),
    # combinations
    _case(
        "meshgrid",
        lambda T, a, b: T.meshgrid(a, b, indexing="ij"),
        lambda a, b: tuple(np.meshgrid(a, b, indexing="ij")),
        In(3),
        In(2),
        raises=((lambda T, a, b: T.meshgrid(a, b, indexing="zz"), RuntimeError),),
    ),
    _case(
        "meshgrid/xy",
        lambda T, a, b: T.meshgrid(a, b, indexing="xy"),
        lambda a, b: tuple(np.meshgrid(a, b)),
        In(3),
        In(2),
    ),
    _case(
        "cartesian_prod",
        lambda T, a, b: T.cartesian_prod(a, b),
        lambda a, b: np.stack([g.ravel() for g in np.meshgrid(a, b, indexing="ij")], 1),
        In(3),
        In(2),
    ),
    _case("vander", lambda T, a: T.vander(a), lambda a: np.vander(a), In(3), dtypes="f"),
    # copies
    _case("clone", lambda T, a: T.clone(a), lambda a: a.copy(), M, method="clone"),
    _case("Tensor.contiguous", lambda T, a: a.t().contiguous(), lambda a: a.T.copy(), M),
    _case("Tensor.to", lambda T, a: a.to(a.dtype, copy=True), lambda a: a.copy(), M),
    _case("fill", lambda T, a: T.fill(a, 3), lambda a: np.full_like(a, 3), M, dtypes="fhi"),
]
