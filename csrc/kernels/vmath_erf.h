/* The error function and its relatives.
 *
 * erf(x) = x + x P(x^2) for |x| < 1. Beyond, float64 uses erfc(x) = exp(-x^2) Q(t) / (1 + 2x) with
 * t = (x - 4) / (x + 4), the mapping of Shepherd and Laframboise (Math. Comp. 36, 1981), and float32
 * erfc(x) = exp(-L(x)), L a polynomial. All come from tests/c/fit_vmath.py. */

#if CT_IS(f32)
static const T ERF_P_f32[] = {0.128379166,   -0.37612626,     0.112835854,   -0.0268538129,
                              0.00518832775, -0.000801019371, 7.85386073e-05};
static const T ERF_L_f32[] = {-0.000174684174, 1.12951493,    0.633346915,     0.108280085,
                              -0.0251194257,   0.00417106226, -0.000434462418, 2.10950311e-05};

VMATH V v_erf(V x) {
    V a = v_fmin(K(3.95), v_abs(x)); /* from there on it rounds to 1 */
    V z = x * x;
    V small = v_fma(x, v_poly(z, ERF_P_f32), x);
    V big = K(1) - v_exp(v_neg(v_poly(a, ERF_L_f32)));
    return v_sel(v_lt(a, K(0.95)), small, v_copysign(big, x));
}
VMATH V v_erfc(V x) { return v_via64(x, v_erfc_f64); }
#else
static const T ERF_P_f64[] = {0.12837916709551256,     -0.3761263890318352,     0.11283791670944185,
                              -0.02686617064311144,    0.005223977606118296,    -0.0008548325929306829,
                              0.00012055293576686918,  -1.4924712298094114e-05, 1.6447131524503547e-06,
                              -1.6206313408057644e-07, 1.37109789045861e-08,    -7.779465729549996e-10};
static const T ERFC_Q_f64[] = {
    1.2329951186255526,      -0.1396211168405625,     0.015379652102619875,    0.06809705425468865,
    -0.10103906603631253,    0.09373283499852657,     -0.06633036581201708,    0.037167515533933125,
    -0.016197734060363275,   0.005031970017209246,    -0.0007577732692387044,  -0.00019925695756837616,
    0.00015062158540473693,  -2.4398086706165132e-05, -1.1221766242050924e-05, 5.706563018236539e-06,
    2.933379132576859e-07,   -8.196058105186796e-07,  7.513378530243142e-08,   1.0333419950583947e-07,
    -1.8205426173996158e-08, -9.678671219301776e-09,  1.9072001014940915e-09};

/* erfc for 0.5 <= a. */
VFN V VN(v_erfc_tail)(V a) {
    a = v_fmin(K(28), a);
    V t = (a - K(4)) / (a + K(4)), z = a * a;
    V e = v_exp_less(v_neg(z), v_prod_err(a, a, z));
    return e * (v_poly(t, ERFC_Q_f64) / v_fma(K(2), a, K(1)));
}
VMATH V v_erf(V x) {
    V a = v_abs(x);
    V small = v_fma(x, v_poly(x * x, ERF_P_f64), x);
    V big = K(1) - VN(v_erfc_tail)(a);
    return v_sel(v_lt(a, K(1)), small, v_copysign(big, x));
}
VMATH V v_erfc(V x) {
    V a = v_abs(x);
    V small = K(1) - v_fma(x, v_poly(x * x, ERF_P_f64), x);
    V big = VN(v_erfc_tail)(a);
    big = v_sel(v_lt(x, K(0)), K(2) - big, big);
    return v_sel(v_lt(a, K(0.5)), small, big);
}
#endif

#if CT_IS(f64)
/* k Phi(-a) for 1/sqrt(2) <= a <= 39, where it ends: with e^(-a^2 / 2) = 2^n (1 + s), whose argument needs
 * the low part of a^2, and the roundings before the last kept. */
VFN V VN(v_normal_tail)(V a, V k) {
    V z = a * a, n, s = VN(v_exp_parts)(K(-0.5) * z, K(0.5) * v_prod_err(a, a, z), &n);
    V h = K(0.70710678118654752440), w = a * h, wl = v_fma(a, K(-4.833646656726457e-17), v_prod_err(a, h, w));
    V t = (w - K(4)) / (w + K(4)), c = K(ERFC_Q_f64[0]), p1 = VN(v_horner)(t, ERFC_Q_f64 + 1, 22);
    V p = v_fma(t, p1, c), pl = v_fma(t, p1, c - p), d = w + K(0.5), kp = K(0.25) * k, m = kp * p;
    V q = VN(v_quotient)(m, v_fma(kp, pl, v_prod_err(kp, p, m)), d, (w - (d - K(0.5))) + wl);
    return v_scale(v_fma(q, s, q), n);
}
VMATH V v_ndtr(V x) {
    V w = x * K(0.70710678118654752440), near = v_fma(w, v_poly(w * w, ERF_P_f64), w);
    V q = VN(v_normal_tail)(v_fmin(K(39), v_abs(x)), K(1));
    q = v_sel(v_lt(x, K(0)), q, K(1) - q);
    return v_sel(v_lt(v_abs(w), K(0.5)), v_fma(K(0.5), near, K(0.5)), q);
}
/* x Phi(x), as max(x, 0) - |x| Phi(-|x|): nothing cancels. NaN for -inf, as PyTorch. */
VMATH V v_gelu(V x) {
    V w = x * K(0.70710678118654752440), near = v_fma(w, v_poly(w * w, ERF_P_f64), w),
      a = v_fmin(K(39), v_abs(x));
    V r = v_copysign(v_fmax(K(0), x) - VN(v_normal_tail)(a, a), x);
    r = v_sel(v_eq(x, K(-INFINITY)), K(NAN), r);
    return v_sel(v_lt(v_abs(w), K(0.5)), x * v_fma(K(0.5), near, K(0.5)), r);
}
/* g (Phi(x) + x phi(x)) */
VMATH V v_gelu_grad(V g, V x) {
    return g * v_fma(x, v_exp(x * x * K(-0.5)) * K(0.39894228040143267794), v_ndtr(x));
}

#else
/* Phi(-a) e^(a^2 / 2) (a + 3) at (a - 3) / (a + 3), to 2^-30 */
#define NORMAL_TAIL_REST -2.6493505611568935e-08 /* of the first coefficient */
static const T NORMAL_TAIL_f32[] = {0.72908369,      -0.509332001,   0.230017707,   -0.0472624414,
                                    -0.0104626175,   0.00696765305,  0.00102486229, -0.00102832646,
                                    -0.000243541654, 0.000127548832, 5.23355338e-05};
/* In double: rounding x / sqrt(2) to float would be felt in the tail. */
VMATH V v_ndtr(V x) { return v_via64(x, v_ndtr_f64); }
/* With u = a / (a + 3), a Phi(-a) = e^(-a^2 / 2) u P(2 u - 1): for large a, where both factors feel the
 * rounding of u, they feel it in opposite directions. From 15 on it is 0. */
#ifdef AD_ISA_AVX512
VSLOW V VN(v_gelu_whole)(V x) {
#else
VMATH V v_gelu(V x) {
#endif
    V a = v_fmin(K(15), v_abs(x)), z = a * a, n;
    V s = VN(v_exp_parts)(K(-0.5) * z, K(0.5) * v_prod_err(a, a, z), &n);
    V d = a + K(3), u = VN(v_quotient)(a, K(0), d, a - (d - K(3))), t = v_fma(K(2), u, K(-1)),
      c = K(NORMAL_TAIL_f32[0]);
    V p1 = VN(v_horner)(t, NORMAL_TAIL_f32 + 1, 10), p = v_fma(t, p1, c), pl = v_fma(t, p1, c - p);
    V m = u * p, ml = v_fma(u, pl + K(NORMAL_TAIL_REST), v_prod_err(u, p, m));
    V r = v_copysign(v_fmax(K(0), x) - v_scale(m + v_fma(m, s, ml), n), x); /* for the sign of 0 */
    return v_sel(v_eq(x, K(-INFINITY)), K(NAN), r);
}
#ifdef AD_ISA_AVX512
/* With permutations for tables, a Phi(-a) up to a = GELU_NEAR is sixteen polynomials of degree 8 in t = a -
 * base. The bases are where all terms have one sign (mostly the right ends), and such that the value there is
 * a float to 1 % of a unit. Beyond, only negative numbers want more, and few are so far.
 *
 * 27 instructions a vector, 11.5 cycles on Zen 5; the whole takes 55 and 32. */
#define GELU_NEAR 5.8124
static const T GELU_BASE_f32[16] __attribute__((aligned(64))) = {
    0,         0.374988228, 0.843741059, 1.31245625, 1.68745601, 2.06241131, 2.43744564, 2.81245184,
    3.1874094, 3.56247377,  3.93744993,  4.31233788, 4.68745327, 5.06240273, 5.43745232, 5.81238317};
static const T GELU_NEAR_f32[9][16] __attribute__((aligned(64))) = {
    {0, 0.132683814, 0.168247923, 0.124267451, 0.0772143602, 0.0403908752, 0.018026663, 0.00691376394,
     0.00228781765, 0.000654384785, 0.00016212865, 3.48301764e-05, 6.48335345e-06, 1.04793082e-06,
     1.4694119e-07, 1.78991364e-08},
    {0.5, 0.214392707, -0.0363867246, -0.126600772, -0.116353743, -0.0785093307, -0.0424631685, -0.0190391038,
     -0.00719308807, -0.00230974914, -0.00063425384, -0.00014950156, -3.02863173e-05, -5.29137196e-06,
     -7.97407552e-07, -1.03876637e-07},
    {-0.398942292, -0.345712215, -0.179987818, -0.023390159, 0.0407094508, 0.0535921082, 0.040308781,
     0.0225865226, 0.0101256603, 0.00374148507, 0.00115819555, 0.000303224311, 6.74683033e-05, 1.28313841e-05,
     2.08978872e-06, 2.92435772e-07},
    {3.39830997e-10, 0.089693293, 0.129218981, 0.0839940831, 0.0311385673, -0.00414517988, -0.0161304921,
     -0.0140086664, -0.00812124182, -0.00361184007, -0.00129497563, -0.000383345032, -9.4861869e-05,
     -1.98194157e-05, -3.51268432e-06, -5.30853868e-07},
    {0.0664903671, 0.0470314957, -0.0055483263, -0.0357633494, -0.031321682, -0.0152252614, -0.00195199961,
     0.0035667629, 0.00373341376, 0.00222299388, 0.000970777124, 0.000334386132, 9.37324294e-05,
     2.17906254e-05, 4.24342215e-06, 6.98002623e-07},
    {2.73908341e-07, -0.0191410761, -0.0209790394, -0.003731834, 0.0070256535, 0.00873648096, 0.00501306914,
     0.00115952909, -0.000622044434, -0.000820655318, -0.000495126471, -0.000209453647, -6.83933031e-05,
     -1.79576382e-05, -3.86728652e-06, -6.92162814e-07},
    {-0.00997644197, -0.00575391715, 0.00408789143, 0.00639444869, 0.00265947566, -0.000930182403,
     -0.0019695526, -0.00125653646, -0.000346224377, 9.03252221e-05, 0.00015169468, 9.12805845e-05,
     3.73321818e-05, 1.17033069e-05, 2.9461446e-06, 6.10871894e-07},
    {1.60028249e-05, 0.00285638147, 0.00228546094, -0.000912943273, -0.00190965959, -0.00101549155,
     9.54787829e-05, 0.000460982119, 0.000292355602, 6.93166148e-05, -2.44717085e-05, -3.03098477e-05,
     -1.51547829e-05, -5.05790831e-06, -1.24346138e-06, -2.31928937e-07},
    {0.00114824774, 0.000530840887, -0.000633822696, -0.000854355167, -0.00028823124, 0.000270587945,
     0.000331440999, 0.000112168585, -4.6523015e-05, -6.58876961e-05, -2.95674963e-05, -3.15022044e-06,
     4.06302115e-06, 3.07589312e-06, 1.27784961e-06, 3.79947409e-07},
};
VMATH V v_gelu(V x) {
    V a = v_fmin(K(GELU_NEAR), v_abs(x));
    __m512i k = (__m512i)v_fma(a, K(8.0 / 3), V_MAGIC);
    V t = a - (V)_mm512_permutexvar_ps(k, _mm512_load_ps(GELU_BASE_f32));
    V p = (V)_mm512_permutexvar_ps(k, _mm512_load_ps(GELU_NEAR_f32[8]));
#pragma GCC unroll 8
    for (int i = 7; i >= 0; i--)
        p = v_fma(p, t, (V)_mm512_permutexvar_ps(k, _mm512_load_ps(GELU_NEAR_f32[i])));
    V r = v_copysign(v_fmax(K(0), x) - p, x); /* for the sign of 0 */
    M far = v_lt(x, K(-GELU_NEAR));
    if (v_any(far)) r = v_sel(far, VN(v_gelu_whole)(x), r);
    return r;
}
#endif
VMATH V v_gelu_grad(V g, V x) {
    V a = v_fmin(K(15), v_abs(x)), y = VN(v_quotient)(K(1), K(0), a + K(3), K(0)), e = v_exp(a * a * K(-0.5));
    V q = e * y * v_poly(v_fma(K(-6), y, K(1)), NORMAL_TAIL_f32);
    V below = v_sel(v_lt(x, K(0)), q, K(1) - q);
    return g * v_fma(v_copysign(a, x), e * K(0.39894228040143267794), below);
}
#endif
