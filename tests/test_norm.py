"""Normalization layers: running statistics, determinism, accuracy, and what a captured step does to buffers."""

import numpy as np
import pytest

import autodiffc as ad
from autodiffc import nn
from autodiffc.nn import functional as F

RNG = np.random.default_rng(5)


def data(*sizes, dtype="f"):
    return RNG.standard_normal(sizes).astype(dtype)


@pytest.mark.parametrize("momentum", [0.1, 0.75, None])
@pytest.mark.parametrize(
    "cls,sizes", [("BatchNorm1d", (6, 4)), ("BatchNorm2d", (3, 4, 5, 2)), ("BatchNorm3d", (2, 4, 3, 2, 2))]
)
def test_running_statistics(cls, sizes, momentum):
    layer = getattr(nn, cls)(4, momentum=momentum)
    mean, var = np.zeros(4), np.ones(4)
    for step in range(1, 4):
        x = data(*sizes)
        layer(ad.from_numpy(x))
        dims, m = (0, *range(2, len(sizes))), 1 / step if momentum is None else momentum
        mean = (1 - m) * mean + m * x.mean(dims, dtype="d")
        var = (1 - m) * var + m * x.var(dims, ddof=1, dtype="d")
        assert layer.num_batches_tracked.item() == step
    np.testing.assert_allclose(layer.running_mean.numpy(), mean, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(layer.running_var.numpy(), var, rtol=1e-5)
    layer.eval()
    x = data(*sizes)
    shape = (-1,) + (1,) * (len(sizes) - 2)
    expected = (x - mean.reshape(shape)) / np.sqrt(var.reshape(shape) + 1e-5)
    np.testing.assert_allclose(layer(ad.from_numpy(x)).detach().numpy(), expected, rtol=1e-4, atol=1e-5)
    assert layer.num_batches_tracked.item() == 3
    layer.reset_running_stats()
    assert layer.num_batches_tracked.item() == 0 and layer.running_var.tolist() == [1] * 4


def test_instance_running_statistics():
    layer = nn.InstanceNorm2d(3, track_running_stats=True, affine=True)
    x = data(2, 3, 4, 5)
    layer(ad.from_numpy(x))
    np.testing.assert_allclose(layer.running_mean.numpy(), 0.1 * x.mean((0, 2, 3)), rtol=1e-4, atol=1e-7)
    expected = 0.9 + 0.1 * x.var((2, 3), ddof=1).mean(0)
    np.testing.assert_allclose(layer.running_var.numpy(), expected, rtol=1e-5)
    assert layer.num_batches_tracked.item() == 0  # as PyTorch
    layer.eval()
    y = layer(ad.from_numpy(x)).detach().numpy()
    mean, var = layer.running_mean.numpy()[:, None, None], layer.running_var.numpy()[:, None, None]
    np.testing.assert_allclose(y, (x - mean) / np.sqrt(var + 1e-5), rtol=1e-4, atol=1e-5)


def test_empty_batch_keeps_statistics():
    mean, var = ad.zeros(3), ad.ones(3)
    y = F.batch_norm(ad.zeros(0, 3, 2), mean, var, training=True)
    assert y.shape == (0, 3, 2) and mean.tolist() == [0] * 3 and var.tolist() == [1] * 3


@pytest.mark.parametrize("sizes", [(4, 2, 3, 5), (64, 5), (3, 2, 70, 70)])
def test_large_mean(sizes):
    """The statistics do not cancel: a mean of a thousand deviations, and a first sample far from the others."""
    x = data(*sizes) + 1000
    dims, shape = (0, *range(2, len(sizes))), (-1,) + (1,) * (len(sizes) - 2)
    for first in (0, 1000):
        x[0] += first
        wide = x.astype("d")
        expected = (wide - wide.mean(dims).reshape(shape)) / np.sqrt(wide.var(dims).reshape(shape) + 1e-5)
        y = F.batch_norm(ad.from_numpy(x), None, None, training=True).numpy()
        np.testing.assert_allclose(y, expected, rtol=1e-3, atol=2e-3)
        flat = ad.from_numpy(x.reshape(sizes[0], -1))
        wide = wide.reshape(sizes[0], -1)
        expected = (wide - wide.mean(1, keepdims=True)) / np.sqrt(wide.var(1, keepdims=True) + 1e-5)
        np.testing.assert_allclose(F.layer_norm(flat, flat.shape[1:]).numpy(), expected, rtol=1e-3, atol=2e-3)


@pytest.mark.parametrize("case", ["layer", "rms", "group", "batch", "batch_matrix", "instance"])
def test_threads(case):
    """The same bits for one thread and for two."""
    wide = ad.from_numpy(data(300, 400)).requires_grad_()
    image = ad.from_numpy(data(20, 24, 30, 11)).requires_grad_()
    w, b = ad.from_numpy(data(400)).requires_grad_(), ad.from_numpy(data(400)).requires_grad_()
    wi, bi = ad.from_numpy(data(24)).requires_grad_(), ad.from_numpy(data(24)).requires_grad_()
    calls = {
        "layer": (lambda: F.layer_norm(wide, (400,), w, b), (wide, w, b)),
        "rms": (lambda: F.rms_norm(wide, (400,), w), (wide, w)),
        "group": (lambda: F.group_norm(image, 6, wi, bi), (image, wi, bi)),
        "batch": (lambda: F.batch_norm(image, None, None, wi, bi, True), (image, wi, bi)),
        "batch_matrix": (lambda: F.batch_norm(wide, None, None, w, b, True), (wide, w, b)),
        "instance": (lambda: F.instance_norm(image, weight=wi, bias=bi), (image, wi, bi)),
    }
    fn, inputs = calls[case]
    results, threads = [], ad.get_num_threads()
    try:
        for n in (1, 2, 3):
            ad.set_num_threads(n)
            y = fn()
            grads = ad.autograd.grad((y * y * y).sum(), inputs)
            results.append([t.detach().numpy().tobytes() for t in (y, *grads)])
    finally:
        ad.set_num_threads(threads)
    assert results[0] == results[1] == results[2]


@pytest.mark.parametrize("momentum", [0.1, None])
def test_captured(momentum):
    """A replay gives eager's bits and moves the running statistics."""

    def train(captured):
        ad.manual_seed(0)
        model = nn.Sequential(
            nn.Linear(5, 8), nn.BatchNorm1d(8, momentum=momentum), nn.ReLU(), nn.LayerNorm(8), nn.Linear(8, 1)
        )
        sgd = ad.optim.SGD(model.parameters(), lr=0.1)

        def step(x):
            sgd.zero_grad()
            loss = (model(x) ** 2).mean()
            loss.backward()
            sgd.step()
            return loss

        run = ad.compile(step) if captured else step
        rng = np.random.default_rng(1)
        losses = [run(ad.from_numpy(rng.standard_normal((6, 5)).astype("f"))).item() for _ in range(5)]
        assert model[1].num_batches_tracked.item() == 5
        return losses, [t.numpy().tobytes() for t in model.state_dict().values()]

    assert train(False) == train(True)


def test_half_with_float_parameters():
    x = ad.from_numpy(data(4, 6)).to(ad.bfloat16).requires_grad_()
    w = ad.ones(6, requires_grad=True)
    y = F.layer_norm(x, (6,), w)
    y.float().pow(2).sum().backward()
    assert y.dtype is ad.bfloat16 and x.grad.dtype is ad.bfloat16 and w.grad.dtype is ad.float32


def test_saved_names():
    assert list(nn.BatchNorm2d(3).state_dict()) == [
        "weight",
        "bias",
        "running_mean",
        "running_var",
        "num_batches_tracked",
    ]
    assert list(nn.BatchNorm2d(3, affine=False, track_running_stats=False).state_dict()) == []
    assert list(nn.InstanceNorm1d(3).state_dict()) == []
    assert list(nn.GroupNorm(1, 3).state_dict()) == ["weight", "bias"]
    assert list(nn.RMSNorm(3).state_dict()) == ["weight"]
    old = {k: v for k, v in nn.BatchNorm1d(3).state_dict().items() if k != "num_batches_tracked"}
    nn.BatchNorm1d(3).load_state_dict(old)  # state of version 1


def test_sync_batch_norm():
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    converted = nn.SyncBatchNorm.convert_sync_batchnorm(model)
    assert isinstance(converted[1], nn.SyncBatchNorm) and converted[1].weight.shape == (4,)
    assert converted(ad.ones(2, 3)).shape == (2, 4)


def test_wrong_sizes():
    for call, error in (
        (lambda: nn.BatchNorm2d(3)(ad.ones(2, 3)), ValueError),
        (lambda: nn.BatchNorm1d(3)(ad.ones(2, 4)), RuntimeError),
        (lambda: nn.BatchNorm1d(3)(ad.ones(1, 3)), ValueError),
        (lambda: nn.GroupNorm(2, 3), ValueError),
        (lambda: nn.InstanceNorm1d(3, affine=True)(ad.ones(2, 4, 5)), ValueError),
        (lambda: F.batch_norm(ad.ones(2, 3), ad.zeros(3, requires_grad=True), ad.ones(3), training=True), RuntimeError),
    ):
        with pytest.raises(error):
            call()


@pytest.mark.parametrize("sizes", [(3, 0), (0, 3), (2, 0, 4), (0, 4, 2), (2, 4, 0)])
def test_empty(sizes):
    x = ad.ones(*sizes, requires_grad=True)
    w, last = ad.ones(sizes[1], requires_grad=True), ad.ones(sizes[-1], requires_grad=True)
    calls = [
        (lambda: F.layer_norm(x, sizes[-1:], last, last), last),
        (lambda: F.rms_norm(x, sizes[-1:], last), last),
        (lambda: F.group_norm(x, 1, w, w), w),
        (lambda: F.batch_norm(x, None, None, w, w, True), w),
        (lambda: F.batch_norm(x, ad.zeros(sizes[1]), ad.ones(sizes[1]), w, w), w),
    ]
    if len(sizes) > 2:
        calls.append((lambda: F.instance_norm(x, None, None, w, w), w))
    for call, weight in calls:
        y = call()
        dx, dw = ad.autograd.grad(y.sum(), (x, weight))
        assert y.shape == dx.shape == sizes and not dw.any()
