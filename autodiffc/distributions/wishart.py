"""The Wishart distribution."""
from __future__ import annotations

import math
import warnings
from numbers import Number
from typing import Any

from .. import _ops as T
from .. import linalg
from .._dtype import Size
from ..tensor import Tensor
from . import Chi2, constraints
from .exp_family import ExponentialFamily
from .multivariate_normal import _cholesky_inverse, _precision_to_scale_tril
from .utils import lazy_property

__all__ = ["Wishart"]


def _mvdigamma(x: Tensor, p: int) -> Tensor:
    """The derivative of the logarithm of the multivariate gamma function."""
    return T.digamma(x.unsqueeze(-1) - T.arange(p, dtype=x.dtype).div(2).expand((*x.shape, p))).sum(-1)


class Wishart(ExponentialFamily):
    """Sums of ``df`` outer products of normal vectors, whose covariance is given as one of ``covariance_matrix``,
    ``precision_matrix`` and ``scale_tril``.

    ValueError unless exactly one of the three is given, and for ``df`` of at most the dimension less one.
    """

    support = constraints.positive_definite
    has_rsample = True
    _mean_carrier_measure = 0

    @property
    def arg_constraints(self) -> dict:
        return {"covariance_matrix": constraints.positive_definite, "precision_matrix": constraints.positive_definite,
                "scale_tril": constraints.lower_cholesky, "df": constraints.greater_than(self.event_shape[-1] - 1)}

    def __init__(self, df: Any, covariance_matrix: Tensor | None = None, precision_matrix: Tensor | None = None,
                 scale_tril: Tensor | None = None, validate_args: bool | None = None) -> None:
        given = [(name, m) for name, m in (("scale_tril", scale_tril), ("covariance_matrix", covariance_matrix),
                                           ("precision_matrix", precision_matrix)) if m is not None]
        if len(given) != 1:
            raise ValueError("Exactly one of covariance_matrix or precision_matrix or scale_tril may be specified.")
        (name, matrix), = given
        if matrix.dim() < 2:
            raise ValueError("scale_tril must be at least two-dimensional, with optional leading batch dimensions")
        df = T.tensor(df, dtype=matrix.dtype) if isinstance(df, Number) else df
        batch_shape = Size(T.broadcast_shapes(matrix.shape[:-2], df.shape))
        event_shape = Size(matrix.shape[-2:])
        self.df = df.expand(batch_shape)
        if self.df.le(event_shape[-1] - 1).any():
            raise ValueError(f"Value of df={df} expected to be greater than ndim - 1 = {event_shape[-1] - 1}.")
        setattr(self, name, matrix.expand((*batch_shape, *event_shape)))
        if self.df.lt(event_shape[-1]).any():
            warnings.warn("Low df values detected. Singular samples are highly likely to occur for ndim - 1 < df < "
                          "ndim.", stacklevel=2)
        super().__init__(batch_shape, event_shape, validate_args=validate_args)
        self._batch_dims = [-(x + 1) for x in range(len(self._batch_shape))]
        if scale_tril is not None:
            self._unbroadcasted_scale_tril = scale_tril
        elif covariance_matrix is not None:
            self._unbroadcasted_scale_tril = linalg.cholesky(covariance_matrix)
        else:
            self._unbroadcasted_scale_tril = _precision_to_scale_tril(precision_matrix)
        self._dist_chi2 = Chi2(df=self.df.unsqueeze(-1) - T.arange(event_shape[-1], dtype=matrix.dtype)
                               .expand((*batch_shape, event_shape[-1])))

    def expand(self, batch_shape: Any, _instance: Any = None) -> Wishart:
        batch_shape = Size(batch_shape)
        own = self._expanded_params(("covariance_matrix", "scale_tril", "precision_matrix"), batch_shape,
                                    self.event_shape)
        n = self.event_shape[-1]
        new = self._get_checked_instance(Wishart, _instance)
        new.df = self.df.expand(batch_shape)
        new._batch_dims = [-(x + 1) for x in range(len(batch_shape))]
        new._unbroadcasted_scale_tril = self._unbroadcasted_scale_tril
        new._dist_chi2 = self._dist_chi2.expand((*batch_shape, n))
        return self._expanded(Wishart, new, batch_shape, self.event_shape, **own)

    def _matrices(self, matrix: Tensor) -> Tensor:
        return matrix.expand((*self._batch_shape, *self._event_shape))

    @lazy_property
    def scale_tril(self) -> Tensor:
        """The Cholesky factor of the vectors' covariance."""
        return self._matrices(self._unbroadcasted_scale_tril)

    @lazy_property
    def covariance_matrix(self) -> Tensor:
        """The vectors' covariance."""
        return self._matrices(self._unbroadcasted_scale_tril @ self._unbroadcasted_scale_tril.mT)

    @lazy_property
    def precision_matrix(self) -> Tensor:
        """The inverse of the vectors' covariance."""
        return self._matrices(_cholesky_inverse(self._unbroadcasted_scale_tril))

    @property
    def mean(self) -> Tensor:
        return self.df.reshape((*self._batch_shape, 1, 1)) * self.covariance_matrix

    @property
    def mode(self) -> Tensor:
        factor = self.df - self.covariance_matrix.shape[-1] - 1
        factor = T.where(factor <= 0, float("nan"), factor)
        return factor.reshape((*self._batch_shape, 1, 1)) * self.covariance_matrix

    @property
    def variance(self) -> Tensor:
        v = self.covariance_matrix
        d = v.diagonal(dim1=-2, dim2=-1)
        return self.df.reshape((*self._batch_shape, 1, 1)) * (v.pow(2) + d.unsqueeze(-1) * d.unsqueeze(-2))

    def _bartlett_sampling(self, sample_shape: Any) -> Tensor:
        """By Bartlett's decomposition: chi numbers on the diagonal, normal ones below."""
        p = self._event_shape[-1]
        noise = self._dist_chi2.rsample(sample_shape).sqrt().diag_embed(dim1=-2, dim2=-1)
        i, j = T.tril_indices(p, p, offset=-1)
        noise[..., i, j] = T.randn((*sample_shape, *self._batch_shape, p * (p - 1) // 2), dtype=noise.dtype)
        chol = self._unbroadcasted_scale_tril @ noise
        return chol @ chol.mT

    def rsample(self, sample_shape: Any = Size(), max_try_correction: int | None = None) -> Tensor:  # noqa: B008
        """Samples; singular ones are drawn again, ``max_try_correction`` times."""
        if max_try_correction is None:
            max_try_correction = 10
        sample_shape = Size(sample_shape)
        sample = self._bartlett_sampling(sample_shape)
        again = self._regular(sample)   # PyTorch draws these once more; so a seed gives its numbers
        for _ in range(max_try_correction):
            if not again.any():
                break
            fresh = self._bartlett_sampling(Size((int(again.sum()),)))
            sample, singular = sample.clone(), again.clone()
            sample[again] = fresh
            singular[again] = ~self._regular(fresh)
            again = singular
        return sample

    def _regular(self, sample: Tensor) -> Tensor:
        """Whether samples, one at least of each batch, are positive definite."""
        regular = self.support.check(sample)
        return regular.amax(self._batch_dims) if self._batch_shape else regular

    def _half_log_det(self) -> Tensor:
        return self._unbroadcasted_scale_tril.diagonal(dim1=-2, dim2=-1).log().sum(-1)

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        nu, p = self.df, self._event_shape[-1]
        half = linalg.solve_triangular(self._unbroadcasted_scale_tril, value, upper=False)
        solved = linalg.solve_triangular(self._unbroadcasted_scale_tril.mT, half, upper=True)
        trace = solved.diagonal(dim1=-2, dim2=-1).sum(dim=-1)
        return (-nu * (p * math.log(2.0) / 2 + self._half_log_det()) - T.mvlgamma(nu / 2, p=p)
                + (nu - p - 1) / 2 * linalg.slogdet(value).logabsdet - trace / 2)

    def entropy(self) -> Tensor:
        nu, p = self.df, self._event_shape[-1]
        return ((p + 1) * (p * math.log(2.0) / 2 + self._half_log_det()) + T.mvlgamma(nu / 2, p=p)
                - (nu - p - 1) / 2 * _mvdigamma(nu / 2, p=p) + nu * p / 2)

    @property
    def _natural_params(self) -> tuple[Tensor, Tensor]:
        return -self.precision_matrix / 2, (self.df - self._event_shape[-1] - 1) / 2

    def _log_normalizer(self, x: Tensor, y: Tensor) -> Tensor:
        p = self._event_shape[-1]
        return (y + (p + 1) / 2) * (-linalg.slogdet(-2 * x).logabsdet + math.log(2.0) * p) + T.mvlgamma(
            y + (p + 1) / 2, p=p)
