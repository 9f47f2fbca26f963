"""Automatic differentiation with PyTorch's API on a C core."""

# ruff: noqa: F401, E402, I001, A001

# ---- dtypes, sizes, devices ----
from . import _dtype
from ._dtype import (
    Size,
    bfloat16,
    channels_last,
    channels_last_3d,
    contiguous_format,
    device,
    dtype,
    float16,
    float32,
    float64,
    get_default_dtype,
    int8,
    int16,
    int32,
    int64,
    layout,
    memory_format,
    preserve_format,
    set_default_dtype,
    strided,
    uint8,
)
from .tensor import Tensor  # before the function tensor(), which then takes the submodule's name

bool, float, double, half = _dtype.bool_, float32, float64, float16
short, int, long = int16, int32, int64

# ---- tensors ----
from . import autograd
from ._ops.creation import (
    arange,
    as_tensor,
    asarray,
    empty,
    empty_like,
    empty_permuted,
    empty_strided,
    eye,
    frombuffer,
    full,
    full_like,
    linspace,
    logspace,
    ones,
    ones_like,
    scalar_tensor,
    tensor,
    tril_indices,
    triu_indices,
    zeros,
    zeros_like,
)
from ._ops.creation import range_ as range
from ._ops.shape import (
    adjoint,
    as_strided,
    as_strided_scatter,
    atleast_1d,
    atleast_2d,
    atleast_3d,
    broadcast_shapes,
    broadcast_tensors,
    broadcast_to,
    cat,
    chunk,
    clone,
    column_stack,
    concat,
    concatenate,
    diagonal,
    dsplit,
    dstack,
    flatten,
    hsplit,
    hstack,
    moveaxis,
    movedim,
    narrow,
    narrow_copy,
    permute,
    ravel,
    reshape,
    row_stack,
    select,
    split,
    split_with_sizes,
    squeeze,
    stack,
    swapaxes,
    swapdims,
    t,
    tensor_split,
    transpose,
    unbind,
    unflatten,
    unsqueeze,
    vsplit,
    vstack,
)
from .autograd.grad_mode import (
    enable_grad,
    inference_mode,
    is_grad_enabled,
    is_inference_mode_enabled,
    no_grad,
    set_grad_enabled,
)
from .interop import from_numpy

# ---- elementwise ----

# ---- reductions ----
from . import return_types
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

# ---- indexing ----

# ---- random numbers ----
from . import random
from ._generator import Generator, default_generator
from ._ops.random import (
    alpha_dropout,
    alpha_dropout_,
    bernoulli,
    binomial,
    dropout,
    dropout_,
    feature_alpha_dropout,
    feature_alpha_dropout_,
    feature_dropout,
    feature_dropout_,
    multinomial,
    native_dropout,
    normal,
    poisson,
    rand,
    rand_like,
    randint,
    randint_like,
    randn,
    randn_like,
    randperm,
)
from .random import fork_rng, get_rng_state, initial_seed, manual_seed, seed, set_rng_state

# ---- the rest ----

from ._capture import CaptureError, compile  # noqa: E402,F401
