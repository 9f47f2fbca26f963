/* Batched tensors: what a function sees under vmap (batch.c, batch_rules.c; docs/decisions/0008). */
#ifndef AD_BATCH_H
#define AD_BATCH_H

#include "core.h"

#define BATCH_DEPTH 4 /* levels of one tensor */

typedef struct batch_dim {
    uint64_t level; /* which vmap: the number of the node that would have come when it was entered */
    int64_t size, stride;
} batch_dim;

/* Immutable, shared by views. Levels rise. */
struct ad_batch {
    _Atomic int32_t refs;
    int n;
    batch_dim dim[BATCH_DEPTH];
};

/* The dimensions that the operands of a call have together. */
typedef struct batch_plan {
    int n;
    int64_t total;
    batch_dim dim[BATCH_DEPTH]; /* strides are not used */
} batch_plan;

/* 1 when a call has batched operands or draws for each sample, 0, or -1 with the error. */
int batch_plan_of(const ad_call *c, batch_plan *p);
/* Whether a batched call can be done; `target` is what it writes. */
int batch_check(const ad_call *c, const batch_plan *p, const ad_tensor *target);
/* Computes a batched call: sets the outputs from `made` on. */
int batch_run(ad_call *c, const batch_plan *p, int made);
/* The batch of a view row's result. */
int batch_view(const ad_call *c, ad_tensor *view);

/* The operand with the plan's dimensions in front, and `pad` of size 1 after them; `full`: with all of them
 * in full, otherwise those that it lacks have size 1. A new reference without a history. */
ad_tensor *batch_operand(ad_tensor *t, const batch_plan *p, int pad, bool full);
/* Another handle to a physical tensor, its first dimensions as those of the plan. */
ad_tensor *batch_result(ad_tensor *t, const batch_plan *p);
/* The rule of the call's row on whole batches: 1 with the physical outputs, 0 when there is none, -1. */
int batch_rule(const ad_call *c, const batch_plan *p, ad_tensor **out);

int64_t batch_stride(const ad_tensor *t, uint64_t level); /* 0 when it has none */
/* Whether t has all levels that g has, and the samples of t do not share memory: g may be added to it. */
bool batch_covers(const ad_tensor *t, const ad_tensor *g);
bool batch_shares(const ad_tensor *t); /* samples on the same memory */
/* A gradient on its way to a node or leaf: summed over the levels that have ended, where the target is from
 * outside of them. A new reference. */
ad_tensor *batch_outside(ad_tensor *g, const ad_node *node, uint32_t nr, const ad_tensor *leaf);
/* A tensor of the strides of `like`, for a value that is batched as g is. */
ad_tensor *batch_new_like(const ad_tensor *like, const ad_tensor *g);

#endif
