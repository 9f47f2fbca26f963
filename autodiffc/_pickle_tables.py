"""Names in PyTorch's pickles that stand elsewhere here."""

from . import _dtype, storage

MODULES = {
    "torch._C": "torch",
    "torch._C._nn": "torch.nn.functional",
    "torch._C._VariableFunctions": "torch",
    "torch._tensor": "torch._utils",
    "torch.nn._functions": "torch.nn.functional",
}
"""PyTorch's module: the one to look in."""

CLASSES_OF_OLD = {name: (lambda name=name: getattr(storage, name)) for name in storage.CLASSES}
CLASSES_OF_OLD.update(
    {
        "UntypedStorage": lambda: storage.UntypedStorage,
        "_UntypedStorage": lambda: storage.UntypedStorage,
        "TypedStorage": lambda: storage.TypedStorage,
        "_TypedStorage": lambda: storage.TypedStorage,
        "bool": lambda: _dtype.bool_,
    }
)
"""Names in torch and torch.storage: what makes what they stand for."""
