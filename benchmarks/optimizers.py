"""An optimizer's step alone, for one library in a process of its own.

    python -m benchmarks.optimizers torch 2

The library is autodiffc, torch, torch-foreach or torch-fused (PyTorch's other loops over the parameters), or jax (AdamW
of optax, jitted, its state donated).
"""

import importlib
import sys

from .timing import best_call, show

LIBRARIES = ("autodiffc", "torch", "torch-foreach", "torch-fused", "jax")

# name: class, options, numbers that a step has to read and write for each parameter
OPTIMIZERS = {
    "AdamW": ("AdamW", {}, 7),
    "Adam": ("Adam", {}, 7),
    "Adam, amsgrad": ("Adam", {"amsgrad": True}, 9),
    "SGD": ("SGD", {"lr": 0.01}, 3),
    "SGD, momentum": ("SGD", {"lr": 0.01, "momentum": 0.9}, 5),
    "SGD, Nesterov, decay": ("SGD", {"lr": 0.01, "momentum": 0.9, "nesterov": True, "weight_decay": 1e-4}, 5),
    "RMSprop": ("RMSprop", {}, 5),
    "RMSprop, centered, momentum": ("RMSprop", {"centered": True, "momentum": 0.9}, 9),
    "Adagrad": ("Adagrad", {}, 5),
    "Adadelta": ("Adadelta", {}, 7),
    "Adamax": ("Adamax", {}, 7),
    "NAdam": ("NAdam", {}, 7),
    "RAdam": ("RAdam", {}, 7),
    "Rprop": ("Rprop", {}, 7),
    "ASGD": ("ASGD", {}, 5),
    "Adafactor": ("Adafactor", {}, 6),
    "Muon": ("Muon", {}, 5),
    "Lion": ("Lion", {}, 5),
}
FUSED = {"SGD", "Adam", "AdamW", "Adagrad"}
ONE_LOOP = {"Muon", "Lion"}  # classes without foreach
SIZES = {"10 million in one tensor": [(2500, 4000)], "1 million in 32 tensors": [(176, 176)] * 32,
         "MLP 64-128-10": [(128, 64), (128,), (10, 128), (10,)]}


def steps(torch, mode):
    """(case, step, bytes to and from memory: of what no cache holds)."""
    optim = importlib.import_module(torch.__name__ + ".optim")
    for size, shapes in SIZES.items():
        for name, (kind, options, arrays) in OPTIMIZERS.items():
            if not hasattr(optim, kind) or (mode == "fused" and kind not in FUSED) or (mode and kind in ONE_LOOP):
                continue
            if kind == "Muon" and len(shapes) == 1:
                continue
            torch.manual_seed(0)
            params = [torch.randn(*s).requires_grad_() for s in shapes if kind != "Muon" or len(s) == 2]
            for p in params:
                p.grad = torch.randn(*p.shape)
            optimizer = getattr(optim, kind)(params, **options, **({mode: True} if mode else {}))
            n = sum(p.numel() for p in params)
            yield f"{name}, {size}", optimizer.step, 4 * arrays * n if n == 10_000_000 else 0


def lbfgs(torch):
    """LBFGS with a history of 10 on a loss that costs little: its vector algebra is what takes time."""
    optim = importlib.import_module(torch.__name__ + ".optim")
    torch.manual_seed(0)
    p, scale = torch.randn(1_000_000).requires_grad_(), torch.rand(1_000_000) + 0.5
    optimizer = optim.LBFGS([p], lr=0.1, max_iter=12, history_size=10, tolerance_grad=0, tolerance_change=0)

    def closure():
        optimizer.zero_grad()
        loss = (scale * p * p).sum()
        loss.backward()
        return loss

    return lambda: optimizer.step(closure)


def jax_adamw():
    import functools

    import jax
    import jax.numpy as jnp
    import optax

    optimizer = optax.adamw(1e-3)
    p = jnp.zeros((2500, 4000))
    g, held = jnp.ones_like(p), [p, optimizer.init(p)]

    @functools.partial(jax.jit, donate_argnums=(0, 1))
    def update(p, state, g):
        change, state = optimizer.update(g, state, p)
        return optax.apply_updates(p, change), state

    def step():
        held[0], held[1] = update(*held, g)
        jax.block_until_ready(held[0])

    return step


def main():
    library, _, mode = sys.argv[1].partition("-")
    only = sys.argv[3] if len(sys.argv) > 3 else ""
    if library == "jax":
        if only in "AdamW, 10 million in one tensor":
            show("AdamW, 10 million in one tensor", "us", best_call(jax_adamw()), 0, 280e6)
        return
    torch = importlib.import_module(library)
    torch.set_num_threads(int(sys.argv[2]))
    for case, step, size in steps(torch, mode):
        if only in case:
            for _ in range(2):  # the first makes the state
                step()
            show(case, "us", best_call(step), 0, size)
    case = "LBFGS, 12 iterations, 1 million in one tensor"
    if not mode and only in case:
        show(case, "us", best_call(lbfgs(torch)))


if __name__ == "__main__":
    main()
