"""torch.backends.mha: whether attention in eval mode may take a shorter way; remembered."""

_on = True


def get_fastpath_enabled() -> bool:
    return _on


def set_fastpath_enabled(value) -> None:
    global _on
    _on = value
