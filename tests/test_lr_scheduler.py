"""Schedulers against their formulas."""

import math
import warnings

import pytest

import autodiffc as ad
from autodiffc import nn, optim
from autodiffc.optim import lr_scheduler as schedulers


def optimizer(lr=0.1, **options):
    return optim.SGD([nn.Parameter(ad.ones(1))], lr=lr, **options)


def rates(make, n=12, **options):
    """The rates of the first n epochs."""
    opt = optimizer(**options)
    scheduler = make(opt)
    result = [opt.param_groups[0]["lr"]]
    for _ in range(n - 1):
        opt.step()
        scheduler.step()
        assert scheduler.get_last_lr() == [opt.param_groups[0]["lr"]]
        result.append(opt.param_groups[0]["lr"])
    return result


def cosine(t, length, low=0.0, high=0.1):
    return low + (high - low) * (1 + math.cos(math.pi * t / length)) / 2


FORMULAS = [
    ("LambdaLR", {"lr_lambda": lambda e: 0.9**e}, lambda e: 0.1 * 0.9**e),
    ("MultiplicativeLR", {"lr_lambda": lambda e: 1 / e}, lambda e: 0.1 / math.factorial(e)),
    ("StepLR", {"step_size": 3, "gamma": 0.5}, lambda e: 0.1 * 0.5 ** (e // 3)),
    ("MultiStepLR", {"milestones": [2, 5, 5]}, lambda e: 0.1 * 0.1 ** ((e >= 2) + 2 * (e >= 5))),
    ("ConstantLR", {"factor": 0.5, "total_iters": 4}, lambda e: 0.1 * (0.5 if e < 4 else 1)),
    (
        "LinearLR",
        {"start_factor": 0.2, "end_factor": 0.8, "total_iters": 6},
        lambda e: 0.1 * (0.2 + 0.6 * min(e, 6) / 6),
    ),
    ("ExponentialLR", {"gamma": 0.9}, lambda e: 0.1 * 0.9**e),
    ("PolynomialLR", {"total_iters": 8, "power": 2.0}, lambda e: 0.1 * (1 - min(e, 8) / 8) ** 2),
    ("CosineAnnealingLR", {"T_max": 5, "eta_min": 0.02}, lambda e: cosine(e, 5, 0.02)),
    ("CosineAnnealingWarmRestarts", {"T_0": 4}, lambda e: cosine(e % 4, 4)),
    (
        "CosineAnnealingWarmRestarts",
        {"T_0": 1, "T_mult": 2},
        lambda e: cosine(e + 1 - 2 ** int(math.log2(e + 1)), 2 ** int(math.log2(e + 1))),
    ),
    (
        "CyclicLR",
        {"base_lr": 0.01, "max_lr": 0.1, "step_size_up": 4, "cycle_momentum": False},
        lambda e: 0.01 + 0.09 * (1 - abs(e % 8 - 4) / 4),
    ),
    (
        "OneCycleLR",
        {"max_lr": 1.0, "total_steps": 12, "pct_start": 0.25, "cycle_momentum": False},
        lambda e: cosine(e, 2, 1.0, 0.04) if e <= 2 else cosine(e - 2, 9, 0.04 / 1e4, 1.0),
    ),
]


@pytest.mark.parametrize("name,options,formula", FORMULAS)
def test_formula(name, options, formula):
    got = rates(lambda opt: getattr(schedulers, name)(opt, **options))
    assert got == pytest.approx([formula(e) for e in range(12)], rel=1e-12, abs=1e-15)


@pytest.mark.parametrize("name,options,formula", FORMULAS)
def test_resume(name, options, formula):
    opt = optimizer()
    scheduler = getattr(schedulers, name)(opt, **options)
    for _ in range(5):
        opt.step()
        scheduler.step()
    saved, saved_opt = scheduler.state_dict(), opt.state_dict()
    opt = optimizer()
    scheduler = getattr(schedulers, name)(opt, **options)
    opt.load_state_dict(saved_opt)
    scheduler.load_state_dict(saved)
    for e in range(6, 10):
        scheduler.step()
        assert opt.param_groups[0]["lr"] == pytest.approx(formula(e), rel=1e-12, abs=1e-15)


def test_closed_form_by_epoch():
    for name in (
        "StepLR",
        "ExponentialLR",
        "LinearLR",
        "CosineAnnealingLR",
        "PolynomialLR",
        "ConstantLR",
        "MultiStepLR",
    ):
        options, formula = next((o, f) for n, o, f in FORMULAS if n == name)
        opt = optimizer()
        scheduler = getattr(schedulers, name)(opt, **options)
        opt.step()
        with pytest.warns(UserWarning, match="epoch parameter"):
            scheduler.step(7)
        assert opt.param_groups[0]["lr"] == pytest.approx(formula(7), rel=1e-12, abs=1e-15)


def test_plateau():
    opt = optimizer()
    scheduler = schedulers.ReduceLROnPlateau(opt, factor=0.5, patience=1, cooldown=1, min_lr=0.02)
    seen = []
    for metric in [1.0, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5]:
        scheduler.step(ad.tensor(metric))
        seen.append(opt.param_groups[0]["lr"])
    assert seen == [0.1] * 3 + [0.05] * 3 + [0.025] * 3 + [0.02] * 3
    scheduler = schedulers.ReduceLROnPlateau(optimizer(), mode="max", threshold_mode="abs", threshold=0.1)
    assert scheduler.is_better(1.2, 1.0) and not scheduler.is_better(1.05, 1.0)


def test_sequence_and_chain():
    def sequence(opt):
        return schedulers.SequentialLR(
            opt, [schedulers.LinearLR(opt, 0.5, 1.0, 4), schedulers.ExponentialLR(opt, 0.9)], [4]
        )

    expected = [0.1 * (0.5 + 0.5 * e / 4) for e in range(4)] + [0.1 * 0.9 ** (e - 4) for e in range(4, 12)]
    assert rates(sequence) == pytest.approx(expected)

    def chain(opt):
        return schedulers.ChainedScheduler(
            [schedulers.ConstantLR(opt, 0.5, 4), schedulers.ExponentialLR(opt, 0.9)]
        )

    assert rates(chain) == pytest.approx([0.1 * 0.9**e * (0.5 if e < 4 else 1) for e in range(12)])


def test_momentum_goes_the_other_way():
    opt = optimizer(momentum=0.9)
    scheduler = schedulers.OneCycleLR(opt, 1.0, total_steps=10, anneal_strategy="linear")
    seen = []
    for _ in range(9):
        opt.step()
        scheduler.step()
        seen.append((opt.param_groups[0]["lr"], opt.param_groups[0]["momentum"]))
    assert seen[1] == (1.0, 0.85) and seen[-1] == pytest.approx((0.04 / 1e4, 0.95))
    adam = optim.Adam([nn.Parameter(ad.ones(1))])
    schedulers.CyclicLR(adam, 0.01, 0.1)
    assert adam.param_groups[0]["betas"] == (0.9, 0.999)


def test_tensor_rate_stays_the_same_tensor():
    opt = optimizer(lr=ad.tensor(0.1))
    lr = opt.param_groups[0]["lr"]
    scheduler = schedulers.ExponentialLR(opt, 0.5)
    opt.step()
    scheduler.step()
    assert opt.param_groups[0]["lr"] is lr and lr.item() == pytest.approx(0.05)


def test_order_of_steps_is_noticed():
    scheduler = schedulers.StepLR(optimizer(), 1)
    with pytest.warns(UserWarning, match="before `optimizer.step"):
        scheduler.step()
    opt = optimizer()
    scheduler = schedulers.StepLR(opt, 1)
    opt.step()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scheduler.step()
    with pytest.warns(UserWarning, match="get_last_lr"):
        scheduler.get_lr()


@pytest.mark.parametrize(
    "make,error",
    [
        (lambda o: schedulers.StepLR(3, 1), TypeError),
        (lambda o: schedulers.StepLR(o, 1, last_epoch=3), KeyError),
        (lambda o: schedulers.LambdaLR(o, [abs, abs]), ValueError),
        (lambda o: schedulers.LinearLR(o, 0), ValueError),
        (lambda o: schedulers.ConstantLR(o, 2), ValueError),
        (lambda o: schedulers.OneCycleLR(o, 1.0), ValueError),
        (lambda o: schedulers.CyclicLR(o, 0.1, 1.0, mode="x"), ValueError),
        (lambda o: schedulers.CosineAnnealingWarmRestarts(o, 0), ValueError),
        (lambda o: schedulers.ReduceLROnPlateau(o, factor=1), ValueError),
        (lambda o: schedulers.ReduceLROnPlateau(o, mode="x"), ValueError),
        (lambda o: schedulers.SequentialLR(o, [], []), ValueError),
        (lambda o: schedulers.ChainedScheduler([]), ValueError),
    ],
)
def test_refused(make, error):
    with pytest.raises(error):
        make(optimizer())
