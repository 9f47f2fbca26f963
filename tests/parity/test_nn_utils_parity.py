"""nn.utils against PyTorch: the same steps give the same values, names and text."""

# ruff: noqa: B023
import importlib

import numpy as np
import pytest

from .both import check, tensor

pytestmark = [pytest.mark.parity, pytest.mark.filterwarnings("ignore::FutureWarning")]
RNG = np.random.default_rng(1)
X, XC = RNG.standard_normal((5, 3)).astype("f"), RNG.standard_normal((2, 3, 6, 6)).astype("f")
LAYERS = [
    (lambda T: T.nn.Linear(3, 4), X),
    (lambda T: T.nn.Conv2d(3, 4, 3), XC),
    (lambda T: T.nn.ConvTranspose2d(3, 4, 3), XC),
]


def train(T, make, x, change):
    layer = make(T)
    change(T, layer)
    seen = [repr(layer), [name for name, _ in layer.named_parameters()]]
    sgd = T.optim.SGD(layer.parameters(), lr=0.003)
    for _ in range(3):
        sgd.zero_grad()
        y = layer(tensor(T, x))
        y.sin().sum().backward()
        sgd.step()
        seen.append(y)
    seen += [layer.state_dict(), [p.grad for p in layer.parameters()]]
    layer.eval()
    return [*seen, layer(tensor(T, x))]


@pytest.mark.parametrize("make,x", LAYERS)
@pytest.mark.parametrize("dim", [0, 1, None])
def test_weight_norm(make, x, dim):
    check(lambda T: train(T, make, x, lambda T, m: T.nn.utils.weight_norm(m, dim=dim)), 1e-4)
    check(lambda T: train(T, make, x, lambda T, m: parametrizations(T).weight_norm(m, dim=dim)), 1e-4)


def parametrizations(T):
    return importlib.import_module(T.__name__ + ".nn.utils.parametrizations")


@pytest.mark.parametrize("make,x", LAYERS)
@pytest.mark.parametrize("options", [{}, {"n_power_iterations": 3, "dim": 1}, {"eps": 1e-3}])
def test_spectral_norm(make, x, options):
    check(lambda T: train(T, make, x, lambda T, m: T.nn.utils.spectral_norm(m, **options)), 1e-4)
    check(lambda T: train(T, make, x, lambda T, m: parametrizations(T).spectral_norm(m, **options)), 1e-4)


@pytest.mark.parametrize("sizes", [(3, 4), (3, 3), (3, 2)])
@pytest.mark.parametrize("how", [None, "matrix_exp", "cayley", "householder", "what"])
@pytest.mark.parametrize("trivial", [True, False])
def test_orthogonal(sizes, how, trivial):
    def change(T, m):
        parametrizations(T).orthogonal(m, orthogonal_map=how, use_trivialization=trivial)

    check(lambda T: train(T, lambda T: T.nn.Linear(*sizes), X, change), 1e-4)


PRUNE = {
    "l1": lambda T, p, m: p.l1_unstructured(m, "weight", 5),
    "l1 fraction": lambda T, p, m: p.l1_unstructured(m, "weight", 0.3),
    "random": lambda T, p, m: p.random_unstructured(m, "weight", 0.3),
    "random structured": lambda T, p, m: p.random_structured(m, "weight", 0.5, 0),
    "ln": lambda T, p, m: p.ln_structured(m, "weight", 2, 2, 1),
    "identity": lambda T, p, m: p.identity(m, "weight"),
    "mask": lambda T, p, m: p.custom_from_mask(m, "weight", T.ones(4, 3).triu()),
    "too many": lambda T, p, m: p.l1_unstructured(m, "weight", 100),
}


@pytest.mark.parametrize("first", PRUNE)
@pytest.mark.parametrize("second", PRUNE)
def test_prune(first, second):
    def run(T):
        p = importlib.import_module(T.__name__ + ".nn.utils.prune")
        layer = T.nn.Linear(3, 4)
        PRUNE[first](T, p, layer)
        PRUNE[second](T, p, layer)
        y = layer(tensor(T, X))
        y.sum().backward()
        seen = [layer.state_dict(), y, [q.grad for q in layer.parameters()], p.is_pruned(layer)]
        p.remove(layer, "weight")
        return [*seen, layer.state_dict(), p.is_pruned(layer)]

    check(run)
