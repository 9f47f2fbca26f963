"""Full-batch, single-sample and mini-batch descent on linear regression.

The gradient of a batch drawn at random is right on average, whatever its size (it is unbiased), and its variance
falls as 1 / size. A small batch costs little, so that many steps are taken in the time of one over everything. At the
end, the line fit of the first lesson on the subject, with the update written out.
"""

import time

import numpy as np
from _common import arguments, finish, plots, save, torch

nn, F, optim = torch.nn, torch.nn.functional, torch.optim
args = arguments(__doc__, samples=20000)

n, features = args.samples, 20
x = torch.randn(n, features)
truth = torch.randn(features)
y = x @ truth + 0.5 * torch.randn(n)


def gradient(w: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    """Of the mean squared error over these rows, by the weights (features,)."""
    w = w.detach().requires_grad_()
    F.mse_loss(x[rows] @ w, y[rows]).backward()
    return w.grad


# unbiased: over an epoch, the batches' gradients average to that of all samples
w = torch.zeros(features)
full = gradient(w, torch.arange(n))
sizes, bias, variance = [1, 4, 16, 64, 256], [], []
for size in sizes:
    drawn = torch.stack([gradient(w, rows) for rows in torch.randperm(n)[: 500 * size].split(size)])
    variance.append(drawn.var(dim=0).sum().item())
epoch = torch.stack([gradient(w, rows) for rows in torch.randperm(n).split(n // 100)]).mean(dim=0)
bias = (epoch - full).abs().max().item()
print(f"mean of an epoch's batch gradients: off the full gradient by {bias:.1e} (its largest element is "
      f"{full.abs().max().item():.2f})")
print("variance of a batch's gradient:", ", ".join(f"{s}: {v:.3g}" for s, v in zip(sizes, variance)))


def train(size: int, rate: float, seconds: float = 1.0, most: int = 3000) -> tuple[list[float], list[float]]:
    """Times and losses (over all samples) of descent by batches of this size."""
    w = torch.zeros(features, requires_grad=True)
    optimizer = optim.SGD([w], lr=rate)
    times, losses, spent = [], [], 0.0
    for step in range(most):
        start = time.perf_counter()
        rows = torch.randint(n, (size,)) if size < n else slice(None)
        loss = F.mse_loss(x[rows] @ w, y[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        spent += time.perf_counter() - start
        if step < 20 or step % 25 == 0:
            with torch.no_grad():
                losses.append(F.mse_loss(x @ w, y).item())
            times.append(spent)
        if spent > seconds:
            break
    return times, losses


runs = {"all samples": train(n, 0.1, most=150), "64 at a time": train(64, 0.05), "one at a time": train(1, 0.002)}
best = F.mse_loss(x @ torch.linalg.lstsq(x, y[:, None]).solution[:, 0], y).item()
for name, (_, losses) in runs.items():
    print(f"{name}: loss {losses[-1]:.4f} (the least is {best:.4f})")

# the line fit: y = 3 x + 2 and some noise
points = torch.ones(100, 2)
points[:, 0].uniform_(-1.0, 1.0)
line = points @ torch.tensor([3.0, 2.0]) + 0.1 * torch.randn(100)
a, lr = torch.tensor([-1.0, 1.0], requires_grad=True), 0.1
for _ in range(200):
    loss = ((points @ a - line) ** 2).mean()
    loss.backward()
    with torch.no_grad():
        a.sub_(lr * a.grad)
        a.grad.zero_()
print(f"line: slope {a[0].item():.3f}, height {a[1].item():.3f} (made with 3 and 2)")

if plt := plots():
    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(13, 4), layout="constrained")
    for name, (times, losses) in runs.items():
        left.plot(np.array(times) * 1e3, losses, label=name)
    left.axhline(best, color="gray", linestyle="--", label="least squares")
    left.set(xscale="log", yscale="log", xlabel="milliseconds", ylabel="loss over all samples", title="loss over time")
    left.legend()
    middle.loglog(sizes, variance, "o-", label="measured")
    middle.loglog(sizes, variance[0] / np.array(sizes), "--", color="gray", label="1 / size")
    middle.set(xlabel="samples in a batch", title="variance of the gradient")
    middle.legend()
    right.scatter(points[:, 0].numpy(), line.numpy(), s=8)
    ends = np.array([-1.0, 1.0])
    right.plot(ends, a[0].item() * ends + a[1].item(), color="tab:red")
    right.set(title=f"line fit: {a[0].item():.2f} x + {a[1].item():.2f}", xlabel="x", ylabel="y")
    save(figure, "batches", args)

finish(args, bias=bias, variance=variance, least=best, full=runs["all samples"][1][-1], line=a.tolist(),
       batches=runs["64 at a time"][1][-1], single=runs["one at a time"][1][-1])
assert bias < 1e-4 * full.abs().max().item()
assert 0.5 < variance[0] / variance[-1] / 256 < 2
assert all(losses[-1] < 1.2 * best for _, losses in runs.values())
