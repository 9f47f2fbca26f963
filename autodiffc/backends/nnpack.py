"""torch.backends.nnpack: the library does not use it."""

enabled = False


def is_available() -> bool:
    """False."""
    return False
