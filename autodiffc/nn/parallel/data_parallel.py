"""DataParallel."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..modules.module import Module

__all__ = ["DataParallel", "data_parallel"]


class DataParallel(Module):
    """Calls ``module``, as PyTorch does where there is no accelerator. State names start with ``module.``."""

    def __init__(self, module: Module, device_ids: Sequence | None = None, output_device: Any = None,
                 dim: int = 0) -> None:
        super().__init__()
        self.module = module
        self.device_ids: list = []

    def forward(self, *inputs: Any, **kwargs: Any) -> Any:
        return self.module(*inputs, **kwargs)

    def replicate(self, module: Module, device_ids: Sequence) -> list:
        """Copies of the module: AssertionError, as there is no device to put them on."""
        from .scatter_gather import replicate
        return replicate(module, device_ids)


def data_parallel(module: Module, inputs: Any, device_ids: Sequence | None = None, output_device: Any = None,
                  dim: int = 0, module_kwargs: dict | None = None) -> Any:
    """RuntimeError: there is no accelerator. Call the module itself."""
    raise RuntimeError("device type could not be determined: data_parallel() needs an accelerator; call the module "
                       "itself")
