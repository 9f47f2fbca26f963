/* The driver of the matrix product.
 *
 * Four ways to multiply, chosen by shape and strides alone:
 *   dots    one column of C, rows of A contiguous: a dot product a row
 *   direct  A is read where it lies; B too, or a panel at a time is packed on the stack. No workspace and
 *           no barrier. For all that is small, and for few rows of C
 *   split   as direct, for few rows and columns and long sums: C is too small to be cut without reading the
 *           operands again for each part, so threads take blocks of the sum instead. Each block of kb terms
 *           goes to a matrix of its own in the workspace, and these are added in order: the bits are those
 *           of the direct way, which adds the same blocks to C one after the other
 *   packed  A and B are first packed into the workspace, by all threads, then multiplied block by block
 * Where B comes in panels (gemm_pack), packed by somebody before, the blocks of the last three read those:
 * the same terms in the same order. Each way cuts C into blocks by shape, and the pool hands blocks to
 * threads. */
#include "gemm.h"

#include "gemm_internal.h"
#include "pool.h"

#include <string.h>

/* Up to so many rows of C, packing for all threads does not pay: B is read too few times. */
#define DIRECT_ROWS 40
/* Elements of B with contiguous rows beyond which it is packed for locality alone, and rows of C for which
 * that pays. */
#define PACK_ELEMENTS ((int64_t)1 << 20)
#define PACK_ROWS 48
/* Multiply-adds up to which a product that is one of many stays on one thread. */
#define ALONE_MAX ((int64_t)1 << 25)
/* A row times a matrix of this many columns and elements takes the matrix row by row. */
#define ROW_STREAM 256
#define ROW_STREAM_MIN 32768
/* A matrix times a vector: elements of the matrix from which a second thread helps, as it brings a cache, and
 * in a block of work. */
#define PARALLEL_VECTOR ((int64_t)1 << 17)
#define VECTOR_BLOCK ((int64_t)1 << 16)
/* Rows of C up to which panels of B that are there already are worth their memory. With columns contiguous (a
 * linear layer's weight), 1024 wide, float32, a product with them takes 0.4 of the time with 2 to 8 rows,
 * 0.65 with 16, 0.85 with 64, 0.93 with 128. With rows contiguous, where a product reads them as they lie, it
 * takes between 0.9 and 1.2 of the time: those stay. */
#define PANEL_ROWS 512
/* Packed elements of A and of B held at once: beyond, the product is done in slabs. */
#define SLAB_ROWS 4096
#define SLAB_ELEMENTS ((int64_t)1 << 21)

/* Split: terms of the sum from which it pays, and the largest rows * columns / (rows + columns), so that the
 * matrices of the blocks are small beside the operands. */
#define SPLIT_TERMS 1024
#define SPLIT_SIDE 64

typedef struct plan {
    enum { DOTS, DIRECT, SPLIT, PACKED } way;
    int swap;                       /* C is a column: compute it as a row, from the transposes */
    int pack;                       /* direct: B needs packing */
    int64_t kb;                     /* terms of a block of the sum */
    int64_t tile_rows;              /* rows of a register tile, evened out over m */
    int64_t slab_m, slab_n, slab_k; /* packed: what the workspace holds */
} plan;

static size_t size_of(int type) { return type == CT_F32 ? 4 : 8; }
static const void *at(const void *p, int64_t elements, int type) {
    return (const char *)p + elements * (int64_t)size_of(type);
}

static void transpose(gemm_args *g) {
    gemm_args t = *g;
    g->m = t.n, g->n = t.m;
    g->a = t.b, g->rsa = t.csb, g->csa = t.rsb;
    g->b = t.a, g->rsb = t.csa, g->csb = t.rsa;
}

/* `alone`: the product has one thread to itself and no workspace. */
static plan make_plan(const gemm_args *g, const gemm_kernels *kernels, int alone) {
    plan p = {.kb = even(g->k, kernels->kc), .tile_rows = even(g->m, kernels->mr)};
    int64_t work = product(g->m, g->n, g->k);
    if (g->n == 1 && g->rsb == 1 && g->csa == 1) {
        p.way = DOTS;
    } else if (g->m == 1 && g->csa == 1 && g->rsb == 1 && g->csb != 1) {
        p.way = DOTS, p.swap = 1;
    } else if (g->n == 1 && g->m > 1 && g->ldc == 1) {
        p.way = DIRECT, p.swap = 1, p.pack = g->rsa != 1;
        p.tile_rows = 1;
    } else if (alone || g->m <= DIRECT_ROWS || g->n <= 16 || work < kernels->direct_max) {
        p.way = DIRECT, p.pack = g->csb != 1 && g->n > 1;
        if (g->csb == 1 && g->m >= PACK_ROWS && g->n * g->k > PACK_ELEMENTS) p.pack = 1;
    } else {
        p.way = PACKED;
        p.slab_m = min64(g->m, SLAB_ROWS / kernels->mr * kernels->mr);
        if (p.slab_m < g->m) p.tile_rows = kernels->mr; /* so that slabs end where tiles do */
        p.slab_n = min64(g->n, SLAB_ROWS);
        p.slab_k = p.kb * max64(1, SLAB_ELEMENTS / (max64(p.slab_m, p.slab_n) * p.kb));
        p.slab_k = min64(p.slab_k, g->k);
    }
    int64_t row = p.swap ? g->m : g->n; /* of a product with one row, how long it is */
    if (p.way == DIRECT && !p.pack && (p.swap || g->m == 1) && row >= ROW_STREAM && work >= ROW_STREAM_MIN)
        p.kb = 0;
    if (p.way == DIRECT && !alone && !p.swap && g->k >= SPLIT_TERMS && g->m > 1 && g->n > 1 &&
        work >= 8 * BLOCK_MIN && g->m * g->n <= SPLIT_SIDE * (g->m + g->n) && g->m * g->n <= 1 << 20)
        p.way = SPLIT;
    return p;
}

static int64_t packed_a_bytes(const gemm_args *g, const plan *p, const gemm_kernels *kernels) {
    return round64(ceil_div(p->slab_m, p->tile_rows) * kernels->mr * p->slab_k * (int64_t)size_of(g->type));
}

static int64_t packed_b_bytes(const gemm_args *g, const plan *p, const gemm_kernels *kernels) {
    return round64(ceil_div(p->slab_n, kernels->nr) * kernels->nr * p->slab_k * (int64_t)size_of(g->type));
}

/* Of the sums of one block. */
static int64_t split_bytes(const gemm_args *g) { return round64(g->m * g->n * (int64_t)size_of(g->type)); }

size_t gemm_scratch(const gemm_args *g) {
    if (g->type == GEMM_BF16) return gemm_bf16_scratch(g, 1);
    const gemm_kernels *kernels = kern->gemm[g->type];
    if (!kernels || g->m == 0 || g->n == 0) return 0;
    plan p = make_plan(g, kernels, 0);
    if (p.way == SPLIT) return (size_t)(ceil_div(g->k, p.kb) * split_bytes(g));
    if (p.way != PACKED) return 0;
    return (size_t)(packed_a_bytes(g, &p, kernels) + packed_b_bytes(g, &p, kernels));
}

/* ---- blocks of C ---- */

/* The bias and the activation of block (i, j); `last`: its sums are complete. */
static void set_epilogue(gemm_piece *s, const gemm_args *g, int swap, int64_t i, int64_t j, int first,
                         int last) {
    const gemm_epilogue *e = g->epi;
    s->bias_row = s->bias_col = NULL;
    s->act = GEMM_ACT_NONE;
    s->add = !first;
    if (!e) return;
    s->add |= e->accumulate;
    if (!last) return;
    s->act = e->act;
    if (e->bias) {
        if (e->bias_is_column != swap) s->bias_col = at(e->bias, i, g->type);
        else s->bias_row = at(e->bias, j, g->type);
    }
}

typedef struct job {
    const gemm_args *g;
    const plan *p;
    const gemm_kernels *kernels;
    grid grid;
    /* packed: the slab at hand */
    int64_t i0, j0, p0, m, n, k;
    void *pa;
    const void *pb;
    int64_t panels_a, panels_b;
    int64_t pb_terms; /* of the panels that pb is in */
} job;

static void run_dots(int64_t begin, int64_t end, void *ctx) {
    const job *w = ctx;
    const gemm_args *g = w->g;
    gemm_piece s = {.m = end - begin, .n = 1, .k = g->k, .rsa = g->rsa, .b = g->b};
    s.a = at(g->a, begin * g->rsa, g->type);
    s.c = (void *)at(g->c, begin * g->ldc, g->type);
    s.ldc = g->ldc;
    set_epilogue(&s, g, w->p->swap, begin, 0, 1, 1);
    w->kernels->dots(&s);
    if (s.ldc == 1) block_done(g, s.c, 1, s.m);
    else block_done(g, s.c, s.m, 1);
}

/* Where term p of column j, the first of its panel, is in the panels of the whole of B. */
static const void *in_panels(const job *w, int64_t j, int64_t p) {
    return at(w->g->panels, j * w->g->k + p * w->kernels->nr, w->g->type);
}

static void block_of_panels(const job *w, gemm_piece *s, int64_t i, int64_t j) {
    const gemm_args *g = w->g;
    const void *a = s->a;
    s->rsb = w->kernels->nr, s->csb = 1, s->panel_step = w->kernels->nr * g->k;
    for (int64_t q = 0; q < g->k; q += w->p->kb) {
        s->k = min64(g->k - q, w->p->kb);
        s->a = at(a, q * g->csa, g->type);
        s->b = in_panels(w, j, q);
        set_epilogue(s, g, 0, i, j, q == 0, q + s->k == g->k);
        w->kernels->tiles(s, 1);
    }
}

static void run_direct(int64_t begin, int64_t end, void *ctx) {
    const job *w = ctx;
    const gemm_args *g = w->g;
    for (int64_t block = begin; block < end; block++) {
        int64_t i = block % w->grid.across * w->grid.rows_step,
                j = block / w->grid.across * w->grid.cols_step;
        gemm_piece s = {.m = min64(g->m - i, w->grid.rows_step),
                        .n = min64(g->n - j, w->grid.cols_step),
                        .k = g->k,
                        .a = at(g->a, i * g->rsa, g->type),
                        .rsa = g->rsa,
                        .csa = g->csa,
                        .tile_rows = w->p->tile_rows,
                        .tile_step = w->p->tile_rows * g->rsa,
                        .b = at(g->b, j * g->csb, g->type),
                        .rsb = g->rsb,
                        .csb = g->csb,
                        .panel_step = w->kernels->nr * g->csb,
                        .c = (void *)at(g->c, i * g->ldc + j, g->type),
                        .ldc = g->ldc};
        if (g->panels) {
            block_of_panels(w, &s, i, j);
        } else {
            set_epilogue(&s, g, w->p->swap, i, j, 1, 1);
            w->kernels->direct(&s, w->p->kb, w->p->pack);
        }
        block_done(g, s.c, s.m, s.n);
    }
}

/* Blocks of the sum, each into its part of the workspace. */
static void run_split(int64_t begin, int64_t end, void *ctx) {
    const job *w = ctx;
    const gemm_args *g = w->g;
    for (int64_t block = begin; block < end; block++) {
        int64_t q = block * w->p->kb;
        gemm_piece s = {.m = g->m,
                        .n = g->n,
                        .k = min64(g->k - q, w->p->kb),
                        .a = at(g->a, q * g->csa, g->type),
                        .rsa = g->rsa,
                        .csa = g->csa,
                        .tile_rows = w->p->tile_rows,
                        .tile_step = w->p->tile_rows * g->rsa,
                        .b = at(g->b, q * g->rsb, g->type),
                        .rsb = g->rsb,
                        .csb = g->csb,
                        .panel_step = w->kernels->nr * g->csb,
                        .c = (char *)g->scratch + block * split_bytes(g),
                        .ldc = g->n};
        if (g->panels) {
            s.rsb = w->kernels->nr, s.csb = 1, s.panel_step = w->kernels->nr * g->k;
            s.b = in_panels(w, 0, q);
            w->kernels->tiles(&s, 1);
        } else w->kernels->direct(&s, w->p->kb, w->p->pack);
    }
}

/* Rows of C: the sums of the blocks, in order, then the epilogue. */
static void add_split(int64_t begin, int64_t end, void *ctx) {
    const job *w = ctx;
    const gemm_args *g = w->g;
    int64_t blocks = ceil_div(g->k, w->p->kb);
    for (int64_t i = begin; i < end; i++) {
        gemm_piece s = {.m = 1, .n = g->n, .c = (void *)at(g->c, i * g->ldc, g->type), .ldc = g->ldc};
        set_epilogue(&s, g, 0, i, 0, 1, 1);
        w->kernels->finish(&s, blocks, (const char *)g->scratch + i * g->n * (int64_t)size_of(g->type),
                           split_bytes(g) / (int64_t)size_of(g->type));
        block_done(g, s.c, 1, g->n);
    }
}

static void pack_panels(int64_t begin, int64_t end, void *ctx) {
    const job *w = ctx;
    const gemm_args *g = w->g;
    for (int64_t unit = begin; unit < end; unit++) {
        /* Half of B, A, half of B: a thread that goes on to the front half of C has packed the front
         * halves of both. */
        int64_t half = w->panels_b / 2;
        int64_t panel = unit < half ? w->panels_a + unit : unit - half;
        if (unit >= half + w->panels_a) panel = unit;
        if (panel < w->panels_a) {
            int64_t i = panel * w->p->tile_rows;
            w->kernels->pack_a(min64(w->m - i, w->p->tile_rows), w->k,
                               at(g->a, (w->i0 + i) * g->rsa + w->p0 * g->csa, g->type), g->rsa, g->csa,
                               (void *)at(w->pa, panel * w->kernels->mr * w->k, g->type));
        } else {
            int64_t j = (panel - w->panels_a) * w->kernels->nr;
            w->kernels->pack_b(min64(w->n - j, w->kernels->nr), w->k,
                               at(g->b, w->p0 * g->rsb + (w->j0 + j) * g->csb, g->type), g->csb, g->rsb,
                               (void *)at(w->pb, j * w->k, g->type));
        }
    }
}

static void run_packed(int64_t begin, int64_t end, void *ctx) {
    const job *w = ctx;
    const gemm_args *g = w->g;
    int64_t mr = w->kernels->mr, nr = w->kernels->nr;
    for (int64_t block = begin; block < end; block++) {
        int64_t i = block % w->grid.across * w->grid.rows_step,
                j = block / w->grid.across * w->grid.cols_step;
        gemm_piece s = {.m = min64(w->m - i, w->grid.rows_step),
                        .n = min64(w->n - j, w->grid.cols_step),
                        .rsa = 1,
                        .csa = mr,
                        .tile_rows = w->p->tile_rows,
                        .tile_step = mr * w->k,
                        .rsb = nr,
                        .csb = 1,
                        .panel_step = nr * w->pb_terms,
                        .c = (void *)at(g->c, (w->i0 + i) * g->ldc + w->j0 + j, g->type),
                        .ldc = g->ldc};
        const void *a = at(w->pa, i / w->p->tile_rows * mr * w->k, g->type);
        const void *b = at(w->pb, j * w->pb_terms, g->type);
        for (int64_t q = 0; q < w->k; q += w->p->kb) {
            s.k = min64(w->k - q, w->p->kb);
            s.a = at(a, q * mr, g->type);
            s.b = at(b, q * nr, g->type);
            set_epilogue(&s, g, 0, w->i0 + i, w->j0 + j, w->p0 + q == 0, w->p0 + q + s.k == g->k);
            w->kernels->tiles(&s, 1);
        }
        if (w->p0 + w->k == g->k) block_done(g, s.c, s.m, s.n);
    }
}

/* ---- integers ---- */

static void run_i64(int64_t begin, int64_t end, void *ctx) {
    const gemm_args *g = ctx;
    const gemm_epilogue *e = g->epi;
    const uint64_t *a = g->a, *b = g->b; /* unsigned, so that overflow is defined */
    for (int64_t i = begin; i < end; i++) {
        uint64_t *c = (uint64_t *)g->c + i * g->ldc;
        if (!e || !e->accumulate)
            for (int64_t j = 0; j < g->n; j++) c[j] = 0;
        for (int64_t p = 0; p < g->k; p++) {
            uint64_t x = a[i * g->rsa + p * g->csa];
            const uint64_t *row = b + p * g->rsb;
            if (g->csb == 1)
                for (int64_t j = 0; j < g->n; j++) c[j] += x * row[j];
            else
                for (int64_t j = 0; j < g->n; j++) c[j] += x * row[j * g->csb];
        }
        if (!e) continue;
        if (e->bias) {
            const uint64_t *bias = e->bias;
            for (int64_t j = 0; j < g->n; j++) c[j] += bias[e->bias_is_column ? i : j];
        }
        if (e->act == GEMM_ACT_RELU)
            for (int64_t j = 0; j < g->n; j++) c[j] = (int64_t)c[j] < 0 ? 0 : c[j];
        block_done(g, c, 1, g->n);
    }
}

/* ---- running ---- */

/* How much of each row of B a row that is streamed takes: the sums stay in the second-level cache while long
 * stretches of rows come from memory, which its prefetching likes (1.1 to 1.25 times 1024 elements on a
 * transposed 100000x100). */
static int64_t row_stretch(const gemm_args *g) {
    if (g->n >= 1 << 15) return 8192;
    return min64(g->n < 2048 ? 512 : 1024, max64(128, round64(VECTOR_BLOCK / max64(1, g->k))));
}

static void run(const gemm_args *args, int alone) {
    if (args->m == 0 || args->n == 0) return;
    int64_t work = product(args->m, args->n, args->k);
    int vector = args->m == 1 || args->n == 1;
    if (work < (vector ? PARALLEL_VECTOR : PARALLEL_MIN)) alone = 1;
    const gemm_kernels *kernels = kern->gemm[args->type];
    if (!kernels) {
        loop(alone, args->m, max64(1, BLOCK_MIN / 16 / max64(1, work / args->m)), run_i64, (void *)args);
        return;
    }
    plan p = make_plan(args, kernels, alone);
    gemm_args g = *args;
    if (p.swap) {
        transpose(&g);
        if (p.way == DOTS) g.ldc = 1; /* C was one contiguous row */
    }
    job w = {.g = &g, .p = &p, .kernels = kernels};
    if (p.way == DOTS) {
        /* Four rows share their loads: keep the grain a multiple, so that bits are those of one piece. */
        int64_t grain = max64(1, VECTOR_BLOCK / 4 / max64(1, g.k)) * 4;
        loop(alone, g.m, grain, run_dots, &w);
        return;
    }
    if (p.way == DIRECT) {
        int64_t stretch = row_stretch(&g);
        w.grid = alone       ? (grid){g.m, g.n, 1, 1}
                 : p.kb == 0 ? (grid){1, stretch, 1, ceil_div(g.n, stretch)}
                             : make_grid(g.m, g.n, g.k, 256, 1024, p.tile_rows, col_unit(&g, kernels->nr),
                                         p.pack && !g.panels);
        loop(alone, w.grid.blocks, 1, run_direct, &w);
        return;
    }
    if (p.way == SPLIT) {
        loop(alone, ceil_div(g.k, p.kb), max64(1, BLOCK_MIN / product(g.m, g.n, p.kb)), run_split, &w);
        loop(alone, g.m, max64(1, 16384 / (g.n * ceil_div(g.k, p.kb))), add_split, &w);
        return;
    }
    w.pa = g.scratch;
    w.pb = (char *)g.scratch + packed_a_bytes(&g, &p, kernels);
    for (w.j0 = 0; w.j0 < g.n; w.j0 += p.slab_n) {
        w.n = min64(g.n - w.j0, p.slab_n);
        for (w.p0 = 0; w.p0 < g.k; w.p0 += p.slab_k) {
            w.k = min64(g.k - w.p0, p.slab_k);
            w.pb_terms = g.panels ? g.k : w.k;
            if (g.panels) w.pb = in_panels(&w, w.j0, w.p0);
            for (w.i0 = 0; w.i0 < g.m; w.i0 += p.slab_m) {
                w.m = min64(g.m - w.i0, p.slab_m);
                w.panels_a = ceil_div(w.m, p.tile_rows);
                w.panels_b = w.i0 == 0 && !g.panels ? ceil_div(w.n, kernels->nr) : 0;
                loop(alone, w.panels_a + w.panels_b, max64(1, 16384 / (kernels->nr * w.k)), pack_panels, &w);
                w.grid = make_grid(w.m, w.n, w.k, 192, 512, p.tile_rows, col_unit(&g, kernels->nr), 0);
                loop(alone, w.grid.blocks, 1, run_packed, &w);
            }
        }
    }
}

void gemm_run(const gemm_args *args) {
    if (args->type == GEMM_BF16) gemm_bf16_run(args, NULL);
    else run(args, 0);
}

/* ---- B in panels ---- */

size_t gemm_panel_bytes(const gemm_args *g) {
    if (g->m == 0 || g->m > PANEL_ROWS || g->n < 2 || g->k == 0) return 0;
    if (g->type == GEMM_BF16) return gemm_bf16_panel_bytes(g);
    const gemm_kernels *kernels = kern->gemm[g->type];
    if (!kernels) return 0;
    plan p = make_plan(g, kernels, 0);
    if (p.way == DOTS || p.swap || p.kb == 0 || (p.way != PACKED && g->csb == 1)) return 0;
    return (size_t)(ceil_div(g->n, kernels->nr) * kernels->nr * g->k * (int64_t)size_of(g->type));
}

static void pack_all(int64_t begin, int64_t end, void *ctx) {
    const job *w = ctx;
    const gemm_args *g = w->g;
    for (int64_t j = begin * w->kernels->nr; j < g->n && j < end * w->kernels->nr; j += w->kernels->nr)
        w->kernels->pack_b(min64(g->n - j, w->kernels->nr), g->k, at(g->b, j * g->csb, g->type), g->csb,
                           g->rsb, (void *)in_panels(w, j, 0));
}

void gemm_pack(const gemm_args *args, void *panels) {
    if (args->type == GEMM_BF16) {
        gemm_bf16_pack(args, panels);
        return;
    }
    gemm_args g = *args;
    g.panels = panels;
    job w = {.g = &g, .kernels = kern->gemm[g.type]};
    loop(product(1, g.n, g.k) < PARALLEL_MIN / 4, ceil_div(g.n, w.kernels->nr),
         max64(1, 16384 / (w.kernels->nr * g.k)), pack_all, &w);
}

/* ---- batches ---- */

size_t gemm_batch_scratch(const gemm_args *g, int64_t count) {
    return g->type == GEMM_BF16 ? gemm_bf16_scratch(g, count) : gemm_scratch(g);
}

typedef struct batch_job {
    const gemm_args *g;
    const gemm_batch *batch;
    int alone; /* each product on one thread */
} batch_job;

static void run_batch(int64_t begin, int64_t end, void *ctx) {
    const batch_job *w = ctx;
    for (int64_t item = begin; item < end; item++) {
        int64_t rest = item, a = 0, b = 0, c = 0;
        for (int d = w->batch->dims - 1; d >= 0; d--) {
            int64_t x = rest % w->batch->size[d];
            rest /= w->batch->size[d];
            a += x * w->batch->stride_a[d];
            b += x * w->batch->stride_b[d];
            c += x * w->batch->stride_c[d];
        }
        gemm_args g = *w->g;
        g.a = at(g.a, a, g.type);
        g.b = at(g.b, b, g.type);
        g.c = (void *)at(g.c, c, g.type);
        run(&g, w->alone);
    }
}

void gemm_batch_run(const gemm_args *args, const gemm_batch *batch) {
    if (args->type == GEMM_BF16) {
        gemm_bf16_run(args, batch);
        return;
    }
    int64_t count = 1;
    for (int d = 0; d < batch->dims; d++) count *= batch->size[d];
    int64_t work = max64(1, product(args->m, args->n, args->k));
    batch_job w = {args, batch, work < PARALLEL_MIN || (count >= 8 && work <= ALONE_MAX)};
    /* Either each product on all threads, one after the other with the one workspace, or products on a
     * thread each, without workspace. An element's sum is the same both ways. */
    if (w.alone) pool_parallel_for(count, max64(1, BLOCK_MIN / work), run_batch, &w);
    else run_batch(0, count, &w);
}
