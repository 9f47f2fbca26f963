"""The generalized Pareto distribution."""
from __future__ import annotations

import math
from numbers import Number
from typing import Any

from .. import _ops as T
from .._dtype import Size
from ..tensor import Tensor
from . import constraints
from .distribution import Distribution
from .utils import broadcast_all

__all__ = ["GeneralizedPareto"]


class GeneralizedPareto(Distribution):
    """What exceeds a high threshold ``loc``: ``scale``, and the shape of the tail, ``concentration`` (Pickands, 1975).

    A concentration near 0 means an exponential tail, a negative one an end at ``loc - scale / concentration``.
    """

    arg_constraints = {"loc": constraints.real, "scale": constraints.positive, "concentration": constraints.real}
    has_rsample = True

    def __init__(self, loc: Any, scale: Any, concentration: Any, validate_args: bool | None = None) -> None:
        self.loc, self.scale, self.concentration = broadcast_all(loc, scale, concentration)
        numbers = isinstance(loc, Number) and isinstance(scale, Number) and isinstance(concentration, Number)
        super().__init__(Size() if numbers else self.loc.size(), validate_args=validate_args)

    def expand(self, batch_shape: Any, _instance: Any = None) -> GeneralizedPareto:
        batch_shape = Size(batch_shape)
        return self._expanded(GeneralizedPareto, _instance, batch_shape,
                              **self._expanded_params(("loc", "scale", "concentration"), batch_shape))

    def rsample(self, sample_shape: Any = Size()) -> Tensor:  # noqa: B008
        return self.icdf(T.rand(self._extended_shape(sample_shape), dtype=self.loc.dtype))

    def _flat(self) -> Tensor:
        """Where the concentration is as good as 0."""
        return T.isclose(self.concentration, T.zeros_like(self.concentration))

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        z = (value - self.loc) / self.scale
        flat = self._flat()
        c = T.where(flat, T.ones_like(self.concentration), self.concentration)
        y = 1 / c + T.ones_like(z)
        inside = T.where(y == 0, y, y * T.log1p(c * z))
        return -self.scale.log() - T.where(flat, z, inside)

    def log_survival_function(self, value: Tensor) -> Tensor:
        """log(1 - cdf(value))"""
        if self._validate_args:
            self._validate_sample(value)
        z = (value - self.loc) / self.scale
        flat = self._flat()
        c = T.where(flat, T.ones_like(self.concentration), self.concentration)
        return T.where(flat, -z, -T.log1p(c * z) / c)

    def log_cdf(self, value: Tensor) -> Tensor:
        """log(cdf(value))"""
        return T.log1p(-T.exp(self.log_survival_function(value)))

    def cdf(self, value: Tensor) -> Tensor:
        return T.exp(self.log_cdf(value))

    def icdf(self, value: Tensor) -> Tensor:
        flat = self._flat()
        c = T.where(flat, T.ones_like(self.concentration), self.concentration)
        logu = T.log1p(-value)
        return T.where(flat, self.loc - self.scale * logu, self.loc + self.scale * T.expm1(-c * logu) / c)

    @property
    def mean(self) -> Tensor:
        fine = self.concentration < 1
        c = T.where(fine, self.concentration, 0.5)
        return T.where(fine, self.loc + self.scale / (1 - c), math.nan)

    @property
    def variance(self) -> Tensor:
        fine = self.concentration < 0.5
        c = T.where(fine, self.concentration, 0.25)
        return T.where(fine, self.scale**2 / ((1 - c) ** 2 * (1 - 2 * c)), math.nan)

    def entropy(self) -> Tensor:
        return (T.log(self.scale) + self.concentration + 1).expand(self._batch_shape)

    @property
    def mode(self) -> Tensor:
        return self.loc

    @constraints.dependent_property(is_discrete=False, event_dim=0)
    def support(self) -> Any:
        lower = self.loc
        upper = T.where(self.concentration < 0, lower - self.scale / self.concentration, math.inf)
        return constraints.interval(lower, upper) if (self.concentration < 0).any() else constraints.greater_than_eq(
            lower)
