/* Distributions with a parameter for each element (rng_shape.c): poisson, binomial, gamma and Dirichlet, and
 * the derivatives of a gamma or beta number by its shape. i[7] is the generator. */
#include <float.h>
#include <math.h>
#include "../core.h"
#include "../generator.h"
#include "../pool.h"
#include "declare.h"

enum { TILE = 256 };

static rng_state *draw_begin(const ad_call *c) {
    ad_generator *g = generator_of(c->at);
    pthread_mutex_lock(&g->lock);
    return &g->state;
}
static void draw_end(const ad_call *c) { pthread_mutex_unlock(&generator_of(c->at)->lock); }

static int not_for(const char *kernel, int dtype) {
    return ad_fail(AD_ERR_NOT_IMPLEMENTED, "\"%s\" not implemented for '%s'", kernel, dtype_class[dtype]);
}
static char *element(const ad_tensor *t, int64_t at) {
    return (char *)tensor_data(t) + at * dtype_size[t->dtype];
}
static void load(const ad_tensor *t, int64_t at, int64_t n, double *x) {
    dtype_loads[t->dtype][CT_F64](n, x, element(t, at), dtype_size[t->dtype]);
}
static void store(const ad_tensor *t, int64_t at, int64_t n, const double *x) {
    dtype_stores[t->dtype][CT_F64](n, element(t, at), dtype_size[t->dtype], x);
}

/* ---- poisson(rates) ---- */

static bool is_rate(double x) { return x >= 0; }

int poisson_infer(ad_call *c) {
    const ad_tensor *x = c->in[0];
    spec_like(&c->spec[0], x);
    if (!dtype_is_float(x->dtype)) return not_for("poisson_cpu", x->dtype);
    int fine = random_every(x, is_rate);
    if (fine == 0) ad_fail(AD_ERR_RUNTIME, "invalid Poisson rate, expected rate to be non-negative");
    return fine == 1 ? 0 : -1;
}

void poisson_run(const ad_call *c) {
    double x[TILE];
    rng_state *s = draw_begin(c);
    for (int64_t at = 0, left = c->out[0]->numel; left > 0; at += TILE, left -= TILE) {
        int64_t n = left < TILE ? left : TILE;
        load(c->in[0], at, n, x);
        rng_poisson(s, x, n);
        store(c->out[0], at, n, x);
    }
    draw_end(c);
}

/* ---- binomial(counts, probabilities) ---- */

int binomial_infer(ad_call *c) {
    const ad_tensor *n = c->in[0], *p = c->in[1];
    static const char *const name[2] = {"count", "prob"};
    for (int k = 0; k < 2; k++)
        if (!dtype_is_float(c->in[k]->dtype))
            return ad_fail(AD_ERR_VALUE, "binomial only supports floating-point dtypes for %s, got: %s",
                           name[k], dtype_class[c->in[k]->dtype]);
    if (n->dtype != p->dtype)
        return ad_fail(AD_ERR_RUNTIME, "Found dtype %s but expected %s", dtype_class[p->dtype],
                       dtype_class[n->dtype]);
    if (n->dtype != AD_F32 && n->dtype != AD_F64) return not_for("binomial_cpu", n->dtype);
    if (!tensor_same_sizes(n, p))
        return ad_fail(AD_ERR_RUNTIME, "binomial: counts of size %s and probabilities of size %s",
                       fmt_sizes(n->ndim, n->sizes), fmt_sizes(p->ndim, p->sizes));
    spec_like(&c->spec[0], n);
    return 0;
}

void binomial_run(const ad_call *c) {
    double x[TILE], p[TILE];
    rng_state *s = draw_begin(c);
    for (int64_t at = 0, left = c->out[0]->numel; left > 0; at += TILE, left -= TILE) {
        int64_t n = left < TILE ? left : TILE;
        load(c->in[0], at, n, x);
        load(c->in[1], at, n, p);
        rng_binomial(s, x, p, n, c->in[0]->dtype == AD_F32);
        store(c->out[0], at, n, x);
    }
    draw_end(c);
}

/* ---- standard_gamma(alpha) ---- */

static int float_only(ad_call *c, const char *kernel) {
    const ad_tensor *x = c->in[0];
    spec_like(&c->spec[0], x);
    for (int k = 0; k < c->nin; k++) {
        int d = c->in[k]->dtype;
        if (d != AD_F32 && d != AD_F64) return not_for(kernel, d);
        if (d != x->dtype || !tensor_same_sizes(c->in[k], x))
            return ad_fail(AD_ERR_RUNTIME, "%s: tensors of %s %s and %s %s", kernel, dtype_name[x->dtype],
                           fmt_sizes(x->ndim, x->sizes), dtype_name[d],
                           fmt_sizes(c->in[k]->ndim, c->in[k]->sizes));
    }
    return 0;
}

int standard_gamma_infer(ad_call *c) { return float_only(c, "gamma_cpu"); }

void standard_gamma_run(const ad_call *c) {
    double x[TILE];
    rng_state *s = draw_begin(c);
    for (int64_t at = 0, left = c->out[0]->numel; left > 0; at += TILE, left -= TILE) {
        int64_t n = left < TILE ? left : TILE;
        load(c->in[0], at, n, x);
        rng_gamma(s, x, n, c->in[0]->dtype == AD_F32);
        store(c->out[0], at, n, x);
    }
    draw_end(c);
}

void standard_gamma_vjp(ad_vjp *v) {
    ad_tensor *by = em2(&v->E, OP_standard_gamma_grad, vjp_in(v, 0), vjp_out(v, 0));
    v->gin[0] = em2(&v->E, OP_mul, v->g[0], by);
}

void standard_gamma_jvp(ad_jvp *j) {
    ad_tensor *by = em2(&j->E, OP_standard_gamma_grad, j->c->in[0], j->c->out[0]);
    j->tout[0] = em2(&j->E, OP_mul, j->t[0], by);
}

/* ---- sample_dirichlet(alpha): gamma numbers in double, divided by their sum along the last dimension ----
 */

int sample_dirichlet_infer(ad_call *c) { return float_only(c, "dirichlet"); }

size_t sample_dirichlet_scratch(const ad_call *c) {
    const ad_tensor *x = c->in[0];
    return (size_t)(x->ndim ? x->sizes[x->ndim - 1] : 1) * sizeof(double) + 8;
}

void sample_dirichlet_run(const ad_call *c) {
    const ad_tensor *x = c->in[0];
    int64_t n = x->ndim ? x->sizes[x->ndim - 1] : 1;
    double *row = c->scratch, least = x->dtype == AD_F32 ? (double)FLT_MIN : DBL_MIN;
    double most = x->dtype == AD_F32 ? 1 - 0x1p-24 : 1 - 0x1p-53; /* the last below 1 */
    rng_state *s = draw_begin(c);
    for (int64_t at = 0; at < x->numel; at += n) {
        double sum = 0;
        load(x, at, n, row);
        rng_gamma(s, row, n, 0);
        for (int64_t k = 0; k < n; k++) sum += row[k];
        for (int64_t k = 0; k < n; k++) {
            row[k] /= sum;
            row[k] = row[k] < least ? least : row[k] > most ? most : row[k];
        }
        store(c->out[0], at, n, row);
    }
    draw_end(c);
}

/* With t the sum of alpha: g_i = d_i (g_i - sum_j y_j g_j), where d_i is the derivative of a beta(alpha_i, t
 * - alpha_i) number by its first shape, divided by 1 - y_i (Jankowiak and Obermeyer, "Pathwise derivatives
 * beyond the reparameterization trick", 2018). */
void sample_dirichlet_vjp(ad_vjp *v) {
    ad_em *E = &v->E;
    ad_tensor *a = vjp_in(v, 0), *y = vjp_out(v, 0), *g = v->g[0];
    if (!a || !y) return;
    ad_tensor *sums[2] = {a, em2(E, OP_mul, y, g)};
    ad_attr last = {.i = {1, -1}, .list = (int64_t[]){a->ndim - 1}, .nlist = 1};
    for (int k = 0; k < 2 && a->ndim; k++)
        if (sums[k]) sums[k] = em_expand(E, em_op(E, OP_sum, 1, &sums[k], &last), a->ndim, a->sizes);
    ad_tensor *by = em3(E, OP_dirichlet_grad, y, a, sums[0]);
    v->gin[0] = em2(E, OP_mul, by, em2(E, OP_sub, g, sums[1]));
}

/* ---- derivatives of a number by the shape of its distribution ----
 *
 * A number x with distribution function F(x; a) moves with a by -(dF/da) / (dF/dx), which is an integral over
 * the tail below or above x: of (psi(a) - log t) f(t) / f(x) for the gamma distribution. With t = x exp(-v)
 * below and x exp(v) above, v runs from 0 to infinity and the integrand is smooth and falls fast; the
 * double-exponential rule of Takahasi and Mori (1974), v = scale exp(s - exp(-s)), sums it to about ten
 * digits. */

typedef struct tail {
    double x, y, a, b, psi; /* y = 1 - x */
} tail;

static double psi(double x) {
    double y;
    kern->ew[EW_digamma][CT_F64](1, &y, (const void *const[]){&x}, 0);
    return y;
}

static double gamma_below(double v, const tail *w) {
    return (w->psi - log(w->x) + v) * exp(-w->a * v - w->x * expm1(-v));
}
static double gamma_above(double v, const tail *w) {
    return (log(w->x) + v - w->psi) * exp(w->a * v - w->x * expm1(v));
}
static double beta_below(double v, const tail *w) {
    return (w->psi - log(w->x) + v) * exp(-w->a * v + (w->b - 1) * log1p(-w->x * expm1(-v) / w->y));
}
static double beta_above(double v, const tail *w) {
    return (log1p(-w->y * exp(-v)) - w->psi) * exp(-w->b * v + (w->a - 1) * log1p(-w->y * expm1(-v) / w->x));
}

static double integral(double (*f)(double, const tail *), double scale, const tail *w) {
    const double h = 1.0 / 10;
    double sum = 0;
    for (int k = -42; k < 140; k++) {
        double e = exp(-k * h), v = scale * exp(k * h - e), term = f(v, w) * v * (1 + e);
        if (!isfinite(term)) continue;
        sum += term;
        if (k > 0 && fabs(term) <= 1e-17 * fabs(sum)) break;
    }
    return sum * h;
}

static double gamma_by_shape(double a, double x) {
    tail w = {.x = x, .a = a, .psi = psi(a)};
    if (!(x > 0) || !(a > 0)) return a == a && x == x ? 0 : NAN;
    return x * integral(x < a ? gamma_below : gamma_above, 1 / (fabs(a - x) + sqrt(x)), &w);
}

static double beta_by_shape(double x, double a, double b) {
    tail w = {.x = x, .y = 1 - x, .a = a, .b = b, .psi = psi(a) - psi(a + b)};
    if (!(x > 0 && x < 1) || !(a > 0) || !(b > 0)) return a == a && b == b && x == x ? 0 : NAN;
    if (x < a / (a + b)) return x * integral(beta_below, 1 / (a + sqrt(x * b)), &w);
    return w.y * integral(beta_above, 1 / (b + sqrt(w.y * a)), &w);
}

/* standard_gamma_grad(alpha, x) */
int standard_gamma_grad_infer(ad_call *c) { return float_only(c, "gamma_grad_cpu"); }

static void gamma_grad_range(int64_t begin, int64_t end, void *ctx) {
    const ad_call *c = ctx;
    for (int64_t k = begin; k < end; k++) {
        double a, x;
        load(c->in[0], k, 1, &a);
        load(c->in[1], k, 1, &x);
        store(c->out[0], k, 1, &(double){gamma_by_shape(a, x)});
    }
}
void standard_gamma_grad_run(const ad_call *c) {
    pool_parallel_for(c->out[0]->numel, 64, gamma_grad_range, (void *)c);
}

/* dirichlet_grad(x, alpha, total) */
int dirichlet_grad_infer(ad_call *c) { return float_only(c, "dirichlet_grad_cpu"); }

static void dirichlet_grad_range(int64_t begin, int64_t end, void *ctx) {
    const ad_call *c = ctx;
    for (int64_t k = begin; k < end; k++) {
        double x, a, total;
        load(c->in[0], k, 1, &x);
        load(c->in[1], k, 1, &a);
        load(c->in[2], k, 1, &total);
        store(c->out[0], k, 1, &(double){x < 1 ? beta_by_shape(x, a, total - a) / (1 - x) : 0});
    }
}
void dirichlet_grad_run(const ad_call *c) {
    pool_parallel_for(c->out[0]->numel, 64, dirichlet_grad_range, (void *)c);
}
