/* nll_loss and cross_entropy for class indices. Classes lie along dimension 1 (0 for a single sample).
 *
 * Attributes: i[0] = ignore_index, i[1] = reduction (0 none, 1 mean, 2 sum), f[0] = label smoothing.
 * With t the target, w the weights, e the smoothing, C classes, the loss of a sample is
 *     -(1 - e) w[t] logp[t] - e / C sum_c w[c] logp[c],
 * 0 where t is ignore_index; the mean divides by the sum of w[t]. It is linear in logp, so nll and nll_grad
 * are each other's adjoints. cross_entropy does log_softmax and nll in one call and keeps logp for its
 * gradient. */
#include <math.h>
#include <string.h>
#include "declare.h"
#include "lines.h"

typedef struct nll {
    lines l; /* of the tensor that has classes */
    const ad_tensor *target, *weight;
    int64_t ignore;
    double smooth;
    int reduction;
} nll;

static int class_dim(int ndim) { return ndim > 1 ? 1 : 0; }

static nll setup(const ad_attr *at, int ndim, const int64_t *sizes, const ad_tensor *target,
                 const ad_tensor *weight) {
    nll p = {.target = target,
             .weight = weight,
             .ignore = at->i[0],
             .reduction = (int)at->i[1],
             .smooth = at->f[0]};
    p.l = lines_of(ndim, sizes, class_dim(ndim));
    return p;
}

static inline int64_t class_of(const nll *p, int64_t i) {
    const void *d = tensor_data(p->target);
    return p->target->dtype == AD_I64 ? ((const int64_t *)d)[i] : ((const uint8_t *)d)[i];
}
static inline double get(const ad_tensor *t, int64_t i) {
    const void *d = tensor_data(t);
    if (t->dtype == AD_F32) return ((const float *)d)[i];
    if (t->dtype == AD_F64) return ((const double *)d)[i];
    double v;
    dtype_loads[t->dtype][CT_F64](1, &v, (const char *)d + i * dtype_size[t->dtype], 0);
    return v;
}
static inline void put(ad_tensor *t, int64_t i, double v) {
    void *d = tensor_data(t);
    if (t->dtype == AD_F32) ((float *)d)[i] = (float)v;
    else if (t->dtype == AD_F64) ((double *)d)[i] = v;
    else dtype_stores[t->dtype][CT_F64](1, (char *)d + i * dtype_size[t->dtype], 0, &v);
}
static inline double weight_of(const nll *p, int64_t c) { return p->weight ? get(p->weight, c) : 1; }
static inline bool in_range(const nll *p, int64_t c) { return c >= 0 && c < p->l.n; }

/* The sum of the targets' weights: what a mean divides by. */
static double total_weight(const nll *p) {
    double sum = 0;
    for (int64_t i = 0; i < p->l.count; i++) {
        int64_t c = class_of(p, i);
        if (c != p->ignore) sum += in_range(p, c) ? weight_of(p, c) : NAN;
    }
    return sum;
}

/* ---- shapes ---- */

static int check(ad_call *c, const char *name, const ad_tensor *x, const ad_tensor *target,
                 const ad_tensor *weight) {
    int cd = class_dim(x->ndim);
    if (!x->ndim)
        return ad_fail(AD_ERR_VALUE, "%s: expected an input of at least 1 dimension, got a scalar", name);
    if (!dtype_is_float(x->dtype))
        return ad_fail(AD_ERR_NOT_IMPLEMENTED, "\"%s\" not implemented for '%s'", name,
                       dtype_class[x->dtype]);
    int64_t want[AD_MAXDIM];
    int n = 0;
    for (int d = 0; d < x->ndim; d++)
        if (d != cd) want[n++] = x->sizes[d];
    if (x->ndim > 1 && target->ndim >= 1 && target->sizes[0] != x->sizes[0])
        return ad_fail(AD_ERR_VALUE, "Expected input batch_size (%lld) to match target batch_size (%lld).",
                       (long long)x->sizes[0], (long long)target->sizes[0]);
    bool one = x->ndim == 1 && target->ndim == 1 &&
               target->sizes[0] == 1; /* a single sample may have a target [1] */
    if (!one && x->ndim == 1 && target->ndim == 1)
        return ad_fail(AD_ERR_VALUE, "For 1D input, 1D target must have size 1, but got target size: %lld",
                       (long long)target->sizes[0]);
    if (!one && !dims_equal(n, want, target->ndim, target->sizes))
        return ad_fail(AD_ERR_RUNTIME, "%s: expected a target of size %s for an input of size %s, got %s",
                       name, fmt_sizes(n, want), fmt_sizes(x->ndim, x->sizes),
                       fmt_sizes(target->ndim, target->sizes));
    if (target->dtype != AD_I64 && target->dtype != AD_U8)
        return ad_fail(AD_ERR_RUNTIME, "%s: expected scalar type Long or Byte for the target but found %s",
                       name, dtype_class[target->dtype]);
    if (weight) {
        if (weight->ndim != 1 || weight->sizes[0] != x->sizes[cd])
            return ad_fail(AD_ERR_RUNTIME,
                           "%s: weight tensor should be defined either for all %lld classes or no classes "
                           "but got weight "
                           "tensor of shape: %s",
                           name, (long long)x->sizes[cd], fmt_sizes(weight->ndim, weight->sizes));
        if (weight->dtype != x->dtype)
            return ad_fail(AD_ERR_RUNTIME, "%s: expected scalar type %s for the weight but found %s", name,
                           dtype_class[x->dtype], dtype_class[weight->dtype]);
    }
    if (c->at->f[0] < 0 || c->at->f[0] > 1)
        return ad_fail(AD_ERR_RUNTIME, "label_smoothing must be between 0.0 and 1.0. Got: %g", c->at->f[0]);
    nll p = setup(c->at, x->ndim, x->sizes, target, weight);
    for (int64_t i = 0; i < target->numel; i++) {
        int64_t k = class_of(&p, i);
        if (k != p.ignore && !in_range(&p, k))
            return ad_fail(AD_ERR_INDEX, "Target %lld is out of bounds.", (long long)k);
    }
    ad_spec *s = &c->spec[0];
    s->dtype = x->dtype;
    s->ndim = 0;
    if (!p.reduction) {
        s->ndim = target->ndim;
        memcpy(s->sizes, target->sizes, (size_t)target->ndim * sizeof *s->sizes);
        if (one) s->ndim = 0;
    }
    return 0;
}

int nll_infer(ad_call *c) { return check(c, "nll_loss", c->in[0], c->in[1], c->in[2]); }
int cross_entropy_infer(ad_call *c) {
    if (check(c, "cross_entropy", c->in[0], c->in[1], c->in[2])) return -1;
    spec_like(&c->spec[1], c->in[0]);
    c->spec[1].nondiff = true;
    return 0;
}

/* ---- values ---- */

static void losses(const nll *p, const ad_tensor *logp, ad_tensor *out) {
    const lines *l = &p->l;
    double sum = 0, weights = 0;
    for (int64_t i = 0; i < l->count; i++) {
        int64_t c = class_of(p, i), at = line_start(l, i, l->n);
        double loss = 0;
        if (c != p->ignore) {
            double w = in_range(p, c) ? weight_of(p, c) : NAN;
            weights += w;
            loss = in_range(p, c) ? -(1 - p->smooth) * w * get(logp, at + c * l->inner) : NAN;
            if (p->smooth > 0) {
                double all = 0;
                for (int64_t k = 0; k < l->n; k++) all += weight_of(p, k) * get(logp, at + k * l->inner);
                loss -= p->smooth / (double)l->n * all;
            }
        }
        if (!p->reduction) put(out, i, loss);
        else sum += loss;
    }
    if (p->reduction) put(out, 0, p->reduction == 1 ? sum / weights : sum);
}

void nll_run(const ad_call *c) {
    nll p = setup(c->at, c->in[0]->ndim, c->in[0]->sizes, c->in[1], c->in[2]);
    losses(&p, c->in[0], c->out[0]);
}

/* The inner log_softmax of a call whose own inputs are others. */
static ad_call inner_call(const ad_call *c, ad_tensor **in, int nin, ad_tensor **out, ad_attr *at) {
    *at = (ad_attr){.i = {class_dim(out[0]->ndim), -1}};
    return (ad_call){
        .op = c->op, .nin = nin, .nout = 1, .in = in, .out = out, .at = at, .scratch = c->scratch};
}
size_t cross_entropy_scratch(const ad_call *c) {
    ad_attr at;
    ad_call inner = inner_call(c, c->in, 1, &c->out[1], &at);
    return log_softmax_scratch(&inner);
}
void cross_entropy_run(const ad_call *c) {
    ad_attr at;
    ad_call inner = inner_call(c, c->in, 1, &c->out[1], &at);
    log_softmax_run(&inner);
    nll p = setup(c->at, c->in[0]->ndim, c->in[0]->sizes, c->in[1], c->in[2]);
    losses(&p, c->out[1], c->out[0]);
}

/* ---- gradients ---- */

/* out = the gradient of logp, for g of the loss's size */
static void spread(const nll *p, const ad_tensor *g, ad_tensor *out) {
    const lines *l = &p->l;
    double scale = p->reduction == 1 ? 1 / total_weight(p) : 1;
    memset(tensor_data(out), 0, (size_t)out->numel * dtype_size[out->dtype]);
    for (int64_t i = 0; i < l->count; i++) {
        int64_t c = class_of(p, i), at = line_start(l, i, l->n);
        if (c == p->ignore || !in_range(p, c)) continue;
        double gi = get(g, p->reduction ? 0 : i) * scale;
        if (p->smooth > 0)
            for (int64_t k = 0; k < l->n; k++)
                put(out, at + k * l->inner, -p->smooth / (double)l->n * weight_of(p, k) * gi);
        double hit = -(1 - p->smooth) * weight_of(p, c) * gi;
        at += c * l->inner;
        put(out, at, p->smooth > 0 ? get(out, at) + hit : hit);
    }
}

/* nll_grad(g, target, weight, logp): of logp its sizes, and its history, on which it depends with derivative
 * 0 */
int nll_grad_infer(ad_call *c) {
    spec_like(&c->spec[0], c->in[3]);
    return 0;
}
void nll_grad_run(const ad_call *c) {
    nll p = setup(c->at, c->out[0]->ndim, c->out[0]->sizes, c->in[1], c->in[2]);
    spread(&p, c->in[0], c->out[0]);
}
static ad_tensor *optional_in(ad_vjp *v, int i) {
    for (int k = 0; k < v->node->nsaved; k++)
        if (v->node->saved[k].slot == i) return vjp_in(v, i);
    return NULL;
}
static ad_tensor *em_nll_grad(ad_em *E, ad_tensor *g, ad_tensor *target, ad_tensor *weight, ad_tensor *logp,
                              const ad_attr *at) {
    return g && target && logp ? em_op(E, OP_nll_grad, 4, (ad_tensor *[]){g, target, weight, logp}, at)
                               : NULL;
}
void nll_vjp(ad_vjp *v) {
    v->gin[0] = em_nll_grad(&v->E, v->g[0], vjp_in(v, 1), optional_in(v, 2), vjp_in(v, 0), v->at);
}
void nll_grad_vjp(ad_vjp *v) {
    ad_tensor *target = vjp_in(v, 1);
    const ad_meta *m = vjp_meta(v, 0);
    if (target)
        v->gin[0] = em_reshape(
            &v->E, em_op(&v->E, OP_nll, 3, (ad_tensor *[]){v->g[0], target, optional_in(v, 2)}, v->at),
            m->ndim, m->sizes);
}
void nll_grad_jvp(ad_jvp *j) {
    const ad_call *c = j->c;
    j->tout[0] = em_nll_grad(&j->E, j->t[0], c->in[1], c->in[2], c->in[3], c->at);
}
void nll_jvp(ad_jvp *j) {
    if (j->t[0])
        j->tout[0] = em_op(&j->E, OP_nll, 3, (ad_tensor *[]){j->t[0], j->c->in[1], j->c->in[2]}, j->c->at);
}

/* cross_entropy_grad(g, logp, target, weight) */
int cross_entropy_grad_infer(ad_call *c) {
    spec_like(&c->spec[0], c->in[1]);
    return 0;
}
size_t cross_entropy_grad_scratch(const ad_call *c) {
    ad_attr at;
    ad_tensor *in[2] = {c->out[0], c->in[1]};
    ad_call inner = inner_call(c, in, 2, c->out, &at);
    return log_softmax_grad_scratch(&inner);
}
void cross_entropy_grad_run(const ad_call *c) {
    ad_attr at;
    ad_tensor *in[2] = {c->out[0], c->in[1]};
    ad_call inner = inner_call(c, in, 2, c->out, &at);
    nll p = setup(c->at, c->out[0]->ndim, c->out[0]->sizes, c->in[2], c->in[3]);
    spread(&p, c->in[0], c->out[0]);
    log_softmax_grad_run(&inner);
}

void cross_entropy_vjp(ad_vjp *v) {
    ad_em *E = &v->E;
    ad_tensor *target = vjp_in(v, 1), *weight = optional_in(v, 2), *x = vjp_in(v, 0);
    if (!x || !target) return;
    if (grad_is_final()) {
        ad_tensor *logp = vjp_out(v, 1);
        if (logp)
            v->gin[0] =
                em_op(E, OP_cross_entropy_grad, 4, (ad_tensor *[]){v->g[0], logp, target, weight}, v->at);
        return;
    }
    ad_attr at = {.i = {class_dim(x->ndim), -1}}; /* from operations that have gradients of their own */
    ad_tensor *logp = em_op(E, OP_log_softmax, 1, &x, &at);
    ad_tensor *g = em_nll_grad(E, v->g[0], target, weight, logp, v->at);
    if (logp && g) v->gin[0] = em_op(E, OP_log_softmax_grad, 2, (ad_tensor *[]){g, logp}, &at);
}
void cross_entropy_jvp(ad_jvp *j) {
    const ad_call *c = j->c;
    ad_tensor *x = c->in[0], *t = j->t[0], *soft;
    ad_attr at = {.i = {class_dim(x->ndim), -1}}, sum = {.i = {1, -1}, .list = at.i, .nlist = 1};
    if (!t) return;
    soft = em2(&j->E, OP_mul, em_op(&j->E, OP_softmax, 1, &x, &at), t);
    if (soft) soft = em_op(&j->E, OP_sum, 1, &soft, &sum);
    t = em2(&j->E, OP_sub, t, soft);
    if (t) j->tout[0] = em_op(&j->E, OP_nll, 3, (ad_tensor *[]){t, c->in[1], c->in[2]}, c->at);
}
