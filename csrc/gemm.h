/* The matrix product: packing, blocking and threads around the kernels of kernels/gemm.h. */
#ifndef AD_GEMM_H
#define AD_GEMM_H

#include <stddef.h>
#include <stdint.h>

#include "kernels/table.h"

/* The type of products of bfloat16 with sums in float32 and the bias in float32. They are there where
 * kern_bf16 is. */
enum { GEMM_BF16 = CT_COUNT };

/* Called with a block of C, `ld` elements from row to row, when its values are final and still in the cache
 * of the thread that computed them; each element is in one block. */
typedef void (*gemm_then)(void *ctx, const void *c, int64_t rows, int64_t cols, int64_t ld);

/* What is done to an element of the product once its sum is complete: first the bias, then the
 * activation, so that the bits are those of separate operations. */
typedef struct gemm_epilogue {
    const void *bias;    /* length N, one value a column, or NULL */
    int bias_is_column;  /* length M, one value a row, instead */
    int act;             /* GEMM_ACT_NONE, GEMM_ACT_RELU */
    int accumulate;      /* C += A B, before the bias; a long sum is added block by block */
    const float *scales; /* of GEMM_BF16, with accumulate: C = scales[0] A B + scales[1] C; NULL: of 1 */
    gemm_then then;      /* or NULL */
    void *ctx;
} gemm_epilogue;

/* C[M,N] = A[M,K] @ B[K,N]. A and B are addressed by row and column strides in elements, so that every
 * transposition is a matter of strides; a stride may be 0, never negative. C's rows are contiguous, `ldc`
 * elements apart, and C overlaps neither operand. Arrays need only their elements' alignment. */
typedef struct gemm_args {
    int type; /* CT_F32, CT_F64, CT_I64 (wraps around) or GEMM_BF16 */
    int64_t m, n, k;
    const void *a;
    int64_t rsa, csa;
    const void *b;
    int64_t rsb, csb;
    const void *panels; /* B as gemm_pack() has laid it out, or NULL */
    void *c;
    int64_t ldc;
    const gemm_epilogue *epi; /* or NULL */
    void *scratch;            /* gemm_scratch() bytes, aligned to 64; NULL when that is 0 */
} gemm_args;

/* Bytes of workspace. It depends on the type, the sizes, the strides and the instruction set in use, not
 * on pointers or the number of threads; 0 for small products. */
size_t gemm_scratch(const gemm_args *args);

/* Runs on the pool. Never allocates, never fails. The result's bits depend on the sizes and strides
 * only, never on the number of threads. */
void gemm_run(const gemm_args *args);

/* Bytes that B takes in panels, the layout in which the kernels read it: products that share B need not pack
 * it one by one, and have the same bits. 0 where it does not pay. */
size_t gemm_panel_bytes(const gemm_args *args);
void gemm_pack(const gemm_args *args, void *panels);

/* Many products of one shape: over the batch dimensions, operands move by these strides (0 for a
 * broadcast operand; C's must keep the products apart). */
enum { GEMM_BATCH_DIMS = 8 };
typedef struct gemm_batch {
    int dims;
    int64_t size[GEMM_BATCH_DIMS];
    int64_t stride_a[GEMM_BATCH_DIMS], stride_b[GEMM_BATCH_DIMS], stride_c[GEMM_BATCH_DIMS];
} gemm_batch;

/* The workspace of `count` products. */
size_t gemm_batch_scratch(const gemm_args *args, int64_t count);

/* Each product's bits are those of gemm_run on it alone. The epilogue's bias is shared by all products. */
void gemm_batch_run(const gemm_args *args, const gemm_batch *batch);

#endif
