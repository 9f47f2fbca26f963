"""Short-time Fourier transforms: of frames of a signal, and the signal from them (Griffin and Lim, 1984)."""

import warnings

from . import fft
from ._complex import ComplexTensor
from ._core import TensorBase
from ._ops import _call, creation
from ._ops.index import pad
from ._ops.shape import cat


def _window(name, window, win_length, n_fft, like):
    """The window of n_fft numbers: the given one, or ones, in the middle of zeros."""
    if window is None:
        window = creation.ones(win_length, dtype=like.dtype)
    elif not isinstance(window, TensorBase) or window.shape != (win_length,):
        raise RuntimeError(f"{name}: expected a 1D window tensor of size equal to win_length={win_length}, but got "
                           f"window with size {list(getattr(window, 'shape', ()))}")
    left = (n_fft - win_length) // 2
    return pad(window, (left, n_fft - win_length - left)) if win_length < n_fft else window


def _lengths(name, n_fft, hop_length, win_length):
    n_fft = _call.integer(n_fft)
    hop = n_fft // 4 if hop_length is None else _call.integer(hop_length)
    win = n_fft if win_length is None else _call.integer(win_length)
    if hop <= 0:
        raise RuntimeError(f"{name}: expected hop_length > 0, but got hop_length={hop}")
    if not 0 < win <= n_fft:
        raise RuntimeError(f"{name}: expected 0 < win_length <= n_fft, but got win_length={win}")
    return n_fft, hop, win


def stft(input, n_fft, hop_length=None, win_length=None, window=None, center=True, pad_mode="reflect", normalized=False,
         onesided=None, return_complex=None, align_to_window=None):
    """The transforms of the frames of a real signal: (*, L) to (*, N, T), N = n_fft // 2 + 1 (n_fft unless onesided).

    Frames of n_fft numbers begin every hop_length (n_fft // 4) ones and are multiplied by a window of win_length,
    zeros around it; with center the t-th frame's middle is at t hop_length, and the signal is padded by pad_mode.
    normalized divides by the root of n_fft. Complex, or pairs (*, N, T, 2) when return_complex is False. RuntimeError
    for lengths that do not fit, and without return_complex; NotImplementedError for complex signals.
    """
    if not isinstance(input, TensorBase):
        raise _call.not_a_tensor("stft", input)
    if isinstance(input, ComplexTensor) or isinstance(window, ComplexTensor):
        raise NotImplementedError("stft() of complex signals and windows is not supported: transform real and "
                                  "imaginary parts")
    if return_complex is None:
        raise RuntimeError("stft requires the return_complex parameter be given for real inputs, and will further "
                           "require that return_complex=True in a future PyTorch release.")
    if input.ndim not in (1, 2):
        raise RuntimeError(f"stft: expected a 1D or 2D tensor, but got a tensor of size {list(input.shape)}")
    if align_to_window is not None and center:
        raise RuntimeError("stft: align_to_window should only be set when center = false")
    n_fft, hop, win = _lengths("stft", n_fft, hop_length, win_length)
    if not input.dtype.is_floating_point:
        raise RuntimeError("stft: expected a tensor of floating point or complex values")
    x = input if input.ndim == 2 else input.unsqueeze(0)
    if center:
        half = n_fft // 2
        x = pad(x.unsqueeze(1), (half, half), pad_mode).squeeze(1)
    if align_to_window:
        side = (n_fft - win) // 2
        x = pad(x, (side, side))
    if not 0 < n_fft <= x.shape[-1]:
        raise RuntimeError(f"stft: expected 0 < n_fft < {x.shape[-1]}, but got n_fft={n_fft}")
    frames = x.unfold(-1, n_fft, hop) * _window("stft", window, win, n_fft, x)
    norm = "ortho" if normalized else None
    whole = (fft.fft if onesided is not None and not onesided else fft.rfft)(frames, norm=norm).transpose(1, 2)
    if input.ndim == 1:
        whole = whole.squeeze(0)
    return whole if return_complex else whole._pair


def istft(input, n_fft, hop_length=None, win_length=None, window=None, center=True, normalized=False, onesided=None,
          length=None, return_complex=False):
    """The signal that stft() makes input of: (*, N, T) to (*, L), by adding up the frames and dividing by the windows'.

    The arguments are those that stft() was given; length cuts the signal, or pads it with zeros. RuntimeError where
    the windows leave places without a number, and for sizes that do not fit; NotImplementedError with return_complex.
    """
    if not isinstance(input, ComplexTensor):
        raise RuntimeError("istft requires a complex-valued input tensor matching the output from stft with "
                           "return_complex=True.")
    if return_complex:
        raise NotImplementedError("istft() of complex signals is not supported")
    n_fft, hop, win = _lengths("istft", n_fft, hop_length, win_length)
    if input.ndim not in (2, 3):
        raise RuntimeError(f"istft: expected a tensor with 2 or 3 dimensions, but got {input.ndim}")
    x = input if input.ndim == 3 else input.unsqueeze(0)
    half = n_fft // 2 + 1 if onesided is None else (n_fft // 2 + 1 if onesided else n_fft)
    onesided = half != n_fft if onesided is None else onesided
    if x.shape[1] != half:
        raise RuntimeError(f"istft: expected the frequency dimension (3rd to the last) of the input tensor to match "
                           f"n_fft / 2 + 1 when onesided=True (n_fft otherwise), but got {x.shape[1]}")
    norm = "ortho" if normalized else None
    x = x.transpose(1, 2)
    frames = fft.irfft(x, n_fft, norm=norm) if onesided else fft.ifft(x, norm=norm).real
    w = _window("istft", window, win, n_fft, frames)
    count, total = frames.shape[1], n_fft + hop * (frames.shape[1] - 1)
    y = _added(frames * w, hop, total)
    weight = _added((w * w).expand(1, count, n_fft), hop, total)
    start = n_fft // 2 if center else 0
    end = total - (n_fft // 2 if center else 0) if length is None else min(start + length, total)
    y, weight = y[:, start:end], weight[:, start:end]
    if not weight.numel() or float(weight.abs().min()) <= 1e-11:
        raise RuntimeError("istft: window overlap add min: 1: the windows leave places without a number")
    y = y / weight
    if length is not None and y.shape[1] < length:
        warnings.warn("The length of signal is shorter than the length parameter. Result is being padded with zeros in "
                      "the tail. Please check your center and hop_length settings.", stacklevel=2)
        y = cat([y, y.new_zeros((y.shape[0], length - y.shape[1]))], 1)
    return y if input.ndim == 3 else y.squeeze(0)


def _added(frames, hop, total):
    """Frames (B, T, n), each at t hop, added up: (B, total)."""
    b, count, n = frames.shape
    at = (creation.arange(count) * hop).unsqueeze(1) + creation.arange(n)
    return frames.new_zeros((b, total)).index_add(1, at.reshape(-1), frames.reshape(b, -1))
