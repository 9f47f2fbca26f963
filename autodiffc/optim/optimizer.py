"""The base class of optimizers."""
from __future__ import annotations

import functools
from collections import OrderedDict
from collections.abc import Callable, Iterable
from copy import deepcopy
from functools import partial
from itertools import chain
from operator import is_
from typing import Any

from .. import _capture
from ..autograd import enable_grad, set_grad_enabled
from ..tensor import Tensor
from ..utils.hooks import RemovableHandle, register
from . import _sparse, _update
from ._state import State


class _Required:
    """Default of an option that every group must give."""

    def __repr__(self) -> str:
        return "<required parameter>"


required = _Required()
_RequiredParameter = _Required
ParamsT = Any
"""What an optimizer takes: tensors, pairs of name and tensor, or groups (for annotations)."""
params_t = ParamsT
_hook_kinds = ("step_pre", "step_post", "state_dict_pre", "state_dict_post", "load_state_dict_pre",
               "load_state_dict_post")
_global_pre: OrderedDict = OrderedDict()
_global_post: OrderedDict = OrderedDict()


def register_optimizer_step_pre_hook(hook: Callable) -> RemovableHandle:
    """``hook(optimizer, args, kwargs) -> None | (args, kwargs)`` before every optimizer's step."""
    return register(_global_pre, hook)


def register_optimizer_step_post_hook(hook: Callable) -> RemovableHandle:
    """``hook(optimizer, args, kwargs) -> None`` after every optimizer's step."""
    return register(_global_post, hook)


class Plan:
    """What one parameter group's calls into the core need, made once and kept while it is right."""

    __slots__ = ("all", "arrays", "flags", "key", "listed", "n", "numbers", "options", "params", "values", "version",
                 "waiting")

    def __init__(self, params: list[Tensor], key: Any) -> None:
        self.params = params
        self.key = key
        self.version = -1
        self.all = _update.Handles(params)
        self.waiting: list[Tensor] = []     # parameters that have no state yet
        self.n = 0                          # how many have one
        self.arrays: Any = None             # their handles and their state's
        self.options: dict | None = None    # the group as it was, if its options are plain; then also what follows
        self.listed: list | None = None     # of them: the group's list of parameters,
        self.numbers: list = []             # the row's numbers,
        self.values: Any = None             # the same in C,
        self.flags = 0                      # and its flags

    def remember(self, optimizer: Optimizer, group: dict[str, Any]) -> None:
        """Keep what a step asks of the options, for as long as they are the same."""
        plain = (type(value) in _plain for name, value in group.items() if name not in ("params", "param_names"))
        if optimizer._op >= 0 and all(plain):
            self.options, self.listed = {**group}, group["params"]
            self.numbers, self.flags = optimizer._numbers(group), optimizer._flags(group)
            self.values = _update.values_of(self.numbers)
        else:
            self.options = None

    def stands(self, group: dict[str, Any]) -> bool:
        """Whether the options are those that were remembered."""
        return self.options is not None and group["params"] is self.listed and group == self.options


_plain = {int, float, bool, str, tuple, type(None)}


class Unchanged:
    """Asks before each replay whether a group's parameters, state and constant options are those of the recorded
    step."""

    __slots__ = ("constants", "groups", "index", "optimizer", "options", "plan", "version")

    def __init__(self, optimizer: Optimizer, index: int, plan: Plan, constants: list) -> None:
        self.optimizer, self.index, self.plan, self.constants = optimizer, index, plan, constants
        self.version = optimizer.state._version[0]
        self.groups = len(optimizer.param_groups)
        self.options = plan.options     # that have these constants

    def __call__(self) -> bool:
        optimizer, index = self.optimizer, self.index
        if self.groups != len(optimizer.param_groups) or self.version != optimizer.state._version[0]:
            return False
        group = optimizer.param_groups[index]
        plan = optimizer._plan(index, group)
        if plan is not self.plan:
            return False
        if plan.options is None or plan.options is not self.options:
            for name, value in self.constants:
                if group.get(name) is not value:
                    return False
            self.options = plan.options
        return True


def _run_hooks(optimizer: Optimizer, name: Any, args: tuple, kwargs: dict) -> tuple[tuple, dict]:
    """The hooks before a step, which may change its arguments (the optimizer is the first)."""
    for hook in (*_global_pre.values(), *optimizer._optimizer_step_pre_hooks.values()):
        result = hook(optimizer, args, kwargs)
        if result is not None:
            if not (isinstance(result, tuple) and len(result) == 2):
                raise RuntimeError(f"{name} must return None or a tuple of (new_args, new_kwargs), but got "
                                   f"{result}.")
            args, kwargs = result
    return args, kwargs


def _with_hooks(step: Callable) -> Callable:
    """A subclass's own ``step``, with the hooks of every step around it."""
    @functools.wraps(step)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        self = args[0]
        args, kwargs = _run_hooks(self, step, args, kwargs)
        self.__dict__["_opt_called"] = True
        result = step(*args, **kwargs)
        for hook in (*self._optimizer_step_post_hooks.values(), *_global_post.values()):
            hook(self, args, kwargs)
        return result
    wrapper.hooked = True
    return wrapper


class Optimizer:
    """Base class of optimizers.

    Args:
        params: tensors, pairs of name and tensor, or dicts each with ``"params"`` and options of its own.
        defaults: the options of groups that do not give them.

    A subclass defines ``step``; those of this package name a row of the core (``_op``) and say what it is given:
    ``_names``, ``_flags``, ``_numbers``, ``_new_state``.

    Errors: TypeError for what is no tensor, group or ordered collection; ValueError for no parameters, a
    tensor that is no leaf, or one that is in two groups.
    """

    _op = -1
    """The row of the core that does a step."""
    _scalars = 0
    """How many of ``_names``, the last ones, are one number each."""
    _counts: tuple[str, ...] = ()
    """The names of the state's scalars that older checkpoints have as numbers."""
    _old_options: dict[str, Any] = {}
    """Options that older checkpoints lack, with their values."""

    def __init__(self, params: Any, defaults: dict[str, Any]) -> None:
        if isinstance(params, Tensor):
            raise TypeError("params argument given to the optimizer should be an iterable of Tensors or "
                            "dicts, "
                            f"but got {params.type()}")
        self.defaults = defaults
        self._prepare()
        self.state = State()
        self.param_groups: list[dict[str, Any]] = []
        groups = list(params)
        if not groups:
            raise ValueError("optimizer got an empty parameter list")
        if not isinstance(groups[0], dict):
            groups = [{"params": groups}]
        for group in groups:
            self.add_param_group(group)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        step = cls.__dict__.get("step")
        if callable(step) and not hasattr(step, "hooked"):
            cls.step = _with_hooks(step)

    def _prepare(self) -> None:
        for kind in _hook_kinds:
            setattr(self, f"_optimizer_{kind}_hooks", OrderedDict())
        self._plans: list[Plan] = []

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "state" and not isinstance(value, State):
            value = State(value)
        object.__setattr__(self, name, value)

    def __getstate__(self) -> dict[str, Any]:
        return {"defaults": self.defaults, "state": self.state, "param_groups": self.param_groups}

    def __setstate__(self, state: dict[str, Any]) -> None:
        for name, value in state.items():
            setattr(self, name, value)
        if "_optimizer_step_pre_hooks" not in self.__dict__:
            self._prepare()
        self._plans = []
        self.defaults.setdefault("differentiable", False)
        names = self._counts
        for group in self.param_groups:
            for name, value in self._old_options.items():
                group.setdefault(name, value)
            for param in group["params"] if names else ():  # old checkpoints count in numbers
                own = self.state.get(param, {})
                for name in names:
                    if name in own and not isinstance(own[name], Tensor):
                        own[name] = _update.scalar(float(own[name]))

    def __repr__(self) -> str:
        lines = []
        for i, group in enumerate(self.param_groups):
            lines.append(f"\nParameter Group {i}\n")
            lines += [f"    {key}: {group[key]}\n" for key in sorted(group) if key != "params"]
        return f"{type(self).__name__} ({''.join(lines)})"

    # ---- groups

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add parameters with options of their own."""
        if not isinstance(param_group, dict):
            raise TypeError(f"param_group must be a dict, but got {type(param_group)}")
        params = param_group["params"]
        if isinstance(params, Tensor):
            params = [params]
        elif isinstance(params, set):
            raise TypeError("optimizer parameters need to be organized in ordered collections, but the "
                            "ordering of "
                            "tensors in sets will change between runs. Please use a list instead.")
        params = list(params)
        if any(isinstance(param, tuple) for param in params):
            if not all(isinstance(param, tuple) for param in params):
                raise ValueError("all optimizer params should be with/without names. Some param names are "
                                 "missing")
            param_group["param_names"] = [name for name, _ in params]
            params = [param for _, param in params]
        for param in params:
            if not isinstance(param, Tensor):
                raise TypeError("optimizer can only optimize Tensors, but one of the params is "
                                + type(param).__name__)
            if not (self.defaults.get("differentiable") or param.is_leaf):
                raise ValueError("can't optimize a non-leaf Tensor")
        param_group["params"] = params
        for name, default in self.defaults.items():
            if default is required and name not in param_group:
                raise ValueError("parameter group didn't specify a value of required optimization "
                                 f"parameter {name}")
            param_group.setdefault(name, default)
        ids = {id(param) for param in params}
        if len(ids) != len(params):
            import warnings
            warnings.warn("optimizer contains a parameter group with duplicate parameters; in future, this "
                          "will cause "
                          "an error; see github.com/pytorch/pytorch/issues/40967 for more "
                          "information", stacklevel=3)
        for group in self.param_groups:
            if not ids.isdisjoint(map(id, group["params"])):
                raise ValueError("some parameters appear in more than one parameter group")
        if self.param_groups and ("param_names" in param_group) != ("param_names" in self.param_groups[0]):
            raise ValueError("all optimizer param groups should be with/without names. "
                             "cannot add param group "
                             f"{'with' if 'param_names' in param_group else 'without'} names "
                             "to the optimizer")
        self.param_groups.append(param_group)

    def _plan(self, index: int, group: dict[str, Any]) -> Plan:
        """The plan of a group: the one at hand when parameters, state and options are those that it was made
        for.
        """
        plans, params = self._plans, group["params"]
        plan = plans[index] if index < len(plans) else None
        if plan is not None and len(plan.params) == len(params) and all(map(is_, plan.params, params)):
            if plan.stands(group):
                if plan.version == self.state._version[0]:
                    return plan
            elif plan.key != self._names(group):
                plan = None
            else:
                plan.remember(self, group)
                if plan.version == self.state._version[0]:
                    return plan
        else:
            plan = None
        if plan is None:
            plan = Plan(list(params), self._names(group))
            del plans[index:]       # groups are planned in order
            plans.append(plan)
            plan.remember(self, group)
        self._plan_state(group, plan)
        plan.version = self.state._version[0]
        return plan

    def _plan_state(self, group: dict[str, Any], plan: Plan) -> None:
        """Put the arrays that ``_update_group`` needs into ``plan``."""
        state = self.state
        ready = [p for p in plan.params if state.get(p)]
        plan.waiting = [p for p in plan.params if not state.get(p)]
        plan.n = len(ready)
        plan.arrays = _update.Arrays(ready, *([state[p][name] for p in ready] for name in plan.key))

    def _names(self, group: dict[str, Any]) -> tuple[str, ...]:
        """The state that a step reads and writes, in the order in which the row takes it."""
        return ()

    def _flags(self, group: dict[str, Any]) -> int:
        """The row's flags."""
        return _update.MAXIMIZE if group["maximize"] else 0

    def _numbers(self, group: dict[str, Any]) -> list:
        """The options that the row takes, in its order."""
        return []

    def _new_state(self, group: dict[str, Any], param: Tensor) -> dict[str, Any]:
        """The state of a parameter before its first step."""
        return {}

    # ---- steps

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget every parameter's gradient, or set it to zeros."""
        for index, group in enumerate(self.param_groups):
            plan = self._plan(index, group)
            _update.zero_grad(len(plan.params), plan.all, set_to_none)

    def step(self, closure: Callable | None = None) -> Any:
        """Move every parameter that has a gradient; ``closure`` computes the loss first, which is then
        returned.
        """
        if (self._optimizer_step_pre_hooks or self._optimizer_step_post_hooks or _global_pre or _global_post):
            _capture.refuse("an optimizer's step hook")
            args = (self,) if closure is None else (self, closure)
            return _hooked_step(*args)
        return self._step(closure)

    step.hooked = True

    def _step(self, closure: Callable | None = None) -> Any:
        loss = None
        if closure is not None:
            with enable_grad():
                loss = closure()
        self.__dict__["_opt_called"] = True     # the schedulers ask
        for index, group in enumerate(self.param_groups):
            plan = self._plan(index, group)
            if plan.waiting and self._init_state(group, plan):
                plan = self._plan(index, group)
            self._update_group(index, group, plan)
            if _capture.recording is not None:
                _update.guard(Unchanged(self, index, self._plan(index, group), self._constants(group)))
        return loss

    @staticmethod
    def _constants(group: dict[str, Any]) -> list:
        """The options that a recorded step has as constants."""
        return [(name, value) for name, value in group.items() if value is None or isinstance(value, (bool, str))]

    def _init_state(self, group: dict[str, Any], plan: Plan) -> bool:
        """Make the state of the parameters that have their first gradient; whether there are any."""
        first = [p for p in plan.waiting if p.grad is not None]
        for param in first:
            self.state[param] = self._new_state(group, param)
        return bool(first)

    def _update_group(self, index: int, group: dict[str, Any], plan: Plan) -> None:
        """One step of a group."""
        if self._op < 0:
            raise NotImplementedError(f"{type(self).__name__} defines no step()")
        if not plan.n:
            return
        if plan.options is not None and _capture.recording is None:
            sparse = _update.step_again(self._op, plan.n, plan.arrays, self._scalars, plan.flags, plan.values)
        else:
            sparse = _update.step(self._op, plan.n, plan.arrays, self._scalars,
                                  self._flags(group) if plan.options is None else plan.flags,
                                  partial(self._numbers_of, index))
        if sparse:
            for param in _sparse.pending(plan.params):
                self._sparse_step(group, param)

    def _sparse_step(self, group: dict[str, Any], param: Tensor) -> None:
        """One step of a parameter whose gradient is sparse: RuntimeError where there is no rule for that."""
        raise RuntimeError(f"{type(self).__name__} does not support sparse gradients")

    def _numbers_of(self, index: int) -> list:
        """The row's numbers now: the list at hand while the options stay the same."""
        group, plan = self.param_groups[index], self._plans[index]
        return plan.numbers if plan.stands(group) else self._numbers(group)

    # ---- saving and loading

    def state_dict(self) -> dict[str, Any]:
        """``{"state": {index: {...}}, "param_groups": [{..., "params": [index, ...]}]}``.

        Parameters are numbered in the order of the groups. The tensors are the optimizer's own.
        """
        for hook in self._optimizer_state_dict_pre_hooks.values():
            hook(self)
        numbers: dict[int, int] = {}
        groups = []
        for group in self.param_groups:
            for param in group["params"]:
                numbers.setdefault(id(param), len(numbers))
            packed = {key: value for key, value in group.items() if key != "params"}
            packed["params"] = [numbers[id(param)] for param in group["params"]]
            groups.append(packed)
        state = {}
        for key, value in self.state.items():
            key = numbers[id(key)] if isinstance(key, Tensor) else key
            state[key] = dict(value) if isinstance(value, dict) else value
        result = {"state": state, "param_groups": groups}
        for hook in self._optimizer_state_dict_post_hooks.values():
            replaced = hook(self, result)
            if replaced is not None:
                result = replaced
        return result

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take options and state from what :meth:`state_dict` of such an optimizer gave.

        Tensors of the state take the dtype of their parameter. ValueError if the numbers of groups or of
        their parameters differ.
        """
        state_dict = state_dict.copy()
        for hook in self._optimizer_load_state_dict_pre_hooks.values():
            replaced = hook(self, state_dict)
            if replaced is not None:
                state_dict = replaced
        groups, saved_groups = self.param_groups, deepcopy(state_dict["param_groups"])
        if len(groups) != len(saved_groups):
            raise ValueError("loaded state dict has a different number of parameter groups")
        if any(len(group["params"]) != len(saved["params"]) for group, saved in zip(groups, saved_groups)):
            raise ValueError("loaded state dict contains a parameter group that doesn't match the size of "
                             "optimizer's group")
        params = dict(zip(chain.from_iterable(saved["params"] for saved in saved_groups),
                          chain.from_iterable(group["params"] for group in groups)))
        state: dict[Any, Any] = {}
        for key, value in state_dict["state"].items():
            if key in params:
                state[params[key]] = _converted(params[key], value)
            else:
                state[key] = value
        for group, saved in zip(groups, saved_groups):
            saved["params"] = group["params"]
            if "param_names" in group and "param_names" not in saved:
                saved["param_names"] = group["param_names"]
        self.__setstate__({"state": State(state), "param_groups": saved_groups})
        for hook in self._optimizer_load_state_dict_post_hooks.values():
            hook(self)

    # ---- hooks

    def register_step_pre_hook(self, hook: Callable) -> RemovableHandle:
        """``hook(optimizer, args, kwargs) -> None | (args, kwargs)`` before each step."""
        return register(self._optimizer_step_pre_hooks, hook)

    def register_step_post_hook(self, hook: Callable) -> RemovableHandle:
        """``hook(optimizer, args, kwargs) -> None`` after each step."""
        return register(self._optimizer_step_post_hooks, hook)

    def register_state_dict_pre_hook(self, hook: Callable, prepend: bool = False) -> RemovableHandle:
        """``hook(optimizer) -> None`` before saving."""
        return register(self._optimizer_state_dict_pre_hooks, hook, prepend=prepend)

    def register_state_dict_post_hook(self, hook: Callable, prepend: bool = False) -> RemovableHandle:
        """``hook(optimizer, state_dict) -> None | state_dict`` after saving."""
        return register(self._optimizer_state_dict_post_hooks, hook, prepend=prepend)

    def register_load_state_dict_pre_hook(self, hook: Callable, prepend: bool = False) -> RemovableHandle:
        """``hook(optimizer, state_dict) -> None | state_dict`` before loading."""
        return register(self._optimizer_load_state_dict_pre_hooks, hook, prepend=prepend)

    def register_load_state_dict_post_hook(self, hook: Callable, prepend: bool = False) -> RemovableHandle:
        """``hook(optimizer) -> None`` after loading."""
        return register(self._optimizer_load_state_dict_post_hooks, hook, prepend=prepend)


_hooked_step = _with_hooks(Optimizer._step)


def _use_grad_for_differentiable(step: Callable) -> Callable:
    """A decorator of ``step`` for optimizers written elsewhere: gradients are on inside if, and only if, the option
    ``differentiable`` is.
    """
    @functools.wraps(step)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        with set_grad_enabled(bool(args[0].defaults.get("differentiable"))):
            return step(*args, **kwargs)
    return wrapper


def _get_value(x: Any) -> Any:
    """The number in a one-element tensor; a number itself."""
    return x.item() if isinstance(x, Tensor) else x


def _converted(param: Tensor, value: Any, key: str | None = None) -> Any:
    """Saved state as the state of ``param``: tensors in its dtype, except the step count."""
    if isinstance(value, Tensor):
        if key == "step" or not param.is_floating_point():
            return value
        return value.to(dtype=param.dtype)
    if isinstance(value, dict):
        return {name: _converted(param, member, name) for name, member in value.items()}
    if isinstance(value, Iterable) and not isinstance(value, (str, bytes)):
        return type(value)(_converted(param, member) for member in value)
    return value


def check_lr(lr: Any, foreach: bool | None, capturable: bool = False) -> None:
    """ValueError for a learning rate that is negative or a tensor of more than one element."""
    if isinstance(lr, Tensor):
        if foreach and not capturable:
            raise ValueError("lr as a Tensor is not supported for capturable=False and foreach=True")
        if lr.numel() != 1:
            raise ValueError("Tensor lr must be 1-element")
    if not 0.0 <= lr:
        raise ValueError(f"Invalid learning rate: {lr}")


def check_option(fine: bool, message: str) -> None:
    """ValueError with this message for an option out of range."""
    if not fine:
        raise ValueError(message)


def check_modes(name: str, differentiable: bool, foreach: bool | None, fused: bool | None) -> None:
    """The modes of PyTorch's own loops: there is one loop here, so that they make no difference, if they
    agree.
    """
    if fused and differentiable:
        raise RuntimeError("`fused` does not support `differentiable`")
    if fused and foreach:
        raise RuntimeError("`fused` and `foreach` cannot be `True` together.")
    if differentiable:
        raise NotImplementedError(f"{name}: differentiable=True is not supported")


__all__ = ["Optimizer", "Plan", "register_optimizer_step_post_hook",
           "register_optimizer_step_pre_hook", "required"]
