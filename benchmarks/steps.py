"""Whole training steps, written once against PyTorch's names (steps_jax.py: for JAX)."""

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
            self.head.weight = self.tokens.weight

        def forward(self, x):
            x = self.tokens(x) + self.places(torch.arange(x.shape[1]))
            return self.head(self.norm(self.blocks(x))).flatten(0, 1)

    model = Model()
    optimizer = optim.AdamW(model.parameters(), lr=1e-3, betas=(0.9, 0.99), weight_decay=0.1)
    x, y = _labels(torch, classes, batch, length), _labels(torch, classes, batch * length)

    def step():
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        return loss

    return step


def _policy(torch):
    """Proximal policy optimization on a small control task: acting, then one minibatch."""
    nn, F, optim = _modules(torch)

    def net(outputs):
        return nn.Sequential(nn.Linear(4, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, outputs))

    actor, critic = net(2), net(1)
    parameters = [*actor.parameters(), *critic.parameters()]
    optimizer = optim.Adam(parameters, lr=2.5e-4, eps=1e-5)
    seen, states, actions = _data(torch, 4, 4), _data(torch, 128, 4), _labels(torch, 2, 128)
    advantages, returns, before = (_data(torch, 128, seed=k) for k in (1, 2, 3))

    def step():
        with torch.no_grad():
            for _ in range(8):
                F.softmax(actor(seen), dim=1)
                critic(seen)
        log_p = F.log_softmax(actor(states), dim=1)
        ratio = (log_p.gather(1, actions.view(-1, 1)).view(-1) - before).exp()
        gain = torch.min(advantages * ratio, advantages * torch.clamp(ratio, 0.8, 1.2)).mean()
        value_loss = 0.5 * ((critic(states).view(-1) - returns) ** 2).mean()
        entropy = -(log_p.exp() * log_p).sum(1).mean()
        loss = 0.5 * value_loss - gain - 0.01 * entropy
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 0.5)
        optimizer.step()
        return loss

    return step


def _variational(torch):
    nn, F, optim = _modules(torch)

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.hidden, self.mean, self.log_var = nn.Linear(784, 400), nn.Linear(400, 20), nn.Linear(400, 20)
            self.back, self.out = nn.Linear(20, 400), nn.Linear(400, 784)

        def forward(self, x):
            h = F.relu(self.hidden(x))
            mean, log_var = self.mean(h), self.log_var(h)
            z = mean + torch.randn_like(mean) * torch.exp(0.5 * log_var)
            return torch.sigmoid(self.out(F.relu(self.back(z)))), mean, log_var

    def loss_of(found, x):
        image, mean, log_var = found
        divergence = -0.5 * torch.sum(1 + log_var - mean**2 - log_var.exp())
        return F.binary_cross_entropy(image, x, reduction="sum") + divergence

    model = Model()
    x = torch.from_numpy(np.random.default_rng(0).random((128, 784), dtype=np.float32))
    return _supervised(model, optim.Adam(model.parameters(), lr=1e-3), loss_of, x, x)


def _convolutional(torch):
    nn, F, optim = _modules(torch)
    model = nn.Sequential(
        nn.Conv2d(1, 32, 3), nn.ReLU(), nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(9216, 128), nn.ReLU(), nn.Linear(128, 10), nn.LogSoftmax(dim=1),
    )  # fmt: skip
    optimizer = optim.Adadelta(model.parameters(), lr=1.0)
    return _supervised(model, optimizer, F.nll_loss, _data(torch, 64, 1, 28, 28), _labels(torch, 10, 64))


def _residual(torch):
    nn, F, optim = _modules(torch)

    def normed(channels, to, stride, kernel=3):
        conv = nn.Conv2d(channels, to, kernel, stride, kernel // 2, bias=False)
        return nn.Sequential(conv, nn.BatchNorm2d(to))

    class Block(nn.Module):
        def __init__(self, channels, to, stride):
            super().__init__()
            self.first, self.second = normed(channels, to, stride), normed(to, to, 1)
            self.short = normed(channels, to, stride, 1) if stride != 1 else nn.Identity()

        def forward(self, x):
            return F.relu(self.second(F.relu(self.first(x))) + self.short(x))

    model = nn.Sequential(
        normed(3, 16, 1), nn.ReLU(), Block(16, 16, 1), Block(16, 32, 2), Block(32, 64, 2),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10),
    )  # fmt: skip
    optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4)
    return _supervised(model, optimizer, F.cross_entropy, _data(torch, 32, 3, 32, 32), _labels(torch, 10, 32))


STEPS = {
    "MLP 2-16-16-1, batch 64, SGD": _mean_square,
    "MLP 64-128-10, batch 32, Adam": _digits,
    "PPO 4-64-64, 8 acts and a minibatch of 128, Adam": _policy,
    "MLP 784-512-512-10, batch 128, momentum": _momentum,
    "VAE 784-400-20, batch 128, Adam": _variational,
    "CNN of two convolutions, 64 x 1x28x28, Adadelta": _convolutional,
    "ResNet-8, 32 x 3x32x32, momentum": _residual,
    "linear regression 100,000 x 100": _regression,
    "AdamW on 10 million parameters": _adamw,
    "LSTM 35 x 20 x 128, 1000 words, SGD": _lstm,
    "GPT 4 x 128, 12 x 64 characters, AdamW": _gpt,
}


def build(torch, name):
    """The step of a name: a function that does one full training step and returns the loss."""
    torch.manual_seed(0)
    return STEPS[name](torch)
