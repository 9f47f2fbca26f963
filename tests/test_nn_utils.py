"""nn.utils: weight and spectral normalization, parametrizations, pruning, folding batch norm into other layers."""

import copy
import pickle

import numpy as np
import pytest

import autodiffc as ad
from autodiffc import nn
from autodiffc.nn import utils
from autodiffc.nn.utils import parametrizations, parametrize, prune

X = np.random.default_rng(0).standard_normal((5, 3)).astype("f")


def singular_values(t):
    return np.linalg.svd(t.detach().numpy().reshape(t.shape[0], -1), compute_uv=False)


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_weight_norm():
    layer = nn.Linear(3, 4)
    before = layer(ad.from_numpy(X)).detach().numpy()
    assert utils.weight_norm(layer) is layer
    assert list(layer.state_dict()) == ["bias", "weight_g", "weight_v"]
    np.testing.assert_allclose(layer(ad.from_numpy(X)).detach().numpy(), before, rtol=1e-5)
    np.testing.assert_allclose(
        layer.weight_g.detach().numpy()[:, 0], np.linalg.norm(layer.weight_v.detach().numpy(), axis=1), rtol=1e-6
    )
    layer(ad.from_numpy(X)).sum().backward()
    assert layer.weight_g.grad.shape == (4, 1) and layer.weight_v.grad.shape == (4, 3)
    with pytest.raises(RuntimeError):
        utils.weight_norm(layer)
    newer = parametrizations.weight_norm(nn.Linear(3, 4))
    newer.load_state_dict(layer.state_dict())  # of the old names
    np.testing.assert_allclose(newer(ad.from_numpy(X)).detach().numpy(), before, rtol=1e-5)
    utils.remove_weight_norm(layer)
    assert list(layer.state_dict()) == ["bias", "weight"] and isinstance(layer.weight, nn.Parameter)
    np.testing.assert_allclose(layer(ad.from_numpy(X)).detach().numpy(), before, rtol=1e-5)
    with pytest.raises(ValueError):
        utils.remove_weight_norm(layer)


@pytest.mark.parametrize("old", [True, False])
def test_spectral_norm(old):
    ad.manual_seed(0)
    layer = (utils.spectral_norm if old else parametrizations.spectral_norm)(nn.Conv2d(3, 4, 3))
    for _ in range(50):
        layer(ad.ones(1, 3, 5, 5))
    assert singular_values(layer.weight)[0] == pytest.approx(1, abs=1e-3)
    layer(ad.ones(1, 3, 5, 5)).sum().backward()
    layer(ad.ones(1, 3, 5, 5)).sum().backward()
    if old:
        other = utils.spectral_norm(nn.Conv2d(3, 4, 3))
        other.load_state_dict(layer.state_dict())
        utils.remove_spectral_norm(layer)
    else:
        parametrize.remove_parametrizations(layer, "weight")
    assert list(layer.state_dict()) == (["bias", "weight"])
    assert singular_values(layer.weight)[0] == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("how", ["matrix_exp", "cayley", "householder"])
@pytest.mark.parametrize("sizes", [(3, 3), (3, 5), (5, 3)])
@pytest.mark.parametrize("trivial", [True, False])
def test_orthogonal(how, sizes, trivial):
    layer = parametrizations.orthogonal(nn.Linear(*sizes), orthogonal_map=how, use_trivialization=trivial)
    sgd = ad.optim.SGD(layer.parameters(), lr=0.5)
    for _ in range(3):
        w = layer.weight if layer.weight.shape[0] >= layer.weight.shape[1] else layer.weight.mT
        np.testing.assert_allclose((w.mT @ w).detach().numpy(), np.eye(min(sizes)), atol=1e-5)
        sgd.zero_grad()
        layer(ad.ones(2, sizes[0])).pow(2).sum().backward()
        sgd.step()
    if trivial or how == "householder":
        layer.weight = nn.init.orthogonal_(ad.empty(sizes[1], sizes[0]))


class Symmetric(nn.Module):
    def forward(self, X):
        return X.triu() + X.triu(1).mT

    def right_inverse(self, A):
        return A.triu()


def test_parametrize():
    layer = nn.Linear(3, 3)
    parameter = layer.weight
    parametrize.register_parametrization(layer, "weight", Symmetric())
    assert layer.parametrizations.weight.original is parameter
    assert type(layer).__name__ == "ParametrizedLinear" and isinstance(layer, nn.Linear)
    assert parametrize.type_before_parametrizations(layer) is nn.Linear
    assert parametrize.is_parametrized(layer, "weight") and not parametrize.is_parametrized(layer, "bias")
    assert ad.equal(layer.weight, layer.weight.mT)
    with parametrize.cached():
        assert layer.weight is layer.weight
    assert layer.weight is not layer.weight
    layer.weight = ad.full((3, 3), 2.0)
    assert layer.weight.tolist() == [[2] * 3] * 3
    twin = copy.deepcopy(layer)
    twin.weight = ad.eye(3)
    assert layer.weight.tolist() == [[2] * 3] * 3
    twin.load_state_dict(layer.state_dict())
    assert ad.equal(twin.weight, layer.weight)
    with pytest.raises(RuntimeError, match="state_dict"):
        pickle.dumps(layer)
    with pytest.raises(ValueError):
        parametrize.register_parametrization(layer, "nothing", Symmetric())
    parametrize.remove_parametrizations(layer, "weight")
    assert type(layer) is nn.Linear and layer.weight is parameter and list(layer.state_dict()) == ["bias", "weight"]
    pickle.dumps(layer)


def test_captured_parametrization():
    def train(captured):
        ad.manual_seed(0)
        layer = parametrizations.spectral_norm(nn.Linear(3, 4))
        sgd = ad.optim.SGD(layer.parameters(), lr=0.1)

        def step(x):
            sgd.zero_grad()
            loss = layer(x).sin().sum()
            loss.backward()
            sgd.step()
            return loss

        run = ad.compile(step) if captured else step
        return [run(ad.from_numpy(X * k)).item() for k in range(1, 6)], [
            t.tolist() for t in layer.state_dict().values()
        ]

    assert train(True) == train(False)


def test_prune():
    layer = nn.Linear(6, 4)
    with ad.no_grad():
        layer.weight.copy_(ad.arange(24.0).reshape(4, 6) + 1)
    prune.l1_unstructured(layer, "weight", 5)
    assert (layer.weight == 0).sum().item() == 5 and list(layer.state_dict()) == ["bias", "weight_orig", "weight_mask"]
    prune.ln_structured(layer, "weight", 0.5, 2, 1)
    assert [bool(c.any()) for c in layer.weight.T] == [False, False, False, True, True, True]
    layer(ad.ones(2, 6)).sum().backward()
    assert layer.weight_orig.grad[:, :3].abs().sum().item() == 0
    assert prune.is_pruned(layer)
    prune.remove(layer, "weight")
    assert not prune.is_pruned(layer) and (layer.weight == 0).sum().item() >= 12
    for amount, error in ((1.5, ValueError), (-1, ValueError), ("a", TypeError), (100, ValueError)):
        with pytest.raises(error):
            prune.l1_unstructured(nn.Linear(2, 2), "weight", amount)
    model = nn.Sequential(nn.Linear(6, 4), nn.Linear(4, 2))
    prune.global_unstructured([(m, "weight") for m in model], prune.L1Unstructured, amount=0.5)
    assert sum((m.weight == 0).sum().item() for m in model) == 16


def test_fusion():
    conv, norm = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)
    norm(ad.randn(5, 4, 3, 3))
    with pytest.raises(AssertionError):
        utils.fuse_conv_bn_eval(conv, norm)
    conv.eval(), norm.eval()
    x = ad.randn(2, 3, 6, 6)
    fused = utils.fuse_conv_bn_eval(conv, norm)
    np.testing.assert_allclose(fused(x).detach().numpy(), norm(conv(x)).detach().numpy(), rtol=1e-4, atol=1e-5)
    linear, norm = nn.Linear(3, 4, bias=False), nn.BatchNorm1d(4)
    norm(ad.randn(5, 4))
    linear.eval(), norm.eval()
    x = ad.from_numpy(X)
    fused = utils.fuse_linear_bn_eval(linear, norm)
    np.testing.assert_allclose(fused(x).detach().numpy(), norm(linear(x)).detach().numpy(), rtol=1e-4, atol=1e-5)


def test_skip_init():
    ad.manual_seed(0)
    expected = ad.rand(3).tolist()
    ad.manual_seed(0)
    assert utils.skip_init(nn.Linear, 3, 4).weight.shape == (4, 3)
    assert ad.rand(3).tolist() == expected
    with pytest.raises(RuntimeError):
        utils.skip_init(dict)


def test_lazy():
    for layer, sizes in (
        (nn.LazyLinear(4), (2, 3)),
        (nn.LazyBatchNorm1d(), (2, 3)),
        (nn.LazyInstanceNorm2d(), (2, 3, 4, 4)),
    ):
        assert layer.has_uninitialized_params()
        layer(ad.ones(*sizes))
        assert not type(layer).__name__.startswith("Lazy")
