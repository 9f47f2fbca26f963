/* Convolution with the result's channels in vectors and its positions down the register tile. The weight is
 * packed; the image is read where it lies, an element for a vector of channels, at any stride.
 *
 * The image's gradient is the same with y for the image. With a stride, the positions of x that have the same
 * rest by it see the same taps of the weight: the terms of each rest lie together, and its positions are
 * apart in the result. */
#include "conv_internal.h"

#include "pool.h"

#include <string.h>

#define TERMS 256 /* of a block of the sum: with a panel's columns, what the first-level cache holds */
#define SUMS_BYTES (20 << 10) /* of the sums of a piece of work */
#define MOST_STRIDE 4         /* of the image's gradient */
#define MOST_RESTS (MOST_STRIDE * MOST_STRIDE * MOST_STRIDE)
#define MOST_TAPS 64     /* of a kernel whose taps are sorted by their rests */
#define PACK_CHANNELS 32 /* of y, at a time */

typedef struct direct {
    const conv_shape *s;
    int what, type;
    int64_t groups, channels, m; /* terms are channels by taps; channels of the result, both of one group */
    int64_t x_image, x_group, x_plane, step[3]; /* of the image: elements between neighbours */
    int64_t res[3], apart[3], rests[3];         /* result: sizes; how far apart positions of a rest are */
    int64_t count[MOST_RESTS], first[MOST_RESTS + 1]; /* of the taps of each rest; terms before it */
    int64_t terms, panels;
    const int64_t *off, *tap; /* of each term, the place in the image; taps by their rests */
    const void *x, *w, *bias;
    void *packed, *result;
    /* pieces of work: some lines of one (outer two dimensions') rest */
    int64_t segment, segments; /* a line is cut into segments */
    int64_t lines, lines_of[MOST_STRIDE * MOST_STRIDE], blocks[MOST_STRIDE * MOST_STRIDE], block_count;
    int64_t block_terms[MOST_RESTS];
    int sorted;   /* the taps are in order, and all of them there */
    int in_place; /* each piece packs its own panel */
} direct;

static int64_t rest_positions(const direct *p, int d, int64_t r) {
    return (p->res[d] - r - 1) / p->apart[d] + 1;
}

/* Where tap t of rest r reads, relative to the image's place of the position. */
static void places(direct *p, const conv_stage *g, int64_t *off, int64_t *tap) {
    const conv_shape *s = p->s;
    int64_t all = 0, t[3], total = volume(p->rests);
    for (int64_t r = 0; r < total; r++) {
        int64_t *o = off + p->channels * all, taps = 0;
        p->first[r] = p->channels * all;
        if (p->what == CONV_Y) {
            for (t[0] = 0; t[0] < s->k[0]; t[0]++)
                for (t[1] = 0; t[1] < s->k[1]; t[1]++)
                    for (t[2] = 0; t[2] < s->k[2]; t[2]++) {
                        o[taps] =
                            (t[0] * s->dil[0] * g->ext[1] + t[1] * s->dil[1]) * g->ext[2] + t[2] * s->dil[2];
                        taps++;
                    }
        } else {
            int64_t rest[3] = {r / p->rests[2] / p->rests[1], r / p->rests[2] % p->rests[1], r % p->rests[2]};
            taps = taps_of_rest(s, g, rest, o, tap + all);
        }
        for (int64_t c = 1; c < p->channels; c++)
            for (int64_t q = 0; q < taps; q++) o[c * taps + q] = c * g->plane + o[q];
        p->count[r] = taps;
        all += taps;
    }
    p->first[total] = p->channels * all;
}

/* ---- the weight ---- */

/* Terms of the channels from `begin` to `end` of one panel; `to` holds those from channel `origin` on. */
static void pack_panel(const direct *p, int64_t group, int64_t panel, int64_t begin, int64_t end,
                       int64_t origin, void *to) {
    const conv_shape *s = p->s;
    const gemm_kernels *gemm = kern->gemm[p->type];
    int64_t nr = gemm->nr, all = volume(s->k), c = panel * nr, n = min64(nr, p->m - c);
    if (p->what == CONV_Y) { /* w is [result's channel, term] */
        gemm->pack_b(n, (end - begin) * all,
                     at(p->w, ((group * p->m + c) * p->channels + begin) * all, p->type), p->channels * all,
                     1, at(to, (begin - origin) * all * nr, p->type));
        return;
    }
    _Alignas(64) char block[MOST_TAPS * 256];
    for (int64_t o = begin; o < end; o++) { /* w is [channel, result's channel, tap] */
        const void *from = at(p->w, ((group * p->channels + o) * p->m + c) * all, p->type);
        if (p->sorted) {
            gemm->pack_b(n, all, from, all, 1, at(to, (o - origin) * all * nr, p->type));
            continue;
        }
        gemm->pack_b(n, all, from, all, 1, block);
        const int64_t *tap = p->tap;
        for (int64_t r = 0; r < volume(p->rests); r++)
            for (int64_t q = 0; q < p->count[r]; q++)
                memcpy(at(to, (p->first[r] + (o - origin) * p->count[r] + q) * nr, p->type),
                       at(block, *tap++ * nr, p->type), (size_t)(nr * size_of(p->type)));
    }
}

static void pack_weight(int64_t begin, int64_t end, void *ctx) {
    const direct *p = ctx;
    int64_t nr = kern->gemm[p->type]->nr, blocks = ceil_div(p->channels, PACK_CHANNELS);
    for (int64_t u = begin; u < end; u++) {
        int64_t c = u % blocks * PACK_CHANNELS, panel = u / blocks;
        pack_panel(p, panel / p->panels, panel % p->panels, c, min64(p->channels, c + PACK_CHANNELS), 0,
                   at(p->packed, panel * p->terms * nr, p->type));
    }
}

/* ---- pieces of work ---- */

/* A segment of a line of the result: where it sees the image, and where it is. */
typedef struct line {
    int64_t from, to, n; /* n: positions, all rests of the last dimension together */
} line;

static line find_line(const direct *p, int64_t class, int64_t i) {
    int64_t r0 = class / p->rests[1], r1 = class % p->rests[1];
    int64_t n0 = rest_positions(p, 0, r0), n1 = rest_positions(p, 1, r1);
    int64_t j = i % p->segments * p->segment, u1 = i / p->segments % n1, u0 = i / p->segments / n1 % n0,
            image = i / p->segments / n1 / n0;
    line l;
    l.from = image * p->x_image + u0 * p->step[0] + u1 * p->step[1] + j / p->apart[2] * p->step[2];
    l.to =
        ((image * p->groups * p->m * p->res[0] + u0 * p->apart[0] + r0) * p->res[1] + u1 * p->apart[1] + r1) *
            p->res[2] +
        j;
    l.n = min64(p->segment, p->res[2] - j);
    return l;
}

static void work(int64_t begin, int64_t end, void *ctx) {
    const direct *p = ctx;
    const gemm_kernels *gemm = kern->gemm[p->type];
    const conv_kernels *conv = kern->conv[p->type];
    int64_t nr = gemm->nr, vl = conv->vl, area = volume(p->res);
    _Alignas(64) char sums[SUMS_BYTES];
    _Alignas(64) char panel_room[TERMS * 256];
    line l[SUMS_BYTES / 64];
    for (int64_t u = begin; u < end; u++) {
        int64_t panel = u % p->panels, block = u / p->panels % p->block_count,
                group = u / p->panels / p->block_count, class = 0;
        while (block >= p->blocks[class]) block -= p->blocks[class ++];
        int64_t first = block * p->lines, lines = min64(p->lines, p->lines_of[class] - first);
        int64_t c = panel * nr, channels = min64(nr, p->m - c);
        conv_tile t = {.vecs = channels > vl ? 2 : 1};
        t.lanes = channels - (t.vecs - 1) * vl;
        for (int64_t i = 0; i < lines; i++) l[i] = find_line(p, class, first + i);
        const void *x = at(p->x, group * p->x_group, p->type);
        for (int64_t r2 = 0; r2 < p->rests[2]; r2++) {
            int64_t r = class * p->rests[2] + r2, terms = p->channels * p->count[r], k = 0;
            t.ldo = p->apart[2] * nr;
            t.step = p->step[2];
            do {
                t.n = min64(terms - k, p->block_terms[r]);
                t.add = k > 0;
                t.bias = p->bias && !t.add ? at(p->bias, group * p->m + c, p->type) : NULL;
                t.off = p->off + p->first[r] + k;
                if (p->in_place) {
                    t.w = panel_room;
                    pack_panel(p, group, panel, k / p->count[r], (k + t.n) / p->count[r], k / p->count[r],
                               panel_room);
                } else
                    t.w = at(p->packed, ((group * p->panels + panel) * p->terms + p->first[r] + k) * nr,
                             p->type);
                void *out = at(sums, r2 * nr, p->type);
                for (int64_t i = 0; i < lines; i++) {
                    int64_t n = ceil_div(l[i].n - r2, p->apart[2]);
                    t.x = at(x, l[i].from, p->type);
                    t.out = out;
                    if (n > 0) conv->tiles(&t, n, even(n, gemm->mr));
                    out = at(out, l[i].n * nr, p->type);
                }
                k += t.n;
            } while (k < terms);
        }
        const void *from = sums;
        for (int64_t i = 0; i < lines;) { /* lines that follow each other go out together */
            int64_t n = l[i].n, to = l[i].to;
            for (i++; i < lines && l[i].to == to + n && to % area + n < area; i++) n += l[i].n;
            conv->transpose(n, channels, n, from, nr, at(p->result, to + (group * p->m + c) * area, p->type),
                            area);
            from = at(from, n * nr, p->type);
        }
    }
}

static int direct_of(direct *p, const conv_shape *s, int what) {
    memset(p, 0, sizeof *p);
    const gemm_kernels *gemm = kern->gemm[s->type];
    int64_t vl = kern->conv[s->type]->vl, all = volume(s->k), size = size_of(s->type);
    p->s = s, p->what = what, p->type = s->type, p->groups = s->groups;
    p->channels = what == CONV_Y ? s->ci : s->co;
    p->m = what == CONV_Y ? s->co : s->ci;
    if (p->m * 4 < ceil_div(p->m, vl) * vl * 3) return 0; /* vectors too empty */
    int64_t narrow = s->out[2];
    for (int d = 0; d < 3; d++) {
        p->res[d] = what == CONV_Y ? s->out[d] : s->in[d];
        p->apart[d] = what == CONV_Y ? 1 : s->stride[d];
        p->rests[d] = min64(p->apart[d], p->res[d]);
        if (p->apart[d] > MOST_STRIDE) return 0;
    }
    if (what == CONV_X) narrow = rest_positions(p, 2, 0);
    if (narrow < 4 || (what == CONV_X && volume(p->rests) > 1 && all > MOST_TAPS)) return 0;
    p->panels = ceil_div(p->m, gemm->nr);
    int64_t room = SUMS_BYTES / (gemm->nr * size);
    p->segment = even(p->res[2], room / p->apart[2] * p->apart[2]);
    p->segment = ceil_div(p->segment, p->apart[2]) * p->apart[2];
    p->segments = ceil_div(p->res[2], p->segment);
    int64_t classes = p->rests[0] * p->rests[1], all_lines = 0;
    for (int64_t c = 0; c < classes; c++) {
        p->lines_of[c] = s->n * rest_positions(p, 0, c / p->rests[1]) *
                         rest_positions(p, 1, c % p->rests[1]) * p->segments;
        all_lines += p->lines_of[c];
    }
    p->lines = max64(1, min64(room / p->segment, all_lines));
    while (p->lines > 1 && ceil_div(all_lines, p->lines) * p->panels * p->groups < 8)
        p->lines = (p->lines + 1) / 2;
    for (int64_t c = 0; c < classes; c++) {
        p->blocks[c] = ceil_div(p->lines_of[c], p->lines);
        p->block_count += p->blocks[c];
    }
    return 1;
}

int direct_fits(const conv_shape *s, int what) {
    direct p;
    return direct_of(&p, s, what);
}

void conv_direct(const conv_shape *s, int what, conv_room *r, const void *from, const void *w,
                 const void *bias, void *to) {
    direct p;
    if (!direct_of(&p, s, what)) return;
    conv_stage g;
    if (what == CONV_Y) stage_of_padding(&g, s);
    else stage_of_y(&g, s);
    int64_t all = volume(s->k), size = size_of(s->type), nr = kern->gemm[s->type]->nr;
    p.x_group = p.channels * g.plane;
    p.x_image = p.groups * p.x_group;
    for (int d = 0; d < 3; d++) p.step[d] = what == CONV_Y ? s->stride[d] : 1;
    p.step[1] *= g.ext[2];
    p.step[0] *= g.ext[1] * g.ext[2];
    p.terms = p.channels * all;
    int unstrided = volume(p.apart) == 1; /* then all taps are met, in order */
    p.in_place = unstrided && p.block_count <= 2 && all <= TERMS;
    void *staged = room_take(r, stage_elements(&g), size);
    int64_t *off = room_take(r, p.terms, 8), *tap = room_take(r, all, 8);
    p.packed = room_take(r, p.in_place ? 0 : p.groups * p.panels * p.terms * nr, size);
    if (!r->base) return;
    p.off = off, p.tap = tap, p.w = w, p.bias = bias, p.result = to;
    places(&p, &g, off, tap);
    p.sorted = unstrided;
    for (int64_t rest = 0; rest < volume(p.rests); rest++) {
        int64_t step = max64(1, p.count[rest]);
        p.block_terms[rest] =
            p.in_place ? even(p.channels, TERMS / step) * step : even(p.channels * p.count[rest], TERMS);
    }
    p.x = stage_run(&g, from, staged);
    if (!p.in_place)
        pool_parallel_for(p.groups * p.panels * ceil_div(p.channels, PACK_CHANNELS),
                          max64(1, 16384 / (PACK_CHANNELS * all * nr)), pack_weight, &p);
    int64_t total = p.groups * p.block_count * p.panels;
    double each = (double)s->n * (double)volume(s->out) * (double)(p.groups * s->ci * s->co) * (double)all /
                  (double)total;
    int64_t grain = each >= CONV_PIECE ? 1 : max64(1, (int64_t)((double)CONV_PIECE / (each + 1)));
    if (each * (double)total < CONV_PARALLEL_MIN) grain = total;
    pool_parallel_for(total, grain, work, &p);
}
