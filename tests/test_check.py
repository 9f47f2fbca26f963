"""--check: what it says of names agrees with what the library has; what is missing says so when it is used."""

import importlib
import json
import pathlib
import subprocess
import sys
import textwrap

import pytest

import autodiffc as T
from autodiffc._hook import check, coverage, missing

from . import child

DATA = pathlib.Path(__file__).parent / "data"


def names_of(source):
    found = check.read(textwrap.dedent(source))
    return {path: kind for path, _, kind, _ in found["names"]}, found["keywords"]


def test_names_are_resolved_through_imports_and_aliases():
    names, _ = names_of("""
        import torch, torch.nn as nn, numpy as np
        import torch.nn.functional as F
        from torch import optim, Tensor as Ten
        from torch.utils.data import DataLoader
        dtype = torch.cuda.FloatTensor if torch.cuda.is_available() else torch.FloatTensor
        G = nn.functional

        class Net(nn.Module):
            def forward(self, x: torch.Tensor):
                return G.relu(F.softplus(x)).view(-1)

        def f(optim, torch_=torch.float16):
            optim.step()
            nn = 3
            nn.no_such_thing
            return [F.no_such for F in []]

        net.to(torch.device("cuda" if torch.cuda.is_available() else "cpu")).weight
        np.no_such_function
    """)
    assert set(names.values()) == {coverage.SUPPORTED}
    expected = {"torch.cuda.is_available", "torch.nn.functional.relu", "torch.nn.functional.softplus", "torch.Tensor",
                "torch.utils.data.DataLoader", "torch.optim", "torch.float16", "torch.Tensor.view"}
    assert expected - {"torch.Tensor.view"} <= set(names)
    assert not any("no_such" in n or n == "torch.optim.step" for n in names)


def test_missing_names_are_found_with_their_lines():
    source = textwrap.dedent("""
        import torch
        from torch.fx import symbolic_trace
        x = torch.zeros(3)
        y = x.to_mkldnn()
        z = x.dequantize()
        torch.no_such_function(x)
        def f(a: torch.Tensor):
            return (a * 2).T.to_mkldnn()
    """)
    found = {path: (lines, kind) for path, lines, kind, _ in check.read(source)["names"]}
    assert found["torch.fx.symbolic_trace"] == ([3], coverage.MISSING)
    assert found["torch.Tensor.to_mkldnn"] == ([5, 9], coverage.MISSING)
    assert found["torch.Tensor.dequantize"] == ([6], coverage.MISSING)
    assert found["torch.no_such_function"] == ([7], coverage.UNKNOWN)


def test_names_of_others_are_no_tensors_methods():
    names, _ = names_of("""
        import torch

        class Sparse:
            def to_mkldnn(self):
                return 1

        frame.values(); text.split(); array.astype(int); queue.put(1); thing.to_mkldnn(); solver.dequantize()
    """)
    assert all(kind == coverage.SUPPORTED for kind in names.values())


def test_keywords():
    names, odd = names_of("import torch\ntorch.zeros(3, dtype=None, no_such=1)\ntorch.nn.Linear(1, 2, bias=False)\n")
    assert odd == [("torch.zeros", "no_such", [2])]


def test_command(tmp_path):
    good, bad = tmp_path / "good.py", tmp_path / "bad.py"
    good.write_text("import torch\ntorch.ones(2).relu_()\ntorch.hub.load('x', 'y', source='local')\n")
    bad.write_text("import torch\ntorch.fx.Tracer()\n")
    done = child.run("-m", "autodiffc", "--check", str(good))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 missing" in done.stdout and "partly     torch.hub.load (line 3): local folders" in done.stdout
    done = child.run("-m", "autodiffc", "--check", str(good), str(bad))
    assert done.returncode == 1 and "missing    torch.fx.Tracer (line 2): call the module itself" in done.stdout
    nb = tmp_path / "n.ipynb"
    cells = ["%pip install torch\nimport torch", "!ls\ntorch.fx.Tracer()"]
    nb.write_text(json.dumps({"cells": [{"cell_type": "code", "source": c} for c in cells]}))
    done = child.run("-m", "autodiffc", "--check", "-v", str(nb))
    assert done.returncode == 1 and "torch.fx.Tracer (line 4)" in done.stdout and "supported  torch " in done.stdout
    bad.write_text("print 'two'\n")
    done = child.run("-m", "autodiffc", "--check", str(bad), str(tmp_path / "none.py"), str(tmp_path))
    assert done.returncode == 2 and "is not Python 3" in done.stderr and "can't open file" in done.stderr
    assert "Traceback" not in done.stderr and child.run("-m", "autodiffc", "--check").returncode == 2


# ---- the table agrees with the library ----

CLASSES = {"Tensor": "torch.Tensor", "nn": "torch.nn", "F": "torch.nn.functional", "init": "torch.nn.init",
           "Module": "torch.nn.Module", "Optimizer": "torch.optim.Optimizer", "optim": "torch.optim",
           "func": "torch.func", "lr_scheduler": "torch.optim.lr_scheduler",
           "Scheduler": "torch.optim.lr_scheduler.LRScheduler",
           "nn.utils": "torch.nn.utils", "utils.data": "torch.utils.data", "utils": "torch.utils", "dtype": "torch",
           "autograd": "torch.autograd", "linalg": "torch.linalg", "fft": "torch.fft", "special": "torch.special",
           "sparse": "torch.sparse", "random": "torch.random", "testing": "torch.testing", "torch": "torch",
           "legacy type": "torch", "distributions": "torch.distributions"}


def census():
    """The PyTorch paths of the names that public files use (tests/data/census.txt: kind and name a line)."""
    for line in (DATA / "census.txt").read_text().splitlines():
        kind, name = line.split("\t")
        if kind in CLASSES:
            yield f"{CLASSES[kind]}.{name}"
        elif kind in ("import", "excluded"):
            yield name.replace("Tensor.", "torch.Tensor.") if name.startswith("Tensor.") else \
                name.replace("Module.", "torch.nn.Module.") if name.startswith("Module.") else name


def works(path):
    """Whether a path can be named as a script would name it, and is not a stand-in."""
    names = {"torch": T}
    module = path
    while module in missing.torch_names() and not module.rpartition(".")[2][0].isupper():
        try:
            importlib.import_module(module.replace("torch", "autodiffc", 1))
            break
        except ImportError:
            module = module.rpartition(".")[0]
    try:
        exec(f"found = {path}", names)
    except (AttributeError, ImportError):
        return False
    return not coverage.is_absent(names["found"])


NOT_NAMES = ("torch.autograd.ctx.", "torch.nn.Module..")
INSTANCE = {f"torch.nn.Module.{n}" for n in ("training", "_modules", "_parameters", "_buffers")} \
    | {f"torch.optim.Optimizer.{n}" for n in ("param_groups", "defaults", "state")} \
    | {f"torch.utils.data.DataLoader.{n}" for n in ("dataset", "sampler", "batch_size")}


def test_every_name_of_the_census_is_told_right():
    wrong, lacking = [], []
    for path in census():
        if path.startswith(NOT_NAMES) or path in INSTANCE:
            continue
        kind, _ = coverage.status(path)
        said = kind in (coverage.SUPPORTED, coverage.PARTLY)
        if "tensorboard" in path:
            continue
        if said != works(path):
            wrong.append((path, kind))
        if not said:
            lacking.append(path)
    assert not wrong
    allowed = set((DATA / "census_missing.txt").read_text().split())
    assert not set(lacking) - allowed


def test_partly_supported_names_are_there():
    for path, why in coverage.PARTS.items():
        assert why and (coverage.resolve(path) is not None or "tensorboard" in path), path


def test_coverage_document():
    text = coverage.document()
    assert text.startswith("# What of PyTorch's interface there is") and "| [torch.Tensor](#torchtensor) |" in text
    rows = coverage.table("torch.nn.functional")
    assert "relu" in [n for n, _ in rows[coverage.SUPPORTED]]


# ---- what is missing says so ----


@pytest.mark.parametrize("path", ["torch.fx.Tracer", "torch.distributed.fsdp.FullyShardedDataParallel",
                                  "torch.jit.load", "torch.onnx.export", "torch.distributed.rpc.RRef",
                                  "torch.utils.cpp_extension.load",
                                  "torch.export.export", "torch.nn.attention.flex_attention.flex_attention"])
def test_absent_parts_can_be_imported_and_raise_when_used(path):
    found = coverage.resolve(path)
    with pytest.raises(NotImplementedError, match=f"{path.replace('.', '[.]')} is not supported by autodiffc .*; "):
        found(1, x=2)
    assert not isinstance(3, found)


def test_missing_attributes():
    with pytest.raises(AttributeError, match="torch.Tensor.to_mkldnn is not supported by autodiffc .*test_check.py"):
        T.ones(1).to_mkldnn()
    assert not hasattr(T.ones(1), "to_mkldnn") and not hasattr(T, "no_such") and not hasattr(T.nn, "no_such")
    with pytest.raises(NotImplementedError, match="torch.quantize_per_tensor is not supported"):
        T.quantize_per_tensor  # noqa: B018
    with pytest.raises(AttributeError, match="torch.set_deterministic|use torch.use_deterministic_algorithms"):
        T.set_deterministic  # noqa: B018
    with pytest.raises(AttributeError, match="torch.nn.functional.sigmoid"):
        T.nn.functional.sigmiod  # noqa: B018
    with pytest.raises(ImportError):
        import autodiffc.no_such_module  # noqa: F401


def test_names_are_read_only_when_needed():
    code = "import autodiffc, autodiffc.nn, autodiffc.optim, sys; print('autodiffc._hook' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True,
                          env=child.environment()).stdout == "False\n"
