"""Automatic differentiation with PyTorch's API on a C core."""

from . import autograd  # noqa: F401
from ._dtype import *  # noqa: F403
from .interop import from_numpy  # noqa: F401
from .tensor import Tensor  # noqa: F401
