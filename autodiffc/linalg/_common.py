"""What the functions of linear algebra share: checks of arguments, and operations that NumPy computes."""

import numpy as np

from .. import _capture, interop
from .._core import OP, TensorBase
from .._ops import _call
from .._ops.creation import eye
from ..autograd import enable_grad, grad, is_grad_enabled
from ..autograd.function import Function


class LinAlgError(RuntimeError):
    """A matrix that is singular, not positive-definite, or whose decomposition did not converge."""


# ---- arguments ----


def _matrices(name, a, square=False, argument="A"):
    """Checks a batch of matrices of a floating dtype."""
    if not isinstance(a, TensorBase):
        raise _call.not_a_tensor(name, a, argument)
    if a.ndim < 2:
        raise RuntimeError(f"{name}: The input tensor {argument} must have at least 2 dimensions.")
    if not a.dtype.is_floating_point:
        raise RuntimeError(f"{name}: Expected a floating point or complex tensor as input. Got {a.dtype}")
    if a.dtype.itemsize < 4:
        raise RuntimeError(f"{name}: Low precision dtypes not supported. Got {a.dtype}")
    if square and a.shape[-1] != a.shape[-2]:
        raise RuntimeError(
            f"{name}: {argument} must be batches of square matrices, but they are {a.shape[-2]} by "
            f"{a.shape[-1]} matrices"
        )
    return a


def _same_dtype(name, a, b):
    if a.dtype is not b.dtype:
        raise RuntimeError(
            f"{name}: Expected A and B to have the same dtype, but found A of type {a.dtype} and B of "
            f"type {b.dtype} instead"
        )


def _batch(name, a, b):
    """Both with the batch dimensions of the two, broadcast."""
    from .._ops.shape import broadcast_shapes

    if a.shape[:-2] == b.shape[:-2]:
        return a, b
    try:
        shape = broadcast_shapes(a.shape[:-2], b.shape[:-2])
    except RuntimeError as e:
        raise RuntimeError(
            f"{name}: the batch dimensions of sizes {list(a.shape)} and {list(b.shape)} do not broadcast: {e}"
        ) from None
    return a.expand(*shape, *a.shape[-2:]), b.expand(*shape, *b.shape[-2:])


def _flip(x):
    return x.transpose(-2, -1)


def _tril(x, k=0):
    return _call.ints(OP["tril"], x, k)


def _triu(x, k=0):
    return _call.ints(OP["triu"], x, k)


def _diagonal_matrix(d):
    return d.unsqueeze(-1) * eye(d.shape[-1], dtype=d.dtype)


def _sum(terms):
    total = None
    for t in terms:
        if t is not None:
            total = t if total is None else total + t
    return total


# ---- operations that NumPy computes ----


def _numpy(t):
    return interop.to_numpy(t, True)


def _lapack_svd(a, **options):
    """np.linalg.svd; LAPACK can iterate for ever on infinities and NaN."""
    if not np.isfinite(a).all():
        raise np.linalg.LinAlgError(
            "The algorithm failed to converge because the input matrix contained non-finite values."
        )
    return np.linalg.svd(a, **options)


def _lapack_eigh(a, uplo="L"):
    """np.linalg.eigh, with NaN for matrices that hold infinities or NaN."""
    bad = ~np.isfinite(a).all((-2, -1))
    if not bad.any():
        return np.linalg.eigh(a, uplo)
    values, vectors = np.linalg.eigh(np.where(bad[..., None, None], a.dtype.type(0), a), uplo)
    values[bad] = np.nan
    vectors[bad] = np.nan
    return values, vectors


class _Computed(Function):
    """An operation that NumPy computes, with its rules; see _computed()."""

    @staticmethod
    def forward(ctx, compute, rule, tangent, *inputs):
        outs = tuple(interop.from_numpy(np.asarray(a, order="C")) for a in compute(*[_numpy(t) for t in inputs]))
        ctx.rule, ctx.tangent, ctx.split = rule, tangent, len(inputs)
        ctx.set_materialize_grads(False)
        ctx.mark_non_differentiable(*[t for t in outs if not t.dtype.is_floating_point])
        ctx.save_for_backward(*inputs, *outs)
        ctx.save_for_forward(*inputs, *outs)
        return outs

    @staticmethod
    def backward(ctx, *grads):
        saved = ctx.saved_tensors
        return (None, None, None, *ctx.rule(grads, saved[: ctx.split], saved[ctx.split :]))

    @staticmethod
    def jvp(ctx, *tangents):
        x, y = ctx.saved_tensors[: ctx.split], ctx.saved_tensors[ctx.split :]
        if ctx.tangent is None:
            return _transposed(ctx.rule, tangents[3:], x, y)
        given = [v * 0 if t is None else t for t, v in zip(tangents[3:], x)]
        return tuple(ctx.tangent(given, x, y))


def _transposed(rule, tangents, x, y):
    """The tangents of the outputs, from the gradient rule: it is linear in the gradients, and the transpose of what
    it does to them is what the operation does to tangents."""
    with enable_grad():
        u = [v.detach() * 0 if v.dtype.is_floating_point else None for v in y]
        probes = [v.requires_grad_() for v in u if v is not None]
        total = _sum([(g * t).sum() for g, t in zip(rule(u, x, y), tangents) if g is not None and t is not None])
    got = iter(grad(total, probes, create_graph=is_grad_enabled(), allow_unused=True))
    out = []
    for v in y:
        t = next(got) if v.dtype.is_floating_point else None
        out.append(v * 0 if t is None and v.dtype.is_floating_point else t)
    return tuple(out)


_functions = {}
"""The subclass of _Computed for each name, so that graphs and messages show it."""


def _computed(name, inputs, compute, rule, tangent=None):
    """The tensors of compute(arrays of the inputs), with a gradient rule.

    rule(gradients, inputs, outputs) gives a gradient (or None) for each input; tangent(tangents, inputs, outputs) a
    tangent for each output.
    """
    _capture.refuse(f"{name}, which NumPy computes,")
    kind = _functions.get(name)
    if kind is None:
        title = "".join(w.capitalize() for w in name.replace(".", "_").split("_"))
        kind = _functions[name] = type(title, (_Computed,), {})
    try:
        return kind.apply(compute, rule, tangent, *inputs)
    except np.linalg.LinAlgError as e:
        raise LinAlgError(f"{name}: {e}") from None
