"""A recording under way, and the program that it becomes."""

import sys
import threading
import weakref

from .._core import CaptureError, TensorBase, check, fail, program_call, wrap
from .._native import ffi, lib
from . import reads
from .structure import PLACE, fill, is_atom

_PARENT = __package__.rpartition(".")[0]


class Recording:
    """What Python adds to the core's recording: slots and actions, modules and other guards."""

    def __init__(self, fn, lenient=False):
        self.lenient, self.refused = lenient, ""
        self.thread = threading.get_ident()
        self.acting = False
        self.events = []  # in order: (call, values) of a slot, (None, action)
        self.modules = {}
        self.guards = []
        self.reads = reads.Reads(fn, self.note_module)

    def note_slot(self, values):
        """The call recorded last reads its floats from values() at each replay."""
        self.events.append((lib.ad_capture_position(), values))

    def note_module(self, module):
        if id(module) not in self.modules and hasattr(module, "_forward_hooks"):
            self.modules[id(module)] = (weakref.ref(module), *_state(module))

    def changed(self):
        """What the step changed that a replay would not, or did that a replay could not, in words, or ""."""
        for ref, training, simple, members, _ in list(self.modules.values()):
            module = ref()
            if module is None:
                continue
            if not _same(members, _members(module)) and not self._lent(id(module), members, module):
                return (f"the step exchanged a parameter, buffer or submodule of {type(module).__name__}: a replay "
                        "could not; write into the tensor in place")
            if module.training != training:
                return f"the step changes the mode of {type(module).__name__} and leaves it so"
            now = _simple(module)
            if not reads.unchanged(now, simple, ()):
                names = [k for k in {**simple, **now} if now.get(k) is not simple.get(k)]
                return f"the step changes {type(module).__name__}.{names[0]}, which a replay would not"
        self.python_guards, what = self.reads.finish()
        return what

    def _lent(self, key, members, module):
        """Whether a module has its members back, which tensors of the step stood for during a call."""
        now = _members(module)
        if len(now) != len(members) or not all(
                a is b or (isinstance(a, TensorBase) and lib.ad_capture_made(a._h) and isinstance(b, TensorBase)
                           and not lib.ad_capture_made(b._h)) for a, b in zip(members, now)):
            return False
        ref, training, simple, _, hooks = self.modules[key]
        self.modules[key] = ref, training, simple, now, hooks
        return True

    def watch(self):
        """Notes every module that is called; returns what undoes it."""
        nn = sys.modules.get(_PARENT + ".nn")
        if nn is None:
            return lambda: None
        return sys.modules[_PARENT + ".nn._hooks"].watch(self.note_module)


def _members(module):
    """What a module computes with, as a list of objects."""
    return [*module._parameters.values(), *module._buffers.values(), *module._modules.values()]


def _simple(module):
    """The numbers, flags and texts among a module's attributes."""
    return {k: v for k, v in module.__dict__.items() if type(v) in reads.SIMPLE and k not in ("training", "_hooked")}


def _hooks(module):
    """What a call of the module runs beside its forward()."""
    return sys.modules[_PARENT + ".nn._hooks"].of_call(module)


def _state(module):
    return module.training, _simple(module), _members(module), _hooks(module)


def _every_hook():
    """The hooks of every module's call."""
    return sys.modules[_PARENT + ".nn._hooks"].of_every_call()


def _same(a, b):
    return len(a) == len(b) and all(x is y for x, y in zip(a, b))


class Program:
    """One recorded step, for one signature."""

    def __init__(self, handle, recording, single, result, sources):
        self.handle = handle
        self._finalizer = weakref.finalize(self, lib.ad_program_free, handle)
        self.modules = list(recording.modules.values())
        self.registries = sys.modules[_PARENT + ".nn._registry"].changes if self.modules else None
        self.changes = self.registries[0] if self.modules else 0
        self.hooks = _every_hook() if self.modules else []
        self.guards = recording.guards
        self.python_guards = recording.python_guards
        self.python_fits = reads.compiled(self.python_guards)
        self.events = [[call, values, None] for call, values in recording.events]
        self.result, self.sources = result if not single else PLACE, sources
        self.nouts = sum(s[0] == "out" for s in sources)
        self.single = single and sources[0][0] == "out"

    def fits(self):
        """1 when modes, Python values and gradients are as they were when the step was recorded, 0 when they are not,
        -1 when a tensor that the step used has since been pointed at other memory, reshaped, frozen or unfrozen."""
        if self.python_fits is not None and not self.python_fits():
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
        """As fits(), of the modules alone. Asked only when some module anywhere has changed its mode, members, hooks or
        simple attributes."""
        for ref, training, simple, _, _ in self.modules:
            module = ref()
            if module is None or module.training != training or not reads.unchanged(_simple(module), simple, ()):
                return 0
        alike = _same(self.hooks, _every_hook()) and all(
            _same(members, _members(ref())) and _same(hooks, _hooks(ref()))
            for ref, _, _, members, hooks in self.modules)
        return 1 if alike else -1

    def busy(self):
        return False

    def zero_gradients(self):
        """What comes in at the second part, for measuring."""
        return []

    def changed(self):
        """Which Python value is another one now, in words, or ""."""
        for g in self.python_guards:
            if not g.holds():
                return f"{g.text} ({g.place}) has changed"
        for ref, training, simple, _, _ in self.modules:
            module = ref()
            if module is not None and module.training == training:
                now = _simple(module)
                names = [k for k in {**simple, **now} if now.get(k) is not simple.get(k)]
                if names:
                    return f"{type(module).__name__}.{names[0]} has changed"
        return ""

    def refresh(self):
        """Runs the actions and reads the slots, in the order of the step."""
        for event in self.events:
            now = event[1]()
            if event[0] is not None and now != event[2]:
                check(lib.ad_program_set_floats(self.handle, event[0], now, len(now)))
                event[2] = list(now)

    def replay(self, tensors):
        """Runs the program. Returns None when the tensors are of other sizes, else a tuple with the result."""
        handles = [t._h for t in tensors] if tensors else ffi.NULL
        outs = ffi.new("ad_handle[]", self.nouts)
        if lib.ad_program_begin(self.handle, handles, len(tensors)) != 1:
            return None
        if self.events:
            try:
                self.refresh()
            except BaseException:
                lib.ad_program_leave(self.handle)
                raise
        if lib.ad_program_run(self.handle, handles, len(tensors), outs):
            fail()
        if self.single:
            return (wrap(outs[0]),)
        return (self.finish([wrap(h) for h in outs], tensors),)

    def finish(self, made, tensors):
        """The result, of what the program computed and the arguments."""
        return fill(self.result, iter(resolve(self.sources, iter(made), tensors)))

    def call_of(self, args, kwargs):
        """A function that does all of this in C for arguments like these, and gives NotImplemented where it cannot."""
        pattern = tuple([Ellipsis if isinstance(a, TensorBase) else a for a in (*args, *kwargs.values())])
        if self.result is NotImplemented or not all(a is Ellipsis or is_atom(a) for a in pattern):
            return None
        finish = None
        if not self.single:
            tensor_places = [k for k, a in enumerate(pattern) if a is Ellipsis]

            def finish(made, given):
                return self.finish(made, [given[k] for k in tensor_places])
        guards = (*self.guards, *([self.python_fits] if self.python_fits is not None else ()))
        return program_call((self, self.handle, pattern, tuple(kwargs), self.registries, self.changes, guards,
                             self.refresh if self.events else None, finish, self.nouts))


def resolve(sources, outputs, tensors):
    """The Tensors of a result: outputs of the program, arguments of the call, or tensors from elsewhere."""
    return [next(outputs) if kind == "out" else tensors[what] if kind == "arg" else what for kind, what in sources]


__all__ = ["CaptureError", "Program", "Recording", "resolve"]
