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


class DispatchKey:
    """Names of PyTorch's dispatcher, which this library has not."""


for _name in ("CPU", "CUDA", "XPU", "Meta", "Autograd", "AutogradCPU", "AutogradCUDA", "AutocastCPU", "AutocastCUDA",
              "AutocastXPU", "CompositeImplicitAutograd", "CompositeExplicitAutograd"):
    setattr(DispatchKey, _name, _name)


class DispatchKeySet(frozenset):
    """A set of such names."""

    def __new__(cls, keys=()):
        return frozenset.__new__(cls, (keys,) if isinstance(keys, str) else keys)

    def __or__(self, other):
        return DispatchKeySet(frozenset.__or__(self, other))


class _Unchanged:
    """A block that changes nothing: there is no dispatcher to set."""

    def __init__(self, *args):
        self.args = args

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        return False


_ExcludeDispatchKeyGuard = DisableTorchFunctionSubclass = DisableTorchFunction = _Unchanged


def _log_api_usage_once(name) -> None:
    """Nothing."""


def __getattr__(name):
    if name.startswith("__"):
        raise AttributeError(name)
    if name == "_nn":  # the compiled functions of layers: torch.nn.functional.gelu is torch._C._nn.gelu
        from .nn import functional

        return functional
    from ._hook import missing

    raise missing.MissingName(f"torch._C.{name}")
