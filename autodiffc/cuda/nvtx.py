"""torch.cuda.nvtx: there is no NVTX."""

from .. import _devices

_devices.refuse("range_push range_pop range_start range_end range mark", globals(), RuntimeError,
                "NVTX functions not installed. Are you sure you have a CUDA build?")
