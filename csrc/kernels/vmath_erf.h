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
VMATH V v_gelu(V x) {
    V a = v_fmin(K(15), v_abs(x)), z = a * a, n;
    V s = VN(v_exp_parts)(K(-0.5) * z, K(0.5) * v_prod_err(a, a, z), &n);
    V d = a + K(3), u = VN(v_quotient)(a, K(0), d, a - (d - K(3))), t = v_fma(K(2), u, K(-1)),
      c = K(NORMAL_TAIL_f32[0]);
    V p1 = VN(v_horner)(t, NORMAL_TAIL_f32 + 1, 10), p = v_fma(t, p1, c), pl = v_fma(t, p1, c - p);
    V m = u * p, ml = v_fma(u, pl + K(NORMAL_TAIL_REST), v_prod_err(u, p, m));
    V r = v_copysign(v_fmax(K(0), x) - v_scale(m + v_fma(m, s, ml), n), x); /* for the sign of 0 */
    return v_sel(v_eq(x, K(-INFINITY)), K(NAN), r);
}
VMATH V v_gelu_grad(V g, V x) {
    V a = v_fmin(K(15), v_abs(x)), y = VN(v_quotient)(K(1), K(0), a + K(3), K(0)), e = v_exp(a * a * K(-0.5));
    V q = e * y * v_poly(v_fma(K(-6), y, K(1)), NORMAL_TAIL_f32);
    V below = v_sel(v_lt(x, K(0)), q, K(1) - q);
    return g * v_fma(v_copysign(a, x), e * K(0.39894228040143267794), below);
}
#endif
