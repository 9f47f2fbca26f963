"""Attention and the layers made of it against PyTorch, for the same seed."""

import numpy as np
import pytest

from .both import check, tensor

pytestmark = pytest.mark.parity

RNG = np.random.default_rng(5)


def _qkv(T, lead, L, S, E, D, kv=None, dtype=np.float32):
    rng = np.random.default_rng(L * S + E)
    kv = lead if kv is None else kv
    return [tensor(T, rng.standard_normal(s).astype(dtype), True)
            for s in ((*lead, L, E), (*kv, S, E), (*kv, S, D))]


def _with_grads(T, function, *inputs):
    y = function(*inputs)
    (y * T.arange(y.numel(), dtype=y.dtype).reshape(y.shape).cos()).sum().backward()
    return [y, *[t.grad for t in inputs]]


SIZES = [((2, 3), 5, 7, 4, 6), ((1, 2), 64, 64, 32, 32), ((2, 2), 65, 130, 8, 8), ((3,), 100, 33, 16, 7),
         ((), 9, 9, 3, 3),
         ((2, 9), 70, 70, 20, 20), ((1, 1), 1, 200, 40, 40), ((1, 2), 300, 300, 64, 64), ((2, 1), 3, 4, 300, 5)]


@pytest.mark.parametrize("size", SIZES)
def test_values_and_gradients(size):
    for causal in (False, True):

        def case(T, c=causal):
            q, k, v = _qkv(T, *size)
            return _with_grads(T, lambda *t: T.nn.functional.scaled_dot_product_attention(*t, is_causal=c), q, k, v)

        check(case, 2e-5)


def test_masks():
    lead, L, S = (2, 3), 70, 90
    keep = RNG.random((L, S)) > 0.3
    keep[4] = False
    padding = np.arange(S)[None] < np.array([[50], [90]])
    added = RNG.standard_normal((2, 1, L, S)).astype(np.float32)
    # fmt: off
    masks = [keep, padding[:, None, None], added, np.where(keep, 0, -np.inf).astype(np.float32), keep[:1],
             RNG.random((2, 3, L, S)) > 0.5]
    # fmt: on
    for mask in masks:

        def case(T, mask=mask):
            q, k, v = _qkv(T, lead, L, S, 12, 12)
            m = tensor(T, mask)
            return _with_grads(T, lambda *t: T.nn.functional.scaled_dot_product_attention(*t, m, scale=0.4), q, k, v)

        check(case, 2e-5)

    def learned(T):
        q, k, v = _qkv(T, lead, L, S, 12, 12)
        m = tensor(T, added, True)
        return [*_with_grads(T, lambda *t: T.nn.functional.scaled_dot_product_attention(*t[:3], t[3]), q, k, v, m)]

    check(learned, 2e-5)


def test_groups_of_heads():
    for L, S, causal in ((5, 7, False), (130, 130, True)):

        def case(T, L=L, S=S, c=causal):
            q, k, v = _qkv(T, (2, 6), L, S, 8, 8, (2, 3))
            f = T.nn.functional.scaled_dot_product_attention
            return _with_grads(T, lambda *t: f(*t, is_causal=c, enable_gqa=True), q, k, v)

        check(case, 2e-5)

    def broadcast(T):
        q, k, v = _qkv(T, (2, 3), 5, 7, 4, 4, (1, 3))
        return _with_grads(T, T.nn.functional.scaled_dot_product_attention, q, k, v)

    check(broadcast, 2e-5)


def test_dropout():
    for causal in (False, True):

        def case(T, c=causal):
            q, k, v = _qkv(T, (2, 3), 20, 20, 8, 8)
            f = T.nn.functional.scaled_dot_product_attention
            return _with_grads(T, lambda *t: f(*t, dropout_p=0.4, is_causal=c), q, k, v)

        check(case, 2e-5)


def test_layouts():
    start = RNG.standard_normal((2, 70, 3, 4, 8)).astype(np.float32)

    def case(T):
        x = tensor(T, start, True)
        y = x * T.arange(x.numel(), dtype=x.dtype).reshape(x.shape).sin()
        q, k, v = (y[:, :, i].transpose(1, 2) for i in range(3))
        out = T.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        out.transpose(1, 2).reshape(2, 70, 32).square().sum().backward()
        other = T.nn.functional.scaled_dot_product_attention(*[t.transpose(-1, -2) for t in (q, k, v)])
        return [out, x.grad, other]

    check(case, 2e-5)


# fmt: off
MISTAKES = [
    lambda F, T, q, m: F(q, q, q, m, is_causal=True), lambda F, T, q, m: F(q, q, q, m[:3]),
    lambda F, T, q, m: F(q, q, q, m.long()), lambda F, T, q, m: F(q, q, q, m.double()),
    lambda F, T, q, m: F(q, q[..., :3], q), lambda F, T, q, m: F(q, q, q.double()),
    lambda F, T, q, m: F(q.long(), q.long(), q.long()), lambda F, T, q, m: F(q[0, 0, 0], q, q),
    lambda F, T, q, m: F(q, q, q, dropout_p=1.5), lambda F, T, q, m: F(q[:, :2], q, q, enable_gqa=True),
    lambda F, T, q, m: F(q, q[:, :2], q), lambda F, T, q, m: F(q, q, q, scale="a"), lambda F, T, q, m: F(q, 3, q),
    lambda F, T, q, m: F(q, q, q[..., :3], m, is_causal=True), lambda F, T, q, m: F(q[:, :, :0], q, q).sum(),
    lambda F, T, q, m: F(q, q[:, :, :0], q[:, :, :0]).sum(), lambda F, T, q, m: F(q[..., :0], q[..., :0], q).sum(),
    lambda F, T, q, m: F(q, q, q[..., :0]).sum(), lambda F, T, q, m: F(q[:0], q[:0], q[:0]).sum(),
]
# fmt: on


@pytest.mark.parametrize("k", range(len(MISTAKES)))
def test_mistakes(k):
    def case(T):
        q = tensor(T, np.linspace(-1, 1, 120, dtype=np.float32).reshape(2, 3, 5, 4))
        return MISTAKES[k](T.nn.functional.scaled_dot_product_attention, T, q, T.ones(5, 5).bool())

    check(case)
