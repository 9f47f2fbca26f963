"""What one call of a small operation costs, gradients on or off, for one library in a process of its own.

    python -m benchmarks.overhead torch 2
"""

import importlib
import sys

from .timing import best_call, show


def cases(torch):
    F = importlib.import_module(torch.__name__ + ".nn.functional")
    torch.manual_seed(0)
    x, y = torch.randn(4, 4), torch.randn(4, 4)
    a, b = torch.randn(4, 4, requires_grad=True), torch.randn(4, 4, requires_grad=True)
    w, bias = torch.randn(8, 4, requires_grad=True), torch.randn(8, requires_grad=True)
    rows = torch.tensor([0, 2, 1, 3])

    def chain():
        (a @ b).relu().sum().backward()
        a.grad = b.grad = None

    return {
        "a + b": lambda: x + y,
        "a + b, gradients on": lambda: a + b,
        "a * 2.0": lambda: x * 2.0,
        "a @ b, gradients on": lambda: a @ b,
        "relu, gradients on": lambda: F.relu(a),
        "sum, gradients on": lambda: a.sum(),
        "mean(dim)": lambda: x.mean(dim=1),
        "softmax(dim)": lambda: F.softmax(x, dim=1),
        "linear, gradients on": lambda: F.linear(a, w, bias),
        "view": lambda: x.view(16),
        "transpose": lambda: x.t(),
        "x[1:3]": lambda: x[1:3],
        "x[rows]": lambda: x[rows],
        "cat": lambda: torch.cat([x, y]),
        "item": lambda: x[0, 0].item(),
        "zeros": lambda: torch.zeros(4, 4),
        "(a @ b).relu().sum().backward()": chain,
    }


def main():
    torch = importlib.import_module(sys.argv[1])
    torch.set_num_threads(int(sys.argv[2]))
    for case, fn in cases(torch).items():
        show(case, "us", best_call(fn))


if __name__ == "__main__":
    main()
