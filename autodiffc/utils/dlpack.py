"""DLPack capsules: tensors exchanged with other libraries without copies."""

from ..interop import from_dlpack, to_dlpack

__all__ = ["from_dlpack", "to_dlpack"]
