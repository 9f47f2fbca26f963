/* Elements moved about: flip, roll, tril and triu. Each is linear and its own kind of adjoint. */
#include <string.h>
#include "../core.h"
#include "declare.h"

/* ---- flip(list = dimensions) ---- */

int flip_infer(ad_call *c) {
    const ad_tensor *x = c->in[0];
    bool seen[AD_MAXDIM] = {false};
    for (int64_t k = 0; k < c->at->nlist; k++) {
        int d = dim_wrap(c->at->list[k], x->ndim);
        if (d < 0) return -1;
        if (seen[d]) return ad_fail(AD_ERR_RUNTIME, "dim %d appears multiple times in the list of dims", d);
        seen[d] = true;
    }
    return clone_infer(c);
}

void flip_run(const ad_call *c) {
    ad_tensor from = *c->in[0]; /* read backwards: negative strides, which only live here */
    int64_t strides[AD_MAXDIM];
    if (!from.numel) return;
    memcpy(strides, from.strides, (size_t)from.ndim * sizeof *strides);
    from.strides = strides;
    for (int64_t k = 0; k < c->at->nlist && from.ndim; k++) {
        int d = dim_wrap(c->at->list[k], from.ndim);
        from.offset += (from.sizes[d] - 1) * strides[d];
        strides[d] = -strides[d];
    }
    tensor_copy_data(c->out[0], &from);
}
void flip_vjp(ad_vjp *v) { v->gin[0] = em_op(&v->E, OP_flip, 1, &v->g[0], v->at); }

/* ---- roll(list = shifts, then dimensions) ---- */

int roll_infer(ad_call *c) {
    const ad_tensor *x = c->in[0];
    int64_t n = c->at->nlist / 2;
    for (int64_t k = 0; k < n; k++)
        if (dim_wrap(c->at->list[n + k], x->ndim) < 0) return -1;
    spec_like(&c->spec[0], x);
    return 0;
}

static int64_t wrap_shift(int64_t shift, int64_t size) {
    shift %= size;
    return shift < 0 ? shift + size : shift;
}

/* Every dimension is in two pieces; each combination of pieces is one copy. */
static void roll_pieces(ad_tensor *dst, ad_tensor *src, int d, const int64_t *shift) {
    while (d < src->ndim && !shift[d]) d++;
    if (d >= src->ndim) {
        tensor_copy_data(dst, src);
        return;
    }
    int64_t size = src->sizes[d], to = dst->offset, from = src->offset, numel = src->numel;
    for (int k = 0; k < 2; k++) {
        int64_t n = k ? shift[d] : size - shift[d];
        dst->sizes[d] = src->sizes[d] = n;
        dst->numel = src->numel = numel / size * n;
        dst->offset = to + (k ? 0 : shift[d]) * dst->strides[d];
        src->offset = from + (k ? size - shift[d] : 0) * src->strides[d];
        roll_pieces(dst, src, d + 1, shift);
    }
    dst->sizes[d] = src->sizes[d] = size;
    dst->numel = src->numel = numel;
    dst->offset = to;
    src->offset = from;
}

void roll_run(const ad_call *c) {
    ad_tensor dst = *c->out[0], src = *c->in[0];
    int64_t shift[AD_MAXDIM] = {0}, sizes[2][AD_MAXDIM], n = c->at->nlist / 2;
    if (!src.numel) return;
    for (int64_t k = 0; k < n && src.ndim; k++) {
        int d = dim_wrap(c->at->list[n + k], src.ndim);
        shift[d] = wrap_shift(shift[d] + wrap_shift(c->at->list[k], src.sizes[d]), src.sizes[d]);
    }
    memcpy(sizes[0], dst.sizes, (size_t)dst.ndim * sizeof **sizes);
    memcpy(sizes[1], src.sizes, (size_t)src.ndim * sizeof **sizes);
    dst.sizes = sizes[0];
    src.sizes = sizes[1];
    roll_pieces(&dst, &src, 0, shift);
}

void roll_vjp(ad_vjp *v) {
    const ad_meta *m = vjp_meta(v, 0);
    int64_t list[2 * AD_MAXDIM] = {0}, n = v->at->nlist / 2, big = n <= AD_MAXDIM ? 0 : n;
    int64_t *back = big ? mem_alloc(2 * (size_t)n * sizeof *back) : list;
    if (!back) {
        v->E.failed = true;
        return;
    }
    for (int64_t k = 0; k < n; k++) {
        int64_t d = v->at->list[n + k], size = m->ndim ? m->sizes[dim_wrap(d, m->ndim)] : 1;
        back[k] = size ? -(v->at->list[k] % size) : 0;
        back[n + k] = d;
    }
    v->gin[0] = em1l(&v->E, OP_roll, v->g[0], back, (int)(2 * n), 0);
    if (big) mem_free(back, 2 * (size_t)n * sizeof *back);
}

/* ---- tril(i[0] = diagonal), triu: zero above, or below, a diagonal of the last two dimensions ---- */

static int tri_infer(ad_call *c) {
    const ad_tensor *x = c->in[0];
    if (x->ndim < 2)
        return ad_fail(AD_ERR_RUNTIME, "%s: input tensor must have at least 2 dimensions", c->op->name);
    spec_like(&c->spec[0], x);
    return 0;
}

static void tri_run(const ad_call *c, bool upper) {
    ad_tensor *out = c->out[0];
    if (!out->numel) return;
    if (out != c->in[0]) tensor_copy_data(out, c->in[0]);
    int64_t rows = out->sizes[out->ndim - 2], cols = out->sizes[out->ndim - 1], k = c->at->i[0];
    int64_t step = out->strides[out->ndim - 1] * dtype_size[out->dtype], index[AD_MAXDIM] = {0};
    size_t size = dtype_size[out->dtype];
    if (k > rows + cols) k = rows + cols;
    if (k < -rows - cols) k = -rows - cols;
    char *p = tensor_data(out);
    for (int64_t line = out->numel / cols; line > 0; line--) {
        int64_t row = index[out->ndim - 2], from = upper ? 0 : row + k + 1, to = upper ? row + k : cols;
        if (from < 0) from = 0;
        if (to > cols) to = cols;
        if (step == (int64_t)size && from < to) memset(p + from * step, 0, (size_t)(to - from) * size);
        else
            for (int64_t i = from; i < to; i++) memset(p + i * step, 0, size);
        for (int d = out->ndim - 2; d >= 0; d--) {
            p += out->strides[d] * (int64_t)size;
            if (++index[d] < out->sizes[d]) break;
            p -= out->sizes[d] * out->strides[d] * (int64_t)size;
            index[d] = 0;
        }
    }
}

int tril_infer(ad_call *c) { return tri_infer(c); }
void tril_run(const ad_call *c) { tri_run(c, false); }
void tril_vjp(ad_vjp *v) { v->gin[0] = em_op(&v->E, OP_tril, 1, &v->g[0], v->at); }
int triu_infer(ad_call *c) { return tri_infer(c); }
void triu_run(const ad_call *c) { tri_run(c, true); }
void triu_vjp(ad_vjp *v) { v->gin[0] = em_op(&v->E, OP_triu, 1, &v->g[0], v->at); }
