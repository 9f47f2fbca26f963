"""Helpers that belong to no one part of the library."""

from . import dlpack  # noqa: F401
