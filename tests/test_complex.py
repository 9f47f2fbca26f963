"""Complex tensors: what they are, their arithmetic and gradients; Fourier transforms against NumPy's."""

import copy
import pickle

import numpy as np
import pytest

import autodiffc as T
from autodiffc.autograd import gradcheck, gradgradcheck


def example(*sizes, seed=0):
    rng = np.random.default_rng(seed)
    a = rng.standard_normal(sizes) + 1j * rng.standard_normal(sizes)
    return a, T.complex(T.from_numpy(a.real.copy()), T.from_numpy(a.imag.copy()))


def same(t, a):
    np.testing.assert_allclose(t.detach().numpy(), a, rtol=1e-10, atol=1e-12)


def test_what_it_is():
    a, z = example(2, 3)
    assert isinstance(z, T.Tensor) and T.is_complex(z) and not z.is_floating_point() and z.is_contiguous()
    assert z.dtype == T.complex128 and z.shape == (2, 3) and z.size(1) == 3 and z.ndim == 2 and z.numel() == 6
    assert T.polar(T.ones(2), T.ones(2)).dtype == T.complex64 and len(z) == 2
    same(z, a), same(z.real, a.real), same(z.imag, a.imag), same(T.real(z), a.real), same(T.imag(z), a.imag)
    assert z[0, 0].item() == a[0, 0] and z.tolist() == a.tolist() and complex(z[0, 0]) == a[0, 0]
    assert repr(T.complex(T.tensor([1.0]), T.tensor([2.0]))) == "tensor([1.+2.j])"


def test_views_share_memory():
    x = T.arange(6.0).reshape(3, 2)
    z = T.view_as_complex(x)
    assert T.view_as_real(z) is x and z.tolist() == [1j, 2 + 3j, 4 + 5j]
    z[1] = 7 - 1j
    assert x[1].tolist() == [7, -1]
    z.imag.zero_()
    assert x[:, 1].tolist() == [0, 0, 0]


def test_of_real_tensors():
    x = T.arange(3, dtype=T.int64)
    for z, d in ((x.cfloat(), T.complex64), (x.cdouble(), T.complex128), (x.to(T.complex64), T.cfloat)):
        assert z.dtype == d and z.tolist() == [0, 1, 2]
    assert x.float().chalf().dtype == T.complex32 and x.cfloat().cdouble().dtype == T.complex128


def test_shapes():
    a, z = example(2, 3, 4)
    for mine, theirs in (
        (z.view(6, 4), a.reshape(6, 4)), (z.reshape(4, -1), a.reshape(4, -1)), (z.flatten(1), a.reshape(2, 12)),
        (z.unsqueeze(-1), a[..., None]), (z[:, :1].squeeze(1), a[:, 0]), (z.transpose(0, -1), a.swapaxes(0, -1)),
        (z.permute(2, 0, 1), a.transpose(2, 0, 1)), (z[:, 0, 1:3], a[:, 0, 1:3]), (z[..., -1], a[..., -1]),
        (z[z.real > 0], a[a.real > 0]), (z.unbind(1)[2], a[:, 2]), (z.narrow(2, 1, 2), a[:, :, 1:3]),
        (z[:1].expand(5, 3, 4), np.broadcast_to(a[:1], (5, 3, 4))), (z.flip(0), a[::-1]),
        (z.roll(1, 2), np.roll(a, 1, 2)),
        (z.mH, a.swapaxes(1, 2).conj()), (z.select(1, 2), a[:, 2]), (list(z)[1], a[1]), (z.contiguous(), a),
    ):  # fmt: skip
        same(mine, theirs)


def test_arithmetic():
    (a, z), (b, w) = example(3, 4), example(3, 4, seed=1)
    r = np.arange(12.0).reshape(3, 4) + 1
    x = T.from_numpy(r.copy())
    for mine, theirs in (
        (z + w, a + b), (z - w, a - b), (z * w, a * b), (z / w, a / b), (-z, -a), (z + 2, a + 2), (2 - z, 2 - a),
        (z * (1 - 2j), a * (1 - 2j)), (1j * z, 1j * a), (2 / z, 2 / a), (z * x, a * r), (x * z, r * a), (z / x, a / r),
        (z + x, a + r), (x - z, r - a), (z.abs(), abs(a)), (T.abs(z), abs(a)), (T.angle(z), np.angle(a)),
        (T.conj(z), a.conj()), (z**3, a**3), (z**0, a**0), (z.exp(), np.exp(a)), (z.sum(), a.sum()),
        (z.mean(1), a.mean(1)), (z @ w.t(), a @ b.T), (z @ x.t(), a @ r.T), (x @ z.t(), r @ a.T), (z.square(), a * a),
        (T.matmul(z, w.mT), a @ b.T), (T.matmul(x, z.mT), r @ a.T), (z.reciprocal(), 1 / a),
        (T.polar(z.abs(), z.angle()), a),
    ):  # fmt: skip
        same(mine, theirs)
    assert (z == z).all() and not (z != z).any() and (z == w).sum() == 0


def test_gradients():
    pairs = [T.randn(2, 3, 2, dtype=T.float64, requires_grad=True) for _ in range(2)]

    def f(x, y):
        z, w = T.view_as_complex(x), T.view_as_complex(y)
        return T.view_as_real(z * w / (w + 3) - z.conj().exp()), (z @ w.mT).abs(), z.angle()

    assert gradcheck(f, pairs, check_forward_ad=True) and gradgradcheck(f, pairs)
    z = T.complex(T.tensor([1.0, 2.0]), T.tensor([3.0, 4.0])).requires_grad_()
    (z * z.conj()).real.sum().backward()
    assert z.grad.tolist() == [2 + 6j, 4 + 8j] and z.requires_grad and z.is_leaf


def test_rotary_embedding():
    """As models write it: rotations by position in a complex buffer of a module."""
    steps = T.outer(T.arange(5.0), 1.0 / (10000 ** (T.arange(0, 4, 2).float() / 4)))
    layer = T.nn.Module()
    layer.register_buffer("turns", T.polar(T.ones_like(steps), steps), persistent=False)
    x = T.randn(2, 5, 3, 4)
    turned = T.view_as_real(
        T.view_as_complex(x.float().reshape(2, 5, 3, -1, 2)) * layer.to("cpu").turns[:5].view(1, 5, 1, 2)
    ).flatten(3)
    pair = x.numpy().reshape(2, 5, 3, 2, 2)
    want = (pair[..., 0] + 1j * pair[..., 1]) * np.exp(1j * steps.numpy())[None, :, None]
    np.testing.assert_allclose(turned.numpy(), np.stack([want.real, want.imag], -1).reshape(2, 5, 3, 4), atol=1e-5)
    assert turned.type_as(x).dtype is T.float32


def test_copies():
    a, z = example(3)
    for other in (
        copy.copy(z),
        copy.deepcopy(z),
        pickle.loads(pickle.dumps(z)),
        z.clone(),
        z.detach(),
        z.to("cpu"),
        z.cpu(),
    ):
        same(other, a)
    assert z.to(T.complex64).dtype == T.complex64 and np.asarray(z).dtype == np.complex128


SIZES = [dict(), dict(n=4), dict(n=9), dict(axis=0), dict(norm="ortho"), dict(norm="forward")]


def torch_words(options):
    return {{"axis": "dim", "axes": "dim"}.get(k, k): v for k, v in options.items()}


@pytest.mark.parametrize("options", SIZES)
@pytest.mark.parametrize("name", ["fft", "ifft", "rfft", "irfft", "hfft", "ihfft"])
def test_transforms(name, options):
    a, z = example(3, 6)
    if name in ("rfft", "ihfft"):
        a, z = a.real, z.real
    same(getattr(T.fft, name)(z, **torch_words(options)), getattr(np.fft, name)(a, **options))


@pytest.mark.parametrize("options", [dict(), dict(s=(4, 7)), dict(axes=(0, 2)), dict(norm="ortho")])
@pytest.mark.parametrize("name", ["fft2", "ifft2", "fftn", "ifftn", "rfft2", "irfft2", "rfftn", "irfftn"])
def test_transforms_of_more_dimensions(name, options):
    a, z = example(3, 5, 6)
    if name.startswith("r"):
        a, z = a.real, z.real
    theirs = {"axes": (-2, -1), **options} if "s" in options else options
    same(getattr(T.fft, name)(z, **torch_words(options)), getattr(np.fft, name)(a, **theirs))


def test_gradients_of_transforms():
    x = T.randn(3, 6, dtype=T.float64, requires_grad=True)
    half = T.randn(3, 4, 2, dtype=T.float64, requires_grad=True)
    for f in (lambda x: T.view_as_real(T.fft.fft(x, norm="ortho")), lambda x: T.view_as_real(T.fft.rfftn(x)),
              lambda x: T.fft.irfft(T.fft.rfft(x) * T.fft.rfft(x)), lambda x: T.fft.fft(x, 8).abs()):  # fmt: skip
        assert gradcheck(f, (x,)) and gradgradcheck(f, (x,))
    assert gradcheck(lambda p: T.fft.irfft(T.view_as_complex(p), 6), (half,))
    np.testing.assert_allclose(T.fft.irfft(T.fft.rfft(x), 6).detach().numpy(), x.detach().numpy(), atol=1e-12)


@pytest.mark.parametrize("make, error", [
    (lambda: T.view_as_complex(T.ones(3)), RuntimeError),
    (lambda: T.view_as_complex(T.ones(2, 2, dtype=T.int64)), RuntimeError),
    (lambda: T.view_as_complex(T.ones(2, 2).t()), RuntimeError),
    (lambda: T.view_as_complex("x"), TypeError),
    (lambda: T.view_as_real(T.ones(2)), RuntimeError),
    (lambda: T.polar(T.ones(2), T.ones(2).double()), RuntimeError),
    (lambda: T.polar(1.0, T.ones(2)), TypeError),
    (lambda: T.complex(T.ones(2).long(), T.ones(2).long()), RuntimeError),
    (lambda: T.sin(example(2)[1]), NotImplementedError),
    (lambda: example(2)[1].log(), NotImplementedError),
    (lambda: example(2)[1] ** 0.5, NotImplementedError),
    (lambda: example(2)[1].float(), NotImplementedError),
    (lambda: example(2)[1].to(T.float32), NotImplementedError),
    (lambda: example(2)[1].sum().backward(), RuntimeError),
    (lambda: example(2)[1].unsqueeze(5), IndexError),
    (lambda: T.fft.fft(T.ones(3), 0), RuntimeError),
    (lambda: T.fft.fft(T.ones(3), dim=2), IndexError),
    (lambda: T.fft.fft(T.ones(3), norm="x"), RuntimeError),
    (lambda: T.fft.fft("x"), TypeError),
    (lambda: T.fft.fftn(T.ones(3, 3), dim=(0, 0)), RuntimeError),
    (lambda: T.fft.rfft(example(2)[1]), RuntimeError),
    (lambda: T.fft.fft(T.ones(3).half()), RuntimeError),
])  # fmt: skip
def test_refusals(make, error):
    with pytest.raises(error):
        make()


def test_frames_of_a_signal_and_back():
    x = T.from_numpy(np.random.default_rng(3).standard_normal((2, 64)))
    window = T.hann_window(12, dtype=T.float64)
    whole = T.stft(x, 12, 3, window=window, return_complex=True)
    assert whole.shape == (2, 7, 22)
    frame = np.fft.rfft(x[0, 9:21].numpy() * window.numpy())  # the sixth: its middle is at 15
    pairs = T.view_as_real(whole)[0, :, 5].numpy()
    np.testing.assert_allclose(pairs, np.stack([frame.real, frame.imag], -1), atol=1e-12)
    assert T.istft(whole, 12, 3, window=window, length=64).allclose(x)
    assert whole[0].istft(12, 3, window=window).allclose(x[0, :63])
    with pytest.raises(RuntimeError, match="overlap"):
        edge = T.stft(x, 12, 12, window=window, center=False, return_complex=True)
        T.istft(edge, 12, 12, window=window, center=False)
    with pytest.raises(RuntimeError, match="return_complex"):
        x.stft(12)
    h = T.fft.ihfftn(x)
    assert T.fft.hfftn(h, (2, 64)).allclose(x)
    assert T.fft.hfft2(T.fft.ihfft2(x), (2, 64)).allclose(x)
