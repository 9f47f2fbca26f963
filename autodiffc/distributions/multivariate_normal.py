"""The multivariate normal distribution."""
from __future__ import annotations

import math
from typing import Any

from .. import _ops as T
from .. import linalg
from .._dtype import Size
from ..tensor import Tensor
from . import constraints
from .distribution import Distribution
from .utils import _standard_normal, lazy_property

__all__ = ["MultivariateNormal"]


def _batch_mv(bmat: Tensor, bvec: Tensor) -> Tensor:
    """The products of matrices and vectors."""
    return T.matmul(bmat, bvec.unsqueeze(-1)).squeeze(-1)


def _batch_mahalanobis(bL: Tensor, bx: Tensor) -> Tensor:
    """``x' M^-1 x`` with ``M = L L'``; L and x broadcast."""
    if bL.dim() == 2:   # one matrix: all vectors in one call
        solved = linalg.solve_triangular(bL, bx.reshape(-1, bx.shape[-1]).t(), upper=False)
        return solved.pow(2).sum(0).reshape(bx.shape[:-1])
    shape = T.broadcast_shapes(bL.shape[:-2], bx.shape[:-1])
    solved = linalg.solve_triangular(bL.expand((*shape, *bL.shape[-2:])),
                                     bx.expand((*shape, bx.shape[-1])).unsqueeze(-1), upper=False)
    return solved.squeeze(-1).pow(2).sum(-1)


def _precision_to_scale_tril(P: Tensor) -> Tensor:
    """The Cholesky factor of the inverse of P."""
    flipped = linalg.cholesky(T.flip(P, (-2, -1)))
    inverse = T.transpose(T.flip(flipped, (-2, -1)), -2, -1)
    return linalg.solve_triangular(inverse, T.eye(P.shape[-1], dtype=P.dtype).expand(P.shape), upper=False)


def _cholesky_inverse(scale_tril: Tensor) -> Tensor:
    """The inverse of ``L L'``."""
    inverse = linalg.solve_triangular(scale_tril, T.eye(scale_tril.shape[-1], dtype=scale_tril.dtype)
                                      .expand(scale_tril.shape), upper=False)
    return inverse.mT @ inverse


class MultivariateNormal(Distribution):
    """Vectors with mean ``loc`` and a positive definite covariance, given as one of ``covariance_matrix``,
    ``precision_matrix`` and ``scale_tril``, its Cholesky factor.

    ValueError unless exactly one of the three is given, and for too few dimensions.
    """

    arg_constraints = {"loc": constraints.real_vector, "covariance_matrix": constraints.positive_definite,
                       "precision_matrix": constraints.positive_definite, "scale_tril": constraints.lower_cholesky}
    support = constraints.real_vector
    has_rsample = True

    def __init__(self, loc: Tensor, covariance_matrix: Tensor | None = None, precision_matrix: Tensor | None = None,
                 scale_tril: Tensor | None = None, validate_args: bool | None = None) -> None:
        if loc.dim() < 1:
            raise ValueError("loc must be at least one-dimensional.")
        given = [(name, m) for name, m in (("scale_tril", scale_tril), ("covariance_matrix", covariance_matrix),
                                           ("precision_matrix", precision_matrix)) if m is not None]
        if len(given) != 1:
            raise ValueError("Exactly one of covariance_matrix or precision_matrix or scale_tril may be specified.")
        (name, matrix), = given
        if matrix.dim() < 2:
            raise ValueError(f"{name} must be at least two-dimensional, with optional leading batch dimensions")
        batch_shape = Size(T.broadcast_shapes(matrix.shape[:-2], loc.shape[:-1]))
        setattr(self, name, matrix.expand((*batch_shape, *matrix.shape[-2:])))
        self.loc = loc.expand((*batch_shape, loc.shape[-1]))
        super().__init__(batch_shape, Size(self.loc.shape[-1:]), validate_args=validate_args)
        if scale_tril is not None:
            self._unbroadcasted_scale_tril = scale_tril
        elif covariance_matrix is not None:
            self._unbroadcasted_scale_tril = linalg.cholesky(covariance_matrix)
        else:
            self._unbroadcasted_scale_tril = _precision_to_scale_tril(precision_matrix)

    def expand(self, batch_shape: Any, _instance: Any = None) -> MultivariateNormal:
        batch_shape = Size(batch_shape)
        n = self.event_shape[0]
        own = self._expanded_params(("covariance_matrix", "scale_tril", "precision_matrix"), batch_shape, (n, n))
        return self._expanded(MultivariateNormal, _instance, batch_shape, self.event_shape,
                              loc=self.loc.expand((*batch_shape, n)),
                              _unbroadcasted_scale_tril=self._unbroadcasted_scale_tril, **own)

    def _matrices(self, matrix: Tensor) -> Tensor:
        return matrix.expand((*self._batch_shape, *self._event_shape, *self._event_shape))

    @lazy_property
    def scale_tril(self) -> Tensor:
        """The Cholesky factor of the covariance."""
        return self._matrices(self._unbroadcasted_scale_tril)

    @lazy_property
    def covariance_matrix(self) -> Tensor:
        """The covariance."""
        return self._matrices(self._unbroadcasted_scale_tril @ self._unbroadcasted_scale_tril.mT)

    @lazy_property
    def precision_matrix(self) -> Tensor:
        """The inverse of the covariance."""
        return self._matrices(_cholesky_inverse(self._unbroadcasted_scale_tril))

    @property
    def mean(self) -> Tensor:
        return self.loc

    @property
    def mode(self) -> Tensor:
        return self.loc

    @property
    def variance(self) -> Tensor:
        return self._unbroadcasted_scale_tril.pow(2).sum(-1).expand((*self._batch_shape, *self._event_shape))

    def rsample(self, sample_shape: Any = Size()) -> Tensor:  # noqa: B008
        eps = _standard_normal(self._extended_shape(sample_shape), dtype=self.loc.dtype)
        return self.loc + _batch_mv(self._unbroadcasted_scale_tril, eps)

    def _half_log_det(self) -> Tensor:
        return self._unbroadcasted_scale_tril.diagonal(dim1=-2, dim2=-1).log().sum(-1)

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        distance = _batch_mahalanobis(self._unbroadcasted_scale_tril, value - self.loc)
        return -0.5 * (self._event_shape[0] * math.log(2 * math.pi) + distance) - self._half_log_det()

    def entropy(self) -> Tensor:
        entropy = 0.5 * self._event_shape[0] * (1.0 + math.log(2 * math.pi)) + self._half_log_det()
        return entropy if len(self._batch_shape) == 0 else entropy.expand(self._batch_shape)
