"""The half-Cauchy distribution."""
from __future__ import annotations

import math
from typing import Any

from .. import _ops as T
from ..tensor import Tensor
from ._half import Half
from .cauchy import Cauchy

__all__ = ["HalfCauchy"]


class HalfCauchy(Half):
    """The absolute value of Cauchy numbers around 0 with ``scale``: a positive Tensor or number.

    ValueError for another scale when arguments are validated. Results have scale's batch shape and dtype; the mean and
    the variance are infinite.
    """

    of = Cauchy

    def expand(self, batch_shape: Any, _instance: Any = None) -> HalfCauchy:
        return super().expand(batch_shape, _instance=self._get_checked_instance(HalfCauchy, _instance))

    @property
    def mean(self) -> Tensor:
        return T.full(self._extended_shape(), math.inf, dtype=self.scale.dtype)

    @property
    def variance(self) -> Tensor:
        return self.base_dist.variance
