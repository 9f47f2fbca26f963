/* Contiguous tensors seen as lines along one dimension: position (o, k, i) is at (o * n + k) * inner + i. */
#ifndef AD_OPS_LINES_H
#define AD_OPS_LINES_H

#include "../core.h"

typedef struct lines {
    int dim;
    int64_t outer, n, inner, count; /* count = outer * inner: how many lines */
} lines;

/* `dim` is in range. */
static inline lines lines_of(int ndim, const int64_t *sizes, int64_t dim) {
    lines l = {.dim = (int)(dim < 0 ? dim + (ndim ? ndim : 1) : dim), .outer = 1, .n = 1, .inner = 1};
    for (int d = 0; d < ndim; d++) *(d < l.dim ? &l.outer : d > l.dim ? &l.inner : &l.n) *= sizes[d];
    l.count = l.outer * l.inner;
    return l;
}

/* Where line i starts, in elements, in a tensor with n positions along the dimension. */
static inline int64_t line_start(const lines *l, int64_t i, int64_t n) {
    return i / l->inner * n * l->inner + i % l->inner;
}

/* A parallel loop over lines: fn(begin, end, ctx) of whole lines; about `work` elements a chunk. */
static inline int64_t lines_grain(const lines *l, int64_t work) {
    int64_t g = work / (l->n ? l->n : 1);
    return g < 1 ? 1 : g;
}

#endif
