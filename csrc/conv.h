/* Convolution on plain buffers: the image x, the weight w and the result y, each of which the other two give
 * by a function here. Spatial dimensions are three; those that are missing have size 1. */
#ifndef AD_CONV_H
#define AD_CONV_H

#include <stddef.h>
#include <stdint.h>

/* x[n, groups * ci, in...], w[groups * co, ci, k...], y[n, groups * co, out...], all contiguous:
 *   y[b, o, p] = sum over c, t of w[o, c, t] x[b, c, p * stride - pad + t * dil],
 * where x is 0 outside. `out` is whatever the caller wants to see of it. */
typedef struct conv_shape {
    int type; /* CT_F32, CT_F64 or CT_I64 (wraps around) */
    int64_t n, groups, ci, co;
    int64_t in[3], k[3], out[3], stride[3], pad[3], dil[3];
} conv_shape;

enum { CONV_Y, CONV_X, CONV_W }; /* what is computed */

/* Bytes of workspace; a matter of the shape and the instruction set, not of the number of threads. */
size_t conv_workspace(const conv_shape *s, int what);

/* Each writes its last but one pointer. They run on the pool, never allocate and never fail, and the bits of
 * the result depend on the shape alone. bias, one value a channel of the result, or NULL. */
void conv_y(const conv_shape *s, const void *x, const void *w, const void *bias, void *y, void *scratch);
void conv_x(const conv_shape *s, const void *y, const void *w, const void *bias, void *x, void *scratch);
void conv_w(const conv_shape *s, const void *y, const void *x, void *w, void *scratch);

#endif
