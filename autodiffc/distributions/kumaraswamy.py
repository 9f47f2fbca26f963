"""The Kumaraswamy distribution."""
from __future__ import annotations

from typing import Any

from .. import _ops as T
from ..tensor import Tensor
from . import constraints
from .transformed_distribution import TransformedDistribution
from .transforms import AffineTransform, PowerTransform
from .uniform import Uniform
from .utils import broadcast_all, euler_constant

__all__ = ["Kumaraswamy"]


def _kumaraswamy_moment(a: Tensor, b: Tensor, n: int) -> Tensor:
    """The n-th moment."""
    first = 1 + n / a
    return T.exp(b.log() + T.lgamma(first) + T.lgamma(b) - T.lgamma(first + b))


class Kumaraswamy(TransformedDistribution):
    """``(1 - u**(1 / concentration0))**(1 / concentration1)`` for uniform u: much like a beta distribution.

    Parameters are Tensors or numbers that broadcast to ``batch_shape``; ``concentration1`` and ``concentration0``
    are positive (ValueError otherwise, while arguments are validated). Samples and results have their dtype, and
    the shape ``(*sample_shape, *batch_shape)``.
    """

    arg_constraints = {"concentration1": constraints.positive, "concentration0": constraints.positive}
    support = constraints.unit_interval
    has_rsample = True

    def __init__(self, concentration1: Any, concentration0: Any, validate_args: bool | None = None) -> None:
        self.concentration1, self.concentration0 = broadcast_all(concentration1, concentration0)
        base = Uniform(T.full_like(self.concentration0, 0), T.full_like(self.concentration0, 1),
                       validate_args=validate_args)
        transforms = [PowerTransform(exponent=self.concentration0.reciprocal()), AffineTransform(loc=1.0, scale=-1.0),
                      PowerTransform(exponent=self.concentration1.reciprocal())]
        super().__init__(base, transforms, validate_args=validate_args)

    def expand(self, batch_shape: Any, _instance: Any = None) -> Kumaraswamy:
        new = self._get_checked_instance(Kumaraswamy, _instance)
        new.concentration1 = self.concentration1.expand(batch_shape)
        new.concentration0 = self.concentration0.expand(batch_shape)
        return super().expand(batch_shape, _instance=new)

    @property
    def mean(self) -> Tensor:
        return _kumaraswamy_moment(self.concentration1, self.concentration0, 1)

    @property
    def mode(self) -> Tensor:
        log_mode = (self.concentration0.reciprocal() * (-self.concentration0).log1p()
                    - (-self.concentration0 * self.concentration1).log1p())
        log_mode[(self.concentration0 < 1) | (self.concentration1 < 1)] = float("nan")
        return log_mode.exp()

    @property
    def variance(self) -> Tensor:
        return _kumaraswamy_moment(self.concentration1, self.concentration0, 2) - T.pow(self.mean, 2)

    def entropy(self) -> Tensor:
        t1, t0 = 1 - self.concentration1.reciprocal(), 1 - self.concentration0.reciprocal()
        harmonic = T.digamma(self.concentration0 + 1) + euler_constant
        return t0 + t1 * harmonic - T.log(self.concentration1) - T.log(self.concentration0)
