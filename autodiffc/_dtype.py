"""dtypes, devices, layouts, sizes: the small objects that describe a tensor."""

import numpy as np

from ._native import lib


class dtype:
    """The type of a tensor's elements. There is one object for each; compare with `is` or `==`."""

    __slots__ = ("name", "code", "itemsize", "is_floating_point", "is_signed", "numpy")
    is_complex = False

    def __init__(self, name, code, itemsize, numpy):
        self.name, self.code, self.itemsize, self.numpy = name, code, itemsize, numpy
        self.is_floating_point = "float" in name
        self.is_signed = name not in ("bool", "uint8")

    def __repr__(self):
        return "torch." + self.name

    def __reduce__(self):
        return (named, (self.name,))

    def __copy__(self):
        return self

    def __deepcopy__(self, memo):
        return self

    def to_real(self):
        return self


_names = ["bool", "uint8", "int8", "int16", "int32", "int64", "float16", "bfloat16", "float32", "float64"]
_sizes = [1, 1, 1, 2, 4, 8, 2, 2, 4, 8]
DTYPES = [
    dtype(n, k, s, None if n == "bfloat16" else np.dtype(n)) for k, (n, s) in enumerate(zip(_names, _sizes))
]
"""By the core's code."""

bool_, uint8, int8, int16, int32, int64, float16, bfloat16, float32, float64 = DTYPES
FROM_NUMPY = {d.numpy: d for d in DTYPES if d.numpy is not None}


class _AbsentDtype(dtype):
    """A dtype that PyTorch has and tensors here have not. It can be named and compared; using it is refused."""

    __slots__ = ()

    def __init__(self, name, itemsize):
        self.name, self.itemsize, self.numpy = name, itemsize, None
        self.is_floating_point = name.startswith("float")
        self.is_signed = not name.startswith(("uint", "quint"))

    @property
    def code(self):
        raise NotImplementedError(f"tensors of dtype {self} are not supported: use one of "
                                  + ", ".join(d.name for d in DTYPES))  # fmt: skip

    @property
    def is_complex(self):
        return self.name.startswith("complex")

    def to_real(self):
        return {"complex32": float16, "complex64": float32, "complex128": float64}.get(self.name, self)


ABSENT = {
    n: _AbsentDtype(n, size)
    for n, size in {"complex32": 4, "complex64": 8, "complex128": 16, "uint16": 2, "uint32": 4, "uint64": 8,
                    "float8_e4m3fn": 1, "float8_e4m3fnuz": 1, "float8_e5m2": 1, "float8_e5m2fnuz": 1, "qint8": 1,
                    "quint8": 1, "qint32": 4}.items()
}  # fmt: skip
"""By name."""


def named(name):
    """The dtype of a name such as "float32"."""
    return ABSENT[name] if name in ABSENT else DTYPES[_names.index(name)]


def get_default_dtype() -> dtype:
    """The dtype of tensors made from Python floats."""
    return DTYPES[lib.ad_default_dtype()]


def set_default_dtype(d: dtype) -> None:
    """Sets the dtype of tensors made from Python floats; TypeError unless it is a floating one."""
    if not isinstance(d, dtype) or not d.is_floating_point:
        raise TypeError(f"only floating-point types are supported as the default type, got {d}")
    lib.ad_set_default_dtype(d.code)


class Size(tuple):
    """The sizes of a tensor: a tuple of int with numel()."""

    __slots__ = ()

    def __new__(cls, sizes=()):
        self = tuple.__new__(cls, sizes)
        for n in self:
            if type(n) is not int:
                return cls._checked(self)
        return self

    @classmethod
    def _checked(cls, sizes):
        for k, n in enumerate(sizes):
            if not hasattr(n, "__index__"):
                raise TypeError(f"torch.Size() takes an iterable of 'int' (item {k} is '{type(n).__name__}')")
        return tuple.__new__(cls, [n.__index__() for n in sizes])

    def numel(self) -> int:
        n = 1
        for s in self:
            n *= s
        return n

    def __repr__(self):
        return f"torch.Size({list(self)})"

    def __add__(self, other):
        if not isinstance(other, tuple):
            return NotImplemented
        return Size(tuple.__add__(self, other))

    def __radd__(self, other):
        if not isinstance(other, tuple):
            return NotImplemented
        return Size(tuple.__add__(other, self))

    def __mul__(self, n):
        return Size(tuple.__mul__(self, n))

    __rmul__ = __mul__

    def __reduce__(self):
        return (Size, (tuple(self),))

    def __getitem__(self, i):
        r = tuple.__getitem__(self, i)
        return Size(r) if isinstance(i, slice) else r


class device:
    """Where a tensor lives. There is only the CPU."""

    __slots__ = ("type", "index")

    def __init__(self, type="cpu", index=None):
        if isinstance(type, device):
            type, index = type.type, type.index
        elif isinstance(type, int):
            type, index = "cuda", type
        elif ":" in type:
            type, _, number = type.partition(":")
            if not number.isdigit():
                raise RuntimeError(f"Invalid device string: '{type}:{number}'")
            index = int(number)
        if type not in ("cpu", "cuda", "mps", "meta", "xpu"):
            raise RuntimeError(
                "Expected one of cpu, cuda, ipu, xpu, mkldnn, opengl, opencl, ideep, hip, ve, fpga, maia, xla, "
                f"lazy, vulkan, mps, meta, hpu, mtia, privateuseone device type at start of device string: {type}"
            )
        self.type, self.index = type, index

    def __repr__(self):
        index = "" if self.index is None else f", index={self.index}"
        return f"device(type='{self.type}'{index})"

    def __str__(self):
        return self.type if self.index is None else f"{self.type}:{self.index}"

    def __eq__(self, other):
        return isinstance(other, device) and (self.type, self.index) == (other.type, other.index)

    def __hash__(self):
        return hash((self.type, self.index))

    def __reduce__(self):
        return (device, (self.type,) if self.index is None else (self.type, self.index))

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        return False


CPU = device("cpu")


def check_device(d) -> None:
    """Accepts None and any spelling of the CPU; raises as a PyTorch without CUDA does for the others."""
    if d is None or d is CPU or d == "cpu":
        return
    kind = device(d).type
    if kind == "cpu":
        return
    if kind == "cuda":
        raise AssertionError("Torch not compiled with CUDA enabled")
    if kind == "xpu":
        raise AssertionError("Torch not compiled with XPU enabled")
    if kind == "mps":
        raise RuntimeError("PyTorch is not linked with support for mps devices")
    raise RuntimeError(f"device '{d}' is not available: autodiffc computes on the CPU")


class layout:
    __slots__ = ("name",)

    def __init__(self, name):
        self.name = name

    def __repr__(self):
        return "torch." + self.name

    def __reduce__(self):
        return self.name  # pickled as the global of this module


class memory_format(layout):
    __slots__ = ()


strided = layout("strided")
contiguous_format = memory_format("contiguous_format")
preserve_format = memory_format("preserve_format")
channels_last = memory_format("channels_last")
channels_last_3d = memory_format("channels_last_3d")
sparse_coo, sparse_csr, sparse_csc = layout("sparse_coo"), layout("sparse_csr"), layout("sparse_csc")
sparse_bsr, sparse_bsc = layout("sparse_bsr"), layout("sparse_bsc")
jagged = layout("jagged")
