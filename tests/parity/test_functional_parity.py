"""nn.functional against PyTorch: each case is a function that both libraries run at once."""

# ruff: noqa: B023
import numpy as np
import pytest
import torch

import autodiffc

from .both import EDGES, RNG, X, Y, check, tensor, value_and_grads

pytestmark = pytest.mark.parity


ACTIVATIONS = {
    "relu": (),
    "relu6": (),
    "elu": (0.7,),
    "selu": (),
    "celu": (0.7,),
    "leaky_relu": (0.2,),
    "gelu": (),
    "logsigmoid": (),
    "hardshrink": (0.4,),
    "tanhshrink": (),
    "softsign": (),
    "softplus": (2.0, 5.0),
    "softshrink": (0.4,),
    "tanh": (),
    "sigmoid": (),
    "hardtanh": (-0.7, 0.9),
    "hardsigmoid": (),
    "silu": (),
    "mish": (),
    "hardswish": (),
    "threshold": (0.1, 20.0),
    "rrelu": (),
    "softmax": (1,),
    "softmin": (0,),
    "log_softmax": (-1,),
    "glu": (1,),
    "normalize": (),
}


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activation(name):
    check(lambda T: value_and_grads(T, lambda x: getattr(T.nn.functional, name)(x, *ACTIVATIONS[name]), X))


@pytest.mark.parametrize(
    "name", [n for n in ACTIVATIONS if "soft" not in n and n not in ("glu", "normalize")]
)
def test_activation_edges(name):
    edges = EDGES[EDGES != np.inf] if name == "gelu" else EDGES  # float32 gelu(inf) is NaN there, in float64 inf
    check(lambda T: getattr(T.nn.functional, name)(tensor(T, edges), *ACTIVATIONS[name]))


@pytest.mark.parametrize(
    "name",
    [
        "relu",
        "relu6",
        "elu",
        "selu",
        "celu",
        "leaky_relu",
        "hardtanh",
        "hardsigmoid",
        "silu",
        "mish",
        "hardswish",
        "threshold",
        "rrelu",
    ],
)
def test_activation_in_place(name):
    def case(T):
        def function(x):
            y = x * 1.0
            assert getattr(T.nn.functional, name)(y, *ACTIVATIONS[name], inplace=True) is y
            return y

        return value_and_grads(T, function, X)

    check(case)


def test_gelu_tanh_and_prelu():
    check(lambda T: value_and_grads(T, lambda x: T.nn.functional.gelu(x, approximate="tanh"), X))
    check(lambda T: value_and_grads(T, T.nn.functional.prelu, X, np.array([0.3], np.float32)))
    check(lambda T: value_and_grads(T, T.nn.functional.prelu, X, np.linspace(0, 1, 6).astype(np.float32)))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_random_functions(dtype):
    x = RNG.standard_normal((3, 4, 2, 2)).astype(dtype)
    for name, args in [
        ("dropout", (0.3,)),
        ("dropout1d", (0.3,)),
        ("dropout2d", (0.3,)),
        ("dropout3d", (0.3,)),
        ("alpha_dropout", (0.3, True)),
        ("feature_alpha_dropout", (0.3, True)),
        ("rrelu", (0.1, 0.4, True)),
        ("gumbel_softmax", (0.7,)),
        ("gumbel_softmax", (0.7, True, 1e-10, 1)),
        ("dropout", (1.0,)),
        ("dropout", (0.0,)),
        ("dropout2d", (1.0,)),
        ("alpha_dropout", (1.0, True)),
        ("dropout2d", (0.5, False)),
    ]:
        array = x[0, 0] if name == "dropout1d" else x
        check(lambda T: value_and_grads(T, lambda t: getattr(T.nn.functional, name)(t, *args), array))


@pytest.mark.parametrize("sizes", [(7,), (3, 4), (2, 3, 5), (2, 3, 4, 5), (2, 3, 2, 2, 3)])
@pytest.mark.parametrize("p", [0.0, 0.5, 1.0])
def test_channel_dropout_of_any_sizes(sizes, p):
    x = RNG.standard_normal(sizes).astype("f")
    for name in ("dropout1d", "dropout2d", "dropout3d", "feature_alpha_dropout"):
        for training in (True, False):
            check(lambda T: value_and_grads(T, lambda t: getattr(T.nn.functional, name)(t, p, training), x))


LABELS = np.array([1, 0, 5, 2])
SIGNS = np.array([1.0, -1.0, -1.0, 1.0], np.float32)
PROBS = (np.abs(X) / (1 + np.abs(X))).astype(np.float32)
TARGETS = (Y > 0).astype(np.float32)
WEIGHT6 = np.linspace(0.2, 2.0, 6).astype(np.float32)
LOGP = (X - np.log(np.exp(X).sum(1, keepdims=True))).astype(np.float32)
DIST = (np.exp(Y) / np.exp(Y).sum(1, keepdims=True)).astype(np.float32)
SIGNS46 = np.where(Y > 0, 1, -1).astype(np.float32)
LOSSES = {
    "mse_loss": [((X, Y), {})],
    "l1_loss": [((X, Y), {})],
    "smooth_l1_loss": [((X, Y), {"beta": 0.5}), ((X, Y), {"beta": 0.0})],
    "huber_loss": [((X, Y), {"delta": 0.5})],
    "nll_loss": [
        ((LOGP, LABELS), {}),
        ((LOGP, LABELS), {"ignore_index": 2}),
        ((LOGP, LABELS), {"weight": WEIGHT6}),
    ],
    "cross_entropy": [
        ((X, LABELS), {}),
        ((X, LABELS), {"weight": WEIGHT6, "label_smoothing": 0.1}),
        ((X, DIST), {}),
        ((X, DIST), {"weight": WEIGHT6, "label_smoothing": 0.2}),
        ((X, LABELS), {"ignore_index": 5}),
    ],
    "binary_cross_entropy": [((PROBS, TARGETS), {}), ((PROBS, TARGETS), {"weight": WEIGHT6})],
    "binary_cross_entropy_with_logits": [
        ((X, TARGETS), {}),
        ((X, TARGETS), {"weight": WEIGHT6, "pos_weight": WEIGHT6}),
    ],
    "kl_div": [((LOGP, DIST), {}), ((LOGP, LOGP * 1.1), {"log_target": True})],
    "poisson_nll_loss": [
        ((X, np.abs(Y)), {}),
        ((np.abs(X), np.abs(Y) * 3), {"log_input": False, "full": True}),
    ],
    "gaussian_nll_loss": [
        ((X, Y, np.abs(Y)), {}),
        ((X, Y, np.abs(Y[:, :1])), {"full": True}),
        ((X, Y, np.abs(Y[:, 0]) * 0), {"eps": 0.1}),
    ],
    "hinge_embedding_loss": [((X, SIGNS46), {"margin": 0.7})],
    "margin_ranking_loss": [((X, Y, SIGNS46), {"margin": 0.3})],
    "cosine_embedding_loss": [((X, Y, SIGNS), {"margin": 0.1}), ((X[0], Y[0], np.float32(-1)), {})],
    "triplet_margin_loss": [
        ((X, Y, X[::-1].copy()), {"margin": 3.0}),
        ((X, Y, X[::-1].copy()), {"margin": 3.0, "p": 1, "swap": True}),
    ],
    "triplet_margin_with_distance_loss": [((X, Y, X[::-1].copy()), {"margin": 3.0, "swap": True})],
    "soft_margin_loss": [((X, SIGNS46), {})],
    "multilabel_soft_margin_loss": [((X, TARGETS), {}), ((X, TARGETS), {"weight": WEIGHT6})],
    "multilabel_margin_loss": [
        ((X, np.array([[1, 3, -1, 2, 2, 2], [0, -1, 1, 1, 1, 1], [-1] * 6, [5, 4, 3, 2, 1, 0]])), {}),
        ((X[0], np.array([1, 3, -1, 2, 2, 2])), {}),
    ],
    "multi_margin_loss": [
        ((X, LABELS), {}),
        ((X, LABELS), {"p": 2, "margin": 0.8, "weight": WEIGHT6}),
        ((X[0], np.array(2)), {}),
    ],
}


@pytest.mark.parametrize("reduction", ["mean", "sum", "none", "wrong"])
@pytest.mark.parametrize("name", LOSSES)
def test_loss(name, reduction):
    for arrays, options in LOSSES[name]:

        def case(T):
            given = {k: tensor(T, v) if isinstance(v, np.ndarray) else v for k, v in options.items()}
            inputs = [tensor(T, a, k == 0) for k, a in enumerate(arrays)]
            loss = getattr(T.nn.functional, name)(*inputs, reduction=reduction, **given)
            loss.sum().backward()
            return [loss, inputs[0].grad]

        check(case)


def test_weighted_regression_losses():
    w = np.abs(Y) + 0.1
    for name in ("mse_loss", "l1_loss", "huber_loss"):
        for reduction in ("mean", "sum", "none"):
            check(
                lambda T: getattr(T.nn.functional, name)(
                    tensor(T, X), tensor(T, Y), reduction=reduction, weight=tensor(T, w)
                )
            )
        check(lambda T: getattr(T.nn.functional, name)(tensor(T, X), tensor(T, Y), weight=tensor(T, w[0])))


def test_old_reductions():
    for size_average in (None, True, False):
        for reduce in (None, True, False):
            check(lambda T: T.nn.functional.mse_loss(tensor(T, X), tensor(T, Y), size_average, reduce))
            check(
                lambda T: T.nn.CrossEntropyLoss(None, size_average, -100, reduce)(
                    tensor(T, X), tensor(T, LABELS)
                )
            )


def test_distances_bilinear_embedding():
    check(lambda T: value_and_grads(T, T.nn.functional.cosine_similarity, X, Y))
    check(lambda T: value_and_grads(T, lambda a, b: T.nn.CosineSimilarity(0, 3.0)(a, b), X, Y[:1]))
    check(lambda T: value_and_grads(T, T.nn.functional.pairwise_distance, X, Y))
    check(lambda T: value_and_grads(T, lambda a, b: T.nn.PairwiseDistance(1.0, keepdim=True)(a, b), X, Y))
    w = RNG.standard_normal((3, 6, 2)).astype(np.float32)
    check(lambda T: value_and_grads(T, T.nn.functional.bilinear, X, X[:, :2].copy(), w, w[:, 0, 0].copy()))
    check(lambda T: value_and_grads(T, T.nn.functional.bilinear, X[0], X[0, :2].copy(), w))
    table = RNG.standard_normal((5, 3)).astype(np.float32)
    index = np.array([[0, 1, 1], [4, 2, 1]])
    for options in ({}, {"padding_idx": 1}, {"padding_idx": -1}, {"scale_grad_by_freq": True}):
        check(
            lambda T: value_and_grads(
                T, lambda w: T.nn.functional.embedding(tensor(T, index), w, **options), table
            )
        )

    def renormed(T):
        w = tensor(T, table)
        return [T.nn.functional.embedding(tensor(T, index[:1]), w, max_norm=0.5, norm_type=1.0), w]

    check(renormed)


def test_hermitian_pinv_of_a_matrix_that_is_not():
    """One triangle is read, and the gradient follows PyTorch's formula, which takes the matrix as it is."""
    a, w = np.random.default_rng(0).standard_normal((2, 5, 5))
    grads = []
    for T in (autodiffc, torch):
        x = T.tensor(a, requires_grad=True)
        (T.linalg.pinv(x, hermitian=True) * T.tensor(w)).sum().backward()
        grads.append(np.array(x.grad.tolist()))
    np.testing.assert_allclose(grads[0], grads[1], rtol=1e-9, atol=1e-9 * np.abs(grads[1]).max())
