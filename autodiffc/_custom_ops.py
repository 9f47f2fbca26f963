"""What packages import from torch._custom_ops: see torch.library."""

from .library import custom_op, impl, impl_abstract  # noqa: F401
