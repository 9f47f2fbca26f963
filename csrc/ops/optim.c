/* The optimizers' updates and gradient clipping: each is one row over all tensors of a group, so that a
 * step is one call, one pass over memory, and one wake-up of the threads. Hyperparameters are float
 * attributes: a captured program changes them between replays. */
#include <math.h>
#include <string.h>
#include "../core.h"
#include "../pool.h"
#include "../program.h"
#include "declare.h"
#include "optim.h"

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
static int check_arrays(const ad_call *c, int n, int arrays, const char *what) {
    for (int g = 0; g < arrays; g++)
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

/* ---- update rules (optim_rules.c). Inputs: the parameters, their gradients, then each array and each scalar
 * of their state. i[0] = number of parameters, i[1] = flags ---- */

/* The rows stand in the order of the rules. */
#define OPTIM(name, ...) _Static_assert((int)OP_##name##_step - OP_sgd_step == (int)OPTIM_##name, "ops.def");
#include "../kernels/optim.def"
#undef OPTIM
static const optim_rule *rule_of(const ad_op *op) { return &optim_rules[op - &ad_ops[OP_sgd_step]]; }

static int rule_arrays(const optim_rule *r, int flags) {
    return r->arrays + __builtin_popcount((unsigned)(flags & r->optional));
}

static int update_infer(ad_call *c) {
    const optim_rule *r = rule_of(c->op);
    int n = (int)c->at->i[0], arrays = rule_arrays(r, (int)c->at->i[1]);
    if (c->at->i[0] < 1 || c->at->i[0] > c->nin || c->nin != n * (arrays + r->scalars))
        return ad_fail(AD_ERR_RUNTIME, "%s: %d tensors for %d parameters, not %d", r->title, c->nin, n,
                       n * (arrays + r->scalars));
    if (check_arrays(c, n, arrays, r->title)) return -1;
    for (int k = 0; k < n * r->scalars; k++) {
        const ad_tensor *s = c->in[n * arrays + k];
        if (s->numel != 1 || s->storage->readonly)
            return ad_fail(AD_ERR_RUNTIME, "%s: the step count of parameter %d must be one number", r->title,
                           k % n);
    }
    return 0;
}

typedef struct update_task {
    const ad_call *c;
    const optim_rule *rule;
    int arrays;
} update_task;

static double *numbers_of(const ad_call *c, int k) { return (double *)c->scratch + k * OPTIM_NUMBERS; }

static size_t update_scratch(const ad_call *c) {
    return ((size_t)c->at->i[0] * OPTIM_NUMBERS + 1) * sizeof(double);
}

static void update_range(int64_t begin, int64_t end, void *ctx) {
    const update_task *w = ctx;
    const ad_call *c = w->c;
    int n = (int)c->at->i[0], flags = (int)c->at->i[1];
    part p = part_first(c, begin);
    for (int64_t k = begin; k < end; k++, part_next(c, &p, n)) {
        const ad_tensor *t[OPTIM_ARRAYS] = {NULL};
        void *q[OPTIM_ARRAYS];
        const double *h = numbers_of(c, p.t);
        for (int g = 0; g < w->arrays; g++) q[g] = element(t[g] = c->in[g * n + p.t], p.at);
        if (direct(t[0])) {
            kern->optim[w->rule->kernel][t[0]->dtype == AD_F64](p.n, q, h, flags);
            continue;
        }
        float room[OPTIM_ARRAYS][TILE];
        int d = t[0]->dtype;
        for (int g = 0; g < w->arrays; g++) q[g] = room[g];
        for (int64_t at = p.at, left = p.n; left > 0; at += TILE, left -= TILE) {
            int64_t m = left < TILE ? left : TILE;
            for (int g = 0; g < w->arrays; g++) dtype_loads[d][CT_F32](m, room[g], element(t[g], at), 2);
            kern->optim[w->rule->kernel][0](m, q, h, flags);
            for (int g = 0; g < w->arrays; g++)
                if (g != 1) dtype_stores[d][CT_F32](m, element(t[g], at), 2, room[g]);
        }
    }
}

/* The numbers of every parameter, and its step count and the like moved on. Most parameters are at the same
 * step: what was computed for the one before is used again. */
static void update_numbers(const ad_call *c, const optim_rule *r, int arrays) {
    int n = (int)c->at->i[0];
    double before[OPTIM_SCALARS], now[OPTIM_SCALARS], was[OPTIM_SCALARS];
    for (int k = 0; k < n; k++) {
        bool same = k > 0 && !r->by_size;
        for (int i = 0; i < r->scalars; i++) {
            now[i] = tensor_get_f64(c->in[(arrays + i) * n + k]);
            same = same && now[i] == was[i];
            before[i] = now[i];
        }
        if (same) memcpy(numbers_of(c, k), numbers_of(c, k - 1), OPTIM_NUMBERS * sizeof(double));
        else {
            int kept = r->scalars ? c->in[(arrays + r->scalars - 1) * n + k]->dtype : AD_F64;
            r->numbers(c->at, c->in[k], kept, now, numbers_of(c, k));
        }
        for (int i = 0; i < r->scalars; i++) {
            const ad_tensor *s = c->in[(arrays + i) * n + k], *last = c->in[(arrays + i) * n + k - (k > 0)];
            double v = same ? tensor_get_f64(last) : now[i];
            if (dtype_is_float(s->dtype)) dtype_stores[s->dtype][CT_F64](1, tensor_data(s), 0, &v);
            else dtype_stores[s->dtype][CT_I64](1, tensor_data(s), 0, &(int64_t){(int64_t)v});
            was[i] = before[i];
        }
    }
}

static void update_run(const ad_call *c) {
    update_task w = {c, rule_of(c->op), 0};
    w.arrays = rule_arrays(w.rule, (int)c->at->i[1]);
    update_numbers(c, w.rule, w.arrays);
    int n = (int)c->at->i[0];
    int64_t chunks = total_chunks(c, n);
    /* Long stretches, as memory likes them, while there are enough to share out. */
    int full = chunks < 2 * 32 ? 2 : chunks < 16 * 32 ? (int)(chunks / 32) : 16;
    pool_parallel_for(chunks, grain_of(c, n, full), update_range, &w);
}

#define OPTIM(name, ...)                                                                                     \
    int name##_step_infer(ad_call *c) { return update_infer(c); }                                            \
    size_t name##_step_scratch(const ad_call *c) { return update_scratch(c); }                               \
    void name##_step_run(const ad_call *c) { update_run(c); }
#include "../kernels/optim.def"
#undef OPTIM

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
    int n = (int)c->at->i[0], total = c->op == &ad_ops[OP_scale_all];
    if (c->at->i[0] < 1 || c->at->i[0] > c->nin || c->nin != n + total || (total && c->in[n]->numel != 1))
        return ad_fail(AD_ERR_RUNTIME, "%s: %d tensors, not %d", c->op->name, c->nin, n + total);
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

/* A stand-in for a tensor that the kernels cannot walk, with these strides or contiguous (NULL); what is
 * written is copied back afterwards. */
typedef struct loan {
    ad_tensor *copy, *of;
    bool back;
} loan;

static ad_tensor *borrow(loan *loans, int64_t *n, ad_tensor *t, const int64_t *strides, bool back) {
    int64_t contiguous[AD_MAXDIM];
    if (back && graph_check_inplace(t, false)) return NULL;
    if (!strides) dims_contiguous_strides(t->ndim, t->sizes, contiguous);
    if (!strides) strides = contiguous;
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

/* Gathers what belongs to the parameters that have a gradient, group after group: all arrays of one parameter
 * in one gapless layout. */
static int64_t gather(int64_t n, const ad_handle *const *groups, int ngroups, int scalars, bool rows,
                      ad_tensor **in, loan *loans, int64_t *nloans, bool *sparse) {
    int64_t live = 0, strides[AD_MAXDIM];
    for (int64_t k = 0; k < n; k++) {
        ad_tensor *p = (ad_tensor *)groups[0][k];
        *sparse |= p->rows != NULL;
        if (tls.capture && program_touch_grad(p, false)) return -1;
        live += p->grad != NULL;
    }
    int64_t at = 0;
    for (int64_t k = 0; k < n; k++) {
        ad_tensor *p = (ad_tensor *)groups[0][k];
        if (!p->grad) continue;
        if (!rows && dims_dense(p->ndim, p->sizes, p->strides))
            memcpy(strides, p->strides, (size_t)p->ndim * sizeof *strides);
        else dims_contiguous_strides(p->ndim, p->sizes, strides);
        for (int q = 0; q <= ngroups; q++) { /* parameter, gradient, state */
            ad_tensor *t = q == 0 ? p : q == 1 ? p->grad : (ad_tensor *)groups[q - 1][k];
            if (q <= ngroups - scalars &&
                (rows ? !tensor_is_contiguous(t) : tensor_same_sizes(p, t) && !alike(t, strides)) &&
                !(t = borrow(loans, nloans, t, q < 2 || tensor_same_sizes(p, t) ? strides : NULL, q != 1)))
                return -1;
            in[q * live + at] = t;
        }
        at++;
    }
    return live;
}

int ad_optim_step(int op, int64_t n, const ad_handle *const *tensors, int count, int scalars, int64_t flags,
                  const double *numbers, int nnumbers) {
    ad_attr at = {.i = {0, flags}};
    if (nnumbers > (int)(sizeof at.f / sizeof *at.f) || nnumbers < 0 || scalars < 0 || scalars >= count)
        return ad_fail(AD_ERR_RUNTIME, "an optimizer takes at most 6 numbers and has at least one parameter");
    memcpy(at.f, numbers, (size_t)nnumbers * sizeof *numbers);
    int64_t most = n * (count + 1);
    size_t list = (size_t)(most + 1) * sizeof(ad_tensor *), bytes = list + (size_t)most * sizeof(loan);
    char room[1536], *block = bytes <= sizeof room ? room : mem_alloc(bytes);
    if (!block) return -1;
    ad_tensor **in = (ad_tensor **)block;
    loan *loans = (loan *)(block + list);
    int64_t nloans = 0;
    bool was = tls.no_grad, sparse = false;
    tls.no_grad = true;
    int64_t live = gather(n, tensors, count, scalars, op == OP_adafactor_step, in, loans, &nloans, &sparse);
    int status = live < 0 ? -1 : 0;
    if (live > 0) {
        at.i[0] = live;
        status = run_row(op, in, live * (count + 1), &at);
        if (!status) {
            bump_all(in, live);
            bump_all(in + 2 * live, live * (count - 1));
        }
    }
    status = settle(loans, nloans, status);
    tls.no_grad = was;
    if (block != room) mem_free(block, bytes);
    return status ? status : sparse;
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
