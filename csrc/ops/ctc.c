/* Connectionist temporal classification: the negative log-likelihood of a sequence of labels, over all ways
 * to stretch it to the input's length with blanks in between (Graves et al., 2006).
 *
 * ctc(log_probs [T, N, C], targets, input lengths [N], target lengths [N]): targets [N, S], or 1-d and one
 * after the other. i[0] = the blank, i[1] = whether an infinite loss counts as 0. The second output keeps
 * the forward variables of each sample for the gradient. */
#include <math.h>
#include "../pool.h"
#include "index.h"

typedef struct ctc {
    int64_t T, N, C, S; /* S: the labels of a row of targets, 0 when they are one after the other */
    int64_t blank;
    bool no_infinity;
    int dtype;
    const char *logp;
    const ad_tensor *targets, *lengths[2];
    char *alpha;
    ad_tensor *out, *g;
    int64_t *labels; /* scratch: all targets, then of each sample the first label, their number, the steps */
    double *work;    /* of each sample: two rows of backward variables, and a sum for each class */
    int64_t per;
} ctc;

static ctc setup(const ad_tensor *x, ad_tensor *const *rest, const ad_attr *at) {
    ctc p = {.T = x->sizes[0], .N = x->ndim == 3 ? x->sizes[1] : 1, .C = x->sizes[x->ndim - 1]};
    p.targets = rest[0];
    p.lengths[0] = rest[1];
    p.lengths[1] = rest[2];
    p.S = rest[0]->ndim == 2 ? rest[0]->sizes[1] : 0;
    p.blank = at->i[0];
    p.no_infinity = at->i[1] != 0;
    p.dtype = x->dtype;
    p.logp = tensor_data(x);
    return p;
}

static int64_t at_most(int64_t v, int64_t most) { return v < 0 ? 0 : v > most ? most : v; }

/* Reads targets and lengths; what a replay finds out of range is brought into it. */
static void load(ctc *p, void *scratch) {
    int64_t all = p->targets->numel, next = 0;
    p->labels = scratch;
    int64_t *first = p->labels + all, *labels = first + p->N, *steps = labels + p->N;
    index_load(p->targets, p->labels);
    index_load(p->lengths[0], steps);
    index_load(p->lengths[1], labels);
    for (int64_t k = 0; k < all; k++) p->labels[k] = index_safe(p->labels[k], p->C);
    for (int64_t n = 0; n < p->N; n++) {
        first[n] = p->targets->ndim == 2 ? n * p->S : next;
        labels[n] = at_most(labels[n], p->targets->ndim == 2 ? p->S : all - next);
        steps[n] = at_most(steps[n], p->T);
        next += labels[n];
    }
    p->work = (double *)(steps + p->N);
}
static size_t load_bytes(const ctc *p) {
    return (size_t)(p->targets->numel + 3 * p->N + 1) * sizeof(int64_t);
}

static int check_lengths(const ad_tensor *t, const char *name, int64_t n, int64_t most, int64_t *sum) {
    if (t->dtype != AD_I64 && t->dtype != AD_I32 && t->dtype != AD_I16 && t->dtype != AD_I8 &&
        t->dtype != AD_U8)
        return ad_fail(AD_ERR_RUNTIME, "ctc_loss: %s must be integral, not %s", name, dtype_name[t->dtype]);
    if (t->numel != n)
        return ad_fail(AD_ERR_RUNTIME, "ctc_loss: %s must be of size batch_size %lld, got size %s", name,
                       (long long)n, fmt_sizes(t->ndim, t->sizes));
    *sum = 0;
    const char *data = tensor_data(t);
    for (int64_t k = 0; k < n; k++) {
        int64_t v;
        dtype_loads[t->dtype][CT_I64](1, &v, data + k * dtype_size[t->dtype], 0);
        if (v < 0)
            return ad_fail(AD_ERR_RUNTIME, "ctc_loss: expected %s to have non-negative values, but got %lld",
                           name, (long long)v);
        if (v > most)
            return ad_fail(AD_ERR_RUNTIME,
                           "ctc_loss: expected %s to have value at most %lld, but got value %lld", name,
                           (long long)most, (long long)v);
        *sum += v;
    }
    return 0;
}

static int check_labels(const ctc *p) { /* what stands behind a row's labels may be anything */
    const ad_tensor *y = p->targets, *counts = p->lengths[1];
    int64_t es = dtype_size[y->dtype], n = y->ndim == 2 ? p->S : y->numel;
    for (int64_t r = 0; r < (y->ndim == 2 ? p->N : 1); r++) {
        if (y->ndim == 2) index_row(counts, r, 1, 1, &n);
        for (int64_t k = 0; k < n; k++) {
            int64_t v;
            dtype_loads[y->dtype][CT_I64](1, &v, (char *)tensor_data(y) + (r * p->S + k) * es, 0);
            if (v < 0 || v >= p->C)
                return ad_fail(AD_ERR_RUNTIME, "ctc_loss: target %lld is out of range of %lld classes",
                               (long long)v, (long long)p->C);
        }
    }
    return 0;
}

int ctc_infer(ad_call *c) {
    const ad_tensor *x = c->in[0], *y = c->in[1];
    int64_t sum;
    if (x->ndim != 2 && x->ndim != 3)
        return ad_fail(AD_ERR_RUNTIME, "ctc_loss: log_probs must be (T, N, C) or (T, C), got size %s",
                       fmt_sizes(x->ndim, x->sizes));
    if (x->dtype != AD_F32 && x->dtype != AD_F64)
        return ad_fail(AD_ERR_NOT_IMPLEMENTED, "\"ctc_loss_cpu\" not implemented for '%s'",
                       dtype_class[x->dtype]);
    if (y->dtype != AD_I64 && y->dtype != AD_I32)
        return ad_fail(AD_ERR_RUNTIME, "ctc_loss: targets must be int32 or int64, not %s",
                       dtype_name[y->dtype]);
    ctc p = setup(x, c->in + 1, c->at);
    if (y->ndim != 1 && !(y->ndim == 2 && y->sizes[0] == p.N))
        return ad_fail(
            AD_ERR_RUNTIME,
            "ctc_loss: targets must be (N, S) for a batch of %lld, or 1-d and one after the other, "
            "got size %s",
            (long long)p.N, fmt_sizes(y->ndim, y->sizes));
    if (p.blank < 0 || p.blank >= p.C)
        return ad_fail(AD_ERR_RUNTIME, "ctc_loss: blank must be in label range: %lld of %lld classes",
                       (long long)p.blank, (long long)p.C);
    if (check_lengths(c->in[2], "input_lengths", p.N, p.T, &sum)) return -1;
    if (check_lengths(c->in[3], "target_lengths", p.N, y->ndim == 2 ? p.S : y->numel, &sum)) return -1;
    if (y->ndim == 1 && sum != y->numel)
        return ad_fail(
            AD_ERR_RUNTIME,
            "ctc_loss: expected 1-d targets to have size %lld, the sum of target_lengths, got %lld",
            (long long)sum, (long long)y->numel);
    if (check_labels(&p)) return -1;
    c->spec[0].dtype = c->spec[1].dtype = x->dtype;
    c->spec[0].ndim = x->ndim == 3;
    c->spec[0].sizes[0] = p.N;
    c->spec[1].ndim = 1;
    c->spec[1].nondiff = true;
    int64_t states;
    if (dims_numel(2, (int64_t[]){p.T, 2 * y->numel + p.N}, &states)) return -1;
    c->spec[1].sizes[0] = states;
    return 0;
}

static inline double get(int dtype, const char *p, int64_t i) {
    return dtype == AD_F32 ? (double)((const float *)p)[i] : ((const double *)p)[i];
}
static inline void put(int dtype, char *p, int64_t i, double v) {
    if (dtype == AD_F32) ((float *)p)[i] = (float)v;
    else ((double *)p)[i] = v;
}
static double log_add(double a, double b) {
    double m = a > b ? a : b;
    if (m == -INFINITY) return m;
    return m + log(exp(a - m) + exp(b - m));
}

#define STATES 128 /* at a time */
/* sum[k] = log(e^x[0][k] + e^x[1][k] + e^x[2][k]) of n <= STATES states, by the vector functions; x is
 * written over. */
static void log_sums(int64_t n, double (*x)[STATES], double *sum) {
    double top[STATES];
    for (int64_t k = 0; k < n; k++) {
        double m = x[0][k] > x[1][k] ? x[0][k] : x[1][k];
        m = x[2][k] > m ? x[2][k] : m;
        top[k] = m == -INFINITY ? 0 : m;
        for (int j = 0; j < 3; j++) x[j][k] -= top[k];
    }
    for (int j = 0; j < 3; j++) kern->ew[EW_exp][CT_F64](n, x[j], (const void *[]){x[j]}, 0);
    for (int64_t k = 0; k < n; k++) sum[k] = x[0][k] + x[1][k] + x[2][k];
    kern->ew[EW_log][CT_F64](n, sum, (const void *[]){sum}, 0);
    for (int64_t k = 0; k < n; k++) sum[k] += top[k];
}

typedef struct sample { /* one sequence; its states are blank, label 0, blank, label 1, ..., blank */
    const int64_t *labels;
    int64_t L, T, states;
    char *alpha;
} sample;

static sample sample_of(const ctc *p, int64_t n) {
    const int64_t *first = p->labels + p->targets->numel, *count = first + p->N, *steps = count + p->N;
    sample s = {.labels = p->labels + first[n], .L = count[n], .T = steps[n], .states = 2 * count[n] + 1};
    s.alpha = p->alpha + p->T * (2 * first[n] + n) * dtype_size[p->dtype];
    return s;
}
static inline int64_t label(const ctc *p, const sample *s, int64_t k) {
    return k % 2 ? s->labels[k / 2] : p->blank;
}
/* Whether state k may be entered from k - 2, skipping the blank between two different labels. */
static inline bool may_skip(const sample *s, int64_t k) {
    return k % 2 && k > 1 && s->labels[k / 2] != s->labels[k / 2 - 1];
}
static double loss_of(const ctc *p, const sample *s) {
    if (!s->T) return s->L ? INFINITY : 0;
    const char *last = s->alpha + (s->T - 1) * s->states * dtype_size[p->dtype];
    double a = get(p->dtype, last, s->states - 1);
    return -(s->L ? log_add(a, get(p->dtype, last, s->states - 2)) : a);
}

static void forward_range(int64_t begin, int64_t end, void *ctx) {
    const ctc *p = ctx;
    int64_t es = dtype_size[p->dtype];
    for (int64_t n = begin; n < end; n++) {
        sample s = sample_of(p, n);
        for (int64_t t = 0; t < s.T; t++) {
            const char *logp = p->logp + (t * p->N + n) * p->C * es,
                       *before = s.alpha + (t - 1) * s.states * es;
            char *a = s.alpha + t * s.states * es;
            for (int64_t k0 = 0; k0 < s.states; k0 += STATES) {
                int64_t m = s.states - k0 < STATES ? s.states - k0 : STATES;
                double x[3][STATES], sum[STATES];
                for (int64_t k = k0, j = 0; j < m; j++, k++) {
                    x[0][j] = t ? get(p->dtype, before, k) : k < 2 ? 0 : -INFINITY;
                    x[1][j] = t && k ? get(p->dtype, before, k - 1) : -INFINITY;
                    x[2][j] = t && may_skip(&s, k) ? get(p->dtype, before, k - 2) : -INFINITY;
                }
                log_sums(m, x, sum);
                for (int64_t k = k0, j = 0; j < m; j++, k++)
                    put(p->dtype, a, k, sum[j] + get(p->dtype, logp, label(p, &s, k)));
            }
        }
        double loss = loss_of(p, &s);
        put(p->dtype, tensor_data(p->out), n, p->no_infinity && loss == INFINITY ? 0 : loss);
    }
}

size_t ctc_scratch(const ad_call *c) {
    ctc p = setup(c->in[0], c->in + 1, c->at);
    return load_bytes(&p);
}
void ctc_run(const ad_call *c) {
    ctc p = setup(c->in[0], c->in + 1, c->at);
    p.out = c->out[0];
    p.alpha = tensor_data(c->out[1]);
    load(&p, c->scratch);
    pool_parallel_for(p.N, 1, forward_range, &p);
}

/* ---- ctc_grad(g, log_probs, targets, input lengths, target lengths, forward variables). As PyTorch's, it
 * takes log_probs for normalised: e^logp, the gradient of their sum's logarithm, is part of it ---- */

int ctc_grad_infer(ad_call *c) {
    spec_like(&c->spec[0], c->in[1]);
    return 0;
}

static void backward_range(int64_t begin, int64_t end, void *ctx) {
    const ctc *p = ctx;
    int64_t es = dtype_size[p->dtype];
    char *out = tensor_data(p->out);
    for (int64_t n = begin; n < end; n++) {
        sample s = sample_of(p, n);
        double loss = loss_of(p, &s), g = get(p->dtype, tensor_data(p->g), n);
        double *beta = p->work + n * p->per, *later = beta + s.states, *sum = later + s.states;
        bool none = p->no_infinity && loss == INFINITY;
        for (int64_t t = p->T - 1; t >= 0; t--) {
            int64_t row = (t * p->N + n) * p->C;
            const char *logp = p->logp + row * es, *alpha = s.alpha + t * s.states * es;
            if (t >= s.T || none) {
                memset(out + row * es, 0, (size_t)(p->C * es));
                continue;
            }
            double *swap = beta;
            beta = later;
            later = swap;
            for (int64_t c = 0; c < p->C; c++) sum[c] = 0;
            for (int64_t k0 = 0; k0 < s.states; k0 += STATES) {
                int64_t m = s.states - k0 < STATES ? s.states - k0 : STATES;
                double x[3][STATES], share[STATES];
                bool last = t == s.T - 1;
                for (int64_t k = k0, j = 0; j < m; j++, k++) {
                    bool skip = k + 2 < s.states && may_skip(&s, k + 2);
                    x[0][j] = !last ? later[k] : k >= s.states - 2 ? 0 : -INFINITY;
                    x[1][j] = !last && k + 1 < s.states ? later[k + 1] : -INFINITY;
                    x[2][j] = !last && skip ? later[k + 2] : -INFINITY;
                }
                log_sums(m, x, share);
                for (int64_t k = k0, j = 0; j < m; j++, k++) { /* what the state has of its class's share */
                    double l = get(p->dtype, logp, label(p, &s, k));
                    beta[k] = share[j] + l;
                    share[j] = get(p->dtype, alpha, k) + beta[k] + loss - l;
                }
                kern->ew[EW_exp][CT_F64](m, share, (const void *[]){share}, 0);
                for (int64_t k = k0, j = 0; j < m; j++, k++) sum[label(p, &s, k)] += share[j];
            }
            /* e^logp of all classes, less the shares; not a number where the loss or a class is infinite */
            kern->ew[EW_exp][dtype_compute(p->dtype)](p->C, out + row * es, (const void *[]){logp}, 0);
            for (int64_t c = 0; c < p->C; c++) {
                double e = get(p->dtype, out, row + c) - sum[c];
                if (loss == INFINITY || get(p->dtype, logp, c) == -INFINITY) e = NAN;
                put(p->dtype, out, row + c, e * g);
            }
        }
    }
}

static int64_t work_each(const ctc *p) {
    int64_t most = p->targets->ndim == 2 ? p->S : p->targets->numel;
    return 2 * (2 * most + 1) + p->C;
}
size_t ctc_grad_scratch(const ad_call *c) {
    ctc p = setup(c->in[1], c->in + 2, c->at);
    return load_bytes(&p) + (size_t)(p.N * work_each(&p)) * sizeof(double);
}
void ctc_grad_run(const ad_call *c) {
    ctc p = setup(c->in[1], c->in + 2, c->at);
    p.g = c->in[0];
    p.out = c->out[0];
    p.alpha = tensor_data(c->in[5]);
    p.per = work_each(&p);
    load(&p, c->scratch);
    pool_parallel_for(p.N, 1, backward_range, &p);
}
void ctc_grad_vjp(ad_vjp *v) {
    ad_fail(AD_ERR_NOT_IMPLEMENTED, "the second derivative of ctc_loss is not implemented");
    v->E.failed = true;
}

static ad_tensor *em_ctc_grad(ad_em *E, ad_tensor *g, ad_tensor *const *in, ad_tensor *alpha,
                              const ad_attr *at) {
    for (int i = 0; i < 4; i++)
        if (!in[i]) return NULL;
    return g && alpha ? em_op(E, OP_ctc_grad, 6, (ad_tensor *[]){g, in[0], in[1], in[2], in[3], alpha}, at)
                      : NULL;
}
void ctc_vjp(ad_vjp *v) {
    ad_tensor *in[4];
    for (int i = 0; i < 4; i++) in[i] = vjp_in(v, i);
    v->gin[0] = em_ctc_grad(&v->E, v->g[0], in, vjp_out(v, 1), v->at);
}
void ctc_jvp(ad_jvp *j) {
    const ad_call *c = j->c;
    ad_attr ones = {.i = {c->out[0]->dtype, 1}, .f = {1}, .list = c->out[0]->sizes, .nlist = c->out[0]->ndim};
    ad_tensor *g = em_op(&j->E, OP_full, 0, NULL, &ones);
    g = em2(&j->E, OP_mul, em_ctc_grad(&j->E, g, c->in, c->out[1], c->at), j->t[0]);
    ad_attr sum = {.i = {0, -1}, .list = (int64_t[]){0, -1}, .nlist = 2};
    if (g) j->tout[0] = em_op(&j->E, OP_sum, 1, &g, &sum);
}
