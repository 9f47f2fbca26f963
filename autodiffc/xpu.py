"""torch.xpu as a PyTorch built without XPU answers."""

from . import _devices
from ._devices import (  # noqa: F401
    NO_XPU,
    StreamContext,
    device,
    device_count,
    empty_cache,
    is_available,
    is_bf16_supported,
    is_initialized,
    manual_seed,
    manual_seed_all,
    max_memory_allocated,
    max_memory_reserved,
    memory_allocated,
    memory_reserved,
    seed,
    seed_all,
    stream,
)

_devices.refuse("current_device synchronize init get_device_name get_device_capability get_device_properties "
                "current_stream get_rng_state initial_seed mem_get_info set_device reset_peak_memory_stats",
                globals(), AssertionError, NO_XPU)
