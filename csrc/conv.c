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

/* Row q < n of a dimension: which elements 0 <= first + q * step < size exist. */
static inline void existing(int64_t n, int64_t first, int64_t step, int64_t size, int64_t *lo, int64_t *hi) {
    *lo = first >= 0 ? 0 : min64(n, (-first + step - 1) / step);
    *hi = first >= size ? *lo : max64(*lo, min64(n, (size - 1 - first) / step + 1));
}

void stage_plane(const conv_stage *g, const void *from, void *to, int zeroed) {
    const conv_kernels *kernels = kern->conv[g->type];
    int64_t size = size_of(g->type), row = g->ext[2], lo[3], hi[3];
    char *out = to;
    if (!zeroed) memset(to, 0, (size_t)(g->plane * size));
    for (int64_t phase = 0; phase < volume(g->phases); phase++, out += volume(g->ext) * size) {
        int64_t part[3] = {phase / g->phases[2] / g->phases[1], phase / g->phases[2] % g->phases[1],
                           phase % g->phases[2]},
                first[3];
        for (int d = 0; d < 3; d++) {
            first[d] = part[d] * g->dil[d] % g->step[d] - g->pad[d];
            existing(g->ext[d], first[d], g->step[d], g->size[d], &lo[d], &hi[d]);
        }
        if (lo[2] >= hi[2]) continue;
        if (lo[1] >= hi[1]) continue;
        for (int64_t a = lo[0]; a < hi[0]; a++) {
            int64_t i = a * g->step[0] + first[0], j = lo[1] * g->step[1] + first[1];
            kernels->pick(
                hi[1] - lo[1], hi[2] - lo[2],
                at(from, (i * g->size[1] + j) * g->size[2] + first[2] + lo[2] * g->step[2], g->type),
                g->step[1] * g->size[2], g->step[2], out + ((a * g->ext[1] + lo[1]) * row + lo[2]) * size,
                row);
        }
    }
}

static void stage_planes(int64_t begin, int64_t end, void *ctx) {
    const stage_job *j = ctx;
    const conv_stage *g = j->g;
    int64_t size = size_of(g->type), in = volume(g->size);
    for (int64_t plane = begin; plane < end; plane++)
        stage_plane(g, j->from + plane * in * size, j->to + plane * g->plane * size, 0);
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

void stage_of_padding(conv_stage *g, const conv_shape *s) {
    *g = (conv_stage){.type = s->type, .planes = s->n * s->groups * s->ci};
    for (int d = 0; d < 3; d++) {
        g->size[d] = s->in[d];
        g->step[d] = g->dil[d] = g->phases[d] = 1;
        g->pad[d] = s->pad[d];
        g->ext[d] = (s->k[d] - 1) * s->dil[d] + (s->out[d] - 1) * s->stride[d] + 1;
        g->copied |= s->pad[d] > 0 || g->ext[d] > s->in[d];
    }
    if (!g->copied) memcpy(g->ext, g->size, sizeof g->ext);
    g->plane = volume(g->ext);
}

void stage_of_y(conv_stage *g, const conv_shape *s) {
    *g = (conv_stage){.type = s->type, .planes = s->n * s->groups * s->co};
    for (int d = 0; d < 3; d++) {
        int64_t lo = 0, end = s->out[d], e;
        for (int64_t t = 0; t < s->k[d]; t++) { /* of the rests, the one that tap t meets */
            int64_t r = (t * s->dil[d] - s->pad[d]) % s->stride[d];
            if (r < 0) r += s->stride[d];
            if (r >= s->in[d] || !tap_back(s, d, r, t, &e)) continue;
            lo = max64(lo, -e);
            end = max64(end, with_rest(s, d, r) + e);
        }
        g->size[d] = s->out[d];
        g->step[d] = g->dil[d] = g->phases[d] = 1;
        g->pad[d] = lo;
        g->ext[d] = lo + end;
        g->copied |= lo > 0 || end > s->out[d];
    }
    g->plane = volume(g->ext);
}

int64_t taps_of_rest(const conv_shape *s, const conv_stage *g, const int64_t *r, int64_t *off, int64_t *tap) {
    int64_t taps = 0, t[3], e[3];
    for (t[0] = 0; t[0] < s->k[0]; t[0]++)
        for (t[1] = 0; t[1] < s->k[1]; t[1]++)
            for (t[2] = 0; t[2] < s->k[2]; t[2]++) {
                int meets = 1;
                for (int d = 0; d < 3; d++) meets &= tap_back(s, d, r[d], t[d], &e[d]);
                if (!meets) continue;
                off[taps] =
                    ((e[0] + g->pad[0]) * g->ext[1] + e[1] + g->pad[1]) * g->ext[2] + e[2] + g->pad[2];
                tap[taps++] = (t[0] * s->k[1] + t[1]) * s->k[2] + t[2];
            }
    return taps;
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

/* Whether the kernel is as large as the image: a linear layer. */
static int is_linear(const conv_shape *s) {
    if (s->groups != 1) return 0;
    for (int d = 0; d < 3; d++)
        if (s->in[d] != s->k[d] || s->out[d] != 1 || s->pad[d] || (s->dil[d] != 1 && s->k[d] != 1)) return 0;
    return 1;
}

/* x [n, k], w [co, k] and y [n, co]. */
static void conv_linear(const conv_shape *s, int what, conv_room *r, const void *x, const void *w,
                        const void *y, const void *bias) {
    int64_t k = s->ci * volume(s->k);
    gemm_epilogue epi = {.bias = bias};
    gemm_args g = {.type = s->type, .epi = bias && what == CONV_Y ? &epi : NULL};
    if (what == CONV_Y)
        g.m = s->n, g.n = s->co, g.k = k, g.a = x, g.rsa = k, g.csa = 1, g.b = w, g.rsb = 1, g.csb = k,
        g.c = (void *)(uintptr_t)y;
    else if (what == CONV_X)
        g.m = s->n, g.n = k, g.k = s->co, g.a = y, g.rsa = s->co, g.csa = 1, g.b = w, g.rsb = k, g.csb = 1,
        g.c = (void *)(uintptr_t)x;
    else
        g.m = s->co, g.n = k, g.k = s->n, g.a = y, g.rsa = 1, g.csa = s->co, g.b = x, g.rsb = k, g.csb = 1,
        g.c = (void *)(uintptr_t)w;
    g.ldc = g.n;
    g.scratch = room_take(r, (int64_t)gemm_scratch(&g), 1);
    if (!w) return;
    gemm_run(&g);
    if (what != CONV_X || !bias) return;
    int64_t taps = volume(s->k); /* a value of the bias is for all taps of its channel */
    for (int64_t q = 0; q < s->n * k; q++) {
        if (s->type == CT_F32) ((float *)g.c)[q] += ((const float *)bias)[q / taps % s->ci];
        else ((double *)g.c)[q] += ((const double *)bias)[q / taps % s->ci];
    }
}

/* By the way that fits; `what` says which of x, w and y is written. Without pointers, only the room is
 * measured. */
static void compute(const conv_shape *s, int what, conv_room *r, const void *x, const void *w,
                    const void *bias, const void *y) {
    void *result = (void *)(uintptr_t)(what == CONV_Y ? y : what == CONV_X ? x : w);
    if (is_linear(s)) {
        conv_linear(s, what, r, x, w, y, bias);
    } else if (is_depthwise(s)) {
        if (what == CONV_Y) conv_y_depth(s, r, x, w, bias, result);
        else if (what == CONV_X) conv_x_depth(s, r, y, w, bias, result);
        else conv_w_depth(s, r, y, x, result);
    } else if (wino_fits(s, what)) {
        if (what == CONV_Y) conv_wino(s, what, r, x, w, bias, result);
        else if (what == CONV_X) conv_wino(s, what, r, y, w, bias, result);
        else conv_wino_w(s, r, y, x, result);
    } else if (dilated_fits(s, what)) {
        conv_dilated(s, what, r, x, w, y, bias);
    } else if (what != CONV_W && direct_fits(s, what)) {
        conv_direct(s, what, r, what == CONV_Y ? x : y, w, bias, result);
    } else {
        if (what == CONV_Y) conv_y_product(s, r, x, w, bias, result);
        else if (what == CONV_X) conv_x_product(s, r, y, w, bias, result);
        else conv_w_sums(s, r, y, x, result);
    }
}

size_t conv_workspace(const conv_shape *s, int what) {
    conv_room r = {0};
    if (!is_plain(s)) compute(s, what, &r, NULL, NULL, NULL, NULL);
    return r.used;
}

void conv_y(const conv_shape *s, const void *x, const void *w, const void *bias, void *y, void *scratch) {
    conv_room r = {.base = scratch};
    if (is_plain(s)) conv_plain(s, CONV_Y, x, w, y, bias);
    else compute(s, CONV_Y, &r, x, w, bias, y);
}

void conv_x(const conv_shape *s, const void *y, const void *w, const void *bias, void *x, void *scratch) {
    conv_room r = {.base = scratch};
    if (is_plain(s)) conv_plain(s, CONV_X, x, w, y, bias);
    else compute(s, CONV_X, &r, x, w, bias, y);
}

void conv_w(const conv_shape *s, const void *y, const void *x, void *w, void *scratch) {
    conv_room r = {.base = scratch};
    if (is_plain(s)) conv_plain(s, CONV_W, x, w, y, NULL);
    else compute(s, CONV_W, &r, x, w, NULL, y);
}
