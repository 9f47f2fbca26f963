"""What is said of a PyTorch name that this library lacks: its path, the line of the script, what there is instead."""

import functools
import importlib
import os
import sys

from .. import _core

_PACKAGE = __package__.partition(".")[0]

INSTEAD = {
    "torch.sparse_compressed_tensor": "use torch.sparse_coo_tensor",
    "torch.sparse_csr_tensor": "use torch.sparse_coo_tensor",
    "torch.sparse_csc_tensor": "use torch.sparse_coo_tensor",
    "torch.sparse_bsr_tensor": "use torch.sparse_coo_tensor",
    "torch.sparse_bsc_tensor": "use torch.sparse_coo_tensor",
    "torch.nested": "use torch.nn.utils.rnn.pad_sequence and a mask",
    "torch.fx": "call the module itself; nothing is traced",
    "torch.export": "save the state_dict with torch.save",
    "torch.onnx": "save the state_dict with torch.save and export where PyTorch is installed",
    "torch.quantization": "train in float32",
    "torch.ao": "train in float32",
    "torch.library": "write a torch.autograd.Function",
    "torch.ops": "call the torch function of the same name",
    "torch.classes": "write a Python class",
    "torch.utils.cpp_extension": "write the operation with torch functions or as a torch.autograd.Function",
    "torch.distributed.fsdp": "train in one process, without wrapping the module",
    "torch.distributed.rpc": "train in one process, or use torch.multiprocessing",
    "torch.distributed.tensor": "train in one process with ordinary tensors",
    "torch.distributed._tensor": "train in one process with ordinary tensors",
    "torch.distributed.pipelining": "train in one process",
    "torch.distributed.checkpoint": "use torch.save and torch.load",
    "torch.distributed.optim": "use torch.optim",
    "torch.distributed.nn": "train in one process",
    "torch.distributed.autograd": "call Tensor.backward()",
    "torch.distributed.device_mesh": "train in one process",
    "torch.nn.attention.flex_attention": "use torch.nn.functional.scaled_dot_product_attention with attn_mask",
    "torch._dynamo": "torch.compile records steps as they run and has no settings",
    "torch._inductor": "torch.compile records steps as they run and has no settings",
    "torch.cuda.nccl": "train in one process on the CPU",
    "torch.jit.load": "build the model in Python and load its state_dict",
    "torch.jit.save": "save the state_dict with torch.save",
    "torch.hub.download_url_to_file": "download it by other means",
    "torch.hub._download_url_to_file": "download it by other means",
    "torch.utils.model_zoo._download_url_to_file": "download it by other means",
    "torch.poisson": "torch.from_numpy(numpy.random.default_rng(0).poisson(rates))",
    "torch.binomial": "torch.from_numpy(numpy.random.default_rng(0).binomial(count, prob))",
    "torch.linalg.eig": "use torch.linalg.eigh for symmetric matrices, or numpy.linalg.eig",
    "torch.linalg.eigvals": "use torch.linalg.eigvalsh for symmetric matrices, or numpy.linalg.eigvals",
    "torch.potrf": "use torch.linalg.cholesky",
    "torch.gels": "use torch.linalg.lstsq",
    "torch.solve": "use torch.linalg.solve",
    "torch.symeig": "use torch.linalg.eigh",
    "torch.eig": "use torch.linalg.eigvals or, for symmetric matrices, torch.linalg.eigh",
    "torch.lstsq": "use torch.linalg.lstsq",
    "torch.set_deterministic": "use torch.use_deterministic_algorithms",
    "torch.rfft": "use torch.fft.rfft",
    "torch.irfft": "use torch.fft.irfft",
}
"""What to do without a name, or without anything of a module. By PyTorch path, the longest prefix holds."""


class MissingName(AttributeError, NotImplementedError):
    """PyTorch has this name and this library has not. The message is made when it is read: hasattr() is quick."""

    def __init__(self, path):
        super().__init__(path)
        self.path, self.where = path, _core.location()

    def __str__(self):
        return describe(self.path, self.where)


@functools.cache
def torch_names():
    """The public names of PyTorch 2.13: {module or class: set of names}."""
    with open(os.path.join(os.path.dirname(__file__), "torch_names.txt"), encoding="utf-8") as f:
        text = f.read()
    found = {}
    for line in text.splitlines():
        path, *names = line.split()
        found[path] = set(names)
    for path in list(found):  # submodules are names of their module
        parent, _, name = path.rpartition(".")
        if parent in found:
            found[parent].add(name)
    return found


def instead(path):
    """What to do without a PyTorch name, or ""."""
    probe = path
    while probe:
        if probe in INSTEAD:
            return INSTEAD[probe]
        probe = probe.rpartition(".")[0]
    near = _nearest(path)
    return f"the nearest that there is: {near}" if near else ""


def _nearest(path):
    import difflib

    from .coverage import resolve

    parent, _, name = path.rpartition(".")

    owner = resolve(parent)
    if owner is None:
        return ""
    plain = name.rstrip("_")
    there = [n for n in dir(owner) if not n.startswith("_") and hasattr(owner, n)]
    same = [n for n in there if n != name and (n.rstrip("_") == plain or n.lower() == name.lower())]
    known = name in torch_names().get(parent, ())  # then it is no slip of the pen, and what looks like it is another
    close = same or ([] if known else difflib.get_close_matches(name, there, 1, 0.75))
    return f"{parent}.{close[0]}" if close else ""


def describe(path, where=None):
    """The message for a name that is looked up and is not there."""
    parent, _, name = path.rpartition(".")
    where = _core.location() if where is None else where
    hint = instead(path)
    hint = f"; {hint}" if hint else ""
    if name in torch_names().get(parent, ()):
        return f"{path} is not supported by autodiffc{where}{hint}"
    return f"module '{parent}' has no attribute '{name}'{where}{hint}"


def module(path):
    """The message for a module that is imported and is not there."""
    known = path in torch_names() or any(n.startswith(path + ".") for n in torch_names())
    hint = instead(path)
    return (f"autodiffc has no module for {path}{'' if known else ', and neither has PyTorch 2.13'}{_core.location()}"
            + (f"; {hint}" if hint else ""))


def path_of(module):
    """The PyTorch path of a module of this package."""
    return "torch" + module[len(_PACKAGE):]


def attribute(module, name):
    """The error for module.name, to be raised by a module's __getattr__."""
    path = f"{path_of(module)}.{name}"
    if name.startswith("__") or name not in torch_names().get(path_of(module), ()):
        text = f"module '{module}' has no attribute '{name}'"
        if not name.startswith("_"):
            hint = instead(path)
            text += (f"; {hint}" if hint else "")
        return AttributeError(text)
    return MissingName(path)


def check_from(module, names):
    """ImportError with the whole story for `from module import names`."""
    for name in names:
        if name != "*" and not hasattr(module, name) and f"{module.__name__}.{name}" not in sys.modules:
            path = f"{path_of(module.__name__)}.{name}"
            try:
                importlib.import_module(f"{module.__name__}.{name}")
            except ModuleNotFoundError:
                text = describe(path).replace(f"module '{path_of(module.__name__)}' has no attribute '{name}'",
                                              f"cannot import name '{name}' from '{path_of(module.__name__)}'")
                raise ImportError(text, name=name, path=getattr(module, "__file__", None)) from None
