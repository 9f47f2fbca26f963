/* Batch norm with the row of its gradient, and the running statistics that batch and instance norm keep.
 * Ioffe and Szegedy, "Batch normalization", 2015.
 *
 * A task takes some channels and stays with them from the statistics to the result, so that the second pass
 * finds them in the cache. */
#include <math.h>
#include <string.h>
#include "../pool.h"
#include "declare.h"
#include "norm.h"

#define WORK 65536    /* elements a task, about */
#define BLOCK 4096    /* elements of a plane that lanes are summed over in the compute type */
#define COLS_BLOCK 64 /* rows that columns are summed over */

/* ---- batch_norm(x, weight, bias, running mean, running var, each or none) -> y, statistics [3, channels]:
 * mean, 1 / sqrt(var + eps), var. i[0] = 1: of the batch, 0: the running ones; f[0] = eps ---- */

static norm_form batch_form(int ndim, const int64_t *sizes, const ad_attr *at) {
    norm_form f = {.ndim = 3, .nover = 2, .over = {0, 2}, .eps = at->f[0], .sizes = {1, 1, 1}};
    for (int d = 0; d < ndim; d++) f.sizes[d < 2 ? d : 2] *= sizes[d];
    if (ndim < 2) f.sizes[1] = 0; /* an empty input */
    f.weight[0] = f.weight[2] = 1;
    f.weight[1] = f.sizes[1];
    static ad_tensor known; /* a mark: the rule puts the statistics in its place */
    if (!at->i[0]) f.fixed = &known;
    return f;
}

int batch_norm_infer(ad_call *c) {
    static const char *const names[] = {"weight", "bias", "running_mean", "running_var"};
    const ad_tensor *x = c->in[0];
    int64_t channels = x->ndim > 1 ? x->sizes[1] : 0;
    if (x->ndim < 2 && x->numel)
        return ad_fail(
            AD_ERR_RUNTIME,
            "batch_norm: expected an input of at least 2 dimensions (batch, channels, ...), got %s",
            fmt_sizes(x->ndim, x->sizes));
    for (int k = 0; k < 4; k++) {
        const ad_tensor *p = c->in[1 + k];
        if (p && p->numel != channels)
            return ad_fail(AD_ERR_RUNTIME, "%s should contain %lld elements not %lld", names[k],
                           (long long)channels, (long long)p->numel);
        if (p && p->ndim != 1)
            return ad_fail(AD_ERR_RUNTIME, "batch_norm: %s must have 1 dimension, got size %s", names[k],
                           fmt_sizes(p->ndim, p->sizes));
    }
    if (!c->at->i[0] && !(c->in[3] && c->in[4]))
        return ad_fail(AD_ERR_RUNTIME,
                       "Expected running_mean and running_var to be defined when training=False");
    if (norm_check_params(c, 5, "batch_norm")) return -1;
    spec_like(&c->spec[0], x);
    ad_spec *s = &c->spec[1];
    s->dtype = (uint8_t)norm_dtype(dtype_compute(x->dtype));
    s->ndim = 2;
    s->sizes[0] = 3;
    s->sizes[1] = channels;
    s->nondiff = true;
    return 0;
}

typedef struct batch_job {
    int64_t batch, channels, space, grain;
    int ct;
    bool training;
    double eps;
    const char *x, *w, *b, *g;
    char *y, *stats, *room;
    void *dw, *db;
    int wanted;
} batch_job;

/* Room for a channel: four constants, two sums, two vectors of lanes. */
#define PER_CHANNEL (4 * 8 + 2 * 8 + 2 * 64)
#define MOST_CHANNELS 1024 /* of a task */

static batch_job batch_prepare(const ad_tensor *x, const ad_attr *at) {
    norm_form f = batch_form(x->ndim, x->sizes, at);
    batch_job j = {.batch = f.sizes[0],
                   .channels = f.sizes[1],
                   .space = f.sizes[2],
                   .ct = dtype_compute(x->dtype),
                   .training = at->i[0],
                   .eps = f.eps};
    int64_t n = j.batch * j.space;
    j.grain = n ? WORK / n : MOST_CHANNELS;
    if (j.space == 1) j.grain = (j.grain + 63) / 64 * 64; /* whole cache lines of each row */
    if (j.grain < 1) j.grain = 1;
    if (j.grain > MOST_CHANNELS) j.grain = MOST_CHANNELS;
    return j;
}

typedef struct batch_room { /* of a task, by channel */
    void *m, *a, *b, *c, *lanes, *lanes2;
    double *s, *q;
} batch_room;

static batch_room room_of(const batch_job *j, int64_t first, int64_t n) {
    char *p = j->room + first * PER_CHANNEL;
    batch_room r = {.m = p, .a = p + 8 * n, .b = p + 16 * n, .c = p + 24 * n};
    r.s = (double *)(p + 32 * n);
    r.q = r.s + n;
    r.lanes = r.q + n;
    r.lanes2 = (char *)r.lanes + 64 * n;
    memset(r.s, 0, (size_t)n * 2 * sizeof(double));
    memset(r.lanes, 0, (size_t)n * 128);
    return r;
}

static const void *channel_at(const batch_job *j, const char *p, int64_t item, int64_t channel, int64_t at) {
    return norm_at(p, j->ct, (item * j->channels + channel) * j->space + at);
}

/* s and q: the sums over the batch of x - m and (x - m)^2, or of g and g (x - m). */
static void sums(const batch_job *j, int64_t first, int64_t n, const batch_room *r) {
    if (j->space == 1) {
        for (int64_t i = 0; i < j->batch; i += COLS_BLOCK) {
            int64_t rows = j->batch - i < COLS_BLOCK ? j->batch - i : COLS_BLOCK;
            kern->nm_cols_sums[j->ct](rows, n, j->channels, channel_at(j, j->x, i, first, 0),
                                      channel_at(j, j->g, i, first, 0), r->m, r->lanes, r->lanes2);
            for (int64_t k = 0; k < n; k++) {
                r->s[k] += norm_get(r->lanes, j->ct, k);
                r->q[k] += norm_get(r->lanes2, j->ct, k);
            }
        }
        return;
    }
    int64_t held = 0; /* elements of a channel in the lanes */
    for (int64_t i = 0; i < j->batch; i++)
        for (int64_t at = 0; at < j->space; at += BLOCK) {
            int64_t w = j->space - at < BLOCK ? j->space - at : BLOCK;
            kern->nm_plane_sums[j->ct](n, w, j->space, channel_at(j, j->x, i, first, at),
                                       channel_at(j, j->g, i, first, at), r->m, r->lanes, r->lanes2);
            held += w;
            if (held >= BLOCK || (i == j->batch - 1 && at + w == j->space)) {
                kern->nm_plane_flush[j->ct](n, r->lanes, r->lanes2, r->s, r->q);
                held = 0;
            }
        }
}

/* Mean and variance of each channel, by sums about a mean that the first sample estimates: what that is off
 * by is at most about sqrt(batch) standard deviations. Matrices go twice over the batch. */
static void batch_statistics(const batch_job *j, int64_t first, int64_t n, const batch_room *r) {
    double count = (double)(j->batch * j->space), row[2];
    for (int64_t k = 0; k < n; k++)
        if (j->space == 1) norm_put(r->m, j->ct, k, norm_get(j->x, j->ct, first + k));
        else {
            kern->nm_row_stats[j->ct](j->space, channel_at(j, j->x, 0, first + k, 0), false, row);
            norm_put(r->m, j->ct, k, row[0]);
        }
    for (int pass = j->space == 1; pass >= 0; pass--) {
        sums(j, first, n, r);
        for (int64_t k = 0; k < n; k++) {
            double off = r->s[k] / count, mean = norm_get(r->m, j->ct, k) + off,
                   var = (r->q[k] - off * r->s[k]) / count;
            norm_put(r->m, j->ct, k, mean);
            norm_put(j->stats, j->ct, first + k, mean);
            var = var < 0 ? 0 : var;
            norm_put(j->stats, j->ct, j->channels + first + k, 1 / sqrt(var + j->eps));
            norm_put(j->stats, j->ct, 2 * j->channels + first + k, var);
            r->s[k] = r->q[k] = 0;
        }
    }
}

/* y = (x - m) a + b, or with g: y = g a + (x - m) b + c */
static void write_channels(const batch_job *j, int64_t first, int64_t n, const batch_room *r) {
    if (j->space == 1) {
        kern->nm_cols_apply[j->ct](j->batch, n, j->channels, channel_at(j, j->x, 0, first, 0),
                                   channel_at(j, j->g, 0, first, 0), r->m, r->a, r->b, r->c,
                                   (void *)channel_at(j, j->y, 0, first, 0));
        return;
    }
    for (int64_t i = 0; i < j->batch; i++)
        kern->nm_plane_apply[j->ct](n, j->space, j->space, channel_at(j, j->x, i, first, 0),
                                    channel_at(j, j->g, i, first, 0), r->m, r->a, r->b, r->c,
                                    (void *)channel_at(j, j->y, i, first, 0));
}

static void batch_channels(int64_t begin, int64_t end, void *ctx) {
    const batch_job *j = ctx;
    int ct = j->ct;
    int64_t n = end - begin;
    batch_room r = room_of(j, begin, n);
    if (j->training && j->batch > 0 && j->space > 0) batch_statistics(j, begin, n, &r);
    for (int64_t k = 0; k < n; k++) {
        double rstd = norm_get(j->stats, ct, j->channels + begin + k);
        norm_put(r.m, ct, k, norm_get(j->stats, ct, begin + k));
        norm_put(r.a, ct, k, j->w ? rstd * norm_get(j->w, ct, begin + k) : rstd);
        norm_put(r.b, ct, k, j->b ? norm_get(j->b, ct, begin + k) : 0);
    }
    write_channels(j, begin, n, &r);
}

static size_t channel_room(const batch_job *j) { return (size_t)j->channels * PER_CHANNEL; }

size_t batch_norm_scratch(const ad_call *c) {
    batch_job j = batch_prepare(c->in[0], c->at);
    return channel_room(&j) + norm_room(c->in[0], j.ct) + norm_room(c->in[1], j.ct) +
           norm_room(c->in[2], j.ct) + norm_room(c->out[0], j.ct) + 64;
}
void batch_norm_run(const ad_call *c) {
    batch_job j = batch_prepare(c->in[0], c->at);
    char *room = c->scratch;
    j.x = norm_in(c->in[0], j.ct, &room);
    j.w = norm_in(c->in[1], j.ct, &room);
    j.b = norm_in(c->in[2], j.ct, &room);
    j.y = norm_out(c->out[0], j.ct, &room);
    j.room = room;
    j.stats = tensor_data(c->out[1]);
    if (!j.training) {
        const ad_tensor *mean = c->in[3], *var = c->in[4];
        dtype_loads[mean->dtype][j.ct](j.channels, j.stats, tensor_data(mean), dtype_size[mean->dtype]);
        for (int64_t k = 0; k < j.channels; k++) {
            double v;
            dtype_loads[var->dtype][CT_F64](1, &v, (char *)tensor_data(var) + k * dtype_size[var->dtype], 0);
            norm_put(j.stats, j.ct, j.channels + k, 1 / sqrt(v + j.eps));
            norm_put(j.stats, j.ct, 2 * j.channels + k, v);
        }
    } else if (!c->in[0]->numel) {
        for (int64_t k = 0; k < 3 * j.channels; k++) norm_put(j.stats, j.ct, k, 0);
    }
    pool_parallel_for(j.channels, j.grain, batch_channels, &j);
    norm_store(c->out[0], j.ct, j.y);
}
void batch_norm_vjp(ad_vjp *v) { normalized_vjp(v, OP_batch_norm_grad, batch_form); }
void batch_norm_jvp(ad_jvp *j) { normalized_jvp(j, batch_form); }

/* batch_norm_grad(g, x, statistics, weight or none) -> dx, dweight, dbias */
int batch_norm_grad_infer(ad_call *c) { return norm_grad_infer(c, c->in[2]->sizes[1]); }

static void batch_grad_channels(int64_t begin, int64_t end, void *ctx) {
    const batch_job *j = ctx;
    int ct = j->ct;
    int64_t n = end - begin;
    double count = (double)(j->batch * j->space);
    batch_room r = room_of(j, begin, n);
    for (int64_t k = 0; k < n; k++) norm_put(r.m, ct, k, norm_get(j->stats, ct, begin + k));
    if (j->training || j->wanted & 6) sums(j, begin, n, &r);
    for (int64_t k = 0; k < n; k++) {
        double rstd = norm_get(j->stats, ct, j->channels + begin + k),
               w = j->w ? rstd * norm_get(j->w, ct, begin + k) : rstd;
        if (j->wanted & 2) norm_put(j->dw, ct, begin + k, r.q[k] * rstd);
        if (j->wanted & 4) norm_put(j->db, ct, begin + k, r.s[k]);
        norm_put(r.a, ct, k, w);
        norm_put(r.b, ct, k, j->training ? -w * rstd * rstd * r.q[k] / count : 0);
        norm_put(r.c, ct, k, j->training ? -w * r.s[k] / count : 0);
    }
    if (j->wanted & 1) write_channels(j, begin, n, &r);
}

size_t batch_norm_grad_scratch(const ad_call *c) {
    batch_job j = batch_prepare(c->in[1], c->at);
    size_t bytes = channel_room(&j) + norm_room(c->in[3], j.ct) + 64;
    for (int k = 0; k < 2; k++) bytes += norm_room(c->in[k], j.ct);
    for (int k = 0; k < 3; k++) bytes += norm_room(c->out[k], j.ct);
    return bytes;
}
void batch_norm_grad_run(const ad_call *c) {
    batch_job j = batch_prepare(c->in[1], c->at);
    char *room = c->scratch;
    j.wanted = (int)c->at->i[7];
    j.g = norm_in(c->in[0], j.ct, &room);
    j.x = norm_in(c->in[1], j.ct, &room);
    j.stats = tensor_data(c->in[2]);
    j.w = norm_in(c->in[3], j.ct, &room);
    j.y = norm_out(c->out[0], j.ct, &room);
    j.dw = norm_out(c->out[1], j.ct, &room);
    j.db = norm_out(c->out[2], j.ct, &room);
    j.room = room;
    pool_parallel_for(j.channels, j.grain, batch_grad_channels, &j);
    norm_store(c->out[0], j.ct, j.y);
    norm_store(c->out[1], j.ct, j.dw);
    norm_store(c->out[2], j.ct, j.db);
}

/* ---- running_stats(statistics [3, repeats * channels], running mean, running var, count, each or none):
 * r += momentum (s - r), averaged over the repeats; the variance is that of n / (n - 1). i[0] = n; f[0] =
 * momentum, or i[1] = 1: it is 1 / count. The count goes up by 1 first ---- */

int running_stats_infer(ad_call *c) {
    const ad_tensor *stats = c->in[0];
    for (int k = 1; k < 3; k++) {
        const ad_tensor *t = c->in[k];
        if (t && (!t->numel ? stats->sizes[1] != 0 : stats->sizes[1] % t->numel != 0))
            return ad_fail(AD_ERR_RUNTIME,
                           "%s should contain as many elements as there are channels, not %lld",
                           k == 1 ? "running_mean" : "running_var", (long long)t->numel);
        if (t && (t->ndim != 1 || !dtype_is_float(t->dtype)))
            return ad_fail(
                AD_ERR_RUNTIME, "%s must be floating point and have 1 dimension, got %s of size %s",
                k == 1 ? "running_mean" : "running_var", dtype_name[t->dtype], fmt_sizes(t->ndim, t->sizes));
    }
    if (c->in[3] && c->in[3]->numel != 1)
        return ad_fail(AD_ERR_RUNTIME, "num_batches_tracked must be one number, got size %s",
                       fmt_sizes(c->in[3]->ndim, c->in[3]->sizes));
    return 0;
}

static double add_one(const ad_tensor *count) {
    int ct = dtype_is_float(count->dtype) ? CT_F64 : CT_I64;
    union {
        double f;
        int64_t i;
    } n;
    dtype_loads[count->dtype][ct](1, &n, tensor_data(count), 0);
    if (ct == CT_F64) n.f += 1;
    else n.i = (int64_t)((uint64_t)n.i + 1);
    dtype_stores[count->dtype][ct](1, tensor_data(count), 0, &n);
    return ct == CT_F64 ? n.f : (double)n.i;
}

void running_stats_run(const ad_call *c) {
    const ad_tensor *stats = c->in[0];
    double momentum = c->at->f[0], n = (double)c->at->i[0], count = c->in[3] ? add_one(c->in[3]) : 0;
    int ct = dtype_compute(stats->dtype);
    int64_t all = stats->sizes[1];
    if (c->at->i[1]) momentum = c->in[3] ? 1 / count : 0;
    if (!c->at->i[0]) return; /* of an empty batch there is nothing to keep */
    for (int k = 1; k < 3; k++) {
        const ad_tensor *t = c->in[k];
        const void *of = norm_at(tensor_data(stats), ct, k == 1 ? 0 : 2 * all);
        if (!t || !t->numel) continue;
        int64_t channels = t->numel, repeats = all / channels, size = dtype_size[t->dtype];
        if (!repeats) continue;
        for (int64_t i = 0; i < channels; i++) {
            char *p = (char *)tensor_data(t) + i * t->strides[0] * size;
            double sum = 0, old;
            for (int64_t r = 0; r < repeats; r++) sum += norm_get(of, ct, r * channels + i);
            sum /= (double)repeats;
            if (k == 2) sum *= n / (n - 1);
            dtype_loads[t->dtype][CT_F64](1, &old, p, 0);
            old = momentum * sum + (1 - momentum) * old;
            dtype_stores[t->dtype][CT_F64](1, p, 0, &old);
        }
    }
}

/* ---- entry point ---- */

/* Batch norm or instance norm, and in training the running statistics.
 * A momentum of NaN: the average of all batches. */
ad_handle ad_running_norm(ad_handle x, ad_handle weight, ad_handle bias, ad_handle mean, ad_handle var,
                          ad_handle count, int instance, int training, double momentum, double eps) {
    ad_tensor *in[5] = {(ad_tensor *)x, (ad_tensor *)weight, (ad_tensor *)bias, (ad_tensor *)mean,
                        (ad_tensor *)var},
              *out[2], *none;
    ad_attr at = {.i = {instance ? 0 : training}, .f = {eps}};
    for (int k = 3; k < 5 && !tls.no_grad; k++)
        if (in[k] && tensor_wants_grad(in[k])) {
            ad_fail(AD_ERR_RUNTIME,
                    "The function '%s' is not differentiable with respect to argument '%s'. This input "
                    "cannot have "
                    "requires_grad True.",
                    instance ? "instance_norm" : "native_batch_norm",
                    k == 3 ? "running_mean" : "running_var");
            return 0;
        }
    if (ad_apply(&ad_ops[instance ? OP_group_norm : OP_batch_norm], instance ? 3 : 5, in, &at, out) < 0)
        return 0;
    ad_tensor *track[4] = {out[1], in[3], in[4], (ad_tensor *)count};
    if (training && (track[1] || track[2] || track[3])) {
        int64_t channels = in[0]->ndim > 1 ? in[0]->sizes[1] : 0, n = channels ? in[0]->numel / channels : 0;
        if (instance) n = in[0]->sizes[0] ? n / in[0]->sizes[0] : 0;
        ad_attr how = {.i = {n, isnan(momentum)}, .f = {momentum}};
        int status = 0;
        for (int k = 1; k < 4; k++)
            if (track[k] && graph_check_inplace(track[k], false)) status = -1;
        if (!status) status = ad_apply(&ad_ops[OP_running_stats], 4, track, &how, &none) < 0 ? -1 : 0;
        for (int k = 1; k < 4 && !status; k++)
            if (track[k]) atomic_fetch_add_explicit(&track[k]->storage->version, 1, memory_order_relaxed);
        if (status) {
            tensor_unref(out[0]);
            out[0] = NULL;
        }
    }
    tensor_unref(out[1]);
    return (ad_handle)out[0];
}
