"""Moving tensors between devices: refused, as there is one."""
from __future__ import annotations

from typing import Any, NoReturn

__all__ = ["gather", "parallel_apply", "replicate", "scatter"]


def scatter(inputs: Any, target_gpus: Any, dim: int = 0) -> NoReturn:
    """ValueError: there is no device but the CPU."""
    raise ValueError(f"Expected a non cpu device, but got: {target_gpus}: scatter() needs accelerators")


def gather(outputs: Any, target_device: Any, dim: int = 0) -> NoReturn:
    """AssertionError: tensors are on the CPU."""
    raise AssertionError("Gather function not implemented for CPU tensors")


def replicate(network: Any, devices: Any, detach: bool = False) -> NoReturn:
    """AssertionError: tensors are on the CPU."""
    raise AssertionError("Broadcast function not implemented for CPU tensors")


def parallel_apply(modules: Any, inputs: Any, kwargs_tup: Any = None, devices: Any = None) -> NoReturn:
    """RuntimeError: there is no accelerator."""
    raise RuntimeError("Cannot access accelerator device when none is available.")
