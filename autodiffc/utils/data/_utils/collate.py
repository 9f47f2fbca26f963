"""How samples become a batch."""

import collections.abc
import copy
import re

import numpy as np

from ...._core import TensorBase
from ...._dtype import float64
from ...._ops.from_data import as_tensor, tensor
from ...._ops.shape import stack
from ....interop import adopt

np_str_obj_array_pattern = re.compile(r"[SaUO]")
default_collate_err_msg_format = (
    "default_collate: batch must contain tensors, numpy arrays, numbers, dicts or lists; found {}"
)


def default_convert(data):
    """NumPy arrays in a nested structure as tensors, and the rest as it is."""
    if isinstance(data, TensorBase):
        return data
    if isinstance(data, (np.ndarray, np.generic)):
        return data if np_str_obj_array_pattern.search(data.dtype.str) else as_tensor(data)
    if isinstance(data, collections.abc.Mapping):
        return _like(data, {key: default_convert(data[key]) for key in data})
    if _is_namedtuple(data):
        return type(data)(*(default_convert(d) for d in data))
    if isinstance(data, tuple):
        return [default_convert(d) for d in data]
    if isinstance(data, collections.abc.Sequence) and not isinstance(data, (str, bytes)):
        return _sequence_like(data, [default_convert(d) for d in data])
    return data


def collate(batch, *, collate_fn_map=None):
    """A batch of a list of samples: the function that collate_fn_map has for the class of the first one, or else
    for nested mappings and sequences the same structure of batches. TypeError for other samples."""
    first = batch[0]
    kind = type(first)
    if collate_fn_map is not None:
        function = collate_fn_map.get(kind)
        if function is None:
            for cls in collate_fn_map:
                if isinstance(first, cls):
                    function = collate_fn_map[cls]
                    break
        if function is not None:
            return function(batch, collate_fn_map=collate_fn_map)
    if isinstance(first, collections.abc.Mapping):
        return _like(first, {k: collate([d[k] for d in batch], collate_fn_map=collate_fn_map) for k in first})
    if _is_namedtuple(first):
        return kind(*(collate(samples, collate_fn_map=collate_fn_map) for samples in zip(*batch)))
    if isinstance(first, collections.abc.Sequence):
        n = len(first)
        if any(len(sample) != n for sample in batch):
            raise RuntimeError("each element in list of batch should be of equal size")
        columns = [collate(samples, collate_fn_map=collate_fn_map) for samples in zip(*batch)]
        return columns if isinstance(first, tuple) else _sequence_like(first, columns)
    raise TypeError(default_collate_err_msg_format.format(kind))


def _is_namedtuple(x):
    return isinstance(x, tuple) and hasattr(x, "_fields")


def _like(mapping, items):
    """A mapping of the class of another one; a dict when such a one cannot be made."""
    if type(mapping) is dict:
        return items
    try:
        if isinstance(mapping, collections.abc.MutableMapping):
            made = copy.copy(mapping)
            made.update(items)
            return made
        return type(mapping)(items)
    except TypeError:
        return items


def _sequence_like(sequence, items):
    """A sequence of the class of another one; a list when such a one cannot be made."""
    if type(sequence) is list:
        return items
    try:
        if isinstance(sequence, collections.abc.MutableSequence):
            made = copy.copy(sequence)
            for k, item in enumerate(items):
                made[k] = item
            return made
        return type(sequence)(items)
    except TypeError:
        return items


def collate_tensor_fn(batch, *, collate_fn_map=None):
    return stack(list(batch), 0)


def collate_numpy_array_fn(batch, *, collate_fn_map=None):
    first = batch[0]
    if np_str_obj_array_pattern.search(first.dtype.str):
        raise TypeError(default_collate_err_msg_format.format(first.dtype))
    if all(type(b) is np.ndarray and b.dtype == first.dtype and b.shape == first.shape for b in batch):
        return adopt(np.stack(batch))
    return collate([as_tensor(b) for b in batch], collate_fn_map=collate_fn_map)


def collate_numpy_scalar_fn(batch, *, collate_fn_map=None):
    return as_tensor(np.array(batch))


def collate_float_fn(batch, *, collate_fn_map=None):
    return tensor(batch, dtype=float64)


def collate_int_fn(batch, *, collate_fn_map=None):
    return tensor(batch)


def collate_str_fn(batch, *, collate_fn_map=None):
    return batch


default_collate_fn_map = {
    TensorBase: collate_tensor_fn,
    np.ndarray: collate_numpy_array_fn,
    (np.bool_, np.number, np.object_): collate_numpy_scalar_fn,
    float: collate_float_fn,
    int: collate_int_fn,
    str: collate_str_fn,
    bytes: collate_str_fn,
}
"""The functions of default_collate, by class. Users may add theirs."""


def default_collate(batch):
    """A batch of a list of samples: tensors and NumPy arrays stacked, numbers as a tensor (floats as float64), text
    as it is, and nested mappings, tuples and lists of these. TypeError for other samples, RuntimeError for tensors of
    different sizes."""
    return collate(batch, collate_fn_map=default_collate_fn_map)
