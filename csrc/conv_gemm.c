/* Convolution as a matrix product whose second operand, the patches of the image, is never in memory as a
 * whole: a piece of work packs the patches of some positions, panel by panel, on its stack, and multiplies
 * them.
 *
 * Where the result has few channels, packing would take longer than multiplying: vectors of positions are
 * then read out of the image as they are needed.
 *
 * The image's gradient is a product of the same kind. With a stride, the positions of x that have the same
 * rest by it see the same taps of the weight: each rest is a product of its own. */
#include "conv_internal.h"

#include "pool.h"

#include <string.h>

#define PANELS_BYTES (128 << 10) /* of patches that a piece of work packs at a time: of the stack */
#define MOST_PANELS 16
#define ROWS 256 /* of the packed matrix that a piece of work multiplies them with */
#define MOST_SPANS 64

/* ---- the product ---- */

int64_t product_tile(const conv_product *p) { return even(p->m, kern->gemm[p->type]->mr); }
static int64_t tiles_of(const conv_product *p) { return ceil_div(p->m, product_tile(p)); }
int64_t product_a_elements(const conv_product *p) {
    return p->groups * tiles_of(p) * kern->gemm[p->type]->mr * p->k;
}

/* Whether the last panel of each image would be too empty, so that images should share panels. */
int product_merges(int64_t n, int64_t positions, int type) {
    int64_t nr = kern->gemm[type]->nr, whole = ceil_div(positions, nr) * nr;
    return n > 1 && (whole - positions) * 12 > positions;
}

typedef struct job {
    const conv_product *p;
    const gemm_kernels *gemm;
    const conv_kernels *conv;
    int64_t kb, tile;     /* terms of a block of the sum; rows of a tile */
    int64_t columns;      /* in one image, or in all when they are merged */
    int64_t cols, across; /* columns of a piece of work, and how many such there are in `columns` */
    int64_t rows, down;   /* the same of rows */
    int64_t images;       /* 1 when merged */
} job;

/* Where columns j, j + 1, ... of a panel are in the image. Returns the number of spans. */
static int64_t find_spans(const job *w, int64_t j, int64_t lanes, conv_span *span) {
    const conv_product *p = w->p;
    int64_t row = p->pos[2], vl = w->conv->vl, n = 0;
    int64_t c2 = j % row, rest = j / row, c1 = rest % p->pos[1], c0 = rest / p->pos[1] % p->pos[0],
            image = rest / p->pos[1] / p->pos[0];
    for (int64_t lane = 0; lane < lanes;) {
        int64_t from = image * p->x_image + c0 * p->place[0] + c1 * p->place[1] + c2;
        int64_t count = min64(lanes - lane, row - c2);
        c2 = 0;
        if (++c1 == p->pos[1]) {
            c1 = 0;
            if (++c0 == p->pos[0]) c0 = 0, image++;
        }
        while (count > 0) { /* a span ends where a vector does */
            int64_t part = min64(count, vl - lane % vl);
            span[n++] = (conv_span){from, (int32_t)lane, (int32_t)part};
            count -= part, lane += part, from += part;
        }
    }
    return n;
}

static void multiply(int64_t begin, int64_t end, void *ctx) {
    const job *w = ctx;
    const conv_product *p = w->p;
    _Alignas(64) char panels[PANELS_BYTES + 64];
    conv_span span[MOST_PANELS][MOST_SPANS];
    int64_t spans[MOST_PANELS], nr = w->gemm->nr, mr = w->gemm->mr;
    for (int64_t u = begin; u < end; u++) {
        int64_t down = u % w->down, across = u / w->down % w->across, outer = u / w->down / w->across;
        int64_t image = outer % w->images, group = outer / w->images;
        int64_t i = down * w->rows, j = across * w->cols;
        int64_t m = min64(p->m - i, w->rows), n = min64(w->columns - j, w->cols), count = ceil_div(n, nr);
        const void *x = at(p->x, image * p->x_image + group * p->x_group, p->type);
        const void *a = at(p->a, (group * tiles_of(p) + i / w->tile) * mr * p->k,
                           p->type); /* a tile is mr * k elements */
        void *c = at(p->c,
                     p->merged ? (group * p->m + i) * w->columns + j
                               : image * p->c_image + group * p->c_group + i * w->columns + j,
                     p->type);
        for (int64_t q = 0; q < count; q++)
            spans[q] = find_spans(w, j + q * nr, min64(n - q * nr, nr), span[q]);
        for (int64_t k = 0; k < p->k; k += w->kb) {
            int64_t terms = min64(p->k - k, w->kb);
            for (int64_t q = 0; q < count; q++)
                w->conv->pack(terms, p->off + k, x, span[q], spans[q], min64(n - q * nr, nr),
                              at(panels, q * nr * terms, p->type));
            gemm_piece s = {.m = m,
                            .n = n,
                            .k = terms,
                            .a = at(a, k * mr, p->type),
                            .rsa = 1,
                            .csa = mr,
                            .tile_rows = w->tile,
                            .tile_step = mr * p->k,
                            .b = panels,
                            .rsb = nr,
                            .csb = 1,
                            .panel_step = nr * terms,
                            .c = c,
                            .ldc = w->columns,
                            .add = k > 0};
            if (p->bias && k + terms == p->k) s.bias_col = at(p->bias, group * p->m + i, p->type);
            w->gemm->tiles(&s, 1);
        }
    }
}

/* ---- few rows ---- */

#define SLOTS 64                /* of a piece of work */
#define STAGED_BYTES (96 << 10) /* of the planes of a group */

/* Whether the patches are not packed: few rows, and vectors of positions full enough. */
static int product_few(const conv_product *p) {
    int64_t vl = kern->conv[p->type]->vl, row = p->pos[2];
    return p->m <= 8 && row * 5 >= ceil_div(row, vl) * vl * 2;
}

typedef struct few_job {
    const conv_product *p;
    int64_t tile, tiles, vectors, slots, blocks, reach;
} few_job;

/* A block of slots, for a tile of channels. x: the group's first plane; `exist` elements may be read from
 * there. */
static void multiply_slots(const few_job *w, int64_t group, int64_t image, int64_t tile, int64_t block,
                           const void *x, int64_t exist) {
    const conv_product *p = w->p;
    int64_t mr = kern->gemm[p->type]->mr, vl = kern->conv[p->type]->vl, positions = volume(p->pos),
            row = group * p->m + tile * w->tile, far = 0;
    int64_t first = block * SLOTS, last = min64(w->slots, first + SLOTS);
    conv_slot slot[SLOTS];
    for (int64_t s = first; s < last; s++) {
        int64_t j = s % w->vectors * vl, line = s / w->vectors, c1 = line % p->pos[1], c0 = line / p->pos[1];
        conv_slot *to = &slot[s - first];
        to->from = c0 * p->place[0] + c1 * p->place[1] + j;
        to->to = line * p->pos[2] + j;
        to->lanes = min64(vl, p->pos[2] - j);
        far = max64(far, to->from);
    }
    conv_rows t = {.rows = (int)min64(w->tile, p->m - tile * w->tile),
                   .whole = far + w->reach + vl <= exist,
                   .n = p->k,
                   .slots = last - first,
                   .off = p->off,
                   .a = at(p->a, (group * w->tiles + tile) * mr * p->k, p->type),
                   .x = x,
                   .bias = p->bias ? at(p->bias, row, p->type) : NULL,
                   .slot = slot};
    t.ldo = p->merged ? p->n * positions : positions;
    t.out = at(p->c,
               p->merged ? (row * p->n + image) * positions
                         : image * p->c_image + group * p->c_group + tile * w->tile * positions,
               p->type);
    kern->conv[p->type]->rows(&t);
}

static void multiply_few(int64_t begin, int64_t end, void *ctx) {
    const few_job *w = ctx;
    const conv_product *p = w->p;
    for (int64_t u = begin; u < end; u++) {
        int64_t tile = u % w->tiles, block = u / w->tiles % w->blocks, outer = u / w->tiles / w->blocks;
        int64_t image = outer % p->n, group = outer / p->n, before = image * p->x_image + group * p->x_group;
        multiply_slots(w, group, image, tile, block, at(p->x, before, p->type), p->n * p->x_image - before);
    }
}

/* The planes of a group are few: they are staged on the stack. */
static void multiply_staged(int64_t begin, int64_t end, void *ctx) {
    const few_job *w = ctx;
    const conv_product *p = w->p;
    const conv_stage *g = p->stage;
    _Alignas(64) char room[STAGED_BYTES];
    int64_t planes = g->planes / (p->n * p->groups), in = volume(g->size);
    for (int64_t u = begin; u < end; u++) { /* images and their groups in order */
        for (int64_t c = 0; c < planes; c++)
            stage_plane(g, at(p->x, (u * planes + c) * in, p->type), at(room, c * g->plane, p->type),
                        u > begin);
        for (int64_t i = 0; i < w->tiles * w->blocks; i++)
            multiply_slots(w, u % p->groups, u / p->groups, i % w->tiles, i / w->tiles, room,
                           STAGED_BYTES / size_of(p->type));
    }
}

static void product_run_few(const conv_product *p) {
    few_job w = {.p = p,
                 .tile = product_tile(p),
                 .tiles = tiles_of(p),
                 .vectors = ceil_div(p->pos[2], kern->conv[p->type]->vl)};
    for (int64_t k = 0; k < p->k; k++) w.reach = max64(w.reach, p->off[k]);
    w.slots = p->pos[0] * p->pos[1] * w.vectors;
    w.blocks = ceil_div(w.slots, SLOTS);
    int64_t total = p->groups * p->n * (p->stage ? 1 : w.blocks * w.tiles);
    double all = (double)p->groups * (double)p->n * (double)volume(p->pos) * (double)p->m * (double)p->k,
           each = all / (double)total;
    int64_t grain = each >= CONV_PIECE ? 1 : max64(1, (int64_t)((double)CONV_PIECE / (each + 1)));
    if (all < CONV_PARALLEL_MIN) grain = total;
    pool_parallel_for(total, grain, p->stage ? multiply_staged : multiply_few, &w);
}

/* Whether the pieces of work stage what they read. */
static int product_stages(const conv_product *p, const conv_stage *g) {
    int64_t each = g->planes / (p->n * p->groups) * g->plane * size_of(p->type);
    return product_few(p) && g->copied && p->n * p->groups >= 16 && each + 64 <= STAGED_BYTES;
}

void product_run(const conv_product *p) {
    if (product_few(p)) {
        product_run_few(p);
        return;
    }
    const gemm_kernels *gemm = kern->gemm[p->type];
    job w = {.p = p, .gemm = gemm, .conv = kern->conv[p->type], .images = p->merged ? 1 : p->n};
    int64_t positions = volume(p->pos);
    w.columns = p->merged ? p->n * positions : positions;
    w.tile = product_tile(p);
    w.kb = even(p->k, gemm->kc);
    w.rows = even(tiles_of(p), max64(1, ROWS / w.tile)) * w.tile;
    w.down = ceil_div(p->m, w.rows);
    int64_t panels = min64(MOST_PANELS, PANELS_BYTES / (gemm->nr * w.kb * size_of(p->type)));
    int64_t all = ceil_div(w.columns, gemm->nr), outer = p->groups * w.images * w.down;
    panels = even(all, max64(1, panels));
    while (panels > 1 && outer * ceil_div(all, panels) < 8) panels = (panels + 1) / 2;
    w.cols = panels * gemm->nr;
    w.across = ceil_div(w.columns, w.cols);
    double each = (double)w.rows * (double)w.cols * (double)p->k, pieces = (double)outer * (double)w.across;
    int64_t total = outer * w.across;
    int64_t grain = each >= CONV_PIECE ? 1 : max64(1, (int64_t)((double)CONV_PIECE / (each + 1)));
    if (each * pieces < CONV_PARALLEL_MIN) grain = total;
    pool_parallel_for(total, grain, multiply, &w);
}

/* ---- y ---- */

typedef struct pack_job {
    const conv_product *p;
    const conv_shape *s;
    const void *w;
    void *to;
    const int64_t *tap; /* of conv_x: which taps, by number; NULL: all in order */
    int64_t taps;
} pack_job;

/* A tile of rows is rows of the weight. */
static void pack_y(int64_t begin, int64_t end, void *ctx) {
    const pack_job *j = ctx;
    const conv_product *p = j->p;
    const gemm_kernels *gemm = kern->gemm[p->type];
    int64_t tile = product_tile(p), tiles = tiles_of(p);
    for (int64_t u = begin; u < end; u++) {
        int64_t i = u % tiles * tile, group = u / tiles;
        gemm->pack_a(min64(p->m - i, tile), p->k, at(j->w, (group * p->m + i) * p->k, p->type), p->k, 1,
                     at(j->to, u * gemm->mr * p->k, p->type));
    }
}

/* [row, image, position] of a group to [image, group, row, position] */
typedef struct split_job {
    const conv_product *p;
    void *y;
    int64_t positions;
} split_job;

static void split_images(int64_t begin, int64_t end, void *ctx) {
    const split_job *j = ctx;
    const conv_product *p = j->p;
    for (int64_t u = begin; u < end; u++) { /* u: image, group, row */
        int64_t row = u % (p->groups * p->m), image = u / (p->groups * p->m);
        memcpy(at(j->y, u * j->positions, p->type), at(p->c, (row * p->n + image) * j->positions, p->type),
               (size_t)(j->positions * size_of(p->type)));
    }
}

void conv_y_product(const conv_shape *s, conv_room *r, const void *x, const void *w, const void *bias,
                    void *y) {
    conv_stage g;
    stage_of_x(&g, s);
    int64_t taps = volume(s->k), positions = volume(s->out), size = size_of(s->type);
    conv_product p = {.type = s->type,
                      .groups = s->groups,
                      .n = s->n,
                      .m = s->co,
                      .k = s->ci * taps,
                      .x_image = s->groups * s->ci * g.plane,
                      .x_group = s->ci * g.plane,
                      .c_image = s->groups * s->co * positions,
                      .c_group = s->co * positions,
                      .pos = {s->out[0], s->out[1], s->out[2]},
                      .place = {g.ext[1] * g.ext[2], g.ext[2]},
                      .bias = bias};
    if (p.place[1] == p.pos[2]) p.pos[2] *= p.pos[1], p.pos[1] = 1; /* rows that follow each other are one */
    p.merged = !product_few(&p) && product_merges(s->n, positions, s->type);
    p.stage = product_stages(&p, &g) ? &g : NULL;
    void *staged = room_take(r, p.stage ? 0 : stage_elements(&g), size);
    void *a = room_take(r, product_a_elements(&p), size);
    int64_t *off = room_take(r, p.k, 8);
    void *merged = p.merged ? room_take(r, s->n * p.c_image, size) : NULL;
    if (!r->base) return;
    int64_t *o = off, t[3];
    for (int64_t c = 0; c < s->ci; c++)
        for (t[0] = 0; t[0] < s->k[0]; t[0]++)
            for (t[1] = 0; t[1] < s->k[1]; t[1]++)
                for (t[2] = 0; t[2] < s->k[2]; t[2]++) *o++ = c * g.plane + stage_tap(&g, t);
    p.off = off;
    p.x = p.stage ? x : stage_run(&g, x, staged);
    pack_job pack = {.p = &p, .w = w, .to = a};
    pool_parallel_for(s->groups * tiles_of(&p), max64(1, 32768 / (product_tile(&p) * p.k + 1)), pack_y,
                      &pack);
    p.a = a;
    p.c = p.merged ? merged : y;
    product_run(&p);
    if (!p.merged) return;
    split_job split = {&p, y, positions};
    pool_parallel_for(s->n * s->groups * s->co, max64(1, 32768 / positions), split_images, &split);
}

/* ---- x ---- */

#define PACK_CHANNELS 16 /* of y, at a time */

/* A tile of rows is channels of x; a term of the sum is a channel of y and a tap. The weight is read in
 * order. */
static void pack_x(int64_t begin, int64_t end, void *ctx) {
    const pack_job *j = ctx;
    const conv_product *p = j->p;
    const conv_shape *s = j->s;
    const gemm_kernels *gemm = kern->gemm[p->type];
    int64_t tile = product_tile(p), tiles = tiles_of(p), all = volume(s->k), mr = gemm->mr;
    int64_t blocks = ceil_div(s->co, PACK_CHANNELS);
    for (int64_t u = begin; u < end; u++) {
        int64_t o = u % blocks * PACK_CHANNELS, group = u / blocks, last = min64(s->co, o + PACK_CHANNELS);
        for (; o < last; o++)
            for (int64_t q = 0; q < tiles; q++) {
                int64_t i = q * tile, m = min64(p->m - i, tile);
                const void *from = at(j->w, ((group * s->co + o) * s->ci + i) * all, p->type);
                void *to = at(j->to, (group * tiles + q) * mr * p->k + o * j->taps * mr, p->type);
                if (!j->tap) gemm->pack_a(m, all, from, all, 1, to);
                else if (p->type == CT_F32) {
                    for (int64_t t = 0; t < j->taps; t++)
                        for (int64_t c = 0; c < m; c++)
                            ((float *)to)[t * mr + c] = ((const float *)from)[c * all + j->tap[t]];
                } else {
                    for (int64_t t = 0; t < j->taps; t++)
                        for (int64_t c = 0; c < m; c++)
                            ((double *)to)[t * mr + c] = ((const double *)from)[c * all + j->tap[t]];
                }
            }
    }
}

/* The elements u * stride + rest of x, from the product [channel, image, position]; or bias alone. */
typedef struct spread_job {
    const conv_shape *s;
    const void *c, *bias;
    void *x;
    int64_t rest[3], pos[3];
} spread_job;

#define SPREAD(T)                                                                                            \
    static void spread_##T(int64_t begin, int64_t end, void *ctx) {                                          \
        const spread_job *j = ctx;                                                                           \
        const conv_shape *s = j->s;                                                                          \
        int64_t channels = s->groups * s->ci, positions = volume(j->pos), step = s->stride[2];               \
        for (int64_t u = begin; u < end; u++) { /* planes of x */                                            \
            int64_t channel = u % channels, image = u / channels;                                            \
            const T *c = j->c ? (const T *)j->c + (channel * s->n + image) * positions : NULL;               \
            T fill = j->bias ? ((const T *)j->bias)[channel] : 0;                                            \
            for (int64_t a = 0; a < j->pos[0]; a++)                                                          \
                for (int64_t b = 0; b < j->pos[1]; b++) {                                                    \
                    T *x = (T *)j->x + u * volume(s->in) +                                                   \
                           ((a * s->stride[0] + j->rest[0]) * s->in[1] + b * s->stride[1] + j->rest[1]) *    \
                               s->in[2] +                                                                    \
                           j->rest[2];                                                                       \
                    if (!c)                                                                                  \
                        for (int64_t q = 0; q < j->pos[2]; q++) x[q * step] = fill;                          \
                    else if (step == 2)                                                                      \
                        for (int64_t q = 0; q < j->pos[2]; q++) x[q * 2] = *c++;                             \
                    else                                                                                     \
                        for (int64_t q = 0; q < j->pos[2]; q++) x[q * step] = *c++;                          \
                }                                                                                            \
        }                                                                                                    \
    }
SPREAD(float)
SPREAD(double)

void conv_x_product(const conv_shape *s, conv_room *r, const void *y, const void *w, const void *bias,
                    void *x) {
    conv_stage g;
    stage_of_y(&g, s);
    int64_t all = volume(s->k), size = size_of(s->type), in = volume(s->in), most = 1;
    conv_product p = {.type = s->type,
                      .groups = s->groups,
                      .n = s->n,
                      .m = s->ci,
                      .k = s->co * all,
                      .x_image = s->groups * s->co * g.plane,
                      .x_group = s->co * g.plane,
                      .c_image = s->groups * s->ci * in,
                      .c_group = s->ci * in,
                      .pos = {s->in[0], s->in[1], s->in[2]},
                      .place = {g.ext[1] * g.ext[2], g.ext[2]},
                      .bias = bias};
    int strided = s->stride[0] > 1 || s->stride[1] > 1 || s->stride[2] > 1;
    for (int d = 0; d < 3; d++) most *= with_rest(s, d, 0);
    p.merged = strided || (!product_few(&p) && product_merges(s->n, in, s->type));
    p.stage = !strided && product_stages(&p, &g) ? &g : NULL;
    void *staged = room_take(r, p.stage ? 0 : stage_elements(&g), size);
    void *a = room_take(r, product_a_elements(&p), size);
    int64_t *off = room_take(r, p.k, 8), *tap = room_take(r, all, 8);
    void *merged = p.merged ? room_take(r, s->n * s->groups * s->ci * most, size) : NULL;
    if (!r->base) return;
    p.x = p.stage ? y : stage_run(&g, y, staged);
    p.a = a;
    p.off = off;
    p.c = p.merged ? merged : x;
    int64_t rests[3];
    for (int d = 0; d < 3; d++) rests[d] = min64(s->stride[d], s->in[d]);
    for (int64_t rest = 0; rest < volume(rests); rest++) {
        spread_job j = {.s = s, .c = merged, .bias = bias, .x = x};
        j.rest[0] = rest / rests[2] / rests[1];
        j.rest[1] = rest / rests[2] % rests[1];
        j.rest[2] = rest % rests[2];
        for (int d = 0; d < 3; d++) p.pos[d] = j.pos[d] = with_rest(s, d, j.rest[d]);
        int64_t taps = taps_of_rest(s, &g, j.rest, off, tap);
        if (taps) {
            for (int64_t o = 1; o < s->co; o++)
                for (int64_t q = 0; q < taps; q++) off[o * taps + q] = o * g.plane + off[q];
            if (p.place[1] == p.pos[2]) p.pos[2] *= p.pos[1], p.pos[1] = 1;
            p.k = s->co * taps;
            pack_job pack = {.p = &p, .s = s, .w = w, .to = a, .tap = taps == all ? NULL : tap, .taps = taps};
            pool_parallel_for(s->groups * ceil_div(s->co, PACK_CHANNELS),
                              max64(1, 32768 / (PACK_CHANNELS * s->ci * taps)), pack_x, &pack);
            product_run(&p);
        } else j.c = NULL;
        if (!p.merged) return;
        if (strided || !taps)
            pool_parallel_for(s->n * s->groups * s->ci, max64(1, 16384 / volume(j.pos)),
                              s->type == CT_F32 ? spread_float : spread_double, &j);
        else {
            split_job split = {&p, x, in};
            pool_parallel_for(s->n * s->groups * s->ci, max64(1, 32768 / in), split_images, &split);
        }
    }
}
