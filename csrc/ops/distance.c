/* cdist: the distance of every row of one matrix from every row of another, batch by batch.
 *
 * cdist(a [..., P, M], b [..., R, M]) with f[0] = the power of the norm. Rows are compared as they are,
 * without the detour over a product of matrices, which loses half of the digits of small distances. */
#include <math.h>
#include <string.h>
#include "../pool.h"
#include "declare.h"

#define WORK 32768

enum { COUNT, ONE, TWO, LARGEST, POWER };
static int kind_of(double p) {
    return p == 0 ? COUNT : p == 1 ? ONE : p == 2 ? TWO : isinf(p) ? LARGEST : POWER;
}

static int refuse_rank(const ad_tensor *t, const char *name) {
    return ad_fail(AD_ERR_RUNTIME, "cdist only supports at least 2D tensors, %s got: %dD", name, t->ndim);
}
int cdist_infer(ad_call *c) {
    const ad_tensor *a = c->in[0], *b = c->in[1];
    if (!dtype_is_float(a->dtype) || !dtype_is_float(b->dtype))
        return ad_fail(AD_ERR_RUNTIME, "cdist only supports floating-point dtypes, X1 got: %s, X2 got: %s",
                       dtype_class[a->dtype], dtype_class[b->dtype]);
    if (a->ndim < 2) return refuse_rank(a, "X1");
    if (b->ndim < 2) return refuse_rank(b, "X2");
    if (a->dtype != b->dtype)
        return ad_fail(AD_ERR_RUNTIME, "cdist: expected inputs of one dtype, got %s and %s",
                       dtype_name[a->dtype], dtype_name[b->dtype]);
    if (a->dtype != AD_F32 && a->dtype != AD_F64)
        return ad_fail(AD_ERR_NOT_IMPLEMENTED, "\"cdist\" not implemented for '%s'", dtype_class[a->dtype]);
    if (a->sizes[a->ndim - 1] != b->sizes[b->ndim - 1])
        return ad_fail(AD_ERR_RUNTIME, "X1 and X2 must have the same number of columns. X1: %lld X2: %lld",
                       (long long)a->sizes[a->ndim - 1], (long long)b->sizes[b->ndim - 1]);
    if (!(c->at->f[0] >= 0))
        return ad_fail(AD_ERR_RUNTIME, "cdist only supports non-negative p values, got %g", c->at->f[0]);
    if (!dims_equal(a->ndim - 2, a->sizes, b->ndim - 2, b->sizes))
        return ad_fail(AD_ERR_RUNTIME, "cdist: the batches of %s and %s differ", fmt_sizes(a->ndim, a->sizes),
                       fmt_sizes(b->ndim, b->sizes));
    spec_like(&c->spec[0], a);
    c->spec[0].sizes[a->ndim - 1] = b->sizes[b->ndim - 2];
    return 0;
}

typedef struct pairs {
    int ct, kind;
    double p;
    int64_t P, R, M, es;
    const char *a, *bt, *g, *dist;
    char *out;
} pairs;

/* The rows of b by coordinate, matrix by matrix, at `to`. */
static void turn(const ad_tensor *b, void *to) {
    ad_tensor from = *b, turned = *b;
    ad_storage room = {.data = to};
    int64_t sizes[AD_MAXDIM], strides[AD_MAXDIM], plain[AD_MAXDIM];
    int n = b->ndim;
    dims_copy(sizes, b->sizes, n);
    dims_copy(strides, b->strides, n);
    sizes[n - 1] = b->sizes[n - 2], sizes[n - 2] = b->sizes[n - 1];
    strides[n - 1] = b->strides[n - 2], strides[n - 2] = b->strides[n - 1];
    dims_contiguous_strides(n, sizes, plain);
    from.sizes = turned.sizes = sizes;
    from.strides = strides;
    turned.strides = plain;
    turned.storage = &room;
    turned.offset = 0;
    tensor_move(&turned, &from);
}
static pairs setup(const ad_call *c, const ad_tensor *a, const ad_tensor *b) {
    pairs p = {.ct = dtype_compute(a->dtype), .kind = kind_of(c->at->f[0]), .p = c->at->f[0]};
    p.P = a->sizes[a->ndim - 2];
    p.M = a->sizes[a->ndim - 1];
    p.R = b->sizes[b->ndim - 2];
    p.es = dtype_size[a->dtype];
    p.a = tensor_data(a);
    p.bt = c->scratch;
    p.out = tensor_data(c->out[0]);
    if (b->numel) turn(b, c->scratch);
    return p;
}
static int64_t grain(const pairs *p) {
    int64_t each = p->R * (p->M + 1), n = WORK / (each ? each : 1);
    return n < 4 ? 4 : n / 4 * 4; /* points that one kernel call takes together */
}
/* Points of [i, end) that share a matrix of others. */
static int64_t sharing(const pairs *p, int64_t i, int64_t end) {
    int64_t rest = p->P - i % p->P;
    return rest < end - i ? rest : end - i;
}

static void forward_range(int64_t begin, int64_t end, void *ctx) {
    const pairs *p = ctx;
    for (int64_t i = begin, n; i < end; i += n) {
        n = sharing(p, i, end);
        kern->cdist[p->ct](n, p->R, p->M, p->a + i * p->M * p->es, p->bt + i / p->P * p->R * p->M * p->es,
                           p->kind, p->p, p->out + i * p->R * p->es);
    }
}
size_t cdist_scratch(const ad_call *c) { return (size_t)c->in[1]->numel * dtype_size[c->in[1]->dtype]; }
void cdist_run(const ad_call *c) {
    if (!c->out[0]->numel) return;
    pairs p = setup(c, c->in[0], c->in[1]);
    pool_parallel_for(c->out[0]->numel / p.R, grain(&p), forward_range, &p);
}

/* ---- cdist_grad(g, a, b, dist): of a ---- */

int cdist_grad_infer(ad_call *c) {
    spec_like(&c->spec[0], c->in[1]);
    return 0;
}
static void grad_range(int64_t begin, int64_t end, void *ctx) {
    const pairs *p = ctx;
    for (int64_t i = begin, n; i < end; i += n) {
        n = sharing(p, i, end);
        kern->cdist_grad[p->ct](n, p->R, p->M, p->a + i * p->M * p->es,
                                p->bt + i / p->P * p->R * p->M * p->es, p->g + i * p->R * p->es,
                                p->dist + i * p->R * p->es, p->kind, p->p, p->out + i * p->M * p->es);
    }
}
size_t cdist_grad_scratch(const ad_call *c) { return (size_t)c->in[2]->numel * dtype_size[c->in[2]->dtype]; }
void cdist_grad_run(const ad_call *c) {
    if (!c->out[0]->numel) return;
    pairs p = setup(c, c->in[1], c->in[2]);
    p.g = tensor_data(c->in[0]);
    p.dist = tensor_data(c->in[3]);
    pool_parallel_for(c->out[0]->numel / p.M, grain(&p), grad_range, &p);
}

/* ---- derivatives ---- */

/* [..., P, R, M]: the derivative of each distance y by the coordinates of a; by those of b its negative. */
static ad_tensor *slope(ad_em *E, ad_tensor *a, ad_tensor *b, ad_tensor *y, double p) {
#define k(v) em_const(E, v)
#define e2(op, x, y) em2(E, OP_##op, x, y)
#define e1(op, x) em1(E, OP_##op, x)
    a = em1i(E, OP_unsqueeze, a, -2, 0, 0);
    b = em1i(E, OP_unsqueeze, b, -3, 0, 0);
    y = em1i(E, OP_unsqueeze, y, -1, 0, 0);
    ad_tensor *d = e2(sub, a, b), *r = e1(sign, d), *zero = e2(eq, y, k(0));
    if (!r || !zero) return NULL;
    y = em3(E, OP_where, zero, k(1), y);
    switch (kind_of(p)) {
    case COUNT:
        return em_zeros(E, d->dtype, d->ndim, d->sizes);
    case ONE:
        break;
    case TWO:
        r = e2(div, d, y);
        break;
    case LARGEST:
        r = em3(E, OP_where, e2(eq, e1(abs, d), y), r, k(0));
        break;
    default: {
        ad_tensor *apart = em3(E, OP_where, e2(eq, d, k(0)), k(1), e1(abs, d));
        r = e2(mul, r, e2(div, e2(pow, apart, k(p - 1)), e2(pow, y, k(p - 1))));
    }
    }
    return em3(E, OP_where, zero, k(0), r);
#undef k
#undef e1
#undef e2
}
static ad_tensor *em_sum_dim(ad_em *E, ad_tensor *t, int64_t dim) {
    ad_attr at = {.i = {0, -1}, .list = &dim, .nlist = 1};
    return t ? em_op(E, OP_sum, 1, &t, &at) : NULL;
}
static ad_tensor *em_turned(ad_em *E, ad_tensor *t) { return em1i(E, OP_transpose, t, -1, -2, 0); }

void cdist_vjp(ad_vjp *v) {
    ad_em *E = &v->E;
    ad_tensor *g = v->g[0], *a = vjp_in(v, 0), *b = vjp_in(v, 1), *y = vjp_out(v, 0);
    if (!a || !b || !y) return;
    if (!grad_is_final()) { /* from operations that have gradients of their own */
        ad_tensor *d = slope(E, a, b, y, v->at->f[0]);
        d = em2(E, OP_mul, em1i(E, OP_unsqueeze, g, -1, 0, 0), d);
        if (vjp_needs(v, 0)) v->gin[0] = em_sum_dim(E, d, -2);
        if (vjp_needs(v, 1)) v->gin[1] = em1(E, OP_neg, em_sum_dim(E, d, -3));
        return;
    }
    if (vjp_needs(v, 0)) v->gin[0] = em_op(E, OP_cdist_grad, 4, (ad_tensor *[]){g, a, b, y}, v->at);
    if (!vjp_needs(v, 1)) return;
    g = em_turned(E, g);
    y = em_turned(E, y);
    if (g && y) v->gin[1] = em_op(E, OP_cdist_grad, 4, (ad_tensor *[]){g, b, a, y}, v->at);
}
void cdist_jvp(ad_jvp *j) {
    ad_em *E = &j->E;
    const ad_call *c = j->c;
    ad_tensor *d = slope(E, c->in[0], c->in[1], c->out[0], c->at->f[0]), *t = NULL;
    if (j->t[0]) t = em1i(E, OP_unsqueeze, j->t[0], -2, 0, 0);
    if (j->t[1]) {
        ad_tensor *other = em1i(E, OP_unsqueeze, j->t[1], -3, 0, 0);
        t = t ? em2(E, OP_sub, t, other) : em1(E, OP_neg, other);
    }
    j->tout[0] = em_sum_dim(E, em2(E, OP_mul, d, t), -1);
}
