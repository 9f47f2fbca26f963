/* The driver of products of bfloat16 on kernels/gemm_bf16.h: both operands are packed into the workspace by
 * all threads, then the blocks of C are computed, each with its whole sum. A batch is packed and computed
 * together, as many products at a time as the workspace holds; a product too large for it is done in slabs
 * of C. */
#include "gemm.h"

#include "gemm_internal.h"
#include "pool.h"

/* Elements of A and of B that are packed at a time. */
#define SLAB_ELEMENTS ((int64_t)1 << 23)
#define SLAB_LEAST 192 /* rows or columns of a slab, at least */
/* A block of C: its sums are held on the stack while they grow. */
#define BLOCK_ROWS 192
#define BLOCK_COLS 128
#define BLOCK_PAIRS 256 /* of terms: a panel of B this long fits the first-level cache */

typedef struct plan {
    int64_t tile_rows, slab_m, slab_n, pairs;
    int64_t bytes_a, bytes_b; /* of a product's packed slabs */
    int64_t group;            /* products at a time */
} plan;

static int64_t slab(int64_t size, int64_t k, int64_t unit) {
    int64_t most = max64(SLAB_LEAST, SLAB_ELEMENTS / max64(k, 1)) / unit * unit;
    return min64(size, most);
}

static plan make_plan(const gemm_args *g, int64_t count) {
    plan p = {.tile_rows = even(g->m, kern_bf16->mr), .pairs = ceil_div(g->k, 2)};
    p.slab_m = slab(g->m, g->k, p.tile_rows);
    p.slab_n = slab(g->n, g->k, kern_bf16->nr);
    p.bytes_a = round64(ceil_div(p.slab_m, p.tile_rows) * kern_bf16->mr * p.pairs * 4);
    p.bytes_b = round64(ceil_div(p.slab_n, kern_bf16->nr) * kern_bf16->nr * p.pairs * 4);
    bool slabs = p.slab_m < g->m || p.slab_n < g->n;
    p.group = slabs ? 1 : max64(1, min64(count, SLAB_ELEMENTS * 2 / max64(1, p.bytes_a + p.bytes_b)));
    return p;
}

size_t gemm_bf16_scratch(const gemm_args *g, int64_t count) {
    if (g->m == 0 || g->n == 0 || count == 0) return 0;
    plan p = make_plan(g, count);
    return (size_t)((p.bytes_a + p.bytes_b) * p.group);
}

typedef struct job {
    const gemm_args *g;
    const gemm_batch *batch; /* or NULL */
    const plan *p;
    int64_t first;        /* product of the group */
    int64_t i0, j0, m, n; /* the slab */
    int64_t panels_a, panels_b;
    grid grid;
} job;

/* Where product `item` of the batch begins. */
static gemm_args product_at(const job *w, int64_t item) {
    gemm_args g = *w->g;
    if (!w->batch) return g;
    int64_t a = 0, b = 0, c = 0;
    for (int d = w->batch->dims - 1; d >= 0; d--) {
        int64_t x = item % w->batch->size[d];
        item /= w->batch->size[d];
        a += x * w->batch->stride_a[d];
        b += x * w->batch->stride_b[d];
        c += x * w->batch->stride_c[d];
    }
    g.a = (const uint16_t *)g.a + a;
    g.b = (const uint16_t *)g.b + b;
    g.c = (uint16_t *)g.c + c;
    return g;
}

static uint32_t *packed_a(const job *w, int64_t index) {
    return (uint32_t *)((char *)w->g->scratch + index * (w->p->bytes_a + w->p->bytes_b));
}
static uint32_t *packed_b(const job *w, int64_t index) {
    return (uint32_t *)((char *)packed_a(w, index) + w->p->bytes_a);
}

static void pack(int64_t begin, int64_t end, void *ctx) {
    const job *w = ctx;
    for (int64_t unit = begin; unit < end; unit++) {
        int64_t index = unit / (w->panels_a + w->panels_b), panel = unit % (w->panels_a + w->panels_b);
        gemm_args g = product_at(w, w->first + index);
        if (panel < w->panels_a) {
            int64_t i = panel * w->p->tile_rows;
            kern_bf16->pack_a(min64(w->m - i, w->p->tile_rows), g.k,
                              (const uint16_t *)g.a + (w->i0 + i) * g.rsa, g.rsa, g.csa,
                              packed_a(w, index) + panel * kern_bf16->mr * w->p->pairs);
        } else {
            int64_t j = (panel - w->panels_a) * kern_bf16->nr;
            kern_bf16->pack_b(min64(w->n - j, kern_bf16->nr), g.k,
                              (const uint16_t *)g.b + (w->j0 + j) * g.csb, g.csb, g.rsb,
                              packed_b(w, index) + j * w->p->pairs);
        }
    }
}

static void run_blocks(int64_t begin, int64_t end, void *ctx) {
    const job *w = ctx;
    const gemm_epilogue *e = w->g->epi;
    const float *bias = e ? e->bias : NULL;
    _Alignas(64) float sums[BLOCK_ROWS * BLOCK_COLS];
    for (int64_t unit = begin; unit < end; unit++) {
        int64_t index = unit / w->grid.blocks, block = unit % w->grid.blocks;
        gemm_args g = product_at(w, w->first + index);
        int64_t i = block % w->grid.across * w->grid.rows_step,
                j = block / w->grid.across * w->grid.cols_step;
        int64_t step = kern_bf16->mr * w->p->pairs;
        const uint32_t *a = packed_a(w, index) + i / w->p->tile_rows * step;
        const uint32_t *b = g.panels ? (const uint32_t *)g.panels + (w->j0 + j) * w->p->pairs
                                     : packed_b(w, index) + j * w->p->pairs;
        bf16_piece s = {.m = min64(w->m - i, w->grid.rows_step),
                        .n = min64(w->n - j, w->grid.cols_step),
                        .tile_rows = w->p->tile_rows,
                        .tile_step = step,
                        .panel_step = kern_bf16->nr * w->p->pairs,
                        .sums = sums,
                        .ld_sums = BLOCK_COLS,
                        .c = (uint16_t *)g.c + (w->i0 + i) * g.ldc + w->j0 + j,
                        .ldc = g.ldc,
                        .bias_row = bias && !e->bias_is_column ? bias + w->j0 + j : NULL,
                        .bias_col = bias && e->bias_is_column ? bias + w->i0 + i : NULL,
                        .act = e ? e->act : GEMM_ACT_NONE,
                        .add = e && e->accumulate,
                        .alpha = e && e->scales ? e->scales[0] : 1,
                        .beta = e && e->scales ? e->scales[1] : 1};
        for (int64_t q = 0; q < w->p->pairs || q == 0; q += BLOCK_PAIRS) {
            s.pairs = min64(w->p->pairs - q, BLOCK_PAIRS);
            s.first = q == 0;
            s.last = q + s.pairs >= w->p->pairs;
            s.a = a + q * kern_bf16->mr;
            s.b = b + q * kern_bf16->nr;
            kern_bf16->tiles(&s);
        }
        block_done(&g, s.c, s.m, s.n);
    }
}

/* ---- B in panels ---- */

size_t gemm_bf16_panel_bytes(const gemm_args *g) {
    return (size_t)(ceil_div(g->n, kern_bf16->nr) * kern_bf16->nr * ceil_div(g->k, 2) * 4);
}

static void pack_panels(int64_t begin, int64_t end, void *ctx) {
    const gemm_args *g = ctx;
    for (int64_t j = begin * kern_bf16->nr; j < g->n && j < end * kern_bf16->nr; j += kern_bf16->nr)
        kern_bf16->pack_b(min64(g->n - j, kern_bf16->nr), g->k, (const uint16_t *)g->b + j * g->csb, g->csb,
                          g->rsb, (uint32_t *)g->panels + j * ceil_div(g->k, 2));
}

void gemm_bf16_pack(const gemm_args *args, void *panels) {
    gemm_args g = *args;
    g.panels = panels;
    loop(product(1, g.n, g.k) < PARALLEL_MIN / 4, ceil_div(g.n, kern_bf16->nr),
         max64(1, 16384 / (kern_bf16->nr * g.k)), pack_panels, &g);
}

void gemm_bf16_run(const gemm_args *g, const gemm_batch *batch) {
    int64_t count = 1;
    for (int d = 0; batch && d < batch->dims; d++) count *= batch->size[d];
    if (g->m == 0 || g->n == 0 || count == 0) return;
    plan p = make_plan(g, count);
    job w = {.g = g, .batch = batch, .p = &p};
    for (w.first = 0; w.first < count; w.first += p.group) {
        int64_t products = min64(p.group, count - w.first);
        for (w.j0 = 0; w.j0 < g->n; w.j0 += p.slab_n) {
            w.n = min64(g->n - w.j0, p.slab_n);
            for (w.i0 = 0; w.i0 < g->m; w.i0 += p.slab_m) {
                w.m = min64(g->m - w.i0, p.slab_m);
                w.panels_a = ceil_div(w.m, p.tile_rows);
                w.panels_b = w.i0 == 0 && !g->panels ? ceil_div(w.n, kern_bf16->nr) : 0;
                w.grid = make_grid(w.m, w.n, g->k, BLOCK_ROWS, BLOCK_COLS, p.tile_rows, kern_bf16->nr, 0);
                int64_t work = product(w.m, w.n, max64(g->k, 1)), block = max64(1, work / w.grid.blocks);
                int alone = work < PARALLEL_MIN && product(work, products, 1) < PARALLEL_MIN;
                loop(alone, products * (w.panels_a + w.panels_b),
                     max64(1, 16384 / (kern_bf16->nr * max64(g->k, 1))), pack, &w);
                loop(alone, products * w.grid.blocks, max64(1, BLOCK_MIN / block), run_blocks, &w);
            }
        }
    }
}
