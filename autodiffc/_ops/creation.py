"""Creation of tensors. Everything here takes dtype=, device= (the CPU), requires_grad=, and accepts layout=,
pin_memory= and memory_format=, which on a CPU change nothing but the strides."""

import math

import numpy as np

from .. import _dtype, interop
from .._core import OP, TensorBase, fail, filled, wrap
from .._dtype import DTYPES, check_device, dtype
from .._native import ffi, lib
from . import _call

_BOOL, _INT64 = _dtype.bool_.code, _dtype.int64.code
_FLOAT16, _UINT8 = _dtype.float16.code, _dtype.uint8.code


# ---- arguments ----


def code_of(d, name):
    """The core's code of a dtype argument; None is the default float dtype."""
    if d is None:
        return lib.ad_default_dtype()
    if type(d) is not dtype:
        d = as_dtype(d, name)
    return d.code


def as_dtype(d, name):
    """A dtype from a dtype or one of Python's types; TypeError, or NotImplementedError for complex ones."""
    if isinstance(d, dtype):
        if d.is_complex:
            raise NotImplementedError(f"{name}(): complex tensors ({d}) are not supported")
        return d
    if d is float:
        return _dtype.float64
    if d is int:
        return _dtype.int64
    if d is bool:
        return _dtype.bool_
    if d is complex:
        raise NotImplementedError(f"{name}(): complex tensors are not supported")
    raise TypeError(f"{name}(): argument 'dtype' must be torch.dtype, not {type(d).__name__}")


def get_default():
    return DTYPES[lib.ad_default_dtype()]


def finish(h, requires_grad):
    """The Tensor of a new handle."""
    t = wrap(h)
    if requires_grad and lib.ad_set_requires_grad(h, 1) < 0:
        fail()
    return t


def check_sizes(size, name):
    """A tuple of sizes; TypeError for what is not integers."""
    if len(size) == 1 and not hasattr(size[0], "__index__"):
        size = size[0]
        if not isinstance(size, (tuple, list)):
            raise TypeError(f"{name}(): argument 'size' (position 1) must be tuple of ints, not {type(size).__name__}")
    for k, n in enumerate(size):
        if type(n) is not int:
            if (
                not hasattr(n, "__index__")
                or isinstance(n, TensorBase)
                and (n.dtype.is_floating_point or n.numel() != 1)
            ):
                raise TypeError(
                    f"{name}(): argument 'size' must be tuple of ints, but found element of type "
                    f"{type(n).__name__} at pos {k}"
                )
            return check_sizes(([m if type(m) is int else _index(m) for m in size],), name)
        if not -(1 << 63) <= n < 1 << 63:
            raise RuntimeError(f"{name}(): Overflow when unpacking long: size {n}")
    return size


def _index(n):
    return n.__index__() if hasattr(n, "__index__") else n


def check_options(device, layout=None, name=""):
    if device is not None:
        check_device(device)
    if layout is not None and layout is not _dtype.strided:
        raise NotImplementedError(f"{name}(): only strided tensors are supported, not layout {layout}")


def new(name, code, size, value, device, layout, requires_grad, out=None):
    """A tensor of one value (None: not initialised)."""
    if device is not None or layout is not None:
        check_options(device, layout, name)
    t = filled(code, size, value)
    if out is not None:
        return _call.copied(t, out)
    if requires_grad and lib.ad_set_requires_grad(t._h, 1) < 0:
        fail()
    return t


def filled_form(code, size, value):
    """What filled(), a tensor of one value or, for None, not initialised, does with sizes that are no plain integers
    and with values that are no float or int."""
    if value is None:
        return wrap(lib.ad_empty(code, size, len(size)))
    return wrap(lib.ad_full(code, size, len(size), value, 0 if code >= _FLOAT16 else value))


def contiguous_strides(shape):
    strides, step = [0] * len(shape), 1
    for d in range(len(shape) - 1, -1, -1):
        strides[d] = step
        step *= max(shape[d], 1)
    return strides


def promote_codes(a, b):
    """The core's promotion of two dtype codes."""
    if a == b:
        return a
    hi, lo = max(a, b), min(a, b)
    if hi == _dtype.bfloat16.code and lo == _FLOAT16:
        return _dtype.float32.code
    if (lo, hi) == (_UINT8, _dtype.int8.code):
        return _dtype.int16.code
    return hi


# ---- of given sizes ----


def _given(sizes, size, name):
    """The sizes of a creation function, which take several integers or one tuple, as a keyword too."""
    if size is not None:
        if sizes:
            raise TypeError(f"{name}() got multiple values for argument 'size'")
        return check_sizes((size,), name)
    if not sizes:
        raise TypeError(f"{name}() missing 1 required positional argument: 'size'")
    return check_sizes(sizes, name)


def zeros(*sizes, size=None, out=None, dtype=None, layout=None, device=None, pin_memory=False, requires_grad=False):
    """A tensor of zeros. RuntimeError for negative sizes."""
    size = _given(sizes, size, "zeros")
    return new("zeros", code_of(dtype, "zeros"), size, 0, device, layout, requires_grad, out)


def ones(*sizes, size=None, out=None, dtype=None, layout=None, device=None, pin_memory=False, requires_grad=False):
    """A tensor of ones. RuntimeError for negative sizes."""
    size = _given(sizes, size, "ones")
    return new("ones", code_of(dtype, "ones"), size, 1, device, layout, requires_grad, out)


def empty(
    *sizes,
    size=None,
    out=None,
    dtype=None,
    layout=None,
    device=None,
    pin_memory=False,
    requires_grad=False,
    memory_format=None,
):
    """A tensor whose values are not set. RuntimeError for negative sizes."""
    size = _given(sizes, size, "empty")
    t = new("empty", code_of(dtype, "empty"), size, None, device, layout, requires_grad, out)
    if memory_format is _dtype.channels_last or memory_format is _dtype.channels_last_3d:
        t = empty_strided(size, channels_last_strides(size, memory_format), dtype=t.dtype, requires_grad=requires_grad)
    return t


def channels_last_strides(size, memory_format):
    """The strides that put dimension 1 last in memory."""
    ndim = 4 if memory_format is _dtype.channels_last else 5
    if len(size) != ndim:
        raise RuntimeError(f"required rank {ndim} tensor to use {memory_format.name} format")
    strides, step = [0] * ndim, 1
    for d in (1, *range(ndim - 1, 1, -1), 0):
        strides[d] = step
        step *= max(size[d], 1)
    return strides


def empty_strided(size, stride, *, dtype=None, layout=None, device=None, requires_grad=False, pin_memory=False):
    """A tensor of these sizes and strides whose values are not set."""
    check_options(device, layout, "empty_strided")
    size, stride = check_sizes((size,), "empty_strided"), check_sizes((stride,), "empty_strided")
    if len(size) != len(stride):
        raise RuntimeError(
            f"dimensionality of sizes ({len(size)}) must match dimensionality of strides ({len(stride)})"
        )
    h = lib.ad_empty_strided(code_of(dtype, "empty_strided"), size, stride, len(size))
    return finish(h, requires_grad)


def empty_permuted(
    size, physical_layout, *, dtype=None, layout=None, device=None, requires_grad=False, pin_memory=False
):
    """A dense tensor of these sizes whose dimensions lie in memory in the order of physical_layout."""
    size = check_sizes((size,), "empty_permuted")
    if sorted(d % len(size) if size else d for d in physical_layout) != list(range(len(size))):
        raise RuntimeError(
            f"Number of dimensions in size does not match the length of the physical_layout; "
            f"size={list(size)}, physical_layout={list(physical_layout)}"
        )
    strides, step = [0] * len(size), 1
    for d in reversed(physical_layout):
        strides[d] = step
        step *= max(size[d], 1)
    return empty_strided(size, strides, dtype=dtype, layout=layout, device=device, requires_grad=requires_grad)


def full(size, fill_value, *, out=None, dtype=None, layout=None, device=None, requires_grad=False, pin_memory=False):
    """A tensor of one value. Its dtype, unless given: bool, int64 or the default float, by the value's type."""
    if not isinstance(size, (tuple, list)):
        raise TypeError(f"full(): argument 'size' (position 1) must be tuple of ints, not {type(size).__name__}")
    size = check_sizes((size,), "full")
    value = plain_number(fill_value, "full")
    if dtype is None:
        kind = type(value)
        code = _BOOL if kind is bool else _INT64 if kind is int else lib.ad_default_dtype()
        if out is not None:
            code = out.dtype.code
    else:
        code = code_of(dtype, "full")
    return new("full", code, size, fitted(value, code), device, layout, requires_grad, out)


def plain_number(v, name):
    """A Python bool, int or float of a number, a NumPy scalar or a tensor of one element."""
    if type(v) in (float, int, bool):
        return v
    item = getattr(v, "item", None)
    if item is not None:
        v = item()
    if isinstance(v, complex):
        raise NotImplementedError(f"{name}(): complex values are not supported")
    if isinstance(v, bool):
        return bool(v)
    if isinstance(v, float):
        return float(v)
    if hasattr(v, "__index__"):
        return v.__index__()
    if hasattr(v, "__float__"):
        return float(v)
    raise TypeError(f"{name}(): argument 'fill_value' must be Number, not {type(v).__name__}")


def fitted(v, code):
    """A number as the core takes it for a dtype; RuntimeError when the dtype cannot hold it."""
    if code >= _FLOAT16:
        if type(v) is int and abs(v) > 1 << 1000:
            raise RuntimeError(f"value cannot be converted to type {DTYPES[code].name} without overflow")
        return float(v)
    if code == _BOOL:
        return int(bool(v))
    if v != v or v in (math.inf, -math.inf):
        raise RuntimeError(f"value cannot be converted to type {DTYPES[code].name} without overflow")
    v = int(v)
    bits = 8 * DTYPES[code].itemsize
    low, high = (-255, 255) if code == _UINT8 else (-(1 << bits - 1), (1 << bits - 1) - 1)
    if not low <= v <= high:
        raise RuntimeError(f"value cannot be converted to type {DTYPES[code].name} without overflow")
    return v


def scalar_tensor(s, *, dtype=None, layout=None, device=None, requires_grad=False, pin_memory=False):
    """A 0-d tensor of a number, of the default float dtype unless dtype is given."""
    return full((), s, dtype=dtype or get_default(), device=device, layout=layout, requires_grad=requires_grad)


# ---- like another tensor ----


def _like(name, input, value, dtype, layout, device, requires_grad, memory_format):
    if not isinstance(input, TensorBase):
        raise _call.not_a_tensor(name, input)
    h = input._h
    code = lib.ad_dtype_of(h) if dtype is None else code_of(dtype, name)
    n = lib.ad_ndim(h)
    size = ffi.unpack(lib.ad_sizes(h), n)
    if value is not None:
        value = fitted(value, code)
    if memory_format in (_dtype.channels_last, _dtype.channels_last_3d):
        strides = channels_last_strides(size, memory_format)
    elif not lib.ad_is_contiguous(h) and memory_format is not _dtype.contiguous_format:
        strides = dense_strides(size, ffi.unpack(lib.ad_strides(h), n))
    else:
        return new(name, code, size, value, device, layout, requires_grad)
    check_options(device, layout, name)
    t = wrap(lib.ad_empty_strided(code, size, strides, n))
    if value is not None:
        t.fill_(value)
    return t.requires_grad_() if requires_grad else t


def dense_strides(size, strides):
    """Strides without gaps in the order of the given ones; a dimension of stride 0 keeps its place."""
    order = []  # the innermost first
    for d in reversed(range(len(size))):
        k = at = len(order)
        order.append(d)
        while k:
            k -= 1
            a, b = strides[order[k]], strides[order[at]]
            if not a or not b or (a == b and size[order[k]] <= size[order[at]]):
                continue
            if a < b:
                break
            order[k], order[at] = order[at], order[k]
            at = k
    out, step = [0] * len(size), 1
    for d in order:
        out[d] = step
        step *= max(size[d], 1)
    return out


def zeros_like(
    input, *, dtype=None, layout=None, device=None, requires_grad=False, memory_format=None, pin_memory=False
):
    """Zeros of input's size and dtype."""
    return _like("zeros_like", input, 0, dtype, layout, device, requires_grad, memory_format)


def ones_like(
    input, *, dtype=None, layout=None, device=None, requires_grad=False, memory_format=None, pin_memory=False
):
    """Ones of input's size and dtype."""
    return _like("ones_like", input, 1, dtype, layout, device, requires_grad, memory_format)


def empty_like(
    input, *, dtype=None, layout=None, device=None, requires_grad=False, memory_format=None, pin_memory=False
):
    """A tensor of input's size and dtype whose values are not set."""
    return _like("empty_like", input, None, dtype, layout, device, requires_grad, memory_format)


def full_like(
    input,
    fill_value,
    *,
    dtype=None,
    layout=None,
    device=None,
    requires_grad=False,
    memory_format=None,
    pin_memory=False,
):
    """One value in input's size and dtype."""
    return _like(
        "full_like", input, plain_number(fill_value, "full_like"), dtype, layout, device, requires_grad, memory_format
    )


# methods of Tensor: dtype defaults to the tensor's own


def new_zeros(self, *sizes, size=None, dtype=None, device=None, requires_grad=False, layout=None, pin_memory=False):
    """Zeros of the given size and this tensor's dtype."""
    return zeros(
        *sizes, size=size, dtype=dtype or self.dtype, device=device, requires_grad=requires_grad, layout=layout
    )


def new_ones(self, *sizes, size=None, dtype=None, device=None, requires_grad=False, layout=None, pin_memory=False):
    """Ones of the given size and this tensor's dtype."""
    return ones(*sizes, size=size, dtype=dtype or self.dtype, device=device, requires_grad=requires_grad, layout=layout)


def new_empty(self, *sizes, size=None, dtype=None, device=None, requires_grad=False, layout=None, pin_memory=False):
    """A tensor of the given size and this tensor's dtype whose values are not set."""
    return empty(
        *sizes, size=size, dtype=dtype or self.dtype, device=device, requires_grad=requires_grad, layout=layout
    )


def new_empty_strided(self, size, stride, dtype=None, device=None, requires_grad=False, layout=None, pin_memory=False):
    """empty_strided() of this tensor's dtype."""
    return empty_strided(
        size, stride, dtype=dtype or self.dtype, device=device, requires_grad=requires_grad, layout=layout
    )


def new_full(self, size, fill_value, *, dtype=None, device=None, requires_grad=False, layout=None, pin_memory=False):
    """One value in the given size and this tensor's dtype."""
    return full(size, fill_value, dtype=dtype or self.dtype, device=device, requires_grad=requires_grad, layout=layout)


# ---- ranges ----


def arange(
    start, end=None, step=1, *, out=None, dtype=None, layout=None, device=None, pin_memory=False, requires_grad=False
):
    """start, start + step, ... below end (arange(end) starts at 0): int64 when all are integers, else the default
    float dtype. RuntimeError for a step of 0 or of the wrong sign."""
    if end is None:
        start, end = 0, start
    start, end, step = (plain_number(v, "arange") for v in (start, end, step))
    check_options(device, layout, "arange")
    if dtype is None:
        code = (
            out.dtype.code
            if out is not None
            else (lib.ad_default_dtype() if float in (type(start), type(end), type(step)) else _INT64)
        )
    else:
        code = code_of(dtype, "arange")
    if code == _INT64:
        start, end, step = (v if type(v) is int or v != v or abs(v) == math.inf else int(v) for v in (start, end, step))
    i = [_clamped(v) if v == v and abs(v) != math.inf else 0 for v in (start, end, step)]
    t = _call.apply(_ARANGE, (), (code, *i), (start, end, step))
    if out is not None:
        lib.ad_retain(t._h)
        return _call.to_out(t._h, out)
    return t.requires_grad_() if requires_grad else t


def _clamped(v):
    v = int(v)
    if not -(1 << 63) <= v < 1 << 63:
        raise RuntimeError(f"value cannot be converted to type int64 without overflow: {v}")
    return v


def range_(start=0, end=None, step=1, *, out=None, dtype=None, layout=None, device=None, requires_grad=False):
    """arange() that includes end, of the default float dtype."""
    if end is None:
        start, end = 0, start
    n = math.floor((end - start) / step) + 1
    return arange(
        start,
        start + n * step - step / 2,
        step,
        out=out,
        dtype=dtype or get_default(),
        layout=layout,
        device=device,
        requires_grad=requires_grad,
    )


def linspace(
    start, end, steps, *, out=None, dtype=None, layout=None, device=None, requires_grad=False, pin_memory=False
):
    """`steps` values from start to end, both included, evenly spaced."""
    return _spaced("linspace", _LINSPACE, start, end, steps, None, out, dtype, layout, device, requires_grad)


def logspace(
    start,
    end,
    steps,
    base=10.0,
    *,
    out=None,
    dtype=None,
    layout=None,
    device=None,
    requires_grad=False,
    pin_memory=False,
):
    """base to the power of linspace(start, end, steps)."""
    return _spaced("logspace", _LOGSPACE, start, end, steps, base, out, dtype, layout, device, requires_grad)


def _spaced(name, op, start, end, steps, base, out, dtype, layout, device, requires_grad):
    for v in (start, end):
        if isinstance(v, TensorBase) and lib.ad_ndim(v._h):
            raise RuntimeError(
                f"{name} only supports 0-dimensional start and end tensors, but got {lib.ad_ndim(v._h)}-d"
            )
    check_options(device, layout, name)
    if not hasattr(steps, "__index__"):
        raise TypeError(f"{name}(): argument 'steps' must be int, not {type(steps).__name__}")
    code = code_of(dtype, name) if dtype is not None or out is None else out.dtype.code
    floats = [float(plain_number(v, name)) for v in (start, end) + ((base,) if base is not None else ())]
    h = lib.ad_opn(op, (), 0, (code, steps.__index__()), 2, floats, len(floats), (), 0)
    if out is not None:
        return _call.to_out(h or fail(), out)
    return finish(h, requires_grad)


def eye(n, m=None, *, out=None, dtype=None, layout=None, device=None, requires_grad=False, pin_memory=False):
    """n x m (m defaults to n): ones on the diagonal, zeros elsewhere."""
    check_options(device, layout, "eye")
    for v in (n, m):
        if v is not None and not hasattr(v, "__index__"):
            raise TypeError(f"eye(): argument 'n' must be int, not {type(v).__name__}")
    code = code_of(dtype, "eye") if dtype is not None or out is None else out.dtype.code
    h = lib.ad_opn(_EYE, (), 0, (code, n, n if m is None else m), 3, (), 0, (), 0)
    if out is not None:
        return _call.to_out(h or fail(), out)
    return finish(h, requires_grad)


_ARANGE, _LINSPACE, _LOGSPACE, _EYE = OP["arange"], OP["linspace"], OP["logspace"], OP["eye"]


# ---- index tables ----


def tril_indices(row, col, offset=0, *, dtype=None, device=None, layout=None):
    """2 x n: the rows and columns of the lower triangle of a row x col matrix, in row order."""
    return _tri_indices("tril_indices", np.tril_indices, row, col, offset, dtype, device)


def triu_indices(row, col, offset=0, *, dtype=None, device=None, layout=None):
    """2 x n: the rows and columns of the upper triangle of a row x col matrix, in row order."""
    return _tri_indices("triu_indices", np.triu_indices, row, col, offset, dtype, device)


def _tri_indices(name, made_by, row, col, offset, dtype, device):
    if row < 0 or col < 0:
        raise RuntimeError(f"{name}: row and col must be non-negative, got {row}, {col}")
    check_options(device, None, name)
    found = np.stack(made_by(row, offset, col)).astype(np.int64)
    t = interop.adopt(found)
    return t if dtype is None else t.to(dtype)
