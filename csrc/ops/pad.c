/* Padding: with a constant, and with what the tensor holds (reflected, repeated at the edge, wrapped).
 * list = pairs of amounts before and after, the last dimension first; negative ones cut. */
#include <string.h>
#include "../pool.h"
#include "index.h"

/* ---- pad(x): f[0] = the value, i[1] = the value for integers ---- */

int pad_infer(ad_call *c) {
    const ad_tensor *x = c->in[0];
    ad_spec *s = &c->spec[0];
    int64_t n = c->at->nlist;
    if (n % 2) return ad_fail(AD_ERR_RUNTIME, "Padding length must be divisible by 2");
    if (n / 2 > x->ndim)
        return ad_fail(
            AD_ERR_RUNTIME,
            "Padding length should be less than or equal to two times the input dimension but got padding "
            "length %lld and input of dimension %d",
            (long long)n, x->ndim);
    spec_like(s, x);
    for (int64_t k = 0; k < n; k += 2) {
        int d = x->ndim - 1 - (int)(k / 2);
        if (__builtin_add_overflow(s->sizes[d], c->at->list[k], &s->sizes[d]) ||
            __builtin_add_overflow(s->sizes[d], c->at->list[k + 1], &s->sizes[d]))
            return ad_fail(AD_ERR_RUNTIME, "pad: the size of dimension %d overflows int64", d);
        if (s->sizes[d] < 0 || x->sizes[d] + (c->at->list[k] < 0 ? c->at->list[k] : 0) < 0 ||
            x->sizes[d] + (c->at->list[k + 1] < 0 ? c->at->list[k + 1] : 0) < 0)
            return ad_fail(
                AD_ERR_RUNTIME,
                "narrow(): length must be non-negative. The input size %lld, plus negative padding %lld and "
                "%lld, resulted in a negative output size at dimension %d",
                (long long)x->sizes[d], (long long)c->at->list[k], (long long)c->at->list[k + 1], d);
    }
    return 0;
}

typedef struct pad_job {
    int ndim; /* the last dimension is a row: what follows it unpadded is part of it */
    int64_t out_sizes[AD_MAXDIM], in_sizes[AD_MAXDIM], in_strides[AD_MAXDIM], before[AD_MAXDIM];
    char *out;
    const char *x;
    int64_t size;
    _Alignas(8) char value[8];
} pad_job;

static inline void copy_one(char *to, const char *from, int64_t size) {
    if (size == 4) memcpy(to, from, 4);
    else if (size == 8) memcpy(to, from, 8);
    else memcpy(to, from, (size_t)size);
}

static void fill_elements(const pad_job *j, char *p, int64_t n) {
    for (int64_t k = 0; k < n; k++) copy_one(p + k * j->size, j->value, j->size);
}

static void pad_rows(int64_t begin, int64_t end, void *ctx) {
    const pad_job *j = ctx;
    int last = j->ndim - 1;
    int64_t n = j->out_sizes[last], size = j->in_sizes[last], before = j->before[last], index[AD_MAXDIM];
    int64_t from = before > 0 ? before : 0, to = size + before < n ? size + before : n, rest = begin;
    if (from > n) from = n;
    if (to < from) to = from;
    for (int d = last - 1; d >= 0; d--) {
        index[d] = rest % j->out_sizes[d];
        rest /= j->out_sizes[d];
    }
    for (int64_t r = begin; r < end; r++) {
        char *out = j->out + r * n * j->size;
        int64_t at = 0;
        bool inside = true;
        for (int d = 0; d < last; d++) {
            int64_t i = index[d] - j->before[d];
            inside &= i >= 0 && i < j->in_sizes[d];
            at += i * j->in_strides[d];
        }
        if (!inside) fill_elements(j, out, n);
        else {
            const char *x = j->x + (at + (from - before) * j->in_strides[last]) * j->size;
            fill_elements(j, out, from);
            if (j->in_strides[last] == 1) memcpy(out + from * j->size, x, (size_t)((to - from) * j->size));
            else
                for (int64_t k = 0; k < to - from; k++)
                    copy_one(out + (from + k) * j->size, x + k * j->in_strides[last] * j->size, j->size);
            fill_elements(j, out + to * j->size, n - to);
        }
        for (int d = last - 1; d >= 0; d--) {
            if (++index[d] < j->out_sizes[d]) break;
            index[d] = 0;
        }
    }
}

/* Planes of the last two dimensions whose rows are contiguous: what is padded most. Elements of 4 or 8 bytes.
 */
static void pad_planes(int64_t begin, int64_t end, void *ctx) {
    const pad_job *j = ctx;
    int last = j->ndim - 1, across = j->ndim - 2, kind = j->size == 8;
    int64_t h = j->out_sizes[across], w = j->out_sizes[last], index[AD_MAXDIM], rest = begin;
    int64_t top = j->before[across], left = j->before[last], pitch = j->in_strides[across];
    int64_t y0 = top > 0 ? top : 0, y1 = j->in_sizes[across] + top, x0 = left > 0 ? left : 0,
            x1 = j->in_sizes[last] + left;
    y0 = y0 < h ? y0 : h, y1 = y1 < y0 ? y0 : y1 < h ? y1 : h;
    x0 = x0 < w ? x0 : w, x1 = x1 < x0 ? x0 : x1 < w ? x1 : w;
    for (int d = across - 1; d >= 0; d--) {
        index[d] = rest % j->out_sizes[d];
        rest /= j->out_sizes[d];
    }
    for (int64_t p = begin; p < end; p++) {
        char *out = j->out + p * h * w * j->size;
        int64_t at = 0;
        bool inside = true;
        for (int d = 0; d < across; d++) {
            int64_t i = index[d] - j->before[d];
            inside &= i >= 0 && i < j->in_sizes[d];
            at += i * j->in_strides[d];
        }
        int64_t filled = inside ? y0 : h; /* rows above that hold the value alone */
        kern->pad_rows[kind](filled > 0, filled * w, 0, 0, NULL, 0, j->value, out);
        if (inside) {
            const char *x =
                y1 > y0 && x1 > x0 ? j->x + (at + (y0 - top) * pitch + (x0 - left)) * j->size : NULL;
            kern->pad_rows[kind](y1 - y0, x0, x1 - x0, w - x1, x, x ? pitch : 0, j->value,
                                 out + y0 * w * j->size);
            kern->pad_rows[kind](h > y1, (h - y1) * w, 0, 0, NULL, 0, j->value, out + y1 * w * j->size);
        }
        for (int d = across - 1; d >= 0; d--) {
            if (++index[d] < j->out_sizes[d]) break;
            index[d] = 0;
        }
    }
}

void pad_run(const ad_call *c) {
    const ad_tensor *x = c->in[0];
    ad_tensor *out = c->out[0];
    pad_job j = {.out = tensor_data(out), .x = tensor_data(x), .size = dtype_size[out->dtype]};
    if (!out->numel) return;
    if (dtype_is_float(out->dtype)) dtype_stores[out->dtype][CT_F64](1, j.value, 0, &c->at->f[0]);
    else dtype_stores[out->dtype][CT_I64](1, j.value, 0, &c->at->i[1]);
    if (!x->ndim) {
        memcpy(j.out, j.x, (size_t)j.size);
        return;
    }
    for (int d = 0; d < x->ndim; d++) {
        int64_t k = 2 * (x->ndim - 1 - d);
        j.out_sizes[d] = out->sizes[d];
        j.in_sizes[d] = x->sizes[d];
        j.in_strides[d] = x->strides[d];
        j.before[d] = k < c->at->nlist ? c->at->list[k] : 0;
    }
    j.ndim = x->ndim;
    while (j.ndim > 1) { /* an unpadded last dimension joins the one before it */
        int a = j.ndim - 2, b = j.ndim - 1;
        if (j.out_sizes[b] != j.in_sizes[b] || j.before[b] ||
            j.in_strides[a] != j.in_sizes[b] * j.in_strides[b])
            break;
        int64_t n = j.in_sizes[b];
        j.out_sizes[a] *= n;
        j.in_sizes[a] *= n;
        j.before[a] *= n;
        j.in_strides[a] = j.in_strides[b];
        j.ndim--;
    }
    int64_t n = j.out_sizes[j.ndim - 1], grain = (1 << 15) / n;
    if (j.ndim > 1 && (j.size == 4 || j.size == 8) && j.in_strides[j.ndim - 1] == 1) {
        int64_t plane = n * j.out_sizes[j.ndim - 2];
        if (plane <= 1 << 15 || out->numel / plane >= 8) {
            grain = (1 << 15) / plane;
            pool_parallel_for(out->numel / plane, grain ? grain : 1, pad_planes, &j);
            return;
        }
    }
    pool_parallel_for(out->numel / n, grain ? grain : 1, pad_rows, &j);
}
void pad_vjp(ad_vjp *v) {
    int64_t back[2 * AD_MAXDIM];
    for (int64_t k = 0; k < v->at->nlist; k++) back[k] = -v->at->list[k];
    ad_attr at = {.list = back, .nlist = v->at->nlist};
    v->gin[0] = em_op(&v->E, OP_pad, 1, &v->g[0], &at);
}
void pad_jvp(ad_jvp *j) {
    ad_attr at = *j->c->at;
    at.f[0] = 0;
    at.i[1] = 0;
    if (j->t[0]) j->tout[0] = em_op(&j->E, OP_pad, 1, &j->t[0], &at);
}

/* ---- pad_edge(x): i[0] = mode; pad_edge_grad(g): list = amounts, then the input's sizes, i[1] = how many
 * of the list are amounts ---- */

enum { PAD_REFLECT, PAD_REPLICATE, PAD_CIRCULAR };

int pad_edge_infer(ad_call *c) {
    const ad_tensor *x = c->in[0];
    ad_spec *s = &c->spec[0];
    int64_t n = c->at->nlist, mode = c->at->i[0];
    if (n % 2) return ad_fail(AD_ERR_RUNTIME, "Padding length must be divisible by 2");
    int64_t nd = n / 2;
    if (nd < 1 || nd > 3 || (x->ndim != nd + 1 && x->ndim != nd + 2))
        return ad_fail(
            AD_ERR_NOT_IMPLEMENTED,
            "Padding size %lld is not supported for %dD input tensor.\nSupported combinations for "
            "non-constant "
            "padding:\n  - 2D or 3D input: padding size = 2 (pads last dimension)\n  - 3D or 4D input: "
            "padding size = 4 "
            "(pads last 2 dimensions)\n  - 4D or 5D input: padding size = 6 (pads last 3 dimensions)",
            (long long)n, x->ndim);
    spec_like(s, x);
    int batched = x->ndim == nd + 2;
    for (int d = batched; d < x->ndim; d++)
        if (!x->sizes[d])
            return ad_fail(
                AD_ERR_RUNTIME,
                "pad: expected a tensor whose dimensions other than the batch are not of size 0, got %s",
                fmt_sizes(x->ndim, x->sizes));
    for (int64_t k = 0; k < n; k += 2) {
        int d = x->ndim - 1 - (int)(k / 2);
        int64_t before = c->at->list[k], after = c->at->list[k + 1], size = x->sizes[d];
        if (mode == PAD_REFLECT && (before >= size || after >= size))
            return ad_fail(
                AD_ERR_RUNTIME,
                "Argument #4: Padding size should be less than the corresponding input dimension, but got: "
                "padding (%lld, %lld) at dimension %d of input %s",
                (long long)before, (long long)after, d, fmt_sizes(x->ndim, x->sizes));
        int64_t kept = size + (before < 0 ? before : 0) + (after < 0 ? after : 0);
        if (mode == PAD_CIRCULAR && (before > kept || after > kept))
            return ad_fail(AD_ERR_RUNTIME, "Padding value causes wrapping around more than once.");
        if (before < -size || after < -size || __builtin_add_overflow(size, before, &s->sizes[d]) ||
            __builtin_add_overflow(s->sizes[d], after, &s->sizes[d]) ||
            s->sizes[d] < (mode == PAD_CIRCULAR ? 0 : 1))
            return ad_fail(AD_ERR_RUNTIME,
                           "input %s is too small for the padding (%lld, %lld) of dimension %d: the output "
                           "would be empty",
                           fmt_sizes(x->ndim, x->sizes), (long long)before, (long long)after, d);
    }
    return 0;
}

/* The element of the input that output position o of a dimension shows. */
static int64_t source_of(int64_t mode, int64_t o, int64_t before, int64_t size, int64_t n) {
    int64_t i = o - before;
    if (mode == PAD_REPLICATE) return i < 0 ? 0 : i >= size ? size - 1 : i;
    if (mode == PAD_REFLECT) {
        if (i < 0) i = -i;
        if (i >= size) i = 2 * (size - 1) - i;
    } else { /* what a negative amount cuts off is not wrapped around to */
        int64_t after = n - size - before, lo = before < 0 ? -before : 0,
                hi = after < 0 ? size + after : size;
        if (i < lo) i += hi - lo;
        if (i >= hi) i -= hi - lo;
    }
    return i < 0 ? 0 : i >= size ? size - 1 : i;
}

typedef struct edge_job {
    int ndim, first; /* dimensions before `first` are not padded and count as one */
    const int64_t *out_sizes, *in_sizes;
    int64_t out_strides[AD_MAXDIM], in_strides[AD_MAXDIM], before[AD_MAXDIM], mode;
    char *small, *big; /* the input's side and the output's */
    int dtype;
    bool adjoint;
} edge_job;

/* One batch entry: rows of the last dimension. */
static void edge_batch(const edge_job *j, int64_t in_at, int64_t out_at) {
    int last = j->ndim - 1;
    int64_t b = dtype_size[j->dtype], index[3] = {0}, rows = 1, n = j->out_sizes[last],
            size = j->in_sizes[last];
    int64_t is = j->in_strides[last], os = j->out_strides[last], before = j->before[last];
    for (int d = j->first; d < last; d++) rows *= j->out_sizes[d];
    /* output positions [from, to) show the input in order */
    int64_t from = before > 0 ? before : 0, to = size + before < n ? size + before : n;
    for (int64_t r = 0; r < rows; r++) {
        int64_t ia = in_at, oa = out_at;
        for (int d = j->first; d < last; d++) {
            ia += source_of(j->mode, index[d - j->first], j->before[d], j->in_sizes[d], j->out_sizes[d]) *
                  j->in_strides[d];
            oa += index[d - j->first] * j->out_strides[d];
        }
        char *small = j->small + ia * b, *big = j->big + oa * b;
        for (int64_t o = 0; o < n; o++) {
            if (o == from && to > from) {
                if (j->adjoint)
                    row_add(j->dtype, to - from, small + (from - before) * is * b, is, big + from * os * b,
                            os);
                else if (is == 1 && os == 1)
                    memcpy(big + from * b, small + (from - before) * b, (size_t)((to - from) * b));
                else
                    for (int64_t k = from; k < to; k++)
                        copy_one(big + k * os * b, small + (k - before) * is * b, b);
                o = to - 1;
                continue;
            }
            int64_t i = source_of(j->mode, o, before, size, n);
            if (j->adjoint) row_add(j->dtype, 1, small + i * is * b, 1, big + o * os * b, 1);
            else copy_one(big + o * os * b, small + i * is * b, b);
        }
        for (int d = last - 1; d >= j->first; d--) {
            if (++index[d - j->first] < j->out_sizes[d]) break;
            index[d - j->first] = 0;
        }
    }
}

static void edge_range(int64_t begin, int64_t end, void *ctx) {
    const edge_job *j = ctx;
    for (int64_t u = begin; u < end; u++) {
        int64_t rest = u, ia = 0, oa = 0;
        for (int d = j->first - 1; d >= 0; d--) {
            int64_t i = rest % j->in_sizes[d];
            rest /= j->in_sizes[d];
            ia += i * j->in_strides[d];
            oa += i * j->out_strides[d];
        }
        edge_batch(j, ia, oa);
    }
}

/* ---- contiguous planes of 4 or 8 bytes an element, nothing cut off ---- */

enum { EDGE_TABLE = 512 }; /* of places beside the input, in all dimensions */

typedef struct plane_job {
    int64_t size[3], wide[3],
        before[3];            /* of the input and of the output; dimensions that are not there: 1 */
    int kind;                 /* 0: 4 bytes, 1: 8 */
    int64_t bytes, beside[3]; /* how many places of a dimension are beside the input */
    int64_t place[EDGE_TABLE], shows[EDGE_TABLE]; /* where they are, and which of the input they show */
    const int64_t *place_of[3], *shows_of[3];
    char *small, *big;
    bool adjoint;
} plane_job;

static bool plane_job_of(plane_job *p, const edge_job *j) {
    int nd = j->ndim - j->first;
    p->bytes = dtype_size[j->dtype];
    p->kind = p->bytes == 8;
    p->adjoint = j->adjoint;
    p->small = j->small;
    p->big = j->big;
    if (j->adjoint ? j->dtype != AD_F32 && j->dtype != AD_F64 : p->bytes != 4 && p->bytes != 8) return false;
    if (!dims_contiguous(j->ndim, j->in_sizes, j->in_strides) ||
        !dims_contiguous(j->ndim, j->out_sizes, j->out_strides))
        return false;
    int64_t n = 0;
    for (int d = 0; d < 3; d++) {
        int k = j->ndim - 3 + d;
        bool there = d >= 3 - nd;
        p->size[d] = there ? j->in_sizes[k] : 1;
        p->wide[d] = there ? j->out_sizes[k] : 1;
        p->before[d] = there ? j->before[k] : 0;
        if (p->before[d] < 0 || p->wide[d] < p->size[d] + p->before[d] ||
            n + p->wide[d] - p->size[d] > EDGE_TABLE)
            return false;
        p->place_of[d] = p->place + n;
        p->shows_of[d] = p->shows + n;
        p->beside[d] = p->wide[d] - p->size[d];
        for (int64_t o = 0; o < p->wide[d]; o++) {
            if (o == p->before[d]) o += p->size[d];
            if (o >= p->wide[d]) break;
            p->place[n] = o;
            p->shows[n++] = source_of(j->mode, o, p->before[d], p->size[d], p->wide[d]);
        }
    }
    return true;
}

static void copy_elements(const plane_job *p, int64_t n, const char *from, char *to) {
    static const double none;
    kern->pad_rows[p->kind](1, 0, n, 0, from, 0, &none, to);
}
static void add_elements(const plane_job *p, int64_t n, const char *from, char *to) {
    if (p->kind)
        for (int64_t i = 0; i < n; i++) ((double *)to)[i] += ((const double *)from)[i];
    else
        for (int64_t i = 0; i < n; i++) ((float *)to)[i] += ((const float *)from)[i];
}

/* The output's plane, from the input's: its rows, their ends, and then the rows above and below. */
static void edge_plane(const plane_job *p, const char *small, char *big) {
    static const double none;
    int64_t n = p->size[2], wide = p->wide[2], before = p->before[2], count = p->beside[2], b = p->bytes;
    const int64_t *place = p->place_of[2], *shows = p->shows_of[2];
    char *rows = big + p->before[1] * wide * b;
    kern->pad_rows[p->kind](p->size[1], before, n, wide - n - before, small, n, &none, rows);
    for (int64_t y = 0; y < p->size[1]; y++) {
        if (p->kind) {
            const uint64_t *x = (const uint64_t *)small + y * n;
            uint64_t *out = (uint64_t *)rows + y * wide;
            for (int64_t k = 0; k < count; k++) out[place[k]] = x[shows[k]];
        } else {
            const uint32_t *x = (const uint32_t *)small + y * n;
            uint32_t *out = (uint32_t *)rows + y * wide;
            for (int64_t k = 0; k < count; k++) out[place[k]] = x[shows[k]];
        }
    }
    for (int64_t k = 0; k < p->beside[1]; k++)
        copy_elements(p, wide, rows + p->shows_of[1][k] * wide * b, big + p->place_of[1][k] * wide * b);
}

/* The adjoint: `small` becomes the sums of what showed it, or grows by them. */
static void sum_plane(const plane_job *p, const char *big, char *small, bool add) {
    static const double none;
    int64_t n = p->size[2], wide = p->wide[2], before = p->before[2], count = p->beside[2], b = p->bytes;
    const int64_t *place = p->place_of[2], *shows = p->shows_of[2];
    const char *rows = big + (p->before[1] * wide + before) * b;
    if (!add) kern->pad_rows[p->kind](p->size[1], 0, n, 0, rows, wide, &none, small);
    for (int64_t k = -p->size[1]; k < p->beside[1]; k++) { /* first the rows inside */
        int64_t y = k < 0 ? k + p->size[1] : p->shows_of[1][k];
        const char *row = big + (k < 0 ? y + p->before[1] : p->place_of[1][k]) * wide * b;
        char *to = small + y * n * b;
        if (add || k >= 0) add_elements(p, n, row + before * b, to);
        if (p->kind)
            for (int64_t i = 0; i < count; i++) ((double *)to)[shows[i]] += ((const double *)row)[place[i]];
        else
            for (int64_t i = 0; i < count; i++) ((float *)to)[shows[i]] += ((const float *)row)[place[i]];
    }
}

static void edge_volumes(int64_t begin, int64_t end, void *ctx) {
    const plane_job *p = ctx;
    int64_t in = p->size[1] * p->size[2] * p->bytes, out = p->wide[1] * p->wide[2] * p->bytes;
    for (int64_t u = begin; u < end; u++) {
        char *small = p->small + u * p->size[0] * in, *big = p->big + u * p->wide[0] * out;
        char *inside = big + p->before[0] * out;
        for (int64_t z = 0; z < p->size[0]; z++)
            if (p->adjoint) sum_plane(p, inside + z * out, small + z * in, false);
            else edge_plane(p, small + z * in, inside + z * out);
        for (int64_t k = 0; k < p->beside[0]; k++) {
            int64_t z = p->shows_of[0][k];
            char *beside = big + p->place_of[0][k] * out;
            if (p->adjoint) sum_plane(p, beside, small + z * in, true);
            else copy_elements(p, p->wide[1] * p->wide[2], inside + z * out, beside);
        }
    }
}

static void edge_run(const ad_attr *at, int64_t npads, ad_tensor *small, ad_tensor *big, bool adjoint) {
    edge_job j = {.ndim = small->ndim,
                  .first = small->ndim - (int)(npads / 2),
                  .out_sizes = big->sizes,
                  .in_sizes = small->sizes,
                  .mode = at->i[0],
                  .small = tensor_data(small),
                  .big = tensor_data(big),
                  .dtype = small->dtype,
                  .adjoint = adjoint};
    int64_t batch = 1, each = 1;
    for (int d = 0; d < j.ndim; d++) {
        j.out_strides[d] = big->strides[d];
        j.in_strides[d] = small->strides[d];
        j.before[d] = d < j.first ? 0 : at->list[2 * (j.ndim - 1 - d)];
        if (d < j.first) batch *= small->sizes[d];
        else each *= big->sizes[d];
    }
    if (!batch || !each) return;
    int64_t grain = (1 << 14) / each;
    plane_job p;
    if (plane_job_of(&p, &j)) {
        pool_parallel_for(batch, grain ? grain : 1, edge_volumes, &p);
        return;
    }
    if (adjoint) memset(j.small, 0, (size_t)small->numel * dtype_size[small->dtype]);
    pool_parallel_for(batch, grain ? grain : 1, edge_range, &j);
}

void pad_edge_run(const ad_call *c) { edge_run(c->at, c->at->nlist, c->in[0], c->out[0], false); }
void pad_edge_vjp(ad_vjp *v) {
    const ad_meta *m = vjp_meta(v, 0);
    int64_t list[2 * AD_MAXDIM], n = v->at->nlist;
    dims_copy(list, v->at->list, n);
    memcpy(list + n, m->sizes, m->ndim * sizeof *list);
    ad_attr at = {.i = {v->at->i[0], n}, .list = list, .nlist = n + m->ndim};
    v->gin[0] = vjp_tied(v, 0, em_op(&v->E, OP_pad_edge_grad, 1, &v->g[0], &at));
}

int pad_edge_grad_infer(ad_call *c) {
    ad_spec *s = &c->spec[0];
    s->dtype = c->in[0]->dtype;
    s->ndim = (uint8_t)(c->at->nlist - c->at->i[1]);
    dims_copy(s->sizes, c->at->list + c->at->i[1], s->ndim);
    return 0;
}
void pad_edge_grad_run(const ad_call *c) {
    ad_tensor *out = c->out[0];
    if (!c->in[0]->numel) memset(tensor_data(out), 0, (size_t)out->numel * dtype_size[out->dtype]);
    edge_run(c->at, c->at->i[1], out, c->in[0], true);
}
void pad_edge_grad_vjp(ad_vjp *v) {
    ad_attr at = {.i = {v->at->i[0]}, .list = v->at->list, .nlist = v->at->i[1]};
    v->gin[0] = em_op(&v->E, OP_pad_edge, 1, &v->g[0], &at);
}
