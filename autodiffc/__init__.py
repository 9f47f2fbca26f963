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
from ._dtype_info import (
    can_cast,
    finfo,
    iinfo,
    is_complex,
    is_conj,
    is_floating_point,
    is_inference,
    is_nonzero,
    is_same_size,
    is_signed,
    is_storage,
    is_tensor,
    numel,
    promote_types,
    result_type,
    typename,
)
from ._info import (
    get_num_interop_threads,
    get_num_threads,
    memory_stats,
    set_num_interop_threads,
    set_num_threads,
    show_config,
)
from ._legacy import (
    BFloat16Tensor,
    BoolTensor,
    ByteTensor,
    CharTensor,
    DoubleTensor,
    FloatTensor,
    HalfTensor,
    IntTensor,
    LongTensor,
    ShortTensor,
)
from ._ops.rearrange import (
    alias_copy,
    as_strided_copy,
    block_diag,
    cartesian_prod,
    combinations,
    detach_copy,
    diag,
    diag_embed,
    diagflat,
    diagonal_copy,
    diagonal_scatter,
    expand_copy,
    flip,
    fliplr,
    flipud,
    meshgrid,
    permute_copy,
    repeat_interleave,
    roll,
    rot90,
    select_copy,
    select_scatter,
    slice_copy,
    slice_scatter,
    split_copy,
    split_with_sizes_copy,
    squeeze_copy,
    t_copy,
    tile,
    transpose_copy,
    tril,
    triu,
    unbind_copy,
    unfold_copy,
    unravel_index,
    unsafe_chunk,
    unsafe_split,
    unsafe_split_with_sizes,
    unsqueeze_copy,
    vander,
    view_copy,
)
from ._ops.shape import detach, fill
from .interop import from_dlpack, from_numpy, to_dlpack

__version__ = "0.1.0"


def set_printoptions(**options):
    """How tensors print: precision, threshold, edgeitems, linewidth, profile, sci_mode."""
    from ._tensor_str import set_printoptions

    set_printoptions(**options)


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

# ---- the rest ----

from ._capture import CaptureError, compile  # noqa: E402,F401
from ._hook import install, uninstall  # noqa: E402,F401

_LAZY = {"nn", "optim", "utils", "func", "linalg", "special", "random", "testing", "compiler"}


def __getattr__(name):
    """Submodules that are imported when they are first named, so that the package itself imports quickly."""
    if name in _LAZY:
        import importlib

        try:
            return importlib.import_module("." + name, __name__)
        except ModuleNotFoundError as e:
            if e.name != f"{__name__}.{name}":
                raise
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
