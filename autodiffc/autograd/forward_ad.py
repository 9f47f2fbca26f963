"""Forward mode: dual numbers, tensors that carry a tangent through every operation."""

from collections import namedtuple

from .._core import OP, TensorBase, fail, wrap
from .._native import lib

UnpackedDualTensor = namedtuple("UnpackedDualTensor", ["primal", "tangent"])
UnpackedDualTensor.__doc__ = "What unpack_dual returns: the primal, and the tangent or None."


def enter_dual_level() -> int:
    """Opens a forward mode level; RuntimeError when one is open."""
    if lib.ad_level_count():
        raise RuntimeError("Nested forward mode AD is not supported at the moment")
    level = lib.ad_level_enter()
    if level < 0:
        fail()
    return level


def exit_dual_level(*, level=None):
    """Closes the level that is open: tensors lose the tangents that they carried in it."""
    count = lib.ad_level_count()
    if level is not None and level != count - 1:
        raise RuntimeError(
            "Trying to exit a forward AD level that was not the last one that was created. This is not supported."
        )
    if lib.ad_level_exit() < 0:
        fail()


def make_dual(tensor, tangent, *, level=None):
    """A view of `tensor` that carries `tangent`, a Tensor of its size and dtype.

    RuntimeError outside of a level and for other sizes or dtypes; ValueError for integers.
    """
    level = lib.ad_level_count() - 1 if level is None else level
    if level < 0:
        raise RuntimeError(
            "Trying to create a dual Tensor for forward AD but no level exists, make sure to enter_dual_level() first."
        )
    if not isinstance(tensor, TensorBase) or not isinstance(tangent, TensorBase):
        raise TypeError("make_dual expects Tensors as primal and tangent")
    if not tensor.dtype.is_floating_point:
        raise ValueError(f"Expected primal to be floating point or complex, but got: {tensor.dtype}")
    if not tangent.dtype.is_floating_point:
        raise ValueError(f"Expected tangent to be floating point or complex, but got: {tangent.dtype}")
    dual = wrap(lib.ad_op1(OP["alias"], tensor._h))
    if lib.ad_set_tangent(dual._h, level, tangent._h) < 0:
        fail()
    return dual


def unpack_dual(tensor, *, level=None):
    """The primal of a dual tensor, as a view, and its tangent; (tensor, None) where there is none."""
    level = lib.ad_level_count() - 1 if level is None else level
    if level < 0:
        return UnpackedDualTensor(tensor, None)
    h = lib.ad_tangent(tensor._h, level)
    depth = lib.ad_forward_depth(level)
    try:
        primal = wrap(lib.ad_op1(OP["alias"], tensor._h))
    finally:
        lib.ad_forward_depth(depth)
    return UnpackedDualTensor(primal, wrap(h) if h else None)


class dual_level:
    """with dual_level(): make_dual and unpack_dual work inside."""

    def __enter__(self):
        return enter_dual_level()

    def __exit__(self, *exc):
        exit_dual_level()


class _set_fwd_grad_enabled:
    """Switches forward mode off (or on again) for a while."""

    def __init__(self, mode):
        self.prev = lib.ad_forward_depth(lib.ad_level_count() if mode else 0)

    def __enter__(self):
        return None

    def __exit__(self, *exc):
        lib.ad_forward_depth(self.prev)
