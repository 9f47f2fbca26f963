/* take and put_flat: indices into the flat tensor. */
#include <string.h>
#include "../pool.h"
#include "index.h"

/* ---- take(x, index), put_flat(self, index, src; i[0] = accumulate): indices into the flat tensor ---- */

static int check_flat(const char *name, const ad_tensor *x, const ad_tensor *index, bool later) {
    int64_t bad;
    if (index->dtype != AD_I64)
        return ad_fail(AD_ERR_RUNTIME, "%s(): Expected a long tensor for index, but got %s", name,
                       dtype_class[index->dtype]);
    if (!x->numel && index->numel)
        return ad_fail(AD_ERR_INDEX, "%s(): tried to take from an empty tensor", name);
    if (!later && index_bad(index, -x->numel, x->numel, &bad))
        return ad_fail(AD_ERR_INDEX, "out of range: tried to access index %lld on a tensor of %lld elements.",
                       (long long)bad, (long long)x->numel);
    return 0;
}

/* Offsets in a tensor of any strides of flat indices. */
static void flat_offsets(const ad_tensor *x, int64_t n, int64_t *i) {
    bool flat = tensor_is_contiguous(x);
    for (int64_t k = 0; k < n; k++) {
        int64_t at = index_safe(i[k], x->numel), off = 0;
        for (int d = x->ndim - 1; d >= 0 && !flat; d--) {
            off += at % x->sizes[d] * x->strides[d];
            at /= x->sizes[d];
        }
        i[k] = flat ? at : off;
    }
}

/* Moves between x at the flat offsets and the elements of v (one of them, or one for each) in order. */
static void flat_move(int kind, ad_tensor *x, const ad_tensor *index, ad_tensor *v, int64_t *room) {
    int64_t n = index->numel, one = 1;
    if (!n || !x->numel) return;
    index_load(index, room);
    flat_offsets(x, n, room);
    ad_storage *s = x->storage;
    index_plan p = {.ndim = v->ndim, .np = v->ndim, .npos = n};
    memcpy(p.sizes, v->sizes, v->ndim * sizeof *p.sizes);
    ad_tensor flat = {.storage = s,
                      .offset = x->offset,
                      .dtype = x->dtype,
                      .ndim = 1,
                      .sizes = &n,
                      .strides = &one,
                      .numel = n};
    index_move(&p, kind, room, &flat, v, v->strides);
}

static bool take_plain(const ad_call *c) {
    return c->in[0]->numel && tensor_is_contiguous(c->in[0]) && tensor_is_contiguous(c->in[1]);
}
int take_infer(ad_call *c) {
    if (check_flat("take", c->in[0], c->in[1], c->strayed && take_plain(c))) return -1;
    spec_like(&c->spec[0], c->in[1]);
    c->spec[0].dtype = c->in[0]->dtype;
    return 0;
}
static size_t flat_bytes(const ad_call *c) { return 2 * (size_t)(c->in[1]->numel + 1) * sizeof(int64_t); }
typedef struct taking {
    const int64_t *index;
    const void *x;
    void *out;
    int64_t numel;
    _Atomic int *strayed;
} taking;
#define TAKE(T)                                                                                              \
    static void take_##T(int64_t begin, int64_t end, void *ctx) {                                            \
        const taking *j = ctx;                                                                               \
        const T *x = j->x;                                                                                   \
        T *out = j->out;                                                                                     \
        int64_t tile[256], n = j->numel;                                                                     \
        for (int64_t at = begin; at < end; at += 256) {                                                      \
            int64_t m = end - at < 256 ? end - at : 256;                                                     \
            memcpy(tile, j->index + at, (size_t)m * sizeof *tile);                                           \
            if (kern->index_in(m, tile, -n, 2 * (uint64_t)n)) {                                              \
                for (int64_t k = 0; k < m; k++) out[at + k] = x[tile[k] + (tile[k] >> 63 & n)];              \
                continue;                                                                                    \
            }                                                                                                \
            if (j->strayed) atomic_store_explicit(j->strayed, 1, memory_order_relaxed);                      \
            for (int64_t k = 0; k < m; k++) out[at + k] = x[index_safe(tile[k], n)];                         \
        }                                                                                                    \
    }
TAKE(uint8_t)
TAKE(uint16_t)
TAKE(uint32_t)
TAKE(uint64_t)

size_t take_scratch(const ad_call *c) { return take_plain(c) ? 0 : flat_bytes(c); }
void take_run(const ad_call *c) {
    if (!take_plain(c)) {
        flat_move(MOVE_READ, c->in[0], c->in[1], c->out[0], c->scratch);
        return;
    }
    static const pool_fn by_size[] = {
        [1] = take_uint8_t, [2] = take_uint16_t, [4] = take_uint32_t, [8] = take_uint64_t};
    taking j = {tensor_data(c->in[1]), tensor_data(c->in[0]), tensor_data(c->out[0]), c->in[0]->numel,
                c->strayed};
    pool_parallel_for(c->in[1]->numel, 1 << 12, by_size[dtype_size[c->in[0]->dtype]], &j);
}
void take_vjp(ad_vjp *v) {
    const ad_meta *m = vjp_meta(v, 0);
    ad_tensor *in[3] = {em_zeros(&v->E, m->dtype, m->ndim, m->sizes), vjp_in(v, 1), v->g[0]};
    ad_attr at = {.i = {1}};
    if (in[0] && in[1]) v->gin[0] = em_op(&v->E, OP_put_flat, 3, in, &at);
}

int put_flat_infer(ad_call *c) {
    const ad_tensor *x = c->in[0], *index = c->in[1], *src = c->in[2];
    if (x->dtype != src->dtype)
        return ad_fail(AD_ERR_RUNTIME,
                       "put_(): self and source expected to have the same dtype, but got self.dtype = %s and "
                       "source.dtype = %s",
                       dtype_class[x->dtype], dtype_class[src->dtype]);
    if (index->numel != src->numel)
        return ad_fail(AD_ERR_INDEX,
                       "put_(): Expected source and index to have the same number of elements, but got "
                       "source.numel() = %lld, index.numel() = %lld",
                       (long long)src->numel, (long long)index->numel);
    if (check_flat("put_", x, index, false)) return -1;
    spec_like(&c->spec[0], x);
    return 0;
}
size_t put_flat_scratch(const ad_call *c) { return flat_bytes(c); }
void put_flat_run(const ad_call *c) {
    flat_move(c->at->i[0] ? MOVE_ADD : MOVE_WRITE, c->out[0], c->in[1], c->in[2], c->scratch);
}
void put_flat_vjp(ad_vjp *v) {
    const ad_meta *m = vjp_meta(v, 2);
    ad_tensor *index = vjp_in(v, 1);
    if (!index) return;
    if (vjp_needs(v, 0)) {
        ad_tensor *in[3] = {v->g[0], index, em_zeros(&v->E, v->g[0]->dtype, index->ndim, index->sizes)};
        v->gin[0] = v->at->i[0] ? v->g[0] : in[2] ? em_op(&v->E, OP_put_flat, 3, in, v->at) : NULL;
    }
    if (vjp_needs(v, 2))
        v->gin[2] = em_reshape(&v->E, em_op(&v->E, OP_take, 2, (ad_tensor *[]){v->g[0], index}, NULL),
                               m->ndim, m->sizes);
}
