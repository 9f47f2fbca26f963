"""Questions about tensors and dtypes, settings of the process, and methods that work element by element in Python."""

import numpy as np
import pytest

import autodiffc as T


def test_questions_of_complex_numbers():
    x = T.tensor([1.0, -2.0])
    for f in (T.is_conj, T.is_neg, T.is_complex, T.Tensor.is_conj, T.Tensor.is_neg):
        assert f(x) is False
    assert x.real is x and T.conj(x) is x and x.resolve_neg() is x
    for f in (T.imag, lambda t: t.imag, T.view_as_real):
        with pytest.raises(RuntimeError, match="complex"):
            f(x)
    for d in (T.complex64, T.cdouble, T.chalf):
        assert d.is_complex and not d.is_floating_point and x.dtype != d
        with pytest.raises(NotImplementedError):
            T.zeros(2, dtype=d)


def test_questions():
    x = T.arange(6.0).reshape(2, 3)
    assert T.is_nonzero(T.tensor(2)) and not T.tensor(0.0).is_nonzero()
    with pytest.raises(RuntimeError):
        T.is_nonzero(x)
    assert T.is_same_size(x, x + 1) and not x.is_same_size(x.t())
    assert T.is_signed(x) and not T.ones(2, dtype=T.uint8).is_signed()
    assert T.is_storage(x.storage()) and not T.is_storage(x)
    assert T.typename(x) == "torch.FloatTensor" and T.typename(3) == "int"
    assert x.element_size() == 4 and x.get_device() == -1 and not x.is_pinned()
    assert x.ndimension() == 2 and x.nelement() == 6 and x.t().dim_order() == (1, 0)
    assert x.is_set_to(x.view(2, 3)) and not x.is_set_to(x.clone())
    assert x.storage_type() is type(x.storage()) and x.record_stream(None) is None
    for name in ("ccol_indices", "to_mkldnn"):
        with pytest.raises(AttributeError):
            getattr(x, name)


def test_new_tensors():
    x = T.arange(6, dtype=T.int16).reshape(2, 3)
    for made in (x.new_empty(4, 5), x.new_empty_strided((4, 5), (5, 1)), T.empty_like(x.new_zeros(4, 5)),
                 T.empty_permuted((4, 5), (0, 1), dtype=T.int16)):
        assert made.dtype is T.int16 and made.shape == (4, 5)
    assert x.new_tensor([1, 2]).tolist() == [1, 2] and x.resize_as_(T.ones(3, 2)).shape == (3, 2)
    with pytest.warns(UserWarning):
        assert x.resize_as(T.ones(2, 3)).shape == (2, 3)
    assert x.to_sparse_coo().to_dense().tolist() == x.tolist()


def test_element_by_element():
    x = T.tensor([1.0, 2.0])
    assert x.apply_(lambda v: v + 1).tolist() == [2, 3]
    assert x.map_(T.tensor([10.0, 20.0]), lambda a, b: a * b).tolist() == [20, 60]
    with pytest.raises(RuntimeError):
        T.ones(2, requires_grad=True).apply_(abs)


def test_settings():
    n = T.get_num_interop_threads()
    T.set_num_interop_threads(n)
    assert T.get_num_interop_threads() == n
    was = T.is_warn_always_enabled()
    T.set_warn_always(True)
    assert T.is_warn_always_enabled() is True
    T.set_warn_always(was)
    assert T.is_deterministic_algorithms_warn_only_enabled() in (False, True)
    T.set_deterministic_debug_mode(T.get_deterministic_debug_mode())
    assert T.set_flush_denormal(False) in (False, True)
    was = T.is_autocast_cache_enabled()
    T.set_autocast_cache_enabled(was)
    T.clear_autocast_cache()
    assert not T.is_autocast_enabled("cpu")
    T.set_autocast_enabled("cpu", False)
    T.set_autocast_dtype("cpu", T.get_autocast_dtype("cpu"))
    assert T.get_device_module("cpu") is T.cpu


def test_older_names():
    a = T.from_numpy(np.random.default_rng(1).standard_normal((3, 3)))
    lu, pivots, infos = T.lu(a, get_infos=True)
    p, low, up = T.lu_unpack(lu, pivots)
    np.testing.assert_allclose((p @ low @ up).numpy(), a.numpy(), atol=1e-12)
    assert infos.item() == 0 and T.dsmm(a.to_sparse(), a).shape == (3, 3)
    for f in (T.linalg.eig, T.linalg.eigvals):
        with pytest.raises((NotImplementedError, RuntimeError)):
            f(a)
    for name in ("solve", "symeig", "lstsq"):
        with pytest.raises(AttributeError, match="linalg"):
            getattr(T, name)


def test_recurrent_cells():
    x, h = T.ones(2, 3), T.zeros(2, 4)
    w, u = T.ones(4, 3) / 8, T.ones(4, 4)
    assert T.rnn_tanh_cell(x, h, w, u)[0, 0].item() == pytest.approx(np.tanh(0.375))
    assert T.rnn_relu_cell(x, h, w, u)[0, 0].item() == pytest.approx(0.375)
