"""The Tensor class: PyTorch's names on a handle of the core."""

from . import _core, _dtype
from ._core import OP, TensorBase, fail, wrap
from ._dtype import DTYPES, Size
from ._native import ffi, lib
from ._ops import _call
from ._ops import elementwise as ew
from . import interop

_unpack = ffi.unpack


class Tensor(TensorBase):
    """A dense array of one dtype on the CPU that can record how it was computed."""

    __slots__ = ()

    # ---- description ----

    @property
    def shape(self) -> Size:
        h = self._h
        return Size(_unpack(lib.ad_sizes(h), lib.ad_ndim(h)))

    @property
    def dtype(self):
        return DTYPES[lib.ad_dtype_of(self._h)]

    @property
    def ndim(self) -> int:
        return lib.ad_ndim(self._h)

    @property
    def device(self):
        return _dtype.CPU

    # ---- autograd ----

    @property
    def requires_grad(self) -> bool:
        return bool(lib.ad_requires_grad(self._h))

    @requires_grad.setter
    def requires_grad(self, on):
        if lib.ad_set_requires_grad(self._h, bool(on)) < 0:
            fail()

    def requires_grad_(self, requires_grad=True):
        self.requires_grad = requires_grad
        return self

    @property
    def grad(self):
        """The accumulated gradient, a Tensor of this size, or None."""
        h = lib.ad_grad(self._h)
        if not h:
            return None
        known = getattr(self, "_grad_ref", None)
        known = known() if known is not None else None
        if known is not None and known._h == h:
            lib.ad_release(h)
            return known
        g = wrap(h)
        self._grad_ref = _ref(g)
        return g

    @grad.setter
    def grad(self, g):
        if g is not None and not isinstance(g, TensorBase):
            raise TypeError(f"assigned grad expected to be a Tensor or None but got grad of type {type(g).__name__}")
        if lib.ad_set_grad(self._h, g._h if g is not None else 0) < 0:
            fail()
        self._grad_ref = _ref(g) if g is not None else None

    def backward(self, gradient=None, retain_graph=None, create_graph=False, inputs=None):
        """Accumulates the gradients of this scalar (or of the product with `gradient`) into the leaves' .grad.

        retain_graph (default: create_graph) keeps the graph for another call. RuntimeError when this tensor has
        no graph, or is not a scalar and no gradient is given.
        """
        retain = create_graph if retain_graph is None else retain_graph
        if inputs is None:
            ins = ()
        else:
            ins = [inputs._h] if isinstance(inputs, TensorBase) else [t._h for t in inputs]
            if not ins:
                raise RuntimeError("`inputs` argument to `backward()` cannot be empty.")
        grads = [gradient._h] if gradient is not None else ffi.NULL
        out = ffi.new("ad_handle[]", len(ins)) if ins else ffi.NULL
        if lib.ad_backward([self._h], grads, 1, retain, create_graph, ins, out, len(ins), 1, 1) < 0:
            fail()

    def detach(self):
        """A Tensor of the same memory outside the graph."""
        return wrap(lib.ad_detach(self._h, 1))

    # ---- NumPy ----

    def numpy(self, *, force=False):
        """A NumPy array of the same memory. RuntimeError when the tensor requires grad, unless force."""
        return interop.to_numpy(self, force)

    def __array__(self, dtype=None, copy=None):
        a = interop.to_numpy(self, False)
        return a if dtype is None else a.astype(dtype, copy=False)

    # ---- operators ----

    __add__ = _call.operator(OP["add"])
    __radd__ = _call.operator(OP["add"], 1)
    __sub__ = _call.operator(OP["sub"])
    __rsub__ = _call.operator(OP["sub"], 1)
    __mul__ = _call.operator(OP["mul"])
    __rmul__ = _call.operator(OP["mul"], 1)
    __iadd__ = _call.inplace(OP["add"])
    add, sub, mul, relu, exp = ew.add, ew.sub, ew.mul, ew.relu, ew.exp

    def __matmul__(self, other):
        return _call.binary(OP["mm"], self, other)

    def sum(self):
        return wrap(lib.ad_op1l(OP["sum"], self._h, (), 0, 0, -1))


from weakref import ref as _ref  # noqa: E402

_core.Tensor = Tensor
