"""torch.functional: functions that PyTorch keeps here besides at its top."""

from ._ops.distance import cdist
from ._ops.distinct import unique, unique_consecutive
from ._ops.linalg import chain_matmul, einsum, lu, tensordot
from ._ops.rearrange import block_diag, cartesian_prod, meshgrid, unravel_index
from ._ops.reduce import norm
from ._ops.shape import atleast_1d, atleast_2d, atleast_3d, broadcast_shapes, broadcast_tensors, split

__all__ = ["atleast_1d", "atleast_2d", "atleast_3d", "block_diag", "broadcast_shapes", "broadcast_tensors",
           "cartesian_prod", "cdist", "chain_matmul", "einsum", "lu", "meshgrid", "norm", "split", "tensordot",
           "unique", "unique_consecutive", "unravel_index"]


def __getattr__(name):
    if name.startswith("__"):  # the import system asks for some of every module
        raise AttributeError(name)
    from ._hook import missing

    raise missing.attribute(__name__, name)
