/* Reductions to one value: shapes, the folds they are made of, their gradients.
 *
 * Attributes: list = dimensions (none: all), i[0] = keepdim, i[1] = dtype or -1, f[0] = order of the norm or
 * correction of the variance. */
#include <math.h>
#include <string.h>
#include "../pool.h"
#include "declare.h"
#include "fold.h"

int reduce_dims(const ad_tensor *x, const ad_attr *at, bool *drop) {
    bool all = !at->nlist;
    for (int d = 0; d < x->ndim; d++) drop[d] = all;
    for (int64_t k = 0; k < at->nlist; k++) {
        int d = dim_wrap(at->list[k], x->ndim);
        if (d < 0) return -1;
        if (!x->ndim) {
            if (k) return ad_fail(AD_ERR_RUNTIME, "dim 0 appears multiple times in the list of dims");
            continue;
        }
        if (drop[d]) return ad_fail(AD_ERR_RUNTIME, "dim %d appears multiple times in the list of dims", d);
        drop[d] = true;
    }
    return 0;
}

void reduce_sizes(ad_spec *s, int ndim, const int64_t *sizes, const bool *drop, bool keepdim) {
    int n = 0;
    for (int d = 0; d < ndim; d++) {
        if (drop[d] && !keepdim) continue;
        s->sizes[n++] = drop[d] ? 1 : sizes[d];
    }
    s->ndim = (uint8_t)n;
}

static int reduced(ad_call *c, int dtype) {
    bool drop[AD_MAXDIM];
    if (reduce_dims(c->in[0], c->at, drop)) return -1;
    reduce_sizes(&c->spec[0], c->in[0]->ndim, c->in[0]->sizes, drop, c->at->i[0]);
    c->spec[0].dtype = (uint8_t)dtype;
    return 0;
}

static int asked(const ad_call *c, int otherwise) { return c->at->i[1] >= 0 ? (int)c->at->i[1] : otherwise; }

/* ---- infer ---- */

static int need_float(const ad_call *c, int dtype, const char *what) {
    if (dtype_is_float(dtype)) return 0;
    return ad_fail(AD_ERR_RUNTIME, what, dtype_class[dtype]);
}
int sum_infer(ad_call *c) {
    int d = c->in[0]->dtype;
    return reduced(c, asked(c, dtype_is_int(d) ? AD_I64 : d));
}
int nansum_infer(ad_call *c) { return sum_infer(c); }
int prod_infer(ad_call *c) { return sum_infer(c); }
int mean_infer(ad_call *c) {
    int d = asked(c, c->in[0]->dtype);
    if (need_float(c, d,
                   c->at->i[1] >= 0
                       ? "mean(): could not infer output dtype. Optional dtype must be either a floating "
                         "point or complex dtype. Got: %s"
                       : "mean(): could not infer output dtype. Input dtype must be either a floating point "
                         "or complex dtype. Got: %s"))
        return -1;
    return reduced(c, d);
}
int var_infer(ad_call *c) {
    return need_float(c, c->in[0]->dtype,
                      "std and var only support floating point and complex dtypes, not %s")
               ? -1
               : reduced(c, c->in[0]->dtype);
}
int std_infer(ad_call *c) { return var_infer(c); }
static int nonempty(const ad_call *c) {
    const ad_tensor *x = c->in[0];
    if (x->numel) return 0;
    if (!c->at->nlist)
        return ad_fail(AD_ERR_RUNTIME,
                       "%s(): Expected reduction dim to be specified for input.numel() == 0. Specify the "
                       "reduction dim with the 'dim' argument.",
                       c->op->name);
    for (int64_t k = 0; k < c->at->nlist; k++) {
        int d = dim_wrap(c->at->list[k], x->ndim);
        if (d < 0) return -1;
        if (x->ndim && !x->sizes[d])
            return ad_fail(AD_ERR_INDEX, "%s(): Expected reduction dim %d to have non-zero size.",
                           c->op->name, d);
    }
    return 0;
}
int amax_infer(ad_call *c) { return nonempty(c) ? -1 : reduced(c, c->in[0]->dtype); }
int amin_infer(ad_call *c) { return amax_infer(c); }
int any_infer(ad_call *c) { return reduced(c, c->in[0]->dtype == AD_U8 ? AD_U8 : AD_BOOL); }
int all_infer(ad_call *c) { return any_infer(c); }
int count_nonzero_infer(ad_call *c) { return reduced(c, AD_I64); }
int logsumexp_infer(ad_call *c) {
    int d = c->in[0]->dtype;
    return reduced(c, dtype_is_float(d) ? d : dtype_default_float());
}
int norm_infer(ad_call *c) {
    int d = c->in[0]->dtype, want = asked(c, d);
    if (need_float(c, d, "linalg.vector_norm: Expected a floating point or complex tensor as input. Got %s"))
        return -1;
    if (need_float(c, want, "linalg.vector_norm: dtype should be floating point or complex. Got %s"))
        return -1;
    if (dtype_promote(d, want) != want)
        return ad_fail(
            AD_ERR_RUNTIME,
            "linalg.vector_norm: the dtype of the input (%s) should be convertible without narrowing "
            "to the specified dtype (%s)",
            dtype_class[d], dtype_class[want]);
    if (c->at->f[0] < 0 || isinf(c->at->f[0])) {
        bool drop[AD_MAXDIM];
        if (reduce_dims(c->in[0], c->at, drop)) return -1;
        bool empty = !c->in[0]->numel && !c->at->nlist;
        for (int d_ = 0; d_ < c->in[0]->ndim; d_++) empty |= drop[d_] && !c->in[0]->sizes[d_] && c->at->nlist;
        if (empty)
            return ad_fail(AD_ERR_RUNTIME,
                           "linalg.vector_norm cannot compute the %g norm on an empty tensor because the "
                           "operation does not have an identity",
                           c->at->f[0]);
    }
    return reduced(c, want);
}

/* ---- run ---- */

#define FEW 32 /* results that live on the stack */

typedef struct folded { /* the results of one or two folds on their way to the output */
    fold_plan plan;
    fold_acc *acc, *other;
    void *part;
    fold_acc room[2 * FEW];
} folded;

static size_t scratch_of(const ad_call *c, int ct) {
    if (c->in[0]->numel <= 1024 && c->out[0]->numel <= FEW) return 0;
    fold_plan plan;
    bool drop[AD_MAXDIM];
    reduce_dims(c->in[0], c->at, drop);
    fold_prepare(&plan, c->in[0], drop, ct);
    return fold_scratch(&plan) + (plan.nout > FEW ? 2 * (size_t)plan.nout * sizeof(fold_acc) : 0);
}

static void begin(folded *f, const ad_call *c, int ct) {
    bool drop[AD_MAXDIM];
    reduce_dims(c->in[0], c->at, drop);
    fold_prepare(&f->plan, c->in[0], drop, ct);
    char *p = c->scratch;
    f->acc = f->room;
    f->other = f->room + FEW;
    if (f->plan.nout > FEW) {
        f->acc = (fold_acc *)p;
        f->other = f->acc + f->plan.nout;
        p = (char *)(f->other + f->plan.nout);
    }
    f->part = p;
}

static void fold(folded *f, int kind, const fold_acc *param, double all, fold_acc *out) {
    fold_run(&f->plan, kind, param, all, out, f->part);
}

typedef struct finishing {
    const folded *f;
    ad_tensor *out;
    double divisor;
} finishing;

static void finish_range(int64_t begin, int64_t end, void *ctx) {
    const finishing *t = ctx;
    int from = t->f->plan.ct == CT_I64 ? CT_I64 : CT_F64, size = dtype_size[t->out->dtype];
    if (t->divisor != 1)
        for (int64_t k = begin; k < end; k++) t->f->acc[k].f /= t->divisor;
    dtype_stores[t->out->dtype][from](end - begin, (char *)tensor_data(t->out) + begin * size, size,
                                      t->f->acc + begin);
}
static void finish_divided(const folded *f, const ad_call *c, double divisor) {
    finishing t = {f, c->out[0], divisor};
    pool_parallel_for(f->plan.nout, 8192, finish_range, &t);
}
static void finish(const folded *f, const ad_call *c) { finish_divided(f, c, 1); }

static int ct_out(const ad_call *c) { return dtype_compute(c->out[0]->dtype); }
static int ct_in(const ad_call *c) { return dtype_compute(c->in[0]->dtype); }

/* The whole of a small contiguous tensor: one kernel call, nothing to plan. */
static bool small(const ad_call *c, int kind, double divisor) {
    const ad_tensor *x = c->in[0];
    int dt = x->dtype;
    if (c->at->nlist || x->numel > 1024 || !x->numel || c->out[0]->dtype != dt || !tensor_is_contiguous(x))
        return false;
    if (dt == AD_F32) {
        float v;
        kern->fold[kind][CT_F32](x->numel, tensor_data(x), NULL, &v);
        *(float *)tensor_data(c->out[0]) = divisor == 1 ? v : (float)((double)v / divisor);
    } else if (dt == AD_F64) {
        double v;
        kern->fold[kind][CT_F64](x->numel, tensor_data(x), NULL, &v);
        *(double *)tensor_data(c->out[0]) = v / divisor;
    } else return false;
    return true;
}

#define PLAIN(name, type, kind)                                                                              \
    size_t name##_scratch(const ad_call *c) { return scratch_of(c, type(c)); }                               \
    void name##_run(const ad_call *c) {                                                                      \
        if (small(c, kind, 1)) return;                                                                       \
        folded f;                                                                                            \
        begin(&f, c, type(c));                                                                               \
        fold(&f, f.plan.ct == CT_I64 && kind == RED_nansum ? RED_sum : kind, NULL, 0, f.acc);                \
        finish(&f, c);                                                                                       \
    }
PLAIN(sum, ct_out, RED_sum)
PLAIN(nansum, ct_out, RED_nansum)
PLAIN(prod, ct_out, RED_prod)
PLAIN(amax, ct_in, RED_max)
PLAIN(amin, ct_in, RED_min)

size_t mean_scratch(const ad_call *c) { return scratch_of(c, ct_out(c)); }
void mean_run(const ad_call *c) {
    if (small(c, RED_sum, (double)c->in[0]->numel)) return;
    folded f;
    begin(&f, c, ct_out(c));
    fold(&f, RED_sum, NULL, 0, f.acc);
    finish_divided(&f, c, (double)f.plan.n);
}

/* Counts what is not zero: NaN counts. */
static void count_run(const ad_call *c, folded *f) {
    begin(f, c, ct_in(c));
    fold(f, RED_count, NULL, 0, f->acc);
    if (f->plan.ct != CT_I64)
        for (int64_t k = 0; k < f->plan.nout; k++) f->acc[k].i = (int64_t)f->acc[k].f;
    f->plan.ct = CT_I64;
}
size_t any_scratch(const ad_call *c) { return scratch_of(c, ct_in(c)); }
size_t all_scratch(const ad_call *c) { return scratch_of(c, ct_in(c)); }
size_t count_nonzero_scratch(const ad_call *c) { return scratch_of(c, ct_in(c)); }
void any_run(const ad_call *c) {
    folded f;
    count_run(c, &f);
    for (int64_t k = 0; k < f.plan.nout; k++) f.acc[k].i = f.acc[k].i > 0;
    finish(&f, c);
}
void all_run(const ad_call *c) {
    folded f;
    count_run(c, &f);
    for (int64_t k = 0; k < f.plan.nout; k++) f.acc[k].i = f.acc[k].i == f.plan.n;
    finish(&f, c);
}
void count_nonzero_run(const ad_call *c) {
    folded f;
    count_run(c, &f);
    finish(&f, c);
}

/* Two passes: the mean, then squares around it, corrected for the rounding of the mean to the element type.
 */
static void variance(const ad_call *c, bool root) {
    folded f;
    begin(&f, c, ct_in(c));
    fold(&f, RED_sum, NULL, 0, f.other);
    double n = (double)f.plan.n, dof = n - c->at->f[0];
    for (int64_t k = 0; k < f.plan.nout; k++) f.other[k].f /= n;
    fold(&f, RED_sumdev2, f.other, 0, f.acc);
    for (int64_t k = 0; k < f.plan.nout; k++) {
        double used = f.plan.ct == CT_F32 ? (double)(float)f.other[k].f : f.other[k].f,
               d = f.other[k].f - used;
        double v = f.acc[k].f - n * d * d;
        v = (v < 0 ? 0 : v) / (dof > 0 ? dof : 0);
        f.acc[k].f = root ? sqrt(v) : v;
    }
    finish(&f, c);
}
size_t var_scratch(const ad_call *c) { return scratch_of(c, ct_in(c)); }
size_t std_scratch(const ad_call *c) { return scratch_of(c, ct_in(c)); }
void var_run(const ad_call *c) { variance(c, false); }
void std_run(const ad_call *c) { variance(c, true); }

size_t logsumexp_scratch(const ad_call *c) { return scratch_of(c, ct_out(c)); }
void logsumexp_run(const ad_call *c) {
    folded f;
    begin(&f, c, ct_out(c));
    fold(&f, RED_max, NULL, 0, f.other);
    for (int64_t k = 0; k < f.plan.nout; k++)
        if (isinf(f.other[k].f)) f.other[k].f = 0;
    fold(&f, RED_sumexp, f.other, 0, f.acc);
    for (int64_t k = 0; k < f.plan.nout; k++) f.acc[k].f = log(f.acc[k].f) + f.other[k].f;
    finish(&f, c);
}

size_t norm_scratch(const ad_call *c) { return scratch_of(c, ct_out(c)); }
void norm_run(const ad_call *c) {
    folded f;
    double p = c->at->f[0];
    int kind = p == INFINITY    ? RED_maxabs
               : p == -INFINITY ? RED_minabs
               : p == 0         ? RED_count
               : p == 1         ? RED_sumabs
               : p == 2         ? RED_sumsq
                                : RED_sumpow;
    begin(&f, c, ct_out(c));
    fold(&f, kind, NULL, p, f.acc);
    if (kind == RED_sumsq)
        for (int64_t k = 0; k < f.plan.nout; k++) f.acc[k].f = sqrt(f.acc[k].f);
    if (kind == RED_sumpow)
        for (int64_t k = 0; k < f.plan.nout; k++) f.acc[k].f = pow(f.acc[k].f, 1 / p);
    finish(&f, c);
}

/* ---- gradients ----
 *
 * Each result depends on its own elements alone, so one rule serves both modes: it gives g times the
 * derivative for each element. x: the input, y: the result, g: both y and g with their dropped dimensions
 * back as 1. */
typedef ad_tensor *(*slope)(ad_em *E, const ad_attr *at, ad_tensor *x, ad_tensor *y, ad_tensor *g, int64_t n);

static void kept_sizes(int ndim, const int64_t *sizes, const ad_attr *at, int64_t *kept) {
    for (int d = 0; d < ndim; d++) kept[d] = at->nlist ? sizes[d] : 1;
    for (int64_t k = 0; k < at->nlist && ndim; k++) kept[dim_wrap(at->list[k], ndim)] = 1;
}

ad_tensor *reduce_restore(ad_vjp *v, ad_tensor *g) {
    const ad_meta *m = vjp_meta(v, 0);
    int64_t kept[AD_MAXDIM];
    kept_sizes(m->ndim, m->sizes, v->at, kept);
    return em_reshape(&v->E, g, m->ndim, kept);
}

int64_t reduce_count(const ad_meta *m, const ad_attr *at) {
    int64_t n = 1;
    if (at->nlist)
        for (int64_t k = 0; k < at->nlist && m->ndim; k++) n *= m->sizes[dim_wrap(at->list[k], m->ndim)];
    else
        for (int d = 0; d < m->ndim; d++) n *= m->sizes[d];
    return n;
}

void sum_vjp(ad_vjp *v) {
    const ad_meta *m = vjp_meta(v, 0);
    ad_tensor *g = reduce_restore(v, v->g[0]);
    v->gin[0] = em_expand(&v->E, em_cast(&v->E, g, m->dtype), m->ndim, m->sizes);
}
void mean_vjp(ad_vjp *v) {
    const ad_meta *m = vjp_meta(v, 0);
    ad_tensor *g = em2(&v->E, OP_div, v->g[0], em_const(&v->E, (double)reduce_count(m, v->at)));
    g = em_cast(&v->E, reduce_restore(v, g), m->dtype);
    v->gin[0] = em_expand(&v->E, g, m->ndim, m->sizes);
}

static ad_tensor *em_sum_dims(ad_em *E, ad_tensor *t, const ad_attr *at, bool keepdim) {
    ad_attr a = {.i = {keepdim, -1}, .list = at->list, .nlist = at->nlist};
    return t ? em_op(E, OP_sum, 1, &t, &a) : NULL;
}

static ad_tensor *nansum_slope(ad_em *E, const ad_attr *at, ad_tensor *x, ad_tensor *y, ad_tensor *g,
                               int64_t n) {
    return em3(E, OP_where, em2(E, OP_eq, x, x), em_cast(E, g, x->dtype), em_const(E, 0));
}
/* Equal extremes share the gradient evenly. */
static ad_tensor *extreme_slope(ad_em *E, const ad_attr *at, ad_tensor *x, ad_tensor *y, ad_tensor *g,
                                int64_t n) {
    ad_tensor *hit = em2(E, OP_eq, x, y), *share = em2(E, OP_div, g, em_sum_dims(E, hit, at, true));
    return em3(E, OP_where, hit, share, em_const(E, 0));
}
static ad_tensor *logsumexp_slope(ad_em *E, const ad_attr *at, ad_tensor *x, ad_tensor *y, ad_tensor *g,
                                  int64_t n) {
    return em2(E, OP_mul, g, em1(E, OP_exp, em2(E, OP_sub, x, y)));
}
static ad_tensor *var_slope(ad_em *E, const ad_attr *at, ad_tensor *x, ad_tensor *y, ad_tensor *g,
                            int64_t n) {
    ad_attr a = {.i = {1, -1}, .list = at->list, .nlist = at->nlist};
    double dof = (double)n - at->f[0];
    ad_tensor *centred = em2(E, OP_sub, x, em_op(E, OP_mean, 1, &x, &a));
    return em2(E, OP_mul, em2(E, OP_mul, g, em_const(E, dof > 0 ? 2 / dof : INFINITY)), centred);
}
static ad_tensor *std_slope(ad_em *E, const ad_attr *at, ad_tensor *x, ad_tensor *y, ad_tensor *g,
                            int64_t n) {
    ad_tensor *zero = em2(E, OP_eq, y, em_const(E, 0));
    ad_tensor *half = em2(E, OP_div, g, em2(E, OP_mul, y, em_const(E, 2)));
    return var_slope(E, at, x, y, em3(E, OP_where, zero, em_const(E, 0), half), n);
}

/* The product of the others: what stands before times what stands after, which is right with zeros too. */
static ad_tensor *prod_slope(ad_em *E, const ad_attr *at, ad_tensor *x, ad_tensor *y, ad_tensor *g,
                             int64_t n) {
    ad_tensor *flat = x, *others;
    int64_t dim = at->nlist ? at->list[0] : 0, all = x->numel;
    if (!x->ndim) return em2(E, OP_mul, g, em2(E, OP_add, em2(E, OP_mul, x, em_const(E, 0)), em_const(E, 1)));
    if (!at->nlist) flat = em_reshape(E, x, 1, &all);
    if (!flat) return NULL;
    ad_tensor *zero = em_zeros(E, x->dtype, flat->ndim, flat->sizes);
    ad_tensor *before = em1i(E, OP_shift, em1i(E, OP_cumprod, flat, dim, -1, 0), dim, 1, 1);
    ad_tensor *last = em1i(E, OP_shift, zero, dim, -1, 1);
    ad_attr a = {.i = {dim, 1}};
    ad_tensor *after = last ? em_op(E, OP_linear_scan, 2, (ad_tensor *[]){flat, last}, &a) : NULL;
    others = em_reshape(E, em2(E, OP_mul, before, after), x->ndim, x->sizes);
    return em2(E, OP_mul, g, others);
}

static ad_tensor *em_sign(ad_em *E, ad_tensor *x) { return em1(E, OP_sign, x); }
static ad_tensor *em_abs(ad_em *E, ad_tensor *x) { return em1(E, OP_abs, x); }
static ad_tensor *em_pow(ad_em *E, ad_tensor *x, double p) { return em2(E, OP_pow, x, em_const(E, p)); }
static ad_tensor *em_if(ad_em *E, ad_tensor *mask, double then, ad_tensor *otherwise) {
    return em3(E, OP_where, mask, em_const(E, then), otherwise);
}
static ad_tensor *norm_slope(ad_em *E, const ad_attr *at, ad_tensor *x, ad_tensor *y, ad_tensor *g,
                             int64_t n) {
    double p = at->f[0];
    if (p == 0) return em_zeros(E, x->dtype, x->ndim, x->sizes);
    if (p == 1) return em2(E, OP_mul, em_sign(E, x), g);
    ad_tensor *zero = em2(E, OP_eq, y, em_const(E, 0));
    if (p == 2) return em2(E, OP_mul, g, em_if(E, zero, 0, em2(E, OP_div, x, y)));
    ad_tensor *size = em_abs(E, x);
    if (isinf(p)) {
        ad_tensor *hit = em2(E, OP_eq, size, y), *share = em2(E, OP_div, g, em_sum_dims(E, hit, at, true));
        return em2(E, OP_mul, em_sign(E, x), em_if(E, em2(E, OP_ne, size, y), 0, share));
    }
    if (p < 1) { /* infinite at zero, where PyTorch takes no gradient */
        ad_tensor *power = em_pow(E, size, p - 1);
        power = em_if(E, em2(E, OP_eq, x, em_const(E, 0)), 0, em2(E, OP_mul, em_sign(E, x), power));
        return em2(E, OP_mul, power, em2(E, OP_mul, g, em_pow(E, y, 1 - p)));
    }
    ad_tensor *scale = em_if(E, zero, 0, em2(E, OP_div, g, em_pow(E, y, p - 1)));
    ad_tensor *power = p < 2 ? em2(E, OP_mul, em_sign(E, x), em_pow(E, size, p - 1))
                             : em2(E, OP_mul, x, em_pow(E, size, p - 2));
    return em2(E, OP_mul, power, scale);
}

static void slope_vjp(ad_vjp *v, slope rule) {
    const ad_meta *m = vjp_meta(v, 0);
    ad_tensor *x = vjp_in(v, 0), *y = v->node->op->saves & SY ? reduce_restore(v, vjp_out(v, 0)) : NULL;
    ad_tensor *g = reduce_restore(v, v->g[0]);
    if (!x || !g) return;
    v->gin[0] =
        em_expand(&v->E, em_cast(&v->E, rule(&v->E, v->at, x, y, g, reduce_count(m, v->at)), m->dtype),
                  m->ndim, m->sizes);
}

static void slope_jvp(ad_jvp *j, slope rule) {
    const ad_call *c = j->c;
    ad_tensor *x = c->in[0];
    ad_meta m = {.dtype = x->dtype, .ndim = x->ndim, .sizes = x->sizes};
    int64_t kept[AD_MAXDIM];
    kept_sizes(x->ndim, x->sizes, c->at, kept);
    ad_tensor *y = em_reshape(&j->E, c->out[0], x->ndim, kept);
    ad_attr one = {.i = {c->out[0]->dtype, 1}, .f = {1}, .list = kept, .nlist = x->ndim};
    ad_tensor *g = em_op(&j->E, OP_full, 0, NULL, &one);
    if (y && g) {
        ad_tensor *d = em2(&j->E, OP_mul, rule(&j->E, c->at, x, y, g, reduce_count(&m, c->at)), j->t[0]);
        j->tout[0] =
            em_cast(&j->E, em_sum_dims(&j->E, em_expand(&j->E, d, x->ndim, x->sizes), c->at, c->at->i[0]),
                    c->out[0]->dtype);
    }
}

#define RULES(name, rule)                                                                                    \
    void name##_vjp(ad_vjp *v) { slope_vjp(v, rule); }                                                       \
    void name##_jvp(ad_jvp *j) { slope_jvp(j, rule); }
RULES(nansum, nansum_slope)
RULES(amax, extreme_slope)
RULES(amin, extreme_slope)
RULES(logsumexp, logsumexp_slope)
RULES(var, var_slope)
RULES(std, std_slope)
RULES(prod, prod_slope)
RULES(norm, norm_slope)
