"""A convolution's forward pass, and forward and backward together, for one library in a process of its own.

    python -m benchmarks.convolutions torch 2 [TEXT]
"""

import importlib
import sys

from .timing import best_call, show

# case: channels, size, results' channels, kernel, stride, padding, groups
LAYERS = {
    "ResNet 3-64 7x7/2 @112": (3, 112, 64, 7, 2, 3, 1),
    "ResNet 64-64 3x3 @56": (64, 56, 64, 3, 1, 1, 1),
    "ResNet 64-128 3x3/2 @56": (64, 56, 128, 3, 2, 1, 1),
    "ResNet 128-128 3x3 @28": (128, 28, 128, 3, 1, 1, 1),
    "ResNet 256-256 3x3 @14": (256, 14, 256, 3, 1, 1, 1),
    "ResNet 512-512 3x3 @7": (512, 7, 512, 3, 1, 1, 1),
    "ResNet 256-64 1x1 @56": (256, 56, 64, 1, 1, 0, 1),
    "ResNet 256-512 1x1/2 @28": (256, 28, 512, 1, 2, 0, 1),
    "MNIST 1-32 3x3 @28": (1, 28, 32, 3, 1, 0, 1),
    "MNIST 32-64 3x3 @26": (32, 26, 64, 3, 1, 0, 1),
    "MNIST 6-16 5x5 @12": (6, 12, 16, 5, 1, 0, 1),
    "CIFAR 16-16 3x3 @32": (16, 32, 16, 3, 1, 1, 1),
    "depthwise 128 3x3 @28": (128, 28, 128, 3, 1, 1, 128),
    "depthwise 64 3x3/2 @56": (64, 56, 64, 3, 2, 1, 64),
    "depthwise 256 5x5 @14": (256, 14, 256, 5, 1, 2, 256),
    "DCGAN 64-128 4x4/2 @32": (64, 32, 128, 4, 2, 1, 1),
}
BATCHES = (1, 32, 64)

# case: kind, batch, channels, sizes, results' channels, kernel, and options of the function
OTHERS = {
    "ResNet 512-2048 1x1 @7, batch 32": ("2d", 32, 512, (7, 7), 2048, 1, {}),
    "ResNeXt 128-128 3x3 @28, 32 groups, batch 16": ("2d", 16, 128, (28, 28), 128, 3, {"padding": 1, "groups": 32}),
    "ResNeXt 256-256 3x3/2 @28, 32 groups, batch 16": (
        "2d", 16, 256, (28, 28), 256, 3, {"padding": 1, "stride": 2, "groups": 32}),
    "dilated 64-64 3x3 by 2 @32, batch 8": ("2d", 8, 64, (32, 32), 64, 3, {"padding": 2, "dilation": 2}),
    "dilated 256-256 3x3 by 4 @28, batch 4": ("2d", 4, 256, (28, 28), 256, 3, {"padding": 4, "dilation": 4}),
    "audio 64-64 3 @4000, batch 16": ("1d", 16, 64, (4000,), 64, 3, {"padding": 1}),
    "audio 64-64 9 @4000, batch 16": ("1d", 16, 64, (4000,), 64, 9, {"padding": 4}),
    "audio 1-32 80/4 @16000, batch 4": ("1d", 4, 1, (16000,), 32, 80, {"stride": 4}),
    "audio 64-128 3/2 @4000, batch 16": ("1d", 16, 64, (4000,), 128, 3, {"padding": 1, "stride": 2}),
    "audio 80-384 3 @1500, batch 4": ("1d", 4, 80, (1500,), 384, 3, {"padding": 1}),
    "TCN 25-25 7 by 8 @784, batch 32": ("1d", 32, 25, (784,), 25, 7, {"padding": 48, "dilation": 8}),
    "TCN 64-64 3 by 4 @1000, batch 16": ("1d", 16, 64, (1000,), 64, 3, {"padding": 8, "dilation": 4}),
    "depthwise 256 31 @500, batch 8": ("1d", 8, 256, (500,), 256, 31, {"padding": 15, "groups": 256}),
    "text 128-100 5 @200, batch 32": ("1d", 32, 128, (200,), 100, 5, {}),
    "volume 16-32 3x3x3 @16x32x32, batch 8": ("3d", 8, 16, (16, 32, 32), 32, 3, {"padding": 1}),
    "volume 64-64 3x3x3 @8x28x28, batch 1": ("3d", 1, 64, (8, 28, 28), 64, 3, {"padding": 1}),
    "volume 32-64 3x3x3/2 @16x32x32, batch 4": ("3d", 4, 32, (16, 32, 32), 64, 3, {"padding": 1, "stride": 2}),
    "video 3-64 3x7x7/1x2x2 @8x56x56, batch 2": (
        "3d", 2, 3, (8, 56, 56), 64, (3, 7, 7), {"padding": (1, 3, 3), "stride": (1, 2, 2)}),
    "transposed DCGAN 100-512 4x4 @1, batch 64": ("_transpose2d", 64, 100, (1, 1), 512, 4, {}),
    "transposed DCGAN 512-256 4x4/2 @4, batch 64": (
        "_transpose2d", 64, 512, (4, 4), 256, 4, {"padding": 1, "stride": 2}),
    "transposed DCGAN 128-64 4x4/2 @16, batch 64": (
        "_transpose2d", 64, 128, (16, 16), 64, 4, {"padding": 1, "stride": 2}),
    "transposed DCGAN 64-3 4x4/2 @32, batch 64": (
        "_transpose2d", 64, 64, (32, 32), 3, 4, {"padding": 1, "stride": 2}),
    "transposed UNet 128-64 2x2/2 @28, batch 8": ("_transpose2d", 8, 128, (28, 28), 64, 2, {"stride": 2}),
    "transposed VAE 64-32 3x3/2 @14, batch 64": (
        "_transpose2d", 64, 64, (14, 14), 32, 3, {"padding": 1, "stride": 2, "output_padding": 1}),
    "transposed audio 256-128 16/8 @200, batch 4": (
        "_transpose1d", 4, 256, (200,), 128, 16, {"padding": 4, "stride": 8}),
    "transposed audio 64-32 4/2 @2000, batch 8": (
        "_transpose1d", 8, 64, (2000,), 32, 4, {"padding": 1, "stride": 2}),
    "transposed volume 32-16 2x2x2/2 @8x16x16, batch 4": ("_transpose3d", 4, 32, (8, 16, 16), 16, 2, {"stride": 2}),
}


def layers():
    """(case, kind, batch, channels, sizes, results' channels, kernel, options) of each layer and batch."""
    for layer, (channels, size, to, kernel, stride, padding, groups) in LAYERS.items():
        options = {"stride": stride, "padding": padding, "groups": groups}
        for batch in BATCHES:
            yield f"{layer}, batch {batch}", "2d", batch, channels, (size, size), to, kernel, options
    for case, layer in OTHERS.items():
        yield case, *layer


def cases(torch, only):
    """(case, forward pass, forward and backward, passes in that, operations and bytes of one) of each layer and
    batch. Fewer multiplications than plain sums take (Winograd's) may give a share of the roofline above 1."""
    functional = importlib.import_module(torch.__name__ + ".nn.functional")
    for case, kind, batch, channels, sizes, to, kernel, options in layers():
        if only not in case:
            continue
        conv, groups = getattr(functional, "conv" + kind), options.get("groups", 1)
        kernel = kernel if isinstance(kernel, tuple) else (kernel,) * len(sizes)
        between = (channels, to) if "transpose" in kind else (to, channels // groups)
        torch.manual_seed(0)
        x = torch.randn(batch, channels, *sizes).requires_grad_(channels > 3)
        w = (torch.randn(*between, *kernel) * 0.05).requires_grad_()
        b = torch.zeros(to).requires_grad_()

        def forward(conv=conv, x=x, w=w, b=b, options=options):
            with torch.no_grad():
                return conv(x, w, b, **options)

        direction = torch.randn(*forward().shape)

        def step(conv=conv, x=x, w=w, b=b, options=options, direction=direction):
            x.grad = w.grad = b.grad = None
            conv(x, w, b, **options).backward(direction)

        # each position of the image (transposed) or the result meets every weight once
        positions = x.numel() // channels if "transpose" in kind else direction.numel() // to
        moved = 4 * (x.numel() + w.numel() + direction.numel())
        yield case, forward, step, 2 + x.requires_grad, 2 * positions * w.numel(), moved


def main():
    torch = importlib.import_module(sys.argv[1])
    torch.set_num_threads(int(sys.argv[2]))
    only = sys.argv[3] if len(sys.argv) > 3 else ""
    for case, forward, step, both, flops, moved in cases(torch, only):
        for what, fn, passes in (("forward", forward, 1), ("forward and backward", step, both)):
            show(f"{case}: {what}", "us", best_call(fn, 0.03), passes * flops, passes * moved)


if __name__ == "__main__":
    main()
