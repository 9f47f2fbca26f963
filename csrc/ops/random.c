/* Random numbers: rows that draw from a generator (rng.h has the streams, docs/random.md states them).
 *
 * A fill has two forms: without inputs it makes a tensor (i[0] = dtype, list = sizes, and strides after
 * them when i[1] is set), with one input it is meant in place. i[7] is the generator. Elements are drawn
 * in memory order; a tensor with gaps is drawn into the workspace and dealt out. */
#include <float.h>
#include <math.h>
#include <string.h>
#include "../core.h"
#include "../generator.h"
#include "../pool.h"
#include "declare.h"

static const rng_type rng_of[AD_DTYPES] = {
    [AD_BOOL] = RNG_BOOL, [AD_U8] = RNG_U8,   [AD_I8] = RNG_I8,     [AD_I16] = RNG_I16, [AD_I32] = RNG_I32,
    [AD_I64] = RNG_I64,   [AD_F16] = RNG_F16, [AD_BF16] = RNG_BF16, [AD_F32] = RNG_F32, [AD_F64] = RNG_F64,
};
/* The C names of the types, as PyTorch's messages about bounds have them. */
static const char *const c_name[AD_DTYPES] = {
    [AD_BOOL] = "bool", [AD_U8] = "unsigned char", [AD_I8] = "signed char", [AD_I16] = "short",
    [AD_I32] = "int",   [AD_I64] = "long",         [AD_F16] = "c10::Half",  [AD_BF16] = "c10::BFloat16",
    [AD_F32] = "float", [AD_F64] = "double",
};

static rng_state *draw_begin(const ad_call *c) {
    ad_generator *g = generator_of(c->at);
    pthread_mutex_lock(&g->lock);
    return &g->state;
}
static void draw_end(const ad_call *c) { pthread_mutex_unlock(&generator_of(c->at)->lock); }

/* ---- layouts ---- */

/* Whether dimension a lies inside b in memory: 1 yes, -1 no, 0 undecided (expanded dimensions). */
static int inside(const ad_tensor *t, int a, int b) {
    int64_t x = t->strides[a], y = t->strides[b];
    if (!x || !y) return 0;
    if (x != y) return x < y ? 1 : -1;
    return t->sizes[a] > t->sizes[b] ? -1 : 0;
}

/* Gapless strides in the order in which t's own lie. Returns whether that is the contiguous order. */
static bool packed_strides(const ad_tensor *t, int64_t *strides) {
    int n = t->ndim, order[AD_MAXDIM]; /* the innermost first */
    for (int k = 0; k < n; k++) {
        int at = k, d = n - 1 - k;
        order[k] = d;
        for (int j = k - 1; j >= 0; j--) {
            int r = inside(t, order[j], order[at]);
            if (r > 0) break;
            if (r == 0) continue;
            int swap = order[j];
            order[j] = order[at];
            order[at] = swap;
            at = j;
        }
    }
    int64_t step = 1;
    bool plain = true;
    for (int k = 0; k < n; k++) {
        plain &= order[k] == n - 1 - k;
        strides[order[k]] = step;
        step *= t->sizes[order[k]] > 1 ? t->sizes[order[k]] : 1;
    }
    return plain;
}

/* A tensor struct over a buffer, with the sizes of `like`. */
typedef struct shadow {
    ad_tensor t;
    ad_storage s;
    int64_t strides[AD_MAXDIM];
} shadow;

static void shadow_set(shadow *w, const ad_tensor *like, void *buffer, int dtype) {
    w->t = *like;
    w->s.data = buffer;
    w->t.storage = &w->s;
    w->t.offset = 0;
    w->t.dtype = (uint8_t)dtype;
    w->t.strides = w->strides;
}

static bool gapless(const ad_tensor *t) { return dims_dense(t->ndim, t->sizes, t->strides); }

size_t random_fill_scratch(const ad_call *c) {
    const ad_tensor *y = c->out[0];
    return gapless(y) ? 0 : (size_t)y->numel * dtype_size[y->dtype];
}

static void *draw_place(const ad_call *c) { return gapless(c->out[0]) ? tensor_data(c->out[0]) : c->scratch; }

static void deal_out(const ad_call *c) {
    ad_tensor *y = c->out[0];
    if (gapless(y)) return;
    shadow w;
    shadow_set(&w, y, c->scratch, y->dtype);
    packed_strides(y, w.strides);
    tensor_copy_data(y, &w.t);
}

static int fill_spec(ad_call *c) {
    ad_spec *s = &c->spec[0];
    const ad_attr *at = c->at;
    if (c->nin > 1) return ad_fail(AD_ERR_TYPE, "%s takes one tensor at most", c->op->name);
    if (c->nin) {
        spec_like(s, c->in[0]);
        return 0;
    }
    int64_t n = at->i[1] ? at->nlist / 2 : at->nlist;
    if (n > AD_MAXDIM)
        return ad_fail(AD_ERR_RUNTIME, "too many dimensions: %lld, the most is %d", (long long)n, AD_MAXDIM);
    s->dtype = (uint8_t)at->i[0];
    s->ndim = (uint8_t)n;
    for (int64_t d = 0; d < n; d++) s->sizes[d] = at->list[d];
    s->strided = at->i[1];
    for (int64_t d = 0; d < n && s->strided; d++) s->strides[d] = at->list[n + d];
    return 0;
}

static int not_for(const char *kernel, int dtype) {
    return ad_fail(AD_ERR_NOT_IMPLEMENTED, "\"%s\" not implemented for '%s'", kernel, dtype_class[dtype]);
}

/* What was there before does not matter, nor does anything that a drawn number came from. */
void random_vjp(ad_vjp *v) {
    for (int i = 0; i < v->nin; i++)
        if (vjp_needs(v, i))
            v->gin[i] = em_zeros(&v->E, vjp_meta(v, i)->dtype, vjp_meta(v, i)->ndim, vjp_meta(v, i)->sizes);
}
void random_jvp(ad_jvp *j) {
    const ad_tensor *y = j->c->out[0];
    j->tout[0] = em_zeros(&j->E, y->dtype, y->ndim, y->sizes);
}

/* ---- continuous fills: f[0], f[1] are the parameters ---- */

static double greatest_of(int dtype) {
    return dtype == AD_F16    ? 65504.0
           : dtype == AD_BF16 ? 0x1.fep127
           : dtype == AD_F32  ? (double)FLT_MAX
                              : DBL_MAX;
}

int uniform_infer(ad_call *c) {
    double from = c->at->f[0], to = c->at->f[1];
    if (fill_spec(c)) return -1;
    int dtype = c->spec[0].dtype;
    if (!dtype_is_float(dtype)) return not_for("check_uniform_bounds", dtype);
    double most = greatest_of(dtype);
    if (!(from >= -most && from <= most))
        return ad_fail(AD_ERR_RUNTIME, "from is out of bounds for %s", c_name[dtype]);
    if (!(to >= -most && to <= most))
        return ad_fail(AD_ERR_RUNTIME, "to is out of bounds for %s", c_name[dtype]);
    if (from > to)
        return ad_fail(AD_ERR_RUNTIME,
                       "uniform_ expects to return a [from, to) range, but found from=%g > to=%g", from, to);
    if (to - from > most)
        return ad_fail(
            AD_ERR_RUNTIME,
            "uniform_ expects to-from <= std::numeric_limits<%s>::max(), but found to=%g and from=%g which "
            "result in to-from to exceed the limit",
            dtype_class[dtype], to, from);
    return 0;
}

int normal_infer(ad_call *c) {
    if (!(c->at->f[1] >= 0))
        return ad_fail(AD_ERR_RUNTIME, "normal expects std >= 0.0, but found std %g", c->at->f[1]);
    if (fill_spec(c)) return -1;
    return dtype_is_float(c->spec[0].dtype) ? 0 : not_for("normal_kernel_cpu", c->spec[0].dtype);
}

int exponential_infer(ad_call *c) {
    if (fill_spec(c)) return -1;
    if (!dtype_is_float(c->spec[0].dtype))
        return ad_fail(AD_ERR_RUNTIME,
                       "Exponential distribution is a continuous probability distribution. dtype must be a "
                       "floating point but you specified %s",
                       dtype_class[c->spec[0].dtype]);
    return c->at->f[0] > 0 ? 0
                           : ad_fail(AD_ERR_RUNTIME, "exponential_ expects lambda > 0.0, but found lambda=%g",
                                     c->at->f[0]);
}

int cauchy_infer(ad_call *c) {
    if (fill_spec(c)) return -1;
    if (!(c->at->f[1] > 0))
        return ad_fail(AD_ERR_RUNTIME, "cauchy_ expects sigma > 0.0, but found sigma=%g", c->at->f[1]);
    if (!dtype_is_float(c->spec[0].dtype))
        return ad_fail(
            AD_ERR_RUNTIME,
            "Cauchy distribution is a continuous probability distribution. dtype must be a floating "
            "point but you specified %s",
            dtype_class[c->spec[0].dtype]);
    return 0;
}

int log_normal_infer(ad_call *c) {
    if (fill_spec(c)) return -1;
    if (!(c->at->f[1] > 0))
        return ad_fail(AD_ERR_RUNTIME, "log_normal_ expects std > 0.0, but found std=%g", c->at->f[1]);
    return dtype_is_float(c->spec[0].dtype) ? 0 : not_for("log_normal_cpu", c->spec[0].dtype);
}

#define FILL(name, draw)                                                                                     \
    void name##_run(const ad_call *c) {                                                                      \
        const ad_tensor *y = c->out[0];                                                                      \
        const double *f = c->at->f;                                                                          \
        rng_type t = rng_of[y->dtype];                                                                       \
        void *p = draw_place(c);                                                                             \
        rng_state *s = draw_begin(c);                                                                        \
        draw;                                                                                                \
        draw_end(c);                                                                                         \
        (void)f;                                                                                             \
        deal_out(c);                                                                                         \
    }
FILL(uniform, rng_uniform(s, t, p, y->numel, f[0], f[1]))
FILL(normal, tensor_is_contiguous(y) ? rng_normal(s, t, p, y->numel, f[0], f[1])
                                     : rng_normal_serial(s, t, p, y->numel, f[0], f[1]))
FILL(exponential, rng_exponential(s, t, p, y->numel, f[0]))
FILL(cauchy, rng_cauchy(s, t, p, y->numel, f[0], f[1]))
FILL(log_normal, rng_log_normal(s, t, p, y->numel, f[0], f[1]))

/* ---- discrete fills ---- */

int geometric_infer(ad_call *c) {
    double p = c->at->f[0];
    if (fill_spec(c)) return -1;
    if (!(p > 0 && p < 1))
        return ad_fail(AD_ERR_RUNTIME, "geometric_ expects p to be in (0, 1), but got p=%g", p);
    return c->spec[0].dtype == AD_BOOL ? not_for("geometric_cpu", AD_BOOL) : 0;
}
FILL(geometric, rng_geometric(s, t, p, y->numel, f[0]))

int bernoulli_infer(ad_call *c) {
    double p = c->at->f[0];
    if (fill_spec(c)) return -1;
    return p >= 0 && p <= 1
               ? 0
               : ad_fail(AD_ERR_RUNTIME, "bernoulli_ expects p to be in [0, 1], but got p=%g", p);
}
FILL(bernoulli, rng_bernoulli(s, t, p, y->numel, f[0]))

/* randint: i[2] = how the range is given (0: i[3] to i[4], that excluded; 1: from i[3] on; 2: all), i[3],
 * i[4] */
static int in_range(int dtype, int64_t v, const char *what) {
    double most = dtype_is_float(dtype) ? greatest_of(dtype) : 0;
    static const int64_t lo[AD_I64 + 1] = {0, 0, -128, -32768, INT32_MIN, INT64_MIN},
                                     hi[AD_I64 + 1] = {1, 255, 127, 32767, INT32_MAX, INT64_MAX};
    bool ok =
        dtype_is_float(dtype) ? (double)v >= -most && (double)v <= most : v >= lo[dtype] && v <= hi[dtype];
    return ok ? 0 : ad_fail(AD_ERR_RUNTIME, "%s is out of bounds for %s", what, c_name[dtype]);
}

int randint_infer(ad_call *c) {
    const int64_t *i = c->at->i;
    if (fill_spec(c)) return -1;
    int dtype = c->spec[0].dtype;
    if (i[2] == 2) return 0;
    if (i[2] == 0 && i[3] >= i[4])
        return ad_fail(AD_ERR_RUNTIME,
                       "random_ expects 'from' to be less than 'to', but got from=%lld >= to=%lld",
                       (long long)i[3], (long long)i[4]);
    if (in_range(dtype, i[3], "from") || (i[2] == 0 && in_range(dtype, i[4] - 1, "to - 1"))) return -1;
    return 0;
}

void randint_run(const ad_call *c) {
    const ad_tensor *y = c->out[0];
    const int64_t *i = c->at->i;
    void *p = draw_place(c);
    rng_type t = rng_of[y->dtype];
    rng_state *s = draw_begin(c);
    if (i[2] == 0) rng_randint(s, t, p, y->numel, i[3], i[4]);
    else if (i[2] == 1) rng_random_from(s, t, p, y->numel, i[3]);
    else rng_random(s, t, p, y->numel);
    draw_end(c);
    deal_out(c);
}

/* ---- with a tensor of parameters ---- */

/* Whether fn holds for every element; 1, 0, or -1 with the error set. */
int random_every(const ad_tensor *t, bool (*fn)(double)) {
    size_t bytes = (size_t)t->numel * sizeof(double);
    double tile[256], *all = NULL;
    shadow w;
    if (!tensor_is_contiguous(t)) {
        if (!(all = mem_alloc(bytes + 8))) return -1;
        shadow_set(&w, t, all, AD_F64);
        dims_contiguous_strides(t->ndim, t->sizes, w.strides);
        tensor_copy_data(&w.t, t);
        t = &w.t;
    }
    int ok = 1;
    for (int64_t at = 0; at < t->numel && ok; at += 256) {
        int64_t n = t->numel - at < 256 ? t->numel - at : 256;
        int64_t size = dtype_size[t->dtype];
        dtype_loads[t->dtype][CT_F64](n, tile, (char *)tensor_data(t) + at * size, size);
        for (int64_t k = 0; k < n; k++) ok &= fn(tile[k]);
    }
    if (all) mem_free(all, bytes + 8);
    return ok;
}

static bool is_probability(double p) { return p >= 0 && p <= 1; }
static bool is_weight(double p) { return p >= 0 && p < INFINITY; }
static bool is_deviation(double p) { return p >= 0; }

/* bernoulli_each(p), or in place (self, p): p broadcasts to self */
int bernoulli_each_infer(ad_call *c) {
    const ad_tensor *p = c->in[c->nin - 1];
    ad_spec *s = &c->spec[0];
    if (c->nin != 1 && c->nin != 2) return ad_fail(AD_ERR_TYPE, "bernoulli takes one or two tensors");
    if (c->nin == 2 && copy_infer(c)) return -1; /* the same rule of sizes */
    if (c->nin == 1) spec_like(s, p);
    if (!dtype_is_float(p->dtype)) return not_for("bernoulli_tensor_cpu_p_", p->dtype);
    int ok = random_every(p, is_probability);
    if (ok == 0)
        ad_fail(AD_ERR_RUNTIME, "Expected p_in >= 0 && p_in <= 1 to be true, but got false: bernoulli needs "
                                "probabilities in [0, 1]");
    return ok == 1 ? 0 : -1;
}

size_t bernoulli_each_scratch(const ad_call *c) {
    const ad_tensor *y = c->out[0], *p = c->in[c->nin - 1];
    return random_fill_scratch(c) + 64 + (size_t)y->numel * dtype_size[p->dtype];
}

/* t read as a tensor of y's sizes: strides 0 where it is broadcast. */
static void broadcast_view(shadow *w, const ad_tensor *t, const ad_tensor *y) {
    w->t = *t;
    w->t.ndim = y->ndim;
    w->t.sizes = y->sizes;
    w->t.numel = y->numel;
    w->t.strides = w->strides;
    int lead = y->ndim - t->ndim;
    for (int d = 0; d < y->ndim; d++)
        w->strides[d] = d < lead || (t->sizes[d - lead] == 1 && y->sizes[d] != 1) ? 0 : t->strides[d - lead];
}

void bernoulli_each_run(const ad_call *c) {
    const ad_tensor *y = c->out[0], *p = c->in[c->nin - 1];
    shadow from, to;
    if (!y->numel) return;
    char *room = (char *)c->scratch + ((random_fill_scratch(c) + 63) & ~(size_t)63);
    broadcast_view(&from, p, y);
    shadow_set(&to, y, room, p->dtype);
    packed_strides(y, to.strides);
    tensor_copy_data(&to.t, &from.t);
    void *place = draw_place(c);
    rng_bernoulli_each(draw_begin(c), rng_of[y->dtype], place, y->numel, rng_of[p->dtype], room);
    draw_end(c);
    deal_out(c);
}

/* normal_each(mean or none, std or none): f[0] and f[1] stand for the absent one */
int normal_each_infer(ad_call *c) {
    ad_tensor *mean = c->in[0], *std = c->in[1], *in[2];
    ad_spec *s = &c->spec[0];
    int n = 0, ndim;
    if (mean) in[n++] = mean;
    if (std) in[n++] = std;
    if (!n) return ad_fail(AD_ERR_TYPE, "normal needs a tensor of means or of standard deviations");
    if (!std && !(c->at->f[1] >= 0))
        return ad_fail(AD_ERR_RUNTIME, "normal expects std >= 0.0, but found std %g", c->at->f[1]);
    int ok = std ? random_every(std, is_deviation) : 1;
    if (ok == 0) ad_fail(AD_ERR_RUNTIME, "normal expects all elements of std >= 0.0");
    if (ok != 1 || broadcast_sizes(n, in, &ndim, s->sizes)) return -1;
    s->ndim = (uint8_t)ndim;
    s->dtype = in[0]->dtype;
    return dtype_is_float(s->dtype) ? 0 : not_for("normal_kernel_cpu", s->dtype);
}

size_t normal_each_scratch(const ad_call *c) { return (size_t)c->out[0]->numel * sizeof(double) + 8; }

/* y = y * t, or y + t, rounded to y's type. A float64 operand is computed with in double. */
static void combine(const ad_call *c, const ad_tensor *t, double scalar, bool multiply) {
    const ad_tensor *y = c->out[0];
    double *room = c->scratch, a[256];
    bool wide = y->dtype == AD_F64 || (t && t->dtype == AD_F64);
    int64_t size = dtype_size[y->dtype];
    if (t) {
        shadow from, to;
        broadcast_view(&from, t, y);
        shadow_set(&to, y, room, AD_F64);
        dims_contiguous_strides(y->ndim, y->sizes, to.strides);
        tensor_copy_data(&to.t, &from.t);
    }
    for (int64_t at = 0; at < y->numel; at += 256) {
        int64_t n = y->numel - at < 256 ? y->numel - at : 256;
        char *p = (char *)tensor_data(y) + at * size;
        dtype_loads[y->dtype][CT_F64](n, a, p, size);
        for (int64_t k = 0; k < n; k++) {
            double b = t ? room[at + k] : scalar;
            if (wide) a[k] = multiply ? a[k] * b : a[k] + b;
            else a[k] = multiply ? (float)a[k] * (float)b : (float)a[k] + (float)b;
        }
        dtype_stores[y->dtype][CT_F64](n, p, size, a);
    }
}

void normal_each_run(const ad_call *c) {
    const ad_tensor *y = c->out[0];
    if (!y->numel) return;
    rng_normal(draw_begin(c), rng_of[y->dtype], tensor_data(y), y->numel, 0, 1);
    draw_end(c);
    combine(c, c->in[1], c->at->f[1], true);
    combine(c, c->in[0], c->at->f[0], false);
}

/* ---- permutations and samples ---- */

int randperm_infer(ad_call *c) {
    const ad_attr *at = c->at;
    ad_spec *s = &c->spec[0];
    int dtype = (int)at->i[0];
    int64_t n = at->list[0];
    if (n < 0)
        return ad_fail(AD_ERR_RUNTIME, "Trying to create tensor with negative dimension %lld: [%lld]",
                       (long long)n, (long long)n);
    if (dtype == AD_BOOL) return not_for("randperm", dtype);
    if (dtype == AD_F16 && n > 2049)
        return ad_fail(AD_ERR_RUNTIME, "n cannot be greater than 2049 for Half type.");
    if (!dtype_is_float(dtype) && n > 0 && in_range(dtype, n - 1, "randperm: n - 1")) return -1;
    s->dtype = (uint8_t)dtype;
    s->ndim = 1;
    s->sizes[0] = n;
    return 0;
}
void randperm_run(const ad_call *c) {
    const ad_tensor *y = c->out[0];
    rng_randperm(draw_begin(c), rng_of[y->dtype], tensor_data(y), y->numel);
    draw_end(c);
}

/* multinomial(weights): i[0] = samples, i[1] = with replacement */
int multinomial_infer(ad_call *c) {
    const ad_tensor *w = c->in[0];
    ad_spec *s = &c->spec[0];
    int64_t samples = c->at->i[0];
    bool replacement = c->at->i[1];
    if (!dtype_is_float(w->dtype))
        return ad_fail(AD_ERR_RUNTIME, "multinomial only supports floating-point dtypes for input, got: %s",
                       dtype_class[w->dtype]);
    if (w->ndim < 1 || w->ndim > 2)
        return ad_fail(AD_ERR_RUNTIME, "prob_dist must be 1 or 2 dim, got size %s",
                       fmt_sizes(w->ndim, w->sizes));
    if (samples <= 0) return ad_fail(AD_ERR_RUNTIME, "cannot sample n_sample <= 0 samples");
    int64_t n = w->sizes[w->ndim - 1], rows = w->ndim == 2 ? w->sizes[0] : 1;
    if (!replacement && samples > n)
        return ad_fail(AD_ERR_RUNTIME,
                       "cannot sample n_sample > prob_dist.size(-1) samples without replacement");
    if (n > 1 << 24) return ad_fail(AD_ERR_RUNTIME, "number of categories cannot exceed 2^24");
    int ok = random_every(w, is_weight);
    if (ok == 0) ad_fail(AD_ERR_RUNTIME, "probability tensor contains either `inf`, `nan` or element < 0");
    if (ok != 1) return -1;
    for (int64_t r = 0; r < rows; r++) {
        double sum = 0, x;
        for (int64_t k = 0; k < n && !(sum > 0); k++) {
            int64_t at = (rows > 1 || w->ndim == 2 ? r * w->strides[0] : 0) + k * w->strides[w->ndim - 1];
            dtype_loads[w->dtype][CT_F64](1, &x, (char *)tensor_data(w) + at * dtype_size[w->dtype], 0);
            sum += x;
        }
        if (!(sum > 0))
            return ad_fail(AD_ERR_RUNTIME, "invalid multinomial distribution (sum of probabilities <= 0)");
    }
    s->dtype = AD_I64;
    s->ndim = w->ndim;
    s->sizes[0] = rows;
    s->sizes[w->ndim - 1] = samples;
    return 0;
}

size_t multinomial_scratch(const ad_call *c) {
    const ad_tensor *w = c->in[0];
    int64_t n = w->sizes[w->ndim - 1], rows = w->ndim == 2 ? w->sizes[0] : 1;
    return rng_multinomial_scratch(rng_of[w->dtype], rows, n, c->at->i[0], (int)c->at->i[1]);
}
void multinomial_run(const ad_call *c) {
    const ad_tensor *w = c->in[0], *y = c->out[0];
    int64_t n = w->sizes[w->ndim - 1], rows = w->ndim == 2 ? w->sizes[0] : 1;
    int status = rng_multinomial(draw_begin(c), rng_of[w->dtype], tensor_data(w), rows, n, tensor_data(y),
                                 c->at->i[0], (int)c->at->i[1], c->scratch);
    draw_end(c);
    if (status)
        memset(tensor_data(y), 0, (size_t)y->numel * sizeof(int64_t)); /* a replay on weights that are none */
}

/* ---- dropout(x) -> x * keep / (1 - p), keep: f[0] = p ---- */

int dropout_infer(ad_call *c) {
    const ad_tensor *x = c->in[0];
    if (!dtype_is_float(x->dtype))
        return ad_fail(AD_ERR_RUNTIME, "result type %s can't be cast to the desired output type %s",
                       dtype_class[dtype_default_float()], dtype_class[x->dtype]);
    for (int k = 0; k < 2; k++) {
        ad_spec *s = &c->spec[k];
        spec_like(s, x);
        s->strided = !packed_strides(x, s->strides);
    }
    c->spec[1].dtype = AD_BOOL;
    c->spec[1].nondiff = true;
    return 0;
}

typedef struct scaling {
    const ad_tensor *x, *keep, *y;
    double scale; /* 1 / (1 - p), rounded to the type */
} scaling;

static void scale_range(int64_t begin, int64_t end, void *ctx) {
    const scaling *w = ctx;
    const uint8_t *keep = tensor_data(w->keep);
    int dtype = w->y->dtype, ct = dtype_compute(dtype);
    if (dtype == AD_F32 || dtype == AD_F64) {
        int64_t size = dtype_size[dtype];
        kern->mask_scale[ct](end - begin, (char *)tensor_data(w->y) + begin * size,
                             (const char *)tensor_data(w->x) + begin * size, keep + begin, w->scale);
        return;
    }
    float tile[EW_TILE], scale = (float)w->scale;
    for (int64_t at = begin; at < end; at += EW_TILE) {
        int64_t n = end - at < EW_TILE ? end - at : EW_TILE;
        dtype_loads[dtype][ct](n, tile, (char *)tensor_data(w->x) + at * 2, 2);
        for (int64_t k = 0; k < n; k++) tile[k] *= keep[at + k] ? scale : 0.0f;
        dtype_stores[dtype][ct](n, (char *)tensor_data(w->y) + at * 2, 2, tile);
    }
}

/* Over the elements as they lie in memory: all three lie alike. */
static void scale_all(const ad_tensor *x, const ad_tensor *keep, const ad_tensor *y, double p) {
    scaling w = {x, keep, y, 1 / (1 - p)};
    char rounded[8];
    if (y->dtype != AD_F64) w.scale = 1 / (float)(1 - p);
    dtype_stores[y->dtype][CT_F64](1, rounded, 0, &w.scale);
    dtype_loads[y->dtype][CT_F64](1, &w.scale, rounded, 0);
    pool_parallel_for(y->numel, 1 << 15, scale_range, &w);
}

void dropout_run(const ad_call *c) {
    const ad_tensor *x = c->in[0], *keep = c->out[1];
    ad_tensor *y = c->out[0];
    rng_dropout_mask(draw_begin(c), tensor_data(keep), keep->numel, c->at->f[0]);
    draw_end(c);
    bool alike = dims_equal(x->ndim, x->strides, y->ndim, y->strides) ||
                 (tensor_is_contiguous(x) && tensor_is_contiguous(y));
    if (!alike) tensor_copy_data(y, x);
    scale_all(alike ? x : y, keep, y, c->at->f[0]);
}

static ad_tensor *em_scaled(ad_em *E, ad_tensor *g, ad_tensor *keep, const ad_attr *at) {
    ad_attr only = {.f = {at->f[0]}};
    return g && keep ? em_op(E, OP_dropout_scale, 2, (ad_tensor *[]){g, keep}, &only) : NULL;
}
void dropout_vjp(ad_vjp *v) { v->gin[0] = em_scaled(&v->E, v->g[0], vjp_out(v, 1), v->at); }
void dropout_jvp(ad_jvp *j) { j->tout[0] = em_scaled(&j->E, j->t[0], j->c->out[1], j->c->at); }

/* dropout_scale(g, keep): the gradient of dropout, and its own */
int dropout_scale_infer(ad_call *c) {
    spec_like(&c->spec[0], c->in[0]);
    if (!tensor_same_sizes(c->in[0], c->in[1]) || c->in[1]->dtype != AD_BOOL ||
        !dtype_is_float(c->in[0]->dtype))
        return ad_fail(
            AD_ERR_RUNTIME,
            "dropout_scale: a mask of size %s and dtype %s does not fit a tensor of size %s and dtype %s",
            fmt_sizes(c->in[1]->ndim, c->in[1]->sizes), dtype_name[c->in[1]->dtype],
            fmt_sizes(c->in[0]->ndim, c->in[0]->sizes), dtype_name[c->in[0]->dtype]);
    return 0;
}
void dropout_scale_run(const ad_call *c) { scale_all(c->in[0], c->in[1], c->out[0], c->at->f[0]); }
void dropout_scale_vjp(ad_vjp *v) { v->gin[0] = em_scaled(&v->E, v->g[0], vjp_in(v, 1), v->at); }
