"""Tensors of data that exists: numbers, nested sequences, NumPy arrays, buffers."""

import numpy as np

from .. import _capture, _dtype, interop
from .._core import OP, TensorBase, fail, wrap
from .._dtype import DTYPES, FROM_NUMPY, check_device
from .._native import lib
from ..autograd.grad_mode import no_grad
from ..storage import TypedStorage, UntypedStorage
from .creation import as_dtype, code_of, fitted, get_default, plain_number, promote_codes

_BOOL, _INT64, _FLOAT16, _UINT8 = (d.code for d in (_dtype.bool_, _dtype.int64, _dtype.float16, _dtype.uint8))
_TO = OP["to"]


def tensor(data, *, dtype=None, device=None, requires_grad=False, pin_memory=False):
    """A new leaf tensor with a copy of the data: a number, nested sequences, a NumPy array, a tensor.

    The dtype, unless given: bool, int64 or the default float for Python's numbers, the array's own for arrays.
    ValueError for ragged sequences, TypeError and RuntimeError for what is not numbers.
    """
    if device is not None:
        check_device(device)
    kind = type(data)
    if kind is float:
        h = lib.ad_scalar_f(data, lib.ad_default_dtype() if dtype is None else _scalar_code(data, dtype))
    elif kind is int and (dtype is None or dtype is _dtype.int64):
        if not -(1 << 63) <= data < 1 << 63:
            raise ValueError("Overflow when unpacking long long")
        h = lib.ad_scalar_i(data, _INT64)
    elif kind is bool and dtype is None:
        h = lib.ad_scalar_i(data, _BOOL)
    else:
        h = _from_data(data, dtype)
    if _capture.recording is not None:
        h = _capture.fresh(h)
    t = wrap(h)
    if requires_grad and lib.ad_set_requires_grad(h, 1) < 0:
        raise RuntimeError("Only Tensors of floating point and complex dtype can require gradients")
    return t


def _scalar_code(v, dtype):
    code = code_of(dtype, "tensor")
    if code < _FLOAT16:
        fitted(v, code)
    return code


def _from_data(data, dtype):
    """The handle of a copy of array-like data."""
    code = None if dtype is None else code_of(dtype, "tensor")
    if isinstance(data, TensorBase):
        if code is None:
            code = lib.ad_dtype_of(data._h)
        with no_grad():
            h = lib.ad_op1i(_TO, data._h, code, 0, 0)
        return h
    if isinstance(data, (str, bytes)):
        raise TypeError(f"new(): invalid data type '{type(data).__name__}'")
    array = data
    if isinstance(data, np.ndarray):
        _capture.refuse("using a NumPy array (pass it as a tensor among the arguments)")
    if not isinstance(data, (np.ndarray, np.generic)):
        array, found = to_array(data)
        if code is None:
            code = found
    checked = array_dtype(array)
    if code is None:
        code = checked.code
    if array.dtype.byteorder not in "=|" and array.dtype.newbyteorder("=") != array.dtype:
        raise ValueError(
            "given numpy array has byte order different from the native byte order. Conversion between "
            "byte orders is currently not supported."
        )
    if array.size and code not in (_BOOL, checked.code) and code < _FLOAT16 and not isinstance(data, np.ndarray):
        for v in (array.min(), array.max()):
            fitted(v.item(), code)
    array = np.ascontiguousarray(array) if array.ndim else array[()].reshape(())
    h = lib.ad_from_copy(checked.code, array.__array_interface__["data"][0], array.shape, array.ndim, code)
    if not h:
        fail()
    del array  # lived until the copy was made
    return h


def array_dtype(array):
    """The dtype of a NumPy array; TypeError, or NotImplementedError for complex ones."""
    d = FROM_NUMPY.get(array.dtype) or FROM_NUMPY.get(array.dtype.newbyteorder("="))
    if d is not None:
        return d
    if array.dtype.kind == "c":
        raise NotImplementedError(f"tensor(): complex values (numpy {array.dtype}) are not supported")
    kind = array.dtype.type if array.dtype.kind in "USOVmM" else array.dtype
    raise TypeError(
        f"can't convert np.ndarray of type {getattr(kind, '__name__', kind)}. The only supported types are: float64, "
        "float32, float16, int64, int32, int16, int8, uint8, and bool."
    )


def to_array(data):
    """A NumPy array of nested sequences, and the code of the dtype that torch.tensor gives them (None: the array's)."""
    if hasattr(data, "__array__") and not isinstance(data, (list, tuple)):
        return np.asarray(data), None
    if hasattr(data, "__cuda_array_interface__"):
        raise TypeError("can't convert CUDA memory")
    if not _is_sequence(data):
        try:
            return np.asarray(plain_number(data, "tensor")), None
        except TypeError:
            raise RuntimeError(f"Could not infer dtype of {type(data).__name__}") from None
    kinds = set()
    nested = _plain(data, kinds, 0)
    code = None
    for k in kinds:
        if isinstance(k, type):
            if issubclass(k, complex):
                raise NotImplementedError("tensor(): complex values are not supported")
            k = _BOOL if k is bool else _INT64 if issubclass(k, int) else lib.ad_default_dtype()
        code = k if code is None else promote_codes(code, k)
    if code is None:
        code = lib.ad_default_dtype()
    try:
        array = np.array(nested, dtype=_CARRIER[code])
    except OverflowError:
        raise ValueError("Overflow when unpacking long long") from None
    except ValueError:
        _check_ragged(nested, _shape_of(nested), 0)
        raise
    return array, code


def _is_sequence(x):
    return isinstance(x, (list, tuple, range, bytearray, memoryview)) or (
        hasattr(x, "__len__") and hasattr(x, "__getitem__") and not isinstance(x, (dict, set, str, bytes))
    )


def _plain(data, kinds, depth):
    """The sequence with tensors and odd sequences made plain; adds the types of its numbers to kinds."""
    if depth > 64:
        raise ValueError("too many dimensions 'list'")
    types = set(map(type, data))
    if types <= _NUMBERS:
        kinds |= types
        return data if isinstance(data, (list, tuple)) else list(data)
    out = []
    for v in data:
        kind = type(v)
        if kind in _NUMBERS:
            kinds.add(kind)
        elif isinstance(v, (np.generic, np.ndarray)):
            kinds.add(array_dtype(v).code)
        elif isinstance(v, TensorBase):
            if lib.ad_numel(v._h) != 1:
                raise ValueError("only one element tensors can be converted to Python scalars")
            kinds.add(lib.ad_dtype_of(v._h))
            v = v.item()
        elif isinstance(v, (str, bytes)):
            if kinds:
                raise TypeError(f"new(): invalid data type '{kind.__name__}'")
            raise ValueError(f"too many dimensions '{kind.__name__}'")
        elif _is_sequence(v):
            v = _plain(v, kinds, depth + 1)
        elif isinstance(v, complex):
            kinds.add(complex)
        elif isinstance(v, (bool, int, float)):
            kinds.add(bool if isinstance(v, bool) else int if isinstance(v, int) else float)
        elif hasattr(v, "__float__") or hasattr(v, "__index__"):
            v = plain_number(v, "tensor")
            kinds.add(type(v))
        else:
            raise RuntimeError(f"Could not infer dtype of {kind.__name__}")
        out.append(v)
    return out


def _shape_of(x):
    shape = []
    while _is_sequence(x):
        shape.append(len(x))
        if not len(x):
            break
        x = x[0]
    return shape


def _check_ragged(x, shape, dim):
    if dim == len(shape):
        if _is_sequence(x):
            raise TypeError(f"'{type(x).__name__}' object cannot be interpreted as a number")
        return
    if not _is_sequence(x):
        raise TypeError("not a sequence")
    if len(x) != shape[dim]:
        raise ValueError(f"expected sequence of length {shape[dim]} at dim {dim} (got {len(x)})")
    for v in x:
        _check_ragged(v, shape, dim + 1)


_NUMBERS = {int, float, bool, complex}
_CARRIER = [d.numpy if d.code < _FLOAT16 else np.dtype("float64") for d in DTYPES]
_CARRIER[_UINT8] = np.dtype("int64")  # out-of-range values are refused later, by name


def as_tensor(data, dtype=None, device=None):
    """The data as a tensor, without a copy where it is a tensor or a NumPy array of that dtype."""
    if device is not None:
        check_device(device)
    if isinstance(data, TensorBase):
        return data if dtype is None else data.to(dtype)
    if isinstance(data, np.ndarray):
        array_dtype(data)
        if all(s >= 0 for s in data.strides):
            t = interop.from_numpy(data)
            return t if dtype is None else t.to(as_dtype(dtype, "as_tensor"))
    return tensor(data, dtype=dtype)


def asarray(obj, *, dtype=None, device=None, copy=None, requires_grad=False):
    """The object as a tensor: shares memory with tensors, arrays, DLPack and buffers unless copy or dtype asks for
    one. ValueError when copy=False and one is needed."""
    if device is not None:
        check_device(device)
    shared = None
    if isinstance(obj, TensorBase):
        shared = obj
    elif isinstance(obj, np.ndarray):
        shared = interop.from_numpy(obj)
    elif isinstance(obj, np.generic):
        shared = tensor(obj)
    elif hasattr(obj, "__dlpack__"):
        shared = interop.from_dlpack(obj)
    elif isinstance(obj, (bytes, bytearray, memoryview)):
        shared = frombuffer(obj, dtype=dtype or get_default())
    elif isinstance(obj, (UntypedStorage, TypedStorage)):
        shared = obj.untyped().as_tensor(_dtype.uint8 if isinstance(obj, UntypedStorage) else obj.dtype)
    if shared is None:
        if copy is False:
            raise ValueError(f"can't alias arbitrary sequence to tensor: {type(obj).__name__}")
        return tensor(obj, dtype=dtype, requires_grad=requires_grad)
    d = shared.dtype if dtype is None else as_dtype(dtype, "asarray")
    if d is not shared.dtype:
        if copy is False:
            raise ValueError(f"can't alias tensor with dtype {shared.dtype} into dtype {d}.")
        shared = shared.to(d)
    elif copy:
        shared = shared.clone()
    if shared.requires_grad and not requires_grad:
        return shared.detach()
    if requires_grad and shared.is_leaf:
        shared.requires_grad_()
    return shared


def frombuffer(buffer, *, dtype, count=-1, offset=0, requires_grad=False):
    """A 1-d tensor of the memory of an object with Python's buffer interface. ValueError when it does not fit."""
    d = as_dtype(dtype, "frombuffer")
    view = (
        memoryview(buffer).cast("B")
        if not isinstance(buffer, np.ndarray)
        else memoryview(buffer.reshape(-1).view(np.uint8))
    )
    n = view.nbytes
    if n == 0 or count == 0:
        raise ValueError(f"both buffer length ({n}) and count ({count}) must not be 0")
    if not 0 <= offset < n:
        raise ValueError(
            f"offset ({offset} bytes) must be non-negative and no greater than buffer length ({n} bytes) minus 1"
        )
    if count > 0 and offset + count * d.itemsize > n:
        raise ValueError(
            f"requested buffer length ({count} * {d.itemsize} bytes) after offset ({offset} bytes) must not "
            f"be greater than actual buffer length ({n} bytes)"
        )
    if count < 0:
        if (n - offset) % d.itemsize:
            raise ValueError(
                f"buffer length ({n - offset} bytes) after offset ({offset} bytes) must be a multiple of "
                f"element size ({d.itemsize})"
            )
        count = (n - offset) // d.itemsize
    raw = interop.from_numpy(np.frombuffer(view, np.uint8, count * d.itemsize, offset))
    t = raw if d is _dtype.uint8 else interop.reinterpret(raw, d, count)
    return t.requires_grad_() if requires_grad else t


def new_tensor(self, data, *, dtype=None, device=None, requires_grad=False, layout=None, pin_memory=False):
    """tensor(data) of this tensor's dtype."""
    return tensor(data, dtype=dtype or self.dtype, device=device, requires_grad=requires_grad)
