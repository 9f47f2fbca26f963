"""How the samples of a batch are read."""

from .... import _core
from ...._core import TensorBase
from ...._dtype import int64
from ...._ops.from_data import as_tensor
from ...._ops.index import index_select
from ..dataset import Subset, TensorDataset, is_plain
from .collate import default_collate


class MapFetcher:
    """Samples of a dataset by their indices."""

    def __init__(self, dataset, batched, collate_fn, drop_last):
        self.dataset, self.batched, self.collate_fn = dataset, batched, collate_fn
        self.many = getattr(dataset, "__getitems__", None) if batched else None

    def fetch(self, index):
        if not self.batched:
            return self.collate_fn(self.dataset[index])
        if self.many:
            return self.collate_fn(self.many(index))
        dataset = self.dataset
        return self.collate_fn([dataset[i] for i in index])


class IterableFetcher:
    """Samples of an iterable dataset, as many as there are indices."""

    def __init__(self, dataset, batched, collate_fn, drop_last):
        self.batched, self.collate_fn, self.drop_last = batched, collate_fn, drop_last
        self.samples = iter(dataset)
        self.ended = False

    def fetch(self, index):
        if self.ended:
            raise StopIteration
        if not self.batched:
            return self.collate_fn(next(self.samples))
        data = []
        for _ in index:
            try:
                data.append(next(self.samples))
            except StopIteration:
                self.ended = True
                break
        if not data or (self.drop_last and len(data) < len(index)):
            raise StopIteration
        return self.collate_fn(data)


class TensorFetcher:
    """Batches of tensors in memory: a gather for each tensor, and no samples in between.

    `tensors` are a TensorDataset's, `indices` those of the Subsets around it, composed. An index may be a list, a
    tensor or a slice.
    """

    def __init__(self, tensors, indices, otherwise):
        self.tensors, self.indices, self.otherwise = tensors, indices, otherwise

    def fetch(self, index):
        kind = type(index)
        if kind is list:
            chosen = _as_indices(index)
            if chosen is None:
                return self.otherwise.fetch(index)
            index = chosen
        elif kind is slice and self.indices is None:
            return [t[index].clone() for t in self.tensors]
        if self.indices is not None:
            index = self.indices[index] if kind is slice else index_select(self.indices, 0, index)
        return [index_select(t, 0, index) for t in self.tensors]


def _as_indices(index):
    """A list of indices as a tensor; None when they are not all integers from 0 on."""
    try:
        t = as_tensor(index)
    except (TypeError, ValueError, RuntimeError):
        return None
    if t.dtype is not int64 or t.ndim != 1 or not index or min(index) < 0:
        return None
    return t


def tensor_fetcher(dataset, collate_fn, otherwise):
    """A TensorFetcher for a TensorDataset, or Subsets of one, with the usual collate function; None for others."""
    if collate_fn is not default_collate:
        return None
    indices = None
    while type(dataset) is Subset:
        own = dataset.indices
        own = _as_indices(own.tolist() if isinstance(own, TensorBase) and own.ndim == 1 else list(own))
        if own is None:
            return None
        indices = own if indices is None else index_select(own, 0, indices)
        dataset = dataset.dataset
    if not is_plain(dataset, TensorDataset) or not dataset.tensors:
        return None
    if any(type(t) is not _core.Tensor for t in dataset.tensors):
        return None
    return TensorFetcher(dataset.tensors, indices, otherwise)
