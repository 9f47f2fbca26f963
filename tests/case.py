"""What a row of an operation says, and the inputs that tests make from it."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

DTYPES = {
    "f": ("float32", "float64"),
    "h": ("float16", "bfloat16"),
    "i": ("int64", "int32", "int16", "int8", "uint8"),
    "b": ("bool",),
}
_PINNED = {
    "f32": "float32",
    "f64": "float64",
    "f16": "float16",
    "bf16": "bfloat16",
    "i64": "int64",
    "i32": "int32",
    "i16": "int16",
    "i8": "int8",
    "u8": "uint8",
    "bool": "bool",
}


class In:
    """An input tensor of a row.

    sizes; lo, hi: the range of floats; low, high: of integers (high excluded); dtype: pins it ("i64", "bool",
    "f64") whatever dtype the row is run in; distinct: no two values close to each other (max, sort);
    requires_grad: None for every floating input, False for one whose gradient is not checked.
    """

    def __init__(self, *sizes, lo=-2.0, hi=2.0, dtype=None, low=None, high=None, distinct=False, requires_grad=None):
        self.sizes = tuple(sizes)
        self.lo, self.hi = lo, hi
        self.low, self.high = low, high
        self.dtype = _PINNED.get(dtype, dtype)
        self.distinct = distinct
        self.requires_grad = requires_grad

    def resized(self, sizes) -> In:
        return In(
            *sizes,
            lo=self.lo,
            hi=self.hi,
            dtype=self.dtype,
            low=self.low,
            high=self.high,
            distinct=self.distinct,
            requires_grad=self.requires_grad,
        )

    def differentiable(self, dtype: str) -> bool:
        return is_float(self.dtype or dtype) and self.requires_grad is not False

    def make(self, rng: np.random.Generator, dtype: str) -> np.ndarray:
        """A contiguous array of the dtype; bfloat16 as float32 holding values that bfloat16 has."""
        dtype = self.dtype or dtype
        n = int(np.prod(self.sizes, dtype=np.int64))
        if dtype == "bool":
            return rng.integers(0, 2, self.sizes).astype(bool)
        if not is_float(dtype):
            low = self.low if self.low is not None else (0 if dtype == "uint8" else -5)
            high = self.high if self.high is not None else 6
            if self.distinct:
                high = max(high, low + n)
                values = rng.permutation(np.arange(low, high))[:n].reshape(self.sizes)
            else:
                values = rng.integers(low, high, self.sizes)
            return values.astype(dtype)
        if self.distinct:
            step = (self.hi - self.lo) / max(n, 1)
            values = self.lo + step * (0.5 + rng.permutation(n).reshape(self.sizes))
        else:
            values = rng.uniform(self.lo, self.hi, self.sizes)
        return as_dtype(values, dtype)


@dataclass(eq=False)
class Case:
    """One operation: how to call it, what NumPy says, and what is made from that.

    name: the public name ("add", "nn.functional.relu"), with "/variant" for further rows of one operation.
    fn: takes the module (autodiffc, or torch in the parity suite), then Tensors. Returns a Tensor or several.
    ref: takes NumPy arrays: float64 for floating inputs, int64 for integers. None: there is none.
    dtypes: "f" float32 and float64, "h" float16 and bfloat16, "i" integers, "b" bool.
    grad, gradgrad: whether first and second gradients are compared with finite differences.
    method, inplace: names of the method and in-place method that do the same with the first tensor as self.
    tol: tolerance in float32, or a dict of tolerances by dtype name. broadcast: sizes of inputs broadcast.
    elementwise: also empty, 0-d, and (nonfinite) NaN and infinite inputs.
    raises: (fn, ErrorClass) pairs. capture: can be captured and replayed. bench: larger sizes, one
    tuple for all inputs or one each.
    """

    name: str
    fn: Callable
    ref: Callable | None
    inputs: list[In]
    dtypes: str = field(default="f", kw_only=True)
    grad: bool = field(default=True, kw_only=True)
    gradgrad: bool | None = field(default=None, kw_only=True)
    method: str | None = field(default=None, kw_only=True)
    inplace: str | None = field(default=None, kw_only=True)
    tol: float | dict | None = field(default=None, kw_only=True)
    broadcast: bool = field(default=False, kw_only=True)
    elementwise: bool = field(default=False, kw_only=True)
    nonfinite: bool = field(default=True, kw_only=True)
    raises: tuple = field(default=(), kw_only=True)
    capture: bool = field(default=True, kw_only=True)
    bench: tuple | None = field(default=None, kw_only=True)
    id: str = field(default="", init=False)

    def __post_init__(self):
        self.id = self.name
        if self.gradgrad is None:
            self.gradgrad = self.grad
        if self.bench and isinstance(self.bench[0], int):
            self.bench = (self.bench,) * len(self.inputs)
        unknown = set(self.dtypes) - set(DTYPES)
        if unknown:
            raise ValueError(f"{self.name}: unknown dtypes {unknown}")

    @property
    def base(self) -> str:
        """The public name without the variant."""
        return self.name.split("/")[0]

    def dtype_names(self) -> list[str]:
        return [d for key in self.dtypes for d in DTYPES[key]]

    def float_dtype(self, wanted: str = "float64") -> str | None:
        """The dtype in which precise checks run: `wanted` if the row has floats, else its first."""
        names = self.dtype_names()
        return wanted if wanted in names else names[0]

    def make(self, dtype: str, *, seed: int = 0, inputs: list[In] | None = None) -> list[np.ndarray]:
        """The row's inputs as NumPy arrays, the same in every run."""
        rng = np.random.default_rng(zlib.crc32(self.id.encode()) + seed)
        return [i.make(rng, dtype) for i in (self.inputs if inputs is None else inputs)]

    def tensors(self, T, arrays, dtype: str) -> list:
        """Tensors of module T that hold copies of the arrays (of the same strides)."""
        return [tensor(T, a, i.dtype or dtype) for a, i in zip(arrays, self.inputs)]

    def tolerance(self, dtype: str) -> tuple[float, float]:
        rtol, atol = {
            "float64": (1e-11, 1e-12),
            "float32": (1e-5, 1e-6),
            "float16": (4e-3, 4e-3),
            "bfloat16": (3e-2, 3e-2),
        }.get(dtype, (0.0, 0.0))
        if isinstance(self.tol, dict):
            t = self.tol.get(dtype)
            return (rtol, atol) if t is None else (t, t)
        if self.tol is not None:
            t = self.tol * {"float64": 1e-6}.get(dtype, 1.0)
            return max(rtol, t), max(atol, t)
        return rtol, atol


def is_float(dtype: str) -> bool:
    return "float" in dtype


def as_dtype(values: np.ndarray, dtype: str) -> np.ndarray:
    if dtype == "bfloat16":
        bits = np.asarray(values, np.float32).view(np.uint32)
        return ((bits + 0x7FFF + ((bits >> 16) & 1)) & 0xFFFF0000).astype(np.uint32).view(np.float32)
    return np.asarray(values).astype(dtype)


def like(a: np.ndarray) -> np.ndarray:
    """A copy with the same strides: what the memory between the elements holds is copied too."""
    if not a.size or not isinstance(a.base, np.ndarray):
        return a.copy(order="K")
    root = a
    while isinstance(root.base, np.ndarray):
        root = root.base
    copy = root.copy(order="K")
    offset = a.__array_interface__["data"][0] - root.__array_interface__["data"][0]
    return np.ndarray(a.shape, a.dtype, buffer=copy.data, offset=offset, strides=a.strides)


def tensor(T, a: np.ndarray, dtype: str):
    t = T.from_numpy(like(a))
    return t.to(getattr(T, dtype)) if dtype == "bfloat16" else t


def to_numpy(t) -> np.ndarray:
    """A NumPy copy of a result: a Tensor, or the number, bool or tuple that an operation may return."""
    if not hasattr(t, "detach"):
        return np.asarray(t)
    t = t.detach()
    if dtype_name(t) == "bfloat16":
        t = t.float()
    return np.array(t.numpy())


def dtype_name(t) -> str:
    return str(t.dtype).split(".")[-1] if hasattr(t, "detach") else np.asarray(t).dtype.name


def outputs(result) -> list:
    """The results of a row as a list."""
    if isinstance(result, (tuple, list)) and (not result or hasattr(result[0], "detach")):
        return list(result)
    return [result]


def reference(case: Case, arrays: list[np.ndarray]) -> list[np.ndarray]:
    wide = [
        a.astype(np.float64) if a.dtype.kind == "f" else a.astype(np.int64) if a.dtype.kind in "iu" else a
        for a in arrays
    ]
    with np.errstate(all="ignore"):
        result = case.ref(*wide)
    return [np.asarray(r) for r in result] if isinstance(result, (tuple, list)) else [np.asarray(result)]


def resolve(T, name: str):
    """The attribute of T that a dotted public name stands for, or None."""
    for part in name.split("."):
        T = getattr(T, part, None)
        if T is None:
            return None
    return T


class As:
    """A stand-in for the module in which the row's own function calls a method of its first argument."""

    def __init__(self, T, name: str, method: str):
        self._module, self._rest, self._method = T, name.split("."), method

    def __getattr__(self, name):
        value = getattr(self._module, name)
        if name != self._rest[0]:
            return value
        if len(self._rest) > 1:
            return As(value, ".".join(self._rest[1:]), self._method)
        method = self._method

        def call(input, *args, **kwargs):
            return getattr(input, method)(*args, **kwargs)

        return call
