"""Comparisons with PyTorch: run with `pytest -m parity`, which needs torch. Every test here is marked."""

import pathlib

import pytest

HERE = pathlib.Path(__file__).parent


def pytest_collection_modifyitems(items):
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.parity)
