"""What scripts read from torch._C."""

from ._dtype import Size, device, dtype, layout, memory_format  # noqa: F401
from ._generator import Generator  # noqa: F401
from .autograd.grad_mode import is_grad_enabled  # noqa: F401
from .autograd.grad_mode import set_grad_enabled as _set_grad_enabled  # noqa: F401
from .linalg import LinAlgError as _LinAlgError  # noqa: F401
from .tensor import Tensor

TensorBase = _TensorBase = Tensor


def _get_default_device() -> str:
    return "cpu"


def __getattr__(name):
    if name.startswith("__"):
        raise AttributeError(name)
    from ._hook import missing

    raise missing.MissingName(f"torch._C.{name}")
