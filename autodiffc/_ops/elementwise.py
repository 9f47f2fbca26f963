"""Elementwise operations: one function each, with PyTorch's signature."""

from ._call import OP, binary, unary

_ADD, _SUB, _MUL = OP["add"], OP["sub"], OP["mul"]


def add(input, other, *, alpha=1, out=None):
    """input + alpha * other, elementwise with broadcasting and dtype promotion.

    input, other: Tensors of broadcastable sizes, or one of them a number. Returns a Tensor of the broadcast
    size and the promoted dtype. RuntimeError when the sizes do not broadcast.
    """
    if alpha != 1:
        other = binary(_MUL, other, alpha) if not isinstance(other, (int, float)) else other * alpha
    return binary(_ADD, input, other, out)


def sub(input, other, *, alpha=1, out=None):
    """input - alpha * other, elementwise; as add(). Bool tensors are refused."""
    if alpha != 1:
        other = binary(_MUL, other, alpha) if not isinstance(other, (int, float)) else other * alpha
    return binary(_SUB, input, other, out)


def mul(input, other, *, out=None):
    """input * other, elementwise with broadcasting and dtype promotion."""
    return binary(_MUL, input, other, out)


def relu(input):
    """max(input, 0) of each element; NaN stays NaN."""
    return unary(OP["relu"], input)


def exp(input, *, out=None):
    """e to the power of each element; integers give the default float dtype."""
    return unary(OP["exp"], input, out)
