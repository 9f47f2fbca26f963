"""Random numbers. generator= takes a Generator, the default one when None; the same seed gives PyTorch's numbers
(docs/random.md)."""

import math

from .. import _dtype
from .._core import OP, TensorBase, fail, wrap, wrap_results
from .._generator import Generator
from .._native import ffi, lib
from . import _call
from .creation import as_dtype, channels_last_strides, check_options, check_sizes, code_of, dense_strides

_UNIFORM, _NORMAL, _RANDINT, _BERNOULLI = OP["uniform"], OP["normal"], OP["randint"], OP["bernoulli"]
_DROPOUT = OP["dropout"]
_FULL, _FROM, _ALL = 0, 1, 2
"""How a range of integers is given: both ends, the lower one, none."""


# ---- arguments ----


def _handle(generator, name):
    if generator is None:
        return 0
    if not isinstance(generator, Generator):
        raise TypeError(f"{name}(): argument 'generator' must be a Generator, not {type(generator).__name__}")
    return generator._g


def _float(v, name, what):
    if type(v) is float:
        return v
    if isinstance(v, (str, bytes)) or (not hasattr(v, "__float__") and not hasattr(v, "__index__")):
        raise TypeError(f"{name}(): argument '{what}' must be a number, not {type(v).__name__}")
    return float(v)


def _int(v, name, what):
    if type(v) is not int:
        if isinstance(v, TensorBase) and not v.dtype.is_floating_point:
            v = v.item()
        if not hasattr(v, "__index__"):
            raise TypeError(f"{name}(): argument '{what}' must be int, not {type(v).__name__}")
        v = v.__index__()
    if not -(1 << 63) <= v < 1 << 63:
        raise ValueError("Overflow when unpacking long long")
    return v


def _tensor(t, name, argument="input", position=1):
    if not isinstance(t, TensorBase):
        raise _call.not_a_tensor(name, t, argument, position)
    return t


def _made(op, name, size, a, b, generator, dtype, layout, device, requires_grad, out, ints=(0, 0, 0), default=None):
    """A new tensor of random numbers; with `out`, that one resized and filled."""
    if device is not None or layout is not None:
        check_options(device, layout, name)
    g = _handle(generator, name)
    if out is not None:
        return _filled_out(op, name, size, a, b, g, dtype, out, ints)
    code = default if dtype is None and default is not None else code_of(dtype, name)
    h = lib.ad_opn(op, (), 0, (code, 0, *ints, 0, 0, g), 8, (a, b), 2, size, len(size))
    if not h:
        fail()
    t = wrap(h)
    if requires_grad and lib.ad_set_requires_grad(h, 1) < 0:
        fail()
    return t


def _filled_out(op, name, size, a, b, g, dtype, out, ints):
    _tensor(out, name, "out")
    if dtype is not None and as_dtype(dtype, name) is not out.dtype:
        raise RuntimeError(f"{name}(): dtype {dtype} does not match dtype of out parameter ({out.dtype})")
    h = lib.ad_opn(op, (), 0, (lib.ad_dtype_of(out._h), 0, *ints, 0, 0, g), 8, (a, b), 2, size, len(size))
    if not h:
        fail()
    return _call.to_out(h, out)


def _like(op, name, input, a, b, generator, dtype, layout, device, requires_grad, memory_format, ints=(0, 0, 0)):
    """Random numbers in the size, dtype and order of strides of `input`."""
    h = _tensor(input, name)._h
    if device is not None or layout is not None:
        check_options(device, layout, name)
    code = lib.ad_dtype_of(h) if dtype is None else code_of(dtype, name)
    n = lib.ad_ndim(h)
    size = ffi.unpack(lib.ad_sizes(h), n)
    strides = ()
    if memory_format in (_dtype.channels_last, _dtype.channels_last_3d):
        strides = channels_last_strides(size, memory_format)
    elif not lib.ad_is_contiguous(h) and memory_format is not _dtype.contiguous_format:
        strides = dense_strides(size, ffi.unpack(lib.ad_strides(h), n))
    h = lib.ad_opn(op, (), 0, (code, bool(strides), *ints, 0, 0, _handle(generator, name)), 8, (a, b), 2,
                   [*size, *strides], n + len(strides))
    if not h:
        fail()
    t = wrap(h)
    if requires_grad and lib.ad_set_requires_grad(h, 1) < 0:
        fail()
    return t


def _sized(name, args, size):
    if size is None and not args:
        raise TypeError(f"{name}(): received no size; expected {name}(*size)")
    return check_sizes(args if size is None else (size,), name)


# ---- new tensors ----


def rand(*sizes, size=None, generator=None, names=None, out=None, dtype=None, layout=None, device=None,
         pin_memory=False, requires_grad=False):
    """Uniform numbers of [0, 1). NotImplementedError for integer dtypes, RuntimeError for negative sizes."""
    size = _sized("rand", sizes, size)
    return _made(_UNIFORM, "rand", size, 0.0, 1.0, generator, dtype, layout, device, requires_grad, out)


def randn(*sizes, size=None, generator=None, names=None, out=None, dtype=None, layout=None, device=None,
          pin_memory=False, requires_grad=False):
    """Numbers of the standard normal distribution. NotImplementedError for integer dtypes."""
    size = _sized("randn", sizes, size)
    return _made(_NORMAL, "randn", size, 0.0, 1.0, generator, dtype, layout, device, requires_grad, out)


def randint(*args, low=None, high=None, size=None, generator=None, out=None, dtype=None, layout=None, device=None,
            pin_memory=False, requires_grad=False):
    """Integers of [low, high): randint(high, size) or randint(low, high, size); int64 unless dtype is given.

    RuntimeError when low >= high or a bound does not fit the dtype.
    """
    args = list(args)
    if size is None:
        if len(args) + (low is not None) + (high is not None) < 2:
            raise TypeError("randint(): expected (int high, tuple of ints size) or (int low, int high, tuple of ints "
                            "size)")
        size = args.pop()
    if not isinstance(size, (tuple, list)):
        raise TypeError(f"randint(): argument 'size' must be tuple of ints, not {type(size).__name__}")
    if len(args) == 2 and low is None and high is None:
        low, high = args
    elif len(args) == 1 and high is None:
        high = args[0]
    elif len(args) == 1 and low is None:
        low = args[0]
    elif args:
        raise TypeError("randint(): too many positional arguments")
    low, high = _int(0 if low is None else low, "randint", "low"), _int(high, "randint", "high")
    return _made(_RANDINT, "randint", check_sizes((size,), "randint"), 0.0, 0.0, generator, dtype, layout, device,
                 requires_grad, out, (_FULL, low, high), _dtype.int64.code)


def rand_like(input, *, dtype=None, layout=None, device=None, pin_memory=False, requires_grad=False, memory_format=None,
              generator=None):
    """rand() of input's size and dtype."""
    return _like(_UNIFORM, "rand_like", input, 0.0, 1.0, generator, dtype, layout, device, requires_grad, memory_format)


def randn_like(input, *, dtype=None, layout=None, device=None, pin_memory=False, requires_grad=False,
               memory_format=None, generator=None):
    """randn() of input's size and dtype."""
    return _like(_NORMAL, "randn_like", input, 0.0, 1.0, generator, dtype, layout, device, requires_grad, memory_format)


def randint_like(input, *args, low=None, high=None, dtype=None, layout=None, device=None, pin_memory=False,
                 requires_grad=False, memory_format=None, generator=None):
    """randint() of input's size and dtype: randint_like(input, high) or randint_like(input, low, high)."""
    if len(args) == 2:
        low, high = args
    elif len(args) == 1 and high is None:
        high = args[0]
    elif len(args) == 1 and low is None:
        low = args[0]
    elif args or high is None:
        raise TypeError("randint_like(): expected (Tensor input, int high) or (Tensor input, int low, int high)")
    ints = (_FULL, _int(0 if low is None else low, "randint_like", "low"), _int(high, "randint_like", "high"))
    return _like(_RANDINT, "randint_like", input, 0.0, 0.0, generator, dtype, layout, device, requires_grad,
                 memory_format, ints)


def randperm(n, *, generator=None, out=None, dtype=None, layout=None, device=None, pin_memory=False,
             requires_grad=False):
    """A random permutation of the integers 0 to n - 1. RuntimeError when n is negative or the dtype too small."""
    n = _int(n, "randperm", "n")
    if device is not None or layout is not None:
        check_options(device, layout, "randperm")
    if dtype is None:
        dtype = out.dtype if isinstance(out, TensorBase) else _dtype.int64
    g = _handle(generator, "randperm")
    h = lib.ad_opn(OP["randperm"], (), 0, (code_of(dtype, "randperm"), 0, 0, 0, 0, 0, 0, g), 8, (), 0, (n,), 1)
    if not h:
        fail()
    if out is not None:
        return _call.to_out(h, out)
    t = wrap(h)
    return t.requires_grad_() if requires_grad else t


def normal(mean=None, std=1.0, size=None, *, generator=None, out=None, dtype=None, layout=None, device=None,
           pin_memory=False, requires_grad=False):
    """Normal numbers: normal(mean, std) where one at least is a Tensor, which give each element its own (the sizes
    broadcast), or normal(mean, std, size) of two numbers.

    RuntimeError for negative standard deviations, NotImplementedError for integer dtypes.
    """
    if mean is None:
        raise TypeError('normal() missing 1 required positional arguments: "mean"')
    if not isinstance(mean, TensorBase) and not isinstance(std, TensorBase):
        if size is None:
            raise TypeError("normal(): two numbers need a size: normal(mean, std, size)")
        return _made(_NORMAL, "normal", check_sizes((size,), "normal"), _float(mean, "normal", "mean"),
                     _float(std, "normal", "std"), generator, dtype, layout, device, requires_grad, out)
    if size is not None:
        raise TypeError("normal(): a size goes with two numbers, not with tensors")
    tensors, floats = [0, 0], [0.0, 0.0]
    for k, v in enumerate((mean, std)):
        if isinstance(v, TensorBase):
            tensors[k] = v._h
        else:
            floats[k] = _float(v, "normal", "std" if k else "mean")
    g = _handle(generator, "normal")
    h = lib.ad_opn(OP["normal_each"], tensors, 2, (0, 0, 0, 0, 0, 0, 0, g), 8, floats, 2, (), 0)
    if not h:
        fail()
    return wrap(h) if out is None else _call.to_out(h, out)


def bernoulli(input, p=None, *, generator=None, out=None):
    """1 with the probability that input's element (or p) gives, else 0; of input's size and dtype.

    RuntimeError for what is no probability, NotImplementedError for integer inputs without p.
    """
    g = _handle(generator, "bernoulli")
    h = _tensor(input, "bernoulli")._h
    n = lib.ad_ndim(h)
    if p is not None or out is not None:
        dtype = lib.ad_dtype_of(h if out is None else _tensor(out, "bernoulli", "out")._h)
        fresh = wrap(lib.ad_empty(dtype, lib.ad_sizes(h), n))
        drawn = bernoulli_(fresh, input if p is None else p, generator=generator)
        if out is None:
            return drawn
        lib.ad_retain(drawn._h)
        return _call.to_out(drawn._h, out)
    return wrap(lib.ad_opn(OP["bernoulli_each"], (h,), 1, (0, 0, 0, 0, 0, 0, 0, g), 8, (), 0, (), 0))


def multinomial(input, num_samples, replacement=False, *, generator=None, out=None):
    """num_samples indices of each row of weights, an int64 Tensor. input: a vector, or a matrix of rows.

    RuntimeError for weights that are negative, infinite, NaN or all zero, and for more samples than weights
    without replacement.
    """
    h = lib.ad_opn(OP["multinomial"], (_tensor(input, "multinomial")._h,), 1,
                   (_int(num_samples, "multinomial", "num_samples"), bool(replacement), 0, 0, 0, 0, 0,
                    _handle(generator, "multinomial")), 8, (), 0, (), 0)
    if not h:
        fail()
    if out is None:
        return wrap(h)
    if out.dtype is not _dtype.int64:
        lib.ad_release(h)
        raise RuntimeError(f"multinomial expects Long tensor out, got: {out.dtype}")
    return _call.to_out(h, out)



# ---- in place ----


def _fill(op, name, self, a, b, generator):
    return _call.in_place(op, _tensor(self, name, "self"), (), (0, 0, 0, 0, 0, 0, 0, _handle(generator, name)),
                          (_float(a, name, "first"), _float(b, name, "second")))


def _keyword(kw, word, name, default):
    value = kw.pop(word, default)
    if kw:
        raise TypeError(f"{name}() got an unexpected keyword argument '{next(iter(kw))}'")
    return value


def uniform_(self, from_=0.0, to=1.0, *, generator=None, **kw):
    """Fills with uniform numbers of [from, to). RuntimeError when from > to."""
    return _fill(_UNIFORM, "uniform_", self, _keyword(kw, "from", "uniform_", from_) if kw else from_, to, generator)


def normal_(self, mean=0.0, std=1.0, *, generator=None):
    """Fills with normal numbers. RuntimeError for a negative std."""
    return _fill(_NORMAL, "normal_", self, mean, std, generator)


def exponential_(self, lambd=1.0, *, generator=None):
    """Fills with numbers of the exponential distribution. RuntimeError unless lambd > 0."""
    return _fill(OP["exponential"], "exponential_", self, lambd, 0.0, generator)


def cauchy_(self, median=0.0, sigma=1.0, *, generator=None):
    """Fills with numbers of the Cauchy distribution. RuntimeError unless sigma > 0."""
    return _fill(OP["cauchy"], "cauchy_", self, median, sigma, generator)


def log_normal_(self, mean=1.0, std=2.0, *, generator=None):
    """Fills with exp() of normal numbers. RuntimeError unless std > 0."""
    return _fill(OP["log_normal"], "log_normal_", self, mean, std, generator)


def geometric_(self, p, *, generator=None):
    """Fills with counts of trials up to the first success. RuntimeError unless 0 < p < 1."""
    return _fill(OP["geometric"], "geometric_", self, p, 0.0, generator)


def bernoulli_(self, p=0.5, *, generator=None):
    """Fills with 1 with probability p, else 0. p: a number, or a float Tensor that broadcasts to this one."""
    if isinstance(p, TensorBase):
        _tensor(self, "bernoulli_", "self")
        return _call.in_place(OP["bernoulli_each"], self, (p,), (0, 0, 0, 0, 0, 0, 0, _handle(generator, "bernoulli_")))
    return _fill(_BERNOULLI, "bernoulli_", self, p, 0.0, generator)


def random_(self, *args, generator=None, to=None, **kw):
    """Fills with integers: random_() of all that the dtype holds exactly, random_(to) of [0, to), random_(from, to)
    of [from, to), random_(from, None) from there on. RuntimeError when from >= to or a bound does not fit."""
    low = _keyword(kw, "from", "random_", None) if kw else None
    if len(args) == 2:
        low, to = args
    elif len(args) == 1:
        if low is None and to is None:
            to = args[0]
        elif low is None:
            low = args[0]
        else:
            to = args[0]
    elif args:
        raise TypeError("random_() takes at most two positional arguments")
    if low is None:
        ints = (_ALL, 0, 0) if to is None else (_FULL, 0, _int(to, "random_", "to"))
    elif to is None:
        ints = (_FROM, _int(low, "random_", "from"), 0)
    else:
        ints = (_FULL, _int(low, "random_", "from"), _int(to, "random_", "to"))
    g = _handle(generator, "random_")
    return _call.in_place(_RANDINT, _tensor(self, "random_", "self"), (), (0, 0, *ints, 0, 0, g))


# ---- dropout ----


def _probability(p, name):
    p = _float(p, name, "p")
    if not 0.0 <= p <= 1.0:
        raise RuntimeError(f"dropout probability has to be between 0 and 1, but got {p}")
    return p


def native_dropout(input, p, train):
    """dropout() and the mask of what it kept, a bool Tensor."""
    p = _probability(p, "native_dropout")
    if train is False or _tensor(input, "native_dropout").numel() == 0:
        return input.clone(), _ones_like_bool(input)
    if p == 1.0:
        mask = _ones_like_bool(input).zero_()
        return input * mask, mask
    return wrap_results(lib.ad_opn(_DROPOUT, (input._h,), 1, (), 0, (p,), 1, (), 0))


def _ones_like_bool(t):
    return wrap(lib.ad_full(_dtype.bool_.code, t.shape, t.ndim, 1.0, 1))


def dropout(input, p, train):
    """input with each element zeroed with probability p and the others divided by 1 - p; input itself when train is
    false or p is 0. RuntimeError unless 0 <= p <= 1."""
    p = _probability(p, "dropout")
    h = _tensor(input, "dropout")._h
    if p == 0.0 or not train or lib.ad_numel(h) == 0:
        return input
    if p == 1.0:
        return input * _zeros(input, input.shape)
    h = lib.ad_opn(_DROPOUT, (h,), 1, (), 0, (p,), 1, (), 0)
    if not h:
        fail()
    lib.ad_release(lib.ad_take_result(1))
    return wrap(h)


def dropout_(input, p, train):
    """dropout() in place."""
    y = dropout(input, p, train)
    return input if y is input else input.copy_(y)


def _zeros(like, size):
    return wrap(lib.ad_full(lib.ad_dtype_of(like._h), size, len(size), 0.0, 0))


def _noise(input, p, feature, name):
    """Zeros and ones: one number an element, or one a channel."""
    size = input.shape
    if feature:
        if len(size) < 2:
            raise RuntimeError("Feature dropout requires at least 2 dimensions in the input")
        size = (*size[:2], *[1] * (len(size) - 2))
        h = lib.ad_opn(_BERNOULLI, (), 0, (lib.ad_dtype_of(input._h), 0), 2, (1 - p,), 1, size, len(size))
        return wrap(h)
    return _like(_BERNOULLI, name, input, 1 - p, 0.0, None, None, None, None, False, None)


def _variant(name, input, p, train, feature, alpha):
    p = _probability(p, name)
    if p == 0.0 or not train or _tensor(input, name).numel() == 0:
        return input
    if not input.dtype.is_floating_point:
        raise RuntimeError(f"result type Float can't be cast to the desired output type {input.dtype}")
    if p == 1.0:
        return input * _zeros(input, input.shape)
    noise = _noise(input, p, feature, name)
    if not alpha:
        return input * (noise / (1 - p))
    low = 1.7580993408473766  # minus the value that selu tends to
    a = 1.0 / math.sqrt((low * low * p + 1.0) * (1.0 - p))
    shift = (noise - 1) * (low * a) + low * a * p
    return input * (noise * a) + shift


def feature_dropout(input, p, train):
    """dropout() of whole channels: dimensions 0 and 1 choose, the others follow. RuntimeError for one dimension."""
    return _variant("feature_dropout", input, p, train, True, False)


def alpha_dropout(input, p, train):
    """Dropout that keeps mean and variance of what selu gives: the dropped become selu's lowest value."""
    return _variant("alpha_dropout", input, p, train, False, True)


def feature_alpha_dropout(input, p, train):
    """alpha_dropout() of whole channels."""
    return _variant("feature_alpha_dropout", input, p, train, True, True)


def _in_place_of(fn):
    def in_place(input, p, train):
        y = fn(input, p, train)
        return input if y is input else input.copy_(y)

    in_place.__name__ = in_place.__qualname__ = fn.__name__ + "_"
    in_place.__doc__ = fn.__name__ + "() in place."
    return in_place


feature_dropout_, alpha_dropout_ = _in_place_of(feature_dropout), _in_place_of(alpha_dropout)
feature_alpha_dropout_ = _in_place_of(feature_alpha_dropout)
