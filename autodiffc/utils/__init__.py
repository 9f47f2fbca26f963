"""Helpers that belong to no one part of the library."""

from . import dlpack  # noqa: F401


def __getattr__(name):
    """Modules such as utils.data, imported when first named."""
    import importlib

    full = f"{__name__}.{name}"
    try:
        return importlib.import_module(full)
    except ModuleNotFoundError as e:
        if e.name != full:
            raise
    if name.startswith("__"):  # the import system asks for some of every module
        raise AttributeError(name)
    from .._hook import missing

    raise missing.attribute(__name__, name)
