/* The primitives of vec.h on 64-bit ARM; included by it once per compute type. */

typedef VI M;

VFN M v_lt(V a, V b) { return a < b; }
VFN M v_le(V a, V b) { return a <= b; }
VFN M v_gt(V a, V b) { return a > b; }
VFN M v_ge(V a, V b) { return a >= b; }
VFN M v_eq(V a, V b) { return a == b; }
VFN M v_ne(V a, V b) { return a != b; }
VFN M v_and(M a, M b) { return a & b; }
VFN M v_or(M a, M b) { return a | b; }
VFN M v_xor(M a, M b) { return a ^ b; }
VFN M v_not(M a) { return ~a; }
VFN M v_true(void) { return (M){0} - 1; }
VFN M v_false(void) { return (M){0}; }
VFN M v_signbit(V x) { return (VI)x < 0; }
VFN int v_any(M m) { return vmaxvq_u32((uint32x4_t)m) != 0; }
VFN int v_all(M m) { return vminvq_u32((uint32x4_t)m) != 0; }
VFN VI v_seli(M m, VI a, VI b) { return (VI)vbslq_u8((uint8x16_t)m, (uint8x16_t)a, (uint8x16_t)b); }
VFN V v_sel(M m, V a, V b) { return (V)v_seli(m, (VI)a, (VI)b); }

VSLOW V v_loadn(const T *p, int64_t n) {
    T t[VL];
    for (int i = 0; i < VL; i++) t[i] = p[i < n ? i : 0];
    return v_load(t);
}
VSLOW void v_storen(T *p, V v, int64_t n) {
    T t[VL];
    v_store(t, v);
    for (int i = 0; i < VL - 1; i++)
        if (i < n) p[i] = t[i];
}
VFN M v_loadn_bool(const uint8_t *p, int64_t n) {
    M m;
    for (int i = 0; i < VL; i++) m[i] = -(TI)p[i < n ? i : 0];
    return m;
}
VFN void v_storen_bool(uint8_t *p, M m, int64_t n) {
    for (int i = 0; i < VL; i++)
        if (i < n) p[i] = (uint8_t)(m[i] & 1);
}
VFN M v_load_bool(const uint8_t *p) { return v_loadn_bool(p, VL); }
VFN void v_store_bool(uint8_t *p, M m) { v_storen_bool(p, m, VL); }
VFN void v_stream(T *p, V v) { v_store(p, v); }
VFN void v_fence(void) {}

/* FMIN and FMAX already return NaN when either operand is. */
#if CT_IS(f32)
VFN V v_fmin(V a, V b) { return (V)vminq_f32((float32x4_t)a, (float32x4_t)b); }
VFN V v_fmax(V a, V b) { return (V)vmaxq_f32((float32x4_t)a, (float32x4_t)b); }
VFN V v_sqrt(V x) { return (V)vsqrtq_f32((float32x4_t)x); }
VFN V v_fma(V a, V b, V c) { return (V)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b); }
VFN V v_floor(V x) { return (V)vrndmq_f32((float32x4_t)x); }
VFN V v_ceil(V x) { return (V)vrndpq_f32((float32x4_t)x); }
VFN V v_trunc(V x) { return (V)vrndq_f32((float32x4_t)x); }
VFN V v_round(V x) { return (V)vrndnq_f32((float32x4_t)x); }
VFN V_f64 v_widen_lo(V x) { return (V_f64)vcvt_f64_f32(vget_low_f32((float32x4_t)x)); }
VFN V_f64 v_widen_hi(V x) { return (V_f64)vcvt_high_f64_f32((float32x4_t)x); }
VFN V v_narrow(V_f64 lo, V_f64 hi) {
    return (V)vcvt_high_f32_f64(vcvt_f32_f64((float64x2_t)lo), (float64x2_t)hi);
}
#elif CT_IS(f64)
VFN V v_fmin(V a, V b) { return (V)vminq_f64((float64x2_t)a, (float64x2_t)b); }
VFN V v_fmax(V a, V b) { return (V)vmaxq_f64((float64x2_t)a, (float64x2_t)b); }
VFN V v_sqrt(V x) { return (V)vsqrtq_f64((float64x2_t)x); }
VFN V v_fma(V a, V b, V c) { return (V)vfmaq_f64((float64x2_t)c, (float64x2_t)a, (float64x2_t)b); }
VFN V v_floor(V x) { return (V)vrndmq_f64((float64x2_t)x); }
VFN V v_ceil(V x) { return (V)vrndpq_f64((float64x2_t)x); }
VFN V v_trunc(V x) { return (V)vrndq_f64((float64x2_t)x); }
VFN V v_round(V x) { return (V)vrndnq_f64((float64x2_t)x); }
#endif
#if CT_FLOAT
VFN V v_relu(V x) { return v_fmax((V){0}, x); }
#endif
