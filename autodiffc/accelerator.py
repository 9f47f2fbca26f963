"""torch.accelerator where there is none."""

from . import _devices

_devices.refuse("current_device_index current_device_idx set_device_index set_device_idx synchronize current_stream "
                "set_stream memory_allocated max_memory_allocated memory_reserved max_memory_reserved memory_stats "
                "empty_cache reset_peak_memory_stats reset_accumulated_memory_stats get_memory_info "
                "get_device_capability", globals(), RuntimeError, _devices.NO_ACCELERATOR)


def is_available() -> bool:
    """False."""
    return False


def device_count() -> int:
    """0."""
    return 0


def current_accelerator(check_available=False):
    """None."""
    return None


class device_index(_devices.NoDevice):
    """A context that would make a device the current one."""
