"""What the package imports when it is first named, so that it is itself imported quickly."""

MODULES = frozenset("""
    _C __config__ __future__ _dynamo _inductor _utils accelerator amp ao backends classes compiler cpu cuda
    distributed distributions export fft func functional futures fx hub jit library linalg masked mps multiprocessing
    nested nn onnx ops optim overrides package profiler quantization serialization sparse special storage testing
    torch_version types utils version viz xpu
""".split())

_BY_MODULE = {
    "serialization": "save load",
    "storage": """
        BoolStorage ByteStorage CharStorage ShortStorage IntStorage LongStorage HalfStorage BFloat16Storage
        FloatStorage DoubleStorage TypedStorage UntypedStorage
    """,
    "_hook": "install uninstall load_ipython_extension unload_ipython_extension",
    "amp": "autocast GradScaler",
    "cpu": "Stream",
    "func": "vmap",
    "cuda": "OutOfMemoryError",
    "amp.autocast_mode": """
        get_autocast_dtype set_autocast_dtype is_autocast_enabled set_autocast_enabled is_autocast_cache_enabled
        set_autocast_cache_enabled clear_autocast_cache
    """,
    "linalg": "cholesky_inverse cholesky_solve geqrf lu_unpack matrix_exp orgqr ormqr triangular_solve",
    "sparse": "sparse_coo_tensor",
    "_spectra": "stft istft",
    "_ops.window": "bartlett_window blackman_window hamming_window hann_window kaiser_window",
}

NAMES = {name: module for module, names in _BY_MODULE.items() for name in names.split()}
"""The module of each function or class."""
