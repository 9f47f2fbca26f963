/* What the normalizations share: their gradient by operations that have gradients of their own, and their
 * operands in the compute type. */
#ifndef AD_OPS_NORM_H
#define AD_OPS_NORM_H

#include "../core.h"

/* y = xhat * weight + bias with xhat = (x - mean) / sqrt(var + eps), in a shape where the statistics run over
 * whole dimensions. */
typedef struct norm_form {
    int ndim;
    int64_t sizes[4];
    int64_t over[2]; /* the dimensions that the statistics run over */
    int nover;
    int64_t weight[4]; /* the weight's sizes, 1 where it is broadcast */
    bool rms;          /* no mean is taken off, the mean square stands for the variance */
    ad_tensor *fixed;  /* mean and 1 / sqrt(var + eps) as given, in rows, or NULL */
    double eps;
} norm_form;

/* The rules of a row (x, weight or none, bias or none, ...) -> (y, statistics). `grad` is the row
 * (g, x, statistics, weight or none) -> (dx, dweight, dbias), whose i[7] tells which are wanted. */
void normalized_vjp(ad_vjp *v, int grad,
                    norm_form (*form)(int ndim, const int64_t *sizes, const ad_attr *at));
void normalized_jvp(ad_jvp *j, norm_form (*form)(int ndim, const int64_t *sizes, const ad_attr *at));
int norm_grad_infer(ad_call *c, int64_t nweight);

/* The data of a tensor in a compute type: its own, or a copy at *room, which advances. */
size_t norm_room(const ad_tensor *t, int ct);
void *norm_in(const ad_tensor *t, int ct, char **room); /* NULL for NULL */
void *norm_out(const ad_tensor *t, int ct, char **room);
void norm_store(ad_tensor *t, int ct, const void *data); /* of norm_out */

static inline double norm_get(const void *p, int ct, int64_t k) {
    return ct == CT_F32 ? (double)((const float *)p)[k] : ((const double *)p)[k];
}
static inline void norm_put(void *p, int ct, int64_t k, double v) {
    if (ct == CT_F32) ((float *)p)[k] = (float)v;
    else ((double *)p)[k] = v;
}
static inline void *norm_at(const void *p, int ct, int64_t k) {
    return p ? (char *)p + k * (int64_t)ct_size[ct] : NULL;
}
static inline int norm_dtype(int ct) { return ct == CT_F32 ? AD_F32 : AD_F64; }

/* Whether inputs 1 to n - 1 (weight, bias, running mean and variance, each or none) may go with x: of its
 * dtype, or float32 for a half type. */
int norm_check_params(const ad_call *c, int n, const char *kernel);

#endif
