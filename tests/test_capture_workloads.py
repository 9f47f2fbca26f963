"""compile(): 100 captured steps have the losses and parameters of 100 eager ones, bit for bit, for each kind of model,
optimizer and scheduler."""

import warnings

import numpy as np
import pytest

import autodiffc as ad
from autodiffc import distributions, nn, optim
from autodiffc.nn import functional as F
from autodiffc.nn.utils import clip_grad_norm_, clip_grad_value_
from autodiffc.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

STEPS = 100


def data(*sizes, seed=0):
    return ad.from_numpy(np.random.default_rng(seed).standard_normal(sizes).astype(np.float32))


def labels(n, *sizes, seed=0):
    return ad.from_numpy(np.random.default_rng(seed + 500).integers(0, n, sizes))


def supervised(model, optimizer, loss_of, clip=None):
    def step(x, y):
        optimizer.zero_grad()
        loss = loss_of(model(x), y)
        loss.backward()
        if clip:
            clip(model.parameters())
        optimizer.step()
        return loss

    return step


def mlp():
    model = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Dropout(0.2), nn.Linear(16, 16), nn.Tanh(), nn.Linear(16, 3))
    step = supervised(model, optim.SGD(model.parameters(), 0.1, momentum=0.9), F.cross_entropy)
    return model, step, lambda k: (data(8, 6, seed=k), labels(3, 8, seed=k))


def vae():
    class VAE(nn.Module):
        def __init__(self):
            super().__init__()
            self.up, self.mu, self.scale = nn.Linear(12, 8), nn.Linear(8, 2), nn.Linear(8, 2)
            self.down = nn.Sequential(nn.Linear(2, 8), nn.LeakyReLU(), nn.Dropout(), nn.Linear(8, 12))

        def forward(self, x):
            h = F.relu(self.up(x))
            q = distributions.Normal(self.mu(h), F.softplus(self.scale(h)))
            return ad.sigmoid(self.down(q.rsample())), q

    def loss_of(out, x):
        p = distributions.Normal(ad.zeros(2), ad.ones(2))
        kl = distributions.kl_divergence(out[1], p).sum()
        return F.binary_cross_entropy(out[0], x, reduction="sum") + kl

    model = VAE()
    step = supervised(model, optim.Adam(model.parameters(), 1e-2), loss_of)
    return model, step, lambda k: (data(8, 12, seed=k).sigmoid(),) * 2


def cnn():
    model = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2),
                          nn.Conv2d(4, 6, 3), nn.GroupNorm(2, 6), nn.SiLU(), nn.AdaptiveAvgPool2d(2), nn.Dropout2d(0.3),
                          nn.Flatten(), nn.Linear(24, 3), nn.LogSoftmax(dim=1))
    step = supervised(model, optim.Adadelta(model.parameters()), F.nll_loss)
    return model, step, lambda k: (data(4, 1, 8, 8, seed=k), labels(3, 4, seed=k))


def resnet():
    class Block(nn.Module):
        def __init__(self, i, o, s):
            super().__init__()
            self.a, self.b = nn.Conv2d(i, o, 3, s, 1, bias=False), nn.Conv2d(o, o, 3, 1, 1, bias=False)
            self.na, self.nb = nn.BatchNorm2d(o), nn.BatchNorm2d(o)
            self.short = nn.Conv2d(i, o, 1, s, bias=False) if s > 1 else nn.Identity()

        def forward(self, x):
            return F.relu(self.nb(self.b(F.relu(self.na(self.a(x))))) + self.short(x))

    model = nn.Sequential(Block(3, 3, 1), Block(3, 6, 2), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 4))
    step = supervised(model, optim.SGD(model.parameters(), 0.05, momentum=0.9, weight_decay=1e-4), F.cross_entropy)
    return model, step, lambda k: (data(4, 3, 8, 8, seed=k), labels(4, 4, seed=k))


def recurrent(kind, **options):
    class Words(nn.Module):
        def __init__(self):
            super().__init__()
            self.table, self.rnn = nn.Embedding(11, 6), getattr(nn, kind)(6, 5, **options)
            self.out = nn.Linear(5 * (2 if options.get("bidirectional") else 1), 11)

        def forward(self, x):
            return self.out(self.rnn(self.table(x))[0]).flatten(0, 1)

    model = Words()
    step = supervised(model, optim.SGD(model.parameters(), 0.5), F.cross_entropy, lambda p: clip_grad_norm_(p, 0.25))
    return model, step, lambda k: (labels(11, 7, 3, seed=k), labels(11, 21, seed=k + 1))


def lstm():
    return recurrent("LSTM", num_layers=2, dropout=0.3)


def gru():
    return recurrent("GRU", bidirectional=True)


def rnn():
    return recurrent("RNN", nonlinearity="relu")


def packed():
    class Tagger(nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn, self.out = nn.LSTM(4, 5, batch_first=True), nn.Linear(5, 2)

        def forward(self, x):
            out, _ = self.rnn(pack_padded_sequence(x, [5, 3, 2], batch_first=True))
            return self.out(pad_packed_sequence(out, batch_first=True)[0]).mean(1)

    model = Tagger()
    step = supervised(model, optim.RMSprop(model.parameters(), 0.01), F.cross_entropy)
    return model, step, lambda k: (data(3, 5, 4, seed=k), labels(2, 3, seed=k))


def gpt():
    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.n1, self.n2 = nn.LayerNorm(8), nn.LayerNorm(8)
            self.qkv, self.out = nn.Linear(8, 24), nn.Linear(8, 8)
            self.mlp = nn.Sequential(nn.Linear(8, 32), nn.GELU(), nn.Linear(32, 8), nn.Dropout(0.1))

        def forward(self, x):
            b, t, c = x.shape
            q, k, v = (p.view(b, t, 2, 4).transpose(1, 2) for p in self.qkv(self.n1(x)).split(8, 2))
            y = F.scaled_dot_product_attention(q, k, v, is_causal=True, dropout_p=0.1 if self.training else 0.0)
            x = x + self.out(y.transpose(1, 2).reshape(b, t, c))
            return x + self.mlp(self.n2(x))

    class GPT(nn.Module):
        def __init__(self):
            super().__init__()
            self.tokens, self.places = nn.Embedding(9, 8), nn.Embedding(6, 8)
            self.blocks, self.norm = nn.ModuleList([Block(), Block()]), nn.LayerNorm(8)
            self.head = nn.Linear(8, 9, bias=False)
            self.head.weight = self.tokens.weight

        def forward(self, x):
            x = self.tokens(x) + self.places(ad.arange(x.shape[1]))
            for block in self.blocks:
                x = block(x)
            return self.head(self.norm(x)).flatten(0, 1)

    model = GPT()
    optimizer = optim.AdamW(model.parameters(), 1e-2, betas=(0.9, 0.99))
    step = supervised(model, optimizer, F.cross_entropy, lambda p: clip_grad_norm_(p, 1.0))
    return model, step, lambda k: (labels(9, 2, 6, seed=k), labels(9, 12, seed=k + 1))


def transformer():
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
            self.encoder, self.out = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False), nn.Linear(8, 3)

        def forward(self, x):
            mask = nn.Transformer.generate_square_subsequent_mask(5)
            return self.out(self.encoder(x, mask=mask, is_causal=True)).mean(1)

    model = Model()
    step = supervised(model, optim.Adam(model.parameters(), 1e-3), F.cross_entropy, lambda p: clip_grad_value_(p, 0.1))
    return model, step, lambda k: (data(2, 5, 8, seed=k), labels(3, 2, seed=k))


def ppo():
    def net(n):
        return nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, n))

    model = nn.ModuleDict({"actor": net(2), "critic": net(1)})
    optimizer = optim.Adam(model.parameters(), 1e-2, eps=1e-5)

    def step(x, a):
        with ad.no_grad():
            old = distributions.Categorical(logits=model["actor"](x)).log_prob(a) + 0.1
            value = model["critic"](x).view(-1)
            ret = value.flip(0).cumsum(0).clamp(-2, 2)
            adv = ret - value
            adv = (adv - adv.mean()) / (adv.std() + 1e-8)
        for _ in range(2):
            policy = distributions.Categorical(logits=model["actor"](x))
            ratio = (policy.log_prob(a) - old).exp()
            loss = ad.max(-adv * ratio, -adv * ratio.clamp(0.8, 1.2)).mean() - 0.01 * policy.entropy().mean()
            loss = loss + 0.5 * F.mse_loss(model["critic"](x).view(-1), ret)
            optimizer.zero_grad(set_to_none=False)
            loss.backward()
            clip_grad_norm_(model.parameters(), 0.5)
            optimizer.step()
        return loss

    return model, step, lambda k: (data(8, 4, seed=k), labels(2, 8, seed=k))


def gan():
    g = nn.Sequential(nn.Linear(3, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 2), nn.Tanh())
    d = nn.Sequential(nn.Linear(2, 8), nn.LeakyReLU(0.2), nn.utils.spectral_norm(nn.Linear(8, 1)))
    og, od = (optim.Adam(m.parameters(), 1e-2, betas=(0.5, 0.999)) for m in (g, d))

    def step(z, real):
        ones, zeros = ad.ones(6, 1), ad.zeros(6, 1)
        d.zero_grad()
        real_loss = F.binary_cross_entropy_with_logits(d(real), ones)
        real_loss.backward()
        fake = g(z)
        fake_loss = F.binary_cross_entropy_with_logits(d(fake.detach()), zeros)
        fake_loss.backward()
        od.step()
        og.zero_grad()
        for p in d.parameters():
            assert p.requires_grad
        g_loss = F.binary_cross_entropy_with_logits(d(fake), ones)
        g_loss.backward()
        og.step()
        return real_loss + fake_loss + g_loss

    return nn.ModuleList([g, d]), step, lambda k: (data(6, 3, seed=k), data(6, 2, seed=k + 300))


def bag():
    class Bag(nn.Module):
        def __init__(self):
            super().__init__()
            self.bag, self.out = nn.EmbeddingBag(20, 6, mode="mean"), nn.Linear(6, 3)

        def forward(self, x):
            return self.out(self.bag(x, ad.tensor([0, 4, 7])))

    model = Bag()
    step = supervised(model, optim.Adagrad(model.parameters(), 0.1), F.cross_entropy)
    return model, step, lambda k: (labels(20, 12, seed=k), labels(3, 3, seed=k))


def penalty():
    """Gradients of gradients: WGAN-GP's."""
    model = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 1))
    optimizer = optim.Adam(model.parameters(), 1e-2)

    def step(real, fake):
        optimizer.zero_grad()
        mix = (real + ad.rand(6, 1) * (fake - real)).requires_grad_()
        grads = ad.autograd.grad(model(mix).sum(), mix, create_graph=True)[0]
        loss = model(fake).mean() - model(real).mean() + 10 * ((grads.norm(dim=1) - 1) ** 2).mean()
        loss.backward()
        optimizer.step()
        return loss

    return model, step, lambda k: (data(6, 3, seed=k), data(6, 3, seed=k + 100))


def average():
    """An exponential average of the weights, and gradients of two batches added up."""
    model, mean = nn.Linear(4, 2), nn.Linear(4, 2)
    optimizer = optim.SGD(model.parameters(), 0.1, nesterov=True, momentum=0.9)

    def step(x, y):
        optimizer.zero_grad()
        for part, target in zip(x.chunk(2), y.chunk(2)):
            (F.cross_entropy(model(part), target) / 2).backward()
        optimizer.step()
        with ad.no_grad():
            for a, b in zip(mean.parameters(), model.parameters()):
                a.mul_(0.9).add_(b, alpha=0.1)
            return F.cross_entropy(mean(x), y)

    return nn.ModuleList([model, mean]), step, lambda k: (data(8, 4, seed=k), labels(2, 8, seed=k))


WORKLOADS = [mlp, vae, cnn, resnet, lstm, gru, rnn, packed, gpt, transformer, ppo, gan, bag, penalty, average]


def both(make, steps=STEPS, after=None, programs=3):
    runs = []
    for captured in (False, True):
        ad.manual_seed(0)
        model, step, batch = make()
        step = ad.compile(step, fullgraph=True) if captured else step
        losses = []
        for k in range(steps):
            ad.manual_seed(k)
            losses.append(float(step(*batch(k))))
            if after:
                after(model)
        runs.append((losses, model, step))
    (want, a, _), (got, b, step) = runs
    assert want == got and np.isfinite(want).all()
    assert len(step.stats()) <= programs  # state that is made by the first step
    for (name, x), (_, y) in zip(a.state_dict().items(), b.state_dict().items()):
        assert x.numpy().tobytes() == y.numpy().tobytes(), name


@pytest.mark.parametrize("make", WORKLOADS, ids=lambda f: f.__name__)
def test_a_captured_workload_has_the_bits_of_eager(make):
    both(make)


def words():
    """A last batch that is shorter, and shapes that come back."""
    model, step, _ = recurrent("LSTM")
    return model, step, lambda k: (labels(11, 5 + k % 3, 3 - k % 2, seed=k), labels(11, (5 + k % 3) * (3 - k % 2)))


def epochs(make, count):
    """A workload whose every fifth batch holds `count` samples."""
    def shorter():
        model, step, batch = make()
        return model, step, lambda k: batch(k) if k % 5 < 4 else [t[:count] for t in batch(k)]

    return shorter


@pytest.mark.parametrize("make", [words, epochs(mlp, 5), epochs(cnn, 2), epochs(resnet, 3), epochs(vae, 1)],
                         ids=["words", "mlp", "cnn", "resnet", "vae"])
def test_batches_of_several_sizes(make):
    both(make, programs=12)


@pytest.mark.parametrize("make", [f for f in WORKLOADS if f is not penalty], ids=lambda f: f.__name__)
def test_modules_alone_have_the_bits_of_eager(make):
    """Modules compiled in their places: both passes are replayed, all else runs as it is."""
    called = {ppo: lambda m: m.values(), gan: list, average: list}.get(make, lambda m: [m])
    runs = []
    for compiled in (False, True):
        ad.manual_seed(0)
        model, step, batch = make()
        for m in called(model):
            if compiled:
                m.compile(fullgraph=True)
        losses = []
        for k in range(STEPS):
            ad.manual_seed(k)
            losses.append(float(step(*batch(k))))
        runs.append((losses, model))
    (want, a), (got, b) = runs
    assert want == got and np.isfinite(want).all()
    for (name, x), (_, y) in zip(a.state_dict().items(), b.state_dict().items()):
        assert x.numpy().tobytes() == y.numpy().tobytes(), name
    for m in called(b):
        assert m._compiled_call_impl.stats()


OPTIMIZERS = {
    "sgd": lambda p: optim.SGD(p, 0.1),
    "nesterov": lambda p: optim.SGD(p, 0.1, momentum=0.9, nesterov=True, weight_decay=1e-3),
    "adam": lambda p: optim.Adam(p, 0.01, amsgrad=True),
    "adamw": lambda p: optim.AdamW(p, 0.01),
    "nadam": lambda p: optim.NAdam(p, 0.01),
    "radam": lambda p: optim.RAdam(p, 0.01),
    "adamax": lambda p: optim.Adamax(p, 0.01),
    "adagrad": lambda p: optim.Adagrad(p, 0.1, lr_decay=0.01),
    "adadelta": lambda p: optim.Adadelta(p, 1.0),
    "rmsprop": lambda p: optim.RMSprop(p, 0.01, momentum=0.9, centered=True),
    "rprop": lambda p: optim.Rprop(p, 0.01),
    "asgd": lambda p: optim.ASGD(p, 0.1, t0=20),
    "adafactor": lambda p: optim.Adafactor(p, 0.01),
    "muon": lambda p: optim.Muon([w for w in p if w.ndim == 2], 0.01),
}
SCHEDULERS = [
    lambda o: optim.lr_scheduler.StepLR(o, 7, gamma=0.7),
    lambda o: optim.lr_scheduler.MultiStepLR(o, [3, 30], gamma=0.5),
    lambda o: optim.lr_scheduler.ExponentialLR(o, 0.97),
    lambda o: optim.lr_scheduler.CosineAnnealingLR(o, 50),
    lambda o: optim.lr_scheduler.CosineAnnealingWarmRestarts(o, 20, 2),
    lambda o: optim.lr_scheduler.LinearLR(o, 0.1, total_iters=20),
    lambda o: optim.lr_scheduler.PolynomialLR(o, 90, 2.0),
    lambda o: optim.lr_scheduler.OneCycleLR(o, 0.1, total_steps=STEPS + 1, cycle_momentum=False),
    lambda o: optim.lr_scheduler.LambdaLR(o, lambda k: 1 / (1 + 0.1 * k)),
    lambda o: optim.lr_scheduler.MultiplicativeLR(o, lambda k: 0.98),
    lambda o: optim.lr_scheduler.ConstantLR(o, 0.5, 10),
    lambda o: optim.lr_scheduler.CyclicLR(o, 0.001, 0.05, 10, cycle_momentum=False),
    lambda o: optim.lr_scheduler.ChainedScheduler([optim.lr_scheduler.ExponentialLR(o, 0.99),
                                                   optim.lr_scheduler.StepLR(o, 20)]),
    lambda o: optim.lr_scheduler.SequentialLR(o, [optim.lr_scheduler.ConstantLR(o, 0.1, 10),
                                                  optim.lr_scheduler.ExponentialLR(o, 0.95)], [10]),
]


@pytest.mark.parametrize("inside", [False, True], ids=["after", "inside"])
@pytest.mark.parametrize("k", range(len(OPTIMIZERS)), ids=list(OPTIMIZERS))
def test_each_optimizer_with_a_scheduler(k, inside):
    make_optimizer, make_scheduler = list(OPTIMIZERS.values())[k], SCHEDULERS[(k + 5 * inside) % len(SCHEDULERS)]
    schedulers = {}

    def make():
        model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3))
        optimizer = make_optimizer(model.parameters())
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # SequentialLR steps before the optimizer
            scheduler = schedulers[model] = make_scheduler(optimizer)

        def step(x, y):
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
            if inside:
                scheduler.step()
            return loss

        return model, step, lambda k: (data(6, 4, seed=k), labels(3, 6, seed=k))

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        both(make, after=None if inside else lambda model: schedulers[model].step())


def test_lbfgs_runs_as_it_is():
    def run(captured):
        ad.manual_seed(0)
        model = nn.Linear(4, 1)
        optimizer = optim.LBFGS(model.parameters(), line_search_fn="strong_wolfe")
        x, y = data(16, 4), data(16, 1, seed=1)

        def step(x, y):
            def closure():
                optimizer.zero_grad()
                loss = F.mse_loss(model(x), y)
                loss.backward()
                return loss

            return optimizer.step(closure)

        step = ad.compile(step) if captured else step
        return [float(step(x, y)) for _ in range(5)]

    with pytest.warns(UserWarning, match=r"torch.compile: .*step runs as it is, .*line \d+"):
        captured = run(True)
    assert captured == run(False)


def test_grad_scaler_runs_as_it_is():
    def run(captured):
        ad.manual_seed(0)
        model = nn.Linear(4, 1)
        optimizer, scaler = optim.SGD(model.parameters(), 0.1), ad.amp.GradScaler("cpu", growth_interval=3)

        def step(x, y):
            optimizer.zero_grad()
            loss = F.mse_loss(model(x), y)
            scaler.scale(loss).backward()
            scaler.step(optimizer)
            scaler.update()
            return loss

        step = ad.compile(step) if captured else step
        return [float(step(data(8, 4, seed=k), data(8, 1, seed=k))) for k in range(10)] + [scaler.get_scale()]

    with pytest.warns(UserWarning, match="GradScaler"):
        captured = run(True)
    assert captured == run(False)


def test_a_disabled_grad_scaler_is_captured():
    model = nn.Linear(4, 1)
    optimizer, scaler = optim.SGD(model.parameters(), 0.1), ad.amp.GradScaler("cpu", enabled=False)

    @ad.compile(fullgraph=True)
    def step(x):
        optimizer.zero_grad()
        loss = model(x).square().mean()
        scaler.scale(loss).backward()
        scaler.unscale_(optimizer)
        scaler.step(optimizer)
        scaler.update()
        return loss

    losses = [float(step(data(8, 4))) for _ in range(5)]
    assert losses == sorted(losses, reverse=True)
