"""Wrappers that spread a module over devices: on one CPU they run it as it is."""

from .data_parallel import DataParallel, data_parallel  # noqa: F401
from .distributed import DistributedDataParallel  # noqa: F401
from .scatter_gather import gather, scatter  # noqa: F401

_SUBMODULES = ("comm", "parallel_apply", "replicate")


def replicate(network, devices, detach=False):
    """AssertionError: there are no devices to copy a module to."""
    raise AssertionError("Torch not compiled with CUDA enabled")


def parallel_apply(modules, inputs, kwargs_tup=None, devices=None) -> list:
    """modules[k](*inputs[k], **kwargs_tup[k]), one after the other."""
    kwargs_tup = kwargs_tup or [{}] * len(modules)
    return [m(*(i if isinstance(i, (tuple, list)) else (i,)), **k) for m, i, k in zip(modules, inputs, kwargs_tup)]


def __getattr__(name):
    if name.startswith("__"):  # the import system asks for some of every module
        raise AttributeError(name)
    from ..._hook import missing

    raise missing.attribute(__name__, name)
