"""Weights that captured programs read in panels: packed once for several products or runs, with the bits of eager."""

import copy

import numpy as np
import pytest

import autodiffc as ad
from autodiffc import nn, optim
from autodiffc.nn import functional as F

KEPT, EARLIER, LATER = "weight kept packed", "weight packed by an earlier call", "weight packed for later calls too"


def data(*sizes, seed=0, dtype=ad.float32):
    return ad.from_numpy(np.random.default_rng(seed).standard_normal(sizes)).to(dtype)


def same(a, b):
    return a.shape == b.shape and a.dtype == b.dtype and ad.equal(a, b)


def kept(step, *args):
    return str(step.explain(*args)).count(KEPT)


WAYS = {
    "linear": (lambda x, w: F.linear(x, w), (33, 40), (70, 40)),
    "linear of a batch": (lambda x, w: F.linear(x, w), (3, 5, 40), (70, 40)),
    "linear, relu": (lambda x, w: F.linear(x, w).relu(), (20, 300), (70, 300)),
    "mm, transposed": (lambda x, w: x @ w.t(), (17, 513), (33, 513)),
    "matmul": (lambda x, w: x @ w.mT, (2, 20, 64), (96, 64)),
    "long sums": (lambda x, w: x @ w.t(), (20, 4000), (40, 4000)),
    "one column": (lambda x, w: x @ w.t(), (9, 64), (1, 64)),
    "one row": (lambda x, w: x @ w.t(), (1, 64), (33, 64)),
    "large": (lambda x, w: F.linear(x, w), (200, 700), (610, 700)),
}


@pytest.mark.parametrize("dtype", [ad.float32, ad.float64, ad.bfloat16, ad.float16, ad.int64], ids=str)
@pytest.mark.parametrize("name", WAYS)
def test_bits_of_eager(name, dtype):
    fn, xs, ws = WAYS[name]
    x, w = (data(*xs) * 8).to(dtype), (data(*ws, seed=1) * 8).to(dtype).clone()
    step = ad.compile(lambda x: fn(x, w))
    with ad.no_grad():
        for _ in range(4):
            assert same(step(x), fn(x, w))


def test_a_weight_that_nothing_writes_is_kept():
    net = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 128), nn.Tanh(), nn.Linear(128, 10)).eval()
    step, x = ad.compile(lambda x: net(x)), data(8, 64)
    with ad.no_grad():
        for k in range(5):
            assert same(step(x + k), net(x + k))
    assert kept(step, x) == 3


@pytest.fixture
def packed():
    """A weight, a step that has packed it, and the same without."""
    w = data(96, 64, seed=1).clone()
    step = ad.compile(lambda x: F.linear(x, w))
    x = data(8, 64)
    with ad.no_grad():
        for _ in range(4):
            step(x)
        assert kept(step, x) == 1
        yield w, lambda: same(step(x), F.linear(x, w))


def in_place(w):
    w.mul_(2)


def of_a_view(w):
    w[3].zero_()


def of_data(w):
    w.data.add_(1)


def of_a_numpy_array(w):
    w.numpy()[5] = 7


def of_a_dlpack_tensor(w):
    np.from_dlpack(w)
    w.numpy()[1:3] = -1


def of_an_optimizer(w):
    w.grad = ad.ones_like(w)
    optim.SGD([w], lr=0.5).step()


def of_another_program(w):
    ad.compile(lambda: w.add_(1))()


def of_other_memory(w):
    w.data = data(96, 64, seed=2)


def of_a_random_filling(w):
    nn.init.normal_(w)


@pytest.mark.parametrize(
    "write",
    [in_place, of_a_view, of_data, of_a_numpy_array, of_a_dlpack_tensor, of_an_optimizer, of_another_program,
     of_other_memory, of_a_random_filling],
)  # fmt: skip
def test_a_write_is_seen(packed, write):
    w, agrees = packed
    for _ in range(3):
        write(w)
        for _ in range(3):
            assert agrees()


def test_memory_of_others_is_not_kept():
    array = np.random.default_rng(0).standard_normal((96, 64)).astype(np.float32)
    w, x = ad.from_numpy(array), data(8, 64)
    step = ad.compile(lambda x: F.linear(x, w))
    with ad.no_grad():
        for _ in range(4):
            array += 1
            assert same(step(x), F.linear(x, w))
        assert kept(step, x) == 0


def test_a_weight_as_argument_is_not_kept():
    step, x = ad.compile(lambda x, w: F.linear(x, w)), data(8, 64)
    with ad.no_grad():
        for k in range(4):
            w = data(96, 64, seed=k)
            assert same(step(x, w), F.linear(x, w))
    assert kept(step, x, w) == 0


def test_training_a_compiled_module_leaves_its_weights_as_they_lie():
    plain = nn.Sequential(nn.Linear(32, 64), nn.Tanh(), nn.Linear(64, 5))
    twin = copy.deepcopy(plain)
    module, x = ad.compile(twin), data(16, 32)
    a, b = optim.SGD(plain.parameters(), lr=0.1), optim.SGD(twin.parameters(), lr=0.1)
    for k in range(8):
        for model, opt in ((plain, a), (module, b)):
            opt.zero_grad()
            (model(x + k) ** 2).mean().backward()
            opt.step()
        assert all(same(p, q) for p, q in zip(plain.parameters(), twin.parameters()))


def test_a_frozen_backbone_is_kept_and_the_head_is_not():
    backbone, head = nn.Sequential(nn.Linear(32, 64), nn.ReLU()), nn.Linear(64, 64)
    backbone.requires_grad_(False)
    other = copy.deepcopy(head)

    def trainer(head):
        opt = optim.SGD(head.parameters(), lr=0.1)

        def step(x):
            opt.zero_grad()
            loss = (head(backbone(x)) ** 2).mean()
            loss.backward()
            opt.step()
            return loss

        return step

    step, eager, x = ad.compile(trainer(head)), trainer(other), data(16, 32)
    for k in range(6):
        assert same(step(x + k), eager(x + k))
    assert kept(step, x) == 1
    assert same(head.weight, other.weight)


def test_a_recurrent_weight_is_packed_once_a_run():
    cell = nn.RNNCell(64, 128)
    other = copy.deepcopy(cell)

    def trainer(cell):
        opt = optim.SGD(cell.parameters(), lr=0.1)

        def step(x):
            opt.zero_grad()
            h = ad.zeros(96, 128)
            for t in range(6):
                h = (F.linear(x[t], cell.weight_ih) + F.linear(h, cell.weight_hh, cell.bias_hh)).tanh()
            loss = (h**2).mean()
            loss.backward()
            opt.step()
            return loss

        return step

    step, eager, x = ad.compile(trainer(cell)), trainer(other), data(6, 96, 64)
    for k in range(5):
        assert same(step(x * (k + 1)), eager(x * (k + 1)))
    text = str(step.explain(x))
    assert KEPT not in text
    assert text.count(LATER) >= 1
    assert text.count(EARLIER) >= 5
    assert same(cell.weight_hh, other.weight_hh)


def test_a_write_between_two_products_ends_the_sharing():
    def fn(x, w):
        a = F.linear(x, w)
        w.mul_(2)
        b = F.linear(x, w)
        c = F.linear(x + 1, w)
        w.add_(1)
        return a, b, c, F.linear(x, w)

    step, x = ad.compile(fn), data(128, 64)
    with ad.no_grad():
        for _ in range(4):
            w = data(160, 64, seed=1)
            v = w.clone()
            for got, want in zip(step(x, w), fn(x, v)):
                assert same(got, want)
    text = str(step.explain(x, w))
    assert text.count(LATER) == 1
    assert text.count(EARLIER) == 1
