/* Functions of a vector that only rows of ops/elementwise.def use: exact powers, activations and their
 * gradients, and special functions, which go lane by lane. */
#include "constants.h"
#ifndef AD_VMATH_MORE_NAMES
#define AD_VMATH_MORE_NAMES
#define v_power VN(v_power)
#define v_xlog1py VN(v_xlog1py)
#define v_entr VN(v_entr)
#define v_erfcx VN(v_erfcx)
#define v_ndtri VN(v_ndtri)
#define v_i0e VN(v_i0e)
#define v_i1 VN(v_i1)
#define v_i1e VN(v_i1e)
#define v_zeta VN(v_zeta)
#define v_next_half VN(v_next_half)
#define v_polygamma VN(v_polygamma)
#define v_igamma VN(v_igamma)
#define v_igammac VN(v_igammac)
#define v_gelu_tanh VN(v_gelu_tanh)
#define v_gelu_tanh_grad VN(v_gelu_tanh_grad)
#define v_silu_grad VN(v_silu_grad)
#define v_mish_grad VN(v_mish_grad)
#endif

#if !CT_FLOAT
VMATH V v_power(V a, V b) { return v_pow(a, b); }
#else

/* The exponents that have a closed form get it, lane by lane whatever their neighbours are; whole vectors
 * of one such exponent, which is how a number arrives, skip the general function. */
VMATH V v_power(V a, V b) {
    V square = a * a;
    M two = v_eq(b, K(2));
    if (v_all(two)) return square;
    M one = v_eq(b, K(1)), three = v_eq(b, K(3)), zero = v_eq(b, K(0));
    M half = v_eq(v_abs(b), K(0.5)), inverse = v_or(v_eq(b, K(-1)), v_eq(b, K(-2)));
    M direct = v_or(v_or(two, one), v_or(three, zero)), special = v_or(direct, v_or(half, inverse));
    if (!v_any(special)) return v_pow(a, b);
    V r = v_all(special) ? K(1) : v_pow(a, b);
    r = v_sel(one, a, v_sel(two, square, v_sel(three, square * a, r)));
    if (v_any(half)) {
        V root = v_sqrt(a);
        r = v_sel(half, v_sel(v_lt(b, K(0)), K(1) / root, root), r);
    }
    if (v_any(inverse)) r = v_sel(inverse, K(1) / v_sel(v_eq(b, K(-1)), a, square), r);
    return r;
}

VMATH V v_xlog1py(V x, V y) { return v_sel(v_and(v_eq(x, K(0)), v_not(v_isnan(y))), K(0), x * v_log1p(y)); }
VMATH V v_entr(V x) {
    V r = v_neg(x * v_log(x));
    return v_sel(v_eq(x, K(0)), K(0), v_sel(v_lt(x, K(0)), K(-INFINITY), r));
}

/* ---- activations ---- */

VFN V VN(v_gelu_inner)(V x) { return K(SQRT_2_OVER_PI) * (x + K(GELU_CUBIC) * (x * x * x)); }
VMATH V v_gelu_tanh(V x) { return x * K(0.5) * (K(1) + v_tanh(VN(v_gelu_inner)(x))); }
VMATH V v_gelu_tanh_grad(V g, V x) {
    V t = v_tanh(VN(v_gelu_inner)(x)), du = K(SQRT_2_OVER_PI) * (K(1) + K(3 * GELU_CUBIC) * (x * x));
    return g * (K(0.5) * (K(1) + t) + x * K(0.5) * ((K(1) - t * t) * du));
}
VMATH V v_silu_grad(V g, V x) {
    V s = v_sigmoid(x);
    return g * (s * (K(1) + x * (K(1) - s)));
}
VMATH V v_mish_grad(V g, V x) {
    V s = v_sigmoid(x), t = v_tanh(v_softplus(x));
    return g * (t + x * (s * (K(1) - t * t)));
}

/* ---- special functions ---- */

#if CT_IS(f64)
/* The Hurwitz zeta function by Euler and Maclaurin's formula: a few terms, the integral of the rest, and
 * corrections in Bernoulli numbers B(2k) / (2k)!. Poles and the domain are those of Cephes. */
static double s_zeta_f64(double s, double q) {
    static const double b[] = {1.0 / 12,           -1.0 / 720,
                               1.0 / 30240,        -1.0 / 1209600,
                               1.0 / 47900160,     -691.0 / 1307674368000.,
                               1.0 / 74724249600., -3617.0 / 10670622842880000.};
    if (s == 1) return INFINITY;
    if (isinf(q)) return q > 0 ? 0 : NAN;
    if (!(s > 1)) return NAN;
    if (q <= 0) {
        if (q == floor(q)) return INFINITY;
        if (s != floor(s)) return NAN;
    }
    double sum = 0, x = q;
    int terms = 0;
    for (; terms < 9 || x <= 9; terms++, x += 1) {
        double t = pow(x, -s);
        sum += t;
        if (fabs(t) < fabs(sum) * 1e-17 && x > 0) return sum;
    }
    double t = pow(x, -s), rise = s, w = t / x;
    sum += t * x / (s - 1) + 0.5 * t;
    for (int k = 0; k < 8; k++) {
        double term = b[k] * rise * w;
        sum += term;
        if (fabs(term) < fabs(sum) * 1e-17) break;
        rise *= (s + 2 * k + 1) * (s + 2 * k + 2);
        w /= x * x;
    }
    return sum;
}
static double s_polygamma_f64(double x, double n) {
    if (n == 0) return s_digamma_f64(x);
    double f = exp(lgamma(n + 1)); /* n! is positive: lgamma's global sign is not read */
    return (fmod(n, 2) == 0 ? -f : f) * s_zeta_f64(n + 1, x);
}
/* The power series below 30 has only positive terms; beyond, the asymptotic one. Scaled by e^-|x|. */
static double s_i1e_f64(double x) {
    double a = fabs(x), s = 1, t = 1;
    if (a < 30) {
        double z = 0.25 * a * a;
        for (int k = 1; k < 100 && t > s * 1e-17; k++) s += t *= z / ((double)k * (k + 1));
        return 0.5 * x * s * exp(-a);
    }
    if (isinf(a)) return copysign(0.0, x);
    for (int k = 1; k < 30; k++) {
        t *= -(4 - (2 * k - 1) * (2 * k - 1)) / (8 * a * k);
        if (fabs(t) < 1e-17) break;
        s += t;
    }
    return copysign(s / sqrt(2 * M_PI * a), x);
}
static double s_i1_f64(double x) {
    double h = exp(0.5 * fabs(x)); /* in two factors, so as to overflow no earlier than the result */
    return h * s_i1e_f64(x) * h;
}
static double s_i0e_f64(double x) {
    double a = fabs(x), s = 1, t = 1;
    if (a < 30) return s_i0_f64(a) * exp(-a);
    if (isinf(a)) return 0;
    for (int k = 1; k < 30; k++) {
        t *= (2 * k - 1) * (2 * k - 1) / (8 * a * k);
        if (t < 1e-17) break;
        s += t;
    }
    return s / sqrt(2 * M_PI * a);
}
/* e^(x^2) erfc(x): the product while erfc has digits left, then its continued fraction. */
static double s_erfcx_f64(double x) {
    if (x < -26.7) return INFINITY;
    if (x < 5) {
        double z = x * x, low = fma(x, x, -z);
        return exp(z) * erfc(x) * (1 + low);
    }
    double cf = x;
    for (int k = 60; k > 0; k--) cf = x + 0.5 * k / cf;
    return 1 / (cf * 1.77245385090551602730);
}
/* Through erfinv in the middle; in the tails a first guess by the asymptotic form, and Newton's method on
 * the logarithm, which converges from there in a few steps. */
static double s_ndtri_f64(double p) {
    if (!(p > 0 && p < 1)) return p == 0 ? -INFINITY : p == 1 ? INFINITY : NAN;
    if (p > 0.1 && p < 0.9) return 1.41421356237309504880 * s_erfinv_f64(2 * p - 1);
    double tail = p < 0.5 ? p : 1 - p, l = log(tail), x = -sqrt(-2 * l - log(6.283185307179586 * -2 * l));
    if (!(x < -1)) x = -1.3;
    for (int k = 0; k < 40; k++) {
        double z = -x * SQRT_1_2, mills = s_erfcx_f64(z); /* ndtr(x) = mills e^(-x^2/2) / 2 */
        double step = (log(0.5 * mills) - 0.5 * x * x - l) * mills / SQRT_2_OVER_PI;
        x -= step;
        if (fabs(step) < 1e-16 * fabs(x)) break;
    }
    return p < 0.5 ? x : -x;
}
/* The regularised incomplete gamma functions: the power series of the lower one below a + 1, the continued
 * fraction of the upper one (by Lentz's method) above (Abramowitz and Stegun, 6.5.29 and 6.5.31). */
static double s_igamma_part(double a, double x, int upper) {
    if (a != a || x != x || a < 0 || x < 0) return NAN;
    if (a == 0) return x > 0 ? !upper : NAN;
    if (x == 0) return upper;
    if (isinf(a)) return isinf(x) ? NAN : upper;
    if (isinf(x)) return !upper;
    double scale = exp(a * log(x) - x - lgamma(a));
    if (x < a + 1) {
        double t = 1 / a, s = t;
        for (double k = 1; k < 1e6 && t > s * 1e-17; k++) s += t *= x / (a + k);
        return upper ? 1 - s * scale : s * scale;
    }
    double b = x + 1 - a, c = 1e300, d = 1 / b, h = d;
    for (double k = 1; k < 1e6; k++) {
        double n = k * (a - k), step;
        b += 2;
        d = n * d + b;
        c = b + n / c;
        d = 1 / (fabs(d) < 1e-300 ? 1e-300 : d);
        if (fabs(c) < 1e-300) c = 1e-300;
        h *= step = d * c;
        if (fabs(step - 1) < 1e-16) break;
    }
    return upper ? h * scale : 1 - h * scale;
}
static double s_igamma_f64(double a, double x) { return s_igamma_part(a, x, 0); }
static double s_igammac_f64(double a, double x) { return s_igamma_part(a, x, 1); }
#else
static float s_igamma_f32(float a, float x) { return (float)s_igamma_part(a, x, 0); }
static float s_igammac_f32(float a, float x) { return (float)s_igamma_part(a, x, 1); }
static float s_zeta_f32(float s, float q) { return (float)s_zeta_f64(s, q); }
static float s_polygamma_f32(float x, float n) { return (float)s_polygamma_f64(x, n); }
static float s_i1e_f32(float x) { return (float)s_i1e_f64(x); }
static float s_i1_f32(float x) { return (float)s_i1_f64(x); }
static float s_i0e_f32(float x) { return (float)s_i0e_f64(x); }
static float s_erfcx_f32(float x) { return (float)s_erfcx_f64(x); }
static float s_ndtri_f32(float p) { return (float)s_ndtri_f64(p); }
#endif
/* nextafter for numbers of fewer mantissa bits, held in T: 10 of float16, 7 of bfloat16. */
static T VN(s_next_half)(T a, T b, int bits) {
    int least = bits == 10 ? -14 : -126, exponent;
    if (a != a || b != b) return (T)NAN;
    if (a == b) return b;
    if (a == 0) return (T)copysign(ldexp(1, least - bits), b);
    if (isinf(a)) return (T)copysign(ldexp(2 - ldexp(1, -bits), bits == 10 ? 15 : 127), a);
    double mantissa = frexp(fabs(a), &exponent);
    int outwards = (b > a) == (a > 0), narrower = !outwards && mantissa == 0.5 && exponent - 1 > least;
    double step = ldexp(1, (exponent - 1 > least ? exponent - 1 : least) - bits - narrower);
    return (T)(b > a ? a + step : a - step);
}
VSLOW V v_next_half(V a, V b, V bits) {
    T s[VL], t[VL];
    v_store(s, a);
    v_store(t, b);
    for (int i = 0; i < VL; i++) t[i] = VN(s_next_half)(s[i], t[i], (int)bits[0]);
    return v_load(t);
}
VMATH V v_igamma(V a, V x) { return v_map2(a, x, VN(s_igamma)); }
VMATH V v_igammac(V a, V x) { return v_map2(a, x, VN(s_igammac)); }
VMATH V v_zeta(V s, V q) { return v_map2(s, q, VN(s_zeta)); }
VMATH V v_polygamma(V x, V n) { return v_map2(x, n, VN(s_polygamma)); }
VMATH V v_i1e(V x) { return v_map1(x, VN(s_i1e)); }
VMATH V v_i1(V x) { return v_map1(x, VN(s_i1)); }
VMATH V v_i0e(V x) { return v_map1(x, VN(s_i0e)); }
VMATH V v_erfcx(V x) { return v_map1(x, VN(s_erfcx)); }
VMATH V v_ndtri(V x) { return v_map1(x, VN(s_ndtri)); }
#endif
