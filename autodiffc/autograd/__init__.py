"""Gradients outside of Tensor.backward(), and what goes with them."""

from .. import _core
from .._core import TensorBase, fail
from .._native import ffi, lib
from . import _hooks, graph  # noqa: F401
from .anomaly_mode import detect_anomaly, set_detect_anomaly  # noqa: F401
from .function import Function, NestedIOFunction  # noqa: F401
from .grad_mode import (  # noqa: F401
    enable_grad,
    inference_mode,
    is_grad_enabled,
    is_inference_mode_enabled,
    no_grad,
    set_grad_enabled,
    set_multithreading_enabled,
)
from .graph import Node  # noqa: F401


def _tensors(what, given):
    """The Tensors in one Tensor or a sequence of them."""
    if isinstance(given, TensorBase):
        return (given,)
    if isinstance(given, graph.GradientEdge):
        raise NotImplementedError(f"{what}: gradient edges are not taken, pass the tensor itself")
    given = tuple(given)
    for t in given:
        if not isinstance(t, TensorBase):
            raise TypeError(f"{what} expects Tensors, got {type(t).__name__}")
    return given


def _run(outputs, grads, retain_graph, create_graph, inputs, accumulate, allow_unused):
    """One backward pass; the handles of the inputs' gradients when they are asked for."""
    if retain_graph is None:
        retain_graph = create_graph
    if grads is None:
        given = ffi.NULL
    else:
        grads = (grads,) if isinstance(grads, TensorBase) else tuple(grads)
        if len(grads) < len(outputs):
            raise RuntimeError(f"got {len(outputs)} tensors and {len(grads)} gradients")
        given = []
        for g in grads:
            if g is not None and not isinstance(g, TensorBase):
                raise TypeError(f"gradients can be either Tensors or None, but got {type(g).__name__}")
            given.append(g._h if g is not None else 0)
    out = ffi.new("ad_handle[]", len(inputs)) if inputs else ffi.NULL
    status = lib.ad_backward(
        [t._h for t in outputs],
        given,
        len(outputs),
        bool(retain_graph),
        bool(create_graph),
        [t._h for t in inputs],
        out,
        len(inputs),
        accumulate,
        allow_unused,
    )
    if status < 0:
        fail()
    return out


def backward(tensors, grad_tensors=None, retain_graph=None, create_graph=False, grad_variables=None, inputs=None):
    """Accumulates the gradients of `tensors` (weighted by `grad_tensors`) into the .grad of the leaves, or of `inputs`.

    RuntimeError for tensors that have no graph, or are no scalars and have no gradient given.
    """
    if lib.ad_backward_id() and lib.ad_capturing():
        raise _core.CaptureError("a backward pass inside a backward pass cannot be recorded")
    tensors = _tensors("backward", tensors)
    if grad_tensors is None:
        grad_tensors = grad_variables
    if inputs is None:
        inputs = ()
    else:
        inputs = _tensors("backward", inputs)
        if not inputs:
            raise RuntimeError("`inputs` argument to `backward()` cannot be empty.")
        for t in inputs:
            if not t.is_leaf:
                t.retain_grad()
    _run(tensors, grad_tensors, retain_graph, create_graph, inputs, 1, 1)


def grad(
    outputs,
    inputs,
    grad_outputs=None,
    retain_graph=None,
    create_graph=False,
    only_inputs=True,
    allow_unused=None,
    is_grads_batched=False,
    materialize_grads=False,
):
    """The gradients of `outputs` (weighted by `grad_outputs`) with respect to `inputs`, as a tuple of Tensors.

    With is_grads_batched, `grad_outputs` have one more leading dimension, and so have the results. RuntimeError
    when an input was not used, unless allow_unused, which gives None (or zeros, with materialize_grads) for it.
    """
    if materialize_grads and allow_unused is False:
        raise ValueError(
            "Expected allow_unused to be True or not passed when materialize_grads=True, but got: allow_unused=False."
        )
    outputs, inputs = _tensors("grad", outputs), _tensors("grad", inputs)
    if not inputs:
        raise RuntimeError("`inputs` argument to `grad()` cannot be empty.")
    unused = bool(allow_unused or materialize_grads)
    if is_grads_batched:
        return _batched(outputs, inputs, grad_outputs, retain_graph, create_graph, unused, materialize_grads)
    grads = _run(outputs, grad_outputs, retain_graph, create_graph, inputs, 0, unused)
    return _wrapped(grads, inputs, materialize_grads)


def _wrapped(grads, inputs, materialize):
    result = []
    for k, h in enumerate(grads):
        if h:
            result.append(_core.wrap(h))
        elif materialize:
            like = inputs[k]
            result.append(_core.wrap(lib.ad_full(lib.ad_dtype_of(like._h), like.shape, like.ndim, 0.0, 0)))
        else:
            result.append(None)
    return tuple(result)


def _batched(outputs, inputs, grad_outputs, retain_graph, create_graph, unused, materialize):
    """One pass for each gradient along the leading dimension."""
    from .._ops.shape import stack

    if grad_outputs is None:
        raise RuntimeError("grad(is_grads_batched=True): grad_outputs must be given")
    batched = (grad_outputs,) if isinstance(grad_outputs, TensorBase) else tuple(grad_outputs)
    sizes = {g.shape[0] for g in batched if g is not None and g.ndim}
    if len(sizes) != 1:
        raise ValueError("grad(is_grads_batched=True): grad_outputs must have one common leading dimension")
    n = sizes.pop()
    rows = []
    keep = create_graph if retain_graph is None else retain_graph
    for k in range(n):
        one = [g.select(0, k) if g is not None else None for g in batched]
        grads = _run(outputs, one, keep or k < n - 1, create_graph, inputs, 0, unused)
        rows.append(_wrapped(grads, inputs, materialize))
    return (
        tuple(stack(column) if column[0] is not None else None for column in zip(*rows))
        if rows
        else tuple(_core.wrap(lib.ad_full(lib.ad_dtype_of(x._h), (0, *x.shape), x.ndim + 1, 0.0, 0)) for x in inputs)
    )


def is_tensor_like(x):
    """Whether x is a Tensor."""
    return isinstance(x, TensorBase)


from . import forward_ad, functional  # noqa: E402,F401
from .gradcheck import gradcheck, gradgradcheck  # noqa: E402,F401
from .variable import Variable  # noqa: E402,F401


def __getattr__(name):
    if name == "profiler":
        import importlib

        return importlib.import_module(".profiler", __name__)
    if name.startswith("__"):  # the import system asks for some of every module
        raise AttributeError(name)
    from .._hook import missing

    raise missing.attribute(__name__, name)
