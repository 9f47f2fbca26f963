"""Settings of PyTorch's backends: those of other devices are remembered and change nothing."""

fp32_precision = "none"

_SUBMODULES = ("cpu", "cuda", "cudnn", "mkl", "mkldnn", "mps", "nnpack", "openmp", "opt_einsum", "quantized", "mha",
               "xnnpack", "cusparselt", "miopen")


def flags_frozen() -> bool:
    return False


def disable_global_flags() -> None:
    """Nothing: the settings here have no effect to protect."""


def __getattr__(name):
    if name in _SUBMODULES:
        import importlib

        return importlib.import_module("." + name, __name__)
    if name.startswith("__"):  # the import system asks for some of every module
        raise AttributeError(name)
    from .._hook import missing

    raise missing.attribute(__name__, name)
