"""Modules and initial values against PyTorch: each case is a function that both libraries run at once."""

# ruff: noqa: B023
import copy
import pickle
from collections import OrderedDict

import pytest

import autodiffc

from .both import X, check, plain, tensor, torch

pytestmark = pytest.mark.parity


# ---- initial values

# fmt: off
INITS = [
    ("uniform_", {"a": -2.0, "b": 3.0}), ("normal_", {"mean": 1.0, "std": 2.0}), ("trunc_normal_", {}),
    ("trunc_normal_", {"mean": 1.0, "std": 0.5, "a": 0.3, "b": 1.1}), ("constant_", {"val": 3.0}),
    ("ones_", {}), ("zeros_", {}), ("eye_", {}), ("xavier_uniform_", {"gain": 2.0}), ("xavier_normal_", {}),
    ("kaiming_uniform_", {"a": 0.1}), ("kaiming_normal_", {"mode": "fan_out", "nonlinearity": "relu"}),
    ("orthogonal_", {"gain": 1.5}), ("sparse_", {"sparsity": 0.4}), ("dirac_", {}),
]
# fmt: on


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
    for args in [
        ("linear",),
        ("tanh",),
        ("relu",),
        ("selu",),
        ("leaky_relu",),
        ("leaky_relu", 0.3),
        ("leaky_relu", "x"),
        ("what",),
        ("conv_transpose3d",),
    ]:
        check(lambda T: float(T.nn.init.calculate_gain(*args)))


def build(T):
    nn = T.nn
    return nn.Sequential(
        nn.Linear(6, 5),
        nn.PReLU(),
        nn.Linear(5, 4, bias=False),
        nn.Tanh(),
        nn.Sequential(nn.Linear(4, 3), nn.SELU(), nn.Dropout(0.5)),
    )


def test_parameters_of_layers():
    check(lambda T: build(T).state_dict())
    check(lambda T: T.nn.Bilinear(3, 4, 5).state_dict())
    check(lambda T: T.nn.Embedding(7, 3, padding_idx=2).state_dict())
    check(lambda T: build(T)(tensor(T, X)))


# ---- modules

# fmt: off
REPRS = [
    "ReLU(True)", "RReLU()", "Hardtanh(0, 6, True)", "ReLU6()", "ELU(inplace=True)", "CELU()", "SELU(True)",
    "GLU()", "GELU('tanh')", "Hardshrink()", "LeakyReLU()", "Softplus()", "Softshrink()", "PReLU(2)",
    "Softmax(1)", "Softmin()", "Threshold(1, 2, True)", "SiLU(True)", "Mish()", "Hardswish(True)",
    "Hardsigmoid()", "LogSoftmax()", "Softmax2d()", "Flatten()", "Unflatten(1, (2, 3))", "Dropout()",
    "AlphaDropout()", "Dropout2d(.3, True)", "Embedding(3, 4)",
    "Embedding(3, 4, padding_idx=-1, max_norm=2., norm_type=1., scale_grad_by_freq=True, sparse=True)",
    "Bilinear(2, 3, 4)", "Linear(2, 3, bias=False)", "Identity(3, a=3)", "CosineSimilarity()",
    "PairwiseDistance()", "CrossEntropyLoss()", "MSELoss()", "Module()", "Sequential()",
    "Sequential(nn.Linear(2, 2), nn.Sequential(nn.ReLU(), nn.Linear(2, 2)))", "ModuleList()",
    "ModuleList([nn.ReLU(), nn.ReLU(), nn.Sequential(nn.ReLU()), nn.Tanh()])", "ModuleDict({'a': nn.ReLU()})",
    "ParameterList([T.ones(2, 3), 3])", "ParameterDict({'a': T.ones(2), 'b': None})",
    "ParameterList([T.ones(2)])", "Parameter(T.ones(2))", "Buffer(T.ones(2))",
    "Parameter(T.ones(2), requires_grad=False)",
]
# fmt: on


@pytest.mark.parametrize("text", REPRS)
def test_repr(text):
    check(lambda T: repr(eval("nn." + text, {"nn": T.nn, "T": T})))


# fmt: off
CONTAINERS = [
    "l[5]", "l['a']", "l[0:1]", "l[-1]", "l(3)", "l.extend(3)", "l + [nn.GELU()]",
    "l.insert(0, nn.GELU()) or l", "l.insert(9, nn.GELU()) or l", "(l.pop(0), l)",
    "l.__delitem__(slice(0, 1)) or l", "l.append(3)", "l.append(nn.ELU())", "l.__iadd__([nn.ELU()])",
    "nn.ModuleList(3)", "[k for k in dir(l) if k[0] == '0']", "l.__setitem__(0, nn.ELU()) or l",
    "l.__setitem__(0, 3)", "len(l)", "[repr(m) for m in l]", "nn.ReLU() in l", "s[5]", "s[-1]", "s[:1]",
    "s['a']", "s + nn.Sequential(nn.GELU())", "s + 3", "s * 2", "2 * s", "s * -1", "s * 1.5",
    "s.insert(1, nn.GELU())", "s.insert(-1, nn.GELU())", "s.insert(9, nn.GELU())", "s.insert(1, 3)",
    "s.append(3)", "s.extend([nn.ELU()])", "s.extend(3)", "(s.pop(0), s)", "s.pop('a')",
    "s.__delitem__(0) or s", "s.__delitem__(slice(0, 2)) or s", "nn.Sequential(3)", "s.__imul__(3)",
    "s.__iadd__(nn.Sequential(nn.GELU()))", "nn.Sequential({'a': nn.ReLU()})", "o[0]", "o[0:1]",
    "o.append(nn.GELU())", "o + s", "o.__setitem__(0, nn.ELU()) or o", "o.__delitem__(0) or o", "o.a",
    "s.__setitem__(7, nn.ELU())", "s.__delitem__(7)", "d['a']", "d['q']", "d.update(3)",
    "d.update([('b', nn.Tanh())]) or d", "d.update([('b',)])", "d.update([3])", "(d.pop('a'), d)",
    "list(d.keys())", "[k for k, v in d.items()]", "d.update({'c': 3})", "d.clear() or d", "d(3)", "len(d)",
    "'a' in d", "d.update({'keys': nn.ReLU()})", "d.update({'training': nn.ReLU()})", "d.__delitem__('x')",
    "p[0]", "p[-1]", "p[5]", "p[0:1]", "p.append(3)", "p.extend(T.ones(2, 2))", "p.extend(3)",
    "list(p.state_dict())", "p(3)", "p.__iadd__([4])", "p.__setitem__(0, 5)",
    "p.__setitem__(0, T.ones(1)) or p", "p['a']", "p.pop(0)", "len(p)", "[type(v).__name__ for v in p]",
    "nn.ParameterList([T.ones(1), T.ones(1)])", "q", "q['a']", "q['z']", "[k for k, v in q.items()]",
    "q.pop('b')", "q.popitem()[0]", "q.setdefault('n', T.ones(1))", "q.get('m')",
    "q.fromkeys(['x', 'y'], T.ones(1))", "q | nn.ParameterDict({'t': T.ones(1)})", "q.copy()",
    "list(reversed(q))", "q.update(3)", "q(3)", "q.__setitem__(3, 4)", "'a' in q", "q.a", "q.clear() or q",
    "q.update([('k', T.ones(1))]) or q", "[n for n, v in q.named_parameters()]", "list({'z': 3} | q)",
    "q.__ior__({'k': T.ones(1)})", "q.update([(1, 2, 3)])", "q.__delitem__('zz')", "q.pop('zz')",
]
# fmt: on


@pytest.mark.parametrize("text", CONTAINERS)
def test_containers(text):
    def case(T):
        nn = T.nn
        result = eval(
            text,
            {
                "T": T,
                "nn": nn,
                "l": nn.ModuleList([nn.ReLU(), nn.Tanh()]),
                "s": nn.Sequential(nn.ReLU(), nn.Tanh()),
                "o": nn.Sequential(OrderedDict(a=nn.ReLU(), b=nn.Tanh())),
                "d": nn.ModuleDict({"a": nn.ReLU()}),
                "p": nn.ParameterList([T.ones(2), nn.Parameter(T.zeros(3))]),
                "q": nn.ParameterDict({"a": T.ones(2), "b": 3}),
            },
        )
        return repr(result)

    check(case)


# fmt: off
MODULE_ERRORS = [
    "setattr(m, 'weight', T.ones(3))", "setattr(m, 'weight', 3)", "setattr(m, 'weight', nn.ReLU())",
    "setattr(m, 'weight', None) or m.weight", "m.register_parameter('a.b', None)",
    "m.register_parameter('', None)", "m.register_parameter(3, None)",
    "m.register_parameter('forward', None)", "m.register_parameter('z', T.ones(2))",
    "m.register_parameter('z', m.weight * 2)", "m.register_parameter('z', 3)",
    "m.register_buffer('a.b', None)", "m.register_buffer('', None)", "m.register_buffer(3, None)",
    "m.register_buffer('forward', None)", "m.register_buffer('z', 3)", "m.add_module('a.b', None)",
    "m.add_module('', None)", "m.add_module(3, None)", "m.add_module('forward', None)",
    "m.add_module('z', 3)", "setattr(m, 'buf', 3)", "setattr(m, 'sub', 3)", "m.foo",
    "setattr(m, 'sub', T.ones(2))", "setattr(m, 'buf', nn.Parameter(T.ones(1))) or list(m.state_dict())",
    "setattr(m, 'buf', nn.ReLU()) or list(m.state_dict())",
    "setattr(m, 'sub', nn.Parameter(T.ones(1))) or repr(m)",
    "setattr(m, 'new', nn.Buffer(T.ones(2), persistent=False)) or [n for n, b in m.named_buffers()]",
    "setattr(m, 'new', nn.Buffer(T.ones(2), persistent=False)) or list(m.state_dict())", "delattr(m, 'foo')",
    "delattr(m, 'buf') or list(m.state_dict())", "delattr(m, 'weight') or list(m.state_dict())",
    "m.get_submodule('foo')", "m.get_submodule('weight')", "m.get_submodule('sub.x')",
    "repr(m.get_submodule(''))", "m.get_parameter('foo')", "m.get_parameter('buf')",
    "m.get_parameter('bias')", "m.get_buffer('weight')", "m.get_buffer('sub.x')", "m.get_buffer('buf')",
    "m.set_submodule('sub', nn.Tanh()) or repr(m)", "m.set_submodule('sub3', nn.Tanh(), strict=True)",
    "m.set_submodule('', nn.Tanh())", "m.set_submodule('sub', 3)", "m.set_submodule('a.b', nn.Tanh())",
    "m.set_submodule('weight', nn.Tanh())", "m.load_state_dict(3)", "repr(m.load_state_dict(m.state_dict()))",
    "m.to(T.int32)", "m.to('cuda')", "m.cuda()", "m.train(3)", "nn.Module(3)", "nn.Module(a=3)",
    "nn.Module()(3)", "nn.Module().get_extra_state()", "nn.Module().set_extra_state(3)", "Early('p')",
    "Early('b')", "Early('m')", "nn.Parameter(3)", "nn.Parameter(T.ones(2, dtype=T.int64))",
    "nn.Parameter(T.ones(2, dtype=T.int64), False)", "nn.Parameter()", "nn.Dropout(2)", "nn.Hardtanh(1, -1)",
    "nn.GELU('x')(T.ones(2))", "nn.Softmax2d()(T.ones(2))", "nn.Embedding(3, 4, padding_idx=5)",
    "nn.Embedding(3, 4, _weight=T.ones(2, 2))", "nn.Embedding.from_pretrained(T.ones(2))",
    "nn.Embedding.from_pretrained(T.ones(2, 2)).weight.requires_grad", "nn.Embedding(3, 4)(T.tensor([3]))",
    "nn.Bilinear(0, 2, 2)", "nn.Linear(2, 3)(T.ones(2, 3))", "nn.PReLU(3)(T.ones(2, 2))",
    "nn.MultiMarginLoss(p=3)", "nn.MultiMarginLoss(weight=T.ones(2, 2))", "nn.TripletMarginLoss(margin=-1.)",
    "nn.Unflatten(1, 3)", "nn.Unflatten(1, (2, 'a'))", "nn.Unflatten(1, (2, 3))(T.ones(2, 6))",
    "nn.Flatten()(T.ones(2, 3, 4))", "nn.Flatten()(T.ones(3))", "F.dropout(T.ones(2), 2.)",
    "F.dropout1d(T.ones(2))", "F.dropout2d(T.ones(2))", "F.glu(T.ones(3))",
    "F.binary_cross_entropy(T.ones(2), T.ones(3))",
    "F.binary_cross_entropy_with_logits(T.ones(2), T.ones(3))", "F.mse_loss(T.ones(2), T.ones(3))",
    "F.multi_margin_loss(T.ones(2, 3), T.tensor([0, 5]))",
    "F.multilabel_margin_loss(T.ones(2, 3), T.tensor([0, 5]))",
    "F.cosine_similarity(T.ones(2), T.ones(2), dim=7)",
    "F.bilinear(T.ones(2, 2), T.ones(2, 3), T.ones(2, 2, 2))",
    "F.gaussian_nll_loss(T.ones(2), T.ones(2), -T.ones(2))",
    "F.gaussian_nll_loss(T.ones(2), T.ones(2), T.ones(3))", "F.one_hot(T.tensor([1.]))",
    "F.hardtanh(T.ones(2), 1., 0.)", "F.margin_ranking_loss(T.ones(2), T.ones(2, 2), T.ones(2))",
    "F.huber_loss(T.ones(2), T.ones(2), delta=0.)", "F.smooth_l1_loss(T.ones(2), T.ones(2), beta=-1.)",
    "F.triplet_margin_loss(T.ones(2, 2), T.ones(2, 2), T.ones(2))",
    "F.cosine_embedding_loss(T.ones(2, 2), T.ones(2, 2), T.ones(2, 2))", "F.softmax(T.ones(2), 5)",
    "nn.utils.clip_grad_norm_([], 1.)", "nn.utils.parameters_to_vector(m.parameters())",
    "nn.utils.vector_to_parameters(3, m.parameters())",
]
# fmt: on


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
            check(
                lambda T: [
                    n for n, _ in getattr(nested(T), what)(prefix="p", remove_duplicate=remove_duplicate)
                ]
            )
    check(lambda T: [n for n, _ in nested(T).named_parameters(recurse=False)])
    check(lambda T: [n for n, _ in nested(T).named_children()])
    check(lambda T: list(nested(T).state_dict()))
    check(lambda T: list(nested(T).state_dict(prefix="x.")))
    check(lambda T: nested(T).state_dict()._metadata)
    check(lambda T: repr(nested(T)))


BAD_STATES = [
    lambda s, T: s.pop("b.1.bias"),
    lambda s, T: s.update(extra=T.ones(1)),
    lambda s, T: s.update(buf=T.ones(3)),
    lambda s, T: s.update({"a.bias": 3}),
    lambda s, T: s.clear(),
    lambda s, T: s.update({"b.1.more": T.ones(1), "b.extra.x": T.ones(1)}),
    lambda s, T: s.update(scalar=T.ones(1)),
    lambda s, T: s.update(gone=T.ones(2)),
]


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
        return [
            model.state_dict(),
            [p.requires_grad for p in model.parameters()],
            type(model.a.weight).__name__,
        ]

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
        two(a, tensor(T, X[1], True))[0].sum().backward()
        m = T.nn.Linear(6, 3)
        m.register_full_backward_hook(lambda mod, gi, go: (gi[0], gi[0]))
        try:
            m(x).sum().backward()
        except RuntimeError as error:
            log.append(str(error))
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
        result += [
            d.state_dict(),
            sorted(k for k in d.__dict__ if k[0] != "_" and k not in ("weight", "bias")),
        ]
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


def test_names():
    """Every public name of ours is PyTorch's, but for what goes beyond it."""
    beyond = {"Lion"}
    for path in ("nn", "nn.functional", "nn.init", "nn.utils", "optim", "optim.lr_scheduler"):
        ours, theirs = autodiffc, torch
        for part in path.split("."):
            ours, theirs = getattr(ours, part), getattr(theirs, part)
        names = {
            n
            for n, v in vars(ours).items()
            if n[0] != "_"
            and callable(v)
            and getattr(v, "__module__", "").startswith((f"autodiffc.{path}", "autodiffc.nn._loss"))
        }
        assert not {n for n in names - beyond if not hasattr(theirs, n)}
