/* What the drivers of products share: how a product is cut. */
#ifndef AD_GEMM_INTERNAL_H
#define AD_GEMM_INTERNAL_H

#include "gemm.h"
#include "pool.h"

/* Multiply-adds below which one thread works alone: at some microseconds, a second one would arrive when
 * the work is done. */
#define PARALLEL_MIN ((int64_t)1 << 19)
/* Multiply-adds in a block of work: enough to make claiming it cheap, few enough to share evenly. */
#define BLOCK_MIN ((int64_t)1 << 19)

static inline int64_t ceil_div(int64_t a, int64_t b) { return a / b + (a % b != 0); }
static inline int64_t min64(int64_t a, int64_t b) { return a < b ? a : b; }
static inline int64_t max64(int64_t a, int64_t b) { return a > b ? a : b; }
static inline int64_t round64(int64_t bytes) { return (bytes + 63) / 64 * 64; }

/* Cuts `total` into as few parts of at most `most` as there need to be, equal but for the last. */
static inline int64_t even(int64_t total, int64_t most) {
    if (total <= most) return max64(total, 1);
    return ceil_div(total, ceil_div(total, most));
}

static inline int64_t product(int64_t m, int64_t n, int64_t k) {
    /* Saturates: only compared with small limits. */
    int64_t mn;
    int64_t mnk;
    if (__builtin_mul_overflow(m, n, &mn) || __builtin_mul_overflow(mn, k, &mnk)) return INT64_MAX;
    return mnk;
}

/* How C is cut for the pool: rows_step and cols_step per block, `blocks` of them, rows fastest. */
typedef struct grid {
    int64_t rows_step, cols_step, across, blocks;
} grid;

/* Starts from the largest useful block and halves it until blocks are many or small. `tall`: rows are cut
 * only when columns no longer can be, as each block of rows would pack B again. */
static inline grid make_grid(int64_t m, int64_t n, int64_t k, int64_t most_rows, int64_t most_cols,
                             int64_t row_unit, int64_t col_unit, int tall) {
    int64_t rows = min64(ceil_div(m, row_unit), max64(1, most_rows / row_unit));
    int64_t cols = min64(ceil_div(n, col_unit), max64(1, most_cols / col_unit));
    for (;;) {
        int64_t r = rows * row_unit, c = cols * col_unit;
        grid g = {r, c, ceil_div(m, r), ceil_div(m, r) * ceil_div(n, c)};
        if (g.blocks >= 32 || product(r, c, k) < 3 * BLOCK_MIN / 2 || (rows == 1 && cols == 1)) return g;
        if (cols > 1 && (tall || c >= r || rows == 1)) cols = (cols + 1) / 2;
        else rows = (rows + 1) / 2;
    }
}

/* Over the pool, or on this thread: in the same pieces. */
static inline void loop(int alone, int64_t n, int64_t grain, pool_fn fn, void *ctx) {
    if (alone) fn(0, n, ctx);
    else pool_parallel_for(n, grain, fn, ctx);
}

/* Hands a finished block of C on. */
static inline void block_done(const gemm_args *g, const void *c, int64_t rows, int64_t cols) {
    if (g->epi && g->epi->then) g->epi->then(g->epi->ctx, c, rows, cols, g->ldc);
}

/* The columns that a block must have in one piece: what follows on a block works along its rows. */
#define THEN_COLS 256
static inline int64_t col_unit(const gemm_args *g, int64_t nr) {
    return g->epi && g->epi->then ? ceil_div(min64(g->n, THEN_COLS), nr) * nr : nr;
}

/* Products of bfloat16 (gemm_bf16.c); batch may be NULL. */
size_t gemm_bf16_panel_bytes(const gemm_args *args);
void gemm_bf16_pack(const gemm_args *args, void *panels);
size_t gemm_bf16_scratch(const gemm_args *args, int64_t count);
void gemm_bf16_run(const gemm_args *args, const gemm_batch *batch);

#endif
