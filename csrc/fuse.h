/* Fusion of elementwise calls in a captured program. */
#ifndef AD_FUSE_H
#define AD_FUSE_H

#include "program.h"

typedef struct fused_code fused_code;
extern const ad_op fused_op; /* i[0]: the code */
extern const ad_op fused_product_op;
fused_code *fused_code_of(const instr *i); /* of either, or NULL */
void fused_free(fused_code *f);

/* Whether output o of a fused call may be computed in the memory of its inputs on storage s: each element is
 * read before it is written. */
bool fused_in_place(const instr *i, int o, const ad_storage *s);
/* Nanoseconds for each operand's element, roughly, given which rows are dear. */
double fused_dear(const instr *i, bool (*dear)(int op));
void fused_names(const fused_code *f, char *text, size_t room); /* "mul, add, tanh" */
/* Replaces runs of elementwise calls by fused ones; -1 with the error set when memory runs out. */
int fuse_elementwise(ad_program *p);

/* Whether a value belongs to others, or is touched by a live call that is not among the n listed. */
bool plan_value_is_needed(const ad_program *p, const ad_storage *s, const int64_t *calls, int n);

#endif
