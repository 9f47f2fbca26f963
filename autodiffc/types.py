"""The names of torch.types, for annotations."""

import builtins
import os
from typing import IO, Any, Union

from ._dtype import Size as Size
from ._dtype import device, dtype, layout  # noqa: F401
from .storage import UntypedStorage as Storage  # noqa: F401
from .tensor import Tensor

Number = Union[builtins.int, builtins.float, builtins.bool]  # noqa: UP007
Device = Union[device, str, builtins.int, None]  # noqa: UP007
FileLike = Union[str, os.PathLike, IO[builtins.bytes]]  # noqa: UP007
IntLikeType, FloatLikeType, BoolLikeType = builtins.int, builtins.float, builtins.bool
PySymType = Any
_int, _float, _bool, _size, _dtype, _device = builtins.int, builtins.float, builtins.bool, Size, dtype, device
_TensorOrTensors = Union[Tensor, tuple[Tensor, ...]]  # noqa: UP007
