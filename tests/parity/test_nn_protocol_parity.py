"""What a module does beside computing, step by step against PyTorch's."""

# ruff: noqa: B010, B018, B023, E501
import collections
import copy
import pickle

import pytest

from .both import check

pytestmark = [pytest.mark.parity, pytest.mark.filterwarnings("ignore")]


def net(T):
    return T.nn.Sequential(
        collections.OrderedDict([("a", T.nn.Linear(2, 3)), ("b", T.nn.Sequential(T.nn.ReLU(), T.nn.BatchNorm1d(3)))])
    )


def tied(T):
    m = net(T)
    m.c = T.nn.Linear(2, 3)
    m.c.weight = m.a.weight
    m.d = m.a
    return [
        [n for n, _ in m.named_parameters()],
        [n for n, _ in m.named_parameters(remove_duplicate=False)],
        [n for n, _ in m.named_modules()],
        [n for n, _ in m.named_modules(remove_duplicate=False)],
        [n for n, _ in m.named_buffers(remove_duplicate=False)],
        list(m.state_dict()),
        [n for n, _ in m.named_children()],
        len(list(m.parameters())),
        [n for n, _ in m.named_parameters("p")],
        [n for n, _ in m.named_parameters(recurse=False)],
        [n for n, _ in m.named_modules(prefix="z")],
    ]


def direct(T):
    m = net(T)
    out = []
    m._parameters["w"] = T.nn.Parameter(T.ones(2))
    out += [m.w, list(m.state_dict())]
    m._buffers["bb"] = T.ones(3)
    out += [m.bb, list(m.state_dict())]
    m._modules["mm"] = T.nn.Identity()
    out += [repr(m)]
    del m._parameters["w"]
    out.append(hasattr(m, "w"))
    del m.bb
    out.append(hasattr(m, "bb"))
    del m.mm
    m.register_buffer("np", T.ones(1), persistent=False)
    out.append(list(m.state_dict()))
    m.np = None
    out.append(m.np is None)
    m.np = T.zeros(2)
    out.append([k for k, _ in m.named_buffers()])
    m.x = T.nn.Parameter(T.ones(1))
    m.x = None
    out.append(list(m._parameters))
    return out


WRONG = [
    lambda T: net(T).get_submodule("b.9"),
    lambda T: net(T).get_parameter("a.z"),
    lambda T: net(T).get_parameter("b.1.running_mean"),
    lambda T: net(T).get_buffer("a.weight"),
    lambda T: setattr(net(T), "a", 3),
    lambda T: net(T).a.__setattr__("weight", 3),
    lambda T: net(T).a.__setattr__("weight", T.ones(3, 2)),
    lambda T: net(T).add_module("a.b", T.nn.ReLU()),
    lambda T: net(T).add_module("", T.nn.ReLU()),
    lambda T: net(T).add_module("forward", T.nn.ReLU()),
    lambda T: net(T).add_module(3, T.nn.ReLU()),
    lambda T: net(T).add_module("x", 3),
    lambda T: net(T).register_buffer("x", 3),
    lambda T: net(T).register_buffer("a", T.ones(2)),
    lambda T: net(T).register_parameter("x", T.ones(3)),
    lambda T: net(T).register_parameter("a", T.nn.Parameter(T.ones(3))),
    lambda T: net(T).train(3),
    lambda T: net(T).to(T.int64),
    lambda T: net(T).to("cuda"),
    lambda T: net(T).cuda(),
    lambda T: net(T).load_state_dict(3),
    lambda T: net(T).load_state_dict({}),
    lambda T: net(T)(3),
    lambda T: net(T).nope,
    lambda T: T.nn.Module()(3),
    lambda T: T.nn.Module(3),
    lambda T: T.nn.Module(a=3),
    lambda T: net(T).to_empty(),
    lambda T: net(T).xpu(),
    lambda T: net(T)[5],
    lambda T: net(T)["a"],
    lambda T: T.nn.Sequential(3),
    lambda T: T.nn.ModuleList([3]),
    lambda T: T.nn.ModuleDict({"a": 3}),
    lambda T: net(T).set_submodule("", T.nn.ReLU()),
    lambda T: net(T).set_submodule("a.q.r", T.nn.ReLU()),
    lambda T: T.nn.ModuleDict(3),
    lambda T: T.nn.ParameterList(3),
    lambda T: T.nn.ModuleDict({"a.b": T.nn.ReLU()}),
    lambda T: T.nn.ModuleDict({1: T.nn.ReLU()}),
]


def conv(T):
    m = net(T)
    out = []
    for c in ("half", "double", "bfloat16", "float"):
        getattr(m, c)()
        out.append([(k, str(v.dtype).split(".")[-1]) for k, v in m.state_dict().items()])
    w = m.a.weight
    m.double()
    out.append(m.a.weight is w)
    m.to(T.float32)
    m.to(T.ones(1).double())
    out.append(str(m.a.weight.dtype).split(".")[-1])
    m.to("cpu")
    m.to(device="cpu", dtype=T.float32)
    out.append(str(m.a.weight.dtype).split(".")[-1])
    m.type(T.float64)
    out.append([str(v.dtype).split(".")[-1] for v in m.state_dict().values()])
    m.type("torch.FloatTensor")
    out.append([str(v.dtype).split(".")[-1] for v in m.state_dict().values()])
    m.to_empty(device="cpu")
    out.append([tuple(p.shape) for p in m.parameters()])
    m.share_memory()
    out.append(m.a.weight.is_shared())
    m.to(memory_format=T.channels_last)
    m.to("cpu", non_blocking=True)
    m.requires_grad_(False)
    out.append([p.requires_grad for p in m.parameters()])
    return out


def sd(T):
    m = net(T)
    d = collections.OrderedDict()
    r = m.state_dict(destination=d)
    out = [r is d, list(d)]
    out.append(list(m.state_dict(prefix="q.")))
    kv = m.state_dict(keep_vars=True)
    out.append([v.requires_grad for v in kv.values()])
    out.append(kv["a.weight"] is m.a.weight)
    n = net(T)
    r = n.load_state_dict(m.state_dict())
    out += [repr(r), n.state_dict()]
    s = m.state_dict()
    del s["a.bias"]
    s["zz"] = T.ones(1)
    r = n.load_state_dict(s, strict=False)
    out += [r.missing_keys, r.unexpected_keys, repr(r)]
    w = n.a.weight
    n.load_state_dict(m.state_dict(), assign=True)
    out.append(n.a.weight is w)
    out.append(n.a.weight.requires_grad)
    out.append(type(n.a.weight).__name__)
    log = []
    n.register_load_state_dict_post_hook(lambda mod, inc: log.append((type(mod).__name__, list(inc.missing_keys))))
    n.register_state_dict_pre_hook(lambda mod, p, kv: log.append((p, kv)))
    n.register_state_dict_post_hook(lambda mod, sd, p, md: log.append(len(sd)))
    n.register_load_state_dict_pre_hook(lambda mod, sd, p, md, strict, mk, uk, em: log.append((p, strict)))
    n._register_state_dict_hook(lambda mod, sd, p, md: sd.update(hooked=T.ones(1)) or sd)
    out.append(list(n.state_dict()))
    n.load_state_dict(m.state_dict())
    out.append(log)
    return out


def extra(T):
    class E(T.nn.Module):
        def __init__(s):
            super().__init__()
            s.v = 1

        def get_extra_state(s):
            return {"v": s.v}

        def set_extra_state(s, x):
            s.v = x["v"]

    m = T.nn.Sequential(E())
    m[0].v = 5
    n = T.nn.Sequential(E())
    n.load_state_dict(m.state_dict())
    return [n[0].v, list(m.state_dict())]


def hooks(T):
    log = []
    m = net(T)
    h = [
        m.register_forward_pre_hook(lambda mod, a: log.append("pre")),
        m.register_forward_hook(lambda mod, a, o: log.append("post")),
        m.a.register_full_backward_hook(
            lambda mod, gi, go: log.append(
                ("bw", [None if g is None else tuple(g.shape) for g in gi], [tuple(g.shape) for g in go])
            )
        ),
        m.a.register_full_backward_pre_hook(lambda mod, go: log.append("bpre")),
        m.register_forward_pre_hook(lambda mod, a, k: log.append(("kw", list(k))), with_kwargs=True, prepend=True),
        m.register_forward_hook(lambda mod, a, k, o: log.append("kwpost"), with_kwargs=True),
        m.register_forward_hook(lambda mod, a, o: o * 2, prepend=True),
    ]
    y = m(T.ones(4, 2))
    y.sum().backward()
    log.append(y)
    for x in h:
        x.remove()
    log.append(m(T.ones(4, 2)).shape == (4, 3))
    with m.register_forward_hook(lambda mod, a, o: log.append("ctx")):
        m(T.ones(4, 2))
    m(T.ones(4, 2))

    def boom(mod, a):
        raise ValueError("x")

    m.register_forward_hook(lambda mod, a, o: log.append("always"), always_call=True)
    m.a.register_forward_pre_hook(boom)
    try:
        m(T.ones(4, 2))
    except ValueError:
        log.append("raised")
    return log


def gl(T):
    log = []
    M = T.nn.modules.module
    hs = [
        M.register_module_forward_pre_hook(lambda m, a: log.append(("gpre", type(m).__name__))),
        M.register_module_forward_hook(lambda m, a, o: log.append(("gpost", type(m).__name__))),
        M.register_module_full_backward_hook(lambda m, gi, go: log.append(("gb", type(m).__name__))),
        M.register_module_parameter_registration_hook(lambda m, n, p: log.append(n)),
        M.register_module_module_registration_hook(lambda m, n, p: log.append(n)),
        M.register_module_buffer_registration_hook(lambda m, n, p: log.append(n)),
    ]
    m = net(T)
    m(T.ones(4, 2)).sum().backward()
    for h in hs:
        h.remove()
    net(T)(T.ones(4, 2))
    return log


def cp(T):
    m = net(T)
    n = copy.deepcopy(m)
    n.a.weight.data.zero_()
    out = [m.a.weight, n.a.weight]
    s = copy.copy(m)
    out.append(s.a is m.a)
    p = pickle.loads(pickle.dumps(m))
    out += [p.state_dict(), repr(p), p.training]
    return out


def seq(T):
    m = T.nn.Sequential(T.nn.Linear(2, 3), T.nn.ReLU(), T.nn.Tanh())
    out = [repr(m[1:]), len(m), repr(m[-1])]
    m.append(T.nn.Sigmoid())
    m.insert(0, T.nn.Identity())
    m.extend([T.nn.ReLU(), T.nn.GELU()])
    out.append(repr(m))
    del m[0]
    out.append(list(m._modules))
    m[0] = T.nn.Linear(2, 2)
    out.append(repr(m[0]))
    out.append(repr(m + T.nn.Sequential(T.nn.ReLU())))
    out.append(repr(m * 2))
    out.append(repr(m.pop(-1)))
    del m[1:3]
    out.append(repr(m))
    m += T.nn.Sequential(T.nn.ReLU())
    out.append(repr(m))
    m *= 2
    out.append(len(m))
    out.append(len(2 * m))
    out.append([type(x).__name__ for x in m])
    return out


def ml(T):
    m = T.nn.ModuleList([T.nn.Linear(2, 2) for _ in range(4)])
    out = [repr(m), repr(m[1:3]), len(m), repr(m[-1])]
    m.append(T.nn.ReLU())
    m.extend([T.nn.Tanh()])
    m.insert(1, T.nn.GELU())
    out.append(repr(m))
    m.pop(0)
    del m[1:3]
    out.append(repr(m))
    m[0] = T.nn.ReLU6()
    out.append(repr(m))
    out.append(repr(m + [T.nn.ReLU()]))
    m += [T.nn.ReLU()]
    out.append(len(m))
    out.append(T.nn.ReLU() in m)
    return out


def md(T):
    m = T.nn.ModuleDict({"a": T.nn.ReLU(), "b": T.nn.Tanh()})
    m["c"] = T.nn.GELU()
    m.update([("d", T.nn.ReLU())])
    m.update({"a": T.nn.Linear(1, 1)})
    out = [repr(m), list(m), list(m.keys()), [repr(v) for v in m.values()], [k for k, _ in m.items()], len(m), "a" in m]
    out.append(repr(m.pop("b")))
    del m["c"]
    out.append(list(m))
    m.clear()
    out.append(len(m))
    return out


def pl(T):
    m = T.nn.ParameterList([T.nn.Parameter(T.ones(2)), T.zeros(3)])
    m.append(T.ones(1))
    m.extend([T.ones(2)])
    out = [repr(m), len(m), m[0], m[1:], list(m.state_dict()), m.state_dict(), type(m[1]).__name__]
    m[0] = T.zeros(2)
    out.append(m[0])
    m += [T.ones(4)]
    out.append(len(m))
    out.append(m.pop())
    out.append(len(m))
    return out


def pd(T):
    m = T.nn.ParameterDict({"a": T.nn.Parameter(T.ones(2)), "b": T.zeros(3)})
    m["c"] = T.ones(1)
    out = [repr(m), list(m), m["a"], len(m), "a" in m, list(m.state_dict())]
    m.update({"d": T.ones(2)})
    out.append(m.pop("a"))
    out.append(m.get("zz"))
    out.append(m.setdefault("q", T.ones(1)))
    out.append(list(m.keys()))
    out.append(list(reversed(m)))
    out.append(m.popitem())
    out.append(list(m.copy()))
    out.append(list(m | T.nn.ParameterDict({"w": T.ones(1)})))
    out.append(list(T.nn.ParameterDict().fromkeys(["x"])))
    del m["b"]
    m.clear()
    out.append(len(m))
    return out


def misc(T):
    m = net(T)
    out = []
    seen = []
    m.apply(lambda x: seen.append(type(x).__name__))
    out.append(seen)
    m.eval()
    out.append([x.training for x in m.modules()])
    m.train()
    m.zero_grad()
    m(T.ones(3, 2)).sum().backward()
    m.zero_grad(set_to_none=False)
    out.append([p.grad for p in m.parameters()])
    m.zero_grad()
    out.append([p.grad for p in m.parameters()])
    out.append(m._get_name())
    out.append("a" in dir(m))
    out.append([x for x in ("a.weight",) if m.get_parameter(x) is m.a.weight])
    out.append(m.get_submodule("") is m)
    m.set_submodule("b.0", T.nn.Tanh())
    out.append(repr(m))
    m.register_module("zz", T.nn.ReLU())
    out.append(repr(m))
    m.compile()
    out.append(m(T.ones(3, 2)).shape == (3, 3))
    out.append(m.a.extra_repr())
    out.append([n for n in m.a.__constants__])
    out.append(m.dump_patches)
    out.append(m._version)
    out.append(hash(m) == hash(m))
    return out


def ss(T):
    m = T.nn.Linear(2, 3)
    s = m.__getstate__() if hasattr(m, "__getstate__") else m.__dict__.copy()
    n = T.nn.Linear.__new__(T.nn.Linear)
    n.__setstate__(dict(s))
    return [n(T.ones(1, 2)), list(n.state_dict())]


def reset(T):
    class Mx(T.nn.Module):
        def __init__(s):
            s.x = 1
            super().__init__()
            s.l = T.nn.Linear(1, 1)

    class My(T.nn.Module):
        def __init__(s):
            s.l = T.nn.Linear(1, 1)

    out = [repr(Mx())]
    for f in (lambda: My(),):
        try:
            f()
        except Exception as e:
            out.append(str(e))

    class P(T.nn.Module):
        @property
        def foo(self):
            return self.bar

    try:
        P().foo
    except AttributeError as e:
        out.append(str(e))
    return out


def parallel(T):
    return [
        repr(T.nn.DataParallel(net(T))),
        list(T.nn.DataParallel(net(T)).state_dict()),
        T.nn.DataParallel(net(T))(T.ones(3, 2)),
    ]


def tuples(T):
    return [
        T.nn.modules.utils._pair(3),
        T.nn.modules.utils._triple((1, 2, 3)),
        T.nn.modules.utils._single(1),
        T.nn.modules.utils._quadruple(1),
        T.nn.modules.utils._ntuple(5)(2),
        T.nn.modules.utils._reverse_repeat_tuple((1, 2), 2),
    ]


STEPS = [tied, direct, conv, sd, extra, hooks, gl, cp, seq, ml, md, pl, pd, misc, ss, reset, parallel, tuples]


@pytest.mark.parametrize("steps", STEPS)
def test_steps(steps):
    check(steps, 2e-5)


@pytest.mark.parametrize("wrong", WRONG)
def test_wrong(wrong):
    check(wrong)
