"""torch.classes: classes of PyTorch extensions, which cannot be loaded."""

from ._absent import absent


def load_library(path):
    """OSError: there is no way to load classes of PyTorch's."""
    raise OSError(f"torch.classes.load_library({path!r}): classes built for PyTorch cannot be loaded into autodiffc")


def __getattr__(name):
    if name.startswith("__"):
        raise AttributeError(name)
    return absent(f"torch.classes.{name}")
