"""The longer examples, and those on scikit-learn's data: pytest -m tour, with the extra `examples` installed."""

import pytest

from .. import examples

pytestmark = pytest.mark.tour


@pytest.mark.parametrize("check", examples.LONGER, ids=lambda check: check.__name__)
def test_example(check, tmp_path):
    check(examples.run(check.__name__, tmp_path))
    assert (tmp_path / f"{check.__name__}.png").stat().st_size > 10_000


def test_pictures_of_the_others(tmp_path):
    for check in examples.NUMPY_ALONE:
        examples.run(check.__name__, tmp_path)
        kind = "svg" if check.__name__ == "backprop" else "png"
        assert (tmp_path / f"{check.__name__}.{kind}").stat().st_size > 5_000
