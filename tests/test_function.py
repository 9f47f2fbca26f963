"""autograd.Function: the protocol of ctx, in-place and views, gradients of gradients, errors, memory."""

import gc

import pytest

import autodiffc as T
from autodiffc.autograd import Function, gradcheck, gradgradcheck
from autodiffc.autograd.function import once_differentiable


def leaf(*values):
    return T.tensor(values, dtype=T.float64, requires_grad=True)


class Exp(Function):
    @staticmethod
    def forward(ctx, x):
        y = x.exp()
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx, g):
        (y,) = ctx.saved_tensors
        return g * y


class Scale(Function):
    """With a separate setup_context, an argument that is no tensor, and a jvp."""

    @staticmethod
    def forward(x, factor=2.0):
        return x * factor

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.x, ctx.factor = inputs

    @staticmethod
    def backward(ctx, g):
        return g * ctx.factor, None

    @staticmethod
    def jvp(ctx, t, _):
        return t * ctx.factor


def test_saved_output_and_second_gradients():
    x = leaf(0.5, -1.0)
    assert gradcheck(Exp.apply, (x,)) and gradgradcheck(Exp.apply, (x,))
    y = Exp.apply(x)
    assert y.grad_fn.name() == type(y.grad_fn).__name__ == "ExpBackward"
    assert y.grad_fn.needs_input_grad == (True,)
    assert y.grad_fn.saved_tensors[0].tolist() == y.tolist()


def test_setup_context_defaults_and_keywords():
    x = leaf(1.0, 2.0)
    assert Scale.apply(x, factor=3.0).tolist() == [3, 6]
    y = Scale.apply(x)
    assert y.tolist() == [2, 4]
    assert T.autograd.grad(y.sum(), x)[0].tolist() == [2, 2]
    assert gradcheck(Scale.apply, (x,), check_forward_ad=True)


def test_saved_input_is_the_very_object():
    class F(Function):
        @staticmethod
        def forward(ctx, x, y):
            ctx.save_for_backward(x, None, y)
            return x * y

        @staticmethod
        def backward(ctx, g):
            x, none, y = ctx.saved_tensors
            seen.append((x, none))
            return g * y, g * x

    seen = []
    x, y = leaf(1.0), leaf(2.0)
    F.apply(x, y).backward()
    assert seen[0][0] is x and seen[0][1] is None


def test_needs_input_grad_and_none():
    class F(Function):
        @staticmethod
        def forward(ctx, x, y, k):
            seen.append(ctx.needs_input_grad)
            return x * k

        @staticmethod
        def backward(ctx, g):
            return g * 2, None, None

    seen = []
    x = leaf(1.0)
    F.apply(x, T.ones(1), 2).sum().backward()
    assert seen == [(True, False, False)] and x.grad.tolist() == [2]


def test_several_outputs_materialized_or_not():
    class F(Function):
        materialize = True

        @staticmethod
        def forward(ctx, x):
            ctx.set_materialize_grads(F.materialize)
            flag = x > 0
            ctx.mark_non_differentiable(flag)
            return x * 2, x * 3, flag, "text"

        @staticmethod
        def backward(ctx, a, b, c, d):
            seen.append((a, b, c, d))
            return b * 3

    seen = []
    x = leaf(1.0, 2.0)
    _, b, flag, text = F.apply(x)
    assert text == "text" and not flag.requires_grad and b.output_nr == 1
    b.sum().backward()
    assert seen[0][0].tolist() == [0, 0] and seen[0][3] is None
    F.materialize = False
    F.apply(x)[1].sum().backward()
    assert seen[1][0] is None


@pytest.mark.parametrize(
    "result, message",
    [
        ((1, 1), "incorrect number of gradients \\(expected 1, got 2\\)"),
        (3, "expected Variable or None \\(got int\\)"),
        ([1], "expected Variable or None \\(got list\\)"),
        (
            T.ones(2),
            "Function FBackward returned an invalid gradient at index 0 - got \\[2\\] but expected shape "
            "compatible with \\[3\\]",
        ),
    ],
)
def test_wrong_gradients(result, message):
    class F(Function):
        @staticmethod
        def forward(ctx, x):
            return x * 1

        @staticmethod
        def backward(ctx, g):
            return result

    with pytest.raises(RuntimeError, match=message):
        F.apply(leaf(1.0, 2.0, 3.0)).sum().backward()


def test_gradient_for_what_is_no_tensor():
    class F(Function):
        @staticmethod
        def forward(ctx, x, k):
            return x * k

        @staticmethod
        def backward(ctx, g):
            return g, g

    with pytest.raises(RuntimeError, match="gradient different than None at position 2"):
        F.apply(leaf(1.0), 2).sum().backward()


def test_trailing_none_is_allowed():
    class F(Function):
        @staticmethod
        def forward(ctx, x):
            return x * 1

        @staticmethod
        def backward(ctx, g):
            return g, None, None

    x = leaf(1.0)
    F.apply(x).sum().backward()
    assert x.grad.tolist() == [1]


def test_missing_methods():
    class NoBackward(Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

    class NoForward(Function):
        pass

    with pytest.raises(NotImplementedError, match="backward"):
        NoBackward.apply(leaf(1.0)).sum().backward()
    with pytest.raises(NotImplementedError, match="forward"):
        NoForward.apply(leaf(1.0))
    with T.autograd.forward_ad.dual_level(), pytest.raises(NotImplementedError, match="jvp"):
        NoBackward.apply(T.autograd.forward_ad.make_dual(T.ones(1), T.ones(1)))


def test_save_for_backward_takes_tensors():
    class F(Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x, 3)
            return x

    with pytest.raises(TypeError, match="argument 1 is of type int"):
        F.apply(leaf(1.0))


def test_exception_comes_out_as_it_was():
    class Mine(Exception):
        pass

    class F(Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, g):
            raise Mine("here")

    with pytest.raises(Mine, match="here") as caught:
        F.apply(leaf(1.0)).sum().backward()
    assert caught.traceback[-1].name == "backward"


def test_second_backward_and_overwritten_input():
    class Square(Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        def backward(ctx, g):
            return 2 * g * ctx.saved_tensors[0]

    x = leaf(3.0)
    y = Square.apply(x)
    y.backward(retain_graph=True)
    y.backward()
    assert x.grad.tolist() == [12]
    with pytest.raises(RuntimeError, match="second time"):
        y.backward()
    with pytest.raises(RuntimeError, match="second time"):
        y.grad_fn.saved_tensors  # noqa: B018
    y = Square.apply(x)
    with T.no_grad():
        x += 1
    with pytest.raises(
        RuntimeError, match="modified by an inplace operation.*version 1; expected version 0.*SquareBackward"
    ):
        y.backward()


class Double_(Function):
    @staticmethod
    def forward(ctx, x):
        x.mul_(2)
        ctx.mark_dirty(x)
        return x

    @staticmethod
    def backward(ctx, g):
        return g * 2


def test_in_place():
    x = leaf(1.0, 2.0, 3.0)
    w = x * 1
    y = Double_.apply(w)
    assert y is w and y.grad_fn.name() == "Double_Backward"
    w = x * 1
    part = w.narrow(0, 0, 2)
    Double_.apply(part)
    w.sum().backward()
    assert w.grad_fn.name() == "CopySlices" and x.grad.tolist() == [2, 2, 1]
    with pytest.raises(RuntimeError, match="a leaf Variable that requires grad"):
        Double_.apply(x)


def test_dirty_must_be_returned():
    class F(Function):
        @staticmethod
        def forward(ctx, x):
            ctx.mark_dirty(x)
            return x * 1

    with pytest.raises(RuntimeError, match="marked as dirty"):
        F.apply(leaf(1.0) * 1)


def test_input_returned_and_views():
    class Same(Function):
        @staticmethod
        def forward(ctx, x):
            return x

        @staticmethod
        def backward(ctx, g):
            return g * 3

    x = leaf(1.0, 2.0)
    y = Same.apply(x)
    assert y is not x and y.data_ptr() == x.data_ptr() and y._is_view()
    with pytest.raises(RuntimeError, match="created inside a custom Function"):
        y.add_(1)
    y.sum().backward()
    assert x.grad.tolist() == [3, 3]
    assert not Same.apply(x.detach()).requires_grad


def test_once_differentiable():
    class F(Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        @once_differentiable
        def backward(ctx, g):
            return g * 2

    x = leaf(1.0)
    (g,) = T.autograd.grad((F.apply(x) * F.apply(x)).sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        g.sum().backward()


def test_reentrant():
    class F(Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * x * x

        @staticmethod
        def backward(ctx, g):
            with T.enable_grad():
                x = ctx.saved_tensors[0].detach().requires_grad_()
                (x * x * x).sum().backward()
            return g * x.grad

    x = leaf(2.0)
    (F.apply(x) * 2).sum().backward()
    assert x.grad.tolist() == [24]


def test_cycles_are_given_up(stats):
    class F(Function):
        @staticmethod
        def forward(ctx, x):
            y = x * 2
            ctx.y = y
            ctx.save_for_backward(x, y)
            ctx.save_for_forward(x, y)
            return y

        @staticmethod
        def backward(ctx, g):
            assert ctx.y.tolist() == ctx.saved_tensors[1].tolist()
            return g * 2

    gc.collect()
    before = stats()
    for _ in range(20):
        x = leaf(1.0, 2.0)
        y = F.apply(x)
        y.sum().backward()
        F.apply(y)  # dropped without a backward pass
    del x, y
    gc.collect()
    after = stats()
    assert (after["tensors"], after["nodes"]) == (before["tensors"], before["nodes"])


def test_output_on_ctx_has_its_history():
    class F(Function):
        @staticmethod
        def forward(ctx, x):
            ctx.y = x.exp()
            return ctx.y

        @staticmethod
        def backward(ctx, g):
            return g * ctx.y

    x = leaf(0.3)
    (g,) = T.autograd.grad(F.apply(x).sum(), x, create_graph=True)
    (h,) = T.autograd.grad(g.sum(), x)
    assert h.tolist() == pytest.approx(x.exp().tolist())


def test_no_grad_records_nothing():
    with T.no_grad():
        assert Exp.apply(leaf(1.0)).grad_fn is None


def test_grad_mode_in_backward():
    """Gradients are off in backward unless a graph is asked for, whatever the Python in between does with the mode."""
    seen = []

    def hook(g):
        seen.append(T.is_grad_enabled())
        with T.no_grad():
            pass
        with T.enable_grad():
            pass

    for create in (False, True):
        x = T.ones(3, requires_grad=True)
        y = x * 2
        y.register_hook(hook)
        (g,) = T.autograd.grad((y * x + y * y).sum(), x, create_graph=create)
        assert seen.pop() is create and not seen and g.requires_grad is create
        assert T.is_grad_enabled()
    with T.no_grad():
        with T.enable_grad():
            y = (x * x).sum()
        y.backward()
        assert not T.is_grad_enabled() and not x.grad.requires_grad
