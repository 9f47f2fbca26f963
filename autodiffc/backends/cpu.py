"""torch.backends.cpu: what the processor can do."""

from .._native import ffi, lib


def get_cpu_capability() -> str:
    """AVX512, AVX2, or DEFAULT, as PyTorch names instruction sets."""
    name = ffi.string(lib.ad_isa()).decode().upper()
    return next((known for known in ("AVX512", "AVX2", "NEON") if known in name), "DEFAULT")
