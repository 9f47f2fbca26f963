"""Nodes of the recorded graph, as Tensor.grad_fn shows them, and what saves their tensors."""

import contextlib
import gc
import threading
import weakref
from collections import namedtuple

from .. import _core
from .._core import TensorBase, hold, wrap
from .._native import ffi, lib
from ..utils.hooks import RemovableHandle, register
from . import _hooks

_objects = weakref.WeakValueDictionary()
"""Tensors of Python by their handles, as far as they have been looked for."""


def _object_of(leaf):
    """The tensor that the program holds for a leaf, where it holds one: scripts that draw graphs compare identities."""
    h = leaf._h
    known = _objects.get(h)
    if known is not None and known._h == h:
        return known
    _objects.clear()
    for x in gc.get_objects():
        if isinstance(x, TensorBase) and x is not leaf and getattr(type(x), "_dense", True):
            handle = getattr(x, "_h", 0)
            if handle:
                _objects.setdefault(handle, x)
    return _objects.setdefault(h, leaf)


class Node:
    """What computed a tensor: its name, and in next_functions the nodes that computed its inputs."""

    __slots__ = ("_n", "_leaf", "__weakref__")
    _title = ""

    def __init__(self, *args):
        raise TypeError("nodes are made by operations")

    def __del__(self, _release=lib.ad_node_release):
        n = getattr(self, "_n", 0)
        if n:
            _release(n)

    def name(self) -> str:
        return self._title if self._n else "torch::autograd::AccumulateGrad"

    @property
    def next_functions(self):
        """A pair (node, output number) for each input; (None, 0) where no gradient flows."""
        if not self._n:
            return ()
        found = []
        leaf, nr = ffi.new("ad_handle *"), ffi.new("int *")
        for i in range(lib.ad_node_inputs(self._n)):
            leaf[0] = nr[0] = 0
            n = lib.ad_node_next(self._n, i, leaf, nr)
            if leaf[0]:
                found.append((_accumulator(wrap(leaf[0])), 0))
            else:
                found.append((_node(n) if n else None, nr[0] if n else 0))
        return tuple(found)

    @property
    def variable(self):
        """The leaf whose .grad an AccumulateGrad node adds to."""
        if self._leaf is None:
            raise AttributeError(f"'{type(self).__name__}' object has no attribute 'variable'")
        return _object_of(self._leaf)

    @property
    def metadata(self):
        """A dict for notes about this node."""
        if not self._n:
            return {}
        key = lib.ad_node_info(self._n)
        if not key:
            key = hold({})
            lib.ad_node_set_info(self._n, key)
        return _core.held(key)

    @property
    def requires_grad(self):
        return True

    def register_hook(self, fn):
        """Calls fn(grad_inputs, grad_outputs) after this node has run; a tuple it returns replaces grad_inputs."""
        if not self._n:
            last = []
            noted = self._leaf.register_hook(lambda grad: last.append(grad))
            done = register(
                _hooks.hooks_of(self._leaf._h, 0, _hooks.ACCUMULATED, _hooks.NodeHooks),
                lambda leaf: fn((), (last.pop(),)),
            )
            return _MultiHandle([noted, done])
        return register(_hooks.hooks_of(0, self._n, _hooks.POST, _hooks.NodeHooks), fn)

    def register_prehook(self, fn):
        """Calls fn(grad_outputs) before this node runs; a tuple it returns replaces them."""
        if not self._n:

            def before(grad):
                result = fn((grad,))
                return result[0] if isinstance(result, tuple) else result

            return self._leaf.register_hook(before)
        return register(_hooks.hooks_of(0, self._n, _hooks.PRE, _hooks.NodeHooks), fn)

    def __getattr__(self, name):
        if name in Node.__slots__:
            raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")
        key = lib.ad_node_key(self._n) if self._n else 0
        if not key:
            raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")
        return getattr(_core.held(key), name)  # what a Function's ctx knows

    def __eq__(self, other):
        if not isinstance(other, Node):
            return NotImplemented
        if self._n or other._n:
            return self._n == other._n
        return self._leaf._h == other._leaf._h

    def __hash__(self):
        return hash(self._n or self._leaf._h)

    def __reduce_ex__(self, protocol):
        raise TypeError(f"cannot copy or pickle '{type(self).__name__}' object")

    def __repr__(self):
        return f"<{type(self).__name__} object at {hex(self._n or id(self))}>"


_classes = {}
_live = weakref.WeakValueDictionary()
"""Nodes that Python knows by address; an address here is in use, because the Node holds a reference."""


def _class(title):
    cls = _classes.get(title)
    if cls is None:
        cls = _classes[title] = type(title, (Node,), {"__slots__": (), "_title": title, "__module__": __name__})
    return cls


def _node(n):
    """The Node of a new reference."""
    known = _live.get(n)
    if known is not None:
        lib.ad_node_release(n)
        return known
    node = object.__new__(_class(ffi.string(lib.ad_node_name(n)).decode()))
    node._n, node._leaf = n, None
    _live[n] = node
    return node


def _accumulator(leaf):
    node = object.__new__(_class("AccumulateGrad"))
    node._n, node._leaf = 0, leaf
    return node


def node_of(tensor):
    """The Node that computed a tensor, or None for leaves."""
    n = lib.ad_node_of(tensor._h)
    return _node(n) if n else None


def node_at(n):
    """The Node at an address that is known to be in use."""
    lib.ad_node_retain(n)
    return _node(n)


GradientEdge = namedtuple("GradientEdge", ["node", "output_nr", "ownership_token"], defaults=(None,))


def get_gradient_edge(tensor):
    """The node and output number that the gradient of a tensor goes to."""
    if not tensor.requires_grad:
        raise RuntimeError("It is not possible to get the gradient edge for a Tensor that does not require gradients")
    node = node_of(tensor)
    return GradientEdge(node if node is not None else _accumulator(tensor), tensor.output_nr if node is not None else 0)


def increment_version(tensor):
    """Counts a write to a tensor, or to several, that the library could not see."""
    for t in (tensor,) if isinstance(tensor, TensorBase) else tensor:
        lib.ad_bump_version(t._h)


class saved_tensors_hooks:
    """Within it, what is saved for backward is pack_hook(tensor), and unpack_hook of that when it is needed."""

    def __init__(self, pack_hook, unpack_hook):
        self.pack_hook, self.unpack_hook = pack_hook, unpack_hook

    def __enter__(self):
        message = getattr(_disabled, "message", None)
        if message is not None:
            raise RuntimeError(message)
        _hooks.push_saved_hooks(self.pack_hook, self.unpack_hook)

    def __exit__(self, *exc):
        _hooks.pop_saved_hooks()


_disabled = threading.local()


@contextlib.contextmanager
def disable_saved_tensors_hooks(error_message):
    """Within it, saved_tensors_hooks raises RuntimeError with this message."""
    before = getattr(_disabled, "message", None)
    _disabled.message = error_message
    try:
        yield
    finally:
        _disabled.message = before


class save_on_cpu(saved_tensors_hooks):
    """saved_tensors_hooks that keep copies in main memory, where all tensors are already."""

    def __init__(self, pin_memory=False, device_type="cuda"):
        super().__init__(lambda t: t.clone(), lambda t: t)


class _MultiHandle(RemovableHandle):
    def __init__(self, handles):
        self.handles = handles

    def remove(self):
        for h in self.handles:
            h.remove()

    def __getstate__(self):
        return self.handles

    def __setstate__(self, state):
        self.handles = state


def register_multi_grad_hook(tensors, fn, *, mode="all"):
    """Calls fn when the gradients of all tensors (or, with mode="any", of the first) are known.

    "all": fn(list of gradients, None where there is none), once every tensor that takes part in the backward
    pass has its gradient. "any": fn(gradient), once a pass.
    """
    if mode not in ("all", "any"):
        raise ValueError(f"Expects mode to be one of ('all', 'any') but got {mode}")
    tensors = list(tensors)
    lock, state = threading.Lock(), {}

    def hook_of(k):
        def hook(grad):
            this = lib.ad_backward_id()
            with lock:
                if state.get("pass") != this:
                    state.clear()
                    state.update({"pass": this, "grads": [None] * len(tensors), "seen": 0, "done": False})
                    if mode == "all":
                        state["due"] = sum(bool(lib.ad_backward_reaches(t._h)) for t in tensors)
                state["grads"][k] = grad
                state["seen"] += 1
                ready = not state["done"] and (mode == "any" or state["seen"] == state["due"])
                state["done"] |= ready
                grads = state["grads"]
            if ready:
                fn(grad if mode == "any" else grads)

        return hook

    return _MultiHandle([t.register_hook(hook_of(k)) for k, t in enumerate(tensors)])
