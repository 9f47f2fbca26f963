"""torch.backends.quantized: there are no quantized operations."""

engine = "none"
supported_engines = ["none"]
