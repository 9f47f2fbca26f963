/* Convolution by loops as the formula has them: for integers, and for what would take too much workspace. */
#include "conv_internal.h"

#include "pool.h"

typedef struct job {
    const conv_shape *s;
    const void *x, *w, *y, *bias;
} job;

/* The positions p, `lo` to `hi` - 1, of dimension d whose tap t lies in the image. */
static void inside(const conv_shape *s, int d, int64_t t, int64_t *lo, int64_t *hi) {
    int64_t at = t * s->dil[d] - s->pad[d]; /* of position 0 */
    *lo = at >= 0 ? 0 : (-at + s->stride[d] - 1) / s->stride[d];
    int64_t last = s->in[d] - 1 - at;
    *hi = last < 0 ? 0 : last / s->stride[d] + 1;
    if (*hi > s->out[d]) *hi = s->out[d];
}

/* For one tap and one pair of planes, every row of positions: body sees xr, yr and n, step = stride. */
#define EACH_ROW(T, XT, YT, xplane, yplane, body)                                                            \
    for (int64_t a = lo[0]; a < hi[0]; a++)                                                                  \
        for (int64_t b = lo[1]; b < hi[1]; b++) {                                                            \
            int64_t ia = a * s->stride[0] - s->pad[0] + t[0] * s->dil[0],                                    \
                    ib = b * s->stride[1] - s->pad[1] + t[1] * s->dil[1],                                    \
                    ic = lo[2] * s->stride[2] - s->pad[2] + t[2] * s->dil[2];                                \
            XT *xr = (xplane) + (ia * s->in[1] + ib) * s->in[2] + ic;                                        \
            YT *yr = (yplane) + (a * s->out[1] + b) * s->out[2] + lo[2];                                     \
            int64_t n = hi[2] - lo[2], step = s->stride[2];                                                  \
            body                                                                                             \
        }

#define EACH_TAP(body)                                                                                       \
    for (t[0] = 0; t[0] < s->k[0]; t[0]++)                                                                   \
        for (t[1] = 0; t[1] < s->k[1]; t[1]++)                                                               \
            for (t[2] = 0; t[2] < s->k[2]; t[2]++) {                                                         \
                int64_t lo[3], hi[3];                                                                        \
                for (int d = 0; d < 3; d++) inside(s, d, t[d], &lo[d], &hi[d]);                              \
                if (lo[2] >= hi[2]) continue;                                                                \
                int64_t tap = (t[0] * s->k[1] + t[1]) * s->k[2] + t[2];                                      \
                body                                                                                         \
            }

#define PLAIN(T, name)                                                                                       \
    static void plain_y_##name(int64_t begin, int64_t end, void *ctx) { /* planes of y */                    \
        const job *j = ctx;                                                                                  \
        const conv_shape *s = j->s;                                                                          \
        int64_t in = volume(s->in), out = volume(s->out), taps = volume(s->k), t[3];                         \
        for (int64_t u = begin; u < end; u++) {                                                              \
            int64_t o = u % (s->groups * s->co), image = u / (s->groups * s->co), group = o / s->co;         \
            T *y = (T *)j->y + u * out;                                                                      \
            T start = j->bias ? ((const T *)j->bias)[o] : 0;                                                 \
            for (int64_t p = 0; p < out; p++) y[p] = start;                                                  \
            for (int64_t c = 0; c < s->ci; c++) {                                                            \
                const T *x = (const T *)j->x + ((image * s->groups + group) * s->ci + c) * in;               \
                const T *w = (const T *)j->w + (o * s->ci + c) * taps;                                       \
                EACH_TAP(T k = w[tap]; EACH_ROW(T, const T, T, x, y, {                                       \
                             for (int64_t p = 0; p < n; p++) yr[p] += k * xr[p * step];                      \
                         }))                                                                                 \
            }                                                                                                \
        }                                                                                                    \
    }                                                                                                        \
    static void plain_x_##name(int64_t begin, int64_t end, void *ctx) { /* planes of x */                    \
        const job *j = ctx;                                                                                  \
        const conv_shape *s = j->s;                                                                          \
        int64_t in = volume(s->in), out = volume(s->out), taps = volume(s->k), t[3];                         \
        for (int64_t u = begin; u < end; u++) {                                                              \
            int64_t channel = u % (s->groups * s->ci), image = u / (s->groups * s->ci);                      \
            int64_t group = channel / s->ci, c = channel % s->ci;                                            \
            T *x = (T *)j->x + u * in;                                                                       \
            T start = j->bias ? ((const T *)j->bias)[channel] : 0;                                           \
            for (int64_t p = 0; p < in; p++) x[p] = start;                                                   \
            for (int64_t o = group * s->co; o < (group + 1) * s->co; o++) {                                  \
                const T *y = (const T *)j->y + (image * s->groups * s->co + o) * out;                        \
                const T *w = (const T *)j->w + (o * s->ci + c) * taps;                                       \
                EACH_TAP(T k = w[tap]; EACH_ROW(T, T, const T, x, y, {                                       \
                             for (int64_t p = 0; p < n; p++) xr[p * step] += k * yr[p];                      \
                         }))                                                                                 \
            }                                                                                                \
        }                                                                                                    \
    }                                                                                                        \
    static void plain_w_##name(int64_t begin, int64_t end, void *ctx) { /* kernels of w */                   \
        const job *j = ctx;                                                                                  \
        const conv_shape *s = j->s;                                                                          \
        int64_t in = volume(s->in), out = volume(s->out), taps = volume(s->k), t[3];                         \
        for (int64_t u = begin; u < end; u++) {                                                              \
            int64_t o = u / s->ci, c = u % s->ci, group = o / s->co;                                         \
            T *w = (T *)j->w + u * taps;                                                                     \
            for (int64_t p = 0; p < taps; p++) w[p] = 0;                                                     \
            for (int64_t image = 0; image < s->n; image++) {                                                 \
                const T *x = (const T *)j->x + ((image * s->groups + group) * s->ci + c) * in;               \
                const T *y = (const T *)j->y + (image * s->groups * s->co + o) * out;                        \
                EACH_TAP(EACH_ROW(T, const T, const T, x, y, {                                               \
                    T sum = 0;                                                                               \
                    for (int64_t p = 0; p < n; p++) sum += yr[p] * xr[p * step];                             \
                    w[tap] += sum;                                                                           \
                }))                                                                                          \
            }                                                                                                \
        }                                                                                                    \
    }
PLAIN(float, f32)
PLAIN(double, f64)
PLAIN(uint64_t, i64) /* unsigned, so that overflow is defined */

static const pool_fn plain[3][CT_COUNT] = {{plain_y_f32, plain_y_f64, plain_y_i64},
                                           {plain_x_f32, plain_x_f64, plain_x_i64},
                                           {plain_w_f32, plain_w_f64, plain_w_i64}};

void conv_plain(const conv_shape *s, int what, const void *x, const void *w, const void *y,
                const void *bias) {
    job j = {s, x, w, y, bias};
    int64_t cy = s->groups * s->co, cx = s->groups * s->ci;
    int64_t units = what == CONV_Y ? s->n * cy : what == CONV_X ? s->n * cx : cy * s->ci;
    if (!units) return;
    /* multiply-adds of a unit, as a double: they may not fit an integer */
    double each = (double)volume(s->out) * (double)volume(s->k) *
                  (double)(what == CONV_Y   ? s->ci
                           : what == CONV_X ? s->co
                                            : s->n);
    pool_parallel_for(units, each >= 65536 ? 1 : max64(1, (int64_t)(65536 / (each + 1))),
                      plain[what][s->type], &j);
}
