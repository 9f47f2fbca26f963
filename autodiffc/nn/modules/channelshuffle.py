"""Channels dealt out in turn."""
from __future__ import annotations

from .. import functional as F
from .._base import Tensor
from .module import Module


class ChannelShuffle(Module):
    """:func:`~autodiffc.nn.functional.channel_shuffle` of ``(N, C, *)``."""

    __constants__ = ["groups"]

    def __init__(self, groups: int) -> None:
        super().__init__()
        self.groups = groups

    def forward(self, input: Tensor) -> Tensor:
        return F.channel_shuffle(input, self.groups)

    def extra_repr(self) -> str:
        return f"groups={self.groups}"
