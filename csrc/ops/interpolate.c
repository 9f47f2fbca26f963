/* Resampling to another size: nearest, linear and cubic, with or without antialiasing, over the last one, two
 * or three dimensions.
 *
 * Attributes: i[0] = number of dimensions n, i[1] = mode, i[2] = align_corners; f[0..n) = the scale factors
 * that were given, 0 for none; list = the n output sizes. In interpolate_grad the n input sizes follow.
 *
 * Each dimension is a sparse matrix: output position o is a weighted sum over neighbouring input positions
 * (its taps). The gradient is the same loop over the transposed matrices. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "../pool.h"
#include "declare.h"

enum {
    NEAREST,
    NEAREST_EXACT,
    LINEAR,
    CUBIC,
    SMOOTH_LINEAR,
    SMOOTH_CUBIC,
    SMOOTH_LANCZOS
}; /* smooth: antialiased */
enum { LINE = 2048, PAD = 4 };

static const char *const mode_names[] = {"nearest", "nearest-exact", "linear", "cubic",
                                         "linear",  "cubic",         "lanczos"};

/* ---- the taps of a dimension ---- */

typedef resample_line_taps taps;

typedef struct rule {
    int mode;
    bool align, f32, twice;
    int64_t in, out;
    double scale; /* input places an output place */
} rule;

static rule rule_of(const ad_attr *at, int d, int64_t in, int64_t out, bool f32) {
    rule r = {.mode = (int)at->i[1], .align = at->i[2] != 0, .f32 = f32, .in = in, .out = out};
    if (r.align) r.scale = out > 1 ? (double)(in - 1) / (double)(out - 1) : 0;
    else r.scale = at->f[d] > 0 ? 1 / at->f[d] : (double)in / (double)out;
    r.twice =
        r.mode == NEAREST && at->i[0] == 2 && out == 2 * in; /* in two dimensions PyTorch sees to that */
    /* PyTorch's places are computed in the type of the values, nearest ones always in single precision */
    if (r.align && f32) r.scale = out > 1 ? (float)(in - 1) / (float)(out - 1) : 0;
    else if (f32 || r.mode <= NEAREST_EXACT)
        r.scale = at->f[d] > 0 ? (float)(1 / at->f[d]) : (float)in / (float)out;
    return r;
}
static double support_of(const rule *r) {
    double half = r->mode == SMOOTH_LINEAR ? 1 : r->mode == SMOOTH_CUBIC ? 2 : 3;
    return r->scale > 1 ? half * r->scale : half;
}
static int64_t most_taps(const rule *r) {
    if (r->mode <= NEAREST_EXACT) return 1;
    if (r->mode == LINEAR) return 2;
    if (r->mode == CUBIC) return 4;
    double n = ceil(support_of(r)) * 2 + 1;
    return n < (double)r->in ? (int64_t)n : r->in;
}
static double cubic_near(double x, double a) { return ((a + 2) * x - (a + 3)) * x * x + 1; }
static double cubic_far(double x, double a) { return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a; }
static double sinc(double x) { return x == 0 ? 1 : sin(M_PI * x) / (M_PI * x); }
static double filter(int mode, double x) {
    x = fabs(x);
    if (mode == SMOOTH_LINEAR) return x < 1 ? 1 - x : 0;
    if (mode == SMOOTH_CUBIC) return x < 1 ? cubic_near(x, -0.5) : x < 2 ? cubic_far(x, -0.5) : 0;
    return x < 3 ? sinc(x) * sinc(x / 3) : 0;
}

/* The taps of output place o: places first, first + 1, ... of the input; returns how many. Linear and cubic
 * ones are always 2 and 4, where those beyond the end have no weight. */
static int64_t taps_at(const rule *r, int64_t o, int64_t *first, double *w) {
    int64_t last = r->in - 1;
    if (r->mode <= NEAREST_EXACT) {
        float x = r->mode == NEAREST ? (float)o * (float)r->scale : ((float)o + 0.5f) * (float)r->scale;
        int64_t i = x < (float)INT64_MAX ? (int64_t)x : last;
        *first = r->twice ? o / 2 : i < last ? i : last;
        w[0] = 1;
        return 1;
    }
    if (r->mode >= SMOOTH_LINEAR) {
        double center = r->scale * ((double)o + 0.5), support = support_of(r), sum = 0;
        int64_t lo = (int64_t)(center - support + 0.5), hi = (int64_t)(center + support + 0.5);
        if (lo < 0) lo = 0;
        if (lo > last) lo = last;
        if (hi > r->in) hi = r->in;
        if (hi - lo > most_taps(r)) hi = lo + most_taps(r);
        if (hi <= lo) hi = lo + 1;
        for (int64_t k = 0; k < hi - lo; k++) {
            w[k] = filter(r->mode, ((double)(k + lo) - center + 0.5) * (r->scale > 1 ? 1 / r->scale : 1));
            sum += w[k];
        }
        for (int64_t k = 0; k < hi - lo && sum != 0; k++) w[k] /= sum;
        *first = lo;
        return hi - lo;
    }
    double x;
    if (r->f32) {
        float s = (float)r->scale, p = r->align ? s * (float)o : s * ((float)o + 0.5f) - 0.5f;
        x = p;
    } else x = r->align ? r->scale * (double)o : r->scale * ((double)o + 0.5) - 0.5;
    if (r->mode == LINEAR) {
        if (x < 0) x = 0;
        int64_t i = (int64_t)x;
        if (i > last) i = last;
        double t = x - (double)i;
        if (t > 1) t = 1;
        *first = i;
        w[0] = i == last ? 1 : 1 - t;
        w[1] = i == last ? 0 : t;
        return 2;
    }
    double at = floor(x), t = x - at;
    if (at > (double)last) at = (double)last; /* beyond any tap's reach it makes no difference */
    if (at < -2) at = -2;
    double c[4] = {cubic_far(t + 1, -0.75), cubic_near(t, -0.75), cubic_near(1 - t, -0.75),
                   cubic_far(2 - t, -0.75)};
    int64_t from = (int64_t)at - 1;
    *first = from < 0 ? 0 : from;
    for (int k = 0; k < 4; k++) w[k] = 0;
    for (int k = 0; k < 4; k++) { /* places beyond the ends are those at the ends */
        int64_t i = from + k;
        i = i < 0 ? 0 : i > last ? last : i;
        w[i - *first] += c[k];
    }
    return 4;
}

static size_t taps_bytes(const rule *r, bool transposed) {
    int64_t n = transposed ? r->in : r->out, most = most_taps(r);
    return (size_t)(2 * n + 1 + r->out * most + most) * 8 + 64;
}

static void put_weight(void *w, int64_t i, double v, bool f32) {
    if (f32) ((float *)w)[i] = (float)v;
    else ((double *)w)[i] = v;
}

/* Fills t in the memory at *room, of taps_bytes(), which it moves on. */
static void taps_set(taps *t, const rule *r, bool transposed, bool f32, char **room) {
    int64_t most = most_taps(r), n = transposed ? r->in : r->out;
    double *w = (double *)*room; /* of one place, at first */
    t->in = transposed ? r->out : r->in;
    t->out = n;
    t->first = (int64_t *)(w + most);
    t->at = t->first + n;
    t->w = t->at + n + 1;
    t->taps = 0;
    t->doubling = false;
    *room += taps_bytes(r, transposed);
    if (!transposed) {
        t->at[0] = 0;
        for (int64_t o = 0; o < n; o++) {
            int64_t count = taps_at(r, o, &t->first[o], w);
            for (int64_t k = 0; k < count; k++) put_weight(t->w, t->at[o] + k, w[k], f32);
            t->at[o + 1] = t->at[o] + count;
        }
        if (r->mode <= CUBIC) t->taps = most;
        t->doubling = r->mode == LINEAR && !r->align && r->out == 2 * r->in && r->scale == 0.5;
        return;
    }
    /* The outputs that read an input place are neighbours: first how many, then the weights. */
    int64_t first, place = 0;
    for (int64_t i = 0; i <= n; i++) t->at[i] = 0;
    for (int64_t i = 0; i < n; i++) t->first[i] = 0;
    for (int64_t o = 0; o < r->out; o++) {
        int64_t count = taps_at(r, o, &first, w);
        for (int64_t k = 0; k < count && first + k < n; k++)
            if (!t->at[first + k + 1]++) t->first[first + k] = o;
    }
    for (int64_t i = 0; i < n; i++) t->at[i + 1] += t->at[i];
    for (int64_t o = 0; o < r->out; o++) {
        int64_t count = taps_at(r, o, &first, w);
        for (int64_t k = 0; k < count && first + k < n; k++) {
            place = t->at[first + k] + o - t->first[first + k];
            put_weight(t->w, place, w[k], f32);
        }
    }
    bool one = true; /* the same weight for each, from one place */
    for (int64_t i = 0; i < n && one; i++) {
        one = t->at[i + 1] - t->at[i] == 1;
        if (one && f32) one = ((float *)t->w)[i] == ((float *)t->w)[0];
        else if (one) one = ((double *)t->w)[i] == ((double *)t->w)[0];
    }
    t->taps = one;
}

/* ---- the loop ---- */

typedef struct job {
    taps t[3];
    int64_t in_plane, out_plane, size;
    int dtype, ct;
    bool native, round;
    bool rows_alone; /* each row of the result is made of one row of the input, as it is */
    bool twice;      /* each place of a line is shown twice, side by side */
    int64_t step;    /* places of a line are shown at this distance; 0: not so */
    double scale;    /* the weight of each place of a line that has one tap */
    const char *x;
    char *out;
} job;

static double weight_of(const taps *t, int64_t i, int ct) {
    return ct == CT_F64 ? ((const double *)t->w)[i] : (double)((const float *)t->w)[i];
}

/* line = the rows of the input that output row (z, y) is made of, joined; places [from, from + n) of each */
static void join_rows(const job *j, const char *plane, int64_t z, int64_t y, int64_t from, int64_t n,
                      char *line) {
    const taps *a = &j->t[0], *b = &j->t[1];
    _Alignas(64) char tile[LINE * 8];
    bool first = true;
    for (int64_t d = 0; d < a->at[z + 1] - a->at[z]; d++)
        for (int64_t h = 0; h < b->at[y + 1] - b->at[y]; h++) {
            int64_t zi = a->first[z] + d, yi = b->first[y] + h;
            if (zi >= a->in || yi >= b->in) continue;
            double w = weight_of(a, a->at[z] + d, j->ct) * weight_of(b, b->at[y] + h, j->ct) * j->scale;
            const char *x = plane + ((zi * b->in + yi) * j->t[2].in + from) * j->size;
            if (!j->native) {
                dtype_loads[j->dtype][j->ct](n, tile, x, j->size);
                x = tile;
            }
            if (first && w == 1) memcpy(line, x, (size_t)n * ct_size[j->ct]);
            else kern->resample_add[j->ct](n, w, x, first, line);
            first = false;
        }
    if (first) memset(line, 0, (size_t)n * ct_size[j->ct]); /* nothing reads these rows */
}

static void store(const job *j, int64_t n, char *out, const void *sums) {
    float tile[LINE];
    if (j->round) { /* uint8 */
        for (int64_t i = 0; i < n; i++) {
            float v = floorf(((const float *)sums)[i] + 0.5f);
            tile[i] = v > 0 ? v < 255 ? v : 255 : 0;
        }
        sums = tile;
    }
    dtype_stores[j->dtype][j->ct](n, out, j->size, sums);
}

static void rows(int64_t begin, int64_t end, void *ctx) {
    const job *j = ctx;
    const taps *a = &j->t[0], *b = &j->t[1], *c = &j->t[2];
    _Alignas(64) char line[(LINE + PAD) * 8], sums[LINE * 8];
    int64_t each = a->out * b->out, cs = (int64_t)ct_size[j->ct];
    for (int64_t r = begin; r < end; r++) {
        int64_t z = r % each / b->out, y = r % b->out;
        const char *plane = j->x + r / each * j->in_plane * j->size;
        char *out = j->out + r * c->out * j->size;
        if (r > begin && y && a->taps == 1 && b->taps == 1 && b->first[y] == b->first[y - 1]) {
            memcpy(out, out - c->out * j->size, (size_t)(c->out * j->size)); /* as the row before */
            continue;
        }
        if (j->rows_alone || j->twice) {
            const char *row = plane + (a->first[z] * b->in + b->first[y]) * c->in * j->size;
            if (!j->rows_alone) {
                join_rows(j, plane, z, y, 0, c->in, line);
                row = line;
            }
            if (j->twice) kern->resample_twice[j->ct](c->in, row, out);
            else if (j->step)
                kern->conv[j->ct]->pick(1, c->out, row + c->first[0] * j->size, 0, j->step, out, 0);
            else kern->resample_line[j->ct](c->out, 1, row, 0, c->first, c->at, c->w, out);
            continue;
        }
        for (int64_t o = 0, n; o < c->out; o += n) {
            int64_t from = c->first[o], to = from + c->at[o + 1] - c->at[o];
            for (n = 1; n < LINE && o + n < c->out; n++) { /* as many as the line has room for */
                int64_t stop = c->first[o + n] + c->at[o + n + 1] - c->at[o + n];
                if (stop - from > LINE) break;
                if (stop > to) to = stop;
            }
            int64_t len = (to < c->in ? to : c->in) - from;
            if (len <= LINE) {
                join_rows(j, plane, z, y, from, len, line);
                memset(line + len * cs, 0, PAD * (size_t)cs);
                kern->resample_line[j->ct](n, c->taps, line, from, c->first + o, c->at + o, c->w, sums);
            } else { /* one output that more is read for: piece by piece */
                double sum = 0;
                for (int64_t k = 0; k < len; k += LINE) {
                    int64_t part = len - k < LINE ? len - k : LINE,
                            at[2] = {c->at[o] + k, c->at[o] + k + part};
                    double piece;
                    join_rows(j, plane, z, y, from + k, part, line);
                    kern->resample_line[j->ct](1, 0, line, from, c->first + o, at, c->w, sums);
                    piece = j->ct == CT_F64 ? *(double *)sums : (double)*(float *)sums;
                    sum += piece;
                }
                if (j->ct == CT_F64) *(double *)sums = sum;
                else *(float *)sums = (float)sum;
            }
            store(j, n, out + o * j->size, sums);
        }
    }
}

/* Where there are more rows to write than to read: along the lines first, then across, a band of rows at a
 * time. */
enum { BAND = 8192 };
static int64_t band_end(const job *j, int64_t y) { /* the rows of windows after y that a band has room for */
    const taps *b = &j->t[1];
    int64_t first = b->first[y], end = y;
    while (end < b->out) {
        int64_t stop = b->first[end] + b->at[end + 1] - b->at[end];
        if ((stop < b->in ? stop : b->in) - first > BAND / j->t[2].out) break;
        end++;
    }
    return end;
}
static bool in_bands(const job *j) {
    const taps *b = &j->t[1];
    if (!j->native || j->t[0].in > 1 || j->t[0].out > 1 || b->out < b->in || j->t[2].out > BAND) return false;
    for (int64_t y = 0; y < b->out; y++)
        if (b->at[y + 1] - b->at[y] > BAND / j->t[2].out || b->at[y + 1] == b->at[y]) return false;
    return true;
}
static void bands(int64_t begin, int64_t end, void *ctx) { /* rows of the result */
    const job *j = ctx;
    const taps *b = &j->t[1], *c = &j->t[2];
    _Alignas(64) char mid[BAND * 8];
    for (int64_t r = begin, n; r < end; r += n) {
        int64_t y = r % b->out, stop = band_end(j, y), last;
        n = (stop - y < end - r ? stop - y : end - r);
        last = b->first[y + n - 1] + b->at[y + n] - b->at[y + n - 1];
        kern->resample_band[j->ct](c, b, y, y + n, b->first[y], last < b->in ? last : b->in,
                                   j->x + r / b->out * j->in_plane * j->size, mid,
                                   j->out + r * c->out * j->size);
    }
}
/* The gradient of nearest neighbours at twice the size: sums of 2 x 2, or 2 x 2 x 2. */
static void pair_sums(int64_t begin, int64_t end, void *ctx) {
    const job *j = ctx;
    int64_t depth = j->t[0].in / j->t[0].out, h = j->t[1].out, w = j->t[2].out, row = w * j->size;
    _Alignas(64) char more[LINE * 8];
    for (int64_t p = begin; p < end; p++) { /* planes of the result */
        const char *x = j->x + p * depth * 4 * h * row;
        char *out = j->out + p * h * row;
        kern->pool_avg_2x2[j->ct](h, w, x, 4 * w, 2 * w, 1, out);
        for (int64_t y = 0; y < h && depth == 2; y++, out += row) {
            kern->pool_avg_2x2[j->ct](1, w, x + 4 * (h + y) * row, 4 * w, 2 * w, 1, more);
            kern->ew[EW_add][j->ct](w, out, (const void *[]){out, more}, 0);
        }
    }
}
/* Means of 2 x 2: linear interpolation to half the size. */
static void pair_means(int64_t begin, int64_t end, void *ctx) {
    const job *j = ctx;
    int64_t h = j->t[1].out, w = j->t[2].out;
    for (int64_t p = begin; p < end; p++)
        kern->pool_avg_2x2[j->ct](h, w, j->x + p * j->in_plane * j->size, 4 * w, 2 * w, 4,
                                  j->out + p * j->out_plane * j->size);
}

/* The gradient of nearest neighbours at a smaller size: most places get nothing, the others one value. */
static bool sparse(const taps *t) {
    for (int64_t i = 0; i < t->out; i++)
        if (t->at[i + 1] - t->at[i] > 1) return false;
    return true;
}
static void scatter_planes(int64_t begin, int64_t end, void *ctx) {
    const job *j = ctx;
    const taps *a = &j->t[0], *b = &j->t[1], *c = &j->t[2];
    static const double zeros[LINE];
    int64_t row = c->out * j->size;
    for (int64_t p = begin; p < end; p++) {
        const char *x = j->x + p * j->in_plane * j->size;
        char *out = j->out + p * j->out_plane * j->size;
        if (!j->twice) memset(out, 0, (size_t)(j->out_plane * j->size));
        for (int64_t z = 0; z < a->out; z++)
            for (int64_t y = 0; y < b->out; y++, out += row) {
                bool any = a->at[z + 1] > a->at[z] && b->at[y + 1] > b->at[y];
                const char *from = x + (a->first[z] * b->in + b->first[y]) * c->in * j->size;
                if (j->twice && any) kern->conv[j->ct]->zip(c->out, from, zeros, out);
                else if (j->twice) memset(out, 0, (size_t)row);
                else if (any && j->ct == CT_F32)
                    for (int64_t o = 0; o < c->in; o++) ((float *)out)[c->at[o]] = ((const float *)from)[o];
                else if (any)
                    for (int64_t o = 0; o < c->in; o++) ((double *)out)[c->at[o]] = ((const double *)from)[o];
            }
    }
}
/* Where each input's place is, in t->at; whether that is every other one from 0 on. */
static bool places_of_inputs(taps *t) {
    int64_t n = 0;
    bool other = t->out == 2 * t->in && t->out <= LINE;
    for (int64_t i = 0; i < t->out; i++) {
        if (t->at[i + 1] == t->at[i]) continue; /* at[n] was read already: n <= i */
        other &= i == 2 * n;
        t->at[n++] = i;
    }
    return other;
}
static bool doubled(const taps *t) { /* the transpose of two places for one */
    if (t->in != 2 * t->out) return false;
    for (int64_t i = 0; i < t->out; i++)
        if (t->first[i] != 2 * i || t->at[i + 1] - t->at[i] != 2) return false;
    return true;
}

/* ---- rows of the table ---- */

static const char *title(const ad_call *c, char *room, size_t n) {
    static const char *const linear[] = {"linear1d", "bilinear2d", "trilinear3d"};
    int64_t nd = c->at->i[0], mode = c->at->i[1];
    if (mode == LINEAR || mode == SMOOTH_LINEAR) snprintf(room, n, "upsample_%s", linear[nd - 1]);
    else if (mode == CUBIC || mode == SMOOTH_CUBIC) snprintf(room, n, "upsample_bicubic2d");
    else snprintf(room, n, "upsample_%s%dd", mode_names[mode], (int)nd);
    return room;
}

int interpolate_infer(ad_call *c) {
    const ad_tensor *x = c->in[0];
    ad_spec *s = &c->spec[0];
    int n = (int)c->at->i[0];
    char name[48];
    title(c, name, sizeof name);
    if (x->ndim != n + 2)
        return ad_fail(AD_ERR_RUNTIME,
                       "%s: expected a tensor of %d dimensions (batch, channels, sizes), got %s", name, n + 2,
                       fmt_sizes(x->ndim, x->sizes));
    if (!dtype_is_float(x->dtype) && x->dtype != AD_U8)
        return ad_fail(AD_ERR_NOT_IMPLEMENTED, "\"%s\" not implemented for '%s'", name,
                       dtype_class[x->dtype]);
    spec_like(s, x);
    for (int d = 0; d < n; d++) {
        int64_t in = x->sizes[2 + d], out = c->at->list[d];
        if (in < 1 || out < 1)
            return ad_fail(
                AD_ERR_RUNTIME,
                "%s: Input and output sizes should be greater than 0, but got input %s and output %s", name,
                fmt_sizes(n, x->sizes + 2), fmt_sizes(n, c->at->list));
        if (in > INT32_MAX || out > INT32_MAX)
            return ad_fail(AD_ERR_RUNTIME, "%s: sizes above 2^31 are not supported", name);
        s->sizes[2 + d] = out;
    }
    if (!x->sizes[1])
        return ad_fail(AD_ERR_RUNTIME,
                       "%s: Non-empty %dD data tensor expected but got a tensor with sizes %s", name, n + 2,
                       fmt_sizes(x->ndim, x->sizes));
    return 0;
}
int interpolate_grad_infer(ad_call *c) {
    int n = (int)c->at->i[0];
    spec_like(&c->spec[0], c->in[0]);
    dims_copy(c->spec[0].sizes + 2, c->at->list + n, n);
    return 0;
}

static rule rule_for(const ad_attr *at, int d, const ad_tensor *in, const ad_tensor *out) {
    int skip = 3 - (int)at->i[0]; /* dimensions in front that stay as they are */
    bool f32 = dtype_compute(in->dtype) != CT_F64;
    if (d < skip) return (rule){.mode = NEAREST, .in = 1, .out = 1, .scale = 1};
    return rule_of(at, d - skip, in->sizes[2 + d - skip], out->sizes[2 + d - skip], f32);
}
static size_t scratch(const ad_attr *at, const ad_tensor *in, const ad_tensor *out, bool transposed) {
    size_t bytes = 0;
    for (int d = 0; d < 3; d++) {
        rule r = rule_for(at, d, in, out);
        bytes += taps_bytes(&r, transposed);
    }
    return bytes;
}
size_t interpolate_scratch(const ad_call *c) { return scratch(c->at, c->in[0], c->out[0], false); }
size_t interpolate_grad_scratch(const ad_call *c) { return scratch(c->at, c->out[0], c->in[0], true); }

/* Linear, to half the size in both dimensions: weights of a half. */
static bool halved(const ad_attr *at, const ad_tensor *in, const ad_tensor *out) {
    for (int d = 1; d < 3; d++) {
        rule r = rule_for(at, d, in, out);
        if (r.mode != LINEAR || r.align || r.scale != 2 || r.in != 2 * r.out) return false;
    }
    return true;
}

static void run(const ad_call *c, const ad_tensor *small, const ad_tensor *big, bool transposed) {
    const ad_tensor *x = c->in[0];
    ad_tensor *out = c->out[0];
    char *room = c->scratch;
    if (!out->numel) return;
    job j = {.in_plane = 1,
             .out_plane = 1,
             .size = dtype_size[x->dtype],
             .dtype = x->dtype,
             .ct = x->dtype == AD_F64 ? CT_F64 : CT_F32,
             .native = x->dtype == AD_F32 || x->dtype == AD_F64,
             .round = x->dtype == AD_U8,
             .x = tensor_data(x),
             .out = tensor_data(out)};
    for (int d = 0; d < 3; d++) {
        rule r = rule_for(c->at, d, small, big);
        taps_set(&j.t[d], &r, transposed, j.ct == CT_F32, &room);
        j.in_plane *= j.t[d].in;
        j.out_plane *= j.t[d].out;
    }
    taps *t = &j.t[2];
    bool nearest = c->at->i[1] <= NEAREST_EXACT;
    int64_t plane = j.t[1].out * t->out, some = 16384 / (transposed ? 4 * plane : plane) + 1;
    if (transposed && nearest && c->at->i[0] >= 2 && j.native && doubled(&j.t[1]) && doubled(t) &&
        t->out <= LINE && (c->at->i[0] == 2 || doubled(&j.t[0]))) {
        pool_parallel_for(out->numel / plane, some, pair_sums, &j);
        return;
    }
    if (transposed && nearest && j.native && sparse(&j.t[0]) && sparse(&j.t[1]) && sparse(t)) {
        j.twice = places_of_inputs(t);
        pool_parallel_for(out->numel / j.out_plane, 16384 / j.out_plane + 1, scatter_planes, &j);
        return;
    }
    if (!transposed && j.native && c->at->i[0] == 2 && halved(c->at, small, big)) {
        pool_parallel_for(out->numel / plane, some, pair_means, &j);
        return;
    }
    j.scale = transposed && t->taps == 1 ? weight_of(t, 0, j.ct) : 1;
    j.rows_alone = j.native && t->taps == 1 && j.t[0].taps == 1 && j.t[1].taps == 1 &&
                   weight_of(&j.t[0], 0, j.ct) * weight_of(&j.t[1], 0, j.ct) * j.scale == 1;
    j.twice = j.native && t->taps == 1 && t->out == 2 * t->in && (j.rows_alone || t->in <= LINE);
    for (int64_t o = 0; o < t->out && j.twice; o++) j.twice = t->first[o] == o / 2;
    if (t->taps == 1 && t->out > 1) {
        j.step = t->first[1] - t->first[0];
        for (int64_t o = 1; o < t->out; o++)
            if (t->first[o] != t->first[0] + o * j.step) j.step = 0;
    }
    double work = (double)(t->in + 2 * t->out);
    int64_t grain = work > 16384 ? 1 : (int64_t)(16384 / work);
    bool banded = !j.twice && in_bands(&j);
    if (banded && grain < j.t[1].out)
        grain = j.t[1].out < 16 ? j.t[1].out : 16; /* bands share rows: few of them */
    pool_parallel_for(out->numel / t->out, grain, banded ? bands : rows, &j);
}
void interpolate_run(const ad_call *c) { run(c, c->in[0], c->out[0], false); }
void interpolate_grad_run(const ad_call *c) { run(c, c->out[0], c->in[0], true); }

void interpolate_vjp(ad_vjp *v) {
    int64_t list[6], n = v->at->i[0];
    const ad_meta *m = vjp_meta(v, 0);
    ad_attr at = *v->at;
    dims_copy(list, v->at->list, n);
    dims_copy(list + n, m->sizes + 2, n);
    at.list = list;
    at.nlist = 2 * n;
    v->gin[0] = em_op(&v->E, OP_interpolate_grad, 1, &v->g[0], &at);
}
void interpolate_grad_vjp(ad_vjp *v) {
    ad_attr at = *v->at;
    at.nlist = at.i[0];
    v->gin[0] = em_op(&v->E, OP_interpolate, 1, &v->g[0], &at);
}
