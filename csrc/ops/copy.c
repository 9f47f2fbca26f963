/* Copies between two geometries of one element size, without conversion.
 *
 * Dimensions are taken in the order of the destination's strides and merged where both sides allow it. What
 * is left is rows: whole ones move with memmove. Where the source has its unit stride in another dimension (a
 * transpose), the two dimensions go in square tiles, so that neither side touches a cache line more than once
 * while it is near. Backwards rows (flip) move four elements of four bytes at once. */
#include <string.h>
#include "../pool.h"
#include "declare.h"

#define GRAIN 32768 /* elements a task, about */
#define TILE 32     /* elements along each side */

typedef struct plan {
    int ndim, across; /* across: the dimension in which the source is contiguous, or -1 */
    int64_t size;     /* of an element, in bytes */
    int64_t n[AD_MAXDIM], to[AD_MAXDIM], from[AD_MAXDIM]; /* steps in bytes */
    char *dst;
    const char *src;
} plan;

#define ROW(T)                                                                                               \
    static void row_##T(int64_t n, char *dst, int64_t to, const char *src, int64_t from) {                   \
        if (to == (int64_t)sizeof(T) && !from) {                                                             \
            T v = *(const T *)src, *d = (T *)dst;                                                            \
            for (int64_t k = 0; k < n; k++) d[k] = v;                                                        \
            return;                                                                                          \
        }                                                                                                    \
        for (int64_t k = 0; k < n; k++) *(T *)(dst + k * to) = *(const T *)(src + k * from);                 \
    }
ROW(uint8_t)
ROW(uint16_t)
ROW(uint32_t)
ROW(uint64_t)

static void backwards(int64_t n, uint32_t *dst, const uint32_t *src) { /* src: the last element */
    typedef uint32_t four __attribute__((vector_size(16)));
    int64_t k = 0;
    for (; k + 4 <= n; k += 4) {
        four v;
        memcpy(&v, src - k - 3, sizeof v);
#ifdef __clang__
        v = __builtin_shufflevector(v, v, 3, 2, 1, 0);
#else
        v = __builtin_shuffle(v, (four){3, 2, 1, 0});
#endif
        memcpy(dst + k, &v, sizeof v);
    }
    for (; k < n; k++) dst[k] = src[-k];
}

static void row(int64_t size, int64_t n, char *dst, int64_t to, const char *src, int64_t from) {
    if (to == size && from == size) memmove(dst, src, (size_t)(n * size));
    else if (size == 4 && to == 4 && from == -4) backwards(n, (uint32_t *)dst, (const uint32_t *)src);
    else if (size == 4) row_uint32_t(n, dst, to, src, from);
    else if (size == 8) row_uint64_t(n, dst, to, src, from);
    else if (size == 1) row_uint8_t(n, dst, to, src, from);
    else row_uint16_t(n, dst, to, src, from);
}

/* Elements [begin, end) in the order of the dimensions. */
static void copy_rows(int64_t begin, int64_t end, void *ctx) {
    const plan *p = ctx;
    int last = p->ndim - 1;
    int64_t index[AD_MAXDIM], rest = begin;
    char *dst = p->dst;
    const char *src = p->src;
    for (int d = last; d >= 0; d--) {
        index[d] = rest % p->n[d];
        rest /= p->n[d];
        dst += index[d] * p->to[d];
        src += index[d] * p->from[d];
    }
    for (int64_t at = begin; at < end;) {
        int64_t n = p->n[last] - index[last];
        if (n > end - at) n = end - at;
        row(p->size, n, dst, p->to[last], src, p->from[last]);
        at += n;
        dst -= index[last] * p->to[last];
        src -= index[last] * p->from[last];
        index[last] = 0;
        for (int d = last - 1; d >= 0; d--) {
            dst += p->to[d];
            src += p->from[d];
            if (++index[d] < p->n[d]) break;
            dst -= p->n[d] * p->to[d];
            src -= p->n[d] * p->from[d];
            index[d] = 0;
        }
    }
}

#define SQUARE(T)                                                                                            \
    for (int64_t i = 0; i < rows; i++)                                                                       \
        for (int64_t k = 0; k < cols; k++)                                                                   \
            *(T *)(dst + i * p->to[a] + k * to) = *(const T *)(src + i * p->from[a] + k * from);

/* The part of a tile row: `rows` of dimension `across` from `first` on, and all of the last dimension. */
static void transpose(const plan *p, int64_t rows, char *dst, const char *src) {
    int a = p->across, last = p->ndim - 1;
    int64_t to = p->to[last], from = p->from[last], n = p->n[last];
    if (n <= 4) { /* pixels of few channels: the long dimension inside */
        for (int64_t k = 0; k < n; k++)
            row(p->size, rows, dst + k * to, p->to[a], src + k * from, p->from[a]);
        return;
    }
    for (; n > 0; n -= TILE, dst += TILE * to, src += TILE * from) {
        int64_t cols = n < TILE ? n : TILE;
        if (p->size == 4) SQUARE(uint32_t)
        else if (p->size == 8) SQUARE(uint64_t)
        else if (p->size == 1) SQUARE(uint8_t)
        else SQUARE(uint16_t)
    }
}

/* Tile rows [begin, end): TILE positions of `across`, in every position of the other dimensions. */
static void copy_tiles(int64_t begin, int64_t end, void *ctx) {
    const plan *p = ctx;
    int a = p->across, last = p->ndim - 1;
    int64_t tiles = (p->n[a] + TILE - 1) / TILE;
    for (int64_t at = begin; at < end; at++) {
        int64_t rest = at / tiles, first = at % tiles * TILE;
        char *dst = p->dst + first * p->to[a];
        const char *src = p->src + first * p->from[a];
        for (int d = last - 1; d >= 0; d--) {
            if (d == a) continue;
            dst += rest % p->n[d] * p->to[d];
            src += rest % p->n[d] * p->from[d];
            rest /= p->n[d];
        }
        transpose(p, p->n[a] - first < TILE ? p->n[a] - first : TILE, dst, src);
    }
}

void tensor_move(ad_tensor *dst, const ad_tensor *src) {
    plan p = {.size = dtype_size[dst->dtype], .dst = tensor_data(dst), .src = tensor_data(src), .across = -1};
    int nd = dst->ndim, order[AD_MAXDIM], n = 0;
    int64_t from[AD_MAXDIM];
    if (!dst->numel) return;
    for (int d = 0; d < nd; d++) {
        int s = d - nd + src->ndim; /* the source may be stretched */
        from[d] = s < 0 || src->sizes[s] == 1 ? 0 : src->strides[s];
        if (dst->sizes[d] == 1) continue;
        int k = n++;
        for (; k > 0 && dst->strides[order[k - 1]] < dst->strides[d]; k--) order[k] = order[k - 1];
        order[k] = d;
    }
    for (int k = 0; k < n; k++) {
        int d = order[k], m = p.ndim - 1;
        int64_t to_step = dst->strides[d] * p.size, from_step = from[d] * p.size;
        if (m >= 0 && p.to[m] == to_step * dst->sizes[d] && p.from[m] == from_step * dst->sizes[d]) {
            p.n[m] *= dst->sizes[d];
            p.to[m] = to_step;
            p.from[m] = from_step;
            continue;
        }
        p.n[p.ndim] = dst->sizes[d];
        p.to[p.ndim] = to_step;
        p.from[p.ndim++] = from_step;
    }
    if (!p.ndim) {
        p.n[0] = 1;
        p.to[0] = p.from[0] = p.size;
        p.ndim = 1;
    }
    int last = p.ndim - 1;
    if (p.from[last] != p.size && p.from[last] != -p.size)
        for (int d = 0; d < last; d++)
            if (p.from[d] == p.size) p.across = d;
    if (p.across < 0) {
        pool_parallel_for(dst->numel, GRAIN, copy_rows, &p);
        return;
    }
    int64_t tiles = (p.n[p.across] + TILE - 1) / TILE, grain = GRAIN / (TILE * p.n[last]);
    pool_parallel_for(dst->numel / p.n[p.across] / p.n[last] * tiles, grain < 1 ? 1 : grain, copy_tiles, &p);
}
