/* Sets of nodes and leaves, and which of them a history reaches. */
#ifndef AD_REACH_H
#define AD_REACH_H

#include "core.h"

typedef struct reach { /* zero-initialised: the empty set */
    const void **key;
    int64_t cap, n;
} reach;

bool reach_has(const reach *r, const void *key);
int64_t reach_put(reach *r, const void *key, bool *fresh); /* adds a key; returns its place, or -1 */
void reach_free(reach *r);

/* The nodes that the roots reach: in `seen`, with their leaves, and in a list that the caller frees. */
int reach_collect(const ad_handle *roots, int64_t n, reach *seen, ad_node ***out, int64_t *cap,
                  int64_t *count);

/* Adds to `r`, which holds the inputs asked for, the nodes that lead to them from the roots. */
int reach_mark(reach *r, const ad_handle *roots, int64_t n);

static inline size_t hash_ptr(const void *p) {
    uint64_t x = (uint64_t)(uintptr_t)p;
    x ^= x >> 33;
    x *= 0xff51afd7ed558ccdULL;
    return (size_t)(x ^ x >> 29);
}

#endif
