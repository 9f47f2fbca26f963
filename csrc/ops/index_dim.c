/* One index along one dimension: index_select, index_add, index_copy, index_fill; i[0] = dim. A 0-d tensor
 * stands for one of size 1, a 0-d index for one of one element. */
#include <string.h>
#include "index.h"

static void as_vector(ad_tensor *t, const ad_tensor *of, int64_t *one) { /* one: size and stride */
    *t = *of;
    if (of->ndim) return;
    one[0] = one[1] = 1;
    t->ndim = 1;
    t->sizes = one;
    t->strides = one + 1;
}

/* Moves between x (a 0-d one counts as a vector) and v along dim. */
static void along(const ad_call *c, int kind, const ad_tensor *x, const ad_tensor *index,
                  const ad_tensor *v) {
    int64_t one[6], vstrides[2 * AD_MAXDIM], dim;
    ad_tensor xv, iv, vv, *idx = &iv;
    index_plan p;
    as_vector(&xv, x, one);
    as_vector(&iv, index, one + 2);
    as_vector(&vv, v, one + 4);
    if (!xv.numel || !iv.numel) return;
    dim = dim_wrap(c->at->i[0], xv.ndim);
    index_plan_set(&p, &xv, 1, &idx, &dim);
    index_offsets(&p, &xv, 1, &idx, &dim, c->scratch);
    p.slots = xv.sizes[dim], p.step = xv.strides[dim];
    if (kind == MOVE_ADD) index_group_room(&p, &xv, 1, &idx, &dim, c->scratch);
    stretched_strides(&vv, p.ndim, p.sizes, vstrides);
    index_move(&p, kind, c->scratch, &xv, &vv, vstrides);
}

int index_select_infer(ad_call *c) {
    const ad_tensor *x = c->in[0], *index = c->in[1];
    int64_t bad, dim = dim_wrap(c->at->i[0], x->ndim);
    if (dim < 0) return -1;
    if (index->ndim > 1) return ad_fail(AD_ERR_INDEX, "index_select(): Index is supposed to be a vector");
    if (index->dtype != AD_I64 && index->dtype != AD_I32)
        return ad_fail(AD_ERR_RUNTIME, "index_select(): Expected dtype int32 or int64 for index");
    if (!x->ndim && index->numel != 1)
        return ad_fail(AD_ERR_RUNTIME,
                       "index_select(): Index to scalar can have only 1 value, got %lld value(s)",
                       (long long)index->numel);
    if (index_bad(index, 0, x->ndim ? x->sizes[dim] : 1, &bad))
        return ad_fail(AD_ERR_INDEX,
                       "index out of range in self: index_select() met index %lld in dimension %lld of a "
                       "tensor of size %s",
                       (long long)bad, (long long)dim, fmt_sizes(x->ndim, x->sizes));
    spec_like(&c->spec[0], x);
    if (x->ndim) c->spec[0].sizes[dim] = index->numel;
    return 0;
}
size_t index_select_scratch(const ad_call *c) { return index_offsets_bytes(1, c->in + 1); }
void index_select_run(const ad_call *c) {
    if (c->out[0]->numel) along(c, MOVE_READ, c->in[0], c->in[1], c->out[0]);
}
void index_select_vjp(ad_vjp *v) {
    const ad_meta *m = vjp_meta(v, 0);
    ad_tensor *in[3] = {em_zeros(&v->E, m->dtype, m->ndim, m->sizes), vjp_in(v, 1), v->g[0]};
    ad_attr at = {.i = {v->at->i[0]}, .f = {1}};
    if (in[0] && in[1]) v->gin[0] = em_op(&v->E, OP_index_add, 3, in, &at);
}

/* What the writing rows require in common. */
static int along_infer(ad_call *c, const char *name, bool longs, int64_t lo_by_size, int class_of_range) {
    const ad_tensor *x = c->in[0], *index = c->in[1];
    int64_t bad, dim = dim_wrap(c->at->i[0], x->ndim), size;
    if (dim < 0) return -1;
    size = x->ndim ? x->sizes[dim] : 1;
    if (index->dtype != AD_I64 && (longs || index->dtype != AD_I32))
        return ad_fail(AD_ERR_RUNTIME, "%s: Expected a long tensor for index, but got %s", name,
                       dtype_class[index->dtype]);
    if (index_bad(index, lo_by_size ? -size : 0, size, &bad))
        return ad_fail(class_of_range, "%s: index %lld is out of bounds for dimension %lld with size %lld",
                       name, (long long)bad, (long long)dim, (long long)size);
    spec_like(&c->spec[0], x);
    return 0;
}

static bool slices_agree(const ad_tensor *a, const ad_tensor *b, int64_t dim) {
    if (a->ndim != b->ndim) return false;
    for (int d = 0; d < a->ndim; d++)
        if (d != dim && a->sizes[d] != b->sizes[d]) return false;
    return true;
}

int index_add_infer(ad_call *c) { /* f[0] = alpha */
    const ad_tensor *x = c->in[0], *index = c->in[1], *src = c->in[2];
    int64_t dim = dim_wrap(c->at->i[0], x->ndim);
    if (dim < 0) return -1;
    if (index->ndim > 1)
        return ad_fail(
            AD_ERR_INDEX,
            "index_add_(): Index is supposed to be a vector, but got dim: %d with type: %s and size: %s",
            index->ndim, dtype_class[index->dtype], fmt_sizes(index->ndim, index->sizes));
    if (index->dtype != AD_I64 && index->dtype != AD_I32)
        return ad_fail(AD_ERR_RUNTIME, "index_add_(): Expected dtype int32/int64 for index but got: %s",
                       dtype_class[index->dtype]);
    if (x->dtype != src->dtype)
        return ad_fail(AD_ERR_RUNTIME,
                       "index_add_(): self (%s) and source (%s) must have the same scalar type",
                       dtype_class[x->dtype], dtype_class[src->dtype]);
    if ((src->ndim ? dim < src->ndim ? src->sizes[dim] : -1 : 1) != index->numel)
        return ad_fail(AD_ERR_RUNTIME,
                       "index_add_(): Number of indices (%lld) should be equal to source.size(dim): (%lld), "
                       "for dim: %lld",
                       (long long)index->numel, (long long)(src->ndim > dim ? src->sizes[dim] : 1),
                       (long long)dim);
    if (!slices_agree(x, src, dim))
        return ad_fail(
            AD_ERR_RUNTIME,
            "source tensor shape must match self tensor shape, excluding the specified dimension. Got "
            "self.shape = %s source.shape = %s",
            fmt_sizes(x->ndim, x->sizes), fmt_sizes(src->ndim, src->sizes));
    return along_infer(c, "index_add_()", false, 0,
                       x->ndim > 1 ? AD_ERR_RUNTIME : AD_ERR_INDEX); /* as PyTorch */
}
size_t index_add_scratch(const ad_call *c) {
    int64_t one[4], dim = dim_wrap(c->at->i[0], c->in[0]->ndim);
    ad_tensor x, index, *idx = &index;
    as_vector(&x, c->in[0], one);
    as_vector(&index, c->in[1], one + 2);
    return index_add_bytes(&x, 1, &idx, &dim);
}
void index_add_run(const ad_call *c) { along(c, MOVE_ADD, c->out[0], c->in[1], c->in[2]); }
void index_add_vjp(ad_vjp *v) {
    ad_tensor *in[2] = {v->g[0], vjp_in(v, 1)};
    ad_attr at = {.i = {v->at->i[0]}};
    if (vjp_needs(v, 0)) v->gin[0] = v->g[0];
    if (vjp_needs(v, 2) && in[1]) v->gin[2] = em_op(&v->E, OP_index_select, 2, in, &at);
}

int index_copy_infer(ad_call *c) {
    const ad_tensor *x = c->in[0], *index = c->in[1], *src = c->in[2];
    int64_t dim = dim_wrap(c->at->i[0], x->ndim);
    if (dim < 0) return -1;
    if (index->ndim > 1)
        return ad_fail(AD_ERR_INDEX, "index_copy_(): Index should have dimension 1 or 0 (got %d)",
                       index->ndim);
    if (!src->ndim && index->numel != 1)
        return ad_fail(AD_ERR_INDEX,
                       "index_copy_(): When source is scalar, index should have one element (got %lld)",
                       (long long)index->numel);
    if (src->ndim != x->ndim && src->ndim && x->ndim)
        return ad_fail(
            AD_ERR_INDEX,
            "index_copy_(): When source and destination are not scalars, their dimensionality must "
            "match. Source dimensionality (%d), destination dimensionality (%d)",
            src->ndim, x->ndim);
    if (x->dtype != src->dtype)
        return ad_fail(AD_ERR_RUNTIME,
                       "index_copy_(): self and source expected to have the same dtype, but got (self) %s "
                       "and (source) %s",
                       dtype_class[x->dtype], dtype_class[src->dtype]);
    bool lone = (x->ndim <= 1 && src->ndim <= 1);
    if (!lone && !slices_agree(x, src, dim))
        return ad_fail(
            AD_ERR_RUNTIME,
            "index_copy_(): Source/destination tensor must have same slice shapes. Destination shape: %s "
            "at dimension %lld and source shape: %s at dimension %lld.",
            fmt_sizes(x->ndim, x->sizes), (long long)dim, fmt_sizes(src->ndim, src->sizes), (long long)dim);
    if (src->ndim && src->sizes[dim] != index->numel)
        return ad_fail(AD_ERR_INDEX,
                       "index_copy_(): Number of indices (%lld) should be equal to source.size(dim) (%lld)",
                       (long long)index->numel, (long long)src->sizes[dim]);
    return along_infer(c, "index_copy_()", true, 0, AD_ERR_INDEX);
}
size_t index_copy_scratch(const ad_call *c) { return index_offsets_bytes(1, c->in + 1); }
void index_copy_run(const ad_call *c) { along(c, MOVE_WRITE, c->out[0], c->in[1], c->in[2]); }
void index_copy_vjp(ad_vjp *v) {
    const ad_meta *m = vjp_meta(v, 2);
    ad_tensor *in[3] = {v->g[0], vjp_in(v, 1)};
    ad_attr at = {.i = {v->at->i[0]}};
    if (!in[1]) return;
    if (vjp_needs(v, 0) && (in[2] = em_zeros(&v->E, v->g[0]->dtype, 0, NULL)))
        v->gin[0] = em_op(&v->E, OP_index_fill, 3, in, &at);
    if (vjp_needs(v, 2))
        v->gin[2] = em_reshape(&v->E, em_op(&v->E, OP_index_select, 2, in, &at), m->ndim, m->sizes);
}

int index_fill_infer(ad_call *c) {
    if (c->in[2]->ndim)
        return ad_fail(
            AD_ERR_RUNTIME,
            "index_fill_ only supports a 0-dimensional value tensor, but got tensor with %d dimension(s).",
            c->in[2]->ndim);
    if (c->in[1]->ndim > 1) return ad_fail(AD_ERR_RUNTIME, "index_fill_(): Index has to be a vector/scalar");
    if (c->in[1]->dtype != AD_I64)
        return ad_fail(AD_ERR_INDEX, "index_fill_(): Expected dtype int64 for index.");
    return along_infer(c, "index_fill_()", true, 1, AD_ERR_INDEX);
}
size_t index_fill_scratch(const ad_call *c) { return index_offsets_bytes(1, c->in + 1); }
void index_fill_run(const ad_call *c) {
    char value[8];
    ad_storage store = {.data = value};
    ad_tensor one = {.storage = &store, .dtype = c->out[0]->dtype, .numel = 1};
    tensor_copy_data(&one, c->in[2]);
    along(c, MOVE_WRITE, c->out[0], c->in[1], &one);
}
void index_fill_vjp(ad_vjp *v) {
    ad_tensor *in[3] = {v->g[0], vjp_in(v, 1)};
    ad_attr at = {.i = {v->at->i[0]}};
    if (!in[1]) return;
    if (vjp_needs(v, 0) && (in[2] = em_zeros(&v->E, v->g[0]->dtype, 0, NULL)))
        v->gin[0] = em_op(&v->E, OP_index_fill, 3, in, &at);
    if (vjp_needs(v, 2)) { /* by a mask: an index that repeats was filled once */
        const ad_meta *m = vjp_meta(v, 0);
        ad_tensor *mark[3] = {em_zeros(&v->E, AD_BOOL, m->ndim, m->sizes), in[1], em_const(&v->E, 1)};
        ad_tensor *mask = mark[0] && mark[2] ? em_op(&v->E, OP_index_fill, 3, mark, &at) : NULL;
        ad_tensor *d = em3(&v->E, OP_where, mask, v->g[0], em_const(&v->E, 0));
        v->gin[2] = em_cast(&v->E, em_sum_to(&v->E, d, 0, NULL), vjp_meta(v, 2)->dtype);
    }
}
