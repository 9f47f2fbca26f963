"""torch.jit: functions and modules run as the Python that they are; nothing is compiled, saved or loaded."""

import typing

from .. import _absent
from ..futures import Future  # noqa: F401
from ..nn.modules.module import Module

Final = typing.Final
TracerWarning = type("TracerWarning", (Warning,), {})


def script(obj, optimize=None, _frames_up=0, _rcb=None, example_inputs=None):
    """obj itself: a function, class or module."""
    return obj


def trace(func, example_inputs=None, optimize=None, check_trace=True, check_inputs=None, check_tolerance=1e-5,
          strict=True, _force_outplace=False, _module_class=None, _compilation_unit=None, example_kwarg_inputs=None,
          _store_inputs=True):
    """func itself."""
    return func


def trace_module(mod, inputs, *args, **kwargs):
    """mod itself."""
    return mod


def script_method(fn):
    """fn itself."""
    return fn


export = script_if_tracing = _script_if_tracing = interface = _overload_method = _overload = script_method


def _decorator(fn=None, *args, **kwargs):
    return fn if callable(fn) else lambda f: f


def ignore(drop=False, **kwargs):
    """A decorator that changes nothing, with or without arguments."""
    return _decorator(drop)


def unused(fn):
    """fn itself."""
    return fn


def freeze(mod, preserved_attrs=None, optimize_numerics=True):
    """mod itself."""
    return mod


def optimize_for_inference(mod, other_methods=None):
    """mod itself."""
    return mod


def is_scripting() -> bool:
    """False."""
    return False


def is_tracing() -> bool:
    """False."""
    return False


def annotate(the_type, the_value):
    """the_value."""
    return the_value


def Attribute(value, type):
    """value."""
    return value


def isinstance(obj, target_type):
    """Whether obj is of a type, or one of several."""
    import builtins

    return builtins.isinstance(obj, target_type)


def fork(func, *args, **kwargs):
    """A Future of func(*args, **kwargs), which is computed at once."""
    made = Future()
    made.set_result(func(*args, **kwargs))
    return made


def wait(future):
    """The result of a Future."""
    return future.wait()


def set_fusion_strategy(strategy):
    """Nothing is fused: returns the strategy."""
    return strategy


def enable_onednn_fusion(enabled) -> None:
    """Nothing."""


def onednn_fusion_enabled() -> bool:
    return False


class strict_fusion:
    """A context that changes nothing."""

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        return False


class ScriptModule(Module):
    """A Module."""


RecursiveScriptModule = TracedModule = TopLevelTracedModule = ScriptModule
ScriptFunction = type(script)
load = _absent.absent("torch.jit.load")
save = _absent.absent("torch.jit.save")
CompilationUnit = _absent.absent("torch.jit.CompilationUnit")


def __getattr__(name):
    if name.startswith("__"):  # the import system asks for some of every module
        raise AttributeError(name)
    from .._hook import missing

    raise missing.attribute(__name__, name)
