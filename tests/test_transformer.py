"""Multi-head attention and transformers."""

import copy
import pickle

import numpy as np
import pytest

import autodiffc as ad

nn, F = ad.nn, ad.nn.functional


def same(a, b, tolerance=1e-6):
    np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), rtol=tolerance, atol=tolerance)


def test_attention_is_its_formula():
    m = nn.MultiheadAttention(8, 2, batch_first=True).double()
    x, y = ad.randn(3, 5, 8, dtype=ad.float64), ad.randn(3, 7, 8, dtype=ad.float64)
    q, k, v = (a @ w.T for a, w in zip((x, y, y), m.in_proj_weight.chunk(3)))
    heads = []
    for h in range(2):
        part = slice(4 * h, 4 * h + 4)
        weights = (q[..., part] @ k[..., part].transpose(1, 2) / 2).softmax(-1)
        heads.append((weights, weights @ v[..., part]))
    want = F.linear(ad.cat([out for _, out in heads], -1), m.out_proj.weight)
    for need in (True, False):
        out, weights = m(x, y, y, need_weights=need)
        same(out, want, 1e-12)
    same(m(x, y, y)[1], (heads[0][0] + heads[1][0]) / 2, 1e-12)
    assert weights is None


@pytest.mark.parametrize("need", [True, False])
def test_masks_leave_out(need):
    m = nn.MultiheadAttention(8, 2, batch_first=True)
    x = ad.randn(2, 6, 8)
    padding = ad.tensor([[0, 0, 0, 0, 1, 1], [0, 0, 0, 0, 1, 1]]).bool()
    short = x[:, :4]
    same(m(short, x, x, key_padding_mask=padding, need_weights=need)[0], m(short, short, short)[0])
    causal = nn.Transformer.generate_square_subsequent_mask(6)
    whole = m(x, x, x, attn_mask=causal, need_weights=need)[0]
    same(whole, m(x, x, x, attn_mask=causal, is_causal=True, need_weights=need)[0])
    for n in (1, 4):
        same(whole[:, n - 1], m(x[:, n - 1:n], x[:, :n], x[:, :n], need_weights=need)[0][:, 0])


def test_orders_of_batch_and_positions_agree():
    first = nn.MultiheadAttention(8, 2, batch_first=True)
    last = nn.MultiheadAttention(8, 2)
    last.load_state_dict(first.state_dict())
    x = ad.randn(3, 5, 8)
    out, weights = first(x, x, x)
    other, others = last(x.transpose(0, 1), x.transpose(0, 1), x.transpose(0, 1))
    same(out, other.transpose(0, 1))
    same(weights, others)
    same(first(x[0], x[0], x[0])[0], out[0])


def test_static_keys_and_separate_weights():
    m = nn.MultiheadAttention(8, 2, kdim=8, vdim=8)
    x = ad.randn(5, 3, 8)
    k, v = ((x @ w.T).view(5, 6, 4).transpose(0, 1) for w in m.in_proj_weight.chunk(3)[1:])
    args = (x, x, x, 8, 2, m.in_proj_weight, m.in_proj_bias, None, None, False, 0.0, m.out_proj.weight, m.out_proj.bias)
    want = F.multi_head_attention_forward(*args)[0]
    same(F.multi_head_attention_forward(*args, static_k=k, static_v=v)[0], want)
    q, k, v = m.in_proj_weight.chunk(3)
    same(F.multi_head_attention_forward(*args[:5], None, *args[6:], use_separate_proj_weight=True, q_proj_weight=q,
                                        k_proj_weight=k, v_proj_weight=v)[0], want)


def test_transformer_learns():
    ad.manual_seed(0)
    m = nn.Transformer(16, 2, 1, 1, 32, dropout=0.0, batch_first=True)
    head, table = nn.Linear(16, 5), nn.Embedding(6, 16)
    opt = ad.optim.Adam([*m.parameters(), *head.parameters(), *table.parameters()], lr=3e-3)
    mask = m.generate_square_subsequent_mask(6)
    source = ad.randint(0, 5, (32, 6))
    target = source.flip(1)
    shifted = ad.cat([ad.full((32, 1), 5), target[:, :-1]], 1)
    for _ in range(150):
        loss = F.cross_entropy(head(m(table(source), table(shifted), tgt_mask=mask)).flatten(0, 1), target.flatten())
        opt.zero_grad()
        loss.backward()
        opt.step()
    assert loss.item() < 0.3


@pytest.mark.parametrize("norm_first", [False, True])
def test_captured_steps_give_the_same_bits(norm_first):
    results = []
    for captured in (False, True):
        ad.manual_seed(0)
        m = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, 0.2, "gelu", norm_first=norm_first), 2)
        opt = ad.optim.AdamW(m.parameters(), lr=1e-2)
        mask = nn.Transformer.generate_square_subsequent_mask(5)

        def step(x, m=m, opt=opt, mask=mask):
            opt.zero_grad()
            loss = (m(x, mask) ** 2).mean() + m(x).mean()
            loss.backward()
            opt.step()
            return loss

        f = ad.compile(step) if captured else step
        results.append([f(ad.randn(5, 4, 8)).item() for _ in range(5)])
    assert results[0] == results[1]


def test_padding_comes_out_as_zero_in_evaluation():
    m = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), 1).eval()
    x = ad.randn(2, 4, 8)
    padding = ad.tensor([[0, 0, 0, 1], [0, 0, 0, 0]]).bool()
    with ad.no_grad():
        out = m(x, src_key_padding_mask=padding)
        later = m(x, src_key_padding_mask=padding.flip(1))
    assert not out[0, 3].any() and out[1, 3].any() and later[0, 0].any()
    assert m(x, src_key_padding_mask=padding)[0, 3].any()  # with gradients
    same(m(x, src_key_padding_mask=padding)[0, :3], out[0, :3])


def test_a_causal_mask_that_was_written_is_looked_at():
    m = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, 0.0), 1)
    x = ad.randn(4, 2, 8)
    mask = m.layers[0].self_attn and nn.Transformer.generate_square_subsequent_mask(4)
    before = m(x, mask)
    mask[0, 2] = 0.0
    after = m(x, mask)
    assert (after[0] - before[0]).abs().max() > 1e-4
    same(after[1:], before[1:])


def test_copies_and_pickles():
    m = nn.Transformer(8, 2, 1, 1, 16).eval()
    x = ad.randn(5, 2, 8)
    for other in (copy.deepcopy(m), pickle.loads(pickle.dumps(m))):
        same(other(x, x), m(x, x), 0)
    assert [n for n, _ in nn.MultiheadAttention(8, 2, add_bias_kv=True, kdim=4).named_parameters()] == [
        "q_proj_weight", "k_proj_weight", "v_proj_weight", "in_proj_bias", "bias_k", "bias_v", "out_proj.weight",
        "out_proj.bias"]


def test_activation_by_its_compiled_name():
    assert ad._C._nn.gelu is F.gelu
    assert nn.TransformerEncoderLayer(8, 2, activation=ad._C._nn.gelu).activation_relu_or_gelu == 2


# fmt: off
MISTAKES = [
    (RuntimeError, lambda m, x: m(x, x, x, is_causal=True)), (AssertionError, lambda m, x: m(x[0, 0], x, x)),
    (RuntimeError, lambda m, x: m(x, x, x, attn_mask=ad.ones(4, 5))), (AssertionError, lambda m, x: m(x, x[:3], x)),
    (AssertionError, lambda m, x: m(x, x, x, key_padding_mask=ad.zeros(5, 3).bool())),
    (AssertionError, lambda m, x: m(x, x, x, attn_mask=ad.zeros(5, 5).long())),
    (RuntimeError, lambda m, x: m(x.double(), x.double(), x.double())),
    (ValueError, lambda m, x: nn.MultiheadAttention(8, 0)), (AssertionError, lambda m, x: nn.MultiheadAttention(8, 3)),
    (RuntimeError, lambda m, x: nn.TransformerEncoderLayer(8, 2, activation="swish")),
    (RuntimeError, lambda m, x: nn.Transformer(8, 2, 1, 1, 16)(x, x[:, :1])),
    (RuntimeError, lambda m, x: nn.Transformer(8, 2, 1, 1, 16)(x[..., :4], x)),
]
# fmt: on


@pytest.mark.parametrize("k", range(len(MISTAKES)))
@pytest.mark.filterwarnings("ignore:enable_nested_tensor")
def test_mistakes(k):
    error, call = MISTAKES[k]
    with pytest.raises(error):
        call(nn.MultiheadAttention(8, 2), ad.randn(5, 3, 8))
