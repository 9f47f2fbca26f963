"""What a profile holds: the calls of operations and of named ranges, and their tables."""

import functools
import re
import threading
import time

from .. import _core
from .._core import OP
from .._native import ffi, lib

_NAMES = sorted(OP, key=OP.get)
_FIELDS = 9
_active = []
"""The Recordings under way; ranges report to all of them."""


class Recording:
    """The time between start() and stop()."""

    def __init__(self, stacks=False):
        self.ranges = []  # (name, start, end, thread), in seconds
        self.stacks = stacks

    def start(self):
        self.began = time.perf_counter()
        _active.append(self)
        lib.ad_profile(3 if any(r.stacks for r in _active) else 1)
        self.first, self.first_size = _position()

    def stop(self):
        n, count = _position()
        n, count = n - self.first, count - self.first_size
        calls, sizes = ffi.new("int64_t[]", n * _FIELDS + 1), ffi.new("int64_t[]", count + 1)
        lib.ad_profile_read(self.first, n, calls, self.first_size, count, sizes)
        self.took = (time.perf_counter() - self.began) * 1e6
        self._events = [self._call(calls[k * _FIELDS : (k + 1) * _FIELDS], sizes) for k in range(n)]
        _active.remove(self)
        lib.ad_profile(0 if not _active else 3 if any(r.stacks for r in _active) else 1)

    def _call(self, fields, sizes):
        op, thread, start, took, own, bytes, own_bytes, at, stack = fields
        at -= self.first_size
        shapes, k = [], at + 1
        for _ in range(sizes[at]):
            n = max(sizes[k], 0)
            shapes.append([sizes[k + 1 + d] for d in range(n)])
            k += 1 + n
        event = FunctionEvent(f"aten::{_NAMES[op]}", start / 1e3, took / 1e3, own / 1e3, thread)
        event.input_shapes = shapes
        event.cpu_memory_usage, event.self_cpu_memory_usage = bytes, own_bytes
        if stack:
            event.stack = _frames(_core.held(stack)["traceback_"])
        return event

    def events(self):
        """A FunctionEvent for each call and range, by their beginning."""
        found = list(self._events)
        for name, start, end, thread in self.ranges:
            found.append(FunctionEvent(name, start * 1e6, (end - start) * 1e6, (end - start) * 1e6, thread, True))
        found.sort(key=lambda e: (e.time_range.start, -e.cpu_time_total))
        _nest(found)
        return EventList(found, self.took)


def _position():
    sizes = ffi.new("int64_t *")
    return lib.ad_profile_count(sizes), sizes[0]


_FRAME = re.compile(r'\s*File "(.*)", line (\d+), in (.*)')


def _frames(lines):
    """The innermost frame first: "file(line): function"."""
    found = [_FRAME.match(line) for line in lines]
    return [f"{m[1]}({m[2]}): {m[3]}" for m in reversed(found) if m]


def _nest(events):
    """Numbers the events, and takes from the time of each range that of what is called in it."""
    open_ones = {}
    for k, e in enumerate(events):
        e.id = k
        stack = open_ones.setdefault(e.thread, [])
        while stack and stack[-1].time_range.end <= e.time_range.start:
            stack.pop()
        if stack:
            e.cpu_parent = stack[-1]
            stack[-1].cpu_children.append(e)
            if stack[-1].is_user_annotation:
                stack[-1].self_cpu_time_total = max(stack[-1].self_cpu_time_total - e.cpu_time_total, 0.0)
                stack[-1].cpu_memory_usage += e.cpu_memory_usage
        stack.append(e)


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


class Interval:
    """From start to end, in microseconds of the monotonic clock."""

    def __init__(self, start, end):
        self.start, self.end = start, end

    def elapsed_us(self):
        return self.end - self.start


class _Event:
    """Times in microseconds, memory in bytes."""

    device_time = device_time_total = self_device_time_total = 0.0
    cuda_time = cuda_time_total = self_cuda_time_total = 0.0
    device_memory_usage = self_device_memory_usage = flops = 0
    cpu_memory_usage = self_cpu_memory_usage = 0
    input_shapes, stack, scope, is_async, is_remote, node_id = (), (), 0, False, False, -1

    def __init__(self, key, count, cpu_time_total, self_cpu_time_total, is_user_annotation=False):
        self.key = self.name = key
        self.count, self.cpu_time_total, self.self_cpu_time_total = count, cpu_time_total, self_cpu_time_total
        self.is_user_annotation = is_user_annotation

    @property
    def cpu_time(self):
        """The mean time of a call."""
        return self.cpu_time_total / self.count if self.count else 0.0

    def __repr__(self):
        return (f"<{type(self).__name__} key={self.key} self_cpu_time={_time(self.self_cpu_time_total)} "
                f"cpu_time={_time(self.cpu_time)} count={self.count}>")


class FunctionEvent(_Event):
    """One call of an operation, or one range."""

    def __init__(self, name, start, took, own, thread, is_user_annotation=False):
        super().__init__(name, 1, took, own, is_user_annotation)
        self.time_range, self.thread, self.id = Interval(start, start + took), thread, 0
        self.cpu_children, self.cpu_parent = [], None


class FunctionEventAvg(_Event):
    """The calls of one operation or range."""


def _time(us):
    return f"{us / 1e6:.3f}s" if us >= 1e6 else f"{us / 1e3:.3f}ms" if us >= 1e3 else f"{us:.3f}us"


def _bytes(n):
    for unit, size in (("GB", 1 << 30), ("MB", 1 << 20), ("KB", 1 << 10)):
        if abs(n) >= size:
            return f"{n / size:.2f} {unit}"
    return f"{n} B"


_SORTS = {"count", "cpu_time", "cpu_time_total", "self_cpu_time_total", "cuda_time", "cuda_time_total",
          "self_cuda_time_total", "device_time", "device_time_total", "self_device_time_total", "cpu_memory_usage",
          "self_cpu_memory_usage", "cuda_memory_usage", "self_cuda_memory_usage", "device_memory_usage",
          "self_device_memory_usage"}


class EventList(list):
    """The events of a profile, which print as a table; `memory`: with columns of memory."""

    def __init__(self, events=(), took=0.0, memory=False):
        super().__init__(events)
        self.took, self.memory = took, memory

    @property
    def self_cpu_time_total(self):
        return sum(e.self_cpu_time_total for e in self if not e.is_user_annotation)

    def key_averages(self, group_by_input_shapes=False, group_by_stack_n=0, group_by_overload_name=False):
        """The calls by operation; also by the sizes of their operands, and by the innermost n frames that called."""
        groups = {}
        for e in self:
            shapes = e.input_shapes if group_by_input_shapes else ()
            stack = tuple(e.stack[:group_by_stack_n])
            key = (e.key, str(shapes), stack, e.is_user_annotation)
            g = groups.get(key)
            if g is None:
                g = groups[key] = FunctionEventAvg(e.key, 0, 0.0, 0.0, e.is_user_annotation)
                g.input_shapes, g.stack = shapes, list(stack)
            for name in ("count", "cpu_time_total", "self_cpu_time_total", "cpu_memory_usage", "self_cpu_memory_usage"):
                setattr(g, name, getattr(g, name) + getattr(e, name))
        return EventList(groups.values(), self.took, self.memory)

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
        if top_level_events_only:
            events = [e for e in events if getattr(e, "cpu_parent", None) is None]
        events = events[:row_limit] if row_limit >= 0 else events
        whole = self.self_cpu_time_total or 1.0
        shapes, stacks = any(e.input_shapes for e in self), any(e.stack for e in self)
        head = ["Name", "Self CPU %", "Self CPU", "CPU total %", "CPU total", "CPU time avg"]
        head += ["CPU Mem", "Self CPU Mem"] if self.memory else []
        head += ["# of Calls", *(["Input Shapes"] if shapes else []), *(["Source Location"] if stacks else [])]
        rows = [head]
        for e in events:
            row = [_cut(e.key, max_name_column_width), f"{e.self_cpu_time_total / whole:.2%}",
                   _time(e.self_cpu_time_total), f"{e.cpu_time_total / whole:.2%}", _time(e.cpu_time_total),
                   _time(e.cpu_time)]
            row += [_bytes(e.cpu_memory_usage), _bytes(e.self_cpu_memory_usage)] if self.memory else []
            row += [str(e.count), *([_cut(str(list(e.input_shapes)), max_shapes_column_width)] if shapes else [])]
            row += [_cut(e.stack[0] if e.stack else "", max_src_column_width)] if stacks else []
            rows.append(row)
        widths = [max(len(r[c]) for r in rows) + 2 for c in range(len(head))]
        rule = "  ".join("-" * w for w in widths)
        lines = ["  ".join(cell.rjust(w) for cell, w in zip(r, widths)) for r in rows]
        top = [header] if header else []
        return "\n".join([*top, rule, lines[0], rule, *lines[1:], rule,
                          f"Self CPU time total: {_time(self.self_cpu_time_total)}"]) + "\n"

    def __str__(self):
        return self.table()

    def export_chrome_trace(self, path):
        """Writes the events for chrome://tracing or Perfetto."""
        write_trace(path, self)

    def export_stacks(self, path, metric):
        """Writes a line for each stack: its frames, outermost first, and the sum of a metric in microseconds."""
        sums = {}
        for e in self:
            if e.stack:
                frames = ";".join(f.replace(";", "_").replace(" ", "_") for f in reversed(e.stack))
                sums[frames] = sums.get(frames, 0) + int(getattr(e, metric.replace("cuda", "device")))
        with open(path, "w", encoding="utf-8") as f:
            f.writelines(f"{frames} {n}\n" for frames, n in sums.items() if n > 0)


def _cut(text, width):
    return text if width is None or len(text) <= width else text[: width - 3] + "..."


def write_trace(path, events):
    """The file of a chrome trace (gzip when its name ends in .gz): each event where it was."""
    import gzip
    import json
    import os

    trace = []
    for e in events:
        args = {"External id": e.id}
        if e.input_shapes:
            args["Input Dims"] = e.input_shapes
        if e.stack:
            args["Call stack"] = ";".join(e.stack)
        if e.cpu_memory_usage:
            args["Bytes"] = e.cpu_memory_usage
        trace.append({"ph": "X", "cat": "user_annotation" if e.is_user_annotation else "cpu_op", "name": e.key,
                      "pid": os.getpid(), "tid": e.thread, "ts": e.time_range.start, "dur": e.cpu_time_total,
                      "args": args})  # fmt: skip
    with (gzip.open if str(path).endswith(".gz") else open)(path, "wt", encoding="utf-8") as f:
        json.dump({"schemaVersion": 1, "displayTimeUnit": "ms", "traceEvents": trace}, f)
