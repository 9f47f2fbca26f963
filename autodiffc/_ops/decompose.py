"""Methods whose functions stand in autodiffc.linalg, which is imported when the first of them is called."""


def lu(self, pivot=True, get_infos=False):
    """(LU, pivots), and with get_infos the numbers of zero pivots: linalg.lu_factor() under its older name."""
    from .linalg import lu

    return lu(self, pivot, get_infos)


def geqrf(input, *, out=None):
    """QR in packed form: linalg's geqrf()."""
    from ..linalg import geqrf

    return geqrf(input, out=out)


def orgqr(input, input2, *, out=None):
    """The matrix of reflections: linalg.householder_product()."""
    from ..linalg import orgqr

    return orgqr(input, input2, out=out)


def ormqr(input, input2, input3, left=True, transpose=False, *, out=None):
    """The product with the matrix of reflections: linalg's ormqr()."""
    from ..linalg import ormqr

    return ormqr(input, input2, input3, left, transpose, out=out)


def matrix_exp(input):
    """linalg.matrix_exp()."""
    from ..linalg import matrix_exp

    return matrix_exp(input)


def cholesky_solve(input, input2, upper=False, *, out=None):
    """The solution of A X = input, for the Cholesky factor input2 of A."""
    from ..linalg import cholesky_solve

    return cholesky_solve(input, input2, upper, out=out)


def cholesky_inverse(input, upper=False, *, out=None):
    """The inverse of A, for its Cholesky factor."""
    from ..linalg import cholesky_inverse

    return cholesky_inverse(input, upper, out=out)


def triangular_solve(b, A, upper=True, transpose=False, unitriangular=False, *, out=None):
    """(X, A) of A X = b for triangular A."""
    from ..linalg import triangular_solve

    return triangular_solve(b, A, upper, transpose, unitriangular, out=out)
