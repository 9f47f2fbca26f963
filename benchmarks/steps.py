"""Whole training steps, written once against PyTorch's names, and for JAX as its users write them."""

import importlib

import numpy as np


def _modules(torch):
    return [importlib.import_module(torch.__name__ + "." + m) for m in ("nn", "nn.functional", "optim")]


def _data(torch, *sizes, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(sizes).astype(np.float32))


def _labels(torch, classes, *sizes, seed=1):
    return torch.from_numpy(np.random.default_rng(seed).integers(0, classes, sizes))


def _mlp(torch, widths):
    nn = _modules(torch)[0]
    layers = []
    for a, b in zip(widths, widths[1:]):
        layers += [nn.Linear(a, b), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def _supervised(model, optimizer, loss_of, x, y):
    def step():
        optimizer.zero_grad()
        loss = loss_of(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return step


def _mean_square(torch):
    _, F, optim = _modules(torch)
    model = _mlp(torch, [2, 16, 16, 1])
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    return _supervised(model, optimizer, F.mse_loss, _data(torch, 64, 2), _data(torch, 64, 1))


def _digits(torch):
    _, F, optim = _modules(torch)
    model = _mlp(torch, [64, 128, 10])
    optimizer = optim.Adam(model.parameters(), lr=1e-3)
    return _supervised(model, optimizer, F.cross_entropy, _data(torch, 32, 64), _labels(torch, 10, 32))


def _momentum(torch):
    _, F, optim = _modules(torch)
    model = _mlp(torch, [784, 512, 512, 10])
    optimizer = optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    return _supervised(model, optimizer, F.cross_entropy, _data(torch, 128, 784), _labels(torch, 10, 128))


def _regression(torch):
    optim = _modules(torch)[2]
    x, y, w = _data(torch, 100_000, 100), _data(torch, 100_000), torch.zeros(100, requires_grad=True)
    optimizer = optim.SGD([w], lr=0.1)

    def step():
        optimizer.zero_grad()
        loss = ((x @ w - y) ** 2).mean()
        loss.backward()
        optimizer.step()
        return loss

    return step


def _adamw(torch):
    optim = _modules(torch)[2]
    p = torch.zeros(10_000_000, requires_grad=True)
    p.grad = torch.ones(10_000_000)
    optimizer = optim.AdamW([p], lr=1e-3)

    def step():
        optimizer.step()
        return p.grad[0]

    return step


def _lstm(torch):
    nn, F, optim = _modules(torch)

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.table, self.rnn, self.head = nn.Embedding(1000, 128), nn.LSTM(128, 128), nn.Linear(128, 1000)

        def forward(self, x):
            return self.head(self.rnn(self.table(x))[0]).flatten(0, 1)

    model = Model()
    optimizer = optim.SGD(model.parameters(), lr=1.0)
    return _supervised(model, optimizer, F.cross_entropy, _labels(torch, 1000, 35, 20), _labels(torch, 1000, 700))


def _gpt(torch, layers=4, heads=4, width=128, length=64, batch=12, classes=65):
    nn, F, optim = _modules(torch)

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
            self.qkv, self.out = nn.Linear(width, 3 * width, bias=False), nn.Linear(width, width, bias=False)
            self.up, self.down = nn.Linear(width, 4 * width, bias=False), nn.Linear(4 * width, width, bias=False)

        def forward(self, x):
            b, t, c = x.shape
            q, k, v = (p.view(b, t, heads, c // heads).transpose(1, 2) for p in self.qkv(self.norm1(x)).split(c, 2))
            y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
            x = x + self.out(y.transpose(1, 2).reshape(b, t, c))
            return x + self.down(F.gelu(self.up(self.norm2(x))))

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.tokens, self.places = nn.Embedding(classes, width), nn.Embedding(length, width)
            self.blocks = nn.Sequential(*[Block() for _ in range(layers)])
            self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, classes, bias=False)

        def forward(self, x):
            x = self.tokens(x) + self.places(torch.arange(x.shape[1]))
            return self.head(self.norm(self.blocks(x))).flatten(0, 1)

    model = Model()
    optimizer = optim.AdamW(model.parameters(), lr=1e-3)
    x, y = _labels(torch, classes, batch, length), _labels(torch, classes, batch * length)
    return _supervised(model, optimizer, F.cross_entropy, x, y)


STEPS = {
    "MLP 2-16-16-1, batch 64, SGD": _mean_square,
    "MLP 64-128-10, batch 32, Adam": _digits,
    "MLP 784-512-512-10, batch 128, momentum": _momentum,
    "linear regression 100,000 x 100": _regression,
    "AdamW on 10 million parameters": _adamw,
    "LSTM 35 x 20 x 128, 1000 words, SGD": _lstm,
    "GPT 4 x 128, 12 x 64 characters, AdamW": _gpt,
}


def build(torch, name):
    """The step of a name: a function that does one full training step and returns the loss."""
    torch.manual_seed(0)
    return STEPS[name](torch)


def build_jax(name):
    """The same step jitted with donated state, or None where it is not written for JAX."""
    import functools

    import jax
    import jax.numpy as jnp
    import optax

    widths = {
        "MLP 2-16-16-1, batch 64, SGD": ([2, 16, 16, 1], 64, optax.sgd(0.1), False),
        "MLP 64-128-10, batch 32, Adam": ([64, 128, 10], 32, optax.adam(1e-3), True),
        "MLP 784-512-512-10, batch 128, momentum": ([784, 512, 512, 10], 128, optax.sgd(0.01, 0.9), True),
    }
    if name not in widths:
        return None
    sizes, batch, optimizer, classes = widths[name]
    rng = np.random.default_rng(0)
    params = [
        {"w": jnp.asarray(rng.standard_normal((a, b)), jnp.float32) / np.sqrt(a), "b": jnp.zeros(b)}
        for a, b in zip(sizes, sizes[1:])
    ]
    x = jnp.asarray(rng.standard_normal((batch, sizes[0])), jnp.float32)
    y = jnp.asarray(rng.integers(0, sizes[-1], batch) if classes else rng.standard_normal((batch, 1)).astype("f"))

    def loss_of(params, x, y):
        h = x
        for layer in params[:-1]:
            h = jax.nn.relu(h @ layer["w"] + layer["b"])
        h = h @ params[-1]["w"] + params[-1]["b"]
        if classes:
            return optax.softmax_cross_entropy_with_integer_labels(h, y).mean()
        return jnp.mean((h - y) ** 2)

    @functools.partial(jax.jit, donate_argnums=(0, 1))
    def update(params, state, x, y):
        loss, grads = jax.value_and_grad(loss_of)(params, x, y)
        updates, state = optimizer.update(grads, state, params)
        return optax.apply_updates(params, updates), state, loss

    held = [params, optimizer.init(params)]

    def step():
        held[0], held[1], loss = update(held[0], held[1], x, y)
        return jax.block_until_ready(loss)

    return step
