"""Runs a training script as it is, once with PyTorch and once with autodiffc, and compares losses and times.

    python -m benchmarks.script [--steps N] [--torch-python EXE] [--seed SEED] SCRIPT [ARGS ...]

The loss is read at every backward() of a scalar; the script is left after N of them. Both get the same seed before the
first line. PyTorch is that of this interpreter, or of --torch-python. Printed are the first loss, the loss after 50
steps, the mean of the last tenth, the greatest difference of the first ten, the time from the first to the last
backward(), and that of the whole process, imports included.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent


def record(backend, out, steps, seed, argv):
    """In a process of its own: runs the script and writes the losses and their times."""
    import random
    import runpy

    if backend == "autodiffc":
        import autodiffc

        autodiffc.install(script=argv[0])
    import numpy as np
    import torch

    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    losses, times, inner = [], [], torch.Tensor.backward

    def backward(self, *args, **kwargs):
        if self.numel() == 1:
            losses.append(float(self.detach()))
            times.append(time.perf_counter())
        inner(self, *args, **kwargs)
        if steps and len(losses) >= steps:
            raise SystemExit(0)

    torch.Tensor.backward = backward
    sys.argv, sys.path[0] = argv, os.path.dirname(os.path.abspath(argv[0]))
    try:
        runpy.run_path(argv[0], run_name="__main__")
    finally:
        pathlib.Path(out).write_text(json.dumps({"losses": losses, "times": times}))


def run(backend, python, steps, seed, argv):
    """Losses, seconds from the first to the last of them, seconds of the process."""
    with tempfile.TemporaryDirectory() as folder:
        out = os.path.join(folder, "losses.json")
        code = f"from benchmarks.script import record; record({backend!r}, {out!r}, {steps}, {seed}, {argv!r})"
        env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
        start = time.perf_counter()
        command = [python, "-c", code]
        done = subprocess.run(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        wall = time.perf_counter() - start
        if done.returncode or not os.path.exists(out):
            sys.exit(f"{backend}: the script ended with status {done.returncode}\n{done.stderr}")
        found = json.loads(pathlib.Path(out).read_text())
    times = found["times"]
    return found["losses"], times[-1] - times[0] if times else 0.0, wall


def summary(losses):
    tail = losses[-max(1, len(losses) // 10):]
    return {"backward calls": len(losses), "first loss": losses[0], "loss after 50": losses[min(50, len(losses) - 1)],
            "mean of the last tenth": sum(tail) / len(tail)}


def main():
    parser = argparse.ArgumentParser(prog="python -m benchmarks.script", description=__doc__.split("\n\n")[0])
    parser.add_argument("--steps", type=int, default=0, help="leave after so many backward calls; 0: run to the end")
    parser.add_argument("--torch-python", default=sys.executable, help="an interpreter that has PyTorch")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("script")
    parser.add_argument("args", nargs=argparse.REMAINDER)
    args = parser.parse_args()
    argv = [args.script, *args.args]
    pythons = {"torch": args.torch_python, "autodiffc": sys.executable}
    found = {name: run(name, python, args.steps, args.seed, argv) for name, python in pythons.items()}
    if not all(losses for losses, _, _ in found.values()):
        sys.exit("no backward() of a scalar was seen")
    rows = {name: summary(losses) for name, (losses, _, _) in found.items()}
    print(f"{'':28s}{'torch':>14s}{'autodiffc':>14s}")
    for what in rows["torch"]:
        print(f"{what:28s}{rows['torch'][what]:14.7g}{rows['autodiffc'][what]:14.7g}")
    worst = max(abs(a - b) / max(abs(a), 1e-6) for a, b in zip(found["torch"][0][:10], found["autodiffc"][0][:10]))
    print(f"{'first ten, worst difference':28s}{worst:28.2g}")
    for k, what in ((1, "seconds of the steps"), (2, "seconds of the process")):
        a, b = found["torch"][k], found["autodiffc"][k]
        print(f"{what:28s}{a:14.3f}{b:14.3f}   torch / autodiffc = {a / b:.2f}" if b else "")


if __name__ == "__main__":
    main()
