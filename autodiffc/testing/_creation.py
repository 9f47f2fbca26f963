"""make_tensor(): random tensors of any dtype."""

from .. import _dtype
from .._ops import creation, random
from ..autograd.grad_mode import no_grad


def make_tensor(*shape, dtype, device, low=None, high=None, requires_grad=False, noncontiguous=False,
                exclude_zero=False, memory_format=None):
    """Uniform between low and high: by default -9 to 9 for numbers with a fraction, -9 to 9 for signed integers, 0 to 9
    for uint8, 0 to 1 for bool. RuntimeError for integers that require grad."""
    _dtype.check_device(device)
    if len(shape) == 1 and not isinstance(shape[0], int):
        shape = tuple(shape[0])
    floating = dtype.is_floating_point or dtype.is_complex
    if requires_grad and not floating:
        raise ValueError(f"`requires_grad=True` is not supported for boolean and integral dtypes, but got {dtype}")
    low = (0 if dtype in (_dtype.bool_, _dtype.uint8) else -9) if low is None else low
    high = (2 if dtype is _dtype.bool_ else 9 if floating else 10) if high is None else high
    if not low < high:
        raise ValueError(f"`low` must be less than `high`, but got {low} >= {high}")
    size = (*shape[:-1], 2 * shape[-1]) if noncontiguous and shape and shape[-1] > 1 else tuple(shape)
    with no_grad():
        if floating:
            t = random.rand(size).mul_(high - low).add_(low).to(dtype)
        else:
            t = random.randint(int(low), int(high), size).to(dtype)
        if size != tuple(shape):
            t = t[..., ::2]
        if exclude_zero:
            t = t.where(t != 0, creation.full((), 1, dtype=dtype))
    return t.requires_grad_(requires_grad)
