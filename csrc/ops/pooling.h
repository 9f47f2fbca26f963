/* Windows over the last one, two or three dimensions: what the rows of pooling share.
 *
 * Attributes: i[0] = number of pooled dimensions n, i[1] = ceil_mode, i[2] = POOL_WINDOWS or POOL_ADAPTIVE.
 * list of POOL_WINDOWS: kernel, stride, padding, dilation, n of each; of POOL_ADAPTIVE: the n output sizes,
 * -1 for the input's. A gradient row's list goes on with the n input sizes. */
#ifndef AD_OPS_POOLING_H
#define AD_OPS_POOLING_H

#include "../core.h"
#include "../pool.h"
#include "declare.h"

enum { POOL_WINDOWS, POOL_ADAPTIVE };

typedef struct pool_geo { /* three dimensions always: those in front are of size 1 */
    int n, adaptive;
    int64_t in[3], out[3], k[3], s[3], p[3], d[3];
    int64_t planes, in_plane, out_plane; /* how many planes, and elements of each */
} pool_geo;

/* The windows of an attribute list. Sizes are set by what follows. */
pool_geo pool_geo_of(const ad_attr *at);
void pool_geo_sizes(pool_geo *g, const ad_tensor *in, const ad_tensor *out); /* in may be NULL: from g->in */
/* Checks the windows against an input and writes the result's spec. -1 with the error. */
int pool_infer_windows(ad_call *c, const char *name, pool_geo *g);
int pool_infer_adaptive(ad_call *c, const char *name);
/* The attributes of a gradient row: those of the row with the input's spatial sizes behind; list has room. */
ad_attr pool_grad_attr(const ad_attr *at, const ad_meta *in, int64_t *list);
/* The spec of a gradient row: like its gradient, with the sizes at the end of the list. */
int pool_grad_infer(ad_call *c);
#define POOL_LIST 16

/* Output position o of dimension d covers first, first + step, ... below end of the input. */
typedef struct pool_span {
    int64_t first, end, step, tap; /* tap: which place of the kernel `first` is */
} pool_span;
static inline pool_span pool_span_of(const pool_geo *g, int d, int64_t o) {
    if (g->adaptive) {
        int64_t in = g->in[d], out = g->out[d];
        int64_t q = in / out, r = in % out; /* o in / out, without overflow */
        int64_t lo = o * q + o * r / out, hi = (o + 1) * q + ((o + 1) * r + out - 1) / out;
        return (pool_span){lo, hi, 1, 0};
    }
    int64_t first = o * g->s[d] - g->p[d], step = g->d[d], end = first + (g->k[d] - 1) * step + 1, tap = 0;
    if (first < 0) tap = (-first + step - 1) / step, first += tap * step;
    if (end > g->in[d]) end = g->in[d];
    return (pool_span){first, end, step, tap};
}

/* Windows that are two wide and two apart, one or two lines high, all inside: the most common ones, float32
 * or float64, have kernels of their own. */
static inline bool pool_pairs(const pool_geo *g, int dtype) {
    return (dtype == AD_F32 || dtype == AD_F64) && !g->adaptive && g->n <= 2 && g->k[2] == 2 &&
           g->s[2] == 2 && !g->p[2] && g->d[2] == 1 && 2 * g->out[2] <= g->in[2] &&
           (g->n == 1 ||
            (g->k[1] == 2 && g->s[1] == 2 && !g->p[1] && g->d[1] == 1 && 2 * g->out[1] <= g->in[1]));
}

#endif
