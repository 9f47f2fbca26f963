/* Matrix products: mm, bmm, matmul with broadcast batches, and the linear layer. Transposes are strides.
 * float16 and bfloat16 are computed in float32, integers in int64: their operands are converted into the
 * workspace first, but for bfloat16 where the processor multiplies it. */
#include <math.h>
#include <string.h>
#include "../core.h"
#include "../gemm.h"
#include "declare.h"
#include "matmul.h"
#include "pool.h"

/* ---- shapes ---- */

static int same_dtype(const ad_tensor *a, const ad_tensor *b, const char *what) {
    if (a->dtype == b->dtype) return 0;
    return ad_fail(AD_ERR_RUNTIME, "expected m1 and m2 to have the same dtype, but got: %s != %s (%s)",
                   dtype_name[a->dtype], dtype_name[b->dtype], what);
}

static int product_spec(ad_call *c) {
    const ad_tensor *a = c->in[0], *b = c->in[1];
    ad_spec *s = &c->spec[0];
    int na = a->ndim - 2, nb = b->ndim - 2, n = na > nb ? na : nb;
    int64_t m = a->sizes[na], k = a->sizes[na + 1], k2 = b->sizes[nb], cols = b->sizes[nb + 1];
    if (same_dtype(a, b, c->op->name)) return -1;
    if (a->dtype == AD_BOOL)
        return ad_fail(AD_ERR_NOT_IMPLEMENTED, "\"%s\" not implemented for 'Bool'", c->op->name);
    if (k != k2)
        return ad_fail(AD_ERR_RUNTIME, "mat1 and mat2 shapes cannot be multiplied (%lldx%lld and %lldx%lld)",
                       (long long)m, (long long)k, (long long)k2, (long long)cols);
    for (int d = 0; d < n; d++) {
        int64_t x = d < n - na ? 1 : a->sizes[d - (n - na)], y = d < n - nb ? 1 : b->sizes[d - (n - nb)];
        if (x != y && x != 1 && y != 1)
            return ad_fail(
                AD_ERR_RUNTIME,
                "The size of tensor a (%lld) must match the size of tensor b (%lld) at non-singleton "
                "dimension %d",
                (long long)x, (long long)y, d);
        s->sizes[d] = x == 1 ? y : x;
    }
    s->sizes[n] = m;
    s->sizes[n + 1] = cols;
    s->ndim = (uint8_t)(n + 2);
    s->dtype = a->dtype;
    return 0;
}

int matmul_infer(ad_call *c) {
    if (c->in[0]->ndim < 2 || c->in[1]->ndim < 2)
        return ad_fail(AD_ERR_RUNTIME,
                       "matmul: both operands need at least two dimensions here, got %dD and %dD",
                       c->in[0]->ndim, c->in[1]->ndim);
    return product_spec(c);
}

int mm_infer(ad_call *c) {
    if (c->in[0]->ndim != 2) return ad_fail(AD_ERR_RUNTIME, "self must be a matrix");
    if (c->in[1]->ndim != 2) return ad_fail(AD_ERR_RUNTIME, "mat2 must be a matrix");
    return product_spec(c);
}

int bmm_infer(ad_call *c) {
    const ad_tensor *a = c->in[0], *b = c->in[1];
    if (a->ndim != 3) return ad_fail(AD_ERR_RUNTIME, "batch1 must be a 3D tensor");
    if (b->ndim != 3) return ad_fail(AD_ERR_RUNTIME, "batch2 must be a 3D tensor");
    if (a->sizes[0] != b->sizes[0] || a->sizes[2] != b->sizes[1])
        return ad_fail(AD_ERR_RUNTIME,
                       "Expected size for first two dimensions of batch2 tensor to be: [%lld, %lld] but got: "
                       "[%lld, %lld].",
                       (long long)a->sizes[0], (long long)a->sizes[2], (long long)b->sizes[0],
                       (long long)b->sizes[1]);
    return product_spec(c);
}

/* ---- running a product on any dtype ---- */

/* A matrix, or a batch of them, over the dimensions of the result. */
typedef struct matrix {
    void *data;
    int64_t rs, cs; /* of the last two dimensions */
    int64_t batch[AD_MAXDIM];
} matrix;

typedef struct product {
    int type, dims; /* of gemm_args; batch dimensions */
    int64_t sizes[AD_MAXDIM], m, n, k;
    matrix a, b, c;
    const void *panels; /* of b, or NULL */
} product;

/* The driver multiplies these where they lie. */
static bool native(int dtype) {
    return dtype == AD_F32 || dtype == AD_F64 || dtype == AD_I64 || (dtype == AD_BF16 && kern_bf16);
}
static int gemm_type(int dtype) {
    return dtype == AD_BF16 && kern_bf16 ? GEMM_BF16 : (int)dtype_compute(dtype);
}
static size_t padded(size_t bytes) { return (bytes + 63) & ~(size_t)63; }
static size_t converted_bytes(const ad_tensor *t) {
    return padded((size_t)t->numel * ct_size[dtype_compute(t->dtype)]);
}

/* Merges the batch dimensions where all three move evenly. */
static void merge_batch(product *p) {
    int n = 0;
    for (int d = 0; d < p->dims; d++) {
        if (p->sizes[d] == 1) continue;
        bool merge = n > 0 && p->a.batch[n - 1] == p->a.batch[d] * p->sizes[d] &&
                     p->b.batch[n - 1] == p->b.batch[d] * p->sizes[d] &&
                     p->c.batch[n - 1] == p->c.batch[d] * p->sizes[d];
        int k = merge ? n - 1 : n++;
        p->sizes[k] = merge ? p->sizes[k] * p->sizes[d] : p->sizes[d];
        p->a.batch[k] = p->a.batch[d];
        p->b.batch[k] = p->b.batch[d];
        p->c.batch[k] = p->c.batch[d];
    }
    p->dims = n;
}

static gemm_args product_args(const product *p) {
    return (gemm_args){.type = p->type,
                       .m = p->m,
                       .n = p->n,
                       .k = p->k,
                       .a = p->a.data,
                       .rsa = p->a.rs,
                       .csa = p->a.cs,
                       .b = p->b.data,
                       .rsb = p->b.rs,
                       .csb = p->b.cs,
                       .panels = p->panels,
                       .c = p->c.data,
                       .ldc = p->c.rs};
}

static void product_run(const product *p, const gemm_epilogue *epi, void *scratch) {
    gemm_args g = product_args(p);
    g.epi = epi;
    g.scratch = scratch;
    if (!p->dims) {
        gemm_run(&g);
        return;
    }
    int inner = p->dims < GEMM_BATCH_DIMS ? p->dims : GEMM_BATCH_DIMS, outer = p->dims - inner;
    gemm_batch batch = {.dims = inner};
    for (int d = 0; d < inner; d++) {
        batch.size[d] = p->sizes[outer + d];
        batch.stride_a[d] = p->a.batch[outer + d];
        batch.stride_b[d] = p->b.batch[outer + d];
        batch.stride_c[d] = p->c.batch[outer + d];
    }
    size_t size = p->type == GEMM_BF16 ? 2 : ct_size[p->type];
    int64_t index[AD_MAXDIM] = {0};
    for (;;) { /* over the dimensions beyond what the driver takes */
        int64_t oa = 0, ob = 0, oc = 0;
        for (int d = 0; d < outer; d++) {
            oa += index[d] * p->a.batch[d];
            ob += index[d] * p->b.batch[d];
            oc += index[d] * p->c.batch[d];
        }
        gemm_args part = g;
        part.a = (char *)p->a.data + oa * (int64_t)size;
        part.b = (char *)p->b.data + ob * (int64_t)size;
        part.c = (char *)p->c.data + oc * (int64_t)size;
        gemm_batch_run(&part, &batch);
        int d = outer - 1;
        for (; d >= 0; d--) {
            if (++index[d] < p->sizes[d]) break;
            index[d] = 0;
        }
        if (d < 0) return;
    }
}

/* The operand as it lies in memory, or a contiguous copy in the compute type at `room`. */
static void operand(matrix *m, const ad_tensor *t, int dims, const int64_t *sizes, void *room) {
    int64_t strides[AD_MAXDIM];
    memcpy(strides, t->strides, (size_t)t->ndim * sizeof *strides);
    m->data = tensor_data(t);
    if (room) {
        ad_tensor copy = *t;
        ad_storage s;
        s.data = room;
        copy.storage = &s;
        copy.offset = 0;
        copy.dtype = (uint8_t)(dtype_compute(t->dtype) == CT_F32 ? AD_F32 : AD_I64);
        dims_contiguous_strides(t->ndim, t->sizes, strides);
        copy.strides = strides;
        tensor_copy_data(&copy, t);
        m->data = room;
    }
    int nb = t->ndim - 2;
    m->rs = strides[nb];
    m->cs = strides[nb + 1];
    for (int d = 0; d < dims; d++) {
        int own = d - (dims - nb);
        m->batch[d] = own < 0 || (t->sizes[own] == 1 && sizes[d] != 1) ? 0 : strides[own];
    }
}

static const void *panels_of(const ad_call *c) {
    return c->at ? (const void *)(intptr_t)c->at->i[MATMUL_PANELS] : NULL;
}

static void product_of(const ad_call *c, product *p, char *room) {
    const ad_tensor *a = c->in[0], *b = c->in[1], *y = c->out[0];
    p->panels = panels_of(c);
    p->type = gemm_type(y->dtype);
    p->dims = y->ndim - 2;
    memcpy(p->sizes, y->sizes, (size_t)p->dims * sizeof *p->sizes);
    p->m = y->sizes[p->dims];
    p->n = y->sizes[p->dims + 1];
    p->k = a->sizes[a->ndim - 1];
    bool convert = !native(y->dtype);
    operand(&p->a, a, p->dims, p->sizes, convert ? room : NULL);
    operand(&p->b, b, p->dims, p->sizes, convert ? room + converted_bytes(a) : NULL);
    int64_t strides[AD_MAXDIM];
    dims_contiguous_strides(y->ndim, y->sizes, strides);
    p->c.data = convert ? room + converted_bytes(a) + converted_bytes(b) : tensor_data(y);
    p->c.rs = p->n > 0 ? p->n : 1;
    memcpy(p->c.batch, strides, (size_t)p->dims * sizeof *strides);
    merge_batch(p);
}

static size_t conversion_bytes(const ad_call *c) {
    if (native(c->out[0]->dtype)) return 0;
    return converted_bytes(c->in[0]) + converted_bytes(c->in[1]) + converted_bytes(c->out[0]);
}

size_t matmul_scratch(const ad_call *c) {
    const ad_tensor *a = c->in[0], *b = c->in[1], *y = c->out[0];
    gemm_args g = {.type = gemm_type(y->dtype),
                   .m = y->sizes[y->ndim - 2],
                   .n = y->sizes[y->ndim - 1],
                   .k = a->sizes[a->ndim - 1],
                   .rsa = a->strides[a->ndim - 2],
                   .csa = a->strides[a->ndim - 1],
                   .rsb = b->strides[b->ndim - 2],
                   .csb = b->strides[b->ndim - 1],
                   .ldc = y->sizes[y->ndim - 1]};
    size_t convert = conversion_bytes(c);
    if (convert) { /* the copies are contiguous */
        g.rsa = g.k;
        g.csa = g.csb = 1;
        g.rsb = g.n;
    }
    size_t bytes = y->numel ? gemm_batch_scratch(&g, y->numel / (g.m * g.n)) : 0;
    return convert || bytes ? convert + bytes + 64 : 0;
}

static void store_converted(const ad_call *c, const product *p) {
    ad_tensor from = *c->out[0];
    ad_storage s;
    s.data = p->c.data;
    from.storage = &s;
    from.offset = 0;
    from.dtype = (uint8_t)(p->type == CT_F32 ? AD_F32 : AD_I64);
    tensor_copy_data(c->out[0], &from);
}

void matmul_run_then(const ad_call *c, gemm_then then, void *ctx) {
    product p;
    if (!c->out[0]->numel) return;
    product_of(c, &p, c->scratch);
    gemm_epilogue epi = {.then = then, .ctx = ctx};
    product_run(&p, then ? &epi : NULL, c->scratch ? (char *)c->scratch + conversion_bytes(c) : NULL);
    if (!native(c->out[0]->dtype)) store_converted(c, &p);
}

void matmul_run(const ad_call *c) { matmul_run_then(c, NULL, NULL); }

static ad_tensor *flipped(ad_em *E, ad_tensor *t) { return em1i(E, OP_transpose, t, -2, -1, 0); }

void matmul_vjp(ad_vjp *v) {
    ad_em *E = &v->E;
    if (vjp_needs(v, 0)) {
        const ad_meta *m = vjp_meta(v, 0);
        v->gin[0] = em_sum_to(E, em2(E, OP_matmul, v->g[0], flipped(E, vjp_in(v, 1))), m->ndim, m->sizes);
    }
    if (vjp_needs(v, 1)) {
        const ad_meta *m = vjp_meta(v, 1);
        v->gin[1] = em_sum_to(E, em2(E, OP_matmul, flipped(E, vjp_in(v, 0)), v->g[0]), m->ndim, m->sizes);
    }
}

/* ---- product_sum(x, a, b): f[0] x + f[1] (a @ b) of float16 or bfloat16, sums in float32 and rounded once:
 * the steps of Muon's iteration ---- */

static ad_call product_in_sum(const ad_call *c) {
    ad_call p = *c;
    p.in++;
    p.nin = 2;
    p.at = NULL;
    return p;
}

int product_sum_infer(ad_call *c) {
    const ad_tensor *x = c->in[0];
    ad_call p = product_in_sum(c);
    if (matmul_infer(&p) || same_dtype(x, c->in[1], "product_sum")) return -1;
    if (x->dtype != AD_BF16 && x->dtype != AD_F16)
        return ad_fail(AD_ERR_NOT_IMPLEMENTED, "\"product_sum\" not implemented for '%s'",
                       dtype_class[x->dtype]);
    if (!dims_equal(x->ndim, x->sizes, c->spec[0].ndim, c->spec[0].sizes))
        return ad_fail(AD_ERR_RUNTIME, "product_sum: the product is %s, the summand %s",
                       fmt_sizes(c->spec[0].ndim, c->spec[0].sizes), fmt_sizes(x->ndim, x->sizes));
    return 0;
}

size_t product_sum_scratch(const ad_call *c) {
    ad_call p = product_in_sum(c);
    return matmul_scratch(&p);
}

typedef struct scaled_sum {
    const float *product;
    float alpha, beta;
    const ad_tensor *y; /* holds x */
} scaled_sum;

static void add_scaled(int64_t begin, int64_t end, void *ctx) {
    const scaled_sum *w = ctx;
    float x[512];
    int64_t size = dtype_size[w->y->dtype];
    for (int64_t at = begin; at < end; at += 512) {
        int64_t n = end - at < 512 ? end - at : 512;
        char *y = (char *)tensor_data(w->y) + at * size;
        dtype_loads[w->y->dtype][CT_F32](n, x, y, size);
        for (int64_t i = 0; i < n; i++) x[i] = fmaf(x[i], w->beta, w->product[at + i] * w->alpha);
        dtype_stores[w->y->dtype][CT_F32](n, y, size, x);
    }
}

void product_sum_run(const ad_call *c) {
    const ad_tensor *y = c->out[0];
    ad_call call = product_in_sum(c);
    product p;
    if (!y->numel) return;
    float scales[2] = {(float)c->at->f[1], (float)c->at->f[0]};
    tensor_copy_data(c->out[0], c->in[0]);
    product_of(&call, &p, c->scratch);
    char *room = c->scratch ? (char *)c->scratch + conversion_bytes(&call) : NULL;
    if (native(y->dtype)) {
        gemm_epilogue epi = {.accumulate = 1, .scales = scales};
        product_run(&p, &epi, room);
        return;
    }
    product_run(&p, NULL, room);
    scaled_sum w = {.product = p.c.data, .alpha = scales[0], .beta = scales[1], .y = y};
    pool_parallel_for(y->numel, 32768, add_scaled, &w);
}

/* matmul as users call it: vectors become matrices of one row or column, and lose it again. */
ad_tensor *op_matmul(ad_tensor *a, ad_tensor *b) {
    if (!a->ndim || !b->ndim)
        return ad_fail_null(AD_ERR_RUNTIME,
                            "both arguments to matmul need to be at least 1D, but they are %dD and %dD",
                            a->ndim, b->ndim);
    bool va = a->ndim == 1, vb = b->ndim == 1;
    if (!va && !vb)
        return ad_apply1(a->ndim == 2 && b->ndim == 2 ? OP_mm : OP_matmul, 2, (ad_tensor *[]){a, b}, NULL);
    if (va && vb && a->sizes[0] != b->sizes[0])
        return ad_fail_null(
            AD_ERR_RUNTIME,
            "inconsistent tensor size, expected tensor [%lld] and src [%lld] to have the same "
            "number of elements, but got %lld and %lld elements respectively",
            (long long)a->sizes[0], (long long)b->sizes[0], (long long)a->sizes[0], (long long)b->sizes[0]);
    if (vb && !va && a->sizes[a->ndim - 1] != b->sizes[0])
        return ad_fail_null(AD_ERR_RUNTIME, "size mismatch, got input (%lld), mat (%lldx%lld), vec (%lld)",
                            (long long)a->sizes[a->ndim - 2], (long long)a->sizes[a->ndim - 2],
                            (long long)a->sizes[a->ndim - 1], (long long)b->sizes[0]);
    ad_em E = {0};
    ad_tensor *x = va ? em1i(&E, OP_unsqueeze, a, 0, 0, 0) : a,
              *w = vb ? em1i(&E, OP_unsqueeze, b, 1, 0, 0) : b;
    ad_tensor *y = em2(&E, x && w && x->ndim == 2 && w->ndim == 2 ? OP_mm : OP_matmul, x, w);
    int64_t drop[2];
    int n = 0;
    if (vb) drop[n++] = -1;
    if (va) drop[n++] = -2;
    y = y ? em1l(&E, OP_squeeze, y, drop, n, 0) : NULL;
    tensor_ref(y);
    em_done(&E);
    return y;
}

/* ---- linear(x, weight, bias or none): x @ weight.T + bias over the last dimension.
 * i[0]: 1 when a planned program has folded a relu into it ---- */

int linear_infer(ad_call *c) {
    const ad_tensor *x = c->in[0], *w = c->in[1], *b = c->in[2];
    ad_spec *s = &c->spec[0];
    if (w->ndim != 2)
        return ad_fail(AD_ERR_RUNTIME, "linear: the weight must be a matrix, got size %s",
                       fmt_sizes(w->ndim, w->sizes));
    if (!x->ndim)
        return ad_fail(AD_ERR_RUNTIME,
                       "both arguments to linear need to be at least 1D, but they are 0D and 2D");
    int64_t k = x->sizes[x->ndim - 1], n = w->sizes[0];
    if (k != w->sizes[1])
        return ad_fail(AD_ERR_RUNTIME, "mat1 and mat2 shapes cannot be multiplied (%lldx%lld and %lldx%lld)",
                       (long long)(k ? x->numel / k : 0), (long long)k, (long long)w->sizes[1], (long long)n);
    if (x->dtype == AD_BOOL) return ad_fail(AD_ERR_NOT_IMPLEMENTED, "\"linear\" not implemented for 'Bool'");
    if (same_dtype(x, w, "linear") || (b && same_dtype(x, b, "linear"))) return -1;
    if (b && !(b->ndim == 1 && (b->sizes[0] == n || b->sizes[0] == 1)) && b->ndim)
        return ad_fail(AD_ERR_RUNTIME, "linear: the bias of size %s does not fit %lld outputs",
                       fmt_sizes(b->ndim, b->sizes), (long long)n);
    spec_like(s, x);
    s->sizes[s->ndim - 1] = n;
    return 0;
}

/* x as a batch of matrices over its leading dimensions, of which the last is the rows. */
static void linear_product(const ad_call *c, product *p, char *room) {
    const ad_tensor *x = c->in[0], *w = c->in[1], *y = c->out[0];
    int lead = x->ndim - 1;
    bool convert = !native(y->dtype);
    p->panels = panels_of(c);
    p->type = gemm_type(y->dtype);
    p->n = w->sizes[0];
    p->k = w->sizes[1];
    int64_t xs[2], xt[2];
    ad_tensor x2 = *x; /* a vector is a matrix of one row */
    if (!lead) {
        xs[0] = 1;
        xt[0] = 0;
        xs[1] = x->sizes[0];
        xt[1] = x->strides[0];
        x2.ndim = 2;
        x2.sizes = xs;
        x2.strides = xt;
        lead = 1;
    }
    p->dims = lead - 1;
    memcpy(p->sizes, x2.sizes, (size_t)p->dims * sizeof *p->sizes);
    p->m = x2.sizes[lead - 1];
    operand(&p->a, &x2, p->dims, p->sizes, convert ? room : NULL);
    operand(&p->b, w, 0, NULL, convert ? room + converted_bytes(x) : NULL);
    int64_t t = p->b.rs; /* the weight comes transposed */
    p->b.rs = p->b.cs;
    p->b.cs = t;
    memset(p->b.batch, 0, (size_t)p->dims * sizeof *p->b.batch);
    p->c.data = convert ? room + converted_bytes(x) + converted_bytes(w) : tensor_data(y);
    p->c.rs = p->n > 0 ? p->n : 1;
    int64_t step = p->m * p->n;
    for (int d = p->dims - 1; d >= 0; d--) {
        p->c.batch[d] = step;
        step *= p->sizes[d];
    }
    merge_batch(p);
    /* rows that follow each other evenly through the batch are one taller matrix */
    if (p->dims == 1 && p->a.batch[0] == p->a.rs * p->m && p->b.batch[0] == 0) {
        p->m *= p->sizes[0];
        p->dims = 0;
    } else if (p->m == 1 && p->dims == 1) {
        p->m = p->sizes[0];
        p->a.rs = p->a.batch[0];
        p->dims = 0;
    }
}

/* The bias as the driver wants it: one value a column, in the compute type; copied when it is not that. */
static bool bias_is_ready(const ad_tensor *b, int64_t n) {
    return b->ndim == 1 && b->dtype != AD_BF16 && native(b->dtype) && b->sizes[0] == n &&
           (b->strides[0] == 1 || n == 1);
}

size_t linear_scratch(const ad_call *c) {
    const ad_tensor *b = c->in[2];
    product p;
    size_t bias = b && !bias_is_ready(b, c->in[1]->sizes[0]) ? padded((size_t)c->in[1]->sizes[0] * 8) : 0;
    size_t convert = conversion_bytes(c);
    if (convert) {
        gemm_args g = {.type = dtype_compute(c->out[0]->dtype),
                       .m = c->in[0]->numel,
                       .n = c->in[1]->sizes[0],
                       .k = c->in[1]->sizes[1],
                       .rsa = c->in[1]->sizes[1],
                       .csa = 1,
                       .rsb = 1,
                       .csb = c->in[1]->sizes[1],
                       .ldc = c->in[1]->sizes[0]};
        g.m = g.k ? c->in[0]->numel / g.k : 0;
        return convert + bias + gemm_scratch(&g) + 64;
    }
    linear_product(c, &p, NULL);
    gemm_args g = product_args(&p);
    size_t bytes = p.m > 0 && p.n > 0 ? gemm_batch_scratch(&g, c->out[0]->numel / (p.m * p.n)) : 0;
    return bias || bytes ? bias + bytes + 64 : 0;
}

void linear_run_then(const ad_call *c, gemm_then then, void *ctx) {
    const ad_tensor *b = c->in[2], *y = c->out[0];
    product p;
    if (!y->numel) return;
    char *room = c->scratch;
    linear_product(c, &p, room);
    if (room) room += conversion_bytes(c);
    gemm_epilogue epi = {.act = c->at->i[0] ? GEMM_ACT_RELU : GEMM_ACT_NONE, .then = then, .ctx = ctx};
    if (b) {
        if (bias_is_ready(b, p.n)) epi.bias = tensor_data(b);
        else {
            int64_t stride = b->ndim && b->sizes[0] == p.n ? b->strides[0] : 0;
            dtype_loads[b->dtype][dtype_compute(b->dtype)](p.n, room, tensor_data(b),
                                                           stride * dtype_size[b->dtype]);
            epi.bias = room;
            room += padded((size_t)p.n * 8);
        }
    }
    product_run(&p, b || epi.act || then ? &epi : NULL, room);
    if (!native(y->dtype)) store_converted(c, &p);
}

bool matmul_panels(const ad_call *c, gemm_args *g) {
    product p;
    if (!c->out[0]->numel || !native(c->out[0]->dtype)) return false;
    if (c->op == &ad_ops[OP_linear]) linear_product(c, &p, NULL);
    else product_of(c, &p, NULL);
    for (int d = 0; d < p.dims; d++)
        if (p.b.batch[d]) return false;
    p.panels = NULL;
    *g = product_args(&p);
    return true;
}

void linear_run(const ad_call *c) { linear_run_then(c, NULL, NULL); }

void linear_vjp(ad_vjp *v) {
    ad_em *E = &v->E;
    const ad_meta *mx = vjp_meta(v, 0);
    ad_tensor *g = v->g[0];
    int64_t rows[2] = {-1, g->sizes[g->ndim - 1]}, cols[2] = {-1, mx->sizes[mx->ndim - 1]};
    int64_t count = 1;
    for (int d = 0; d + 1 < mx->ndim; d++) count *= mx->sizes[d];
    rows[0] = cols[0] = count;
    ad_tensor *g2 = em_reshape(E, g, 2, rows);
    if (vjp_needs(v, 0)) v->gin[0] = em_reshape(E, em2(E, OP_mm, g2, vjp_in(v, 1)), mx->ndim, mx->sizes);
    if (vjp_needs(v, 1)) {
        ad_tensor *x2 = em_reshape(E, vjp_in(v, 0), 2, cols);
        v->gin[1] = em2(E, OP_mm, em1i(E, OP_transpose, g2, 0, 1, 0), x2);
    }
    if (v->nin > 2 && vjp_needs(v, 2))
        v->gin[2] = em_sum_to(E, g2, vjp_meta(v, 2)->ndim, vjp_meta(v, 2)->sizes);
}

void linear_layer_jvp(ad_jvp *j) {
    const ad_call *c = j->c;
    ad_tensor *sum = NULL;
    for (int k = 0; k < 3 && !j->E.failed; k++) {
        ad_tensor *part;
        if (!j->t[k]) continue;
        if (k == 2) part = em_expand(&j->E, j->t[2], c->out[0]->ndim, c->out[0]->sizes);
        else
            part =
                em_op(&j->E, OP_linear, 3,
                      (ad_tensor *[]){k == 0 ? j->t[0] : c->in[0], k == 1 ? j->t[1] : c->in[1], NULL}, NULL);
        sum = sum ? em2(&j->E, OP_add, sum, part) : part;
    }
    j->tout[0] = sum;
}
