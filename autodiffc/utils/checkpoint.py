"""Checkpointing: the tensors that backward needs are computed again instead of kept."""

import contextlib
import sys
import warnings

from .. import _capture
from .._core import TensorBase
from .._native import lib
from ..autograd import Function, backward
from ..autograd.grad_mode import enable_grad, no_grad
from ..autograd.graph import saved_tensors_hooks
from ..random import fork_rng, get_rng_state, set_rng_state

_EXPLICIT = ("the use_reentrant parameter should be passed explicitly. use_reentrant=False is recommended; without it "
             "use_reentrant=True is meant, as before.")  # fmt: skip


class CheckpointError(RuntimeError):
    """The function did something else when it was run again."""


def noop_context_fn():
    """The contexts of checkpoint() unless others are given: none."""
    return contextlib.nullcontext(), contextlib.nullcontext()


_early_stop = None
_debug = None


@contextlib.contextmanager
def set_checkpoint_early_stop(enable):
    """Within it, whether recomputation ends as soon as it has what is needed (the default)."""
    global _early_stop
    before, _early_stop = _early_stop, bool(enable)
    try:
        yield
    finally:
        _early_stop = before


@contextlib.contextmanager
def set_checkpoint_debug_enabled(enabled):
    """Within it, checkpoint(debug=...) has this value. Errors say the same either way."""
    global _debug
    before, _debug = _debug, enabled
    try:
        yield
    finally:
        _debug = before


def detach_variable(inputs):
    """A tuple of tensors outside the graph, which require grad where these do."""
    if not isinstance(inputs, tuple):
        raise RuntimeError(f"Only tuple of tensors is supported. Got Unsupported input type: {type(inputs).__name__}")
    return tuple(x.detach().requires_grad_(x.requires_grad) if isinstance(x, TensorBase) else x for x in inputs)


def check_backward_validity(inputs):
    """Warns when no input requires grad."""
    if not any(isinstance(x, TensorBase) and x.requires_grad for x in inputs):
        warnings.warn("None of the inputs have requires_grad=True. Gradients will be None", stacklevel=2)


def get_device_states(*args):
    """([], []): there are no devices with generators of their own."""
    return [], []


def set_device_states(devices, states, *, device_type=None):
    """Nothing: see get_device_states()."""


def _now(preserve_rng_state):
    """What the second run is to have of the first: the random numbers' state, and the mode of autocast."""
    amp = sys.modules.get(__package__.partition(".")[0] + ".amp.autocast_mode")
    mode = (amp.autocast, amp.get_autocast_dtype("cpu"), amp.is_autocast_enabled("cpu")) if amp is not None else None
    return get_rng_state() if preserve_rng_state else None, mode


@contextlib.contextmanager
def _as_before(state):
    """With the random numbers from a state on, and autocast as it was; afterwards those of now."""
    random, mode = state
    with contextlib.ExitStack() as stack:
        if mode is not None:
            stack.enter_context(mode[0]("cpu", dtype=mode[1], enabled=mode[2]))
        if random is not None:
            stack.enter_context(fork_rng())
            set_rng_state(random)
        yield


class CheckpointFunction(Function):
    """checkpoint() with use_reentrant=True: a backward pass within the backward pass."""

    @staticmethod
    def forward(ctx, run_function, preserve_rng_state, *args):
        check_backward_validity(args)
        ctx.run_function, ctx.state = run_function, _now(preserve_rng_state)
        ctx.places = [k for k, a in enumerate(args) if isinstance(a, TensorBase)]
        ctx.inputs = [None if isinstance(a, TensorBase) else a for a in args]
        ctx.save_for_backward(*[args[k] for k in ctx.places])
        with no_grad():
            return run_function(*args)

    @staticmethod
    def backward(ctx, *grads):
        if not lib.ad_backward_accumulates():
            raise RuntimeError(
                "When use_reentrant=True, torch.utils.checkpoint is incompatible with .grad() or passing an `inputs` "
                "parameter to .backward(). To resolve this error, you can either set use_reentrant=False, or call "
                ".backward() without passing the `inputs` argument."
            )
        inputs = list(ctx.inputs)
        for k, t in zip(ctx.places, ctx.saved_tensors):
            inputs[k] = t
        inputs = detach_variable(tuple(inputs))
        with _as_before(ctx.state), enable_grad():
            outputs = ctx.run_function(*inputs)
        outputs = (outputs,) if isinstance(outputs, TensorBase) else outputs
        live = [(y, g) for y, g in zip(outputs, grads) if isinstance(y, TensorBase) and y.requires_grad]
        if not live:
            raise RuntimeError("none of output has requires_grad=True, this checkpoint() is not necessary")
        backward([y for y, _ in live], [g for _, g in live])
        return (None, None, *[x.grad if isinstance(x, TensorBase) else None for x in inputs])


class _Enough(Exception):
    """Recomputation has what is needed."""


class _Frame:
    """One call of a checkpointed function: how to run it again, and what that gave."""

    def __init__(self, run, early_stop, check):
        self.run, self.early_stop, self.check = run, early_stop, check
        self.shapes = []  # of what was saved, in order
        self.made = {}  # backward pass: what it recomputed, by number
        self.forward = False

    def pack(self, t):
        self.shapes.append((t.shape, t.dtype))
        return _Saved(self, len(self.shapes) - 1)

    def again(self):
        found, enough = [], len(self.shapes)

        def pack(t):
            found.append(t.detach())
            if self.early_stop and len(found) == enough and not self.forward:
                raise _Enough
            return found[-1]

        try:
            with saved_tensors_hooks(pack, lambda t: t), enable_grad():
                self.run()
        except _Enough:
            pass
        if len(found) != enough:
            raise CheckpointError(
                "torch.utils.checkpoint: A different number of tensors was saved during the original forward and "
                f"recomputation.\nNumber of tensors saved during forward: {enough}\nNumber of tensors saved during "
                f"recomputation: {len(found)}."
            )
        wrong = [k for k, (t, was) in enumerate(zip(found, self.shapes)) if self.check and (t.shape, t.dtype) != was]
        if wrong:
            lines = [f"tensor at position {k}:\nsaved metadata: {self.shapes[k]}\nrecomputed metadata: "
                     f"{(found[k].shape, found[k].dtype)}" for k in wrong]  # fmt: skip
            raise CheckpointError("torch.utils.checkpoint: Recomputed values for the following tensors have different "
                                  "metadata than during the forward pass.\n" + "\n".join(lines))  # fmt: skip
        return dict(enumerate(found))

    def unpack(self, saved):
        """What was saved under a number: all is made again once in a backward pass."""
        this = lib.ad_backward_id()
        if self.made.get("pass") != this or saved.number not in self.made:
            self.made = {"pass": this, **self.again()}
        return self.made[saved.number]


class _Saved:
    """What the graph keeps in the place of a tensor; when it lets go of this, nobody needs the tensor."""

    __slots__ = ("frame", "number")

    def __init__(self, frame, number):
        self.frame, self.number = frame, number

    def __del__(self):
        self.frame.made.pop(self.number, None)


def checkpoint(function, *args, use_reentrant=None, context_fn=noop_context_fn, determinism_check="default",
               debug=False, early_stop=True, **kwargs):  # fmt: skip
    """function(*args, **kwargs), of which nothing is kept for backward: it is run again then.

    preserve_rng_state (default True) gives the second run the random numbers of the first. With use_reentrant=True
    keyword arguments are refused (ValueError), an argument must require grad, and autograd.grad() does not work
    (RuntimeError). CheckpointError when the second run differs from the first. In a step that compile() records
    nothing is run again.
    """
    if use_reentrant is None:
        warnings.warn("torch.utils.checkpoint: " + _EXPLICIT, stacklevel=2)
        use_reentrant = True
    preserve = kwargs.pop("preserve_rng_state", True)
    if _capture.recording is not None and _capture.here() is not None:  # the program plans what is kept
        return function(*args, **kwargs)
    if use_reentrant:
        if kwargs:
            raise ValueError("Unexpected keyword arguments: " + ",".join(kwargs))
        if context_fn is not noop_context_fn or debug is not False:
            raise ValueError("Passing `context_fn` or `debug` is only supported when use_reentrant=False.")
        return CheckpointFunction.apply(function, preserve, *args)
    if determinism_check not in ("default", "none"):
        raise ValueError(f"determinism_check should be one of ['default', 'none'] but got {determinism_check}")
    first, second = context_fn()
    if not lib.ad_grad_enabled():
        with first:
            return function(*args, **kwargs)
    state = _now(preserve)

    def run():
        with _as_before(state), second:
            function(*args, **kwargs)

    stop = early_stop if _early_stop is None else _early_stop
    frame = _Frame(run, stop, determinism_check == "default")
    frame.forward = True
    with first, saved_tensors_hooks(frame.pack, lambda saved: saved.frame.unpack(saved)):
        result = function(*args, **kwargs)
    frame.forward = False
    return result


def checkpoint_sequential(functions, segments, input, use_reentrant=None, **kwargs):
    """A Sequential, or list of functions, in so many segments; each one but the last is checkpointed."""
    if use_reentrant is None:
        warnings.warn("torch.utils.checkpoint.checkpoint_sequential: " + _EXPLICIT, stacklevel=2)
        use_reentrant = True
    preserve = kwargs.pop("preserve_rng_state", True)
    if kwargs:
        raise ValueError("Unexpected keyword arguments: " + ",".join(kwargs))
    functions = list(functions.children()) if hasattr(functions, "children") else list(functions)
    size = len(functions) // segments

    def segment(begin, end):
        def run(x):
            for f in functions[begin:end]:
                x = f(x)
            return x

        return run

    begin = 0
    for _ in range(segments - 1):
        input = checkpoint(segment(begin, begin + size), input, use_reentrant=use_reentrant,
                           preserve_rng_state=preserve)  # fmt: skip
        begin += size
    return segment(begin, len(functions))(input)


__all__ = ["CheckpointError", "CheckpointFunction", "check_backward_validity", "checkpoint", "checkpoint_sequential",
           "detach_variable", "get_device_states", "noop_context_fn", "set_checkpoint_debug_enabled",
           "set_checkpoint_early_stop", "set_device_states"]  # fmt: skip
