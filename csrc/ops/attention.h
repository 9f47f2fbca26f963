/* What attention (attention.c) and its composed form (attention_rules.c) share. */
#ifndef AD_OPS_ATTENTION_H
#define AD_OPS_ATTENTION_H

#include <math.h>
#include "../core.h"

#define ATTENTION_WIDTH 256 /* most features of a head that the blocks have room for */

static inline double attention_scale(const ad_tensor *q) {
    int64_t width = q->sizes[q->ndim - 1];
    return width ? 1 / sqrt((double)width) : 0;
}

#endif
