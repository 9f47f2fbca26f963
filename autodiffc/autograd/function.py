"""Operations written in Python: a forward and a backward, recorded as one node."""

import functools
import weakref

from .. import _core
from .._core import TensorBase, fail, hold, wrap
from .._native import ffi, lib

_OUTPUT = 65536  # slots from here on say that a saved tensor is an output
_NEITHER = _OUTPUT - 1


class _Result:
    """An output that forward stored on ctx: kept without its history, so that ctx does not keep itself alive."""

    __slots__ = ("tensor", "number")

    def __init__(self, tensor, number):
        self.tensor, self.number = tensor, number


class FunctionCtx:
    """What forward leaves for backward: saved tensors, settings, and any attribute."""

    _to_save = _for_forward = _dirty = _nondiff = ()
    _saved = ()  # for each tensor saved: its number in the node, or None; with a weak reference to the object
    _node = 0  # the node, which owns this object: valid until it is let go
    _key = 0
    materialize_grads = True
    needs_input_grad = ()

    def save_for_backward(self, *tensors):
        """Keeps tensors (or None) for backward, where they appear as ctx.saved_tensors."""
        self._to_save = _checked(tensors, "save_for_backward")

    def save_for_forward(self, *tensors):
        """Keeps tensors (or None) for jvp, where they appear as ctx.saved_tensors."""
        self._for_forward = _checked(tensors, "save_for_forward")

    def mark_dirty(self, *args):
        """Says which inputs forward wrote in place; they must be returned."""
        self._dirty = args

    def mark_non_differentiable(self, *args):
        """Says which outputs carry no gradient."""
        self._nondiff = args

    def set_materialize_grads(self, value):
        """Whether backward receives zeros (the default) or None for outputs without a gradient."""
        self.materialize_grads = value

    def mark_shared_storage(self, *pairs):
        """Does nothing: shared memory is noticed without being told."""

    @property
    def saved_tensors(self):
        """The saved tensors. RuntimeError when they were given up, or overwritten in place since."""
        if self._jvp_running:
            return self._for_forward
        if not self._node:
            return self._to_save
        return tuple(self._saved_tensor(*entry) if type(entry) is tuple else entry for entry in self._saved)

    saved_variables = saved_tensors
    _jvp_running = False

    @property
    def saved_for_forward(self):
        return self._for_forward

    @property
    def to_save(self):
        return self._to_save

    @property
    def dirty_tensors(self):
        return self._dirty

    @property
    def non_differentiable(self):
        return self._nondiff

    def _saved_tensor(self, k, ref):
        t = wrap(lib.ad_node_saved(self._node, k))
        known = ref()
        return known if known is not None and known._h == t._h else t

    def __getattr__(self, name):
        stored = self.__dict__.get("_results", {}).get(name)
        if stored is None:
            raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")
        t = stored.tensor.detach()
        if self._node and lib.ad_grad_enabled():
            lib.ad_join_node(t._h, self._node, stored.number)
        return t

    # ---- the graph's side ----

    def name(self) -> str:
        return type(self).__name__

    @property
    def next_functions(self):
        return self._graph_node().next_functions

    @property
    def metadata(self):
        return self._graph_node().metadata

    def register_hook(self, hook):
        return self._graph_node().register_hook(hook)

    def register_prehook(self, hook):
        return self._graph_node().register_prehook(hook)

    def _graph_node(self):
        from .graph import node_at

        if not self._node:
            raise RuntimeError(f"{type(self).__name__} is not part of a graph")
        return node_at(self._node)

    def node_backward(self, grads):
        """What the core calls: the gradients of the tensors among the arguments."""
        if self.materialize_grads:
            grads = [g if g is not None else self._zeros(k) for k, g in enumerate(grads)]
        full = [None] * self._count
        for k, g in zip(self._places, grads):
            full[k] = g
        if self.materialize_grads:
            for k in self._plain:
                full[k] = None
        got = self._function._backward_of(self)(self, *full)
        got = got if isinstance(got, tuple) else (got,)
        expected = len(self.needs_input_grad)
        if len(got) < expected or any(g is not None for g in got[expected:]):
            raise RuntimeError(
                f"function {self.name()} returned an incorrect number of gradients (expected {expected}, "
                f"got {len(got)})"
            )
        result = []
        for k, g in enumerate(got[:expected]):
            if g is not None and not isinstance(g, TensorBase):
                raise RuntimeError(f"expected Variable or None (got {type(g).__name__})")
            if self._is_tensor[k]:
                result.append(g)
            elif g is not None:
                raise RuntimeError(
                    f"function {self.name()} returned a gradient different than None at position {k + 1}, "
                    "but the corresponding forward input was not a Variable"
                )
        return result

    def _zeros(self, k):
        sizes, dtype = self._likes[k]
        return wrap(lib.ad_full(dtype, sizes, len(sizes), 0.0, 0))

    def node_dropped(self):
        """What the core's owner of this object calls when the node is gone."""
        self._node = 0
        self._saved = self._to_save = ()


def _checked(tensors, what):
    for k, t in enumerate(tensors):
        if t is not None and not isinstance(t, TensorBase):
            raise TypeError(f"{what} can only save variables, but argument {k} is of type {type(t).__name__}")
    return tensors


class BackwardCFunction(FunctionCtx):
    """The base of the ctx class of each Function."""


class _FunctionMeta(type):
    def __init__(cls, name, bases, namespace):
        title = f"{name}Backward"
        cls._title = ffi.new("char[]", title.encode())  # nodes point to it: instances keep their class
        cls._backward_cls = type(title, (BackwardCFunction,), {"_function": cls, "_forward_cls": cls})
        super().__init__(name, bases, namespace)


class Function(metaclass=_FunctionMeta):
    """An operation with its own gradient: subclass it with static methods forward and backward, call with apply.

    forward(ctx, *args) computes under no_grad and returns a Tensor or a tuple; or forward(*args) with
    setup_context(ctx, inputs, output). backward(ctx, *grads) takes a gradient for each output and returns one
    (or None) for each argument. jvp(ctx, *tangents) serves forward mode.
    """

    @staticmethod
    def forward(*args, **kwargs):
        raise NotImplementedError("You must implement the forward function for custom autograd.Function.")

    @staticmethod
    def setup_context(ctx, inputs, output):
        raise NotImplementedError("setup_context is not implemented.")

    @staticmethod
    def backward(ctx, *grad_outputs):
        raise NotImplementedError(
            "You must implement either the backward or vjp method for your custom "
            "autograd.Function to use it with backward mode AD."
        )

    vjp = backward

    @staticmethod
    def jvp(ctx, *grad_inputs):
        raise NotImplementedError(
            "You must implement the jvp function for custom autograd.Function to use it with forward mode AD."
        )

    @classmethod
    def _backward_of(cls, ctx):
        own, other = cls.backward is not Function.backward, cls.vjp is not Function.vjp
        if own and other:
            raise RuntimeError(
                "Implementing both 'backward' and 'vjp' for a custom Function is not allowed. You should "
                "only implement one of them."
            )
        return cls.vjp if other else cls.backward

    @classmethod
    def apply(cls, *args, **kwargs):
        """Runs forward on the arguments and records its backward."""
        ctx = cls._backward_cls()
        separate = cls.setup_context is not Function.setup_context
        if separate:
            args = _bound(cls.forward, args, kwargs)
            kwargs = {}
        is_tensor = [isinstance(a, TensorBase) and a._dense for a in args]
        needs = tuple(t and a.requires_grad for a, t in zip(args, is_tensor))
        ctx.needs_input_grad, ctx._is_tensor = needs, is_tensor
        record = any(needs) and lib.ad_grad_enabled()
        grad, depth = lib.ad_set_grad_enabled(0), lib.ad_forward_depth(0)
        try:
            if separate:
                output = cls.forward(*args)
                cls.setup_context(ctx, args, output)
            else:
                output = cls.forward(ctx, *args, **kwargs)
        finally:
            lib.ad_set_grad_enabled(grad)
            lib.ad_forward_depth(depth)
        single = not isinstance(output, tuple)
        outputs = [output] if single else list(output)
        _finish(ctx, [a for a, t in zip(args, is_tensor) if t], outputs, record, single)
        for level in range(depth):
            _tangents(ctx, args, is_tensor, outputs, level)
        ctx._for_forward = ()
        return outputs[0] if single else tuple(outputs)


def _bound(forward, args, kwargs):
    """The arguments with forward's defaults filled in."""
    try:
        import inspect

        bound = inspect.signature(forward).bind(*args, **kwargs)
    except ValueError:  # a built-in without a signature
        return args
    bound.apply_defaults()
    return bound.args


def _index(t, tensors):
    """The place of the very object t, or -1."""
    for k, other in enumerate(tensors):
        if other is t:
            return k
    return -1


def _finish(ctx, inputs, outputs, record, single):
    """Makes the tensors among the outputs results of one node."""
    dirty, nondiff = ctx._dirty, ctx._nondiff
    for t in dirty:
        if _index(t, outputs) < 0:
            raise RuntimeError(
                "Some elements marked as dirty during the forward method were not returned as output. The "
                "inputs that are modified inplace must all be outputs of the Function."
            )
    places, kinds, likes = [], [], []
    given = list(outputs)
    for k, y in enumerate(outputs):
        if not isinstance(y, TensorBase) or not y._dense:
            if single and not isinstance(y, TensorBase):
                raise TypeError(
                    f"{type(ctx)._function.__name__}.forward: expected to return a Tensor or a tuple of them "
                    f"(got {type(y).__name__})"
                )
            continue
        carries = y.dtype.is_floating_point and _index(y, nondiff) < 0
        is_input, is_dirty = _index(y, inputs) >= 0, _index(y, dirty) >= 0
        kind = 1 if carries else 0
        if is_dirty and is_input:
            if record and y.requires_grad and y.is_leaf:
                raise RuntimeError("a leaf Variable that requires grad has been used in an in-place operation.")
            kind = 2 if carries else 0
        elif is_input:
            y = _alias(y) if carries else y.detach()
        places.append(k)
        kinds.append(kind)
        outputs[k] = y
        likes.append((y.shape, lib.ad_dtype_of(y._h)))
    if not record:
        return
    ctx._places, ctx._likes, ctx._count = places, likes, len(outputs)
    ctx._plain = ()
    made = [outputs[k] for k in places]
    slots, saved, entries = [], [], []
    for t in ctx._to_save:
        if t is None or not t._dense:
            entries.append(t)
            continue
        k = _index(t, given)
        if k >= 0 and (_index(t, inputs) < 0 or _index(t, dirty) >= 0):
            slots.append(_OUTPUT + places.index(k))
        else:
            i = _index(t, inputs)
            slots.append(i if 0 <= i < _NEITHER else _NEITHER)
        entries.append((len(saved), weakref.ref(t)))
        saved.append(t._h)
    ctx._saved = entries
    results = {}
    for name, value in list(ctx.__dict__.items()):
        if isinstance(value, TensorBase) and name[0] != "_":
            k = _index(value, made)
            if k >= 0 and kinds[k]:
                results[name] = _Result(value.detach(), k)
                del ctx.__dict__[name]
    if results:
        ctx._results = results
    ctx._key = hold(ctx)
    node = lib.ad_python_node(
        [t._h for t in inputs],
        len(inputs),
        [t._h for t in made],
        kinds,
        len(made),
        saved,
        slots,
        len(saved),
        ctx._key,
        type(ctx)._function._title,
    )
    if not node:
        _core.drop(ctx._key)
        fail()
    ctx._node = node
    ctx._to_save = ctx._dirty = ctx._nondiff = ()


def _alias(t):
    """A view of all of t that knows nothing of its history."""
    grad = lib.ad_set_grad_enabled(0)
    try:
        return wrap(lib.ad_op1(_core.OP["alias"], t._h))
    finally:
        lib.ad_set_grad_enabled(grad)


def _tangents(ctx, args, is_tensor, outputs, level):
    """Forward mode: the tangents of the outputs at a level, from jvp."""
    tangents = []
    for a, t in zip(args, is_tensor):
        h = lib.ad_tangent(a._h, level) if t else 0
        tangents.append(wrap(h) if h else None)
    if all(t is None for t in tangents):
        return
    if ctx.materialize_grads:
        tangents = [
            t
            if t is not None or not is_t or not a.dtype.is_floating_point
            else wrap(lib.ad_full(lib.ad_dtype_of(a._h), a.shape, a.ndim, 0.0, 0))
            for a, is_t, t in zip(args, is_tensor, tangents)
        ]
    ctx._jvp_running = True
    depth = lib.ad_forward_depth(level)
    try:
        got = type(ctx)._function.jvp(ctx, *tangents)
    finally:
        ctx._jvp_running = False
        lib.ad_forward_depth(depth)
    got = got if isinstance(got, tuple) else (got,)
    places = [k for k, y in enumerate(outputs) if isinstance(y, TensorBase)]
    if len(got) != len(outputs):
        raise RuntimeError(
            f"{type(ctx)._function.__name__}.jvp returned {len(got)} tangents for {len(outputs)} outputs"
        )
    for k in places:
        if got[k] is None or not outputs[k].dtype.is_floating_point:
            continue
        if lib.ad_set_tangent(outputs[k]._h, level, got[k]._h) < 0:
            fail()


def once_differentiable(fn):
    """Decorates a backward whose result cannot be differentiated again."""

    @functools.wraps(fn)
    def wrapper(ctx, *args):
        recorded = lib.ad_grad_enabled()
        was = lib.ad_set_grad_enabled(0)
        try:
            got = fn(ctx, *args)
        finally:
            lib.ad_set_grad_enabled(was)
        if not recorded or not any(isinstance(a, TensorBase) and a.requires_grad for a in args):
            return got
        results = got if isinstance(got, tuple) else (got,)
        parents = [a for a in args if isinstance(a, TensorBase) and a.requires_grad]
        results = tuple(_refusing(r, parents) if isinstance(r, TensorBase) else r for r in results)
        return results if isinstance(got, tuple) else results[0]

    return wrapper


class Error(Function):
    """Passes a tensor on; its backward refuses."""

    @staticmethod
    def forward(ctx, x, message, *parents):
        ctx.message = message
        return x.detach()

    @staticmethod
    def backward(ctx, *grads):
        raise RuntimeError(ctx.message)


def _refusing(x, parents):
    return Error.apply(
        x, "trying to differentiate twice a function that was marked with @once_differentiable", *parents
    )


class InplaceFunction(Function):
    """Function; kept for scripts that name it."""


class NestedIOFunction(Function):
    """Function; nested inputs and outputs are not supported."""

    @classmethod
    def apply(cls, *args, **kwargs):
        raise NotImplementedError("NestedIOFunction: flatten the arguments and subclass autograd.Function")
