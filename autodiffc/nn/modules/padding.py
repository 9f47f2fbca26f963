"""Padding layers. ``padding`` is an int for all sides or (left, right, top, bottom, front, back); negative amounts
cut. Shapes are ``(N, C, *)`` or ``(C, *)``.
"""
from __future__ import annotations

from typing import Any

from .. import functional as F
from .._base import Tensor
from .module import Module


def _sides(padding: Any, n: int) -> tuple:
    return tuple(padding) if isinstance(padding, (tuple, list)) else (padding,) * n


class _ConstantPadNd(Module):
    __constants__ = ["padding", "value"]
    _sides: int

    def __init__(self, padding: Any, value: float) -> None:
        super().__init__()
        self.padding = _sides(padding, self._sides)
        self.value = value

    def forward(self, input: Tensor) -> Tensor:
        return F.pad(input, self.padding, "constant", self.value)

    def extra_repr(self) -> str:
        return f"padding={self.padding}, value={self.value}"


class ConstantPad1d(_ConstantPadNd):
    """Pad the last dimension with ``value``."""

    _sides = 2


class ConstantPad2d(_ConstantPadNd):
    """Pad the last two dimensions with ``value``."""

    _sides = 4


class ConstantPad3d(_ConstantPadNd):
    """Pad the last three dimensions with ``value``."""

    _sides = 6


class _ZeroPad(_ConstantPadNd):
    def __init__(self, padding: Any) -> None:
        super().__init__(padding, 0.0)

    def extra_repr(self) -> str:
        return f"{self.padding}"


class ZeroPad1d(_ZeroPad, ConstantPad1d):
    """Pad the last dimension with zeros."""


class ZeroPad2d(_ZeroPad, ConstantPad2d):
    """Pad the last two dimensions with zeros."""


class ZeroPad3d(_ZeroPad, ConstantPad3d):
    """Pad the last three dimensions with zeros."""


class _EdgePadNd(Module):
    __constants__ = ["padding"]
    _sides: int
    _mode: str

    def __init__(self, padding: Any) -> None:
        super().__init__()
        self.padding = _sides(padding, self._sides)

    def forward(self, input: Tensor) -> Tensor:
        return F.pad(input, self.padding, self._mode)

    def extra_repr(self) -> str:
        return f"{self.padding}"


class _ReflectionPadNd(_EdgePadNd):
    _mode = "reflect"


class ReflectionPad1d(_ReflectionPadNd):
    """Pad the last dimension with its reflection at the edge."""

    _sides = 2


class ReflectionPad2d(_ReflectionPadNd):
    """Pad the last two dimensions with their reflections at the edges."""

    _sides = 4


class ReflectionPad3d(_ReflectionPadNd):
    """Pad the last three dimensions with their reflections at the edges."""

    _sides = 6


class _ReplicationPadNd(_EdgePadNd):
    _mode = "replicate"


class ReplicationPad1d(_ReplicationPadNd):
    """Pad the last dimension with what stands at the edge."""

    _sides = 2


class ReplicationPad2d(_ReplicationPadNd):
    """Pad the last two dimensions with what stands at the edges."""

    _sides = 4


class ReplicationPad3d(_ReplicationPadNd):
    """Pad the last three dimensions with what stands at the edges."""

    _sides = 6


class _CircularPadNd(_EdgePadNd):
    _mode = "circular"

    def forward(self, input: Tensor) -> Tensor:
        self._check_input_dim(input)
        return F.pad(input, self.padding, "circular")

    def _check_input_dim(self, input: Tensor) -> None:
        n = self._sides // 2
        if input.dim() not in (n + 1, n + 2):
            raise ValueError(f"expected {n + 1}D or {n + 2}D input (got {input.dim()}D input)")


class CircularPad1d(_CircularPadNd):
    """Pad the last dimension with its other end."""

    _sides = 2


class CircularPad2d(_CircularPadNd):
    """Pad the last two dimensions with their other ends."""

    _sides = 4


class CircularPad3d(_CircularPadNd):
    """Pad the last three dimensions with their other ends."""

    _sides = 6
