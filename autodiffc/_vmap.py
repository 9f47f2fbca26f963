"""vmap: a function of one sample as a function of a batch.

The function is called once, with tensors that stand for a sample of the batch (csrc/batch.c). Where it asks for values
(item(), `if tensor`, masks as indices, what is computed by NumPy), it is called again, for one sample after the other,
and the results are stacked.
"""

import functools

from ._core import OP, BatchError, TensorBase, fail, wrap
from ._generator import default_generator
from ._native import lib
from ._ops.shape import cat, stack
from .utils._pytree import tree_flatten, tree_unflatten

_SAMPLES = {"error": 0, "different": 1, "same": 2}
_IN, _OUT = OP["vmap_in"], OP["vmap_out"]


def vmap(func, in_dims=0, out_dims=0, randomness="error", *, chunk_size=None):
    """A function that maps func over a dimension of its arguments.

    Args:
        in_dims: the dimension, for all arguments or for each in their (nested) structure; None: the same for all.
        out_dims: where the results have it, likewise; None for what does not depend on the sample.
        randomness: "error": RuntimeError when random numbers are drawn; "same" for all samples; "different" for each.
        chunk_size: how many samples are computed at once, None for all: less memory.

    ValueError for dimensions and structures that do not fit, and for results that are no Tensors.
    """
    if randomness not in _SAMPLES:
        raise RuntimeError(f"Only allowed values for randomness are 'error', 'different', or 'same'. Got {randomness}")
    if chunk_size is not None and not chunk_size > 0:
        raise ValueError(f"vmap: chunk_size should be None or greater than 0. (got {chunk_size})")
    name = getattr(func, "__name__", repr(func))

    @functools.wraps(func, updated=())
    def wrapped(*args, **kwargs):
        leaves, dims, spec, n = _mapped(args, in_dims, name)
        if chunk_size is None or n <= chunk_size:
            return _mapped_call(func, leaves, dims, spec, n, kwargs, randomness, out_dims, name)
        parts = []
        for start in range(0, n, chunk_size):
            size = min(chunk_size, n - start)
            some = [x if d is None else x.narrow(d, start, size) for x, d in zip(leaves, dims)]
            parts.append(_mapped_call(func, some, dims, spec, size, kwargs, randomness, out_dims, name))
        return _concatenated(parts, out_dims)

    return wrapped


def _mapped_call(func, leaves, dims, spec, n, kwargs, randomness, out_dims, name):
    start = default_generator.get_state() if randomness != "error" else None
    if n:
        try:
            return _at_once(func, leaves, dims, spec, n, kwargs, randomness, out_dims, name)
        except BatchError:
            if start is not None:
                default_generator.set_state(start)
    return _joined(_samples(func, leaves, dims, spec, n, kwargs, randomness), n, out_dims, name)


def _at_once(func, leaves, dims, spec, n, kwargs, randomness, out_dims, name):
    level = lib.ad_vmap_enter(n, _SAMPLES[randomness])
    if level < 0:
        fail()
    try:
        some = [x if d is None else wrap(lib.ad_op1i(_IN, x._h, d, level, 0)) for x, d in zip(leaves, dims)]
        result = func(*tree_unflatten(some, spec), **kwargs)
        ys, out_spec = tree_flatten(result)
        places = _out_places(out_dims, out_spec, name)
        joined = []
        for y, d in zip(ys, places):
            if d is None:
                if isinstance(y, TensorBase) and lib.ad_is_batched(y._h, level):
                    raise ValueError(f"vmap({name}, ...): `{name}` can not return a BatchedTensor when out_dim is None")
                joined.append(y)
                continue
            if not isinstance(y, TensorBase):
                raise _no_tensor(y, name)
            joined.append(wrap(lib.ad_op1i(_OUT, y._h, d, level, n)))
    finally:
        lib.ad_vmap_exit()
    return tree_unflatten(joined, out_spec)


def _concatenated(parts, out_dims):
    taken = [tree_flatten(p)[0] for p in parts]
    spec = tree_flatten(parts[0])[1]
    dims = _spread(out_dims, spec)
    return tree_unflatten([ys[0] if d is None else cat(ys, d) for d, ys in zip(dims, zip(*taken))], spec)


def _out_places(out_dims, spec, name):
    dims = _spread(out_dims, spec)
    if dims is None:
        raise ValueError(f"vmap({name}, ..., out_dims={out_dims})(<inputs>): out_dims is not compatible with the "
                         f"structure of `outputs`. out_dims has structure {tree_flatten(out_dims)[1]} but outputs has "
                         f"structure {spec}.")  # fmt: skip
    return dims


def _no_tensor(y, name):
    return ValueError(f"vmap({name}, ...): `{name}` must only return Tensors, got type {type(y)}. Did you mean to set "
                      "out_dims= to None for output?")  # fmt: skip


def _mapped(args, in_dims, name):
    """The arguments taken apart: (leaves, their dimensions, their structure, the number of samples)."""
    where = f"vmap({name}, in_dims={in_dims}, ...)(<inputs>)"
    if not isinstance(in_dims, (int, tuple)):
        raise ValueError(f"{where}: expected `in_dims` to be int or a (potentially nested) tuple matching the "
                         f"structure of inputs, got: {type(in_dims)}.")  # fmt: skip
    if not args:
        raise ValueError(f"{where}: got no inputs. Maybe you forgot to add inputs, or you are trying to vmap over a "
                         "function with no inputs. The latter is unsupported.")  # fmt: skip
    leaves, spec = tree_flatten(args)
    dims = _spread(in_dims, spec)
    if dims is None:
        raise ValueError(f"{where}: in_dims is not compatible with the structure of `inputs`. in_dims has structure "
                         f"{tree_flatten(in_dims)[1]} but inputs has structure {spec}.")  # fmt: skip
    sizes, found = [], []
    for x, d in zip(leaves, dims):
        if d is None:
            found.append(None)
            continue
        if type(d) is not int:
            raise ValueError(f"{where}: Got in_dim={d} for an input but in_dim must be either an integer dimension or "
                             "None.")  # fmt: skip
        if not isinstance(x, TensorBase):
            raise ValueError(f"{where}: Got in_dim={d} for an input but the input is of type {type(x)}. We cannot vmap "
                             "over non-Tensor arguments, please use None as the respective in_dim")  # fmt: skip
        if not -x.ndim <= d < x.ndim:
            raise ValueError(f"{where}: Got in_dim={d} for some input, but that input is a Tensor of dimensionality "
                             f"{x.ndim} so expected in_dim to satisfy -{x.ndim} <= in_dim < {x.ndim}.")  # fmt: skip
        found.append(d % x.ndim)
        sizes.append(x.shape[found[-1]])
    if not sizes:
        raise ValueError("vmap: at least one Tensor must be mapped over: all in_dims are None, or there is no Tensor")
    if len(set(sizes)) > 1:
        raise ValueError("vmap: Expected all tensors to have the same size in the mapped dimension, got sizes "
                         f"{sizes} for the mapped dimension")  # fmt: skip
    return leaves, found, spec, sizes[0]


def _spread(prefix, spec):
    """The dimensions in a structure, one for each leaf of another that goes deeper; None when they do not fit."""
    if prefix is None or isinstance(prefix, int):
        return [prefix] * spec.num_leaves
    inner, own = tree_flatten(prefix)
    if own.kind is None or own.kind is not spec.kind or len(own.children) != len(spec.children):
        return inner if own.kind is None and spec.kind is None else None
    if own.kind is dict and own.context[2] != spec.context[2]:
        return None
    parts = prefix.values() if isinstance(prefix, dict) else prefix
    result = []
    for part, child in zip(parts, spec.children):
        some = _spread(part, child)
        if some is None:
            return None
        result += some
    return result


def _samples(func, leaves, dims, spec, n, kwargs, randomness):
    """The results for each sample; for a batch without samples, that for one of zeros."""
    start = default_generator.get_state() if randomness != "different" else None
    results = []
    for k in range(max(n, 1)):
        if n:
            one = [x if d is None else x.select(d, k) for x, d in zip(leaves, dims)]
        else:
            one = [x if d is None else x.new_zeros([*x.shape[:d], *x.shape[d + 1 :]]) for x, d in zip(leaves, dims)]
        if k and randomness == "same":
            default_generator.set_state(start)
        results.append(func(*tree_unflatten(one, spec), **kwargs))
        if k == 0 and randomness == "error" and not default_generator.get_state().equal(start):
            raise RuntimeError(
                "vmap: called random operation while in randomness error mode. Please either use the 'same' or "
                "'different' randomness flags on vmap or perform the randomness operation out of vmap"
            )
    return results


def _joined(results, n, out_dims, name):
    """The results of all samples as those of the batch."""
    taken = [tree_flatten(r) for r in results]
    spec = taken[0][1]
    dims = _out_places(out_dims, spec, name)
    if any(s != spec for _, s in taken):
        raise ValueError(f"vmap({name}, ...): the structure of what `{name}` returns differs between samples")
    joined = []
    for j, d in enumerate(dims):
        column = [leaves[j] for leaves, _ in taken]
        if d is None:
            if isinstance(column[0], TensorBase) and not all(x.equal(column[0]) for x in column[1:]):
                raise ValueError(f"vmap({name}, ...): `{name}` can not return a BatchedTensor when out_dim is None")
            joined.append(column[0])
            continue
        if not isinstance(column[0], TensorBase):
            raise _no_tensor(column[0], name)
        r = stack(column, d)
        joined.append(r if n else r.narrow(d, 0, 0))
    return tree_unflatten(joined, spec)
