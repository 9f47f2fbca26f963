"""Moving inputs to devices and results back: there are none."""


def scatter(inputs, target_gpus, dim=0):
    """AssertionError: there are no devices."""
    raise AssertionError("Torch not compiled with CUDA enabled")


scatter_kwargs = scatter


def gather(outputs, target_device, dim=0):
    """The outputs joined along dim."""
    from ..._ops.shape import cat

    return cat(list(outputs), dim)
