"""torch.cuda.amp: without CUDA both are disabled, with PyTorch's warnings."""

from .autocast_mode import autocast, custom_bwd, custom_fwd  # noqa: F401
from .grad_scaler import GradScaler  # noqa: F401
