"""explain(): what a program does, and that measuring it changes nothing."""

import numpy as np
import pytest

import autodiffc as ad
from autodiffc import nn, optim
from autodiffc.nn import functional as F


def data(*sizes, seed=0):
    return ad.from_numpy(np.random.default_rng(seed).standard_normal(sizes).astype(np.float32))


def build():
    ad.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 3))
    optimizer = optim.Adam(model.parameters())

    def step(x, y):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x) * 2 + 1, y)
        loss.backward()
        optimizer.step()
        return loss

    return model, step


def test_lines_and_text(capsys):
    model, step = build()
    step = ad.compile(step)
    x, y = data(4, 6), ad.tensor([0, 1, 2, 1])
    for _ in range(2):
        step(x, y)
    explained = step.explain(x, y)
    text = capsys.readouterr().out
    assert str(explained) in text
    for word in ("cross_entropy", "linear", "adam_step", "fused: mul, add", "measured", "predicted", "f32[4, 8]"):
        assert word in text, word
    (stats, lines), = explained.programs
    assert len(lines) == stats["live"] and all(x.measured >= 0 and x.predicted > 0 for x in lines)
    assert next(x for x in lines if x.name == "linear").flops == 2 * 4 * 6 * 8


def test_measuring_changes_nothing():
    (a, eager), (b, step) = build(), build()
    step = ad.compile(step)
    ad.manual_seed(1)
    for k in range(6):
        eager(data(4, 6, seed=k), ad.tensor([0, 1, 2, 1]))
    want = ad.rand(3)
    ad.manual_seed(1)
    for k in range(6):
        x, y = data(4, 6, seed=k), ad.tensor([0, 1, 2, 1])
        step(x, y)
        versions = [p._version for p in b.parameters()]
        step.explain(x, y)
        assert versions == [p._version for p in b.parameters()]
    assert ad.equal(ad.rand(3), want)
    for x, y in zip(a.state_dict().values(), b.state_dict().values()):
        assert x.numpy().tobytes() == y.numpy().tobytes()


def test_several_programs_and_reasons(capsys):
    step = ad.compile(lambda x: (x * 2 + 1).sum())
    step(data(4))
    step(data(3, 5))
    both = step.explain()  # without arguments: predictions alone
    assert len(both.programs) == 2 and both.programs[0][1][0].measured is None
    one = step.explain(data(3, 5))
    assert len(one.programs) == 1 and one.programs[0][1][0].measured is not None
    refused = ad.compile(lambda x: x * x.sum().item())
    with pytest.warns(UserWarning):
        refused(data(3))
    capsys.readouterr()
    refused.explain()
    assert "runs as it is: reading a value" in capsys.readouterr().out
    ad.compile(lambda x: x).explain()
    assert "has not been recorded" in capsys.readouterr().out


def test_modules_and_pictures(tmp_path):
    model = ad.compile(nn.Linear(6, 3))
    with pytest.raises(RuntimeError, match="not been called"):
        model.explain()
    x = data(4, 6)
    for _ in range(3):
        model(x).sum().backward()
    before = model._orig_mod.weight.grad.clone()
    explained = model.explain(x)
    assert "---- backward" in str(explained) and ad.equal(before, model._orig_mod.weight.grad)
    explained.svg(tmp_path / "step.svg")
    text = (tmp_path / "step.svg").read_text()
    assert text.startswith("<svg") and text.rstrip().endswith("</svg>") and "linear" in text
