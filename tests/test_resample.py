"""Resampling and padding layers, and what the rows of tests/cases/resample.py leave out."""

import numpy as np
import pytest

import autodiffc as ad
from autodiffc import nn
from autodiffc.nn import functional as F


@pytest.mark.parametrize(("module", "text"), [
    (nn.Upsample(scale_factor=2), "Upsample(scale_factor=2.0, mode='nearest')"),
    (nn.Upsample((3, 4), mode="bilinear"), "Upsample(size=(3, 4), mode='bilinear')"),
    (nn.UpsamplingBilinear2d(scale_factor=2), "UpsamplingBilinear2d(scale_factor=2.0, mode='bilinear')"),
    (nn.PixelShuffle(2), "PixelShuffle(upscale_factor=2)"),
    (nn.ChannelShuffle(2), "ChannelShuffle(groups=2)"),
    (nn.ConstantPad2d(1, 2.5), "ConstantPad2d(padding=(1, 1, 1, 1), value=2.5)"),
    (nn.ReflectionPad1d(2), "ReflectionPad1d((2, 2))"),
    (nn.ZeroPad2d((1, 2, 3, 4)), "ZeroPad2d((1, 2, 3, 4))"),
])
def test_modules_say_what_they_are(module, text):
    assert repr(module) == text


def test_modules_are_the_functions():
    x = ad.randn(2, 4, 4, 6)
    assert ad.equal(nn.Upsample(scale_factor=2)(x), F.interpolate(x, scale_factor=2))
    assert ad.equal(nn.UpsamplingBilinear2d((5, 7))(x),
                    F.interpolate(x, (5, 7), mode="bilinear", align_corners=True))
    assert ad.equal(nn.PixelUnshuffle(2)(nn.PixelShuffle(2)(x)), x)
    assert ad.equal(nn.ConstantPad2d(1, 2.5)(x), F.pad(x, (1, 1, 1, 1), value=2.5))
    assert ad.equal(nn.ZeroPad2d((1, 2, 3, 4))(x), F.pad(x, (1, 2, 3, 4)))
    assert ad.equal(nn.ReflectionPad2d(1)(x), F.pad(x, (1, 1, 1, 1), "reflect"))
    assert ad.equal(nn.ReplicationPad2d(1)(x), F.pad(x, (1, 1, 1, 1), "replicate"))
    assert ad.equal(nn.CircularPad2d(1)(x), F.pad(x, (1, 1, 1, 1), "circular"))
    with pytest.raises(ValueError, match="2D or 3D"):
        nn.CircularPad1d(1)(x)


def test_scale_factors():
    x = ad.arange(4.0).reshape(1, 1, 4)
    assert F.interpolate(x, scale_factor=1.5).tolist() == [[[0, 0, 1, 2, 2, 3]]]
    assert F.interpolate(x, scale_factor=0.6, recompute_scale_factor=True).shape == (1, 1, 2)
    assert F.interpolate(x, 2, mode="area").tolist() == [[[0.5, 2.5]]]
    # by the factor that was given, or by the one that the sizes have
    given = F.interpolate(x, scale_factor=0.6, mode="linear", recompute_scale_factor=False)
    np.testing.assert_allclose(given.numpy(), [[[0.5 / 0.6 - 0.5, 1.5 / 0.6 - 0.5]]], rtol=1e-6)
    assert F.interpolate(x, scale_factor=0.6, mode="linear", recompute_scale_factor=True).tolist() == [[[0.5, 2.5]]]


def test_lines_longer_than_a_tile():
    rng = np.random.default_rng(0)
    a = rng.standard_normal((1, 2, 3, 5000))
    x = ad.tensor(a, requires_grad=True)
    for size in ((2, 2), (3, 4999), (5, 11000)):
        for mode in ("bilinear", "bicubic"):
            y = F.interpolate(x, size, mode=mode, antialias=True)
            g = rng.standard_normal(y.shape)
            (back,) = ad.autograd.grad(y, x, ad.tensor(g))
            np.testing.assert_allclose((back * x).sum().item(), (y.detach().numpy() * g).sum(), rtol=1e-9)
        np.testing.assert_allclose(F.interpolate(ad.ones(1, 1, 3, 5000), size, mode=mode, antialias=True).numpy(), 1,
                                   rtol=1e-5)


@pytest.mark.parametrize("call", [
    lambda x: F.pixel_shuffle(x, 2.5),
    lambda x: F.pixel_unshuffle(x, None),
    lambda x: F.channel_shuffle(x, "2"),
    lambda x: F.affine_grid(ad.zeros(1, 2, 3), (1, 1, 2.5, 2), False),
    lambda x: F.avg_pool2d(x, 2, divisor_override=1.5),
    lambda x: F.interpolate(x, 2.5),
    lambda x: F.grid_sample(x, None, align_corners=False),
])
def test_arguments_of_the_wrong_kind(call):
    with pytest.raises(TypeError):
        call(ad.zeros(1, 4, 4, 4))


def test_uint8_is_rounded():
    x = ad.tensor([[[[0, 40, 80]]]], dtype=ad.uint8)
    assert F.interpolate(x, (1, 5), mode="bilinear").tolist() == [[[[0, 16, 40, 64, 80]]]]


def test_a_replay_gives_the_same_bits():
    x = ad.randn(2, 3, 6, 6, requires_grad=True)

    def step():
        x.grad = None
        y = F.interpolate(F.pad(x, (1, 1, 1, 1), "reflect"), scale_factor=2, mode="bilinear")
        loss = (F.interpolate(y, 5, mode="bicubic") ** 2).sum()
        loss.backward()
        return loss

    want, grad = step().clone(), x.grad.clone()
    fast = ad.compile(step)
    for _ in range(3):
        assert ad.equal(fast(), want) and ad.equal(x.grad, grad)
