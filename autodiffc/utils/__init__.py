"""Helpers around tensors."""

from . import dlpack  # noqa: F401
