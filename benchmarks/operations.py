"""A grid of operations over sizes, forward and, where it has one, backward, for one library in a process of its own.

    python -m benchmarks.operations torch 2
"""

import importlib
import sys

from .timing import best_call, show

SIZES = {"1e3": (32, 32), "1e5": (320, 320), "1e7": (3200, 3200)}


def cases(torch, sizes):
    """{label: callable} for one size (rows, columns)."""
    F = importlib.import_module(torch.__name__ + ".nn.functional")
    torch.manual_seed(0)
    x, y = torch.randn(*sizes), torch.randn(*sizes)
    row = torch.randn(sizes[1])
    out = {
        "add": lambda: x + y,
        "add a row": lambda: x + row,
        "add transposed": lambda: x + y.t(),
        "mul by a number": lambda: x * 1.5,
        "relu": lambda: x.relu(),
        "exp": lambda: x.exp(),
        "tanh": lambda: x.tanh(),
        "sigmoid": lambda: x.sigmoid(),
        "gelu": lambda: F.gelu(x),
        "sum": lambda: x.sum(),
        "sum over rows": lambda: x.sum(0),
        "mean over columns": lambda: x.mean(1),
        "max over columns": lambda: x.max(1),
        "softmax": lambda: F.softmax(x, dim=1),
        "log_softmax": lambda: F.log_softmax(x, dim=1),
        "cumsum": lambda: x.cumsum(1),
        "transposed copy": lambda: x.t().contiguous(),
    }
    if sizes[0] <= 1000:
        out["matmul"] = lambda: x @ y
        out["matmul, transposed"] = lambda: x @ y.t()
    return out


def backward_cases(torch, sizes):
    """Forward and backward together."""
    F = importlib.import_module(torch.__name__ + ".nn.functional")
    torch.manual_seed(0)
    x = torch.randn(*sizes, requires_grad=True)
    w = torch.randn(sizes[1], sizes[1], requires_grad=True)
    labels = torch.randint(0, sizes[1], (sizes[0],))

    def run(f):
        def call():
            f().backward()
            x.grad = w.grad = None

        return call

    out = {
        "relu, sum": run(lambda: x.relu().sum()),
        "tanh, mean": run(lambda: x.tanh().mean()),
        "softmax, weighted sum": run(lambda: (F.softmax(x, dim=1) * x).sum()),
        "cross_entropy": run(lambda: F.cross_entropy(x, labels)),
    }
    if sizes[0] <= 1000:
        out["linear, sum"] = run(lambda: F.linear(x, w).sum())
    return out


def main():
    torch = importlib.import_module(sys.argv[1])
    torch.set_num_threads(int(sys.argv[2]))
    for label, sizes in SIZES.items():
        for case, fn in cases(torch, sizes).items():
            show(f"{case}, {label} elements", "us", best_call(fn))
        for case, fn in backward_cases(torch, sizes).items() if sizes[0] <= 1000 else ():
            show(f"{case} (and backward), {label} elements", "us", best_call(fn))


if __name__ == "__main__":
    main()
