/* The thread pool: one parallel loop, claimed in chunks by the caller and by sleeping workers. */
#ifndef AD_POOL_H
#define AD_POOL_H

#include <stdint.h>

typedef void (*pool_fn)(int64_t begin, int64_t end, void *ctx);

/* Calls fn over [0, n) in chunks of `grain` (the last may be shorter). The chunks depend on n and
 * grain alone, never on the number of threads. Runs on the caller alone when n <= grain, when one
 * thread is set, or when called from inside another parallel loop. */
void pool_parallel_for(int64_t n, int64_t grain, pool_fn fn, void *ctx);

int pool_num_threads(void);           /* the caller included */
int pool_set_num_threads(int n);      /* n >= 1; returns 0, or -1 for a bad n */
int pool_default_num_threads(void);   /* from affinity and the cgroup quota */

#endif
