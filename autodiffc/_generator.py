"""Generators of random numbers, with PyTorch's streams and state."""

from ._core import TensorBase, check, fail, wrap
from ._dtype import CPU, check_device, uint8
from ._native import ffi, lib

STATE_BYTES = 5056


def checked_seed(seed):
    """The seed as the core's 64 bits; negative ones count modulo 2**64. ValueError outside [-2**63, 2**64)."""
    if not -(1 << 63) <= seed < 1 << 64:
        raise ValueError("Overflow when unpacking long long")
    return seed & ((1 << 64) - 1)


class Generator:
    """A stream of random numbers: equal seeds give equal numbers, which are PyTorch's.

    The device must be the CPU. Pickling keeps the state.
    """

    __slots__ = ("_g", "__weakref__")

    def __init__(self, device="cpu"):
        check_device(device)
        self._g = lib.ad_generator_new()
        if not self._g:
            fail()

    def __del__(self, _free=lib.ad_generator_free):
        try:
            _free(self._g)
        except AttributeError:  # __init__ raised
            return

    device = property(lambda self: CPU)

    def manual_seed(self, seed):
        """Starts the stream of `seed`; returns self. RuntimeError for what is no integer."""
        if isinstance(seed, TensorBase) and not seed.dtype.is_floating_point:
            seed = seed.item()
        if isinstance(seed, bool) or not hasattr(seed, "__index__"):
            raise RuntimeError(f"manual_seed expected a long, but got {type(seed).__name__}")
        check(lib.ad_generator_seed(self._g, checked_seed(seed.__index__())))
        return self

    def seed(self) -> int:
        """Starts from a seed of the system's entropy, and returns it."""
        import secrets

        n = secrets.randbits(64)
        check(lib.ad_generator_seed(self._g, n))
        return n

    def initial_seed(self) -> int:
        """The seed that the stream started from."""
        return lib.ad_generator_initial_seed(self._g)

    def get_state(self):
        """The state, a uint8 Tensor of 5056 bytes in PyTorch's layout."""
        state = wrap(lib.ad_empty(uint8.code, (STATE_BYTES,), 1))
        check(lib.ad_generator_get_state(self._g, ffi.cast("uint8_t *", lib.ad_data_ptr(state._h))))
        return state

    def set_state(self, new_state):
        """Continues from a state of get_state(); returns self. TypeError unless it is a contiguous uint8 Tensor,
        RuntimeError when its bytes are no state."""
        if not isinstance(new_state, TensorBase):
            raise TypeError(f"expected a torch.ByteTensor, but got {type(new_state).__name__}")
        if new_state.dtype is not uint8:
            raise TypeError("RNG state must be a torch.ByteTensor")
        h = new_state._h
        if not lib.ad_is_contiguous(h):
            raise RuntimeError("RNG state must be contiguous")
        check(lib.ad_generator_set_state(self._g, ffi.cast("uint8_t *", lib.ad_data_ptr(h)), lib.ad_numel(h)))
        return self

    def clone_state(self):
        """A new Generator that continues as this one does."""
        return Generator().set_state(self.get_state())

    def get_offset(self):
        """Only generators of other devices have one: RuntimeError."""
        raise RuntimeError("CPU Generator does not use offset")

    def set_offset(self, offset):
        """Only generators of other devices have one: RuntimeError."""
        raise RuntimeError("CPU Generator does not use offset")

    def __reduce__(self):
        return (Generator, (CPU,), (self.initial_seed(), None, self.get_state()))

    def __setstate__(self, state):
        self.set_state(state[2])


default_generator = object.__new__(Generator)
default_generator._g = lib.ad_generator_default()
