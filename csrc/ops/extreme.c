/* The extreme of each line along a dimension with its position; reading at positions, and its adjoint. */
#include <math.h>
#include <string.h>
#include "../pool.h"
#include "index.h"
#include "order.h"

#define TILE 1024
#define WORK 32768

/* values and indices of a dimension that goes away */
int order_infer_select(ad_call *c, const char *name) {
    const ad_tensor *x = c->in[0];
    int d = dim_wrap(c->at->i[0], x->ndim);
    if (d < 0) return -1;
    if (x->ndim && !x->sizes[d])
        return ad_fail(AD_ERR_INDEX, "%s(): Expected reduction dim %d to have non-zero size.", name, d);
    ad_spec *s = &c->spec[0];
    int n = 0;
    for (int k = 0; k < x->ndim; k++)
        if (k != d || c->at->i[1]) s->sizes[n++] = k == d ? 1 : x->sizes[k];
    s->ndim = (uint8_t)n;
    s->dtype = x->dtype;
    if (c->nout == 1) {
        s->dtype = AD_I64;
        return 0;
    }
    c->spec[1].ndim = s->ndim;
    memcpy(c->spec[1].sizes, s->sizes, (size_t)n * sizeof *s->sizes);
    c->spec[1].dtype = AD_I64;
    c->spec[1].nondiff = true;
    return 0;
}

/* ---- pick and put: reading at positions along a dimension, and its adjoint ---- */

static int infer_positions(const ad_call *c, const ad_tensor *index, const ad_tensor *like) {
    if (index->dtype != AD_I64)
        return ad_fail(AD_ERR_RUNTIME, "%s: positions must be int64, not %s", c->op->name,
                       dtype_name[index->dtype]);
    bool fit = index->ndim == like->ndim;
    int d = dim_wrap(c->at->i[0], index->ndim);
    if (d < 0) return -1;
    for (int k = 0; k < index->ndim && fit; k++) fit = k == d || index->sizes[k] == like->sizes[k];
    if (!fit)
        return ad_fail(AD_ERR_RUNTIME, "%s: positions of size %s do not fit %s", c->op->name,
                       fmt_sizes(index->ndim, index->sizes), fmt_sizes(like->ndim, like->sizes));
    return 0;
}
int pick_infer(ad_call *c) {
    if (infer_positions(c, c->in[1], c->in[0])) return -1;
    if (c->in[1]->numel && !c->in[0]->numel) return ad_fail(AD_ERR_INDEX, "pick: nothing to read");
    spec_like(&c->spec[0], c->in[1]);
    c->spec[0].dtype = c->in[0]->dtype;
    return 0;
}
int put_infer(ad_call *c) { /* i[1] = size along the dimension */
    const ad_tensor *g = c->in[0], *index = c->in[1];
    int d = dim_wrap(c->at->i[0], g->ndim);
    if (infer_positions(c, index, g)) return -1;
    if (!tensor_same_sizes(g, index) || c->at->i[1] < 0 || (index->numel && !c->at->i[1]))
        return ad_fail(AD_ERR_RUNTIME, "put: positions of size %s for %s elements of size %s",
                       fmt_sizes(index->ndim, index->sizes), fmt_sizes(1, &c->at->i[1]),
                       fmt_sizes(g->ndim, g->sizes));
    spec_like(&c->spec[0], g);
    if (g->ndim) c->spec[0].sizes[d] = c->at->i[1];
    return 0;
}

typedef struct placing { /* what pick and put share: lines of `index`, lines of n positions beside them */
    lines l;
    int64_t n;
    int dtype;
    const int64_t *at;
    char *whole, *part;
} placing;

/* A replay may meet positions that are out of range: memory stays safe. */
static inline int64_t place_safe(int64_t at, int64_t n) { return (uint64_t)at < (uint64_t)n ? at : 0; }
#define PLACES(...)                                                                                          \
    for (int64_t o = begin; o < end; o++) {                                                                  \
        const int64_t *at = j->at + o * l->n * l->inner;                                                     \
        for (int64_t k = 0; k < l->n; k++, at += l->inner)                                                   \
            for (int64_t i = 0; i < l->inner; i++) {                                                         \
                int64_t to = (o * j->n + place_safe(at[i], j->n)) * l->inner + i,                            \
                        from = (o * l->n + k) * l->inner + i;                                                \
                __VA_ARGS__;                                                                                 \
            }                                                                                                \
    }
#define PICK(T) PLACES(((T *)j->part)[from] = ((const T *)j->whole)[to]) break;
static void pick_range(int64_t begin, int64_t end, void *ctx) {
    const placing *j = ctx;
    const lines *l = &j->l;
    switch (dtype_size[j->dtype]) {
    case 1:
        PICK(uint8_t)
    case 2:
        PICK(uint16_t)
    case 4:
        PICK(uint32_t)
    default:
        PICK(uint64_t)
    }
}
#define PUT(T) PLACES(((T *)j->whole)[to] += ((const T *)j->part)[from]) break;
static void put_range(int64_t begin, int64_t end, void *ctx) {
    const placing *j = ctx;
    const lines *l = &j->l;
    int64_t es = dtype_size[j->dtype];
    memset(j->whole + begin * j->n * l->inner * es, 0, (size_t)((end - begin) * j->n * l->inner * es));
    switch (j->dtype) {
    case AD_F32:
        PUT(float)
    case AD_F64:
        PUT(double)
    case AD_I64:
        PUT(uint64_t)
    default:
        PLACES(row_add(j->dtype, 1, j->whole + to * es, 1, j->part + from * es, 1))
    }
}
static void place(const ad_call *c, const ad_tensor *whole, const ad_tensor *part, pool_fn fn) {
    const ad_tensor *index = c->in[1];
    placing j = {.l = lines_of(index->ndim, index->sizes, c->at->i[0]),
                 .n = order_dim_size(whole, c->at->i[0]),
                 .dtype = whole->dtype,
                 .at = tensor_data(index),
                 .whole = tensor_data(whole),
                 .part = tensor_data(part)};
    int64_t grain = WORK / 2 / ((j.n + 2 * j.l.n) * j.l.inner + 1);
    pool_parallel_for(j.l.outer, grain ? grain : 1, fn, &j);
}
void pick_run(const ad_call *c) {
    if (c->in[1]->numel) place(c, c->in[0], c->out[0], pick_range);
}
void put_run(const ad_call *c) {
    if (c->out[0]->numel) place(c, c->out[0], c->in[0], put_range);
}
void pick_vjp(ad_vjp *v) {
    const ad_meta *m = vjp_meta(v, 0);
    ad_attr at = {.i = {v->at->i[0], m->ndim ? m->sizes[dim_wrap(v->at->i[0], m->ndim)] : 1}};
    ad_tensor *index = vjp_in(v, 1);
    if (index) v->gin[0] = em_op(&v->E, OP_put, 2, (ad_tensor *[]){v->g[0], index}, &at);
}
void put_vjp(ad_vjp *v) {
    ad_attr at = {.i = {v->at->i[0]}};
    ad_tensor *index = vjp_in(v, 1);
    if (index) v->gin[0] = em_op(&v->E, OP_pick, 2, (ad_tensor *[]){v->g[0], index}, &at);
}

/* The gradient of values that were read at the second output's positions; a dropped dimension comes back
 * as 1. */
void order_chosen_vjp(ad_vjp *v, bool reduces) {
    const ad_meta *m = vjp_meta(v, 0);
    if (!v->g[0]) return;
    ad_tensor *g = v->g[0], *index = vjp_out(v, 1);
    int64_t sizes[AD_MAXDIM];
    int d = dim_wrap(v->at->i[0], m->ndim);
    ad_attr at = {.i = {d, m->ndim ? m->sizes[d] : 1}};
    if (reduces && m->ndim) {
        memcpy(sizes, m->sizes, m->ndim * sizeof *sizes);
        sizes[d] = 1;
        g = em_reshape(&v->E, g, m->ndim, sizes);
        index = em_reshape(&v->E, index, m->ndim, sizes);
    }
    if (g && index) v->gin[0] = em_op(&v->E, OP_put, 2, (ad_tensor *[]){g, index}, &at);
}
void order_chosen_jvp(ad_jvp *j, bool reduces) {
    const ad_tensor *x = j->c->in[0];
    int64_t sizes[AD_MAXDIM];
    int d = dim_wrap(j->c->at->i[0], x->ndim);
    ad_attr at = {.i = {d}};
    ad_tensor *index = j->c->out[1], *y = j->c->out[0];
    if (reduces && x->ndim) {
        memcpy(sizes, x->sizes, x->ndim * sizeof *sizes);
        sizes[d] = 1;
        index = em_reshape(&j->E, index, x->ndim, sizes);
    }
    if (index)
        j->tout[0] = em_reshape(&j->E, em_op(&j->E, OP_pick, 2, (ad_tensor *[]){j->t[0], index}, &at),
                                y->ndim, y->sizes);
}
ORDER_CHOSEN(max_dim, true)
ORDER_CHOSEN(min_dim, true)

/* ---- the extreme of each line, and where it first stands; NaN wins ---- */

typedef struct extreme {
    int nd;                                   /* kept dimensions, neighbours merged */
    int64_t size[AD_MAXDIM], step[AD_MAXDIM]; /* steps in elements */
    int64_t n, along, count;                  /* places of a line, the step between them, lines */
    const ad_tensor *x;
    bool least;
    ad_tensor *value; /* or NULL */
    int64_t *index;
} extreme;

static const char *extreme_line(const extreme *e, int64_t i) {
    int64_t at = 0;
    for (int d = e->nd - 1; d >= 0; d--) {
        at += i % e->size[d] * e->step[d];
        i /= e->size[d];
    }
    return (char *)tensor_data(e->x) + at * dtype_size[e->x->dtype];
}

static void extreme_lines(int64_t begin, int64_t end, void *ctx) {
    const extreme *e = ctx;
    _Alignas(64) char tile[TILE * 8];
    int dt = e->x->dtype, ct = dtype_compute(dt);
    int64_t es = dtype_size[dt];
    bool native = dt == AD_F32 || dt == AD_F64 || dt == AD_I64, direct = e->along == 1 && native;
    fold_kernel kernel = kern->fold[e->least ? RED_min : RED_max][ct];
    if (native && !direct && e->nd && e->step[e->nd - 1] == 1 && e->n <= INT32_MAX) {
        int64_t side = e->size[e->nd - 1];
        for (int64_t i = begin, m; i < end; i += m) { /* columns side by side */
            m = side - i % side;
            if (m > end - i) m = end - i;
            if (m > TILE) m = TILE;
            char *top = e->value ? (char *)tensor_data(e->value) + i * es : tile;
            kern->extreme_cols[ct](e->n, m, e->along, extreme_line(e, i), e->least, top, e->index + i);
        }
        return;
    }
    for (int64_t i = begin; i < end; i++) {
        const char *base = extreme_line(e, i);
        int64_t best = 0;
        union {
            float f;
            double d;
            int64_t i;
        } top, m;
        for (int64_t k = 0; k < e->n; k += TILE) {
            int64_t n = e->n - k < TILE ? e->n - k : TILE, at = 0;
            const void *p = base + k * e->along * es;
            if (!direct) {
                dtype_loads[dt][ct](n, tile, p, e->along * es);
                p = tile;
            }
            kernel(n, p, NULL, &m);
            bool better;
#define FIND(T, f)                                                                                           \
    better = !k || (e->least ? m.f < top.f : m.f > top.f) || (m.f != m.f && top.f == top.f);                 \
    if (better) {                                                                                            \
        const T *q = p;                                                                                      \
        if (m.f != m.f)                                                                                      \
            while (q[at] == q[at]) at++;                                                                     \
        else                                                                                                 \
            while (q[at] != m.f) at++;                                                                       \
        best = k + at;                                                                                       \
        top.f = m.f;                                                                                         \
    }
            if (ct == CT_F32) {
                FIND(float, f)
            } else if (ct == CT_F64) {
                FIND(double, d)
            } else {
                FIND(int64_t, i)
            }
        }
        e->index[i] = best;
        if (e->value) memcpy((char *)tensor_data(e->value) + i * es, base + best * e->along * es, (size_t)es);
    }
}

/* Along dimension `dim`, whatever the strides; `flat`: of all elements, contiguous ones. */
static void run_extreme(const ad_call *c, bool flat, bool least) {
    const ad_tensor *x = c->in[0];
    extreme e = {
        .n = 1, .along = 1, .count = 1, .x = x, .least = least, .index = tensor_data(c->out[c->nout - 1])};
    if (c->nout == 2) e.value = c->out[0];
    int dim = flat || !x->ndim ? -1 : dim_wrap(c->at->i[0], x->ndim);
    if (flat) e.n = x->numel;
    for (int d = 0; d < x->ndim && !flat; d++) {
        if (d == dim) e.n = x->sizes[d], e.along = e.n > 1 ? x->strides[d] : 1;
        if (d == dim || x->sizes[d] == 1) continue;
        e.count *= x->sizes[d];
        if (e.nd && e.step[e.nd - 1] == x->sizes[d] * x->strides[d]) e.size[e.nd - 1] *= x->sizes[d];
        else e.size[e.nd++] = x->sizes[d];
        e.step[e.nd - 1] = x->strides[d];
    }
    int64_t grain = WORK / e.n;
    if (e.along != 1) grain = (grain + 63) / 64 * 64; /* columns of whole cache lines */
    pool_parallel_for(e.count, grain, extreme_lines, &e);
}

int max_dim_infer(ad_call *c) { return order_infer_select(c, "max"); }
int min_dim_infer(ad_call *c) { return order_infer_select(c, "min"); }
void max_dim_run(const ad_call *c) { run_extreme(c, false, false); }
void min_dim_run(const ad_call *c) { run_extreme(c, false, true); }

int argmax_infer(ad_call *c) { /* i[2] = a dimension is given */
    const ad_tensor *x = c->in[0];
    if (x->dtype == AD_BOOL) return ad_fail(AD_ERR_RUNTIME, "%s(): does not support bool input", c->op->name);
    if (c->at->i[2]) return order_infer_select(c, c->op->name);
    if (!tensor_is_contiguous(x))
        return ad_fail(AD_ERR_RUNTIME, "%s(): the elements must be contiguous to be counted through",
                       c->op->name);
    if (!x->numel)
        return ad_fail(AD_ERR_INDEX,
                       "%s(): Expected reduction dim to be specified for input.numel() == 0. Specify the "
                       "reduction dim with the 'dim' argument.",
                       c->op->name);
    ad_spec *s = &c->spec[0];
    s->dtype = AD_I64;
    s->ndim = (uint8_t)(c->at->i[1] ? x->ndim : 0);
    for (int d = 0; d < s->ndim; d++) s->sizes[d] = 1;
    return 0;
}
int argmin_infer(ad_call *c) { return argmax_infer(c); }
void argmax_run(const ad_call *c) { run_extreme(c, !c->at->i[2], false); }
void argmin_run(const ad_call *c) { run_extreme(c, !c->at->i[2], true); }
