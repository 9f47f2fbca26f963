"""Datasets, samplers, collation, and DataLoader with and without worker processes."""

import collections
import os
import pickle
import random
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import autodiffc as ad
from autodiffc.utils import data
from autodiffc.utils.data import (
    BatchSampler,
    ChainDataset,
    ConcatDataset,
    DataLoader,
    Dataset,
    DistributedSampler,
    IterableDataset,
    RandomSampler,
    SequentialSampler,
    StackDataset,
    Subset,
    SubsetRandomSampler,
    TensorDataset,
    WeightedRandomSampler,
    default_collate,
    default_convert,
    get_worker_info,
    random_split,
)

from . import child


class Squares(Dataset):
    def __init__(self, n=10):
        self.n = n

    def __len__(self):
        return self.n

    def __getitem__(self, i):
        if not 0 <= i < self.n:
            raise IndexError(i)
        return ad.full((3,), float(i)), i * i, {"name": str(i), "array": np.full(2, i, np.float32)}


class Count(IterableDataset):
    def __init__(self, n=11):
        self.n = n

    def __iter__(self):
        info = get_worker_info()
        first, step = (info.id, info.num_workers) if info else (0, 1)
        return iter(range(first, self.n, step))


class Failing(Dataset):
    def __init__(self, error):
        self.error = error

    def __len__(self):
        return 6

    def __getitem__(self, i):
        if i == 3:
            raise self.error
        return i


class Odd(Exception):
    """An exception that cannot be made from a text alone."""

    def __init__(self, a, b):
        super().__init__(f"{a} {b}")

    def __reduce__(self):
        return Odd, ("a", "b")


class Dying(Dataset):
    def __len__(self):
        return 6

    def __getitem__(self, i):
        if i == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        return i


class Sleeping(Dataset):
    def __len__(self):
        return 4

    def __getitem__(self, i):
        time.sleep(60)


class Randoms(Dataset):
    def __len__(self):
        return 6

    def __getitem__(self, i):
        return ad.rand(1).item(), random.random(), np.random.rand(), get_worker_info().seed


class Described(Dataset):
    def __len__(self):
        return 2

    def __getitem__(self, i):
        info = get_worker_info()
        return info.id, info.num_workers, len(info.dataset), ad.get_num_threads(), os.environ.get("TEST_INIT", "")


def init_worker(k):
    os.environ["TEST_INIT"] = str(k)


def failing_init(k):
    raise ValueError("no start")


def lists(loader):
    return [b.tolist() if isinstance(b, ad.Tensor) else b for b in loader]


def tensors():
    return TensorDataset(ad.arange(20.0).reshape(10, 2), ad.arange(10))


# ---- datasets ----


def test_datasets():
    d = tensors()
    assert len(d) == 10 and d[3][0].tolist() == [6, 7] and d[3][1] == 3 and d[2:4][1].tolist() == [2, 3]
    with pytest.raises(AssertionError, match="Size mismatch"):
        TensorDataset(ad.ones(2), ad.ones(3))
    s = Subset(d, [7, 2, 5])
    assert len(s) == 3 and s[0][1] == 7 and s[[0, 1]][1].tolist() == [7, 2]
    assert [x[1].item() for x in s.__getitems__([2, 0])] == [5, 7]
    c = d + Squares(4)
    assert isinstance(c, ConcatDataset) and len(c) == 14 and c.cumulative_sizes == [10, 14]
    assert c[12][1] == 4 and c[-1][1] == 9
    with pytest.raises(ValueError, match="absolute value"):
        c[-15]
    with pytest.raises(AssertionError):
        ConcatDataset([])
    with pytest.raises(AssertionError, match="IterableDataset"):
        ConcatDataset([Count()])
    assert list(Count(2) + Count(3)) == [0, 1, 0, 1, 2] and isinstance(Count() + Count(), ChainDataset)
    st = StackDataset(a=[1, 2], b=[3, 4])
    assert st[1] == {"a": 2, "b": 4} and st.__getitems__([0]) == [{"a": 1, "b": 3}]
    assert StackDataset([1, 2], [3, 4])[0] == (1, 3)
    for bad in (lambda: StackDataset(), lambda: StackDataset([1], [1, 2]), lambda: StackDataset([1], a=[1])):
        with pytest.raises(ValueError):
            bad()
    with pytest.raises(NotImplementedError, match="__getitem__"):
        Dataset()[0]
    with pytest.raises(TypeError):
        len(Dataset())
    assert Dataset[int] is not None and pickle.loads(pickle.dumps(d))[1][1] == 1


def test_random_split():
    parts = random_split(range(10), [7, 3], generator=ad.Generator().manual_seed(1))
    assert [len(p) for p in parts] == [7, 3] and sorted(parts[0].indices + parts[1].indices) == list(range(10))
    assert [len(p) for p in random_split(range(10), [0.35, 0.35, 0.3])] == [4, 3, 3]
    ad.manual_seed(0)
    a = random_split(range(10), [5, 5])[0].indices
    ad.manual_seed(0)
    assert a == ad.randperm(10).tolist()[:5]
    for lengths in ([3, 3], [0.5, 0.6]):
        with pytest.raises(ValueError, match="Sum of input lengths"):
            random_split(range(10), lengths)
    with pytest.warns(UserWarning, match="index 1 is 0"):
        random_split(range(1), [0.5, 0.5])


# ---- samplers ----


def test_samplers():
    assert list(SequentialSampler("abc")) == [0, 1, 2]
    g = ad.Generator().manual_seed(3)
    assert sorted(RandomSampler(range(7), generator=g)) == list(range(7))
    assert len(list(RandomSampler(range(3), num_samples=8, generator=g))) == 8
    assert len(list(RandomSampler(range(3), replacement=True, num_samples=70))) == 70
    assert sorted(SubsetRandomSampler([5, 7, 9])) == [5, 7, 9]
    w = WeightedRandomSampler([0.0, 1.0, 0.0], 5)
    assert list(w) == [1] * 5 and len(w) == 5
    b = BatchSampler(range(7), 3, False)
    assert list(b) == [[0, 1, 2], [3, 4, 5], [6]] and len(b) == 3
    assert list(BatchSampler(range(7), 3, True)) == [[0, 1, 2], [3, 4, 5]]
    for bad in (
        lambda: RandomSampler([]),
        lambda: RandomSampler([1], num_samples=0),
        lambda: WeightedRandomSampler([1.0], 0),
        lambda: WeightedRandomSampler([[1.0]], 1),
        lambda: BatchSampler(range(3), 0, False),
        lambda: BatchSampler(range(3), 1, 2),
        lambda: DistributedSampler(range(3), 2, 2),
    ):
        with pytest.raises(ValueError):
            bad()
    with pytest.raises(TypeError):
        RandomSampler([1], replacement=3)
    shares = [list(DistributedSampler(range(10), 3, k, shuffle=False)) for k in range(3)]
    assert shares == [[0, 3, 6, 9], [1, 4, 7, 0], [2, 5, 8, 1]]
    s = DistributedSampler(range(10), 3, 0, drop_last=True)
    first = list(s)
    s.set_epoch(1)
    assert len(s) == 3 == len(first) and first != list(s)


# ---- collation ----

Pair = collections.namedtuple("Pair", "x y")


def test_collation():
    assert default_collate([1.5, 2]).dtype is ad.float64 and default_collate([1, 2]).dtype is ad.int64
    assert default_collate([True, False]).dtype is ad.bool
    assert default_collate([np.float32(1), np.float32(2)]).dtype is ad.float32
    assert default_collate([np.ones(2, np.int16)] * 3).dtype is ad.int16
    assert default_collate(["a", "b"]) == ["a", "b"]
    r = default_collate([{"a": 1, "b": (2, "x")}, {"a": 3, "b": (4, "y")}])
    assert r["a"].tolist() == [1, 3] and type(r["b"]) is list and r["b"][1] == ("x", "y")
    r = default_collate([Pair(1, ad.ones(2)), Pair(2, ad.zeros(2))])
    assert type(r) is Pair and r.y.tolist() == [[1, 1], [0, 0]]
    r = default_collate([collections.OrderedDict(a=1), collections.OrderedDict(a=2)])
    assert type(r) is collections.OrderedDict
    with pytest.raises(TypeError, match="batch must contain tensors.*object"):
        default_collate([object()])
    with pytest.raises(TypeError, match="U1"):
        default_collate([np.array(["a"])])
    with pytest.raises(RuntimeError, match="equal size"):
        default_collate([[1], [1, 2]])
    with pytest.raises(RuntimeError, match=r"got \[2\] at entry 0 and \[3\] at entry 1"):
        default_collate([ad.ones(2), ad.ones(3)])
    r = default_convert({"a": np.ones(2), "b": (1, "s"), "c": [np.float32(2)]})
    assert type(r["a"]) is ad.Tensor and r["b"] == [1, "s"] and r["c"][0] == 2


# ---- loaders ----

OPTIONS = [
    {},
    {"batch_size": 3},
    {"batch_size": 3, "drop_last": True},
    {"batch_size": 4, "shuffle": True},
    {"batch_size": None},
    {"batch_sampler": [[1, 2], [9]]},
    {"batch_size": 4, "sampler": [3, 1, 4, 1, 5]},
    {"batch_size": 5, "sampler": RandomSampler(range(10), replacement=True, num_samples=40)},
    {"batch_size": 4, "shuffle": True, "drop_last": True, "generator": 5},
]


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("workers", [0, 2])
def test_in_memory_batches_are_those_of_single_samples(options, workers):
    class Plain(TensorDataset):  # not recognised: read sample by sample
        def __getitem__(self, i):
            return super().__getitem__(i)

    d = tensors()
    whole = Subset(Subset(d, list(range(9, -1, -1))), range(9, -1, -1))
    results = []
    for dataset, n in ((Plain(*d.tensors), 0), (d, workers), (whole, workers)):
        given = dict(options)
        g = ad.Generator().manual_seed(5)
        if "generator" in given:
            given["generator"] = g
        ad.manual_seed(7)
        epochs = [[[t.tolist() for t in b] for b in DataLoader(dataset, num_workers=n, **given)] for _ in range(2)]
        results.append((epochs, ad.rand(1).item(), ad.rand(1, generator=g).item()))
    assert results[0] == results[1] == results[2] and results[0][0][0]


def test_batches_of_tensors_are_copies():
    d = tensors()
    for kw in ({}, {"shuffle": True}):
        for x, _ in DataLoader(d, batch_size=5, **kw):
            x.zero_()
    assert d.tensors[0].sum() == 190
    x = ad.ones(4, 2, requires_grad=True)
    (batch,) = next(iter(DataLoader(TensorDataset(x), batch_size=4, shuffle=True)))
    batch.sum().backward()
    assert x.grad.tolist() == [[1, 1]] * 4
    with pytest.raises(IndexError):
        list(DataLoader(d, sampler=[3, 10], batch_size=2))
    assert lists(DataLoader(d, sampler=[-1], collate_fn=lambda b: b[0][1])) == [9]
    assert next(iter(DataLoader(d, sampler=[-1])))[1].tolist() == [9]


def test_options_that_exclude_each_other():
    d = tensors()
    s = SequentialSampler(d)
    for options in (
        {"num_workers": -1},
        {"timeout": -1},
        {"prefetch_factor": 2},
        {"persistent_workers": True},
        {"sampler": s, "shuffle": True},
        {"batch_sampler": [[1]], "batch_size": 2},
        {"batch_size": None, "drop_last": True},
        {"multiprocessing_context": "fork"},
        {"num_workers": 1, "multiprocessing_context": "none"},
        {"num_workers": 1, "prefetch_factor": -1},
        {"batch_size": 0},
    ):
        with pytest.raises(ValueError):
            DataLoader(d, **options)
    with pytest.raises(TypeError):
        DataLoader(d, num_workers=1, multiprocessing_context=3)
    for options in ({"shuffle": True}, {"sampler": [1]}, {"batch_sampler": [[1]]}):
        with pytest.raises(ValueError, match="IterableDataset"):
            DataLoader(Count(), **options)
    loader = DataLoader(d, batch_size=3)
    assert len(loader) == 4 and len(DataLoader(d, batch_size=3, drop_last=True)) == 3 and loader.dataset is d
    with pytest.raises(ValueError, match="should not be set"):
        loader.batch_size = 2
    with pytest.raises(TypeError):
        len(DataLoader(Count()))
    with pytest.warns(UserWarning, match="pin_memory"):
        next(iter(DataLoader(d, pin_memory=True)))


def test_a_wrong_length_of_an_iterable_dataset_is_noted():
    class Wrong(Count):
        def __len__(self):
            return 3

    loader = DataLoader(Wrong())
    assert len(loader) == 3
    with pytest.warns(UserWarning, match="was reported to be 3"):
        list(loader)


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_workers(method):
    options = {"num_workers": 2, "multiprocessing_context": method}
    alone, shared = (list(DataLoader(Squares(), batch_size=4, **kw)) for kw in ({}, options))
    for (x, n, rest), (x2, n2, rest2) in zip(alone, shared, strict=True):
        assert x.tolist() == x2.tolist() and n.tolist() == n2.tolist() and rest["name"] == rest2["name"]
        assert rest["array"].tolist() == rest2["array"].tolist()
    got = list(DataLoader(Described(), batch_size=None, worker_init_fn=init_worker, **options))
    assert got == [[0, 2, 2, 1, "0"], [1, 2, 2, 1, "1"]]
    assert get_worker_info() is None


def test_workers_of_iterable_datasets():
    assert lists(DataLoader(Count(), batch_size=3)) == [[0, 1, 2], [3, 4, 5], [6, 7, 8], [9, 10]]
    two = DataLoader(Count(), batch_size=3, num_workers=2)
    assert lists(two) == [[0, 2, 4], [1, 3, 5], [6, 8, 10], [7, 9]] == lists(two)
    assert lists(DataLoader(Count(1), num_workers=2)) == [[0]]
    kept = DataLoader(Count(), batch_size=3, num_workers=2, persistent_workers=True, drop_last=True)
    assert lists(kept) == [[0, 2, 4], [1, 3, 5], [6, 8, 10]] == lists(kept)


def test_workers_that_stay():
    loader = DataLoader(tensors(), batch_size=3, shuffle=True, num_workers=2, persistent_workers=True)
    epochs = []
    for _ in range(3):
        epochs.append([i for _, n in loader for i in n.tolist()])
    assert all(sorted(e) == list(range(10)) for e in epochs) and epochs[0] != epochs[1]
    pids = [p.pid for p in loader._iterator._workers]
    next(iter(loader))  # left in the middle, and begun again
    assert sorted(i for _, n in loader for i in n.tolist()) == list(range(10))
    assert [p.pid for p in loader._iterator._workers] == pids
    loader._iterator._shutdown_workers()


def test_seeds_of_workers():
    ad.manual_seed(0)
    a = list(DataLoader(Randoms(), batch_size=None, num_workers=2))
    ad.manual_seed(0)
    b = list(DataLoader(Randoms(), batch_size=None, num_workers=2))
    assert a == b and a[0] != a[1]
    ad.manual_seed(0)
    seed = ad.empty((), dtype=ad.int64).random_().item()
    assert [r[3] for r in a[:2]] == [seed, seed + 1]
    assert a[0][0] == ad.rand(1, generator=ad.Generator().manual_seed(seed)).item()


def test_out_of_order_and_much_ahead():
    loader = DataLoader(Squares(40), batch_size=1, num_workers=2, prefetch_factor=8, in_order=False)
    assert sorted(n.item() for _, n, _ in loader) == [i * i for i in range(40)]


def test_large_and_odd_batches_come_whole():
    class Large(Dataset):
        base = ad.arange(1 << 16)

        def __len__(self):
            return 6

        def __getitem__(self, i):
            size = (1 << 12) << (2 * (i % 4))
            p = ad.nn.Parameter(ad.ones(3))
            part = self.base[i * 10 : i * 10 + 3]
            return {"x": ad.full((size,), i, dtype=ad.float32), "part": part, "t": ad.ones(2, 3).t(), "none": None,
                    "empty": ad.empty(0, 3), "array": np.full(size, i), "p": p, "long": "a" * size}  # fmt: skip

    for k, r in enumerate(DataLoader(Large(), batch_size=None, num_workers=2)):
        size = (1 << 12) << (2 * (k % 4))
        assert r["x"].shape == (size,) and r["x"].min() == k == r["x"].max() and len(r["long"]) == size
        assert r["part"].tolist() == [k * 10, k * 10 + 1, k * 10 + 2] and (r["array"] == k).all()
        assert r["t"].shape == (3, 2) and r["empty"].shape == (0, 3)
        assert type(r["p"]) is ad.nn.Parameter and r["none"] is None


RAISED = [(KeyError("k"), KeyError), (ValueError("v"), ValueError), (Odd(1, 2), RuntimeError)]


@pytest.mark.parametrize("error, kind", RAISED)
def test_errors_come_back_with_their_class_and_traceback(error, kind):
    with pytest.raises(kind, match=r"(?s)Caught \w+ in DataLoader worker process [01]\.\nOriginal Trace.*__getitem__"):
        list(DataLoader(Failing(error), num_workers=2))
    with pytest.raises(ValueError, match="(?s)Caught ValueError.*no start"):
        list(DataLoader(Squares(), num_workers=1, worker_init_fn=failing_init))
    with pytest.raises(Exception, match="Caught .*"):
        list(DataLoader([lambda: 0], batch_size=None, collate_fn=lambda x: x, num_workers=1))


def test_errors_do_not_end_workers():
    loader = iter(DataLoader(Failing(ValueError("v")), num_workers=2))
    seen = []
    while True:
        try:
            seen.append(next(loader).item())
        except ValueError:
            seen.append("error")
        except StopIteration:
            break
    assert seen == [0, 1, 2, "error", 4, 5]


def test_little_shared_memory(monkeypatch, tmp_path):
    import errno

    from autodiffc.utils.data._utils import exchange

    usual = exchange._mapped

    def full(name, size):
        if name.startswith(exchange.folder()):
            raise OSError(errno.ENOSPC, "No space left on device")
        return usual(name, size)

    monkeypatch.setattr(exchange, "_mapped", full)
    monkeypatch.setattr(exchange.tempfile, "tempdir", str(tmp_path))
    if exchange.folder() != str(tmp_path):
        got = [n.tolist() for _, n, _ in DataLoader(Squares(), batch_size=5, num_workers=2)]
        assert got == [[0, 1, 4, 9, 16], [25, 36, 49, 64, 81]] and os.listdir(tmp_path) == []


def shared_files():
    from autodiffc.utils.data._utils.exchange import folder

    return [f for f in os.listdir(folder()) if f.startswith(f"autodiffc-{os.getpid()}-")]


def test_dead_and_slow_workers_are_noticed():
    start, files = time.monotonic(), set(shared_files())  # those of loaders that earlier tests left are theirs
    with pytest.raises(RuntimeError, match=r"worker \(pid\(s\) \d+\) exited unexpectedly.*signal"):
        list(DataLoader(Dying(), num_workers=2))
    with pytest.raises(RuntimeError, match="timed out after 0.3 seconds"):
        list(DataLoader(Sleeping(), num_workers=1, timeout=0.3))
    it = iter(DataLoader(Sleeping(), num_workers=2))
    processes = it._workers
    del it
    assert not any(p.is_alive() for p in processes)
    assert time.monotonic() - start < 30 and set(shared_files()) <= files


SCRIPT = """
import signal, time, autodiffc as ad
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs start without it
from autodiffc.utils.data import DataLoader, Dataset
class D(Dataset):
    def __len__(self): return 1000
    def __getitem__(self, i):
        time.sleep(0.05)
        return i
for k, b in enumerate(DataLoader(D(), num_workers=2)):
    if k == 0: print("go", flush=True)
"""


def test_interrupts_end_all_processes():
    process = subprocess.Popen([sys.executable, "-c", SCRIPT], env=child.environment(), stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True, start_new_session=True)  # fmt: skip
    assert process.stdout.readline() == "go\n"
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    out, errors = process.communicate(timeout=30)
    assert errors.count("KeyboardInterrupt") == 1 and process.returncode != 0
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)


def test_names_of_modules():
    from autodiffc.utils.data._utils.collate import default_collate as a
    from autodiffc.utils.data.dataloader import default_collate as b
    from autodiffc.utils.data.dataset import Dataset as c
    from autodiffc.utils.data.distributed import DistributedSampler as d
    from autodiffc.utils.data.sampler import Sampler as e

    assert a is b is data.default_collate and c is Dataset and d is DistributedSampler and e is data.Sampler
    assert ad.utils.data is data
