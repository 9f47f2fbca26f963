"""Functions that compile() returns: which call is recorded, which replayed, which runs as it is."""

import functools
import threading
import warnings

from .. import _capture, _core
from .._core import CaptureError, TensorBase, fail, wrap
from .._native import ffi, lib
from .joint import Joint, join
from .record import Program, Recording, resolve
from .structure import fill, flatten, hidden, template

LIMIT = 8
"""How many recordings a step gets for other numbers and Python values; four times as many for other sizes."""

MOST_AGAIN = 4
"""How many kinds of calls are tried in C: batches of two sizes, a discriminator that waits for two backward passes."""

LOCK = threading.RLock()


class CompiledStep:
    """A function that is recorded at its first call with a signature and replayed afterwards."""

    def __init__(self, fn, lenient=False, limit=None):
        self.fn = fn
        self.lenient = lenient
        self.limit = limit or LIMIT
        self.forget()
        _capture.steps.add(self)
        functools.update_wrapper(self, fn)

    def forget(self):
        """Starts over."""
        self.programs = {}
        self.eager = set()  # the signatures that cannot be recorded
        self.full = set()  # those that have been recorded often enough
        self.warned = set()
        self.reasons = []
        self.attempts = {}  # by signature: recordings that the step itself made worthless
        self.again = ()  # what the last few kinds of calls would do, in C

    def __get__(self, instance, owner=None):
        return self if instance is None else functools.partial(self, instance)

    def __call__(self, *args, **kwargs):
        for again in self.again:
            done = again(*args, **kwargs)
            if done is not NotImplemented:
                return done
        return self.call(args, kwargs)

    def _remember(self, program=None, again=None):
        """Takes up what a call of the program would do, in the place of what it would have done before."""
        kept = [a for a in self.again if a.__self__[0] is not program][1 - MOST_AGAIN:]
        self.again = (*kept, again) if again is not None else tuple(kept)

    def call(self, args, kwargs):
        """A call that is not just like one of the last."""
        if _capture.recording is not None and _capture.here() is not None:
            return self.fn(*args, **kwargs)  # part of an outer step
        if _capture.stance == "force_eager":
            return self.fn(*args, **kwargs)
        tensors, key = args, len(args)
        if kwargs or not all([isinstance(a, TensorBase) for a in args]):
            tensors = []
            key = (flatten(args, tensors), flatten(kwargs, tensors) if kwargs else None)
        if self.eager and key in self.eager:
            return self.fn(*args, **kwargs)
        programs = self.programs.get(key)
        if programs is None:
            if len(self.programs) >= self.limit:
                self._say("limit", f"its arguments' numbers and objects have had {self.limit} different values: pass "
                          "what changes as a tensor")
                return self.fn(*args, **kwargs)
            programs = self.programs[key] = []
        stale = ()
        for p in tuple(programs):
            fits = p.fits()
            if fits > 0:
                done = p.replay(tensors)
                if done is not None:
                    self._remember(p, p.call_of(args, kwargs))
                    return done[0]
            elif fits < 0:
                stale = (*stale, p)
        for p in stale:  # another thread may have dropped it already
            if p in programs:
                programs.remove(p)
            self._remember(p)
        if len(programs) >= self.limit and key in self.full:
            return self.fn(*args, **kwargs)
        others = sum(bool(p.changed()) for p in programs) if len(programs) >= self.limit else 0
        if others >= self.limit or len(programs) >= 4 * self.limit:
            self.full.add(key)
            if others >= self.limit:
                self._say("values", f"it was recorded {others} times, and {programs[-1].changed()} again: pass it as a "
                          "tensor")
            else:
                self._say("sizes", f"it was recorded for {len(programs)} different sizes of its arguments")
            return self.fn(*args, **kwargs)
        if _capture.stance == "fail_on_recompile" and programs:
            raise RuntimeError("Detected recompile when torch.compile stance is 'fail_on_recompile': " +
                               (programs[-1].changed() or "the arguments, modes or gradients are others"))
        if _capture.stance == "eager_on_recompile" and programs:
            return self.fn(*args, **kwargs)
        if sum(p.busy() for p in programs) >= self.limit:
            return self.fn(*args, **kwargs)  # results of so many calls wait for their backward pass
        return self._record(programs, tensors, args, kwargs, key)

    def _say(self, kind, why):
        """Warns once that a call runs as it is."""
        if kind not in self.warned:
            self.warned.add(kind)
            name = getattr(self.fn, "__qualname__", type(self.fn).__name__)
            self.reasons.append(why)
            warnings.warn(f"torch.compile: {name} runs as it is, without being recorded: {why}",
                          stacklevel=_core.callers_level())

    def give_up(self, key, why, program=None):
        """From now on calls of this signature run as they are; the first time with a warning."""
        self._say("refused", why)
        self.eager.add(key)
        if program in self.programs.get(key, ()):
            self.programs[key].remove(program)
        self._remember(program)

    def _record(self, programs, tensors, args, kwargs, key):
        with LOCK:
            if _capture.recording is not None:
                raise CaptureError("a step is being recorded in this thread already")
            _capture.recording = r = Recording(self.fn, self.lenient)
            unhook = r.watch()
            lib.ad_capture_begin(self.lenient)
            try:
                stand_ins = [wrap(lib.ad_capture_arg(t._h)) for t in tensors]
                for t, s in zip(tensors, stand_ins):
                    s.__dict__.update(t.__dict__)
                    if t.requires_grad and lib.ad_grad_enabled():
                        join(s._h, t)
                lib.ad_capture_nodes()
                marks = iter(stand_ins)
                call_args, call_kwargs = fill(args, marks), fill(kwargs, marks)
                with r.reads:
                    result = self.fn(*call_args, **call_kwargs)
                del call_args, call_kwargs
                leaves = []
                structure = flatten(result, leaves)
                why = why_not(r) or hides(structure)
                if why:
                    self.attempts[key] = self.attempts.get(key, 0) + 1
                    if not lib.ad_capturing() or r.reads.impure or self.attempts[key] > 1:  # not a first call's doing
                        if not self.lenient:
                            raise CaptureError(why)
                        self.give_up(key, why)
                    return fill(result, iter([_original(t, stand_ins, tensors) for t in leaves]))
                sources = [_source(t, stand_ins) for t in leaves]
                single = len(leaves) == 1 and result is leaves[0]
                if any(s[0] == "out" and lib.ad_capture_open(t._h) for t, s in zip(leaves, sources)):
                    joint = Joint(self, key, r, single, template(result, len(leaves)), sources)
                    given = joint.begin(leaves, stand_ins, tensors)
                    if given is not None:
                        programs.append(joint)
                        return given[0] if single else fill(result, iter(given))
                    if not self.lenient:
                        raise CaptureError(joint.broken)
                    self.give_up(key, joint.broken)
                    return fill(result, iter([_original(t, stand_ins, tensors) for t in leaves]))
                result = None if single else template(result, len(leaves))
                outs = [wrap(lib.ad_detach(t._h, 0)) for t, s in zip(leaves, sources) if s[0] == "out"]
                t = leaves = None  # and with them the leaves that the step itself made
                handle = lib.ad_capture_end([t._h for t in outs], len(outs))
                if not handle:
                    if self.lenient and lib.ad_error_class() == lib.AD_ERR_CAPTURE:
                        self.give_up(key, ffi.string(lib.ad_error_message()).decode())
                        held = iter(outs)
                        final = resolve(sources, held, tensors)
                        return final[0] if single else fill(result, iter(final))
                    fail()
            finally:
                _capture.recording = None
                lib.ad_capture_abort()
                unhook()
        copies = iter([wrap(lib.ad_program_output(handle, k)) for k in range(len(outs))])
        final = resolve(sources, copies, tensors)
        programs.append(Program(handle, r, single, result, sources))
        return final[0] if single else fill(result, iter(final))

    def stats(self):
        """What planning made of each recorded program: a list of dicts, one a program.

        calls: recorded; live: left after dead calls were dropped and folded; fused: groups; arena_bytes and
        unplanned_bytes: the buffers between calls, after and before sharing.
        """
        return [self.stats_of(p) for programs in self.programs.values() for p in programs if p.handle]

    @staticmethod
    def stats_of(program):
        v = ffi.new("int64_t[6]")
        lib.ad_program_stats(program.handle, v)
        return dict(zip(("calls", "live", "fused", "arena_bytes", "unplanned_bytes", "outputs"), v))

    def explain(self, *args, **kwargs):
        """Prints what the step does: each call with its result, where that lies, the bytes that it moves, and the time
        that it takes, predicted from what the machine can do and measured. Returns an Explanation.

        Measuring needs the arguments of a call; a step without arguments needs none. It runs the program five times and
        leaves parameters, the optimizer's state and the generators as they are. Without arguments each program that has
        some is printed with predictions alone.
        """
        from .explain import explain

        text = explain(self, args, kwargs)
        print(text)
        return text


def refused(r):
    """What ended the recording, or ""."""
    if lib.ad_capturing():
        return ""
    return r.refused or ffi.string(lib.ad_capture_refused()).decode() + _core.refused_at


def why_not(r):
    """Why the step that has just run cannot be replayed, or ""."""
    return refused(r) or r.changed()


def hides(structure):
    """What of a result a replay could not make anew, in words, or ""."""
    held = hidden(structure, lambda t: lib.ad_capture_made(t._h)) if lib.ad_capturing() else None
    return "" if held is None else (f"its result holds tensors in an object of class {type(held).__qualname__}, which "
                                    "a replay would not make anew: return tensors, tuples, lists, dicts or dataclasses")


def _source(t, stand_ins):
    """Where a tensor of the result comes from: an argument, the program, or elsewhere."""
    index = next((i for i, s in enumerate(stand_ins) if s is t), None)
    if index is not None:
        return "arg", index
    return ("out", None) if lib.ad_capture_made(t._h) else ("same", t)


def _original(t, stand_ins, tensors):
    """The argument that a stand-in stood for, or the tensor itself."""
    return next((tensors[k] for k, s in enumerate(stand_ins) if s is t), t)
