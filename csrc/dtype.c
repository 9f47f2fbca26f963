/* The dtypes: names, promotion, and conversion to and from the types that kernels compute in. */
#include <math.h>
#include <string.h>
#include "core.h"
#ifdef __x86_64__
#include <emmintrin.h>
#endif

const uint8_t dtype_size[AD_DTYPES] = {1, 1, 1, 2, 4, 8, 2, 2, 4, 8};
const char *const dtype_name[AD_DTYPES] = {"bool",  "uint8",   "int8",     "int16",   "int32",
                                           "int64", "float16", "bfloat16", "float32", "float64"};
const char *const dtype_class[AD_DTYPES] = {"Bool", "Byte", "Char",     "Short", "Int",
                                            "Long", "Half", "BFloat16", "Float", "Double"};

static int default_float = AD_F32;
int dtype_default_float(void) { return default_float; }
int ad_default_dtype(void) { return default_float; }
void ad_set_default_dtype(int d) { default_float = d; }

int dtype_promote(int a, int b) {
    if (a == b) return a;
    int hi = a > b ? a : b, lo = a > b ? b : a;
    if (hi == AD_BF16 && lo == AD_F16) return AD_F32;
    if (hi <= AD_I64 && lo == AD_U8 && hi == AD_I8) return AD_I16;
    return hi; /* the order of the enumeration is the order of promotion otherwise */
}

/* ---- half precision ---- */

static inline float f16_to_f32(uint16_t h) {
    uint32_t sign = (uint32_t)(h & 0x8000) << 16, exp = (h >> 10) & 31, man = h & 1023, bits;
    if (exp == 31) bits = sign | 0x7f800000 | man << 13;
    else if (exp) bits = sign | (exp + 112) << 23 | man << 13;
    else {
        float f = (float)man * 0x1p-24f; /* zero or subnormal */
        memcpy(&bits, &f, 4);
        bits |= sign;
    }
    float f;
    memcpy(&f, &bits, 4);
    return f;
}

static inline uint16_t f32_to_f16(float f) { /* to nearest, ties to even */
    uint32_t x;
    memcpy(&x, &f, 4);
    uint32_t sign = x >> 16 & 0x8000;
    x &= 0x7fffffff;
    if (x > 0x7f800000) return (uint16_t)(sign | 0x7e00);
    if (x >= 0x477ff000) return (uint16_t)(sign | 0x7c00);
    if (x < 0x38800000) { /* subnormal in half: let the adder round at 2^-24 */
        float a;
        memcpy(&a, &x, 4);
        a += 0.5f;
        uint32_t y;
        memcpy(&y, &a, 4);
        return (uint16_t)(sign | (y - 0x3f000000));
    }
    uint32_t odd = x >> 13 & 1;
    x += 0xc8000fff + odd; /* rebias by -112 and round */
    return (uint16_t)(sign | x >> 13);
}

static inline float bf16_to_f32(uint16_t h) {
    uint32_t bits = (uint32_t)h << 16;
    float f;
    memcpy(&f, &bits, 4);
    return f;
}

static inline uint16_t f32_to_bf16(float f) {
    uint32_t x;
    memcpy(&x, &f, 4);
    if ((x & 0x7fffffff) > 0x7f800000) return 0x7fc0;
    return (uint16_t)((x + 0x7fff + (x >> 16 & 1)) >> 16);
}

/* A float that no int64 holds gives INT64_MIN, as the x86 conversion does, on every machine. */
#ifdef __x86_64__
static inline int64_t f64_to_i64(double v) { return _mm_cvttsd_si64(_mm_set_sd(v)); }
static inline int64_t f32_to_i64(float v) { return _mm_cvttss_si64(_mm_set_ss(v)); }
#else
static inline int64_t f64_to_i64(double v) {
    return v >= -9223372036854775808.0 && v < 9223372036854775808.0 ? (int64_t)v : INT64_MIN;
}
static inline int64_t f32_to_i64(float v) { return f64_to_i64(v); }
#endif

#define AS_IS(x) (x)
#define NONZERO(x) ((x) != 0)
/* dtype tag, storage type, to number, and from f32, f64, i64 */
#define INTEGER_TABLE(X)                                                                                     \
    X(BOOL, uint8_t, NONZERO, NONZERO, NONZERO, NONZERO)                                                     \
    X(U8, uint8_t, AS_IS, (uint8_t)f32_to_i64, (uint8_t)f64_to_i64, (uint8_t))                               \
    X(I8, int8_t, AS_IS, (int8_t)f32_to_i64, (int8_t)f64_to_i64, (int8_t))                                   \
    X(I16, int16_t, AS_IS, (int16_t)f32_to_i64, (int16_t)f64_to_i64, (int16_t))                              \
    X(I32, int32_t, AS_IS, (int32_t)f32_to_i64, (int32_t)f64_to_i64, (int32_t))                              \
    X(I64, int64_t, AS_IS, f32_to_i64, f64_to_i64, AS_IS)
#define FLOAT_TABLE(X)                                                                                       \
    X(F32, float, AS_IS, AS_IS, (float), (float))                                                            \
    X(F64, double, AS_IS, AS_IS, AS_IS, (double))
#define HALF_TABLE(X)                                                                                        \
    X(F16, uint16_t, f16_to_f32, f32_to_f16, f32_to_f16, f32_to_f16)                                         \
    X(BF16, uint16_t, bf16_to_f32, f32_to_bf16, f32_to_bf16, f32_to_bf16)
#define DTYPE_TABLE(X) INTEGER_TABLE(X) FLOAT_TABLE(X) HALF_TABLE(X)

/* Elements side by side are converted by loops that the compiler makes vectors of. */
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("O3")
#endif
#define EACH(S, D, from, to, size, expression)                                                               \
    if (stride == (int64_t)(size)) {                                                                         \
        const S *restrict p = (const S *)from;                                                               \
        D *restrict o = (D *)to;                                                                             \
        for (int64_t i = 0; i < n; i++) {                                                                    \
            S x = p[i];                                                                                      \
            o[i] = expression;                                                                               \
        }                                                                                                    \
        return;                                                                                              \
    }
#define LOADS(TAG, S, TO, ...)                                                                               \
    static void load_##TAG##_f32(int64_t n, void *dst, const char *src, int64_t stride) {                    \
        EACH(S, float, src, dst, sizeof(S), (float)TO(x))                                                    \
        float *restrict o = dst;                                                                             \
        for (int64_t i = 0; i < n; i++) o[i] = (float)TO(*(const S *)(src + i * stride));                    \
    }                                                                                                        \
    static void load_##TAG##_f64(int64_t n, void *dst, const char *src, int64_t stride) {                    \
        EACH(S, double, src, dst, sizeof(S), (double)TO(x))                                                  \
        double *restrict o = dst;                                                                            \
        for (int64_t i = 0; i < n; i++) o[i] = (double)TO(*(const S *)(src + i * stride));                   \
    }                                                                                                        \
    static void load_##TAG##_i64(int64_t n, void *dst, const char *src, int64_t stride) {                    \
        EACH(S, int64_t, src, dst, sizeof(S), TO_I64_##TAG(TO(x)))                                           \
        int64_t *restrict o = dst;                                                                           \
        for (int64_t i = 0; i < n; i++) o[i] = TO_I64_##TAG(TO(*(const S *)(src + i * stride)));             \
    }                                                                                                        \
    static void load_##TAG##_bool(int64_t n, void *dst, const char *src, int64_t stride) {                   \
        EACH(S, uint8_t, src, dst, sizeof(S), TO(x) != 0)                                                    \
        uint8_t *restrict o = dst;                                                                           \
        for (int64_t i = 0; i < n; i++) o[i] = TO(*(const S *)(src + i * stride)) != 0;                      \
    }
#define TO_I64_BOOL (int64_t)
#define TO_I64_U8 (int64_t)
#define TO_I64_I8 (int64_t)
#define TO_I64_I16 (int64_t)
#define TO_I64_I32 (int64_t)
#define TO_I64_I64 (int64_t)
#define TO_I64_F16 f32_to_i64
#define TO_I64_BF16 f32_to_i64
#define TO_I64_F32 f32_to_i64
#define TO_I64_F64 f64_to_i64
DTYPE_TABLE(LOADS)

#define STORES(TAG, S, TO, FROM_F32, FROM_F64, FROM_I64)                                                     \
    static void store_##TAG##_f32(int64_t n, char *dst, int64_t stride, const void *src) {                   \
        EACH(float, S, src, dst, sizeof(S), (S)FROM_F32(x))                                                  \
        const float *restrict p = src;                                                                       \
        for (int64_t i = 0; i < n; i++) *(S *)(dst + i * stride) = (S)FROM_F32(p[i]);                        \
    }                                                                                                        \
    static void store_##TAG##_f64(int64_t n, char *dst, int64_t stride, const void *src) {                   \
        EACH(double, S, src, dst, sizeof(S), (S)FROM_F64(x))                                                 \
        const double *restrict p = src;                                                                      \
        for (int64_t i = 0; i < n; i++) *(S *)(dst + i * stride) = (S)FROM_F64(p[i]);                        \
    }                                                                                                        \
    static void store_##TAG##_i64(int64_t n, char *dst, int64_t stride, const void *src) {                   \
        EACH(int64_t, S, src, dst, sizeof(S), (S)FROM_I64(x))                                                \
        const int64_t *restrict p = src;                                                                     \
        for (int64_t i = 0; i < n; i++) *(S *)(dst + i * stride) = (S)FROM_I64(p[i]);                        \
    }                                                                                                        \
    static void store_##TAG##_bool(int64_t n, char *dst, int64_t stride, const void *src) {                  \
        EACH(uint8_t, S, src, dst, sizeof(S), (S)FROM_I64(x))                                                \
        const uint8_t *restrict p = src;                                                                     \
        for (int64_t i = 0; i < n; i++) *(S *)(dst + i * stride) = (S)FROM_I64(p[i]);                        \
    }
DTYPE_TABLE(STORES)

/* Half types without gaps, which is how nearly all of them lie, are converted by the kernels. */
#define HALF(TAG, which)                                                                                     \
    static void load_##TAG##_half(int64_t n, void *dst, const char *src, int64_t stride) {                   \
        if (stride == 2) kern->from_half[which](n, dst, (const uint16_t *)src);                              \
        else load_##TAG##_f32(n, dst, src, stride);                                                          \
    }                                                                                                        \
    static void store_##TAG##_half(int64_t n, char *dst, int64_t stride, const void *src) {                  \
        if (stride == 2) kern->to_half[which](n, (uint16_t *)dst, src);                                      \
        else store_##TAG##_f32(n, dst, stride, src);                                                         \
    }
HALF(F16, 0)
HALF(BF16, 1)
/* So are the floats to one another. */
static void load_F32_wide(int64_t n, void *dst, const char *src, int64_t stride) {
    if (stride == 4) kern->widen(n, dst, (const float *)src);
    else load_F32_f64(n, dst, src, stride);
}
static void load_F64_narrow(int64_t n, void *dst, const char *src, int64_t stride) {
    if (stride == 8) kern->narrow(n, dst, (const double *)src);
    else load_F64_f32(n, dst, src, stride);
}
static void store_F32_narrow(int64_t n, char *dst, int64_t stride, const void *src) {
    if (stride == 4) kern->narrow(n, (float *)dst, src);
    else store_F32_f64(n, dst, stride, src);
}

#define LOAD_ROW(TAG, ...) [AD_##TAG] = {load_##TAG##_f32, load_##TAG##_f64, load_##TAG##_i64},
#define STORE_ROW(TAG, ...) [AD_##TAG] = {store_##TAG##_f32, store_##TAG##_f64, store_##TAG##_i64},
#define LOAD_HALF_ROW(TAG, ...) [AD_##TAG] = {load_##TAG##_half, load_##TAG##_f64, load_##TAG##_i64},
#define STORE_HALF_ROW(TAG, ...) [AD_##TAG] = {store_##TAG##_half, store_##TAG##_f64, store_##TAG##_i64},
#define LOAD_BOOL_ROW(TAG, ...) [AD_##TAG] = load_##TAG##_bool,
#define STORE_BOOL_ROW(TAG, ...) [AD_##TAG] = store_##TAG##_bool,
const dtype_load dtype_loads[AD_DTYPES][CT_COUNT] = {
    INTEGER_TABLE(LOAD_ROW) HALF_TABLE(LOAD_HALF_ROW)[AD_F32] = {load_F32_f32, load_F32_wide, load_F32_i64},
    [AD_F64] = {load_F64_narrow, load_F64_f64, load_F64_i64}};
const dtype_store dtype_stores[AD_DTYPES][CT_COUNT] = {
    INTEGER_TABLE(STORE_ROW)
        HALF_TABLE(STORE_HALF_ROW)[AD_F32] = {store_F32_f32, store_F32_narrow, store_F32_i64},
    [AD_F64] = {store_F64_f32, store_F64_f64, store_F64_i64}};
const dtype_load dtype_load_bool[AD_DTYPES] = {DTYPE_TABLE(LOAD_BOOL_ROW)};
const dtype_store dtype_store_bool[AD_DTYPES] = {DTYPE_TABLE(STORE_BOOL_ROW)};
