"""torch.__future__: how modules change their parameters."""

_overwrite = False


def set_overwrite_module_params_on_conversion(value) -> None:
    """Remembered: conversions write through .data."""
    global _overwrite
    _overwrite = value


def get_overwrite_module_params_on_conversion() -> bool:
    return _overwrite
