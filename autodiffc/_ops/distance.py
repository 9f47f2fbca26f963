"""Distances and angles between rows."""

from .._core import OP, TensorBase
from ..autograd.grad_mode import no_grad
from . import _call, arithmetic, creation, index, reduce, shape
from ._call import not_a_tensor, number

_COMPUTE_MODES = (None, "use_mm_for_euclid_dist_if_necessary", "use_mm_for_euclid_dist", "donot_use_mm_for_euclid_dist")


def _check(name, x1, x2):
    for k, t in enumerate((x1, x2), 1):
        if not isinstance(t, TensorBase):
            raise not_a_tensor(name, t, f"x{k}", k)


def cdist(x1, x2, p=2.0, compute_mode="use_mm_for_euclid_dist_if_necessary"):
    """The p-norm of the difference of each row of x1 (*, P, M) and each row of x2 (*, R, M): (*, P, R).

    Batches broadcast; float32 and float64. p=0 counts coordinates that differ. compute_mode is checked and has no
    effect: distances are never taken through a product of matrices. The gradient is 0 where rows coincide.
    """
    _check("cdist", x1, x2)
    if compute_mode not in _COMPUTE_MODES:
        raise ValueError(f"{compute_mode} is not a valid value for compute_mode")
    p = number(p, "cdist", "p", 3)
    if x1.ndim > 1 and x2.ndim > 1 and x1.shape[:-2] != x2.shape[:-2]:
        batch = shape.broadcast_shapes(x1.shape[:-2], x2.shape[:-2])
        x1, x2 = (shape.expand(t, (*batch, *t.shape[-2:])) for t in (x1, x2))
    return _call.apply(OP["cdist"], (x1, x2), (), (float(p),))


def pdist(input, p=2.0):
    """The p-norm of the difference of each pair of rows of input (N, M), in the order (0, 1), (0, 2), ..., (1, 2), ...:
    (N (N - 1) / 2)."""
    if not isinstance(input, TensorBase):
        raise not_a_tensor("pdist", input)
    if input.ndim != 2:
        raise RuntimeError(f"pdist only supports 2D tensors, got: {input.ndim}D")
    if not input.dtype.is_floating_point:
        raise RuntimeError("pdist only supports floating-point dtypes")
    if not number(p, "pdist", "p", 2) >= 0:
        raise RuntimeError("pdist only supports non-negative p values")
    n = input.shape[0]
    pairs = creation.triu_indices(n, n, 1)
    return index.getitem(cdist(input, input, p), (pairs[0], pairs[1]))


def pairwise_distance(x1, x2, p=2.0, eps=1e-6, keepdim=False):
    """The p-norm of x1 - x2 + eps over the last dimension; the two broadcast."""
    _check("pairwise_distance", x1, x2)
    difference = arithmetic.add(arithmetic.sub(x1, x2), eps)
    return reduce.norm(difference, p, max(x1.ndim, x2.ndim) - 1, keepdim)


def cosine_similarity(x1, x2, dim=1, eps=1e-8):
    """sum(x1 x2) / (max(|x1|, eps) max(|x2|, eps)) along dim; the two broadcast. RuntimeError unless floating point."""
    _check("cosine_similarity", x1, x2)
    if not (x1.dtype.is_floating_point or x2.dtype.is_floating_point):
        raise RuntimeError(f"expected common dtype to be floating point, yet common dtype is {x1.dtype}")
    sizes = shape.broadcast_shapes(x1.shape, x2.shape)
    dim = shape.wrapped_dim(dim, len(sizes)) if sizes else 0
    return reduce.sum(arithmetic.mul(_unit(x1, sizes, dim, eps), _unit(x2, sizes, dim, eps)), dim)


def _unit(x, sizes, dim, eps):
    """x / max(|x|, eps), where the bound has no effect on the gradient, as in PyTorch. x is stretched to the sizes only
    where dim asks for it."""
    own = dim - len(sizes) + x.ndim
    if sizes and (own < 0 or x.shape[own] != sizes[dim]):
        x, own = shape.expand(x, sizes), dim
    length = reduce.norm(x, 2, own, keepdim=True)
    with no_grad():
        missing = arithmetic.sub(arithmetic.clamp_min(length, eps), length)
    return arithmetic.div(x, arithmetic.add(length, missing))
