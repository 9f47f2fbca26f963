"""Hostile arguments for everything that is public: see tests/fuzzing.py."""


import pytest

from . import child


@pytest.mark.parametrize("seed", ["1", "2"])
def test_public_functions(seed, tmp_path):
    log = tmp_path / "log"
    done = child.run("-m", "tests.fuzzing", seed, "--repeat", "5", "--log", str(log), OPENBLAS_NUM_THREADS="1")
    assert done.stdout.rstrip().endswith(" 0 problems"), (
        f"{done.stdout[-5000:]}\n{done.stderr[-3000:]}\n{log.read_text()}"
    )
