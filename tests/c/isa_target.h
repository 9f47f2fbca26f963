/* Compiles the rest of a test for the instruction set that -DAD_ISA_... names: ISA is its name, OFFERED
 * whether this processor has it. End the file with isa_target_end.h. */
#ifndef AD_ISA_TARGET_H
#define AD_ISA_TARGET_H

#ifdef __x86_64__
#include <immintrin.h>
#else
#include <arm_neon.h>
#endif
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#if defined(AD_ISA_AVX512)
#define ISA "avx512"
#define OFFERED                                                                                              \
    (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&                              \
     __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
#elif defined(AD_ISA_AVX2)
#define ISA "avx2"
#define OFFERED (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
#else
#define ISA "baseline"
#define OFFERED 1
#endif

#if defined(__clang__) && defined(AD_ISA_AVX512)
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma"))),         \
                             apply_to = function)
#elif defined(__clang__) && defined(AD_ISA_AVX2)
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#elif defined(AD_ISA_AVX512)
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")
#elif defined(AD_ISA_AVX2)
#pragma GCC target("avx2,fma")
#endif

#endif
