/* Search in what is sorted: searchsorted; and runs of equal rows. */
#include <string.h>
#include "../pool.h"
#include "order.h"

/* ---- searchsorted(boundaries, values, sorter or none): i[0] = right, i[1] = int32 ---- */

int searchsorted_infer(ad_call *c) {
    const ad_tensor *b = c->in[0], *v = c->in[1], *order = c->in[2];
    if (!b->ndim && b->numel)
        return ad_fail(AD_ERR_RUNTIME,
                       "torch.searchsorted(): boundaries tensor should have positive dimension");
    if (b->dtype != v->dtype && !(v->flags & AD_T_WRAPPED))
        return ad_fail(
            AD_ERR_RUNTIME,
            "torch.searchsorted(): boundary tensor and input value tensor should have same dtype, but got "
            "boundary tensor dtype %s and input value tensor dtype %s",
            dtype_name[b->dtype], dtype_name[v->dtype]);
    if (b->ndim != 1 && v->ndim != 0) {
        bool same = b->ndim == v->ndim;
        for (int d = 0; d + 1 < b->ndim && same; d++) same = b->sizes[d] == v->sizes[d];
        if (!same)
            return ad_fail(
                AD_ERR_RUNTIME,
                "torch.searchsorted(): boundaries tensor should be 1 dimension or the first N-1 dimensions "
                "of boundaries tensor and input value tensor must match, but we got boundaries tensor %s "
                "and input value tensor %s",
                fmt_sizes(b->ndim, b->sizes), fmt_sizes(v->ndim, v->sizes));
    } else if (b->ndim != 1)
        return ad_fail(
            AD_ERR_RUNTIME,
            "torch.searchsorted(): input value can be a scalar only when boundaries tensor dimension is 1, "
            "but we got boundaries tensor dim(%d) and input value's dim(0) numel(1)",
            b->ndim);
    if (order) {
        if (order->dtype != AD_I64)
            return ad_fail(AD_ERR_RUNTIME,
                           "torch.searchsorted(): sorter must be a tensor of long dtype but got dtype %s",
                           dtype_class[order->dtype]);
        if (!tensor_same_sizes(order, b))
            return ad_fail(AD_ERR_RUNTIME,
                           "torch.searchsorted(): boundary and sorter must have the same size, but got "
                           "boundary tensor %s "
                           "and got sorter tensor %s",
                           fmt_sizes(b->ndim, b->sizes), fmt_sizes(order->ndim, order->sizes));
        const int64_t *at = tensor_data(order);
        int64_t n = b->sizes[b->ndim - 1];
        for (int64_t k = 0; k < order->numel; k++)
            if (at[k] < 0 || at[k] >= n)
                return ad_fail(AD_ERR_RUNTIME, "torch.searchsorted(): sorter index out of range");
    }
    if (c->at->i[1] && b->sizes[b->ndim - 1] >= INT32_MAX)
        return ad_fail(
            AD_ERR_RUNTIME,
            "torch.searchsorted(): the size of boundaries' last dimension should be less than INT32_MAX");
    spec_like(&c->spec[0], v);
    c->spec[0].dtype = c->at->i[1] ? AD_I32 : AD_I64;
    return 0;
}

typedef struct search {
    const ad_tensor *b, *v;
    const int64_t *order;
    ad_tensor *out;
    int64_t n, per; /* boundaries; values that share them */
    bool right;
} search;

/* Steps that halve what is left, without branches on the values. NaN is above all. */
#define SEARCH(T)                                                                                            \
    {                                                                                                        \
        const T *b = (const T *)tensor_data(s->b) + row, want = ((const T *)tensor_data(s->v))[k];           \
        int64_t left = s->n;                                                                                 \
        for (; left > 1; left -= left / 2) {                                                                 \
            T got = b[lo + left / 2 - 1];                                                                    \
            lo += (s->right ? !(got > want) : !(got >= want)) ? left / 2 : 0;                                \
        }                                                                                                    \
        if (left) lo += s->right ? !(b[lo] > want) : !(b[lo] >= want);                                       \
    }
static void search_plain(int64_t begin, int64_t end, void *ctx) {
    const search *s = ctx;
    int64_t row = 0;
    for (int64_t k = begin; k < end; k++) {
        int64_t lo = 0;
        if (s->b->ndim > 1) row = k / s->per * s->n;
        if (s->b->dtype == AD_F32) SEARCH(float)
        else if (s->b->dtype == AD_F64) SEARCH(double)
        else SEARCH(int64_t)
        if (s->out->dtype == AD_I64) ((int64_t *)tensor_data(s->out))[k] = lo;
        else ((int32_t *)tensor_data(s->out))[k] = (int32_t)lo;
    }
}

static void search_any(int64_t begin, int64_t end, void *ctx) {
    const search *s = ctx;
    const ad_tensor *b = s->b, *v = s->v;
    bool ints = dtype_is_int(b->dtype) && dtype_is_int(v->dtype);
    int ct = ints ? CT_I64 : CT_F64;
    typedef union {
        double d;
        int64_t i;
    } number;
    for (int64_t k = begin; k < end; k++) {
        int64_t row = b->ndim > 1 ? k / s->per * s->n : 0, lo = 0, hi = s->n;
        number want, got;
        dtype_loads[v->dtype][ct](1, &want, (char *)tensor_data(v) + k * dtype_size[v->dtype], 0);
        while (lo < hi) {
            int64_t mid = lo + (hi - lo) / 2, at = row + (s->order ? s->order[row + mid] : mid);
            if (at < row || at >= row + s->n) break; /* a sorter that changed after it was checked */
            dtype_loads[b->dtype][ct](1, &got, (char *)tensor_data(b) + at * dtype_size[b->dtype], 0);
            bool left = ints ? (s->right ? got.i <= want.i : got.i < want.i)
                             : (s->right ? !(got.d > want.d) : !(got.d >= want.d));
            if (left) lo = mid + 1;
            else hi = mid;
        }
        dtype_stores[s->out->dtype][CT_I64](1, (char *)tensor_data(s->out) + k * dtype_size[s->out->dtype], 0,
                                            &lo);
    }
}

void searchsorted_run(const ad_call *c) {
    search s = {.b = c->in[0], .v = c->in[1], .out = c->out[0], .right = c->at->i[0]};
    int dt = s.b->dtype;
    s.order = c->in[2] ? tensor_data(c->in[2]) : NULL;
    s.n = s.b->sizes[s.b->ndim - 1];
    s.per = s.b->ndim == 1 ? s.v->numel : s.v->sizes[s.v->ndim - 1];
    bool plain = !s.order && dt == s.v->dtype && (dt == AD_F32 || dt == AD_F64 || dt == AD_I64);
    pool_parallel_for(s.v->numel, 4096, plain ? search_plain : search_any, &s);
}

/* ---- runs(x): rows of x that follow each other and are equal. Outputs: where each run starts, and the run
 * that each row belongs to. NaN equals nothing. ---- */

static bool row_starts(const ad_tensor *x, int64_t row, int64_t width) {
    if (!row) return true;
    int64_t es = dtype_size[x->dtype], bytes = width * es;
    const char *p = (char *)tensor_data(x) + row * bytes, *before = p - bytes;
    if (!dtype_is_float(x->dtype)) return memcmp(p, before, (size_t)bytes) != 0;
    for (int64_t j = 0; j < width; j++) {
        double a, b;
        dtype_loads[x->dtype][CT_F64](1, &a, p + j * es, 0);
        dtype_loads[x->dtype][CT_F64](1, &b, before + j * es, 0);
        if (!(a == b)) return true;
    }
    return false;
}

/* Of single numbers: marks where runs start. */
#define STARTS(T)                                                                                            \
    {                                                                                                        \
        const T *p = tensor_data(x);                                                                         \
        for (int64_t k = begin; k < end; k++) first[k - begin] = !k || !(p[k] == p[k - 1]);                  \
        return;                                                                                              \
    }
static void row_marks(const ad_tensor *x, int64_t begin, int64_t end, int64_t width, uint8_t *first) {
    if (width == 1 && x->dtype == AD_F32) STARTS(float)
    if (width == 1 && x->dtype == AD_F64) STARTS(double)
    if (width == 1 && x->dtype == AD_I64) STARTS(int64_t)
    if (width == 1 && x->dtype == AD_I32) STARTS(int32_t)
    for (int64_t k = begin; k < end; k++) first[k - begin] = row_starts(x, k, width);
}

enum { MARKS = 4096 };

int runs_infer(ad_call *c) {
    const ad_tensor *x = c->in[0];
    if (!x->ndim) return ad_fail(AD_ERR_RUNTIME, "runs: expected at least 1 dimension");
    uint8_t first[MARKS];
    int64_t n = x->sizes[0], width = n ? x->numel / n : 0, found = 0;
    for (int64_t k = 0; k < n; k += MARKS) {
        int64_t m = n - k < MARKS ? n - k : MARKS;
        row_marks(x, k, k + m, width, first);
        found += kern->mask_count(m, first);
    }
    for (int k = 0; k < 2; k++) {
        c->spec[k].dtype = AD_I64;
        c->spec[k].ndim = 1;
        c->spec[k].sizes[0] = k ? n : found;
    }
    return 0;
}
void runs_run(const ad_call *c) {
    const ad_tensor *x = c->in[0];
    uint8_t first[MARKS];
    int64_t n = x->sizes[0], width = n ? x->numel / n : 0, found = -1, room = c->out[0]->numel;
    int64_t *starts = tensor_data(c->out[0]), *run = tensor_data(c->out[1]);
    for (int64_t k = 0; k < n; k += MARKS) {
        int64_t m = n - k < MARKS ? n - k : MARKS;
        row_marks(x, k, k + m, width, first);
        for (int64_t j = 0; j < m; j++) {
            found += first[j] && found + 1 < room;
            if (first[j]) starts[found] = k + j;
            run[k + j] = found;
        }
    }
}
