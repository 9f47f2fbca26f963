"""Where the time goes: a table by operation, and by the ranges that a script names."""

from ._events import EventList, FunctionEventAvg, record_function  # noqa: F401
from ._profile import (  # noqa: F401
    ProfilerAction,
    ProfilerActivity,
    profile,
    schedule,
    supported_activities,
    tensorboard_trace_handler,
)


def __getattr__(name):
    if name.startswith("__"):  # the import system asks for some of every module
        raise AttributeError(name)
    from .._hook import missing

    raise missing.attribute(__name__, name)
