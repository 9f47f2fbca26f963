"""What the modules of devices that this machine cannot use have in common."""

import contextlib

from . import _dtype

NO_CUDA = "Torch not compiled with CUDA enabled"
NO_XPU = "Torch not compiled with XPU enabled"
NO_ACCELERATOR = "Cannot access accelerator device when none is available."


def refused(name, error, text):
    """A function of a device's module that raises what PyTorch raises where the device is not there."""

    def function(*args, **kwargs):
        raise error(text)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"{error.__name__}: {text}"
    function.answers = True  # as PyTorch does: counts as supported
    return function


def refuse(names, module, error, text):
    for name in names.split():
        module[name] = refused(name, error, text)


class NoDevice:
    """A context of a device number: -1 and None change nothing, as in PyTorch without the device."""

    def __init__(self, device=None):
        self.idx = device

    def __enter__(self):
        return None

    def __exit__(self, *exc):
        return False


class StreamContext(NoDevice):
    def __init__(self, stream=None):
        self.stream = stream


@contextlib.contextmanager
def flags(module, **changes):
    """Attributes of a module or object for the length of a block."""
    before = {n: getattr(module, n) for n in changes}
    for n, v in changes.items():
        if v is not None:
            setattr(module, n, v)
    try:
        yield
    finally:
        for n, v in before.items():
            setattr(module, n, v)


class _NoTensorType(type):
    """A tensor class of a device that is not there: known, never an instance's class, not callable."""

    def __call__(cls, *args, **kwargs):
        raise TypeError(f"type {cls.__module__}.{cls.__name__} not available. {cls.reason}")

    def __instancecheck__(cls, obj):
        return False


def tensor_types(module, path, reason):
    for name in ("Bool", "Byte", "Char", "Short", "Int", "Long", "Half", "BFloat16", "Float", "Double"):
        kind = _NoTensorType(name + "Tensor", (), {"__module__": path, "reason": reason, "answers": True,
                                                   "dtype": _dtype.DTYPES[_ORDER.index(name)]})
        module[name + "Tensor"] = kind


_ORDER = ["Bool", "Byte", "Char", "Short", "Int", "Long", "Half", "BFloat16", "Float", "Double"]

# ---- what cuda and xpu answer alike ----


def is_available() -> bool:
    """False."""
    return False


def is_initialized() -> bool:
    """False."""
    return False


def is_bf16_supported(including_emulation=True) -> bool:
    """False."""
    return False


def device_count() -> int:
    """0."""
    return 0


def manual_seed(seed) -> None:
    """Nothing: there is no generator to seed."""
    int(seed)


manual_seed_all = manual_seed


def seed() -> None:
    """Nothing."""


seed_all = empty_cache = seed


def memory_allocated(device=None) -> int:
    """0."""
    return 0


max_memory_allocated = memory_reserved = max_memory_reserved = memory_allocated


class device(NoDevice):
    """A context that would make a device the current one."""


def stream(stream=None):
    """A context that changes nothing for None: there are no streams."""
    return StreamContext(stream)

