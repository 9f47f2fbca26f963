/* Max pooling: max_pool, adaptive_max_pool, and the two linear rows that their gradients are made of, which
 * are each other's adjoints: max_pool_grad adds g to the input's place that was chosen, max_pool_pick reads
 * there.
 *
 * Where an element came from is the second output. For windows of at most 255 places that only the gradient
 * reads it is a uint8, the place in the window (255: none); otherwise an int64, the place in the plane (-1:
 * none). */
#include <math.h>
#include <string.h>
#include "pooling.h"

enum { NOWHERE = 255, TILE = 256, ROOM = TILE * 8 + 64 };

static bool by_code(const ad_tensor *where) { return where->dtype == AD_U8; }

static int infer_where(ad_call *c, int dtype) {
    c->spec[1] = c->spec[0];
    c->spec[1].dtype = (uint8_t)dtype;
    c->spec[1].nondiff = true;
    return 0;
}
static const char *name_of(const ad_call *c, const char *const *names) { return names[c->at->i[0] - 1]; }
static const char *const max_names[] = {"max_pool1d", "max_pool2d", "max_pool3d"};
static const char *const adaptive_names[] = {"adaptive_max_pool1d", "adaptive_max_pool2d",
                                             "adaptive_max_pool3d"};

int max_pool_where_infer(ad_call *c) {
    pool_geo g;
    const char *name = name_of(c, max_names);
    if (pool_infer_windows(c, name, &g)) return -1;
    if (c->in[0]->dtype == AD_BOOL)
        return ad_fail(AD_ERR_NOT_IMPLEMENTED, "\"%s\" not implemented for '%s'", name,
                       dtype_class[c->in[0]->dtype]);
    return infer_where(c, AD_I64);
}
int max_pool_infer(ad_call *c) {
    if (max_pool_where_infer(c)) return -1;
    pool_geo g = pool_geo_of(c->at);
    double taps = (double)g.k[0] * (double)g.k[1] * (double)g.k[2];
    return infer_where(c, taps <= NOWHERE ? AD_U8 : AD_I64);
}
int adaptive_max_pool_infer(ad_call *c) {
    const char *name = name_of(c, adaptive_names);
    const ad_tensor *x = c->in[0];
    if (pool_infer_adaptive(c, name)) return -1;
    if (!dtype_is_float(x->dtype))
        return ad_fail(AD_ERR_NOT_IMPLEMENTED, "\"%s\" not implemented for '%s'", name,
                       dtype_class[x->dtype]);
    for (int d = x->ndim == c->at->i[0] + 2; d < x->ndim; d++)
        if (!x->sizes[d])
            return ad_fail(
                AD_ERR_RUNTIME,
                "%s(): Expected input to have non-zero size for non-batch dimensions, but input has "
                "sizes %s with dimension %d being empty",
                name, fmt_sizes(x->ndim, x->sizes), d);
    return infer_where(c, AD_I64);
}

/* ---- forward: rows of windows ---- */

typedef struct max_job {
    pool_geo g;
    int dtype, ct;
    bool native, code, lines; /* lines: window by window, not tap by tap */
    bool columns;             /* column by column */
    int64_t size;             /* of an element */
    const char *x;
    char *out, *where;
} max_job;

/* The place in the plane that tap t of the window at (z, y, j) is. */
static int64_t place_of(const pool_geo *g, int64_t t, int64_t z, int64_t y, int64_t j) {
    if (t < 0) return -1;
    int64_t w = t % g->k[2], h = t / g->k[2] % g->k[1], d = t / g->k[2] / g->k[1];
    d = d * g->d[0] + z * g->s[0] - g->p[0];
    h = h * g->d[1] + y * g->s[1] - g->p[1];
    w = w * g->d[2] + j * g->s[2] - g->p[2];
    return (d * g->in[1] + h) * g->in[2] + w;
}

/* One row of windows, each by itself: any size, any dtype. */
static void row_of_lines(const max_job *j, const char *plane, int64_t z, int64_t y, char *out, char *where) {
    const pool_geo *g = &j->g;
    pool_span a = pool_span_of(g, 0, z), b = pool_span_of(g, 1, y);
    _Alignas(64) char tile[ROOM], best[8];
    for (int64_t o = 0; o < g->out[2]; o++) {
        pool_span c = pool_span_of(g, 2, o);
        bool any = a.first < a.end && b.first < b.end && c.first < c.end;
        int64_t at = any ? (a.first * g->in[1] + b.first) * g->in[2] + c.first : -1;
        kern->pool_fill[j->ct](1, tile, -INFINITY);
        memcpy(best, tile, 8);
        bool whole =
            c.first == 0 && c.end == g->in[2] && c.step == 1 && b.step == 1; /* lines follow each other */
        for (int64_t d = a.first; d < a.end; d += a.step)
            for (int64_t h = b.first; h < b.end; h += whole ? b.end : b.step) {
                int64_t line = (d * g->in[1] + h) * g->in[2], n = (c.end - c.first + c.step - 1) / c.step;
                if (whole) n *= b.end - b.first;
                for (int64_t k = 0; k < n; k += TILE) {
                    int64_t part = n - k < TILE ? n - k : TILE, from = line + c.first + k * c.step;
                    const char *x = plane + from * j->size;
                    if (!j->native) dtype_loads[j->dtype][j->ct](part, tile, x, c.step * j->size);
                    kern->pool_max_line[j->ct](part, j->native ? x : tile, j->native ? c.step : 1, best, &at,
                                               from, c.step);
                }
            }
        dtype_stores[j->dtype][j->ct](1, out + o * j->size, 0, best);
        if (!j->code) ((int64_t *)where)[o] = at;
        else {
            int64_t w = at % g->in[2], h = at / g->in[2] % g->in[1], d = at / g->in[2] / g->in[1];
            w = (w - o * g->s[2] + g->p[2]) / g->d[2];
            h = (h - y * g->s[1] + g->p[1]) / g->d[1];
            d = (d - z * g->s[0] + g->p[0]) / g->d[0];
            ((uint8_t *)where)[o] = (uint8_t)(at < 0 ? NOWHERE : (d * g->k[1] + h) * g->k[2] + w);
        }
    }
}

static void set_code(int ct, void *code, int64_t i, int64_t v) {
    if (ct == CT_F32) ((float *)code)[i] = (float)v;
    else if (ct == CT_F64) ((double *)code)[i] = (double)v;
    else ((int64_t *)code)[i] = v;
}

/* One row of windows, all of them a tap at a time. */
static void row_of_taps(const max_job *j, const char *plane, int64_t z, int64_t y, char *out, char *where) {
    const pool_geo *g = &j->g;
    pool_span a = pool_span_of(g, 0, z), b = pool_span_of(g, 1, y);
    _Alignas(64) char best[ROOM], code[ROOM], tile[TILE * 8];
    int64_t flat[TILE], cs = (int64_t)ct_size[j->ct], s = g->s[2];
    bool rows = a.first < a.end && b.first < b.end;
    for (int64_t o = 0; o < g->out[2]; o += TILE) {
        int64_t n = g->out[2] - o < TILE ? g->out[2] - o : TILE;
        int64_t corner = rows ? (a.tap * g->k[1] + b.tap) * g->k[2] : -1;
        kern->pool_fill[j->ct](n, best, -INFINITY);
        kern->pool_fill[j->ct](n, code, (double)corner); /* where a window has nothing above -inf */
        for (int64_t i = 0; rows && i < n && (o + i) * s < g->p[2];
             i++) { /* windows that begin before the line */
            pool_span c = pool_span_of(g, 2, o + i);
            set_code(j->ct, code, i, c.first < c.end ? corner + c.tap : -1);
        }
        for (int64_t d = a.first, td = a.tap; d < a.end; d += a.step, td++)
            for (int64_t h = b.first, th = b.tap; h < b.end; h += b.step, th++)
                for (int64_t tw = 0; tw < g->k[2]; tw++) {
                    /* windows [lo, hi) of the tile have this tap inside the line */
                    int64_t w = o * s - g->p[2] + tw * g->d[2], lo = w < 0 ? (-w + s - 1) / s : 0;
                    int64_t hi = w >= g->in[2] ? 0 : (g->in[2] - 1 - w) / s + 1;
                    if (hi > n) hi = n;
                    if (lo >= hi) continue;
                    const char *x = plane + ((d * g->in[1] + h) * g->in[2] + w + lo * s) * j->size;
                    bool direct = j->native && s <= 2;
                    if (!direct) dtype_loads[j->dtype][j->ct](hi - lo, tile, x, s * j->size);
                    kern->pool_max_tap[j->ct](hi - lo, direct ? x : tile, direct ? s : 1, best + lo * cs,
                                              code + lo * cs, (td * g->k[1] + th) * g->k[2] + tw);
                }
        dtype_stores[j->dtype][j->ct](n, out + o * j->size, j->size, best);
        if (j->code) kern->pool_codes8[j->ct](n, code, (uint8_t *)where + o);
        else {
            kern->pool_codes64[j->ct](n, code, flat);
            for (int64_t i = 0; i < n; i++) ((int64_t *)where)[o + i] = place_of(g, flat[i], z, y, o + i);
        }
    }
}

/* One row of adaptive windows of floats: the largest of each column first, in vectors, and then of each
 * window's columns. Of equal values the first counts, of NaN the last, in the order of the plane. */
#define COLUMNS(T)                                                                                           \
    for (int64_t o = 0; o < g->out[2]; o++) {                                                                \
        const T *v = (const T *)best, *row = (const T *)code;                                                \
        pool_span c = pool_span_of(g, 2, o);                                                                 \
        int64_t k = c.first;                                                                                 \
        for (int64_t i = k + 1; i < c.end; i++) {                                                            \
            if (v[i] != v[i]) {                                                                              \
                if (v[k] == v[k] || row[i] >= row[k]) k = i;                                                 \
            } else if (v[i] > v[k] || (v[i] == v[k] && row[i] < row[k])) k = i;                              \
        }                                                                                                    \
        int64_t tap = (int64_t)row[k], d = a.first + tap / high, h = b.first + tap % high;                   \
        ((T *)out)[o] = v[k];                                                                                \
        where[o] = (d * g->in[1] + h) * g->in[2] + k;                                                        \
    }

static void row_of_columns(const max_job *j, const char *plane, int64_t z, int64_t y, char *out,
                           int64_t *where) {
    const pool_geo *g = &j->g;
    pool_span a = pool_span_of(g, 0, z), b = pool_span_of(g, 1, y);
    _Alignas(64) char best[ROOM], code[ROOM];
    int64_t n = g->in[2], high = b.end - b.first;
    kern->pool_fill[j->ct](n, best, -INFINITY);
    kern->pool_fill[j->ct](n, code, 0);
    for (int64_t d = a.first; d < a.end; d++)
        for (int64_t h = b.first; h < b.end; h++)
            kern->pool_max_tap[j->ct](n, plane + (d * g->in[1] + h) * n * j->size, 1, best, code,
                                      (d - a.first) * high + h - b.first);
    if (j->ct == CT_F32) {
        COLUMNS(float)
    } else {
        COLUMNS(double)
    }
}

static void max_rows(int64_t begin, int64_t end, void *ctx) {
    const max_job *j = ctx;
    const pool_geo *g = &j->g;
    int64_t each = g->out[0] * g->out[1], line = g->out[2];
    for (int64_t r = begin; r < end; r++) {
        int64_t z = r % each / g->out[1], y = r % g->out[1];
        const char *plane = j->x + r / each * g->in_plane * j->size;
        char *out = j->out + r * line * j->size, *where = j->where + r * line * (j->code ? 1 : 8);
        if (j->columns) row_of_columns(j, plane, z, y, out, (int64_t *)where);
        else if (j->lines) row_of_lines(j, plane, z, y, out, where);
        else row_of_taps(j, plane, z, y, out, where);
    }
}

static void max_pairs(int64_t begin, int64_t end, void *ctx) {
    const max_job *j = ctx;
    const pool_geo *g = &j->g;
    int64_t n = g->out[2], width = g->in[2], high = g->n == 2 ? 2 : 1;
    for (int64_t r = begin, rows; r < end; r += rows) {
        int64_t y = r % g->out[1];
        rows = g->out[1] - y < end - r ? g->out[1] - y : end - r;
        if (high * g->out[1] == g->in[1]) rows = end - r; /* planes follow without a gap */
        kern->pool_max_2x2[j->ct](rows, n, j->x + (r / g->out[1] * g->in_plane + y * high * width) * j->size,
                                  high * width, high == 2 ? width : 0, j->out + r * n * j->size,
                                  (uint8_t *)j->where + r * n);
    }
}

static void max_run(const ad_call *c) {
    const ad_tensor *x = c->in[0];
    if (!c->out[0]->numel) return;
    max_job j = {.g = pool_geo_of(c->at),
                 .dtype = x->dtype,
                 .ct = dtype_compute(x->dtype),
                 .native = x->dtype == AD_F32 || x->dtype == AD_F64 || x->dtype == AD_I64,
                 .code = by_code(c->out[1]),
                 .size = dtype_size[x->dtype],
                 .x = tensor_data(x),
                 .out = tensor_data(c->out[0]),
                 .where = tensor_data(c->out[1])};
    pool_geo *g = &j.g;
    pool_geo_sizes(g, x, c->out[0]);
    double taps = (double)g->k[0] * (double)g->k[1] * (double)g->k[2];
    j.lines = g->adaptive || taps > 65535 || g->out[2] < 4;
    j.columns = g->adaptive && (j.dtype == AD_F32 || j.dtype == AD_F64) && g->in[2] <= TILE &&
                g->in[0] * g->in[1] < 1 << 24;
    if (g->adaptive) taps = (double)g->in_plane / (double)g->out_plane;
    double work = (double)g->out[2] * (taps + 4);
    int64_t grain = work > 16384 ? 1 : (int64_t)(16384 / work), rows = c->out[0]->numel / g->out[2];
    pool_parallel_for(rows, grain, j.code && pool_pairs(g, j.dtype) ? max_pairs : max_rows, &j);
}
void max_pool_run(const ad_call *c) { max_run(c); }
void max_pool_where_run(const ad_call *c) { max_run(c); }
void adaptive_max_pool_run(const ad_call *c) { max_run(c); }

static void max_vjp(ad_vjp *v) {
    int64_t list[POOL_LIST];
    ad_tensor *where = vjp_out(v, 1);
    if (!v->g[0] || !where) return;
    ad_attr at = pool_grad_attr(v->at, vjp_meta(v, 0), list);
    v->gin[0] = vjp_tied(v, 0, em_op(&v->E, OP_max_pool_grad, 2, (ad_tensor *[]){v->g[0], where}, &at));
}
static void max_jvp(ad_jvp *j) {
    int64_t list[POOL_LIST];
    if (!j->t[0]) return;
    ad_meta m = {.ndim = j->c->in[0]->ndim, .sizes = j->c->in[0]->sizes};
    ad_attr at = pool_grad_attr(j->c->at, &m, list);
    j->tout[0] = em_op(&j->E, OP_max_pool_pick, 2, (ad_tensor *[]){j->t[0], j->c->out[1]}, &at);
}
void max_pool_vjp(ad_vjp *v) { max_vjp(v); }
void max_pool_where_vjp(ad_vjp *v) { max_vjp(v); }
void adaptive_max_pool_vjp(ad_vjp *v) { max_vjp(v); }
void max_pool_jvp(ad_jvp *j) { max_jvp(j); }
void max_pool_where_jvp(ad_jvp *j) { max_jvp(j); }
void adaptive_max_pool_jvp(ad_jvp *j) { max_jvp(j); }

/* ---- max_pool_grad(g, where) and max_pool_pick(x, where): plane by plane ---- */

typedef struct where_job {
    pool_geo g;
    int dtype;
    int64_t size;
    bool code, pairs;
    char *in, *out; /* of the input's size and of the output's */
    const char *where;
    int64_t place[NOWHERE + 1]; /* of each code, from where its window begins */
} where_job;

#define PLANES(type, one, read)                                                                              \
    for (int64_t p = begin; p < end; p++) {                                                                  \
        type *in = (type *)j->in + p * g->in_plane, *out = (type *)j->out + p * g->out_plane;                \
        if (!(read)) memset(in, 0, (size_t)g->in_plane * sizeof *in);                                        \
        else memset(out, 0, (size_t)g->out_plane * sizeof *out);                                             \
        if (j->code) {                                                                                       \
            const uint8_t *where = (const uint8_t *)j->where + p * g->out_plane;                             \
            for (int64_t z = 0, o = 0; z < g->out[0]; z++)                                                   \
                for (int64_t y = 0; y < g->out[1]; y++) {                                                    \
                    int64_t at = (z * g->s[0] - g->p[0]) * g->in[1] + y * g->s[1] - g->p[1];                 \
                    at = at * g->in[2] - g->p[2];                                                            \
                    for (int64_t w = 0; w < g->out[2]; w++, o++, at += g->s[2]) {                            \
                        if (where[o] == NOWHERE) continue;                                                   \
                        int64_t i = at + j->place[where[o]];                                                 \
                        one;                                                                                 \
                    }                                                                                        \
                }                                                                                            \
        } else {                                                                                             \
            const int64_t *where = (const int64_t *)j->where + p * g->out_plane;                             \
            for (int64_t o = 0; o < g->out_plane; o++) {                                                     \
                int64_t i = where[o];                                                                        \
                if (i < 0 || i >= g->in_plane) continue;                                                     \
                one;                                                                                         \
            }                                                                                                \
        }                                                                                                    \
    }

static void half_add(int dtype, uint16_t *to, const uint16_t *x) {
    float a, b;
    dtype_loads[dtype][CT_F32](1, &a, (const char *)to, 0);
    dtype_loads[dtype][CT_F32](1, &b, (const char *)x, 0);
    a += b;
    dtype_stores[dtype][CT_F32](1, (char *)to, 0, &a);
}

static void grad_planes(int64_t begin, int64_t end, void *ctx) {
    const where_job *j = ctx;
    const pool_geo *g = &j->g;
    if (j->pairs) {
        int64_t n = g->out[2], width = g->in[2], high = g->n == 2 ? 2 : 1, rows = g->out[1];
        for (int64_t p = begin; p < end; p++) {
            char *in = j->in + p * g->in_plane * j->size;
            kern->pool_max_2x2_grad[dtype_compute(j->dtype)](rows, n, j->out + p * rows * n * j->size,
                                                             (const uint8_t *)j->where + p * rows * n, in,
                                                             high * width, high == 2 ? width : 0, width);
            memset(in + high * rows * width * j->size, 0,
                   (size_t)((g->in[1] - high * rows) * width * j->size));
        }
    } else if (j->dtype == AD_F32) {
        PLANES(float, in[i] += out[o], false)
    } else if (j->dtype == AD_F64) {
        PLANES(double, in[i] += out[o], false)
    } else {
        PLANES(uint16_t, half_add(j->dtype, &in[i], &out[o]), false)
    }
}
static void pick_planes(int64_t begin, int64_t end, void *ctx) {
    const where_job *j = ctx;
    const pool_geo *g = &j->g;
    if (j->size == 2) {
        PLANES(uint16_t, out[o] = in[i], true)
    } else if (j->size == 4) {
        PLANES(uint32_t, out[o] = in[i], true)
    } else {
        PLANES(uint64_t, out[o] = in[i], true)
    }
}

static void where_run(const ad_call *c, const ad_tensor *in, const ad_tensor *out, pool_fn planes) {
    const ad_tensor *where = c->in[1];
    where_job j = {.g = pool_geo_of(c->at),
                   .dtype = in->dtype,
                   .size = dtype_size[in->dtype],
                   .code = by_code(where),
                   .in = tensor_data(in),
                   .out = tensor_data(out),
                   .where = tensor_data(where)};
    pool_geo *g = &j.g;
    pool_geo_sizes(g, in, out);
    if (!g->planes) return;
    j.pairs = j.code && pool_pairs(g, j.dtype) && g->out[2] >= 8;
    for (int64_t t = 0; j.code && t < g->k[0] * g->k[1] * g->k[2]; t++)
        j.place[t] =
            (t / g->k[2] / g->k[1] * g->d[0] * g->in[1] + t / g->k[2] % g->k[1] * g->d[1]) * g->in[2] +
            t % g->k[2] * g->d[2];
    int64_t grain = 16384 / (g->in_plane + g->out_plane + 1);
    pool_parallel_for(g->planes, grain ? grain : 1, planes, &j);
}

int max_pool_grad_infer(ad_call *c) { return pool_grad_infer(c); }
void max_pool_grad_run(const ad_call *c) { where_run(c, c->out[0], c->in[0], grad_planes); }
void max_pool_grad_vjp(ad_vjp *v) {
    ad_tensor *where = vjp_in(v, 1);
    if (v->g[0] && where)
        v->gin[0] = em_op(&v->E, OP_max_pool_pick, 2, (ad_tensor *[]){v->g[0], where}, v->at);
}
int max_pool_pick_infer(ad_call *c) {
    spec_like(&c->spec[0], c->in[1]);
    c->spec[0].dtype = c->in[0]->dtype;
    return 0;
}
void max_pool_pick_run(const ad_call *c) { where_run(c, c->in[0], c->out[0], pick_planes); }
void max_pool_pick_vjp(ad_vjp *v) {
    ad_tensor *where = vjp_in(v, 1);
    if (v->g[0] && where)
        v->gin[0] = em_op(&v->E, OP_max_pool_grad, 2, (ad_tensor *[]){v->g[0], where}, v->at);
}
