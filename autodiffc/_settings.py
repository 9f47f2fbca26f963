"""Settings of PyTorch's that a script may make, with the effect that there is to have."""

import warnings

from . import _dtype
from ._dtype import device

_precision = "highest"
_deterministic = "default"
_warn_always = False


def set_float32_matmul_precision(precision) -> None:
    """Remembered: float32 products are computed in float32. A UserWarning for anything but highest, high, medium."""
    global _precision
    if precision in ("highest", "high", "medium"):
        _precision = precision
    else:
        warnings.warn(f"{precision} is not one of 'highest', 'high', or 'medium'; the current"
                      "setFloat32MatmulPrecision call has no effect.", stacklevel=2)


def get_float32_matmul_precision() -> str:
    return _precision


def use_deterministic_algorithms(mode, *, warn_only=False) -> None:
    """Remembered: every operation here is deterministic, for any number of threads."""
    global _deterministic
    if not isinstance(mode, bool):
        raise TypeError(
            f"_set_deterministic_algorithms(): argument 'mode' (position 1) must be bool, not {type(mode).__name__}")
    _deterministic = ("warn" if warn_only else "error") if mode else "default"


def are_deterministic_algorithms_enabled() -> bool:
    return _deterministic != "default"


def is_deterministic_algorithms_warn_only_enabled() -> bool:
    return _deterministic == "warn"


def set_deterministic_debug_mode(debug_mode) -> None:
    """default, warn, error or 0, 1, 2: as use_deterministic_algorithms."""
    global _deterministic
    modes = ("default", "warn", "error")
    if not isinstance(debug_mode, (int, str)):
        raise TypeError(f"debug_mode must be str or int, but got {type(debug_mode)}")
    if isinstance(debug_mode, int) and 0 <= debug_mode < 3:
        debug_mode = modes[debug_mode]
    if debug_mode not in modes:
        raise RuntimeError(f"invalid value of debug_mode, expected one of default, warn, error or 0, 1, 2, but got "
                           f"{debug_mode}")
    _deterministic = debug_mode


def get_deterministic_debug_mode() -> int:
    return ("default", "warn", "error").index(_deterministic)


def set_default_device(device) -> None:
    """Accepts the CPU and None; raises what a PyTorch without the device raises at the first tensor."""
    if device is not None:
        _dtype.check_device(device)


def get_default_device():
    return device("cpu")


def set_default_tensor_type(t) -> None:
    """The dtype of tensors made from Python floats, by the class of tensors (FloatTensor) or its name."""
    name = t if isinstance(t, str) else f"{getattr(t, '__module__', '')}.{getattr(t, '__name__', t)}"
    if name.startswith("torch.cuda."):
        raise TypeError(f"type {name} not available. Torch not compiled with CUDA enabled.")
    kind = {"torch.FloatTensor": _dtype.float32, "torch.DoubleTensor": _dtype.float64,
            "torch.HalfTensor": _dtype.float16, "torch.BFloat16Tensor": _dtype.bfloat16}.get(name)
    if kind is None:
        raise TypeError(f"only floating-point types are supported as the default type, not {name}")
    _dtype.set_default_dtype(kind)


def set_flush_denormal(mode) -> bool:
    """Whether the mode is in force: denormal numbers are always computed with, so True is not."""
    return not mode


def set_warn_always(b) -> None:
    """Remembered."""
    global _warn_always
    _warn_always = bool(b)


def is_warn_always_enabled() -> bool:
    return _warn_always


def get_device_module(device=None):
    """The module of a device, torch.cpu for none. RuntimeError for a kind of device that has no module."""
    import importlib

    kind = "cpu" if device is None else _dtype.device(device).type
    if kind not in ("cpu", "cuda", "mps", "xpu"):
        raise RuntimeError(f"Invalid device {kind!r}: it has no module")
    return importlib.import_module(f"{__package__}.{kind}")


def _assert(condition, message) -> None:
    """AssertionError with the message unless condition holds."""
    if not condition:
        raise AssertionError(message)


def _check(cond, message=None) -> None:
    """RuntimeError, with what message() returns, unless cond holds."""
    if not cond:
        raise RuntimeError("Expected cond to be True, but got False." if message is None else str(message()))
