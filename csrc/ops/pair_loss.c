/* Losses of an input and a target of one size: mse, l1, smooth l1, Huber, binary cross entropy, KL
 * divergence. One row, one pass: i[0] = which (enum loss_row), i[1] = reduction (0 none, 1 mean, 2 sum), f[0]
 * = beta or delta. */
#include <math.h>
#include <string.h>
#include "../pool.h"
#include "declare.h"

#define TILE 1024
#define CHUNK 65536

typedef struct pass {
    const ad_tensor *a, *b, *g;
    ad_tensor *out;
    int ct, kind, which;
    bool direct, single; /* of the compute type; g is one number */
    double param, scale;
    double *part;
    bool sums;
} pass;

static const void *part_of(const pass *p, const ad_tensor *t, int64_t at, int64_t n, char *tile) {
    const char *d = (char *)tensor_data(t) + at * dtype_size[t->dtype];
    if (p->direct) return d;
    dtype_loads[t->dtype][p->ct](n, tile, d, dtype_size[t->dtype]);
    return tile;
}

static void pass_range(int64_t begin, int64_t end, void *ctx) {
    const pass *p = ctx;
    _Alignas(64) char ta[TILE * 8], tb[TILE * 8], tg[TILE * 8], to[TILE * 8];
    double sum = 0;
    for (int64_t i = begin; i < end; i += TILE) {
        int64_t n = end - i < TILE ? end - i : TILE;
        const void *a = part_of(p, p->a, i, n, ta), *b = part_of(p, p->b, i, n, tb);
        if (p->sums) {
            union {
                float f;
                double d;
            } s;
            kern->loss_sum[p->kind][p->ct](n, a, b, p->param, &s);
            sum += p->ct == CT_F32 ? (double)s.f : s.d;
            continue;
        }
        char *dst = (char *)tensor_data(p->out) + i * dtype_size[p->out->dtype], *o = p->direct ? dst : to;
        if (p->g)
            kern->loss_grad[p->kind][p->ct](n, a, b, p->param, p->which, p->scale,
                                            p->single ? NULL : part_of(p, p->g, i, n, tg), o);
        else kern->loss_each[p->kind][p->ct](n, a, b, p->param, o);
        if (!p->direct) dtype_stores[p->out->dtype][p->ct](n, dst, dtype_size[p->out->dtype], to);
    }
    if (p->sums) p->part[begin / CHUNK] = sum;
}

static const char *const names[LOSS_ROWS] = {
#define LOSS(name, ...) #name,
#include "../kernels/loss.def"
#undef LOSS
};

int pair_loss_infer(ad_call *c) {
    const ad_tensor *a = c->in[0], *b = c->in[1];
    int64_t kind = c->at->i[0];
    if (kind < 0 || kind >= LOSS_ROWS)
        return ad_fail(AD_ERR_RUNTIME, "pair_loss has no kind %lld", (long long)kind);
    if (!tensor_same_sizes(a, b) || a->dtype != b->dtype)
        return ad_fail(AD_ERR_RUNTIME,
                       "%s loss: input of size %s and %s, target of size %s and %s: both must agree",
                       names[kind], fmt_sizes(a->ndim, a->sizes), dtype_name[a->dtype],
                       fmt_sizes(b->ndim, b->sizes), dtype_name[b->dtype]);
    if (!dtype_is_float(a->dtype))
        return ad_fail(AD_ERR_NOT_IMPLEMENTED, "\"%s_cpu\" not implemented for '%s'", names[kind],
                       dtype_class[a->dtype]);
    if (kind == LOSS_bce)
        for (int64_t k = 0; k < a->numel; k++) {
            double v;
            dtype_loads[a->dtype][CT_F64](1, &v, (char *)tensor_data(a) + k * dtype_size[a->dtype], 0);
            if (!(v >= 0 && v <= 1))
                return ad_fail(AD_ERR_RUNTIME, "all elements of input should be between 0 and 1");
        }
    spec_like(&c->spec[0], a);
    if (c->at->i[1]) c->spec[0].ndim = 0;
    return 0;
}

static pass prepare(const ad_call *c, const ad_tensor *a, const ad_tensor *b) {
    pass p = {.a = a, .b = b, .out = c->out[0], .kind = (int)c->at->i[0], .param = c->at->f[0]};
    p.ct = dtype_compute(a->dtype);
    p.direct = (a->dtype == AD_F32 || a->dtype == AD_F64);
    return p;
}
size_t pair_loss_scratch(const ad_call *c) {
    return c->at->i[1] && c->in[0]->numel > CHUNK
               ? (size_t)((c->in[0]->numel + CHUNK - 1) / CHUNK) * sizeof(double)
               : 0;
}
void pair_loss_run(const ad_call *c) {
    pass p = prepare(c, c->in[0], c->in[1]);
    double one = 0;
    int64_t n = p.a->numel;
    p.sums = c->at->i[1] != 0;
    p.part = n > CHUNK ? c->scratch : &one;
    pool_parallel_for(n, CHUNK, pass_range, &p);
    if (!p.sums) return;
    double sum = p.part[0];
    for (int64_t k = 1; k < (n + CHUNK - 1) / CHUNK; k++) sum += p.part[k];
    if (c->at->i[1] == 1) sum /= (double)n;
    dtype_stores[p.out->dtype][CT_F64](1, tensor_data(p.out), 0, &sum);
}

/* pair_loss_grad(g, input, target): i[2] = 1 for the target's gradient */
int pair_loss_grad_infer(ad_call *c) {
    spec_like(&c->spec[0], c->in[1]);
    return 0;
}
void pair_loss_grad_run(const ad_call *c) {
    pass p = prepare(c, c->in[1], c->in[2]);
    int64_t n = p.a->numel;
    p.g = c->in[0];
    p.which = (int)c->at->i[2];
    p.single = c->at->i[1] != 0;
    if (p.single) p.scale = tensor_get_f64(p.g) / (c->at->i[1] == 1 ? (double)n : 1);
    pool_parallel_for(n, CHUNK, pass_range, &p);
}

/* The derivative by operations that have gradients of their own. */
static ad_tensor *slope(ad_em *E, int kind, double param, int which, ad_tensor *a, ad_tensor *b) {
#define k(v) em_const(E, v)
#define e2(op, x, y) em2(E, OP_##op, x, y)
#define e1(op, x) em1(E, OP_##op, x)
    ad_tensor *d = kind <= LOSS_huber ? e2(sub, which ? b : a, which ? a : b) : NULL, *near;
    switch (kind) {
    case LOSS_mse:
        return e2(mul, d, k(2));
    case LOSS_l1:
        return e1(sign, d);
    case LOSS_smooth_l1:
        near = e2(lt, e1(abs, d), k(param));
        return em3(E, OP_where, near, param ? e2(div, d, k(param)) : d, e1(sign, d));
    case LOSS_huber:
        near = e2(le, e1(abs, d), k(param));
        return em3(E, OP_where, near, d, e2(mul, e1(sign, d), k(param)));
    case LOSS_bce: {
        ad_tensor *rest = e2(sub, k(1), a);
        if (!which) return e2(div, e2(sub, a, b), e2(clamp_min, e2(mul, rest, a), k(1e-12)));
        return e2(sub, e2(clamp_min, e1(log, rest), k(-100)), e2(clamp_min, e1(log, a), k(-100)));
    }
    case LOSS_bce_logits:
        return which ? e1(neg, a) : e2(sub, e1(sigmoid, a), b);
    case LOSS_kl:
        return which ? e2(add, e2(sub, e1(log, b), a), k(1)) : e1(neg, b);
    default:
        return which ? e2(mul, e1(exp, b), e2(add, e2(sub, b, a), k(1))) : e1(neg, e1(exp, b));
    }
#undef k
#undef e1
#undef e2
}

void pair_loss_vjp(ad_vjp *v) {
    ad_em *E = &v->E;
    ad_tensor *a = vjp_in(v, 0), *b = vjp_in(v, 1), *g = v->g[0];
    if (!a || !b) return;
    for (int which = 0; which < 2; which++) {
        if (!vjp_needs(v, which)) continue;
        if (grad_is_final()) {
            ad_attr at = *v->at;
            at.i[2] = which;
            v->gin[which] = em_op(E, OP_pair_loss_grad, 3, (ad_tensor *[]){g, a, b}, &at);
            continue;
        }
        ad_tensor *d = slope(E, (int)v->at->i[0], v->at->f[0], which, a, b);
        if (v->at->i[1] == 1) d = em2(E, OP_div, d, em_const(E, (double)a->numel));
        v->gin[which] = em2(E, OP_mul, d, g);
    }
}
void pair_loss_jvp(ad_jvp *j) {
    const ad_call *c = j->c;
    ad_tensor *sum = NULL;
    for (int which = 0; which < 2; which++) {
        if (!j->t[which]) continue;
        ad_tensor *d =
            em2(&j->E, OP_mul, slope(&j->E, (int)c->at->i[0], c->at->f[0], which, c->in[0], c->in[1]),
                j->t[which]);
        sum = sum ? em2(&j->E, OP_add, sum, d) : d;
    }
    ad_attr at = {.i = {0, -1}};
    if (c->at->i[1] && sum) sum = em_op(&j->E, c->at->i[1] == 1 ? OP_mean : OP_sum, 1, &sum, &at);
    j->tout[0] = sum;
}
