"""The parts of a DataLoader."""

MP_STATUS_CHECK_INTERVAL = 5.0
"""How long, in seconds, a process that does not answer is waited for at the end."""

from . import collate, fetch, pin_memory, worker  # noqa: E402,F401
