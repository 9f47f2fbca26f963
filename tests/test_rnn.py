"""Recurrent layers: values against NumPy, gradients against finite differences, and what else must hold."""

import numpy as np
import pytest

import autodiffc as ad
from autodiffc.nn.utils import rnn as sequences

KINDS = ["RNN", "relu", "LSTM", "GRU"]


def layer(kind, *args, **options):
    if kind == "relu":
        return ad.nn.RNN(*args, nonlinearity="relu", **options)
    return getattr(ad.nn, kind)(*args, **options)


def states(state):
    return list(state) if isinstance(state, tuple) else [state]


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def reference(kind, x, w_ih, w_hh, b_ih, b_hh, h):
    """The recurrence in NumPy, x [T, B, I]."""
    c, out = np.zeros_like(h), []
    for t in range(len(x)):
        a, b = x[t] @ w_ih.T + b_ih, h @ w_hh.T + b_hh
        if kind == "LSTM":
            i, f, g, o = np.split(a + b, 4, axis=1)
            c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
            h = sigmoid(o) * np.tanh(c)
        elif kind == "GRU":
            (xr, xz, xn), (hr, hz, hn) = np.split(a, 3, axis=1), np.split(b, 3, axis=1)
            z, n = sigmoid(xz + hz), np.tanh(xn + sigmoid(xr + hr) * hn)
            h = (1 - z) * n + z * h
        else:
            h = np.tanh(a + b) if kind == "RNN" else np.maximum(a + b, 0)
        out.append(h)
    return np.stack(out)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("steps,batch,hidden", [(5, 3, 4), (1, 1, 1), (4, 6, 19), (3, 40, 64), (2, 1, 130)])
def test_values(kind, steps, batch, hidden):
    m = layer(kind, 3, hidden).double()
    x = ad.randn(steps, batch, 3, dtype=ad.float64)
    y, state = m(x)
    want = reference(kind, x.numpy(), *[p.detach().numpy() for p in m.parameters()], np.zeros((batch, hidden)))
    np.testing.assert_allclose(y.detach().numpy(), want, rtol=1e-12, atol=1e-13)
    np.testing.assert_array_equal(states(state)[0][0].detach().numpy(), y[-1].detach().numpy())


def run(kind, reverse=False, sizes=(), proj=0):
    """A function of all operands of one layer in one direction, and operands for it."""
    rng = np.random.default_rng(1)
    steps, batch, wide, h = 3, 3, 2, 3
    gates = {"LSTM": 4, "GRU": 3}.get(kind, 1) * h
    state = proj or h
    shapes = [(sum(sizes), wide) if sizes else (steps, batch, wide), (1, batch, state), (gates, wide), (gates, state),
              (gates,), (gates,)]
    if kind == "LSTM":
        shapes.insert(2, (1, batch, h))
    if proj:
        shapes.append((proj, h))
    operands = [ad.tensor(rng.uniform(-1, 1, s) + 0.05, requires_grad=True) for s in shapes]
    name = {"LSTM": "lstm", "GRU": "gru", "RNN": "rnn_tanh", "relu": "rnn_relu"}[kind]

    def function(x, h0, *rest):
        if kind == "LSTM":
            hx, rest = (h0, rest[0]), rest[1:]
        else:
            hx = h0
        if reverse:  # the same weights both ways; the states are both layers'
            hx = tuple(ad.cat([t, t * 0.5]) for t in hx) if kind == "LSTM" else ad.cat([hx, hx * 0.5])
            rest = (*rest, *[w * 0.7 for w in rest])
        if sizes:
            return getattr(ad, name)(x, ad.tensor(sizes), hx, list(rest), True, 1, 0.0, False, reverse)
        return getattr(ad, name)(x, hx, list(rest), True, 1, 0.0, False, reverse, False)

    return function, operands


CONFIGS = [{}, {"reverse": True}, {"sizes": (3, 2, 2)}, {"sizes": (3, 1), "reverse": True}]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("config", range(len(CONFIGS)))
def test_gradients(kind, config):
    function, operands = run(kind, **CONFIGS[config])
    assert ad.autograd.gradcheck(function, operands, check_forward_ad=config % 2 == 0)
    if config in (0, 3):
        assert ad.autograd.gradgradcheck(function, operands)


def test_gradients_of_projection():
    for config in ({"proj": 2}, {"proj": 2, "sizes": (3, 2)}):
        function, operands = run("LSTM", **config)
        assert ad.autograd.gradcheck(function, operands)
        assert ad.autograd.gradgradcheck(function, operands)


@pytest.mark.parametrize("kind", KINDS)
def test_a_graph_of_gradients_gives_the_same_numbers(kind):
    function, operands = run(kind)
    plain, kept = (ad.autograd.grad(function(*operands)[0].sum(), operands, create_graph=keep)
                   for keep in (False, True))
    for a, b in zip(plain, kept):
        np.testing.assert_allclose(a.numpy(), b.detach().numpy(), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("kind", KINDS)
def test_packed_is_each_sequence_alone(kind):
    ad.manual_seed(0)
    m = layer(kind, 3, 4, 2, bidirectional=True)
    parts = [ad.randn(n, 3) for n in (2, 5, 1, 4)]
    y, state = m(sequences.pack_sequence(parts, enforce_sorted=False))
    for k, (part, out) in enumerate(zip(parts, sequences.unpack_sequence(y))):
        alone, end = m(part)
        np.testing.assert_allclose(out.detach().numpy(), alone.detach().numpy(), rtol=1e-5, atol=1e-6)
        for a, b in zip(states(state), states(end)):
            np.testing.assert_allclose(a[:, k].detach().numpy(), b.detach().numpy(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_any_number_of_threads_gives_the_same_bits(kind):
    m, x = layer(kind, 16, 96), ad.randn(12, 33, 16)
    seen = []
    threads = ad.get_num_threads()
    try:
        for n in (1, 2, 5):
            ad.set_num_threads(n)
            m.zero_grad()
            y, _ = m(x)
            y.sum().backward()
            seen.append(b"".join(t.detach().numpy().tobytes() for t in (y, *[p.grad for p in m.parameters()])))
    finally:
        ad.set_num_threads(threads)
    assert seen[0] == seen[1] == seen[2]


@pytest.mark.parametrize("kind", KINDS)
def test_captured_steps_give_the_same_bits(kind):
    results = []
    for captured in (False, True):
        ad.manual_seed(0)
        m = layer(kind, 3, 8, 2, dropout=0.3, bidirectional=True)
        opt = ad.optim.SGD(m.parameters(), lr=0.1, momentum=0.9)

        def step(x, m=m, opt=opt):
            opt.zero_grad()
            loss = (m(x)[0] ** 2).mean()
            loss.backward()
            opt.step()
            return loss

        f = ad.compile(step) if captured else step
        results.append([f(ad.randn(5, 4, 3)).item() for _ in range(6)])
    assert results[0] == results[1]


@pytest.mark.parametrize("name", ["RNNCell", "LSTMCell", "GRUCell"])
def test_cells_are_layers_of_one_step(name):
    cell = getattr(ad.nn, name)(3, 4)
    m = getattr(ad.nn, name[:-4])(3, 4)
    m.load_state_dict({k + "_l0": v for k, v in cell.state_dict().items()})
    x = ad.randn(6, 2, 3)
    y, _ = m(x)
    h = None
    for t in range(6):
        h = cell(x[t], h)
        np.testing.assert_allclose(states(h)[0].detach().numpy(), y[t].detach().numpy(), rtol=1e-5, atol=1e-6)
    assert states(cell(x[0, 0], None))[0].shape == (4,)


@pytest.mark.parametrize("kind", ["RNN", "GRU"])
def test_outputs_may_be_written(kind):
    m, x = layer(kind, 3, 4), ad.randn(5, 2, 3)
    grads = []
    for write in (False, True):
        m.zero_grad()
        y, _ = m(x)
        (y.relu_() if write else y.relu()).sum().backward()
        grads.append(m.weight_hh_l0.grad.numpy())
    np.testing.assert_array_equal(*grads)


@pytest.mark.parametrize("dtype", [ad.float16, ad.bfloat16])
def test_half_precision_is_computed_in_float32(dtype):
    m = ad.nn.LSTM(3, 4).to(dtype)
    x = ad.randn(5, 2, 3).to(dtype)
    y, (h, c) = m(x)
    assert y.dtype is h.dtype is c.dtype is dtype
    want, _ = m.float()(x.float())
    np.testing.assert_array_equal(y.detach().float().numpy(), want.detach().to(dtype).float().numpy())


def test_modules_say_what_they_are():
    m = ad.nn.LSTM(3, 5, 2, bias=False, batch_first=True, dropout=0.5, bidirectional=True, proj_size=2)
    assert repr(m) == ("LSTM(3, 5, proj_size=2, num_layers=2, bias=False, batch_first=True, dropout=0.5, "
                       "bidirectional=True)")
    assert list(m.state_dict())[:6] == ["weight_ih_l0", "weight_hh_l0", "weight_hr_l0", "weight_ih_l0_reverse",
                                        "weight_hh_l0_reverse", "weight_hr_l0_reverse"]
    assert [len(w) for w in m.all_weights] == [3] * 4
    assert m.flatten_parameters() is None
    assert repr(ad.nn.RNNCell(2, 3, False, "relu")) == "RNNCell(2, 3, bias=False, nonlinearity=relu)"
    assert repr(ad.nn.RNN(2, 3, 2, "relu")) == "RNN(2, 3, num_layers=2)"


# fmt: off
MISTAKES = [
    (RuntimeError, lambda m, x: m(x[..., :2])), (ValueError, lambda m, x: m(x[0, 0])),
    (RuntimeError, lambda m, x: m(x, (ad.zeros(1, 3, 4), ad.zeros(1, 2, 4)))),
    (RuntimeError, lambda m, x: m(x[0], (ad.zeros(1, 2, 4), ad.zeros(1, 2, 4)))),
    (ValueError, lambda m, x: m(x.double())), (RuntimeError, lambda m, x: m(x[:0])),
    (TypeError, lambda m, x: ad.lstm(x, (1, 2), m._flat_weights, True, 1, 0.0, False, False, False)),
    (TypeError, lambda m, x: ad.lstm(x, x)), (TypeError, lambda m, x: ad.gru(x, "a", [x], True, 1, 0., 0, 0, 0)),
    (RuntimeError, lambda m, x: ad.gru(x, ad.zeros(1, 2, 4), m._flat_weights, True, 1, 0.0, False, False, False)),
    (RuntimeError, lambda m, x: ad.gru(x, ad.zeros(1, 2, 4), m._flat_weights[:3], True, 1, 0.0, False, False, False)),
    (RuntimeError, lambda m, x: ad.lstm(x[0], ad.tensor([2, 3]), (ad.zeros(1, 2, 4),) * 2, m._flat_weights, True, 1,
                                        0.0, False, False)),
    (RuntimeError, lambda m, x: ad.lstm(x[0], ad.tensor([2, -(1 << 62)]), (ad.zeros(1, 2, 4),) * 2, m._flat_weights,
                                        True, 1, 0.0, False, False)),
    (TypeError, lambda m, x: ad.gru(x, ad.zeros(1, 2, 4), m._flat_weights, True, "1", 0.0, False, False, False)),
    (TypeError, lambda m, x: ad.lstm_cell(x[0], x[0], m.weight_ih_l0, m.weight_hh_l0)),
    (RuntimeError, lambda m, x: ad.gru_cell(x, x[0], m.weight_ih_l0, m.weight_hh_l0)),
    (TypeError, lambda m, x: ad.gru_cell(x[0], x[0], m.weight_ih_l0, "w")),
    (RuntimeError, lambda m, x: sequences.pack_padded_sequence(x, [1, 5])),
    (RuntimeError, lambda m, x: sequences.pack_padded_sequence(x, [50, 1])),
    (RuntimeError, lambda m, x: sequences.pack_padded_sequence(x, [2, 0])),
    (RuntimeError, lambda m, x: sequences.pack_padded_sequence(x[:, 0, 0], [2])),
    (RuntimeError, lambda m, x: sequences.pad_sequence([])),
]
# fmt: on


@pytest.mark.parametrize("k", range(len(MISTAKES)))
def test_mistakes(k):
    error, call = MISTAKES[k]
    with pytest.raises(error):
        call(ad.nn.LSTM(3, 4), ad.randn(5, 2, 3))


def test_empty_batch():
    y, (h, c) = ad.nn.LSTM(3, 4)(ad.zeros(5, 0, 3))
    assert y.shape == (5, 0, 4) and h.shape == c.shape == (1, 0, 4)
    m = ad.nn.GRU(3, 4)
    m(ad.zeros(5, 0, 3))[0].sum().backward()
    assert not m.weight_hh_l0.grad.any()
