"""Attention: values against NumPy, gradients against finite differences, and what else must hold."""

import numpy as np
import pytest

import autodiffc as ad

F = ad.nn.functional


def reference(q, k, v, mask=None, causal=False):
    s = q @ np.swapaxes(k, -1, -2) / np.sqrt(q.shape[-1])
    if causal:
        s = np.where(np.tri(*s.shape[-2:], dtype=bool), s, -np.inf)
    if mask is not None:
        s = np.where(mask, s, -np.inf) if mask.dtype == bool else s + mask
    with np.errstate(invalid="ignore"):
        p = np.exp(s - s.max(-1, keepdims=True))
        return np.nan_to_num(p / p.sum(-1, keepdims=True)) @ v


def qkv(L, S, E, D, lead=(2, 3), dtype=ad.float64):
    ad.manual_seed(L)
    return [ad.randn(*lead, *s, dtype=dtype, requires_grad=True) for s in ((L, E), (S, E), (S, D))]


@pytest.mark.parametrize("L,S,E,D", [(1, 1, 1, 1), (5, 7, 4, 6), (64, 64, 16, 16), (130, 65, 8, 9), (63, 200, 33, 32)])
def test_values(L, S, E, D):
    q, k, v = qkv(L, S, E, D)
    a = [t.detach().numpy() for t in (q, k, v)]
    keep = np.random.default_rng(0).random((L, S)) > 0.4
    keep[0] = False
    for kwargs, want in (({}, reference(*a)), ({"is_causal": True}, reference(*a, causal=True)),
                         ({"attn_mask": ad.tensor(keep)}, reference(*a, mask=keep)),
                         ({"attn_mask": ad.tensor(keep * 1.5)}, reference(*a, mask=keep * 1.5))):
        y = F.scaled_dot_product_attention(q, k, v, **kwargs)
        np.testing.assert_allclose(y.detach().numpy(), want, rtol=1e-12, atol=1e-13)


KINDS = ["plain", "causal", "bool", "added", "groups", "window", "dropped"]


def call(kind):
    def f(q, k, v):
        if kind == "groups":
            return F.scaled_dot_product_attention(ad.cat([q, q * 0.5], -3), k, v, is_causal=True, enable_gqa=True)
        if kind == "dropped":
            ad.manual_seed(3)
            return F.scaled_dot_product_attention(q, k, v, dropout_p=0.4, is_causal=q.shape[-2] == k.shape[-2])
        mask = None
        if kind == "window":  # whole blocks are hidden
            apart = ad.arange(q.shape[-2])[:, None] - ad.arange(k.shape[-2])
            mask = (apart >= -1) & (apart < 3)
        if kind in ("bool", "added"):
            mask = ad.arange(q.shape[-2] * k.shape[-2], dtype=q.dtype).reshape(q.shape[-2], k.shape[-2]).sin()
            mask = mask > -0.3 if kind == "bool" else mask
        return F.scaled_dot_product_attention(q, k, v, mask, is_causal=kind == "causal")

    return f


@pytest.mark.parametrize("kind", KINDS)
def test_gradients(kind):
    inputs = qkv(3, 4, 2, 2, lead=(2, 1))
    assert ad.autograd.gradcheck(call(kind), inputs, check_forward_ad=True)
    assert ad.autograd.gradgradcheck(call(kind), inputs)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("lead", [(2, 2), (3, 4)])  # by blocks, and by heads
def test_large_gradients_are_those_of_the_formula(kind, lead):
    q, k, v = qkv(150, 150, 8, 8, lead=lead)
    y = call(kind)(q, k, v)
    g = ad.randn(*y.shape, dtype=y.dtype)
    plain = ad.autograd.grad(y, (q, k, v), g, retain_graph=True)
    composed = ad.autograd.grad(y, (q, k, v), g, create_graph=True)
    for a, b in zip(plain, composed):
        np.testing.assert_allclose(a.numpy(), b.detach().numpy(), rtol=1e-10, atol=1e-12)


def test_gradient_of_the_mask():
    q, k, v = qkv(3, 4, 2, 2, lead=(2,))
    mask = ad.randn(3, 4, dtype=ad.float64, requires_grad=True)
    f = F.scaled_dot_product_attention
    assert ad.autograd.gradcheck(f, (q, k, v, mask))
    assert not ad.autograd.grad(f(q, k, v, mask).sum(), mask)[0].requires_grad


@pytest.mark.parametrize("kind", KINDS)
def test_any_number_of_threads_gives_the_same_bits(kind):
    threads = ad.get_num_threads()
    seen = []
    try:
        for n in (1, 2, 3, 4, 5, 8):  # threads have heads of their own, or share them
            ad.set_num_threads(n)
            inputs = qkv(140, 140, 32, 32, dtype=ad.float32)
            y = call(kind)(*inputs)
            y.square().sum().backward()
            seen.append(b"".join(t.detach().numpy().tobytes() for t in (y, *[t.grad for t in inputs])))
    finally:
        ad.set_num_threads(threads)
    assert len(set(seen)) == 1


def test_captured_steps_give_the_same_bits():
    results = []
    for captured in (False, True):
        ad.manual_seed(0)
        m = ad.nn.Linear(8, 24)

        def step(x, m=m):
            q, k, v = (t.reshape(2, 5, 2, 4).transpose(1, 2) for t in m(x).split(8, -1))
            m.weight.grad = None
            y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
            y = y + F.scaled_dot_product_attention(q, k, v, dropout_p=0.5)
            y.square().sum().backward()
            return y, m.weight.grad

        f = ad.compile(step) if captured else step
        results.append([t.detach().numpy().tobytes() for _ in range(4) for t in f(ad.randn(2, 5, 8))])
    assert results[0] == results[1]


def test_a_query_that_sees_nothing():
    q, k, v = qkv(3, 4, 2, 2)
    mask = ad.ones(3, 4, dtype=ad.bool)
    mask[1] = False
    y = F.scaled_dot_product_attention(q, k, v, mask)
    y.sum().backward()
    assert not y[..., 1, :].any() and not q.grad[..., 1, :].any() and k.grad.isfinite().all()
    nothing = F.scaled_dot_product_attention(q, k[..., :0, :], v[..., :0, :])
    nothing.sum().backward()
    assert nothing.shape == q.shape and not nothing.any()


@pytest.mark.parametrize("dtype", [ad.float32, ad.float64])
def test_dropout_of_everything_and_of_nothing(dtype):
    q, k, v = qkv(130, 70, 8, 8, dtype=dtype)
    y = F.scaled_dot_product_attention(q, k, v, dropout_p=1.0)
    y.sum().backward()
    assert not y.any() and not any(t.grad.any() for t in (q, k, v))
    a, b = (F.scaled_dot_product_attention(q, k, v, dropout_p=p) for p in (0.0, 1e-300))
    np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("added", [False, True])
def test_blocks_that_a_mask_hides(added):
    q, k, v = qkv(200, 300, 8, 8)
    lengths, place = np.array([[17], [250]]), np.arange(300)
    keep = np.broadcast_to((place < lengths)[:, None, None], (2, 1, 200, 300)).copy()
    keep[0, 0, 66:190] = False  # queries that see nothing
    mask = np.where(keep, 0, -np.inf) if added else keep
    y = F.scaled_dot_product_attention(q, k, v, ad.tensor(mask))
    want = reference(*(t.detach().numpy() for t in (q, k, v)), mask=mask)
    np.testing.assert_allclose(y.detach().numpy(), want, rtol=1e-12, atol=1e-13)
    grads = ad.autograd.grad(y.square().sum(), (q, k, v), create_graph=True)
    y = F.scaled_dot_product_attention(q, k, v, ad.tensor(mask))
    for a, b in zip(grads, ad.autograd.grad(y.square().sum(), (q, k, v))):
        np.testing.assert_allclose(a.detach().numpy(), b.numpy(), rtol=1e-10, atol=1e-12)


def test_memory_grows_with_the_sequence_alone():
    q, k, v = qkv(3000, 3000, 4, 4, lead=(1,), dtype=ad.float32)
    before = ad.memory_stats()["peak_bytes"]
    F.scaled_dot_product_attention(q, k, v).sum().backward()
    assert ad.memory_stats()["peak_bytes"] - before < 3000 * 3000
    F.scaled_dot_product_attention(q, k, v, dropout_p=0.1).sum().backward()  # its mask has a byte for each weight
    assert ad.memory_stats()["peak_bytes"] - before < 2 * 3000 * 3000


def test_strange_layouts():
    q, k, v = (t.detach() for t in qkv(5, 5, 4, 4))
    want = F.scaled_dot_product_attention(q, k, v).numpy()
    # fmt: off
    for change in (lambda t: t.transpose(-1, -2).contiguous().transpose(-1, -2),
                   lambda t: t.transpose(1, 2).contiguous().transpose(1, 2),
                   lambda t: ad.cat([t, t], -1)[..., :4], lambda t: ad.stack([t, t], -1)[..., 0]):
        y = F.scaled_dot_product_attention(change(q), change(k), change(v))
        np.testing.assert_allclose(y.numpy(), want, rtol=1e-12, atol=1e-13)
    # fmt: on
    y = F.scaled_dot_product_attention(q[:1, :1], k, v[:, :1])
    want = reference(*(t.expand(2, 3, 5, 4).numpy() for t in (q[:1, :1], k, v[:, :1])))
    np.testing.assert_allclose(y.numpy(), want, rtol=1e-12, atol=1e-13)


# fmt: off
MISTAKES = [
    (TypeError, lambda q: F.scaled_dot_product_attention(q, q, "v")),
    (TypeError, lambda q: F.scaled_dot_product_attention(q, q, q, scale="a")),
    (TypeError, lambda q: F.scaled_dot_product_attention(q, q, q, 3)),
    (RuntimeError, lambda q: F.scaled_dot_product_attention(q, q[..., :2], q)),
    (RuntimeError, lambda q: F.scaled_dot_product_attention(q, q[..., :2, :], q)),
    (RuntimeError, lambda q: F.scaled_dot_product_attention(q, q, q.float())),
    (RuntimeError, lambda q: F.scaled_dot_product_attention(q.long(), q.long(), q.long())),
    (RuntimeError, lambda q: F.scaled_dot_product_attention(q[0, 0, 0], q, q)),
    (RuntimeError, lambda q: F.scaled_dot_product_attention(q, q, q, ad.ones(4, 4))),
    (RuntimeError, lambda q: F.scaled_dot_product_attention(q, q, q, ad.ones(7, 5, dtype=ad.bool))),
    (RuntimeError, lambda q: F.scaled_dot_product_attention(q, q[:, :2], q[:, :2], enable_gqa=True)),
    (RuntimeError, lambda q: F.scaled_dot_product_attention(q, q, q, dropout_p=2.0)),
    (RuntimeError, lambda q: F.scaled_dot_product_attention(ad.cat([q, q], 1), q, q)),
]
# fmt: on


@pytest.mark.parametrize("k", range(len(MISTAKES)))
def test_mistakes(k):
    error, call = MISTAKES[k]
    with pytest.raises(error):
        call(ad.randn(2, 3, 5, 4, dtype=ad.float64))
