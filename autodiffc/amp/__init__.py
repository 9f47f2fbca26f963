"""Automatic mixed precision on the CPU: autocast and GradScaler."""

from .autocast_mode import autocast, custom_bwd, custom_fwd, is_autocast_available  # noqa: F401
from .grad_scaler import GradScaler  # noqa: F401


def __getattr__(name):
    from .._hook import missing

    raise missing.attribute(__name__, name)
