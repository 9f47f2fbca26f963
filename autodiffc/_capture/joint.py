"""Functions and modules whose results are differentiated outside: a forward part and a backward part of one program.

The first call records the forward part; the backward pass that it gets records the rest. The tape of that call is kept
until nothing can ask it again, then the program is planned. From then on a call replays the first part and leaves one
node on the tape, whose rule replays the second (csrc/joint.c). The values between them lie in the program's own memory,
so that a program has one call at a time: while its backward pass is still to come, the next call uses, or records,
another.
"""

import weakref

from .. import _capture, _core
from .._core import CaptureError, TensorBase, check, fail, wrap
from .._native import ffi, lib
from .record import Program, resolve

MOST_LEAVES = 65536
_NOWHERE, _COMPUTED = -1, -2  # as in joint.c
_TITLE = ffi.new("char[]", b"CompiledFunctionBackward")
_STAND_IN = ffi.new("char[]", b"AliasBackward0")
_SECOND = ("Trying to backward through the graph a second time (or directly access saved tensors after they have "
           "already been freed). Specify retain_graph=True if you need to backward through the graph a second time.")


class Call:
    """The first call: the Python side of its node."""

    __slots__ = ("__weakref__", "joint", "node", "tensors")

    def __init__(self, joint, tensors):
        self.joint, self.tensors, self.node = joint, tensors, 0

    def over(self):
        """Whether no backward pass can come any more."""
        return not self.node or lib.ad_node_released(self.node)

    def node_backward(self, grads):
        return self.joint.backward(self, grads)

    def node_dropped(self):
        self.node, self.tensors = 0, None

    def name(self):
        return "CompiledFunctionBackward"


class _Alias:
    """The node between an argument and what stands for it in a recording."""

    @staticmethod
    def node_backward(grads):
        return grads

    @staticmethod
    def name():
        return "AliasBackward0"


def join(h, original):
    """Gives a stand-in the history of the argument that it stands for."""
    key = _core.hold(_Alias())
    if not lib.ad_python_node([original._h], 1, [h], [1], 1, ffi.NULL, ffi.NULL, 0, key, _STAND_IN):
        _core.drop(key)
        fail()


class Joint(Program):
    """A recorded function with its backward pass."""

    def __init__(self, step, key, recording, single, result, sources):
        self.step, self.key, self.recording = step, key, recording
        self.rest = (single, result, sources)
        self.handle = self.pending = 0
        self.seconds = None  # where the gradients come from, once the second part is recorded
        self.broken = ""
        self.current = lambda: None

    # ---- the first call

    def begin(self, leaves, stand_ins, tensors):
        """Ends the first part. Returns the results for the caller, or None with the reason in `broken`."""
        open_ones = [t for t in leaves if lib.ad_capture_open(t._h)]
        room = ffi.new("ad_handle[]", MOST_LEAVES)
        wanted = [s._h for s in stand_ins]
        n = lib.ad_capture_leaves([t._h for t in open_ones], len(open_ones), wanted, len(wanted), room, MOST_LEAVES)
        if n < 0:
            self.broken = "a result's history goes back to before the call"
            return None
        params = [wrap(room[k]) for k in range(n)]
        self.inputs = [("arg", k) for k, s in enumerate(stand_ins) if s.requires_grad] + [("leaf", p) for p in params]
        self.tape = (open_ones, [stand_ins[w] if kind == "arg" else w for kind, w in self.inputs])
        outs = [t for t, s in zip(leaves, self.rest[2]) if s[0] == "out"]
        self.kinds = [int(lib.ad_capture_open(t._h)) for t in outs]
        self.likes = [(lib.ad_dtype_of(t._h), t.shape) for t in outs]
        detached = [wrap(lib.ad_detach(t._h, 1)) for t in outs]
        self.pending = lib.ad_capture_suspend([t._h for t in detached], len(detached))
        if not self.pending:
            self.broken = ffi.string(lib.ad_error_message()).decode()
            return None
        self._unplanned = weakref.finalize(self, _discard, self.pending)
        call = Call(self, tensors)
        copies = self._attach([t.clone() for t in detached], call, tensors)
        self.current = weakref.ref(call)
        return resolve(self.rest[2], iter(copies), tensors)

    def _attach(self, outs, call, tensors):
        """Makes the results outputs of one node."""
        ins = [tensors[w]._h if kind == "arg" else w._h for kind, w in self.inputs]
        key = _core.hold(call)
        node = lib.ad_python_node(ins, len(ins), [t._h for t in outs], self.kinds, len(outs), ffi.NULL, ffi.NULL, 0,
                                  key, _TITLE)
        if not node:
            _core.drop(key)
            fail()
        call.node = node
        return outs

    def _record_backward(self, grads):
        """The gradients, computed by the recorded tape; the calls are the second part."""
        from ..autograd import grad

        r, (outs, inputs) = self.recording, self.tape
        got = None
        with _capture.step.LOCK:
            if _capture.recording is not None or check(lib.ad_capture_resume(self.pending)):
                raise CaptureError("a step is being recorded in this thread already")
            _capture.recording = r
            try:
                stand_ins = [wrap(lib.ad_capture_arg(g._h)) for g in grads]
                with r.reads:
                    got = grad(outs, inputs, stand_ins, retain_graph=True, allow_unused=True)
                self.broken = _capture.step.refused(r) or r.reads.impure
                if not self.broken:
                    marks = [s._h for s in stand_ins]
                    self.seconds = [("none", None) if g is None else ("grad", marks.index(g._h)) if g._h in marks
                                    else ("out", None) for g in got]
                    self.second_outs = [g for g, s in zip(got, self.seconds) if s[0] == "out"]
            finally:
                _capture.recording = None
                if self.seconds is None:  # an error, or it cannot be recorded
                    self.broken = self.broken or "its backward pass raised an error"
                    self._unplanned.detach()
                    lib.ad_capture_abort()
                    self.pending = 0
                else:
                    lib.ad_capture_suspend(ffi.NULL, 0)
        if self.broken:
            self.step.give_up(self.key, self.broken, self)
        return [None if g is None else grads[s[1]] if s[0] == "grad" else g.clone()
                for g, s in zip(got, self.seconds or [("", None)] * len(got))]

    # ---- its backward pass

    def backward(self, call, grads):
        if _capture.recording is not None:
            _capture.refuse("the backward pass of a compiled function that was called before")
        if lib.ad_node_released(call.node):
            raise RuntimeError(_SECOND)
        twice = lib.ad_grad_enabled()
        grads = [self._like(k) if g is None else g if twice else g.contiguous()
                 for k, g in enumerate(grads) if self.kinds[k]]
        from ..autograd import grad

        if twice and not self.broken:
            self.broken = "gradients of gradients are asked for"
            self.step.give_up(self.key, self.broken, self)
        if self.seconds is None and self.pending and not self.broken:
            return self._record_backward(grads)
        return grad(*self.tape, grads, create_graph=bool(twice), retain_graph=True, allow_unused=True)

    def _like(self, k):
        dtype, sizes = self.likes[k]
        return wrap(lib.ad_full(dtype, sizes, len(sizes), 0.0, 0))

    # ---- later calls

    def fits(self):
        if self.busy() or self.broken or (not self.handle and not self._plan()):
            return 0
        return super().fits()

    def changed(self):
        return super().changed() if self.handle else ""

    def zero_gradients(self):
        return [self._like(k) for k, kind in enumerate(self.kinds) if kind]

    def busy(self):
        """Whether the backward pass of its last call may still come."""
        call = self.current()
        return bool(call is not None and not call.over() or self.handle and lib.ad_program_busy(self.handle))

    def _plan(self):
        """Makes the program when both parts are recorded and nobody can ask the tape again."""
        if self.seconds is None:  # no backward pass came
            self._record_backward([self._like(k) for k, kind in enumerate(self.kinds) if kind])
            if self.broken:
                return False
        self.tape = None
        check(lib.ad_capture_resume(self.pending))
        self._unplanned.detach()
        self.pending = 0
        outs, self.second_outs = [g._h for g in self.second_outs], self.second_outs
        handle = lib.ad_capture_end(outs, len(outs))
        if not handle:
            self.broken = ffi.string(lib.ad_error_message()).decode()
            self.step.give_up(self.key, self.broken, self)
            return False
        single, result, sources = self.rest
        super().__init__(handle, self.recording, single, result, sources)
        n, origins = len(self.inputs), {"none": _NOWHERE, "out": _COMPUTED}
        check(lib.ad_program_join(
            handle, [w if kind == "arg" else -1 for kind, w in self.inputs],
            [0 if kind == "arg" else w._h for kind, w in self.inputs],
            [what if kind == "grad" else origins[kind] for kind, what in self.seconds], n, self.kinds, len(self.kinds)))
        self.recording = self.second_outs = self.rest = self.inputs = None
        return True


def _discard(pending):
    if not lib.ad_capturing() and not lib.ad_capture_resume(pending):
        lib.ad_capture_abort()


__all__ = ["Joint", "TensorBase", "join"]
