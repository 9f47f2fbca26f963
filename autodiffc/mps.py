"""torch.mps as a PyTorch built without MPS answers."""

from . import _devices

_CALLS = {"synchronize": "deviceSynchronize", "empty_cache": "emptyCache", "current_allocated_memory":
          "getCurrentAllocatedMemory", "driver_allocated_memory": "getDriverAllocatedMemory", "recommended_max_memory":
          "recommendedMaxMemory", "set_per_process_memory_fraction": "setMemoryFraction", "get_rng_state":
          "getDefaultMPSGenerator"}
for _name, _call in _CALLS.items():
    globals()[_name] = _devices.refused(_name, RuntimeError, f"Cannot execute {_call}() without MPS backend.")


def is_available() -> bool:
    """False."""
    return False


def device_count() -> int:
    """0."""
    return 0


def manual_seed(seed) -> None:
    """Nothing: there is no generator to seed."""
    int(seed)


def seed() -> None:
    """Nothing."""


def set_rng_state(new_state) -> None:
    """Nothing."""
