"""torch.cuda.streams."""

from . import Event, ExternalStream, Stream  # noqa: F401
