"""Switching the recording of gradients off and on: context managers that serve as decorators too.

The switches are the calling thread's own.
"""

import functools

from .._native import lib

_GENERATOR = 0x20  # inspect.CO_GENERATOR, without importing inspect
_set_grad, _set_inference = lib.ad_set_grad_enabled, lib.ad_set_inference_mode


def is_grad_enabled() -> bool:
    """Whether operations on this thread record how to compute gradients."""
    return bool(lib.ad_grad_enabled())


def is_inference_mode_enabled() -> bool:
    """Whether this thread is inside inference_mode()."""
    return bool(lib.ad_inference_mode())


class _Decorator:
    """A context manager that wraps a function, or each step of a generator, when it is called on one."""

    def clone(self):
        return self.__class__()

    def __call__(self, fn):
        if isinstance(fn, type):
            fn.__init__ = self(fn.__init__)
            return fn
        if getattr(getattr(fn, "__code__", None), "co_flags", 0) & _GENERATOR:
            return self._wrap_generator(fn)

        @functools.wraps(fn)
        def wrapped(*args, **kwargs):
            with self.clone():
                return fn(*args, **kwargs)

        return wrapped

    def _wrap_generator(self, fn):
        @functools.wraps(fn)
        def wrapped(*args, **kwargs):
            gen = fn(*args, **kwargs)
            step, value = gen.send, None
            while True:
                try:
                    with self.clone():
                        got = step(value)
                except StopIteration as end:
                    return end.value
                try:
                    step, value = gen.send, (yield got)
                except GeneratorExit:
                    with self.clone():
                        gen.close()
                    raise
                except BaseException as e:  # thrown into the wrapper: the generator decides
                    step, value = gen.throw, e

        return wrapped


class _Bare(_Decorator):
    """Usable without parentheses: @no_grad."""

    def __new__(cls, orig_func=None):
        self = object.__new__(cls)
        return self if orig_func is None else self(orig_func)


class no_grad(_Bare):
    """Operations inside record no gradients; their results do not require grad."""

    def __enter__(self):
        self.prev = _set_grad(0)

    def __exit__(self, *exc):
        _set_grad(self.prev)


class enable_grad(_Bare):
    """Operations inside record gradients, also within no_grad()."""

    def __enter__(self):
        self.prev = _set_grad(1)

    def __exit__(self, *exc):
        _set_grad(self.prev)


class set_grad_enabled(_Decorator):
    """Sets recording to `mode` at once; as a context manager, until its end."""

    def __init__(self, mode: bool):
        self.mode = mode
        self.prev = _set_grad(bool(mode))

    def clone(self):
        return self.__class__(self.mode)

    def __call__(self, fn):
        _set_grad(self.prev)
        return super().__call__(fn)

    def __enter__(self):
        _set_grad(bool(self.mode))

    def __exit__(self, *exc):
        _set_grad(self.prev)

    def __repr__(self):
        return f"{type(self).__name__}(mode={self.mode})"


class inference_mode(_Decorator):
    """no_grad() whose results can never take part in recording afterwards."""

    def __new__(cls, mode=True):
        self = object.__new__(cls)
        if isinstance(mode, bool):
            return self
        self.mode = True
        return self(mode)

    def __init__(self, mode=True):
        self.mode = mode

    def clone(self):
        return self.__class__(self.mode)

    def __enter__(self):
        self.prev = _set_inference(bool(self.mode)), _set_grad(not self.mode)

    def __exit__(self, *exc):
        _set_inference(self.prev[0])
        _set_grad(self.prev[1])


class set_multithreading_enabled(_Decorator):
    """Accepted for scripts that name it: backward runs on the calling thread in any case."""

    def __init__(self, mode: bool):
        self.mode = mode

    def clone(self):
        return self.__class__(self.mode)

    def __enter__(self):
        return None

    def __exit__(self, *exc):
        return None
