"""A notebook's code cells, in order, as Python: what only IPython understands is left out and said."""

import ast
import json
import linecache
import os
import re
import sys
import warnings

from . import run

_MAGIC = re.compile(r"\s*(?:[!?]|%{1,2}[A-Za-z]|[\w.]+\s*\?{1,2}\s*$)")
_ASSIGNED = re.compile(r"\s*[\w., ]+=\s*(?:!|%[A-Za-z])")
_PIP = re.compile(r"\s*[!%]\s*(?:\w+\s+-m\s+)?(?:pip3?|conda|mamba|uv)\b")
_WRAPS = ("time", "timeit", "capture", "prun")
"""Cell magics that run the cell."""


class _Shell:
    """What get_ipython() gives: magics do nothing."""

    def run_line_magic(self, name, line="", *rest):
        return None

    run_cell_magic = magic = system = getoutput = set_next_input = run_line_magic


def _display(*objects, **options):
    for o in objects:
        print(o)


def _note(place, text):
    if place is None:
        return
    print(f"autodiffc: {place}: skipped {text.strip()}", file=sys.stderr)


def python(source, place):
    """A cell's source with IPython's lines replaced by pass; lines stay where they are. Without a place nothing is
    said and nothing written."""
    lines = source.split("\n")
    first = next((k for k, line in enumerate(lines) if line.strip()), None)
    if first is not None and lines[first].lstrip().startswith("%%"):
        name, _, rest = lines[first].lstrip()[2:].partition(" ")
        if name == "writefile":
            return _written(rest, lines[first + 1:], place)
        if name not in _WRAPS:
            _note(place, lines[first] + " and its cell")
            return ""
        lines[first] = "pass"
    while True:
        text = "\n".join(lines)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", SyntaxWarning)  # compile() gives them
                ast.parse(text)
            return text
        except SyntaxError as e:
            k = _offender(lines, e.lineno)
            if k is None:
                return text  # no fault of IPython's: compile() will tell
        line = lines[k]
        indent = line[: len(line) - len(line.lstrip())]
        if not _PIP.match(line):
            _note(place and f"{place}, line {k + 1}", line)
        if _ASSIGNED.match(line):
            lines[k] = indent + line.strip().partition("=")[0] + "= []"
        else:
            lines[k] = indent + "pass"
        while line.rstrip().endswith("\\") and k + 1 < len(lines):  # a command over several lines
            k, line = k + 1, lines[k + 1]
            lines[k] = ""


def _offender(lines, number):
    """The index of the line of IPython's that a SyntaxError at a line (from 1) speaks of."""
    near = min((number or 1) - 1, len(lines) - 1)
    for k in (*range(near, -1, -1), *range(near + 1, len(lines))):
        if _MAGIC.match(lines[k]) or _ASSIGNED.match(lines[k]):
            return k
    return None


def _written(options, lines, place):
    """%%writefile: other cells import what it writes."""
    if place is None:
        return ""
    append = options.split()[:1] in (["-a"], ["--append"])
    path = options.split()[-1].strip("'\"") if options.split() else ""
    if not path:
        raise run.CannotRun(f"{place}: %%writefile names no file")
    with open(path, "a" if append else "w", encoding="utf-8") as f:
        f.write("\n".join(lines) + "\n")
    return ""


def cells(path):
    """The sources of a notebook's code cells, with their numbers."""
    try:
        with open(path, encoding="utf-8") as f:
            found = json.load(f)
        if "worksheets" in found:  # format 3
            listed = [c for sheet in found["worksheets"] for c in sheet["cells"]]
        else:
            listed = found["cells"]
        code = [c for c in listed if c["cell_type"] == "code"]
        return [(k, "".join(c.get("source", c.get("input", ""))), _may_fail(c)) for k, c in enumerate(code, 1)]
    except OSError as e:
        raise run.CannotRun(f"can't open file {os.path.abspath(path)!r}: [Errno {e.errno}] {e.strerror}", 2) from None
    except (ValueError, KeyError, TypeError, AttributeError) as e:
        raise run.CannotRun(f"{path} is no notebook: {type(e).__name__}: {e}", 2) from None


def _may_fail(cell):
    """Whether a cell is marked as one that raises: the notebook goes on after it."""
    return "raises-exception" in cell.get("metadata", {}).get("tags", ())


class _Cells:
    """The parts of a notebook, each made when its turn comes: %%writefile and notes are in order."""

    def __init__(self, path, found):
        self.path, self.found = path, found

    def __iter__(self):
        for number, source, may_fail in self.found:
            place = f"{os.path.basename(self.path)}, cell {number}"
            name = f"{self.path}, cell {number}"
            text = python(source, place)
            linecache.cache[name] = (len(text), None, text.splitlines(True), name)
            yield text, name, may_fail


def notebook(path):
    """The (module, parts) of a notebook."""
    full = os.path.abspath(path)
    found = cells(full)
    os.environ.setdefault("MPLBACKEND", "agg")  # pictures would wait for their windows to be closed
    run.set_path(os.path.dirname(os.path.realpath(full)))
    return run.new_main(get_ipython=_Shell, display=_display), _Cells(full, found)
