"""The tables of benchmarks/: what is computed from the figures, not the figures."""

import importlib
import re

import pytest

from benchmarks import __main__ as harness
from benchmarks import headlines, roofline
from benchmarks.table import Table, best_ratio, markdown, picture, ratios, summary


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
    roof = {"float32": (100.0, "autodiffc"), "memory": (50.0, "numpy"), "cache": (500.0, "numpy")}
    assert roofline.share(roof, 2.0, 1e5, 1e3, "float32") == 0.5  # a microsecond of arithmetic
    assert roofline.share(roof, 40.0, 0, 2e6, "float32") == 1.0  # forty microseconds of memory
    assert roofline.share(roof, 2.0, 0, 5e5, "float32") == 0.5  # a microsecond of the caches
    assert roofline.share(roof, 2.0, 0, 0, "float32") is None


def test_every_section_is_there():
    for section in harness.MODULES:
        assert callable(importlib.import_module(f"benchmarks.{section}").main)
    for section in harness.OWN:
        assert callable(getattr(harness, "run_" + section))


def test_headlines_take_the_cases_and_peers_they_name():
    table = Table()
    table.add("products", "float32 64x64x64 nn", "us", 2.0, torch=6.0, numpy=4.0)
    table.add("products", "float32 2048x2048x2048 nn", "us", 1.0, torch=8.0)
    table.add("products", "bfloat16 1024x1024x1024 nn", "us", 1.0, torch=1.5, **{"autodiffc-float32": 3.0})
    table.add("steps", "tiny: first call", "ms", 1.0, jax=100.0)
    table.add("steps", "tiny", "us", 1.0, torch=3.0)
    table.add("steps", "tiny, captured", "us", 1.0, torch=9.0, jax=2.0)
    text = "\n".join(headlines.lines(table.rows))
    assert "| float32 products, every transposition | 2 | 4.00 | 2.00 | float32 64x64x64 nn |" in text
    assert "| float32 products of up to 64x64x64 | 1 | 2.00 | 2.00 |  |" in text
    assert "| bfloat16 products, 1024 and above | 1 | 1.50 | 1.50 |  |" in text
    assert "| the same, against float32 here | 1 | 3.00 | 3.00 |  |" in text
    assert "| training steps, eager | 1 | 3.00 | 3.00 |  |" in text
    assert "| training steps, captured | 1 | 2.00 | 2.00 |  |" in text
    assert "attention" not in text.split("batched")[0] and "AdamW" not in text


def test_headlines_name_cases_that_the_sections_have():
    """Read from the sections themselves where they can tell their cases without measuring."""
    from benchmarks import attention, products, recurrent, steps

    names = {
        "products": [case for case, *_ in products.cases()],
        "attention": [f"{case}: forward and backward" for case in attention.CALLS],
        "recurrent": [f"{case}: forward and backward" for case in recurrent.LAYERS],
        "steps": [name + kind for name in steps.STEPS for kind in ("", ", captured")],
    }
    for line in headlines.HEADLINES:
        if line.section in names:
            assert any(re.search(line.pattern, name) for name in names[line.section]), line.what


def test_steps_that_share_the_machine_are_told_in_own_figures():
    table = Table()
    for name, ours, peers in (("a", 1.0, 3.0), ("b", 2.0, 5.0), ("c", 1.5, 4.0)):
        table.add("neighbours", f"{name}, eager: beside a busy neighbour", "times as long", ours, torch=peers)
        table.add("neighbours", f"{name}, eager: each in two processes at once", "times less work", ours, torch=peers)
    text = headlines.neighbours(table.rows)
    assert "| times as long beside a process that keeps one processor busy | torch, eager | 4 | 5 |" in text
    assert "| work of two processes together over that of one alone | autodiffc, eager | 0.667 | 0.5 |" in text
    assert headlines.neighbours(filled().rows) == []


def test_the_picture_is_drawn_again_alike(tmp_path):
    pytest.importorskip("matplotlib")
    for name in ("a.svg", "b.svg"):
        picture(filled().rows, tmp_path / name)
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
