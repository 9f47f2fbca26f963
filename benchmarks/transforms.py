"""Function transforms (gradients of each sample, ensembles, Jacobians, Hessians) and steps with sparse gradients, for
one library in a process of its own.

    python -m benchmarks.transforms torch 2
"""

import importlib
import sys

from .timing import best_call, show

SAMPLES = 64


def per_sample(torch, func, model, x):
    """The gradients of a classifier's loss for each sample of x."""
    cross_entropy = importlib.import_module(torch.__name__ + ".nn.functional").cross_entropy
    params = {k: v.detach() for k, v in model.named_parameters()}
    labels = torch.randint(0, 10, (len(x),))

    def loss(params, x, y):
        return cross_entropy(func.functional_call(model, params, (x.unsqueeze(0),)), y.unsqueeze(0))

    each = func.vmap(func.grad(loss), in_dims=(None, 0, 0))
    return lambda: each(params, x, labels)


def ensemble(torch, func, x):
    """Ten models on one batch."""
    nn = torch.nn
    models = [nn.Sequential(nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 10)) for _ in range(10)]
    params, buffers = func.stack_module_state(models)

    def call(params, buffers, x):
        return func.functional_call(models[0], (params, buffers), (x,))

    each = func.vmap(call, in_dims=(0, 0, None))
    return lambda: each(params, buffers, x)


def sparse_step(torch, optimizer):
    """A step over 512 of 100,000 rows."""
    table = torch.nn.Embedding(100_000, 64, sparse=True)
    index = torch.randint(0, 100_000, (512,))
    moving = getattr(torch.optim, optimizer)(table.parameters(), lr=0.1)

    def step():
        moving.zero_grad()
        table(index).sum().backward()
        moving.step()

    return step


def cases(torch):
    """(case, function)."""
    func, nn = importlib.import_module(torch.__name__ + ".func"), torch.nn
    torch.manual_seed(0)
    image, vector = torch.randn(SAMPLES, 1, 28, 28), torch.randn(32)
    small = nn.Sequential(nn.Linear(20, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 10))
    mlp = nn.Sequential(nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 64), nn.Tanh(), nn.Linear(64, 10))
    cnn = nn.Sequential(nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(16, 32, 3, padding=1),
                        nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(32 * 49, 10))  # fmt: skip
    yield "gradients of 64 samples, MLP 20-64-64-10", per_sample(torch, func, small, torch.randn(SAMPLES, 20))
    yield "gradients of 64 samples, MLP 784-256-64-10", per_sample(torch, func, mlp, image.reshape(SAMPLES, 784))
    yield "gradients of 64 samples, CNN 1-16-32 @28", per_sample(torch, func, cnn, image)
    yield "10 models on a batch of 64", ensemble(torch, func, image.reshape(SAMPLES, 784))
    net = nn.Sequential(nn.Linear(32, 64), nn.Tanh(), nn.Linear(64, 32)).requires_grad_(False)
    for name in ("jacrev", "jacfwd", "hessian"):

        def of(x, name=name):
            return (net(x) ** 2).sum() if name == "hessian" else net(x)

        transform = getattr(func, name)(of)
        yield f"{name}, MLP 32-64-32", lambda transform=transform: transform(vector)
    several, vectors = func.vmap(func.hessian(of)), torch.randn(16, 32)
    yield "Hessians of 16 samples, MLP 32-64-32", lambda: several(vectors)
    for optimizer in ("SGD", "SparseAdam"):
        yield f"sparse gradient, {optimizer}, 512 of 100,000 rows", sparse_step(torch, optimizer)


def main():
    torch = importlib.import_module(sys.argv[1])
    torch.set_num_threads(int(sys.argv[2]))
    for case, fn in cases(torch):
        if all(text in case for text in sys.argv[3:]):
            show(case, "us", best_call(fn, 0.1))


if __name__ == "__main__":
    main()
