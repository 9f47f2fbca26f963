"""Multi-head attention and transformers against PyTorch, for the same seed."""

import itertools

import numpy as np
import pytest

from .both import check, tensor

pytestmark = pytest.mark.parity

RNG = np.random.default_rng(6)
X = RNG.standard_normal((5, 3, 8)).astype(np.float32)
Y = RNG.standard_normal((7, 3, 8)).astype(np.float32)
PADDING = np.arange(7)[None] >= np.array([[7], [4], [5]])


def _grads(T, m, out, *inputs):
    (out * T.arange(out.numel(), dtype=out.dtype).reshape(out.shape).cos()).sum().backward()
    return [out, *[t.grad for t in inputs], *[p.grad for p in m.parameters()]]


def _first(T, x, batch_first):
    return tensor(T, x.swapaxes(0, 1) if batch_first else x, True)


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("need", [False, True])
def test_attention(batch_first, need):
    options = [{}, {"bias": False}, {"add_bias_kv": True, "add_zero_attn": True}, {"dropout": 0.4},
               {"kdim": 8, "vdim": 4}, {"dropout": 0.2, "add_zero_attn": True, "kdim": 8, "vdim": 4}]
    for extra, masks in itertools.product(options, ("", "a", "p", "ap", "3")):

        def case(T, o=extra, masks=masks):
            m = T.nn.MultiheadAttention(8, 2, batch_first=batch_first, **o)
            q, k = _first(T, X, batch_first), _first(T, Y, batch_first)
            v = (k * 2)[..., :o.get("vdim", 8)]
            kwargs = {"need_weights": need}
            if "p" in masks:
                kwargs["key_padding_mask"] = tensor(T, PADDING)
            if "a" in masks:
                kwargs["attn_mask"] = tensor(T, np.tri(5, 7, 2) == 0)
            if "3" in masks:
                kwargs["attn_mask"] = tensor(T, np.linspace(-2, 2, 6 * 35, dtype=np.float32).reshape(6, 5, 7))
            out, w = m(q, k, v, **kwargs)
            return [list(m.state_dict()), str(m), w, *_grads(T, m, out, q, k)]

        check(case, 2e-5)


def test_self_attention():
    for causal, need, average in itertools.product((False, True), repeat=3):

        def case(T, c=causal, need=need, average=average):
            m = T.nn.MultiheadAttention(8, 4)
            x = tensor(T, X, True)
            mask = T.nn.Transformer.generate_square_subsequent_mask(5) if c else None
            out, w = m(x, x, x, attn_mask=mask, is_causal=c, need_weights=need, average_attn_weights=average)
            alone, _ = m(x[:, 0], x[:, 0], x[:, 0], average_attn_weights=average)
            with T.no_grad():
                evaluated = m.eval()(x, x, x)
            return [w, alone, *evaluated, *_grads(T, m, out, x)]

        check(case, 2e-5)


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("norm_first", [False, True])
def test_transformer(batch_first, norm_first):
    for activation, bias, masked in (("relu", True, False), ("gelu", False, True), ("tanh", True, True)):

        def case(T, activation=activation, bias=bias, masked=masked):
            f = T.tanh if activation == "tanh" else activation
            m = T.nn.Transformer(8, 2, 2, 2, 16, 0.2, f, batch_first=batch_first, norm_first=norm_first, bias=bias)
            src, tgt = _first(T, Y, batch_first), _first(T, X, batch_first)
            kwargs = {}
            if masked:
                p = tensor(T, PADDING)
                causal = T.nn.Transformer.generate_square_subsequent_mask(5)
                kwargs = {"tgt_mask": causal, "src_key_padding_mask": p, "memory_key_padding_mask": p}
            out = m(src, tgt, **kwargs)
            return [list(m.state_dict()), str(m), *_grads(T, m, out, src, tgt)]

        check(case, 5e-5)


def test_encoder_in_evaluation():
    def case(T, padding=PADDING, mask=None, grad=False):
        m = T.nn.TransformerEncoder(T.nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), 2).eval()
        with T.set_grad_enabled(grad):
            return m(tensor(T, Y.swapaxes(0, 1)), mask=mask, src_key_padding_mask=tensor(T, padding))

    check(case)
    check(lambda T: case(T, PADDING[:, ::-1].copy()))
    check(lambda T: case(T, grad=True))
    check(lambda T: case(T, mask=T.zeros(7, 7).bool()))


def test_causal_masks():
    def case(T):
        mask = T.nn.Transformer.generate_square_subsequent_mask(7)
        written = mask.clone()
        written[0, 3] = 0
        m = T.nn.TransformerEncoder(T.nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0), 1)
        x = tensor(T, Y)
        return [mask, T.nn.Transformer.generate_square_subsequent_mask(3, dtype=T.float64), m(x, mask), m(x, written),
                m(x, mask, is_causal=True)]

    check(case)


def test_layers_alone():
    def case(T):
        layer = T.nn.TransformerDecoderLayer(8, 2, 16, 0.1, "gelu")
        m = T.nn.TransformerDecoder(layer, 2, T.nn.LayerNorm(8))
        tgt, memory = tensor(T, X, True), tensor(T, Y, True)
        mask = T.nn.Transformer.generate_square_subsequent_mask(5)
        alone = layer(tgt[:, 0], memory[:, 0])
        return [alone, str(m), *_grads(T, m, m(tgt, memory, tgt_mask=mask), tgt, memory)]

    check(case, 5e-5)


# fmt: off
MISTAKES = [
    lambda T, m, x: m(x, x, x, is_causal=True), lambda T, m, x: m(x, x, x, attn_mask=T.ones(4, 5).bool()),
    lambda T, m, x: m(x, x, x, attn_mask=T.zeros(3, 5, 5)), lambda T, m, x: m(x, x, x, attn_mask=T.zeros(5)),
    lambda T, m, x: m(x, x, x, key_padding_mask=T.zeros(5, 2).bool()),
    lambda T, m, x: m(x, x, x, key_padding_mask=T.zeros(3, 5).long()), lambda T, m, x: m(x, x[:3], x),
    lambda T, m, x: m(x, x[:, :1], x), lambda T, m, x: m(x[..., :4], x, x), lambda T, m, x: m(x[None], x, x),
    lambda T, m, x: m(x, x[0], x[0]), lambda T, m, x: m(x, x, x, attn_mask=T.zeros(5, 5).long()),
    lambda T, m, x: T.nn.MultiheadAttention(8, 3), lambda T, m, x: T.nn.MultiheadAttention(0, 2),
    lambda T, m, x: T.nn.MultiheadAttention(8, 0), lambda T, m, x: m(x.double(), x.double(), x.double()),
    lambda T, m, x: T.nn.Transformer(8, 2, 1, 1, 16)(x, x[:, :1]),
    lambda T, m, x: T.nn.Transformer(8, 2, 1, 1, 16)(x[..., :4], x),
    lambda T, m, x: T.nn.TransformerEncoderLayer(8, 2, activation="x"),
    lambda T, m, x: T.nn.TransformerEncoderLayer(8, 2)(x[0, 0]),
    lambda T, m, x: T.nn.TransformerEncoderLayer(8, 2)(x, src_mask=T.zeros(5, 5).long()),
    lambda T, m, x: T.nn.TransformerEncoderLayer(8, 2)(x, is_causal=True),
]
# fmt: on


@pytest.mark.parametrize("k", range(len(MISTAKES)))
def test_mistakes(k):
    check(lambda T: str(MISTAKES[k](T, T.nn.MultiheadAttention(8, 2), tensor(T, X))) and None)
