"""Tensors in safetensors files, by the safetensors library, without PyTorch: save_file, load_file, save, load.

In a script that runs with torch resolved to this library, `from safetensors.torch import save_file` works too.
"""

import numpy as np

from .. import _dtype
from .._core import TensorBase
from ..interop import adopt, on_storage
from ..storage import storage_of

_NAMES = {"BOOL": "bool", "U8": "uint8", "I8": "int8", "I16": "int16", "I32": "int32", "I64": "int64",
          "F16": "float16", "BF16": "bfloat16", "F32": "float32", "F64": "float64"}  # fmt: skip


def _library():
    try:
        import safetensors
    except ImportError as e:
        raise ImportError("autodiffc.utils.safetensors needs the safetensors library: pip install safetensors",
                          name="safetensors") from e  # fmt: skip
    return safetensors


def _described(library, tensors):
    """What the library is told of each tensor, and the tensors, which must live until it has read them."""
    if not isinstance(tensors, dict):
        raise ValueError(f"expected a dict of names and Tensors, not {type(tensors).__name__}")
    kept, described = [], {}
    for name, t in tensors.items():
        if not isinstance(name, str) or not isinstance(t, TensorBase):
            raise ValueError(f"expected a dict of names and Tensors, but {name!r} is a {type(t).__name__}")
        t = t.detach().contiguous()
        kept.append(t)
        shape = list(t.shape)
        if hasattr(library, "TensorSpec"):
            described[name] = library.TensorSpec(
                dtype=t.dtype.name, shape=shape, data_ptr=t.data_ptr(), data_len=t.nbytes
            )
        else:
            first = t.storage_offset() * t.dtype.itemsize
            data = t.untyped_storage().array()[first : first + t.nbytes].tobytes()
            described[name] = {"dtype": t.dtype.name, "shape": shape, "data": data}
    return described, kept


def save_file(tensors, filename, metadata=None):
    """Writes a dict of names and Tensors, and a dict of texts about them. ValueError for anything else."""
    library = _library()
    described, _kept = _described(library, tensors)
    library.serialize_file(described, filename, metadata=metadata)


def save(tensors, metadata=None) -> bytes:
    """The bytes of the file that save_file() writes."""
    library = _library()
    described, _kept = _described(library, tensors)
    return bytes(library.serialize(described, metadata=metadata))


def load(data):
    """The dict of names and Tensors in the bytes of a file. safetensors.SafetensorError for damaged ones."""
    result = {}
    for name, about in _library().deserialize(bytes(data)):
        kind = about["dtype"]
        if kind not in _NAMES:
            raise NotImplementedError(f"tensor {name!r} has dtype {kind}, which autodiffc has not")
        d = _dtype.named(_NAMES[kind])
        shape = tuple(about["shape"])
        strides, n = [], 1
        for size in reversed(shape):
            strides.insert(0, n)
            n *= max(size, 1)
        raw = storage_of(adopt(np.frombuffer(about["data"], np.uint8).copy()))
        result[name] = on_storage(raw, d, 0, shape, strides)
    return result


def load_file(filename, device="cpu"):
    """The dict of names and Tensors in a file."""
    _dtype.check_device(device)
    with open(filename, "rb") as f:
        return load(f.read())


__all__ = ["load", "load_file", "save", "save_file"]
