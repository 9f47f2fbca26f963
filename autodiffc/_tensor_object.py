"""What a tensor is as a Python object: numbers, iteration, printing, NumPy, copies, pickles."""

from . import interop
from ._core import TensorBase
from ._native import lib


class TensorObject(TensorBase):
    """The dunder methods of Tensor that are not operations."""

    __slots__ = ()

    __hash__ = object.__hash__

    # ---- printing ----

    def __repr__(self, *, tensor_contents=None):
        from ._tensor_str import tensor_str

        return tensor_str(self)

    def __format__(self, spec):
        if lib.ad_ndim(self._h) == 0:
            return format(self.item(), spec)
        return object.__format__(self, spec)

    # ---- numbers ----

    def _number(self, to):
        if lib.ad_numel(self._h) != 1:
            raise RuntimeError(f"a Tensor with {lib.ad_numel(self._h)} elements cannot be converted to Scalar")
        return to(self.item())

    def __bool__(self):
        n = lib.ad_numel(self._h)
        if n != 1:
            if n == 0:
                raise RuntimeError("Boolean value of Tensor with no values is ambiguous")
            raise RuntimeError("Boolean value of Tensor with more than one value is ambiguous")
        return bool(self.item())

    def __int__(self):
        return self._number(int)

    def __float__(self):
        return self._number(float)

    def __complex__(self):
        return self._number(complex)

    def __index__(self):
        value = self.item() if lib.ad_numel(self._h) == 1 else None
        if type(value) not in (int, bool):
            raise TypeError("only integer tensors of a single element can be converted to an index")
        return int(value)

    # ---- sequences ----

    def __len__(self):
        h = self._h
        if not lib.ad_ndim(h):
            raise TypeError("len() of a 0-d tensor")
        return lib.ad_sizes(h)[0]

    def __iter__(self):
        if not lib.ad_ndim(self._h):
            raise TypeError("iteration over a 0-d tensor")
        return iter(self.unbind(0))

    def __reversed__(self):
        return self.flip(0) if lib.ad_ndim(self._h) else self

    def __contains__(self, element):
        if isinstance(element, (TensorBase, int, float, bool)):
            return bool((self == element).any().item())
        raise RuntimeError("Tensor.__contains__ only supports Tensor or scalar, but you passed in a "
                           f"{type(element).__name__}.")

    # ---- NumPy ----

    __array_priority__ = 1000  # NumPy's operators leave tensors to the tensors' own

    def __array__(self, dtype=None, copy=None):
        a = interop.to_numpy(self, False)
        return a if dtype is None else a.astype(dtype, copy=False)
