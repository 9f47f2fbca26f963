/* The kernels for SSE2, the baseline of x86-64. They are compiled for size: processors without AVX2 are older
 * than 2013 or made to be small, and a quarter of a megabyte weighs in every package. */
#ifdef __x86_64__
#include <immintrin.h>
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("sse2"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("sse2")
#pragma GCC optimize("Os")
#endif

#define AD_ISA_SSE2
#define AD_ISA_NAME sse2
#include "../kernels/kernels.h"

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif
