"""embedding(sparse=True) and the optimizers that take its gradients, against PyTorch."""

import pytest

from .both import check

OPTIMIZERS = {
    "SGD": {"lr": 0.1},
    "SGD momentum": {"lr": 0.1, "momentum": 0.9, "dampening": 0.1},
    "SGD nesterov": {"lr": 0.1, "momentum": 0.9, "nesterov": True, "maximize": True},
    "SGD decay": {"lr": 0.1, "weight_decay": 0.1},
    "Adagrad": {"lr": 0.1, "lr_decay": 0.2, "initial_accumulator_value": 0.1},
    "Adagrad maximize": {"lr": 0.1, "maximize": True},
    "Adagrad decay": {"lr": 0.1, "weight_decay": 0.1},
    "SparseAdam": {"lr": 0.1, "betas": (0.8, 0.95)},
    "SparseAdam maximize": {"lr": 0.1, "maximize": True},
    "Adam": {},
    "AdamW": {},
    "RMSprop": {},
    "Adadelta": {},
    "Adamax": {},
    "NAdam": {},
    "RAdam": {},
    "ASGD": {},
    "Rprop": {},
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_steps(name):
    def case(T):
        T.manual_seed(0)
        e = T.nn.Embedding(7, 3, padding_idx=2, sparse=True)
        o = getattr(T.optim, name.split()[0])(e.parameters(), **OPTIMIZERS[name])
        for ids in ([[1, 1, 4]], [[2, 5, 1], [0, 0, 1]], [[2]], [[6, 4, 1]]):
            o.zero_grad()
            (e(T.tensor(ids)) ** 2).sum().backward()
            o.step()
        return [e.weight.detach(), e.weight.grad.to_dense(), e.weight.grad.is_sparse, e.weight.grad._nnz()]

    check(case)


def test_gradients():
    def case(T):
        T.manual_seed(0)
        e = T.nn.Embedding(5, 3, padding_idx=1, sparse=True)
        out = []

        def show():
            g = e.weight.grad
            out.extend([g.is_sparse, g.to_dense()])
            if g.is_sparse:
                out.extend([g.coalesce().indices(), g.coalesce().values()])

        (e(T.tensor([1, 1, 2])) * 2).sum().backward()
        show()
        e(T.tensor([[0, 2]])).sum().backward()
        show()
        e.weight.grad = e.weight.grad.coalesce()
        show()
        (e.weight * 3).sum().backward()  # dense and sparse give dense
        show()
        e(T.tensor([3])).sum().backward()
        show()
        e.weight.grad = None
        (e(T.tensor([3])) @ e.weight.t()).sum().backward()
        show()
        e.zero_grad()
        out.append(e.weight.grad is None)
        f = T.nn.functional.embedding(T.tensor([1, 1]), e.weight.detach().requires_grad_(), sparse=True)
        return [*out, f.detach()]

    check(case)


def test_refused():
    def case(T):
        e = T.nn.Embedding(5, 3, sparse=True, scale_grad_by_freq=True)
        e(T.tensor([1])).sum().backward()

    check(case)
    check(lambda T: T.optim.SparseAdam(T.nn.Linear(2, 2).parameters()).step())
