"""NumPy arrays, buffers and DLPack on either side of tensors."""

import ctypes
import gc
import operator
import weakref

import numpy as np
import pytest

import autodiffc as T

# ---- shared memory ----


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int8", "int16", "int32", "int64", "float16", "float32", "float64"])
def test_both_ways_without_a_copy(dtype):
    a = np.arange(6).reshape(2, 3).astype(dtype)
    for view in (a, a.T, a[:, 1:], a[::2], a[0, 0, ...], a[:0]):
        t = T.from_numpy(view)
        assert t.shape == view.shape and np.array_equal(t.numpy(), view)
        if view.size:
            assert np.shares_memory(t.numpy(), a)
    T.from_numpy(a)[0, 0] = 1
    assert a[0, 0] == 1


def test_lifetime():
    a = np.ones(1000)
    gone = weakref.ref(a)
    t = T.from_numpy(a)[10:].view(2, 495)
    del a
    gc.collect()
    assert gone() is not None and t.sum().item() == 990
    del t
    gc.collect()
    assert gone() is None
    n = T.ones(1000).numpy()
    gc.collect()
    assert n.sum() == 1000


def test_refused_arrays():
    a = np.arange(4.0)
    for bad, error in (
        (a[::-1], ValueError),
        (a.astype(">f8"), ValueError),
        (np.zeros(3, "f4,i1")["f0"], ValueError),
        (np.array(["x"]), TypeError),
        ([1.0], TypeError),
        (a.astype(np.uint16), TypeError),
    ):
        with pytest.raises(error):
            T.from_numpy(bad)
    with pytest.raises(RuntimeError, match="requires grad"):
        T.ones(1, requires_grad=True).numpy()
    with pytest.raises(TypeError):
        T.ones(1, dtype=T.bfloat16).numpy()
    assert T.ones(1, requires_grad=True).numpy(force=True).tolist() == [1]


def test_read_only():
    a = np.ones(3)
    a.flags.writeable = False
    t = T.from_numpy(a)
    assert not t.numpy().flags.writeable and (t + 1).tolist() == [2, 2, 2]
    with pytest.raises(RuntimeError, match="read-only"):
        t.add_(1)
    with pytest.raises(RuntimeError, match="read-only"):
        t[0] = 2
    assert a.tolist() == [1, 1, 1]


def test_array_protocol():
    t = T.tensor([1.0, 2.0])
    assert np.asarray(t).dtype == np.float32 and np.array(t, dtype=np.float64).dtype == np.float64
    assert np.shares_memory(np.asarray(t), t.numpy()) and not np.shares_memory(np.array(t, copy=True), t.numpy())
    assert np.stack([t, t]).shape == (2, 2) and np.allclose(t, [1, 2])
    assert np.arange(5)[T.tensor([1, 2])].tolist() == [1, 2]
    assert isinstance(np.sin(t), T.Tensor) and isinstance(np.add(t, 1), T.Tensor)


# ---- arithmetic ----


@pytest.mark.parametrize("op", ["add", "sub", "mul", "truediv", "pow", "floordiv", "mod"])
def test_arithmetic_with_arrays(op):
    f = getattr(operator, op)
    t, a = T.tensor([1.0, 2.0, 3.0]), np.array([2.0, 3.0, 4.0])
    x = t.numpy()
    for got, expected in (
        (f(t, a), f(x, a)),
        (f(a, t), f(a, x)),
        (f(t, a.astype("f4")), f(x, a.astype("f4"))),
        (f(np.float32(2), t), f(np.float32(2), x)),
        (f(t, np.float64(2)), f(x, 2.0)),
        (f(np.int64(2), t), f(2, x)),
    ):
        assert isinstance(got, T.Tensor) and got.numpy().dtype == expected.dtype
        np.testing.assert_allclose(got.numpy(), expected, rtol=1e-6)


def test_comparisons_and_gradients_with_arrays():
    t, a = T.tensor([1.0, 2.0, 3.0], requires_grad=True), np.array([1.0, 3.0, 2.0])
    assert (a == t).tolist() == [True, False, False] and (t < a).tolist() == [False, True, False]
    (a * t).sum().backward()
    assert t.grad.tolist() == [1.0, 3.0, 2.0]


# ---- buffers and DLPack ----


def test_memoryview_shares_memory():
    t = T.arange(6, dtype=T.float32).reshape(2, 3)
    view = memoryview(t.t())
    assert view.shape == (3, 2) and view.strides == (4, 12) and view.format == "f" and not view.readonly
    view[2, 0] = 9
    assert t[0, 2].item() == 9
    del t
    assert view[2, 0] == 9  # the view keeps the memory
    assert bytes(T.tensor([1, 2], dtype=T.uint8)) == b"\x01\x02"
    assert memoryview(T.tensor(3)).shape == () and memoryview(T.zeros(0, 2)).nbytes == 0
    with pytest.raises(RuntimeError, match="requires grad"):
        memoryview(T.ones(2, requires_grad=True))
    with pytest.raises(TypeError, match="BFloat16"):
        memoryview(T.ones(2, dtype=T.bfloat16))


def test_frombuffer():
    data = bytearray(16)
    t = T.frombuffer(data, dtype=T.float32, offset=4, count=2)
    t[0] = 1.0
    assert bytes(data[4:8]) == b"\x00\x00\x80\x3f" and t.shape == (2,)
    with pytest.raises(RuntimeError, match="read-only"):
        T.frombuffer(bytes(4), dtype=T.uint8).add_(1)
    for bad in ({"count": 5}, {"offset": 16}, {"offset": -1}, {"offset": 2}, {"count": 0}):
        with pytest.raises(ValueError):
            T.frombuffer(data, dtype=T.float32, **bad)


def test_as_tensor_and_asarray():
    a = np.ones(2, np.float32)
    assert np.shares_memory(T.as_tensor(a).numpy(), a) and np.shares_memory(T.asarray(a).numpy(), a)
    assert (
        not np.shares_memory(T.asarray(a, copy=True).numpy(), a) and T.as_tensor(a, dtype=T.float64).dtype is T.float64
    )
    with pytest.raises(ValueError):
        T.asarray(a, dtype=T.int64, copy=False)
    with pytest.raises(ValueError):
        T.asarray([1, 2], copy=False)


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int16", "int64", "float16", "float32", "float64"])
def test_dlpack(dtype):
    a = np.arange(6).reshape(2, 3).astype(dtype)
    t = T.from_dlpack(a.T)
    assert t.stride() == (1, 3) and np.shares_memory(t.numpy(), a) and np.array_equal(t.numpy(), a.T)
    back = np.from_dlpack(t)
    assert np.shares_memory(back, a) and back.dtype == a.dtype
    u = T.from_dlpack(T.utils.dlpack.to_dlpack(t[1:]))
    assert u.data_ptr() == t[1:].data_ptr() and u.tolist() == t[1:].tolist()


def test_dlpack_lifetime():
    def counts():
        gc.collect()
        s = T.memory_stats()
        return s["tensors"], s["storages"]

    before = counts()
    for _ in range(10):
        T.ones(3).__dlpack__()  # never opened
        T.ones(3).__dlpack__(max_version=(1, 0))
        n = np.from_dlpack(T.ones(3))
        assert n.tolist() == [1, 1, 1]
        t = T.from_dlpack(np.ones(3))
        assert t.sum().item() == 3
        T.from_dlpack(T.from_dlpack(t))
    del n, t
    assert counts() == before
    a = np.ones(3)
    gone = weakref.ref(a)
    t = T.from_dlpack(a)
    del a
    gc.collect()
    assert gone() is not None or t.sum().item() == 3


def test_dlpack_refusals():
    with pytest.raises(BufferError):
        np.from_dlpack(T.ones(1, requires_grad=True))
    capsule = T.utils.dlpack.to_dlpack(T.ones(2))
    T.from_dlpack(capsule)
    with pytest.raises(RuntimeError, match="once"):
        T.from_dlpack(capsule)
    for bad in ([1], "a", ctypes.py_object(1)):
        with pytest.raises(TypeError):
            T.from_dlpack(bad)
    a = np.ones(2)
    a.flags.writeable = False
    t = T.from_numpy(a)
    with pytest.raises(BufferError):
        t.__dlpack__()
    assert t.__dlpack_device__() == (1, 0)
    with pytest.raises(BufferError):
        t.__dlpack__(dl_device=(2, 0))
