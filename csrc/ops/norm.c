/* Layer, RMS and group norm, each with the row of its gradient. Instance norm is group norm of one channel a
 * group. Ba, Kiros and Hinton, "Layer normalization", 2016; Zhang and Sennrich, "Root mean square layer
 * normalization", 2019; Wu and He, "Group normalization", 2018; Ulyanov, Vedaldi and Lempitsky, "Instance
 * normalization", 2016. */
#include <math.h>
#include <string.h>
#include "../pool.h"
#include "declare.h"
#include "norm.h"

#define WORK 16384 /* elements a task, about */
#define RED_BLOCK 256

static int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }
static int64_t at_least_one(int64_t n) { return n < 1 ? 1 : n; }

/* ---- layer_norm(x, weight or none, bias or none) -> y, statistics [2, rows]: mean and 1 / sqrt(var + eps).
 * list = the sizes of the normalized dimensions, the last ones; i[0] = 1 for RMS norm; f[0] = eps ---- */

static norm_form layer_form(int ndim, const int64_t *sizes, const ad_attr *at) {
    norm_form f = {.ndim = 2, .nover = 1, .over = {1}, .rms = at->i[0], .eps = at->f[0], .sizes = {1, 1}};
    for (int d = 0; d < ndim; d++) f.sizes[d >= ndim - at->nlist] *= sizes[d];
    f.weight[0] = 1;
    f.weight[1] = f.sizes[1];
    return f;
}

int layer_norm_infer(ad_call *c) {
    const ad_tensor *x = c->in[0];
    const ad_attr *at = c->at;
    int64_t n = at->nlist;
    const char *what = at->i[0] ? "rms_norm" : "LayerNormKernelImpl";
    if (n < 1)
        return ad_fail(
            AD_ERR_RUNTIME,
            "Expected normalized_shape to be at least 1-dimensional, i.e., containing at least one "
            "element, but got normalized_shape = []");
    if (n > AD_MAXDIM)
        return ad_fail(AD_ERR_RUNTIME, "normalized_shape has %lld dimensions, the most is %d", (long long)n,
                       AD_MAXDIM);
    for (int k = 1; k < 3; k++)
        if (c->in[k] && !dims_equal(c->in[k]->ndim, c->in[k]->sizes, (int)n, at->list))
            return ad_fail(AD_ERR_RUNTIME,
                           "Expected %s to be of same shape as normalized_shape, but got %s of shape %s and "
                           "normalized_shape = %s",
                           k == 1 ? "weight" : "bias", k == 1 ? "weight" : "bias",
                           fmt_sizes(c->in[k]->ndim, c->in[k]->sizes), fmt_sizes((int)n, at->list));
    if (x->ndim < n || !dims_equal((int)n, x->sizes + x->ndim - n, (int)n, at->list))
        return ad_fail(AD_ERR_RUNTIME,
                       "Given normalized_shape=%s, expected input with shape [*, %s, but got input of size%s",
                       fmt_sizes((int)n, at->list), fmt_sizes((int)n, at->list) + 1,
                       fmt_sizes(x->ndim, x->sizes));
    if (norm_check_params(c, 3, what)) return -1;
    spec_like(&c->spec[0], x);
    ad_spec *s = &c->spec[1];
    s->dtype = (uint8_t)norm_dtype(dtype_compute(x->dtype));
    s->ndim = 2;
    s->sizes[0] = 2;
    s->sizes[1] = layer_form(x->ndim, x->sizes, at).sizes[0];
    s->nondiff = true;
    return 0;
}

typedef struct row_job {
    int64_t rows, n, grain;
    int ct;
    bool rms;
    double eps;
    const char *x, *w, *b, *g;
    char *y, *stats, *part;
    int wanted;
} row_job;

/* Short rows are taken together, which shares the weights and hides latencies; long ones alone, because the
 * processor reads ahead in few streams only. */
static int rows_at_once(int64_t n, int64_t left) { return left >= 4 && n <= 128 ? 4 : 1; }

static void layer_rows(int64_t begin, int64_t end, void *ctx) {
    const row_job *j = ctx;
    int ct = j->ct;
    for (int64_t r = begin, rows; r < end; r += rows) {
        const void *x = norm_at(j->x, ct, r * j->n);
        double s[8];
        rows = rows_at_once(j->n, end - r);
        kern->nm_row_stats[ct]((int)rows, j->n, x, j->rms, s);
        for (int64_t k = 0; k < rows; k++) {
            norm_put(j->stats, ct, r + k, s[2 * k]);
            norm_put(j->stats, ct, j->rows + r + k, 1 / sqrt(s[2 * k + 1] / (double)j->n + j->eps));
            s[2 * k + 1] = norm_get(j->stats, ct, j->rows + r + k);
        }
        kern->nm_row_apply[ct]((int)rows, j->n, x, s, j->w, j->b, norm_at(j->y, ct, r * j->n));
    }
}

size_t layer_norm_scratch(const ad_call *c) {
    int ct = dtype_compute(c->in[0]->dtype);
    return norm_room(c->in[0], ct) + norm_room(c->in[1], ct) + norm_room(c->in[2], ct) +
           norm_room(c->out[0], ct);
}
void layer_norm_run(const ad_call *c) {
    norm_form f = layer_form(c->in[0]->ndim, c->in[0]->sizes, c->at);
    char *room = c->scratch;
    int ct = dtype_compute(c->in[0]->dtype);
    row_job j = {.rows = f.sizes[0], .n = f.sizes[1], .ct = ct, .rms = f.rms, .eps = f.eps};
    j.x = norm_in(c->in[0], ct, &room);
    j.w = norm_in(c->in[1], ct, &room);
    j.b = norm_in(c->in[2], ct, &room);
    j.y = norm_out(c->out[0], ct, &room);
    j.stats = tensor_data(c->out[1]);
    pool_parallel_for(j.rows, at_least_one(WORK / at_least_one(j.n)), layer_rows, &j);
    norm_store(c->out[0], ct, j.y);
}
void layer_norm_vjp(ad_vjp *v) { normalized_vjp(v, OP_layer_norm_grad, layer_form); }
void layer_norm_jvp(ad_jvp *j) { normalized_jvp(j, layer_form); }

/* layer_norm_grad(g, x, statistics, weight or none) -> dx, dweight, dbias */
int layer_norm_grad_infer(ad_call *c) {
    norm_form f = layer_form(c->in[1]->ndim, c->in[1]->sizes, c->at);
    return norm_grad_infer(c, f.sizes[1]);
}

/* Each task sums the parameters' gradients over its rows; the sums are joined in order. */
static int64_t layer_grain(int64_t rows, int64_t n) {
    int64_t few = ceil_div(rows, 64), grain = 2 * WORK / at_least_one(n);
    if (grain < few) grain = few;
    return grain > 512 ? 512 : at_least_one(grain);
}

static void layer_grad_rows(int64_t begin, int64_t end, void *ctx) {
    const row_job *j = ctx;
    int64_t n = j->n, size = (int64_t)ct_size[j->ct];
    char *dw = j->wanted & 6 ? j->part + begin / j->grain * 2 * n * size : NULL, *db = norm_at(dw, j->ct, n);
    if (dw) memset(dw, 0, (size_t)(2 * n * size));
    for (int64_t r = begin, rows; r < end; r += rows) {
        const void *g = norm_at(j->g, j->ct, r * n), *x = norm_at(j->x, j->ct, r * n);
        double c[16], s[8] = {0};
        rows = rows_at_once(n, end - r);
        for (int64_t k = 0; k < rows; k++) {
            c[4 * k] = norm_get(j->stats, j->ct, r + k);
            c[4 * k + 1] = norm_get(j->stats, j->ct, j->rows + r + k);
        }
        if (j->wanted & 1) kern->nm_row_dots[j->ct]((int)rows, n, g, x, c, j->w, s);
        for (int64_t k = 0; k < rows; k++) {
            double rstd = c[4 * k + 1];
            c[4 * k + 2] = -rstd * rstd * rstd * s[2 * k + 1] / (double)n;
            c[4 * k + 3] = j->rms ? 0 : -rstd * s[2 * k] / (double)n;
        }
        kern->nm_row_grad[j->ct]((int)rows, n, g, x, c, j->w,
                                 j->wanted & 1 ? norm_at(j->y, j->ct, r * n) : NULL, dw, dw ? db : NULL);
    }
}

/* out[k] = the sum of `parts` rows of n elements that are `stride` elements apart */
static void join_parts(int64_t parts, int64_t n, int64_t stride, const char *p, int ct, void *out) {
    if (parts <= RED_BLOCK) {
        kern->fold_cols[RED_sum][ct](parts, n, p, stride, NULL, out);
        return;
    }
    for (int64_t k = 0; k < n; k++) {
        double sum = 0;
        for (int64_t r = 0; r < parts; r++) sum += norm_get(p, ct, r * stride + k);
        norm_put(out, ct, k, sum);
    }
}

size_t layer_norm_grad_scratch(const ad_call *c) {
    int ct = dtype_compute(c->in[1]->dtype);
    norm_form f = layer_form(c->in[1]->ndim, c->in[1]->sizes, c->at);
    int64_t parts = f.sizes[0] ? ceil_div(f.sizes[0], layer_grain(f.sizes[0], f.sizes[1])) : 0;
    size_t bytes = c->at->i[7] & 6 ? (size_t)(parts * 2 * f.sizes[1]) * ct_size[ct] + 64 : 0;
    for (int k = 0; k < 2; k++) bytes += norm_room(c->in[k], ct);
    for (int k = 0; k < 3; k++) bytes += norm_room(c->out[k], ct);
    return bytes + norm_room(c->in[3], ct);
}
void layer_norm_grad_run(const ad_call *c) {
    norm_form f = layer_form(c->in[1]->ndim, c->in[1]->sizes, c->at);
    char *room = c->scratch;
    int ct = dtype_compute(c->in[1]->dtype);
    row_job j = {.rows = f.sizes[0], .n = f.sizes[1], .ct = ct, .rms = f.rms, .wanted = (int)c->at->i[7]};
    j.g = norm_in(c->in[0], ct, &room);
    j.x = norm_in(c->in[1], ct, &room);
    j.stats = tensor_data(c->in[2]);
    j.w = norm_in(c->in[3], ct, &room);
    void *out[3];
    for (int k = 0; k < 3; k++) out[k] = norm_out(c->out[k], ct, &room);
    j.y = out[0];
    j.part = room;
    j.grain = layer_grain(j.rows, j.n);
    pool_parallel_for(j.rows, j.grain, layer_grad_rows, &j);
    for (int k = 1; k < 3; k++)
        if (j.wanted & (1 << k))
            join_parts(ceil_div(j.rows, j.grain), j.n, 2 * j.n, norm_at(j.part, ct, (k - 1) * j.n), ct,
                       out[k]);
    for (int k = 0; k < 3; k++) norm_store(c->out[k], ct, out[k]);
}

/* ---- group_norm(x, weight or none, bias or none) -> y, statistics [3, batch * groups]: mean,
 * 1 / sqrt(var + eps), var. x is (batch, channels, *); i[0] = groups, 0 for one a channel; f[0] = eps ---- */

static norm_form group_form(int ndim, const int64_t *sizes, const ad_attr *at) {
    int64_t channels = ndim > 1 ? sizes[1] : 1, groups = at->i[0] ? at->i[0] : channels, space = 1;
    for (int d = 2; d < ndim; d++) space *= sizes[d];
    norm_form f = {.ndim = 4,
                   .nover = 2,
                   .over = {2, 3},
                   .eps = at->f[0],
                   .sizes = {ndim ? sizes[0] : 1, groups, groups ? channels / groups : 0, space}};
    f.weight[0] = f.weight[3] = 1;
    f.weight[1] = f.sizes[1];
    f.weight[2] = f.sizes[2];
    return f;
}

int group_norm_infer(ad_call *c) {
    const ad_tensor *x = c->in[0];
    int64_t groups = c->at->i[0];
    if (x->ndim < 2)
        return ad_fail(AD_ERR_RUNTIME, "Expected at least 2 dimensions for input tensor but received %d",
                       x->ndim);
    if (groups < 0)
        return ad_fail(AD_ERR_RUNTIME, "Expected num groups to be greater than 0, got %lld",
                       (long long)groups);
    int64_t channels = x->sizes[1];
    if (groups && channels % groups)
        return ad_fail(AD_ERR_RUNTIME,
                       "Expected number of channels in input to be divisible by num_groups, but got input of "
                       "shape %s and num_groups=%lld",
                       fmt_sizes(x->ndim, x->sizes), (long long)groups);
    for (int k = 1; k < 3; k++)
        if (c->in[k] && (c->in[k]->ndim != 1 || c->in[k]->sizes[0] != channels))
            return ad_fail(AD_ERR_RUNTIME,
                           "Expected %s to be a vector of size equal to the number of channels in input, but "
                           "got %s of shape %s and input of shape %s",
                           k == 1 ? "weight" : "bias", k == 1 ? "weight" : "bias",
                           fmt_sizes(c->in[k]->ndim, c->in[k]->sizes), fmt_sizes(x->ndim, x->sizes));
    if (norm_check_params(c, 3, "GroupNormKernelImpl")) return -1;
    spec_like(&c->spec[0], x);
    ad_spec *s = &c->spec[1];
    s->dtype = (uint8_t)norm_dtype(dtype_compute(x->dtype));
    s->ndim = 2;
    s->sizes[0] = 3;
    s->sizes[1] = x->sizes[0] * (groups ? groups : channels);
    s->nondiff = true;
    return 0;
}

typedef struct group_job {
    int64_t rows, groups, channels, space, n, grain; /* channels of a group; n elements of a group */
    int ct;
    double eps;
    const char *x, *w, *b, *g;
    char *y, *stats, *room, *part;
    size_t per_task;
    int wanted;
} group_job;

#define PLANE_BLOCK 4096 /* elements that lanes are summed over in the compute type */

static group_job group_prepare(const ad_tensor *x, const ad_attr *at) {
    norm_form f = group_form(x->ndim, x->sizes, at);
    group_job j = {.rows = f.sizes[0] * f.sizes[1],
                   .groups = f.sizes[1],
                   .channels = f.sizes[2],
                   .space = f.sizes[3],
                   .n = f.sizes[2] * f.sizes[3],
                   .ct = dtype_compute(x->dtype),
                   .eps = f.eps};
    j.grain = WORK / at_least_one(j.n);
    if (j.grain < ceil_div(j.rows, 64)) j.grain = ceil_div(j.rows, 64);
    j.grain = at_least_one(j.grain);
    /* four constants, two sums and two vectors of lanes a channel */
    j.per_task = (size_t)j.channels * (4 * 8 + 2 * 8 + 2 * 64);
    return j;
}

static void group_rows(int64_t begin, int64_t end, void *ctx) {
    const group_job *j = ctx;
    int ct = j->ct;
    int64_t k = j->channels;
    char *room = j->room + (size_t)(begin / j->grain) * j->per_task;
    void *m = room, *a = room + 8 * k, *b = room + 16 * k;
    for (int64_t r = begin; r < end; r++) {
        const void *x = norm_at(j->x, ct, r * j->n);
        void *y = norm_at(j->y, ct, r * j->n);
        int64_t first = r % j->groups * k; /* channel */
        double s[2];
        kern->nm_row_stats[ct](1, j->n, x, false, s);
        double var = j->n ? s[1] / (double)j->n : 0;
        norm_put(j->stats, ct, r, s[0]);
        norm_put(j->stats, ct, j->rows + r, 1 / sqrt(var + j->eps));
        norm_put(j->stats, ct, 2 * j->rows + r, var);
        double mean = norm_get(j->stats, ct, r), rstd = norm_get(j->stats, ct, j->rows + r);
        if (j->space == 1) {
            kern->nm_row_apply[ct](1, k, x, (double[]){mean, rstd}, norm_at(j->w, ct, first),
                                   norm_at(j->b, ct, first), y);
            continue;
        }
        for (int64_t i = 0; i < k; i++) {
            norm_put(m, ct, i, mean);
            norm_put(a, ct, i, j->w ? rstd * norm_get(j->w, ct, first + i) : rstd);
            norm_put(b, ct, i, j->b ? norm_get(j->b, ct, first + i) : 0);
        }
        kern->nm_plane_apply[ct](k, j->space, j->space, x, NULL, m, a, b, NULL, y);
    }
}

static size_t group_room(const group_job *j) { return (size_t)ceil_div(j->rows, j->grain) * j->per_task; }

size_t group_norm_scratch(const ad_call *c) {
    group_job j = group_prepare(c->in[0], c->at);
    return group_room(&j) + norm_room(c->in[0], j.ct) + norm_room(c->in[1], j.ct) +
           norm_room(c->in[2], j.ct) + norm_room(c->out[0], j.ct) + 64;
}
void group_norm_run(const ad_call *c) {
    group_job j = group_prepare(c->in[0], c->at);
    char *room = c->scratch;
    j.x = norm_in(c->in[0], j.ct, &room);
    j.w = norm_in(c->in[1], j.ct, &room);
    j.b = norm_in(c->in[2], j.ct, &room);
    j.y = norm_out(c->out[0], j.ct, &room);
    j.stats = tensor_data(c->out[1]);
    j.room = room;
    pool_parallel_for(j.rows, j.grain, group_rows, &j);
    norm_store(c->out[0], j.ct, j.y);
}
void group_norm_vjp(ad_vjp *v) { normalized_vjp(v, OP_group_norm_grad, group_form); }
void group_norm_jvp(ad_jvp *j) { normalized_jvp(j, group_form); }

/* group_norm_grad(g, x, statistics, weight or none) -> dx, dweight, dbias */
int group_norm_grad_infer(ad_call *c) {
    return norm_grad_infer(c, c->in[1]->ndim > 1 ? c->in[1]->sizes[1] : 1);
}

/* Elements are channels: a row of a layer norm. */
static void group_grad_vector(const group_job *j, int64_t r, double mean, double rstd, char *dw, char *db) {
    int ct = j->ct;
    int64_t n = j->n, first = r % j->groups * n;
    const void *g = norm_at(j->g, ct, r * n), *x = norm_at(j->x, ct, r * n), *w = norm_at(j->w, ct, first);
    double s[2] = {0, 0}, c[4] = {mean, rstd};
    if (j->wanted & 1) kern->nm_row_dots[ct](1, n, g, x, c, w, s);
    c[2] = -rstd * rstd * rstd * s[1] / (double)n;
    c[3] = -rstd * s[0] / (double)n;
    if (dw) {
        memset(dw, 0, (size_t)n * ct_size[ct]);
        memset(db, 0, (size_t)n * ct_size[ct]);
    }
    kern->nm_row_grad[ct](1, n, g, x, c, w, j->wanted & 1 ? norm_at(j->y, ct, r * n) : NULL, dw, db);
}

static void group_grad_rows(int64_t begin, int64_t end, void *ctx) {
    const group_job *j = ctx;
    int ct = j->ct;
    int64_t k = j->channels, space = j->space, all = k * j->groups;
    char *room = j->room + (size_t)(begin / j->grain) * j->per_task;
    void *m = room, *a = room + 8 * k, *b = room + 16 * k, *c = room + 24 * k;
    double *sum = (double *)(room + 32 * k), *dot = sum + k;
    char *lanes = room + 48 * k, *lanes2 = lanes + 64 * k;
    memset(lanes, 0, (size_t)(128 * k));
    for (int64_t r = begin; r < end; r++) {
        int64_t first = r % j->groups * k, batch = r / j->groups;
        double mean = norm_get(j->stats, ct, r), rstd = norm_get(j->stats, ct, j->rows + r), s1 = 0, s2 = 0;
        char *dw = j->wanted & 6 ? norm_at(j->part, ct, batch * 2 * all + first) : NULL,
             *db = norm_at(dw, ct, all);
        if (space == 1) {
            group_grad_vector(j, r, mean, rstd, dw, db);
            continue;
        }
        const char *g = norm_at(j->g, ct, r * j->n), *x = norm_at(j->x, ct, r * j->n);
        for (int64_t i = 0; i < k; i++) {
            norm_put(m, ct, i, mean);
            sum[i] = dot[i] = 0;
        }
        for (int64_t p = 0; p < space; p += PLANE_BLOCK) {
            int64_t w = space - p < PLANE_BLOCK ? space - p : PLANE_BLOCK;
            kern->nm_plane_sums[ct](k, w, space, norm_at(x, ct, p), norm_at(g, ct, p), m, lanes, lanes2);
            kern->nm_plane_flush[ct](k, lanes, lanes2, sum, dot);
        }
        for (int64_t i = 0; i < k; i++) {
            double w = j->w ? norm_get(j->w, ct, first + i) : 1;
            if (dw) {
                norm_put(dw, ct, i, dot[i] * rstd);
                norm_put(db, ct, i, sum[i]);
            }
            s1 += w * sum[i];
            s2 += w * dot[i];
            norm_put(a, ct, i, w * rstd);
        }
        if (!(j->wanted & 1)) continue;
        for (int64_t i = 0; i < k; i++) {
            norm_put(b, ct, i, -rstd * rstd * rstd * s2 / (double)j->n);
            norm_put(c, ct, i, -rstd * s1 / (double)j->n);
        }
        kern->nm_plane_apply[ct](k, space, space, x, g, m, a, b, c, norm_at(j->y, ct, r * j->n));
    }
}

static int64_t part_size(const group_job *j) { /* elements: two a channel and batch */
    return j->wanted & 6 ? j->rows * j->channels * 2 : 0;
}
size_t group_norm_grad_scratch(const ad_call *c) {
    group_job j = group_prepare(c->in[1], c->at);
    j.wanted = (int)c->at->i[7];
    size_t bytes = group_room(&j) + (size_t)part_size(&j) * ct_size[j.ct] + norm_room(c->in[3], j.ct) + 64;
    for (int k = 0; k < 2; k++) bytes += norm_room(c->in[k], j.ct);
    for (int k = 0; k < 3; k++) bytes += norm_room(c->out[k], j.ct);
    return bytes;
}
void group_norm_grad_run(const ad_call *c) {
    group_job j = group_prepare(c->in[1], c->at);
    char *room = c->scratch;
    int ct = j.ct;
    j.wanted = (int)c->at->i[7];
    j.g = norm_in(c->in[0], ct, &room);
    j.x = norm_in(c->in[1], ct, &room);
    j.stats = tensor_data(c->in[2]);
    j.w = norm_in(c->in[3], ct, &room);
    void *out[3];
    for (int k = 0; k < 3; k++) out[k] = norm_out(c->out[k], ct, &room);
    j.y = out[0];
    j.room = room;
    j.part = room + group_room(&j);
    pool_parallel_for(j.rows, j.grain, group_grad_rows, &j);
    int64_t all = j.channels * j.groups, batch = j.groups ? j.rows / j.groups : 0;
    for (int k = 1; k < 3; k++)
        if (j.wanted & (1 << k))
            join_parts(batch, all, 2 * all, norm_at(j.part, ct, (k - 1) * all), ct, out[k]);
    for (int k = 0; k < 3; k++) norm_store(c->out[k], ct, out[k]);
}
