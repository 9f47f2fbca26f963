/* What the normalizations share; see norm.h. */
#include <string.h>
#include "../pool.h"
#include "declare.h"
#include "norm.h"

/* ---- operands in the compute type ---- */

#define CONVERT 32768 /* elements a task */

static bool native(const ad_tensor *t, int ct) { return t->dtype == norm_dtype(ct); }
size_t norm_room(const ad_tensor *t, int ct) {
    return !t || native(t, ct) ? 0 : ((size_t)t->numel * ct_size[ct] + 63) & ~(size_t)63;
}

typedef struct conversion {
    const ad_tensor *t;
    char *data;
    int ct;
    bool store;
} conversion;

static void convert_range(int64_t begin, int64_t end, void *ctx) {
    const conversion *w = ctx;
    int64_t size = dtype_size[w->t->dtype];
    char *p = (char *)tensor_data(w->t) + begin * size, *q = w->data + begin * (int64_t)ct_size[w->ct];
    if (w->store) dtype_stores[w->t->dtype][w->ct](end - begin, p, size, q);
    else dtype_loads[w->t->dtype][w->ct](end - begin, q, p, size);
}

void *norm_out(const ad_tensor *t, int ct, char **room) {
    if (native(t, ct)) return tensor_data(t);
    char *p = *room;
    *room += norm_room(t, ct);
    return p;
}
void *norm_in(const ad_tensor *t, int ct, char **room) {
    if (!t) return NULL;
    conversion w = {t, norm_out(t, ct, room), ct, false};
    if (!native(t, ct)) pool_parallel_for(t->numel, CONVERT, convert_range, &w);
    return w.data;
}
void norm_store(ad_tensor *t, int ct, const void *data) {
    conversion w = {t, (char *)data, ct, true};
    if (!native(t, ct)) pool_parallel_for(t->numel, CONVERT, convert_range, &w);
}

/* ---- checks ---- */

int norm_check_params(const ad_call *c, int n, const char *kernel) {
    static const char *const names[] = {"input", "weight", "bias", "running_mean", "running_var"};
    const ad_tensor *x = c->in[0];
    if (!dtype_is_float(x->dtype) && !c->in[1] && !c->in[2])
        return ad_fail(AD_ERR_NOT_IMPLEMENTED, "\"%s\" not implemented for '%s'", kernel,
                       dtype_class[x->dtype]);
    for (int k = 1; k < n; k++) {
        const ad_tensor *p = c->in[k];
        bool half = x->dtype == AD_F16 || x->dtype == AD_BF16;
        if (p && p->dtype != x->dtype && !(half && p->dtype == AD_F32))
            return ad_fail(
                AD_ERR_RUNTIME,
                "mixed dtype (CPU): %s of an input of scalar type %s: expect %s to have scalar type %s "
                "but found %s",
                c->op->name, dtype_class[x->dtype], names[k], half ? "Float" : dtype_class[x->dtype],
                dtype_class[p->dtype]);
    }
    if (!dtype_is_float(x->dtype)) /* and so are the weights */
        return ad_fail(AD_ERR_NOT_IMPLEMENTED, "\"%s\" not implemented for '%s'", kernel,
                       dtype_class[x->dtype]);
    return 0;
}

/* (g, x, statistics, weight or none): the gradients that are wanted, the others empty */
int norm_grad_infer(ad_call *c, int64_t nweight) {
    const ad_tensor *x = c->in[1], *w = c->in[3];
    int64_t wanted = c->at->i[7];
    for (int k = 0; k < 3; k++) {
        ad_spec *s = &c->spec[k];
        spec_like(s, x);
        if (k) {
            if (w) spec_like(s, w);
            else {
                s->ndim = 1;
                s->sizes[0] = nweight;
            }
        }
        if (!(wanted & (1 << k))) {
            s->ndim = 1;
            s->sizes[0] = 0;
        }
    }
    return 0;
}

/* ---- rules ---- */

static ad_tensor *average(ad_em *E, const norm_form *f, ad_tensor *t) { /* keeps the dimensions */
    ad_attr at = {.i = {1, -1}, .list = f->over, .nlist = f->nover};
    return t ? em_op(E, OP_mean, 1, &t, &at) : NULL;
}

static ad_tensor *shaped(ad_em *E, const norm_form *f, ad_tensor *t, int ct, bool weight) {
    return t ? em_cast(E, em_reshape(E, t, f->ndim, weight ? f->weight : f->sizes), norm_dtype(ct)) : NULL;
}

/* xhat, and 1 / sqrt(var + eps) */
static ad_tensor *standardized(ad_em *E, const norm_form *f, ad_tensor *x, ad_tensor **rstd) {
    if (f->fixed) {
        ad_tensor *mean = em_reshape(E, em1i(E, OP_select, f->fixed, 0, 0, 0), f->ndim, f->weight);
        *rstd = em_reshape(E, em1i(E, OP_select, f->fixed, 0, 1, 0), f->ndim, f->weight);
        return em2(E, OP_mul, em2(E, OP_sub, x, mean), *rstd);
    }
    if (!f->rms) x = em2(E, OP_sub, x, average(E, f, x));
    *rstd = em1(E, OP_rsqrt, em2(E, OP_add, average(E, f, em2(E, OP_mul, x, x)), em_const(E, f->eps)));
    return em2(E, OP_mul, x, *rstd);
}

/* The derivative of xhat by x, which is symmetric: rstd (t - mean(t) - xhat mean(t xhat)) */
static ad_tensor *through(ad_em *E, const norm_form *f, ad_tensor *t, ad_tensor *xhat, ad_tensor *rstd) {
    if (!f->fixed) {
        ad_tensor *inner = em2(E, OP_mul, xhat, average(E, f, em2(E, OP_mul, t, xhat)));
        if (!f->rms) t = em2(E, OP_sub, t, average(E, f, t));
        t = em2(E, OP_sub, t, inner);
    }
    return em2(E, OP_mul, t, rstd);
}

static ad_tensor *saved_in(ad_vjp *v, int i) { /* or NULL */
    for (int k = 0; k < v->node->nsaved; k++)
        if (v->node->saved[k].slot == i) return vjp_in(v, i);
    return NULL;
}

static ad_tensor *as_input(ad_vjp *v, int i, ad_tensor *t) {
    const ad_meta *m = vjp_meta(v, i);
    return em_cast(&v->E, em_reshape(&v->E, t, m->ndim, m->sizes), m->dtype);
}

/* Part of the graph even where it is constant, as a gradient that a row computes would be. */
static ad_tensor *recorded(ad_vjp *v, ad_tensor *t, ad_tensor *x) {
    return t && !tensor_wants_grad(t) && tensor_wants_grad(x) ? em2(&v->E, OP_follow, t, x) : t;
}

/* follow(t, x): t, which depends on x with derivative 0 */
int follow_infer(ad_call *c) {
    spec_like(&c->spec[0], c->in[0]);
    return 0;
}
void follow_run(const ad_call *c) { tensor_copy_data(c->out[0], c->in[0]); }
void follow_vjp(ad_vjp *v) {
    const ad_meta *m = vjp_meta(v, 1);
    v->gin[0] = v->g[0];
    if (vjp_needs(v, 1)) v->gin[1] = em_zeros(&v->E, m->dtype, m->ndim, m->sizes);
}
void follow_jvp(ad_jvp *j) { j->tout[0] = j->t[0]; }

void normalized_vjp(ad_vjp *v, int grad,
                    norm_form (*form)(int ndim, const int64_t *sizes, const ad_attr *at)) {
    ad_em *E = &v->E;
    ad_tensor *x = vjp_in(v, 0), *w = saved_in(v, 1), *stats = vjp_out(v, 1), *g = v->g[0];
    if (!x || !stats || !g) return;
    ad_attr at = *v->at;
    for (int k = 0; k < 3; k++) at.i[7] |= (int64_t)vjp_needs(v, k) << k;
    if (grad_is_final()) {
        ad_tensor *out[3];
        g = em_cast(E, g, x->dtype);
        if (E->failed || ad_apply(&ad_ops[grad], 4, (ad_tensor *[]){g, x, stats, w}, &at, out) < 0) {
            E->failed = true;
            return;
        }
        for (int k = 0; k < 3; k++) {
            em_keep(E, out[k]);
            if (at.i[7] & (1 << k)) v->gin[k] = k ? as_input(v, k, out[k]) : out[k];
        }
        return;
    }
    norm_form f = form(x->ndim, x->sizes, &at);
    int ct = dtype_compute(x->dtype);
    if (f.fixed) f.fixed = stats;
    ad_tensor *rstd, *xhat = standardized(E, &f, shaped(E, &f, x, ct, false), &rstd);
    g = shaped(E, &f, g, ct, false);
    if (vjp_needs(v, 0)) {
        ad_tensor *gw = w ? em2(E, OP_mul, g, shaped(E, &f, w, ct, true)) : g;
        v->gin[0] = as_input(v, 0, through(E, &f, gw, xhat, rstd));
    }
    if (vjp_needs(v, 1)) v->gin[1] = as_input(v, 1, em_sum_to(E, em2(E, OP_mul, g, xhat), f.ndim, f.weight));
    if (vjp_needs(v, 2)) v->gin[2] = as_input(v, 2, em_sum_to(E, g, f.ndim, f.weight));
    for (int k = 0; k < 3; k++)
        if (v->gin[k]) v->gin[k] = recorded(v, v->gin[k], x);
}

void normalized_jvp(ad_jvp *j, norm_form (*form)(int ndim, const int64_t *sizes, const ad_attr *at)) {
    ad_em *E = &j->E;
    const ad_call *c = j->c;
    ad_tensor *x = c->in[0], *t = NULL;
    norm_form f = form(x->ndim, x->sizes, c->at);
    int ct = dtype_compute(x->dtype);
    if (f.fixed) f.fixed = c->out[1];
    ad_tensor *rstd, *xhat = standardized(E, &f, shaped(E, &f, x, ct, false), &rstd);
    if (j->t[0]) {
        t = through(E, &f, shaped(E, &f, j->t[0], ct, false), xhat, rstd);
        if (c->in[1]) t = em2(E, OP_mul, t, shaped(E, &f, c->in[1], ct, true));
    }
    for (int k = 1; k < 3; k++) {
        ad_tensor *p = shaped(E, &f, j->t[k], ct, true);
        if (!p) continue;
        if (k == 1) p = em2(E, OP_mul, xhat, p);
        t = t ? em2(E, OP_add, t, p) : p;
    }
    const ad_tensor *y = c->out[0];
    t = em_expand(E, t, f.ndim, f.sizes);
    j->tout[0] = em_cast(E, em_reshape(E, t, y->ndim, y->sizes), y->dtype);
}
