"""Writes random_reference.json: the first numbers of every random stream, as PyTorch gives them.

    python tests/data/make_random_reference.py        # torch must be importable

Every case is {"seed", "call", "values"}: after `torch.manual_seed(seed)`, `call` (an expression over
`torch`, `nn` and `F`) gives the flat list `values`; a list of calls is evaluated in order and
`values` is that of the last. Floats are written with all their digits (float32 as the shortest
decimal that reads back to the same float32), infinities as strings. Long results keep their first 8
and last 8 elements, and "size" says how many there were.
"""

import json
import math
import pathlib
import warnings

import torch
import torch.nn.functional as F  # noqa: F401
from torch import nn  # noqa: F401  (calls use them)

warnings.simplefilter("ignore")

FLOATS = ["float32", "float64", "bfloat16", "float16"]
INTS = ["int64", "int32", "int16", "int8", "uint8"]
SEEDS = [0, 42]


def calls():
    for d in FLOATS:
        t = f"dtype=torch.{d}"
        for n in (1, 5, 16, 17, 40, 3000):
            yield f"torch.rand({n}, {t})"
            yield f"torch.randn({n}, {t})"
        yield f"torch.empty(40, {t}).uniform_(-0.3, 1.7)"
        yield f"torch.empty(3000, {t}).uniform_(5, 7)"
        yield f"torch.empty(40, {t}).normal_(0.5, 2.0)"
        yield f"torch.empty(80, {t})[::2].normal_(0.5, 2.0)"
        yield f"torch.empty(6, 8, {t}).t().normal_()"
        yield f"torch.empty(20, {t}).exponential_(1.5)"
        yield f"torch.empty(20, {t}).cauchy_(0.5, 2.0)"
        yield f"torch.empty(20, {t}).log_normal_(0.5, 0.25)"
        yield f"torch.bernoulli(torch.linspace(0, 1, 40, {t}))"
        yield f"torch.empty(20, {t}).random_()"
        yield f"torch.multinomial(torch.arange(1, 11, {t}), 20, replacement=True)"
        yield f"torch.multinomial(torch.arange(1, 11, {t}), 4)"
        yield f"F.dropout(torch.ones(40, {t}), 0.3)"
    for d in INTS:
        t = f"dtype=torch.{d}"
        yield f"torch.empty(20, {t}).random_()"
        yield f"torch.empty(20, {t}).random_(3, None)"
        yield f"torch.randint(0, 100, (20,), {t})"
    for d in [*FLOATS, *INTS]:
        yield f"torch.empty(20, dtype=torch.{d}).geometric_(0.25)"
        yield f"torch.empty(40, dtype=torch.{d}).bernoulli_(0.3)"
    yield "torch.empty(40, dtype=torch.bool).bernoulli_(0.3)"
    yield "torch.empty(40, dtype=torch.bool).random_()"
    yield "torch.empty(20, dtype=torch.int64).random_(-(2**63), None)"
    for low, high in ((-5, 5), (0, 2**28 - 1), (0, 2**28), (0, 2**31), (-(2**40), 2**40)):
        yield f"torch.randint({low}, {high}, (20,))"
    yield "torch.empty(20).random_(0, 2**24 + 3)"
    yield "torch.empty(20, dtype=torch.bfloat16).random_(-2047, 1000)"
    for n in (1, 2, 10, 1000):
        yield f"torch.randperm({n})"
    # one generator, several calls: the cached second normal, and streams that follow one another
    yield ["torch.randn(1)", "torch.rand(3)", "torch.randn(20)", "torch.randn(3, dtype=torch.float64)"]
    yield ["torch.rand(623)", "torch.rand(3, dtype=torch.float64)"]
    yield "torch.normal(torch.arange(5.0), torch.tensor([1.0, 2.0, 3.0, 4.0, 0.5]))"
    yield "torch.rand_like(torch.empty(3, 4).t())"
    yield "F.dropout2d(torch.ones(2, 5, 3, 3), 0.5)"
    yield "F.gumbel_softmax(torch.zeros(2, 5))"
    yield "F.rrelu(torch.tensor([-1.0, 2.0, -3.0, -4.0, 5.0]), training=True)"
    for m in ("Linear(7, 5)", "Conv2d(4, 6, 3)", "ConvTranspose2d(4, 6, 3)", "Embedding(10, 4)", "LSTM(4, 5)",
              "MultiheadAttention(8, 2)", "TransformerEncoderLayer(8, 2, 16)"):  # fmt: skip
        yield f"torch.cat([p.detach().flatten() for p in nn.{m}.parameters()])"
    yield "nn.init.trunc_normal_(torch.empty(50))"
    yield "nn.init.trunc_normal_(torch.empty(50), 0.0, 0.02, -0.002, 0.004)"
    yield "nn.init.kaiming_normal_(torch.empty(5, 7))"
    yield "nn.init.xavier_uniform_(torch.empty(5, 7))"


def number(x, dtype):
    if isinstance(x, float) and not math.isfinite(x):
        return str(x)
    if dtype == torch.float32:
        return float(f"{x:.9g}")
    return x


def case(seed, call):
    torch.manual_seed(seed)
    for c in call if isinstance(call, list) else [call]:
        r = eval(c)
    flat = r.detach().contiguous().flatten()
    out = {"seed": seed, "call": call, "dtype": str(r.dtype)[6:]}
    if flat.numel() > 64:
        out["size"] = flat.numel()
        flat = torch.cat([flat[:8], flat[-8:]])
    out["values"] = [number(x, r.dtype) for x in flat.tolist()]
    return out


def mt_words():
    """Words of the generator itself, and the state's bytes that are not the words."""
    for seed in (0, 42, 2**32 + 42, -1, 2**64 - 1):
        torch.manual_seed(seed)
        torch.randn(1)
        b = torch.get_rng_state()
        yield {
            "seed": seed,
            "initial_seed": torch.initial_seed(),
            "state_head": b[:40].tolist(),
            "state_tail": b[5016:].tolist(),
            "next_random_": torch.empty(4, dtype=torch.int32).random_().tolist(),
        }


data = {
    "torch": torch.__version__.split("+")[0],
    "states_after_randn_1": list(mt_words()),
    "cases": [case(s, c) for c in calls() for s in SEEDS],
}
path = pathlib.Path(__file__).with_name("random_reference.json")
parts = [f'"torch": {json.dumps(data["torch"])}']
for key in ("states_after_randn_1", "cases"):
    parts.append(f'"{key}": [\n' + ",\n".join(json.dumps(c) for c in data[key]) + "\n]")
path.write_text("{\n" + ",\n".join(parts) + "\n}\n")
print(path.name, len(data["cases"]), "cases,", path.stat().st_size, "bytes")
