"""Functions on the parameters of a model."""
from importlib import import_module
from typing import Any

from . import parametrize, rnn, stateless  # noqa: F401
from .clip_grad import (  # noqa: F401
    clip_grad_norm,
    clip_grad_norm_,
    clip_grad_value_,
    clip_grads_with_norm_,
    get_total_norm,
)
from .convert_parameters import parameters_to_vector, vector_to_parameters  # noqa: F401
from .fusion import (  # noqa: F401
    fuse_conv_bn_eval,
    fuse_conv_bn_weights,
    fuse_linear_bn_eval,
    fuse_linear_bn_weights,
)
from .init import skip_init  # noqa: F401
from .memory_format import (  # noqa: F401
    convert_conv2d_weight_memory_format,
    convert_conv3d_weight_memory_format,
)
from .spectral_norm import remove_spectral_norm, spectral_norm  # noqa: F401
from .weight_norm import remove_weight_norm, weight_norm  # noqa: F401


def __getattr__(name: str) -> Any:      # what few scripts use is read when they do
    if name in ("parametrizations", "prune"):
        return import_module(f"{__name__}.{name}")
    if name.startswith("__"):  # the import system asks for some of every module
        raise AttributeError(name)
    from ..._hook import missing

    raise missing.attribute(__name__, name)
