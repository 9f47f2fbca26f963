"""A siamese pair: the same network looks at two digits, and a contrastive loss (Hadsell, Chopra and LeCun, 2006)
pulls their embeddings together when they are the same digit and pushes them apart, up to a margin, when they are not:

    loss = d^2  for a pair of the same digit,   max(0, margin - d)^2  for another

The network never sees which digit it is, only "same" or "not". Afterwards, of digits that it has not seen, 95 % have a
nearest neighbour of their own kind, and 95 % of the pairs are told by whether their distance is below half the margin.
"""

import numpy as np
from _common import arguments, finish, plots, save, torch
from sklearn.datasets import load_digits

nn, F, optim = torch.nn, torch.nn.functional, torch.optim
args = arguments(__doc__, steps=3000)
MARGIN = 2.0

digits = load_digits()
order = np.random.default_rng(0).permutation(len(digits.target))
images = torch.from_numpy((digits.data[order] / 16).astype(np.float32))
labels = torch.from_numpy(digits.target[order].astype(np.int64))
x_train, y_train, x_test, y_test = images[:1437], labels[:1437], images[1437:], labels[1437:]

embed = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Dropout(0.1), nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, 2))
optimizer = optim.Adam(embed.parameters(), lr=1e-3)
schedule = optim.lr_scheduler.CosineAnnealingLR(optimizer, args.steps)


def pairs(x: torch.Tensor, y: torch.Tensor, n: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """n pairs of which about half are of the same digit: both images (n, 64), and whether they are (n,)."""
    first, second = torch.randint(len(x), (2, 6 * n))
    same = y[first] == y[second]
    keep = same | (torch.rand(6 * n) < 0.11)
    first, second, same = first[keep][:n], second[keep][:n], same[keep][:n]
    return x[first], x[second], same


def distance(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Of the embeddings of each pair. The small number keeps the root's gradient finite at 0."""
    return ((embed(a) - embed(b)).square().sum(dim=1) + 1e-9).sqrt()


def neighbours_agree() -> float:
    """The share of unseen digits whose nearest training digit, among embeddings, is of the same kind."""
    with torch.no_grad():
        nearest = torch.cdist(embed(x_test), embed(x_train)).argmin(dim=1)
        return (y_train[nearest] == y_test).float().mean().item()


def embedded() -> np.ndarray:
    with torch.no_grad():
        return embed(x_test).numpy()


embed.eval()
before, cloud_before = neighbours_agree(), embedded()
embed.train()
curve = []
for step in range(args.steps):
    a, b, same = pairs(x_train, y_train, 128)
    d = distance(a, b)
    loss = torch.where(same, d.square(), (MARGIN - d).clamp(min=0).square()).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    schedule.step()
    curve.append(loss.item())
    if (step + 1) % 500 == 0:
        print(f"step {step + 1}: contrastive loss {sum(curve[-100:]) / 100:.4f}")
embed.eval()
after = neighbours_agree()
with torch.no_grad():
    a, b, same = pairs(x_test, y_test, 2000)
    told = ((distance(a, b) < MARGIN / 2) == same).float().mean().item()
print(f"nearest neighbour of the same digit: {before:.1%} before, {after:.1%} after; pairs told rightly: {told:.1%}")

if plt := plots():
    figure, (left, right, low) = plt.subplots(1, 3, figsize=(13, 4.2), layout="constrained")
    for ax, cloud, title in ((left, cloud_before, f"before: {before:.0%} of neighbours agree"),
                             (right, embedded(), f"after: {after:.0%} of neighbours agree")):
        points = ax.scatter(*cloud.T, c=y_test.numpy(), cmap="tab10", vmin=-0.5, vmax=9.5, s=10)
        ax.set(title=title, aspect="equal")
    figure.colorbar(points, ax=right, ticks=range(10), label="digit")
    low.plot(np.convolve(curve, np.ones(50) / 50, "valid"))
    low.set(xlabel="step", title="contrastive loss (mean of 50 steps)", yscale="log")
    save(figure, "contrastive", args)

finish(args, before=before, after=after, told=told, loss=sum(curve[-100:]) / 100)
assert after > 0.95 and told > 0.95
