"""What pickles of tensors call to make them again, under the names that PyTorch's files have for it."""

from collections import OrderedDict

from . import _core, _dtype, interop
from ._core import TensorBase
from .storage import TypedStorage, UntypedStorage


def _rebuild_tensor(storage, storage_offset, size, stride):
    """A Tensor on a storage. RuntimeError where sizes, strides or offset leave it."""
    return _rebuild_tensor_v2(storage, storage_offset, size, stride, False, None)


def _rebuild_tensor_v2(storage, storage_offset, size, stride, requires_grad, backward_hooks, metadata=None):
    """A Tensor on a storage, of the storage's dtype."""
    if not isinstance(storage, TypedStorage):
        raise TypeError(f"_rebuild_tensor_v2(): expected a storage, not {type(storage).__name__}")
    return _on(storage.untyped(), storage.dtype, storage_offset, size, stride, requires_grad)


def _rebuild_tensor_v3(storage, storage_offset, size, stride, requires_grad, backward_hooks, dtype, metadata=None):
    """A Tensor on a storage, of a dtype of its own."""
    if not isinstance(storage, (TypedStorage, UntypedStorage)) or not isinstance(dtype, _dtype.dtype):
        raise TypeError(f"_rebuild_tensor_v3(): expected a storage and a dtype, not {type(storage).__name__} and "
                        f"{type(dtype).__name__}")  # fmt: skip
    untyped = storage.untyped() if isinstance(storage, TypedStorage) else storage
    return _on(untyped, dtype, storage_offset, size, stride, requires_grad)


def _on(storage, dtype, offset, size, stride, requires_grad):
    for what, numbers in (("offset", (offset,)), ("sizes", size), ("strides", stride)):
        if not isinstance(numbers, (tuple, list)) or not all(type(n) is int and abs(n) < 1 << 63 for n in numbers):
            raise TypeError(f"a tensor's {what} must be 64-bit integers, not {_shown(numbers)}")
    t = interop.on_storage(storage, dtype, offset, tuple(size), tuple(stride))
    return t.requires_grad_() if requires_grad is True else t


def _shown(x):
    return f"{type(x).__name__} {x!r}"[:80] if isinstance(x, (int, float, str)) else type(x).__name__


def _rebuild_parameter(data, requires_grad, backward_hooks):
    """A Parameter of a Tensor's memory."""
    from .nn.parameter import Parameter

    if not isinstance(data, TensorBase):
        raise TypeError(f"_rebuild_parameter(): expected a Tensor, not {type(data).__name__}")
    return Parameter(data, requires_grad is True)


def _rebuild_parameter_with_state(data, requires_grad, backward_hooks, state):
    """A Parameter of a Tensor's memory, with the attributes that its user gave it."""
    return _set_obj_state(_rebuild_parameter(data, requires_grad, backward_hooks), state)


def _rebuild_from_type_v2(func, new_type, args, state):
    """What func(*args) returns, as an object of a subclass of Tensor and with its attributes."""
    t = func(*args)
    if not isinstance(t, TensorBase) or not (isinstance(new_type, type) and issubclass(new_type, TensorBase)):
        raise TypeError(f"_rebuild_from_type_v2(): {_shown(new_type)} is not a class of tensors")
    if type(t) is not new_type:
        t = interop.share(t, new_type)
    if getattr(new_type, "__setstate__", None) is not _core.Tensor.__setstate__:
        t.__setstate__(state)
        return t
    return _set_obj_state(t, state)


def _set_obj_state(obj, state):
    """obj with the attributes of state, a dict or a pair of one for __dict__ and one for slots."""
    named, slots = state if isinstance(state, tuple) and len(state) == 2 else (state, None)
    for some in (named, slots):
        if some is not None and not (isinstance(some, dict) and all(isinstance(k, str) for k in some)):
            raise TypeError(f"the attributes of a {type(obj).__name__} must be a dict of names, not {_shown(some)}")
    if named:
        obj.__dict__.update(named)
    for name, value in (slots or {}).items():
        setattr(obj, name, value)
    return obj


def reduce_tensor(t):
    """What Tensor.__reduce_ex__ returns: the storage, and how the tensor lies in it."""
    code, *rest = t._geometry()
    storage = TypedStorage(t.untyped_storage(), _dtype.DTYPES[code])
    args = (storage, *rest, OrderedDict())
    state = t.__dict__
    if type(t) is _core.Tensor and not state:
        return _rebuild_tensor_v2, args
    return _rebuild_from_type_v2, (_rebuild_tensor_v2, type(t), args, dict(state))


def reduce_parameter(p):
    """What Parameter.__reduce_ex__ returns."""
    hooks = OrderedDict()
    if p.__dict__:
        return _rebuild_parameter_with_state, (p.detach(), p.requires_grad, hooks, dict(p.__dict__))
    return _rebuild_parameter, (p.detach(), p.requires_grad, hooks)


# ---- tensors as one ----


def _flatten_dense_tensors(tensors):
    """The tensors as one 1-d tensor."""
    from ._ops.shape import cat

    return cat([t.contiguous().view(-1) for t in tensors], 0)


def _unflatten_dense_tensors(flat, tensors):
    """A tuple of views of a 1-d tensor, with the sizes of the tensors."""
    parts, at = [], 0
    for t in tensors:
        parts.append(flat.narrow(0, at, t.numel()).view_as(t))
        at += t.numel()
    return tuple(parts)


def _get_device_index(device, optional=False, allow_cpu=False):
    """-1 for the CPU, where it may be; ValueError else."""
    from ._dtype import device as kind

    d = kind(device) if device is not None else None
    if d is None or d.type == "cpu":
        if optional or allow_cpu:
            return -1
        raise ValueError(f"Expected a non cpu device, but got: {device}")
    return d.index or 0
