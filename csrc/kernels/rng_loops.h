/* The inner loops of the random numbers, compiled once for each instruction set.
 *
 * rng_simd.c includes this file with RNG_FN (the suffix of every name), RNG_W (lanes of a float
 * vector, 8 at most), RNG_WIDE (32-bit lanes of an integer vector) and perhaps RNG_X86_FMA defined. The bits
 * of the results are part of the contract: they are PyTorch's (docs/random.md), so every fused multiply-add
 * is written out and none is left to the compiler. No include guard on purpose. */

#define RNG_CAT2(a, b) a##b
#define RNG_CAT(a, b) RNG_CAT2(a, b)
#define L(name) RNG_CAT(name, RNG_FN)

typedef float L(vf) __attribute__((vector_size(RNG_W * 4)));
typedef int32_t L(vi) __attribute__((vector_size(RNG_W * 4)));
typedef uint32_t L(vu) __attribute__((vector_size(RNG_W * 4)));
typedef double L(vd) __attribute__((vector_size(RNG_W * 8)));
#define VF L(vf)
#define VI L(vi)
#define VU L(vu)
#define VD L(vd)

/* Vector arguments go by pointer: passing 32 bytes by value has no fixed ABI on a baseline x86. */
static RNG_INLINE void L(fma_to)(VF *r, const VF *a, const VF *b, const VF *c) {
#if defined(RNG_X86_FMA)
    *r = (VF)_mm256_fmadd_ps((__m256)*a, (__m256)*b, (__m256)*c);
#elif defined(__aarch64__)
    *r = vfmaq_f32(*c, *a, *b);
#else
    /* A product of floats is exact in double; the second rounding differs from a true fused one in
     * about one case of 2^29. */
    VD d =
        __builtin_convertvector(*a, VD) * __builtin_convertvector(*b, VD) + __builtin_convertvector(*c, VD);
    *r = __builtin_convertvector(d, VF);
#endif
}

static RNG_INLINE void L(sqrt_of)(VF *x) {
#if defined(RNG_X86_FMA)
    *x = (VF)_mm256_sqrt_ps((__m256)*x);
#elif defined(__aarch64__)
    *x = vsqrtq_f32(*x);
#elif defined(__SSE2__)
    *x = (VF)_mm_sqrt_ps((__m128)*x);
#else
    for (int k = 0; k < RNG_W; k++) (*x)[k] = sqrtf((*x)[k]);
#endif
}

static RNG_INLINE double L(fma_f64)(double a, double b, double c) { return __builtin_fma(a, b, c); }

static RNG_INLINE float L(fma_f32)(float a, float b, float c) {
#if defined(RNG_X86_FMA) || defined(__aarch64__)
    return __builtin_fmaf(a, b, c);
#else
    return (float)((double)a * b + c);
#endif
}

/* Unsigned integers in vectors of RNG_WIDE lanes; the compiler's own vectorizer is not relied on here. */
typedef uint32_t L(vw) __attribute__((vector_size(RNG_WIDE * 4)));
typedef int32_t L(vi32) __attribute__((vector_size(RNG_WIDE * 4)));
typedef uint64_t L(vp) __attribute__((vector_size(RNG_WIDE * 4)));
typedef int64_t L(vq) __attribute__((vector_size(RNG_WIDE * 4)));
typedef int16_t L(vh) __attribute__((vector_size(RNG_WIDE * 2)));
typedef int8_t L(vb) __attribute__((vector_size(RNG_WIDE)));
#if RNG_WIDE == 16
#define RNG_EVENS 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30
#elif RNG_WIDE == 8
#define RNG_EVENS 0, 2, 4, 6, 8, 10, 12, 14
#else
#define RNG_EVENS 0, 2, 4, 6
#endif

/* One step of mt19937, of a word or of a vector of them, and the tempering. */
#define RNG_TWIST(hi, lo, T)                                                                                 \
    ((((hi) & 0x80000000u) | ((lo) & 0x7fffffffu)) >> 1 ^ (((T){0} - ((lo) & 1u)) & 0x9908b0dfu))
#define RNG_TEMPER(y)                                                                                        \
    do {                                                                                                     \
        y ^= y >> 11;                                                                                        \
        y ^= (y << 7) & 0x9d2c5680u;                                                                         \
        y ^= (y << 15) & 0xefc60000u;                                                                        \
        y ^= y >> 18;                                                                                        \
    } while (0)

/* Words [i, end), each with the one at `far` from it. */
static RNG_INLINE void L(stretch)(uint32_t *restrict mt, uint32_t *restrict out, int i, int end, int far) {
    for (; i + RNG_WIDE <= end; i += RNG_WIDE) {
        L(vw) a, b, y;
        memcpy(&a, mt + i, sizeof a);
        memcpy(&b, mt + i + 1, sizeof b);
        memcpy(&y, mt + i + far, sizeof y);
        y ^= RNG_TWIST(a, b, L(vw));
        memcpy(mt + i, &y, sizeof y);
        RNG_TEMPER(y);
        memcpy(out + i, &y, sizeof y);
    }
    for (; i < end; i++) {
        uint32_t y = mt[i] = mt[i + far] ^ RNG_TWIST(mt[i], mt[i + 1], uint32_t);
        RNG_TEMPER(y);
        out[i] = y;
    }
}

/* All 624 words, each of which needs one that lies 397 ahead (mod 624): the first 227 have it still old. */
static void L(block)(uint32_t *restrict mt, uint32_t *restrict out) {
    L(stretch)(mt, out, 0, 227, 397);
    L(stretch)(mt, out, 227, 623, -227);
    uint32_t y = mt[623] = mt[396] ^ RNG_TWIST(mt[623], mt[0], uint32_t);
    RNG_TEMPER(y);
    out[623] = y;
}
#undef RNG_TWIST
#undef RNG_TEMPER

/* 24 bits of a word as a float in [0, 1). */
static RNG_INLINE float L(unit32)(uint32_t w) { return (float)(int32_t)(w & 0xffffffu) * 0x1p-24f; }

/* 53 bits of two words as a double that counts units of 2^-53. */
static RNG_INLINE double L(count53)(uint32_t hi, uint32_t lo) {
    double low = (double)(int32_t)(lo ^ 0x80000000u) + 0x1p31; /* unsigned to double without a slow path */
    return (double)(int32_t)(hi & 0x1fffffu) * 0x1p32 + low;
}

static void L(uniform_f32)(const uint32_t *restrict w, float *restrict out, int n, float from, float to) {
    float range = to - from;
    VF from_v = (VF){0} + from, to_v = (VF){0} + to, range_v = (VF){0} + range;
    int i = 0;
    for (; i + RNG_W <= n; i += RNG_W) {
        VU u;
        memcpy(&u, w + i, sizeof u);
        VF y = __builtin_convertvector((VI)(u & 0xffffffu), VF) * 0x1p-24f;
        L(fma_to)(&y, &y, &range_v, &from_v);
        VI last = y == to_v;
        y = (VF)(((VI)from_v & last) | ((VI)y & ~last));
        memcpy(out + i, &y, sizeof y);
    }
    for (; i < n; i++) {
        float y = L(fma_f32)(L(unit32)(w[i]), range, from);
        out[i] = y == to ? from : y;
    }
}

static void L(uniform_f64)(const uint32_t *restrict w, double *restrict out, int n, double from, double to) {
    double range = to - from;
    for (int i = 0; i < n; i++) {
        double y = L(fma_f64)(L(count53)(w[2 * i], w[2 * i + 1]) * 0x1p-53, range, from);
        out[i] = y == to ? from : y;
    }
}

/* Doubles in [0, 1). */
static void L(unit_f64)(const uint32_t *restrict w, double *restrict out, int n) {
    for (int i = 0; i < n; i++) out[i] = L(count53)(w[2 * i], w[2 * i + 1]) * 0x1p-53;
}

/* u < p in integers: u counts units of 2^-53, and p scaled by them is exact. The truth of 64-bit lanes is
 * narrowed in steps for which there are instructions. */
static RNG_INLINE L(vq) L(below)(const uint32_t *w, int64_t limit) {
    L(vp) halves; /* the high one comes first */
    memcpy(&halves, w, sizeof halves);
    return ((L(vq))(halves << 32 | halves >> 32) & 0x1fffffffffffff) < limit;
}
static void L(bernoulli)(const uint32_t *restrict w, uint8_t *restrict out, int n, double p) {
    int64_t limit = (int64_t)ceil(p * 0x1p53);
    int i = 0;
    for (; i + RNG_WIDE <= n; i += RNG_WIDE) {
        L(vi32) a = (L(vi32))L(below)(w + 2 * i, limit), b = (L(vi32))L(below)(w + 2 * i + RNG_WIDE, limit);
        L(vi32) both = __builtin_shufflevector(a, b, RNG_EVENS);
        L(vb) kept = __builtin_convertvector(__builtin_convertvector(both, L(vh)), L(vb)) & 1;
        memcpy(out + i, &kept, sizeof kept);
    }
    for (; i < n; i++) out[i] = (int64_t)((uint64_t)(w[2 * i] & 0x1fffffu) << 32 | w[2 * i + 1]) < limit;
}
#undef RNG_EVENS

/* Natural logarithm of floats in (0, 1], by Cephes's logf: x = 2^e * m, m in [sqrt(1/2), sqrt(2)). */
static RNG_INLINE void L(log_of)(VF *x) {
    static const float poly[8] = {-1.1514610310e-1f, 1.1676998740e-1f, -1.2420140846e-1f, 1.4249322787e-1f,
                                  -1.6668057665e-1f, 2.0000714765e-1f, -2.4999993993e-1f, 3.3333331174e-1f};
    VU bits = (VU)*x;
    VI exponent = (VI)(bits >> 23) - 126;
    VF m = (VF)((bits & 0x7fffffu) | 0x3f000000u); /* [1/2, 1) */
    VI small = m < 0.707106781186547524f;          /* all ones where true */
    VF e = __builtin_convertvector(exponent + small, VF);
    m = (m - 1.0f) + (VF)((VI)m & small);
    VF z = m * m, zero = {0}, y = zero + 7.0376836292e-2f;
    for (int k = 0; k < 8; k++) {
        VF c = zero + poly[k];
        L(fma_to)(&y, &y, &m, &c);
    }
    y *= m;
    VF low = e * -2.12194440e-4f; /* ln 2 in two parts */
    L(fma_to)(&y, &y, &z, &low);
    y -= z * 0.5f;
    *x = (m + y) + e * 0.693359375f;
}

/* Sine and cosine of floats in [0, 2 pi], by Cephes's sinf and cosf. */
static RNG_INLINE void L(sincos_of)(const VF *angle, VF *sine, VF *cosine) {
    VF x = *angle;
    VI octant = __builtin_convertvector(x * 1.27323954473516f, VI);
    octant = (octant + 1) & ~1;
    VF o = __builtin_convertvector(octant, VF);
    VF zero = {0}, part = zero - 0.78515625f; /* pi/4 in three parts */
    L(fma_to)(&x, &o, &part, &x);
    part = zero - 2.4187564849853515625e-4f;
    L(fma_to)(&x, &o, &part, &x);
    part = zero - 3.77489497744594108e-8f;
    L(fma_to)(&x, &o, &part, &x);
    VF z = x * x;

    VF c = zero + 2.443315711809948e-5f, k = zero - 1.388731625493765e-3f;
    L(fma_to)(&c, &c, &z, &k);
    k = zero + 4.166664568298827e-2f;
    L(fma_to)(&c, &c, &z, &k);
    c *= z;
    VF half = -(z * 0.5f);
    L(fma_to)(&c, &c, &z, &half);
    c += 1.0f;

    VF s = zero - 1.9515295891e-4f;
    k = zero + 8.3321608736e-3f;
    L(fma_to)(&s, &s, &z, &k);
    k = zero - 1.6666654611e-1f;
    L(fma_to)(&s, &s, &z, &k);
    s *= z;
    L(fma_to)(&s, &s, &x, &x);

    /* octant is 0, 2, 4, 6 or 8: swap in the odd quadrants, then the signs */
    VI swap = -((octant >> 1) & 1);
    VI sine_sign = (octant & 4) << 29, cosine_sign = ((octant + 2) & 4) << 29;
    VI si = ((VI)s & ~swap) | ((VI)c & swap), ci = ((VI)c & ~swap) | ((VI)s & swap);
    *sine = (VF)(si ^ sine_sign);
    *cosine = (VF)(ci ^ cosine_sign);
}

/* Box-Muller over groups of 16: the first 8 words give the radius, the last 8 the angle; the
 * cosines come first. */
static void L(normal_f32)(const uint32_t *restrict w, float *restrict out, int groups, float mean,
                          float std) {
    for (; groups > 0; groups--, w += 16, out += 16)
        for (int j = 0; j < 8; j += RNG_W) {
            VU wr, wa;
            memcpy(&wr, w + j, sizeof wr);
            memcpy(&wa, w + 8 + j, sizeof wa);
            VF r = 1.0f - __builtin_convertvector((VI)(wr & 0xffffffu), VF) * 0x1p-24f;
            VF a = __builtin_convertvector((VI)(wa & 0xffffffu), VF) * 0x1p-24f * 6.283185307179586f;
            VF sine, cosine, m = {0}, scale = {0};
            m = m + mean;
            scale = scale + std;
            L(log_of)(&r);
            r *= -2.0f;
            L(sqrt_of)(&r);
            L(sincos_of)(&a, &sine, &cosine);
            cosine *= r;
            sine *= r;
            L(fma_to)(&cosine, &cosine, &scale, &m);
            L(fma_to)(&sine, &sine, &scale, &m);
            memcpy(out + j, &cosine, sizeof cosine);
            memcpy(out + 8 + j, &sine, sizeof sine);
        }
}

const rng_loops L(rng_loops) = {
    RNG_LOOPS_NAME, L(block), L(uniform_f32), L(uniform_f64), L(unit_f64), L(bernoulli), L(normal_f32),
};

#undef VF
#undef VI
#undef VU
#undef VD
#undef L
#undef RNG_CAT
#undef RNG_CAT2
#undef RNG_FN
#undef RNG_W
#undef RNG_WIDE
#undef RNG_LOOPS_NAME
#undef RNG_X86_FMA
