"""torch.cuda.sparse: classes that cannot be made."""

from .. import _devices

_devices.tensor_types(globals(), "torch.cuda.sparse", _devices.NO_CUDA + ".")
