"""torch.backends.cudnn: there is no cuDNN; its settings are remembered and change nothing."""

import sys

from .. import _devices

enabled = True
benchmark = deterministic = False
benchmark_limit = 10
allow_tf32 = True
fp32_precision = "none"


class _Precision:
    def __init__(self):
        self.fp32_precision = "tf32"


conv, rnn = _Precision(), _Precision()
CUDNN_TENSOR_DTYPES = set()


def is_available() -> bool:
    """False."""
    return False


def version():
    """None."""
    return None


def is_acceptable(tensor) -> bool:
    return False


def init() -> bool:
    return False


def set_flags(_enabled=None, _benchmark=None, _benchmark_limit=None, _deterministic=None, _allow_tf32=None,
              _fp32_precision="none"):
    """Sets those that are not None; returns what they were."""
    names = ("enabled", "benchmark", "benchmark_limit", "deterministic", "allow_tf32")
    before = tuple(globals()[n] for n in names)
    for n, v in zip(names, (_enabled, _benchmark, _benchmark_limit, _deterministic, _allow_tf32)):
        if v is not None:
            globals()[n] = v
    return before


def flags(enabled=False, benchmark=False, benchmark_limit=10, deterministic=False, allow_tf32=True,
          fp32_precision="none"):
    """These settings for the length of a block."""
    return _devices.flags(sys.modules[__name__], enabled=enabled, benchmark=benchmark, benchmark_limit=benchmark_limit,
                          deterministic=deterministic, allow_tf32=allow_tf32)
