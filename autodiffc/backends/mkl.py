"""torch.backends.mkl: the library does not use it."""

from .. import _devices

VERBOSE_OFF, VERBOSE_ON = 0, 1


def is_available() -> bool:
    """False."""
    return False


class verbose(_devices.NoDevice):
    """A context that prints nothing."""

    def __init__(self, enable):
        self.enable = enable
