/* Distributions with a parameter for each element, drawn by rejection: how many words a number takes depends
 * on what is drawn. All arithmetic is in double but where it says so.
 *
 * Poisson: Hörmann, "The transformed rejection method for generating Poisson random variables", 1993 (PTRS).
 * Binomial: Hörmann, "The generation of binomial random variates", 1993 (BTRS).
 * Gamma: Marsaglia and Tsang, "A simple method for generating gamma variables", 2000. */
#include "rng_internal.h"

#include <float.h>
#include <math.h>

enum { PATIENCE = 10000 }; /* rejections in a row: only parameters beyond any sense come so far */

static double poisson_one(rng_state *s, double rate) {
    if (rate != rate || rate == INFINITY) return NAN;
    if (!(rate > 0)) return 0;
    if (rate < 10) {
        double least = exp(-rate), product = 1;
        for (int k = 0;; k++)
            if ((product *= rng_unit(s)) <= least) return k;
    }
    double root = sqrt(rate), log_rate = log(rate), b = 0.931 + 2.53 * root, a = -0.059 + 0.02483 * b;
    double inverse = 1.1239 + 1.1328 / (b - 3.4), vr = 0.9277 - 3.6224 / (b - 2);
    for (int i = 0; i < PATIENCE; i++) {
        double u = rng_unit(s) - 0.5, v = rng_unit(s), us = 0.5 - fabs(u);
        double k = floor((2 * a / us + b) * u + rate + 0.43);
        if (us >= 0.07 && v <= vr) return k;
        if (k < 0 || (us < 0.013 && v > us)) continue;
        if (log(v) + log(inverse) - log(a / (us * us) + b) <= -rate + k * log_rate - lgamma(k + 1)) return k;
    }
    return floor(rate);
}

/* What Stirling's formula lacks of log(k!). */
static double stirling_rest(double k) {
    static const double small[10] = {
        0.0810614667953272, 0.0413406959554092, 0.0276779256849983, 0.02079067210376509, 0.0166446911898211,
        0.0138761288230707, 0.0118967099458917, 0.0104112652619720, 0.00925546218271273, 0.00833056343336287};
    if (k <= 9) return small[(int)k];
    double square = (k + 1) * (k + 1);
    return (1.0 / 12 - (1.0 / 360 - 1.0 / 1260 / square) / square) / (k + 1);
}

static double binomial_large(rng_state *s, double n, double p, double mean) {
    double dev = sqrt(mean * (1 - p)), b = 1.15 + 2.53 * dev, a = -0.0873 + 0.0248 * b + 0.01 * p;
    double c = mean + 0.5, vr = 0.92 - 4.2 / b, r = p / (1 - p), alpha = (2.83 + 5.1 / b) * dev;
    double m = floor((n + 1) * p);
    for (int i = 0; i < PATIENCE; i++) {
        double u = rng_unit(s) - 0.5, v = rng_unit(s), us = 0.5 - fabs(u);
        double k = floor((2 * a / us + b) * u + c);
        if (k < 0 || k > n) continue;
        if (us >= 0.07 && v <= vr) return k;
        v = log(v * alpha / (a / (us * us) + b));
        double most = (m + 0.5) * log((m + 1) / (r * (n - m + 1))) +
                      (n + 1) * log((n - m + 1) / (n - k + 1)) + (k + 0.5) * log(r * (n - k + 1) / (k + 1)) +
                      stirling_rest(m) + stirling_rest(n - m) - stirling_rest(k) - stirling_rest(n - k);
        if (v <= most) return k;
    }
    return m;
}

/* The numbers of failures between successes, summed up to n. */
static double binomial_small(rng_state *s, double n, double p) {
    double sum = 0, scale = log1p(-p);
    for (double k = 0;; k++)
        if ((sum += ceil(log(rng_unit(s)) / scale)) > n) return k;
}

/* `narrow`: the mean is rounded to float32. */
static double binomial_one(rng_state *s, double n, double p, int narrow) {
    if (n != n || p != p || n == INFINITY) return NAN;
    if (n <= 0 || p <= 0) return 0;
    if (p >= 1) return n;
    double q = p <= 0.5 ? p : 1 - p, mean = narrow ? (float)n * (float)q : n * q;
    double k = mean >= 10 ? binomial_large(s, n, q, mean) : binomial_small(s, n, q);
    return p <= 0.5 ? k : n - k;
}

/* The constants 1/3 and 0.0331 are float32 in all types; `narrow`: so are alpha and what is computed of it
 * alone. */
static double gamma_one(rng_state *s, double alpha, int narrow) {
    if (!(alpha >= 0) || alpha == INFINITY) return alpha == INFINITY ? alpha : NAN;
    if (alpha == 0) return 0;
    double scale = 1;
    if (alpha < 1) {
        scale = pow(1 - rng_unit(s), narrow ? (double)(1 / (float)alpha) : 1 / alpha);
        alpha = narrow ? (float)alpha + 1 : alpha + 1;
    }
    double d = narrow ? (float)alpha - 1.0f / 3.0f : alpha - 1.0f / 3.0f, c = 1 / sqrt(9 * d);
    for (;;) {
        double x, y;
        do {
            rng_normal_serial(s, RNG_F64, &x, 1, 0.0, 1.0);
            y = 1 + c * x;
        } while (y <= 0);
        double v = y * y * y, u = 1 - rng_unit(s), xx = x * x;
        if (u < 1 - 0.0331f * xx * xx || log(u) < 0.5 * xx + d * (1 - v + log(v))) return scale * d * v;
    }
}

void rng_poisson(rng_state *s, double *x, int64_t n) {
    for (int64_t i = 0; i < n; i++) x[i] = poisson_one(s, x[i]);
}

void rng_binomial(rng_state *s, double *x, const double *p, int64_t n, int narrow) {
    for (int64_t i = 0; i < n; i++) x[i] = binomial_one(s, x[i], p[i], narrow);
}

void rng_gamma(rng_state *s, double *x, int64_t n, int narrow) {
    for (int64_t i = 0; i < n; i++) {
        double y = gamma_one(s, x[i], narrow), least = narrow ? (double)FLT_MIN : DBL_MIN;
        x[i] = y < least ? least : y;
    }
}
