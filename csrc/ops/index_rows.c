/* x[i, :, j], its gradient, and its writes. */
#include <string.h>
#include "index.h"

/* ---- index(x, idx...): list = the dimensions that the index tensors stand for, ascending ---- */

/* The dimensions that n index tensors stand for: as many, in range and ascending. */
static int check_dims(const ad_call *c, int n, int ndim, int64_t listed) {
    const int64_t *dims = c->at->list;
    bool fits = n >= 1 && n <= 14 && listed == n;
    for (int i = 0; i < n && fits; i++) fits = dims[i] >= (i ? dims[i - 1] + 1 : 0) && dims[i] < AD_MAXDIM;
    if (!fits)
        return ad_fail(AD_ERR_RUNTIME, "%s: %d index tensors for a list of %lld dimensions", c->op->name, n,
                       (long long)listed);
    if (dims[n - 1] >= ndim)
        return ad_fail(AD_ERR_INDEX, "too many indices for tensor of dimension %d (got %lld)", ndim,
                       (long long)dims[n - 1] + 1);
    return 0;
}
static int check_indices(const ad_tensor *x, int nidx, ad_tensor *const *idx, const int64_t *dims, bool any) {
    if (nidx > 14) return ad_fail(AD_ERR_RUNTIME, "indexing takes at most 14 index tensors, got %d", nidx);
    if (nidx > x->ndim)
        return ad_fail(AD_ERR_INDEX, "too many indices for tensor of dimension %d (got %d)", x->ndim, nidx);
    for (int i = 0; i < nidx; i++) {
        int64_t size = x->sizes[dims[i]], bad = 0;
        if (idx[i]->dtype != AD_I64 && idx[i]->dtype != AD_I32)
            return ad_fail(AD_ERR_INDEX, "tensors used as indices must be long, int, byte or bool tensors");
        if (!any || !index_bad(idx[i], -size, size, &bad)) continue;
        if (!size) return ad_fail(AD_ERR_INDEX, "index is out of bounds for dimension with size 0");
        return ad_fail(AD_ERR_INDEX, "index %lld is out of bounds for dimension %lld with size %lld",
                       (long long)bad, (long long)dims[i], (long long)size);
    }
    return 0;
}

static bool rest_empty(const index_plan *p) {
    for (int d = 0; d < p->ndim; d++)
        if ((d < p->nb || d >= p->nb + p->np) && p->sizes[d] == 0) return true;
    return false;
}

int index_infer(ad_call *c) {
    if (c->nin < 1) return ad_fail(AD_ERR_TYPE, "index: no tensor");
    const ad_tensor *x = c->in[0];
    ad_spec *s = &c->spec[0];
    index_plan p;
    int nidx = c->nin - 1;
    if (nidx > 14 || nidx > x->ndim) return check_indices(x, nidx, NULL, NULL, false);
    if (check_dims(c, nidx, x->ndim, c->at->nlist)) return -1;
    if (check_indices(x, nidx, c->in + 1, c->at->list, false)) return -1;
    if (index_plan_set(&p, x, nidx, c->in + 1, c->at->list)) return -1;
    if (check_indices(x, nidx, c->in + 1, c->at->list, !rest_empty(&p))) return -1;
    s->dtype = x->dtype;
    s->ndim = (uint8_t)p.ndim;
    memcpy(s->sizes, p.sizes, (size_t)p.ndim * sizeof *s->sizes);
    return 0;
}

size_t index_scratch(const ad_call *c) { return index_offsets_bytes(c->nin - 1, c->in + 1); }
void index_run(const ad_call *c) {
    index_plan p;
    if (!c->out[0]->numel) return;
    index_plan_set(&p, c->in[0], c->nin - 1, c->in + 1, c->at->list);
    index_offsets(&p, c->in[0], c->nin - 1, c->in + 1, c->at->list, c->scratch);
    index_move(&p, MOVE_READ, c->scratch, c->in[0], c->out[0], c->out[0]->strides);
}

/* The indices among a node's saved inputs, from input `first`. */
static int saved_indices(ad_vjp *v, int first, ad_tensor **in) {
    int n = 0;
    for (int i = first; i < v->nin; i++, n++)
        if (!(in[n] = vjp_in(v, i))) return -1;
    return n;
}

static ad_tensor *emit_index_grad(ad_em *E, ad_tensor *g, int n, ad_tensor **idx, const int64_t *dims,
                                  const ad_meta *m) {
    ad_tensor *in[16] = {g};
    int64_t list[2 * AD_MAXDIM];
    memcpy(in + 1, idx, (size_t)n * sizeof *idx);
    memcpy(list, dims, (size_t)n * sizeof *list);
    memcpy(list + n, m->sizes, m->ndim * sizeof *list);
    ad_attr at = {.list = list, .nlist = n + m->ndim};
    return g ? em_op(E, OP_index_grad, n + 1, in, &at) : NULL;
}

void index_vjp(ad_vjp *v) {
    ad_tensor *idx[16];
    int n = saved_indices(v, 1, idx);
    if (n >= 0) v->gin[0] = emit_index_grad(&v->E, v->g[0], n, idx, v->at->list, vjp_meta(v, 0));
}

/* ---- index_grad(g, idx...): zeros plus g at the positions; list = dimensions, then sizes ---- */

int index_grad_infer(ad_call *c) {
    ad_spec *s = &c->spec[0];
    int n = c->nin - 1;
    int64_t numel, ndim = c->at->nlist - n;
    if (n < 1 || ndim < 0 || ndim > AD_MAXDIM)
        return ad_fail(AD_ERR_RUNTIME, "index_grad: %d index tensors for a list of %lld", n,
                       (long long)c->at->nlist);
    if (check_dims(c, n, (int)ndim, n) || dims_numel((int)ndim, c->at->list + n, &numel)) return -1;
    s->dtype = c->in[0]->dtype;
    s->ndim = (uint8_t)ndim;
    dims_copy(s->sizes, c->at->list + n, s->ndim);
    /* the gradient has the sizes of what was read */
    ad_tensor like = {.ndim = s->ndim, .sizes = s->sizes, .strides = s->strides, .dtype = s->dtype};
    const ad_tensor *g = c->in[0];
    index_plan p;
    dims_contiguous_strides(like.ndim, like.sizes, like.strides);
    if (check_indices(&like, n, c->in + 1, c->at->list, false) ||
        index_plan_set(&p, &like, n, c->in + 1, c->at->list))
        return -1;
    if (!dims_equal(g->ndim, g->sizes, p.ndim, p.sizes))
        return ad_fail(AD_ERR_RUNTIME, "index_grad: a gradient of size %s for what was read as %s",
                       fmt_sizes(g->ndim, g->sizes), fmt_sizes(p.ndim, p.sizes));
    return 0;
}
size_t index_grad_scratch(const ad_call *c) {
    int n = c->nin - 1;
    ad_tensor like = {.ndim = (uint8_t)(c->at->nlist - n), .sizes = (int64_t *)c->at->list + n};
    return index_add_bytes(&like, n, c->in + 1, c->at->list);
}
void index_grad_run(const ad_call *c) {
    ad_tensor *out = c->out[0];
    index_plan p;
    if (!out->numel) return;
    memset(tensor_data(out), 0, (size_t)out->numel * dtype_size[out->dtype]);
    index_plan_set(&p, out, c->nin - 1, c->in + 1, c->at->list);
    index_offsets(&p, out, c->nin - 1, c->in + 1, c->at->list, c->scratch);
    index_group_room(&p, out, c->nin - 1, c->in + 1, c->at->list, c->scratch);
    index_move(&p, MOVE_ADD, c->scratch, out, c->in[0], c->in[0]->strides);
}
void index_grad_vjp(ad_vjp *v) {
    ad_tensor *in[16] = {v->g[0]};
    int n = saved_indices(v, 1, in + 1);
    ad_attr at = {.list = v->at->list, .nlist = n};
    if (n >= 0) v->gin[0] = em_op(&v->E, OP_index, n + 1, in, &at);
}

/* ---- index_put(self, value, idx...): list = dimensions, i[0] = accumulate ---- */

int index_put_infer(ad_call *c) {
    if (c->nin < 2) return ad_fail(AD_ERR_TYPE, "index_put: no tensor");
    const ad_tensor *x = c->in[0], *value = c->in[1];
    index_plan p;
    int nidx = c->nin - 2, lead;
    if (nidx > 14 || nidx > x->ndim) return check_indices(x, nidx, NULL, NULL, false);
    if (check_dims(c, nidx, x->ndim, c->at->nlist)) return -1;
    if (check_indices(x, nidx, c->in + 2, c->at->list, false)) return -1;
    if (index_plan_set(&p, x, nidx, c->in + 2, c->at->list)) return -1;
    if (check_indices(x, nidx, c->in + 2, c->at->list, !rest_empty(&p))) return -1;
    if (value->dtype != x->dtype)
        return ad_fail(AD_ERR_RUNTIME,
                       "Index put requires the source and destination dtypes match, got %s for the "
                       "destination and %s for "
                       "the source.",
                       dtype_class[x->dtype], dtype_class[value->dtype]);
    lead = p.ndim - value->ndim;
    bool fits = lead >= 0;
    for (int d = 0; d < value->ndim && fits; d++)
        fits = value->sizes[d] == 1 || value->sizes[d] == p.sizes[d + lead];
    if (!fits)
        return ad_fail(
            AD_ERR_RUNTIME,
            "shape mismatch: value tensor of shape %s cannot be broadcast to indexing result of shape %s",
            fmt_sizes(value->ndim, value->sizes), fmt_sizes(p.ndim, p.sizes));
    spec_like(&c->spec[0], x);
    return 0;
}
size_t index_put_scratch(const ad_call *c) {
    return index_add_bytes(c->in[0], c->nin - 2, c->in + 2, c->at->list);
}
void index_put_run(const ad_call *c) {
    int64_t vstrides[2 * AD_MAXDIM];
    index_plan p;
    if (!c->out[0]->numel) return;
    index_plan_set(&p, c->out[0], c->nin - 2, c->in + 2, c->at->list);
    index_offsets(&p, c->out[0], c->nin - 2, c->in + 2, c->at->list, c->scratch);
    index_group_room(&p, c->out[0], c->nin - 2, c->in + 2, c->at->list, c->scratch);
    stretched_strides(c->in[1], p.ndim, p.sizes, vstrides);
    index_move(&p, c->at->i[0] ? MOVE_ADD : MOVE_WRITE, c->scratch, c->out[0], c->in[1], vstrides);
}
void index_put_vjp(ad_vjp *v) {
    ad_tensor *in[16] = {v->g[0]};
    const ad_meta *m = vjp_meta(v, 1);
    int n = saved_indices(v, 2, in + 2);
    if (n < 0) return;
    if (vjp_needs(v, 0)) {
        if (v->at->i[0]) v->gin[0] = v->g[0];
        else if ((in[1] = em_zeros(&v->E, v->g[0]->dtype, 0, NULL))) {
            ad_attr at = {.list = v->at->list, .nlist = n};
            v->gin[0] = em_op(&v->E, OP_index_put, n + 2, in, &at);
        }
    }
    if (vjp_needs(v, 1)) {
        ad_attr at = {.list = v->at->list, .nlist = n};
        in[1] = v->g[0];
        v->gin[1] = em_sum_to(&v->E, em_op(&v->E, OP_index, n + 1, in + 1, &at), m->ndim, m->sizes);
    }
}
