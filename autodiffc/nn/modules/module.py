"""The base class of every layer and model."""
from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from ...utils.hooks import RemovableHandle, register
from .. import _hooks, _state
from .._base import Tensor, no_grad, ops, typename
from .._hooks import (  # noqa: F401
    register_module_backward_hook,
    register_module_buffer_registration_hook,
    register_module_forward_hook,
    register_module_forward_pre_hook,
    register_module_full_backward_hook,
    register_module_full_backward_pre_hook,
    register_module_module_registration_hook,
    register_module_parameter_registration_hook,
)
from .._registry import HookDict, Registry, changes
from ..parameter import Buffer, Parameter

_Self = TypeVar("_Self", bound="Module")
_any_global_hook = _hooks.any_global
_registries = ("_parameters", "_buffers", "_modules")
_missing = object()


def _indent(text: str, spaces: int) -> str:
    """Indent every line of ``text`` but the first."""
    return text.replace("\n", "\n" + " " * spaces)


def _check_name(kind: str, name: Any, owner: Module, registry: dict) -> None:
    """Refuse a name that cannot be an attribute of its own."""
    if not isinstance(name, str):
        raise TypeError(f"{kind} name should be a string. Got {typename(name)}")
    if hasattr(owner, name) and name not in registry:
        raise KeyError(f"attribute '{name}' already exists")
    if "." in name:
        raise KeyError(f'{kind} name can\'t contain "."' + (f", got: {name}" if kind == "module" else ""))
    if name == "":
        raise KeyError(f'{kind} name can\'t be empty string ""')


class Module:
    """Base class of layers and models.

    A subclass calls ``super().__init__()``, assigns parameters, buffers and other modules to attributes, and
    defines ``forward``; calling the module runs ``forward`` and its hooks. ``parameters()``,
    ``state_dict()``, ``to()`` and the rest then reach everything below it.

    Errors: assigning before ``super().__init__()`` is an AttributeError; putting something else than a
    parameter (module, tensor) where one is registered is a TypeError.
    """

    dump_patches: bool = False
    call_super_init: bool = False
    _version: int = 1
    training: bool
    _parameters: dict[str, Parameter | None]
    _buffers: dict[str, Tensor | None]
    _modules: dict[str, Module | None]
    _compiled_call_impl: Callable | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if not self.call_super_init:
            if kwargs:
                raise TypeError(f"{type(self).__name__}.__init__() got an unexpected keyword argument "
                                f"'{next(iter(kwargs))}'")
            if args:
                raise TypeError(f"{type(self).__name__}.__init__() takes 1 positional argument but "
                                f"{len(args) + 1} were given")
        namespace = self.__dict__
        namespace["training"] = True
        for name in _registries:
            if name in namespace:       # __init__ runs a second time: start over
                namespace[name].detach()
            namespace[name] = registry = Registry()
            registry.attach(self)
        namespace["_non_persistent_buffers_set"] = set()
        namespace["_is_full_backward_hook"] = None
        for name in _run_hooks:
            namespace[name] = HookDict(self)
        for name in _hook_dicts:
            namespace[name] = OrderedDict()
        namespace["_hooked"] = False        # whether there may be hooks to run: set when one is registered
        if self.call_super_init:
            super().__init__(*args, **kwargs)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the module computes. Every subclass defines it."""
        raise NotImplementedError(f'Module [{type(self).__name__}] is missing the required "forward" '
                                  'function')

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self._hooked or _any_global_hook:
            return _hooks.call(self, args, kwargs)
        return self.forward(*args, **kwargs)

    _call_impl = _wrapped_call_impl = __call__

    # ---- attributes

    def __getattr__(self, name: str) -> Any:
        namespace = self.__dict__
        for registry in _registries:
            members = namespace.get(registry)
            if members is not None and name in members:
                return members[name]
        raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")

    def _forget(self, name: str, *kept: str) -> None:
        """Take ``name`` out of everything but the registries ``kept``, before it gets a new meaning."""
        namespace = self.__dict__
        for registry in _registries:
            if registry not in kept and name in namespace.get(registry, ()):
                del namespace[registry][name]
        if not any(name in namespace.get(registry, ()) for registry in kept):
            namespace.pop(name, None)
        if "_buffers" not in kept:
            namespace.get("_non_persistent_buffers_set", set()).discard(name)

    def __setattr__(self, name: str, value: Any) -> None:
        namespace = self.__dict__
        if isinstance(value, Parameter):
            if "_parameters" not in namespace:
                raise AttributeError("cannot assign parameters before Module.__init__() call")
            self._forget(name, "_parameters")
            self.register_parameter(name, value)
            return
        if name in namespace.get("_parameters", ()):
            if value is not None:
                raise TypeError(f"cannot assign '{typename(value)}' as parameter '{name}' "
                                "(torch.nn.Parameter or None expected)")
            self.register_parameter(name, None)
        elif isinstance(value, Module):
            if "_modules" not in namespace:
                raise AttributeError("cannot assign module before Module.__init__() call")
            self._forget(name, "_modules")
            self._modules[name] = _hooks.on_registration("module", self, name, value)
        elif name in namespace.get("_modules", ()):
            if value is not None:
                raise TypeError(f"cannot assign '{typename(value)}' as child module '{name}' "
                                "(torch.nn.Module or None expected)")
            self._modules[name] = _hooks.on_registration("module", self, name, None)
        elif isinstance(value, Buffer) or name in namespace.get("_buffers", ()):
            if value is not None and not isinstance(value, Tensor):
                raise TypeError(f"cannot assign '{typename(value)}' as buffer '{name}' "
                                "(torch.nn.Buffer, torch.Tensor or None expected)")
            if isinstance(value, Buffer):
                if "_buffers" not in namespace:
                    raise AttributeError("cannot assign buffer before Module.__init__() call")
                self._forget(name, "_buffers")
                self.register_buffer(name, value, value.persistent)
            else:
                self._buffers[name] = _hooks.on_registration("buffer", self, name, value)
        elif name in _registries and isinstance(value, dict):
            self._set_registry(name, value)
        else:
            if name in _run_hooks:
                value = HookDict(self, value)
                namespace["_hooked"] = True
            if name in _noted or (type(value) in _simple and namespace.get(name, _missing) is not value):
                changes[0] += 1
            object.__setattr__(self, name, value)

    def _set_registry(self, name: str, value: dict) -> None:
        """``self._parameters = {...}`` and the like."""
        old = self.__dict__.get(name)
        if isinstance(old, Registry):
            for key, member in old.items():
                if self.__dict__.get(key, _missing) is member:
                    del self.__dict__[key]
            if old.owner() is self:
                old.detach()
        self.__dict__[name] = registry = Registry(value)
        registry.attach(self)

    def __delattr__(self, name: str) -> None:
        namespace = self.__dict__
        for registry in _registries:
            if name in namespace.get(registry, ()):
                del namespace[registry][name]
                if registry == "_buffers":
                    self._non_persistent_buffers_set.discard(name)
                return
        if name not in namespace and not hasattr(type(self), name):
            raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")
        object.__delattr__(self, name)
        if name in _noted:
            changes[0] += 1

    def __dir__(self) -> list[str]:
        names = set(dir(type(self))) | set(self.__dict__)
        for registry in _registries:
            names.update(getattr(self, registry))
        return sorted(name for name in names if not name[:1].isdigit())

    def __getstate__(self) -> dict:
        state = self.__dict__.copy()
        state.pop("_compiled_call_impl", None)
        for registry in _registries:        # what is repeated from a registry is not state
            for name, member in state.get(registry, {}).items():
                if state.get(name, _missing) is member:
                    del state[name]
        return state

    def __setstate__(self, state: dict) -> None:
        self.__dict__.update(state)
        namespace = self.__dict__
        for name in _registries:
            members = namespace.get(name, {})
            if isinstance(members, Registry) and members.owner() is not None:
                continue    # a shallow copy shares its original's registries and reads them by __getattr__
            namespace[name] = registry = Registry(members)
            registry.attach(self)
        namespace.setdefault("_non_persistent_buffers_set", set())
        namespace.setdefault("_is_full_backward_hook", None)
        for name in _run_hooks:
            hooks = namespace.get(name, ())
            if not (isinstance(hooks, HookDict) and hooks.has_owner()):
                namespace[name] = HookDict(self, hooks)
        for name in _hook_dicts:
            namespace.setdefault(name, OrderedDict())
        namespace["_hooked"] = True

    # ---- registration

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        """Add a tensor that is part of the module's state and not a parameter (None: keep the name only).

        A buffer that is not ``persistent`` stays out of ``state_dict()``.
        """
        if "_buffers" not in self.__dict__:
            raise AttributeError("cannot assign buffer before Module.__init__() call")
        _check_name("buffer", name, self, self._buffers)
        if tensor is not None and not isinstance(tensor, Tensor):
            raise TypeError(f"cannot assign '{typename(tensor)}' object to buffer '{name}' "
                            "(torch Tensor or None required)")
        self._buffers[name] = _hooks.on_registration("buffer", self, name, tensor)
        if persistent:
            self._non_persistent_buffers_set.discard(name)
        else:
            self._non_persistent_buffers_set.add(name)

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """Add a parameter (None: keep the name only, as a layer without a bias does)."""
        if "_parameters" not in self.__dict__:
            raise AttributeError("cannot assign parameter before Module.__init__() call")
        _check_name("parameter", name, self, self._parameters)
        if param is not None:
            if not isinstance(param, Parameter):
                raise TypeError(f"cannot assign '{typename(param)}' object to parameter '{name}' "
                                "(torch.nn.Parameter or None required)")
            if param.grad_fn is not None:
                raise ValueError(f"Cannot assign non-leaf Tensor to parameter '{name}': a parameter is a "
                                 "leaf; "
                                 "compute the value in forward() if it depends on another tensor.")
            param = _hooks.on_registration("parameter", self, name, param)
        self._parameters[name] = param

    def add_module(self, name: str, module: Module | None) -> None:
        """Add a child module under ``name``."""
        if not isinstance(module, Module) and module is not None:
            raise TypeError(f"{typename(module)} is not a Module subclass")
        _check_name("module", name, self, self._modules)
        self._modules[name] = _hooks.on_registration("module", self, name, module)

    def register_module(self, name: str, module: Module | None) -> None:
        """The same as :meth:`add_module`."""
        self.add_module(name, module)

    # ---- members by path

    def get_submodule(self, target: str) -> Module:
        """The module at a dotted path (``""`` is the module itself); AttributeError if there is none."""
        module = self
        for name in target.split(".") if target else ():
            if not hasattr(module, name):
                raise AttributeError(f"{module._get_name()} has no attribute `{name}`")
            module = getattr(module, name)
            if not isinstance(module, Module):
                raise AttributeError(f"`{name}` is not an nn.Module")
        return module

    def set_submodule(self, target: str, module: Module, strict: bool = False) -> None:
        """Put ``module`` at a dotted path; with ``strict`` only in the place of one that exists."""
        if target == "":
            raise ValueError("Cannot set the submodule without a target name!")
        if not isinstance(module, Module):
            raise ValueError(f"`module` is not an nn.Module, found {type(module)}")
        path, _, name = target.rpartition(".")
        parent = self.get_submodule(path)
        if strict and not hasattr(parent, name):
            raise AttributeError(f"{parent._get_name()} has no attribute `{name}`")
        if hasattr(parent, name) and not isinstance(getattr(parent, name), Module):
            raise AttributeError(f"`{name}` is not an nn.Module")
        setattr(parent, name, module)

    def _member(self, target: str) -> tuple[Module, str, Any]:
        path, _, name = target.rpartition(".")
        module = self.get_submodule(path)
        if not hasattr(module, name):
            raise AttributeError(f"{module._get_name()} has no attribute `{name}`")
        return module, name, getattr(module, name)

    def get_parameter(self, target: str) -> Parameter:
        """The parameter at a dotted path; AttributeError if there is none."""
        _, name, param = self._member(target)
        if not isinstance(param, Parameter):
            raise AttributeError(f"`{name}` is not an nn.Parameter")
        return param

    def get_buffer(self, target: str) -> Tensor:
        """The buffer at a dotted path; AttributeError if there is none."""
        module, name, buffer = self._member(target)
        if name not in module._buffers:
            raise AttributeError(f"`{name}` is not a buffer")
        return buffer

    # ---- walking

    def _named_members(self, members: Callable[[Module], Any], prefix: str = "", recurse: bool = True,
                       remove_duplicate: bool = True) -> Iterator[tuple[str, Any]]:
        seen: set[int] = set()
        modules = self.named_modules(prefix=prefix, remove_duplicate=remove_duplicate) if recurse else [
            (prefix, self)]
        for path, module in modules:
            for name, value in members(module):
                if value is None or id(value) in seen:
                    continue
                if remove_duplicate:
                    seen.add(id(value))
                yield f"{path}.{name}" if path else name, value

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """The parameters, each once, in the order in which they were registered."""
        for _, param in self.named_parameters(recurse=recurse):
            yield param

    def named_parameters(self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
                         ) -> Iterator[tuple[str, Parameter]]:
        """Pairs of dotted path and parameter."""
        yield from self._named_members(lambda m: m._parameters.items(), prefix, recurse, remove_duplicate)

    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:
        """The buffers, each once."""
        for _, buffer in self.named_buffers(recurse=recurse):
            yield buffer

    def named_buffers(self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
                      ) -> Iterator[tuple[str, Tensor]]:
        """Pairs of dotted path and buffer."""
        yield from self._named_members(lambda m: m._buffers.items(), prefix, recurse, remove_duplicate)

    def children(self) -> Iterator[Module]:
        """The modules directly below this one, each once."""
        for _, module in self.named_children():
            yield module

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """Pairs of name and module, directly below this one."""
        seen: set[int] = set()
        for name, module in self._modules.items():
            if module is not None and id(module) not in seen:
                seen.add(id(module))
                yield name, module

    def modules(self, remove_duplicate: bool = True) -> Iterator[Module]:
        """This module and every module below it, each once."""
        for _, module in self.named_modules(remove_duplicate=remove_duplicate):
            yield module

    def named_modules(self, memo: set | None = None, prefix: str = "", remove_duplicate: bool = True
                      ) -> Iterator[tuple[str, Module]]:
        """Pairs of dotted path and module, depth first, this one included; ``memo`` holds those already seen.
        """
        memo = set() if memo is None else memo
        if self in memo:
            return
        if remove_duplicate:
            memo.add(self)
        yield prefix, self
        for name, module in self._modules.items():
            if module is not None:
                path = f"{prefix}.{name}" if prefix else name
                yield from module.named_modules(memo, path, remove_duplicate)

    def apply(self: _Self, fn: Callable[[Module], None]) -> _Self:
        """Call ``fn`` on every module below this one, children first, and then on this one."""
        for module in self.children():
            module.apply(fn)
        fn(self)
        return self

    # ---- mode, gradients

    def train(self: _Self, mode: bool = True) -> _Self:
        """Set training mode here and below (``mode=False``: evaluation)."""
        if not isinstance(mode, bool):
            raise ValueError("training mode is expected to be boolean")
        self.training = mode
        for module in self.children():
            module.train(mode)
        return self

    def eval(self: _Self) -> _Self:
        """Set evaluation mode here and below."""
        return self.train(False)

    def requires_grad_(self: _Self, requires_grad: bool = True) -> _Self:
        """Set ``requires_grad`` of every parameter."""
        for param in self.parameters():
            param.requires_grad_(requires_grad)
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget every parameter's gradient, or set it to zeros."""
        for param in self.parameters():
            grad = param.grad
            if grad is None:
                continue
            if set_to_none:
                param.grad = None
            else:
                grad.requires_grad_(False) if grad.grad_fn is None else grad.detach_()
                grad.zero_()

    # ---- conversion

    def _apply(self: _Self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> _Self:
        """Replace the data of every parameter, gradient and buffer by ``fn`` of it; parameters stay who they
        are.
        """
        if recurse:
            for module in self.children():
                module._apply(fn)
        for param in self._parameters.values():
            if param is None:
                continue
            with no_grad():
                data, grad = fn(param), param.grad
                param.data = data
                if grad is not None:
                    param.grad = fn(grad).requires_grad_(grad.requires_grad)
        for name, buffer in self._buffers.items():
            if buffer is not None:
                self._buffers[name] = fn(buffer)
        return self

    def to(self: _Self, *args: Any, **kwargs: Any) -> _Self:
        """Convert in place: ``to(device)``, ``to(dtype)``, ``to(tensor)``, with ``non_blocking`` and
        ``memory_format``.

        Only floating point parameters and buffers take the dtype. TypeError for a dtype that is not floating.
        """
        like = ops.empty(0)
        device = kwargs.get("device")
        dtype = kwargs.get("dtype")
        for arg in args:
            if isinstance(arg, Tensor):
                dtype, device = arg.dtype, arg.device
            elif isinstance(arg, type(like.dtype)):
                dtype = arg
            elif device is None and not isinstance(arg, bool):
                device = arg
        other = kwargs.get("tensor", kwargs.get("other"))
        if other is not None:
            dtype, device = other.dtype, other.device
        if dtype is not None and not (dtype.is_floating_point or dtype.is_complex):
            raise TypeError("nn.Module.to only accepts floating point or complex dtypes, "
                            f"but got desired dtype={dtype}")
        if device is not None:
            like.to(device)         # says what is wrong with a device that is not there

        def convert(tensor: Tensor) -> Tensor:
            if dtype is None or not (tensor.is_floating_point() or tensor.is_complex()):
                return tensor
            return tensor.to(dtype)
        return self._apply(convert)

    def _apply_floating(self: _Self, name: str) -> _Self:
        return self._apply(lambda t: getattr(t, name)() if t.is_floating_point() else t)

    def float(self: _Self) -> _Self:
        """Floating point parameters and buffers to float32."""
        return self._apply_floating("float")

    def double(self: _Self) -> _Self:
        """Floating point parameters and buffers to float64."""
        return self._apply_floating("double")

    def half(self: _Self) -> _Self:
        """Floating point parameters and buffers to float16."""
        return self._apply_floating("half")

    def bfloat16(self: _Self) -> _Self:
        """Floating point parameters and buffers to bfloat16."""
        return self._apply_floating("bfloat16")

    def type(self: _Self, dst_type: Any) -> _Self:
        """Every parameter and buffer to ``dst_type``."""
        return self._apply(lambda t: t.type(dst_type))

    def cpu(self: _Self) -> _Self:
        """Everything to the CPU, where it is."""
        return self._apply(lambda t: t.cpu())

    def cuda(self: _Self, device: Any = None) -> _Self:
        """AssertionError, as in a build of PyTorch without CUDA, unless there is nothing to move."""
        return self._apply(lambda t: t.cuda(device))

    def xpu(self: _Self, device: Any = None) -> _Self:
        """AssertionError, as in a build of PyTorch without XPU."""
        raise AssertionError("Torch not compiled with XPU enabled")

    def mtia(self: _Self, device: Any = None) -> _Self:
        """AssertionError, as in a build of PyTorch without MTIA."""
        raise AssertionError("Torch not compiled with MTIA enabled")

    def ipu(self: _Self, device: Any = None) -> _Self:
        """RuntimeError, as in a build of PyTorch without IPU."""
        raise RuntimeError("PyTorch is not linked with support for ipu devices")

    def to_empty(self: _Self, *, device: Any, recurse: bool = True) -> _Self:
        """Replace everything by uninitialised tensors of the same shapes."""
        return self._apply(lambda t: ops.empty_like(t, device=device), recurse=recurse)

    def share_memory(self: _Self) -> _Self:
        """Move everything to memory that other processes can map."""
        return self._apply(lambda t: t.share_memory_())

    def compile(self, *args: Any, **kwargs: Any) -> None:
        """From now on calls of this module go through ``compile()``, which takes the arguments."""
        from ... import compile

        def call(*args: Any, **kwargs: Any) -> Any:
            return _hooks.call(self, args, kwargs, compiled=True)
        call.__qualname__ = type(self).__name__
        self.__dict__["_compiled_call_impl"] = compile(call, *args, **kwargs)
        self._hooked = True

    # ---- state

    T_destination = TypeVar("T_destination", bound=dict)

    def get_extra_state(self) -> Any:
        """What ``state_dict()`` saves beside parameters and buffers. A subclass that has any defines it."""
        raise RuntimeError("Module.get_extra_state() was called on a module that does not define it")

    def set_extra_state(self, state: Any) -> None:
        """Take what :meth:`get_extra_state` gave. A subclass that defines the one defines the other."""
        raise RuntimeError("Module.set_extra_state() was called on a module that does not define it")

    state_dict = _state.state_dict
    load_state_dict = _state.load_state_dict
    _save_to_state_dict = _state.save_to_state_dict
    _load_from_state_dict = _state.load_from_state_dict
    _register_state_dict_hook = _state.register_state_dict_hook
    _register_load_state_dict_pre_hook = _state.register_load_state_dict_pre_hook_without_module
    register_state_dict_pre_hook = _state.register_state_dict_pre_hook
    register_state_dict_post_hook = _state.register_state_dict_post_hook
    register_load_state_dict_pre_hook = _state.register_load_state_dict_pre_hook
    register_load_state_dict_post_hook = _state.register_load_state_dict_post_hook

    # ---- hooks

    def register_forward_pre_hook(self, hook: Callable, *, prepend: bool = False, with_kwargs: bool = False
                                  ) -> RemovableHandle:
        """``hook(module, args) -> None | args`` before ``forward``.

        With ``with_kwargs`` it is ``hook(module, args, kwargs) -> None | (args, kwargs)``.
        """
        handle = register(self._forward_pre_hooks, hook, prepend=prepend,
                          extra_dict=self._forward_pre_hooks_with_kwargs)
        self._hooked = True
        if with_kwargs:
            self._forward_pre_hooks_with_kwargs[handle.id] = True
        return handle

    def register_forward_hook(self, hook: Callable, *, prepend: bool = False, with_kwargs: bool = False,
                              always_call: bool = False) -> RemovableHandle:
        """``hook(module, args, output) -> None | output`` after ``forward``.

        With ``with_kwargs`` it is ``hook(module, args, kwargs, output)``; with ``always_call`` it also runs
        when ``forward`` or another hook raises.
        """
        handle = register(self._forward_hooks, hook, prepend=prepend,
                          extra_dict=[self._forward_hooks_with_kwargs, self._forward_hooks_always_called])
        self._hooked = True
        if with_kwargs:
            self._forward_hooks_with_kwargs[handle.id] = True
        if always_call:
            self._forward_hooks_always_called[handle.id] = True
        return handle

    def register_full_backward_pre_hook(self, hook: Callable, prepend: bool = False) -> RemovableHandle:
        """``hook(module, grad_output) -> None | grad_output`` when the outputs' gradients are known."""
        self._hooked = True
        return register(self._backward_pre_hooks, hook, prepend=prepend)

    def register_full_backward_hook(self, hook: Callable, prepend: bool = False) -> RemovableHandle:
        """``hook(module, grad_input, grad_output) -> None | grad_input`` when the inputs' gradients are
        known.

        Both are tuples, with None for what is no tensor. RuntimeError if the module already has a hook
        by :meth:`register_backward_hook`.
        """
        self._set_backward_kind(True)
        return register(self._backward_hooks, hook, prepend=prepend)

    def register_backward_hook(self, hook: Callable) -> RemovableHandle:
        """The old form of :meth:`register_full_backward_hook`; both on one module are refused."""
        self._set_backward_kind(False)
        return register(self._backward_hooks, hook)

    def _set_backward_kind(self, full: bool) -> None:
        if self._is_full_backward_hook is (not full):
            raise RuntimeError("Cannot use both regular backward hooks and full backward hooks on a single "
                               "Module. Please use only one of them.")
        self._is_full_backward_hook = full
        self._hooked = True

    # ---- text

    def _get_name(self) -> str:
        return type(self).__name__

    def extra_repr(self) -> str:
        """What stands between the parentheses of the module's own line."""
        return ""

    def __repr__(self) -> str:
        own = self.extra_repr()
        lines = own.split("\n") if own else []
        children = [f"({name}): {_indent(repr(module), 2)}" for name, module in self._modules.items()]
        if len(lines) == 1 and not children:
            return f"{self._get_name()}({own})"
        if not lines and not children:
            return f"{self._get_name()}()"
        return f"{self._get_name()}(\n  " + "\n  ".join(lines + children) + "\n)"


_run_hooks = ("_backward_pre_hooks", "_backward_hooks", "_forward_hooks", "_forward_pre_hooks")   # at a call
_hook_dicts = ("_forward_hooks_with_kwargs", "_forward_hooks_always_called", "_forward_pre_hooks_with_kwargs",
               "_state_dict_hooks", "_state_dict_pre_hooks", "_load_state_dict_pre_hooks",
               "_load_state_dict_post_hooks")
_noted = {"training", "forward", *_run_hooks}
_simple = frozenset({int, float, bool, str, type(None)})    # what captured steps take from a module's attributes

# PyTorch's names, which scripts import
_addindent = _indent
_IncompatibleKeys = _state.IncompatibleKeys
_EXTRA_STATE_KEY_SUFFIX = "_extra_state"
