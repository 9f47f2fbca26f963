"""What the distributions of absolute values have in common."""
from __future__ import annotations

import math
from typing import Any

from .. import _ops as T
from ..tensor import Tensor
from . import constraints
from .transformed_distribution import TransformedDistribution
from .transforms import AbsTransform

__all__: list[str] = []


class Half(TransformedDistribution):
    """The absolute value of numbers of a distribution around 0, ``of``: twice its density where not negative.

    ``scale``: a Tensor or number, positive; ValueError otherwise when arguments are validated. Samples, ``log_prob``
    and the moments have scale's batch shape and dtype; gradients go through samples.
    """

    arg_constraints = {"scale": constraints.positive}
    support = constraints.nonnegative
    has_rsample = True
    of: Any = None

    def __init__(self, scale: Any, validate_args: bool | None = None) -> None:
        super().__init__(type(self).of(0, scale, validate_args=False), AbsTransform(), validate_args=validate_args)

    @property
    def scale(self) -> Tensor:
        """The scale of the numbers around 0."""
        return self.base_dist.scale

    @property
    def mode(self) -> Tensor:
        return T.zeros_like(self.scale)

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        value = T.as_tensor(value, dtype=self.scale.dtype)
        return T.where(value >= 0, self.base_dist.log_prob(value) + math.log(2), -math.inf)

    def cdf(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        return 2 * self.base_dist.cdf(value) - 1

    def icdf(self, value: Tensor) -> Tensor:
        return self.base_dist.icdf((value + 1) / 2)

    def entropy(self) -> Tensor:
        return self.base_dist.entropy() - math.log(2)
