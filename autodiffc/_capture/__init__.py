"""compile(): a training step recorded once and replayed in one call of the core.

The function runs once for each signature while the core records what it computes: forward, backward and
optimizer. Later calls replay that program on planned buffers. What may change between calls is either an
argument (a tensor of the same size, strides and dtype), a slot (learning rate and its kin, read from the
optimizer at each call), state that the program reads where it lies (parameters, buffers, tensors of an
enclosing scope), or the random generator. Anything else is part of the signature, a guard, or is refused.

This file is what the rest of the package knows of recordings; the work is in its neighbours.
"""

import threading
import weakref

from .. import _core
from .._core import CaptureError
from .._native import lib

recording = None
"""The Recording under way, in whichever thread; see here()."""


stance = "default"
"""What compiled functions do, as torch.compiler.set_stance() was told."""

steps = weakref.WeakSet()
"""Every CompiledStep."""


def set_stance(now):
    """Takes another stance and returns the one before."""
    global stance
    before, stance = stance, now
    for step in list(steps):
        step.again = ()
    return before


def reset():
    """Drops what was recorded everywhere, and why something was not."""
    for step in list(steps):
        step.forget()


def here():
    """The calling thread's Recording, or None. Cheap when nothing is being recorded anywhere."""
    r = recording
    return r if r is not None and r.thread == threading.get_ident() else None


def refuse(what):
    """Raises CaptureError when a step is being recorded, or ends the recording where the step may go on without."""
    r = here()
    if r is not None and lib.ad_capturing():
        if r.lenient:
            r.refused = what + _core.location()
            lib.ad_capture_abort()
            return
        raise CaptureError(f"{what} cannot be part of a captured step{_core.location()}")


def fresh(h):
    """The handle of a tensor made of Python's data, as a value of the recording that may be under way."""
    return lib.ad_capture_fresh(h) if h and here() is not None else h


def guarded(read):
    """What read() gives now; a program that is being recorded holds for as long as it gives the same before the step.

    For values of tensors that steer Python and hardly ever change. It may not call what a recording refuses.
    """
    value, r = read(), here()
    if r is not None:
        r.guards.append(lambda: read() == value)
    return value


def act(action):
    """Runs `action`, which changes Python objects alone (a scheduler's step), and again at each replay."""
    r = here()
    if r is None or r.acting:
        return action()
    r.acting = True
    try:
        r.events.append((None, action))
        return action()
    finally:
        r.acting = False


def compile(model=None, *, fullgraph=False, dynamic=None, backend="inductor", mode=None, options=None, name=None,
            disable=False, recompile_limit=None, isolate_recompiles=False, shapes_spec=None):
    """Records a step (a function that computes, calls backward() and steps an optimizer) and replays it.

    The first call with a signature (structure of the arguments; sizes, strides and dtypes of tensors; values of
    numbers; train or eval mode of the modules called) runs the function and records it; later calls replay the
    recording in one call with the same results, bit for bit. Learning rates, schedulers, the optimizers' counts,
    random numbers and new data take effect. Python values that the function reads from elsewhere (globals,
    variables of enclosing functions, attributes) are guarded: the step is recorded anew when one has changed.

    What a replay could not do (reading a tensor's value by item() or `if tensor`, shapes that depend on data,
    pointing tensors at other memory, changing a Python variable, printing) is a
    CaptureError, with the line, under fullgraph=True; without it the function then runs as it is, from that call
    on, after one warning. So it does after `recompile_limit` (8, unless given) recordings for other numbers or
    Python values, or four times as many for other sizes.

    A function whose results require grad is recorded with its backward pass, and so is a Module, which is returned
    in an OptimizedModule: parameters get their gradients as from any other tensor, and the optimizer runs as it is.
    Outputs that a loss does not use get zeros for gradients; gradients of gradients are not recorded.

    The other arguments are accepted for PyTorch's sake and change nothing, but for `disable`, which returns the
    function itself.
    """
    if model is None:
        return lambda fn: compile(fn, fullgraph=fullgraph, disable=disable, recompile_limit=recompile_limit)
    if disable or getattr(model, "_torchdynamo_disable", False):
        return model
    if not callable(model):
        raise TypeError(f"compile() takes a function, not {type(model).__name__}")
    import sys

    nn = sys.modules.get(__package__.rpartition(".")[0] + ".nn")
    if nn is not None and isinstance(model, nn.Module):
        from ..nn._optimized import OptimizedModule

        return OptimizedModule(model, fullgraph=fullgraph, recompile_limit=recompile_limit)
    from . import step

    return step.CompiledStep(model, not fullgraph, recompile_limit)
