/* scatter and its reductions: one index for each element along one dimension, and the derivatives. */
#include <math.h>
#include <string.h>
#include "../pool.h"
#include "gather.h"

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
        if (gather_rank(index) != gather_rank(x))
            return ad_fail(AD_ERR_RUNTIME,
                           "Index tensor must have the same number of dimensions as self tensor");
        if (!one && gather_rank(index) != gather_rank(src))
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
    if (gather_check(c, name, dim)) return -1;
    spec_like(&c->spec[0], x);
    return 0;
}

int scatter_infer(ad_call *c) {
    static const char *const names[] = {"scatter",        "scatter_add",    "scatter_reduce",
                                        "scatter_reduce", "scatter_reduce", "scatter_reduce"};
    if (c->at->i[1] < PUT_ASSIGN || c->at->i[1] > PUT_MIN)
        return ad_fail(AD_ERR_RUNTIME, "scatter: no reduction of number %lld", (long long)c->at->i[1]);
    if (c->at->i[3] && c->in[2]->numel != 1)
        return ad_fail(AD_ERR_RUNTIME, "scatter: one number is asked for, not size %s",
                       fmt_sizes(c->in[2]->ndim, c->in[2]->sizes));
    return scatter_checks(c, names[c->at->i[1]]);
}

static size_t counts_bytes(const ad_call *c) {
    return c->at->i[1] == PUT_MEAN ? (size_t)c->in[0]->numel * sizeof(int64_t) : 0;
}
size_t scatter_scratch(const ad_call *c) {
    return counts_bytes(c) +
           gather_room((int)c->at->i[1], dim_wrap(c->at->i[0], c->in[0]->ndim), c->in[0], c->in[1]) + 1;
}

/* x /= counts where they are; integers round down. Positions of a contiguous x are shared out. */
typedef struct quotient {
    ad_tensor *x;
    const int64_t *counts;
    bool own;
} quotient;
#define DIVIDE(T, N)                                                                                         \
    for (int64_t k = begin; k < end; k++) {                                                                  \
        N n = (N)(q->counts[k] + q->own);                                                                    \
        ((T *)tensor_data(x))[k] /= n > 1 ? n : 1;                                                           \
    }
static void divide_range(int64_t begin, int64_t end, void *ctx) {
    const quotient *q = ctx;
    ad_tensor *x = q->x;
    int64_t b = dtype_size[x->dtype];
    bool flat = tensor_is_contiguous(x);
    if (flat && x->dtype == AD_F32) DIVIDE(float, float)
    else if (flat && x->dtype == AD_F64) DIVIDE(double, double)
    else
        for (int64_t k = begin; k < end; k++) {
            int64_t n = q->counts[k] + q->own, off = 0, rest = k;
            for (int d = x->ndim - 1; d >= 0; rest /= x->sizes[d--])
                off += rest % x->sizes[d] * x->strides[d];
            char *p = (char *)tensor_data(x) + off * b;
            if (n < 2) continue;
            if (dtype_is_float(x->dtype)) {
                double f;
                dtype_loads[x->dtype][CT_F64](1, &f, p, 0);
                if (x->dtype == AD_F64) f /= (double)n;
                else f = (double)((float)f / (float)n);
                dtype_stores[x->dtype][CT_F64](1, p, 0, &f);
            } else {
                int64_t i, r;
                dtype_loads[x->dtype][CT_I64](1, &i, p, 0);
                r = i / n - (i % n < 0);
                dtype_stores[x->dtype][CT_I64](1, p, 0, &r);
            }
        }
}

void scatter_run(const ad_call *c) {
    ad_tensor *x = c->out[0], *index = c->in[1], *src = c->in[2];
    int kind = (int)c->at->i[1];
    int64_t dim = dim_wrap(c->at->i[0], x->ndim);
    char value[8];
    void *room = (char *)c->scratch + counts_bytes(c);
    ad_storage store = {.data = value};
    ad_tensor one = {.storage = &store, .dtype = x->dtype, .numel = 1};
    if (!x->numel || !index->numel) return;
    if (kind != PUT_ASSIGN && c->at->i[2]) {
        identity(kind, x->dtype, value);
        gather_walk(&(gather_job){.kind = PUT_INIT, .dim = dim, .x = x, .index = index, .v = &one});
    }
    if (c->at->i[3]) {
        tensor_copy_data(&one, src);
        src = &one;
    }
    gather_walk(&(gather_job){
        .kind = kind, .dim = dim, .x = x, .index = index, .v = src, .scratch = room, .strayed = c->strayed});
    if (kind != PUT_MEAN) return;
    quotient q = {.x = x, .counts = c->scratch, .own = !c->at->i[2]};
    memset(c->scratch, 0, (size_t)x->numel * sizeof(int64_t));
    gather_walk(&(gather_job){.kind = PUT_COUNT, .dim = dim, .x = x, .index = index, .counts = c->scratch});
    pool_parallel_for(x->numel, 1 << 14, divide_range, &q);
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
