"""Adam, and what the optimizers of its family share."""
from __future__ import annotations

from typing import Any

from ..tensor import Tensor
from . import _update
from .optimizer import Optimizer, check_lr, check_modes, check_option


class AdamFamily(Optimizer):
    """Optimizers with a mean of the gradient, one of its square, and the options lr, betas, eps, weight_decay."""

    _scalars = 1
    _counts = ("step",)

    def _sparse_step(self, group: dict, param: Tensor) -> None:
        raise RuntimeError("Adam does not support sparse gradients, please consider SparseAdam instead")

    def _names(self, group: dict) -> tuple[str, ...]:
        return ("exp_avg", "exp_avg_sq", "step")

    def _numbers(self, group: dict) -> list:
        beta1, beta2 = group["betas"]
        return [group["lr"], beta1, beta2, group["eps"], group["weight_decay"]]

    def _flags(self, group: dict) -> int:
        return ((_update.MAXIMIZE if group["maximize"] else 0)
                | (_update.DECOUPLED if group["decoupled_weight_decay"] else 0))

    def _new_state(self, group: dict, param: Tensor) -> dict:
        return {"step": _update.scalar(0.0), "exp_avg": _update.zeros_like(param),
                "exp_avg_sq": _update.zeros_like(param)}


def check_adam(lr: Any, betas: Any, eps: float, weight_decay: float) -> None:
    """ValueError for an option out of range."""
    check_option(0.0 <= eps, f"Invalid epsilon value: {eps}")
    for i in range(2):
        check_option(0.0 <= betas[i] < 1.0, f"Invalid beta parameter at index {i}: {betas[i]}")
    check_option(0.0 <= weight_decay, f"Invalid weight_decay value: {weight_decay}")


class Adam(AdamFamily):
    """Adam (Kingma and Ba).

    ``m`` and ``v`` are running means of the gradient and its square with factors ``betas``, both divided by
    ``1 - beta**step``; ``p -= lr m / (sqrt(v) + eps)``. ``amsgrad`` takes the largest ``v`` so far.
    ``weight_decay`` adds to the gradient, or with ``decoupled_weight_decay`` shrinks the parameter by
    ``lr weight_decay`` (AdamW). ``maximize`` changes the gradient's sign. ``foreach``, ``capturable`` and
    ``fused`` are accepted and make no difference; ``differentiable=True`` is a NotImplementedError.

    State: ``step`` (0-d float32), ``exp_avg``, ``exp_avg_sq`` and with ``amsgrad`` ``max_exp_avg_sq``, from a
    parameter's first gradient on. ValueError for an option out of range.
    """

    _op = _update.OP["adam_step"]
    _old_options = {"amsgrad": False, "maximize": False, "foreach": None, "capturable": False,
                    "differentiable": False, "decoupled_weight_decay": False, "fused": None}

    def __init__(self, params: Any, lr: Any = 1e-3, betas: tuple = (0.9, 0.999), eps: float = 1e-8,
                 weight_decay: float = 0, amsgrad: bool = False, *, foreach: bool | None = None,
                 maximize: bool = False, capturable: bool = False, differentiable: bool = False,
                 fused: bool | None = None, decoupled_weight_decay: bool = False) -> None:
        check_lr(lr, foreach, capturable)
        check_adam(lr, betas, eps, weight_decay)
        if isinstance(betas[0], Tensor) != isinstance(betas[1], Tensor):
            raise ValueError("betas must be either both floats or both Tensors")
        check_modes(type(self).__name__, differentiable, foreach, fused)
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay,
                                  "amsgrad": amsgrad, "maximize": maximize, "foreach": foreach,
                                  "capturable": capturable, "differentiable": differentiable, "fused": fused,
                                  "decoupled_weight_decay": decoupled_weight_decay})

    def _names(self, group: dict) -> tuple[str, ...]:
        if group["amsgrad"]:
            return ("exp_avg", "exp_avg_sq", "max_exp_avg_sq", "step")
        return ("exp_avg", "exp_avg_sq", "step")

    def _flags(self, group: dict) -> int:
        return ((_update.MAXIMIZE if group["maximize"] else 0) | (_update.AMSGRAD if group["amsgrad"] else 0)
                | (_update.DECOUPLED if group["decoupled_weight_decay"] else 0))

    def _new_state(self, group: dict, param: Tensor) -> dict:
        state = super()._new_state(group, param)
        if group["amsgrad"]:
            state["max_exp_avg_sq"] = _update.zeros_like(param)
        return state
