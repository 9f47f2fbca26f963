"""Distributions of an exponential family."""
from __future__ import annotations

from typing import Any

from ..autograd import enable_grad, grad
from ..tensor import Tensor
from .distribution import Distribution

__all__ = ["ExponentialFamily"]


class ExponentialFamily(Distribution):
    """A density ``exp(<t(x), theta> - F(theta) + k(x))``.

    ``_natural_params`` are theta, ``_log_normalizer(*theta)`` is F, ``_mean_carrier_measure`` the mean of k.
    """

    @property
    def _natural_params(self) -> tuple[Tensor, ...]:
        raise NotImplementedError

    def _log_normalizer(self, *natural_params: Tensor) -> Tensor:
        raise NotImplementedError

    @property
    def _mean_carrier_measure(self) -> Any:
        raise NotImplementedError

    def entropy(self) -> Tensor:
        """From the log normalizer and its gradient (Nielsen and Nock, "Entropies and cross-entropies of exponential
        families", 2010).
        """
        result = -self._mean_carrier_measure
        with enable_grad():
            theta = [p.detach().requires_grad_() for p in self._natural_params]
            normalizer = self._log_normalizer(*theta)
            gradients = grad(normalizer.sum(), theta, create_graph=True)
        result += normalizer
        for p, g in zip(theta, gradients):
            result -= (p * g).reshape((*self._batch_shape, -1)).sum(-1)
        return result
