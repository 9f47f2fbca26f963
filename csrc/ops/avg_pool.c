/* Average pooling: avg_pool, adaptive_avg_pool, and avg_pool_grad, the adjoint of both.
 *
 * Further attributes: i[3] = count_include_pad, i[4] = divisor_override, 0 for none. Both directions go row
 * by row: forward, the rows of the input that a row of windows covers are added up, then each window's
 * stretch of the sum; the gradient spreads each row of windows over a row of the input. */
#include <string.h>
#include "pooling.h"

enum { TILE = 512, LINE = 2048 };
static const char *const names[] = {"avg_pool1d", "avg_pool2d", "avg_pool3d"};
static const char *const adaptive_names[] = {"adaptive_avg_pool1d", "adaptive_avg_pool2d",
                                             "adaptive_avg_pool3d"};

int avg_pool_infer(ad_call *c) {
    pool_geo g;
    const char *name = names[c->at->i[0] - 1];
    int d = c->in[0]->dtype;
    if (pool_infer_windows(c, name, &g)) return -1;
    for (int i = 0; i < 3 && g.n == 3; i++)
        if (g.in[i] < g.k[i])
            return ad_fail(AD_ERR_RUNTIME, "avg_pool3d: input image %s smaller than kernel size %s",
                           fmt_sizes(3, g.in), fmt_sizes(3, g.k));
    if (!dtype_is_float(d) && d != AD_I64)
        return ad_fail(AD_ERR_NOT_IMPLEMENTED, "\"%s\" not implemented for '%s'", name, dtype_class[d]);
    return 0;
}
int adaptive_avg_pool_infer(ad_call *c) {
    const char *name = adaptive_names[c->at->i[0] - 1];
    int d = c->in[0]->dtype;
    if (pool_infer_adaptive(c, name)) return -1;
    if (!dtype_is_float(d))
        return ad_fail(AD_ERR_NOT_IMPLEMENTED, "\"%s\" not implemented for '%s'", name, dtype_class[d]);
    return 0;
}
int avg_pool_grad_infer(ad_call *c) { return pool_grad_infer(c); }

typedef struct avg_job {
    pool_geo g;
    int dtype, ct;
    bool native, pad;
    int64_t size, all;
    const char *x;
    char *out;
} avg_job;

/* Where window o of dimension d lies, and how many of its places count. */
static int64_t stretch(const avg_job *j, int d, int64_t o, int64_t *lo, int64_t *hi) {
    const pool_geo *g = &j->g;
    pool_span s = pool_span_of(g, d, o);
    *lo = s.first;
    *hi = s.end;
    if (g->adaptive || !j->pad) return s.end - s.first;
    int64_t first = o * g->s[d] - g->p[d], end = first + g->k[d], most = g->in[d] + g->p[d];
    return (end < most ? end : most) - first;
}

static void setup(avg_job *j, const ad_call *c, const ad_tensor *in, const ad_tensor *out) {
    *j = (avg_job){.g = pool_geo_of(c->at),
                   .dtype = in->dtype,
                   .ct = dtype_compute(in->dtype),
                   .native = in->dtype == AD_F32 || in->dtype == AD_F64 || in->dtype == AD_I64,
                   .pad = c->at->i[3] != 0,
                   .size = dtype_size[in->dtype],
                   .all = c->at->i[4]};
    pool_geo *g = &j->g;
    pool_geo_sizes(g, in, out);
}

typedef struct columns { /* a stretch of a row of windows: where each lies on the line */
    int64_t n, from, lo[TILE], hi[TILE], cols[TILE];
} columns;

/* Windows from o on, as many as fit on the line together; at least one. */
static void columns_forward(const avg_job *j, int64_t o, columns *c) {
    for (c->n = 0; c->n < TILE && o + c->n < j->g.out[2]; c->n++) {
        int64_t n = c->n;
        c->cols[n] = stretch(j, 2, o + n, &c->lo[n], &c->hi[n]);
        if (!n) c->from = c->lo[0];
        c->lo[n] -= c->from;
        c->hi[n] -= c->from;
        if (n && c->hi[n] > LINE) break;
    }
}
/* Windows from o on, where they meet `len` places of the input from `from` on. */
static void columns_back(const avg_job *j, int64_t o, int64_t from, int64_t len, columns *c) {
    c->n = j->g.out[2] - o < TILE ? j->g.out[2] - o : TILE;
    for (int64_t i = 0; i < c->n; i++) {
        c->cols[i] = stretch(j, 2, o + i, &c->lo[i], &c->hi[i]);
        c->lo[i] = c->lo[i] < from ? 0 : c->lo[i] - from;
        c->hi[i] = c->hi[i] < from + len ? c->hi[i] - from : len;
    }
}

/* line += n elements of x */
static void add_line(const avg_job *j, int64_t n, void *line, const char *x, bool first) {
    _Alignas(64) char tile[LINE * 8];
    if (first) {
        dtype_loads[j->dtype][j->ct](n, line, x, j->size);
        return;
    }
    if (!j->native) {
        dtype_loads[j->dtype][j->ct](n, tile, x, j->size);
        x = tile;
    }
    kern->ew[EW_add][j->ct](n, line, (const void *[]){line, x}, 0);
}

static void avg_rows(int64_t begin, int64_t end, void *ctx) {
    const avg_job *j = ctx;
    const pool_geo *g = &j->g;
    int64_t each = g->out[0] * g->out[1], cs = (int64_t)ct_size[j->ct];
    _Alignas(64) char line[LINE * 8], sums[TILE * 8];
    columns c;
    columns_forward(j, 0, &c);
    bool once = c.n == g->out[2];
    for (int64_t r = begin; r < end; r++) {
        int64_t d0, d1, h0, h1, rows = stretch(j, 0, r % each / g->out[1], &d0, &d1);
        rows *= stretch(j, 1, r % g->out[1], &h0, &h1);
        const char *plane = j->x + r / each * g->in_plane * j->size;
        char *out = j->out + r * g->out[2] * j->size;
        for (int64_t o = 0; o < g->out[2]; o += c.n) {
            if (!once) columns_forward(j, o, &c);
            int64_t w = c.hi[c.n - 1], most = w > LINE ? w : 0; /* one window that is longer than the line */
            int64_t divisor = j->all ? j->all : most ? rows * c.cols[0] : 0, zero = 0, one = 1;
            for (int64_t part = 0; part < w; part += LINE) {
                int64_t len = w - part < LINE ? w - part : LINE;
                bool first = true;
                for (int64_t d = d0; d < d1; d++)
                    for (int64_t h = h0; h < h1; h++, first = false)
                        add_line(j, len, line,
                                 plane + ((d * g->in[1] + h) * g->in[2] + c.from + part) * j->size, first);
                if (!most) {
                    kern->pool_sums[j->ct](c.n, line, c.lo, c.hi, c.cols, rows, divisor, sums);
                    break;
                }
                char *to = part ? sums + cs : sums;
                kern->pool_sums[j->ct](1, line, &zero, &len, &one, 1, 1, to);
                if (part) kern->ew[EW_add][j->ct](1, sums, (const void *[]){sums, to}, 0);
                if (part + LINE >= w) kern->pool_sums[j->ct](1, sums, &zero, &one, &one, 1, divisor, sums);
            }
            dtype_stores[j->dtype][j->ct](c.n, out + o * j->size, j->size, sums);
        }
    }
}

/* ---- the common windows ---- */

/* Windows that are all of the plane. */
static bool one_window(const pool_geo *g) {
    for (int d = 0; d < 3; d++)
        if (g->out[d] != 1 || (!g->adaptive && (g->k[d] != g->in[d] || g->p[d]))) return false;
    return true;
}
static double divisor_of(const avg_job *j) {
    const pool_geo *g = &j->g;
    return (double)(j->all ? j->all : g->adaptive ? g->in_plane : g->k[0] * g->k[1] * g->k[2]);
}
static void avg_all(int64_t begin, int64_t end, void *ctx) {
    const avg_job *j = ctx;
    kern->pool_avg_all[j->ct](end - begin, j->g.in_plane, j->x + begin * j->g.in_plane * j->size,
                              divisor_of(j), j->out + begin * j->size);
}
static void avg_all_grad(int64_t begin, int64_t end, void *ctx) {
    const avg_job *j = ctx;
    kern->pool_avg_all_grad[j->ct](end - begin, j->g.in_plane, j->x + begin * j->size, divisor_of(j),
                                   j->out + begin * j->g.in_plane * j->size);
}
static void avg_pairs(int64_t begin, int64_t end, void *ctx) {
    const avg_job *j = ctx;
    const pool_geo *g = &j->g;
    int64_t rows = g->out[1], n = g->out[2], width = g->in[2], high = g->n == 2 ? 2 : 1;
    for (int64_t p = begin; p < end; p++)
        kern->pool_avg_2x2[j->ct](rows, n, j->x + p * g->in_plane * j->size, high * width,
                                  high == 2 ? width : 0, divisor_of(j), j->out + p * g->out_plane * j->size);
}
static void avg_pairs_grad(int64_t begin, int64_t end, void *ctx) {
    const avg_job *j = ctx;
    const pool_geo *g = &j->g;
    int64_t rows = g->out[1], n = g->out[2], width = g->in[2], high = g->n == 2 ? 2 : 1;
    for (int64_t p = begin; p < end; p++) {
        char *out = j->out + p * g->in_plane * j->size;
        kern->pool_avg_2x2_grad[j->ct](rows, n, j->x + p * g->out_plane * j->size, divisor_of(j), out,
                                       high * width, high == 2 ? width : 0, width);
        memset(out + high * rows * width * j->size, 0, (size_t)((g->in[1] - high * rows) * width * j->size));
    }
}

/* ---- small planes: window by window ---- */

enum { SMALL = 256 };

typedef struct windows { /* where those of each dimension lie, and what they count */
    int64_t lo[3][SMALL], hi[3][SMALL], count[3][SMALL];
} windows;
static void windows_of(const avg_job *j, windows *w) {
    for (int d = 0; d < 3; d++)
        for (int64_t o = 0; o < j->g.out[d]; o++)
            w->count[d][o] = stretch(j, d, o, &w->lo[d][o], &w->hi[d][o]);
}
static bool is_small(const avg_job *j) {
    return (j->dtype == AD_F32 || j->dtype == AD_F64) && j->g.in_plane <= SMALL && j->g.out_plane <= SMALL &&
           j->g.out[2] < 16;
}

/* Of each window, its divisor and the places that it covers. */
#define EACH_WINDOW(T, before, each, after)                                                                  \
    for (int64_t p = begin; p < end; p++) {                                                                  \
        T *in = (T *)plane + p * g->in_plane, *result = (T *)pooled + p * g->out_plane;                      \
        before;                                                                                              \
        for (int64_t z = 0; z < g->out[0]; z++)                                                              \
            for (int64_t y = 0; y < g->out[1]; y++)                                                          \
                for (int64_t o = 0; o < g->out[2]; o++, result++) {                                          \
                    T d = (T)(j->all ? j->all : w.count[0][z] * w.count[1][y] * w.count[2][o]), s = 0;       \
                    T share = *result / d;                                                                   \
                    (void)share;                                                                             \
                    for (int64_t a = w.lo[0][z]; a < w.hi[0][z]; a++)                                        \
                        for (int64_t b = w.lo[1][y]; b < w.hi[1][y]; b++) {                                  \
                            T *row = in + (a * g->in[1] + b) * g->in[2];                                     \
                            for (int64_t i = w.lo[2][o]; i < w.hi[2][o]; i++) each;                          \
                        }                                                                                    \
                    after;                                                                                   \
                }                                                                                            \
    }

static void small_avg(int64_t begin, int64_t end, void *ctx) {
    const avg_job *j = ctx;
    const pool_geo *g = &j->g;
    const char *plane = j->x;
    char *pooled = j->out;
    windows w;
    windows_of(j, &w);
    if (j->ct == CT_F32) {
        EACH_WINDOW(float, , s += row[i], *result = s / d)
    } else {
        EACH_WINDOW(double, , s += row[i], *result = s / d)
    }
}
static void small_spread(int64_t begin, int64_t end, void *ctx) {
    const avg_job *j = ctx;
    const pool_geo *g = &j->g;
    char *plane = j->out;
    const char *pooled = j->x;
    windows w;
    windows_of(j, &w);
    if (j->ct == CT_F32) {
        EACH_WINDOW(float, memset(in, 0, (size_t)g->in_plane * sizeof *in), row[i] += share, (void)s)
    } else {
        EACH_WINDOW(double, memset(in, 0, (size_t)g->in_plane * sizeof *in), row[i] += share, (void)s)
    }
}

static void avg_run(const ad_call *c) {
    avg_job j;
    if (!c->out[0]->numel) return;
    setup(&j, c, c->in[0], c->out[0]);
    j.x = tensor_data(c->in[0]);
    j.out = tensor_data(c->out[0]);
    pool_geo *g = &j.g;
    bool all = one_window(g), floats = j.dtype == AD_F32 || j.dtype == AD_F64;
    if (floats && (all || pool_pairs(g, j.dtype))) {
        int64_t grain = 16384 / g->in_plane;
        pool_parallel_for(g->planes, grain ? grain : 1, all ? avg_all : avg_pairs, &j);
        return;
    }
    if (is_small(&j)) {
        pool_parallel_for(g->planes, 16384 / (g->in_plane + 4 * g->out_plane), small_avg, &j);
        return;
    }
    double rows = g->adaptive
                      ? (double)g->in[0] * (double)g->in[1] / ((double)g->out[0] * (double)g->out[1]) + 1
                      : (double)g->k[0] * (double)g->k[1];
    double work = (double)g->in[2] * (rows + 1) + (double)g->out[2] + 16;
    int64_t grain = work > 16384 ? 1 : (int64_t)(16384 / work);
    pool_parallel_for(c->out[0]->numel / g->out[2], grain, avg_rows, &j);
}
void avg_pool_run(const ad_call *c) { avg_run(c); }
void adaptive_avg_pool_run(const ad_call *c) { avg_run(c); }

static void avg_vjp(ad_vjp *v) {
    int64_t list[POOL_LIST];
    ad_attr at = pool_grad_attr(v->at, vjp_meta(v, 0), list);
    v->gin[0] = vjp_tied(v, 0, em_op(&v->E, OP_avg_pool_grad, 1, &v->g[0], &at));
}
void avg_pool_vjp(ad_vjp *v) { avg_vjp(v); }
void adaptive_avg_pool_vjp(ad_vjp *v) { avg_vjp(v); }

/* ---- avg_pool_grad(g) ---- */

/* Each row of the input's gradient gathers from the rows of windows over it: any size, any dtype. */
static void spread_rows(int64_t begin, int64_t end, void *ctx) {
    const avg_job *j = ctx;
    const pool_geo *g = &j->g;
    int64_t each = g->in[0] * g->in[1], cs = (int64_t)ct_size[j->ct];
    _Alignas(64) char line[LINE * 8], tile[TILE * 8];
    columns c;
    bool once = g->out[2] <= TILE && g->in[2] <= LINE;
    if (once) columns_back(j, 0, 0, g->in[2], &c);
    for (int64_t r = begin; r < end; r++) {
        int64_t z = r % each / g->in[1], y = r % g->in[1];
        const char *plane = j->x + r / each * g->out_plane * j->size;
        for (int64_t part = 0; part < g->in[2]; part += LINE) {
            int64_t len = g->in[2] - part < LINE ? g->in[2] - part : LINE;
            memset(line, 0, (size_t)(len * cs));
            for (int64_t d = 0; d < g->out[0]; d++) {
                int64_t d0, d1, across = stretch(j, 0, d, &d0, &d1);
                if (z < d0 || z >= d1) {
                    if (d0 > z) break;
                    continue;
                }
                int64_t h = g->adaptive || g->k[1] > y + g->p[1] ? 0 : (y + g->p[1] - g->k[1]) / g->s[1] + 1;
                for (; h < g->out[1]; h++) {
                    int64_t h0, h1, rows = across * stretch(j, 1, h, &h0, &h1);
                    if (h0 > y) break;
                    if (y >= h1) continue;
                    for (int64_t o = 0; o < g->out[2]; o += c.n) {
                        if (!once) columns_back(j, o, part, len, &c);
                        const char *x = plane + ((d * g->out[1] + h) * g->out[2] + o) * j->size;
                        if (!j->native) {
                            dtype_loads[j->dtype][j->ct](c.n, tile, x, j->size);
                            x = tile;
                        }
                        kern->pool_spread[j->ct](c.n, x, c.lo, c.hi, c.cols, rows, j->all, line);
                    }
                }
            }
            dtype_stores[j->dtype][j->ct](len, j->out + (r * g->in[2] + part) * j->size, j->size, line);
        }
    }
}

enum { MARGIN = 64 };

/* Each row of windows is spread over a line, which is added to the rows of the input that it covers. */
static void spread_planes(int64_t begin, int64_t end, void *ctx) {
    const avg_job *j = ctx;
    const pool_geo *g = &j->g;
    int64_t cs = j->size, cols[LINE], lo[LINE], hi[LINE];
    _Alignas(64) char line[LINE * 8], shares[(LINE + 2 * MARGIN) * 8];
    memset(shares, 0, sizeof shares);
    for (int64_t o = 0; o < g->out[2]; o++) cols[o] = stretch(j, 2, o, &lo[o], &hi[o]);
    for (int64_t p = begin; p < end; p++) {
        char *plane = j->out + p * g->in_plane * cs;
        memset(plane, 0, (size_t)(g->in_plane * cs));
        for (int64_t r = 0; r < g->out[0] * g->out[1]; r++) {
            int64_t d0, d1, h0, h1, rows = stretch(j, 0, r / g->out[1], &d0, &d1);
            const char *x = j->x + (p * g->out_plane + r * g->out[2]) * cs;
            rows *= stretch(j, 1, r % g->out[1], &h0, &h1);
            if (g->adaptive) {
                memset(line, 0, (size_t)(g->in[2] * cs));
                kern->pool_spread[j->ct](g->out[2], x, lo, hi, cols, rows, j->all, line);
            } else {
                kern->pool_shares[j->ct](g->out[2], x, cols, rows, j->all, shares + MARGIN * cs);
                kern->pool_spread_taps[j->ct](g->in[2], g->k[2], g->s[2], g->p[2], shares + MARGIN * cs,
                                              line);
            }
            for (int64_t d = d0; d < d1; d++)
                for (int64_t h = h0; h < h1; h++) {
                    char *to = plane + (d * g->in[1] + h) * g->in[2] * cs;
                    kern->ew[EW_add][j->ct](g->in[2], to, (const void *[]){to, line}, 0);
                }
        }
    }
}

void avg_pool_grad_run(const ad_call *c) {
    avg_job j;
    if (!c->out[0]->numel) return;
    setup(&j, c, c->out[0], c->in[0]);
    j.x = tensor_data(c->in[0]);
    j.out = tensor_data(c->out[0]);
    if (!c->in[0]->numel) {
        memset(j.out, 0, (size_t)c->out[0]->numel * (size_t)j.size);
        return;
    }
    pool_geo *g = &j.g;
    bool all = one_window(g), pairs = pool_pairs(g, j.dtype), floats = j.dtype == AD_F32 || j.dtype == AD_F64;
    if (!all && !pairs && is_small(&j)) {
        pool_parallel_for(g->planes, 16384 / (g->in_plane + 4 * g->out_plane), small_spread, &j);
        return;
    }
    if (floats && (all || pairs || (g->in[2] <= LINE && g->out[2] <= LINE && g->k[2] < MARGIN))) {
        int64_t grain = 8192 / (g->in_plane + g->out_plane);
        pool_parallel_for(g->planes, grain ? grain : 1,
                          all     ? avg_all_grad
                          : pairs ? avg_pairs_grad
                                  : spread_planes,
                          &j);
        return;
    }
    int64_t grain = 8192 / (g->in[2] + g->out[2]);
    pool_parallel_for(c->out[0]->numel / g->in[2], grain ? grain : 1, spread_rows, &j);
}
void avg_pool_grad_vjp(ad_vjp *v) {
    ad_attr at = *v->at;
    at.nlist -= at.i[0];
    v->gin[0] = em_op(&v->E, at.i[2] == POOL_ADAPTIVE ? OP_adaptive_avg_pool : OP_avg_pool, 1, &v->g[0], &at);
}
