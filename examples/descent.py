"""Gradient descent on f(x) = 2 x^2, from x = 1.

The gradient is 4 x, so a step of rate 0.1 leaves 0.6 of x: 0.6, 0.36, 0.216, ... The curvature L is 4, and the rate
decides what happens: below 1/L = 0.25 every step falls towards the minimum, between 1/L and 2/L it jumps across and
back and still arrives, beyond 2/L = 0.5 each jump lands farther out. Then: when to stop, climbing instead of falling,
and a surface with a poor local minimum, in which plain descent stays and which momentum leaves.
"""

import numpy as np
from _common import arguments, finish, plots, save, torch

args = arguments(__doc__)
torch.set_default_dtype(torch.float64)


def f(x: torch.Tensor) -> torch.Tensor:
    return 2 * x**2


def descend(rate: float, steps: int) -> list[float]:
    """x = 1, and where each step leads."""
    x = torch.tensor(1.0, requires_grad=True)
    path = [x.item()]
    for _ in range(steps):
        f(x).backward()
        with torch.no_grad():
            x -= rate * x.grad
            x.grad = None
        path.append(x.item())
    return path


path = descend(0.1, 10)
print("rate 0.1:", ", ".join(f"{x:.10g}" for x in path[1:4]), "...")
rates = {0.02: "small", 0.1: "good", 0.25: "1/L: there in one step", 0.45: "oscillating", 0.5: "2/L: forever",
         0.52: "diverging"}
paths = {rate: descend(rate, 25) for rate in rates}
for rate, name in rates.items():
    print(f"rate {rate:4.2f} ({name}): x after 25 steps {paths[rate][-1]:.3g}")

x, steps = torch.tensor(1.0, requires_grad=True), 0
optimizer = torch.optim.SGD([x], lr=0.1)
while True:  # until the slope is next to nothing
    optimizer.zero_grad()
    f(x).backward()
    if abs(x.grad.item()) < 1e-6:
        break
    optimizer.step()
    steps += 1
print(f"the slope is below 1e-6 after {steps} steps, at x = {x.item():.2g}")

top = torch.tensor(1.0, requires_grad=True)
optimizer = torch.optim.SGD([top], lr=0.1, maximize=True)
for _ in range(50):
    optimizer.zero_grad()
    (3 - f(top - 2)).backward()
    optimizer.step()
print(f"gradient ascent on 3 - 2 (x - 2)^2 arrives at x = {top.item():.10f}")


def surface(p: torch.Tensor) -> torch.Tensor:
    """Two valleys, a poor one near (0.9, 0) and a better one near (-1.1, 0); p is (..., 2)."""
    x, y = p[..., 0], p[..., 1]
    return 0.5 * (x**2 - 1) ** 2 + 0.3 * x + 0.5 * y**2


def roll(momentum: float) -> np.ndarray:
    p = torch.tensor([1.9, 1.2], requires_grad=True)
    optimizer = torch.optim.SGD([p], lr=0.02, momentum=momentum)
    path = [p.tolist()]
    for _ in range(300):
        optimizer.zero_grad()
        surface(p).backward()
        optimizer.step()
        path.append(p.tolist())
    return np.array(path)


plain, heavy = roll(0.0), roll(0.9)
depth = {name: surface(torch.tensor(path[-1])).item() for name, path in (("plain", plain), ("momentum", heavy))}
print(f"plain descent ends at x = {plain[-1][0]:.3f} at height {depth['plain']:.3f}, "
      f"momentum at x = {heavy[-1][0]:.3f} at height {depth['momentum']:.3f}")

if plt := plots():
    figure, (left, right) = plt.subplots(1, 2, figsize=(12, 4.6), layout="constrained")
    for (rate, name), color in zip(rates.items(), plt.cm.viridis(np.linspace(0, 0.92, len(rates)))):
        left.plot(paths[rate], ".-", color=color, label=f"{rate}: {name}")
    left.set(ylim=(-3, 3), xlabel="step", ylabel="x", title="2 x² from x = 1, by the rate (L = 4)")
    left.legend(title="rate", loc="upper right", fontsize=8)
    grid = np.stack(np.meshgrid(np.linspace(-2, 2.2, 200), np.linspace(-1.5, 1.5, 150)), axis=-1)
    height = surface(torch.from_numpy(grid)).numpy()
    right.contour(grid[..., 0], grid[..., 1], height, levels=np.linspace(-0.3, 4, 30), cmap="Greys", linewidths=0.7)
    for way, name in ((plain, "plain descent stays in the poor valley"), (heavy, "momentum rolls on to the better")):
        right.plot(*way.T, ".-", markersize=3, linewidth=1, label=name)
        right.plot(*way[-1], "k*", markersize=11)
    right.set(xlabel="x", ylabel="y", title="two valleys")
    right.legend(loc="lower right", fontsize=8)
    save(figure, "descent", args)

finish(args, path=path, last={str(rate): p[-1] for rate, p in paths.items()}, steps=steps, top=top.item(), **depth)
assert np.allclose(path, 0.6 ** np.arange(11), rtol=1e-14, atol=0)
assert depth["momentum"] < 0 < depth["plain"]
