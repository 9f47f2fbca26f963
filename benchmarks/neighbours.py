"""Training steps in company, for one library: beside a process that keeps one of the processors busy, and two of them
at once.

    python -m benchmarks.neighbours torch 2 [NAME]

For each step, eager and captured, with the library's own choice of threads: by how much a busy neighbour lengthens it,
and how many of its steps two processes do together in the time that one alone takes for one. PyTorch's figure is that
of its eager step both times.
"""

import importlib
import os
import subprocess
import sys
import time

from . import steps
from .timing import show

SECONDS = 0.25 if "BENCHMARKS_QUICK" in os.environ else 0.5  # of each measurement


def serve(library, name):
    """Runs the eager or the captured step for a while, as each line asks, and answers with the microseconds of one."""
    torch = importlib.import_module(library)
    kinds = {"eager": steps.build(torch, name)}
    if library != "torch":
        kinds["captured"] = torch.compile(steps.build(torch, name))
    for step in kinds.values():
        for _ in range(4):
            step()
    print("ready", flush=True)
    for kind in sys.stdin:
        begin, n, now = time.perf_counter(), 0, 0.0
        while now < SECONDS:
            kinds[kind.strip()]()
            n, now = n + 1, time.perf_counter() - begin
        print(now / n * 1e6, flush=True)


class Server:
    """A process that serves."""

    def __init__(self, *arguments):
        command = [sys.executable, "-m", "benchmarks.neighbours", "serve", *arguments]
        free = {k: v for k, v in os.environ.items() if not k.endswith("_NUM_THREADS")}
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=free)

    def ask(self, kind):
        self.process.stdin.write(kind + "\n")
        self.process.stdin.flush()

    def answer(self):
        return self.process.stdout.readline()

    def time(self, kind):
        self.ask(kind)
        return float(self.answer())

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def figures(one, other, kind):
    """How many times as long a step takes beside a busy neighbour, and how much less two processes do than one."""
    alone = min(one.time(kind), other.time(kind), one.time(kind))
    neighbour = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        beside = one.time(kind)
    finally:
        neighbour.kill()
        neighbour.wait()
    one.ask(kind)
    other.ask(kind)
    together = sum(alone / float(server.answer()) for server in (one, other))
    return beside / alone, 1 / together


def main():
    if sys.argv[1] == "serve":
        serve(*sys.argv[2:4])
        return
    library, only = sys.argv[1], sys.argv[3:]
    for name in steps.STEPS:
        if only and only[0] not in name:
            continue
        one, other = Server(library, name), Server(library, name)
        try:
            one.answer(), other.answer()  # both are ready
            for kind in ("eager", "captured"):
                if kind == "eager" or library != "torch":
                    beside, together = figures(one, other, kind)
                show(f"{name}, {kind}: beside a busy neighbour", "times as long", beside)
                show(f"{name}, {kind}: each in two processes at once", "times less work", together)
        finally:
            one.close()
            other.close()


if __name__ == "__main__":
    main()
