"""What a user pays before the first step: import time, installed size, memory."""

import importlib.util
import os
import pathlib
import statistics
import subprocess
import sys

# Of this program alone: getrusage() begins with what the parent had.
_PEAK = "print(next(int(line.split()[1]) for line in open('/proc/self/status') if line.startswith('VmHWM')) / 1024)"


def _run(code):
    """What a fresh interpreter prints, with compiled bytecode as an installation leaves it."""
    env = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run([sys.executable, "-c", code], env=env, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def import_seconds(module, rounds=7):
    """Median seconds that `import module` takes in a fresh interpreter, after numpy is there."""
    code = f"import numpy, time; t = time.perf_counter(); import {module}; print(time.perf_counter() - t)"
    return statistics.median(float(_run(code)) for _ in range(rounds))


def installed_megabytes(module):
    """The size of a package's files, without its dependencies."""
    root = pathlib.Path(importlib.util.find_spec(module).origin).parent
    return sum(f.stat().st_size for f in root.rglob("*") if f.is_file() and "__pycache__" not in f.parts) / 1e6


def resident_megabytes(module):
    """Peak resident memory of a process that imports the module and makes one tensor."""
    return float(_run(f"import {module} as torch; torch.zeros(10); {_PEAK}"))


def step_peak_megabytes(backend, name):
    """Peak resident memory of a process that runs 20 of a training step."""
    code = (
        "import importlib; from benchmarks import steps;"
        f"step = steps.build(importlib.import_module({backend!r}), {name!r});"
        f"[step() for _ in range(20)]; {_PEAK}"
    )
    return float(_run(code))
