/* Creation, copies and conversions. */
#include <string.h>
#include "../core.h"
#include "declare.h"

/* full(sizes): list = sizes, i[0] = dtype, i[1] = value for integers, f[0] = value for floats */
int full_infer(ad_call *c) {
    ad_spec *s = &c->spec[0];
    const ad_attr *at = c->at;
    if (at->nlist > AD_MAXDIM)
        return ad_fail(AD_ERR_RUNTIME, "too many dimensions: %lld, the most is %d", (long long)at->nlist, AD_MAXDIM);
    s->dtype = (uint8_t)at->i[0];
    s->ndim = (uint8_t)at->nlist;
    memcpy(s->sizes, at->list, (size_t)at->nlist * sizeof *s->sizes);
    return 0;
}

void full_run(const ad_call *c) {
    ad_tensor *out = c->out[0];
    size_t size = dtype_size[out->dtype], bytes = (size_t)out->numel * size;
    char *p = tensor_data(out), one[8];
    if (!bytes) return;
    if (dtype_is_float(out->dtype))
        dtype_stores[out->dtype][CT_F64](1, one, 0, &c->at->f[0]);
    else
        dtype_stores[out->dtype][CT_I64](1, one, 0, &c->at->i[1]);
    bool zero = true;
    for (size_t k = 0; k < size; k++) zero &= one[k] == 0;
    if (zero) {
        memset(p, 0, bytes);
        return;
    }
    memcpy(p, one, size);
    for (size_t have = size; have < bytes; have *= 2) memcpy(p + have, p, have < bytes - have ? have : bytes - have);
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
        return ad_fail(AD_ERR_RUNTIME, "cannot copy a tensor of size %s into one of size %s: too many dimensions",
                       fmt_sizes(src->ndim, src->sizes), fmt_sizes(self->ndim, self->sizes));
    for (int d = 0; d < src->ndim; d++) {
        int64_t want = self->sizes[d + lead];
        if (src->sizes[d] != 1 && src->sizes[d] != want)
            return ad_fail(AD_ERR_RUNTIME,
                           "The expanded size of the tensor (%lld) must match the existing size (%lld) at "
                           "non-singleton dimension %d.  Target sizes: %s.  Tensor sizes: %s",
                           (long long)want, (long long)src->sizes[d], d + lead, fmt_sizes(self->ndim, self->sizes),
                           fmt_sizes(src->ndim, src->sizes));
    }
    return 0;
}
void copy_run(const ad_call *c) { tensor_copy_data(c->out[0], c->in[1]); }
void copy_vjp(ad_vjp *v) {
    const ad_meta *m = vjp_meta(v, 1);
    if (vjp_needs(v, 1)) v->gin[1] = em_cast(&v->E, em_sum_to(&v->E, v->g[0], m->ndim, m->sizes), m->dtype);
}
void copy_jvp(ad_jvp *j) {
    const ad_tensor *y = j->c->out[0];
    j->tout[0] = j->t[1] ? em_expand(&j->E, em_cast(&j->E, j->t[1], y->dtype), y->ndim, y->sizes)
                         : em_zeros(&j->E, y->dtype, y->ndim, y->sizes);
}
