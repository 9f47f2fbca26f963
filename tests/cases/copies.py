"""Rows of views that are copied, of unsafe splits, and of methods that write or reshape their own tensor."""

import numpy as np

from tests.case import Case, In

A, B = In(3, 4), In(2, 3, 4)


def _case(name, fn, ref, *inputs, **kw):
    kw.setdefault("dtypes", "fhib")
    return Case(name, fn, ref, list(inputs), **kw)


def _own(name, ref, *args, inputs=(A,), **kw):
    """A method that changes its tensor, on a copy of it."""
    return _case(f"Tensor.{name}", lambda T, a, *rest: getattr(a.clone(), name)(*args, *rest), ref, *inputs, **kw)


COPIES = [
    _case("alias_copy", lambda T, a: T.alias_copy(a), lambda a: a, A),
    _case("detach_copy", lambda T, a: T.detach_copy(a), lambda a: a, A, grad=False),
    _case(
        "as_strided_copy", lambda T, a: T.as_strided_copy(a.contiguous(), (2, 2), (4, 1), 1), lambda a: a[:2, 1:3], A
    ),
    _case(
        "as_strided_scatter",
        lambda T, a, b: T.as_strided_scatter(a.contiguous(), b, (2, 2), (4, 1), 1),
        lambda a, b: np.block([[a[:2, :1], b, a[:2, 3:]], [a[2:]]]),
        A,
        In(2, 2),
    ),
    _case("diagonal_copy", lambda T, a: T.diagonal_copy(a), lambda a: a.diagonal(), A),
    _case("expand_copy", lambda T, a: T.expand_copy(a, (2, 3, 4)), lambda a: np.broadcast_to(a, (2, 3, 4)), A),
    _case("permute_copy", lambda T, a: T.permute_copy(a, (1, 0)), np.transpose, A),
    _case("select_copy", lambda T, a: T.select_copy(a, 1, 2), lambda a: a[:, 2], A),
    _case("slice_copy", lambda T, a: T.slice_copy(a, 1, 1, 4, 2), lambda a: a[:, 1:4:2], A),
    _case("split_copy", lambda T, a: tuple(T.split_copy(a, 2)), lambda a: (a[:2], a[2:]), A),
    _case("split_with_sizes_copy", lambda T, a: tuple(T.split_with_sizes_copy(a, [1, 2])), lambda a: (a[:1], a[1:]), A),
    _case("squeeze_copy", lambda T, a: T.squeeze_copy(a), np.squeeze, In(3, 1, 4)),
    _case("t_copy", lambda T, a: T.t_copy(a), np.transpose, A),
    _case("transpose_copy", lambda T, a: T.transpose_copy(a, 0, 2), lambda a: a.swapaxes(0, 2), B),
    _case("unbind_copy", lambda T, a: tuple(T.unbind_copy(a)), tuple, A),
    _case("unfold_copy", lambda T, a: T.unfold_copy(a, 1, 2, 2), lambda a: np.stack([a[:, 0:2], a[:, 2:4]], 1), A),
    _case("unsqueeze_copy", lambda T, a: T.unsqueeze_copy(a, 1), lambda a: a[:, None], A),
    _case("view_copy", lambda T, a: T.view_copy(a.contiguous(), (4, 3)), lambda a: a.reshape(4, 3), A),
    _case("unsafe_chunk", lambda T, a: tuple(T.unsafe_chunk(a, 2)), lambda a: (a[:2], a[2:]), A, method="unsafe_chunk"),
    _case("unsafe_split", lambda T, a: tuple(T.unsafe_split(a, 2)), lambda a: (a[:2], a[2:]), A, method="unsafe_split"),
    _case(
        "unsafe_split_with_sizes",
        lambda T, a: tuple(T.unsafe_split_with_sizes(a, [1, 2])),
        lambda a: (a[:1], a[1:]),
        A,
        method="unsafe_split_with_sizes",
    ),
    _case(
        "unravel_index",
        lambda T, i: tuple(T.unravel_index(i, (3, 4))),
        lambda i: np.unravel_index(i, (3, 4)),
        In(5, dtype="i64", low=0, high=12),
        dtypes="i",
        grad=False,
    ),
    _case(
        "combinations",
        lambda T, a: T.combinations(a),
        lambda a: a[np.stack(np.triu_indices(5, 1), 1)],
        In(5),
        capture=False,
    ),
    _case("constant_pad_nd", lambda T, a: T.constant_pad_nd(a, (1, 2), 0), lambda a: np.pad(a, ((0, 0), (1, 2))), A),
    _case("ger", lambda T, a, b: T.ger(a, b), np.outer, In(3), In(4), dtypes="fi", tol=1e-5, method="ger"),
    _case(
        "index_reduce",
        lambda T, a, i, b: T.index_reduce(a, 0, i, b, "amax"),
        lambda a, i, b: _index_amax(a, i, b),
        In(4, 3, distinct=True),
        In(3, dtype="i64", low=0, high=4, requires_grad=False),
        In(3, 3, lo=2.5, hi=4, distinct=True),
        dtypes="f",
        method="index_reduce",
        inplace="index_reduce_",
    ),
    _case("detach", lambda T, a: T.detach(a), lambda a: a, A, grad=False, method="detach"),
    _case(
        "scalar_tensor",
        lambda T, a: T.scalar_tensor(3, dtype=a.dtype),
        lambda a: np.full((), 3),
        In(1),
        dtypes="fhi",
        grad=False,
    ),
]


def _index_amax(a, i, b):
    out = a.copy()
    for k, row in zip(i, b):
        out[k] = np.maximum(out[k], row)
    return out


def _put_rows(a, i, b):
    out = a.copy()
    out[i] = b
    return out


OWN = [
    _own(
        "fill_",
        lambda a: np.full_like(a, 2),
        2,
        dtypes="fhi",
        raises=((lambda T: T.ones(2).fill_(T.ones(2)), RuntimeError),),
    ),
    _own("zero_", np.zeros_like),
    _own(
        "copy_",
        lambda a, b: np.broadcast_to(b, a.shape),
        inputs=(A, In(4)),
        raises=((lambda T: T.ones(2).copy_(T.ones(3)), RuntimeError),),
    ),
    _case(
        "Tensor.as_strided_",
        lambda T, a: (a.contiguous() * 1).as_strided_((2, 2), (4, 1)),
        lambda a: a[:2, :2],
        A,
        dtypes="fhi",
    ),
    _own("squeeze_", np.squeeze, inputs=(In(3, 1, 4),)),
    _own("unsqueeze_", lambda a: a[:, None], 1),
    _own("transpose_", np.transpose, 0, 1),
    _own("swapaxes_", np.transpose, 0, 1),
    _own("swapdims_", np.transpose, 0, 1),
    _own("t_", np.transpose),
    _own("cumsum_", lambda a: np.cumsum(a, 0), 0, dtypes="fi", tol=1e-5),
    _own("cumprod_", lambda a: np.cumprod(a, 0), 0, dtypes="f", tol=1e-5),
    _own("float_power_", lambda a: a**2.0, 2.0, dtypes="f", inputs=(In(3, 4, dtype="f64"),)),
    _own("polygamma_", None, 1, dtypes="f", inputs=(In(3, lo=0.5, hi=3),), tol=1e-4),
    _case("Tensor.polygamma", lambda T, a: a.polygamma(1), None, In(3, lo=0.5, hi=3), dtypes="f", tol=1e-4),
    _case(
        "Tensor.masked_fill_",
        lambda T, a, m: a.clone().masked_fill_(m, 2),
        lambda a, m: np.where(m, 2, a),
        A,
        In(3, 4, dtype="bool"),
        dtypes="fhi",
    ),
    _case(
        "Tensor.masked_scatter_",
        lambda T, a, m, b: a.clone().masked_scatter_(m, b),
        None,
        A,
        In(3, 4, dtype="bool"),
        A,
        dtypes="fi",
    ),
    _case(
        "Tensor.index_copy_",
        lambda T, a, b: a.clone().index_copy_(0, T.tensor([2, 0]), b),
        lambda a, b: _put_rows(a, [2, 0], b),
        A,
        In(2, 4),
        dtypes="fhi",
    ),
    _case(
        "Tensor.index_fill_",
        lambda T, a: a.clone().index_fill_(0, T.tensor([2, 0]), 3),
        lambda a: _put_rows(a, [2, 0], 3),
        A,
        dtypes="fhi",
    ),
    _case(
        "Tensor.index_add_",
        lambda T, a, b: a.clone().index_add_(0, T.tensor([2, 0]), b),
        lambda a, b: a + _put_rows(np.zeros_like(a), [2, 0], b),
        A,
        In(2, 4),
        dtypes="fi",
        tol=1e-5,
    ),
    _case(
        "Tensor.index_put_",
        lambda T, a, b: a.clone().index_put_((T.tensor([2, 0]),), b),
        lambda a, b: _put_rows(a, [2, 0], b),
        A,
        In(2, 4),
        dtypes="fhi",
    ),
    _case(
        "index_put_",
        lambda T, a, b: T.index_put_(a.clone(), (T.tensor([2, 0]),), b),
        lambda a, b: _put_rows(a, [2, 0], b),
        A,
        In(2, 4),
        dtypes="fhi",
    ),
    _case(
        "Tensor.put_",
        lambda T, a, b: a.clone().put_(T.tensor([5, 0]), b),
        lambda a, b: _put_rows(a.ravel(), [5, 0], b).reshape(3, 4),
        A,
        In(2),
        dtypes="fi",
    ),
    _case(
        "Tensor.scatter_",
        lambda T, a, b: a.clone().scatter_(1, T.tensor([[2], [0], [1]]), b),
        lambda a, b: np.where(np.arange(4) == [[2], [0], [1]], b, a),
        A,
        In(3, 1),
        dtypes="fhi",
    ),
    _case(
        "Tensor.scatter_add_",
        lambda T, a, b: a.clone().scatter_add_(1, T.tensor([[2], [0], [1]]), b),
        lambda a, b: np.where(np.arange(4) == [[2], [0], [1]], a + b, a),
        A,
        In(3, 1),
        dtypes="fi",
        tol=1e-5,
    ),
    _case(
        "Tensor.scatter_reduce_",
        lambda T, a, b: a.clone().scatter_reduce_(1, T.tensor([[2], [0], [1]]), b, "prod"),
        lambda a, b: np.where(np.arange(4) == [[2], [0], [1]], a * b, a),
        A,
        In(3, 1),
        dtypes="fi",
        tol=1e-5,
    ),
    _case(
        "Tensor.reshape_as",
        lambda T, a, b: a.reshape_as(b),
        lambda a, b: a.reshape(b.shape),
        A,
        In(4, 3, requires_grad=False),
    ),
    _case(
        "Tensor.type_as",
        lambda T, a, b: a.type_as(b),
        lambda a, b: a.astype(np.float64),
        A,
        In(1, dtype="f64", requires_grad=False),
        dtypes="fi",
    ),
    _case(
        "Tensor.where",
        lambda T, a, m, b: a.where(m, b),
        lambda a, m, b: np.where(m, a, b),
        A,
        In(3, 4, dtype="bool"),
        A,
    ),
]
CASES = COPIES + OWN
