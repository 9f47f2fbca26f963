/* The optimizers' updates and gradient clipping: each is one row over all tensors of a group, so that a
 * step is one call, one pass over memory, and one wake-up of the threads. Hyperparameters are float
 * attributes: a captured program changes them between replays. */
#include <math.h>
#include <string.h>
#include "../core.h"
#include "../pool.h"
#include "../program.h"
#include "declare.h"

#define CHUNK 8192 /* elements a task: a multiple of every vector length */

/* ---- walking many tensors in chunks ---- */

/* Chunk k of all tensors: which tensor, from where, how many. Tensors are listed in groups of n, and the
 * chunks follow the first group. */
typedef struct part {
    int t;
    int64_t at, n;
} part;

static int64_t chunks_of(const ad_tensor *t) { return (t->numel + CHUNK - 1) / CHUNK; }

static int64_t total_chunks(const ad_call *c, int n) {
    int64_t total = 0;
    for (int k = 0; k < n; k++) total += chunks_of(c->in[k]);
    return total;
}

/* How many chunks are worth a thread's while: those of `full` full ones. Most tensors of a small model have
 * one chunk that is nearly empty. */
static int64_t grain_of(const ad_call *c, int n, int full) {
    int64_t elements = 1;
    for (int k = 0; k < n; k++) elements += c->in[k]->numel;
    return (int64_t)((double)total_chunks(c, n) * CHUNK * full / (double)elements);
}

static part part_first(const ad_call *c, int64_t k) {
    part p = {0, 0, 0};
    while (k >= chunks_of(c->in[p.t])) k -= chunks_of(c->in[p.t++]);
    p.at = k * CHUNK;
    p.n = c->in[p.t]->numel - p.at < CHUNK ? c->in[p.t]->numel - p.at : CHUNK;
    return p;
}

static void part_next(const ad_call *c, part *p, int n) {
    p->at += CHUNK;
    while (p->t < n && p->at >= c->in[p->t]->numel) {
        p->t++;
        p->at = 0;
    }
    if (p->t < n) p->n = c->in[p->t]->numel - p->at < CHUNK ? c->in[p->t]->numel - p->at : CHUNK;
}

/* Where the kernel finds chunk elements of one tensor: in place, or converted into a tile and back. Half
 * types are computed in float32, tile by tile. */
enum { TILE = 512 };

static bool direct(const ad_tensor *t) { return t->dtype == AD_F32 || t->dtype == AD_F64; }
static char *element(const ad_tensor *t, int64_t at) {
    return (char *)tensor_data(t) + at * dtype_size[t->dtype];
}

/* The tensors of a parameter must lie alike, because the kernels walk memory. */
static int check_group(const ad_call *c, int n, int groups, const char *what) {
    for (int g = 0; g < groups; g++)
        for (int k = 0; k < n; k++) {
            const ad_tensor *p = c->in[k], *t = c->in[g * n + k];
            if (!dtype_is_float(t->dtype) || t->dtype != p->dtype)
                return ad_fail(AD_ERR_RUNTIME, "%s: parameter %d is %s, its gradient or state is %s", what, k,
                               dtype_name[p->dtype], dtype_name[t->dtype]);
            if (!tensor_same_sizes(p, t))
                return ad_fail(AD_ERR_RUNTIME, "%s: parameter %d has size %s, its gradient or state has %s",
                               what, k, fmt_sizes(p->ndim, p->sizes), fmt_sizes(t->ndim, t->sizes));
            if (!dims_dense(t->ndim, t->sizes, t->strides) ||
                !dims_equal(p->ndim, p->strides, t->ndim, t->strides))
                if (!(tensor_is_contiguous(p) && tensor_is_contiguous(t)))
                    return ad_fail(AD_ERR_RUNTIME,
                                   "%s: parameter %d and its gradient or state differ in layout (strides %s "
                                   "and %s); make them contiguous",
                                   what, k, fmt_sizes(p->ndim, p->strides), fmt_sizes(t->ndim, t->strides));
            if (g == 0 && t->storage->readonly)
                return ad_fail(AD_ERR_RUNTIME, "%s: parameter %d lies in read-only memory", what, k);
        }
    return 0;
}

/* ---- SGD: params, grads, and with momentum buffers. f: lr, momentum, dampening, weight decay;
 * i[0] = number of parameters, i[1] = nesterov, i[2] = maximize ---- */

int sgd_step_infer(ad_call *c) {
    int n = (int)c->at->i[0];
    return check_group(c, n, n ? c->nin / n : 0, "SGD");
}

static void sgd_range(int64_t begin, int64_t end, void *ctx) {
    const ad_call *c = ctx;
    int n = (int)c->at->i[0];
    bool momentum = c->nin == 3 * n;
    part p = part_first(c, begin);
    for (int64_t k = begin; k < end; k++, part_next(c, &p, n)) {
        const ad_tensor *t = c->in[p.t], *g = c->in[n + p.t], *b = momentum ? c->in[2 * n + p.t] : NULL;
        if (direct(t)) {
            kern->sgd[t->dtype == AD_F64](p.n, element(t, p.at), element(g, p.at),
                                          b ? element(b, p.at) : NULL, c->at->f, (int)c->at->i[1],
                                          (int)c->at->i[2]);
            continue;
        }
        float x[TILE], d[TILE], m[TILE];
        for (int64_t at = p.at, left = p.n; left > 0; at += TILE, left -= TILE) {
            int64_t w = left < TILE ? left : TILE;
            dtype_loads[t->dtype][CT_F32](w, x, element(t, at), 2);
            dtype_loads[t->dtype][CT_F32](w, d, element(g, at), 2);
            if (b) dtype_loads[t->dtype][CT_F32](w, m, element(b, at), 2);
            kern->sgd[0](w, x, d, b ? m : NULL, c->at->f, (int)c->at->i[1], (int)c->at->i[2]);
            dtype_stores[t->dtype][CT_F32](w, element(t, at), 2, x);
            if (b) dtype_stores[t->dtype][CT_F32](w, element(b, at), 2, m);
        }
    }
}

void sgd_step_run(const ad_call *c) {
    int n = (int)c->at->i[0];
    pool_parallel_for(total_chunks(c, n), grain_of(c, n, 4), sgd_range, (void *)c);
}

/* ---- Adam: params, grads, first and second moments, with AMSGrad their maxima, step counts (0-d).
 * f: lr, beta1, beta2, eps, weight decay; i[0] = number of parameters, i[1] = amsgrad, i[2] = decoupled,
 * i[3] = maximize ---- */

int adam_step_infer(ad_call *c) {
    int n = (int)c->at->i[0], groups = 4 + (int)c->at->i[1];
    if (check_group(c, n, groups, "Adam")) return -1;
    for (int k = 0; k < n; k++)
        if (c->in[groups * n + k]->numel != 1)
            return ad_fail(AD_ERR_RUNTIME, "Adam: the step count of parameter %d must be one number", k);
    return 0;
}

static void adam_hyper(const ad_attr *at, double step, double *h) {
    double lr = at->f[0], b1 = at->f[1], b2 = at->f[2];
    h[0] = lr / (1 - pow(b1, step));
    h[1] = b1;
    h[2] = b2;
    h[3] = at->f[3];
    h[4] = at->f[4];
    h[5] = sqrt(1 - pow(b2, step));
    h[6] = 1 - lr * at->f[4];
}

static void adam_range(int64_t begin, int64_t end, void *ctx) {
    const ad_call *c = ctx;
    const ad_attr *a = c->at;
    int n = (int)a->i[0], ams = (int)a->i[1], last = -1;
    double h[7], step = -1;
    part p = part_first(c, begin);
    for (int64_t k = begin; k < end; k++, part_next(c, &p, n)) {
        const ad_tensor *t = c->in[p.t], *q[5];
        for (int g = 1; g < 4 + ams; g++) q[g] = c->in[g * n + p.t];
        if (p.t != last) { /* most parameters are at the same step: the powers are computed once */
            double now = tensor_get_f64(c->in[(4 + ams) * n + p.t]);
            if (now != step) adam_hyper(a, step = now, h);
            last = p.t;
        }
        if (direct(t)) {
            kern->adam[t->dtype == AD_F64](p.n, element(t, p.at), element(q[1], p.at), element(q[2], p.at),
                                           element(q[3], p.at), ams ? element(q[4], p.at) : NULL, h,
                                           (int)a->i[2], (int)a->i[3]);
            continue;
        }
        float room[5][TILE];
        for (int64_t at = p.at, left = p.n; left > 0; at += TILE, left -= TILE) {
            int64_t w = left < TILE ? left : TILE;
            for (int g = 0; g < 4 + ams; g++)
                dtype_loads[t->dtype][CT_F32](w, room[g], element(g ? q[g] : t, at), 2);
            kern->adam[0](w, room[0], room[1], room[2], room[3], ams ? room[4] : NULL, h, (int)a->i[2],
                          (int)a->i[3]);
            for (int g = 0; g < 4 + ams; g++)
                if (g != 1) dtype_stores[t->dtype][CT_F32](w, element(g ? q[g] : t, at), 2, room[g]);
        }
    }
}

void adam_step_run(const ad_call *c) {
    int n = (int)c->at->i[0], groups = 4 + (int)c->at->i[1];
    for (int k = 0; k < n; k++) {
        const ad_tensor *s = c->in[groups * n + k];
        double step = tensor_get_f64(s) + 1;
        if (dtype_is_float(s->dtype)) dtype_stores[s->dtype][CT_F64](1, tensor_data(s), 0, &step);
        else dtype_stores[s->dtype][CT_I64](1, tensor_data(s), 0, &(int64_t){(int64_t)step});
    }
    pool_parallel_for(total_chunks(c, n), grain_of(c, n, 2), adam_range, (void *)c);
}

/* ---- total_norm(tensors; f[0] = 1, 2 or infinity): the norm of each tensor, then of those norms ---- */

int total_norm_infer(ad_call *c) {
    int dtype = -1;
    for (int k = 0; k < c->nin; k++) {
        if (!dtype_is_float(c->in[k]->dtype))
            return ad_fail(AD_ERR_RUNTIME, "the norm needs floating-point tensors, tensor %d is %s", k,
                           dtype_name[c->in[k]->dtype]);
        if (!dims_dense(c->in[k]->ndim, c->in[k]->sizes, c->in[k]->strides))
            return ad_fail(
                AD_ERR_RUNTIME, "the norm needs dense tensors, tensor %d has size %s and strides %s", k,
                fmt_sizes(c->in[k]->ndim, c->in[k]->sizes), fmt_sizes(c->in[k]->ndim, c->in[k]->strides));
        dtype = dtype < 0 ? c->in[k]->dtype : dtype_promote(dtype, c->in[k]->dtype);
    }
    c->spec[0].dtype = (uint8_t)(dtype < 0 ? dtype_default_float() : dtype);
    c->spec[0].ndim = 0;
    return 0;
}

typedef struct norm_task {
    const ad_call *c;
    double *partial; /* of each chunk */
    int power;
} norm_task;

size_t total_norm_scratch(const ad_call *c) { return (size_t)total_chunks(c, c->nin) * sizeof(double) + 8; }

static void norm_range(int64_t begin, int64_t end, void *ctx) {
    norm_task *w = ctx;
    part p = part_first(w->c, begin);
    for (int64_t k = begin; k < end; k++, part_next(w->c, &p, w->c->nin)) {
        const ad_tensor *t = w->c->in[p.t];
        if (direct(t)) {
            w->partial[k] = kern->norm[t->dtype == AD_F64](p.n, element(t, p.at), w->power);
            continue;
        }
        double sum = 0;
        float x[TILE];
        for (int64_t at = p.at, left = p.n; left > 0; at += TILE, left -= TILE) {
            int64_t n = left < TILE ? left : TILE;
            dtype_loads[t->dtype][CT_F32](n, x, element(t, at), 2);
            double s = kern->norm[0](n, x, w->power);
            sum = w->power ? sum + s : s > sum || s != s ? s : sum;
        }
        w->partial[k] = sum;
    }
}

void total_norm_run(const ad_call *c) {
    norm_task w = {c, c->scratch, c->at->f[0] == 2 ? 2 : c->at->f[0] == 1 ? 1 : 0};
    int64_t n = total_chunks(c, c->nin);
    pool_parallel_for(n, grain_of(c, c->nin, 8), norm_range, &w);
    double sum = 0; /* in double and in order: the same for any number of threads */
    for (int64_t k = 0; k < n; k++)
        sum = w.power                                              ? sum + w.partial[k]
              : w.partial[k] > sum || w.partial[k] != w.partial[k] ? w.partial[k]
                                                                   : sum;
    if (w.power == 2) sum = sqrt(sum);
    dtype_stores[c->out[0]->dtype][CT_F64](1, tensor_data(c->out[0]), 0, &sum);
}

/* ---- scale_all(tensors, total; f[0] = max norm): x *= min(1, max / (total + 1e-6)), and clip_all ---- */

int scale_all_infer(ad_call *c) {
    int n = (int)c->at->i[0];
    for (int k = 0; k < n; k++)
        if (!dtype_is_float(c->in[k]->dtype) ||
            !dims_dense(c->in[k]->ndim, c->in[k]->sizes, c->in[k]->strides) || c->in[k]->storage->readonly)
            return ad_fail(
                AD_ERR_RUNTIME,
                "clipping needs dense, writable floating-point tensors; tensor %d is %s of size %s and "
                "strides %s",
                k, dtype_name[c->in[k]->dtype], fmt_sizes(c->in[k]->ndim, c->in[k]->sizes),
                fmt_sizes(c->in[k]->ndim, c->in[k]->strides));
    return 0;
}

typedef struct each_task {
    const ad_call *c;
    double k;
    void (*const *fn)(int64_t, void *, double);
} each_task;

static void each_range(int64_t begin, int64_t end, void *ctx) {
    each_task *w = ctx;
    part p = part_first(w->c, begin);
    for (int64_t k = begin; k < end; k++, part_next(w->c, &p, (int)w->c->at->i[0])) {
        const ad_tensor *t = w->c->in[p.t];
        if (direct(t)) {
            w->fn[t->dtype == AD_F64](p.n, element(t, p.at), w->k);
            continue;
        }
        float x[TILE];
        for (int64_t at = p.at, left = p.n; left > 0; at += TILE, left -= TILE) {
            int64_t n = left < TILE ? left : TILE;
            dtype_loads[t->dtype][CT_F32](n, x, element(t, at), 2);
            w->fn[0](n, x, w->k);
            dtype_stores[t->dtype][CT_F32](n, element(t, at), 2, x);
        }
    }
}

void scale_all_run(const ad_call *c) {
    int n = (int)c->at->i[0];
    double k = c->at->f[0] / (tensor_get_f64(c->in[n]) + 1e-6);
    if (c->in[n]->dtype != AD_F64)
        k = (float)((float)c->at->f[0] / (float)((float)tensor_get_f64(c->in[n]) + 1e-6f));
    if (k >= 1) return;
    each_task w = {c, k, kern->scale};
    pool_parallel_for(total_chunks(c, n), grain_of(c, n, 8), each_range, &w);
}

void clip_all_run(const ad_call *c) {
    each_task w = {c, c->at->f[0], kern->clip};
    int n = (int)c->at->i[0];
    pool_parallel_for(total_chunks(c, n), grain_of(c, n, 8), each_range, &w);
}

/* ---- entry points ---- */

static void bump_all(ad_tensor **t, int64_t n) {
    for (int64_t k = 0; k < n; k++)
        atomic_fetch_add_explicit(&t[k]->storage->version, 1, memory_order_relaxed);
}

static int run_row(int op, ad_tensor **in, int64_t nin, const ad_attr *at) {
    ad_tensor *none;
    return ad_apply(&ad_ops[op], (int)nin, in, at, &none) < 0 ? -1 : 0;
}

/* A gapless stand-in for a tensor that the kernels cannot walk; what is written is copied back afterwards. */
typedef struct loan {
    ad_tensor *copy, *of;
    bool back;
} loan;

static ad_tensor *borrow(loan *loans, int64_t *n, ad_tensor *t, const int64_t *strides, bool back) {
    if (back && graph_check_inplace(t, false)) return NULL;
    ad_tensor *like = tensor_new_strided(t->dtype, t->ndim, t->sizes, strides);
    ad_tensor *copy = like ? ad_apply_inplace(OP_copy, 2, (ad_tensor *[]){like, t}, NULL) : NULL;
    tensor_unref(like);
    if (copy) loans[(*n)++] = (loan){copy, t, back};
    return copy;
}

static int settle(loan *loans, int64_t n, int status) {
    for (int64_t k = 0; k < n; k++) {
        if (!status && loans[k].back) {
            ad_tensor *done = ad_apply_inplace(OP_copy, 2, (ad_tensor *[]){loans[k].of, loans[k].copy}, NULL);
            if (!done) status = -1;
            tensor_unref(done);
        }
        tensor_unref(loans[k].copy);
    }
    return status;
}

static bool alike(const ad_tensor *t, const int64_t *strides) {
    return dims_equal(t->ndim, t->strides, t->ndim, strides) ||
           (tensor_is_contiguous(t) && dims_contiguous(t->ndim, t->sizes, strides));
}

/* Gathers what belongs to the parameters that have a gradient, group after group: all that belongs to one
 * parameter in one gapless layout. */
static int64_t gather(int64_t n, const ad_handle *const *groups, int ngroups, int steps, ad_tensor **in,
                      loan *loans, int64_t *nloans) {
    int64_t live = 0, strides[AD_MAXDIM];
    for (int64_t k = 0; k < n; k++) {
        ad_tensor *p = (ad_tensor *)groups[0][k];
        if (tls.capture && program_touch_grad(p, false)) return -1;
        live += p->grad != NULL;
    }
    int64_t at = 0;
    for (int64_t k = 0; k < n; k++) {
        ad_tensor *p = (ad_tensor *)groups[0][k];
        if (!p->grad) continue;
        if (dims_dense(p->ndim, p->sizes, p->strides))
            memcpy(strides, p->strides, (size_t)p->ndim * sizeof *strides);
        else dims_contiguous_strides(p->ndim, p->sizes, strides);
        for (int q = 0; q <= ngroups; q++) { /* parameter, gradient, state */
            ad_tensor *t = q == 0 ? p : q == 1 ? p->grad : (ad_tensor *)groups[q - 1][k];
            bool counts = steps && q == ngroups;
            if (!counts && tensor_same_sizes(p, t) && !alike(t, strides) &&
                !(t = borrow(loans, nloans, t, strides, q != 1)))
                return -1;
            in[q * live + at] = t;
        }
        at++;
    }
    return live;
}

static int step(int op, int64_t n, const ad_handle *const *groups, int ngroups, int steps, ad_attr *at) {
    int64_t most = n * (ngroups + 1);
    size_t list = (size_t)(most + 1) * sizeof(ad_tensor *), bytes = list + (size_t)most * sizeof(loan);
    char room[1536], *block = bytes <= sizeof room ? room : mem_alloc(bytes);
    if (!block) return -1;
    ad_tensor **in = (ad_tensor **)block;
    loan *loans = (loan *)(block + list);
    int64_t nloans = 0;
    bool was = tls.no_grad;
    tls.no_grad = true;
    int64_t live = gather(n, groups, ngroups, steps, in, loans, &nloans);
    int status = live < 0 ? -1 : 0;
    if (live > 0) {
        at->i[0] = live;
        status = run_row(op, in, live * (ngroups + 1), at);
        if (!status) {
            bump_all(in, live);
            bump_all(in + 2 * live, live * (ngroups - 1));
        }
    }
    status = settle(loans, nloans, status);
    tls.no_grad = was;
    if (block != room) mem_free(block, bytes);
    return status;
}

int ad_sgd(int64_t n, const ad_handle *params, const ad_handle *buffers, double lr, double momentum,
           double dampening, double weight_decay, int nesterov, int maximize) {
    ad_attr at = {.i = {0, nesterov, maximize}, .f = {lr, momentum, dampening, weight_decay}};
    const ad_handle *groups[2] = {params, buffers};
    return step(OP_sgd_step, n, groups, buffers ? 2 : 1, 0, &at);
}

int ad_adam(int64_t n, const ad_handle *params, const ad_handle *exp_avgs, const ad_handle *exp_avg_sqs,
            const ad_handle *max_exp_avg_sqs, const ad_handle *steps, double lr, double beta1, double beta2,
            double eps, double weight_decay, int amsgrad, int decoupled, int maximize) {
    ad_attr at = {.i = {0, amsgrad, decoupled, maximize}, .f = {lr, beta1, beta2, eps, weight_decay}};
    const ad_handle *groups[5] = {params, exp_avgs, exp_avg_sqs, amsgrad ? max_exp_avg_sqs : steps, steps};
    return step(OP_adam_step, n, groups, amsgrad ? 5 : 4, 1, &at);
}

/* The tensors, each without gaps; `extra` more places follow. NULL with the error. */
static ad_tensor **gapless(const ad_handle *tensors, int64_t n, int extra, bool back, loan **loans,
                           int64_t *nloans, size_t *bytes) {
    size_t list = (size_t)(n + extra + 1) * sizeof(ad_tensor *);
    int64_t strides[AD_MAXDIM];
    *bytes = list + (size_t)n * sizeof(loan);
    char *block = mem_alloc(*bytes);
    if (!block) return NULL;
    ad_tensor **in = (ad_tensor **)block;
    *loans = (loan *)(block + list);
    *nloans = 0;
    for (int64_t k = 0; k < n; k++) {
        ad_tensor *t = (ad_tensor *)tensors[k];
        if (!dims_dense(t->ndim, t->sizes, t->strides)) {
            dims_contiguous_strides(t->ndim, t->sizes, strides);
            if (!(t = borrow(*loans, nloans, t, strides, back))) {
                settle(*loans, *nloans, -1);
                mem_free(block, *bytes);
                return NULL;
            }
        }
        in[k] = t;
    }
    return in;
}

ad_handle ad_total_norm(const ad_handle *tensors, int64_t n, double norm_type) {
    ad_attr at = {.f = {norm_type}};
    loan *loans;
    int64_t nloans;
    size_t bytes;
    bool was = tls.no_grad;
    tls.no_grad = true;
    ad_tensor *t = NULL, **in = gapless(tensors, n, 0, false, &loans, &nloans, &bytes);
    if (in) {
        t = ad_apply1(OP_total_norm, (int)n, in, &at);
        settle(loans, nloans, 0);
        mem_free(in, bytes);
    }
    tls.no_grad = was;
    return (ad_handle)t;
}

static int over_all(int op, const ad_handle *tensors, int64_t n, ad_handle last, double f) {
    loan *loans;
    int64_t nloans;
    size_t bytes;
    bool was = tls.no_grad;
    int status = -1;
    tls.no_grad = true;
    ad_tensor **in = gapless(tensors, n, 1, true, &loans, &nloans, &bytes);
    if (in) {
        in[n] = (ad_tensor *)last;
        ad_attr at = {.i = {n}, .f = {f}};
        status = run_row(op, in, n + (last != 0), &at);
        if (!status) bump_all(in, n);
        status = settle(loans, nloans, status);
        mem_free(in, bytes);
    }
    tls.no_grad = was;
    return status;
}

int ad_scale_to_norm(const ad_handle *tensors, int64_t n, ad_handle total, double max_norm) {
    return over_all(OP_scale_all, tensors, n, total, max_norm);
}
int ad_clip_values(const ad_handle *tensors, int64_t n, double limit) {
    return over_all(OP_clip_all, tensors, n, 0, limit);
}
