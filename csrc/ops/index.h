/* What the indexing rows share: reading index tensors, and moving blocks between a tensor at indexed
 * positions and a plain one. */
#ifndef AD_OPS_INDEX_H
#define AD_OPS_INDEX_H

#include "../core.h"
#include "declare.h"

/* An index that was accepted by infer is in range; a replayed program may meet others. They are brought
 * into range, so that memory stays safe whatever they are. Negative ones count from the end. */
static inline int64_t index_safe(int64_t i, int64_t size) {
    if (i < 0) i += size;
    return i < 0 ? 0 : i >= size ? size - 1 : i;
}

/* Finds an index outside [lo, hi); false when there is none. */
bool index_bad(const ad_tensor *idx, int64_t lo, int64_t hi, int64_t *bad);
/* Reads n elements of an index tensor, all of it in logical order or a strided row of it. */
static inline void index_row(const ad_tensor *idx, int64_t at, int64_t stride, int64_t n, int64_t *out) {
    int64_t size = dtype_size[idx->dtype];
    dtype_loads[idx->dtype][CT_I64](n, out, (const char *)tensor_data(idx) + at * size, stride * size);
}
/* All elements of an index tensor in logical order. */
void index_load(const ad_tensor *idx, int64_t *out);
/* The same, brought into [0, size). It is the copy that is looked at: another thread may write the tensor. */
void index_load_safe(const ad_tensor *idx, int64_t size, int64_t *out);

/* A result of the sizes (before..., positions..., after...) beside a tensor x whose `dims` are replaced by
 * the positions. Where `dims` are not neighbours the positions come first. */
typedef struct index_plan {
    int ndim, np, nb;                /* of the result, of the positions, of those before */
    int64_t sizes[2 * AD_MAXDIM];    /* of the result */
    int64_t xstrides[2 * AD_MAXDIM]; /* of x over the result; 0 at the positions */
    int64_t npos;
    int64_t slots, step; /* of one indexed dimension: its size, and its stride in x */
    int32_t *room;       /* for groups of positions: see index_group(); or NULL */
} index_plan;

/* -1 with the error when the index tensors do not broadcast. */
int index_plan_set(index_plan *p, const ad_tensor *x, int nidx, ad_tensor *const *idx, const int64_t *dims);
/* Offsets in x, in elements, of the positions. */
void index_offsets(const index_plan *p, const ad_tensor *x, int nidx, ad_tensor *const *idx,
                   const int64_t *dims, int64_t *off);

size_t index_offsets_bytes(int nidx, ad_tensor *const *idx); /* room for `off` and what index_move adds */

/* The same for index_move(MOVE_ADD) with its groups, which index_group_room() hands on. */
size_t index_add_bytes(const ad_tensor *x, int nidx, ad_tensor *const *idx, const int64_t *dims);
void index_group_room(index_plan *p, const ad_tensor *x, int nidx, ad_tensor *const *idx, const int64_t *dims,
                      void *scratch);
/* Positions by their slots: those of slot s are order[start[s]] to order[start[s + 1]], ascending. slot[k] is
 * in [0, slots), or -1 for none. start has slots + 2 places. */
void index_group(int64_t n, const int64_t *slot, int64_t slots, int32_t *start, int32_t *order);
static inline size_t index_group_bytes(int64_t n, int64_t slots) {
    return n < INT32_MAX && slots < INT32_MAX ? (size_t)(slots + 2 + n + 2) * sizeof(int32_t) : 0;
}

enum { MOVE_READ, MOVE_WRITE, MOVE_ADD };
/* Moves between x at the positions and v, whose strides over the result are given. Positions that repeat
 * are taken in order. */
void index_move(const index_plan *p, int kind, const int64_t *off, ad_tensor *x, ad_tensor *v,
                const int64_t *vstrides);
/* Strides of t stretched to the sizes. */
void stretched_strides(const ad_tensor *t, int ndim, const int64_t *sizes, int64_t *strides);
/* out[k] = x[at[k]], n elements of `size` bytes. */
void index_pick(int size, int64_t n, void *out, const void *x, const int64_t *at);
/* dst[k] += src[k], n elements of a dtype, strides in elements. */
void row_add(int dtype, int64_t n, char *dst, int64_t ds, const char *src, int64_t ss);

#endif
