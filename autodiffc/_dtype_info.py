"""Facts about dtypes: ranges, promotion, casts."""

import numpy as np

from . import _dtype
from ._core import TensorBase
from ._dtype import DTYPES, dtype
from ._native import lib
from ._ops.creation import promote_codes


class finfo:
    """The limits of a floating dtype: bits, eps, max, min, tiny, smallest_normal, resolution, dtype (its name)."""

    def __init__(self, type=None):
        d = _dtype.get_default_dtype() if type is None else type
        if not isinstance(d, dtype):
            raise TypeError(f"finfo() argument 'type' must be torch.dtype, not {d.__class__.__name__}")
        if not d.is_floating_point:
            raise TypeError(
                "torch.finfo() requires a floating point input type. Use torch.iinfo to handle 'torch.finfo'"
            )
        self.bits, self.dtype = 8 * d.itemsize, d.name
        if d.numpy is None:
            self.eps, self.max, self.tiny, self.resolution = 2.0**-7, (2 - 2.0**-7) * 2.0**127, 2.0**-126, 0.01
        else:
            f = np.finfo(d.numpy)
            self.eps, self.max, self.tiny = float(f.eps), float(f.max), float(f.tiny)
            self.resolution = float(f"1e-{f.precision}")
        self.min, self.smallest_normal = -self.max, self.tiny

    def __repr__(self):
        names = ("resolution", "min", "max", "eps", "smallest_normal", "tiny")
        return f"finfo({', '.join(f'{n}={getattr(self, n):g}' for n in names)}, dtype={self.dtype})"

    def __eq__(self, other):
        return isinstance(other, finfo) and self.dtype == other.dtype

    def __hash__(self):
        return hash(self.dtype)


class iinfo:
    """The limits of an integer dtype: bits, min, max, dtype (its name)."""

    def __init__(self, type):
        if not isinstance(type, dtype):
            raise TypeError(f"iinfo() argument 'type' must be torch.dtype, not {type.__class__.__name__}")
        if type.is_floating_point or type is _dtype.bool_:
            raise TypeError("torch.iinfo() requires an integer input type. Use torch.finfo to handle 'torch.iinfo'")
        i = np.iinfo(type.numpy)
        self.bits, self.min, self.max, self.dtype = i.bits, int(i.min), int(i.max), type.name

    def __repr__(self):
        return f"iinfo(min={self.min}, max={self.max}, dtype={self.dtype})"

    def __eq__(self, other):
        return isinstance(other, iinfo) and self.dtype == other.dtype

    def __hash__(self):
        return hash(self.dtype)


def promote_types(type1, type2):
    """The smallest dtype that both convert to."""
    for d in (type1, type2):
        if not isinstance(d, dtype):
            raise TypeError(f"promote_types(): argument must be torch.dtype, not {type(d).__name__}")
    return DTYPES[promote_codes(type1.code, type2.code)]


def result_type(tensor1, tensor2):
    """The dtype of arithmetic on two tensors or numbers."""
    best = [None, None, None]  # of tensors with dimensions, 0-d tensors, numbers
    for x in (tensor1, tensor2):
        if isinstance(x, TensorBase):
            rank, code = (0 if lib.ad_ndim(x._h) else 1), lib.ad_dtype_of(x._h)
        elif isinstance(x, complex):
            raise NotImplementedError("result_type(): complex values are not supported")
        elif isinstance(x, (bool, np.bool_)):
            rank, code = 2, _dtype.bool_.code
        elif isinstance(x, (int, np.integer)):
            rank, code = 2, _dtype.int64.code
        elif isinstance(x, (float, np.floating)):
            rank, code = 2, lib.ad_default_dtype()
        else:
            raise TypeError(f"result_type(): arguments must be Tensors or numbers, not {type(x).__name__}")
        best[rank] = code if best[rank] is None else promote_codes(best[rank], code)
    found = None
    for code in best:
        if found is None:
            found = code
        elif code is not None and _category(code) > _category(found):
            found = promote_codes(found, code)
    return DTYPES[found]


def _category(code):
    return 0 if code == _dtype.bool_.code else 1 if code < _dtype.float16.code else 2


def can_cast(from_, to):
    """Whether PyTorch's rules let a result of the first dtype be written to the second."""
    if not isinstance(from_, dtype) or not isinstance(to, dtype):
        raise TypeError("can_cast(): arguments must be torch.dtype")
    if from_.is_floating_point and not to.is_floating_point:
        return False
    return from_ is _dtype.bool_ or to is not _dtype.bool_


def is_tensor(obj) -> bool:
    """Whether obj is a Tensor."""
    return isinstance(obj, TensorBase)


def is_storage(obj) -> bool:
    """Whether obj is a storage."""
    from .storage import TypedStorage, UntypedStorage

    return isinstance(obj, (UntypedStorage, TypedStorage))


def _tensor(name, input):
    if not isinstance(input, TensorBase):
        raise TypeError(f"{name}(): argument 'input' (position 1) must be Tensor, not {type(input).__name__}")
    return input


def is_floating_point(input) -> bool:
    """Whether a tensor's dtype is a floating one."""
    return _tensor("is_floating_point", input).dtype.is_floating_point


def is_complex(input) -> bool:
    """Whether input is complex."""
    if _tensor("is_complex", input).is_complex():
        return True
    return False


def is_conj(input) -> bool:
    """False: there are no complex tensors."""
    _tensor("is_conj", input)
    return False


def is_signed(input) -> bool:
    """Whether a tensor's dtype has negative values."""
    return _tensor("is_signed", input).dtype.is_signed


def is_inference(input) -> bool:
    """Whether a tensor was made in inference_mode()."""
    return _tensor("is_inference", input).is_inference()


def is_nonzero(input) -> bool:
    """bool(input)."""
    return bool(_tensor("is_nonzero", input))


def is_same_size(input, other) -> bool:
    """Whether two tensors have the same sizes."""
    return _tensor("is_same_size", input).shape == _tensor("is_same_size", other).shape


def numel(input) -> int:
    """The number of elements of a tensor."""
    return lib.ad_numel(_tensor("numel", input)._h)


def typename(obj) -> str:
    """The name of a tensor's type, or of the class of another object."""
    if isinstance(obj, TensorBase):
        return obj.type()
    cls = obj if isinstance(obj, type) else type(obj)
    module = getattr(obj, "__module__", "") or cls.__module__
    return cls.__qualname__ if module in ("builtins", "") else f"{module}.{cls.__qualname__}"
