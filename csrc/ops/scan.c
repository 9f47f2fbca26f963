/* Scans along a dimension: cumulative sums, products, maxima. i[0] = dimension, i[1] = dtype or -1 (sums and
 * products), i[2] = from the end. */
#include <math.h>
#include <string.h>
#include "../pool.h"
#include "declare.h"
#include "lines.h"

#define TILE 512
#define WORK 32768

typedef union value {
    float f;
    double d;
    int64_t i;
} value;

enum { SUM, PROD, LOGSUMEXP, MAX, MIN, LINEAR };

typedef struct scan {
    lines l;
    int kind, ct;
    bool reversed;
    const ad_tensor *x, *b;
    ad_tensor *y, *index;
} scan;

/* Float sums are carried in double, so that a long line loses nothing. */
static void step_f(const scan *s, int64_t n, int64_t from, const void *px, const void *pb, void *py,
                   double *carry, int64_t *at, int64_t *index) {
#define LOOP(T, ...)                                                                                         \
    {                                                                                                        \
        const T *x = px, *b = pb;                                                                            \
        T *y = py;                                                                                           \
        (void)b;                                                                                             \
        for (int64_t k = 0; k < n; k++) {                                                                    \
            __VA_ARGS__;                                                                                     \
            y[k] = (T)c;                                                                                     \
        }                                                                                                    \
    }
#define BOTH(...)                                                                                            \
    if (s->ct == CT_F32) LOOP(float, __VA_ARGS__) else LOOP(double, __VA_ARGS__)
    double c = *carry;
    switch (s->kind) {
    case SUM:
        BOTH(c += x[k]) break;
    case PROD:
        BOTH(c *= x[k]) break;
    case LOGSUMEXP:
        BOTH({
            double hi = c > x[k] ? c : x[k], lo = c > x[k] ? x[k] : c;
            c = isnan(c) || isnan(x[k]) ? NAN : isinf(hi) ? hi : hi + log1p(exp(lo - hi));
        })
        break;
    case LINEAR:
        BOTH(c = (from + k ? c * x[k] : 0) + b[k]) break;
    default:
        BOTH({
            bool first = from + k == 0;
            if (first || isnan(x[k]) || (!isnan(c) && (s->kind == MAX ? x[k] >= c : x[k] <= c))) {
                c = x[k];
                *at = from + k;
            }
            index[k] = *at;
        })
    }
    *carry = c;
}

static void step_i(const scan *s, int64_t n, int64_t from, const int64_t *x, int64_t *y, int64_t *carry,
                   int64_t *at, int64_t *index) {
    int64_t c = *carry;
    for (int64_t k = 0; k < n; k++) {
        if (s->kind == SUM) c = (int64_t)((uint64_t)c + (uint64_t)x[k]);
        else if (s->kind == PROD) c = (int64_t)((uint64_t)c * (uint64_t)x[k]);
        else {
            if (from + k == 0 || (s->kind == MAX ? x[k] >= c : x[k] <= c)) {
                c = x[k];
                *at = from + k;
            }
            index[k] = *at;
        }
        y[k] = c;
    }
    *carry = c;
}

static void scan_lines(int64_t begin, int64_t end, void *ctx) {
    const scan *s = ctx;
    const lines *l = &s->l;
    _Alignas(64) char tx[TILE * 8], tb[TILE * 8], ty[TILE * 8];
    int64_t index[TILE];
    int64_t xs = dtype_size[s->x->dtype], ys = dtype_size[s->y->dtype];
    int64_t dir = s->reversed ? -1 : 1;
    for (int64_t i = begin; i < end; i++) {
        int64_t start = line_start(l, i, l->n) + (s->reversed ? (l->n - 1) * l->inner : 0), at = 0;
        int64_t ci = s->kind == PROD;
        double cf = s->kind == PROD ? 1 : s->kind == LOGSUMEXP ? -INFINITY : 0;
        for (int64_t k = 0; k < l->n; k += TILE) {
            int64_t n = l->n - k < TILE ? l->n - k : TILE, p = start + dir * k * l->inner,
                    step = dir * l->inner;
            /* going up from the end, the factor of a linear scan is the neighbour's that was visited before
             */
            int64_t shifted = s->kind == LINEAR && s->reversed ? 1 : 0;
            const char *px = (char *)tensor_data(s->x) + (p + shifted * l->inner) * xs;
            if (shifted && k == 0) {
                memset(tx, 0, 8); /* not used: nothing was visited before */
                if (n > 1)
                    dtype_loads[s->x->dtype][s->ct](n - 1, tx + ct_size[s->ct], px + step * xs, step * xs);
            } else dtype_loads[s->x->dtype][s->ct](n, tx, px, step * xs);
            if (s->b)
                dtype_loads[s->b->dtype][s->ct](n, tb,
                                                (char *)tensor_data(s->b) + p * dtype_size[s->b->dtype],
                                                step * dtype_size[s->b->dtype]);
            if (s->ct == CT_I64) step_i(s, n, k, (const int64_t *)tx, (int64_t *)ty, &ci, &at, index);
            else step_f(s, n, k, tx, tb, ty, &cf, &at, index);
            dtype_stores[s->y->dtype][s->ct](n, (char *)tensor_data(s->y) + p * ys, step * ys, ty);
            if (s->index)
                for (int64_t j = 0; j < n; j++) ((int64_t *)tensor_data(s->index))[p + j * step] = index[j];
        }
    }
}

/* Sums and products that need no conversion: lines along the last dimension, or columns side by side. */
static void plain_lines(int64_t begin, int64_t end, void *ctx) {
    const scan *s = ctx;
    int64_t n = s->l.n, es = dtype_size[s->y->dtype], at = (begin * n + (s->reversed ? n - 1 : 0)) * es;
    kern->scan_lines[s->ct](end - begin, n, (char *)tensor_data(s->x) + at, (char *)tensor_data(s->y) + at, n,
                            s->reversed ? -1 : 1, s->kind == PROD);
}
static void plain_columns(int64_t begin, int64_t end, void *ctx) {
    const scan *s = ctx;
    const lines *l = &s->l;
    int64_t es = dtype_size[s->y->dtype];
    for (int64_t i = begin, m; i < end; i += m) {
        int64_t in = i % l->inner;
        m = l->inner - in < end - i ? l->inner - in : end - i;
        int64_t at = (line_start(l, i, l->n) + (s->reversed ? (l->n - 1) * l->inner : 0)) * es;
        kern->scan_columns[s->ct](l->n, m, (char *)tensor_data(s->x) + at, (char *)tensor_data(s->y) + at,
                                  s->reversed ? -l->inner : l->inner, s->kind == PROD);
    }
}

/* Maxima and minima of lines that need no conversion. The latest of equal ones counts, and NaN wins. */
#define EXTREMES(T, start, sign)                                                                             \
    {                                                                                                        \
        const T *x = (const T *)tensor_data(s->x) + i * n;                                                   \
        T *y = (T *)tensor_data(s->y) + i * n, top = start;                                                  \
        for (int64_t k = 0, at = 0; k < n; k++) {                                                            \
            bool take = (x[k] sign top) | (x[k] != x[k]);                                                    \
            top = take ? x[k] : top;                                                                         \
            at = take ? k : at;                                                                              \
            y[k] = top;                                                                                      \
            index[k] = at;                                                                                   \
        }                                                                                                    \
    }
static void extreme_lines(int64_t begin, int64_t end, void *ctx) {
    const scan *s = ctx;
    int64_t n = s->l.n;
    for (int64_t i = begin; i < end; i++) {
        int64_t *index = (int64_t *)tensor_data(s->index) + i * n;
        if (s->kind == MAX) {
            if (s->ct == CT_F32) EXTREMES(float, -INFINITY, >=)
            else if (s->ct == CT_F64) EXTREMES(double, -INFINITY, >=)
            else EXTREMES(int64_t, INT64_MIN, >=)
        } else {
            if (s->ct == CT_F32) EXTREMES(float, INFINITY, <=)
            else if (s->ct == CT_F64) EXTREMES(double, INFINITY, <=)
            else EXTREMES(int64_t, INT64_MAX, <=)
        }
    }
}

static void run_scan(const ad_call *c, int kind, bool reversed) {
    ad_tensor *y = c->out[0];
    if (!y->numel) return;
    scan s = {.kind = kind, .ct = dtype_compute(y->dtype), .reversed = reversed, .x = c->in[0], .y = y};
    if (kind == LINEAR) s.b = c->in[1];
    if (kind == MAX || kind == MIN) s.index = c->out[1];
    s.l = lines_of(y->ndim, y->sizes, c->at->i[0]);
    bool plain = s.x->dtype == y->dtype && (y->dtype == AD_F32 || y->dtype == AD_F64 || y->dtype == AD_I64);
    int64_t grain = lines_grain(&s.l, WORK);
    if (plain && (kind == SUM || kind == PROD)) {
        if (s.l.inner > 1) grain = (grain + 63) / 64 * 64; /* columns of a cache line or more */
        else if (grain < 4 && s.l.count >= 16) grain = 4;  /* as many as go together */
        pool_parallel_for(s.l.count, grain, s.l.inner > 1 ? plain_columns : plain_lines, &s);
        return;
    }
    bool extremes = plain && s.index && s.l.inner == 1;
    pool_parallel_for(s.l.count, grain, extremes ? extreme_lines : scan_lines, &s);
}

static int infer_scan(ad_call *c, int dtype) {
    if (dim_wrap(c->at->i[0], c->in[0]->ndim) < 0) return -1;
    spec_like(&c->spec[0], c->in[0]);
    c->spec[0].dtype = (uint8_t)dtype;
    return 0;
}
static int summed(const ad_call *c) {
    int d = c->in[0]->dtype;
    return c->at->i[1] >= 0 ? (int)c->at->i[1] : dtype_is_int(d) ? AD_I64 : d;
}

/* ---- cumsum ---- */

int cumsum_infer(ad_call *c) { return infer_scan(c, summed(c)); }
void cumsum_run(const ad_call *c) { run_scan(c, SUM, c->at->i[2]); }
void cumsum_vjp(ad_vjp *v) {
    v->gin[0] =
        em_cast(&v->E, em1i(&v->E, OP_cumsum, v->g[0], v->at->i[0], -1, !v->at->i[2]), vjp_meta(v, 0)->dtype);
}

/* ---- linear_scan(a, b): y[k] = a[k] * y[k - 1] + b[k], and from the end y[k] = a[k + 1] * y[k + 1] + b[k].
 * The two are each other's adjoints, so gradients of any order are linear scans. i[1] = from the end. ---- */

int linear_scan_infer(ad_call *c) { return infer_scan(c, c->in[1]->dtype); }
void linear_scan_run(const ad_call *c) { run_scan(c, LINEAR, c->at->i[1]); }
static ad_tensor *em_scan(ad_em *E, ad_tensor *a, ad_tensor *b, int64_t dim, bool reversed) {
    ad_attr at = {.i = {dim, reversed}};
    return a && b ? em_op(E, OP_linear_scan, 2, (ad_tensor *[]){a, b}, &at) : NULL;
}
static ad_tensor *em_shift(ad_em *E, ad_tensor *x, int64_t dim, int by, int fill) {
    return em1i(E, OP_shift, x, dim, by, fill);
}
void linear_scan_vjp(ad_vjp *v) {
    int64_t dim = v->at->i[0], back = v->at->i[1];
    ad_tensor *y = vjp_out(v, 0), *s = em_scan(&v->E, vjp_in(v, 0), v->g[0], dim, !back);
    v->gin[1] = s;
    if (vjp_needs(v, 0))
        v->gin[0] = back ? em2(&v->E, OP_mul, em_shift(&v->E, s, dim, 1, 0), y)
                         : em2(&v->E, OP_mul, s, em_shift(&v->E, y, dim, 1, 0));
}
void linear_scan_jvp(ad_jvp *j) { /* y' = scan(a, a' y_before + b') */
    const ad_call *c = j->c;
    int64_t dim = c->at->i[0], back = c->at->i[1];
    ad_tensor *b = j->t[1];
    if (j->t[0]) {
        ad_tensor *t = back ? em_shift(&j->E, j->t[0], dim, -1, 0) : j->t[0];
        ad_tensor *m = em2(&j->E, OP_mul, t, em_shift(&j->E, c->out[0], dim, back ? -1 : 1, 0));
        b = b ? em2(&j->E, OP_add, b, m) : m;
    }
    j->tout[0] = em_scan(&j->E, c->in[0], b, dim, back);
}

/* ---- shift: every element one place along the dimension, i[1] = 1 or -1, the free place filled with i[2]
 * (-1: minus infinity) ---- */

int shift_infer(ad_call *c) { return infer_scan(c, c->in[0]->dtype); }
void shift_run(const ad_call *c) {
    const ad_tensor *x = c->in[0];
    ad_tensor *y = c->out[0];
    if (!y->numel) return;
    lines l = lines_of(y->ndim, y->sizes, c->at->i[0]);
    int64_t es = dtype_size[y->dtype], row = l.inner * es, up = c->at->i[1] > 0;
    double fill = c->at->i[2] < 0 ? -INFINITY : (double)c->at->i[2];
    for (int64_t o = 0; o < l.outer; o++) {
        char *py = (char *)tensor_data(y) + o * l.n * row;
        const char *px = (char *)tensor_data(x) + o * l.n * row;
        memcpy(py + up * row, px + !up * row, (size_t)((l.n - 1) * row));
        char *gap = py + (up ? 0 : (l.n - 1) * row);
        for (int64_t i = 0; i < l.inner; i++) dtype_stores[y->dtype][CT_F64](1, gap + i * es, es, &fill);
    }
}
void shift_vjp(ad_vjp *v) { v->gin[0] = em_shift(&v->E, v->g[0], v->at->i[0], (int)-v->at->i[1], 0); }
void shift_jvp(ad_jvp *j) { j->tout[0] = em_shift(&j->E, j->t[0], j->c->at->i[0], (int)j->c->at->i[1], 0); }

/* ---- cumprod ---- */

int cumprod_infer(ad_call *c) { return infer_scan(c, summed(c)); }
void cumprod_run(const ad_call *c) { run_scan(c, PROD, false); }
void cumprod_vjp(
    ad_vjp *v) { /* products before each element times the scan of what comes after: right at zeros */
    int64_t dim = v->at->i[0];
    ad_tensor *x = em_cast(&v->E, vjp_in(v, 0), v->g[0]->dtype);
    ad_tensor *before = em_shift(&v->E, em1i(&v->E, OP_cumprod, x, dim, -1, 0), dim, 1, 1);
    v->gin[0] = em2(&v->E, OP_mul, em_scan(&v->E, x, v->g[0], dim, true), before);
}
void cumprod_jvp(ad_jvp *j) {
    const ad_call *c = j->c;
    int64_t dim = c->at->i[0];
    ad_tensor *x = em_cast(&j->E, c->in[0], c->out[0]->dtype),
              *before = em_shift(&j->E, c->out[0], dim, 1, 1);
    j->tout[0] =
        em_scan(&j->E, x, em2(&j->E, OP_mul, em_cast(&j->E, j->t[0], c->out[0]->dtype), before), dim, false);
}

/* ---- logcumsumexp ---- */

int logcumsumexp_infer(ad_call *c) {
    int d = c->in[0]->dtype;
    if (!dtype_is_float(d))
        return ad_fail(AD_ERR_NOT_IMPLEMENTED, "\"logcumsumexp_out_cpu\" not implemented for '%s'",
                       dtype_class[d]);
    return infer_scan(c, d);
}
void logcumsumexp_run(const ad_call *c) { run_scan(c, LOGSUMEXP, false); }
/* With w[k] = exp(y[k-1] - y[k]) <= 1 and e[k] = exp(x[k] - y[k]) <= 1: y'[k] = w[k] y'[k-1] + e[k] x'[k].
 * Where y is -inf nothing has been added yet, and both are taken as 0. */
static void logcumsumexp_weights(ad_em *E, ad_tensor *x, ad_tensor *y, int64_t dim, ad_tensor **w,
                                 ad_tensor **e) {
    ad_tensor *low = em2(E, OP_eq, y, em_const(E, -INFINITY));
    ad_tensor *floor = em3(E, OP_where, low, em_const(E, 0), y);
    *w = em1(E, OP_exp, em2(E, OP_sub, em_shift(E, y, dim, 1, -1), floor));
    *e = em1(E, OP_exp, em2(E, OP_sub, x, floor));
}
void logcumsumexp_vjp(ad_vjp *v) {
    int64_t dim = v->at->i[0];
    ad_tensor *w, *e;
    logcumsumexp_weights(&v->E, vjp_in(v, 0), vjp_out(v, 0), dim, &w, &e);
    v->gin[0] = em2(&v->E, OP_mul, e, em_scan(&v->E, w, v->g[0], dim, true));
}
void logcumsumexp_jvp(ad_jvp *j) {
    int64_t dim = j->c->at->i[0];
    ad_tensor *w, *e;
    logcumsumexp_weights(&j->E, j->c->in[0], j->c->out[0], dim, &w, &e);
    j->tout[0] = em_scan(&j->E, w, em2(&j->E, OP_mul, e, j->t[0]), dim, false);
}

/* ---- cummax, cummin ---- */

static int infer_extreme(ad_call *c) {
    if (infer_scan(c, c->in[0]->dtype)) return -1;
    spec_like(&c->spec[1], c->in[0]);
    c->spec[1].dtype = AD_I64;
    c->spec[1].nondiff = true;
    return 0;
}
static void extreme_vjp(ad_vjp *v) {
    const ad_meta *m = vjp_meta(v, 0);
    int64_t dim = v->at->i[0], n = m->ndim ? m->sizes[dim < 0 ? dim + m->ndim : dim] : 1;
    if (!v->g[0]) return;
    ad_attr at = {.i = {dim, n}};
    ad_tensor *index = vjp_out(v, 1);
    if (index) v->gin[0] = em_op(&v->E, OP_put, 2, (ad_tensor *[]){v->g[0], index}, &at);
}
static void extreme_jvp(ad_jvp *j) {
    ad_attr at = {.i = {j->c->at->i[0]}};
    j->tout[0] = em_op(&j->E, OP_pick, 2, (ad_tensor *[]){j->t[0], j->c->out[1]}, &at);
}
int cummax_infer(ad_call *c) { return infer_extreme(c); }
int cummin_infer(ad_call *c) { return infer_extreme(c); }
void cummax_run(const ad_call *c) { run_scan(c, MAX, false); }
void cummin_run(const ad_call *c) { run_scan(c, MIN, false); }
void cummax_vjp(ad_vjp *v) { extreme_vjp(v); }
void cummin_vjp(ad_vjp *v) { extreme_vjp(v); }
void cummax_jvp(ad_jvp *j) { extreme_jvp(j); }
void cummin_jvp(ad_jvp *j) { extreme_jvp(j); }
