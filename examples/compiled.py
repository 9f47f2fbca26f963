"""What recording a step is worth: the digits' network trained by the same function three times, as it is, recorded
(`torch.compile`), and in PyTorch, where that is installed.

    @torch.compile
    def step(x, y): ...

The first call runs and is recorded; the next replay it in one call into C. The losses are the same to the last bit.
The recorded step must take less time than the step as it is, and the network must reach 97 % on digits not seen.
"""

import importlib
import importlib.util
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from _common import arguments, finish, plots, save
from sklearn.datasets import load_digits

args = arguments(__doc__, epochs=30)
digits = load_digits()
order = np.random.default_rng(0).permutation(len(digits.target))
images, labels = (digits.data[order] / 16).astype(np.float32), digits.target[order].astype(np.int64)


def train(library: str, recorded: bool) -> tuple[list[float], float, float]:
    """The loss of each step, the accuracy on digits not seen, and the median microseconds of a step."""
    torch: Any = importlib.import_module(library)
    nn, F = torch.nn, torch.nn.functional
    torch.manual_seed(args.seed)
    x, y = torch.from_numpy(images), torch.from_numpy(labels)
    model = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10))
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)

    def step(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    run: Callable = torch.compile(step) if recorded else step
    losses, times = [], []
    for _ in range(args.epochs):
        for rows in torch.randperm(1408).split(32):
            a, b = x[rows], y[rows]
            start = time.perf_counter()
            loss = run(a, b)
            times.append(time.perf_counter() - start)
            losses.append(loss.item())
    with torch.no_grad():
        right = (model(x[1437:]).argmax(dim=1) == y[1437:]).float().mean().item()
    return losses, right, float(np.median(times)) * 1e6


ways = {"autodiffc, as it is": ("autodiffc", False), "autodiffc, recorded": ("autodiffc", True)}
if importlib.util.find_spec("torch"):
    ways["PyTorch, as it is"] = "torch", False
results = {name: train(*way) for name, way in ways.items()}
for name, (losses, accuracy, microseconds) in results.items():
    print(f"{name:20s} {microseconds:7.1f} us a step, last loss {losses[-1]:.5f}, {accuracy:.1%} of new digits right")

if plt := plots():
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 3.6), layout="constrained")
    bars = left.barh(list(results), [r[2] for r in results.values()], color=["tab:blue", "tab:green", "tab:orange"])
    left.bar_label(bars, fmt="%.0f us", padding=4)
    left.margins(x=0.15)
    left.set(xlabel="median microseconds of a training step")
    left.invert_yaxis()
    for style, (name, (losses, _, _)) in zip(("-", "--", ":"), results.items()):
        right.plot(np.convolve(losses, np.ones(44) / 44, "valid"), style, label=name)
    right.set(xlabel="step", title="loss (mean of an epoch): the curves lie on each other", yscale="log")
    right.legend()
    save(figure, "compiled", args)

(eager, accuracy, slow), (recorded, _, fast) = list(results.values())[:2]
finish(args, accuracy=accuracy, same=eager == recorded, faster=slow / fast, last_loss=eager[-1],
       torch_loss=results.get("PyTorch, as it is", [[None]])[0][-1])
assert eager == recorded, "recorded losses differ"
assert accuracy >= 0.97 and fast < slow
