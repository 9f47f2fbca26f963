"""What the library is and does: configuration, memory, threads."""

from . import _core
from ._native import ffi, lib

_STATS = (
    "bytes_in_use",
    "peak_bytes",
    "bytes_cached",
    "system_allocations",
    "allocations",
    "tensors",
    "nodes",
    "storages",
)


def memory_stats() -> dict:
    """Counters of the core's allocator: bytes in use by tensors and graphs, their peak, bytes kept for reuse, requests
    to the system, requests in all; and how many tensors, graph nodes and storages exist."""
    out = ffi.new("int64_t[8]")
    lib.ad_memory_stats(out)
    return dict(zip(_STATS, out))


def empty_cache() -> None:
    """Gives memory that is kept for reuse back to the system."""
    lib.ad_memory_trim()


def show_config() -> str:
    """The version, the processor, the instruction set in use and the number of threads, in a few lines."""
    from .version import autodiffc

    return (
        f"autodiffc {autodiffc}\nprocessor: {ffi.string(lib.ad_cpu()).decode()}\n"
        f"kernels: {ffi.string(lib.ad_isa()).decode()}\nthreads: {lib.ad_get_num_threads()}\n"
    )


def get_num_threads() -> int:
    """How many threads one operation may use."""
    return lib.ad_get_num_threads()


def set_num_threads(num) -> None:
    """Sets how many threads one operation may use. RuntimeError unless positive."""
    if not hasattr(num, "__index__"):
        raise RuntimeError(f"set_num_threads expects an int, but got {type(num).__name__}")
    if num <= 0:
        raise RuntimeError("set_num_threads expects a positive integer")
    _core.check(lib.ad_set_num_threads(min(int(num), 1 << 20)))


def get_num_interop_threads() -> int:
    """1: operations run one after the other."""
    return 1


def set_num_interop_threads(num) -> None:
    """Accepted; operations run one after the other whatever is set."""
    if num <= 0:
        raise RuntimeError("set_num_interop_threads expects a positive integer")
