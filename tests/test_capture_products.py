"""Products whose result is read element by element: one call of the program, with the bits of eager execution."""

import numpy as np
import pytest

import autodiffc as ad
from autodiffc.nn import functional as F

ROWS, COLS = 2101, 2011  # over 16 MB of float32, and no multiple of anything


def data(*sizes, seed=0, dtype="float32"):
    return ad.from_numpy(np.random.default_rng(seed).standard_normal(sizes).astype(dtype))


def names(step, *args):
    """Of the live calls of the last program."""
    explained = step.explain(*args)
    return [line.name for line in explained.programs[-1][1]]


CHAINS = {
    "gelu": lambda y, r: F.gelu(y),
    "tanh": lambda y, r: ad.tanh(y),
    "sigmoid": lambda y, r: ad.sigmoid(y),
    "residual": lambda y, r: r + y,
    "several": lambda y, r: ad.sigmoid(y * 2 + 1) * r - r[0] + r[:, :1],
    "both": lambda y, r: (y.relu() + r, y * r),
    "in place": lambda y, r: y.mul_(3).add_(r).clamp_(-1, 1),
}


@pytest.mark.parametrize("chain, dtype", [*((c, "float32") for c in CHAINS), ("several", "float64")])
def test_a_chain_after_a_product(chain, dtype):
    x, w, b = (data(*s, dtype=dtype) for s in ((ROWS, 5), (COLS, 5), (COLS,)))
    r = data(ROWS, COLS, seed=1, dtype=dtype)
    products = [lambda: F.linear(x, w, b), lambda: F.linear(x, w), lambda: x @ w.t(),
                lambda: ad.bmm(x[None], w.t()[None])[0]]  # fmt: skip
    for product in products:

        def step(r, product=product):
            return CHAINS[chain](product(), r)

        captured = ad.compile(step)
        want = step(r)
        for threads in (1, 3):
            ad.set_num_threads(threads)
            for _ in range(2):
                got = captured(r)
                pairs = zip(got, want) if isinstance(want, tuple) else [(got, want)]
                assert all(ad.equal(mine, theirs) for mine, theirs in pairs)
        assert any(n.startswith("fused: ") and n.split(", ")[0][7:] in ("linear", "mm", "bmm", "matmul")
                   for n in names(captured, r)), names(captured, r)  # fmt: skip


def layer(k, terms):
    ad.manual_seed(0)
    x, y = data(ROWS, terms), data(ROWS, COLS, seed=1)
    w = (data(COLS, terms, seed=2) * 0.1).requires_grad_()
    u = (data(COLS, terms, seed=3) * 0.1).requires_grad_()
    w.grad, u.grad = ad.zeros_like(w), ad.zeros_like(u)

    def step(x, y):
        h = F.gelu(F.linear(x, w))
        loss = ((h[:, :terms] @ u.t() + h - y) ** 2).mean()
        loss.backward()  # the gradients are added to
        return loss

    return (ad.compile(step) if k else step), x, y, w, u


@pytest.mark.parametrize("terms", [7, 300])
def test_gradients_are_accumulated(terms):
    found = []
    for k in range(2):
        step, x, y, w, u = layer(k, terms)
        losses = [step(x, y).item() for _ in range(4)]
        found.append((losses, w.grad, u.grad))
    assert found[0][0] == found[1][0]
    assert ad.equal(found[0][1], found[1][1]) and ad.equal(found[0][2], found[1][2])


def test_a_chain_that_writes_the_products_operand_stays_apart():
    def step(x, w):
        y = x @ w
        x.mul_(0.5).add_(y)
        return y

    a, b, w = data(530_000, 8), data(530_000, 8), data(8, 8, seed=1) * 0.1
    captured = ad.compile(step)
    for _ in range(3):
        y, z = step(a, w), captured(b, w)
        assert ad.equal(y, z) and ad.equal(a, b)
