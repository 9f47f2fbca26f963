"""The continuous Bernoulli distribution."""
from __future__ import annotations

import math
from typing import Any

from .. import _ops as T
from .._dtype import Size
from ..autograd import no_grad
from ..nn.functional import binary_cross_entropy_with_logits
from ..tensor import Tensor
from . import constraints
from .bernoulli import BinaryParam
from .exp_family import ExponentialFamily
from .utils import broadcast_all, clamp_probs, lazy_property, logits_to_probs, probs_to_logits

__all__ = ["ContinuousBernoulli"]


class ContinuousBernoulli(BinaryParam, ExponentialFamily):
    """Numbers x of [0, 1] with density proportional to ``probs**x (1 - probs)**(1 - x)``.

    Near ``probs = 1/2``, between ``lims``, Taylor series take the place of the formulas. ValueError unless one of
    ``probs`` and ``logits`` is given. (Loaiza-Ganem and Cunningham, "The continuous Bernoulli", 2019.)
    """

    arg_constraints = {"probs": constraints.unit_interval, "logits": constraints.real}
    support = constraints.unit_interval
    has_rsample = True
    _mean_carrier_measure = 0

    def __init__(self, probs: Any = None, logits: Any = None, lims: tuple[float, float] = (0.499, 0.501),
                 validate_args: bool | None = None) -> None:
        number = self._set_binary(probs, logits)
        if probs is not None:
            if validate_args is not None and not self.arg_constraints["probs"].check(self.probs).all():
                raise ValueError("The parameter probs has invalid values")
            self.probs = clamp_probs(self.probs)
            self._param = self.probs
        self._lims = lims
        super().__init__(Size() if number else self._param.size(), validate_args=validate_args)

    def expand(self, batch_shape: Any, _instance: Any = None) -> ContinuousBernoulli:
        batch_shape = Size(batch_shape)
        return self._expanded(ContinuousBernoulli, _instance, batch_shape, _lims=self._lims,
                              **self._expanded_binary(batch_shape))

    def _outside_unstable_region(self) -> Tensor:
        return (self.probs <= self._lims[0]) | (self.probs > self._lims[1])

    def _cut_probs(self) -> Tensor:
        return T.where(self._outside_unstable_region(), self.probs, self._lims[0] * T.ones_like(self.probs))

    def _cont_bern_log_norm(self) -> Tensor:
        """The logarithm of the normalizing constant."""
        cut = self._cut_probs()
        below = T.where(cut <= 0.5, cut, T.zeros_like(cut))
        above = T.where(cut >= 0.5, cut, T.ones_like(cut))
        log_norm = T.log(T.abs(T.log1p(-cut) - T.log(cut))) - T.where(cut <= 0.5, T.log1p(-2.0 * below),
                                                                     T.log(2.0 * above - 1.0))
        x = T.pow(self.probs - 0.5, 2)
        taylor = math.log(2.0) + (4.0 / 3.0 + 104.0 / 45.0 * x) * x
        return T.where(self._outside_unstable_region(), log_norm, taylor)

    @property
    def mean(self) -> Tensor:
        cut = self._cut_probs()
        means = cut / (2.0 * cut - 1.0) + 1.0 / (T.log1p(-cut) - T.log(cut))
        x = self.probs - 0.5
        taylor = 0.5 + (1.0 / 3.0 + 16.0 / 45.0 * T.pow(x, 2)) * x
        return T.where(self._outside_unstable_region(), means, taylor)

    @property
    def stddev(self) -> Tensor:
        return T.sqrt(self.variance)

    @property
    def variance(self) -> Tensor:
        cut = self._cut_probs()
        variances = (cut * (cut - 1.0) / T.pow(1.0 - 2.0 * cut, 2)
                     + 1.0 / T.pow(T.log1p(-cut) - T.log(cut), 2))
        x = T.pow(self.probs - 0.5, 2)
        taylor = 1.0 / 12.0 - (1.0 / 15.0 - 128.0 / 945.0 * x) * x
        return T.where(self._outside_unstable_region(), variances, taylor)

    @lazy_property
    def logits(self) -> Tensor:
        """The log-odds."""
        return probs_to_logits(self.probs, is_binary=True)

    @lazy_property
    def probs(self) -> Tensor:
        """The parameter, kept off 0 and 1."""
        return clamp_probs(logits_to_probs(self.logits, is_binary=True))

    def sample(self, sample_shape: Any = Size()) -> Tensor:  # noqa: B008
        with no_grad():
            return self.rsample(sample_shape)

    def rsample(self, sample_shape: Any = Size()) -> Tensor:  # noqa: B008
        return self.icdf(T.rand(self._extended_shape(sample_shape), dtype=self.probs.dtype))

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        logits, value = broadcast_all(self.logits, value)
        return -binary_cross_entropy_with_logits(logits, value, reduction="none") + self._cont_bern_log_norm()

    def cdf(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        cut = self._cut_probs()
        cdfs = (T.pow(cut, value) * T.pow(1.0 - cut, 1.0 - value) + cut - 1.0) / (2.0 * cut - 1.0)
        inner = T.where(self._outside_unstable_region(), cdfs, value)
        return T.where(T.le(value, 0.0), T.zeros_like(value),
                       T.where(T.ge(value, 1.0), T.ones_like(value), inner))

    def icdf(self, value: Tensor) -> Tensor:
        cut = self._cut_probs()
        inner = (T.log1p(-cut + value * (2.0 * cut - 1.0)) - T.log1p(-cut)) / (T.log(cut) - T.log1p(-cut))
        return T.where(self._outside_unstable_region(), inner, value)

    def entropy(self) -> Tensor:
        log_left, log_right = T.log1p(-self.probs), T.log(self.probs)
        return self.mean * (log_left - log_right) - self._cont_bern_log_norm() - log_left

    @property
    def _natural_params(self) -> tuple[Tensor]:
        return (self.logits,)

    def _log_normalizer(self, x: Tensor) -> Tensor:
        outside = (x <= self._lims[0] - 0.5) | (x > self._lims[1] - 0.5)
        cut = T.where(outside, x, (self._lims[0] - 0.5) * T.ones_like(x))
        log_norm = T.log(T.abs(T.expm1(cut))) - T.log(T.abs(cut))
        taylor = 0.5 * x + T.pow(x, 2) / 24.0 - T.pow(x, 4) / 2880.0
        return T.where(outside, log_norm, taylor)
