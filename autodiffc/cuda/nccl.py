"""torch.cuda.nccl: there is no NCCL."""

from .. import _devices

_devices.refuse("version unique_id init_rank all_reduce reduce broadcast all_gather reduce_scatter", globals(),
                AssertionError, _devices.NO_CUDA)


def is_available(tensors) -> bool:
    return False
