"""Forward mode, function transforms, autograd.functional."""

import numpy as np
import pytest

import autodiffc as T
from autodiffc import func
from autodiffc.autograd import forward_ad as fwd
from autodiffc.autograd import functional

W = T.tensor([[1.0, 2, 3], [4, 5, 6]], dtype=T.float64)
X = T.tensor([0.5, 1.2, -0.7], dtype=T.float64)
ONES = T.ones(3, dtype=T.float64)


def vector(x):
    return W @ x.exp() * x.sin().sum()


def scalar(x):
    return vector(x).sum() * x.prod()


def close(a, b):
    np.testing.assert_allclose(np.asarray(a.tolist()), np.asarray(b.tolist()), rtol=1e-10, atol=1e-12)


def test_dual_numbers():
    with fwd.dual_level():
        d = fwd.make_dual(X, ONES)
        primal, tangent = fwd.unpack_dual(vector(d))
        close(primal, vector(X))
        close(tangent, functional.jvp(vector, X, ONES)[1])
        assert fwd.unpack_dual(X).tangent is None
        assert fwd.unpack_dual(d.detach()).tangent is None
    assert fwd.unpack_dual(d).tangent is None
    with fwd.dual_level():
        assert fwd.unpack_dual(d).tangent is None  # another level


def test_errors():
    with pytest.raises(RuntimeError, match="no level exists"):
        fwd.make_dual(X, X)
    with pytest.raises(RuntimeError, match="none is active"):
        fwd.exit_dual_level()
    with fwd.dual_level():
        with pytest.raises(RuntimeError, match="different size"):
            fwd.make_dual(X, T.ones(2, dtype=T.float64))
        with pytest.raises(ValueError, match="floating point"):
            fwd.make_dual(T.ones(2, dtype=T.int64), T.ones(2))
        with pytest.raises(RuntimeError, match="Nested forward mode"):
            fwd.enter_dual_level()


def test_in_place_and_views():
    with fwd.dual_level():
        d = fwd.make_dual(X, ONES)
        z = d.clone()
        z.mul_(z)
        close(fwd.unpack_dual(z).tangent, 2 * X)
        z = d.clone()
        z.narrow(0, 0, 2).exp_()
        close(fwd.unpack_dual(z).tangent, T.cat([X.narrow(0, 0, 2).exp(), ONES.narrow(0, 0, 1)]))
        z = T.zeros(4, dtype=T.float64)
        part = z.narrow(0, 1, 3)
        other = z.narrow(0, 0, 2)
        part.copy_(d)
        close(fwd.unpack_dual(z).tangent, T.tensor([0.0, 1, 1, 1]))
        close(fwd.unpack_dual(other).tangent, T.tensor([0.0, 1]))
        z.fill_(3)
        close(fwd.unpack_dual(part).tangent, T.zeros(3))


def test_layout_of_tangents():
    with fwd.dual_level():
        x = T.ones(2, 3, dtype=T.float64)
        t = T.arange(6, dtype=T.float64).view(3, 2).t()
        d = fwd.make_dual(x, t)
        close(fwd.unpack_dual(d.view(6)).tangent, t.reshape(6))


def test_with_reverse_mode():
    with fwd.dual_level():
        r = X.clone().requires_grad_()
        t = fwd.unpack_dual(scalar(fwd.make_dual(r, ONES))).tangent
        close(T.autograd.grad(t, r)[0], functional.hvp(scalar, X, ONES)[1])
        d = fwd.make_dual(X, ONES).requires_grad_()
        (g,) = T.autograd.grad(scalar(d), d)
        close(fwd.unpack_dual(g).tangent, functional.hvp(scalar, X, ONES)[1])
        (h,) = T.autograd.grad(d.exp().sum(), d, create_graph=True)  # a rule that reads its output
        close(fwd.unpack_dual(h).tangent, X.exp())


def test_levels_nest():
    third = func.jacfwd(func.jacfwd(func.jacfwd(lambda z: z.sin())))(T.tensor(0.4, dtype=T.float64))
    assert third.item() == pytest.approx(-np.cos(0.4))
    one = T.tensor(1.0)
    inner = lambda a: a * func.jvp(lambda b: a + b, (one,), (one,))[1]  # noqa: E731
    assert func.jvp(inner, (T.tensor(2.0),), (one,))[1].item() == 1  # not 2: levels are kept apart


def test_no_rule():
    class F(T.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

    with pytest.raises(NotImplementedError):
        func.jvp(F.apply, (X,), (ONES,))


def test_nothing_is_left_on():
    with pytest.raises(ZeroDivisionError):
        func.jvp(lambda x: 1 / 0, (X,), (ONES,))
    from autodiffc._native import lib

    assert lib.ad_level_count() == 0 and lib.ad_forward_depth(0) == 0


def test_jacobians_agree():
    want = functional.jacobian(vector, X)
    close(func.jacrev(vector)(X), want)
    close(func.jacfwd(vector)(X), want)
    close(functional.jacobian(vector, X, strategy="forward-mode", vectorize=True), want)
    hessian = functional.hessian(scalar, X)
    for f in (
        func.hessian(scalar),
        func.jacfwd(func.jacfwd(scalar)),
        func.jacrev(func.jacrev(scalar)),
        func.jacrev(func.jacfwd(scalar)),
    ):
        close(f(X), hessian)
    close(functional.vhp(scalar, X, ONES)[1], hessian @ ONES)
    close(functional.vjp(vector, X, T.ones(2, dtype=T.float64))[1], want.t() @ T.ones(2, dtype=T.float64))
    close(functional.jvp(vector, X, ONES)[1], want @ ONES)


def test_functional_structures_and_strictness():
    jac = functional.jacobian(lambda x, y: (x * y, x), (X, X * 2))
    assert len(jac) == 2 and len(jac[0]) == 2 and jac[0][1].shape == (3, 3)
    assert functional.jacobian(lambda x: T.ones(2, dtype=T.float64), X).tolist() == [[0] * 3] * 2
    with pytest.raises(RuntimeError, match="strict mode"):
        functional.jacobian(lambda x: T.ones(2), X, strict=True)
    with pytest.raises(RuntimeError, match="single Tensor with a single element"):
        functional.vjp(vector, X)
    with pytest.raises(RuntimeError, match="invalid size"):
        functional.vjp(vector, X, ONES)
    with pytest.raises(TypeError, match="must be either a Tensor or a tuple"):
        functional.jacobian(vector, [X])
    x = X.clone().requires_grad_()
    assert functional.jacobian(vector, x, create_graph=True).requires_grad
    assert not functional.jacobian(vector, x).requires_grad


def test_grad_transform():
    close(func.grad(scalar)(X), func.jacrev(scalar)(X))
    g, (value, aux) = func.grad_and_value(lambda x: (scalar(x), x * 2), has_aux=True)(X)
    close(value, scalar(X))
    assert not aux.requires_grad and not value.requires_grad and not g.requires_grad
    third = func.grad(func.grad(func.grad(lambda z: z.sin())))
    assert third(T.tensor(0.4, dtype=T.float64)).item() == pytest.approx(-np.cos(0.4))
    tree = func.grad(lambda d: (d["a"] * d["b"][0]).sum())({"a": X, "b": [ONES]})
    close(tree["a"], ONES)
    close(tree["b"][0], X)
    assert [t.tolist() for t in func.grad(lambda a, b: (a * b * b).sum(), argnums=(0, 1))(ONES, ONES)] == [
        [1] * 3,
        [2] * 3,
    ]
    with pytest.raises(RuntimeError, match="scalar tensor"):
        func.grad(vector)(X)


def test_transforms_and_the_outside():
    q = X.clone().requires_grad_()
    g = func.grad(scalar)(q)
    close(T.autograd.grad(g.sum(), q)[0], functional.hvp(scalar, X, ONES)[1])
    captured = func.grad(lambda x: (x * q).sum())(X)
    assert captured.requires_grad
    close(T.autograd.grad(captured.sum(), q)[0], ONES)
    nested = func.grad(lambda a: a * func.grad(lambda b: a * b * b)(T.tensor(3.0)))(T.tensor(2.0))
    assert nested.item() == 24 and not nested.requires_grad
    with T.no_grad():
        assert not func.grad(scalar)(q).requires_grad


def test_vjp_and_jvp():
    out, back = func.vjp(vector, X)
    close(out, vector(X))
    v = T.ones(2, dtype=T.float64)
    close(back(v)[0], functional.vjp(vector, X, v)[1])
    close(back(v)[0], functional.vjp(vector, X, v)[1])  # again
    out, tangent, aux = func.jvp(lambda x: (vector(x), {"x": x}), (X,), (ONES,), has_aux=True)
    close(tangent, functional.jvp(vector, X, ONES)[1])
    close(aux["x"], X)
    with pytest.raises(RuntimeError, match="tuple"):
        func.jvp(vector, X, ONES)


def test_functional_call():
    layer = T.nn.Linear(3, 2).double()
    other = {"weight": W, "bias": T.zeros(2, dtype=T.float64)}
    kept = layer.weight
    close(func.functional_call(layer, other, (X,)), W @ X)
    assert layer.weight is kept
    grads = func.grad(lambda p: func.functional_call(layer, p, (X,)).sum())(other)
    close(grads["weight"], T.stack([X, X]))
    with pytest.raises(RuntimeError, match="Unexpected key"):
        func.functional_call(layer, {"nothing": W}, (X,), strict=True)


def test_tangents_are_let_go(stats):
    import gc

    gc.collect()
    before = stats()["tensors"]
    for _ in range(50):
        func.jvp(scalar, (X,), (ONES,))
        func.jacfwd(func.jacfwd(scalar))(X)
        with fwd.dual_level():
            z = fwd.make_dual(X, ONES).clone()
            z.narrow(0, 0, 2).mul_(2)
    del z
    gc.collect()
    assert stats()["tensors"] == before


HESSIANS = {
    "layer_norm": lambda F, x: F.layer_norm(x, (4,)).sin().sum(),
    "batch_norm": lambda F, x: F.batch_norm(x, None, None, training=True).sin().sum(),
    "group_norm": lambda F, x: F.group_norm(x, 1).sin().sum(),
    "softmax": lambda F, x: F.softmax(x, -1).sin().sum(),
    "log_softmax": lambda F, x: F.log_softmax(x, 0).sin().sum(),
    "cross_entropy": lambda F, x: F.cross_entropy(x.sin(), T.tensor([1, 3, 0])),
    "mse_loss": lambda F, x: F.mse_loss(x.sin(), x.detach() * 2),
    "attention": lambda F, x: F.scaled_dot_product_attention(x[None], x[None].sin(), x[None].cos()).sin().sum(),
    "cdist": lambda F, x: T.cdist(x.sin(), T.ones(2, 4).double()).sum(),
}


@pytest.mark.parametrize("name", HESSIANS)
def test_forward_over_reverse(name):
    """A gradient that one row computes has tangents too: the Hessian is that of reverse over reverse."""

    def fn(x):
        return HESSIANS[name](T.nn.functional, x)

    x = T.randn(3, 4, dtype=T.float64)
    twice = T.func.jacrev(T.func.jacrev(fn))(x)
    np.testing.assert_allclose(T.func.hessian(fn)(x).numpy(), twice.numpy(), rtol=1e-9, atol=1e-11)
    assert twice.abs().max() > 1e-3
