"""Checkpoint files between the two libraries, in both directions: the same objects, bit by bit."""

import io
import warnings
from collections import OrderedDict

import numpy as np
import pytest

import autodiffc

from .both import torch

pytestmark = pytest.mark.parity

DTYPES = ["bool", "uint8", "int8", "int16", "int32", "int64", "float16", "bfloat16", "float32", "float64"]


def bits(x):
    """An object with tensors as (dtype, sizes, strides, bytes), and the other library's types by name."""
    if isinstance(x, (autodiffc.Tensor, torch.Tensor)):
        flat = x.detach().contiguous()
        raw = bytes(flat.untyped_storage().tolist()) if flat.numel() else b""
        return type(x).__name__, str(x.dtype), tuple(x.shape), x.stride(), x.requires_grad, raw
    if isinstance(x, dict):
        return type(x).__name__, [(bits(k), bits(v)) for k, v in x.items()]
    if isinstance(x, (list, tuple)):
        return type(x).__name__, [bits(item) for item in x]
    if type(x).__module__.partition(".")[0] in ("torch", "autodiffc"):
        return str(x)
    return type(x).__name__, x


def sample(T):
    x = T.arange(12, dtype=T.float32).reshape(3, 4)
    things = {"x": x, "t": x.t(), "part": x[1:, ::2], "wide": x[0].expand(2, 4), "empty": T.empty(0, 3),
              "0d": T.tensor(2.5), "p": T.nn.Parameter(T.ones(2)), "size": x.shape,
              "o": OrderedDict(a=(1, [2.5, None, "s", b"b"])),
              "dtype": T.float16, "device": T.device("cpu"), "big": 1 << 90, "set": {1, 2}}  # fmt: skip
    return {**things, **{d: T.arange(5).to(getattr(T, d)) for d in DTYPES}}


def written(T, obj, **options):
    file = io.BytesIO()
    T.save(obj, file, **options)
    file.seek(0)
    return file


@pytest.mark.parametrize("options", [{}, {"_use_new_zipfile_serialization": False}, {"pickle_protocol": 3}])
def test_both_directions(options):
    expected = bits(sample(torch))
    for writer in (torch, autodiffc):
        for reader in (torch, autodiffc):
            for weights_only in (True, False):
                if weights_only and reader is torch and options.get("pickle_protocol"):
                    continue
                file = written(writer, sample(writer), **options)
                assert bits(reader.load(file, weights_only=weights_only)) == expected, (writer, reader)


@pytest.mark.parametrize("writer, reader", [(torch, autodiffc), (autodiffc, torch)])
def test_shared_memory_and_files(writer, reader, tmp_path):
    x = writer.arange(12.0).reshape(3, 4)
    writer.save({"x": x, "t": x.t(), "row": x[1]}, tmp_path / "a.pt")
    for more in ({}, {"mmap": True}, {"map_location": "cpu"}, {"map_location": lambda s, where: s}):
        r = reader.load(tmp_path / "a.pt", **more)
        r["x"][1, 2] = 100
        assert r["t"][2, 1] == 100 and r["row"][2] == 100


def training(T, rng):
    T.manual_seed(3)
    net = T.nn.Sequential(T.nn.Linear(6, 8), T.nn.ReLU(), T.nn.Linear(8, 2))
    for p in net.parameters():
        p.data.copy_(T.from_numpy(rng.standard_normal(tuple(p.shape)).astype(np.float32)))
    return net


OPTIMIZERS = [
    ("SGD", {"lr": 0.1, "momentum": 0.9}),
    ("Adam", {"lr": 0.05, "amsgrad": True}),
    ("AdamW", {"lr": 0.05, "weight_decay": 0.1}),
    ("Adagrad", {"lr": 0.05}),
    ("Adadelta", {}),
    ("Adamax", {}),
    ("NAdam", {}),
    ("RAdam", {}),
    ("RMSprop", {"lr": 0.01, "momentum": 0.9, "centered": True}),
    ("Rprop", {}),
    ("ASGD", {}),
    ("Adafactor", {}),
    ("LBFGS", {"lr": 0.1}),
]
SCHEDULERS = [
    ("StepLR", {"step_size": 2}),
    ("MultiStepLR", {"milestones": [1, 3]}),
    ("ExponentialLR", {"gamma": 0.9}),
    ("CosineAnnealingLR", {"T_max": 10}),
    ("CosineAnnealingWarmRestarts", {"T_0": 3}),
    ("LambdaLR", {"lr_lambda": lambda n: 0.9**n}),
    ("ReduceLROnPlateau", {"patience": 1}),
    ("LinearLR", {}),
    ("PolynomialLR", {}),
    ("OneCycleLR", {"max_lr": 0.1, "total_steps": 20}),
    ("CyclicLR", {"base_lr": 0.01, "max_lr": 0.1, "cycle_momentum": False}),
]
PAIRS = [(o, SCHEDULERS[0]) for o in OPTIMIZERS] + [(OPTIMIZERS[1], s) for s in SCHEDULERS[1:]]


def stepped(schedule, kind, loss):
    schedule.step(loss) if kind == "ReduceLROnPlateau" else schedule.step()


@pytest.mark.parametrize("writer, reader", [(torch, autodiffc), (autodiffc, torch)])
@pytest.mark.parametrize("pair", PAIRS, ids=lambda p: f"{p[0][0]}-{p[1][0]}")
def test_checkpoints_of_model_optimizer_and_scheduler(writer, reader, pair):
    """Written by one library after some steps; the other has the same bits, and writes the same back."""
    (optimizer, options), (scheduler, settings) = pair

    def parts(T):
        net = training(T, np.random.default_rng(0))
        opt = getattr(T.optim, optimizer)(net.parameters(), **options)
        return net, opt, getattr(T.optim.lr_scheduler, scheduler)(opt, **settings)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        net, opt, schedule = parts(writer)
        x = writer.from_numpy(np.random.default_rng(1).standard_normal((5, 6)).astype(np.float32))
        for _ in range(4):
            def loss_of():
                opt.zero_grad()
                loss = net(x).pow(2).mean()
                loss.backward()
                return loss

            loss = opt.step(loss_of)
            stepped(schedule, scheduler, loss.item())
        state = {"net": net.state_dict(), "opt": opt.state_dict(), "schedule": schedule.state_dict(), "epoch": 4,
                 "rng": writer.get_rng_state()}  # fmt: skip
        read = reader.load(written(writer, state))
        assert bits(read) == bits(writer.load(written(writer, state)))
        net2, opt2, schedule2 = parts(reader)
        net2.load_state_dict(read["net"])
        opt2.load_state_dict(read["opt"])
        schedule2.load_state_dict(dict(read["schedule"]))  # PyTorch's CyclicLR takes entries out
        reader.set_rng_state(read["rng"])
        assert writer.rand(5).tolist() == reader.rand(5).tolist()
        back = {"net": net2.state_dict(), "opt": opt2.state_dict(), "schedule": schedule2.state_dict()}
        back = writer.load(written(reader, back))
        for name in back:
            assert bits(back[name]) == bits(read[name]), name


def test_whole_modules():
    for make in (
        lambda T: T.nn.Linear(3, 2),
        lambda T: T.nn.Sequential(T.nn.Linear(3, 4), T.nn.Tanh(), T.nn.Dropout(0.1), T.nn.Linear(4, 2)),
        lambda T: T.nn.ModuleDict({"a": T.nn.Embedding(4, 3), "b": T.nn.ModuleList([T.nn.PReLU()])}),
    ):
        for writer, reader in ((torch, autodiffc), (autodiffc, autodiffc)):
            m = make(writer)
            again = reader.load(written(writer, m), weights_only=False)
            assert repr(again) == repr(m) and type(again) is getattr(reader.nn, type(m).__name__)
            assert bits(again.state_dict()) == bits(m.state_dict())
        again = autodiffc.load(written(torch, make(torch)), weights_only=False)
        again.to(autodiffc.float64).train()
        for p in again.parameters():
            assert type(p) is autodiffc.nn.Parameter and p.requires_grad


def test_whole_optimizers_and_generators():
    net = torch.nn.Linear(3, 2)
    opt = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    net(torch.ones(2, 3)).sum().backward()
    opt.step()
    again = autodiffc.load(written(torch, opt), weights_only=False)
    assert type(again) is autodiffc.optim.SGD and bits(again.state_dict()) == bits(opt.state_dict())
    g = torch.Generator().manual_seed(4)
    torch.rand(3, generator=g)
    ours = autodiffc.load(written(torch, g), weights_only=False)
    assert autodiffc.rand(4, generator=ours).tolist() == torch.rand(4, generator=g).tolist()
    assert type(torch.load(written(autodiffc, autodiffc.nn.Linear(3, 2)), weights_only=False)) is torch.nn.Linear


def test_refusals_have_the_same_class():
    def outcome(T, case):
        try:
            case(T)
        except Exception as e:
            return type(e)

    cases = [
        lambda T: T.load(io.BytesIO()),
        lambda T: T.load("/nonexistent/file.pt"),
        lambda T: T.save(1, "/nonexistent/file.pt"),
        lambda T: T.save(1, 3),
        lambda T: T.load(3),
        lambda T: T.load(io.BytesIO(b"PK\3\4 garbage")),
        lambda T: T.load(written(T, T.nn.Linear(2, 2))),
        lambda T: T.load(written(T, T.ones(2)), map_location="cuda"),
        lambda T: T.load(written(T, T.ones(2)), mmap=True),
        lambda T: T.load(io.BytesIO(written(T, T.ones(200)).getvalue()[:700])),
    ]
    for k, case in enumerate(cases):
        assert outcome(autodiffc, case) is outcome(torch, case), k
