/* Creation, copies and conversions. */
#include <math.h>
#include <string.h>
#include "../core.h"
#include "../pool.h"
#include "declare.h"

/* full(sizes): list = sizes, i[0] = dtype, i[1] = value for integers, f[0] = value for floats */
int full_infer(ad_call *c) {
    ad_spec *s = &c->spec[0];
    const ad_attr *at = c->at;
    if (at->nlist > AD_MAXDIM)
        return ad_fail(AD_ERR_RUNTIME, "too many dimensions: %lld, the most is %d", (long long)at->nlist,
                       AD_MAXDIM);
    s->dtype = (uint8_t)at->i[0];
    s->ndim = (uint8_t)at->nlist;
    dims_copy(s->sizes, at->list, at->nlist);
    return 0;
}

void full_run(const ad_call *c) {
    ad_tensor *out = c->out[0];
    size_t size = dtype_size[out->dtype], bytes = (size_t)out->numel * size;
    char *p = tensor_data(out), one[8];
    if (!bytes) return;
    if (dtype_is_float(out->dtype)) dtype_stores[out->dtype][CT_F64](1, one, 0, &c->at->f[0]);
    else dtype_stores[out->dtype][CT_I64](1, one, 0, &c->at->i[1]);
    bool zero = true;
    for (size_t k = 0; k < size; k++) zero &= one[k] == 0;
    if (zero) {
        memset(p, 0, bytes);
        return;
    }
    memcpy(p, one, size);
    for (size_t have = size; have < bytes; have *= 2)
        memcpy(p + have, p, have < bytes - have ? have : bytes - have);
}

/* fill(self): every element f[0] (floats) or i[1] (integers). Meant in place; the old values do not matter.
 */
void fill_run(const ad_call *c) {
    ad_tensor *out = c->out[0];
    if (tensor_is_contiguous(out)) {
        full_run(c);
        return;
    }
    ad_tensor one = *out;
    int64_t zero[AD_MAXDIM] = {0};
    ad_storage room;
    char value[8];
    if (dtype_is_float(out->dtype)) dtype_stores[out->dtype][CT_F64](1, value, 0, &c->at->f[0]);
    else dtype_stores[out->dtype][CT_I64](1, value, 0, &c->at->i[1]);
    room.data = value;
    one.storage = &room;
    one.offset = 0;
    one.strides = zero;
    tensor_copy_data(out, &one);
}
void fill_vjp(ad_vjp *v) { /* nothing of what was there is left */
    const ad_meta *m = vjp_meta(v, 0);
    if (vjp_needs(v, 0)) v->gin[0] = em_zeros(&v->E, m->dtype, m->ndim, m->sizes);
}
void fill_jvp(ad_jvp *j) {
    const ad_tensor *y = j->c->out[0];
    j->tout[0] = em_zeros(&j->E, y->dtype, y->ndim, y->sizes);
}

/* ---- ranges: i[0] = dtype; values are written in tiles of the compute type ---- */

static void range_spec(ad_spec *s, int dtype, int64_t n) {
    s->dtype = (uint8_t)dtype;
    s->ndim = 1;
    s->sizes[0] = n;
}

/* arange: i[1..3] = start, end, step as integers, f[0..2] = the same as floats. The integers count for an
 * int64 result, the floats give the length of every other. */
int arange_infer(ad_call *c) {
    const ad_attr *at = c->at;
    int dtype = (int)at->i[0];
    double n;
    if (!isfinite(at->f[0]) || !isfinite(at->f[1]))
        return ad_fail(AD_ERR_RUNTIME, "unsupported range: %g -> %g", at->f[0], at->f[1]);
    if (dtype_is_int(dtype) ? at->i[3] == 0 : !(at->f[2] > 0 || at->f[2] < 0))
        return ad_fail(AD_ERR_RUNTIME, "step must be nonzero");
    if (at->f[2] > 0 ? at->f[0] > at->f[1] : at->f[0] < at->f[1])
        return ad_fail(AD_ERR_RUNTIME, "upper bound and lower bound inconsistent with step sign");
    if (dtype == AD_I64) {
        uint64_t up = at->i[3] > 0, span = up ? (uint64_t)at->i[2] - (uint64_t)at->i[1]
                                              : (uint64_t)at->i[1] - (uint64_t)at->i[2];
        uint64_t step = up ? (uint64_t)at->i[3] : -(uint64_t)at->i[3],
                 count = span / step + (span % step != 0);
        n = (double)count;
        if (n < 0x1p62) {
            range_spec(&c->spec[0], dtype, (int64_t)count);
            return 0;
        }
    } else n = ceil((at->f[1] - at->f[0]) / at->f[2]);
    if (!(n >= 0 && n < 0x1p62)) return ad_fail(AD_ERR_RUNTIME, "invalid size, possible overflow");
    range_spec(&c->spec[0], dtype, (int64_t)n);
    return 0;
}

typedef struct ramp { /* what a position holds */
    int kind;         /* 0 arange, 1 linspace, 2 logspace */
    int64_t steps;
    const ad_attr *at;
    ad_tensor *out;
} ramp;

static void ramp_range(int64_t from, int64_t to, void *ctx) {
    const ramp *r = ctx;
    const ad_attr *at = r->at;
    ad_tensor *out = r->out;
    bool ints = dtype_is_int(out->dtype), single = out->dtype != AD_F64;
    size_t size = dtype_size[out->dtype];
    double tile[256], a = at->f[0], b = at->f[1], step = 0;
    int64_t tile_i[256];
    if (r->kind && ints) { /* the ends are read in the dtype of the result */
        a = trunc(a);
        b = trunc(b);
    }
    if (r->kind && r->steps > 1)
        step =
            single ? (float)((float)b - (float)a) / (float)(r->steps - 1) : (b - a) / (double)(r->steps - 1);
    for (int64_t at_ = from; at_ < to; at_ += 256) {
        int64_t n = to - at_ < 256 ? to - at_ : 256;
        for (int64_t k = 0; k < n; k++) {
            int64_t i = at_ + k;
            if (!r->kind) {
                tile[k] = a + at->f[2] * (double)i;
                tile_i[k] = (int64_t)((uint64_t)at->i[1] + (uint64_t)at->i[3] * (uint64_t)i);
                continue;
            }
            /* from the nearer end, so that both ends are exact */
            double v = i < r->steps / 2 || r->steps == 1 ? a + step * (double)i
                                                         : b - step * (double)(r->steps - 1 - i);
            if (r->kind == 2) v = pow(at->f[2], single ? (double)(float)v : v);
            tile[k] = v;
            tile_i[k] = (int64_t)v;
        }
        char *p = (char *)tensor_data(out) + at_ * (int64_t)size;
        if (ints) dtype_stores[out->dtype][CT_I64](n, p, (int64_t)size, tile_i);
        else dtype_stores[out->dtype][CT_F64](n, p, (int64_t)size, tile);
    }
}

static void ramp_run(const ad_call *c, int kind) {
    ramp r = {kind, c->out[0]->numel, c->at, c->out[0]};
    pool_parallel_for(r.steps, 1 << 14, ramp_range, &r);
}
void arange_run(const ad_call *c) { ramp_run(c, 0); }

/* linspace: i[1] = how many, f[0], f[1] = the ends; logspace: f[2] = base too */
int linspace_infer(ad_call *c) {
    if (c->at->i[1] < 0) return ad_fail(AD_ERR_RUNTIME, "number of steps must be non-negative");
    range_spec(&c->spec[0], (int)c->at->i[0], c->at->i[1]);
    return 0;
}
void linspace_run(const ad_call *c) { ramp_run(c, 1); }
int logspace_infer(ad_call *c) { return linspace_infer(c); }
void logspace_run(const ad_call *c) { ramp_run(c, 2); }

/* eye: i[1], i[2] = rows, columns */
int eye_infer(ad_call *c) {
    ad_spec *s = &c->spec[0];
    for (int d = 0; d < 2; d++)
        if (c->at->i[1 + d] < 0)
            return ad_fail(AD_ERR_RUNTIME, "%s must be greater or equal to 0, got %lld", d ? "m" : "n",
                           (long long)c->at->i[1 + d]);
    s->dtype = (uint8_t)c->at->i[0];
    s->ndim = 2;
    s->sizes[0] = c->at->i[1];
    s->sizes[1] = c->at->i[2];
    return 0;
}
void eye_run(const ad_call *c) {
    ad_tensor *out = c->out[0];
    int64_t rows = out->sizes[0], cols = out->sizes[1], n = rows < cols ? rows : cols, one = 1;
    size_t size = dtype_size[out->dtype];
    if (!out->numel) return;
    char *p = tensor_data(out);
    memset(p, 0, (size_t)out->numel * size);
    for (int64_t k = 0; k < n; k++)
        dtype_stores[out->dtype][CT_I64](1, p + k * (cols + 1) * (int64_t)size, 0, &one);
}

/* clone(x): keeps a dense layout; i[0] = 1 asks for contiguous */
int clone_infer(ad_call *c) {
    const ad_tensor *x = c->in[0];
    spec_like(&c->spec[0], x);
    if (!c->at->i[0] && !tensor_is_contiguous(x) && dims_dense(x->ndim, x->sizes, x->strides)) {
        c->spec[0].strided = true;
        memcpy(c->spec[0].strides, x->strides, (size_t)x->ndim * sizeof *x->strides);
    }
    return 0;
}
int contiguous_infer(ad_call *c) {
    spec_like(&c->spec[0], c->in[0]);
    return 0;
}
void clone_run(const ad_call *c) { tensor_copy_data(c->out[0], c->in[0]); }
void clone_vjp(ad_vjp *v) { v->gin[0] = v->g[0]; }

/* to(x): i[0] = dtype */
int to_infer(ad_call *c) {
    int dtype = (int)c->at->i[0];
    if (clone_infer(c)) return -1;
    c->spec[0].dtype = (uint8_t)dtype;
    c->spec[0].nondiff = !dtype_is_float(dtype);
    return 0;
}
void to_vjp(ad_vjp *v) { v->gin[0] = em_cast(&v->E, v->g[0], vjp_meta(v, 0)->dtype); }

/* copy(self, src): self overwritten by src, broadcast and converted. Meant in place. */
int copy_infer(ad_call *c) {
    const ad_tensor *self = c->in[0], *src = c->in[1];
    spec_like(&c->spec[0], self);
    int lead = self->ndim - src->ndim;
    if (lead < 0)
        return ad_fail(AD_ERR_RUNTIME,
                       "cannot copy a tensor of size %s into one of size %s: too many dimensions",
                       fmt_sizes(src->ndim, src->sizes), fmt_sizes(self->ndim, self->sizes));
    for (int d = 0; d < src->ndim; d++) {
        int64_t want = self->sizes[d + lead];
        if (src->sizes[d] != 1 && src->sizes[d] != want)
            return ad_fail(AD_ERR_RUNTIME,
                           "The expanded size of the tensor (%lld) must match the existing size (%lld) at "
                           "non-singleton dimension %d.  Target sizes: %s.  Tensor sizes: %s",
                           (long long)want, (long long)src->sizes[d], d + lead,
                           fmt_sizes(self->ndim, self->sizes), fmt_sizes(src->ndim, src->sizes));
    }
    return 0;
}
void copy_run(const ad_call *c) { tensor_copy_data(c->out[0], c->in[1]); }
void copy_vjp(ad_vjp *v) {
    const ad_meta *self = vjp_meta(v, 0), *m = vjp_meta(v, 1);
    if (vjp_needs(v, 0)) v->gin[0] = em_zeros(&v->E, self->dtype, self->ndim, self->sizes);
    if (vjp_needs(v, 1)) v->gin[1] = em_cast(&v->E, em_sum_to(&v->E, v->g[0], m->ndim, m->sizes), m->dtype);
}
void copy_jvp(ad_jvp *j) {
    const ad_tensor *y = j->c->out[0];
    j->tout[0] = j->t[1] ? em_expand(&j->E, em_cast(&j->E, j->t[1], y->dtype), y->ndim, y->sizes)
                         : em_zeros(&j->E, y->dtype, y->ndim, y->sizes);
}

/* ---- tied(g, x): g, which depends on x with derivative 0 ---- */

void tied_vjp(ad_vjp *v) {
    const ad_meta *m = vjp_meta(v, 1);
    v->gin[0] = v->g[0];
    if (vjp_needs(v, 1)) v->gin[1] = em_zeros(&v->E, m->dtype, m->ndim, m->sizes);
}
void tied_jvp(ad_jvp *j) { j->tout[0] = j->t[0]; }

ad_tensor *vjp_tied(ad_vjp *v, int i, ad_tensor *g) {
    if (!g || tls.no_grad || !vjp_needs(v, i)) return g;
    const ad_edge *e = &v->node->edges[i];
    const ad_meta *m = vjp_meta(v, i);
    ad_tensor *x = e->leaf;
    if (!x) { /* a stand-in: its history is all that counts */
        x = em_expand(&v->E, em_zeros(&v->E, m->dtype, 0, NULL), m->ndim, m->sizes);
        if (x) graph_set_history(x, node_ref(e->node), e->nr);
    }
    return em2(&v->E, OP_tied, g, x);
}
