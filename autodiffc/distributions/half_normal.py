"""The half-normal distribution."""
from __future__ import annotations

import math
from typing import Any

from ..tensor import Tensor
from ._half import Half
from .normal import Normal

__all__ = ["HalfNormal"]


class HalfNormal(Half):
    """The absolute value of normal numbers around 0 with standard deviation ``scale``: a positive Tensor or number.

    ValueError for another scale when arguments are validated. Results have scale's batch shape and dtype.
    """

    of = Normal

    def expand(self, batch_shape: Any, _instance: Any = None) -> HalfNormal:
        return super().expand(batch_shape, _instance=self._get_checked_instance(HalfNormal, _instance))

    @property
    def mean(self) -> Tensor:
        return self.scale * math.sqrt(2 / math.pi)

    @property
    def variance(self) -> Tensor:
        return self.scale.pow(2) * (1 - 2 / math.pi)
