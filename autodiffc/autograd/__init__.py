"""Gradients outside of Tensor.backward()."""

from .._core import TensorBase, fail, wrap
from .._native import ffi, lib
from .function import Function  # noqa: F401
from .grad_mode import (  # noqa: F401
    enable_grad,
    inference_mode,
    is_grad_enabled,
    no_grad,
    set_grad_enabled,
)


def grad(outputs, inputs, grad_outputs=None, retain_graph=None, create_graph=False, only_inputs=True,
         allow_unused=None, is_grads_batched=False, materialize_grads=False):
    """The gradients of `outputs` (weighted by `grad_outputs`) with respect to `inputs`, as a tuple of Tensors.

    RuntimeError when an input was not used, unless allow_unused, which gives None (or zeros, with
    materialize_grads) for it.
    """
    if is_grads_batched:
        raise NotImplementedError("autograd.grad(is_grads_batched=True): call it once for each gradient instead")
    outputs = (outputs,) if isinstance(outputs, TensorBase) else tuple(outputs)
    inputs = (inputs,) if isinstance(inputs, TensorBase) else tuple(inputs)
    if grad_outputs is None:
        grad_outputs = [None] * len(outputs)
    elif isinstance(grad_outputs, TensorBase):
        grad_outputs = [grad_outputs]
    if materialize_grads and allow_unused is False:
        raise ValueError("Expected allow_unused to be True or not passed when materialize_grads=True")
    retain = create_graph if retain_graph is None else retain_graph
    out = ffi.new("ad_handle[]", len(inputs))
    status = lib.ad_backward([t._h for t in outputs], [g._h if g is not None else 0 for g in grad_outputs], len(outputs),
                             retain, create_graph, [t._h for t in inputs], out, len(inputs), 0,
                             bool(allow_unused or materialize_grads))
    if status < 0:
        fail()
    grads = tuple(wrap(h) if h else None for h in out)
    if materialize_grads:
        grads = tuple(g if g is not None else x.detach() * 0 for g, x in zip(grads, inputs))
    return grads
