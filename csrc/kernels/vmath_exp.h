/* Exponentials: exp, exp2, expm1, and tanh, sigmoid, silu, softplus, sinh, cosh from them.
 *
 * exp(x) = 2^n exp(r), n = round(x / ln 2), with ln 2 in two parts (Cody and Waite, Software Manual for
 * the Elementary Functions, 1980) and exp(r) = 1 + r + r^2 P(r) on |r| <= ln 2 / 2. P comes from
 * tests/c/fit_vmath.py. */

#if CT_IS(f32)
#define EXP_LN2_HI_f32 0.693359375 /* 9 bits: n times it is exact */
#define EXP_LN2_LO_f32 -2.12194440054690583e-4
static const T EXP_P_f32[] = {0.49999994, 0.166665211, 0.041668389, 0.00836873613, 0.00138145639};
static const T EXPM1_P_f32[] = {0.5, 0.166666701, 0.0416664481, 0.00833203737, 0.00139295694, 0.000208148747};
static const T EXP2_P_f32[] = {0.240226477, 0.0555036217, 0.00961852632, 0.00133901846, 0.000153211266};
#define EXP2_LN2_f32 0.693147182464599609375
#define EXP2_LN2_REST_f32 -1.904654299957767878541e-9
#define EXP_MAX_f32 89.0   /* just beyond overflow */
#define EXP_MIN_f32 -104.0 /* just beyond underflow to 0 */
#else
#define EXP_LN2_HI_f64 6.93147180369123816490e-01 /* 33 bits */
#define EXP_LN2_LO_f64 1.90821492927058770002e-10
static const T EXP_P_f64[] = {0.5,
                              0.16666666666666682,
                              0.041666666666666095,
                              0.008333333333316999,
                              0.0013888888889116147,
                              0.00019841269896472643,
                              2.4801586925965584e-05,
                              2.7557234771416536e-06,
                              2.755758218331787e-07,
                              2.5112068951775343e-08,
                              2.0826584133139685e-09};
static const T EXPM1_P_f64[] = {0.5,
                                0.16666666666666663,
                                0.041666666666669454,
                                0.008333333333336777,
                                0.0013888888887533272,
                                0.00019841269837058144,
                                2.480159023153986e-05,
                                2.7557307042628167e-06,
                                2.7554381321926084e-07,
                                2.5081227077002992e-08,
                                2.2004152975273316e-09};
static const T EXP2_P_f64[] = {0.24022650695910072,    0.05550410866482164,    0.009618129107628345,
                               0.0013333558146402342,  0.00015403530393633323, 1.5252733846454552e-05,
                               1.3215486590191937e-06, 1.017805483780812e-07,  7.054978896514589e-09,
                               4.456174877705778e-10,  2.561674342808791e-11};
#define EXP2_LN2_f64 0.69314718055994530942
#define EXP2_LN2_REST_f64 2.3190468138462995584e-17
#define EXP_MAX_f64 710.0
#define EXP_MIN_f64 -746.0
#endif
#define EXP_C(name) VN(name)

/* 1.5 * 2^MANT_BITS: x + it - it rounds x to an integer, which x + it holds in its low bits. */
#define V_MAGIC K((T)3 * (T)((TU)1 << (VN(MANT_BITS) - 1)))

/* 2^n for integral n in the normal range. */
VFN V v_pow2i(V n) {
    VU bits = (VU)(n + V_MAGIC) + (VU){0} + VN(EXP_BIAS);
    return (V)(bits << VN(MANT_BITS));
}
/* x * 2^n for integral n of twice that range, rounded once. */
VFN V v_scale(V x, V n) {
#ifdef AD_ISA_AVX512
    return (V)VX(scalef)((VXV)x, (VXV)n);
#else
    V h = (n * K(0.5) + V_MAGIC) - V_MAGIC;
    return x * v_pow2i(h) * v_pow2i(n - h);
#endif
}

/* exp(hi - lo) 2^n, where |hi - lo| <= ln 2 / 2 and lo is far the smaller. */
VFN V v_exp_tail(V hi, V lo, V n) {
    V r = hi - lo;
    V p = v_poly(r, EXP_C(EXP_P));
    return v_scale(K(1) + (hi + v_fma(r * r, p, v_neg(lo))), n);
}
/* exp(x - rest), rest far the smaller. x is clamped with NaN second, so that it stays NaN. */
VFN V v_exp_less(V x, V rest) {
    x = v_fmax(K(EXP_C(EXP_MIN)), v_fmin(K(EXP_C(EXP_MAX)), x));
    V n = v_fma(x, K(1.44269504088896340736), V_MAGIC) - V_MAGIC;
    V hi = v_fma(v_neg(n), K(EXP_C(EXP_LN2_HI)), x); /* exact */
    return v_exp_tail(hi, v_fma(n, K(EXP_C(EXP_LN2_LO)), rest), n);
}
VMATH V v_exp(V x) {
    x = v_fmin(K(EXP_C(EXP_MAX)), x);
#ifdef AD_ISA_AVX512
    x = v_fmax(K(EXP_C(EXP_MIN)), x);
#else
    /* Scaling down to 0 takes the processor's slow path for underflow, and a masked softmax is full of
     * such arguments: they go another way. */
    M under = v_lt(x, K(EXP_C(EXP_MIN)));
    x = v_sel(under, K(0), x);
#endif
    V n = v_fma(x, K(1.44269504088896340736), V_MAGIC) - V_MAGIC;
    V hi = v_fma(v_neg(n), K(EXP_C(EXP_LN2_HI)), x);
    V r = v_exp_tail(hi, n * K(EXP_C(EXP_LN2_LO)), n);
#ifndef AD_ISA_AVX512
    r = v_sel(under, K(0), r);
#endif
    return r;
}

VMATH V v_exp2(V x) {
    x = v_fmax(K(-2 - VN(EXP_BIAS) - VN(MANT_BITS)), v_fmin(K(2 + VN(EXP_BIAS)), x));
    V n = (x + V_MAGIC) - V_MAGIC;
    V r = x - n;
    V p = v_fma(r, v_poly(r, EXP_C(EXP2_P)), K(EXP_C(EXP2_LN2_REST)));
    return v_scale(K(1) + v_fma(r, K(EXP_C(EXP2_LN2)), r * p), n);
}

/* 2^n ((1 - 2^-n) + expm1(r)), the sums before the last kept exact. n is rounded from a little below,
 * so that r is in [-0.291, 0.402]: n = 1 then starts later, where less cancels. Beyond n =
 * MANT_BITS + 3 its 2^-n does not matter, and so stays normal. */
VMATH V v_expm1(V x) {
    V y = v_fmax(K(CT_IS(f32) ? -18 : -38), v_fmin(K(EXP_C(EXP_MAX)), x));
    V n = (v_fma(y, K(1.44269504088896340736), K(-0.08)) + V_MAGIC) - V_MAGIC;
    V hi = v_fma(v_neg(n), K(EXP_C(EXP_LN2_HI)), y), lo = n * K(EXP_C(EXP_LN2_LO));
    V r = hi - lo;
    V tail = v_fma(r * r, v_poly(r, EXP_C(EXPM1_P)), v_neg(lo));
    V d = v_pow2i(v_neg(v_fmin(K(VN(MANT_BITS) + 3), n)));
    V t = K(1) - d, tl = (K(1) - t) - d;
    V s = t + hi, lost = (t - s) + hi;
    return v_copysign(v_scale(s + ((lost + tl) + tail), n), x); /* for the sign of 0 */
}

/* t / (t + 2) with t = expm1(2a); for small a by way of -a, where t + 2 is below 2 and loses half as
 * much. From 10 (20) on it rounds to 1. */
VMATH V v_tanh(V x) {
    V a = v_fmin(K(CT_IS(f32) ? 10 : 20), v_abs(x));
    a = a + a;
    V t = v_expm1(v_sel(v_lt(a, K(0.6)), v_neg(a), a));
    return v_copysign(t / (t + K(2)), x);
}

/* exp(x - rest) = 2^n (1 + s) for x in [EXP_MIN, EXP_MAX], rest far the smaller; gives s. What is made from n
 * and s has not been rounded to an exponential on the way. */
VFN V VN(v_exp_parts)(V x, V rest, V *n) {
    V k = v_fma(x, K(1.44269504088896340736), V_MAGIC) - V_MAGIC;
    V hi = v_fma(k, K(-EXP_C(EXP_LN2_HI)), x), lo = v_fma(k, K(EXP_C(EXP_LN2_LO)), rest), r = hi - lo;
    *n = k;
    return hi + v_fma(r * r, v_poly(r, EXP_C(EXP_P)), v_neg(lo));
}

/* x / d to little more than half a unit, the quotient of the words (x, xl) and (d, dl): an approximate one
 * and a step of Newton's method, in which the remainder is exact. */
VFN V VN(v_quotient)(V x, V xl, V d, V dl) {
#ifdef AD_ISA_AVX512
#if CT_IS(f32)
    V y = (V)_mm512_rcp14_ps((__m512)d), q = x * y;
#else
    V y = (V)_mm512_rcp14_pd((__m512d)d);
    y = v_fma(v_fma(v_neg(y), d, K(1)), y, y);
    V q = x * y;
#endif
    V rest = v_fma(v_neg(q), d, x);
#else
    V y = K(1) / d, q = x * y, p = q * d, rest = (x - p) - v_prod_err(q, d, p);
#endif
    return v_fma(rest + v_fma(v_neg(q), dl, xl), y, q);
}
/* 1 + e^-x = 2^-n (d + lo). Beyond x = -SILU_FAR even x times its inverse is 0; from EXP_ONE on the 1 alone
 * matters. NaN stays. */
#define SILU_FAR (8 - EXP_C(EXP_MIN))
#define EXP_ONE_f32 20
#define EXP_ONE_f64 40
VFN V VN(v_one_and_exp)(V x, V *lo, V *n) {
    V t = v_fmax(K(-SILU_FAR), v_fmin(K(EXP_C(EXP_ONE)), x)), k, s = VN(v_exp_parts)(v_neg(t), K(0), &k);
    *n = v_neg(k);
#ifdef AD_ISA_AVX512
    V c = v_scale(K(1), *n);
#else
    V c = v_pow2i(v_fmax(K(-2 * EXP_C(EXP_ONE)), *n));
#endif
    V b = c + K(1), d = b + s;
    *lo = (s - (d - b)) + (c - (b - K(1)));
    return d;
}
#if defined(AD_ISA_AVX512) && CT_IS(f32)
/* On AVX-512 and in float32, for the fewest instructions: 1 + e^-x = (c + t (1 + q)) / c, where n + j / 16 is
 * x / ln 2 rounded, c = 2^(n + 40) comes from its bits, t = 2^(40 - j / 16) / (1 + kappa) from a permutation,
 * and q = (1 + kappa) e^-r - 1 is a cubic on |r| <= ln 2 / 32. kappa was searched for (tests/c/fit_vmath.py):
 * with it all sixteen t are within 0.27 * 2^-24 of floats, which else would take a second table. 40 keeps the
 * powers of 2 normal from -SILU_FAR to 20.
 *
 * 25 instructions a vector for sigmoid, 28 for silu, load and store aside. 11 of them multiply and 9 add or
 * compare, and Zen 5 starts two of each kind in a cycle: 5.5 cycles at least. Measured are 10.5 and 12.5
 * (17.5 and 20.5 with e^-x reduced by ln 2 alone and its words kept), as the schedulers hold no more of the
 * vectors that follow; four vectors interleaved take 8.7 each, in four times the code. PyTorch's sigmoid
 * takes 14. At 10^5 elements reading and writing alone are a fifth of PyTorch's time: to be 2.5 times as fast
 * would leave 3 cycles a vector, fewer than the polynomial and the quotient have instructions. */
#define SIGMOID_KAPPA 0.0184969212859869
#define SIGMOID_MAGIC (1.5 * (1 << 19) + 127 + 40)
static const T SIGMOID_Q_f32[] = {SIGMOID_KAPPA, -1.01849687, 0.509264946, -0.169755116};
static const TI SIGMOID_T_f32[16] __attribute__((aligned(64))) = {
    0x537b59cd, 0x5370b1c0, 0x53667d5c, 0x535cb7ba, 0x53535c27, 0x534a6625, 0x5341d165, 0x533999c8,
    0x5331bb5a, 0x532a3254, 0x5322fb17, 0x531c122b, 0x5315743e, 0x530f1e22, 0x53090ccc, 0x53033d51};

/* a / (1 + e^-x) for x in [-SILU_FAR, 20]: an approximate quotient and a step of Newton's method. */
VFN V VN(v_sigmoid_times)(V a, V x) {
    V k = v_fma(x, K(1.44269504088896340736), K(SIGMOID_MAGIC)), n = k - K(SIGMOID_MAGIC);
    V r = v_fma(n, K(-EXP_LN2_LO_f32), v_fma(n, K(-EXP_LN2_HI_f32), x));
    V t = (V)_mm512_permutexvar_ps((__m512i)k, _mm512_load_ps(SIGMOID_T_f32));
    V c = (V)((VU)k << (VN(MANT_BITS) - 4) & ((VU){0} + 0x7f800000));
    V high = v_fmax(c, t), low = v_fmin(c, t), d = high + low;
    V rest = v_fma(t, v_poly(r, SIGMOID_Q_f32), low - (d - high));
    V y = (V)_mm512_rcp14_ps((__m512)(d + rest)), q = a * c;
    __m512 p = (__m512)(q * y), left = _mm512_fnmadd_ps(p, (__m512)d, (__m512)q);
    return v_fma(y, (V)_mm512_fnmadd_ps(p, (__m512)rest, left), (V)p);
}
VMATH V v_sigmoid(V x) { return VN(v_sigmoid_times)(K(1), v_fmax(K(EXP_MIN_f32), v_fmin(K(20), x))); }
/* x sigmoid(x): x beyond 20. The last instruction takes x for 0, whose sign was lost, and NaN for -infinity.
 */
VMATH V v_silu(V x) {
    V at = v_fmax(K(-SILU_FAR), v_fmin(K(20), x));
    V r = v_sel(v_gt(x, K(20)), x, VN(v_sigmoid_times)(at, at));
    return (V)_mm512_fixupimm_ps((__m512)r, (__m512)x, _mm512_set1_epi32(0x00030100), 0);
}
#else
VMATH V v_sigmoid(V x) {
    V lo, n, d = VN(v_one_and_exp)(x, &lo, &n);
    return v_scale(VN(v_quotient)(K(1), K(0), d, lo), n);
}
/* x sigmoid(x). Beyond SILU_FAR sigmoid is 0 or 1 (and the quotient could overflow on its way). */
VMATH V v_silu(V x) {
    V lo, n, d = VN(v_one_and_exp)(x, &lo, &n);
    V r = v_copysign(v_scale(VN(v_quotient)(x, K(0), d, lo), n), x); /* for the sign of 0 */
    M far = v_gt(v_abs(x), K(SILU_FAR));
    if (v_any(far)) r = v_sel(far, x * v_sel(v_gt(x, K(0)), K(1), K(0)), r);
    return r;
}
#endif

#if CT_IS(f64)
VMATH V v_sinh(V x) { return v_map1(x, sinh); }
VMATH V v_cosh(V x) { return v_map1(x, cosh); }
#else
/* In double, where nothing can overflow or cancel. */
VMATH V_f64 v_sinh_short_f64(V_f64 x) {
    V_f64 e = v_expm1_f64(v_fmin_f64(v_splat_f64(200), v_abs_f64(x)));
    return v_copysign_f64(0.5 * (e + e / (e + 1.0)), x);
}
VMATH V_f64 v_cosh_short_f64(V_f64 x) {
    V_f64 e = v_exp_f64(v_abs_f64(x));
    return 0.5 * (e + 1.0 / e);
}
VMATH V v_sinh(V x) { return v_via64(x, v_sinh_short_f64); }
VMATH V v_cosh(V x) { return v_via64(x, v_cosh_short_f64); }
#endif
