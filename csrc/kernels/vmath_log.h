/* Logarithms and powers.
 *
 * x = 2^e m with m around 1 and f = m - 1 (exact). In float32, log1p(f) = f - f^2/2 + f^3 P(f) on
 * m in [2/3, 4/3); in float64, with s = f / (2 + f), log1p(f) = 2 atanh(s) as f - f^2/2 + s (f^2/2 +
 * s^2 P(s^2)) on m in [sqrt(1/2), sqrt(2)), the arrangement of K. C. Ng in FreeBSD's msun. The
 * polynomials come from tests/c/fit_vmath.py. */

#if CT_IS(f32)
#define LOG_FROM_f32 0x3f2aaaab /* 2/3 */
#define LOG_LN2_HI_f32 0.693359375
#define LOG_LN2_LO_f32 -2.12194440054690583e-4
#define LOG_SUBNORMAL_f32 0x1p-126
static const T LOG_P_f32[] = {0.333333373,  -0.249998197, 0.199993059,  -0.166796163, 0.143128395,
                              -0.121952876, 0.106613569,  -0.128471062, 0.123580351};
#else
#define LOG_FROM_f64 0x3fe6a09e667f3bcd /* sqrt(1/2) */
#define LOG_LN2_HI_f64 6.93147180369123816490e-01
#define LOG_LN2_LO_f64 1.90821492927058770002e-10
#define LOG_SUBNORMAL_f64 0x1p-1022
static const T LOG_P_f64[] = {0.6666666666666735,  0.39999999999407027, 0.28571428744255295,
                              0.22222198365750467, 0.1818357587655012,  0.15313736383343912,
                              0.14799271139064835};
static const T LOG_P5_f64[] = {0.4000000000000229,  0.2857142857008265,  0.22222222523083152,
                               0.18181784079366078, 0.15386771065255894, 0.1325648759216031,
                               0.13199482482707797};
#endif

/* x = 2^e m for finite x > 0, subnormal ones too; anything for the rest. */
VFN V VN(v_split)(V x, V *e) {
    const int mb = VN(MANT_BITS);
    M tiny = v_lt(x, K(VN(LOG_SUBNORMAL)));
    x = v_sel(tiny, x * K((TU)1 << (mb + 1)), x);
    /* Biased by 2 * EXP_BIAS to stay positive; then, as mantissa bits of 2^MANT_BITS, made a float. */
    const TU bias = 2 * VN(EXP_BIAS), one = (TU)1 << mb;
    VU ix = (VU)x + (bias << mb) - (TU)VN(LOG_FROM);
    VU ie = ix >> mb;
    VU two = (VU)K(one);
    V fe = (V)(ie | two) - K((T)one + (T)bias);
    *e = v_sel(tiny, fe - K(mb + 1), fe);
    return (V)((VU)x - ((ie - bias) << mb));
}

/* log1p(f) - f for a reduced f. */
VFN V VN(v_log_rest)(V f) {
    V f2 = f * f;
#if CT_IS(f32)
    return f2 * v_fma(f, v_poly(f, LOG_P_f32), K(-0.5));
#else
    V s = f / (f + K(2)), z = s * s, h = K(0.5) * f2;
    return s * v_fma(z, v_poly(z, LOG_P_f64), h) - h;
#endif
}
/* What log makes of 0, of negative numbers and of infinity; NaN stays NaN. */
VFN V VN(v_log_special)(V x, V r) {
    r = v_sel(v_lt(x, K(INFINITY)), r, x); /* inf, NaN */
    r = v_sel(v_eq(x, K(0)), K(-INFINITY), r);
    return v_sel(v_lt(x, K(0)), K(NAN), r);
}
/* e ln 2 + f + rest, where e is 0 or e ln 2 is larger than f. */
VFN V VN(v_log_sum)(V e, V f, V rest) {
    V a = e * K(VN(LOG_LN2_HI)), s = a + f, lost = f - (s - a);
    return s + (lost + v_fma(e, K(VN(LOG_LN2_LO)), rest));
}

VMATH V v_log(V x) {
    V e, f = VN(v_split)(x, &e) - K(1);
    return VN(v_log_special)(x, VN(v_log_sum)(e, f, VN(v_log_rest)(f)));
}

/* e * chi (exact) + e * clo + log1p(f) * k in double words, for log2 and log10. */
VFN V VN(v_log_base)(V x, T chi, T clo, T khi, T klo) {
    V e, f = VN(v_split)(x, &e) - K(1), rest = VN(v_log_rest)(f);
    V h = f + rest, l = rest - (h - f);
    V p = h * K(khi);
    V pl = v_prod_err(h, K(khi), p) + v_fma(h, K(klo), l * K(khi));
    V a = e * K(chi), s = a + p, lost = p - (s - a);
    return VN(v_log_special)(x, s + (lost + v_fma(e, K(clo), pl)));
}
#if CT_IS(f32)
VMATH V v_log2(V x) { return VN(v_log_base)(x, 1, 0, 1.44269502f, 1.9259630e-8f); }
VMATH V v_log10(V x) {
    return VN(v_log_base)(x, 0.301025390625f, 4.60503898e-6f, 0.434294492f, -1.0103050e-8f);
}
#else
VMATH V v_log2(V x) { return VN(v_log_base)(x, 1, 0, 1.4426950408889634, 2.0355273740931033e-17); }
VMATH V v_log10(V x) {
    return VN(v_log_base)(x, 0x1.34413509f78p-2, 0x1.fef311f12b358p-46, 0.4342944819032518,
                          1.098319650216765e-17);
}
#endif

/* log(1 + x) with 2^e f' = 1 + x, f = (2^-e - 1) + 2^-e x as an exact sum of two. */
VMATH V v_log1p(V x) {
    V u = x + K(1), e;
    V m = VN(v_split)(u, &e);
    V t = v_pow2i(v_neg(v_fmin(K(VN(MANT_BITS) + 9), e)));
    V a = t - K(1), b = x * t;
    V f = a + b, bb = f - a, fl = (a - (f - bb)) + (b - bb);
    M big = v_gt(x, K((TU)1 << (VN(MANT_BITS) + 2))); /* where the 1 does not matter */
    f = v_sel(big, m - K(1), f);
    fl = v_sel(big, K(0), fl);
    V rest = VN(v_log_rest)(f) + v_fma(v_neg(f), fl, fl);
    V r = VN(v_log_special)(u, VN(v_log_sum)(e, f, rest));
    return v_sel(v_lt(v_abs(x), K(CT_IS(f32) ? 0x1p-26 : 0x1p-55)), x, r); /* for -0 */
}

#if CT_IS(f64)
/* log(ax) as hi + lo to some 2^-64: 2 atanh(s) with s, its square and the first correction in double
 * words. Exact products come from v_prod_err. */
VFN V VN(v_log_words)(V ax, V *lo) {
    V e, m = VN(v_split)(ax, &e);
    V f = m - K(1), d = m + K(1), dl = m - (d - K(1)), rd = K(1) / d;
    V s = f * rd, p = s * d;
    V sl = (((f - p) - v_prod_err(s, d, p)) - s * dl) * rd;
    V z = s * s, zl = v_prod_err(s, s, z) + K(2) * s * sl;
    V t = z * v_poly(z, LOG_P5_f64), c = K(0.66666666666666663), w = c + t;
    V wl = (t - (w - c)) + K(3.7007434154171886e-17);
    V y = z * w, yl = v_prod_err(z, w, y) + (z * wl + zl * w);
    V h = s * y, hl = v_prod_err(s, y, h) + (s * yl + sl * y);
    V s2 = s + s, l = s2 + h, ll = (h - (l - s2)) + (K(2) * sl + hl);
    V a = e * K(LOG_LN2_HI_f64), g = a + l, gl = (l - (g - a)) + v_fma(e, K(LOG_LN2_LO_f64), ll);
    V hi = g + gl;
    *lo = gl - (hi - g);
    hi = v_sel(v_lt(ax, K(INFINITY)), hi, ax);
    return v_sel(v_eq(ax, K(0)), K(-INFINITY), hi);
}

/* `precise` for a float64 result; otherwise good for rounding to float32. */
VFN V VN(v_pow_as)(V x, V y, const int precise) {
    V ax = v_abs(x), lo = K(0), hi, r;
    /* Beyond 2^65 every power but that of 1 over- or underflows, and products would overflow. */
    V yc = v_fmax(K(-0x1p65), v_fmin(K(0x1p65), y));
    if (precise) {
        hi = VN(v_log_words)(ax, &lo);
        V p = yc * hi;
        M far = v_ge(v_abs(p), K(1000));
        V pl = v_fma(yc, lo, v_prod_err(yc, hi, p));
        pl = v_sel(far, K(0), pl);
        r = v_exp_less(p, v_neg(pl));
    } else {
        r = v_exp(yc * v_log(ax));
    }
    V half = K(0.5) * y;
    M integral = v_eq(v_trunc(y), y), odd = v_and(integral, v_ne(v_trunc(half), half));
    r = v_sel(odd, v_copysign(r, x), r);
    r = v_sel(v_and(v_and(v_lt(x, K(0)), v_isfinite(x)), v_not(integral)), K(NAN), r);
    r = v_sel(v_or(v_isnan(x), v_isnan(y)), x + y, r);
    M one = v_or(v_eq(x, K(1)), v_eq(y, K(0)));
    one = v_or(one, v_and(v_eq(ax, K(1)), v_isinf(y)));
    return v_sel(one, K(1), r);
}
VMATH V v_pow(V x, V y) { return VN(v_pow_as)(x, y, 1); }
VSLOW V VN(v_pow_short)(V x, V y) { return VN(v_pow_as)(x, y, 0); }
#else
VMATH V v_pow(V x, V y) {
    return v_narrow(v_pow_short_f64(v_widen_lo(x), v_widen_lo(y)),
                    v_pow_short_f64(v_widen_hi(x), v_widen_hi(y)));
}
#endif

#if CT_IS(f64)
VMATH V v_asinh(V x) { return v_map1(x, asinh); }
VMATH V v_acosh(V x) { return v_map1(x, acosh); }
VMATH V v_atanh(V x) { return v_map1(x, atanh); }
#else
/* In double, where nothing can overflow, and what cancels has digits to spare. */
VMATH V_f64 v_asinh_short_f64(V_f64 x) {
    V_f64 a = v_abs_f64(x), a2 = a * a;
    return v_copysign_f64(v_log1p_f64(a + a2 / (1.0 + v_sqrt_f64(a2 + 1.0))), x);
}
VMATH V_f64 v_acosh_short_f64(V_f64 x) {
    V_f64 t = x - 1.0;
    t = v_sel_f64(v_lt_f64(t, v_splat_f64(0)), v_splat_f64(NAN), t);
    return v_log1p_f64(t + v_sqrt_f64(t * (t + 2.0)));
}
VMATH V_f64 v_atanh_short_f64(V_f64 x) {
    V_f64 a = v_abs_f64(x);
    return v_copysign_f64(0.5 * v_log1p_f64((a + a) / (1.0 - a)), x);
}
VMATH V v_asinh(V x) {
    V r = v_via64(x, v_asinh_short_f64);
    return v_sel(v_isfinite(x), r, x);
}
VMATH V v_acosh(V x) { return v_via64(x, v_acosh_short_f64); }
VMATH V v_atanh(V x) { return v_via64(x, v_atanh_short_f64); }
#endif
