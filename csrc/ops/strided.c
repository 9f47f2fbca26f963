/* Arbitrary geometry over one buffer: as_strided and its adjoints. The base's own geometry is part of the
 * attributes, because a gradient of the base comes in a layout of its own.
 *
 * i[0] = dimensions of the view, i[1] = its offset, i[2] = dimensions of the base, i[3] = its offset;
 * list = view sizes, view strides, base sizes, base strides. */
#include <string.h>
#include "../core.h"
#include "declare.h"

typedef struct geometry {
    int nv, nb;
    int64_t voff, boff;
    const int64_t *vsizes, *vstrides, *bsizes, *bstrides;
    int64_t lo, hi; /* the span of both, in elements of the storage */
} geometry;

static void span(int n, const int64_t *sizes, const int64_t *strides, int64_t off, int64_t *lo, int64_t *hi) {
    int64_t last = off;
    for (int d = 0; d < n; d++) {
        if (!sizes[d]) return;
        last += (sizes[d] - 1) * strides[d];
    }
    if (off < *lo) *lo = off;
    if (last + 1 > *hi) *hi = last + 1;
}

/* Whether the list holds what the numbers before it say. */
static int check_geometry(const ad_call *c) {
    const ad_attr *at = c->at;
    bool fits = at->i[0] >= 0 && at->i[0] <= AD_MAXDIM && at->i[2] >= 0 && at->i[2] <= AD_MAXDIM &&
                at->nlist >= 2 * (at->i[0] + at->i[2]);
    return fits ? 0 : ad_fail(AD_ERR_RUNTIME, "%s: sizes and strides are missing", c->op->name);
}
static geometry geometry_of(const ad_attr *at) {
    geometry g = {.nv = (int)at->i[0], .nb = (int)at->i[2], .voff = at->i[1], .boff = at->i[3]};
    g.vsizes = at->list;
    g.vstrides = g.vsizes + g.nv;
    g.bsizes = g.vstrides + g.nv;
    g.bstrides = g.bsizes + g.nb;
    g.lo = INT64_MAX;
    g.hi = 0;
    span(g.nv, g.vsizes, g.vstrides, g.voff, &g.lo, &g.hi);
    span(g.nb, g.bsizes, g.bstrides, g.boff, &g.lo, &g.hi);
    if (g.lo > g.hi) g.lo = g.hi = 0;
    return g;
}

/* A tensor struct over a buffer that holds the span [lo, hi) of the storage. */
typedef struct shadow {
    ad_tensor t;
    ad_storage s;
} shadow;

static void shadow_set(shadow *w, void *buffer, const geometry *g, bool view, int dtype) {
    memset(w, 0, sizeof *w);
    w->s.data = buffer;
    w->t.storage = &w->s;
    w->t.dtype = (uint8_t)dtype;
    w->t.ndim = (uint8_t)(view ? g->nv : g->nb);
    w->t.sizes = (int64_t *)(view ? g->vsizes : g->bsizes);
    w->t.strides = (int64_t *)(view ? g->vstrides : g->bstrides);
    w->t.offset = (view ? g->voff : g->boff) - g->lo;
    w->t.numel = 1;
    for (int d = 0; d < w->t.ndim; d++) w->t.numel *= w->t.sizes[d];
}

/* dst += src over any geometry of dst, one element after the other where positions repeat. */
void strided_accumulate(ad_tensor *dst, const ad_tensor *src) {
    int64_t index[AD_MAXDIM] = {0}, d_at = 0, s_at = 0;
    int ct = dtype_compute(dst->dtype);
    dtype_load load_d = dtype_loads[dst->dtype][ct], load_s = dtype_loads[src->dtype][ct];
    dtype_store store = dtype_stores[dst->dtype][ct];
    char *pd = tensor_data(dst);
    const char *ps = tensor_data(src);
    int64_t ds = dtype_size[dst->dtype], ss = dtype_size[src->dtype];
    for (int64_t k = 0; k < dst->numel; k++) {
        union {
            float f;
            double d;
            int64_t i;
        } a, b;
        load_d(1, &a, pd + d_at * ds, 0);
        load_s(1, &b, ps + s_at * ss, 0);
        if (ct == CT_F32) a.f += b.f;
        else if (ct == CT_F64) a.d += b.d;
        else a.i = (int64_t)((uint64_t)a.i + (uint64_t)b.i);
        store(1, pd + d_at * ds, 0, &a);
        for (int d = dst->ndim - 1; d >= 0; d--) {
            d_at += dst->strides[d];
            s_at += src->strides[d];
            if (++index[d] < dst->sizes[d]) break;
            d_at -= dst->sizes[d] * dst->strides[d];
            s_at -= dst->sizes[d] * src->strides[d];
            index[d] = 0;
        }
    }
}

static int sized(ad_spec *s, int dtype, int n, const int64_t *sizes) {
    s->dtype = (uint8_t)dtype;
    s->ndim = (uint8_t)n;
    memcpy(s->sizes, sizes, (size_t)n * sizeof *sizes);
    return 0;
}

static size_t span_bytes(const ad_call *c) {
    geometry g = geometry_of(c->at);
    return (size_t)(g.hi - g.lo) * dtype_size[c->in[0]->dtype] + 1;
}

/* ---- as_strided: the view. From Python the base's geometry is filled in by infer's caller ---- */

int as_strided_infer(ad_call *c) {
    const ad_tensor *x = c->in[0];
    ad_spec *s = &c->spec[0];
    if (check_geometry(c)) return -1;
    geometry g = geometry_of(c->at);
    for (int d = 0; d < g.nv; d++) {
        if (g.vsizes[d] < 0)
            return ad_fail(AD_ERR_RUNTIME, "Trying to create tensor with negative dimension %lld: %s",
                           (long long)g.vsizes[d], fmt_sizes(g.nv, g.vsizes));
        if (g.vstrides[d] < 0)
            return ad_fail(AD_ERR_RUNTIME,
                           "as_strided: Negative strides are not supported at the moment, got strides: %s",
                           fmt_sizes(g.nv, g.vstrides));
    }
    if (g.voff < 0) return ad_fail(AD_ERR_RUNTIME, "Tensor: invalid storage offset %lld", (long long)g.voff);
    int64_t last = g.voff, step;
    bool empty = false;
    for (int d = 0; d < g.nv; d++) {
        empty |= g.vsizes[d] == 0;
        if (__builtin_mul_overflow(g.vsizes[d] - 1, g.vstrides[d], &step) ||
            __builtin_add_overflow(last, step, &last))
            return ad_fail(AD_ERR_RUNTIME,
                           "as_strided: the extent of sizes %s and strides %s overflows int64",
                           fmt_sizes(g.nv, g.vsizes), fmt_sizes(g.nv, g.vstrides));
    }
    if (!empty && last >= (int64_t)(x->storage->nbytes / dtype_size[x->dtype]))
        return ad_fail(
            AD_ERR_RUNTIME,
            "setStorage: sizes %s, strides %s, storage offset %lld, and itemsize %d are out of bounds for "
            "storage of size %zu",
            fmt_sizes(g.nv, g.vsizes), fmt_sizes(g.nv, g.vstrides), (long long)g.voff, dtype_size[x->dtype],
            x->storage->nbytes);
    sized(s, x->dtype, g.nv, g.vsizes);
    s->strided = true;
    s->offset = g.voff;
    memcpy(s->strides, g.vstrides, (size_t)g.nv * sizeof *s->strides);
    return 0;
}
void as_strided_vjp(ad_vjp *v) { v->gin[0] = em_op(&v->E, OP_as_strided_add, 1, &v->g[0], v->at); }

/* ---- as_strided_add(g of the view) -> gradient of the base ---- */

int as_strided_add_infer(ad_call *c) {
    if (check_geometry(c)) return -1;
    geometry g = geometry_of(c->at);
    return sized(&c->spec[0], c->in[0]->dtype, g.nb, g.bsizes);
}
size_t as_strided_add_scratch(const ad_call *c) { return span_bytes(c); }
void as_strided_add_run(const ad_call *c) {
    geometry g = geometry_of(c->at);
    shadow view, base;
    memset(c->scratch, 0, span_bytes(c));
    shadow_set(&view, c->scratch, &g, true, c->in[0]->dtype);
    shadow_set(&base, c->scratch, &g, false, c->in[0]->dtype);
    strided_accumulate(&view.t, c->in[0]);
    tensor_copy_data(c->out[0], &base.t);
}
void as_strided_add_vjp(ad_vjp *v) { v->gin[0] = em_op(&v->E, OP_as_strided_copy, 1, &v->g[0], v->at); }

/* ---- as_strided_copy(x of the base's sizes) -> what the view shows of it ---- */

int as_strided_copy_infer(ad_call *c) {
    if (check_geometry(c)) return -1;
    geometry g = geometry_of(c->at);
    return sized(&c->spec[0], c->in[0]->dtype, g.nv, g.vsizes);
}
size_t as_strided_copy_scratch(const ad_call *c) { return span_bytes(c); }
void as_strided_copy_run(const ad_call *c) {
    geometry g = geometry_of(c->at);
    shadow view, base;
    memset(c->scratch, 0, span_bytes(c));
    shadow_set(&view, c->scratch, &g, true, c->in[0]->dtype);
    shadow_set(&base, c->scratch, &g, false, c->in[0]->dtype);
    tensor_copy_data(&base.t, c->in[0]);
    tensor_copy_data(c->out[0], &view.t);
}
void as_strided_copy_vjp(ad_vjp *v) { v->gin[0] = em_op(&v->E, OP_as_strided_add, 1, &v->g[0], v->at); }

/* ---- as_strided_scatter(base, src) -> base with src where the view shows ---- */

int as_strided_scatter_infer(ad_call *c) {
    if (check_geometry(c)) return -1;
    geometry g = geometry_of(c->at);
    if (!dims_equal(g.nv, g.vsizes, c->in[1]->ndim, c->in[1]->sizes))
        return ad_fail(
            AD_ERR_RUNTIME,
            "expected src to have a size equal to the slice of self. src size = %s, slice size = %s",
            fmt_sizes(c->in[1]->ndim, c->in[1]->sizes), fmt_sizes(g.nv, g.vsizes));
    return sized(&c->spec[0], c->in[0]->dtype, g.nb, g.bsizes);
}
size_t as_strided_scatter_scratch(const ad_call *c) { return span_bytes(c); }
void as_strided_scatter_run(const ad_call *c) {
    geometry g = geometry_of(c->at);
    shadow view, base;
    memset(c->scratch, 0, span_bytes(c));
    shadow_set(&view, c->scratch, &g, true, c->in[0]->dtype);
    shadow_set(&base, c->scratch, &g, false, c->in[0]->dtype);
    tensor_copy_data(&base.t, c->in[0]);
    tensor_copy_data(&view.t, c->in[1]);
    tensor_copy_data(c->out[0], &base.t);
}
void as_strided_scatter_vjp(ad_vjp *v) {
    if (vjp_needs(v, 0)) {
        const ad_meta *m = vjp_meta(v, 1);
        ad_tensor *in[2] = {v->g[0], em_zeros(&v->E, v->g[0]->dtype, m->ndim, m->sizes)};
        if (in[1]) v->gin[0] = em_op(&v->E, OP_as_strided_scatter, 2, in, v->at);
    }
    if (vjp_needs(v, 1)) v->gin[1] = em_op(&v->E, OP_as_strided_copy, 1, &v->g[0], v->at);
}
