"""Handles and errors: the one place where Python meets the C core.

A tensor is an integer handle, a counted reference to a C struct. Every call that returns a handle returns
a new reference, which `wrap` puts into a Tensor; the Tensor gives it back when it is collected.
"""

import atexit
import os
import sys
import threading

from ._native import ffi, lib

OP = {ffi.string(lib.ad_op_name(k)).decode(): k for k in range(lib.ad_op_count())}
"""Operation numbers by name, read once."""



class CaptureError(RuntimeError):
    """A step that is being recorded did what a replay could not do."""


class BatchError(RuntimeError):
    """A function under vmap reads values, or what else cannot be done for all samples at once."""


class SparseOperand(NotImplementedError):
    """A sparse tensor where the core needs a dense one."""


class ComplexOperand(NotImplementedError):
    """A complex tensor where the core needs a real one."""


_ERRORS = {
    lib.AD_ERR_RUNTIME: RuntimeError,
    lib.AD_ERR_TYPE: TypeError,
    lib.AD_ERR_INDEX: IndexError,
    lib.AD_ERR_VALUE: ValueError,
    lib.AD_ERR_MEMORY: MemoryError,
    lib.AD_ERR_NOT_IMPLEMENTED: NotImplementedError,
    lib.AD_ERR_INTERRUPT: KeyboardInterrupt,
    lib.AD_ERR_ZERO_DIVISION: ZeroDivisionError,
    lib.AD_ERR_OVERFLOW: OverflowError,
    lib.AD_ERR_CAPTURE: CaptureError,
    lib.AD_ERR_BATCH: BatchError,
}

_PACKAGE = os.path.dirname(__file__) + os.sep

_pending = threading.local()
"""The exception that a Python callback raised inside a C call, until that call returns."""

interrupt = None
"""What a signal handler raised inside a C call (KeyboardInterrupt, as a rule), until that call returns."""


def fail():
    """Raises the calling thread's last error as the class that PyTorch would raise."""
    cls = lib.ad_error_class()
    if cls == lib.AD_ERR_PYTHON:
        raised = _pending.__dict__.pop("error", None)
        if raised is not None:
            try:
                raise raised
            finally:
                raised = None  # or the exception and this frame would keep each other, and all tensors in between
    if cls == lib.AD_ERR_INTERRUPT:
        global interrupt
        raised, interrupt = interrupt, None
        if raised is not None:
            raise raised
    text = ffi.string(lib.ad_error_message()).decode(errors="replace")
    if cls == lib.AD_ERR_CAPTURE:
        text += location()
    raise _ERRORS.get(cls, RuntimeError)(text)


def location():
    """" (file, line n)" of the innermost caller outside this package, or nothing."""
    frame = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename.startswith((_PACKAGE, "<frozen importlib")):
        frame = frame.f_back
    return f" ({frame.f_code.co_filename}, line {frame.f_lineno})" if frame is not None else ""


def callers_level():
    """The stacklevel, for a warning of the function that asks, of the innermost caller outside this package."""
    frame, level = sys._getframe(1), 1
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        frame, level = frame.f_back, level + 1
    return level


# written in C: set by make_handle_class()
Handle = wrap = unary = binary = ints = listed = joined = filled = apply = program_call = profile_filter = None
if lib.make_handle_class():
    raise ImportError("the class of tensors could not be made")


class TensorBase(Handle):
    """The handle, and nothing else; autodiffc.tensor.Tensor adds the names."""

    __slots__ = ("_grad_ref", "__weakref__", "__dict__")
    _dense = True  # a sparse tensor has no handle


Tensor = TensorBase  # replaced by autodiffc.tensor once it is defined

def wrap_results(first):
    """All outputs of a call that had several, as a tuple; `first` is what the call returned."""
    if not first:
        fail()
    n = lib.ad_result_count()
    if n == 0:
        return ()
    return (wrap(first), *[wrap(lib.ad_take_result(k)) for k in range(1, n)])


def check(status):
    """Raises when a call that returns a status failed."""
    if status < 0:
        fail()
    return status


# ---- Python objects that the core holds by number: array owners, hooks, functions ----

_held = {}
_next_key = iter(range(1, 1 << 62)).__next__


def hold(obj) -> int:
    """Keeps obj alive until the core drops the returned key."""
    key = _next_key()
    _held[key] = obj
    return key


def held(key):
    return _held[key]


def drop(key):
    _held.pop(key, None)


@ffi.def_extern()
def py_drop(key, _pop=_held.pop):  # bound, because graphs may outlive the names of this module at exit
    dropped = getattr(_pop(key, None), "node_dropped", None)
    if dropped is not None:
        dropped()


@ffi.def_extern(error=-1)
def py_backward(key, nout, grads, nin, result):
    try:
        given = []
        for k in range(nout):
            if grads[k]:
                lib.ad_retain(grads[k])
            given.append(wrap(grads[k]) if grads[k] else None)
        for i, g in enumerate(_held[key].node_backward(given)):
            if g is not None and i < nin:
                lib.ad_retain(g._h)
                result[i] = g._h
        return 0
    except BaseException as e:  # carried across the C call, raised again by fail()
        _pending.error = e
        return -1


refused_at = ""
"""Where the recording that was refused last was, as location() puts it."""


@ffi.def_extern()
def py_refused():
    global refused_at
    refused_at = location()


_callbacks = None


def start(**callbacks):
    """Hands the core what it calls back; the rest of it is in autograd._hooks."""
    global _callbacks
    _callbacks = ffi.new("ad_callbacks *", {
        "let_go": ffi.addressof(lib, "let_go"), "take_back": ffi.addressof(lib, "take_back"),
        "backward": lib.py_backward, "hook": callbacks["py_hook"], "drop": lib.py_drop,
        "node_hook": callbacks["py_node_hook"], "trace": callbacks["py_trace"], "blame": callbacks["py_blame"],
        "pack": callbacks["py_pack"], "unpack": callbacks["py_unpack"],
        "interrupted": ffi.addressof(lib, "check_interrupt"), "refused": lib.py_refused,
    })
    if lib.ad_init(_callbacks):
        fail()
    atexit.register(_quiet)


def _quiet():
    """What the core lets go of while the interpreter goes down needs no call back any more."""
    _callbacks.drop = ffi.NULL
    lib.ad_init(_callbacks)
