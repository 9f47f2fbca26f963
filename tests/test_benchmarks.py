"""The tables of benchmarks/: what is computed from the figures, not the figures."""

import importlib

import pytest

from benchmarks import __main__ as harness
from benchmarks import roofline
from benchmarks.table import Table, best_ratio, markdown, ratios, summary


def filled():
    table = Table()
    table.add("products", "one", "us", 2.0, 0.25, torch=4.0, numpy=1.0)
    table.add("products", "two", "us", 1.0, None, torch=8.0)
    table.add("install", "three", "MB", 3.0)
    return table


def test_ratios_are_the_peers_figure_over_ours():
    one, two, three = filled().rows
    assert ratios(one) == {"torch": 2.0, "numpy": 0.5}
    assert (best_ratio(one), best_ratio(two), best_ratio(three)) == (0.5, 8.0, None)
    assert summary([one, two, three]) == (pytest.approx(2.0), 0.5, 2)
    assert summary([three]) is None


def test_a_saved_table_is_read_back(tmp_path):
    table = filled()
    table.save(tmp_path / "t.csv")
    assert Table.load(tmp_path / "t.csv").rows == table.rows


def test_the_page_has_every_case_and_the_roofs():
    roofs = {n: {"float32": (100.0 * n, "autodiffc"), "memory": (50.0, "numpy")} for n in (1, 2)}
    text = markdown(filled().rows, roofs, {"system": "a machine"}, "python -m benchmarks")
    assert "| one | us | 2 | 4 (2.00) | 1 (0.50) | 0.50 | 25% |" in text
    assert "| three | MB | 3 |" in text
    assert "| float32 multiply-adds | 100 GFLOP/s (autodiffc) | 200 GFLOP/s (autodiffc) |" in text
    assert "| products | 2 | 2.00 | 0.50 |" in text


def test_the_roofline_share():
    roof = {"float32": (100.0, "autodiffc"), "memory": (50.0, "numpy")}
    assert roofline.share(roof, 2.0, 1e5, 1e3, "float32") == 0.5  # a microsecond of arithmetic
    assert roofline.share(roof, 2.0, 0, 1e5, "float32") == 1.0  # two microseconds of memory
    assert roofline.share(roof, 2.0, 0, 0, "float32") is None


def test_every_section_is_there():
    for section in harness.MODULES:
        assert callable(importlib.import_module(f"benchmarks.{section}").main)
    for section in harness.OWN:
        assert callable(getattr(harness, "run_" + section))
