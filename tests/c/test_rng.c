/* Checks csrc/rng*.c without PyTorch: pinned first values, the loops of all instruction sets against
 * one another, states, and the narrow float types. tests/c/compare_rng.py compares with PyTorch.
 *
 *   cc -std=gnu11 -g -O1 -ffp-contract=off -fsanitize=address,undefined -Icsrc \
 *      tests/c/test_rng.c csrc/rng*.c -lm -o build/test_rng && build/test_rng */
#include "rng_internal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static int failed;

#define CHECK(x)                                                                                             \
    do {                                                                                                     \
        if (!(x)) {                                                                                          \
            printf("%s:%d: %s\n", __FILE__, __LINE__, #x);                                                   \
            failed++;                                                                                        \
        }                                                                                                    \
    } while (0)

static rng_state s;

static void pinned(void) {
    /* mt19937 of seed 5489: its 10000th word is known from the algorithm's own publication */
    rng_seed(&s, 5489);
    uint32_t w = 0;
    for (int i = 0; i < 10000; i++) w = rng_u32(&s);
    CHECK(w == 4123659995u);

    /* torch.manual_seed(7); torch.rand(4) and torch.randperm(5) */
    float u[4];
    const float ru[4] = {0.53492254f, 0.19880319f, 0.6592117f, 0.65689027f};
    rng_seed(&s, 7);
    rng_uniform(&s, RNG_F32, u, 4, 0.0, 1.0);
    for (int i = 0; i < 4; i++) CHECK(u[i] == ru[i]);

    /* torch.manual_seed(7); torch.randint(2, (4,)): the lowest bits of the words */
    int64_t k[4];
    rng_seed(&s, 7);
    rng_randint(&s, RNG_I64, k, 4, 0, 2);
    CHECK(k[0] == 1 && k[1] == 0 && k[2] == 1 && k[3] == 0);
    rng_seed(&s, 7);
    rng_random(&s, RNG_I64, k, 2);
    CHECK(k[0] == INT64_C(1407639518939636932) && k[1] == INT64_C(5163590386780219894));
}

enum { MOST = 5000 };

/* Every set of loops gives the bits of every other, at every size and offset of a block. */
static void loops_agree(void) {
    static const char *const names[] = {"base", "avx2", "avx512"};
    static unsigned char out[3][MOST * 8];
    for (int what = 0; what < 6; what++)
        for (int n = 0; n < MOST; n += n < 70 ? 1 : 397) {
            int used = 0;
            for (int i = 0; i < 3; i++) {
                if (rng_use_loops(names[i])) continue;
                rng_seed(&s, (uint64_t)n);
                for (int skip = 0; skip < n % 7; skip++) rng_u32(&s);
                memset(out[used], 0, sizeof out[used]);
                if (what == 0) rng_uniform(&s, RNG_F32, out[used], n, 0.0, 1.0);
                if (what == 1) rng_uniform(&s, RNG_F64, out[used], n, -0.3, 1.7);
                if (what == 2) rng_normal(&s, RNG_F32, out[used], n, 0.0, 1.0);
                if (what == 3) rng_bernoulli(&s, RNG_BOOL, out[used], n, 0.3);
                if (what == 4) rng_exponential(&s, RNG_F32, out[used], n, 1.5);
                if (what == 5) rng_normal(&s, RNG_BF16, out[used], n, 0.5, 2.0);
                used++;
            }
            for (int i = 1; i < used; i++) CHECK(!memcmp(out[0], out[i], sizeof out[0]));
        }
    rng_use_loops(NULL);
    CHECK(rng_use_loops("no such loops") == -1);
}

static void states(void) {
    uint8_t a[RNG_STATE_BYTES], b[RNG_STATE_BYTES];
    double x[5], y[5];
    for (int n = 0; n < 1300; n += 1 + n / 7) {
        rng_seed(&s, 12345678901234567ull);
        for (int i = 0; i < n; i++) rng_u32(&s);
        rng_normal(&s, RNG_F64, x, n % 4, 0.0, 1.0);
        rng_get_state(&s, a);
        rng_normal(&s, RNG_F64, x, 5, 0.0, 1.0);
        rng_seed(&s, 0);
        CHECK(rng_set_state(&s, a, sizeof a) == 0);
        rng_get_state(&s, b);
        CHECK(!memcmp(a, b, sizeof a));
        rng_normal(&s, RNG_F64, y, 5, 0.0, 1.0);
        CHECK(!memcmp(x, y, sizeof x));
    }
    /* what is no state leaves the generator alone */
    rng_get_state(&s, a);
    for (int32_t left = -3; left <= 700; left++)
        for (uint64_t next = 0; next < 700; next += 23) {
            memcpy(b, a, sizeof b);
            memcpy(b + 8, &left, 4);
            memcpy(b + 16, &next, 8);
            int good = left >= 1 && left <= 624 && next <= 624 && next + (uint64_t)left - 1 <= 624;
            CHECK(rng_set_state(&s, b, sizeof b) == (good ? 0 : -1));
            if (good) {
                rng_u64(&s);
                rng_set_state(&s, a, sizeof a);
            }
        }
    memset(b, 0, sizeof b);
    CHECK(rng_set_state(&s, b, sizeof b) == -1);
    CHECK(rng_set_state(&s, a, sizeof a - 1) == -1);
    memset(b, 0xff, sizeof b);
    CHECK(rng_set_state(&s, b, sizeof b) == -1);
}

/* Rounding against the distance to both neighbours, by brute force over all narrow numbers. */
static void narrow_floats(void) {
    for (uint32_t h = 0; h < 0x7c00; h++) {
        float x = rng_from_f16((uint16_t)h), next = rng_from_f16((uint16_t)(h + 1));
        CHECK(rng_f16(x) == h && rng_f16(-x) == (h | 0x8000));
        if (h == 0x7bff) next = 65536.0f;
        float middle = (x + next) / 2;
        CHECK(rng_f16(middle) == (h % 2 ? h + 1 : h)); /* ties to even */
        CHECK(rng_f16(nextafterf(middle, 0.0f)) == h);
        CHECK(rng_f16(nextafterf(middle, INFINITY)) == h + 1);
    }
    for (uint32_t h = 0; h < 0x7f7f; h++) {
        float x = rng_from_bf16((uint16_t)h), next = rng_from_bf16((uint16_t)(h + 1));
        float middle = x + (next - x) / 2;
        CHECK(rng_bf16(x) == h && rng_bf16(-x) == (h | 0x8000));
        CHECK(rng_bf16(middle) == (h % 2 ? h + 1 : h));
        CHECK(rng_bf16(nextafterf(middle, 0.0f)) == h);
        CHECK(rng_bf16(nextafterf(middle, INFINITY)) == h + 1);
    }
    CHECK(rng_f16(INFINITY) == 0x7c00 && rng_bf16(INFINITY) == 0x7f80 && rng_f16(1e30f) == 0x7c00);
    CHECK((rng_f16(NAN) & 0x7fff) > 0x7c00 && (rng_bf16(NAN) & 0x7fff) > 0x7f80);
    CHECK(isnan(rng_from_f16(0x7e00)) && isinf(rng_from_f16(0x7c00)));
}

/* Whatever the arguments: no undefined behaviour (this is for the sanitizers), no number outside. */
static void hostile(void) {
    static const int64_t ends[] = {INT64_MIN,
                                   INT64_MIN + 1,
                                   -(INT64_C(1) << 53) - 1,
                                   -2047,
                                   -1,
                                   0,
                                   1,
                                   257,
                                   1001,
                                   1 << 24,
                                   (1 << 24) + 1,
                                   1 << 28,
                                   1ll << 40,
                                   INT64_MAX - 600,
                                   INT64_MAX - 1,
                                   INT64_MAX};
    int count = sizeof ends / sizeof *ends;
    unsigned char buf[64 * 8];
    int64_t v[64];
    rng_seed(&s, 1);
    for (int t = RNG_F32; t <= RNG_U64; t++) {
        for (int i = 0; i < count; i++) {
            rng_random_from(&s, (rng_type)t, buf, 64, ends[i]);
            for (int j = 0; j < count; j++) rng_randint(&s, (rng_type)t, buf, 64, ends[i], ends[j]);
        }
        rng_random(&s, (rng_type)t, buf, 64);
        rng_geometric(&s, (rng_type)t, buf, 64, 1e-300);
        rng_bernoulli(&s, (rng_type)t, buf, 64, 0.5);
        rng_uniform(&s, (rng_type)t, buf, 64, -1e308, 1e308);
        rng_normal(&s, (rng_type)t, buf, 64, 1e308, 1e308);
        rng_normal_serial(&s, (rng_type)t, buf, 64, NAN, INFINITY);
        rng_exponential(&s, (rng_type)t, buf, 64, 0.0);
        rng_cauchy(&s, (rng_type)t, buf, 64, 0.0, 1e300);
        rng_randperm(&s, (rng_type)t, buf, 64);
        rng_uniform(&s, (rng_type)t, NULL, 0, 0.0, 1.0);
        rng_normal(&s, (rng_type)t, NULL, -5, 0.0, 1.0);
    }
    for (int i = 0; i < count; i++)
        for (int j = 0; j < count; j++) {
            if (rng_randint(&s, RNG_I64, v, 64, ends[i], ends[j])) continue;
            for (int k = 0; k < 64; k++) CHECK(v[k] >= ends[i] && v[k] < ends[j]);
        }
}

static void samples(void) {
    enum { N = 500 };
    static int64_t p[N];
    static char seen[N];
    float w[N];
    for (int n = 0; n <= N; n += 1 + n / 3) {
        memset(seen, 0, sizeof seen);
        rng_randperm(&s, RNG_I64, p, n);
        for (int i = 0; i < n; i++) seen[p[i]] = 1;
        for (int i = 0; i < n; i++) CHECK(seen[i]);

        for (int i = 0; i < n; i++) w[i] = (float)(i % 5);
        for (int replace = 0; replace < 2 && n > 1; replace++) {
            int64_t k = n - n / 5 - 1; /* as many as have a weight, at most */
            if (k < 1) continue;
            void *scratch = malloc(rng_multinomial_scratch(RNG_F32, 1, n, k, replace));
            CHECK(rng_multinomial(&s, RNG_F32, w, 1, n, p, k, replace, scratch) == 0);
            memset(seen, 0, sizeof seen);
            for (int64_t i = 0; i < k; i++) {
                CHECK(p[i] >= 0 && p[i] < n && w[p[i]] > 0);
                CHECK(replace || !seen[p[i]]);
                seen[p[i]] = 1;
            }
            free(scratch);
        }
    }
    memset(w, 0, sizeof w);
    double scratch[4 * N];
    CHECK(rng_multinomial(&s, RNG_F32, w, 1, 10, p, 2, 1, scratch) == -2);
    CHECK(rng_multinomial(&s, RNG_I64, w, 1, 10, p, 2, 1, scratch) == -1);
}

int main(void) {
    pinned();
    loops_agree();
    states();
    narrow_floats();
    hostile();
    samples();
    printf(failed ? "%d checks failed\n" : "random numbers: all checks passed\n", failed);
    return failed != 0;
}
