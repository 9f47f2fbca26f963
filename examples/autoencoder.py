"""An autoencoder: digits of 64 pixels squeezed into two numbers and drawn again from these.

The error it is trained on is the mean squared difference between a digit and what is drawn. The best that a linear
code of two numbers can do (the first two principal components) is computed beside it. On digits that it has not
seen, the network must come below an error of 0.035; the principal components stay above 0.05.
"""

import numpy as np
from _common import arguments, finish, plots, save, torch
from sklearn.datasets import load_digits

nn, F, optim = torch.nn, torch.nn.functional, torch.optim
args = arguments(__doc__, epochs=150)

digits = load_digits()
order = np.random.default_rng(0).permutation(len(digits.target))
pixels = torch.from_numpy((digits.data[order] / 16).astype(np.float32))
labels = digits.target[order]
train, test = pixels[:1437], pixels[1437:]

encoder = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, 2))
decoder = nn.Sequential(nn.Linear(2, 64), nn.ReLU(), nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 64), nn.Sigmoid())
parameters = [*encoder.parameters(), *decoder.parameters()]
optimizer = optim.Adam(parameters, lr=2e-3)
schedule = optim.lr_scheduler.CosineAnnealingLR(optimizer, args.epochs)


def error(x: torch.Tensor) -> float:
    """The mean squared error of drawing ``x`` (N, 64) again, on the scale of 0 (white) to 1 (black)."""
    with torch.no_grad():
        return F.mse_loss(decoder(encoder(x)), x).item()


curve = []
for epoch in range(args.epochs):
    for rows in torch.randperm(len(train)).split(64):
        x = train[rows]
        loss = F.mse_loss(decoder(encoder(x)), x)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    schedule.step()
    curve.append((error(train), error(test)))
    if epoch % 15 == 14:
        print(f"epoch {epoch + 1:3d}: error {curve[-1][0]:.4f}, on digits not seen {curve[-1][1]:.4f}")

mean = train.mean(0)
_, _, directions = np.linalg.svd((train - mean).numpy(), full_matrices=False)
plane = torch.from_numpy(directions[:2])
principal = F.mse_loss((test - mean) @ plane.T @ plane + mean, test).item()
print(f"two principal components: {principal:.4f}")

if plt := plots():
    with torch.no_grad():
        codes = encoder(pixels).numpy()
        drawn = decoder(encoder(test[:10])).numpy()
    figure = plt.figure(figsize=(11, 5.4), layout="constrained")
    left, right = figure.subfigures(1, 2, width_ratios=[1, 1.05])
    axes = left.subplots(3, 1, height_ratios=[1, 1, 2])
    left.suptitle("digits not seen in training, and what two numbers keep")
    for ax, rows, what in zip(axes, (test[:10].numpy(), drawn), ("digit", "drawn again")):
        ax.imshow(rows.reshape(10, 8, 8).transpose(1, 0, 2).reshape(8, 80), cmap="gray_r", vmin=0, vmax=1)
        ax.set(xticks=[], yticks=[], ylabel=what)
    axes[2].plot([a for a, _ in curve], label="training digits")
    axes[2].plot([b for _, b in curve], label="digits not seen")
    axes[2].axhline(principal, color="gray", linestyle="--", label="two principal components")
    axes[2].set(xlabel="epoch", ylabel="mean squared error")
    axes[2].legend()
    ax = right.subplots()
    points = ax.scatter(*codes.T, c=labels, cmap="tab10", vmin=-0.5, vmax=9.5, s=7)
    right.colorbar(points, ticks=range(10), label="digit (the network was never told)")
    ax.set(title="the code of every digit", xlabel="first number", ylabel="second number")
    save(figure, "autoencoder", args)

train_error, test_error = curve[-1]
finish(args, train_error=train_error, test_error=test_error, principal=principal, first_error=curve[0][0])
assert test_error < 0.035, f"an error of {test_error:.4f}"
assert principal > 0.05
