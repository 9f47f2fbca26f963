/* Masks and indices: plain loops that the compiler turns into vectors of each instruction set. */
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC push_options
#pragma GCC optimize("O3")
#endif

/* out[k] = m[k] ? value : x[k]; out may be x */
#define MASK_FILL(T, bits)                                                                                   \
    static void k_mask_fill##bits(int64_t n, void *out, const void *x, const uint8_t *m,                     \
                                  const void *value) {                                                       \
        T *o = out, v = *(const T *)value;                                                                   \
        const T *p = x;                                                                                      \
        for (int64_t k = 0; k < n; k++) {                                                                    \
            T pick = (T) - (T)(m[k] != 0);                                                                   \
            o[k] = (T)((p[k] & (T)~pick) | (v & pick));                                                      \
        }                                                                                                    \
    }
MASK_FILL(uint8_t, 8)
MASK_FILL(uint16_t, 16)
MASK_FILL(uint32_t, 32)
MASK_FILL(uint64_t, 64)

static int64_t k_mask_count(int64_t n, const uint8_t *m) {
    int64_t total = 0;
    while (n > 0) { /* in parts, so that the inner sum fits 32 bits */
        int64_t part = n < 4096 ? n : 4096;
        uint32_t sum = 0;
        for (int64_t k = 0; k < part; k++) sum += m[k] != 0;
        total += sum;
        m += part;
        n -= part;
    }
    return total;
}

/* Whether all indices are in [lo, lo + size), size below 2^63. Of an index that is not, i - lo or
 * size - 1 - (i - lo) has its highest bit set. */
static int k_index_in(int64_t n, const int64_t *i, int64_t lo, uint64_t size) {
    typedef uint64_t word __attribute__((vector_size(VBYTES)));
    typedef uint64_t words __attribute__((vector_size(VBYTES), aligned(8), may_alias));
    enum { LANES = VBYTES / 8 };
    word a = {0}, b = a, zero = a;
    uint64_t seen = 0;
    int64_t k = 0;
    for (; k + 2 * LANES <= n; k += 2 * LANES) {
        word u = *(const words *)(i + k) - (zero + (uint64_t)lo);
        word v = *(const words *)(i + k + LANES) - (zero + (uint64_t)lo);
        a |= u | (zero + (size - 1) - u);
        b |= v | (zero + (size - 1) - v);
    }
    a |= b;
    for (int j = 0; j < LANES; j++) seen |= a[j];
    for (; k < n; k++) {
        uint64_t u = (uint64_t)i[k] - (uint64_t)lo;
        seen |= u | (size - 1 - u);
    }
    return !(seen >> 63);
}

/* y[k] = m[k] ? x[k] * scale : x[k] * 0, so that NaN and infinity are seen; y may be x */
#define MASK_SCALE(T, bits)                                                                                  \
    static void k_mask_scale##bits(int64_t n, void *py, const void *px, const uint8_t *m, double scale) {    \
        T *y = py, s = (T)scale;                                                                             \
        const T *x = px;                                                                                     \
        for (int64_t k = 0; k < n; k++) y[k] = x[k] * (m[k] != 0 ? s : (T)0);                                \
    }
MASK_SCALE(float, 32)
MASK_SCALE(double, 64)

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC pop_options
#endif
