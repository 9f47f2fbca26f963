"""Recurrent layers, cells and packed sequences against PyTorch, for the same seed."""

import itertools

import numpy as np
import pytest

from .both import check, tensor, torch

pytestmark = pytest.mark.parity

RNG = np.random.default_rng(3)
X = RNG.standard_normal((7, 5, 3)).astype(np.float32)
LENGTHS = [7, 2, 5, 5, 1]
KINDS = ["RNN", "relu", "LSTM", "GRU"]


def _layer(T, kind, *args, **options):
    return T.nn.RNN(*args, nonlinearity="relu", **options) if kind == "relu" else getattr(T.nn, kind)(*args, **options)


def _states(state):
    return list(state) if isinstance(state, tuple) else [state]


def _all(T, m, x, result):
    """Outputs, states, and the gradients of a weighted sum of all of them."""
    output, state = result
    outs = [output.data if hasattr(output, "batch_sizes") else output, *_states(state)]
    loss = sum(((k + 1.5) * (o * T.arange(o.numel(), dtype=o.dtype).reshape(o.shape).cos()).sum())
               for k, o in enumerate(outs))
    loss.backward()
    return [*outs, x.grad, *[p.grad for p in m.parameters()]]


@pytest.mark.parametrize("kind", KINDS)
def test_layers(kind):
    for layers, both_ways, first, bias in itertools.product((1, 2), (False, True), (False, True), (True, False)):

        def case(T, k=kind, n=layers, b=both_ways, f=first, bias=bias):
            m = _layer(T, k, 3, 4, n, bias=bias, batch_first=f, bidirectional=b, dropout=0.4 if n > 1 else 0.0)
            x = tensor(T, X, True)
            return [list(m.state_dict()), str(m), *_all(T, m, x, m(x))]

        check(case, 2e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_states_unbatched_eval(kind):
    def case(T):
        m = _layer(T, kind, 3, 4, 2, dropout=0.5).eval()
        x = tensor(T, X[:, 0], True)
        h = T.full((2, 4), 0.3, requires_grad=True)
        hx = (h, h * 2) if kind == "LSTM" else h
        return [*_all(T, m, x, m(x, hx)), h.grad]

    check(case, 2e-5)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("sort", [False, True])
def test_packed(kind, sort):
    def case(T):
        m = _layer(T, kind, 3, 4, 2, bidirectional=True)
        x = tensor(T, X, True)
        lengths = sorted(LENGTHS, reverse=True) if sort else LENGTHS
        p = T.nn.utils.rnn.pack_padded_sequence(x, lengths, enforce_sorted=sort)
        h = T.full((4, 5, 4), 0.3) * T.arange(5.0).reshape(5, 1)
        h.requires_grad_()
        out = m(p, (h, h * 2) if kind == "LSTM" else h)
        padded = T.nn.utils.rnn.pad_packed_sequence(out[0], batch_first=True, padding_value=-2.0, total_length=9)
        return [*padded, *p[1:], *_all(T, m, x, out), h.grad]

    check(case, 2e-5)


def test_projection():
    for both_ways in (False, True):

        def case(T, b=both_ways):
            m = T.nn.LSTM(3, 5, 2, proj_size=2, bidirectional=b)
            x = tensor(T, X, True)
            return [list(m.state_dict()), str(m), *_all(T, m, x, m(x))]

        check(case, 2e-5)

        def packed(T, b=both_ways):
            m = T.nn.LSTM(3, 5, 2, proj_size=2, bidirectional=b)
            x = tensor(T, X, True)
            return _all(T, m, x, m(T.nn.utils.rnn.pack_padded_sequence(x, LENGTHS, enforce_sorted=False)))

        check(packed, 2e-5)


@pytest.mark.parametrize("batch,hidden", [(20, 128), (3, 70), (1, 64), (50, 33), (45, 300)])
@pytest.mark.parametrize("kind", KINDS)
def test_large(kind, batch, hidden):
    x = RNG.standard_normal((6, batch, 9)).astype(np.float32)

    def case(T):
        m = _layer(T, kind, 9, hidden)
        t = tensor(T, x, True)
        return _all(T, m, t, m(t))

    check(case, 5e-4)


@pytest.mark.parametrize("kind", ["RNNCell", "relu", "LSTMCell", "GRUCell"])
def test_cells(kind):
    for bias, batched, given in itertools.product((True, False), (True, False), (True, False)):

        def case(T, bias=bias, batched=batched, given=given):
            relu = {"nonlinearity": "relu"} if kind == "relu" else {}
            m = getattr(T.nn, "RNNCell" if relu else kind)(3, 4, bias=bias, **relu)
            x = tensor(T, X[0] if batched else X[0, 0], True)
            h = T.full((5, 4) if batched else (4,), 0.3) if given else None
            if given and kind == "LSTMCell":
                h = (h, h * 2)
            s = m(x, h)
            s = m(x * 2, s)
            outs = _states(s)
            sum((o * o).sum() for o in outs).backward()
            return [str(m), list(m.state_dict()), *outs, x.grad, *[p.grad for p in m.parameters()]]

        check(case, 2e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_second_gradient(kind):
    def case(T, packed=False):
        m = _layer(T, kind, 3, 4, 1, bidirectional=True).double()
        x = tensor(T, X.astype(np.float64), True)
        if packed:
            y, state = m(T.nn.utils.rnn.pack_padded_sequence(x, LENGTHS, enforce_sorted=False))
            y = y.data
        else:
            y, state = m(x)
        loss = (y ** 2).sum() + sum((s ** 3).sum() for s in _states(state))
        (g,) = T.autograd.grad(loss, x, create_graph=True)
        (g * g).sum().backward()
        return [g, x.grad, *[p.grad for p in m.parameters()]]

    check(case, 1e-9)
    check(lambda T: case(T, True), 1e-9)


def test_functional():
    names = ["weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"]

    def params(T, m):
        return [dict(m.named_parameters())[n] for n in names]

    def layers(T):
        x, h = tensor(T, X), T.full((1, 5, 4), 0.2)
        out = []
        for kind, f in (("LSTM", T.lstm), ("GRU", T.gru), ("RNN", T.rnn_tanh), ("relu", T.rnn_relu)):
            w = params(T, _layer(T, kind, 3, 4))
            hx = (h, h) if kind == "LSTM" else h
            out.append(f(x, hx, w, True, 1, 0.0, False, False, False))
            out.append(f(x.reshape(35, 3), T.tensor([5] * 7), hx, w, True, 1, 0.0, False, False))
        return out

    def cells(T):
        x, h = tensor(T, X[0]), T.full((5, 4), 0.2)
        w = params(T, T.nn.LSTM(3, 4))
        g = params(T, T.nn.GRU(3, 4))
        r = params(T, T.nn.RNN(3, 4))
        return [T.lstm_cell(x, (h, h), *w), T.gru_cell(x, h, *g), T.rnn_tanh_cell(x, h, *r), T.rnn_relu_cell(x, h, *r),
                T.gru_cell(x, h, *g[:2])]

    check(layers)
    check(cells)


def test_sequences():
    parts = [RNG.standard_normal((n, 2)).astype(np.float32) for n in (4, 1, 3)]

    def case(T):
        rnn = T.nn.utils.rnn
        s = [tensor(T, p, True) for p in parts]
        left = rnn.pad_sequence(s, batch_first=True, padding_value=9.0, padding_side="left")
        padded = rnn.pad_sequence(s)
        packed = rnn.pack_sequence(s, enforce_sorted=False)
        back = rnn.unpack_sequence(packed)
        (left * 2).sum().backward(retain_graph=True)
        (packed.data ** 2).sum().backward()
        moved = packed.to(T.float64)
        # a clone, because PyTorch's unpad_sequence transposes its argument in place
        return [left, padded, packed.data, *packed[1:], *back, *rnn.unpad_sequence(padded.clone(), T.tensor([4, 1, 3])),
                [t.grad for t in s], moved.data, packed.double().data, packed.is_cuda, packed.to(T.float32) is packed,
                rnn.pad_sequence(tensor(T, X)), rnn.invert_permutation(T.tensor([2, 0, 1]))]

    check(case)


# fmt: off
MISTAKES = [
    lambda T, m, x: m(x[:, :, :2]), lambda T, m, x: m(x[0, 0]), lambda T, m, x: m(x[None]),
    lambda T, m, x: m(x, T.zeros(1, 3, 4)), lambda T, m, x: m(x, (T.zeros(1, 3, 4), T.zeros(1, 5, 4))),
    lambda T, m, x: m(x, T.zeros(5, 4)), lambda T, m, x: m(x.double()), lambda T, m, x: m(x[:0]),
    lambda T, m, x: m(x[0], (T.zeros(1, 5, 4), T.zeros(1, 5, 4))), lambda T, m, x: m(x.long()),
    lambda T, m, x: T.nn.GRU(3, 4, proj_size=2), lambda T, m, x: T.nn.LSTM(3, 4, proj_size=4),
    lambda T, m, x: T.nn.LSTM(3, 4, proj_size=-1), lambda T, m, x: T.nn.LSTM(3, 0),
    lambda T, m, x: T.nn.LSTM(3, "a"), lambda T, m, x: T.nn.LSTM(3, 4, 0), lambda T, m, x: T.nn.LSTM(3, 4, dropout=2),
    lambda T, m, x: T.nn.LSTM(3, 4, dropout="a"), lambda T, m, x: T.nn.RNN(3, 4, nonlinearity="x"),
    lambda T, m, x: T.nn.RNNCell(3, 4, nonlinearity="x")(x[0]), lambda T, m, x: T.nn.LSTMCell(3, 4)(x[:, :, :2][0]),
    lambda T, m, x: T.nn.LSTMCell(3, 4)(x), lambda T, m, x: T.nn.LSTMCell(3, 4)(x[0], T.zeros(5, 4)),
    lambda T, m, x: T.nn.LSTMCell(3, 4)(x[0], (T.zeros(3, 4), T.zeros(5, 4))),
    lambda T, m, x: T.nn.GRUCell(3, 4)(x[0], T.zeros(5, 5)), lambda T, m, x: T.nn.GRUCell(3, 4)(x),
    lambda T, m, x: T.nn.utils.rnn.pack_padded_sequence(x, [2, 5, 1, 1, 1]),
    lambda T, m, x: T.nn.utils.rnn.pack_padded_sequence(x, [5, 0, 0, 0, 0]),
    lambda T, m, x: T.nn.utils.rnn.pack_padded_sequence(x, [5]),
    lambda T, m, x: T.nn.utils.rnn.PackedSequence(x), lambda T, m, x: T.nn.utils.rnn.pad_sequence([]),
    lambda T, m, x: T.nn.utils.rnn.pad_sequence(3),
    lambda T, m, x: T.nn.utils.rnn.pad_sequence([T.ones(2, 3), T.ones(1, 4)]),
    lambda T, m, x: T.nn.utils.rnn.pad_sequence([T.ones(2)], padding_side="x"),
    lambda T, m, x: T.nn.utils.rnn.pad_packed_sequence(T.nn.utils.rnn.pack_sequence([x]), total_length=2),
]
# fmt: on


@pytest.mark.parametrize("k", range(len(MISTAKES)))
def test_mistakes(k):
    check(lambda T: str(MISTAKES[k](T, T.nn.LSTM(3, 4), tensor(T, X))) and None)


assert torch
