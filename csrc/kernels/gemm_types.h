/* What the matrix product's driver (gemm.c) and its kernels (kernels/gemm.h) tell each other. */
#ifndef AD_KERNELS_GEMM_TYPES_H
#define AD_KERNELS_GEMM_TYPES_H

#include <stdint.h>

enum { GEMM_ACT_NONE, GEMM_ACT_RELU };

/* A piece of a product: C[m,n] = act(A[m,k] B[k,n] + bias), or C += when `add` is set. Element (i,p) of A
 * is at (i / tile_rows) * tile_step + (i % tile_rows) * rsa + p * csa, and element (p,j) of B at
 * (j / nr) * panel_step + (j % nr) * csb + p * rsb: so the same description serves matrices as they are
 * (tile_step = tile_rows * rsa, panel_step = nr * csb) and packed ones. */
typedef struct gemm_piece {
    int64_t m, n, k;
    const void *a;
    int64_t rsa, csa, tile_rows, tile_step;
    const void *b;
    int64_t rsb, csb, panel_step;
    void *c;
    int64_t ldc;
    const void *bias_row; /* n values, one a column, or NULL */
    const void *bias_col; /* m values, one a row, or NULL */
    int act, add;
} gemm_piece;

typedef struct gemm_kernels {
    int mr, nr; /* rows and columns of the register tile */
    /* Multiply-adds below which a product is done where the operands lie, without packing them for all
     * threads first: what one thread packs, another has to fetch from its cache. */
    int64_t direct_max;
    int kc; /* sums longer than this are cut into blocks of at most this many terms */

    /* One block of the sum. B's rows must be contiguous (csb == 1); lanes past n are never read unless
     * `padded`: then B is packed and its vectors are whole. tile_rows <= mr. */
    void (*tiles)(const gemm_piece *g, int padded);

    /* The whole sum, k blocks of `kb` terms; B has any strides and is packed on the stack, panel by panel,
     * when `pack` is set (it must be when csb != 1). A single row may ask for kb == 0: B is then read row by
     * row, best when it is large. */
    void (*direct)(const gemm_piece *g, int64_t kb, int pack);

    /* C[m,1] by dot products: rows of A contiguous (csa == 1), B contiguous, C with stride ldc. */
    void (*dots)(const gemm_piece *g);

    /* A row of C[1,n] from `blocks` rows of sums, `step` elements apart, added in order (to C, when `add` is
     * set), then the bias and the activation. */
    void (*finish)(const gemm_piece *g, int64_t blocks, const void *sums, int64_t step);

    /* out[p * width + i] = x[i * si + p * sp] for i < w, p < k, where width is mr or nr; the rest of the
     * vector that ends a row is filled up with zeros. */
    void (*pack_a)(int64_t w, int64_t k, const void *x, int64_t si, int64_t sp, void *out);
    void (*pack_b)(int64_t w, int64_t k, const void *x, int64_t si, int64_t sp, void *out);
} gemm_kernels;

/* A piece of a product of bfloat16, operands packed as pairs of terms: a[tile][pair][mr], b[panel][pair][nr].
 */
typedef struct bf16_piece {
    int64_t m, n, pairs;
    const uint32_t *a;
    int64_t tile_rows, tile_step;
    const uint32_t *b;
    int64_t panel_step;
    float *sums; /* [m, ld_sums]: read unless `first`, written unless `last`; in whole vectors of columns */
    int64_t ld_sums;
    uint16_t *c; /* written when `last` is set */
    int64_t ldc;
    const float *bias_row, *bias_col; /* as above */
    int act, add, first, last;
    float alpha, beta; /* with `add`: C = alpha A B + beta C */
} bf16_piece;

typedef struct bf16_kernels {
    int mr, nr;
    void (*tiles)(const bf16_piece *g);
    /* out[p * width + i] = the pair x[i * si + 2 * p * sp], x[i * si + (2 * p + 1) * sp], for i < w and
     * 2 * p < k; zeros elsewhere. */
    void (*pack_a)(int64_t w, int64_t k, const uint16_t *x, int64_t si, int64_t sp, uint32_t *out);
    void (*pack_b)(int64_t w, int64_t k, const uint16_t *x, int64_t si, int64_t sp, uint32_t *out);
} bf16_kernels;

#endif
