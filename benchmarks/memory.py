"""The peak memory of training steps, eager and captured, for one library, each step in a process of its own.

    python -m benchmarks.memory torch 2

A line a step: its name, MB, and by how much the resident memory of ten steps at its highest exceeds what it was
when library, model and data had been loaded and built. Gradients, the optimizer's state, the values in between and
workspaces count; weights and data do not.
"""

import importlib
import subprocess
import sys

from . import steps
from .timing import show


def resident(field):
    """Bytes of this process: VmRSS now, VmHWM at its highest."""
    with open("/proc/self/status") as f:
        return next(int(line.split()[1]) * 1024 for line in f if line.startswith(field))


def above_start(library, name, captured):
    """Bytes that ten steps need at most, beyond what was resident before the first."""
    torch = importlib.import_module(library)
    step = steps.build(torch, name)
    step = torch.compile(step) if captured else step
    before = resident("VmRSS")
    with open("/proc/self/clear_refs", "w") as f:
        f.write("5")  # the highest so far is forgotten
    for _ in range(10):
        step()
    return resident("VmHWM") - before


def main():
    library, threads = sys.argv[1:3]
    if len(sys.argv) > 4:
        importlib.import_module(library).set_num_threads(int(threads))
        print(above_start(library, sys.argv[3], sys.argv[4] == "captured"))
        return
    for name in steps.STEPS:
        if len(sys.argv) == 4 and sys.argv[3] not in name:
            continue
        for kind in ("eager", "captured"):
            # PyTorch's figure is that of its eager step both times: torch.compile keeps a compiler in memory.
            if kind == "eager" or library != "torch":
                command = [sys.executable, "-m", "benchmarks.memory", library, threads, name, kind]
                done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
            show(f"{name}, {kind}", "MB", int(done.stdout) / 1e6)


if __name__ == "__main__":
    main()
