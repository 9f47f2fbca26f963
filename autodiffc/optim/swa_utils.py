"""Averages of a model's parameters over training: stochastic weight averaging and exponential moving averages."""
from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable
from copy import deepcopy
from typing import Any

from .. import _capture
from .. import _ops as ops
from .._native import lib
from ..autograd import no_grad
from ..nn import Module
from ..tensor import Tensor
from ._lr_base import LRScheduler, _per_group
from .optimizer import Optimizer

__all__ = ["SWALR", "AveragedModel", "get_ema_avg_fn", "get_ema_multi_avg_fn", "get_swa_avg_fn",
           "get_swa_multi_avg_fn", "update_bn"]


def _check_decay(decay: float) -> None:
    if decay < 0.0 or decay > 1.0:
        raise ValueError(f"Invalid decay value {decay} provided. Please provide a value in [0,1] range.")


def _move(averaged: Tensor, current: Tensor, share: float) -> None:
    """``averaged`` the given share of the way to ``current``; integers are rounded towards zero."""
    if averaged.is_floating_point():
        averaged.lerp_(current, share)
    else:
        averaged.copy_(averaged * (1 - share) + current * share)


def get_ema_multi_avg_fn(decay: float = 0.999) -> Callable:
    """A function of lists of averages and current values: ``average = decay average + (1 - decay) current``.

    ValueError for a decay outside [0, 1].
    """
    _check_decay(decay)

    @no_grad()
    def ema_update(ema_param_list: Any, current_param_list: Any, _: Any) -> None:
        for average, current in zip(ema_param_list, current_param_list):
            _move(average, current, 1 - decay)
    return ema_update


def get_swa_multi_avg_fn() -> Callable:
    """A function of lists of averages and current values, and of how many were averaged: their running mean."""
    @no_grad()
    def swa_update(averaged_param_list: Any, current_param_list: Any, num_averaged: Any) -> None:
        for average, current in zip(averaged_param_list, current_param_list):
            _move(average, current, 1 / (float(num_averaged) + 1))
    return swa_update


def get_ema_avg_fn(decay: float = 0.999) -> Callable:
    """As :func:`get_ema_multi_avg_fn`, of one average and one value, to the new average."""
    _check_decay(decay)

    @no_grad()
    def ema_update(ema_param: Tensor, current_param: Tensor, num_averaged: Any) -> Tensor:
        return decay * ema_param + (1 - decay) * current_param
    return ema_update


def get_swa_avg_fn() -> Callable:
    """As :func:`get_swa_multi_avg_fn`, of one average and one value, to the new average."""
    @no_grad()
    def swa_update(averaged_param: Tensor, current_param: Tensor, num_averaged: Any) -> Tensor:
        return averaged_param + (current_param - averaged_param) / (num_averaged + 1)
    return swa_update


class AveragedModel(Module):
    """A copy of a model (``module``) whose parameters are averages of the model's.

    :meth:`update_parameters` takes the model's present parameters into the average: their mean, or what ``avg_fn``
    (one parameter) or ``multi_avg_fn`` (all) makes of them. Buffers are averaged too with ``use_buffers``, else copied.
    ``n_averaged`` counts. AssertionError for both functions.
    """

    n_averaged: Tensor

    def __init__(self, model: Module, device: Any = None, avg_fn: Callable | None = None,
                 multi_avg_fn: Callable | None = None, use_buffers: bool = False) -> None:
        super().__init__()
        assert avg_fn is None or multi_avg_fn is None, "Only one of avg_fn and multi_avg_fn should be provided"
        self.module = deepcopy(model)
        if device is not None:
            self.module = self.module.to(device)
        self.register_buffer("n_averaged", ops.tensor(0, device=device))
        self.avg_fn = avg_fn
        self.multi_avg_fn = multi_avg_fn
        self.use_buffers = use_buffers

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """The averaged model's output."""
        return self.module(*args, **kwargs)

    def _averaged(self, model: Module) -> list[Tensor]:
        params: Iterable[Tensor] = model.parameters()
        if self.use_buffers:
            params = itertools.chain(params, model.buffers())
        return [p.detach() for p in params]

    def update_parameters(self, model: Module) -> None:
        """Take the model's present parameters into the average."""
        ours, theirs = self._averaged(self.module), self._averaged(model)
        count = self.n_averaged
        if _capture.guarded(lambda: lib.ad_item_f(count._h) == 0.0):
            for average, current in zip(ours, theirs):
                average.copy_(current)
        elif self.avg_fn is not None and self.multi_avg_fn is None:
            for average, current in zip(ours, theirs):
                average.copy_(self.avg_fn(average, current, self.n_averaged))
        elif ours:
            (self.multi_avg_fn or get_swa_multi_avg_fn())(ours, theirs, self.n_averaged)
        if not self.use_buffers:
            for ours_, theirs_ in zip(self.module.buffers(), model.buffers()):
                ours_.detach().copy_(theirs_.detach())
        self.n_averaged += 1


@no_grad()
def update_bn(loader: Iterable[Any], model: Module, device: Any = None) -> None:
    """Set the running statistics of batch normalization to their mean over a pass through ``loader``.

    The model is called with each batch, or with the first member of one that is a list or tuple.
    """
    from ..nn.modules.batchnorm import _BatchNorm
    momenta = {}
    for module in model.modules():
        if isinstance(module, _BatchNorm):
            module.reset_running_stats()
            momenta[module] = module.momentum
    if not momenta:
        return
    was_training = model.training
    model.train()
    for module in momenta:
        module.momentum = None
    for batch in loader:
        if isinstance(batch, (list, tuple)):
            batch = batch[0]
        if device is not None:
            batch = batch.to(device)
        model(batch)
    for module, momentum in momenta.items():
        module.momentum = momentum
    model.train(was_training)


class SWALR(LRScheduler):
    """From the present rate to ``swa_lr``, one for all groups or a list, in ``anneal_epochs`` epochs; there it stays.

    ``anneal_strategy`` is ``"cos"`` or ``"linear"``. ValueError for another one, and for epochs that are no integer or
    negative.
    """

    def __init__(self, optimizer: Optimizer, swa_lr: float, anneal_epochs: int = 10, anneal_strategy: str = "cos",
                 last_epoch: int = -1) -> None:
        for group, lr in zip(optimizer.param_groups, _per_group("swa_lr", optimizer, swa_lr)):
            group["swa_lr"] = lr
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(f"anneal_strategy must be one of 'cos' or 'linear', instead got {anneal_strategy}")
        self._anneal_strategy = anneal_strategy
        if not isinstance(anneal_epochs, int) or anneal_epochs < 0:
            raise ValueError(f"anneal_epochs must be equal or greater than 0, got {anneal_epochs}")
        self.anneal_epochs = anneal_epochs
        super().__init__(optimizer, last_epoch)

    def _share(self, step: int) -> float:
        """How much of the way is done."""
        t = max(0, min(1, step / max(1, self.anneal_epochs)))
        return t if self._anneal_strategy == "linear" else (1 - math.cos(math.pi * t)) / 2

    def get_lr(self) -> list:
        """The rates at this step, from those of the step before."""
        self._warn_if_called_by_user()
        step = self._step_count - 1
        if self.anneal_epochs == 0:
            step = max(1, step)
        before, now = self._share(step - 1), self._share(step)
        lrs = []
        for group in self.optimizer.param_groups:
            goal, lr = group["swa_lr"], group["lr"]
            start = goal if before == 1 else (lr - before * goal) / (1 - before)
            lrs.append(goal * now + start * (1 - now))
        return lrs
