"""Every optimizer on an ill-conditioned valley and on one network, and every schedule of the rate on that network.

The valley is fifty times as steep across as along. Each optimizer starts at the same place and must lower it a
hundredfold; on the network, two interleaved half-moons to be told apart, each must bring the loss below 0.05, and each
schedule (with Adam) below 0.05.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from _common import arguments, finish, plots, save, torch

nn, F, optim = torch.nn, torch.nn.functional, torch.optim
args = arguments(__doc__, steps=300)

# name: what makes it for the valley, and for the network
OPTIMIZERS: dict[str, tuple[Callable, Callable]] = {
    "SGD": (lambda p: optim.SGD(p, 0.035), lambda p: optim.SGD(p, 0.5)),
    "SGD, momentum": (lambda p: optim.SGD(p, 0.01, 0.9), lambda p: optim.SGD(p, 0.1, 0.9)),
    "SGD, Nesterov": (lambda p: optim.SGD(p, 0.01, 0.9, nesterov=True),
                      lambda p: optim.SGD(p, 0.1, 0.9, nesterov=True)),
    "ASGD": (lambda p: optim.ASGD(p, 0.035), lambda p: optim.ASGD(p, 0.5)),
    "Adagrad": (lambda p: optim.Adagrad(p, 0.5), lambda p: optim.Adagrad(p, 0.1)),
    "Adadelta": (lambda p: optim.Adadelta(p, 0.3, eps=1e-3), lambda p: optim.Adadelta(p, 3.0)),
    "RMSprop": (lambda p: optim.RMSprop(p, 0.02), lambda p: optim.RMSprop(p, 0.005)),
    "Rprop": (lambda p: optim.Rprop(p, 0.05), lambda p: optim.Rprop(p, 0.01)),
    "Adam": (lambda p: optim.Adam(p, 0.1), lambda p: optim.Adam(p, 0.02)),
    "AdamW": (lambda p: optim.AdamW(p, 0.1), lambda p: optim.AdamW(p, 0.02)),
    "Adamax": (lambda p: optim.Adamax(p, 0.1), lambda p: optim.Adamax(p, 0.02)),
    "NAdam": (lambda p: optim.NAdam(p, 0.1), lambda p: optim.NAdam(p, 0.02)),
    "RAdam": (lambda p: optim.RAdam(p, 0.05), lambda p: optim.RAdam(p, 0.02)),
    "Adafactor": (lambda p: optim.Adafactor(p, 0.5), lambda p: optim.Adafactor(p, 0.1)),
    "LBFGS": (lambda p: optim.LBFGS(p, line_search_fn="strong_wolfe", max_iter=2),
              lambda p: optim.LBFGS(p, line_search_fn="strong_wolfe", max_iter=2)),
}
n = args.steps
schedules = optim.lr_scheduler
SCHEDULES: dict[str, Callable[[Any], Any]] = {
    "constant": lambda o: schedules.LambdaLR(o, lambda step: 1.0),
    "LambdaLR, 1/sqrt": lambda o: schedules.LambdaLR(o, lambda step: 1 / math.sqrt(1 + step / 20)),
    "MultiplicativeLR": lambda o: schedules.MultiplicativeLR(o, lambda step: 0.99),
    "StepLR": lambda o: schedules.StepLR(o, n // 4, 0.5),
    "MultiStepLR": lambda o: schedules.MultiStepLR(o, [n // 2, 3 * n // 4], 0.1),
    "ConstantLR": lambda o: schedules.ConstantLR(o, 0.3, n // 4),
    "LinearLR": lambda o: schedules.LinearLR(o, 1.0, 0.01, n),
    "ExponentialLR": lambda o: schedules.ExponentialLR(o, 0.985),
    "PolynomialLR": lambda o: schedules.PolynomialLR(o, n, 2.0),
    "CosineAnnealingLR": lambda o: schedules.CosineAnnealingLR(o, n),
    "CosineAnnealingWarmRestarts": lambda o: schedules.CosineAnnealingWarmRestarts(o, n // 4 + 1),
    "CyclicLR": lambda o: schedules.CyclicLR(o, 0.005, 0.03, n // 8, cycle_momentum=False),
    "OneCycleLR": lambda o: schedules.OneCycleLR(o, 0.04, n),
    "SequentialLR, warm-up and cosine": lambda o: schedules.SequentialLR(
        o, [schedules.LinearLR(o, 0.05, 1.0, n // 10), schedules.CosineAnnealingLR(o, n)], [n // 10]),
    "ChainedScheduler, warm-up and decay": lambda o: schedules.ChainedScheduler(
        [schedules.LinearLR(o, 0.05, 1.0, n // 10), schedules.ExponentialLR(o, 0.985)]),
    "ReduceLROnPlateau": lambda o: schedules.ReduceLROnPlateau(o, patience=10),
}


def valley(p: torch.Tensor) -> torch.Tensor:
    return 0.5 * (p[..., 0] ** 2 + 50 * p[..., 1] ** 2)


def walk(make: Callable) -> np.ndarray:
    p = torch.tensor([-4.0, 1.0], requires_grad=True)
    optimizer = make([p])

    def height() -> torch.Tensor:
        optimizer.zero_grad()
        loss = valley(p)
        loss.backward()
        return loss

    path = [p.tolist()]
    for _ in range(n):
        optimizer.step(height)
        path.append(p.tolist())
    return np.array(path)


turn = torch.rand(200) * math.pi
side = torch.arange(200) % 2
moons = torch.stack([turn.cos() + side, torch.where(side == 0, turn.sin(), 0.5 - turn.sin())], 1)
moons = moons + 0.1 * torch.randn(200, 2)


def learn(make: Callable, schedule: Callable | None = None) -> tuple[list[float], list[float]]:
    """The loss, and the rate, of each step; every run starts from the same network."""
    torch.manual_seed(args.seed)
    model = nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 16), nn.Tanh(), nn.Linear(16, 2))
    optimizer = make(model.parameters())
    planned = schedule(optimizer) if schedule else None

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(moons), side)
        loss.backward()
        return loss

    losses, rates = [], []
    for _ in range(n):
        rates.append(float(optimizer.param_groups[0]["lr"]))
        losses.append(optimizer.step(closure).item())
        if planned:
            planned.step(losses[-1]) if isinstance(planned, schedules.ReduceLROnPlateau) else planned.step()
    return losses, rates


paths = {name: walk(make) for name, (make, _) in OPTIMIZERS.items()}
curves = {name: learn(make)[0] for name, (_, make) in OPTIMIZERS.items()}
plans = {name: learn(lambda p: optim.Adam(p, 0.02), schedule) for name, schedule in SCHEDULES.items()}
start = valley(torch.tensor([-4.0, 1.0])).item()
ends = {name: valley(torch.from_numpy(path[-1])).item() for name, path in paths.items()}
for name in OPTIMIZERS:
    print(f"{name:14s} valley {start:.0f} to {ends[name]:.1e}, network's loss {curves[name][-1]:.4f}")
for name, (losses, rates) in plans.items():
    print(f"{name:36s} last rate {rates[-1]:.5f}, loss {losses[-1]:.4f}")

if plt := plots():
    figure = plt.figure(figsize=(14, 11), layout="constrained")
    top, bottom = figure.subfigures(2, 1, height_ratios=[1.35, 1])
    grid = np.stack(np.meshgrid(np.linspace(-4.6, 2, 120), np.linspace(-1.6, 1.6, 80)), axis=-1)
    height = valley(torch.from_numpy(grid)).numpy()
    top.suptitle("paths in a valley fifty times as steep across as along")
    for ax, (name, path) in zip(top.subplots(3, 5, sharex=True, sharey=True).flat, paths.items()):
        ax.contour(grid[..., 0], grid[..., 1], height, levels=np.geomspace(0.1, 60, 10), cmap="Greys", linewidths=0.5)
        ax.plot(*path.T, ".-", markersize=2, linewidth=0.8, color="tab:blue")
        ax.plot(0, 0, "r*")
        ax.set(title=f"{name}: {ends[name]:.0e}", xlim=(-4.6, 2), ylim=(-1.6, 1.6))
    left, middle, right = bottom.subplots(1, 3)
    colors = plt.cm.tab20(np.linspace(0, 1, 20))
    for k, (name, losses) in enumerate(curves.items()):
        left.plot(losses, label=name, color=colors[k])
    left.set(yscale="log", xlabel="step", title="loss of the network, by optimizer")
    for k, (name, (losses, rates)) in enumerate(plans.items()):
        middle.plot(rates, color=colors[k], label=name)
        right.plot(losses, color=colors[k])
    middle.set(yscale="log", ylim=(1e-5, None), xlabel="step", title="rate, by schedule (Adam)")
    right.set(yscale="log", xlabel="step", title="loss, by schedule")
    left.legend(fontsize=6, ncols=2)
    middle.legend(fontsize=6, loc="lower left")
    save(figure, "optimizers", args)

finish(args, valley=ends, network={name: c[-1] for name, c in curves.items()},
       schedules={name: losses[-1] for name, (losses, _) in plans.items()})
assert max(ends.values()) < start / 100, max(ends, key=ends.get)
assert max(c[-1] for c in curves.values()) < 0.05 and max(losses[-1] for losses, _ in plans.values()) < 0.05
