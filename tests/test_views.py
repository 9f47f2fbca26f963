"""Writes through views and into bases: the history that they leave gives the gradients that finite differences give."""

import gc

import numpy as np
import pytest

import autodiffc as T


def zeros(*sizes):
    return T.zeros(*sizes, dtype=T.float64)


PROGRAMS = {}


def program(f):
    PROGRAMS[f.__name__] = f
    return f


@program
def write_into_a_row(w):
    x = zeros(2, 3)
    x[0].add_(w[1])
    return [x * x]


@program
def write_into_a_view_of_a_view(w):
    x = zeros(2, 3)
    v = x.view(6)
    u = v.narrow(0, 1, 3)
    u.add_(w[0])
    return [x * 2, v * 3, u * u]


@program
def write_the_base_then_read_views(w):
    x = w * 1
    v, u = x[0], x.t()[1]
    x.mul_(w)
    return [v * v, u * 3]


@program
def write_a_view_then_read_another(w):
    x = w * 1
    a, b = x.view(6).narrow(0, 0, 4), x[1]
    a.mul_(w.view(6).narrow(0, 2, 4).clone())
    return [b * b, x * x, a]


@program
def interleaved_writes(w):
    x = w * 1
    a, b = x.view(6), x.t()
    a.mul_(2)
    b.mul_(3)
    x.add_(w)
    a.add_(1)
    return [x * x, a, b * 2]


@program
def base_then_view_written(w):
    x = w * 1
    v = x.view(6)
    x.mul_(2)
    v.mul_(3)
    return [x * x, v]


@program
def copy_into_parts(w):
    x, y, d = zeros(2, 3), zeros(3, 2), zeros(3, 3)
    x.copy_(w[0])
    y.t().copy_(w)
    d.diagonal().copy_(w[1])
    return [x * x, y * y, d * d]


@program
def rows_of_a_buffer(w):
    out, h = zeros(4, 3), w[0]
    for i in range(4):
        h = h * w[1]
        out[i].copy_(h)
    return [out * out]


@program
def zeroed_then_filled_again(w):
    x = w * 1
    v = x[1]
    x.zero_()
    x.add_(w)
    x[0].fill_(5)
    return [x * x, v * w[0]]


@program
def shown_another_way_in_place(w):
    x, y = w * 1, (w * 2).unsqueeze(0)
    x.t_()
    x.mul_(2)
    y.squeeze_(0)
    y.mul_(w)
    v = (w * 1).view(3, 2)
    v.transpose_(0, 1)
    v.mul_(3)
    return [x * x, y, v * v]


@program
def accumulated_in_a_loop(w):
    h = zeros(2, 3)
    for _ in range(4):
        h.add_(w * h.clone() + 1)
    return [h]


@program
def strided_parts(w):
    x = w * 1
    x.as_strided((2,), (2,), 1).mul_(3)
    y = x.as_strided((3, 2), (1, 1))
    return [x * x, y * y, x.view(6).unfold(0, 3, 1) * 2]


@program
def results_kept_by_the_graph(w):
    x = w * 1
    x.exp_()
    return [x * 2]


@program
def view_of_a_base_without_history(w):
    x = zeros(2, 3)
    v = x.view(6)
    x[1].add_(w[0])
    assert v.requires_grad and not v.is_leaf
    return [v * v]


@program
def detached_memory_is_shared(w):
    x = w * 1
    x.detach().mul_(2)
    return [x * 3 - x.detach() * 2]


def value(f, a):
    with T.enable_grad():
        w = T.tensor(a, requires_grad=True)
        outs = f(w)
        weights = [np.random.default_rng(k).standard_normal(tuple(o.shape)) for k, o in enumerate(outs)]
        total = None
        for o, c in zip(outs, weights):
            s = (o * T.tensor(c)).sum()
            total = s if total is None else total + s
    return w, total


@pytest.mark.parametrize("name", [n for n in PROGRAMS if n != "detached_memory_is_shared"])
def test_gradients(name):
    f, a = PROGRAMS[name], np.arange(1.0, 7.0).reshape(2, 3) * 0.5
    w, total = value(f, a)
    (g,) = T.autograd.grad(total, [w], create_graph=True)
    step, expected = 1e-6, np.zeros_like(a)
    for i in np.ndindex(a.shape):
        up, down = a.copy(), a.copy()
        up[i] += step
        down[i] -= step
        expected[i] = (value(f, up)[1].item() - value(f, down)[1].item()) / (2 * step)
    np.testing.assert_allclose(g.detach().numpy(), expected, rtol=1e-6, atol=1e-6)
    if not g.requires_grad:
        return
    (gg,) = T.autograd.grad((g * g).sum(), [w], allow_unused=True)
    expected2 = np.zeros_like(a)
    for i in np.ndindex(a.shape):
        for sign in (1, -1):
            b = a.copy()
            b[i] += sign * step
            w, total = value(f, b)
            (h,) = T.autograd.grad(total, [w])
            expected2[i] += sign * float((h * h).sum()) / (2 * step)
    got = np.zeros_like(a) if gg is None else gg.numpy()
    np.testing.assert_allclose(got, expected2, rtol=1e-5, atol=1e-4)


def row_of(x):
    with T.no_grad():
        return x[0]


REFUSED = {
    "a leaf": lambda w: w.add_(1),
    "a view of a leaf": lambda w: w.view(6).add_(1),
    "a saved operand": lambda w: (lambda x: ((x * x), x.add_(1))[0])(w * 1).sum().backward(),
    "a saved part": lambda w: (lambda x: ((x[0] * x[0]), x[1].add_(1))[0])(w * 1).sum().backward(),
    "a saved operand through detach": lambda w: (lambda y: (w.detach().add_(1), y)[1])(w * w).sum().backward(),
    "a saved operand shown another way": lambda w: (lambda x: ((x * x), x.t_())[0])(w * 1).sum().backward(),
    "a view made under no_grad": lambda w: row_of(w * 1).mul_(2),
    "an expanded tensor": lambda w: zeros(1, 3).expand(2, 3).add_(w),
    "a tensor that overlaps the operand": lambda w: (lambda x: x.add_(x[0]))(w * 1),
    "another dtype": lambda w: T.zeros(2, 3, dtype=T.int64).add_(w),
    "a smaller tensor": lambda w: zeros(3).add_(w),
    "a view, taken out of the graph": lambda w: (w * 1)[0].detach_(),
}


@pytest.mark.parametrize("what", REFUSED)
def test_refused(what):
    with pytest.raises(RuntimeError):
        REFUSED[what](T.ones(2, 3, dtype=T.float64, requires_grad=True))


def test_data_is_not_counted():
    w = T.ones(3, requires_grad=True)
    y = w * w
    w.data.add_(1)
    y.sum().backward()
    assert w.grad.tolist() == [4.0, 4.0, 4.0]


def test_no_graph_is_kept_by_itself():
    """h += w * h makes the graph of h keep what h was, never h itself."""

    def counts():
        gc.collect()
        s = T.memory_stats()
        return s["tensors"], s["nodes"], s["storages"]

    before = counts()
    for f in PROGRAMS.values():
        value(f, np.ones((2, 3)))
    w, h = T.ones(3, requires_grad=True), T.zeros(3)
    for _ in range(3):
        h.add_(w * h)
    del w, h
    assert counts() == before


def test_what_is_overwritten_gets_a_gradient_of_zeros():
    writes = [lambda y: y.zero_(), lambda y: y.fill_(2.0), lambda y: y.copy_(T.ones(3))]
    for write in [*writes, lambda y: y.__setitem__(slice(None), 5)]:
        x = T.ones(3, requires_grad=True)
        y = x * 1
        write(y)
        y.sum().backward()
        assert x.grad.tolist() == [0.0, 0.0, 0.0]
