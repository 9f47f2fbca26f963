/* gather and scatter: one index for each element, along one dimension; and take, put: one flat index. */
#include <math.h>
#include <string.h>
#include "../pool.h"
#include "index.h"

enum { PUT_ASSIGN, PUT_ADD, PUT_MUL, PUT_MEAN, PUT_MAX, PUT_MIN, PUT_READ, PUT_COUNT, PUT_INIT };

/* ---- the loop: over the index tensor's sizes; the indexed tensor's stride along `dim` is applied to the
 * index instead of to the position ---- */

typedef struct walk {
    int ndim, dim, dtype, kind, split;
    int64_t sizes[AD_MAXDIM], is[AD_MAXDIM], xs[AD_MAXDIM], vs[AD_MAXDIM], cs[AD_MAXDIM];
    int64_t size, stride, cstride; /* of the indexed tensor (and of the counts) along dim */
    const ad_tensor *index;
    char *x, *v;
    int64_t *counts;
} walk;

/* No negative indices here: one comparison brings any other into range. */
static inline int64_t in_range(int64_t i, int64_t size) { return (uint64_t)i < (uint64_t)size ? i : 0; }

#define READ_ROW(T)                                                                                          \
    static void read_##T(int64_t n, const int64_t *i, int64_t size, int64_t stride, const T *x, int64_t xs,  \
                         T *v, int64_t vs) {                                                                 \
        for (int64_t k = 0; k < n; k++) v[k * vs] = x[in_range(i[k], size) * stride + k * xs];               \
    }                                                                                                        \
    static void assign_##T(int64_t n, const int64_t *i, int64_t size, int64_t stride, T *x, int64_t xs,      \
                           const T *v, int64_t vs) {                                                         \
        for (int64_t k = 0; k < n; k++) x[in_range(i[k], size) * stride + k * xs] = v[k * vs];               \
    }
READ_ROW(uint8_t)
READ_ROW(uint16_t)
READ_ROW(uint32_t)
READ_ROW(uint64_t)

/* NaN wins in both. */
#define MAX_OF(a, b) ((a) > (b) || (a) != (a) ? (a) : (b))
#define MIN_OF(a, b) ((a) < (b) || (a) != (a) ? (a) : (b))
#define EACH(expr)                                                                                           \
    for (int64_t k = 0; k < n; k++) {                                                                        \
        int64_t at = in_range(i[k], size) * stride + k * xs;                                                 \
        x[at] = expr;                                                                                        \
    }                                                                                                        \
    break;
#define REDUCE_ROW(T, U)                                                                                     \
    static void reduce_##T(int kind, int64_t n, const int64_t *i, int64_t size, int64_t stride, T *x,        \
                           int64_t xs, const T *v, int64_t vs) {                                             \
        switch (kind) {                                                                                      \
        case PUT_ADD:                                                                                        \
        case PUT_MEAN:                                                                                       \
            EACH((T)((U)x[at] + (U)v[k * vs]))                                                               \
        case PUT_MUL:                                                                                        \
            EACH((T)((U)x[at] * (U)v[k * vs]))                                                               \
        case PUT_MAX:                                                                                        \
            EACH(MAX_OF(x[at], v[k * vs]))                                                                   \
        case PUT_MIN:                                                                                        \
            EACH(MIN_OF(x[at], v[k * vs]))                                                                   \
        }                                                                                                    \
    }
REDUCE_ROW(float, float)
REDUCE_ROW(double, double)
REDUCE_ROW(int64_t, uint64_t)

/* Of the dtypes that are computed in another type: one element at a time. */
static void reduce_other(const walk *w, int kind, int64_t n, const int64_t *i, char *x, int64_t xs,
                         const char *v, int64_t vs) {
    int64_t b = dtype_size[w->dtype];
    bool floats = dtype_is_float(w->dtype);
    for (int64_t k = 0; k < n; k++) {
        char *px = x + (in_range(i[k], w->size) * w->stride + k * xs) * b;
        const char *pv = v + k * vs * b;
        if (floats) {
            float s[2];
            dtype_loads[w->dtype][CT_F32](1, &s[0], px, 0);
            dtype_loads[w->dtype][CT_F32](1, &s[1], pv, 0);
            int64_t zero = 0;
            reduce_float(kind, 1, &zero, 1, 1, &s[0], 1, &s[1], 1);
            dtype_stores[w->dtype][CT_F32](1, px, 0, &s[0]);
        } else {
            int64_t s[2], zero = 0;
            dtype_loads[w->dtype][CT_I64](1, &s[0], px, 0);
            dtype_loads[w->dtype][CT_I64](1, &s[1], pv, 0);
            reduce_int64_t(kind, 1, &zero, 1, 1, &s[0], 1, &s[1], 1);
            dtype_stores[w->dtype][CT_I64](1, px, 0, &s[0]);
        }
    }
}

/* The value that a reduction starts from where the tensor's own does not count. */
static void identity(int kind, int dtype, char *out) {
    double f = kind == PUT_MUL ? 1 : kind == PUT_MAX ? -INFINITY : kind == PUT_MIN ? INFINITY : 0;
    static const int64_t lowest[] = {0, 0, INT8_MIN, INT16_MIN, INT32_MIN, INT64_MIN};
    static const int64_t highest[] = {1, UINT8_MAX, INT8_MAX, INT16_MAX, INT32_MAX, INT64_MAX};
    if (dtype_is_float(dtype)) dtype_stores[dtype][CT_F64](1, out, 0, &f);
    else {
        int64_t i = kind == PUT_MUL   ? 1
                    : kind == PUT_MAX ? lowest[dtype]
                    : kind == PUT_MIN ? highest[dtype]
                                      : 0;
        dtype_stores[dtype][CT_I64](1, out, 0, &i);
    }
}

static void one_row(const walk *w, int64_t n, const int64_t *i, int64_t xat, int64_t xs, int64_t vat,
                    int64_t vs, int64_t cat, int64_t cs) {
    int64_t b = dtype_size[w->dtype];
    char *x = w->x + xat * b, *v = w->v + vat * b;
    if (w->kind == PUT_COUNT) {
        for (int64_t k = 0; k < n; k++) w->counts[cat + in_range(i[k], w->size) * w->cstride + k * cs]++;
        return;
    }
    if (w->kind == PUT_READ && vs == 1 && b >= 4) {
        kern->gather[b == 8](n, v, x, i, w->size, w->stride, xs);
        return;
    }
    if (w->kind == PUT_READ || w->kind == PUT_ASSIGN || w->kind == PUT_INIT) {
#define BY_SIZE(T)                                                                                           \
    if (w->kind == PUT_READ) read_##T(n, i, w->size, w->stride, (T *)x, xs, (T *)v, vs);                     \
    else assign_##T(n, i, w->size, w->stride, (T *)x, xs, (T *)v, vs);                                       \
    break;
        switch (b) {
        case 1:
            BY_SIZE(uint8_t)
        case 2:
            BY_SIZE(uint16_t)
        case 4:
            BY_SIZE(uint32_t)
        default:
            BY_SIZE(uint64_t)
        }
        return;
    }
    switch (w->dtype) {
    case AD_F32:
        reduce_float(w->kind, n, i, w->size, w->stride, (float *)x, xs, (float *)v, vs);
        break;
    case AD_F64:
        reduce_double(w->kind, n, i, w->size, w->stride, (double *)x, xs, (double *)v, vs);
        break;
    case AD_I64:
        reduce_int64_t(w->kind, n, i, w->size, w->stride, (int64_t *)x, xs, (int64_t *)v, vs);
        break;
    default:
        reduce_other(w, w->kind, n, i, x, xs, v, vs);
    }
}

/* Part [begin, end) of dimension `split`; all of it when split < 0. */
static void walk_range(int64_t begin, int64_t end, void *ctx) {
    const walk *w = ctx;
    int last = w->ndim - 1;
    int64_t at[AD_MAXDIM] = {0}, tile[256], ia = 0, xa = 0, va = 0, ca = 0, sizes[AD_MAXDIM], rows = 1;
    memcpy(sizes, w->sizes, sizeof sizes);
    if (w->split >= 0) {
        sizes[w->split] = end - begin;
        ia = begin * w->is[w->split];
        xa = begin * w->xs[w->split];
        va = begin * w->vs[w->split];
        ca = begin * w->cs[w->split];
    }
    for (int d = 0; d < last; d++) rows *= sizes[d];
    for (int64_t r = 0; r < rows; r++) {
        for (int64_t k = 0; k < sizes[last]; k += 256) {
            int64_t n = sizes[last] - k < 256 ? sizes[last] - k : 256;
            const int64_t *i = tile;
            if (w->index->dtype == AD_I64 && w->is[last] == 1)
                i = (const int64_t *)tensor_data(w->index) + ia + k;
            else index_row(w->index, ia + k * w->is[last], w->is[last], n, tile);
            one_row(w, n, i, xa + k * w->xs[last], w->xs[last], va + k * w->vs[last], w->vs[last],
                    ca + k * w->cs[last], w->cs[last]);
        }
        for (int d = last - 1; d >= 0; d--) {
            ia += w->is[d];
            xa += w->xs[d];
            va += w->vs[d];
            ca += w->cs[d];
            if (++at[d] < sizes[d]) break;
            ia -= sizes[d] * w->is[d];
            xa -= sizes[d] * w->xs[d];
            va -= sizes[d] * w->vs[d];
            ca -= sizes[d] * w->cs[d];
            at[d] = 0;
        }
    }
}

/* x is indexed; v (NULL: none) has the index's sizes at least, or is 0-d. */
static void walk_run(int kind, int64_t dim, const ad_tensor *x, const ad_tensor *index, const ad_tensor *v,
                     int64_t *counts) {
    walk w = {.kind = kind,
              .dtype = x->dtype,
              .index = index,
              .x = tensor_data(x),
              .v = v ? tensor_data(v) : NULL,
              .counts = counts,
              .split = -1,
              .size = 1,
              .ndim = 1};
    int64_t cstrides[AD_MAXDIM];
    if (!index->numel || !x->numel) return;
    w.sizes[0] = 1;
    w.is[0] = w.xs[0] = w.vs[0] = w.cs[0] = 0;
    if (index->ndim) {
        w.ndim = index->ndim;
        w.dim = (int)dim;
        memcpy(w.sizes, index->sizes, (size_t)w.ndim * sizeof *w.sizes);
        memcpy(w.is, index->strides, (size_t)w.ndim * sizeof *w.is);
    }
    dims_contiguous_strides(x->ndim, x->sizes, cstrides);
    for (int d = 0; d < w.ndim; d++) {
        w.xs[d] = d < x->ndim && d != w.dim ? x->strides[d] : 0;
        w.cs[d] = d < x->ndim && d != w.dim ? cstrides[d] : 0;
        w.vs[d] = v && d < v->ndim ? v->strides[d] : 0;
    }
    if (x->ndim) {
        w.size = x->sizes[w.dim];
        w.stride = x->strides[w.dim];
        w.cstride = cstrides[w.dim];
    }
    int kept = 0, along = -1; /* dimensions of one position are left out: the inner loop becomes a long one */
    for (int d = 0; d < w.ndim; d++) {
        if (w.sizes[d] == 1) continue;
        if (d == w.dim) along = kept;
        w.sizes[kept] = w.sizes[d], w.is[kept] = w.is[d], w.xs[kept] = w.xs[d];
        w.vs[kept] = w.vs[d], w.cs[kept++] = w.cs[d];
    }
    w.dim = along;
    w.ndim = kept;
    if (!kept) {
        w.ndim = w.sizes[0] = 1;
        w.is[0] = w.xs[0] = w.vs[0] = w.cs[0] = 0;
    }
    /* two positions along dim may meet: any other dimension can be shared out */
    int64_t most = 1;
    for (int d = 0; d < w.ndim; d++)
        if ((d != w.dim || kind == PUT_READ) && w.sizes[d] > most) {
            most = w.sizes[d];
            w.split = d;
        }
    if (w.split < 0) {
        walk_range(0, 1, &w);
        return;
    }
    int64_t each = index->numel / most, grain = (1 << 14) / each;
    pool_parallel_for(most, grain ? grain : 1, walk_range, &w);
}

/* ---- checks ---- */

static int check_index(const char *name, const ad_tensor *x, const ad_tensor *index, int64_t dim) {
    int64_t bad, size = x->ndim ? x->sizes[dim] : 1;
    if (!index->numel) return 0; /* of any dtype, as PyTorch has it */
    if (index->dtype != AD_I64 && index->dtype != AD_I32)
        return ad_fail(AD_ERR_RUNTIME, "%s(): Expected dtype int32/int64 for index", name);
    if (index_bad(index, 0, size, &bad))
        return ad_fail(AD_ERR_RUNTIME, "index %lld is out of bounds for dimension %lld with size %lld",
                       (long long)bad, (long long)dim, (long long)size);
    return 0;
}
static int rank(const ad_tensor *t) { return t->ndim ? t->ndim : 1; }

/* ---- gather(x, index): i[0] = dim ---- */

int gather_infer(ad_call *c) {
    const ad_tensor *x = c->in[0], *index = c->in[1];
    int64_t dim = dim_wrap(c->at->i[0], x->ndim);
    if (dim < 0) return -1;
    if (index->numel && rank(x) != rank(index))
        return ad_fail(AD_ERR_RUNTIME,
                       "Index tensor must have the same number of dimensions as input tensor");
    for (int d = 0; d < index->ndim && index->numel; d++)
        if (d != dim && index->sizes[d] > x->sizes[d])
            return ad_fail(AD_ERR_RUNTIME,
                           "Size does not match at dimension %d expected index %s to be no larger than self "
                           "%s apart from "
                           "dimension %lld",
                           d, fmt_sizes(index->ndim, index->sizes), fmt_sizes(x->ndim, x->sizes),
                           (long long)dim);
    if (check_index("gather", x, index, dim)) return -1;
    spec_like(&c->spec[0], index);
    c->spec[0].dtype = x->dtype;
    return 0;
}
void gather_run(const ad_call *c) {
    walk_run(PUT_READ, dim_wrap(c->at->i[0], c->in[0]->ndim), c->in[0], c->in[1], c->out[0], NULL);
}
void gather_vjp(ad_vjp *v) {
    const ad_meta *m = vjp_meta(v, 0);
    ad_tensor *in[2] = {v->g[0], vjp_in(v, 1)};
    ad_attr at = {.i = {v->at->i[0]}, .list = m->sizes, .nlist = m->ndim};
    if (in[1]) v->gin[0] = em_op(&v->E, OP_gather_grad, 2, in, &at);
}

/* gather_grad(g, index): zeros of the sizes in the list plus g at the indices */
int gather_grad_infer(ad_call *c) {
    ad_spec *s = &c->spec[0];
    s->dtype = c->in[0]->dtype;
    s->ndim = (uint8_t)c->at->nlist;
    dims_copy(s->sizes, c->at->list, s->ndim);
    return 0;
}
void gather_grad_run(const ad_call *c) {
    ad_tensor *out = c->out[0];
    memset(tensor_data(out), 0, (size_t)out->numel * dtype_size[out->dtype]);
    walk_run(PUT_ADD, dim_wrap(c->at->i[0], out->ndim), out, c->in[1], c->in[0], NULL);
}
void gather_grad_vjp(ad_vjp *v) {
    ad_tensor *in[2] = {v->g[0], vjp_in(v, 1)};
    ad_attr at = {.i = {v->at->i[0]}};
    if (in[1]) v->gin[0] = em_op(&v->E, OP_gather, 2, in, &at);
}

/* ---- scatter(self, index, src): i[0] = dim, i[1] = PUT_*, i[2] = the tensor's own values do not count,
 * i[3] = src is one number ---- */

static int scatter_checks(ad_call *c, const char *name) {
    const ad_tensor *x = c->in[0], *index = c->in[1], *src = c->in[2];
    int64_t dim = dim_wrap(c->at->i[0], x->ndim);
    bool one = c->at->i[3];
    if (dim < 0) return -1;
    if (!one && x->dtype != src->dtype)
        return ad_fail(AD_ERR_RUNTIME, "%s(): Expected self.dtype to be equal to src.dtype", name);
    if (index->numel) {
        if (rank(index) != rank(x))
            return ad_fail(AD_ERR_RUNTIME,
                           "Index tensor must have the same number of dimensions as self tensor");
        if (!one && rank(index) != rank(src))
            return ad_fail(AD_ERR_RUNTIME,
                           "Index tensor must have the same number of dimensions as src tensor");
        bool fits = true;
        for (int d = 0; d < index->ndim; d++) {
            int64_t have = x->ndim ? x->sizes[d] : 1, given = src->ndim && !one ? src->sizes[d] : 1;
            fits &= (d == dim || index->sizes[d] <= have) && (one || index->sizes[d] <= given);
        }
        if (!fits)
            return ad_fail(AD_ERR_RUNTIME,
                           "Expected index %s to be no larger than self %s apart from dimension %lld%s%s",
                           fmt_sizes(index->ndim, index->sizes), fmt_sizes(x->ndim, x->sizes), (long long)dim,
                           one ? "" : " and to be no larger size than src ",
                           one ? "" : fmt_sizes(src->ndim, src->sizes));
    }
    if (check_index(name, x, index, dim)) return -1;
    spec_like(&c->spec[0], x);
    return 0;
}

int scatter_infer(ad_call *c) {
    static const char *const names[] = {"scatter",        "scatter_add",    "scatter_reduce",
                                        "scatter_reduce", "scatter_reduce", "scatter_reduce"};
    return scatter_checks(c, names[c->at->i[1]]);
}

size_t scatter_scratch(const ad_call *c) {
    return c->at->i[1] == PUT_MEAN ? (size_t)c->in[0]->numel * sizeof(int64_t) + 1 : 0;
}

/* x /= counts where they are; integers round down. */
static void divide(ad_tensor *x, const int64_t *counts, bool own) {
    int64_t at[AD_MAXDIM] = {0}, off = 0, b = dtype_size[x->dtype];
    for (int64_t k = 0; k < x->numel; k++) {
        int64_t n = counts[k] + own;
        char *p = (char *)tensor_data(x) + off * b;
        if (n > 1 && x->dtype == AD_F64) *(double *)p /= (double)n;
        else if (n > 1 && dtype_is_float(x->dtype)) {
            float f;
            dtype_loads[x->dtype][CT_F32](1, &f, p, 0);
            f /= (float)n;
            dtype_stores[x->dtype][CT_F32](1, p, 0, &f);
        } else if (n > 1) {
            int64_t i, q;
            dtype_loads[x->dtype][CT_I64](1, &i, p, 0);
            q = i / n - (i % n < 0);
            dtype_stores[x->dtype][CT_I64](1, p, 0, &q);
        }
        for (int d = x->ndim - 1; d >= 0; d--) {
            off += x->strides[d];
            if (++at[d] < x->sizes[d]) break;
            off -= x->sizes[d] * x->strides[d];
            at[d] = 0;
        }
    }
}

void scatter_run(const ad_call *c) {
    ad_tensor *x = c->out[0], *index = c->in[1], *src = c->in[2];
    int kind = (int)c->at->i[1];
    int64_t dim = dim_wrap(c->at->i[0], x->ndim);
    char value[8];
    ad_storage store = {.data = value};
    ad_tensor one = {.storage = &store, .dtype = x->dtype, .numel = 1};
    if (!x->numel || !index->numel) return;
    if (kind != PUT_ASSIGN && c->at->i[2]) {
        identity(kind, x->dtype, value);
        walk_run(PUT_INIT, dim, x, index, &one, NULL);
    }
    if (c->at->i[3]) {
        tensor_copy_data(&one, src);
        src = &one;
    }
    walk_run(kind, dim, x, index, src, NULL);
    if (kind != PUT_MEAN) return;
    memset(c->scratch, 0, (size_t)x->numel * sizeof(int64_t));
    walk_run(PUT_COUNT, dim, x, index, NULL, c->scratch);
    divide(x, c->scratch, !c->at->i[2]);
}

static ad_tensor *emit_gather(ad_em *E, ad_tensor *g, ad_tensor *index, int64_t dim) {
    ad_attr at = {.i = {dim}};
    return g && index ? em_op(E, OP_gather, 2, (ad_tensor *[]){g, index}, &at) : NULL;
}
/* self with one number at the indices, or plus what is at the indices of src */
static ad_tensor *emit_fill(ad_em *E, ad_tensor *self, ad_tensor *index, double value, int64_t dim) {
    ad_attr at = {.i = {dim, PUT_ASSIGN, 0, 1}};
    ad_tensor *one = em_const(E, value);
    return self && index && one ? em_op(E, OP_scatter, 3, (ad_tensor *[]){self, index, one}, &at) : NULL;
}
static ad_tensor *emit_add(ad_em *E, ad_tensor *self, ad_tensor *index, ad_tensor *src, int64_t dim) {
    ad_attr at = {.i = {dim, PUT_ADD}};
    return self && index && src ? em_op(E, OP_scatter, 3, (ad_tensor *[]){self, index, src}, &at) : NULL;
}
/* The gradient of src covers the index's sizes alone: zero beyond them. */
static ad_tensor *emit_fit(ad_em *E, ad_tensor *g, const ad_meta *m) {
    int64_t pads[2 * AD_MAXDIM] = {0};
    if (!g || dims_equal(g->ndim, g->sizes, m->ndim, m->sizes)) return g;
    if (g->ndim != m->ndim) return em_reshape(E, g, m->ndim, m->sizes);
    for (int d = 0; d < m->ndim; d++) pads[2 * (m->ndim - 1 - d) + 1] = m->sizes[d] - g->sizes[d];
    ad_attr at = {.list = pads, .nlist = 2 * m->ndim};
    return em_op(E, OP_pad, 1, &g, &at);
}
/* The part of t that the index covers. */
static ad_tensor *emit_cover(ad_em *E, ad_tensor *t, const ad_tensor *index) {
    for (int d = 0; t && d < t->ndim && d < index->ndim; d++) {
        if (t->sizes[d] == index->sizes[d]) continue;
        ad_attr at = {.i = {d, 0, index->sizes[d], 1}};
        t = em_op(E, OP_slice, 1, &t, &at);
    }
    return t;
}

/* Of a maximum or minimum: which elements of self (mine) and of src (theirs) attain it, and how many do. */
static bool emit_ties(ad_em *E, const ad_attr *at, ad_tensor *x, ad_tensor *index, ad_tensor *part,
                      ad_tensor *y, int64_t dim, ad_tensor **mine, ad_tensor **theirs, ad_tensor **ties) {
    *mine = em_cast(E, em2(E, OP_eq, x, y), y->dtype);
    if (at->i[2]) *mine = emit_fill(E, *mine, index, 0, dim);
    *theirs = em_cast(E, em2(E, OP_eq, part, emit_gather(E, y, index, dim)), y->dtype);
    ad_tensor *n = emit_add(E, *mine, index, *theirs, dim);
    /* elements out of reach of every tie have none: divide by one there */
    *ties = n ? em3(E, OP_where, em2(E, OP_eq, n, em_const(E, 0)), em_const(E, 1), n) : NULL;
    *ties = em_cast(E, *ties, y->dtype);
    return *ties != NULL;
}

static void extreme_vjp(ad_vjp *v, ad_tensor *x, ad_tensor *index, ad_tensor *src, ad_tensor *y,
                        int64_t dim) {
    ad_em *E = &v->E;
    ad_tensor *part = emit_cover(E, src, index), *mine, *theirs, *ties;
    if (!part || !y || E->failed || !emit_ties(E, v->at, x, index, part, y, dim, &mine, &theirs, &ties))
        return;
    ad_tensor *share = em2(E, OP_div, v->g[0], ties);
    if (vjp_needs(v, 0)) v->gin[0] = em2(E, OP_mul, share, mine);
    if (vjp_needs(v, 2))
        v->gin[2] = emit_fit(E, em2(E, OP_mul, emit_gather(E, share, index, dim), theirs), vjp_meta(v, 2));
}

/* once_only(x): x, whose gradient cannot be taken again. Where several zeros met, the gradient of a product
 * is right (zero), but its derivative would not be. */
void once_only_vjp(ad_vjp *v) {
    ad_fail(
        AD_ERR_RUNTIME,
        "scatter_reduce(): Double backward is unsupported for src when >1 zeros in src are scattered to the "
        "same position in self");
    v->E.failed = true;
}

static bool zeros_met(const ad_tensor *zeros) {
    double n;
    for (int64_t k = 0; k < zeros->numel; k++) {
        dtype_loads[zeros->dtype][CT_F64](1, &n, (char *)tensor_data(zeros) + k * dtype_size[zeros->dtype],
                                          0);
        if (n >= 2) return true;
    }
    return false;
}

/* The product of all but one: the result over the one, and where that is zero the product without it. The
 * forms keep what a zero multiplies, so that second derivatives see it. */
static ad_tensor *product_by_self(ad_em *E, const ad_attr *by, ad_tensor *x, ad_tensor *index,
                                  ad_tensor *part, int64_t dim) {
    ad_attr at = {.i = {dim, PUT_MUL}};
    ad_tensor *zero = em_const(E, 0), *one = em_const(E, 1);
    if (by->i[2]) x = emit_fill(E, x, index, 1, dim); /* where the own value is replaced it counts as one */
    if (!x) return NULL;
    ad_tensor *xs = em_cast(E, em3(E, OP_where, em2(E, OP_eq, x, zero), one, x), x->dtype);
    ad_tensor *others = xs ? em_op(E, OP_scatter_reduce, 3, (ad_tensor *[]){xs, index, part}, &at) : NULL;
    ad_tensor *d = em2(E, OP_div, others, xs);
    return by->i[2] ? emit_fill(E, d, index, 0, dim) : d;
}
static ad_tensor *product_by_src(ad_em *E, const ad_attr *by, ad_tensor *x, ad_tensor *index, ad_tensor *part,
                                 ad_tensor *y, int64_t dim, bool *met) {
    ad_attr at = {.i = {dim, PUT_MUL}};
    ad_tensor *zero = em_const(E, 0), *one = em_const(E, 1);
    if (by->i[2]) x = emit_fill(E, x, index, 1, dim);
    if (!x) return NULL;
    ad_tensor *is0 = em2(E, OP_eq, part, zero);
    ad_tensor *ss = em_cast(E, em3(E, OP_where, is0, one, part), x->dtype);
    ad_tensor *zeros =
        emit_add(E, em_zeros(E, x->dtype, x->ndim, x->sizes), index, em_cast(E, is0, x->dtype), dim);
    ad_tensor *others = ss ? em_op(E, OP_scatter_reduce, 3, (ad_tensor *[]){x, index, ss}, &at) : NULL;
    if (!zeros || !others) return NULL;
    *met = zeros_met(zeros);
    ad_tensor *lone = em2(E, OP_mul, others, em_cast(E, em2(E, OP_eq, zeros, one), x->dtype));
    ad_tensor *rest = em2(E, OP_div, emit_gather(E, y, index, dim), ss);
    return em3(E, OP_where, is0, emit_gather(E, lone, index, dim), rest);
}

static void product_vjp(ad_vjp *v, ad_tensor *x, ad_tensor *index, ad_tensor *src, ad_tensor *y,
                        int64_t dim) {
    ad_em *E = &v->E;
    ad_tensor *g = v->g[0], *part = emit_cover(E, src, index);
    if (!part || !y || E->failed) return;
    if (vjp_needs(v, 0)) v->gin[0] = em2(E, OP_mul, g, product_by_self(E, v->at, x, index, part, dim));
    if (vjp_needs(v, 2)) {
        bool met = false;
        ad_tensor *d = product_by_src(E, v->at, x, index, part, y, dim, &met);
        d = em2(E, OP_mul, emit_gather(E, g, index, dim), d);
        if (d && !tls.no_grad && met) d = em1(E, OP_once_only, d);
        v->gin[2] = emit_fit(E, d, vjp_meta(v, 2));
    }
}

/* Tangents of a product, maximum or minimum, from the same factors. */
static void reduced_jvp(ad_jvp *j, int kind, int64_t dim) {
    const ad_call *c = j->c;
    ad_em *E = &j->E;
    ad_tensor *x = c->in[0], *index = c->in[1], *src = c->in[2], *y = c->out[0], *tx = j->t[0], *ts = j->t[2];
    if (c->at->i[3]) {
        src = em_expand(E, em_cast(E, src, x->dtype), index->ndim, index->sizes);
        ts = em_expand(E, em_cast(E, ts, x->dtype), index->ndim, index->sizes);
    }
    ad_tensor *part = emit_cover(E, src, index), *by_x = NULL, *by_src = NULL, *ties = NULL;
    bool met;
    ts = emit_cover(E, ts, index);
    if (!part || E->failed) return;
    if (kind != PUT_MUL) {
        if (!emit_ties(E, c->at, x, index, part, y, dim, &by_x, &by_src, &ties)) return;
    } else {
        if (tx) by_x = product_by_self(E, c->at, x, index, part, dim);
        if (ts) by_src = product_by_src(E, c->at, x, index, part, y, dim, &met);
    }
    ad_tensor *sum = tx ? em2(E, OP_mul, tx, by_x) : em_zeros(E, y->dtype, y->ndim, y->sizes);
    if (ts) sum = emit_add(E, sum, index, em2(E, OP_mul, ts, by_src), dim);
    j->tout[0] = ties ? em2(E, OP_div, sum, ties) : sum;
}

static ad_tensor *emit_scatter_counts(ad_vjp *v, ad_tensor *index, int64_t dim) {
    ad_em *E = &v->E;
    const ad_meta *m = vjp_meta(v, 0);
    ad_attr ones = {.i = {m->dtype, 1}, .f = {1}, .list = m->sizes, .nlist = m->ndim};
    ad_attr each = {.i = {m->dtype, 1}, .f = {1}, .list = index->sizes, .nlist = index->ndim};
    ad_tensor *base =
        v->at->i[2] ? em_zeros(E, m->dtype, m->ndim, m->sizes) : em_op(E, OP_full, 0, NULL, &ones);
    ad_tensor *n = emit_add(E, base, index, em_op(E, OP_full, 0, NULL, &each), dim);
    return n ? em3(E, OP_where, em2(E, OP_eq, n, em_const(E, 0)), em_const(E, 1), n) : NULL;
}

void scatter_vjp(ad_vjp *v) {
    ad_em *E = &v->E;
    int kind = (int)v->at->i[1];
    int64_t dim = dim_wrap(v->at->i[0], v->g[0]->ndim);
    ad_tensor *g = v->g[0], *index = vjp_in(v, 1);
    if (!index) return;
    bool own = !v->at->i[2];
    if (v->at->i[3] && kind != PUT_ASSIGN && vjp_needs(v, 2)) {
        ad_fail(AD_ERR_NOT_IMPLEMENTED,
                "the derivative of scatter(reduce=...) for a single value is not implemented");
        E->failed = true;
        return;
    }
    if (kind == PUT_MUL || kind == PUT_MAX || kind == PUT_MIN) {
        ad_tensor *x = vjp_in(v, 0), *src = vjp_in(v, 2), *y = vjp_out(v, 0);
        if (x && src && v->at->i[3]) src = em_expand(E, em_cast(E, src, x->dtype), index->ndim, index->sizes);
        if (!x || !src || !y) return;
        if (kind == PUT_MUL) product_vjp(v, x, index, src, y, dim);
        else extreme_vjp(v, x, index, src, y, dim);
        return;
    }
    if (kind == PUT_MEAN) g = em2(E, OP_div, g, emit_scatter_counts(v, index, dim));
    if (!g) return;
    if (vjp_needs(v, 0)) v->gin[0] = kind == PUT_ASSIGN || !own ? emit_fill(E, g, index, 0, dim) : g;
    if (vjp_needs(v, 2)) {
        ad_tensor *d = emit_gather(E, g, index, dim);
        v->gin[2] = v->at->i[3] ? em_cast(E, em_sum_to(E, d, 0, NULL), vjp_meta(v, 2)->dtype)
                                : emit_fit(E, d, vjp_meta(v, 2));
    }
}

void scatter_jvp(ad_jvp *j) {
    const ad_call *c = j->c;
    ad_em *E = &j->E;
    int kind = (int)c->at->i[1];
    if (kind == PUT_MUL || kind == PUT_MAX || kind == PUT_MIN) {
        reduced_jvp(j, kind, dim_wrap(c->at->i[0], c->out[0]->ndim));
        return;
    }
    const ad_tensor *x = c->out[0], *src = c->in[2];
    ad_tensor *in[3] = {j->t[0] ? j->t[0] : em_zeros(E, x->dtype, x->ndim, x->sizes), c->in[1],
                        j->t[2] ? j->t[2] : em_zeros(E, src->dtype, src->ndim, src->sizes)};
    if (in[0] && in[2]) j->tout[0] = em_op(E, OP_scatter, 3, in, c->at);
}

/* ---- take(x, index), put_flat(self, index, src; i[0] = accumulate): indices into the flat tensor ---- */

static int check_flat(const char *name, const ad_tensor *x, const ad_tensor *index) {
    int64_t bad;
    if (index->dtype != AD_I64)
        return ad_fail(AD_ERR_RUNTIME, "%s(): Expected a long tensor for index, but got %s", name,
                       dtype_class[index->dtype]);
    if (!x->numel && index->numel)
        return ad_fail(AD_ERR_INDEX, "%s(): tried to take from an empty tensor", name);
    if (index_bad(index, -x->numel, x->numel, &bad))
        return ad_fail(AD_ERR_INDEX, "out of range: tried to access index %lld on a tensor of %lld elements.",
                       (long long)bad, (long long)x->numel);
    return 0;
}

/* Offsets in a tensor of any strides of flat indices. */
static void flat_offsets(const ad_tensor *x, int64_t n, int64_t *i) {
    bool flat = tensor_is_contiguous(x);
    for (int64_t k = 0; k < n; k++) {
        int64_t at = index_safe(i[k], x->numel), off = 0;
        for (int d = x->ndim - 1; d >= 0 && !flat; d--) {
            off += at % x->sizes[d] * x->strides[d];
            at /= x->sizes[d];
        }
        i[k] = flat ? at : off;
    }
}

/* Moves between x at the flat offsets and the elements of v (one of them, or one for each) in order. */
static void flat_move(int kind, ad_tensor *x, const ad_tensor *index, ad_tensor *v, int64_t *room) {
    int64_t n = index->numel, one = 1;
    if (!n || !x->numel) return;
    index_load(index, room);
    flat_offsets(x, n, room);
    ad_storage *s = x->storage;
    index_plan p = {.ndim = v->ndim, .np = v->ndim, .npos = n};
    memcpy(p.sizes, v->sizes, v->ndim * sizeof *p.sizes);
    ad_tensor flat = {.storage = s,
                      .offset = x->offset,
                      .dtype = x->dtype,
                      .ndim = 1,
                      .sizes = &n,
                      .strides = &one,
                      .numel = n};
    index_move(&p, kind, room, &flat, v, v->strides);
}

int take_infer(ad_call *c) {
    if (check_flat("take", c->in[0], c->in[1])) return -1;
    spec_like(&c->spec[0], c->in[1]);
    c->spec[0].dtype = c->in[0]->dtype;
    return 0;
}
size_t take_scratch(const ad_call *c) { return 2 * (size_t)(c->in[1]->numel + 1) * sizeof(int64_t); }
void take_run(const ad_call *c) { flat_move(MOVE_READ, c->in[0], c->in[1], c->out[0], c->scratch); }
void take_vjp(ad_vjp *v) {
    const ad_meta *m = vjp_meta(v, 0);
    ad_tensor *in[3] = {em_zeros(&v->E, m->dtype, m->ndim, m->sizes), vjp_in(v, 1), v->g[0]};
    ad_attr at = {.i = {1}};
    if (in[0] && in[1]) v->gin[0] = em_op(&v->E, OP_put_flat, 3, in, &at);
}

int put_flat_infer(ad_call *c) {
    const ad_tensor *x = c->in[0], *index = c->in[1], *src = c->in[2];
    if (x->dtype != src->dtype)
        return ad_fail(AD_ERR_RUNTIME,
                       "put_(): self and source expected to have the same dtype, but got self.dtype = %s and "
                       "source.dtype = %s",
                       dtype_class[x->dtype], dtype_class[src->dtype]);
    if (index->numel != src->numel)
        return ad_fail(AD_ERR_INDEX,
                       "put_(): Expected source and index to have the same number of elements, but got "
                       "source.numel() = %lld, index.numel() = %lld",
                       (long long)src->numel, (long long)index->numel);
    if (check_flat("put_", x, index)) return -1;
    spec_like(&c->spec[0], x);
    return 0;
}
size_t put_flat_scratch(const ad_call *c) { return take_scratch(c); }
void put_flat_run(const ad_call *c) {
    flat_move(c->at->i[0] ? MOVE_ADD : MOVE_WRITE, c->out[0], c->in[1], c->in[2], c->scratch);
}
void put_flat_vjp(ad_vjp *v) {
    const ad_meta *m = vjp_meta(v, 2);
    ad_tensor *index = vjp_in(v, 1);
    if (!index) return;
    if (vjp_needs(v, 0)) {
        ad_tensor *in[3] = {v->g[0], index, em_zeros(&v->E, v->g[0]->dtype, index->ndim, index->sizes)};
        v->gin[0] = v->at->i[0] ? v->g[0] : in[2] ? em_op(&v->E, OP_put_flat, 3, in, v->at) : NULL;
    }
    if (vjp_needs(v, 2))
        v->gin[2] = em_reshape(&v->E, em_op(&v->E, OP_take, 2, (ad_tensor *[]){v->g[0], index}, NULL),
                               m->ndim, m->sizes);
}
