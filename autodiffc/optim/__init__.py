"""Optimizers and learning-rate schedulers, with PyTorch's names."""
from . import lr_scheduler  # noqa: F401
from .adam import Adam, AdamW  # noqa: F401
from .optimizer import Optimizer  # noqa: F401
from .sgd import SGD  # noqa: F401


def __getattr__(name):
    from .._hook import missing

    raise missing.attribute(__name__, name)
