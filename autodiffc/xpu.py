"""torch.xpu as a PyTorch built without XPU answers."""

from . import _devices
from ._devices import NO_XPU, NoDevice, StreamContext

_devices.refuse("current_device synchronize init get_device_name get_device_capability get_device_properties "
                "current_stream get_rng_state initial_seed mem_get_info set_device reset_peak_memory_stats",
                globals(), AssertionError, NO_XPU)


def is_available() -> bool:
    """False."""
    return False


def is_initialized() -> bool:
    return False


def is_bf16_supported(including_emulation=True) -> bool:
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
    """A context that changes nothing for None."""
    return StreamContext(stream)
