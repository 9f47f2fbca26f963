/* gather, and the loop that it shares with scatter.
 *
 * The loop goes over the index tensor's sizes; the indexed tensor's stride along `dim` is applied to the
 * index instead of to the position. Indices are looked at in tiles of 256: one vector comparison says that
 * all of them are in range, and the loops that follow do without (a gather instruction, 8 elements in 24 or
 * more micro-operations here, was slower than plain loads). Where `dim` is not the last dimension, threads
 * take columns, few enough that what they reach of the indexed tensor stays in the second-level cache.
 *
 * An index that is the same all along the other dimensions (a vector that was expanded) moves whole rows:
 * index_move() does that. */
#include <math.h>
#include <string.h>
#include "../pool.h"
#include "gather.h"

typedef struct walk {
    int ndim, dim, dtype, kind, split;
    int64_t sizes[AD_MAXDIM], is[AD_MAXDIM], xs[AD_MAXDIM], vs[AD_MAXDIM], cs[AD_MAXDIM];
    int64_t size, stride, cstride; /* of the indexed tensor (and of the counts) along dim */
    const ad_tensor *index;
    char *x, *v;
    int64_t *counts;
    _Atomic int *strayed;
    bool ahead; /* rows of x are short, and fetched before they are needed */
} walk;

#define TILE 256

/* One row: n elements of x at i[k] * stride + k * xs, and of v at k * vs. */
#define EACH(...)                                                                                            \
    if (stride == 1 && xs == 0 && vs == 1)                                                                   \
        for (int64_t k = 0; k < n; k++) {                                                                    \
            const int64_t at = i[k], from = k;                                                               \
            __VA_ARGS__;                                                                                     \
        }                                                                                                    \
    else                                                                                                     \
        for (int64_t k = 0; k < n; k++) {                                                                    \
            const int64_t at = i[k] * stride + k * xs, from = k * vs;                                        \
            __VA_ARGS__;                                                                                     \
        }
#define MOVE_ROW(T)                                                                                          \
    static void move_##T(bool read, int64_t n, const int64_t *i, int64_t stride, T *x, int64_t xs, T *v,     \
                         int64_t vs) {                                                                       \
        if (read) EACH(v[from] = x[at])                                                                      \
        else EACH(x[at] = v[from])                                                                           \
    }
MOVE_ROW(uint8_t)
MOVE_ROW(uint16_t)
MOVE_ROW(uint32_t)
MOVE_ROW(uint64_t)

/* The greater or less of both; NaN wins. Chosen by bits, without a branch. */
#define EXTREME(T, B, sign)                                                                                  \
    {                                                                                                        \
        T a = x[at], b = v[from];                                                                            \
        B p, q;                                                                                              \
        memcpy(&p, &a, sizeof p);                                                                            \
        memcpy(&q, &b, sizeof q);                                                                            \
        p = ((a sign b) | (a != a)) ? p : q;                                                                 \
        memcpy(&x[at], &p, sizeof p);                                                                        \
    }
#define REDUCE_ROW(T, U, B)                                                                                  \
    static void reduce_##T(int kind, int64_t n, const int64_t *i, int64_t stride, T *x, int64_t xs,          \
                           const T *v, int64_t vs) {                                                         \
        if (kind == PUT_ADD || kind == PUT_MEAN) EACH(x[at] = (T)((U)x[at] + (U)v[from]))                    \
        else if (kind == PUT_MUL) EACH(x[at] = (T)((U)x[at] * (U)v[from]))                                   \
        else if (kind == PUT_MAX) EACH(EXTREME(T, B, >))                                                     \
        else EACH(EXTREME(T, B, <))                                                                          \
    }
REDUCE_ROW(float, float, uint32_t)
REDUCE_ROW(double, double, uint64_t)
REDUCE_ROW(int64_t, uint64_t, uint64_t)

/* Of the dtypes that are computed in another type: one element at a time. */
static void reduce_other(const walk *w, int64_t n, const int64_t *i, char *x, int64_t xs, const char *v,
                         int64_t vs) {
    int64_t b = dtype_size[w->dtype], zero = 0;
    bool floats = dtype_is_float(w->dtype);
    for (int64_t k = 0; k < n; k++) {
        char *px = x + (i[k] * w->stride + k * xs) * b;
        const char *pv = v + k * vs * b;
        if (floats) {
            float s[2];
            dtype_loads[w->dtype][CT_F32](1, &s[0], px, 0);
            dtype_loads[w->dtype][CT_F32](1, &s[1], pv, 0);
            reduce_float(w->kind, 1, &zero, 1, &s[0], 1, &s[1], 1);
            dtype_stores[w->dtype][CT_F32](1, px, 0, &s[0]);
        } else {
            int64_t s[2];
            dtype_loads[w->dtype][CT_I64](1, &s[0], px, 0);
            dtype_loads[w->dtype][CT_I64](1, &s[1], pv, 0);
            reduce_int64_t(w->kind, 1, &zero, 1, &s[0], 1, &s[1], 1);
            dtype_stores[w->dtype][CT_I64](1, px, 0, &s[0]);
        }
    }
}

/* The indices are in range. */
static void one_row(const walk *w, int64_t n, const int64_t *i, int64_t xat, int64_t xs, int64_t vat,
                    int64_t vs, int64_t cat, int64_t cs) {
    int64_t b = dtype_size[w->dtype];
    char *x = w->x + xat * b, *v = w->v + vat * b;
    bool read = w->kind == PUT_READ;
    if (w->kind == PUT_COUNT) {
        for (int64_t k = 0; k < n; k++) w->counts[cat + i[k] * w->cstride + k * cs]++;
        return;
    }
    if (read && w->stride == 1 && xs == 0 && vs == 1) {
        index_pick((int)b, n, v, x, i);
        return;
    }
    if (read || w->kind == PUT_ASSIGN || w->kind == PUT_INIT) {
        switch (b) {
        case 1:
            move_uint8_t(read, n, i, w->stride, (uint8_t *)x, xs, (uint8_t *)v, vs);
            break;
        case 2:
            move_uint16_t(read, n, i, w->stride, (uint16_t *)x, xs, (uint16_t *)v, vs);
            break;
        case 4:
            move_uint32_t(read, n, i, w->stride, (uint32_t *)x, xs, (uint32_t *)v, vs);
            break;
        default:
            move_uint64_t(read, n, i, w->stride, (uint64_t *)x, xs, (uint64_t *)v, vs);
        }
        return;
    }
    switch (w->dtype) {
    case AD_F32:
        reduce_float(w->kind, n, i, w->stride, (float *)x, xs, (float *)v, vs);
        break;
    case AD_F64:
        reduce_double(w->kind, n, i, w->stride, (double *)x, xs, (double *)v, vs);
        break;
    case AD_I64:
        reduce_int64_t(w->kind, n, i, w->stride, (int64_t *)x, xs, (int64_t *)v, vs);
        break;
    default:
        reduce_other(w, n, i, x, xs, v, vs);
    }
}

/* n indices that are in range, in the tile: it is the copy that is looked at, for another thread may write
 * the tensor. infer has checked them or leaves it to us; those outside read and write the first element
 * instead. */
static const int64_t *indices(const walk *w, int64_t at, int64_t stride, int64_t n, int64_t *tile) {
    if (w->index->dtype == AD_I64 && stride == 1)
        memcpy(tile, (const int64_t *)tensor_data(w->index) + at, (size_t)n * sizeof *tile);
    else index_row(w->index, at, stride, n, tile);
    if (!kern->index_in(n, tile, 0, (uint64_t)w->size)) {
        for (int64_t k = 0; k < n; k++) tile[k] = (uint64_t)tile[k] < (uint64_t)w->size ? tile[k] : 0;
        if (w->strayed) atomic_store_explicit(w->strayed, 1, memory_order_relaxed);
    }
    return tile;
}

/* Part [begin, end) of dimension `split`; all of it when split < 0. */
static void walk_range(int64_t begin, int64_t end, void *ctx) {
    const walk *w = ctx;
    int last = w->ndim - 1;
    int64_t at[AD_MAXDIM] = {0}, tile[TILE], ia = 0, xa = 0, va = 0, ca = 0, sizes[AD_MAXDIM], rows = 1;
    memcpy(sizes, w->sizes, (size_t)w->ndim * sizeof *sizes);
    if (w->split >= 0) {
        sizes[w->split] = end - begin;
        ia = begin * w->is[w->split];
        xa = begin * w->xs[w->split];
        va = begin * w->vs[w->split];
        ca = begin * w->cs[w->split];
    }
    for (int d = 0; d < last; d++) rows *= sizes[d];
    int64_t row = w->size * dtype_size[w->dtype];
    for (int64_t r = 0; r < rows; r++) {
        if (w->ahead && r + 1 < rows)
            for (int64_t k = 0; k < row; k += 64)
                __builtin_prefetch(w->x + (xa + w->xs[last - 1]) * dtype_size[w->dtype] + k);
        for (int64_t k = 0; k < sizes[last]; k += TILE) {
            int64_t n = sizes[last] - k < TILE ? sizes[last] - k : TILE;
            const int64_t *i = indices(w, ia + k * w->is[last], w->is[last], n, tile);
            one_row(w, n, i, xa + k * w->xs[last], w->xs[last], va + k * w->vs[last], w->vs[last],
                    ca + k * w->cs[last], w->cs[last]);
        }
        for (int d = last - 1; d >= 0; d--) {
            ia += w->is[d];
            xa += w->xs[d];
            va += w->vs[d];
            ca += w->cs[d];
            if (++at[d] < sizes[d]) break;
            ia -= sizes[d] * w->is[d];
            xa -= sizes[d] * w->xs[d];
            va -= sizes[d] * w->vs[d];
            ca -= sizes[d] * w->cs[d];
            at[d] = 0;
        }
    }
}

/* ---- one index for whole rows ---- */

static bool by_rows(int kind, int64_t dim, const ad_tensor *index) {
    if (index->ndim < 2 || kind == PUT_MUL || kind == PUT_MAX || kind == PUT_MIN || kind == PUT_COUNT)
        return false;
    for (int d = 0; d < index->ndim; d++)
        if (d != dim && index->sizes[d] > 1 && index->strides[d]) return false;
    return index->numel > index->sizes[dim];
}
static void vector_of(const ad_tensor *index, int64_t dim, ad_tensor *vector, int64_t *room) {
    *vector = *index;
    room[0] = vector->numel = index->sizes[dim];
    room[1] = index->strides[dim];
    vector->ndim = 1;
    vector->sizes = room;
    vector->strides = room + 1;
}
size_t gather_room(int kind, int64_t dim, const ad_tensor *x, const ad_tensor *index) {
    ad_tensor vector, *idx = &vector;
    int64_t room[2];
    if (dim < 0 || !index->numel || !by_rows(kind, dim, index)) return 0;
    vector_of(index, dim, &vector, room);
    return index_add_bytes(x, 1, &idx, &dim);
}
static void move_rows(int kind, int64_t dim, const ad_tensor *x, const ad_tensor *index, ad_tensor *v,
                      void *scratch) {
    ad_tensor part = *x, vector, *idx = &vector;
    int64_t room[2], sizes[AD_MAXDIM], vstrides[2 * AD_MAXDIM];
    index_plan p;
    for (int d = 0; d < x->ndim; d++) sizes[d] = d == dim ? x->sizes[d] : index->sizes[d];
    part.sizes = sizes;
    vector_of(index, dim, &vector, room);
    index_plan_set(&p, &part, 1, &idx, &dim);
    index_offsets(&p, &part, 1, &idx, &dim, scratch);
    index_group_room(&p, &part, 1, &idx, &dim, scratch);
    stretched_strides(v, p.ndim, p.sizes, vstrides);
    index_move(&p,
               kind == PUT_READ                      ? MOVE_READ
               : kind == PUT_ADD || kind == PUT_MEAN ? MOVE_ADD
                                                     : MOVE_WRITE,
               scratch, &part, v, vstrides);
}

void gather_walk(const gather_job *j) {
    const ad_tensor *x = j->x, *index = j->index, *v = j->v;
    int kind = j->kind;
    walk w = {.kind = kind,
              .dtype = x->dtype,
              .index = index,
              .x = tensor_data(x),
              .v = v ? tensor_data(v) : NULL,
              .counts = j->counts,
              .strayed = j->strayed,
              .split = -1,
              .size = 1,
              .ndim = 1};
    int64_t cstrides[AD_MAXDIM];
    if (!index->numel || !x->numel) return;
    if (j->scratch && v && by_rows(kind, j->dim, index)) {
        move_rows(kind, j->dim, x, index, j->v, j->scratch);
        return;
    }
    w.sizes[0] = 1;
    w.is[0] = w.xs[0] = w.vs[0] = w.cs[0] = 0;
    if (index->ndim) {
        w.ndim = index->ndim;
        w.dim = (int)j->dim;
        memcpy(w.sizes, index->sizes, (size_t)w.ndim * sizeof *w.sizes);
        memcpy(w.is, index->strides, (size_t)w.ndim * sizeof *w.is);
    }
    dims_contiguous_strides(x->ndim, x->sizes, cstrides);
    for (int d = 0; d < w.ndim; d++) {
        w.xs[d] = d < x->ndim && d != w.dim ? x->strides[d] : 0;
        w.cs[d] = d < x->ndim && d != w.dim ? cstrides[d] : 0;
        w.vs[d] = v && d < v->ndim ? v->strides[d] : 0;
    }
    if (x->ndim) {
        w.size = x->sizes[w.dim];
        w.stride = x->strides[w.dim];
        w.cstride = cstrides[w.dim];
    }
    int kept = 0, along = -1; /* dimensions of one position are left out: the inner loop becomes a long one */
    for (int d = 0; d < w.ndim; d++) {
        if (w.sizes[d] == 1) continue;
        if (d == w.dim) along = kept;
        w.sizes[kept] = w.sizes[d], w.is[kept] = w.is[d], w.xs[kept] = w.xs[d];
        w.vs[kept] = w.vs[d], w.cs[kept++] = w.cs[d];
    }
    w.dim = along;
    w.ndim = kept;
    if (!kept) {
        w.ndim = w.sizes[0] = 1;
        w.is[0] = w.xs[0] = w.vs[0] = w.cs[0] = 0;
    }
    /* two positions along dim may meet: any other dimension can be shared out, the last one before others of
     * its size; what is read, along dim too */
    int64_t most = 1;
    for (int d = 0; d < w.ndim; d++)
        if (d != w.dim && w.sizes[d] >= most) {
            most = w.sizes[d];
            w.split = d;
        }
    if (kind == PUT_READ && w.dim >= 0 && most < 16 && w.sizes[w.dim] > most) {
        most = w.sizes[w.dim];
        w.split = w.dim;
    }
    w.ahead = w.ndim > 1 && w.dim == w.ndim - 1 && w.stride == 1 && w.size <= 1 << 11 &&
              w.sizes[w.dim] >= w.size / 16;
    if (w.split < 0) {
        walk_range(0, 1, &w);
        return;
    }
    int64_t each = index->numel / most, grain = (1 << 14) / each;
    if (w.split == w.ndim - 1 && w.split != w.dim) { /* columns, by whole cache lines */
        int64_t reach = (1 << 18) / (w.size * dtype_size[x->dtype]), fair = most / 8;
        if (grain < reach) grain = reach < fair ? reach : grain < fair ? fair : grain;
        grain = (grain + 15) / 16 * 16;
    }
    pool_parallel_for(most, grain ? grain : 1, walk_range, &w);
}

/* ---- checks ---- */

int gather_check(const ad_call *c, const char *name, int64_t dim) {
    const ad_tensor *x = c->in[0], *index = c->in[1];
    int64_t bad, size = x->ndim ? x->sizes[dim] : 1;
    if (!index->numel) return 0; /* of any dtype, as PyTorch has it */
    if (index->dtype != AD_I64 && index->dtype != AD_I32)
        return ad_fail(AD_ERR_RUNTIME, "%s(): Expected dtype int32/int64 for index", name);
    if (c->strayed && x->numel && index->numel > 4096 && !by_rows(PUT_READ, dim, index))
        return 0; /* run tells */
    if (index_bad(index, 0, size, &bad))
        return ad_fail(AD_ERR_RUNTIME, "index %lld is out of bounds for dimension %lld with size %lld",
                       (long long)bad, (long long)dim, (long long)size);
    return 0;
}

/* ---- gather(x, index): i[0] = dim ---- */

int gather_infer(ad_call *c) {
    const ad_tensor *x = c->in[0], *index = c->in[1];
    int64_t dim = dim_wrap(c->at->i[0], x->ndim);
    if (dim < 0) return -1;
    if (index->numel && gather_rank(x) != gather_rank(index))
        return ad_fail(AD_ERR_RUNTIME,
                       "Index tensor must have the same number of dimensions as input tensor");
    for (int d = 0; d < index->ndim && index->numel; d++)
        if (d != dim && index->sizes[d] > x->sizes[d])
            return ad_fail(AD_ERR_RUNTIME,
                           "Size does not match at dimension %d expected index %s to be no larger than self "
                           "%s apart from "
                           "dimension %lld",
                           d, fmt_sizes(index->ndim, index->sizes), fmt_sizes(x->ndim, x->sizes),
                           (long long)dim);
    if (gather_check(c, "gather", dim)) return -1;
    spec_like(&c->spec[0], index);
    c->spec[0].dtype = x->dtype;
    return 0;
}
size_t gather_scratch(const ad_call *c) {
    return gather_room(PUT_READ, dim_wrap(c->at->i[0], c->in[0]->ndim), c->in[0], c->in[1]);
}
void gather_run(const ad_call *c) {
    gather_walk(&(gather_job){.kind = PUT_READ,
                              .dim = dim_wrap(c->at->i[0], c->in[0]->ndim),
                              .x = c->in[0],
                              .index = c->in[1],
                              .v = c->out[0],
                              .scratch = c->scratch,
                              .strayed = c->strayed});
}
void gather_vjp(ad_vjp *v) {
    const ad_meta *m = vjp_meta(v, 0);
    ad_tensor *in[2] = {v->g[0], vjp_in(v, 1)};
    ad_attr at = {.i = {v->at->i[0]}, .list = m->sizes, .nlist = m->ndim};
    if (in[1]) v->gin[0] = em_op(&v->E, OP_gather_grad, 2, in, &at);
}

/* gather_grad(g, index): zeros of the sizes in the list plus g at the indices */
int gather_grad_infer(ad_call *c) {
    ad_spec *s = &c->spec[0];
    const ad_tensor *g = c->in[0], *index = c->in[1];
    int64_t numel, n = c->at->nlist;
    if (n > AD_MAXDIM) return ad_fail(AD_ERR_RUNTIME, "gather_grad: too many dimensions");
    int d = dim_wrap(c->at->i[0], (int)n);
    if (d < 0 || dims_numel((int)n, c->at->list, &numel)) return -1;
    bool fits = tensor_same_sizes(g, index);
    if (index->numel) {
        fits &=
            (index->dtype == AD_I64 || index->dtype == AD_I32) && numel && gather_rank(index) == (n ? n : 1);
        for (int k = 0; k < index->ndim && k < n && fits; k++)
            fits = k == d || index->sizes[k] <= c->at->list[k];
    }
    if (!fits)
        return ad_fail(AD_ERR_RUNTIME, "gather_grad: an index of size %s for a gradient of size %s",
                       fmt_sizes(index->ndim, index->sizes), fmt_sizes(g->ndim, g->sizes));
    s->dtype = g->dtype;
    s->ndim = (uint8_t)n;
    dims_copy(s->sizes, c->at->list, s->ndim);
    return 0;
}
static ad_tensor grad_like(const ad_call *c) { /* sizes alone */
    return (ad_tensor){.ndim = (uint8_t)c->at->nlist, .sizes = (int64_t *)c->at->list};
}
size_t gather_grad_scratch(const ad_call *c) {
    ad_tensor x = grad_like(c);
    return gather_room(PUT_ADD, dim_wrap(c->at->i[0], x.ndim), &x, c->in[1]);
}
void gather_grad_run(const ad_call *c) {
    ad_tensor *out = c->out[0];
    memset(tensor_data(out), 0, (size_t)out->numel * dtype_size[out->dtype]);
    gather_walk(&(gather_job){.kind = PUT_ADD,
                              .dim = dim_wrap(c->at->i[0], out->ndim),
                              .x = out,
                              .index = c->in[1],
                              .v = c->in[0],
                              .scratch = c->scratch});
}
void gather_grad_vjp(ad_vjp *v) {
    ad_tensor *in[2] = {v->g[0], vjp_in(v, 1)};
    ad_attr at = {.i = {v->at->i[0]}};
    if (in[1]) v->gin[0] = em_op(&v->E, OP_gather, 2, in, &at);
}
