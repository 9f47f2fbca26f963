"""The Bernoulli distribution."""
from __future__ import annotations

from numbers import Number
from typing import Any

from .. import _ops as T
from .._dtype import Size
from ..autograd import no_grad
from ..nn.functional import binary_cross_entropy_with_logits
from ..tensor import Tensor
from . import constraints
from .exp_family import ExponentialFamily
from .utils import broadcast_all, lazy_property, logits_to_probs, probs_to_logits

__all__ = ["Bernoulli"]


class BinaryParam:
    """What distributions with one of ``probs`` and ``logits`` of a yes or no share."""

    def _set_binary(self, probs: Any, logits: Any) -> bool:
        """Takes the one that is given, as a tensor; whether it was a number."""
        if (probs is None) == (logits is None):
            raise ValueError("Either `probs` or `logits` must be specified, but not both.")
        if probs is not None:
            (self.probs,) = broadcast_all(probs)
            self._param = self.probs
            return isinstance(probs, Number)
        (self.logits,) = broadcast_all(logits)
        self._param = self.logits
        return isinstance(logits, Number)

    def _expanded_binary(self, batch_shape: Any, *more: str) -> dict:
        own = self._expanded_params(("probs", "logits", *more), batch_shape)
        return {**own, "_param": own["probs"] if "probs" in own else own["logits"]}

    @lazy_property
    def logits(self) -> Tensor:
        """The log-odds."""
        return probs_to_logits(self.probs, is_binary=True)

    @lazy_property
    def probs(self) -> Tensor:
        """The probability of a yes."""
        return logits_to_probs(self.logits, is_binary=True)

    @property
    def param_shape(self) -> Size:
        """The size of the parameter."""
        return self._param.size()


class Bernoulli(BinaryParam, ExponentialFamily):
    """1 with probability ``probs`` or log-odds ``logits``, else 0. ValueError unless one of the two is given."""

    arg_constraints = {"probs": constraints.unit_interval, "logits": constraints.real}
    support = constraints.boolean
    has_enumerate_support = True
    _mean_carrier_measure = 0

    def __init__(self, probs: Any = None, logits: Any = None, validate_args: bool | None = None) -> None:
        number = self._set_binary(probs, logits)
        super().__init__(Size() if number else self._param.size(), validate_args=validate_args)

    def expand(self, batch_shape: Any, _instance: Any = None) -> Bernoulli:
        batch_shape = Size(batch_shape)
        return self._expanded(Bernoulli, _instance, batch_shape, **self._expanded_binary(batch_shape))

    @property
    def mean(self) -> Tensor:
        return self.probs

    @property
    def mode(self) -> Tensor:
        mode = (self.probs >= 0.5).to(self.probs)
        mode[self.probs == 0.5] = float("nan")
        return mode

    @property
    def variance(self) -> Tensor:
        return self.probs * (1 - self.probs)

    def sample(self, sample_shape: Any = Size()) -> Tensor:  # noqa: B008
        shape = self._extended_shape(sample_shape)
        with no_grad():
            return T.bernoulli(self.probs.expand(shape))

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        logits, value = broadcast_all(self.logits, value)
        return -binary_cross_entropy_with_logits(logits, value, reduction="none")

    def entropy(self) -> Tensor:
        return binary_cross_entropy_with_logits(self.logits, self.probs, reduction="none")

    def enumerate_support(self, expand: bool = True) -> Tensor:
        values = T.arange(2, dtype=self._param.dtype).view((-1, *(1,) * len(self._batch_shape)))
        return values.expand((-1, *self._batch_shape)) if expand else values

    @property
    def _natural_params(self) -> tuple[Tensor]:
        return (T.logit(self.probs),)

    def _log_normalizer(self, x: Tensor) -> Tensor:
        return T.log1p(T.exp(x))
