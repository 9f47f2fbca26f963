"""Shared by all tests: each one leaves the number of threads and the default dtype as it found them."""

import pathlib
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
if not any((ROOT / "autodiffc").glob("_native.*so")):
    # Not built beside the sources: the installed package is meant, though pytest puts this directory first.
    sys.path[:] = [p for p in sys.path if pathlib.Path(p or ".").resolve() != ROOT] + [str(ROOT)]

from autodiffc._native import ffi, lib  # noqa: E402


@pytest.fixture(autouse=True)
def _state():
    threads, dtype = lib.ad_get_num_threads(), lib.ad_default_dtype()
    yield
    lib.ad_set_num_threads(threads)
    lib.ad_set_default_dtype(dtype)


@pytest.fixture
def stats():
    """The live tensors, nodes and storages, as a function: equal before and after what leaks nothing."""

    def read():
        out = ffi.new("int64_t[8]")
        lib.ad_memory_stats(out)
        return {"used": out[0], "tensors": out[5], "nodes": out[6], "storages": out[7]}

    return read


def pytest_ignore_collect(collection_path, config):
    """What needs other packages is not even imported unless it is asked for: -m parity, -m ecosystem, -m tour."""
    asked = config.option.markexpr or ""
    return True if any(m in collection_path.parts and m not in asked for m in ("parity", "ecosystem", "tour")) else None
