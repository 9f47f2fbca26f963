"""nn, optim and lr_scheduler against PyTorch: each case is one function that both libraries run."""
import copy
import pickle
import warnings
from collections import OrderedDict

import numpy as np
import pytest

import autodiffc

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.parity

RNG = np.random.default_rng(0)
X = RNG.standard_normal((4, 6)).astype(np.float32)
Y = RNG.standard_normal((4, 6)).astype(np.float32)
EDGES = np.array([-7.0, -3.0, -1.0, -0.5, -0.0, 0.0, 0.25, 0.5, 1.0, 3.0, 6.0, 30.0, np.inf, -np.inf, np.nan],
                 dtype=np.float32)


def tensor(T, array, grad=False):
    t = T.from_numpy(np.array(array))
    return t.requires_grad_() if grad else t


def plain(value):
    """A result as NumPy arrays, numbers and strings, so that two libraries' can be compared."""
    if hasattr(value, "detach"):
        return np.array(value.detach().numpy())
    if isinstance(value, dict):
        return {str(key): plain(member) for key, member in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(member) for member in value]
    return value


def outcome(case, T):
    """What a case gives, or the class of what it raises."""
    T.manual_seed(7)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return plain(case(T))
        except Exception as error:
            return type(error)


def same(ours, theirs, tolerance=1e-5):
    if isinstance(theirs, np.ndarray):
        assert isinstance(ours, np.ndarray) and ours.dtype == theirs.dtype and ours.shape == theirs.shape
        np.testing.assert_allclose(ours, theirs, rtol=tolerance, atol=tolerance)
    elif isinstance(theirs, dict):
        assert isinstance(ours, dict) and list(ours) == list(theirs)
        for key in theirs:
            same(ours[key], theirs[key], tolerance)
    elif isinstance(theirs, list):
        assert isinstance(ours, list) and len(ours) == len(theirs)
        for a, b in zip(ours, theirs):
            same(a, b, tolerance)
    elif isinstance(theirs, float):
        assert ours == pytest.approx(theirs, rel=1e-12, abs=1e-15, nan_ok=True)
    else:
        assert ours == theirs


def check(case, tolerance=1e-5):
    same(outcome(case, autodiffc), outcome(case, torch), tolerance)


def value_and_grads(T, function, *arrays):
    """The result and the gradients of its weighted sum with respect to each array."""
    inputs = [tensor(T, a, np.issubdtype(np.asarray(a).dtype, np.floating)) for a in arrays]
    result = function(*inputs)
    weights = np.linspace(0.5, 1.5, int(np.prod(result.shape)) or 1, dtype=np.float32)
    (result * tensor(T, weights.reshape(tuple(result.shape)))).sum().backward()
    return [result, *[t.grad for t in inputs if t.requires_grad and t.grad is not None]]


# ---- functions

ACTIVATIONS = {
    "relu": (), "relu6": (), "elu": (0.7,), "selu": (), "celu": (0.7,), "leaky_relu": (0.2,), "gelu": (),
    "logsigmoid": (), "hardshrink": (0.4,), "tanhshrink": (), "softsign": (), "softplus": (2.0, 5.0),
    "softshrink": (0.4,), "tanh": (), "sigmoid": (), "hardtanh": (-0.7, 0.9), "hardsigmoid": (), "silu": (),
    "mish": (), "hardswish": (), "threshold": (0.1, 20.0), "rrelu": (), "softmax": (1,), "softmin": (0,),
    "log_softmax": (-1,), "glu": (1,), "normalize": (),
}


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activation(name):
    check(lambda T: value_and_grads(T, lambda x: getattr(T.nn.functional, name)(x, *ACTIVATIONS[name]), X))


@pytest.mark.parametrize("name", [n for n in ACTIVATIONS if "soft" not in n and n not in ("glu", "normalize")])
def test_activation_edges(name):
    check(lambda T: getattr(T.nn.functional, name)(tensor(T, EDGES), *ACTIVATIONS[name]))


@pytest.mark.parametrize("name", ["relu", "relu6", "elu", "selu", "celu", "leaky_relu", "hardtanh",
                                  "hardsigmoid", "silu", "mish", "hardswish", "threshold", "rrelu"])
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
    for name, args in [("dropout", (0.3,)), ("dropout1d", (0.3,)), ("dropout2d", (0.3,)), ("dropout3d", (0.3,)),
                       ("alpha_dropout", (0.3, True)), ("feature_alpha_dropout", (0.3, True)),
                       ("rrelu", (0.1, 0.4, True)), ("gumbel_softmax", (0.7,)),
                       ("gumbel_softmax", (0.7, True, 1e-10, 1)), ("dropout", (1.0,)), ("dropout", (0.0,)),
                       ("dropout2d", (1.0,)), ("alpha_dropout", (1.0, True)), ("dropout2d", (0.5, False))]:
        array = x[0, 0] if name == "dropout1d" else x
        check(lambda T: value_and_grads(T, lambda t: getattr(T.nn.functional, name)(t, *args), array))


LABELS = np.array([1, 0, 5, 2])
SIGNS = np.array([1.0, -1.0, -1.0, 1.0], np.float32)
PROBS = (np.abs(X) / (1 + np.abs(X))).astype(np.float32)
TARGETS = (Y > 0).astype(np.float32)
WEIGHT6 = np.linspace(0.2, 2.0, 6).astype(np.float32)
LOGP = (X - np.log(np.exp(X).sum(1, keepdims=True))).astype(np.float32)
DIST = (np.exp(Y) / np.exp(Y).sum(1, keepdims=True)).astype(np.float32)
SIGNS46 = np.where(Y > 0, 1, -1).astype(np.float32)
LOSSES = {
    "mse_loss": [((X, Y), {})], "l1_loss": [((X, Y), {})],
    "smooth_l1_loss": [((X, Y), {"beta": 0.5}), ((X, Y), {"beta": 0.0})], "huber_loss": [((X, Y), {"delta": 0.5})],
    "nll_loss": [((LOGP, LABELS), {}), ((LOGP, LABELS), {"ignore_index": 2}), ((LOGP, LABELS), {"weight": WEIGHT6})],
    "cross_entropy": [((X, LABELS), {}), ((X, LABELS), {"weight": WEIGHT6, "label_smoothing": 0.1}),
                      ((X, DIST), {}), ((X, DIST), {"weight": WEIGHT6, "label_smoothing": 0.2}),
                      ((X, LABELS), {"ignore_index": 5})],
    "binary_cross_entropy": [((PROBS, TARGETS), {}), ((PROBS, TARGETS), {"weight": WEIGHT6})],
    "binary_cross_entropy_with_logits": [((X, TARGETS), {}), ((X, TARGETS), {"weight": WEIGHT6,
                                                                             "pos_weight": WEIGHT6})],
    "kl_div": [((LOGP, DIST), {}), ((LOGP, LOGP * 1.1), {"log_target": True})],
    "poisson_nll_loss": [((X, np.abs(Y)), {}), ((np.abs(X), np.abs(Y) * 3), {"log_input": False, "full": True})],
    "gaussian_nll_loss": [((X, Y, np.abs(Y)), {}), ((X, Y, np.abs(Y[:, :1])), {"full": True}),
                          ((X, Y, np.abs(Y[:, 0]) * 0), {"eps": 0.1})],
    "hinge_embedding_loss": [((X, SIGNS46), {"margin": 0.7})],
    "margin_ranking_loss": [((X, Y, SIGNS46), {"margin": 0.3})],
    "cosine_embedding_loss": [((X, Y, SIGNS), {"margin": 0.1}), ((X[0], Y[0], np.float32(-1)), {})],
    "triplet_margin_loss": [((X, Y, X[::-1].copy()), {"margin": 3.0}),
                            ((X, Y, X[::-1].copy()), {"margin": 3.0, "p": 1, "swap": True})],
    "triplet_margin_with_distance_loss": [((X, Y, X[::-1].copy()), {"margin": 3.0, "swap": True})],
    "soft_margin_loss": [((X, SIGNS46), {})],
    "multilabel_soft_margin_loss": [((X, TARGETS), {}), ((X, TARGETS), {"weight": WEIGHT6})],
    "multilabel_margin_loss": [((X, np.array([[1, 3, -1, 2, 2, 2], [0, -1, 1, 1, 1, 1], [-1] * 6,
                                              [5, 4, 3, 2, 1, 0]])), {}),
                               ((X[0], np.array([1, 3, -1, 2, 2, 2])), {})],
    "multi_margin_loss": [((X, LABELS), {}), ((X, LABELS), {"p": 2, "margin": 0.8, "weight": WEIGHT6}),
                          ((X[0], np.array(2)), {})],
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
            check(lambda T: getattr(T.nn.functional, name)(tensor(T, X), tensor(T, Y), reduction=reduction,
                                                           weight=tensor(T, w)))
        check(lambda T: getattr(T.nn.functional, name)(tensor(T, X), tensor(T, Y), weight=tensor(T, w[0])))


def test_old_reductions():
    for size_average in (None, True, False):
        for reduce in (None, True, False):
            check(lambda T: T.nn.functional.mse_loss(tensor(T, X), tensor(T, Y), size_average, reduce))
            check(lambda T: T.nn.CrossEntropyLoss(None, size_average, -100, reduce)(tensor(T, X),
                                                                                    tensor(T, LABELS)))


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
        check(lambda T: value_and_grads(T, lambda w: T.nn.functional.embedding(tensor(T, index), w, **options), table))

    def renormed(T):
        w = tensor(T, table)
        return [T.nn.functional.embedding(tensor(T, index[:1]), w, max_norm=0.5, norm_type=1.0), w]
    check(renormed)


# ---- initial values

INITS = [("uniform_", {"a": -2.0, "b": 3.0}), ("normal_", {"mean": 1.0, "std": 2.0}), ("trunc_normal_", {}),
         ("trunc_normal_", {"mean": 1.0, "std": 0.5, "a": 0.3, "b": 1.1}), ("constant_", {"val": 3.0}), ("ones_", {}),
         ("zeros_", {}), ("eye_", {}), ("xavier_uniform_", {"gain": 2.0}), ("xavier_normal_", {}),
         ("kaiming_uniform_", {"a": 0.1}), ("kaiming_normal_", {"mode": "fan_out", "nonlinearity": "relu"}),
         ("orthogonal_", {"gain": 1.5}), ("sparse_", {"sparsity": 0.4}), ("dirac_", {})]


@pytest.mark.parametrize("shape", [(5, 3), (4, 7), (1, 1), (6, 4, 3), (0, 3), (3,), (32, 33)])
@pytest.mark.parametrize("name,options", INITS)
def test_init(name, options, shape):
    check(lambda T: getattr(T.nn.init, name)(T.empty(shape), **options), 2e-5)
    if name == "dirac_":
        check(lambda T: T.nn.init.dirac_(T.empty(6, 2, 3), 3))
        check(lambda T: T.nn.init.dirac_(T.empty(4, 2, 3, 3)))
        check(lambda T: T.nn.init.dirac_(T.empty(4, 2, 3, 3, 2), 2))


def test_init_generator():
    for name in ("uniform_", "normal_", "trunc_normal_", "xavier_uniform_", "kaiming_normal_", "orthogonal_"):
        check(lambda T: getattr(T.nn.init, name)(T.empty(4, 3), generator=T.Generator().manual_seed(3)), 2e-5)


def test_gain():
    for args in [("linear",), ("tanh",), ("relu",), ("selu",), ("leaky_relu",), ("leaky_relu", 0.3),
                 ("leaky_relu", "x"), ("what",), ("conv_transpose3d",)]:
        check(lambda T: float(T.nn.init.calculate_gain(*args)))


def build(T):
    nn = T.nn
    return nn.Sequential(nn.Linear(6, 5), nn.PReLU(), nn.Linear(5, 4, bias=False),
                         nn.Tanh(), nn.Sequential(nn.Linear(4, 3), nn.SELU(), nn.Dropout(0.5)))


def test_parameters_of_layers():
    check(lambda T: build(T).state_dict())
    check(lambda T: T.nn.Bilinear(3, 4, 5).state_dict())
    check(lambda T: T.nn.Embedding(7, 3, padding_idx=2).state_dict())
    check(lambda T: build(T)(tensor(T, X)))


# ---- modules

REPRS = ["ReLU(True)", "RReLU()", "Hardtanh(0, 6, True)", "ReLU6()", "ELU(inplace=True)", "CELU()", "SELU(True)",
         "GLU()", "GELU('tanh')", "Hardshrink()", "LeakyReLU()", "Softplus()", "Softshrink()", "PReLU(2)", "Softmax(1)",
         "Softmin()", "Threshold(1, 2, True)", "SiLU(True)", "Mish()", "Hardswish(True)", "Hardsigmoid()",
         "LogSoftmax()", "Softmax2d()", "Flatten()", "Unflatten(1, (2, 3))", "Dropout()", "AlphaDropout()",
         "Dropout2d(.3, True)", "Embedding(3, 4)", "Embedding(3, 4, padding_idx=-1, max_norm=2., norm_type=1., "
         "scale_grad_by_freq=True, sparse=True)", "Bilinear(2, 3, 4)", "Linear(2, 3, bias=False)", "Identity(3, a=3)",
         "CosineSimilarity()", "PairwiseDistance()", "CrossEntropyLoss()", "MSELoss()", "Module()", "Sequential()",
         "Sequential(nn.Linear(2, 2), nn.Sequential(nn.ReLU(), nn.Linear(2, 2)))", "ModuleList()",
         "ModuleList([nn.ReLU(), nn.ReLU(), nn.Sequential(nn.ReLU()), nn.Tanh()])", "ModuleDict({'a': nn.ReLU()})",
         "ParameterList([T.ones(2, 3), 3])", "ParameterDict({'a': T.ones(2), 'b': None})", "ParameterList([T.ones(2)])",
         "Parameter(T.ones(2))", "Buffer(T.ones(2))", "Parameter(T.ones(2), requires_grad=False)"]


@pytest.mark.parametrize("text", REPRS)
def test_repr(text):
    check(lambda T: repr(eval("nn." + text, {"nn": T.nn, "T": T})))


CONTAINERS = [
    "l[5]", "l['a']", "l[0:1]", "l[-1]", "l(3)", "l.extend(3)", "l + [nn.GELU()]", "l.insert(0, nn.GELU()) or l",
    "l.insert(9, nn.GELU()) or l", "(l.pop(0), l)", "l.__delitem__(slice(0, 1)) or l",
    "l.append(3)", "l.append(nn.ELU())", "l.__iadd__([nn.ELU()])", "nn.ModuleList(3)", "[k for k in dir(l) if k[0] == '0']",
    "l.__setitem__(0, nn.ELU()) or l", "l.__setitem__(0, 3)", "len(l)", "[repr(m) for m in l]", "nn.ReLU() in l",
    "s[5]", "s[-1]", "s[:1]", "s['a']", "s + nn.Sequential(nn.GELU())", "s + 3", "s * 2", "2 * s", "s * -1", "s * 1.5",
    "s.insert(1, nn.GELU())", "s.insert(-1, nn.GELU())", "s.insert(9, nn.GELU())", "s.insert(1, 3)", "s.append(3)",
    "s.extend([nn.ELU()])", "s.extend(3)", "(s.pop(0), s)", "s.pop('a')", "s.__delitem__(0) or s",
    "s.__delitem__(slice(0, 2)) or s", "nn.Sequential(3)", "s.__imul__(3)", "s.__iadd__(nn.Sequential(nn.GELU()))",
    "nn.Sequential({'a': nn.ReLU()})", "o[0]", "o[0:1]", "o.append(nn.GELU())", "o + s",
    "o.__setitem__(0, nn.ELU()) or o", "o.__delitem__(0) or o", "o.a",
    "s.__setitem__(7, nn.ELU())", "s.__delitem__(7)",
    "d['a']", "d['q']", "d.update(3)", "d.update([('b', nn.Tanh())]) or d", "d.update([('b',)])", "d.update([3])",
    "(d.pop('a'), d)", "list(d.keys())", "[k for k, v in d.items()]", "d.update({'c': 3})", "d.clear() or d", "d(3)",
    "len(d)", "'a' in d", "d.update({'keys': nn.ReLU()})", "d.update({'training': nn.ReLU()})", "d.__delitem__('x')",
    "p[0]", "p[-1]", "p[5]", "p[0:1]", "p.append(3)", "p.extend(T.ones(2, 2))", "p.extend(3)", "list(p.state_dict())",
    "p(3)", "p.__iadd__([4])", "p.__setitem__(0, 5)", "p.__setitem__(0, T.ones(1)) or p", "p['a']", "p.pop(0)",
    "len(p)", "[type(v).__name__ for v in p]", "nn.ParameterList([T.ones(1), T.ones(1)])",
    "q", "q['a']", "q['z']", "[k for k, v in q.items()]", "q.pop('b')", "q.popitem()[0]", "q.setdefault('n', T.ones(1))",
    "q.get('m')", "q.fromkeys(['x', 'y'], T.ones(1))", "q | nn.ParameterDict({'t': T.ones(1)})", "q.copy()",
    "list(reversed(q))", "q.update(3)", "q(3)", "q.__setitem__(3, 4)", "'a' in q", "q.a", "q.clear() or q",
    "q.update([('k', T.ones(1))]) or q", "[n for n, v in q.named_parameters()]", "list({'z': 3} | q)",
    "q.__ior__({'k': T.ones(1)})", "q.update([(1, 2, 3)])", "q.__delitem__('zz')", "q.pop('zz')",
]


@pytest.mark.parametrize("text", CONTAINERS)
def test_containers(text):
    def case(T):
        nn = T.nn
        result = eval(text, {
            "T": T, "nn": nn, "l": nn.ModuleList([nn.ReLU(), nn.Tanh()]), "s": nn.Sequential(nn.ReLU(), nn.Tanh()),
            "o": nn.Sequential(OrderedDict(a=nn.ReLU(), b=nn.Tanh())), "d": nn.ModuleDict({"a": nn.ReLU()}),
            "p": nn.ParameterList([T.ones(2), nn.Parameter(T.zeros(3))]),
            "q": nn.ParameterDict({"a": T.ones(2), "b": 3})})
        return repr(result)
    check(case)


MODULE_ERRORS = [
    "setattr(m, 'weight', T.ones(3))", "setattr(m, 'weight', 3)", "setattr(m, 'weight', nn.ReLU())",
    "setattr(m, 'weight', None) or m.weight", "m.register_parameter('a.b', None)", "m.register_parameter('', None)",
    "m.register_parameter(3, None)", "m.register_parameter('forward', None)", "m.register_parameter('z', T.ones(2))",
    "m.register_parameter('z', m.weight * 2)", "m.register_parameter('z', 3)", "m.register_buffer('a.b', None)",
    "m.register_buffer('', None)", "m.register_buffer(3, None)", "m.register_buffer('forward', None)",
    "m.register_buffer('z', 3)", "m.add_module('a.b', None)", "m.add_module('', None)", "m.add_module(3, None)",
    "m.add_module('forward', None)", "m.add_module('z', 3)", "setattr(m, 'buf', 3)", "setattr(m, 'sub', 3)", "m.foo",
    "setattr(m, 'sub', T.ones(2))", "setattr(m, 'buf', nn.Parameter(T.ones(1))) or list(m.state_dict())",
    "setattr(m, 'buf', nn.ReLU()) or list(m.state_dict())", "setattr(m, 'sub', nn.Parameter(T.ones(1))) or repr(m)",
    "setattr(m, 'new', nn.Buffer(T.ones(2), persistent=False)) or [n for n, b in m.named_buffers()]",
    "setattr(m, 'new', nn.Buffer(T.ones(2), persistent=False)) or list(m.state_dict())",
    "delattr(m, 'foo')", "delattr(m, 'buf') or list(m.state_dict())", "delattr(m, 'weight') or list(m.state_dict())",
    "m.get_submodule('foo')", "m.get_submodule('weight')", "m.get_submodule('sub.x')", "repr(m.get_submodule(''))",
    "m.get_parameter('foo')", "m.get_parameter('buf')", "m.get_parameter('bias')", "m.get_buffer('weight')",
    "m.get_buffer('sub.x')", "m.get_buffer('buf')", "m.set_submodule('sub', nn.Tanh()) or repr(m)",
    "m.set_submodule('sub3', nn.Tanh(), strict=True)", "m.set_submodule('', nn.Tanh())", "m.set_submodule('sub', 3)",
    "m.set_submodule('a.b', nn.Tanh())", "m.set_submodule('weight', nn.Tanh())", "m.load_state_dict(3)",
    "repr(m.load_state_dict(m.state_dict()))", "m.to(T.int32)", "m.to('cuda')", "m.cuda()", "m.train(3)",
    "nn.Module(3)", "nn.Module(a=3)", "nn.Module()(3)", "nn.Module().get_extra_state()",
    "nn.Module().set_extra_state(3)", "Early('p')", "Early('b')", "Early('m')", "nn.Parameter(3)",
    "nn.Parameter(T.ones(2, dtype=T.int64))", "nn.Parameter(T.ones(2, dtype=T.int64), False)", "nn.Parameter()",
    "nn.Dropout(2)", "nn.Hardtanh(1, -1)", "nn.GELU('x')(T.ones(2))", "nn.Softmax2d()(T.ones(2))",
    "nn.Embedding(3, 4, padding_idx=5)", "nn.Embedding(3, 4, _weight=T.ones(2, 2))",
    "nn.Embedding.from_pretrained(T.ones(2))", "nn.Embedding.from_pretrained(T.ones(2, 2)).weight.requires_grad",
    "nn.Embedding(3, 4)(T.tensor([3]))", "nn.Bilinear(0, 2, 2)", "nn.Linear(2, 3)(T.ones(2, 3))",
    "nn.PReLU(3)(T.ones(2, 2))", "nn.MultiMarginLoss(p=3)", "nn.MultiMarginLoss(weight=T.ones(2, 2))",
    "nn.TripletMarginLoss(margin=-1.)", "nn.Unflatten(1, 3)", "nn.Unflatten(1, (2, 'a'))",
    "nn.Unflatten(1, (2, 3))(T.ones(2, 6))", "nn.Flatten()(T.ones(2, 3, 4))", "nn.Flatten()(T.ones(3))",
    "F.dropout(T.ones(2), 2.)", "F.dropout1d(T.ones(2))", "F.dropout2d(T.ones(2))", "F.glu(T.ones(3))",
    "F.binary_cross_entropy(T.ones(2), T.ones(3))", "F.binary_cross_entropy_with_logits(T.ones(2), T.ones(3))",
    "F.mse_loss(T.ones(2), T.ones(3))", "F.multi_margin_loss(T.ones(2, 3), T.tensor([0, 5]))",
    "F.multilabel_margin_loss(T.ones(2, 3), T.tensor([0, 5]))", "F.cosine_similarity(T.ones(2), T.ones(2), dim=7)",
    "F.bilinear(T.ones(2, 2), T.ones(2, 3), T.ones(2, 2, 2))", "F.gaussian_nll_loss(T.ones(2), T.ones(2), -T.ones(2))",
    "F.gaussian_nll_loss(T.ones(2), T.ones(2), T.ones(3))", "F.one_hot(T.tensor([1.]))", "F.hardtanh(T.ones(2), 1., 0.)",
    "F.margin_ranking_loss(T.ones(2), T.ones(2, 2), T.ones(2))", "F.huber_loss(T.ones(2), T.ones(2), delta=0.)",
    "F.smooth_l1_loss(T.ones(2), T.ones(2), beta=-1.)", "F.triplet_margin_loss(T.ones(2, 2), T.ones(2, 2), T.ones(2))",
    "F.cosine_embedding_loss(T.ones(2, 2), T.ones(2, 2), T.ones(2, 2))", "F.softmax(T.ones(2), 5)",
    "nn.utils.clip_grad_norm_([], 1.)", "nn.utils.parameters_to_vector(m.parameters())",
    "nn.utils.vector_to_parameters(3, m.parameters())",
]


@pytest.mark.parametrize("text", MODULE_ERRORS)
def test_module_rules(text):
    def case(T):
        nn = T.nn

        class Early(nn.Module):
            def __init__(self, what):
                self.x = {"p": nn.Parameter(T.ones(1)), "m": nn.ReLU(), "b": nn.Buffer(T.ones(1))}[what]

        m = nn.Linear(2, 3)
        m.register_buffer("buf", T.ones(2))
        m.sub = nn.ReLU()
        return eval(text, {"T": T, "nn": nn, "F": nn.functional, "m": m, "Early": Early})
    check(case)


def nested(T):
    nn = T.nn

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.a = nn.Linear(2, 3)
            self.b = nn.Sequential(nn.ReLU(), nn.Linear(3, 3))
            self.shared = self.a
            self.register_buffer("buf", T.ones(2))
            self.register_buffer("gone", T.ones(2), persistent=False)
            self.register_buffer("none", None)
            self.register_parameter("nothing", None)
            self.scalar = nn.Parameter(T.tensor(1.0))

        def forward(self, x):
            return self.b(self.a(x)) * self.scalar
    return Net()


def test_walks():
    for remove_duplicate in (True, False):
        for what in ("named_parameters", "named_buffers", "named_modules"):
            check(lambda T: [n for n, _ in getattr(nested(T), what)(remove_duplicate=remove_duplicate)])
            check(lambda T: [n for n, _ in getattr(nested(T), what)(prefix="p", remove_duplicate=remove_duplicate)])
    check(lambda T: [n for n, _ in nested(T).named_parameters(recurse=False)])
    check(lambda T: [n for n, _ in nested(T).named_children()])
    check(lambda T: list(nested(T).state_dict()))
    check(lambda T: list(nested(T).state_dict(prefix="x.")))
    check(lambda T: nested(T).state_dict()._metadata)
    check(lambda T: repr(nested(T)))


BAD_STATES = [lambda s, T: s.pop("b.1.bias"), lambda s, T: s.update(extra=T.ones(1)),
              lambda s, T: s.update(buf=T.ones(3)), lambda s, T: s.update({"a.bias": 3}), lambda s, T: s.clear(),
              lambda s, T: s.update({"b.1.more": T.ones(1), "b.extra.x": T.ones(1)}),
              lambda s, T: s.update(scalar=T.ones(1)), lambda s, T: s.update(gone=T.ones(2))]


@pytest.mark.parametrize("number", range(len(BAD_STATES)))
@pytest.mark.parametrize("strict", [True, False])
def test_loading(number, strict):
    def case(T):
        state = nested(T).state_dict()
        BAD_STATES[number](state, T)
        model = nested(T)
        try:
            text = repr(model.load_state_dict(state, strict=strict))
        except RuntimeError as error:
            text = str(error)
        return [text, model.state_dict()]
    check(case)


def test_load_assign():
    def case(T):
        model = nested(T)
        state = {k: v.double() for k, v in nested(T).state_dict().items()}
        model.load_state_dict(state, assign=True)
        return [model.state_dict(), [p.requires_grad for p in model.parameters()], type(model.a.weight).__name__]
    check(case)


def test_state_hooks_and_extra_state():
    def case(T):
        log = []

        class Extra(T.nn.Module):
            def __init__(self):
                super().__init__()
                self.w = T.nn.Parameter(T.ones(1))

            def get_extra_state(self):
                return 5

            def set_extra_state(self, state):
                log.append(("set", state))
        m = Extra()
        m.register_state_dict_pre_hook(lambda *a: log.append(("pre", a[1:])))
        m.register_state_dict_post_hook(lambda mod, s, p, meta: log.append(("post", list(s), p, dict(meta))))
        m.register_load_state_dict_pre_hook(lambda mod, *a: log.append(("lpre", list(a[0]), a[1:])))
        m.register_load_state_dict_post_hook(lambda mod, keys: log.append(("lpost", keys.missing_keys)))
        m.load_state_dict(m.state_dict())
        try:
            m.load_state_dict({"w": T.ones(1)})
        except RuntimeError as error:
            log.append(str(error))
        return [repr(entry) for entry in log]
    check(case)


def test_forward_hooks():
    def case(T):
        log = []

        def note(name, result=None):
            def hook(module, *args):
                log.append([name, *[plain(a) for a in args]])
                return result
            return hook
        m = T.nn.Identity()
        one, two = T.ones(1), T.ones(1) * 2
        handle = m.register_forward_pre_hook(note("pre"))
        m.register_forward_pre_hook(note("first", (two,)), prepend=True)
        m.register_forward_hook(note("post"))
        m.register_forward_hook(note("replace", one), prepend=True)
        m.register_forward_hook(note("kwargs"), with_kwargs=True)
        log.append(plain(m(one)))
        handle.remove()
        log.append(plain(m(one)))
        m = T.nn.Identity()
        m.register_forward_pre_hook(lambda mod, a, k: (a, {}), with_kwargs=True)
        m.register_forward_hook(note("always"), always_call=True)
        log.append(plain(m(one)))
        try:
            m()
        except TypeError:
            log.append("raised")
        with T.nn.modules.module.register_module_forward_hook(note("global")):
            m(one)
        m(one)
        m.register_forward_pre_hook(lambda mod, a, k: 3, with_kwargs=True)
        try:
            m(one)
        except RuntimeError:
            log.append("raised")
        return log
    check(case)


def test_backward_hooks():
    def case(T):
        log = []
        x = tensor(T, X, True)
        m = T.nn.Linear(6, 3)
        m.register_full_backward_pre_hook(lambda mod, go: (go[0] * 2,))
        m.register_full_backward_hook(lambda mod, gi, go: log.append(plain([gi, go])))
        h = m.register_full_backward_hook(lambda mod, gi, go: (gi[0] * 3,))
        m(x).sum().backward()
        log += plain([x.grad, m.weight.grad])
        h.remove()
        m(tensor(T, X)).sum().backward()

        class Two(T.nn.Module):
            def forward(self, a, b, c=None):
                return a * 2, b * 3
        two = Two()
        two.register_full_backward_hook(lambda mod, gi, go: log.append(plain([gi, go])))
        a = tensor(T, X[0], True)
        two(a, tensor(T, X[1]), c=3)[0].sum().backward()
        try:
            two.register_backward_hook(lambda *args: None)
        except RuntimeError:
            log.append("refused")
        return log
    check(case)


def test_conversion_and_copies():
    def case(T):
        m = nested(T)
        m(T.ones(1, 2)).sum().backward()
        result = [str(m.double().a.weight.dtype), m.a.weight.grad.numpy(), str(m.buf.dtype)]
        m.float()
        c = copy.deepcopy(m)
        result += [c.a is c.shared, c.a.weight is not m.a.weight, c.state_dict(), c.a.weight.grad is None]
        d = pickle.loads(pickle.dumps(m.a))
        result += [d.state_dict(), sorted(k for k in d.__dict__ if k[0] != "_" and k not in ("weight", "bias"))]
        m.a.weight = None
        result += [list(c.state_dict()), list(m.state_dict()), c.eval().b[0].training]
        e = copy.copy(c)
        e.extra = T.nn.Parameter(T.ones(1))
        result += [list(c.state_dict()), list(e.state_dict())]
        m.requires_grad_(False)
        result += [[p.requires_grad for p in m.parameters()]]
        m.zero_grad()
        result += [m.b[1].weight.grad is None]
        return result
    check(case)


# ---- clipping, vectors

@pytest.mark.parametrize("norm_type", [2.0, 1.0, float("inf"), 3.0])
@pytest.mark.parametrize("max_norm", [0.1, 1000.0])
def test_clipping(norm_type, max_norm):
    def case(T):
        params = [tensor(T, X, True), tensor(T, Y, True), tensor(T, X, True)]
        (params[0] ** 2 + params[1] ** 3).sum().backward()
        total = T.nn.utils.clip_grad_norm_(params, max_norm, norm_type)
        grads = [p.grad for p in params if p.grad is not None]
        result = plain([total, grads, T.nn.utils.get_total_norm(grads, norm_type)])
        T.nn.utils.clip_grad_value_(params, 0.05)
        return [result, [p.grad for p in params if p.grad is not None]]
    check(case)


def test_clipping_nonfinite_and_vectors():
    def case(T, error):
        p = tensor(T, X, True)
        p.grad = T.full((4, 6), float("nan"))
        return T.nn.utils.clip_grad_norm_(p, 1.0, error_if_nonfinite=error)
    for error in (True, False):
        check(lambda T: case(T, error))

    def vectors(T):
        m = build(T)
        v = T.nn.utils.parameters_to_vector(m.parameters())
        T.nn.utils.vector_to_parameters(v * 2, m.parameters())
        return [v, m.state_dict()]
    check(vectors)


# ---- optimizers

OPTIMIZERS = [
    ("SGD", {"lr": 0.1}), ("SGD", {"lr": 0.1, "weight_decay": 0.1, "maximize": True}),
    ("SGD", {"lr": 0.1, "momentum": 0.9}), ("SGD", {"lr": 0.1, "momentum": 0.9, "dampening": 0.5, "weight_decay": 0.1}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.1}), ("SGD", {}),
    ("Adam", {}), ("Adam", {"lr": 0.1, "weight_decay": 0.1, "betas": (0.5, 0.6), "eps": 1e-3}),
    ("Adam", {"lr": 0.1, "amsgrad": True, "maximize": True}), ("Adam", {"decoupled_weight_decay": True, "weight_decay": 0.1}),
    ("AdamW", {}), ("AdamW", {"lr": 0.1, "amsgrad": True, "weight_decay": 0.2}),
]


def train(T, name, options, steps=5, dtype=np.float32):
    params = [T.nn.Parameter(tensor(T, a.astype(dtype))) for a in (X, Y[0], Y[1])]
    optimizer = getattr(T.optim, name)([{"params": params[:1]}, {"params": params[1:], "lr": 0.05}], **options)
    for step in range(steps):
        optimizer.zero_grad(set_to_none=step % 2 == 0)
        loss = (params[0] ** 2).sum() + (params[1] ** 3).sum()
        if step >= 2:
            loss = loss + (params[2] * params[0][0]).sum()     # a parameter whose gradient comes later
        loss.backward()
        optimizer.step()
    return params, optimizer


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name,options", OPTIMIZERS)
def test_optimizer(name, options, dtype):
    def case(T):
        params, optimizer = train(T, name, options, dtype=dtype)
        state = optimizer.state_dict()
        return [params, state, repr(optimizer)]
    check(case, 1e-5 if dtype is np.float32 else 1e-12)


@pytest.mark.parametrize("name,options", OPTIMIZERS)
def test_optimizer_resumes(name, options):
    def case(T):
        params, optimizer = train(T, name, options)
        state = pickle.loads(pickle.dumps(plain(optimizer.state_dict())))
        state["state"] = {int(k): {n: tensor(T, v) for n, v in s.items()} for k, s in state["state"].items()}
        again = getattr(T.optim, name)([{"params": params[:1]}, {"params": params[1:]}])
        again.load_state_dict(state)
        for _ in range(2):
            (params[0] ** 2).sum().backward()
            again.step()
        copied = copy.deepcopy(again)
        return [params, again.state_dict(), copied.state_dict()]
    check(case)


def test_optimizer_state_is_the_users():
    def case(T):
        params, optimizer = train(T, "Adam", {"lr": 0.1})
        optimizer.state[params[0]]["exp_avg"] = T.zeros(4, 6)
        optimizer.state[params[1]]["exp_avg_sq"].zero_()
        optimizer.param_groups[1]["lr"] = 0.5
        params[0].grad = tensor(T, X)
        optimizer.step()
        result = plain([params, optimizer.state_dict()])
        del optimizer.state[params[0]]
        optimizer.step()
        optimizer.param_groups[1]["params"] = params[1:2]
        optimizer.step()
        optimizer.state.clear()
        optimizer.step()
        optimizer.add_param_group({"params": [T.nn.Parameter(T.ones(1))]})
        optimizer.step()
        return [result, params, optimizer.state_dict()]
    check(case)


OPTIMIZER_RULES = [
    "SGD([])", "SGD(p)", "SGD([3])", "SGD([p], lr=-1)", "SGD([p], momentum=-1)", "SGD([p], weight_decay=-1)",
    "SGD([p], nesterov=True)", "SGD([p], lr=T.tensor([.1, .2]))", "SGD([p, p])", "SGD([{'params': [p]}, {'params': [p]}])",
    "SGD([p * 2])", "SGD([{'params': {p}}])", "SGD([p], fused=True, differentiable=True)",
    "SGD([p], fused=True, foreach=True)", "SGD([{'params': [p]}, {'prms': [q]}])", "SGD([{'params': [p]}, q])",
    "SGD([('a', p), ('b', q)])", "SGD([('a', p), ('b', q)]).state_dict()", "SGD([('a', p), q])",
    "SGD({'params': [p]})", "SGD({p})", "Adam([p], lr=-1)", "Adam([p], eps=-1)", "Adam([p], betas=(1., .9))",
    "Adam([p], betas=(.1, 1.9))", "Adam([p], weight_decay=-1)", "Adam([p], lr=T.tensor(.1))",
    "Adam([p], lr=T.tensor(.1), foreach=True)", "Adam([p], lr=T.tensor([.1, .2]))",
    "Adam([p], betas=(T.tensor(.1), .9))", "Adam([p, q]).add_param_group(3)", "Adam([p, q]).add_param_group({'params': p})",
    "Adam([p, q]).load_state_dict({'state': {}, 'param_groups': []})",
    "Adam([p, q]).load_state_dict({'state': {}, 'param_groups': [{'params': [0]}]})", "SGD([p]).step(lambda: 5)",
    "SGD([p]).step(closure=lambda: 5)", "SGD(None)", "SGD([None])", "SGD([[p]])", "SGD(iter([p, q]))",
    "SGD(nn.Linear(2, 2).named_parameters())", "SGD([p], lr=.1).defaults", "AdamW([p], lr=.1).defaults",
    "SGD([p], lr='a')", "SGD([nn.Parameter(T.ones(2), requires_grad=False)])", "Adam([p], lr=.1, fused=True)",
]


@pytest.mark.parametrize("text", OPTIMIZER_RULES)
def test_optimizer_rules(text):
    def case(T):
        names = {"T": T, "nn": T.nn, "p": T.nn.Parameter(T.ones(2)), "q": T.nn.Parameter(T.ones(3))}
        result = eval(text, {**names, **{n: getattr(T.optim, n) for n in ("SGD", "Adam", "AdamW")}})
        return repr(result)
    check(case)


def test_optimizer_hooks_and_subclasses():
    def case(T):
        log = []

        class Signs(T.optim.Optimizer):
            def __init__(self, params, lr):
                super().__init__(params, {"lr": lr})

            @T.no_grad()
            def step(self, closure=None):
                for group in self.param_groups:
                    for p in group["params"]:
                        p.sub_(group["lr"] * p.grad.sign())
                return "done"
        for make in (lambda p: T.optim.SGD([p], lr=0.1), lambda p: Signs([p], 0.1)):
            p = T.nn.Parameter(T.ones(2))
            p.grad = T.ones(2) * 3
            optimizer = make(p)
            optimizer.register_step_pre_hook(lambda o, a, k: log.append(["pre", len(a), k]))
            handle = optimizer.register_step_post_hook(lambda o, a, k: log.append(["post", len(a), k]))
            log.append(optimizer.step())
            handle.remove()
            optimizer.step(lambda: 3)
            optimizer.register_state_dict_post_hook(lambda o, s: {**s, "more": 1})
            optimizer.register_load_state_dict_pre_hook(lambda o, s: log.append(sorted(s)))
            optimizer.load_state_dict(optimizer.state_dict())
            optimizer.zero_grad()
            log.append([p, p.grad is None])
        return log
    check(case)


def test_tensor_lr():
    def case(T):
        params, optimizer = train(T, "SGD", {"lr": T.tensor(0.1), "momentum": 0.9})
        scheduler = T.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)
        optimizer.step()
        scheduler.step()
        return [params, optimizer.param_groups[0]["lr"]]
    check(case)


# ---- schedulers

SCHEDULERS = [
    ("LambdaLR", lambda: {"lr_lambda": lambda e: 0.9**e}),
    ("LambdaLR", lambda: {"lr_lambda": [lambda e: 0.9**e, lambda e: 1 / (1 + e)]}),
    ("MultiplicativeLR", lambda: {"lr_lambda": lambda e: 0.9}), ("StepLR", lambda: {"step_size": 3}),
    ("MultiStepLR", lambda: {"milestones": [2, 4, 4, 9], "gamma": 0.5}), ("ConstantLR", lambda: {}),
    ("ConstantLR", lambda: {"factor": 0.5, "total_iters": 0}), ("LinearLR", lambda: {}),
    ("LinearLR", lambda: {"start_factor": 1.0, "end_factor": 0.1, "total_iters": 7}),
    ("ExponentialLR", lambda: {"gamma": 0.9}), ("CosineAnnealingLR", lambda: {"T_max": 5}),
    ("CosineAnnealingLR", lambda: {"T_max": 4, "eta_min": 0.01}), ("PolynomialLR", lambda: {}),
    ("PolynomialLR", lambda: {"total_iters": 8, "power": 2.5}), ("CosineAnnealingWarmRestarts", lambda: {"T_0": 3}),
    ("CosineAnnealingWarmRestarts", lambda: {"T_0": 2, "T_mult": 2, "eta_min": 0.01}),
    ("CyclicLR", lambda: {"base_lr": 0.01, "max_lr": 0.1, "step_size_up": 3}),
    ("CyclicLR", lambda: {"base_lr": 0.01, "max_lr": [0.1, 0.2], "step_size_up": 3, "step_size_down": 4,
                          "mode": "triangular2"}),
    ("CyclicLR", lambda: {"base_lr": 0.01, "max_lr": 0.1, "step_size_up": 2, "mode": "exp_range", "gamma": 0.9}),
    ("CyclicLR", lambda: {"base_lr": 0.01, "max_lr": 0.1, "step_size_up": 2, "scale_fn": lambda x: 0.5,
                          "scale_mode": "iterations"}),
    ("OneCycleLR", lambda: {"max_lr": 1.0, "total_steps": 14}),
    ("OneCycleLR", lambda: {"max_lr": [1.0, 0.5], "epochs": 7, "steps_per_epoch": 2, "three_phase": True,
                            "anneal_strategy": "linear"}),
]


@pytest.mark.parametrize("optimizer", ["SGD", "Adam"])
@pytest.mark.parametrize("name,options", SCHEDULERS)
def test_scheduler(name, options, optimizer):
    def case(T):
        params = [T.nn.Parameter(T.ones(1)) for _ in range(2)]
        make = getattr(T.optim, optimizer)
        more = {"momentum": 0.9} if optimizer == "SGD" else {}
        opt = make([{"params": params[:1]}, {"params": params[1:], "lr": 0.5}], lr=0.1, **more)
        scheduler = getattr(T.optim.lr_scheduler, name)(opt, **options())
        log = [plain(scheduler.state_dict())]
        for step in range(12):
            opt.step()
            scheduler.step()
            log.append([scheduler.get_last_lr(), [g["lr"] for g in opt.param_groups],
                        [repr(g.get("momentum", g.get("betas"))) for g in opt.param_groups]])
            if step == 5:
                state = scheduler.state_dict()
                log.append(plain(state))
                scheduler = getattr(T.optim.lr_scheduler, name)(opt, **options())
                scheduler.load_state_dict(state)
                for group, lr in zip(opt.param_groups, scheduler.get_last_lr()):
                    group["lr"] = lr
        log.append([list(g) for g in opt.param_groups])
        if name not in ("CyclicLR", "OneCycleLR"):
            scheduler.step(3)
            log.append(scheduler.get_last_lr())
        return log
    check(case)


def test_plateau():
    metrics = [1.0, 0.9, 0.9, 0.9, 0.95, 0.8, 0.8, 0.8, 0.8, 0.8, 0.8, float("nan"), 0.1, 0.1]
    for options in ({"patience": 1}, {"patience": 0, "cooldown": 2, "factor": 0.5}, {"mode": "max", "patience": 2},
                    {"threshold": 0.2, "threshold_mode": "abs", "patience": 1, "min_lr": [0.05, 0.01]}):
        def case(T):
            params = [T.nn.Parameter(T.ones(1)) for _ in range(2)]
            opt = T.optim.SGD([{"params": params[:1]}, {"params": params[1:], "lr": 0.5}], lr=0.1)
            scheduler = T.optim.lr_scheduler.ReduceLROnPlateau(opt, **options)
            log = []
            for metric in metrics:
                scheduler.step(metric)
                log.append([scheduler.get_last_lr(), scheduler.state_dict()])
            return log
        check(case)


def test_sequential_and_chained():
    def make(T, which):
        L = T.optim.lr_scheduler
        opt = T.optim.SGD([T.nn.Parameter(T.ones(1))], lr=0.1)
        if which == 0:
            s = L.SequentialLR(opt, [L.ConstantLR(opt, 0.1, 2), L.ExponentialLR(opt, 0.9),
                                     L.CosineAnnealingWarmRestarts(opt, 3)], [3, 6])
        elif which == 1:
            s = L.SequentialLR(opt, [L.LinearLR(opt, 0.1, 1.0, 4), L.CosineAnnealingLR(opt, 8)], [4])
        else:
            s = L.ChainedScheduler([L.ConstantLR(opt, 0.1, 2), L.ExponentialLR(opt, 0.9)])
        return opt, s

    def case(T, which):
        opt, s = make(T, which)
        log = [s.state_dict(), s.get_last_lr()]
        for _ in range(10):
            opt.step()
            s.step()
            log.append([s.get_last_lr(), opt.param_groups[0]["lr"]])
        log.append(s.state_dict())
        return plain(log)
    for which in range(3):
        check(lambda T: case(T, which))


SCHEDULER_RULES = [
    "StepLR(3, 2)", "StepLR(o, 2, last_epoch=3)", "LambdaLR(o, [1])", "LinearLR(o, 0)", "LinearLR(o, .5, 2)",
    "ConstantLR(o, 3)", "CyclicLR(o, .1, .2, mode='q')", "CyclicLR(o, [.1], .2)", "OneCycleLR(o, 1.)",
    "OneCycleLR(o, 1., total_steps=-1)", "OneCycleLR(o, 1., epochs=3)", "OneCycleLR(o, 1., epochs=3, steps_per_epoch=-1)",
    "OneCycleLR(o, 1., total_steps=3, pct_start=3.)", "OneCycleLR(o, 1., total_steps=3, anneal_strategy='q')",
    "[s for s in [OneCycleLR(o, 1., total_steps=3)] for _ in range(5) if s.step()]", "CosineAnnealingWarmRestarts(o, 0)",
    "CosineAnnealingWarmRestarts(o, 2, 0)", "CosineAnnealingWarmRestarts(o, 2).step(-1)", "ReduceLROnPlateau(o, factor=1.)",
    "ReduceLROnPlateau(o, mode='q')", "ReduceLROnPlateau(o, threshold_mode='q')", "ReduceLROnPlateau(o, min_lr=[1, 2, 3])",
    "SequentialLR(o, [], [])", "SequentialLR(o, [ConstantLR(o)], [3])", "ChainedScheduler([])",
    "SequentialLR(o, [ReduceLROnPlateau(o), ConstantLR(o)], [3])", "ExponentialLR(o, .9).get_lr()",
]


@pytest.mark.parametrize("text", SCHEDULER_RULES)
def test_scheduler_rules(text):
    def case(T):
        o = T.optim.SGD([{"params": [T.nn.Parameter(T.ones(1))]}, {"params": [T.nn.Parameter(T.ones(1))]}], momentum=0.9)
        result = eval(text, {**vars(T.optim.lr_scheduler), "o": o})
        return result if isinstance(result, list) else type(result).__name__
    check(case)


def test_names():
    """Every public name of ours is PyTorch's."""
    for path in ("nn", "nn.functional", "nn.init", "nn.utils", "optim", "optim.lr_scheduler"):
        ours, theirs = autodiffc, torch
        for part in path.split("."):
            ours, theirs = getattr(ours, part), getattr(theirs, part)
        names = {n for n, v in vars(ours).items() if n[0] != "_" and callable(v)
                 and getattr(v, "__module__", "").startswith((f"autodiffc.{path}", "autodiffc.nn._loss"))}
        assert not {n for n in names if not hasattr(theirs, n)}
