"""Layouts of convolution weights: accepted and without effect, as the convolutions here read contiguous weights."""
from __future__ import annotations

from typing import Any

__all__ = ["convert_conv2d_weight_memory_format", "convert_conv3d_weight_memory_format"]


def convert_conv2d_weight_memory_format(module: Any, memory_format: Any) -> Any:
    """``module``, whose values do not depend on the layout of its weights."""
    return module


def convert_conv3d_weight_memory_format(module: Any, memory_format: Any) -> Any:
    """``module``, whose values do not depend on the layout of its weights."""
    return module
