/* Times the matrix product. Prints microseconds and GFLOP/s, the best of several rounds, for squares and
 * for shapes met in training small models; T: B is a transposed weight (x @ W^T), G: A is transposed (the
 * gradient of a weight).
 *
 * usage: gemm_bench [threads] [f32|f64|bf16] [MxKxN[T|G]] ... */
#include "../../csrc/gemm.h"
#include "../../csrc/pool.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void *filled(int64_t n, int type) {
    void *p = aligned_alloc(64, (size_t)(n * 8 + 63) / 64 * 64);
    for (int64_t i = 0; i < n; i++) {
        double x = (double)rand() / RAND_MAX - 0.5;
        if (type == CT_F32) ((float *)p)[i] = (float)x;
        else if (type == GEMM_BF16) ((uint16_t *)p)[i] = (uint16_t)(0x3e00 + rand() % 256);
        else ((double *)p)[i] = x;
    }
    return p;
}

static void bench(int type, int64_t m, int64_t k, int64_t n, char kind) {
    gemm_args g = {.type = type, .m = m, .n = n, .k = k, .rsa = k, .csa = 1, .rsb = n, .csb = 1, .ldc = n};
    if (kind == 'T') g.rsb = 1, g.csb = k;
    if (kind == 'G') g.rsa = 1, g.csa = m;
    void *a = filled(m * k, type), *b = filled(k * n, type);
    g.a = a, g.b = b, g.c = filled(m * n, type);
    size_t bytes = gemm_scratch(&g);
    if (bytes) g.scratch = aligned_alloc(64, bytes);
    double flop = 2.0 * (double)m * (double)n * (double)k, best = 1e9;
    int repeat = flop < 1e8 ? (int)(1e8 / (flop + 2000)) + 1 : 1;
    for (int round = 0; round < 25; round++) {
        double t = now();
        for (int i = 0; i < repeat; i++) gemm_run(&g);
        t = (now() - t) / repeat;
        if (t < best) best = t;
    }
    printf("%5ld x %4ld x %4ld%c %9.3f us %7.1f GFLOP/s\n", (long)m, (long)k, (long)n, kind, best * 1e6,
           flop / best / 1e9);
    fflush(stdout);
    free(a), free(b), free(g.c), free(g.scratch);
}

static void parse(int type, const char *text) {
    long m, k, n;
    char kind = ' ';
    if (sscanf(text, "%ldx%ldx%ld%c", &m, &k, &n, &kind) < 3) {
        fprintf(stderr, "not a shape: %s\n", text);
        exit(1);
    }
    bench(type, m, k, n, kind);
}

int main(int argc, char **argv) {
    static const char *const shapes[] = {
        "4x4x4",       "8x8x8",        "16x16x16",     "32x32x32",     "64x64x64",       "128x128x128",
        "256x256x256", "512x512x512",  "512x512x512T", "512x512x512G", "1024x1024x1024", "4x4x4T",
        "64x2x16",     "64x2x16T",     "64x16x16",     "64x16x16T",    "16x64x16G",      "64x16x1T",
        "32x64x128",   "32x64x128T",   "32x128x10T",   "128x32x64G",   "128x4x64T",      "128x784x512T",
        "128x512x512", "128x512x512T", "784x128x512G", "512x128x784G", "128x400x784T",   "128x512x10T",
        "1x512x512",   "1x512x512T",   "512x512x1",    "1024x1024x1",  "1x4096x4096T"};
    const char *why;
    if (kern_select(&why)) {
        fprintf(stderr, "%s\n", why);
        return 1;
    }
    if (argc > 1) pool_set_num_threads(atoi(argv[1]));
    int type = argc > 2 && !strcmp(argv[2], "f64") ? CT_F64 : CT_F32;
    if (argc > 2 && !strcmp(argv[2], "bf16")) type = GEMM_BF16;
    printf("%s, %d threads\n", kern->name, pool_num_threads());
    if (argc > 3)
        for (int i = 3; i < argc; i++) parse(type, argv[i]);
    else
        for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) parse(type, shapes[i]);
    return 0;
}
