"""What a reader asks first, drawn from the cases of many sections: the head of docs/performance.md."""

import re
import statistics
from typing import NamedTuple

from .table import FIXED, figure, ratios


class Headline(NamedTuple):
    """A line of the head: the cases of a section whose names the pattern finds."""

    what: str
    section: str
    pattern: str
    peers: tuple = ()  # the fastest of these, or of all that ran when empty


BOTH = ": forward and backward"
HEADLINES = [
    Headline("float32 products, every transposition", "products", r"^float32 \d+x\d+x\d+ "),
    Headline("float32 products of up to 64x64x64", "products", r"^float32 (16|32|48|64)x\1x\1 "),
    Headline("float64 products, every transposition", "products", r"^float64 \d"),
    Headline("bfloat16 products, 1024 and above", "products", "^bfloat16", ("torch",)),
    Headline("the same, against float32 here", "products", "^bfloat16", ("autodiffc-float32",)),
    Headline("batched products, those of attention", "products", "^float32 (64 of|attention)", ("torch",)),
    Headline("add, mul, relu, 40 MB", "elementwise", r"^(add|mul|relu), 1e7 float32"),
    Headline("exp, tanh, sigmoid, gelu, 10^7 float32", "elementwise", r"^(exp|tanh|sigmoid|gelu), 1e7 float32"),
    Headline("exp, tanh, sigmoid, gelu, 10^5 float32", "elementwise", r"^(exp|tanh|sigmoid|gelu), 1e5 float32"),
    Headline("softmax, layer_norm, cross_entropy, forward and backward", "reductions",
             "^(softmax|layer_norm|cross_entropy) (768x1000|8192x128)" + BOTH),
    Headline("conv2d, forward and backward, batch 1", "convolutions", "^(ResNet|MNIST|depthwise).* batch 1" + BOTH),
    Headline("conv2d, forward and backward, batch 32", "convolutions", "^(ResNet|MNIST|depthwise).* batch 32" + BOTH),
    Headline("conv2d, forward and backward, batch 64", "convolutions", "^(ResNet|MNIST|depthwise).* batch 64" + BOTH),
    Headline("causal attention, forward and backward", "attention", "^causal.*" + BOTH),
    Headline("LSTM 35x20x128, forward and backward", "recurrent", "^LSTM 35x20x128" + BOTH),
    Headline("GRU 35x20x128, forward and backward", "recurrent", "^GRU 35x20x128" + BOTH),
    Headline("AdamW, 10 million: torch's default", "optimizers", "^AdamW, 10 million", ("torch",)),
    Headline("AdamW, 10 million: torch, fused", "optimizers", "^AdamW, 10 million", ("torch-fused",)),
    Headline("AdamW, 10 million: JAX", "optimizers", "^AdamW, 10 million", ("jax",)),
    Headline("training steps, eager", "steps", r"^(?!.*(first call|captured))", ("torch",)),
    Headline("training steps, captured", "steps", ", captured$"),
    Headline("memory of training steps at its highest", "memory", "", ("torch",)),
    Headline("a step beside a busy neighbour", "neighbours", "beside a busy"),
]  # fmt: skip


def best(row, peers):
    """The ratio to the best of the peers in this row, or None."""
    return min((r for p, r in ratios(row).items() if not peers or p in peers), default=None)


def lines(rows):
    """The table, as lines of Markdown: of each headline that was measured the geometric mean and the smallest."""
    out = ["| what | cases | geometric mean | smallest | which |", "|---|---:|---:|---:|---|"]
    for line in HEADLINES:
        found = [r for r in rows if r["section"] == line.section and re.search(line.pattern, r["case"])]
        known = {r["case"]: b for r in found if (b := best(r, line.peers))}
        if not known:
            continue
        least = min(known, key=known.get)
        mean = statistics.geometric_mean(known.values())
        which = least if len(known) > 1 else ""
        out.append(f"| {line.what} | {len(known)} | {mean:.2f} | {known[least]:.2f} | {which} |")
    return out


def neighbours(rows):
    """The steps that share the machine, in the library's own figures; none when they were not measured."""
    found = [r for r in rows if r["section"] == "neighbours"]
    out = []
    for ending, what in (
        ("beside a busy neighbour", "times as long beside a process that keeps one processor busy"),
        ("each in two processes at once", "work of two processes together over that of one alone"),
    ):
        for kind in ("eager", "captured"):
            for library in dict.fromkeys(k for r in found for k in r if k not in FIXED or k == "autodiffc"):
                values = [r[library] for r in found if r["case"].endswith(f"{kind}: {ending}") and r.get(library)]
                if values and (library == "autodiffc" or kind == "eager"):
                    together = "together" in what
                    values = sorted(1 / v for v in values) if together else sorted(values, reverse=True)
                    middle, worst = statistics.median(values), values[0]
                    out.append(f"| {what} | {library}, {kind} | {figure(middle)} | {figure(worst)} |")
    return ["| what | library | median of the steps | worst of them |", "|---|---|---:|---:|", *out] if out else []
