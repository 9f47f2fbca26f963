"""Learned features under the same linear regression: is a handwritten digit even (+1) or odd (-1)?

No weighting of the 64 pixels can tell: the even digits do not look alike. Least squares on the raw pixels explains
two thirds of the variance. A small network learns 32 features, on top of which least squares, the very same
regression, must explain more than 90 % on digits that it has not seen.
"""

import numpy as np
from _common import arguments, finish, plots, save, torch
from sklearn.datasets import load_digits

nn, F, optim = torch.nn, torch.nn.functional, torch.optim
args = arguments(__doc__, epochs=60)

digits = load_digits()
order = np.random.default_rng(0).permutation(len(digits.target))
x = torch.from_numpy((digits.data[order] / 16).astype(np.float32))
labels = digits.target[order]
y = torch.from_numpy(np.where(labels % 2 == 0, 1.0, -1.0).astype(np.float32))
train, test = slice(0, 1437), slice(1437, None)


def least_squares(inputs: torch.Tensor) -> tuple[float, float, torch.Tensor]:
    """Regression on the training digits: variance explained and accuracy on the others, and all predictions."""
    columns = torch.cat([inputs, torch.ones(len(inputs), 1)], dim=1).double()
    # a whisper of ridge keeps pixels that are always white from dividing by zero
    normal = columns[train].T @ columns[train] + 1e-6 * torch.eye(columns.shape[1], dtype=torch.float64)
    weights = torch.linalg.solve(normal, columns[train].T @ y[train].double())
    prediction = (columns @ weights).float()
    rest = (prediction[test] - y[test]).square().mean() / y[test].var(correction=0)
    return 1 - rest.item(), ((prediction[test] > 0) == (y[test] > 0)).float().mean().item(), prediction


features = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 32), nn.ReLU())
regression = nn.Linear(32, 1)
optimizer = optim.AdamW([*features.parameters(), *regression.parameters()], lr=3e-3, weight_decay=0.05)
schedule = optim.lr_scheduler.CosineAnnealingLR(optimizer, args.epochs)
curve = []
for _ in range(args.epochs):
    total = 0.0
    for rows in torch.randperm(1437).split(32):
        loss = F.mse_loss(regression(features(x[rows])).squeeze(1), y[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item() * len(rows) / 1437
    schedule.step()
    curve.append(total)

raw_r2, raw_accuracy, raw = least_squares(x)
with torch.no_grad():
    learned_r2, learned_accuracy, learned = least_squares(features(x))
print(f"least squares on 64 pixels:   {raw_r2:.1%} of the variance explained, {raw_accuracy:.1%} told rightly")
print(f"least squares on 32 features: {learned_r2:.1%} of the variance explained, {learned_accuracy:.1%} told rightly")

if plt := plots():
    figure, axes = plt.subplots(1, 2, figsize=(12, 4.2), layout="constrained", sharey=True)
    jitter = np.random.default_rng(0).uniform(-0.3, 0.3, len(labels))[test]
    for ax, values, r2, what in zip(axes, (raw, learned), (raw_r2, learned_r2), ("64 pixels", "32 learned features")):
        even = labels[test] % 2 == 0
        for rows, color, name in ((even, "tab:blue", "even"), (~even, "tab:orange", "odd")):
            ax.scatter((labels[test] + jitter)[rows], values[test].numpy()[rows], s=10, color=color, label=name)
        ax.axhline(0, color="gray", linewidth=0.8)
        ax.set(xlabel="digit", xticks=range(10), title=f"least squares on {what}: {r2:.0%} explained")
    axes[0].set_ylabel("prediction: even +1, odd -1")
    axes[0].legend()
    save(figure, "features", args)

finish(args, raw=raw_r2, learned=learned_r2, raw_accuracy=raw_accuracy, learned_accuracy=learned_accuracy,
       loss=curve[-1])
assert raw_r2 < 0.7 and learned_r2 > 0.9
