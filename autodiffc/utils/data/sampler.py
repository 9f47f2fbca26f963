"""Samplers: the order in which a DataLoader asks for samples."""

import itertools
from typing import Generic, TypeVar

from ..._dtype import float64, int64
from ..._generator import Generator
from ..._ops.creation import empty
from ..._ops.from_data import as_tensor
from ..._ops.random import multinomial, randint, randperm

T_co = TypeVar("T_co", covariant=True)


class Sampler(Generic[T_co]):
    """Indices of samples, or lists of them, in turn: subclasses have __iter__()."""

    def __iter__(self):
        raise NotImplementedError(f"{type(self).__name__} has no __iter__")


class SequentialSampler(Sampler[int]):
    """0, 1, 2, ... of a dataset."""

    def __init__(self, data_source):
        self.data_source = data_source

    def __iter__(self):
        return iter(range(len(self.data_source)))

    def __len__(self):
        return len(self.data_source)


def drawn_seed(generator=None):
    """A seed from a generator's stream, the default one's as a rule."""
    return int(empty((), dtype=int64).random_(generator=generator).item())


class RandomSampler(Sampler[int]):
    """Indices in random order; with replacement, num_samples independent ones."""

    def __init__(self, data_source, replacement=False, num_samples=None, generator=None):
        self.data_source, self.replacement = data_source, replacement
        self._num_samples, self.generator = num_samples, generator
        if not isinstance(self.replacement, bool):
            raise TypeError(f"replacement should be a boolean value, but got replacement={self.replacement}")
        if not isinstance(self.num_samples, int) or self.num_samples <= 0:
            raise ValueError(f"num_samples should be a positive integer value, but got num_samples={self.num_samples}")

    @property
    def num_samples(self):
        return len(self.data_source) if self._num_samples is None else self._num_samples

    def blocks(self):
        """The indices as tensors, each drawn when it is asked for: PyTorch's draws, in its order."""
        n, count = len(self.data_source), self.num_samples
        generator = self.generator
        if generator is None:
            generator = Generator()
            generator.manual_seed(drawn_seed())
        if self.replacement:
            for _ in range(count // 32):
                yield randint(high=n, size=(32,), dtype=int64, generator=generator)
            yield randint(high=n, size=(count % 32,), dtype=int64, generator=generator)
        else:
            for _ in range(count // n):
                yield randperm(n, generator=generator)
            yield randperm(n, generator=generator)[: count % n]

    def __iter__(self):
        for block in self.blocks():
            yield from block.tolist()

    def __len__(self):
        return self.num_samples


class SubsetRandomSampler(Sampler[int]):
    """Listed indices in random order."""

    def __init__(self, indices, generator=None):
        self.indices, self.generator = indices, generator

    def __iter__(self):
        for i in randperm(len(self.indices), generator=self.generator).tolist():
            yield self.indices[i]

    def __len__(self):
        return len(self.indices)


class WeightedRandomSampler(Sampler[int]):
    """Indices drawn with the probabilities that a list of weights gives."""

    def __init__(self, weights, num_samples, replacement=True, generator=None):
        if not isinstance(num_samples, int) or isinstance(num_samples, bool) or num_samples <= 0:
            raise ValueError(f"num_samples should be a positive integer value, but got num_samples={num_samples}")
        if not isinstance(replacement, bool):
            raise ValueError(f"replacement should be a boolean value, but got replacement={replacement}")
        weights = as_tensor(weights, dtype=float64)
        if weights.ndim != 1:
            raise ValueError("weights should be a 1d sequence but given weights have shape "
                             f"{tuple(weights.shape)}")  # fmt: skip
        self.weights, self.num_samples = weights, num_samples
        self.replacement, self.generator = replacement, generator

    def __iter__(self):
        yield from multinomial(self.weights, self.num_samples, self.replacement, generator=self.generator).tolist()

    def __len__(self):
        return self.num_samples


class BatchSampler(Sampler[list]):
    """The indices of another sampler in lists of batch_size; the last one may be shorter, or is dropped."""

    def __init__(self, sampler, batch_size, drop_last):
        if not isinstance(batch_size, int) or isinstance(batch_size, bool) or batch_size <= 0:
            raise ValueError(f"batch_size should be a positive integer value, but got batch_size={batch_size}")
        if not isinstance(drop_last, bool):
            raise ValueError(f"drop_last should be a boolean value, but got drop_last={drop_last}")
        self.sampler, self.batch_size, self.drop_last = sampler, batch_size, drop_last

    def __iter__(self):
        indices = iter(self.sampler)
        while True:
            batch = list(itertools.islice(indices, self.batch_size))
            if not batch or (self.drop_last and len(batch) < self.batch_size):
                return
            yield batch

    def __len__(self):
        n = len(self.sampler)
        return n // self.batch_size if self.drop_last else -(-n // self.batch_size)


def blocks_of(sampler):
    """The indices of a sampler of ours as tensors, or None when they must be asked for one by one."""
    if type(sampler) is RandomSampler:
        return sampler.blocks()
    return None


def batches(blocks, size, drop_last):
    """Tensors of indices of one size, out of tensors of any size."""
    from ..._ops.shape import cat

    rest = None
    for block in blocks:
        if rest is not None:
            block = cat([rest, block])
        n = block.shape[0]
        at = 0
        while at + size <= n:
            yield block.narrow(0, at, size)
            at += size
        rest = block.narrow(0, at, n - at) if at < n else None
    if rest is not None and not drop_last:
        yield rest


def spans(n, size, drop_last):
    """The slices of one size that a range falls into."""
    for at in range(0, n - size + 1 if drop_last else n, size):
        yield slice(at, min(at + size, n))


__all__ = ["BatchSampler", "RandomSampler", "Sampler", "SequentialSampler", "SubsetRandomSampler",
           "WeightedRandomSampler"]  # fmt: skip
