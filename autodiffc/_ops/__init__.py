"""The operations, one def each, by family. `_ops.name` finds an operation in whichever file defines it."""

from importlib import import_module
from pkgutil import iter_modules

_families = [info.name for info in iter_modules(__path__)]


def __getattr__(name):
    if not name.startswith("__") and name not in _families:
        for family in _families:
            found = getattr(import_module(f"{__name__}.{family}"), name, None)
            if found is not None:
                globals()[name] = found
                return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
