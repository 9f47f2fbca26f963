"""Elementwise operations and mathematical functions with fresh results, for one library in a process of its own.

    python -m benchmarks.elementwise torch 2

Cases of 10^5 elements stay in the caches; those of 10^7 are 40 MB an operand.
"""

import importlib
import sys

from .timing import best_call, show

SIZES = {"1e5": (250, 400), "1e7": (2500, 4000)}


def cases(torch):
    """(case, function, bytes that must be read and written)."""
    F = importlib.import_module(torch.__name__ + ".nn.functional")
    functions = {
        "exp": torch.exp,
        "tanh": torch.tanh,
        "sigmoid": torch.sigmoid,
        "gelu": F.gelu,
        "log": torch.log,
        "log1p": torch.log1p,
        "expm1": torch.expm1,
        "erf": torch.erf,
        "silu": F.silu,
        "softplus": F.softplus,
        "sin": torch.sin,
        "cos": torch.cos,
        "pow 1.7": lambda x: x**1.7,
    }
    positive = ("log", "log1p", "pow 1.7")
    for dtype in (torch.float32, torch.float64):
        for label, size in SIZES.items():
            n, width = size[0] * size[1], 4 if dtype is torch.float32 else 8
            torch.manual_seed(0)
            x = torch.randn(*size, dtype=dtype)
            above = x.abs() + 0.01
            for name, f in functions.items():
                at = above if name in positive else x
                yield f"{name}, {label} {str(dtype)[-7:]}", lambda f=f, at=at: f(at), 2 * n * width
            if dtype is torch.float64:
                continue
            y, row, column = torch.randn(*size), torch.randn(size[1]), torch.randn(size[0], 1)
            across, wide = torch.randn(*size[::-1]), torch.randn(size[0], size[1] * 2)
            half, one = torch.randn(size[0], size[1] // 2), 4 * n
            copy, other, double = x.clone(), y.t().contiguous(), x.double()
            permuted, cube = x.view(size[0], 20, -1).permute(2, 0, 1), y.view(-1, size[0], 20)
            for name, f, moved in (
                ("add", lambda x=x, y=y: x + y, 3 * one),
                ("mul", lambda x=x, y=y: x * y, 3 * one),
                ("relu", lambda x=x: x.relu(), 2 * one),
                ("mul by a number", lambda x=x: x * 1.5, 2 * one),
                ("where", lambda x=x, y=y, m=x > 0: torch.where(m, x, y), 3 * one + n),
                ("greater", lambda x=x, y=y: x > y, 2 * one + n),
                ("in place add", lambda x=copy, y=y: x.add_(y), 3 * one),
                ("x + row", lambda x=x, row=row: x + row, 2 * one),
                ("x * column", lambda x=x, column=column: x * column, 2 * one),
                ("column + row", lambda row=row, column=column: column + row, one),
                ("x + y.t()", lambda x=x, across=across: x + across.t(), 3 * one),
                ("x.t() + y.t()", lambda a=across, b=other: a.t() + b.t(), 3 * one),
                ("x.t().exp()", lambda across=across: across.t().exp(), 2 * one),
                ("x[:, ::4] * half", lambda wide=wide, half=half: wide[:, ::4] * half, 3 * one // 2),
                ("x[:, ::2] * row", lambda wide=wide, row=row: wide[:, ::2] * row, 3 * one),
                ("x[:, ::2] + x[:, 1::2]", lambda wide=wide: wide[:, ::2] + wide[:, 1::2], 3 * one),
                ("x[::2] + y[1::2]", lambda x=x, y=y: x[::2] + y[1::2], 3 * one // 2),
                ("x[:, 1:] * y[:, :-1]", lambda x=x, y=y: x[:, 1:] * y[:, :-1], 3 * one),
                (
                    "permuted + contiguous, 3-d",
                    lambda x=permuted, y=cube: x + y,
                    3 * one,
                ),
                ("x.double()", lambda x=x: x.double(), 3 * one),
                ("x + x.double()", lambda x=x, d=double: x + d, 5 * one),
                ("x.t().contiguous()", lambda x=x: x.t().contiguous(), 2 * one),
            ):
                yield f"{name}, {label} float32", f, moved


def main():
    torch = importlib.import_module(sys.argv[1])
    torch.set_num_threads(int(sys.argv[2]))
    only = sys.argv[3:]
    for case, f, moved in cases(torch):
        if not only or any(o in case for o in only):
            show(case, "us", best_call(f, 0.02), 0, moved)


if __name__ == "__main__":
    main()
