"""Elementwise operations and mathematical functions of fresh results, for one library in a process of its own.

    python -m benchmarks.elementwise torch 2

A line a case: name, unit, time, floating-point operations (one an element: what a function needs is a matter of
its method), and the bytes that must be read and written.
"""

import importlib
import sys

from .timing import per_call

SIZES = {"1e5": (250, 400), "1e7": (2500, 4000)}


def cases(torch):
    """(case, function, operations, bytes)."""
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
                yield f"{name}, {label} {str(dtype)[-7:]}", lambda f=f, at=at: f(at), n, 2 * n * width
            if dtype is torch.float64:
                continue
            y, row, column = torch.randn(*size), torch.randn(size[1]), torch.randn(size[0], 1)
            across, wide = torch.randn(*size[::-1]), torch.randn(size[0], size[1] * 2)
            half, one = torch.randn(size[0], size[1] // 2), 4 * n
            for name, f, bytes in (
                ("add", lambda x=x, y=y: x + y, 3 * one),
                ("mul", lambda x=x, y=y: x * y, 3 * one),
                ("relu", lambda x=x: x.relu(), 2 * one),
                ("mul by a number", lambda x=x: x * 1.5, 2 * one),
                ("where", lambda x=x, y=y, m=x > 0: torch.where(m, x, y), 3 * one + n),
                ("greater", lambda x=x, y=y: x > y, 2 * one + n),
                ("in place add", lambda x=x.clone(), y=y: x.add_(y), 3 * one),
                ("x + row", lambda x=x, row=row: x + row, 2 * one),
                ("x * column", lambda x=x, column=column: x * column, 2 * one),
                ("column + row", lambda row=row, column=column: column + row, one),
                ("x + y.t()", lambda x=x, across=across: x + across.t(), 3 * one),
                ("x.t() + y.t()", lambda across=across, y=y.t().contiguous(): across.t() + y.t(), 3 * one),
                ("x.t().exp()", lambda across=across: across.t().exp(), 2 * one),
                ("x[:, ::2] * half", lambda wide=wide, half=half: wide[:, ::4] * half, 3 * one // 2),
                ("x[:, ::2] * row", lambda wide=wide, row=row: wide[:, ::2] * row, 3 * one),
                ("x[:, ::2] + x[:, 1::2]", lambda wide=wide: wide[:, ::2] + wide[:, 1::2], 3 * one),
                ("x[::2] + y[1::2]", lambda x=x, y=y: x[::2] + y[1::2], 3 * one // 2),
                ("x.flip-like columns[:, 1:]", lambda x=x, y=y: x[:, 1:] * y[:, :-1], 3 * one),
                ("3d permuted", lambda x=x.view(size[0], 20, -1).permute(2, 0, 1), y=y.view(-1, size[0], 20): x + y, 3 * one),
                ("x.double()", lambda x=x: x.double(), 3 * one),
                ("x + x.double()", lambda x=x, d=x.double(): x + d, 5 * one),
                ("x.t().contiguous()", lambda x=x: x.t().contiguous(), 2 * one),
            ):
                yield f"{name}, {label} float32", f, n, bytes


def main():
    torch = importlib.import_module(sys.argv[1])
    torch.set_num_threads(int(sys.argv[2]))
    only = sys.argv[3:]
    for case, f, flops, bytes in cases(torch):
        if only and not any(o in case for o in only):
            continue
        f()
        print(case, "us", min(per_call(f, 0.02) for _ in range(3)), flops, bytes, sep="\t", flush=True)


if __name__ == "__main__":
    main()
