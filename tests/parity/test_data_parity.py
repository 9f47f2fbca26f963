"""DataLoader, samplers and splits against PyTorch: the same samples in the same order, and the same draws."""

import random
import warnings

import numpy as np
import pytest

from .both import X, check, plain, tensor

pytestmark = pytest.mark.parity


def dataset(T):
    data = T.utils.data

    class Squares(data.Dataset):
        def __len__(self):
            return 10

        def __getitem__(self, i):
            return T.full((2,), float(i)), i * i, {"a": str(i), "b": np.float32(i)}

    class Count(data.IterableDataset):
        def __iter__(self):
            info = data.get_worker_info()
            first, step = (info.id, info.num_workers) if info else (0, 1)
            return iter(range(first, 11, step))

    return data.TensorDataset(T.arange(20.0).reshape(10, 2), T.arange(10)), Squares(), Count()


LOADERS = [
    (0, {"batch_size": 3}),
    (0, {"batch_size": 3, "shuffle": True}),
    (0, {"batch_size": 5, "shuffle": True, "drop_last": True}),
    (0, {"batch_size": 4, "shuffle": True, "generator": 3}),
    (0, {"batch_size": 4, "shuffle": True, "num_workers": 2}),
    (0, {"batch_size": 4, "shuffle": True, "num_workers": 2, "generator": 3}),
    (0, {"batch_size": 4, "shuffle": True, "num_workers": 2, "persistent_workers": True}),
    (0, {"batch_size": None, "shuffle": True}),
    (0, {"batch_size": 4, "sampler": "weighted"}),
    (0, {"batch_size": 4, "sampler": "replacement"}),
    (0, {"batch_size": 4, "sampler": "more"}),
    (0, {"batch_size": 4, "sampler": "subset"}),
    (1, {"batch_size": 4, "shuffle": True}),
    (1, {"batch_size": 4, "num_workers": 2}),
    (1, {}),
    (2, {"batch_size": 3}),
    (2, {"batch_size": 3, "num_workers": 2}),
    (2, {"batch_size": 2, "num_workers": 3, "drop_last": True}),
    (2, {"batch_size": None, "num_workers": 2}),
]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("which, options", LOADERS)
def test_batches_and_draws(which, options):
    def case(T):
        data, given = T.utils.data, dict(options)
        g = T.Generator().manual_seed(given.get("generator", 0))
        d = dataset(T)[which]
        if "generator" in given:
            given["generator"] = g
        given["sampler"] = {
            None: lambda: None,
            "weighted": lambda: data.WeightedRandomSampler([0.1, 0.2, 0.7, 1.0], 9, generator=g),
            "replacement": lambda: data.RandomSampler(d, replacement=True, num_samples=70, generator=g),
            "more": lambda: data.RandomSampler(d, num_samples=25),
            "subset": lambda: data.SubsetRandomSampler([1, 3, 5, 7]),
        }[given.get("sampler")]()
        loader = data.DataLoader(d, **given)
        epochs = []
        for _ in range(3):
            epochs.append([plain(b) for b in loader])
            epochs.append([T.rand(1), T.rand(1, generator=g)])
        next(iter(loader))
        return [epochs, T.rand(1), T.rand(1, generator=g), [type(b).__name__ for b in loader][:1]]

    check(case)


@pytest.mark.filterwarnings("ignore")
def test_random_numbers_in_workers():
    def case(T):
        class Randoms(T.utils.data.Dataset):
            def __len__(self):
                return 6

            def __getitem__(self, i):
                seed = T.utils.data.get_worker_info().seed
                return T.rand(2), random.random(), np.random.rand(), T.initial_seed() == seed, seed

        return list(T.utils.data.DataLoader(Randoms(), batch_size=None, num_workers=2))

    check(case)


def test_splits_and_samplers():
    def case(T):
        data = T.utils.data
        g = T.Generator().manual_seed(4)
        parts = [data.random_split(range(10), lengths, generator=g) for lengths in ([7, 3], [0.35, 0.35, 0.3])]
        parts.append(data.random_split(range(10), [4, 6]))
        shares = [list(data.DistributedSampler(range(11), 3, k, drop_last=drop)) for k in range(3) for drop in (0, 1)]
        return [[p.indices for p in split] for split in parts], shares, T.rand(1)

    check(case)


def outcome_text(case, T):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            case(T)
        except Exception as e:
            return type(e), str(e).replace("autodiffc", "torch").split("0x")[0]


D = [
    lambda T: T.utils.data.default_collate([None]),
    lambda T: T.utils.data.default_collate([[1], [1, 2]]),
    lambda T: T.utils.data.default_collate([np.array(["a"])]),
    lambda T: T.utils.data.default_collate([T.ones(2), T.ones(3)]),
    lambda T: T.utils.data.default_collate([1, "a"]),
    lambda T: T.utils.data.default_collate([]),
    lambda T: T.utils.data.TensorDataset(T.ones(2), T.ones(3)),
    lambda T: T.utils.data.ConcatDataset([]),
    lambda T: T.utils.data.StackDataset(),
    lambda T: T.utils.data.random_split(range(3), [1, 1]),
    lambda T: T.utils.data.DataLoader(range(3), num_workers=-1),
    lambda T: T.utils.data.DataLoader(range(3), batch_size=0),
    lambda T: T.utils.data.DataLoader(range(3), sampler=[1], shuffle=True),
    lambda T: T.utils.data.DataLoader(range(3), persistent_workers=True),
    lambda T: T.utils.data.DataLoader(range(0), shuffle=True),
    lambda T: T.utils.data.Dataset()[0],
    lambda T: len(T.utils.data.Dataset()),
    lambda T: setattr(T.utils.data.DataLoader(range(3)), "batch_size", 2),
]


@pytest.mark.parametrize("case", D)
def test_errors_are_the_same(case):
    import torch

    import autodiffc

    assert outcome_text(case, autodiffc) == outcome_text(case, torch)


COLLATED = [
    lambda T: [1.5, 2.0],
    lambda T: [1, 2],
    lambda T: [True, False],
    lambda T: [np.float32(1), np.float32(2)],
    lambda T: [np.int16(1), np.int16(2)],
    lambda T: [np.bool_(True), np.bool_(False)],
    lambda T: [np.ones(2), np.zeros(2)],
    lambda T: [b"a", b"b"],
    lambda T: [[1, 2], [3, 4]],
    lambda T: [{"a": (1, "x"), "b": [tensor(T, X)]}] * 3,
]


@pytest.mark.parametrize("case", COLLATED)
def test_collation(case):
    def both(T):
        batch = T.utils.data.default_collate(case(T))
        converted = T.utils.data.default_convert(case(T))
        return [batch, converted, type(batch).__name__, str(getattr(batch, "dtype", None))]

    check(both)
