"""Export is not supported: see autodiffc._absent. What registers something for an export has no effect."""

from .. import _absent


def register_custom_op_symbolic(symbolic_name, symbolic_fn, opset_version) -> None:
    """Without effect."""


def unregister_custom_op_symbolic(symbolic_name, opset_version) -> None:
    """Without effect."""


def is_in_onnx_export() -> bool:
    """False."""
    return False


_absent.module(__name__, ("utils", "operators", *(f"symbolic_opset{n}" for n in range(7, 21))), extra=("_export",))
