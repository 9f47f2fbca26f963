"""Windows of signal processing: 1-d tensors of window_length. periodic ones are symmetric windows of one more element,
without the last."""

import math

from . import arithmetic, creation
from . import math as elementwise


def _positions(name, length, periodic, dtype, layout, device):
    """0, 1, ... as a tensor, and the last position of the symmetric window; (None, ...) for windows of 0 and 1."""
    if dtype is not None and not creation.as_dtype(dtype, name).is_floating_point:
        raise RuntimeError(f"{name} expects floating point dtypes, got: {dtype}")
    if length < 0:
        raise RuntimeError(f"{name} requires non-negative window_length, got window_length={length}")
    creation.check_options(device, layout, name)
    if length < 2:
        return creation.ones(length, dtype=dtype), 0
    return creation.arange(length, dtype=dtype or creation.get_default()), length if periodic else length - 1


def _cosines(name, length, periodic, factors, dtype, layout, device, requires_grad):
    """sum_k factors[k] cos(2 pi k n / last)"""
    n, last = _positions(name, length, periodic, dtype, layout, device)
    if last:
        angle, terms = arithmetic.mul(n, 2 * math.pi / last), None
        for k, f in enumerate(factors[1:], 1):
            term = arithmetic.mul(elementwise.cos(arithmetic.mul(angle, k) if k > 1 else angle), f)
            terms = term if terms is None else arithmetic.add(terms, term)
        n = arithmetic.add(terms, factors[0])
    return n.requires_grad_() if requires_grad else n


def hann_window(window_length, periodic=True, *, dtype=None, layout=None, device=None, pin_memory=False,
                requires_grad=False):
    """(1 - cos(2 pi n / N)) / 2."""
    return _cosines("hann_window", window_length, periodic, (0.5, -0.5), dtype, layout, device, requires_grad)


def hamming_window(window_length, periodic=True, alpha=0.54, beta=0.46, *, dtype=None, layout=None, device=None,
                   pin_memory=False, requires_grad=False):
    """alpha - beta cos(2 pi n / N)."""
    return _cosines("hamming_window", window_length, periodic, (alpha, -beta), dtype, layout, device, requires_grad)


def blackman_window(window_length, periodic=True, *, dtype=None, layout=None, device=None, pin_memory=False,
                    requires_grad=False):
    """0.42 - 0.5 cos(2 pi n / N) + 0.08 cos(4 pi n / N), at least 0."""
    w = _cosines("blackman_window", window_length, periodic, (0.42, -0.5, 0.08), dtype, layout, device, False)
    w = arithmetic.clamp_min(w, 0)
    return w.requires_grad_() if requires_grad else w


def bartlett_window(window_length, periodic=True, *, dtype=None, layout=None, device=None, pin_memory=False,
                    requires_grad=False):
    """1 - |2 n / N - 1|."""
    n, last = _positions("bartlett_window", window_length, periodic, dtype, layout, device)
    if last:
        n = arithmetic.rsub(elementwise.abs(arithmetic.sub(arithmetic.mul(n, 2 / last), 1)), 1)
    return n.requires_grad_() if requires_grad else n


def kaiser_window(window_length, periodic=True, beta=12.0, *, dtype=None, layout=None, device=None, pin_memory=False,
                  requires_grad=False):
    """I0(beta sqrt(1 - (2 n / N - 1)^2)) / I0(beta)."""
    n, last = _positions("kaiser_window", window_length, periodic, dtype, layout, device)
    if last:
        side = arithmetic.sub(arithmetic.mul(n, 2 / last), 1)
        root = elementwise.sqrt(arithmetic.clamp_min(arithmetic.rsub(elementwise.square(side), 1), 0))
        whole = elementwise.i0(creation.scalar_tensor(beta, dtype=n.dtype))
        n = arithmetic.div(elementwise.i0(arithmetic.mul(root, beta)), whole)
    return n.requires_grad_() if requires_grad else n
