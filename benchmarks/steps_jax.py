"""The steps of steps.py as users of JAX and optax write them: one jitted update with donated state."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax

rng = np.random.default_rng(0)


def _data(*sizes):
    return jnp.asarray(rng.standard_normal(sizes), jnp.float32)


def _labels(classes, *sizes):
    return jnp.asarray(rng.integers(0, classes, sizes))


def _layer(a, b):
    return {"w": _data(a, b) / np.sqrt(a), "b": jnp.zeros(b)}


def _layers(*widths):
    return [_layer(a, b) for a, b in zip(widths, widths[1:])]


def _apply(layers, x, act=jax.nn.relu):
    for layer in layers[:-1]:
        x = act(x @ layer["w"] + layer["b"])
    return x @ layers[-1]["w"] + layers[-1]["b"]


def _cross_entropy(logits, y):
    return optax.softmax_cross_entropy_with_integer_labels(logits, y).mean()


def _updates(optimizer, params, loss_of, *data, before=None):
    """A step of loss_of(params, *data), after before(params)."""

    @functools.partial(jax.jit, donate_argnums=(0, 1))
    def update(params, state, *data):
        loss, grads = jax.value_and_grad(loss_of)(params, *data)
        updates, state = optimizer.update(grads, state, params)
        return optax.apply_updates(params, updates), state, loss

    held = [params, optimizer.init(params)]

    def step():
        if before:
            before(held[0])
        held[0], held[1], loss = update(held[0], held[1], *data)
        return jax.block_until_ready(loss)

    return step


def _mlp(widths, batch, optimizer, classes):
    y = _labels(widths[-1], batch) if classes else _data(batch, 1)

    def loss_of(params, x, y):
        out = _apply(params, x)
        return _cross_entropy(out, y) if classes else jnp.mean((out - y) ** 2)

    return _updates(optimizer, _layers(*widths), loss_of, _data(batch, widths[0]), y)


def _policy():
    params = {"actor": _layers(4, 64, 64, 2), "critic": _layers(4, 64, 64, 1)}
    seen, actions = _data(4, 4), _labels(2, 128)

    def loss_of(params, x, advantages, returns, old):
        log_p = jax.nn.log_softmax(_apply(params["actor"], x, jnp.tanh))
        ratio = jnp.exp(jnp.take_along_axis(log_p, actions[:, None], 1)[:, 0] - old)
        gain = jnp.minimum(advantages * ratio, advantages * jnp.clip(ratio, 0.8, 1.2)).mean()
        value = 0.5 * ((_apply(params["critic"], x, jnp.tanh)[:, 0] - returns) ** 2).mean()
        entropy = -(jnp.exp(log_p) * log_p).sum(1).mean()
        return 0.5 * value - gain - 0.01 * entropy

    @jax.jit
    def act(params, x):
        return jax.nn.softmax(_apply(params["actor"], x, jnp.tanh)), _apply(params["critic"], x, jnp.tanh)

    def acts(params):
        for _ in range(8):  # each is answered before the next, as an environment needs
            jax.block_until_ready(act(params, seen))

    optimizer = optax.chain(optax.clip_by_global_norm(0.5), optax.adam(2.5e-4, eps=1e-5))
    return _updates(optimizer, params, loss_of, _data(128, 4), *(_data(128) for _ in range(3)), before=acts)


def _variational():
    params = {"in": _layer(784, 400), "mean": _layer(400, 20), "var": _layer(400, 20), "out": _layers(20, 400, 784)}
    x = jnp.asarray(rng.random((128, 784)), jnp.float32)
    keys = [jax.random.PRNGKey(0)]

    def loss_of(p, x, key):
        h = jax.nn.relu(x @ p["in"]["w"] + p["in"]["b"])
        mean, log_var = (h @ p[k]["w"] + p[k]["b"] for k in ("mean", "var"))
        z = mean + jax.random.normal(key, mean.shape) * jnp.exp(0.5 * log_var)
        out = jax.nn.sigmoid(_apply(p["out"], z))
        log = functools.partial(jnp.maximum, -100.0)
        rebuilt = -jnp.sum(x * log(jnp.log(out)) + (1 - x) * log(jnp.log1p(-out)))
        return rebuilt - 0.5 * jnp.sum(1 + log_var - mean**2 - jnp.exp(log_var))

    optimizer = optax.adam(1e-3)
    held = [params, optimizer.init(params)]

    @functools.partial(jax.jit, donate_argnums=(0, 1))
    def update(params, state, key):
        key, now = jax.random.split(key)
        loss, grads = jax.value_and_grad(loss_of)(params, x, now)
        updates, state = optimizer.update(grads, state, params)
        return optax.apply_updates(params, updates), state, key, loss

    def step():
        held[0], held[1], keys[0], loss = update(held[0], held[1], keys[0])
        return jax.block_until_ready(loss)

    return step


def _conv(x, w, padding="VALID", stride=1):
    return jax.lax.conv_general_dilated(
        x, w, (stride, stride), padding, dimension_numbers=("NCHW", "OIHW", "NCHW"))  # fmt: skip


def _convolutional():
    params = {
        "c1": _data(32, 1, 3, 3) / 3, "b1": jnp.zeros((32, 1, 1)), "c2": _data(64, 32, 3, 3) / 17,
        "b2": jnp.zeros((64, 1, 1)), "head": _layers(9216, 128, 10),
    }  # fmt: skip

    def loss_of(p, x, y):
        h = jax.nn.relu(_conv(x, p["c1"]) + p["b1"])
        h = jax.nn.relu(_conv(h, p["c2"]) + p["b2"])
        h = jax.lax.reduce_window(h, -jnp.inf, jax.lax.max, (1, 1, 2, 2), (1, 1, 2, 2), "VALID")
        return _cross_entropy(_apply(p["head"], h.reshape(h.shape[0], -1)), y)

    return _updates(optax.adadelta(1.0), params, loss_of, _data(64, 1, 28, 28), _labels(10, 64))


def _regression():
    def loss_of(w, x, y):
        return jnp.mean((x @ w - y) ** 2)

    return _updates(optax.sgd(0.1), jnp.zeros(100), loss_of, _data(100_000, 100), _data(100_000))


def _adamw():
    optimizer, grads, p = optax.adamw(1e-3, weight_decay=1e-2), jnp.ones(10_000_000), jnp.zeros(10_000_000)
    held = [p, optimizer.init(p)]

    @functools.partial(jax.jit, donate_argnums=(0, 1))
    def update(p, state, g):
        updates, state = optimizer.update(g, state, p)
        return optax.apply_updates(p, updates), state

    def step():
        held[0], held[1] = update(held[0], held[1], grads)
        return jax.block_until_ready(held[0])

    return step


def _lstm():
    params = {"table": _data(1000, 128), "x": _layer(128, 512), "h": _layer(128, 512), "head": _layers(128, 1000)}

    def loss_of(p, words, y):
        def cell(carry, gates):
            h, c = carry
            i, f, g, o = jnp.split(gates + h @ p["h"]["w"] + p["h"]["b"], 4, axis=-1)
            c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
            h = jax.nn.sigmoid(o) * jnp.tanh(c)
            return (h, c), h

        gates = p["table"][words] @ p["x"]["w"] + p["x"]["b"]
        zeros = jnp.zeros((words.shape[1], 128))
        _, hs = jax.lax.scan(cell, (zeros, zeros), gates)
        return _cross_entropy(_apply(p["head"], hs).reshape(-1, 1000), y)

    return _updates(optax.sgd(1.0), params, loss_of, _labels(1000, 35, 20), _labels(1000, 700))


STEPS = {
    "MLP 2-16-16-1, batch 64, SGD": lambda: _mlp([2, 16, 16, 1], 64, optax.sgd(0.1), False),
    "MLP 64-128-10, batch 32, Adam": lambda: _mlp([64, 128, 10], 32, optax.adam(1e-3), True),
    "PPO 4-64-64, 8 acts and a minibatch of 128, Adam": _policy,
    "MLP 784-512-512-10, batch 128, momentum": lambda: _mlp([784, 512, 512, 10], 128, optax.sgd(0.01, 0.9), True),
    "VAE 784-400-20, batch 128, Adam": _variational,
    "CNN of two convolutions, 64 x 1x28x28, Adadelta": _convolutional,
    "linear regression 100,000 x 100": _regression,
    "AdamW on 10 million parameters": _adamw,
    "LSTM 35 x 20 x 128, 1000 words, SGD": _lstm,
}
