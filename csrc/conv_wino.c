/* Winograd's convolution for kernels of 3 by 3 without stride: a quarter of the multiplications.
 *
 * Channels are brought side by side first, so that every transform works on vectors of them. A piece of work
 * takes some tiles of the image through all three steps (transform, 36 matrix products, transform back) while
 * they are in its processor's cache. Images are turned a few at a time, so that the pieces find them in the
 * cache: 32 images of 128 channels in 0.87, 64 of a small network in 0.8 of the time, and a workspace of a
 * quarter. */
#include "conv_internal.h"

#include "pool.h"

#include <stdatomic.h>
#include <string.h>

#define STRIPS 16             /* pieces that tiles are shared out in */
#define STRIP_ELEMENTS (5461) /* tiles at a time, times the channels of both sides: what the cache holds */
#define ROOM_ELEMENTS ((int64_t)12 << 20)  /* of all strips */
#define TURNED_ELEMENTS ((int64_t)1 << 20) /* of images turned at a time */
#define PANEL_TILES 128                    /* tiles of a round, where panels are taken one by one */
#define PANEL_WEIGHT (1 << 17)             /* channels of both sides multiplied: then always by panels */
#define PANEL_ROWS 200 /* of points of weight and result in a panel: what the second-level cache holds */
#define ROUND_ELEMENTS ((int64_t)58 << 10) /* tiles of a round, times the channels of both sides */

/* One side computed from the other: x to y, or, with the kernel turned round, y to x. */
typedef struct wino {
    int turned;
    int64_t n, from, to;                         /* images; channels */
    int64_t in[2], out[2], pad[2];               /* height and width */
    int64_t tiles[2];                            /* down and across */
    int64_t across, parts;                       /* tiles of a part of a row, and the parts of a row */
    int64_t units, group;                        /* parts of rows in all, and how many are taken at a time */
    int64_t strips, strip;                       /* and their units */
    int64_t from_pitch, to_pitch, width, height; /* of the image with channels side by side */
    const float *x, *bias;
    float *y, *turned_x, *points, *room;
    const float *w;
    int64_t room_each;
    int64_t panels, block; /* of the result's channels; channels of the image at a time */
    int by_panel;
    /* the gradient of the weight */
    float *turned_y, *image_points, *result_points, *sums, *dw;
    int64_t round, first, count, blocks; /* units of a round; those at hand; blocks of rows of a product */
    int64_t image;                       /* that turned_x and turned_y begin with */
} wino;

static int wino_of(wino *p, const conv_shape *s, int what) {
    memset(p, 0, sizeof *p);
    p->turned = what == CONV_X;
    p->n = s->n;
    p->from = p->turned ? s->co : s->ci;
    p->to = p->turned ? s->ci : s->co;
    if (s->type != CT_F32 || s->groups != 1 || s->in[0] != 1 || s->out[0] != 1 || s->k[0] != 1 ||
        p->from % 16 || p->to % 16 || p->from < 32 || p->to < 32)
        return 0;
    if (s->stride[0] != 1 || s->pad[0] != 0) return 0;
    for (int d = 0; d < 2; d++) {
        if (s->k[d + 1] != 3 || s->stride[d + 1] != 1 || s->dil[d + 1] != 1 || s->pad[d + 1] > 2) return 0;
        p->in[d] = p->turned ? s->out[d + 1] : s->in[d + 1];
        p->out[d] = p->turned ? s->in[d + 1] : s->out[d + 1];
        p->pad[d] = p->turned ? 2 - s->pad[d + 1] : s->pad[d + 1];
        p->tiles[d] = ceil_div(p->out[d], WINO_OUT);
    }
    int64_t covered = p->tiles[0] * p->tiles[1] * WINO_OUT * WINO_OUT, positions = p->out[0] * p->out[1];
    int64_t all = p->n * p->tiles[0] * p->tiles[1];
    /* The transforms of the weight, or of its gradient, must be worth it, and the tiles not too empty. */
    p->panels = ceil_div(p->to, kern->gemm[CT_F32]->nr);
    p->by_panel = p->panels >= 4 && (all <= 200 || p->from * p->to > PANEL_WEIGHT);
    if (all < (what == CONV_W ? 40 : p->by_panel ? 24 : 64) || positions * 2 < covered) return 0;
    int64_t most = max64(24, min64(48, STRIP_ELEMENTS / (p->from + p->to)));
    p->across = even(p->tiles[1], most);
    p->parts = ceil_div(p->tiles[1], p->across);
    p->units = p->n * p->tiles[0] * p->parts;
    p->group = max64(1, most / p->across);
    p->from_pitch = p->from + 16; /* rows a power of two apart would share lines of the cache */
    p->to_pitch = p->to + 16;
    p->width = WINO_OUT * p->tiles[1] + 2;
    p->height = WINO_OUT * p->tiles[0] + 2;
    int64_t tiles = p->group * p->across;
    p->room_each = WINO_POINTS * tiles * (p->from_pitch + p->to_pitch) + 16 * p->across * p->to_pitch;
    p->strips = max64(1, min64(STRIPS, ROOM_ELEMENTS / p->room_each));
    return 1;
}

int wino_fits(const conv_shape *s, int what) {
    wino p;
    return wino_of(&p, s, what);
}

/* A row of an image, from channel after channel to channels side by side: `pad` zeros, and zeros up to
 * `width`. */
static void turn_row(const float *x, int64_t channels, int64_t area, int64_t size, int64_t pad, int64_t width,
                     float *to) {
    int64_t cols = min64(size, width - pad);
    memset(to, 0, (size_t)(pad * channels) * sizeof *to);
    kern->conv[CT_F32]->transpose(channels, cols, channels, x, area, to + pad * channels, channels);
    memset(to + (pad + cols) * channels, 0, (size_t)((width - pad - cols) * channels) * sizeof *to);
}

static void turn_x(int64_t begin, int64_t end, void *ctx) {
    const wino *p = ctx;
    for (int64_t u = begin; u < end; u++) {
        int64_t image = p->image + u / p->height, h = u % p->height - p->pad[0];
        float *to = p->turned_x + u * p->width * p->from;
        if (h < 0 || h >= p->in[0]) memset(to, 0, (size_t)(p->width * p->from) * sizeof *to);
        else
            turn_row(p->x + (image * p->from * p->in[0] + h) * p->in[1], p->from, p->in[0] * p->in[1],
                     p->in[1], p->pad[1], p->width, to);
    }
}

/* The weight's points, in panels of the matrix product: point, panel, channel from, channel to. */
static void turn_weight(int64_t begin, int64_t end, void *ctx) {
    const wino *p = ctx;
    const conv_kernels *conv = kern->conv[CT_F32];
    const wino_kernels *kernels = kern->wino;
    float block[9 * 64];
    int64_t nr = kern->gemm[CT_F32]->nr, vl = conv->vl, panels = ceil_div(p->to, nr);
    for (int64_t u = begin; u < end; u++) {
        for (int64_t c = 0; c < p->to; c += 64) {
            int64_t n = min64(64, p->to - c);
            /* w is [to, from, 9], or turned [from, to, 9] */
            if (p->turned) conv->transpose(n, 9, n, p->w + (u * p->to + c) * 9, 9, block, 64);
            else conv->transpose(n, 9, n, p->w + (c * p->from + u) * 9, p->from * 9, block, 64);
            for (int64_t v = 0; v < n; v += vl) {
                int64_t panel = (c + v) / nr;
                kernels->weight(block + v, 64, p->turned,
                                p->points + (panel * p->from + u) * nr + (c + v) % nr, panels * p->from * nr);
            }
        }
    }
}

/* ---- many channels and few tiles: a panel of the result's channels at a time ----
 *
 * Then the weight's points are more than a cache holds, and most of the time went into writing and reading
 * them. So a piece of work makes those of a panel for some channels of the image, and multiplies all tiles of
 * a round with them before it goes on. The tiles' points are in memory. */

static void points_of_units(int64_t begin, int64_t end, void *ctx);
static int64_t tiles_before(const wino *p, int64_t unit);

/* Points of the weight between `count` channels from u on and the panel from channel c on. */
static void panel_weight(const wino *p, int64_t u, int64_t count, int64_t c, float *to) {
    const conv_kernels *conv = kern->conv[CT_F32];
    int64_t nr = kern->gemm[CT_F32]->nr, n = min64(nr, p->to - c);
    float block[9 * 64];
    for (int64_t i = 0; i < count; i++) {
        if (p->turned) conv->transpose(n, 9, n, p->w + ((u + i) * p->to + c) * 9, 9, block, 64);
        else conv->transpose(n, 9, n, p->w + (c * p->from + u + i) * 9, p->from * 9, block, 64);
        for (int64_t v = 0; v < n; v += conv->vl)
            kern->wino->weight(block + v, 64, p->turned, to + i * nr + v, count * nr);
    }
}

static void panels_of_round(int64_t begin, int64_t end, void *ctx) {
    const wino *p = ctx;
    const gemm_kernels *gemm = kern->gemm[CT_F32];
    int64_t nr = gemm->nr, most = (p->round + p->parts) * p->across, pitch = p->across * WINO_OUT * nr;
    int64_t tiles = tiles_before(p, p->first + p->count) - tiles_before(p, p->first);
    int64_t tile_rows = even(tiles, gemm->mr);
    for (int64_t u = begin; u < end; u++)
        for (int64_t c = u * p->strip * nr; c < min64(p->to, (u + 1) * p->strip * nr); c += nr) {
            float *weight = p->room + u * p->room_each, *sums = weight + WINO_POINTS * p->block * nr,
                  *rows = sums + WINO_POINTS * most * nr;
            int64_t n = min64(nr, p->to - c);
            for (int64_t k = 0; k < p->from; k += p->block) {
                int64_t count = min64(p->block, p->from - k);
                panel_weight(p, k, count, c, weight);
                for (int point = 0; point < WINO_POINTS; point++) {
                    gemm_piece s = {.m = tiles,
                                    .n = n,
                                    .k = count,
                                    .a = p->image_points + point * most * p->from_pitch + k,
                                    .rsa = p->from_pitch,
                                    .csa = 1,
                                    .tile_rows = tile_rows,
                                    .tile_step = tile_rows * p->from_pitch,
                                    .b = weight + point * count * nr,
                                    .rsb = nr,
                                    .csb = 1,
                                    .panel_step = nr * count,
                                    .c = sums + point * most * nr,
                                    .ldc = nr,
                                    .add = k > 0};
                    gemm->tiles(&s, 1);
                }
            }
            for (int64_t unit = p->first; unit < p->first + p->count; unit++) {
                int64_t part = unit % p->parts, line = unit / p->parts, first = part * p->across;
                int64_t count = min64(p->across, p->tiles[1] - first), image = line / p->tiles[0],
                        h = line % p->tiles[0] * WINO_OUT, w = first * WINO_OUT;
                int64_t tile = tiles_before(p, unit) - tiles_before(p, p->first);
                kern->wino->result(count, n, sums + tile * nr, most * nr, nr, p->bias ? p->bias + c : NULL,
                                   rows, pitch, nr);
                int64_t cols = min64(count * WINO_OUT, p->out[1] - w), area = p->out[0] * p->out[1];
                for (int64_t i = 0; i < WINO_OUT && h + i < p->out[0]; i++)
                    kern->conv[CT_F32]->transpose(cols, n, cols, rows + i * pitch, nr,
                                                  p->y + (image * p->to + c) * area + (h + i) * p->out[1] + w,
                                                  area);
            }
        }
}

static void wino_panels(wino *p, conv_room *r) {
    int64_t nr = kern->gemm[CT_F32]->nr;
    p->round = min64(p->units, max64(1, PANEL_TILES / p->across));
    p->round = even(p->units, p->round);
    int64_t most = (p->round + p->parts) * p->across;
    p->block = even(p->from, max64(64, PANEL_ROWS - most));
    p->strip = ceil_div(p->panels, STRIPS);
    p->strips = ceil_div(p->panels, p->strip);
    p->room_each = (WINO_POINTS * (p->block + most) + 16 * p->across) * nr;
    p->turned_x = room_take(r, p->n * p->height * p->width * p->from, 4);
    p->image_points = room_take(r, WINO_POINTS * most * p->from_pitch, 4);
    p->room = room_take(r, p->strips * p->room_each, 4);
    if (!r->base) return;
    pool_parallel_for(p->n * p->height, max64(1, 32768 / (p->width * p->from)), turn_x, p);
    for (p->first = 0; p->first < p->units; p->first += p->round) {
        p->count = min64(p->round, p->units - p->first);
        pool_parallel_for(p->count, max64(1, 256 / p->across / (p->from / 16)), points_of_units, p);
        pool_parallel_for(p->strips, 1, panels_of_round, p);
    }
}

static void tiles_of_strip(const wino *p, int64_t unit, int64_t units, float *room) {
    const gemm_kernels *gemm = kern->gemm[CT_F32];
    const conv_kernels *conv = kern->conv[CT_F32];
    const wino_kernels *kernels = kern->wino;
    int64_t nr = gemm->nr, panels = ceil_div(p->to, nr), kb = even(p->from, gemm->kc);
    int64_t place[48 + 1], tiles = 0, most = p->group * p->across;
    int64_t step = most * p->from_pitch, sums_step = most * p->to_pitch;
    float *sums = room + WINO_POINTS * step, *rows = sums + WINO_POINTS * sums_step;
    for (int64_t u = 0; u < units; u++) {
        int64_t part = (unit + u) % p->parts, line = (unit + u) / p->parts; /* image and row of tiles */
        int64_t first = part * p->across, count = min64(p->across, p->tiles[1] - first);
        int64_t row = (line / p->tiles[0] - p->image) * p->height + line % p->tiles[0] * WINO_OUT;
        kernels->image(count, p->from, p->turned_x + (row * p->width + WINO_OUT * first) * p->from,
                       p->width * p->from, p->from, room + tiles * p->from_pitch, step, p->from_pitch);
        place[u] = tiles;
        tiles += count;
    }
    for (int point = 0; point < WINO_POINTS; point++) {
        int64_t tile_rows = even(tiles, gemm->mr);
        gemm_piece s = {.m = tiles,
                        .n = p->to,
                        .rsa = p->from_pitch,
                        .csa = 1,
                        .tile_rows = tile_rows,
                        .tile_step = tile_rows * p->from_pitch,
                        .rsb = nr,
                        .csb = 1,
                        .panel_step = nr * p->from,
                        .c = sums + point * sums_step,
                        .ldc = p->to_pitch};
        for (int64_t k = 0; k < p->from; k += kb) {
            s.k = min64(kb, p->from - k);
            s.a = room + point * step + k;
            s.b = p->points + (point * panels * p->from + k) * nr;
            s.add = k > 0;
            gemm->tiles(&s, 1);
        }
    }
    for (int64_t u = 0; u < units; u++) {
        int64_t part = (unit + u) % p->parts, line = (unit + u) / p->parts;
        int64_t first = part * p->across, count = min64(p->across, p->tiles[1] - first);
        int64_t image = line / p->tiles[0], h = line % p->tiles[0] * WINO_OUT, w = first * WINO_OUT;
        kernels->result(count, p->to, sums + place[u] * p->to_pitch, sums_step, p->to_pitch, p->bias, rows,
                        p->across * WINO_OUT * p->to_pitch, p->to_pitch);
        int64_t cols = min64(count * WINO_OUT, p->out[1] - w), area = p->out[0] * p->out[1];
        for (int64_t i = 0; i < WINO_OUT && h + i < p->out[0]; i++)
            conv->transpose(cols, p->to, cols, rows + i * p->across * WINO_OUT * p->to_pitch, p->to_pitch,
                            p->y + image * p->to * area + (h + i) * p->out[1] + w, area);
    }
}

/* There is room for as many threads as there are strips. A strip takes the first that is free: two threads
 * touch the memory of two, and find them in their caches. */
typedef struct strips_job {
    const wino *p;
    atomic_uint taken; /* rooms, a bit each */
} strips_job;
_Static_assert(STRIPS <= 8 * sizeof(unsigned), "a bit for each room");

static void strips(int64_t begin, int64_t end, void *ctx) {
    strips_job *job = ctx;
    const wino *p = job->p;
    unsigned taken = atomic_load(&job->taken), room;
    do room = ~taken & (taken + 1);
    while (!atomic_compare_exchange_weak(&job->taken, &taken, taken | room));
    for (int64_t u = begin; u < end; u++) {
        int64_t last = min64(p->units, p->first + (u + 1) * p->strip);
        for (int64_t unit = p->first + u * p->strip; unit < last; unit += p->group)
            tiles_of_strip(p, unit, min64(p->group, last - unit),
                           p->room + __builtin_ctz(room) * p->room_each);
    }
    atomic_fetch_and(&job->taken, ~room);
}

void conv_wino(const conv_shape *s, int what, conv_room *r, const void *from, const void *w, const void *bias,
               void *to) {
    wino p;
    int64_t nr = kern->gemm[CT_F32]->nr;
    if (!wino_of(&p, s, what)) return;
    p.x = from, p.w = w, p.bias = bias, p.y = to;
    if (p.by_panel) {
        wino_panels(&p, r);
        return;
    }
    /* So many images at a time that what is turned is read from a cache. */
    int64_t of_image = p.tiles[0] * p.parts, size = p.height * p.width * p.from;
    int64_t images = even(p.n, max64(1, TURNED_ELEMENTS / size));
    p.strip = ceil_div(ceil_div(images * of_image, p.group), p.strips) * p.group;
    p.strips = ceil_div(images * of_image, p.strip);
    p.turned_x = room_take(r, images * size, 4);
    p.points = room_take(r, WINO_POINTS * ceil_div(p.to, nr) * nr * p.from, 4);
    p.room = room_take(r, p.strips * p.room_each, 4);
    if (!r->base) return;
    pool_parallel_for(p.from, max64(1, 4096 / p.to), turn_weight, &p);
    strips_job job = {.p = &p};
    for (p.image = 0; p.image < p.n; p.image += images) {
        int64_t count = min64(images, p.n - p.image);
        p.first = p.image * of_image;
        p.units = p.first + count * of_image;
        pool_parallel_for(count * p.height, max64(1, 32768 / (p.width * p.from)), turn_x, &p);
        pool_parallel_for(ceil_div(count * of_image, p.strip), 1, strips, &job);
    }
}

/* ---- the gradient of the weight ----
 *
 * In rounds, each of as many tiles as a cache holds: first their transforms, shared out by tiles, then the
 * products of both sides, summed over the tiles and shared out by points. */

static void turn_y(int64_t begin, int64_t end, void *ctx) {
    const wino *p = ctx;
    int64_t height = p->height - 2, width = p->width - 2;
    for (int64_t u = begin; u < end; u++) {
        int64_t image = p->image + u / height, h = u % height;
        float *to = p->turned_y + u * width * p->to;
        if (h >= p->out[0]) memset(to, 0, (size_t)(width * p->to) * sizeof *to);
        else
            turn_row(p->y + (image * p->to * p->out[0] + h) * p->out[1], p->to, p->out[0] * p->out[1],
                     p->out[1], 0, width, to);
    }
}

/* Where the tiles of a unit begin among those of its round: parts of a row are equal but for the last. */
static int64_t tiles_before(const wino *p, int64_t unit) {
    return unit / p->parts * p->tiles[1] + unit % p->parts * p->across;
}

static void points_of_units(int64_t begin, int64_t end, void *ctx) {
    const wino *p = ctx;
    const wino_kernels *kernels = kern->wino;
    int64_t most = (p->round + p->parts) * p->across, width = p->width - 2;
    for (int64_t u = begin; u < end; u++) {
        int64_t unit = p->first + u, part = unit % p->parts, line = unit / p->parts, first = part * p->across;
        int64_t count = min64(p->across, p->tiles[1] - first), image = line / p->tiles[0] - p->image,
                h = line % p->tiles[0] * WINO_OUT;
        int64_t tile = tiles_before(p, unit) - tiles_before(p, p->first);
        kernels->image(count, p->from,
                       p->turned_x + ((image * p->height + h) * p->width + WINO_OUT * first) * p->from,
                       p->width * p->from, p->from, p->image_points + tile * p->from_pitch,
                       most * p->from_pitch, p->from_pitch);
        if (!p->result_points) continue;
        kernels->gradient(
            count, p->to, p->turned_y + ((image * (p->height - 2) + h) * width + WINO_OUT * first) * p->to,
            width * p->to, p->to, p->result_points + tile * p->to_pitch, most * p->to_pitch, p->to_pitch);
    }
}

static void sum_points(int64_t begin, int64_t end, void *ctx) {
    const wino *p = ctx;
    const gemm_kernels *gemm = kern->gemm[CT_F32];
    int64_t most = (p->round + p->parts) * p->across;
    int64_t tiles = tiles_before(p, p->first + p->count) - tiles_before(p, p->first),
            kb = even(tiles, gemm->kc);
    int64_t tile_rows = even(p->from, gemm->mr),
            rows = ceil_div(ceil_div(p->from, tile_rows), p->blocks) * tile_rows;
    for (int64_t u = begin; u < end; u++) {
        int64_t point = u / p->blocks, i = u % p->blocks * rows;
        if (i >= p->from) continue;
        gemm_piece s = {.m = min64(rows, p->from - i),
                        .n = p->to,
                        .rsa = 1,
                        .csa = p->from_pitch,
                        .tile_rows = tile_rows,
                        .tile_step = tile_rows,
                        .rsb = p->to_pitch,
                        .csb = 1,
                        .panel_step = gemm->nr,
                        .c = p->sums + (point * p->from + i) * p->to,
                        .ldc = p->to};
        for (int64_t k = 0; k < tiles; k += kb) {
            s.k = min64(kb, tiles - k);
            s.a = p->image_points + (point * most + k) * p->from_pitch + i;
            s.b = p->result_points + (point * most + k) * p->to_pitch;
            s.add = p->first > 0 || k > 0;
            gemm->tiles(&s, 0);
        }
    }
}

static void kernels_of_points(int64_t begin, int64_t end, void *ctx) {
    const wino *p = ctx;
    const conv_kernels *conv = kern->conv[CT_F32];
    float block[9 * 64];
    for (int64_t u = begin; u < end; u++) /* channels of x */
        for (int64_t c = 0; c < p->to; c += 64) {
            int64_t n = min64(64, p->to - c);
            for (int64_t v = 0; v < n; v += conv->vl)
                kern->wino->kernel(p->sums + u * p->to + c + v, p->from * p->to, block + v, 64);
            conv->transpose(9, n, 9, block, 64, p->dw + (c * p->from + u) * 9, p->from * 9);
        }
}

void conv_wino_w(const conv_shape *s, conv_room *r, const void *y, const void *x, void *w) {
    wino p;
    if (!wino_of(&p, s, CONV_W)) return;
    p.round = min64(p.units, max64(1, ROUND_ELEMENTS / (p.from + p.to) / p.across));
    int64_t most = (p.round + p.parts) * p.across, of_image = p.tiles[0] * p.parts;
    int64_t images = min64(p.n, (p.round - 2) / of_image + 2); /* that a round has tiles of */
    p.turned_x = room_take(r, images * p.height * p.width * p.from, 4);
    p.turned_y = room_take(r, images * (p.height - 2) * (p.width - 2) * p.to, 4);
    p.image_points = room_take(r, WINO_POINTS * most * p.from_pitch, 4);
    p.result_points = room_take(r, WINO_POINTS * most * p.to_pitch, 4);
    p.sums = room_take(r, WINO_POINTS * p.from * p.to, 4);
    if (!r->base) return;
    p.x = x, p.y = (float *)(uintptr_t)y, p.dw = w;
    p.blocks = p.from >= 128 ? 2 : 1;
    for (p.first = 0; p.first < p.units; p.first += p.round) {
        p.count = min64(p.round, p.units - p.first);
        p.image = p.first / of_image;
        images = (p.first + p.count - 1) / of_image + 1 - p.image;
        pool_parallel_for(images * p.height, max64(1, 32768 / (p.width * p.from)), turn_x, &p);
        pool_parallel_for(images * (p.height - 2), max64(1, 32768 / (p.width * p.to)), turn_y, &p);
        pool_parallel_for(p.count, max64(1, 256 / p.across / (p.from / 16)), points_of_units, &p);
        pool_parallel_for(WINO_POINTS * p.blocks, 1, sum_points, &p);
    }
    pool_parallel_for(p.from, max64(1, 4096 / p.to), kernels_of_points, &p);
}
