"""torch.backends.mkldnn: the library computes with kernels of its own; the settings change nothing."""

import sys

from .. import _devices

enabled = True
deterministic = allow_tf32 = False
fp32_precision = "none"
VERBOSE_OFF, VERBOSE_ON, VERBOSE_ON_CREATION = 0, 1, 2


class _Precision:
    def __init__(self):
        self.fp32_precision = "none"


conv, rnn, matmul = _Precision(), _Precision(), _Precision()


def is_available() -> bool:
    """False."""
    return False


def flags(enabled=False, deterministic=False, allow_tf32=True, fp32_precision="none"):
    """These settings for the length of a block."""
    return _devices.flags(sys.modules[__name__], enabled=enabled, deterministic=deterministic, allow_tf32=allow_tf32)


class verbose(_devices.NoDevice):
    """A context that prints nothing."""

    def __init__(self, level):
        self.level = level
