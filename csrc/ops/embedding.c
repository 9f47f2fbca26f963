/* embedding: rows of a matrix by index, and its gradient. */
#include <math.h>
#include <string.h>
#include "../pool.h"
#include "../rows.h"
#include "index.h"

/* embedding(weight, index): i[0] = padding index or -1, i[1] = scale by frequency: both concern the
 * gradient. i[2] = 1: the adjoint of the gradient, where padding gives zeros and the scale applies. i[3] = 1:
 * the gradient of a leaf is left with it as rows. */

int embedding_infer(ad_call *c) {
    const ad_tensor *w = c->in[0], *index = c->in[1];
    ad_spec *s = &c->spec[0];
    int64_t bad;
    if (w->ndim != 2)
        return ad_fail(AD_ERR_RUNTIME, "'weight' must be 2-D, got a tensor of size %s",
                       fmt_sizes(w->ndim, w->sizes));
    if (index->dtype != AD_I64 && index->dtype != AD_I32)
        return ad_fail(
            AD_ERR_RUNTIME,
            "Expected tensor for argument #1 'indices' to have one of the following scalar types: Long, Int; "
            "but got torch.%sTensor instead (while checking arguments for embedding)",
            dtype_class[index->dtype]);
    if (index_bad(index, 0, w->sizes[0], &bad))
        return ad_fail(AD_ERR_INDEX,
                       "index out of range in self: embedding() met index %lld with a weight of size %s",
                       (long long)bad, fmt_sizes(w->ndim, w->sizes));
    if (index->ndim + 1 > AD_MAXDIM)
        return ad_fail(AD_ERR_RUNTIME, "too many dimensions: %d, the most is %d", index->ndim + 1, AD_MAXDIM);
    spec_like(s, index);
    s->dtype = w->dtype;
    s->sizes[s->ndim++] = w->sizes[1];
    return 0;
}

/* The scratch of both: the indices, and how often each row was asked for. */
static int64_t *load_indices(const ad_call *c, int64_t rows) {
    int64_t *i = c->scratch, n = c->in[1]->numel;
    index_load_safe(c->in[1], rows, i);
    if (!c->at->i[1]) return NULL;
    int64_t *count = i + n;
    memset(count, 0, (size_t)rows * sizeof *count);
    for (int64_t k = 0; k < n; k++) count[i[k]]++;
    return count;
}
static size_t indices_bytes(const ad_call *c, int64_t rows) {
    return (size_t)(c->in[1]->numel + 1 + (c->at->i[1] ? rows : 0)) * sizeof(int64_t);
}

/* row /= n */
static void row_divide(int dtype, int64_t width, char *row, int64_t n) {
    int64_t b = dtype_size[dtype];
    for (int64_t k = 0; k < width; k++) {
        double f;
        dtype_loads[dtype][CT_F64](1, &f, row + k * b, 0);
        f /= (double)n;
        dtype_stores[dtype][CT_F64](1, row + k * b, 0, &f);
    }
}

typedef struct look_up {
    const int64_t *i, *count;
    char *out;
    const char *w;
    int64_t width, rs, cs, size, padding; /* of the weight: strides in elements */
    int dtype;
} look_up;

/* A row of whole pieces of 64 bytes, which are moved without a call, or of any length. */
static inline void copy_row(char *to, const char *from, size_t bytes) {
    if (bytes > 512 || bytes % 64) memcpy(to, from, bytes);
    else
        for (size_t k = 0; k < bytes; k += 64) memcpy(to + k, from + k, 64);
}

static void look_up_range(int64_t begin, int64_t end, void *ctx) {
    const look_up *j = ctx;
    size_t bytes = (size_t)(j->width * j->size);
    for (int64_t k = begin; k < end; k++) {
        char *to = j->out + k * (int64_t)bytes;
        const char *from = j->w + j->i[k] * j->rs * j->size;
        if (k + 2 < end) /* rows stand anywhere: their first lines are asked for ahead */
            for (size_t at = 0; at < bytes && at < 512; at += 64)
                __builtin_prefetch(j->w + j->i[k + 2] * j->rs * j->size + at);
        if (j->i[k] == j->padding) {
            memset(to, 0, bytes);
            continue;
        }
        if (j->cs == 1) copy_row(to, from, bytes);
        else
            for (int64_t d = 0; d < j->width; d++)
                memcpy(to + d * j->size, from + d * j->cs * j->size, (size_t)j->size);
        if (j->count && j->count[j->i[k]] > 1) row_divide(j->dtype, j->width, to, j->count[j->i[k]]);
    }
}

size_t embedding_scratch(const ad_call *c) { return indices_bytes(c, c->in[0]->sizes[0]); }
void embedding_run(const ad_call *c) {
    const ad_tensor *w = c->in[0];
    if (!c->out[0]->numel) return;
    int64_t *count = load_indices(c, w->sizes[0]);
    look_up j = {.i = c->scratch,
                 .count = c->at->i[2] ? count : NULL,
                 .out = tensor_data(c->out[0]),
                 .w = tensor_data(w),
                 .width = w->sizes[1],
                 .rs = w->strides[0],
                 .cs = w->strides[1],
                 .size = dtype_size[w->dtype],
                 .padding = c->at->i[2] ? c->at->i[0] : -1,
                 .dtype = w->dtype};
    int64_t grain = (1 << 15) / j.width;
    pool_parallel_for(c->in[1]->numel, grain ? grain : 1, look_up_range, &j);
}
/* Leaves the gradient with the weight as rows, without those of the padding index. */
static void leave_rows(ad_vjp *v, ad_tensor *leaf, ad_tensor *index) {
    ad_em *E = &v->E;
    int64_t rows[2] = {index->numel, v->g[0]->sizes[v->g[0]->ndim - 1]};
    index = em_cast(E, em_reshape(E, index, 1, rows), AD_I64);
    ad_tensor *g = em_reshape(E, v->g[0], 2, rows);
    if (index && g && v->at->i[0] >= 0) {
        ad_tensor *kept = em1(E, OP_nonzero, em2(E, OP_ne, index, em_const(E, (double)v->at->i[0])));
        int64_t n = kept ? kept->sizes[0] : 0;
        kept = em_reshape(E, kept, 1, &n);
        ad_attr first = {.i = {0}};
        index = kept ? em_op(E, OP_index_select, 2, (ad_tensor *[]){index, kept}, &first) : NULL;
        g = index ? em_op(E, OP_index_select, 2, (ad_tensor *[]){g, kept}, &first) : NULL;
    }
    if (!index || !g || rows_add(leaf, index, g)) E->failed = true;
}

void embedding_vjp(ad_vjp *v) {
    ad_tensor *in[2] = {v->g[0], vjp_in(v, 1)};
    if (AD_UNLIKELY(v->at->i[3])) {
        ad_tensor *leaf = v->node->edges[0].leaf;
        if (v->at->i[1]) {
            ad_fail(AD_ERR_RUNTIME,
                    "embedding_backward: scale_grad_by_freq not supported with sparse gradients");
            v->E.failed = true;
            return;
        }
        if (in[1] && leaf && !leaf->hooks && !leaf->grad && grad_is_final() && !tls.capture &&
            !v->g[0]->batch && !in[1]->batch && ad_backward_accumulates()) {
            leave_rows(v, leaf, in[1]);
            return;
        }
    }
    ad_attr at = {.i = {v->at->i[0], v->at->i[1], vjp_meta(v, 0)->sizes[0]}};
    if (in[1]) v->gin[0] = em_op(&v->E, OP_embedding_grad, 2, in, &at);
}

/* ---- embedding_grad(g, index): i[2] = rows of the weight. Rows are added in the order of the indices.
 * Threads share out the rows, each of which is cleared and added to while it is in the cache; of short rows
 * the features ---- */

int embedding_grad_infer(ad_call *c) {
    ad_spec *s = &c->spec[0];
    const ad_tensor *g = c->in[0];
    s->dtype = g->dtype;
    s->ndim = 2;
    s->sizes[0] = c->at->i[2];
    s->sizes[1] = g->sizes[g->ndim - 1];
    return 0;
}

typedef struct grad_job {
    const int64_t *i, *count;
    char *out;
    const char *g;
    int64_t n, rows, width, padding, chunk, size;
    int dtype;
    const int32_t *start, *order; /* positions by rows: see index_group() */
} grad_job;

static void grad_rows(int64_t begin, int64_t end, void *ctx) {
    const grad_job *j = ctx;
    int64_t bytes = j->width * j->size;
    ew_kernel add = kern->ew[EW_add][dtype_compute(j->dtype)];
    bool native = j->dtype == AD_F32 || j->dtype == AD_F64;
    for (int64_t r = begin, q; r < end; r = q + 1) {
        for (q = r; q + 1 < end && j->start[q] == j->start[q + 1]; q++) {} /* rows that nothing comes to */
        char *o = j->out + q * bytes;
        memset(j->out + r * bytes, 0, (size_t)((q - r + 1) * bytes));
        for (int32_t k = j->start[q]; k < j->start[q + 1]; k++) {
            const char *s = j->g + j->order[k] * bytes;
            if (native) add(j->width, o, (const void *[]){o, s}, 0);
            else row_add(j->dtype, j->width, o, 1, s, 1);
        }
        if (j->count && j->count[q] > 1) row_divide(j->dtype, j->width, o, j->count[q]);
    }
}

static void grad_range(int64_t begin, int64_t end, void *ctx) {
    const grad_job *j = ctx;
    int64_t from = begin * j->chunk, to = end * j->chunk < j->width ? end * j->chunk : j->width,
            n = to - from, b = j->size;
    char *out = j->out + from * b;
    const char *g = j->g + from * b;
    ew_kernel add = kern->ew[EW_add][dtype_compute(j->dtype)];
    bool native = j->dtype == AD_F32 || j->dtype == AD_F64;
    if (n == j->width) memset(out, 0, (size_t)(j->rows * n * b));
    else
        for (int64_t r = 0; r < j->rows; r++) memset(out + r * j->width * b, 0, (size_t)(n * b));
    for (int64_t k = 0; k < j->n; k++) {
        if (j->i[k] == j->padding) continue;
        char *o = out + j->i[k] * j->width * b;
        const char *s = g + k * j->width * b;
        if (native) add(n, o, (const void *[]){o, s}, 0);
        else row_add(j->dtype, n, o, 1, s, 1);
    }
    for (int64_t r = 0; j->count && r < j->rows; r++)
        if (j->count[r] > 1) row_divide(j->dtype, n, out + r * j->width * b, j->count[r]);
}

static size_t groups_bytes(const ad_call *c) { /* where threads share out the rows */
    const ad_tensor *g = c->in[0];
    int64_t n = c->in[1]->numel, rows = c->at->i[2], width = g->sizes[g->ndim - 1];
    return width >= 32 && (n + rows) * width > 1 << 16 ? index_group_bytes(n, rows) : 0;
}
size_t embedding_grad_scratch(const ad_call *c) { return indices_bytes(c, c->at->i[2]) + groups_bytes(c); }
void embedding_grad_run(const ad_call *c) {
    ad_tensor *out = c->out[0];
    const ad_tensor *g = c->in[0];
    if (!out->numel) return;
    int64_t *count = load_indices(c, out->sizes[0]);
    grad_job j = {.i = c->scratch,
                  .count = count,
                  .out = tensor_data(out),
                  .g = tensor_data(g),
                  .n = c->in[1]->numel,
                  .rows = out->sizes[0],
                  .width = out->sizes[1],
                  .padding = c->at->i[0],
                  .size = dtype_size[out->dtype],
                  .dtype = out->dtype};
    if (groups_bytes(c)) {
        int64_t *i = c->scratch, grain = (1 << 15) / j.width;
        int32_t *start = (int32_t *)((char *)c->scratch + indices_bytes(c, j.rows)),
                *order = start + j.rows + 2;
        for (int64_t k = 0; k < j.n; k++)
            if (i[k] == j.padding) i[k] = -1;
        index_group(j.n, i, j.rows, start, order);
        j.start = start;
        j.order = order;
        pool_parallel_for(j.rows, grain ? grain : 1, grad_rows, &j);
        return;
    }
    j.chunk = j.width;
    if ((j.n + j.rows) * j.width > 1 << 16) {
        j.chunk = (j.width / 4 + 15) / 16 * 16;
        if (j.chunk < 32) j.chunk = 32;
        if (j.chunk > 1024) j.chunk = 1024;
    }
    pool_parallel_for((j.width + j.chunk - 1) / j.chunk, 1, grad_range, &j);
}
void embedding_grad_vjp(ad_vjp *v) {
    ad_tensor *in[2] = {v->g[0], vjp_in(v, 1)};
    ad_attr at = {.i = {v->at->i[0], v->at->i[1], 1}};
    if (in[1]) v->gin[0] = em_op(&v->E, OP_embedding, 2, in, &at);
}

/* ---- embedding_renorm(weight, index): in place; rows that are looked up and longer than f[0] in the
 * norm of power f[1] are scaled to it ---- */

int embedding_renorm_infer(ad_call *c) {
    ad_attr at = {.i = {-1}};
    ad_spec room;
    ad_call look = {.op = c->op, .nin = 2, .nout = 1, .in = c->in, .spec = &room, .at = &at};
    if (embedding_infer(&look)) return -1;
    if (!dtype_is_float(c->in[0]->dtype))
        return ad_fail(AD_ERR_RUNTIME, "embedding_renorm_ is for floating-point weights, got %s",
                       dtype_name[c->in[0]->dtype]);
    spec_like(&c->spec[0], c->in[0]);
    return 0;
}
size_t embedding_renorm_scratch(const ad_call *c) {
    return (size_t)c->in[1]->numel * sizeof(int64_t) + (size_t)c->in[0]->sizes[0] + 1;
}
void embedding_renorm_run(const ad_call *c) {
    ad_tensor *w = c->out[0];
    int64_t *i = c->scratch, n = c->in[1]->numel, rows = w->sizes[0], b = dtype_size[w->dtype],
            cs = w->strides[1] * b;
    uint8_t *seen = (uint8_t *)(i + n);
    double most = c->at->f[0], power = c->at->f[1];
    if (!w->numel) return;
    memset(seen, 0, (size_t)rows);
    index_load(c->in[1], i);
    for (int64_t k = 0; k < n; k++) {
        int64_t r = index_safe(i[k], rows);
        if (seen[r]) continue;
        seen[r] = 1;
        char *row = (char *)tensor_data(w) + r * w->strides[0] * b;
        double norm = 0, v;
        for (int64_t d = 0; d < w->sizes[1]; d++) {
            dtype_loads[w->dtype][CT_F64](1, &v, row + d * cs, 0);
            v = fabs(v);
            if (power == 2) norm += v * v;
            else if (isinf(power)) norm = v > norm || v != v ? v : norm;
            else norm += pow(v, power);
        }
        if (!isinf(power)) norm = power == 2 ? sqrt(norm) : pow(norm, 1 / power);
        if (!(norm > most)) continue;
        double scale = most / (norm + 1e-7);
        for (int64_t d = 0; d < w->sizes[1]; d++) {
            dtype_loads[w->dtype][CT_F64](1, &v, row + d * cs, 0);
            v *= scale;
            dtype_stores[w->dtype][CT_F64](1, row + d * cs, 0, &v);
        }
    }
}
