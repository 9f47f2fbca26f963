"""The built extension shows the world one symbol; the header declares what the core defines."""

import pathlib
import re
import shutil
import subprocess

import pytest

from autodiffc import _native

from .child import ROOT

EXTENSION = pathlib.Path(_native.__file__)
HEADER = ROOT / "csrc" / "autodiffc.h"

needs_sources = pytest.mark.skipif(not HEADER.exists(), reason="needs the C sources")
needs_nm = pytest.mark.skipif(not shutil.which("nm"), reason="needs nm")


@needs_nm
def test_exported_symbols():
    """Nothing but the module's init function, so that no other library's names meet ours."""
    done = subprocess.run(["nm", "-D", "--defined-only", str(EXTENSION)], capture_output=True, text=True, check=True)
    names = {line.split()[-1] for line in done.stdout.splitlines() if line.split()[-2] not in "aA"}
    assert {n for n in names if not n.startswith(("_init", "_fini"))} == {"PyInit__native"}


def declared() -> set[str]:
    region = HEADER.read_text().split("/* BEGIN CDEF */")[1].split("/* END CDEF */")[0]
    region = re.sub(r"/\*.*?\*/", "", region, flags=re.S)
    region = re.sub(r"typedef struct \w+ \{.*?\} \w+;", "", region, flags=re.S)
    return set(re.findall(r"\b(ad_\w+)\(", region))


@needs_sources
def test_header_declares_what_is_defined():
    names = declared()
    assert len(names) > 80
    text = "".join(p.read_text() for p in (ROOT / "csrc").rglob("*.c"))
    defined = set(re.findall(r"^(?!static)[A-Za-z_][\w \*]*?\b(ad_\w+)\([^;{]*?\) \{", text, flags=re.M))
    assert names <= defined, names - defined
    internal = {"ad_apply", "ad_apply1", "ad_apply_inplace", "ad_fail", "ad_fail_null"}  # of core.h
    assert defined - names == internal


@needs_sources
def test_every_declared_function_is_bound():
    for name in declared():
        assert hasattr(_native.lib, name), name
