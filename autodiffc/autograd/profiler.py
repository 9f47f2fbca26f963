"""torch.autograd.profiler: the profiler that a block turns on."""

from ..profiler import profile as _profile
from ..profiler._events import EventList, FunctionEventAvg, record_function  # noqa: F401


class profile(_profile):
    """Records the operations of a block, unless enabled is False; prints as its table."""

    def __init__(self, enabled=True, *, use_cuda=False, use_device=None, record_shapes=False, with_flops=False,
                 profile_memory=False, with_stack=False, with_modules=False, use_kineto=False, use_cpu=True,
                 experimental_config=None, acc_events=False, custom_trace_id_callback=None,
                 post_processing_timeout_s=None, activity_filters=None):
        super().__init__(record_shapes=record_shapes, profile_memory=profile_memory, with_stack=with_stack)
        self.enabled = enabled

    def __enter__(self):
        if self.enabled:
            self.start()
        return self

    def __str__(self):
        return str(self.key_averages()) if self._last is not None else "<unfinished torch.autograd.profile>"

    @property
    def function_events(self):
        return self.events()

    @property
    def self_cpu_time_total(self):
        return self.events().self_cpu_time_total


class emit_nvtx:
    """A block that changes nothing: there is no NVTX."""

    def __init__(self, enabled=True, record_shapes=False):
        self.enabled = enabled

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        return False


emit_itt = emit_nvtx
