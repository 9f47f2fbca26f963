"""scaled_dot_product_attention and the layers around it, forward and with the gradient, for one library in a process
of its own.

    python -m benchmarks.attention torch 2
"""

import importlib
import sys

from .timing import best_call, show

# case: batch, heads, length, features, heads of key and value, options
CALLS = {
    "causal 12x4x64x32": (12, 4, 64, 32, 4, {"is_causal": True}),
    "causal 8x8x128x64": (8, 8, 128, 64, 8, {"is_causal": True}),
    "causal 4x8x256x64": (4, 8, 256, 64, 8, {"is_causal": True}),
    "causal 2x12x512x64": (2, 12, 512, 64, 12, {"is_causal": True}),
    "causal 2x8x1024x64": (2, 8, 1024, 64, 8, {"is_causal": True}),
    "causal 1x4x1024x128": (1, 4, 1024, 128, 4, {"is_causal": True}),
    "whole 12x4x64x32": (12, 4, 64, 32, 4, {}),
    "whole 2x8x1024x64": (2, 8, 1024, 64, 8, {}),
    "shared keys, causal 4x8x256x64": (4, 8, 256, 64, 2, {"is_causal": True, "enable_gqa": True}),
    "scale, causal 4x8x256x64": (4, 8, 256, 64, 8, {"is_causal": True, "scale": 0.3}),
    "bool mask 4x8x256x64": (4, 8, 256, 64, 8, {"attn_mask": "bool"}),
    "float mask 4x8x256x64": (4, 8, 256, 64, 8, {"attn_mask": "float"}),
    "dropout, causal 12x4x64x32": (12, 4, 64, 32, 4, {"is_causal": True, "dropout_p": 0.1}),
    "dropout, causal 4x8x256x64": (4, 8, 256, 64, 8, {"is_causal": True, "dropout_p": 0.1}),
}


def calls(torch):
    """(case, forward pass, forward and backward, multiply-adds of the forward pass times two, bytes)."""
    attend = importlib.import_module(torch.__name__ + ".nn.functional").scaled_dot_product_attention
    for case, (batch, heads, length, width, shared, options) in CALLS.items():
        torch.manual_seed(0)
        # as a layer has them: split off one product, heads beside features
        q, k, v = (torch.randn(batch, length, h, width).transpose(1, 2) for h in (heads, shared, shared))
        for t in (q, k, v):
            t.requires_grad_()
        options = dict(options)
        if "attn_mask" in options:
            mask = torch.rand(batch, 1, length, length) > 0.3
            options["attn_mask"] = mask if options["attn_mask"] == "bool" else (~mask).float() * -1e4
        direction = torch.randn(batch, heads, length, width)

        def forward(q=q, k=k, v=v, options=options):
            with torch.no_grad():
                return attend(q, k, v, **options)

        def step(q=q, k=k, v=v, options=options, direction=direction):
            q.grad = k.grad = v.grad = None
            attend(q, k, v, **options).backward(direction)

        pairs = length * (length + 1) / 2 if options.get("is_causal") else length * length
        size = 4 * batch * length * width * 2 * (heads + shared)
        yield case, forward, step, 4 * batch * heads * pairs * width, size


def layers(torch):
    """(case, forward and backward) of layers as models use them."""
    nn = importlib.import_module(torch.__name__ + ".nn")
    torch.manual_seed(0)

    def step_of(layer, *inputs, **options):
        def step():
            layer.zero_grad()
            out = layer(*inputs, **options)
            (out[0] if isinstance(out, tuple) else out).sum().backward()

        return step

    x = torch.randn(16, 64, 128, requires_grad=True)
    yield "MultiheadAttention 128, 4 heads, 16x64", step_of(
        nn.MultiheadAttention(128, 4, batch_first=True), x, x, x, need_weights=False)
    yield "MultiheadAttention with weights, 128, 4 heads, 16x64", step_of(
        nn.MultiheadAttention(128, 4, batch_first=True), x, x, x)
    yield "TransformerEncoderLayer 128-512, 4 heads, 16x64", step_of(
        nn.TransformerEncoderLayer(128, 4, 512, dropout=0.0, batch_first=True), x)
    yield "TransformerEncoderLayer 128-512, 4 heads, dropout 0.1, 16x64", step_of(
        nn.TransformerEncoderLayer(128, 4, 512, batch_first=True), x)
    yield "TransformerDecoderLayer 128-512, 4 heads, 16x64", step_of(
        nn.TransformerDecoderLayer(128, 4, 512, dropout=0.0, batch_first=True), x, x)
    long = torch.randn(2, 512, 256, requires_grad=True)
    yield "TransformerEncoderLayer 256-1024, 8 heads, 2x512", step_of(
        nn.TransformerEncoderLayer(256, 8, 1024, dropout=0.0, batch_first=True), long)


def main():
    torch = importlib.import_module(sys.argv[1])
    torch.set_num_threads(int(sys.argv[2]))
    only = sys.argv[3] if len(sys.argv) > 3 else ""
    for case, forward, step, flops, size in calls(torch):
        if only in case:
            show(f"{case}: forward", "us", best_call(forward), flops, size)
            # its gradient takes five products where the call itself takes two; q, k, v, the result and their
            # gradients are read and written
            show(f"{case}: forward and backward", "us", best_call(step), 3.5 * flops, 3 * size)
    for case, step in layers(torch):
        if only in case:
            show(f"{case}: forward and backward", "us", best_call(step))


if __name__ == "__main__":
    main()
