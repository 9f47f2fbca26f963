"""The LKJ distribution of Cholesky factors of correlation matrices."""
from __future__ import annotations

import math
from typing import Any

from .. import _ops as T
from .._dtype import Size
from .._dtype_info import finfo
from ..autograd import no_grad
from ..tensor import Tensor
from . import Beta, constraints
from .distribution import Distribution
from .utils import broadcast_all

__all__ = ["LKJCholesky"]


class LKJCholesky(Distribution):
    """Cholesky factors of ``dim`` x ``dim`` correlation matrices M of density ``det(M)**(concentration - 1)`` up to a
    factor (Lewandowski, Kurowicka and Joe, 2009). ValueError for fewer than two dimensions.
    """

    arg_constraints = {"concentration": constraints.positive}
    support = constraints.corr_cholesky

    def __init__(self, dim: int, concentration: Any = 1.0, validate_args: bool | None = None) -> None:
        if dim < 2:
            raise ValueError(f"Expected dim to be an integer greater than or equal to 2. Found dim={dim}.")
        self.dim = dim
        (self.concentration,) = broadcast_all(concentration)
        marginal = self.concentration + 0.5 * (dim - 2)
        offset = T.arange(dim - 1, dtype=self.concentration.dtype)
        offset = T.cat([offset.new_zeros((1,)), offset])
        self._beta = Beta(offset + 0.5, marginal.unsqueeze(-1) - 0.5 * offset)
        super().__init__(self.concentration.size(), Size((dim, dim)), validate_args)

    def expand(self, batch_shape: Any, _instance: Any = None) -> LKJCholesky:
        batch_shape = Size(batch_shape)
        return self._expanded(LKJCholesky, _instance, batch_shape, self.event_shape, dim=self.dim,
                              concentration=self.concentration.expand(batch_shape),
                              _beta=self._beta.expand((*batch_shape, self.dim)))

    def sample(self, sample_shape: Any = Size()) -> Tensor:  # noqa: B008
        """By the onion method: rows are points of spheres with a beta distributed share of the length."""
        with no_grad():
            y = self._beta.sample(sample_shape).unsqueeze(-1)
            u = T.randn(self._extended_shape(sample_shape), dtype=y.dtype).tril(-1)
            sphere = u / u.norm(dim=-1, keepdim=True)
            sphere[..., 0, :].fill_(0.0)
            w = T.sqrt(y) * sphere
            eps = finfo(w.dtype).tiny
            diagonal = T.clamp(1 - T.sum(w**2, dim=-1), min=eps).sqrt()
            return w + T.diag_embed(diagonal)

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        order = T.arange(2, self.dim + 1, dtype=self.concentration.dtype)
        order = 2 * (self.concentration - 1).unsqueeze(-1) + self.dim - order
        unnormalized = T.sum(order * value.diagonal(dim1=-1, dim2=-2)[..., 1:].log(), dim=-1)
        n = self.dim - 1
        alpha = self.concentration + 0.5 * n
        normalize = (0.5 * n * math.log(math.pi) + T.mvlgamma(alpha - 0.5, n) - T.lgamma(alpha) * n)
        return unnormalized - normalize
