"""The Tensor class: PyTorch's names on a handle of the core.

A method that is an operation is a class-body assignment of the function that implements it; each family of
operations has its block. What a tensor is as a Python object (numbers, iteration, pickling) is in
autodiffc._tensor_object.
"""

from weakref import ref as _ref

from . import _core, _dtype, _legacy, interop
from ._core import OP, TensorBase, fail, wrap
from ._dtype import DTYPES, Size
from ._dtype_info import is_same_size
from ._legacy import legacy_new
from ._native import ffi, lib
from ._ops import (
    _call,
    activation,
    arithmetic,
    compare,
    complex_names,
    creation,
    decompose,
    distinct,
    from_data,
    functions,
    math,
    random,
    reduce,
    sparse,
    statistics,
    write,
)
from ._ops import index as indexing
from ._ops import linalg as linear
from ._ops import rearrange as moved
from ._ops import shape as views
from ._ops import sort as order
from ._tensor_object import TensorObject
from .autograd import _hooks

_unpack = ffi.unpack
_backward1 = lib.ad_backward1


class Tensor(TensorObject):
    """A dense array of one dtype on the CPU that can record how it was computed."""

    __slots__ = ()

    def __new__(cls, *args, device=None, **kwargs):
        """Tensor(sizes...) of the default dtype, not initialised; Tensor(sequence or array); Tensor(tensor), an
        alias. Prefer tensor(), empty() and detach()."""
        return legacy_new(cls, DTYPES[lib.ad_default_dtype()], args, device)

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

    def is_same_size(self, other) -> bool:
        """Whether both have the same sizes."""
        return is_same_size(self, other)

    def is_set_to(self, tensor) -> bool:
        """Whether both have the same memory, offset, sizes and strides."""
        if not isinstance(tensor, TensorBase):
            raise TypeError(f"is_set_to(): argument 'tensor' (position 1) must be Tensor, not {type(tensor).__name__}")
        a, b = self._h, tensor._h
        return (lib.ad_storage_ptr(a) == lib.ad_storage_ptr(b) and self.storage_offset() == tensor.storage_offset()
                and self.shape == tensor.shape and self.stride() == tensor.stride())

    def dim_order(self):
        """The dimensions in the order of their strides, the largest first."""
        strides = self.stride()
        return tuple(sorted(range(len(strides)), key=lambda d: -strides[d]))

    device = property(lambda self: _dtype.CPU)
    layout = property(lambda self: _dtype.strided)
    is_sparse = is_quantized = is_cuda = is_meta = property(lambda self: False)
    is_sparse_csr = is_ipu = is_maia = is_mtia = is_vulkan = is_xla = is_hpu = property(lambda self: False)
    is_mkldnn = is_mps = is_nested = is_xpu = property(lambda self: False)
    is_cpu = property(lambda self: True)
    names = property(lambda self: (None,) * self.ndim)
    is_contiguous = views.is_contiguous

    # ---- autograd ----

    @property
    def requires_grad(self) -> bool:
        return bool(lib.ad_requires_grad(self._h))

    @requires_grad.setter
    def requires_grad(self, on):
        if type(on) is not bool:
            raise RuntimeError(f"requires_grad must be a bool, not {type(on).__name__}")
        if not lib.ad_is_leaf(self._h):
            hint = " If you want to use a computed variable in a subgraph that doesn't require differentiation use " \
                   "var_no_grad = var.detach()."
            raise RuntimeError("you can only change requires_grad flags of leaf variables." + ("" if on else hint))
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
            if lib.ad_rows_count(self._h):
                from .sparse import _gradients

                return _gradients.of(self)
            if not lib.ad_is_leaf(self._h) and not lib.ad_retains_grad(self._h):
                _hooks.warn_grad_of_result()
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
        if g is self:
            raise RuntimeError("can't assign Variable as its own grad")
        if g is not None and getattr(g, "is_sparse", False):
            from .sparse import _gradients

            _gradients.give(self, g)
            return
        if g is not None and not isinstance(g, TensorBase):
            raise TypeError(f"assigned grad expected to be a Tensor or None but got grad of type {type(g).__name__}")
        if lib.ad_set_grad(self._h, g._h if g is not None else 0) < 0:
            fail()
        self._grad_ref = _ref(g) if g is not None else None

    @grad.deleter
    def grad(self):
        self.grad = None

    _grad = grad  # the name by which one process lends its gradients to parameters in shared memory

    @staticmethod
    def _make_subclass(cls, data, require_grad=False):
        """A leaf of a subclass on the memory of a tensor. TypeError for what is no subclass, and no tensor."""
        if not (isinstance(cls, type) and issubclass(cls, TensorBase)):
            raise TypeError(f"_make_subclass(): argument 'cls' must be a subclass of Tensor, not {type(cls).__name__}")
        if not isinstance(data, TensorBase):
            raise _call.not_a_tensor("_make_subclass", data, "data", 2)
        return interop.share(data.detach(), cls).requires_grad_(require_grad)

    def backward(self, gradient=None, retain_graph=None, create_graph=False, inputs=None):
        """Accumulates the gradients of this scalar (or of the product with `gradient`) into the leaves' .grad.

        retain_graph (default: create_graph) keeps the graph for another call. RuntimeError when this tensor has
        no graph, or is not a scalar and no gradient is given.
        """
        if inputs is not None:
            return _backward(self, gradient, retain_graph, create_graph, inputs=inputs)
        if gradient is not None and not isinstance(gradient, TensorBase):
            raise TypeError(f"gradient can be either Tensors or None, but got {type(gradient).__name__}")
        retain = create_graph if retain_graph is None else retain_graph
        if _backward1(self._h, gradient._h if gradient is not None else 0, bool(retain), bool(create_graph)) < 0:
            fail()

    register_hook = _hooks.register_hook
    register_post_accumulate_grad_hook = _hooks.register_post_accumulate_grad_hook
    _backward_hooks = property(_hooks.backward_hooks)

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

    @property
    def _version(self) -> int:
        if lib.ad_is_inference(self._h):
            raise RuntimeError("Inference tensors do not track version counter.")
        return lib.ad_version_of(self._h)

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

    new, resize, resize_as = _legacy.new, _legacy.resize, _legacy.resize_as
    new_zeros, new_ones, new_full = creation.new_zeros, creation.new_ones, creation.new_full
    new_empty, new_empty_strided, new_tensor = creation.new_empty, creation.new_empty_strided, from_data.new_tensor

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
    squeeze_, unsqueeze_, transpose_, t_ = write.squeeze_, write.unsqueeze_, write.transpose_, write.t_
    swapaxes_, swapdims_, as_strided_ = write.swapaxes_, write.swapdims_, write.as_strided_
    T, mT, H, mH = property(views.T), property(views.mT), property(views.H), property(views.mH)
    flip, fliplr, flipud, roll, rot90 = moved.flip, moved.fliplr, moved.flipud, moved.roll, moved.rot90
    repeat, tile, repeat_interleave = moved.repeat, moved.tile, moved.repeat_interleave
    tril, triu, tril_, triu_ = moved.tril, moved.triu, moved.tril_, moved.triu_
    diag, diag_embed, diagflat = moved.diag, moved.diag_embed, moved.diagflat
    unsafe_chunk, unsafe_split = moved.unsafe_chunk, moved.unsafe_split
    unsafe_split_with_sizes = moved.unsafe_split_with_sizes
    resize_, resize_as_, set_ = moved.resize_, moved.resize_as_, moved.set_
    copy_, fill_, zero_ = write.copy_, write.fill_, write.zero_

    # ---- elementwise ----

    __hash__ = object.__hash__  # by identity: __eq__ compares elements
    __neg__, __pos__, __abs__, __invert__ = math.neg, math.positive, math.abs, compare.invert
    __iadd__, __isub__ = _call.inplace_operator(OP["add"]), _call.inplace_operator(OP["sub"])
    __imul__, __itruediv__ = _call.inplace_operator(OP["mul"]), _call.inplace_operator(OP["div"])
    __ifloordiv__, __imod__ = _call.inplace_operator(OP["floor_divide"]), _call.inplace_operator(OP["remainder"])
    __ipow__, __iand__ = _call.inplace_operator(OP["pow"]), _call.inplace_operator(OP["bitwise_and"])
    __ior__, __ixor__ = _call.inplace_operator(OP["bitwise_or"]), _call.inplace_operator(OP["bitwise_xor"])
    __ilshift__ = _call.inplace_operator(OP["bitwise_left_shift"])
    __irshift__ = _call.inplace_operator(OP["bitwise_right_shift"])
    __div__, __rdiv__, __idiv__ = TensorBase.__truediv__, TensorBase.__rtruediv__, __itruediv__
    add, sub, add_, sub_, mul = arithmetic.add, arithmetic.sub, arithmetic.add_, arithmetic.sub_, arithmetic.mul
    mul_, div, div_, true_divide = arithmetic.mul_, arithmetic.div, arithmetic.div_, arithmetic.true_divide
    floor_divide, remainder, fmod = arithmetic.floor_divide, arithmetic.remainder, arithmetic.fmod
    pow, float_power, float_power_ = arithmetic.pow, arithmetic.float_power, arithmetic.float_power_
    hypot, atan2, copysign, nextafter = arithmetic.hypot, arithmetic.atan2, arithmetic.copysign, arithmetic.nextafter
    ldexp, ldexp_, logaddexp = arithmetic.ldexp, arithmetic.ldexp_, arithmetic.logaddexp
    logaddexp2, xlogy, gcd, lcm = arithmetic.logaddexp2, arithmetic.xlogy, arithmetic.gcd, arithmetic.lcm
    heaviside, addcmul, addcmul_ = arithmetic.heaviside, arithmetic.addcmul, arithmetic.addcmul_
    addcdiv, addcdiv_, lerp, lerp_ = arithmetic.addcdiv, arithmetic.addcdiv_, arithmetic.lerp, arithmetic.lerp_
    maximum, minimum, fmax, fmin = arithmetic.maximum, arithmetic.minimum, arithmetic.fmax, arithmetic.fmin
    clamp, clamp_, clamp_min = arithmetic.clamp, arithmetic.clamp_, arithmetic.clamp_min
    clamp_max, divide, multiply = arithmetic.clamp_max, arithmetic.divide, arithmetic.multiply
    subtract, clip, clip_, arctan2 = arithmetic.subtract, arithmetic.clip, arithmetic.clip_, arithmetic.arctan2
    divide_, multiply_, subtract_ = arithmetic.divide_, arithmetic.multiply_, arithmetic.subtract_
    true_divide_, floor_divide_ = arithmetic.true_divide_, arithmetic.floor_divide_
    remainder_, fmod_, pow_, hypot_ = arithmetic.remainder_, arithmetic.fmod_, arithmetic.pow_, arithmetic.hypot_
    copysign_, nextafter_, atan2_ = arithmetic.copysign_, arithmetic.nextafter_, arithmetic.atan2_
    arctan2_, xlogy_, gcd_, lcm_ = arithmetic.arctan2_, arithmetic.xlogy_, arithmetic.gcd_, arithmetic.lcm_
    heaviside_, clamp_min_, clamp_max_ = arithmetic.heaviside_, arithmetic.clamp_min_, arithmetic.clamp_max_
    exp, exp2, expm1, log, log2, log10 = math.exp, math.exp2, math.expm1, math.log, math.log2, math.log10
    log1p, sqrt, rsqrt, sin, cos, tan = math.log1p, math.sqrt, math.rsqrt, math.sin, math.cos, math.tan
    asin, acos, atan, sinh, cosh, tanh = math.asin, math.acos, math.atan, math.sinh, math.cosh, math.tanh
    asinh, acosh, atanh, sigmoid, erf, erfc = math.asinh, math.acosh, math.atanh, math.sigmoid, math.erf, math.erfc
    erfinv, lgamma, digamma, sinc, i0 = math.erfinv, math.lgamma, math.digamma, math.sinc, math.i0
    deg2rad, rad2deg, floor, ceil, trunc = math.deg2rad, math.rad2deg, math.floor, math.ceil, math.trunc
    frac, sign, sgn, abs, neg, positive = math.frac, math.sign, math.sgn, math.abs, math.neg, math.positive
    reciprocal, square, square_, round, round_ = math.reciprocal, math.square, math.square_, math.round, math.round_
    logit, logit_, polygamma_, nan_to_num = math.logit, math.logit_, math.polygamma_, math.nan_to_num
    nan_to_num_, absolute, negative, mvlgamma = math.nan_to_num_, math.absolute, math.negative, math.mvlgamma
    arcsin, arccos, arctan, arcsinh, arccosh = math.arcsin, math.arccos, math.arctan, math.arcsinh, math.arccosh
    arctanh, fix, exp_, exp2_, expm1_, log_ = math.arctanh, math.fix, math.exp_, math.exp2_, math.expm1_, math.log_
    log2_, log10_, log1p_, sqrt_, rsqrt_ = math.log2_, math.log10_, math.log1p_, math.sqrt_, math.rsqrt_
    sin_, cos_, tan_, asin_, arcsin_, acos_ = math.sin_, math.cos_, math.tan_, math.asin_, math.arcsin_, math.acos_
    arccos_, atan_, arctan_, sinh_, cosh_ = math.arccos_, math.atan_, math.arctan_, math.sinh_, math.cosh_
    tanh_, asinh_, arcsinh_, acosh_, arccosh_ = math.tanh_, math.asinh_, math.arcsinh_, math.acosh_, math.arccosh_
    atanh_, arctanh_, sigmoid_, erf_, erfc_ = math.atanh_, math.arctanh_, math.sigmoid_, math.erf_, math.erfc_
    erfinv_, lgamma_, digamma_, sinc_, i0_ = math.erfinv_, math.lgamma_, math.digamma_, math.sinc_, math.i0_
    deg2rad_, rad2deg_, floor_, ceil_, trunc_ = math.deg2rad_, math.rad2deg_, math.floor_, math.ceil_, math.trunc_
    fix_, frac_, sign_, sgn_, abs_ = math.fix_, math.frac_, math.sign_, math.sgn_, math.abs_
    absolute_, neg_, negative_, reciprocal_ = math.absolute_, math.neg_, math.negative_, math.reciprocal_
    eq, ne, lt, le, gt, ge = compare.eq, compare.ne, compare.lt, compare.le, compare.gt, compare.ge
    isnan, isinf, isfinite, isposinf = compare.isnan, compare.isinf, compare.isfinite, compare.isposinf
    isneginf, isreal, signbit, logical_not = compare.isneginf, compare.isreal, compare.signbit, compare.logical_not
    logical_and, logical_or, logical_xor = compare.logical_and, compare.logical_or, compare.logical_xor
    bitwise_not, bitwise_not_, bitwise_and = compare.bitwise_not, compare.bitwise_not_, compare.bitwise_and
    bitwise_or, bitwise_xor, bitwise_left_shift = compare.bitwise_or, compare.bitwise_xor, compare.bitwise_left_shift
    bitwise_right_shift, isclose, allclose = compare.bitwise_right_shift, compare.isclose, compare.allclose
    equal, not_equal, less, less_equal = compare.equal, compare.not_equal, compare.less, compare.less_equal
    greater, greater_equal, eq_, ne_ = compare.greater, compare.greater_equal, compare.eq_, compare.ne_
    lt_, le_, gt_, ge_, not_equal_ = compare.lt_, compare.le_, compare.gt_, compare.ge_, compare.not_equal_
    less_, less_equal_, greater_ = compare.less_, compare.less_equal_, compare.greater_
    greater_equal_, logical_and_, logical_or_ = compare.greater_equal_, compare.logical_and_, compare.logical_or_
    logical_xor_, logical_not_, bitwise_and_ = compare.logical_xor_, compare.logical_not_, compare.bitwise_and_
    bitwise_or_, bitwise_xor_ = compare.bitwise_or_, compare.bitwise_xor_
    bitwise_left_shift_, bitwise_right_shift_ = compare.bitwise_left_shift_, compare.bitwise_right_shift_
    relu, hardshrink, prelu, relu_ = activation.relu, activation.hardshrink, activation.prelu, activation.relu_
    where, polygamma = compare.method_where, math.method_polygamma

    # ---- reductions ----

    sum, mean, prod, nansum, nanmean = reduce.sum, reduce.mean, reduce.prod, reduce.nansum, reduce.nanmean
    var, std, amax, amin, aminmax = reduce.var, reduce.std, reduce.amax, reduce.amin, reduce.aminmax
    argmax, argmin, logsumexp, any = reduce.argmax, reduce.argmin, reduce.logsumexp, reduce.any
    all, count_nonzero, norm, dist = reduce.all, reduce.count_nonzero, reduce.norm, reduce.dist
    cumsum, cumprod, logcumsumexp, cummax = reduce.cumsum, reduce.cumprod, reduce.logcumsumexp, reduce.cummax
    cummin, cumsum_, cumprod_, diff = reduce.cummin, reduce.cumsum_, reduce.cumprod_, reduce.diff
    softmax, log_softmax = reduce.softmax, reduce.log_softmax
    max, min = reduce.max, reduce.min
    unique, unique_consecutive, bincount = distinct.unique, distinct.unique_consecutive, distinct.bincount
    histc, histogram = distinct.histc, distinct.histogram
    quantile, nanquantile = distinct.quantile, distinct.nanquantile
    sort, argsort, msort, topk, kthvalue = order.sort, order.argsort, order.msort, order.topk, order.kthvalue
    mode, median, nanmedian = order.mode, order.median, order.nanmedian

    # ---- products ----

    matmul, mm, bmm = linear.matmul, linear.mm, linear.bmm
    mv, dot, vdot, inner, outer = linear.mv, linear.dot, linear.vdot, linear.inner, linear.outer
    ger, kron, cross, trace = linear.ger, linear.kron, linear.cross, linear.trace
    addmm, addmv, addr, addbmm, baddbmm = linear.addmm, linear.addmv, linear.addr, linear.addbmm, linear.baddbmm
    addmm_, addmv_, addr_, addbmm_ = linear.addmm_, linear.addmv_, linear.addr_, linear.addbmm_
    baddbmm_, matrix_power = linear.baddbmm_, linear.matrix_power
    inverse, pinverse, cholesky, det = linear.inverse, linear.pinverse, linear.cholesky, linear.det
    slogdet, logdet, qr, svd = linear.slogdet, linear.logdet, linear.qr, linear.svd

    # ---- indexing ----

    gather, take = indexing.gather, indexing.take
    take_along_dim, put = indexing.take_along_dim, indexing.put
    put_, scatter = indexing.put_, indexing.scatter
    scatter_, scatter_add = indexing.scatter_, indexing.scatter_add
    scatter_add_, scatter_reduce = indexing.scatter_add_, indexing.scatter_reduce
    scatter_reduce_, index_select = indexing.scatter_reduce_, indexing.index_select
    index_put, index_put_ = indexing.index_put, indexing.index_put_
    index_add, index_add_ = indexing.index_add, indexing.index_add_
    index_copy, index_copy_ = indexing.index_copy, indexing.index_copy_
    index_fill, index_fill_ = indexing.index_fill, indexing.index_fill_
    index_reduce, index_reduce_ = indexing.index_reduce, indexing.index_reduce_
    masked_fill, masked_fill_ = indexing.masked_fill, indexing.masked_fill_
    masked_select, masked_scatter = indexing.masked_select, indexing.masked_scatter
    masked_scatter_, nonzero = indexing.masked_scatter_, indexing.nonzero
    argwhere, select_scatter = indexing.argwhere, indexing.select_scatter
    slice_scatter, diagonal_scatter = indexing.slice_scatter, indexing.diagonal_scatter

    # ---- decompositions ----

    lu, lu_solve, geqrf, orgqr, ormqr = decompose.lu, linear.lu_solve, decompose.geqrf, decompose.orgqr, decompose.ormqr
    matrix_exp, cholesky_solve = decompose.matrix_exp, decompose.cholesky_solve
    cholesky_inverse, triangular_solve = decompose.cholesky_inverse, decompose.triangular_solve

    # ---- sparse tensors ----

    to_sparse, to_sparse_coo, to_dense = sparse.to_sparse, sparse.to_sparse_coo, sparse.to_dense
    sparse_mask, sparse_dim, dense_dim = sparse.sparse_mask, sparse.sparse_dim, sparse.dense_dim
    coalesce, is_coalesced, indices, values = sparse.coalesce, sparse.is_coalesced, sparse.indices, sparse.values
    _indices, _values, _nnz, smm = sparse._indices, sparse._values, sparse._nnz, sparse.smm

    # ---- statistics, names of complex numbers ----

    cov, corrcoef, renorm, renorm_ = statistics.cov, statistics.corrcoef, statistics.renorm, statistics.renorm_
    sum_to_size, frexp, fill_diagonal_ = reduce.sum_to_size, reduce.frexp, write.fill_diagonal_
    nonzero_static = indexing.nonzero_static
    igamma, igammac, igamma_, igammac_ = functions.igamma, functions.igammac, functions.igamma_, functions.igammac_
    real, imag = property(complex_names.real), property(complex_names.imag)
    conj, conj_physical, conj_physical_ = complex_names.conj, complex_names.conj_physical, complex_names.conj_physical_
    resolve_conj, resolve_neg = complex_names.resolve_conj, complex_names.resolve_neg
    angle, cfloat = complex_names.angle, complex_names.cfloat
    stft, istft = complex_names.stft, complex_names.istft
    cdouble, chalf = complex_names.cdouble, complex_names.chalf

    # ---- random numbers ----

    normal_, uniform_, random_, bernoulli_ = random.normal_, random.uniform_, random.random_, random.bernoulli_
    exponential_, geometric_, cauchy_ = random.exponential_, random.geometric_, random.cauchy_
    log_normal_, bernoulli, multinomial = random.log_normal_, random.bernoulli, random.multinomial


from .autograd import backward as _backward  # noqa: E402
from .autograd.graph import node_of as _node_of  # noqa: E402

_core.Tensor = Tensor
lib.use_tensor_class(id(Tensor), [id(f) for f in (  # in the order of enum in_python
    fail, _call.operate, interop.to_numpy, _call.unary_form, _call.binary_form, _call.ints_form, _call.listed_form,
    views.joined_form, creation.filled_form, _call.apply_form, indexing.getitem, indexing.setitem)])


class _Missing:
    """A method of PyTorch's that is not there, and says so when it is looked up; for hasattr() it is not there."""

    def __init__(self, name):
        self.name = name

    def __get__(self, obj, owner=None):
        from ._hook import missing

        raise missing.MissingName(f"torch.Tensor.{self.name}")


def _mark_missing(cls):
    from ._tensor_names import NAMES

    for name in NAMES:
        if not hasattr(cls, name):
            setattr(cls, name, _Missing(name))


_mark_missing(Tensor)
