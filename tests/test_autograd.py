"""backward() and grad(): arguments, accumulation, errors; modes; leaves, versions and inference tensors."""

import threading

import pytest

import autodiffc as T

grad = T.autograd.grad


def leaf(*values):
    return T.tensor(values, dtype=T.float64, requires_grad=True)


def refuses(message, fn, error=RuntimeError):
    with pytest.raises(error, match=message):
        fn()


def test_accumulates_in_place():
    x = leaf(1.0, 2.0)
    (x * 2).sum().backward()
    g = x.grad
    assert x.grad is g
    (x * 3).sum().backward()
    assert x.grad is g and g.tolist() == [5, 5]
    del x.grad
    assert x.grad is None


def test_setting_grad():
    x = leaf(1.0, 2.0)
    g = T.ones(2, dtype=T.float64)
    x.grad = g
    assert x.grad is g
    refuses("gradient of size '\\[3\\]'", lambda: setattr(x, "grad", T.ones(3, dtype=T.float64)))
    refuses("dtype", lambda: setattr(x, "grad", T.ones(2)))
    refuses("its own grad", lambda: setattr(x, "grad", x))
    refuses("Tensor or None", lambda: setattr(x, "grad", 3), TypeError)
    with pytest.warns(UserWarning, match="not a leaf"):
        assert (x * 2).grad is None


def test_roots():
    x = leaf(1.0, 2.0)
    refuses("only for scalar outputs", (x * 2).backward)
    refuses("element 0 of tensors does not require grad", T.ones(()).backward)
    refuses("Mismatch in shape: grad_output\\[0\\]", lambda: (x * 2).sum().backward(T.ones(2)))
    refuses("2 tensors and 1 gradients", lambda: T.autograd.backward([x.sum(), x.sum()], [None]))
    refuses("Tensors or None", lambda: x.sum().backward(3.0), TypeError)
    T.autograd.backward([x.sum(), x * 2], [None, T.ones(2)])
    assert x.grad.tolist() == [3, 3]
    x.sum().backward(T.tensor(2))  # a gradient of another dtype is converted
    assert x.grad.tolist() == [5, 5]


def test_inputs_of_backward():
    x = leaf(1.0, 2.0)
    z = leaf(1.0, 1.0)
    y = x * z
    y.sum().backward(inputs=[y, z])
    assert y.grad.tolist() == [1, 1] and z.grad.tolist() == [1, 2] and x.grad is None
    refuses("cannot be empty", lambda: (x * 2).sum().backward(inputs=[]))


def test_grad_of_what_was_not_used():
    x, z = leaf(1.0, 2.0), leaf(3.0)
    refuses("at index 1 appears to not have been used", lambda: grad(x.sum(), [x, z]))
    assert grad(x.sum(), [x, z], allow_unused=True)[1] is None
    assert grad(x.sum(), [x, z], materialize_grads=True)[1].tolist() == [0]
    refuses("allow_unused", lambda: grad(x.sum(), x, allow_unused=False, materialize_grads=True), ValueError)
    refuses("does not require grad", lambda: grad(x.sum(), T.ones(1)))
    refuses("cannot be empty", lambda: grad(x.sum(), []))
    refuses("expects Tensors", lambda: grad(x.sum(), [3]), TypeError)


def test_batched_gradients():
    x = leaf(1.0, 2.0, 3.0)
    (g,) = grad(x * x, x, T.eye(3, dtype=T.float64), is_grads_batched=True)
    assert g.tolist() == [[2, 0, 0], [0, 4, 0], [0, 0, 6]]


def test_any_order():
    x = leaf(0.7)
    y = x.sin().sum()
    for k in range(8):
        want = [x.cos, lambda: -x.sin(), lambda: -x.cos(), x.sin][k % 4]()
        (y,) = grad(y.sum(), x, create_graph=True)
        assert y.tolist() == pytest.approx(want.tolist(), rel=1e-12)
    x.grad = None
    (x * x * x).sum().backward(create_graph=True)
    assert grad(x.grad.sum(), x)[0].tolist() == pytest.approx([6 * 0.7])
    x.grad = None


def test_gradients_do_not_share_memory():
    a, b = leaf(1.0, 2.0), leaf(3.0, 4.0)
    for create in (False, True):
        a.grad = b.grad = None
        (a + b).sum().backward(create_graph=create)
        with T.no_grad():
            a.grad.zero_()
        assert b.grad.tolist() == [1, 1]
    a.grad = b.grad = None


def test_second_backward():
    x = leaf(1.0, 2.0)
    y = (x * x).sum()
    y.backward(retain_graph=True)
    y.backward()
    assert x.grad.tolist() == [4, 8]
    refuses("second time", y.backward)
    z = (x + 1).sum()
    z.backward()
    z.backward()  # nothing was saved, nothing is missing


def test_overwritten_values():
    x = leaf(1.0, 2.0)
    w = x * 1
    y = (w * w).sum()
    w.add_(1)
    refuses(
        "modified by an inplace operation: \\[torch.DoubleTensor \\[2\\]\\], which is output 0 of (Mul|Add), "
        "is at version 1; expected version 0 instead.*MulBackward0",
        y.backward,
    )
    w = x * 1
    y = w.exp()
    y.mul_(2)
    refuses("output 0 of Mul|output 0 of Exp", y.sum().backward)


def test_requires_grad_rules():
    x = leaf(1.0)
    y = x * 2
    assert y.requires_grad and not y.is_leaf and x.is_leaf and y.output_nr == 0
    refuses("leaf variables", lambda: setattr(y, "requires_grad", False))
    refuses("leaf variables", lambda: setattr(y, "requires_grad", True))
    assert y.requires_grad_() is y
    refuses("leaf variables", lambda: y.requires_grad_(False))
    refuses("floating point", lambda: T.ones(2, dtype=T.int64).requires_grad_())
    assert not y.detach().requires_grad and y.detach().data_ptr() == y.data_ptr()
    y.detach_()
    assert y.is_leaf and not y.requires_grad
    refuses("Can't detach views in-place", lambda: (x * 2).view(1).detach_())
    refuses("requires_grad=False", lambda: T.ones(1).retain_grad())


def test_versions():
    x = T.ones(3)
    v = x.narrow(0, 0, 2)
    v.add_(1)
    assert x._version == v._version == x.detach()._version == 1
    x.data.add_(1)
    assert x._version == 1
    T.autograd.graph.increment_version(x)
    assert v._version == 2


def test_modes_and_decorators():
    x = leaf(1.0)
    with T.no_grad():
        assert not T.is_grad_enabled() and not (x * 2).requires_grad
        with T.enable_grad():
            assert (x * 2).requires_grad
    T.set_grad_enabled(False)
    assert not T.is_grad_enabled()
    T.set_grad_enabled(True)

    @T.no_grad()
    def plain(v):
        return T.is_grad_enabled(), v

    @T.no_grad
    def steps():
        got = yield T.is_grad_enabled()
        yield got, T.is_grad_enabled()

    assert plain(3) == (False, 3)
    g = steps()
    assert next(g) is False and T.is_grad_enabled() and g.send(5) == (5, False)

    @T.inference_mode()
    def infer():
        return x * 2

    assert infer().is_inference()


def test_modes_are_per_thread():
    seen = []
    with T.no_grad():
        t = threading.Thread(target=lambda: seen.append(T.is_grad_enabled()))
        t.start()
        t.join()
    assert seen == [True]


def test_inference_tensors():
    p = leaf(1.0, 2.0)
    with T.inference_mode():
        i = T.ones(2, dtype=T.float64)
        i.add_(1)
        assert i.is_inference() and not T.is_grad_enabled() and T.is_inference_mode_enabled()
        v = p.view(2)
        assert not v.is_inference()
        with T.enable_grad():
            assert not (p * 2).requires_grad and (p * 2).is_inference()
        with T.inference_mode(False):
            assert (p * 2).requires_grad
    refuses("track version counter", lambda: i._version)
    refuses("Inplace update to inference tensor", lambda: i.add_(1))
    refuses("cannot be saved for backward", lambda: i * p)
    refuses("requires_grad=True on inference tensor", i.requires_grad_)
    refuses("created in inference mode", lambda: v.add_(1))
    assert (
        (i + p).requires_grad
        and not i.clone().is_inference()
        and i.detach().is_inference()
        and i.view(2).is_inference()
    )


def test_views_that_may_not_be_written():
    p = leaf(1.0, 2.0)
    refuses("a leaf Variable that requires grad", lambda: p.mul_(2))
    refuses("a view of a leaf Variable", lambda: p.narrow(0, 0, 1).mul_(2))
    with T.no_grad():
        v = p.narrow(0, 0, 1)
        v.add_(1)
    assert p.tolist() == [2, 2]
    refuses("created in no_grad mode", lambda: v.add_(1))
    b = p * 1
    u = b.unbind(0)
    refuses("Output 0 of Unbind is a view and is being modified inplace.*multiple views", lambda: u[0].add_(1))
    refuses("multiple views", lambda: T.ones(4, dtype=T.float64).split(2)[0].mul_(p))
    T.ones(4).split(2)[0].mul_(2)  # without gradients it may be
    refuses("single memory location", lambda: T.ones(1).expand(3).add_(1))
    before = b.tolist()
    b.mul_(1)
    refuses("its base or another view of its base", lambda: u[0] * 2)
    refuses("its base or another view of its base", lambda: b.select(0, 0).mul_(u[0]))
    assert b.tolist() == before  # refused before anything is written


def test_long_chain_and_wide_node():
    x = leaf(1.0)
    y = x
    for _ in range(100_000):
        y = y + 0
    y.backward()
    assert x.grad.tolist() == [1]
    x.grad = None
    del y
    parts = [x * k for k in range(3000)]
    T.cat(parts).sum().backward()
    assert x.grad.tolist() == [3000 * 2999 / 2]


def test_many_outputs():
    x = T.ones(500, dtype=T.float64, requires_grad=True)
    parts = x.unbind(0)
    (parts[3] * 2 + parts[499] * 5).backward()
    assert x.grad.sum().item() == 7 and x.grad[3].item() == 2


def test_diamond():
    x = leaf(2.0)
    y = x
    for _ in range(60):
        y = y + y * 0.5 - y * 0.5  # 3^60 paths, 180 nodes
    y.backward()
    assert x.grad.tolist() == [1]


def test_recursion_through_grad_fn_names():
    x = leaf(1.0, 2.0)
    assert [t.grad_fn.name() for t in ((x + 1), x.sum(), x.view(2, 1), x.clone(), x.relu())] == [
        "AddBackward0",
        "SumBackward0",
        "ViewBackward0",
        "CloneBackward0",
        "ReluBackward0",
    ]
