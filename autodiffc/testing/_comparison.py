"""assert_close(): values, dtypes and shapes of tensors, numbers and what is made of them."""

import cmath
from collections.abc import Mapping, Sequence

import numpy as np

from .. import _dtype
from .._core import TensorBase
from .._ops.from_data import as_tensor

_RTOL = {"float16": 1e-3, "bfloat16": 1.6e-2, "float32": 1.3e-6, "float64": 1e-7, "complex64": 1.3e-6,
         "complex128": 1e-7}
_ATOL = {"float16": 1e-5, "bfloat16": 1e-5, "float32": 1e-5, "float64": 1e-7, "complex64": 1e-5, "complex128": 1e-7}


def _tolerances(dtypes, rtol, atol):
    if (rtol is None) != (atol is None):
        missing = "rtol" if rtol is None else "atol"
        given = "atol" if rtol is None else "rtol"
        raise ValueError(f"Both 'rtol' and 'atol' must be either specified or unspecified, but got no {missing} beside "
                         f"{given}.")
    if rtol is not None:
        return rtol, atol
    return max(_RTOL.get(d, 0.0) for d in dtypes), max(_ATOL.get(d, 0.0) for d in dtypes)


class _Compared:
    def __init__(self, rtol, atol, equal_nan, check_dtype, check_stride, allow_subclasses, msg):
        self.rtol, self.atol, self.equal_nan = rtol, atol, equal_nan
        self.check_dtype, self.check_stride = check_dtype, check_stride
        self.allow_subclasses, self.msg = allow_subclasses, msg

    def fail(self, text, where):
        if where:
            text += f"\n\nThe failure occurred for item {''.join(f'[{w!r}]' for w in where)}"
        if self.msg is not None:
            text = self.msg(text) if callable(self.msg) else self.msg
        raise AssertionError(text)

    def compare(self, a, b, where):
        if isinstance(a, TensorBase) and isinstance(b, TensorBase):
            return self.tensors(a, b, where)
        plain = (list, tuple, dict, str, bool, int, float, complex, type(None))
        if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
            return self.tensors(as_tensor(a), as_tensor(b), where)
        if isinstance(a, bool) and isinstance(b, bool):
            if a is not b:
                self.fail(f"Booleans mismatch: {a} is not {b}", where)
            return None
        if isinstance(a, (int, float, complex, np.number)) and isinstance(b, (int, float, complex, np.number)):
            return self.numbers(a, b, where)
        if a is None and b is None:
            return None
        if a is None or b is None and isinstance(a, plain):
            return self.fail(f"None mismatch: {a} is not {b}", where)
        if isinstance(a, Mapping) and isinstance(b, Mapping):
            return self.mappings(a, b, where)
        sequences = isinstance(a, Sequence) and isinstance(b, Sequence)
        if sequences and not isinstance(a, str) and not isinstance(b, str):
            if len(a) != len(b):
                self.fail(f"The length of the sequences mismatch: {len(a)} != {len(b)}", where)
            for k, (x, y) in enumerate(zip(a, b)):
                self.compare(x, y, (*where, k))
            return None
        raise TypeError(f"No comparison pair was able to handle inputs of type {type(a)} and {type(b)}.")

    def mappings(self, a, b, where):
        lacking, more = [k for k in b if k not in a], [k for k in a if k not in b]
        if lacking or more:
            text = "The keys of the mappings do not match:"
            text += f"\nMissing keys in the actual mapping: {sorted(lacking)}" if lacking else ""
            text += f"\nAdditional keys in the actual mapping: {sorted(more)}" if more else ""
            self.fail(text, where)
        for k in a:
            self.compare(a[k], b[k], (*where, k))

    def numbers(self, a, b, where):
        kinds = ["int64" if isinstance(x, (int, np.integer)) else "float64" for x in (a, b)]
        rtol, atol = _tolerances(kinds, self.rtol, self.atol)
        if self.check_dtype and type(a) is not type(b):
            self.fail(f"The (d)types do not match: {type(a)} != {type(b)}", where)
        both_nan = cmath.isnan(a) and cmath.isnan(b) and self.equal_nan
        if a == b or both_nan:
            return
        gap = abs(a - b)
        if cmath.isfinite(a) and cmath.isfinite(b) and gap <= atol + rtol * abs(b):
            return
        self.fail(self.number_text("Scalars", a, b, gap, gap / abs(b) if b else float("inf"), rtol, atol), where)

    @staticmethod
    def number_text(what, a, b, gap, relative, rtol, atol):
        equal = not rtol and not atol
        upto = ("", "") if equal else (f" (up to {atol} allowed)", f" (up to {rtol} allowed)")
        return (f"{what} are not {'equal' if equal else 'close'}!\n\nExpected {b} but got {a}.\nAbsolute difference: "
                f"{gap}{upto[0]}\nRelative difference: {relative}{upto[1]}")

    def tensors(self, a, b, where):
        if not self.allow_subclasses and type(a) is not type(b):
            self.fail(f"the classes of the tensors do not match: {type(a)} != {type(b)}", where)
        for name in ("shape", "dtype") if self.check_dtype else ("shape",):
            if getattr(a, name) != getattr(b, name):
                self.fail(f"The values for attribute '{name}' do not match: {getattr(a, name)} != {getattr(b, name)}.",
                          where)
        if self.check_stride and a.stride() != b.stride():
            self.fail(f"The values for attribute 'stride()' do not match: {a.stride()} != {b.stride()}.", where)
        rtol, atol = _tolerances([a.dtype.name, b.dtype.name], self.rtol, self.atol)
        x, y = _array(a), _array(b)
        with np.errstate(all="ignore"):
            gap = np.abs(x - y) if x.dtype.kind in "fc" else np.abs(np.subtract(x, y, dtype=np.float64))
            fits = (x == y) | (np.isfinite(x) & np.isfinite(y) & (gap <= atol + rtol * np.abs(y)))
            if self.equal_nan:
                fits |= np.isnan(x) & np.isnan(y)
            if fits.all():
                return
            relative = gap / np.abs(y)
        gap, relative = np.where(fits, 0, gap), np.where(fits, 0, relative)
        equal = not rtol and not atol
        if not a.ndim:
            self.fail(self.number_text("Scalars", x.item(), y.item(), gap.item(), relative.item(), rtol, atol), where)
        wrong = int((~fits).sum())
        lines = [f"Tensor-likes are not {'equal' if equal else 'close'}!", "",
                 f"Mismatched elements: {wrong} / {x.size} ({wrong / x.size:.1%})"]
        for name, values, upto in (("absolute", gap, atol), ("relative", relative, rtol)):
            at = np.unravel_index(int(np.argmax(values)), values.shape)
            value = values[at].item()
            value = int(value) if equal and name == "absolute" and np.isfinite(value) and x.dtype.kind != "f" else value
            allowed = "" if equal else f" (up to {upto} allowed)"
            lines.append(f"Greatest {name} difference: {value} at index {tuple(map(int, at))}{allowed}")
        self.fail("\n".join(lines), where)


def _array(t):
    t = t.detach()
    if not (t.is_floating_point() or t.is_complex()) and t.dtype is not _dtype.bool_:
        return t.numpy()
    return t.double().numpy() if not t.is_complex() else t.numpy()


def assert_close(actual, expected, *, allow_subclasses=True, rtol=None, atol=None, equal_nan=False, check_device=True,
                 check_dtype=True, check_layout=True, check_stride=False, msg=None):
    """AssertionError, with the worst elements, unless |actual - expected| <= atol + rtol |expected| everywhere.

    Tensors, numbers, NumPy arrays, and sequences and mappings of them; rtol and atol go with the dtype (float32:
    1.3e-6 and 1e-5) unless both are given. msg: instead of the message, or a function of it.
    """
    __tracebackhide__ = True
    try:
        _Compared(rtol, atol, equal_nan, check_dtype, check_stride, allow_subclasses, msg).compare(actual, expected, ())
    except AssertionError as e:
        raise e.with_traceback(None) from None


def assert_allclose(actual, expected, rtol=None, atol=None, equal_nan=True, msg=""):
    """assert_close() of what as_tensor() makes of both, whatever the dtypes."""
    actual, expected = (x if isinstance(x, TensorBase) else as_tensor(x) for x in (actual, expected))
    if rtol is None and atol is None:
        rtol, atol = _tolerances([actual.dtype.name, expected.dtype.name], None, None)
        rtol = max(rtol, 1e-4 if actual.dtype.name == "float32" else rtol)
    assert_close(actual, expected, rtol=rtol, atol=atol, equal_nan=equal_nan, check_dtype=False, msg=msg or None)
