/* Convolution, transposed convolution, and the gradients of both. Three rows are the three ways of reading
 * one sum (csrc/conv.h): y from x and w, x from y and w, w from y and x; each one's gradients are the other
 * two.
 *
 * Attributes of all rows: i = {groups, spatial dimensions, how}; list = stride, padding, dilation, a value
 * for each spatial dimension, and then what `how` says. */
#include "../conv.h"
#include <string.h>
#include "../core.h"
#include "../pool.h"
#include "declare.h"

#define LL(x) ((long long)(x))

/* ---- geometry ---- */

static const int64_t *spatial(const ad_tensor *t, int rank) { return t->sizes + t->ndim - rank; }
static bool batched(const ad_tensor *t, int rank) { return t->ndim == rank + 2; }

/* x, w and y of a call, whichever it computes; the sizes alone. */
static void shape_of(conv_shape *s, const ad_attr *at, const ad_tensor *x, const ad_tensor *w,
                     const ad_tensor *y) {
    int rank = (int)at->i[1], lead = 3 - rank;
    *s = (conv_shape){.type = dtype_compute(x->dtype), .groups = at->i[0]};
    s->n = batched(x, rank) ? x->sizes[0] : 1;
    s->ci = w->sizes[1];
    s->co = w->sizes[0] / s->groups;
    for (int d = 0; d < 3; d++) {
        int k = d - lead;
        s->in[d] = s->k[d] = s->out[d] = s->stride[d] = s->dil[d] = 1;
        if (k < 0) continue;
        s->in[d] = spatial(x, rank)[k];
        s->k[d] = w->sizes[2 + k];
        s->out[d] = spatial(y, rank)[k];
        s->stride[d] = at->list[k];
        s->dil[d] = at->list[2 * rank + k];
        s->pad[d] = at->i[2] == HOW_SAME ? s->dil[d] * (s->k[d] - 1) / 2 : at->list[rank + k];
    }
}

/* ---- errors ---- */

static const char *const names[2][4] = {{"", "conv1d", "conv2d", "conv3d"},
                                        {"", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d"}};

static bool any_below(const int64_t *list, int n, int64_t least) {
    for (int k = 0; k < n; k++)
        if (list[k] < least) return true;
    return false;
}

/* What conv and conv_transpose ask of their operands alike. */
static int check_operands(const ad_call *c, bool transposed) {
    const ad_tensor *x = c->in[0], *w = c->in[1], *b = c->in[2];
    const ad_attr *at = c->at;
    int rank = (int)at->i[1];
    const char *name = names[transposed][rank];
    if (!x || !w)
        return ad_fail(AD_ERR_TYPE, "%s(): argument '%s' (position %d) must be Tensor, not NoneType", name,
                       x ? "weight" : "input", x ? 2 : 1);
    if (x->ndim != rank + 1 && x->ndim != rank + 2)
        return ad_fail(AD_ERR_RUNTIME,
                       "Expected %dD (unbatched) or %dD (batched) input to %s, but got input of size: %s",
                       rank + 1, rank + 2, name, fmt_sizes(x->ndim, x->sizes));
    if (w->ndim != rank + 2)
        return ad_fail(AD_ERR_RUNTIME, "%s: expected a weight of %d dimensions, but got weight of size %s",
                       name, rank + 2, fmt_sizes(w->ndim, w->sizes));
    if (x->dtype != w->dtype)
        return ad_fail(
            AD_ERR_RUNTIME,
            "Input type (torch.%sTensor) and weight type (torch.%sTensor) should be the same in %s",
            dtype_class[x->dtype], dtype_class[w->dtype], name);
    if (b && b->dtype != x->dtype)
        return ad_fail(AD_ERR_RUNTIME, "Input type (%s) and bias type (%s) should be the same in %s",
                       dtype_name[x->dtype], dtype_name[b->dtype], name);
    if (x->dtype == AD_BOOL)
        return ad_fail(AD_ERR_NOT_IMPLEMENTED, "\"%s\" not implemented for 'Bool'", name);
    if (at->i[0] <= 0) return ad_fail(AD_ERR_RUNTIME, "non-positive groups is not supported");
    if (any_below(at->list, rank, 1)) return ad_fail(AD_ERR_RUNTIME, "non-positive stride is not supported");
    if (at->i[2] != HOW_SAME && any_below(at->list + rank, rank, 0))
        return ad_fail(AD_ERR_RUNTIME, "negative padding is not supported");
    if (any_below(at->list + 2 * rank, rank, 1))
        return ad_fail(AD_ERR_RUNTIME, "dilation should be greater than zero");
    if (w->sizes[0] < at->i[0])
        return ad_fail(
            AD_ERR_RUNTIME,
            "Given groups=%lld, expected weight to be at least %lld at dimension 0, but got weight of "
            "size %s instead",
            LL(at->i[0]), LL(at->i[0]), fmt_sizes(w->ndim, w->sizes));
    if (w->sizes[0] % at->i[0])
        return ad_fail(AD_ERR_RUNTIME,
                       "Given groups=%lld, expected weight to be divisible by %lld at dimension 0, but got "
                       "weight of size [%s] instead",
                       LL(at->i[0]), LL(at->i[0]), fmt_sizes(w->ndim, w->sizes));
    if (any_below(w->sizes + 2, rank, 1))
        return ad_fail(AD_ERR_RUNTIME,
                       "%s: kernel size should be greater than zero, but got weight of size %s", name,
                       fmt_sizes(w->ndim, w->sizes));
    int64_t have = x->sizes[x->ndim - rank - 1], want;
    if (transposed) want = w->sizes[0];
    else if (__builtin_mul_overflow(w->sizes[1], at->i[0], &want)) want = -1;
    if (have != want) {
        if (transposed)
            return ad_fail(
                AD_ERR_RUNTIME,
                "Given transposed=1, weight of size %s, expected input%s to have %lld channels, but "
                "got %lld channels instead",
                fmt_sizes(w->ndim, w->sizes), fmt_sizes(x->ndim, x->sizes), LL(want), LL(have));
        return ad_fail(
            AD_ERR_RUNTIME,
            "Given groups=%lld, weight of size %s, expected input%s to have %lld channels, but got "
            "%lld channels instead",
            LL(at->i[0]), fmt_sizes(w->ndim, w->sizes), fmt_sizes(x->ndim, x->sizes), LL(want), LL(have));
    }
    int64_t result = transposed ? w->sizes[1] * at->i[0] : w->sizes[0];
    if (b && (b->ndim != 1 || b->sizes[0] != result))
        return ad_fail(
            AD_ERR_RUNTIME,
            "Given %s%lld, weight of size %s, expected bias to be 1-dimensional with %lld elements, "
            "but got bias of size %s instead",
            transposed ? "transposed=" : "groups=", transposed ? 1LL : LL(at->i[0]),
            fmt_sizes(w->ndim, w->sizes), LL(result), fmt_sizes(b->ndim, b->sizes));
    if (!x->numel && have && !(batched(x, rank) && !x->sizes[0]))
        return ad_fail(AD_ERR_RUNTIME,
                       "%s: only zero batch or zero channel inputs are supported, but got input shape: %s",
                       name, fmt_sizes(x->ndim, x->sizes));
    return 0;
}

static int too_large(const char *name) {
    return ad_fail(AD_ERR_RUNTIME, "%s: the size of the result overflows int64", name);
}

static void sizes_given(ad_spec *s, const ad_attr *at, int dtype) {
    int rank = (int)at->i[1];
    s->dtype = (uint8_t)dtype;
    s->ndim = (uint8_t)(at->nlist - 3 * rank);
    dims_copy(s->sizes, at->list + 3 * rank, s->ndim);
}

/* ---- conv(x, w, bias or none) ---- */

int conv_infer(ad_call *c) {
    const ad_tensor *x = c->in[0], *w = c->in[1];
    const ad_attr *at = c->at;
    int rank = (int)at->i[1];
    ad_spec *s = &c->spec[0];
    if (at->i[2] == HOW_SIZED) { /* emitted by a gradient rule */
        sizes_given(s, at, x->dtype);
        return 0;
    }
    if (check_operands(c, false)) return -1;
    spec_like(s, x);
    s->sizes[x->ndim - rank - 1] = w->sizes[0];
    int64_t padded[3], reach[3];
    bool fits = true;
    for (int k = 0; k < rank; k++) {
        int64_t stride = at->list[k], dil = at->list[2 * rank + k], *size = &s->sizes[x->ndim - rank + k];
        if (__builtin_mul_overflow(w->sizes[2 + k] - 1, dil, &reach[k]) ||
            __builtin_add_overflow(reach[k], 1, &reach[k]))
            return too_large(names[0][rank]);
        if (at->i[2] == HOW_SAME) {
            if (stride != 1)
                return ad_fail(AD_ERR_RUNTIME, "padding='same' is not supported for strided convolutions");
            continue;
        }
        if (__builtin_mul_overflow(at->list[rank + k], 2, &padded[k]) ||
            __builtin_add_overflow(padded[k], *size, &padded[k]))
            return too_large(names[0][rank]);
        fits &= padded[k] >= reach[k];
        *size = (padded[k] - reach[k]) / stride + 1;
    }
    if (!fits) {
        char text[2][80];
        for (int q = 0; q < 2; q++) { /* (8 x 8) */
            const char *sizes = fmt_sizes(rank, q ? reach : padded);
            char *p = text[q];
            for (sizes++; *sizes != ']' && p < text[q] + 74; sizes++) {
                if (*sizes == ',') *p++ = ' ', *p++ = 'x';
                else *p++ = *sizes;
            }
            *p = 0;
        }
        return ad_fail(
            AD_ERR_RUNTIME,
            "Calculated padded input size per channel: (%s). Kernel size: (%s). Kernel size can't be "
            "greater than actual input size",
            text[0], text[1]);
    }
    return 0;
}

/* ---- conv_transpose(x, w, bias or none) ---- */

int conv_transpose_infer(ad_call *c) {
    const ad_tensor *x = c->in[0], *w = c->in[1];
    const ad_attr *at = c->at;
    int rank = (int)at->i[1];
    ad_spec *s = &c->spec[0];
    if (at->i[2] == HOW_SIZED) {
        sizes_given(s, at, x->dtype);
        return 0;
    }
    if (any_below(at->list + 3 * rank, rank, 0))
        return ad_fail(AD_ERR_RUNTIME, "negative output_padding is not supported");
    if (check_operands(c, true)) return -1;
    spec_like(s, x);
    if (__builtin_mul_overflow(w->sizes[1], at->i[0], &s->sizes[x->ndim - rank - 1]))
        return too_large(names[1][rank]);
    for (int k = 0; k < rank; k++) {
        int64_t stride = at->list[k], pad = at->list[rank + k], dil = at->list[2 * rank + k],
                extra = at->list[3 * rank + k], *size = &s->sizes[x->ndim - rank + k], reach, n;
        if (extra >= stride && extra >= dil)
            return ad_fail(AD_ERR_RUNTIME,
                           "output padding must be smaller than either stride or dilation, but got "
                           "output_padding: %lld stride: %lld dilation: %lld in dimension %d of %s",
                           LL(extra), LL(stride), LL(dil), k, names[1][rank]);
        if (__builtin_mul_overflow(w->sizes[2 + k] - 1, dil, &reach) ||
            __builtin_mul_overflow(*size - 1, stride, &n) || __builtin_add_overflow(n, reach, &n) ||
            __builtin_add_overflow(n, extra + 1, &n) || __builtin_mul_overflow(pad, 2, &pad))
            return too_large(names[1][rank]);
        if (n - pad < 1)
            return ad_fail(AD_ERR_RUNTIME,
                           "Given input size per channel: %s. Calculated output size of dimension %d: %lld. "
                           "Output size is too small in %s",
                           fmt_sizes(rank, spatial(x, rank)), k, LL(n - pad), names[1][rank]);
        *size = n - pad;
    }
    return 0;
}

/* conv_w(y, x): the gradient of the weight, whose sizes end the list */
int conv_weight_infer(ad_call *c) {
    sizes_given(&c->spec[0], c->at, c->in[0]->dtype);
    return 0;
}

/* ---- running on any dtype ---- */

static bool native(int dtype) { return dtype == AD_F32 || dtype == AD_F64 || dtype == AD_I64; }
static size_t room_of(const ad_tensor *t) {
    return !t || native(t->dtype) ? 0
                                  : ((size_t)t->numel * ct_size[dtype_compute(t->dtype)] + 63) & ~(size_t)63;
}

/* The tensor as it is, or its copy in the compute type at *room, which moves on. */
static ad_tensor *computed(ad_tensor *t, ad_tensor *copy, ad_storage *storage, char **room, bool read) {
    if (!t || native(t->dtype)) return t;
    *copy = *t;
    storage->data = *room;
    copy->storage = storage;
    copy->offset = 0;
    copy->dtype = (uint8_t)(dtype_compute(t->dtype) == CT_F32 ? AD_F32 : AD_I64);
    if (read) tensor_copy_data(copy, t);
    *room += room_of(t);
    return copy;
}

static void conv_shape_of(const ad_call *c, conv_shape *s, int what) {
    const ad_tensor *a = c->in[0], *b = c->in[1], *r = c->out[0];
    if (what == CONV_Y) shape_of(s, c->at, a, b, r);
    else if (what == CONV_X) shape_of(s, c->at, r, b, a);
    else shape_of(s, c->at, b, r, a);
}

static size_t scratch_for(const ad_call *c, int what) {
    conv_shape s;
    if (!c->out[0]->numel) return 0;
    conv_shape_of(c, &s, what);
    size_t bytes = conv_workspace(&s, what) + room_of(c->out[0]);
    for (int i = 0; i < c->nin; i++) bytes += room_of(c->in[i]);
    return bytes ? bytes + 64 : 0;
}

static void run(const ad_call *c, int what) {
    ad_tensor copy[4], *t[4];
    ad_storage storage[4];
    conv_shape s;
    char *room = c->scratch;
    if (!c->out[0]->numel) return;
    conv_shape_of(c, &s, what);
    for (int i = 0; i < c->nin; i++) t[i] = computed(c->in[i], &copy[i], &storage[i], &room, true);
    t[3] = computed(c->out[0], &copy[3], &storage[3], &room, false);
    const void *a = tensor_data(t[0]), *b = tensor_data(t[1]);
    const void *bias = c->nin > 2 && t[2] ? tensor_data(t[2]) : NULL;
    if (what == CONV_Y) conv_y(&s, a, b, bias, tensor_data(t[3]), room);
    else if (what == CONV_X) conv_x(&s, a, b, bias, tensor_data(t[3]), room);
    else conv_w(&s, a, b, tensor_data(t[3]), room);
    if (t[3] != c->out[0]) tensor_copy_data(c->out[0], t[3]);
}

size_t conv_scratch(const ad_call *c) { return scratch_for(c, CONV_Y); }
size_t conv_transpose_scratch(const ad_call *c) { return scratch_for(c, CONV_X); }
size_t conv_weight_scratch(const ad_call *c) { return scratch_for(c, CONV_W); }
void conv_run(const ad_call *c) { run(c, CONV_Y); }
void conv_transpose_run(const ad_call *c) { run(c, CONV_X); }
void conv_weight_run(const ad_call *c) { run(c, CONV_W); }

/* ---- gradients ---- */

/* row `op` of a and b with the geometry of `at`, for a result of the sizes of m. `kernel`: the weight's
 * spatial sizes, from which 'same' is resolved. */
static ad_tensor *emit(ad_em *E, int op, ad_tensor *a, ad_tensor *b, const ad_attr *at, const int64_t *kernel,
                       int ndim, const int64_t *sizes) {
    int64_t list[3 * 3 + 5];
    int rank = (int)at->i[1];
    if (!a || !b) return NULL;
    memcpy(list, at->list, 3 * (size_t)rank * sizeof *list);
    for (int k = 0; k < rank && at->i[2] == HOW_SAME; k++)
        list[rank + k] = at->list[2 * rank + k] * (kernel[k] - 1) / 2;
    dims_copy(list + 3 * rank, sizes, ndim);
    ad_attr with = {.i = {at->i[0], rank, HOW_SIZED}, .list = list, .nlist = 3 * rank + ndim};
    ad_tensor *in[3] = {a, b, NULL};
    return em_op(E, op, op == OP_conv_weight ? 2 : 3, in, &with);
}

/* The gradient of the bias. x and w are not read: they are there because PyTorch's gradient of the bias has a
 * history whenever one of the three has. */
static ad_tensor *bias_grad(ad_vjp *v, ad_tensor *x, ad_tensor *w) {
    ad_attr at = {.i = {v->at->i[1]}};
    return em_op(&v->E, OP_conv_bias, 3, (ad_tensor *[]){v->g[0], x, w}, &at);
}

void conv_vjp(ad_vjp *v) {
    const ad_meta *x = vjp_meta(v, 0), *w = vjp_meta(v, 1);
    if (vjp_needs(v, 0))
        v->gin[0] =
            emit(&v->E, OP_conv_transpose, v->g[0], vjp_in(v, 1), v->at, w->sizes + 2, x->ndim, x->sizes);
    if (vjp_needs(v, 1))
        v->gin[1] =
            emit(&v->E, OP_conv_weight, v->g[0], vjp_in(v, 0), v->at, w->sizes + 2, w->ndim, w->sizes);
    if (vjp_needs(v, 2)) v->gin[2] = bias_grad(v, vjp_in(v, 0), vjp_in(v, 1));
}

void conv_transpose_vjp(ad_vjp *v) {
    const ad_meta *x = vjp_meta(v, 0), *w = vjp_meta(v, 1);
    if (vjp_needs(v, 0))
        v->gin[0] = emit(&v->E, OP_conv, v->g[0], vjp_in(v, 1), v->at, w->sizes + 2, x->ndim, x->sizes);
    if (vjp_needs(v, 1))
        v->gin[1] =
            emit(&v->E, OP_conv_weight, vjp_in(v, 0), v->g[0], v->at, w->sizes + 2, w->ndim, w->sizes);
    if (vjp_needs(v, 2)) v->gin[2] = bias_grad(v, vjp_in(v, 0), vjp_in(v, 1));
}

void conv_weight_vjp(ad_vjp *v) { /* of y and x; g is like the weight */
    const ad_meta *y = vjp_meta(v, 0), *x = vjp_meta(v, 1);
    ad_tensor *g = v->g[0];
    if (vjp_needs(v, 0))
        v->gin[0] = emit(&v->E, OP_conv, vjp_in(v, 1), g, v->at, g->sizes + 2, y->ndim, y->sizes);
    if (vjp_needs(v, 1))
        v->gin[1] = emit(&v->E, OP_conv_transpose, vjp_in(v, 0), g, v->at, g->sizes + 2, x->ndim, x->sizes);
}

/* Linear in x and w, each alone; and in the bias, which is added. */
static void layer_jvp(ad_jvp *j, int op) {
    const ad_call *c = j->c;
    ad_em *E = &j->E;
    const ad_tensor *y = c->out[0], *w = c->in[1];
    int rank = (int)c->at->i[1];
    ad_tensor *sum = NULL;
    for (int k = 0; k < 3 && !E->failed; k++) {
        ad_tensor *part;
        if (!j->t[k]) continue;
        if (k == 2) {
            int64_t sizes[4] = {y->sizes[y->ndim - rank - 1], 1, 1, 1};
            part = em_expand(E, em_reshape(E, j->t[2], rank + 1, sizes), y->ndim, y->sizes);
        } else
            part = emit(E, op, k == 0 ? j->t[0] : c->in[0], k == 1 ? j->t[1] : c->in[1], c->at, w->sizes + 2,
                        y->ndim, y->sizes);
        sum = sum ? em2(E, OP_add, sum, part) : part;
    }
    j->tout[0] = sum;
}

void conv_jvp(ad_jvp *j) { layer_jvp(j, OP_conv); }
void conv_transpose_jvp(ad_jvp *j) { layer_jvp(j, OP_conv_transpose); }

/* ---- conv_bias(y, x, w): the sums of y's channels. i[0]: spatial dimensions ---- */

int conv_bias_infer(ad_call *c) {
    const ad_tensor *y = c->in[0];
    c->spec[0].dtype = y->dtype;
    c->spec[0].ndim = 1;
    c->spec[0].sizes[0] = y->sizes[y->ndim - c->at->i[0] - 1];
    return 0;
}

typedef struct bias_job {
    const ad_tensor *y, *out;
    int64_t images, channels, each;
} bias_job;

#define STRETCH 1024 /* elements converted at a time */

static void bias_channels(int64_t begin, int64_t end, void *ctx) {
    const bias_job *j = ctx;
    int dtype = j->y->dtype, ct = dtype_compute(dtype), size = dtype_size[dtype];
    union {
        double f64[STRETCH];
        float f32[STRETCH];
        int64_t i64[STRETCH];
    } room;
    for (int64_t o = begin; o < end; o++) {
        double sum = 0;
        uint64_t whole = 0;
        for (int64_t image = 0; image < j->images; image++) {
            const char *plane = (const char *)tensor_data(j->y) + (image * j->channels + o) * j->each * size;
            for (int64_t p = 0; p < j->each; p += STRETCH) {
                int64_t n = j->each - p < STRETCH ? j->each - p : STRETCH;
                const void *from = plane + p * size;
                union {
                    double f64;
                    float f32;
                    int64_t i64;
                } part;
                if (!native(dtype)) {
                    dtype_loads[dtype][ct](n, &room, from, size);
                    from = &room;
                }
                kern->fold[RED_sum][ct](n, from, NULL, &part);
                if (ct == CT_I64) whole += (uint64_t)part.i64;
                else sum += ct == CT_F32 ? (double)part.f32 : part.f64;
            }
        }
        int from = ct == CT_I64 ? CT_I64 : CT_F64;
        int64_t integer = (int64_t)whole;
        dtype_stores[j->out->dtype][from](1, (char *)tensor_data(j->out) + o * size, size,
                                          ct == CT_I64 ? (const void *)&integer : (const void *)&sum);
    }
}

void conv_bias_run(const ad_call *c) {
    const ad_tensor *y = c->in[0], *out = c->out[0];
    bias_job j = {.y = y, .out = out, .channels = out->numel, .images = 1, .each = 1};
    if (!out->numel) return;
    for (int d = 0; d < y->ndim - c->at->i[0] - 1; d++) j.images *= y->sizes[d];
    for (int d = y->ndim - (int)c->at->i[0]; d < y->ndim; d++) j.each *= y->sizes[d];
    int64_t work = j.images * j.each;
    pool_parallel_for(j.channels, work >= 32768 ? 1 : 32768 / (work + 1), bias_channels, &j);
}

void conv_bias_vjp(ad_vjp *v) {
    const ad_meta *y = vjp_meta(v, 0);
    int64_t sizes[4] = {v->node->mout[0].sizes[0], 1, 1, 1};
    int rank = (int)v->at->i[0];
    if (vjp_needs(v, 0))
        v->gin[0] = em_expand(&v->E, em_reshape(&v->E, v->g[0], rank + 1, sizes), y->ndim, y->sizes);
}

void conv_bias_jvp(ad_jvp *j) {
    const ad_call *c = j->c;
    if (j->t[0])
        j->tout[0] = em_op(&j->E, OP_conv_bias, 3, (ad_tensor *[]){j->t[0], c->in[1], c->in[2]}, c->at);
}
