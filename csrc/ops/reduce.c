/* Reductions. */
#include <string.h>
#include "../core.h"
#include "declare.h"

/* sum(list = dimensions, none: all; i[0] = keepdim; i[1] = dtype or -1) */
int sum_infer(ad_call *c) {
    const ad_tensor *x = c->in[0];
    ad_spec *s = &c->spec[0];
    bool drop[AD_MAXDIM] = {false};
    for (int64_t k = 0; k < c->at->nlist; k++) {
        int d = dim_wrap(c->at->list[k], x->ndim);
        if (d < 0) return -1;
        if (drop[d]) return ad_fail(AD_ERR_RUNTIME, "dim %d appears multiple times in the list of dims", d);
        drop[d] = true;
    }
    s->dtype = (uint8_t)(c->at->i[1] >= 0 ? c->at->i[1] : dtype_is_int(x->dtype) ? AD_I64 : x->dtype);
    int n = 0;
    for (int d = 0; d < x->ndim; d++) {
        bool gone = !c->at->nlist || drop[d];
        if (gone && !c->at->i[0]) continue;
        s->sizes[n++] = gone ? 1 : x->sizes[d];
    }
    s->ndim = (uint8_t)n;
    return 0;
}

void sum_run(const ad_call *c) {
    ad_tensor acc = *c->out[0];
    const ad_tensor *x = c->in[0];
    int64_t strides[AD_MAXDIM];
    bool drop[AD_MAXDIM] = {false};
    for (int64_t k = 0; k < c->at->nlist; k++) drop[dim_wrap(c->at->list[k], x->ndim)] = true;
    for (int d = 0, n = 0; d < x->ndim; d++) {
        bool gone = !c->at->nlist || drop[d];
        strides[d] = gone ? 0 : acc.strides[n];
        n += !gone || c->at->i[0];
    }
    memset(tensor_data(&acc), 0, (size_t)acc.numel * dtype_size[acc.dtype]);
    acc.strides = strides;
    acc.ndim = x->ndim;
    acc.sizes = x->sizes;
    acc.numel = x->numel;
    strided_accumulate(&acc, x);
}

void sum_vjp(ad_vjp *v) {
    const ad_meta *m = vjp_meta(v, 0);
    int64_t kept[AD_MAXDIM];
    memcpy(kept, m->sizes, m->ndim * sizeof *kept);
    for (int d = 0; d < m->ndim; d++)
        if (!v->at->nlist) kept[d] = 1;
    for (int64_t k = 0; k < v->at->nlist; k++) kept[dim_wrap(v->at->list[k], m->ndim)] = 1;
    ad_tensor *g = em_reshape(&v->E, v->g[0], m->ndim, kept);
    v->gin[0] = em_expand(&v->E, em_cast(&v->E, g, m->dtype), m->ndim, m->sizes);
}
