"""Results that come later: torch.futures."""

import threading


class Future:
    """A value that is set once, by set_result() or set_exception(), in whichever thread."""

    def __init__(self, *, devices=None):
        self._done = threading.Event()
        self._lock = threading.Lock()
        self._value = self._error = None
        self._callbacks = []

    def done(self) -> bool:
        return self._done.is_set()

    def wait(self):
        """The value, once there is one; raises the exception that was set instead."""
        self._done.wait()
        return self.value()

    def value(self):
        """The value. RuntimeError when there is none yet; raises the exception that was set instead."""
        if not self.done():
            raise RuntimeError("the future has no value yet: call wait()")
        if self._error is not None:
            raise self._error
        return self._value

    def set_result(self, result) -> None:
        """RuntimeError when it is set already."""
        self._set(result, None)

    def set_exception(self, result) -> None:
        if not isinstance(result, Exception):
            raise AssertionError(f"{result} is of type {type(result)}, not an Exception.")
        self._set(None, result)

    def _set(self, value, error):
        with self._lock:
            if self.done():
                raise RuntimeError("the future has a value already")
            self._value, self._error = value, error
            self._done.set()
            callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            callback(self)

    def add_done_callback(self, callback) -> None:
        """Calls callback(self) when there is a value, at once when there is one."""
        with self._lock:
            if not self.done():
                self._callbacks.append(callback)
                return
        callback(self)

    def then(self, callback):
        """A Future of callback(self)."""
        made = Future()

        def follow(_):
            try:
                result = callback(self)
            except Exception as e:
                made.set_exception(e)
            else:
                made.set_result(result)

        self.add_done_callback(follow)
        return made


def collect_all(futures):
    """A Future of the list of futures, which has its value when all of them have theirs."""
    futures = list(futures)
    made, left, lock = Future(), [len(futures)], threading.Lock()
    if not futures:
        made.set_result(futures)

    def count(_):
        with lock:
            left[0] -= 1
            last = not left[0]
        if last:
            made.set_result(futures)

    for f in futures:
        f.add_done_callback(count)
    return made


def wait_all(futures) -> list:
    """The values of all; raises the first exception."""
    return [f.wait() for f in collect_all(futures).wait()]


def __getattr__(name):
    if name.startswith("__"):
        raise AttributeError(name)
    from .._hook import missing

    raise missing.attribute(__name__, name)
