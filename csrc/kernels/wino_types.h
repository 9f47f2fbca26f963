/* What the Winograd convolution's driver (conv_wino.c) and its kernels (kernels/wino.h) tell each other. */
#ifndef AD_KERNELS_WINO_TYPES_H
#define AD_KERNELS_WINO_TYPES_H

#include <stdint.h>

/* F(4x4, 3x3): a tile of 4 by 4 results comes from 6 by 6 elements of the image, through 36 products a
 * channel. Channels lie side by side everywhere, whole vectors of them. */
enum { WINO_OUT = 4, WINO_IN = 6, WINO_POINTS = 36 };

typedef struct wino_kernels {
    /* points[p * step + t * pitch + c] of tile t, whose image is x[i * row + (4 t + j) * pixel + c], for i, j
     * < 6 */
    void (*image)(int64_t tiles, int64_t channels, const void *x, int64_t row, int64_t pixel, void *points,
                  int64_t step, int64_t pitch);
    /* y[i * row + (4 t + j) * pixel + c], i, j < 4, of the sums of products, plus bias[c] (or NULL) */
    void (*result)(int64_t tiles, int64_t channels, const void *points, int64_t step, int64_t pitch,
                   const void *bias, void *y, int64_t row, int64_t pixel);
    /* points[p * step + c] of the kernel w[t * pitch + c], t < 9, turned round when asked; of one vector */
    void (*weight)(const void *w, int64_t pitch, int turned, void *points, int64_t step);
    /* The transposes of `result` and `weight`, for the gradient of the weight. */
    void (*gradient)(int64_t tiles, int64_t channels, const void *y, int64_t row, int64_t pixel, void *points,
                     int64_t step, int64_t pitch);
    void (*kernel)(const void *points, int64_t step, void *w, int64_t pitch);
} wino_kernels;

#endif
