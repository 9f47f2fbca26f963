"""torch.cpu: the device that there is."""

from . import _dtype
from ._devices import StreamContext


def is_available() -> bool:
    """True."""
    return True


def device_count() -> int:
    """1."""
    return 1


def is_initialized() -> bool:
    return True


def current_device() -> str:
    return "cpu"


def set_device(device) -> None:
    """Nothing: there is one."""


def synchronize(device=None) -> None:
    """Nothing: operations are done when they return."""


class Stream:
    """The order of operations, which on the CPU is that of the calls."""

    def __init__(self, priority=-1):
        self.device = _dtype.CPU

    def wait_stream(self, stream) -> None:
        """Nothing."""

    def record_event(self) -> None:
        """Nothing."""

    def wait_event(self, event) -> None:
        """Nothing."""


def current_stream(device=None) -> Stream:
    return Stream()


def stream(stream):
    """A context that changes nothing."""
    return StreamContext(stream)
