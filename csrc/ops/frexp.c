/* frexp: x = mantissa 2^exponent with a mantissa of at least 1/2 and below 1; zero, NaN and infinities have
 * exponent 0. */
#include <math.h>
#include "../pool.h"
#include "declare.h"

int frexp_infer(ad_call *c) {
    const ad_tensor *x = c->in[0];
    if (!dtype_is_float(x->dtype))
        return ad_fail(AD_ERR_RUNTIME, "torch.frexp() only supports floating-point dtypes, got %s",
                       dtype_name[x->dtype]);
    spec_like(&c->spec[0], x);
    spec_like(&c->spec[1], x);
    c->spec[1].dtype = AD_I32;
    c->spec[1].nondiff = true;
    return 0;
}
static void range(int64_t begin, int64_t end, void *ctx) {
    const ad_call *c = ctx;
    int dtype = c->in[0]->dtype;
    int64_t es = dtype_size[dtype];
    const char *x = tensor_data(c->in[0]);
    char *m = tensor_data(c->out[0]);
    int32_t *e = tensor_data(c->out[1]);
    for (int64_t k = begin; k < end; k++) {
        double v;
        int exponent = 0;
        dtype_loads[dtype][CT_F64](1, &v, x + k * es, 0);
        if (isfinite(v)) v = frexp(v, &exponent);
        dtype_stores[dtype][CT_F64](1, m + k * es, 0, &v);
        e[k] = exponent;
    }
}
void frexp_run(const ad_call *c) { pool_parallel_for(c->in[0]->numel, 1 << 14, range, (void *)c); }

/* g 2^-exponent */
static ad_tensor *em_scaled(ad_em *E, ad_tensor *g, ad_tensor *exponent) {
    if (!g || !exponent) return NULL;
    return em2(E, OP_mul, g, em1(E, OP_exp2, em1(E, OP_neg, em_cast(E, exponent, g->dtype))));
}
void frexp_vjp(ad_vjp *v) {
    if (v->g[0]) v->gin[0] = em_scaled(&v->E, v->g[0], vjp_out(v, 1));
}
void frexp_jvp(ad_jvp *j) { j->tout[0] = em_scaled(&j->E, j->t[0], j->c->out[1]); }
