/* A loop over the elements of up to three operands and a result, whatever their geometries and dtypes. */
#ifndef AD_LOOP_H
#define AD_LOOP_H

#include "../core.h"

typedef struct loop_operand {
    char *data;
    int dtype, mode;
    bool as_bool, native;   /* native: kernels read the memory as it is */
    size_t step;            /* bytes of one element for the kernel */
    const int64_t *strides; /* in bytes over the merged dimensions */
} loop_operand;

typedef struct loop {
    ew_kernel fn; /* NULL: the one operand is converted to the result's dtype */
    int nin, ndim, ct;
    int block_dim;  /* >= 0: the dimension in which transposed operands are contiguous */
    unsigned flags; /* for the kernel */
    bool wide;      /* integers that become single floats, computed in double */
    bool sigmoid; /* of such integers: exp(-x) is rounded, and the rest done in single steps, as PyTorch does
                   */
    int64_t sizes[AD_MAXDIM];
    int64_t strides[4][AD_MAXDIM]; /* bytes: inputs, then the result */
    loop_operand in[3], out;
} loop;

/* `selects`: the first operand is a condition; `predicate`: the result is one. */
void loop_set(loop *l, ew_kernel fn, int ct, int nin, ad_tensor *const *in, const ad_tensor *out,
              bool selects, bool predicate);
void loop_run(loop *l, int64_t grain);
/* A grain of some `about` elements that splits n into chunks of one size, so that several threads end
 * together. */
int64_t loop_grain(int64_t n, int64_t about);

#endif
