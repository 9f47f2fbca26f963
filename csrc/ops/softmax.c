/* softmax and log_softmax along a dimension, and their gradients as rows of their own. i[0] = dimension, i[1]
 * = dtype or -1. Other dtypes than the compute types pass through a tile in scratch. */
#include <string.h>
#include "../pool.h"
#include "declare.h"
#include "lines.h"

#define WORK 16384
#define CHUNKS 16 /* each has scratch of its own */
#define GROUP 16  /* neighbouring lines that are gathered together: a cache line of each row */

typedef struct softmax {
    lines l;
    const ad_tensor *a, *b; /* x; or g and y */
    ad_tensor *out;
    int ct;
    bool log, direct;
    int64_t grain;
    char *scratch;
    size_t per_chunk;
} softmax;

static bool plain(const ad_tensor *t, int ct) {
    return (t->dtype == AD_F32 && ct == CT_F32) || (t->dtype == AD_F64 && ct == CT_F64);
}

static void prepare(softmax *s, const ad_call *c) {
    s->a = c->in[0];
    s->b = c->nin == 2 ? c->in[1] : NULL;
    s->out = c->out[0];
    s->ct = dtype_compute(s->out->dtype);
    s->l = lines_of(s->out->ndim, s->out->sizes, c->at->i[0]);
    s->direct = plain(s->a, s->ct) && plain(s->out, s->ct) && (!s->b || plain(s->b, s->ct));
    s->grain = lines_grain(&s->l, WORK);
    if (!s->direct) { /* few chunks */
        int64_t least = (s->l.count + CHUNKS - 1) / CHUNKS;
        if (s->grain < least) s->grain = least;
    }
    if (s->l.inner > 1) s->grain = (s->grain + GROUP - 1) / GROUP * GROUP; /* whole groups */
    s->per_chunk = (size_t)(s->b ? 3 : 2) * GROUP * (size_t)s->l.n * 8;
    s->scratch = c->scratch;
}

static size_t bytes(const ad_call *c) {
    softmax s;
    prepare(&s, c);
    return s.direct ? 0 : (size_t)((s.l.count + s.grain - 1) / s.grain) * s.per_chunk;
}

/* Copies m neighbouring lines from a tensor to rows of n, or back. */
static void move_lines(const softmax *s, const ad_tensor *t, int64_t first, int64_t m, char *rows,
                       bool store) {
    const lines *l = &s->l;
    int64_t es = dtype_size[t->dtype], cs = (int64_t)ct_size[s->ct];
    if (l->inner == 1) {
        char *p = (char *)tensor_data(t) + first * l->n * es;
        if (store) dtype_stores[t->dtype][s->ct](m * l->n, p, es, rows);
        else dtype_loads[t->dtype][s->ct](m * l->n, rows, p, es);
        return;
    }
    char *base = (char *)tensor_data(t) + line_start(l, first, l->n) * es;
    _Alignas(64) char row[GROUP * 8];
    for (int64_t k = 0; k < l->n; k++) {
        char *p = base + k * l->inner * es;
        if (store) {
            for (int64_t j = 0; j < m; j++) memcpy(row + j * cs, rows + (j * l->n + k) * cs, (size_t)cs);
            dtype_stores[t->dtype][s->ct](m, p, es, row);
        } else {
            dtype_loads[t->dtype][s->ct](m, row, p, es);
            for (int64_t j = 0; j < m; j++) memcpy(rows + (j * l->n + k) * cs, row + j * cs, (size_t)cs);
        }
    }
}

static void softmax_lines(int64_t begin, int64_t end, void *ctx) {
    const softmax *s = ctx;
    int64_t n = s->l.n, cs = (int64_t)ct_size[s->ct];
    if (s->direct) {
        const char *a = tensor_data(s->a), *b = s->b ? tensor_data(s->b) : NULL;
        char *o = tensor_data(s->out);
        for (int64_t i = begin, m, at; i < end && s->l.inner > 1; i += m) {
            m = s->l.inner - i % s->l.inner < end - i ? s->l.inner - i % s->l.inner : end - i;
            if (m > SOFTMAX_STRIP) m = SOFTMAX_STRIP;
            at = line_start(&s->l, i, n) * cs;
            if (b) kern->softmax_grad_cols[s->ct](n, m, s->l.inner, a + at, b + at, o + at, s->log);
            else kern->softmax_cols[s->ct](n, m, s->l.inner, a + at, o + at, s->log);
        }
        int64_t at = begin * n * cs;
        if (s->l.inner > 1) return;
        if (b) kern->softmax_grad[s->ct](end - begin, n, a + at, b + at, o + at, s->log);
        else kern->softmax[s->ct](end - begin, n, a + at, o + at, s->log);
        return;
    }
    char *ra = s->scratch + (size_t)(begin / s->grain) * s->per_chunk, *ro = ra + GROUP * n * 8,
         *rb = ro + GROUP * n * 8;
    for (int64_t i = begin; i < end;) {
        int64_t m = end - i < GROUP ? end - i : GROUP;
        if (s->l.inner > 1 && m > s->l.inner - i % s->l.inner) m = s->l.inner - i % s->l.inner;
        move_lines(s, s->a, i, m, ra, false);
        if (s->b) move_lines(s, s->b, i, m, rb, false);
        if (s->b) kern->softmax_grad[s->ct](m, n, ra, rb, ro, s->log);
        else kern->softmax[s->ct](m, n, ra, ro, s->log);
        move_lines(s, s->out, i, m, ro, true);
        i += m;
    }
}

static void run(const ad_call *c, bool log) {
    if (!c->out[0]->numel) return;
    softmax s;
    prepare(&s, c);
    s.log = log;
    pool_parallel_for(s.l.count, s.grain, softmax_lines, &s);
}

static int infer(ad_call *c) {
    const ad_tensor *x = c->in[0];
    int d = c->at->i[1] >= 0 ? (int)c->at->i[1] : x->dtype;
    if (dim_wrap(c->at->i[0], x->ndim) < 0) return -1;
    if (c->at->i[1] >= AD_DTYPES) return ad_fail(AD_ERR_TYPE, "%s: there is no such dtype", c->op->name);
    if (!dtype_is_float(d))
        return ad_fail(AD_ERR_NOT_IMPLEMENTED, "\"%s_lastdim_kernel_impl\" not implemented for '%s'",
                       c->op->name, dtype_class[d]);
    spec_like(&c->spec[0], x);
    c->spec[0].dtype = (uint8_t)d;
    return 0;
}
int softmax_infer(ad_call *c) { return infer(c); }
int log_softmax_infer(ad_call *c) { return infer(c); }
size_t softmax_scratch(const ad_call *c) { return bytes(c); }
size_t log_softmax_scratch(const ad_call *c) { return bytes(c); }
void softmax_run(const ad_call *c) { run(c, false); }
void log_softmax_run(const ad_call *c) { run(c, true); }

static ad_tensor *em_grad(ad_em *E, int op, ad_tensor *g, ad_tensor *y, int64_t dim) {
    ad_attr at = {.i = {dim, -1}};
    return g && y ? em_op(E, op, 2, (ad_tensor *[]){em_cast(E, g, y->dtype), y}, &at) : NULL;
}
static ad_tensor *em_sum_line(ad_em *E, ad_tensor *t, int64_t dim) { /* keeps the dimension */
    ad_attr at = {.i = {1, -1}, .list = &dim, .nlist = 1};
    return t ? em_op(E, OP_sum, 1, &t, &at) : NULL;
}

void softmax_vjp(ad_vjp *v) {
    v->gin[0] = em_grad(&v->E, OP_softmax_grad, v->g[0], vjp_out(v, 0), v->at->i[0]);
}
void log_softmax_vjp(ad_vjp *v) {
    v->gin[0] = em_grad(&v->E, OP_log_softmax_grad, v->g[0], vjp_out(v, 0), v->at->i[0]);
}
void softmax_jvp(ad_jvp *j) { /* the Jacobian is symmetric */
    j->tout[0] = em_grad(&j->E, OP_softmax_grad, j->t[0], j->c->out[0], j->c->at->i[0]);
}
void log_softmax_jvp(ad_jvp *j) {
    ad_tensor *y = j->c->out[0], *t = em_cast(&j->E, j->t[0], y->dtype);
    j->tout[0] = em2(&j->E, OP_sub, t,
                     em_sum_line(&j->E, em2(&j->E, OP_mul, em1(&j->E, OP_exp, y), t), j->c->at->i[0]));
}

/* softmax_grad(g, y) = y * (g - sum(g * y)) */
int softmax_grad_infer(ad_call *c) { return infer(c); }
size_t softmax_grad_scratch(const ad_call *c) { return bytes(c); }
void softmax_grad_run(const ad_call *c) { run(c, false); }
void softmax_grad_vjp(ad_vjp *v) {
    ad_em *E = &v->E;
    int64_t dim = v->at->i[0];
    ad_tensor *h = v->g[0], *g = vjp_in(v, 0), *y = vjp_in(v, 1);
    v->gin[0] = em_grad(E, OP_softmax_grad, h, y, dim);
    if (!vjp_needs(v, 1)) return;
    ad_tensor *a = em2(E, OP_mul, h, em2(E, OP_sub, g, em_sum_line(E, em2(E, OP_mul, g, y), dim)));
    v->gin[1] = em2(E, OP_sub, a, em2(E, OP_mul, g, em_sum_line(E, em2(E, OP_mul, h, y), dim)));
}

void softmax_grad_jvp(ad_jvp *j) { /* its gradient by y, of t, is symmetric in g and t */
    ad_em *E = &j->E;
    int64_t dim = j->c->at->i[0];
    ad_tensor *g = j->c->in[0], *y = j->c->in[1], *tg = j->t[0], *ty = j->t[1], *sum = NULL;
    if (tg) sum = em_grad(E, OP_softmax_grad, tg, y, dim);
    if (!ty) {
        j->tout[0] = sum;
        return;
    }
    ad_tensor *a = em2(E, OP_mul, ty, em2(E, OP_sub, g, em_sum_line(E, em2(E, OP_mul, g, y), dim)));
    a = em2(E, OP_sub, a, em2(E, OP_mul, y, em_sum_line(E, em2(E, OP_mul, g, ty), dim)));
    j->tout[0] = sum ? em2(E, OP_add, sum, a) : a;
}

/* log_softmax_grad(g, y) = g - exp(y) * sum(g) */
int log_softmax_grad_infer(ad_call *c) { return infer(c); }
size_t log_softmax_grad_scratch(const ad_call *c) { return bytes(c); }
void log_softmax_grad_run(const ad_call *c) { run(c, true); }
void log_softmax_grad_vjp(ad_vjp *v) {
    ad_em *E = &v->E;
    int64_t dim = v->at->i[0];
    ad_tensor *h = v->g[0], *g = vjp_in(v, 0), *e = em2(E, OP_mul, h, em1(E, OP_exp, vjp_in(v, 1)));
    v->gin[0] = em2(E, OP_sub, h, em_sum_line(E, e, dim));
    if (vjp_needs(v, 1)) v->gin[1] = em1(E, OP_neg, em2(E, OP_mul, e, em_sum_line(E, g, dim)));
}
void log_softmax_grad_jvp(ad_jvp *j) {
    ad_em *E = &j->E;
    int64_t dim = j->c->at->i[0];
    ad_tensor *y = j->c->in[1], *sum = NULL;
    if (j->t[0]) sum = em_grad(E, OP_log_softmax_grad, j->t[0], y, dim);
    if (j->t[1]) {
        ad_tensor *e = em2(E, OP_mul, em1(E, OP_exp, y), j->t[1]);
        e = em1(E, OP_neg, em2(E, OP_mul, e, em_sum_line(E, j->c->in[0], dim)));
        sum = sum ? em2(E, OP_add, sum, e) : e;
    }
    j->tout[0] = sum;
}
