"""Not supported: see autodiffc._absent. Settings in config are remembered and change nothing."""

from .. import _absent
from . import config  # noqa: F401

_absent.module(__name__)


def reset() -> None:
    """Nothing: compiled functions forget with their end."""
