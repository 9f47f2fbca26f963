"""Backpropagation by hand: a network of two inputs, three tanh units and one output, its tape drawn with every value
and gradient on it, and each gradient found three times: by the tape, by the chain rule written out, and by finite
differences.
"""

from _common import arguments, finish, torch

args = arguments(__doc__)
torch.set_default_dtype(torch.float64)

x, target = torch.tensor([0.5, -1.0]), torch.tensor(0.8)
W1, b1 = torch.randn(3, 2, requires_grad=True), torch.zeros(3, requires_grad=True)
w2, b2 = torch.randn(3, requires_grad=True), torch.zeros((), requires_grad=True)
parameters = {"W1": W1, "b1": b1, "w2": w2, "b2": b2}


def forward() -> dict[str, torch.Tensor]:
    z = W1 @ x + b1
    h = torch.tanh(z)
    y = h @ w2 + b2
    error = y - target
    return {"z": z, "h": h, "y": y, "error": error, "loss": error * error}


step = forward()
step["loss"].backward(retain_graph=True)

if args.backend == "autodiffc":
    picture = torch.viz.graph(step["loss"], {**parameters, "x": x, **step})
    args.out.mkdir(parents=True, exist_ok=True)
    picture.save(args.out / "backprop.svg")
    print(f"picture: {args.out / 'backprop.svg'} ({len(picture.boxes)} boxes)")

# The chain rule, from the loss back. d_name is the derivative of the loss by name.
with torch.no_grad():
    d_y = 2 * step["error"]  # loss = error^2, error = y - target
    d_h = d_y * w2  # y = h w2 + b2
    d_z = d_h * (1 - step["h"] ** 2)  # h = tanh(z), whose derivative is 1 - tanh^2
    by_hand = {"W1": torch.outer(d_z, x), "b1": d_z, "w2": d_y * step["h"], "b2": d_y}  # z = W1 x + b1


def by_differences(parameter: torch.Tensor, h: float = 1e-6) -> torch.Tensor:
    """Each element moved by h up and down: (loss(+h) - loss(-h)) / 2h."""
    slopes = torch.zeros_like(parameter)
    with torch.no_grad():
        flat, out = parameter.view(-1), slopes.view(-1)
        for k in range(flat.numel()):
            here = flat[k].item()
            flat[k] = here + h
            above = forward()["loss"].item()
            flat[k] = here - h
            out[k] = (above - forward()["loss"].item()) / (2 * h)
            flat[k] = here
    return slopes


worst_hand = worst_difference = 0.0
for name, parameter in parameters.items():
    hand = (parameter.grad - by_hand[name]).abs().max().item()
    difference = (parameter.grad - by_differences(parameter)).abs().max().item()
    worst_hand, worst_difference = max(worst_hand, hand), max(worst_difference, difference)
    print(f"{name}: off the chain rule by {hand:.1e}, off finite differences by {difference:.1e}")

finish(args, loss=step["loss"].item(), gradient=W1.grad.tolist(), hand=worst_hand, difference=worst_difference)
assert worst_hand < 1e-14 and worst_difference < 1e-8
