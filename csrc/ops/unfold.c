/* unfold: the patches that a kernel sees as columns; fold: columns added up into an image. Each is the
 * other's adjoint. Attributes of both: list = kernel, dilation, padding, stride (height and width each), and
 * the image's height and width, which unfold finds itself. */
#include <string.h>
#include "../core.h"
#include "../pool.h"
#include "declare.h"

#define LL(x) ((long long)(x))

typedef struct patches {
    int64_t kernel[2], dil[2], pad[2], stride[2], image[2], blocks[2];
} patches;

/* The geometry of the attributes for an image; -1 with the error set. */
static int patches_of(patches *p, const ad_attr *at, int64_t height, int64_t width) {
    const char *const what[4] = {"kernel size", "dilation", "padding", "stride"};
    int64_t *const to[4] = {p->kernel, p->dil, p->pad, p->stride};
    for (int k = 0; k < 4; k++) {
        memcpy(to[k], at->list + 2 * k, 2 * sizeof(int64_t));
        int64_t least = k == 2 ? 0 : 1;
        if (to[k][0] < least || to[k][1] < least)
            return ad_fail(AD_ERR_RUNTIME, "%s should be %s, but got height: %lld width: %lld", what[k],
                           least ? "greater than zero" : "non-negative", LL(to[k][0]), LL(to[k][1]));
    }
    p->image[0] = height;
    p->image[1] = width;
    for (int d = 0; d < 2; d++) {
        int64_t reach, room;
        if (__builtin_mul_overflow(p->dil[d], p->kernel[d] - 1, &reach) ||
            __builtin_mul_overflow(p->pad[d], 2, &room) || __builtin_add_overflow(room, p->image[d], &room) ||
            room == INT64_MAX)
            return ad_fail(AD_ERR_RUNTIME, "the size of the padded image overflows int64");
        room -= reach + 1;
        p->blocks[d] = room < 0 ? -((-room + p->stride[d] - 1) / p->stride[d]) + 1 : room / p->stride[d] + 1;
    }
    return 0;
}

int im2col_infer(ad_call *c) {
    const ad_tensor *x = c->in[0];
    ad_spec *s = &c->spec[0];
    patches p;
    bool valid = x->ndim == 3 || x->ndim == 4;
    for (int d = x->ndim == 4; d < x->ndim; d++) valid &= x->sizes[d] != 0;
    if (!valid)
        return ad_fail(AD_ERR_RUNTIME,
                       "Expected 3D or 4D (batch mode) tensor with possibly 0 batch size and other non-zero "
                       "dimensions for input, but got: %s",
                       fmt_sizes(x->ndim, x->sizes));
    if (patches_of(&p, c->at, x->sizes[x->ndim - 2], x->sizes[x->ndim - 1])) return -1;
    if (p.blocks[0] < 1 || p.blocks[1] < 1)
        return ad_fail(
            AD_ERR_RUNTIME,
            "Given input with spatial size (%lld, %lld), kernel_size=(%lld, %lld), dilation=(%lld, "
            "%lld), padding=(%lld, %lld), calculated shape of the array of sliding blocks as (%lld, "
            "%lld), but its components must be at least one.",
            LL(p.image[0]), LL(p.image[1]), LL(p.kernel[0]), LL(p.kernel[1]), LL(p.dil[0]), LL(p.dil[1]),
            LL(p.pad[0]), LL(p.pad[1]), LL(p.blocks[0]), LL(p.blocks[1]));
    s->dtype = x->dtype;
    s->ndim = (uint8_t)(x->ndim - 1);
    int first = x->ndim == 4;
    if (first) s->sizes[0] = x->sizes[0];
    if (__builtin_mul_overflow(p.kernel[0], p.kernel[1], &s->sizes[first]) ||
        __builtin_mul_overflow(s->sizes[first], x->sizes[first], &s->sizes[first]) ||
        __builtin_mul_overflow(p.blocks[0], p.blocks[1], &s->sizes[first + 1]))
        return ad_fail(AD_ERR_RUNTIME, "unfold: the size of the result overflows int64");
    return 0;
}

int col2im_infer(ad_call *c) {
    const ad_tensor *x = c->in[0];
    ad_spec *s = &c->spec[0];
    const int64_t *image = c->at->list + 8;
    patches p;
    bool valid = x->ndim == 2 || x->ndim == 3;
    for (int d = x->ndim == 3; d < x->ndim; d++) valid &= x->sizes[d] != 0;
    if (!valid)
        return ad_fail(
            AD_ERR_RUNTIME,
            "Expected 2D or 3D (batch mode) tensor for input with possibly 0 batch size and non-zero "
            "dimensions for input, but got: %s",
            fmt_sizes(x->ndim, x->sizes));
    if (patches_of(&p, c->at, image[0], image[1])) return -1;
    int first = x->ndim == 3;
    int64_t taps, blocks;
    if (__builtin_mul_overflow(p.kernel[0], p.kernel[1], &taps) || x->sizes[first] % taps)
        return ad_fail(
            AD_ERR_RUNTIME,
            "Expected size of input's dimension %d to be divisible by the product of kernel_size, but "
            "got input.size(%d)=%lld and kernel_size=(%lld, %lld).",
            first, first, LL(x->sizes[first]), LL(p.kernel[0]), LL(p.kernel[1]));
    if (p.blocks[0] < 1 || p.blocks[1] < 1 || __builtin_mul_overflow(p.blocks[0], p.blocks[1], &blocks) ||
        x->sizes[first + 1] != blocks)
        return ad_fail(
            AD_ERR_RUNTIME,
            "Given output_size=(%lld, %lld), kernel_size=(%lld, %lld), dilation=(%lld, %lld), padding=(%lld, "
            "%lld), stride=(%lld, %lld), expected size of input's dimension %d to match the calculated "
            "number of "
            "sliding blocks %lld * %lld, but got input.size(%d)=%lld.",
            LL(image[0]), LL(image[1]), LL(p.kernel[0]), LL(p.kernel[1]), LL(p.dil[0]), LL(p.dil[1]),
            LL(p.pad[0]), LL(p.pad[1]), LL(p.stride[0]), LL(p.stride[1]), first + 1, LL(p.blocks[0]),
            LL(p.blocks[1]), first + 1, LL(x->sizes[first + 1]));
    s->dtype = x->dtype;
    s->ndim = (uint8_t)(x->ndim + 1);
    if (first) s->sizes[0] = x->sizes[0];
    s->sizes[first] = x->sizes[first] / taps;
    s->sizes[first + 1] = image[0];
    s->sizes[first + 2] = image[1];
    return 0;
}

typedef struct job {
    patches p;
    char *image, *columns;
    int dtype;
} job;

static void copy_row(int64_t n, char *to, const char *from, int64_t step, int size) {
    if (step == 1) {
        memcpy(to, from, (size_t)(n * size));
        return;
    }
#define COPY(T)                                                                                              \
    for (int64_t i = 0; i < n; i++) ((T *)to)[i] = ((const T *)from)[i * step]
    if (size == 4) COPY(uint32_t);
    else if (size == 8) COPY(uint64_t);
    else if (size == 2) COPY(uint16_t);
    else COPY(uint8_t);
}

/* to[i * step] += from[i]; a bool becomes true */
static void add_row(int64_t n, char *to, const char *from, int64_t step, int dtype) {
    if (dtype == AD_F32) {
        for (int64_t i = 0; i < n; i++) ((float *)to)[i * step] += ((const float *)from)[i];
        return;
    }
    if (dtype == AD_F64) {
        for (int64_t i = 0; i < n; i++) ((double *)to)[i * step] += ((const double *)from)[i];
        return;
    }
    int ct = dtype_compute(dtype), size = dtype_size[dtype];
    for (int64_t i = 0; i < n; i++, to += step * size, from += size) {
        if (ct == CT_I64) {
            int64_t a, b;
            dtype_loads[dtype][ct](1, &a, to, size);
            dtype_loads[dtype][ct](1, &b, from, size);
            a = (int64_t)((uint64_t)a + (uint64_t)b);
            dtype_stores[dtype][ct](1, to, size, &a);
        } else {
            float a, b;
            dtype_loads[dtype][ct](1, &a, to, size);
            dtype_loads[dtype][ct](1, &b, from, size);
            a += b;
            dtype_stores[dtype][ct](1, to, size, &a);
        }
    }
}

/* A tap of a plane whose columns are as wide as the image: the plane moved by h rows and w columns, in one
 * piece, and zeros where nothing came from. */
static void move_plane(const patches *p, const char *image, char *to, int64_t h, int64_t w, int size) {
    int64_t row = p->image[1], all = p->blocks[0], lo = h < 0 ? -h : 0, hi = p->image[0] - h;
    if (hi > all) hi = all;
    if (lo >= hi || w <= -row || w >= row) {
        memset(to, 0, (size_t)(all * row * size));
        return;
    }
    int64_t left = w < 0 ? -w : 0, right = w > 0 ? w : 0, from = lo * row + left;
    memset(to, 0, (size_t)(lo * row * size));
    memcpy(to + from * size, image + (from + h * row + w) * size, (size_t)((hi * row - right - from) * size));
    memset(to + hi * row * size, 0, (size_t)((all - hi) * row * size));
    if (!left && !right) return;
    for (int64_t b = lo; b < hi; b++) {
        char *edge = to + (b * row + (left ? 0 : row - right)) * size;
        if (left + right == 1 && size == 4) memset(edge, 0, 4); /* a store, not a call */
        else memset(edge, 0, (size_t)((left + right) * size));
    }
}

/* Planes [begin, end) of the image, one of all batch entries and channels after the other. */
static void planes(const job *j, int64_t begin, int64_t end, bool fold) {
    const patches *p = &j->p;
    int size = dtype_size[j->dtype];
    int64_t area = p->image[0] * p->image[1], width = p->blocks[1],
            row = p->blocks[0] * width; /* of the columns: one tap */
    for (int64_t plane = begin; plane < end; plane++) {
        char *image = j->image + plane * area * size,
             *columns = j->columns + plane * p->kernel[0] * p->kernel[1] * row * size;
        if (fold) memset(image, 0, (size_t)(area * size));
        bool moved = !fold && p->stride[0] == 1 && p->stride[1] == 1 && width == p->image[1];
        for (int64_t kh = 0; kh < p->kernel[0]; kh++)
            for (int64_t kw = 0; kw < p->kernel[1]; kw++) {
                if (moved) {
                    move_plane(p, image, columns, kh * p->dil[0] - p->pad[0], kw * p->dil[1] - p->pad[1],
                               size);
                    columns += row * size;
                    continue;
                }
                for (int64_t b = 0; b < p->blocks[0]; b++, columns += width * size) {
                    int64_t h = b * p->stride[0] + kh * p->dil[0] - p->pad[0], w = kw * p->dil[1] - p->pad[1];
                    /* blocks lo to hi - 1 lie in the image */
                    int64_t lo = w >= 0 ? 0 : (-w + p->stride[1] - 1) / p->stride[1];
                    int64_t hi = w < p->image[1] ? (p->image[1] - 1 - w) / p->stride[1] + 1 : 0;
                    if (hi > width) hi = width;
                    if (h < 0 || h >= p->image[0] || lo >= hi) lo = hi = 0;
                    char *at = image + (hi ? h * p->image[1] + w + lo * p->stride[1] : 0) * size;
                    if (fold) add_row(hi - lo, at, columns + lo * size, p->stride[1], j->dtype);
                    else {
                        memset(columns, 0, (size_t)(lo * size));
                        copy_row(hi - lo, columns + lo * size, at, p->stride[1], size);
                        memset(columns + hi * size, 0, (size_t)((width - hi) * size));
                    }
                }
            }
    }
}
static void unfold_planes(int64_t begin, int64_t end, void *ctx) { planes(ctx, begin, end, false); }
static void fold_planes(int64_t begin, int64_t end, void *ctx) { planes(ctx, begin, end, true); }

static void run(const ad_call *c, ad_tensor *image, ad_tensor *columns, pool_fn fn) {
    job j = {.image = tensor_data(image), .columns = tensor_data(columns), .dtype = image->dtype};
    if (!c->out[0]->numel) return;
    const int64_t *size = image->sizes + image->ndim - 2;
    if (patches_of(&j.p, c->at, size[0], size[1])) return;
    int64_t n = image->numel / (size[0] * size[1]), each = columns->numel / n, grain = (1 << 14) / (each + 1);
    pool_parallel_for(n, grain ? grain : 1, fn, &j);
}
void im2col_run(const ad_call *c) { run(c, c->in[0], c->out[0], unfold_planes); }
void col2im_run(const ad_call *c) { run(c, c->out[0], c->in[0], fold_planes); }

void im2col_vjp(ad_vjp *v) {
    const ad_meta *x = vjp_meta(v, 0);
    int64_t list[10];
    memcpy(list, v->at->list, 8 * sizeof *list);
    list[8] = x->sizes[x->ndim - 2];
    list[9] = x->sizes[x->ndim - 1];
    v->gin[0] = em1l(&v->E, OP_col2im, v->g[0], list, 10, 0);
}
void col2im_vjp(ad_vjp *v) { v->gin[0] = em1l(&v->E, OP_im2col, v->g[0], v->at->list, 8, 0); }
