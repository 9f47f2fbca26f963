"""Checkpoints of optimizers and schedulers between the two libraries, both ways: the same bits; training goes on."""

import io

import numpy as np
import pytest
import torch

import autodiffc

pytestmark = pytest.mark.parity

G = np.random.default_rng(0)
START, GOALS = G.standard_normal((5, 3)).astype("f"), G.standard_normal((8, 5, 3)).astype("f")
OPTIMIZERS = [("SGD", {"momentum": 0.9}), ("Adam", {"amsgrad": True}), ("AdamW", {}), ("Adagrad", {}), ("Adadelta", {}),
              ("Adamax", {}), ("NAdam", {}), ("RAdam", {}), ("RMSprop", {"momentum": 0.9, "centered": True}),
              ("Rprop", {}), ("ASGD", {}), ("Adafactor", {}), ("LBFGS", {"max_iter": 3}), ("Muon", {})]


def train(T, optimizer, p, goals):
    for goal in goals:

        def closure(goal=goal):
            optimizer.zero_grad()
            loss = ((p - T.from_numpy(goal)) ** 4).sum()
            loss.backward()
            return loss

        optimizer.step(closure)


def flat(x):
    if isinstance(x, dict):
        return {str(k): flat(v) for k, v in x.items()}
    if isinstance(x, (list, tuple)):
        return [flat(v) for v in x]
    return (x.detach().numpy().tobytes(), str(x.dtype)) if hasattr(x, "detach") else x


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("source,target", [(torch, autodiffc), (autodiffc, torch)])
@pytest.mark.parametrize("name,options", OPTIMIZERS)
def test_checkpoint(name, options, source, target):
    p = source.nn.Parameter(source.from_numpy(START.copy()))
    optimizer = getattr(source.optim, name)([p], **options)
    schedule = source.optim.lr_scheduler.CosineAnnealingLR(optimizer, 9)
    train(source, optimizer, p, GOALS[:3])
    schedule.step()
    file = io.BytesIO()
    source.save({"o": optimizer.state_dict(), "s": schedule.state_dict(), "p": p.detach()}, file)
    file.seek(0)
    saved = target.load(file, weights_only=True)
    q = target.nn.Parameter(saved["p"])
    other = getattr(target.optim, name)([q])
    going_on = target.optim.lr_scheduler.CosineAnnealingLR(other, 9)
    other.load_state_dict(saved["o"])
    going_on.load_state_dict(saved["s"])
    assert flat(optimizer.state_dict()) == flat(other.state_dict())
    assert flat(schedule.state_dict()) == flat(going_on.state_dict())
    train(source, optimizer, p, GOALS[3:])
    train(target, other, q, GOALS[3:])
    schedule.step()
    going_on.step()
    np.testing.assert_allclose(q.detach().numpy(), p.detach().numpy(), rtol=1e-5, atol=1e-5)
    assert schedule.get_last_lr() == going_on.get_last_lr()
