"""torch.multiprocessing: Python's multiprocessing, with tensors that travel between processes.

A tensor in shared memory (Tensor.share_memory_(), Module.share_memory()) is the same memory in every process that gets
it, by fork, as an argument, or through a queue or pipe. Any other tensor arrives as a copy.
"""

import multiprocessing as _multiprocessing
import sys
from multiprocessing import *  # noqa: F403

# names that multiprocessing has and does not list
from multiprocessing import context, queues, reduction, resource_sharer  # noqa: E402,F401,I001

from . import _shared, reductions  # noqa: F401
from .spawn import (  # noqa: F401
    ProcessContext,
    ProcessException,
    ProcessExitedException,
    ProcessRaisedException,
    SpawnContext,
    spawn,
    start_processes,
)

_STRATEGY = "file_descriptor"


def get_all_sharing_strategies() -> set:
    return {_STRATEGY}


def get_sharing_strategy() -> str:
    """file_descriptor: shared memory is handed over as an open file."""
    return _STRATEGY


def set_sharing_strategy(new_strategy) -> None:
    """Accepts PyTorch's names; there is one way here."""
    if new_strategy not in ("file_descriptor", "file_system"):
        raise AssertionError(f"unknown sharing strategy {new_strategy!r}")


def __getattr__(name):
    if hasattr(_multiprocessing, name):
        return getattr(_multiprocessing, name)
    import importlib

    if name in ("pool", "queue"):
        return importlib.import_module("multiprocessing." + {"pool": "pool", "queue": "queues"}[name])
    if name.startswith("__"):  # the import system asks for some of every module
        raise AttributeError(name)
    from .._hook import missing

    raise missing.attribute(__name__, name)


sys.modules.setdefault(__name__ + ".context", context)
