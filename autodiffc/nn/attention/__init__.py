"""Which way scaled_dot_product_attention() computes; there is one way here."""

import contextlib
import enum


class SDPBackend(enum.IntEnum):
    """The ways that PyTorch has."""

    ERROR = -1
    MATH = 0
    FLASH_ATTENTION = 1
    EFFICIENT_ATTENTION = 2
    CUDNN_ATTENTION = 3
    OVERRIDEABLE = 4


@contextlib.contextmanager
def sdpa_kernel(backends, set_priority=False):
    """A block that allows some ways only; TypeError for what is no SDPBackend. Changes nothing."""
    if isinstance(backends, SDPBackend):
        backends = [backends]
    if not isinstance(backends, (list, tuple, set)) or not all(isinstance(b, SDPBackend) for b in backends):
        raise AssertionError("Backend must be an instance of SDPBackend or a list of SDPBackend instances")
    yield {}


def __getattr__(name):
    if name == "flex_attention":
        import importlib

        return importlib.import_module(".flex_attention", __name__)
    if name.startswith("__"):  # the import system asks for some of every module
        raise AttributeError(name)
    from ..._hook import missing

    raise missing.attribute(__name__, name)
