"""The operations, one def each, by family. `_ops.name` finds an operation in whichever file defines it."""

import pkgutil
from importlib import import_module


def __getattr__(name):
    if not name.startswith("__"):
        for info in pkgutil.iter_modules(__path__):
            found = getattr(import_module(f"{__name__}.{info.name}"), name, None)
            if found is not None:
                globals()[name] = found
                return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
