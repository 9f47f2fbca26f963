/* One index for each element, along one dimension: what gather and scatter share. */
#ifndef AD_OPS_GATHER_H
#define AD_OPS_GATHER_H

#include "index.h"

enum { PUT_ASSIGN, PUT_ADD, PUT_MUL, PUT_MEAN, PUT_MAX, PUT_MIN, PUT_READ, PUT_COUNT, PUT_INIT };

/* Moves between x at the indices and v (NULL: none), which has the index's sizes at least or is 0-d. */
typedef struct gather_job {
    int kind; /* PUT_* */
    int64_t dim;
    const ad_tensor *x, *index;
    ad_tensor *v;
    int64_t *counts;      /* PUT_COUNT */
    void *scratch;        /* of gather_room(), or NULL */
    _Atomic int *strayed; /* of the call, or NULL */
} gather_job;
void gather_walk(const gather_job *j);
size_t gather_room(int kind, int64_t dim, const ad_tensor *x, const ad_tensor *index);
/* -1 with the error when the index is of another dtype or outside x. */
int gather_check(const ad_call *c, const char *name, int64_t dim);
static inline int gather_rank(const ad_tensor *t) { return t->ndim ? t->ndim : 1; }

#endif
