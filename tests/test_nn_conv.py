"""Convolution layers, lazy modules, patches."""

import copy
import pickle

import numpy as np
import pytest

import autodiffc as ad
from autodiffc import nn

LAYERS = [nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d]


def image(layer, channels=4, size=7):
    return ad.randn(2, channels, *[size] * int(layer.__name__[-2]))


@pytest.mark.parametrize("layer", LAYERS, ids=lambda c: c.__name__)
def test_parameters(layer):
    m = layer(4, 6, 3, 2, 1, groups=2)
    rank = int(layer.__name__[-2])
    first = (4, 3) if m.transposed else (6, 2)
    assert [(k, tuple(v.shape)) for k, v in m.state_dict().items()] == [
        ("weight", first + (3,) * rank), ("bias", (6,))]
    fan_in = first[1] * 3**rank
    assert m.weight.abs().max() <= fan_in**-0.5 and m.bias.abs().max() <= fan_in**-0.5
    y = m(image(layer))
    assert y.shape[:2] == (2, 6)
    assert tuple(m(image(layer)[0]).shape) == tuple(y.shape[1:])
    assert layer(4, 6, 3, bias=False).bias is None
    assert layer(4, 6, 3, dtype=ad.float64).weight.dtype is ad.float64


def test_text():
    assert repr(nn.Conv2d(3, 4, 3, 2, 1, 2, bias=False, padding_mode="circular")) == (
        "Conv2d(3, 4, kernel_size=(3, 3), stride=(2, 2), padding=(1, 1), dilation=(2, 2), bias=False, "
        "padding_mode=circular)")
    assert repr(nn.ConvTranspose1d(4, 4, 3, 2, 1, 1, 2)) == (
        "ConvTranspose1d(4, 4, kernel_size=(3,), stride=(2,), padding=(1,), output_padding=(1,), groups=2)")
    assert repr(nn.Conv1d(1, 1, 3, padding="same")) == "Conv1d(1, 1, kernel_size=(3,), stride=(1,), padding=same)"
    assert repr(nn.LazyConv2d(4, 3)) == "LazyConv2d(0, 4, kernel_size=(3, 3), stride=(1, 1))"


@pytest.mark.parametrize("options", [
    {"groups": 3}, {"groups": 0}, {"padding": "odd"}, {"padding": "same", "stride": 2}, {"padding_mode": "odd"}])
def test_refused(options):
    with pytest.raises(ValueError):
        nn.Conv2d(4, 4, 3, **options)


@pytest.mark.parametrize("mode", ["reflect", "replicate", "circular"])
@pytest.mark.parametrize("padding", [1, "same"])
def test_padding_modes(mode, padding):
    m = nn.Conv2d(2, 3, 3, padding=padding, padding_mode=mode)
    x = ad.randn(1, 2, 5, 6)
    wide = nn.functional.pad(x, (1, 1, 1, 1), mode=mode)
    np.testing.assert_array_equal(m(x).detach().numpy(),
                                  nn.functional.conv2d(wide, m.weight, m.bias).detach().numpy())
    with pytest.raises(ValueError):
        nn.ConvTranspose2d(2, 3, 3, padding_mode=mode)


def test_output_size():
    m = nn.ConvTranspose2d(2, 3, 3, stride=2, padding=1)
    x = ad.randn(1, 2, 4, 5)
    assert tuple(m(x).shape) == (1, 3, 7, 9)
    assert tuple(m(x, output_size=(8, 9)).shape) == (1, 3, 8, 9)
    assert tuple(m(x, output_size=(1, 3, 7, 10)).shape) == (1, 3, 7, 10)
    for size in ((9, 9), (8,), (6, 9)):
        with pytest.raises(ValueError):
            m(x, output_size=size)


def test_conv_forward_is_what_a_subclass_changes():
    class Standardized(nn.Conv2d):
        def _conv_forward(self, input, weight, bias):
            return super()._conv_forward(input, weight * 2, bias)

    m = Standardized(2, 3, 3, bias=False)
    x = ad.randn(1, 2, 5, 5)
    np.testing.assert_allclose(m(x).detach().numpy(),
                               2 * nn.functional.conv2d(x, m.weight).detach().numpy(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("size,kernel", [((5, 6), 2), ((4, 7), (3, 1))])
def test_fold_is_unfold_transposed(size, kernel):
    unfold, fold = nn.Unfold(kernel, padding=1, stride=2), nn.Fold(size, kernel, padding=1, stride=2)
    x = ad.randn(2, 3, *size, dtype=ad.float64)
    columns = unfold(x)
    y = ad.randn_like(columns)
    assert (columns * y).sum().item() == pytest.approx((x * fold(y)).sum().item())
    assert repr(fold) == f"Fold(output_size={size}, kernel_size={kernel}, dilation=1, padding=1, stride=2)"


LAZY = [(nn.LazyConv1d, nn.Conv1d), (nn.LazyConv2d, nn.Conv2d), (nn.LazyConv3d, nn.Conv3d),
        (nn.LazyConvTranspose1d, nn.ConvTranspose1d), (nn.LazyConvTranspose2d, nn.ConvTranspose2d),
        (nn.LazyConvTranspose3d, nn.ConvTranspose3d)]


@pytest.mark.parametrize("kernel, dilation, padding", [
    ((3, 3), 1, 1), ((5, 3), (1, 2), (2, 2)), ((1, 3), (1, 9), (0, 9)), ((3, 5), (6, 1), (6, 2)), ((3, 1), 1, (2, 0)),
    ((2, 3), 1, 1)])
def test_unfold_with_columns_as_wide_as_the_image(kernel, dilation, padding):
    x = np.random.default_rng(5).standard_normal((2, 3, 5, 7)).astype(np.float32)
    high, wide = np.broadcast_to(padding, 2)
    down, right = np.broadcast_to(dilation, 2)
    padded = np.pad(x, ((0, 0), (0, 0), (high, high), (wide, wide)))
    rows, cols = (padded.shape[2 + d] - (down, right)[d] * (kernel[d] - 1) for d in range(2))
    assert cols == x.shape[3]
    want = [padded[:, :, i * down:, j * right:][:, :, :rows, :cols] for i in range(kernel[0]) for j in range(kernel[1])]
    want = np.stack(want, 2).reshape(2, 3 * kernel[0] * kernel[1], rows * cols)
    got = nn.functional.unfold(ad.tensor(x), kernel, dilation, padding)
    assert (got.numpy() == want).all()


@pytest.mark.parametrize("lazy,layer", LAZY, ids=lambda c: c.__name__)
def test_lazy(lazy, layer):
    m = lazy(6, 3, padding=1)
    assert m.has_uninitialized_params() and nn.parameter.is_lazy(m.weight)
    copied = copy.deepcopy(m)
    x = image(layer)
    ad.manual_seed(3)
    y = m(x)
    assert type(m) is layer and m.in_channels == 4 and type(m.weight) is nn.Parameter
    assert not m._forward_pre_hooks and not m._load_state_dict_pre_hooks
    ad.manual_seed(3)
    plain = layer(4, 6, 3, padding=1)
    assert (plain(x) == y).all()
    copied.load_state_dict(plain.state_dict())     # gives it its sizes
    assert (copied(x) == y).all() and type(copied) is layer
    y.sum().backward()
    assert m.weight.grad.shape == m.weight.shape


def test_uninitialized():
    m = nn.LazyConv2d(4, 3, dtype=ad.float64)
    assert repr(m.weight) == "<UninitializedParameter>" and m.weight.dtype is ad.float64 and m.weight.requires_grad
    with pytest.raises(RuntimeError):
        m.weight.shape  # noqa: B018
    with pytest.raises(ValueError):
        m.weight.sum()
    assert nn.parameter.is_lazy(pickle.loads(pickle.dumps(m)).weight)
    state = m.state_dict()
    assert nn.parameter.is_lazy(state["weight"])
    with pytest.raises(RuntimeError):
        nn.Conv2d(3, 4, 3).load_state_dict(state)
    with pytest.raises(RuntimeError):
        m(ad.ones(2, 2))
    m.float()
    assert m.weight.dtype is ad.float32
    buffer = nn.UninitializedBuffer(dtype=ad.int64)
    buffer.materialize((2, 3))
    assert type(buffer) is ad.Tensor and tuple(buffer.shape) == (2, 3) and buffer.dtype is ad.int64


WAYS = {   # input, weight, options: each is computed another way
    "winograd": ((2, 32, 26, 23), (48, 32, 3, 3), {"padding": 1}),
    "winograd-wide": ((1, 32, 6, 230), (32, 32, 3, 3), {"padding": (0, 2)}),
    "winograd-rounds": ((9, 64, 24, 20), (64, 64, 3, 3), {"padding": 1}),
    "winograd-panels": ((6, 144, 7, 7), (144, 144, 3, 3), {"padding": 1}),
    "winograd-panels-rounds": ((34, 128, 7, 6), (128, 128, 3, 3), {"padding": 1}),
    "winograd-dilated": ((2, 32, 33, 30), (48, 32, 3, 3), {"padding": (4, 2), "dilation": (4, 2)}),
    "winograd-dilated-columns": ((3, 40, 14, 29), (32, 40, 3, 3), {"padding": (1, 0), "dilation": (1, 3)}),
    "product": ((3, 20, 19, 21), (37, 20, 3, 3), {"padding": 1}),
    "merged": ((5, 40, 7, 7), (50, 40, 3, 3), {"padding": 1}),
    "strided": ((3, 17, 20, 19), (33, 17, 3, 5), {"padding": (1, 2), "stride": 2}),
    "direct": ((3, 16, 19, 33), (32, 16, 4, 4), {"padding": 1, "stride": 2}),
    "direct-uneven": ((2, 32, 17, 23), (48, 16, 3, 4),
                      {"groups": 2, "padding": (0, 2), "stride": (3, 2), "dilation": (2, 1)}),
    "direct-few": ((1, 48, 7, 8), (80, 48, 3, 3), {"padding": 1}),
    "direct-wide": ((1, 16, 2, 700), (16, 16, 1, 4), {"stride": (1, 3)}),
    "pointwise": ((3, 70, 9, 11), (60, 70, 1, 1), {"stride": 2}),
    "pointwise-wider": ((3, 32, 9, 11), (96, 32, 1, 1), {}),
    "pointwise-grouped": ((9, 18, 7, 7), (40, 9, 1, 1), {"groups": 2}),
    "grouped": ((2, 24, 15, 15), (36, 6, 3, 3), {"groups": 4, "padding": 2, "dilation": 2}),
    "few": ((5, 32, 14, 15), (48, 8, 3, 3), {"groups": 4, "padding": 1}),   # planes staged by the pieces of work
    "few-strided": ((4, 40, 15, 30), (20, 8, 3, 3), {"groups": 5, "padding": 1, "stride": 2, "dilation": (1, 2)}),
    "few-wide": ((2, 3, 40, 37), (3, 3, 4, 4), {"padding": 1, "stride": 2}),
    "few-open": ((1, 5, 18, 33), (2, 5, 3, 2), {}),   # the last vector ends where x does
    "depthwise-rows": ((3, 20, 14, 14), (20, 1, 5, 5), {"groups": 20, "padding": 2}),
    "depthwise-low": ((2, 6, 3, 40), (6, 1, 3, 3), {"groups": 6, "padding": (1, 3)}),
    "depthwise-narrow": ((2, 6, 9, 4), (6, 1, 5, 5), {"groups": 6, "padding": (0, 4)}),
    "depthwise": ((3, 20, 21, 37), (20, 1, 3, 3), {"groups": 20, "padding": 1}),
    "depthwise-strided": ((3, 9, 21, 38), (18, 1, 5, 5), {"groups": 9, "padding": 2, "stride": 2}),
    "linear": ((6, 30, 4, 4), (7, 30, 4, 4), {}),
    "long": ((2, 6, 1, 3000), (20, 6, 1, 9), {"padding": (0, 4)}),
}


@pytest.mark.parametrize("way", WAYS)
def test_float32_is_float64_rounded(way):
    size, kernel, options = WAYS[way]
    rng = np.random.default_rng(3)
    x, w = rng.standard_normal(size), rng.standard_normal(kernel) / np.prod(kernel[1:]) ** 0.5
    found = []
    for dtype in (ad.float32, ad.float64):
        leaves = [ad.tensor(a, dtype=dtype, requires_grad=True) for a in (x, w, np.ones(kernel[0]))]
        y = nn.functional.conv2d(*leaves, **options)
        direction = ad.tensor(np.random.default_rng(4).standard_normal(tuple(y.shape)), dtype=dtype)
        found.append([t.detach().double().numpy() for t in (y, *ad.autograd.grad(y, leaves, direction))])
    for a, b in zip(*found):
        assert np.abs(a - b).max() <= 1e-5 * np.abs(b).max()


@pytest.mark.parametrize("way", WAYS)
def test_floats_of_whole_values_are_exact(way):
    """In float64 against the loops that integers take."""
    size, kernel, options = WAYS[way]
    rng = np.random.default_rng(3)
    x, w = (ad.tensor(rng.integers(-4, 5, s)) for s in (size, kernel))
    leaves = [t.double().requires_grad_() for t in (x, w)]
    y = nn.functional.conv2d(*leaves, **options)
    assert (y == nn.functional.conv2d(x, w, **options)).all()
    direction = ad.tensor(rng.integers(-4, 5, tuple(y.shape)))
    of_x, of_w = ad.autograd.grad(y, leaves, direction.double())
    back = nn.functional.conv_transpose2d(direction, w, **options)   # as large as what was read
    assert (of_x[..., :back.shape[2], :back.shape[3]] == back[..., :size[2], :size[3]]).all()
    groups = options.get("groups", 1)
    turned = {"padding": options.get("padding", 0), "stride": options.get("dilation", 1),
              "dilation": options.get("stride", 1)}
    for g in range(groups):
        xg, dg = (t.chunk(groups, 1)[g].transpose(0, 1) for t in (x, direction))
        found = nn.functional.conv2d(xg, dg, **turned)[..., :kernel[2], :kernel[3]].transpose(0, 1)
        assert (of_w.chunk(groups, 0)[g] == found).all()


def test_bits_do_not_depend_on_threads():
    def results():
        ad.manual_seed(0)
        found = []
        for size, kernel, options in WAYS.values():
            leaves = [ad.randn(size, requires_grad=True), ad.randn(kernel, requires_grad=True)]
            y = nn.functional.conv2d(*leaves, **options)
            found += [y, *ad.autograd.grad(y, leaves, ad.ones_like(y))]
        return found

    threads = ad.get_num_threads()
    try:
        ad.set_num_threads(1)
        one = results()
        ad.set_num_threads(3)
        three = results()
    finally:
        ad.set_num_threads(threads)
    assert all((a == b).all() for a, b in zip(one, three))


def test_captured_step_gives_the_same_bits():
    def build():
        ad.manual_seed(0)
        model = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 8, 3, 2, 1, groups=8), nn.ReLU(),
                              nn.ConvTranspose2d(8, 5, 4, 2, 1), nn.Flatten(), nn.Linear(5 * 8 * 8, 4))
        return model, ad.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)

    def step(model, optimizer, x, t):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(x), t)
        loss.backward()
        optimizer.step()
        return loss

    ad.manual_seed(1)
    data = [(ad.randn(4, 3, 8, 8), ad.randint(0, 4, (4,))) for _ in range(4)]
    eager = build()
    planned = build()
    compiled = ad.compile(lambda x, t: step(*planned, x, t))
    for x, t in data:
        assert step(*eager, x, t).item() == compiled(x, t).item()
    for a, b in zip(eager[0].parameters(), planned[0].parameters()):
        assert (a == b).all()
