"""Saving a module's state and loading it: the functions behind ``Module.state_dict`` and ``load_state_dict``.
"""
from __future__ import annotations

import functools
from collections import OrderedDict, namedtuple
from collections.abc import Callable, Mapping
from typing import Any

from ..utils.hooks import RemovableHandle, register
from ._base import Tensor, no_grad, shape_text
from .parameter import Buffer, Parameter, is_lazy

_extra_key = "_extra_state"


class IncompatibleKeys(namedtuple("IncompatibleKeys", ("missing_keys", "unexpected_keys"))):
    """What a load that was not strict left out."""

    __slots__ = ()

    def __repr__(self) -> str:
        if not self.missing_keys and not self.unexpected_keys:
            return "<All keys matched successfully>"
        return "_" + super().__repr__()

    __str__ = __repr__


def _has_own(module: Any, method: str) -> bool:
    """Whether the module's class defines ``method`` itself, beyond Module's refusal."""
    from .modules.module import Module
    return getattr(type(module), method, None) is not getattr(Module, method)


def _items(module: Any) -> list[tuple[str, Tensor]]:
    buffers = ((k, v) for k, v in module._buffers.items() if k not in module._non_persistent_buffers_set)
    return [(name, value) for name, value in (*module._parameters.items(), *buffers) if value is not None]


# ---- saving

def save_to_state_dict(self: Any, destination: dict, prefix: str, keep_vars: bool) -> None:
    """Put this module's own parameters and persistent buffers into ``destination``."""
    for name, value in _items(self):
        destination[prefix + name] = value if keep_vars or is_lazy(value) else value.detach()
    if _has_own(self, "get_extra_state"):
        destination[prefix + _extra_key] = self.get_extra_state()


def state_dict(self: Any, *args: Any, destination: Any = None, prefix: str = "",
               keep_vars: bool = False) -> dict:
    """An OrderedDict of dotted path to tensor: every parameter and persistent buffer here and below.

    The tensors share storage with the module and have no history, unless ``keep_vars`` asks for the
    parameters themselves. ``destination`` is filled and returned when given; ``prefix`` goes before each key.
    """
    if args:        # the old positional form
        destination = args[0] if destination is None else destination
        prefix = args[1] if len(args) > 1 and prefix == "" else prefix
        keep_vars = args[2] if len(args) > 2 and keep_vars is False else keep_vars
    if destination is None:
        destination = OrderedDict()
        destination._metadata = OrderedDict()
    local_metadata = {"version": self._version}
    if hasattr(destination, "_metadata"):
        destination._metadata[prefix[:-1]] = local_metadata
    for hook in self._state_dict_pre_hooks.values():
        hook(self, prefix, keep_vars)
    self._save_to_state_dict(destination, prefix, keep_vars)
    for name, module in self._modules.items():
        if module is not None:
            module.state_dict(destination=destination, prefix=f"{prefix}{name}.", keep_vars=keep_vars)
    for hook in self._state_dict_hooks.values():
        result = hook(self, destination, prefix, local_metadata)
        if result is not None:
            if getattr(hook, "_returns_none", False):
                raise RuntimeError("state_dict post-hook must return None")
            destination = result
    return destination


# ---- loading

def _copy_into(module: Any, name: str, key: str, value: Any, target: Tensor, assign: bool,
               error_msgs: list[str]) -> None:
    if not isinstance(value, Tensor):
        error_msgs.append(f'While copying the parameter named "{key}", expected torch.Tensor or Tensor-like '
                          'object '
                          f"from checkpoint but received {type(value)}")
        return
    if is_lazy(target) and is_lazy(value):
        return
    if is_lazy(value):
        error_msgs.append(f'"{key}" has no data in the checkpoint (it was saved before its module was called), '
                          f"the shape in current model is {shape_text(target)}.")
        return
    if target.dim() == 0 and tuple(value.shape) == (1,):
        value = value[0]            # scalars were saved with one dimension long ago
    if value.shape != target.shape:
        error_msgs.append(f"size mismatch for {key}: copying a param with shape {shape_text(value)} from "
                          "checkpoint, "
                          f"the shape in current model is {shape_text(target)}.")
        return
    try:
        if not assign:
            with no_grad():
                target.copy_(value)
        else:
            if isinstance(target, Parameter):
                if not isinstance(value, Parameter):
                    value = Parameter(value, requires_grad=target.requires_grad)
                else:
                    value.requires_grad_(target.requires_grad)
            elif isinstance(target, Buffer) and not isinstance(value, Buffer):
                value = Buffer(value, persistent=target.persistent)
            setattr(module, name, value)
    except Exception as error:
        what = "swapping" if assign else "copying"
        error_msgs.append(
            f'While {what} the parameter named "{key}", whose dimensions in the model are '
            f'{shape_text(target)} and '
            f"whose dimensions in the checkpoint are {shape_text(value)}, an exception occurred : "
            f"{error.args}.")


def load_from_state_dict(self: Any, state_dict: Mapping, prefix: str, local_metadata: dict, strict: bool,
                         missing_keys: list[str], unexpected_keys: list[str], error_msgs: list[str]) -> None:
    """Copy this module's own entries, those whose key starts with ``prefix``, into it.

    Appends to ``missing_keys``, ``unexpected_keys`` and ``error_msgs``. A subclass overrides it to read
    the state of an older version.
    """
    for hook in self._load_state_dict_pre_hooks.values():
        hook(state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs)
    own = dict(_items(self))
    assign = local_metadata.get("assign_to_params_buffers", False)
    for name, target in own.items():
        key = prefix + name
        if key in state_dict:
            _copy_into(self, name, key, state_dict[key], target, assign, error_msgs)
        elif strict:
            missing_keys.append(key)
    key = prefix + _extra_key
    if _has_own(self, "set_extra_state"):
        if key in state_dict:
            self.set_extra_state(state_dict[key])
        elif strict:
            missing_keys.append(key)
    elif strict and key in state_dict:
        unexpected_keys.append(key)
    if strict:
        for key in state_dict:
            if key.startswith(prefix) and key != prefix + _extra_key:
                head, _, rest = key[len(prefix):].partition(".")
                if head not in own and not (rest and head in self._modules):
                    unexpected_keys.append(key)


def _quoted(keys: list[str]) -> str:
    return ", ".join(f'"{key}"' for key in keys)


def load_state_dict(self: Any, state_dict: Mapping, strict: bool = True,
                    assign: bool = False) -> IncompatibleKeys:
    """Copy parameters and buffers from ``state_dict`` into this module and those below it.

    With ``strict`` every key must match one of the module's and the reverse; without, ``missing_keys`` and
    ``unexpected_keys`` of the result name those that do not. ``assign`` puts the tensors of ``state_dict`` in
    the place of the module's own instead of copying their values. RuntimeError names every key that is
    missing, unexpected or of another shape; TypeError if ``state_dict`` is no mapping.
    """
    if not isinstance(state_dict, Mapping):
        raise TypeError(f"Expected state_dict to be dict-like, got {type(state_dict)}.")
    missing: list[str] = []
    unexpected: list[str] = []
    errors: list[str] = []
    metadata = getattr(state_dict, "_metadata", None)
    state_dict = OrderedDict(state_dict)
    if metadata is not None:
        state_dict._metadata = metadata

    def load(module: Any, local_state: Mapping, prefix: str) -> None:
        local_metadata = {} if metadata is None else metadata.get(prefix[:-1], {})
        if assign:
            local_metadata["assign_to_params_buffers"] = True
        module._load_from_state_dict(local_state, prefix, local_metadata, True, missing, unexpected, errors)
        for name, child in module._modules.items():
            if child is not None:
                path = f"{prefix}{name}."
                load(child, {k: v for k, v in local_state.items() if k.startswith(path)}, path)
        result = IncompatibleKeys(missing, unexpected)
        for hook in module._load_state_dict_post_hooks.values():
            if hook(module, result) is not None:
                raise AssertionError("A hook of register_load_state_dict_post_hook must change its "
                                     "incompatible_keys in place and return None.")

    load(self, state_dict, "")
    if strict:
        if missing:
            errors.insert(0, f"Missing key(s) in state_dict: {_quoted(missing)}. ")
        if unexpected:
            errors.insert(1 if missing else 0, f"Unexpected key(s) in state_dict: {_quoted(unexpected)}. ")
    if errors:
        raise RuntimeError("Error(s) in loading state_dict for "
                           f"{type(self).__name__}:\n\t" + "\n\t".join(errors))
    return IncompatibleKeys(missing, unexpected)


# ---- hooks

def register_state_dict_hook(self: Any, hook: Callable) -> RemovableHandle:
    """``hook(module, state_dict, prefix, local_metadata) -> None | state_dict`` after saving."""
    if getattr(hook, "_returns_none", False):
        raise RuntimeError("the hook is already registered by register_state_dict_post_hook")
    return register(self._state_dict_hooks, hook)


def register_state_dict_post_hook(self: Any, hook: Callable) -> RemovableHandle:
    """``hook(module, state_dict, prefix, local_metadata) -> None`` after saving; it may change the dict in
    place.
    """
    @functools.wraps(hook)
    def checked(*args: Any) -> None:
        return hook(*args)
    checked._returns_none = True
    return register(self._state_dict_hooks, checked)


def register_state_dict_pre_hook(self: Any, hook: Callable) -> RemovableHandle:
    """``hook(module, prefix, keep_vars) -> None`` before saving."""
    return register(self._state_dict_pre_hooks, hook)


def register_load_state_dict_pre_hook_without_module(self: Any, hook: Callable, with_module: bool = False
                                                     ) -> RemovableHandle:
    """As :func:`register_load_state_dict_pre_hook`, for hooks that do not take the module unless asked to."""
    return register(self._load_state_dict_pre_hooks, functools.partial(hook, self) if with_module else hook)


def register_load_state_dict_pre_hook(self: Any, hook: Callable) -> RemovableHandle:
    """Run ``hook`` before loading.

    It is called as ``hook(module, state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys,
    error_msgs) -> None``.
    """
    return register_load_state_dict_pre_hook_without_module(self, hook, with_module=True)


def register_load_state_dict_post_hook(self: Any, hook: Callable) -> RemovableHandle:
    """``hook(module, incompatible_keys) -> None`` after loading; it may change the two lists in place."""
    return register(self._load_state_dict_post_hooks, hook)
