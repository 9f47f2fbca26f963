"""Jacobians, Hessians and their products with vectors, of Python functions of Tensors."""

from .._core import TensorBase


def _as_tuple(x, what, fn):
    if isinstance(x, TensorBase):
        return (x,), False
    if not isinstance(x, tuple):
        raise TypeError(
            f"The {what} given to {fn} must be either a Tensor or a tuple of Tensors but the given {what} has type "
            f"{type(x)}."
        )
    for k, t in enumerate(x):
        if not isinstance(t, TensorBase):
            raise TypeError(
                f"The {what} given to {fn} must be either a Tensor or a tuple of Tensors but the value at index {k} "
                f"has type {type(t)}."
            )
    return x, True


def _entering(inputs, create_graph):
    """The inputs as tensors to differentiate by: connected to their own history with create_graph."""
    return tuple(x.view_as(x) if create_graph and x.requires_grad else x.detach().requires_grad_() for x in inputs)


def _leaving(grads, create_graph):
    return grads if create_graph else tuple(g.detach() for g in grads)


def _zeros_like(x):
    from .._ops.creation import zeros_like

    return zeros_like(x)


def _grads(outputs, inputs, vs, create_graph, strict, what, retain=None):
    """The gradients, with zeros for what was not used; RuntimeError for that when strict."""
    from . import grad

    live = [k for k, y in enumerate(outputs) if y.requires_grad]
    if len(live) < len(outputs) and strict:
        k = next(k for k in range(len(outputs)) if k not in live)
        raise RuntimeError(
            f"Output {k} of the user-provided function does not require gradients. The outputs must be computed "
            f"in a differentiable manner from the input when running in strict mode."
        )
    if not live:
        return tuple(_zeros_like(x) for x in inputs)
    got = grad(
        [outputs[k] for k in live],
        inputs,
        [vs[k] if vs is not None else None for k in live],
        retain_graph=retain,
        create_graph=create_graph,
        allow_unused=True,
    )
    if strict:
        for k, g in enumerate(got):
            if g is None:
                raise RuntimeError(
                    f"The output of the user-provided function is independent of input {k}. This is not allowed "
                    f"in strict mode."
                )
            if create_graph and what and not g.requires_grad:
                raise RuntimeError(
                    f"The {what} of the user-provided function is independent of input {k}. This is not allowed "
                    "in strict mode when create_graph=True."
                )
    return tuple(g if g is not None else _zeros_like(x) for g, x in zip(got, inputs))


def _vector(v, like, fn, what, are="inputs"):
    """The vectors as a tuple, checked against what they multiply."""
    if v is None:
        if len(like) == 1 and like[0].numel() == 1:
            from .._ops.creation import ones_like

            return (ones_like(like[0]),)
        raise RuntimeError(f"The vector v can only be None if {what}.")
    v, _ = _as_tuple(v, "v", fn)
    v = tuple(x.detach() if not x.requires_grad else x for x in v)
    if len(v) != len(like):
        raise RuntimeError(f"v is a tuple of invalid length: should be {len(like)} but got {len(v)}.")
    for k, (x, y) in enumerate(zip(v, like)):
        if x.shape != y.shape:
            raise RuntimeError(
                f"v has invalid size: should be {y.shape} but got {x.shape}."
                if len(like) == 1
                else f"Entry {k} in v has invalid size: should be {y.shape} but got {x.shape}."
            )
    return v


def _packed(x, as_tuple):
    return tuple(x) if as_tuple else x[0]


def vjp(func, inputs, v=None, create_graph=False, strict=False):
    """(func(inputs), v times the Jacobian of func); v may be left out for one scalar output."""
    with _enabled():
        inputs, is_tuple = _as_tuple(inputs, "inputs", "vjp")
        xs = _entering(inputs, create_graph)
        out, out_tuple = _as_tuple(func(*xs), "outputs of the user-provided function", "vjp")
        v = _vector(v, out, "vjp", "the user-provided function returns a single Tensor with a single element")
        grads = _grads(out, xs, v, create_graph, strict, "jacobian")
    return _packed(_leaving(out, create_graph), out_tuple), _packed(_leaving(grads, create_graph), is_tuple)


def jvp(func, inputs, v=None, create_graph=False, strict=False):
    """(func(inputs), the Jacobian of func times v), by differentiating the gradient in its vector."""
    with _enabled():
        inputs, is_tuple = _as_tuple(inputs, "inputs", "jvp")
        v = _vector(
            v, inputs, "jvp", "the input to the user-provided function is a single Tensor with a single element"
        )
        xs = _entering(inputs, create_graph)
        out, out_tuple = _as_tuple(func(*xs), "outputs of the user-provided function", "jvp")
        us = tuple(_zeros_like(y).requires_grad_() for y in out)
        grads = _grads(out, xs, us, True, strict, None)
        live = [g.requires_grad for g in grads]
        if not any(live):
            if strict:
                raise RuntimeError(
                    "The output of the user-provided function is independent of its inputs. This is not allowed "
                    "in strict mode."
                )
            result = tuple(_zeros_like(y) for y in out)
        else:
            result = _grads(grads, us, v, create_graph, False, None)
    return _packed(_leaving(out, create_graph), out_tuple), _packed(_leaving(result, create_graph), out_tuple)


def jacobian(func, inputs, create_graph=False, strict=False, vectorize=False, strategy="reverse-mode"):
    """The Jacobian of func: for each output and input a Tensor of the sizes of both, one after the other.

    vectorize is accepted; rows are computed one by one. With strategy="forward-mode" columns are.
    """
    if strategy not in ("forward-mode", "reverse-mode"):
        raise AssertionError(
            'Expected strategy to be either "forward-mode" or "reverse-mode". Hint: If your function has more '
            'outputs than inputs, "forward-mode" tends to be more performant.'
        )
    if strategy == "forward-mode":
        if create_graph:
            raise NotImplementedError(
                'torch.autograd.functional.jacobian: `create_graph=True` and `strategy="forward-mode"` '
                "are not supported together (yet). Please either set `create_graph=False` or "
                '`strategy="reverse-mode"`.'
            )
        return _jacobian_forward(func, inputs)
    from .._ops.shape import stack

    with _enabled():
        inputs, is_tuple = _as_tuple(inputs, "inputs", "jacobian")
        xs = _entering(inputs, create_graph)
        out, out_tuple = _as_tuple(func(*xs), "outputs of the user-provided function", "jacobian")
        result = []
        for k, y in enumerate(out):
            if strict and not y.requires_grad:
                raise RuntimeError(
                    f"Output {k} of the user-provided function does not require gradients. The outputs must be "
                    "computed in a differentiable manner from the input when running in strict mode."
                )
            rows = []
            flat = y.reshape(-1)
            for i in range(y.numel()):
                rows.append(_grads((flat.select(0, i),), xs, None, create_graph, strict, "jacobian", retain=True))
            result.append(
                tuple(
                    stack([r[j] for r in rows]).view((*y.shape, *x.shape))
                    if rows
                    else y.new_zeros((*y.shape, *x.shape))
                    for j, x in enumerate(xs)
                )
            )
        result = tuple(_leaving(r, create_graph) for r in result)
    return _packed(tuple(_packed(r, is_tuple) for r in result), out_tuple)


def _jacobian_forward(func, inputs):
    from ..func import jacfwd

    inputs, is_tuple = _as_tuple(inputs, "inputs", "jacobian")
    inputs = tuple(x.detach() for x in inputs)
    result = jacfwd(func, tuple(range(len(inputs))))(*inputs)
    if is_tuple:
        return result
    return tuple(r[0] for r in result) if isinstance(result[0], tuple) else result[0]


def hessian(func, inputs, create_graph=False, strict=False, vectorize=False, outer_jacobian_strategy="reverse-mode"):
    """The Hessian of a func that returns one scalar: for each pair of inputs a Tensor of the sizes of both."""
    inputs, is_tuple = _as_tuple(inputs, "inputs", "hessian")
    if outer_jacobian_strategy not in ("forward-mode", "reverse-mode"):
        raise AssertionError('Expected strategy to be either "forward-mode" or "reverse-mode".')

    def scalar(*xs):
        out, out_tuple = _as_tuple(func(*xs), "outputs of the user-provided function", "hessian")
        if out_tuple or out[0].numel() != 1:
            raise RuntimeError(
                "The function given to hessian should return a single Tensor"
                if out_tuple
                else "The Tensor returned by the function given to hessian should contain a single element"
            )
        return out[0].squeeze()

    def gradient(*xs):
        jac = jacobian(scalar, xs, create_graph=True)
        if strict and not all(g.requires_grad for g in jac):
            k = next(k for k, g in enumerate(jac) if not g.requires_grad)
            raise RuntimeError(
                f"The jacobian of the user-provided function with respect to input {k} is independent of the "
                "input. This is not allowed in strict mode. You should ensure that your function is thrice "
                "differentiable in strict mode or disable strict mode."
            )
        return jac

    result = jacobian(gradient, inputs, create_graph=create_graph, strict=strict)
    return result if is_tuple else result[0][0]


def vhp(func, inputs, v=None, create_graph=False, strict=False):
    """(func(inputs), v times the Hessian of func), for a func that returns one scalar."""
    with _enabled():
        inputs, is_tuple = _as_tuple(inputs, "inputs", "vhp")
        v = _vector(
            v, inputs, "vhp", "the input to the user-provided function is a single Tensor with a single element"
        )
        xs = _entering(inputs, create_graph)
        out, out_tuple = _as_tuple(func(*xs), "outputs of the user-provided function", "vhp")
        if out_tuple or out[0].numel() != 1:
            raise RuntimeError(
                "The function given to vhp should return a single Tensor"
                if out_tuple
                else "The Tensor returned by the function given to vhp should contain a single element"
            )
        jac = _grads(out, xs, None, True, strict, "jacobian")
        result = _grads(jac, xs, v, create_graph, strict, "hessian")
    return _leaving(out, create_graph)[0], _packed(_leaving(result, create_graph), is_tuple)


def hvp(func, inputs, v=None, create_graph=False, strict=False):
    """(func(inputs), the Hessian of func times v), for a func that returns one scalar: the Hessian is symmetric."""
    return vhp(func, inputs, v, create_graph, strict)


def _enabled():
    from .grad_mode import enable_grad

    return enable_grad()


__all__ = ["hessian", "hvp", "jacobian", "jvp", "vhp", "vjp"]
