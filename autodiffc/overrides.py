"""torch.overrides, for libraries that ask: no type overrides torch functions here."""

from .autograd import is_tensor_like  # noqa: F401


def has_torch_function(relevant_args) -> bool:
    """False."""
    return False


def has_torch_function_unary(obj) -> bool:
    """False."""
    return False


def has_torch_function_variadic(*args) -> bool:
    """False."""
    return False


def handle_torch_function(public_api, relevant_args, *args, **kwargs):
    """TypeError: no argument overrides torch functions."""
    raise TypeError(f"no implementation found for {getattr(public_api, '__name__', public_api)!r} on types that "
                    "implement __torch_function__: autodiffc does not call it")


def is_tensor_method_or_property(func) -> bool:
    """Whether func is an attribute of Tensor."""
    from .tensor import Tensor

    return any(v is func for v in vars(Tensor).values())


def wrap_torch_function(dispatcher):
    """A decorator that changes nothing."""
    return lambda func: func


def __getattr__(name):
    if name.startswith("__"):  # the import system asks for some of every module
        raise AttributeError(name)
    from ._hook import missing

    raise missing.attribute(__name__, name)
