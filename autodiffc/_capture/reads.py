"""What a step reads from Python while it is recorded: numbers, flags and objects of enclosing scopes.

A replay runs no Python, so that what a recording found there is a constant of the program. While a step is
recorded a profile function sees each of the user's functions begin and end. Their code tells what they read:
globals, variables of enclosing functions, and attributes (`self.cfg.beta`) that begin at either of those, at an
argument or at a local variable. Each value found becomes a guard, which a call of the program asks first. A value
that is another one when the recording ends was changed by the step itself, as a replay would not; such a step is
refused, and so is one that prints, reads the clock, or draws from Python's or NumPy's random numbers.

Not seen are values behind properties and getattr(), in containers longer than 64, and what compiled code reads.
"""

import collections
import dis
import functools
import gc
import io
import os
import random
import sys
import sysconfig
import time
import types

from .._core import TensorBase, profile_filter

SIMPLE = frozenset({int, float, bool, str, bytes, complex, type(None)})
_CONTAINERS = frozenset({list, tuple, dict, set, collections.OrderedDict, collections.defaultdict, collections.deque})
_ROUTINES = (types.FunctionType, types.BuiltinFunctionType, types.MethodType, type, types.MethodWrapperType)
_LONGEST = 64  # of a container whose contents are compared
_DEEPEST = 3  # of containers in containers

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
_PATHS = sysconfig.get_paths()
_STDLIB = tuple(os.path.join(_PATHS[k], "") for k in ("stdlib", "platstdlib"))
_SITE = tuple(os.path.join(_PATHS[k], "") for k in ("purelib", "platlib"))
_IMPURE = {
    print: "print()", input: "input()", open: "open()", time.time: "reading the clock",
    time.perf_counter: "reading the clock", time.monotonic: "reading the clock", time.time_ns: "reading the clock",
    time.perf_counter_ns: "reading the clock", time.process_time: "reading the clock", os.urandom: "os.urandom()",
}
_missing = object()
_harmless = {}  # by address: C functions, and classes whose objects' C methods are harmless


def whose(code):
    """"user", "site" (a package of others), or None (this package, the standard library, NumPy)."""
    name = code.co_filename
    if name.startswith((_PACKAGE, "<frozen", "<__array_function__")):
        return None
    if name.startswith(_SITE) or "site-packages" in name:
        return None if os.sep + "numpy" + os.sep in name else "site"
    return None if name.startswith(_STDLIB) else "user"


def _line(instruction, last):
    """The source line of an instruction, given that of the one before."""
    number = getattr(instruction, "line_number", None)  # 3.13 and later
    return number or (instruction.starts_line if type(instruction.starts_line) is int else 0) or last


@functools.lru_cache(4096)
def chains(code):
    """What a function reads: (root, name, attributes, line) with root "global", "cell" or "local"."""
    found, aliases, at, line = {}, {}, None, code.co_firstlineno
    stored = collections.Counter()
    instructions = list(dis.get_instructions(code))
    for i in instructions:
        if i.opname.startswith("STORE_FAST"):
            stored.update(i.argval if type(i.argval) is tuple else (i.argval,))
    for i in instructions:
        line, op = _line(i, line), i.opname
        if op in ("LOAD_GLOBAL", "LOAD_NAME"):
            at = ("global", i.argval, ())
        elif op in ("LOAD_DEREF", "LOAD_CLASSDEREF", "LOAD_FROM_DICT_OR_DEREF"):
            at = ("cell", i.argval, ())
        elif op.startswith("LOAD_FAST") and i.argval is not None:
            name = i.argval[-1] if type(i.argval) is tuple else i.argval
            at = aliases.get(name) or ("local", name, ())
        elif op in ("LOAD_ATTR", "LOAD_METHOD") and at is not None:
            at = (*at[:2], (*at[2], i.argval))
        elif op == "STORE_FAST" and at is not None:
            if stored[i.argval] == 1 and at[0] != "local":
                aliases[i.argval] = at
            at = None
            continue
        elif op in ("CACHE", "PRECALL", "PUSH_NULL", "NOP", "EXTENDED_ARG"):
            continue
        else:
            at = None
        if at is not None and (at[0] != "local" or at[2]):
            found.setdefault(at, line)
    return [(*chain, line) for chain, line in found.items()]


def same(a, b):
    """Whether a simple value may stand for another: 1 is neither 1.0 nor True."""
    return type(a) is type(b) and type(a) in SIMPLE and a == b


class Guard:
    """One value that was read: of a "cell", the "item" of a dict, the "attr" of an object, or the whole "content"."""

    __slots__ = ("kind", "name", "owner", "place", "text", "types", "value")

    def __init__(self, kind, owner, name, value, text, place):
        self.kind, self.owner, self.name, self.value, self.text, self.place = kind, owner, name, value, text, place
        self.types = None
        if kind == "content":
            self.value, self.types = _copy(owner)

    def now(self):
        try:
            if self.kind == "cell":
                return self.owner.cell_contents
            return self.owner[self.name] if self.kind == "item" else getattr(self.owner, self.name)
        except (ValueError, KeyError, AttributeError):
            return _missing

    def holds(self):
        if self.kind == "content":
            return unchanged(self.owner, self.value, self.types)
        now = self.now()
        return now is self.value or same(now, self.value)

    def source(self, k):
        """The test as an expression, with what it names."""
        if self.kind == "content":
            return f"unchanged(o{k}, v{k}, t{k})"
        read = {"cell": f"o{k}.cell_contents", "item": f"o{k}[n{k}]", "attr": f"o{k}.{self.name}"}[self.kind]
        if type(self.value) in SIMPLE and type(self.value) not in (bool, type(None)):
            return f"({read} is v{k} or same({read}, v{k}))"
        return f"{read} is v{k}"


def _copy(owner):
    """A shallow copy of a container and the types in it; of a long one, its length."""
    if len(owner) > _LONGEST:
        return len(owner), None
    values = owner.values() if isinstance(owner, dict) else owner
    copy = dict(owner) if isinstance(owner, dict) else list(owner) if not isinstance(owner, set) else set(owner)
    return copy, [*map(type, values)]


def unchanged(owner, copy, kinds):
    """Whether a container holds what it held."""
    if kinds is None:
        return len(owner) == copy
    if len(owner) != len(copy):
        return False
    if isinstance(owner, dict):
        return all(k in copy and (copy[k] is v or same(copy[k], v)) for k, v in owner.items())
    if isinstance(owner, set):
        return owner == copy
    return all(a is b or same(a, b) for a, b in zip(owner, copy))


def compiled(guards):
    """A function that tests all guards at once: one expression, which costs some 20 ns a guard."""
    if not guards:
        return None
    names = {"unchanged": unchanged, "same": same, "ERRORS": (ValueError, KeyError, AttributeError)}
    for k, g in enumerate(guards):
        names[f"o{k}"], names[f"v{k}"] = g.owner, g.value
        names[f"n{k}"], names[f"t{k}"] = g.name, g.types
    tests = " and\n        ".join(g.source(k) for k, g in enumerate(guards))
    text = f"def fits():\n    try:\n        return ({tests})\n    except ERRORS:\n        return False\n"
    exec(compile(text, "<guards>", "exec"), names)  # noqa: S102  the text is made of numbers and attributes' names
    return names["fits"]


class Reads:
    """Watches one recording."""

    def __init__(self, fn, note_module):
        self.fn, self.note_module = fn, note_module
        self.guards = {}
        self.impure = ""
        self.known = {}  # by address of code: None, or its chains, whose it is, and the names of its arguments
        self.executed = {}  # by address: the code, which keeps its address while it is here
        self.cells = {}  # (code, name): the value of a variable of an enclosing function
        self.module_class = getattr(sys.modules.get(__package__.rpartition(".")[0] + ".nn"), "Module", ())

    # ---- while the step runs

    def __enter__(self):
        self.random = random.getstate()
        self.numpy = _numpy_state()
        self.before = sys.getprofile()
        if hasattr(self.before, "disable"):
            self.before.disable()
        sys.setprofile(profile_filter((self.known, _harmless, self._event)))
        return self

    def __exit__(self, *error):
        sys.setprofile(None)
        if hasattr(self.before, "enable"):
            self.before.enable()
        elif self.before is not None:
            sys.setprofile(self.before)
        if not self.impure:
            if random.getstate() != self.random:
                self.impure = "drawing from Python's random numbers" + _place(sys._getframe(1))
            elif _numpy_state() != self.numpy:
                self.impure = "drawing from NumPy's random numbers" + _place(sys._getframe(1))
        self.random = self.numpy = None

    def _event(self, frame, event, arg):
        """The profile function. What it raised would be raised in the user's function; so it ends the recording."""
        try:
            self._look(frame, event, arg)
        except Exception as e:
            self.impure = self.impure or f"what it reads cannot be told ({type(e).__name__}: {e}){_place(frame)}"

    def _look(self, frame, event, arg):
        code = frame.f_code
        if event == "call" or event == "return":
            info = self.known.get(id(code), _missing)
            if info is _missing:
                info = self.known[id(code)] = self._inspect(code)
                self.executed[id(code)] = code
            if info is not None:
                self._read(frame, info, event == "call")
        elif event == "c_call" and not self.impure:
            what = _impure(arg)
            if what and not _is_quiet(frame):
                self.impure = what + _place(frame)
            elif not what:
                _note_harmless(arg)

    @staticmethod
    def _inspect(code):
        kind = whose(code)
        if kind is None:
            return None
        count = code.co_argcount + code.co_kwonlyargcount
        count += bool(code.co_flags & 4) + bool(code.co_flags & 8)  # *args and **kwargs
        return chains(code), kind, set(code.co_varnames[:count])

    def _read(self, frame, info, begins):
        names, outer = frame.f_locals, frame.f_globals
        found, kind, arguments = info
        for root, name, attributes, line in found:
            if root == "local":
                if begins is (name in arguments) and name in names:
                    self._follow(names[name], name, attributes, frame.f_code, line, kind)
            elif begins:
                value = outer.get(name, _missing) if root == "global" else names.get(name, _missing)
                if value is _missing:
                    continue
                if root == "global":
                    if not _is_fixed(value, outer, name):
                        self._guard("item", outer, name, value, name, frame.f_code, line, kind)
                elif (frame.f_code, name) not in self.cells:
                    self.cells[frame.f_code, name] = (value, line, kind)
                self._follow(value, name, attributes, frame.f_code, line, kind)

    def _guard(self, what, owner, name, value, text, code, line, kind):
        key = (id(owner), what, name)
        if hasattr(type(value), "__next__") and not self.impure:
            self.impure = f"reading the iterator {text} ({code.co_filename}, line {line})"
        if key not in self.guards:
            place = f"{code.co_filename}, line {line}"
            self.guards[key] = (Guard(what, owner, name, value, text, place), kind)
        if type(value) in _CONTAINERS:
            self._contents(value, text, code, line, kind, 0)

    def _contents(self, owner, text, code, line, kind, depth):
        key = (id(owner), "content", "")
        if key in self.guards or (type(owner) is tuple and all(type(x) in SIMPLE for x in owner)):
            return
        self.guards[key] = (Guard("content", owner, "", None, text, f"{code.co_filename}, line {line}"), kind)
        if depth < _DEEPEST and len(owner) <= _LONGEST:
            for x in owner.values() if isinstance(owner, dict) else owner:
                if type(x) in _CONTAINERS:
                    self._contents(x, text, code, line, kind, depth + 1)

    def _follow(self, value, text, attributes, code, line, kind):
        for name in attributes:
            if value is None or type(value) in SIMPLE or isinstance(value, (TensorBase, _ROUTINES[:3])):
                return
            owner, text = value, f"{text}.{name}"
            value = _attribute(owner, name)
            if value is _missing or isinstance(value, _ROUTINES[:3]):
                return
            if isinstance(owner, self.module_class):
                self.note_module(owner)  # watches what is simple in it
                if type(value) in SIMPLE or name in ("_parameters", "_buffers", "_modules"):
                    continue
                if isinstance(value, (TensorBase, self.module_class)) and any(
                        name in owner.__dict__[r] for r in ("_parameters", "_buffers", "_modules")):
                    continue
            if not isinstance(value, types.ModuleType):
                self._guard("attr", owner, name, value, text, code, line, kind)

    # ---- when it has run

    def finish(self):
        """The guards, and what the step itself changed or did, in words, or ""."""
        if self.impure:
            return [], self.impure
        self._resolve_cells()
        kept = []
        for guard, kind in self.guards.values():
            if guard.holds():
                kept.append(guard)
            elif kind == "user":
                return kept, f"the step changes {guard.text} ({guard.place}), which a replay would not"
        return kept, ""

    def _resolve_cells(self):
        """Guards of variables of enclosing functions: finds the functions, whose cells hold them."""
        executed = set(self.executed.values())
        inner = {}  # code: the executed one that it is written in
        for code in executed:
            for c in code.co_consts:
                if c in executed and isinstance(c, types.CodeType):
                    inner[c] = code
        wanted = {}
        for (code, name), (value, line, kind) in self.cells.items():
            at = code
            while at in inner:  # made by the step: its variables are too, unless they come from further out
                at = inner[at]
                if name in at.co_cellvars:
                    break
            else:
                wanted.setdefault(at, []).append((name, value, code, line, kind))
        functions = {}
        _walk_functions(self.fn, functions)
        lost = [code for code in wanted if code not in functions]
        if lost:
            for f in gc.get_referrers(*lost):
                if isinstance(f, types.FunctionType):
                    functions.setdefault(f.__code__, []).append(f)
        for code, reads in wanted.items():
            for f in functions.get(code, ()):
                cells = dict(zip(f.__code__.co_freevars, f.__closure__ or ()))
                for name, value, where, line, kind in reads:
                    if name in cells and not _is_fixed(value, {}, name):
                        if len(functions[code]) > 1:  # which of them ran is told by what they hold
                            try:
                                if cells[name].cell_contents is not value:
                                    continue
                            except ValueError:
                                continue
                        self._guard("cell", cells[name], name, value, name, where, line, kind)


def _walk_functions(fn, found, depth=0):
    """The functions that a callable is made of, by code."""
    while True:
        if isinstance(fn, types.MethodType):
            fn = fn.__func__
        elif hasattr(fn, "func") and hasattr(fn, "args"):  # partial
            fn = fn.func
        elif isinstance(fn, types.FunctionType):
            break
        else:  # an object that can be called
            method = type(fn).__dict__.get("__call__")
            if not isinstance(method, types.FunctionType):
                break
            fn = method
    if not isinstance(fn, types.FunctionType) or fn in found.get(fn.__code__, ()):
        return
    found.setdefault(fn.__code__, []).append(fn)
    if depth < 8:
        for cell in fn.__closure__ or ():
            try:
                inner = cell.cell_contents
            except ValueError:
                continue
            if isinstance(inner, (types.FunctionType, types.MethodType)):
                _walk_functions(inner, found, depth + 1)
        for inner in (getattr(fn, "__wrapped__", None), *(fn.__globals__.get(n) for n in fn.__code__.co_names)):
            if isinstance(inner, (types.FunctionType, types.MethodType)):
                _walk_functions(inner, found, depth + 1)


def _attribute(owner, name):
    """An attribute that is plain data, found without running anything; else `_missing`."""
    if isinstance(owner, types.ModuleType):
        if not whose_module(owner):
            return _missing
        return vars(owner).get(name, _missing)
    try:
        own = object.__getattribute__(owner, "__dict__")
    except AttributeError:
        own = {}
    if name in own and not isinstance(owner, type):
        return own[name]
    for cls in (owner if isinstance(owner, type) else type(owner)).__mro__:
        if name in cls.__dict__:
            value = cls.__dict__[name]
            if isinstance(value, types.MemberDescriptorType):
                return getattr(owner, name, _missing)
            return _missing if hasattr(type(value), "__get__") else value
    return _missing


def whose_module(module):
    """Whether a module is the user's own: others' constants are taken to stay."""
    file = getattr(module, "__file__", None)
    return bool(file) and not file.startswith((_PACKAGE, *_STDLIB)) and "site-packages" not in file


def _is_fixed(value, outer, name):
    """Modules, classes, and functions under their own names are taken to stay what they are."""
    if isinstance(value, (types.ModuleType, types.BuiltinFunctionType, type)):
        return True
    return (isinstance(value, types.FunctionType) and value.__name__ == name
            and (not outer or value.__globals__ is outer or value.__module__.startswith("autodiffc")))


def _impure(function):
    """What a builtin does that a replay would not, or ""."""
    try:
        what = _IMPURE.get(function)
    except TypeError:  # not hashable
        what = None
    if what:
        return what
    owner = getattr(function, "__self__", None)
    if owner is None or isinstance(owner, types.ModuleType):
        return ""
    if isinstance(owner, random.Random):
        return "drawing from Python's random numbers"
    if isinstance(owner, io.IOBase) and function.__name__ in ("write", "writelines", "read", "readline"):
        return "reading or writing a file"
    if function.__name__ in ("now", "utcnow", "today") and isinstance(owner, type):
        return "reading the clock"
    return "drawing from NumPy's random numbers" if type(owner).__module__.startswith("numpy.random") else ""


def _note_harmless(function):
    """Remembers a builtin whose calls need not be looked at, by the names that profile_filter() goes by."""
    owner = getattr(function, "__self__", None)
    if owner is None or isinstance(owner, types.ModuleType):
        _harmless[id(function)] = function
    elif not (isinstance(owner, (type, random.Random, io.IOBase))
              or type(owner).__module__.startswith("numpy.random")):
        _harmless[id(type(owner))] = type(owner)


def _is_quiet(frame):
    """Whether a call comes from this package or from a warning: those are not the step's."""
    while frame is not None:
        name = frame.f_code.co_filename
        if name.startswith(_PACKAGE) or os.path.basename(name) in ("warnings.py", "_py_warnings.py"):
            return True
        if whose(frame.f_code) == "user":
            return False
        frame = frame.f_back
    return True


def _place(frame):
    """" (file, line n)" of the user's code that led to a frame."""
    while frame is not None and whose(frame.f_code) is None:
        frame = frame.f_back
    return f" ({frame.f_code.co_filename}, line {frame.f_lineno})" if frame is not None else ""


def _numpy_state():
    """Where NumPy's global generator stands."""
    numpy_random = sys.modules.get("numpy.random")
    if numpy_random is None:
        return None
    state = numpy_random.get_state(legacy=False)
    inner = state["state"]
    return {k: v.tobytes() if hasattr(v, "tobytes") else v for k, v in inner.items()} if isinstance(inner, dict) else 0
