"""torch.cuda.comm: there are no devices to communicate between."""

from .. import _devices

_devices.refuse("broadcast broadcast_coalesced reduce_add reduce_add_coalesced scatter gather", globals(),
                AssertionError, _devices.NO_CUDA)
