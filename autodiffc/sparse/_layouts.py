"""Sparse matrices of a given pattern."""

from .._ops import _call, creation, from_data
from .._ops.shape import stack
from ._coo import sparse_coo_tensor


def spdiags(diagonals, offsets, shape, layout=None):
    """The sparse matrix of a shape whose diagonals are the rows of `diagonals`, at the offsets: element j of a row
    stands in column j."""
    rows = diagonals.reshape(1, -1) if diagonals.ndim == 1 else diagonals
    offsets = (offsets if hasattr(offsets, "ndim") else from_data.tensor(offsets)).reshape(-1)
    if rows.shape[0] != offsets.shape[0]:
        raise RuntimeError(f"Number of diagonals ({rows.shape[0]}) does not match the number of offsets "
                           f"({offsets.shape[0]})")
    n, m = (_call.integer(k) for k in shape)
    columns = creation.arange(rows.shape[1])
    at = columns.unsqueeze(0) - offsets.unsqueeze(1)
    columns = columns.expand(at.shape)
    inside = (at >= 0) & (at < n) & (columns < m)
    return sparse_coo_tensor(stack([at[inside], columns[inside]]), rows[inside], (n, m))
