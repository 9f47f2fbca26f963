"""Batches out of memory and checkpoint files, timed in a process of its own: python -m benchmarks.files LIBRARY.

Prints a line of microseconds a batch, or milliseconds a file, for each case."""

import importlib
import os
import statistics
import sys
import tempfile
import time


def epoch(loader):
    """Microseconds a batch."""
    start = time.perf_counter()
    n = sum(1 for _ in loader)
    return (time.perf_counter() - start) / n * 1e6


def cases(T):
    """{name: (unit, function that measures once)}"""
    data = importlib.import_module(T.__name__ + ".utils.data")
    labels = T.randint(0, 10, (20000,))

    class Own(data.Dataset):
        """A dataset as scripts write it: sample by sample."""

        def __init__(self, x):
            self.x = x

        def __len__(self):
            return len(self.x)

        def __getitem__(self, i):
            return self.x[i], labels[i]

    wide, narrow = T.randn(20000, 784), T.randn(20000, 10)
    found = {}
    for name, dataset in (
        ("tensors in memory, 20000 x 784", data.TensorDataset(wide, labels)),
        ("tensors in memory, 20000 x 10", data.TensorDataset(narrow, labels)),
        ("Subset of them, 20000 x 784", data.Subset(data.TensorDataset(wide, labels), list(range(20000)))),
        ("own Dataset, 20000 x 784", Own(wide)),
    ):
        loader = data.DataLoader(dataset, batch_size=64, shuffle=True)
        found[f"DataLoader of {name}, batch 64"] = "us", lambda loader=loader: epoch(loader)
    workers = data.DataLoader(Own(wide), batch_size=64, shuffle=True, num_workers=2)
    found["DataLoader of own Dataset, batch 64, 2 workers"] = "us", lambda: epoch(workers)
    path = os.path.join(tempfile.mkdtemp(), "model.pt")
    for name, obj in (
        ("1000 small tensors", {f"layer.{k}.weight": T.randn(10) for k in range(1000)}),
        ("one tensor of 40 MB", {"weight": T.randn(10_000_000)}),
    ):

        def timed(f):
            start = time.perf_counter()
            f()
            return (time.perf_counter() - start) * 1e3

        found[f"save {name}"] = "ms", lambda obj=obj: timed(lambda: T.save(obj, path))
        found[f"load {name}"] = "ms", lambda obj=obj: (T.save(obj, path), timed(lambda: T.load(path)))[1]
    return found


def main(library, threads):
    T = importlib.import_module(library)
    T.set_num_threads(threads)
    for name, (unit, measure) in cases(T).items():
        measure()
        print(name, unit, statistics.median(measure() for _ in range(5)), sep="\t")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
