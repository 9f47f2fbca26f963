"""torch.ops: PyTorch's registry of operators, which this library has not."""

from ._absent import absent


def load_library(path):
    """OSError: there is no way to load operators of PyTorch's."""
    raise OSError(f"torch.ops.load_library({path!r}): operators built for PyTorch cannot be loaded into autodiffc")


def __getattr__(name):
    if name.startswith("__"):
        raise AttributeError(name)
    return absent(f"torch.ops.{name}")
