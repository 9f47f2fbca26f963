"""What a worker process of a DataLoader does."""

import os
import random
import sys
import traceback

import numpy as np

from .fetch import IterableFetcher, MapFetcher, tensor_fetcher

_info = None


class WorkerInfo:
    """Which worker this process is: id, num_workers, seed, dataset (its own copy)."""

    def __init__(self, **values):
        self.__dict__.update(values)
        self.__dict__["_fixed"] = True

    def __setattr__(self, name, value):
        raise RuntimeError(f"Cannot assign attributes to {type(self).__name__} objects")

    def __repr__(self):
        shown = ", ".join(f"{k}={v}" for k, v in self.__dict__.items() if k != "_fixed")
        return f"{type(self).__name__}({shown})"


def get_worker_info():
    """In a worker process of a DataLoader its WorkerInfo, elsewhere None."""
    return _info


class CaughtException:
    """An exception of a worker, with its traceback, to be raised again in the main process."""

    def __init__(self, where):
        kind, self.value, _ = sys.exc_info()
        self.kind, self.where = kind, where
        self.text = "".join(traceback.format_exception(*sys.exc_info()))

    def __getstate__(self):
        return {"kind": self.kind, "where": self.where, "text": self.text}

    def reraise(self):
        """Raises an exception of the same class; RuntimeError where that cannot be made from a text."""
        text = f"Caught {self.kind.__name__} {self.where}.\nOriginal {self.text}"
        if self.kind is KeyError:
            text = _Text(text)  # KeyError shows the repr of its argument
        try:
            error = self.kind(text)
        except Exception:
            raise RuntimeError(text) from None
        raise error


class _Text(str):
    def __repr__(self):
        return str(self)


class Done:
    """A worker's iterable dataset has no more samples."""


def loop(worker, workers, kind, dataset, batched, collate_fn, drop_last, seed, init_fn, tasks, results, prefix, quick):
    """Answers tasks until None or until the main process has gone. A task is (number, slot, index); a resumption is
    (number,). What is sent back is (number, slot, message of pack())."""
    import signal
    from multiprocessing import connection, parent_process

    from .... import manual_seed, set_num_threads
    from .exchange import Slot, pack

    global _info
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the main process answers it, and ends this one
    set_num_threads(1)
    seed += worker
    random.seed(seed)
    manual_seed(seed)
    words = np.random.SeedSequence([worker, (seed - worker) & 0xFFFFFFFF, (seed - worker) >> 32, 0])
    np.random.seed(words.generate_state(4))
    _info = WorkerInfo(id=worker, num_workers=workers, seed=seed, dataset=dataset)
    failed = fetcher = None

    def made():
        if kind == "iterable":
            return IterableFetcher(dataset, batched, collate_fn, drop_last)
        plain = MapFetcher(dataset, batched, collate_fn, drop_last)
        return (tensor_fetcher(dataset, collate_fn, plain) if quick else None) or plain

    def attempt(work):
        try:
            return work()
        except Exception:
            return CaughtException(f"in DataLoader worker process {worker}")

    if init_fn is not None:
        failed = attempt(lambda: init_fn(worker))
        failed = failed if isinstance(failed, CaughtException) else None
    slots, parent = {}, parent_process()
    while True:
        ready = connection.wait([tasks, parent.sentinel])
        if tasks not in ready:
            return
        try:
            task = tasks.recv()
        except EOFError:
            return
        if task is None:
            return
        if len(task) == 1:
            fetcher = None
            continue
        number, place, index = task

        def answer(index=index):
            nonlocal fetcher
            if fetcher is None:
                fetcher = made()
            try:
                return fetcher.fetch(index)
            except StopIteration:
                if kind == "iterable":
                    return Done()
                raise

        result, failed = (failed, None) if failed is not None else (attempt(answer), None)
        if place not in slots:
            slots[place] = Slot(f"{prefix}-{worker}-{place}")
        message = attempt(lambda result=result, slot=slots[place]: pack(result, slot))
        if isinstance(message, CaughtException):  # what cannot be pickled
            message = pack(message, slots[place])
        try:
            results.send((number, place, message))
        except (BrokenPipeError, ConnectionError):
            return


def clean(prefix):
    """Removes the files of workers that ended before the main process had opened them."""
    import tempfile

    folder, name = os.path.split(prefix)
    for place in {folder, tempfile.gettempdir()}:
        for entry in os.listdir(place):
            if entry.startswith(name + "-"):
                os.unlink(os.path.join(place, entry))
