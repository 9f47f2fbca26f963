"""Which names of PyTorch this library has: asked of the library itself, for --check and for docs/coverage.md."""

import functools
import importlib
import inspect
import sys
import types

from .. import _absent, _dtype
from . import missing

_PACKAGE = missing._PACKAGE
SUPPORTED, PARTLY, MISSING, UNKNOWN = "supported", "partly supported", "missing", "unknown"

PARTS = {
    **dict.fromkeys(["torch.complex32", "torch.complex64", "torch.complex128", "torch.chalf", "torch.cfloat",
                     "torch.cdouble"], "of what complex(), polar() and torch.fft make; few operations"),
    "torch.sparse.mm": "of a sparse and a dense matrix",
    "torch.compile": "records steps, functions and modules with their backward; what cannot be recorded runs as it is",
    "torch.jit.script": "returns what it is given, which runs as Python; scripted modules cannot be saved",
    "torch.jit.trace": "returns what it is given, which runs as Python; traced modules cannot be saved",
    "torch.jit.ScriptModule": "is a Module, which runs as Python",
    "torch.hub.load": "local folders (source='local'); repositories are not downloaded",
    "torch.utils.tensorboard.SummaryWriter": "needs tensorboardX; add_graph writes no graph",
    "torch.utils.tensorboard.writer.SummaryWriter": "needs tensorboardX; add_graph writes no graph",
    "torch.distributed.init_process_group": "gloo, between processes on CPUs; no other backends, no stores",
    "torch.nn.parallel.DistributedDataParallel": "gradients are exchanged after the backward pass; no join, no hooks",
    "torch.profiler.profile": "calls of operations on the CPU; no flops, no modules",
    "torch.autograd.profiler.profile": "calls of operations on the CPU; no flops, no modules",
    "torch.library.Library": "definitions and implementations have no effect",
    "torch.library.register_fake": "has no effect",
    "torch.library.register_autograd": "has no effect; a CustomOpDef's own does",
    "torch.set_flush_denormal": "denormal numbers are always kept",
}
"""What is there and does less than PyTorch's, by path."""


class _Nothing:
    pass


def resolve(path, default=None):
    """The library's object for a PyTorch path such as torch.nn.functional.relu, or the default."""
    parts = path.split(".")
    found = sys.modules[_PACKAGE]
    for k, part in enumerate(parts[1:], 2):
        following = _member(found, part)
        if following is _Nothing:
            return default
        found = following
        if isinstance(found, type) and issubclass(type(found), _absent.Absent) and k < len(parts):
            return found
    return found


def _member(owner, name):
    try:
        return getattr(owner, name)
    except (AttributeError, ImportError):
        pass
    if isinstance(owner, types.ModuleType):
        try:
            return importlib.import_module(f"{owner.__name__}.{name}")
        except ImportError as e:
            if (e.name or "").startswith(_PACKAGE):
                return _Nothing
            return types.ModuleType(f"{owner.__name__}.{name}")  # there, and what it needs is not installed
    return _Nothing


def is_absent(found):
    """Whether an object stands for what is not supported."""
    if isinstance(found, types.ModuleType):
        return getattr(getattr(found, "__getattr__", None), "__module__", "") == _absent.__name__
    if isinstance(found, types.FunctionType):  # one that only says what to do instead
        return found.__code__.co_names == ("NotImplementedError",)
    return isinstance(found, _absent.Absent)


@functools.cache
def status(path):
    """(SUPPORTED, PARTLY, MISSING or UNKNOWN, why) of a PyTorch path."""
    if path in PARTS:
        return PARTLY, PARTS[path]
    found = resolve(path, _Nothing)
    if isinstance(found, _dtype._AbsentDtype):
        return PARTLY, "can be named and compared; there are no tensors of it"
    if found is not _Nothing and not is_absent(found):
        return SUPPORTED, ""
    parent, _, name = path.rpartition(".")
    known = (name in missing.torch_names().get(parent, ()) or path in missing.torch_names() or found is not _Nothing
             or path in missing.INSTEAD or any(path.startswith(p + ".") for p in missing.INSTEAD))
    return (MISSING if known else UNKNOWN), missing.instead(path)


@functools.cache
def keywords(path):
    """The names that a function or class takes as keywords; None when it takes any, or that cannot be told."""
    found = resolve(path)
    if found is None or isinstance(found, types.ModuleType):
        return None
    try:
        parameters = inspect.signature(found).parameters
    except (TypeError, ValueError):
        return None
    if any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        return None
    return frozenset(n for n, p in parameters.items() if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY))


# ---- docs/coverage.md ----

_SECTIONS = [
    ("torch", "Functions and classes"), ("torch.Tensor", "Methods and attributes of Tensor"), ("torch.nn", "Modules"),
    ("torch.nn.functional", ""), ("torch.nn.init", ""), ("torch.nn.utils", ""), ("torch.nn.utils.rnn", ""),
    ("torch.nn.utils.parametrize", ""), ("torch.nn.utils.parametrizations", ""), ("torch.nn.utils.prune", ""),
    ("torch.nn.parallel", ""), ("torch.nn.attention", ""), ("torch.optim", ""), ("torch.optim.lr_scheduler", ""),
    ("torch.optim.swa_utils", ""), ("torch.autograd", ""), ("torch.autograd.functional", ""),
    ("torch.autograd.forward_ad", ""), ("torch.autograd.graph", ""), ("torch.autograd.profiler", ""),
    ("torch.func", ""), ("torch.linalg", ""), ("torch.fft", ""), ("torch.special", ""), ("torch.sparse", ""),
    ("torch.distributions", ""), ("torch.distributions.constraints", ""), ("torch.distributions.transforms", ""),
    ("torch.utils.data", ""), ("torch.utils.checkpoint", ""), ("torch.utils.tensorboard", ""), ("torch.random", ""),
    ("torch.serialization", ""), ("torch.multiprocessing", ""), ("torch.distributed", ""), ("torch.cuda", ""),
    ("torch.cuda.amp", ""), ("torch.amp", ""), ("torch.mps", ""), ("torch.xpu", ""), ("torch.accelerator", ""),
    ("torch.cpu", ""), ("torch.backends", ""), ("torch.backends.cudnn", ""), ("torch.backends.cuda", ""),
    ("torch.jit", ""), ("torch.compiler", ""), ("torch.hub", ""), ("torch.profiler", ""), ("torch.testing", ""),
    ("torch.overrides", ""), ("torch.types", ""), ("torch.fx", ""), ("torch.onnx", ""), ("torch.export", ""),
    ("torch.library", ""), ("torch.nested", ""), ("torch.distributed.fsdp", ""), ("torch.distributed.rpc", ""),
]
_PRIVATE = ("torch.nn.modules", "torch.SymInt")


def _names(path):
    """The names of a section that a user would write."""
    listed = missing.torch_names().get(path, set())
    plain = {n for n in listed if not n.startswith("_")}
    if path == "torch":
        skip = ("Sym", "sym_", "cudnn_", "miopen_", "mkldnn_", "fbgemm_", "quantize", "fake_quantize", "fused_")
        plain = {n for n in plain if not n.startswith(skip) and not n.endswith(("Type", "_out"))}
    return sorted(plain)


def table(path):
    """{status: [(name, why)]} of the names of a module or class."""
    rows = {SUPPORTED: [], PARTLY: [], MISSING: []}
    for name in _names(path):
        kind, why = status(f"{path}.{name}")
        rows[MISSING if kind == UNKNOWN else kind].append((name, why))
    return rows


def document():
    """The text of docs/coverage.md."""
    lines = [
        "# What of PyTorch's interface there is", "",
        "Written by `make coverage` from the library itself; the names are those of PyTorch 2.13. `python -m autodiffc "
        "--check FILE ...` reads scripts by the same table.", "",
        "| namespace | supported | partly | missing |", "|---|---:|---:|---:|",
    ]
    tables = [(path, table(path)) for path, _ in _SECTIONS]
    tables = [(path, t) for path, t in tables if any(t.values())]
    for path, t in tables:
        lines.append(f"| [{path}](#{path.replace('.', '').lower()}) | {len(t[SUPPORTED])} | {len(t[PARTLY])} | "
                     f"{len(t[MISSING])} |")
    for path, t in tables:
        lines += ["", f"## {path}", ""]
        if t[SUPPORTED]:
            lines += ["Supported: " + ", ".join(f"`{n}`" for n, _ in t[SUPPORTED]) + "."]
        if t[PARTLY]:
            lines += ["", *(f"- `{n}`, partly: {why}" for n, why in t[PARTLY])]
        if t[MISSING]:
            lines += ["", "Missing: " + ", ".join(f"`{n}`" for n, _ in t[MISSING]) + "."]
            hints = sorted({why for _, why in t[MISSING] if why and not why.startswith("the nearest")})
            if len(hints) == 1 and not t[SUPPORTED]:
                lines += ["", f"Instead: {hints[0]}."]
    return "\n".join(lines) + "\n"
