"""torch.library: operators here are Python functions; what registers parts of compiled ones has no effect.

Packages with operators compiled for PyTorch (torchvision) register what PyTorch needs to know of them when they are
imported, whether or not the operators could be loaded. custom_op() gives the Python function itself.
"""

from .. import _absent

triton_op = wrap_triton = opcheck = _absent.absent("torch.library.triton_op")


def _accepted(*args, **kwargs):
    """Without effect: the operator is called by its Python function. A decorator where it is used as one."""
    return lambda fn: fn


register_fake = impl_abstract = register_kernel = register_vmap = register_torch_dispatch = define = _accepted
register_autocast = impl = fallthrough_kernel = register_autograd = _accepted


class CustomOpDef:
    """A Python function under an operator's name. Its own operations are differentiated."""

    def __init__(self, name, fn):
        self._name, self._opoverload, self._init_fn = name, fn, fn

    def __call__(self, *args, **kwargs):
        return self._init_fn(*args, **kwargs)

    def register_autograd(self, backward, /, *, setup_context=None):
        """Calls go through an autograd.Function with this backward."""
        from ..autograd import Function

        fn = self._init_fn

        class Operator(Function):
            @staticmethod
            def forward(ctx, *args):
                result = fn(*args)
                if setup_context is not None:
                    setup_context(ctx, args, result)
                return result

            @staticmethod
            def backward(ctx, *grads):
                return backward(ctx, *grads)

        self._init_fn = Operator.apply

    def register_fake(self, fn, /):
        """Without effect."""
        return fn

    def register_kernel(self, device_types, fn=None, /):
        """The function for the CPU."""
        def take(f):
            if device_types is None or "cpu" in device_types:
                self._init_fn = f
            return f

        return take if fn is None else take(fn)

    register_vmap = register_torch_dispatch = register_autocast = register_fake


def custom_op(name, fn=None, /, *, mutates_args, device_types=None, schema=None, tags=None):
    """A CustomOpDef of a Python function, or a decorator that makes one."""
    return CustomOpDef(name, fn) if fn is not None else lambda f: CustomOpDef(name, f)


class Library:
    """Takes definitions and implementations, without effect."""

    def __init__(self, ns, kind, dispatch_key=""):
        self.ns, self.kind = ns, kind

    def define(self, schema, alias_analysis="", *, tags=()):
        return schema.partition("(")[0]

    def impl(self, op_name, fn, dispatch_key="", *, with_keyset=False, allow_override=False):
        """Without effect."""

    def fallback(self, fn, dispatch_key="", *, with_keyset=False):
        """Without effect."""


def __getattr__(name):
    if name.startswith("__"):  # the import system asks for some of every module
        raise AttributeError(name)
    from .._hook import missing

    raise missing.attribute(__name__, name)
