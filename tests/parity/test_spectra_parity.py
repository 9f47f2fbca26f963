"""stft, istft and the Hermitian transforms of several dimensions against PyTorch."""

import warnings

import numpy as np
import pytest

from .both import check

X = np.random.default_rng(0).standard_normal((2, 50))
FRAMES = [
    {"n_fft": 16},
    {"n_fft": 16, "hop_length": 5, "window": 16, "normalized": True},
    {"n_fft": 15, "hop_length": 4, "win_length": 9, "window": 9, "onesided": False},
    {"n_fft": 16, "center": False, "hop_length": 8},
    {"n_fft": 16, "pad_mode": "constant", "win_length": 10},
    {"n_fft": 60},
    {"n_fft": 16, "hop_length": 0},
    {"n_fft": 16, "win_length": 20},
    {"n_fft": 16, "window": 9},
]


def options(T, given):
    given = dict(given)
    if "window" in given:
        given["window"] = T.hann_window(given["window"], dtype=T.float64) + 0.1
    return given


@pytest.mark.parametrize("given", FRAMES, ids=str)
def test_stft(given):
    def case(T):
        out = []
        for x in (X, X[0]):
            t = T.from_numpy(x.copy()).requires_grad_()
            y = T.view_as_real(T.stft(t, return_complex=True, **options(T, given)))
            (y * T.arange(float(y.numel()), dtype=T.float64).reshape(y.shape).cos()).sum().backward()
            out += [y, t.grad, T.view_as_real(t.stft(return_complex=True, **options(T, given)))]
        return out

    check(case, 1e-8)


@pytest.mark.parametrize("given", [{}, {"length": 40}, {"length": 60}])
@pytest.mark.parametrize("frames", FRAMES[:3], ids=str)
def test_istft(frames, given):
    def case(T):
        frames_ = options(T, frames)
        t = T.from_numpy(X.copy()).requires_grad_()
        y = T.stft(t, return_complex=True, **frames_)
        frames_.pop("pad_mode", None)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            z = T.istft(y, **frames_, **given)
        (z * T.arange(float(z.numel()), dtype=T.float64).reshape(z.shape).cos()).sum().backward()
        return [z, t.grad, T.istft(y[0], **frames_)]

    check(case, 1e-8)


def test_refused():
    check(lambda T: T.stft(T.ones(20), 4))
    check(lambda T: T.istft(T.ones(3, 4), 4))
    check(lambda T: T.istft(T.stft(T.ones(20), 4, 4, window=T.hann_window(4), return_complex=True, center=False), 4, 4,
                            window=T.hann_window(4), center=False))  # fmt: skip


@pytest.mark.parametrize("norm", [None, "ortho", "forward"])
def test_hermitian(norm):
    def case(T):
        x = T.from_numpy(X.reshape(4, 5, 5).copy())
        c = T.complex(x, x.flip(0) * 0.5)
        return [T.view_as_real(T.fft.ihfft2(x, norm=norm)), T.view_as_real(T.fft.ihfftn(x, norm=norm)),
                T.view_as_real(T.fft.ihfftn(x, (3, 6), (0, 2), norm=norm)), T.fft.hfft2(c, norm=norm),
                T.fft.hfftn(c, norm=norm), T.fft.hfftn(c, (3, 7), (1, 2), norm=norm)]  # fmt: skip

    check(case, 1e-8)
