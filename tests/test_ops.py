"""Tests made from the rows of tests/cases: every operation, in every way that it can be called."""

import numpy as np
import pytest

import autodiffc
from autodiffc._native import ffi, lib

from . import child
from .case import As, Case, as_dtype, dtype_name, is_float, outputs, reference, resolve, tensor, to_numpy
from .finite import Weighted, assert_close
from .op_cases import CASES
from .run_rows import large_inputs, run_row

T = autodiffc


def rows(cases):
    return [pytest.param(c, id=c.id) for c in cases]


def rows_and_dtypes(cases):
    return [pytest.param(c, d, id=f"{c.id}-{d}") for c in cases for d in c.dtype_names()]


def run(case: Case, arrays, dtype, T=T):
    return outputs(case.fn(T, *case.tensors(T, arrays, dtype)))


def assert_same_values(case, got, expected, dtype, what=""):
    assert len(got) == len(expected), f"{len(got)} outputs, expected {len(expected)}"
    rtol, atol = case.tolerance(dtype)
    for k, (a, b) in enumerate(zip(got, expected)):
        assert a.shape == b.shape, f"{what} output {k} has shape {a.shape}, expected {b.shape}"
        with np.errstate(all="ignore"):
            if a.dtype.kind == "f":
                np.testing.assert_allclose(
                    a.astype(np.float64),
                    as_dtype(b, dtype if is_float(dtype) else "float32").astype(np.float64),
                    rtol=rtol or 1e-5,
                    atol=atol or 1e-6,
                    err_msg=f"{what} output {k}",
                )
            else:
                np.testing.assert_array_equal(a, b.astype(a.dtype), err_msg=f"{what} output {k}")


# ---- values, dtypes, shapes ----


@pytest.mark.parametrize("case, dtype", rows_and_dtypes([c for c in CASES if c.ref]))
def test_value(case, dtype):
    arrays = case.make(dtype)
    result = run(case, arrays, dtype)
    expected = reference(case, arrays)
    assert_same_values(case, [to_numpy(t) for t in result], expected, dtype)
    inputs = {i.dtype or dtype for i in case.inputs}
    for t, b in zip(result, expected):
        if not hasattr(t, "detach"):
            continue
        if b.dtype.kind == "b":
            allowed = {"bool", *inputs} if inputs == {"bool"} else {"bool"}
        elif b.dtype.kind in "iu":
            allowed = inputs | {"int64"}
        elif any(is_float(d) for d in inputs):
            allowed = {d for d in inputs if is_float(d)}
        else:
            allowed = {"float32", *inputs}
        assert dtype_name(t) in allowed, f"result is {dtype_name(t)}"


# ---- gradients ----


@pytest.mark.parametrize("case", rows([c for c in CASES if c.grad]))
def test_gradient(case):
    w = Weighted(T, case, case.make("float64"))
    assert w.wrt and w.weights, "nothing to differentiate: say grad=False"
    assert_close(w.gradients(w.arrays), w.numeric_first(), "gradient of input")


@pytest.mark.parametrize("case", rows([c for c in CASES if c.gradgrad]))
def test_second_gradient(case):
    w = Weighted(T, case, case.make("float64"))
    assert_close(w.second_gradients(), w.numeric_second(), "second gradient")


if hasattr(T, "func") and hasattr(T.func, "jvp"):

    @pytest.mark.parametrize("case", rows([c for c in CASES if c.grad]))
    def test_forward_mode(case):
        """<v, J u> from forward mode equals <J^T v, u> from reverse mode."""
        w = Weighted(T, case, case.make("float64"))
        ts = case.tensors(T, w.arrays, "float64")

        def f(*primals):
            full = list(ts)
            for i, p in zip(w.wrt, primals):
                full[i] = p
            return tuple(w._outputs(full))

        tangents = tuple(tensor(T, u, "float64") for u in w.second)
        _, moved = T.func.jvp(f, tuple(ts[i] for i in w.wrt), tangents)
        forward = sum(np.sum(v * to_numpy(m)) for v, m in zip(w.weights, moved))
        reverse = sum(np.sum(g * u) for g, u in zip(w.gradients(w.arrays), w.second))
        np.testing.assert_allclose(forward, reverse, rtol=1e-9, atol=1e-10)


# ---- strides ----


def transposed(a):
    return np.ascontiguousarray(a.T).T


def sliced(a):
    """Every second element of a larger array whose others are NaN (or a large number)."""
    root = np.full([2 * n + 1 for n in a.shape], np.nan if a.dtype.kind == "f" else 77).astype(a.dtype)
    view = root[tuple(slice(1, None, 2) for _ in a.shape)]
    view[...] = a
    return view


def shifted(a):
    root = np.full(a.size + 7, np.nan if a.dtype.kind == "f" else 77).astype(a.dtype)
    view = root[5 : 5 + a.size].reshape(a.shape)
    view[...] = a
    return view


def expanded(a):
    """The first entry of the first dimension, repeated with stride 0."""
    return np.broadcast_to(a[:1].copy(), a.shape) if a.ndim else a


LAYOUTS = [transposed, sliced, shifted, expanded]


def strided_dtype(case):
    return case.float_dtype("float32")


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("case", rows([c for c in CASES if any(len(i.sizes) for i in c.inputs)]))
def test_strided(case, layout):
    dtype = strided_dtype(case)
    odd = [layout(a) for a in case.make(dtype)]
    flat = [np.ascontiguousarray(a) if a.ndim else a for a in odd]
    try:
        expected = [to_numpy(t) for t in run(case, flat, dtype)]
    except (RuntimeError, ValueError):
        assert layout is expanded  # equal rows may be invalid input (a singular matrix)
        return
    ts = case.tensors(T, odd, dtype)
    if layout is not expanded:
        grads = [i for i, s in enumerate(case.inputs) if s.differentiable(dtype)] if case.grad else []
        for i in grads:
            ts[i].requires_grad_()
    result = outputs(case.fn(T, *ts))
    assert_same_values(case, [to_numpy(t) for t in result], expected, dtype, layout.__name__)
    if layout is not expanded and grads:
        got = all_gradients(case, ts, result, grads)
        contiguous = case.tensors(T, flat, dtype)
        for i in grads:
            contiguous[i].requires_grad_()
        want = all_gradients(case, contiguous, outputs(case.fn(T, *contiguous)), grads)
        rtol, atol = case.tolerance(dtype)
        assert_close(got, want, "gradient of input", rtol * 10, atol * 10)


def all_gradients(case, ts, ys, wrt):
    """The gradients of ones, as arrays; zeros where there is none."""
    ys = [y for y in ys if hasattr(y, "requires_grad") and y.requires_grad]
    if not ys:
        return []
    ones = [tensor(T, np.ones(tuple(y.shape), dtype_name(y)), dtype_name(y)) for y in ys]
    gs = T.autograd.grad(ys, [ts[i] for i in wrt], ones, allow_unused=True)
    return [to_numpy(g) if g is not None else np.zeros(tuple(ts[i].shape)) for g, i in zip(gs, wrt)]


# ---- sizes and values at the edges ----

ELEMENTWISE = [c for c in CASES if c.elementwise]


def common_sizes(case):
    return np.broadcast_shapes(*[i.sizes for i in case.inputs])


@pytest.mark.parametrize("case", rows([c for c in ELEMENTWISE if c.ref]))
@pytest.mark.parametrize("kind", ["empty", "0-d", "one"])
def test_small_sizes(case, kind):
    dtype = case.float_dtype("float32")
    if kind == "empty":
        n = len(common_sizes(case))
        specs = [i.resized((0, *i.sizes[1:]) if len(i.sizes) == n and n else i.sizes) for i in case.inputs]
        if not n:
            specs = [i.resized((0,)) for i in case.inputs]
    else:
        specs = [i.resized(() if kind == "0-d" else (1,)) for i in case.inputs]
    arrays = case.make(dtype, inputs=specs)
    ts = case.tensors(T, arrays, dtype)
    wrt = [i for i, s in enumerate(case.inputs) if s.differentiable(dtype)] if case.grad else []
    for i in wrt:
        ts[i].requires_grad_()
    result = outputs(case.fn(T, *ts))
    assert_same_values(case, [to_numpy(t) for t in result], reference(case, arrays), dtype, kind)
    for i, g in zip(wrt, all_gradients(case, ts, result, wrt)):
        assert g.shape == arrays[i].shape


@pytest.mark.parametrize("case", rows([c for c in CASES if c.broadcast and c.ref and len(c.inputs) > 1]))
def test_broadcast(case):
    dtype = case.float_dtype("float64")
    for sizes in [
        [(3, 1), (1, 4), (3, 4)],
        [(2, 3, 1), (4,), (1, 1, 4)],
        [(), (2, 3), (3,)],
        [(5, 1, 2), (3, 1), ()],
    ]:
        specs = [i.resized(sizes[k % 3]) for k, i in enumerate(case.inputs)]
        arrays = case.make(dtype, inputs=specs)
        result = run(case, arrays, dtype)
        assert_same_values(case, [to_numpy(t) for t in result], reference(case, arrays), dtype, str(sizes))
        if case.grad:
            w = Weighted(T, case, arrays)
            assert_close(w.gradients(arrays), w.numeric_first(), f"gradient, sizes {sizes}, input")
    specs = [i.resized((k + 2,)) for k, i in enumerate(case.inputs)]
    with pytest.raises(RuntimeError):
        run(case, case.make(dtype, inputs=specs), dtype)


SPECIAL = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, -1.0, 0.5, -3.0])


def _nonfinite(case, dtype):
    n = len(SPECIAL)
    k = sum(1 for i in case.inputs if is_float(i.dtype or dtype))
    grid = np.meshgrid(*[SPECIAL] * min(k, 2), indexing="ij") if k else []
    specs = [i.resized((n,) * len(grid)) for i in case.inputs]
    arrays = case.make(dtype, inputs=specs)
    place = 0
    for j, i in enumerate(case.inputs):
        if is_float(i.dtype or dtype) and place < 2:
            arrays[j] = as_dtype(np.ascontiguousarray(grid[place]), dtype)
            place += 1
    return arrays


@pytest.mark.parametrize("case", rows([c for c in ELEMENTWISE if c.nonfinite and c.ref and "f" in c.dtypes]))
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_nonfinite(case, dtype):
    arrays = _nonfinite(case, dtype)
    result = run(case, arrays, dtype)
    assert_same_values(case, [to_numpy(t) for t in result], reference(case, arrays), dtype)


# ---- refusals ----


@pytest.mark.parametrize("case, k", [pytest.param(c, k, id=f"{c.id}-{k}") for c in CASES for k in range(len(c.raises))])
def test_refusal(case, k):
    fn, error = case.raises[k]
    with pytest.raises(error):
        fn(T)


@pytest.mark.parametrize("case", rows([c for c in CASES if c.inputs]))
def test_wrong_types(case):
    dtype = case.float_dtype("float32")
    ts = case.tensors(T, case.make(dtype), dtype)
    for k in range(len(ts)):
        for bad in ("text", object(), None, {}) if k == 0 else ("text", object()):
            with pytest.raises((TypeError, AttributeError)):
                case.fn(T, *[bad if i == k else t for i, t in enumerate(ts)])


PUBLIC = sorted({c.base for c in CASES if callable(resolve(T, c.base))})


@pytest.mark.parametrize("name", PUBLIC)
def test_wrong_count(name):
    f = resolve(T, name)
    if name not in VARIADIC and any(c.inputs for c in CASES if c.base == name):
        with pytest.raises(TypeError):
            f()
    if name not in VARIADIC:
        with pytest.raises(TypeError):
            f(*[tensor(T, np.ones(2, np.float32), "float32")] * 40)
    with pytest.raises(TypeError):
        f(no_such_argument=1)


# Functions that take any number of tensors.
VARIADIC = {
    "chain_matmul",
    "meshgrid",
    "broadcast_tensors",
    "block_diag",
    "cartesian_prod",
    "einsum",
    "atleast_1d",
    "atleast_2d",
    "atleast_3d",
}

# ---- methods and in-place forms ----


@pytest.mark.parametrize("case", rows([c for c in CASES if c.method]))
def test_method(case):
    dtype = case.float_dtype("float32")
    arrays = case.make(dtype)
    expected = [to_numpy(t) for t in run(case, arrays, dtype)]
    got = [to_numpy(t) for t in run(case, arrays, dtype, As(T, case.base, case.method))]
    for a, b in zip(got, expected, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("case", rows([c for c in CASES if c.inplace]))
def test_inplace(case):
    dtype = case.float_dtype("float32")
    arrays = case.make(dtype)
    expected = to_numpy(run(case, arrays, dtype)[0])
    ts = case.tensors(T, arrays, dtype)
    x = ts[0]
    version, memory = lib.ad_version_of(x._h), lib.ad_storage_data(x._h)
    module = As(T, case.base, case.inplace)
    if expected.shape != arrays[0].shape:
        with pytest.raises(RuntimeError):
            case.fn(module, *ts)
        np.testing.assert_array_equal(to_numpy(x), arrays[0])
        return
    if is_float(expected.dtype.name) and not is_float(dtype):
        with pytest.raises(RuntimeError):
            case.fn(module, *ts)
        return
    y = case.fn(module, *ts)
    assert y is x
    assert lib.ad_storage_data(x._h) == memory
    assert lib.ad_version_of(x._h) == version + 1
    assert dtype_name(x) == dtype
    np.testing.assert_array_equal(to_numpy(x), expected.astype(arrays[0].dtype))


@pytest.mark.parametrize("case", rows([c for c in CASES if c.inplace and c.grad]))
def test_inplace_gradient(case):
    """The gradient through the in-place form, on a tensor that something else computed, is the same."""
    arrays = case.make("float64")
    w = Weighted(T, case, arrays)
    if not w.wrt or w.weights[0].shape != arrays[0].shape:
        return
    ts = case.tensors(T, arrays, "float64")
    for i in w.wrt:
        ts[i].requires_grad_()
    moved = [T.mul(ts[0], 1.0) if w.wrt[0] == 0 else ts[0], *ts[1:]]
    y = case.fn(As(T, case.base, case.inplace), *moved)
    g = T.autograd.grad(y, [ts[i] for i in w.wrt], tensor(T, w.weights[0], "float64"), allow_unused=True)
    got = [to_numpy(x) if x is not None else np.zeros(arrays[i].shape) for x, i in zip(g, w.wrt)]
    assert_close(got, w.gradients(arrays), "gradient of input", 1e-12, 1e-13)


# ---- instruction sets and threads ----


def instruction_sets():
    """Those of this processor up to the one in use, other than that one."""
    order = ["sse2", "avx2", "avx512"]
    name = ffi.string(lib.ad_isa()).decode()
    return order[: order.index(name)] if name in order else []


@pytest.fixture(scope="session")
def rows_by_isa(tmp_path_factory):
    """What every row gives under another instruction set: one process for each, started when first asked."""
    known = {}

    def results(isa):
        if isa not in known:
            out = tmp_path_factory.mktemp("isa") / f"{isa}.npz"
            done = child.run("-m", "tests.run_rows", str(out), AUTODIFFC_ISA=isa)
            known[isa] = done.stderr if done.returncode else np.load(out)
        assert not isinstance(known[isa], str), known[isa]  # not run again for each row
        assert str(known[isa]["isa"]) == isa
        return known[isa]

    return results


@pytest.mark.parametrize("isa", instruction_sets())
@pytest.mark.parametrize("case", rows(CASES))
def test_instruction_set(case, isa, rows_by_isa):
    other = rows_by_isa(isa)
    mine = run_row(case)
    for key, a in mine.items():
        b = other[key.replace("/", "|")]
        assert a.dtype == b.dtype and a.shape == b.shape, key
        if a.dtype.kind == "f":
            rtol, atol = case.tolerance("float32")
            scale = float(np.max(np.abs(a[np.isfinite(a)]), initial=0.0))
            np.testing.assert_allclose(b, a, rtol=rtol, atol=max(atol, 2e-6 * scale), err_msg=key)
        else:
            np.testing.assert_array_equal(a, b, err_msg=key)


@pytest.mark.parametrize("case", rows(CASES))
def test_threads(case):
    """1, 2, 3, 4 and 8 threads give the same bits, gradients included, on sizes that the pool divides; and so does
    another run."""
    known, specs = {}, large_inputs(case)
    for n in (1, 2, 3, 4, 8, 2):
        assert lib.ad_set_num_threads(n) == 0
        for key, a in run_row(case, specs).items():
            assert a.tobytes() == known.setdefault(key, a).tobytes(), f"{key} differs with {n} threads"


# ---- captured ----


class Step:
    """A row as a training step: forward and backward over leaves whose values change between calls."""

    def __init__(self, case, compiled):
        self.case, self.dtype = case, case.float_dtype("float32")
        self.leaves = case.tensors(T, case.make(self.dtype), self.dtype)
        self.wrt = [i for i, s in enumerate(case.inputs) if s.differentiable(self.dtype)] if case.grad else []
        for i in self.wrt:
            self.leaves[i].requires_grad_()
        ys = outputs(case.fn(T, *self.leaves))
        rng = np.random.default_rng(5)
        self.weights = [
            tensor(T, as_dtype(rng.uniform(-1, 1, tuple(y.shape)), dtype_name(y)), dtype_name(y))
            if getattr(y, "requires_grad", False)
            else None
            for y in ys
        ]
        self.call = T.compile(self.forward_backward) if compiled else self.forward_backward

    def forward_backward(self):
        for i in self.wrt:
            self.leaves[i].grad = None
        ys = outputs(self.case.fn(T, *self.leaves))
        for y, w in zip(ys, self.weights):
            if w is not None:
                y.backward(w, retain_graph=True)
        return [y.detach() if w is not None else y for y, w in zip(ys, self.weights)]

    def run(self, seed):
        with T.no_grad():
            for leaf, a, s in zip(self.leaves, self.case.make(self.dtype, seed=seed), self.case.inputs):
                leaf.copy_(tensor(T, a, s.dtype or self.dtype))
        found = [to_numpy(y) for y in self.call()]
        return found + [to_numpy(self.leaves[i].grad) for i in self.wrt if self.leaves[i].grad is not None]


@pytest.mark.parametrize("case", rows([c for c in CASES if c.capture]))
def test_captured(case):
    """Recorded once and replayed with new values twice: the same bits as eager."""
    eager, captured = Step(case, False), Step(case, True)
    for seed in range(3):
        for a, b in zip(eager.run(seed), captured.run(seed), strict=True):
            assert a.dtype == b.dtype and a.shape == b.shape
            assert a.tobytes() == b.tobytes(), f"call {seed}: {a} eager, {b} captured"
