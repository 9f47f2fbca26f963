/* Prototypes of the functions that a row of ops.def may name; each stands in one of the files here. */
#ifndef AD_OPS_DECLARE_H
#define AD_OPS_DECLARE_H

#include "../core.h"

#define OP(name, ...)                                                                                        \
    int name##_infer(ad_call *c);                                                                            \
    void name##_run(const ad_call *c);                                                                       \
    void name##_vjp(ad_vjp *v);                                                                              \
    void name##_jvp(ad_jvp *j);                                                                              \
    size_t name##_scratch(const ad_call *c);                                                                 \
    int name##_count(int nin, ad_tensor *const *in, const ad_attr *at);
#include "ops.def"
#undef OP

void linear_layer_jvp(ad_jvp *j);
size_t random_fill_scratch(const ad_call *c); /* what every drawing row shares (random.c) */
/* whether fn holds for every element: 1, 0, or -1 with the error set */
int random_every(const ad_tensor *t, bool (*fn)(double));
void random_vjp(ad_vjp *v);
void random_jvp(ad_jvp *j);
void part_vjp(ad_vjp *v); /* the rule of every view that shows a part (view.c) */
/* The part of `whole` that a view's row shows, where the attributes are those of `unview`. */
void view_of(const ad_attr *at, ad_tensor *whole, ad_spec *part);

/* i[2] of conv and conv_transpose: how the size of the result is told */
enum {
    HOW_PADDED, /* conv: the result's size follows; conv_transpose: the list ends with output_padding */
    HOW_SAME,   /* conv: padded so that the result is as large as the input */
    HOW_SIZED   /* the list ends with the sizes of the result: all of them */
};

#define INDEX_CODES (8 * AD_MAXDIM + 8) /* the longest list of index_view: see indexing.c */

/* Tangent rules that serve many rows (op.c). */
void linear_jvp(ad_jvp *j);      /* linear in all floating inputs together: its own tangent */
void multilinear_jvp(ad_jvp *j); /* linear in each floating input: the product rule */

#endif
