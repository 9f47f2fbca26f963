"""The Dirichlet distribution."""
from __future__ import annotations

from typing import Any

from .. import _ops as T
from .._dtype import Size
from ..tensor import Tensor
from . import constraints
from .exp_family import ExponentialFamily

__all__ = ["Dirichlet"]


class Dirichlet(ExponentialFamily):
    """Probabilities that sum to 1 along the last dimension, with parameters ``concentration``.

    ValueError without a dimension.
    """

    arg_constraints = {"concentration": constraints.independent(constraints.positive, 1)}
    support = constraints.simplex
    has_rsample = True

    def __init__(self, concentration: Tensor, validate_args: bool | None = None) -> None:
        if concentration.dim() < 1:
            raise ValueError("`concentration` parameter must be at least one-dimensional.")
        self.concentration = concentration
        shape = concentration.shape
        super().__init__(shape[:-1], shape[-1:], validate_args=validate_args)

    def expand(self, batch_shape: Any, _instance: Any = None) -> Dirichlet:
        batch_shape = Size(batch_shape)
        return self._expanded(Dirichlet, _instance, batch_shape, self.event_shape,
                              **self._expanded_params(("concentration",), batch_shape, self.event_shape))

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        return T._sample_dirichlet(self.concentration.expand(self._extended_shape(sample_shape)))

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        return (T.xlogy(self.concentration - 1.0, value).sum(-1) + T.lgamma(self.concentration.sum(-1))
                - T.lgamma(self.concentration).sum(-1))

    @property
    def mean(self) -> Tensor:
        return self.concentration / self.concentration.sum(-1, True)

    @property
    def mode(self) -> Tensor:
        less = (self.concentration - 1).clamp(min=0.0)
        mode = less / less.sum(-1, True)
        corner = (self.concentration < 1).all(dim=-1)
        if corner.any():
            from ..nn.functional import one_hot
            largest = one_hot(mode[corner].argmax(dim=-1), self.concentration.shape[-1]).to(mode)
            mode[corner] = largest
        return mode

    @property
    def variance(self) -> Tensor:
        total = self.concentration.sum(-1, True)
        return self.concentration * (total - self.concentration) / (total.pow(2) * (total + 1))

    def entropy(self) -> Tensor:
        k = self.concentration.size(-1)
        total = self.concentration.sum(-1)
        return (T.lgamma(self.concentration).sum(-1) - T.lgamma(total) - (k - total) * T.digamma(total)
                - ((self.concentration - 1.0) * T.digamma(self.concentration)).sum(-1))

    @property
    def _natural_params(self) -> tuple[Tensor]:
        return (self.concentration,)

    def _log_normalizer(self, x: Tensor) -> Tensor:
        return x.lgamma().sum(-1) - T.lgamma(x.sum(-1))
