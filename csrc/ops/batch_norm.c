/* Batch norm with the row of its gradient, and the running statistics that batch and instance norm keep.
 * Ioffe and Szegedy, "Batch normalization", 2015.
 *
 * Sums run in tasks of some channels by some items of the batch, whose memory lies in runs long enough for
 * the processor to read ahead; the result is written in the order of memory. */
#include <math.h>
#include <string.h>
#include "../pool.h"
#include "declare.h"
#include "norm.h"

#define RUN 8192      /* contiguous elements that a task reads at once, about */
#define PART 4096     /* elements of a channel that a task sums, at least: its room is a small part of them */
#define TASKS 32      /* enough for many threads */
#define BLOCK 4096    /* elements of a channel that lanes hold in the compute type */
#define COLS_BLOCK 64 /* rows that columns are summed over in it */
#define WRITE 16384   /* elements a task that writes the result */

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
    int64_t batch, channels, space;
    int64_t chunk, chunks, items, parts; /* a task sums `chunk` channels of `items` items */
    int64_t block;                       /* channels that are written at once */
    int ct;
    bool training;
    double eps;
    const char *x, *w, *b, *g;
    char *y, *stats, *room;
    int wanted;
} batch_job;

static int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

static batch_job batch_prepare(const ad_tensor *x, const ad_attr *at) {
    norm_form f = batch_form(x->ndim, x->sizes, at);
    batch_job j = {.batch = f.sizes[0],
                   .channels = f.sizes[1],
                   .space = f.sizes[2],
                   .ct = dtype_compute(x->dtype),
                   .training = at->i[0],
                   .eps = f.eps};
    if (!j.batch || !j.channels || !j.space) return j;
    int64_t most = j.batch * j.space / PART;
    /* columns: whole cache lines of each row */
    j.chunk = j.space == 1 ? (4 * RUN / j.batch + 63) / 64 * 64 : RUN / j.space;
    if (j.chunk < 1) j.chunk = j.space == 1 ? 64 : 1;
    if (j.chunk > j.channels) j.chunk = j.channels;
    j.chunks = ceil_div(j.channels, j.chunk);
    j.parts = ceil_div(TASKS, j.chunks);
    if (j.parts > most) j.parts = most;
    if (j.parts > j.batch) j.parts = j.batch;
    if (j.parts < 1) j.parts = 1;
    j.items = ceil_div(j.batch, j.parts);
    j.parts = ceil_div(j.batch, j.items);
    return j;
}

/* Room: four constants a channel; two sums, a centre and two vectors of lanes a channel and part. */
#define CONSTANTS 4
#define PER_PART (3 * 8 + 2 * 64)
static size_t batch_room(const batch_job *j) {
    return (size_t)j->channels * (CONSTANTS * 8 + (size_t)j->parts * PER_PART);
}
static void *constants(const batch_job *j, int which, int64_t channel) {
    return norm_at(j->room + which * 8 * j->channels, j->ct, channel);
}
static double *sum_of(const batch_job *j, int which, int64_t part, int64_t channel) {
    double *p = (double *)(j->room + CONSTANTS * 8 * j->channels);
    return p + (which * j->parts + part) * j->channels + channel;
}
static char *centre_of(const batch_job *j, int64_t part, int64_t channel) {
    return norm_at(sum_of(j, 2, part, 0), j->ct, channel);
}
static char *lanes_of(const batch_job *j, int which, int64_t part, int64_t channel) {
    return (char *)sum_of(j, 3, 0, 0) + ((which * j->parts + part) * j->channels + channel) * 64;
}

static const void *channel_at(const batch_job *j, const char *p, int64_t item, int64_t channel, int64_t at) {
    return norm_at(p, j->ct, (item * j->channels + channel) * j->space + at);
}

/* The sums over items [begin, end) of x - m and (x - m)^2, or of g and g (x - m). */
static void sums(const batch_job *j, int64_t part, int64_t first, int64_t n, int64_t begin, int64_t end,
                 const void *m) {
    double *s = sum_of(j, 0, part, first), *q = sum_of(j, 1, part, first);
    char *lanes = lanes_of(j, 0, part, first), *lanes2 = lanes_of(j, 1, part, first);
    memset(s, 0, (size_t)n * sizeof *s);
    memset(q, 0, (size_t)n * sizeof *q);
    if (j->space == 1) {
        for (int64_t i = begin; i < end; i += COLS_BLOCK) {
            int64_t rows = end - i < COLS_BLOCK ? end - i : COLS_BLOCK;
            kern->nm_cols_sums[j->ct](rows, n, j->channels, channel_at(j, j->x, i, first, 0),
                                      channel_at(j, j->g, i, first, 0), m, lanes, lanes2);
            for (int64_t k = 0; k < n; k++) {
                s[k] += norm_get(lanes, j->ct, k);
                q[k] += norm_get(lanes2, j->ct, k);
            }
        }
        return;
    }
    memset(lanes, 0, (size_t)n * 64);
    memset(lanes2, 0, (size_t)n * 64);
    int64_t held = 0; /* elements of a channel in the lanes */
    for (int64_t i = begin; i < end; i++)
        for (int64_t at = 0; at < j->space; at += BLOCK) {
            int64_t w = j->space - at < BLOCK ? j->space - at : BLOCK;
            kern->nm_plane_sums[j->ct](n, w, j->space, channel_at(j, j->x, i, first, at),
                                       channel_at(j, j->g, i, first, at), m, lanes, lanes2);
            held += w;
            if (held >= BLOCK || (i == end - 1 && at + w == j->space)) {
                kern->nm_plane_flush[j->ct](n, lanes, lanes2, s, q);
                held = 0;
            }
        }
}

/* Of a part and channel: the mean, and the sum of squared deviations from it. They are summed about a centre
 * that the first item estimates: what that is off by is at most about sqrt(items) standard deviations.
 * Matrices go over the items twice. */
static void part_statistics(const batch_job *j, int64_t part, int64_t first, int64_t n, int64_t begin,
                            int64_t end) {
    double count = (double)((end - begin) * j->space), row[2];
    char *centre = centre_of(j, part, first);
    for (int64_t k = 0; k < n; k++)
        if (j->space == 1) norm_put(centre, j->ct, k, norm_get(j->x, j->ct, begin * j->channels + first + k));
        else {
            kern->nm_row_stats[j->ct](1, j->space, channel_at(j, j->x, begin, first + k, 0), false, row);
            norm_put(centre, j->ct, k, row[0]);
        }
    double *s = sum_of(j, 0, part, first), *q = sum_of(j, 1, part, first);
    for (int pass = j->space == 1; pass >= 0; pass--) {
        sums(j, part, first, n, begin, end, centre);
        for (int64_t k = 0; k < n; k++) {
            double off = s[k] / count;
            q[k] -= off * s[k];
            s[k] = norm_get(centre, j->ct, k) + off;
            if (pass) norm_put(centre, j->ct, k, s[k]);
        }
    }
}

static void sum_tasks(int64_t begin, int64_t end, void *ctx) {
    const batch_job *j = ctx;
    for (int64_t task = begin; task < end; task++) {
        int64_t part = task / j->chunks, first = task % j->chunks * j->chunk, i = part * j->items,
                n = j->channels - first < j->chunk ? j->channels - first : j->chunk,
                last = i + j->items < j->batch ? i + j->items : j->batch;
        if (j->g) sums(j, part, first, n, i, last, constants(j, 0, first));
        else part_statistics(j, part, first, n, i, last);
    }
}

/* Mean and variance of a channel from those of its parts. */
static void join_statistics(const batch_job *j, int64_t channel) {
    double mean = 0, m2 = 0, seen = 0;
    for (int64_t part = 0; part < j->parts; part++) {
        int64_t items = j->batch - part * j->items < j->items ? j->batch - part * j->items : j->items;
        double n = (double)(items * j->space), delta = *sum_of(j, 0, part, channel) - mean;
        m2 += *sum_of(j, 1, part, channel) + delta * delta * seen * n / (seen + n);
        mean += delta * n / (seen + n);
        seen += n;
    }
    double var = m2 < 0 ? 0 : m2 / seen;
    norm_put(j->stats, j->ct, channel, mean);
    norm_put(j->stats, j->ct, j->channels + channel, 1 / sqrt(var + j->eps));
    norm_put(j->stats, j->ct, 2 * j->channels + channel, var);
}

/* y = (x - m) a + b, or with g: y = g a + (x - m) b + c; for blocks of channels of an item, in the order in
 * which they lie in memory */
static void write_blocks(int64_t begin, int64_t end, void *ctx) {
    const batch_job *j = ctx;
    int64_t blocks = (j->channels + j->block - 1) / j->block;
    for (int64_t k = begin; k < end; k++) {
        int64_t item = k / blocks, first = k % blocks * j->block,
                n = j->channels - first < j->block ? j->channels - first : j->block;
        const void *m = constants(j, 0, first), *a = constants(j, 1, first), *b = constants(j, 2, first),
                   *c = constants(j, 3, first), *x = channel_at(j, j->x, item, first, 0),
                   *g = channel_at(j, j->g, item, first, 0);
        void *y = (void *)channel_at(j, j->y, item, first, 0);
        if (j->space == 1) kern->nm_cols_apply[j->ct](1, n, n, x, g, m, a, b, c, y);
        else kern->nm_plane_apply[j->ct](n, j->space, j->space, x, g, m, a, b, c, y);
    }
}

static void write_all(batch_job *j) {
    if (!j->batch || !j->channels || !j->space) return;
    j->block = WRITE / j->space;
    if (j->block < 1) j->block = 1;
    if (j->block > j->channels) j->block = j->channels;
    int64_t blocks = (j->channels + j->block - 1) / j->block, grain = WRITE / (j->block * j->space);
    pool_parallel_for(j->batch * blocks, grain < 1 ? 1 : grain, write_blocks, j);
}

size_t batch_norm_scratch(const ad_call *c) {
    batch_job j = batch_prepare(c->in[0], c->at);
    return batch_room(&j) + norm_room(c->in[0], j.ct) + norm_room(c->in[1], j.ct) +
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
    } else pool_parallel_for(j.parts * j.chunks, 1, sum_tasks, &j);
    for (int64_t k = 0; k < j.channels; k++) {
        if (j.training && c->in[0]->numel) join_statistics(&j, k);
        double rstd = norm_get(j.stats, j.ct, j.channels + k);
        norm_put(constants(&j, 0, k), j.ct, 0, norm_get(j.stats, j.ct, k));
        norm_put(constants(&j, 1, k), j.ct, 0, j.w ? rstd * norm_get(j.w, j.ct, k) : rstd);
        norm_put(constants(&j, 2, k), j.ct, 0, j.b ? norm_get(j.b, j.ct, k) : 0);
    }
    write_all(&j);
    norm_store(c->out[0], j.ct, j.y);
}
void batch_norm_vjp(ad_vjp *v) { normalized_vjp(v, OP_batch_norm_grad, batch_form); }
void batch_norm_jvp(ad_jvp *j) { normalized_jvp(j, batch_form); }

/* batch_norm_grad(g, x, statistics, weight or none) -> dx, dweight, dbias */
int batch_norm_grad_infer(ad_call *c) { return norm_grad_infer(c, c->in[2]->sizes[1]); }

size_t batch_norm_grad_scratch(const ad_call *c) {
    batch_job j = batch_prepare(c->in[1], c->at);
    size_t bytes = batch_room(&j) + norm_room(c->in[3], j.ct) + 64;
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
    void *dw = norm_out(c->out[1], j.ct, &room), *db = norm_out(c->out[2], j.ct, &room);
    j.room = room;
    double count = (double)(j.batch * j.space);
    for (int64_t k = 0; k < j.channels; k++)
        norm_put(constants(&j, 0, k), j.ct, 0, norm_get(j.stats, j.ct, k));
    bool summed = j.training || j.wanted & 6;
    if (summed) pool_parallel_for(j.parts * j.chunks, 1, sum_tasks, &j);
    for (int64_t k = 0; k < j.channels; k++) {
        double s = 0, q = 0, rstd = norm_get(j.stats, j.ct, j.channels + k),
               w = j.w ? rstd * norm_get(j.w, j.ct, k) : rstd;
        for (int64_t part = 0; part < j.parts && summed; part++) {
            s += *sum_of(&j, 0, part, k);
            q += *sum_of(&j, 1, part, k);
        }
        if (j.wanted & 2) norm_put(dw, j.ct, k, q * rstd);
        if (j.wanted & 4) norm_put(db, j.ct, k, s);
        norm_put(constants(&j, 1, k), j.ct, 0, w);
        norm_put(constants(&j, 2, k), j.ct, 0, j.training ? -w * rstd * rstd * q / count : 0);
        norm_put(constants(&j, 3, k), j.ct, 0, j.training ? -w * s / count : 0);
    }
    if (j.wanted & 1) write_all(&j);
    norm_store(c->out[0], j.ct, j.y);
    norm_store(c->out[1], j.ct, dw);
    norm_store(c->out[2], j.ct, db);
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
