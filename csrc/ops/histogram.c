/* How many elements fall into each of a number of bins: integers by their value, floats by equal parts of a
 * range. Each task counts into bins of its own; counts are exact, so that their sum is the same however it is
 * done. */
#include <string.h>
#include "../pool.h"
#include "declare.h"

#define GRAIN 32768
#define TASKS 32
#define MANY (1 << 16) /* bins from which one task does all: private ones would be mostly zeros */

/* histogram(x): i[0] = bins; of floats f[0] to f[1] is the range, whose upper end belongs to the last bin,
 * and what lies outside counts for nothing, nor does NaN. The counts are int64, of floats they have x's
 * dtype. */
int histogram_infer(ad_call *c) {
    const ad_tensor *x = c->in[0];
    if (!dtype_is_float(x->dtype) && x->dtype != AD_I64)
        return ad_fail(AD_ERR_NOT_IMPLEMENTED, "\"histogram_cpu\" not implemented for '%s'",
                       dtype_class[x->dtype]);
    if (c->at->i[0] < 0) return ad_fail(AD_ERR_RUNTIME, "histogram: the number of bins is negative");
    c->spec[0].dtype = x->dtype;
    c->spec[0].ndim = 1;
    c->spec[0].sizes[0] = c->at->i[0];
    return 0;
}

typedef struct tally {
    const ad_tensor *x;
    int64_t bins, grain;
    double low, high;
    int64_t *counts; /* of each task */
} tally;

static int64_t grain_of(const ad_call *c) {
    int64_t n = c->in[0]->numel, least = (n + TASKS - 1) / TASKS;
    if (c->at->i[0] >= MANY) return n ? n : 1;
    return least > GRAIN ? least : GRAIN;
}
static int64_t tasks_of(const ad_call *c) {
    int64_t grain = grain_of(c);
    return c->in[0]->numel ? (c->in[0]->numel + grain - 1) / grain : 1;
}

#define COUNT(T, source)                                                                                     \
    {                                                                                                        \
        const T *x = source, low = (T)t->low, high = (T)t->high, width = (T)(t->high - t->low);              \
        for (int64_t k = 0; k < n; k++) {                                                                    \
            T place = (x[k] - low) / width * (T)bins;                                                        \
            if (x[k] >= low && x[k] <= high && place >= 0) {                                                 \
                int64_t bin = place < (T)bins ? (int64_t)place : bins;                                       \
                counts[bin < bins ? bin : bins - 1]++;                                                       \
            }                                                                                                \
        }                                                                                                    \
    }

static void count_range(int64_t begin, int64_t end, void *ctx) {
    const tally *t = ctx;
    int64_t bins = t->bins, *counts = t->counts + begin / t->grain * bins;
    int dt = t->x->dtype;
    memset(counts, 0, (size_t)bins * sizeof *counts);
    if (!bins) return;
    if (dt == AD_I64) {
        const int64_t *x = (const int64_t *)tensor_data(t->x);
        for (int64_t k = begin; k < end; k++)
            if ((uint64_t)x[k] < (uint64_t)bins) counts[x[k]]++;
        return;
    }
    float tile[512];
    for (int64_t n, at = begin; at < end; at += n) {
        n = end - at < 512 ? end - at : 512;
        if (dt == AD_F64) COUNT(double, (const double *)tensor_data(t->x) + at)
        else if (dt == AD_F32) COUNT(float, (const float *)tensor_data(t->x) + at)
        else {
            dtype_loads[dt][CT_F32](n, tile, (const char *)tensor_data(t->x) + at * dtype_size[dt],
                                    dtype_size[dt]);
            COUNT(float, tile)
        }
    }
}

size_t histogram_scratch(const ad_call *c) { return (size_t)(tasks_of(c) * c->at->i[0]) * sizeof(int64_t); }
void histogram_run(const ad_call *c) {
    ad_tensor *out = c->out[0];
    tally t = {
        .x = c->in[0], .bins = c->at->i[0], .low = c->at->f[0], .high = c->at->f[1], .counts = c->scratch};
    t.grain = grain_of(c);
    if (!t.bins) return;
    if (t.x->numel) pool_parallel_for(t.x->numel, t.grain, count_range, &t);
    else count_range(0, 0, &t);
    for (int64_t k = 1; k < tasks_of(c); k++)
        for (int64_t b = 0; b < t.bins; b++) t.counts[b] += t.counts[k * t.bins + b];
    dtype_stores[out->dtype][CT_I64](t.bins, tensor_data(out), dtype_size[out->dtype], t.counts);
}
