"""torch.cuda as a PyTorch built without CUDA answers."""

from collections import OrderedDict

from .. import _devices, _dtype
from .._devices import (  # noqa: F401
    NO_CUDA,
    NoDevice,
    StreamContext,
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

_refuse = _devices.refuse
_refuse("current_device synchronize init _lazy_init get_device_name get_device_capability get_device_properties "
        "mem_get_info current_stream default_stream get_rng_state initial_seed ipc_collect can_device_access_peer "
        "set_per_process_memory_fraction get_sync_debug_mode set_sync_debug_mode reset_peak_memory_stats "
        "reset_accumulated_memory_stats reset_max_memory_allocated reset_max_memory_cached memory_summary "
        "memory_snapshot current_blas_handle get_gencode_flags graph_pool_handle make_graphed_callables "
        "list_gpu_processes memory_usage utilization temperature power_draw clock_rate cudart",
        globals(), AssertionError, NO_CUDA)
_devices.tensor_types(globals(), "torch.cuda", NO_CUDA + ".")

has_half = has_magma = False
default_generators = ()


class OutOfMemoryError(RuntimeError):
    """The device's memory is used up: never raised here."""


class CudaError(RuntimeError):
    """Never raised here."""


AcceleratorError = CudaError


def is_tf32_supported() -> bool:
    return False


def is_current_stream_capturing() -> bool:
    return False


memory_cached = max_memory_cached = memory_allocated


def memory_stats(device=None):
    """An empty dictionary."""
    return OrderedDict()


def get_rng_state_all() -> list:
    return []


def set_rng_state(new_state, device="cuda") -> None:
    """Nothing."""


def set_rng_state_all(new_states) -> None:
    """Nothing."""


def get_arch_list() -> list:
    return []


def set_device(device) -> None:
    """Nothing for a negative number; AssertionError for a device, ValueError for one of another kind."""
    d = device if isinstance(device, int) else _dtype.device(device)
    if not isinstance(d, int):
        if d.type != "cuda":
            raise ValueError(f"Expected a cuda device, but got: {d}")
        d = d.index or 0
    if d >= 0:
        raise AssertionError(NO_CUDA)


device = _devices.device


class device_of(NoDevice):
    """A context that would make a tensor's device the current one."""


class Stream:
    """RuntimeError: there are no streams."""

    def __init__(self, *args, **kwargs):
        raise RuntimeError("torch.cuda.Stream requires CUDA support")


ExternalStream = Stream


class Event:
    """RuntimeError: there are no events."""

    def __init__(self, *args, **kwargs):
        raise RuntimeError("Tried to instantiate dummy base class Event")


class CUDAGraph:
    """RuntimeError: there are no graphs."""

    def __init__(self, *args, **kwargs):
        raise RuntimeError("Tried to instantiate dummy base class CUDAGraph")


class graph(CUDAGraph):
    """RuntimeError: there are no graphs."""


_SUBMODULES = ("amp", "memory", "random", "nccl", "nvtx", "comm", "streams", "graphs", "sparse")


def __getattr__(name):
    if name in _SUBMODULES:
        import importlib

        return importlib.import_module("." + name, __name__)
    if name.startswith("__"):  # the import system asks for some of every module
        raise AttributeError(name)
    from .._hook import missing

    raise missing.attribute(__name__, name)
