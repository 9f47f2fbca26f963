"""gradcheck and gradgradcheck find what is wrong, and pass what is right."""

import pytest

import autodiffc as T
from autodiffc.autograd import Function, gradcheck, gradgradcheck
from autodiffc.autograd.gradcheck import GradcheckError


def leaf(*values, dtype=T.float64):
    return T.tensor(values, dtype=dtype, requires_grad=True)


def good(x):
    return x.exp() * x.sin().sum()


class Wrong(Function):
    @staticmethod
    def forward(ctx, x):
        return x * 2

    @staticmethod
    def backward(ctx, g):
        return g * 3


class WrongTwice(Function):
    """The gradient is right, and its own gradient is not."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(ctx, g):
        return 2 * g * ctx.saved_tensors[0].detach()


class WrongForward(Function):
    @staticmethod
    def forward(ctx, x):
        return x * 2

    @staticmethod
    def backward(ctx, g):
        return g * 2

    @staticmethod
    def jvp(ctx, t):
        return t * 3


@pytest.mark.parametrize("fast", [False, True])
def test_right(fast):
    x = leaf(0.4, -1.2, 0.9)
    assert gradcheck(good, (x,), fast_mode=fast)
    assert gradcheck(good, x, fast_mode=fast, check_forward_ad=True)
    assert gradgradcheck(good, (x,), fast_mode=fast, check_fwd_over_rev=True)
    assert gradcheck(lambda a, b: (a * b, a + 1), (x, leaf(1.0, 2.0, 3.0)), fast_mode=fast)


@pytest.mark.parametrize("fast", [False, True])
def test_wrong(fast):
    x = leaf(0.4, -1.2)
    with pytest.raises(
        GradcheckError,
        match="Jacobian mismatch for output 0 with respect to input 0,\nnumerical:.*\nanalytical:"
        if fast
        else "(?s)mismatch for output 0 with respect to input 0,\nnumerical:tensor.*analytical:tensor",
    ):
        gradcheck(Wrong.apply, (x,), fast_mode=fast)
    assert gradcheck(Wrong.apply, (x,), fast_mode=fast, raise_exception=False) is False
    assert gradcheck(WrongTwice.apply, (x,), fast_mode=fast)
    with pytest.raises(GradcheckError):
        gradgradcheck(WrongTwice.apply, (x,), fast_mode=fast)
    assert gradcheck(WrongForward.apply, (x,), fast_mode=fast)
    with pytest.raises(GradcheckError, match="forward mode"):
        gradcheck(WrongForward.apply, (x,), fast_mode=fast, check_forward_ad=True)


def test_arguments():
    with pytest.raises(ValueError, match="at least one input tensor to require gradient"):
        gradcheck(good, (T.ones(2, dtype=T.float64),))
    with pytest.warns(UserWarning, match="double precision"):
        gradcheck(lambda x: x * 2, (leaf(1.0, dtype=T.float32),), eps=1e-2, atol=1e-2)
    with pytest.raises(RuntimeError, match="stride 0"):
        gradcheck(good, (leaf(1.0).expand(3),))
    with pytest.raises(NotImplementedError, match="vmap"):
        gradcheck(good, (leaf(1.0),), check_batched_grad=True)


def test_not_reentrant():
    class Drifts(Function):
        k = 0

        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, g):
            Drifts.k += 1
            return g * (2 + 1e-7 * Drifts.k)

    with pytest.raises(GradcheckError, match="not reentrant"):
        gradcheck(Drifts.apply, (leaf(1.0),), atol=1e-3)
    assert gradcheck(Drifts.apply, (leaf(1.0),), atol=1e-3, nondet_tol=1e-3)


def test_outputs_without_gradients_and_integers():
    assert gradcheck(lambda x: (x * 2, (x > 0), x.detach() * 3), (leaf(0.5, -1.0),))
