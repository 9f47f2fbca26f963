"""Random numbers with a parameter for each element. generator= takes a Generator, the default one when None."""

from .._core import OP, fail, wrap
from .._native import lib
from . import _call
from .random import _handle, _tensor
from .shape import broadcast_tensors


def _drawn(op, name, inputs, generator):
    ints = (0, 0, 0, 0, 0, 0, 0, _handle(generator, name))
    h = lib.ad_opn(OP[op], [t._h for t in inputs], len(inputs), ints, 8, (), 0, (), 0)
    if not h:
        fail()
    return wrap(h)


def poisson(input, generator=None):
    """Poisson numbers with the rates `input`, in its size and dtype. No gradient flows to the rates.

    RuntimeError for a rate that is negative or NaN, NotImplementedError for integer dtypes.
    """
    return _drawn("poisson", "poisson", [_tensor(input, "poisson")], generator)


def binomial(count, prob, generator=None):
    """How many of count trials succeed with probability prob: float32 or float64, count and prob broadcast.

    Outside [0, 1] prob counts as the nearer end. ValueError for integer dtypes, RuntimeError for two dtypes.
    """
    count, prob = _tensor(count, "binomial", "count"), _tensor(prob, "binomial", "prob", 2)
    if count.shape != prob.shape:
        count, prob = broadcast_tensors(count, prob)
    return _drawn("binomial", "binomial", [count, prob], generator)


def _standard_gamma(input, generator=None):
    """Gamma numbers of shape `input` and scale 1, float32 or float64, with the pathwise gradient by the shape."""
    return _drawn("standard_gamma", "_standard_gamma", [_tensor(input, "_standard_gamma")], generator)


def _sample_dirichlet(input, generator=None):
    """Dirichlet numbers: the last dimension holds the concentrations. float32 or float64."""
    return _drawn("sample_dirichlet", "_sample_dirichlet", [_tensor(input, "_sample_dirichlet")], generator)


def _standard_gamma_grad(input, output):
    """The derivative of gamma numbers `output` by their shape `input`, of one size and dtype."""
    return _call.apply(OP["standard_gamma_grad"], [input, output])


def _dirichlet_grad(x, alpha, total):
    """The derivative of beta(alpha, total - alpha) numbers x by alpha, over 1 - x; tensors of one size and dtype."""
    return _call.apply(OP["dirichlet_grad"], [x, alpha, total])
