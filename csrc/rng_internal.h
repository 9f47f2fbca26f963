/* What the files of the random numbers share. */
#ifndef AD_RNG_INTERNAL_H
#define AD_RNG_INTERNAL_H

#include "rng.h"
#include "rng_simd.h"

#include <string.h>

/* Elements are drawn in tiles of this many 32-bit words, or half as many pairs: small enough for
 * the stack and the first cache, large enough to hide the bookkeeping. A multiple of 32, so that
 * Box-Muller's groups of 16 words or pairs never straddle two tiles. */
enum { RNG_TILE = 2048, RNG_PAIRS = RNG_TILE / 2 };

extern const rng_loops *rng_active; /* see rng_use_loops */
const rng_loops *rng_pick(void);

static inline const rng_loops *rng_simd(void) {
    const rng_loops *l = rng_active;
    return l ? l : rng_pick();
}

/* n doubles in [0, 1) of 53 bits; n <= RNG_PAIRS. */
void rng_units(rng_state *s, double *out, int n);
double rng_unit(rng_state *s);

/* Stores n doubles as a float type, going through float for the two narrow ones as PyTorch does. */
void rng_store(rng_type t, void *out, int64_t at, const double *x, int n);

static inline int rng_is_float(rng_type t) {
    return t == RNG_F32 || t == RNG_F64 || t == RNG_BF16 || t == RNG_F16;
}

/* Round to nearest, ties to even; NaN stays NaN. */
static inline uint16_t rng_bf16(float x) {
    uint32_t b;
    memcpy(&b, &x, 4);
    if (x != x) return (uint16_t)((b >> 16) | 0x40);
    return (uint16_t)((b + 0x7fff + ((b >> 16) & 1)) >> 16);
}

static inline float rng_from_bf16(uint16_t h) {
    uint32_t b = (uint32_t)h << 16;
    float x;
    memcpy(&x, &b, 4);
    return x;
}

static inline uint16_t rng_f16(float x) {
    uint32_t b;
    memcpy(&b, &x, 4);
    uint32_t sign = (b >> 16) & 0x8000u, a = b & 0x7fffffffu;
    if (a > 0x7f800000u) return (uint16_t)(sign | 0x7e00u);
    if (a >= 0x477ff000u) return (uint16_t)(sign | 0x7c00u); /* 65520 and more round to infinity */
    if (a < 0x38800000u) {                                   /* below 2^-14: subnormal */
        /* adding 1/2 lines up units of 2^-24 with the last bit of a float, and rounds */
        float f;
        memcpy(&f, &a, 4);
        f += 0.5f;
        memcpy(&a, &f, 4);
        return (uint16_t)(sign | (a - 0x3f000000u));
    }
    a += 0xfffu + ((a >> 13) & 1);
    return (uint16_t)(sign | ((a - 0x38000000u) >> 13));
}

static inline float rng_from_f16(uint16_t h) {
    uint32_t sign = (uint32_t)(h & 0x8000u) << 16, m = h & 0x7fffu, b;
    float x;
    if (m < 0x400u) {
        x = (float)m * 0x1p-24f;
        return sign ? -x : x;
    }
    b = m >= 0x7c00u ? sign | 0x7f800000u | ((m & 0x3ffu) << 13) : sign | ((m << 13) + 0x38000000u);
    memcpy(&x, &b, 4);
    return x;
}

#endif
