/* The vector loops behind rng.c: one table for each instruction set. */
#ifndef AD_RNG_SIMD_H
#define AD_RNG_SIMD_H

#include <stdint.h>

/* w is raw words: n of them for f32, 2 n for f64 and bernoulli, 16 for each group of normal_f32. */
typedef struct rng_loops {
    const char *name;
    void (*block)(uint32_t *restrict mt, uint32_t *restrict out); /* 624 words further */
    void (*uniform_f32)(const uint32_t *restrict w, float *restrict out, int n, float from, float to);
    void (*uniform_f64)(const uint32_t *restrict w, double *restrict out, int n, double from, double to);
    void (*unit_f64)(const uint32_t *restrict w, double *restrict out, int n);
    void (*bernoulli)(const uint32_t *restrict w, uint8_t *restrict out, int n, double p);
    void (*normal_f32)(const uint32_t *restrict w, float *restrict out, int groups, float mean, float std);
} rng_loops;

/* The table of that name, or the best for NULL; NULL when this processor or build has none. */
const rng_loops *rng_loops_find(const char *name);

#endif
