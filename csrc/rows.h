/* Sparse gradients of leaves: see rows.c. */
#ifndef AD_ROWS_H
#define AD_ROWS_H

#include "core.h"

struct ad_rows {
    ad_rows *next;
    ad_tensor *index, *values; /* [n] and [n, width] */
};
int rows_add(ad_tensor *leaf, ad_tensor *index, ad_tensor *values);
void rows_clear(ad_tensor *leaf);
ad_tensor *rows_dense(ad_tensor *leaf);

#endif
