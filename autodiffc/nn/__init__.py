"""Layers, losses and containers, with PyTorch's names."""
from . import functional, init, modules, utils  # noqa: F401
from .modules import *  # noqa: F403
from .parameter import Buffer, Parameter, UninitializedBuffer, UninitializedParameter  # noqa: F401
