/* Matrix products. */
#include "../core.h"
#include "declare.h"

int mm_infer(ad_call *c) {
    const ad_tensor *a = c->in[0], *b = c->in[1];
    ad_spec *s = &c->spec[0];
    if (a->ndim != 2) return ad_fail(AD_ERR_RUNTIME, "self must be a matrix");
    if (b->ndim != 2) return ad_fail(AD_ERR_RUNTIME, "mat2 must be a matrix");
    if (a->sizes[1] != b->sizes[0])
        return ad_fail(AD_ERR_RUNTIME, "mat1 and mat2 shapes cannot be multiplied (%lldx%lld and %lldx%lld)",
                       (long long)a->sizes[0], (long long)a->sizes[1], (long long)b->sizes[0], (long long)b->sizes[1]);
    if (a->dtype != b->dtype)
        return ad_fail(AD_ERR_RUNTIME, "expected m1 and m2 to have the same dtype, but got: %s != %s", dtype_name[a->dtype],
                       dtype_name[b->dtype]);
    s->dtype = a->dtype;
    s->ndim = 2;
    s->sizes[0] = a->sizes[0];
    s->sizes[1] = b->sizes[1];
    return 0;
}

void mm_run(const ad_call *c) {
    const ad_tensor *a = c->in[0], *b = c->in[1];
    int64_t M = a->sizes[0], K = a->sizes[1], N = b->sizes[1];
    const float *pa = tensor_data(a), *pb = tensor_data(b);
    float *po = tensor_data(c->out[0]);
    for (int64_t i = 0; i < M; i++)
        for (int64_t j = 0; j < N; j++) {
            float s = 0;
            for (int64_t k = 0; k < K; k++)
                s += pa[i * a->strides[0] + k * a->strides[1]] * pb[k * b->strides[0] + j * b->strides[1]];
            po[i * N + j] = s;
        }
}

void mm_vjp(ad_vjp *v) {
    if (vjp_needs(v, 0)) v->gin[0] = em2(&v->E, OP_mm, v->g[0], em1i(&v->E, OP_transpose, vjp_in(v, 1), 0, 1, 0));
    if (vjp_needs(v, 1)) v->gin[1] = em2(&v->E, OP_mm, em1i(&v->E, OP_transpose, vjp_in(v, 0), 0, 1, 0), v->g[0]);
}
