"""A convolution's forward pass, and forward and backward together, for one library in a process of its own.

    python -m benchmarks.convolutions torch 2 [TEXT]
"""

import importlib
import sys

from .timing import best_call, show

# case: channels, height and width, results' channels, kernel, stride, padding, groups
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


def cases(torch, only):
    """(case, forward pass, forward and backward, passes in that, operations and bytes of one) of each layer and
    batch. Fewer multiplications than plain sums take (Winograd's) may give a share of the roofline above 1."""
    conv = importlib.import_module(torch.__name__ + ".nn.functional").conv2d
    for layer, (channels, size, to, kernel, stride, padding, groups) in LAYERS.items():
        for batch in BATCHES:
            case = f"{layer}, batch {batch}"
            if only not in case:
                continue
            torch.manual_seed(0)
            x = torch.randn(batch, channels, size, size).requires_grad_(channels > 3)
            w = (torch.randn(to, channels // groups, kernel, kernel) * 0.05).requires_grad_()
            b = torch.zeros(to).requires_grad_()

            def forward(x=x, w=w, b=b, options=(stride, padding, 1, groups)):
                with torch.no_grad():
                    return conv(x, w, b, *options)

            direction = torch.randn(*forward().shape)

            def step(x=x, w=w, b=b, options=(stride, padding, 1, groups), direction=direction):
                x.grad = w.grad = b.grad = None
                conv(x, w, b, *options).backward(direction)

            flops = 2 * direction.numel() * channels // groups * kernel**2
            moved = 4 * (x.numel() + w.numel() + direction.numel())
            yield case, forward, step, 2 + x.requires_grad, flops, moved


def main():
    torch = importlib.import_module(sys.argv[1])
    torch.set_num_threads(int(sys.argv[2]))
    only = sys.argv[3] if len(sys.argv) > 3 else ""
    for case, forward, step, both, flops, moved in cases(torch, only):
        for what, fn, passes in (("forward", forward, 1), ("forward and backward", step, both)):
            show(f"{case}: {what}", "us", best_call(fn, 0.03), passes * flops, passes * moved)


if __name__ == "__main__":
    main()
