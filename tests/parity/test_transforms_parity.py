"""Checkpoints and vmap against PyTorch."""

import warnings

import pytest

from .both import X, Y, check, tensor

pytestmark = [pytest.mark.parity, pytest.mark.filterwarnings("ignore")]


@pytest.mark.parametrize("reentrant", [True, False, None])
@pytest.mark.parametrize("preserve", [True, False])
def test_checkpoint(reentrant, preserve):
    def case(T):
        from importlib import import_module

        c = import_module(T.__name__ + ".utils.checkpoint")
        net = T.nn.Sequential(T.nn.Linear(6, 8), T.nn.Dropout(0.2), T.nn.Tanh(), T.nn.Linear(8, 2))
        x = tensor(T, X, True)
        T.manual_seed(3)
        y = c.checkpoint(net, x, use_reentrant=reentrant, preserve_rng_state=preserve)
        z = c.checkpoint_sequential(net, 2, x, use_reentrant=reentrant, preserve_rng_state=preserve)
        (y.pow(2).sum() + z.exp().sum()).backward()
        return [y, z, x.grad, [p.grad for p in net.parameters()], T.rand(2)]

    check(case)


ERRORS = [
    lambda T, c, x: c.checkpoint(T.sin, x, use_reentrant=True, foo=1),
    lambda T, c, x: T.autograd.grad(c.checkpoint(T.sin, x, use_reentrant=True).sum(), x),
    lambda T, c, x: c.checkpoint_sequential([T.sin], 1, x, foo=1),
    lambda T, c, x: c.detach_variable(3),
]


@pytest.mark.parametrize("case", ERRORS)
def test_checkpoint_errors(case):
    def run(T):
        from importlib import import_module

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return case(T, import_module(T.__name__ + ".utils.checkpoint"), tensor(T, X, True))

    check(run)


VMAPPED = [
    lambda T: T.vmap(T.dot)(tensor(T, X), tensor(T, Y)),
    lambda T: T.vmap(lambda x, y: (x * y).sin(), in_dims=(0, 1), out_dims=1)(tensor(T, X), tensor(T, Y.T.copy())),
    lambda T: T.vmap(T.func.grad(lambda x: x.exp().sum()))(tensor(T, X)),
    lambda T: T.vmap(T.func.jacrev(lambda x: x.sin() * x.sum()))(tensor(T, X)),
    lambda T: T.vmap(T.func.jacfwd(lambda x: x.sin() * x.sum()))(tensor(T, X)),
    lambda T: T.vmap(T.func.hessian(lambda x: (x**3).sum()))(tensor(T, X)),
    lambda T: T.func.jacrev(T.vmap(lambda x: x.pow(2).sum()))(tensor(T, X)),
    lambda T: T.vmap(T.vmap(T.mul, in_dims=(None, 0)), in_dims=(0, None))(tensor(T, X[0]), tensor(T, Y[0])),
    lambda T: T.vmap(lambda d: {"s": d["x"].sum(0)}, in_dims=({"x": 1},))({"x": tensor(T, X)}),
    lambda T: T.vmap(lambda x: x, in_dims=2)(tensor(T, X)),
    lambda T: T.vmap(lambda x: 3.0)(tensor(T, X)),
    lambda T: T.vmap(lambda x, y: x)(tensor(T, X), tensor(T, Y[:2])),
    lambda T: T.vmap(lambda x: x + T.rand(6))(tensor(T, X)),
    lambda T: T.vmap(lambda x: x, in_dims=(0, 0))(tensor(T, X)),
    lambda T: T.vmap(lambda x: x, out_dims=5)(tensor(T, X)),
    lambda T: T.vmap(lambda x: x, randomness="a")(tensor(T, X)),
    lambda T: T.vmap(lambda x: x.sum())(T.ones(0, 3)),
]


@pytest.mark.parametrize("case", VMAPPED)
def test_vmap(case):
    check(case)
