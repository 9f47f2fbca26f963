"""The optimizers' calls into the core, against the update formulas in float64: options, dtypes, layouts in memory,
parameters without a gradient; gradient norms and clipping."""

import itertools

import numpy as np
import pytest

import autodiffc as torch
from autodiffc._core import OP, wrap
from autodiffc._native import ffi, lib
from autodiffc.optim._update import AMSGRAD, DECOUPLED, MAXIMIZE, MOMENTUM, NESTEROV

SHAPES = [(7,), (33, 17), (9000,), (), (0,)]
TOLERANCE = {"float32": 2e-6, "float64": 1e-13, "bfloat16": 3e-2, "float16": 4e-3}


def laid_out(values, dtype, layout):
    """A tensor of these values: contiguous, transposed, or with gaps in memory."""
    dtype = getattr(torch, dtype)
    if layout == "transposed" and values.ndim == 2:
        return torch.from_numpy(np.ascontiguousarray(values.T)).to(dtype).t()
    t = torch.from_numpy(np.array(values)).to(dtype)
    if layout == "gaps" and values.ndim:
        wide = torch.zeros(*values.shape[:-1], 2 * values.shape[-1], dtype=dtype)
        wide[..., ::2] = t
        return wide[..., ::2]
    return t


def wide(t):
    return t.detach().to(torch.float64).numpy().copy()


def setup(dtype, layout):
    rng = np.random.default_rng(0)
    return rng, [laid_out(rng.standard_normal(s), dtype, layout).requires_grad_() for s in SHAPES]


def set_grads(rng, params, dtype, step):
    for k, p in enumerate(params):
        p.grad = None if (k, step) == (1, 1) else laid_out(rng.standard_normal(p.shape), dtype, "contiguous")


def handles(tensors):
    return ffi.new("ad_handle[]", [t._h for t in tensors])


def step_of(rule, params, state, scalars, flags, numbers):
    """One step of a row, by the parameters and each list of their state."""
    groups = [handles(tensors) for tensors in [params, *state]]
    op = OP[f"{rule}_step"]
    return lib.ad_optim_step(op, len(params), ffi.new("ad_handle *[]", groups), len(groups), scalars, flags, numbers,
                             len(numbers))


def close(t, want, dtype):
    np.testing.assert_allclose(wide(t), want, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype])


LAYOUTS = ["contiguous", "transposed", "gaps"]
DTYPES = list(TOLERANCE)
SGD = [o for o in itertools.product((0, 0.9), (0, 0.3), (0, 1), (0, 0.1), (0, 1)) if not o[2] or (o[0] and not o[1])]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("momentum, dampening, nesterov, decay, maximize", SGD)
def test_sgd(dtype, layout, momentum, dampening, nesterov, decay, maximize):
    rng, params = setup(dtype, layout)
    buffers = [laid_out(rng.standard_normal(s), dtype, "contiguous") for s in SHAPES]
    want, state = [wide(p) for p in params], [wide(b) for b in buffers]
    for step in range(3):
        set_grads(rng, params, dtype, step)
        for k, p in enumerate(params):
            if p.grad is None:
                continue
            g = wide(p.grad) * (-1 if maximize else 1) + decay * want[k]
            if momentum:
                state[k] = momentum * state[k] + (1 - dampening) * g
                g = g + momentum * state[k] if nesterov else state[k]
            want[k] = want[k] - 0.1 * g
        versions = [p._version for p in params]
        flags = bool(momentum) * MOMENTUM | nesterov * NESTEROV | maximize * MAXIMIZE
        assert step_of("sgd", params, [buffers] if momentum else [], 0, flags, [0.1, momentum, dampening, decay]) == 0
        assert all((p._version > v) == (p.grad is not None) for p, v in zip(params, versions))
    for p, w in zip(params, want):
        close(p, w, dtype)
    if momentum:
        for b, s in zip(buffers, state):
            close(b, s, dtype)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("decay, amsgrad, decoupled, maximize", [*itertools.product((0, 0.1), (0, 1), (0, 1), (0, 1))])
def test_adam(dtype, layout, decay, amsgrad, decoupled, maximize):
    rng, params = setup(dtype, layout)
    state = [[laid_out(np.zeros(s), dtype, "contiguous") for s in SHAPES] for _ in range(3)]
    steps = [torch.zeros(()) for _ in SHAPES]
    want, own = [wide(p) for p in params], [[np.zeros(s) for _ in range(3)] + [0] for s in SHAPES]
    lr, b1, b2, eps = 0.01, 0.8, 0.99, 1e-3
    for step in range(3):
        set_grads(rng, params, dtype, step)
        for k, p in enumerate(params):
            if p.grad is None:
                continue
            o, g = own[k], wide(p.grad) * (-1 if maximize else 1)
            o[3] += 1
            if decoupled:
                want[k] = want[k] * (1 - lr * decay)
            else:
                g = g + decay * want[k]
            o[0], o[1] = b1 * o[0] + (1 - b1) * g, b2 * o[1] + (1 - b2) * g * g
            o[2] = np.maximum(o[2], o[1])
            root = np.sqrt(o[2] if amsgrad else o[1]) / np.sqrt(1 - b2 ** o[3]) + eps
            want[k] = want[k] - lr / (1 - b1 ** o[3]) * o[0] / root
        flags = amsgrad * AMSGRAD | decoupled * DECOUPLED | maximize * MAXIMIZE
        assert step_of("adam", params, [*state[: 2 + amsgrad], steps], 1, flags, [lr, b1, b2, eps, decay]) == 0
    assert [s.item() for s in steps] == [o[3] for o in own]
    for p, w in zip(params, want):
        close(p, w, dtype)


def test_expanded_parameters_are_refused():
    p = torch.zeros(1).expand(4).requires_grad_()
    p.grad = torch.ones(4)
    assert step_of("sgd", [p], [], 0, 0, [0.1, 0, 0, 0]) < 0
    assert "single memory location" in ffi.string(lib.ad_error_message()).decode()


def test_wrong_state_is_refused():
    p = torch.zeros(4).requires_grad_()
    p.grad = torch.ones(4)
    for state, scalars in [([], 0), ([[torch.zeros(4)]], 0), ([[torch.zeros(4)], [torch.zeros(4)], [torch.ones(2)]], 1),
                           ([[torch.zeros(3)], [torch.zeros(4)], [torch.ones(())]], 1),
                           ([[torch.zeros(4)], [torch.zeros(4).double()], [torch.ones(())]], 1)]:
        assert step_of("adam", [p], state, scalars, 0, [0.1, 0.9, 0.99, 1e-8, 0]) < 0
    assert p.detach().tolist() == [0] * 4
    assert step_of("adam", [p], [[p]], 2, 0, [0.1]) < 0
    assert step_of("adam", [p], [[p]], 0, 0, [0.1] * 7) < 0


def test_no_parameters():
    assert step_of("sgd", [], [], 0, 0, [0.1, 0, 0, 0]) == 0


@pytest.mark.parametrize("layout", [*LAYOUTS, "expanded"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("order", [1, 2, np.inf])
def test_norm_and_clipping(dtype, layout, order):
    rng = np.random.default_rng(1)
    if layout == "expanded":
        tensors = [torch.full((1,), 2.0, dtype=getattr(torch, dtype)).expand(50)]
    else:
        tensors = [laid_out(rng.standard_normal(s), dtype, layout) for s in SHAPES]
    flat = np.concatenate([wide(t).ravel() for t in tensors])
    h = lib.ad_total_norm(handles(tensors), len(tensors), order)
    assert h
    total = wrap(h)
    tolerance = {"float16": 1e-2, "bfloat16": 2e-2}.get(dtype, 1e-6)
    np.testing.assert_allclose(wide(total), np.linalg.norm(flat, order), rtol=tolerance)
    if layout == "expanded":
        assert lib.ad_clip_values(handles(tensors), 1, 0.5) < 0
        return
    before = [wide(t) for t in tensors]
    limit = float(np.linalg.norm(flat, order)) / 3
    assert lib.ad_scale_to_norm(handles(tensors), len(tensors), total._h, limit) == 0
    for t, b in zip(tensors, before):
        np.testing.assert_allclose(wide(t), b / 3, rtol=2 * tolerance, atol=1e-6)
    before = [wide(t) for t in tensors]
    assert lib.ad_clip_values(handles(tensors), len(tensors), 0.25) == 0
    for t, b in zip(tensors, before):
        np.testing.assert_array_equal(wide(t), np.clip(b, -0.25, 0.25))

