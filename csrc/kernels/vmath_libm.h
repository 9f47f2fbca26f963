/* Functions that are rare in training: lane by lane over the C library, or from other functions. */

#undef LM
#undef LM_MAP1
#if CT_IS(f32)
#define LM(fn) fn##f
#else
#define LM(fn) fn
#endif
#define LM_MAP1(fn)                                                                                          \
    VMATH V v_##fn(V x) { return v_map1(x, LM(fn)); }

LM_MAP1(asin)
LM_MAP1(acos)
LM_MAP1(atan)
#if CT_IS(f32)
/* atan2f of some C libraries is off by more than one unit. */
static float s_atan2_f32(float a, float b) { return (float)atan2(a, b); }
VMATH V v_atan2(V a, V b) { return v_map2(a, b, s_atan2_f32); }
#else
VMATH V v_atan2(V a, V b) { return v_map2(a, b, atan2); }
#endif
VMATH V v_hypot(V a, V b) { return v_map2(a, b, LM(hypot)); }
VMATH V v_fmod(V a, V b) { return v_map2(a, b, LM(fmod)); }
VMATH V v_nextafter(V a, V b) { return v_map2(a, b, LM(nextafter)); }

VMATH V v_recip(V x) { return K(1) / x; }
VMATH V v_rsqrt(V x) { return K(1) / v_sqrt(x); }

VMATH V v_logit(V x) { return v_log(x / (K(1) - x)); }
VMATH V v_sinc(V x) {
    V y = x * K(3.14159265358979323846);
    return v_sel(v_eq(x, K(0)), K(1), v_sin(y) / y);
}
VMATH V v_xlogy(V x, V y) { return v_sel(v_and(v_eq(x, K(0)), v_not(v_isnan(y))), K(0), x * v_log(y)); }
/* Where both are infinite and equal the difference is NaN, and the result either of them. */
VMATH V v_logaddexp(V a, V b) {
    V m = v_max(a, b);
    V r = VN(v_plus_log_one_and_exp)(m, v_abs(a - b));
    return v_sel(v_and(v_isinf(a), v_eq(a, b)), a, r);
}
VMATH V v_logaddexp2(V a, V b) {
    V m = v_max(a, b);
    V r = m + v_log1p(v_exp2(v_neg(v_abs(a - b)))) * K(1.44269504088896340736);
    return v_sel(v_and(v_isinf(a), v_eq(a, b)), a, r);
}
#if CT_IS(f64)
/* Below -5 by the continued fraction of Mills' ratio, where erfc would lose digits and underflow. */
VMATH V v_log_ndtr(V x) {
    V t = v_fmin(K(-1), x), z = v_neg(t), cf = z;
    for (int k = 60; k > 0; k--) cf = z + v_splat((T)k) / cf;
    V tail = K(-0.5) * t * t - v_log(cf) - K(0.91893853320467274178);
    V mid = v_log1p(K(-0.5) * v_erfc(x * K(0.70710678118654752440)));
    return v_sel(v_lt(x, K(-5)), tail, v_sel(v_lt(x, K(-1)), v_log(v_ndtr(x)), mid));
}
#else
VMATH V v_log_ndtr(V x) { return v_via64(x, v_log_ndtr_f64); }
#endif

/* The sign of the divisor, as Python's %. */
VMATH V v_remainder(V a, V b) {
    V r = v_fmod(a, b), zero = K(0);
    M other = v_and(v_ne(r, zero), v_xor(v_lt(r, zero), v_lt(b, zero)));
    return v_sel(other, r + b, r);
}
/* Python's //: the floor of the true quotient, which a / b rounded could overshoot. */
VMATH V v_floor_div(V a, V b) {
    V zero = K(0), q = a / b, r = v_fmod(a, b), d = (a - r) / b;
    M other = v_and(v_ne(r, zero), v_xor(v_lt(r, zero), v_lt(b, zero)));
    d = v_sel(other, d - K(1), d);
    V f = v_floor(d);
    f = v_sel(v_gt(d - f, K(0.5)), f + K(1), f);
    f = v_sel(v_eq(d, zero), v_copysign(zero, q), f);
    return v_sel(v_eq(b, zero), q, f);
}
VMATH V v_trunc_div(V a, V b) { return v_trunc(a / b); }

static T VN(s_lgamma)(T x) {
    int sign; /* lgamma itself writes a global */
#if CT_IS(f32)
    return lgammaf_r(x, &sign);
#else
    return lgamma_r(x, &sign);
#endif
}
VMATH V v_lgamma(V x) { return v_map1(x, VN(s_lgamma)); }

#if CT_IS(f64)
/* Reflection for x < 0, recurrence up to 12, then the asymptotic series in Bernoulli numbers. The sums
 * are long double: they cancel near the zeros. */
static double s_digamma_f64(double x0) {
    if (x0 == 0) return copysign(INFINITY, -x0);
    long double x = x0, r = 0;
    if (x0 < 0) {
        double whole, frac = modf(x0, &whole);
        if (frac == 0) return NAN;
        r = -3.14159265358979323846264L / tanl(3.14159265358979323846264L * frac);
        x = 1 - x;
    }
    for (; x < 12; x += 1) r -= 1 / x;
    long double z = 1 / (x * x);
    long double s =
        z *
        (1.L / 12 - z * (1.L / 120 -
                         z * (1.L / 252 - z * (1.L / 240 - z * (1.L / 132 - z * (691.L / 32760 - z / 12))))));
    return (double)(r + (logl(x) - 0.5L / x - s));
}
/* The power series of the Bessel function has only positive terms; beyond 30, the asymptotic one. */
static double s_i0_f64(double x) {
    x = fabs(x);
    long double s = 1, t = 1;
    if (x < 30) {
        long double z = 0.25L * x * x;
        for (int k = 1; k < 100 && t > s * 1e-18L; k++) s += t *= z / (k * k);
        return (double)s;
    }
    if (x == INFINITY) return x;
    for (int k = 1; k < 30; k++) {
        t *= (2 * k - 1) * (2 * k - 1) / (8.L * x * k);
        if (t < 1e-18L) break;
        s += t;
    }
    long double h = expl(0.5L * x); /* in two factors, so as to overflow no earlier than the result */
    return (double)(h * (s / sqrtl(2 * 3.14159265358979323846264L * x)) * h);
}
/* Giles' single-precision polynomials (Approximating the erfinv function, GPU Computing Gems, 2010),
 * then two steps of Halley's method, through erfc where erf has no digits left. */
static double s_erfinv_f64(double x) {
    double a = fabs(x);
    if (!(a < 1)) return a == 1 ? copysign(INFINITY, x) : NAN;
    double w = -log1p(-a * a), p;
    if (w < 5) {
        w -= 2.5;
        p = 2.81022636e-08;
        p = 3.43273939e-07 + p * w;
        p = -3.5233877e-06 + p * w;
        p = -4.39150654e-06 + p * w;
        p = 0.00021858087 + p * w;
        p = -0.00125372503 + p * w;
        p = -0.00417768164 + p * w;
        p = 0.246640727 + p * w;
        p = 1.50140941 + p * w;
    } else {
        w = sqrt(w) - 3;
        p = -0.000200214257;
        p = 0.000100950558 + p * w;
        p = 0.00134934322 + p * w;
        p = -0.00367342844 + p * w;
        p = 0.00573950773 + p * w;
        p = -0.0076224613 + p * w;
        p = 0.00943887047 + p * w;
        p = 1.00167406 + p * w;
        p = 2.83297682 + p * w;
    }
    double y = p * a;
    for (int i = 0; i < 2; i++) {
        double err = a > 0.5 ? (1 - a) - erfc(y) : erf(y) - a;
        double step = err / (1.12837916709551257390 * exp(-y * y));
        y -= step / (1 + y * step);
    }
    return copysign(y, x);
}
#else
static float s_digamma_f32(float x) { return (float)s_digamma_f64(x); }
static float s_i0_f32(float x) { return (float)s_i0_f64(x); }
static float s_erfinv_f32(float x) { return (float)s_erfinv_f64(x); }
#endif
VMATH V v_digamma(V x) { return v_map1(x, VN(s_digamma)); }
VMATH V v_i0(V x) { return v_map1(x, VN(s_i0)); }
VMATH V v_erfinv(V x) { return v_map1(x, VN(s_erfinv)); }
