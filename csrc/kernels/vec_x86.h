/* The primitives of vec.h on SSE2, AVX2 and AVX-512; included by it once per compute type.
 *
 * Intrinsics are used only where GNU vectors have no expression for them. VX(op) is the intrinsic of
 * the current width and element: VX(max) is _mm256_max_ps under AVX2 and f32. */

#undef VX
#undef VXI
#undef VXV
#undef VXM
#if defined(AD_ISA_AVX512)
#define VX_PFX(op) _mm512_##op
#elif defined(AD_ISA_AVX2)
#define VX_PFX(op) _mm256_##op
#else
#define VX_PFX(op) _mm_##op
#endif
#if CT_IS(f32)
#define VX(op) VCAT(VX_PFX(op), ps)
#elif CT_IS(f64)
#define VX(op) VCAT(VX_PFX(op), pd)
#else
#define VX(op) VCAT(VX_PFX(op), epi64)
#endif
/* VXV: the vector type that the intrinsics want (GNU vectors of long are not those of long long). */
#if defined(AD_ISA_AVX512)
#if CT_IS(f32)
#define VXV __m512
#elif CT_IS(f64)
#define VXV __m512d
#else
#define VXV __m512i
#endif
#elif defined(AD_ISA_AVX2)
#if CT_IS(f32)
#define VXV __m256
#elif CT_IS(f64)
#define VXV __m256d
#else
#define VXV __m256i
#endif
#else
#if CT_IS(f32)
#define VXV __m128
#elif CT_IS(f64)
#define VXV __m128d
#else
#define VXV __m128i
#endif
#endif

/* ---- masks, select, partial access ---------------------------------------------------------- */

#if defined(AD_ISA_AVX512)

#if CT_IS(f32)
typedef __mmask16 M;
#else
typedef __mmask8 M;
#endif

#if CT_FLOAT
VFN M v_lt(V a, V b) { return VCAT(VX(cmp), mask)((VXV)a, (VXV)b, _CMP_LT_OQ); }
VFN M v_le(V a, V b) { return VCAT(VX(cmp), mask)((VXV)a, (VXV)b, _CMP_LE_OQ); }
VFN M v_gt(V a, V b) { return VCAT(VX(cmp), mask)((VXV)a, (VXV)b, _CMP_GT_OQ); }
VFN M v_ge(V a, V b) { return VCAT(VX(cmp), mask)((VXV)a, (VXV)b, _CMP_GE_OQ); }
VFN M v_eq(V a, V b) { return VCAT(VX(cmp), mask)((VXV)a, (VXV)b, _CMP_EQ_OQ); }
VFN M v_ne(V a, V b) { return VCAT(VX(cmp), mask)((VXV)a, (VXV)b, _CMP_NEQ_UQ); }
#else
VFN M v_lt(V a, V b) { return _mm512_cmp_epi64_mask((__m512i)a, (__m512i)b, _MM_CMPINT_LT); }
VFN M v_le(V a, V b) { return _mm512_cmp_epi64_mask((__m512i)a, (__m512i)b, _MM_CMPINT_LE); }
VFN M v_gt(V a, V b) { return _mm512_cmp_epi64_mask((__m512i)b, (__m512i)a, _MM_CMPINT_LT); }
VFN M v_ge(V a, V b) { return _mm512_cmp_epi64_mask((__m512i)b, (__m512i)a, _MM_CMPINT_LE); }
VFN M v_eq(V a, V b) { return _mm512_cmp_epi64_mask((__m512i)a, (__m512i)b, _MM_CMPINT_EQ); }
VFN M v_ne(V a, V b) { return _mm512_cmp_epi64_mask((__m512i)a, (__m512i)b, _MM_CMPINT_NE); }
#endif
VFN M v_and(M a, M b) { return (M)(a & b); }
VFN M v_or(M a, M b) { return (M)(a | b); }
VFN M v_xor(M a, M b) { return (M)(a ^ b); }
VFN M v_not(M a) { return (M)~a; }
VFN M v_true(void) { return (M)-1; }
VFN M v_false(void) { return 0; }
VFN int v_any(M m) { return m != 0; }
VFN int v_all(M m) { return m == (M)-1; }
VFN V v_sel(M m, V a, V b) { return (V)VX(mask_blend)(m, (VXV)b, (VXV)a); }
VFN M VN(v_first)(int64_t n) { return (M)((1u << n) - 1); }
#if CT_IS(f32)
VFN VI v_seli(M m, VI a, VI b) { return (VI)_mm512_mask_blend_epi32(m, (__m512i)b, (__m512i)a); }
VFN M v_signbit(V x) { return _mm512_movepi32_mask((__m512i)x); }
VFN M v_load_bool(const uint8_t *p) {
    __m128i b = _mm_loadu_si128((const __m128i *)p);
    return _mm_test_epi8_mask(b, b);
}
#else
VFN VI v_seli(M m, VI a, VI b) { return (VI)_mm512_mask_blend_epi64(m, (__m512i)b, (__m512i)a); }
VFN M v_signbit(V x) { return _mm512_movepi64_mask((__m512i)x); }
VFN M v_load_bool(const uint8_t *p) {
    __m128i b = _mm_loadl_epi64((const __m128i *)p);
    return (M)_mm_test_epi8_mask(b, b);
}
#endif
VFN V v_loadn(const T *p, int64_t n) {
    return (V)VX(mask_loadu)((VXV)v_splat(p[0]), VN(v_first)(n), (const void *)p);
}
VFN void v_storen(T *p, V v, int64_t n) { VX(mask_storeu)((void *)p, VN(v_first)(n), (VXV)v); }
VFN M v_loadn_bool(const uint8_t *p, int64_t n) {
    __m128i b = _mm_mask_loadu_epi8(_mm_set1_epi8((char)p[0]), VN(v_first)(n), p);
    return (M)_mm_test_epi8_mask(b, b);
}
VFN void v_storen_bool(uint8_t *p, M m, int64_t n) {
    _mm_mask_storeu_epi8(p, VN(v_first)(n), _mm_maskz_set1_epi8(m, 1));
}
#if CT_IS(f32)
VFN void v_store_bool(uint8_t *p, M m) { _mm_storeu_si128((__m128i *)p, _mm_maskz_set1_epi8(m, 1)); }
#else
VFN void v_store_bool(uint8_t *p, M m) { _mm_storel_epi64((__m128i *)p, _mm_maskz_set1_epi8(m, 1)); }
#endif

#else /* SSE2, AVX2: a mask is an integer vector of 0 and -1 */

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
/* One bit a lane, from the sign bits. */
VFN unsigned VN(v_lanes)(M m) {
#if defined(AD_ISA_AVX2)
#if CT_IS(f32)
    return (unsigned)_mm256_movemask_ps((__m256)m);
#else
    return (unsigned)_mm256_movemask_pd((__m256d)m);
#endif
#elif CT_IS(f32)
    return (unsigned)_mm_movemask_ps((__m128)m);
#else
    return (unsigned)_mm_movemask_pd((__m128d)m);
#endif
}
VFN int v_any(M m) { return VN(v_lanes)(m) != 0; }
VFN int v_all(M m) { return VN(v_lanes)(m) == (1u << VL) - 1; }
VFN M v_signbit(V x) { return (VI)x < 0; }
VFN VI v_seli(M m, VI a, VI b) {
#if defined(AD_ISA_AVX2)
    return (VI)_mm256_blendv_epi8((__m256i)b, (__m256i)a, (__m256i)m);
#else
    return (a & m) | (b & ~m);
#endif
}
VFN V v_sel(M m, V a, V b) {
#if defined(AD_ISA_AVX2) && CT_FLOAT
    return (V)VX(blendv)((VXV)b, (VXV)a, (VXV)m);
#else
    return (V)v_seli(m, (VI)a, (VI)b);
#endif
}
#if defined(AD_ISA_AVX2)
VFN V v_loadn(const T *p, int64_t n) {
    VI m = v_iota() < (VI){0} + (TI)n;
#if CT_IS(f32)
    V v = (V)_mm256_maskload_ps(p, (__m256i)m);
#elif CT_IS(f64)
    V v = (V)_mm256_maskload_pd(p, (__m256i)m);
#else
    V v = (V)_mm256_maskload_epi64((const void *)p, (__m256i)m);
#endif
    return v_sel(m, v, v_splat(p[0]));
}
VFN void v_storen(T *p, V v, int64_t n) {
    VI m = v_iota() < (VI){0} + (TI)n;
#if CT_IS(f32)
    _mm256_maskstore_ps(p, (__m256i)m, (__m256)v);
#elif CT_IS(f64)
    _mm256_maskstore_pd(p, (__m256i)m, (__m256d)v);
#else
    _mm256_maskstore_epi64((void *)p, (__m256i)m, (__m256i)v);
#endif
}
#else
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
#endif
/* Bytes of 0 and 1 from the lane bits: spread bit i to byte i, then bring every nonzero byte to 1. */
VFN uint64_t VN(v_bytes)(M m) {
    uint64_t t = VN(v_lanes)(m) * 0x0101010101010101u & 0x8040201008040201u;
    return (t + 0x7f7f7f7f7f7f7f7fu) >> 7 & 0x0101010101010101u;
}
VFN void v_store_bool(uint8_t *p, M m) {
    uint64_t t = VN(v_bytes)(m);
    memcpy(p, &t, VL);
}
VFN void v_storen_bool(uint8_t *p, M m, int64_t n) {
    uint64_t t = VN(v_bytes)(m);
    for (int i = 0; i < VL - 1; i++, t >>= 8)
        if (i < n) p[i] = (uint8_t)(t & 1);
}
VFN M v_load_bool(const uint8_t *p) {
#if VBYTES == 16 && !CT_IS(f32)
    return (M){-(TI)p[0], -(TI)p[1]};
#else
    typedef uint8_t bytes __attribute__((vector_size(VL)));
    bytes b;
    memcpy(&b, p, VL);
    return -__builtin_convertvector(b, VI);
#endif
}
VFN M v_loadn_bool(const uint8_t *p, int64_t n) {
    uint8_t t[VL];
    for (int i = 0; i < VL; i++) t[i] = p[i < n ? i : 0];
    return v_load_bool(t);
}
#endif /* masks */

/* A store that bypasses the caches; p must be aligned to the vector. */
#if CT_FLOAT
VFN void v_stream(T *p, V v) { VX(stream)(p, (VXV)v); }
#elif defined(AD_ISA_AVX512)
VFN void v_stream(T *p, V v) { _mm512_stream_si512((void *)p, (__m512i)v); }
#elif defined(AD_ISA_AVX2)
VFN void v_stream(T *p, V v) { _mm256_stream_si256((void *)p, (__m256i)v); }
#else
VFN void v_stream(T *p, V v) { _mm_stream_si128((void *)p, (__m128i)v); }
#endif
VFN void v_fence(void) { _mm_sfence(); } /* other threads see what was streamed before what is stored next */

/* ---- arithmetic ----------------------------------------------------------------------------- */

#if CT_FLOAT
/* x86 min and max return the second operand when either is NaN; v_fmin and v_fmax are that bare
 * instruction, for use where no NaN can come or where the second is meant to win. */
VFN V v_fmin(V a, V b) { return (V)VX(min)((VXV)a, (VXV)b); }
VFN V v_fmax(V a, V b) { return (V)VX(max)((VXV)a, (VXV)b); }
VFN V v_relu(V x) { return (V)VX(max)((VXV)(V){0}, (VXV)x); } /* NaN stays NaN */
VFN V v_sqrt(V x) { return (V)VX(sqrt)((VXV)x); }

#ifdef AD_ISA_SSE2
/* Not fused: SSE2 has no such instruction, and libm's emulation costs a hundred times more. */
VFN V v_fma(V a, V b, V c) { return a * b + c; }

/* Rounding by adding and taking away 1.5 * 2^MANT_BITS, for what is small enough to have a fraction. */
VFN V VN(v_round_to)(V x, int mode) {
    const T two_m = (T)((TU)1 << VN(MANT_BITS));
    V s = v_splat(two_m), bit = v_splat((T)-0.0), ax = (V)((VU)x & ~(VU)bit);
    V r = (ax + s) - s;
    VI one = (VI)v_splat((T)1);
    r = (V)((VU)r | ((VU)x & (VU)bit));
    if (mode == 1) r = r - (V)((r > x) & one); /* floor */
    if (mode == 2) r = r + (V)((r < x) & one); /* ceil */
    if (mode == 3) {                           /* trunc */
        V ar = (V)((VU)r & ~(VU)bit);
        r = ar - (V)((ar > ax) & one);
    }
    r = (V)(((VU)r & ~(VU)bit) | ((VU)x & (VU)bit)); /* keeps the sign of zero */
    return (V)v_seli(ax < s, (VI)r, (VI)x);
}
VFN V v_floor(V x) { return VN(v_round_to)(x, 1); }
VFN V v_ceil(V x) { return VN(v_round_to)(x, 2); }
VFN V v_trunc(V x) { return VN(v_round_to)(x, 3); }
VFN V v_round(V x) { return VN(v_round_to)(x, 0); }
#else
VFN V v_fma(V a, V b, V c) { return (V)VX(fmadd)((VXV)a, (VXV)b, (VXV)c); }
#ifdef AD_ISA_AVX512
#define VX_ROUND(x, mode) ((V)VX(roundscale)((VXV)(x), mode))
#else
#define VX_ROUND(x, mode) ((V)VX(round)((VXV)(x), mode))
#endif
VFN V v_floor(V x) { return VX_ROUND(x, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC); }
VFN V v_ceil(V x) { return VX_ROUND(x, _MM_FROUND_TO_POS_INF | _MM_FROUND_NO_EXC); }
VFN V v_trunc(V x) { return VX_ROUND(x, _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC); }
VFN V v_round(V x) { return VX_ROUND(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
#undef VX_ROUND
#endif
#endif /* CT_FLOAT */

/* ---- float to double and back; needs vec.h included for f64 before f32 ----------------------- */

#if CT_IS(f32)
#if defined(AD_ISA_AVX512)
VFN V_f64 v_widen_lo(V x) { return (V_f64)_mm512_cvtps_pd(_mm512_castps512_ps256((__m512)x)); }
VFN V_f64 v_widen_hi(V x) { return (V_f64)_mm512_cvtps_pd(_mm512_extractf32x8_ps((__m512)x, 1)); }
VFN V v_narrow(V_f64 lo, V_f64 hi) {
    __m512 r = _mm512_castps256_ps512(_mm512_cvtpd_ps((__m512d)lo));
    return (V)_mm512_insertf32x8(r, _mm512_cvtpd_ps((__m512d)hi), 1);
}
#elif defined(AD_ISA_AVX2)
VFN V_f64 v_widen_lo(V x) { return (V_f64)_mm256_cvtps_pd(_mm256_castps256_ps128((__m256)x)); }
VFN V_f64 v_widen_hi(V x) { return (V_f64)_mm256_cvtps_pd(_mm256_extractf128_ps((__m256)x, 1)); }
VFN V v_narrow(V_f64 lo, V_f64 hi) {
    __m256 r = _mm256_castps128_ps256(_mm256_cvtpd_ps((__m256d)lo));
    return (V)_mm256_insertf128_ps(r, _mm256_cvtpd_ps((__m256d)hi), 1);
}
#else
VFN V_f64 v_widen_lo(V x) { return (V_f64)_mm_cvtps_pd((__m128)x); }
VFN V_f64 v_widen_hi(V x) { return (V_f64)_mm_cvtps_pd(_mm_movehl_ps((__m128)x, (__m128)x)); }
VFN V v_narrow(V_f64 lo, V_f64 hi) {
    return (V)_mm_movelh_ps(_mm_cvtpd_ps((__m128d)lo), _mm_cvtpd_ps((__m128d)hi));
}
#endif
#endif
