"""Writes autodiffc/_hook/torch_names.txt: the public names of PyTorch, a module a line. Needs PyTorch.

Only names: they tell a name that PyTorch has and this library lacks from a spelling mistake.
"""

import importlib
import inspect
import pathlib
import pkgutil
import textwrap
import types
import warnings

import torch

warnings.simplefilter("ignore")
OUT = pathlib.Path(__file__).resolve().parents[2] / "autodiffc" / "_hook" / "torch_names.txt"
SKIP = ("._", "torch.testing._", "torch.ao", "torch.utils.benchmark", "torch.utils.bottleneck", "torch.export.",
        "torch.utils.data.datapipes", "torch.fx.experimental", "torch.fx.passes", "torch.onnx.", "torch.quantization.",
        "torch.nn.qat", "torch.nn.quant", "torch.nn.intrinsic", "torch.package.", "torch.jit.", "torch.csrc",
        "torch.utils.viz", "torch.utils.hip", "torch.utils.model_dump", "torch.contrib", "torch.distributed.elastic",
        "torch.distributed.launcher", "torch.distributed.run", "torch.distributed.benchmarks", "torch.masked.",
        "torch.monitor", "torch.sparse.", "torch.cuda.jiterator", "torch.utils.serialization", "torch.numa",
        "torch.utils.tensorboard", "flight_recorder", "torch.nativert", "torch.mtia.", "torch.cuda.tunable",
        "torch.cuda.gds",
        "torch.distributed.algorithms.", "torch.distributed.optim.", "torch.distributed.checkpoint.", "torch.utils.jit",
        "torch.distributed.tensor.", "torch.distributed.rpc.", "torch.distributed.nn.", "green_contexts", "debug_log")
EXTRA = ["torch.distributed.tensor.parallel", "torch.distributed.checkpoint.state_dict", "torch.fx.node",
         "torch.distributed.checkpoint.default_planner", "torch.distributed.rpc.functions",
         "torch.distributed.optim.optimizer",
         "torch._dynamo", "torch._inductor", "torch._utils", "torch.utils._pytree", "torch.utils.tensorboard",
         "torch._inductor.config", "torch._dynamo.config", "torch.distributed._tensor"]


def modules():
    found = ["torch"]
    for m in pkgutil.walk_packages(torch.__path__, "torch.", onerror=lambda name: None):
        if not any(s in m.name for s in SKIP):
            found.append(m.name)
    return found + [e for e in EXTRA if e not in found]


TYPES = {"Generator", "Size", "Stream", "Event", "Tensor"}


def ours(module, name, value):
    if name == "torch":
        return False
    if module is torch and inspect.isclass(value) and name[0].isupper() and value.__module__.startswith("torch._C"):
        return name in TYPES
    if module is torch and inspect.isclass(value) and name[0].isupper() and value.__module__ == "torch" \
            and not name.endswith(("Tensor", "Storage", "Error")) and name not in TYPES:
        return False
    if isinstance(value, types.ModuleType):
        return value.__name__.startswith("torch") and value.__name__.rsplit(".", 1)[-1] == name
    if type(value).__module__ == "typing" or isinstance(value, (types.GenericAlias, types.UnionType)):
        return False
    home = getattr(value, "__module__", None)
    if inspect.isclass(value) or inspect.isroutine(value):
        return home is None or home.split(".")[0] == "torch"
    return not name.startswith("TYPE_") and name != "annotations"


def main():
    lines = []
    for path in modules():
        try:
            module = importlib.import_module(path)
        except Exception as e:
            print("left out:", path, type(e).__name__)
            continue
        listed = set(getattr(module, "__all__", ()))
        names = [n for n in dir(module)
                 if not n.startswith("_") and (n in listed or ours(module, n, getattr(module, n, None)))
                 and not (module is torch and not ours(module, n, getattr(module, n, None)))]
        lines.append(" ".join([path, *sorted(set(names))]))
    for cls in ("Tensor", "Generator", "nn.Module", "nn.Parameter", "optim.Optimizer", "utils.data.DataLoader"):
        value = torch
        for part in cls.split("."):
            value = getattr(value, part)
        lines.append(" ".join(["torch." + cls, *sorted(n for n in dir(value) if not n.startswith("_"))]))
    OUT.write_text("\n".join(lines) + "\n")
    names = sorted(n for n in dir(torch.Tensor) if not n.startswith("_"))
    text = textwrap.fill(" ".join(names), 112, break_on_hyphens=False, initial_indent="    ", subsequent_indent="    ")
    (OUT.parents[1] / "_tensor_names.py").write_text(
        '"""The public attributes of PyTorch\'s Tensor; written by tests/data/make_torch_names.py."""\n\n'
        f'NAMES = """\n{text}\n""".split()\n')


if __name__ == "__main__":
    main()
