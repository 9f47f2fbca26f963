"""Anomaly mode: where a node that fails, or gives NaN, was made."""

import warnings

from .._native import lib


class set_detect_anomaly:
    """Switches anomaly mode on or off at once; as a context manager, until its end.

    In it, each operation remembers the Python stack of its call, shown as a warning when its gradient fails; with
    check_nan a gradient with a NaN is a RuntimeError.
    """

    def __init__(self, mode: bool, check_nan: bool = True):
        self.prev = lib.ad_anomaly()
        lib.ad_set_anomaly((2 if check_nan else 1) if mode else 0)

    def __enter__(self):
        return None

    def __exit__(self, *exc):
        lib.ad_set_anomaly(self.prev)


class detect_anomaly:
    """Anomaly mode as a context manager; see set_detect_anomaly."""

    def __init__(self, check_nan: bool = True):
        self.check_nan = check_nan
        warnings.warn(
            "Anomaly Detection has been enabled. This mode will increase the runtime and should only be enabled for "
            "debugging.",
            stacklevel=2,
        )

    def __enter__(self):
        self.prev = lib.ad_anomaly()
        lib.ad_set_anomaly(2 if self.check_nan else 1)

    def __exit__(self, *exc):
        lib.ad_set_anomaly(self.prev)


def is_anomaly_enabled() -> bool:
    """Whether anomaly mode is on."""
    return bool(lib.ad_anomaly())


def is_anomaly_check_nan_enabled() -> bool:
    """Whether anomaly mode looks for NaN."""
    return lib.ad_anomaly() == 2
