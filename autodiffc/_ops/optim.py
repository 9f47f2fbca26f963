"""What optimizers compute besides their updates."""

from .._core import wrap
from .._native import lib
from . import _call
from .from_data import as_tensor

_LBFGS = _call.OP["lbfgs_direction"]


def lbfgs_direction(gradient, diagonal, changes, steps, reciprocals):
    """(direction, factors): minus the approximate inverse Hessian times the gradient, and the first loop's factors.

    gradient: [n], float32 or float64; diagonal: a number, what the inverse Hessian is taken to be before its history:
    the changes of the gradient, the steps, each [n], and the reciprocals of their products, 0-d. Nocedal, "Updating
    quasi-Newton matrices with limited storage", 1980.
    """
    diagonal = as_tensor(diagonal, dtype=gradient.dtype)
    direction = _call.apply(_LBFGS, [gradient, diagonal, *changes, *steps, *reciprocals])
    return direction, wrap(lib.ad_take_result(1))
