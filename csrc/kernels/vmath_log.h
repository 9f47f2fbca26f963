/* Logarithms and powers.
 *
 * x = 2^e m with m around 1 and f = m - 1 (exact). In float32, log1p(f) = f - f^2/2 + f^3 P(f) on
 * m in [2/3, 4/3); in float64, with s = f / (2 + f), log1p(f) = 2 atanh(s) as f - f^2/2 + s (f^2/2 +
 * s^2 P(s^2)) on m in [sqrt(1/2), sqrt(2)), the arrangement of K. C. Ng in FreeBSD's msun. The
 * polynomials come from tests/c/fit_vmath.py. */

#if CT_IS(f32)
#define LOG_FROM_f32 0x3f2aaaab   /* 2/3 */
#define LOG1P_FROM_f32 0x3f400000 /* 3/4 */
#define LOG_LN2_HI_f32 0.693359375
#define LOG_LN2_LO_f32 -2.12194440054690583e-4
#define LOG_SUBNORMAL_f32 0x1p-126
static const T LOG_P_f32[] = {0.333333373,  -0.249998197, 0.199993059,  -0.166796163, 0.143128395,
                              -0.121952876, 0.106613569,  -0.128471062, 0.123580351};
static const T LOG1P_P_f32[] = {0.333333373,  -0.250001669, 0.199998438,   -0.166555643, 0.142705277,
                                -0.127147898, 0.11735899,   -0.0925259516, 0.0388069488};
#else
#define LOG_FROM_f64 0x3fe6a09e667f3bcd   /* sqrt(1/2) */
#define LOG1P_FROM_f64 0x3fe8000000000000 /* 3/4 */
#define LOG_LN2_HI_f64 6.93147180369123816490e-01
#define LOG_LN2_LO_f64 1.90821492927058770002e-10
#define LOG_SUBNORMAL_f64 0x1p-1022
static const T LOG_P_f64[] = {0.6666666666666735,  0.39999999999407027, 0.28571428744255295,
                              0.22222198365750467, 0.1818357587655012,  0.15313736383343912,
                              0.14799271139064835};
static const T LOG1P_P_f64[] = {0.666666666666666,   0.4000000000005695, 0.2857142855576822,
                                0.2222222430282183,  0.1818166551360506, 0.15391123333623172,
                                0.13173413439437864, 0.13844268633835646};
static const T POW_LOG2_f64[] = {1.442695040868694,   -0.7213475208702392,  0.4808983614019482,
                                 -0.3606736745284749, 0.2885372927900618,   -0.24045318263379728,
                                 0.20617538981335248, -0.18030020390927437, 0.1587691211813775,
                                 -0.1431605421944669, 0.14475580251374362,  -0.14282396258103702,
                                 0.07734041025458084};
static const T POW_EXP2_f64[] = {1.0000000005551068,  0.6931472057669829,   0.2402264688584499,
                                 0.05550328712348151, 0.009618489273115819, 0.001339995745821954,
                                 0.000153457810317374};
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

/* log1p(f) - f for a reduced f, with n coefficients for its range. */
VFN V VN(v_log_tail)(V f, const T *c, const int n) {
    V f2 = f * f;
#if CT_IS(f32)
    return f2 * v_fma(f, VN(v_horner)(f, c, n), K(-0.5));
#else
    V s = f / (f + K(2)), z = s * s, h = K(0.5) * f2;
    return s * v_fma(z, VN(v_horner)(z, c, n), h) - h;
#endif
}
#define LOG_COUNT(c) ((int)(sizeof(c) / sizeof *(c)))
VFN V VN(v_log_rest)(V f) { return VN(v_log_tail)(f, VN(LOG_P), LOG_COUNT(VN(LOG_P))); }
VFN V VN(v_log1p_rest)(V f) { return VN(v_log_tail)(f, VN(LOG1P_P), LOG_COUNT(VN(LOG1P_P))); }
#undef LOG_COUNT
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

/* log(1 + x) with 2^e (1 + f) = 1 + x, f = (2^-e - 1) + 2^-e x, which is exact: 1 + f is taken from [3/4,
 * 3/2), where the terms are within twice each other. Beyond 2^40 the 1 does not matter. */
VMATH V v_log1p(V x) {
    const int mb = VN(MANT_BITS);
    const TU bias = VN(EXP_BIAS), one = (TU)1 << mb;
    V u = x + K(1);
    VU ie = ((VU)u + (2 * bias << mb) - (TU)VN(LOG1P_FROM)) >> mb; /* biased twice, as in v_split */
    V e = (V)(ie | (VU)K(one)) - K((T)one + (T)(2 * bias));
    V t = (V)((3 * bias - ie) << mb);
    V f = v_fma(x, t, t - K(1));
    M far = v_gt(u, K(0x1p40));
    if (v_any(far)) f = v_sel(far, (V)((VU)u - ((ie - 2 * bias) << mb)) - K(1), f);
    V r = VN(v_log_special)(u, VN(v_log_sum)(e, f, VN(v_log1p_rest)(f)));
    return v_copysign(r, x); /* for -0 */
}

/* p + log(1 + e^-a) for a >= 0. With e^-a = 2^n (1 + s), the reduced argument is e^-a itself, or (e^-a - 1) /
 * 2 where that is nearer to 0: n + s say which without rounding the exponential. */
VFN V VN(v_plus_log_one_and_exp)(V p, V a) {
    V n, s = VN(v_exp_parts)(v_fmax(K(EXP_C(EXP_MIN)), v_neg(a)), K(0), &n);
    V e = v_scale(K(1), n), half = K(0.5) * e;
    M small = v_lt(n, K(-1));
    V scale = v_sel(small, e, half), at = v_sel(small, e, half - K(0.5));
    V f = v_fma(scale, s, at), lost = v_fma(scale, s, at - f);
    V base = v_sel(small, K(0), K(0.6875)), rest = v_sel(small, K(0), K(0.005647180559945309));
#if CT_IS(f32)
    rest = VN(v_log_rest)(f) + v_fma(v_neg(f), lost, rest + lost);
#else
    rest = VN(v_log1p_rest)(f) + v_fma(v_neg(f), lost, rest + lost);
#endif
    V q = p + base, b = q - p; /* the sum of two and what it lost, whichever is larger */
    rest = rest + ((p - (q - b)) + (base - b));
    V sum = q + f, r = sum + ((f - (sum - q)) + rest);
    return v_sel(v_lt(p, K(INFINITY)), r, p);
}
/* The bare minimum and maximum let NaN through: it comes second. */
VMATH V v_softplus(V x) { return VN(v_plus_log_one_and_exp)(v_fmax(K(0), x), v_abs(x)); }
VMATH V v_log_sigmoid(V x) { return v_neg(v_softplus(v_neg(x))); }

/* From the power of |x|, that of x: signs, and the cases that have a definite result. */
VFN V VN(v_pow_special)(V x, V y, V r) {
    V half = K(0.5) * y, ax = v_abs(x);
    M integral = v_eq(v_trunc(y), y), odd = v_and(integral, v_ne(v_trunc(half), half));
    r = v_sel(odd, v_copysign(r, x), r);
    r = v_sel(v_and(v_and(v_lt(x, K(0)), v_isfinite(x)), v_not(integral)), K(NAN), r);
    r = v_sel(v_or(v_isnan(x), v_isnan(y)), x + y, r);
    M one = v_or(v_eq(x, K(1)), v_eq(y, K(0)));
    one = v_or(one, v_and(v_eq(ax, K(1)), v_isinf(y)));
    return v_sel(one, K(1), r);
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

VMATH V v_pow(V x, V y) {
    V lo, hi = VN(v_log_words)(v_abs(x), &lo);
    /* Beyond 2^65 every power but that of 1 over- or underflows, and products would overflow. */
    V yc = v_fmax(K(-0x1p65), v_fmin(K(0x1p65), y)), p = yc * hi;
    V pl = v_sel(v_ge(v_abs(p), K(1000)), K(0), v_fma(yc, lo, v_prod_err(yc, hi, p)));
    return VN(v_pow_special)(x, y, v_exp_less(p, v_neg(pl)));
}
/* 2^(y log2 x) for x >= 0 of float32's range, to some 28 bits. */
VFN V VN(v_pow_short)(V x, V y) {
    const int mb = VN(MANT_BITS);
    const TU bias = 2 * VN(EXP_BIAS), one = (TU)1 << mb;
    VU ie = ((VU)x + (bias << mb) - (TU)VN(LOG_FROM)) >> mb;
    V e = (V)(ie | (VU)K(one)) - K((T)one + (T)bias), f = (V)((VU)x - ((ie - bias) << mb)) - K(1);
    V l = v_fma(f, v_poly(f, POW_LOG2_f64), e);
    l = v_sel(v_gt(x, K(0)), l, K(-INFINITY));
    l = v_sel(v_lt(x, K(INFINITY)), l, K(INFINITY));
    V t = v_fmax(K(-1000), v_fmin(K(1000), y * l));
    V n = (t + V_MAGIC) - V_MAGIC;
    return v_poly(t - n, POW_EXP2_f64) * v_pow2i(n);
}
#else
VMATH V v_pow(V x, V y) {
    V ax = v_abs(x);
    V r = v_narrow(v_pow_short_f64(v_widen_lo(ax), v_widen_lo(y)),
                   v_pow_short_f64(v_widen_hi(ax), v_widen_hi(y)));
    return VN(v_pow_special)(x, y, r);
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
