"""Adam and AdamW."""
from __future__ import annotations

from typing import Any

from .._dtype import float32, float64, get_default_dtype
from ..tensor import Tensor
from . import _update
from .optimizer import Optimizer, Plan, check_lr, check_modes


def _new_step(value: float = 0.0) -> Tensor:
    return _update.scalar(value, float64 if get_default_dtype() is float64 else float32)


class Adam(Optimizer):
    """Adam (Kingma and Ba).

    ``m`` and ``v`` are running means of the gradient and its square with factors ``betas``, both divided by
    ``1 - beta**step``; ``p -= lr m / (sqrt(v) + eps)``. ``amsgrad`` takes the largest ``v`` so far.
    ``weight_decay`` adds to the gradient, or with ``decoupled_weight_decay`` shrinks the parameter by
    ``lr weight_decay`` (AdamW). ``maximize`` changes the gradient's sign. ``foreach``, ``capturable`` and
    ``fused`` are accepted and make no difference; ``differentiable=True`` is a NotImplementedError.

    State: ``step`` (0-d float32), ``exp_avg``, ``exp_avg_sq`` and with ``amsgrad`` ``max_exp_avg_sq``, from a
    parameter's first gradient on. ValueError for an option out of range.
    """

    _plan_option = "amsgrad"

    def __init__(self, params: Any, lr: Any = 1e-3, betas: tuple = (0.9, 0.999), eps: float = 1e-8,
                 weight_decay: float = 0, amsgrad: bool = False, *, foreach: bool | None = None,
                 maximize: bool = False, capturable: bool = False, differentiable: bool = False,
                 fused: bool | None = None, decoupled_weight_decay: bool = False) -> None:
        check_lr(lr, foreach, capturable)
        if not 0.0 <= eps:
            raise ValueError(f"Invalid epsilon value: {eps}")
        for i in range(2):
            if not 0.0 <= betas[i] < 1.0:
                raise ValueError(f"Invalid beta parameter at index {i}: {betas[i]}")
        if not 0.0 <= weight_decay:
            raise ValueError(f"Invalid weight_decay value: {weight_decay}")
        if isinstance(betas[0], Tensor) != isinstance(betas[1], Tensor):
            raise ValueError("betas must be either both floats or both Tensors")
        check_modes(type(self).__name__, differentiable, foreach, fused)
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay,
                                  "amsgrad": amsgrad, "maximize": maximize, "foreach": foreach,
                                  "capturable": capturable, "differentiable": differentiable, "fused": fused,
                                  "decoupled_weight_decay": decoupled_weight_decay})

    def __setstate__(self, state: dict) -> None:
        super().__setstate__(state)
        for group in self.param_groups:
            for name in ("amsgrad", "maximize", "capturable", "differentiable", "decoupled_weight_decay"):
                group.setdefault(name, False)
            group.setdefault("foreach", None)
            group.setdefault("fused", None)
            for param in group["params"]:       # old checkpoints count in numbers
                own = self.state.get(param, {})
                if "step" in own and not isinstance(own["step"], Tensor):
                    own["step"] = _new_step(float(own["step"]))

    def _plan_state(self, group: dict, plan: Plan) -> None:
        ready = [p for p in plan.params if self.state.get(p)]
        plan.waiting = [p for p in plan.params if not self.state.get(p)]
        plan.n = len(ready)
        names = ["exp_avg", "exp_avg_sq", "max_exp_avg_sq", "step"]
        plan.arrays = (_update.Handles(ready), *(
            _update.Handles([self.state[p][name] for p in ready])
            if name != "max_exp_avg_sq" or group["amsgrad"] else None for name in names))

    def _init_state(self, group: dict, plan: Plan) -> bool:
        first = [p for p in plan.waiting if p.grad is not None]
        for param in first:
            own = self.state[param]
            own["step"] = _new_step()
            own["exp_avg"] = _update.zeros_like(param)
            own["exp_avg_sq"] = _update.zeros_like(param)
            if group["amsgrad"]:
                own["max_exp_avg_sq"] = _update.zeros_like(param)
        return bool(first)

    def _update_group(self, index: int, group: dict, plan: Plan) -> None:
        if plan.n:
            _update.adam(self, index, group, plan.n, *plan.arrays)


class AdamW(Adam):
    """:class:`Adam` with decoupled weight decay (Loshchilov and Hutter)."""

    def __init__(self, params: Any, lr: Any = 1e-3, betas: tuple = (0.9, 0.999), eps: float = 1e-8,
                 weight_decay: float = 1e-2, amsgrad: bool = False, *, maximize: bool = False,
                 foreach: bool | None = None, capturable: bool = False, differentiable: bool = False,
                 fused: bool | None = None) -> None:
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad, foreach=foreach, maximize=maximize,
                         capturable=capturable, differentiable=differentiable, fused=fused,
                         decoupled_weight_decay=True)

    def __setstate__(self, state: dict) -> None:
        super().__setstate__(state)
        for group in self.param_groups:
            group["decoupled_weight_decay"] = True
