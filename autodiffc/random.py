"""The default generator, which every function draws from that is given no other."""

import contextlib
import warnings

from ._core import check
from ._generator import checked_seed, default_generator
from ._native import lib


def manual_seed(seed):
    """Seeds the default generator and returns it. seed: an integer of [-2**63, 2**64), else ValueError; what is
    no integer is converted by int()."""
    check(lib.ad_generator_seed(default_generator._g, checked_seed(int(seed))))
    return default_generator


def seed() -> int:
    """Seeds the default generator from the system's entropy; returns the seed."""
    return default_generator.seed()


def initial_seed() -> int:
    """The seed of the default generator."""
    return default_generator.initial_seed()


def get_rng_state():
    """The state of the default generator, a uint8 Tensor of 5056 bytes in PyTorch's layout."""
    return default_generator.get_state()


def set_rng_state(new_state) -> None:
    """Continues the default generator from a state of get_rng_state()."""
    default_generator.set_state(new_state)


@contextlib.contextmanager
def fork_rng(devices=None, enabled=True, _caller="fork_rng", _devices_kw="devices", device_type="cpu"):
    """Puts the default generator back, on leaving, to where it was on entering."""
    if devices:
        warnings.warn(f"{_caller}: there are no other devices than the CPU; {_devices_kw} is ignored", stacklevel=3)
    if not enabled:
        yield
        return
    state = get_rng_state()
    try:
        yield
    finally:
        set_rng_state(state)


__all__ = ["default_generator", "fork_rng", "get_rng_state", "initial_seed", "manual_seed", "seed", "set_rng_state"]
