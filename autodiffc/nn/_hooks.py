"""Running a module that has hooks, and the hooks that apply to every module.

``Module.__call__`` comes here only when there is a hook to run, so that a module without any pays for one
test and no more.
"""
from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from ..utils.hooks import RemovableHandle, register
from ._base import Tensor, is_grad_enabled, ops
from ._registry import HookDict

# Hooks of every module by kind. `any_global` holds the ids of those that run, so that one test tells whether
# there are any.
any_global: HookDict = HookDict()
_global: dict[str, HookDict] = {kind: HookDict() for kind in (
    "forward_pre", "forward", "forward_kwargs", "forward_always", "backward_pre", "backward",
    "parameter", "buffer", "module")}


_watcher: list[Callable] = []   # of the recording that is under way


def watch(seen: Callable) -> Callable:
    """Call ``seen(module)`` with every module that is called, before it runs. Returns what ends that."""
    _watcher.append(seen)
    any_global["watcher"] = True

    def end() -> None:
        _watcher.remove(seen)
        if not _watcher:
            del any_global["watcher"]
    return end


def _register_global(kind: str, hook: Callable, *also: str) -> RemovableHandle:
    extras = [_global[name] for name in also]
    if kind in ("forward_pre", "forward", "backward_pre", "backward"):
        extras.append(any_global)
    handle = register(_global[kind], hook, extra_dict=extras)
    for extra in extras:
        extra[handle.id] = True
    return handle


def register_module_forward_pre_hook(hook: Callable) -> RemovableHandle:
    """``hook(module, args) -> None | args`` before every module's ``forward``."""
    return _register_global("forward_pre", hook)


def register_module_forward_hook(hook: Callable, *, with_kwargs: bool = False, always_call: bool = False
                                 ) -> RemovableHandle:
    """``hook(module, args, output) -> None | output`` after every module's ``forward``.

    ``with_kwargs`` makes it ``hook(module, args, kwargs, output)``; ``always_call`` runs it even when
    ``forward`` raises.
    """
    also = ["forward_kwargs"] * with_kwargs + ["forward_always"] * always_call
    return _register_global("forward", hook, *also)


def register_module_full_backward_pre_hook(hook: Callable) -> RemovableHandle:
    """``hook(module, grad_output) -> None | grad_output`` before every module's backward."""
    return _register_global("backward_pre", hook)


def register_module_full_backward_hook(hook: Callable) -> RemovableHandle:
    """``hook(module, grad_input, grad_output) -> None | grad_input`` after every module's backward."""
    return _register_global("backward", hook)


def register_module_backward_hook(hook: Callable) -> RemovableHandle:
    """The old name of :func:`register_module_full_backward_hook`."""
    return _register_global("backward", hook)


def register_module_parameter_registration_hook(hook: Callable) -> RemovableHandle:
    """``hook(module, name, param) -> None | param`` when any module registers a parameter."""
    return _register_global("parameter", hook)


def register_module_buffer_registration_hook(hook: Callable) -> RemovableHandle:
    """``hook(module, name, buffer) -> None | buffer`` when any module registers a buffer."""
    return _register_global("buffer", hook)


def register_module_module_registration_hook(hook: Callable) -> RemovableHandle:
    """``hook(module, name, submodule) -> None | submodule`` when any module registers a submodule."""
    return _register_global("module", hook)


def of_call(module: Any) -> list:
    """What a call of the module runs beside ``forward``: its own hooks, and what stands in for ``forward``."""
    return [module.__dict__.get("forward"), *module._forward_pre_hooks.values(), *module._forward_hooks.values(),
            *module._backward_pre_hooks.values(), *module._backward_hooks.values()]


def of_every_call() -> list:
    """The hooks that every module's call runs."""
    return [hook for kind in ("forward_pre", "forward", "backward_pre", "backward")
            for hook in _global[kind].values()]


def on_registration(kind: str, module: Any, name: str, value: Any) -> Any:
    """``value``, or what the registration hooks of this kind put in its place."""
    for hook in _global[kind].values():
        replaced = hook(module, name, value)
        if replaced is not None:
            value = replaced
    return value


@functools.cache
def _tap_function() -> Any:
    """A function of autograd: the identity on tensors, calling ``seen(grads)`` when their gradients pass back."""
    from ..autograd import Function

    class Tap(Function):
        @staticmethod
        def forward(ctx: Any, seen: Callable, *tensors: Tensor) -> tuple:
            ctx.seen = seen
            ctx.set_materialize_grads(False)
            return tuple(t.view_as(t) for t in tensors)

        @staticmethod
        def backward(ctx: Any, *grads: Any) -> tuple:
            return (None, *ctx.seen(grads))
    return Tap


def _as_tuple(value: Any) -> tuple:
    return value if isinstance(value, tuple) else (value,)


class _BackwardHooks:
    """Backward hooks of one call of one module.

    Taps on the tensors that go in and come out see the gradients. The tap on the outputs runs first in the
    backward pass: it runs the pre hooks and remembers ``grad_output``. The tap on the inputs then runs the
    hooks, whose result replaces ``grad_input``. When no input requires a gradient the tap on the outputs
    runs the hooks as well.
    """

    def __init__(self, module: Any, pre_hooks: list, hooks: list) -> None:
        self.module = module
        self.pre_hooks = pre_hooks
        self.hooks = hooks
        self.grad_output: tuple | None = None
        self.n_inputs = -1
        self.tapped_input: list[int] = []
        self.tensor_inputs: list[tuple[int, tuple, Any]] = []       # where, size, dtype
        self.n_outputs = 0
        self.tapped_output: list[int] = []

    def _tap(self, seen: Callable, values: tuple) -> tuple[tuple, list[int]]:
        where = [i for i, v in enumerate(values) if isinstance(v, Tensor) and v.requires_grad]
        if not (where and is_grad_enabled()):
            return values, []
        tapped = _as_tuple(_tap_function().apply(seen, *(values[i] for i in where)))
        result = list(values)
        for i, tensor in zip(where, tapped):
            result[i] = tensor
        return tuple(result), where

    def inputs(self, args: tuple) -> tuple:
        self.n_inputs = len(args)
        result, self.tapped_input = self._tap(self._saw_grad_input, args)
        if self.tapped_input:
            self.tensor_inputs = [(i, tuple(arg.shape), arg.dtype) for i, arg in enumerate(args)
                                  if isinstance(arg, Tensor)]
        return result

    def outputs(self, output: Any) -> Any:
        values = _as_tuple(output)
        self.n_outputs = len(values)
        result, self.tapped_output = self._tap(self._saw_grad_output, values)
        return result if isinstance(output, tuple) else result[0]

    def _saw_grad_output(self, grads: tuple) -> tuple:
        full: tuple = self._spread(grads, self.tapped_output, self.n_outputs)
        for hook in self.pre_hooks:
            result = hook(self.module, full)
            if result is not None:
                full = self._checked(result, len(full), "grad_output", "Backward pre hook")
        self.grad_output = full
        if not self.tapped_input:
            for hook in self.hooks:
                result = hook(self.module, (None,) * max(self.n_inputs, 0), full)
                if result is not None and any(g is not None for g in _as_tuple(result)):
                    raise RuntimeError(
                        "Backward hook for Modules where no input requires gradient should always return "
                        "None or None for all gradients.")
        return tuple(full[i] for i in self.tapped_output)

    def _saw_grad_input(self, grads: tuple) -> tuple:
        if self.grad_output is None:    # nothing went through the outputs: there is nothing to report
            return grads
        given = list(self._spread(grads, self.tapped_input, self.n_inputs))
        for i, size, dtype in self.tensor_inputs:
            if given[i] is None:
                given[i] = ops.zeros(size, dtype=dtype)
        full = tuple(given)
        for hook in self.hooks:
            result = hook(self.module, full, self.grad_output)
            if result is not None:
                full = self._checked(result, len(full), "grad_input", "Backward hook")
        self.grad_output = None
        return tuple(full[i] for i in self.tapped_input)

    @staticmethod
    def _spread(grads: tuple, where: list[int], n: int) -> tuple:
        full: list = [None] * n
        for i, grad in zip(where, grads):
            full[i] = grad
        return tuple(full)

    @staticmethod
    def _checked(result: Any, n: int, what: str, who: str) -> tuple:
        result = _as_tuple(result)
        if len(result) != n:
            raise RuntimeError(f"{who} returned an invalid number of {what}, got {len(result)}, but "
                               f"expected {n}")
        return result


def _run_pre_hooks(module: Any, args: tuple, kwargs: dict) -> tuple[tuple, dict]:
    with_kwargs = module._forward_pre_hooks_with_kwargs
    for key, hook in (*_global["forward_pre"].items(), *module._forward_pre_hooks.items()):
        if key in with_kwargs:
            result = hook(module, args, kwargs)
            if result is None:
                continue
            if not (isinstance(result, tuple) and len(result) == 2):
                raise RuntimeError("forward pre-hook must return None or a tuple of (new_args, new_kwargs), "
                                   f"but got {result}.")
            args, kwargs = result
        else:
            result = hook(module, args)
            if result is not None:
                args = _as_tuple(result)
    return args, kwargs


def _run_hook(module: Any, hook: Callable, wants_kwargs: bool, args: tuple, kwargs: dict, output: Any) -> Any:
    result = hook(module, args, kwargs, output) if wants_kwargs else hook(module, args, output)
    return output if result is None else result


def call(module: Any, args: tuple, kwargs: dict, compiled: bool = False) -> Any:
    """``module.forward(*args, **kwargs)`` with every hook that applies; through ``compile()`` where the module has been
    compiled in place, unless ``compiled`` says that this is the call from there.
    """
    inner = module.__dict__.get("_compiled_call_impl")
    if inner is not None and not compiled:
        return inner(*args, **kwargs)
    if _watcher:
        _watcher[-1](module)
    if inner is None and not (module._forward_hooks or module._forward_pre_hooks or module._backward_hooks
            or module._backward_pre_hooks):
        module.__dict__["_hooked"] = False      # all were removed
        if len(any_global) == bool(_watcher):
            return module.forward(*args, **kwargs)
    done: set[int] = set()
    output = None
    try:
        args, kwargs = _run_pre_hooks(module, args, kwargs)
        backward = None
        pre_hooks = [*_global["backward_pre"].values(), *module._backward_pre_hooks.values()]
        hooks = [*_global["backward"].values(), *module._backward_hooks.values()]
        if pre_hooks or hooks:
            backward = _BackwardHooks(module, pre_hooks, hooks)
            args = backward.inputs(args)
        output = module.forward(*args, **kwargs)
        for key, hook, wants_kwargs, _ in _forward_hooks(module):
            done.add(key)
            output = _run_hook(module, hook, wants_kwargs, args, kwargs, output)
        return output if backward is None else backward.outputs(output)
    except Exception:
        for key, hook, wants_kwargs, always in _forward_hooks(module):
            if always and key not in done:
                try:
                    output = _run_hook(module, hook, wants_kwargs, args, kwargs, output)
                except Exception as error:
                    import warnings
                    warnings.warn(f"{'global ' * (key in _global['forward'])}module forward hook with "
                                  f"``always_call=True`` raised an exception that was silenced as another "
                                  f"error was raised in forward: {error}", stacklevel=3)
        raise


def _forward_hooks(module: Any) -> list[tuple[int, Callable, bool, bool]]:
    kwargs, always = _global["forward_kwargs"], _global["forward_always"]
    found = [(k, h, k in kwargs, k in always) for k, h in _global["forward"].items()]
    kwargs, always = module._forward_hooks_with_kwargs, module._forward_hooks_always_called
    found += [(k, h, k in kwargs, k in always) for k, h in module._forward_hooks.items()]
    return found
