"""Not supported: see autodiffc._absent. Settings in config are remembered and change nothing."""

from .. import _absent, _capture
from . import config  # noqa: F401

_absent.module(__name__)


def reset() -> None:
    """Makes every compiled function forget what it recorded."""
    _capture.reset()
