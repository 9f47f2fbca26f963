"""What a tensor is as a Python object: numbers, iteration, printing, NumPy, copies, pickles."""

import copy
import sys

from . import interop
from ._core import TensorBase
from ._dtype import DTYPES
from ._native import ffi, lib
from .storage import storage_of


class TensorObject(TensorBase):
    """The dunder methods of Tensor that are not operations."""

    __slots__ = ()

    __hash__ = object.__hash__

    # ---- printing ----

    def __repr__(self, *, tensor_contents=None):
        from ._tensor_str import tensor_str

        return tensor_str(self, tensor_contents)

    def __format__(self, spec):
        if lib.ad_ndim(self._h) == 0:
            return format(self.item(), spec)
        return object.__format__(self, spec)

    def __dir__(self):
        return sorted(set(dir(type(self))) | set(self.__dict__))

    # ---- numbers ----

    def _number(self, to):
        if lib.ad_numel(self._h) != 1:
            raise ValueError("only one element tensors can be converted to Python scalars")
        return to(self.item())

    def __bool__(self):
        n = lib.ad_numel(self._h)
        if n != 1:
            if n == 0:
                raise RuntimeError("Boolean value of Tensor with no values is ambiguous")
            raise RuntimeError("Boolean value of Tensor with more than one value is ambiguous")
        return bool(self.item())

    is_nonzero = __bool__

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
            return bool((self == element).any())
        raise RuntimeError(f"Tensor.__contains__ only supports Tensor or scalar, but you passed in a {type(element)}.")

    # ---- NumPy, DLPack ----

    __array_priority__ = 1000  # NumPy's operators leave tensors to the tensors' own

    def __array__(self, dtype=None, copy=None):
        a = interop.to_numpy(self, False)
        if dtype is not None and a.dtype != dtype:
            if copy is False:
                raise ValueError("Unable to avoid copy while creating an array as requested.")
            return a.astype(dtype)
        return a.copy() if copy else a

    def __array_wrap__(self, array, context=None, return_scalar=False):
        return interop.from_numpy(interop.np.asarray(array))

    def __dlpack__(self, *, stream=None, max_version=None, dl_device=None, copy=None):
        return interop.to_capsule(self, max_version, dl_device, copy)

    def __dlpack_device__(self):
        return (1, 0)

    # ---- storage ----

    def untyped_storage(self):
        """The memory that this tensor and its views share."""
        return storage_of(self)

    def storage(self):
        """The memory that this tensor and its views share, seen in this tensor's dtype."""
        return storage_of(self).typed(self.dtype)

    _typed_storage = storage

    def storage_type(self):
        return type(self.storage())

    def is_shared(self):
        """Whether the memory is shared between processes: see share_memory_()."""
        shared = sys.modules.get(__package__ + ".multiprocessing._shared")
        return shared is not None and shared.block_of(self) is not None

    def share_memory_(self):
        """Moves this tensor to memory that other processes see when it is handed to them; returns it."""
        from .multiprocessing import _shared

        return _shared.move(self)

    def is_pinned(self, device=None):
        return False

    def pin_memory(self, device=None):
        """This tensor: without an accelerator there is nothing to pin for."""
        return self

    def get_device(self):
        return -1

    def record_stream(self, stream):
        """Nothing: the CPU has no streams."""

    # ---- element by element, in Python ----

    def apply_(self, callable):
        """Each element replaced by callable(element)."""
        if lib.ad_requires_grad(self._h):
            raise RuntimeError("Can't call apply_() on Variable that requires grad. Use var.detach().apply_() instead.")
        flat = [callable(v) for v in self.flatten().tolist()]
        return self.copy_(interop.tensor(flat, dtype=self.dtype).reshape(self.shape))

    def map_(self, tensor, callable):
        """Each element replaced by callable(element, element of tensor)."""
        if lib.ad_requires_grad(self._h):
            raise RuntimeError("Can't call map_() on Variable that requires grad. Use var.detach().map_() instead.")
        other = tensor.expand(self.shape).flatten().tolist()
        flat = [callable(a, b) for a, b in zip(self.flatten().tolist(), other)]
        return self.copy_(interop.tensor(flat, dtype=self.dtype).reshape(self.shape))

    # ---- copies and pickles ----

    def __copy__(self):
        t = interop.share(self, type(self))
        t.__dict__.update(self.__dict__)
        return t

    def as_subclass(self, cls):
        """This tensor as an object of `cls`, a subclass of Tensor: the same memory and history. TypeError for
        another class."""
        if not (isinstance(cls, type) and issubclass(cls, TensorBase)):
            raise TypeError(f"as_subclass(): argument 'cls' must be a subclass of Tensor, not {cls!r}")
        alias = self.view_as(self)
        t = object.__new__(cls)
        lib.ad_retain(alias._h)
        t._h = alias._h
        return t

    def __deepcopy__(self, memo):
        if id(self) in memo:
            return memo[id(self)]
        if not lib.ad_is_leaf(self._h):
            raise RuntimeError(
                "Only Tensors created explicitly by the user (graph leaves) support the deepcopy protocol at "
                "the moment.  If you were attempting to deepcopy a module, this may be because of a "
                "torch.nn.utils.weight_norm usage, see https://github.com/pytorch/pytorch/pull/103001"
            )
        t = _rebuild(type(self), copy.deepcopy(storage_of(self), memo), *self._geometry())
        t.__dict__.update(copy.deepcopy(self.__dict__, memo))
        if self.grad is not None:
            t.grad = copy.deepcopy(self.grad, memo)
        memo[id(self)] = t
        return t

    def _geometry(self):
        h = self._h
        n = lib.ad_ndim(h)
        return (
            lib.ad_dtype_of(h),
            lib.ad_offset(h),
            tuple(ffi.unpack(lib.ad_sizes(h), n)),
            tuple(ffi.unpack(lib.ad_strides(h), n)),
            bool(lib.ad_requires_grad(h)),
        )

    def __reduce_ex__(self, protocol):
        from ._utils import reduce_tensor

        return reduce_tensor(self)

    def __setstate__(self, state):
        self.__dict__.update(state)


def _rebuild(cls, storage, code, offset, sizes, strides, requires_grad):
    """A Tensor over a storage."""
    t = interop.on_storage(storage, DTYPES[code], offset, sizes, strides, cls)
    if requires_grad:
        t.requires_grad_()
    return t
