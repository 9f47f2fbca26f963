"""Student's t distribution."""
from __future__ import annotations

import math
from typing import Any

from .. import _ops as T
from .._dtype import Size
from ..tensor import Tensor
from . import constraints
from .chi2 import Chi2
from .distribution import Distribution
from .utils import _standard_normal, broadcast_all

__all__ = ["StudentT"]


class StudentT(Distribution):
    """``loc + scale t`` with t of ``df`` degrees of freedom.

    Parameters are Tensors or numbers that broadcast to ``batch_shape``; ``df`` and ``scale`` are positive
    (ValueError otherwise, while arguments are validated). Samples and results have their dtype, and the shape
    ``(*sample_shape, *batch_shape)``.
    """

    arg_constraints = {"df": constraints.positive, "loc": constraints.real, "scale": constraints.positive}
    support = constraints.real
    has_rsample = True

    def __init__(self, df: Any, loc: Any = 0.0, scale: Any = 1.0, validate_args: bool | None = None) -> None:
        self.df, self.loc, self.scale = broadcast_all(df, loc, scale)
        self._chi2 = Chi2(self.df)
        super().__init__(self.df.size(), validate_args=validate_args)

    @property
    def mean(self) -> Tensor:
        mean = self.loc.clone()
        mean[self.df <= 1] = math.nan
        return mean

    @property
    def mode(self) -> Tensor:
        return self.loc

    @property
    def variance(self) -> Tensor:
        variance = self.df.clone()
        high, middle = self.df > 2, (self.df <= 2) & (self.df > 1)
        variance[high] = self.scale[high].pow(2) * self.df[high] / (self.df[high] - 2)
        variance[middle] = math.inf
        variance[self.df <= 1] = math.nan
        return variance

    def expand(self, batch_shape: Any, _instance: Any = None) -> StudentT:
        batch_shape = Size(batch_shape)
        return self._expanded(StudentT, _instance, batch_shape, _chi2=self._chi2.expand(batch_shape),
                              **self._expanded_params(("df", "loc", "scale"), batch_shape))

    def rsample(self, sample_shape: Any = Size()) -> Tensor:  # noqa: B008
        shape = self._extended_shape(sample_shape)
        x = _standard_normal(shape, dtype=self.df.dtype)
        z = self._chi2.rsample(sample_shape)
        return self.loc + self.scale * (x * T.rsqrt(z / self.df))

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        y = (value - self.loc) / self.scale
        normalizer = (self.scale.log() + 0.5 * self.df.log() + 0.5 * math.log(math.pi) + T.lgamma(0.5 * self.df)
                      - T.lgamma(0.5 * (self.df + 1.0)))
        return -0.5 * (self.df + 1.0) * T.log1p(y**2.0 / self.df) - normalizer

    def entropy(self) -> Tensor:
        log_beta = T.lgamma(0.5 * self.df) + math.lgamma(0.5) - T.lgamma(0.5 * (self.df + 1))
        return (self.scale.log() + 0.5 * (self.df + 1) * (T.digamma(0.5 * (self.df + 1)) - T.digamma(0.5 * self.df))
                + 0.5 * self.df.log() + log_beta)
