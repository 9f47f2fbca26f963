"""What packages import from torch.onnx.symbolic_helper."""


def parse_args(*arg_descriptors):
    """A decorator that changes nothing: the function would only be called by an export."""
    return lambda fn: fn
