"""Not supported: see autodiffc._absent."""

from .. import _absent

_absent.module(
    __name__,
    ("quantization", "quantization.qconfig", "quantization.quantize_fx", "quantization.observer", "nn", "nn.quantized",
     "nn.quantized.dynamic", "nn.intrinsic", "nn.qat", "ns", "pruning"),
    extra=_absent.ANY,
)
