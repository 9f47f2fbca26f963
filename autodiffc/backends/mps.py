"""torch.backends.mps: there is none."""


def is_available() -> bool:
    """False."""
    return False


def is_built() -> bool:
    """False."""
    return False


def is_macos_or_newer(major, minor) -> bool:
    return False


def is_macos13_or_newer(minor=0) -> bool:
    return False
