"""PyTorch's paths to the modules: ``nn.modules.linear`` is ``nn.linear``."""
import sys

from . import (  # noqa: F401
    activation,
    containers,
    distance,
    dropout,
    flatten,
    linear,
    loss,
    module,
    sparse,
)
from .module import Module  # noqa: F401

container = containers
__path__: list = []      # the submodules are in sys.modules already
for _name in ("activation", "container", "distance", "dropout", "flatten", "linear", "loss", "module",
              "sparse"):
    sys.modules[f"{__name__}.{_name}"] = globals()[_name]
