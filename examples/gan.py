"""Two networks against each other: a generator that turns noise into points, and a discriminator that tells its points
from real ones. First eight blobs on a circle, then handwritten digits.

A generator that finds a few blobs and stays there has collapsed. This one must reach all eight, each with at least
1/32 of its points (an even share is 1/8), and put 80 % of its points within four standard deviations of a blob's
centre. Its digits must be of all ten kinds, in the eyes of a classifier trained on real ones.
"""

import math
from collections.abc import Callable

import numpy as np
from _common import arguments, finish, plots, save, torch
from sklearn.datasets import load_digits

nn, F, optim = torch.nn, torch.nn.functional, torch.optim
args = arguments(__doc__, steps=4000, digit_steps=4000)

SPREAD = 0.05
angles = torch.arange(8) * (2 * math.pi / 8)
CENTRES = torch.stack([angles.cos(), angles.sin()], dim=1)


def blobs(n: int) -> torch.Tensor:
    """Real points (n, 2): a blob at random, and a normal deviate around its centre."""
    return CENTRES[torch.randint(8, (n,))] + SPREAD * torch.randn(n, 2)


def perceptron(*sizes: int) -> nn.Sequential:
    layers = [nn.Linear(sizes[0], sizes[1])]
    for inputs, outputs in zip(sizes[1:], sizes[2:]):
        layers += [nn.LeakyReLU(0.2), nn.Linear(inputs, outputs)]
    return nn.Sequential(*layers)


def play(generator: nn.Module, discriminator: nn.Module, real: Callable, noise: int, steps: int, batch: int = 128,
         rate: float = 1e-3) -> tuple[list[float], list[float]]:
    """Train both, each by one step in turn; returns their losses.

    The discriminator's loss is the cross-entropy of calling real points real and made ones made. The generator's is
    that of its points being called real (Goodfellow et al., 2014, the form that does not saturate).
    """
    of_generator = optim.Adam(generator.parameters(), lr=rate, betas=(0.5, 0.99))
    of_discriminator = optim.Adam(discriminator.parameters(), lr=rate, betas=(0.5, 0.99))
    ones, zeros = torch.ones(batch, 1), torch.zeros(batch, 1)
    losses = [], []
    for step in range(steps):
        made = generator(torch.randn(batch, noise))
        told = F.binary_cross_entropy_with_logits(discriminator(real(batch)), 0.9 * ones) \
            + F.binary_cross_entropy_with_logits(discriminator(made.detach()), zeros)
        of_discriminator.zero_grad()
        told.backward()
        of_discriminator.step()

        fooled = F.binary_cross_entropy_with_logits(discriminator(made), ones)
        of_generator.zero_grad()
        fooled.backward()
        of_generator.step()
        losses[0].append(told.item())
        losses[1].append(fooled.item())
        if (step + 1) % (steps // 4) == 0:
            print(f"  step {step + 1}: discriminator {losses[0][-1]:.3f}, generator {losses[1][-1]:.3f}")
    return losses


print("eight blobs")
generator = perceptron(8, 128, 128, 2)
discriminator = perceptron(2, 128, 128, 1)
before = generator(torch.randn(2000, 8)).detach()
play(generator, discriminator, blobs, noise=8, steps=args.steps)
points = generator(torch.randn(2000, 8)).detach()
distance, nearest = torch.cdist(points, CENTRES).min(dim=1)
share = torch.bincount(nearest[distance < 4 * SPREAD], minlength=8) / len(points)
print("share of the points at each blob:", " ".join(f"{s:.3f}" for s in share.tolist()))

print("digits")
digits = load_digits()
images = torch.from_numpy((digits.data / 8 - 1).astype(np.float32))
labels = torch.from_numpy(digits.target.astype(np.int64))
judge = perceptron(64, 128, 10)
optimizer = optim.Adam(judge.parameters(), lr=2e-3)
for _ in range(20):
    for rows in torch.randperm(len(images)).split(64):
        loss = F.cross_entropy(judge(images[rows]), labels[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

artist = nn.Sequential(perceptron(32, 128, 256, 64), nn.Tanh())
critic = nn.Sequential(perceptron(64, 256, 128, 1))
losses = play(artist, critic, lambda n: images[torch.randint(len(images), (n,))], noise=32, steps=args.digit_steps,
              rate=5e-4)
with torch.no_grad():
    drawn = artist(torch.randn(1000, 32))
    kinds = torch.bincount(judge(drawn).argmax(dim=1), minlength=10) / len(drawn)
print("share of the drawn digits taken for 0 to 9:", " ".join(f"{s:.3f}" for s in kinds.tolist()))

if plt := plots():
    figure = plt.figure(figsize=(12, 4.6), layout="constrained")
    left, middle, right = figure.subplots(1, 3)
    real = blobs(2000)
    for cloud, color, label in ((before, "tab:gray", "made, before training"), (real, "tab:blue", "real"),
                                (points, "tab:orange", "made, after training")):
        left.scatter(*cloud.T.numpy(), s=3, color=color, alpha=0.4, label=label)
    left.set(aspect="equal", title="eight blobs")
    left.legend(markerscale=4, loc="center")
    tiles = F.pad(drawn[:64].reshape(8, 8, 8, 8), (1, 1, 1, 1), value=-1.0)
    middle.imshow(tiles.permute(0, 2, 1, 3).reshape(80, 80).numpy(), cmap="gray_r")
    middle.set(xticks=[], yticks=[], title="digits made from noise")
    for curve, label in zip(losses, ("discriminator", "generator")):
        right.plot(np.convolve(curve, np.ones(50) / 50, "valid"), label=label)
    right.set(xlabel="step", title="losses on the digits (mean of 50 steps)")
    right.legend()
    save(figure, "gan", args)

finish(args, share=share.tolist(), kinds=kinds.tolist())
assert share.min() >= 1 / 32, "a blob is missed"
assert share.sum() >= 0.8, "points between the blobs"
assert kinds.min() >= 0.01, "a digit that is never drawn"
