"""Gradients compared with finite differences."""

import itertools
import warnings

from .._core import TensorBase


class GradcheckError(RuntimeError):
    """What gradcheck raises when gradients are wrong."""


def _tuple(x):
    return tuple(x) if isinstance(x, (tuple, list)) else (x,)


def _differentiable(out):
    return tuple(y for y in _tuple(out) if isinstance(y, TensorBase) and y.requires_grad)


def _is_input(x):
    return isinstance(x, TensorBase) and x.requires_grad


def _check_inputs(inputs, raising):
    """The inputs that gradients are taken by, as flat lists of tensors."""
    from .. import float64

    any_input = False
    for k, x in enumerate(_flat(inputs)):
        if not _is_input(x):
            continue
        any_input = True
        if x.dtype is not float64:
            warnings.warn(
                f"Input #{k} requires gradient and is not a double precision floating point or complex. This check "
                "will likely fail if all the inputs are not of double precision floating point or complex. ",
                stacklevel=4,
            )
        if x.numel() and not all(stride > 0 or size <= 1 for stride, size in zip(x.stride(), x.shape)):
            raise RuntimeError(
                f"The {k}th input has a dimension with stride 0. gradcheck only supports inputs that are "
                "non-overlapping to be able to compute the numerical gradients correctly. You should call "
                ".contiguous on the input before passing it to gradcheck."
            )
    if not any_input:
        raise ValueError(
            "gradcheck expects at least one input tensor to require gradient, but none of them have requires_grad=True."
        )
    for x in _flat(inputs):
        if _is_input(x) and not x.is_leaf:
            x.retain_grad()


def _flat(inputs):
    found = []
    for x in inputs:
        found += list(x) if isinstance(x, (tuple, list)) else [x]
    return found


def _values(fn, inputs, outputs_wanted):
    """The outputs as they are now, detached copies, of those that carry gradients."""
    from .. import enable_grad

    with enable_grad():  # the function may take gradients itself
        out = _tuple(fn(*inputs))
    return [out[k].detach().clone() for k in outputs_wanted]


def _positions(out):
    return [k for k, y in enumerate(_tuple(out)) if isinstance(y, TensorBase) and y.requires_grad]


def _numerical(fn, inputs, x, wanted, eps):
    """For each output the matrix (elements of x, elements of output) of central differences."""
    from .. import no_grad, stack

    columns = []
    with no_grad():
        data = x.data
        for index in itertools.product(*map(range, x.shape)):
            cell = data
            for i in index:
                cell = cell.select(0, i)
            before = cell.item()
            cell.fill_(before - eps)
            low = _values(fn, inputs, wanted)
            cell.fill_(before + eps)
            high = _values(fn, inputs, wanted)
            cell.fill_(before)
            columns.append([((h - b) / (2 * eps)).reshape(-1) for h, b in zip(high, low)])
    if not columns:
        return [None] * len(wanted)
    return [stack([c[k] for c in columns]) for k in range(len(wanted))]


def _analytical(y, xs, grad_of):
    """For each x the matrix (elements of x, elements of y) that rows of backward passes give; None when unused."""
    from .. import stack, zeros_like

    rows = []
    for i in range(y.numel()):
        v = zeros_like(y).reshape(-1)
        v.select(0, i).fill_(1)
        rows.append(grad_of(y, xs, v.view(y.shape)))
    result = []
    for k, x in enumerate(xs):
        parts = [r[k] for r in rows]
        if not parts or all(p is None for p in parts):
            result.append(None)
        else:
            result.append(stack([(p if p is not None else zeros_like(x)).reshape(-1) for p in parts], 1))
    return result


def _plain_grad(y, xs, v):
    from . import grad

    got = grad(y, xs, v, retain_graph=True, allow_unused=True)
    for g, x in zip(got, xs):
        if g is not None and g.dtype is not x.dtype:
            raise GradcheckError("Backward returned a gradient of another dtype than its input")
    return got


def _close(a, b, atol, rtol):
    return bool(((a - b).abs() <= atol + rtol * b.abs()).all().item()) or _same_special(a, b, atol, rtol)


def _same_special(a, b, atol, rtol):
    """allclose where both may be infinite in the same way."""
    import numpy as np

    return bool(np.allclose(a.detach().numpy(), b.detach().numpy(), rtol, atol))


def _mismatch(analytical, numerical, k_out, k_in, prefix):
    return (
        f"{prefix}Jacobian mismatch for output {k_out} with respect to input {k_in},\nnumerical:{numerical}\n"
        f"analytical:{analytical}\n"
    )


def gradcheck(
    func,
    inputs,
    *,
    eps=1e-6,
    atol=1e-5,
    rtol=1e-3,
    raise_exception=True,
    nondet_tol=0.0,
    check_undefined_grad=True,
    check_grad_dtypes=False,
    check_batched_grad=False,
    check_batched_forward_grad=False,
    check_forward_ad=False,
    check_backward_ad=True,
    fast_mode=False,
    masked=None,
):
    """Whether the gradients of func at `inputs` agree with central differences of width eps.

    True, or GradcheckError (a RuntimeError; False without raise_exception) that shows both Jacobians. Only inputs that
    require grad are looked at; they should be float64. fast_mode compares one random projection of the Jacobians.
    check_forward_ad looks at forward mode too. ValueError when no input requires grad.
    """
    if check_batched_grad or check_batched_forward_grad:
        raise NotImplementedError("gradcheck(check_batched_grad=True) needs vmap: pass False")
    if not (check_forward_ad or check_backward_ad):
        raise AssertionError("Expected at least one of check_forward_ad or check_backward_ad to be True")
    try:
        _check(
            func,
            inputs,
            eps,
            atol,
            rtol,
            nondet_tol,
            check_undefined_grad,
            check_forward_ad,
            check_backward_ad,
            fast_mode,
        )
    except GradcheckError:
        if raise_exception:
            raise
        return False
    return True


def _check(func, inputs, eps, atol, rtol, nondet_tol, undefined, forward, backward, fast):
    inputs = _tuple(inputs)
    _check_inputs(inputs, True)
    out = func(*inputs)
    wanted = _positions(out)
    xs = [x for x in _flat(inputs) if _is_input(x)]
    if not wanted:
        _check_no_gradient(func, inputs, xs, eps)
        return
    compare = _compare_fast if fast else _compare
    compare(func, inputs, xs, wanted, eps, atol, rtol, forward, backward)
    if backward:
        _check_reentrant(func, inputs, xs, wanted, nondet_tol)
        if undefined:
            _check_undefined(func, inputs, xs, wanted)


def _check_no_gradient(func, inputs, xs, eps):
    out = _tuple(func(*inputs))
    places = [k for k, y in enumerate(out) if isinstance(y, TensorBase) and y.dtype.is_floating_point]
    if not places:
        raise ValueError("gradcheck: no output of the function requires a gradient")
    for x in xs:
        for n in _numerical(func, inputs, x, places, eps):
            if n is not None and bool((n != 0).any().item()):
                raise GradcheckError("Numerical gradient for function expected to be zero")


def _compare(func, inputs, xs, wanted, eps, atol, rtol, forward, backward):
    numerical = [_numerical(func, inputs, x, wanted, eps) for x in xs]
    if backward:
        out = _tuple(func(*inputs))
        for o, k in enumerate(wanted):
            for i, a in enumerate(_analytical(out[k], xs, _plain_grad)):
                _judge(a, numerical[i][o], o, i, atol, rtol, "")
    if forward:
        for i in range(len(xs)):
            columns = _forward_columns(func, inputs, xs, i, wanted)
            for o in range(len(wanted)):
                _judge(columns[o], numerical[i][o], o, i, atol, rtol, "While considering the forward mode AD: ")


def _judge(a, n, o, i, atol, rtol, prefix):
    from .. import zeros_like

    if n is None or not n.numel():
        return
    a = zeros_like(n) if a is None else a
    if not _close(a, n, atol, rtol):
        raise GradcheckError(_mismatch(a, n, o, i, prefix))


def _duals(inputs, xs, tangents):
    """The inputs with tangents on those in xs."""
    from . import forward_ad

    by_id = {id(x): forward_ad.make_dual(x.detach(), t) for x, t in zip(xs, tangents) if t is not None}

    def swap(x):
        if isinstance(x, (tuple, list)):
            return type(x)(swap(y) for y in x)
        return by_id.get(id(x), x)

    return tuple(swap(x) for x in inputs)


def _tangents_of(func, inputs, xs, tangents, wanted):
    from .. import zeros_like
    from . import forward_ad

    with forward_ad.dual_level():
        out = _tuple(func(*_duals(inputs, xs, tangents)))
        result = []
        for k in wanted:
            primal, t = forward_ad.unpack_dual(out[k])
            result.append((t if t is not None else zeros_like(primal)).detach().clone())
    return result


def _forward_columns(func, inputs, xs, i, wanted):
    from .. import stack, zeros_like

    columns = []
    for e in range(xs[i].numel()):
        t = zeros_like(xs[i].detach()).reshape(-1)
        t.select(0, e).fill_(1)
        tangents = [None] * len(xs)
        tangents[i] = t.view(xs[i].shape)
        columns.append([y.reshape(-1) for y in _tangents_of(func, inputs, xs, tangents, wanted)])
    if not columns:
        return [None] * len(wanted)
    return [stack([c[o] for c in columns]) for o in range(len(wanted))]


def _random_like(x, seed):
    import numpy as np

    from .. import from_numpy

    v = np.random.RandomState(seed).uniform(-1, 1, tuple(x.shape))
    norm = np.sqrt((v * v).sum()) or 1.0
    return from_numpy(np.asarray(v / norm)).to(x.dtype)


def _compare_fast(func, inputs, xs, wanted, eps, atol, rtol, forward, backward):
    from .. import no_grad

    out = _tuple(func(*inputs))
    us = [_random_like(x, 1 + i) for i, x in enumerate(xs)]
    for i, x in enumerate(xs):
        with no_grad():
            data, before = x.data, x.detach().clone()
            data.copy_(before - eps * us[i])
            low = _values(func, inputs, wanted)
            data.copy_(before + eps * us[i])
            high = _values(func, inputs, wanted)
            data.copy_(before)
        for o, k in enumerate(wanted):
            v = _random_like(out[k], 101 + o)
            numerical = (v * (high[o] - low[o])).sum() / (2 * eps)
            scale = float(out[k].numel() * max(x.numel(), 1)) ** 0.5
            if backward:
                g = _plain_grad(out[k], [x], v)[0]
                _judge_fast(
                    (g * us[i]).sum() if g is not None else numerical * 0,
                    numerical,
                    func,
                    inputs,
                    x,
                    o,
                    i,
                    wanted,
                    eps,
                    atol * scale**0.5,
                    rtol,
                    "",
                )
            if forward:
                tangents = [us[i] if j == i else None for j in range(len(xs))]
                t = _tangents_of(func, inputs, xs, tangents, wanted)[o]
                _judge_fast(
                    (v * t).sum(),
                    numerical,
                    func,
                    inputs,
                    x,
                    o,
                    i,
                    wanted,
                    eps,
                    atol * scale**0.5,
                    rtol,
                    "While considering the forward mode AD: ",
                )


def _judge_fast(analytical, numerical, func, inputs, x, o, i, wanted, eps, atol, rtol, prefix):
    if _close(analytical.reshape(1), numerical.reshape(1), atol, rtol):
        return
    slow_n = _numerical(func, inputs, x, wanted, eps)[o]
    slow_a = _analytical(_tuple(func(*inputs))[wanted[o]], [x], _plain_grad)[0]
    raise GradcheckError(
        _mismatch(analytical, numerical, o, i, prefix) + "\nThe above quantities relating the numerical and "
        f"analytical jacobians are computed in fast mode. In slow mode they are:\nnumerical:{slow_n}\n"
        f"analytical:{slow_a}\n"
    )


def _check_reentrant(func, inputs, xs, wanted, tol):
    out = _tuple(func(*inputs))
    for k in wanted:
        v = _random_like(out[k], 7)
        first, second = _plain_grad(out[k], xs, v), _plain_grad(out[k], xs, v)
        for a, b in zip(first, second):
            if a is not None and a.numel() and float((a - b).abs().max().item()) > tol:
                raise GradcheckError(
                    "Backward is not reentrant, i.e., running backward with same input and grad_output multiple "
                    "times gives different values, although analytical gradient matches numerical gradient."
                    f"The tolerance for nondeterminism was {tol}.\n"
                )


def _check_undefined(func, inputs, xs, wanted):
    """A gradient that is missing must count as zeros."""
    from . import grad

    out = _tuple(func(*inputs))
    ys = [out[k] for k in wanted]
    if len(ys) < 2:
        return
    for skip in range(len(ys)):
        some = [y for k, y in enumerate(ys) if k != skip]
        try:
            alone = grad(some, xs, [_random_like(y, 11) for y in some], retain_graph=True, allow_unused=True)
            zeroed = grad(
                ys,
                xs,
                [_random_like(y, 11) if k != skip else y.detach() * 0 for k, y in enumerate(ys)],
                retain_graph=True,
                allow_unused=True,
            )
        except RuntimeError as e:
            raise GradcheckError(
                "Expected backward function to handle undefined output grads. Please look at 'Notes about "
                "undefined output gradients' in 'tools/autograd/derivatives.yaml'"
            ) from e
        for a, b in zip(alone, zeroed):
            if a is not None and b is not None and not _same_special(a, b, 1e-8, 1e-5):
                raise GradcheckError(
                    "Expected backward function to handle undefined output grads: a missing gradient and one "
                    "of zeros give different results"
                )


def gradgradcheck(
    func,
    inputs,
    grad_outputs=None,
    *,
    eps=1e-6,
    atol=1e-5,
    rtol=1e-3,
    gen_non_contig_grad_outputs=False,
    raise_exception=True,
    nondet_tol=0.0,
    check_undefined_grad=True,
    check_grad_dtypes=False,
    check_batched_grad=False,
    check_fwd_over_rev=False,
    check_rev_over_rev=True,
    fast_mode=False,
    masked=False,
):
    """gradcheck of the gradients of func, as functions of its inputs and of `grad_outputs` (random when not given)."""
    if not (check_fwd_over_rev or check_rev_over_rev):
        raise AssertionError("Expected at least one of check_fwd_over_rev or check_rev_over_rev to be True")
    inputs = _tuple(inputs)
    _check_inputs(inputs, raise_exception)
    if grad_outputs is None:
        grad_outputs = tuple(
            _noncontiguous(_random_like(y, 31 + k), gen_non_contig_grad_outputs).requires_grad_()
            for k, y in enumerate(_differentiable(func(*inputs)))
        )
    else:
        grad_outputs = _tuple(grad_outputs)
    n = len(grad_outputs)

    def gradient(*args):
        from . import grad

        given, vs = args[: len(args) - n], args[len(args) - n :]
        given = tuple(x if not _is_input(x) or not x.is_leaf else x for x in given)
        outs = _differentiable(func(*given))
        xs = [x for x in _flat(given) if _is_input(x)]
        got = grad(outs, xs, vs, create_graph=True, allow_unused=True)
        return tuple(g for g in got if g is not None)

    args = inputs + tuple(grad_outputs)
    if not _differentiable(gradient(*args)):
        return True
    return gradcheck(
        gradient,
        args,
        eps=eps,
        atol=atol,
        rtol=rtol,
        raise_exception=raise_exception,
        nondet_tol=nondet_tol,
        check_undefined_grad=check_undefined_grad,
        check_forward_ad=False,
        check_backward_ad=True,
        fast_mode=fast_mode,
    ) and (
        not check_fwd_over_rev or _forward_over_reverse(func, inputs, grad_outputs, eps, atol, rtol, raise_exception)
    )


def _noncontiguous(t, wanted):
    from .. import stack

    return stack([t, t], -1).select(-1, 0) if wanted and t.ndim else t


def _forward_over_reverse(func, inputs, grad_outputs, eps, atol, rtol, raise_exception):
    """The tangents of gradients against differences of gradients."""
    from .. import zeros_like
    from . import forward_ad, grad

    xs = [x for x in _flat(inputs) if _is_input(x)]
    us = [_random_like(x, 51 + i) for i, x in enumerate(xs)]

    def gradients(moved):
        by_id = {id(x): m for x, m in zip(xs, moved)}
        swap = lambda x: type(x)(map(swap, x)) if isinstance(x, (tuple, list)) else by_id.get(id(x), x)  # noqa: E731
        outs = _differentiable(func(*[swap(x) for x in inputs]))
        return grad(outs, moved, [v.detach() for v in grad_outputs], create_graph=True, allow_unused=True)

    with forward_ad.dual_level():
        duals = [forward_ad.make_dual(x.detach(), u).requires_grad_() for x, u in zip(xs, us)]
        tangents = []
        for g in gradients(duals):
            t = forward_ad.unpack_dual(g).tangent if g is not None else None
            tangents.append(t.detach().clone() if t is not None else None)
    low = gradients([(x.detach() - eps * u).requires_grad_() for x, u in zip(xs, us)])
    high = gradients([(x.detach() + eps * u).requires_grad_() for x, u in zip(xs, us)])
    for i, (t, a, b) in enumerate(zip(tangents, low, high)):
        if a is None or b is None:
            continue
        numerical = (b.detach() - a.detach()) / (2 * eps)
        t = zeros_like(numerical) if t is None else t
        if not _close(t, numerical, atol, rtol):
            if raise_exception:
                raise GradcheckError(_mismatch(t, numerical, i, i, "While considering forward over reverse: "))
            return False
    return True
