#include "rng_simd.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

#if defined(__x86_64__) || defined(__i386__)
#include <immintrin.h>
#define RNG_HAVE_AVX2 1
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

#define RNG_INLINE inline __attribute__((always_inline))

/* What the compiler's own flags allow: SSE2 on x86-64, NEON on aarch64. */
#define RNG_FN _base
#define RNG_W 4
#define RNG_WIDE 4
#define RNG_LOOPS_NAME "base"
#include "kernels/rng_loops.h"

#ifdef RNG_HAVE_AVX2
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma")
#endif
#define RNG_FN _avx2
#define RNG_W 8
#define RNG_WIDE 8
#define RNG_LOOPS_NAME "avx2"
#define RNG_X86_FMA 1
#include "kernels/rng_loops.h"
#if defined(__clang__)
#pragma clang attribute pop
#pragma clang attribute push(__attribute__((target("avx2,fma,avx512f,avx512bw,avx512dq,avx512vl"))),         \
                             apply_to = function)
#else
#pragma GCC pop_options
#pragma GCC push_options
#pragma GCC target("avx2,fma,avx512f,avx512bw,avx512dq,avx512vl")
#endif
#define RNG_FN _avx512
#define RNG_W 8
#define RNG_WIDE 16
#define RNG_LOOPS_NAME "avx512"
#define RNG_X86_FMA 1
#include "kernels/rng_loops.h"
#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif

const rng_loops *rng_loops_find(const char *name) {
#ifdef RNG_HAVE_AVX2
    __builtin_cpu_init();
    int has = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    int wide = has && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
               __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
    if (wide && (!name || !strcmp(name, "avx512"))) return &rng_loops_avx512;
    if (has && (!name || !strcmp(name, "avx2"))) return &rng_loops_avx2;
#endif
    return !name || !strcmp(name, "base") ? &rng_loops_base : NULL;
}
