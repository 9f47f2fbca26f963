/* Sine, cosine, tangent.
 *
 * x = n pi/2 + r with pi/2 in parts of 33 bits, so that n times a part is exact for |n| < 2^20, and r
 * as a double word; then sin(r) = r + r^3 S(r^2), cos(r) = 1 - r^2/2 + r^4 C(r^2). S and C come from
 * tests/c/fit_vmath.py. Larger arguments, which are rare, go to the C library lane by lane. float32 is
 * computed in double, with shorter polynomials and without the second word. */

#if CT_IS(f64)
static const T SIN_P_f64[] = {-0.16666666666666632,  0.008333333333322413,    -0.00019841269829807737,
                              2.755731369190013e-06, -2.5050758113115238e-08, 1.5896795552810856e-10};
static const T COS_P_f64[] = {0.0416666666666666,     -0.0013888888888874125, 2.4801587289482242e-05,
                              -2.755731435234916e-07, 2.0875723275319916e-09, -1.1359647902961221e-11};
static const T SIN_P_short_f64[] = {-0.166666672, 0.00833332911, -0.000198393347, 2.71830436e-06};
static const T COS_P_short_f64[] = {0.0416666456, -0.00138873665, 2.44383809e-05};
#define TRIG_LIMIT 1.6e6
#define PIO2_1 0x1.921fb544p+0
#define PIO2_2 0x1.0b4611a6p-34
#define PIO2_3 0x1.3198a2e0p-69
#define PIO2_4 0x1.b839a252049c1p-104
#define PIO2_2_LONG 0x1.0b4611a626331p-34

/* n = round(x / (pi/2)), its low bits in *q. */
VFN V VN(v_quadrant)(V x, VU *q) {
    V t = v_fma(x, K(0.63661977236758134308), V_MAGIC);
    *q = (VU)t;
    return t - V_MAGIC;
}
/* a - b exactly, as a sum of two. */
VFN V VN(v_diff)(V a, V b, V *lost) {
    V s = a - b, bb = a - s;
    *lost = (a - (s + bb)) + (bb - b);
    return s;
}
/* From sine and cosine of r, the sine of r + q pi/2. */
VFN V VN(v_turn)(V s, V c, VU q) {
    VU odd = (VU){0} - (q & 1);
    VU r = ((VU)c & odd) | ((VU)s & ~odd);
    return (V)(r ^ ((q & 2) << 62));
}
VFN V VN(v_sin_as)(V x, TU quarter) {
    VU q;
    V n = VN(v_quadrant)(x, &q), l1, l2;
    V a = x - n * K(PIO2_1); /* exact */
    V b = VN(v_diff)(a, n * K(PIO2_2), &l1);
    V c = VN(v_diff)(b, n * K(PIO2_3), &l2);
    V lo = (l1 + l2) - n * K(PIO2_4);
    V r = c + lo;
    lo = lo - (r - c);
    V z = r * r, h = K(0.5) * z, w = K(1) - h;
    V s = r + v_fma(r * z, v_poly(z, SIN_P_f64), v_fma(v_neg(h), lo, lo));
    V k = w + (((K(1) - w) - h) + v_fma(z * z, v_poly(z, COS_P_f64), v_neg(r * lo)));
    return VN(v_turn)(s, k, q + quarter);
}
VFN V VN(v_reduce_short)(V x, VU *q) {
    V n = VN(v_quadrant)(x, q);
    return v_fma(v_neg(n), K(PIO2_2_LONG), x - n * K(PIO2_1));
}
VFN V VN(v_sin_short)(V r) {
    V z = r * r;
    return v_fma(r * z, v_poly(z, SIN_P_short_f64), r);
}
VFN V VN(v_cos_short)(V r) {
    V z = r * r;
    return v_fma(z * z, v_poly(z, COS_P_short_f64), v_fma(K(-0.5), z, K(1)));
}
VMATH V v_sin_float_f64(V x) {
    VU q;
    V r = VN(v_reduce_short)(x, &q);
    return VN(v_turn)(VN(v_sin_short)(r), VN(v_cos_short)(r), q);
}
VMATH V v_cos_float_f64(V x) {
    VU q;
    V r = VN(v_reduce_short)(x, &q);
    return VN(v_turn)(VN(v_sin_short)(r), VN(v_cos_short)(r), q + 1);
}
VMATH V v_tan_float_f64(V x) {
    VU q;
    V r = VN(v_reduce_short)(x, &q), s = VN(v_sin_short)(r), c = VN(v_cos_short)(r);
    return VN(v_turn)(s, c, q) / VN(v_turn)(s, c, q + 1);
}

VMATH V v_sin(V x) {
    M near = v_lt(v_abs(x), K(TRIG_LIMIT)), tiny = v_lt(v_abs(x), K(0x1p-27));
    V r = v_sel(tiny, x, VN(v_sin_as)(v_sel(near, x, K(0)), 0));
    return v_all(near) ? r : v_sel(near, r, v_map1(x, sin));
}
VMATH V v_cos(V x) {
    M near = v_lt(v_abs(x), K(TRIG_LIMIT));
    V r = VN(v_sin_as)(v_sel(near, x, K(0)), 1);
    return v_all(near) ? r : v_sel(near, r, v_map1(x, cos));
}
VMATH V v_tan(V x) { return v_map1(x, tan); }
#else
static float s_sin_f32(float x) { return (float)sin(x); }
static float s_cos_f32(float x) { return (float)cos(x); }
static float s_tan_f32(float x) { return (float)tan(x); }
#define TRIG_FLOAT(fn)                                                                                       \
    VFN V VN(v_any_##fn)(V x) {                                                                              \
        M near = v_lt(v_abs(x), K(TRIG_LIMIT));                                                              \
        V r = v_via64(v_sel(near, x, K(0)), v_##fn##_float_f64);                                             \
        return v_all(near) ? r : v_sel(near, r, v_map1(x, s_##fn##_f32));                                    \
    }
TRIG_FLOAT(sin)
TRIG_FLOAT(cos)
TRIG_FLOAT(tan)
#undef TRIG_FLOAT
/* Tiny arguments come back as they are, for the sign of 0. */
VMATH V v_sin(V x) { return v_sel(v_lt(v_abs(x), K(0x1p-13)), x, v_any_sin_f32(x)); }
VMATH V v_cos(V x) { return v_any_cos_f32(x); }
VMATH V v_tan(V x) { return v_sel(v_lt(v_abs(x), K(0x1p-13)), x, v_any_tan_f32(x)); }
#endif
