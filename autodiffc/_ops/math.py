"""Elementwise functions of one number: exponentials, trigonometry, rounding, special functions.

Integers and bool become the default float dtype, except where said; `out` receives the result when given.
"""
from .. import _dtype
from .._core import ComplexOperand
from ._call import OP, TensorBase, binary, inplace, inplace_unary, lib, not_a_tensor, number, ternary, to_out, unary
from .creation import arange

_LARGEST = {_dtype.float16: 65504.0, _dtype.bfloat16: 3.3895313892515355e38, _dtype.float32: 3.4028234663852886e38,
            _dtype.float64: 1.7976931348623157e308}

def exp(input, *, out=None):
    """e to the power of each element."""
    return unary(OP["exp"], input, out)

def exp2(input, *, out=None):
    """2 to the power of each element."""
    return unary(OP["exp2"], input, out)

def expm1(input, *, out=None):
    """exp(input) - 1, precise near 0."""
    return unary(OP["expm1"], input, out)

def log(input, *, out=None):
    """Natural logarithm."""
    return unary(OP["log"], input, out)

def log2(input, *, out=None):
    """Logarithm to base 2."""
    return unary(OP["log2"], input, out)

def log10(input, *, out=None):
    """Logarithm to base 10."""
    return unary(OP["log10"], input, out)

def log1p(input, *, out=None):
    """log(1 + input), precise near 0."""
    return unary(OP["log1p"], input, out)

def sqrt(input, *, out=None):
    """Square root; NaN below 0."""
    return unary(OP["sqrt"], input, out)

def rsqrt(input, *, out=None):
    """1 / sqrt(input)."""
    return unary(OP["rsqrt"], input, out)

def sin(input, *, out=None):
    """Sine."""
    return unary(OP["sin"], input, out)

def cos(input, *, out=None):
    """Cosine."""
    return unary(OP["cos"], input, out)

def tan(input, *, out=None):
    """Tangent."""
    return unary(OP["tan"], input, out)

def asin(input, *, out=None):
    """Arcsine."""
    return unary(OP["asin"], input, out)

def acos(input, *, out=None):
    """Arccosine."""
    return unary(OP["acos"], input, out)

def atan(input, *, out=None):
    """Arctangent."""
    return unary(OP["atan"], input, out)

def sinh(input, *, out=None):
    """Hyperbolic sine."""
    return unary(OP["sinh"], input, out)

def cosh(input, *, out=None):
    """Hyperbolic cosine."""
    return unary(OP["cosh"], input, out)

def tanh(input, *, out=None):
    """Hyperbolic tangent."""
    return unary(OP["tanh"], input, out)

def asinh(input, *, out=None):
    """Inverse hyperbolic sine."""
    return unary(OP["asinh"], input, out)

def acosh(input, *, out=None):
    """Inverse hyperbolic cosine."""
    return unary(OP["acosh"], input, out)

def atanh(input, *, out=None):
    """Inverse hyperbolic tangent."""
    return unary(OP["atanh"], input, out)

def sigmoid(input, *, out=None):
    """1 / (1 + exp(-input))."""
    return unary(OP["sigmoid"], input, out)

def erf(input, *, out=None):
    """Error function."""
    return unary(OP["erf"], input, out)

def erfc(input, *, out=None):
    """1 - erf(input), precise for large elements."""
    return unary(OP["erfc"], input, out)

def erfinv(input, *, out=None):
    """Inverse error function; infinite at -1 and 1, NaN beyond."""
    return unary(OP["erfinv"], input, out)

def erfcx(input, *, out=None):
    """exp(input ** 2) * erfc(input)."""
    return unary(OP["erfcx"], input, out)

def lgamma(input, *, out=None):
    """Logarithm of the absolute value of the gamma function."""
    return unary(OP["lgamma"], input, out)

def digamma(input, *, out=None):
    """Derivative of lgamma."""
    return unary(OP["digamma"], input, out)

def sinc(input, *, out=None):
    """sin(pi input) / (pi input), 1 at 0."""
    return unary(OP["sinc"], input, out)

def i0(input, *, out=None):
    """Modified Bessel function of the first kind, order 0."""
    return unary(OP["i0"], input, out)

def i0e(input, *, out=None):
    """exp(-|input|) * i0(input)."""
    return unary(OP["i0e"], input, out)

def i1(input, *, out=None):
    """Modified Bessel function of the first kind, order 1."""
    return unary(OP["i1"], input, out)

def i1e(input, *, out=None):
    """exp(-|input|) * i1(input)."""
    return unary(OP["i1e"], input, out)

def entr(input, *, out=None):
    """-input * log(input): 0 at 0, -inf below."""
    return unary(OP["entr"], input, out)

def ndtr(input, *, out=None):
    """The area of the standard normal distribution below each element."""
    return unary(OP["ndtr"], input, out)

def log_ndtr(input, *, out=None):
    """Logarithm of ndtr(input), precise far below 0."""
    return unary(OP["log_ndtr"], input, out)

def ndtri(input, *, out=None):
    """Inverse of ndtr."""
    return unary(OP["ndtri"], input, out)

def deg2rad(input, *, out=None):
    """Degrees to radians."""
    return unary(OP["deg2rad"], input, out)

def rad2deg(input, *, out=None):
    """Radians to degrees."""
    return unary(OP["rad2deg"], input, out)

def floor(input, *, out=None):
    """The largest integer that is not larger. Integers stay as they are; bool is refused."""
    return unary(OP["floor"], input, out)

def ceil(input, *, out=None):
    """The smallest integer that is not smaller. Integers stay as they are; bool is refused."""
    return unary(OP["ceil"], input, out)

def trunc(input, *, out=None):
    """Each element without its fraction. Integers stay as they are; bool is refused."""
    return unary(OP["trunc"], input, out)

def frac(input, *, out=None):
    """The fraction of each element, with its sign. Floating dtypes only."""
    return unary(OP["frac"], input, out)

def sign(input, *, out=None):
    """-1, 0 or 1; 0 for NaN. Keeps the dtype."""
    return unary(OP["sign"], input, out)


def sgn(input, *, out=None):
    """sign(input): tensors here are real."""
    return unary(OP["sign"], input, out)


def abs(input, *, out=None):
    """Absolute value. Keeps the dtype (real for complex numbers); bool is refused."""
    try:
        return unary(OP["abs"], input, out)
    except ComplexOperand:
        return input.abs()


def neg(input, *, out=None):
    """-input. Keeps the dtype; RuntimeError for bool."""
    return unary(OP["neg"], input, out)


def positive(input):
    """input itself; RuntimeError for bool."""
    if not isinstance(input, TensorBase):
        raise not_a_tensor("positive", input)
    if lib.ad_dtype_of(input._h) == 0:
        raise RuntimeError("The `+` operator, on a bool tensor is not supported.")
    return input


def reciprocal(input, *, out=None):
    """1 / input."""
    return unary(OP["reciprocal"], input, out)


def square(input, *, out=None):
    """input * input, as pow(input, 2)."""
    return binary(OP["pow"], input, 2, out)


def square_(self):
    """square(), in place."""
    return self.pow_(2)


def round(input, *, decimals=0, out=None):
    """The nearest integer, ties to even; with decimals, the nearest multiple of 10 ** -decimals.

    Integers stay as they are, and take no decimals; bool is refused.
    """
    if not decimals:
        return unary(OP["round"], input, out)
    if not isinstance(input, TensorBase):
        raise not_a_tensor("round", input)
    op, scale = (OP["round_decimals"], decimals) if decimals > 0 else (OP["round_tens"], -decimals)
    return binary(op, input, 10.0**scale, out)


def round_(self, *, decimals=0):
    """round(), in place."""
    if not decimals:
        return _round_(self)
    return _round_decimals_(self, 10.0**decimals) if decimals > 0 else _round_tens_(self, 10.0**-decimals)


def logit(input, eps=None, *, out=None):
    """log(input / (1 - input)); with eps, elements are first brought within [eps, 1 - eps]."""
    if eps is not None:
        eps = float(number(eps, "logit", "eps"))
        input = input.to(input.dtype if input.dtype.is_floating_point else _default()).clamp(eps, 1 - eps)
    return unary(OP["logit"], input, out)


def logit_(self, eps=None):
    """logit(), in place."""
    return _logit_(self) if eps is None else self.copy_(logit(self.clone(), eps))


def polygamma(n, input, *, out=None):
    """The n-th derivative of digamma."""
    if not isinstance(input, TensorBase):
        raise not_a_tensor("polygamma", input, "input", 2)
    if n < 0:
        raise RuntimeError("polygamma(n, x) does not support negative n.")
    return binary(OP["polygamma"], input, int(n), out)


def method_polygamma(self, n):
    return polygamma(n, self)


def polygamma_(self, n):
    """polygamma(), in place."""
    return self.copy_(polygamma(n, self.clone()))


def multigammaln(input, p, *, out=None):
    """Logarithm of the multivariate gamma function of dimension p; elements must exceed (p - 1) / 2."""
    if not isinstance(input, TensorBase):
        raise not_a_tensor("mvlgamma", input)
    if p < 1:
        raise RuntimeError("p has to be greater than or equal to 1")
    x = input if input.dtype.is_floating_point else input.to(_default())
    terms = arange(0, p, dtype=x.dtype) * -0.5 + x.unsqueeze(-1)
    total = lgamma(terms).sum(-1) + p * (p - 1) / 4 * 1.1447298858494002
    return total if out is None else to_out(_kept(total), out)


def nan_to_num(input, nan=0.0, posinf=None, neginf=None, *, out=None):
    """NaN becomes `nan`, infinities `posinf` and `neginf`: by default 0 and the dtype's largest and smallest."""
    r = _nan_to_num(input, nan, posinf, neginf)
    return r if out is None else to_out(_kept(r), out)


def nan_to_num_(self, nan=0.0, posinf=None, neginf=None):
    """nan_to_num(), in place."""
    return self.copy_(_nan_to_num(self.clone(), nan, posinf, neginf))


def _nan_to_num(input, nan, posinf, neginf):
    if not isinstance(input, TensorBase):
        raise not_a_tensor("nan_to_num", input)
    if not input.dtype.is_floating_point:
        return input.clone()
    largest = _LARGEST[input.dtype]
    nan = 0.0 if nan is None else number(nan, "nan_to_num", "nan")
    finite = ternary(OP["replace_inf"], input, largest if posinf is None else number(posinf, "nan_to_num", "posinf"),
                     -largest if neginf is None else number(neginf, "nan_to_num", "neginf"))
    return binary(OP["replace_nan"], finite, nan)


def _default():
    return _dtype.get_default_dtype()


def _kept(t):
    """A handle of t's tensor that to_out() may drop."""
    lib.ad_retain(t._h)
    return t._h


absolute, negative = abs, neg
mvlgamma = multigammaln
arcsin = asin
arccos = acos
arctan = atan
arcsinh = asinh
arccosh = acosh
arctanh = atanh
expit = sigmoid
gammaln = lgamma
psi = digamma
fix = trunc

# ---- in place ----

exp_ = inplace_unary(OP["exp"])
exp2_ = inplace_unary(OP["exp2"])
expm1_ = inplace_unary(OP["expm1"])
log_ = inplace_unary(OP["log"])
log2_ = inplace_unary(OP["log2"])
log10_ = inplace_unary(OP["log10"])
log1p_ = inplace_unary(OP["log1p"])
sqrt_ = inplace_unary(OP["sqrt"])
rsqrt_ = inplace_unary(OP["rsqrt"])
sin_ = inplace_unary(OP["sin"])
cos_ = inplace_unary(OP["cos"])
tan_ = inplace_unary(OP["tan"])
asin_ = arcsin_ = inplace_unary(OP["asin"])
acos_ = arccos_ = inplace_unary(OP["acos"])
atan_ = arctan_ = inplace_unary(OP["atan"])
sinh_ = inplace_unary(OP["sinh"])
cosh_ = inplace_unary(OP["cosh"])
tanh_ = inplace_unary(OP["tanh"])
asinh_ = arcsinh_ = inplace_unary(OP["asinh"])
acosh_ = arccosh_ = inplace_unary(OP["acosh"])
atanh_ = arctanh_ = inplace_unary(OP["atanh"])
sigmoid_ = inplace_unary(OP["sigmoid"])
erf_ = inplace_unary(OP["erf"])
erfc_ = inplace_unary(OP["erfc"])
erfinv_ = inplace_unary(OP["erfinv"])
lgamma_ = inplace_unary(OP["lgamma"])
digamma_ = inplace_unary(OP["digamma"])
sinc_ = inplace_unary(OP["sinc"])
i0_ = inplace_unary(OP["i0"])
deg2rad_ = inplace_unary(OP["deg2rad"])
rad2deg_ = inplace_unary(OP["rad2deg"])
floor_ = inplace_unary(OP["floor"])
ceil_ = inplace_unary(OP["ceil"])
trunc_ = fix_ = inplace_unary(OP["trunc"])
frac_ = inplace_unary(OP["frac"])
sign_ = inplace_unary(OP["sign"])
sgn_ = inplace_unary(OP["sign"])
abs_ = absolute_ = inplace_unary(OP["abs"])
neg_ = negative_ = inplace_unary(OP["neg"])
reciprocal_ = inplace_unary(OP["reciprocal"])
_round_ = inplace_unary(OP["round"])
_round_decimals_, _round_tens_ = inplace(OP["round_decimals"]), inplace(OP["round_tens"])
_logit_ = inplace_unary(OP["logit"])
