"""Runs a script, module, code or notebook as python would, in a __main__ module of its own."""

import importlib.machinery
import importlib.util
import io
import os
import sys
import types


class CannotRun(Exception):
    """Said on standard error in one line; the exit code is `status`."""

    def __init__(self, text, status=1):
        super().__init__(text)
        self.status = status


def new_main(**names):
    """A fresh __main__ module in sys.modules."""
    module = types.ModuleType("__main__")
    module.__builtins__ = sys.modules["builtins"]
    module.__annotations__ = {}
    for name, value in names.items():
        setattr(module, name, value)
    run = sys.modules["__main__"]
    sys.modules["__main__"] = module
    module.__dict__["__loader__"] = names.get("__loader__")
    _kept.append(run)  # its globals are those of the frames below
    return module


_kept = []


def set_path(first):
    """sys.path[0], which under -m is the working directory."""
    if not getattr(sys.flags, "safe_path", False):
        sys.path[0] = first


def script(path):
    """The (module, [code]) of a script, of a directory or zip file with a __main__.py, or of - (standard input)."""
    if path == "-":
        set_path("")
        return new_main(__loader__=importlib.machinery.BuiltinImporter), [(sys.stdin.read(), "<stdin>")]
    full = os.path.join(os.getcwd(), path)  # as python makes it absolute: nothing is resolved
    if os.path.isdir(full) or _is_zip(full):
        set_path(full)
        return _found(importlib.machinery.PathFinder.find_spec("__main__", [full]), full)
    try:
        with io.open_code(full) as f:
            text = f.read()
    except OSError as e:
        raise CannotRun(f"can't open file {full!r}: [Errno {e.errno}] {e.strerror}", 2) from None
    set_path(os.path.dirname(os.path.realpath(full)))
    loader = importlib.machinery.SourceFileLoader("__main__", full)
    return new_main(__file__=full, __cached__=None, __loader__=loader), [(text, full)]


def _is_zip(path):
    if path.endswith((".py", ".pyw")) or not os.path.isfile(path):
        return False
    import zipfile

    return zipfile.is_zipfile(path)


def _found(spec, path):
    code = spec.loader.get_code("__main__") if spec is not None and spec.loader is not None else None
    if code is None:
        raise CannotRun(f"can't find '__main__' module in {path!r}")
    return new_main(__file__=spec.origin, __cached__=spec.cached, __loader__=spec.loader, __package__="",
                    __spec__=spec), [(code, spec.origin)]


def module(name):
    """The (module, [code]) of -m."""
    set_path(os.getcwd())
    sys.argv[0] = "-m"
    spec, code = _module(name)
    sys.argv[0] = spec.origin
    return new_main(__file__=spec.origin, __cached__=spec.cached, __loader__=spec.loader, __package__=spec.parent,
                    __spec__=spec), [(code, spec.origin)]


def _module(name):
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, AttributeError, TypeError, ValueError) as e:
        raise CannotRun(
            f"Error while finding module specification for {name!r} ({type(e).__name__}: {e})"
        ) from None
    if spec is None:
        raise CannotRun(f"No module named {name}")
    if spec.submodule_search_locations is not None:
        if name.endswith(".__main__"):
            raise CannotRun("Cannot use package as __main__ module")
        try:
            return _module(name + ".__main__")
        except CannotRun as e:
            raise CannotRun(f"{e}; {name!r} is a package and cannot be directly executed") from None
    code = spec.loader.get_code(name) if hasattr(spec.loader, "get_code") else None
    if code is None:
        raise CannotRun(f"No code object available for {name}")
    return spec, code


def command(text):
    """The (module, [code]) of -c."""
    set_path("")
    return new_main(__loader__=importlib.machinery.BuiltinImporter), [(text, "<string>")]


def execute(main, parts):
    """Runs the parts in the module and returns the exit status. What is raised ends as under python: the traceback
    begins with the script's own frame, SystemExit passes, Ctrl-C ends the process by its signal."""
    names = main.__dict__
    try:
        for code, name, *may_fail in parts:
            try:
                if not isinstance(code, types.CodeType):
                    code = compile(code, name, "exec", dont_inherit=True)
                exec(code, names)
            except Exception as e:
                if not any(may_fail):
                    raise
                report(e)
        return 0
    except SystemExit as e:
        e.__traceback__ = None
        raise
    except BaseException as e:
        raised = e
    return report(raised)


def report(raised):
    """Shows an exception as the interpreter does at the end; returns the exit status."""
    tb = raised.__traceback__
    while tb is not None and tb.tb_frame.f_code.co_filename == __file__:
        tb = tb.tb_next
    raised.__traceback__ = tb
    sys.last_type, sys.last_value, sys.last_traceback = type(raised), raised, tb
    try:
        if sys.excepthook is sys.__excepthook__ and _has_cells(tb):
            import traceback

            traceback.print_exception(type(raised), raised, tb)  # of a notebook, whose lines linecache alone has
        else:
            sys.excepthook(type(raised), raised, tb)
    except SystemExit:
        raise
    except BaseException as e:
        print("Error in sys.excepthook:", file=sys.stderr)
        sys.__excepthook__(type(e), e, e.__traceback__)
        print("\nOriginal exception was:", file=sys.stderr)
        sys.__excepthook__(type(raised), raised, tb)
    if isinstance(raised, KeyboardInterrupt) and os.name == "posix":
        _die_of_interrupt()
    return 1


def _has_cells(tb):
    """Whether a traceback goes through code whose lines linecache alone has."""
    cache = getattr(sys.modules.get("linecache"), "cache", {})
    while tb is not None and cache:
        if cache.get(tb.tb_frame.f_code.co_filename, (0, 0))[1] is None:
            return True
        tb = tb.tb_next
    return False


def _die_of_interrupt():
    """Ends by SIGINT after all that runs at exit, so that the shell sees an interrupted program."""
    import atexit
    import signal
    import threading

    threading._shutdown()
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError, AttributeError):  # closed, or none
            continue
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGINT)
