/* Reading index tensors, and moving blocks between a tensor at indexed positions and a plain one. */
#include <string.h>
#include "../pool.h"
#include "index.h"

/* ---- reading index tensors ---- */

#define SCAN(T)                                                                                              \
    static bool scan_##T(const T *p, int64_t n, int64_t stride, int64_t lo, int64_t hi, int64_t *bad) {      \
        bool any = false;                                                                                    \
        for (int64_t k = 0; k < n; k++) any |= (p[k * stride] < lo) | (p[k * stride] >= hi);                 \
        if (!any) return false;                                                                              \
        for (int64_t k = 0; k < n; k++)                                                                      \
            if (p[k * stride] < lo || p[k * stride] >= hi) {                                                 \
                *bad = p[k * stride];                                                                        \
                return true;                                                                                 \
            }                                                                                                \
        return false;                                                                                        \
    }
SCAN(int64_t)
SCAN(int32_t)

/* Calls for each row of t along its last dimension; `at` in elements from tensor_data. */
typedef struct rows {
    int64_t index[AD_MAXDIM], at, n, stride, left;
} rows;
static void rows_start(rows *r, const ad_tensor *t) {
    bool flat = tensor_is_contiguous(t);
    memset(r->index, 0, (size_t)t->ndim * sizeof *r->index);
    r->at = 0;
    r->n = flat ? t->numel : t->sizes[t->ndim - 1];
    r->stride = flat ? 1 : t->strides[t->ndim - 1];
    r->left = r->n ? t->numel / r->n : 0;
}
static bool rows_next(rows *r, const ad_tensor *t) {
    if (--r->left <= 0) return false;
    for (int d = t->ndim - 2; d >= 0; d--) {
        r->at += t->strides[d];
        if (++r->index[d] < t->sizes[d]) break;
        r->at -= t->sizes[d] * t->strides[d];
        r->index[d] = 0;
    }
    return true;
}

typedef struct check {
    const int64_t *index;
    int64_t lo;
    uint64_t size;
    _Atomic int outside;
} check;

static void check_range(int64_t begin, int64_t end, void *ctx) {
    check *k = ctx;
    if (!kern->index_in(end - begin, k->index + begin, k->lo, k->size)) atomic_store(&k->outside, 1);
}

bool index_bad(const ad_tensor *t, int64_t lo, int64_t hi, int64_t *bad) {
    if (!t->numel) return false;
    rows r;
    ad_tensor once = *t, *idx = &once; /* what was expanded is looked at once */
    int64_t sizes[AD_MAXDIM];
    for (int d = 0; d < t->ndim; d++) {
        sizes[d] = t->strides[d] ? t->sizes[d] : 1;
        once.numel = once.numel / t->sizes[d] * sizes[d];
    }
    once.sizes = sizes;
    if (idx->dtype == AD_I64 && lo < hi && tensor_is_contiguous(idx)) {
        check k = {tensor_data(idx), lo, (uint64_t)hi - (uint64_t)lo, 0};
        pool_parallel_for(idx->numel, 1 << 16, check_range, &k);
        if (!atomic_load(&k.outside)) return false;
    }
    rows_start(&r, idx);
    do {
        const char *p = (const char *)tensor_data(idx) + r.at * dtype_size[idx->dtype];
        if (idx->dtype == AD_I64 && r.stride == 1 && lo < hi &&
            kern->index_in(r.n, (const int64_t *)p, lo, (uint64_t)hi - (uint64_t)lo))
            continue;
        if (idx->dtype == AD_I64 ? scan_int64_t((const int64_t *)p, r.n, r.stride, lo, hi, bad)
                                 : scan_int32_t((const int32_t *)p, r.n, r.stride, lo, hi, bad))
            return true;
    } while (rows_next(&r, idx));
    return false;
}

void index_load(const ad_tensor *idx, int64_t *out) {
    if (!idx->numel) return;
    rows r;
    rows_start(&r, idx);
    do {
        index_row(idx, r.at, r.stride, r.n, out);
        out += r.n;
    } while (rows_next(&r, idx));
}

void index_load_safe(const ad_tensor *idx, int64_t size, int64_t *out) {
    int64_t n = idx->numel;
    if (idx->dtype == AD_I64 && n && tensor_is_contiguous(idx))
        memcpy(out, tensor_data(idx), (size_t)n * sizeof *out);
    else index_load(idx, out);
    if (size > 0 && kern->index_in(n, out, 0, (uint64_t)size)) return;
    for (int64_t k = 0; k < n; k++) out[k] = index_safe(out[k], size);
}

/* ---- the plan ---- */

static const char *join_shapes(int n, ad_tensor *const *t, char *room, size_t size) {
    size_t at = 0;
    room[0] = 0;
    for (int i = 0; i < n && at + 2 < size; i++) {
        const char *s = fmt_sizes(t[i]->ndim, t[i]->sizes);
        size_t len = strlen(s);
        if (at + len + 3 > size) break;
        if (i) {
            memcpy(room + at, ", ", 2);
            at += 2;
        }
        memcpy(room + at, s, len + 1);
        at += len;
    }
    return room;
}

int index_plan_set(index_plan *p, const ad_tensor *x, int nidx, ad_tensor *const *idx, const int64_t *dims) {
    int64_t psizes[AD_MAXDIM];
    p->np = 0;
    for (int i = 0; i < nidx; i++)
        if (idx[i]->ndim > p->np) p->np = idx[i]->ndim;
    for (int d = 0; d < p->np; d++) psizes[d] = 1;
    for (int i = 0; i < nidx; i++) {
        int lead = p->np - idx[i]->ndim;
        for (int d = 0; d < idx[i]->ndim; d++) {
            int64_t s = idx[i]->sizes[d], *have = &psizes[d + lead];
            if (s == 1 || s == *have) continue;
            if (*have != 1) {
                char room[512];
                return ad_fail(
                    AD_ERR_INDEX,
                    "shape mismatch: indexing tensors could not be broadcast together with shapes %s",
                    join_shapes(nidx, idx, room, sizeof room));
            }
            *have = s;
        }
    }
    bool taken[AD_MAXDIM] = {false}, neighbours = true;
    for (int i = 0; i < nidx; i++) {
        taken[dims[i]] = true;
        if (i && dims[i] != dims[i - 1] + 1) neighbours = false;
    }
    p->nb = neighbours && nidx ? (int)dims[0] : 0;
    if (x->ndim - nidx + p->np > AD_MAXDIM)
        return ad_fail(AD_ERR_RUNTIME, "too many dimensions: %d, the most is %d", x->ndim - nidx + p->np,
                       AD_MAXDIM);
    int n = 0;
    if (dims_numel(p->np, psizes, &p->npos)) return -1;
    for (int d = 0; d < p->nb; d++, n++) {
        p->sizes[n] = x->sizes[d];
        p->xstrides[n] = x->strides[d];
    }
    for (int d = 0; d < p->np; d++, n++) {
        p->sizes[n] = psizes[d];
        p->xstrides[n] = 0;
    }
    for (int d = p->nb; d < x->ndim; d++) {
        if (taken[d]) continue;
        p->sizes[n] = x->sizes[d];
        p->xstrides[n++] = x->strides[d];
    }
    p->ndim = n;
    p->slots = p->step = 0;
    p->room = NULL;
    return 0;
}

void stretched_strides(const ad_tensor *t, int ndim, const int64_t *sizes, int64_t *strides) {
    int lead = ndim - t->ndim;
    for (int d = 0; d < ndim; d++)
        strides[d] = d < lead || (t->sizes[d - lead] == 1 && sizes[d] != 1) ? 0 : t->strides[d - lead];
}

void index_offsets(const index_plan *p, const ad_tensor *x, int nidx, ad_tensor *const *idx,
                   const int64_t *dims, int64_t *off) {
    for (int i = 0; i < nidx; i++) {
        const ad_tensor *t = idx[i];
        int64_t size = x->sizes[dims[i]], stride = x->strides[dims[i]], strides[AD_MAXDIM],
                index[AD_MAXDIM] = {0};
        if (t->numel == p->npos) {
            int64_t tile[256];
            rows r;
            int64_t *o = off;
            if (!t->numel) continue;
            rows_start(&r, t);
            do {
                for (int64_t k = 0; k < r.n; k += 256) {
                    int64_t n = r.n - k < 256 ? r.n - k : 256;
                    index_row(t, r.at + k * r.stride, r.stride, n, tile);
                    if (i)
                        for (int64_t j = 0; j < n; j++) *o++ += index_safe(tile[j], size) * stride;
                    else
                        for (int64_t j = 0; j < n; j++) *o++ = index_safe(tile[j], size) * stride;
                }
            } while (rows_next(&r, t));
            continue;
        }
        stretched_strides(t, p->np, p->sizes + p->nb, strides);
        for (int64_t k = 0, at = 0; k < p->npos; k++) {
            int64_t v;
            index_row(t, at, 1, 1, &v);
            off[k] = (i ? off[k] : 0) + index_safe(v, size) * stride;
            for (int d = p->np - 1; d >= 0; d--) {
                at += strides[d];
                if (++index[d] < p->sizes[p->nb + d]) break;
                at -= p->sizes[p->nb + d] * strides[d];
                index[d] = 0;
            }
        }
    }
}

size_t index_offsets_bytes(int nidx, ad_tensor *const *idx) { /* room for two lists: see index_move */
    int64_t n = 1, np = 0;
    for (int i = 0; i < nidx; i++)
        if (idx[i]->ndim > np) np = idx[i]->ndim;
    for (int64_t d = 1; d <= np; d++) {
        int64_t size = 1;
        for (int i = 0; i < nidx; i++)
            if (idx[i]->ndim >= d && idx[i]->sizes[idx[i]->ndim - d] != 1)
                size = idx[i]->sizes[idx[i]->ndim - d];
        n *= size;
    }
    return 2 * (size_t)(n + 1) * sizeof(int64_t);
}

/* ---- moving ---- */

typedef struct move {
    int kind, dtype;
    int64_t size;
    char *x, *v;
    const int64_t *off, *voff; /* voff: NULL when positions of v are vpos apart */
    int64_t npos, vpos;
    int nouter; /* dimensions that are neither positions nor the inner one */
    int64_t osizes[AD_MAXDIM], ox[AD_MAXDIM], ov[AD_MAXDIM];
    int64_t outer;     /* their product */
    int64_t n, xs, vs; /* the inner dimension */
    int64_t chunk, nchunks;
    int64_t span; /* bytes that the positions reach, where they are close together */
} move;

#define PICK(T)                                                                                              \
    {                                                                                                        \
        const T *from = x;                                                                                   \
        T *to = out;                                                                                         \
        int64_t k = 0;                                                                                       \
        for (; k + 4 <= n; k += 4) {                                                                         \
            T a = from[at[k]], b = from[at[k + 1]], c = from[at[k + 2]], d = from[at[k + 3]];                \
            to[k] = a, to[k + 1] = b, to[k + 2] = c, to[k + 3] = d;                                          \
        }                                                                                                    \
        for (; k < n; k++) to[k] = from[at[k]];                                                              \
        break;                                                                                               \
    }
void index_pick(int size, int64_t n, void *out, const void *x, const int64_t *at) {
    switch (size) {
    case 1:
        PICK(uint8_t)
    case 2:
        PICK(uint16_t)
    case 4:
        PICK(uint32_t)
    default:
        PICK(uint64_t)
    }
}

#define MOVERS(T, W)                                                                                         \
    static void move_##T(const move *m, int64_t xat, int64_t vat, int64_t p0, int64_t p1, int64_t n) {       \
        const int64_t *off = m->off, vpos = m->vpos;                                                         \
        T *x = (T *)m->x + xat, *v = (T *)m->v + vat;                                                        \
        if (n == 1 && !m->voff) {                                                                            \
            if (m->kind == MOVE_READ && vpos == 1) index_pick(W, p1 - p0, v + p0, x, off + p0);              \
            else if (m->kind == MOVE_READ)                                                                   \
                for (int64_t p = p0; p < p1; p++) v[p * vpos] = x[off[p]];                                   \
            else                                                                                             \
                for (int64_t p = p0; p < p1; p++) x[off[p]] = v[p * vpos];                                   \
            return;                                                                                          \
        }                                                                                                    \
        for (int64_t p = p0; p < p1; p++) {                                                                  \
            T *xp = x + off[p], *vp = v + (m->voff ? m->voff[p] : p * vpos);                                 \
            T *to = m->kind == MOVE_READ ? vp : xp, *from = m->kind == MOVE_READ ? xp : vp;                  \
            int64_t ts = m->kind == MOVE_READ ? m->vs : m->xs, fs = m->kind == MOVE_READ ? m->xs : m->vs;    \
            if (ts == 1 && fs == 1) memcpy(to, from, W *(size_t)n);                                          \
            else if (ts == 1 && fs == 0) {                                                                   \
                const T one = *from;                                                                         \
                for (int64_t k = 0; k < n; k++) to[k] = one;                                                 \
            } else                                                                                           \
                for (int64_t k = 0; k < n; k++) to[k * ts] = from[k * fs];                                   \
        }                                                                                                    \
    }
MOVERS(uint8_t, 1)
MOVERS(uint16_t, 2)
MOVERS(uint32_t, 4)
MOVERS(uint64_t, 8)

#define ADD_LOOP(T)                                                                                          \
    {                                                                                                        \
        T *d = (T *)dst;                                                                                     \
        const T *s = (const T *)src;                                                                         \
        for (int64_t k = 0; k < n; k++) d[k * ds] = (T)(d[k * ds] + s[k * ss]);                              \
        return;                                                                                              \
    }

void row_add(int dtype, int64_t n, char *dst, int64_t ds, const char *src, int64_t ss) {
    if (n >= 16 && ds == 1 && ss == 1 && (dtype == AD_F32 || dtype == AD_F64 || dtype == AD_I64)) {
        kern->ew[EW_add][dtype_compute(dtype)](n, dst, (const void *[]){dst, src}, 0);
        return;
    }
    switch (dtype) {
    case AD_F32:
        ADD_LOOP(float)
    case AD_F64:
        ADD_LOOP(double)
    case AD_I64:
        ADD_LOOP(uint64_t) /* unsigned: overflow wraps */
    case AD_I32:
        ADD_LOOP(uint32_t)
    case AD_I16:
        ADD_LOOP(int16_t)
    case AD_I8:
        ADD_LOOP(int8_t)
    case AD_U8:
        ADD_LOOP(uint8_t)
    case AD_BOOL:
        for (int64_t k = 0; k < n; k++) dst[k * ds] = (char)((dst[k * ds] | src[k * ss]) != 0);
        return;
    }
    float a[64], b[64];
    for (int64_t k = 0; k < n; k += 64) {
        int64_t m = n - k < 64 ? n - k : 64;
        dtype_loads[dtype][CT_F32](m, a, dst + 2 * k * ds, 2 * ds);
        dtype_loads[dtype][CT_F32](m, b, src + 2 * k * ss, 2 * ss);
        for (int64_t j = 0; j < m; j++) a[j] += b[j];
        dtype_stores[dtype][CT_F32](m, dst + 2 * k * ds, 2 * ds, a);
    }
}

/* Single elements of the types that are added as they are; false for others. */
#define ADD_EACH(T)                                                                                          \
    {                                                                                                        \
        T *x = (T *)m->x + xat;                                                                              \
        const T *v = (const T *)m->v + vat;                                                                  \
        for (int64_t p = p0; p < p1; p++) x[off[p]] += v[p * vpos];                                          \
        return true;                                                                                         \
    }
static bool add_each(const move *m, int64_t xat, int64_t vat, int64_t p0, int64_t p1) {
    const int64_t *off = m->off, vpos = m->vpos;
    if (m->dtype == AD_F32) ADD_EACH(float)
    if (m->dtype == AD_F64) ADD_EACH(double)
    if (m->dtype == AD_I64) ADD_EACH(uint64_t)
    return false;
}

static void move_positions(const move *m, int64_t xat, int64_t vat, int64_t p0, int64_t p1, int64_t n) {
    if (m->kind == MOVE_ADD) {
        if (n == 1 && !m->voff && add_each(m, xat, vat, p0, p1)) return;
        for (int64_t p = p0; p < p1; p++) {
            int64_t vo = m->voff ? m->voff[p] : p * m->vpos;
            row_add(m->dtype, n, m->x + (xat + m->off[p]) * m->size, m->xs, m->v + (vat + vo) * m->size,
                    m->vs);
        }
        return;
    }
    switch (m->size) {
    case 1:
        move_uint8_t(m, xat, vat, p0, p1, n);
        break;
    case 2:
        move_uint16_t(m, xat, vat, p0, p1, n);
        break;
    case 4:
        move_uint32_t(m, xat, vat, p0, p1, n);
        break;
    default:
        move_uint64_t(m, xat, vat, p0, p1, n);
    }
}

static void outer_at(const move *m, int64_t outer, int64_t *xat, int64_t *vat) {
    *xat = *vat = 0;
    for (int d = m->nouter - 1; d >= 0; d--) {
        int64_t i = outer % m->osizes[d];
        outer /= m->osizes[d];
        *xat += i * m->ox[d];
        *vat += i * m->ov[d];
    }
}

/* Reads: any part of (outer, positions). */
static void move_read_range(int64_t begin, int64_t end, void *ctx) {
    const move *m = ctx;
    while (begin < end) {
        int64_t outer = begin / m->npos, p0 = begin % m->npos, p1 = p0 + end - begin, xat, vat;
        if (p1 > m->npos) p1 = m->npos;
        outer_at(m, outer, &xat, &vat);
        if (m->span && m->nouter == 1 && outer + 1 < m->outer) /* what comes next */
            for (int64_t k = 0; k < m->span; k += 64)
                __builtin_prefetch(m->x + (xat + m->ox[0]) * m->size + k);
        move_positions(m, xat, vat, p0, p1, m->n);
        begin += p1 - p0;
    }
}

/* Writes: parts that no two positions share, each with all positions in order. */
static void move_write_range(int64_t begin, int64_t end, void *ctx) {
    const move *m = ctx;
    for (int64_t u = begin; u < end; u++) {
        int64_t at = u % m->nchunks * m->chunk, n = m->n - at < m->chunk ? m->n - at : m->chunk, xat, vat;
        outer_at(m, u / m->nchunks, &xat, &vat);
        move_positions(m, xat + at * m->xs, vat + at * m->vs, 0, m->npos, n);
    }
}

#define WORK (1 << 15) /* elements worth another thread */

/* ---- adding by slots: a slot's rows are added by one thread, in the order of the positions. Whole rows stay
 * together, where shares of the inner dimension would be pieces of cache lines ---- */

void index_group(int64_t n, const int64_t *slot, int64_t slots, int32_t *start, int32_t *order) {
    memset(start, 0, (size_t)(slots + 2) * sizeof *start);
    start += 2; /* start[s] counts slot s, then tells where it begins, then where it ends */
    for (int64_t k = 0; k < n; k++)
        if (slot[k] >= 0) start[slot[k]]++;
    for (int64_t s = 1; s < slots; s++) start[s] += start[s - 1];
    start--;
    for (int64_t k = 0; k < n; k++)
        if (slot[k] >= 0) order[start[slot[k]]++] = (int32_t)k;
}

static int64_t count_positions(int nidx, ad_tensor *const *idx) {
    return (int64_t)(index_offsets_bytes(nidx, idx) / (2 * sizeof(int64_t))) - 1;
}
size_t index_add_bytes(const ad_tensor *x, int nidx, ad_tensor *const *idx, const int64_t *dims) {
    size_t most = index_offsets_bytes(nidx, idx);
    if (nidx == 1 && x->ndim) most += index_group_bytes(count_positions(1, idx), x->sizes[dims[0]]);
    return most;
}
void index_group_room(index_plan *p, const ad_tensor *x, int nidx, ad_tensor *const *idx, const int64_t *dims,
                      void *scratch) {
    if (nidx != 1 || !x->ndim || !index_group_bytes(p->npos, x->sizes[dims[0]])) return;
    p->slots = x->sizes[dims[0]];
    p->step = x->strides[dims[0]];
    p->room = (int32_t *)((char *)scratch + index_offsets_bytes(1, idx));
}

typedef struct group_add {
    const move *m;
    const int32_t *start, *order;
    int64_t step;
} group_add;

static void group_range(int64_t begin, int64_t end, void *ctx) {
    const group_add *g = ctx;
    const move *m = g->m;
    for (int64_t outer = 0; outer < m->outer; outer++) {
        int64_t xat, vat;
        outer_at(m, outer, &xat, &vat);
        for (int64_t s = begin; s < end; s++)
            for (int32_t k = g->start[s]; k < g->start[s + 1]; k++) {
                int64_t p = g->order[k], vo = m->voff ? m->voff[p] : p * m->vpos;
                row_add(m->dtype, m->n, m->x + (xat + s * g->step) * m->size, m->xs,
                        m->v + (vat + vo) * m->size, m->vs);
            }
    }
}

static void add_groups(const move *m, const index_plan *p) {
    group_add g = {.m = m, .start = p->room, .order = p->room + p->slots + 2, .step = p->step};
    int64_t *slot = (int64_t *)m->off; /* no longer needed as offsets */
    for (int64_t k = 0; k < m->npos; k++) slot[k] /= p->step;
    index_group(m->npos, slot, p->slots, p->room, p->room + p->slots + 2);
    int64_t each = m->npos * m->n * m->outer / p->slots + 1, grain = WORK / 2 / each, least = p->slots / 64;
    pool_parallel_for(p->slots, grain > least ? grain : least ? least : 1, group_range, &g);
}

void index_move(const index_plan *p, int kind, const int64_t *off, ad_tensor *x, ad_tensor *v,
                const int64_t *vstrides) {
    move m = {.kind = kind,
              .dtype = x->dtype,
              .size = dtype_size[x->dtype],
              .x = tensor_data(x),
              .v = tensor_data(v),
              .off = off,
              .npos = p->npos,
              .outer = 1,
              .n = 1,
              .xs = 1,
              .vs = 1};
    /* dimensions other than the positions, neighbours merged; the last is the inner one */
    int n = 0;
    bool behind = false; /* the last of them stands behind the positions */
    for (int d = 0; d < p->ndim; d++) {
        if ((d >= p->nb && d < p->nb + p->np) || p->sizes[d] == 1) continue;
        if (p->sizes[d] == 0) return;
        behind = d >= p->nb;
        if (n && d != p->nb + p->np && m.ox[n - 1] == p->xstrides[d] * p->sizes[d] &&
            m.ov[n - 1] == vstrides[d] * p->sizes[d]) {
            m.osizes[n - 1] *= p->sizes[d];
        } else m.osizes[n++] = p->sizes[d];
        m.ox[n - 1] = p->xstrides[d];
        m.ov[n - 1] = vstrides[d];
    }
    if (!p->npos) return;
    if (n && (behind || p->npos < 8)) { /* else positions follow each other in memory, in rows of their own */
        n--;
        m.n = m.osizes[n];
        m.xs = m.ox[n];
        m.vs = m.ov[n];
    }
    m.nouter = n;
    for (int d = 0; d < n; d++) m.outer *= m.osizes[d];
    /* positions of v: evenly apart, or listed after the offsets */
    int64_t step = 0, have = 1;
    bool even = true;
    for (int d = p->nb + p->np - 1; d >= p->nb && even; d--) {
        if (p->sizes[d] == 1) continue;
        if (have == 1) step = vstrides[d];
        else even = vstrides[d] == step * have;
        have *= p->sizes[d];
    }
    m.vpos = step;
    if (!even) {
        int64_t *voff = (int64_t *)off + p->npos, index[AD_MAXDIM] = {0};
        for (int64_t k = 0, at = 0; k < p->npos; k++) {
            voff[k] = at;
            for (int d = p->nb + p->np - 1; d >= p->nb; d--) {
                at += vstrides[d];
                if (++index[d] < p->sizes[d]) break;
                at -= p->sizes[d] * vstrides[d];
                index[d] = 0;
            }
        }
        m.voff = voff;
    }
    if (kind == MOVE_READ) {
        int64_t grain = WORK / m.n;
        if (m.n == 1 && p->step == 1 && p->slots <= 1 << 12 && m.npos >= p->slots / 16)
            m.span = p->slots * m.size;
        pool_parallel_for(m.outer * m.npos, grain ? grain : 1, move_read_range, &m);
        return;
    }
    if (kind == MOVE_ADD && p->room && p->step > 0 && m.n >= 8 && m.outer < 8 && m.npos >= 16 &&
        m.npos * m.n > WORK) {
        add_groups(&m, p);
        return;
    }
    m.chunk = m.n / 4 < 64 ? 64 : m.n / 4 > 2048 ? 2048 : m.n / 4;
    if (m.npos * m.n <= WORK) m.chunk = m.n;
    m.nchunks = (m.n + m.chunk - 1) / m.chunk;
    int64_t grain = WORK / (m.npos * m.chunk);
    pool_parallel_for(m.outer * m.nchunks, grain ? grain : 1, move_write_range, &m);
}
