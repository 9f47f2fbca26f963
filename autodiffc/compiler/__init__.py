"""torch.compiler: what surrounds torch.compile."""

from .. import _capture


def compile(*args, **kwargs):
    """torch.compile."""
    return _capture.compile(*args, **kwargs)


def disable(fn=None, recursive=True, *, reason=None):
    """fn, or a decorator that changes nothing."""
    return fn if fn is not None else lambda f: f


def allow_in_graph(fn):
    """fn itself."""
    return fn


assume_constant_result = allow_in_graph


def is_compiling() -> bool:
    """Whether a step is being recorded."""
    return _capture.here() is not None


is_dynamo_compiling = is_compiling


def is_exporting() -> bool:
    return False


def list_backends(exclude_tags=()) -> list:
    return ["inductor"]


def reset() -> None:
    """Nothing: compiled functions forget with their end."""


def cudagraph_mark_step_begin() -> None:
    """Nothing."""


class set_stance:
    """Accepted; changes nothing."""

    def __init__(self, stance="default", **options):
        self.stance = stance

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        return False

    def __call__(self, fn):
        return fn


def __getattr__(name):
    if name.startswith("__"):  # the import system asks for some of every module
        raise AttributeError(name)
    from .._hook import missing

    raise missing.attribute(__name__, name)
