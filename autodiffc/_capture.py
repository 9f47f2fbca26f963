"""compile(): a training step recorded once and replayed in one call of the core.

The function runs once for each signature while the core records what it computes: forward, backward and
optimizer. Later calls replay that program on planned buffers. What may change between calls is either an
argument (a tensor of the same size, strides and dtype), a slot (learning rate and its kin, read from the
optimizer at each call), state that the program reads where it lies (parameters, buffers, tensors of an
enclosing scope), or the random generator. Anything else is part of the signature, or is refused.
"""

import functools
import sys
import threading
import warnings
import weakref

from . import _core
from ._core import CaptureError, TensorBase, check, fail, wrap
from ._native import ffi, lib

recording = None
"""The Recording under way, in whichever thread; see here()."""

_lock = threading.RLock()


def here():
    """The calling thread's Recording, or None. Cheap when nothing is being recorded anywhere."""
    r = recording
    return r if r is not None and r.thread == threading.get_ident() else None


class Recording:
    """What Python adds to the core's recording: slots, and the modules whose mode was read."""

    def __init__(self, lenient=False):
        self.lenient, self.refused = lenient, ""
        self.thread = threading.get_ident()
        self.slots = []
        self.modules = {}
        self.guards = []

    def note_slot(self, values):
        """The call recorded last reads its floats from values() at each replay."""
        self.slots.append((lib.ad_capture_position(), values))

    def note_module(self, module, _args=None):
        if id(module) not in self.modules:
            self.modules[id(module)] = (weakref.ref(module), module.training, _members(module), _hooks(module))

    def check_modules(self):
        """Refuses a step that gave a module other tensors: a replay would not."""
        for ref, _, members, _ in self.modules.values():
            module = ref()
            if module is not None and not _same(members, _members(module)):
                raise CaptureError("the captured step exchanged a parameter, buffer or submodule of "
                                   f"{type(module).__name__}: a replay could not; write into the tensor in place")


def _members(module):
    """What a module computes with, as a list of objects."""
    return [*module._parameters.values(), *module._buffers.values(), *module._modules.values()]


def _hooks(module):
    """What a call of the module runs beside its forward()."""
    return sys.modules[__package__ + ".nn._hooks"].of_call(module)


def _every_hook():
    """The hooks of every module's call."""
    return sys.modules[__package__ + ".nn._hooks"].of_every_call()


def _same(a, b):
    return len(a) == len(b) and all(x is y for x, y in zip(a, b))


def refuse(what):
    """Raises CaptureError when a step is being recorded, or ends the recording where the step may go on without."""
    r = here()
    if r is not None and lib.ad_capturing():
        if r.lenient:
            r.refused = what
            lib.ad_capture_abort()
            return
        raise CaptureError(f"{what} cannot be part of a captured step{_core.location()}")


# ---- arguments and results as flat lists ----


def _flatten(x, tensors):
    """The structure of x, hashable, with its Tensors moved into the list `tensors`."""
    if isinstance(x, TensorBase):
        tensors.append(x)
        return TensorBase
    kind = type(x)
    if kind is tuple or kind is list:
        return (kind, *[_flatten(v, tensors) for v in x])
    if kind is dict:
        return (kind, *[(k, _flatten(v, tensors)) for k, v in x.items()])
    if kind in (int, float, bool, str, bytes, type(None)):
        return (kind, x)
    return (kind, id(x), x)  # by identity; kept, so that the id is not reused


def _map(x, tensors):
    """x with its Tensors taken from the iterator `tensors`."""
    if isinstance(x, TensorBase):
        return next(tensors)
    kind = type(x)
    if kind is tuple or kind is list:
        return kind([_map(v, tensors) for v in x])
    if kind is dict:
        return {k: _map(v, tensors) for k, v in x.items()}
    return x


def _freeze(structure):
    """A dictionary key for a structure whose leaves may be unhashable objects held by identity."""
    if isinstance(structure, tuple):
        if len(structure) == 3 and isinstance(structure[1], int) and structure[0] not in (tuple, list, dict):
            return structure[:2]
        return tuple(_freeze(s) for s in structure)
    return structure


def _resolve(sources, outputs, tensors):
    """The Tensors of a result: outputs of the program, arguments of the call, or tensors from elsewhere."""
    return [next(outputs) if kind == "out" else tensors[what] if kind == "arg" else what for kind, what in sources]


class Program:
    """One recorded step, for one signature."""

    def __init__(self, handle, recording, result, sources, structure):
        self.handle = handle
        self._finalizer = weakref.finalize(self, lib.ad_program_free, handle)
        self.structure = structure  # keeps the objects that the key names by id
        self.grad_enabled = lib.ad_grad_enabled()
        self.modules = list(recording.modules.values())
        self.registries = sys.modules[__package__ + ".nn._registry"].changes if self.modules else None
        self.changes = self.registries[0] if self.modules else 0
        self.hooks = _every_hook() if self.modules else []
        self.guards = recording.guards
        self.slots = [[call, values, None] for call, values in recording.slots]
        self.result, self.sources = result, sources
        self.nouts = sum(s[0] == "out" for s in sources)
        self.single = isinstance(result, TensorBase) and sources[0][0] == "out"
        self.outs = ffi.new("ad_handle[]", max(self.nouts, 1))
        self.lock = threading.Lock()  # one replay at a time: they share the buffers

    def fits(self):
        """1 when modes and gradients are as they were when the step was recorded, 0 when they are not, -1 when a tensor
        that the step used has since been pointed at other memory, reshaped, frozen or unfrozen."""
        if lib.ad_grad_enabled() != self.grad_enabled:
            return 0
        if self.changes != (self.registries[0] if self.registries else 0):
            now, fits = self.registries[0], self._modules_fit()
            if fits != 1:
                return fits
            self.changes = now
        for guard in self.guards:
            if not guard():
                return 0
        return lib.ad_program_fits(self.handle)

    def _modules_fit(self):
        """As fits(), of the modules alone. Asked only when some module anywhere has changed its mode, members or
        hooks."""
        for ref, training, _, _ in self.modules:
            module = ref()
            if module is None or module.training != training:
                return 0
        alike = _same(self.hooks, _every_hook()) and all(
            _same(members, _members(ref())) and _same(hooks, _hooks(ref())) for ref, _, members, hooks in self.modules)
        return 1 if alike else -1

    def replay(self, tensors):
        """Runs the program. Returns None when the tensors are of other sizes, else a tuple with the result."""
        handles = [t._h for t in tensors] if tensors else ffi.NULL
        outs = self.outs
        with self.lock:
            for slot in self.slots:
                now = slot[1]()
                if now != slot[2]:
                    check(lib.ad_program_set_floats(self.handle, slot[0], now, len(now)))
                    slot[2] = now
            status = lib.ad_program_replay(self.handle, handles, len(tensors), outs)
            if status:
                if status == 1:
                    return None
                fail()
            if self.single:
                return (wrap(outs[0]),)
            made = [wrap(h) for h in outs[0 : self.nouts]]
        return (_map(self.result, iter(_resolve(self.sources, iter(made), tensors))),)


class CompiledStep:
    """A function that is recorded at its first call with a signature and replayed afterwards."""

    def __init__(self, fn, lenient=False):
        self.fn = fn
        self.lenient = lenient
        self.programs = {}
        self.eager = set()  # the signatures that cannot be recorded
        functools.update_wrapper(self, fn)

    def __get__(self, instance, owner=None):
        return self if instance is None else functools.partial(self, instance)

    def __call__(self, *args, **kwargs):
        if recording is not None and here() is not None:
            return self.fn(*args, **kwargs)  # part of an outer step
        if not args and not kwargs:
            tensors, structure, key = (), None, None
        else:
            tensors = []
            structure = (_flatten(args, tensors), _flatten(kwargs, tensors))
            key = _freeze(structure)
        if self.eager and key in self.eager:
            return self.fn(*args, **kwargs)
        programs = self.programs.get(key)
        if programs is None:
            programs = self.programs[key] = []
        stale = []
        for p in list(programs):
            fits = p.fits()
            if fits < 0:
                stale.append(p)
            elif fits:
                done = p.replay(tensors)
                if done is not None:
                    return done[0]
        for p in stale:  # another thread may have dropped it already
            if p in programs:
                programs.remove(p)
        if self.lenient and any(t.requires_grad for t in tensors):
            self._give_up(key, "an argument requires grad")
            return self.fn(*args, **kwargs)
        return self._record(programs, tensors, structure, args, kwargs, key)

    def _give_up(self, key, why):
        """From now on calls of this signature run as they are; the first time with a warning."""
        if not self.eager:
            name = getattr(self.fn, "__qualname__", type(self.fn).__name__)
            warnings.warn(f"torch.compile: {name} runs as it is, without being recorded: {why}", stacklevel=4)
        self.eager.add(key)

    def _record(self, programs, tensors, structure, args, kwargs, key):
        global recording
        with _lock:
            if recording is not None:
                raise CaptureError("a step is being recorded in this thread already")
            recording = r = Recording(self.lenient)
            unhook = _watch_modules(r)
            lib.ad_capture_begin(self.lenient)
            try:
                stand_ins = [wrap(lib.ad_capture_arg(t._h)) for t in tensors]
                for t, s in zip(tensors, stand_ins):
                    if t.requires_grad:
                        raise CaptureError(
                            "an argument of a captured step requires grad: keep parameters in the enclosing scope or "
                            "in a module, and pass data as arguments"
                        )
                    s.__dict__.update(t.__dict__)
                marks = iter(stand_ins)
                call_args, call_kwargs = _map(args, marks), _map(kwargs, marks)
                result = self.fn(*call_args, **call_kwargs)
                del call_args, call_kwargs
                leaves = []
                _flatten(result, leaves)
                if self.lenient:
                    why = _why_not(r)
                    if why:
                        self._give_up(key, why)
                        return _map(result, iter([_original(t, stand_ins, tensors) for t in leaves]))
                r.check_modules()
                sources, outs = [], []
                for t in leaves:
                    index = next((i for i, s in enumerate(stand_ins) if s is t), None)
                    if index is not None:
                        sources.append(("arg", index))
                    elif lib.ad_capture_made(t._h):
                        sources.append(("out", len(outs)))
                        outs.append(t)
                    else:
                        sources.append(("same", t))
                handle = lib.ad_capture_end([t._h for t in outs], len(outs))
                if not handle:
                    if self.lenient and lib.ad_error_class() == lib.AD_ERR_CAPTURE:
                        self._give_up(key, ffi.string(lib.ad_error_message()).decode())
                        return _map(result, iter([_original(t, stand_ins, tensors) for t in leaves]))
                    fail()
            finally:
                recording = None
                lib.ad_capture_abort()
                unhook()
        copies = iter([wrap(lib.ad_program_output(handle, k)) for k in range(len(outs))])
        final = _resolve(sources, copies, tensors)
        template = _map(result, iter([_PLACE] * len(leaves)))  # it only tells where tensors stand
        programs.append(Program(handle, r, template, sources, structure))
        return _map(result, iter(final))

    def stats(self):
        """What planning made of each recorded program: a list of dicts, one a program.

        calls: recorded; live: left after dead calls were dropped and folded; fused: groups; arena_bytes and
        unplanned_bytes: the buffers between calls, after and before sharing.
        """
        rows = []
        for programs in self.programs.values():
            for p in programs:
                v = ffi.new("int64_t[6]")
                lib.ad_program_stats(p.handle, v)
                rows.append(dict(zip(("calls", "live", "fused", "arena_bytes", "unplanned_bytes", "outputs"), v)))
        return rows


def _why_not(r):
    """Why the step that has just run cannot be replayed, or ""."""
    if not lib.ad_capturing():
        return r.refused or ffi.string(lib.ad_capture_refused()).decode()
    try:
        r.check_modules()
    except CaptureError as e:
        return str(e)
    return ""


def _original(t, stand_ins, tensors):
    """The argument that a stand-in stood for, or the tensor itself."""
    return next((tensors[k] for k, s in enumerate(stand_ins) if s is t), t)


class _Place(TensorBase):
    """Stands for a tensor in a result's template."""

    __slots__ = ()

    def __init__(self):
        self._h = 0

    def __del__(self):
        return


_PLACE = _Place()


def _watch_modules(r):
    """Notes every module that is called while recording; returns what undoes it."""
    nn = sys.modules.get(__package__ + ".nn")
    if nn is None:
        return lambda: None
    from .nn.modules.module import register_module_forward_pre_hook

    return register_module_forward_pre_hook(lambda module, args: r.note_module(module)).remove


def compile(model=None, *, fullgraph=False, dynamic=None, backend="inductor", mode=None, options=None, name=None,
            disable=False, recompile_limit=None, isolate_recompiles=False, shapes_spec=None):
    """Records a step (a function that computes, calls backward() and steps an optimizer) and replays it.

    The first call with a signature (structure of the arguments; sizes, strides and dtypes of tensors; values of
    numbers; train or eval mode of the modules called) runs the function and records it; later calls replay the
    recording in one call with the same results, bit for bit. Learning rates, the optimizers' counts, random
    numbers and new data take effect. Python numbers that the function reads from elsewhere are recorded as
    constants. What a replay could not do (reading a tensor's value by item() or `if tensor`, shapes that depend on
    data, pointing tensors at other memory, results that require grad) is a CaptureError, with the line, under
    fullgraph=True; without it the function then runs as it is, from that call on, after one warning.

    A Module is returned in an OptimizedModule, which calls it as it is: a module's part of a training step is not
    worth recording alone. The other arguments are accepted for PyTorch's sake and change nothing, but for
    `disable`, which returns the function itself.
    """
    if model is None:
        return lambda fn: compile(fn, fullgraph=fullgraph, disable=disable)
    if disable:
        return model
    if not callable(model):
        raise TypeError(f"compile() takes a function, not {type(model).__name__}")
    nn = sys.modules.get(__package__ + ".nn")
    if nn is not None and isinstance(model, nn.Module):
        from .nn._optimized import OptimizedModule

        return OptimizedModule(model)
    return CompiledStep(model, not fullgraph)
