"""What learning-rate schedulers share."""
from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from functools import partial, wraps
from types import FunctionType
from typing import Any

from .. import _capture
from ..tensor import Tensor
from .optimizer import Optimizer

EPOCH_DEPRECATION_WARNING = (
    "The epoch parameter in `scheduler.step()` was not necessary and is being deprecated where possible. "
    "Please use `scheduler.step()` to step the scheduler.")


def _copy(value: Any) -> Any:
    return value.clone() if isinstance(value, Tensor) else value


def _set(group: dict, key: str, value: Any) -> None:
    """``group[key] = value``; a tensor that is there keeps its place and takes the value."""
    if isinstance(group[key], Tensor):
        group[key].fill_(value)
    else:
        group[key] = value


def _set_lrs(optimizer: Optimizer, lrs: Iterable[Any]) -> list:
    for group, lr in zip(optimizer.param_groups, lrs):
        _set(group, "lr", lr)
    return [_copy(group["lr"]) for group in optimizer.param_groups]


def _per_group(name: str, optimizer: Optimizer, value: Any) -> list:
    """A list with a value for each group, from one value or a list."""
    if isinstance(value, (list, tuple)):
        if len(value) != len(optimizer.param_groups):
            raise ValueError(f"{name} must have the same length as optimizer.param_groups. {name} has "
                             f"{len(value)} "
                             f"values, param_groups has {len(optimizer.param_groups)}.")
        return list(value)
    return [value] * len(optimizer.param_groups)


def _check_optimizer(optimizer: Any) -> None:
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"{type(optimizer).__name__} is not an Optimizer")


def _replayed(step: Callable) -> Callable:
    """``step``, which a captured step that contains it calls again at each replay."""
    @wraps(step)
    def either(self: Any, *args: Any, **kwargs: Any) -> Any:
        if _capture.recording is None:
            return step(self, *args, **kwargs)
        return _capture.act(partial(step, self, *args, **kwargs))
    return either


class LRScheduler:
    """Base class: a subclass defines ``get_lr()``, the rates at ``self.last_epoch``.

    ``last_epoch`` is -1 for a new run; to resume one it is the index of the last epoch, and every group must
    have ``"initial_lr"`` (KeyError). ``_get_closed_form_lr``, where there is one, computes the rates of an
    epoch without those before it.
    """

    _get_lr_called_within_step = False

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1) -> None:
        _check_optimizer(optimizer)
        self.optimizer = optimizer
        for i, group in enumerate(optimizer.param_groups):
            if last_epoch == -1:
                group.setdefault("initial_lr", _copy(group["lr"]))
            elif "initial_lr" not in group:
                raise KeyError(f"param 'initial_lr' is not specified in param_groups[{i}] when resuming "
                               "scheduler with "
                               "last_epoch >= 0: load the optimizer's state first, or leave last_epoch at -1")
        self.base_lrs = [_copy(group["initial_lr"]) for group in optimizer.param_groups]
        self.last_epoch = last_epoch
        self._initial_step()

    def _initial_step(self) -> None:
        self._step_count = 0
        self._is_initial = True
        self._step_count += 1
        self._advance(None)
        self._is_initial = False

    def state_dict(self) -> dict[str, Any]:
        """Everything but the optimizer."""
        return {key: value for key, value in self.__dict__.items() if key != "optimizer"}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take what :meth:`state_dict` gave. The optimizer's own state holds the rates."""
        self.__dict__.update(state_dict)

    def get_last_lr(self) -> list:
        """The rates that are in force, one for each group."""
        recording = _capture.here()
        if recording is not None and not recording.acting:
            _capture.refuse("get_last_lr()")
        return self._last_lr

    def get_lr(self) -> list:
        """The rates at ``self.last_epoch``. Users call :meth:`get_last_lr`."""
        raise NotImplementedError

    def _warn_if_called_by_user(self) -> None:
        if not self._get_lr_called_within_step:
            warnings.warn("To get the last learning rate computed by the scheduler, please use "
                          "`get_last_lr()`.",
                          UserWarning, stacklevel=3)

    def _lrs(self) -> list:
        """The rates in force, as the groups hold them."""
        return [group["lr"] for group in self.optimizer.param_groups]

    def step(self, epoch: int | None = None) -> None:
        """Move on by one epoch (or, as was done once, to ``epoch``)."""
        if self._step_count == 1 and not self.optimizer.__dict__.get("_opt_called", False):
            warnings.warn("Detected call of `lr_scheduler.step()` before `optimizer.step()`. In PyTorch "
                          "1.1.0 and later, "
                          "you should call them in the opposite order, or the first value of the learning "
                          "rate schedule "
                          "is skipped.", UserWarning, stacklevel=2)
        if epoch is not None:
            warnings.warn(EPOCH_DEPRECATION_WARNING, UserWarning, stacklevel=2)
        self._step_count += 1
        self._advance(epoch)

    def _advance(self, epoch: int | None) -> None:
        """Go to ``epoch``, or to the next, and set the rates."""
        self._get_lr_called_within_step = True
        try:
            if epoch is None:
                self.last_epoch += 1
                lrs = self.get_lr()
            else:
                self.last_epoch = epoch
                closed = getattr(self, "_get_closed_form_lr", None)
                lrs = self.get_lr() if closed is None else closed()
        finally:
            self._get_lr_called_within_step = False
        self._last_lr = _set_lrs(self.optimizer, lrs)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "step" in cls.__dict__:
            cls.step = _replayed(cls.step)

    step = _replayed(step)


def _attributes(fn: Any) -> dict | None:
    """What of a callable is saved: nothing of a function, the attributes of an object."""
    return None if isinstance(fn, FunctionType) else fn.__dict__.copy()
