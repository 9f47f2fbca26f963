"""autocast: products, convolutions and attention in bfloat16 or float16, losses in float32, the rest as it comes.

The dispatcher casts the operands of a row by its kind (csrc/watch.c); here it is said which rows are of which kind, by
PyTorch's lists for the CPU. Gradients have the dtypes of what was computed, and parameters keep theirs.
"""

import functools
import warnings

from .. import _dtype
from .._core import OP, TensorBase
from .._native import lib

_LOWER = ("matmul", "mm", "bmm", "linear", "addmm", "baddbmm", "conv", "conv_transpose", "attention", "sdpa", "rnn",
          "lstm", "gru")
_SINGLE = ("cross_entropy", "nll", "pair_loss", "prod", "ctc", "grid_sample", "pad_edge", "ctc_loss", "cdist",
           "adaptive_max_pool")
_DEVICES = ("cpu", "cuda", "mps", "xpu", "hpu", "mtia", "xla", "ipu", "maia", "privateuseone", "meta")
_dtypes = {"cpu": _dtype.bfloat16, "cuda": _dtype.float16, "xpu": _dtype.bfloat16, "mps": _dtype.float16}
_told = False


def _tell_kinds():
    """Hands the core its table, once."""
    global _told
    if not _told:
        kinds = bytearray(len(OP))
        for names, kind in ((_LOWER, 1), (_SINGLE, 2)):
            for name in names:
                if name in OP:
                    kinds[OP[name]] = kind
        lib.ad_autocast_kinds(bytes(kinds))
        _told = True


def is_autocast_available(device_type) -> bool:
    """Whether autocast(device_type) is a block that can be entered; True for the CPU, and for CUDA as in PyTorch."""
    _check(device_type)
    return device_type in ("cpu", "cuda", "mps", "xpu")


def _check(device_type):
    if not isinstance(device_type, str):
        raise ValueError(f"Expected `device_type` of type `str`, got: `{type(device_type)}`")
    _dtype.device(device_type)
    if device_type not in _DEVICES:
        raise RuntimeError(f"User specified an unsupported autocast device_type '{device_type}'")


def get_autocast_dtype(device_type):
    """The dtype that autocast(device_type) casts to when it is given none."""
    _check(device_type)
    return _dtypes.get(device_type, _dtype.bfloat16)


def set_autocast_dtype(device_type, dtype) -> None:
    _check(device_type)
    _dtypes[device_type] = dtype


def is_autocast_enabled(device_type="cuda") -> bool:
    """Whether the calling thread is inside autocast(device_type); only "cpu" ever is."""
    _check(device_type)
    if device_type != "cpu":
        return False
    now = lib.ad_autocast(-1)
    lib.ad_autocast(now)
    return now >= 0


def set_autocast_enabled(device_type, enabled=None) -> None:
    if enabled is None:
        device_type, enabled = "cuda", device_type
    _check(device_type)
    if device_type == "cpu":
        _tell_kinds()
        lib.ad_autocast(get_autocast_dtype("cpu").code if enabled else -1)


def is_autocast_cache_enabled() -> bool:
    """Whether the casts of parameters are kept until the outermost block ends."""
    return bool(lib.ad_autocast_cache(-1))


def set_autocast_cache_enabled(enabled) -> None:
    """Whether the calling thread's blocks keep the casts of parameters."""
    lib.ad_autocast_cache(bool(enabled))


def clear_autocast_cache() -> None:
    """Lets go of the casts of parameters that the calling thread's blocks keep."""
    lib.ad_autocast_clear()


class autocast:
    """A block, or a decorator, inside which products and convolutions are computed in a lower precision.

    device_type "cpu" has effect, with dtype bfloat16 or float16; others, which are not there, are disabled with the
    warning that PyTorch gives. Linear layers, matrix products, convolutions and attention cast float32 and half
    precision operands to the dtype; losses and prod cast theirs to float32. Blocks nest, also with enabled=False. The
    cast of a parameter is kept until the outermost block ends, unless cache_enabled is False.
    """

    def __init__(self, device_type, dtype=None, enabled=True, cache_enabled=None):
        _check(device_type)
        self.device = device_type
        self.fast_dtype = get_autocast_dtype(device_type) if dtype is None else dtype
        self._cache_enabled = is_autocast_cache_enabled() if cache_enabled is None else bool(cache_enabled)
        if device_type == "cpu":
            if enabled and self.fast_dtype not in (_dtype.bfloat16, _dtype.float16):
                warnings.warn(
                    "In CPU autocast, but the target dtype is not supported. Disabling autocast.\nCPU Autocast only "
                    "supports dtypes of torch.bfloat16, torch.float16 currently.", stacklevel=2)
                enabled = False
        elif enabled and device_type == "cuda":
            warnings.warn("CUDA is not available or torch_xla is imported. Disabling autocast.", stacklevel=2)
            enabled = False
        self._enabled = bool(enabled)
        self._before = []

    def __enter__(self):
        if self.device == "cpu":
            _tell_kinds()
            lib.ad_autocast_block(1)
            before = lib.ad_autocast(self.fast_dtype.code if self._enabled else -1)
            self._before.append((before, lib.ad_autocast_cache(self._cache_enabled)))
        return self

    def __exit__(self, *exc):
        if self.device == "cpu":
            before, cached = self._before.pop()
            lib.ad_autocast(before)
            lib.ad_autocast_cache(cached)
            lib.ad_autocast_block(-1)
        return False

    def __call__(self, func):
        @functools.wraps(func)
        def decorated(*args, **kwargs):
            with self:
                return func(*args, **kwargs)

        return decorated


def _cast(value, device_type, dtype):
    if isinstance(value, TensorBase):
        return value.to(dtype) if value.is_floating_point() and value.dtype is not _dtype.float64 else value
    if isinstance(value, dict):
        return {_cast(k, device_type, dtype): _cast(v, device_type, dtype) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        made = [_cast(v, device_type, dtype) for v in value]
        return type(value)(made) if type(value) in (list, tuple) else made
    return value


def custom_fwd(fwd=None, *, device_type, cast_inputs=None):
    """Decorates the forward of an autograd.Function: with cast_inputs, its operands are cast and autocast is off."""
    _check(device_type)
    if fwd is None:
        return functools.partial(custom_fwd, device_type=device_type, cast_inputs=cast_inputs)

    @functools.wraps(fwd)
    def decorate_fwd(*args, **kwargs):
        args[0]._dtype = get_autocast_dtype(device_type)
        on = is_autocast_enabled(device_type)
        args[0]._fwd_used_autocast = on and cast_inputs is None
        if cast_inputs is None or not on:
            return fwd(*args, **kwargs)
        with autocast(device_type, enabled=False):
            return fwd(*_cast(args, device_type, cast_inputs), **_cast(kwargs, device_type, cast_inputs))

    return decorate_fwd


def custom_bwd(bwd=None, *, device_type):
    """Decorates the backward of an autograd.Function: it runs under the autocast that its forward ran under."""
    _check(device_type)
    if bwd is None:
        return functools.partial(custom_bwd, device_type=device_type)

    @functools.wraps(bwd)
    def decorate_bwd(*args, **kwargs):
        with autocast(device_type, args[0]._dtype, enabled=args[0]._fwd_used_autocast):
            return bwd(*args, **kwargs)

    return decorate_bwd
