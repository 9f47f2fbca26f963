"""Sparse tensors in coordinates: what they are, their products and gradients, and what they refuse."""

import copy
import pickle

import numpy as np
import pytest

import autodiffc as T
from autodiffc.autograd import Function, gradcheck, gradgradcheck

INDICES = [[0, 1, 1, 2], [2, 0, 0, 1]]
DENSE = np.array([[0, 0, 1, 0], [5, 0, 0, 0], [0, 4, 0, 0.0]])


def example(requires_grad=False, dtype=T.float64):
    values = T.tensor([1.0, 2, 3, 4], dtype=dtype, requires_grad=requires_grad)
    return T.sparse_coo_tensor(INDICES, values, (3, 4)), values


def test_what_it_is():
    s, _ = example()
    assert isinstance(s, T.Tensor) and isinstance(s, T.sparse.DoubleTensor) and not isinstance(s, T.sparse.FloatTensor)
    assert s.is_sparse and s.layout is T.sparse_coo and s.dtype is T.float64 and s.device == T.device("cpu")
    assert s.shape == s.size() == T.Size([3, 4]) and s.size(1) == 4 and s.ndim == s.dim() == 2 and s.numel() == 12
    assert (s._nnz(), s.sparse_dim(), s.dense_dim(), len(s)) == (4, 2, 0, 3)
    assert not s.is_coalesced() and s.coalesce().is_coalesced()
    assert s.type() == "torch.sparse.DoubleTensor" and s.float().dtype is T.float32
    assert T.is_tensor(s) and not T.ones(2).is_sparse and T.ones(2).dense_dim() == 1


def test_coalesce_and_conversions():
    s, _ = example()
    c = s.coalesce()
    assert c.indices().tolist() == [[0, 1, 2], [2, 0, 1]] and c.values().tolist() == [1, 5, 4]
    np.testing.assert_array_equal(s.to_dense().numpy(), DENSE)
    np.testing.assert_array_equal(c.to_dense().numpy(), DENSE)
    back = T.from_numpy(DENSE).to_sparse()
    assert back.is_coalesced() and back.values().tolist() == [1, 5, 4]
    rows = T.from_numpy(DENSE).to_sparse(1)
    assert rows.dense_dim() == 1 and rows.values().shape == (3, 4)
    np.testing.assert_array_equal(rows.to_dense().numpy(), DENSE)
    for name in ("indices", "values"):
        with pytest.raises(RuntimeError, match="coalesce"):
            getattr(s, name)()


def test_repr():
    s, _ = example(True, T.float32)
    assert repr(s) == (
        "tensor(indices=tensor([[0, 1, 1, 2],\n                       [2, 0, 0, 1]]),\n"
        "       values=tensor([1., 2., 3., 4.]),\n"
        "       size=(3, 4), nnz=4, layout=torch.sparse_coo, requires_grad=True)"
    )


@pytest.mark.parametrize(
    "product",
    [
        lambda s, d: s @ d,
        T.mm,
        T.matmul,
        T.spmm,
        T.sparse.mm,
        lambda s, d: s.mm(d),
        lambda s, d: s.matmul(d),
        lambda s, d: T.sparse.addmm(T.zeros(3, 2, dtype=T.float64), s, d),
        lambda s, d: (d.t() @ s.t()).t(),
    ],
)
def test_products(product):
    s, values = example(True)
    d = T.arange(8.0, dtype=T.float64).reshape(4, 2).requires_grad_()
    y = product(s, d)
    np.testing.assert_array_equal(y.detach().numpy(), DENSE @ d.detach().numpy())
    (y * y).sum().backward()
    g = 2 * y.detach().numpy()
    full = g @ d.detach().numpy().T
    np.testing.assert_array_equal(values.grad.numpy(), full[tuple(INDICES)])
    np.testing.assert_array_equal(d.grad.numpy(), DENSE.T @ g)
    np.testing.assert_array_equal(s.grad.to_dense().numpy(), np.where(DENSE, full * np.where(DENSE == 5, 2, 1), 0))


def test_product_with_a_vector():
    s, _ = example()
    assert (s @ T.ones(4, dtype=T.float64)).tolist() == [1, 5, 4]


def test_derivatives():
    s, values = example(True)
    d = T.randn(4, 3, dtype=T.float64, requires_grad=True)
    f = lambda v, d: T.sparse_coo_tensor(INDICES, v, (3, 4)) @ d  # noqa: E731
    assert gradcheck(f, (values, d), check_forward_ad=True)
    assert gradgradcheck(f, (values, d))
    assert gradcheck(lambda v: T.sparse_coo_tensor(INDICES, v, (3, 4)).coalesce().to_dense(), (values,))
    assert gradcheck(lambda v: T.sparse.softmax(T.sparse_coo_tensor(INDICES, v, (3, 4)), 1).to_dense(), (values,))


def test_bits_do_not_depend_on_threads():
    rng = np.random.default_rng(1)
    at = T.from_numpy(rng.integers(0, 500, (2, 9000)))
    s = T.sparse_coo_tensor(at, T.from_numpy(rng.standard_normal(9000).astype(np.float32)), (500, 500))
    d = T.from_numpy(rng.standard_normal((500, 33)).astype(np.float32))
    was, found = T.get_num_threads(), []
    try:
        for n in (1, 2, 3):
            T.set_num_threads(n)
            found.append((s @ d).numpy().tobytes())
    finally:
        T.set_num_threads(was)
    assert len(set(found)) == 1
    np.testing.assert_allclose((s @ d).numpy(), s.to_dense().numpy() @ d.numpy(), rtol=1e-4, atol=1e-4)


def test_captured():
    s, _ = example(dtype=T.float32)
    w = T.ones(4, 2, requires_grad=True)

    @T.compile
    def step(x):
        w.grad = None
        loss = ((s @ w) * x).sum()
        loss.backward()
        return loss, w.grad * 1

    for k in range(4):
        loss, g = step(T.full((3, 2), float(k)))
        assert loss.item() == 20 * k and g[0].tolist() == [5 * k, 5 * k]


def test_arithmetic():
    s, _ = example()
    np.testing.assert_array_equal((s * 2).to_dense().numpy(), 2 * DENSE)
    np.testing.assert_array_equal((s / 2).to_dense().numpy(), DENSE / 2)
    np.testing.assert_array_equal((s + s).to_dense().numpy(), 2 * DENSE)
    np.testing.assert_array_equal((s - s * 3).to_dense().numpy(), -2 * DENSE)
    np.testing.assert_array_equal((s + T.ones(3, 4, dtype=T.float64)).numpy(), DENSE + 1)
    np.testing.assert_array_equal((-s).abs().to_dense().numpy(), DENSE)
    np.testing.assert_array_equal((s**2).sqrt().to_dense().numpy(), DENSE)
    np.testing.assert_array_equal(s.t().to_dense().numpy(), DENSE.T)
    np.testing.assert_array_equal(s[1].to_dense().numpy(), DENSE[1])
    np.testing.assert_array_equal(s.index_select(0, T.tensor([2, 0])).to_dense().numpy(), DENSE[[2, 0]])
    assert T.sparse.sum(s).item() == 10
    np.testing.assert_array_equal(T.sparse.sum(s, 0).to_dense().numpy(), DENSE.sum(0))
    np.testing.assert_array_equal(s.sum((0, 1)).numpy(), 10)
    lines = T.sparse.log_softmax(T.sparse_coo_tensor([[0, 0, 1], [1, 2, 0]], [1.0, 2, 3], (2, 3)), 1)
    np.testing.assert_allclose(lines.values().exp().tolist(), [0.2689414, 0.7310586, 1], rtol=1e-5)


def test_masks_and_diagonals():
    s, _ = example()
    m = T.arange(12.0, dtype=T.float64).reshape(3, 4).sparse_mask(s.coalesce())
    assert m.values().tolist() == [2, 4, 9]
    d = T.sparse.spdiags(T.tensor([[1.0, 2, 3], [4, 5, 6]]), T.tensor([0, 1]), (3, 3))
    assert d.to_dense().tolist() == [[1, 5, 0], [0, 2, 6], [0, 0, 3]]
    assert T.smm(s, T.eye(4, dtype=T.float64)).is_sparse and T.hspmm(s, T.eye(4, dtype=T.float64)).sparse_dim() == 1


def test_functions_of_python():
    """A Function may take, save and return sparse tensors."""

    class Product(Function):
        @staticmethod
        def forward(ctx, s, d):
            ctx.save_for_backward(s, d)
            return s @ d

        @staticmethod
        def backward(ctx, g):
            s, d = ctx.saved_tensors
            assert s.is_sparse
            return None, s.t() @ g

    s, _ = example()
    d = T.ones(4, 2, dtype=T.float64, requires_grad=True)
    Product.apply(s, d).sum().backward()
    assert d.grad[:, 0].tolist() == [5, 4, 1, 0]


def test_copies_and_modules():
    s, _ = example()
    for other in (copy.copy(s), copy.deepcopy(s), pickle.loads(pickle.dumps(s)), s.clone(), s.detach(), s.to("cpu")):
        assert other.is_sparse and other.to_dense().tolist() == s.to_dense().tolist()
    layer = T.nn.Module()
    layer.register_buffer("adjacency", s)
    assert layer.float().adjacency.dtype is T.float32


def test_old_constructors():
    i, v = T.tensor(INDICES), T.tensor([1.0, 2, 3, 4])
    s = T.sparse.FloatTensor(i, v, T.Size([3, 4]))
    assert s.is_sparse and s.to_dense().sum().item() == 10
    assert T.sparse.FloatTensor(2, 3).to_dense().tolist() == [[0, 0, 0], [0, 0, 0]]
    assert T.sparse_coo_tensor((2, 3)).shape == (2, 3) and T.sparse_coo_tensor(i, v).shape == (3, 3)


@pytest.mark.parametrize(
    "make, error",
    [
        (lambda: T.sparse_coo_tensor([[0, 3]], [1.0, 2.0], (3,)), RuntimeError),
        (lambda: T.sparse_coo_tensor([[0, -1]], [1.0, 2.0], (3,)), RuntimeError),
        (lambda: T.sparse_coo_tensor([[0, 1]], [1.0], (3,)), RuntimeError),
        (lambda: T.sparse_coo_tensor([0, 1], [1.0, 2.0], (3,)), RuntimeError),
        (lambda: T.sparse_coo_tensor([[0.5]], [1.0], (3,)), RuntimeError),
        (lambda: T.sparse_coo_tensor([[0]], [1.0], (3, 3)), RuntimeError),
        (lambda: T.sparse_coo_tensor([[0]], [1.0], (3,), device="cuda"), AssertionError),
        (lambda: example()[0] @ T.ones(3, 2, dtype=T.float64), RuntimeError),
        (lambda: example()[0] @ T.ones(4, 2), RuntimeError),
        (lambda: example()[0] @ example()[0].t(), NotImplementedError),
        (lambda: example()[0] + 1, NotImplementedError),
        (lambda: 1 - example()[0], NotImplementedError),
        (lambda: example()[0].exp(), NotImplementedError),
        (lambda: T.exp(example()[0]), NotImplementedError),
        (lambda: T.ones(3, 4) * example()[0], NotImplementedError),
        (lambda: example()[0].backward(), NotImplementedError),
        (lambda: example()[0][:, 1], NotImplementedError),
        (lambda: example()[0] == 1, NotImplementedError),
        (lambda: T.sparse.sum(T.ones(2)), RuntimeError),
        (lambda: T.ones(2).coalesce(), RuntimeError),
        (lambda: T.ones(2).values(), RuntimeError),
        (lambda: T.sparse.mm(T.ones(2, 2), "x"), TypeError),
    ],
)
def test_refusals(make, error):
    with pytest.raises(error):
        make()


# ---- sparse gradients ----


def test_embedding_leaves_a_sparse_gradient():
    e = T.nn.Embedding(1000, 4, padding_idx=3, sparse=True)
    (e(T.tensor([[7, 3], [7, 9]])) * T.arange(16.0).reshape(2, 2, 4)).sum().backward()
    g = e.weight.grad
    assert g.is_sparse and g.shape == (1000, 4) and g._indices().tolist() == [[7, 7, 9]]
    dense = T.nn.functional.embedding(T.tensor([[7, 3], [7, 9]]), w := e.weight.detach().requires_grad_(), 3)
    (dense * T.arange(16.0).reshape(2, 2, 4)).sum().backward()
    assert g.to_dense().equal(w.grad)
    assert T.autograd.grad(e(T.tensor([1])).sum(), e.weight)[0].shape == (1000, 4)  # a dense one
    e.weight.grad = None
    assert e.weight.grad is None
    seen = []
    e.weight.register_hook(seen.append)  # which are given dense ones
    e(T.tensor([5])).sum().backward()
    assert not e.weight.grad.is_sparse and seen[0][5].tolist() == [1] * 4
    with pytest.raises(RuntimeError, match="does not support sparse"):
        f = T.nn.Embedding(4, 2, sparse=True)
        f(T.tensor([1])).sum().backward()
        T.optim.Adam(f.parameters()).step()
    with pytest.raises(RuntimeError, match="cannot be that of"):
        f.weight.grad = T.sparse_coo_tensor([[0]], [1.0], (4,))


@pytest.mark.parametrize("mode", ["sum", "mean"])
@pytest.mark.parametrize("padding", [None, 2])
def test_embedding_bag_leaves_a_sparse_gradient(mode, padding):
    """A row for each position that counts, in order: 1, 2, 2 in one bag, none in the next, then 5, 1, 0."""
    i, offsets = T.tensor([1, 2, 2, 5, 1, 0]), T.tensor([0, 3, 3])
    weights = T.arange(1.0, 7) if mode == "sum" else None
    direction = T.arange(1.0, 7).reshape(3, 2)
    grads = []
    for sparse in (True, False):
        w = T.arange(12.0).reshape(6, 2).requires_grad_()
        y = T.nn.functional.embedding_bag(i, w, offsets, mode=mode, sparse=sparse, padding_idx=padding,
                                          per_sample_weights=weights)
        y.backward(direction)
        grads.append(w.grad)
    counted = [k for k in i.tolist() if k != padding]
    assert grads[0].is_sparse and grads[0]._indices().tolist() == [counted] and grads[0]._nnz() == len(counted)
    assert not grads[1].is_sparse and T.allclose(grads[0].to_dense(), grads[1], rtol=1e-6)


def test_embedding_bag_in_a_module_and_what_it_refuses():
    bag = T.nn.EmbeddingBag(6, 2, sparse=True, mode="sum")
    two = T.tensor([[1, 2, 2], [5, 1, 0]])
    bag(two).sum().backward()
    bag(two).sum().backward()
    assert bag.weight.grad.is_sparse and bag.weight.grad.to_dense()[2].tolist() == [4, 4]
    T.optim.SparseAdam(bag.parameters()).step()
    half = T.nn.EmbeddingBag(6, 700, sparse=True, mode="mean").bfloat16()
    half(two).sum().backward()
    assert half.weight.grad.to_dense()[1].float().allclose(T.full((700,), 2 / 3), rtol=1e-2)
    w = T.randn(6, 2, requires_grad=True)
    T.nn.functional.embedding_bag(two, w * 1, sparse=True).sum().backward()  # no leaf: a dense one
    assert not w.grad.is_sparse
    with pytest.raises(ValueError, match="max mode does not support sparse"):
        T.nn.functional.embedding_bag(two, w, mode="max", sparse=True)
    with pytest.raises(RuntimeError, match="scale_grad_by_freq not supported with sparse"):
        T.nn.functional.embedding_bag(two, w, sparse=True, scale_grad_by_freq=True).sum().backward()


def test_sparse_gradients_are_let_go(stats):
    e = T.nn.Embedding(50, 4, sparse=True)
    o = T.optim.SparseAdam(e.parameters())

    def step():
        o.zero_grad()
        e(T.tensor([1, 2, 1])).sum().backward()
        e(T.tensor([4])).sum().backward()
        o.step()

    step()
    step()
    before = stats()
    for _ in range(10):
        step()
    assert stats() == before
    kept = e.weight.grad
    assert kept.to_dense().sum().item() == 16
