"""torch.backends.opt_einsum: torch.einsum chooses its order itself."""

enabled = False
strategy = None


def is_available() -> bool:
    """False."""
    return False


def get_opt_einsum():
    """None."""
    return None
