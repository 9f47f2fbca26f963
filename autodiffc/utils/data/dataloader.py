"""DataLoader: batches of a dataset, in this process or from others that prepare them ahead."""

import itertools
import os
import time
import warnings
from typing import Generic, TypeVar

from ... import _capture
from . import _utils
from ._utils.collate import default_collate, default_convert
from ._utils.fetch import IterableFetcher, MapFetcher, tensor_fetcher
from ._utils.worker import CaughtException, Done, clean, get_worker_info, loop
from .dataset import Dataset, IterableDataset
from .sampler import (
    BatchSampler,
    RandomSampler,
    Sampler,
    SequentialSampler,
    batches,
    blocks_of,
    drawn_seed,
    spans,
)

T_co = TypeVar("T_co", covariant=True)


class _DatasetKind:
    Map, Iterable = 0, 1


class _InfiniteConstantSampler(Sampler):
    """None for ever: what an iterable dataset needs no index for."""

    def __iter__(self):
        return itertools.repeat(None)


_FIXED = ("batch_size", "batch_sampler", "sampler", "drop_last", "dataset", "persistent_workers")


class DataLoader(Generic[T_co]):
    """Batches of a dataset's samples, in the order of a sampler.

    With num_workers, that many processes read samples ahead, prefetch_factor batches each. The order of samples, and
    what is drawn from the random generators, are PyTorch's. A TensorDataset (or Subset of one) with the usual collate
    function is not read sample by sample: each batch is one gather from each tensor.

    Args: PyTorch's. pin_memory does nothing: there is no accelerator. ValueError for options that exclude each other.
    """

    _iterator = None
    __initialized = False

    def __init__(self, dataset, batch_size=1, shuffle=None, sampler=None, batch_sampler=None, num_workers=0,
                 collate_fn=None, pin_memory=False, drop_last=False, timeout=0, worker_init_fn=None,
                 multiprocessing_context=None, generator=None, *, prefetch_factor=None, persistent_workers=False,
                 pin_memory_device="", in_order=True):  # fmt: skip
        if num_workers < 0:
            raise ValueError("num_workers option should be non-negative; use num_workers=0 to disable multiprocessing.")
        if timeout < 0:
            raise ValueError("timeout option should be non-negative")
        if num_workers == 0 and prefetch_factor is not None:
            raise ValueError("prefetch_factor option could only be specified in multiprocessing."
                             "let num_workers > 0 to enable multiprocessing, otherwise set prefetch_factor "
                             "to None.")  # fmt: skip
        if num_workers > 0 and prefetch_factor is None:
            prefetch_factor = 2
        elif prefetch_factor is not None and prefetch_factor < 0:
            raise ValueError("prefetch_factor option should be non-negative")
        if persistent_workers and num_workers == 0:
            raise ValueError("persistent_workers option needs num_workers > 0")
        self.dataset, self.num_workers, self.prefetch_factor = dataset, num_workers, prefetch_factor
        self.pin_memory, self.pin_memory_device, self.timeout = pin_memory, pin_memory_device, timeout
        self.worker_init_fn, self.multiprocessing_context = worker_init_fn, multiprocessing_context
        self.in_order = in_order
        if isinstance(dataset, IterableDataset):
            self._dataset_kind = _DatasetKind.Iterable
            for name, value in (("shuffle", shuffle), ("sampler", sampler), ("batch_sampler", batch_sampler)):
                if value is not None and not (name == "shuffle" and value is False):
                    raise ValueError(f"DataLoader with IterableDataset: expected unspecified {name} option, but got "
                                     f"{name}={value}")  # fmt: skip
        else:
            self._dataset_kind = _DatasetKind.Map
            shuffle = bool(shuffle)
        if sampler is not None and shuffle:
            raise ValueError("sampler option is mutually exclusive with shuffle")
        if batch_sampler is not None:
            if batch_size != 1 or shuffle or sampler is not None or drop_last:
                raise ValueError("batch_sampler option is mutually exclusive with batch_size, shuffle, sampler, and "
                                 "drop_last")  # fmt: skip
            batch_size, drop_last = None, False
        elif batch_size is None and drop_last:
            raise ValueError("batch_size=None option disables auto-batching and is mutually exclusive with drop_last")
        if sampler is None:
            if self._dataset_kind == _DatasetKind.Iterable:
                sampler = _InfiniteConstantSampler()
            else:
                sampler = RandomSampler(dataset, generator=generator) if shuffle else SequentialSampler(dataset)
        if batch_size is not None and batch_sampler is None:
            batch_sampler = BatchSampler(sampler, batch_size, drop_last)
        self.batch_size, self.drop_last = batch_size, drop_last
        self.sampler, self.batch_sampler, self.generator = sampler, batch_sampler, generator
        if collate_fn is None:
            collate_fn = default_collate if self._auto_collation else default_convert
        self.collate_fn, self.persistent_workers = collate_fn, persistent_workers
        self.__initialized = True
        self._IterableDataset_len_called = None
        self._iterator = None
        self.check_worker_number_rationality()

    @property
    def multiprocessing_context(self):
        return self.__multiprocessing_context

    @multiprocessing_context.setter
    def multiprocessing_context(self, context):
        if context is not None:
            import multiprocessing

            if self.num_workers == 0:
                raise ValueError("multiprocessing_context can only be used with multi-process loading (num_workers > "
                                 f"0), but got num_workers={self.num_workers}")  # fmt: skip
            if isinstance(context, str):
                known = multiprocessing.get_all_start_methods()
                if context not in known:
                    raise ValueError("multiprocessing_context option should specify a valid start method in "
                                     f"{known!r}, but got multiprocessing_context={context!r}")  # fmt: skip
                context = multiprocessing.get_context(context)
            if not isinstance(context, multiprocessing.context.BaseContext):
                raise TypeError("multiprocessing_context option should be a valid context object or a string "
                                f"specifying the start method, but got multiprocessing_context={context}")  # fmt: skip
        self.__multiprocessing_context = context

    def __setattr__(self, name, value):
        if self.__initialized and name in _FIXED:
            raise ValueError(f"{name} attribute should not be set after {type(self).__name__} is initialized")
        super().__setattr__(name, value)

    def _get_iterator(self):
        if self.num_workers == 0:
            return _SingleProcessDataLoaderIter(self)
        return _MultiProcessingDataLoaderIter(self)

    def __iter__(self):
        if not (self.persistent_workers and self.num_workers > 0):
            return self._get_iterator()
        if self._iterator is None or self._iterator.ended:
            self._iterator = self._get_iterator()
        else:
            self._iterator._reset(self)
        return self._iterator

    @property
    def _auto_collation(self):
        return self.batch_sampler is not None

    @property
    def _index_sampler(self):
        return self.batch_sampler if self._auto_collation else self.sampler

    def __len__(self):
        """The number of batches. TypeError for an iterable dataset without a length."""
        if self._dataset_kind == _DatasetKind.Map:
            return len(self._index_sampler)
        n = self._IterableDataset_len_called = len(self.dataset)
        if self.batch_size is None:
            return n
        return n // self.batch_size if self.drop_last else -(-n // self.batch_size)

    def check_worker_number_rationality(self):
        """Warns when there are more workers than processors."""
        if not self.num_workers:
            return
        try:
            processors = len(os.sched_getaffinity(0))
        except AttributeError:
            processors = os.cpu_count() or self.num_workers
        if self.num_workers > processors:
            warnings.warn(
                f"This DataLoader will create {self.num_workers} worker processes in total. Our suggested max number "
                f"of worker in current system is {processors}, which is smaller than what this DataLoader is going to "
                "create. Please be aware that excessive worker creation might get DataLoader running slow or even "
                "freeze, lower the worker number to avoid potential slowness/freeze if necessary.",
                stacklevel=3,
            )


class _BaseDataLoaderIter:
    """What goes through a DataLoader once."""

    ended = False

    def __init__(self, loader):
        self._dataset, self._dataset_kind = loader.dataset, loader._dataset_kind
        self._auto_collation, self._drop_last = loader._auto_collation, loader.drop_last
        self._index_sampler, self._collate_fn = loader._index_sampler, loader.collate_fn
        self._num_workers, self._timeout = loader.num_workers, loader.timeout
        self._persistent_workers = loader.persistent_workers
        if loader.pin_memory:
            warnings.warn("'pin_memory' argument is set as true but no accelerator is found, then device pinned "
                          "memory won't be used.", stacklevel=4)  # fmt: skip
        self._base_seed = drawn_seed(loader.generator)
        self._begin(loader)

    def _begin(self, loader):
        self._num_yielded = 0
        self._expected = loader._IterableDataset_len_called
        self._sampler_iter = self._indices()

    def _reset(self, loader, first_iter=False):
        """Starts again."""
        self._begin(loader)

    def _quick(self):
        """Whether batches of indices need not be lists."""
        return False

    def _indices(self):
        sampler = self._index_sampler
        if self._quick() and type(sampler) is BatchSampler:
            inner, size, drop = sampler.sampler, sampler.batch_size, sampler.drop_last
            if type(inner) is SequentialSampler:
                return spans(len(inner), size, drop)
            blocks = blocks_of(inner)
            if blocks is not None:
                return batches(blocks, size, drop)
        return iter(sampler)

    def __iter__(self):
        return self

    def __next__(self):
        _capture.refuse("taking a batch from a DataLoader (pass it as an argument)")
        data = self._next_data()
        self._num_yielded += 1
        if self._expected is not None and self._num_yielded > self._expected:
            self._warn_length()
        return data

    def _warn_length(self):
        if self._dataset_kind == _DatasetKind.Iterable:
            warnings.warn(f"Length of IterableDataset {self._dataset} was reported to be {self._expected} (when "
                          f"accessing len(dataloader)), but {self._num_yielded} samples have been fetched.",
                          stacklevel=3)  # fmt: skip

    def __len__(self):
        return len(self._index_sampler)

    def __getstate__(self):
        raise NotImplementedError(f"{type(self).__name__} cannot be pickled")


class _SingleProcessDataLoaderIter(_BaseDataLoaderIter):
    def __init__(self, loader):
        cls = IterableFetcher if loader._dataset_kind == _DatasetKind.Iterable else MapFetcher
        plain = cls(loader.dataset, loader._auto_collation, loader.collate_fn, loader.drop_last)
        quick = None
        if cls is MapFetcher and loader._auto_collation:
            quick = tensor_fetcher(loader.dataset, loader.collate_fn, plain)
        self._dataset_fetcher = quick or plain
        self._fetch = self._dataset_fetcher.fetch
        super().__init__(loader)

    def _quick(self):
        return not isinstance(self._dataset_fetcher, (MapFetcher, IterableFetcher))

    def _next_data(self):
        return self._fetch(next(self._sampler_iter))


_serial = itertools.count()


class _MultiProcessingDataLoaderIter(_BaseDataLoaderIter):
    """Batches that worker processes prepare.

    Each worker has a pipe for its tasks and one for its results, so that the death of one harms nothing of another.
    """

    _workers = ()

    def __init__(self, loader):
        import multiprocessing
        from multiprocessing import connection

        from ._utils.exchange import Reader, folder

        self._wait = connection.wait
        self._in_order, self._prefetch = loader.in_order, loader.prefetch_factor
        self._workers, self._tasks, self._results = [], [], []
        self._prefix = os.path.join(folder(), f"autodiffc-{os.getpid()}-{next(_serial)}")
        super().__init__(loader)
        context = loader.multiprocessing_context or multiprocessing.get_context()
        kind = "iterable" if self._dataset_kind == _DatasetKind.Iterable else "map"
        quick = loader._auto_collation
        try:
            for k in range(self._num_workers):
                tasks_out, tasks = context.Pipe(duplex=False)
                results, results_in = context.Pipe(duplex=False)
                process = context.Process(
                    target=loop,
                    args=(k, self._num_workers, kind, loader.dataset, loader._auto_collation, loader.collate_fn,
                          loader.drop_last, self._base_seed, loader.worker_init_fn, tasks_out, results_in,
                          self._prefix, quick),
                    daemon=True,
                )  # fmt: skip
                process.start()
                tasks_out.close()
                results_in.close()
                self._workers.append(process)
                self._tasks.append(tasks)
                self._results.append(results)
        except BaseException:
            self._shutdown_workers()
            raise
        self._readers = [[Reader() for _ in range(max(self._prefetch, 1))] for _ in self._workers]
        self._fill()

    def _begin(self, loader):
        super()._begin(loader)
        self._sent = self._next = 0  # the numbers of the next task and of the next batch to give
        self._waiting = {}  # tasks under way: number -> worker
        self._arrived = {}  # results that came before their turn
        self._active = [True] * self._num_workers
        self._turn = 0
        self._all_sent = False
        self._free = [list(range(max(self._prefetch, 1))) for _ in range(self._num_workers)]

    def _reset(self, loader, first_iter=False):
        while self._waiting:  # what the last round left under way
            self._receive()
        super()._reset(loader)
        for tasks in self._tasks:
            tasks.send((None,))
        self._fill()

    def _fill(self):
        for _ in range(self._prefetch * self._num_workers):
            if not self._send():
                return
        if self._prefetch == 0:
            self._send()

    def _send(self):
        """Gives the next task to the next worker that has room; whether there was one of each."""
        if self._all_sent:
            return False
        for _ in range(self._num_workers):
            k = self._turn
            self._turn = (k + 1) % self._num_workers
            if self._active[k] and self._free[k]:
                break
        else:
            return False
        try:
            index = next(self._sampler_iter)
        except StopIteration:
            self._all_sent = True
            return False
        task = (self._sent, self._free[k].pop(), index)
        self._waiting[self._sent] = k
        self._sent += 1
        try:
            self._tasks[k].send(task)
        except (BrokenPipeError, ConnectionError):
            self._died([k])
        return True

    def _receive(self):
        """Takes one result. RuntimeError when a worker has died, or none came in time."""
        ends = {self._results[k]: k for k in set(self._waiting.values())}
        sentinels = {self._workers[k].sentinel: k for k in ends.values()}
        ready = self._wait([*ends, *sentinels], self._timeout or None)
        if not ready:
            self._shutdown_workers(at_once=True)
            raise RuntimeError(f"DataLoader timed out after {self._timeout} seconds")
        results = [r for r in ready if r in ends]
        if not results:
            self._died([sentinels[s] for s in ready])
        k = ends[results[0]]
        try:
            number, place, message = results[0].recv()
        except (EOFError, ConnectionError):
            self._died([k])
        data = self._readers[k][place].unpack(message)
        self._free[k].append(place)
        del self._waiting[number]
        return number, k, data

    def _died(self, which):
        for k in which:
            self._workers[k].join(1)
        shown = ", ".join(str(self._workers[k].pid) for k in which)
        codes = [self._workers[k].exitcode for k in which]
        self._shutdown_workers(at_once=True)
        killed = [c for c in codes if c is not None and c < 0]
        if killed:
            import signal

            raise RuntimeError(f"DataLoader worker (pid(s) {shown}) exited unexpectedly: killed by signal: "
                               f"{signal.strsignal(-killed[0])}.")  # fmt: skip
        raise RuntimeError(f"DataLoader worker (pid(s) {shown}) exited unexpectedly with exit code {codes[0]}. Details "
                           "are lost due to multiprocessing. Rerunning with num_workers=0 may give better error "
                           "trace.")  # fmt: skip

    def _next_data(self):
        while True:
            if self.ended:
                raise StopIteration
            if not self._in_order and self._arrived:
                self._next = min(self._arrived)
            if self._next in self._arrived:
                k, data = self._arrived.pop(self._next)
                self._next += 1
            elif not self._waiting and not self._arrived:
                if not self._send():
                    self._finish()
                    raise StopIteration
                continue
            elif self._in_order and self._next not in self._waiting:
                self._next += 1  # of a worker whose samples had ended
                continue
            else:
                number, k, data = self._receive()
                if isinstance(data, Done):
                    self._active[k] = False
                    self._send()
                    continue
                self._arrived[number] = k, data
                continue
            self._send()
            if isinstance(data, CaughtException):
                if not self._persistent_workers and self._dataset_kind == _DatasetKind.Iterable:
                    self._shutdown_workers()
                data.reraise()
            return data

    def _finish(self):
        if not self._persistent_workers:
            self._shutdown_workers()

    def _shutdown_workers(self, at_once=False):
        """Ends the processes: they are told, and those that do not listen are stopped."""
        if self.ended:
            return
        self.ended = True
        for tasks in self._tasks:
            try:
                tasks.send(None)
            except (OSError, ValueError):
                pass  # it has gone already
            tasks.close()
        end = time.monotonic() + (0 if at_once or self._waiting else _utils.MP_STATUS_CHECK_INTERVAL)
        for process in self._workers:
            process.join(max(0.0, end - time.monotonic()))
            if process.is_alive():
                process.terminate()
        for process in self._workers:
            process.join()
        for results in self._results:
            results.close()
        clean(self._prefix)

    def __del__(self):
        if self._workers and self._workers[0]._parent_pid == os.getpid():
            self._shutdown_workers(at_once=True)


__all__ = ["DataLoader", "Dataset", "IterableDataset", "default_collate", "default_convert", "get_worker_info"]
