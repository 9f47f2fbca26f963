/* embedding_bag: sums, means or maxima of the rows of a matrix, bag by bag, and its gradients.
 *
 * The indices are 2-d, a bag a row, or 1-d with `offsets`, where each bag begins. Each position k has a
 * factor c[k], made of its weight, the size of its bag (mean) and how often its row is asked for, so that
 * with e[k] its row and b[k] its bag
 *     embedding_bag          out[b[k]]  += c[k] weight[e[k]]
 *     embedding_bag_grad     out[e[k]]  += c[k] g[b[k]]
 *     embedding_bag_weights  out[k]      = g[b[k]] . weight[e[k]]
 * Each is a derivative of the others. Attributes of all: i[0] = 0 sum, 1 mean, 2 max; i[1] = the row that
 * counts for nothing, or -1; i[2] = c[k] is divided by the row's frequency; i[3] = the last offset is the
 * end; i[4] = i[2] holds in the gradient of the matrix; i[5] = rows of embedding_bag_grad; i[6] = the
 * gradient of a matrix that is a leaf is left with it as rows. */
#include <math.h>
#include <string.h>
#include "../pool.h"
#include "../rows.h"
#include "index.h"

#define TILE 512

enum { BAG_SUM, BAG_MEAN, BAG_MAX };

typedef struct bags {
    const ad_tensor *index, *offsets, *weights;
    int64_t n, bags, rows, width, padding;
    int mode, dtype;
    int64_t *i, *start; /* scratch: row of each position (-1: padding), begin of each bag and the end */
    double *factor;     /* NULL: all 1 */
    const char *w, *g;
    ad_tensor *out, *at; /* at: the position of a maximum */
    int64_t chunk;
} bags;

static bags setup(const ad_tensor *matrix, ad_tensor *const *rest, const ad_attr *at) {
    bags p = {.index = rest[0], .offsets = rest[1], .weights = rest[2]};
    p.n = p.index->numel;
    p.width = matrix->sizes[1];
    p.dtype = matrix->dtype;
    p.mode = (int)at->i[0];
    p.padding = at->i[1];
    if (p.index->ndim == 2) p.bags = p.index->sizes[0];
    else if (p.offsets) p.bags = p.offsets->numel - (at->i[3] != 0);
    return p;
}

static bool has_factors(const bags *p, const ad_attr *at) {
    return p->weights || p->mode == BAG_MEAN || at->i[2];
}
static size_t scratch_of(const bags *p, const ad_attr *at, int64_t rows) {
    return (size_t)(2 * p->n + p->bags + 2 + (at->i[2] ? rows : 0)) * 8;
}

/* Reads indices and offsets; what a replay finds out of range is brought into it. */
static void load(bags *p, const ad_attr *at, int64_t rows, void *scratch) {
    p->i = scratch;
    p->start = p->i + p->n;
    p->rows = rows;
    int64_t *next = p->start + p->bags + 2;
    index_load_safe(p->index, rows, p->i);
    for (int64_t k = 0; k < p->n && p->padding >= 0; k++)
        if (p->i[k] == p->padding) p->i[k] = -1;
    if (p->index->ndim == 2)
        for (int64_t b = 0; b <= p->bags; b++) p->start[b] = b * p->index->sizes[1];
    else {
        index_load(p->offsets, p->start);
        if (!at->i[3]) p->start[p->bags] = p->n;
        for (int64_t b = 0; b <= p->bags; b++) {
            int64_t least = b ? p->start[b - 1] : 0;
            if (p->start[b] < least) p->start[b] = least;
            if (p->start[b] > p->n) p->start[b] = p->n;
        }
    }
    if (!has_factors(p, at)) return;
    p->factor = (double *)next;
    int64_t *counts = next + p->n;
    for (int64_t k = 0; k < p->n; k++) p->factor[k] = 1;
    if (p->weights)
        dtype_loads[p->weights->dtype][CT_F64](p->n, p->factor, tensor_data(p->weights),
                                               dtype_size[p->weights->dtype]);
    if (at->i[2]) {
        memset(counts, 0, (size_t)rows * sizeof *counts);
        for (int64_t k = 0; k < p->n; k++)
            if (p->i[k] >= 0) counts[p->i[k]]++;
        for (int64_t k = 0; k < p->n; k++)
            if (p->i[k] >= 0) p->factor[k] /= (double)counts[p->i[k]];
    }
    if (p->mode == BAG_MEAN)
        for (int64_t b = 0; b < p->bags; b++) {
            int64_t size = 0;
            if (p->padding < 0) size = p->start[b + 1] - p->start[b];
            else
                for (int64_t k = p->start[b]; k < p->start[b + 1]; k++) size += p->i[k] >= 0;
            for (int64_t k = p->start[b]; k < p->start[b + 1]; k++) p->factor[k] /= (double)(size ? size : 1);
        }
}

static const void *part(int dtype, int64_t n, const char *data, int64_t at, void *tile) {
    const char *d = data + at * dtype_size[dtype];
    if (dtype == AD_F32 || dtype == AD_F64) return d;
    dtype_loads[dtype][CT_F32](n, tile, d, dtype_size[dtype]);
    return tile;
}

/* ---- embedding_bag(weight, index, offsets, weights) ---- */

static int check_index(const char *name, const ad_tensor *t) {
    if (t->dtype == AD_I64 || t->dtype == AD_I32) return 0;
    return ad_fail(AD_ERR_RUNTIME,
                   "embedding_bag: expected '%s' to have scalar type Long or Int, but got torch.%sTensor",
                   name, dtype_class[t->dtype]);
}

int embedding_bag_infer(ad_call *c) {
    const ad_tensor *w = c->in[0], *index = c->in[1], *offsets = c->in[2], *weights = c->in[3];
    int64_t bad;
    if (w->ndim != 2)
        return ad_fail(AD_ERR_VALUE, "embedding_bag: weight has to be a 2D Tensor, but got size %s",
                       fmt_sizes(w->ndim, w->sizes));
    if (!dtype_is_float(w->dtype))
        return ad_fail(AD_ERR_NOT_IMPLEMENTED, "\"embedding_bag\" not implemented for '%s'",
                       dtype_class[w->dtype]);
    if (check_index("input", index) || (offsets && check_index("offsets", offsets))) return -1;
    if (index->ndim != 1 && index->ndim != 2)
        return ad_fail(AD_ERR_VALUE, "input has to be a 1D or 2D Tensor, but got Tensor of dimension %d",
                       index->ndim);
    if (index->ndim == 2 && offsets)
        return ad_fail(AD_ERR_VALUE, "if input is 2D, then offsets has to be None, as input is treated is a "
                                     "mini-batch of fixed length sequences.");
    if (index->ndim == 1 && (!offsets || offsets->ndim != 1))
        return ad_fail(AD_ERR_VALUE, "offsets has to be a 1D Tensor of where the bags of 1D input begin");
    if (index_bad(index, 0, w->sizes[0], &bad))
        return ad_fail(AD_ERR_RUNTIME,
                       "embedding_bag: Expected idx >= 0 && idx < num_embeddings but found idx to be %lld "
                       "(weight of size %s)",
                       (long long)bad, fmt_sizes(w->ndim, w->sizes));
    if (weights) {
        if (!tensor_same_sizes(weights, index))
            return ad_fail(AD_ERR_VALUE,
                           "embedding_bag: If per_sample_weights (of size %s) is not None, then it must have "
                           "the same shape as the input (%s)",
                           fmt_sizes(weights->ndim, weights->sizes), fmt_sizes(index->ndim, index->sizes));
        if (weights->dtype != w->dtype)
            return ad_fail(
                AD_ERR_RUNTIME,
                "embedding_bag: expected 'weight' and 'per_sample_weights' to have the same dtype, "
                "got %s and %s",
                dtype_name[w->dtype], dtype_name[weights->dtype]);
        if (c->at->i[0] != BAG_SUM)
            return ad_fail(AD_ERR_NOT_IMPLEMENTED,
                           "embedding_bag: per_sample_weights is only supported for mode='sum'");
    }
    if (c->at->i[3] && !offsets->numel)
        return ad_fail(AD_ERR_RUNTIME, "embedding_bag: include_last_offset: numel of offsets must be > 0");
    int64_t last = 0;
    for (int64_t k = 0; offsets && k < offsets->numel; k++) {
        int64_t v;
        index_row(offsets, k, 1, 1, &v);
        if (!k && v)
            return ad_fail(AD_ERR_RUNTIME,
                           "offsets[0] has to be 0, i.e., the first sequence in the mini-batch has to start "
                           "from position 0. However, got %lld",
                           (long long)v);
        if (v < last || v > index->numel)
            return ad_fail(AD_ERR_VALUE,
                           "embedding_bag: offsets must not fall, nor exceed input's length %lld; got %lld "
                           "after %lld",
                           (long long)index->numel, (long long)v, (long long)last);
        last = v;
    }
    bags p = setup(w, c->in + 1, c->at);
    ad_spec *s = c->spec;
    s[0].dtype = w->dtype;
    s[0].ndim = 2;
    s[0].sizes[0] = p.bags;
    s[0].sizes[1] = p.width;
    s[1].dtype = AD_I64;
    s[1].nondiff = true;
    s[1].ndim = 2;
    s[1].sizes[0] = p.mode == BAG_MAX ? p.bags : 0;
    s[1].sizes[1] = p.width;
    return 0;
}

static void sum_range(int64_t begin, int64_t end, void *ctx) {
    const bags *p = ctx;
    int ct = dtype_compute(p->dtype);
    int64_t es = dtype_size[p->dtype];
    _Alignas(64) char acc[TILE * 8], x[TILE * 8];
    for (int64_t b = begin; b < end; b++)
        for (int64_t at = 0; at < p->width; at += TILE) {
            int64_t n = p->width - at < TILE ? p->width - at : TILE;
            memset(acc, 0, (size_t)n * ct_size[ct]);
            for (int64_t k = p->start[b]; k < p->start[b + 1]; k++)
                if (p->i[k] >= 0) {
                    if (k + 2 < p->start[p->bags] && p->i[k + 2] >= 0) /* rows stand anywhere */
                        for (int64_t d = 0; d < n * es && d < 1024; d += 64)
                            __builtin_prefetch(p->w + (p->i[k + 2] * p->width + at) * es + d);
                    kern->axpy[ct](n, p->factor ? p->factor[k] : 1,
                                   part(p->dtype, n, p->w, p->i[k] * p->width + at, x), acc);
                }
            dtype_stores[p->dtype][ct](n, (char *)tensor_data(p->out) + (b * p->width + at) * es, es, acc);
        }
}
static void max_range(int64_t begin, int64_t end, void *ctx) {
    const bags *p = ctx;
    int64_t es = dtype_size[p->dtype];
    double best[TILE], x[TILE];
    for (int64_t b = begin; b < end; b++)
        for (int64_t at = 0; at < p->width; at += TILE) {
            int64_t n = p->width - at < TILE ? p->width - at : TILE;
            int64_t *where = (int64_t *)tensor_data(p->at) + b * p->width + at;
            for (int64_t d = 0; d < n; d++) best[d] = 0, where[d] = -1;
            for (int64_t k = p->start[b]; k < p->start[b + 1]; k++) {
                if (p->i[k] < 0) continue;
                dtype_loads[p->dtype][CT_F64](n, x, p->w + (p->i[k] * p->width + at) * es, es);
                for (int64_t d = 0; d < n; d++)
                    if (where[d] < 0 || x[d] > best[d]) best[d] = x[d], where[d] = p->i[k];
            }
            dtype_stores[p->dtype][CT_F64](n, (char *)tensor_data(p->out) + (b * p->width + at) * es, es,
                                           best);
        }
}

size_t embedding_bag_scratch(const ad_call *c) {
    bags p = setup(c->in[0], c->in + 1, c->at);
    return scratch_of(&p, c->at, c->in[0]->sizes[0]);
}
void embedding_bag_run(const ad_call *c) {
    if (!c->out[0]->numel) return;
    bags p = setup(c->in[0], c->in + 1, c->at);
    load(&p, c->at, c->in[0]->sizes[0], c->scratch);
    p.w = tensor_data(c->in[0]);
    p.out = c->out[0];
    p.at = c->out[1];
    int64_t each = p.width * (p.n / p.bags + 1), grain = (1 << 15) / each;
    pool_parallel_for(p.bags, grain ? grain : 1, p.mode == BAG_MAX ? max_range : sum_range, &p);
}

/* ---- embedding_bag_grad(g [bags, width], index, offsets, weights): rows are added in the order of the
 * positions; the columns are what is shared out among threads ---- */

int embedding_bag_grad_infer(ad_call *c) {
    ad_spec *s = &c->spec[0];
    s->dtype = c->in[0]->dtype;
    s->ndim = 2;
    s->sizes[0] = c->at->i[5];
    s->sizes[1] = c->in[0]->sizes[1];
    return 0;
}

static void grad_range(int64_t begin, int64_t end, void *ctx) {
    const bags *p = ctx;
    int ct = dtype_compute(p->dtype);
    bool native = p->dtype == AD_F32 || p->dtype == AD_F64;
    int64_t es = dtype_size[p->dtype];
    _Alignas(64) char acc[TILE * 8], x[TILE * 8];
    for (int64_t k = begin; k < end; k++) {
        int64_t at = k * p->chunk, n = p->width - at < p->chunk ? p->width - at : p->chunk;
        char *out = (char *)tensor_data(p->out) + at * es;
        for (int64_t r = 0; r < p->rows; r++) memset(out + r * p->width * es, 0, (size_t)(n * es));
        for (int64_t b = 0; b < p->bags; b++)
            for (int64_t j = p->start[b]; j < p->start[b + 1]; j++) {
                if (p->i[j] < 0) continue;
                char *to = out + p->i[j] * p->width * es;
                const void *g = part(p->dtype, n, p->g, b * p->width + at, x);
                double factor = p->factor ? p->factor[j] : 1;
                if (native) kern->axpy[ct](n, factor, g, to);
                else {
                    dtype_loads[p->dtype][ct](n, acc, to, es);
                    kern->axpy[ct](n, factor, g, acc);
                    dtype_stores[p->dtype][ct](n, to, es, acc);
                }
            }
    }
}

size_t embedding_bag_grad_scratch(const ad_call *c) {
    bags p = setup(c->in[0], c->in + 1, c->at);
    return scratch_of(&p, c->at, c->at->i[5]);
}
void embedding_bag_grad_run(const ad_call *c) {
    if (!c->out[0]->numel) return;
    bags p = setup(c->in[0], c->in + 1, c->at);
    load(&p, c->at, c->at->i[5], c->scratch);
    p.g = tensor_data(c->in[0]);
    p.out = c->out[0];
    p.chunk = (p.n + p.rows) * p.width > 1 << 16 ? (p.width / 4 + 15) / 16 * 16 : p.width;
    if (p.chunk < 32) p.chunk = 32;
    if (p.chunk > TILE) p.chunk = TILE;
    pool_parallel_for((p.width + p.chunk - 1) / p.chunk, 1, grad_range, &p);
}

/* ---- embedding_bag_weights(g [bags, width], weight, index, offsets), of the index's sizes ---- */

int embedding_bag_weights_infer(ad_call *c) {
    spec_like(&c->spec[0], c->in[2]);
    c->spec[0].dtype = c->in[0]->dtype;
    return 0;
}
static void weights_range(int64_t begin, int64_t end, void *ctx) {
    const bags *p = ctx;
    int64_t es = dtype_size[p->dtype];
    double x[TILE], y[TILE];
    for (int64_t b = begin; b < end; b++)
        for (int64_t k = p->start[b]; k < p->start[b + 1]; k++) {
            double sum = 0;
            for (int64_t at = 0; at < p->width && p->i[k] >= 0; at += TILE) {
                int64_t n = p->width - at < TILE ? p->width - at : TILE;
                dtype_loads[p->dtype][CT_F64](n, x, p->g + (b * p->width + at) * es, es);
                dtype_loads[p->dtype][CT_F64](n, y, p->w + (p->i[k] * p->width + at) * es, es);
                for (int64_t d = 0; d < n; d++) sum += x[d] * y[d];
            }
            if (p->factor) sum *= p->factor[k];
            dtype_stores[p->dtype][CT_F64](1, (char *)tensor_data(p->out) + k * es, 0, &sum);
        }
}
size_t embedding_bag_weights_scratch(const ad_call *c) {
    bags p = setup(c->in[1], (ad_tensor *[]){c->in[2], c->in[3], NULL}, c->at);
    return scratch_of(&p, c->at, c->in[1]->sizes[0]);
}
void embedding_bag_weights_run(const ad_call *c) {
    ad_tensor *out = c->out[0];
    if (!out->numel) return;
    bags p = setup(c->in[1], (ad_tensor *[]){c->in[2], c->in[3], NULL}, c->at);
    memset(tensor_data(out), 0, (size_t)out->numel * dtype_size[out->dtype]); /* what is in no bag */
    load(&p, c->at, c->in[1]->sizes[0], c->scratch);
    p.g = tensor_data(c->in[0]);
    p.w = tensor_data(c->in[1]);
    p.out = out;
    if (p.bags) pool_parallel_for(p.bags, p.bags / 64 + 1, weights_range, &p);
}

/* ---- derivatives ---- */

static ad_tensor *saved_in(ad_vjp *v, int i) { /* NULL where there is none */
    for (int k = 0; k < v->node->nsaved; k++)
        if (v->node->saved[k].slot == i) return vjp_in(v, i);
    return NULL;
}
static ad_attr attr_of(const ad_vjp *v, int64_t rows) {
    ad_attr at = *v->at;
    at.i[4] = 0;
    at.i[5] = rows;
    return at;
}

/* Of each maximum's row its gradient: the adjoint of gather. */
static ad_tensor *em_max_grad(ad_vjp *v, ad_tensor *g, ad_tensor *where) {
    ad_em *E = &v->E;
    const ad_meta *m = vjp_meta(v, 0);
    ad_attr at = {.i = {0}, .list = m->sizes, .nlist = m->ndim};
    g = em3(E, OP_where, em2(E, OP_lt, where, em_const(E, 0)), em_const(E, 0), g);
    where = em2(E, OP_clamp_min, where, em_keep(E, tensor_scalar(AD_I64, 0, 0)));
    return g && where ? em_op(E, OP_gather_grad, 2, (ad_tensor *[]){g, where}, &at) : NULL;
}

/* Leaves a row for each position that counts with the leaf: its bag's gradient times its factor. */
static int leave_rows(ad_vjp *v, ad_tensor *leaf, ad_tensor *g, ad_tensor *const *rest) {
    bags p = setup(g, rest, v->at);
    int64_t rows = leaf->sizes[0], kept = 0, es = dtype_size[p.dtype], sizes[2] = {0, p.width};
    int ct = dtype_compute(p.dtype);
    size_t bytes = scratch_of(&p, v->at, rows);
    void *scratch = mem_alloc(bytes);
    if (!scratch) return -1;
    load(&p, v->at, rows, scratch);
    for (int64_t k = p.start[0]; k < p.start[p.bags]; k++) kept += p.i[k] >= 0;
    sizes[0] = kept;
    ad_tensor *index = tensor_new(AD_I64, 1, sizes), *values = index ? tensor_new(p.dtype, 2, sizes) : NULL;
    int status = -1;
    if (values) {
        int64_t *to = tensor_data(index);
        char *row = tensor_data(values);
        _Alignas(64) char acc[TILE * 8], x[TILE * 8];
        for (int64_t b = 0; b < p.bags; b++)
            for (int64_t k = p.start[b]; k < p.start[b + 1]; k++) {
                if (p.i[k] < 0) continue;
                *to++ = p.i[k];
                for (int64_t at = 0; at < p.width; at += TILE) {
                    int64_t n = p.width - at < TILE ? p.width - at : TILE;
                    memset(acc, 0, (size_t)n * ct_size[ct]);
                    kern->axpy[ct](n, p.factor ? p.factor[k] : 1,
                                   part(p.dtype, n, tensor_data(g), b * p.width + at, x), acc);
                    dtype_stores[p.dtype][ct](n, row + at * es, es, acc);
                }
                row += p.width * es;
            }
        status = rows_add(leaf, index, values);
    }
    tensor_unref(index);
    tensor_unref(values);
    mem_free(scratch, bytes);
    return status;
}

void embedding_bag_vjp(ad_vjp *v) {
    ad_tensor *g = v->g[0], *index = vjp_in(v, 1), *offsets = saved_in(v, 2), *weights = saved_in(v, 3);
    if (!index) return;
    ad_tensor *leaf = v->at->i[6] ? v->node->edges[0].leaf : NULL;
    bool left = leaf && vjp_needs(v, 0) && !leaf->hooks && !leaf->grad && grad_is_final() && !tls.capture &&
                !g->batch && !index->batch && ad_backward_accumulates();
    if (v->at->i[6] && v->at->i[4] && vjp_needs(v, 0)) {
        ad_fail(AD_ERR_RUNTIME, "embedding_backward: scale_grad_by_freq not supported with sparse gradients");
        v->E.failed = true;
        return;
    }
    if (left) {
        ad_tensor *rest[3] = {index, offsets, weights};
        for (int k = 0; k < 3; k++)
            if (rest[k]) rest[k] = em1(&v->E, OP_contiguous, rest[k]);
        ad_tensor *whole = em1(&v->E, OP_contiguous, g);
        if (v->E.failed || leave_rows(v, leaf, whole, rest)) v->E.failed = true;
        if (v->E.failed) return;
    }
    if (vjp_needs(v, 0) && !left) {
        ad_attr at = attr_of(v, vjp_meta(v, 0)->sizes[0]);
        at.i[2] |= v->at->i[4];
        if (v->at->i[0] == BAG_MAX) v->gin[0] = em_max_grad(v, g, vjp_out(v, 1));
        else
            v->gin[0] =
                em_op(&v->E, OP_embedding_bag_grad, 4, (ad_tensor *[]){g, index, offsets, weights}, &at);
    }
    if (vjp_needs(v, 3)) {
        ad_tensor *w = vjp_in(v, 0);
        if (w)
            v->gin[3] =
                em_op(&v->E, OP_embedding_bag_weights, 4, (ad_tensor *[]){g, w, index, offsets}, v->at);
    }
}
void embedding_bag_grad_vjp(ad_vjp *v) {
    ad_tensor *h = v->g[0], *index = vjp_in(v, 1), *offsets = saved_in(v, 2), *weights = saved_in(v, 3);
    if (!index) return;
    ad_attr at = attr_of(v, 0);
    if (vjp_needs(v, 0))
        v->gin[0] = em_op(&v->E, OP_embedding_bag, 4, (ad_tensor *[]){h, index, offsets, weights}, &at);
    if (vjp_needs(v, 3)) {
        ad_tensor *g = vjp_in(v, 0);
        if (g)
            v->gin[3] = em_op(&v->E, OP_embedding_bag_weights, 4, (ad_tensor *[]){g, h, index, offsets}, &at);
    }
}
void embedding_bag_weights_vjp(ad_vjp *v) {
    ad_tensor *h = v->g[0], *w = vjp_in(v, 1), *index = vjp_in(v, 2), *offsets = saved_in(v, 3);
    if (!w || !index) return;
    ad_attr at = attr_of(v, w->sizes[0]);
    if (vjp_needs(v, 0))
        v->gin[0] = em_op(&v->E, OP_embedding_bag, 4, (ad_tensor *[]){w, index, offsets, h}, &at);
    if (vjp_needs(v, 1)) {
        ad_tensor *g = vjp_in(v, 0);
        if (g) v->gin[1] = em_op(&v->E, OP_embedding_bag_grad, 4, (ad_tensor *[]){g, index, offsets, h}, &at);
    }
}
void embedding_bag_jvp(ad_jvp *j) {
    const ad_call *c = j->c;
    ad_tensor *sum = NULL;
    if (c->at->i[0] == BAG_MAX) {
        ad_attr at = {.i = {0}};
        ad_em *E = &j->E;
        ad_tensor *where = em2(E, OP_clamp_min, c->out[1], em_keep(E, tensor_scalar(AD_I64, 0, 0)));
        if (where) sum = em_op(E, OP_gather, 2, (ad_tensor *[]){j->t[0], where}, &at);
        j->tout[0] = em3(E, OP_where, em2(E, OP_lt, c->out[1], em_const(E, 0)), em_const(E, 0), sum);
        return;
    }
    for (int i = 0; i < 4; i += 3) {
        if (!j->t[i]) continue;
        ad_tensor *in[4] = {c->in[0], c->in[1], c->in[2], c->in[3]};
        in[i] = j->t[i];
        ad_tensor *d = em_op(&j->E, OP_embedding_bag, 4, in, c->at);
        sum = sum ? em2(&j->E, OP_add, sum, d) : d;
    }
    j->tout[0] = sum;
}
