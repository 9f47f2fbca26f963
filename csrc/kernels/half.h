/* Half precision to and from float32, and that to and from float64: plain loops without branches, which the
 * compiler turns into vectors of each instruction set. Rounding is to nearest, ties to even; every NaN
 * becomes the quiet one. */
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC push_options
#pragma GCC optimize("O3")
#endif

static void k_from_bf16(int64_t n, float *restrict y, const uint16_t *restrict x) {
    for (int64_t k = 0; k < n; k++) {
        uint32_t bits = (uint32_t)x[k] << 16;
        memcpy(&y[k], &bits, 4);
    }
}

static void k_to_bf16(int64_t n, uint16_t *restrict y, const float *restrict x) {
    for (int64_t k = 0; k < n; k++) {
        uint32_t b;
        memcpy(&b, &x[k], 4);
        uint32_t r = (b + 0x7fff + (b >> 16 & 1)) >> 16;
        y[k] = (uint16_t)((b & 0x7fffffff) > 0x7f800000 ? 0x7fc0 : r);
    }
}

/* A subnormal is its ten bits in units of 2^-24, which is what 0.5 with these last bits is above 0.5. */
static void k_from_f16(int64_t n, float *restrict y, const uint16_t *restrict x) {
    for (int64_t k = 0; k < n; k++) {
        uint32_t sign = (uint32_t)(x[k] & 0x8000) << 16, rest = x[k] & 0x7fff, tiny = rest | 0x3f000000, bits;
        float f;
        memcpy(&f, &tiny, 4);
        f -= 0.5f;
        memcpy(&tiny, &f, 4);
        bits = (rest << 13) + (rest >= 0x7c00 ? 0x70000000u : 0x38000000u);
        bits = (rest < 0x400 ? tiny : bits) | sign;
        memcpy(&y[k], &bits, 4);
    }
}

static void k_to_f16(int64_t n, uint16_t *restrict y, const float *restrict x) {
    for (int64_t k = 0; k < n; k++) {
        uint32_t b, sign, tiny;
        float f;
        memcpy(&b, &x[k], 4);
        sign = b >> 16 & 0x8000;
        b &= 0x7fffffff;
        memcpy(&f, &b, 4);
        f += 0.5f; /* of a small one, rounds at 2^-24 */
        memcpy(&tiny, &f, 4);
        uint32_t r = (b + 0xc8000fffu + (b >> 13 & 1)) >> 13; /* the exponent less 112, rounded */
        r = b < 0x38800000 ? tiny - 0x3f000000 : r;
        r = b >= 0x477ff000 ? 0x7c00 : r;
        r = b > 0x7f800000 ? 0x7e00 : r;
        y[k] = (uint16_t)(r | sign);
    }
}

static void k_widen(int64_t n, double *restrict y, const float *restrict x) {
    for (int64_t k = 0; k < n; k++) y[k] = x[k];
}

static void k_narrow(int64_t n, float *restrict y, const double *restrict x) {
    for (int64_t k = 0; k < n; k++) y[k] = (float)x[k];
}

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC pop_options
#endif
