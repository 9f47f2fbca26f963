"""What the core calls back while it walks a graph, or records one: hooks, and the notes of anomaly mode."""

import gc
import sys
import threading
import traceback
import warnings
import weakref
from collections import OrderedDict

from .. import _core
from .._core import TensorBase, fail, hold, wrap
from .._native import ffi, lib
from ..utils.hooks import register

TENSOR, _, PRE, POST, ACCUMULATED = range(5)
"""When hooks run, as core.h numbers it."""


class OwnedHooks(OrderedDict):
    """Hooks of a tensor that the user has at hand, as a rule: see _lend()."""

    key = owner = None  # the core's number for this object; a weak reference to the tensor

    def node_dropped(self):
        _owned.pop(self.key, None)


class TensorHooks(OwnedHooks):
    """The hooks on the gradient of one tensor."""

    def run(self, grad):
        """The gradient that takes grad's place, or None to keep it."""
        now = grad
        for hook in list(self.values()):
            result = hook(now)
            if result is None:
                continue
            name = getattr(hook, "__name__", type(hook).__name__)
            if not isinstance(result, TensorBase):
                raise TypeError(f"expected Variable, but hook returned '{type(result).__name__}'")
            if result.shape != grad.shape:
                raise RuntimeError(f"hook '{name}' has changed the size of value")
            if result.dtype != grad.dtype:
                raise RuntimeError(
                    f"hook '{name}' has changed the type of value (was {grad.type()} got {result.type()})"
                )
            now = result
        return None if now is grad else now


class NodeHooks(OwnedHooks):
    """The hooks of one node, before (PRE) or after (POST) its rule runs; or after a leaf's accumulation."""

    def run(self, kind, grads, outer):
        if kind == ACCUMULATED:
            known = self.owner() if self.owner is not None else None
            leaf = known if known is not None and known._h == grads[0]._h else grads[0]
            for hook in list(self.values()):
                hook(leaf)
            return grads
        for hook in list(self.values()):
            result = hook(tuple(grads)) if kind == PRE else hook(tuple(grads), tuple(outer))
            if result is None:
                continue
            result = (result,) if isinstance(result, TensorBase) else tuple(result)
            if len(result) != len(grads):
                raise RuntimeError(
                    f"hook '{getattr(hook, '__name__', type(hook).__name__)}' has returned an incorrect number "
                    f"of values (got {len(result)}, but expected {len(grads)})"
                )
            grads = list(result)
        return grads


# A hook that refers to its own tensor makes a circle: tensor, core, hook, tensor. Python's collector does not see the
# part in the core. So while it looks, hooks of tensors that nothing else in the core refers to hang on the tensor's
# Python object, and the core's table has a weak reference only: then the circle lies before its eyes.

_owned = {}
"""By the core's number, hooks whose tensor is known: a weak reference to them."""


def _lend(phase, info):
    if info["generation"] < 2:
        return
    known = [(key, ref(), ref) for key, ref in _owned.items()]
    if phase == "start":
        for key, hooks, ref in known:
            tensor = hooks.owner() if hooks is not None else None
            if tensor is not None and lib.ad_sole_owner(tensor._h):
                tensor._lent_hooks = (*tensor.__dict__.get("_lent_hooks", ()), hooks)
                _core._held[key] = ref
        return
    for key, hooks, _ in known:
        if hooks is None:
            _owned.pop(key, None)
        elif type(_core._held.get(key)) is weakref.ref:
            _core._held[key] = hooks
    for _, hooks, _ in known:
        tensor = hooks.owner() if hooks is not None else None
        if tensor is not None:
            tensor.__dict__.pop("_lent_hooks", None)


gc.callbacks.append(_lend)


def _hooks_at(key):
    hooks = _core._held.get(key)
    return hooks() if type(hooks) is weakref.ref else hooks


def hooks_of(handle, node, kind, make, owner=None):
    """The dictionary of the hooks of a kind on a tensor or node; `owner` is the Tensor."""
    key = lib.ad_hook_key(handle, node, kind)
    if key:
        return _hooks_at(key)
    hooks = make()
    key = hold(hooks)
    if lib.ad_add_hook(handle, node, kind, key) < 0:
        _core.drop(key)
        fail()
    if owner is not None:
        hooks.key, hooks.owner = key, weakref.ref(owner)
        _owned[key] = weakref.ref(hooks)
    return hooks


def register_hook(self, hook):
    """Calls hook(grad) when the gradient of this tensor is known; a Tensor it returns takes the gradient's place.

    Returns a handle whose remove() takes the hook away. RuntimeError for tensors that do not require grad.
    """
    if not self.requires_grad:
        raise RuntimeError("cannot register a hook on a tensor that doesn't require gradient")
    return register(hooks_of(self._h, 0, TENSOR, TensorHooks, self), hook)


def register_post_accumulate_grad_hook(self, hook):
    """Calls hook(tensor) after backward() has added to this leaf's .grad. Returns a handle with remove()."""
    if not self.requires_grad:
        raise RuntimeError("cannot register a hook on a tensor that doesn't require gradient")
    if not self.is_leaf:
        raise RuntimeError("post accumulate grad hooks cannot be registered on non-leaf tensors")
    return register(hooks_of(self._h, 0, ACCUMULATED, NodeHooks, self), hook)


def backward_hooks(self):
    """The hooks of a tensor by number, or None."""
    key = lib.ad_hook_key(self._h, 0, TENSOR)
    return _hooks_at(key) if key else None


def _tensor(h):
    if not h:
        return None
    lib.ad_retain(h)
    return wrap(h)


@ffi.def_extern(error=-1)
def py_hook(key, grad):
    try:
        hooks = _hooks_at(key)
        result = hooks.run(_tensor(grad)) if hooks else None
        if result is None:
            return 0
        lib.ad_retain(result._h)
        return result._h
    except BaseException as e:  # carried across the C call, raised again by fail()
        _core._pending.error = e
        return -1


@ffi.def_extern(error=-1)
def py_node_hook(key, kind, n, grads, m, outer):
    try:
        hooks = _hooks_at(key)
        if not hooks:
            return 0
        given = [_tensor(grads[k]) for k in range(n)]
        for k, g in enumerate(hooks.run(kind, given, [_tensor(outer[k]) for k in range(m)])):
            if g is not given[k]:
                if g is not None and not isinstance(g, TensorBase):
                    raise TypeError(f"expected Variable, but hook returned '{type(g).__name__}'")
                if g is not None:
                    lib.ad_retain(g._h)
                grads[k] = g._h if g is not None else 0
        return 0
    except BaseException as e:  # carried across the C call, raised again by fail()
        _core._pending.error = e
        return -1


# ---- saved tensors ----

_saving = threading.local()


def push_saved_hooks(pack, unpack):
    """Saved tensors of this thread go through these from now on."""
    _saving.__dict__.setdefault("stack", []).append((pack, unpack))
    lib.ad_saved_hooks(1)


def pop_saved_hooks():
    _saving.stack.pop()
    lib.ad_saved_hooks(-1)


@ffi.def_extern(error=0)
def py_pack(h):
    try:
        pack, unpack = _saving.stack[-1]
        return hold((pack(_tensor(h)), unpack))
    except BaseException as e:  # carried across the C call, raised again by fail()
        _core._pending.error = e
        return 0


@ffi.def_extern(error=0)
def py_unpack(key):
    try:
        packed, unpack = _core.held(key)
        t = unpack(packed)
        if not isinstance(t, TensorBase):
            raise TypeError(
                f"Output of saved tensor unpack_hook expected to be a Tensor but got result of type {type(t).__name__}"
            )
        lib.ad_retain(t._h)
        return t._h
    except BaseException as e:  # carried across the C call, raised again by fail()
        _core._pending.error = e
        return 0


# ---- anomaly mode ----


@ffi.def_extern(error=0)
def py_trace(parent):
    info = {"traceback_": traceback.format_stack(_caller())}
    if parent:
        info["parent_"] = _core._held.get(parent)
    return hold(info)


def _caller():
    """The innermost frame outside this package."""
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_core._PACKAGE):
        frame = frame.f_back
    return frame


@ffi.def_extern()
def py_blame(key, name):
    info = _core._held.get(key)
    name = ffi.string(name).decode()
    if info is None:
        text = (
            f"Error detected in {name}. No forward pass information available. Enable detect anomaly during forward "
            "pass for more information."
        )
    else:
        text = (
            f"Error detected in {name}. Traceback of forward call that caused the error:\n{''.join(info['traceback_'])}"
        )
        while info.get("parent_"):
            info = info["parent_"]
            text += (
                "\n\nPrevious calculation was induced by it. Traceback of forward call that induced the previous "
                f"calculation:\n{''.join(info['traceback_'])}"
            )
    error = _core._pending.__dict__.get("error")
    try:
        warnings.warn(text, stacklevel=1)
    except Warning as e:  # warnings are errors: the first error stays, with this as a note
        print(e, file=sys.stderr)
    if error is not None:
        _core._pending.error = error


def warn_grad_of_result():
    """What .grad says on the result of an operation that does not retain it."""
    warnings.warn(
        "The .grad attribute of a Tensor that is not a leaf Tensor is being accessed. Its .grad attribute won't be "
        "populated during autograd.backward(). If you indeed want the .grad field to be populated for a non-leaf "
        "Tensor, use .retain_grad() on the non-leaf Tensor. If you access the non-leaf Tensor by mistake, make sure "
        "you access the leaf Tensor instead.",
        stacklevel=3,
    )


_core.start(
    py_hook=lib.py_hook,
    py_node_hook=lib.py_node_hook,
    py_pack=lib.py_pack,
    py_unpack=lib.py_unpack,
    py_trace=lib.py_trace,
    py_blame=lib.py_blame,
)
