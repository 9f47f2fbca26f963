"""Parametrizations of weights: weight normalization, spectral normalization, orthogonal matrices."""
from __future__ import annotations

from enum import Enum, auto
from typing import Any

import numpy as np

from ... import linalg
from ..._dtype_info import finfo
from ...interop import from_numpy
from .. import functional as F
from .._base import Tensor, no_grad, ops
from ..modules.conv import ConvTranspose1d, ConvTranspose2d, ConvTranspose3d
from ..modules.module import Module
from . import parametrize

__all__ = ["orthogonal", "spectral_norm", "weight_norm"]


# ---- weight normalization

class _WeightNorm(Module):
    def __init__(self, dim: int | None = 0) -> None:
        super().__init__()
        self.dim = -1 if dim is None else dim

    def forward(self, weight_g: Tensor, weight_v: Tensor) -> Tensor:
        return ops._weight_norm(weight_v, weight_g, self.dim)

    def right_inverse(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        return ops.norm_except_dim(weight, 2, self.dim), weight


def weight_norm(module: Module, name: str = "weight", dim: int | None = 0) -> Module:
    """Make ``name`` a direction times a length. Returns ``module``.

    ``parametrizations.<name>.original0`` are the norms over all dimensions but ``dim`` (None: over all),
    ``original1`` the directions. A state that :func:`autodiffc.nn.utils.weight_norm` gave loads too. Salimans and
    Kingma, 2016.
    """
    parametrize.register_parametrization(module, name, _WeightNorm(dim), unsafe=True)

    def read_old_names(state_dict: dict, prefix: str, *rest: Any) -> None:
        old = (f"{prefix}{name}_g", f"{prefix}{name}_v")
        if all(key in state_dict for key in old):
            for i, key in enumerate(old):
                state_dict[f"{prefix}parametrizations.{name}.original{i}"] = state_dict.pop(key)
    module._register_load_state_dict_pre_hook(read_old_names)
    return module


# ---- spectral normalization

class _SpectralNorm(Module):
    """The estimates of the singular vectors are the buffers ``_u`` and ``_v``."""

    def __init__(self, weight: Tensor, n_power_iterations: int = 1, dim: int = 0, eps: float = 1e-12) -> None:
        super().__init__()
        ndim = weight.ndim
        if dim >= ndim or dim < -ndim:
            raise IndexError(f"Dimension out of range (expected to be in range of [-{ndim}, {ndim - 1}] but got {dim})")
        if n_power_iterations <= 0:
            raise ValueError("Expected n_power_iterations to be positive, but got "
                             f"n_power_iterations={n_power_iterations}")
        self.dim = dim if dim >= 0 else dim + ndim
        self.eps = eps
        if ndim > 1:
            self.n_power_iterations = n_power_iterations
            matrix = self._reshape_weight_to_matrix(weight)
            rows, columns = matrix.size()
            u = matrix.new_empty(rows).normal_(0, 1)
            v = matrix.new_empty(columns).normal_(0, 1)
            self.register_buffer("_u", F.normalize(u, dim=0, eps=self.eps))
            self.register_buffer("_v", F.normalize(v, dim=0, eps=self.eps))
            self._power_method(matrix, 15)

    def _reshape_weight_to_matrix(self, weight: Tensor) -> Tensor:
        if self.dim != 0:
            weight = weight.permute(self.dim, *(d for d in range(weight.dim()) if d != self.dim))
        return weight.flatten(1)

    def _power_method(self, weight_mat: Tensor, n_power_iterations: int) -> None:
        if weight_mat.ndim <= 1:
            raise AssertionError(f"Expected weight_mat.ndim > 1, got {weight_mat.ndim}")
        with no_grad():
            for _ in range(n_power_iterations):
                self._u = F.normalize(weight_mat.mv(self._v), dim=0, eps=self.eps, out=self._u)
                self._v = F.normalize(weight_mat.H.mv(self._u), dim=0, eps=self.eps, out=self._v)

    def forward(self, weight: Tensor) -> Tensor:
        if weight.ndim == 1:
            return F.normalize(weight, dim=0, eps=self.eps)
        matrix = self._reshape_weight_to_matrix(weight)
        if self.training:
            self._power_method(matrix.detach(), self.n_power_iterations)
        # the graph keeps them, and the next call writes the buffers
        u, v = self._u.clone(), self._v.clone()
        return weight / u.dot(matrix.mv(v))

    def right_inverse(self, value: Tensor) -> Tensor:
        return value


def spectral_norm(module: Module, name: str = "weight", n_power_iterations: int = 1, eps: float = 1e-12,
                  dim: int | None = None) -> Module:
    """Divide ``name`` by its greatest singular value, as a matrix of which ``dim`` are the rows. Returns ``module``.

    ``dim`` is 0, and 1 for transposed convolutions. Each use in training improves the estimate by
    ``n_power_iterations``. ValueError if there is no such parameter or buffer. Miyato et al., 2018.
    """
    weight = getattr(module, name, None)
    if not isinstance(weight, Tensor):
        raise ValueError(f"Module '{module}' has no parameter or buffer with name '{name}'")
    if dim is None:
        dim = 1 if isinstance(module, (ConvTranspose1d, ConvTranspose2d, ConvTranspose3d)) else 0
    parametrize.register_parametrization(module, name, _SpectralNorm(weight, n_power_iterations, dim, eps))
    return module


# ---- orthogonal matrices

def _is_orthogonal(Q: Tensor, eps: float | None = None) -> bool:
    n, k = Q.size(-2), Q.size(-1)
    eye = ops.eye(k, dtype=Q.dtype)
    eps = 10.0 * n * finfo(Q.dtype).eps if eps is None else eps
    return bool(ops.allclose(Q.mH @ Q, eye, atol=eps))


def _reflectors(A: Tensor) -> tuple[Tensor, Tensor]:
    """LAPACK's geqrf of each matrix: the reflectors below the diagonal, their scales."""
    arrays = A.detach().reshape(-1, A.size(-2), A.size(-1)).numpy()
    pairs = [np.linalg.qr(a, mode="raw") for a in arrays]
    lead = tuple(A.shape[:-2])
    h = np.stack([h.T for h, _ in pairs]).reshape(*lead, A.size(-2), A.size(-1))
    tau = np.stack([tau for _, tau in pairs]).reshape(*lead, -1)
    return from_numpy(np.ascontiguousarray(h)).to(A.dtype), from_numpy(tau).to(A.dtype)


def _product_of_reflectors(A: Tensor, tau: Tensor) -> Tensor:
    """The first columns of ``H_1 H_2 ... H_k``, ``H_i = I - tau_i v_i v_i^T``, ``v_i`` the unit lower part of A."""
    n, k = A.size(-2), A.size(-1)
    V = A.tril(-1) + ops.eye(n, k, dtype=A.dtype)
    Q = ops.eye(n, k, dtype=A.dtype).expand(*A.shape)
    for i in reversed(range(k)):
        v = V[..., i:i + 1]
        Q = Q - tau[..., i:i + 1].unsqueeze(-1) * v @ (v.mT @ Q)
    return Q


def _make_orthogonal(A: Tensor) -> Tensor:
    """An orthogonal matrix near A: the Q of its QR decomposition, of which R has a positive diagonal."""
    X, tau = _reflectors(A)
    Q = _product_of_reflectors(X, tau)
    return Q * X.diagonal(dim1=-2, dim2=-1).sgn().unsqueeze(-2)


def _matrix_exp(A: Tensor) -> Tensor:
    """exp(A) by scaling and squaring of a Taylor polynomial."""
    scale = 0
    with no_grad():
        size = float(A.detach().abs().sum(-2).max()) if A.numel() else 0.0
    while size > 0.25:
        size /= 2
        scale += 1
    A = A / 2 ** scale
    eye = ops.eye(A.size(-1), dtype=A.dtype)
    result = eye + A
    term = A
    for n in range(2, 14):
        term = term @ A / n
        result = result + term
    for _ in range(scale):
        result = result @ result
    return result


class _OrthMaps(Enum):
    matrix_exp = auto()
    cayley = auto()
    householder = auto()


class _Orthogonal(Module):
    base: Tensor

    def __init__(self, weight: Tensor, orthogonal_map: _OrthMaps, *, use_trivialization: bool = True) -> None:
        super().__init__()
        if weight.is_complex() and orthogonal_map == _OrthMaps.householder:
            raise ValueError("The householder parametrization does not support complex tensors.")
        self.shape = weight.shape
        self.orthogonal_map = orthogonal_map
        if use_trivialization:
            self.register_buffer("base", None)

    def forward(self, X: Tensor) -> Tensor:
        n, k = X.size(-2), X.size(-1)
        transposed = n < k
        if transposed:
            X = X.mT
            n, k = k, n
        if self.orthogonal_map == _OrthMaps.householder:
            Q = _product_of_reflectors(X, 2.0 / (1.0 + (X.tril(-1) ** 2).sum(-2)))
            Q = Q * X.diagonal(dim1=-2, dim2=-1).int().unsqueeze(-2)    # of 1 and -1
        else:       # of a skew matrix
            X = X.tril()
            if n != k:
                X = ops.cat([X, X.new_zeros(n, n - k).expand(*X.shape[:-2], -1, -1)], -1)
            A = X - X.mH
            if self.orthogonal_map == _OrthMaps.matrix_exp:
                Q = _matrix_exp(A)
            else:
                eye = ops.eye(n, dtype=A.dtype)
                Q = linalg.solve(ops.add(eye, A, alpha=-0.5), ops.add(eye, A, alpha=0.5))
            if n != k:
                Q = Q[..., :k]
        if hasattr(self, "base"):
            Q = self.base @ Q
        return Q.mT if transposed else Q

    def right_inverse(self, Q: Tensor) -> Tensor:
        if Q.shape != self.shape:
            raise ValueError(f"Expected a matrix or batch of matrices of shape {self.shape}. Got a tensor of shape "
                             f"{Q.shape}.")
        transposed = Q.size(-2) < Q.size(-1)
        if transposed:
            Q = Q.mT
        n, k = Q.size(-2), Q.size(-1)
        if hasattr(self, "base"):       # any orthogonal matrix is the base times the image of 0
            base = Q if _is_orthogonal(Q) else _make_orthogonal(Q)
            if n != k:      # completed to a square one
                rest = ops.randn(*(base.size()[:-2] + (n, n - k)), dtype=base.dtype)
                base = _make_orthogonal(ops.cat([base, rest], -1))
            self.base = base
            negative = ops.zeros_like(Q)
            negative.diagonal(dim1=-2, dim2=-1).fill_(-1.0)
            return negative.mT if transposed else negative
        if self.orthogonal_map != _OrthMaps.householder:
            raise NotImplementedError("It is not possible to assign to the matrix exponential or the Cayley "
                                      "parametrizations when use_trivialization=False.")
        A, tau = _reflectors(Q)
        A = A * 1       # the reflectors alone do not tell a diagonal of -1 in R from one of 1
        A.diagonal(dim1=-2, dim2=-1).sign_()
        A.diagonal(dim1=-2, dim2=-1)[tau == 0.0] *= -1
        return A.mT if transposed else A


def orthogonal(module: Module, name: str = "weight", orthogonal_map: str | None = None, *,
               use_trivialization: bool = True) -> Module:
    """Keep the matrix ``name`` orthogonal (its shorter side's vectors orthonormal). Returns ``module``.

    ``orthogonal_map``: ``"matrix_exp"`` (for square matrices), ``"cayley"``, ``"householder"`` (for others).
    ``use_trivialization`` parametrizes about the present value. ValueError for another map, for less than two
    dimensions, or if there is no such parameter. Lezcano-Casado, 2019.
    """
    weight = getattr(module, name, None)
    if not isinstance(weight, Tensor):
        raise ValueError(f"Module '{module}' has no parameter or buffer with name '{name}'")
    if weight.ndim < 2:
        raise ValueError(f"Expected a matrix or batch of matrices. Got a tensor of {weight.ndim} dimensions.")
    if orthogonal_map is None:
        orthogonal_map = "matrix_exp" if weight.size(-2) == weight.size(-1) else "householder"
    kind = getattr(_OrthMaps, orthogonal_map, None)
    if kind is None:
        raise ValueError('orthogonal_map has to be one of "matrix_exp", "cayley", "householder". '
                         f"Got: {orthogonal_map}")
    parametrize.register_parametrization(module, name, _Orthogonal(weight, kind,
                                                                   use_trivialization=use_trivialization),
                                         unsafe=True)
    return module
