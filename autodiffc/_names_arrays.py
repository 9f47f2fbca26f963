"""The names that the package has of reductions, order, products, recurrent layers, indexing, distances, statistics."""

# ruff: noqa: F401, E402, I001, A001, A004

# ---- reductions ----
from ._ops.reduce import (
    all,
    amax,
    amin,
    aminmax,
    any,
    argmax,
    argmin,
    count_nonzero,
    cummax,
    cummin,
    cumprod,
    cumsum,
    cumulative_trapezoid,
    diff,
    dist,
    log_softmax,
    logcumsumexp,
    logsumexp,
    max,
    mean,
    min,
    nanmean,
    nansum,
    norm,
    prod,
    softmax,
    std,
    std_mean,
    sum,
    trapezoid,
    trapz,
    var,
    var_mean,
)
from ._ops.distinct import bincount, histc, histogram, nanquantile, quantile, unique, unique_consecutive
from ._ops.sort import (
    argsort,
    bucketize,
    kthvalue,
    median,
    mode,
    msort,
    nanmedian,
    searchsorted,
    sort,
    topk,
)

# ---- products ----
from ._ops.rnn import (
    gru,
    gru_cell,
    lstm,
    lstm_cell,
    rnn_relu,
    rnn_relu_cell,
    rnn_tanh,
    rnn_tanh_cell,
)
from ._ops.linalg import (
    addbmm,
    addmm,
    addmv,
    addr,
    baddbmm,
    bmm,
    chain_matmul,
    cholesky,
    cross,
    det,
    dot,
    einsum,
    ger,
    inner,
    inverse,
    kron,
    logdet,
    lu,
    lu_solve,
    matmul,
    matrix_power,
    mm,
    mv,
    outer,
    pinverse,
    qr,
    slogdet,
    svd,
    tensordot,
    trace,
    vdot,
)

# ---- indexing ----

from ._ops.index import (
    argwhere,
    constant_pad_nd,
    diagonal_scatter,
    embedding,
    embedding_renorm_,
    gather,
    index_add,
    index_copy,
    index_fill,
    index_put,
    index_put_,
    index_reduce,
    index_select,
    masked_fill,
    masked_scatter,
    masked_select,
    nonzero,
    put,
    scatter,
    scatter_add,
    scatter_reduce,
    select_scatter,
    slice_scatter,
    take,
    take_along_dim,
)

# ---- distances, statistics, losses, names of complex numbers ----

from ._ops.complex_names import (
    angle,
    complex,
    conj,
    conj_physical,
    conj_physical_,
    imag,
    is_neg,
    polar,
    real,
    resolve_conj,
    resolve_neg,
    view_as_complex,
    view_as_real,
)
from ._ops.distance import cdist, cosine_similarity, pairwise_distance, pdist
from ._ops.functions import igamma, igammac
from ._ops.index import nonzero_static
from ._ops.reduce import frexp
from ._ops.sparse import dsmm, hspmm, smm, spmm
from ._ops.statistics import corrcoef, cov, gradient, histogramdd, isin, renorm
from ._ops.write import as_strided_, fill_, zero_
