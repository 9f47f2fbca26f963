"""SummaryWriter, of tensorboardX or tensorboard where one of them is installed."""

from .writer import SummaryWriter  # noqa: F401
