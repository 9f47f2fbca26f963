"""profile(): when to record."""

import enum
import os
import socket
import time

from ._events import Recording, write_trace


class ProfilerActivity(enum.Enum):
    """What can be recorded; only the CPU is there."""

    CPU = 0
    XPU = 1
    MTIA = 2
    CUDA = 3
    HPU = 4
    PrivateUse1 = 5


class ProfilerAction(enum.Enum):
    """What a step does."""

    NONE = 0
    WARMUP = 1
    RECORD = 2
    RECORD_AND_SAVE = 3


def supported_activities() -> set:
    return {ProfilerActivity.CPU}


def schedule(*, wait, warmup, active, repeat=0, skip_first=0, skip_first_wait=0):
    """A function of the step's number: after skip_first steps, cycles of wait, warmup and active ones."""
    if wait < 0 or warmup < 0 or active <= 0 or repeat < 0 or skip_first < 0:
        raise AssertionError("Invalid profiler schedule arguments")

    def action(step):
        if step < 0:
            raise AssertionError("a step's number must not be negative")
        step -= skip_first
        if step < 0:
            return ProfilerAction.NONE
        if skip_first_wait:
            step += wait
        cycle = wait + warmup + active
        if repeat > 0 and step // cycle >= repeat:
            return ProfilerAction.NONE
        at = step % cycle
        if at < wait:
            return ProfilerAction.NONE
        if at < wait + warmup:
            return ProfilerAction.WARMUP
        return ProfilerAction.RECORD if at < cycle - 1 else ProfilerAction.RECORD_AND_SAVE

    return action


def tensorboard_trace_handler(dir_name, worker_name=None, use_gzip=False, use_python_export=False):
    """A function for on_trace_ready that writes each trace to a file of its own in a folder."""

    def handler(prof):
        os.makedirs(dir_name, exist_ok=True)
        name = worker_name or f"{socket.gethostname()}_{os.getpid()}"
        prof.export_chrome_trace(os.path.join(dir_name, f"{name}.{time.time_ns()}.pt.trace.json"))

    return handler


class profile:
    """Records the operations of a block: each call's times, by row of the core's table.

    schedule tells for each step(), and on_trace_ready(self) is called at the end of each recorded part. record_shapes:
    with the sizes of operands; profile_memory: with the bytes that each call left in use; with_stack: with the frames
    that called it. Flops and modules are not recorded; with_flops and with_modules change nothing.
    """

    def __init__(self, *, activities=None, schedule=None, on_trace_ready=None, record_shapes=False,
                 profile_memory=False, with_stack=False, with_flops=False, with_modules=False,
                 experimental_config=None, execution_trace_observer=None, acc_events=False, use_cuda=None,
                 custom_trace_id_callback=None, post_processing_timeout_s=None):
        self.activities = set(activities) if activities is not None else supported_activities()
        self.schedule = schedule or (lambda step: ProfilerAction.RECORD)
        self._scheduled = schedule is not None
        self.on_trace_ready = on_trace_ready
        self.record_shapes, self.profile_memory, self.with_stack = record_shapes, profile_memory, with_stack
        self.step_num = 0
        self.current_action = self.schedule(0)
        self._recording = self._last = None

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *exc):
        self.stop()
        return False

    def start(self):
        self._follow()

    def stop(self):
        if self._recording is not None:
            self._finish()

    def step(self):
        """The next step of the schedule."""
        if self.current_action is ProfilerAction.RECORD_AND_SAVE and self._recording is not None:
            self._finish()
        self.step_num += 1
        self.current_action = self.schedule(self.step_num)
        self._follow()

    def _follow(self):
        recording = self.current_action in (ProfilerAction.RECORD, ProfilerAction.RECORD_AND_SAVE)
        if recording and self._recording is None:
            self._recording = Recording(self.with_stack)
            self._recording.start()
        elif not recording and self._recording is not None:
            self._finish()

    def _finish(self):
        self._recording.stop()
        self._last, self._recording = self._recording, None
        if self.on_trace_ready is not None:
            self.on_trace_ready(self)

    def _done(self):
        if self._last is None:
            raise AssertionError("the profiler has recorded nothing: it was not started, or has not been stopped")
        return self._last

    def events(self):
        """Each call and range, as an EventList of FunctionEvent."""
        found = self._done().events()
        found.memory = self.profile_memory
        if not self.record_shapes:
            for e in found:
                e.input_shapes = ()
        return found

    def key_averages(self, group_by_input_shape=False, group_by_stack_n=0, group_by_overload_name=False):
        """The calls by operation, as an EventList of FunctionEventAvg, whose table() is text; also by the sizes of
        operands, and by the innermost n frames that called."""
        return self.events().key_averages(group_by_input_shape, group_by_stack_n)

    def total_average(self):
        return self.events().total_average()

    def table(self, *args, **kwargs):
        return self.key_averages().table(*args, **kwargs)

    def export_chrome_trace(self, path):
        """Writes what was recorded for chrome://tracing or Perfetto; compressed when path ends in .gz."""
        write_trace(path, self.events())

    def export_stacks(self, path, metric="self_cpu_time_total"):
        """Writes the stacks and the sums of a metric for flame graphs; of a profile with_stack."""
        if metric not in ("self_cpu_time_total", "self_cuda_time_total", "self_device_time_total"):
            raise AssertionError("metric should be one of self_cpu_time_total, self_cuda_time_total")
        self.events().export_stacks(path, metric)

    def add_metadata(self, key, value):
        """Nothing."""

    add_metadata_json = add_metadata
