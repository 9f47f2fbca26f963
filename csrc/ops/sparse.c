/* Products of a sparse matrix and a dense one. The sparse matrix is a list of nonzeros: values [nnz], and
 * index [2, nnz] of their rows and columns, in any order; entries that repeat add up.
 *
 *     spmm(values, index, d [columns, k])         out[row] += value d[column], for each nonzero
 *     spmm_values(g [rows, k], index, d)          out[nonzero] = g[row] . d[column]
 *
 * Each is a derivative of the other. i[0] = rows of spmm's result; i[1] = 1: rows and columns change places.
 */
#include <string.h>
#include "../pool.h"
#include "index.h"

#define WORK 16384

static int check(const ad_tensor *index, const ad_tensor *t, const char *name, int64_t nnz) {
    if (index->dtype != AD_I64 || index->ndim != 2 || index->sizes[0] != 2 || index->sizes[1] != nnz)
        return ad_fail(AD_ERR_RUNTIME, "%s: expected int64 indices of size [2, %lld], got %s of size %s",
                       name, (long long)nnz, dtype_name[index->dtype], fmt_sizes(index->ndim, index->sizes));
    if (t->ndim != 2)
        return ad_fail(AD_ERR_RUNTIME, "%s: expected a dense matrix, got size %s", name,
                       fmt_sizes(t->ndim, t->sizes));
    if (t->dtype != AD_F32 && t->dtype != AD_F64)
        return ad_fail(AD_ERR_NOT_IMPLEMENTED, "\"%s\" not implemented for '%s'", name,
                       dtype_class[t->dtype]);
    return 0;
}
static int check_range(const ad_tensor *index, int which, int64_t size, const char *what) {
    const int64_t *i = (const int64_t *)tensor_data(index) + which * index->sizes[1];
    for (int64_t k = 0; k < index->sizes[1]; k++)
        if (i[k] < 0 || i[k] >= size)
            return ad_fail(AD_ERR_RUNTIME, "spmm: %s index %lld is out of range of %lld", what,
                           (long long)i[k], (long long)size);
    return 0;
}

typedef struct product {
    int ct;
    int64_t nnz, k, rows, columns, es;
    const int64_t *row, *column, *start, *order; /* start, order: the nonzeros of each row */
    const char *values, *d, *g;
    char *out;
} product;

static product setup(const ad_tensor *index, const ad_tensor *d, int64_t rows, const ad_attr *at) {
    product p = {.ct = dtype_compute(d->dtype), .nnz = index->sizes[1], .k = d->sizes[1], .rows = rows};
    p.columns = d->sizes[0];
    p.es = dtype_size[d->dtype];
    p.row = (const int64_t *)tensor_data(index) + (at->i[1] ? p.nnz : 0);
    p.column = (const int64_t *)tensor_data(index) + (at->i[1] ? 0 : p.nnz);
    p.d = tensor_data(d);
    return p;
}

int spmm_infer(ad_call *c) {
    const ad_tensor *v = c->in[0], *index = c->in[1], *d = c->in[2];
    bool turned = c->at->i[1] != 0;
    if (check(index, d, "spmm", v->ndim == 1 ? v->sizes[0] : -1)) return -1;
    if (v->dtype != d->dtype)
        return ad_fail(AD_ERR_RUNTIME, "spmm: expected both of one dtype, got %s and %s",
                       dtype_name[v->dtype], dtype_name[d->dtype]);
    if (c->at->i[0] < 0)
        return ad_fail(AD_ERR_RUNTIME, "spmm: a matrix of %lld rows", (long long)c->at->i[0]);
    if (check_range(index, turned, c->at->i[0], "row") || check_range(index, !turned, d->sizes[0], "column"))
        return -1;
    c->spec[0].dtype = d->dtype;
    c->spec[0].ndim = 2;
    c->spec[0].sizes[0] = c->at->i[0];
    c->spec[0].sizes[1] = d->sizes[1];
    return 0;
}

static void rows_range(int64_t begin, int64_t end, void *ctx) {
    const product *p = ctx;
    int64_t bytes = p->k * p->es;
    memset(p->out + begin * bytes, 0, (size_t)((end - begin) * bytes));
    for (int64_t r = begin; r < end; r++)
        for (int64_t j = p->start[r]; j < p->start[r + 1]; j++) {
            int64_t e = p->order[j];
            double v = p->es == 4 ? (double)((const float *)p->values)[e] : ((const double *)p->values)[e];
            kern->axpy[p->ct](p->k, v, p->d + index_safe(p->column[e], p->columns) * bytes,
                              p->out + r * bytes);
        }
}

size_t spmm_scratch(const ad_call *c) {
    return (size_t)(c->at->i[0] + 2 + c->in[1]->sizes[1]) * sizeof(int64_t);
}
void spmm_run(const ad_call *c) {
    if (!c->out[0]->numel) return;
    product p = setup(c->in[1], c->in[2], c->at->i[0], c->at);
    p.values = tensor_data(c->in[0]);
    p.out = tensor_data(c->out[0]);
    if (!p.columns) { /* no column has an index; a replay may meet one */
        memset(p.out, 0, (size_t)(c->out[0]->numel * p.es));
        return;
    }
    int64_t *start = c->scratch, *order = start + p.rows + 2; /* sorted by row, keeping the order within */
    memset(start, 0, (size_t)(p.rows + 2) * sizeof *start);
    for (int64_t e = 0; e < p.nnz; e++) start[index_safe(p.row[e], p.rows) + 2]++;
    for (int64_t r = 2; r < p.rows + 2; r++) start[r] += start[r - 1];
    for (int64_t e = 0; e < p.nnz; e++) order[start[index_safe(p.row[e], p.rows) + 1]++] = e;
    p.start = start;
    p.order = order;
    int64_t each = (p.nnz / p.rows + 1) * p.k, grain = WORK / each;
    pool_parallel_for(p.rows, grain ? grain : 1, rows_range, &p);
}

int spmm_values_infer(ad_call *c) {
    const ad_tensor *g = c->in[0], *index = c->in[1], *d = c->in[2];
    if (check(index, d, "spmm_values", index->ndim == 2 ? index->sizes[1] : -1)) return -1;
    if (g->ndim != 2 || g->dtype != d->dtype || g->sizes[1] != d->sizes[1])
        return ad_fail(AD_ERR_RUNTIME, "spmm_values: sizes %s and %s do not fit",
                       fmt_sizes(g->ndim, g->sizes), fmt_sizes(d->ndim, d->sizes));
    bool turned = c->at->i[1] != 0;
    if (check_range(index, turned, g->sizes[0], "row") || check_range(index, !turned, d->sizes[0], "column"))
        return -1;
    c->spec[0].dtype = d->dtype;
    c->spec[0].ndim = 1;
    c->spec[0].sizes[0] = index->sizes[1];
    return 0;
}
static void values_range(int64_t begin, int64_t end, void *ctx) {
    const product *p = ctx;
    int64_t bytes = p->k * p->es;
    for (int64_t e = begin; e < end; e++) {
        double v = kern->dot[p->ct](p->k, p->g + index_safe(p->row[e], p->rows) * bytes,
                                    p->d + index_safe(p->column[e], p->columns) * bytes);
        if (p->es == 4) ((float *)p->out)[e] = (float)v;
        else ((double *)p->out)[e] = v;
    }
}
void spmm_values_run(const ad_call *c) {
    if (!c->out[0]->numel) return;
    product p = setup(c->in[1], c->in[2], c->in[0]->sizes[0], c->at);
    p.g = tensor_data(c->in[0]);
    p.out = tensor_data(c->out[0]);
    if (!p.k || !p.rows || !p.columns) {
        memset(p.out, 0, (size_t)(c->out[0]->numel * p.es));
        return;
    }
    int64_t grain = WORK / p.k;
    pool_parallel_for(p.nnz, grain ? grain : 1, values_range, &p);
}

static ad_tensor *em_spmm(ad_em *E, ad_tensor *values, ad_tensor *index, ad_tensor *d, int64_t rows,
                          int64_t turned) {
    ad_attr at = {.i = {rows, turned}};
    return values && index && d ? em_op(E, OP_spmm, 3, (ad_tensor *[]){values, index, d}, &at) : NULL;
}
void spmm_vjp(ad_vjp *v) {
    ad_tensor *g = v->g[0], *index = vjp_in(v, 1);
    int64_t turned = v->at->i[1];
    if (vjp_needs(v, 0)) {
        ad_tensor *in[3] = {g, index, vjp_in(v, 2)};
        ad_attr at = {.i = {0, turned}};
        if (in[1] && in[2]) v->gin[0] = em_op(&v->E, OP_spmm_values, 3, in, &at);
    }
    if (vjp_needs(v, 2))
        v->gin[2] = em_spmm(&v->E, vjp_in(v, 0), index, g, vjp_meta(v, 2)->sizes[0], !turned);
}
void spmm_values_vjp(ad_vjp *v) {
    ad_tensor *h = v->g[0], *index = vjp_in(v, 1);
    int64_t turned = v->at->i[1];
    if (vjp_needs(v, 0)) v->gin[0] = em_spmm(&v->E, h, index, vjp_in(v, 2), vjp_meta(v, 0)->sizes[0], turned);
    if (vjp_needs(v, 2))
        v->gin[2] = em_spmm(&v->E, h, index, vjp_in(v, 0), vjp_meta(v, 2)->sizes[0], !turned);
}
