"""Momentum and Nesterov's momentum, written out, and the optimizers that compute them.

    momentum:   r = gamma r + alpha grad L(theta)               theta = theta - r
    Nesterov:   r = gamma r + alpha grad L(theta - gamma r)     theta = theta - r

`SGD(momentum=gamma)` keeps b = gamma b + grad and subtracts alpha b: at a constant rate, r = alpha b, and both walk
the same path. `SGD(nesterov=True)` walks the path of the shifted variable phi = theta - gamma r, where the gradient is
taken (Sutskever et al., 2013). When a schedule changes alpha they part: r keeps the rates of the past, b does not, so
that alpha b follows a new rate at once.
"""

from collections.abc import Callable

import numpy as np
from _common import arguments, finish, plots, save, torch

args = arguments(__doc__)
torch.set_default_dtype(torch.float64)
GAMMA, STEPS, START = 0.9, 60, (-2.5, 1.5)


def valley(p: torch.Tensor) -> torch.Tensor:
    """Ten times as steep across as along; p is (..., 2)."""
    return 0.5 * (p[..., 0] ** 2 + 10 * p[..., 1] ** 2)


def slope(p: torch.Tensor) -> torch.Tensor:
    p = p.detach().requires_grad_()
    valley(p).backward()
    return p.grad


def written_out(rate: Callable[[int], float], nesterov: bool) -> np.ndarray:
    """The path of theta; for Nesterov, that of phi = theta - gamma r."""
    theta, r = torch.tensor(START), torch.zeros(2)
    path = [theta.tolist()]
    for step in range(STEPS):
        r = GAMMA * r + rate(step) * slope(theta - GAMMA * r if nesterov else theta)
        theta = theta - r
        path.append((theta - GAMMA * r if nesterov else theta).tolist())
    return np.array(path)


def by_optimizer(rate: Callable[[int], float], nesterov: bool) -> np.ndarray:
    p = torch.tensor(START, requires_grad=True)
    optimizer = torch.optim.SGD([p], lr=1.0, momentum=GAMMA, nesterov=nesterov)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, rate)
    path = [p.tolist()]
    for _ in range(STEPS):
        optimizer.zero_grad()
        valley(p).backward()
        optimizer.step()
        schedule.step()
        path.append(p.tolist())
    return np.array(path)


def constant(step: int) -> float:
    return 0.02


def falling(step: int) -> float:
    return 0.02 if step < 15 else 0.002


apart, shown = {}, {}
for rate in (constant, falling):
    for nesterov in (False, True):
        name = f"{'Nesterov' if nesterov else 'momentum'}, {rate.__name__} rate"
        shown[name] = written_out(rate, nesterov), by_optimizer(rate, nesterov)
        apart[name] = np.abs(shown[name][0] - shown[name][1]).max(axis=1)
        parted = f", from step {(apart[name] > 1e-12).argmax()} on" if apart[name].max() > 1e-12 else ""
        print(f"{name}: at most {apart[name].max():.1e} apart{parted}")

if plt := plots():
    figure, axes = plt.subplots(2, 2, figsize=(11, 6), layout="constrained", sharex=True, sharey=True)
    grid = np.stack(np.meshgrid(np.linspace(-2.8, 2.8, 200), np.linspace(-1.8, 1.8, 150)), axis=-1)
    height = valley(torch.from_numpy(grid)).numpy()
    for ax, (name, (ours, theirs)) in zip(axes.flat, shown.items()):
        ax.contour(grid[..., 0], grid[..., 1], height, levels=15, cmap="Greys", linewidths=0.6)
        ax.plot(*ours.T, "o-", markersize=4, linewidth=1, label="written out")
        ax.plot(*theirs.T, "x--", markersize=4, linewidth=1, label="SGD(nesterov=True)" if "Nest" in name else "SGD")
        ax.set(title=f"{name}: at most {apart[name].max():.1g} apart")
        ax.legend(fontsize=8, loc="lower right")
    save(figure, "momentum", args)

finish(args, apart={name: a.max() for name, a in apart.items()},
       parting={name: int((a > 1e-12).argmax()) for name, a in apart.items()},
       path=shown["momentum, constant rate"][1].tolist())
for name, a in apart.items():
    assert a.max() < 1e-12 if "constant" in name else (a[:16].max() < 1e-12 and a[16] > 1e-3), name
