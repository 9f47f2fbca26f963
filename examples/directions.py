"""Why descent follows the gradient: of all directions, it is the one of steepest ascent.

At a point of a surface, the slope in the direction of angle t is the directional derivative cos(t) df/dx + sin(t)
df/dy, computed here by forward mode (a Jacobian-vector product) for 720 angles. Its greatest value is the length of
the gradient, and it stands at the gradient's own angle, atan2(df/dy, df/dx); a quarter turn from it the surface is
level. In an image, the same two numbers are the strength and the angle of an edge.
"""

import math

import numpy as np
from _common import arguments, finish, plots, save, torch

args = arguments(__doc__)


def f(p: torch.Tensor) -> torch.Tensor:
    return torch.sin(p[0]) * torch.cos(0.5 * p[1]) + 0.1 * p[0] * p[1]


point = torch.tensor([0.8, -0.6], dtype=torch.float64)
p = point.clone().requires_grad_()
f(p).backward()
steepest = math.atan2(p.grad[1].item(), p.grad[0].item())
length = p.grad.norm().item()

angles = torch.linspace(-math.pi, math.pi, 721, dtype=torch.float64)
slopes = torch.stack([torch.func.jvp(f, (point,), (torch.stack([t.cos(), t.sin()]),))[1] for t in angles])
best = angles[slopes.argmax()].item()
print(f"gradient: length {length:.6f}, angle {math.degrees(steepest):.2f} degrees")
print(f"steepest of 721 directions: slope {slopes.max().item():.6f}, angle {math.degrees(best):.2f} degrees")
level = (torch.tensor([-math.sin(steepest), math.cos(steepest)], dtype=torch.float64),)
print(f"slope a quarter turn away: {torch.func.jvp(f, (point,), level)[1].item():.1e}")

# an image: a bright disc and a bright square, with soft edges
y, x = torch.meshgrid(torch.arange(96.0), torch.arange(160.0), indexing="ij")
disc = torch.sigmoid(24 - ((x - 45) ** 2 + (y - 48) ** 2).sqrt())
square = torch.sigmoid(22 - torch.maximum((x - 115).abs(), (y - 48).abs()))
image = disc + square
down, right = torch.gradient(image)
strength, angle = torch.hypot(right, down), torch.atan2(down, right)
edge = (strength > 0.1) & (x < 80)
inwards = torch.atan2(48 - y, 45 - x)  # a disc grows bright towards its centre
off = torch.rad2deg(torch.remainder(angle - inwards + math.pi, 2 * math.pi) - math.pi)[edge].abs().max().item()
print(f"on the disc's edge ({int(edge.sum())} pixels) the edge angle is within {off:.1f} degrees of the centre's")

if plt := plots():
    figure = plt.figure(figsize=(12, 3.4), layout="constrained")
    axes = figure.subplots(1, 4, width_ratios=[1.2, 1, 1, 1.1])
    degrees = np.degrees(angles.numpy())
    axes[0].plot(degrees, slopes.numpy())
    axes[0].axvline(math.degrees(steepest), color="tab:red", linestyle="--", label="the gradient's angle")
    axes[0].axhline(length, color="gray", linestyle=":", label="the gradient's length")
    axes[0].set(xlabel="direction (degrees)", title="slope in each direction", xticks=range(-180, 181, 90))
    axes[0].legend(fontsize=7, loc="lower right")
    axes[1].imshow(image.numpy(), cmap="gray")
    axes[2].imshow(strength.numpy(), cmap="magma")
    shown = np.where(strength.numpy() > 0.02, np.degrees(angle.numpy()), np.nan)
    wheel = axes[3].imshow(shown, cmap="hsv", vmin=-180, vmax=180)
    figure.colorbar(wheel, ax=axes[3], ticks=range(-180, 181, 90), shrink=0.7)
    for ax, title in zip(axes[1:], ("image", "edge strength", "edge angle (degrees)")):
        ax.set(title=title, xticks=[], yticks=[])
    save(figure, "directions", args)

finish(args, length=length, steepest=steepest, best=best, slope=slopes.max().item(), off=off)
assert abs(best - steepest) <= math.pi / 720 + 1e-9 and abs(slopes.max().item() - length) < 1e-5
assert off < 5
