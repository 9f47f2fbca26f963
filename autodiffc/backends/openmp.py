"""torch.backends.openmp: the library has threads of its own."""


def is_available() -> bool:
    """False."""
    return False
