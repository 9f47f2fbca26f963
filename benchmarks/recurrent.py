"""Recurrent layers, forward and with the gradient, for one library in a process of its own.

    python -m benchmarks.recurrent torch 2
"""

import importlib
import sys

from .timing import best_call, show

# case: layer, steps, batch, input, hidden units, options
LAYERS = {
    "LSTM 35x20x128": ("LSTM", 35, 20, 128, 128, {}),
    "GRU 35x20x128": ("GRU", 35, 20, 128, 128, {}),
    "RNN 35x20x128": ("RNN", 35, 20, 128, 128, {}),
    "LSTM 35x20x128, 2 layers": ("LSTM", 35, 20, 128, 128, {"num_layers": 2}),
    "LSTM 35x20x128, bidirectional": ("LSTM", 35, 20, 128, 128, {"bidirectional": True}),
    "LSTM 35x20x128, batch first": ("LSTM", 35, 20, 128, 128, {"batch_first": True}),
    "LSTM 35x20x128, projected to 64": ("LSTM", 35, 20, 128, 128, {"proj_size": 64}),
    "LSTM 35x20x128, packed": ("LSTM", 35, 20, 128, 128, {"packed": True}),
    "GRU 35x20x128, 2 layers, bidirectional": ("GRU", 35, 20, 128, 128, {"num_layers": 2, "bidirectional": True}),
    "LSTM 100x1x64": ("LSTM", 100, 1, 64, 64, {}),
    "LSTM 28x64x28-64": ("LSTM", 28, 64, 28, 64, {}),
    "LSTM 35x20x650": ("LSTM", 35, 20, 650, 650, {}),
    "GRU 50x64x256": ("GRU", 50, 64, 256, 256, {}),
}


def cases(torch):
    """(case, forward pass, forward and backward, multiply-adds of the forward pass times two)."""
    nn = importlib.import_module(torch.__name__ + ".nn")
    rnn = importlib.import_module(torch.__name__ + ".nn.utils.rnn")
    for case, (kind, steps, batch, width, hidden, options) in LAYERS.items():
        torch.manual_seed(0)
        options = dict(options)
        packed = options.pop("packed", False)
        layer = getattr(nn, kind)(width, hidden, **options)
        sizes = (batch, steps) if options.get("batch_first") else (steps, batch)
        x = torch.randn(*sizes, width, requires_grad=True)
        lengths = [max(1, steps - i * steps // batch) for i in range(batch)]
        with torch.no_grad():
            out = layer(rnn.pack_padded_sequence(x, lengths) if packed else x)[0]
        direction = torch.randn(*(out.data if packed else out).shape)

        def run(layer=layer, x=x, packed=packed, lengths=lengths):
            out = layer(rnn.pack_padded_sequence(x, lengths) if packed else x)[0]
            return out.data if packed else out

        def forward(run=run):
            with torch.no_grad():
                return run()

        def step(run=run, layer=layer, x=x, direction=direction):
            x.grad = None
            layer.zero_grad()
            run().backward(direction)

        rows = sum(lengths) if packed else steps * batch
        weights = sum(w.numel() for w in layer.parameters() if w.dim() == 2)
        yield case, forward, step, 2 * rows * weights


def main():
    torch = importlib.import_module(sys.argv[1])
    torch.set_num_threads(int(sys.argv[2]))
    only = sys.argv[3] if len(sys.argv) > 3 else ""
    for case, forward, step, flops in cases(torch):
        if only not in case:
            continue
        show(f"{case}: forward", "us", best_call(forward), flops)
        show(f"{case}: forward and backward", "us", best_call(step), 3 * flops)


if __name__ == "__main__":
    main()
