"""Hooks of tensors and nodes, saved tensor hooks, anomaly mode."""

import gc
import warnings

import pytest

import autodiffc as T


def leaf(*values):
    return T.tensor(values, dtype=T.float64, requires_grad=True)


def test_order_and_replacement():
    x, seen = leaf(1.0, 1.0), []
    x.register_hook(lambda g: seen.append(g.tolist()))
    x.register_hook(lambda g: g * 2)
    x.register_hook(lambda g: seen.append(g.tolist()))
    (x * 2 + x).sum().backward()
    assert seen == [[3, 3], [6, 6]]  # the leaf's total, once
    assert x.grad.tolist() == [6, 6]


def test_retain_grad_sees_what_hooks_made():
    x = leaf(1.0)
    y = x * 2
    y.retain_grad()
    y.register_hook(lambda g: g * 3)
    y.sum().backward()
    assert y.grad.tolist() == [3] and x.grad.tolist() == [6] and y.retains_grad and not x.retains_grad


def test_handles():
    x, seen = leaf(1.0), []
    h = x.register_hook(lambda g: seen.append(1))
    with x.register_hook(lambda g: seen.append(2)):
        x.sum().backward()
    x.sum().backward()
    h.remove()
    h.remove()
    x.sum().backward()
    assert seen == [1, 2, 1]


def test_changes_while_running():
    x, seen = leaf(1.0), []
    y = x * 2

    def first(g):
        later.remove()
        y.register_hook(lambda g: seen.append("added"))
        seen.append("first")

    y.register_hook(first)
    later = y.register_hook(lambda g: seen.append("later"))
    y.sum().backward()
    assert seen == ["first", "later"]  # the list is taken at the start, as in PyTorch


@pytest.mark.parametrize(
    "result, error, message",
    [
        (lambda g: g.narrow(0, 0, 1), RuntimeError, "changed the size of value"),
        (lambda g: g.float(), RuntimeError, "changed the type of value"),
        (lambda g: 3, TypeError, "expected Variable, but hook returned 'int'"),
    ],
)
def test_bad_results(result, error, message):
    y = leaf(1.0, 2.0) * 2
    y.register_hook(result)
    with pytest.raises(error, match=message):
        y.sum().backward()


def test_needs_a_gradient():
    with pytest.raises(RuntimeError, match="doesn't require gradient"):
        T.ones(2).register_hook(print)
    with pytest.raises(RuntimeError, match="doesn't require gradient"):
        T.ones(2).register_post_accumulate_grad_hook(print)
    with pytest.raises(RuntimeError, match="non-leaf"):
        (leaf(1.0) * 2).register_post_accumulate_grad_hook(print)


def test_exception_comes_out_as_it_was():
    def hook(g):
        raise KeyError("mine")

    y = leaf(1.0) * 2
    y.register_hook(hook)
    with pytest.raises(KeyError, match="mine") as caught:
        y.sum().backward()
    assert caught.traceback[-1].name == "hook"


def test_after_accumulation():
    x, seen = leaf(1.0, 2.0), []
    h = x.register_post_accumulate_grad_hook(lambda t: seen.append((t is x, t.grad.tolist())))
    (x * 3).sum().backward()
    h.remove()
    (x * 3).sum().backward()
    assert seen == [(True, [3, 3])]


def test_optimizer_in_hooks():
    x = leaf(1.0)

    def step(t):
        with T.no_grad():
            t -= 0.5 * t.grad
        t.grad = None

    x.register_post_accumulate_grad_hook(step)
    (x * x).sum().backward()
    assert x.tolist() == [0] and x.grad is None


def test_node_hooks():
    x = leaf(1.0, 2.0)
    y = x * 2
    seen = []
    y.grad_fn.register_prehook(lambda grads: (grads[0] * 10,))
    y.grad_fn.register_hook(lambda inputs, outputs: seen.append((inputs[0].tolist(), inputs[1], outputs[0].tolist())))
    y.grad_fn.register_hook(lambda inputs, outputs: (inputs[0] + 1, None))
    y.sum().backward()
    assert seen == [([20, 20], None, [10, 10])] and x.grad.tolist() == [21, 21]
    y = x * 2
    y.grad_fn.register_hook(lambda inputs, outputs: (1, 2, 3))
    with pytest.raises(RuntimeError, match="incorrect number of values"):
        y.sum().backward()


def test_nodes():
    x = leaf(1.0)
    y = x * 2
    f = y.grad_fn
    assert (
        y.grad_fn is f
        and f.name() == type(f).__name__ == "MulBackward0"
        and repr(f).startswith("<MulBackward0 object at 0x")
    )
    f.metadata["note"] = 1
    assert y.grad_fn.metadata == {"note": 1}
    (acc, nr), (none, _) = f.next_functions
    assert acc.name() == "torch::autograd::AccumulateGrad" and nr == 0 and none is None and acc.next_functions == ()
    assert isinstance(f, T.autograd.graph.Node) and acc.variable.data_ptr() == x.data_ptr()
    seen = []
    acc.register_hook(lambda inputs, outputs: seen.append((inputs, outputs[0].tolist())))
    x.grad = T.ones(1, dtype=T.float64)
    y.sum().backward()
    assert seen == [((), [2])]


def test_several_tensors():
    x, y, seen = leaf(1.0), leaf(2.0), []
    h = T.autograd.graph.register_multi_grad_hook([x, y], lambda grads: seen.append([g and g.tolist() for g in grads]))
    (x * y).sum().backward()
    x.sum().backward()
    assert seen == [[[2], [1]], [[1], None]]
    h.remove()
    x.sum().backward()
    assert len(seen) == 2


def test_saved_tensor_hooks():
    x, seen = leaf(0.5, 1.0), []

    def pack(t):
        seen.append("pack")
        return t.tolist()

    def unpack(values):
        seen.append("unpack")
        return T.tensor(values, dtype=T.float64)

    with T.autograd.graph.saved_tensors_hooks(pack, unpack):
        y = x.exp() * x
    assert seen == ["pack"] * 3
    (g,) = T.autograd.grad(y.sum(), x, create_graph=True)
    (h,) = T.autograd.grad(g.sum(), x)
    want = (x + 1) * x.exp()
    assert g.tolist() == pytest.approx(want.tolist())
    assert h.tolist() == pytest.approx((want + x.exp()).tolist())


def test_saved_tensor_hooks_that_fail(stats):
    gc.collect()
    before = stats()["nodes"]
    x = leaf(1.0)
    with T.autograd.graph.saved_tensors_hooks(lambda t: 1 / 0, lambda t: t), pytest.raises(ZeroDivisionError):
        x.exp()
    with T.autograd.graph.saved_tensors_hooks(lambda t: t, lambda t: 3):
        y = x.exp()
    with pytest.raises(TypeError, match="unpack_hook expected to be a Tensor"):
        y.backward()
    with T.autograd.graph.save_on_cpu():
        y = x.exp()
    y.backward()
    with T.autograd.graph.disable_saved_tensors_hooks("not now"), pytest.raises(RuntimeError, match="not now"):
        T.autograd.graph.saved_tensors_hooks(lambda t: t, lambda t: t).__enter__()
    del y
    gc.collect()
    assert stats()["nodes"] == before


def test_hooks_let_go(stats):
    gc.collect()
    before = stats()
    for _ in range(100):
        x = leaf(1.0)
        x.register_hook(lambda g: g)
        x.register_post_accumulate_grad_hook(lambda t: None)
        y = x * 2
        y.register_hook(lambda g: g * 2)
        y.grad_fn.register_hook(lambda a, b: None)
        y.grad_fn.metadata["k"] = 1
        y.sum().backward()
    for _ in range(1000):
        x.register_hook(print).remove()
    del x, y
    gc.collect()
    after = stats()
    assert (after["tensors"], after["nodes"], after["used"]) == (before["tensors"], before["nodes"], before["used"])


def test_backward_inside_a_hook():
    x, z = leaf(1.0), leaf(2.0)
    y = x * 2

    @T.enable_grad()
    def hook(g):
        (z * z).sum().backward()

    y.register_hook(hook)
    y.sum().backward()
    assert x.grad.tolist() == [2] and z.grad.tolist() == [4]


def test_anomaly_mode():
    x = leaf(0.0)
    with T.autograd.set_detect_anomaly(True):
        y = x.sqrt() * 0
        with (
            warnings.catch_warnings(record=True) as caught,
            pytest.raises(RuntimeError, match="'SqrtBackward0' returned nan"),
        ):
            warnings.simplefilter("always")
            y.sum().backward()
        assert "test_anomaly_mode" in str(caught[0].message) and "x.sqrt() * 0" in str(caught[0].message)
    with T.autograd.set_detect_anomaly(True, check_nan=False):
        (x.sqrt() * 0).sum().backward()
    assert not T.autograd.anomaly_mode.is_anomaly_enabled()
    with pytest.warns(UserWarning, match="Anomaly Detection"), T.autograd.detect_anomaly():
        pass


def test_anomaly_names_the_node_that_raised():
    class Bad(T.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 1

        @staticmethod
        def backward(ctx, g):
            raise ValueError("no")

    with T.autograd.set_detect_anomaly(True):
        y = Bad.apply(leaf(1.0))
        with pytest.warns(UserWarning, match="Error detected in BadBackward"), pytest.raises(ValueError, match="no"):
            y.backward()


def test_variable_of_a_leaf_is_the_tensor():
    p, q = T.ones(2, requires_grad=True), T.nn.Linear(2, 2)
    y = q(p * 2)
    found = []
    todo = [y.grad_fn]
    while todo:
        node = todo.pop()
        found += [node.variable] if hasattr(node, "variable") else []
        todo += [n for n, _ in node.next_functions if n is not None]
    assert {id(v) for v in found} == {id(p), id(q.weight), id(q.bias)}
    alone = (T.ones(1, requires_grad=True) * 2).grad_fn.next_functions[0][0].variable  # whose object is gone
    assert alone.tolist() == [1.0] and alone.requires_grad
