"""What a compiled step does, call by call, and how long each takes: CompiledStep.explain()."""

import functools
import math
import time

from .._core import fail
from .._dtype import DTYPES
from .._native import ffi, lib

_OTHERS, _ARGUMENT, _ARENA, _RESULT = range(4)
_SHORT = {"float32": "f32", "float64": "f64", "bfloat16": "bf16", "float16": "f16", "int64": "i64", "int32": "i32",
          "int16": "i16", "int8": "i8", "uint8": "u8", "bool": "bool"}
_GROUPS = 32  # that are shown
_LAYOUTS = ("", ", weight kept packed", ", weight packed by an earlier call", ", weight packed for later calls too")
"""How a product reads its second operand: as it lies, or as ad_program_layout() says."""
_CALL = 60e-9
"""Seconds that a call takes beside its work."""


class Operand:
    """A tensor of a call: dtype, sizes, and where its memory is."""

    __slots__ = ("address", "bytes", "dtype", "kind", "numel", "place", "sizes")

    def __init__(self, values):
        d = DTYPES[values[0]]
        self.dtype, self.kind, self.place, self.numel, self.address = str(d).rpartition(".")[2], *values[1:5]
        self.sizes = tuple(values[6 : 6 + values[5]])
        self.bytes = self.numel * d.itemsize

    def __str__(self):
        return f"{_SHORT.get(self.dtype, self.dtype)}[{', '.join(map(str, self.sizes))}]"


@functools.cache
def machine():
    """Floating-point operations a second of a matrix product, and bytes a second from the cache and from memory."""
    from .. import _ops as ops

    def best(fn, rounds=6):
        times = []
        for _ in range(rounds):
            start = time.perf_counter()
            fn()
            times.append(time.perf_counter() - start)
        return min(times[1:])

    a = ops.ones(512, 512)
    near, far = ops.ones(65536), ops.ones(8 << 20)
    to_near, to_far = near * 1, far * 1
    flops = 2 * 512**3 / best(lambda: a.mm(a))
    cache = 2 * 4 * 65536 * 8 / best(lambda: [to_near.copy_(near) for _ in range(8)])
    memory = 2 * 4 * (8 << 20) / best(lambda: to_far.copy_(far))
    return flops, cache, memory


def flops_of(name, rows, ins, outs):
    """Floating-point operations of a call: those of the products that most of the time goes to, else one for each
    element and row."""
    shapes = [x.sizes if x else None for x in ins]
    out = outs[0].sizes if outs else ()
    if name == "linear":
        return 2 * math.prod(shapes[0]) * shapes[1][0]
    if name in ("mm", "bmm", "matmul"):
        return 2 * math.prod(out) * shapes[0][-1]
    if name == "product_sum":
        return 2 * math.prod(out) * shapes[1][-1]
    if name in ("conv", "conv_transpose"):
        per = math.prod(shapes[1][1:])
        return 2 * per * math.prod(out if name == "conv" else shapes[0])
    if name == "conv_weight":
        spatial = math.prod(min(shapes[0][2:], shapes[1][2:], key=math.prod))
        return 2 * math.prod(out) * shapes[0][0] * spatial
    if name in ("attention", "attention_grad") and len(shapes[0] or ()) >= 2:
        q, k = shapes[0], shapes[1]
        return (4 if name == "attention" else 10) * math.prod(q) * k[-2]
    if name in ("rnn", "rnn_grad"):
        sizes = [s for s in shapes if s]
        steps = sizes[0][0] * sizes[0][1] if len(sizes[0]) > 1 else 1
        weights = sum(math.prod(s) for s in sizes if len(s) <= 2)
        return (2 if name == "rnn" else 4) * steps * weights
    return rows * max([x.numel for x in (*ins, *outs) if x], default=0)


class Line:
    """One call: its operation, operands, work, and times in seconds."""

    def __init__(self, program, k, shape, measured):
        nin, nout, _, self.second = shape[:4]
        read = ffi.new("int64_t[70]")
        operands = [Operand(ffi.unpack(read, 70)) if lib.ad_program_operand(program.handle, k, o, read) == 0 else None
                    for o in range(nin + nout)]
        self.number, self.ins, self.outs = k, operands[:nin], operands[nin:]
        self.rows = ffi.string(lib.ad_program_rows(program.handle, k)).decode()
        name = self.rows.split(", ")[0]
        self.name = f"fused: {self.rows}" if "," in self.rows else self.rows
        if name == "linear" and shape[4]:
            self.name = "linear, relu"
        self.name += _LAYOUTS[lib.ad_program_layout(program.handle, k)]
        unique = {(x.address, x.bytes): x for x in operands if x}
        self.bytes = sum(x.bytes for x in unique.values())
        self.flops = flops_of(name, self.rows.count(",") + 1, self.ins, self.outs)
        peak, cache, memory = machine()
        self.predicted = _CALL + max(self.flops / peak, self.bytes / (cache if self.bytes < 1 << 20 else memory))
        self.measured = measured[k] * 1e-9 if measured else None

    @property
    def result(self):
        shown = self.outs or self.ins
        text = str(shown[0]) if shown else ""
        return f"{text} and {len(shown) - 1} more" if len(shown) > 1 else text

    @property
    def buffer(self):
        """Where the first result lies."""
        if not self.outs:
            return "in place"
        x = self.outs[0]
        return {_OTHERS: "state", _ARGUMENT: f"argument {x.place}", _ARENA: f"+{_size(x.place)}",
                _RESULT: f"result {x.place}"}[x.kind]


def _size(n):
    for unit in ("B", "KB", "MB"):
        if n < 1024:
            return f"{n:.0f} {unit}" if n >= 10 or unit == "B" else f"{n:.1f} {unit}"
        n /= 1024
    return f"{n:.1f} GB"


def _time(s):
    return f"{s * 1e6:.2f} us" if s < 1e-4 else f"{s * 1e3:.3f} ms"


class Explanation:
    """The programs of a step: str() is the text that explain() prints, `programs` a list of lists of lines, and svg() a
    picture of the times."""

    def __init__(self, name, programs, notes):
        self.name, self.programs, self.notes = name, programs, notes

    def __repr__(self):
        return f"<explanation of {self.name}: {len(self.programs)} programs>"

    def __str__(self):
        parts = [_text(self.name, k, len(self.programs), *p) for k, p in enumerate(self.programs)]
        return "\n\n".join([*parts, *self.notes]) or f"{self.name} has not been recorded"

    def svg(self, path=None):
        """A picture: a bar for each call, as wide as its share of the time. Written to `path` when given."""
        text = _picture(self.name, self.programs)
        if path is not None:
            with open(path, "w", encoding="utf-8") as f:
                f.write(text)
        return text


def _text(name, k, n, stats, lines):
    measured = bool(lines) and lines[0].measured is not None
    total = sum((x.measured if measured else x.predicted) for x in lines) or 1
    head = [
        f"{name}, program {k + 1} of {n}: {stats['live']} calls of {stats['calls']} recorded "
        f"({stats['calls'] - stats['live']} dropped, merged or fused into {stats['fused']} groups)",
        f"buffers between calls: {_size(stats['arena_bytes'])} ({_size(stats['unplanned_bytes'])} if none were "
        f"shared); one run: predicted {_time(sum(x.predicted for x in lines))}"
        + (f", measured {_time(total)}" if measured else ""),
        *(f"side by side: calls {a} to {b} ({n} of them), on {lanes} threads predicted {_time(together)} instead of "
          f"{_time(alone)}" for a, b, n, lanes, alone, together in stats["groups"]),
        f"{'':4}  {'result':30} {'buffer':>12} {'moved':>9} {'GFLOP/s':>8} {'predicted':>11} {'measured':>11}  share",
    ]
    second = False
    for x in lines:
        if x.second and not second:
            second = True
            head.append("---- backward")
        spent = x.measured if measured else x.predicted
        share = spent / total
        rate = f"{x.flops / spent / 1e9:.0f}" if x.flops > 1e5 else ""
        head.append(f"{x.number:4}  {x.result[:30]:30} {x.buffer:>12} {_size(x.bytes):>9} {rate:>8} "
                    f"{_time(x.predicted):>11} {_time(x.measured) if measured else '':>11} {share:6.1%} {x.name}")
    return "\n".join(head)


def _picture(name, programs):
    rows, y = [], 20
    for stats, lines in programs:
        total = sum(x.measured or x.predicted for x in lines) or 1
        rows.append(f'<text x="4" y="{y}" font-weight="bold">{name}: {_time(total)}, {stats["live"]} calls</text>')
        for x in lines:
            y += 14
            spent, predicted = (x.measured or x.predicted) / total * 400, x.predicted / total * 400
            label = f"{x.name[:60]}  {x.result}".replace("&", "&amp;").replace("<", "&lt;")
            rows.append(f'<rect x="300" y="{y - 9}" width="{spent:.1f}" height="10" fill="#4477aa"/>'
                        f'<rect x="{300 + predicted:.1f}" y="{y - 10}" width="1.5" height="12" fill="#cc3311"/>'
                        f'<text x="296" y="{y}" text-anchor="end">{label[-58:]}</text>'
                        f'<text x="{304 + spent:.1f}" y="{y}">{_time(x.measured or x.predicted)}</text>')
        y += 30
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="800" height="{y}" font-family="sans-serif" font-size="9">'
            f'<rect width="100%" height="100%" fill="white"/>{"".join(rows)}</svg>\n')


def explain(step, args, kwargs):
    """An Explanation of a CompiledStep; measured where the arguments are those of a call."""
    from .structure import flatten

    tensors = []
    if args or kwargs:
        flatten(args, tensors)
        flatten(kwargs, tensors)
    name = getattr(step.fn, "__qualname__", type(step.fn).__name__)
    programs = []
    for p in [p for ps in step.programs.values() for p in ps if p.handle]:
        measured = _measure(p, tensors)
        if tensors and measured is None:
            continue  # a program for other arguments
        shape, lines, k = ffi.new("int64_t[12]"), [], 0
        while lib.ad_program_shape(p.handle, k, shape) == 0:
            if not shape[2]:
                lines.append(Line(p, k, list(shape), measured))
            k += 1
        programs.append((step.stats_of(p) | {"groups": _groups(p)}, lines))
    notes = [f"runs as it is: {why}" for why in step.reasons]
    return Explanation(name, programs, notes)


def _groups(p):
    """The calls that run side by side: (first, last, calls, threads, predicted seconds on one, and on these)."""
    room = ffi.new("int64_t[]", 6 * _GROUPS)
    n = min(lib.ad_program_groups(p.handle, room, _GROUPS), _GROUPS)
    found = [list(room[6 * k : 6 * k + 6]) for k in range(n)]
    return [(a, b - 1, n, lanes, alone * 1e-9, together * 1e-9) for a, b, n, lanes, alone, together in found]


def _measure(p, tensors):
    """Nanoseconds of each call, or None when the program takes other arguments."""
    n = lib.ad_program_length(p.handle)
    ns = ffi.new("double[]", n + 1)
    given = [*tensors, *p.zero_gradients()]
    status = lib.ad_program_measure(p.handle, [t._h for t in given], len(given), 5, ns)
    if status < 0:
        fail()
    return None if status else ffi.unpack(ns, n)


__all__ = ["Explanation", "explain", "machine"]
