"""The geometric distribution."""
from __future__ import annotations

from typing import Any

from .. import _ops as T
from .._dtype import Size
from .._dtype_info import finfo
from ..autograd import no_grad
from ..nn.functional import binary_cross_entropy_with_logits
from ..tensor import Tensor
from . import constraints
from .bernoulli import BinaryParam
from .distribution import Distribution
from .utils import broadcast_all

__all__ = ["Geometric"]


class Geometric(BinaryParam, Distribution):
    """How many failures there are before the first success, which has probability ``probs`` or log-odds ``logits``.

    ValueError unless one of the two is given, and for probabilities of 0.
    """

    arg_constraints = {"probs": constraints.unit_interval, "logits": constraints.real}
    support = constraints.nonnegative_integer

    def __init__(self, probs: Any = None, logits: Any = None, validate_args: bool | None = None) -> None:
        number = self._set_binary(probs, logits)
        super().__init__(Size() if number else self._param.size(), validate_args=validate_args)
        if self._validate_args and probs is not None:
            value = self.probs
            if not (value > 0).all():
                wrong = value.data[~(value > 0)]
                raise ValueError(f"Expected parameter probs ({type(value).__name__} of shape {tuple(value.shape)}) of "
                                 f"distribution {self!r} to be positive but found invalid values:\n{wrong}")

    def expand(self, batch_shape: Any, _instance: Any = None) -> Geometric:
        batch_shape = Size(batch_shape)
        own = self._expanded_binary(batch_shape)
        return self._expanded(Geometric, _instance, batch_shape, **own)

    @property
    def mean(self) -> Tensor:
        return 1.0 / self.probs - 1.0

    @property
    def mode(self) -> Tensor:
        return T.zeros_like(self.probs)

    @property
    def variance(self) -> Tensor:
        return (1.0 / self.probs - 1.0) / self.probs

    def sample(self, sample_shape: Any = Size()) -> Tensor:  # noqa: B008
        shape, tiny = self._extended_shape(sample_shape), finfo(self.probs.dtype).tiny
        with no_grad():
            u = T.empty(shape, dtype=self.probs.dtype).uniform_(tiny, 1)
            return (u.log() / (-self.probs).log1p()).floor()

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        value, probs = broadcast_all(value, self.probs)
        probs = probs.clone()
        probs[(probs == 1) & (value == 0)] = 0
        return value * (-probs).log1p() + self.probs.log()

    def entropy(self) -> Tensor:
        return binary_cross_entropy_with_logits(self.logits, self.probs, reduction="none") / self.probs
