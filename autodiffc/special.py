"""Special functions: the names of torch.special."""

# ruff: noqa: F401

from ._ops.arithmetic import (
    xlog1py,
    xlogy,
    zeta,
)
from ._ops.math import (
    digamma,
    entr,
    erf,
    erfc,
    erfcx,
    erfinv,
    exp2,
    expit,
    expm1,
    gammaln,
    i0,
    i0e,
    i1,
    i1e,
    log1p,
    log_ndtr,
    logit,
    multigammaln,
    ndtr,
    ndtri,
    polygamma,
    psi,
    round,
    sinc,
)


def __getattr__(name):
    from ._hook import missing

    raise missing.attribute(__name__, name)
