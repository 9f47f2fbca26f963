"""What changes a tensor itself: another shape for it, other values in it."""

from .. import _dtype
from .._core import OP, TensorBase, fail, wrap
from .._native import lib
from . import _call, shape
from ._call import not_a_tensor
from .creation import fitted, plain_number

_COPY, _FLOAT16 = OP["copy"], _dtype.float16.code


# ---- in place: the tensor itself is shown in another way ----


def _become(self, view):
    if lib.ad_become(self._h, view._h) < 0:
        fail()
    return self


def unsqueeze_(self, dim=None, *, axis=None):
    """unsqueeze() of this very tensor."""
    if dim is None:
        dim = _call.named_dim("unsqueeze_", axis)
    return _become(self, shape.unsqueeze(self, dim))


def squeeze_(self, dim=None, *, axis=None):
    """squeeze() of this very tensor."""
    if axis is not None:
        dim = axis
    return _become(self, shape.squeeze(self, dim))


def transpose_(self, dim0, dim1):
    """transpose() of this very tensor."""
    return _become(self, shape.transpose(self, dim0, dim1))


def swapaxes_(self, axis0, axis1):
    """swapaxes() of this very tensor."""
    return _become(self, shape.transpose(self, axis0, axis1))


def swapdims_(self, dim0, dim1):
    """swapdims() of this very tensor."""
    return _become(self, shape.transpose(self, dim0, dim1))


def t_(self):
    """t() of this very tensor."""
    return _become(self, shape.t(self))


def as_strided_(self, size, stride, storage_offset=None):
    """as_strided() of this very tensor."""
    return _become(self, shape.as_strided(self, size, stride, storage_offset))


# ---- values written ----


def copy_(self, src, non_blocking=False):
    """self overwritten by src, broadcast and converted; gradients flow to src."""
    if not isinstance(src, TensorBase):
        if not isinstance(src, (int, float, bool)):
            raise not_a_tensor("copy_", src, "other")
        return fill_(self, src)
    h = lib.ad_op2_(_COPY, self._h, src._h)
    if not h:
        fail()
    lib.ad_release(h)
    return self


def fill_(self, value):
    """Every element set to a number or a 0-d tensor."""
    if not isinstance(self, TensorBase):
        raise not_a_tensor("fill_", self)
    if isinstance(value, TensorBase):
        if lib.ad_ndim(value._h):
            raise RuntimeError(
                f"fill_ only supports 0-dimension value tensor but got tensor with {lib.ad_ndim(value._h)} dimensions."
            )
        return copy_(self, value)
    code = lib.ad_dtype_of(self._h)
    v = fitted(plain_number(value, "fill_"), code)
    s = wrap(lib.ad_scalar_f(v, code) if code >= _FLOAT16 else lib.ad_scalar_i(v, code))
    return copy_(self, s)


def fill(input, value):
    """A tensor like input with every element set to a number or a 0-d tensor."""
    if not isinstance(input, TensorBase):
        raise not_a_tensor("fill", input)
    return fill_(shape.clone(input), value)


def fill_diagonal_(self, fill_value, wrap=False):
    """fill_value on the main diagonal of a matrix, or of a tensor with more dimensions of one size; in a tall matrix,
    wrap begins again below each square. RuntimeError for fewer than 2 dimensions, or sizes that differ."""
    if not isinstance(self, TensorBase):
        raise not_a_tensor("fill_diagonal_", self)
    if self.ndim < 2:
        raise RuntimeError("dimensions must larger than 1")
    sizes, strides = self.shape, self.stride()
    if self.ndim > 2 and len(set(sizes)) > 1:
        raise RuntimeError("all dimensions of input must be of equal length")
    rows, columns = sizes[0], sizes[-1]
    for top in range(0, rows if wrap and self.ndim == 2 else 1, columns + 1):
        n, at = min(rows - top, *sizes[1:]), self.storage_offset() + top * strides[0]
        fill_(shape.as_strided(self, (n,), (sum(strides),), at), fill_value)
    return self


def zero_(self):
    """Every element set to zero."""
    return fill_(self, 0)
