"""Special functions: incomplete gamma functions, Bessel and Airy functions, orthogonal polynomials.

Those that take a degree n, a tensor or a number, broadcast; a negative degree gives 0, one above a
million NaN. Bessel and Airy functions and
polynomials have no derivative, as in PyTorch: float32 and float64 only, and integers become the default float dtype.
"""

from ._call import OP, TensorBase, apply, inplace, not_a_tensor, number, number_tensor, tensors_only
from .reduce import _finish

_KINDS = {name: k for k, name in enumerate((
    "airy_ai",
    "bessel_j0",
    "bessel_j1",
    "bessel_y0",
    "bessel_y1",
    "modified_bessel_i0",
    "modified_bessel_i1",
    "modified_bessel_k0",
    "modified_bessel_k1",
    "scaled_modified_bessel_k0",
    "scaled_modified_bessel_k1",
    "spherical_bessel_j0",
    "chebyshev_polynomial_t",
    "chebyshev_polynomial_u",
    "chebyshev_polynomial_v",
    "chebyshev_polynomial_w",
    "shifted_chebyshev_polynomial_t",
    "shifted_chebyshev_polynomial_u",
    "shifted_chebyshev_polynomial_v",
    "shifted_chebyshev_polynomial_w",
    "hermite_polynomial_h",
    "hermite_polynomial_he",
    "laguerre_polynomial_l",
    "legendre_polynomial_p",
))}
"""The order of the table in csrc/ops/special.c."""


def _special(name, out, *operands):
    if not any(isinstance(t, TensorBase) for t in operands):
        raise not_a_tensor(name, operands[0])
    tensors = [t if isinstance(t, TensorBase) else number_tensor(number(t, name, "n" if k > 1 else "input", k))
               for k, t in enumerate(operands, 1)]
    result = apply(OP["special"], tensors, (_KINDS[name],))
    return _finish(result, out)


def igamma(input, other, *, out=None):
    """The regularised lower incomplete gamma function P(input, other), of floating point; differentiable in other."""
    return tensors_only(OP["igamma"], input, other, out)


def igammac(input, other, *, out=None):
    """1 - igamma(input, other), precise where that is near 1."""
    return tensors_only(OP["igammac"], input, other, out)


gammainc, gammaincc = igamma, igammac
igamma_, igammac_ = inplace(OP["igamma"]), inplace(OP["igammac"])


def airy_ai(input, *, out=None):
    """Airy's function Ai."""
    return _special("airy_ai", out, input)


def bessel_j0(input, *, out=None):
    """Bessel function of the first kind of order 0."""
    return _special("bessel_j0", out, input)


def bessel_j1(input, *, out=None):
    """Bessel function of the first kind of order 1."""
    return _special("bessel_j1", out, input)


def bessel_y0(input, *, out=None):
    """Bessel function of the second kind of order 0; NaN below 0."""
    return _special("bessel_y0", out, input)


def bessel_y1(input, *, out=None):
    """Bessel function of the second kind of order 1; NaN below 0."""
    return _special("bessel_y1", out, input)


def modified_bessel_i0(input, *, out=None):
    """Modified Bessel function of the first kind of order 0."""
    return _special("modified_bessel_i0", out, input)


def modified_bessel_i1(input, *, out=None):
    """Modified Bessel function of the first kind of order 1."""
    return _special("modified_bessel_i1", out, input)


def modified_bessel_k0(input, *, out=None):
    """Modified Bessel function of the second kind of order 0; NaN below 0."""
    return _special("modified_bessel_k0", out, input)


def modified_bessel_k1(input, *, out=None):
    """Modified Bessel function of the second kind of order 1; NaN below 0."""
    return _special("modified_bessel_k1", out, input)


def scaled_modified_bessel_k0(input, *, out=None):
    """e^x times modified_bessel_k0()."""
    return _special("scaled_modified_bessel_k0", out, input)


def scaled_modified_bessel_k1(input, *, out=None):
    """e^x times modified_bessel_k1()."""
    return _special("scaled_modified_bessel_k1", out, input)


def spherical_bessel_j0(input, *, out=None):
    """sin(x) / x, 1 at 0."""
    return _special("spherical_bessel_j0", out, input)


def chebyshev_polynomial_t(input, n, *, out=None):
    """Chebyshev polynomial of the first kind of degree n."""
    return _special("chebyshev_polynomial_t", out, input, n)


def chebyshev_polynomial_u(input, n, *, out=None):
    """Chebyshev polynomial of the second kind of degree n."""
    return _special("chebyshev_polynomial_u", out, input, n)


def chebyshev_polynomial_v(input, n, *, out=None):
    """Chebyshev polynomial of the third kind of degree n."""
    return _special("chebyshev_polynomial_v", out, input, n)


def chebyshev_polynomial_w(input, n, *, out=None):
    """Chebyshev polynomial of the fourth kind of degree n."""
    return _special("chebyshev_polynomial_w", out, input, n)


def shifted_chebyshev_polynomial_t(input, n, *, out=None):
    """chebyshev_polynomial_t() at 2 x - 1."""
    return _special("shifted_chebyshev_polynomial_t", out, input, n)


def shifted_chebyshev_polynomial_u(input, n, *, out=None):
    """chebyshev_polynomial_u() at 2 x - 1."""
    return _special("shifted_chebyshev_polynomial_u", out, input, n)


def shifted_chebyshev_polynomial_v(input, n, *, out=None):
    """chebyshev_polynomial_v() at 2 x - 1."""
    return _special("shifted_chebyshev_polynomial_v", out, input, n)


def shifted_chebyshev_polynomial_w(input, n, *, out=None):
    """chebyshev_polynomial_w() at 2 x - 1."""
    return _special("shifted_chebyshev_polynomial_w", out, input, n)


def hermite_polynomial_h(input, n, *, out=None):
    """Physicist's Hermite polynomial of degree n."""
    return _special("hermite_polynomial_h", out, input, n)


def hermite_polynomial_he(input, n, *, out=None):
    """Probabilist's Hermite polynomial of degree n."""
    return _special("hermite_polynomial_he", out, input, n)


def laguerre_polynomial_l(input, n, *, out=None):
    """Laguerre polynomial of degree n."""
    return _special("laguerre_polynomial_l", out, input, n)


def legendre_polynomial_p(input, n, *, out=None):
    """Legendre polynomial of degree n."""
    return _special("legendre_polynomial_p", out, input, n)
