/* Special functions that PyTorch has without derivatives: Bessel and Airy functions, orthogonal polynomials.
 * One row, element by element in double precision: i[0] says which. Polynomials take the degree as a second
 * tensor of the same sizes, cut to an integer; a negative degree gives 0, as in PyTorch,
 * and a degree above a million NaN. */
#include <math.h>
#include "../pool.h"
#include "declare.h"

/* ---- modified Bessel functions of the second kind: the trapezoidal rule on the integral over t of
 * e^(-x cosh t) cosh(order t), which converges faster than any power of the step. Scaled by e^x. ---- */

static double scaled_k(double order, double x) {
    if (x != x || x < 0) return NAN;
    if (x == 0) return INFINITY;
    if (isinf(x)) return 0;
    double step = x < 1 ? 0.0625 : 0.0625 / sqrt(sqrt(x)), sum = 0.5;
    for (int k = 1; k < 100000; k++) {
        double t = step * k, s = sinh(0.5 * t), term = exp(-2 * x * s * s) * cosh(order * t);
        sum += term;
        if (term < 1e-18 * sum) break;
    }
    return sum * step;
}
static double k0(double x) { return scaled_k(0, x) * exp(-x); }
static double k1(double x) { return scaled_k(1, x) * exp(-x); }
static double scaled_k0(double x) { return scaled_k(0, x); }
static double scaled_k1(double x) { return scaled_k(1, x); }

/* ---- modified Bessel functions of the first kind: power series, then asymptotic series ---- */

static double bessel_i(int order, double x) {
    double a = fabs(x), s = 1, t = 1;
    if (isinf(a)) return order && x < 0 ? -INFINITY : INFINITY;
    if (a < 30) {
        double z = 0.25 * a * a;
        for (int k = 1; k < 200 && t > s * 1e-17; k++) s += t *= z / ((double)k * (k + order));
        return order ? 0.5 * x * s : s;
    }
    double mu = 4.0 * order * order, h = exp(0.5 * a);
    for (int k = 1; k < 30; k++) {
        t *= -(mu - (2.0 * k - 1) * (2 * k - 1)) / (8 * a * k);
        if (fabs(t) < 1e-17) break;
        s += t;
    }
    s = h * (s / sqrt(2 * M_PI * a)) * h;
    return order && x < 0 ? -s : s;
}
static double i0(double x) { return bessel_i(0, x); }
static double i1(double x) { return bessel_i(1, x); }

static double bessel_j0(double x) { return j0(x); }
static double bessel_j1(double x) { return j1(x); }
static double bessel_y0(double x) { return x == 0 ? -INFINITY : x < 0 ? NAN : y0(x); }
static double bessel_y1(double x) { return x == 0 ? -INFINITY : x < 0 ? NAN : y1(x); }
static double spherical_j0(double x) {
    if (isinf(x)) return 0;
    if (fabs(x) < 0.5) {
        double z = x * x, t = 1, s = 1;
        for (int k = 1; k < 10; k++) s += t *= -z / (2.0 * k * (2 * k + 1));
        return s;
    }
    return sin(x) / x;
}

/* ---- Airy's Ai: Maclaurin's series in the middle, K of order 1/3 on the right, the asymptotic series of
 * its modulus and phase on the left (Abramowitz and Stegun, 10.4) ---- */

static double airy_ai(double x) {
    if (isinf(x)) return x > 0 ? 0 : NAN;
    if (x > 2) {
        double z = 2.0 / 3 * x * sqrt(x);
        return sqrt(x / 3) / M_PI * scaled_k(1.0 / 3, z) * exp(-z);
    }
    if (x >= -6) {
        long double f = 1, g = x, a = 1, b = x, cube = (long double)x * x * x;
        for (int k = 1; k < 80; k++) {
            f += a *= cube / ((3.0L * k - 1) * (3.0L * k));
            g += b *= cube / ((3.0L * k) * (3.0L * k + 1));
        }
        return (double)(0.355028053887817239260063186004183177L * f -
                        0.258819403792806798405183560189203963L * g);
    }
    double z = 2.0 / 3 * -x * sqrt(-x), t = 1, sums[2] = {1, 0}; /* of the even and the odd terms */
    for (int k = 1; k < 30; k++) {
        double next = t * (6.0 * k - 5) * (6.0 * k - 3) * (6.0 * k - 1) / (216.0 * k * (2 * k - 1) * z);
        if (next > t || next < 1e-18) break;
        t = next;
        sums[k % 2] += k % 4 < 2 ? t : -t;
    }
    double phase = z - 0.25 * M_PI;
    return (cos(phase) * sums[0] + sin(phase) * sums[1]) / (sqrt(M_PI) * sqrt(sqrt(-x)));
}

/* ---- polynomials, by their recurrences, in the precision of the result ---- */

#define HIGHEST_DEGREE 1000000
enum { CHEBYSHEV, HERMITE, HERMITE_E, LAGUERRE, LEGENDRE };

#define FLOAT double
#define F(name) name##_f64
#define LIBM(name) name
#include "polynomials.h"
#undef FLOAT
#undef F
#undef LIBM
#define FLOAT float
#define F(name) name##_f32
#define LIBM(name) name##f
#include "polynomials.h"

/* ---- the row ---- */

static const struct function {
    const char *name;
    double (*one)(double x);
    double (*two)(double x, double n);
    float (*two_f32)(float x, float n);
} functions[] = {
    {"airy_ai", .one = airy_ai},
    {"bessel_j0", .one = bessel_j0},
    {"bessel_j1", .one = bessel_j1},
    {"bessel_y0", .one = bessel_y0},
    {"bessel_y1", .one = bessel_y1},
    {"modified_bessel_i0", .one = i0},
    {"modified_bessel_i1", .one = i1},
    {"modified_bessel_k0", .one = k0},
    {"modified_bessel_k1", .one = k1},
    {"scaled_modified_bessel_k0", .one = scaled_k0},
    {"scaled_modified_bessel_k1", .one = scaled_k1},
    {"spherical_bessel_j0", .one = spherical_j0},
    {"chebyshev_polynomial_t", .two = chebyshev_t_f64, .two_f32 = chebyshev_t_f32},
    {"chebyshev_polynomial_u", .two = chebyshev_u_f64, .two_f32 = chebyshev_u_f32},
    {"chebyshev_polynomial_v", .two = chebyshev_v_f64, .two_f32 = chebyshev_v_f32},
    {"chebyshev_polynomial_w", .two = chebyshev_w_f64, .two_f32 = chebyshev_w_f32},
    {"shifted_chebyshev_polynomial_t", .two = shifted_t_f64, .two_f32 = shifted_t_f32},
    {"shifted_chebyshev_polynomial_u", .two = shifted_u_f64, .two_f32 = shifted_u_f32},
    {"shifted_chebyshev_polynomial_v", .two = shifted_v_f64, .two_f32 = shifted_v_f32},
    {"shifted_chebyshev_polynomial_w", .two = shifted_w_f64, .two_f32 = shifted_w_f32},
    {"hermite_polynomial_h", .two = hermite_h_f64, .two_f32 = hermite_h_f32},
    {"hermite_polynomial_he", .two = hermite_he_f64, .two_f32 = hermite_he_f32},
    {"laguerre_polynomial_l", .two = laguerre_l_f64, .two_f32 = laguerre_l_f32},
    {"legendre_polynomial_p", .two = legendre_p_f64, .two_f32 = legendre_p_f32},
};
#define FUNCTIONS (int)(sizeof functions / sizeof *functions)

int special_infer(ad_call *c) {
    int64_t kind = c->at->i[0];
    if (kind < 0 || kind >= FUNCTIONS)
        return ad_fail(AD_ERR_RUNTIME, "special: there is no function %lld", (long long)kind);
    const struct function *f = &functions[kind];
    if (c->nin != (f->one ? 1 : 2))
        return ad_fail(AD_ERR_TYPE, "%s: takes %d tensors, not %d", f->name, f->one ? 1 : 2, c->nin);
    int ndim, dtype = result_type(c->nin, c->in);
    if (broadcast_sizes(c->nin, c->in, &ndim, c->spec[0].sizes)) return -1;
    if (!dtype_is_float(dtype)) dtype = dtype_default_float();
    if (dtype != AD_F32 && dtype != AD_F64)
        return ad_fail(AD_ERR_NOT_IMPLEMENTED, "\"%s_cpu\" not implemented for '%s'", f->name,
                       dtype_class[dtype]);
    c->spec[0].dtype = (uint8_t)dtype;
    c->spec[0].ndim = (uint8_t)ndim;
    return 0;
}

typedef struct each {
    const struct function *f;
    const ad_tensor *in[2];
    int64_t strides[2][AD_MAXDIM];
    ad_tensor *out;
} each;

static double element(const each *p, int i, int64_t at) {
    const ad_tensor *t = p->in[i], *out = p->out;
    int64_t offset = 0;
    for (int d = out->ndim - 1; d >= 0; d--) {
        offset += at % out->sizes[d] * p->strides[i][d];
        at /= out->sizes[d];
    }
    double v;
    dtype_loads[t->dtype][CT_F64](1, &v, (char *)tensor_data(t) + offset * dtype_size[t->dtype], 0);
    return p->out->dtype == AD_F32 ? (double)(float)v : v; /* what the operands meet in */
}
static void each_range(int64_t begin, int64_t end, void *ctx) {
    const each *p = ctx;
    int64_t es = dtype_size[p->out->dtype];
    for (int64_t k = begin; k < end; k++) {
        double x = element(p, 0, k), y;
        if (p->f->one) y = x == x ? p->f->one(x) : x;
        else {
            double n = element(p, 1, k);
            if (x != x && n >= 1) y = x;
            else if (p->out->dtype == AD_F32) y = (double)p->f->two_f32((float)x, (float)n);
            else y = p->f->two(x, n);
        }
        dtype_stores[p->out->dtype][CT_F64](1, (char *)tensor_data(p->out) + k * es, 0, &y);
    }
}
void special_run(const ad_call *c) {
    each p = {.f = &functions[c->at->i[0]], .out = c->out[0]};
    for (int i = 0; i < c->nin; i++) {
        p.in[i] = c->in[i];
        int lead = p.out->ndim - c->in[i]->ndim;
        for (int d = 0; d < p.out->ndim; d++)
            p.strides[i][d] = d < lead || c->in[i]->sizes[d - lead] == 1 ? 0 : c->in[i]->strides[d - lead];
    }
    pool_parallel_for(p.out->numel, 256, each_range, &p);
}
