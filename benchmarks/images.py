"""Pooling, resampling, padding and their gradients, for one library in a process of its own.

    python -m benchmarks.images torch 2 [TEXT]
"""

import importlib
import sys

from .timing import best_call, show

MAPS = [(8, 64, 56, 56), (32, 512, 7, 7), (64, 16, 28, 28)]
PHOTOS = [(64, 16, 28, 28), (4, 3, 224, 224)]
VOLUME = (4, 16, 16, 32, 32)


def operations(torch):
    """(name, sizes of the input, function) of each."""
    F = importlib.import_module(torch.__name__ + ".nn.functional")
    pools = {
        "max_pool2d 2": lambda x: F.max_pool2d(x, 2),
        "max_pool2d 3/2": lambda x: F.max_pool2d(x, 3, 2, 1),
        "avg_pool2d 2": lambda x: F.avg_pool2d(x, 2),
        "avg_pool2d 3/2": lambda x: F.avg_pool2d(x, 3, 2, 1),
        "adaptive_avg_pool2d 1": lambda x: F.adaptive_avg_pool2d(x, 1),
        "adaptive_avg_pool2d 5": lambda x: F.adaptive_avg_pool2d(x, 5),
        "adaptive_max_pool2d 5": lambda x: F.adaptive_max_pool2d(x, 5),
        "lp_pool2d 3/2": lambda x: F.lp_pool2d(x, 2, 3, 2),
        "unfold 3": lambda x: F.unfold(x, 3, padding=1),
        **{f"pad {mode}": lambda x, mode=mode: F.pad(x, (2, 2, 2, 2), mode=mode)
           for mode in ("constant", "reflect", "replicate", "circular")},
    }
    for size in MAPS:
        yield from ((name, size, fn) for name, fn in pools.items())
    for size in PHOTOS:
        for mode in ("nearest", "bilinear", "bicubic", "area"):
            for factor in (2, 0.5):
                options = {"scale_factor": factor, "mode": mode}
                yield f"interpolate {mode} {factor}", size, lambda x, o=options: F.interpolate(x, **o)
        torch.manual_seed(3)
        grid = torch.rand(size[0], size[2], size[3], 2) * 2.2 - 1.1
        for mode in ("bilinear", "nearest", "bicubic"):
            yield (f"grid_sample {mode}", size,
                   lambda x, grid=grid, mode=mode: F.grid_sample(x, grid, mode=mode, align_corners=False))
    places = torch.rand(VOLUME[0], *VOLUME[2:], 3) * 2.2 - 1.1
    yield "grid_sample volume", VOLUME, lambda x: F.grid_sample(x, places, align_corners=False)
    yield "max_pool3d 2", VOLUME, lambda x: F.max_pool3d(x, 2)
    yield "interpolate trilinear 2", VOLUME, lambda x: F.interpolate(x, scale_factor=2, mode="trilinear")
    yield "pad replicate", VOLUME, lambda x: F.pad(x, (1,) * 6, mode="replicate")
    whole = torch.arange(28 * 28).reshape(28, 28)
    taken = (whole // 28 * 112 + whole % 28 * 2 + whole % 3 % 2).expand(8, 64, 28, 28).contiguous()
    yield "max_unpool2d 2", (8, 64, 28, 28), lambda x: F.max_unpool2d(x, taken, 2)
    yield "pixel_shuffle 2", MAPS[0], lambda x: F.pixel_shuffle(x, 2)
    yield "fold 3", (8, 576, 3136), lambda x: F.fold(x, (56, 56), 3, padding=1)


def main():
    torch = importlib.import_module(sys.argv[1])
    torch.set_num_threads(int(sys.argv[2]))
    only = sys.argv[3] if len(sys.argv) > 3 else ""
    for name, size, fn in operations(torch):
        case = f"{name}, {'x'.join(map(str, size))}"
        if only not in case:
            continue
        torch.manual_seed(1)
        x = torch.randn(*size).requires_grad_()
        y = fn(x)
        direction = torch.randn(*y.shape)

        def forward(fn=fn, x=x):
            with torch.no_grad():
                return fn(x)

        def backward(x=x, y=y, direction=direction):
            return torch.autograd.grad(y, x, direction, retain_graph=True)

        for what, step, read, written in (("forward", forward, x, y), ("backward", backward, y, x)):
            show(f"{case}: {what}", "us", best_call(step, 0.01), 0, 4 * (read.numel() + written.numel()))


if __name__ == "__main__":
    main()
