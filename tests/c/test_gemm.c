/* Tests of the matrix product: every instruction set this processor has, every way of the driver, against
 * plain sums in higher precision; and the promise that the number of threads does not change a bit. */
#include "../../csrc/gemm.h"
#include "../../csrc/pool.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(x, ...)                                                                                        \
    do {                                                                                                     \
        if (!(x)) {                                                                                          \
            fprintf(stderr, "%s:%d: %s: ", __FILE__, __LINE__, #x);                                          \
            fprintf(stderr, __VA_ARGS__);                                                                    \
            fputc('\n', stderr);                                                                             \
            exit(1);                                                                                         \
        }                                                                                                    \
    } while (0)

/* CT_F32, CT_F64, CT_I64, and GEMM_BF16 where it is. */
static int types(void) { return kern_bf16 ? 4 : 3; }

static uint64_t seed = 88172645463325252u;
static uint64_t draw(void) {
    seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
    return seed;
}
static int64_t below(int64_t n) { return (int64_t)(draw() % (uint64_t)n); }

static int width(int type) { return type == GEMM_BF16 ? 2 : type == CT_F32 ? 4 : 8; }
static int bias_type(int type) { return type == GEMM_BF16 ? CT_F32 : type; }
static double get(const void *p, int64_t i, int type) {
    if (type == GEMM_BF16) {
        uint32_t bits = (uint32_t)((const uint16_t *)p)[i] << 16;
        float x;
        memcpy(&x, &bits, 4);
        return x;
    }
    return type == CT_F32   ? ((const float *)p)[i]
           : type == CT_F64 ? ((const double *)p)[i]
                            : (double)((const int64_t *)p)[i];
}

/* An exact-size block, so that the address sanitizer sees any access past the end. */
static void *filled(int64_t n, int type) {
    char *p = malloc((size_t)(n * width(type)) + !n);
    for (int64_t i = 0; i < n; i++) {
        double x = (double)below(2001) / 1000 - 1;
        if (type == CT_F32) ((float *)p)[i] = (float)x;
        if (type == CT_F64) ((double *)p)[i] = x;
        if (type == CT_I64) ((int64_t *)p)[i] = (int64_t)draw();
        if (type == GEMM_BF16) { /* cut off: any value will do */
            float f = (float)x;
            memcpy((uint16_t *)p + i, (char *)&f + 2, 2);
        }
    }
    return p;
}

/* Strides of a rows x cols matrix: 0 row-major, 1 column-major, 2 row-major padded, 3 column-major padded,
 * 4 neither contiguous, 5 one row expanded, 6 one column expanded, 7 a single element expanded. */
enum { LAYOUTS = 8 };
static int64_t layout(int kind, int64_t rows, int64_t cols, int64_t *rs, int64_t *cs) {
    switch (kind) {
    case 0:
        *rs = cols, *cs = 1;
        break;
    case 1:
        *rs = 1, *cs = rows;
        break;
    case 2:
        *rs = cols + 3, *cs = 1;
        break;
    case 3:
        *rs = 1, *cs = rows + 5;
        break;
    case 4:
        *rs = 2 * cols + 1, *cs = 2;
        break;
    case 5:
        *rs = 0, *cs = 1;
        break;
    case 6:
        *rs = 1, *cs = 0;
        break;
    default:
        *rs = 0, *cs = 0;
        break;
    }
    return rows && cols ? (rows - 1) * *rs + (cols - 1) * *cs + 1 : 0;
}

typedef struct {
    int type;
    int64_t m, n, k;
    int la, lb;
    int bias; /* 0 none, 1 row, 2 column */
    int act, accumulate;
} shape;

static void run(const gemm_args *proto, void *c) {
    gemm_args g = *proto;
    g.c = c;
    size_t bytes = gemm_scratch(&g);
    if (bytes) g.scratch = aligned_alloc(64, bytes);
    gemm_run(&g);
    free(g.scratch);
}

/* What the blocks that are handed on were, when they were. */
typedef struct seen {
    const char *c;
    char *copy;
    int *times;
    int type;
} seen;

static void take_block(void *ctx, const void *c, int64_t rows, int64_t cols, int64_t ld) {
    seen *w = ctx;
    for (int64_t i = 0; i < rows; i++) {
        const char *row = (const char *)c + i * ld * width(w->type);
        memcpy(w->copy + (row - w->c), row, (size_t)(cols * width(w->type)));
        for (int64_t j = 0; j < cols; j++) w->times[(row - w->c) / width(w->type) + j]++;
    }
}

/* Each element of C is in one block that is handed on, and final then; C has the bits it has without. */
static void check_then(gemm_args g, const void *want, const void *before, int64_t nc, const char *what) {
    size_t bytes = (size_t)(nc * width(g.type));
    gemm_epilogue e = g.epi ? *g.epi : (gemm_epilogue){.act = GEMM_ACT_NONE};
    seen w = {malloc(bytes + 1), malloc(bytes + 1), calloc((size_t)nc + 1, sizeof(int)), g.type};
    e.then = take_block, e.ctx = &w, g.epi = &e;
    memcpy((char *)w.c, before, bytes);
    memcpy(w.copy, before, bytes);
    pool_set_num_threads(3);
    run(&g, (void *)w.c);
    pool_set_num_threads(1);
    CHECK(!memcmp(w.c, want, bytes) && !memcmp(w.copy, want, bytes), "%s: blocks", what);
    for (int64_t i = 0; i < g.m; i++)
        for (int64_t j = 0; j < g.n; j++) CHECK(w.times[i * g.ldc + j] == 1, "%s: blocks", what);
    free((char *)w.c), free(w.copy), free(w.times);
}

/* C has the bits it has without panels, whatever is where B was. */
static void check_panels(gemm_args g, const void *want, const void *before, int64_t nc, const char *what) {
    size_t bytes = (size_t)(nc * width(g.type)), room = gemm_panel_bytes(&g);
    if (!room) return;
    void *panels = aligned_alloc(64, (room + 63) / 64 * 64), *c = malloc(bytes + 1);
    for (int threads = 1; threads <= 3; threads += 2) {
        pool_set_num_threads(threads);
        memset(panels, 0xff, room);
        gemm_args with = g;
        gemm_pack(&with, panels);
        with.panels = panels;
        with.b = NULL;
        memcpy(c, before, bytes);
        run(&with, c);
        CHECK(!memcmp(c, want, bytes), "%s: panels", what);
    }
    pool_set_num_threads(1);
    free(panels), free(c);
}

static void check_shape(shape s) {
    int64_t rsa, csa, rsb, csb;
    void *a = filled(layout(s.la, s.m, s.k, &rsa, &csa), s.type);
    void *b = filled(layout(s.lb, s.k, s.n, &rsb, &csb), s.type);
    int64_t ldc = s.n + below(3), nc = s.m && s.n ? (s.m - 1) * ldc + s.n : 0;
    void *before = filled(nc, s.type), *bias = filled(s.bias == 2 ? s.m : s.n, bias_type(s.type));
    size_t bytes = (size_t)(nc * width(s.type));
    void *c = malloc(bytes + 1), *other = malloc(bytes + 1);
    memcpy(c, before, bytes);
    memcpy(other, before, bytes);
    gemm_epilogue e = {.bias = s.bias ? bias : NULL,
                       .bias_is_column = s.bias == 2,
                       .act = s.act,
                       .accumulate = s.accumulate};
    gemm_args g = {.type = s.type,
                   .m = s.m,
                   .n = s.n,
                   .k = s.k,
                   .a = a,
                   .rsa = rsa,
                   .csa = csa,
                   .b = b,
                   .rsb = rsb,
                   .csb = csb,
                   .ldc = ldc,
                   .epi = &e};
    if (!s.bias && !s.act && !s.accumulate && below(2)) g.epi = NULL;
    pool_set_num_threads(1);
    run(&g, c);
    pool_set_num_threads(3);
    run(&g, other);
    pool_set_num_threads(1);
    char what[200];
    snprintf(what, sizeof what, "%s type %d %ldx%ldx%ld layouts %d %d bias %d act %d acc %d", kern->name,
             s.type, (long)s.m, (long)s.k, (long)s.n, s.la, s.lb, s.bias, s.act, s.accumulate);
    CHECK(!memcmp(c, other, bytes), "%s: threads change the bits", what);
    check_then(g, c, before, nc, what);
    check_panels(g, c, before, nc, what);

    double eps = s.type == CT_F64 ? 1.2e-16 : 6e-8, rounded = s.type == GEMM_BF16 ? 0x1p-8 : 0;
    for (int64_t i = 0; i < s.m; i++) {
        for (int64_t j = 0; j < s.n; j++) {
            int64_t at = i * ldc + j, ba = s.bias == 2 ? i : j;
            if (s.type == CT_I64) {
                const uint64_t *x = a, *y = b;
                uint64_t sum = s.accumulate ? ((uint64_t *)before)[at] : 0;
                for (int64_t p = 0; p < s.k; p++) sum += x[i * rsa + p * csa] * y[p * rsb + j * csb];
                if (s.bias) sum += ((uint64_t *)bias)[ba];
                if (s.act && (int64_t)sum < 0) sum = 0;
                CHECK(sum == ((uint64_t *)c)[at], "%s at %ld %ld", what, (long)i, (long)j);
                continue;
            }
            long double sum = s.accumulate ? get(before, at, s.type) : 0, size = fabsl(sum);
            for (int64_t p = 0; p < s.k; p++) {
                long double t =
                    (long double)get(a, i * rsa + p * csa, s.type) * get(b, p * rsb + j * csb, s.type);
                sum += t, size += fabsl(t);
            }
            if (s.bias) {
                double x = get(bias, ba, bias_type(s.type));
                sum += x, size += fabs(x);
            }
            if (s.act && sum < 0) sum = 0;
            double got = get(c, at, s.type);
            CHECK(fabsl(got - sum) <= eps * (double)(s.k + 4) * (double)size + rounded * (double)fabsl(sum),
                  "%s at %ld %ld: %.9g, not %.9Lg", what, (long)i, (long)j, got, sum);
        }
    }
    /* What lies between the rows of C is untouched. */
    for (int64_t i = 0; s.n && i + 1 < s.m; i++)
        CHECK(!memcmp((char *)c + (i * ldc + s.n) * width(s.type),
                      (char *)before + (i * ldc + s.n) * width(s.type),
                      (size_t)((ldc - s.n) * width(s.type))),
              "%s: gap of row %ld", what, (long)i);

    /* An epilogue gives the bits of the separate operations. */
    if ((s.type == CT_F32 || s.type == CT_F64) && !s.accumulate && (s.bias || s.act)) {
        g.epi = NULL;
        memcpy(other, before, bytes);
        run(&g, other);
        for (int64_t i = 0; i < s.m; i++)
            for (int64_t j = 0; j < s.n; j++) {
                int64_t at = i * ldc + j, ba = s.bias == 2 ? i : j;
                if (s.type == CT_F32) {
                    float x = ((float *)other)[at];
                    if (s.bias) x += ((float *)bias)[ba];
                    if (s.act && x < 0) x = 0;
                    CHECK(x == ((float *)c)[at], "%s: epilogue", what);
                } else {
                    double x = ((double *)other)[at];
                    if (s.bias) x += ((double *)bias)[ba];
                    if (s.act && x < 0) x = 0;
                    CHECK(x == ((double *)c)[at], "%s: epilogue", what);
                }
            }
    }
    free(a), free(b), free(c), free(other), free(before), free(bias);
}

static shape random_shape(int64_t most) {
    shape s = {(int)below(types()), below(most + 1), below(most + 1), below(most + 1), (int)below(LAYOUTS),
               (int)below(LAYOUTS), (int)below(3),   (int)below(2),   below(4) == 0};
    if (s.type == CT_I64 && below(2)) s.type = CT_F32;
    return s;
}

static void test_shapes(int rounds) {
    for (int i = 0; i < 12 * rounds; i++) check_shape(random_shape(40));
    for (int i = 0; i < 2 * rounds; i++) check_shape(random_shape(5));
    for (int i = 0; i < rounds / 4; i++) check_shape(random_shape(200));
    /* One row, one column, one term. */
    for (int i = 0; i < 2 * rounds; i++) {
        shape s = random_shape(below(4) ? 80 : 700);
        int which = (int)below(3);
        if (which == 0) s.m = 1;
        if (which == 1) s.n = 1;
        if (which == 2) s.k = 1;
        check_shape(s);
    }
    /* Long sums (several blocks of k), and sizes that the pool shares. */
    for (int i = 0; i < rounds / 8; i++) {
        shape s = random_shape(60);
        s.k = 200 + below(700);
        check_shape(s);
        s = random_shape(8);
        s.m = 100 + below(200), s.n = 100 + below(300), s.k = 30 + below(300);
        check_shape(s);
    }
    static const int64_t large[][3] = {{256, 256, 256}, {300, 301, 299}, {130, 512, 70},  {1, 2000, 900},
                                       {2000, 1, 900},  {1000, 10, 300}, {129, 17, 1500}, {4200, 20, 33},
                                       {420, 410, 400}, {64, 70, 2100},  {20, 33, 7000}};
    for (size_t i = 0; i < sizeof large / sizeof *large; i++)
        for (int l = 0; l < 4; l++) {
            shape s = {kern_bf16 ? GEMM_BF16 : (int)(i + (size_t)l) % 2,
                       large[i][0],
                       large[i][1],
                       large[i][2],
                       l & 1,
                       l >> 1,
                       l % 3,
                       l & 1,
                       0};
            check_shape(s);
        }
}

/* NaN and infinity spread as in plain sums: no term is left out, not even with a zero factor. */
static void test_nan(void) {
    for (int64_t n = 1; n < 70; n += 4) {
        int64_t m = 13, k = 9;
        float *a = calloc((size_t)(m * k), 4), *b = calloc((size_t)(k * n), 4),
              *c = malloc((size_t)(m * n) * 4);
        a[4 * k + 3] = INFINITY;
        b[2 * n + n - 1] = NAN;
        gemm_epilogue e = {.act = GEMM_ACT_RELU};
        gemm_args g = {.type = CT_F32,
                       .m = m,
                       .n = n,
                       .k = k,
                       .a = a,
                       .rsa = k,
                       .csa = 1,
                       .b = b,
                       .rsb = n,
                       .csb = 1,
                       .ldc = n,
                       .epi = &e};
        run(&g, c);
        for (int64_t i = 0; i < m; i++)
            for (int64_t j = 0; j < n; j++)
                CHECK(!!isnan(c[i * n + j]) == (i == 4 || j == n - 1), "%s %ld: %ld %ld", kern->name, (long)n,
                      (long)i, (long)j);
        free(a), free(b), free(c);
    }
}

/* Batches give the bits of single products; operands may be broadcast, dimensions in any order. */
static void test_batch(void) {
    static const int64_t shapes[][3] = {{3, 5, 4},    {16, 16, 16},   {1, 20, 30},
                                        {64, 64, 64}, {150, 140, 60}, {64, 30, 2500}};
    for (size_t x = 0; x < sizeof shapes / sizeof *shapes; x++) {
        for (int type = 0; type < types(); type++) {
            int64_t m = shapes[x][0], n = shapes[x][1], k = shapes[x][2];
            gemm_batch batch = {.dims = 3,
                                .size = {4, 3, 2},
                                .stride_a = {2 * m * k, 0, m * k},
                                .stride_b = {0, k * n, 0},
                                .stride_c = {6 * m * n, m * n, 3 * m * n}};
            void *a = filled(8 * m * k, type), *b = filled(3 * k * n, type), *c = filled(24 * m * n, type);
            void *expected = filled(24 * m * n, type);
            gemm_args g = {.type = type,
                           .m = m,
                           .n = n,
                           .k = k,
                           .a = a,
                           .rsa = k,
                           .csa = 1,
                           .b = b,
                           .rsb = n,
                           .csb = 1,
                           .c = c,
                           .ldc = n};
            size_t bytes = gemm_scratch(&g);
            bytes = bytes > gemm_batch_scratch(&g, 24) ? bytes : gemm_batch_scratch(&g, 24);
            if (bytes) g.scratch = aligned_alloc(64, bytes);
            for (int threads = 1; threads <= 3; threads++) {
                pool_set_num_threads(threads);
                memset(c, 0xff, (size_t)(24 * m * n * width(type)));
                gemm_batch_run(&g, &batch);
                for (int64_t i = 0; i < 4; i++)
                    for (int64_t j = 0; j < 3; j++)
                        for (int64_t l = 0; l < 2; l++) {
                            gemm_args one = g;
                            one.a = (char *)a + (2 * i + l) * m * k * width(type);
                            one.b = (char *)b + j * k * n * width(type);
                            one.c = (char *)expected + (6 * i + j + 3 * l) * m * n * width(type);
                            gemm_run(&one);
                        }
                CHECK(!memcmp(c, expected, (size_t)(24 * m * n * width(type))), "%s batch %zu", kern->name,
                      x);
            }
            pool_set_num_threads(1);
            free(a), free(b), free(c), free(expected), free(g.scratch);
        }
    }
}

int main(int argc, char **argv) {
    int rounds = argc > 1 ? atoi(argv[1]) : 400;
    const kern_table *tables[4];
    const bf16_kernels *bf16[4] = {NULL};
    int count = 0;
#ifdef __x86_64__
    tables[count++] = &kern_sse2;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) tables[count++] = &kern_avx2;
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq"))
        tables[count++] = &kern_avx512;
    if (__builtin_cpu_supports("avx512bf16")) {
        bf16[count] = &kern_avx512_bf16;
        tables[count++] = &kern_avx512;
    }
#else
    tables[count++] = &kern_neon;
#endif
    for (int i = 0; i < count; i++) {
        kern = tables[i];
        kern_bf16 = bf16[i];
        test_nan();
        test_batch();
        test_shapes(rounds);
        printf("gemm, %s%s: ok\n", kern->name, kern_bf16 ? ", bfloat16 products" : "");
    }
    return 0;
}
