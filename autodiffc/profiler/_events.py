"""What a profile holds: counts and times of operations and of named ranges."""

import functools
import json
import threading
import time

from .._core import OP
from .._native import ffi, lib

_NAMES = sorted(OP, key=OP.get)
_thread = threading.local()
_active = []
"""The Recordings under way; ranges report to all of them."""


def counters():
    """(calls, microseconds, microseconds without inner calls) of each row so far."""
    out = ffi.new("int64_t[]", 3 * len(_NAMES))
    lib.ad_profile_read(out)
    flat = ffi.unpack(out, 3 * len(_NAMES))
    return [(flat[3 * k], flat[3 * k + 1] / 1e3, flat[3 * k + 2] / 1e3) for k in range(len(_NAMES))]


class Recording:
    """The time between start() and stop()."""

    def __init__(self):
        self.ranges = []  # (name, start, end, thread), in microseconds

    def start(self):
        self.began = time.perf_counter()
        self.before = counters()
        _active.append(self)
        lib.ad_profile(1)

    def stop(self):
        _active.remove(self)
        if not _active:
            lib.ad_profile(0)
        self.took = (time.perf_counter() - self.began) * 1e6
        self.rows = [tuple(b - a for a, b in zip(x, y)) for x, y in zip(self.before, counters())]

    def events(self):
        """One FunctionEventAvg a row or range that was called."""
        found = [FunctionEventAvg(f"aten::{n}", *row) for n, row in zip(_NAMES, self.rows) if row[0]]
        spans = {}
        for name, start, end, _ in self.ranges:
            calls, total = spans.get(name, (0, 0.0))
            spans[name] = calls + 1, total + (end - start) * 1e6
        computed = sum(e.self_cpu_time_total for e in found)
        for name, (calls, total) in spans.items():
            found.append(FunctionEventAvg(name, calls, total, max(total - computed, 0.0), True))
        return EventList(found, self.took)


class record_function:
    """A block, or a decorator, whose time stands in profiles under a name."""

    def __init__(self, name, args=None):
        self.name, self.args = name, args
        self._starts = []

    def __enter__(self):
        self._starts.append(time.perf_counter())
        return self

    def __exit__(self, *exc):
        start, end = self._starts.pop(), time.perf_counter()
        for recording in _active:
            recording.ranges.append((self.name, start, end, threading.get_ident()))
        return False

    def __call__(self, fn):
        @functools.wraps(fn)
        def wrapped(*args, **kwargs):
            with type(self)(self.name, self.args):
                return fn(*args, **kwargs)

        return wrapped


class FunctionEventAvg:
    """The calls of one operation or range, times in microseconds."""

    device_time = device_time_total = self_device_time_total = 0.0
    cuda_time = cuda_time_total = self_cuda_time_total = 0.0
    cpu_memory_usage = self_cpu_memory_usage = device_memory_usage = self_device_memory_usage = flops = 0
    input_shapes, stack, scope, is_async, is_remote, node_id = "", [], 0, False, False, -1

    def __init__(self, key, count, cpu_time_total, self_cpu_time_total, is_user_annotation=False):
        self.key = self.name = key
        self.count, self.cpu_time_total, self.self_cpu_time_total = count, cpu_time_total, self_cpu_time_total
        self.is_user_annotation = is_user_annotation

    @property
    def cpu_time(self):
        """The mean time of a call."""
        return self.cpu_time_total / self.count if self.count else 0.0

    def __repr__(self):
        return (f"<FunctionEventAvg key={self.key} self_cpu_time={_time(self.self_cpu_time_total)} "
                f"cpu_time={_time(self.cpu_time)} count={self.count}>")


def _time(us):
    return f"{us / 1e6:.3f}s" if us >= 1e6 else f"{us / 1e3:.3f}ms" if us >= 1e3 else f"{us:.3f}us"


_SORTS = {"count", "cpu_time", "cpu_time_total", "self_cpu_time_total", "cuda_time", "cuda_time_total",
          "self_cuda_time_total", "device_time", "device_time_total", "self_device_time_total", "cpu_memory_usage",
          "self_cpu_memory_usage", "cuda_memory_usage", "self_cuda_memory_usage", "device_memory_usage",
          "self_device_memory_usage"}


class EventList(list):
    """The events of a profile, which print as a table."""

    def __init__(self, events=(), took=0.0):
        super().__init__(events)
        self.took = took

    @property
    def self_cpu_time_total(self):
        return sum(e.self_cpu_time_total for e in self if not e.is_user_annotation)

    def key_averages(self, group_by_input_shapes=False, group_by_stack_n=0, group_by_overload_name=False):
        return self

    def total_average(self):
        """All operations as one event."""
        plain = [e for e in self if not e.is_user_annotation]
        total = sum(e.self_cpu_time_total for e in plain)
        return FunctionEventAvg("Total", sum(e.count for e in plain), total, total)

    def table(self, sort_by=None, row_limit=100, max_src_column_width=75, max_name_column_width=55,
              max_shapes_column_width=80, header=None, top_level_events_only=False, time_unit=None):
        """The events as text, by total time or by another of their columns (AttributeError for an unknown one)."""
        if sort_by is not None and sort_by not in _SORTS:
            raise AttributeError(f"'FunctionEventAvg' object has no attribute '{sort_by}'")
        key = sort_by or "self_cpu_time_total"
        events = sorted(self, key=lambda e: getattr(e, key, 0), reverse=True)
        events = events[:row_limit] if row_limit >= 0 else events
        whole = self.self_cpu_time_total or 1.0
        rows = [("Name", "Self CPU %", "Self CPU", "CPU total %", "CPU total", "CPU time avg", "# of Calls")]
        for e in events:
            name = e.key if len(e.key) <= max_name_column_width else e.key[:max_name_column_width - 3] + "..."
            rows.append((name, f"{e.self_cpu_time_total / whole:.2%}", _time(e.self_cpu_time_total),
                         f"{e.cpu_time_total / whole:.2%}", _time(e.cpu_time_total), _time(e.cpu_time), str(e.count)))
        widths = [max(len(r[c]) for r in rows) + 2 for c in range(len(rows[0]))]
        rule = "  ".join("-" * w for w in widths)
        lines = ["  ".join(cell.rjust(w) for cell, w in zip(r, widths)) for r in rows]
        head = [header] if header else []
        return "\n".join([*head, rule, lines[0], rule, *lines[1:], rule,
                          f"Self CPU time total: {_time(self.self_cpu_time_total)}"]) + "\n"

    def __str__(self):
        return self.table()

    def export_chrome_trace(self, path):
        """Writes the events for chrome://tracing: the totals of the operations, one after the other."""
        write_trace(path, [], self)


def write_trace(path, ranges, events):
    """The file of a chrome trace: ranges where they were, and totals by operation as a row of their own."""
    trace, at = [], 0.0
    zero = min((r[1] for r in ranges), default=0.0)
    for name, start, end, thread in ranges:
        trace.append({"ph": "X", "cat": "user_annotation", "name": name, "pid": 0, "tid": thread,
                      "ts": (start - zero) * 1e6, "dur": (end - start) * 1e6})
    for e in events:
        if not e.is_user_annotation:
            trace.append({"ph": "X", "cat": "cpu_op", "name": e.key, "pid": 0, "tid": "totals by operation", "ts": at,
                          "dur": e.self_cpu_time_total, "args": {"calls": e.count}})
            at += e.self_cpu_time_total
    with open(path, "w", encoding="utf-8") as f:
        json.dump({"schemaVersion": 1, "traceEvents": trace}, f)
