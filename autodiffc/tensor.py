"""The Tensor class: PyTorch's names on a handle of the core.

A method that is an operation is a class-body assignment of the function that implements it; each family of
operations has its block. What a tensor is as a Python object (numbers, iteration, pickling) is in
autodiffc._tensor_object.
"""

from weakref import ref as _ref

from . import _core, _dtype, interop
from ._core import OP, TensorBase, fail, wrap
from ._dtype import DTYPES, Size
from ._native import ffi, lib
from ._ops import _call, creation
from ._ops import elementwise as ew
from ._ops import reduce
from ._ops import random
from ._ops import shape as views
from ._ops import sort as order
from ._tensor_object import TensorObject

_unpack = ffi.unpack
_new = object.__new__


class Tensor(TensorObject):
    """A dense array of one dtype on the CPU that can record how it was computed."""

    __slots__ = ()

    # ---- description ----

    @property
    def shape(self) -> Size:
        h = self._h
        return Size(_unpack(lib.ad_sizes(h), lib.ad_ndim(h)))

    def size(self, dim=None):
        """The sizes, or the size of one dimension."""
        if dim is None:
            return self.shape
        h = self._h
        return lib.ad_sizes(h)[views.wrapped_dim(dim, lib.ad_ndim(h) or views.wrapped_dim_of_scalar(dim))]

    @property
    def dtype(self):
        return DTYPES[lib.ad_dtype_of(self._h)]

    @property
    def ndim(self) -> int:
        return lib.ad_ndim(self._h)

    def dim(self) -> int:
        """The number of dimensions."""
        return lib.ad_ndim(self._h)

    ndimension = dim

    def numel(self) -> int:
        """The number of elements."""
        return lib.ad_numel(self._h)

    nelement = numel

    def stride(self, dim=None):
        """How many elements apart neighbours lie in memory, for each dimension or one."""
        h = self._h
        n = lib.ad_ndim(h)
        if dim is None:
            return tuple(_unpack(lib.ad_strides(h), n))
        return lib.ad_strides(h)[views.wrapped_dim(dim, n or views.wrapped_dim_of_scalar(dim))]

    def storage_offset(self) -> int:
        """Where in the storage the first element lies, in elements."""
        return lib.ad_offset(self._h)

    def data_ptr(self) -> int:
        """The address of the first element, 0 for a tensor without elements."""
        return lib.ad_data_ptr(self._h)

    def element_size(self) -> int:
        """The bytes of one element."""
        return self.dtype.itemsize

    itemsize = property(element_size)

    @property
    def nbytes(self) -> int:
        return self.numel() * self.dtype.itemsize

    def is_floating_point(self) -> bool:
        return self.dtype.is_floating_point

    def is_complex(self) -> bool:
        return False

    def is_conj(self) -> bool:
        return False

    def is_neg(self) -> bool:
        return False

    def is_signed(self) -> bool:
        return self.dtype.is_signed

    def is_set_to(self, tensor) -> bool:
        """Whether both have the same memory, offset, sizes and strides."""
        a, b = self._h, tensor._h
        return (lib.ad_storage_ptr(a) == lib.ad_storage_ptr(b) and self.storage_offset() == tensor.storage_offset()
                and self.shape == tensor.shape and self.stride() == tensor.stride())

    def dim_order(self):
        """The dimensions in the order of their strides, the largest first."""
        strides = self.stride()
        return tuple(sorted(range(len(strides)), key=lambda d: -strides[d]))

    device = property(lambda self: _dtype.CPU)
    layout = property(lambda self: _dtype.strided)
    is_sparse = is_quantized = is_cuda = is_meta = is_mkldnn = is_mps = is_nested = is_xpu = property(lambda self: False)
    is_cpu = property(lambda self: True)
    names = property(lambda self: (None,) * self.ndim)
    is_contiguous = views.is_contiguous

    # ---- autograd ----

    @property
    def requires_grad(self) -> bool:
        return bool(lib.ad_requires_grad(self._h))

    @requires_grad.setter
    def requires_grad(self, on):
        if lib.ad_set_requires_grad(self._h, bool(on)) < 0:
            fail()

    def requires_grad_(self, requires_grad=True):
        """Sets requires_grad; returns self. RuntimeError for integer tensors and for results of operations."""
        if lib.ad_set_requires_grad(self._h, bool(requires_grad)) < 0:
            fail()
        return self

    @property
    def is_leaf(self) -> bool:
        return bool(lib.ad_is_leaf(self._h))

    @property
    def grad_fn(self):
        """What computed this tensor, a Node; None for leaves."""
        return None if lib.ad_is_leaf(self._h) else _node_of(self)

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

    @grad.deleter
    def grad(self):
        self.grad = None

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

    def detach_(self):
        """Takes this tensor out of the graph. RuntimeError for views."""
        if lib.ad_detach_(self._h) < 0:
            fail()
        return self

    @property
    def data(self):
        """The same memory outside the graph; writes to it are not noticed by backward()."""
        return wrap(lib.ad_detach(self._h, 0))

    @data.setter
    def data(self, src):
        if not isinstance(src, TensorBase):
            raise TypeError(f"Variable data has to be a tensor, but got {type(src).__name__}")
        if lib.ad_requires_grad(self._h) and not src.dtype.is_floating_point:
            raise RuntimeError("data set to a tensor that requires gradients must be floating point or complex dtype")
        if lib.ad_set_data(self._h, src._h) < 0:
            fail()

    output_nr = property(lambda self: lib.ad_output_nr(self._h))
    _version = property(lambda self: lib.ad_version_of(self._h))

    @property
    def _base(self):
        h = lib.ad_base(self._h)
        return wrap(h) if h else None

    def _is_view(self) -> bool:
        return bool(lib.ad_is_view(self._h))

    def is_inference(self) -> bool:
        return bool(lib.ad_is_inference(self._h))

    def retain_grad(self):
        """Lets backward() set .grad of this result of an operation too."""
        if lib.ad_retain_grad(self._h) < 0:
            fail()

    @property
    def retains_grad(self) -> bool:
        return bool(lib.ad_retains_grad(self._h))

    # ---- values, conversions ----

    def item(self):
        """The value of a one-element tensor as a Python number; RuntimeError for others."""
        h = self._h
        kind = lib.ad_item(h)
        if kind == 0:
            return lib.ad_item_f(h)
        if kind < 0:
            fail()
        return lib.ad_item_i(h) if kind == 1 else bool(lib.ad_item_i(h))

    def tolist(self):
        """The values as nested lists of Python numbers, a number for a 0-d tensor."""
        t = self if self.dtype.numpy is not None else self.detach().to(_dtype.float32)
        return interop.to_numpy(t, True).tolist()

    def numpy(self, *, force=False):
        """A NumPy array of the same memory. RuntimeError when the tensor requires grad, unless force."""
        return interop.to_numpy(self, force)

    to, type, type_as, cpu, cuda = interop.to, interop.type_, interop.type_as, interop.cpu, interop.cuda
    float, double, half, bfloat16 = interop.float_, interop.double, interop.half, interop.bfloat16
    long, int, short, char, byte, bool = (interop.long, interop.int_, interop.short, interop.char, interop.byte,
                                          interop.bool_)

    # ---- creation ----

    new_zeros, new_ones, new_full = creation.new_zeros, creation.new_ones, creation.new_full
    new_empty, new_empty_strided, new_tensor = creation.new_empty, creation.new_empty_strided, creation.new_tensor

    # ---- views and shape ----

    view, view_as, reshape, reshape_as = views.view, views.view_as, views.reshape, views.reshape_as
    flatten, unflatten, ravel = views.flatten, views.unflatten, views.ravel
    contiguous, clone = views.contiguous, views.clone
    permute, transpose, t, adjoint = views.permute, views.transpose, views.t, views.adjoint
    swapaxes, swapdims, movedim, moveaxis = views.swapaxes, views.swapdims, views.movedim, views.moveaxis
    expand, expand_as, broadcast_to = views.expand, views.expand_as, views.broadcast_to
    squeeze, unsqueeze = views.squeeze, views.unsqueeze
    select, narrow, narrow_copy, unbind = views.select, views.narrow, views.narrow_copy, views.unbind
    split, split_with_sizes, chunk, tensor_split = views.split, views.split_with_sizes, views.chunk, views.tensor_split
    hsplit, vsplit, dsplit = views.hsplit, views.vsplit, views.dsplit
    unfold, diagonal, as_strided = views.unfold, views.diagonal, views.as_strided
    as_strided_scatter = views.as_strided_scatter
    squeeze_, unsqueeze_, transpose_, t_ = views.squeeze_, views.unsqueeze_, views.transpose_, views.t_
    swapaxes_, swapdims_, as_strided_ = views.swapaxes_, views.swapdims_, views.as_strided_
    T, mT, H, mH = property(views.T), property(views.mT), property(views.H), property(views.mH)
    copy_, fill_, zero_ = views.copy_, views.fill_, views.zero_

    # ---- elementwise ----

    __add__ = _call.operator(OP["add"])
    __radd__ = _call.operator(OP["add"], 1)
    __sub__ = _call.operator(OP["sub"])
    __rsub__ = _call.operator(OP["sub"], 1)
    __mul__ = _call.operator(OP["mul"])
    __rmul__ = _call.operator(OP["mul"], 1)
    __iadd__ = _call.inplace(OP["add"])
    add, sub, mul, relu, exp = ew.add, ew.sub, ew.mul, ew.relu, ew.exp

    # ---- reductions ----

    sum, mean, prod, nansum, nanmean = reduce.sum, reduce.mean, reduce.prod, reduce.nansum, reduce.nanmean
    var, std, amax, amin, aminmax = reduce.var, reduce.std, reduce.amax, reduce.amin, reduce.aminmax
    argmax, argmin, logsumexp, any = reduce.argmax, reduce.argmin, reduce.logsumexp, reduce.any
    all, count_nonzero, norm, dist = reduce.all, reduce.count_nonzero, reduce.norm, reduce.dist
    cumsum, cumprod, logcumsumexp, cummax = reduce.cumsum, reduce.cumprod, reduce.logcumsumexp, reduce.cummax
    cummin, cumsum_, cumprod_, diff = reduce.cummin, reduce.cumsum_, reduce.cumprod_, reduce.diff
    softmax, log_softmax = reduce.softmax, reduce.log_softmax
    max, min = reduce.max, reduce.min
    sort, argsort, msort, topk, kthvalue = order.sort, order.argsort, order.msort, order.topk, order.kthvalue
    mode, median, nanmedian = order.mode, order.median, order.nanmedian

    # ---- products ----

    def __matmul__(self, other):
        return _call.binary(OP["mm"], self, other)

    # ---- indexing ----

    # ---- random numbers ----

    normal_, uniform_, random_, bernoulli_ = random.normal_, random.uniform_, random.random_, random.bernoulli_
    exponential_, geometric_, cauchy_ = random.exponential_, random.geometric_, random.cauchy_
    log_normal_, bernoulli, multinomial = random.log_normal_, random.bernoulli, random.multinomial


from .autograd.graph import node_of as _node_of  # noqa: E402

_core.Tensor = Tensor
