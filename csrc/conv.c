/* The convolution's choice of a way, and the staging of images. */
#include "conv_internal.h"

#include "pool.h"

#include <string.h>

/* ---- staging ---- */

typedef struct stage_job {
    const conv_stage *g;
    const char *from;
    char *to;
} stage_job;

/* to[q] = from[q * step - pad], zeros outside of 0 .. size - 1 */
#define STAGE_ROW(T)                                                                                         \
    static void stage_row_##T(T *to, const T *from, int64_t n, int64_t first, int64_t step, int64_t size) {  \
        int64_t q = 0, lo = first >= 0 ? 0 : min64(n, (-first + step - 1) / step);                           \
        int64_t hi = first >= size ? lo : max64(lo, min64(n, (size - 1 - first) / step + 1));                \
        for (; q < lo; q++) to[q] = 0;                                                                       \
        if (step == 1 && hi > lo) memcpy(to + lo, from + first + lo, (size_t)(hi - lo) * sizeof(T)), q = hi; \
        else if (step == 2)                                                                                  \
            for (; q < hi; q++) to[q] = from[first + 2 * q];                                                 \
        else                                                                                                 \
            for (; q < hi; q++) to[q] = from[first + q * step];                                              \
        for (; q < n; q++) to[q] = 0;                                                                        \
    }
STAGE_ROW(float)
STAGE_ROW(double)

static void stage_planes(int64_t begin, int64_t end, void *ctx) {
    const stage_job *j = ctx;
    const conv_stage *g = j->g;
    int64_t size = size_of(g->type), in = volume(g->size), row = g->ext[2];
    for (int64_t plane = begin; plane < end; plane++) {
        const char *from = j->from + plane * in * size;
        char *to = j->to + plane * g->plane * size;
        for (int64_t phase = 0; phase < volume(g->phases); phase++) {
            int64_t j0 = phase / g->phases[2] / g->phases[1], j1 = phase / g->phases[2] % g->phases[1],
                    j2 = phase % g->phases[2];
            int64_t f0 = j0 * g->dil[0] % g->step[0] - g->pad[0],
                    f1 = j1 * g->dil[1] % g->step[1] - g->pad[1],
                    f2 = j2 * g->dil[2] % g->step[2] - g->pad[2];
            for (int64_t a = 0; a < g->ext[0]; a++)
                for (int64_t b = 0; b < g->ext[1]; b++, to += row * size) {
                    int64_t i0 = a * g->step[0] + f0, i1 = b * g->step[1] + f1;
                    if (i0 < 0 || i0 >= g->size[0] || i1 < 0 || i1 >= g->size[1])
                        memset(to, 0, (size_t)(row * size));
                    else if (g->type == CT_F32)
                        stage_row_float((float *)to,
                                        (const float *)from + (i0 * g->size[1] + i1) * g->size[2], row, f2,
                                        g->step[2], g->size[2]);
                    else
                        stage_row_double((double *)to,
                                         (const double *)from + (i0 * g->size[1] + i1) * g->size[2], row, f2,
                                         g->step[2], g->size[2]);
                }
        }
    }
}

const void *stage_run(const conv_stage *g, const void *data, void *room) {
    if (!g->copied) return data;
    stage_job j = {g, data, room};
    int64_t grain = 32768 / (g->plane + 1);
    pool_parallel_for(g->planes, max64(1, grain), stage_planes, &j);
    return room;
}

void stage_of_x(conv_stage *g, const conv_shape *s) {
    *g = (conv_stage){.type = s->type, .planes = s->n * s->groups * s->ci};
    for (int d = 0; d < 3; d++) {
        int64_t residues = s->stride[d], a = s->dil[d] % s->stride[d];
        for (int64_t b = residues; a;) { /* the residues of t * dil repeat after stride / gcd(dil, stride) */
            int64_t rest = b % a;
            b = a, a = rest;
            if (!a) residues = s->stride[d] / b;
        }
        if (s->dil[d] % s->stride[d] == 0) residues = 1;
        g->size[d] = s->in[d];
        g->step[d] = s->stride[d];
        g->dil[d] = s->dil[d];
        g->pad[d] = s->pad[d];
        g->phases[d] = min64(s->k[d], residues);
        g->ext[d] = (s->k[d] - 1) * s->dil[d] / s->stride[d] + s->out[d];
        g->copied |= s->stride[d] > 1 || s->pad[d] > 0 || g->ext[d] > s->in[d];
    }
    if (!g->copied) memcpy(g->ext, g->size, sizeof g->ext);
    g->plane = volume(g->phases) * volume(g->ext);
}

/* ---- choosing ---- */

/* Whether loops do it: integers, nothing to do, or a workspace out of proportion. */
static int is_plain(const conv_shape *s) {
    if (s->type == CT_I64) return 1;
    double x = (double)s->n * (double)(s->groups * s->ci), y = (double)s->n * (double)(s->groups * s->co);
    double staged = x, full = x, result = y;
    for (int d = 0; d < 3; d++) {
        if (!s->in[d] || !s->out[d] || !s->k[d]) return 1;
        staged *= (double)s->out[d] * (double)s->stride[d] + (double)(s->k[d] - 1) * (double)s->dil[d];
        full *= (double)s->in[d];
        result *= (double)s->out[d] + (double)(s->k[d] - 1) * (double)s->dil[d];
    }
    double whole =
        full + y * (double)volume(s->out) + (double)(s->groups * s->co * s->ci) * (double)volume(s->k);
    return !s->n || !s->ci || !s->co || staged + result > 64 * whole + 65536;
}

size_t conv_workspace(const conv_shape *s, int what) {
    conv_room r = {0};
    if (is_plain(s)) return 0;
    if (what == CONV_Y) conv_y_product(s, &r, NULL, NULL, NULL, NULL);
    else if (what == CONV_X) conv_x_product(s, &r, NULL, NULL, NULL, NULL);
    else conv_w_sums(s, &r, NULL, NULL, NULL);
    return r.used;
}

void conv_y(const conv_shape *s, const void *x, const void *w, const void *bias, void *y, void *scratch) {
    conv_room r = {.base = scratch};
    if (is_plain(s)) conv_plain(s, CONV_Y, x, w, y, bias);
    else conv_y_product(s, &r, x, w, bias, y);
}

void conv_x(const conv_shape *s, const void *y, const void *w, const void *bias, void *x, void *scratch) {
    conv_room r = {.base = scratch};
    if (is_plain(s)) conv_plain(s, CONV_X, x, w, y, bias);
    else conv_x_product(s, &r, y, w, bias, x);
}

void conv_w(const conv_shape *s, const void *y, const void *x, void *w, void *scratch) {
    conv_room r = {.base = scratch};
    if (is_plain(s)) conv_plain(s, CONV_W, x, w, y, NULL);
    else conv_w_sums(s, &r, y, x, w);
}
