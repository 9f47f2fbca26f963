"""Rows of recurrent layers and attention."""

import numpy as np

from tests.case import Case, In

F = "nn.functional."


def _sigmoid(x):
    return 1 / (1 + np.exp(-x))


def _step(kind, x, h, c, w, v, a, b):
    p, q = x @ w.T + a, h @ v.T + b
    if kind == "lstm":
        i, f, g, o = np.split(p + q, 4, 1)
        c = _sigmoid(f) * c + _sigmoid(i) * np.tanh(g)
        return _sigmoid(o) * np.tanh(c), c
    if kind == "gru":
        (pr, pz, pn), (qr, qz, qn) = np.split(p, 3, 1), np.split(q, 3, 1)
        z, n = _sigmoid(pz + qz), np.tanh(pn + _sigmoid(pr + qr) * qn)
        return (1 - z) * n + z * h, c
    return np.tanh(p + q) if kind == "tanh" else np.maximum(p + q, 0), c


def _cell(kind):
    if kind == "lstm":
        return lambda x, h, c, *w: _step(kind, x, h, c, *w)
    return lambda x, h, *w: _step(kind, x, h, None, *w)[0]


def _layer(kind, backwards=False):
    """One layer over [T, B, I], both ways with weights of half the size for the way back."""

    def one(x, h, c, w):
        out = []
        for t in range(len(x)):
            h, c = _step(kind, x[t], h, c, *w)
            out.append(h)
        return np.stack(out), h, c

    def ref(x, h, *rest):
        c, w = (rest[0][0], rest[1:]) if kind == "lstm" else (None, rest)
        y, hn, cn = one(x, h[0], c, w)
        if backwards:
            z, hm, cm = one(x[::-1], h[0], c, [k * 0.5 for k in w])
            y, hn = np.concatenate([y, z[::-1]], 2), np.stack([hn, hm])
            cn = None if cn is None else np.stack([cn, cm])
        else:
            hn, cn = hn[None], None if cn is None else cn[None]
        return (y, hn) if cn is None else (y, hn, cn)

    return ref


def _run(name, backwards=False):
    def call(T, x, h, *rest):
        if name == "lstm":
            hx, w = [h, rest[0]], rest[1:]
            hx = [T.cat([t, t]) for t in hx] if backwards else hx
        else:
            hx, w = T.cat([h, h]) if backwards else h, rest
        w = [*w, *[k * 0.5 for k in w]] if backwards else list(w)
        return getattr(T, name)(x, hx, w, True, 1, 0.0, False, backwards, False)

    return call


def _operands(gates, states, steps=0, hidden=3):
    x = In(steps, 2, 4) if steps else In(2, 4)
    h = In(1, 2, hidden) if steps else In(2, hidden)
    return [x, *[h] * states, In(gates * hidden, 4), In(gates * hidden, hidden), In(gates * hidden), In(gates * hidden)]


def _attention(mask=None, causal=False):
    def ref(q, k, v):
        s = q @ np.swapaxes(k, -1, -2) / np.sqrt(q.shape[-1])
        if causal:
            s = np.where(np.tri(*s.shape[-2:], dtype=bool), s, -np.inf)
        if mask is not None:
            s = s + mask
        p = np.exp(s - s.max(-1, keepdims=True))
        return p / p.sum(-1, keepdims=True) @ v

    return ref


ADDED = np.linspace(-1, 1, 15).reshape(3, 5)
QKV = [In(2, 3, 4), In(2, 5, 4), In(2, 5, 6)]


def _sdpa(T, *args, **kw):
    return T.nn.functional.scaled_dot_product_attention(*args, **kw)


CASES = [
    Case(
        F + "scaled_dot_product_attention",
        _sdpa,
        _attention(),
        QKV,
        raises=(
            (lambda T: _sdpa(T, T.ones(2, 3), T.ones(2, 4), T.ones(2, 3)), RuntimeError),
            (lambda T: _sdpa(T, T.ones(2, 3), T.ones(2, 3), 1), TypeError),
        ),
        bench=((2, 4, 64, 32),) * 3,
    ),
    Case(F + "scaled_dot_product_attention/causal", lambda T, *a: _sdpa(T, *a, is_causal=True), _attention(causal=True),
         QKV),
    Case(F + "scaled_dot_product_attention/mask", lambda T, *a: _sdpa(T, *a, T.tensor(ADDED, dtype=a[0].dtype)),
         _attention(ADDED), QKV),
    Case("lstm_cell", lambda T, x, h, c, *w: T.lstm_cell(x, (h, c), *w), _cell("lstm"), _operands(4, 2), tol=1e-5),
    Case("gru_cell", lambda T, *a: T.gru_cell(*a), _cell("gru"), _operands(3, 1), tol=1e-5),
    Case("rnn_tanh_cell", lambda T, *a: T.rnn_tanh_cell(*a), _cell("tanh"), _operands(1, 1), tol=1e-5),
    Case("rnn_relu_cell", lambda T, *a: T.rnn_relu_cell(*a), _cell("relu"), _operands(1, 1), tol=1e-5),
    Case("lstm", _run("lstm"), _layer("lstm"), _operands(4, 2, 3), tol=1e-5),
    Case("gru", _run("gru"), _layer("gru"), _operands(3, 1, 3), tol=1e-5),
    Case("rnn_tanh", _run("rnn_tanh"), _layer("tanh"), _operands(1, 1, 3), tol=1e-5),
    Case("rnn_relu", _run("rnn_relu"), _layer("relu"), _operands(1, 1, 3), tol=1e-5),
    Case("lstm/both", _run("lstm", True), _layer("lstm", True), _operands(4, 2, 3), tol=1e-5),
    Case("gru/both", _run("gru", True), _layer("gru", True), _operands(3, 1, 3), tol=1e-5),
]
