/* What the rows that order or choose along a dimension share. i[0] = dimension, i[1] = keepdim (or
 * descending, or largest). */
#ifndef AD_OPS_ORDER_H
#define AD_OPS_ORDER_H

#include "declare.h"
#include "lines.h"

static inline int64_t order_dim_size(const ad_tensor *x, int64_t dim) {
    return x->ndim ? x->sizes[dim < 0 ? dim + x->ndim : dim] : 1;
}
static inline lines order_lines(const ad_call *c) {
    return lines_of(c->in[0]->ndim, c->in[0]->sizes, c->at->i[0]);
}
/* Values and indices of a dimension that goes away. */
int order_infer_select(ad_call *c, const char *name);
/* The rules of values that were read at the second output's positions; `reduces`: of a dimension that went
 * away. */
void order_chosen_vjp(ad_vjp *v, bool reduces);
void order_chosen_jvp(ad_jvp *j, bool reduces);
#define ORDER_CHOSEN(name, reduces)                                                                          \
    void name##_vjp(ad_vjp *v) { order_chosen_vjp(v, reduces); }                                             \
    void name##_jvp(ad_jvp *j) { order_chosen_jvp(j, reduces); }

#endif
