/* Depthwise convolution: every group has one channel of x. There is nothing to multiply matrices for; a plane
 * is staged on the stack, where it stays in the first-level cache, and read once a tap. */
#include "conv_internal.h"

#include "pool.h"

#include <string.h>

#define STACK_BYTES (96 << 10) /* of staged planes */
#define MOST_TAPS 128          /* of all results of a group */
#define CHUNKS 8               /* of images whose parts of the weight's gradient are added in order */

int is_depthwise(const conv_shape *s) {
    conv_stage x, y;
    if (s->ci != 1 || s->co * volume(s->k) > MOST_TAPS || s->co > 4) return 0;
    stage_of_x(&x, s);
    stage_of_y(&y, s);
    int64_t most = STACK_BYTES / size_of(s->type);
    return x.plane <= most && y.plane * s->co + volume(s->in) + s->in[0] * s->in[1] + 64 <= most;
}

typedef struct job {
    const conv_shape *s;
    conv_stage g;
    const void *x, *w, *bias, *y;
    void *out;
    const int64_t *off;
    int64_t taps, chunks;
} job;

static void run(int64_t n, double work, pool_fn fn, job *j) {
    double each = work / (double)n;
    int64_t grain = work < 65536 ? n : each >= 32768 ? 1 : max64(1, (int64_t)(32768 / each));
    pool_parallel_for(n, grain, fn, j);
}

static double work_of(const conv_shape *s) {
    return (double)s->n * (double)s->groups * (double)s->co * (double)volume(s->out) *
           ((double)volume(s->k) + 4);
}

static double bias_of(const conv_shape *s, const void *bias, int64_t channel) {
    if (!bias) return 0;
    return s->type == CT_F32 ? (double)((const float *)bias)[channel] : ((const double *)bias)[channel];
}

/* The size of a kernel whose taps lie side by side in the staged image; 0 for others. */
static int dense(const conv_shape *s) {
    for (int d = 0; d < 3; d++)
        if (s->stride[d] != 1 || (s->dil[d] != 1 && s->k[d] > 1)) return 0;
    return s->k[0] == 1 && s->k[1] == s->k[2] && (s->k[1] == 3 || s->k[1] == 5) ? (int)s->k[1] : 0;
}

/* Whether the kernels of a plane put its padding round it. (Depth they do not know.) */
static int padded_by_masks(const conv_shape *s) {
    return kern->conv[s->type]->masks && dense(s) && !s->pad[0];
}

/* ---- y ---- */

static void planes_y(int64_t begin, int64_t end, void *ctx) {
    const job *j = ctx;
    const conv_shape *s = j->s;
    _Alignas(64) char room[STACK_BYTES];
    int64_t in = volume(s->in), out = volume(s->out), area = s->out[1] * s->out[2];
    int staged = 0, as_it_is = padded_by_masks(s);
    for (int64_t u = begin; u < end; u++) {
        const void *x = at(j->x, u * in, s->type);
        if (j->g.copied && !as_it_is) {
            stage_plane(&j->g, x, room, staged);
            staged = 1;
            x = room;
        }
        for (int64_t o = 0; o < s->co; o++) {
            int64_t channel = u % s->groups * s->co + o;
            conv_plane p = {.rows = s->out[1],
                            .cols = s->out[2],
                            .ntaps = j->taps,
                            .taps = at(j->w, channel * j->taps, s->type),
                            .off = j->off,
                            .ldx = as_it_is ? s->in[2] : j->g.ext[2],
                            .ldo = s->out[2],
                            .kernel = dense(s),
                            .in = {s->in[1], s->in[2]},
                            .pad = {s->pad[1], s->pad[2]},
                            .bias = bias_of(s, j->bias, channel)};
            for (int64_t a = 0; a < s->out[0]; a++) {
                p.x = at(x, a * (as_it_is ? s->in[1] * s->in[2] : j->g.ext[1] * j->g.ext[2]), s->type);
                p.out = at(j->out, (u * s->co + o) * out + a * area, s->type);
                kern->conv[s->type]->plane(&p);
            }
        }
    }
}

static void places_of_taps(const conv_shape *s, const conv_stage *g, int64_t *off) {
    int64_t t[3];
    for (t[0] = 0; t[0] < s->k[0]; t[0]++)
        for (t[1] = 0; t[1] < s->k[1]; t[1]++)
            for (t[2] = 0; t[2] < s->k[2]; t[2]++) *off++ = stage_tap(g, t);
}

void conv_y_depth(const conv_shape *s, conv_room *r, const void *x, const void *w, const void *bias,
                  void *y) {
    job j = {.s = s, .x = x, .w = w, .bias = bias, .out = y, .taps = volume(s->k)};
    int64_t off[MOST_TAPS];
    (void)r;
    if (!y) return;
    stage_of_x(&j.g, s);
    places_of_taps(s, &j.g, off);
    j.off = off;
    run(s->n * s->groups, work_of(s), planes_y, &j);
}

/* ---- x ---- */

/* The sums over a group's planes of y and their taps, for one rest of the stride after the other. */
static void planes_x(int64_t begin, int64_t end, void *ctx) {
    const job *j = ctx;
    const conv_shape *s = j->s;
    const conv_stage *g = &j->g;
    const conv_kernels *kernels = kern->conv[s->type];
    _Alignas(64) char room[STACK_BYTES];
    int64_t in = volume(s->in), out = volume(s->out), size = size_of(s->type), all = volume(s->k);
    int64_t off[MOST_TAPS], tap[MOST_TAPS], rests[3], rest[3], pos[3];
    _Alignas(64) char taps[MOST_TAPS * 8];
    int strided = s->stride[0] > 1 || s->stride[1] > 1 || s->stride[2] > 1, staged = 0;
    int kernel = s->co == 1 ? dense(s) : 0, as_it_is = kernel && padded_by_masks(s);
    /* behind the planes of y: a plane for each rest of the last dimension, without gaps */
    char *parts = room + ((g->plane * s->co * size + 63) & ~(int64_t)63);
    for (int d = 0; d < 3; d++) rests[d] = min64(s->stride[d], s->in[d]);
    for (int64_t u = begin; u < end; u++) {
        int64_t channel = u % s->groups;
        const void *y = at(j->y, u * s->co * out, s->type);
        if (g->copied && !as_it_is) {
            for (int64_t o = 0; o < s->co; o++)
                stage_plane(g, at(y, o * out, s->type), at(room, o * g->plane, s->type), staged);
            staged = 1;
            y = room;
        }
        for (rest[0] = 0; rest[0] < rests[0]; rest[0]++)
            for (rest[1] = 0; rest[1] < rests[1]; rest[1]++) {
                char *part[2] = {parts, parts};
                for (rest[2] = 0; rest[2] < rests[2]; rest[2]++) {
                    int64_t n = taps_of_rest(s, g, rest, off, tap), count = n * s->co;
                    for (int d = 0; d < 3; d++) pos[d] = with_rest(s, d, rest[d]);
                    for (int64_t o = 1; o < s->co; o++)
                        for (int64_t q = 0; q < n; q++) off[o * n + q] = o * g->plane + off[q];
                    for (int64_t q = 0; q < count; q++) {
                        /* without a stride the taps meet y from its end: turned round, they are a kernel */
                        int64_t to = kernel ? n - 1 - q : q;
                        memcpy(taps + to * size,
                               at(j->w, (channel * s->co + q / n) * all + tap[q % n], s->type), (size_t)size);
                    }
                    for (int64_t q = 0; kernel && q < n / 2; q++) {
                        int64_t last = off[n - 1 - q];
                        off[n - 1 - q] = off[q];
                        off[q] = last;
                    }
                    conv_plane p = {.rows = pos[1],
                                    .cols = pos[2],
                                    .ntaps = count,
                                    .taps = taps,
                                    .off = off,
                                    .ldx = as_it_is ? s->out[2] : g->ext[2],
                                    .ldo = pos[2],
                                    .kernel = kernel,
                                    .in = {s->out[1], s->out[2]},
                                    .pad = {s->k[1] - 1 - s->pad[1], s->k[2] - 1 - s->pad[2]},
                                    .bias = bias_of(s, j->bias, channel)};
                    char *to = strided ? part[rest[2] & 1] : at(j->out, u * in, s->type);
                    for (int64_t a = 0; a < pos[0]; a++) {
                        p.x = at(y, a * (as_it_is ? s->out[1] * s->out[2] : g->ext[1] * g->ext[2]), s->type);
                        p.out = at(to, a * pos[1] * pos[2], s->type);
                        kernels->plane(&p);
                    }
                    if (!strided) continue;
                    if (rest[2] == 0) part[1] = parts + volume(pos) * size;
                    int pair = s->stride[2] == 2 && rests[2] == 2;
                    if (pair && rest[2] == 0) continue;
                    int64_t even = with_rest(s, 2, 0);
                    for (int64_t a = 0; a < pos[0]; a++)
                        for (int64_t b = 0; b < pos[1]; b++) {
                            int64_t line = a * pos[1] + b;
                            char *x = at(j->out,
                                         u * in + ((a * s->stride[0] + rest[0]) * s->in[1] +
                                                   b * s->stride[1] + rest[1]) *
                                                      s->in[2],
                                         s->type);
                            if (pair) {
                                kernels->zip(s->in[2], at(part[0], line * even, s->type),
                                             at(part[1], line * pos[2], s->type), x);
                                continue;
                            }
                            const char *from = at(to, line * pos[2], s->type);
                            for (int64_t q = 0; q < pos[2]; q++)
                                memcpy(x + (q * s->stride[2] + rest[2]) * size, from + q * size,
                                       (size_t)size);
                        }
                }
            }
    }
}

void conv_x_depth(const conv_shape *s, conv_room *r, const void *y, const void *w, const void *bias,
                  void *x) {
    job j = {.s = s, .y = y, .w = w, .bias = bias, .out = x};
    (void)r;
    if (!x) return;
    stage_of_y(&j.g, s);
    run(s->n * s->groups, work_of(s), planes_x, &j);
}

/* ---- w ---- */

static void sums_w(int64_t begin, int64_t end, void *ctx) {
    const job *j = ctx;
    const conv_shape *s = j->s;
    const conv_kernels *kernels = kern->conv[s->type];
    _Alignas(64) char room[STACK_BYTES];
    _Alignas(64) char part[MOST_TAPS * 64];
    int64_t in = volume(s->in), out = volume(s->out), area = s->out[1] * s->out[2],
            width = j->taps * kernels->vl;
    int64_t each = ceil_div(s->n, j->chunks);
    int staged = 0;
    for (int64_t u = begin; u < end; u++) {
        int64_t group = u % s->groups, chunk = u / s->groups, last = min64(s->n, (chunk + 1) * each);
        memset(part, 0, (size_t)(s->co * width * size_of(s->type)));
        for (int64_t image = chunk * each; image < last; image++) {
            const void *x = at(j->x, (image * s->groups + group) * in, s->type);
            if (j->g.copied) {
                stage_plane(&j->g, x, room, staged);
                staged = 1;
                x = room;
            }
            for (int64_t o = 0; o < s->co; o++)
                for (int64_t a = 0; a < s->out[0]; a++) {
                    conv_plane p = {
                        .rows = s->out[1],
                        .cols = s->out[2],
                        .ntaps = j->taps,
                        .taps = at(j->out, ((chunk * s->groups + group) * s->co + o) * j->taps, s->type),
                        .off = j->off,
                        .x = at(x, a * j->g.ext[1] * j->g.ext[2], s->type),
                        .ldx = j->g.ext[2],
                        .out = at(j->y, ((image * s->groups + group) * s->co + o) * out + a * area, s->type),
                        .ldo = s->out[2],
                        .kernel = dense(s)};
                    kernels->plane_sums(&p, at(part, o * width, s->type),
                                        image + 1 == last && a + 1 == s->out[0]);
                }
        }
    }
}

void conv_w_depth(const conv_shape *s, conv_room *r, const void *y, const void *x, void *w) {
    job j = {.s = s, .x = x, .y = y, .taps = volume(s->k)};
    int64_t off[MOST_TAPS], all = s->groups * s->co * j.taps;
    j.chunks = s->groups >= 16 ? 1 : min64(s->n, CHUNKS); /* enough groups to share out */
    j.chunks = ceil_div(s->n, ceil_div(s->n, j.chunks));
    void *parts = j.chunks > 1 ? room_take(r, j.chunks * all, size_of(s->type)) : NULL;
    if (!w) return;
    stage_of_x(&j.g, s);
    places_of_taps(s, &j.g, off);
    j.off = off;
    j.out = parts ? parts : w;
    run(j.chunks * s->groups, work_of(s), sums_w, &j);
    for (int64_t i = 0; i < all && parts; i++) {
        double sum = 0;
        for (int64_t c = 0; c < j.chunks; c++)
            sum += s->type == CT_F32 ? (double)((float *)parts)[c * all + i] : ((double *)parts)[c * all + i];
        if (s->type == CT_F32) ((float *)w)[i] = (float)sum;
        else ((double *)w)[i] = sum;
    }
}
