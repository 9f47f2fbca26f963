"""torch.utils.backcompat: warnings that are not given here; the switches are remembered."""


class _Warning:
    enabled = False


broadcast_warning, keepdim_warning = _Warning(), _Warning()
