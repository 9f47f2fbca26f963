"""The examples that need NumPy alone reach what they should; the others: tests/tour."""

import ast
import pathlib

import pytest

from . import examples

HERE = pathlib.Path(__file__).parent


@pytest.mark.slow  # as a whole
@pytest.mark.parametrize("check", examples.NUMPY_ALONE, ids=lambda check: check.__name__)
def test_example(check, tmp_path):
    check(examples.run(check.__name__, tmp_path))


def test_every_example_is_run():
    found = {p.stem for p in (HERE.parent / "examples").glob("*.py")} - {"_common", "digits"}
    assert found == {check.__name__ for check in examples.NUMPY_ALONE + examples.LONGER}
    for name in found:
        source = (HERE.parent / "examples" / f"{name}.py").read_text()
        assert ast.get_docstring(ast.parse(source)) and "\nassert " in source.replace("    ", ""), name
        assert f"{name}.py" in (HERE.parent / "docs" / "tour.md").read_text(), name
