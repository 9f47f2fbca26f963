"""Tensors as Python objects: numbers, printing, conversions, copies, pickles, storages, grad mode, dtype facts."""

import copy
import pickle
import threading

import numpy as np
import pytest

import autodiffc as T

# ---- making them ----


@pytest.mark.parametrize(
    "data, dtype, values",
    [
        (3, "int64", 3),
        (True, "bool", True),
        (2.5, "float32", 2.5),
        ([1, 2.0], "float32", [1.0, 2.0]),
        ([True, 2], "int64", [1, 2]),
        ([[], []], "float32", [[], []]),
        (range(3), "int64", [0, 1, 2]),
        ([np.float64(1)], "float64", [1.0]),
        (np.int32(1), "int32", 1),
        ([np.ones(2)], "float64", [[1.0, 1.0]]),
        (bytearray(b"ab"), "int64", [97, 98]),
    ],
)
def test_tensor_of_data(data, dtype, values):
    t = T.tensor(data)
    assert str(t.dtype) == "torch." + dtype and t.tolist() == values


@pytest.mark.parametrize(
    "data, error",
    [
        ([[1, 2], [3]], ValueError),
        ([[1, 2], 3], TypeError),
        ("a", TypeError),
        (["a"], ValueError),
        (None, RuntimeError),
        ({1: 2}, RuntimeError),
        ([2**70], ValueError),
        (1j, NotImplementedError),
        (np.array(["a"]), TypeError),
        (np.array([1], dtype=">f4"), ValueError),
        ([T.ones(2), T.ones(2)], ValueError),
    ],
)
def test_tensor_of_bad_data(data, error):
    with pytest.raises(error):
        T.tensor(data)


def test_tensor_out_of_range():
    for v in (300, [300], -300):
        with pytest.raises(RuntimeError, match="uint8"):
            T.tensor(v, dtype=T.uint8)
    with pytest.raises(RuntimeError, match="floating point"):
        T.tensor([1], requires_grad=True)


def test_complex_is_refused_by_name():
    for f in (
        lambda: T.zeros(2, dtype=complex),
        lambda: T.from_numpy(np.ones(2, np.complex64)),
        lambda: T.tensor([1j]),
    ):
        with pytest.raises(NotImplementedError, match="complex"):
            f()


def test_legacy_constructors():
    assert T.Tensor(2, 3).shape == (2, 3) and T.Tensor().shape == (0,)
    assert T.Tensor([1, 2]).dtype is T.float32 and T.LongTensor([1, 2]).dtype is T.int64
    assert isinstance(T.ones(1), T.FloatTensor) and not isinstance(T.ones(1), T.LongTensor)


# ---- numbers and sequences ----


def test_numbers():
    assert int(T.tensor(2.7)) == 2 and float(T.tensor(2)) == 2.0 and complex(T.tensor(2.0)) == 2 + 0j
    assert range(T.tensor(3)) == range(3) and [1, 2, 3][T.tensor(1)] == 2
    assert f"{T.tensor(3.14159):.2f}" == "3.14" and "%d" % T.tensor(3) == "3"  # noqa: UP031
    with pytest.raises(TypeError):
        range(T.tensor(1.0))
    for f in (int, float, complex):
        with pytest.raises(ValueError):
            f(T.ones(2))
    for t in (T.ones(2), T.zeros(0)):
        with pytest.raises(RuntimeError, match="ambiguous"):
            bool(t)
        with pytest.raises(RuntimeError, match="Scalar"):
            t.item()


def test_sequences():
    t = T.tensor([1.0, 2.0, 3.0])
    assert len(t) == 3 and [v.item() for v in t] == [1, 2, 3] and [v.item() for v in reversed(t)] == [3, 2, 1]
    assert 2.0 in t and 5 not in t and hash(t) == hash(t) and {t: 1}[t] == 1
    with pytest.raises(TypeError):
        len(T.tensor(1))
    with pytest.raises(TypeError):
        iter(T.tensor(1))
    with pytest.raises(RuntimeError):
        "a" in t  # noqa: B015


def test_half_precision_lists():
    for d in (T.float16, T.bfloat16):
        assert T.tensor([1.5, -0.25], dtype=d).tolist() == [1.5, -0.25]


# ---- printing ----


@pytest.mark.parametrize(
    "make, text",
    [
        (lambda: T.tensor(0.1), "tensor(0.1000)"),
        (lambda: T.tensor([1.0, float("inf"), float("nan")]), "tensor([1., inf, nan])"),
        (lambda: T.tensor([1e-8, 1.0]), "tensor([1.0000e-08, 1.0000e+00])"),
        (lambda: T.tensor([-0.5, 2.0]), "tensor([-0.5000,  2.0000])"),
        (lambda: T.tensor([[True, False]]), "tensor([[ True, False]])"),
        (lambda: T.tensor([-1, 10, 100]), "tensor([ -1,  10, 100])"),
        (lambda: T.zeros(2, 0), "tensor([], size=(2, 0))"),
        (lambda: T.ones(2, dtype=T.bfloat16), "tensor([1., 1.], dtype=torch.bfloat16)"),
        (lambda: T.ones(1, requires_grad=True), "tensor([1.], requires_grad=True)"),
        (lambda: T.ones(1, requires_grad=True) * 2, "tensor([2.], grad_fn=<MulBackward0>)"),
        (lambda: T.zeros(2, 1, 2), "tensor([[[0., 0.]],\n\n        [[0., 0.]]])"),
        (lambda: T.arange(2000), "tensor([   0,    1,    2,  ..., 1997, 1998, 1999])"),
    ],
)
def test_repr(make, text):
    assert repr(make()) == text


def test_printoptions():
    try:
        T.set_printoptions(precision=2)
        assert repr(T.tensor(0.12345)) == "tensor(0.12)"
        T.set_printoptions(sci_mode=True)
        assert repr(T.tensor(12.0)) == "tensor(1.20e+01)"
        T.set_printoptions(threshold=2, edgeitems=1)
        assert repr(T.arange(5)) == "tensor([0,  ..., 4])"
    finally:
        T.set_printoptions(profile="default")


# ---- conversions ----


def test_to():
    t = T.ones(2)
    assert t.to(T.float32) is t and t.to("cpu") is t and t.to(t) is t and t.to(T.float32, copy=True) is not t
    assert t.to("cpu", T.int32).dtype is T.int32 and t.to(T.ones(1, dtype=T.float64)).dtype is T.float64
    assert t.type() == "torch.FloatTensor" and t.type("torch.IntTensor").dtype is T.int32
    for f in (lambda: t.cuda(), lambda: t.to("cuda"), lambda: T.zeros(1, device="cuda:0")):
        with pytest.raises(AssertionError, match="CUDA"):
            f()
    with pytest.raises(RuntimeError):
        t.to("nowhere")
    with pytest.raises(TypeError):
        t.to(1.5)


def test_channels_last():
    t = T.arange(120.0).reshape(2, 3, 4, 5).to(memory_format=T.channels_last)
    assert t.stride() == (60, 1, 15, 3) and t.is_contiguous(memory_format=T.channels_last) and not t.is_contiguous()
    assert t.clone().stride() == t.stride() and T.zeros_like(t).stride() == t.stride()
    assert t.flatten().tolist() == list(range(120))


def test_view_as_another_dtype():
    t = T.tensor([1.0, 2.0])
    assert t.view(T.int32).tolist() == [0x3F800000, 0x40000000] and t.view(T.uint8).shape == (8,)
    assert t.view(T.int64).shape == (1,) and t.view(T.int32).view(T.float32).tolist() == [1.0, 2.0]
    with pytest.raises(RuntimeError):
        T.ones(3).view(T.float64)
    with pytest.raises(RuntimeError):
        T.tensor(1.0).view(T.float64)


# ---- copies, pickles, storages ----


def test_pickle():
    base = T.arange(6.0)
    t, u, half = base.view(2, 3).t(), base[2:], T.ones(2, dtype=T.bfloat16)
    w = T.ones(2, requires_grad=True)
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        t2, u2, half2, w2 = pickle.loads(pickle.dumps((t, u, half, w), protocol))
        assert t2.tolist() == t.tolist() and t2.stride() == t.stride() and u2.storage_offset() == 2
        assert t2.untyped_storage() == u2.untyped_storage()
        assert half2.dtype is T.bfloat16 and half2.tolist() == [1, 1] and w2.requires_grad and w2.is_leaf
        u2[0] = 9.0
        assert t2[2, 0].item() == 9.0 and base[2].item() == 2.0
    for obj in (T.float32, T.Size([1, 2]), T.device("cpu"), T.strided):
        assert pickle.loads(pickle.dumps(obj)) == obj


def test_deepcopy():
    base = T.arange(4.0)
    a, b = copy.deepcopy([base[1:], base])
    assert a.untyped_storage() == b.untyped_storage() and a.untyped_storage() != base.untyped_storage()
    w = T.ones(2, requires_grad=True)
    (w * 2).sum().backward()
    w.note = ["kept"]
    v = copy.deepcopy(w)
    assert v.requires_grad and v.grad.tolist() == [2, 2] and v.note == ["kept"] and v.note is not w.note
    assert copy.copy(w).data_ptr() == w.data_ptr()
    with pytest.raises(RuntimeError, match="deepcopy"):
        copy.deepcopy(w * 2)


def test_storage():
    t = T.arange(6, dtype=T.int32)
    s = t[2:].untyped_storage()
    assert s.nbytes() == 24 and s.data_ptr() == t.data_ptr() and t[2:].storage().tolist() == list(range(6))
    del t
    assert s[4] == 1
    empty = T.empty(0)
    empty.set_(T.ones(6).untyped_storage(), 1, (2, 2), (2, 1))
    assert empty.tolist() == [[1, 1], [1, 1]]
    with pytest.raises(RuntimeError, match="bounds"):
        empty.set_(T.ones(2).untyped_storage(), 0, (3,), (1,))


def test_resize():
    t = T.arange(4.0)
    t.resize_(2)
    assert t.tolist() == [0, 1]
    t.resize_(2, 2)
    assert t.tolist() == [[0, 1], [2, 3]]
    assert t.resize_(100).shape == (100,)
    with pytest.raises(RuntimeError):
        T.ones(2, requires_grad=True).resize_(3)
    with pytest.raises(RuntimeError):
        T.from_numpy(np.ones(2)).resize_(300)
    with pytest.raises(RuntimeError):
        t.resize_(-1)


def test_data():
    w = T.ones(2, requires_grad=True)
    w.data = T.zeros(3, 1)
    assert w.shape == (3, 1) and w.requires_grad and w.is_leaf
    with pytest.raises(TypeError):
        w.data = [1]
    with pytest.raises(RuntimeError):
        w.data = T.zeros(2, dtype=T.int64)


# ---- grad mode ----


def test_grad_mode():
    w = T.ones(1, requires_grad=True)

    @T.no_grad()
    def off():
        return (w * 2).requires_grad

    @T.no_grad
    def off_too():
        return (w * 2).requires_grad

    @T.no_grad()
    def steps():
        got = yield (w * 2).requires_grad
        yield got, T.is_grad_enabled()

    assert not off() and not off_too() and T.is_grad_enabled()
    gen = steps()
    assert next(gen) is False and T.is_grad_enabled() and gen.send("x") == ("x", False)
    with T.no_grad(), T.enable_grad():
        assert (w * 2).requires_grad
    T.set_grad_enabled(False)
    assert not T.is_grad_enabled()
    T.set_grad_enabled(True)
    with T.set_grad_enabled(False):
        assert not T.is_grad_enabled()
    assert T.is_grad_enabled()
    with pytest.raises(KeyError), T.no_grad():
        raise KeyError
    assert T.is_grad_enabled()


def test_grad_mode_belongs_to_a_thread():
    seen = []
    with T.no_grad():
        t = threading.Thread(target=lambda: seen.append(T.is_grad_enabled()))
        t.start()
        t.join()
    assert seen == [True]


def test_inference_mode():
    w = T.ones(2, requires_grad=True)
    with T.inference_mode():
        x = w * 2
        assert x.is_inference() and not x.requires_grad and not T.is_grad_enabled()
    with pytest.raises(RuntimeError, match="[Ii]nference"):
        x.add_(1)
    with pytest.raises(RuntimeError, match="[Ii]nference"):
        x * w


# ---- facts ----


def test_sizes_and_devices():
    s = T.Size([2, 3])
    assert s + (1,) == T.Size([2, 3, 1]) and isinstance((1,) + s, T.Size) and s.numel() == 6 and s[1:] == (3,)
    with pytest.raises(TypeError):
        T.Size((1.5,))
    assert T.device("cuda:1").index == 1 and str(T.device("cpu", 0)) == "cpu:0"
    with pytest.raises(RuntimeError):
        T.device("nowhere")


def test_dtype_facts():
    assert T.promote_types(T.int32, T.float16) is T.float16 and T.promote_types(T.uint8, T.int8) is T.int16
    assert T.result_type(T.ones(2, dtype=T.int32), 2.5) is T.float32
    assert T.result_type(T.tensor(1.0, dtype=T.float64), T.ones(2)) is T.float32
    assert not T.can_cast(T.float32, T.int32) and T.can_cast(T.int32, T.float32)
    assert T.finfo(T.float32).eps == 2.0**-23 and T.finfo(T.bfloat16).eps == 2.0**-7 and T.iinfo(T.int8).max == 127
    for f in (lambda: T.finfo(T.int8), lambda: T.iinfo(T.float32), lambda: T.promote_types(T.int8, "a")):
        with pytest.raises(TypeError):
            f()


def test_configuration():
    assert "kernels" in T.show_config() and T.memory_stats()["tensors"] >= 0 and T.__version__
    n = T.get_num_threads()
    with pytest.raises(RuntimeError):
        T.set_num_threads(0)
    with pytest.raises(RuntimeError):
        T.set_num_threads("a")
    T.set_num_threads(n)


# ---- what no size may do ----


@pytest.mark.parametrize(
    "f",
    [
        lambda: T.zeros(2**62, 2**62),
        lambda: T.zeros(2**70),
        lambda: T.empty_strided((2, 2), (2**62, 2**62)),
        lambda: T.ones(2).expand(2**62, 2**62, 2),
        lambda: T.ones(2).as_strided((2, 2), (2**62, 1)),
        lambda: T.ones(2).as_strided((1,), (1,), -1),
        lambda: T.zeros(*[1] * 65),
        lambda: T.ones(1).reshape([1] * 65),
        lambda: T.ones(3).view(2**62, 4),
        lambda: T.cat([T.ones(1).expand(2**61)] * 8),
        lambda: T.ones(2).repeat(2**62),
        lambda: T.eye(2**40),
        lambda: T.arange(2**62),
        lambda: T.ones(2).resize_(2**62),
        lambda: T.ones(2).unfold(0, 3, 1),
        lambda: T.ones(2).diag_embed(2**62),
    ],
)
def test_sizes_out_of_reach(f):
    with pytest.raises((RuntimeError, MemoryError, OverflowError)):
        f()


class Other:
    """What knows how to be combined with a tensor, which does not know it."""

    __array_ufunc__ = None

    def __radd__(self, other):
        return "radd"

    def __eq__(self, other):
        return "eq"

    def __rmatmul__(self, other):
        return "rmatmul"

    __hash__ = object.__hash__


def test_operators_leave_what_they_do_not_know_to_the_other_side():
    t = T.ones(2)
    assert t + Other() == "radd" and t @ Other() == "rmatmul" and (t == Other()) == "eq"
    for f in (lambda: t + "a", lambda: "a" - t, lambda: t @ 2.0, lambda: t < None, lambda: pow(t, 2, 3)):
        with pytest.raises(TypeError):
            f()
    assert (t == "a") is False and (t != "a") is True and T.Tensor.__add__(t, "a") is NotImplemented
    assert hash(t) == object.__hash__(t)


def test_subclasses_may_have_operators_of_their_own():
    class Loud(T.Tensor):
        def __add__(self, other):
            return "loud"

        __radd__ = __add__

    t = T.ones(2).as_subclass(Loud)
    assert t + T.ones(2) == "loud" and T.ones(2) + t == "loud" and (t * 2).tolist() == [2, 2]


def test_a_tensor_freed_while_an_exception_is_on_its_way():
    class Context(T.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.kept = [x]
            return x * 2

        @staticmethod
        def backward(ctx, g):
            return g * 2

    def f():
        y = Context.apply(T.ones(2, requires_grad=True))
        y = y + 1  # noqa: F841  freed with the frame; the graph's Python objects go with it
        raise KeyError("on its way")

    for _ in range(3):
        with pytest.raises(KeyError, match="on its way"):
            f()


def test_an_int_beside_a_narrow_integer_type_is_cut_to_it():
    t = T.tensor([0, 44, 255], dtype=T.uint8)
    assert (t == 300).tolist() == [False, True, False] and (t == -1).tolist() == [False, False, True]
    assert (t > -1).tolist() == [False] * 3 and (t % 300).tolist() == [0, 0, 35] and (t + 300).tolist() == [44, 88, 43]
    assert (t / 300).tolist() == (t.float() / 300).tolist()  # division is in floating point
    assert t.clone().remainder_(300).tolist() == [0, 0, 35]
    with pytest.raises(RuntimeError, match="the exponent 300 does not fit into uint8"):
        t**300


def test_dtypes_that_can_only_be_named():
    for name in ("complex64", "cfloat", "cdouble", "uint16", "float8_e4m3fn"):
        d = getattr(T, name)
        assert isinstance(d, T.dtype) and d is not T.float32 and d.is_complex == name.startswith("c")
        for use in (
            lambda d=d: T.zeros(2, dtype=d),
            lambda d=d: T.ones(2).to(d) if not d.is_complex else T.ones(2, dtype=d),
            lambda d=d: T.tensor([1.0], dtype=d),
            lambda d=d: T.empty(2).view(d),
        ):
            with pytest.raises(NotImplementedError, match="not supported"):
                use()
    assert repr(T.cfloat) == "torch.complex64" and pickle.loads(pickle.dumps(T.complex64)) is T.complex64


def test_storages_of_files_and_parts(tmp_path):
    path = tmp_path / "bytes"
    path.write_bytes(bytes(range(8)))
    s = T.UntypedStorage.from_file(str(path), False, 8)
    part = s[2:6]
    assert part.tolist() == [2, 3, 4, 5] and s[3] == 3 and s.untyped() is s
    part.fill_(9)
    assert s.tolist() == [0, 1, 9, 9, 9, 9, 6, 7] and path.read_bytes() == bytes(range(8))
    assert T.asarray(part, dtype=T.uint8).tolist() == [9] * 4 and T.asarray(T.ones(2).storage()).tolist() == [1, 1]
    T.UntypedStorage.from_file(path, True, 12).fill_(1)
    assert path.read_bytes() == b"\1" * 12
    with pytest.raises(RuntimeError, match="12"):
        T.UntypedStorage.from_file(path, False, 13)
    assert isinstance(T.FloatStorage([1, 2]), T.FloatStorage) and len(T.LongStorage(3)) == 3
