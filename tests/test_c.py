"""The unit tests in C, where there is a compiler and the sources."""

import os
import shutil
import subprocess

import pytest

from .child import ROOT

COMPILER = os.environ.get("CC", "cc")
missing = not (ROOT / "csrc").is_dir() or not shutil.which(COMPILER.split()[0])


@pytest.mark.skipif(missing, reason="needs the C sources and a C compiler")
@pytest.mark.parametrize("name", ["pool", "gemm", "rng", "vec", "vmath"])
def test_c(name):
    done = subprocess.run(
        ["sh", str(ROOT / "tests" / "c" / "run.sh"), name],
        env={**os.environ, "CC": COMPILER, "SAMPLES": "20000"},
        capture_output=True,
        text=True,
        timeout=500,
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
