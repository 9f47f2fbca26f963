/* cat and stack: joining along a dimension, and along a new one. */
#include <string.h>
#include "../core.h"
#include "../pool.h"
#include "declare.h"

/* PyTorch lets 1-d tensors of no elements stand among others of any shape. */
static bool skipped(const ad_tensor *t) { return t->ndim == 1 && t->sizes[0] == 0; }

int cat_infer(ad_call *c) { /* i[0] = dimension */
    ad_spec *s = &c->spec[0];
    if (!c->nin) return ad_fail(AD_ERR_RUNTIME, "torch.cat(): expected a non-empty list of Tensors");
    const ad_tensor *model = c->in[0];
    int dtype = -1;
    for (int i = 0; i < c->nin; i++) {
        const ad_tensor *t = c->in[i];
        if (!t->ndim)
            return ad_fail(AD_ERR_RUNTIME, "zero-dimensional tensor (at position %d) cannot be concatenated",
                           i);
        dtype = dtype < 0 ? t->dtype : dtype_promote(dtype, t->dtype);
        if (skipped(model)) model = t;
    }
    int dim = dim_wrap(c->at->i[0], model->ndim);
    if (dim < 0) return -1;
    spec_like(s, model);
    s->dtype = (uint8_t)dtype;
    s->sizes[dim] = 0;
    for (int i = 0; i < c->nin; i++) {
        const ad_tensor *t = c->in[i];
        if (skipped(t) && model->ndim != 1) continue;
        if (t->ndim != model->ndim)
            return ad_fail(AD_ERR_RUNTIME, "Tensors must have same number of dimensions: got %d and %d",
                           model->ndim, t->ndim);
        for (int d = 0; d < t->ndim; d++)
            if (d != dim && t->sizes[d] != model->sizes[d])
                return ad_fail(
                    AD_ERR_RUNTIME,
                    "Sizes of tensors must match except in dimension %d. Expected size %lld but got size "
                    "%lld for tensor number %d in the list.",
                    dim, (long long)model->sizes[d], (long long)t->sizes[d], i);
        if (__builtin_add_overflow(s->sizes[dim], t->sizes[dim], &s->sizes[dim]))
            return ad_fail(AD_ERR_RUNTIME, "the size of a concatenation overflows int64");
    }
    return 0;
}

typedef struct joined {
    const ad_call *c;
    int64_t inner; /* elements of what lies within the dimension, of each place in it */
    int dim;
} joined;

/* Rows [begin, end) of the result: each is a row of every tensor, one after the other. */
static void cat_rows(int64_t begin, int64_t end, void *ctx) {
    const joined *w = ctx;
    const ad_call *c = w->c;
    const ad_tensor *out = c->out[0];
    size_t place = (size_t)w->inner * dtype_size[out->dtype];
    char *to = (char *)tensor_data(out) + (size_t)begin * (size_t)out->sizes[w->dim] * place;
    for (int64_t r = begin; r < end; r++)
        for (int i = 0; i < c->nin; i++) {
            size_t bytes = (size_t)c->in[i]->sizes[w->dim] * place;
            if (bytes) memcpy(to, (const char *)tensor_data(c->in[i]) + (size_t)r * bytes, bytes);
            to += bytes;
        }
}

/* A loop over all tensors at once where each is copied row by row. */
static bool cat_in_rows(const ad_call *c, int dim) {
    const ad_tensor *out = c->out[0];
    int64_t rows = 1;
    joined w = {c, 1, dim};
    for (int d = 0; d < dim; d++) rows *= out->sizes[d];
    for (int d = dim + 1; d < out->ndim; d++) w.inner *= out->sizes[d];
    if (rows < 2 || !out->numel) return false;
    for (int i = 0; i < c->nin; i++) {
        const ad_tensor *t = c->in[i];
        if (t->ndim != out->ndim || t->dtype != out->dtype || !tensor_is_contiguous(t)) return false;
    }
    pool_parallel_for(rows, (1 << 15) / (out->numel / rows) + 1, cat_rows, &w);
    return true;
}

void cat_run(const ad_call *c) {
    ad_tensor part = *c->out[0];
    int dim = dim_wrap(c->at->i[0], part.ndim);
    if (cat_in_rows(c, dim)) return;
    int64_t sizes[AD_MAXDIM];
    memcpy(sizes, c->out[0]->sizes, (size_t)part.ndim * sizeof *sizes);
    part.sizes = sizes;
    for (int i = 0; i < c->nin; i++) {
        const ad_tensor *t = c->in[i];
        if (skipped(t) && part.ndim != 1) continue;
        sizes[dim] = t->sizes[dim];
        part.numel = t->numel;
        tensor_copy_data(&part, t);
        part.offset += t->sizes[dim] * part.strides[dim];
    }
}

void cat_vjp(ad_vjp *v) {
    const ad_meta *out = &v->node->mout[0];
    int dim = dim_wrap(v->at->i[0], out->ndim);
    int64_t at = 0;
    for (int i = 0; i < v->nin; i++) {
        const ad_meta *m = vjp_meta(v, i);
        if (m->ndim != out->ndim) { /* a skipped empty tensor */
            v->gin[i] = vjp_needs(v, i) ? em_zeros(&v->E, m->dtype, m->ndim, m->sizes) : NULL;
            continue;
        }
        if (vjp_needs(v, i)) {
            ad_attr a = {.i = {dim, at, at + m->sizes[dim], 1}};
            v->gin[i] = em_cast(&v->E, em_op(&v->E, OP_slice, 1, &v->g[0], &a), m->dtype);
        }
        at += m->sizes[dim];
    }
}

int stack_infer(ad_call *c) { /* i[0] = dimension of the result */
    ad_spec *s = &c->spec[0];
    if (!c->nin) return ad_fail(AD_ERR_RUNTIME, "stack expects a non-empty TensorList");
    const ad_tensor *first = c->in[0];
    int dtype = first->dtype;
    for (int i = 1; i < c->nin; i++) {
        const ad_tensor *t = c->in[i];
        if (!tensor_same_sizes(first, t))
            return ad_fail(
                AD_ERR_RUNTIME,
                "stack expects each tensor to be equal size, but got %s at entry 0 and %s at entry %d",
                fmt_sizes(first->ndim, first->sizes), fmt_sizes(t->ndim, t->sizes), i);
        if (t->dtype != dtype) dtype = dtype_promote(dtype, t->dtype);
    }
    if (first->ndim == AD_MAXDIM)
        return ad_fail(AD_ERR_RUNTIME, "stack(): tensors have %d dimensions, the most is %d", first->ndim + 1,
                       AD_MAXDIM);
    int dim = dim_wrap(c->at->i[0], first->ndim + 1);
    if (dim < 0) return -1;
    s->dtype = (uint8_t)dtype;
    s->ndim = (uint8_t)(first->ndim + 1);
    s->sizes[dim] = c->nin;
    for (int d = 0; d < first->ndim; d++) s->sizes[d + (d >= dim)] = first->sizes[d];
    return 0;
}

void stack_run(const ad_call *c) {
    ad_tensor *out = c->out[0], part = *out;
    int dim = dim_wrap(c->at->i[0], out->ndim);
    int64_t sizes[AD_MAXDIM], strides[AD_MAXDIM];
    part.ndim--;
    part.numel = c->in[0]->numel;
    for (int d = 0; d < part.ndim; d++) {
        sizes[d] = out->sizes[d + (d >= dim)];
        strides[d] = out->strides[d + (d >= dim)];
    }
    part.sizes = sizes, part.strides = strides;
    size_t bytes = (size_t)part.numel * dtype_size[out->dtype];
    for (int i = 0; i < c->nin; i++, part.offset += out->strides[dim]) {
        const ad_tensor *t = c->in[i];
        if (dim == 0 && bytes && bytes <= 1 << 16 && t->dtype == out->dtype && tensor_is_contiguous(t))
            memcpy(tensor_data(&part), tensor_data(t), bytes); /* of many small ones the loop is the cost */
        else tensor_copy_data(&part, t);
    }
}

void stack_vjp(ad_vjp *v) {
    for (int i = 0; i < v->nin; i++) {
        if (!vjp_needs(v, i)) continue;
        ad_attr a = {.i = {v->at->i[0], i}};
        v->gin[i] = em_cast(&v->E, em_op(&v->E, OP_select, 1, &v->g[0], &a), vjp_meta(v, i)->dtype);
    }
}
