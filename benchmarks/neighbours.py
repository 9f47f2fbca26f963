"""Training steps in company, for one library: beside a process that keeps one of the processors busy, and two of them
at once.

    python -m benchmarks.neighbours torch 2 [NAME]

For each step, eager and (autodiffc) captured, with the library's own choice of threads: by how much a busy neighbour
lengthens it, and how many of its steps two processes do together in the time that one alone takes for one.
"""

import importlib
import subprocess
import sys
import time

from . import steps
from .timing import show

SECONDS = 0.5  # of each measurement


def serve(library, name, captured):
    """Runs the step for a while, as often as a line comes in, and answers with the microseconds of one."""
    torch = importlib.import_module(library)
    step = steps.build(torch, name)
    step = torch.compile(step) if captured else step
    for _ in range(4):
        step()
    print("ready", flush=True)
    for _ in sys.stdin:
        begin, n, now = time.perf_counter(), 0, 0.0
        while now < SECONDS:
            step()
            n, now = n + 1, time.perf_counter() - begin
        print(now / n * 1e6, flush=True)


class Server:
    """A process that serves."""

    def __init__(self, *arguments):
        command = [sys.executable, "-m", "benchmarks.neighbours", "serve", *arguments]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def answer(self):
        return self.process.stdout.readline()

    def time(self):
        self.ask()
        return float(self.answer())

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def measure(library, name, kind):
    one, other = (Server(library, name, kind) for _ in range(2))
    try:
        one.answer(), other.answer()  # both are ready
        alone = min(one.time(), one.time())
        neighbour = subprocess.Popen([sys.executable, "-c", "while True: pass"])
        try:
            beside = one.time()
        finally:
            neighbour.kill()
            neighbour.wait()
        one.ask()
        other.ask()
        together = sum(alone / float(server.answer()) for server in (one, other))
    finally:
        one.close()
        other.close()
    show(f"{name}, {kind}: beside a busy neighbour", "times as long", beside / alone)
    show(f"{name}, {kind}: each in two processes at once", "times less work", 1 / together)


def main():
    if sys.argv[1] == "serve":
        serve(sys.argv[2], sys.argv[3], sys.argv[4] == "captured")
        return
    library, only = sys.argv[1], sys.argv[3:]
    for name in steps.STEPS:
        if only and only[0] not in name:
            continue
        for kind in ("eager", "captured") if library != "torch" else ("eager",):
            measure(library, name, kind)


if __name__ == "__main__":
    main()
