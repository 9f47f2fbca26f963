"""Convolution layers against PyTorch: initial values, text, outputs, gradients."""

import numpy as np
import pytest

import autodiffc as ad

from .both import torch

LAYERS = ["Conv1d(4, 6, 3, 2, 1)", "Conv2d(4, 6, (3, 2), padding='same')", "Conv2d(4, 4, 3, groups=4, padding=2)",
          "Conv2d(4, 8, 1, 2, bias=False)", "Conv3d(4, 2, 3, dilation=(1, 2, 1), padding=2)",
          "Conv2d(4, 6, 5, padding=2, padding_mode='reflect')",
          "Conv1d(4, 6, 4, padding='same', padding_mode='circular')",
          "ConvTranspose1d(4, 6, 3, 2, 1, 1)", "ConvTranspose2d(4, 6, 4, 2, 1, groups=2)",
          "ConvTranspose3d(4, 2, 3, 2)"]


@pytest.mark.parametrize("text", LAYERS)
def test_layer(text):
    rank = int(text[text.index("d(") - 1])
    x = np.random.default_rng(0).normal(size=(2, 4, *[7] * rank)).astype("float32")
    found = []
    for T in (ad, torch):
        T.manual_seed(5)
        layer = eval(f"nn.{text}", {"nn": T.nn})
        image = T.tensor(x, requires_grad=True)
        y = layer(image)
        (y * y).sum().backward()
        found.append((repr(layer), {k: v.numpy() for k, v in layer.state_dict().items()}, y.detach().numpy(),
                      image.grad.numpy(), [p.grad.numpy() for p in layer.parameters()]))
    mine, theirs = found
    assert mine[0] == theirs[0] and list(mine[1]) == list(theirs[1])
    for k in mine[1]:
        np.testing.assert_array_equal(mine[1][k], theirs[1][k])
    np.testing.assert_allclose(mine[2], theirs[2], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(mine[3], theirs[3], rtol=1e-4, atol=1e-4)
    for a, b in zip(mine[4], theirs[4]):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)


CALLS = [
    "F.conv2d(r(8, 8), w)", "F.conv2d(r(1, 2, 3, 8, 8), w)", "F.conv2d(x, r(4, 3, 3))", "F.conv2d(x, r(4, 2, 3, 3))",
    "F.conv2d(x, w, groups=3)", "F.conv2d(x, w, groups=0)", "F.conv2d(x, w, r(3))", "F.conv2d(x, w, r(4, 1))",
    "F.conv2d(x, w, stride=0)", "F.conv2d(x, w, padding=-1)", "F.conv2d(x, w, dilation=0)",
    "F.conv2d(x, w, dilation=5)",
    "F.conv2d(x, w, stride=(1, 1, 1))", "F.conv2d(x, w, padding='odd')", "F.conv2d(x, w, padding='same', stride=2)",
    "F.conv2d(x, w.double())", "F.conv2d(x, w, r(4).double())", "F.conv2d(x.bool(), w.bool())",
    "F.conv2d(r(0, 3, 8, 8), w)", "F.conv2d(x, r(0, 3, 3, 3))",
    "F.conv2d(r(2, 3, 0, 8), w, padding=2)", "F.conv2d(x, r(4, 3, 0, 3))", "F.conv2d(x, w, stride='a')",
    "F.conv2d(x, w, stride=1.5)", "F.conv2d(x, w, None, (2,))", "F.conv2d('a', w)", "F.conv2d(x, 'a')",
    "F.conv2d(x, w, 'a')", "F.conv1d(r(8), r(4, 3, 3))", "F.conv_transpose2d(x, r(4, 4, 3, 3))",
    "F.conv_transpose2d(x, r(3, 4, 3, 3), groups=2)", "F.conv_transpose2d(x, r(3, 4, 3, 3), output_padding=1)",
    "F.conv_transpose2d(x, r(3, 4, 3, 3), dilation=3, output_padding=2)", "F.conv_transpose2d(x, r(3, 4, 3, 3), r(3))",
    "F.conv_transpose2d(x, r(3, 4, 3, 3), padding=6)", "F.conv_transpose2d(x, r(3, 4, 3, 3), padding='same')",
    "nn.Conv2d(3, 4, 3, groups=2)", "nn.Conv2d(4, 4, 3, padding='x')",
    "nn.ConvTranspose2d(4, 4, 3, padding_mode='reflect')",
    "nn.Conv2d(4, 4, (3, 3, 3))(r(1, 4, 8, 8))", "nn.ConvTranspose2d(3, 4, 3)(x, output_size=(11, 11))",
    "nn.ConvTranspose2d(3, 4, 3, stride=2)(x, output_size=(18,))", "F.unfold(x, 9)",
    "F.unfold(x, 0)", "F.unfold(x, (3, 3, 3))", "F.unfold(x, 3, padding=-1)", "F.unfold(r(2, 0, 8, 8), 3)",
    "F.fold(r(2, 27, 35), 8, 3)", "F.fold(r(2, 28, 36), 8, 3)", "F.fold(r(2, 27, 36), (8, 8, 8), 3)",
    "F.fold(r(2, 27, 36), -8, 3)", "F.fold(r(0, 27, 36), 8, 3)", "F.fold(r(27, 36), 8, 3)",
]


@pytest.mark.parametrize("text", CALLS)
def test_mistakes(text):
    found = []
    for T in (ad, torch):
        names = {"F": T.nn.functional, "nn": T.nn, "r": T.randn, "x": T.ones(2, 3, 8, 8), "w": T.ones(4, 3, 3, 3)}
        try:
            y = eval(text, names)
            found.append(tuple(getattr(y, "shape", ())))
        except Exception as error:
            found.append(type(error).__name__)
    assert found[0] == found[1]
