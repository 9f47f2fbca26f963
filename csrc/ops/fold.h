/* Folding any geometry over any of its dimensions: what reductions are made of. */
#ifndef AD_OPS_FOLD_H
#define AD_OPS_FOLD_H

#include "../core.h"

typedef union fold_acc { /* blocks are joined in double precision */
    double f;
    int64_t i;
} fold_acc;

typedef struct fold_plan {
    int ct;      /* the type that elements are computed in */
    bool native; /* stored as that type */
    dtype_load load;
    const char *x;
    int64_t esize;
    int nk, nr; /* dimensions kept (but the columns) and reduced, outermost first */
    int64_t ksize[AD_MAXDIM], kstep[AD_MAXDIM],
        kout[AD_MAXDIM]; /* steps of x in bytes, of the result in elements */
    int64_t rsize[AD_MAXDIM], rstep[AD_MAXDIM];
    int64_t n, nout;                     /* elements reduced to one; results */
    int64_t cols, cstep, cout;           /* the kept dimension that is walked fastest; 0 columns: none */
    int64_t width;                       /* columns of a tile */
    int64_t tiles, chunk, chunks, items; /* items = kept * tiles * chunks, the unit of parallel work */
    int kind;
    const fold_acc *param; /* of each result, or NULL */
    double param_all;      /* of every result */
    fold_acc *out, *part;
    /* Where the elements are not in memory yet: gives n <= 1024 of them from position `at` on, in `tile` or
     * where they were put. The tensor is contiguous, and its last dimensions are reduced. */
    const void *(*block)(void *ctx, int64_t at, int64_t n, void *tile);
    void *ctx;
} fold_plan;

/* The plan for reducing the dimensions where drop[] is set. ct: the compute type. */
void fold_prepare(fold_plan *p, const ad_tensor *x, const bool *drop, int ct);
size_t fold_scratch(const fold_plan *p); /* bytes for partial results */
/* Folds with row `kind` of reduce.def into out[nout], contiguous over the kept dimensions in their order. */
void fold_run(fold_plan *p, int kind, const fold_acc *param, double param_all, fold_acc *out, void *scratch);

/* Which dimensions the attributes' list names (none: all). -1 with the error set. */
int reduce_dims(const ad_tensor *x, const ad_attr *at, bool *drop);
void reduce_sizes(ad_spec *s, int ndim, const int64_t *sizes, const bool *drop, bool keepdim);
/* Gradient rules: g of a reduced size, with the dimensions that were dropped back as 1. */
ad_tensor *reduce_restore(ad_vjp *v, ad_tensor *g);
int64_t reduce_count(const ad_meta *m, const ad_attr *at); /* elements that went into one result */

#endif
