"""Automatic differentiation with PyTorch's API on a C core."""

# ruff: noqa: F401, F403, E402, I001, A001

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
    sparse_bsc,
    sparse_bsr,
    sparse_coo,
    sparse_csc,
    sparse_csr,
    strided,
    uint8,
)
from .tensor import Tensor  # before the function tensor(), which then takes the submodule's name

bool, float, double, half = _dtype.bool_, float32, float64, float16
short, int, long = int16, int32, int64
globals().update(_dtype.ABSENT)  # dtypes that can be named, and are refused where they are used
chalf, cfloat, cdouble = (_dtype.ABSENT["complex" + n] for n in ("32", "64", "128"))

# ---- tensors ----
from . import autograd
from ._ops.creation import (
    arange,
    empty,
    empty_like,
    empty_permuted,
    empty_strided,
    eye,
    full,
    full_like,
    linspace,
    logspace,
    ones,
    ones_like,
    scalar_tensor,
    tril_indices,
    triu_indices,
    zeros,
    zeros_like,
)
from ._ops.creation import range_ as range
from ._ops.from_data import as_tensor, asarray, frombuffer, tensor
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
    empty_cache,
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
    slice_copy,
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
from ._ops.shape import detach
from ._ops.write import fill
from .interop import from_dlpack, from_numpy, to_dlpack

from .torch_version import TorchVersion as _TorchVersion
from . import version

__version__ = _TorchVersion(version.__version__)


def set_printoptions(**options):
    """How tensors print: precision, threshold, edgeitems, linewidth, profile, sci_mode."""
    from ._tensor_str import set_printoptions

    set_printoptions(**options)


# ---- elementwise operations; reductions, products, indexing, statistics ----
from . import return_types
from ._names_elementwise import *
from ._names_arrays import *

# ---- convolutions ----

from ._ops.conv import (
    conv1d,
    conv2d,
    conv3d,
    conv_tbc,
    conv_transpose1d,
    conv_transpose2d,
    conv_transpose3d,
    convolution,
)

# ---- pooling ----
from ._ops.pooling import (
    adaptive_avg_pool1d,
    avg_pool1d,
    max_pool1d,
    max_pool1d_with_indices,
    max_pool2d,
    max_pool3d,
)
from ._ops.pooling import adaptive_max_pool1d_with_indices as adaptive_max_pool1d
from ._ops.resample import (
    channel_shuffle,
    grid_sampler,
    grid_sampler_2d,
    grid_sampler_3d,
    pixel_shuffle,
    pixel_unshuffle,
)

# ---- random numbers ----
from . import random
from ._generator import Generator, default_generator
from ._ops.normalization import (
    _weight_norm,
    batch_norm,
    group_norm,
    instance_norm,
    layer_norm,
    native_batch_norm,
    native_group_norm,
    native_layer_norm,
    norm_except_dim,
    rms_norm,
)
from ._ops.random import (
    alpha_dropout,
    alpha_dropout_,
    bernoulli,
    dropout,
    dropout_,
    feature_alpha_dropout,
    feature_alpha_dropout_,
    feature_dropout,
    feature_dropout_,
    multinomial,
    native_dropout,
    normal,
    rand,
    rand_like,
    randint,
    randint_like,
    randn,
    randn_like,
    randperm,
)
from ._ops.sampling import (
    _dirichlet_grad,
    _sample_dirichlet,
    _standard_gamma,
    _standard_gamma_grad,
    binomial,
    poisson,
)
from .random import fork_rng, get_rng_state, initial_seed, manual_seed, seed, set_rng_state

# ---- settings ----
from ._settings import (
    _assert,
    _check,
    are_deterministic_algorithms_enabled,
    get_default_device,
    get_deterministic_debug_mode,
    get_device_module,
    get_float32_matmul_precision,
    is_deterministic_algorithms_warn_only_enabled,
    is_warn_always_enabled,
    set_default_device,
    set_default_tensor_type,
    set_deterministic_debug_mode,
    set_float32_matmul_precision,
    set_flush_denormal,
    set_warn_always,
    use_deterministic_algorithms,
)

# ---- the rest ----

from math import e, inf, nan, pi

newaxis = None

from ._capture import CaptureError, compile  # noqa: E402,F401
from . import _threadpoolctl

_threadpoolctl.install()

from . import _einops

_einops.watch()

from . import _lazy  # noqa: E402


def __getattr__(name):
    """Submodules, and functions of some, that are imported when first named: the package itself imports quickly."""
    if name == "__all__":  # `from torch import *` gives the functions that are not imported yet as well
        hooks = {n for n, m in _lazy.NAMES.items() if m == "_hook"}
        return sorted({n for n in (*globals(), *_lazy.NAMES) if not n.startswith("_")} - hooks)
    module = name if name in _lazy.MODULES else _lazy.NAMES.get(name)
    if module is not None:
        import importlib

        try:
            found = importlib.import_module("." + module, __name__)
        except ModuleNotFoundError as e:
            if e.name != f"{__name__}.{module}":
                raise
        else:
            if module != name:
                found = globals()[name] = getattr(found, name)
            return found
    if name.startswith("__"):  # the import system asks for some of every module
        raise AttributeError(name)
    from ._hook import missing

    raise missing.attribute(__name__, name)


def __dir__():
    return sorted({*globals(), *_lazy.MODULES, *_lazy.NAMES})
