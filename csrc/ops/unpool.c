/* max_unpool, which puts elements back where max pooling took them from, and fractional max pooling.
 *
 * Their gradients are max_pool_pick and max_pool_grad by position (max_pool.c). */
#include <math.h>
#include <string.h>
#include "pooling.h"

/* Whether some of the places are not 0 <= at <= last. A vector at a time, since this is done alone. */
static bool any_outside(int64_t n, const int64_t *at, int64_t last) {
    typedef uint64_t places __attribute__((vector_size(16)));
    places v, w, bad = {0}, worse = {0}, lasts = {(uint64_t)last, (uint64_t)last};
    uint64_t outside = 0; /* the sign tells */
    int64_t i = 0;
    for (; i + 4 <= n; i += 4) {
        memcpy(&v, at + i, sizeof v);
        memcpy(&w, at + i + 2, sizeof w);
        bad |= v | (lasts - v);
        worse |= w | (lasts - w);
    }
    for (; i < n; i++) outside |= (uint64_t)at[i] | ((uint64_t)last - (uint64_t)at[i]);
    bad |= worse;
    return (int64_t)(outside | bad[0] | bad[1]) < 0;
}

/* ---- max_unpool(x, indices): i[0] = number of dimensions n, list = the n output sizes ---- */

int max_unpool_infer(ad_call *c) {
    const ad_tensor *x = c->in[0], *where = c->in[1];
    ad_spec *s = &c->spec[0];
    int n = (int)c->at->i[0];
    if (where->dtype != AD_I64)
        return ad_fail(AD_ERR_RUNTIME, "max_unpool%dd: elements in indices should be type int64 but got: %s",
                       n, dtype_class[where->dtype]);
    if (x->ndim != n + 1 && x->ndim != n + 2)
        return ad_fail(
            AD_ERR_RUNTIME,
            "max_unpool%dd: expected an input of %d or %d dimensions, but got a tensor with %d dimensions", n,
            n + 1, n + 2, x->ndim);
    if (!tensor_same_sizes(x, where))
        return ad_fail(
            AD_ERR_RUNTIME,
            "max_unpool%dd: Expected shape of indices to be same as that of the input tensor (%s) but got "
            "indices tensor with shape: %s",
            n, fmt_sizes(x->ndim, x->sizes), fmt_sizes(where->ndim, where->sizes));
    if (!dtype_is_float(x->dtype))
        return ad_fail(AD_ERR_NOT_IMPLEMENTED, "\"max_unpool%dd\" not implemented for '%s'", n,
                       dtype_class[x->dtype]);
    for (int d = x->ndim == n + 2; d < x->ndim; d++)
        if (!x->sizes[d])
            return ad_fail(
                AD_ERR_RUNTIME,
                "max_unpool%dd: expected input to have non-zero size for non-batch dimensions, but got %s", n,
                fmt_sizes(x->ndim, x->sizes));
    spec_like(s, x);
    int64_t plane = 1;
    for (int d = 0; d < n; d++) {
        int64_t size = c->at->list[d];
        if (size < 1 || __builtin_mul_overflow(plane, size, &plane))
            return ad_fail(AD_ERR_RUNTIME, "max_unpool%dd: the output size %s is not positive, or too large",
                           n, fmt_sizes(n, c->at->list));
        s->sizes[x->ndim - n + d] = size;
    }
    int64_t row = 1, at;
    for (int d = 0; d < where->ndim; d++) row *= where->sizes[d];
    const int64_t *p = tensor_data(where);
    bool dense = tensor_is_contiguous(where);
    bool good = dense && !any_outside(row, p, plane - 1); /* all of them before any is named */
    for (int64_t i = 0; i < row && !good; i++) {
        if (dense) at = p[i];
        else {
            int64_t rest = i, offset = 0;
            for (int d = where->ndim - 1; d >= 0; d--) {
                offset += rest % where->sizes[d] * where->strides[d];
                rest /= where->sizes[d];
            }
            at = p[offset];
        }
        if (at < 0 || at >= plane)
            return ad_fail(AD_ERR_RUNTIME, "Found an invalid max index: %lld (output volumes are of size %s)",
                           (long long)at, fmt_sizes(n, c->at->list));
    }
    return 0;
}

typedef struct unpool_job {
    int64_t small, big, size;
    const char *x;
    const int64_t *where;
    char *out;
} unpool_job;

static void unpool_planes(int64_t begin, int64_t end, void *ctx) {
    const unpool_job *j = ctx;
    for (int64_t p = begin; p < end; p++) {
        char *out = j->out + p * j->big * j->size;
        memset(out, 0, (size_t)(j->big * j->size));
        for (int64_t i = p * j->small; i < (p + 1) * j->small; i++) {
            int64_t at = j->where[i];
            if (at < 0 || at >= j->big) continue; /* a replayed program may meet what infer would refuse */
            if (j->size == 4) memcpy(out + at * 4, j->x + i * 4, 4);
            else if (j->size == 8) memcpy(out + at * 8, j->x + i * 8, 8);
            else memcpy(out + at * 2, j->x + i * 2, 2);
        }
    }
}

void max_unpool_run(const ad_call *c) {
    const ad_tensor *x = c->in[0];
    ad_tensor *out = c->out[0];
    int64_t n = c->at->i[0], planes = 1;
    if (!out->numel) return;
    for (int d = 0; d < x->ndim - n; d++) planes *= x->sizes[d];
    unpool_job j = {.small = x->numel / planes,
                    .big = out->numel / planes,
                    .size = dtype_size[x->dtype],
                    .x = tensor_data(x),
                    .where = tensor_data(c->in[1]),
                    .out = tensor_data(out)};
    int64_t grain = 16384 / (j.small + j.big);
    pool_parallel_for(planes, grain ? grain : 1, unpool_planes, &j);
}

/* The attributes with which max_pool_pick and max_pool_grad go between planes by position. */
static ad_attr between(int64_t n, const int64_t *small, const int64_t *big, int64_t *list) {
    dims_copy(list, small, n);
    dims_copy(list + n, big, n);
    return (ad_attr){.i = {n, 0, POOL_ADAPTIVE}, .list = list, .nlist = 2 * n};
}
void max_unpool_vjp(ad_vjp *v) {
    int64_t list[POOL_LIST], n = v->at->i[0];
    const ad_meta *m = vjp_meta(v, 0);
    ad_tensor *where = vjp_in(v, 1);
    ad_attr at = between(n, m->sizes + m->ndim - n, v->at->list, list);
    if (v->g[0] && where) v->gin[0] = em_op(&v->E, OP_max_pool_pick, 2, (ad_tensor *[]){v->g[0], where}, &at);
}

/* ---- fractional_max_pool(x, samples): list = kernel, then output sizes; samples (N, C, n) say where the
 * regions begin, those of the last dimension first in two dimensions ---- */

static const ad_attr *fractional_sizes(const ad_attr *at, int64_t k[3], int64_t out[3]) {
    int64_t n = at->i[0];
    for (int d = 0; d < 3; d++) k[d] = out[d] = 1;
    for (int d = 0; d < n; d++) k[3 - n + d] = at->list[d], out[3 - n + d] = at->list[n + d];
    return at;
}

int fractional_max_pool_infer(ad_call *c) {
    const ad_tensor *x = c->in[0], *samples = c->in[1];
    ad_spec *s = &c->spec[0];
    int n = (int)c->at->i[0];
    static const char *const axes[] = {"time", "height", "width"};
    if (x->ndim != n + 1 && x->ndim != n + 2)
        return ad_fail(AD_ERR_RUNTIME, "fractional_max_pool%dd(): Expected %dD or %dD tensor, but got: %s", n,
                       n + 1, n + 2, fmt_sizes(x->ndim, x->sizes));
    if (!dtype_is_float(x->dtype))
        return ad_fail(AD_ERR_NOT_IMPLEMENTED, "\"fractional_max_pool%dd\" not implemented for '%s'", n,
                       dtype_class[x->dtype]);
    int batched = x->ndim == n + 2;
    for (int d = batched; d < x->ndim; d++)
        if (!x->sizes[d])
            return ad_fail(
                AD_ERR_RUNTIME,
                "fractional_max_pool%dd(): Expected input to have non-zero size for non-batch dimensions, "
                "but got %s with dimension %d being empty",
                n, fmt_sizes(x->ndim, x->sizes), d);
    if (samples->dtype != x->dtype)
        return ad_fail(AD_ERR_RUNTIME, "Expect _random_samples to have the same dtype as input");
    if (samples->ndim != 3)
        return ad_fail(AD_ERR_RUNTIME, "Expect _random_samples to have 3 dimensions, got %d", samples->ndim);
    int64_t batch = batched ? x->sizes[0] : 1, channels = x->sizes[batched];
    if (samples->sizes[0] < batch)
        return ad_fail(AD_ERR_RUNTIME, "Expect _random_samples.size(0) no less then input batch size.");
    if (samples->sizes[1] != channels)
        return ad_fail(AD_ERR_RUNTIME, "Expect _random_samples.size(1) equals to input channel size.");
    if (samples->sizes[2] != n)
        return ad_fail(AD_ERR_RUNTIME, "Expect _random_samples.size(2) equals to %d; got %lld.", n,
                       (long long)samples->sizes[2]);
    spec_like(s, x);
    for (int d = 0; d < n; d++) {
        int64_t k = c->at->list[d], out = c->at->list[n + d], at = x->ndim - n + d;
        if (k < 1)
            return ad_fail(AD_ERR_RUNTIME, "fractional_max_pool%dd(): kernel_size must be positive, got %lld",
                           n, (long long)k);
        if (out < 0)
            return ad_fail(AD_ERR_RUNTIME,
                           "fractional_max_pool%dd(): output_size must not be negative, got %lld", n,
                           (long long)out);
        if (k > x->sizes[at] ||
            out > x->sizes[at] - k + (n == 2)) /* PyTorch asks one more of three dimensions */
            return ad_fail(AD_ERR_RUNTIME,
                           "fractional_max_pool%dd(): pool %s %lld too large relative to input %s %lld", n,
                           axes[3 - n + d], (long long)k, axes[3 - n + d], (long long)x->sizes[at]);
        s->sizes[at] = out;
    }
    c->spec[1] = *s;
    c->spec[1].dtype = AD_I64;
    c->spec[1].nondiff = true;
    return 0;
}

typedef struct fraction_job {
    int n, ct, dtype;
    int64_t in[3], k[3], out[3], size;
    bool native;
    const char *x, *samples;
    int64_t step[3]; /* of the samples, in elements */
    int64_t channels;
    char *y;
    int64_t *where;
} fraction_job;

/* Where region o of a dimension begins. */
static int64_t region(const fraction_job *j, int d, double sample, int64_t o) {
    int64_t room = j->in[d] - j->k[d], out = j->out[d];
    if (o == out - 1 || out <= 1) return room;
    int64_t at;
    if (j->ct == CT_F32) {
        float alpha = (float)room / (float)(out - 1), u = (float)sample;
        at = (int64_t)(((float)o + u) * alpha) - (int64_t)(u * alpha);
    } else {
        double alpha = (double)room / (double)(out - 1);
        at = (int64_t)(((double)o + sample) * alpha) - (int64_t)(sample * alpha);
    }
    return at < 0 ? 0 : at > room ? room : at; /* samples are meant to lie in [0, 1) */
}

static void fraction_planes(int64_t begin, int64_t end, void *ctx) {
    const fraction_job *j = ctx;
    int64_t in_plane = j->in[0] * j->in[1] * j->in[2];
    _Alignas(64) char tile[256 * 8], best[64];
    double sample[3] = {0, 0, 0};
    for (int64_t p = begin; p < end; p++) {
        const char *u = j->samples + (p / j->channels * j->step[0] + p % j->channels * j->step[1]) * j->size;
        for (int d = 0; d < j->n; d++) { /* two dimensions: width, height; three: time, height, width */
            int to = j->n == 2 ? 2 - d : d;
            dtype_loads[j->dtype][CT_F64](1, &sample[to], u + d * j->step[2] * j->size, 0);
            if (!(sample[to] >= 0 && sample[to] <= 1)) sample[to] = sample[to] > 1 ? 1 : 0;
        }
        const char *plane = j->x + p * in_plane * j->size;
        int64_t o = p * j->out[0] * j->out[1] * j->out[2];
        for (int64_t z = 0; z < j->out[0]; z++)
            for (int64_t y = 0; y < j->out[1]; y++)
                for (int64_t w = 0; w < j->out[2]; w++, o++) {
                    int64_t d0 = region(j, 0, sample[0], z), h0 = region(j, 1, sample[1], y),
                            w0 = region(j, 2, sample[2], w), at = (d0 * j->in[1] + h0) * j->in[2] + w0;
                    kern->pool_fill[j->ct](1, best, -INFINITY);
                    for (int64_t d = d0; d < d0 + j->k[0]; d++)
                        for (int64_t h = h0; h < h0 + j->k[1]; h++)
                            for (int64_t k = 0; k < j->k[2]; k += 256) {
                                int64_t from = (d * j->in[1] + h) * j->in[2] + w0 + k;
                                int64_t part = j->k[2] - k < 256 ? j->k[2] - k : 256;
                                const char *x = plane + from * j->size;
                                if (!j->native) dtype_loads[j->dtype][j->ct](part, tile, x, j->size);
                                kern->pool_max_line[j->ct](part, j->native ? x : tile, 1, best, &at, from, 1);
                            }
                    dtype_stores[j->dtype][j->ct](1, j->y + o * j->size, 0, best);
                    j->where[o] = at;
                }
    }
}

void fractional_max_pool_run(const ad_call *c) {
    const ad_tensor *x = c->in[0], *samples = c->in[1];
    int n = (int)c->at->i[0], batched = x->ndim == n + 2;
    if (!c->out[0]->numel) return;
    fraction_job j = {.n = n,
                      .ct = dtype_compute(x->dtype),
                      .dtype = x->dtype,
                      .in = {1, 1, 1},
                      .size = dtype_size[x->dtype],
                      .native = x->dtype == AD_F32 || x->dtype == AD_F64,
                      .x = tensor_data(x),
                      .samples = tensor_data(samples),
                      .channels = x->sizes[batched],
                      .y = tensor_data(c->out[0]),
                      .where = tensor_data(c->out[1])};
    fractional_sizes(c->at, j.k, j.out);
    for (int d = 0; d < n; d++) j.in[3 - n + d] = x->sizes[x->ndim - n + d];
    for (int d = 0; d < 3; d++) j.step[d] = samples->strides[d];
    int64_t planes = j.channels * (batched ? x->sizes[0] : 1), grain = 8192 / (j.in[0] * j.in[1] * j.in[2]);
    pool_parallel_for(planes, grain ? grain : 1, fraction_planes, &j);
}
void fractional_max_pool_vjp(ad_vjp *v) {
    int64_t list[POOL_LIST], n = v->at->i[0];
    const ad_meta *m = vjp_meta(v, 0);
    ad_tensor *where = vjp_out(v, 1);
    ad_attr at = between(n, v->at->list + n, m->sizes + m->ndim - n, list);
    if (v->g[0] && where)
        v->gin[0] = vjp_tied(v, 0, em_op(&v->E, OP_max_pool_grad, 2, (ad_tensor *[]){v->g[0], where}, &at));
}
void fractional_max_pool_jvp(ad_jvp *j) {
    int64_t list[POOL_LIST], n = j->c->at->i[0];
    const ad_tensor *x = j->c->in[0];
    ad_attr at = between(n, j->c->at->list + n, x->sizes + x->ndim - n, list);
    if (j->t[0]) j->tout[0] = em_op(&j->E, OP_max_pool_pick, 2, (ad_tensor *[]){j->t[0], j->c->out[1]}, &at);
}
