"""Reductions, the softmax family and normalizations, for one library in a process of its own.

    python -m benchmarks.reductions torch 2 [PART OF A CASE'S NAME ...]
"""

import importlib
import sys

from .timing import best_call, show

SIZES = ((768, 1000), (8192, 128))


def folds(torch):
    """Sums and the like over each axis of matrices in either order of memory."""
    for m, n in (*SIZES, (3000, 3000)):
        for order in ("rows", "columns"):
            x = torch.randn(m, n) if order == "rows" else torch.randn(n, m).t()
            for dim in (None, 0, 1):
                for name in ("sum", "mean", "amax", "argmax", "var", "norm"):
                    fn = getattr(torch, name)
                    over = "all" if dim is None else f"axis {dim}"
                    case = f"{name} over {over} of {m}x{n}, {order}"
                    if dim is None:
                        yield case, lambda fn=fn, x=x: fn(x), m * n, 4 * m * n
                    else:
                        yield case, lambda fn=fn, x=x, dim=dim: fn(x, dim=dim), m * n, 4 * m * n
    x = torch.randn(32, 64, 28, 28)
    for dims in ((0, 2, 3), (1,), (2, 3), (0,)):
        case = f"sum over {dims} of 32x64x28x28"
        yield case, lambda x=x, dims=dims: torch.sum(x, dim=dims), x.numel(), 4 * x.numel()


def pairs(torch, name, forward, x, params, flops, backward_flops, reads):
    """The forward pass, and the pass with its gradients; `reads`: how often each goes over x's memory."""
    params = [p.requires_grad_() for p in params]
    x.requires_grad_()
    y = forward(x, *params)
    direction = torch.randn(y.shape)
    n = x.numel()

    def alone():
        with torch.no_grad():
            return forward(x, *params)

    def both():
        x.grad = None
        for p in params:
            p.grad = None
        forward(x, *params).backward(direction)

    yield f"{name}: forward", alone, flops * n, 4 * n * reads[0]
    yield f"{name}: forward and backward", both, (flops + backward_flops) * n, 4 * n * (reads[0] + reads[1])


def softmaxes(torch, F):
    for m, n in SIZES:
        def x(m=m, n=n):
            return torch.randn(m, n)

        at = f"{m}x{n}"
        target = torch.randint(0, n, (m,))
        yield from pairs(torch, f"softmax {at}", lambda x: F.softmax(x, -1), x(), [], 20, 4, (2, 3))
        yield from pairs(torch, f"log_softmax {at}", lambda x: F.log_softmax(x, -1), x(), [], 20, 20, (2, 3))
        yield from pairs(torch, f"logsumexp {at}", lambda x: torch.logsumexp(x, -1), x(), [], 20, 20, (1, 2))
        yield from pairs(torch, f"cross_entropy {at}", lambda x, t=target: F.cross_entropy(x, t), x(), [], 20, 20,
                         (1, 2))
    yield from pairs(torch, "softmax over axis 1 of 16x64x1024", lambda x: F.softmax(x, 1), torch.randn(16, 64, 1024),
                     [], 20, 4, (2, 3))


def normalizations(torch, F):
    for m, n in SIZES:
        at = f"{m}x{n}"
        yield from pairs(torch, f"layer_norm {at}", lambda x, w, b, n=n: F.layer_norm(x, (n,), w, b), torch.randn(m, n),
                         [torch.randn(n), torch.randn(n)], 7, 12, (2, 3))
        yield from pairs(torch, f"rms_norm {at}", lambda x, w, n=n: F.rms_norm(x, (n,), w), torch.randn(m, n),
                         [torch.randn(n)], 4, 10, (2, 3))
    for sizes in ((8192, 128), (32, 64, 1000), (32, 64, 28, 28), (8, 16, 8, 28, 28)):
        c, at = sizes[1], "x".join(map(str, sizes))
        mean, var = torch.zeros(c), torch.ones(c)
        yield from pairs(torch, f"batch_norm {at}",
                         lambda x, w, b, mean=mean, var=var: F.batch_norm(x, mean, var, w, b, True),
                         torch.randn(*sizes), [torch.randn(c), torch.randn(c)], 7, 12, (3, 5))
        yield from pairs(torch, f"batch_norm in evaluation {at}",
                         lambda x, w, b, mean=mean, var=var: F.batch_norm(x, mean, var, w, b, False),
                         torch.randn(*sizes), [torch.randn(c), torch.randn(c)], 2, 6, (2, 3))
        if len(sizes) > 2:
            yield from pairs(torch, f"instance_norm {at}", lambda x, w, b: F.instance_norm(x, None, None, w, b),
                             torch.randn(*sizes), [torch.randn(c), torch.randn(c)], 7, 12, (2, 3))
            yield from pairs(torch, f"group_norm {at}", lambda x, w, b: F.group_norm(x, 8, w, b),
                             torch.randn(*sizes), [torch.randn(c), torch.randn(c)], 7, 12, (2, 3))


def cases(torch):
    F = importlib.import_module(torch.__name__ + ".nn.functional")
    torch.manual_seed(0)
    yield from softmaxes(torch, F)
    yield from normalizations(torch, F)
    yield from folds(torch)


def main(cases=cases):
    torch = importlib.import_module(sys.argv[1])
    torch.set_num_threads(int(sys.argv[2]))
    wanted = sys.argv[3:]
    for case, fn, flops, moved in cases(torch):
        if wanted and not any(w in case for w in wanted):
            continue
        show(case, "us", best_call(fn, 0.01), flops, moved)


if __name__ == "__main__":
    main()
