"""torch.compiler: what surrounds torch.compile."""

import functools

from .. import _capture

_STANCES = ("default", "eager_then_compile", "aot_eager_then_compile", "force_eager", "eager_on_recompile",
            "fail_on_recompile")


def compile(*args, **kwargs):
    """torch.compile."""
    return _capture.compile(*args, **kwargs)


def disable(fn=None, recursive=True, *, reason=None):
    """fn, or a decorator: what runs as it is at each call.

    A step that calls it is not recorded as a whole: it runs as it is, after one warning; under fullgraph=True that is a
    CaptureError. Of a Module, `forward` is replaced in place. TypeError for what cannot be called.
    """
    if fn is None:
        return functools.partial(disable, recursive=recursive, reason=reason)
    if not callable(fn):
        raise TypeError(f"disable() takes a function, not {type(fn).__name__}")
    if isinstance(fn, type):
        return fn
    from ..nn import Module

    if isinstance(fn, Module):
        fn.forward = disable(fn.forward)
        return fn

    @functools.wraps(fn)
    def run(*args, **kwargs):
        if _capture.recording is not None:
            _capture.refuse("calling what torch.compiler.disable() keeps from being recorded" +
                            (f" ({reason})" if reason else ""))
        return fn(*args, **kwargs)

    run._torchdynamo_disable = True
    return run


def allow_in_graph(fn):
    """fn itself."""
    return fn


assume_constant_result = allow_in_graph


def is_compiling() -> bool:
    """Whether a step is being recorded."""
    return _capture.here() is not None


is_dynamo_compiling = is_compiling


def is_exporting() -> bool:
    return False


def list_backends(exclude_tags=()) -> list:
    return ["inductor"]


def reset() -> None:
    """Makes every compiled function forget what it recorded, and why it did not."""
    _capture.reset()


def cudagraph_mark_step_begin() -> None:
    """Nothing."""


class set_stance:
    """What compiled functions do from now on, or inside of a block or a decorated function: "force_eager" runs them as
    they are, "eager_on_recompile" so when nothing recorded fits, "fail_on_recompile" is then a RuntimeError, and the
    others record as usual. RuntimeError for another stance; NotImplementedError for `force_backend`.
    """

    def __init__(self, stance="default", *, skip_guard_eval_unsafe=False, force_backend=None):
        if stance not in _STANCES:
            raise RuntimeError(f"invalid torch.compile stance '{stance}': one of {', '.join(_STANCES)}")
        if force_backend is not None:
            raise NotImplementedError("set_stance(force_backend=...): there is one backend")
        self.stance, self.before = stance, _capture.set_stance(stance)

    def __enter__(self):
        _capture.set_stance(self.stance)
        return self

    def __exit__(self, *exc):
        _capture.set_stance(self.before)
        return False

    def __call__(self, fn):
        _capture.set_stance(self.before)

        @functools.wraps(fn)
        def run(*args, **kwargs):
            with set_stance(self.stance):
                return fn(*args, **kwargs)

        return run


def __getattr__(name):
    if name.startswith("__"):  # the import system asks for some of every module
        raise AttributeError(name)
    from .._hook import missing

    raise missing.attribute(__name__, name)
