/* The other distributions. Each draws in the order that docs/random.md states. */
#include "rng_internal.h"

#include <math.h>

/* A transform of uniform doubles, element by element. */
typedef double (*from_unit)(double u, double a, double b);

static int continuous(rng_state *s, rng_type t, void *out, int64_t n, from_unit f, double a, double b) {
    if (!rng_is_float(t)) return -1;
    double x[RNG_PAIRS];
    for (int64_t at = 0; at < n; at += RNG_PAIRS) {
        int k = n - at < RNG_PAIRS ? (int)(n - at) : RNG_PAIRS;
        rng_units(s, x, k);
        for (int i = 0; i < k; i++) x[i] = f(x[i], a, b);
        rng_store(t, out, at, x, k);
    }
    return 0;
}

static double exponential(double u, double lambda, double unused) {
    (void)unused;
    return -1.0 / lambda * log1p(-u);
}

static double cauchy(double u, double median, double sigma) {
    return fma(sigma, tan(3.14159265358979323846 * (u - 0.5)), median);
}

int rng_exponential(rng_state *s, rng_type t, void *out, int64_t n, double lambda) {
    return continuous(s, t, out, n, exponential, lambda, 0.0);
}

int rng_cauchy(rng_state *s, rng_type t, void *out, int64_t n, double median, double sigma) {
    return continuous(s, t, out, n, cauchy, median, sigma);
}

int rng_log_normal(rng_state *s, rng_type t, void *out, int64_t n, double mean, double std) {
    if (!rng_is_float(t)) return -1;
    double x[RNG_PAIRS];
    for (int64_t at = 0; at < n; at += RNG_PAIRS) {
        int k = n - at < RNG_PAIRS ? (int)(n - at) : RNG_PAIRS;
        rng_normal_serial(s, RNG_F64, x, k, mean, std);
        for (int i = 0; i < k; i++) x[i] = exp(x[i]);
        rng_store(t, out, at, x, k);
    }
    return 0;
}

/* Doubles to integers as an x86 converts them: out of range gives the least number of a 32-bit (for
 * 64-bit elements a 64-bit) integer, of which narrow types keep the low bits. */
static void store_integers(rng_type t, void *out, int64_t at, const double *x, int n) {
    for (int i = 0; i < n; i++) {
        int64_t big = x[i] >= -0x1p63 && x[i] < 0x1p63 ? (int64_t)x[i] : INT64_MIN;
        int32_t v = x[i] > -0x1p31 - 1 && x[i] < 0x1p31 ? (int32_t)x[i] : INT32_MIN;
        if (t == RNG_I64) ((int64_t *)out)[at + i] = big;
        if (t == RNG_I32) ((int32_t *)out)[at + i] = v;
        if (t == RNG_I16) ((uint16_t *)out)[at + i] = (uint16_t)v;
        if (t == RNG_I8 || t == RNG_U8) ((uint8_t *)out)[at + i] = (uint8_t)v;
    }
}

int rng_geometric(rng_state *s, rng_type t, void *out, int64_t n, double p) {
    if (t == RNG_BOOL || t == RNG_U16 || t == RNG_U32 || t == RNG_U64) return -1;
    double x[RNG_PAIRS], scale = log1p(-p);
    for (int64_t at = 0; at < n; at += RNG_PAIRS) {
        int k = n - at < RNG_PAIRS ? (int)(n - at) : RNG_PAIRS;
        rng_units(s, x, k);
        for (int i = 0; i < k; i++) x[i] = ceil(log(x[i]) / scale);
        if (rng_is_float(t)) rng_store(t, out, at, x, k);
        else store_integers(t, out, at, x, k);
    }
    return 0;
}

static int has_bernoulli(rng_type t) { return t != RNG_U16 && t != RNG_U32 && t != RNG_U64; }

/* Writes zeros and ones in a type. */
static void store_bits(rng_type t, void *out, int64_t at, const uint8_t *b, int n) {
    switch (t) {
    case RNG_F32:
        for (int i = 0; i < n; i++) ((float *)out)[at + i] = b[i];
        break;
    case RNG_F64:
        for (int i = 0; i < n; i++) ((double *)out)[at + i] = b[i];
        break;
    case RNG_BF16:
        for (int i = 0; i < n; i++) ((uint16_t *)out)[at + i] = (uint16_t)(b[i] * 0x3f80u);
        break;
    case RNG_F16:
        for (int i = 0; i < n; i++) ((uint16_t *)out)[at + i] = (uint16_t)(b[i] * 0x3c00u);
        break;
    case RNG_I64:
        for (int i = 0; i < n; i++) ((int64_t *)out)[at + i] = b[i];
        break;
    case RNG_I32:
        for (int i = 0; i < n; i++) ((int32_t *)out)[at + i] = b[i];
        break;
    case RNG_I16:
        for (int i = 0; i < n; i++) ((int16_t *)out)[at + i] = b[i];
        break;
    case RNG_I8:
    case RNG_U8:
    case RNG_BOOL:
        memcpy((uint8_t *)out + at, b, (size_t)n);
        break;
    case RNG_U16:
    case RNG_U32:
    case RNG_U64:
        break;
    }
}

int rng_bernoulli(rng_state *s, rng_type t, void *out, int64_t n, double p) {
    if (!has_bernoulli(t)) return -1;
    uint32_t w[RNG_TILE];
    uint8_t b[RNG_PAIRS];
    for (int64_t at = 0; at < n; at += RNG_PAIRS) {
        int k = n - at < RNG_PAIRS ? (int)(n - at) : RNG_PAIRS;
        rng_raw32(s, w, 2 * k);
        rng_simd()->bernoulli(w, b, k, p);
        store_bits(t, out, at, b, k);
    }
    return 0;
}

void rng_dropout_mask(rng_state *s, uint8_t *keep, int64_t n, double p) {
    rng_bernoulli(s, RNG_BOOL, keep, n, 1.0 - p);
}

int rng_bernoulli_each(rng_state *s, rng_type t, void *out, int64_t n, rng_type pt, const void *p) {
    if (!has_bernoulli(t) || !rng_is_float(pt)) return -1;
    uint8_t b[RNG_PAIRS];
    for (int64_t at = 0; at < n; at += RNG_PAIRS) {
        int k = n - at < RNG_PAIRS ? (int)(n - at) : RNG_PAIRS;
        if (pt == RNG_F64) {
            double u[RNG_PAIRS];
            rng_units(s, u, k);
            for (int i = 0; i < k; i++) b[i] = u[i] < ((const double *)p)[at + i];
        } else {
            uint32_t w[RNG_PAIRS];
            rng_raw32(s, w, k);
            for (int i = 0; i < k; i++) {
                float u = (float)(w[i] & 0xffffffu) * 0x1p-24f;
                float q = pt == RNG_F32    ? ((const float *)p)[at + i]
                          : pt == RNG_BF16 ? rng_from_bf16(((const uint16_t *)p)[at + i])
                                           : rng_from_f16(((const uint16_t *)p)[at + i]);
                b[i] = u < q;
            }
        }
        store_bits(t, out, at, b, k);
    }
    return 0;
}

/* Writes integers in any type, wrapping; bool is x != 0. */
static void store_i64(rng_type t, void *out, int64_t at, const int64_t *x, int n) {
    switch (t) {
    case RNG_F32:
        for (int i = 0; i < n; i++) ((float *)out)[at + i] = (float)x[i];
        break;
    case RNG_F64:
        for (int i = 0; i < n; i++) ((double *)out)[at + i] = (double)x[i];
        break;
    case RNG_BF16:
        for (int i = 0; i < n; i++) ((uint16_t *)out)[at + i] = rng_bf16((float)x[i]);
        break;
    case RNG_F16:
        for (int i = 0; i < n; i++) ((uint16_t *)out)[at + i] = rng_f16((float)x[i]);
        break;
    case RNG_I64:
    case RNG_U64:
        memcpy((int64_t *)out + at, x, (size_t)n * sizeof *x);
        break;
    case RNG_I32:
    case RNG_U32:
        for (int i = 0; i < n; i++) ((uint32_t *)out)[at + i] = (uint32_t)x[i];
        break;
    case RNG_I16:
    case RNG_U16:
        for (int i = 0; i < n; i++) ((uint16_t *)out)[at + i] = (uint16_t)x[i];
        break;
    case RNG_I8:
    case RNG_U8:
        for (int i = 0; i < n; i++) ((uint8_t *)out)[at + i] = (uint8_t)x[i];
        break;
    case RNG_BOOL:
        for (int i = 0; i < n; i++) ((uint8_t *)out)[at + i] = x[i] != 0;
        break;
    }
}

/* low + word % range, with two words an element when `wide`; range 0 stands for 2^64. */
static void ranged(rng_state *s, rng_type t, void *out, int64_t n, int wide, uint64_t low, uint64_t range) {
    uint32_t w[RNG_TILE];
    int64_t x[RNG_PAIRS];
    for (int64_t at = 0; at < n; at += RNG_PAIRS) {
        int k = n - at < RNG_PAIRS ? (int)(n - at) : RNG_PAIRS;
        rng_raw32(s, w, wide ? 2 * k : k);
        if (wide)
            for (int i = 0; i < k; i++) {
                uint64_t v = (uint64_t)w[2 * i] << 32 | w[2 * i + 1];
                x[i] = (int64_t)(low + (range ? v % range : v));
            }
        else {
            uint32_t r = (uint32_t)range;
            for (int i = 0; i < k; i++) x[i] = (int64_t)(low + w[i] % r);
        }
        store_i64(t, out, at, x, k);
    }
}

/* Ranges from 2^28 on take two words, so that the modulo's bias stays small. */
static void bounded(rng_state *s, rng_type t, void *out, int64_t n, int64_t low, uint64_t range) {
    ranged(s, t, out, n, range == 0 || range >> 28, (uint64_t)low, range);
}

/* Bits of precision of a float type; 0 for the others. */
static int digits(rng_type t) {
    return t == RNG_F32 ? 24 : t == RNG_F64 ? 53 : t == RNG_BF16 ? 8 : t == RNG_F16 ? 11 : 0;
}

/* x rounded to a float type; 2^63 and -2^63 are both possible, so as a double. */
static double rounded(rng_type t, int64_t x) {
    switch (t) {
    case RNG_F64:
        return (double)x;
    case RNG_F32:
        return (float)x;
    case RNG_BF16:
        return rng_from_bf16(rng_bf16((float)x));
    default:
        return rng_from_f16(rng_f16((float)x));
    }
}

/* The number of the type beside y, an integer of the type, on the side of zero or on the other. */
static double beside(rng_type t, double y, int towards_zero) {
    int exponent;
    double fraction = frexp(y, &exponent); /* |fraction| in [1/2, 1) */
    double unit = ldexp(1.0, exponent - digits(t) - (towards_zero && fabs(fraction) == 0.5));
    return (y < 0) == towards_zero ? y + unit : y - unit;
}

/* y < x, exactly: (double)x might round. */
static int below(double y, int64_t x) { return y < 0x1p63 && (int64_t)y < x; }

/* A float type does not have every integer. Where the number just inside a bound rounds to one
 * outside, the bound becomes the first number of the type that is inside. (`high` itself is
 * outside, `low` inside.) */
static int64_t inner_low(rng_type t, int64_t low) {
    if (low == INT64_MAX) return low;
    double y = rounded(t, low + 1);
    if (y < -0x1p63 || !below(y, low)) return low; /* a half may round to an infinity */
    y = beside(t, y, y < 0);
    return y < 0x1p63 ? (int64_t)y : INT64_MAX;
}

static int64_t inner_high(rng_type t, int64_t high) {
    if (high == INT64_MIN) return high;
    double y = rounded(t, high - 1);
    if (y < -0x1p63 || y >= 0x1p63) return high; /* PyTorch's own test overflows there */
    return below(y, high) ? high : (int64_t)beside(t, y, y > 0);
}

int rng_randint(rng_state *s, rng_type t, void *out, int64_t n, int64_t low, int64_t high) {
    if (low >= high) return -1;
    if (rng_is_float(t)) {
        int64_t l = inner_low(t, low), h = inner_high(t, high);
        if (l >= h) return -1; /* PyTorch refuses it too */
        low = l, high = h;
    }
    bounded(s, t, out, n, low, (uint64_t)high - (uint64_t)low);
    return 0;
}

/* The greatest number of random_ without a bound, which it reaches. */
static int64_t greatest(rng_type t) {
    switch (t) {
    case RNG_I64:
        return INT64_MAX;
    case RNG_I32:
        return INT32_MAX;
    case RNG_I16:
        return INT16_MAX;
    case RNG_I8:
        return INT8_MAX;
    case RNG_U8:
        return UINT8_MAX;
    case RNG_U16:
        return UINT16_MAX;
    case RNG_U32:
        return UINT32_MAX;
    case RNG_BOOL:
        return 1;
    case RNG_U64:
        break;
    default:
        return INT64_C(1) << digits(t);
    }
    return -1;
}

int rng_random_from(rng_state *s, rng_type t, void *out, int64_t n, int64_t low) {
    int64_t high = greatest(t);
    if (low == INT64_MIN) {
        if (t != RNG_I64 && t != RNG_F64 && t != RNG_F32 && t != RNG_BF16) return -1;
        ranged(s, t, out, n, 1, 0, 0);
        return 0;
    }
    if (high < low) return -1;
    if (rng_is_float(t)) low = inner_low(t, low);
    bounded(s, t, out, n, low, (uint64_t)high - (uint64_t)low + 1);
    return 0;
}

int rng_random(rng_state *s, rng_type t, void *out, int64_t n) {
    if (t == RNG_U16 || t == RNG_U32 || t == RNG_U64) return -1;
    ranged(s, t, out, n, t == RNG_I64 || t == RNG_F64, 0, (uint64_t)greatest(t) + 1);
    return 0;
}
