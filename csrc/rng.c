/* The generator, and the two distributions that training lives on: uniform and normal. */
#include "rng_internal.h"

#include <math.h>

const rng_loops *rng_active;

/* Two threads that meet here store the same pointer. */
const rng_loops *rng_pick(void) { return rng_active = rng_loops_find(NULL); }

const char *rng_loops_name(void) { return rng_simd()->name; }

int rng_use_loops(const char *name) {
    const rng_loops *l = rng_loops_find(name);
    if (!l) return -1;
    rng_active = l;
    return 0;
}

size_t rng_type_size(rng_type t) {
    switch (t) {
    case RNG_F64:
    case RNG_I64:
    case RNG_U64:
        return 8;
    case RNG_F32:
    case RNG_I32:
    case RNG_U32:
        return 4;
    case RNG_BF16:
    case RNG_F16:
    case RNG_I16:
    case RNG_U16:
        return 2;
    case RNG_I8:
    case RNG_U8:
    case RNG_BOOL:
        return 1;
    }
    return 0;
}

void rng_seed(rng_state *s, uint64_t seed) {
    memset(s, 0, sizeof *s);
    s->seed = seed;
    s->mt[0] = (uint32_t)seed;
    for (uint32_t i = 1; i < RNG_WORDS; i++) {
        uint32_t y = s->mt[i - 1];
        s->mt[i] = 1812433253u * (y ^ (y >> 30)) + i;
    }
}

/* PyTorch's layout, in the machine's byte order:
 *   0 seed u64, 8 left i32, 12 seeded i32, 16 next u64, 24 words u64[624],
 *   5016 unused f64, 5024 second normal f64, 5032 unused f64, 5040 it is there i32, 5044 zero,
 *   5048 second float normal f32, 5052 it is there u8, 5053 zeros
 * where left - 1 words of the block remain. */
void rng_get_state(const rng_state *s, uint8_t bytes[RNG_STATE_BYTES]) {
    int32_t left = s->avail + 1, one = 1, has = s->has_normal;
    uint64_t next = (uint64_t)s->next;
    memset(bytes, 0, RNG_STATE_BYTES);
    memcpy(bytes, &s->seed, 8);
    memcpy(bytes + 8, &left, 4);
    memcpy(bytes + 12, &one, 4);
    memcpy(bytes + 16, &next, 8);
    for (int i = 0; i < RNG_WORDS; i++) {
        uint64_t w = s->mt[i];
        memcpy(bytes + 24 + 8 * i, &w, 8);
    }
    if (has) memcpy(bytes + 5024, &s->normal, 8);
    memcpy(bytes + 5040, &has, 4);
    if (s->has_normal_f) memcpy(bytes + 5048, &s->normal_f, 4);
    bytes[5052] = s->has_normal_f;
}

int rng_set_state(rng_state *s, const uint8_t *bytes, size_t size) {
    int32_t left, seeded, has;
    uint64_t next;
    if (size != RNG_STATE_BYTES) return -1;
    memcpy(&left, bytes + 8, 4);
    memcpy(&seeded, bytes + 12, 4);
    memcpy(&next, bytes + 16, 8);
    if (left < 1 || left > RNG_WORDS || !seeded || next > RNG_WORDS) return -1;
    /* PyTorch accepts this one and then reads past its words */
    if (next + (uint64_t)(left - 1) > RNG_WORDS) return -1;
    memset(s, 0, sizeof *s);
    memcpy(&s->seed, bytes, 8);
    s->avail = left - 1;
    s->next = (int32_t)next;
    for (int i = 0; i < RNG_WORDS; i++) {
        uint64_t w;
        memcpy(&w, bytes + 24 + 8 * i, 8);
        uint32_t y = s->mt[i] = (uint32_t)w;
        y ^= y >> 11;
        y ^= (y << 7) & 0x9d2c5680u;
        y ^= (y << 15) & 0xefc60000u;
        s->out[i] = y ^ (y >> 18);
    }
    memcpy(&has, bytes + 5040, 4);
    s->has_normal = has != 0;
    if (has) memcpy(&s->normal, bytes + 5024, 8);
    s->has_normal_f = bytes[5052] != 0;
    if (s->has_normal_f) memcpy(&s->normal_f, bytes + 5048, 4);
    return 0;
}

static void refill(rng_state *s) {
    rng_simd()->block(s->mt, s->out);
    s->next = 0;
    s->avail = RNG_WORDS;
}

uint32_t rng_u32(rng_state *s) {
    if (!s->avail) refill(s);
    s->avail--;
    return s->out[s->next++];
}

uint64_t rng_u64(rng_state *s) {
    uint64_t hi = rng_u32(s);
    return hi << 32 | rng_u32(s);
}

void rng_raw32(rng_state *s, uint32_t *out, int64_t n) {
    while (n > 0) {
        if (!s->avail) refill(s);
        int32_t k = n < s->avail ? (int32_t)n : s->avail;
        memcpy(out, s->out + s->next, (size_t)k * 4);
        s->next += k;
        s->avail -= k;
        out += k;
        n -= k;
    }
}

void rng_units(rng_state *s, double *out, int n) {
    uint32_t w[RNG_TILE];
    rng_raw32(s, w, 2 * n);
    rng_simd()->unit_f64(w, out, n);
}

double rng_unit(rng_state *s) { return (double)(rng_u64(s) & ((UINT64_C(1) << 53) - 1)) * 0x1p-53; }

/* Narrows floats; `at` counts elements. */
static void store_floats(rng_type t, void *out, int64_t at, const float *x, int n) {
    uint16_t *o = (uint16_t *)out + at;
    if (t == RNG_BF16)
        for (int i = 0; i < n; i++) o[i] = rng_bf16(x[i]);
    else
        for (int i = 0; i < n; i++) o[i] = rng_f16(x[i]);
}

void rng_store(rng_type t, void *out, int64_t at, const double *x, int n) {
    if (t == RNG_F64) memcpy((double *)out + at, x, (size_t)n * sizeof *x);
    if (t == RNG_F32)
        for (int i = 0; i < n; i++) ((float *)out)[at + i] = (float)x[i];
    if (t == RNG_BF16)
        for (int i = 0; i < n; i++) ((uint16_t *)out)[at + i] = rng_bf16((float)x[i]);
    if (t == RNG_F16)
        for (int i = 0; i < n; i++) ((uint16_t *)out)[at + i] = rng_f16((float)x[i]);
}

/* A narrow type is drawn in float and rounded; a number that rounds up to `to` becomes `from`, as in
 * the loops of the wide types, or the range would not be half open. */
static void uniform_narrow(rng_type t, uint16_t *out, const uint32_t *w, int n, float from, float to) {
    float x[RNG_TILE];
    uint16_t first = t == RNG_BF16 ? rng_bf16(from) : rng_f16(from);
    uint16_t end = t == RNG_BF16 ? rng_bf16(to) : rng_f16(to);
    rng_simd()->uniform_f32(w, x, n, from, to);
    store_floats(t, out, 0, x, n);
    for (int i = 0; i < n; i++)
        if (out[i] == end) out[i] = first;
}

int rng_uniform(rng_state *s, rng_type t, void *out, int64_t n, double from, double to) {
    if (!rng_is_float(t)) return -1;
    uint32_t w[RNG_TILE];
    int tile = t == RNG_F64 ? RNG_PAIRS : RNG_TILE;
    for (int64_t at = 0; at < n; at += tile) {
        int k = n - at < tile ? (int)(n - at) : tile;
        rng_raw32(s, w, t == RNG_F64 ? 2 * k : k);
        if (t == RNG_F64) rng_simd()->uniform_f64(w, (double *)out + at, k, from, to);
        else if (t == RNG_F32) rng_simd()->uniform_f32(w, (float *)out + at, k, (float)from, (float)to);
        else uniform_narrow(t, (uint16_t *)out + at, w, k, (float)from, (float)to);
    }
    return 0;
}

/* One standard normal by Box-Muller in double; every second one was made by the call before. */
static double serial_normal(rng_state *s) {
    if (s->has_normal) {
        s->has_normal = 0;
        return s->normal;
    }
    double u1 = rng_unit(s), u2 = rng_unit(s);
    double r = sqrt(-2.0 * log1p(-u2)), angle = 2.0 * 3.14159265358979323846 * u1;
    s->normal = r * sin(angle);
    s->has_normal = 1;
    return r * cos(angle);
}

int rng_normal_serial(rng_state *s, rng_type t, void *out, int64_t n, double mean, double std) {
    if (!rng_is_float(t)) return -1;
    for (int64_t i = 0; i < n; i++) {
        double x = fma(serial_normal(s), std, mean);
        rng_store(t, out, i, &x, 1);
    }
    return 0;
}

/* Box-Muller over 16 doubles, 8 radii and 8 angles. */
static void normal16_f64(rng_state *s, double *out, double mean, double std) {
    double u[16];
    rng_units(s, u, 16);
    for (int j = 0; j < 8; j++) {
        double r = sqrt(-2.0 * log(1.0 - u[j])), angle = 2.0 * 3.14159265358979323846 * u[j + 8];
        out[j] = fma(r * cos(angle), std, mean);
        out[j + 8] = fma(r * sin(angle), std, mean);
    }
}

static void normal_f64(rng_state *s, double *out, int64_t n, double mean, double std) {
    for (int64_t at = 0; at + 16 <= n; at += 16) normal16_f64(s, out + at, mean, std);
    if (n % 16) {
        for (int64_t i = 0; i < n % 16; i++) rng_u64(s); /* drawn, but what follows overwrites it */
        normal16_f64(s, out + n - 16, mean, std);
    }
}

static void normal_f32(rng_state *s, float *out, int64_t n, float mean, float std) {
    uint32_t w[RNG_TILE];
    int64_t whole = n - n % 16;
    for (int64_t at = 0; at < whole; at += RNG_TILE) {
        int k = whole - at < RNG_TILE ? (int)(whole - at) : RNG_TILE;
        rng_raw32(s, w, k);
        rng_simd()->normal_f32(w, out + at, k / 16, mean, std);
    }
    if (n % 16) {
        rng_raw32(s, w, n % 16); /* as above */
        rng_raw32(s, w, 16);
        rng_simd()->normal_f32(w, out + n - 16, 1, mean, std);
    }
}

/* The narrow types differ from float in their tail: nothing is drawn in vain. */
static void normal_narrow(rng_state *s, rng_type t, void *out, int64_t n, float mean, float std) {
    uint32_t w[RNG_TILE];
    float x[RNG_TILE];
    int64_t whole = n - n % 16;
    for (int64_t at = 0; at < whole; at += RNG_TILE) {
        int k = whole - at < RNG_TILE ? (int)(whole - at) : RNG_TILE;
        rng_raw32(s, w, k);
        rng_simd()->normal_f32(w, x, k / 16, mean, std);
        store_floats(t, out, at, x, k);
    }
    if (n % 16) {
        rng_raw32(s, w, 16);
        rng_simd()->normal_f32(w, x, 1, mean, std);
        store_floats(t, out, n - 16, x, 16);
    }
}

int rng_normal(rng_state *s, rng_type t, void *out, int64_t n, double mean, double std) {
    if (n < 16) return rng_normal_serial(s, t, out, n, mean, std);
    if (t == RNG_F32) normal_f32(s, out, n, (float)mean, (float)std);
    else if (t == RNG_F64) normal_f64(s, out, n, mean, std);
    else if (t == RNG_BF16 || t == RNG_F16) normal_narrow(s, t, out, n, (float)mean, (float)std);
    else return -1;
    return 0;
}
