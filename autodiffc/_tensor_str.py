"""How tensors print: PyTorch's layout of values, dtypes and sizes."""

import dataclasses
import math

import numpy as np

from . import _dtype, interop
from ._native import lib


@dataclasses.dataclass
class _Options:
    precision: int = 4
    threshold: float = 1000
    edgeitems: int = 3
    linewidth: int = 80
    sci_mode: object = None


PRINT_OPTS = _Options()


def set_printoptions(precision=None, threshold=None, edgeitems=None, linewidth=None, profile=None, sci_mode=None):
    """How tensors print: digits after the point, the number of elements from which the middle is left out, the
    elements then shown at each edge, characters in a line, a profile ("default", "short", "full"), and whether to
    use scientific notation (None: when the values call for it)."""
    o = PRINT_OPTS
    if profile is not None:
        known = {"default": (4, 1000, 3), "short": (2, 1000, 2), "full": (4, math.inf, 3)}
        if profile not in known:
            raise ValueError(f"unknown print profile {profile!r}: one of {', '.join(known)}")
        o.precision, o.threshold, o.edgeitems = known[profile]
        o.linewidth = 80
    for name, value in (
        ("precision", precision),
        ("threshold", threshold),
        ("edgeitems", edgeitems),
        ("linewidth", linewidth),
    ):
        if value is not None:
            setattr(o, name, value)
    o.sci_mode = sci_mode


def get_printoptions():
    """The current options of set_printoptions(), as a dict."""
    return dataclasses.asdict(PRINT_OPTS)


class _Formatter:
    """Prints the values of one array in one width."""

    def __init__(self, shown):
        self.kind, self.width, self.integral, self.scientific = shown.dtype.kind, 1, True, False
        o = PRINT_OPTS
        if self.kind != "f":
            self.width = max((len(str(v)) for v in shown.reshape(-1).tolist()), default=1)
            return
        values = shown.reshape(-1).astype(np.float64)
        values = values[np.isfinite(values) & (values != 0)]
        if not values.size:
            return
        size = np.abs(values)
        low, high = float(size.min()), float(size.max())
        self.integral = bool((values == np.ceil(values)).all())
        if o.sci_mode is not None:
            self.scientific = o.sci_mode
        elif self.integral:
            self.scientific = high / low > 1000.0 or high > 1.0e8
        else:
            self.scientific = high / low > 1000.0 or high > 1.0e8 or low < 1.0e-4
        self.width = max(len(self.text(v)) for v in values.tolist())  # zeros and what is not finite never widen

    def text(self, v):
        if self.kind != "f":
            return str(v)
        if not math.isfinite(v):
            return str(v)
        if self.scientific:
            return f"{v:.{PRINT_OPTS.precision}e}"
        return f"{v:.0f}." if self.integral else f"{v:.{PRINT_OPTS.precision}f}"

    def __call__(self, v):
        return self.text(v).rjust(self.width)


def _row(values, indent, summarize, fmt):
    o, n = PRINT_OPTS, len(values)
    per_line = max(1, math.floor((o.linewidth - indent) / (fmt.width + 2)))
    if summarize and n > 2 * o.edgeitems:
        texts = [*map(fmt, values[: o.edgeitems].tolist()), " ...", *map(fmt, values[n - o.edgeitems :].tolist())]
    else:
        texts = list(map(fmt, values.tolist()))
    lines = [", ".join(texts[k : k + per_line]) for k in range(0, len(texts), per_line)]
    return "[" + (",\n" + " " * (indent + 1)).join(lines) + "]"


def _nested(a, indent, summarize, fmt):
    if a.ndim == 0:
        return fmt(a.item())
    if a.ndim == 1:
        return _row(a, indent, summarize, fmt)
    e = PRINT_OPTS.edgeitems
    if summarize and len(a) > 2 * e:
        parts = [_nested(x, indent + 1, summarize, fmt) for x in a[:e]] + ["..."]
        parts += [_nested(x, indent + 1, summarize, fmt) for x in a[len(a) - e :]]
    else:
        parts = [_nested(x, indent + 1, summarize, fmt) for x in a]
    return "[" + ("," + "\n" * (a.ndim - 1) + " " * (indent + 1)).join(parts) + "]"


def _edges(a):
    """The elements that a summary shows."""
    e = PRINT_OPTS.edgeitems
    for d in range(a.ndim):
        if a.shape[d] > 2 * e:
            a = np.concatenate([a.take(range(e), d), a.take(range(a.shape[d] - e, a.shape[d]), d)], d)
    return a


def values_of(t):
    """A tensor's values as an array that Python can print."""
    d = t.dtype
    if d is _dtype.bfloat16:
        t = t.detach().to(_dtype.float32)
    return interop.to_numpy(t, True)


def tensor_str(t, tensor_contents=None, indent=7, prefix="tensor("):
    """What repr(t) is."""
    d, size, suffixes = t.dtype, tuple(t.shape), []
    a = values_of(t)
    if not a.size:
        if a.ndim != 1:
            suffixes.append(f"size={size}")
        if d is not _dtype.get_default_dtype():
            suffixes.append(f"dtype={d}")
        text = "[]"
    else:
        if d not in (_dtype.get_default_dtype(), _dtype.int64, _dtype.bool_):
            suffixes.append(f"dtype={d}")
        summarize = a.size > PRINT_OPTS.threshold
        text = _nested(a, indent, summarize, _Formatter(_edges(a) if summarize else a))
    if not lib.ad_is_leaf(t._h):
        suffixes.append(f"grad_fn=<{t.grad_fn.name()}>")
    elif t.requires_grad:
        suffixes.append("requires_grad=True")
    return _add_suffixes(prefix + text, suffixes, indent)


def _add_suffixes(text, suffixes, indent):
    out, line = [text], len(text) - text.rfind("\n") + 1
    for s in suffixes:
        if line + len(s) + 2 > PRINT_OPTS.linewidth:
            out.append(",\n" + " " * indent + s)
            line = indent + len(s)
        else:
            out.append(", " + s)
            line += len(s) + 2
    return "".join(out) + ")"
