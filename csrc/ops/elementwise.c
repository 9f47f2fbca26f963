/* Elementwise rows: broadcasting, type promotion, and what they are run by: one kernel call for plain
 * operands of moderate size, the loop of loop.c for all others. */
#include <string.h>
#include "../core.h"
#include "../pool.h"
#include "declare.h"
#include "loop.h"

#define GRAIN (EW_TILE * 64)

/* ---- shapes and dtypes ---- */

int broadcast_sizes(int n, ad_tensor *const *in, int *ndim, int64_t *sizes) {
    int nd = 0;
    for (int i = 0; i < n; i++)
        if (in[i] && in[i]->ndim > nd) nd = in[i]->ndim;
    for (int d = 0; d < nd; d++) sizes[d] = 1;
    for (int i = 0; i < n; i++) {
        if (!in[i]) continue;
        int lead = nd - in[i]->ndim;
        for (int d = 0; d < in[i]->ndim; d++) {
            int64_t s = in[i]->sizes[d];
            if (s == 1 || s == sizes[d + lead]) continue;
            if (sizes[d + lead] != 1)
                return ad_fail(AD_ERR_RUNTIME,
                               "The size of tensor a (%lld) must match the size of tensor b (%lld) at "
                               "non-singleton dimension %d",
                               (long long)sizes[d + lead], (long long)s, d + lead);
            sizes[d + lead] = s;
        }
    }
    *ndim = nd;
    return 0;
}

/* Promotion by category, as PyTorch: tensors with dimensions decide over 0-d tensors, those over Python
 * numbers, unless the lower category is of a higher kind (bool < integer < float). */
int result_type(int n, ad_tensor *const *in) {
    int cat[3] = {-1, -1, -1};
    for (int i = 0; i < n; i++) {
        if (!in[i]) continue;
        int k = in[i]->flags & AD_T_WRAPPED ? 2 : in[i]->ndim == 0 ? 1 : 0, d = in[i]->dtype;
        cat[k] = cat[k] < 0 ? d : dtype_promote(cat[k], d);
    }
    /* A float number counts as the default float type; numbers alone, in gradient rules, stay precise. */
    if (cat[2] >= 0 && dtype_is_float(cat[2]) && (cat[0] >= 0 || cat[1] >= 0)) cat[2] = dtype_default_float();
    int r = cat[0];
    for (int k = 1; k < 3; k++) {
        if (cat[k] < 0) continue;
        if (r < 0) r = cat[k];
        else if (!dtype_is_float(r) && (dtype_is_float(cat[k]) || (r == AD_BOOL && cat[k] != AD_BOOL)))
            r = r == AD_BOOL || dtype_is_float(cat[k]) ? cat[k] : dtype_promote(r, cat[k]);
    }
    return r;
}

/* Results keep the order of dimensions of operands that agree on one (transposed, channels last). */
static void keep_layout(ad_call *c) {
    ad_spec *s = &c->spec[0];
    const ad_tensor *model = NULL;
    for (int i = 0; i < c->nin; i++) {
        const ad_tensor *t = c->in[i];
        if (!t || t->ndim != s->ndim || !dims_equal(t->ndim, t->sizes, s->ndim, s->sizes)) continue;
        if (tensor_is_contiguous(t)) return;
        if (!model && dims_dense(t->ndim, t->sizes, t->strides)) model = t;
    }
    if (!model) return;
    s->strided = true;
    memcpy(s->strides, model->strides, (size_t)s->ndim * sizeof *s->strides);
}

static int inputs_common(const ad_call *c) { /* the type that the operands meet in */
    int promo = c->op->promo, n = c->nin;
    ad_tensor *const *in = c->in, *tensors[3];
    if (AD_UNLIKELY(promo & P_SELECT)) {
        int r = result_type(n - 1, in + 1);
        return in[1]->flags & in[2]->flags & AD_T_WRAPPED && dtype_is_float(r) ? dtype_default_float() : r;
    }
    if (AD_UNLIKELY(promo & (P_FOLLOW | P_ALPHA))) {
        if (promo & P_ALPHA) n = 2;
        if (promo & P_FOLLOW) {
            int m = 0;
            for (int i = 0; i < n; i++)
                if (!(in[i]->flags & AD_T_WRAPPED)) tensors[m++] = in[i];
            if (m) return result_type(m, tensors);
        }
    }
    return result_type(n, in);
}

static int refuse(const char *op, int dtype) {
    return ad_fail(AD_ERR_NOT_IMPLEMENTED, "\"%s\" not implemented for '%s'", op, dtype_class[dtype]);
}

/* The rules that few rows have. */
static int check_rare(const ad_call *c, int promo, int common) {
    const ad_tensor *const *in = (const ad_tensor *const *)c->in;
    if ((promo & P_ALPHA) && in[2]->flags & AD_T_WRAPPED) {
        if (in[2]->dtype == AD_BOOL && common != AD_BOOL)
            return ad_fail(AD_ERR_RUNTIME, "Boolean alpha only supported for Boolean results.");
        if (dtype_is_float(in[2]->dtype) && !dtype_is_float(common))
            return ad_fail(AD_ERR_RUNTIME,
                           "For integral input tensors, argument alpha must not be a floating point number.");
    }
    if ((promo & P_EXPONENT) && dtype_is_int(common) && in[1]->flags & AD_T_WRAPPED &&
        tensor_get_i64(in[1]) < 0)
        return ad_fail(AD_ERR_RUNTIME, "Integers to negative integer powers are not allowed.");
    if ((promo & P_NO_HALF) && (common == AD_F16 || common == AD_BF16)) return refuse(c->op->name, common);
    if (promo & P_STRICT)
        for (int i = 1; i < c->nin; i++) /* a third operand without dimensions may differ, as a number may */
            if (!(in[i]->flags & AD_T_WRAPPED) && in[i]->dtype != in[0]->dtype && (in[i]->ndim || i == 1))
                return ad_fail(AD_ERR_RUNTIME,
                               "%s: expected operands of one dtype, but operand 1 is %s and operand %d is %s",
                               c->op->name, dtype_name[in[0]->dtype], i + 1, dtype_name[in[i]->dtype]);
    return 0;
}

static int refuse_bool(const ad_call *c) {
    if ((c->op->promo & P_EXPONENT) && c->in[1]->flags & AD_T_WRAPPED)
        return 0; /* of bool to True or False, which PyTorch allows */
    int op = (int)(c->op - ad_ops);
    if (op == OP_sub || op == OP_sub_scaled)
        return ad_fail(
            AD_ERR_RUNTIME,
            "Subtraction, the `-` operator, with a bool tensor is not supported. If you are trying "
            "to invert a mask, use the `~` or `logical_not()` operator instead.");
    if (op == OP_neg)
        return ad_fail(AD_ERR_RUNTIME,
                       "Negation, the `-` operator, on a bool tensor is not supported. If you are trying to "
                       "invert a mask, use the `~` or `logical_not()` operator instead.");
    return refuse(c->op->name, AD_BOOL);
}

static bool has_zero(const ad_tensor *t) { /* of an integer tensor */
    int64_t index[AD_MAXDIM] = {0}, at = 0;
    for (int64_t k = 0; k < t->numel; k++) {
        uint8_t nonzero;
        dtype_load_bool[t->dtype](1, &nonzero, (char *)tensor_data(t) + at * dtype_size[t->dtype], 0);
        if (!nonzero) return true;
        for (int d = t->ndim - 1; d >= 0; d--) {
            at += t->strides[d];
            if (++index[d] < t->sizes[d]) break;
            at -= t->sizes[d] * t->strides[d];
            index[d] = 0;
        }
    }
    return false;
}

/* The common case, found in one pass: contiguous tensors of one size, all float32 or all float64, and
 * numbers. Returns the tensor whose geometry the result takes, or NULL. */
static const ad_tensor *plain_model(const ad_call *c) {
    const ad_tensor *m = NULL, *t;
    for (int i = 0; i < c->nin; i++) {
        t = c->in[i];
        if (t->flags & AD_T_WRAPPED) {
            if (t->dtype == AD_BOOL) return NULL;
            continue;
        }
        if (t->dtype < AD_F32) return NULL;
        if (!m) {
            int64_t stride = 1;
            for (int d = t->ndim - 1; d >= 0; d--) {
                if (t->strides[d] != stride && t->sizes[d] != 1) return NULL;
                stride *= t->sizes[d];
            }
            m = t;
            continue;
        }
        if (t->dtype != m->dtype || t->ndim != m->ndim) return NULL;
        for (int d = 0; d < t->ndim; d++)
            if (t->sizes[d] != m->sizes[d] || (t->strides[d] != m->strides[d] && t->sizes[d] != 1))
                return NULL;
    }
    return m && kern->ew[c->op->row][dtype_compute(m->dtype)] ? m : NULL;
}

int ew_infer(ad_call *c) {
    ad_spec *s = &c->spec[0];
    if (AD_LIKELY(!(c->op->promo & P_SELECT))) {
        const ad_tensor *model = plain_model(c);
        if (model) {
            spec_like(s, model);
            if (c->op->promo & P_BOOL_OUT) s->dtype = AD_BOOL;
            c->plain = true;
            return 0;
        }
    }
    int nd, promo = c->op->promo;
    const ad_tensor *a = c->in[0];
    if (c->nin == 1 || (c->nin == 2 && tensor_same_sizes(a, c->in[1]))) {
        nd = a->ndim;
        memcpy(s->sizes, a->sizes, (size_t)nd * sizeof *s->sizes);
    } else if (broadcast_sizes(c->nin, c->in, &nd, s->sizes)) return -1;
    s->ndim = (uint8_t)nd;
    int common = inputs_common(c);
    if (promo & P_SELECT && a->dtype != AD_BOOL)
        return ad_fail(AD_ERR_RUNTIME,
                       "%s expected condition to be a boolean tensor, but got a tensor with dtype %s",
                       c->op->name, dtype_class[a->dtype]);
    if (promo & P_NO_BOOL) {
        bool minus = c->op == &ad_ops[OP_sub] || c->op == &ad_ops[OP_sub_scaled];
        if (AD_UNLIKELY(common == AD_BOOL || (minus && (a->dtype == AD_BOOL || c->in[1]->dtype == AD_BOOL))))
            if (refuse_bool(c)) return -1;
    }
    if (AD_UNLIKELY(promo & (P_ALPHA | P_EXPONENT | P_STRICT | P_NO_HALF)) && check_rare(c, promo, common))
        return -1;
    if ((promo & P_FLOAT) && !dtype_is_float(common)) common = dtype_default_float();
    if (!kern->ew[c->op->row][dtype_compute(common)]) return refuse(c->op->name, common);
    if ((promo & P_DIVISOR) && !dtype_is_float(common) && has_zero(c->in[1]))
        return ad_fail(AD_ERR_RUNTIME, "ZeroDivisionError");
    s->dtype = (uint8_t)(promo & P_BOOL_OUT ? AD_BOOL : common);
    for (int i = 0; i < c->nin; i++)
        if (AD_UNLIKELY(!tensor_is_contiguous(c->in[i]))) {
            keep_layout(c);
            break;
        }
    return 0;
}

/* ---- running ---- */

int ew_common(const ad_call *c) {
    int common = inputs_common(c);
    return c->op->promo & P_FLOAT && !dtype_is_float(common) ? dtype_default_float() : common;
}

/* How many elements are worth a thread: some 10 us of work. */
static int64_t grain_of(const ad_op *op) {
    switch (op - ad_ops) {
#define HEAVY(name) case OP_##name:
        HEAVY(pow)
        HEAVY(pow_grad_a)
        HEAVY(pow_grad_b)
        HEAVY(hypot)
        HEAVY(logaddexp)
        HEAVY(logaddexp2)
        HEAVY(xlogy)
        HEAVY(xlog1py)
        HEAVY(fmod)
        HEAVY(remainder)
        HEAVY(floor_divide)
        HEAVY(elu)
        HEAVY(elu_grad)
        HEAVY(celu)
        HEAVY(celu_grad)
        HEAVY(selu)
        HEAVY(selu_grad)
        HEAVY(gelu)
        HEAVY(gelu_grad)
        HEAVY(gelu_tanh)
        HEAVY(gelu_tanh_grad)
        HEAVY(silu)
        HEAVY(silu_grad)
        HEAVY(mish)
        HEAVY(mish_grad)
        HEAVY(softplus)
        HEAVY(softplus_grad)
#undef HEAVY
        return GRAIN / 4;
    default: /* of one operand and a floating-point result: the mathematical functions */
        return op->promo & P_FLOAT && op->nin == 1 ? GRAIN / 4 : GRAIN;
    }
}

/* A plain call of moderate size: one kernel call, numbers spread over a vector. */
static bool run_plain(const ad_call *c) {
    ad_tensor *out = c->out[0];
    _Alignas(64) char vectors[3][64];
    const void *in[3];
    int ct = CT_F32;
    unsigned flags = 0;
    bool numbers = false;
    for (int i = 0; i < c->nin; i++) {
        if (c->in[i]->flags & AD_T_WRAPPED) numbers = true;
        else {
            ct = dtype_compute(c->in[i]->dtype);
            in[i] = tensor_data(c->in[i]);
        }
    }
    if (out->numel > grain_of(c->op)) return false;
    if (out->dtype != (c->op->promo & P_BOOL_OUT ? AD_BOOL : ct == CT_F32 ? AD_F32 : AD_F64)) return false;
    for (int i = 0; numbers && i < c->nin; i++)
        if (c->in[i]->flags & AD_T_WRAPPED) {
            int64_t lanes = kern->vector_bytes / (int64_t)ct_size[ct];
            dtype_loads[c->in[i]->dtype][ct](lanes, vectors[i], tensor_data(c->in[i]), 0);
            in[i] = vectors[i];
            flags |= 1u << i;
        }
    kern->ew[c->op->row][ct](out->numel, tensor_data(out), in, flags);
    return true;
}

void ew_run(const ad_call *c) {
    const ad_tensor *out = c->out[0];
    if (!out->numel || (c->plain && run_plain(c))) return;
    int promo = c->op->promo, common = ew_common(c), ct = dtype_compute(common);
    bool wide = promo & P_WIDE && common == AD_F32 && dtype_is_int(c->in[0]->dtype);
    bool sigmoid = wide && c->op->row == EW_sigmoid;
    if (wide) ct = CT_F64;
    loop l;
    loop_set(&l, kern->ew[sigmoid ? EW_exp : c->op->row][ct], ct, c->nin, c->in, out, promo & P_SELECT,
             promo & P_BOOL_OUT);
    l.wide = wide;
    l.sigmoid = sigmoid;
    loop_run(&l, grain_of(c->op));
}

/* ---- copies ---- */

typedef struct plain_copy {
    char *dst;
    const char *src;
} plain_copy;

static void plain_copy_range(int64_t begin, int64_t end, void *ctx) {
    const plain_copy *p = ctx;
    memmove(p->dst + begin, p->src + begin, (size_t)(end - begin));
}

void tensor_copy_data(ad_tensor *dst, const ad_tensor *src) {
    if (!dst->numel) return;
    bool flat = tensor_is_contiguous(dst) && tensor_is_contiguous(src);
    if (dst->dtype == src->dtype && src->numel == dst->numel &&
        (flat || (dims_equal(dst->ndim, dst->strides, src->ndim, src->strides) &&
                  tensor_same_sizes(dst, src) && dims_dense(dst->ndim, dst->sizes, dst->strides)))) {
        plain_copy p = {tensor_data(dst), tensor_data(src)};
        if (p.dst != p.src)
            pool_parallel_for(dst->numel * dtype_size[dst->dtype], 1 << 20, plain_copy_range, &p);
        return;
    }
    if (dst->dtype == src->dtype) {
        tensor_move(dst, src);
        return;
    }
    ad_tensor *in = (ad_tensor *)src;
    bool to_double = dst->dtype == AD_F64 || src->dtype == AD_F64;
    int ct = dtype_is_int(src->dtype) && dtype_is_int(dst->dtype) ? CT_I64 : to_double ? CT_F64 : CT_F32;
    loop l;
    loop_set(&l, NULL, ct, 1, &in, dst, false, false);
    loop_run(&l, GRAIN);
}
