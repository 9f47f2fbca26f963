"""Linear regression on real data: how far an illness has come a year on, from ten measurements of 442 patients (Efron
et al., "Least angle regression", 2004; it comes with scikit-learn).

The weights are found by gradient descent and in one stroke by least squares; both must agree, and explain about half of
the variance. Then the same with a penalty on large weights (ridge), over a range of its strength.
"""

import numpy as np
from _common import arguments, finish, plots, save, torch
from sklearn.datasets import load_diabetes

nn, F, optim = torch.nn, torch.nn.functional, torch.optim
args = arguments(__doc__, steps=2000)

data = load_diabetes(scaled=False)
x = torch.from_numpy(data.data.astype(np.float32))
x = (x - x.mean(0)) / x.std(0)
y = torch.from_numpy(data.target.astype(np.float32))
y = (y - y.mean()) / y.std()
order = torch.from_numpy(np.random.default_rng(0).permutation(len(y)))
train, test = order[:342], order[342:]


def explained(prediction: torch.Tensor, truth: torch.Tensor) -> float:
    """The share of the variance explained (R squared): 1 is perfect, 0 no better than the mean."""
    return 1 - ((prediction - truth).square().sum() / (truth - truth.mean()).square().sum()).item()


def fit(penalty: float) -> tuple[nn.Module, list[float]]:
    model = nn.Linear(x.shape[1], 1)
    optimizer = optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    curve = []
    for _ in range(args.steps):
        loss = F.mse_loss(model(x[train]).squeeze(1), y[train])
        optimizer.zero_grad()
        (loss + penalty * model.weight.square().sum()).backward()
        optimizer.step()
        curve.append(loss.item())
    return model, curve


model, curve = fit(penalty=0.0)
columns = torch.cat([x[train], torch.ones(len(train), 1)], dim=1)
exact = torch.linalg.lstsq(columns, y[train, None]).solution.squeeze(1)
found = torch.cat([model.weight.detach()[0], model.bias.detach()])
apart = (found - exact).abs().max().item()
with torch.no_grad():
    prediction = model(x).squeeze(1)
r2 = explained(prediction[train], y[train]), explained(prediction[test], y[test])
for name, weight in sorted(zip(data.feature_names, found.tolist()), key=lambda pair: -abs(pair[1])):
    print(f"{name:4s} {weight:+.3f}")
print(f"off least squares by {apart:.1e}; variance explained: {r2[0]:.1%}, of patients not seen {r2[1]:.1%}")

penalties = [0.0, 0.01, 0.1, 1.0, 10.0]
ridge = {}
for penalty in penalties:
    shrunk, _ = fit(penalty)
    with torch.no_grad():
        ridge[penalty] = shrunk.weight.norm().item(), explained(shrunk(x[test]).squeeze(1), y[test])
    print(f"penalty {penalty:5.2f}: weights of length {ridge[penalty][0]:.3f}, explained {ridge[penalty][1]:.1%}")

if plt := plots():
    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(13, 4), layout="constrained")
    left.loglog(np.array(curve) - min(curve) + 1e-7)
    left.set(xlabel="step", title="loss above its least")
    places = np.arange(len(data.feature_names))
    middle.bar(places - 0.2, found[:-1].numpy(), 0.4, label="gradient descent")
    middle.bar(places + 0.2, exact[:-1].numpy(), 0.4, label="least squares")
    middle.set_xticks(places, data.feature_names)
    middle.set(title="weights (of measurements scaled to variance 1)")
    middle.legend()
    right.scatter(y[test].numpy(), prediction[test].numpy(), s=10)
    right.plot([-2, 2.5], [-2, 2.5], color="gray", linestyle="--")
    right.set(xlabel="truth", ylabel="prediction", title=f"patients not seen: {r2[1]:.0%} explained")
    save(figure, "regression", args)

finish(args, apart=apart, train=r2[0], test=r2[1], weights=found.tolist(), lengths=[ridge[p][0] for p in penalties])
assert apart < 1e-3 and r2[0] > 0.5 and r2[1] > 0.3
assert all(ridge[a][0] > ridge[b][0] for a, b in zip(penalties, penalties[1:]))
