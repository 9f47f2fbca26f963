/* Masks: masked_fill, masked_select, masked_scatter; nonzero; one_hot. */
#include <string.h>
#include "../pool.h"
#include "../program.h"
#include "index.h"

static const uint8_t log2_size[9] = {[1] = 0, [2] = 1, [4] = 2, [8] = 3};

/* ---- rows of several operands, stretched to common sizes ---- */

typedef struct row_walk {
    int ndim, nt;
    int64_t sizes[AD_MAXDIM], strides[3][AD_MAXDIM], index[AD_MAXDIM];
    int64_t at[3], n, left; /* offsets in elements of this row, its length, rows to come */
} row_walk;

/* t[k] over the sizes; neighbours are merged where all allow it. */
static void row_start(row_walk *w, int ndim, const int64_t *sizes, int nt, const ad_tensor *const *t) {
    int64_t s[3][AD_MAXDIM];
    w->nt = nt;
    w->ndim = 0;
    for (int k = 0; k < nt; k++) {
        stretched_strides(t[k], ndim, sizes, s[k]);
        w->at[k] = 0;
    }
    int64_t total = 1;
    for (int d = 0; d < ndim; d++) {
        total *= sizes[d];
        if (sizes[d] == 1) continue;
        bool merge = w->ndim > 0;
        for (int k = 0; k < nt && merge; k++) merge = w->strides[k][w->ndim - 1] == s[k][d] * sizes[d];
        if (!merge) w->sizes[w->ndim++] = 1;
        w->sizes[w->ndim - 1] *= sizes[d];
        for (int k = 0; k < nt; k++) w->strides[k][w->ndim - 1] = s[k][d];
    }
    if (!w->ndim) {
        w->ndim = 1;
        w->sizes[0] = 1;
        for (int k = 0; k < nt; k++) w->strides[k][0] = 0;
    }
    memset(w->index, 0, (size_t)w->ndim * sizeof *w->index);
    w->n = w->sizes[w->ndim - 1];
    w->left = total && w->n ? total / w->n : 0;
}

static bool row_next(row_walk *w) {
    if (--w->left <= 0) return false;
    for (int d = w->ndim - 2; d >= 0; d--) {
        for (int k = 0; k < w->nt; k++) w->at[k] += w->strides[k][d];
        if (++w->index[d] < w->sizes[d]) break;
        for (int k = 0; k < w->nt; k++) w->at[k] -= w->sizes[d] * w->strides[k][d];
        w->index[d] = 0;
    }
    return true;
}

static int64_t row_stride(const row_walk *w, int k) { return w->strides[k][w->ndim - 1]; }
static char *row_data(const row_walk *w, int k, const ad_tensor *t) {
    return (char *)tensor_data(t) + w->at[k] * dtype_size[t->dtype];
}

#define TILE 1024
/* Up to TILE mask bytes from position `from` of the row: in place, or gathered into the tile. */
static const uint8_t *mask_tile(const row_walk *w, int k, const ad_tensor *mask, int64_t from, int64_t n,
                                uint8_t *tile) {
    int64_t stride = row_stride(w, k);
    const uint8_t *p = (const uint8_t *)row_data(w, k, mask) + from * stride;
    if (stride == 1) return p;
    for (int64_t j = 0; j < n; j++) tile[j] = p[j * stride];
    return tile;
}

static int64_t mask_count(int ndim, const int64_t *sizes, const ad_tensor *mask) {
    row_walk w;
    uint8_t tile[TILE];
    int64_t total = 0;
    row_start(&w, ndim, sizes, 1, &mask);
    if (w.left) do {
            if (row_stride(&w, 0) == 1)
                total += kern->mask_count(w.n, (const uint8_t *)row_data(&w, 0, mask));
            else
                for (int64_t j = 0; j < w.n; j += TILE) {
                    int64_t n = w.n - j < TILE ? w.n - j : TILE;
                    total += kern->mask_count(n, mask_tile(&w, 0, mask, j, n, tile));
                }
        } while (row_next(&w));
    return total;
}

static int common_sizes(const ad_call *c, ad_spec *s) {
    int nd;
    if (broadcast_sizes(2, c->in, &nd, s->sizes)) return -1;
    s->ndim = (uint8_t)nd;
    s->dtype = c->in[0]->dtype;
    return 0;
}

/* ---- masked_fill(x, mask, value) ---- */

int masked_fill_infer(ad_call *c) {
    if (c->in[1]->dtype != AD_BOOL)
        return ad_fail(AD_ERR_RUNTIME, "masked_fill_ only supports boolean masks, but got mask with dtype %s",
                       dtype_name[c->in[1]->dtype]);
    if (c->in[2]->ndim)
        return ad_fail(
            AD_ERR_RUNTIME,
            "masked_fill_ only supports a 0-dimensional value tensor, but got tensor with %d dimension(s).",
            c->in[2]->ndim);
    return common_sizes(c, &c->spec[0]);
}

typedef struct fill_job {
    char *out;
    const char *x, *value;
    const uint8_t *mask;
    int size;
} fill_job;

static void fill_range(int64_t begin, int64_t end, void *ctx) {
    const fill_job *j = ctx;
    kern->mask_fill[log2_size[j->size]](end - begin, j->out + begin * j->size, j->x + begin * j->size,
                                        j->mask + begin, j->value);
}

void masked_fill_run(const ad_call *c) {
    ad_tensor *out = c->out[0];
    const ad_tensor *x = c->in[0], *mask = c->in[1];
    _Alignas(8) char value[8];
    ad_storage store = {.data = value};
    ad_tensor one = {.storage = &store, .dtype = out->dtype, .numel = 1};
    if (!out->numel) return;
    tensor_copy_data(&one, c->in[2]);
    int size = dtype_size[out->dtype];
    if (tensor_same_sizes(x, out) && tensor_same_sizes(mask, out) && tensor_is_contiguous(x) &&
        tensor_is_contiguous(mask) && tensor_is_contiguous(out)) {
        fill_job j = {tensor_data(out), tensor_data(x), value, tensor_data(mask), size};
        pool_parallel_for(out->numel, 1 << 15, fill_range, &j);
        return;
    }
    bool same = tensor_data(x) == tensor_data(out) && tensor_same_sizes(x, out) &&
                dims_equal(x->ndim, x->strides, out->ndim, out->strides);
    if (!same) tensor_copy_data(out, x);
    row_walk w;
    uint8_t tile[TILE];
    row_start(&w, out->ndim, out->sizes, 2, (const ad_tensor *[]){out, mask});
    do {
        char *p = row_data(&w, 0, out);
        int64_t stride = row_stride(&w, 0) * size;
        if (!row_stride(&w, 1)) { /* one mask element for the row */
            if (*(const uint8_t *)row_data(&w, 1, mask))
                for (int64_t j = 0; j < w.n; j++) memcpy(p + j * stride, value, (size_t)size);
            continue;
        }
        for (int64_t k = 0; k < w.n; k += TILE) {
            int64_t n = w.n - k < TILE ? w.n - k : TILE;
            const uint8_t *m = mask_tile(&w, 1, mask, k, n, tile);
            char *q = p + k * stride;
            if (stride == size) kern->mask_fill[log2_size[size]](n, q, q, m, value);
            else
                for (int64_t j = 0; j < n; j++)
                    if (m[j]) memcpy(q + j * stride, value, (size_t)size);
        }
    } while (row_next(&w));
}

static ad_tensor *emit_fill(ad_em *E, ad_tensor *g, ad_tensor *mask) {
    ad_tensor *zero = em_const(E, 0);
    return em3(E, OP_masked_fill, g, mask, zero);
}

void masked_fill_vjp(ad_vjp *v) {
    ad_em *E = &v->E;
    ad_tensor *mask = vjp_in(v, 1);
    const ad_meta *m = vjp_meta(v, 0);
    if (!mask) return;
    if (vjp_needs(v, 0)) v->gin[0] = em_sum_to(E, emit_fill(E, v->g[0], mask), m->ndim, m->sizes);
    if (vjp_needs(v, 2)) {
        ad_tensor *d = em3(E, OP_where, mask, v->g[0], em_const(E, 0));
        v->gin[2] = em_cast(E, em_sum_to(E, d, 0, NULL), vjp_meta(v, 2)->dtype);
    }
}

/* ---- masked_select(x, mask): the elements where the mask is set, in order ---- */

int masked_select_infer(ad_call *c) {
    ad_spec *s = &c->spec[0], common;
    if (c->in[1]->dtype != AD_BOOL)
        return ad_fail(AD_ERR_RUNTIME, "masked_select: expected BoolTensor for mask");
    if (common_sizes(c, &common)) return -1;
    s->dtype = c->in[0]->dtype;
    s->ndim = 1;
    s->sizes[0] = mask_count(common.ndim, common.sizes, c->in[1]);
    return 0;
}

#define PICK(T)                                                                                              \
    static int64_t pick_##T(int64_t n, const T *x, int64_t xs, const uint8_t *m, T *out, int64_t room) {     \
        int64_t j = 0, k = 0;                                                                                \
        while (k < n && j < room) {                                                                          \
            uint64_t eight;                                                                                  \
            if (n - k >= 8) {                                                                                \
                memcpy(&eight, m + k, 8);                                                                    \
                if (!eight) {                                                                                \
                    k += 8;                                                                                  \
                    continue;                                                                                \
                }                                                                                            \
            }                                                                                                \
            for (int64_t end = n - k >= 8 ? k + 8 : n; k < end && j < room; k++) {                           \
                out[j] = x[k * xs];                                                                          \
                j += m[k] != 0;                                                                              \
            }                                                                                                \
        }                                                                                                    \
        return j;                                                                                            \
    }
PICK(uint8_t)
PICK(uint16_t)
PICK(uint32_t)
PICK(uint64_t)

/* Writes at most `room` elements; returns how many. */
static int64_t select_into(const ad_tensor *x, const ad_tensor *mask, char *out, int64_t room) {
    row_walk w;
    int nd;
    int64_t sizes[AD_MAXDIM], j = 0, b = dtype_size[x->dtype];
    uint8_t tile[TILE];
    ad_tensor *both[2] = {(ad_tensor *)x, (ad_tensor *)mask};
    broadcast_sizes(2, both, &nd, sizes);
    row_start(&w, nd, sizes, 2, (const ad_tensor *[]){x, mask});
    if (!w.left) return 0;
    do {
        int64_t xs = row_stride(&w, 0);
        for (int64_t k = 0; k < w.n && j < room; k += TILE) {
            int64_t n = w.n - k < TILE ? w.n - k : TILE;
            const uint8_t *m = mask_tile(&w, 1, mask, k, n, tile);
            const char *p = row_data(&w, 0, x) + k * xs * b;
            char *o = out + j * b;
            j += b == 1   ? pick_uint8_t(n, (const uint8_t *)p, xs, m, (uint8_t *)o, room - j)
                 : b == 2 ? pick_uint16_t(n, (const uint16_t *)p, xs, m, (uint16_t *)o, room - j)
                 : b == 4 ? pick_uint32_t(n, (const uint32_t *)p, xs, m, (uint32_t *)o, room - j)
                          : pick_uint64_t(n, (const uint64_t *)p, xs, m, (uint64_t *)o, room - j);
        }
    } while (row_next(&w));
    return j;
}

void masked_select_run(const ad_call *c) {
    if (c->out[0]->numel) select_into(c->in[0], c->in[1], tensor_data(c->out[0]), c->out[0]->numel);
}
void masked_select_vjp(ad_vjp *v) {
    const ad_meta *m = vjp_meta(v, 0);
    ad_tensor *mask = vjp_in(v, 1), *pair[2];
    int nd;
    int64_t sizes[AD_MAXDIM];
    ad_tensor like = {.ndim = m->ndim, .sizes = m->sizes};
    if (!mask) return;
    pair[0] = &like;
    pair[1] = mask;
    broadcast_sizes(2, pair, &nd, sizes);
    ad_tensor *d = em3(&v->E, OP_masked_scatter, em_zeros(&v->E, m->dtype, nd, sizes), mask, v->g[0]);
    v->gin[0] = em_sum_to(&v->E, d, m->ndim, m->sizes);
}

/* masked_pack(g, mask): what masked_select gives, in a tensor of the sizes in the list, zeros after it. The
 * gradient of masked_scatter's source: its shape does not depend on the data. */
int masked_pack_infer(ad_call *c) {
    ad_spec *s = &c->spec[0];
    s->dtype = c->in[0]->dtype;
    s->ndim = (uint8_t)c->at->nlist;
    dims_copy(s->sizes, c->at->list, s->ndim);
    return 0;
}
void masked_pack_run(const ad_call *c) {
    ad_tensor *out = c->out[0];
    int64_t b = dtype_size[out->dtype], n = out->numel;
    if (!n) return;
    int64_t have = select_into(c->in[0], c->in[1], tensor_data(out), n);
    memset((char *)tensor_data(out) + have * b, 0, (size_t)((n - have) * b));
}
void masked_pack_vjp(ad_vjp *v) {
    const ad_meta *m = vjp_meta(v, 0);
    v->gin[0] =
        em3(&v->E, OP_masked_scatter, em_zeros(&v->E, m->dtype, m->ndim, m->sizes), vjp_in(v, 1), v->g[0]);
}

/* ---- masked_scatter(self, mask, source): the source's elements in order where the mask is set ---- */

int masked_scatter_infer(ad_call *c) {
    ad_spec *s = &c->spec[0];
    if (c->in[1]->dtype != AD_BOOL)
        return ad_fail(AD_ERR_RUNTIME,
                       "masked_scatter_ only supports boolean masks, but got mask with dtype %s",
                       dtype_class[c->in[1]->dtype]);
    if (c->in[0]->dtype != c->in[2]->dtype)
        return ad_fail(AD_ERR_RUNTIME,
                       "masked_scatter: expected self and source to have same dtypes but got %s and %s",
                       dtype_class[c->in[0]->dtype], dtype_class[c->in[2]->dtype]);
    if (common_sizes(c, s)) return -1;
    int64_t numel;
    if (dims_numel(s->ndim, s->sizes, &numel)) return -1;
    if (c->in[2]->numel < numel && c->in[2]->numel < mask_count(s->ndim, s->sizes, c->in[1]))
        return ad_fail(AD_ERR_RUNTIME,
                       "masked_scatter: Number of elements of source < number of ones in mask");
    return 0;
}

void masked_scatter_run(const ad_call *c) {
    ad_tensor *out = c->out[0];
    const ad_tensor *mask = c->in[1], *src = c->in[2];
    row_walk w, s;
    if (!out->numel || !src->numel) return;
    size_t b = dtype_size[out->dtype];
    row_start(&w, out->ndim, out->sizes, 2, (const ad_tensor *[]){out, mask});
    row_start(&s, src->ndim, src->sizes, 1, &src);
    int64_t taken = 0;
    do {
        char *p = row_data(&w, 0, out);
        const uint8_t *m = (const uint8_t *)row_data(&w, 1, mask);
        int64_t xs = row_stride(&w, 0) * (int64_t)b, ms = row_stride(&w, 1);
        for (int64_t k = 0; k < w.n; k++) {
            if (!m[k * ms]) continue;
            if (taken == s.n) {
                if (!row_next(&s)) return;
                taken = 0;
            }
            memcpy(p + k * xs, row_data(&s, 0, src) + taken++ * row_stride(&s, 0) * (int64_t)b, b);
        }
    } while (row_next(&w));
}
void masked_scatter_vjp(ad_vjp *v) {
    ad_em *E = &v->E;
    const ad_meta *m = vjp_meta(v, 0), *ms = vjp_meta(v, 2);
    ad_tensor *mask = vjp_in(v, 1);
    if (!mask) return;
    if (vjp_needs(v, 0)) v->gin[0] = em_sum_to(E, emit_fill(E, v->g[0], mask), m->ndim, m->sizes);
    if (vjp_needs(v, 2)) {
        ad_attr at = {.list = ms->sizes, .nlist = ms->ndim};
        v->gin[2] = em_op(E, OP_masked_pack, 2, (ad_tensor *[]){v->g[0], mask}, &at);
    }
}

/* ---- nonzero(x): the coordinates, one column for each dimension ---- */

static int64_t count_nonzero(const ad_tensor *x) {
    if (x->dtype == AD_BOOL || x->dtype == AD_U8) return mask_count(x->ndim, x->sizes, x);
    row_walk w;
    uint8_t tile[TILE];
    int64_t total = 0, b = dtype_size[x->dtype];
    row_start(&w, x->ndim, x->sizes, 1, &x);
    if (w.left) do {
            for (int64_t j = 0; j < w.n; j += TILE) {
                int64_t n = w.n - j < TILE ? w.n - j : TILE, stride = row_stride(&w, 0) * b;
                dtype_load_bool[x->dtype](n, tile, row_data(&w, 0, x) + j * stride, stride);
                total += kern->mask_count(n, tile);
            }
        } while (row_next(&w));
    return total;
}

int nonzero_infer(ad_call *c) {
    const ad_tensor *x = c->in[0];
    ad_spec *s = &c->spec[0];
    s->dtype = AD_I64;
    s->ndim = 2;
    s->sizes[0] = count_nonzero(x);
    s->sizes[1] = x->ndim;
    s->strided = true; /* by columns, so that each is a contiguous list of indices */
    s->strides[0] = 1;
    s->strides[1] = s->sizes[0];
    return 0;
}

void nonzero_run(const ad_call *c) {
    const ad_tensor *x = c->in[0];
    ad_tensor *out = c->out[0];
    int64_t *col = tensor_data(out), room = out->sizes[0], j = 0, index[AD_MAXDIM] = {0}, at = 0,
            b = dtype_size[x->dtype];
    uint8_t tile[TILE];
    int last = x->ndim - 1;
    if (!out->numel) return;
    int64_t rows = x->numel / x->sizes[last];
    for (int64_t r = 0; r < rows && j < room; r++) {
        int64_t first = j, stride = x->strides[last] * b;
        for (int64_t k = 0; k < x->sizes[last] && j < room; k += TILE) {
            int64_t n = x->sizes[last] - k < TILE ? x->sizes[last] - k : TILE, *o = col + last * room;
            dtype_load_bool[x->dtype](n, tile, (const char *)tensor_data(x) + at * b + k * stride, stride);
            for (int64_t i = 0; i < n && j < room; i++) {
                o[j] = k + i;
                j += tile[i];
            }
        }
        for (int d = 0; d < last; d++)
            for (int64_t i = first; i < j; i++) col[d * room + i] = index[d];
        for (int d = last - 1; d >= 0; d--) {
            at += x->strides[d];
            if (++index[d] < x->sizes[d]) break;
            at -= x->sizes[d] * x->strides[d];
            index[d] = 0;
        }
    }
    for (; j < room; j++) /* a replay on other data: stay in range */
        for (int d = 0; d <= last; d++) col[d * room + j] = 0;
}

/* ---- one_hot(x): i[0] = number of classes, -1 for as many as there are ---- */

static int64_t largest(const ad_tensor *x) { /* -1 when nothing is above it */
    row_walk w;
    int64_t most = -1;
    row_start(&w, x->ndim, x->sizes, 1, &x);
    do {
        const int64_t *p = (const int64_t *)row_data(&w, 0, x);
        for (int64_t k = 0; k < w.n; k++)
            if (p[k * row_stride(&w, 0)] > most) most = p[k * row_stride(&w, 0)];
    } while (row_next(&w));
    return most;
}

int one_hot_infer(ad_call *c) {
    const ad_tensor *x = c->in[0];
    ad_spec *s = &c->spec[0];
    int64_t n = c->at->i[0], bad;
    if (x->dtype != AD_I64)
        return ad_fail(AD_ERR_RUNTIME, "one_hot is only applicable to index tensor of type LongTensor.");
    if (!x->numel && n <= 0)
        return ad_fail(AD_ERR_RUNTIME, "Can not infer total number of classes from empty tensor.");
    if (n == -1) {
        if (tls.capture && program_refuse("one_hot without num_classes")) return -1;
        n = largest(x);
        if (n < INT64_MAX) n++;
    }
    if (index_bad(x, 0, INT64_MAX, &bad))
        return ad_fail(AD_ERR_RUNTIME, "Class values must be non-negative.");
    if (n < 0 || index_bad(x, 0, n, &bad))
        return ad_fail(AD_ERR_RUNTIME, "Class values must be smaller than num_classes.");
    if (x->ndim + 1 > AD_MAXDIM)
        return ad_fail(AD_ERR_RUNTIME, "too many dimensions: %d, the most is %d", x->ndim + 1, AD_MAXDIM);
    spec_like(s, x);
    s->sizes[s->ndim++] = n;
    return 0;
}

void one_hot_run(const ad_call *c) {
    const ad_tensor *x = c->in[0];
    ad_tensor *out = c->out[0];
    row_walk w;
    if (!out->numel) return;
    int64_t n = out->sizes[out->ndim - 1], *o = tensor_data(out);
    memset(o, 0, (size_t)out->numel * sizeof *o);
    row_start(&w, x->ndim, x->sizes, 1, &x);
    do {
        const int64_t *p = (const int64_t *)row_data(&w, 0, x);
        for (int64_t k = 0; k < w.n; k++, o += n) o[index_safe(p[k * row_stride(&w, 0)], n)] = 1;
    } while (row_next(&w));
}
