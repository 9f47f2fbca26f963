"""Other Python processes, which import the same autodiffc as this one."""

import os
import pathlib
import subprocess
import sys
import tempfile

import autodiffc

ROOT = pathlib.Path(__file__).resolve().parent.parent
PACKAGE = pathlib.Path(autodiffc.__file__).resolve().parent.parent


def environment(**more) -> dict:
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(PACKAGE), str(ROOT)]), **more}


def run(*args, **more) -> subprocess.CompletedProcess:
    """Runs python with these arguments outside of the source tree; `more` goes into the environment."""
    return subprocess.run(
        [sys.executable, *args],
        cwd=tempfile.gettempdir(),
        env=environment(**more),
        capture_output=True,
        text=True,
        timeout=300,
    )


def start(*args, **more) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, *args],
        cwd=tempfile.gettempdir(),
        env=environment(**more),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
