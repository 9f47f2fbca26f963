"""The package as it is imported; what is installed is checked by .ci/run, from wheels."""

import pathlib
import sys

import autodiffc
from autodiffc import _native

from . import child


def test_one_build_for_every_python():
    assert ".abi3." in _native.__file__ or sys.platform == "win32"


def test_typed():
    assert (pathlib.Path(autodiffc.__file__).parent / "py.typed").exists()


def test_import_is_light():
    """Neither what scripts seldom use, nor slow modules of the standard library that NumPy does without."""
    code = "import numpy, sys; before = set(sys.modules); import autodiffc; print(*set(sys.modules) - before)"
    done = child.run("-c", code)
    assert done.returncode == 0, done.stderr
    new = set(done.stdout.split())
    assert "autodiffc.tensor" in new
    heavy = {"dataclasses", "typing", "asyncio", "unittest", "multiprocessing", "subprocess", "tempfile", "logging"}
    heavy |= {"torch", "scipy", "matplotlib", "cffi", "threadpoolctl"}
    assert not new & (heavy | {"autodiffc.nn", "autodiffc.optim", "autodiffc.linalg", "autodiffc.func"})


def test_every_name_that_the_package_lists_can_be_had():
    import autodiffc

    for name in dir(autodiffc):
        assert hasattr(autodiffc, name), name
