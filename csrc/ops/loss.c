/* nll_loss and cross_entropy for class indices. Classes lie along dimension 1 (0 for a single sample).
 *
 * Attributes: i[0] = ignore_index, i[1] = reduction (0 none, 1 mean, 2 sum), f[0] = label smoothing.
 * With t the target, w the weights, e the smoothing, C classes, the loss of a sample is
 *     -(1 - e) w[t] logp[t] - e / C sum_c w[c] logp[c],
 * 0 where t is ignore_index; the mean divides by the sum of w[t]. It is linear in logp, so nll and nll_grad
 * are each other's adjoints. cross_entropy does log_softmax and nll in one pass over memory, and its gradient
 * in another: it keeps of each sample only m, the greatest element, and l, the logarithm of the sum of
 * exp(x - m), as logp = x - m - l. */
#include <math.h>
#include <string.h>
#include "../pool.h"
#include "declare.h"
#include "lines.h"

#define WORK 16384 /* elements a task, about */
#define CHUNKS 16  /* at most so many where each has scratch of its own */
#define SOME 64    /* samples that are taken together */
#define BLOCK 1024 /* elements that one kernel call sums */

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
    if (target->dtype != AD_I64 || p.l.n <= 0 ||
        !kern->index_in(target->numel, tensor_data(target), 0, (uint64_t)p.l.n))
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
    ad_spec *s = &c->spec[1]; /* m and l of each sample, and the sum of the targets' weights */
    s->dtype = AD_F64;
    s->ndim = 1;
    s->sizes[0] = 2 * c->in[1]->numel + 1;
    s->nondiff = true;
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

/* ---- cross entropy ---- */

typedef struct entropy {
    nll p;
    const ad_tensor *x, *g;
    ad_tensor *out;
    double *stats; /* m and l of each sample, then the sum of the targets' weights */
    double *parts; /* loss and weight of each task */
    int ct;
    bool direct; /* x is of the compute type */
    int64_t grain, tasks;
    double scale, all; /* of the gradient; the sum of all classes' weights */
    char *room;
    size_t per_task;
    const void *w;
} entropy;

static entropy entropy_of(const ad_attr *at, const ad_tensor *x, const ad_tensor *target,
                          const ad_tensor *weight) {
    entropy e = {.p = setup(at, x->ndim, x->sizes, target, weight), .x = x, .ct = dtype_compute(x->dtype)};
    const lines *l = &e.p.l;
    e.direct = x->dtype == AD_F32 || x->dtype == AD_F64;
    e.grain = lines_grain(l, WORK);
    if (!e.direct && e.grain * CHUNKS < l->count) e.grain = (l->count + CHUNKS - 1) / CHUNKS;
    if (l->inner > 1 || l->n <= WORK / SOME) e.grain = (e.grain + SOME - 1) / SOME * SOME;
    e.tasks = (l->count + e.grain - 1) / e.grain;
    e.per_task = e.direct ? 0 : (size_t)l->n * 2 * ct_size[e.ct] + (size_t)l->n * 8;
    return e;
}
static size_t entropy_room(const entropy *e) {
    return (size_t)e->tasks * (2 * sizeof *e->parts + e->per_task) + (size_t)e->p.l.n * 8;
}
/* Lays the scratch out. The weights are wanted where all classes count. */
static void entropy_rooms(entropy *e, char *room) {
    e->parts = (double *)room;
    e->room = room + (size_t)e->tasks * 2 * sizeof *e->parts;
    if (!(e->p.smooth > 0)) return;
    char *w = e->room + (size_t)e->tasks * e->per_task;
    e->all = 0;
    for (int64_t k = 0; k < e->p.l.n; k++) e->all += weight_of(&e->p, k);
    if (!e->p.weight) return;
    int d = e->p.weight->dtype;
    dtype_loads[d][e->ct](e->p.l.n, w, tensor_data(e->p.weight), dtype_size[d]);
    e->w = w;
}

static inline double ct_get(const void *p, int ct, int64_t k) {
    return ct == CT_F32 ? (double)((const float *)p)[k] : ((const double *)p)[k];
}
static inline void ct_put(void *p, int ct, int64_t k, double v) {
    if (ct == CT_F32) ((float *)p)[k] = (float)v;
    else ((double *)p)[k] = v;
}
/* x - m - l, rounded as the compute type rounds. */
static inline double logp_of(int ct, double x, double m, double l) {
    return ct == CT_F32 ? (double)((float)x - (float)m - (float)l) : x - m - l;
}

/* Neighbouring samples from i on that one kernel call takes: at most SOME, of one strip of columns. */
static int64_t together(const lines *l, int64_t i, int64_t end) {
    int64_t m = end - i < SOME ? end - i : SOME;
    if (l->inner > 1 && m > l->inner - i % l->inner) m = l->inner - i % l->inner;
    return m;
}

/* A sample of a type that is converted: x or its logp in the compute type, rounded to x's. */
static void load_sample(const entropy *e, int64_t i, void *row) {
    const lines *l = &e->p.l;
    int64_t es = dtype_size[e->x->dtype];
    dtype_loads[e->x->dtype][e->ct](l->n, row, (char *)tensor_data(e->x) + line_start(l, i, l->n) * es,
                                    l->inner * es);
}
static void load_logp(const entropy *e, int64_t i, void *row, void *half) {
    int d = e->x->dtype;
    load_sample(e, i, row);
    kern->softmax[e->ct](1, e->p.l.n, row, row, 1);
    dtype_stores[d][e->ct](e->p.l.n, half, dtype_size[d], row);
    dtype_loads[d][e->ct](e->p.l.n, row, half, dtype_size[d]);
}

/* The sum of w (x - m - l) over a sample's classes. */
static double logp_sum(const entropy *e, const void *from, int64_t start, int64_t step, double m, double l) {
    const char *x = from;
    int64_t n = e->p.l.n, size = (int64_t)ct_size[e->ct];
    double sum = 0;
    if (step > 1) {
        for (int64_t k = 0; k < n; k++)
            sum += weight_of(&e->p, k) * logp_of(e->ct, ct_get(x, e->ct, start + k * step), m, l);
        return sum;
    }
    for (int64_t k = 0; k < n; k += BLOCK) {
        int64_t some = n - k < BLOCK ? n - k : BLOCK;
        const char *block = x + (start + k) * size;
        double part;
        if (e->w) part = kern->dot[e->ct](some, block, (const char *)e->w + k * size);
        else {
            _Alignas(8) char r[8];
            kern->fold[RED_sum][e->ct](some, block, NULL, r);
            part = ct_get(r, e->ct, 0);
        }
        sum += part;
    }
    return sum - e->all * (m + l);
}

static void entropy_some(int64_t begin, int64_t end, void *ctx) {
    const entropy *e = ctx;
    const nll *p = &e->p;
    const lines *l = &p->l;
    int ct = e->ct;
    int64_t task = begin / e->grain, size = (int64_t)ct_size[ct];
    const char *x = tensor_data(e->x);
    char *row = e->room + (size_t)task * e->per_task;
    double sum = 0, weights = 0;
    _Alignas(64) char m[SOME * 8], s[SOME * 8];
    for (int64_t i = begin, some; i < end; i += some) {
        some = e->direct ? together(l, i, end) : 1;
        int64_t at = line_start(l, i, l->n);
        if (!e->direct) load_logp(e, i, row, row + l->n * 2 * size);
        else if (l->inner > 1) kern->lse_cols[ct](l->n, some, l->inner, x + at * size, m, s);
        else kern->lse[ct](some, l->n, x + at * size, m, s);
        for (int64_t k = 0; k < some; k++) {
            int64_t c = class_of(p, i + k);
            double loss = 0, mk = 0, lk = 0;
            const void *from = row;
            int64_t start = 0, step = 1;
            if (e->direct) {
                e->stats[2 * (i + k)] = mk = ct_get(m, ct, k);
                e->stats[2 * (i + k) + 1] = lk = ct_get(s, ct, k);
                from = x, start = at + (l->inner > 1 ? k : k * l->n), step = l->inner;
            }
            if (c != p->ignore) {
                double w = in_range(p, c) ? weight_of(p, c) : NAN;
                weights += w;
                loss = in_range(p, c)
                           ? -(1 - p->smooth) * w * logp_of(ct, ct_get(from, ct, start + c * step), mk, lk)
                           : NAN;
                if (p->smooth > 0) loss -= p->smooth / (double)l->n * logp_sum(e, from, start, step, mk, lk);
            }
            if (!p->reduction) put(e->out, i + k, loss);
            else sum += loss;
        }
    }
    e->parts[2 * task] = sum;
    e->parts[2 * task + 1] = weights;
}

size_t cross_entropy_scratch(const ad_call *c) {
    entropy e = entropy_of(c->at, c->in[0], c->in[1], c->in[2]);
    return entropy_room(&e);
}
void cross_entropy_run(const ad_call *c) {
    entropy e = entropy_of(c->at, c->in[0], c->in[1], c->in[2]);
    double sum = 0, weights = 0;
    entropy_rooms(&e, c->scratch);
    e.out = c->out[0];
    e.stats = tensor_data(c->out[1]);
    pool_parallel_for(e.p.l.count, e.grain, entropy_some, &e);
    for (int64_t k = 0; k < e.tasks; k++) {
        sum += e.parts[2 * k];
        weights += e.parts[2 * k + 1];
    }
    e.stats[2 * e.p.l.count] = weights;
    if (e.p.reduction) put(c->out[0], 0, e.p.reduction == 1 ? sum / weights : sum);
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

/* cross_entropy_grad(g, x, statistics, target, weight) */
int cross_entropy_grad_infer(ad_call *c) {
    spec_like(&c->spec[0], c->in[1]);
    return 0;
}

/* Row k of `some` has the gradient base[k] w - p[k] total[k], with hit[k] more at its target. */
static void entropy_grad_some(int64_t begin, int64_t end, void *ctx) {
    const entropy *e = ctx;
    const nll *p = &e->p;
    const lines *l = &p->l;
    int ct = e->ct;
    int64_t size = (int64_t)ct_size[ct], es = dtype_size[e->x->dtype];
    const char *x = tensor_data(e->x);
    char *out = tensor_data(e->out), *row = e->room + (size_t)(begin / e->grain) * e->per_task,
         *spread_row = row + l->n * size;
    _Alignas(64) char m[SOME * 8], s[SOME * 8], total[SOME * 8], base[SOME * 8];
    double hit[SOME];
    for (int64_t i = begin, some; i < end; i += some) {
        some = e->direct ? together(l, i, end) : 1;
        int64_t at = line_start(l, i, l->n);
        for (int64_t k = 0; k < some; k++) {
            int64_t c = class_of(p, i + k);
            bool counts = c != p->ignore && in_range(p, c);
            double gi = counts ? get(e->g, p->reduction ? 0 : i + k) * e->scale : 0;
            double each = p->smooth > 0 ? -p->smooth / (double)l->n * gi : 0;
            hit[k] = counts ? -(1 - p->smooth) * weight_of(p, c) * gi : 0;
            ct_put(base, ct, k, each);
            ct_put(total, ct, k, hit[k] + each * e->all);
            if (!e->direct) continue;
            ct_put(m, ct, k, e->stats[2 * (i + k)]);
            ct_put(s, ct, k, e->stats[2 * (i + k) + 1]);
        }
        const void *b = p->smooth > 0 ? base : NULL;
        if (!e->direct) {
            load_logp(e, i, row, row + l->n * 2 * size);
            for (int64_t k = 0; k < l->n; k++)
                ct_put(spread_row, ct, k, b ? ct_get(base, ct, 0) * (e->w ? ct_get(e->w, ct, k) : 1) : 0);
            int64_t c = class_of(p, i);
            if (hit[0] != 0) ct_put(spread_row, ct, c, ct_get(spread_row, ct, c) + hit[0]);
            kern->softmax_grad[ct](1, l->n, spread_row, row, spread_row, 1);
            dtype_stores[e->out->dtype][ct](l->n, out + at * es, l->inner * es, spread_row);
            continue;
        }
        if (l->inner > 1)
            kern->entropy_grad_cols[ct](l->n, some, l->inner, x + at * size, m, s, total, b, e->w,
                                        out + at * size);
        else kern->entropy_grad[ct](some, l->n, x + at * size, m, s, total, b, e->w, out + at * size);
        for (int64_t k = 0; k < some; k++)
            if (hit[k] != 0) {
                int64_t to = at + (l->inner > 1 ? k : k * l->n) + class_of(p, i + k) * l->inner;
                ct_put(out, ct, to, ct_get(out, ct, to) + (ct == CT_F32 ? (double)(float)hit[k] : hit[k]));
            }
    }
}

size_t cross_entropy_grad_scratch(const ad_call *c) {
    entropy e = entropy_of(c->at, c->in[1], c->in[3], c->in[4]);
    return entropy_room(&e);
}
void cross_entropy_grad_run(const ad_call *c) {
    entropy e = entropy_of(c->at, c->in[1], c->in[3], c->in[4]);
    entropy_rooms(&e, c->scratch);
    e.g = c->in[0];
    e.out = c->out[0];
    e.stats = tensor_data(c->in[2]);
    e.scale = e.p.reduction == 1 ? 1 / e.stats[2 * e.p.l.count] : 1;
    pool_parallel_for(e.p.l.count, e.grain, entropy_grad_some, &e);
}

void cross_entropy_vjp(ad_vjp *v) {
    ad_em *E = &v->E;
    ad_tensor *target = vjp_in(v, 1), *weight = optional_in(v, 2), *x = vjp_in(v, 0);
    if (!x || !target) return;
    if (grad_is_final()) {
        ad_tensor *stats = vjp_out(v, 1);
        if (stats)
            v->gin[0] =
                em_op(E, OP_cross_entropy_grad, 5, (ad_tensor *[]){v->g[0], x, stats, target, weight}, v->at);
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
