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
VMATH V v_ndtr(V x) { return K(0.5) * v_erfc(x * K(-0.70710678118654752440)); }
#else
/* In double: rounding x / sqrt(2) to float would be felt in the tail. */
VMATH V v_ndtr(V x) { return v_via64(x, v_ndtr_f64); }
#endif
