/* What the update rules of optimizers and the loop that runs them agree on. */
#ifndef AD_OPS_OPTIM_H
#define AD_OPS_OPTIM_H

#include "../core.h"

#define OPTIM_ARRAYS 6  /* at most, of a parameter */
#define OPTIM_SCALARS 3 /* at most */
#define OPTIM_NUMBERS 8 /* that a kernel takes, at most */

typedef struct optim_rule {
    const char *title;
    int kernel, arrays, scalars, optional; /* the columns of kernels/optim.def */
    bool by_size;                          /* the numbers depend on the parameter's sizes */
    /* From the options at->f: what the kernel takes, and the scalars, which are kept in the dtype `kept`,
     * moved on by one step. */
    void (*numbers)(const ad_attr *at, const ad_tensor *p, int kept, double *scalars, double *h);
} optim_rule;

extern const optim_rule optim_rules[];

#endif
