/* The gradient of attention: one call of attention_grad; where the gradient itself is to be differentiated,
 * and in forward mode, attention written out in operations that have rules of their own. */
#include <math.h>
#include "attention.h"
#include "composed.h"
#include "declare.h"

/* A head for each query head. */
static ad_tensor *em_repeat(ad_em *E, ad_tensor *t, const ad_tensor *q) {
    int n = q->ndim;
    if (!t || n < 3 || t->sizes[n - 3] == q->sizes[n - 3]) return t;
    int64_t sizes[AD_MAXDIM + 1];
    dims_copy(sizes, t->sizes, n - 2);
    sizes[n - 2] = q->sizes[n - 3] / t->sizes[n - 3];
    dims_copy(sizes + n - 1, t->sizes + n - 2, 2);
    t = em_expand(E, em1i(E, OP_unsqueeze, t, n - 2, 0, 0), n + 1, sizes);
    dims_copy(sizes, q->sizes, n - 2);
    dims_copy(sizes + n - 2, sizes + n - 1, 2);
    return em_reshape(E, t, n, sizes);
}

static ad_tensor *em_fill(ad_em *E, ad_tensor *t, ad_tensor *where, double v) {
    return em3(E, OP_masked_fill, t, where, em_const(E, v));
}

static void compose(ad_em *E, const ad_attr *at, ad_tensor **in, ad_tensor **out) {
    ad_tensor *q = in[0], *mask = in[3], *keep = in[4];
    ad_tensor *k = em_repeat(E, in[1], q), *v = em_repeat(E, in[2], q);
    ad_tensor *s = em2(E, OP_matmul, em2(E, OP_mul, q, em_const(E, at->i[2] ? at->f[0] : attention_scale(q))),
                       em1i(E, OP_transpose, k, -2, -1, 0));
    if (mask && mask->dtype == AD_BOOL) s = em_fill(E, s, em1(E, OP_logical_not, mask), -INFINITY);
    else if (mask) s = em2(E, OP_add, s, mask);
    if (!s) return;
    if (at->i[0]) {
        ad_attr all = {.i = {AD_BOOL, 1}, .f = {1}, .list = s->sizes + s->ndim - 2, .nlist = 2};
        s = em_fill(E, s, em1i(E, OP_triu, em_op(E, OP_full, 0, NULL, &all), 1, 0, 0), -INFINITY);
    }
    int64_t last = -1;
    ad_attr over = {.i = {1, -1}, .list = &last, .nlist = 1}, soft = {.i = {-1, -1}};
    if (!s) return;
    if (!s->sizes[s->ndim - 1]) {
        out[0] = em2(E, OP_matmul, s, v);
        return;
    }
    /* a query that sees no key gets zeros, and its softmax is kept from being of nothing */
    ad_tensor *dead = em2(E, OP_eq, em_op(E, OP_amax, 1, &s, &over), em_const(E, -INFINITY));
    s = em_fill(E, s, dead, 0);
    if (!s) return;
    s = em_fill(E, em_op(E, OP_softmax, 1, &s, &soft), dead, 0);
    if (keep && s) s = em_op(E, OP_dropout_scale, 2, (ad_tensor *[]){s, keep}, &(ad_attr){.f = {at->f[1]}});
    out[0] = em2(E, OP_matmul, s, v);
}

void attention_vjp(ad_vjp *v) {
    ad_em *E = &v->E;
    ad_tensor *in[5], *out[3], *g = v->g[0];
    if (!g) return;
    vjp_optional_in(v, 5, in);
    if (E->failed) return;
    if (!grad_is_final() || (in[3] && vjp_needs(v, 3))) {
        composed_vjp(v, 5, in, compose); /* the kernel has no gradient of the mask */
        return;
    }
    ad_tensor *args[] = {g, in[0], in[1], in[2], in[3], in[4], vjp_out(v, 0), vjp_out(v, 1)};
    if (E->failed) return;
    if (ad_apply(&ad_ops[OP_attention_grad], 8, args, v->at, out) < 0) {
        E->failed = true;
        return;
    }
    for (int i = 0; i < 3; i++) em_keep(E, out[i]);
    for (int i = 0; i < 3; i++)
        if (vjp_needs(v, i)) v->gin[i] = out[i];
}

void attention_jvp(ad_jvp *j) { composed_jvp(j, compose); }
