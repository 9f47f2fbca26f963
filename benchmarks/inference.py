"""Inference of an MLP with the module captured, in a process of its own for each library: python -m
benchmarks.inference torch 2.

JAX computes it under jit. The library `autodiffc-unpacked` is ours with weights whose address was given away, which it
therefore reads as they lie and does not keep packed, as a peer of itself.
"""

import importlib
import sys

import numpy as np

from .timing import best_call, show

LIBRARIES = ("autodiffc", "torch", "jax", "autodiffc-unpacked")
TURNS = True
WIDTHS = (1024, 1024, 1024, 1024)
BATCHES = (1, 4, 8, 16, 32, 64, 256)
DTYPES = ("float32", "bfloat16")


def module(torch, dtype, own):
    nn = importlib.import_module(torch.__name__ + ".nn")
    torch.manual_seed(0)
    layers = [layer for a, b in zip(WIDTHS, WIDTHS[1:]) for layer in (nn.Linear(a, b), nn.ReLU())]
    net = nn.Sequential(*layers[:-1]).to(getattr(torch, dtype)).eval()
    if torch.__name__ == "torch":
        return net
    if own:
        for p in net.parameters():
            p.data_ptr()
    return torch.compile(net)


def jitted(dtype):
    jax = importlib.import_module("jax")
    rng = np.random.default_rng(0)
    layers = [(rng.standard_normal((a, b)) / np.sqrt(a), np.zeros(b)) for a, b in zip(WIDTHS, WIDTHS[1:])]
    layers = [[jax.numpy.asarray(x, dtype) for x in layer] for layer in layers]

    @jax.jit
    def apply(layers, x):
        for w, b in layers[:-1]:
            x = jax.nn.relu(x @ w + b)
        return x @ layers[-1][0] + layers[-1][1]

    return lambda x: jax.block_until_ready(apply(layers, x))


def main():
    library, threads = sys.argv[1], int(sys.argv[2])
    only = sys.argv[3] if len(sys.argv) > 3 else ""
    torch = None if library == "jax" else importlib.import_module(library.split("-")[0])
    if torch:
        torch.set_num_threads(threads)
    for dtype in DTYPES:
        net = module(torch, dtype, "-" in library) if torch else jitted(dtype)
        for batch in BATCHES:
            case = f"{dtype} MLP {'-'.join(map(str, WIDTHS))}, batch {batch}"
            if only not in case:
                continue
            x = np.random.default_rng(1).standard_normal((batch, WIDTHS[0])).astype("float32")
            if torch:
                x = torch.from_numpy(x).to(getattr(torch, dtype))
                with torch.no_grad():
                    for _ in range(3):
                        net(x)
                    us = best_call(lambda x=x, net=net: net(x), 0.02, 5)
            else:
                x = importlib.import_module("jax").numpy.asarray(x, dtype)
                us = best_call(lambda x=x, net=net: net(x), 0.02, 5)
            weights = sum(a * b for a, b in zip(WIDTHS, WIDTHS[1:]))
            show(case, "us", us, 2 * batch * weights, (4 if dtype == "float32" else 2) * weights, dtype)


if __name__ == "__main__":
    main()
