/* Errors of the vector functions in units in the last place, against libm in the next wider type, over
 * samples of the whole range; special values; independence of a lane from its neighbours; speed.
 *
 * Built once per instruction set (-DAD_ISA_AVX2 ...); see run.sh. Exits 77 where the processor
 * does not offer it, 1 where a bound is exceeded. With a number as argument, that many samples. */
#include "isa_target.h"

typedef long double ld;

static ld sigmoidl(ld x) { return x < 0 ? expl(x) / (1 + expl(x)) : 1 / (1 + expl(-x)); }
static ld log_sigmoidl(ld x) { return fminl(x, 0) - log1pl(expl(-fabsl(x))); }
static ld softplusl(ld x) { return fmaxl(x, 0) + log1pl(expl(-fabsl(x))); }
static ld silul(ld x) { return x * sigmoidl(x); }
static ld gelul(ld x) {
    return isinf(x) ? (x > 0 ? x : NAN) : 0.5L * x * erfcl(-x * 0.70710678118654752440084436210484904L);
}
static ld ndtrl(ld x) { return 0.5L * erfcl(-x * 0.70710678118654752440084436210484904L); }
static ld rsqrtl(ld x) { return 1 / sqrtl(x); }
static ld recipl(ld x) { return 1 / x; }
static double sigmoid(double x) { return x < 0 ? exp(x) / (1 + exp(x)) : 1 / (1 + exp(-x)); }
static double log_sigmoid(double x) { return fmin(x, 0) - log1p(exp(-fabs(x))); }
static double softplus(double x) { return fmax(x, 0) + log1p(exp(-fabs(x))); }
static double silu(double x) { return (double)silul(x); }
static double gelu(double x) { return (double)gelul(x); }
static double ndtr(double x) { return (double)ndtrl(x); }
static double rsqrt(double x) { return 1 / sqrt(x); }
static double recip(double x) { return 1 / x; }
static ld reluth(ld x) { return x > 0 ? x : x != x ? x : 0; }
static double relut(double x) { return x > 0 ? x : x != x ? x : 0; }
#define relu relut
#define relul reluth
#define roundl nearbyintl
#define round nearbyint

/* Without fused multiply-add some are a shade worse. */
#ifdef AD_ISA_SSE2
#define UNFUSED 1.1
#else
#define UNFUSED 1
#endif

/* name, largest error allowed for float32 and float64, a range of special interest. */
#define UNARY(X)                                                                                             \
    X(exp, 1, 1, -110, 100)                                                                                  \
    X(exp2, UNFUSED, UNFUSED, -160, 130)                                                                     \
    X(expm1, UNFUSED, UNFUSED, -2, 2)                                                                        \
    X(log, 1, 1, 0.5, 2)                                                                                     \
    X(log2, 1, 1, 0.5, 2)                                                                                    \
    X(log10, 1, 1, 0.5, 2)                                                                                   \
    X(log1p, 1, 1, -1, 2)                                                                                    \
    X(sin, 1, 1, -10, 10)                                                                                    \
    X(cos, 1, 1, -10, 10)                                                                                    \
    X(tan, 1, 1, -10, 10)                                                                                    \
    X(sinh, 1, 2, -3, 3)                                                                                     \
    X(cosh, 1, 2, -3, 3)                                                                                     \
    X(tanh, 2, 2, -4, 4)                                                                                     \
    X(asin, 1, 1, -1, 1)                                                                                     \
    X(acos, 1, 1, -1, 1)                                                                                     \
    X(atan, 1, 1, -3, 3)                                                                                     \
    X(asinh, 1, 2, -3, 3)                                                                                    \
    X(acosh, 1, 2, 1, 3)                                                                                     \
    X(atanh, 1, 2, -1, 1)                                                                                    \
    X(sigmoid, 1, 1, -30, 30)                                                                                \
    X(silu, 1, 1, -30, 30)                                                                                   \
    X(gelu, 2 * UNFUSED, 2 * UNFUSED, -14, 6)                                                                \
    X(ndtr, 1, 2.4, -14, 6)                                                                                  \
    X(log_sigmoid, 1, 1, -20, 20)                                                                            \
    X(softplus, 1, 1, -20, 20)                                                                               \
    X(erf, 2, 2, -4, 4)                                                                                      \
    X(erfc, 1, 4, -6, 28)                                                                                    \
    X(rsqrt, 1.5, 1.5, 0, 4)                                                                                 \
    X(recip, 0.51, 0.51, -4, 4)                                                                              \
    X(sqrt, 0.51, 0.51, 0, 4)                                                                                \
    X(floor, 0, 0, -9, 9)                                                                                    \
    X(ceil, 0, 0, -9, 9)                                                                                     \
    X(trunc, 0, 0, -9, 9)                                                                                    \
    X(round, 0, 0, -9, 9)                                                                                    \
    X(relu, 0, 0, -9, 9)

#define BINARY(X)                                                                                            \
    X(pow, 1, 2, 0, 4)                                                                                       \
    X(hypot, 1, 1, -9, 9)                                                                                    \
    X(atan2, 1, 1, -9, 9)                                                                                    \
    X(fmod, 0, 0, -9, 9)

typedef void (*vec_fn)(long n, void *out, const void *a, const void *b);
typedef struct {
    const char *name;
    int binary;
    double bound[2], lo, hi;
    vec_fn fn[2];
    double (*r32)(double), (*r32b)(double, double);
    ld (*r64)(ld), (*r64b)(ld, ld);
} function;

#define AD_VMATH_TEST_WRAP1(name, ...)                                                                       \
    static void VN(t_##name)(long n, void *o, const void *a, const void *b) {                                \
        (void)b;                                                                                             \
        for (long i = 0; i < n; i += VL) v_store((T *)o + i, v_##name(v_load((const T *)a + i)));            \
    }
#define AD_VMATH_TEST_WRAP2(name, ...)                                                                       \
    static void VN(t_##name)(long n, void *o, const void *a, const void *b) {                                \
        for (long i = 0; i < n; i += VL)                                                                     \
            v_store((T *)o + i, v_##name(v_load((const T *)a + i), v_load((const T *)b + i)));               \
    }

#undef round
#define CT f64
#include "../../csrc/kernels/vec.h"
#include "../../csrc/kernels/vmath.h"
UNARY(AD_VMATH_TEST_WRAP1)
BINARY(AD_VMATH_TEST_WRAP2)
#undef CT
#define CT f32
#include "../../csrc/kernels/vec.h"
#include "../../csrc/kernels/vmath.h"
UNARY(AD_VMATH_TEST_WRAP1)
BINARY(AD_VMATH_TEST_WRAP2)
#undef CT
#define CT i64
#include "../../csrc/kernels/vec.h"
#include "../../csrc/kernels/vmath.h"
#undef CT
#define round nearbyint

#define ROW1(name, b32, b64, lo, hi)                                                                         \
    {#name, 0, {b32, b64}, lo, hi, {t_##name##_f32, t_##name##_f64}, name, NULL, name##l, NULL},
#define ROW2(name, b32, b64, lo, hi)                                                                         \
    {#name, 1, {b32, b64}, lo, hi, {t_##name##_f32, t_##name##_f64}, NULL, name, NULL, name##l},
#undef round
static double round_(double x) { return nearbyint(x); }
static ld round_l(ld x) { return nearbyintl(x); }
#define round round_
#undef roundl
#define roundl round_l
static const function functions[] = {UNARY(ROW1) BINARY(ROW2)};

static uint64_t rng = 88172645463325252u;
static uint64_t next(void) {
    rng ^= rng << 13;
    rng ^= rng >> 7;
    return rng ^= rng << 17;
}
static double uniform(double lo, double hi) { return lo + (hi - lo) * (double)(next() >> 11) * 0x1p-53; }

static const double specials[] = {
    0.0,       -0.0,     1,          -1,         0.5,       -0.5,  2,      -2,      3,         -3,
    1.5,       -1.5,     2.5,        INFINITY,   -INFINITY, NAN,   1e-310, -1e-310, 0x1p-1074, 0x1p-149,
    -0x1p-149, 0x1p-126, 0x1p-1022,  1e30,       -1e30,     1e300, -1e300, 1e9 + 1, 100,       -100,
    1000,      -1000,    0x1p53 - 1, 0x1p24 - 1, 7.5,       1e-5,  -1e-5,  20};
enum { NSPECIAL = sizeof specials / sizeof *specials };

/* Distance of got from the exact value in units in the last place of the type; an infinity counts as the
 * power of two beyond the largest number. */
static double ulps(ld exact, double got, int f64) {
    int min = f64 ? -1022 : -126, max = f64 ? 1024 : 128;
    if (isnan(exact) || isnan(got)) return isnan(exact) && isnan(got) ? 0 : 1e9;
    ld limit = ldexpl(1, max), value = isinf(got) ? copysignl(limit, got) : got;
    if (fabsl(exact) > limit) exact = copysignl(limit, exact);
    int e = exact == 0 || ilogbl(exact) < min ? min : ilogbl(exact);
    return (double)(fabsl(exact - value) / ldexpl(1, (e == max ? e - 1 : e) - (f64 ? 52 : 23)));
}

static double get(const void *p, long i, int f64) {
    return f64 ? ((const double *)p)[i] : ((const float *)p)[i];
}
static void put(void *p, long i, int f64, double x) {
    if (f64) ((double *)p)[i] = x;
    else ((float *)p)[i] = (float)x;
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* Random bits cover every exponent; the rest lies in the range of interest. */
static void sample(const function *f, void *p, long n, int f64) {
    for (long i = 0; i < n; i++) {
        uint64_t bits = next();
        double x = uniform(f->lo, f->hi);
        if (i % 2 == 0) {
            if (f64) memcpy(&x, &bits, 8);
            else {
                float y;
                memcpy(&y, &bits, 4);
                x = y;
            }
        }
        put(p, i, f64, x);
    }
}

static ld reference(const function *f, double a, double b, int f64) {
    if (f->binary) return f64 ? f->r64b(a, b) : f->r32b(a, b);
    return f64 ? f->r64(a) : f->r32(a);
}

static int check(const function *f, int f64, long n) {
    size_t size = f64 ? 8 : 4;
    int bad = 0;
    char *a = malloc((size_t)(n + 32) * size), *b = malloc((size_t)(n + 32) * size);
    char *o = malloc((size_t)(n + 32) * size), *o2 = malloc((size_t)(n + 32) * size);
    sample(f, a, n + 32, f64);
    sample(f, b, n + 32, f64);
    if (!strcmp(f->name, "pow")) /* results mostly in range */
        for (long i = 0; i < n; i += 2) {
            double x = fabs(get(a, i, f64)), l = log(x), top = f64 ? 750 : 105;
            put(b, i, f64, uniform(-top, top) / l);
            put(a, i, f64, x);
        }
    f->fn[f64](n, o, a, b);
    double worst = 0, wa = 0, wb = 0, wo = 0;
    ld wr = 0;
    for (long i = 0; i < n; i++) {
        double x = get(a, i, f64), y = get(b, i, f64), r = get(o, i, f64);
        ld exact = reference(f, x, y, f64);
        double u = ulps(exact, r, f64);
        if (u > worst) worst = u, wa = x, wb = y, wo = r, wr = exact;
    }
    /* The same elements one lane further on. */
    f->fn[f64](n - 32, o2, a + size, b + size);
    if (memcmp(o + size, o2, (size_t)(n - 64) * size)) printf("%s: depends on the lane\n", f->name), bad = 1;

    /* Specials: libm of the same type, bit for bit but for rounding; sign of zero included. */
    int m = f->binary ? NSPECIAL : 1;
    long k = 0;
    for (int i = 0; i < NSPECIAL; i++)
        for (int j = 0; j < m; j++, k++) put(a, k, f64, specials[i]), put(b, k, f64, specials[j]);
    for (long i = k; i < k + 32; i++) put(a, i, f64, 1), put(b, i, f64, 1);
    f->fn[f64](k, o, a, b);
    for (long i = 0; i < k; i++) {
        double x = get(a, i, f64), y = get(b, i, f64), r = get(o, i, f64);
        ld exact = reference(f, x, y, f64);
        double e = f64 ? (double)exact : (float)exact, u = ulps(exact, r, f64);
        if (u > f->bound[f64] || (e == 0 && r == 0 && signbit(e) != signbit(r) && strcmp(f->name, "relu") &&
                                  strcmp(f->name, "log_sigmoid"))) {
            printf("%s(%a, %a) = %a, not %a\n", f->name, x, y, r, e);
            bad = 1;
        }
    }

    long nb = 2048;
    for (long i = 0; i < nb; i++)
        put(a, i, f64, uniform(f->lo, f->hi)), put(b, i, f64, uniform(f->lo, f->hi));
    double best = 1e30;
    for (int rep = 0; rep < 20; rep++) {
        double t = now();
        f->fn[f64](nb, o, a, b);
        f->fn[f64](nb, o, a, b);
        t = (now() - t) / (2.0 * (double)nb);
        if (t < best) best = t;
    }
    if (worst > f->bound[f64]) bad = 1;
    printf("%-8s %-12s %s  %8.3f ulp  %7.3f ns%s", ISA, f->name, f64 ? "f64" : "f32", worst, best,
           bad ? "   FAIL" : "");
    if (bad) printf("  at %a, %a: %a for %La", wa, wb, wo, wr);
    printf("\n");
    free(a), free(b), free(o), free(o2);
    return bad;
}

int main(int argc, char **argv) {
    if (!OFFERED) return 77;
    long n = argc > 1 ? atol(argv[1]) : 200000;
    const char *only = argc > 2 ? argv[2] : NULL;
    n = (n + 63) / 64 * 64;
    int bad = 0;
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++)
        for (int f64 = 0; f64 < 2; f64++)
            if (!only || !strcmp(only, functions[i].name)) bad |= check(&functions[i], f64, n);
    return bad;
}
#include "isa_target_end.h"
