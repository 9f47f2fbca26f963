"""Function transforms: gradients, Jacobians and products with them, as functions of functions.

They nest, and work together with backward(): what a transform returns is connected to whatever its function
used from outside.
"""

import functools

from ._core import OP, TensorBase, fail, wrap
from ._native import lib
from ._vmap import vmap
from .autograd import grad as _autograd_grad
from .autograd.grad_mode import enable_grad as _enable_grad
from .utils._pytree import tree_flatten, tree_leaves, tree_map, tree_unflatten


def _alias(x):
    return wrap(lib.ad_op1(OP["alias"], x._h))


def _entering(x):
    """x as a tensor to differentiate by, connected to its own history."""
    if not isinstance(x, TensorBase):
        raise ValueError(f"Expected tensors, got unsupported type {type(x)}")
    y = _alias(x)
    return y if y.requires_grad or not y.dtype.is_floating_point else y.requires_grad_()


def _outside(outputs, own):
    """Whether what was computed depends on tensors that want gradients besides `own`, or on the history of those."""
    if any(x.grad_fn is not None for x in own):
        return True
    mine = {x._h for x in own}
    outputs = [y for y in outputs if y.requires_grad]
    return bool(outputs) and lib.ad_other_leaves([y._h for y in outputs], len(outputs), list(mine), len(mine)) != 0


def _spend(leaves):
    """The transform that opened these leaves is done."""
    for x in leaves:
        lib.ad_spend_leaf(x._h)


def _argnums(argnums, args):
    nums = (argnums,) if isinstance(argnums, int) else tuple(argnums)
    if not nums:
        raise RuntimeError("argnums must name at least one argument")
    seen = []
    for k in nums:
        if not isinstance(k, int):
            raise RuntimeError(f"argnum must be int or Tuple[int, ...], got {type(k)}")
        if not -len(args) <= k < len(args):
            raise RuntimeError(f"Got argnum={k}, but only {len(args)} positional inputs")
        k %= len(args)
        if k in seen:
            raise RuntimeError(f"argnums elements must be unique: {nums}")
        seen.append(k)
    return seen


def _exchanged(argnums, nums, args, picked):
    """args as a list, with those that argnums names exchanged for picked: one of them, or a tuple."""
    args = list(args)
    for k, x in zip(nums, (picked,) if isinstance(argnums, int) else picked):
        args[k] = x
    return args


def _chosen(argnums, args):
    """The arguments that argnums names, opened to be differentiated by: (args, the chosen ones, leaves, spec)."""
    nums = _argnums(argnums, args)
    picked = args[nums[0]] if isinstance(argnums, int) else tuple(args[k] for k in nums)
    leaves, spec = tree_flatten(picked)
    leaves = [_entering(x) for x in leaves]
    return _exchanged(argnums, nums, args, tree_unflatten(leaves, spec)), leaves, spec


def grad_and_value(func, argnums=0, has_aux=False):
    """A function that returns (gradient, value of func), or (gradient, (value, aux)) with has_aux.

    func returns one 0-d Tensor; the gradient has the structure of the arguments that argnums names.
    """

    @functools.wraps(func)
    def wrapper(*args, **kwargs):
        recorded = lib.ad_grad_enabled()
        with _enable_grad():
            args, leaves, spec = _chosen(argnums, args)
            out = func(*args, **kwargs)
            aux = None
            if has_aux:
                if not (isinstance(out, tuple) and len(out) == 2):
                    raise RuntimeError(
                        "grad_and_value(f)(*args): output of function f should be a tuple: (output, aux) if "
                        "has_aux is True"
                    )
                out, aux = out
            if not isinstance(out, TensorBase):
                raise RuntimeError(f"grad_and_value(f)(*args): Expected f(*args) to return a tensor, got {type(out)}")
            if out.ndim:
                raise RuntimeError(
                    "grad_and_value(f)(*args): Expected f(*args) to return a scalar tensor, got tensor with "
                    f"{out.ndim} dims. Maybe you wanted to use the vjp or jacrev APIs instead?"
                )
            keep = recorded and _outside([out], leaves)
            grads = _grads(out, leaves, None, keep)
        _spend(leaves)
        if not keep:
            out, aux = out.detach(), tree_map(_detached, aux)
        value = (out, aux) if has_aux else out
        return tree_unflatten(grads, spec), value

    return wrapper


def _detached(x):
    return _carried(x) if isinstance(x, TensorBase) and x.requires_grad else x


def _carried(x):
    """x without its history, with its tangents."""
    grad = lib.ad_set_grad_enabled(0)
    try:
        y = _alias(x)
    finally:
        lib.ad_set_grad_enabled(grad)
    return y


def _grads(out, leaves, v, create_graph, retain=None):
    if not out.requires_grad:
        return [_zeros(x) for x in leaves]
    floats = [x for x in leaves if x.requires_grad]
    got = iter(_autograd_grad(out, floats, v, retain_graph=retain, create_graph=create_graph, allow_unused=True))
    result = []
    for x in leaves:
        g = next(got) if x.requires_grad else None
        result.append(g if g is not None else _zeros(x))
    return result


def _zeros(x):
    return wrap(lib.ad_full(lib.ad_dtype_of(x._h), x.shape, x.ndim, 0.0, 0))


def grad(func, argnums=0, has_aux=False):
    """A function that returns the gradient of func, which returns one 0-d Tensor; (gradient, aux) with has_aux."""
    both = grad_and_value(func, argnums, has_aux)

    @functools.wraps(func)
    def wrapper(*args, **kwargs):
        g, value = both(*args, **kwargs)
        return (g, value[1]) if has_aux else g

    return wrapper


def vjp(func, *primals, has_aux=False):
    """(func(*primals), vjp_fn): vjp_fn(v) is v times the Jacobian of func. With has_aux a third, aux."""
    recorded = lib.ad_grad_enabled()
    with _enable_grad():
        leaves, spec = tree_flatten(primals)
        leaves = [_entering(x) for x in leaves]
        out = func(*tree_unflatten(leaves, spec))
        aux = None
        if has_aux:
            if not (isinstance(out, tuple) and len(out) == 2):
                raise RuntimeError(
                    "vjp(f, *primals): output of function f should be a tuple: (output, aux) if has_aux is True"
                )
            out, aux = out
        ys, out_spec = tree_flatten(out)
        for y in ys:
            if not isinstance(y, TensorBase):
                raise RuntimeError(f"vjp(f, *primals): Expected f(*primals) to return only tensors, got {type(y)}")
        keep = recorded and _outside(ys, leaves)
    _spend(leaves)

    def vjp_fn(*cotangents, retain_graph=True, create_graph=None):
        """The cotangents times the Jacobian, in the structure of the primals."""
        given = cotangents[0] if len(cotangents) == 1 else cotangents
        vs = tree_leaves(given)
        if len(vs) != len(ys):
            raise RuntimeError(
                f"Expected pytree structure of cotangents to be the same as pytree structure of outputs to the "
                f"function: {len(vs)} tensors for {len(ys)}"
            )
        outer = lib.ad_grad_enabled()
        with _enable_grad():
            create = outer and (keep or any(v.requires_grad for v in vs)) if create_graph is None else create_graph
            live = [(y, v) for y, v in zip(ys, vs) if y.requires_grad]
            if live:
                grads = _grads_of_several(live, leaves, create, retain_graph)
            else:
                grads = [_zeros(x) for x in leaves]
        result = tree_unflatten(grads, spec)
        return result if len(primals) > 1 else (result[0],)

    shown = tree_unflatten(ys if keep else [_carried(y) for y in ys], out_spec)
    if has_aux:
        return shown, vjp_fn, aux if keep else tree_map(_detached, aux)
    return shown, vjp_fn


def _grads_of_several(live, leaves, create_graph, retain_graph):
    floats = [x for x in leaves if x.requires_grad]
    got = iter(
        _autograd_grad(
            [y for y, _ in live],
            floats,
            [v for _, v in live],
            retain_graph=retain_graph,
            create_graph=create_graph,
            allow_unused=True,
        )
    )
    result = []
    for x in leaves:
        g = next(got) if x.requires_grad else None
        result.append(g if g is not None else _zeros(x))
    return result


class _Level:
    """A forward mode level of its own, inside of those that are open."""

    def __enter__(self):
        self.level = lib.ad_level_enter()
        if self.level < 0:
            fail()
        return self

    def __exit__(self, *exc):
        lib.ad_level_exit()

    def dual(self, x, tangent):
        y = _alias(x)
        if lib.ad_set_tangent(y._h, self.level, tangent._h) < 0:
            fail()
        return y

    def open(self, y):
        """(primal, tangent) of a result, without this level."""
        if not isinstance(y, TensorBase):
            raise RuntimeError(f"jvp(f, primals, tangents): Expected f(*primals) to return only tensors, got {type(y)}")
        h = lib.ad_tangent(y._h, self.level)
        depth = lib.ad_forward_depth(self.level)
        try:
            return _alias(y), wrap(h) if h else _zeros(y)
        finally:
            lib.ad_forward_depth(depth)


def jvp(func, primals, tangents, *, strict=False, has_aux=False):
    """(func(*primals), the Jacobian of func times tangents), by forward mode. With has_aux a third, aux."""
    if not isinstance(primals, tuple):
        raise RuntimeError(
            f"jvp(f, primals, tangents): Expected primals to be a tuple. E.g. it should be valid to call "
            f"f(*primals), got {type(primals)}"
        )
    xs, spec = tree_flatten(primals)
    ts, t_spec = tree_flatten(tangents)
    if spec != t_spec:
        raise RuntimeError(
            "jvp(f, primals, tangents): Expected primals and tangents to have the same python structure. For "
            f"example, if primals is a tuple of 3 tensors, tangents also must be. Got primals with structure "
            f"{spec} and tangents with structure {t_spec}"
        )
    for x, t in zip(xs, ts):
        if not isinstance(x, TensorBase) or not isinstance(t, TensorBase):
            raise RuntimeError("jvp(f, primals, tangents): Expected primals and tangents to contain only tensors")
    with _Level() as level:
        out = func(*tree_unflatten([level.dual(x, t) for x, t in zip(xs, ts)], spec))
        aux = None
        if has_aux:
            if not (isinstance(out, tuple) and len(out) == 2):
                raise RuntimeError(
                    "jvp(f, primals, tangents): output of function f should be a tuple: (output, aux) if "
                    "has_aux is True"
                )
            out, aux = out
            aux = tree_map(lambda a: level.open(a)[0] if isinstance(a, TensorBase) else a, aux)
        ys, out_spec = tree_flatten(out)
        pairs = [level.open(y) for y in ys]
    result = tree_unflatten([p for p, _ in pairs], out_spec), tree_unflatten([t for _, t in pairs], out_spec)
    return (*result, aux) if has_aux else result


def _basis(x):
    """The unit vectors of x's elements, each in x's sizes."""
    from ._ops.creation import eye

    return eye(x.numel(), dtype=x.dtype).view((x.numel(), *x.shape))


def _pulled(y, leaves, create_graph, chunk_size):
    """The gradients of each element of y, for each leaf: (y.numel(), *sizes)."""
    if not y.numel() or not y.requires_grad:
        return [x.new_zeros((y.numel(), *x.shape)) for x in leaves]

    def pull(v):
        return tuple(_grads(y, leaves, v, create_graph, retain=True))

    return vmap(pull, chunk_size=chunk_size)(_basis(y))


def jacrev(func, argnums=0, *, has_aux=False, chunk_size=None, _preallocate_and_copy=False):
    """A function that returns the Jacobian of func, row by row in reverse mode: sizes of output, then input.

    The result has the structure of the output, and in each place that of the arguments that argnums names. The rows
    are computed chunk_size at once, or all of them.
    """
    if chunk_size is not None and chunk_size <= 0:
        raise ValueError("jacrev: `chunk_size` should be greater than 0.")

    @functools.wraps(func)
    def wrapper(*args, **kwargs):
        recorded = lib.ad_grad_enabled()
        with _enable_grad():
            args, leaves, spec = _chosen(argnums, args)
            out = func(*args, **kwargs)
            aux = None
            if has_aux:
                out, aux = out
            ys, out_spec = tree_flatten(out)
            keep = recorded and _outside([y for y in ys if isinstance(y, TensorBase)], leaves)
            result = []
            for y in ys:
                if not isinstance(y, TensorBase):
                    raise RuntimeError(f"jacrev(f): Expected f(*args) to return only tensors, got {type(y)}")
                rows = _pulled(y, leaves, keep, chunk_size)
                shaped = [r.view((*y.shape, *x.shape)) for r, x in zip(rows, leaves)]
                result.append(tree_unflatten(shaped, spec))
        _spend(leaves)
        jac = tree_unflatten(result, out_spec)
        if not has_aux:
            return jac
        return jac, aux if keep else tree_map(_detached, aux)

    return wrapper


def jacfwd(func, argnums=0, has_aux=False, *, randomness="error"):
    """A function that returns the Jacobian of func, column by column in forward mode: sizes of output, then input."""

    @functools.wraps(func)
    def wrapper(*args, **kwargs):
        nums = _argnums(argnums, args)
        picked = args[nums[0]] if isinstance(argnums, int) else tuple(args[k] for k in nums)
        leaves, spec = tree_flatten(picked)

        def partial(*inner):
            return func(*_exchanged(argnums, nums, args, tree_unflatten(inner, spec)), **kwargs)

        seen = {}

        def push(j, tangent):
            tangents = [tangent if k == j else _zeros(x) for k, x in enumerate(leaves)]
            got = jvp(partial, tuple(leaves), tuple(tangents), has_aux=has_aux)
            ts, seen["spec"] = tree_flatten(got[1])
            if has_aux:
                seen["aux"] = got[2]
            return tuple(ts)

        columns = []  # for each leaf the tangents of the outputs, its elements last
        for j, x in enumerate(leaves):
            if x.numel():
                each = vmap(functools.partial(push, j), out_dims=-1, randomness=randomness)(_basis(x))
                columns.append([t.reshape((*t.shape[:-1], *x.shape)) for t in each])
            else:
                columns.append([x.new_zeros((*t.shape, *x.shape)) for t in push(j, _zeros(x))])
        result = [tree_unflatten(list(parts), spec) for parts in zip(*columns)]
        out_spec, aux = seen.get("spec"), seen.get("aux")
        jac = tree_unflatten(result, out_spec)
        return (jac, aux) if has_aux else jac

    return wrapper


def hessian(func, argnums=0):
    """A function that returns the Hessian of func: forward mode over reverse mode."""
    return jacfwd(jacrev(func, argnums), argnums)


def linearize(func, *primals):
    """(func(*primals), jvp_fn): jvp_fn(*tangents) is the Jacobian of func at the primals times tangents."""
    out = func(*primals)

    def jvp_fn(*tangents):
        return jvp(func, primals, tangents)[1]

    return out, jvp_fn


def functional_call(module, parameter_and_buffer_dicts, args=None, kwargs=None, *, tie_weights=True, strict=False):
    """module(*args, **kwargs) with the parameters and buffers that a dictionary (or several) names replaced."""
    if isinstance(parameter_and_buffer_dicts, dict):
        given = parameter_and_buffer_dicts
    elif isinstance(parameter_and_buffer_dicts, (tuple, list)):
        given = {}
        for d in parameter_and_buffer_dicts:
            if not isinstance(d, dict):
                raise ValueError("Expected all elements of parameter_and_buffer_dicts to be dictionaries")
            repeated = sorted(set(given) & set(d))
            if repeated:
                raise ValueError(
                    f"{repeated} appeared in multiple dictionaries; behavior of functional call is ambiguous"
                )
            given.update(d)
    else:
        raise ValueError(
            f"Expected parameter_and_buffer_dicts to be a dict, or a list/tuple of dicts, but got "
            f"{type(parameter_and_buffer_dicts)}"
        )
    args = () if args is None else args if isinstance(args, tuple) else (args,)
    with _Replaced(module, given, tie_weights, strict):
        return module(*args, **(kwargs or {}))


class _Replaced:
    """A module whose parameters and buffers are others for a while."""

    def __init__(self, module, given, tie_weights, strict):
        own = dict(module.named_parameters(remove_duplicate=False))
        own.update(module.named_buffers(remove_duplicate=False))
        unknown = [n for n in given if n not in own]
        missing = [n for n in own if n not in given]
        given = dict(given)
        if tie_weights:
            by_id = {}
            for name, t in given.items():
                if name in own:
                    by_id.setdefault(id(own[name]), t)
            for name in missing:
                if id(own[name]) in by_id:
                    given[name] = by_id[id(own[name])]
            missing = [n for n in missing if n not in given]
        if strict and (unknown or missing):
            parts = ["Error(s) in loading state_dict for functional_call:"]
            if unknown:
                parts.append("Unexpected key(s): " + ", ".join(map(repr, unknown)))
            if missing:
                parts.append("Missing key(s): " + ", ".join(map(repr, missing)))
            raise RuntimeError("\n".join(parts))
        if unknown:
            raise KeyError(f"functional_call: the module has no parameter or buffer {unknown[0]!r}")
        self.module, self.given = module, given

    def __enter__(self):
        self.undo = []
        for name, t in self.given.items():
            path, _, last = name.rpartition(".")
            owner = self.module.get_submodule(path) if path else self.module
            place = owner._parameters if last in owner._parameters else owner._buffers
            self.undo.append((place, last, place[last]))
            place[last] = t

    def __exit__(self, *exc):
        for place, last, t in reversed(self.undo):
            place[last] = t


def stack_module_state(models):
    """({name: the models' parameters stacked}, {name: their buffers stacked})."""
    from ._ops.shape import stack

    models = list(models)
    if not models:
        raise RuntimeError("stack_module_state: Expected at least one model, got 0.")
    if any(type(m) is not type(models[0]) for m in models):
        raise RuntimeError("stack_module_state: Expected all models to be of the same class.")
    params = {
        n: stack([dict(m.named_parameters())[n].detach() for m in models]).requires_grad_()
        for n, _ in models[0].named_parameters()
    }
    buffers = {n: stack([dict(m.named_buffers())[n] for m in models]) for n, _ in models[0].named_buffers()}
    return params, buffers


__all__ = [
    "functional_call",
    "grad",
    "grad_and_value",
    "hessian",
    "jacfwd",
    "jacrev",
    "jvp",
    "linearize",
    "stack_module_state",
    "vjp",
    "vmap",
]


def __getattr__(name):
    if name.startswith("__"):  # the import system asks for some of every module
        raise AttributeError(name)
    from ._hook import missing

    raise missing.attribute(__name__, name)
