"""Helpers that belong to no one part of the library."""

from . import dlpack  # noqa: F401

_LAZY = ("_pytree", "backcompat", "checkpoint", "cpp_extension", "data", "deterministic", "hooks", "model_zoo")


def __getattr__(name):
    """Submodules, imported when first named."""
    if name in _LAZY:
        import importlib

        return importlib.import_module("." + name, __name__)
    from .._hook import missing

    raise missing.attribute(__name__, name)
