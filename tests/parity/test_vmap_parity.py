"""vmap of PyTorch and ours: random numbers, writes in place, gradients of gradients, functions with their own rule."""

import pytest

from .both import check


def batch(T):
    return T.arange(12.0).reshape(4, 3) / 7


def drawn(draw, of=batch):
    return lambda T: T.func.vmap(lambda x: draw(T, x), randomness="different")(of(T))


def residual(T):
    T.manual_seed(0)
    net = T.nn.Sequential(T.nn.Linear(2, 8), T.nn.Tanh(), T.nn.Linear(8, 1))

    def u(p, z):
        return T.func.functional_call(net, p, (z,)).squeeze()

    def equation(p, z):
        h = T.func.hessian(u, argnums=1)(p, z)
        return h[0, 0] + h[1, 1]

    z = T.arange(20.0).reshape(10, 2) / 20
    loss = (T.func.vmap(equation, in_dims=(None, 0))(dict(net.named_parameters()), z) ** 2).mean()
    loss.backward()
    return [loss, *[p.grad for p in net.parameters() if p.grad is not None]]


def products(T):
    def f(x):
        return (x.sin() * x**2).sum()

    def hvp(x, v):
        return T.func.jvp(T.func.grad(f), (x,), (v,))[1]

    return [T.func.vmap(hvp)(batch(T), batch(T) + 1), T.func.vmap(T.func.hessian(f))(batch(T))]


def adaptation(T):
    def inner(w, x, y):
        return ((w @ x - y) ** 2).sum()

    def outer(w):
        def one(x, y):
            return inner(w - 0.1 * T.func.grad(inner)(w, x, y), x, y)

        return T.func.vmap(one)(batch(T), T.ones(4, 2)).sum()

    w = T.arange(6.0).reshape(2, 3) / 5
    return [T.func.grad(outer)(w), T.func.hessian(outer)(w)]


def own_rule(T):
    class Square(T.autograd.Function):
        generate_vmap_rule = True

        @staticmethod
        def forward(x):
            return x * x

        @staticmethod
        def setup_context(ctx, inputs, output):
            ctx.save_for_backward(inputs[0])

        @staticmethod
        def backward(ctx, g):
            return 2 * ctx.saved_tensors[0] * g

    return [T.func.vmap(T.func.grad(lambda x: Square.apply(x).sum()))(batch(T)), T.func.vmap(Square.apply)(batch(T))]


CASES = {
    "randn": drawn(lambda T, x: x + T.randn(3)),
    "long randn": drawn(lambda T, x: x + T.randn(20), lambda T: T.ones(4, 1)),
    "dropout": drawn(lambda T, x: T.nn.functional.dropout(x, 0.5)),
    "bernoulli": drawn(lambda T, x: T.bernoulli(x / 3)),
    "rand_like": drawn(lambda T, x: T.rand_like(x)),
    "normal_": drawn(lambda T, x: x.clone().normal_()),
    "randint": drawn(lambda T, x: T.randint(0, 10, (5,))),
    "randperm": drawn(lambda T, x: T.randperm(5)),
    "normal": drawn(lambda T, x: T.normal(x, 1.0)),
    "same": lambda T: T.func.vmap(lambda x: x + T.randn(3), randomness="same")(batch(T)),
    "indices": lambda T: T.func.vmap(lambda x, i: x[i])(batch(T), T.tensor([[2, 1], [1, 1], [0, 0], [2, 2]])),
    "numbers of another type": lambda T: T.func.vmap(lambda x: x.sum() * T.tensor(2.0, dtype=T.float64))(batch(T)),
    "residual": residual,
    "products": products,
    "adaptation": adaptation,
    "own rule": own_rule,
}


@pytest.mark.parametrize("case", [pytest.param(c, id=n) for n, c in CASES.items()])
def test_same_as_pytorch(case):
    check(case)
