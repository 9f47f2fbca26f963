"""The same bits for any number of threads, and from run to run, on sizes that the pool really divides.

The rows of op_cases.py are scaled up in test_ops.py, as far as their other arguments let them; here are the kernels
whose rows stay small, their gradients, and the updates of optimizers."""

import numpy as np
import pytest

import autodiffc as T
import autodiffc.nn.functional as F
from autodiffc._native import lib

THREADS = (1, 2, 3, 4, 8, 2)


def normal(*sizes, seed=0):
    return T.from_numpy(np.random.default_rng(seed).standard_normal(sizes).astype(np.float32)).requires_grad_()


def chosen(high, *sizes, seed=1):
    return T.from_numpy(np.random.default_rng(seed).integers(0, high, sizes))


def flags(*sizes, seed=2):
    return T.from_numpy(np.random.default_rng(seed).integers(0, 2, sizes).astype(bool))


def lengths(n, batch):
    return T.full((batch,), n, dtype=T.int64)


def recurrent(kind):
    def run(x):
        T.manual_seed(0)
        return getattr(T.nn, kind)(32, 64, 2, bidirectional=True)(x)[0]

    return run, [(40, 16, 32)]


# name: the function of the leaves, and the leaves' sizes
WORK = {
    "sum of all": (lambda x: x.sum(), [(700, 1000)]),
    "sum of the middle": (lambda x: x.sum(1), [(8, 300, 200)]),
    "norm of columns": (lambda x: x.norm(dim=0), [(5000, 64)]),
    "variance of columns": (lambda x: x.var(0), [(5000, 64)]),
    "product": (lambda x: x.clamp(0.9, 1.1).prod(), [(200000,)]),
    "logsumexp": (lambda x: x.logsumexp(1), [(500, 400)]),
    "argmax": (lambda x: (x * 4).round().argmax(0), [(3000, 50)]),
    "softmax of rows": (lambda x: F.softmax(x, 1), [(3000, 70)]),
    "softmax of columns": (lambda x: F.softmax(x, 0), [(70, 3000)]),
    "log_softmax": (lambda x: F.log_softmax(x, 1), [(64, 1000)]),
    "cross_entropy": (lambda x: F.cross_entropy(x, chosen(70, 3000), label_smoothing=0.1), [(3000, 70)]),
    "cross_entropy of pixels": (lambda x: F.cross_entropy(x, chosen(7, 4, 90, 90)), [(4, 7, 90, 90)]),
    "cross_entropy, weighted": (lambda x, w: F.cross_entropy(x, chosen(70, 3000), w.detach().abs()),
                                [(3000, 70), (70,)]),
    "nll": (lambda x: F.nll_loss(x, chosen(70, 3000)), [(3000, 70)]),
    "layer_norm": (lambda x, w, b: F.layer_norm(x, (100,), w, b), [(3000, 100), (100,), (100,)]),
    "layer_norm of long rows": (lambda x, w, b: F.layer_norm(x, (3000,), w, b), [(90, 3000), (3000,), (3000,)]),
    "rms_norm": (lambda x, w: F.rms_norm(x, (100,), w), [(3000, 100), (100,)]),
    "group_norm": (lambda x, w, b: F.group_norm(x, 4, w, b), [(16, 16, 30, 30), (16,), (16,)]),
    "instance_norm": (lambda x, w, b: F.instance_norm(x, None, None, w, b), [(16, 16, 30, 30), (16,), (16,)]),
    "batch_norm of matrices": (lambda x, w, b: F.batch_norm(x, None, None, w, b, True), [(3000, 64), (64,), (64,)]),
    "batch_norm of images": (lambda x, w, b: F.batch_norm(x, None, None, w, b, True), [(16, 16, 30, 30), (16,), (16,)]),
    "embedding": (lambda w: F.embedding(chosen(500, 40, 60), w), [(500, 64)]),
    "embedding_bag": (lambda w: F.embedding_bag(chosen(500, 400, 20), w, mode="mean"), [(500, 64)]),
    "index_select": (lambda x: x.index_select(0, chosen(500, 2000)), [(500, 64)]),
    "index_select of columns": (lambda x: x.index_select(1, chosen(300, 900)), [(200, 300)]),
    "index_add": (lambda x, v: x.index_add(0, chosen(500, 2000), v), [(500, 64), (2000, 64)]),
    "index_copy": (lambda x, v: x.index_copy(0, T.arange(0, 500), v), [(900, 100), (500, 100)]),
    "index_put": (lambda x, v: x.index_put((chosen(300, 60000),), v, accumulate=True), [(300,), (60000,)]),
    "x[rows, columns]": (lambda x: x[chosen(300, 60000), chosen(200, 60000, seed=5)], [(300, 200)]),
    "gather": (lambda x: x.gather(0, chosen(300, 500, 200)), [(300, 200)]),
    "scatter_add": (lambda x, v: x.scatter_add(0, chosen(30, 500, 200), v), [(30, 200), (500, 200)]),
    "scatter_reduce": (lambda x, v: x.scatter_reduce(0, chosen(30, 500, 200), v, "mean"), [(30, 200), (500, 200)]),
    "take": (lambda x: x.take(chosen(60000, 90000)), [(300, 200)]),
    "masked_select": (lambda x: x.masked_select(flags(300, 400)), [(300, 400)]),
    "masked_scatter": (lambda x, v: x.masked_scatter(flags(300, 400), v), [(300, 400), (300, 400)]),
    "sort": (lambda x: x.sort(1), [(300, 400)]),
    "sort of one line": (lambda x: (x * 9).round().sort(), [(200000,)]),
    "topk": (lambda x: x.topk(20, 1), [(300, 400)]),
    "kthvalue": (lambda x: x.kthvalue(7, 1), [(300, 400)]),
    "median": (lambda x: x.median(0), [(300, 400)]),
    "unique": (lambda x: T.unique((x.detach() * 99).round()), [(300, 400)]),
    "cumsum": (lambda x: x.cumsum(1), [(300, 400)]),
    "cumsum of columns": (lambda x: x.cumsum(0), [(300, 400)]),
    "cumsum of one line": (lambda x: x.cumsum(0), [(200000,)]),
    "cumprod": (lambda x: x.cumprod(0), [(300, 400)]),
    "cummax": (lambda x: x.cummax(0), [(300, 400)]),
    "logcumsumexp": (lambda x: x.logcumsumexp(1), [(200, 300)]),
    "bincount": (lambda x: T.bincount(chosen(300, 200000), x.detach()), [(200000,)]),
    "histc": (lambda x: T.histc(x.detach(), 50), [(200000,)]),
    "searchsorted": (lambda x: T.searchsorted(T.linspace(-2, 2, 50), x.detach()), [(200000,)]),
    "cosine_similarity": (lambda a, b: F.cosine_similarity(a, b), [(3000, 64), (3000, 64)]),
    "cdist": (lambda a, b: T.cdist(a, b), [(400, 20), (300, 20)]),
    "cdist p=1": (lambda a, b: T.cdist(a, b, p=1.0), [(400, 20), (300, 20)]),
    "ctc_loss": (lambda x: F.ctc_loss(x.log_softmax(2), chosen(19, 32, 10) + 1, lengths(60, 32), lengths(10, 32)),
                 [(60, 32, 20)]),
    "attention": (lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=True), [(2, 4, 200, 32)] * 3),
    "attention, masked": (lambda q, k, v: F.scaled_dot_product_attention(q, k, v, flags(200, 200) | T.eye(200).bool()),
                          [(2, 4, 200, 32)] * 3),
    "grid_sample": (lambda x, g: F.grid_sample(x, g.tanh(), align_corners=False), [(4, 3, 90, 90), (4, 80, 80, 2)]),
    "interpolate": (lambda x: F.interpolate(x, scale_factor=2, mode="bilinear"), [(4, 3, 90, 90)]),
    "max_pool2d": (lambda x: F.max_pool2d(x, 3, 2), [(8, 8, 60, 60)]),
    "avg_pool2d": (lambda x: F.avg_pool2d(x, 3, 2), [(8, 8, 60, 60)]),
    "fold": (lambda x: F.fold(F.unfold(x, 3), (50, 50), 3), [(8, 3, 50, 50)]),
    "pad": (lambda x: F.pad(x, (3, 2, 1, 4), mode="reflect"), [(8, 8, 60, 60)]),
    "conv2d": (lambda x, w, b: F.conv2d(x, w, b, padding=1), [(8, 16, 30, 30), (32, 16, 3, 3), (32,)]),
    "conv2d, strided": (lambda x, w, b: F.conv2d(x, w, b, 2), [(8, 16, 30, 30), (32, 16, 3, 3), (32,)]),
    "conv2d, depthwise": (lambda x, w: F.conv2d(x, w, groups=16), [(8, 16, 30, 30), (16, 1, 3, 3)]),
    "conv2d, pointwise": (lambda x, w: F.conv2d(x, w), [(8, 16, 30, 30), (32, 16, 1, 1)]),
    "conv1d": (lambda x, w: F.conv1d(x, w), [(8, 16, 900), (32, 16, 5)]),
    "conv3d": (lambda x, w: F.conv3d(x, w), [(2, 8, 12, 12, 12), (8, 8, 3, 3, 3)]),
    "conv_transpose2d": (lambda x, w: F.conv_transpose2d(x, w, stride=2), [(8, 16, 16, 16), (16, 8, 4, 4)]),
    "matmul": (lambda a, b: a @ b, [(300, 200), (200, 250)]),
    "matmul, tall": (lambda a, b: a.t() @ b, [(5000, 20), (5000, 10)]),
    "matmul, batched": (lambda a, b: a @ b, [(30, 60, 50), (30, 50, 70)]),
    "solve_triangular": (lambda a, b: T.linalg.solve_triangular(a + 20 * T.eye(150), b, upper=False),
                         [(3, 150, 150), (3, 150, 200)]),
    "linear": (lambda x, w, b: F.linear(x, w, b).relu(), [(300, 200), (250, 200), (250,)]),
    "LSTM": recurrent("LSTM"),
    "GRU": recurrent("GRU"),
    "RNN": recurrent("RNN"),
    "mse_loss": (lambda a, b: F.mse_loss(a, b), [(300, 400), (300, 400)]),
    "binary cross entropy": (lambda a, b: F.binary_cross_entropy_with_logits(a, b.sigmoid()), [(300, 400)] * 2),
    "copies in other orders": (lambda x: T.cat([x.permute(2, 0, 1), x.flip(1).permute(2, 0, 1)], 1).roll(3, 2),
                               [(60, 50, 40)]),
}  # fmt: skip


def results(name):
    """Everything that a piece of work gives: its results and the gradients of its leaves, as bytes."""
    fn, sizes = WORK[name]
    leaves = [normal(*s, seed=k) for k, s in enumerate(sizes)]
    ys = fn(*leaves)
    ys = list(ys) if isinstance(ys, tuple) else [ys]
    graded = [y for y in ys if y.requires_grad]
    gs = []
    if graded:
        ones = [normal(*y.shape, seed=9).detach() for y in graded]
        gs = T.autograd.grad(graded, leaves, ones, allow_unused=True)
    return [t.detach().numpy().tobytes() for t in [*ys, *gs] if t is not None]


@pytest.mark.parametrize("name", WORK)
def test_bits(name):
    known = None
    for n in THREADS:
        assert lib.ad_set_num_threads(n) == 0
        found = results(name)
        known = known or found
        assert len(found) > 0
        assert found == known, f"{n} threads give other bits"


@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW", "RMSprop", "Adagrad", "Adadelta", "Adamax", "NAdam", "RAdam",
                                  "Rprop", "ASGD", "Adafactor", "LBFGS"])  # fmt: skip
def test_updates(name):
    def trained(n):
        assert lib.ad_set_num_threads(n) == 0
        weights = [normal(300, 400), normal(70000, seed=1), normal(5, seed=2)]
        optimizer = getattr(T.optim, name)(weights)

        def closure():
            optimizer.zero_grad()
            loss = sum((w * w).sum() for w in weights)
            loss.backward()
            return loss

        for _ in range(3):
            optimizer.step(closure)
        T.nn.utils.clip_grad_norm_(weights, 0.1)
        return [t.detach().numpy().tobytes() for w in weights for t in (w, w.grad)]

    known = trained(1)
    for n in THREADS[1:]:
        assert trained(n) == known, f"{n} threads give other bits"
