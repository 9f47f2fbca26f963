"""The share of a dataset that one of several processes trains on."""

import math

from ..._generator import Generator
from ..._ops.random import randperm
from .sampler import Sampler


class DistributedSampler(Sampler):
    """Every num_replicas-th index, from `rank` on, of an order that all replicas agree on.

    The order changes with set_epoch(). Indices are repeated, or with drop_last left out, so that all replicas have
    equally many. Without num_replicas and rank the process group is asked: RuntimeError or ValueError without one.
    """

    def __init__(self, dataset, num_replicas=None, rank=None, shuffle=True, seed=0, drop_last=False):
        if num_replicas is None or rank is None:
            group = _process_group()
            num_replicas = group.get_world_size() if num_replicas is None else num_replicas
            rank = group.get_rank() if rank is None else rank
        if rank >= num_replicas or rank < 0:
            raise ValueError(f"Invalid rank {rank}, rank should be in the interval [0, {num_replicas - 1}]")
        self.dataset, self.num_replicas, self.rank = dataset, num_replicas, rank
        self.epoch, self.drop_last = 0, drop_last
        n = len(dataset)
        whole = drop_last and n % num_replicas != 0
        self.num_samples = math.ceil((n - num_replicas) / num_replicas) if whole else math.ceil(n / num_replicas)
        self.total_size = self.num_samples * num_replicas
        self.shuffle, self.seed = shuffle, seed

    def __iter__(self):
        n = len(self.dataset)
        if self.shuffle:
            indices = randperm(n, generator=Generator().manual_seed(self.seed + self.epoch)).tolist()
        else:
            indices = list(range(n))
        if self.drop_last:
            indices = indices[: self.total_size]
        else:
            while len(indices) < self.total_size and indices:
                indices += indices[: self.total_size - len(indices)]
        if len(indices) != self.total_size:
            raise AssertionError(f"Number of indices ({len(indices)}) does not match total_size ({self.total_size})")
        return iter(indices[self.rank : self.total_size : self.num_replicas])

    def __len__(self):
        return self.num_samples

    def set_epoch(self, epoch):
        """Another order for another epoch: call it before each one."""
        self.epoch = epoch


def _process_group():
    try:
        from ... import distributed
    except ImportError:
        distributed = None
    if distributed is None or not distributed.is_available():
        raise RuntimeError("Requires distributed package to be available")
    if not distributed.is_initialized():
        raise ValueError("Default process group has not been initialized, please make sure to call init_process_group.")
    return distributed
